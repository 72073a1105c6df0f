"""A run may stop after any step; however a feed is split into runs, the warehouse is the same."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from etl import runs, worker
from etl.errors import RunConflictError
from etl.model import Step
from tests.conftest import EMPTY, Pipeline

SALE = {
    "transaction_id": "T1",
    "customer_id": "C1",
    "product_id": "P1",
    "quantity": 2,
    "price": 10,
    "date": "2024-01-01",
}
FIRST = [SALE, {**SALE, "transaction_id": "T2"}, {**SALE, "quantity": 0}, {**SALE, "price": 9}]
SECOND = [{**SALE, "price": 11}, {**SALE, "transaction_id": "T3", "discount": "x"}]
SPLITS = [
    ("extract", "load", "promote", "archive"),
    ("extract", "archive"),
    ("extract", "extract", "promote", "promote", "archive"),
    ("load", None),
    ("promote", "extract", "archive"),
]


def land(pipeline: Pipeline) -> None:
    pipeline.land("1_first.json", FIRST)
    pipeline.land("2_second.json", SECOND)
    pipeline.land("3_broken.json", b'[{"transaction_id": "T9", "customer_id": "C1"')


def run(pipeline: Pipeline, until: str | None) -> dict[str, Any]:
    return pipeline.run("sales", until=Step(until) if until else None)


def warehouse(pipeline: Pipeline) -> dict[str, Any]:
    """Everything that a split must not change; batches by their place."""
    place = "(select count(*) from etl.batch as o where o.batch_id <= {}.batch_id)"
    queries = {
        "raw": f"select {place.format('r')}, position, record from raw.sales_raw r order by 1, 2",
        "silver": "select transaction_id, customer_id, quantity, price, position "
        f", {place.format('s')} from silver.sales s order by 1",
        "gold": "select transaction_id, customer_id, quantity, price, total_value "
        "from gold.transactions order by 1",
        "quarantine": f"select {place.format('q')}, position, dq_errors, status "
        "from dq.quarantine q order by 1, 2",
        "batches": "select file_name, status, records, valid_records, invalid_records, "
        "superseded_records, inserted_rows, updated_rows, unchanged_rows, archived_at is not null "
        "from etl.batch order by batch_id",
        "watermark": "select pipeline_name, last_insert_date = (select max(insert_date) "
        "from etl.batch) from silver.etl_metadata where pipeline_name in ('sales_silver', 'gold')",
    }
    found: dict[str, Any] = {name: pipeline.rows(sql) for name, sql in queries.items()}
    settings = pipeline.settings
    error_file = settings.logs / "invalid_sales.json"
    found["error file"] = error_file.read_text()
    found["left in the landing zone"] = sorted(path.name for path in settings.landing.iterdir())
    found["processed"] = sorted(
        path.name.partition("__")[2] for path in settings.processed.iterdir()
    )
    error_file.unlink()
    for folder in (settings.processed, settings.rejected):
        for path in folder.iterdir():
            path.unlink()
    return found


@pytest.fixture
def whole(pipeline: Pipeline) -> dict[str, Any]:
    """The warehouse after one run of all steps."""
    land(pipeline)
    assert pipeline.run("sales")["status"] == "warned"
    found = warehouse(pipeline)
    assert len(found["gold"]) == 2
    assert len(found["quarantine"]) == 2
    with pipeline.engine.begin() as connection:
        connection.execute(text(EMPTY))
    return found


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: "-".join(map(str, split)))
def test_every_split_leaves_the_same_warehouse(
    pipeline: Pipeline, whole: dict[str, Any], split: tuple[str | None, ...]
) -> None:
    land(pipeline)
    for until in split:
        ended = run(pipeline, until)
        assert ended["status"] in {"succeeded", "warned"}, ended["reason"]
        assert ended["is_balanced"]
        assert ended["until"] == until
        assert f"stopped after {until} as asked" in str(ended["reason"]) or until in {
            None,
            "archive",
        }
    assert warehouse(pipeline) == whole


def test_each_step_stops_where_it_says(pipeline: Pipeline) -> None:
    pipeline.land("sales.json", FIRST)
    statuses = []
    for until in Step:
        ended = run(pipeline, until)
        statuses.append(pipeline.value("select status from etl.batch"))
        assert [step["step"] for step in ended["steps"]][-1] == until.value
    assert statuses == ["extracted", "loaded", "promoted", "promoted"]
    assert pipeline.value("select count(*) from etl.batch where archived_at is null") == 0
    assert ended["reason"] == "went on with batches of earlier runs"


def test_counts_stand_with_the_run_that_loaded(pipeline: Pipeline) -> None:
    pipeline.land("sales.json", FIRST)
    assert run(pipeline, "extract")["read_records"] == 0
    loaded = run(pipeline, "load")
    assert (loaded["status"], loaded["read_records"], loaded["invalid_records"]) == ("warned", 4, 1)
    assert loaded["reason"] == "1 of 4 records are invalid; stopped after load as asked"
    promoted = run(pipeline, "promote")
    assert promoted["read_records"] == 0
    legs = {leg["leg"]: (leg["left"], leg["right"]) for leg in promoted["ledger"]}
    assert legs["rows: silver.sales = gold.transactions"] == ("2", "2")


def test_a_worker_takes_up_what_a_part_left(pipeline: Pipeline) -> None:
    pipeline.land("sales.json", FIRST)
    run(pipeline, "extract")
    ended = pipeline.run("sales")
    assert ended["read_records"] == 4
    assert pipeline.value("select count(*) from gold.transactions") == 2


def test_a_full_run_is_never_split(pipeline: Pipeline) -> None:
    with pytest.raises(RunConflictError, match="all steps at once"):
        pipeline.run("sales", is_full=True, until=Step.LOAD)


def test_a_resumed_run_still_stops_where_it_was_asked_to(pipeline: Pipeline) -> None:
    pipeline.land("sales.json", FIRST)
    ended = run(pipeline, "load")
    with pipeline.engine.begin() as connection:
        connection.execute(text("update etl.run set status = 'failed'"))
        runs.resume(connection, ended["run_id"])
    with worker.Presence(pipeline.engine, pipeline.settings, "worker") as presence:
        claim = runs.claim(pipeline.engine, presence.worker_id)
        assert claim is not None
        outcome = worker.perform(pipeline.engine, pipeline.settings, presence, claim)
    assert outcome.reason == "1 of 4 records are invalid; stopped after load as asked"
    assert pipeline.value("select status from etl.batch") == "loaded"
