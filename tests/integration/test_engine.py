"""The engine on a real database: what a run leaves in raw, silver, gold, quarantine and files."""

from __future__ import annotations

import csv
import datetime as dt
import json
import threading
from decimal import Decimal
from typing import Any

import pytest

from etl import failpoints, generate, runs, worker
from tests.conftest import Pipeline
from tests.invariants import broken, differences
from tests.oracle import Expected


def sale(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "transaction_id": f"T{number:03d}",
        "customer_id": "C001",
        "product": {"id": "P01", "name": "Laptop", "category": "Electronics", "price": 100.0},
        "quantity": 2,
        "discount": 0.1,
        "date": "2023-05-06 10:11:12",
        "region": "North",
        **changed,
    }


def customer(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "customer_id": f"C{number:03d}",
        "customer_name": "Ada Lovelace",
        "email": "ada@example.com",
        "region": "North",
        "join_date": "2022-01-02",
        "loyalty_points": 10,
        **changed,
    }


def assert_sound(pipeline: Pipeline) -> None:
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home, quiet=True) == []


def assert_as_expected(pipeline: Pipeline, dataset: str, batches: list[list[Any]]) -> None:
    expected = Expected()
    for batch in batches:
        expected.take(dataset, [json.dumps(record) for record in batch])
    identities = [
        row[0]
        for row in pipeline.rows(
            "select batch_id from etl.batch where dataset = :dataset and records is not null "
            "order by batch_id",
            dataset=dataset,
        )
    ]
    with pipeline.engine.connect() as connection:
        assert differences(connection, dataset, expected, identities) == []


def test_first_run_brings_sales_through_every_layer(pipeline: Pipeline) -> None:
    pipeline.land("sales.json", [sale(1), sale(2, quantity=-1), sale(3, region=None)])
    run = pipeline.run("sales")
    assert run["status"] == "warned"
    assert (run["read_records"], run["valid_records"], run["invalid_records"]) == (3, 2, 1)
    assert [step["status"] for step in run["steps"]] == ["succeeded"] * 4
    assert all(leg["balanced"] for leg in run["ledger"])
    assert len(run["ledger"]) == 7
    assert pipeline.rows(
        "select transaction_id, total_value, region, transaction_month from gold.transactions "
        "order by 1"
    ) == [
        ("T001", Decimal("180.00"), "North", dt.date(2023, 5, 1)),
        ("T003", Decimal("180.00"), "Unknown", dt.date(2023, 5, 1)),
    ]
    [bad] = json.loads((pipeline.settings.logs / "invalid_sales.json").read_text())
    assert bad["transaction_id"] == "T002"
    assert bad["dq_errors"] == "Invalid quantity"
    lines = (pipeline.settings.logs / "sales_etl_logs.log").read_text().splitlines()
    assert all(json.loads(line)["dataset"] == "sales" for line in lines)
    assert_sound(pipeline)


def test_running_again_changes_nothing_and_says_so(pipeline: Pipeline) -> None:
    pipeline.land("sales.json", [sale(1), sale(2)])
    pipeline.run("sales")
    before = pipeline.rows("select xmin, * from gold.transactions order by transaction_id")
    run = pipeline.run("sales")
    assert run["status"] == "succeeded"
    assert run["reason"] == "nothing to do"
    assert pipeline.rows("select xmin, * from gold.transactions order by transaction_id") == before
    assert_sound(pipeline)


def test_the_same_content_under_another_name_is_the_same_batch(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [sale(1)])
    pipeline.run("sales")
    pipeline.land("b.json", [sale(1)])
    run = pipeline.run("sales")
    assert run["status"] == "succeeded"
    assert "loaded before" in run["reason"]
    assert pipeline.rows(
        "select status, reason, duplicate_of is not null from etl.batch order by batch_id"
    )[1][0::2] == ("skipped", True)
    assert pipeline.value("select count(*) from raw.sales_raw") == 1
    assert_sound(pipeline)


def test_a_revert_is_no_repetition(pipeline: Pipeline) -> None:
    first, second = [sale(1, quantity=1)], [sale(1, quantity=9)]
    for name, records in (("a", first), ("b", second), ("c", first)):
        pipeline.land(f"{name}.json", records)
        pipeline.run("sales")
    assert pipeline.value("select quantity from gold.transactions") == 1
    assert_as_expected(pipeline, "sales", [first, second, first])
    assert_sound(pipeline)


