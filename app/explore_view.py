"""Between Explore and its page: choices in the address, cached answers, tables, the named queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, cast

import pandas as pd
import streamlit as st

from app import context, explore, explore_charts, slicers
from app.explore import Answer, Comparison, Order, Question
from app.explore_table import Column, Table
from app.figures import Choices
from app.metrics import DIMENSION_BY_NAME, DIMENSIONS, MEASURE_BY_NAME, MEASURES
from etl.db import queries

NAMED_ROWS = 1_000
_MOST_TOP = 1_000
_TOTAL = "total"
_COMPARISONS = {"period": "Period before", "year": "A year before"}
_ORDERS = {
    "auto": "Automatic",
    "largest": "Largest first",
    "smallest": "Smallest first",
    "name": "By name",
}
_CHARTS = {"bar": "Bars", "line": "Line", "heat": "Heat map", "table": "Table only"}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the widgets say."""

    question: Question | None  # None: no measure is chosen
    chart: explore_charts.Kind
    lacks_period: bool  # a comparison is wished, but there is nothing to compare with


# Choices --------------------------------------------------------------------------------


def choose(offered: Choices) -> Chosen:
    """Show every choice, which lives in the address of the page, and return what they say."""
    with st.container(border=True, gap="small", key="question"):
        measures, rows, columns, is_pivot = _what()
        filters = slicers.show(offered)
        kinds = explore_charts.kinds(rows, columns)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            kind = _chart(kinds)
            comparison = st.segmented_control(
                "Compare with",
                list(_COMPARISONS),
                format_func=lambda name: _COMPARISONS[name],
                key="compare",
                bind="query-params",
            )
            order, top = _order(rows)
    question = None
    lacks_period = False
    if measures:
        question = Question(
            measures=measures,
            rows=rows,
            columns=columns,
            is_pivot=is_pivot,
            filters=filters,
            order=order,
            top=top,
        )
        wished = cast("Comparison | None", comparison)
        lacks_period = wished is not None and question.compared_period is None
        if wished is not None and not lacks_period:
            question = replace(question, comparison=wished)
    return Chosen(question=question, chart=kind, lacks_period=lacks_period)


def _what() -> tuple[tuple[str, ...], str | None, str | None, bool]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        measures = st.multiselect(
            "Measures",
            [measure.name for measure in MEASURES],
            default=["total_sales"],
            format_func=lambda name: MEASURE_BY_NAME[name].title,
            key="measure",
            max_selections=explore.MOST_MEASURES,
            bind="query-params",
            width=330,
            help="\n".join(
                f"- **{measure.title}**: {measure.description}" for measure in MEASURES
            ).replace("$", "\\$"),
        )
        names = [dimension.name for dimension in DIMENSIONS]
        by = st.selectbox(
            "By",
            [_TOTAL, *names],
            index=1 + names.index("month"),
            format_func=lambda name: (
                "Nothing: the total" if name == _TOTAL else DIMENSION_BY_NAME[name].title
            ),
            key="by",
            bind="query-params",
            width=190,
            help="Each sale belongs to exactly one value. Customers and loyalty points are not "
            "offered: they do not belong to sales; the dashboard shows them.",
        )
        rows = None if by == _TOTAL else by
        columns = st.selectbox(
            "And by",
            names,
            index=None,
            format_func=lambda name: DIMENSION_BY_NAME[name].title,
            key="and",
            placeholder="Nothing else",
            disabled=rows is None,
            bind="query-params",
            width=190,
        )
        if rows is None or columns == rows:
            columns = None
        is_pivot = st.toggle(
            "Across",
            key="across",
            disabled=columns is None,
            bind="query-params",
            help="The second dimension stands across: a pivot table",
        )
    return tuple(measures), rows, columns, is_pivot and columns is not None


def _chart(kinds: Sequence[explore_charts.Kind]) -> explore_charts.Kind:
    """Show the charts that fit; one that no longer does gives way to the best."""
    if st.session_state.get("chart") not in {None, *kinds}:
        st.session_state["chart"] = kinds[0]
    chosen = st.segmented_control(
        "Chart",
        kinds,
        default=kinds[0],
        format_func=lambda kind: _CHARTS[kind],
        key="chart",
        bind="query-params",
    )
    return chosen or kinds[0]


def _order(rows: str | None) -> tuple[Order, int | None]:
    order = st.selectbox(
        "Order",
        list(_ORDERS),
        format_func=lambda name: _ORDERS[name],
        key="order",
        disabled=rows is None,
        bind="query-params",
        width=160,
        help="By the first measure, or by name. Automatic: time in its order, names by size.",
    )
    top = st.number_input(
        "Only the first",
        min_value=1,
        max_value=_MOST_TOP,
        value=None,
        step=1,
        key="top",
        placeholder="All",
        disabled=rows is None,
        bind="query-params",
        width=130,
        help="By the first measure; the rest is added up as one group, so that the total stays",
    )
    if order == "auto":
        is_ordered = rows is not None and DIMENSION_BY_NAME[rows].is_ordered
        order = "name" if is_ordered else "largest"
    return cast("Order", order), top


