"""Judge again: loaded batches are read from raw, and silver and gold follow, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from etl import failpoints
from etl.db import queries, tables
from etl.model import Batch, Step
from etl.steps.extract import replay
from etl.steps.load import Counts, load, records_of
from etl.steps.promote import promote_batches
from etl.steps.stage import Stage

if TYPE_CHECKING:
    from etl.execution import Execution


def judge_again(execution: Execution, loaded: Sequence[Batch]) -> dict[int, Counts]:
    """Judge batches by the rules of now; return the counts of each, none when there is none.

    `loaded` is every loaded batch. Judged are those of the run, or every one: when it is full, or
    when its own cannot settle what silver holds for their keys (see `tables.unsettled`).
    """
    own = {one.batch_id for one in loaded if execution.is_full} or set(execution.batches or ())
    batches = [one for one in loaded if one.batch_id in own]
    others = [one for one in loaded if one.batch_id not in own]
    if not batches:
        return {}
    execution.go_on_to(ahead=())
    execution.begin(Step.LOAD)
    with execution.transaction() as connection:
        stage = Stage(
            connection,
            execution.dataset,
            execution.rules,
            execution.rule_set,
            again=_identities(batches),
        )
        is_widened = fill_again(execution, connection, stage, batches, others)
        if is_widened:
            batches, others = list(loaded), []
        counts = load(execution, connection, batches, stage, is_again=True, is_whole=not others)
        execution.begin(Step.PROMOTE)
        # gold is brought in line with the whole of silver: what a record leaves may be anybody's
        touched = promote_batches(execution, connection, _identities(loaded), is_full=True)
        execution.checkpoint(connection, Step.LOAD, records_of(counts))
        execution.checkpoint(connection, Step.PROMOTE, touched)
        if is_widened:  # last: it holds the run, and nobody could cancel it meanwhile
            queries.execute(connection, "queries/runs.widen", run_id=execution.run_id)
        failpoints.hit("full.before_commit")
    execution.is_full = execution.is_full or is_widened
    failpoints.hit("full.after_commit")
    return counts


def fill_again(
    execution: Execution,
    connection: Connection,
    stage: Stage,
    batches: Sequence[Batch],
    others: Sequence[Batch],
) -> bool:
    """Fill the stage from raw; tell whether it had to take the other loaded batches as well."""
    with stage.filling():
        done = replay(execution, batches, stage.add)
    if not _must_widen(execution, connection, batches, others):
        return False
    with stage.filling_more(_identities(others)):
        replay(execution, others, stage.add, done=done)
    return True


def _must_widen(
    execution: Execution,
    connection: Connection,
    batches: Sequence[Batch],
    others: Sequence[Batch],
) -> bool:
    if not others:
        return False
    execution.progress(Step.LOAD, sum(one.records or 0 for one in batches), activity="comparing")
    keys = tables.unsettled(
        connection,
        execution.dataset,
        batches=_identities(batches),
        other=max(_identities(others)),
    )
    if not keys:
        return False
    remark = (
        f"all {len(batches) + len(others):,} batches are judged again: of {keys:,} key(s), batches "
        "that were not chosen may hold the record that counts"
    )
    execution.remarks.append(remark)
    execution.log("info", remark, step=Step.LOAD)
    return True


def _identities(batches: Sequence[Batch]) -> list[int]:
    return [batch.batch_id for batch in batches]
