"""Corrected files meet the queue in the database: what fits, what was closed or changed meanwhile."""

from __future__ import annotations

import io
from typing import Any

import pytest

from etl import landing, round_trip, triage
from etl.round_trip import FORMATS, Corrected, Verdict
from etl.triage_states import Filters
from tests.conftest import Pipeline

RAW = '{"transaction_id": "T%d", "quantity": -1, "price": 1.50, "product": {"id": "P1"}}'


@pytest.fixture
def queue(pipeline: Pipeline) -> list[int]:
    """Six invalid records of sales and one of customers."""
    pipeline.land("s.json", f"[{', '.join(RAW % n for n in range(1, 7))}]".encode())
    pipeline.land("c.json", [{"customer_id": None, "customer_name": "=1+1", "email": "a@b.c"}])
    first = pipeline.run("sales")
    assert first["invalid_records"] == 6
    pipeline.run("customers")
    return [row[0] for row in pipeline.rows("select quarantine_id from dq.quarantine order by 1")]


def exported(pipeline: Pipeline, form: str, **filters: Any) -> bytes:
    file = io.BytesIO()
    with pipeline.engine.connect() as connection:
        round_trip.write(lambda: triage.export(connection, Filters(**filters)), file, format=form)
    return file.getvalue()


def read(pipeline: Pipeline, content: bytes, form: str) -> list[Corrected]:
    with pipeline.engine.connect() as connection:
        return list(
            round_trip.read_corrected(
                connection,
                io.BytesIO(content),
                f"f.{form}",
                limits=landing.limits(pipeline.settings),
            )
        )


@pytest.mark.parametrize("form", FORMATS)
def test_the_whole_queue_comes_back(pipeline: Pipeline, queue: list[int], form: str) -> None:
    found = read(pipeline, exported(pipeline, form), form)
    assert sorted(one.quarantine_id or 0 for one in found) == queue
    assert {one.verdict for one in found} == {Verdict.UNCHANGED}


def test_edits_and_what_happened_meanwhile(pipeline: Pipeline, queue: list[int]) -> None:
    content = exported(pipeline, "csv", dataset="sales").replace(b",-1,", b",1,")
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            "update dq.quarantine set status = 'dismissed' where quarantine_id = %(id)s",
            {"id": queue[0]},
        )
        connection.exec_driver_sql(
            "update dq.quarantine set version = version + 1 where quarantine_id = %(id)s",
            {"id": queue[1]},
        )
        connection.exec_driver_sql(
            "delete from dq.quarantine where quarantine_id = %(id)s", {"id": queue[2]}
        )
    found = read(pipeline, content, "csv")
    assert [one.verdict for one in found] == [Verdict.REFUSED] * 3 + [Verdict.EDITED] * 3
    for one, words in zip(
        found, ("is dismissed", "changed meanwhile", "there is no"), strict=False
    ):
        assert words in str(one.reason)
    assert [one.record for one in found[3:]] == [
        (RAW % n).replace('"quantity": -1', '"quantity": 1') for n in (4, 5, 6)
    ]


def test_an_export_honours_the_filters_of_the_list(pipeline: Pipeline, queue: list[int]) -> None:
    def ids(**filters: Any) -> list[int]:
        with pipeline.engine.connect() as connection:
            return [row["quarantine_id"] for row in triage.export(connection, Filters(**filters))]

    run = pipeline.value("select min(run_id) from etl.batch where dataset = 'sales'")
    rule = pipeline.value(
        "select rule_id from dq.rule where dataset = 'customers' and message = 'customer_id is NULL'"
    )
    assert ids(search="t3") == [queue[2]]
    assert ids(run_id=run) == queue[:6]
    assert ids(rule_id=rule) == queue[6:]
    assert ids(rule_id=rule, dataset="sales") == []
    assert ids(states=("fixed",)) == []
