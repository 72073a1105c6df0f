"""The landing-zone watch: complete files are run once, half-written ones never."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from typing import Any

import pytest

from app import actions
from etl import landing, runs, worker
from etl.watch import LandingWatch
from tests.conftest import Pipeline
from tests.integration.test_actions import desk_of, sale

CUSTOMER = {"customer_id": "C001", "customer_name": "Ada", "email": "a@b.example", "region": "X"}
STABLE = 2.0


@dataclass
class Watch:
    """A watch with a clock of its own; `look` comes after so many seconds."""

    pipeline: Pipeline
    now: float = 0.0

    def __post_init__(self) -> None:
        settings = self.pipeline.settings.model_copy(
            update={"stability_seconds": STABLE, "watch_seconds": 1.0}
        )
        self.watch = LandingWatch(self.pipeline.engine, settings, clock=lambda: self.now)

    def look(self, after: float = STABLE) -> list[int]:
        self.now += after
        return self.watch.look()

    def look_long(self) -> list[int]:
        return [run_id for _ in range(4) for run_id in self.look()]


@pytest.fixture
def watch(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Watch:
    # where leases do not exist, the check of landing.py waits by the real clock
    monkeypatch.setattr(landing.time, "sleep", lambda _: None)
    return Watch(pipeline)


def queue(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return pipeline.rows("select dataset, trigger, requested_by from etl.run order by run_id")


def work_off(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Execute everything that is queued."""
    done = []
    with worker.Presence(pipeline.engine, pipeline.settings, "worker") as presence:
        while claimed := runs.claim(pipeline.engine, presence.worker_id):
            worker.perform(pipeline.engine, pipeline.settings, presence, claimed)
            with pipeline.engine.connect() as connection:
                done.append(runs.show(connection, claimed.run_id))
    return done


def test_a_complete_file_is_run_once(pipeline: Pipeline, watch: Watch) -> None:
    pipeline.land("a.json", [sale(1)])
    assert watch.look() == []  # it may still grow
    assert len(watch.look()) == 1
    assert watch.look_long() == []
    assert queue(pipeline) == [("sales", "watch", "landing zone")]
    [run] = work_off(pipeline)
    assert (run["status"], run["valid_records"]) == ("succeeded", 1)
    assert watch.look_long() == []
    pipeline.land("b.json", [sale(2)])
    assert len(watch.look_long()) == 1


def test_a_file_that_grows_is_left_alone(pipeline: Pipeline, watch: Watch) -> None:
    path = pipeline.land("a.json", b"[")
    for number in range(5):
        with path.open("ab") as file:
            file.write(json.dumps(sale(number)).encode() + b",")
        assert watch.look(1.5) == []
    with path.open("ab") as file:
        file.write(json.dumps(sale(9)).encode() + b"]")
    assert watch.look(1.5) == []
    assert watch.look(1.5) == []  # unchanged, but not for long enough
    assert len(watch.look(1.5)) == 1
    [run] = work_off(pipeline)
    assert run["valid_records"] == 6


@pytest.mark.skipif(os.name == "nt", reason="leases are of Linux")
def test_a_file_that_is_open_for_writing_is_left_alone(pipeline: Pipeline, watch: Watch) -> None:
    path = pipeline.land("a.json", [sale(1)])
    with path.open("ab") as file:
        assert watch.look_long() == []
        file.write(b" ")
    assert len(watch.look_long()) == 1


def test_a_temporary_name_is_left_alone(pipeline: Pipeline, watch: Watch) -> None:
    pipeline.land("a.json.part", [sale(1)])
    pipeline.land(".a.json", [sale(1)])
    assert watch.look_long() == []


def test_many_files_of_two_feeds_are_two_runs(pipeline: Pipeline, watch: Watch) -> None:
    for number in range(5):
        pipeline.land(f"s{number}.json", [sale(number)])
        pipeline.land(f"c{number}.json", [{**CUSTOMER, "customer_id": f"C{number}"}])
    assert len(watch.look_long()) == 2
    assert sorted(queue(pipeline)) == [
        ("customers", "watch", "landing zone"),
        ("sales", "watch", "landing zone"),
    ]
    [(message,)] = pipeline.rows("select message from etl.log where dataset = 'sales'")
    assert message == "s0.json, s1.json, s2.json and 2 more appeared in the landing zone"
    assert sum(run["valid_records"] for run in work_off(pipeline)) == 10
    assert watch.look_long() == []


