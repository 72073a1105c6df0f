"""Files are previewed, accepted, generated and loaded from the landing zone."""

from __future__ import annotations

import json
from typing import Any

from streamlit.testing.v1 import AppTest

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


def choose(at: AppTest, *files: tuple[str, Any]) -> AppTest:
    for name, value in files:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        at.file_uploader[0].upload(name, content, "application/json")
    at.run()
    assert not at.exception, at.exception[0].message
    return at


def plain(text: str) -> str:
    return text.replace("\\", "").replace("\u200b", "")


def test_a_preview_comes_before_anything_is_kept(open_page: Open, pipeline: Pipeline) -> None:
    at = choose(open_page("upload"), ("![x](y).json", [SALE, {**SALE, "quantity": 0}]))
    said = words(at)
    assert "**\\!\\[x\\]\\(y\\)\\.json**" in said
    assert "sales" in said
    assert "2 records" in said
    assert "Invalid quantity 1" in said
    assert '"transaction_id": "T1"' in said
    assert pipeline.value("select count(*) from etl.batch") == 0
    assert list(pipeline.settings.landing.iterdir()) == []


def test_accept_makes_batch_and_run_and_empties_the_uploader(
    open_page: Open, pipeline: Pipeline
) -> None:
    at = choose(open_page("upload"), ("a.json", [SALE]))
    at.button(key="accept").click().run()
    assert not at.exception
    batch, run = pipeline.rows(
        "select b.batch_id, r.run_id from etl.batch b join etl.run r using (run_id)"
    )[0]
    assert (
        plain(at.success[0].value) == f"**a.json** is batch {batch} of sales; run {run} loads it."
    )
    assert not at.file_uploader[0].value
    assert pipeline.value("select count(*) from etl.audit where action = 'file.submit'") == 1
    assert at.dataframe[0].value["file_name"].tolist() == ["a.json"]


def test_a_broken_file_cannot_be_accepted(open_page: Open, pipeline: Pipeline) -> None:
    at = choose(open_page("upload"), ("a.json", b'[{"transaction_id": "T1",}]'))
    assert "line 1" in plain(at.error[0].value)
    assert at.button(key="accept").disabled
    at = choose(open_page("upload"), ("a.json", b"[1,"), ("b.json", [SALE]))
    at.button(key="accept").click().run()
    assert pipeline.rows("select file_name from etl.batch") == [("b.json",)]


def test_known_content_is_told_before_it_is_accepted(open_page: Open, pipeline: Pipeline) -> None:
    pipeline.land("a.json", json.dumps([SALE]).encode())
    pipeline.run("sales")
    at = choose(open_page("upload"), ("b.json", [SALE]))
    assert "Same content as batch" in words(at)
    at.button(key="accept").click().run()
    assert "nothing to load" in at.info[0].value


def test_discard_keeps_nothing(open_page: Open, pipeline: Pipeline) -> None:
    at = choose(open_page("upload"), ("a.json", [SALE]))
    at.button(key="discard").click().run()
    assert not at.file_uploader[0].value
    assert pipeline.value("select count(*) from etl.batch") == 0


def test_generate_and_load(open_page: Open, pipeline: Pipeline) -> None:
    at = open_page("upload")
    at.number_input(key="make_records").set_value(20)
    at.button(key="make").click().run()
    assert not at.exception
    assert pipeline.rows("select file_name, status from etl.batch") == [
        ("sales_20_seed0.json", "accepted")
    ]
    assert pipeline.value("select status from etl.run") == "queued"
    assert pipeline.rows("select action from etl.audit order by audit_id") == [
        ("file.generate",),
        ("file.submit",),
    ]


def test_generate_only(open_page: Open, pipeline: Pipeline) -> None:
    at = open_page("upload")
    at.number_input(key="make_records").set_value(20)
    at.checkbox(key="make_run").uncheck()
    at.button(key="make").click().run()
    assert pipeline.value("select count(*) from etl.run") == 0
    waiting = at.dataframe[0].value
    assert waiting["name"].tolist() == ["sales_20_seed0.json"]
    assert waiting["dataset"].tolist() == ["sales"]
    assert "waits in the landing zone: 20 records" in at.success[0].value


def test_the_landing_zone_says_feed_or_problem(open_page: Open, pipeline: Pipeline) -> None:
    pipeline.land("good <b>.json", [SALE])
    pipeline.land("unknown.json", [{"a": 1}])
    pipeline.land("empty.json", b"")
    (pipeline.settings.landing / "link.json").symlink_to("/etc/passwd")
    table = open_page("upload").dataframe[0].value.set_index("name")
    assert table.loc["good <b>.json", "dataset"] == "sales"
    assert "none of: customers, sales" in table.loc["unknown.json", "problem"]
    assert table.loc["empty.json", "problem"]
    assert table.loc["link.json", "problem"]
    assert table["load"].notna().sum() == 1


def test_batches_are_filtered_by_the_address(open_page: Open, pipeline: Pipeline) -> None:
    pipeline.land("good.json", [SALE])
    pipeline.land("bad.json", json.dumps([SALE]).encode()[:-5] + b" oops")
    pipeline.run("sales")
    at = open_page("upload", status="promoted")
    assert at.dataframe[0].value["file_name"].tolist() == ["good.json"]
    at = open_page("upload", feed="customers")
    assert "No file fits these filters" in words(at)
