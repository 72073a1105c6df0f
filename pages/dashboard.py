"""Dashboard: the Power BI report's page from the gold tables, every tile tied out and clickable."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from app import (
    charts,
    components,
    dashboard,
    figures,
    insights,
    metrics,
    nav,
    picking,
    saved_views,
    slicers,
    tile_export,
    trust,
)
from app.cube import Filters
from app.explain import explain_address
from app.metrics import Row
from app.periods import Compare, Level
from app.report import WHOLES, Report

CARDS = ("customers", "total_sales", "sales_ytd", "average_sale", "high_value_transactions")
TITLE = "Revenue & Customer Insights Dashboard"
SPARKLINE_MONTHS = 3  # at least


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The report of the page, and where it comes from."""

    report: Report
    level: Level
    about: dashboard.About
    moved: trust.Moved


def main() -> None:
    fresh = figures.freshness()
    try:
        offered = figures.choices(fresh.data_version)
        if dashboard.is_empty(fresh, offered):
            st.title(TITLE)
            show_empty()
        else:
            show_page(fresh, offered)
    except figures.DataMovedError:
        st.rerun()


def show_empty() -> None:
    components.empty_state(
        "No data yet",
        "The dashboard shows sales and customers once a run has promoted them to gold. "
        "Generate demo files or upload your own, then run them.",
        page="upload",
        label="Upload & generate",
        icon="monitoring",
    )


def show_page(fresh: figures.Freshness, offered: figures.Choices) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(TITLE, width="content")
        st.space("stretch")
        saved_views.saved_views("dashboard")
        take_home = st.container(width="content")
    compare = show_origin(fresh)
    filters = slicers.show(offered)
    chips, cards, sentences, tiles = (st.container() for _ in range(4))
    with tiles:
        left, right = st.columns([1, 2], gap="small")
        first, second, third = st.columns(3, gap="small")
    with right, tile_frame("monthly_sales"):
        with header() as place:
            level = dashboard.trend_level(filters, offered)
        place.subheader(dashboard.title("monthly_sales", level), anchor=False)
        trend = st.container(gap="xsmall")
    picked = picking.picks(offered, filters, level)
    with chips:
        picking.show_chips(picked)
    shown = figures.report(fresh.data_version, filters, picked, compare, level)
    page = Shown(report=shown, level=level, about=dashboard.about(fresh), moved=trust.moved())
    with take_home:
        show_report(page)
    with cards:
        show_cards(shown)
        if not shown.kpis["transactions"]:
            show_nothing(filters, has_sales=bool(offered.regions))
    with sentences:
        show_insights(insights.found(shown, level))
    with left, tile_frame("sales_by_region"):
        size = charts.unit(shown.results["sales_by_region"], "total_sales")[1] or "\\$"
        st.subheader(f"Sales by Region ({size})", anchor=False)
        show_regions(page, "sales_by_region", charts.sales_by_region)
    with trend:
        show_trend(page)
    with first, tile_frame("loyalty_points_by_region"):
        st.subheader("Loyalty Points Distribution by Region", anchor=False)
        show_regions(page, "loyalty_points_by_region", charts.loyalty_points, picking.HOME)
    with second, tile_frame("top_products"):
        with header() as place:
            place.subheader(dashboard.title("top_products"), anchor=False)
            items = dashboard.ranked_items()
        show_ranking(page, items)
    with third, tile_frame("high_value_sales_by_region"):
        st.subheader("High-Value Sales by Region", anchor=False)
        show_regions(page, "high_value_sales_by_region", charts.high_value_sales)


