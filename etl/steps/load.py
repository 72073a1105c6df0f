"""Load: judged records go to silver or quarantine, and the watermark moves, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from etl import failpoints, validate
from etl.db import queries, tables
from etl.errors import RevenueError
from etl.model import Batch, Step

if TYPE_CHECKING:
    from etl.engine import Execution


def load(execution: Execution, connection: Connection, batch: Batch) -> dict[str, int]:
    """Move the staged records of the batch; return its counts by name.

    `connection` is in the transaction that filled the stage; the caller commits it.
    """
    dataset = execution.dataset
    queries.execute(connection, "queries/batches.lock_dataset", dataset=dataset.name)
    current = queries.row(connection, "queries/batches.lock", batch_id=batch.batch_id)
    if current is None or current["status"] != "extracted":
        raise RevenueError(f"batch {batch.batch_id} is not waiting to be loaded", code="batch_state")
    failpoints.hit("load.before_merge")
    staged = queries.row(connection, "queries/quality.count_staged")
    assert staged is not None
    if staged["valid"] + staged["invalid"] != current["records"]:
        raise RevenueError(
            f"batch {batch.batch_id}: {staged['valid'] + staged['invalid']} records were judged, "
            f"raw holds {current['records']}",
            code="ledger",
        )
    queries.execute(
        connection,
        "queries/quality.quarantine",
        dataset=dataset.name,
        batch_id=batch.batch_id,
        rule_set=execution.rule_set,
    )
    queries.execute(connection, "queries/quality.keep_violations", batch_id=batch.batch_id)
    queries.execute(connection, "queries/quality.count_violations", batch_id=batch.batch_id)
    superseded = tables.supersede(connection, dataset, batch.batch_id)
    _count_references(execution, connection, batch)
    inserted, updated = tables.merge(connection, dataset, batch.batch_id)
    failpoints.hit("load.after_merge")
    valid = staged["valid"] - superseded
    counts = {
        "valid_records": valid,
        "invalid_records": staged["invalid"],
        "superseded_records": superseded,
        "inserted_rows": inserted,
        "updated_rows": updated,
        "unchanged_rows": valid - inserted - updated,
        "warning_records": queries.value(
            connection, "queries/quality.warnings", batch_id=batch.batch_id
        ),
    }
    queries.execute(
        connection,
        "queries/batches.loaded",
        batch_id=batch.batch_id,
        run_id=execution.run_id,
        **counts,
    )
    queries.execute(
        connection,
        "queries/batches.move_watermark",
        dataset=dataset.name,
        pipeline_name=dataset.watermark,
    )
    execution.checkpoint(connection, Step.LOAD, int(current["records"]))
    return counts


def _count_references(execution: Execution, connection: Connection, batch: Batch) -> None:
    for rule in execution.rules:
        if rule.kind != validate.REFERENCES:
            continue
        table, column = rule.parameters["table"], rule.parameters["column"]
        missing = connection.execute(
            text(
                f"select count(*) from {tables.STAGE} s where s.dq_errors is null "
                f"and not exists (select from {tables.identifier(table)} r "
                f"where r.{tables.identifier(column)} = s.{rule.column})"
            )
        ).scalar()
        queries.execute(
            connection,
            "queries/quality.count_reference",
            batch_id=batch.batch_id,
            rule_id=rule.rule_id,
            rule_version=rule.version,
            severity=rule.severity.value,
            records=missing,
        )
