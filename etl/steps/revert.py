"""Revert: batches of repairs are taken back; silver rows that they wrote fall to the record before.

No rule judges again: which records of the other batches are valid was decided when they were judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from etl import failpoints
from etl.db import queries, tables
from etl.errors import RevenueError
from etl.model import Batch, Step
from etl.steps.promote import promote_batches
from etl.steps.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl.execution import Execution

_READ_ROWS = 10_000


def revert(execution: Execution, remaining: Sequence[Batch]) -> int:
    """Take the run's batches back in one transaction; return how many silver rows changed.

    `remaining` is every other batch that silver is made of, in order of arrival.
    """
    dataset = execution.dataset
    execution.begin(Step.LOAD)
    identities = [batch.batch_id for batch in remaining]
    with execution.transaction() as connection:
        stage = Stage(connection, dataset, (), "", is_trial=True)
        with stage.filling():
            done = _stage_valid(execution, stage, remaining)
        refused = sum(bad for _, bad in stage.judged.values())
        if refused:
            raise RevenueError(
                f"{refused:,} records that were valid cannot be stored any more; judge everything "
                f"again with `revenue run {dataset.name} --full`, then take the repair back",
                code="revert",
            )
        queries.execute(connection, "queries/batches.lock_dataset", dataset=dataset.name)
        execution.progress(Step.LOAD, done, done, activity="writing silver")
        failpoints.hit("revert.before_write")
        queries.execute(
            connection,
            "queries/repairs.revert",
            batches=list(execution.reverts),
            run_id=execution.run_id,
        )
        deleted, restored = tables.fall_back(connection, dataset, list(execution.reverts))
        expect = {"dataset": dataset.name, "layer": "silver", "rows": -deleted}
        queries.execute(connection, "queries/checks.expect", **expect)
        execution.begin(Step.PROMOTE)
        touched = promote_batches(execution, connection, identities, is_full=True)
        execution.checkpoint(connection, Step.LOAD, done)
        execution.checkpoint(connection, Step.PROMOTE, touched)
        failpoints.hit("revert.before_commit")
    failpoints.hit("revert.after_commit")
    execution.log(
        "info",
        f"repair taken back: {deleted:,} rows left silver, {restored:,} are as before",
        step=Step.LOAD,
    )
    return deleted + restored


def _stage_valid(execution: Execution, stage: Stage, batches: Sequence[Batch]) -> int:
    """Hand on the records of batches that are neither invalid nor superseded; return how many."""
    total = sum((batch.records or 0) for batch in batches)
    done = 0
    for batch in batches:
        with execution.reading() as connection:
            found = queries.stream(
                connection,
                f"select r.position, r.record from {execution.dataset.raw_table} r "
                "where r.batch_id = :batch_id "
                "and not exists (select from dq.quarantine q "
                "where q.batch_id = r.batch_id and q.position = r.position) "
                "and not exists (select from dq.superseded s "
                "where s.batch_id = r.batch_id and s.position = r.position) "
                "order by r.position",
                batch_id=batch.batch_id,
            )
            for rows in found.partitions(_READ_ROWS):
                execution.check()
                positions = np.array([row.position for row in rows])
                stage.add_at(batch.batch_id, positions, [row.record.encode() for row in rows])
                done += len(rows)
                execution.progress(Step.LOAD, done, total, activity="reading raw")
    return done
