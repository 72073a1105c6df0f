"""Decisions about invalid records: one, some, or all that the filters of the list find."""

from __future__ import annotations

import dataclasses
from typing import Any

from app.actions import Desk, _audit, _authorise, _storable, _transaction
from app.auth import Role
from etl import triage_states
from etl.db import queries
from etl.triage_states import Change, Filters, Outcome, TriageConflictError

GROWTH = 0.1  # of what was seen, beyond which a bulk change is refused
GROWTH_RECORDS = 10  # always let pass


def change_record(
    desk: Desk, quarantine_id: int, wish: Change, *, version: int | None = None
) -> None:
    """Change one record, as long as nobody changed it since its `version` was seen; None: even so.

    Raises ForbiddenError, BusyError, TriageError where its state does not allow it or a part of the
    wish is missing, TriageConflictError when somebody was faster.
    """
    on = f"record {quarantine_id}"
    _authorise(desk, _name(wish), on, Role.STEWARD)
    wish = _kept(wish)
    with _transaction(desk) as connection:
        before = queries.row(connection, "queries/triage_states.item", quarantine_id=quarantine_id)
        triage_states.change_one(
            connection,
            quarantine_id,
            wish,
            version=version,
            actor=_storable(desk.operator.name),
        )
        after = queries.row(connection, "queries/triage_states.item", quarantine_id=quarantine_id)
        _audit(
            connection,
            desk.operator,
            _name(wish),
            on,
            before=_state(before),
            after={**_state(after), "note": wish.note},
        )


def change_records(desk: Desk, filters: Filters, wish: Change, *, seen: int) -> Outcome:
    """Change every record that the filters find and whose state allows it; all or none.

    `seen` is how many of them the person saw. It is refused when there are more than a tenth (and
    more than ten) beyond that by now: nobody decided about those. Records that somebody changed
    since (where `filters` names versions), or whose state does not allow it, are left alone.

    Raises ForbiddenError, BusyError, TriageError where a part of the wish is missing,
    TriageConflictError when there are many more than were seen.
    """
    on = f"up to {seen:,} records"
    _authorise(desk, _name(wish), on, Role.STEWARD)
    wish = _kept(wish)
    with _transaction(desk) as connection:
        done = triage_states.change(connection, filters, wish, actor=_storable(desk.operator.name))
        if done.found - seen > max(GROWTH_RECORDS, seen * GROWTH):
            raise TriageConflictError(
                f"there are {done.found:,} such records by now, {seen:,} when you looked; "
                "nothing was changed: look again and decide about all of them"
            )
        _audit(
            connection,
            desk.operator,
            _name(wish),
            f"{done.changed_records:,} records",
            before={"states": dict(done.changed), "left_alone": dict(done.left)},
            after={
                "status": wish.move.to,
                "note": wish.note,
                "filters": filters.words,
                "seen": seen,
            },
        )
    return done


def _name(wish: Change) -> str:
    return f"triage.{wish.action}"


def _kept(wish: Change) -> Change:
    """Return the wish as it may be stored."""
    return dataclasses.replace(
        wish,
        reason=_storable(wish.reason.strip()),
        assignee=None if wish.assignee is None else _storable(wish.assignee.strip()),
    )


def _state(item: dict[str, Any] | None) -> dict[str, Any]:
    if item is None:
        return {}
    until = item["snoozed_until"]
    return {
        "status": item["status"],
        "assigned_to": item["assigned_to"],
        "snoozed_until": until.isoformat() if until else None,
    }
