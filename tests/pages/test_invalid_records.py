"""Invalid records are listed, filtered, shown as received and exported."""

from __future__ import annotations

import csv
import io
import json

import pytest

from app import reads
from etl.triage_states import Filters
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
HOSTILE = "![x](https://evil.example/x.png)<script>alert(1)</script>"


@pytest.fixture
def loaded(pipeline: Pipeline) -> Pipeline:
    pipeline.land(
        "sales.json",
        [
            SALE,
            {**SALE, "transaction_id": "T2", "quantity": 0},
            {**SALE, "transaction_id": HOSTILE, "quantity": -1, "price": None},
            {**SALE, "transaction_id": "=1+1", "discount": 7},
        ],
    )
    pipeline.run("sales")
    pipeline.land("customers.json", [{"customer_id": None, "customer_name": "x", "email": "y"}])
    pipeline.run("customers")
    return pipeline


def rule(pipeline: Pipeline, message: str) -> int:
    return int(pipeline.value("select rule_id from dq.rule where message = :m", m=message))


def test_an_empty_queue_says_so(open_page: Open) -> None:
    assert "No invalid records" in words(open_page("invalid_records"))


def test_the_queue_shows_key_and_reasons_newest_first(open_page: Open, loaded: Pipeline) -> None:
    table = open_page("invalid_records").dataframe[0].value
    assert table["dataset"].tolist() == ["customers", "sales", "sales", "sales"]
    assert table["dq_errors"].tolist() == [
        "customer_id is NULL",
        "Invalid discount",
        "Missing price; Invalid quantity",
        "Invalid quantity",
    ]
    assert table["record_key"].tolist()[2] == HOSTILE


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"feed": "customers"}, 1),
        ({"status": "open"}, 4),
        ({"status": "fixed"}, 0),
        ({"key": "t2"}, 1),
        ({"key": "%"}, 0),
        ({"key": "evil.example"}, 1),
        ({"feed": "sales", "key": "T2"}, 1),
    ],
)
def test_filters_come_from_the_address(
    open_page: Open, loaded: Pipeline, query: dict[str, str], found: int
) -> None:
    at = open_page("invalid_records", **query)
    if found:
        assert len(at.dataframe[0].value) == found
    else:
        assert "No invalid record fits these filters" in words(at)


def test_a_rule_and_a_run_filter(open_page: Open, loaded: Pipeline) -> None:
    at = open_page("invalid_records", rule=rule(loaded, "Invalid quantity"))
    assert len(at.dataframe[0].value) == 2
    run_id = loaded.value("select run_id from etl.run where dataset = 'customers'")
    at = open_page("invalid_records", from_run=run_id)
    assert at.dataframe[0].value["dataset"].tolist() == ["customers"]
    at.button(key="any_run").click().run()
    assert len(at.dataframe[0].value) == 4


def test_a_choice_of_filters_goes_into_the_address(open_page: Open, loaded: Pipeline) -> None:
    at = open_page("invalid_records", page=3)
    at.pills(key="rule_pills").set_value(str(rule(loaded, "Missing price"))).run()
    assert at.query_params["rule"] == str(rule(loaded, "Missing price"))
    assert len(at.dataframe[0].value) == 1
    at.text_input(key="key_text").input("nothing").run()
    assert at.query_params["key"] == "nothing"
    assert "No invalid record fits these filters" in words(at)


def test_one_record_is_shown_as_received_with_its_reasons(
    open_page: Open, loaded: Pipeline
) -> None:
    [(quarantine_id,)] = loaded.rows(
        "select quarantine_id from dq.quarantine where record_key = :key", key=HOSTILE
    )
    at = open_page("invalid_records", record=quarantine_id)
    said = words(at)
    assert "**Missing price**" in said
    assert "quantity must be a whole number from 1 to 2147483647" in said.replace("\\", "")
    assert json.loads(at.code[0].value)["transaction_id"] == HOSTILE
    markdown = "\n".join(
        element.value for kind in ("markdown", "caption", "title") for element in getattr(at, kind)
    )
    assert "![x](" not in markdown
    assert "<script>" not in markdown
    at.toggle(key="pretty").set_value(False).run()
    assert at.code[0].value == loaded.value("select record from raw.sales_raw where position = 3")


def test_newer_and_older_walk_the_queue(open_page: Open, loaded: Pipeline) -> None:
    ids = [row[0] for row in loaded.rows("select quarantine_id from dq.quarantine order by 1")]
    at = open_page("invalid_records", record=ids[1])
    at.button(key="newer").click().run()
    assert at.query_params["record"] == str(ids[2])
    at.button(key="older").click().run()
    at.button(key="older").click().run()
    assert at.query_params["record"] == str(ids[0])
    assert at.button(key="older").disabled
    at.button(key="back").click().run()
    assert "record" not in at.query_params
    assert len(at.dataframe[0].value) == 4


def test_exports_honour_the_filters_and_are_safe(open_page: Open, loaded: Pipeline) -> None:
    open_page("invalid_records")
    whole = reads.invalid_records("csv", Filters()).decode("utf-8-sig")
    found = list(csv.DictReader(io.StringIO(whole)))
    assert len(found) == 4
    assert '"=1+1"' in [row["transaction_id"] for row in found]
    assert not any(str(cell).startswith("=") for row in found for cell in row.values())
    assert reads.invalid_records("xlsx", Filters()).startswith(b"PK")
    filters = Filters(dataset="sales", rule_id=rule(loaded, "Missing price"))
    found = json.loads(reads.invalid_records("json", filters))
    assert [item["record"]["transaction_id"] for item in found] == [HOSTILE]


def test_a_long_queue_is_counted_to_a_limit(
    open_page: Open, loaded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loaded.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into dq.quarantine (dataset, batch_id, position, record_key, dq_errors, "
            "rule_set) select dataset, batch_id, 1000 + g, 'K' || g, 'Invalid date', '' "
            "from generate_series(1, 10100) g, (select * from dq.quarantine limit 1) q"
        )
    at = open_page("invalid_records", page=400)
    assert "10,000+ records" in words(at)
    assert len(at.dataframe[0].value) == 25
