"""One invalid record is edited, judged, rehearsed, replayed and taken back on its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from app import auth
from app.auth import Operator, Role
from etl import runs, worker
from tests.conftest import Pipeline
from tests.pages.conftest import Open, words

ORIGINAL = Path(__file__).resolve().parents[1] / "golden" / "sales_original" / "1.json"
RAW = (
    "select r.* from raw.sales_raw r join etl.batch b using (batch_id) where b.kind = 'file' "
    "order by r.batch_id, r.position"
)


def work(pipeline: Pipeline) -> None:
    """Execute whatever is queued."""
    with worker.Presence(pipeline.engine, pipeline.settings, "worker") as presence:
        while claim := runs.claim(pipeline.engine, presence.worker_id):
            worker.perform(pipeline.engine, pipeline.settings, presence, claim)


@pytest.fixture
def t003(pipeline: Pipeline) -> int:
    """The original's T003: no customer, quantity -1."""
    pipeline.land("sales.json", ORIGINAL.read_bytes())
    pipeline.run("sales")
    return int(pipeline.value("select quarantine_id from dq.quarantine where record_key = 'T003'"))


def said(at: AppTest) -> str:
    return words(at).replace("\\", "").replace("\u200b", "")


def table(at: AppTest, column: str) -> Any:
    """Return the table with this column."""
    return next(one.value for one in at.dataframe if column in one.value.columns)


def type_into(at: AppTest, item: int, column: str, value: str) -> None:
    at.text_input(key=f"field_{item}_{column}").input(value).run()


def test_a_record_is_repaired_previewed_replayed_and_taken_back(
    open_page: Open, pipeline: Pipeline, t003: int
) -> None:
    raw = pipeline.rows(RAW)
    total = pipeline.value("select sum(total_value) from gold.transactions")
    at = open_page("invalid_records", record=t003)
    assert "Invalid: Missing customer_id; Invalid quantity" in said(at)
    version = pipeline.value("select version from dq.rule where code = 'quantity_invalid'")
    assert (
        f"quantity must be a whole number from 1 to 2147483647, and given · rule version {version}"
        in said(at)
    )
    assert at.text_input(key=f"field_{t003}_quantity").value == "-1"
    assert at.button(key=f"replay_{t003}").disabled

    type_into(at, t003, "quantity", "1")
    assert "Would still be invalid: Missing customer_id" in said(at)
    assert "Invalid quantity" not in said(at)
    type_into(at, t003, "customer_id", "C003")
    assert "Would be valid" in said(at)

    at.button(key=f"preview_{t003}").click().run()
    figures = {metric.label: metric.value for metric in at.metric}
    assert figures == {"Inserted": "1", "Updated": "0", "Unchanged": "0", "Still invalid": "0"}
    rows = table(at, "key").set_index("column")["after"]
    assert (rows["customer_id"], rows["quantity"]) == ("C003", "1")
    changes = table(at, "metric").set_index("metric")["change"]
    assert (changes["Transactions"], changes["Total Sales"]) == ("+1", "+$269.55")
    assert changes["Total Loyalty Points"] == "no change"
    assert pipeline.value("select count(*) from dq.repair") == 0

    at.button(key=f"replay_{t003}").click().run()
    assert "a repair needs a reason" in said(at)
    assert pipeline.value("select count(*) from dq.repair") == 0
    at.text_input(key=f"reason_{t003}").input("the branch said so")
    at.button(key=f"replay_{t003}").click().run()
    assert "is on its way" in said(at)
    assert "queued" in said(at)
    work(pipeline)
    at.run()
    assert "Fixed by repair" in said(at)
    assert "the branch said so" in said(at)
    changed = table(at, "before").set_index("column")
    assert changed.loc["quantity"].tolist() == ["-1", "1"]
    assert sorted(changed.index) == ["customer_id", "quantity"]
    assert str(pipeline.value("select sum(total_value) from gold.transactions") - total) == "269.55"
    assert pipeline.rows(RAW) == raw

    repair_id = pipeline.value("select repair_id from dq.repair")
    at.button(key=f"take_back_{t003}").click().run()
    at.button(key=f"revert_go_{repair_id}").click().run()
    assert "taking a repair back needs a reason" in said(at)
    at.text_input(key=f"revert_reason_{repair_id}").input("it was another branch")
    at.button(key=f"revert_go_{repair_id}").click().run()
    assert "is being taken back" in said(at)
    work(pipeline)
    at.run()
    assert pipeline.value("select sum(total_value) from gold.transactions") == total
    assert "Invalid: Missing customer_id; Invalid quantity" in said(at)
    assert at.text_input(key=f"field_{t003}_quantity").value == "-1"
    assert "Taken back by" in said(at)
    assert "it was another branch" in said(at)


@pytest.fixture
def two(pipeline: Pipeline) -> tuple[int, int]:
    sale = {"customer_id": "C1", "product_id": "P1", "price": 1, "date": "2024-01-01"}
    pipeline.land(
        "sales.json",
        [{**sale, "transaction_id": f"T{n}", "quantity": -n, "note": "<b>*x*"} for n in (1, 2)],
    )
    pipeline.run("sales")
    first, second = pipeline.rows("select quarantine_id from dq.quarantine order by 1")
    return first[0], second[0]


