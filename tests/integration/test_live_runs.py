"""A run while it goes on: progress that never shrinks, and a cancel that is quick and leaves nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app import cli
from etl import failpoints, generate, landing, readers, runs, worker
from etl.worker import Presence
from tests.conftest import Pipeline
from tests.invariants import broken

QUICK = 2.5  # seconds from the request to the end: two, and what this machine adds


def land(
    pipeline: Pipeline, name: str = "sales.json", *, records: int = 300, seed: int = 1
) -> None:
    path = pipeline.settings.landing / name
    generate.write("sales", records=records, seed=seed, path=path, format="json")


def wait_for(what: Callable[[], Any], *, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


@contextlib.contextmanager
def working(pipeline: Pipeline) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(
        target=worker.work, args=(pipeline.engine, pipeline.settings), kwargs={"stop": stop}
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def held(pipeline: Pipeline, table: str) -> Iterator[None]:
    """Let nobody write the table meanwhile, so that a statement of the run waits."""
    with pipeline.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"lock table {table} in exclusive mode")
        yield


def waits(pipeline: Pipeline, table: str) -> bool:
    return bool(
        pipeline.value(
            "select count(*) from pg_locks where not granted and relation = cast(:t as regclass)",
            t=table,
        )
    )


def status(pipeline: Pipeline, run_id: int) -> Any:
    return pipeline.value("select status from etl.run where run_id = :run_id", run_id=run_id)


def by_action(pipeline: Pipeline, run_id: int) -> None:
    with pipeline.engine.begin() as connection:
        assert runs.cancel(connection, run_id, actor="ann") == "running"


def by_command(pipeline: Pipeline, run_id: int) -> None:
    cli.cli.main(["runs", "cancel", str(run_id)], standalone_mode=False)


@pytest.mark.parametrize(
    ("table", "is_full", "ask"),
    [
        ("raw.sales_raw", False, by_action),  # extract: within a COPY
        ("silver.sales", False, by_command),  # load: the merge
        ("gold.products", False, by_action),  # promote
        ("silver.sales", True, by_action),  # everything judged again
    ],
)
def test_a_cancel_ends_a_long_statement(
    pipeline: Pipeline, table: str, is_full: bool, ask: Callable[[Pipeline, int], None]
) -> None:
    if is_full:
        land(pipeline, "before.json")
        pipeline.run("sales")
        with pipeline.engine.begin() as connection:  # something to change when judged again
            connection.exec_driver_sql("delete from silver.sales where position < 100")
            connection.exec_driver_sql(
                "update etl.expected set rows = (select count(*) from silver.sales) "
                "where dataset = 'sales' and layer = 'silver'"
            )
    else:
        land(pipeline)
    with working(pipeline), held(pipeline, table):
        with pipeline.engine.begin() as connection:
            run_id = runs.enqueue(connection, "sales", actor="tester", is_full=is_full)
        assert run_id is not None
        wait_for(lambda: waits(pipeline, table))
        began = time.monotonic()
        ask(pipeline, run_id)
        wait_for(lambda: status(pipeline, run_id) != "running")
        took = time.monotonic() - began
    assert status(pipeline, run_id) == "cancelled"
    assert took < QUICK
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home) == []
        shown = runs.show(connection, run_id)
    assert shown["reason"].startswith("cancelled by ")
    assert {step["status"] for step in shown["steps"]} <= {"succeeded", "cancelled"}
    # the worker is not hurt: the run goes on from its checkpoint
    with pipeline.engine.begin() as connection:
        runs.resume(connection, run_id)
    with working(pipeline):
        wait_for(lambda: status(pipeline, run_id) in {"succeeded", "warned", "failed"})
    assert status(pipeline, run_id) in {"succeeded", "warned"}
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home, quiet=True) == []


def test_a_timeout_of_the_server_is_no_cancel(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(pipeline)

    def time_out(name: str) -> None:
        if name == "load.before_merge":
            raise_timeout(pipeline)

    monkeypatch.setattr(failpoints, "hit", time_out)
    run = pipeline.run("sales")
    assert run["status"] == "failed"
    assert "statement timeout" in run["reason"]


def raise_timeout(pipeline: Pipeline) -> None:
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql("set local statement_timeout = '10ms'")
        connection.exec_driver_sql("select pg_sleep(5)")


def test_a_cancelled_run_does_not_wait_for_its_next_try(pipeline: Pipeline) -> None:
    with Presence(pipeline.engine, pipeline.settings, "worker") as presence:
        with pipeline.engine.begin() as connection:
            run_id = runs.enqueue(connection, "sales", actor="tester")
        assert run_id is not None
        assert runs.claim(pipeline.engine, presence.worker_id) is not None
        with presence.of_run(run_id):
            by_action(pipeline, run_id)
            began = time.monotonic()
            with pytest.raises(worker.RunCancelledError, match="cancelled by ann"):
                presence.pause(30)
            assert time.monotonic() - began < QUICK


class Watched:
    """Runs the feed, and writes down what the database shows after every chunk."""

    def __init__(self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pipeline = pipeline
        self.seen: list[dict[str, Any]] = []
        self.die_at = 0
        self._hits = 0
        self._presence: Presence | None = None
        monkeypatch.setattr(failpoints, "hit", self._hit)
        # the thread would write between two looks: it is asked for instead
        monkeypatch.setattr(Presence, "_beat_on", lambda presence: None)

    def _hit(self, name: str) -> None:
        if name not in {"extract.in_copy", "load.before_merge", "promote.before_commit"}:
            return
        assert self._presence is not None
        assert self._presence._connection is not None
        self._presence._beat(self._presence._connection)
        self.seen += self.pipeline_steps()
        if name == "extract.in_copy":
            self._hits += 1
            if self._hits == self.die_at:
                raise RuntimeError("died")

    def pipeline_steps(self) -> list[dict[str, Any]]:
        columns = "step, done_records, total_records, reached_records, attempted_records, activity"
        rows = self.pipeline.rows(f"select {columns} from etl.step")
        return [dict(zip(columns.split(", "), row, strict=True)) for row in rows]

    def perform(self) -> str:
        with Presence(self.pipeline.engine, self.pipeline.settings, "worker") as presence:
            self._presence = presence
            claim = runs.claim(self.pipeline.engine, presence.worker_id)
            assert claim is not None
            return worker.perform(
                self.pipeline.engine, self.pipeline.settings, presence, claim
            ).status.value


def test_progress_never_goes_backwards_over_a_resume(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = dataclasses.replace(landing.limits(pipeline.settings), chunk_bytes=60_000)
    monkeypatch.setattr(landing, "limits", lambda settings: limits)
    land(pipeline, "a.json", records=1_500, seed=1)
    land(pipeline, "b.json", records=3_000, seed=2)
    watched = Watched(pipeline, monkeypatch)
    with pipeline.engine.begin() as connection:
        run_id = runs.enqueue(connection, "sales", actor="tester")
    assert run_id is not None
    chunks_of_a, chunks_of_b = chunks(pipeline, "a.json"), chunks(pipeline, "b.json")
    assert chunks_of_b > 2
    watched.die_at = chunks_of_a + chunks_of_b
    assert watched.perform() == "failed"
    before = len(watched.seen)
    with pipeline.engine.begin() as connection:
        runs.resume(connection, run_id)
    assert watched.perform() in {"succeeded", "warned"}
    for step in ("extract", "load"):
        seen = [row for row in watched.seen if row["step"] == step]
        done = [row["done_records"] for row in seen]
        assert done == sorted(done)
        share = [row["done_records"] / row["total_records"] for row in seen if row["total_records"]]
        assert share == sorted(share)
        assert share[-1] <= 1
        resumed = [row for row in watched.seen[before:] if row["step"] == step]
        # the rate of the resumed attempt counts from the batch that was loaded before
        assert {row["attempted_records"] for row in resumed} == {1_500}
        assert resumed[0]["reached_records"] < resumed[0]["done_records"]
    activities = {row["activity"] for row in watched.seen}
    assert {"reading the file", "judging", "writing silver"} <= activities
    with pipeline.engine.connect() as connection:
        steps = {step["step"]: step for step in runs.show(connection, run_id)["steps"]}
    assert steps["extract"]["done_records"] == steps["load"]["done_records"] == 4_500
    assert all(step["activity"] is None for step in steps.values())


def test_every_step_says_what_it_does(pipeline: Pipeline) -> None:
    land(pipeline)
    heard: list[tuple[str, int, int | None, str | None]] = []

    def report(step: Any, done: int, total: int | None, /, *, activity: str | None = None) -> None:
        heard.append((step.value, done, total, activity))

    pipeline.run("sales", report=report)
    assert ("extract", 300, 300, "reading the file") in heard
    assert ("load", 300, 300, "judging") in heard
    assert ("load", 300, 300, "writing silver") in heard
    promoted = [activity for step, _, _, activity in heard if step == "promote" and activity]
    assert promoted[0] == "waiting for gold"
    assert promoted[-1] == "change months (14 of 14)"
    assert ("archive", 1, 1, "writing invalid_sales.json") in heard


def chunks(pipeline: Pipeline, name: str) -> int:
    with (pipeline.settings.landing / name).open("rb") as file:
        limits = landing.limits(pipeline.settings)
        return sum(1 for _ in readers.read_chunks(file, name=name, limits=limits))
