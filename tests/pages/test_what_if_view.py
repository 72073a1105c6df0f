"""The what-if panel: ask, wait, read the result, and see when it no longer holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from etl import runs, worker
from tests.conftest import Pipeline
from tests.pages.conftest import Open, words

EVIL = "<b>x</b> [a](http://evil.example)"


def panel() -> None:
    import streamlit

    from app import nav, what_if_view

    streamlit.navigation(nav.pages(), position="hidden")
    what_if_view.show_what_if("sales")


@pytest.fixture
def view(pipeline: Pipeline) -> Iterator[AppTest]:
    st.cache_resource.clear()
    yield AppTest.from_function(panel, default_timeout=30)
    st.cache_resource.clear()


def sale(key: str, quantity: int, region: str = "north") -> dict[str, Any]:
    return {
        "transaction_id": key,
        "customer_id": "C1",
        "product_id": "P1",
        "quantity": quantity,
        "price": 10,
        "date": "2024-01-01",
        "region": region,
    }


def load(pipeline: Pipeline, name: str, records: list[dict[str, Any]]) -> None:
    pipeline.land(f"{name}.json", records)
    pipeline.run("sales")


def draft(pipeline: Pipeline, **changes: Any) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "insert into dq.rule_draft (dataset, rule_id, rule, made_by) select 'sales', rule_id, "
                "to_jsonb(r) || cast(:rule as jsonb), 'tester' from dq.rule r "
                "where dataset = 'sales' and code = 'quantity_invalid'"
            ),
            {"rule": json.dumps(changes)},
        )


LIMITS = {"min": 3, "max": 99, "whole": True, "required": True}


def work(pipeline: Pipeline) -> None:
    with worker.Presence(pipeline.engine, pipeline.settings, "command") as presence:
        claimed = runs.claim(pipeline.engine, presence.worker_id)
        assert claimed is not None
        worker.perform(pipeline.engine, pipeline.settings, presence, claimed)


def metrics(at: AppTest) -> dict[str, tuple[str, str]]:
    return {metric.label: (metric.value, metric.delta) for metric in at.metric}


def test_drafts_are_tried_and_the_result_is_shown(pipeline: Pipeline, view: AppTest) -> None:
    load(pipeline, "1", [sale("T1", 2), sale("T2", 5, EVIL), sale(EVIL, 1, "south"), sale("T4", 0)])
    draft(pipeline, parameters=LIMITS)
    at = view.run()
    assert not at.exception
    assert "Nothing was tried yet" in words(at)
    at.button("what_if_go_sales").click().run()
    assert not at.exception
    assert "The rules are tried" in words(at)
    assert at.button("what_if_go_sales").disabled
    work(pipeline)
    at.run()
    assert not at.exception, at.exception[0].message
    shown = metrics(at)
    assert shown["Newly caught"] == ("2", "")
    assert shown["Newly released"] == ("0", "")
    assert shown["Invalid records"] == ("3", "+2")
    assert shown["Revenue, USD"] == ("50.00", "-30.00")
    assert shown["Rows in silver"] == ("1", "-2")
    assert shown["Deleted"] == ("2", "")
    tables = [table.value for table in at.dataframe]
    regions, months, rules, caught = tables
    assert regions["change"].tolist() == [-20.0, -10.0, 0.0]
    assert months.to_dict("list")["month"] == ["2024-01"]
    assert rules.to_dict("records")[0]["after"] == 3
    assert set(caught["key"]) == {"T1", EVIL}
    assert "open" not in caught  # valid now: they have no page
    assert "No invalid record becomes valid" in words(at)
    assert "evil.example" not in words(at)
    assert "outdated" not in words(at)


def test_released_records_open_and_an_old_prediction_says_so(
    pipeline: Pipeline, view: AppTest
) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "insert into dq.rule (dataset, code, ordinal, column_name, kind, parameters, judges, "
                "severity, message) values ('sales', 'few', 900, 'quantity', 'between', "
                "cast(:limits as jsonb), 'normalised', 'reject', 'too few')"
            ),
            {"limits": json.dumps(LIMITS)},
        )
    try:
        load(pipeline, "1", [sale("T1", 1), sale("T2", 5)])
        with pipeline.engine.begin() as connection:
            connection.exec_driver_sql(
                "insert into dq.rule_draft (dataset, rule_id, rule, made_by) select 'sales', rule_id, "
                "to_jsonb(r) || '{\"active\": false}', 'tester' from dq.rule r where code = 'few'"
            )
        at = view.run()
        at.button("what_if_go_sales").click().run()
        work(pipeline)
        at.run()
        item = pipeline.value("select quarantine_id from dq.quarantine")
        released = at.dataframe[-1].value
        assert released.to_dict("records")[0] == {
            "open": f"#{item}",
            "key": "T1",
            "reasons": "too few",
            "file_name": "1.json",
            "batch_id": pipeline.value("select max(batch_id) from etl.batch"),
            "position": 1,
        }
        load(pipeline, "2", [sale("T3", 9)])
        with pipeline.engine.begin() as connection:
            connection.exec_driver_sql("delete from dq.rule_draft")
        at.run()
        assert "outdated" in words(at)
        assert "other rules" in words(at)
    finally:
        with pipeline.engine.begin() as connection:
            for statement in (
                "delete from dq.rule_draft",
                "delete from dq.rule_count where rule_id in (select rule_id from dq.rule where code = 'few')",
                "delete from dq.rule_history where rule ->> 'code' = 'few'",
                "delete from dq.rule where code = 'few'",
            ):
                connection.exec_driver_sql(statement)


def test_the_page_of_its_run_says_what_it_is_and_repeats_nothing(
    pipeline: Pipeline, view: AppTest, open_page: Open
) -> None:
    load(pipeline, "1", [sale("T1", 2)])
    view.run().button("what_if_go_sales").click().run()
    work(pipeline)
    run_id = pipeline.value("select max(run_id) from etl.run")
    at = open_page("runs", run=run_id)
    said = words(at).replace("\\", "")
    assert "rules are tried, asked for by" in said
    assert "rules are tried, no layer changes" in said
    assert "0 records newly caught" in said
    assert not {"again", "reprocess"} & {button.key for button in at.button}
    assert {"again", "reprocess"} <= {
        button.key for button in open_page("runs", run=run_id - 1).button
    }


def test_a_period_without_files_is_said_in_words(pipeline: Pipeline, view: AppTest) -> None:
    at = view.run()
    at.button("what_if_go_sales").click().run()
    assert "no loaded batch to try the rules on" in words(at).replace("\\", "")
    load(pipeline, "1", [sale("T1", -1)])
    draft(pipeline, active=False)
    at.segmented_control("what_if_scope_sales").set_value("A period").run()
    assert not at.exception
    assert len(at.date_input("what_if_period_sales").value) == 2
    at.button("what_if_go_sales").click().run()
    work(pipeline)
    at.run()
    assert "Nothing changes." in words(at)
    days = pipeline.rows("select last_day - first_day from dq.prediction")
    assert days == [(6,)]
    at.button("what_if_go_sales").click().run()
    at.button("what_if_cancel_sales").click().run()
    assert pipeline.value("select status from etl.run order by run_id desc limit 1") == "cancelled"
    assert not at.exception
