"""What machines ask: /healthz and /metrics over HTTP, and `revenue status` says the same."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from app import exporter, health
from app.actions import Desk, checks
from app.auth import ForbiddenError, Operator, Role
from app.cli import status
from etl import monitor, runs, worker
from etl.db.connect import connect
from etl.errors import RevenueError
from tests.conftest import Pipeline

SALE = {
    "transaction_id": "T1",
    "customer_id": "C1",
    "product_id": "P1",
    "quantity": 1,
    "price": 10,
    "date": "2024-01-01",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port(pipeline: Pipeline) -> Iterator[int]:
    configured = pipeline.settings.model_copy(update={"metrics_port": free_port()})
    with exporter.serving(pipeline.engine, configured, warn=pytest.fail) as served:
        assert served is not None
        yield served


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metrics(port: int) -> dict[tuple[str, ...], float]:
    """Return every sample by its name and its labels' values."""
    status, body = get(port, "/metrics")
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def change(pipeline: Pipeline, statement: str) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(text(statement))


def check(pipeline: Pipeline) -> None:
    with pipeline.engine.begin() as connection:
        monitor.check(connection)


def test_metrics_are_read_from_the_database(pipeline: Pipeline, port: int) -> None:
    pipeline.land("a.json", [SALE, {**SALE, "price": 11}, {**SALE, "quantity": 0}])
    pipeline.run("sales")
    with pipeline.engine.begin() as connection:
        runs.enqueue(connection, "customers", actor="ada")
    check(pipeline)
    found = metrics(port)
    assert found["revenue_database_up",] == 1
    assert found["revenue_runs", "sales", "warned"] == 1
    assert found["revenue_runs", "customers", "queued"] == 1
    assert found["revenue_queued_runs",] == 1
    assert found["revenue_records", "sales", "valid"] == 1
    assert found["revenue_records", "sales", "invalid"] == 1
    assert found["revenue_records", "sales", "superseded"] == 1
    assert found["revenue_open_invalid_records", "sales"] == 1
    assert 0 <= found["revenue_freshness_age_seconds", "sales", "gold"] < 60
    assert ("revenue_freshness_age_seconds", "customers", "gold") not in found
    assert found["revenue_layer_state", "sales", "gold", "fresh"] == 1
    assert found["revenue_layer_state", "customers", "raw", "never_ran"] == 1
    assert found["revenue_last_run_duration_seconds", "sales", "warned"] > 0
    leg = ("revenue_ledger_balanced", "sales", "rows: promotions = gold.transactions")
    assert found[leg] == 1
    change(pipeline, "delete from gold.transactions")
    check(pipeline)
    assert metrics(port)[leg] == 0
    with worker.Presence(pipeline.engine, pipeline.settings, "worker"):
        found = metrics(port)
    assert 0 <= found["revenue_heartbeat_age_seconds", "worker"] < 30


def test_healthz_is_about_the_worker_and_tells_of_the_rest(pipeline: Pipeline, port: int) -> None:
    status, body = get(port, "/healthz")
    assert status == 503
    assert "no sign of life" in json.loads(body)["reason"]
    pipeline.land("a.json", [SALE])
    pipeline.run("sales")
    change(pipeline, "delete from silver.sales")
    check(pipeline)
    with worker.Presence(pipeline.engine, pipeline.settings, "worker"):
        status, body = get(port, "/healthz")
        told = json.loads(body)
    assert (status, told["status"], told["is_well"]) == (200, "ok", False)
    assert any(problem.startswith("silver of sales: 1 missing") for problem in told["problems"])
    assert get(port, "/other")[0] == 404


def test_without_a_database_the_answers_say_so(pipeline: Pipeline) -> None:
    away = connect("postgresql://nobody:planted@127.0.0.1:9/none", pipeline.settings, name="tests")
    configured = pipeline.settings.model_copy(update={"metrics_port": free_port()})
    with exporter.serving(away, configured, warn=pytest.fail) as port:
        assert port is not None
        assert metrics(port) == {("revenue_database_up",): 0}
        status, body = get(port, "/healthz")
    assert status == 503
    assert json.loads(body) == {"status": "error", "reason": "the database does not answer"}


def test_a_port_that_is_taken_is_a_warning(pipeline: Pipeline) -> None:
    warned: list[str] = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = pipeline.settings.model_copy(update={"metrics_port": other.getsockname()[1]})
        with exporter.serving(pipeline.engine, taken, warn=warned.append) as port:
            assert port is None
    assert len(warned) == 1
    assert "REVENUE_METRICS_PORT" in warned[0]
    assert pipeline.rows("select level, message from etl.log") == [("warning", warned[0])]


