"""Schedules: each planned time is decided once, whoever runs, stops, edits or breaks."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app import timetable
from app.actions import Desk, schedules
from app.actions.schedules import Plan, ScheduleConflictError
from app.auth import ForbiddenError, Role
from etl import runs, scheduler
from etl.db.connect import connect
from etl.errors import RevenueError
from etl.scheduler import ScheduleError, Timing, decide, planned
from etl.settings import Settings
from tests.conftest import Pipeline
from tests.integration.test_actions import desk_of

NIGHT = dt.datetime(2026, 10, 24, 22, tzinfo=dt.UTC)
DAILY = Plan(dataset="sales", cron="0 6 * * *")
DONE = """
update etl.run set status = 'succeeded', ended_at = clock_timestamp() where status = 'queued'
"""


@pytest.fixture
def desk(pipeline: Pipeline) -> Desk:
    return desk_of(pipeline)


def make(desk: Desk, plan: Plan, *, since: dt.datetime | None = None) -> int:
    """Make a schedule, as if it had been made at `since`."""
    schedule_id = schedules.make_schedule(desk, plan)
    if since is not None:
        with desk.engine.begin() as connection:
            connection.execute(
                text("update etl.schedule set since = :since, decided_until = :since"),
                {"since": since},
            )
    return schedule_id


def at(pipeline: Pipeline, schedule_id: int, now: dt.datetime) -> int | None:
    with pipeline.engine.begin() as connection:
        return decide(connection, pipeline.settings, schedule_id, now=now)


def finish_runs(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(DONE))


def planned_times(pipeline: Pipeline) -> list[dt.datetime]:
    return [at for (at,) in pipeline.rows("select planned_at from etl.run order by planned_at")]


def log(pipeline: Pipeline) -> list[str]:
    return [line for (line,) in pipeline.rows("select message from etl.log order by log_id")]


# What is decided ------------------------------------------------------------------------


def test_a_day_of_two_schedulers_and_a_jumping_clock(pipeline: Pipeline, desk: Desk) -> None:
    """24 hours through the autumn change of clocks; the clock of the server goes back at times."""
    schedule_id = make(
        desk, Plan(dataset="sales", cron="*/5 * * * *", time_zone="Europe/Berlin"), since=NIGHT
    )
    patient = pipeline.settings.model_copy(update={"schedule_grace_seconds": 300})
    luck = random.Random(7)
    now, end = NIGHT, NIGHT + dt.timedelta(hours=24)
    while now < end:
        now += dt.timedelta(seconds=luck.uniform(30, 250))
        looks = [now] * luck.choice([1, 2])  # one scheduler looks, or both
        if luck.random() < 0.1:
            looks.insert(luck.choice([0, 1]), now - dt.timedelta(hours=1))
        for look in looks:
            with pipeline.engine.begin() as connection:
                if decide(connection, patient, schedule_id, now=look):
                    connection.execute(text(DONE))
    row = {"cron": "*/5 * * * *", "interval_seconds": None, "time_zone": "Europe/Berlin"}
    expected = list(planned(Timing.of({**row, "since": NIGHT}), after=NIGHT, until=now))
    assert len(expected) == 24 * 12 - 12  # the repeated hour counts once
    assert planned_times(pipeline) == expected
    assert log(pipeline) == []


def test_at_most_one_run_of_a_schedule_is_not_over(pipeline: Pipeline, desk: Desk) -> None:
    schedule_id = make(desk, Plan(dataset="sales", interval_seconds=30), since=NIGHT)
    first = at(pipeline, schedule_id, NIGHT + dt.timedelta(seconds=31))
    assert first is not None
    assert at(pipeline, schedule_id, NIGHT + dt.timedelta(seconds=61)) is None
    assert at(pipeline, schedule_id, NIGHT + dt.timedelta(seconds=61)) is None
    assert log(pipeline) == [
        f"schedule {schedule_id} skips 22:01:00 UTC: its run {first} is still queued"
    ]
    finish_runs(pipeline.engine)
    assert at(pipeline, schedule_id, NIGHT + dt.timedelta(seconds=91)) is not None
    assert planned_times(pipeline) == [NIGHT + dt.timedelta(seconds=s) for s in (30, 90)]
    [(asked, trigger)] = pipeline.rows(
        "select requested_by, trigger from etl.run where run_id = :run_id", run_id=first
    )
    assert (asked, trigger) == (f"schedule {schedule_id}", "schedule")


def test_missed_times_are_made_up_for_once(pipeline: Pipeline, desk: Desk) -> None:
    schedule_id = make(desk, Plan(dataset="sales", cron="0 * * * *", catch_up=True), since=NIGHT)
    back = NIGHT + dt.timedelta(hours=9, minutes=20)
    run_id = at(pipeline, schedule_id, back)
    finish_runs(pipeline.engine)
    assert at(pipeline, schedule_id, back + dt.timedelta(seconds=1)) is None
    assert planned_times(pipeline) == [NIGHT + dt.timedelta(hours=9)]
    assert log(pipeline) == [
        f"schedule {schedule_id} missed its times from 2026-10-24 23:00:00 to "
        f"2026-10-25 07:00:00 UTC: run {run_id} makes up for them"
    ]


def test_a_run_that_waits_makes_up_for_missed_times(pipeline: Pipeline, desk: Desk) -> None:
    schedule_id = make(desk, Plan(dataset="sales", cron="0 * * * *", catch_up=True), since=NIGHT)
    at(pipeline, schedule_id, NIGHT + dt.timedelta(hours=1))
    assert at(pipeline, schedule_id, NIGHT + dt.timedelta(hours=5, minutes=20)) is None
    assert planned_times(pipeline) == [NIGHT + dt.timedelta(hours=1)]
    assert "which waits, makes up for them" in log(pipeline)[0]


def test_missed_times_are_skipped_and_said(pipeline: Pipeline, desk: Desk) -> None:
    schedule_id = make(desk, Plan(dataset="sales", cron="0 * * * *"), since=NIGHT)
    assert at(pipeline, schedule_id, NIGHT + dt.timedelta(hours=9, minutes=20)) is None
    assert at(pipeline, schedule_id, NIGHT + dt.timedelta(hours=9, minutes=21)) is None
    assert len(log(pipeline)) == 1
    assert "no scheduler ran; skipped" in log(pipeline)[0]
    # within the grace it is late, not missed
    assert at(pipeline, schedule_id, NIGHT + dt.timedelta(hours=10, seconds=40)) is not None


def test_nothing_is_missed_while_paused(pipeline: Pipeline, desk: Desk) -> None:
    plan = Plan(dataset="sales", interval_seconds=3600, catch_up=True)
    schedule_id = make(desk, plan, since=NIGHT)
    schedules.pause_schedule(desk, schedule_id, version=1)
    assert at(pipeline, schedule_id, NIGHT + dt.timedelta(hours=5)) is None
    schedules.resume_schedule(desk, schedule_id, version=2)
    assert at(pipeline, schedule_id, dt.datetime.now(dt.UTC)) is None
    assert at(pipeline, schedule_id, dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3601))


# The process ----------------------------------------------------------------------------


@contextlib.contextmanager
def running(engine: Engine, settings: Settings, *, copies: int = 1) -> Iterator[None]:
    """Run scheduler processes as threads; raise what ended one of them."""
    stop = threading.Event()
    broken: list[BaseException] = []

    def run() -> None:
        try:
            scheduler.keep_time(engine, settings, stop=stop)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            broken.append(error)

    threads = [threading.Thread(target=run) for _ in range(copies)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not broken


def eventually(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until something is so; return what it gave."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)
    return found


def lively(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"poll_seconds": 0.2, "watch_landing": False, **changes})


def test_two_schedulers_of_every_second_miss_nothing_and_repeat_nothing(
    pipeline: Pipeline, desk: Desk
) -> None:
    schedule_id = schedules.make_schedule(desk, Plan(dataset="sales", interval_seconds=1))
    over = time.monotonic() + 6.5
    with running(pipeline.engine, lively(pipeline.settings), copies=2):
        while time.monotonic() < over:
            finish_runs(pipeline.engine)
            time.sleep(0.02)
    [(since, until)] = pipeline.rows("select since, decided_until from etl.schedule")
    queued = planned_times(pipeline)
    skipped = [
        dt.datetime.fromisoformat(moment)
        for (moment,) in pipeline.rows(
            "select jsonb_array_elements_text(context -> 'skipped') from etl.log"
        )
    ]
    seconds = range(1, int((until - since).total_seconds()) + 1)
    assert len(seconds) >= 5
    # where the machine stood still for more than a second, a run still waited: skipped, and said
    assert sorted(queued + skipped) == [since + dt.timedelta(seconds=s) for s in seconds]
    assert len(queued) > len(seconds) / 2
    assert {kind for (kind,) in pipeline.rows("select kind from etl.worker")} == {"scheduler"}
    assert schedule_id in {s for (s,) in pipeline.rows("select schedule_id from etl.run")}


def test_edits_are_followed_without_a_restart(pipeline: Pipeline, desk: Desk) -> None:
    schedule_id = schedules.make_schedule(desk, Plan(dataset="sales", interval_seconds=86_400))
    with running(pipeline.engine, lively(pipeline.settings)):
        eventually(lambda: pipeline.rows("select 1 from etl.worker"))
        quick = Plan(dataset="sales", interval_seconds=1)
        schedules.change_schedule(desk, schedule_id, quick, version=1)
        eventually(lambda: planned_times(pipeline), seconds=8)
        schedules.pause_schedule(desk, schedule_id, version=2)
        paused = pipeline.value("select updated_at from etl.schedule")
        finish_runs(pipeline.engine)
        other = schedules.make_schedule(desk, Plan(dataset="customers", interval_seconds=1))
        eventually(lambda: runs_of(pipeline, other), seconds=8)
    assert max(runs_of(pipeline, schedule_id)) <= paused


def runs_of(pipeline: Pipeline, schedule_id: int) -> list[dt.datetime]:
    return [
        moment
        for (moment,) in pipeline.rows(
            "select planned_at from etl.run where schedule_id = :id", id=schedule_id
        )
    ]


def test_a_database_that_goes_away_is_waited_for(
    pipeline: Pipeline, desk: Desk, database_url: str
) -> None:
    own = connect(database_url, pipeline.settings, name="scheduler under test")
    schedules.make_schedule(desk, Plan(dataset="sales", interval_seconds=1))
    try:
        with running(own, lively(pipeline.settings)):
            before = len(eventually(lambda: planned_times(pipeline)))
            killed = pipeline.rows(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'scheduler under test'"
            )
            assert killed
            finish_runs(pipeline.engine)
            eventually(lambda: len(planned_times(pipeline)) > before)
    finally:
        own.dispose()
    assert len(set(planned_times(pipeline))) == len(planned_times(pipeline))


def test_a_schedule_that_cannot_be_followed_stops_no_other(pipeline: Pipeline, desk: Desk) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "insert into etl.schedule (dataset, cron, made_by, updated_by) "
                "values ('sales', 'nonsense', 'x', 'x')"
            )
        )
    good = make(desk, Plan(dataset="customers", interval_seconds=1))
    keeper_settings = lively(pipeline.settings)
    with scheduler.Alarms() as alarms:
        keeper = scheduler.TimeKeeper(pipeline.engine, keeper_settings, alarms)
        eventually(keeper.look)
        keeper.look()
    assert runs_of(pipeline, good)
    assert [line for line in log(pipeline) if "cannot be followed" in line] == [
        line for line in log(pipeline) if "there is 1; change it" in line
    ]
    assert sum("cannot be followed" in line for line in log(pipeline)) == 1


# What operators do ----------------------------------------------------------------------


def test_a_schedule_is_made_changed_and_removed_and_all_is_audited(
    pipeline: Pipeline, desk: Desk
) -> None:
    schedule_id = schedules.make_schedule(
        desk, Plan(dataset="sales", name=" Night\x00ly ", cron="0 6 * * 1-5")
    )
    changed = Plan(dataset="sales", name="Early", cron="0 5 * * 1-5", catch_up=True)
    schedules.change_schedule(desk, schedule_id, changed, version=1)
    schedules.pause_schedule(desk, schedule_id, version=2)
    schedules.resume_schedule(desk, schedule_id, version=3)
    schedules.remove_schedule(desk, schedule_id, version=4)
    with pipeline.engine.connect() as connection:
        one = timetable.schedule(connection, schedule_id)
    assert (one["state"], one["version"], one["cron"]) == ("removed", 5, "0 5 * * mon-fri")
    assert [change["what"] for change in reversed(one["changes"])] == [
        "made: At 06:00, Monday through Friday (UTC); missed times: skipped",
        "changed: At 06:00, Monday through Friday (UTC) → At 05:00, Monday through Friday (UTC); "
        "name “Night ly” → “Early”; missed times: one run makes up for all",
        "paused",
        "resumed",
        "removed",
    ]
    with pytest.raises(ScheduleConflictError, match="may have been removed"):
        schedules.pause_schedule(desk, schedule_id, version=5)


def test_the_second_of_two_editors_is_told(pipeline: Pipeline, desk: Desk) -> None:
    schedule_id = schedules.make_schedule(desk, DAILY)
    schedules.pause_schedule(desk_of(pipeline, name="bob"), schedule_id, version=1)
    with pytest.raises(ScheduleConflictError, match=f"bob changed schedule {schedule_id}"):
        schedules.change_schedule(desk, schedule_id, DAILY, version=1)
    assert pipeline.value("select enabled from etl.schedule") is False


def test_a_new_name_does_not_move_the_times(pipeline: Pipeline, desk: Desk) -> None:
    plan = Plan(dataset="sales", interval_seconds=3600)
    schedule_id = make(desk, plan, since=NIGHT)
    named = Plan(dataset="sales", interval_seconds=3600, name="Hourly")
    schedules.change_schedule(desk, schedule_id, named, version=1)
    assert pipeline.rows("select since, decided_until from etl.schedule") == [(NIGHT, NIGHT)]
    retimed = Plan(dataset="sales", interval_seconds=60)
    schedules.change_schedule(desk, schedule_id, retimed, version=2)
    assert pipeline.value("select since > :night from etl.schedule", night=NIGHT)


def test_wrong_plans_are_refused(pipeline: Pipeline, desk: Desk) -> None:
    for plan in (
        Plan(dataset="sales", cron="nonsense"),
        Plan(dataset="sales"),
        Plan(dataset="sales", cron="0 6 * * *", name="x" * 101),
        Plan(dataset="sales", cron="0 6 * * *", time_zone="Mars"),
    ):
        with pytest.raises(ScheduleError):
            schedules.make_schedule(desk, plan)
    with pytest.raises(RevenueError, match="nonsense"):
        schedules.make_schedule(desk, Plan(dataset="nonsense", cron="0 6 * * *"))
    schedule_id = schedules.make_schedule(desk, DAILY)
    other = Plan(dataset="customers", cron="0 6 * * *")
    with pytest.raises(ScheduleError, match="keeps its feed"):
        schedules.change_schedule(desk, schedule_id, other, version=1)


def test_a_viewer_may_not(pipeline: Pipeline, desk: Desk) -> None:
    schedule_id = schedules.make_schedule(desk, DAILY)
    viewer = desk_of(pipeline, role=Role.VIEWER, name="vic")
    attempts: list[Callable[[], object]] = [
        lambda: schedules.make_schedule(viewer, DAILY),
        lambda: schedules.change_schedule(viewer, schedule_id, DAILY, version=1),
        lambda: schedules.pause_schedule(viewer, schedule_id, version=1),
        lambda: schedules.resume_schedule(viewer, schedule_id, version=1),
        lambda: schedules.remove_schedule(viewer, schedule_id, version=1),
        lambda: schedules.run_schedule_now(viewer, schedule_id),
    ]
    for attempt in attempts:
        with pytest.raises(ForbiddenError):
            attempt()
    assert pipeline.rows("select version, enabled from etl.schedule") == [(1, True)]
    assert pipeline.value("select count(*) from etl.run") == 0
    assert pipeline.value("select count(*) from etl.audit where actor = 'vic'") == len(attempts)


def test_run_now_queues_one_run_that_belongs_to_the_schedule(
    pipeline: Pipeline, desk: Desk
) -> None:
    schedule_id = schedules.make_schedule(desk, DAILY)
    started = schedules.run_schedule_now(desk, schedule_id)
    again = schedules.run_schedule_now(desk, schedule_id)
    assert (started.is_new, again.is_new, again.run_id) == (True, False, started.run_id)
    assert pipeline.rows("select schedule_id, planned_at, trigger from etl.run") == [
        (schedule_id, None, "manual")
    ]


def test_a_queued_time_is_never_queued_again(pipeline: Pipeline, desk: Desk) -> None:
    """The key of the table holds even where the cursor was lost."""
    schedule_id = make(desk, Plan(dataset="sales", interval_seconds=30), since=NIGHT)
    now = NIGHT + dt.timedelta(seconds=31)
    assert at(pipeline, schedule_id, now) is not None
    finish_runs(pipeline.engine)
    with pipeline.engine.begin() as connection:
        connection.execute(text("update etl.schedule set decided_until = since"))
        assert (
            runs.enqueue(
                connection,
                "sales",
                actor="x",
                schedule_id=schedule_id,
                planned_at=NIGHT + dt.timedelta(seconds=30),
            )
            is None
        )
    assert at(pipeline, schedule_id, now) is None
    assert len(planned_times(pipeline)) == 1
