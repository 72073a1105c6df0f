"""Schedules are made, changed, paused, resumed, removed, and run at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.actions import Desk, Started, _audit, _authorise, _transaction
from etl import datasets, runs
from etl.db import queries
from etl.errors import RevenueError
from etl.scheduler import ScheduleError, Timing

NAME_CHARACTERS = 100
_STATE = (
    "dataset",
    "name",
    "cron",
    "interval_seconds",
    "time_zone",
    "catch_up",
    "enabled",
    "version",
)


class ScheduleConflictError(RevenueError):
    """Somebody else changed the schedule meanwhile, or it is not there."""

    code = "schedule_conflict"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What somebody wants a schedule to be: five cron fields, or seconds between two runs."""

    dataset: str
    name: str = ""
    cron: str | None = None
    interval_seconds: int | None = None
    time_zone: str = "UTC"
    catch_up: bool = False

    def timing(self, since: dt.datetime | None = None) -> Timing:
        """Return when it plans, counted from `since` or now.

        Raises ScheduleError when that makes no sense.
        """
        return Timing(
            cron=self.cron,
            interval_seconds=self.interval_seconds,
            time_zone=self.time_zone,
            since=since or dt.datetime.now(dt.UTC).replace(microsecond=0),
        ).checked()


def make_schedule(desk: Desk, plan: Plan) -> int:
    """Make a schedule; its times count from now. Return its identity.

    Raises ForbiddenError, ScheduleError, RevenueError for an unknown feed.
    """
    _authorise(desk, "schedule.make", f"dataset {plan.dataset}")
    values = _checked(plan)
    with _transaction(desk) as connection:
        after = queries.row(
            connection,
            "queries/schedules.make",
            dataset=datasets.get(plan.dataset).name,
            actor=desk.operator.name,
            **values,
        )
        assert after is not None
        _audit_change(connection, desk, "schedule.make", None, after)
    return int(after["schedule_id"])


def change_schedule(desk: Desk, schedule_id: int, plan: Plan, *, version: int) -> None:
    """Change a schedule whose `version` is what the operator saw; the feed stays.

    Times count anew from now when they change.

    Raises ForbiddenError, ScheduleError, ScheduleConflictError.
    """
    _authorise(desk, "schedule.change", f"schedule {schedule_id}")
    values = _checked(plan)
    with _transaction(desk) as connection:
        before = _lock(connection, schedule_id, version)
        if plan.dataset != before["dataset"]:
            raise ScheduleError("a schedule keeps its feed; make another one for the other feed")
        is_retimed = any(
            values[name] != before[name] for name in ("cron", "interval_seconds", "time_zone")
        )
        after = queries.row(
            connection,
            "queries/schedules.change",
            schedule_id=schedule_id,
            is_retimed=is_retimed,
            actor=desk.operator.name,
            **values,
        )
        assert after is not None
        _audit_change(connection, desk, "schedule.change", before, after)


def pause_schedule(desk: Desk, schedule_id: int, *, version: int) -> None:
    """Plan no more times until it is resumed; a run that is queued already stays.

    Raises ForbiddenError, ScheduleConflictError.
    """
    _switch(desk, schedule_id, version, "pause")


def resume_schedule(desk: Desk, schedule_id: int, *, version: int) -> None:
    """Plan times again, counted from now: none was missed meanwhile.

    Raises ForbiddenError, ScheduleConflictError.
    """
    _switch(desk, schedule_id, version, "resume")


def remove_schedule(desk: Desk, schedule_id: int, *, version: int) -> None:
    """End a schedule; its runs and its history stay.

    Raises ForbiddenError, ScheduleConflictError.
    """
    _switch(desk, schedule_id, version, "remove")


def run_schedule_now(desk: Desk, schedule_id: int) -> Started:
    """Queue a run of a schedule at once; a run that waits with the same request will do.

    Raises ForbiddenError, ScheduleConflictError.
    """
    _authorise(desk, "schedule.run", f"schedule {schedule_id}")
    with _transaction(desk) as connection:
        schedule = _lock(connection, schedule_id, None)
        queries.execute(connection, "queries/runs.claim_lock")
        waiting = queries.value(
            connection,
            "queries/runs.queued_like",
            dataset=schedule["dataset"],
            source_file=None,
            is_full=False,
            batches=None,
        )
        run_id = waiting or runs.enqueue(
            connection, schedule["dataset"], actor=desk.operator.name, schedule_id=schedule_id
        )
        assert run_id is not None  # only a planned time can be queued already
        started = Started(run_id=int(run_id), dataset=schedule["dataset"], is_new=waiting is None)
        _audit(
            connection,
            desk.operator,
            "schedule.run",
            f"schedule {schedule_id}",
            after={"run_id": started.run_id, "is_new": started.is_new},
        )
    return started


def _checked(plan: Plan) -> dict[str, Any]:
    """Return the columns of a plan that makes sense."""
    name = " ".join(plan.name.replace("\x00", " ").split())
    name = name.encode("utf-8", "replace").decode()
    if len(name) > NAME_CHARACTERS:
        raise ScheduleError(f"a name has at most {NAME_CHARACTERS} characters")
    timing = plan.timing()
    return {
        "name": name,
        "cron": timing.cron,
        "interval_seconds": timing.interval_seconds,
        "time_zone": timing.time_zone,
        "catch_up": plan.catch_up,
    }


def _switch(desk: Desk, schedule_id: int, version: int, verb: str) -> None:
    _authorise(desk, f"schedule.{verb}", f"schedule {schedule_id}")
    with _transaction(desk) as connection:
        before = _lock(connection, schedule_id, version)
        after = queries.row(
            connection,
            f"queries/schedules.{verb}",
            schedule_id=schedule_id,
            actor=desk.operator.name,
        )
        assert after is not None
        _audit_change(connection, desk, f"schedule.{verb}", before, after)


def _lock(connection: Connection, schedule_id: int, version: int | None) -> dict[str, Any]:
    row = queries.row(connection, "queries/schedules.lock", schedule_id=schedule_id)
    if row is None or row["removed_at"] is not None:
        raise ScheduleConflictError(f"there is no schedule {schedule_id}; it may have been removed")
    if version is not None and row["version"] != version:
        raise ScheduleConflictError(
            f"{row['updated_by']} changed schedule {schedule_id} meanwhile; "
            "look at it as it is now, and change it again"
        )
    return row


def _audit_change(
    connection: Connection,
    desk: Desk,
    action: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
) -> None:
    _audit(
        connection,
        desk.operator,
        action,
        f"schedule {after['schedule_id']}",
        before=None if before is None else {name: before[name] for name in _STATE},
        after={name: after[name] for name in _STATE},
    )
