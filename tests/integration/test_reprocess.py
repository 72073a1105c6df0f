"""Some batches judged again: silver holds what the verdicts of every batch say, whatever was chosen."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, text

from etl import failpoints
from tests import conftest
from tests.conftest import Pipeline
from tests.invariants import broken

QUANTITIES = (1, 2, 3, 4)
Record = tuple[str, int]  # key, quantity

BAN = """
    insert into dq.rule (dataset, code, ordinal, column_name, kind, parameters, judges, severity,
        message, origin, updated_by)
    values ('sales', 'quantity_banned', 900, 'quantity', 'one_of', cast(:parameters as jsonb),
        'normalised', 'reject', 'banned', 'operator', 'tester')
    on conflict (dataset, code) do update
    set parameters = excluded.parameters, active = true, version = dq.rule.version + 1
"""
FORGET = """
    delete from dq.violation where rule_id in (select rule_id from dq.rule where code = 'quantity_banned');
    delete from dq.rule_count where rule_id in (select rule_id from dq.rule where code = 'quantity_banned');
    delete from dq.rule_history where rule ->> 'code' = 'quantity_banned';
    delete from dq.rule where code = 'quantity_banned'
"""


def ban(engine: Engine, banned: set[int]) -> None:
    """Reject these quantities from now on."""
    allowed = [str(quantity) for quantity in QUANTITIES if quantity not in banned]
    with engine.begin() as connection:
        connection.execute(text(BAN), {"parameters": json.dumps({"values": allowed})})


@pytest.fixture
def rules(clean: Engine) -> Iterator[Engine]:
    yield clean
    with clean.begin() as connection:
        for statement in FORGET.split(";"):
            connection.exec_driver_sql(statement)


def sales(records: list[Record]) -> list[dict[str, Any]]:
    return [
        {
            "transaction_id": key,
            "customer_id": f"C{quantity}",
            "product": {"id": f"P{quantity}", "name": f"Name {quantity}", "price": 10},
            "quantity": quantity,
            "date": f"202{quantity}-01-01",
        }
        for key, quantity in records
    ]


class Model:
    """What each batch holds and which quantities were banned when it was judged."""

    def __init__(self) -> None:
        self.batches: dict[int, tuple[list[Record], frozenset[int]]] = {}

    def silver(self) -> dict[str, int]:
        return {
            key: quantity
            for _, (records, banned) in sorted(self.batches.items())
            for key, quantity in records
            if quantity not in banned
        }

    def quarantine(self) -> set[tuple[int, int]]:
        return {
            (batch_id, position)
            for batch_id, (records, banned) in self.batches.items()
            for position, (_, quantity) in enumerate(records, start=1)
            if quantity in banned
        }

    def superseded(self) -> set[tuple[int, int]]:
        found = set()
        for batch_id, (records, banned) in self.batches.items():
            last: dict[str, int] = {}
            for position, (key, quantity) in enumerate(records, start=1):
                if quantity not in banned:
                    if key in last:
                        found.add((batch_id, last[key]))
                    last[key] = position
        return found

    def judge_again(self, batches: list[int], banned: frozenset[int]) -> None:
        for batch_id in batches:
            self.batches[batch_id] = (self.batches[batch_id][0], banned)


def assert_like(pipeline: Pipeline, model: Model) -> None:
    rows = pipeline.rows("select transaction_id, quantity from silver.sales")
    assert dict(rows) == model.silver()
    rows = pipeline.rows("select transaction_id, quantity from gold.transactions")
    assert dict(rows) == model.silver()
    assert set(pipeline.rows("select batch_id, position from dq.quarantine")) == model.quarantine()
    assert set(pipeline.rows("select batch_id, position from dq.superseded")) == model.superseded()
    # a row of silver names a record that is valid and equal to it
    for batch_id, position, key, quantity in pipeline.rows(
        "select batch_id, position, transaction_id, quantity from silver.sales"
    ):
        records, banned = model.batches[batch_id]
        assert records[position - 1] == (key, quantity)
        assert quantity not in banned
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home, quiet=True) == []


records = st.lists(
    st.tuples(st.sampled_from(["T1", "T2", "T3"]), st.sampled_from(QUANTITIES)),
    min_size=1,
    max_size=3,
)


class Reprocessing(RuleBasedStateMachine):
    pipeline: Pipeline

    @initialize(first=st.lists(records, min_size=2, max_size=4))
    def start(self, first: list[list[Record]]) -> None:
        with self.pipeline.engine.begin() as connection:
            connection.execute(text(conftest.EMPTY))
        shutil.rmtree(self.pipeline.settings.home / "data")
        self.pipeline.settings.make_folders()
        self.model, self.banned = Model(), frozenset[int]()
        self.names = itertools.count()
        ban(self.pipeline.engine, set())
        for batch in first:
            self.land(batch)

    @rule(batch=records)
    def land(self, batch: list[Record]) -> None:
        # a field that no rule reads keeps a file from being a repetition
        number = next(self.names)
        content = [{**record, "number": number} for record in sales(batch)]
        self.pipeline.land(f"{number}.json", content)
        run = self.pipeline.run("sales")
        assert run["status"] in {"succeeded", "warned"}, run["reason"]
        [taken] = run["batches"]
        self.model.batches[taken["batch_id"]] = (batch, self.banned)
        assert_like(self.pipeline, self.model)

    @rule(banned=st.sets(st.sampled_from(QUANTITIES), max_size=2))
    def change_the_rules(self, banned: set[int]) -> None:
        self.banned = frozenset(banned)
        ban(self.pipeline.engine, banned)

    @precondition(lambda self: hasattr(self, "model") and self.model.batches)
    @rule(data=st.data(), crash=st.sampled_from(["", "", "load.after_merge", "full.after_commit"]))
    def reprocess(self, data: st.DataObject, crash: str) -> None:
        known = sorted(self.model.batches)
        chosen = data.draw(st.lists(st.sampled_from(known), min_size=1, unique=True))
        if crash:
            failpoints._SPEC = f"{crash}=raise"
            failpoints._hits.clear()
            try:
                assert self.pipeline.run("sales", batches=chosen)["status"] == "failed"
            finally:
                failpoints._SPEC = ""
            if crash == "load.after_merge":
                assert_like(self.pipeline, self.model)
        run = self.pipeline.run("sales", batches=chosen)
        assert run["status"] in {"succeeded", "warned"}, run["reason"]
        assert run["trigger"] == "reprocess"
        is_widened = self.pipeline.value(
            "select bool_or(is_full) from etl.run where run_id >= :run_id", run_id=run["run_id"] - 1
        )
        if is_widened and not crash:
            assert "all" in run["reason"]
        self.model.judge_again(known if is_widened else chosen, self.banned)
        assert_like(self.pipeline, self.model)
        products = self.pipeline.rows("select product_id from gold.products")
        assert {row[0] for row in products} == {
            f"P{quantity}" for quantity in self.model.silver().values()
        }

    @rule()
    def again_changes_nothing(self) -> None:
        states = "select xmin, * from silver.sales order by transaction_id"
        judged = [
            batch_id
            for batch_id, (_, banned) in self.model.batches.items()
            if banned == self.banned
        ]
        if judged:
            before = self.pipeline.rows(states)
            self.pipeline.run("sales", batches=judged)
            assert self.pipeline.rows(states) == before


def test_any_choice_gives_what_the_verdicts_say(
    rules: Engine, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reprocessing, "pipeline", pipeline, raising=False)
    run_state_machine_as_test(
        Reprocessing,
        settings=settings(
            max_examples=int(os.environ.get("MODEL_EXAMPLES", "3")),
            stateful_step_count=6,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),  # a failing sequence is short enough to read as it is
        ),
    )


def test_a_run_widens_only_where_its_batches_cannot_settle_a_key(
    rules: Engine, pipeline: Pipeline
) -> None:
    ban(rules, set())
    batches = []
    for number, batch in enumerate([[("T1", 1)], [("T1", 1), ("T2", 2)], [("T3", 3)]]):
        pipeline.land(f"{number}.json", sales(batch))
        batches.append(pipeline.run("sales")["batches"][0]["batch_id"])
    ban(rules, {1, 3})
    # T3 has no valid record any more
    run = pipeline.run("sales", batches=[batches[2]])
    assert (run["status"], run["is_full"], run["read_records"]) == ("warned", True, 4)
    ban(rules, {2})
    # T1 comes back, and no row says anything else of it
    run = pipeline.run("sales", batches=[batches[0]])
    assert (run["status"], run["is_full"], run["read_records"]) == ("succeeded", False, 1)
    assert run["reason"] is None
    # T2 has no valid record any more: another batch might have one
    run = pipeline.run("sales", batches=[batches[1]])
    assert run["is_full"] is True
    assert run["chosen_batches"] == [batches[1]]
    remark = "all 3 batches are judged again: of 1 key(s)"
    assert remark in run["reason"]
    assert (
        pipeline.value(
            "select count(*) from etl.log where run_id = :run_id and message like :remark",
            run_id=run["run_id"],
            remark=f"{remark}%",
        )
        == 1
    )
    assert pipeline.rows("select transaction_id from silver.sales order by 1") == [("T1",), ("T3",)]
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home, quiet=True) == []
