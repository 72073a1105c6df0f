"""Answers of Explore -> Plotly figures; pure, in the theme's colours, as app/charts.py draws them.

Text from data is escaped, because Plotly reads `<b>` and links in every text; hovers show exact
values. Without a comparison and a second dimension there is one series, which is labelled directly.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from html import escape
from typing import Any, Literal

import plotly.graph_objects as go

from app.charts import _short, layout
from app.explore import Answer, Key, Mark
from app.metrics import DIMENSION_BY_NAME, Dimension, Metric, Number, format_exact, format_value

Kind = Literal["bar", "line", "heat", "table"]
CONFIG = {"displayModeBar": False}
BARS = 40  # groups drawn; the table has all
SERIES = 9  # of a second dimension
_POINTS = 1_000
_CELLS = 60  # of a heat map, down and across
_BEFORE = "#7C8797"


def kinds(answer_rows: str | None, answer_columns: str | None) -> tuple[Kind, ...]:
    """Return the charts that fit the dimensions, the best one first.

    A line needs an order of its own on its axis, a heat map two dimensions.
    """
    if answer_rows is None:
        return ("table",)
    is_ordered = DIMENSION_BY_NAME[answer_rows].is_ordered
    fitting: list[Kind] = ["line", "bar"] if is_ordered else ["bar"]
    if DIMENSION_BY_NAME[answer_rows].labels:
        fitting.sort()
    if answer_columns is not None:
        fitting.append("heat")
    return (*fitting, "table")


def chart(kind: Kind, answer: Answer, metric: Metric) -> tuple[go.Figure, str]:
    """Draw a measure; return the figure and what it leaves out, in words."""
    if kind == "heat":
        return _heat_map(answer, metric)
    dimension = answer.question.dimensions[0]
    if kind == "line":
        rows, left_out = _line(dimension, answer.rows)
    else:
        rows, left_out = _first(answer.rows, BARS, dimension.title)
    names = [answer.label("rows", row) for row in rows]
    series, note = _series(answer, metric, rows)
    is_across = kind == "bar" and not dimension.is_ordered
    figure = go.Figure()
    for place, (name, values) in enumerate(series):
        hovers = [
            f"<b>{escape(label)}</b><br>"
            + (f"{escape(name)}: " if name else "")
            + format_exact(metric, value)
            for label, value in zip(names, values, strict=True)
        ]
        numbers = [None if value is None else float(value) for value in values]
        labels = (
            [format_value(metric, value) for value in values]
            if len(series) == 1 and len(rows) <= 24
            else None
        )
        is_before = place > 0 and answer.question.columns is None
        if kind == "line":
            figure.add_scatter(
                x=_places(rows),
                y=numbers,
                name=escape(name),
                mode="lines+markers" if len(rows) <= 120 else "lines",
                line={"width": 2.5, **({"color": _BEFORE, "dash": "dot"} if is_before else {})},
                hovertext=hovers,
                hoverinfo="text",
                connectgaps=False,
            )
        else:
            figure.add_bar(
                x=numbers if is_across else _places(rows),
                y=_places(rows) if is_across else numbers,
                name=escape(name),
                orientation="h" if is_across else "v",
                text=labels,
                textposition="outside" if labels else "none",
                cliponaxis=False,
                hovertext=hovers,
                hoverinfo="text",
                **({"marker": {"color": _BEFORE}} if is_before else {}),
            )
    is_stacked = answer.question.columns is not None and kind == "bar" and metric.is_additive
    height = 90 + 26 * len(rows) * (1 if metric.is_additive else max(1, len(series) // 2))
    figure.update_layout(
        layout(
            has_legend=len(series) > 1,
            height=min(max(260, height), 900) if is_across else 340,
            **({"barmode": "stack"} if is_stacked else {}),
            **_axes(metric, names, is_across=is_across, count=len(series)),
        )
    )
    return figure, " ".join(filter(None, (left_out, note)))


def _places(rows: Sequence[Key]) -> list[int]:
    """Return where each group stands: names of data are labels, never places of an axis."""
    return list(range(len(rows)))


def _first(keys: Sequence[Key], limit: int, word: str) -> tuple[list[Key], str]:
    if len(keys) <= limit:
        return list(keys), ""
    return list(keys[:limit]), (
        f"Drawn are the first {limit} of {len(keys):,} ({word}); the table has all."
    )


def _line(dimension: Dimension, keys: Sequence[Key]) -> tuple[list[Key], str]:
    """Return the points of a line in their own order, those without sales between them too."""
    plain: list[Any] = sorted(key for key in keys if not isinstance(key, Mark))
    notes = []
    if len(plain) < len(keys):
        notes.append("All others are in the table only.")
    if len(plain) > _POINTS:
        plain = plain[-_POINTS:]
        notes.append(f"Drawn are the last {_POINTS:,}; the table has all.")
    days = dimension.is_chronological and plain
    filled = _every(dimension.name, plain[0], plain[-1]) if days else plain
    return (filled if len(filled) <= 4 * _POINTS else plain), " ".join(notes)


def _every(step: str, first: dt.date, last: dt.date) -> list[Any]:
    """Return the first day of every period between two of them, both included."""
    months = {"month": 1, "quarter": 3, "year": 12}.get(step)
    found = []
    day = first
    while day <= last:
        found.append(day)
        if months is None:
            day += dt.timedelta(days=7 if step == "week" else 1)
        else:
            year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
            day = dt.date(year, month + 1, 1)
    return found


def _series(
    answer: Answer, metric: Metric, rows: Sequence[Key]
) -> tuple[list[tuple[str, list[Number | None]]], str]:
    """Return the values of each series by name, and what is said about those left out."""
    if answer.question.columns is None:
        now = [answer.value(row, Mark.TOTAL, metric.name) for row in rows]
        if not answer.question.comparison:
            return [("", now)], ""
        word = "A year before" if answer.question.comparison == "year" else "Period before"
        before = [answer.before(row, Mark.TOTAL, metric.name) for row in rows]
        return [("Now", now), (word, before)], ""
    own = [key for key in answer.columns if key is not Mark.OTHERS]
    shown: list[Key]
    if len(answer.columns) <= SERIES + 1:
        shown, rest = list(answer.columns), []
    else:
        largest = sorted(own, key=lambda key: -(answer.value(Mark.TOTAL, key, metric.name) or 0))[
            :SERIES
        ]
        shown = [key for key in own if key in set(largest)]
        rest = [key for key in answer.columns if key not in set(shown)]
    series = [
        (
            answer.label("columns", key),
            [answer.value(row, key, metric.name) for row in rows],
        )
        for key in shown
    ]
    if not rest:
        return series, ""
    if not metric.is_additive:
        return series, f"Drawn are {len(shown)} of {len(answer.columns):,} series."
    others: list[Number | None] = [
        sum((answer.value(row, key, metric.name) or 0 for key in rest), 0) for row in rows
    ]
    return [*series, ("All others", others)], ""


def _axes(metric: Metric, names: Sequence[str], *, is_across: bool, count: int) -> dict[str, Any]:
    """Return the layout's part that depends on what is drawn."""
    step = max(1, len(names) // 24)
    ticks = list(range(0, len(names), 1 if is_across else step))
    categories: dict[str, Any] = {
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [_short(names)[place] for place in ticks] if names else [],
        "range": [-0.6, max(len(names), 1) - 0.4],
        "showgrid": False,
        "ticks": "",
    }
    values: dict[str, Any] = {
        "tickformat": "~s",
        "tickprefix": "$" if metric.format == "money" else "",
        "nticks": 6,
        "rangemode": "tozero",
        "automargin": True,
    }
    if is_across:
        categories["range"] = categories["range"][::-1]
    return {
        "bargap": max(0.3, 1 - 0.17 * len(names)) if count == 1 else 0.25,
        "xaxis": values if is_across else categories,
        "yaxis": categories if is_across else values,
        "legend": {
            "orientation": "h",
            "traceorder": "normal",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
        },
    }


def _heat_map(answer: Answer, metric: Metric) -> tuple[go.Figure, str]:
    first, second = answer.question.dimensions
    rows, left_out = _first(answer.rows, _CELLS, first.title)
    columns, also = _first(answer.columns, _CELLS, second.title)
    down = [answer.label("rows", row) for row in rows]
    across = [answer.label("columns", column) for column in columns]
    values = [[answer.value(row, column, metric.name) for column in columns] for row in rows]
    figure = go.Figure(
        go.Heatmap(
            x=_places(columns),
            y=_places(rows),
            z=[[None if value is None else float(value) for value in line] for line in values],
            hovertext=[
                [
                    f"<b>{escape(name)} · {escape(other)}</b><br>{format_exact(metric, value)}"
                    for other, value in zip(across, line, strict=True)
                ]
                for name, line in zip(down, values, strict=True)
            ],
            hoverinfo="text",
            text=[[format_value(metric, value) for value in line] for line in values]
            if len(columns) <= 12
            else None,
            texttemplate="%{text}" if len(columns) <= 12 else None,
            xgap=2,
            ygap=2,
            colorbar={
                "tickformat": "~s",
                "tickprefix": "$" if metric.format == "money" else "",
                "thickness": 10,
                "outlinewidth": 0,
            },
        )
    )
    step = max(1, len(columns) // 24)
    ticks = list(range(0, len(columns), step))
    figure.update_layout(
        layout(
            height=min(max(240, 80 + 30 * len(rows)), 900),
            xaxis={
                "tickmode": "array",
                "tickvals": ticks,
                "ticktext": [_short(across)[place] for place in ticks],
                "showgrid": False,
                "ticks": "",
            },
            yaxis={
                "tickmode": "array",
                "tickvals": _places(rows),
                "ticktext": _short(down),
                "autorange": "reversed",
                "showgrid": False,
                "ticks": "",
            },
        )
    )
    return figure, " ".join(filter(None, (left_out, also)))


def description(answer: Answer, metric: Metric) -> str:
    """Return what a chart shows, for those who cannot see it."""
    by = " and ".join(dimension.title.lower() for dimension in answer.question.dimensions)
    total = format_exact(metric, answer.value(Mark.TOTAL, Mark.TOTAL, metric.name))
    return f"{metric.title} by {by}; total {total}; the table below it holds the same figures"
