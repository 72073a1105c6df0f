"""The queue of invalid records: what was rejected, and why."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import components, reads, workbench
from etl import datasets, triage

PAGE_ROWS = 25
COUNT_LIMIT = 10_000
STATES = ("open", "assigned", "fixed", "dismissed")


def main() -> None:
    quarantine_id = components.chosen("record")
    if quarantine_id is None:
        show_list()
    else:
        show_record(quarantine_id)


# The list -------------------------------------------------------------------------------


def show_list() -> None:
    st.title("Invalid records")
    filters = show_filters()
    total = reads.value("queries/triage.count_up_to", **filters, limit=COUNT_LIMIT + 1)
    if not total:
        show_nothing(filters)
        return
    body, offset = components.list_frame(
        min(total, COUNT_LIMIT),
        size=PAGE_ROWS,
        key="page",
        word="record",
        is_bounded=total > COUNT_LIMIT,
        downloads=[
            components.Download(
                label="CSV",
                file_name="invalid_records.csv",
                data=lambda: reads.invalid_records(triage.as_csv, filters),
            ),
            components.Download(
                label="JSON",
                file_name="invalid_records.json",
                data=lambda: reads.invalid_records(triage.as_json, filters),
            ),
        ],
    )
    records = reads.rows("queries/triage.page", **filters, limit=PAGE_ROWS, offset=offset)
    with body:
        row = components.list_table(
            [
                {
                    **record,
                    "open": f"#{record['quarantine_id']}",
                    "state": components.state_cell(record["status"]),
                }
                for record in records
            ],
            {
                "open": "Record",
                "state": components.state_column("Status", *STATES),
                "dataset": components.text_column("Feed", width=100),
                "record_key": components.text_column("Key", width=130),
                "dq_errors": components.text_column("Reasons", width=260),
                "file_name": components.text_column("File", width=150),
                "position": components.count_column("Position"),
                "created_at": components.time_column("Found"),
            },
            alt="Invalid records, newest first",
            key=f"records_{offset}",
            opens="open",
        )
    if row is not None:
        components.step_into(record=records[row]["quarantine_id"])


def show_filters() -> dict[str, Any]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        dataset = components.filter_pills(
            "Feed", list(datasets.declared()), key="feed", page_key="page"
        )
        status = components.filter_pills(
            "Status",
            STATES,
            key="status",
            page_key="page",
            words=components.state_option,
        )
        search = components.filter_text(
            "Key", key="key", page_key="page", placeholder="Part of a key"
        )
    rules = {
        str(rule["rule_id"]): rule for rule in reads.rows("queries/triage.by_rule", dataset=dataset)
    }
    rule = None
    if rules:
        rule = components.filter_pills(
            "Open records by rule",
            list(rules),
            key="rule",
            page_key="page",
            words=lambda key: (
                f"{components.escape(rules[key]['message'])} **{rules[key]['records']:,}**"
            ),
        )
    run_id = components.chosen("from_run")
    if run_id is not None and st.button(
        f"Only run {run_id}", icon=":material/close:", key="any_run", help="Show every run again"
    ):
        components.step_into(from_run=None, page=None)
    return {
        "dataset": dataset,
        "status": status,
        "search": search,
        "rule_id": int(rule) if rule else None,
        "run_id": run_id,
    }


def show_nothing(filters: dict[str, Any]) -> None:
    if any(filters.values()):
        components.empty_state(
            "No invalid record fits these filters",
            "Clear a filter to see more.",
            icon="filter_alt_off",
        )
    else:
        components.empty_state(
            "No invalid records",
            "Every record that came so far is valid, or none came yet.",
            page="upload",
            label="Upload or generate a file",
            icon="check_circle",
        )


# One record -----------------------------------------------------------------------------


def show_record(quarantine_id: int) -> None:
    if st.button("All invalid records", icon=":material/arrow_back:", type="tertiary", key="back"):
        components.step_into(record=None)
    record = reads.invalid_record(quarantine_id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(f"Invalid record {quarantine_id}", width="content")
        components.state_badge(record["status"])
        st.space("stretch")
        show_neighbours(record)
    facts = [
        record["dataset"],
        record["file_name"],
        f"batch {record['batch_id']}, position {record['position']:,}",
        f"key {record['record_key']}" if record["record_key"] else "no key",
        f"found {components.ago(record['created_at'])}",
    ]
    st.caption(components.escape(" · ".join(facts)), help=components.absolute(record["created_at"]))
    left, right = st.columns([2, 3], gap="large")
    with left:
        show_received(record)
    with right:
        workbench.show(record)
        workbench.show_repairs(record)


def show_neighbours(record: dict[str, Any]) -> None:
    beside = reads.rows(
        "queries/triage.neighbours", quarantine_id=record["quarantine_id"], status=record["status"]
    )[0]
    for name, icon, key in (
        ("newer", "arrow_upward", "Alt+Up"),
        ("older", "arrow_downward", "Alt+Down"),
    ):
        if st.button(
            name.title(),
            icon=f":material/{icon}:",
            key=name,
            disabled=not beside[name],
            shortcut=key,
            help=f"The next {name} {record['status']} record ({key})",
        ):
            components.step_into(record=beside[name])


def show_received(record: dict[str, Any]) -> None:
    text = record["record"]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("As received")
        st.space("stretch")
        is_pretty = st.toggle("Pretty", value=True, key="pretty", persist_state="session")
    st.code(components.pretty(text) if is_pretty else text, language="json", wrap_lines=True)
    if record["run_id"]:
        components.link(
            "runs",
            f"Run {record['run_id']} judged it",
            icon=":material/arrow_forward:",
            run=record["run_id"],
        )


main()
