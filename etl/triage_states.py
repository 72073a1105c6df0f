"""States of invalid records: who works on them, and what was decided.

A change is one statement over all records that its filters find. It moves those whose state allows
it, writes a dq.triage_event for each, and says how many it found and left alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from etl.db import queries
from etl.errors import RevenueError

WAKE_SECONDS = 30.0  # how often snoozed records are looked at
REASON_CHARACTERS = 1_000
NAME_CHARACTERS = 100
SNOOZE_DAYS = 366  # at most


class TriageError(RevenueError):
    """A record cannot be changed as wished."""

    code = "triage"


class TriageConflictError(TriageError):
    """Somebody was faster: what is there is no longer what was seen."""

    code = "triage_conflict"


class TriageState(StrEnum):
    """Where a queue item stands; dq.unfinished() gives the first four."""

    OPEN = "open"
    ASSIGNED = "assigned"
    SNOOZED = "snoozed"
    BACK_TO_SOURCE = "back_to_source"
    FIXED = "fixed"
    DISMISSED = "dismissed"
    SUPERSEDED = "superseded"

    @property
    def is_closed(self) -> bool:
        return self in {TriageState.FIXED, TriageState.DISMISSED, TriageState.SUPERSEDED}


UNFINISHED = tuple(state for state in TriageState if not state.is_closed)
CLOSED = tuple(state for state in TriageState if state.is_closed)


# What may be done -----------------------------------------------------------------------


class Action(StrEnum):
    """What a person does to invalid records; each is an action of dq.triage_event."""

    ASSIGN = "assign"  # to nobody: it is open again
    SNOOZE = "snooze"
    SEND_BACK = "send_back"
    DISMISS = "dismiss"
    REOPEN = "reopen"
    COMMENT = "comment"


@dataclass(frozen=True, kw_only=True)
class Move:
    """One action: the states it may leave, and the one it leads to."""

    leaves: tuple[TriageState, ...]
    to: TriageState | None  # None: the state stays
    needs_reason: bool = True


MOVES: Mapping[Action, Move] = {
    Action.ASSIGN: Move(leaves=UNFINISHED, to=TriageState.ASSIGNED, needs_reason=False),
    Action.SNOOZE: Move(leaves=UNFINISHED, to=TriageState.SNOOZED),
    Action.SEND_BACK: Move(
        leaves=(TriageState.OPEN, TriageState.ASSIGNED, TriageState.SNOOZED),
        to=TriageState.BACK_TO_SOURCE,
    ),
    Action.DISMISS: Move(leaves=UNFINISHED, to=TriageState.DISMISSED),
    Action.REOPEN: Move(
        leaves=(*CLOSED, TriageState.SNOOZED, TriageState.BACK_TO_SOURCE), to=TriageState.OPEN
    ),
    Action.COMMENT: Move(leaves=tuple(TriageState), to=None),
}
"""Every transition that a person may make; runs close records, and snoozed ones wake by themselves."""

_RELEASE = Move(
    leaves=(TriageState.OPEN, TriageState.ASSIGNED), to=TriageState.OPEN, needs_reason=False
)


def refusal(action: Action, state: TriageState) -> str:
    """Return why a record in this state cannot be changed so, in words."""
    word = state.replace("_", " ")
    if state.is_closed:
        return f"it is {word}: only reopening leaves that state"
    if action is Action.REOPEN:
        return f"it is {word}: there is nothing to reopen"
    if action is Action.ASSIGN:
        return f"it is {word}: nobody works on it"
    return f"it is {word} already"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What shall be done, and why. Made by `check`ed input only where it comes from a person."""

    action: Action
    reason: str = ""  # of a comment: the comment
    assignee: str | None = None  # of an assignment; None: nobody any more
    until: dt.datetime | None = None  # of a snooze

    @property
    def move(self) -> Move:
        if self.action is Action.ASSIGN and self.assignee is None:
            return _RELEASE
        return MOVES[self.action]

    @property
    def note(self) -> str | None:
        """What the history says: to whom, until when, and why."""
        told = self.reason or None
        if self.action is Action.ASSIGN:
            told = f"to {self.assignee}" if self.assignee else "to nobody"
        elif self.until is not None:
            told = f"until {self.until.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
        return told if told == self.reason or not self.reason else f"{told}: {self.reason}"

    def check(self, now: dt.datetime) -> None:
        """Raise TriageError where a part is missing or makes no sense."""
        if self.move.needs_reason and not self.reason.strip():
            what = "a text" if self.action is Action.COMMENT else "a reason"
            raise TriageError(f"write {what}: it stays in the history of the record")
        if len(self.reason) > REASON_CHARACTERS:
            raise TriageError(f"at most {REASON_CHARACTERS:,} characters; shorten the text")
        if self.assignee is not None and not 0 < len(self.assignee.strip()) <= NAME_CHARACTERS:
            raise TriageError(f"name who shall work on it, in 1 to {NAME_CHARACTERS} characters")
        if self.action is Action.SNOOZE:
            latest = now + dt.timedelta(days=SNOOZE_DAYS)
            if self.until is None or not now < self.until <= latest:
                raise TriageError(
                    f"choose a moment that is still to come, within {SNOOZE_DAYS} days"
                )


