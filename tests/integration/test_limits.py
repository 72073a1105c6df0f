"""Limits of rules: what reaches one is told of or stopped, and silver is what the let-in files say."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, text

from app import actions
from app.actions import Desk, again, limits
from app.auth import ForbiddenError, Operator, Role
from etl import failpoints, monitor, runs, worker
from etl.errors import RevenueError
from etl.reprocess import Choice
from tests import conftest
from tests.conftest import Pipeline
from tests.invariants import broken

Record = tuple[str, int]  # key, quantity

SET = """
    insert into dq.rule (dataset, code, ordinal, column_name, kind, parameters, judges, severity,
        message, origin, updated_by, warn_records, warn_rate, stop_records, stop_rate)
    values ('sales', 'limited', 900, 'quantity', :kind, cast(:parameters as jsonb),
        'normalised', :severity, 'banned', 'operator', 'tester', :warn_records, :warn_rate,
        :stop_records, :stop_rate)
    on conflict (dataset, code) do update
    set kind = excluded.kind, parameters = excluded.parameters, severity = excluded.severity,
        warn_records = excluded.warn_records, warn_rate = excluded.warn_rate,
        stop_records = excluded.stop_records, stop_rate = excluded.stop_rate,
        version = dq.rule.version + 1
"""
FORGET = """
    delete from dq.violation where rule_id in (select rule_id from dq.rule where code = 'limited');
    delete from dq.rule_count where rule_id in (select rule_id from dq.rule where code = 'limited');
    delete from dq.rule_history where rule ->> 'code' = 'limited';
    delete from dq.rule where code = 'limited'
