"""Is everything well? One answer for the command line, the pages and machines."""

from __future__ import annotations

import datetime as dt
import socket
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from etl import monitor
from etl.db import queries
from etl.monitor import Freshness, LayerAge

SILENT_SECONDS = 30


def status(connection: Connection) -> dict[str, Any]:
    """Return layers, queue, heartbeats, freshness, findings, and what is not well in words.

    `problems` say what is wrong, `warnings` what soon may be.
    """
    found = queries.row(connection, "queries/reads.status")
    assert found is not None
    layers = queries.rows(connection, "queries/reads.layers")
    problems = []
    for name in ("worker", "scheduler"):
        beat = found[f"{name}_heartbeat"]
        if beat is None:
            problems.append(f"no {name} is running; `revenue up` or `revenue {name}` starts one")
        elif (found["now"] - beat).total_seconds() > SILENT_SECONDS:
            silence = int((found["now"] - beat).total_seconds())
            problems.append(f"the {name} has been silent for {silence} s")
    for layer in layers:
        if layer["status"] in {"failed", "lost"}:
            problems.append(
                f"the last run of {layer['dataset']} ({layer['run_id']}) {layer['status']}: "
                f"{layer['reason']}"
            )
        if layer["is_balanced"] is False:
            problems.append(f"the ledger of {layer['dataset']} does not balance")
    ages = monitor.ages(connection, found["now"])
    findings = queries.rows(connection, "queries/checks.findings")
    problems += [_broken(row) for row in findings if not row["is_balanced"]]
    problems += [_old(age) for age in ages if age.state is Freshness.STALE]
    return {
        **found,
        "layers": layers,
        "freshness": ages,
        "findings": findings,
        "checked_at": max((row["checked_at"] for row in findings), default=None),
        "problems": problems,
        "warnings": [_old(age) for age in ages if age.state is Freshness.LATE],
        "is_well": not problems,
    }


def _broken(row: dict[str, Any]) -> str:
    words = monitor.in_words(
        row["dataset"], row["layer"], row["leg"], row["left_side"], row["right_side"]
    )
    return f"{words}, since {row['broken_since']:%Y-%m-%d %H:%M} UTC"


def _old(age: LayerAge) -> str:
    limit = age.stale_seconds if age.state is Freshness.STALE else age.late_seconds
    return (
        f"{age.layer} of {age.dataset} is {age.state.value}: complete as of "
        f"{age.data_at:%Y-%m-%d %H:%M} UTC, {age.state.value} after {span(limit)}"
    )


def span(seconds: float) -> str:
    """Return a long time in words, in its two largest units: 1 d 3 h, 20 min."""
    whole = round(abs(seconds))
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def arithmetic(age: LayerAge) -> str:
    """Return how the state of a layer comes about: its age, its limits, what comes when."""
    if age.age_seconds is None:
        return "no run has reached it yet"
    words = f"complete {span(age.age_seconds)} ago"
    until_late = age.late_seconds - age.age_seconds
    until_stale = age.stale_seconds - age.age_seconds
    if age.state is Freshness.FRESH:
        return f"{words}; late after {span(age.late_seconds)}, so in {span(until_late)}"
    if age.state is Freshness.LATE:
        return (
            f"{words}; late after {span(age.late_seconds)}, so for {span(until_late)}; "
            f"stale after {span(age.stale_seconds)}, so in {span(until_stale)}"
        )
    return f"{words}; stale after {span(age.stale_seconds)}, so for {span(until_stale)}"


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """The last sign of life of any process of a kind."""

    kind: str  # worker or scheduler
    at: dt.datetime | None  # None: none ever ran
    now: dt.datetime  # by the clock of the database

    @property
    def is_silent(self) -> bool:
        return self.at is None or (self.now - self.at).total_seconds() > SILENT_SECONDS


def heartbeats(connection: Connection) -> list[Heartbeat]:
    """Return the last signs of life of workers and schedulers, stopped in order or not."""
    found = queries.rows(connection, "queries/reads.heartbeats")
    return [Heartbeat(kind=row["kind"], at=row["heartbeat_at"], now=row["now"]) for row in found]


def beats_here(connection: Connection, kind: str) -> bool:
    """Tell whether a worker or scheduler on this host shows signs of life."""
    return bool(
        queries.value(
            connection,
            "queries/runs.beats",
            kind=kind,
            host=socket.gethostname(),
            silence=SILENT_SECONDS,
        )
    )
