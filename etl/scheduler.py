"""The scheduler process: queues runs at their planned times, never runs them.

etl.schedule is the truth. APScheduler computes planned times and serves as the alarm clock; what is
queued is decided in one transaction a schedule that also moves the schedule's cursor
(`decided_until`) forward. So several schedulers, crashes and clocks that jump back decide each
planned time exactly once: it is queued, skipped or missed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import re
import threading
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import cron_descriptor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from etl import alerts, runs
from etl.db import queries
from etl.db.connect import is_lost_connection
from etl.errors import DatabaseError, RevenueError
from etl.settings import Settings
from etl.watch import LandingWatch
from etl.worker import Presence

LONGEST_INTERVAL = 366 * 86_400  # seconds
_LOCK_TIMEOUT = "55P03"
_CRON_CHARACTERS = 200
_TICK = dt.timedelta(microseconds=1)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CRON_WEEKDAYS = ("sun", *_WEEKDAYS)  # cron counts from Sunday; 7 is Sunday again
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("weekday", 0, 7),
)


class ScheduleError(RevenueError):
    """The times of a schedule make no sense."""

    code = "schedule"


# Planned times --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When a schedule plans: five cron fields, or seconds between two times.

    `since` is an aware moment; intervals are counted from there.
    """

    cron: str | None = None
    interval_seconds: int | None = None
    time_zone: str = "UTC"
    since: dt.datetime

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Return the timing of a row of etl.schedule."""
        return cls(
            cron=row["cron"],
            interval_seconds=row["interval_seconds"],
            time_zone=row["time_zone"],
            since=row["since"],
        )

    def checked(self) -> Self:
        """Return the same timing with its cron fields in the stored spelling.

        Raises ScheduleError when it makes no sense or never comes.
        """
        _zone(self.time_zone)
        if (self.cron is None) == (self.interval_seconds is None):
            raise ScheduleError("a schedule has either cron fields or an interval")
        if self.interval_seconds is not None:
            if not 1 <= self.interval_seconds <= LONGEST_INTERVAL:
                raise ScheduleError(
                    f"an interval is 1 second to {LONGEST_INTERVAL // 86_400} days long"
                )
            return self
        assert self.cron is not None
        stored = type(self)(cron=cron_fields(self.cron), time_zone=self.time_zone, since=self.since)
        if not next_times(stored, after=self.since, count=1):
            raise ScheduleError(f"`{self.cron}` never comes: no such day exists")
        return stored


def cron_fields(text: str) -> str:
    """Return five cron fields as APScheduler understands them: weekdays as names.

    Numbers of weekdays are those of cron: 0 and 7 are Sunday. Raises ScheduleError.
    """
    fields = text[:_CRON_CHARACTERS].lower().split()
    if len(fields) != 5:
        raise ScheduleError(
            "cron has five fields: minute, hour, day of the month, month, weekday; "
            f"there {'is' if len(fields) == 1 else 'are'} {len(fields)}"
        )
    for field, (name, first, last) in zip(fields, _FIELDS, strict=True):
        for item in field.split(","):
            _check_item(item, name, first, last)
    minute, hour, day, month, weekday = fields
    if not day.startswith("*") and not weekday.startswith("*"):
        raise ScheduleError(
            "give days of the month or weekdays, not both; make two schedules instead"
        )
    return f"{minute} {hour} {day} {month} {_weekday_names(weekday)}"


def _check_item(item: str, name: str, first: int, last: int) -> None:
    found = _ITEM.fullmatch(item)
    if found is None:
        raise ScheduleError(
            f"`{item}` is no {name}: write numbers, lists `1,15`, ranges `8-17` or steps `*/5`"
        )
    low, high = (_number(word, name) if word else None for word in found.groups()[:2])
    for number in (low, high):
        if number is not None and not first <= number <= last:
            raise ScheduleError(f"`{item}` is no {name}: it goes from {first} to {last}")
    if low is not None and high is not None and low > high and name != "weekday":
        raise ScheduleError(f"`{item}` is no {name}: the range runs backwards")
    if found[3] is not None and not 1 <= int(found[3]) <= last:
        raise ScheduleError(f"`{item}` is no {name}: the step is 1 to {last}")


def _number(word: str, name: str) -> int:
    names: Sequence[str] = ()
    if name == "month":
        names = ("", *_MONTHS)
    elif name == "weekday":
        names = _CRON_WEEKDAYS[:7]
    if word in names and word:
        return names.index(word)
    if word.isascii() and word.isdigit():
        return int(word)
    raise ScheduleError(f"`{word}` is no {name}")


def _weekday_names(field: str) -> str:
    days: set[int] = set()  # Monday is 0
    for item in field.split(","):
        found = _ITEM.fullmatch(item)
        assert found is not None
        low = 0 if found[1] is None else _number(found[1], "weekday")
        high = 6 if found[1] is None or (found[3] and found[2] is None) else low
        if found[2] is not None:
            high = _number(found[2], "weekday")
            high += 7 if high < low else 0
        days |= {(day - 1) % 7 for day in range(low, high + 1, int(found[3] or 1))}
    if len(days) == 7:
        return "*"
    ordered = sorted(days)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{_WEEKDAYS[ordered[0]]}-{_WEEKDAYS[ordered[-1]]}"
    return ",".join(_WEEKDAYS[day] for day in ordered)


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ScheduleError(
            f"there is no time zone `{name}`; names are such as Europe/Berlin or UTC"
        ) from None


@functools.lru_cache(maxsize=1000)
def _trigger(timing: Timing) -> CronTrigger | IntervalTrigger:
    if timing.interval_seconds is not None:
        return IntervalTrigger(
            seconds=timing.interval_seconds, start_date=timing.since, timezone=dt.UTC
        )
    assert timing.cron is not None
    return CronTrigger.from_crontab(cron_fields(timing.cron), timezone=_zone(timing.time_zone))


def planned(
    timing: Timing, *, after: dt.datetime, until: dt.datetime | None = None
) -> Iterator[dt.datetime]:
    """Yield the planned times in (after, until], in UTC; without end when `until` is None.

    Each wall time comes once at most: of an hour that is repeated when clocks are set back, the
    first; a time that is left out when clocks are set forward comes one hour later on the clock,
    unless that is planned anyway.

    Raises ScheduleError when the timing makes no sense.
    """
    trigger = _trigger(timing)
    after = max(after, timing.since).astimezone(dt.UTC)
    zone = _zone(timing.time_zone)
    while True:
        found = trigger.get_next_fire_time(None, after + _TICK)
        if found is None:
            return
        after = max(found.astimezone(dt.UTC), after + _TICK)
        if until is not None and after > until:
            return
        if timing.cron is not None and after.astimezone(zone).fold:
            continue  # the wall time came an hour ago
        yield after


def next_times(timing: Timing, *, after: dt.datetime, count: int = 5) -> list[dt.datetime]:
    """Return the next planned times, in UTC; fewer when there are no more.

    Raises ScheduleError when the timing makes no sense.
    """
    times = planned(timing, after=after)
    return [time for _, time in zip(range(count), times, strict=False)]


def latest(timing: Timing, *, after: dt.datetime, until: dt.datetime) -> dt.datetime | None:
    """Return the last planned time in (after, until], without counting through all of them."""
    span = dt.timedelta(hours=1)
    while True:
        begin = max(after, until - span)
        times = list(planned(timing, after=begin, until=until))
        if times or begin == after:
            return times[-1] if times else None
        span *= 2


def words(timing: Timing) -> str:
    """Return a timing in words, such as `At 06:00, Monday through Friday (UTC)`.

    Raises ScheduleError when it makes no sense.
    """
    if timing.interval_seconds is not None:
        return f"Every {_interval_words(timing.interval_seconds)}"
    assert timing.cron is not None
    fields = cron_fields(timing.cron)
    options = cron_descriptor.Options(use_24hour_time_format=True)
    try:
        sentence = cron_descriptor.get_description(fields, options)
    except cron_descriptor.FormatException as error:
        raise ScheduleError(f"`{timing.cron}` makes no sense: {error}") from error
    return f"{sentence} ({timing.time_zone})"


def _interval_words(seconds: int) -> str:
    parts = []
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}s" if count > 1 else f"{count} {unit}")
    if len(parts) == 1:
        return parts[0].removeprefix("1 ")
    return " ".join(parts)


# Decisions ------------------------------------------------------------------------------


def decide(
    connection: Connection, settings: Settings, schedule_id: int, *, now: dt.datetime | None = None
) -> int | None:
    """Decide every planned time that has come; return the run that was queued, if any.

    A time is missed when it comes up later than the grace. At most one run of a schedule is not
    over: further times are skipped, and the log says so. `now` is the database's clock.

    Raises ScheduleError when the timing makes no sense, RevenueError when the feed is gone.
    """
    row = queries.row(connection, "queries/schedules.hold", schedule_id=schedule_id)
    if row is None:
        return None
    now = now or row["now"]
    timing = Timing.of(row)
    on_time = now - dt.timedelta(seconds=settings.schedule_grace_seconds)
    first = next(planned(timing, after=row["decided_until"], until=now), None)
    if first is None:
        return None
    run_id = None
    if first <= on_time:
        run_id = _decide_missed(connection, row, timing, first, on_time)
    times = list(planned(timing, after=max(row["decided_until"], on_time), until=now))
    if times:
        run_id = _decide_due(connection, row, times) or run_id
    queries.execute(
        connection, "queries/schedules.decided", schedule_id=schedule_id, decided_until=now
    )
    return run_id


def _decide_missed(
    connection: Connection,
    row: dict[str, Any],
    timing: Timing,
    first: dt.datetime,
    until: dt.datetime,
) -> int | None:
    """Skip missed times, or make up for all of them by one run."""
    last = latest(timing, after=first - _TICK, until=until) or first
    missed = f"missed its times from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"
    figures = {"first": first.isoformat(), "last": last.isoformat()}
    if not row["catch_up"]:
        _log(connection, row, "warning", f"{missed}: no scheduler ran; skipped", figures=figures)
        return None
    waiting = queries.row(
        connection, "queries/schedules.unfinished", schedule_id=row["schedule_id"]
    )
    if waiting is not None and waiting["status"] == "queued":
        run_id = waiting["run_id"]
        message = f"{missed}: run {run_id}, which waits, makes up for them"
        _log(connection, row, "warning", message, run_id=run_id, figures=figures)
        return None
    queued = _enqueue(connection, row, last)
    if queued is not None:
        message = f"{missed}: run {queued} makes up for them"
        _log(connection, row, "warning", message, run_id=queued, figures=figures)
    return queued


def _decide_due(
    connection: Connection, row: dict[str, Any], times: Sequence[dt.datetime]
) -> int | None:
    """Queue the first of the times unless an earlier run is not over; skip the others."""
    unfinished = queries.row(
        connection, "queries/schedules.unfinished", schedule_id=row["schedule_id"]
    )
    queued = None
    if unfinished is None:
        queued = _enqueue(connection, row, times[0])
        times = times[1:]
        unfinished = {"run_id": queued, "status": "queued"}
    if times:
        _log(
            connection,
            row,
            "warning",
            f"skips {', '.join(f'{time:%H:%M:%S}' for time in times)} UTC: "
            f"its run {unfinished['run_id']} is still {unfinished['status']}",
            run_id=unfinished["run_id"],
            figures={"skipped": [time.isoformat() for time in times]},
        )
    return queued


def _enqueue(connection: Connection, row: dict[str, Any], time: dt.datetime) -> int | None:
    return runs.enqueue(
        connection,
        row["dataset"],
        actor=f"schedule {row['schedule_id']}",
        trigger="schedule",
        schedule_id=row["schedule_id"],
        planned_at=time,
    )


def _log(
    connection: Connection,
    row: dict[str, Any],
    level: str,
    message: str,
    *,
    run_id: int | None = None,
    figures: Mapping[str, Any] | None = None,
) -> None:
    queries.execute(
        connection,
        "queries/logs.write",
        level=level,
        dataset=row["dataset"],
        run_id=run_id,
        step=None,
        batch_id=None,
        message=f"schedule {row['schedule_id']} {message}",
        context=json.dumps({"schedule_id": row["schedule_id"], **(figures or {})}),
    )


# The process ----------------------------------------------------------------------------


class Alarms:
    """APScheduler as an alarm clock: `wait` returns when the next planned time comes.

    It never touches the database, so a time that it forgets is found at the next look.
    """

    def __init__(self) -> None:
        self._rings = threading.Event()
        self._clock = BackgroundScheduler(timezone=dt.UTC)
        self._versions: dict[int, int] = {}

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clock.shutdown()

    def follow(self, timings: dict[int, tuple[int, Timing]]) -> None:
        """Set the alarms of these schedules: identity -> (version, timing)."""
        for schedule_id in self._versions.keys() - timings.keys():
            with contextlib.suppress(JobLookupError):  # it had no more times
                self._clock.remove_job(str(schedule_id))
            del self._versions[schedule_id]
        for schedule_id, (version, timing) in timings.items():
            if self._versions.get(schedule_id) == version:
                continue
            self._clock.add_job(
                self._rings.set,
                _trigger(timing),
                id=str(schedule_id),
                replace_existing=True,
                misfire_grace_time=None,
                coalesce=True,
            )
            self._versions[schedule_id] = version

    def wait(self, seconds: float) -> None:
        self._rings.wait(seconds)
        self._rings.clear()


class TimeKeeper:
    """Follows the table: sets the alarms, and decides what is due."""

    def __init__(self, engine: Engine, settings: Settings, alarms: Alarms) -> None:
        self._engine = engine
        self._settings = settings
        self._alarms = alarms
        self._broken: dict[int, int] = {}  # schedule -> version that makes no sense

    def look(self) -> list[int]:
        """Read the schedules anew and decide what is due; return the runs that were queued."""
        with self._engine.connect() as connection:
            rows = queries.rows(connection, "queries/schedules.active")
        timings: dict[int, tuple[int, Timing]] = {}
        queued = []
        for row in rows:
            try:
                timing = Timing.of(row)
                due = next(planned(timing, after=row["decided_until"], until=row["now"]), None)
                timings[row["schedule_id"]] = (row["version"], timing)
                if due is not None:
                    with self._engine.begin() as connection:
                        queued.append(decide(connection, self._settings, row["schedule_id"]))
            except DatabaseError:
                raise
            except RevenueError as error:
                self._tell_broken(row, error)
        self._alarms.follow(timings)
        return [run_id for run_id in queued if run_id is not None]

    def _tell_broken(self, row: dict[str, Any], error: RevenueError) -> None:
        if self._broken.get(row["schedule_id"]) == row["version"]:
            return
        self._broken[row["schedule_id"]] = row["version"]
        with self._engine.begin() as connection:
            _log(connection, row, "error", f"cannot be followed: {error.message}; change it")


def keep_time(engine: Engine, settings: Settings, *, stop: threading.Event) -> None:
    """Queue runs at their planned times, and for files that appear, until `stop`.

    A database that went away is waited for.
    """
    while not stop.is_set():
        try:
            with (
                Presence(engine, settings, "scheduler"),
                # so that a dead worker is told of although it cannot tell itself
                alerts.watching(engine, settings),
                Alarms() as alarms,
            ):
                keeper = TimeKeeper(engine, settings, alarms)
                watch = LandingWatch(engine, settings)
                while not stop.is_set():
                    keeper.look()
                    if settings.watch_landing:
                        watch.look()
                    alarms.wait(settings.poll_seconds)
        except (SQLAlchemyError, DatabaseError) as error:
            code = getattr(getattr(error, "orig", None), "pgcode", None)
            if not is_lost_connection(error) and code != _LOCK_TIMEOUT:
                raise
            stop.wait(settings.poll_seconds)
