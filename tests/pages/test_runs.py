"""Runs are listed, started, followed, cancelled and resumed."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest

from app import actions, context
from etl import runs, worker
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


@pytest.fixture
def history(pipeline: Pipeline) -> list[dict[str, Any]]:
    pipeline.land("good.json", [SALE])
    good = pipeline.run("sales")
    pipeline.land("![x](y).json", [SALE, {**SALE, "quantity": 0}])
    warned = pipeline.run("sales")
    return [good, warned, pipeline.run("customers")]


def test_an_empty_list_names_the_next_action(open_page: Open) -> None:
    at = open_page("runs")
    assert "No runs yet" in words(at)
    assert not at.dataframe


def test_the_list_is_newest_first_with_reasons(
    open_page: Open, history: list[dict[str, Any]]
) -> None:
    at = open_page("runs")
    table = at.dataframe[0].value
    assert table["open"].tolist() == [f"#{run['run_id']}" for run in reversed(history)]
    assert table["state"].tolist() == [["✓ succeeded"], ["! warned"], ["✓ succeeded"]]
    assert table["reason"].tolist()[1] == "1 of 2 records are invalid"
    assert "3 runs" in words(at)


def test_filters_come_from_the_address(open_page: Open, history: list[dict[str, Any]]) -> None:
    at = open_page("runs", status="warned", feed="sales")
    assert at.dataframe[0].value["open"].tolist() == [f"#{history[1]['run_id']}"]
    at = open_page("runs", status="failed")
    assert "No run fits these filters" in words(at)


def test_filters_go_into_the_address(open_page: Open, history: list[dict[str, Any]]) -> None:
    at = open_page("runs", page=5)
    at.pills(key="feed_pills").select("customers").run()
    assert at.query_params["feed"] == "customers"
    assert "page" not in at.query_params
    assert len(at.dataframe[0].value) == 1


def test_a_long_list_has_pages(open_page: Open, pipeline: Pipeline) -> None:
    with pipeline.engine.begin() as connection:
        for _ in range(30):
            run_id = runs.enqueue(connection, "sales", actor="tester")
            assert run_id is not None
            runs.cancel(connection, run_id, actor="tester")
    assert len(open_page("runs").dataframe[0].value) == 25
    assert len(open_page("runs", page=2).dataframe[0].value) == 5
    assert len(open_page("runs", page=77).dataframe[0].value) == 5


def test_start_queues_a_run_and_ten_clicks_no_second(open_page: Open, pipeline: Pipeline) -> None:
    at = open_page("runs")
    for _ in range(3):
        at.button(key="start_sales").click().run()
        assert not at.exception
    assert pipeline.rows("select dataset, status, trigger from etl.run") == [
        ("sales", "queued", "manual")
    ]
    assert "is queued already" in words(at)
    at.button(key="start_all").click().run()
    assert pipeline.value("select count(*) from etl.run") == 2
    assert pipeline.value("select count(*) from etl.audit where action = 'run.start'") == 5


def test_one_run_shows_steps_batches_ledger_and_log(
    open_page: Open, history: list[dict[str, Any]]
) -> None:
    run_id = history[1]["run_id"]
    at = open_page("runs", run=run_id)
    said = words(at)
    assert at.title[0].value == f"Run {run_id} · Sales"
    assert "1 of 2 records are invalid" in said
    for step in ("Extract", "Load", "Promote", "Archive"):
        assert f"**{step}**" in said
    assert "![x](" not in said
    batches, ledger, rules, log = (table.value for table in at.dataframe)
    assert batches["file_name"].tolist() == ["![x](y).json"]
    assert batches["invalid_records"].tolist() == [1]
    assert set(map(tuple, ledger["holds"])) == {("✓ balanced",)}
    assert ledger["left"].tolist() == ledger["right"].tolist()
    assert any("run warned" in line for line in log["message"])
    fired = dict(zip(rules["message"], rules["records"], strict=True))
    assert fired["Invalid quantity"] == 1
    assert fired["Missing price"] == 0
    assert history[1]["rule_set"] in said
    assert {metric.label: metric.value for metric in at.metric}["Invalid"] == "1"
    assert not [button for button in at.button if button.key in {"resume", "cancel"}]


def test_the_log_is_filtered_by_level(open_page: Open, history: list[dict[str, Any]]) -> None:
    at = open_page("runs", run=history[1]["run_id"], level="warning")
    assert {tuple(level) for level in at.dataframe[3].value["state"]} == {("! warning",)}


def test_filters_by_trigger_and_period(
    open_page: Open, pipeline: Pipeline, history: list[dict[str, Any]]
) -> None:
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            "update etl.run set requested_at = now() - interval '3 days', trigger = 'schedule' "
            f"where run_id = {history[0]['run_id']}"
        )
    at = open_page("runs", trigger="schedule")
    assert at.dataframe[0].value["open"].tolist() == [f"#{history[0]['run_id']}"]
    assert len(open_page("runs", within="day").dataframe[0].value) == 2
    assert len(open_page("runs", within="week").dataframe[0].value) == 3
    assert "No run fits these filters" in words(
        open_page("runs", within="hour", trigger="schedule")
    )


def test_a_live_run_shows_how_fast_it_is_and_what_it_does(
    open_page: Open, pipeline: Pipeline
) -> None:
    with pipeline.engine.begin() as connection:
        run_id = runs.enqueue(connection, "sales", actor="tester")
    with worker.Presence(pipeline.engine, pipeline.settings, "worker") as presence:
        assert runs.claim(pipeline.engine, presence.worker_id) is not None
        with pipeline.engine.begin() as connection:
            connection.exec_driver_sql(
                "insert into etl.step (run_id, step, status, started_at, attempted_at, done_records, "
                "total_records, attempted_records, reached_records, activity) values "
                f"({run_id}, 'extract', 'running', now() - interval '1 hour', "
                "now() - interval '100 seconds', 500000, 1000000, 100000, 300000, 'reading the file')"
            )
        # two browsers see the same
        for at in (open_page("runs", run=run_id), open_page("runs", run=run_id)):
            said = words(at)
            assert "500,000 of 1,000,000" in said
            assert re.search(r"1,9\d\d/s|2,000/s", said)
            assert re.search(r"about (5|6) min \d\d s left", said)
            assert "reading the file" in said
            assert not [button for button in at.button if button.key in {"again", "reprocess"}]
        at.button(key="cancel").click().run()
        assert "stops within two seconds" in words(at)
        assert not [button for button in at.button if button.key == "cancel"]


def test_a_run_is_run_again_with_other_parameters(
    open_page: Open, pipeline: Pipeline, history: list[dict[str, Any]]
) -> None:
    pipeline.land("next.json", [{**SALE, "transaction_id": "T9"}])
    at = open_page("runs", run=history[2]["run_id"])
    at.button(key="again").click().run()
    at.segmented_control(key="again_feed").set_value("sales").run()
    at.selectbox(key="again_source").set_value("next.json").run()
    at.button(key="again_go").click().run()
    assert not at.exception
    [again] = pipeline.rows(
        "select dataset, trigger, again_of, source_file like '%/next.json', is_full, status "
        "from etl.run order by run_id desc limit 1"
    )
    assert again == ("sales", "again", history[2]["run_id"], True, False, "queued")
    assert "Waits for a worker" in words(at)  # it steps into the new run
    assert pipeline.value("select count(*) from etl.audit where action = 'run.again'") == 1


def test_what_is_judged_again_is_counted_first(
    open_page: Open, pipeline: Pipeline, history: list[dict[str, Any]]
) -> None:
    at = open_page("runs", run=history[1]["run_id"])
    at.button(key="reprocess").click().run()
    shown = {metric.label: metric.value for metric in at.metric}
    assert (shown["Batches"], shown["Records"], shown["Invalid until now"]) == ("1", "2", "1")
    assert "It may widen to all 2 batches with 3 records" in words(at)
    at.segmented_control(key="reprocess_what").set_value("Everything").run()
    shown = {metric.label: metric.value for metric in at.metric}
    assert (shown["Batches"], shown["Records"]) == ("2", "3")
    assert "It may widen" not in words(at)
    at.segmented_control(key="reprocess_what").set_value("Files").run()
    at.button(key="reprocess_go").click().run()
    assert not at.exception
    [(trigger, batches, is_full)] = pipeline.rows(
        "select trigger, batches, is_full from etl.run order by run_id desc limit 1"
    )
    assert (trigger, len(batches), is_full) == ("reprocess", 1, False)
    assert "1 batch judged again" in words(at)
    with worker.Presence(pipeline.engine, pipeline.settings, "worker") as presence:
        claim = runs.claim(pipeline.engine, presence.worker_id)
        assert claim is not None
        worker.perform(pipeline.engine, pipeline.settings, presence, claim)
    at = open_page("runs", run=claim.run_id)
    assert at.dataframe[0].value["open"].tolist() == [f"#{history[1]['run_id']}"]
    assert {metric.label: metric.value for metric in at.metric}["Read"] == "2"


def test_a_period_without_files_cannot_be_judged_again(
    open_page: Open, pipeline: Pipeline, history: list[dict[str, Any]]
) -> None:
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql("update etl.batch set accepted_at = '2020-02-03 23:59:59+00'")
    at = open_page("runs")
    at.button(key="reprocess").click().run()
    at.segmented_control(key="reprocess_feed").set_value("sales").run()
    assert "No loaded file fits" in words(at)
    assert at.button(key="reprocess_go").disabled
    day = dt.date(2020, 2, 3)
    at.date_input(key="reprocess_period").set_value((day, day)).run()
    assert {metric.label: metric.value for metric in at.metric}["Batches"] == "2"
    assert not at.button(key="reprocess_go").disabled


def test_a_queued_run_is_cancelled_and_resumed(open_page: Open, pipeline: Pipeline) -> None:
    with pipeline.engine.begin() as connection:
        run_id = runs.enqueue(connection, "sales", actor="tester")
    at = open_page("runs", run=run_id)
    assert "Waits for a worker, and none is running" in words(at)
    at.button(key="cancel").click().run()
    assert pipeline.value("select status from etl.run") == "cancelled"
    assert "cancelled by" in words(at)
    at.button(key="resume").click().run()
    assert pipeline.value("select status from etl.run") == "queued"
    assert pipeline.rows("select action from etl.audit order by audit_id") == [
        ("run.cancel",),
        ("run.resume",),
    ]


def test_a_broken_ledger_is_red(open_page: Open, pipeline: Pipeline) -> None:
    pipeline.land("a.json", [SALE])
    run = pipeline.run("sales")
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            "update etl.run set status = 'failed', reason = 'the ledger is broken', "
            "is_balanced = false, ledger = "
            '\'[{"leg": "rows", "left": "5", "right": "4", "balanced": false}]\''
        )
    at = open_page("runs", run=run["run_id"])
    assert at.error[0].value == "the ledger is broken"
    assert at.dataframe[1].value["holds"].tolist() == [["✗ broken"]]
    assert at.button(key="resume")


def test_a_refusal_is_shown_in_words(
    open_page: Open, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = actions.Operator(name="vic", role=actions.Role.VIEWER, origin="page")
    monkeypatch.setattr(context.auth, "current", lambda: viewer)
    at = open_page("runs")
    at.button(key="start_all").click().run()
    assert "needs the role operator" in at.error[0].value
    assert pipeline.value("select count(*) from etl.run") == 0
    assert pipeline.value("select actor from etl.audit") == "vic"