def test_a_run_on_its_way_is_waited_for(pipeline: Pipeline, watch: Watch) -> None:
    with pipeline.engine.begin() as connection:
        runs.enqueue(connection, "sales", actor="tester")
    pipeline.land("a.json", [sale(1)])
    assert watch.look_long() == []
    [run] = work_off(pipeline)  # it takes the file
    assert run["valid_records"] == 1
    assert watch.look_long() == []
    assert queue(pipeline) == [("sales", "manual", "tester")]


def test_a_file_that_came_too_late_for_a_run_gets_its_own(pipeline: Pipeline, watch: Watch) -> None:
    with worker.Presence(pipeline.engine, pipeline.settings, "worker") as presence:
        with pipeline.engine.begin() as connection:
            runs.enqueue(connection, "sales", actor="tester")
        claimed = runs.claim(pipeline.engine, presence.worker_id)
        assert claimed is not None
        pipeline.land("a.json", [sale(1)])
        assert watch.look_long() == []  # the feed is at work
        with pipeline.engine.begin() as connection:
            runs.cancel(connection, claimed.run_id, actor="tester")
            connection.exec_driver_sql(
                "update etl.run set status = 'cancelled', ended_at = clock_timestamp()"
            )
    assert len(watch.look_long()) == 1


def test_an_upload_causes_no_run_beside_its_own(pipeline: Pipeline, watch: Watch) -> None:
    watch.look()
    content = io.BytesIO(json.dumps([sale(1)]).encode())
    actions.submit_file(desk_of(pipeline), name="up.json", content=content)
    assert watch.look_long() == []
    work_off(pipeline)
    assert watch.look_long() == []
    assert queue(pipeline) == [("sales", "upload", "ada")]


def test_two_watches_queue_one_run(pipeline: Pipeline, watch: Watch) -> None:
    other = Watch(pipeline)
    pipeline.land("a.json", [sale(1)])
    found = [run_id for _ in range(4) for each in (watch, other) for run_id in each.look()]
    assert len(found) == 1


def test_a_file_that_a_run_takes_in_between_causes_no_run(
    pipeline: Pipeline, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pipeline.land("a.json", [sale(1)])
    watch.look()
    recognise = landing.recognise

    def slowly(*arguments: Any) -> Any:
        found = recognise(*arguments)
        path.unlink()
        return found

    monkeypatch.setattr(landing, "recognise", slowly)
    assert watch.look() == []
    assert queue(pipeline) == []


@pytest.mark.parametrize("content", [b'[{"what": 1}]', b"not json", b""])
def test_a_file_of_no_feed_is_brought_to_a_run_that_disposes_of_it(
    pipeline: Pipeline, watch: Watch, content: bytes
) -> None:
    path = pipeline.land("strange.json", content)
    assert len(watch.look_long()) == 1
    [run] = work_off(pipeline)
    assert run["dataset"] == "customers"  # the first feed
    assert not path.exists()
    if content:
        assert run["status"] == "warned"
        assert "strange.json" in run["reason"]
        assert (pipeline.settings.rejected / "strange.json.reason.json").exists()
    assert watch.look_long() == []


def test_a_file_of_no_feed_goes_with_the_run_of_another_file(
    pipeline: Pipeline, watch: Watch
) -> None:
    pipeline.land("strange.json", b"not json")
    pipeline.land("a.json", [sale(1)])
    assert len(watch.look_long()) == 1
    [run] = work_off(pipeline)
    assert (run["dataset"], run["status"], run["valid_records"]) == ("sales", "warned", 1)


def test_a_cancelled_run_is_not_asked_for_again(pipeline: Pipeline, watch: Watch) -> None:
    path = pipeline.land("a.json", [sale(1)])
    [run_id] = watch.look_long()
    with pipeline.engine.begin() as connection:
        runs.cancel(connection, run_id, actor="tester")
    assert watch.look_long() == []
    path.write_bytes(json.dumps([sale(1), sale(2)]).encode())  # changed: a new file
    assert len(watch.look_long()) == 1


def test_a_landing_zone_that_is_gone_is_no_crash(pipeline: Pipeline, watch: Watch) -> None:
    pipeline.settings.landing.rmdir()
    assert watch.look_long() == []
