"""Health at a glance, the last runs, and what to do next."""

from __future__ import annotations

from collections import Counter
from typing import Any

import streamlit as st

from app import advice, components, reads
from app.health import SILENT_SECONDS
from etl.monitor import Freshness

LAST_RUNS = 8
TOP_RULES = 8


def main() -> None:
    st.title("Overview")
    status = reads.status()
    is_active = bool(status["queued_runs"] or status["running_runs"] or status["lost_runs"])
    components.live(every="2s" if is_active else None)(overview)(is_active)


def overview(was_active: bool) -> None:
    status = reads.status()
    if was_active and not (status["queued_runs"] or status["running_runs"]):
        st.rerun()
    show_next_steps(status)
    show_health(status)
    st.subheader("Feeds")
    with st.grid(2, min_column_width=380, gap="medium"):
        for layer in status["layers"]:
            with st.container(border=True, height="stretch"):
                show_feed(layer)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_runs()
    with right:
        show_rules()


def show_next_steps(status: dict[str, Any]) -> None:
    _, waiting = reads.waiting_files(limit=0)
    steps = advice.next_steps(
        status, waiting_files=waiting, is_untouched=reads.value("queries/reads.is_untouched")
    )
    with st.container(border=True, key="next_steps"):
        st.markdown(":material/arrow_circle_right: **What to do next**")
        with st.grid(min(3, len(steps[:3])), min_column_width=260, gap="medium"):
            for step in steps[:3]:
                with st.container(gap="xsmall"):
                    st.markdown(f"**{components.escape(step.title)}**")
                    st.caption(components.escape(step.text))
                    if step.command:
                        st.code(step.command, language=None)
                    if step.page:
                        components.link(
                            step.page, step.label, icon=":material/arrow_forward:", **step.query
                        )


def show_health(status: dict[str, Any]) -> None:
    balanced = advice.balance([*status["layers"], *status["findings"]])
    states = Counter(age.state.value for age in status["freshness"])
    with st.grid(5, min_column_width=150, gap="medium"):
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.caption("Services")
            with st.container(horizontal=True, gap="xsmall"):
                show_service("worker", status)
                show_service("scheduler", status)
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.caption("Queue")
            with st.container(horizontal=True, gap="xsmall"):
                components.count_badge("running", status["running_runs"])
                components.count_badge("queued", status["queued_runs"])
                if status["lost_runs"]:
                    components.count_badge("lost", status["lost_runs"])
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.caption("Invalid records")
            if status["open_invalid_records"]:
                components.count_badge("open", status["open_invalid_records"])
            else:
                st.badge("none open", icon=":material/check_circle:", color="green")
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.caption(
                "Ledger",
                help="Read = valid + invalid + superseded, valid = inserted + updated + unchanged, "
                "and silver = gold, counted in the tables at the end of each run",
            )
            with st.container(horizontal=True, gap="xsmall"):
                components.balance_badge(balanced)
                if broken := sum(not row["is_balanced"] for row in status["findings"]):
                    components.link("health", f"{broken} broken", icon=":material/arrow_forward:")
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.caption("Freshness", help="Layers by how long ago each was known to be complete")
            with st.container(horizontal=True, gap="xsmall"):
                for state in Freshness:
                    if states[state]:
                        components.count_badge(state, states[state])
            components.link("health", "Health", icon=":material/arrow_forward:")


def show_service(name: str, status: dict[str, Any]) -> None:
    beat = status[f"{name}_heartbeat"]
    if beat is None:
        st.badge(f"no {name}", icon=":material/error:", color="red")
    elif (status["now"] - beat).total_seconds() > SILENT_SECONDS:
        st.badge(
            f"{name} silent for {components.ago(beat).removesuffix(' ago')}",
            icon=":material/warning:",
            color="orange",
            help=components.absolute(beat),
        )
    else:
        st.badge(
            name,
            icon=":material/check_circle:",
            color="green",
            help=f"Last sign of life: {components.absolute(beat)}",
        )


def show_feed(layer: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{components.escape(layer['title'])}**", width="content")
        components.balance_badge(layer["is_balanced"])
        if layer["run_id"]:
            components.state_badge(layer["status"], help=f"Run {layer['run_id']}")
    if not layer["records"]:
        st.caption("Nothing loaded yet.")
        return
    with st.container(horizontal=True, gap="medium"):
        for label, name in (
            ("Read", "records"),
            ("= valid", "valid_records"),
            ("+ invalid", "invalid_records"),
            ("+ superseded", "superseded_records"),
        ):
            st.metric(label, f"{layer[name]:,}", width="content")
    moments = [(name, layer[f"newest_{name}"]) for name in ("raw", "silver", "gold")]
    st.caption(
        " → ".join(f"{name.title()} {components.ago(moment)}" for name, moment in moments),
        help="Newest batch of each layer: "
        + ", ".join(f"{name} {components.absolute(moment)}" for name, moment in moments),
    )


def show_runs() -> None:
    st.subheader("Last runs")
    runs = reads.rows(
        "queries/runs.history",
        dataset=None,
        status=None,
        trigger=None,
        since=None,
        limit=LAST_RUNS,
        offset=0,
    )
    if not runs:
        components.empty_state(
            "No runs yet",
            "A run loads the files of the landing zone.",
            page="upload",
            label="Bring the first file",
        )
        return
    row = components.run_table(runs, key="last_runs", is_short=True)
    if row is not None:
        components.go("runs", run=runs[row]["run_id"])
    components.link("runs", "All runs", icon=":material/arrow_forward:")


def show_rules() -> None:
    st.subheader("Open invalid records by rule")
    rules = reads.rows("queries/triage.by_rule", dataset=None)[:TOP_RULES]
    if not rules:
        components.empty_state(
            "No open invalid records",
            "Records that break a rule appear here.",
            icon="check_circle",
        )
        return
    row = components.list_table(
        [{**rule, "open": rule["message"]} for rule in rules],
        {
            "open": "Rule",
            "dataset": components.text_column("Feed", width=80),
            "records": st.column_config.ProgressColumn(
                "Records",
                format="localized",
                min_value=0,
                max_value=rules[0]["records"],
                color="primary",
                width=130,
            ),
        },
        alt="Open invalid records by rule",
        key="top_rules",
        opens="open",
    )
    if row is not None:
        components.go("invalid_records", rule=rules[row]["rule_id"])
    components.link("invalid_records", "All invalid records", icon=":material/arrow_forward:")


main()
