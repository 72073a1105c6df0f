"""Runs again: the same or with other parameters, and batches judged again from raw."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from app.actions import Desk, Started, _audit, _authorise, _landed, _queue, _transaction
from etl import datasets, reprocess
from etl.db import queries
from etl.errors import RevenueError, RunConflictError
from etl.reprocess import Choice, Touched


def run_again(
    desk: Desk,
    run_id: int,
    *,
    dataset: str | None = None,
    source_file: str | None = None,
    is_full: bool | None = None,
) -> Started:
    """Queue a run like another one; what is given is changed.

    `source_file` is a file of the landing zone, by name; without one the run takes all that waits.
    A run that judged batches again judges the same ones, as long as nothing is changed.

    Raises ForbiddenError, BusyError, RunConflictError when there is no such run, RevenueError for
    an unknown feed or a file that is not there.
    """
    _authorise(desk, "run.again", f"run {run_id}")
    source = None if source_file is None else _landed(desk.settings, source_file)
    with _transaction(desk) as connection:
        before = _one(connection, run_id)
        if before["predicts"] is not None:
            raise RunConflictError(
                f"run {run_id} only tried rules; they are tried again where they are drafted"
            )
        feed = datasets.get(before["dataset"] if dataset is None else dataset).name
        full = before["is_full"] if is_full is None else is_full
        is_same = feed == before["dataset"] and source is None
        batches = before["batches"] if is_same else None
        if batches is not None and is_full is not None and is_full:
            batches = None  # every batch, not these
        started = _queue(
            connection,
            desk,
            feed,
            trigger="again",
            source_file=source,
            # a run that had to widen may not have to this time
            is_full=full if batches is None else False,
            batches=batches,
            again_of=run_id,
        )
        _audit(
            connection,
            desk.operator,
            "run.again",
            f"run {started.run_id}",
            before={
                "run_id": run_id,
                "dataset": before["dataset"],
                "source_file": before["source_file"],
                "is_full": before["is_full"],
                "batches": before["batches"],
            },
            after={
                "dataset": feed,
                "source_file": source_file,
                "is_full": full,
                "batches": batches,
                "is_new": started.is_new,
            },
        )
    return started


def preview_reprocess(desk: Desk, choice: Choice) -> Touched:
    """Return what a choice touches, before anything happens.

    Raises RevenueError when it cannot be judged again.
    """
    with desk.engine.connect() as connection:
        return reprocess.touched(connection, choice)


def reprocess_batches(desk: Desk, choice: Choice) -> Started:
    """Queue a run that judges the chosen batches again from raw, by the rules of then.

    Raises ForbiddenError, BusyError, RevenueError when nothing fits the choice.
    """
    _authorise(desk, "run.reprocess", f"dataset {choice.dataset}")
    with _transaction(desk) as connection:
        touched = reprocess.touched(connection, choice)
        if not touched.batches:
            raise RevenueError(
                "no loaded batch fits this choice; choose a longer period", code="reprocess"
            )
        # every batch of today, and those that come until the run starts
        batches = None if choice.is_everything else list(touched.batches)
        started = _queue(
            connection,
            desk,
            choice.dataset,
            trigger="reprocess",
            is_full=choice.is_everything,
            batches=batches,
        )
        _audit(
            connection,
            desk.operator,
            "run.reprocess",
            f"run {started.run_id}",
            after={
                "dataset": choice.dataset,
                "batches": batches,
                "first_day": choice.first_day and choice.first_day.isoformat(),
                "last_day": choice.last_day and choice.last_day.isoformat(),
                "records": touched.records,
                "is_new": started.is_new,
            },
        )
    return started


def _one(connection: Connection, run_id: int) -> dict[str, Any]:
    row = queries.row(connection, "queries/runs.one", run_id=run_id)
    if row is None:
        raise RunConflictError(f"there is no run {run_id}; `revenue runs list` shows them")
    return row
