"""Explain a number: its definition, every row and raw record behind it, and what it leaves out."""

from __future__ import annotations

import dataclasses
from functools import partial

import streamlit as st

from app import components, dashboard, explain_view, figures, metrics, slicers, trust
from app.cube import Filters
from app.explain import (
    REASONS,
    Cursor,
    LeftOut,
    Selection,
    Total,
    cursor,
    explain_address,
    in_words,
)
from app.metrics import Row
from app.trust import Moved

PAGE_ROWS = 25
_CURSORS = ("after", "item_after")


def main() -> None:
    try:
        show()
    except figures.DataMovedError:
        st.rerun()


def show() -> None:
    st.title("Explain a number")
    fresh = figures.freshness()
    offered = figures.choices(fresh.data_version)
    if dashboard.is_empty(fresh, offered):
        components.empty_state(
            "No data yet",
            "Numbers can be explained once a run has promoted sales or customers to gold.",
            page="upload",
            label="Upload & generate",
            icon="quiz",
        )
        return
    selection = choose(offered)
    at = trust.moved()
    found = explain_view.total(fresh.data_version, selection)
    show_number(selection, found, at)
    show_chosen_record()
    show_rows(selection, found)
    show_left_out(selection, at)


def choose(offered: figures.Choices) -> Selection:
    """Show metric and filters, which live in the address; return what they say."""
    titles = {metric.name: metric.title for metric in metrics.METRICS}
    given = components.filter_select(
        "Number", titles, key="metric", page_key="after", placeholder="Total Sales"
    )
    metric = metrics.BY_NAME[given or "total_sales"]
    filters = slicers.show(offered)
    chosen = set(st.query_params.get_all("home_region"))
    home_regions = tuple(one for one in offered.home_regions if one in chosen)
    if home_regions and st.button(
        f"Only home region {components.escape(' or '.join(home_regions))}",
        icon=":material/close:",
        key="any_home_region",
    ):
        components.step_into(home_region=None)
    filters = dataclasses.replace(filters, home_regions=home_regions)
    if not metric.is_sliced:
        filters = Filters(home_regions=home_regions)
        st.caption(":material/info: The sales filters do not apply to this number.")
    selection = Selection(metric=metric.name, filters=filters)
    # another number starts at its first page
    if st.session_state.setdefault("explained", selection) != selection:
        st.session_state["explained"] = selection
        components.write_address(**dict.fromkeys(_CURSORS))
    return selection


def show_number(selection: Selection, found: Total, at: Moved) -> None:
    metric = metrics.BY_NAME[selection.metric]
    with st.container(border=True, gap="small", key="number"):
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            st.metric(metric.title, metrics.format_exact(metric, found.number), width="content")
            with st.container(gap="xxsmall"):
                tie = (
                    ":green[:material/check_circle: ties out ✓]"
                    if found.ties
                    else ":red[:material/error: does not tie out ✗]"
                )
                st.markdown(f"{tie} {explain_view.sum_in_words(selection, found)}")
                limits = " · ".join(in_words(selection)) or "all data, no filter"
                st.caption(f":material/filter_alt: {components.escape(limits)}")
        trusted = trust.strip(selection.metric, selection.filters, at=at)
        trust.show_strip(selection.metric, selection.filters, trusted)
        st.caption(metric.description.replace("$", "\\$"))
        with st.expander("Definition in SQL and DAX", icon=":material/code:"):
            left, right = st.columns(2)
            with left:
                st.code(metric.sql, language="sql", wrap_lines=True)
            with right:
                st.code(metric.dax, language=None, wrap_lines=True)


def show_chosen_record() -> None:
    batch_id, position = components.chosen("batch"), components.chosen("position")
    if batch_id is not None and position is not None:
        with components.reporting("This record cannot be shown"):
            explain_view.show_record(explain_view.provenance(batch_id, position))


# Rows that count ------------------------------------------------------------------------


