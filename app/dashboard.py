"""Between the metrics and the dashboard page: slicers, drilling, cards and sentences."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Any

import streamlit as st

from app import charts, figures, insights, metrics, picking
from app import report as reports
from app.cube import Filters
from app.metrics import Row
from app.periods import Compare, Level, Period, month_start
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
    "year": st.column_config.DateColumn("Year", format="YYYY"),
    "day": st.column_config.DateColumn("Day", format="YYYY-MM-DD"),
    "product_name": "Product",
    "category": "Category",
    "total_sales": st.column_config.NumberColumn("Total Sales", format="dollar"),
    "high_value_sales": st.column_config.NumberColumn("High-Value Sales", format="dollar"),
    "loyalty_points": st.column_config.NumberColumn("Loyalty points", format="localized"),
    "transactions": st.column_config.NumberColumn("Transactions", format="localized"),
    "high_value_transactions": st.column_config.NumberColumn("Transactions", format="localized"),
    "customers": st.column_config.NumberColumn("Customers", format="localized"),
}
TITLES: Mapping[str, str] = {
    "sales_by_region": "Sales by Region",
    "monthly_sales": "Monthly Sales Trend",
    "loyalty_points_by_region": "Loyalty Points Distribution by Region",
    "top_products": f"Top {reports.TOP} Products by Revenue",
    "high_value_sales_by_region": "High-Value Sales by Region",
}
NOTES: Mapping[str, str] = {
    "loyalty_points_by_region": ("Known customers by home region; the sales filters do not apply."),
    "high_value_sales_by_region": "Sales worth more than $1,000 each.",
}
RANKING_COLUMNS: Mapping[str, Any] = {
    "name": st.column_config.TextColumn("Name", width=88),
    "total_sales": st.column_config.NumberColumn("Total Sales", format="$%,.0f", width=76),
    "share": st.column_config.ProgressColumn("Share", format="%.1f %%", max_value=100, width=104),
}
# the title of a card and the line below its number wrap instead of ending in dots
STYLE = """<style>
.st-key-cards [data-testid=stMetricLabel] *, .st-key-cards [data-testid=stMetricDelta] * {
    white-space: normal; line-height: 1.25;
}
[data-testid=stPageLink] a { padding-left: 0; }
[data-testid=stPageLink] p { font-size: 0.875rem; }
@media (max-width: 1500px) {
    .st-key-cards [data-testid=stMetricLabel] { min-height: 2.5em; align-items: start; }
}
</style>"""
_COMPARISONS: Mapping[str, Compare] = {
    "Previous period": "previous",
    "Year before": "year_before",
}
_LEVELS: Mapping[str, Level] = {"Year": "year", "Month": "month", "Day": "day"}
_ADVERBS: Mapping[Level, str] = {"year": "Yearly", "month": "Monthly", "day": "Daily"}
DAYS_SHOWN = 100  # at most, of one chart


def is_empty(fresh: figures.Freshness, offered: figures.Choices) -> bool:
    """Tell whether there are neither sales nor customers."""
    return (
        not offered.regions and not figures.report(fresh.data_version, Filters()).kpis["customers"]
    )


def comparison() -> Compare | None:
    """Show what the cards may be compared with, and return what is chosen."""
    st.caption("Compare with", width="content")
    chosen = st.segmented_control(
        "Compare with",
        list(_COMPARISONS),
        key="compare",
        bind="query-params",
        label_visibility="collapsed",
        help="The cards show the change against the same figures of another period.",
    )
    return _COMPARISONS.get(chosen or "")


# Drilling -------------------------------------------------------------------------------


def title(name: str, level: Level = "month") -> str:
    """Return the title of a tile; `level` is that of sales over time."""
    return f"{_ADVERBS[level]} Sales Trend" if name == "monthly_sales" else TITLES[name]


def trend_level(filters: Filters, offered: figures.Choices) -> Level:
    """Show by what sales over time are added up, and return it; days only of a short period."""
    period = Period.within(
        filters.start or offered.first_day or dt.date.min,
        filters.end or offered.last_day or dt.date.max,
    )
    is_short = period is not None and period.days <= DAYS_SHOWN
    levels = [word for word in _LEVELS if word != "Day" or is_short]
    chosen = st.segmented_control(
        "By",
        levels,
        default="Month",
        required=True,
        key="by",
        bind="query-params",
        label_visibility="collapsed",
        on_change=picking.clear,
        args=(picking.PERIOD,),
    )
    return _LEVELS[chosen or "Month"]


def ranked_items() -> str:
    """Show by what the ranking adds sales up, and return it: product or category."""
    chosen = st.segmented_control(
        "Of",
        ["Products", "Categories"],
        default="Products",
        required=True,
        key="of",
        bind="query-params",
        label_visibility="collapsed",
    )
    return "category" if chosen == "Categories" else "product_name"


def drill_into(period: Period, level: Level) -> None:
    """Take a year's months or a month's days as the period shown; a callback."""
    start, end = st.session_state.get("from"), st.session_state.get("to")
    st.session_state["from"] = max(period.start, start or period.start)
    st.session_state["to"] = min(period.end, end or period.end)
    st.session_state["by"] = "Month" if level == "year" else "Day"
    picking.clear(picking.PERIOD)


def drill_out(period: Period) -> None:
    """Go from a month back to its year, or from a year to all years; a callback."""
    is_month = month_start(period.start) == month_start(period.end)
    year = Period.of(period.start.replace(month=1, day=1), "year")
    st.session_state["from"] = year.start if is_month else None
    st.session_state["to"] = year.end if is_month else None
    st.session_state["by"] = "Month" if is_month else "Year"
    picking.clear(picking.PERIOD)


def sliced_period(filters: Filters) -> Period | None:
    """Return the year or month that the slicers show, None when they show another period."""
    if filters.start is None or filters.end is None or filters.is_backwards:
        return None
    period = Period(start=filters.start, end=filters.end)
    is_one = month_start(period.start) == month_start(period.end) or period.days > 360
    return period if period.is_whole_months and is_one and period.days < 367 else None


def drill_into_category(category: str) -> None:
    """Show the products of a category; a callback."""
    st.session_state["category"] = [category]
    st.session_state["of"] = "Products"
    picking.clear(picking.CATEGORY)


# Words ----------------------------------------------------------------------------------


def about(fresh: figures.Freshness) -> About:
    """Return what a file taken home says about its numbers."""
    return About(
        data_version=fresh.data_version, as_of=fresh.ended_at, made_at=dt.datetime.now(dt.UTC)
    )


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


@dataclass(frozen=True, kw_only=True)
class About:
    """Where the numbers of a file come from."""

    data_version: int
    as_of: dt.datetime | None  # when the data came, with zone
    made_at: dt.datetime  # when the file was made, with zone


@dataclass(frozen=True, kw_only=True)
class Card:
    """What stands below a card's number, and the months that its line draws."""

    beside: str  # markdown without text from data
    is_change: bool  # against the comparison: it has a direction
    months: tuple[float, ...]  # those without sales too; none for what has no months