def show_origin(fresh: figures.Freshness) -> Compare | None:
    """Show where the figures come from and what to do with the page; return the comparison."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(dashboard.promoted(fresh), width="content")
        with st.popover(
            "Differences from the original report", icon=":material/difference:", type="tertiary"
        ):
            st.markdown(dashboard.DIFFERENCES)
        st.space("stretch")
        return dashboard.comparison()


def show_report(page: Shown) -> None:
    st.download_button(
        "Report",
        partial(tile_export.html_report, page.report, page.about, page.level),
        "dashboard.html",
        "text/html",
        icon=":material/print:",
        type="tertiary",
        on_click="ignore",
        help="This page as one file that needs no network; print it to have a PDF",
    )


def show_cards(shown: Report) -> None:
    st.html(dashboard.STYLE)
    with st.grid(5, min_column_width=145, gap="small", key="cards"):
        for name in CARDS:
            metric, card = metrics.BY_NAME[name], dashboard.card(name, shown)
            with st.container(border=True, height="stretch", gap="xsmall"):
                st.metric(
                    metric.title,
                    metrics.format_value(metric, shown.kpis[name]),
                    card.beside,
                    delta_color="normal" if card.is_change else "off",
                    delta_arrow="auto" if card.is_change else "off",
                    help=dashboard.explained(name, shown),
                )
                if len(card.months) >= SPARKLINE_MONTHS:
                    st.html(charts.sparkline(card.months, f"{metric.title} by month"))
                st.space("stretch")
                show_explain(name, shown.chosen)


def show_explain(metric: str, filters: Filters) -> None:
    st.page_link(
        nav.page("explain"),
        label="Explain",
        icon=":material/quiz:",
        query_params=slicers.given(explain_address(metric, filters)),
        width="content",
    )


def show_nothing(filters: Filters, *, has_sales: bool) -> None:
    if filters.is_backwards:
        st.info(
            "The period ends before it starts: change its first or its last day.",
            title="Nothing in this selection",
            icon=":material/date_range:",
        )
    elif has_sales:
        st.info(
            "No sales match these filters. Clear a filter or widen the period; figures of "
            "customers and loyalty points do not depend on them.",
            title="Nothing in this selection",
            icon=":material/filter_alt:",
        )
    else:
        st.info(
            "Only customers are loaded. Run a file of sales to see revenue.", title="No sales yet"
        )
        components.link("upload", "Upload & generate", icon=":material/arrow_forward:")


def show_insights(found: Sequence[insights.Insight]) -> None:
    if not found:
        return
    with (
        st.container(border=True, key="insights"),
        st.grid(3, min_column_width=240, gap="small"),
    ):
        for one in found:
            with st.container(horizontal=True, gap="small"):
                st.markdown(
                    f":small[:gray[:material/{one.icon}: {one.label}]]  \n"
                    f"**{components.escape(one.name)}**  \n"
                    f":small[:gray[{components.escape(one.figure)}]]",
                    width="stretch",
                )
                show_explain("total_sales", one.filters)


# Tiles ----------------------------------------------------------------------------------


def tile_frame(name: str) -> Any:
    return st.container(border=True, height="stretch", key=f"tile_{name}", gap="xsmall")


@contextlib.contextmanager
def header() -> Iterator[Any]:
    """Yield where a tile's title goes; what the block shows stands beside it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        yield st.container()


def show_regions(
    page: Shown,
    name: str,
    draw: Callable[..., Any],
    dimension: picking.Dimension = picking.REGION,
) -> None:
    title, picked = dashboard.TITLES[name], getattr(page.report.picks, dimension.name)
    if has_amounts(page, name):
        # an element of its own for each pick: a selection in it is always a new click
        key = f"{name}_{hash(picked)}"
        st.plotly_chart(
            draw(page.report.results[name], picked),
            key=key,
            on_select=picking.of_chart(key, dimension),
            selection_mode="points",
            width="stretch",
            config=charts.chart_config(name, title),
            alt=f"{title}; the table below it holds the same figures",
        )
    show_footer(page, name, dashboard.table(name, page.report))