def show_rows(selection: Selection, found: Total) -> None:
    word = "customer" if selection.of_customers else "sale"
    st.subheader(f"Counted: {found.rows:,} {word}{'' if found.rows == 1 else 's'}", anchor=False)
    if not found.rows:
        components.empty_state(
            "Nothing is counted", "Clear a filter to see rows.", icon="filter_alt_off"
        )
        return
    after = Cursor.parse(st.query_params.get("after", ""))
    rows = explain_view.rows(selection, after=after, limit=PAGE_ROWS + 1)
    shown = rows[:PAGE_ROWS]
    opened = show_table(selection, shown)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for name, build, most in (
            ("csv", explain_view.as_csv, explain_view.CSV_ROWS),
            ("xlsx", explain_view.as_xlsx, explain_view.XLSX_ROWS),
        ):
            st.download_button(
                name.upper(),
                partial(build, selection),
                f"{selection.metric}.{name}",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                key=f"rows_{name}",
                help=f"The largest {most:,} rows" if found.rows > most else "All rows",
            )
        st.space("stretch")
        show_turning(
            "after",
            str(after) if after else None,
            len(rows) > PAGE_ROWS and str(cursor(selection, shown[-1])),
        )
    if opened is not None:
        row = shown[opened]
        components.step_into(batch=row["batch_id"], position=row["position"])


def show_turning(key: str, at: str | None, following: str | bool) -> None:
    """Show the buttons that turn the pages of a list whose place stands in the address."""
    if at and st.button("First page", icon=":material/first_page:", key=f"{key}_first"):
        components.step_into(**{key: None})
    if following and st.button("Next page", icon=":material/chevron_right:", key=f"{key}_next"):
        components.step_into(**{key: following})


def show_table(selection: Selection, rows: list[Row]) -> int | None:
    where = {
        "file_name": components.text_column("File", width=160),
        "position": components.count_column("Position"),
        "batch_id": st.column_config.NumberColumn("Batch", format="%d", width=60),
        "run": st.column_config.LinkColumn("Run", display_text=r"run=(\d+)", width=60),
        "rule_set": components.text_column("Rule set", width=130),
        "came_by": components.text_column("Came by", width=90),
    }
    if selection.of_customers:
        opens, columns = (
            "customer_id",
            {
                "customer_id": "Customer",
                "loyalty_points": st.column_config.NumberColumn("Points", format="localized"),
                "customer_name": components.text_column("Name", width=130),
                "region": components.text_column("Home region", width=100),
            },
        )
    else:
        opens, columns = (
            "transaction_id",
            {
                "transaction_id": "Sale",
                "total_value": st.column_config.NumberColumn("Amount", format="dollar", width=100),
                "quantity": components.count_column("Pieces"),
                "price": st.column_config.NumberColumn("Price", format="dollar", width=90),
                "discount": st.column_config.NumberColumn("Discount", format="percent", width=84),
                "product_name": components.text_column("Product", width=130),
                "region": components.text_column("Region", width=90),
                "transaction_datetime": st.column_config.DatetimeColumn(
                    "Moment", format="YYYY-MM-DD HH:mm", width=130
                ),
                "customer_id": components.text_column("Customer", width=90),
            },
        )
    return components.list_table(
        [
            {
                **row,
                "run": f"/runs?run={row['run_id']}" if row["run_id"] else None,
                "came_by": f"repair {row['repair_id']}" if row["repair_id"] else "file",
            }
            for row in rows
        ],
        {**columns, **where},
        alt="Rows that the number counts, the largest first",
        key=f"rows_{hash(tuple(row[opens] for row in rows))}",
        opens=opens,
    )


# Records that do not --------------------------------------------------------------------


