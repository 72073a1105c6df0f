"""Rows -> Plotly figures; pure, in colours that hold in the light and the dark theme.

The dashboard's take the rows of one result of `app.metrics`, in their order, those of runs what
`etl.runs` returns. Text from data is
escaped, because Plotly reads `<b>` and links in every text; hovers show exact values.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from html import escape
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go

from app.metrics import Number, Row, exact_money
from app.periods import Level, Period

_PNG_SCALE = 2  # image pixels for each of the screen's: sharp in a document
_FILE_CHARACTERS = 80
CONFIG = {"displayModeBar": False}
HEIGHT = 270  # pixels
BARS = 10  # across, of one chart; what is beyond is added up in a last one
COLUMNS = 7
SLICES = 6
_LABEL_LENGTH = 18
_LABELLED_MONTHS = 13
_OTHERS = "Others"
_MARGIN = {"l": 4, "r": 12, "t": 14, "b": 4}
_DIMMED = 0.3  # what is not picked
_LABELLED_DEGREES = 6  # a smaller slice's label would stand in its neighbour's
_BEYOND_THE_RING, _RING_REACH = 1.1, 1.2  # of its thickness: where labels stand, where it ends
_UPRIGHT_DEGREES = 20
_SPARK_WIDTH, _SPARK_HEIGHT = 160, 36  # pixels; the width stretches
_SPARK_COLOUR = "#5674E0"  # on the light and the dark card
_UNITS = ((Decimal(10**10), Decimal(10**9), "B"), (Decimal(10**7), Decimal(10**6), "M"))


def chart_config(name: str, title: str) -> dict[str, Any]:
    """Return the configuration of a chart that can be taken home as a PNG, by one button.

    The file is named after the tile's `title`, or `name` when that has no plain letters.
    """
    words = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    return {
        "displayModeBar": True,
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {
            "filename": words[:_FILE_CHARACTERS].rstrip("_") or name,
            "format": "png",
            "scale": _PNG_SCALE,
        },
    }


def unit(rows: Sequence[Row], column: str) -> tuple[Decimal, str]:
    """Return the size and the sign of the unit that a tile's amounts are labelled in: K, M or B."""
    largest = max((row[column] for row in rows), default=Decimal())
    if 0 < largest < 1000:
        return Decimal(1), ""
    return next(
        ((size, sign) for least, size, sign in _UNITS if largest >= least), (Decimal(1000), "K")
    )


def label(amount: Number, size: Decimal, sign: str) -> str:
    """Return dollars in a unit: `$346K`, `$8.9K`."""
    if not amount:
        return "$0"
    scaled = Decimal(amount) / size
    if not sign:
        return f"${scaled:,.0f}" if scaled >= 100 else f"${scaled:,.2f}"
    places = Decimal(1) if scaled >= 10 else Decimal("0.1")
    return f"${scaled.quantize(places, ROUND_HALF_UP):,}".removesuffix(".0") + sign


def sales_by_region(rows: Sequence[Row], picked: Sequence[str] = ()) -> go.Figure:
    """Draw bars across, largest on top; USD."""
    return _bars(rows, "total_sales", "transactions", picked, orientation="h")


def high_value_sales(rows: Sequence[Row], picked: Sequence[str] = ()) -> go.Figure:
    """Draw columns, largest first; USD, of sales worth more than 1,000 each."""
    return _bars(rows, "high_value_sales", "high_value_transactions", picked, orientation="v")


