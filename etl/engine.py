"""One run of one feed: accept, extract, load, promote, archive, then the ledger.

Everything it decides comes from the database, so a run that died anywhere is simply executed again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from etl import failpoints, landing, limits, readers, rules, what_if
from etl.db import queries
from etl.errors import (
    FileChangedError,
    LimitReachedError,
    UnreadableFileError,
)
from etl.execution import Execution
from etl.masking import mask
from etl.model import Batch, Dataset, Leg, RunStatus, Step
from etl.steps.again import judge_again
from etl.steps.archive import archive, renew_error_file
from etl.steps.extract import extract, replay
from etl.steps.load import Counts, load, records_of
from etl.steps.promote import promote
from etl.steps.revert import revert
from etl.steps.stage import Stage

_BATCH_FIELDS = tuple(f.name for f in dataclasses.fields(Batch))
SKIPPED_CODES = frozenset({"empty", "missing"})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    status: RunStatus
    reason_code: str | None
    reason: str | None


def execute(execution: Execution) -> Outcome:
    """Run all steps, whatever an earlier attempt left; store ledger and status.

    Raises RunLostError, RunCancelledError, and whatever breaks a step.
    """
    engine, dataset = execution.engine, execution.dataset
    execution.check()
    execution.start_afresh()
    if execution.predicts is not None:
        reason = what_if.work_out(execution)
        return Outcome(status=RunStatus.SUCCEEDED, reason_code="prediction", reason=reason)
    is_reprocess = execution.batches is not None  # takes no file
    if execution.reverts:
        return _take_back(execution)
    refused = 0 if is_reprocess else _accept_waiting(execution)
    with engine.connect() as connection:
        batches = [] if is_reprocess else _batches(connection, "queries/batches.open", dataset)
        if batches or execution.is_full or is_reprocess:
            execution.rules = rules.active(connection, dataset.name)
            execution.rule_set = rules.fingerprint(execution.rules)
    changed = False
    renewal = None
    archives = execution.takes(Step.ARCHIVE)
    with ThreadPoolExecutor(1, thread_name_prefix="error-file") as beside:
        if batches:
            _take(execution, batches)
            execution.check()
        if batches and execution.takes(Step.PROMOTE):
            changed = any(batch.status in {"accepted", "extracted", "loaded"} for batch in batches)
            # a batch that a run before this one promoted may have left invalid records, too
            if archives and (changed or any(batch.status == "promoted" for batch in batches)):
                renewal = beside.submit(renew_error_file, execution)  # it does not need gold
            execution.begin(Step.PROMOTE)
            touched = promote(execution)
            if touched:
                execution.log("info", f"promoted {touched:,} changes to gold", step=Step.PROMOTE)
        if (execution.is_full or is_reprocess) and _judge_again(execution):
            changed = True
            renewal = beside.submit(renew_error_file, execution)
        if (batches or changed) and archives:
            execution.begin(Step.ARCHIVE)
            archive(execution, renewal=renewal)
    return _finish(execution, refused=refused, changed=changed, went_on=bool(batches))


def _take_back(execution: Execution) -> Outcome:
    """Revert repairs; what waits is left to the next run."""
    with execution.engine.connect() as connection:
        remaining = [
            batch
            for batch in _batches(connection, "queries/batches.judged", execution.dataset)
            if batch.batch_id not in execution.reverts
        ]
    changed = revert(execution, remaining)
    execution.remarks.append(f"took a repair back: {changed:,} rows of silver are as before it")
    execution.begin(Step.ARCHIVE)
    with ThreadPoolExecutor(1, thread_name_prefix="error-file") as beside:
        archive(execution, renewal=beside.submit(renew_error_file, execution))
    return _finish(execution, refused=0, changed=True, went_on=False)


def _accept_waiting(execution: Execution) -> int:
    """Turn waiting files of this feed into batches; return how many files were refused."""
    settings, dataset = execution.settings, execution.dataset
    refused = 0
    if execution.source_file is not None:
        source = settings.home / Path(execution.source_file).expanduser()
        if not source.is_symlink() and not source.exists():
            name = landing.shown_name(source)
            if not _is_batch(execution, name):
                note = f"{name} does not exist; nothing to read"
                execution.notes.append(note)
                execution.log("warning", note, step=Step.EXTRACT)
            return 0
        paths = [landing.bring(settings, source)]
    else:
        paths = landing.waiting(settings, execution.engine)
    for path in paths:
        execution.check()
        try:
            if landing.is_still_written(path, settings):
                execution.log(
                    "info",
                    f"{landing.shown_name(path)} is still being written; the next run takes it",
                    step=Step.EXTRACT,
                )
                continue
            with readers.open_regular(path) as file:
                found = landing.recognise(file, settings)
        except FileNotFoundError:
            continue  # another run was faster
        except UnreadableFileError as error:
            # broken further on than its first record, or nobody's: the first run refuses it
            refused += 1
            landing.reject_unrecognised(settings, path, error)
            note = f"{landing.shown_name(path)}: {error.message}"
            execution.notes.append(note)
            execution.log("warning", f"rejected {note}", step=Step.EXTRACT, code=error.code)
            continue
        if found is not None and found.name != dataset.name:
            if execution.source_file is not None:
                note = (
                    f"{landing.shown_name(path)} holds {found.name}; run `revenue run {found.name}`"
                )
                execution.notes.append(note)
                execution.log("warning", note, step=Step.EXTRACT)
            continue
        with contextlib.suppress(FileNotFoundError), execution.transaction() as connection:
            acceptance = landing.accept(
                connection,
                settings,
                dataset,
                path,
                actor=execution.requested_by,
                run_id=execution.run_id,
            )
        failpoints.hit("accept.after_commit")
        if acceptance.duplicate_of is not None:
            execution.log(
                "info",
                f"{acceptance.file_name} has the content of batch {acceptance.duplicate_of}; skipped",
                step=Step.EXTRACT,
                batch_id=acceptance.batch_id,
            )
    return refused


def _is_batch(execution: Execution, name: str) -> bool:
    with execution.engine.connect() as connection:
        return bool(
            queries.value(
                connection, "queries/batches.of_run_named", run_id=execution.run_id, name=name
            )
        )


def _batches(
    connection: Connection, query: str, dataset: Dataset, **parameters: Any
) -> list[Batch]:
    found = queries.rows(connection, query, dataset=dataset.name, **parameters)
    return [Batch(**{name: row[name] for name in _BATCH_FIELDS}) for row in found]


def _take(execution: Execution, batches: list[Batch]) -> None:
    """Extract and load batch by batch, in order of arrival; or extract only."""
    wanted = {"accepted", "extracted"} if execution.takes(Step.LOAD) else {"accepted"}
    batches = [batch for batch in batches if batch.status in wanted]
    for number, batch in enumerate(batches, start=1):
        execution.check()
        execution.go_on_to(ahead=batches[number:])
        try:
            count = _take_one(execution, batch)
        except UnreadableFileError as error:
            _refuse(execution, batch, error)
        except FileChangedError as error:
            _refuse(execution, batch, UnreadableFileError(error.message, code=error.code))
        except LimitReachedError as error:
            _stop(execution, batch, error)
        else:
            if count is not None:
                _log_counts(execution, batch, count)


def _log_counts(execution: Execution, batch: Batch, count: Counts) -> None:
    execution.log(
        "info",
        f"{batch.file_name}: {count['valid_records']:,} valid, "
        f"{count['invalid_records']:,} invalid, {count['superseded_records']:,} superseded; "
        f"{count['inserted_rows']:,} inserted, {count['updated_rows']:,} updated, "
        f"{count['unchanged_rows']:,} unchanged",
        step=Step.LOAD,
        batch_id=batch.batch_id,
        **count,
    )


def _take_one(execution: Execution, batch: Batch) -> Counts | None:
    """Bring a batch to silver; None where the run ends before."""
    if not execution.takes(Step.LOAD):
        execution.begin(Step.EXTRACT)
        count = extract(execution, batch, lambda *_: None)
        execution.log(
            "info",
            f"{batch.file_name}: {count:,} records in raw",
            step=Step.EXTRACT,
            batch_id=batch.batch_id,
        )
        return None
    with execution.transaction() as connection:
        stage = Stage(connection, execution.dataset, execution.rules, execution.rule_set)
        with stage.filling():
            if batch.status == "accepted":
                # judged while raw is written: the records need no second read
                execution.begin(Step.EXTRACT, Step.LOAD)
                extract(execution, batch, stage.add)
            else:
                execution.begin(Step.LOAD)
                replay(execution, [batch], stage.add)
        execution.check()
        counts = load(execution, connection, [batch], stage)
        execution.checkpoint(connection, Step.LOAD, records_of(counts))
        failpoints.hit("load.before_commit")
    execution.finished(Step.LOAD, records_of(counts))
    failpoints.hit("load.after_commit")
    return counts[batch.batch_id]


def _judge_again(execution: Execution) -> bool:
    with execution.engine.connect() as connection:
        loaded = _batches(
            connection,
            "queries/batches.to_judge_again",
            execution.dataset,
            batches=None if execution.batches is None else list(execution.batches),
        )
    try:
        counts = judge_again(execution, loaded)
    except LimitReachedError as error:
        _stop(execution, next(one for one in loaded if one.batch_id == error.batch_id), error)
        return False
    for batch in loaded:
        if batch.batch_id in counts:
            _log_counts(execution, batch, counts[batch.batch_id])
    return bool(counts)


def _refuse(execution: Execution, batch: Batch, error: UnreadableFileError) -> None:
    status = "skipped" if error.code in SKIPPED_CODES else "rejected"
    with execution.transaction() as connection:
        queries.execute(
            connection,
            "queries/batches.refused",
            batch_id=batch.batch_id,
            status=status,
            reason_code=error.code,
            reason=error.message,
            reason_detail=json.dumps(error.reason()),
            run_id=execution.run_id,
        )
    note = f"{batch.file_name}: {error.message}"
    execution.notes.append(note)
    execution.log(
        "warning", f"{status} {note}", step=Step.EXTRACT, batch_id=batch.batch_id, code=error.code
    )


def _stop(execution: Execution, batch: Batch, error: LimitReachedError) -> None:
    """Let a batch wait for a decision; whatever its load had written is rolled back already."""
    failpoints.hit("stop.before_commit")
    with execution.transaction() as connection:
        queries.execute(
            connection,
            "queries/batches.stop",
            batch_id=batch.batch_id,
            reason=error.message,
            reason_detail=json.dumps({"code": error.code, "rules": error.detail}),
            run_id=execution.run_id,
        )
        execution.checkpoint(connection, Step.LOAD, 0)
    failpoints.hit("stop.after_commit")
    execution.log(
        "warning",
        f"stopped {batch.file_name}: {error.message}; nothing of it is in silver",
        step=Step.LOAD,
        batch_id=batch.batch_id,
        code=error.code,
    )


def ledger(connection: Connection, execution: Execution, *, layers: bool) -> list[Leg]:
    """Return the legs of a run: each batch, the run, and the layers (DESIGN, invariant 2).

    Without `layers` those are left out: they read the whole tables.
    """
    found = queries.rows(connection, "queries/ledger.batches", **_scope(execution))
    if layers:
        dataset = execution.dataset
        for name in dataset.ledger:
            found += queries.rows(connection, f"gold/{dataset.name}.{name}")
    return [
        Leg(leg=row["leg"], left=str(row["left_side"]), right=str(row["right_side"]))
        for row in found
    ]


def _scope(execution: Execution) -> dict[str, Any]:
    return {
        "run_id": execution.run_id,
        "is_full": execution.is_full,
        "batches": None if execution.batches is None else list(execution.batches),
        "dataset": execution.dataset.name,
    }


def _finish(execution: Execution, *, refused: int, changed: bool, went_on: bool) -> Outcome:
    with execution.transaction(is_last=True) as connection:
        totals = queries.row(connection, "queries/runs.totals", **_scope(execution))
        assert totals is not None
        # an attempt before this one may have changed the layers
        changed = changed or totals["loaded_batches"] > 0
        # gold may be behind silver where the run ends before
        legs = ledger(connection, execution, layers=changed and execution.takes(Step.PROMOTE))
        # asked of the database: an attempt before this one may have met them
        stopped = [
            f"{row['file_name']} is stopped: {row['reason']}"
            for row in queries.rows(
                connection, "queries/batches.stopped_of_run", **_scope(execution)
            )
        ]
        reached = limits.in_words(
            queries.rows(connection, "queries/rules.fired_with_limits", **_scope(execution))
        )
        outcome = _outcome(
            totals,
            legs,
            execution.notes,
            refused,
            stopped=stopped,
            reached=reached,
            went_on=went_on,
        )
        if execution.reverts and outcome.status is RunStatus.SUCCEEDED:
            outcome = dataclasses.replace(outcome, reason_code="reverted", reason=None)
        outcome = _worded(execution, outcome)
        # only now: whoever wants to cancel needs the run, and afterwards it no longer runs
        execution.fence(connection)
        queries.execute(
            connection, "queries/runs.stop_steps", run_id=execution.run_id, status="succeeded"
        )
        queries.execute(
            connection,
            "queries/runs.finish",
            run_id=execution.run_id,
            status=outcome.status.value,
            rule_set=execution.rule_set or None,
            ledger=json.dumps([leg.as_dict() for leg in legs]),
            is_balanced=all(leg.balanced for leg in legs),
            reason_code=outcome.reason_code,
            reason=outcome.reason,
            **{name: totals[name] for name in totals if name.endswith(("_records", "_rows"))},
        )
        failpoints.hit("finish.before_commit")
    failpoints.hit("finish.after_commit")
    level = "info" if outcome.status is RunStatus.SUCCEEDED else "warning"
    level = "error" if outcome.status is RunStatus.FAILED else level
    for words in reached:
        execution.log("warning", words, step=Step.LOAD, code="limits")
    execution.log(level, f"run {outcome.status.value}: {outcome.reason or 'all records valid'}")
    return outcome


def _outcome(
    totals: dict[str, Any],
    legs: Sequence[Leg],
    notes: Sequence[str],
    refused: int,
    *,
    stopped: Sequence[str],
    reached: Sequence[str],
    went_on: bool,
) -> Outcome:
    broken = [leg for leg in legs if not leg.balanced]
    if broken:
        worst = "; ".join(f"{leg.leg}: {leg.left} ≠ {leg.right}" for leg in broken)
        return Outcome(
            status=RunStatus.FAILED, reason_code="ledger", reason=f"the ledger is broken: {worst}"
        )
    words = [*stopped, *notes, *reached]
    if refused or totals["rejected_batches"] or words:
        is_of_files = refused or totals["rejected_batches"] or notes
        return Outcome(
            status=RunStatus.WARNED,
            reason_code="stopped" if stopped else "files" if is_of_files else "limits",
            reason="; ".join(words) or None,
        )
    if totals["invalid_records"]:
        return Outcome(
            status=RunStatus.WARNED,
            reason_code="invalid_records",
            reason=f"{totals['invalid_records']:,} of {totals['read_records']:,} records are invalid",
        )
    if went_on and not totals["batches"]:
        return Outcome(
            status=RunStatus.SUCCEEDED,
            reason_code="earlier_batches",
            reason="went on with batches of earlier runs",
        )
    if not totals["loaded_batches"]:
        skipped = totals["skipped_batches"]
        reason = f"nothing changed: {skipped} file(s) loaded before" if skipped else "nothing to do"
        return Outcome(status=RunStatus.SUCCEEDED, reason_code="nothing_new", reason=reason)
    return Outcome(status=RunStatus.SUCCEEDED, reason_code=None, reason=None)


def _worded(execution: Execution, outcome: Outcome) -> Outcome:
    """Say in the reason what else there is to say; mask secrets in it."""
    reason = "; ".join(filter(None, (outcome.reason, *execution.remarks)))
    outcome = dataclasses.replace(outcome, reason=mask(reason) if reason else None)
    if execution.takes(Step.ARCHIVE) or outcome.status is RunStatus.FAILED:
        return outcome
    words = f"stopped after {execution.until.value} as asked"
    if outcome.status is RunStatus.SUCCEEDED:
        return dataclasses.replace(outcome, reason_code="until", reason=words)
    return dataclasses.replace(outcome, reason="; ".join(filter(None, (outcome.reason, words))))
