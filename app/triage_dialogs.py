"""Dialogs that decide about invalid records: one, those that are ticked, or all that match."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import auth, components, context, nav, reads
from app.actions import triage as actions
from etl.triage_states import (
    MOVES,
    REASON_CHARACTERS,
    Action,
    Change,
    Filters,
    Outcome,
    TriageState,
    refusal,
)

_OPEN = "triage_dialog"
_ALL = "triage_all"
_EVERY = 1 << 62
_OWNERS = 200
_PERIODS = {"1 day": 1, "3 days": 3, "1 week": 7, "1 month": 30}  # days
_ANOTHER = "Until …"


@dataclass(frozen=True, kw_only=True)
class Button:
    """How an action is offered."""

    word: str
    icon: str
    does: str  # help
    done: str  # "3 records …"


BUTTONS = {
    Action.ASSIGN: Button(
        word="Assign", icon="person_add", does="Say who works on it", done="assigned"
    ),
    Action.SNOOZE: Button(
        word="Snooze", icon="snooze", does="It is open again at a moment", done="snoozed"
    ),
    Action.SEND_BACK: Button(
        word="Send back",
        icon="undo",
        does="Whoever delivered the file has to correct it",
        done="back to source",
    ),
    Action.DISMISS: Button(
        word="Dismiss", icon="cancel", does="It will not be repaired", done="dismissed"
    ),
    Action.REOPEN: Button(
        word="Reopen", icon="replay", does="Somebody has to look at it again", done="open again"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """Which records a dialog is about, as they were when its button was shown."""

    filters: Filters
    quarantine_id: int | None = None  # the one, where it is one
    state: TriageState | None = None  # of that one
    version: int | None = None


def show_bar(ticked: Sequence[dict[str, Any]], filters: Filters) -> None:
    """Show what can be done with the ticked records, or with all that the filters find."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        is_all = st.toggle("All that match", key=_ALL, help="Not only those that are ticked")
        st.caption(
            "every page" if is_all else f"{len(ticked):,} ticked" if ticked else "none ticked",
            width="content",
        )
        st.space("stretch")
        chosen = dataclasses.replace(
            filters,
            ids=tuple(record["quarantine_id"] for record in ticked),
            versions=tuple(record["version"] for record in ticked),
        )
        target = Target(filters=filters if is_all else chosen)
        for action in BUTTONS:
            show_button(action, target, disabled=not (is_all or ticked), type_="secondary")
    show_dialog(None)


def show_button(
    action: Action, target: Target, *, disabled: bool = False, type_: Any = "secondary"
) -> None:
    """Show the button that opens the dialog of an action."""
    button = BUTTONS[action]
    st.button(
        button.word,
        icon=f":material/{button.icon}:",
        key=f"triage_{action}",
        help=button.does,
        disabled=disabled,
        type=type_,
        on_click=_open,
        args=(action, target),
    )


def show_dialog(quarantine_id: int | None) -> None:
    """Show the dialog that was opened for this record, or for several (None), if one was."""
    opened = st.session_state.get(_OPEN)
    if opened is not None and opened[1].quarantine_id == quarantine_id:
        action, target = opened
        title = f"{BUTTONS[action].word} records"
        if target.quarantine_id is not None:
            title = f"{BUTTONS[action].word} record {target.quarantine_id}"
        icon = f":material/{BUTTONS[action].icon}:"
        st.dialog(title, icon=icon, on_dismiss=_close)(_show_body)(action, target)


def _open(action: Action, target: Target) -> None:
    st.session_state[_OPEN] = (action, target)


def _close() -> None:
    st.session_state.pop(_OPEN, None)


def _show_body(action: Action, target: Target) -> None:
    with components.reporting("Nothing was changed"):
        seen = _show_seen(action, target)
        wish = _ask(action)
        word = BUTTONS[action].word
        if st.button(
            word if seen <= 1 else f"{word} {seen:,} records",
            type="primary",
            icon=f":material/{BUTTONS[action].icon}:",
            key="triage_go",
            disabled=not seen,
        ):
            perform(target, wish, seen=seen)
            _close()
            st.rerun()


def _show_seen(action: Action, target: Target) -> int:
    """Say how many records it changes and which stay; return how many there are."""
    if target.state is not None:
        return 1
    filters = target.filters
    counts = reads.rows(
        "queries/triage.by_state",
        **filters.parameters,
        each=list(filters.states or TriageState),
        limit=_EVERY,
    )
    leaves = MOVES[action].leaves
    will = sum(row["records"] for row in counts if row["status"] in leaves)
    stay = [row for row in counts if row["status"] not in leaves and row["records"]]
    with st.container(horizontal=True, gap="small"):
        st.metric("Records to change", f"{will:,}", border=True)
        if stay:
            st.metric("Left alone", f"{sum(row['records'] for row in stay):,}", border=True)
    for row in stay:
        why = refusal(action, TriageState(row["status"]))
        st.caption(f"{row['records']:,} stay: {why}")
    return sum(row["records"] for row in counts) if will else 0


def _ask(action: Action) -> Change:
    """Ask for what the action needs."""
    assignee, until = None, None
    if action is Action.ASSIGN:
        me = auth.current().name
        known = [row["owner"] for row in reads.rows("queries/triage_states.owners", limit=_OWNERS)]
        assignee = st.selectbox(
            "Who works on it",
            list(dict.fromkeys([me, *known])),
            format_func=lambda name: f"{name} (me)" if name == me else name,
            accept_new_options=True,
            placeholder="Nobody: it is open again",
            index=0,
            key="triage_assignee",
            help="Choose a name, or type another one; none takes it from whoever has it",
        )
    if action is Action.SNOOZE:
        until = _ask_until()
    reason = st.text_area(
        "Note" if action is Action.ASSIGN else "Reason",
        key="triage_reason",
        max_chars=REASON_CHARACTERS,
        height=96,
        placeholder="" if action is Action.ASSIGN else "Stays in the history of each record",
    )
    return Change(action=action, reason=reason, assignee=assignee, until=until)


def _ask_until() -> dt.datetime | None:
    chosen = st.pills(
        "For",
        [*_PERIODS, _ANOTHER],
        default="1 day",
        required=True,
        key="triage_period",
    )
    now = dt.datetime.now(dt.UTC)
    if chosen in _PERIODS:
        return now + dt.timedelta(days=_PERIODS[chosen])
    typed = st.datetime_input(
        "Until, UTC",
        value=(now + dt.timedelta(days=1)).replace(tzinfo=None, minute=0, second=0, microsecond=0),
        key="triage_until",
    )
    return typed.replace(tzinfo=dt.UTC) if typed else None


def perform(target: Target, wish: Change, *, seen: int = 1) -> None:
    """Do it and say what became of it.

    Raises what app.actions.triage raises.
    """
    desk = context.desk()
    if target.quarantine_id is not None:
        actions.change_record(desk, target.quarantine_id, wish, version=target.version)
        if wish.action in BUTTONS:
            st.toast(
                f"Record {target.quarantine_id} is {BUTTONS[wish.action].done}",
                icon=f":material/{BUTTONS[wish.action].icon}:",
            )
    else:
        _tell(wish.action, actions.change_records(desk, target.filters, wish, seen=seen), seen)
    nav.waiting_records.clear()


def _tell(action: Action, done: Outcome, seen: int) -> None:
    left = max(seen - done.changed_records, 0)
    st.toast(
        f"{done.changed_records:,} records are {BUTTONS[action].done}"
        + (f"; {left:,} were left alone" if left else ""),
        icon=f":material/{BUTTONS[action].icon}:",
    )
