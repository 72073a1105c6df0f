"""Repairs: an edited copy is replayed as a batch; the rehearsal tells what comes; it can be undone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.actions import BusyError, Desk
from app.actions import repairs as actions
from app.auth import ForbiddenError, Operator, Role
from app.cube import Filters
from app.report import kpis
from etl import failpoints, runs, worker
from etl.db.connect import connect
from etl.errors import RunCancelledError
from etl.repair import Edit, RepairError
from tests.conftest import EMPTY, Pipeline
from tests.invariants import broken

ORIGINAL = Path(__file__).resolve().parents[1] / "golden" / "sales_original" / "1.json"


def desk(pipeline: Pipeline, role: Role = Role.STEWARD) -> Desk:
    return Desk(
        engine=pipeline.engine,
        settings=pipeline.settings,
        operator=Operator(name="sam", role=role, origin="test"),
    )


def sale(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": f"T{number:04}",
        "customer_id": f"C{number % 7}",
        "product": {"id": f"P{number % 3}", "name": "Desk", "category": "Office", "price": 10.5},
        "quantity": number % 5 + 1,
        "discount": 0,
        "date": f"2023-0{number % 9 + 1}-11",
        "region": "North",
        **changes,
    }


def items(pipeline: Pipeline, *, where: str = "true") -> list[tuple[int, int, str]]:
    return [
        (row[0], row[1], row[2])
        for row in pipeline.rows(
            "select q.quarantine_id, q.version, r.record from dq.quarantine q "
            f"join raw.sales_raw r using (batch_id, position) where {where} order by 1"
        )
    ]


def edited(item: tuple[int, int, str], **changes: Any) -> Edit:
    record = {**json.loads(item[2]), **changes}
    return Edit(quarantine_id=item[0], version=item[1], record=json.dumps(record))


def work(pipeline: Pipeline) -> None:
    """Execute whatever is queued."""
    with worker.Presence(pipeline.engine, pipeline.settings, "worker") as presence:
        while claim := runs.claim(pipeline.engine, presence.worker_id):
            worker.perform(pipeline.engine, pipeline.settings, presence, claim)


def content(pipeline: Pipeline) -> list[Any]:
    """Everything that silver and gold say, without the times of writing."""
    return [
        pipeline.rows(
            "select transaction_id, customer_id, product_id, product_name, category, price, "
            "quantity, discount, date, region, batch_id, position from silver.sales order by 1"
        ),
        pipeline.rows(
            "select transaction_id, customer_id, product_id, quantity, price, discount, region, "
            "transaction_datetime, total_value from gold.transactions order by 1"
        ),
        pipeline.rows("select product_id, product_name, category from gold.products order by 1"),
        pipeline.rows("select customer_id, is_inferred from gold.customers order by 1"),
        pipeline.rows("select date from gold.dim_date order by 1"),
    ]


def well(pipeline: Pipeline) -> list[str]:
    with pipeline.engine.connect() as connection:
        return broken(connection, pipeline.settings.home, quiet=True)


def figures(pipeline: Pipeline) -> dict[str, Any]:
    with pipeline.engine.connect() as connection:
        return kpis(connection, Filters())


@contextlib.contextmanager
def stricter_quantity(pipeline: Pipeline) -> Iterator[None]:
    """Let no quantity below 10 pass for a while."""
    change = (
        "update dq.rule set parameters = cast(:parameters as jsonb), version = version + 1 "
        "where dataset = 'sales' and code = :code"
    )
    code, before = pipeline.rows(
        "select code, parameters from dq.rule where dataset = 'sales' and column_name = 'quantity' "
        "and kind = 'between'"
    )[0]

    def set_to(parameters: dict[str, Any]) -> None:
        with pipeline.engine.begin() as connection:
            connection.execute(text(change), {"parameters": json.dumps(parameters), "code": code})

    set_to({**before, "min": 10})
    try:
        yield
    finally:
        set_to(before)


def test_the_original_t003_is_repaired_and_replayed(pipeline: Pipeline) -> None:
    pipeline.land("sales.json", ORIGINAL.read_bytes())
    pipeline.run("sales")
    raw = pipeline.rows("select * from raw.sales_raw order by position")
    (item,) = items(pipeline, where="q.record_key = 'T003'")
    edit = edited(item, customer_id="C003", quantity=1)
    before, count = figures(pipeline), len(content(pipeline)[0])

    told = actions.rehearse(desk(pipeline), "sales", [edit])
    assert (told.inserted, told.updated, told.unchanged, told.invalid) == (1, 0, 0, ())
    assert [(d.key, d.before) for d in told.differences] == [("T003", None)]
    assert figures(pipeline) == before == told.before
    assert items(pipeline, where="q.record_key = 'T003'") == [item]

    done = actions.replay(desk(pipeline), "sales", [edit], reason="asked the branch")
    work(pipeline)
    batch = pipeline.rows(
        "select kind, inserted_rows, updated_rows, invalid_records, status from etl.batch "
        "order by batch_id desc limit 1"
    )
    assert batch == [("correction", 1, 0, 0, "promoted")]
    assert len(content(pipeline)[0]) == len(content(pipeline)[1]) == count + 1
    assert pipeline.rows(
        "select q.status, q.closed_position, p.repair_id, p.batch_id = q.closed_batch_id "
        "from dq.quarantine q join dq.repair p using (repair_id) where q.quarantine_id = :item",
        item=item[0],
    ) == [("fixed", 1, done.repair_id, True)]
    assert (
        pipeline.rows(
            "select * from raw.sales_raw where batch_id = (select min(batch_id) "
            "from etl.batch) order by position"
        )
        == raw
    )
    after = figures(pipeline)
    assert after == told.after
    worth = Decimal("299.50") * (1 - Decimal("0.1"))
    assert after["total_sales"] - before["total_sales"] == worth.quantize(Decimal("0.01"))
    assert after["transactions"] == before["transactions"] + 1
    assert well(pipeline) == []

    with pytest.raises(RepairError, match=r"#\d+ is fixed"):
        actions.replay(desk(pipeline), "sales", [edit], reason="again")
    seen = content(pipeline)
    pipeline.run("sales")
    pipeline.run("sales", is_full=True)
    assert content(pipeline) == seen
    assert (
        pipeline.value("select status from dq.quarantine where quarantine_id = :i", i=item[0])
        == "fixed"
    )
    assert well(pipeline) == []


def test_123_negative_quantities_are_repaired_and_taken_back_at_once(pipeline: Pipeline) -> None:
    # T0003 is there already, valid: its repaired copy changes a row, and that must come back, too
    old = [sale(n) for n in range(300)]
    pipeline.land("old.json", old)
    pipeline.run("sales")
    bad = [sale(n, quantity=-2, price=99) for n in range(3, 4)]
    bad += [sale(n, quantity=-(n % 4) - 1) for n in range(1000, 1122)]
    pipeline.land("bad.json", bad)
    pipeline.run("sales")
    before, money = content(pipeline), figures(pipeline)
    edits = [
        edited(item, quantity=abs(json.loads(item[2])["quantity"]))
        for item in items(pipeline, where="q.status = 'open'")
    ]
    assert len(edits) == 123
    told = actions.rehearse(desk(pipeline), "sales", edits)
    assert (told.inserted, told.updated) == (122, 1)
    done = actions.replay(desk(pipeline), "sales", edits, reason="sign lost", operation="absolute")
    work(pipeline)
    assert figures(pipeline) == told.after != money
    assert pipeline.value("select count(*) from dq.quarantine where status = 'fixed'") == 123
    assert well(pipeline) == []

    actions.take_back(desk(pipeline), done.repair_id, reason="they were returns")
    with pytest.raises(RepairError, match="is about to take"):
        actions.take_back(desk(pipeline), done.repair_id, reason="twice")
    work(pipeline)
    assert content(pipeline) == before
    assert figures(pipeline) == money
    assert pipeline.value("select count(*) from dq.quarantine where status = 'open'") == 123
    assert well(pipeline) == []
    with pytest.raises(RepairError, match="taken back already"):
        actions.take_back(desk(pipeline), done.repair_id, reason="once more")

    pipeline.run("sales", is_full=True)  # a batch that was taken back stays out
    assert content(pipeline) == before
    fresh = [edited(item, quantity=1) for item in items(pipeline, where="q.status = 'open'")]
    actions.replay(desk(pipeline), "sales", fresh, reason="better")
    work(pipeline)
    assert pipeline.value("select count(*) from dq.quarantine where status = 'fixed'") == 123
    assert well(pipeline) == []


def test_what_came_after_the_repair_survives_its_revert(pipeline: Pipeline) -> None:
    pipeline.land("bad.json", [sale(1, quantity=0), sale(2, quantity=0), sale(3, quantity=0)])
    pipeline.run("sales")
    edits = [edited(item, quantity=4) for item in items(pipeline)]
    done = actions.replay(desk(pipeline), "sales", edits, reason="counted")
    work(pipeline)
    # the same as the repair, something else, and nothing at all
    pipeline.land("later.json", [sale(1, quantity=4), sale(2, quantity=5)])
    pipeline.run("sales")
    actions.take_back(desk(pipeline), done.repair_id, reason="wrong")
    work(pipeline)
    later = pipeline.value("select max(batch_id) from etl.batch where kind = 'file'")
    assert pipeline.rows(
        "select transaction_id, quantity, batch_id from silver.sales order by 1"
    ) == [("T0001", 4, later), ("T0002", 5, later)]
    assert well(pipeline) == []


def test_a_row_falls_back_to_its_newest_record_that_counts(pipeline: Pipeline) -> None:
    for name, quantity in (("a", 1), ("b", 2), ("c", 0)):
        pipeline.land(f"{name}.json", [sale(1, quantity=quantity), sale(2, quantity=3)])
        pipeline.run("sales")
    before = content(pipeline)
    assert pipeline.value("select quantity from silver.sales where transaction_id = 'T0001'") == 2
    for quantity in (4, 5):  # the second time, the first repair must not come back either
        (item,) = items(pipeline)
        done = actions.replay(
            desk(pipeline), "sales", [edited(item, quantity=quantity)], reason="counted"
        )
        work(pipeline)
        assert content(pipeline) != before
        actions.take_back(desk(pipeline), done.repair_id, reason="miscounted")
        work(pipeline)
        assert content(pipeline) == before
        assert well(pipeline) == []


def test_an_item_is_open_again_when_what_closed_it_is_invalid(pipeline: Pipeline) -> None:
    pipeline.land("bad.json", [sale(1, quantity=0), sale(2, quantity=0)])
    pipeline.run("sales")
    (item, _) = items(pipeline)
    actions.replay(desk(pipeline), "sales", [edited(item, quantity=5)], reason="counted")
    pipeline.land("good.json", [sale(2, quantity=5)])
    pipeline.run("sales")
    states = "select status from dq.quarantine order by quarantine_id limit 2"
    assert pipeline.rows(states) == [("fixed",), ("superseded",)]
    with stricter_quantity(pipeline):
        pipeline.run("sales", is_full=True)
        assert pipeline.rows(states) == [("open",), ("open",)]
        assert well(pipeline) == []
    pipeline.run("sales", is_full=True)
    assert pipeline.rows(states) == [("fixed",), ("superseded",)]
    assert well(pipeline) == []


def test_a_newer_valid_record_closes_its_older_invalid_ones(pipeline: Pipeline) -> None:
    pipeline.land("bad.json", [sale(1, quantity=0), sale(2, quantity=0), sale(3), sale(4)])
    pipeline.run("sales")
    pipeline.land("good.json", [sale(1), sale(3, quantity=0)])
    pipeline.run("sales")
    assert pipeline.rows(
        "select q.record_key, q.status, b.file_name, q.closed_position from dq.quarantine q "
        "left join etl.batch b on b.batch_id = q.closed_batch_id order by q.quarantine_id"
    ) == [
        ("T0001", "superseded", "good.json", 1),
        ("T0002", "open", None, None),
        ("T0003", "open", None, None),  # the valid one is older
    ]
    assert pipeline.rows("select action, to_status, actor from dq.triage_event") == [
        ("supersede", "superseded", "engine")
    ]
    (item,) = items(pipeline, where="q.record_key = 'T0001'")
    with pytest.raises(RepairError, match="is superseded; reopen it first"):
        actions.replay(desk(pipeline), "sales", [edited(item, quantity=1)], reason="late")


def test_a_repair_that_is_invalid_when_it_is_loaded_leaves_its_item_open(
    pipeline: Pipeline,
) -> None:
    pipeline.land("bad.json", [sale(1, quantity=0)])
    pipeline.run("sales")
    (item,) = items(pipeline)
    actions.replay(desk(pipeline), "sales", [edited(item, quantity=7)], reason="counted")
    with stricter_quantity(pipeline):  # before the run takes it
        work(pipeline)
    assert pipeline.rows("select status from dq.quarantine order by quarantine_id") == [
        ("open",),
        ("superseded",),
    ]
    assert "still_invalid" in {
        row[0] for row in pipeline.rows("select action from dq.triage_event")
    }
    assert well(pipeline) == []


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("", "must be one JSON object"),
        ("[1]", "must be one JSON object"),
        ('{"a": 1', "is not valid JSON"),
        ('{"a": 1} {"b": 2}', "must be one JSON object"),
        ('{"a": NaN}', "is not valid JSON"),
        ('{"a": "\ud800"}', "half a character"),
    ],
)
def test_what_is_no_record_is_refused(pipeline: Pipeline, record: str, why: str) -> None:
    pipeline.land("bad.json", [sale(1, quantity=0)])
    pipeline.run("sales")
    (item,) = items(pipeline)
    edit = Edit(quarantine_id=item[0], version=item[1], record=record)
    with pytest.raises(RepairError, match=why):
        actions.replay(desk(pipeline), "sales", [edit], reason="try")
    assert pipeline.value("select count(*) from dq.repair") == 0


def test_somebody_else_was_faster(pipeline: Pipeline) -> None:
    pipeline.land("bad.json", [sale(1, quantity=0)])
    pipeline.run("sales")
    (item,) = items(pipeline)
    edit = edited(item, quantity=2)
    stale = Edit(quarantine_id=edit.quarantine_id, version=edit.version + 7, record=edit.record)
    with pytest.raises(RepairError, match="somebody changed"):
        actions.replay(desk(pipeline), "sales", [stale], reason="x")
    actions.replay(desk(pipeline), "sales", [edit], reason="x")
    with pytest.raises(RepairError, match="being repaired already"):
        actions.replay(desk(pipeline), "sales", [edit], reason="x")
    with pytest.raises(RepairError, match="twice at once"):
        actions.replay(desk(pipeline), "sales", [edit, edit], reason="x")
    with pytest.raises(ForbiddenError):
        actions.replay(desk(pipeline, Role.OPERATOR), "sales", [edit], reason="x")


def test_a_rehearsal_does_not_wait_for_a_run(pipeline: Pipeline) -> None:
    pipeline.land("bad.json", [sale(1, quantity=0)])
    pipeline.run("sales")
    (item,) = items(pipeline)
    with pipeline.engine.begin() as other:
        other.execute(text("select from etl.dataset where dataset = 'sales' for no key update"))
        with pytest.raises(BusyError, match="a run is at work"):
            actions.rehearse(desk(pipeline), "sales", [edited(item, quantity=2)])


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "quantity": st.sampled_from([-1, 0, 1, 3, "2"]),
        "customer_id": st.sampled_from([None, "C1", "c2", "x"]),
        "transaction_id": st.sampled_from(["T0001", "T0002", "T0009", ""]),
        "date": st.sampled_from(["2023-02-01", "never", "2024-01-01"]),
        "discount": st.sampled_from([0, 0.5, "10%", 2]),
    },
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    queue=st.lists(st.tuples(st.integers(0, 5), CHANGES), min_size=1, max_size=8),
    repairs=st.lists(CHANGES, min_size=8, max_size=8),
)
def test_the_rehearsal_is_what_comes(
    pipeline: Pipeline, queue: list[tuple[int, dict[str, Any]]], repairs: list[dict[str, Any]]
) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(text(EMPTY))
    for folder in ("raw", "processed"):
        for path in (pipeline.settings.home / "data" / folder).iterdir():
            path.unlink()
    pipeline.land("file.json", [sale(number, **changes) for number, changes in queue])
    pipeline.run("sales")
    edits = [
        edited(item, **changes)
        for item, changes in zip(items(pipeline, where="q.status = 'open'"), repairs, strict=False)
    ]
    if not edits:
        return
    told = actions.rehearse(desk(pipeline), "sales", edits)
    refused = dict(told.invalid)
    valid = [edit for edit in edits if edit.quarantine_id not in refused]
    before = content(pipeline)
    if not valid:
        with pytest.raises(RepairError, match="still invalid"):
            actions.replay(desk(pipeline), "sales", edits, reason="all")
        return
    done = actions.replay(desk(pipeline), "sales", edits, reason="all")
    assert dict(done.left) == refused
    work(pipeline)
    counts = pipeline.rows(
        "select inserted_rows, updated_rows, unchanged_rows, superseded_records, invalid_records "
        "from etl.batch order by batch_id desc limit 1"
    )
    assert counts == [(told.inserted, told.updated, told.unchanged, told.superseded, 0)]
    assert figures(pipeline) == told.after
    assert well(pipeline) == []
    actions.take_back(desk(pipeline), done.repair_id, reason="undo")
    work(pipeline)
    assert content(pipeline) == before
    assert well(pipeline) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("extract.in_copy", "replay"),
        ("load.before_commit", "replay"),
        ("load.after_commit", "replay"),
        ("promote.before_commit", "replay"),
        ("revert.before_write", "take back"),
        ("revert.before_commit", "take back"),
        ("revert.after_commit", "take back"),
    ],
)
def test_a_killed_worker_neither_loses_nor_doubles_a_repair(
    pipeline: Pipeline, database_url: str, name: str, act: str
) -> None:
    pipeline.land("file.json", [sale(n, quantity=n % 2) for n in range(30)])
    pipeline.run("sales")
    before = content(pipeline)
    edits = [edited(item, quantity=9) for item in items(pipeline)]
    done = actions.replay(desk(pipeline), "sales", edits, reason="counted")
    if act == "take back":
        work(pipeline)
        actions.take_back(desk(pipeline), done.repair_id, reason="miscounted")
    child = os.fork()
    if child == 0:
        try:
            failpoints._SPEC, failpoints._hits = f"{name}=kill", {}
            used = connect(database_url, pipeline.settings, name="killed")
            work(replace(pipeline, engine=used))
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, f"nothing passes {name}"
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home) == []
    runs.mark_lost(pipeline.engine, silence=0, attempts=5)
    work(pipeline)
    assert well(pipeline) == []
    if act == "take back":
        assert content(pipeline) == before
    else:
        assert len(content(pipeline)[0]) == 30
    assert pipeline.value("select count(*) from dq.quarantine where status = 'open'") == (
        15 if act == "take back" else 0
    )


@pytest.mark.parametrize(
    ("name", "act"),
    [("load.before_merge", "replay"), ("revert.before_write", "take back")],
)
def test_a_cancel_in_the_middle_loses_and_doubles_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, name: str, act: str
) -> None:
    pipeline.land("file.json", [sale(n, quantity=n % 2) for n in range(30)])
    pipeline.run("sales")
    before = content(pipeline)
    edits = [edited(item, quantity=9) for item in items(pipeline)]
    done = actions.replay(desk(pipeline), "sales", edits, reason="counted")
    if act == "take back":
        work(pipeline)
        actions.take_back(desk(pipeline), done.repair_id, reason="miscounted")
    middle = content(pipeline)
    hit = failpoints.hit

    def cancel_there(passed: str) -> None:
        hit(passed)
        if passed == name:
            raise RunCancelledError("cancelled by sam")

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "hit", cancel_there)
        work(pipeline)
    last = "select run_id, status from etl.run order by run_id desc limit 1"
    [(run_id, status)] = pipeline.rows(last)
    assert status == "cancelled"
    assert content(pipeline) == middle
    with pipeline.engine.begin() as connection:
        assert broken(connection, pipeline.settings.home) == []
        runs.resume(connection, run_id)
    work(pipeline)
    assert well(pipeline) == []
    assert len(content(pipeline)[0]) == (15 if act == "take back" else 30)
    assert act == "replay" or content(pipeline) == before
