"""The page of a run says what became of its Power BI refresh."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from typing import Any

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from etl import worker
from tests.conftest import Pipeline
from tests.pages.conftest import Open, words
from tests.powerbi_service import DATASET, WORKSPACE

SALE = {
    "transaction_id": "T1",
    "customer_id": "C1",
    "product_id": "P1",
    "quantity": 1,
    "price": 10,
    "date": "2024-01-01",
}


@pytest.fixture
def run_id(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> int:
    """A run whose pages and commands have refreshes switched on."""
    monkeypatch.setenv("REVENUE_POWERBI_REFRESH", "standard")
    monkeypatch.setenv("REVENUE_POWERBI_WORKSPACE_ID", WORKSPACE)
    monkeypatch.setenv("REVENUE_POWERBI_DATASET_ID", DATASET)
    pipeline.land("a.json", [SALE])
    return int(pipeline.run("sales")["run_id"])


def keep(pipeline: Pipeline, run_id: int | None, status: str, **more: Any) -> int:
    """Insert a refresh: asked for a minute ago, begun 50 s and over 20 s ago; return its number."""
    now = dt.datetime.now(dt.UTC)
    values = {
        "run_id": run_id,
        "status": status,
        "requested_by": "ada",
        "requested_at": now - dt.timedelta(seconds=60),
        "data_version": 7,
        "form": "standard",
        "started_at": now - dt.timedelta(seconds=50) if "request_id" in more else None,
        "ended_at": None if status in {"waiting", "running"} else now - dt.timedelta(seconds=20),
        **more,
    }
    with pipeline.engine.begin() as connection:
        return int(
            connection.execute(
                text(
                    f"insert into etl.refresh ({', '.join(values)}) "
                    f"values ({', '.join(f':{name}' for name in values)}) returning refresh_id"
                ),
                values,
            ).scalar_one()
        )


def said_by(at: AppTest) -> str:
    return words(at).replace("\\", "")


def test_nothing_is_said_when_the_run_asked_for_nothing(open_page: Open, run_id: int) -> None:
    assert "Power BI" not in [one.value for one in open_page("runs", run=run_id).subheader]


def test_a_refresh_that_completed(open_page: Open, pipeline: Pipeline, run_id: int) -> None:
    refresh_id = keep(pipeline, run_id, "completed", request_id="r1")
    at = open_page("runs", run=run_id)
    assert "Power BI" in [one.value for one in at.subheader]
    assert f"refresh {refresh_id}, standard form" in said_by(at)
    assert "took 30.0 s" in said_by(at)
    assert "completed" in said_by(at)


def test_a_refresh_that_failed_can_be_asked_for_again(
    open_page: Open, pipeline: Pipeline, run_id: int
) -> None:
    keep(pipeline, run_id, "failed", error="it failed in Power BI: ![x](http://evil)")
    at = open_page("runs", run=run_id)
    [told] = [one.value for one in at.error]
    assert "it failed in Power BI" in told
    assert "The run and its data are not touched" in told
    assert "![x](http" not in told
    at.button(key="refresh_again").click().run()
    assert not at.exception
    asked = pipeline.rows("select run_id, status from etl.refresh order by refresh_id desc limit 1")
    assert asked == [(None, "waiting")]
    assert "waits to be sent" in said_by(at)


def test_a_later_refresh_that_completed_is_named(
    open_page: Open, pipeline: Pipeline, run_id: int
) -> None:
    keep(pipeline, run_id, "failed", error="no")
    later = keep(pipeline, None, "completed", request_id="r2")
    at = open_page("runs", run=run_id)
    assert f"Refresh {later} completed 20 s ago" in said_by(at)


def test_a_refresh_sent_in_place_of_it(open_page: Open, pipeline: Pipeline, run_id: int) -> None:
    newer = keep(pipeline, None, "running", request_id="r3")
    keep(pipeline, run_id, "covered", covered_by=newer)
    at = open_page("runs", run=run_id)
    assert f"sent as part of refresh {newer}" in said_by(at)
    assert "running" in said_by(at)
    assert "started 50 s ago" in said_by(at)


@pytest.mark.parametrize(
    ("is_on", "has_worker", "said"),
    [
        (False, True, "Refreshes are switched off now (REVENUE_POWERBI_REFRESH)"),
        (True, False, "A worker sends it, and none is running"),
        (True, True, "8 refreshes are used up. Next try in"),
    ],
)
def test_a_refresh_that_waits_says_why(
    open_page: Open,
    pipeline: Pipeline,
    run_id: int,
    monkeypatch: pytest.MonkeyPatch,
    is_on: bool,
    has_worker: bool,
    said: str,
) -> None:
    monkeypatch.setenv("REVENUE_POWERBI_REFRESH", "standard" if is_on else "off")
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
    keep(pipeline, run_id, "waiting", error="8 refreshes are used up", next_attempt_at=soon)
    with contextlib.ExitStack() as stack:
        if has_worker:
            stack.enter_context(worker.Presence(pipeline.engine, pipeline.settings, "worker"))
        assert said in said_by(open_page("runs", run=run_id))


def test_a_dry_run_shows_what_would_be_sent(
    open_page: Open, pipeline: Pipeline, run_id: int
) -> None:
    keep(
        pipeline,
        run_id,
        "dry_run",
        would_send=json.dumps(
            {
                "method": "POST",
                "address": "https://api.powerbi.com/v1.0/x",
                "body": {"notifyOption": "NoNotification"},
            }
        ),
    )
    at = open_page("runs", run=run_id)
    assert "POST https://api.powerbi.com/v1.0/x" in said_by(at)
    assert "NoNotification" in at.json[0].value
