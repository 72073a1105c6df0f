"""Repairs: edited copies of invalid records are replayed as a batch of their own.

Raw stays as it is. A rehearsal does everything that the replay will do and rolls it back, so that
what it tells is what comes.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, text

from etl import readers, rules, runs, validate
from etl.db import queries, tables
from etl.errors import RevenueError, UnreadableFileError
from etl.execution import Execution
from etl.log import RunLog
from etl.model import Batch, Dataset, Rule, Step
from etl.settings import Settings
from etl.steps.load import load
from etl.steps.promote import promote_batches
from etl.steps.stage import Stage
from etl.triage_states import UNFINISHED

SHOWN_DIFFERENCES = 200
_CHUNK = 10_000
Measured = TypeVar("Measured")


class RepairError(RevenueError):
    """The records cannot be repaired as asked."""

    code = "repair"


@dataclass(frozen=True, kw_only=True)
class Edit:
    """The record of a queue item as it shall be; `version` is that of the item when it was read."""

    quarantine_id: int
    version: int
    record: str  # JSON text


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One silver row before and after; None where it does not exist."""

    key: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Rehearsal(Generic[Measured]):
    """What a replay will do."""

    records: int
    inserted: int
    updated: int
    unchanged: int
    superseded: int
    invalid: tuple[tuple[int, str], ...]  # queue item, reasons: these stay open
    differences: tuple[Difference, ...]  # the first ones, by key
    before: Measured
    after: Measured


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A repair that waits for its run."""

    repair_id: int
    batch_id: int
    records: int


def judge(connection: Connection, dataset: Dataset, records: Sequence[str]) -> list[str | None]:
    """Return the reasons of each record by the rules of now, None for a valid one."""
    active = rules.active(connection, dataset.name)
    reasons: list[str | None] = []
    for start in range(0, len(records), _CHUNK):
        some = [record.encode() for record in records[start : start + _CHUNK]]
        reasons += validate.judge(some, dataset, active).dq_errors.to_pylist()
    return reasons


def check_text(record: str) -> str:
    """Return the record as it will be stored.

    Raises RepairError when it is not one JSON object.
    """
    try:
        encoded = record.strip().encode()
        if not encoded.startswith(b"{"):
            raise RepairError("the record must be one JSON object: { … }")
        found = [one for chunk in readers.read_chunks(_Once(encoded)) for one in chunk.records]
    except UnicodeEncodeError:
        raise RepairError("the record holds half a character; remove it") from None
    except UnreadableFileError as error:
        raise RepairError(f"the record is not valid JSON: {error.message}") from error
    if len(found) != 1:
        raise RepairError("the record must be one JSON object: { … }")
    if b"\x00" in encoded:
        raise RepairError("the record holds a NUL character; remove it")
    return found[0].decode()


def check_texts(records: Sequence[str]) -> list[str]:
    """Return the records as `check_text` does, read at one go where all of them are plain.

    Raises RepairError as it does.
    """
    try:
        encoded = [record.strip().encode() for record in records]
        whole = b"\n".join(encoded)
        found = [one for chunk in readers.read_chunks(_Once(whole)) for one in chunk.records]
    except (UnicodeEncodeError, UnreadableFileError):
        return [check_text(record) for record in records]
    is_plain = found == encoded and all(one.startswith(b"{") for one in found)
    if is_plain and b"\x00" not in whole:
        return [one.decode() for one in encoded]
    return [check_text(record) for record in records]


class _Once:
    """Bytes that are read once, as a file is."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int = -1) -> bytes:
        end = len(self._content) if size < 0 else size
        taken, self._content = self._content[:end], self._content[end:]
        return taken