def _bars(
    rows: Sequence[Row], amount: str, count: str, picked: Sequence[str], *, orientation: str
) -> go.Figure:
    size, sign = unit(rows, amount)
    is_across = orientation == "h"
    kept = _limited(rows, "region", amount, count, BARS if is_across else COLUMNS)
    names = [escape(row["region"]) for row in kept]
    amounts = [float(row[amount]) for row in kept]
    drawn = go.Bar(
        x=amounts if is_across else names,
        y=names if is_across else amounts,
        orientation=orientation,
        text=[label(row[amount], size, sign) for row in kept],
        textposition="outside",
        cliponaxis=False,
        marker={"opacity": _opacities([row["region"] for row in kept], picked)},
        # Plotly breaks on a click on labelled bars that do not say how they look unpicked
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=_values(rows, kept, "region"),
        hovertext=[
            f"<b>{name}</b><br>{exact_money(row[amount])}<br>{row[count]:,} sales"
            for name, row in zip(names, kept, strict=True)
        ],
        hoverinfo="text",
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
    return go.Figure(
        drawn,
        layout(
            # a lone bar stays a bar
            bargap=max(0.35, 1 - 0.17 * len(kept)),
            xaxis=values if is_across else categories,
            yaxis={**categories, "autorange": "reversed"} if is_across else values,
        ),
    )


def sales_over_time(
    rows: Sequence[Row], level: Level = "month", picked: Period | None = None
) -> go.Figure:
    """Draw a line with a marker a year, month or day; one without sales between others is 0; USD."""
    size, sign = unit(rows, "total_sales")
    filled = every_period(rows, level)
    amounts = [float(row["total_sales"]) for row in filled]
    labels = [label(row["total_sales"], size, sign) for row in filled]
    if len(filled) > _LABELLED_MONTHS:  # only what stands out, the axis tells the rest
        shown = {amounts.index(max(amounts)), amounts.index(min(amounts)), len(filled) - 1}
        labels = [text if place in shown else "" for place, text in enumerate(labels)]
    words = {"year": "%Y", "month": "%b %Y", "day": "%a %d %b %Y"}[level]
    starts = [row["start"] for row in filled]
    drawn = go.Scatter(
        x=starts,
        y=amounts,
        mode="lines+markers+text",
        line={"width": 2.5},
        marker={
            "size": 8 if len(filled) < 60 else 6,
            "opacity": [
                1.0 if picked is None or picked.start <= start <= picked.end else _DIMMED
                for start in starts
            ],
        },
        customdata=[start.isoformat() for start in starts],
        text=labels,
        textposition=_beside_the_line(amounts),
        textfont={"size": 10},
        cliponaxis=False,
        hovertext=[
            f"<b>{row['start']:{words}}</b><br>{exact_money(row['total_sales'])}<br>"
            f"{row['transactions']:,} sales"
            for row in filled
        ],
        hoverinfo="text",
    )
    ticks = _ticks(max(amounts, default=0.0))
    few = len(filled) <= _LABELLED_MONTHS
    return go.Figure(
        drawn,
        layout(
            xaxis={
                "type": "date",
                "tickformat": {"year": "%Y", "month": "%b\n%Y", "day": "%d\n%b %Y"}[level],
                "dtick": {"year": "M12", "month": "M1" if few else None, "day": None}[level],
                "autotickangles": [0, 90],
                "showgrid": False,
            },
            yaxis={
                "range": [0, ticks[-1] * 1.12],
                "tickmode": "array",
                "tickvals": ticks,
                "ticktext": [label(Decimal(str(tick)), size, sign) for tick in ticks],
            },
        ),
    )


def loyalty_points(rows: Sequence[Row], picked: Sequence[str] = ()) -> go.Figure:
    """Draw a ring: the share of each region outside, the total in its middle; points.

    Its slices are bars around a pole, because Plotly tells of no click on a pie.
    """
    kept = _limited(rows, "region", "loyalty_points", "customers", SLICES)
    total = sum(row["loyalty_points"] for row in kept) or 1
    widths = [360 * row["loyalty_points"] / total for row in kept]
    middles = [end - width / 2 for end, width in zip(accumulate(widths), widths, strict=True)]
    opacities = _opacities([row["region"] for row in kept], picked)
    slices = [
        go.Barpolar(
            r=[1],
            theta=[middle],
            width=[width],
            name=name,
            marker={"opacity": opacity, "line": {"width": 0}},
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            customdata=[value],
            hovertext=(
                f"<b>{escape(row['region'])}</b><br>{row['loyalty_points']:,} points<br>"
                f"{row['customers']:,} customers"
            ),
            hoverinfo="text",
        )
        for row, name, value, middle, width, opacity in zip(
            kept,
            _short([row["region"] for row in kept]),
            _values(rows, kept, "region"),
            middles,
            widths,
            opacities,
            strict=True,
        )
    ]
    labelled = [
        (middle, f"{row['loyalty_points'] / total:.1%}")
        for row, middle, width in zip(kept, middles, widths, strict=True)
        if width >= _LABELLED_DEGREES
    ]
    shares = go.Scatterpolar(
        r=[_BEYOND_THE_RING] * len(labelled),
        theta=[middle for middle, _ in labelled],
        text=[words for _, words in labelled],
        textposition=[_beside_the_ring(middle) for middle, _ in labelled],
        mode="text",
        cliponaxis=False,
        showlegend=False,
        hoverinfo="skip",
    )
    return go.Figure(
        [*slices, shares],
        layout(
            has_legend=True,
            dragmode="zoom",  # in every other mode Plotly tells of no click around a pole
            margin={**_MARGIN, "t": 24},
            polar={
                "hole": 0.45,
                "bgcolor": "rgba(0,0,0,0)",
                "radialaxis": {"visible": False, "range": [0, _RING_REACH]},
                "angularaxis": {"visible": False, "direction": "clockwise", "rotation": 90},
            },
            annotations=[
                {
                    "text": f"<b>{sum(row['loyalty_points'] for row in kept):,}</b><br>points",
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
        ),
    )


def _beside_the_ring(degrees: float) -> str:
    """Return where a label stands that begins at an angle, clockwise from the top."""
    if min(degrees, 360 - degrees) < _UPRIGHT_DEGREES:
        return "top center"
    if abs(degrees - 180) < _UPRIGHT_DEGREES:
        return "bottom center"
    return "middle right" if degrees < 180 else "middle left"


def sparkline(amounts: Sequence[float], words: str) -> str:
    """Return the line of two or more amounts as an HTML image; `words` are what it tells, of ours.

    Streamlit's own sparkline would load one chart library more.
    """
    most, step = max(amounts) or 1, _SPARK_WIDTH / (len(amounts) - 1)
    heights = [(_SPARK_HEIGHT - 4) * max(amount, 0) / most for amount in amounts]
    line = " ".join(
        f"{place * step:.1f},{_SPARK_HEIGHT - 2 - height:.1f}"
        for place, height in enumerate(heights)
    )
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SPARK_WIDTH} {_SPARK_HEIGHT}" '
        f'width="{_SPARK_WIDTH}" height="{_SPARK_HEIGHT}" preserveAspectRatio="none">'
        f'<polygon fill="{_SPARK_COLOUR}" fill-opacity="0.13" '
        f'points="0,{_SPARK_HEIGHT} {line} {_SPARK_WIDTH},{_SPARK_HEIGHT}"/>'
        f'<polyline fill="none" stroke="{_SPARK_COLOUR}" stroke-width="1.75" '
        f'vector-effect="non-scaling-stroke" points="{line}"/></svg>'
    )
    return (
        f'<img alt="{escape(words)}" style="display: block; width: 100%; height: {_SPARK_HEIGHT}px" '
        f'src="data:image/svg+xml;base64,{b64encode(drawn.encode()).decode()}">'
    )


# Runs -----------------------------------------------------------------------------------

_TEXT_BLUE, _GOOD, _BAD, _QUIET, _NEW = "#3B6FD4", "#2F8F5B", "#C8372D", "#7C8797", "#0E8E99"
_FLOW = (
    # from, to, column of the run, colour of the target
    (0, 1, "valid_records", _GOOD),
    (0, 2, "invalid_records", _BAD),
    (0, 3, "superseded_records", _QUIET),
    (1, 4, "inserted_rows", _NEW),
    (1, 5, "updated_rows", _TEXT_BLUE),
    (1, 6, "unchanged_rows", _QUIET),
)
_FLOW_NAMES = ("Read", "Valid", "Invalid", "Superseded", "Inserted", "Updated", "Unchanged")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One step on a timeline; seconds count from the run's start."""

    name: str
    start: float
    seconds: float
    words: str  # for the hover
    colour: str


def run_timeline(bars: Sequence[Bar]) -> go.Figure:
    """Draw one bar a step over the seconds of its run, the first on top."""
    drawn = go.Bar(
        y=[bar.name for bar in bars],
        x=[bar.seconds for bar in bars],
        base=[bar.start for bar in bars],
        orientation="h",
        marker={"color": [bar.colour for bar in bars], "cornerradius": 4},
        text=[_short_seconds(bar.seconds) for bar in bars],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"<b>{escape(bar.name)}</b><br>{escape(bar.words)}" for bar in bars],
        hoverinfo="text",
    )
    end = max((bar.start + bar.seconds for bar in bars), default=0.0)
    return go.Figure(
        drawn,
        layout(
            bargap=0.45,
            xaxis={"range": [0, end * 1.12 or 1], "ticksuffix": " s", "showgrid": True},
            yaxis={"autorange": "reversed", "showgrid": False, "ticks": ""},
            height=52 + 38 * max(len(bars), 1),
        ),
    )


