"""The queue of invalid records: what was rejected, and why; who works on it, and what was decided."""

from __future__ import annotations

import dataclasses
import datetime as dt
from functools import partial
from typing import Any

import streamlit as st

from app import (
    auth,
    components,
    corrections_view,
    reads,
    triage_dialogs,
    triage_view,
    workbench,
)
from etl import datasets
from etl.triage_states import UNFINISHED, Filters, TriageState

PAGE_ROWS = 25
COUNT_LIMIT = 10_000
TO_DO, ALL = "unfinished", "all"
MINE, NOBODY, OWNER = "mine", "nobody", "@"  # OWNER stands before a name
AGES = {  # words, and the days between which a record was found
    "day": ("the last day", 1, None),
    "week": ("the last week", 7, None),
    "older": ("more than a week ago", None, 7),
    "month": ("more than 30 days ago", None, 30),
}
_OWNERS = 200


def main() -> None:
    quarantine_id = components.chosen("record")
    if quarantine_id is None:
        show_list()
    else:
        show_record(quarantine_id)


# The list -------------------------------------------------------------------------------


def show_list() -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Invalid records", width="content")
        st.space("stretch")
        corrections_view.show_upload()
    corrections_view.show_found()
    states = st.container()
    filters = show_filters()
    counts = reads.invalid_records_by_state(filters, limit=COUNT_LIMIT + 1)
    with states:
        filters = dataclasses.replace(filters, states=show_states(counts))
    total = sum(counts[state] for state in filters.states or TriageState)
    if not total:
        show_nothing(filters, counts)
        return
    bar = st.container()
    body, offset = components.list_frame(
        min(total, COUNT_LIMIT),
        size=PAGE_ROWS,
        key="page",
        word="record",
        is_bounded=total > COUNT_LIMIT,
        downloads=[
            components.Download(
                label=name.upper(),
                file_name=f"invalid_records.{name}",
                data=partial(reads.invalid_records, name, filters),
            )
            for name in ("csv", "xlsx", "json")
        ],
    )
    records = reads.rows(
        "queries/triage.page", **filters.parameters, limit=PAGE_ROWS, offset=offset
    )
    # what was ticked means these records as they are now, and nothing once one of them changed
    key = f"records_{hash(tuple((one['quarantine_id'], one['version']) for one in records))}"
    with body:
        row = show_table(records, key)
    if row is not None:
        components.step_into(record=records[row]["quarantine_id"])
    with bar:
        ticked = [records[index] for index in components.selected_rows(key)]
        triage_dialogs.show_bar(ticked, filters)


def show_table(records: list[dict[str, Any]], key: str) -> int | None:
    return components.list_table(
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
            "state": components.state_column("Status", *TriageState),
            "assigned_to": components.text_column("Owner", width=90),
            "dataset": components.text_column("Feed", width=90),
            "record_key": components.text_column("Key", width=95),
            "dq_errors": components.text_column("Reasons", width=200),
            "file_name": components.text_column("File", width=125),
            "position": components.count_column("Position"),
            "created_at": components.time_column("Found"),
        },
        alt="Invalid records, newest first",
        key=key,
        opens="open",
        selects=True,
    )


def show_states(counts: dict[str, int]) -> tuple[TriageState, ...] | None:
    """Show how many records are in each state; a click filters by it."""
    figures: dict[str, tuple[str, int]] = {
        TO_DO: (":material/checklist: to do", sum(counts[state] for state in UNFINISHED)),
        **{state: (components.state_option(state), counts[state]) for state in TriageState},
        ALL: ("all", sum(counts.values())),
    }
    chosen = components.filter_pills(
        "Status",
        list(figures),
        key="status",
        page_key="page",
        words=lambda name: f"{figures[name][0]} **{figure(figures[name][1])}**",
        default=TO_DO,
        required=True,
    )
    if chosen == ALL:
        return None
    return UNFINISHED if chosen in {None, TO_DO} else (TriageState(chosen),)


def figure(count: int) -> str:
    return f"{COUNT_LIMIT:,}+" if count > COUNT_LIMIT else f"{count:,}"


def show_filters() -> Filters:
    """Show the filters but the state; return what they say."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        dataset = components.filter_pills(
            "Feed", list(datasets.declared()), key="feed", page_key="page"
        )
        age = components.filter_pills(
            "Found", list(AGES), key="age", page_key="page", words=lambda name: AGES[name][0]
        )
        owner = components.filter_select(
            "Owner", owners(), key="owner", page_key="page", placeholder="Anybody"
        )
        search = components.filter_text(
            "Key", key="key", page_key="page", placeholder="Part of a key"
        )
        file = components.filter_text(
            "File", key="file", page_key="page", placeholder="Part of a file's name"
        )
    _, since, until = AGES[age] if age else ("", None, None)
    return Filters(
        dataset=dataset,
        rule_id=show_rules(dataset),
        search=search,
        file=file,
        batch_id=show_only("batch", "batch"),
        run_id=show_only("from_run", "run"),
        owner=auth.current().name if owner == MINE else _owner(owner),
        is_unowned=owner == NOBODY,
        since=_ago(since),
        until=_ago(until),
    )


def owners() -> dict[str, str]:
    known = [
        OWNER + row["owner"] for row in reads.rows("queries/triage_states.owners", limit=_OWNERS)
    ]
    given = st.query_params.get("owner", "")
    if given.startswith(OWNER) and given not in known:
        known.append(given)
    return {MINE: "Mine", NOBODY: "Nobody's", **{name: name[len(OWNER) :] for name in known}}


def _owner(chosen: str | None) -> str | None:
    return chosen[len(OWNER) :] if chosen and chosen.startswith(OWNER) else None


def _ago(days: int | None) -> dt.datetime | None:
    return None if days is None else dt.datetime.now(dt.UTC) - dt.timedelta(days=days)


def show_rules(dataset: str | None) -> int | None:
    rules = {
        str(rule["rule_id"]): rule for rule in reads.rows("queries/triage.by_rule", dataset=dataset)
    }
    if not rules:
        return None
    rule = components.filter_pills(
        "To do by rule",
        list(rules),
        key="rule",
        page_key="page",
        words=lambda key: (
            f"{components.escape(rules[key]['message'])} **{rules[key]['records']:,}**"
        ),
    )
    return int(rule) if rule else None


def show_only(key: str, word: str) -> int | None:
    """Show a filter that comes from a link, with a button that takes it out."""
    number = components.chosen(key)
    if number is not None and st.button(
        f"Only {word} {number}",
        icon=":material/close:",
        key=f"any_{word}",
        help=f"Show every {word} again",
    ):
        components.step_into(**{key: None, "page": None})
    return number


def show_nothing(filters: Filters, counts: dict[str, int]) -> None:
    is_default = filters == Filters(states=UNFINISHED)
    if not is_default and filters != Filters():
        components.empty_state(
            "No invalid record fits these filters",
            "Clear a filter to see more.",
            icon="filter_alt_off",
        )
    elif any(counts.values()):
        components.empty_state(
            "Nothing to do",
            "Every invalid record is fixed, dismissed or superseded: choose *all* to see them.",
            icon="check_circle",
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
        st.title(f"Invalid record {quarantine_id}", width="content", anchor=False)
        triage_view.show_state(record)
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
    triage_view.show_buttons(record)
    st.space("xsmall")
    left, right = st.columns([2, 3], gap="large")
    with left:
        show_received(record)
        triage_view.show_history(record)
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
