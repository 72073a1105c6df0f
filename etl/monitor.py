"""Watches over the layers by the worker's own clock, whether or not anything runs.

The check counts every layer of every feed and compares it with what the batches, loads and
promotions left there; freshness says how long ago each layer was last known to be complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from etl import background, datasets, triage_states
from etl.db import counts, queries
from etl.errors import DatabaseError, RevenueError
from etl.model import Dataset
from etl.settings import Settings

LATE_SECONDS = 24 * 3600
STALE_SECONDS = 48 * 3600
AFTER_RUN_SECONDS = 5.0
CHECK_LIMIT_SECONDS = 120  # of one count; a check never holds the database for longer
LAYERS = ("raw", "silver", "gold")
_IN_RAW = ["extracted", "loaded", "promoted", "stopped", "discarded"]
_JUDGED = ["loaded", "promoted"]
_LOCK_NOT_AVAILABLE = "55P03"
_STOP_SECONDS = 2.0
_RESTS = (
    20  # a task rests so many times as long as it took: a large warehouse is checked less often
)


class CheckBusyError(RevenueError):
    """Another check is under way, or a run holds a table that it fills for the first time."""

    code = "busy"


# The check of all layers ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One leg of the check: what must be in a layer, and what is there."""

    dataset: str
    leg: str
    layer: str  # raw, quarantine, silver or gold: the one that is wrong where it does not balance
    must_be: Decimal
    found: Decimal
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def is_balanced(self) -> bool:
        return self.must_be == self.found

    @property
    def words(self) -> str:
        return in_words(self.dataset, self.layer, self.leg, self.must_be, self.found)


def in_words(dataset: str, layer: str, leg: str, must_be: Decimal, found: Decimal) -> str:
    """Return what is wrong with a layer: how many are missing or too many."""
    difference = found - must_be
    amount = f"{abs(difference):,f} {'missing' if difference < 0 else 'too many'}"
    return f"{layer} of {dataset}: {amount} ({leg}: {found:,f} instead of {must_be:,f})"


def check(connection: Connection, *, after_runs: bool = False) -> list[Finding]:
    """Count every layer of every declared feed and store one row a leg in etl.finding.

    `after_runs`: only where a run loaded something after the newest check.

    All of it is one snapshot, so that a run at work never looks like a loss. It must come first in
    its transaction. Legs between silver and gold stay as they were while a batch waits for its
    promotion.

    Raises CheckBusyError.
    """
    found: list[Finding] = []
    waiting: set[str] = set()
    try:
        queries.execute(connection, "queries/checks.one_snapshot")
        if after_runs and not queries.value(connection, "queries/checks.is_due"):
            return []
        queries.execute(connection, "queries/checks.hold_findings")
        queries.execute(
            connection, "queries/checks.be_modest", milliseconds=CHECK_LIMIT_SECONDS * 1000
        )
        for dataset in datasets.declared().values():
            found += _own_legs(connection, dataset)
            if queries.value(connection, "queries/checks.any_to_promote", dataset=dataset.name):
                waiting.add(dataset.name)
            else:
                found += _legs_to_gold(connection, dataset, found)
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise CheckBusyError(
            "another check is under way, or a run fills an empty table; try again in a moment"
        ) from error
    _store(connection, found, waiting)
    return found


def _own_legs(connection: Connection, dataset: Dataset) -> list[Finding]:
    """Each layer against what was written down when it was filled; no leg knows of another."""
    legs = [
        _counted_by_batch(connection, dataset, layer, noun, table, column, states)
        for layer, noun, table, column, states in (
            ("raw", "records", dataset.raw_table, "records", _IN_RAW),
            ("quarantine", "invalid records", "dq.quarantine", "invalid_records", _JUDGED),
            ("quarantine", "superseded records", "dq.superseded", "superseded_records", _JUDGED),
        )
    ]
    expected = queries.value(connection, "queries/checks.expected_in_silver", dataset=dataset.name)
    legs.append(
        Finding(
            dataset=dataset.name,
            leg=f"rows: loads = {dataset.silver_table}",
            layer="silver",
            must_be=Decimal(expected),
            found=Decimal(counts.silver_rows(connection, dataset)),
        )
    )
    return legs + _asked(connection, dataset, dataset.gold_checks)