def test_a_draft_stays_with_its_record(open_page: Open, two: tuple[int, int]) -> None:
    first, second = two
    at = open_page("invalid_records", record=first)
    type_into(at, first, "quantity", "7")
    at.button(key="newer").click().run()
    assert at.query_params["record"] == str(second)
    assert at.text_input(key=f"field_{second}_quantity").value == "-2"
    assert "Invalid: Invalid quantity" in said(at)
    at.button(key="older").click().run()
    assert at.text_input(key=f"field_{first}_quantity").value == "7"
    assert "was -1" in said(at)
    at.button(key=f"discard_{first}").click().run()
    assert at.text_input(key=f"field_{first}_quantity").value == "-1"


def test_the_whole_record_is_edited_as_json(
    open_page: Open, pipeline: Pipeline, two: tuple[int, int]
) -> None:
    item = two[0]
    at = open_page("invalid_records", record=item)
    type_into(at, item, "quantity", "3")
    at.segmented_control(key=f"mode_{item}").set_value("JSON").run()
    box = at.text_area(key=f"json_{item}")
    received = pipeline.value("select record from raw.sales_raw where position = 1")
    assert box.value == received.replace("-1", "3")
    box.input("{").run()
    assert "not valid JSON" in said(at)
    assert at.button(key=f"replay_{item}").disabled
    at.segmented_control(key=f"mode_{item}").set_value("Fields").run()
    assert "Edit it as JSON" in said(at)
    at.segmented_control(key=f"mode_{item}").set_value("JSON").run()
    record = {**json.loads(received), "quantity": 4}
    at.text_area(key=f"json_{item}").input(json.dumps(record)).run()
    assert "Would be valid" in said(at)


def test_somebody_was_faster(open_page: Open, pipeline: Pipeline, two: tuple[int, int]) -> None:
    item = two[0]
    at = open_page("invalid_records", record=item)
    type_into(at, item, "quantity", "3")
    with pipeline.engine.begin() as connection:
        connection.execute(
            text("update dq.quarantine set version = version + 1 where quarantine_id = :i"),
            {"i": item},
        )
    at.text_input(key=f"reason_{item}").input("because")
    at.button(key=f"replay_{item}").click().run()
    assert "Somebody changed this record" in said(at)
    assert "meanwhile; load it again" in said(at)
    assert pipeline.value("select count(*) from dq.repair") == 0
    at.button(key=f"keep_{item}").click().run()
    assert at.text_input(key=f"field_{item}_quantity").value == "3"
    assert "Somebody changed this record" not in said(at)
    type_into(at, item, "quantity", "5")
    at.button(key=f"replay_{item}").click().run()
    assert "is on its way" in said(at)


def test_a_viewer_sees_but_cannot_act(
    open_page: Open, two: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = Operator(name="vera", role=Role.VIEWER, origin="test")
    monkeypatch.setattr(auth, "current", lambda: viewer)
    at = open_page("invalid_records", record=two[0])
    assert at.text_input(key=f"field_{two[0]}_quantity").disabled
    assert "needs the role steward" in said(at)
    assert not [button for button in at.button if button.key == f"replay_{two[0]}"]
    assert "Invalid: Invalid quantity" in said(at)


def test_text_from_data_is_no_markup(open_page: Open, pipeline: Pipeline) -> None:
    hostile = "![x](https://evil.example/x.png)<script>alert(1)</script>"
    pipeline.land("sales.json", [{"transaction_id": hostile, "quantity": "[a](b)", "date": 1}])
    pipeline.run("sales")
    item = pipeline.value("select quarantine_id from dq.quarantine")
    at = open_page("invalid_records", record=item)
    type_into(at, item, "transaction_id", "T1")
    assert at.text_input(key=f"field_{item}_transaction_id").value == "T1"
    assert "![x](" not in "\n".join(one.value for kind in (at.markdown, at.caption) for one in kind)


def test_what_is_no_object_is_edited_as_json(open_page: Open, pipeline: Pipeline) -> None:
    sale = {"transaction_id": "T1", "customer_id": "C1", "product_id": "P1", "price": 1}
    pipeline.land("sales.json", [{**sale, "quantity": 1, "date": "2024-01-01"}, 5])
    pipeline.run("sales")
    item = pipeline.value("select quarantine_id from dq.quarantine")
    at = open_page("invalid_records", record=item)
    assert "Edit it as JSON" in said(at)
    assert "must be one JSON object" in said(at)
    assert "other rules" not in said(at)
    at.segmented_control(key=f"mode_{item}").set_value("JSON").run()
    fixed = {**sale, "transaction_id": "T2", "quantity": 2, "date": "2024-01-02"}
    at.text_area(key=f"json_{item}").input(json.dumps(fixed)).run()
    assert "Would be valid" in said(at)


def test_a_rule_that_changed_is_told(
    open_page: Open, pipeline: Pipeline, two: tuple[int, int]
) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "update dq.rule set parameters = parameters || '{\"min\": -5}', "
                "version = version + 1 where code = 'quantity_invalid'"
            )
        )
    try:
        at = open_page("invalid_records", record=two[0])
        assert "other rules were in force: Invalid quantity" in said(at)
        # no rule minds it now, but silver could not hold it
        assert "quantity cannot be stored" in said(at)
        assert at.button(key=f"replay_{two[0]}").disabled
    finally:
        with pipeline.engine.begin() as connection:
            connection.execute(
                text(
                    "update dq.rule set parameters = parameters || '{\"min\": 1}', "
                    "version = version + 1 where code = 'quantity_invalid'"
                )
            )
