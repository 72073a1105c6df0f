"""The check of all layers names what is wrong, and stays quiet while nothing is."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, text

from etl import failpoints, monitor, rules, worker
from etl.db import counts
from etl.model import Dataset, Rule
from etl.monitor import Finding, Task
from tests.conftest import Pipeline

DAY = dt.timedelta(days=1)


def sale(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": f"T{number}",
        "customer_id": f"C{number}",
        "product_id": "P1",
        "quantity": 1,
        "price": 10,
        "date": "2024-01-01",
        **changes,
    }


def customer(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "customer_id": f"C{number}",
        "customer_name": "Ada",
        "email": "ada@example.com",
        "loyalty_points": 1,
        **changes,
    }


def check(pipeline: Pipeline) -> dict[tuple[str, str], Finding]:
    with pipeline.engine.begin() as connection:
        return {(found.dataset, found.leg): found for found in monitor.check(connection)}


def wrong(pipeline: Pipeline) -> dict[tuple[str, str], tuple[str, Decimal]]:
    """Return the layer and the difference of each leg that does not balance."""
    return {
        key: (found.layer, found.found - found.must_be)
        for key, found in check(pipeline).items()
        if not found.is_balanced
    }


def change(pipeline: Pipeline, *statements: str) -> None:
    with pipeline.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture
def warehouse(pipeline: Pipeline) -> Pipeline:
    """Both feeds loaded: three known customers, one inferred, rejects and repetitions."""
    pipeline.land(
        "customers.json",
        [*(customer(n) for n in range(1, 4)), customer(1), customer(9, email="x" * 60)],
    )
    pipeline.land("sales.json", [*(sale(n) for n in range(1, 5)), sale(1), sale(7, quantity=0)])
    for feed in ("customers", "sales"):
        assert pipeline.run(feed)["is_balanced"]
    return pipeline


# A sound warehouse ----------------------------------------------------------------------


def test_an_empty_warehouse_is_sound(pipeline: Pipeline) -> None:
    found = check(pipeline)
    assert len(found) == 19
    assert all(leg.is_balanced for leg in found.values())


def test_loads_corrections_removals_and_late_customers_are_no_loss(
    warehouse: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = check(warehouse)
    assert [leg for leg in found.values() if not leg.is_balanced] == []
    assert found["sales", "rows: promotions = gold.transactions"].found == 4
    assert found["customers", "rows: promotions = known gold.customers"].found == 3
    assert warehouse.value("select count(*) from gold.customers where is_inferred") == 1

    # corrected, and the inferred customer arrives after its sale; one more is inferred
    warehouse.land("sales2.json", [sale(2, price=99), sale(5, customer_id="C50"), sale(3)])
    warehouse.land("customers2.json", [customer(4), customer(2, customer_name="Bob"), customer(8)])
    warehouse.run("sales")
    assert wrong(warehouse) == {}
    warehouse.run("customers")
    found = check(warehouse)
    assert found["customers", "rows: promotions = known gold.customers"].found == 5
    assert wrong(warehouse) == {}

    # a full run without changes, one under stricter rules, and back again
    active = rules.active

    def stricter(connection: Connection, dataset: str) -> list[Rule]:
        changed = {"price_invalid": {"min": 11}, "customer_name_length": {"length": 2}}
        return [
            dataclasses.replace(rule, parameters=changed.get(rule.code, rule.parameters))
            for rule in active(connection, dataset)
        ]

    for judge, sales, customers in ((active, 5, 5), (stricter, 1, 0), (active, 5, 5)):
        monkeypatch.setattr(rules, "active", judge)
        for feed in ("sales", "customers"):
            assert warehouse.run(feed, is_full=True)["is_balanced"]
        found = check(warehouse)
        assert found["sales", "rows: promotions = gold.transactions"].found == sales
        assert found["customers", "rows: promotions = known gold.customers"].found == customers
        assert [leg for leg in found.values() if not leg.is_balanced] == []


def test_silver_ahead_of_gold_is_no_loss(
    warehouse: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = check(warehouse)
    hit = failpoints.hit

    def stop(name: str) -> None:
        if name == "promote.before_commit":
            raise RuntimeError(name)
        hit(name)

    monkeypatch.setattr(failpoints, "hit", stop)
    warehouse.land("more.json", [sale(100), sale(101)])
    run = warehouse.run("sales")
    assert run["status"] == "failed"
    found = check(warehouse)
    assert found["sales", "rows: loads = silver.sales"].found == 6
    assert found["sales", "rows: promotions = gold.transactions"].found == 4
    assert ("sales", "rows: silver.sales = gold.transactions") not in found
    assert all(leg.is_balanced for leg in found.values())
    stored = warehouse.value("select count(*) from etl.finding")
    assert stored == len(before)  # what silver and gold were before is kept


def test_a_run_at_work_never_looks_like_a_loss(
    warehouse: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = counts.silver_rows

    def after_a_run(connection: Connection, dataset: Dataset) -> int:
        if dataset.name == "sales":
            warehouse.land("meanwhile.json", [sale(50), sale(51), sale(50), sale(1, quantity=0)])
            assert warehouse.run("sales")["is_balanced"]
        return counted(connection, dataset)

    with monkeypatch.context() as patched:
        patched.setattr(counts, "silver_rows", after_a_run)
        found = check(warehouse)
    assert found["sales", "rows: promotions = gold.transactions"].found == 4
    assert [leg for leg in found.values() if not leg.is_balanced] == []
    assert check(warehouse)["sales", "rows: promotions = gold.transactions"].found == 6


# Every leg, broken by hand --------------------------------------------------------------

ROWS = "rows: silver.sales = gold.transactions"
MONEY = "money: silver.sales = gold.transactions"
KNOWN = "rows: silver.customers = known gold.customers"
ROLLUP_ROWS = "rows: gold.transactions = gold.daily_sales"
ROLLUP_MONEY = "money: gold.transactions = gold.daily_sales"
MONTHS_MONEY = "money: gold.daily_sales = gold.monthly_sales"
MONTHS_GROUPS = "groups: gold.monthly_sales as gold.daily_sales make it up"
ROLLUP_GROUPS = "groups: gold.daily_sales as gold.transactions make it up"
BY_HAND: dict[str, tuple[str, dict[tuple[str, str], tuple[str, int]]]] = {
    "a record of raw.sales_raw": (
        "delete from raw.sales_raw where position = 3",
        {("sales", "records: batches = raw.sales_raw"): ("raw", -1)},
    ),
    "a record of raw.customers_raw": (
        "delete from raw.customers_raw where position = 3",
        {("customers", "records: batches = raw.customers_raw"): ("raw", -1)},
    ),
    "records of no batch": (
        "insert into raw.sales_raw select 0, position, record, insert_date from raw.sales_raw",
        {("sales", "records: batches = raw.sales_raw"): ("raw", 6)},
    ),
    "a record in the wrong batch": (
        "update raw.sales_raw set batch_id = 0 where position = 2",
        {("sales", "records: batches = raw.sales_raw"): ("raw", -1)},
    ),
    "an invalid sale": (
        "delete from dq.quarantine where dataset = 'sales'",
        {("sales", "invalid records: batches = dq.quarantine"): ("quarantine", -1)},
    ),
    "an invalid customer": (
        "delete from dq.quarantine where dataset = 'customers'",
        {("customers", "invalid records: batches = dq.quarantine"): ("quarantine", -1)},
    ),
    "a superseded sale": (
        "delete from dq.superseded using etl.batch b "
        "where b.batch_id = superseded.batch_id and b.dataset = 'sales'",
        {("sales", "superseded records: batches = dq.superseded"): ("quarantine", -1)},
    ),
    "a superseded customer": (
        "delete from dq.superseded using etl.batch b "
        "where b.batch_id = superseded.batch_id and b.dataset = 'customers'",
        {("customers", "superseded records: batches = dq.superseded"): ("quarantine", -1)},
    ),
    "a row of silver.sales": (
        "delete from silver.sales where transaction_id = 'T2'",
        {
            ("sales", "rows: loads = silver.sales"): ("silver", -1),
            ("sales", ROWS): ("silver", -1),
            ("sales", MONEY): ("silver", -10),
        },
    ),
    "a row of silver.customers": (
        "delete from silver.customers where customer_id = 'C2'",
        {
            ("customers", "rows: loads = silver.customers"): ("silver", -1),
            ("customers", KNOWN): ("silver", -1),
        },
    ),
    "two rows of gold.transactions": (
        "delete from gold.transactions where transaction_id in ('T2', 'T3')",
        {
            ("sales", "rows: promotions = gold.transactions"): ("gold", -2),
            ("sales", ROWS): ("gold", -2),
            ("sales", MONEY): ("gold", -20),
            ("sales", ROLLUP_ROWS): ("gold", 2),
            ("sales", ROLLUP_MONEY): ("gold", 20),
            ("sales", ROLLUP_GROUPS): ("gold", -2),
        },
    ),
    "a customer of gold": (
        "update gold.customers set is_inferred = true where customer_id = 'C2'",
        {
            ("customers", "rows: promotions = known gold.customers"): ("gold", -1),
            ("customers", KNOWN): ("gold", -1),
        },
    ),
    "a price of gold": (
        "update gold.transactions set price = 11 where transaction_id = 'T2'",
        {
            ("sales", MONEY): ("gold", 1),
            ("sales", ROLLUP_MONEY): ("gold", -1),
            ("sales", ROLLUP_GROUPS): ("gold", -2),
        },
    ),
    "a group of the rollup": (
        "update gold.daily_sales set transactions = transactions + 1, sales = sales + 5 "
        "where ctid = (select min(ctid) from gold.daily_sales)",
        {
            ("sales", ROLLUP_ROWS): ("gold", 1),
            ("sales", ROLLUP_MONEY): ("gold", 5),
            ("sales", ROLLUP_GROUPS): ("gold", -2),
            ("sales", MONTHS_MONEY): ("gold", -5),
            ("sales", MONTHS_GROUPS): ("gold", -2),
        },
    ),
    "homes of the rollup": (
        "update gold.daily_sales set home_region = 'Nowhere' "
        "where ctid = (select min(ctid) from gold.daily_sales)",
        {("sales", ROLLUP_GROUPS): ("gold", -2), ("sales", MONTHS_GROUPS): ("gold", -2)},
    ),
    "a day of the calendar": (
        "delete from gold.dim_date where date = '2024-02-29'",
        {("sales", "days: years of gold.transactions = gold.dim_date"): ("gold", -1)},
    ),
}


@pytest.mark.parametrize("what", BY_HAND)
def test_one_row_by_hand_breaks_its_legs_and_no_other(warehouse: Pipeline, what: str) -> None:
    statement, expected = BY_HAND[what]
    assert wrong(warehouse) == {}
    change(warehouse, statement)
    assert wrong(warehouse) == expected
    stored = warehouse.rows(
        "select dataset, leg, layer, right_side - left_side from etl.finding where not is_balanced"
    )
    assert {(row[0], row[1]): (row[2], row[3]) for row in stored} == expected


@pytest.mark.parametrize("what", [w for w, (_, legs) in BY_HAND.items() if "raw" not in str(legs)])
def test_a_full_run_mends_what_raw_still_has(warehouse: Pipeline, what: str) -> None:
    change(warehouse, BY_HAND[what][0])
    for feed in ("customers", "sales"):
        warehouse.run(feed, is_full=True)
    assert wrong(warehouse) == {}


def test_every_leg_is_broken_by_some_case(warehouse: Pipeline) -> None:
    assert {key for _, broken in BY_HAND.values() for key in broken} == set(check(warehouse))


def test_the_batch_is_named(warehouse: Pipeline) -> None:
    batch = warehouse.value("select batch_id from etl.batch where dataset = 'sales'")
    change(warehouse, "delete from raw.sales_raw where position in (2, 4)")
    leg = check(warehouse)["sales", "records: batches = raw.sales_raw"]
    assert leg.detail["batches"] == [{"batch_id": batch, "must_be": 6, "is_there": 4}]
    assert leg.words == (
        "raw of sales: 2 missing (records: batches = raw.sales_raw: 4 instead of 6)"
    )


def test_a_broken_leg_remembers_since_when(warehouse: Pipeline) -> None:
    since = "select broken_since from etl.finding where leg = 'records: batches = raw.sales_raw'"
    check(warehouse)
    assert warehouse.value(since) is None
    change(
        warehouse,
        "create table raw.kept as select * from raw.sales_raw where position = 3",
        "delete from raw.sales_raw where position = 3",
    )
    try:
        check(warehouse)
        first = warehouse.value(since)
        check(warehouse)
        assert first is not None
        assert warehouse.value(since) == first
        assert warehouse.value("select max(checked_at) from etl.finding") > first
        change(warehouse, "insert into raw.sales_raw select * from raw.kept")
        check(warehouse)
        assert warehouse.value(since) is None
    finally:
        change(warehouse, "drop table raw.kept")


def test_legs_that_are_gone_are_forgotten(warehouse: Pipeline) -> None:
    change(
        warehouse,
        "insert into etl.finding (dataset, leg, layer, left_side, right_side, checked_at) "
        "values ('sales', 'gone', 'gold', 1, 1, now())",
    )
    assert len(check(warehouse)) == 19
    assert warehouse.value("select count(*) from etl.finding") == 19


def test_two_checks_never_run_at_once(warehouse: Pipeline) -> None:
    with warehouse.engine.begin() as first:
        monitor.check(first)
        with pytest.raises(monitor.CheckBusyError, match="try again"):
            check(warehouse)
    assert wrong(warehouse) == {}


def test_a_check_does_not_wait_for_a_run_that_fills_a_table(warehouse: Pipeline) -> None:
    with warehouse.engine.begin() as run:
        run.exec_driver_sql("lock table silver.sales in access exclusive mode")
        began = time.monotonic()
        with pytest.raises(monitor.CheckBusyError):
            check(warehouse)
        assert time.monotonic() - began < 10


# Freshness ------------------------------------------------------------------------------


def states(pipeline: Pipeline, now: dt.datetime, dataset: str = "sales") -> dict[str, str]:
    with pipeline.engine.begin() as connection:
        judged = monitor.judge_freshness(connection, now)
    return {age.layer: age.state.value for age in judged if age.dataset == dataset}


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (None, "never_ran"),
        (0, "fresh"),
        (9.9, "fresh"),
        (10, "late"),
        (19.9, "late"),
        (20, "stale"),
        (-5, "fresh"),
    ],
)
def test_an_age_has_its_state(age: float | None, state: str) -> None:
    assert monitor.state_of(age, late_seconds=10, stale_seconds=20) == state


def test_layers_age_by_the_clock_alone(pipeline: Pipeline) -> None:
    now = dt.datetime.now(dt.UTC)
    layers = dict.fromkeys(monitor.LAYERS, "never_ran")
    assert states(pipeline, now) == layers
    pipeline.land("a.json", [sale(1)])
    pipeline.run("sales")
    now = dt.datetime.now(dt.UTC)
    for later, state in (
        (dt.timedelta(), "fresh"),
        (DAY - dt.timedelta(minutes=1), "fresh"),
        (DAY, "late"),
        (2 * DAY, "stale"),
    ):
        assert states(pipeline, now + later) == dict.fromkeys(layers, state)
    assert states(pipeline, now + 2 * DAY, "customers") == layers


def test_an_idle_pipeline_whose_runs_succeed_is_fresh(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [sale(1)])
    pipeline.run("sales")
    change(
        pipeline,
        "update etl.batch set insert_date = insert_date - interval '3 days'",
        "update etl.run set ended_at = ended_at - interval '3 days'",
    )
    now = dt.datetime.now(dt.UTC)
    assert states(pipeline, now) == dict.fromkeys(monitor.LAYERS, "stale")
    # one file says nothing about the others
    pipeline.run("sales", source_file="missing.json")
    assert states(pipeline, now) == dict.fromkeys(monitor.LAYERS, "stale")
    assert pipeline.run("sales")["reason"] == "nothing to do"
    assert states(pipeline, dt.datetime.now(dt.UTC)) == dict.fromkeys(monitor.LAYERS, "fresh")


def test_a_run_that_fails_before_gold_leaves_gold_to_age(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(name: str) -> None:
        if name == "promote.before_commit":
            raise RuntimeError(name)

    monkeypatch.setattr(failpoints, "hit", stop)
    pipeline.land("a.json", [sale(1)])
    pipeline.run("sales")
    found = states(pipeline, dt.datetime.now(dt.UTC))
    assert found == {"raw": "fresh", "silver": "fresh", "gold": "never_ran"}


def test_limits_of_a_layer_count_and_changes_are_dated(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [sale(1)])
    pipeline.run("sales")
    change(
        pipeline,
        "insert into etl.freshness_limit values ('sales', 'gold', 60, 120, now(), 'ada')",
    )
    now = dt.datetime.now(dt.UTC)
    later = now + dt.timedelta(seconds=70)
    since = "select state, changed_at, judged_at from etl.freshness where layer = 'gold' and dataset = 'sales'"
    states(pipeline, now)
    assert pipeline.rows(since) == [("fresh", now, now)]
    assert states(pipeline, later) == {"raw": "fresh", "silver": "fresh", "gold": "late"}
    states(pipeline, later + dt.timedelta(seconds=10))
    assert pipeline.rows(since) == [("late", later, later + dt.timedelta(seconds=10))]


# The watch ------------------------------------------------------------------------------


def wait_for(pipeline: Pipeline, sql: str) -> None:
    until = time.monotonic() + 20
    while not pipeline.value(sql):
        assert time.monotonic() < until, f"never true: {sql}"
        time.sleep(0.02)


def test_a_worker_watches_although_nothing_runs(warehouse: Pipeline) -> None:
    change(warehouse, "delete from gold.transactions where transaction_id = 'T2'")
    settings = warehouse.settings.model_copy(update={"check_seconds": 0.05})
    stop = threading.Event()
    working = threading.Thread(
        target=worker.work, args=(warehouse.engine, settings), kwargs={"stop": stop}
    )
    working.start()
    try:
        wait_for(warehouse, "select count(*) = 6 from etl.freshness where state <> 'stale'")
        wait_for(warehouse, "select count(*) = 6 from etl.finding where not is_balanced")
        change(warehouse, "delete from raw.sales_raw where position = 2")
        wait_for(warehouse, "select count(*) = 7 from etl.finding where not is_balanced")
    finally:
        stop.set()
        working.join()
    assert not [thread for thread in threading.enumerate() if thread.name == "monitor"]


def test_a_task_that_fails_is_logged_once_and_stops_no_other(pipeline: Pipeline) -> None:
    stop = threading.Event()
    done: list[str] = []

    def fail(connection: Connection) -> None:
        done.append("fail")
        connection.execute(text("select 1 / 0"))

    def end(connection: Connection) -> None:
        done.append("end")
        if done.count("fail") >= 3:
            stop.set()

    tasks = [Task(name="fail", seconds=0, do=fail), Task(name="end", seconds=0, do=end)]
    monitor.watch(pipeline.engine, pipeline.settings, stop, tasks)
    assert done[:2] == ["fail", "end"]
    assert pipeline.rows("select level, message from etl.log") == [
        ("error", "the worker's fail failed: DataError: division by zero")
    ]


def test_a_task_rests_longer_than_it_takes(pipeline: Pipeline) -> None:
    stop = threading.Event()
    began: list[float] = []

    def slow(connection: Connection) -> None:
        began.append(time.monotonic())
        connection.execute(text("select pg_sleep(0.05)"))
        if len(began) == 2:
            stop.set()

    monitor.watch(pipeline.engine, pipeline.settings, stop, [Task(name="slow", seconds=0, do=slow)])
    assert began[1] - began[0] > 20 * 0.05


def test_a_check_that_takes_too_long_is_ended(
    warehouse: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "CHECK_LIMIT_SECONDS", 0.001)
    slow = Task(
        name="check",
        seconds=60,
        do=lambda c: (monitor.check(c), c.execute(text("select pg_sleep(5)"))),
    )
    began = time.monotonic()
    monitor._do(warehouse.engine, slow, set())
    assert time.monotonic() - began < 4
    assert "statement timeout" in warehouse.value(
        "select string_agg(message, ' ') from etl.log where level = 'error'"
    )


def test_a_run_is_checked_soon_after_it(pipeline: Pipeline) -> None:
    def checked() -> int:
        with pipeline.engine.begin() as connection:
            return len(monitor.check(connection, after_runs=True))

    assert checked() == 0
    pipeline.land("sales.json", [{"transaction_id": "T1", "price": 1}])
    pipeline.run("sales")
    assert checked() > 0
    assert checked() == 0
    pipeline.run("sales")  # nothing to do
    assert checked() == 0
