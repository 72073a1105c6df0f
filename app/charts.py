"""Rows of the metric results -> Plotly figures; pure, in the theme's colours, light and dark.

Each function takes the rows of one result of `app.metrics`, in their order. Text from data is
escaped, because Plotly reads `<b>` and links in every text; hovers show exact values.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from html import escape
from typing import Any

import plotly.graph_objects as go

from app.metrics import Number, Row, exact_money

CONFIG = {"displayModeBar": False}
HEIGHT = 270  # pixels
BARS = 10  # across, of one chart; what is beyond is added up in a last one
COLUMNS = 7
SLICES = 6
_LABEL_LENGTH = 18
_LABELLED_MONTHS = 13
_OTHERS = "Others"
_UNITS = ((Decimal(10**10), Decimal(10**9), "B"), (Decimal(10**7), Decimal(10**6), "M"))


def unit(rows: Sequence[Row], column: str) -> tuple[Decimal, str]:
    """Return the size and the sign of the unit that a tile's amounts are labelled in: K, M or B."""
    largest = max((row[column] for row in rows), default=Decimal())
    return next(
        ((size, sign) for least, size, sign in _UNITS if largest >= least), (Decimal(1000), "K")
    )


def label(amount: Number, size: Decimal, sign: str) -> str:
    """Return dollars in a unit: `$346K`, `$8.9K`."""
    if not amount:
        return "$0"
    scaled = Decimal(amount) / size
    places = Decimal(1) if scaled >= 10 else Decimal("0.1")
    return f"${scaled.quantize(places, ROUND_HALF_UP):,}".removesuffix(".0") + sign


def sales_by_region(rows: Sequence[Row]) -> go.Figure:
    """Draw bars across, largest on top; USD."""
    return _bars(rows, "total_sales", "transactions", orientation="h")


def high_value_sales(rows: Sequence[Row]) -> go.Figure:
    """Draw columns, largest first; USD, of sales worth more than 1,000 each."""
    return _bars(rows, "high_value_sales", "high_value_transactions", orientation="v")


def _bars(rows: Sequence[Row], amount: str, count: str, *, orientation: str) -> go.Figure:
    size, sign = unit(rows, amount)
    is_across = orientation == "h"
    kept = _limited(rows, "region", amount, count, BARS if is_across else COLUMNS)
    names = [escape(row["region"]) for row in kept]
    amounts = [float(row[amount]) for row in kept]
    figure = go.Figure(
        go.Bar(
            x=amounts if is_across else names,
            y=names if is_across else amounts,
            orientation=orientation,
            text=[label(row[amount], size, sign) for row in kept],
            textposition="outside",
            cliponaxis=False,
            hovertext=[
                f"<b>{name}</b><br>{exact_money(row[amount])}<br>{row[count]:,} sales"
                for name, row in zip(names, kept, strict=True)
            ],
            hoverinfo="text",
        )
    )
    categories = {
        "type": "category",
        "tickmode": "array",
        "tickvals": names,
        "ticktext": _short([row["region"] for row in kept]),
        "showgrid": False,
        "ticks": "",
    }
    # room for the label of the longest bar
    values = {
        "visible": False,
        "range": [0, max(amounts, default=0) * (1.22 if is_across else 1.1) or 1],
    }
    figure.update_layout(
        # a lone bar stays a bar
        bargap=max(0.35, 1 - 0.17 * len(kept)),
        xaxis=values if is_across else categories,
        yaxis={**categories, "autorange": "reversed"} if is_across else values,
    )
    return _finished(figure)


def monthly_sales(rows: Sequence[Row]) -> go.Figure:
    """Draw a line with a marker a month; a month without sales between others is 0; USD."""
    size, sign = unit(rows, "total_sales")
    filled = every_month(rows)
    amounts = [float(row["total_sales"]) for row in filled]
    labels = [label(row["total_sales"], size, sign) for row in filled]
    if len(filled) > _LABELLED_MONTHS:  # only what stands out, the axis tells the rest
        shown = {amounts.index(max(amounts)), amounts.index(min(amounts)), len(filled) - 1}
        labels = [text if place in shown else "" for place, text in enumerate(labels)]
    figure = go.Figure(
        go.Scatter(
            x=[row["month"] for row in filled],
            y=amounts,
            mode="lines+markers+text",
            line={"width": 2.5},
            marker={"size": 8},
            text=labels,
            textposition=_beside_the_line(amounts),
            textfont={"size": 10},
            cliponaxis=False,
            hovertext=[
                f"<b>{row['month']:%b %Y}</b><br>{exact_money(row['total_sales'])}<br>"
                f"{row['transactions']:,} sales"
                for row in filled
            ],
            hoverinfo="text",
        )
    )
    ticks = _ticks(max(amounts, default=0.0))
    figure.update_layout(
        xaxis={
            "type": "date",
            "tickformat": "%b\n%Y",
            "dtick": "M1" if len(filled) <= _LABELLED_MONTHS else None,
            "autotickangles": [0, 90],
            "showgrid": False,
        },
        yaxis={
            "range": [0, ticks[-1] * 1.12],
            "tickmode": "array",
            "tickvals": ticks,
            "ticktext": [label(Decimal(str(tick)), size, sign) for tick in ticks],
        },
    )
    return _finished(figure)


