"""A batch that a limit stopped: its run's page says why and offers the three ways on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

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
LIMIT = """
    update dq.rule set stop_rate = cast(:rate as numeric), version = version + 1
    where dataset = 'sales' and message = 'Invalid quantity'
"""


def set_limit(engine: Engine, rate: float | None) -> None:
    with engine.begin() as connection:
        connection.execute(text(LIMIT), {"rate": rate})


@pytest.fixture
def stopped(pipeline: Pipeline) -> Iterator[int]:
    """The run that stopped a batch."""
    set_limit(pipeline.engine, 0.5)
    pipeline.land("![x](y).json", [SALE, {**SALE, "quantity": 0}])
    yield pipeline.run("sales")["run_id"]
    set_limit(pipeline.engine, None)


def batch_id(pipeline: Pipeline) -> int:
    return int(pipeline.value("select batch_id from etl.batch"))


def test_the_run_says_why_nothing_reached_silver(
    open_page: Open, pipeline: Pipeline, stopped: int
) -> None:
    at = open_page("runs", run=stopped)
    said = words(at)
    assert "Invalid quantity in 1 of 2 records" in said.replace("\\", "")
    assert "Nothing of it is in silver or gold" in said
    files = next(table.value for table in at.dataframe if "file_name" in table.value)
    assert files["state"].tolist() == [["■ stopped"]]
    assert "stop limit 50 %" in files["reason"].tolist()[0]
    assert "![x](y)" not in said


def test_the_list_of_files_filters_stopped_ones(
    open_page: Open, pipeline: Pipeline, stopped: int
) -> None:
    at = open_page("upload", status="stopped")
    assert at.dataframe[0].value["state"].tolist() == [["■ stopped"]]
    assert "No file fits these filters" in words(open_page("upload", status="discarded"))


def test_loading_it_anyway_needs_a_reason(
    open_page: Open, pipeline: Pipeline, stopped: int
) -> None:
    number = batch_id(pipeline)
    at = open_page("runs", run=stopped)
    at.button(key=f"pass_{number}").click().run()
    at.button(key="pass_go").click().run()
    assert "say why" in words(at)
    at.text_area(key="stopped_reason").input("the shop said so").run()
    at.button(key="pass_go").click().run()
    assert not at.exception
    [(run_id, batches)] = pipeline.rows(
        "select run_id, batches from etl.run where status = 'queued'"
    )
    assert batches == [number]
    assert at.query_params["run"] == str(run_id)
    at = open_page("runs", run=stopped)
    assert at.button(key=f"pass_{number}").disabled
    assert "let pass by" in next(
        table.value["reason"].tolist()[0] for table in at.dataframe if "file_name" in table.value
    )


def test_judging_again_follows_the_new_run(
    open_page: Open, pipeline: Pipeline, stopped: int
) -> None:
    at = open_page("runs", run=stopped)
    at.button(key=f"judge_{batch_id(pipeline)}").click().run()
    assert at.query_params["run"] == str(
        pipeline.value("select run_id from etl.run where status = 'queued'")
    )


def test_a_discarded_batch_needs_no_decision(
    open_page: Open, pipeline: Pipeline, stopped: int
) -> None:
    number = batch_id(pipeline)
    at = open_page("runs", run=stopped)
    at.button(key=f"discard_{number}").click().run()
    at.text_area(key="stopped_reason").input("sent by mistake").run()
    at.button(key="discard_go").click().run()
    assert not at.exception
    assert pipeline.value("select status from etl.batch") == "discarded"
    at = open_page("runs", run=stopped)
    assert f"pass_{number}" not in [button.key for button in at.button]