def test_a_corrected_file_counts_truly(pipeline: Pipeline) -> None:
    first = [sale(number) for number in range(1, 11)]
    second = [sale(1), sale(2, quantity=5), sale(3, region="South"), sale(11), sale(11, quantity=3)]
    pipeline.land("a.json", first)
    pipeline.run("sales")
    pipeline.land("b.json", second)
    run = pipeline.run("sales")
    counts = ("inserted_rows", "updated_rows", "unchanged_rows", "superseded_records")
    assert [run[name] for name in counts] == [1, 2, 1, 1]
    assert_as_expected(pipeline, "sales", [first, second])
    assert_sound(pipeline)


def test_a_sale_of_an_unknown_customer_waits_for_the_customer(pipeline: Pipeline) -> None:
    pipeline.land("sales.json", [sale(1, customer_id="C007")])
    run = pipeline.run("sales")
    assert run["warning_records"] == 1
    assert pipeline.rows("select customer_id, is_inferred, region from gold.customers") == [
        ("C007", True, "Unknown")
    ]
    pipeline.land("customers.json", [customer(7, region="south")])
    pipeline.run("customers")
    assert pipeline.rows("select customer_id, is_inferred, region from gold.customers") == [
        ("C007", False, "South")
    ]
    assert_sound(pipeline)


def test_a_product_shows_its_newest_name(pipeline: Pipeline) -> None:
    def named(number: int, name: str | None) -> dict[str, Any]:
        return sale(number, product={"id": "P01", "name": name, "category": "A", "price": 1})

    pipeline.land("a.json", [named(1, "Laptop"), named(2, "Notebook"), named(3, None)])
    pipeline.run("sales")
    assert pipeline.rows("select product_name from gold.products") == [("Notebook",)]
    pipeline.land("b.json", [named(4, "Laptop 2")])
    pipeline.run("sales")
    assert pipeline.rows("select product_name from gold.products") == [("Laptop 2",)]


def test_customers_are_judged_as_received_then_cleaned(pipeline: Pipeline) -> None:
    records = [
        customer(1, email=" ADA@Example.COM ", region=" west "),
        customer(2, customer_name="Bob123", loyalty_points=-5, join_date="2021/02/03"),
        customer(3, customer_name="B@d", email="nobody", loyalty_points=2_000_000),
        customer(4, email="x" * 45 + "@example.com"),
        customer(5, customer_id=None),
        customer(6, customer_name=" " * 51),
        customer(7, customer_id="none"),
        customer(8, region="unknown", loyalty_points=None, join_date="soon"),
    ]
    pipeline.land("customers.json", records)
    pipeline.run("customers")
    assert_as_expected(pipeline, "customers", [records])
    assert_sound(pipeline)
    with (pipeline.settings.logs / "invalid_customers.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["err_customer_id"] for row in found] == [
        "",
        "customer_id is NULL",
        "",
        "Invalid customer_id",
    ]
    assert found[0]["err_email"] == "email length > 50"


def test_generated_feeds_match_the_oracle(pipeline: Pipeline) -> None:
    for dataset, records in (("customers", 300), ("sales", 3000)):
        path = pipeline.settings.landing / f"{dataset}.json"
        generate.write(dataset, records=records, seed=11, path=path, format="json", customers=200)
        batch = json.loads(path.read_text())
        pipeline.run(dataset)
        assert_as_expected(pipeline, dataset, [batch])
    assert_sound(pipeline)


def test_a_full_run_judges_again_by_the_rules_of_today(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [sale(1), sale(2, region="Atlantis"), sale(3, customer_id="C009")])
    pipeline.run("sales")
    pipeline.land("b.json", [sale(1, region="Atlantis")])
    pipeline.run("sales")
    rule = (
        "insert into dq.rule (dataset, code, ordinal, column_name, kind, parameters, judges, "
        "severity, message, origin, updated_by) values ('sales', 'no_atlantis', 900, 'region', "
        "'one_of', '{\"values\": [\"North\"]}', 'normalised', 'reject', 'sunken region', "
        "'operator', 'tester')"
    )
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(rule)
    try:
        run = pipeline.run("sales", is_full=True)
        # the newest record of T001 is invalid now, so the one before it counts again
        assert pipeline.rows("select transaction_id, region from gold.transactions order by 1") == [
            ("T001", "North"),
            ("T003", "North"),
        ]
        assert run["invalid_records"] == 2
        assert_sound(pipeline)
    finally:
        with pipeline.engine.begin() as connection:
            connection.exec_driver_sql(
                "delete from dq.violation; delete from dq.rule_count; delete from dq.rule_history "
                "where rule ->> 'code' = 'no_atlantis'; delete from dq.rule where code = 'no_atlantis'"
            )
    run = pipeline.run("sales", is_full=True)
    assert run["inserted_rows"] == 1
    assert pipeline.value("select count(*) from dq.quarantine") == 0
    assert pipeline.value("select count(*) from gold.transactions") == 3
    assert_sound(pipeline)


