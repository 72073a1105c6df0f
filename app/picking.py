"""What is picked in the dashboard's tiles: it lives in the address, and shows as chips.

A click on a bar, a point, a slice or a row picks its value; a second click, or its chip, lets it go.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import components, figures
from app.cube import Filters
from app.periods import Level, Period
from app.report import Picks

_MONTH = re.compile(r"\d{4}-\d{2}", re.ASCII)
_YEAR = re.compile(r"\d{4}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """What can be picked; `key` is its name in the address, `name` that of app.report.Picks."""

    key: str
    name: str
    word: str
    icon: str


REGION = Dimension(key="pick_region", name="regions", word="Region", icon="location_on")
HOME = Dimension(key="pick_home", name="home_regions", word="Home region", icon="home_pin")
PRODUCT = Dimension(key="pick_product", name="products", word="Product", icon="inventory_2")
CATEGORY = Dimension(key="pick_category", name="categories", word="Category", icon="category")
PERIOD = Dimension(key="pick_period", name="period", word="Period", icon="date_range")
DIMENSIONS = (REGION, HOME, PRODUCT, CATEGORY, PERIOD)


def picks(offered: figures.Choices, filters: Filters, level: Level) -> Picks:
    """Return what the address says; what the data or the slicers do not have is left out.

    So is a period within one of those that the level shows.
    """

    def known(dimension: Dimension, choices: Sequence[str], sliced: Sequence[str]) -> Any:
        given = st.query_params.get_all(dimension.key)
        return tuple(
            one for one in dict.fromkeys(given) if one in choices and (not sliced or one in sliced)
        )

    return Picks(
        regions=known(REGION, offered.regions, filters.regions),
        home_regions=known(HOME, offered.home_regions, filters.home_regions),
        products=known(PRODUCT, offered.products, filters.products),
        categories=known(CATEGORY, offered.categories, filters.categories),
        period=_period(st.query_params.get(PERIOD.key, ""), offered, filters, level),
    )


def _period(text: str, offered: figures.Choices, filters: Filters, level: Level) -> Period | None:
    try:
        if _YEAR.fullmatch(text):
            found = Period.of(dt.date(int(text), 1, 1), "year")
        elif _MONTH.fullmatch(text):
            found = Period.of(dt.date.fromisoformat(f"{text}-01"), "month")
        elif _DAY.fullmatch(text):
            found = Period.of(dt.date.fromisoformat(text), "day")
        else:
            return None
    except ValueError:
        return None
    if Period.of(found.start, level).days > found.days:
        return None
    starts = [day for day in (filters.start, offered.first_day) if day is not None]
    ends = [day for day in (filters.end, offered.last_day) if day is not None]
    is_inside = all(found.end >= day for day in starts) and all(found.start <= day for day in ends)
    return found if is_inside and offered.first_day else None


def is_anything_picked() -> bool:
    """Tell whether the address picks anything, whether or not the data still has it."""
    return any(dimension.key in st.query_params for dimension in DIMENSIONS)


def address(start: dt.date, level: Level) -> str:
    """Return how the address writes a year, month or day: `2024`, `2024-03`, `2024-03-05`."""
    return start.isoformat()[: {"year": 4, "month": 7, "day": 10}[level]]


def toggle(dimension: Dimension, value: str) -> None:
    """Pick a value or let it go; a callback. Of periods one is picked at a time."""
    given = st.query_params.get_all(dimension.key)
    left = [one for one in given if one != value]
    if value not in given:
        left = [value] if dimension is PERIOD else [*given, value]
    _keep(dimension, left)


def clear(*dimensions: Dimension) -> None:
    """Let go what is picked; a callback."""
    for dimension in dimensions or DIMENSIONS:
        _keep(dimension, [])


def _keep(dimension: Dimension, values: list[str]) -> None:
    if values:
        st.query_params[dimension.key] = values
    elif dimension.key in st.query_params:
        del st.query_params[dimension.key]


def of_chart(key: str, dimension: Dimension) -> Callable[[], None]:
    """Return what picks the clicked point of a Plotly chart; its custom data is the value."""

    def pick() -> None:
        for point in st.session_state[key]["selection"]["points"]:
            value = _value(point)
            if value:
                toggle(dimension, value)

    return pick


def _value(point: Mapping[str, Any]) -> str:
    """Return what a point of a Plotly chart stands for; nothing when it stands for several."""
    value = point.get("customdata")
    if isinstance(value, list):
        value = value[0] if value else None
    return value or ""


def of_trend(key: str, level: Level) -> Callable[[], None]:
    """Return what picks the clicked year, month or day of sales over time."""

    def pick() -> None:
        for point in st.session_state[key]["selection"]["points"]:
            toggle(PERIOD, address(dt.date.fromisoformat(_value(point)), level))

    return pick


def of_rows(key: str, dimension: Dimension, values: Sequence[str | None]) -> Callable[[], None]:
    """Return what picks the ticked rows of a table; what it does not list stays picked."""

    def pick() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        ticked = [values[place] for place in rows if place < len(values)]
        given = st.query_params.get_all(dimension.key)
        kept = [one for one in given if one not in values]
        _keep(dimension, [*kept, *(one for one in ticked if one is not None)])

    return pick


def show_chips(picked: Picks) -> None:
    """Show each pick as a chip that lets it go."""
    chips = [
        (dimension, value, value)
        for dimension in DIMENSIONS
        if dimension is not PERIOD
        for value in getattr(picked, dimension.name)
    ]
    if picked.period is not None:
        chips.append((PERIOD, st.query_params[PERIOD.key], picked.period.words))
    if not chips:
        return
    with st.container(horizontal=True, gap="small", key="chips", vertical_alignment="center"):
        st.caption("Picked", width="content")
        for dimension, value, words in chips:
            st.button(
                f"{dimension.word}: {components.escape(words)} :material/close:",
                key=f"chip_{dimension.key}_{value}",
                icon=f":material/{dimension.icon}:",
                on_click=toggle,
                args=(dimension, value),
                help="Let it go",
            )
        if len(chips) > 1:
            st.button("Clear picks", type="tertiary", key="clear_picks", on_click=clear)
