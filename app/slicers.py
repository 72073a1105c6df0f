"""The slicers of the pages that show sales: they live in the address, on every page alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import figures, picking
from app.cube import Filters

_KEYS: dict[str, Any] = {
    "region": [],
    "product": [],
    "category": [],
    "from": None,
    "to": None,
    "known_region_only": False,
}
# Streamlit takes the parameters of a page's own widgets out of the address when another page is
# opened, also out of a link's: so a link gives them under other names
_GIVEN = "given_"


def given(address: Mapping[str, str | list[str]]) -> dict[str, str | list[str]]:
    """Return the query parameters for a link to a page with slicers."""
    return {f"{_GIVEN}{name}" if name in _KEYS else name: value for name, value in address.items()}


def _take_given(offered: figures.Choices) -> None:
    """Set the slicers as a link says; what it cannot mean is left out."""
    for key, choices in (
        ("region", offered.regions),
        ("product", offered.products),
        ("category", offered.categories),
    ):
        values = _take(key)
        if values:
            st.session_state[key] = [one for one in dict.fromkeys(values) if one in choices]
    for key in ("from", "to"):
        for value in _take(key):
            day = _day(value)
            if day and offered.first_day and offered.first_day <= day <= (offered.last_day or day):
                st.session_state[key] = day
    if "true" in _take("known_region_only"):
        st.session_state["known_region_only"] = True


def _take(key: str) -> list[str]:
    values = st.query_params.get_all(f"{_GIVEN}{key}")
    if values:
        del st.query_params[f"{_GIVEN}{key}"]
    return values


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def show(offered: figures.Choices) -> Filters:
    """Show the slicers, which live in the address of the page, and return what they say."""
    _take_given(offered)
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
            disabled=filters == Filters() and not picking.is_anything_picked(),
        )
    return filters


def clear_filters() -> None:
    """Set every slicer back and let go every pick; a callback."""
    for key, value in _KEYS.items():
        st.session_state[key] = value
    picking.clear()
