"""The health page shows what is old, what does not add up, who is alive, and who did what."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import text

from app import health
from etl import monitor, worker
from etl.monitor import Freshness, LayerAge
from tests.conftest import Pipeline
from tests.pages.conftest import Open, words

SALE = {
    "transaction_id": "T1",
    "customer_id": "C1",
    "product_id": "P1",
    "quantity": 1,
    "price": 10,
    "date": "2024-01-01",
}
HOUR = 3600


def plain(at: Any) -> str:
    return words(at).replace("\\", "").replace("\u200b", "")


def change(pipeline: Pipeline, statement: str) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(text(statement))


@pytest.fixture
def warehouse(pipeline: Pipeline) -> Pipeline:
    pipeline.land("a.json", [SALE, {**SALE, "transaction_id": "T2"}])
    pipeline.run("sales")
    return pipeline


def test_a_new_installation_is_told_what_to_expect(open_page: Open) -> None:
    said = plain(open_page("health"))
    assert "Not checked yet" in said
    assert "no run has reached it yet" in said
    assert "No process is known" in said
    assert "Nothing was done yet" in said


def test_a_broken_layer_is_named_with_its_count_and_batch(
    open_page: Open, warehouse: Pipeline
) -> None:
    at = open_page("health")
    at.button(key="check_now").click().run()
    assert "missing" not in plain(at)
    assert "no worker is running" in plain(at)
    change(warehouse, "delete from raw.sales_raw where position = 2")
    at.button(key="check_now").click().run()
    said = plain(at)
    assert "raw of sales: 1 missing (records: batches = raw.sales_raw: 1 instead of 2)" in said
    assert "revenue run FEED --full" in said
    legs = at.dataframe[0].value
    assert legs["layer"].tolist()[0] == "raw"
    assert legs["off"].tolist()[0] == "-1"
    batch = warehouse.value("select batch_id from etl.batch")
    assert legs["batches"].tolist()[0] == f"batch {batch}: 1 of 2"
    audited = warehouse.rows("select action, after -> 'broken' from etl.audit order by audit_id")
    assert [row[0] for row in audited] == ["check.run", "check.run"]
    assert audited[0][1] == []
    assert len(audited[1][1]) == 1


def test_legs_are_filtered_by_the_address(open_page: Open, warehouse: Pipeline) -> None:
    change(warehouse, "delete from gold.transactions where transaction_id = 'T1'")
    with warehouse.engine.begin() as connection:
        monitor.check(connection)
    at = open_page("health", legs="broken")
    assert set(at.dataframe[0].value["layer"]) == {"gold"}
    assert len(at.dataframe[0].value) == 6
    at = open_page("health", legs="broken", feed="customers")
    assert "No leg fits these filters" in plain(at)


def test_the_arithmetic_of_freshness_is_shown(open_page: Open, warehouse: Pipeline) -> None:
    change(
        warehouse,
        "update etl.batch set insert_date = insert_date - interval '3 hours 5 minutes 30 seconds'",
    )
    change(
        warehouse,
        "update etl.run set ended_at = ended_at - interval '3 hours 5 minutes 30 seconds'",
    )
    said = plain(open_page("health"))
    assert "complete 3 h 5 min ago; late after 1 d, so in 20 h 54 min" in said
    change(warehouse, "update etl.batch set insert_date = insert_date - interval '5 days'")
    change(warehouse, "update etl.run set ended_at = ended_at - interval '5 days'")
    said = plain(open_page("health"))
    assert "stale after 2 d, so for 3 d 3 h" in said
    assert "gold of sales is stale" in said


def test_limits_are_changed_and_audited(open_page: Open, warehouse: Pipeline) -> None:
    at = open_page("health")
    at.number_input(key="Late_sales_gold").set_value(0.5)
    at.number_input(key="Stale_sales_gold").set_value(2)
    save = next(button for button in at.button if button.label == "Save limits")
    save.click().run()
    assert warehouse.rows(
        "select dataset, layer, late_seconds, stale_seconds from etl.freshness_limit"
    ) == [("sales", "gold", HOUR // 2, 2 * HOUR)]
    assert warehouse.rows("select object, before, after from etl.audit") == [
        (
            "freshness of sales/gold",
            {"late_seconds": 24 * HOUR, "stale_seconds": 48 * HOUR},
            {"late_seconds": HOUR // 2, "stale_seconds": 2 * HOUR},
        )
    ]
    assert "late after 30 min" in plain(at)
    at.number_input(key="Late_sales_gold").set_value(3)
    next(button for button in at.button if button.label == "Save limits").click().run()
    assert "stale no sooner than late" in plain(at)


def test_processes_are_shown_with_their_signs_of_life(open_page: Open, pipeline: Pipeline) -> None:
    with worker.Presence(pipeline.engine, pipeline.settings, "scheduler"):
        pass
    with worker.Presence(pipeline.engine, pipeline.settings, "worker"):
        change(
            pipeline,
            "insert into etl.worker (kind, host, pid, backend_pid, backend_start, heartbeat_at) "
            "values ('worker', 'elsewhere', 1, 1, now(), now() - interval '5 minutes')",
        )
        shown = open_page("health").dataframe[0].value
    states = {(row.kind, row.host): row.state[0] for row in shown.itertuples()}
    assert states["worker", "elsewhere"] == "? silent"
    assert sorted(states.values()) == ["? silent", "– stopped", "✓ alive"]


def test_the_audit_trail_is_filtered_paged_and_harmless(
    open_page: Open, pipeline: Pipeline
) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "insert into etl.audit (actor, role, action, object, after) select "
                "case when n % 2 = 0 then 'ada' else '![x](https://evil.example)' end, 'operator', "
                "case when n % 3 = 0 then 'run.start' else 'run.cancel' end, 'run ' || n, "
                "jsonb_build_object('dataset', '=1+1', 'n', n) from generate_series(1, 60) as n"
            )
        )
    at = open_page("health")
    assert "60 actions" in plain(at)
    assert len(at.dataframe[-1].value) == 25
    assert at.dataframe[-1].value["object"].tolist()[0] == "run 60"
    assert at.dataframe[-1].value["after"].tolist()[0] == "n: 60, dataset: =1+1"
    assert "![x](" not in words(at)
    at = open_page("health", actor="ada", action="run.start", page=1)
    assert "10 actions" in plain(at)
    assert set(at.dataframe[-1].value["actor"]) == {"ada"}
    assert "1 action" in plain(open_page("health", on="RUN 60"))
    assert "No entry fits these filters" in plain(open_page("health", on="%"))


def test_the_overview_shows_freshness_and_broken_legs(open_page: Open, warehouse: Pipeline) -> None:
    said = plain(open_page())
    assert "3 fresh" in said
    assert "3 never ran" in said
    change(warehouse, "delete from silver.sales where transaction_id = 'T1'")
    with warehouse.engine.begin() as connection:
        monitor.check(connection)
    at = open_page()
    assert "does not balance" in plain(at)
    assert "3 broken legs: silver of sales" in plain(at)


def age(hours: float | None, state: Freshness) -> LayerAge:
    moment = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    return LayerAge(
        dataset="sales",
        layer="gold",
        state=state,
        batch_at=None,
        data_at=None if hours is None else moment,
        age_seconds=None if hours is None else hours * HOUR,
        late_seconds=24 * HOUR,
        stale_seconds=48 * HOUR,
        changed_at=None,
    )


@pytest.mark.parametrize(
    ("hours", "state", "expected"),
    [
        (None, Freshness.NEVER_RAN, "no run has reached it yet"),
        (3, Freshness.FRESH, "complete 3 h ago; late after 1 d, so in 21 h"),
        (
            30,
            Freshness.LATE,
            "complete 1 d 6 h ago; late after 1 d, so for 6 h; stale after 2 d, so in 18 h",
        ),
        (49.5, Freshness.STALE, "complete 2 d 1 h ago; stale after 2 d, so for 1 h 30 min"),
    ],
)
def test_the_arithmetic_in_words(hours: float | None, state: Freshness, expected: str) -> None:
    assert health.arithmetic(age(hours, state)) == expected