# Answers --------------------------------------------------------------------------------


@st.cache_data(max_entries=100, show_spinner="Reading the sales …")
def answer(data_version: int, question: Question) -> Answer:
    """Return the answer to a question, for a version of the data."""
    del data_version
    with (
        context.engine()
        .connect()
        .execution_options(isolation_level="REPEATABLE READ") as connection
    ):
        return explore.answer(connection, question)


def sums_up(shown: Answer) -> str:
    """Say, as markdown, which measures' groups add up to the total and which do not."""
    if not shown.question.rows:
        return ""
    metrics = shown.question.metrics
    adding = [metric.title for metric in metrics if metric.is_additive]
    others = [metric.title for metric in metrics if not metric.is_additive]
    said = []
    if adding:
        said.append(f"The groups of {_list(adding)} add up to the total.")
    if others:
        said.append(
            f"Those of {_list(others)} do not: an average, a largest value or a count of different "
            "things is worked out anew for the total and for all others."
        )
    if shown.is_cut:
        said.append(
            f"There are more than {explore.MOST_GROUPS:,} groups, or more than fit across: the "
            "smallest stand together as *All others*."
        )
    return " ".join(said)


def _list(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def show_table(shown: Table, *, alt: str, key: str) -> None:
    """Show a table; titles that come from data are only text."""
    frame = pd.DataFrame(
        {
            str(place): pd.Series([_cell(row[place], column) for row in shown.rows], dtype=object)
            for place, column in enumerate(shown.columns)
        }
    )
    for name in frame:
        frame[name] = frame[name].infer_objects()
    st.dataframe(
        frame,
        column_config={
            str(place): _configured(column) for place, column in enumerate(shown.columns)
        },
        hide_index=True,
        width="stretch",
        height="content" if len(shown.rows) <= 15 else 520,
        alt=alt,
        key=key,
        placeholder="–",
    )


def _cell(cell: Any, column: Column) -> Any:
    return float(cell) if cell is not None and column.kind in {"money", "percent"} else cell


def _configured(column: Column) -> Any:
    if column.kind == "text":
        return st.column_config.TextColumn(column.title)
    formats = {"money": "dollar", "whole": "localized", "percent": "%+.1f %%"}
    return st.column_config.NumberColumn(column.title, format=formats[column.kind])


def result_columns(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the configuration of the columns of a result, by place: numbers are grouped."""
    configured: dict[str, Any] = {}
    for place, name in enumerate(columns):
        kinds = {type(row[place]) for row in rows} - {type(None)}
        is_number = bool(kinds) and kinds <= {int, float, Decimal}
        configured[f"c{place}"] = (
            st.column_config.NumberColumn(name, format="localized") if is_number else name
        )
    return configured


def result_rows(rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the rows of a result as a list_table takes them."""
    return [{f"c{place}": _safe(cell) for place, cell in enumerate(row)} for row in rows]


def _safe(cell: object) -> object:
    """Return a cell as a table can show it: a whole number beyond 53 bits keeps its digits as text."""
    return str(cell) if isinstance(cell, int) and abs(cell) > 1 << 53 else cell


# Named queries --------------------------------------------------------------------------

_ANALYTICS = "queries/analytics"


@dataclass(frozen=True, kw_only=True)
class Named:
    """The result of a named query."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    is_cut: bool


def named_queries() -> dict[str, str]:
    """Return what each analytical query answers, by name."""
    return {name: queries.sentence(_ANALYTICS, name) for name in queries.load(_ANALYTICS)}


def query_text(name: str) -> str:
    """Return the SQL of an analytical query."""
    return queries.load(_ANALYTICS)[name]


@st.cache_data(max_entries=30, show_spinner="Asking the database …")
def named(data_version: int, name: str) -> Named:
    """Return the first rows of an analytical query."""
    del data_version
    with context.engine().connect() as connection:
        result = queries.stream(connection, query_text(name))
        rows = [tuple(row) for row in result.fetchmany(NAMED_ROWS + 1)]
        return Named(
            columns=tuple(result.keys()),
            rows=tuple(rows[:NAMED_ROWS]),
            is_cut=len(rows) > NAMED_ROWS,
        )


@st.cache_data(max_entries=30, show_spinner="Asking the database …")
def plan(data_version: int, name: str) -> str:
    """Return how the database carries an analytical query out, with what it took."""
    del data_version
    with context.engine().connect() as connection:
        lines = queries.composed(connection, f"explain (analyze, buffers)\n{query_text(name)}")
    return "\n".join(line["QUERY PLAN"] for line in lines)
