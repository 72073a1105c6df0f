"""Refreshes of Power BI: asked for once, followed to an end, and never at the cost of a run."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from app import cli, powerbi_refresh
from app.actions import Desk
from app.actions.powerbi import refresh_now
from app.auth import ForbiddenError, Operator, Role
from etl import runs, worker
from etl import settings as settings_module
from etl.db import queries
from etl.errors import SettingsError
from etl.powerbi import refresh
from etl.powerbi.client import PowerBi
from etl.powerbi.refresh import LEASE_SECONDS, MOST_ATTEMPTS, Refresher
from tests.conftest import Pipeline
from tests.powerbi_service import SECRET, WORKSPACE, Reply, Service, error, service

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
SALE = {
    "transaction_id": "T1",
    "customer_id": "C1",
    "product_id": "P1",
    "quantity": 1,
    "price": 10,
    "date": "2024-01-01",
}


@dataclass
class Bench:
    """A database, a service and a clock that stands until it is moved."""

    pipeline: Pipeline
    service: Service
    more: dict[str, Any] = field(default_factory=dict)  # settings
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.set()

    def set(self, **more: Any) -> None:
        """Start the process anew with these settings as well."""
        self.more |= {"powerbi_refresh": "standard", **more}
        settings = settings_module.load(**self.service.settings | self.more)
        self.pipeline.settings = settings
        self.refresher = Refresher(self.pipeline.engine, settings)

    @property
    def now(self) -> dt.datetime:
        return START + dt.timedelta(seconds=self.seconds)

    def ask(self, **options: Any) -> int:
        with self.pipeline.engine.begin() as connection:
            return refresh.ask(
                connection, self.pipeline.settings, actor="ada", now=self.now, **options
            )

    def step(self, after: float = 0.0) -> bool:
        self.seconds += after
        return self.refresher.step(self.now)

    def finish(self, status: str = "Completed", **more: Any) -> None:
        """Let the service end its refresh, and see it."""
        self.service.finish(status, **more)
        assert self.step(60)

    def one(self, refresh_id: int) -> dict[str, Any]:
        with self.pipeline.engine.connect() as connection:
            found = connection.execute(
                text("select * from etl.refresh where refresh_id = :id"), {"id": refresh_id}
            )
            return dict(found.mappings().one())

    def waits_for(self, refresh_id: int) -> float:
        return float((self.one(refresh_id)["next_attempt_at"] - self.now).total_seconds())

    def query(self, name: str, **parameters: Any) -> Any:
        with self.pipeline.engine.connect() as connection:
            return queries.row(connection, f"queries/refreshes.{name}", **parameters)

    def desk(self, role: Role = Role.OPERATOR) -> Desk:
        return Desk(
            engine=self.pipeline.engine,
            settings=self.pipeline.settings,
            operator=Operator(name="ada", role=role, origin="test"),
        )


@pytest.fixture
def powerbi() -> Iterator[Service]:
    with service() as opened:
        yield opened


@pytest.fixture
def bench(pipeline: Pipeline, powerbi: Service) -> Bench:
    return Bench(pipeline, powerbi)


@pytest.mark.parametrize("form", ["standard", "enhanced"])
def test_a_refresh_goes_from_the_wish_to_its_end(bench: Bench, form: str) -> None:
    bench.set(powerbi_refresh=form)
    refresh_id = bench.ask()
    assert bench.one(refresh_id)["status"] == "waiting"
    assert bench.step()
    sent = bench.one(refresh_id)
    assert (sent["status"], sent["form"], sent["attempts"]) == ("running", form, 0)
    assert sent["request_id"] == bench.service.refreshes[0]["requestId"]
    assert not bench.step()  # nothing is due
    assert bench.step(5)
    assert bench.one(refresh_id)["status"] == "running"
    bench.finish()
    ended = bench.one(refresh_id)
    assert (ended["status"], ended["error"]) == ("completed", None)
    assert ended["started_at"] == START
    assert ended["ended_at"] == bench.now
    assert not bench.step(3600)
    assert len(bench.service.posts) == 1
    assert bench.query("latest", powerbi_dataset_id=None)["refresh_id"] == refresh_id
    assert bench.query("newest")["status"] == "completed"


def test_looks_grow_rarer_with_time(bench: Bench) -> None:
    refresh_id = bench.ask()
    bench.step()
    pauses = [bench.waits_for(refresh_id)]
    for _ in range(40):
        bench.step(pauses[-1])
        pauses.append(bench.waits_for(refresh_id))
    assert pauses[0] == 5
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60


def test_a_failed_refresh_says_what_the_service_says(bench: Bench) -> None:
    bench.set(powerbi_refresh="enhanced")
    refresh_id = bench.ask()
    bench.step()
    bench.finish("Failed", messages=[{"type": "Error", "message": "The gateway is offline"}])
    found = bench.one(refresh_id)
    assert found["status"] == "failed"
    assert found["error"] == "it failed in Power BI: The gateway is offline"
    assert not bench.step(3600)
    assert bench.query("latest", powerbi_dataset_id=None) is None


@pytest.mark.parametrize("kind", ["seconds", "moment"])
def test_a_throttled_request_is_not_made_again_before_it_may(bench: Bench, kind: str) -> None:
    after = (
        "100"
        if kind == "seconds"
        else format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=100), usegmt=True)
    )
    refresh_id = bench.ask()
    bench.service.replies["POST"] = [Reply(429, None, {"Retry-After": after})]
    bench.step()
    found = bench.one(refresh_id)
    assert (found["status"], found["attempts"]) == ("waiting", 0)
    assert "asks for patience" in found["error"]
    assert bench.waits_for(refresh_id) == pytest.approx(100, abs=10)
    newer = bench.ask()  # the patience is asked of all of us
    assert not bench.step(89)
    assert len(bench.service.posts) == 1
    assert bench.step(22)
    assert bench.one(newer)["status"] == "running"


def test_throttling_while_it_is_followed(bench: Bench) -> None:
    refresh_id = bench.ask()
    bench.step()
    bench.service.replies["GET"] = [Reply(429, None, {"Retry-After": "500"})]
    bench.step(5)
    found = bench.one(refresh_id)
    assert (found["status"], found["attempts"]) == ("running", 0)
    bench.service.finish()
    assert not bench.step(499)
    assert bench.step(1)
    assert bench.one(refresh_id)["status"] == "completed"


def test_a_token_that_expires_while_it_is_followed(bench: Bench) -> None:
    refresh_id = bench.ask()
    bench.step()
    bench.service.tokens.append("ours is old")
    bench.step(5)
    assert bench.one(refresh_id)["status"] == "running"
    bench.service.replies["GET"] = [Reply(401), Reply(401)]
    bench.step(60)
    found = bench.one(refresh_id)
    assert found["status"] == "failed"
    assert found["error"].startswith(
        "it was sent, but cannot be followed: Power BI does not accept"
    )


def test_a_refresh_without_an_end_is_given_up(bench: Bench) -> None:
    bench.set(powerbi_refresh_timeout_minutes=10)
    refresh_id = bench.ask()
    bench.step()
    bench.step(599)
    assert bench.one(refresh_id)["status"] == "running"
    bench.step(60)
    found = bench.one(refresh_id)
    assert found["status"] == "failed"
    assert "no end within 10 minutes (REVENUE_POWERBI_REFRESH_TIMEOUT_MINUTES)" in found["error"]


def test_a_service_that_stays_away_is_tried_with_growing_pauses(bench: Bench) -> None:
    refresh_id = bench.ask()
    bench.service.replies["POST"] = [Reply(503)] * MOST_ATTEMPTS
    pauses = []
    for attempt in range(1, MOST_ATTEMPTS):
        assert bench.step(pauses[-1] if pauses else 0)
        assert bench.one(refresh_id)["attempts"] == attempt
        pauses.append(bench.waits_for(refresh_id))
    assert pauses == [15, 30, 60, 120, 240, 480, 900]
    assert bench.step(900)
    found = bench.one(refresh_id)
    assert found["status"] == "failed"
    assert found["error"].startswith("given up after 8 tries: Power BI is out of order (503)")


def test_tries_that_failed_count_on_when_a_newer_wish_comes(bench: Bench) -> None:
    bench.ask()
    bench.service.replies["POST"] = [Reply(500), Reply(500)]
    bench.step()
    newer = bench.ask()
    bench.step(15)
    assert bench.one(newer)["attempts"] == 2


def test_a_service_that_comes_back_while_it_is_followed(bench: Bench) -> None:
    refresh_id = bench.ask()
    bench.step()
    bench.service.replies["GET"] = [Reply(502), Reply(502)]
    bench.step(5)
    bench.step(15)
    assert bench.one(refresh_id)["attempts"] == 2
    bench.step(30)
    assert bench.one(refresh_id)["attempts"] == 0
    bench.finish()
    assert bench.one(refresh_id)["status"] == "completed"


def test_a_refresh_of_others_is_waited_for_and_then_asked_again(bench: Bench) -> None:
    bench.service.begin_other()
    refresh_id = bench.ask()
    bench.step()
    found = bench.one(refresh_id)
    assert (found["status"], found["attempts"]) == ("waiting", 0)
    assert "under way" in found["error"]
    assert not bench.step(59)
    bench.step(1)
    bench.service.finish()
    bench.step(60)
    assert bench.one(refresh_id)["status"] == "running"
    assert bench.one(refresh_id)["error"] is None
    assert len(bench.service.posts) == 3


def test_a_wish_that_waits_for_ever_is_given_up(bench: Bench) -> None:
    bench.service.begin_other()
    refresh_id = bench.ask()
    bench.step(48 * 3600)
    assert bench.one(refresh_id)["status"] == "waiting"
    bench.step(60)
    found = bench.one(refresh_id)
    assert found["status"] == "failed"
    assert found["error"].startswith("given up after 48 hours; another refresh")


def test_the_limit_of_a_day_is_kept(bench: Bench) -> None:
    bench.set(powerbi_refreshes_a_day=2)
    for _ in range(2):
        bench.ask()
        bench.step(600)
        bench.finish()
    third = bench.ask()
    assert not bench.step()
    found = bench.one(third)
    assert (found["status"], found["attempts"]) == ("waiting", 0)
    assert "2 refreshes within 24 hours are used up" in found["error"]
    assert "allowed from 2030-01-02 00:10:00 UTC on" in found["error"]
    assert bench.waits_for(third) == 900  # or earlier, should the limit be raised
    bench.seconds = 24 * 3600 + 600 - 1
    assert not bench.step()
    assert bench.waits_for(third) == 1
    assert len(bench.service.posts) == 2
    assert bench.step(1)
    assert bench.one(third)["status"] == "running"


def test_a_limit_that_was_raised(bench: Bench) -> None:
    bench.set(powerbi_refreshes_a_day=1)
    bench.ask()
    bench.step()
    bench.finish()
    second = bench.ask()
    assert not bench.step()
    bench.set(powerbi_refreshes_a_day=2)
    assert bench.step(900)
    assert bench.one(second)["status"] == "running"


def test_no_limit_of_a_day(bench: Bench) -> None:
    bench.set(powerbi_refreshes_a_day=0)
    for _ in range(9):
        bench.ask()
        bench.step()
        bench.finish()
    assert len(bench.service.posts) == 9


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(403), "contributor of the workspace"),
        (Reply(404, error("x", "Dataset y is not found")), "REVENUE_POWERBI_DATASET_ID"),
        (Reply(404, error("x", "group y")), "REVENUE_POWERBI_WORKSPACE_ID"),
        (Reply(400, error("x", "y")), "refuses the request (400)"),
    ],
)
def test_a_refusal_is_final_and_says_what_to_do(bench: Bench, reply: Reply, words: str) -> None:
    refresh_id = bench.ask()
    bench.service.replies["POST"] = [reply]
    bench.step()
    found = bench.one(refresh_id)
    assert found["status"] == "failed"
    assert words in found["error"]
    assert not bench.step(3600)


def test_what_is_half_configured_fails_with_the_settings_that_are_missing(bench: Bench) -> None:
    bench.set(powerbi_client_secret="", powerbi_dataset_id="")
    refresh_id = bench.ask()
    assert bench.step()
    found = bench.one(refresh_id)
    assert found["status"] == "failed"
    assert "REVENUE_POWERBI_CLIENT_SECRET, REVENUE_POWERBI_DATASET_ID" in found["error"]
    assert bench.service.requests == []


# One refresh for many wishes ------------------------------------------------------------


def test_wishes_that_wait_are_served_by_one_refresh(bench: Bench) -> None:
    first, second, third = (bench.ask() for _ in range(3))
    bench.step()
    assert len(bench.service.posts) == 1
    assert [bench.one(one)["status"] for one in (first, second)] == ["covered", "covered"]
    assert [bench.one(one)["covered_by"] for one in (first, second)] == [third, third]
    bench.finish()
    assert bench.query("one", refresh_id=first)["state"] == "completed"
    assert bench.query("one", refresh_id=first)["ended_at"] == bench.now


def test_a_wish_while_one_runs_waits_for_its_end(bench: Bench) -> None:
    first = bench.ask()
    bench.step()
    second = bench.ask()
    assert not bench.step()
    bench.finish()
    assert bench.one(second)["status"] == "waiting"
    bench.step()
    assert bench.one(first)["status"] == "completed"
    assert bench.one(second)["status"] == "running"
    assert len(bench.service.posts) == 2


def test_covered_wishes_follow_to_the_refresh_that_was_sent(bench: Bench) -> None:
    first, second = bench.ask(), bench.ask()
    bench.service.replies["POST"] = [Reply(500)]
    bench.step()
    third = bench.ask()
    bench.step(15)
    assert {bench.one(one)["covered_by"] for one in (first, second)} == {third}


def test_while_another_process_decides_nothing_is_sent(bench: Bench) -> None:
    refresh_id = bench.ask()
    with bench.pipeline.engine.begin() as other:
        assert queries.value(other, "queries/refreshes.try_lock")
        assert not bench.step()
    assert bench.one(refresh_id)["attempts"] == 0
    assert bench.step()


def test_while_another_process_sends_nothing_is_sent(bench: Bench) -> None:
    bench.ask()
    assert bench.refresher._claim(bench.now) is not None
    newer = bench.ask()
    other = Refresher(bench.pipeline.engine, bench.pipeline.settings)
    assert not other.step(bench.now)
    assert bench.one(newer)["attempts"] == 0
    assert bench.service.requests == []


# Processes that die ---------------------------------------------------------------------


class Died(BaseException):
    pass


def test_a_process_that_dies_while_it_follows_is_replaced(bench: Bench) -> None:
    refresh_id = bench.ask()
    bench.step()
    bench.set()  # a new process: no token, no memory
    bench.finish()
    assert bench.one(refresh_id)["status"] == "completed"
    assert len(bench.service.posts) == 1
    assert len(bench.service.tokens) == 2


def test_a_process_that_dies_before_it_stored_the_id_asks_again_after_the_lease(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh_id = bench.ask()

    def die(*_: Any, **__: Any) -> None:
        raise Died

    with monkeypatch.context() as broken:
        broken.setattr(refresh, "look_pause", die)  # after the answer, before it is stored
        with pytest.raises(Died):
            bench.step()
    bench.set()
    assert not bench.step(LEASE_SECONDS - 1)
    assert len(bench.service.posts) == 1
    bench.step(1)  # the service says that one is under way
    assert "under way" in bench.one(refresh_id)["error"]
    bench.service.finish()
    bench.step(60)
    bench.finish()
    assert bench.one(refresh_id)["status"] == "completed"


def test_an_answer_after_the_lease_changes_nothing(bench: Bench) -> None:
    refresh_id = bench.ask()
    slow = bench.refresher._claim(bench.now)
    assert slow is not None
    bench.step(LEASE_SECONDS)
    assert bench.one(refresh_id)["status"] == "running"
    bench.refresher._end(slow, "failed", "too late", bench.now)
    assert bench.one(refresh_id)["status"] == "running"


def test_a_refresh_that_the_service_forgot_is_given_up_early(bench: Bench) -> None:
    bench.set(powerbi_refresh="enhanced")
    refresh_id = bench.ask()
    bench.step()
    bench.service.refreshes.clear()  # the dataset was deleted meanwhile
    assert bench.step(60)
    assert bench.one(refresh_id)["status"] == "running"
    assert bench.step(900)
    found = bench.one(refresh_id)
    assert found["status"] == "failed"
    assert "does not know it (404)" in found["error"]


def test_a_mistake_of_ours_holds_up_no_later_refresh_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh_id = bench.ask()
    bench.step()

    def look(*_: object) -> None:
        raise ValueError("a mistake")

    with monkeypatch.context() as patched:
        patched.setattr(PowerBi, "look", look)
        for _ in range(MOST_ATTEMPTS):
            assert bench.step(900)
    found = bench.one(refresh_id)
    assert found["status"] == "failed"
    assert "cannot be handled here (ValueError)" in found["error"]
    bench.service.finish("Completed")
    newer = bench.ask()
    assert bench.step()
    assert bench.one(newer)["status"] == "running"


def test_the_last_refresh_is_that_which_ended_last(bench: Bench) -> None:
    with bench.pipeline.engine.begin() as connection:
        for number, minutes in ((1, 5), (2, 1)):  # the first wish was committed and sent later
            connection.execute(
                text(
                    "insert into etl.refresh (requested_by, data_version, form, status, request_id, "
                    "started_at, ended_at, powerbi_dataset_id) values ('a', :number, 'standard', "
                    "'completed', 'r', now(), now() + :minutes * interval '1 minute', 'd')"
                ),
                {"number": 3 - number, "minutes": minutes},
            )
    assert bench.query("latest", powerbi_dataset_id=None)["data_version"] == 2
    assert bench.query("latest", powerbi_dataset_id="d")["data_version"] == 2
    assert bench.query("latest", powerbi_dataset_id="another") is None


# Dry run --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("standard", {"notifyOption": "NoNotification"}),
        ("enhanced", {"type": "Full", "commitMode": "transactional"}),
    ],
)
def test_a_dry_run_keeps_what_it_would_send(bench: Bench, form: str, body: dict[str, str]) -> None:
    bench.set(powerbi_refresh=form, powerbi_dry_run=True)
    refresh_id = bench.ask()
    found = bench.one(refresh_id)
    assert found["status"] == "dry_run"
    assert found["would_send"]["method"] == "POST"
    assert found["would_send"]["address"].startswith(f"{bench.service.address}/v1.0/myorg/groups/")
    assert found["would_send"]["body"] == body
    assert not bench.step()
    assert bench.service.requests == []


def test_a_dry_run_without_a_dataset_names_the_setting(bench: Bench) -> None:
    bench.set(powerbi_dry_run=True, powerbi_dataset_id="")
    found = bench.one(bench.ask())
    assert (found["status"], found["would_send"]) == ("failed", None)
    assert "REVENUE_POWERBI_DATASET_ID" in found["error"]


# Runs -----------------------------------------------------------------------------------


def test_only_a_run_that_changed_gold_asks(bench: Bench) -> None:
    bench.pipeline.land("a.json", [SALE])
    run = bench.pipeline.run("sales")
    asked = bench.query("of_run", run_id=run["run_id"])
    assert (asked["state"], asked["requested_by"]) == ("waiting", "tester")
    version = bench.pipeline.value("select sum(data_version)::bigint from etl.dataset")
    assert asked["data_version"] == version
    idle = bench.pipeline.run("sales")
    assert bench.query("of_run", run_id=idle["run_id"]) is None


def test_nothing_is_asked_for_while_it_is_off(bench: Bench) -> None:
    bench.set(powerbi_refresh="off")
    bench.pipeline.land("a.json", [SALE])
    bench.pipeline.run("sales")
    assert bench.pipeline.rows("select * from etl.refresh") == []


def test_the_runs_refresh_is_that_which_was_sent_in_its_place(bench: Bench) -> None:
    runs = []
    for number in (1, 2):
        bench.pipeline.land(f"{number}.json", [{**SALE, "transaction_id": f"T{number}"}])
        runs.append(bench.pipeline.run("sales")["run_id"])
    bench.seconds = (dt.datetime.now(dt.UTC) - START).total_seconds() + 60
    bench.step()
    bench.finish("Failed")
    first, second = (bench.query("of_run", run_id=run_id) for run_id in runs)
    assert (first["status"], first["state"]) == ("covered", "failed")
    assert first["covered_by"] == second["refresh_id"]
    assert first["error"] == second["error"] == "it failed in Power BI"
    assert first["later_id"] is None
    later = bench.ask()
    bench.step()
    bench.finish()
    first = bench.query("of_run", run_id=runs[0])
    assert (first["state"], first["later_id"]) == ("failed", later)
    assert bench.query("latest", powerbi_dataset_id=None)["data_version"] == second["data_version"]


@pytest.mark.parametrize(
    ("reply", "state", "words"),
    [
        (None, "completed", None),
        (Reply(403), "failed", "contributor of the workspace"),
        (Reply(500, "not JSON"), "waiting", "out of order (500)"),
    ],
)
def test_a_worker_refreshes_after_a_run_that_stays_succeeded(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    reply: Reply | None,
    state: str,
    words: str | None,
) -> None:
    """The whole way: queued run, worker, its thread, the service over HTTP."""
    monkeypatch.setattr(refresh, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(refresh, "look_pause", lambda _: 0.02)
    bench.service.ends_at_once = True
    if reply is not None:
        bench.service.replies["POST"] = [reply]
    bench.pipeline.land("a.json", [SALE])
    with bench.pipeline.engine.begin() as connection:
        run_id = runs.enqueue(connection, "sales", actor="tester")
    stop = threading.Event()
    thread = threading.Thread(
        target=worker.work,
        args=(bench.pipeline.engine, bench.pipeline.settings),
        kwargs={"stop": stop},
    )
    thread.start()
    try:
        found = None
        for _ in range(400):  # until it shows, or 20 s
            found = bench.query("of_run", run_id=run_id)
            is_told = found and found["state"] == state and bool(found["error"]) == bool(words)
            if is_told and bench.pipeline.value("select status from etl.run") == "succeeded":
                break
            stop.wait(0.05)
        assert found is not None
        assert found["state"] == state
        assert words is None or words in found["error"]
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert ("of Power BI failed" in caplog.text) == (state == "failed")
    run = bench.pipeline.rows("select status, is_balanced from etl.run where run_id = :r", r=run_id)
    assert run == [("succeeded", True)]
    assert bench.pipeline.value("select count(*) from gold.transactions") == 1
    assert len(bench.service.posts) == 1


def test_the_secret_is_nowhere(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    bench.ask()
    bench.service.replies["POST"] = [
        Reply(400, error("Bad", f"{SECRET} and planted-token-1 are bad"))
    ]
    bench.step()
    bench.set(powerbi_dry_run=True)
    bench.ask()
    refresh_now(bench.desk())
    bench.set(powerbi_dry_run=False)
    bench.ask()
    bench.step()
    bench.finish("Failed", serviceExceptionJson=json.dumps({"errorCode": SECRET}))
    stored = bench.pipeline.rows("select r::text from etl.refresh as r")
    stored += bench.pipeline.rows("select a::text from etl.audit as a")
    assert len(stored) == 5
    for secret in (SECRET, "planted-token"):
        assert secret not in str(stored)
        assert secret not in caplog.text
        assert secret not in repr(bench.pipeline.settings)


# By hand --------------------------------------------------------------------------------


def test_an_operator_asks_and_it_is_audited(bench: Bench) -> None:
    refresh_id = refresh_now(bench.desk())
    assert bench.one(refresh_id)["requested_by"] == "ada"
    audited = bench.pipeline.rows("select actor, action, object, after ->> 'form' from etl.audit")
    assert audited == [("ada", "powerbi.refresh", f"refresh {refresh_id}", "standard")]


def test_a_viewer_may_not(bench: Bench) -> None:
    with pytest.raises(ForbiddenError):
        refresh_now(bench.desk(Role.VIEWER))
    assert bench.pipeline.rows("select * from etl.refresh") == []
    assert bench.pipeline.value("select after ->> 'refused' is not null from etl.audit")


def test_asking_while_it_is_off_names_the_setting(bench: Bench) -> None:
    bench.set(powerbi_refresh="off")
    with pytest.raises(SettingsError, match="REVENUE_POWERBI_REFRESH"):
        refresh_now(bench.desk())
    refresh_id = refresh_now(bench.desk(), is_dry_run=True)
    assert bench.one(refresh_id)["status"] == "dry_run"


def test_waiting_needs_no_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "look_pause", lambda _: 0.0)
    bench.service.ends_at_once = True
    said: list[str] = []
    found = powerbi_refresh.ask(
        bench.desk(), is_dry_run=False, wait=True, say=said.append, sleep=lambda _: None
    )
    assert [line.split()[2].strip(";") for line in said] == ["waits", "runs"]
    assert found["state"] == "completed"
    assert powerbi_refresh.words(found) == f"refresh {found['refresh_id']} completed"


def test_the_command(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (bench.service.settings | {"powerbi_refresh": "enhanced"}).items():
        monkeypatch.setenv(f"REVENUE_{name.upper()}", value)
    result = CliRunner().invoke(cli.cli, ["powerbi", "refresh", "--dry-run", "--json"])
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert (shown["state"], shown["would_send"]["body"]["type"]) == ("dry_run", "Full")
    assert WORKSPACE in shown["would_send"]["address"]
    result = CliRunner().invoke(cli.cli, ["powerbi", "refresh", "--json"])
    assert json.loads(result.stdout)["state"] == "waiting"
    assert bench.service.requests == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": "waiting"}, "refresh 7 waits; a worker sends it"),
        ({"state": "waiting", "error": "patience"}, "refresh 7 waits: patience"),
        ({"state": "running", "request_id": "r1"}, "refresh 7 runs in Power BI, request r1"),
        (
            {"state": "failed", "error": "no", "covered_by": 8},
            "refresh 7 (as part of refresh 8) failed: no",
        ),
    ],
)
def test_a_refresh_in_words(change: dict[str, Any], said: str) -> None:
    one = {"refresh_id": 7, "covered_by": None, "error": None, "request_id": None}
    assert powerbi_refresh.words(one | change) == said


def test_a_thread_is_there_only_when_it_is_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def names() -> set[str]:
        return {thread.name for thread in threading.enumerate()}

    monkeypatch.setattr(refresh, "WATCH_SECONDS", 30.0)
    with refresh.watching(bench.pipeline.engine, bench.pipeline.settings):
        assert "refreshes" in names()
    assert "refreshes" not in names()  # it does not wait out its pause
    bench.set(powerbi_refresh="off")
    with refresh.watching(bench.pipeline.engine, bench.pipeline.settings):
        assert "refreshes" not in names()


def test_the_thread_outlives_a_mistake(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(refresh, "WATCH_SECONDS", 0.01)
    again = threading.Event()
    calls: list[int] = []

    def step(self: Refresher, now: dt.datetime | None = None) -> bool:
        del self, now
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("a mistake")
        again.set()
        return False

    monkeypatch.setattr(Refresher, "step", step)
    settings = bench.pipeline.settings.model_copy(update={"poll_seconds": 0.01})
    with refresh.watching(bench.pipeline.engine, settings):
        assert again.wait(10)
    assert "refreshes: ValueError: a mistake" in caplog.text
