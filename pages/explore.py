"""Own questions about sales: measures by dimensions, the named queries, and a SQL box."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app import (
    components,
    explore_charts,
    explore_table,
    explore_view,
    figures,
    metrics,
    saved_views,
    sql_box_view,
)
from app.explore import Answer, Mark
from app.explore_table import Table

TABS = ("Explore", "Named queries", "SQL")


def main() -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title("Explore", width="content")
        st.space("stretch")
        saved_views.saved_views("explore", but=["query", "plan"])
    fresh = figures.freshness()
    offered = figures.choices(fresh.data_version)
    explore, named, sql = st.tabs(TABS, key="tab", on_change="rerun", bind="query-params")
    if explore.open:
        with explore:
            show_explore(fresh, offered)
    if named.open:
        with named:
            show_named(fresh.data_version)
    if sql.open:
        with sql:
            sql_box_view.show()


# Explore --------------------------------------------------------------------------------


def show_explore(fresh: figures.Freshness, offered: figures.Choices) -> None:
    if not offered.regions:
        components.empty_state(
            "No sales yet",
            "Questions can be asked once a run has promoted sales to gold. "
            "Generate demo files or upload your own, then run them.",
            page="upload",
            label="Upload & generate",
            icon="query_stats",
        )
        return
    chosen = explore_view.choose(offered)
    if chosen.question is None:
        st.info(
            "Choose at least one measure.",
            title="Nothing is measured",
            icon=":material/straighten:",
        )
        return
    if chosen.lacks_period:
        st.info(
            "Choose the first and the last day of a period: it is compared with as many days before "
            "it, or with the same days a year before.",
            title="Nothing to compare with yet",
            icon=":material/date_range:",
        )
    shown = explore_view.answer(fresh.data_version, chosen.question)
    if shown.is_empty:
        show_nothing(shown)
        return
    if not shown.question.rows:
        show_cards(shown)
    elif chosen.chart != "table":
        show_charts(shown, chosen.chart)
    show_table(shown, explore_table.table(shown))


def show_nothing(shown: Answer) -> None:
    start, end = shown.question.filters.start, shown.question.filters.end
    st.info(
        "The period ends before it starts: change its first or its last day."
        if start and end and start > end
        else "No sales match these filters. Clear a filter or widen the period.",
        title="Nothing in this selection",
        icon=":material/filter_alt:",
    )


def show_cards(shown: Answer) -> None:
    with st.grid(4, min_column_width=145, gap="small"):
        for metric in shown.question.metrics:
            now = shown.value(Mark.TOTAL, Mark.TOTAL, metric.name)
            percent = None
            if shown.question.comparison:
                before = shown.before(Mark.TOTAL, Mark.TOTAL, metric.name)
                percent = explore_table.change_percent(now, before)
            st.metric(
                metric.title,
                metrics.format_value(metric, now),
                None if percent is None else f"{percent:+.1f} %",
                help=f"{metric.description}\n\nExactly: {metrics.format_exact(metric, now)}".replace(
                    "$", "\\$"
                ),
                border=True,
            )


def show_charts(shown: Answer, kind: explore_charts.Kind) -> None:
    for metric in shown.question.metrics:
        figure, note = explore_charts.chart(kind, shown, metric)
        with st.container(border=True, gap="xsmall", key=f"chart_{metric.name}"):
            st.subheader(metric.title, anchor=False, help=metric.description.replace("$", "\\$"))
            st.plotly_chart(
                figure,
                key=f"figure_{metric.name}",
                width="stretch",
                config=explore_charts.CONFIG,
                alt=explore_charts.description(shown, metric),
            )
            if note:
                st.caption(components.escape(note))


def show_table(shown: Answer, table: Table) -> None:
    groups = len(table.rows) - 1
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if shown.question.rows:
            st.caption(f"{groups:,} row{'' if groups == 1 else 's'} and a total", width="content")
        for label, write, kind in (
            ("CSV", explore_table.as_csv, "csv"),
            ("XLSX", explore_table.as_xlsx, "xlsx"),
        ):
            st.download_button(
                label,
                partial(write, table),
                f"explore.{kind}",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                key=f"download_{kind}",
            )
        with st.popover("SQL", icon=":material/code:", type="tertiary", key="composed"):
            st.code(shown.statement, language="sql", wrap_lines=True)
            if shown.parameters:
                st.json({name: str(value) for name, value in shown.parameters.items()})
    explore_view.show_table(table, alt="The groups and their total", key="answer")
    said = explore_view.sums_up(shown)
    if said:
        st.caption(said)


# Named queries --------------------------------------------------------------------------


def show_named(data_version: int) -> None:
    known = explore_view.named_queries()
    name = st.selectbox("Query", list(known), key="query", bind="query-params", width=320)
    st.markdown(f"**{components.escape(known[name])}**")
    found = explore_view.named(data_version, name)
    if not found.rows:
        st.caption("No rows: a run that promotes sales to gold brings some.")
    else:
        table = explore_table.of_rows(found.columns, found.rows)
        components.list_table(
            explore_view.result_rows(found.rows),
            explore_view.result_columns(found.columns, found.rows),
            alt=known[name],
            key=f"named_{name}",
            height="content" if len(found.rows) <= 15 else 520,
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            more = "+" if found.is_cut else ""
            st.caption(f"{len(found.rows):,}{more} rows", width="content")
            st.download_button(
                "CSV",
                partial(explore_table.as_csv, table),
                f"{name}.csv",
                "text/csv",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                key="named_csv",
            )
    with st.expander("SQL", icon=":material/code:"):
        st.code(explore_view.query_text(name), language="sql", wrap_lines=True)
        st.caption(f"`revenue query {name}` prints the same.")
    if st.toggle(
        "How the database does it", key="plan", help="Runs it once more, with its plan and times"
    ):
        st.code(explore_view.plan(data_version, name), language=None)


main()
