"""Conditions become incidents, incidents become messages, and each message arrives once."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from etl import alert_kinds, alerts, channels
from etl.db import queries
from tests.conftest import Pipeline
from tests.sinks import Sink, rules_put_back, sink

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
SALE = {
    "transaction_id": "T1",
    "customer_id": "C1",
    "product_id": "P1",
    "quantity": 1,
    "price": 10,
    "date": "2024-01-01",
}


def at(seconds: float) -> dt.datetime:
    return START + dt.timedelta(seconds=seconds)


@dataclass
class Bench:
    """A database with exactly the alert rules and channels that a test makes."""

    pipeline: Pipeline

    def sql(self, statement: str, **parameters: Any) -> list[Any]:
        with self.pipeline.engine.begin() as connection:
            result = connection.execute(text(statement), parameters)
            return list(result.scalars()) if result.returns_rows else []

    def rule(self, kind: str, threshold: float | None = None, **more: Any) -> int:
        values = {"kind": kind, "threshold": threshold, "cooldown_seconds": 0, **more}
        [rule_id] = self.sql(
            f"insert into etl.alert_rule ({', '.join(values)}) "
            f"values ({', '.join(f':{name}' for name in values)}) returning alert_rule_id",
            **values,
        )
        return int(rule_id)

    def channel(self, address: str, name: str = "ops") -> int:
        [channel_id] = self.sql(
            "insert into etl.alert_channel (name, address, updated_by) "
            "values (:name, :address, 'tester') returning channel_id",
            name=name,
            address=address,
        )
        return int(channel_id)

    def refresh(self, status: str, seconds: float, error: str | None = None) -> None:
        is_sent = status == "completed"
        self.sql(
            "insert into etl.refresh (requested_by, data_version, form, status, error, ended_at, "
            "request_id, started_at) values ('tester', 1, 'standard', :status, :error, :ended_at, "
            ":request_id, :started_at)",
            status=status,
            error=error,
            ended_at=None if status == "waiting" else at(seconds),
            request_id="r1" if is_sent else None,
            started_at=at(seconds) if is_sent else None,
        )

    def run(self, status: str, seconds: float, **more: Any) -> int:
        """Insert a run; it ends (or, while it runs, began) at this second."""
        is_over = status in {"succeeded", "warned", "failed", "cancelled"}
        values = {
            "dataset": "sales",
            "status": status,
            "trigger": "manual",
            "requested_by": "tester",
            "started_at": at(seconds),
            "ended_at": at(seconds) if is_over else None,
            "attempt": 1,
            "reason": "the disk is full" if status in {"failed", "lost"} else None,
            "worker_id": self.worker(seconds) if status == "running" else None,
            **more,
        }
        [run_id] = self.sql(
            f"insert into etl.run ({', '.join(values)}) "
            f"values ({', '.join(f':{name}' for name in values)}) returning run_id",
            **values,
        )
        return int(run_id)

    def worker(self, seconds: float, kind: str = "worker", host: str = "alpha") -> int:
        [worker_id] = self.sql(
            "insert into etl.worker (kind, host, pid, backend_pid, backend_start, started_at, "
            "heartbeat_at) values (:kind, :host, 7, 8, :at, :at, :at) returning worker_id",
            kind=kind,
            host=host,
            at=at(seconds),
        )
        return int(worker_id)

    def evaluate(self, seconds: float | None) -> alerts.Evaluation:
        now = None if seconds is None else at(seconds)
        with self.pipeline.engine.begin() as connection:
            found = alerts.evaluate(connection, now)
        assert found is not None
        return found

    def deliver(self, seconds: float) -> int:
        return alerts.deliver(self.pipeline.engine, self.pipeline.settings, at(seconds))

    def deliveries(self) -> list[tuple[Any, ...]]:
        return self.pipeline.rows(
            "select event, status, attempts from etl.delivery order by incident_id, event"
        )


@pytest.fixture
def bench(pipeline: Pipeline) -> Iterator[Bench]:
    with rules_put_back(pipeline.engine):
        with pipeline.engine.begin() as connection:
            connection.execute(text("delete from etl.alert_rule"))
        yield Bench(pipeline)


@pytest.fixture
def receiver() -> Iterator[Sink]:
    with sink() as opened:
        yield opened


# Every kind opens and resolves ----------------------------------------------------------


def volumes(bench: Bench, *records: int) -> None:
    for number, count in enumerate(records):
        bench.run("succeeded", number, read_records=count)


def fresh(bench: Bench, state: str) -> None:
    bench.sql(
        "insert into etl.freshness values ('sales', 'gold', :state, :at, :at, :at) "
        "on conflict (dataset, layer) do update set state = excluded.state",
        state=state,
        at=at(0),
    )


def found(bench: Bench, there: int) -> None:
    bench.sql(
        "insert into etl.finding (dataset, leg, layer, left_side, right_side, checked_at, broken_since)"
        " values ('sales', 'rows in gold', 'gold', 5, :there, :at, :since) "
        "on conflict (dataset, leg) do update set right_side = excluded.right_side, "
        "broken_since = excluded.broken_since",
        there=there,
        at=at(0),
        since=None if there == 5 else at(0),
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    kind: str
    begin: Callable[[Bench], object]
    end: Callable[[Bench], object]
    subject: str
    message: str
    threshold: float | None = None


CASES = {
    "a failed run": Case(
        kind="run_failed",
        begin=lambda b: [b.run("succeeded", 1), b.run("failed", 50)],
        end=lambda b: b.run("warned", 110),
        subject="sales",
        message="of sales failed: the disk is full",
    ),
    "a lost run": Case(
        kind="run_lost",
        begin=lambda b: b.run("lost", 50),
        end=lambda b: b.sql(
            "update etl.run set status = 'succeeded', attempt = 2, ended_at = :at", at=at(130)
        ),
        subject="sales",
        message="died; another one resumes it",
    ),
    "a run that was resumed at once": Case(
        kind="run_lost",
        begin=lambda b: b.run("succeeded", 90, attempt=2),
        end=lambda b: None,
        subject="sales",
        message="died; another one resumes it",
    ),
    "a long run": Case(
        kind="run_too_long",
        threshold=60,
        begin=lambda b: b.run("running", 10),
        end=lambda b: b.sql("update etl.run set status = 'succeeded', ended_at = :at", at=at(110)),
        subject="sales",
        message="has been running for 1 min 30 s, longer than 1 min",
    ),
    "many invalid records": Case(
        kind="invalid_count",
        threshold=10,
        begin=lambda b: b.run("warned", 50, read_records=2000, invalid_records=11),
        end=lambda b: b.run("warned", 110, read_records=2000, invalid_records=10),
        subject="sales",
        message="rejected 11 of 2,000 records, more than 10 records",
    ),
    "a high rate": Case(
        kind="invalid_rate",
        threshold=0.5,
        begin=lambda b: b.run("warned", 50, read_records=4, invalid_records=3),
        end=lambda b: b.run("warned", 110, read_records=4, invalid_records=2),
        subject="sales",
        message="rejected 75.0% of its 4 records, more than 50 %",
    ),
    "a small volume": Case(
        kind="unusual_volume",
        threshold=4,
        begin=lambda b: volumes(b, 100, 104, 96, 101, 99, 103, 97, 100, 20),
        end=lambda b: b.run("succeeded", 110, read_records=102),
        subject="sales",
        message="read 20 records; usual are 100",
    ),
    "a late layer": Case(
        kind="not_fresh",
        begin=lambda b: fresh(b, "late"),
        end=lambda b: fresh(b, "fresh"),
        subject="sales/gold",
        message="gold of sales is late: its data is of 2030-01-01 00:00:00 UTC",
    ),
    "a ledger that does not balance": Case(
        kind="ledger_broken",
        begin=lambda b: b.run("failed", 50, is_balanced=False),
        end=lambda b: b.run("succeeded", 110, is_balanced=True),
        subject="sales",
        message="does not balance",
    ),
    "a layer that lost rows": Case(
        kind="ledger_broken",
        begin=lambda b: found(b, 4),
        end=lambda b: found(b, 5),
        subject="sales/gold",
        message="rows in gold (5 against 4)",
    ),
    "a silent worker": Case(
        kind="process_silent",
        threshold=60,
        begin=lambda b: b.worker(30),
        end=lambda b: b.sql("update etl.worker set heartbeat_at = :at", at=at(190)),
        subject="worker on alpha",
        message="The worker on alpha (process 7) has shown no sign of life for 1 min 10 s",
    ),
    "a silent scheduler that is replaced": Case(
        kind="process_silent",
        threshold=60,
        begin=lambda b: b.worker(30, kind="scheduler"),
        end=lambda b: b.worker(190, kind="scheduler", host="beta"),
        subject="scheduler on alpha",
        message="no sign of life",
    ),
    "a failed refresh of Power BI": Case(
        kind="refresh_failed",
        threshold=None,
        begin=lambda b: b.refresh("failed", 50, error="the gateway is offline"),
        end=lambda b: b.refresh("completed", 150),
        subject="Power BI",
        message="of the Power BI dataset failed: the gateway is offline",
    ),
}


def test_every_kind_has_a_case_a_query_and_its_words() -> None:
    assert {case.kind for case in CASES.values()} == set(alert_kinds.KINDS)
    assert list(queries.load("queries/alerts")) == list(alert_kinds.KINDS)


def test_the_database_knows_the_same_kinds(bench: Bench) -> None:
    check = bench.pipeline.value(
        "select pg_get_constraintdef(oid) from pg_constraint where conname = 'alert_rule_kind_check'"
    )
    assert {part.split("'")[0] for part in check.split("'")[1::2]} == set(alert_kinds.KINDS)


@pytest.mark.parametrize("name", CASES)
def test_a_condition_opens_one_incident_and_ends_it(
    bench: Bench, receiver: Sink, name: str
) -> None:
    case = CASES[name]
    rule_id = bench.rule(case.kind, case.threshold)
    bench.rule(case.kind, case.threshold, dataset=None, enabled=False)
    bench.channel(receiver.address)
    assert bench.evaluate(0).opened == ()
    case.begin(bench)
    assert len(bench.evaluate(100).opened) == 1
    assert bench.evaluate(101) == alerts.Evaluation(opened=(), resolved=())
    [(rule, subject, message, resolved)] = bench.pipeline.rows(
        "select alert_rule_id, subject, message, resolved_at from etl.incident"
    )
    assert (rule, subject, resolved) == (rule_id, case.subject, None)
    assert case.message in message
    case.end(bench)
    assert len(bench.evaluate(200).resolved) == 1
    assert bench.evaluate(201) == alerts.Evaluation(opened=(), resolved=())
    assert bench.deliver(202) == 2
    assert [title.split(" #")[0] for title in receiver.titles] == [
        "Error",
        "Resolved",
    ]
    assert case.message in receiver.messages[0]["message"]


@pytest.mark.parametrize(
    ("kind", "threshold", "begin"),
    [
        ("unusual_volume", 4, lambda b: volumes(b, *[1000] * 20, 1010)),  # constant, then + 1 %
        ("unusual_volume", 4, lambda b: volumes(b, *[100] * 7, 5)),  # too few to know
        ("unusual_volume", 4, lambda b: [volumes(b, *[100] * 9), b.run("succeeded", 50)]),
        (
            "unusual_volume",
            4,
            lambda b: [
                volumes(b, *[100] * 9),
                b.run("succeeded", 50, read_records=900, is_full=True),
            ],
        ),
        ("run_failed", None, lambda b: [b.run("failed", 1), b.run("succeeded", 2)]),
        ("run_failed", None, lambda b: b.run("cancelled", 2)),
        ("run_too_long", 60, lambda b: b.run("running", 50)),
        ("run_lost", None, lambda b: b.run("running", 50)),
        ("not_fresh", None, lambda b: fresh(b, "fresh")),
        ("process_silent", 60, lambda b: b.worker(0, kind="command")),
        ("process_silent", 60, lambda b: [b.worker(0), b.worker(90)]),  # the dead was replaced
        (
            "process_silent",
            60,
            lambda b: [b.worker(0), b.sql("update etl.worker set stopped_at = :at", at=at(1))],
        ),
        (
            "invalid_rate",
            0.5,
            lambda b: b.run("failed", 50, read_records=4, invalid_records=4),
        ),
        (
            "refresh_failed",
            None,
            lambda b: [b.refresh("failed", 1), b.refresh("completed", 9), b.refresh("waiting", 9)],
        ),
        (  # a dry run that lacks a setting ends as it is asked for
            "refresh_failed",
            None,
            lambda b: [
                b.refresh("failed", 50),
                b.sql("update etl.refresh set requested_at = ended_at"),
            ],
        ),
    ],
)
def test_what_is_well_is_no_incident(
    bench: Bench, kind: str, threshold: float | None, begin: Callable[[Bench], object]
) -> None:
    bench.rule(kind, threshold)
    begin(bench)
    assert bench.evaluate(100).opened == ()


def test_a_failed_run_stays_open_while_it_waits_to_be_resumed(bench: Bench) -> None:
    bench.rule("run_failed")
    bench.run("succeeded", 1)
    run_id = bench.run("failed", 50)
    assert len(bench.evaluate(100).opened) == 1
    bench.sql("update etl.run set status = 'queued', ended_at = null where run_id = :r", r=run_id)
    assert bench.evaluate(110).resolved == ()
    bench.sql(
        "update etl.run set status = 'succeeded', ended_at = :at where run_id = :r",
        r=run_id,
        at=at(120),
    )
    assert len(bench.evaluate(130).resolved) == 1


def test_an_empty_run_does_not_end_an_incident_of_invalid_records(bench: Bench) -> None:
    bench.rule("invalid_rate", 0.5)
    bench.run("warned", 50, read_records=4, invalid_records=3)
    assert len(bench.evaluate(100).opened) == 1
    bench.run("succeeded", 110)
    assert bench.evaluate(200).resolved == ()


def test_a_rule_of_one_feed_leaves_the_others_alone(bench: Bench) -> None:
    bench.rule("run_failed", dataset="customers")
    bench.run("failed", 50)
    assert bench.evaluate(100).opened == ()
    bench.run("failed", 50, dataset="customers")
    assert len(bench.evaluate(100).opened) == 1


@pytest.mark.parametrize("change", ["enabled = false", "removed_at = now()"])
def test_a_rule_that_goes_ends_its_incidents(bench: Bench, receiver: Sink, change: str) -> None:
    bench.rule("run_failed")
    bench.channel(receiver.address)
    bench.run("failed", 50)
    bench.evaluate(100)
    bench.sql(f"update etl.alert_rule set {change}")
    assert len(bench.evaluate(110).resolved) == 1
    assert "switched off" in bench.pipeline.value("select resolved_because from etl.incident")
    assert bench.deliver(120) == 2


def test_real_runs_open_and_resolve(bench: Bench, receiver: Sink) -> None:
    bench.rule("invalid_rate", 0.4, severity="warning")
    bench.channel(receiver.address)
    bench.pipeline.land("a.json", [SALE, {**SALE, "quantity": 0}])
    run = bench.pipeline.run("sales")
    assert len(bench.evaluate(None).opened) == 1
    bench.pipeline.land("b.json", [{**SALE, "transaction_id": "T2"}])
    bench.pipeline.run("sales")
    assert len(bench.evaluate(None).resolved) == 1
    assert alerts.deliver(bench.pipeline.engine, bench.pipeline.settings) == 2
    assert bench.pipeline.value("select run_id from etl.incident") == run["run_id"]
    assert receiver.titles[0].startswith("Warning #")
    assert "rejected 50.0% of its 2 records" in receiver.messages[0]["message"]
    assert receiver.messages[0]["type"] == "warning"
    assert receiver.messages[1]["type"] == "success"
    assert "rejected no more than the limit" in receiver.messages[1]["message"]


# Exactly one fire and one resolve -------------------------------------------------------


@pytest.fixture
def failing(bench: Bench, receiver: Sink) -> Bench:
    """A failed run that is watched, and a channel to the receiver."""
    bench.rule("run_failed")
    bench.channel(receiver.address)
    bench.run("failed", 0)
    return bench


def test_a_receiver_that_was_down_gets_one_fire_and_one_resolve(
    failing: Bench, receiver: Sink
) -> None:
    receiver.status = 503
    failing.evaluate(10)
    assert failing.deliver(10) == 0
    assert failing.deliver(11) == 0  # not due yet
    assert failing.deliveries() == [("fire", "waiting", 1)]
    failing.run("succeeded", 12)
    failing.evaluate(13)
    assert failing.deliver(20) == 0  # the resolve does not overtake the fire
    assert failing.deliveries() == [("fire", "waiting", 2), ("resolve", "waiting", 0)]
    receiver.status = 200
    assert failing.deliver(60) == 2
    for later in (70, 10_000, 100_000):
        failing.evaluate(later)
        assert failing.deliver(later) == 0
    assert [title.split(" #")[0] for title in receiver.titles] == ["Error", "Resolved"]
    assert failing.deliveries() == [("fire", "sent", 3), ("resolve", "sent", 1)]
    [(success, failure, error)] = failing.pipeline.rows(
        "select last_success_at, last_failure_at, last_error from etl.alert_channel"
    )
    assert (success, failure, error) == (at(60), at(20), None)


def test_nobody_listening_is_tried_again(failing: Bench) -> None:
    with sink() as gone:
        address = gone.address
    failing.sql("update etl.alert_channel set address = :address", address=address)
    failing.evaluate(10)
    assert failing.deliver(10) == 0
    error = failing.pipeline.value("select last_error from etl.alert_channel")
    assert "127.0.0.1" in error
    assert failing.pipeline.value("select next_attempt_at from etl.delivery") == at(15)


def test_pauses_grow_to_a_quarter_of_an_hour() -> None:
    assert [alerts.pause(n) for n in (1, 2, 3, 8, 9, 1000)] == [5, 10, 20, 640, 900, 900]


def test_after_a_day_a_message_is_given_up_with_its_resolve(failing: Bench, receiver: Sink) -> None:
    receiver.status = 500
    failing.evaluate(10)
    failing.deliver(10)
    failing.run("succeeded", 20)
    failing.evaluate(30)
    failing.deliver(10 + alerts.GIVE_UP_SECONDS + 1)
    assert failing.deliveries() == [("fire", "skipped", 2), ("resolve", "skipped", 0)]
    receiver.status = 200
    assert failing.deliver(10 + 2 * alerts.GIVE_UP_SECONDS) == 0


def test_one_channel_that_fails_does_not_hold_up_another(failing: Bench, receiver: Sink) -> None:
    with sink() as gone:
        address = gone.address
    failing.channel(address, name="a broken one")
    failing.run("failed", 0, dataset="customers")
    failing.evaluate(10)
    assert failing.deliver(10) == 2
    assert len(receiver.messages) == 2
    assert failing.pipeline.value("select max(attempts) from etl.delivery") == 1
    with failing.pipeline.engine.connect() as connection:
        [channel] = queries.rows(connection, "queries/incidents.failing_channels")
    assert channel["name"] == "a broken one"


def test_two_senders_never_send_the_same(failing: Bench, receiver: Sink) -> None:
    failing.run("failed", 0, dataset="customers")
    failing.evaluate(10)
    receiver.may_answer.clear()
    with ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(failing.deliver, 11) for _ in range(4)]
        assert receiver.arrived.wait(10)
        receiver.may_answer.set()
        assert sum(sender.result() for sender in senders) == 2
    assert len(receiver.titles) == len(set(receiver.titles)) == 2


def test_a_message_under_way_is_left_alone_until_its_lease_ends(
    failing: Bench, receiver: Sink
) -> None:
    failing.evaluate(10)
    with failing.pipeline.engine.begin() as connection:  # a sender that died before it sent
        assert queries.row(
            connection,
            "queries/incidents.claim_delivery",
            now=at(10),
            without=[],
            lease_seconds=alerts.LEASE_SECONDS,
        )
    assert failing.deliver(10 + alerts.LEASE_SECONDS - 1) == 0
    assert failing.deliver(10 + alerts.LEASE_SECONDS) == 1
    assert len(receiver.messages) == 1
    assert alerts.LEASE_SECONDS > 2 * channels.SEND_SECONDS


def test_two_evaluators_open_one_incident(failing: Bench) -> None:
    barrier = threading.Barrier(2)

    def evaluate() -> alerts.Evaluation | None:
        with failing.pipeline.engine.begin() as connection:
            barrier.wait(10)
            found = alerts.evaluate(connection, at(10))
            barrier.wait(10)  # both are done before one commits
            return found

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(evaluate) for _ in range(2)]
        results = [one.result() for one in both]
    assert [result is None for result in results].count(True) == 1
    assert failing.pipeline.value("select count(*) from etl.incident") == 1
    assert failing.deliveries() == [("fire", "waiting", 0)]


# Cooldown, mute, channels ---------------------------------------------------------------


def test_a_new_incident_waits_for_the_cooldown(failing: Bench) -> None:
    failing.sql("update etl.alert_rule set cooldown_seconds = 900")
    failing.evaluate(10)
    failing.run("succeeded", 20)
    failing.evaluate(30)
    failing.run("failed", 40)
    assert failing.evaluate(50).opened == ()
    assert failing.evaluate(929).opened == ()
    assert len(failing.evaluate(931).opened) == 1


def test_a_muted_rule_is_recorded_and_not_sent(failing: Bench, receiver: Sink) -> None:
    failing.sql("update etl.alert_rule set muted_until = :at", at=at(100))
    assert len(failing.evaluate(10).opened) == 1
    failing.run("succeeded", 20)
    failing.evaluate(200)
    assert failing.deliver(300) == 0
    assert failing.deliveries() == [("fire", "skipped", 0)]
    assert receiver.messages == []


def test_what_was_told_before_the_mute_is_resolved_after_it(failing: Bench, receiver: Sink) -> None:
    failing.evaluate(10)
    assert failing.deliver(10) == 1
    failing.sql("update etl.alert_rule set muted_until = :at", at=at(100))
    failing.run("succeeded", 20)
    failing.evaluate(30)
    assert failing.deliver(99) == 0
    assert failing.deliver(100) == 1
    assert [title.split(" #")[0] for title in receiver.titles] == ["Error", "Resolved"]


def test_a_file_gets_one_json_object_a_message(failing: Bench, receiver: Sink) -> None:
    failing.sql("update etl.alert_channel set address = 'file:alerts.jsonl'")
    failing.evaluate(10)
    failing.run("succeeded", 20)
    failing.evaluate(30)
    assert failing.deliver(40) == 2
    lines = (failing.pipeline.settings.logs / "alerts.jsonl").read_text().splitlines()
    fire, resolve = (json.loads(line) for line in lines)
    assert (fire["event"], resolve["event"]) == ("fire", "resolve")
    assert fire["incident"] == resolve["incident"]
    assert "the disk is full" in fire["message"]


def test_an_address_may_stand_in_the_environment(
    failing: Bench, receiver: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing.sql("update etl.alert_channel set address = 'env:REVENUE_TEST_HOOK'")
    failing.evaluate(10)
    assert failing.deliver(10) == 0
    assert "REVENUE_TEST_HOOK is not set" in failing.pipeline.value(
        "select last_error from etl.alert_channel"
    )
    monkeypatch.setenv("REVENUE_TEST_HOOK", receiver.address)
    assert failing.deliver(60) == 1


def test_tick_does_both(failing: Bench, receiver: Sink) -> None:
    alerts.tick(failing.pipeline.engine, failing.pipeline.settings)
    assert len(receiver.messages) == 1


def test_the_loop_tells_by_itself(
    failing: Bench, receiver: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_SETTLE_SECONDS", 0.5)
    monkeypatch.setattr(alerts, "EVALUATE_SECONDS", 0.05)
    monkeypatch.setattr(alerts, "DELIVER_SECONDS", 0.02)
    with alerts.watching(failing.pipeline.engine, failing.pipeline.settings):
        assert receiver.arrived.wait(10)
    assert len(receiver.messages) == 1


# Secrets --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 302])
def test_a_planted_password_is_nowhere(
    failing: Bench, receiver: Sink, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.status = status
    failing.evaluate(10)
    failing.deliver(10)
    receiver.close()
    failing.deliver(60)
    kept = failing.pipeline.rows(
        "select t::text from (select error from etl.delivery union all "
        "select last_error from etl.alert_channel union all select message from etl.incident "
        "union all select message from etl.log) as t"
    )
    assert any("JSON" in line for (line,) in kept)
    assert not any("planted" in line or "hook" in line for (line,) in kept)
    assert "planted" not in "".join(capfd.readouterr())
    for file in Path(failing.pipeline.settings.logs).iterdir():
        assert "planted" not in file.read_text()