"""


def limit(
    engine: Engine,
    *,
    severity: str = "reject",
    kind: str = "one_of",
    parameters: dict[str, Any] | None = None,
    **limits: Any,
) -> None:
    """Let a rule refuse the quantities 8 and 9, with these limits."""
    names = ("warn_records", "warn_rate", "stop_records", "stop_rate")
    known = {"values": [str(quantity) for quantity in range(1, 8)]}
    with engine.begin() as connection:
        connection.execute(
            text(SET),
            {
                "kind": kind,
                "severity": severity,
                "parameters": json.dumps(known if parameters is None else parameters),
                **dict.fromkeys(names),
                **limits,
            },
        )


@pytest.fixture
def limited(clean: Engine) -> Iterator[Engine]:
    yield clean
    with clean.begin() as connection:
        for statement in FORGET.split(";"):
            connection.exec_driver_sql(statement)


def sales(records: list[Record], number: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "transaction_id": key,
            "customer_id": f"C{quantity}",
            "product": {"id": f"P{quantity}", "name": f"Name {quantity}", "price": 10},
            "quantity": quantity,
            "date": "2024-01-01",
            "number": number,  # no rule reads it; it keeps a file from being a repetition
        }
        for key, quantity in records
    ]


def desk_of(pipeline: Pipeline, role: Role = Role.STEWARD) -> Desk:
    return Desk(
        engine=pipeline.engine,
        settings=pipeline.settings,
        operator=Operator(name="ada", role=role, origin="test"),
    )


def work_off(pipeline: Pipeline, started: Any) -> dict[str, Any]:
    """Run what an action queued, as a worker would."""
    with worker.Presence(pipeline.engine, pipeline.settings, "worker") as presence:
        claimed = runs.claim(pipeline.engine, presence.worker_id, started.run_id)
        assert claimed is not None
        worker.perform(pipeline.engine, pipeline.settings, presence, claimed)
    with pipeline.engine.connect() as connection:
        return runs.show(connection, started.run_id)


def land(pipeline: Pipeline, name: str, records: list[Record]) -> dict[str, Any]:
    pipeline.land(name, sales(records, number=hash(name)))
    return pipeline.run("sales")


def the_batch(run: dict[str, Any]) -> dict[str, Any]:
    [batch] = run["batches"]
    return dict(batch)


def keys(pipeline: Pipeline) -> dict[str, int]:
    return dict(pipeline.rows("select transaction_id, quantity from silver.sales"))


def assert_sound(pipeline: Pipeline) -> None:
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home, quiet=True) == []
    with pipeline.engine.begin() as connection:
        assert [leg.words for leg in monitor.check(connection) if not leg.is_balanced] == []


BAD = [("T1", 1), ("T2", 8), ("T3", 9), ("T4", 4)]


def test_a_warn_limit_makes_the_run_say_so(limited: Engine, pipeline: Pipeline) -> None:
    limit(limited, warn_records=2, warn_rate=0.5)
    run = land(pipeline, "two.json", BAD)
    assert (run["status"], run["reason_code"]) == ("warned", "limits")
    assert run["reason"] == (
        "two.json: banned in 2 of 4 records (50 %), warn limit 2 records and 50 %"
    )
    assert keys(pipeline) == {"T1": 1, "T4": 4}
    logged = "select message from etl.log where level = 'warning' and run_id = :run_id"
    assert (run["reason"],) in pipeline.rows(logged, run_id=run["run_id"])
    run = land(pipeline, "one.json", [("T5", 8), ("T6", 1), ("T7", 1)])
    assert (run["status"], run["reason_code"]) == ("warned", "invalid_records")


def test_what_an_attempt_before_a_crash_met_is_told(
    limited: Engine, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(limited, warn_rate=0.25)
    monkeypatch.setattr(failpoints, "_SPEC", "promote.before_commit=raise")
    failpoints._hits.clear()
    failed = land(pipeline, "two.json", BAD)
    assert failed["status"] == "failed"
    monkeypatch.setattr(failpoints, "_SPEC", "")
    with pipeline.engine.begin() as connection:
        runs.resume(connection, failed["run_id"])
    run = work_off(pipeline, actions.Started(run_id=failed["run_id"], dataset="", is_new=False))
    assert run["reason"] == "two.json: banned in 2 of 4 records (50 %), warn limit 25 %"


@pytest.mark.parametrize("limits_", [{"stop_records": 2}, {"stop_rate": 0.5}])
def test_nothing_of_a_stopped_batch_gets_past_raw(
    limited: Engine, pipeline: Pipeline, limits_: dict[str, Any]
) -> None:
    limit(limited, **limits_)
    pipeline.land("1.json", sales(BAD))
    pipeline.land("2.json", sales([("T1", 2)]))
    run = pipeline.run("sales")
    assert (run["status"], run["reason_code"]) == ("warned", "stopped")
    stopped, loaded = run["batches"]
    assert (stopped["status"], loaded["status"]) == ("stopped", "promoted")
    assert "1.json is stopped: banned in 2 of 4 records (50 %), stop limit" in run["reason"]
    assert (run["read_records"], run["valid_records"], run["is_balanced"]) == (1, 1, True)
    assert {step["status"] for step in run["steps"]} == {"succeeded"}
    assert keys(pipeline) == {"T1": 2}
    for table in ("dq.quarantine", "dq.violation", "dq.superseded", "dq.rule_count"):
        found = f"select count(*) from {table} where batch_id = :batch_id"
        assert pipeline.value(found, batch_id=stopped["batch_id"]) == 0
    assert pipeline.value(
        "select count(*) from raw.sales_raw where batch_id = :b", b=stopped["batch_id"]
    ) == len(BAD)
    [fired] = pipeline.value(
        "select reason_detail -> 'rules' from etl.batch where batch_id = :b", b=stopped["batch_id"]
    )
    version = pipeline.value("select version from dq.rule where code = 'limited'")
    assert (fired["records"], fired["rule_version"]) == (2, version)
    assert_sound(pipeline)
    again = pipeline.run("sales")
    assert (again["status"], again["batches"]) == ("succeeded", [])
    assert pipeline.run("sales", is_full=True)["status"] == "succeeded"
    assert keys(pipeline) == {"T1": 2}
    assert_sound(pipeline)


def test_one_firing_below_the_limit_is_not_stopped(limited: Engine, pipeline: Pipeline) -> None:
    limit(limited, stop_records=3, stop_rate=0.51)
    assert the_batch(land(pipeline, "1.json", BAD))["status"] == "promoted"


def test_a_warning_that_needs_other_rows_may_stop_as_well(
    limited: Engine, pipeline: Pipeline
) -> None:
    limit(
        limited,
        severity="warn",
        kind="references",
        parameters={"table": "silver.customers", "column": "customer_id"},
        stop_rate=1,
    )
    with limited.begin() as connection:
        connection.exec_driver_sql(
            "update dq.rule set column_name = 'customer_id', version = version + 1 "
            "where code = 'limited'"
        )
    assert the_batch(land(pipeline, "1.json", [("T1", 1), ("T2", 2)]))["status"] == "stopped"


def test_letting_pass_loads_it_once(limited: Engine, pipeline: Pipeline) -> None:
    limit(limited, stop_records=1)
    batch = the_batch(land(pipeline, "1.json", BAD))
    started = limits.let_pass(desk_of(pipeline), batch["batch_id"], reason="the shop\nsaid so")
    run = work_off(pipeline, started)
    assert (run["status"], run["trigger"], run["is_balanced"]) == ("warned", "reprocess", True)
    assert (run["read_records"], run["invalid_records"]) == (4, 2)
    assert the_batch(run)["status"] == "promoted"
    assert the_batch(run)["reason"].endswith(
        "stop limit 1 record; let pass by ada: the shop said so"
    )
    assert keys(pipeline) == {"T1": 1, "T4": 4}
    assert pipeline.value("select count(*) from dq.quarantine") == 2
    [(actor, before, after)] = pipeline.rows(
        "select actor, before, after from etl.audit where action = 'batch.let_pass'"
    )
    assert (actor, before["status"], after["reason"]) == ("ada", "stopped", "the shop said so")
    assert_sound(pipeline)
    # the next file of this kind is stopped again
    assert the_batch(land(pipeline, "2.json", BAD))["status"] == "stopped"


def test_a_file_that_confirmed_a_row_counts_as_later(limited: Engine, pipeline: Pipeline) -> None:
    limit(limited, stop_records=1)
    land(pipeline, "1.json", [("T1", 1)])
    stopped = the_batch(land(pipeline, "2.json", [("T1", 2), ("T2", 3), ("T3", 9)]))
    land(pipeline, "3.json", [("T1", 1)])  # equal to its row, which still names the first file
    run = work_off(pipeline, limits.let_pass(desk_of(pipeline), stopped["batch_id"], reason="ok"))
    assert run["is_full"] is True
    assert keys(pipeline) == {"T1": 1, "T2": 3}
    assert_sound(pipeline)


def test_a_full_run_leaves_what_is_in_silver(limited: Engine, pipeline: Pipeline) -> None:
    land(pipeline, "1.json", BAD)
    limit(limited, stop_records=1)
    run = pipeline.run("sales", is_full=True)
    assert (run["status"], run["reason_code"]) == ("warned", "limits")
    assert "1.json: banned in 2 of 4 records (50 %), stop limit 1 record" in run["reason"]
    assert keys(pipeline) == {"T1": 1, "T4": 4}
    assert_sound(pipeline)


def test_judging_again_follows_the_limits_of_now(limited: Engine, pipeline: Pipeline) -> None:
    limit(limited, stop_records=1)
    batch_id = the_batch(land(pipeline, "1.json", BAD))["batch_id"]
    run = work_off(pipeline, limits.judge_again(desk_of(pipeline, Role.OPERATOR), batch_id))
    assert (run["status"], run["reason_code"]) == ("warned", "stopped")
    assert the_batch(run)["status"] == "stopped"
    limit(limited, stop_records=3)
    run = work_off(pipeline, limits.judge_again(desk_of(pipeline, Role.OPERATOR), batch_id))
    assert the_batch(run)["status"] == "promoted"
    assert the_batch(run)["reason"] is None
    assert keys(pipeline) == {"T1": 1, "T4": 4}
    assert_sound(pipeline)


def test_judging_again_takes_back_that_it_may_pass(limited: Engine, pipeline: Pipeline) -> None:
    limit(limited, stop_records=1)
    batch_id = the_batch(land(pipeline, "1.json", BAD))["batch_id"]
    started = limits.let_pass(desk_of(pipeline), batch_id, reason="try")
    assert limits.judge_again(desk_of(pipeline), batch_id).run_id == started.run_id
    assert the_batch(work_off(pipeline, started))["status"] == "stopped"
    assert keys(pipeline) == {}


def test_discarding_is_for_good(limited: Engine, pipeline: Pipeline) -> None:
    limit(limited, stop_records=1)
    run = land(pipeline, "1.json", BAD)
    batch_id = the_batch(run)["batch_id"]
    limits.discard(desk_of(pipeline), batch_id, reason="sent by mistake")
    with pipeline.engine.connect() as connection:
        batch = the_batch(runs.show(connection, run["run_id"]))
    assert batch["status"] == "discarded"
    assert batch["reason"].endswith("; discarded by ada: sent by mistake")
    for act in (
        lambda: limits.let_pass(desk_of(pipeline), batch_id, reason="no"),
        lambda: limits.judge_again(desk_of(pipeline), batch_id),
        lambda: limits.discard(desk_of(pipeline), batch_id, reason="no"),
    ):
        with pytest.raises(RevenueError, match="is discarded"):
            act()
    with pytest.raises(RevenueError, match="no loaded batch"):
        again.reprocess_batches(desk_of(pipeline), Choice(dataset="sales", batches=(batch_id,)))
    assert pipeline.run("sales", is_full=True)["batches"] == []
    assert_sound(pipeline)
    # brought again, it is judged again
    limit(limited)
    pipeline.land("1.json", sales(BAD, number=hash("1.json")))
    assert the_batch(pipeline.run("sales"))["status"] == "promoted"


def test_who_may_not_decide(limited: Engine, pipeline: Pipeline) -> None:
    limit(limited, stop_records=1)
    batch_id = the_batch(land(pipeline, "1.json", BAD))["batch_id"]
    operator, viewer = desk_of(pipeline, Role.OPERATOR), desk_of(pipeline, Role.VIEWER)
    with pytest.raises(ForbiddenError):
        limits.let_pass(operator, batch_id, reason="please")
    with pytest.raises(ForbiddenError):
        limits.discard(operator, batch_id, reason="please")
    with pytest.raises(ForbiddenError):
        limits.judge_again(viewer, batch_id)
    with pytest.raises(RevenueError, match="say why"):
        limits.let_pass(desk_of(pipeline), batch_id, reason=" \n ")
    with pytest.raises(RevenueError, match="no batch 0"):
        limits.judge_again(desk_of(pipeline), 0)
    refused = "select action from etl.audit where after ? 'refused' order by 1"
    assert [row[0] for row in pipeline.rows(refused)] == [
        "batch.discard",
        "batch.judge_again",
        "batch.let_pass",
    ]
    assert pipeline.value("select count(*) from etl.run where status = 'queued'") == 0


@pytest.mark.parametrize("name", ["stop.before_commit", "stop.after_commit"])
def test_a_run_that_breaks_while_it_stops_a_batch(
    name: str, limited: Engine, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(limited, stop_records=1)
    monkeypatch.setattr(failpoints, "_SPEC", f"{name}=raise")
    failpoints._hits.clear()
    pipeline.land("1.json", sales(BAD))
    failed = pipeline.run("sales")
    assert failed["status"] == "failed"
    assert keys(pipeline) == {}
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home) == []
    monkeypatch.setattr(failpoints, "_SPEC", "")
    with pipeline.engine.begin() as connection:
        runs.resume(connection, failed["run_id"])
    run = work_off(pipeline, actions.Started(run_id=failed["run_id"], dataset="", is_new=False))
    assert (run["reason_code"], the_batch(run)["status"]) == ("stopped", "stopped")
    assert_sound(pipeline)


class Limits(RuleBasedStateMachine):
    """Files, some of them stopped, and decisions in any order."""

    pipeline: Pipeline

    @initialize()
    def start(self) -> None:
        with self.pipeline.engine.begin() as connection:
            connection.execute(text(conftest.EMPTY))
        shutil.rmtree(self.pipeline.settings.home / "data")
        self.pipeline.settings.make_folders()
        self.loaded: dict[int, list[Record]] = {}
        self.stopped: dict[int, list[Record]] = {}
        self.names = itertools.count()
        limit(self.pipeline.engine, stop_records=1)
        self.is_strict = True

    def assert_like(self) -> None:
        wanted = {
            key: quantity
            for _, records in sorted(self.loaded.items())
            for key, quantity in records
            if quantity < 8
        }
        assert keys(self.pipeline) == wanted
        gold = "select transaction_id, quantity from gold.transactions"
        assert dict(self.pipeline.rows(gold)) == wanted
        found = "select batch_id from etl.batch where status = 'stopped'"
        assert {row[0] for row in self.pipeline.rows(found)} == set(self.stopped)
        assert_sound(self.pipeline)

    @rule(
        batch=st.lists(
            st.tuples(st.sampled_from(["T1", "T2", "T3"]), st.sampled_from([1, 1, 2, 9])),
            min_size=1,
            max_size=3,
        )
    )
    def land(self, batch: list[Record]) -> None:
        number = next(self.names)
        self.pipeline.land(f"{number}.json", sales(batch, number=number))
        batch_id = the_batch(self.pipeline.run("sales"))["batch_id"]
        is_stopped = self.is_strict and any(quantity > 7 for _, quantity in batch)
        (self.stopped if is_stopped else self.loaded)[batch_id] = batch
        self.assert_like()

    @rule(is_strict=st.booleans())
    def change_the_limit(self, is_strict: bool) -> None:
        limit(self.pipeline.engine, stop_records=1 if is_strict else None)
        self.is_strict = is_strict

    @precondition(lambda self: getattr(self, "stopped", None))
    @rule(
        data=st.data(),
        what=st.sampled_from(["pass", "pass", "judge", "discard"]),
        crash=st.sampled_from(["", "load.after_merge", "full.after_commit"]),
    )
    def decide(self, data: st.DataObject, what: str, crash: str) -> None:
        batch_id = data.draw(st.sampled_from(sorted(self.stopped)))
        desk = desk_of(self.pipeline)
        if what == "discard":
            limits.discard(desk, batch_id, reason="no use")
            del self.stopped[batch_id]
            self.assert_like()
            return
        if what == "pass":
            started = limits.let_pass(desk, batch_id, reason="fine")
        else:
            started = limits.judge_again(desk, batch_id)
        failpoints._SPEC = f"{crash}=raise" if crash else ""
        failpoints._hits.clear()
        try:
            run = work_off(self.pipeline, started)
        finally:
            failpoints._SPEC = ""
        if run["status"] == "failed":
            if crash == "load.after_merge":
                self.assert_like()
            with self.pipeline.engine.begin() as connection:
                runs.resume(connection, run["run_id"])
            run = work_off(self.pipeline, started)
        assert run["status"] in {"succeeded", "warned"}, run["reason"]
        if what == "pass" or not self.is_strict:
            self.loaded[batch_id] = self.stopped.pop(batch_id)
        self.assert_like()

    @rule()
    def everything_again_changes_nothing(self) -> None:
        before = self.pipeline.rows("select xmin, * from silver.sales order by transaction_id")
        self.pipeline.run("sales", is_full=True)
        after = self.pipeline.rows("select xmin, * from silver.sales order by transaction_id")
        assert [row[1:] for row in after] == [row[1:] for row in before]
        self.assert_like()


def test_silver_is_what_the_files_let_in_say(
    limited: Engine, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Limits, "pipeline", pipeline, raising=False)
    run_state_machine_as_test(
        Limits,
        settings=settings(
            max_examples=int(os.environ.get("MODEL_EXAMPLES", "3")),
            stateful_step_count=6,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),
        ),
    )