def test_the_calendar_follows_corrections(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [sale(1, date="2099-01-01"), sale(2)])
    pipeline.run("sales")
    pipeline.land("b.json", [sale(1)])
    pipeline.run("sales")
    assert pipeline.rows("select min(year), max(year), count(*) from gold.dim_date") == [
        (2023, 2023, 365)
    ]
    assert_sound(pipeline)


def test_a_total_beyond_the_column_is_quarantined(pipeline: Pipeline) -> None:
    huge = sale(1, quantity=2**31 - 1, product={"id": "P", "price": 9_999_999_999.99})
    pipeline.land("a.json", [huge, sale(2)])
    run = pipeline.run("sales")
    assert run["valid_records"] == 1
    assert pipeline.value("select dq_errors from dq.quarantine") == "total_value too large"


def test_two_workers_and_ten_clicks_run_one_after_another(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [sale(number) for number in range(1, 200)])
    stop = threading.Event()
    workers = [
        threading.Thread(
            target=worker.work, args=(pipeline.engine, pipeline.settings), kwargs={"stop": stop}
        )
        for _ in range(2)
    ]
    for thread in workers:
        thread.start()
    queued = []
    for _ in range(10):
        with pipeline.engine.begin() as connection:
            queued.append(runs.enqueue(connection, "sales", actor="tester"))
    unfinished = "select count(*) from etl.run where status in ('queued', 'running', 'lost')"
    for _ in range(300):
        if not pipeline.value(unfinished):
            break
        stop.wait(0.1)
    stop.set()
    for thread in workers:
        thread.join()
    assert pipeline.rows("select status, count(*) from etl.run group by 1") == [("succeeded", 10)]
    overlaps = """
        select count(*) from etl.run a join etl.run b
        on a.run_id < b.run_id and a.started_at < b.ended_at and b.started_at < a.ended_at
    """
    assert pipeline.value(overlaps) == 0
    assert pipeline.value("select count(*) from silver.sales") == 199
    assert_sound(pipeline)


def test_a_worker_that_lost_its_run_changes_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.land("a.json", [sale(1)])

    def taken_over(name: str) -> None:
        if name == "load.before_commit":
            with pipeline.engine.begin() as connection:
                connection.exec_driver_sql("update etl.run set attempt = attempt + 1")

    monkeypatch.setattr(failpoints, "hit", taken_over)
    with worker.Presence(pipeline.engine, pipeline.settings, "command") as presence:
        _, outcome = worker.run_in_foreground(
            pipeline.engine, pipeline.settings, presence, "sales", actor="tester"
        )
    assert outcome.status == "lost"
    assert pipeline.value("select count(*) from silver.sales") == 0
    monkeypatch.undo()
    pipeline.run("sales")  # takes the lost run up first
    assert pipeline.value("select count(*) from silver.sales") == 1
    assert_sound(pipeline)


def test_a_queued_run_can_be_cancelled_and_resumed(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [sale(1)])
    with pipeline.engine.begin() as connection:
        run_id = runs.enqueue(connection, "sales", actor="tester")
        assert run_id is not None
        assert runs.cancel(connection, run_id, actor="tester") == "cancelled"
        runs.resume(connection, run_id)
    with worker.Presence(pipeline.engine, pipeline.settings, "worker") as presence:
        claim = runs.claim(pipeline.engine, presence.worker_id)
        assert claim is not None
        outcome = worker.perform(pipeline.engine, pipeline.settings, presence, claim)
    assert outcome.status == "succeeded"
    assert pipeline.value("select count(*) from gold.transactions") == 1
    assert_sound(pipeline)


def test_a_worker_told_to_stop_gives_its_run_back(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [sale(1)])
    stop = threading.Event()
    with pipeline.engine.begin() as connection:
        runs.enqueue(connection, "sales", actor="tester")
    with worker.Presence(
        pipeline.engine, pipeline.settings, "worker", told_to_stop=stop
    ) as presence:
        claim = runs.claim(pipeline.engine, presence.worker_id)
        assert claim is not None
        stop.set()
        worker.perform(pipeline.engine, pipeline.settings, presence, claim)
    assert pipeline.rows("select status, worker_id from etl.run") == [("queued", None)]
    run = pipeline.run("sales")
    assert pipeline.value("select count(*) from gold.transactions") == 1
    assert run["status"] == "succeeded"