def _short_seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:,.0f} s"


def record_flow(run: Mapping[str, Any]) -> go.Figure:
    """Draw how the records of a run flow: read, judged, written to silver; empty flows are left out."""
    links = [link for link in _FLOW if run[link[2]]]
    counts = [run["read_records"], *(run[column] for _, _, column, _ in _FLOW)]
    shown = [0, *(target for _, target, _, _ in links)]
    place = {node: number for number, node in enumerate(shown)}
    colours = [_TEXT_BLUE, *(colour for _, _, _, colour in links)]
    drawn = go.Sankey(
        arrangement="snap",
        textfont={"size": 12, "shadow": "none"},
        node={
            "label": [f"{_FLOW_NAMES[node]} {counts[node]:,}" for node in shown],
            "color": colours,
            "pad": 22,
            "thickness": 14,
            "line": {"width": 0},
            "hovertemplate": "%{label}<extra></extra>",
        },
        link={
            "source": [place[source] for source, _, _, _ in links],
            "target": [place[target] for _, target, _, _ in links],
            "value": [run[column] for _, _, column, _ in links],
            "color": [_see_through(colour) for _, _, _, colour in links],
            "hovertemplate": "%{source.label} → %{target.label}<extra></extra>",
        },
    )
    return go.Figure(drawn, layout(height=230, margin={"l": 4, "r": 4, "t": 10, "b": 10}))


