"""Planned times: cron as cron means it, and each wall time at most once."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from etl.scheduler import ScheduleError, Timing, cron_fields, latest, next_times, planned, words

BERLIN = ZoneInfo("Europe/Berlin")
AUTUMN = dt.datetime(2026, 10, 24, 22, tzinfo=dt.UTC)  # local midnight; 03:00 becomes 02:00
SPRING = dt.datetime(2027, 3, 27, 23, tzinfo=dt.UTC)  # local midnight; 02:00 becomes 03:00


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def cron(fields: str, since: dt.datetime, zone: str = "Europe/Berlin") -> Timing:
    return Timing(cron=fields, time_zone=zone, since=since)


def wall(timing: Timing, begin: dt.datetime, hours: int) -> list[str]:
    """Return the wall times in Berlin of what is planned from a moment on."""
    times = planned(timing, after=begin, until=begin + dt.timedelta(hours=hours))
    return [f"{time.astimezone(BERLIN):%d %H:%M}" for time in times]


@pytest.mark.parametrize("number", range(8))
def test_weekday_numbers_are_those_of_cron(number: int) -> None:
    since = utc("2026-11-01 00:00")
    for time in next_times(cron(f"0 9 * * {number}", since, "UTC"), after=since, count=3):
        assert time.isoweekday() % 7 == number % 7  # Sunday is 0, and 7


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("0 9 * * 1-5", "0 9 * * mon-fri"),
        ("0 9 * * 0,6", "0 9 * * sat,sun"),
        ("0 9 * * 5-7", "0 9 * * fri-sun"),
        ("0 9 * * FRI-MON", "0 9 * * mon,fri,sat,sun"),
        ("0 9 * * */2", "0 9 * * tue,thu,sat,sun"),
        ("0 9 * * 0-7", "0 9 * * *"),
        ("  */15  8-17 1,15 jan-mar * ", "*/15 8-17 1,15 jan-mar *"),
    ],
)
def test_weekdays_are_stored_as_names(given: str, stored: str) -> None:
    assert cron_fields(given) == stored
    assert cron_fields(stored) == stored


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("* * *", "there are 3"),
        ("", "there are 0"),
        ("@daily", "there is 1"),
        ("0 0 * * * *", "there are 6"),
        ("60 * * * *", "`60` is no minute: it goes from 0 to 59"),
        ("0 24 * * *", "`24` is no hour"),
        ("0 0 0 * *", "`0` is no day of the month"),
        ("0 0 * * 8", "`8` is no weekday: it goes from 0 to 7"),
        ("0 0 * * sunday", "`sunday` is no weekday"),
        ("0 0 last * *", "`last` is no day of the month"),
        ("0 0 ? * *", "is no day of the month: write numbers"),
        ("9-3 * * * *", "the range runs backwards"),
        ("*/0 * * * *", "the step is 1 to 59"),
        ("0 9 1 * mon", "not both"),
        ("0 0 31 2 *", "never comes"),
        ("9" * 5000 + " * * * *", "there is 1"),
    ],
)
def test_cron_that_makes_no_sense_is_refused_in_words(given: str, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        cron(given, AUTUMN).checked()


def test_zone_and_interval_are_checked() -> None:
    for zone in ("Mars/Olympus", "../etc/passwd", "Europe", ""):
        with pytest.raises(ScheduleError, match="no time zone"):
            cron("0 6 * * *", AUTUMN, zone).checked()
    for seconds in (0, -5, 10**9):
        with pytest.raises(ScheduleError, match="an interval is"):
            Timing(interval_seconds=seconds, since=AUTUMN).checked()
    with pytest.raises(ScheduleError, match="either"):
        Timing(since=AUTUMN).checked()


def test_the_repeated_hour_of_autumn_counts_once() -> None:
    assert wall(cron("30 2 * * *", AUTUMN), AUTUMN, 48) == ["25 02:30", "26 02:30"]
    assert list(
        planned(cron("30 2 * * *", AUTUMN), after=AUTUMN, until=utc("2026-10-25 12:00"))
    ) == [utc("2026-10-25 00:30")]


def test_the_missing_hour_of_spring_comes_an_hour_later_on_the_clock() -> None:
    assert wall(cron("30 2 * * *", SPRING), SPRING, 47) == ["28 03:30", "29 02:30"]
    assert wall(cron("30 2,3 * * *", SPRING), SPRING, 23) == ["28 03:30"]  # once, not twice


@pytest.mark.parametrize("begin", [AUTUMN, SPRING])
@pytest.mark.parametrize("fields", ["*/15 * * * *", "0 * * * *", "30 */2 * * *", "7,37 1-4 * * *"])
def test_each_wall_time_comes_at_most_once(fields: str, begin: dt.datetime) -> None:
    times = wall(cron(fields, begin), begin, 30)
    assert len(times) == len(set(times))
    assert times == sorted(times)


def test_intervals_do_not_care_for_clocks() -> None:
    timing = Timing(interval_seconds=1800, time_zone="Europe/Berlin", since=AUTUMN)
    times = list(planned(timing, after=AUTUMN, until=AUTUMN + dt.timedelta(hours=30)))
    assert len(times) == 60
    assert {b - a for a, b in pairwise([AUTUMN, *times])} == {dt.timedelta(seconds=1800)}


def test_the_zone_decides_when() -> None:
    for zone, expected in (
        ("UTC", "2026-07-01 06:00"),
        ("America/New_York", "2026-07-01 10:00"),
        ("Asia/Kolkata", "2026-07-01 00:30"),
    ):
        since = utc("2026-07-01 00:00")
        assert next_times(cron("0 6 * * *", since, zone), after=since, count=1) == [utc(expected)]


def test_nothing_is_planned_before_since_or_at_the_begin_of_a_window() -> None:
    since = utc("2026-01-01 12:00")
    timing = Timing(interval_seconds=60, since=since)
    assert next_times(timing, after=utc("2020-01-01 00:00"), count=1) == [utc("2026-01-01 12:01")]
    assert next_times(timing, after=utc("2026-01-01 12:01"), count=1) == [utc("2026-01-01 12:02")]


@pytest.mark.parametrize("fields", ["*/5 * * * *", "0 6 * * mon", "0 0 1 jan *", "0 0 29 2 *"])
def test_the_latest_time_of_a_long_window(fields: str) -> None:
    begin, end = utc("2026-01-01 00:00"), utc("2026-01-20 00:03")
    timing = cron(fields, begin, "UTC")
    everything = list(planned(timing, after=begin, until=end))
    assert latest(timing, after=begin, until=end) == (everything[-1] if everything else None)


def test_a_second_a_year_long_is_quick() -> None:
    timing = Timing(interval_seconds=1, since=utc("2020-01-01 00:00"))
    end = utc("2026-01-01 00:00")
    assert latest(timing, after=timing.since, until=end) == end


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        (cron("0 6 * * 1-5", AUTUMN), "At 06:00, Monday through Friday (Europe/Berlin)"),
        (cron("*/15 8-17 * * *", AUTUMN, "UTC"), "Every 15 minutes, between 08:00 and 17:59 (UTC)"),
        (cron("0 6 * * 0", AUTUMN, "UTC"), "At 06:00, only on Sunday (UTC)"),
        (Timing(interval_seconds=900, since=AUTUMN), "Every 15 minutes"),
        (Timing(interval_seconds=3600, since=AUTUMN), "Every hour"),
        (Timing(interval_seconds=5400, since=AUTUMN), "Every 1 hour 30 minutes"),
    ],
)
def test_times_in_words(timing: Timing, expected: str) -> None:
    assert words(timing) == expected