def card(name: str, shown: Report) -> Card:
    """Return what a card shows beside its number."""
    months, comparison = _months(name, shown), shown.comparison
    if comparison is None or not metrics.BY_NAME[name].is_sliced:
        return Card(beside=_beside(name, shown), is_change=False, months=months)
    now, before = shown.kpis[name], comparison.kpis[name]
    if not before:
        return Card(beside=f"nothing in {comparison.period.words}", is_change=False, months=months)
    if now is None:
        return Card(beside="no sales", is_change=False, months=months)
    change = insights.signed_percent(now - before, before)
    return Card(beside=f"{change} on {comparison.period.words}", is_change=True, months=months)


def _reaches(shown: Report, ytd: Period) -> bool:
    """Tell whether the period has every month of the year to date."""
    return shown.chosen.start is None or shown.chosen.start <= ytd.start


def _months(name: str, shown: Report) -> tuple[float, ...]:
    rows = charts.every_period(
        [
            {
                "start": row["day"],
                "total_sales": row["sales"],
                "transactions": row["transactions"],
                "high_value": row["high_value_transactions"],
            }
            for row in shown.monthly
        ]
    )
    match name:
        case "total_sales":
            return tuple(float(row["total_sales"]) for row in rows)
        case "sales_ytd" if shown.ytd is not None and _reaches(shown, shown.ytd):
            ytd = shown.ytd
            inside = [row["total_sales"] for row in rows if ytd.start <= row["start"] <= ytd.end]
            return tuple(float(sales) for sales in accumulate(inside))
        case "average_sale":
            return tuple(
                float(row["total_sales"] / row["transactions"]) if row["transactions"] else 0.0
                for row in rows
            )
        case "high_value_transactions":
            return tuple(float(row.get("high_value", 0)) for row in rows)
        case _:
            return ()


