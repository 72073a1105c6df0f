"""What a replay will do, as a page shows it: rows, their differences, and every metric."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import streamlit as st

from app import components, metrics
from app.metrics import METRICS, Metric, Number
from etl.repair import Rehearsal

_NAMED = 5  # records that stay invalid

Figures = dict[str, Number | None]
"""A value of each metric, by name."""


def show(told: Rehearsal[Figures]) -> None:
    """Show what a replay will do: rows, their differences, and every metric."""
    with st.container(border=True, gap="small"):
        st.markdown("**What the replay will do**")
        with st.grid(4, min_column_width=120, gap="small"):
            for title, count in (
                ("Inserted", told.inserted),
                ("Updated", told.updated),
                ("Unchanged", told.unchanged),
                ("Still invalid", len(told.invalid)),
            ):
                st.metric(title, f"{count:,}")
        for item, reasons in told.invalid[:_NAMED]:
            st.caption(f":material/block: #{item} stays open: {components.escape(reasons)}")
        if len(told.invalid) > _NAMED:
            st.caption(f":material/block: {len(told.invalid) - _NAMED:,} more stay open")
        if told.superseded:
            st.caption(f"{told.superseded:,} superseded by a later record of the same key")
        rows = _row_differences(told)
        if rows:
            components.list_table(
                rows,
                {
                    "key": components.text_column("Key", width=80),
                    "column": components.text_column("Column", width=108),
                    "before": components.text_column("Before", width=70),
                    "after": components.text_column("After", width=135),
                },
                alt="Rows that differ, before and after",
                key="rehearsed_rows",
                height="content" if len(rows) < 12 else 380,
            )
        components.list_table(
            [
                {
                    "metric": metric.title,
                    "before": metrics.format_exact(metric, told.before[metric.name]),
                    "after": metrics.format_exact(metric, told.after[metric.name]),
                    "change": change(metric, told.before[metric.name], told.after[metric.name]),
                }
                for metric in METRICS
            ],
            {
                "metric": components.text_column("Metric", width=190),
                "before": st.column_config.TextColumn("Before", alignment="right"),
                "after": st.column_config.TextColumn("After", alignment="right"),
                "change": st.column_config.TextColumn("Change", alignment="right"),
            },
            alt="Every metric before and after",
            key="rehearsed_metrics",
        )
        st.caption("Nothing is written yet.")


def _row_differences(told: Rehearsal[Figures]) -> list[dict[str, Any]]:
    return [
        {"key": one.key, "column": name, "before": before, "after": after}
        for one in told.differences
        for name, before, after in _differing(one.before or {}, one.after or {})
    ]


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    names = dict.fromkeys([*after, *before])
    return [
        (name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]


def change(metric: Metric, before: Number | None, after: Number | None) -> str:
    """Return how much a metric changes, with its sign: `+$12.50`, `-3`; "no change"."""
    if before == after:
        return "no change"
    difference = Decimal(after or 0) - Decimal(before or 0)
    whole = int(difference) if metric.format == "whole" else difference
    return f"{'+' if difference > 0 else ''}{metrics.format_exact(metric, whole)}"