def show_trend(page: Shown) -> None:
    name, level, shown = "monthly_sales", page.level, page.report
    period = shown.picks.period
    with st.container(horizontal=True, gap="small"):
        if period is not None and level != "day":
            st.button(
                f"Drill into {period.words}",
                icon=":material/zoom_in:",
                type="tertiary",
                on_click=dashboard.drill_into,
                args=(period, level),
            )
        sliced = dashboard.sliced_period(shown.filters)
        if sliced is not None:
            st.button(
                f"Out of {sliced.words}",
                icon=":material/zoom_out:",
                type="tertiary",
                on_click=dashboard.drill_out,
                args=(sliced,),
            )
    if has_amounts(page, name):
        key = f"{name}_{level}_{hash(period)}"
        st.plotly_chart(
            charts.sales_over_time(shown.trend, level, period),
            key=key,
            on_select=picking.of_trend(key, level),
            selection_mode="points",
            width="stretch",
            config=charts.chart_config(name, dashboard.title(name, level)),
            alt=f"Sales by {level}; the table below it holds the same figures",
        )
    show_footer(page, name, dashboard.table(name, shown, level))


def show_ranking(page: Shown, items: str) -> None:
    name, shown = "top_products", page.report
    if has_amounts(page, name):
        dimension = picking.CATEGORY if items == "category" else picking.PRODUCT
        picked = shown.picks.categories if items == "category" else shown.picks.products
        values = dashboard.ranked_values(shown, items)
        key = f"{name}_{items}_{hash((picked, tuple(values)))}"
        st.dataframe(
            dashboard.ranking(shown, items),
            column_config=dashboard.RANKING_COLUMNS,
            column_order=["name", "total_sales", "share"],
            hide_index=True,
            width="stretch",
            key=key,
            on_select=picking.of_rows(key, dimension, values),
            selection_mode="multi-row",
            selection_default={
                "selection": {
                    "rows": [place for place, value in enumerate(values) if value in picked]
                }
            },
            alt=f"{'Categories' if items == 'category' else 'Top products'} by revenue, and the total",
        )
        if items == "category" and len(picked) == 1:
            st.button(
                f"Products of {components.escape(picked[0])}",
                icon=":material/zoom_in:",
                type="tertiary",
                on_click=dashboard.drill_into_category,
                args=(picked[0],),
            )
    show_footer(page, name, dashboard.table(name, shown, items=items))


def has_amounts(page: Shown, name: str) -> bool:
    """Tell whether a tile has anything to draw; say so if not."""
    if dashboard.has_amounts(name, page.report):
        return True
    st.caption(":material/filter_alt: Nothing in this selection.")
    return False


def show_footer(page: Shown, name: str, rows: Sequence[Row]) -> None:
    """Show whether the tile ties out, how far it can be trusted, and what stands behind it."""
    metric, note = WHOLES[name], dashboard.NOTES.get(name)
    found = trust.strip(metric, page.report.chosen, at=page.moved)
    line = f"{dashboard.tie_mark(name, page.report)} · {trust.words(found)}"
    st.caption(line if note is None else f"{components.escape(note)}  \n{line}")
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        show_explain(metric, page.report.chosen)
        details = st.popover(
            "Details",
            icon=":material/table:",
            type="tertiary",
            key=f"details_{name}",
            on_change="rerun",  # what nobody looks at is not made
        )
    if details.open:
        with details:
            st.caption(dashboard.tie(name, page.report))
            trust.show_strip(metric, page.report.chosen, found)
            if rows:
                show_table(page, name, rows)


def show_table(page: Shown, name: str, rows: Sequence[Row]) -> None:
    title = dashboard.title(name, page.level)
    st.dataframe(
        rows,
        column_config=dashboard.COLUMNS,
        hide_index=True,
        width="stretch",
        alt=f"{title}, as a table",
    )
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "CSV",
            partial(components.as_csv, rows),
            f"{name}.csv",
            "text/csv",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key=f"csv_{name}",
        )
        st.download_button(
            "XLSX",
            partial(
                tile_export.as_xlsx,
                title,
                rows,
                page.report.filters_of(name),
                page.about,
                definition=metrics.BY_NAME[WHOLES[name]].description,
            ),
            f"{name}.xlsx",
            tile_export.XLSX,
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key=f"xlsx_{name}",
        )


main()
