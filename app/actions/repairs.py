"""Repairs: edited records are rehearsed and replayed; a repair is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app import metrics, report
from app.actions import (
    _PATIENCE_MS,
    Desk,
    Started,
    _audit,
    _authorise,
    _impatient,
    _queue,
    _transaction,
)
from app.auth import Role
from app.cube import Filters
from etl import datasets, repair
from etl.repair import Edit, Rehearsal, RepairError, Verdict


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A repair and the run that takes it."""

    repair_id: int
    run_id: int
    records: int
    left: tuple[tuple[int, str], ...]  # queue items that are still invalid, with their reasons


def judge(desk: Desk, dataset: str, records: Sequence[str]) -> list[str | None]:
    """Return the reasons of each record by the rules of now, None for a valid one.

    Raises RepairError when one is not a JSON object.
    """
    texts = repair.check_texts(records)
    with desk.engine.connect() as connection:
        return repair.judge(connection, datasets.get(dataset), texts)


def examine(desk: Desk, dataset: str, record: str) -> Verdict:
    """Return what the rules of now say of one record, rule by rule.

    Raises RepairError when it is not a JSON object.
    """
    text = repair.check_text(record)
    with desk.engine.connect() as connection:
        return repair.examine(connection, datasets.get(dataset), text)


def rehearse(
    desk: Desk, dataset: str, edits: Sequence[Edit]
) -> Rehearsal[dict[str, metrics.Number | None]]:
    """Return what the replay of these records will do, with every metric before and after.

    Records that are still invalid are named, and change nothing else.

    Raises ForbiddenError, BusyError, RepairError.
    """
    _authorise(desk, "repair.rehearse", f"dataset {dataset}", Role.STEWARD)
    feed = datasets.get(dataset)
    with _impatient():
        return repair.rehearse(
            desk.engine,
            desk.settings,
            feed,
            edits,
            measure=lambda connection: report.kpis(connection, Filters()),
            patience_ms=_PATIENCE_MS,
        )


def replay(
    desk: Desk,
    dataset: str,
    edits: Sequence[Edit],
    *,
    reason: str,
    operation: str | None = None,
    recipe_id: int | None = None,
) -> Replayed:
    """Make a batch of the edited records that are valid now, and queue the run that takes it.

    Raises ForbiddenError, BusyError, RepairError when none is valid, or `repair.submit` refuses.
    """
    _authorise(desk, "repair.replay", f"dataset {dataset}", Role.STEWARD)
    feed = datasets.get(dataset)
    reasons = judge(desk, dataset, [edit.record for edit in edits])
    left = tuple(
        (edit.quarantine_id, reason)
        for edit, reason in zip(edits, reasons, strict=True)
        if reason is not None
    )
    valid = [edit for edit, reason in zip(edits, reasons, strict=True) if reason is None]
    if edits and not valid:
        raise RepairError(f"still invalid: {left[0][1]}")
    with _transaction(desk) as connection:
        made = repair.submit(
            connection,
            feed,
            valid,
            reason=reason,
            actor=desk.operator.name,
            operation=operation,
            recipe_id=recipe_id,
        )
        started = _queue(connection, desk, feed.name, trigger="repair")
        _audit(
            connection,
            desk.operator,
            "repair.replay",
            f"repair {made.repair_id}",
            after={
                "dataset": feed.name,
                "records": made.records,
                "batch_id": made.batch_id,
                "run_id": started.run_id,
                "reason": reason,
                "operation": operation,
            },
        )
    return Replayed(
        repair_id=made.repair_id, run_id=started.run_id, records=made.records, left=left
    )


def take_back(desk: Desk, repair_id: int, *, reason: str) -> Started:
    """Queue the run that takes a repair back.

    Raises ForbiddenError, BusyError, RepairError.
    """
    _authorise(desk, "repair.take_back", f"repair {repair_id}", Role.STEWARD)
    with _transaction(desk) as connection:
        run_id, dataset = repair.ask_revert(
            connection, repair_id, reason=reason, actor=desk.operator.name
        )
        _audit(
            connection,
            desk.operator,
            "repair.take_back",
            f"repair {repair_id}",
            after={"run_id": run_id, "reason": reason},
        )
    return Started(run_id=run_id, dataset=dataset, is_new=True)