def show_left_out(selection: Selection, at: Moved) -> None:
    st.subheader("Not counted", anchor=False)
    found = explain_view.left_out(at, selection)
    is_all = explain_address(selection.metric, selection.filters) == explain_address(
        selection.metric
    ) and not selection.metric.startswith(("high_value", "sales_ytd"))
    if found:
        st.caption(
            "Invalid records that may belong to this number: whatever can be read of them fits "
            "its filters. What cannot be read may belong anywhere."
        )
        show_reasons(found, has_money=not selection.of_customers)
        show_invalid(selection, found)
    else:
        st.caption(":material/check_circle: No invalid record would belong to this number.")
    if not is_all:
        st.caption(
            "Records that a later one of their file or another file replaced, and those of "
            "batches that were stopped or taken back, cannot be told by filter: nothing but their "
            "text is kept. The ledger of all data counts them."
        )
    with st.expander(
        "Every record of raw is here",
        icon=":material/balance:",
        expanded=is_all,
        key="ledger_of_raw",
    ):
        show_ledger(selection, at)


def show_reasons(found: list[LeftOut], *, has_money: bool) -> None:
    columns = {
        "words": components.text_column("Reason", width=380),
        "records": components.count_column("Records"),
    }
    if has_money:
        columns["worth"] = st.column_config.NumberColumn(
            "Money at stake", format="dollar", help="As far as it can be read"
        )
        columns["unreadable"] = components.count_column(
            "Cannot be read", help="Nobody can tell whether the filters would let them in"
        )
    components.list_table(
        [
            {
                "words": one.words,
                "records": one.records,
                "worth": one.worth,
                "unreadable": one.unreadable,
            }
            for one in found
        ],
        columns,
        alt="Invalid records by what became of them",
        key="reasons",
    )


def show_invalid(selection: Selection, found: list[LeftOut]) -> None:
    reason = components.filter_pills(
        "Show",
        [one.reason for one in found],
        key="reason",
        page_key="item_after",
        words=lambda name: name.replace("_", " "),
    )
    rows = explain_view.invalid_rows(
        selection,
        reasons=(reason,) if reason else tuple(REASONS),
        after=components.chosen("item_after"),
        limit=PAGE_ROWS + 1,
    )
    shown = rows[:PAGE_ROWS]
    opened = components.list_table(
        [{**row, "open": f"#{row['quarantine_id']}"} for row in shown],
        {
            "open": "Record",
            "reason": components.text_column("State", width=100),
            "record_key": components.text_column("Key", width=100),
            "dq_errors": components.text_column("Reasons", width=240),
            "worth": st.column_config.NumberColumn("Money at stake", format="dollar", width=110),
            "file_name": components.text_column("File", width=150),
            "position": components.count_column("Position"),
        },
        alt="Invalid records that may belong to the number, newest first",
        key=f"invalid_{hash(tuple(row['quarantine_id'] for row in shown))}",
        opens="open",
    )
    with st.container(horizontal=True, gap="small"):
        st.space("stretch")
        show_turning(
            "item_after",
            st.query_params.get("item_after"),
            len(rows) > PAGE_ROWS and str(shown[-1]["quarantine_id"]),
        )
    if opened is not None:
        components.go("invalid_records", record=shown[opened]["quarantine_id"])


def show_ledger(selection: Selection, at: Moved) -> None:
    ledger = explain_view.ledger(at, selection.dataset)
    components.list_table(
        [
            {"words": "counted: in silver and gold", "records": ledger.counted},
            *({"words": one.words, "records": one.records} for one in ledger.left_out),
            {"words": "together", "records": ledger.total},
            {"words": f"records of {selection.dataset} in raw", "records": ledger.raw_records},
        ],
        {
            "words": components.text_column(f"All records of {selection.dataset}", width=420),
            "records": components.count_column("Records"),
        },
        alt="Every record of raw by what became of it",
        key="ledger",
    )
    if ledger.holds:
        st.caption(":green[:material/check_circle: nothing is missing, nothing counted twice]")
    else:
        st.caption(
            ":red[:material/error: the parts do not make up raw:] a run may be writing now; "
            "otherwise *Health & audit* checks every layer"
        )


main()
