"""Invalid records are downloaded, corrected elsewhere, and brought back."""

from __future__ import annotations

import csv
import io
import json

import pytest
from streamlit.testing.v1 import AppTest

from app import reads
from etl import runs, worker
from etl.triage_states import UNFINISHED, Filters
from tests.conftest import Pipeline
from tests.pages.conftest import Open, words

SALE = {
    "transaction_id": "T1",
    "customer_id": "C1",
    "product": {"id": "P1", "price": 10.50},
    "quantity": 2,
    "date": "2024-01-01",
}
TO_DO = Filters(states=UNFINISHED)


@pytest.fixture
def loaded(pipeline: Pipeline) -> Pipeline:
    bad = [{**SALE, "transaction_id": f"T{n}", "quantity": -n} for n in (2, 3, 4)]
    pipeline.land("a.json", [SALE, *bad, {**SALE, "transaction_id": "=1+1", "date": "never"}])
    pipeline.run("sales")
    return pipeline


def bring(at: AppTest, name: str, content: bytes) -> AppTest:
    at.file_uploader(key="corrected_file").upload(name, content, "application/octet-stream").run()
    return at.button(key="corrected_read").click().run()


def test_a_corrected_file_closes_its_records(open_page: Open, loaded: Pipeline) -> None:
    at = open_page("invalid_records")
    rows = list(
        csv.DictReader(io.StringIO(reads.invalid_records("csv", TO_DO).decode("utf-8-sig")))
    )
    assert len(rows) == 4
    for row, quantity in zip(rows, ("2", "3", "-4", "2"), strict=True):
        row["quantity"] = quantity
    changed = io.StringIO()
    writer = csv.DictWriter(changed, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    bring(at, "corrected.csv", changed.getvalue().encode())
    figures = {metric.label: metric.value for metric in at.metric}
    assert (figures["Edited"], figures["Unchanged"], figures["Refused"]) == ("2", "2", "0")
    at.button(key="corrected_preview_sales").click().run()
    assert not at.exception
    assert {m.label: m.value for m in at.metric}["Inserted"] == "2"
    at.button(key="corrected_replay_sales").click().run()
    assert "needs a reason" in words(at)
    at.text_input(key="corrected_reason_sales").set_value("counted again").run()
    at.button(key="corrected_replay_sales").click().run()
    assert not at.exception
    assert "Edited" not in {metric.label for metric in at.metric}
    with worker.Presence(loaded.engine, loaded.settings, "worker") as presence:
        while claim := runs.claim(loaded.engine, presence.worker_id):
            worker.perform(loaded.engine, loaded.settings, presence, claim)
    assert loaded.rows("select record_key, status from dq.quarantine order by quarantine_id") == [
        ("T2", "fixed"),
        ("T3", "fixed"),
        ("T4", "open"),
        ("=1+1", "open"),
    ]
    assert loaded.rows("select operation, reason from dq.repair") == [
        ("corrected in corrected.csv", "counted again")
    ]
    # brought back once more, its rows are of closed records
    bring(open_page("invalid_records"), "corrected.csv", changed.getvalue().encode())


def test_rows_that_cannot_be_taken_say_why(open_page: Open, loaded: Pipeline) -> None:
    at = open_page("invalid_records")
    items = json.loads(reads.invalid_records("json", TO_DO))
    items[0]["record"]["quantity"] = 2
    items[1]["version"] = 77
    items[1]["record"]["quantity"] = 2
    items[2]["quarantine_id"] = 999_999
    bring(at, "corrected.json", json.dumps(items).encode())
    figures = {metric.label: metric.value for metric in at.metric}
    assert (figures["Edited"], figures["Unchanged"], figures["Refused"]) == ("1", "1", "2")
    at.button(key="corrected_drop").click().run()
    assert "Edited" not in {metric.label for metric in at.metric}
    bring(at, "other.csv", b"a,b\n1,2\n")
    assert "has no column quarantine_id" in words(at).replace("\\", "")
    assert loaded.value("select count(*) from dq.repair") == 0


def test_records_of_two_feeds_come_back_in_one_file(open_page: Open, loaded: Pipeline) -> None:
    loaded.land("c.json", [{"customer_id": None, "customer_name": "Ada", "region": "North"}])
    loaded.run("customers")
    at = open_page("invalid_records")
    items = json.loads(reads.invalid_records("json", TO_DO))
    for item in items:
        is_customer = "customer_name" in item["record"]
        item["record"].update({"customer_id": "C9"} if is_customer else {"quantity": 2})
    bring(at, "corrected.json", json.dumps(items).encode())
    for feed in ("sales", "customers"):
        at.button(key=f"corrected_preview_{feed}").click().run()
        assert not at.exception
    assert words(at).count("What the replay will do") == 2
