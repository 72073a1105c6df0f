"""The overview says what is well, what is not, and what to do next."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from app import advice
from etl import worker
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
NOW = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)


def test_a_new_user_is_told_how_to_begin(open_page: Open) -> None:
    said = words(open_page())
    assert "Bring the first data" in said
    assert "No runs yet" in said
    assert "No open invalid records" in said
    assert "Nothing loaded yet." in said
    assert "no worker" in said
    assert "revenue worker" in said


def test_after_a_run_the_figures_add_up(open_page: Open, pipeline: Pipeline) -> None:
    pipeline.land("a.json", [SALE, {**SALE, "price": 11}, {**SALE, "quantity": 0}])
    run = pipeline.run("sales")
    at = open_page()
    figures = {metric.label: metric.value for metric in at.metric}
    assert figures == {"Read": "3", "= valid": "1", "+ invalid": "1", "+ superseded": "1"}
    said = words(at)
    assert "balanced" in said
    assert "1 open" in said
    assert "Review invalid records" in said
    runs, rules = at.dataframe
    assert runs.value["open"].tolist() == [f"#{run['run_id']}"]
    assert rules.value["open"].tolist() == ["Invalid quantity"]


def test_signs_of_life_are_shown(open_page: Open, pipeline: Pipeline) -> None:
    with (
        worker.Presence(pipeline.engine, pipeline.settings, "worker"),
        worker.Presence(pipeline.engine, pipeline.settings, "scheduler"),
    ):
        said = words(open_page())
    assert "no worker" not in said
    assert "no scheduler" not in said
    assert "revenue worker" not in said


def test_a_hostile_rule_message_stays_text(open_page: Open, pipeline: Pipeline) -> None:
    pipeline.land("a.json", [SALE])
    pipeline.run("sales")
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            "update etl.run set reason = '![x](https://evil.example/x.png)', status = 'failed'"
        )
    at = open_page()
    assert "![x](" not in words(at)
    assert at.dataframe[0].value["reason"].tolist() == ["![x](https://evil.example/x.png)"]
    assert "Look at the failed run of sales" in words(at).replace("\\", "")


def status(**changes: Any) -> dict[str, Any]:
    return {
        "now": NOW,
        "worker_heartbeat": NOW,
        "scheduler_heartbeat": NOW,
        "layers": [],
        "findings": [],
        "open_invalid_records": 0,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "waiting", "is_untouched", "first"),
    [
        ({}, 0, True, "Bring the first data"),
        ({"worker_heartbeat": None}, 0, False, "Start a worker"),
        ({"worker_heartbeat": NOW - dt.timedelta(minutes=5)}, 1, False, "Start a worker"),
        ({}, 2, False, "Load the waiting files"),
        ({"open_invalid_records": 1}, 0, False, "Review invalid records"),
        ({}, 0, False, "Look at the numbers"),
        (
            {"layers": [{"status": "failed", "dataset": "sales", "run_id": 7}]},
            3,
            False,
            "Look at the failed run of sales",
        ),
    ],
)
def test_the_most_urgent_comes_first(
    changes: dict[str, Any], waiting: int, is_untouched: bool, first: str
) -> None:
    steps = advice.next_steps(status(**changes), waiting_files=waiting, is_untouched=is_untouched)
    assert steps[0].title == first


def test_nothing_balances_before_the_first_run() -> None:
    assert advice.balance([{"is_balanced": None}]) is None
    assert advice.balance([{"is_balanced": True}, {"is_balanced": None}]) is True
    assert advice.balance([{"is_balanced": True}, {"is_balanced": False}]) is False
