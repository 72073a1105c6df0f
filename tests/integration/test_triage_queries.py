"""The queries of the queue use indexes and stop at their limits, also with a long queue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from etl.db import queries
from etl.triage_states import UNFINISHED, Filters, TriageState
from tests.conftest import Pipeline

RECORDS = 20_000
BATCHES = 20
FILL = (
    "insert into etl.batch (dataset, file_name, sha256, file_bytes, status, reason, accepted_by, "
    "archived_at) select 'sales', n || '.json', repeat('0', 64), 1, 'skipped', 'tested', 'tester', "
    "now() from generate_series(1, :batches) n",
    "insert into dq.quarantine (dataset, batch_id, position, record_key, dq_errors, rule_set, status, "
    "assigned_to) select 'sales', batch_id, n, 'K' || n, 'Missing price', 'x', "
    "case when n % 10 = 0 then 'assigned' when n % 50 = 1 then 'dismissed' else 'open' end, "
    "case when n % 100 = 0 then 'anna' when n % 10 = 0 then 'ben' end "
    "from etl.batch, generate_series(1, :records / :batches) n",
    "insert into dq.violation (batch_id, position, rule_id, rule_version, severity) "
    "select batch_id, position, 1 + position % 5, 1, 'reject' from dq.quarantine",
    "insert into dq.triage_event (quarantine_id, actor, action, note) "
    "select quarantine_id, 'tester', 'comment', 'x' from dq.quarantine",
)
TODO = Filters(states=UNFINISHED)
PAGED = {"limit": 25, "offset": 0}
EACH = {"each": list(TriageState), "limit": 1_001}
NEWEST = "select max(quarantine_id) from dq.quarantine"


@pytest.fixture
def queue(pipeline: Pipeline) -> Iterator[Connection]:
    # never committed: emptying the tables of so many records would take longer than the test
    with pipeline.engine.connect() as connection, connection.begin() as transaction:
        for statement in FILL:
            connection.execute(text(statement), {"batches": BATCHES, "records": RECORDS})
        connection.exec_driver_sql(
            "analyze dq.quarantine; analyze dq.violation; analyze etl.batch; analyze dq.triage_event"
        )
        yield connection
        transaction.rollback()


def plan_of(connection: Connection, name: str, **parameters: Any) -> str:
    subject, _, query = name.partition(".")
    statement = queries.load(f"queries/{subject}")[query]
    lines = connection.execute(
        text(f"explain (analyze, costs off, timing off) {statement}"), parameters
    )
    return "\n".join(lines.scalars())


def test_no_list_reads_the_whole_queue(queue: Connection) -> None:
    newest = queue.exec_driver_sql(NEWEST).scalar()
    batch_id = queue.exec_driver_sql("select max(batch_id) from etl.batch").scalar()
    cases: list[tuple[str, dict[str, Any]]] = [
        ("triage.page", {**Filters().parameters, **PAGED}),
        ("triage.page", {**TODO.parameters, **PAGED}),
        ("triage.page", {**Filters(states=("snoozed",)).parameters, **PAGED}),
        ("triage.page", {**Filters(dataset="customers").parameters, **PAGED}),
        ("triage.page", {**Filters(batch_id=batch_id).parameters, **PAGED}),
        ("triage.page", {**Filters(owner="anna").parameters, **PAGED}),
        ("triage.page", {**Filters(owner="nobody at all").parameters, **PAGED}),
        ("triage.page", {**Filters(rule_id=1, states=UNFINISHED).parameters, **PAGED}),
        ("triage.page", {**Filters(ids=(newest,)).parameters, **PAGED}),
        ("triage.neighbours", {"quarantine_id": newest, "status": "open"}),
        ("triage.one", {"quarantine_id": newest}),
        ("triage.violations", {"batch_id": batch_id, "position": 7}),
        ("triage_states.history", {"quarantine_id": newest, "limit": 100}),
        ("triage_states.item", {"quarantine_id": newest}),
        ("triage_states.owners", {"limit": 100}),
        ("triage_states.wake", {"now": None}),
        ("triage_states.count_unfinished", {"limit": 1_000}),
    ]
    for name, parameters in cases:
        plan = plan_of(queue, name, **parameters)
        assert not re.search(r"Seq Scan on (quarantine|violation|triage_event)", plan), (
            f"{name} {parameters}\n{plan}"
        )


def test_counts_stop_at_their_limit(queue: Connection) -> None:
    for name, parameters in (
        ("triage.by_state", {**Filters().parameters, **EACH}),
        ("triage.by_state", {**Filters(dataset="sales").parameters, **EACH}),
        ("triage_states.count_unfinished", {"limit": 1_001}),
    ):
        plan = plan_of(queue, name, **parameters)
        read = [
            float(rows) * int(loops)
            for rows, loops in re.findall(
                r"Scan.* on quarantine.*\(actual rows=([\d.]+) loops=(\d+)\)", plan
            )
        ]
        assert read, plan
        assert sum(read) <= 3 * 1_001 + 10, f"{name}\n{plan}"


def test_states_are_counted_within_the_other_filters(queue: Connection) -> None:
    found = {
        row["status"]: row["records"]
        for row in queries.rows(
            queue, "queries/triage.by_state", **Filters(search="K11").parameters, **EACH
        )
    }
    # K11, K110 to K119 of each batch; one in ten assigned
    assert found == dict.fromkeys(TriageState, 0) | {"open": 200, "assigned": 20}