def submit(
    connection: Connection,
    dataset: Dataset,
    edits: Sequence[Edit],
    *,
    reason: str,
    actor: str,
    operation: str | None = None,
    recipe_id: int | None = None,
) -> Replay:
    """Make a batch of edited records; the next run of the feed takes it.

    `operation` says in words what was done to all of them.

    Raises RepairError when an item is closed, changed meanwhile or repaired already.
    """
    if not edits:
        raise RepairError("there is no record to repair")
    if not reason.strip():
        raise RepairError("say why: a repair needs a reason")
    records = check_texts([edit.record for edit in edits])
    items = [edit.quarantine_id for edit in edits]
    content = "\n".join(records).encode()
    # batches are numbered in the order in which they come: files take the same lock. It comes before
    # those of the items, as in a load, or both would wait for each other
    queries.execute(connection, "queries/batches.lock_dataset", dataset=dataset.name)
    _require_repairable(connection, dataset, edits)
    batch_id = int(queries.value(connection, "queries/batches.new_id"))
    queries.execute(
        connection,
        "queries/repairs.accept",
        batch_id=batch_id,
        dataset=dataset.name,
        file_name=f"repair of {len(edits):,} record{'' if len(edits) == 1 else 's'}",
        sha256=hashlib.sha256(content).hexdigest(),
        file_bytes=len(content),
        accepted_by=actor,
    )
    repair_id = queries.value(
        connection,
        "queries/repairs.insert",
        dataset=dataset.name,
        batch_id=batch_id,
        records=len(edits),
        reason=reason.strip(),
        recipe_id=recipe_id,
        operation=operation,
        made_by=actor,
    )
    queries.execute(
        connection,
        "queries/repairs.insert_records",
        repair_id=repair_id,
        items=items,
        records=records,
    )
    queries.execute(
        connection,
        "queries/repairs.mark_items",
        repair_id=repair_id,
        items=items,
        actor=actor,
        reason=reason.strip(),
    )
    return Replay(repair_id=repair_id, batch_id=batch_id, records=len(edits))


def _require_repairable(connection: Connection, dataset: Dataset, edits: Sequence[Edit]) -> None:
    wanted = {edit.quarantine_id: edit.version for edit in edits}
    if len(wanted) < len(edits):
        twice = [
            item for item, times in Counter(e.quarantine_id for e in edits).items() if times > 1
        ]
        raise RepairError(f"{_numbers(twice)} would be repaired twice at once")
    found = {
        row["quarantine_id"]: row
        for row in queries.rows(connection, "queries/repairs.items", items=list(wanted))
    }
    gone = [item for item in wanted if item not in found or found[item]["dataset"] != dataset.name]
    if gone:
        raise RepairError(f"{_numbers(gone)} is no invalid record of {dataset.name} any more")
    closed = [item for item, row in found.items() if row["status"] not in UNFINISHED]
    if closed:
        states = sorted({found[item]["status"] for item in closed})
        raise RepairError(f"{_numbers(closed)} is {' or '.join(states)}; reopen it first")
    waiting = [
        item
        for item, row in found.items()
        if row["repair_status"] in {"accepted", "extracted"} and row["reverted_at"] is None
    ]
    if waiting:
        raise RepairError(f"{_numbers(waiting)} is being repaired already; its run has not ended")
    changed = [item for item, row in found.items() if row["version"] != wanted[item]]
    if changed:
        raise RepairError(f"somebody changed {_numbers(changed)} meanwhile; load it again")


def _numbers(items: Sequence[int]) -> str:
    shown = ", ".join(f"#{item}" for item in sorted(items)[:5])
    more = len(items) - 5
    return f"record {shown}" + (f" and {more:,} more" if more > 0 else "")


def rehearse(
    engine: Engine,
    settings: Settings,
    dataset: Dataset,
    edits: Sequence[Edit],
    *,
    measure: Callable[[Connection], Measured],
    patience_ms: int,
) -> Rehearsal[Measured]:
    """Do what the replay of these edits will do, measure before and after, and roll it back.

    Waits no longer than `patience_ms` for a run that is at work.

    Raises RepairError as `submit` does.
    """
    with engine.connect() as connection, connection.begin() as transaction:
        queries.execute(connection, "queries/batches.be_impatient", milliseconds=patience_ms)
        queries.execute(connection, "queries/batches.lock_dataset", dataset=dataset.name)
        queries.execute(connection, "queries/batches.lock_gold")
        before = measure(connection)
        replay = submit(connection, dataset, edits, reason="rehearsal", actor="rehearsal")
        batch = _extract(connection, dataset, replay)
        execution = _execution(connection, engine, settings, dataset)
        stage = Stage(connection, dataset, execution.rules, execution.rule_set)
        with stage.filling():
            records = [one.encode() for one in check_texts([edit.record for edit in edits])]
            for start in range(0, len(records), _CHUNK):
                stage.add(batch.batch_id, start + 1, records[start : start + _CHUNK])
        tables.remember_rows(connection, dataset)
        counts = load(execution, connection, [batch], stage)[batch.batch_id]
        differences = tables.changed_rows(connection, dataset, limit=SHOWN_DIFFERENCES)
        promote_batches(execution, connection, [batch.batch_id])
        after = measure(connection)
        refused = queries.rows(connection, "queries/repairs.still_invalid", batch_id=batch.batch_id)
        transaction.rollback()
    return Rehearsal(
        records=len(edits),
        inserted=counts["inserted_rows"],
        updated=counts["updated_rows"],
        unchanged=counts["unchanged_rows"],
        superseded=counts["superseded_records"],
        invalid=tuple(
            (edits[row["position"] - 1].quarantine_id, row["dq_errors"]) for row in refused
        ),
        differences=tuple(Difference(**row) for row in differences),
        before=before,
        after=after,
    )


