"""The whole log is searched, filtered, paged, followed and taken home."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from etl import log as log_module
from etl import masking
from tests.conftest import Pipeline
from tests.pages.conftest import Open, words


def write(pipeline: Pipeline, message: str, *, level: str = "info", **fields: Any) -> None:
    run_id = fields.pop("run_id", 7)
    dataset = fields.pop("dataset", "sales")
    log_module.RunLog(
        pipeline.engine, pipeline.settings.logs / "sales_etl_logs.log", dataset, run_id
    )(level, message, **fields)


def messages(at: AppTest) -> list[str]:
    return list(at.dataframe[0].value["message"])


@pytest.fixture
def lines(pipeline: Pipeline) -> Pipeline:
    write(pipeline, "a.json: 3 valid, 1 invalid", step="load", batch_id=4, valid_records=3)
    write(pipeline, "rejected ![x](y).json: =danger", level="warning", run_id=8, step="extract")
    write(pipeline, "run failed: disk full", level="error", run_id=8, dataset="customers")
    return pipeline


def test_an_empty_log_names_the_next_action(open_page: Open) -> None:
    at = open_page("logs")
    assert "No lines yet" in words(at)
    assert not at.dataframe


def test_lines_stand_newest_first_with_their_fields(open_page: Open, lines: Pipeline) -> None:
    at = open_page("logs")
    assert messages(at) == [
        "run failed: disk full",
        "rejected ![x](y).json: =danger",
        "a.json: 3 valid, 1 invalid",
    ]
    last = at.dataframe[0].value.iloc[2]
    assert (last["dataset"], last["run_id"], last["step"], last["batch_id"]) == (
        "sales",
        7,
        "load",
        4,
    )
    assert "3 lines" in words(at)


def test_filters_come_from_the_address(open_page: Open, lines: Pipeline) -> None:
    at = open_page("logs", run=8, level="warning", last="hour", q="dang")
    assert messages(at) == ["rejected ![x](y).json: =danger"]
    at = open_page("logs", to="2000-01-01T00:00Z")
    assert "No line fits these filters" in words(at)
    at = open_page("logs", q="' & | :* \\ %")
    assert not at.error
    assert "There is no word in what you look for" in words(at)


def test_a_filter_that_makes_no_sense_is_said(open_page: Open, lines: Pipeline) -> None:
    at = open_page("logs", run="x", to="31-31-2024")
    assert "number" in words(at)
    assert "is no time" in words(at)
    assert not at.dataframe


def test_typing_a_search_goes_into_the_address(open_page: Open, lines: Pipeline) -> None:
    at = open_page("logs", page="before.3")
    at.text_input(key="q_text").set_value("disk").run()
    assert at.query_params["q"] == ["disk"] or at.query_params["q"] == "disk"
    assert "page" not in at.query_params
    assert messages(at) == ["run failed: disk full"]


def test_pages_lead_back_and_forth(open_page: Open, pipeline: Pipeline) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "insert into etl.log (level, message, run_id) "
                "select 'info', 'line number ' || n, 1 from generate_series(1, 120) n"
            )
        )
    at = open_page("logs", q="line")
    assert messages(at)[0] == "line number 120"
    assert at.button(key="newer").disabled
    at.button(key="older").click().run()
    assert messages(at)[0] == "line number 70"
    at.button(key="older").click().run()
    assert messages(at) == [f"line number {n}" for n in range(20, 0, -1)]
    assert at.button(key="older").disabled
    at.button(key="newer").click().run()
    assert messages(at)[0] == "line number 70"
    at.button(key="newer").click().run()
    assert messages(at)[0] == "line number 120"


def test_a_line_opens_with_its_context_and_its_run(open_page: Open, lines: Pipeline) -> None:
    log_id = lines.value("select min(log_id) from etl.log")
    at = open_page("logs", line=log_id)
    assert at.text[0].value == "a.json: 3 valid, 1 invalid"
    assert json.loads(at.code[0].value) == {"valid_records": 3}
    at.button(key="close_line").click().run()
    assert "line" not in at.query_params
    at = open_page("logs", line=10**15)
    assert "This line is gone" in words(at)


def test_live_shows_the_newest_lines(open_page: Open, lines: Pipeline) -> None:
    at = open_page("logs")
    at.toggle(key="live_toggle").set_value(True).run()
    assert at.query_params["live"] in ("1", ["1"])
    assert messages(at)[0] == "run failed: disk full"
    write(lines, "one more")
    at.run()
    assert messages(at)[0] == "one more"
    at = open_page("logs", live="1", q="nowhere")
    assert "fills by itself" in words(at)


def test_a_run_leads_to_its_log(open_page: Open, pipeline: Pipeline) -> None:
    run = pipeline.run("sales")
    at = open_page("runs", run=run["run_id"])
    assert any(f"run={run['run_id']}" in str(link.proto) for link in at.get("page_link"))


def test_a_planted_secret_stands_on_no_page(open_page: Open, lines: Pipeline) -> None:
    known = set(masking._known)
    masking.remember("Pl4nted-s3cret")
    lines.land("sales_Pl4nted-s3cret.json", b"[not json")
    write(lines, "token Pl4nted-s3cret", level="error", detail="Pl4nted-s3cret")
    for name, query in (
        ("upload", {}),
        ("logs", {"line": lines.value("select max(log_id) from etl.log")}),
    ):
        at = open_page(name, **query)
        shown = words(at) + "".join(table.value.to_csv() for table in at.dataframe)
        assert "***" in shown.replace("\\", "")
        assert "Pl4nted-s3cret" not in shown
    masking._known.intersection_update(known)
