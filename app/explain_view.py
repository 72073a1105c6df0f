"""Between app.explain and the page: cached reads, and how a record's way is shown."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import components, context, explain, figures, metrics
from app.explain import Cursor, Ledger, LeftOut, Provenance, Selection, Total
from app.metrics import Row
from app.trust import Moved

CSV_ROWS, XLSX_ROWS = 200_000, 20_000
"""What a browser takes home; a download is built in memory."""


# Reading --------------------------------------------------------------------------------


@st.cache_data(max_entries=200, show_spinner=False)
def total(data_version: int, selection: Selection) -> Total:
    """Return what the contributing rows make, and the number that the dashboard shows.

    Raises DataMovedError when a promotion changed gold since the version was asked for.
    """
    source = figures.Held(data_version=data_version)
    # rows and number of the same state of gold, whatever is promoted meanwhile
    with figures.at_version(data_version) as connection:
        return explain.total(connection, selection, source)


@st.cache_data(max_entries=200, show_spinner=False)
def left_out(at: Moved, selection: Selection) -> list[LeftOut]:
    """Return the invalid records that may belong to the number, by reason."""
    del at
    with context.engine().connect() as connection:
        return explain.invalid(connection, selection)


@st.cache_data(max_entries=8, show_spinner=False)
def ledger(at: Moved, dataset: str) -> Ledger:
    """Return every record of a feed in raw, counted or not."""
    del at
    with context.engine().connect() as connection:
        return explain.ledger(connection, dataset)


def rows(selection: Selection, *, after: Cursor | None, limit: int) -> list[Row]:
    """Return contributing rows, the largest first."""
    with context.engine().connect() as connection:
        return explain.page(connection, selection, after=after, limit=limit)


def invalid_rows(
    selection: Selection, *, reasons: tuple[str, ...], after: int | None, limit: int
) -> list[Row]:
    """Return invalid records that may belong to the number, newest first."""
    with context.engine().connect() as connection:
        return explain.invalid_page(
            connection, selection, reasons=reasons, after=after, limit=limit
        )


def provenance(batch_id: int, position: int) -> Provenance:
    """Return one record of raw with everything that was made of it.

    Raises RevenueError when raw holds none.
    """
    with context.engine().connect() as connection:
        return explain.provenance(connection, batch_id, position)


def as_csv(selection: Selection) -> bytes:
    """Return the contributing rows as a CSV file."""
    file = io.BytesIO()
    with context.engine().connect() as connection:
        for line in explain.csv_lines(explain.every_row(connection, selection, limit=CSV_ROWS)):
            file.write(line.encode("utf-8", "replace"))
    return file.getvalue()


def as_xlsx(selection: Selection) -> bytes:
    """Return the contributing rows as a workbook."""
    file = io.BytesIO()
    with context.engine().connect() as connection:
        explain.write_xlsx(explain.every_row(connection, selection, limit=XLSX_ROWS), file)
    return file.getvalue()


# Words ----------------------------------------------------------------------------------


def sum_in_words(selection: Selection, found: Total) -> str:
    """Return how the rows make up the number, as markdown without text from data."""
    metric = metrics.BY_NAME[selection.metric]
    rows_word = "customer" if selection.of_customers else "sale"
    counted = f"{found.rows:,} {rows_word}{'' if found.rows == 1 else 's'}"
    number = metrics.format_exact(metric, found.number)
    tile = metrics.format_exact(metric, found.tile)
    if selection.metric == "average_sale" and found.rows:
        made = f"{metrics.exact_money(found.amount)} of {counted} make {number} a sale"
    elif number == f"{found.rows:,}":
        made = f"{counted} counted"
    else:
        made = f"{counted} add up to {number}"
    return f"{made}; the dashboard shows {tile}".replace("$", "\\$")


def money(amount: Any) -> str:
    """Return money for markdown, a dash for none."""
    return "–" if amount is None else metrics.exact_money(amount).replace("$", "\\$")


# One record -----------------------------------------------------------------------------


def show_record(found: Provenance) -> None:
    """Show a record as received, and its way from the file to gold."""
    place, verdict = found.place, found.verdict
    with st.container(border=True, key="record", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(
                f"Record {found.position:,} of batch {place['batch_id']}",
                anchor=False,
                width="content",
            )
            st.badge(
                "counted" if verdict.counts else "not counted",
                icon=":material/check_circle:" if verdict.counts else ":material/block:",
                color="green" if verdict.counts else "orange",
            )
            st.space("stretch")
            if st.button("Close", icon=":material/close:", type="tertiary", key="close_record"):
                components.step_into(batch=None, position=None)
        st.caption(components.escape(verdict.words))
        with st.grid(5, min_column_width=190, gap="small", key="way"):
            for icon, title, facts in _way(found):
                with st.container(border=True, height="stretch", gap="xxsmall"):
                    st.markdown(f":material/{icon}: **{title}**")
                    for fact in facts:
                        st.caption(components.escape(fact))
        _show_links(found)
        st.markdown("**As received**")
        st.code(components.pretty(found.record), language="json", wrap_lines=True)


def _way(found: Provenance) -> list[tuple[str, str, Sequence[str]]]:
    """Return the stations of a record, each with icon, title and facts."""
    place, row = found.place, found.row
    origin = [
        place["file_name"],
        f"accepted {components.absolute(place['accepted_at'])} by {place['accepted_by']}",
    ]
    if place["repair_id"] is not None:
        origin = [
            f"repair {place['repair_id']} by {place['made_by']}: {place['repair_reason']}",
            f"made from record {place['source_position']} of batch {place['source_batch_id']}",
        ]
    elif place["kind"] == "file":
        origin.append(f"content {place['sha256'][:12]}")
    if found.rules is not None:
        judged = [f"rule set {place['rule_set']}, {len(found.rules)} rules"]
    elif place["rule_set"]:
        judged = [f"rule set {place['rule_set']}, no longer known"]
    else:
        judged = ["not judged yet"]
    if place["run_id"] is not None:
        judged.append(f"run {place['run_id']}")
    judged.append(f"invalid: {place['dq_errors']}" if place["quarantine_id"] else "no rejection")
    return [
        ("description" if place["kind"] == "file" else "build", "File", origin),
        (
            "inventory_2",
            "Raw",
            [
                f"batch {place['batch_id']}, position {found.position:,}",
                f"kept {components.absolute(found.insert_date)}",
            ],
        ),
        ("gavel", "Rules", judged),
        ("table_rows", "Silver", _silver(found, row)),
        ("monitoring", "Gold", _gold(found, row)),
    ]


def _silver(found: Provenance, row: Row | None) -> list[str]:
    if row is None:
        return [f"no row of key {found.key}" if found.key else "no key can be read"]
    facts = [f"key {found.key}"]
    if found.verdict.counts:
        return [*facts, f"row of this record, since {components.absolute(row['update_date'])}"]
    return [*facts, f"row of record {row['position']} of batch {row['batch_id']}"]


def _gold(found: Provenance, row: Row | None) -> list[str]:
    if row is None or row["gold_update_date"] is None:
        return ["no row"]
    if found.dataset == "customers":
        return [f"{row['gold_loyalty_points']:,} loyalty points", row["gold_region"]]
    return [
        metrics.exact_money(row["total_value"]),
        f"{row['gold_product_name']}, {row['gold_category']}",
        f"{row['gold_region']}, {row['transaction_date']}",
    ]


def _show_links(found: Provenance) -> None:
    place, verdict = found.place, found.verdict
    arrow = ":material/arrow_forward:"
    with st.container(horizontal=True, gap="small"):
        if place["run_id"] is not None:
            components.link("runs", f"Run {place['run_id']}", icon=arrow, run=place["run_id"])
        components.link("rules", "Rules", icon=arrow, feed=found.dataset)
        for item, words in (
            (place["quarantine_id"], "Queue item"),
            (place["source_item"], "Queue item that was repaired"),
        ):
            if item is not None:
                components.link("invalid_records", f"{words} {item}", icon=arrow, record=item)
        for batch_id, position, words, key in (
            (verdict.batch_id, verdict.position, "The record that counts instead", "other"),
            (
                place["source_batch_id"],
                place["source_position"],
                "The record before its repair",
                "source",
            ),
        ):
            if batch_id is not None and st.button(
                words, icon=":material/compare_arrows:", type="tertiary", key=f"open_{key}"
            ):
                components.step_into(batch=batch_id, position=position)