def loyalty_points(rows: Sequence[Row]) -> go.Figure:
    """Draw a ring: the share of each region outside, the total in its middle; points."""
    kept = _limited(rows, "region", "loyalty_points", "customers", SLICES)
    total = sum(row["loyalty_points"] for row in kept)
    figure = go.Figure(
        go.Pie(
            labels=_short([row["region"] for row in kept]),
            values=[row["loyalty_points"] for row in kept],
            hole=0.62,
            sort=False,
            direction="clockwise",
            textinfo="percent",
            textposition="outside",
            texttemplate="%{percent:.1%}",
            hovertext=[
                f"<b>{escape(row['region'])}</b><br>{row['loyalty_points']:,} points<br>"
                f"{row['customers']:,} customers"
                for row in kept
            ],
            hoverinfo="text",
        )
    )
    figure.update_layout(
        annotations=[
            {
                "text": f"<b>{total:,}</b><br>points",
                "x": 0.5,
                "y": 0.5,
                "xanchor": "center",
                "yanchor": "middle",
                "showarrow": False,
            }
        ],
        legend={
            "orientation": "h",
            "x": 0.5,
            "xanchor": "center",
            "y": -0.12,
            "yanchor": "top",
            "itemclick": False,
            "itemdoubleclick": False,
        },
    )
    return _finished(figure, has_legend=True)


def every_month(rows: Sequence[Row]) -> list[Row]:
    """Return one row a month from the first to the last, those without sales with 0."""
    known = {row["month"]: row for row in rows}
    filled: list[Row] = []
    month = min(known, default=None)
    while month is not None and month <= max(known):
        empty = {"month": month, "total_sales": Decimal(), "transactions": 0}
        filled.append(known.get(month, empty))
        month = (month + dt.timedelta(days=31)).replace(day=1)
    return filled


def _limited(rows: Sequence[Row], name: str, amount: str, count: str, most: int) -> list[Row]:
    """Return the first rows, and the rest added up in one row more."""
    if len(rows) <= most:
        return list(rows)
    rest = rows[most - 1 :]
    others = {
        name: f"{_OTHERS} ({len(rest)})",
        amount: sum(row[amount] for row in rest),
        count: sum(row[count] for row in rest),
    }
    return [*rows[: most - 1], others]


def _short(names: Sequence[str]) -> list[str]:
    """Return escaped labels that fit, still different from each other."""
    cut = [
        name if len(name) <= _LABEL_LENGTH else name[: _LABEL_LENGTH - 1].rstrip() + "…"
        for name in names
    ]
    return [
        escape(short if cut.count(short) == 1 else f"{place}. {short}")
        for place, short in enumerate(cut, start=1)
    ]


def _beside_the_line(amounts: Sequence[float]) -> list[str]:
    """Return where the label of each point stands so that the line does not cross it."""
    found = []
    low = max(amounts, default=0) / 10  # below such a point stands the axis
    for place, amount in enumerate(amounts):
        before = amounts[place - 1] if place else amount
        after = amounts[place + 1] if place + 1 < len(amounts) else amount
        if before < amount < after:
            found.append("top left")
        elif before > amount > after:
            found.append("top right")
        elif amount < max(before, after) and amount > low:
            found.append("bottom center")
        else:
            found.append("top center")
    return found


def _ticks(largest: float) -> list[float]:
    """Return three to six round values from 0 that reach the largest."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [step * place for place in range(math.ceil(largest / step) + 1)]


def _finished(figure: go.Figure, *, has_legend: bool = False) -> go.Figure:
    layout: dict[str, Any] = {
        "height": HEIGHT,
        "margin": {"l": 4, "r": 12, "t": 14, "b": 4},
        "showlegend": has_legend,
        "dragmode": False,
        "hoverlabel": {"align": "left"},
        "uniformtext": {"minsize": 9, "mode": "show"},
    }
    figure.update_layout(**layout)
    figure.update_xaxes(fixedrange=True, zeroline=False)
    figure.update_yaxes(fixedrange=True, zeroline=False)
    return figure