def test_nothing_is_served_where_nobody_wants_it(pipeline: Pipeline) -> None:
    off = pipeline.settings.model_copy(update={"metrics_port": 0})
    with exporter.serving(pipeline.engine, off, warn=pytest.fail) as port:
        assert port is None


# revenue status -------------------------------------------------------------------------


def test_status_is_well_until_a_layer_loses_a_row(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [SALE])
    pipeline.run("sales")
    check(pipeline)
    with (
        worker.Presence(pipeline.engine, pipeline.settings, "worker"),
        worker.Presence(pipeline.engine, pipeline.settings, "scheduler"),
    ):
        well = CliRunner().invoke(status, [], standalone_mode=False)
        assert (well.return_value, well.exception) == (0, None)
        assert "19 legs, 0 broken" in well.output
        assert "late after 1 d" in well.output
        change(pipeline, "delete from raw.sales_raw")
        check(pipeline)
        broken = CliRunner().invoke(status, ["--json"], standalone_mode=False)
        assert broken.return_value == 1
        told = json.loads(broken.stdout)
        assert told["is_well"] is False
        assert any("raw of sales: 1 missing" in problem for problem in told["problems"])
        assert {age["layer"] for age in told["freshness"]} == {"raw", "silver", "gold"}


def test_a_stale_layer_is_a_problem_and_a_late_one_a_warning(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [SALE])
    pipeline.run("sales")
    for days, kind in ((1, "warnings"), (1, "problems")):
        change(pipeline, f"update etl.batch set insert_date = insert_date - interval '{days} days'")
        change(pipeline, f"update etl.run set ended_at = ended_at - interval '{days} days'")
        with pipeline.engine.connect() as connection:
            told = health.status(connection)[kind]
        assert sum("of sales is" in line for line in told) == 3


# Actions --------------------------------------------------------------------------------


def desk(pipeline: Pipeline, role: Role) -> Desk:
    return Desk(
        engine=pipeline.engine,
        settings=pipeline.settings,
        operator=Operator(name="vic", role=role, origin="test"),
    )


def test_checks_and_limits_need_their_roles(pipeline: Pipeline) -> None:
    with pytest.raises(ForbiddenError):
        checks.check_now(desk(pipeline, Role.VIEWER))
    limits = {"dataset": "sales", "layer": "gold", "late_seconds": 1, "stale_seconds": 2}
    with pytest.raises(ForbiddenError):
        checks.set_freshness_limit(desk(pipeline, Role.OPERATOR), **limits)
    assert pipeline.value("select count(*) from etl.finding") == 0
    assert pipeline.value("select count(*) from etl.freshness_limit") == 0
    assert pipeline.rows("select action, after ? 'refused' from etl.audit order by 1") == [
        ("check.run", True),
        ("freshness.limit", True),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layer": "bronze"}, "no layer 'bronze'"),
        ({"dataset": "orders"}, "no dataset 'orders'"),
        ({"late_seconds": 0}, "longer than nothing"),
        ({"stale_seconds": 1}, "no sooner than late"),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    pipeline: Pipeline, changes: dict[str, object], words: str
) -> None:
    limits = {"dataset": "sales", "layer": "gold", "late_seconds": 5, "stale_seconds": 9, **changes}
    with pytest.raises(RevenueError, match=words):
        checks.set_freshness_limit(desk(pipeline, Role.STEWARD), **limits)
    assert pipeline.value("select count(*) from etl.freshness_limit") == 0


def test_a_limit_takes_effect_at_once(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [SALE])
    pipeline.run("sales")
    change(pipeline, "update etl.batch set insert_date = insert_date - interval '1 hour'")
    change(pipeline, "update etl.run set ended_at = ended_at - interval '1 hour'")
    for late in (60, 120):
        checks.set_freshness_limit(
            desk(pipeline, Role.STEWARD),
            dataset="sales",
            layer="gold",
            late_seconds=late,
            stale_seconds=7200,
        )
    assert pipeline.rows(
        "select layer, state from etl.freshness where dataset = 'sales' order by 1"
    ) == [("gold", "late"), ("raw", "fresh"), ("silver", "fresh")]
    assert pipeline.rows("select before ->> 'late_seconds' from etl.audit order by audit_id") == [
        ("86400",),
        ("60",),
    ]
