"""The queries of the run pages use indexes, also with a long history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from etl.db import queries
from tests.conftest import Pipeline

RUNS = 10_000
ANY = {"dataset": None, "status": None, "trigger": None, "since": None}
MANY = """
    insert into etl.run (
        dataset, status, trigger, requested_by, requested_at, started_at, ended_at, attempt, reason
    )
    select
        case number % 2 when 0 then 'sales' else 'customers' end,
        case when number % 500 = 0 then 'failed' else 'succeeded' end,
        'schedule', 'tester', at, at, at + interval '3 seconds', 1, 'tested'
    from (
        select number, clock_timestamp() - make_interval(mins => :runs - number) as at
        from generate_series(1, :runs) as number
    ) as planned
"""


@pytest.fixture
def history(pipeline: Pipeline) -> Iterator[Connection]:
    # never committed: emptying the tables of so many runs would take longer than the test
    with pipeline.engine.connect() as connection, connection.begin() as transaction:
        connection.execute(text(MANY), {"runs": RUNS})
        connection.exec_driver_sql(
            "insert into etl.step (run_id, step, status) select run_id, 'extract', 'succeeded' from etl.run"
        )
        connection.exec_driver_sql(
            "insert into etl.log (level, dataset, run_id, message) "
            "select 'info', dataset, run_id, 'tested' from etl.run"
        )
        connection.exec_driver_sql(
            "insert into etl.batch (dataset, file_name, sha256, file_bytes, status, reason, "
            "accepted_by, run_id, archived_at) select dataset, 'a.json', repeat('0', 64), 1, 'skipped', "
            "'tested', 'tester', run_id, now() from etl.run"
        )
        connection.exec_driver_sql(
            "analyze etl.run; analyze etl.step; analyze etl.log; analyze etl.batch"
        )
        yield connection
        transaction.rollback()


PAGED = {"limit": 25, "offset": 0}
NEWEST = "select max(run_id) from etl.run"


CASES = [
    ("runs.history", {**ANY, **PAGED}),
    ("runs.history", {**ANY, **PAGED, "dataset": "sales"}),
    ("runs.history", {**ANY, **PAGED, "status": "failed"}),
    ("runs.history", {**ANY, **PAGED, "trigger": "schedule"}),
    ("runs.count", {**ANY, "status": "failed"}),
    ("runs.trend", {**ANY, "limit": 40}),
    ("runs.trend", {**ANY, "limit": 40, "status": "failed"}),
    ("runs.is_any_moving", {}),
    ("runs.one", {"run_id": NEWEST}),
    ("runs.steps", {"run_id": NEWEST}),
    ("runs.batches", {"run_id": NEWEST, "batches": None}),
    ("runs.batches", {"run_id": NEWEST, "batches": [1, 2]}),
    ("runs.again", {"run_id": NEWEST}),
    ("runs.cancelled_by", {"run_id": NEWEST}),
    ("logs.lines", {"run_id": NEWEST, "levels": ["info"], "limit": 50}),
]


def test_no_refresh_reads_a_whole_table(history: Connection) -> None:
    newest = history.exec_driver_sql(NEWEST).scalar()
    for name, given in CASES:
        parameters = {**given, "run_id": newest} if "run_id" in given else given
        subject, _, query = name.partition(".")
        statement = queries.load(f"queries/{subject}")[query]
        plan = "\n".join(history.execute(text(f"explain {statement}"), parameters).scalars())
        assert "Seq Scan" not in plan, f"{name} {given}\n{plan}"
