"""Revenue and customers at a glance: slicers, KPIs, insights and five tiles that tie out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from app import charts, components, dashboard, figures, metrics
from app.cube import Filters
from app.metrics import Row
from app.report import TOP, Report

CARDS = ("customers", "total_sales", "sales_ytd", "average_sale", "high_value_transactions")


def main() -> None:
    st.title("Revenue & Customer Insights Dashboard")
    fresh = figures.freshness()
    offered = figures.choices(fresh.data_version)
    if dashboard.is_empty(fresh, offered):
        components.empty_state(
            "No data yet",
            "The dashboard shows sales and customers once a run has promoted them to gold. "
            "Generate demo files or upload your own, then run them.",
            page="upload",
            label="Upload & generate",
            icon="monitoring",
        )
        return
    show_origin(fresh)
    filters = dashboard.slicers(offered)
    shown = figures.report(fresh.data_version, filters)
    show_cards(shown)
    if not shown.kpis["transactions"]:
        show_nothing(filters, has_sales=bool(offered.regions))
    show_insights(shown)
    show_tiles(shown)


def show_origin(fresh: figures.Freshness) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(dashboard.promoted(fresh), width="content")
        with st.popover(
            "Differences from the original report", icon=":material/difference:", type="tertiary"
        ):
            st.markdown(dashboard.DIFFERENCES)


def show_cards(shown: Report) -> None:
    st.html(dashboard.CARDS_STYLE)
    with st.grid(5, min_column_width=145, gap="small", key="cards"):
        for name in CARDS:
            metric = metrics.BY_NAME[name]
            st.metric(
                metric.title,
                metrics.format_value(metric, shown.kpis[name]),
                dashboard.beside(name, shown),
                delta_color="off",
                delta_arrow="off",
                help=dashboard.explained(name, shown),
                border=True,
                height="stretch",
            )


def show_nothing(filters: Filters, *, has_sales: bool) -> None:
    if filters.start and filters.end and filters.start > filters.end:
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


def show_insights(shown: Report) -> None:
    found = dashboard.insights(shown)
    if found:
        with st.container(border=True, key="insights"):
            st.html(dashboard.insights_html(found))


def show_tiles(shown: Report) -> None:
    size = charts.unit(shown.results["sales_by_region"], "total_sales")[1]
    left, right = st.columns([1, 2], gap="small")
    with left:
        show_tile(f"Sales by Region ({size})", "sales_by_region", shown, charts.sales_by_region)
    with right:
        show_tile("Monthly Sales Trend", "monthly_sales", shown, charts.monthly_sales)
    first, second, third = st.columns(3, gap="small")
    with first:
        show_tile(
            "Loyalty Points Distribution by Region",
            "loyalty_points_by_region",
            shown,
            charts.loyalty_points,
            note="Known customers by home region; the sales filters do not apply.",
        )
    with second:
        show_tile(f"Top {TOP} Products by Revenue", "top_products", shown, None)
    with third:
        show_tile(
            "High-Value Sales by Region",
            "high_value_sales_by_region",
            shown,
            charts.high_value_sales,
            note="Sales worth more than \\$1,000 each.",
        )


def show_tile(
    title: str,
    name: str,
    shown: Report,
    draw: Callable[[Sequence[Row]], Any] | None,
    *,
    note: str = "",
) -> None:
    rows = shown.results[name]
    with st.container(border=True, height="stretch", key=f"tile_{name}", gap="xsmall"):
        st.subheader(title, anchor=False)
        if not dashboard.has_amounts(name, shown):
            st.caption(":material/filter_alt: Nothing in this selection.")
        elif draw is None:
            st.html(dashboard.top_products_html(shown))
        else:
            st.plotly_chart(
                draw(rows),
                key=name,
                width="stretch",
                config=charts.CONFIG,
                alt=f"{title}; the table below it holds the same figures",
            )
        st.caption(
            f"{note}  \n{dashboard.tie(name, shown)}" if note else dashboard.tie(name, shown)
        )
        if rows:
            show_table(title, dashboard.table(name, shown), name)


def show_table(title: str, rows: Sequence[Row], name: str) -> None:
    with st.container(horizontal=True, gap="small"):
        with st.popover("Table", icon=":material/table:", type="tertiary"):
            st.dataframe(
                rows,
                column_config=dashboard.COLUMNS,
                hide_index=True,
                width="stretch",
                alt=f"{title}, as a table",
            )
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


main()
