"""Promote: what changed in silver goes to gold, in one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from etl import failpoints
from etl.db import queries, tables
from etl.model import Step
from etl.powerbi import refresh

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etl.execution import Execution


def promote(execution: Execution) -> int:
    """Promote every loaded batch of the feed; return the number of gold rows touched."""
    with execution.transaction() as connection:
        queries.execute(connection, "queries/batches.lock_dataset", dataset=execution.dataset.name)
        batches = queries.value(
            connection, "queries/batches.to_promote", dataset=execution.dataset.name
        )
        touched = promote_batches(execution, connection, batches) if batches else 0
        execution.checkpoint(connection, Step.PROMOTE, touched)
        failpoints.hit("promote.before_commit")
    failpoints.hit("promote.after_commit")
    return touched


def promote_batches(
    execution: Execution, connection: Connection, batches: Sequence[int], *, is_full: bool = False
) -> int:
    """Bring the silver rows of these batches to gold inside the caller's transaction.

    `is_full`: the batches are all there are, and gold loses what silver lost. Returns the number of
    gold rows touched.
    """
    dataset = execution.dataset
    touched = more = rolled_up = 0
    execution.progress(Step.PROMOTE, 0, activity="waiting for gold")
    queries.execute(connection, "queries/batches.lock_gold")
    statements = [
        one for one in dataset.promote if not (one.only_changes if is_full else one.only_full)
    ]
    for number, promotion in enumerate(statements, start=1):
        execution.check()
        name = promotion.statement.replace("_", " ")
        execution.progress(
            Step.PROMOTE, touched, activity=f"{name} ({number} of {len(statements)})"
        )
        bulk = (
            tables.bulk_load(connection, promotion.bulk)
            if promotion.bulk
            else contextlib.nullcontext()
        )
        with bulk:
            done = queries.execute(
                connection,
                f"gold/{promotion.subject or dataset.name}.{promotion.statement}",
                batches=list(batches),
            )
        if promotion.follows:
            rolled_up += max(done.rowcount, 0)
        if promotion.remembers or promotion.follows:
            continue
        touched += max(done.rowcount, 0)
        more += max(done.rowcount, 0) if promotion.adds_rows else 0
    if is_full and any(promotion.adds_rows for promotion in dataset.promote):
        queries.execute(connection, "queries/checks.expect_all_of_silver", dataset=dataset.name)
    elif more:
        expect = {"dataset": dataset.name, "layer": "gold", "rows": more}
        queries.execute(connection, "queries/checks.expect", **expect)
    queries.execute(connection, "queries/batches.promoted", batches=list(batches))
    queries.execute(connection, "queries/batches.move_gold_watermark")
    if touched or rolled_up:
        queries.execute(connection, "queries/batches.gold_changed", dataset=dataset.name)
        refresh.after_run(
            connection,
            execution.settings,
            actor=execution.requested_by,
            run_id=execution.run_id,
        )
    return touched