# Which records --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which invalid records are meant; None: all. `since` is inclusive, `until` is not."""

    dataset: str | None = None
    states: tuple[str, ...] | None = None
    rule_id: int | None = None
    search: str | None = None  # part of the key
    file: str | None = None  # part of the name
    batch_id: int | None = None
    run_id: int | None = None
    owner: str | None = None
    is_unowned: bool = False
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    ids: tuple[int, ...] | None = None
    versions: tuple[int, ...] | None = None  # of `ids`, as they were seen

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }

    @property
    def words(self) -> dict[str, Any]:
        """What is filtered, for the audit: only what is given, as JSON."""
        return {
            name: value.isoformat() if isinstance(value, dt.datetime) else value
            for name, value in self.parameters.items()
            if value is not None and value is not False and name != "versions"
        }


# Changes --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a change did, by the state that the records were in."""

    changed: Mapping[str, int]
    left: Mapping[str, int]  # their state does not allow it

    @property
    def changed_records(self) -> int:
        return sum(self.changed.values())

    @property
    def left_records(self) -> int:
        return sum(self.left.values())

    @property
    def found(self) -> int:
        return self.changed_records + self.left_records


def change(connection: Connection, filters: Filters, wish: Change, *, actor: str) -> Outcome:
    """Change every record that the filters find and whose state allows it.

    Raises TriageError where the wish makes no sense.
    """
    wish.check(queries.value(connection, "queries/checks.clock"))
    move = wish.move
    found = queries.rows(
        connection,
        "queries/triage.change",
        **filters.parameters,
        leaves=list(move.leaves),
        to_status=move.to,
        is_assigning=wish.action is Action.ASSIGN,
        assignee=wish.assignee,
        snoozed_until=wish.until,
        reason=None if wish.action is Action.COMMENT else wish.reason or None,
        note=wish.note,
        action=wish.action,
        actor=actor,
    )
    return Outcome(
        changed={row["status"]: row["changed"] for row in found if row["changed"]},
        left={row["status"]: row["found"] for row in found if not row["changed"]},
    )


def change_one(
    connection: Connection,
    quarantine_id: int,
    wish: Change,
    *,
    version: int | None = None,
    actor: str,
) -> Outcome:
    """Change one record, as long as it is in the `version` that was seen; None: in any.

    Raises TriageError where its state does not allow it or the wish makes no sense,
    TriageConflictError when somebody was faster.
    """
    chosen = Filters(ids=(quarantine_id,), versions=None if version is None else (version,))
    done = change(connection, chosen, wish, actor=actor)
    if done.changed_records:
        return done
    for state in done.left:
        raise TriageError(
            f"record {quarantine_id} stays as it is: {refusal(wish.action, TriageState(state))}"
        )
    item = queries.row(connection, "queries/triage_states.item", quarantine_id=quarantine_id)
    if item is None:
        raise TriageConflictError(
            f"there is no invalid record {quarantine_id} any more: judged again, it is valid"
        )
    owner = f" to {item['assigned_to']}" if item["status"] == TriageState.ASSIGNED else ""
    raise TriageConflictError(
        f"somebody was faster: record {quarantine_id} changed since you opened it and is now "
        f"{item['status'].replace('_', ' ')}{owner}; look at it again"
    )


def wake(connection: Connection, now: dt.datetime | None = None) -> int:
    """Open the snoozed records whose time has come; `now` is the database's clock. Return how many."""
    return int(queries.value(connection, "queries/triage_states.wake", now=now))
