"""The landing-zone watch: a file that another program brings is run once it is complete."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine

from etl import datasets, landing, readers, runs
from etl.db import queries
from etl.errors import UnreadableFileError
from etl.settings import Settings

ACTOR = "landing zone"
_Signature = tuple[int, int, int]  # inode, bytes, time of change in ns


@dataclass
class _Seen:
    """What is known about a file that lies in the landing zone."""

    signature: _Signature
    since: float  # monotonic seconds: unchanged from then on
    feed: str | None = None
    is_recognised: bool = False  # False: its feed was not looked for yet
    is_asked: bool = False  # a run was queued for it as it is


class LandingWatch:
    """Queues one run for the complete files of a feed that has none on its way.

    A file is complete when it stood still for `stability_seconds` between two looks and no program
    has it open for writing. A file that fits no feed goes with whatever run comes, and that run
    rejects it; only when none is on its way, a run of the first feed is queued for it.

    A file is asked for once as it is: where a run was cancelled or could not take it, the watch
    does not begin again until the file changes.
    """

    def __init__(
        self, engine: Engine, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._looked = -float("inf")

    def look(self) -> list[int]:
        """Look at the landing zone when it is time; return the runs that were queued."""
        if self._clock() - self._looked < self._settings.watch_seconds:
            return []
        self._looked = self._clock()
        complete = self._complete()
        if not complete:
            return []
        with self._engine.connect() as connection:
            busy = _busy(connection)
        groups: dict[str, list[Path]] = {}
        nobodys = []
        for path in complete:
            feed = self._feed(path)
            if feed is None:
                nobodys.append(path)
            elif feed not in busy:
                groups.setdefault(feed, []).append(path)
        if nobodys and groups:
            next(iter(groups.values())).extend(nobodys)
        elif nobodys and not busy:
            groups[datasets.names()[0]] = nobodys
        queued = [self._ask(feed, paths) for feed, paths in groups.items()]
        return [run_id for run_id in queued if run_id is not None]

    def _complete(self) -> list[Path]:
        """Return the files that are complete and were not asked for yet, oldest first."""
        try:
            paths = landing.waiting(self._settings, self._engine)
        except FileNotFoundError:
            paths = []  # the folder is gone: whoever takes it away brings it back
        now = self._clock()
        seen: dict[str, _Seen] = {}
        complete = []
        for path in paths:
            signature = _signature(path)
            if signature is None:
                continue
            file = self._seen.get(path.name)
            if file is None or file.signature != signature:
                seen[path.name] = _Seen(signature=signature, since=now)
                continue
            seen[path.name] = file
            if file.is_asked or now - file.since < self._settings.stability_seconds:
                continue
            if _is_open(path, self._settings):
                file.since = now
                continue
            complete.append(path)
        self._seen = seen
        return complete

    def _feed(self, path: Path) -> str | None:
        """Return the feed of a file; None when it fits none, or holds no records."""
        file = self._seen[path.name]
        if not file.is_recognised:
            file.is_recognised = True
            try:
                with readers.open_regular(path) as content:
                    dataset = landing.recognise(content, self._settings)
            except (UnreadableFileError, OSError):
                dataset = None
            file.feed = dataset.name if dataset else None
        return file.feed

    def _ask(self, feed: str, paths: list[Path]) -> int | None:
        """Queue a run, unless one came, or took the files, meanwhile."""
        with self._engine.begin() as connection:
            # no worker claims, and no operator queues, until this is committed
            queries.execute(connection, "queries/runs.claim_lock")
            if feed in _busy(connection):
                return None
            there = [p for p in paths if _signature(p) == self._seen[p.name].signature]
            if not there:
                return None
            run_id = runs.enqueue(connection, feed, actor=ACTOR, trigger="watch")
            names = [landing.shown_name(path) for path in there]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            queries.execute(
                connection,
                "queries/logs.write",
                level="info",
                dataset=feed,
                run_id=run_id,
                step=None,
                batch_id=None,
                message=f"{', '.join(names[:3])}{more} appeared in the landing zone",
                context=json.dumps({"files": len(names)}),
            )
        for path in there:
            self._seen[path.name].is_asked = True
        return run_id


def _busy(connection: Connection) -> set[str]:
    return {row["dataset"] for row in queries.rows(connection, "queries/watch.busy_feeds")}


def _signature(path: Path) -> _Signature | None:
    try:
        about = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns


def _is_open(path: Path, settings: Settings) -> bool:
    try:
        return landing.is_still_written(path, settings)
    except FileNotFoundError:
        return True  # gone: the next look finds out
    except (UnreadableFileError, OSError):
        return False  # the run says what is wrong with it
