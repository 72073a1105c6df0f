"""Batches that a rule's limit stopped: let pass once, judged again, or discarded for good."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from app.actions import Desk, Started, _audit, _authorise, _queue, _storable, _transaction
from app.auth import Role
from etl.db import queries
from etl.errors import RevenueError

REASON_CHARACTERS = 500


def let_pass(desk: Desk, batch_id: int, *, reason: str) -> Started:
    """Queue a run that loads a stopped batch in spite of its limits.

    Its invalid records still go to the queue. Rows that later batches wrote are not overwritten.

    Raises ForbiddenError, BusyError, RevenueError when it is not stopped (any more) or no reason
    is given.
    """
    return _take_up(desk, batch_id, "batch.let_pass", Role.STEWARD, given=reason)


def judge_again(desk: Desk, batch_id: int) -> Started:
    """Queue a run that judges a stopped batch by the rules and limits of then.

    It is stopped again where it still reaches one; whoever let it pass before is overruled.

    Raises ForbiddenError, BusyError, RevenueError when it is not stopped (any more).
    """
    return _take_up(desk, batch_id, "batch.judge_again", Role.OPERATOR, given=None)


def _take_up(desk: Desk, batch_id: int, action: str, role: Role, *, given: str | None) -> Started:
    """Queue a run for a stopped batch; with a reason it passes the limits."""
    _authorise(desk, action, f"batch {batch_id}", role)
    why = None if given is None else _reason(given)
    with _transaction(desk) as connection:
        batch = _stopped(connection, batch_id)
        queries.execute(
            connection,
            "queries/batches.let_pass",
            batch_id=batch_id,
            actor=_storable(desk.operator.name),
            reason=why,
        )
        started = _queue(
            connection, desk, batch["dataset"], trigger="reprocess", batches=[batch_id]
        )
        _audit(
            connection,
            desk.operator,
            action,
            f"batch {batch_id}",
            before={"status": batch["status"], "reason": batch["reason"]},
            after={"reason": why, "run_id": started.run_id, "is_new": started.is_new},
        )
    return started


def discard(desk: Desk, batch_id: int, *, reason: str) -> None:
    """Let a stopped batch stay out of silver for good; raw keeps its records.

    Raises ForbiddenError, BusyError, RevenueError when it is not stopped (any more) or no reason
    is given.
    """
    _authorise(desk, "batch.discard", f"batch {batch_id}", Role.STEWARD)
    why = _reason(reason)
    with _transaction(desk) as connection:
        batch = _stopped(connection, batch_id)
        queries.execute(
            connection,
            "queries/batches.discard",
            batch_id=batch_id,
            actor=_storable(desk.operator.name),
            reason=why,
        )
        _audit(
            connection,
            desk.operator,
            "batch.discard",
            f"batch {batch_id}",
            before={"status": batch["status"], "reason": batch["reason"]},
            after={"status": "discarded", "reason": why},
        )


def _reason(given: str) -> str:
    why = _storable(" ".join(given.split()))[:REASON_CHARACTERS]
    if not why:
        raise RevenueError("say why, in a few words: the history shows it", code="reason")
    return why


def _stopped(connection: Connection, batch_id: int) -> dict[str, Any]:
    """Hold a stopped batch.

    Raises RevenueError when there is none of this number.
    """
    batch = queries.row(connection, "queries/batches.hold_one", batch_id=batch_id)
    if batch is None:
        raise RevenueError(f"there is no batch {batch_id}", code="batch_state")
    if batch["status"] != "stopped":
        raise RevenueError(
            f"batch {batch_id} is {batch['status']}: it does not wait for a decision any more; "
            "open the page again",
            code="batch_state",
        )
    return batch
