"""The queue and the history of runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from etl import datasets
from etl.db import queries
from etl.errors import RunConflictError
from etl.masking import mask
from etl.model import Step
from etl.pace import pace


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A run that a worker took."""

    run_id: int
    dataset: str
    source_file: str | None
    is_full: bool
    batches: list[int] | None
    attempt: int
    requested_by: str
    trigger: str
    until: str | None = None  # last step, as asked for
    reverts: list[int] | None = None  # batches of repairs that it takes back
    predicts: int | None = None  # prediction to work out


def enqueue(
    connection: Connection,
    dataset: str,
    *,
    actor: str,
    trigger: str = "manual",
    source_file: str | None = None,
    is_full: bool = False,
    schedule_id: int | None = None,
    planned_at: dt.datetime | None = None,
    batches: Sequence[int] | None = None,
    again_of: int | None = None,
    reverts: Sequence[int] | None = None,
    predicts: int | None = None,
) -> int | None:
    """Put a run into the queue; None when the schedule's time is queued already."""
    datasets.get(dataset)
    _require_public(source_file)
    return queries.value(  # type: ignore[no-any-return]
        connection,
        "queries/runs.enqueue",
        dataset=dataset,
        trigger=trigger,
        source_file=source_file,
        is_full=is_full,
        requested_by=actor,
        schedule_id=schedule_id,
        planned_at=planned_at,
        batches=None if batches is None else list(batches),
        again_of=again_of,
        reverts=None if reverts is None else list(reverts),
        predicts=predicts,
    )


def _require_public(path: str | None) -> None:
    """Refuse a path that the history must not show.

    Raises RunConflictError.
    """
    if path is not None and mask(path) != path:
        raise RunConflictError("the file's path holds a secret, which runs would show; rename it")


def claim(engine: Engine, worker_id: int, run_id: int | None = None) -> Claim | None:
    """Take the next run whose feed is idle (or just `run_id`)."""
    with engine.begin() as connection:
        queries.execute(connection, "queries/runs.claim_lock")
        row = queries.row(connection, "queries/runs.claim", worker_id=worker_id, run_id=run_id)
    return Claim(**row) if row else None


def begin(
    engine: Engine,
    worker_id: int,
    dataset: str,
    *,
    actor: str,
    source_file: str | None,
    is_full: bool,
    until: Step | None = None,
    batches: Sequence[int] | None = None,
) -> Claim | None:
    """Start a foreground run at once; None while the feed is busy.

    Raises RunConflictError for a full run that shall stop early: it loads and promotes at once.
    """
    if is_full and until not in {None, Step.ARCHIVE}:
        raise RunConflictError("a full run takes all steps at once; leave out one of both")
    _require_public(source_file)
    with engine.begin() as connection:
        queries.execute(connection, "queries/runs.claim_lock")
        row = queries.row(
            connection,
            "queries/runs.begin",
            worker_id=worker_id,
            dataset=dataset,
            trigger="command" if batches is None else "reprocess",
            source_file=source_file,
            is_full=is_full,
            until=until.value if until else None,
            batches=None if batches is None else list(batches),
            requested_by=actor,
        )
    return Claim(**row) if row else None


def mark_lost(engine: Engine, *, silence: float, attempts: int) -> list[dict[str, Any]]:
    """Mark runs of dead workers as lost (or failed after too many attempts)."""
    with engine.begin() as connection:
        queries.execute(connection, "queries/runs.claim_lock")
        found = queries.rows(
            connection, "queries/runs.mark_lost", silence=silence, attempts=attempts
        )
        for row in found:
            queries.execute(
                connection, "queries/runs.stop_steps", run_id=row["run_id"], status="lost"
            )
    return found


def cancel(connection: Connection, run_id: int, *, actor: str) -> str:
    """Ask a run to stop; return its status now.

    Raises RunConflictError when it is over already or does not exist.
    """
    row = queries.row(connection, "queries/runs.request_cancel", run_id=run_id, actor=actor)
    if row is None:
        raise RunConflictError(_state(connection, run_id, "cancelled while queued or running"))
    return str(row["status"])


def resume(connection: Connection, run_id: int) -> None:
    """Put a failed, cancelled or lost run back into the queue; it goes on from its checkpoint.

    Raises RunConflictError when it is in another state or does not exist.
    """
    if queries.row(connection, "queries/runs.requeue", run_id=run_id) is None:
        raise RunConflictError(
            _state(connection, run_id, "resumed once it failed, was cancelled or was lost")
        )


def _state(connection: Connection, run_id: int, allowed: str) -> str:
    row = queries.row(connection, "queries/runs.one", run_id=run_id)
    if row is None:
        return f"there is no run {run_id}; `revenue runs list` shows them"
    return f"run {run_id} is {row['status']}; a run can only be {allowed}"


def show(connection: Connection, run_id: int) -> dict[str, Any]:
    """Return one run whole: its row, steps and batches.

    `batches` are those that it took and those that it judged again; `chosen_batches` the ids of
    those that it was asked to judge again, None without such a choice.

    Raises RunConflictError when there is none.
    """
    row = queries.row(connection, "queries/runs.one", run_id=run_id)
    if row is None:
        raise RunConflictError(f"there is no run {run_id}; `revenue runs list` shows them")
    return {
        **row,
        "chosen_batches": row["batches"],
        "steps": [
            _paced(step) for step in queries.rows(connection, "queries/runs.steps", run_id=run_id)
        ],
        "batches": queries.rows(
            connection, "queries/runs.batches", run_id=run_id, batches=row["batches"]
        ),
    }


def _paced(step: dict[str, Any]) -> dict[str, Any]:
    """Return a step with `rate` (records a second) and `seconds_left`, None where not known."""
    found = pace(
        before=step["attempted_records"],
        reached=step["reached_records"],
        total=step["total_records"],
        seconds=step["seconds"],
    )
    is_running = step["status"] == "running"
    return {
        **step,
        "rate": found.rate,
        "seconds_left": found.seconds_left if is_running else None,
    }
