"""Promote: what changed in silver goes to gold, in one transaction."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from etl import failpoints
from etl.db import queries, tables
from etl.model import Step

if TYPE_CHECKING:
    from etl.engine import Execution


def promote(execution: Execution) -> int:
    """Promote every loaded batch of the feed; return the number of gold rows touched."""
    dataset = execution.dataset
    touched = 0
    with execution.transaction() as connection:
        queries.execute(connection, "queries/batches.lock_dataset", dataset=dataset.name)
        queries.execute(connection, "queries/batches.lock_gold")
        batches = queries.value(connection, "queries/batches.to_promote", dataset=dataset.name)
        if batches:
            for promotion in dataset.promote:
                execution.check()
                bulk = (
                    tables.bulk_load(connection, promotion.bulk)
                    if promotion.bulk
                    else contextlib.nullcontext()
                )
                with bulk:
                    done = queries.execute(
                        connection, f"gold/{dataset.name}.{promotion.statement}", batches=batches
                    )
                touched += max(done.rowcount, 0)
            queries.execute(connection, "queries/batches.promoted", batches=batches)
            queries.execute(connection, "queries/batches.move_gold_watermark")
            if touched:
                queries.execute(connection, "queries/batches.gold_changed", dataset=dataset.name)
        execution.checkpoint(connection, Step.PROMOTE, touched)
        failpoints.hit("promote.before_commit")
    failpoints.hit("promote.after_commit")
    return touched
