"""Old lines of the log go: from etl.log by age, from the log files by size."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Engine

from etl import datasets, log
from etl.db import queries
from etl.settings import Settings

_BATCH_LINES = 5_000
_BATCHES = 20
_EVERY_SECONDS = 3600.0
_SOON_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Tidied:
    """What one round removed."""

    lines: int
    files: int  # rotated
    is_done: bool  # False: more lines are old enough


def tidy(engine: Engine, settings: Settings) -> Tidied:
    """Delete lines older than `log_retention_days` and rotate files over `log_file_mb`.

    Deletes in small transactions, at most 100,000 lines a round, so that a worker is never kept
    long. Several workers may do it at once.
    """
    lines = 0
    is_done = True
    if settings.log_retention_days:
        for _ in range(_BATCHES):
            with engine.begin() as connection:
                deleted = queries.execute(
                    connection,
                    "queries/logs.delete_old",
                    days=settings.log_retention_days,
                    limit=_BATCH_LINES,
                ).rowcount
            lines += deleted
            is_done = deleted < _BATCH_LINES
            if is_done:
                break
    files = sum(
        log.rotate(settings.logs / dataset.log_file, limit=settings.log_file_mb * 1_000_000)
        for dataset in datasets.declared().values()
    )
    return Tidied(lines=lines, files=files, is_done=is_done)


class Upkeep:
    """Tidies once an hour, and sooner while there is much to delete."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._due = 0.0

    def when_due(self) -> None:
        """Tidy when it is time; a folder that cannot be written is said in the log, not raised."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_SECONDS
        try:
            done = tidy(self._engine, self._settings)
        except OSError as error:
            log.say("warning", f"the log files cannot be rotated: {error.strerror}")
            return
        if done.lines:
            log.say("info", f"deleted {done.lines:,} old lines of the log")
        if not done.is_done:
            self._due = time.monotonic() + _SOON_SECONDS
