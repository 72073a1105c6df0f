"""Is everything well? One answer for the command line, the pages and machines."""

from __future__ import annotations

import datetime as dt
import socket
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from etl.db import queries

SILENT_SECONDS = 30


def status(connection: Connection) -> dict[str, Any]:
    """Return layers, queue, heartbeats and the problems in words."""
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
    return {**found, "layers": layers, "problems": problems, "is_well": not problems}


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