def _counted_by_batch(
    connection: Connection,
    dataset: Dataset,
    layer: str,
    noun: str,
    table: str,
    column: str,
    states: list[str],
) -> Finding:
    row = counts.by_batch(connection, dataset, table, column, states)
    # a record in the wrong batch: the sums agree, and still one is missing where it belongs
    hidden = row["missing"] if row["must_be"] == row["is_there"] else 0
    detail = {name: row[name] for name in ("missing", "surplus", "wrong", "batches")}
    return Finding(
        dataset=dataset.name,
        leg=f"{noun}: batches = {table}",
        layer=layer,
        must_be=Decimal(row["must_be"]),
        found=Decimal(row["is_there"] - hidden),
        detail=detail if row["wrong"] else {},
    )


def _legs_to_gold(
    connection: Connection, dataset: Dataset, found: Sequence[Finding]
) -> list[Finding]:
    """Silver against gold; where silver is known to be wrong, gold says what must be there."""
    wrong = {
        leg.layer for leg in found if leg.dataset == dataset.name and not leg.is_balanced
    } & set(LAYERS)
    legs = _asked(connection, dataset, dataset.ledger)
    if "silver" in wrong and "gold" not in wrong:
        legs = [
            dataclasses.replace(leg, layer="silver", must_be=leg.found, found=leg.must_be)
            for leg in legs
        ]
    return legs


def _asked(connection: Connection, dataset: Dataset, names: Sequence[str]) -> list[Finding]:
    """Ask the named queries of the feed, each of which answers with a leg a row."""
    return [
        Finding(
            dataset=dataset.name,
            leg=row["leg"],
            layer="gold",
            must_be=Decimal(row["left_side"]),
            found=Decimal(row["right_side"]),
        )
        for name in names
        for row in queries.rows(connection, f"gold/{dataset.name}.{name}")
    ]


def _store(connection: Connection, found: Sequence[Finding], waiting: set[str]) -> None:
    for leg in found:
        queries.execute(
            connection,
            "queries/checks.store_finding",
            dataset=leg.dataset,
            leg=leg.leg,
            layer=leg.layer,
            left_side=leg.must_be,
            right_side=leg.found,
            detail=json.dumps(leg.detail),
        )
    kept = [{"dataset": leg.dataset, "leg": leg.leg} for leg in found]
    kept += [
        {"dataset": row["dataset"], "leg": row["leg"]}
        for row in queries.rows(connection, "queries/checks.findings")
        if row["dataset"] in waiting
    ]
    queries.execute(connection, "queries/checks.forget_findings", kept=json.dumps(kept))


# Freshness ------------------------------------------------------------------------------


class Freshness(StrEnum):
    FRESH = "fresh"
    LATE = "late"
    STALE = "stale"
    NEVER_RAN = "never_ran"


@dataclass(frozen=True, kw_only=True)
class LayerAge:
    """How fresh one layer of a feed is."""

    dataset: str
    layer: str
    state: Freshness
    batch_at: dt.datetime | None  # newest batch in the layer
    data_at: dt.datetime | None  # when it last took data or was found complete
    age_seconds: float | None
    late_seconds: int
    stale_seconds: int
    changed_at: dt.datetime | None  # since when it was judged to be in this state


def state_of(age_seconds: float | None, *, late_seconds: int, stale_seconds: int) -> Freshness:
    """Return how fresh a layer of this age is; None: it never took data."""
    if age_seconds is None:
        return Freshness.NEVER_RAN
    if age_seconds >= stale_seconds:
        return Freshness.STALE
    return Freshness.LATE if age_seconds >= late_seconds else Freshness.FRESH


def ages(connection: Connection, now: dt.datetime | None = None) -> list[LayerAge]:
    """Return how fresh each layer of each feed is at `now` (the database's clock).

    A layer is as old as the newest batch in it, or as the newest run that ended well after it had
    looked for all new files, whichever came later: an idle pipeline whose runs succeed is fresh, a
    run that fails before gold leaves gold to age. A run of one file, or of some batches again, says
    nothing about completeness.
    """
    moment = now or queries.value(connection, "queries/checks.clock")
    found = queries.rows(
        connection,
        "queries/checks.freshness",
        late_seconds=LATE_SECONDS,
        stale_seconds=STALE_SECONDS,
    )
    return [_age(row, moment) for row in found]