def _extract(connection: Connection, dataset: Dataset, replay: Replay) -> Batch:
    """Bring the batch as far as silver needs it; its records in raw play no part in that."""
    stamp = queries.value(connection, "queries/batches.next_insert_date", dataset=dataset.name)
    queries.execute(
        connection,
        "queries/batches.extracted",
        batch_id=replay.batch_id,
        insert_date=stamp,
        records=replay.records,
        run_id=None,
    )
    return Batch(
        batch_id=replay.batch_id,
        dataset=dataset.name,
        kind="correction",
        file_name="",
        stored_name=None,
        sha256="",
        file_bytes=0,
        status="extracted",
        insert_date=stamp,
        records=replay.records,
    )


def _execution(
    connection: Connection, engine: Engine, settings: Settings, dataset: Dataset
) -> Execution:
    run_id = queries.value(
        connection, "queries/repairs.run_of_preview", dataset=dataset.name, actor="rehearsal"
    )
    active = rules.active(connection, dataset.name)
    return Execution(
        settings=settings,
        engine=engine,
        dataset=dataset,
        run_id=run_id,
        attempt=1,
        worker_id=0,
        source_file=None,
        is_full=False,
        until=Step.ARCHIVE,
        batches=None,
        requested_by="rehearsal",
        log=RunLog(engine, settings.logs / dataset.log_file, dataset.name, run_id),
        check=lambda: None,
        interruptible=lambda _: contextlib.nullcontext(),
        report=_silent,
        rules=active,
        rule_set=rules.fingerprint(active),
    )


def _silent(step: Step, done: int, total: int | None, /, *, activity: str | None = None) -> None:
    """Report to nobody."""


def ask_revert(
    connection: Connection, repair_id: int, *, reason: str, actor: str
) -> tuple[int, str]:
    """Queue the run that takes a repair back; return its number and its feed.

    Raises RepairError when it is not loaded yet, or taken back already.
    """
    if not reason.strip():
        raise RepairError("say why: taking a repair back needs a reason")
    held = queries.row(connection, "queries/repairs.hold", repair_id=repair_id)
    if held is None:
        raise RepairError(f"there is no repair {repair_id}")
    if held["reverted_at"] is not None:
        raise RepairError(f"repair {repair_id} is taken back already")
    if held["batch_status"] != "promoted":
        raise RepairError(f"repair {repair_id} has not reached gold yet; wait for its run")
    if held["revert_run_id"] is not None and _is_under_way(connection, held["revert_run_id"]):
        raise RepairError(f"run {held['revert_run_id']} is about to take repair {repair_id} back")
    run_id = runs.enqueue(
        connection, held["dataset"], actor=actor, trigger="revert", reverts=[held["batch_id"]]
    )
    assert run_id is not None  # only a planned time can be queued already
    queries.execute(
        connection,
        "queries/repairs.ask_revert",
        repair_id=repair_id,
        run_id=run_id,
        actor=actor,
        reason=reason.strip(),
    )
    return run_id, held["dataset"]


def _is_under_way(connection: Connection, run_id: int) -> bool:
    run = queries.row(connection, "queries/runs.one", run_id=run_id)
    return run is not None and run["status"] in {"queued", "running", "lost", "failed"}


def received(connection: Connection, dataset: Dataset, items: Sequence[int]) -> list[Edit]:
    """Return the records of queue items as received, as edits that change nothing, in their order."""
    found = connection.execute(
        text(
            f"select q.quarantine_id, q.version, r.record from dq.quarantine q "
            f"join {dataset.raw_table} r using (batch_id, position) "
            "where q.quarantine_id = any(:items) and q.dataset = :dataset order by q.quarantine_id"
        ),
        {"items": list(items), "dataset": dataset.name},
    )
    return [
        Edit(quarantine_id=row.quarantine_id, version=row.version, record=row.record)
        for row in found
    ]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the rules of now say of one record; rules that ask other tables have no say yet."""

    reasons: str | None  # None: it would be valid
    broken: tuple[Rule, ...]  # those that reject and those that warn, in their order


def examine(connection: Connection, dataset: Dataset, record: str) -> Verdict:
    """Judge one record as `judge` does, and say which rules it breaks."""
    active = rules.active(connection, dataset.name)
    found = validate.judge([record.encode()], dataset, active)
    return Verdict(
        reasons=found.dq_errors[0].as_py(),
        broken=tuple(active[index] for index in found.broken[0]),
    )
