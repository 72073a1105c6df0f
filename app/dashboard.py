"""Between the metrics and the dashboard page: slicers, sentences, the HTML table."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any

import streamlit as st

from app import charts, figures, metrics
from app import report as reports
from app.cube import Filters
from app.metrics import Number, Row, exact_money, short_money
from app.report import Report

DIFFERENCES = """\
1. **Sales by region add up.** The original dropped sales to customers whose home region is unknown:
   its bars summed to \\$346K of \\$602K, and high-value sales exceeded all sales of a region. Here
   every sale counts; the switch *Known-region customers only* shows the old view.
2. **The ring counts loyalty points.** The original counted customers.
3. **Sales YTD is year to date.** In the original it could not differ from Total Sales, because its
   date table was related to nothing.
4. **Top 5 means five.** The original had no limit.
5. **Insights are computed.** The original's text named July as the low; the data said June.
6. **A region has one spelling.** The original spelled it two ways.
7. **Customers and loyalty points ignore the sales filters**, as in the original; it is kept, and
   the tiles say so.
"""
COLUMNS: Mapping[str, Any] = {
    "region": "Region",
    "month": st.column_config.DateColumn("Month", format="MMM YYYY"),
    "product_name": "Product",
    "total_sales": st.column_config.NumberColumn("Total Sales", format="dollar"),
    "high_value_sales": st.column_config.NumberColumn("High-Value Sales", format="dollar"),
    "loyalty_points": st.column_config.NumberColumn("Loyalty points", format="localized"),
    "transactions": st.column_config.NumberColumn("Transactions", format="localized"),
    "high_value_transactions": st.column_config.NumberColumn("Transactions", format="localized"),
    "customers": st.column_config.NumberColumn("Customers", format="localized"),
}
# the title of a card and the line below its number wrap instead of ending in dots
CARDS_STYLE = """<style>
.st-key-cards [data-testid=stMetricLabel] *, .st-key-cards [data-testid=stMetricDelta] * {
    white-space: normal; line-height: 1.25;
}
@media (max-width: 1500px) {
    .st-key-cards [data-testid=stMetricLabel] { min-height: 2.5em; align-items: start; }
}
</style>"""
_KEYS: dict[str, Any] = {
    "region": [],
    "product": [],
    "category": [],
    "from": None,
    "to": None,
    "known_region_only": False,
}


def is_empty(fresh: figures.Freshness, offered: figures.Choices) -> bool:
    """Tell whether there are neither sales nor customers."""
    return (
        not offered.regions and not figures.report(fresh.data_version, Filters()).kpis["customers"]
    )


# Slicers --------------------------------------------------------------------------------


def slicers(offered: figures.Choices) -> Filters:
    """Show the slicers, which live in the address of the page, and return what they say."""
    with st.grid(5, min_column_width=145, gap="small"):
        regions, products, categories = (
            st.multiselect(label, options, key=key, bind="query-params", placeholder="All")
            for label, options, key in (
                ("Region", offered.regions, "region"),
                ("Product name", offered.products, "product"),
                ("Product category", offered.categories, "category"),
            )
        )
        # not one range: its two equal days do not survive in the address of the page
        start, end = (
            st.date_input(
                label,
                None,
                min_value=offered.first_day,
                max_value=offered.last_day,
                format="YYYY-MM-DD",
                key=key,
                bind="query-params",
            )
            for label, key in (("Period from", "from"), ("Period to", "to"))
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        known_region_only = st.toggle(
            "Known-region customers only",
            key="known_region_only",
            bind="query-params",
            help="The original report's view: only sales to customers whose home region is known.",
        )
        filters = Filters(
            regions=tuple(regions),
            products=tuple(products),
            categories=tuple(categories),
            start=start,
            end=end,
            known_region_only=known_region_only,
        )
        st.button(
            "Clear filters",
            icon=":material/filter_alt_off:",
            type="tertiary",
            on_click=clear_filters,
            disabled=filters == Filters(),
        )
    return filters


def clear_filters() -> None:
    """Set every slicer back; a callback."""
    for key, value in _KEYS.items():
        st.session_state[key] = value


# Words ----------------------------------------------------------------------------------


def promoted(fresh: figures.Freshness) -> str:
    """Return when the shown data came, in the viewer's zone."""
    if fresh.ended_at is None:
        return f"Data version {fresh.data_version}"
    try:
        zone: dt.tzinfo = zoneinfo.ZoneInfo(st.context.timezone or "UTC")
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        zone = dt.UTC
    moment = fresh.ended_at.astimezone(zone)
    return f"Data of {moment:%d %b %Y, %H:%M %Z} · {fresh.dataset} run {fresh.run_id}"


def beside(name: str, shown: Report) -> str:
    """Return the line below a card's number, as markdown; it holds no text from data."""
    kpis = shown.kpis
    if not metrics.BY_NAME[name].is_sliced:
        return "sales filters do not apply"
    match name:
        case "total_sales":
            return f"{kpis['transactions']:,} transactions"
        case "sales_ytd" if shown.ytd is not None:
            return f"1 Jan – {shown.ytd.end.day} {shown.ytd.end:%b %Y}"
        case "sales_ytd":
            return "no calendar day in the period"
        case "average_sale" if kpis[name] is not None:
            return f"exactly {metrics.format_exact(metrics.BY_NAME[name], kpis[name])}".replace(
                "$", "\\$"
            )
        case "average_sale" | "high_value_transactions" if not kpis["transactions"]:
            return "no sales"
        case _:
            share = percent(kpis["high_value_sales"], kpis["total_sales"])
            return f"{share} of sales"