def _see_through(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.35)"


def run_durations(runs: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> go.Figure:
    """Draw how long each run took, in the colour of its status; oldest first, seconds."""
    drawn = go.Bar(
        x=[f"#{run['run_id']}" for run in runs],
        y=[run["seconds"] for run in runs],
        marker={"color": [colours[run["status"]] for run in runs], "cornerradius": 3},
        hovertext=[
            f"<b>Run {run['run_id']}</b> {escape(run['status'])}<br>"
            f"{_short_seconds(run['seconds'])}"
            for run in runs
        ],
        hoverinfo="text",
    )
    return _trend([drawn], suffix=" s")


def run_volumes(runs: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw the records that each run read, the invalid ones on top; oldest first."""
    parts = (
        (
            "Valid or superseded",
            _GOOD,
            [run["read_records"] - run["invalid_records"] for run in runs],
        ),
        ("Invalid", _BAD, [run["invalid_records"] for run in runs]),
    )
    return _trend(
        [
            go.Bar(
                x=[f"#{run['run_id']}" for run in runs],
                y=counts,
                name=name,
                marker={"color": colour, "cornerradius": 3},
                hovertext=[
                    f"<b>Run {run['run_id']}</b><br>{run['read_records']:,} read<br>"
                    f"{run['invalid_records']:,} invalid"
                    for run in runs
                ],
                hoverinfo="text",
            )
            for name, colour, counts in parts
        ]
    )


def _trend(traces: Sequence[Any], *, suffix: str = "") -> go.Figure:
    return go.Figure(
        traces,
        layout(
            height=150,
            bargap=0.3,
            barmode="stack",
            xaxis={"type": "category", "showgrid": False, "nticks": 8, "tickangle": 0},
            yaxis={"rangemode": "tozero", "nticks": 4, "ticksuffix": suffix},
        ),
    )


# What-if --------------------------------------------------------------------------------


def money_changes(
    groups: Sequence[tuple[str, Decimal]], unit: str, *, orientation: str
) -> go.Figure:
    """Draw by how much the money of each group changes, in the order given.

    `groups` are names and changes in the unit; `orientation` is h (across) or v.
    """
    names = [escape(name) for name, _ in groups]
    amounts = [float(change) for _, change in groups]
    is_across = orientation == "h"
    drawn = go.Bar(
        x=amounts if is_across else names,
        y=names if is_across else amounts,
        orientation=orientation,
        marker={
            "color": [_GOOD if amount >= 0 else _BAD for amount in amounts],
            "cornerradius": 3,
        },
        hovertext=[
            f"<b>{name}</b><br>{change:+,.2f} {escape(unit)}"
            for name, (_, change) in zip(names, groups, strict=True)
        ],
        hoverinfo="text",
    )
    categories = {
        "type": "category",
        "tickmode": "array",
        "tickvals": names,
        "ticktext": _short([name for name, _ in groups]),
        "showgrid": False,
        "ticks": "",
    }
    values = {"tickformat": "~s", "nticks": 5, "zeroline": True}
    return go.Figure(
        drawn,
        layout(
            bargap=max(0.35, 1 - 0.17 * len(groups)),
            xaxis=values if is_across else categories,
            yaxis={**categories, "autorange": "reversed"} if is_across else values,
        ),
    )


def every_period(rows: Sequence[Row], level: Level = "month") -> list[Row]:
    """Return one row a period from the first to the last, those without sales with 0."""
    known = {row["start"]: row for row in rows}
    filled: list[Row] = []
    start = min(known, default=None)
    while start is not None and start <= max(known):
        empty = {"start": start, "total_sales": Decimal(), "transactions": 0}
        filled.append(known.get(start, empty))
        start = Period.of(start, level).end + dt.timedelta(days=1)
    return filled


def _opacities(names: Sequence[str], picked: Sequence[str]) -> list[float]:
    return [1.0 if not picked or name in picked else _DIMMED for name in names]


def _values(rows: Sequence[Row], kept: Sequence[Row], column: str) -> list[str | None]:
    """Return what each shown row stands for; the last of many stands for several."""
    whole = len(rows) == len(kept)
    last = len(kept) - 1
    return [row[column] if whole or place < last else None for place, row in enumerate(kept)]


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


def layout(*, has_legend: bool = False, **own: Any) -> dict[str, Any]:
    """Return what all figures share, with what is a figure's own; its axes do not move."""
    axes: dict[str, Any] = {
        name: {**own[name], "fixedrange": True, "zeroline": False}
        for name in ("xaxis", "yaxis")
        if name in own
    }
    return {
        "height": HEIGHT,
        "margin": _MARGIN,
        "showlegend": has_legend,
        "dragmode": False,
        "clickmode": "event+select",
        "hoverlabel": {"align": "left"},
        "uniformtext": {"minsize": 9, "mode": "show"},
        **own,
        **axes,
    }
