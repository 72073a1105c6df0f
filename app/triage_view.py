"""The state of one invalid record: badge, buttons, comments and history."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import auth, components, reads, triage_dialogs
from app.triage_dialogs import Target
from etl.triage_states import (
    MOVES,
    REASON_CHARACTERS,
    Action,
    Change,
    Filters,
    TriageState,
)

HISTORY_EVENTS = 100
_WISH = "triage_wish"
_EVENTS = {  # of dq.triage_event: icon, words
    "comment": ("chat", "commented"),
    "assign": ("person_add", "assigned it"),
    "dismiss": ("cancel", "dismissed it"),
    "send_back": ("undo", "sent it back to its source"),
    "snooze": ("snooze", "snoozed it"),
    "reopen": ("replay", "reopened it"),
    "repair": ("build", "repaired it"),
    "fix": ("check_circle", "closed it as fixed"),
    "still_invalid": ("error", "judged its repair: still invalid"),
    "supersede": ("layers", "closed it: a newer valid record of its key came"),
    "revert": ("settings_backup_restore", "took its repair back"),
    "wake": ("alarm", "opened it again: its time has come"),
}


def show_state(record: dict[str, Any]) -> None:
    """Show the state as a badge, whose it is, and until when it sleeps."""
    components.state_badge(record["status"])
    if record["assigned_to"]:
        st.badge(components.escape(record["assigned_to"]), icon=":material/person:", color="gray")
    if record["snoozed_until"]:
        st.caption(
            f"wakes {components.ago(record['snoozed_until'])}",
            width="content",
            help=components.absolute(record["snoozed_until"]),
        )
    if record["closed_batch_id"]:
        place = (
            f"record {record['closed_position']:,} of batch"
            if record["closed_position"]
            else "batch"
        )
        st.caption(f"closed by {place} {record['closed_batch_id']}", width="content")


def show_buttons(record: dict[str, Any]) -> None:
    """Show what can be done with the record in its state, and the dialog of what was chosen."""
    state = TriageState(record["status"])
    target = _target(record)
    with st.container(horizontal=True, gap="small"):
        me = auth.current().name
        is_mine = state is TriageState.ASSIGNED and record["assigned_to"] == me
        if state in MOVES[Action.ASSIGN].leaves and not is_mine:
            st.button(
                "Take it",
                icon=":material/person_check:",
                key="triage_take",
                type="primary",
                help="You work on it",
                on_click=_wish,
                args=(target, Change(action=Action.ASSIGN, assignee=me)),
            )
        for action in triage_dialogs.BUTTONS:
            if state in MOVES[action].leaves:
                triage_dialogs.show_button(action, target)
    _perform("Nothing was changed", Action.ASSIGN)
    triage_dialogs.show_dialog(record["quarantine_id"])


def show_history(record: dict[str, Any]) -> None:
    """Show a box for a comment, and what happened to the record, newest first."""
    st.subheader("History")
    with st.form("comment", clear_on_submit=True, border=False):
        text = st.text_area(
            "Comment",
            key="triage_comment",
            max_chars=REASON_CHARACTERS,
            height=68,
            label_visibility="collapsed",
            placeholder="What others should know about this record",
        )
        if st.form_submit_button("Comment", icon=":material/chat:", key="triage_say"):
            with components.reporting("The comment was not kept"):
                # a comment decides nothing: it may come after somebody's change
                triage_dialogs.perform(
                    Target(filters=Filters(), quarantine_id=record["quarantine_id"]),
                    Change(action=Action.COMMENT, reason=text),
                )
                st.rerun()
    events = reads.rows(
        "queries/triage_states.history",
        quarantine_id=record["quarantine_id"],
        limit=HISTORY_EVENTS,
    )
    for event in events:
        _show_event(event)
    st.caption(
        f":material/inbox: found {components.ago(record['created_at'])}",
        help=components.absolute(record["created_at"]),
    )


def _show_event(event: dict[str, Any]) -> None:
    icon, words = _EVENTS[event["action"]]
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                f":material/{icon}: **{components.escape(event['actor'])}** {words}",
                width="content",
            )
            st.space("stretch")
            st.caption(
                components.ago(event["at"]), width="content", help=components.absolute(event["at"])
            )
        if event["note"]:
            st.text(event["note"])


def _target(record: dict[str, Any]) -> Target:
    return Target(
        filters=Filters(),
        quarantine_id=record["quarantine_id"],
        state=TriageState(record["status"]),
        version=record["version"],
    )


def _wish(target: Target, wish: Change) -> None:
    st.session_state[_WISH] = (target, wish)


def _perform(title: str, action: Action) -> None:
    """Do what a button without a dialog asked for; `action` is its kind."""
    wished = st.session_state.pop(_WISH, None)
    if wished is not None and wished[1].action is action:
        with components.reporting(title):
            triage_dialogs.perform(wished[0], wished[1])
            st.rerun()