def explained(name: str, shown: Report) -> str:
    """Return the definition of a metric and its exact value, as markdown."""
    metric = metrics.BY_NAME[name]
    exact = metrics.format_exact(metric, shown.kpis[name])
    return f"{metric.description}\n\nExactly: {exact}".replace("$", "\\$")


def percent(part: Number | None, whole: Number | None) -> str:
    """Return a share as text, `29.2 %`; a dash of nothing."""
    if not whole or part is None:
        return "–"
    return f"{Decimal(part) * 100 / Decimal(whole):.1f} %"


def insights(shown: Report) -> list[tuple[str, str, str]]:
    """Return what stands out: one (label, name, figure) each; the name is text from data."""
    total = shown.kpis["total_sales"]
    months = charts.every_month(shown.results["monthly_sales"])
    found = []
    if len(months) > 1:
        best = max(months, key=lambda row: row["total_sales"])
        worst = min(months, key=lambda row: row["total_sales"])
        for label, row in (("Best month", best), ("Weakest month", worst)):
            found.append((label, f"{row['month']:%b %Y}", short_money(row["total_sales"])))
    for label, tile, name in (
        ("Top region", "sales_by_region", "region"),
        ("Top product", "top_products", "product_name"),
    ):
        if total and shown.results[tile]:
            row = shown.results[tile][0]
            share = percent(row["total_sales"], total)
            figure = f"{short_money(row['total_sales'])} · {share} of sales"
            found.append((label, row[name], figure))
    return found


def insights_html(found: Sequence[tuple[str, str, str]]) -> str:
    """Return the insights as HTML; names from data are escaped."""
    cells = "".join(
        f"<div style='min-width:9rem;flex:1 1 9rem'><div style='opacity:.7;font-size:.8rem'>"
        f"{escape(label)}</div><div style='font-weight:600;overflow-wrap:anywhere'>{escape(name)}"
        f"</div><div style='font-size:.85rem'>{escape(figure)}</div></div>"
        for label, name, figure in found
    )
    return f"<div style='display:flex;flex-wrap:wrap;gap:.75rem 1.5rem'>{cells}</div>"


def top_products_html(shown: Report) -> str:
    """Return the top products, the others and the total as an HTML table; names are escaped."""
    total = shown.kpis["total_sales"]
    assert total is not None
    body = "".join(
        _line(escape(row["product_name"]), row["total_sales"], total)
        for row in shown.results["top_products"]
    )
    if shown.other_products:
        others = f"All others ({shown.other_products:,})"
        body += _line(f"<span style='opacity:.75'>{others}</span>", shown.other_sales, total)
    heading = f"{_CELL}font-weight:600;white-space:nowrap;opacity:.75"
    head = "".join(
        f"<th scope='col' style='{heading};text-align:{side}'>{text}</th>"
        for text, side in (("Product", "left"), ("Total Sales", "right"), ("Share", "right"))
    )
    return (
        "<table style='width:100%;border-collapse:collapse;font-size:.9rem' "
        f"aria-label='Top {reports.TOP} products by revenue'><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody><tfoot style='font-weight:700'>{_line('Total', total, total)}"
        "</tfoot></table>"
    )


_CELL = "border:0;border-bottom:1px solid rgba(128,140,160,.3);padding:.42rem .25rem;"


def _line(name: str, amount: Number, total: Number) -> str:
    whole = f"${Decimal(amount):,.0f}"
    number = f"{_CELL}text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
    return (
        f"<tr><td style='{_CELL}overflow-wrap:anywhere'>{name}</td>"
        f"<td style='{number}' title='{exact_money(amount)}'>{whole}</td>"
        f"<td style='{number}'>{percent(amount, total)}</td></tr>"
    )


def tie(name: str, shown: Report) -> str:
    """Return whether a tile's parts make up its KPI, with both numbers, as markdown."""
    found = shown.ties[name]
    metric = metrics.BY_NAME[reports.WHOLES[name]]
    parts, whole = (metrics.format_exact(metric, number) for number in (found.parts, found.whole))
    if found.holds:
        text = f":green[ties out ✓] parts {parts} = {metric.title} {whole}"
    else:
        text = f":red[does not tie out ✗] parts {parts}, {metric.title} {whole}"
    return text.replace("$", "\\$")


def table(name: str, shown: Report) -> list[Row]:
    """Return the rows of a tile's table and download; the top products add up to the total."""
    rows = list(shown.results[name])
    if name == "monthly_sales":
        rows = charts.every_month(rows)
    if name == "top_products" and shown.other_products:
        counted = sum(row["transactions"] for row in rows)
        rest = int(shown.kpis["transactions"] or 0) - counted
        rows.append(
            {
                "product_name": f"All others ({shown.other_products:,})",
                "total_sales": shown.other_sales,
                "transactions": rest,
            }
        )
    return rows


def has_amounts(name: str, shown: Report) -> bool:
    """Tell whether a tile has anything to draw."""
    return bool(shown.results[name]) and bool(shown.ties[name].whole)
