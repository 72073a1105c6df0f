"""The file of open invalid records: added to where that is enough, and always what the queue says."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from etl import datasets, error_file
from tests.conftest import Pipeline

BAD: dict[str, list[Any]] = {
    "sales": [
        {"transaction_id": "T1", "quantity": -1},
        {},
        7,
        {"transaction_id": 'a"b\nc', "note": "\r\n", "x": 1},
        {"transaction_id": "}"},
        [1],
    ],
    "customers": [
        {"customer_id": None, "customer_name": "=1+1", "region": "a,b\n"},
        {"customer_id": "C1", "email": "x" * 51},
        {"customer_id": "", "region": "North"},
    ],
}

FIRST: dict[str, dict[str, Any]] = {  # by which a file is recognised
    "sales": {"transaction_id": "T9", "price": 1},
    "customers": {"customer_id": "C9", "customer_name": "x"},
}
GOOD = {
    "transaction_id": "T777",
    "customer_id": "C1",
    "product_id": "P1",
    "price": 1,
    "quantity": 1,
    "date": "2023-01-01",
}


def path_of(pipeline: Pipeline, dataset: str) -> Path:
    return pipeline.settings.logs / datasets.get(dataset).error_file


def run(pipeline: Pipeline, dataset: str, number: int) -> None:
    """Land a file of invalid records that no file before it held."""
    records = [
        {**record, "n": number} if isinstance(record, dict) else record for record in BAD[dataset]
    ]
    lines = "\n".join(json.dumps(record, indent=number % 2 or None) for record in records)
    name = f"{dataset}{number}.json"
    first = (
        {"customer_id": "C9", "customer_name": "x"}
        if dataset == "customers"
        else {"transaction_id": "T9", "price": 1}
    )
    pipeline.land(name, f"{json.dumps({**first, 'n': number})}\n{lines}".encode())
    pipeline.run(dataset)


def assert_current(pipeline: Pipeline, dataset: str) -> None:
    """The file is what writing it anew gives, and holds every open record once."""
    path = path_of(pipeline, dataset)
    found = path.read_bytes()
    other = path.with_name(f"anew{path.suffix}")
    with pipeline.engine.connect() as connection:
        error_file.renew(connection, datasets.get(dataset), other)
    assert found == other.read_bytes()
    count = pipeline.value(
        "select count(*) from dq.quarantine where dataset = :dataset "
        "and status in ('open', 'assigned', 'snoozed', 'back_to_source')",
        dataset=dataset,
    )
    if path.suffix == ".json":
        assert len(json.loads(found)) == count
    else:
        with path.open(newline="") as file:
            assert len(list(csv.DictReader(file))) == count


@pytest.mark.parametrize("dataset", list(BAD))
def test_it_follows_the_queue(pipeline: Pipeline, dataset: str) -> None:
    run(pipeline, dataset, 1)
    assert_current(pipeline, dataset)
    run(pipeline, dataset, 2)
    assert_current(pipeline, dataset)
    before = path_of(pipeline, dataset).read_bytes()
    run(pipeline, dataset, 3)
    assert_current(pipeline, dataset)
    kept = before.removesuffix(b"]\n")
    assert path_of(pipeline, dataset).read_bytes().startswith(kept)

    changes = (
        "update dq.quarantine set status = 'fixed', closed_batch_id = 1 where quarantine_id = "
        "(select min(quarantine_id) from dq.quarantine)",
        # as many as before, but not the same
        "update dq.quarantine set closed_batch_id = 1, "
        "status = case when status = 'fixed' then 'back_to_source' else 'superseded' end "
        "where quarantine_id in (select quarantine_id from dq.quarantine order by 1 limit 2)",
        "update dq.quarantine set dq_errors = 'Missing price; x' where status = 'open'",
        "update dq.quarantine set status = 'dismissed'",
    )
    for number, change in enumerate(changes, start=4):
        with pipeline.engine.begin() as connection:
            connection.execute(text(change))
        run(pipeline, dataset, number)
        assert_current(pipeline, dataset)
    run(pipeline, dataset, 9)
    assert_current(pipeline, dataset)


def test_a_lost_or_altered_file_is_written_anew(pipeline: Pipeline) -> None:
    run(pipeline, "sales", 1)
    path = path_of(pipeline, "sales")
    path.write_text("[]\n")
    run(pipeline, "sales", 2)
    assert_current(pipeline, "sales")
    path.unlink()
    run(pipeline, "sales", 3)
    assert_current(pipeline, "sales")


def test_nothing_new_leaves_it_alone(pipeline: Pipeline) -> None:
    run(pipeline, "sales", 1)
    before = path_of(pipeline, "sales").stat()
    pipeline.land(
        "good.json",
        [
            {
                "transaction_id": "T777",
                "customer_id": "C1",
                "product_id": "P1",
                "price": 1,
                "quantity": 1,
                "date": "2023-01-01",
            }
        ],
    )
    assert pipeline.run("sales")["status"] == "succeeded"
    after = path_of(pipeline, "sales").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