def _beside(name: str, shown: Report) -> str:
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
            share = insights.percent(kpis["high_value_sales"], kpis["total_sales"])
            return f"{share} of sales"


def explained(name: str, shown: Report) -> str:
    """Return the definition of a metric and its exact value, as markdown."""
    metric = metrics.BY_NAME[name]
    exact = metrics.format_exact(metric, shown.kpis[name])
    return f"{metric.description}\n\nExactly: {exact}".replace("$", "\\$")


def ranking(shown: Report, items: str) -> list[Row]:
    """Return the rows of the top products (or all categories), the others and the total.

    Each has name, total_sales, share (of what the rows make up) and transactions.
    """
    label, rows = (
        ("category", shown.categories)
        if items == "category"
        else ("product_name", shown.results["top_products"])
    )
    total = sum((row["total_sales"] for row in rows), Decimal())
    count = sum(row["transactions"] for row in rows)
    listed = [
        {"name": row[label], "total_sales": row["total_sales"], "transactions": row["transactions"]}
        for row in rows
    ]
    if label == "product_name" and shown.other_products:
        total += shown.other_sales
        count += shown.other_transactions
        listed.append(
            {
                "name": f"All others ({shown.other_products:,})",
                "total_sales": shown.other_sales,
                "transactions": shown.other_transactions,
            }
        )
    listed.append({"name": "Total", "total_sales": total, "transactions": count})
    return [
        {**row, "share": float(100 * row["total_sales"] / total) if total else 0.0}
        for row in listed
    ]


def ranked_values(shown: Report, items: str) -> list[str | None]:
    """Return what each row of the ranking stands for; None for the others and the total."""
    rows = shown.categories if items == "category" else shown.results["top_products"]
    named = [row[items] for row in rows]
    more = len(ranking(shown, items)) - len(named)
    return [*named, *([None] * more)]


def tie_mark(name: str, shown: Report) -> str:
    """Return whether a tile's parts make up its KPI, in two words of markdown."""
    return ":green[✓ ties out]" if shown.ties[name].holds else ":red[✗ does not tie out]"


def tie(name: str, shown: Report) -> str:
    """Return both numbers of a tile, that of its parts and its KPI, as markdown."""
    found = shown.ties[name]
    metric = metrics.BY_NAME[reports.WHOLES[name]]
    parts, whole = (metrics.format_exact(metric, number) for number in (found.parts, found.whole))
    all_products = name == "top_products" and (shown.picks.products or shown.picks.categories)
    title = f"{metric.title} of all products" if all_products else metric.title
    sign = "=" if found.holds else "≠"
    return f"{tie_mark(name, shown)} · parts {parts} {sign} {title} {whole}".replace("$", "\\$")


def table(
    name: str, shown: Report, level: Level = "month", items: str = "product_name"
) -> list[Row]:
    """Return the rows of a tile's table and download; the top products add up to the total."""
    rows = list(shown.results[name])
    if name == "monthly_sales":
        return [
            {"month" if level == "month" else level: row["start"], **_amounts(row)}
            for row in charts.every_period(shown.trend, level)
        ]
    if name == "top_products" and items == "category":
        return list(shown.categories)
    if name == "top_products" and shown.other_products:
        rows.append(
            {
                "product_name": f"All others ({shown.other_products:,})",
                "total_sales": shown.other_sales,
                "transactions": shown.other_transactions,
            }
        )
    return rows


def _amounts(row: Row) -> Row:
    return {"total_sales": row["total_sales"], "transactions": row["transactions"]}


def has_amounts(name: str, shown: Report) -> bool:
    """Tell whether a tile has anything to draw."""
    return bool(shown.results[name]) and bool(shown.ties[name].whole)
