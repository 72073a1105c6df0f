"""Load: judged records go to silver or quarantine, and the watermark moves, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from etl import failpoints, limits, validate
from etl.db import queries, tables
from etl.errors import LimitReachedError, RevenueError
from etl.model import Batch, Dataset, Rule, Step

if TYPE_CHECKING:
    from etl.execution import Execution
    from etl.steps.stage import Stage

Counts = dict[str, int]
"""Records and rows of a batch by the names of etl.batch."""
Fired = dict[str, Any]
"""A row of dq.rule_count: how often a rule fired in a batch."""


def records_of(counts: Mapping[int, Counts]) -> int:
    """Return how many records these batches hold."""
    return sum(
        count["valid_records"] + count["invalid_records"] + count["superseded_records"]
        for count in counts.values()
    )


def load(
    execution: Execution,
    connection: Connection,
    batches: Sequence[Batch],
    stage: Stage,
    *,
    is_again: bool = False,
    is_whole: bool = False,
) -> dict[int, Counts]:
    """Move the staged records of the batches; return each batch's counts.

    `connection` is in the transaction that filled the stage; the caller commits it. `is_again`: the
    batches were loaded before, and the stage settles their keys; `is_whole`: it holds every loaded
    batch, and silver becomes what the stage says.

    Raises LimitReachedError for a batch that a rule's limit keeps from silver.
    """
    dataset = execution.dataset
    identities = [batch.batch_id for batch in batches]
    queries.execute(connection, "queries/batches.lock_dataset", dataset=dataset.name)
    on_the_way = _require_state(
        connection,
        identities,
        {"loaded", "promoted", "stopped"} if is_again else {"extracted"},
        stage.judged,
    )
    judged = sum(sum(found) for found in stage.judged.values())
    execution.progress(Step.LOAD, judged, judged, activity="writing silver")
    failpoints.hit("load.before_merge")
    connection.exec_driver_sql("set local work_mem = '256MB'")  # each key of the stage is hashed
    if is_again:
        queries.execute(connection, "queries/quality.forget_quarantine", batches=identities)
        queries.execute(connection, "queries/quality.quarantine_again")
    tables.supersede(connection, dataset)
    tables.remember_superseded(connection)
    fired = _count_violations(execution, connection, stage)
    _keep_limits(execution.rules, on_the_way, fired)
    if is_again:
        tables.remember_unfounded(connection, dataset, identities)
        tables.keep_newest(connection, dataset)
        if is_whole:
            tables.remove_unstaged(connection, dataset)
        tables.merge_again(connection, dataset, identities)
    else:
        tables.merge(connection, dataset)
    failpoints.hit("load.after_merge")
    _settle_queue(connection, dataset, identities, is_again=is_again)
    counts = _counts(execution, connection, stage.judged)
    for batch_id, count in counts.items():
        queries.execute(
            connection,
            "queries/batches.loaded",
            batch_id=batch_id,
            run_id=execution.run_id,
            **count,
        )
    if is_whole:  # silver is what the stage says, whatever was lost before
        queries.execute(connection, "queries/checks.expect_the_stage", dataset=dataset.name)
    else:
        more = sum(count["inserted_rows"] for count in counts.values())
        expect = {"dataset": dataset.name, "layer": "silver", "rows": more}
        queries.execute(connection, "queries/checks.expect", **expect)
    queries.execute(
        connection,
        "queries/batches.move_watermark",
        dataset=dataset.name,
        pipeline_name=dataset.watermark,
    )
    return counts


def _settle_queue(
    connection: Connection, dataset: Dataset, batches: list[int], *, is_again: bool
) -> None:
    """Close the items that these batches repair or replace; reopen what lost its ground."""
    if is_again:
        queries.execute(connection, "queries/repairs.reopen_unfounded", batches=batches)
    queries.execute(connection, "queries/repairs.settle_fixed", batches=batches)
    queries.execute(connection, "queries/repairs.settle_copies", batches=batches)
    tables.close_older(connection, dataset)


def _require_state(
    connection: Connection,
    batches: list[int],
    states: set[str],
    judged: Mapping[int, tuple[int, int]],
) -> list[dict[str, Any]]:
    """Hold the batches; return those that have not been in silver yet.

    Raises RevenueError when one is in another state, or raw holds another number of records.
    """
    held = queries.rows(connection, "queries/batches.lock", batches=batches)
    for row in held:
        batch_id, count = row["batch_id"], sum(judged.get(row["batch_id"], (0, 0)))
        if row["status"] not in states:
            raise RevenueError(
                f"batch {batch_id} is {row['status']}; it cannot be loaded now", code="batch_state"
            )
        if count != row["records"]:
            raise RevenueError(
                f"batch {batch_id}: {count} records were judged, raw holds {row['records']}",
                code="ledger",
            )
    return [row for row in held if row["status"] in {"extracted", "stopped"}]


def _keep_limits(
    rules: Sequence[Rule], on_the_way: Sequence[Mapping[str, Any]], fired: Sequence[Fired]
) -> None:
    """Let batches pass that reach no stop limit, that somebody let pass, or that hold corrections.

    Raises LimitReachedError.
    """
    for batch in on_the_way:
        if batch["kind"] != "file" or batch["passed_at"] is not None:
            continue
        of_batch = {
            one["rule_id"]: one["records"] for one in fired if one["batch_id"] == batch["batch_id"]
        }
        found = limits.stopping(rules, of_batch, batch["records"])
        if found:
            raise LimitReachedError(
                "; ".join(one.words for one in found),
                batch_id=batch["batch_id"],
                detail=[one.as_dict() for one in found],
            )


def _counts(
    execution: Execution, connection: Connection, judged: Mapping[int, tuple[int, int]]
) -> dict[int, Counts]:
    written = tables.written(connection, execution.dataset, list(judged))
    counts = {}
    for row in queries.rows(connection, "queries/quality.verdicts", batches=list(judged)):
        batch_id = row["batch_id"]
        valid = judged[batch_id][0] - row["superseded"]
        inserted, updated = written.get(batch_id, (0, 0))
        counts[batch_id] = {
            "valid_records": valid,
            "invalid_records": judged[batch_id][1],
            "superseded_records": row["superseded"],
            "inserted_rows": inserted,
            "updated_rows": updated,
            "unchanged_rows": valid - inserted - updated,
            "warning_records": row["warnings"],
        }
    return counts


def _count_violations(execution: Execution, connection: Connection, stage: Stage) -> list[Fired]:
    """Store and return how often each rule fired; a rule that needs other rows is counted here."""
    counts: list[Fired] = []
    for index, rule in enumerate(execution.rules):
        if rule.kind == validate.REFERENCES:
            fired = without_reference(connection, rule)
        else:
            fired = {batch_id: int(found[index]) for batch_id, found in stage.fired.items()}
        counts += [
            {
                "batch_id": batch_id,
                "rule_id": rule.rule_id,
                "rule_version": rule.version,
                "severity": rule.severity.value,
                "records": records,
            }
            for batch_id, records in fired.items()
            if records
        ]
    queries.execute(connection, "queries/quality.count_violations", counts=json.dumps(counts))
    return counts


def without_reference(connection: Connection, rule: Rule) -> dict[int, int]:
    """Return, for each batch, the valid records whose value stands nowhere in the other table."""
    table, column = (tables.identifier(rule.parameters[name]) for name in ("table", "column"))
    found = connection.exec_driver_sql(
        f"select s.batch_id, count(*) from {tables.STAGE} s where not exists "
        f"(select from {table} r where r.{column} = s.{rule.column}) group by s.batch_id"
    )
    return {batch_id: records for batch_id, records in found}  # noqa: C416 - rows are no pairs