def _age(row: dict[str, Any], now: dt.datetime) -> LayerAge:
    age = None if row["data_at"] is None else (now - row["data_at"]).total_seconds()
    state = state_of(age, late_seconds=row["late_seconds"], stale_seconds=row["stale_seconds"])
    return LayerAge(
        dataset=row["dataset"],
        layer=row["layer"],
        state=state,
        batch_at=row["batch_at"],
        data_at=row["data_at"],
        age_seconds=age,
        late_seconds=row["late_seconds"],
        stale_seconds=row["stale_seconds"],
        changed_at=row["changed_at"] if row["stored_state"] == state else None,
    )


def judge_freshness(connection: Connection, now: dt.datetime | None = None) -> list[LayerAge]:
    """Judge how fresh each layer is at `now`, as `ages` does, and store it in etl.freshness."""
    moment = now or queries.value(connection, "queries/checks.clock")
    found = ages(connection, moment)
    for layer in found:
        queries.execute(
            connection,
            "queries/checks.store_freshness",
            dataset=layer.dataset,
            layer=layer.layer,
            state=layer.state.value,
            data_at=layer.data_at,
            now=moment,
        )
    return found


# The watch ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Task:
    """Something the worker does by its own clock, in a transaction of its own."""

    name: str
    seconds: float
    do: Callable[[Connection], object]


def tasks(settings: Settings) -> list[Task]:
    """Return what is watched, in the order in which it is done when several are due."""
    return [
        Task(name="freshness", seconds=settings.freshness_seconds, do=judge_freshness),
        Task(name="check", seconds=settings.check_seconds, do=check),
        Task(
            name="check after runs", seconds=AFTER_RUN_SECONDS, do=partial(check, after_runs=True)
        ),
        Task(name="snoozed records", seconds=triage_states.WAKE_SECONDS, do=triage_states.wake),
    ]


def watch(
    engine: Engine,
    settings: Settings,
    stop: threading.Event,
    watched: Sequence[Task] | None = None,
) -> None:
    """Do every task at once and then in its rhythm, until `stop`.

    A task that fails is logged once and tried again in its next turn; it never ends the watch.
    """
    due = {task.name: (0.0, task) for task in (tasks(settings) if watched is None else watched)}
    failing: set[str] = set()
    while not stop.is_set():
        for _, task in [entry for entry in due.values() if entry[0] <= time.monotonic()]:
            if stop.is_set():
                return
            began = time.monotonic()
            _do(engine, task, failing)
            ended = time.monotonic()
            due[task.name] = (ended + max(task.seconds, _RESTS * (ended - began)), task)
        next_turn = min((at for at, _ in due.values()), default=time.monotonic() + 1)
        stop.wait(max(0.0, next_turn - time.monotonic()))


def watching(engine: Engine, settings: Settings) -> AbstractContextManager[None]:
    """Watch from a thread of its own meanwhile; a long count need not be waited for."""
    return background.going_on(
        partial(watch, engine, settings), name="monitor", patience=_STOP_SECONDS
    )


def _do(engine: Engine, task: Task, failing: set[str]) -> None:
    try:
        with engine.begin() as connection:
            task.do(connection)
    except CheckBusyError:
        return  # somebody else does it, or its next turn will
    except Exception as error:  # noqa: BLE001 - whatever it is, the watch goes on
        if task.name not in failing and _log_failure(engine, task, error):
            failing.add(task.name)
    else:
        failing.discard(task.name)


def _log_failure(engine: Engine, task: Task, error: Exception) -> bool:
    first = (str(getattr(error, "orig", error)).strip().splitlines() or [""])[0]
    return log(engine, "error", f"the worker's {task.name} failed: {type(error).__name__}: {first}")


def log(engine: Engine, level: str, message: str) -> bool:
    """Write a line that belongs to no run; False while the database is away."""
    with contextlib.suppress(SQLAlchemyError, DatabaseError), engine.begin() as connection:
        queries.execute(
            connection,
            "queries/logs.write",
            level=level,
            dataset=None,
            run_id=None,
            step=None,
            batch_id=None,
            message=message.replace("\x00", "\ufffd"),
            context="{}",
        )
        return True
    return False
