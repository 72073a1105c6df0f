"""Running again and judging again as actions and as a command: parameters, roles, audit."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from app import cli
from app.actions import Desk, again
from app.auth import ForbiddenError, Operator, Role
from etl.errors import RevenueError, RunConflictError
from etl.reprocess import Choice
from tests.conftest import Pipeline

NEWEST = "select trigger, dataset, source_file, is_full, batches, again_of from etl.run order by run_id desc"


def sale(key: str, **changed: Any) -> dict[str, Any]:
    return {
        "transaction_id": key,
        "customer_id": "C1",
        "product_id": "P1",
        "quantity": 1,
        "price": 10,
        "date": "2024-01-01",
        **changed,
    }


def desk_of(pipeline: Pipeline, role: Role = Role.OPERATOR) -> Desk:
    return Desk(
        engine=pipeline.engine,
        settings=pipeline.settings,
        operator=Operator(name="ada", role=role, origin="test"),
    )


@pytest.fixture
def loaded(pipeline: Pipeline) -> list[int]:
    """Three batches, accepted on three days."""
    for number in (1, 2, 3):
        pipeline.land(f"{number}.json", [sale(f"T{number}"), sale("T9", quantity=-number)])
        pipeline.run("sales")
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            "update etl.batch set accepted_at = '2026-01-01 00:00:00+00'::timestamptz "
            "+ make_interval(days => (batch_id - (select min(batch_id) from etl.batch))::integer)"
        )
    return [row[0] for row in pipeline.rows("select batch_id from etl.batch order by 1")]


def test_a_viewer_repeats_nothing_and_the_refusal_is_audited(
    pipeline: Pipeline, loaded: list[int]
) -> None:
    viewer = desk_of(pipeline, Role.VIEWER)
    before = pipeline.value("select count(*) from etl.run")
    with pytest.raises(ForbiddenError):
        again.run_again(viewer, 1)
    with pytest.raises(ForbiddenError):
        again.reprocess_batches(viewer, Choice(dataset="sales"))
    assert pipeline.value("select count(*) from etl.run") == before
    assert pipeline.rows("select action, after ? 'refused' from etl.audit order by audit_id") == [
        ("run.again", True),
        ("run.reprocess", True),
    ]


def test_a_period_counts_whole_days(pipeline: Pipeline, loaded: list[int]) -> None:
    def touched(first: str | None, last: str | None) -> tuple[int, ...]:
        first_day, last_day = (dt.date.fromisoformat(day) if day else None for day in (first, last))
        choice = Choice(dataset="sales", first_day=first_day, last_day=last_day)
        return again.preview_reprocess(desk_of(pipeline), choice).batches

    assert touched("2026-01-02", "2026-01-02") == (loaded[1],)
    assert touched("2026-01-02", None) == tuple(loaded[1:])
    assert touched(None, "2026-01-02") == tuple(loaded[:2])
    assert touched("2027-01-01", None) == ()
    with pytest.raises(RevenueError, match="ends before it begins"):
        touched("2026-01-03", "2026-01-02")


def test_a_choice_is_queued_once_and_audited(pipeline: Pipeline, loaded: list[int]) -> None:
    desk, choice = desk_of(pipeline), Choice(dataset="sales", batches=(loaded[0], loaded[2]))
    touched = again.preview_reprocess(desk, choice)
    assert (len(touched.batches), touched.records, touched.invalid_records) == (2, 4, 2)
    assert (touched.all_batches, touched.all_records, touched.is_whole) == (3, 6, False)
    first, second = (again.reprocess_batches(desk, choice) for _ in range(2))
    assert (first.is_new, second.is_new) == (True, False)
    assert first.run_id == second.run_id
    assert pipeline.rows(NEWEST)[0] == (
        "reprocess", "sales", None, False, [loaded[0], loaded[2]], None,
    )  # fmt: skip
    everything = again.reprocess_batches(desk, Choice(dataset="sales"))
    assert everything.is_new
    assert pipeline.rows(NEWEST)[0] == ("reprocess", "sales", None, True, None, None)
    said = pipeline.value("select after from etl.audit order by audit_id limit 1")
    assert said["records"] == 4


@pytest.mark.parametrize("dataset", ["customers", "sales"])
def test_only_loaded_batches_of_the_feed_can_be_chosen(
    pipeline: Pipeline, loaded: list[int], dataset: str
) -> None:
    strange = loaded[0] if dataset == "customers" else loaded[-1] + 1
    with pytest.raises(RevenueError, match="only batches in silver or gold"):
        again.reprocess_batches(desk_of(pipeline), Choice(dataset=dataset, batches=(strange,)))


def test_again_keeps_what_is_not_changed(pipeline: Pipeline, loaded: list[int]) -> None:
    desk = desk_of(pipeline)
    judged = again.reprocess_batches(desk, Choice(dataset="sales", batches=(loaded[1],))).run_id
    pipeline.run("sales")
    again.run_again(desk, judged)
    # the same request waits already: the run to be repeated itself
    assert pipeline.value("select count(*) from etl.run where trigger = 'again'") == 0
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            "update etl.run set status = 'cancelled', ended_at = now() where status = 'queued'"
        )
    again.run_again(desk, judged)
    assert pipeline.rows(NEWEST)[0] == ("again", "sales", None, False, [loaded[1]], judged)
    again.run_again(desk, judged, is_full=True)
    assert pipeline.rows(NEWEST)[0] == ("again", "sales", None, True, None, judged)
    again.run_again(desk, judged, dataset="customers")
    assert pipeline.rows(NEWEST)[0] == ("again", "customers", None, False, None, judged)
    path = pipeline.land("new.json", [sale("T5")])
    again.run_again(desk, judged, source_file="new.json")
    assert pipeline.rows(NEWEST)[0] == ("again", "sales", str(path), False, None, judged)
    before, after = pipeline.rows("select before, after from etl.audit order by audit_id desc")[0]
    assert (before["run_id"], before["batches"]) == (judged, [loaded[1]])
    assert after["source_file"] == "new.json"


def test_what_is_not_there_cannot_be_repeated(pipeline: Pipeline, loaded: list[int]) -> None:
    desk = desk_of(pipeline)
    with pytest.raises(RunConflictError, match="there is no run 987654"):
        again.run_again(desk, 987654)
    run_id = pipeline.value("select max(run_id) from etl.run")
    with pytest.raises(RevenueError, match="does not wait in the landing zone"):
        again.run_again(desk, run_id, source_file="../gone.json")


def test_the_command_judges_again(
    pipeline: Pipeline, loaded: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pipeline.engine.begin() as connection:  # a row that went wrong by hand
        connection.exec_driver_sql("delete from silver.sales where transaction_id = 'T2'")
    pipeline.land("waits.json", [sale("T7")])
    days = ["--reprocess-from", "2026-01-02", "--reprocess-to", "2026-01-03"]
    status = cli.cli.main(["run", "sales", *days, "--json"], standalone_mode=False)
    [run] = json.loads(capsys.readouterr().out)["runs"]
    assert status == 0
    assert (run["trigger"], run["chosen_batches"]) == ("reprocess", loaded[1:])
    assert (run["read_records"], run["valid_records"], run["inserted_rows"]) == (4, 2, 1)
    assert pipeline.value("select count(*) from gold.transactions") == 3
    # it takes no file
    assert (pipeline.settings.landing / "waits.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["all", "--reprocess-batch", "1"],
        ["sales", "--full", "--reprocess-batch", "1"],
        ["sales", "--source-file", "a.json", "--reprocess-from", "2026-01-01"],
    ],
)
def test_what_does_not_go_together_is_wrong_use(arguments: list[str]) -> None:
    with pytest.raises(cli.click.UsageError):
        cli.cli.main(["run", *arguments], standalone_mode=False)
