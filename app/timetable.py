"""Schedules as the pages and the command line show them: words, next times, what was changed."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.actions.schedules import ScheduleConflictError
from etl.db import queries
from etl.errors import RevenueError
from etl.scheduler import Timing, next_times, words

STATES = ("active", "paused", "removed")
_VERBS = {"make": "made", "change": "changed", "pause": "paused", "resume": "resumed"}
_VERBS |= {"remove": "removed", "run": "run now"}


def schedules(
    connection: Connection,
    *,
    dataset: str | None = None,
    state: str | None = None,
    limit: int = 100_000,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Return schedules, newest first, each with `words`, `title` and `next_at` (UTC, or None)."""
    found = queries.rows(
        connection,
        "queries/schedules.list",
        dataset=dataset,
        state=state,
        limit=limit,
        offset=offset,
    )
    return [_described(row) for row in found]


def schedule(connection: Connection, schedule_id: int) -> dict[str, Any]:
    """Return one schedule with `words`, `title`, `next_at`, its newest runs and its changes.

    Changes are those of etl.audit, newest first. Raises ScheduleConflictError when there is none.
    """
    row = queries.row(connection, "queries/schedules.one", schedule_id=schedule_id)
    if row is None:
        raise ScheduleConflictError(f"there is no schedule {schedule_id}")
    changes = queries.rows(connection, "queries/audit.of_object", object=f"schedule {schedule_id}")
    return {
        **_described(row),
        "runs": queries.rows(
            connection, "queries/schedules.runs", schedule_id=schedule_id, limit=10
        ),
        "changes": [{**change, "what": change_words(change)} for change in reversed(changes)],
    }


def _described(row: Mapping[str, Any]) -> dict[str, Any]:
    timing = Timing.of(dict(row))
    upcoming: list[dt.datetime] = []
    try:
        said = words(timing)
        if row["state"] == "active":
            upcoming = next_times(timing, after=dt.datetime.now(dt.UTC), count=1)
    except RevenueError as error:  # a row that was written by hand
        said = f"cannot be followed: {error.message}"
    return {
        **row,
        "words": said,
        "title": row["name"] or said,
        "next_at": upcoming[0] if upcoming else None,
    }


def change_words(change: Mapping[str, Any]) -> str:
    """Return what a row of etl.audit did to a schedule, in words."""
    verb = _VERBS.get(change["action"].rpartition(".")[2], change["action"])
    before, after = change["before"] or {}, change["after"] or {}
    if "refused" in after:
        return f"refused: {after['refused']}"
    if "run_id" in after:
        return f"run now: run {after['run_id']}"
    parts = []
    if before and _times_of(before) != _times_of(after):
        parts.append(f"{_times_of(before)} → {_times_of(after)}")
    if before and before["name"] != after["name"]:
        parts.append(f"name “{before['name']}” → “{after['name']}”")
    if before and before["catch_up"] != after["catch_up"]:
        parts.append(f"missed times: {missed_words(after['catch_up'])}")
    if not before:
        parts = [_times_of(after), f"missed times: {missed_words(after['catch_up'])}"]
    return f"{verb}: {'; '.join(parts)}" if parts else verb


def missed_words(catch_up: bool) -> str:
    """Return what becomes of missed times."""
    return "one run makes up for all" if catch_up else "skipped"


def _times_of(state: Mapping[str, Any]) -> str:
    timing = Timing(
        cron=state["cron"],
        interval_seconds=state["interval_seconds"],
        time_zone=state["time_zone"],
        since=dt.datetime.now(dt.UTC),
    )
    try:
        return words(timing)
    except RevenueError:
        return f"{timing.cron} ({timing.time_zone})"


def local(moment: dt.datetime, time_zone: str) -> str:
    """Return a planned time by the clocks of its zone: `Mon 2 Nov 2026, 06:00:00 CET`."""
    there = moment.astimezone(zoneinfo.ZoneInfo(time_zone))
    return f"{there:%a} {there.day} {there:%b %Y, %H:%M:%S %Z}"
