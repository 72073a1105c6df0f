"""Groups of causes are exact whatever happens, and one operation repairs a whole group."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text

from app.actions import causes as actions
from app.actions import repairs
from app.auth import ForbiddenError, Role
from etl import datasets, patterns, rules, validate
from etl.causes import Group, Operation, propose
from etl.db import queries
from etl.received import receive
from etl.repair import RepairError
from etl.triage_states import UNFINISHED
from tests.conftest import Pipeline
from tests.integration.test_repairs import (
    content,
    desk,
    edited,
    figures,
    items,
    sale,
    stricter_quantity,
    well,
    work,
)

ALL: dict[str, Any] = {
    "dataset": None,
    "rule_id": None,
    "column_name": None,
    "pattern": None,
    "limit": 1000,
    "offset": 0,
}
ABSOLUTE = Operation(kind="absolute")


def groups(pipeline: Pipeline, **filters: Any) -> list[dict[str, Any]]:
    with pipeline.engine.connect() as connection:
        return queries.rows(connection, "queries/causes.groups", **{**ALL, **filters})


def group(pipeline: Pipeline, pattern: str) -> Group:
    (found,) = groups(pipeline, pattern=pattern)
    return Group(
        dataset=found["dataset"],
        rule_id=found["rule_id"],
        column=found["column_name"],
        pattern=found["pattern"],
    )


def recomputed(pipeline: Pipeline) -> Counter[tuple[Any, ...]]:
    """Judge every open record of raw anew, by the rules of now."""
    sales = datasets.get("sales")
    with pipeline.engine.connect() as connection:
        active = rules.active(connection, "sales")
    found: Counter[tuple[Any, ...]] = Counter()
    records = [
        record.encode()
        for record, status in pipeline.rows(
            "select r.record, q.status from dq.quarantine q join raw.sales_raw r "
            "using (batch_id, position)"
        )
        if status in UNFINISHED
    ]
    received = receive(records, sales)
    shapes = {
        name: patterns.patterns(received.text[name], received.not_scalar[name]).to_pylist()
        for name in sales.column_names
    }
    broken = validate.judge_received(received, sales, active).broken
    for index, record in zip(*broken, strict=True):
        rule = active[index]
        if rule.severity == "reject":
            found[(rule.rule_id, rule.column, shapes[rule.column][record])] += 1
    return found


def require_exact(pipeline: Pipeline) -> None:
    kept = {
        (row["rule_id"], row["column_name"], row["pattern"]): row["records"]
        for row in groups(pipeline)
    }
    assert kept == dict(recomputed(pipeline))


WRONG: list[dict[str, Any]] = [
    {"quantity": -3},
    {"quantity": "-12"},
    {"quantity": "many"},
    {"quantity": None},
    {"quantity": " "},
    {"quantity": [1]},
    {"date": "31/31/2023"},
    {"date": "never", "quantity": 0},
    {"discount": 7},
    {"region": {"a": 1}},
    {"customer_id": ""},
]


def test_groups_are_exact_whatever_happens(pipeline: Pipeline) -> None:
    chance = random.Random(5)

    def batch(first: int) -> list[dict[str, Any]]:
        wrong = [sale(first + n, **chance.choice(WRONG)) for n in range(40)]
        return [*wrong, sale(first + 50)]

    pipeline.land("1.json", batch(0))
    pipeline.run("sales")
    pipeline.land("2.json", batch(20))
    pipeline.run("sales")
    require_exact(pipeline)
    pipeline.land("3.json", [sale(n) for n in range(5, 12)])  # closes what they replace
    pipeline.run("sales")
    require_exact(pipeline)
    negative = group(pipeline, "-9")
    shown = actions.preview(desk(pipeline), negative, ABSOLUTE)
    require_exact(pipeline)
    done = actions.apply(desk(pipeline), shown.proposal, reason="sign lost")
    work(pipeline)
    assert groups(pipeline, pattern="-9") == []
    require_exact(pipeline)
    with stricter_quantity(pipeline):
        pipeline.run("sales", is_full=True)
        require_exact(pipeline)
    pipeline.run("sales", is_full=True)
    require_exact(pipeline)
    repairs.take_back(desk(pipeline), done.repair_id, reason="they were returns")
    work(pipeline)
    assert len(groups(pipeline, pattern="-9")) == 1
    require_exact(pipeline)
    # a repair that does not help: the item stays, its copy is no new one
    item = items(pipeline, where="q.status = 'open'")[0]
    repairs.rehearse(desk(pipeline), "sales", [edited(item, quantity="still wrong")])
    require_exact(pipeline)
    with pipeline.engine.begin() as connection:
        kept = connection.execute(text("select * from dq.cause order by 1, 2, 3")).all()
        connection.execute(text("delete from dq.cause"))
        assert patterns.fill(connection) == len(kept)
        assert patterns.fill(connection) == 0
        assert connection.execute(text("select * from dq.cause order by 1, 2, 3")).all() == kept


def test_123_negative_quantities_are_repaired_as_one_group(pipeline: Pipeline) -> None:
    bad = [sale(n, quantity=-(n % 14) - 1) for n in range(123)]
    pipeline.land("bad.json", [*bad, sale(900), sale(901, quantity="x")])
    pipeline.run("sales")
    before, money = content(pipeline), figures(pipeline)
    largest = groups(pipeline)[0]
    assert (largest["message"], largest["pattern"], largest["records"]) == (
        "Invalid quantity",
        "-9",
        123,
    )
    worth = sum((n % 14 + 1) * 10.5 for n in range(123))
    assert (float(largest["worth"]), largest["worth_records"]) == (worth, 123)
    assert 1 <= len(largest["examples"]) <= 3
    negative = group(pipeline, "-9")
    shown = actions.preview(desk(pipeline), negative, ABSOLUTE)
    assert len(shown.proposal.edits) == 123
    assert ("-1", "1") in shown.proposal.changes
    assert (shown.rehearsal.inserted, shown.rehearsal.invalid) == (123, ())
    assert content(pipeline) == before

    done = actions.apply(
        desk(pipeline), shown.proposal, reason="sign lost", recipe_name="Negative quantity"
    )
    with pytest.raises(RepairError, match="waits for the run"):
        actions.preview(desk(pipeline), negative, ABSOLUTE)
    with pytest.raises(RepairError, match="repaired already"):
        actions.apply(desk(pipeline), shown.proposal, reason="twice")
    work(pipeline)
    assert float(figures(pipeline)["total_sales"] - money["total_sales"]) == worth
    assert figures(pipeline) == shown.rehearsal.after
    assert [row["pattern"] for row in groups(pipeline)] == ["a"]
    assert pipeline.rows(
        "select p.operation, r.name from dq.repair p join dq.recipe r using (recipe_id)"
    ) == [("take the minus sign off quantity", "Negative quantity")]
    assert well(pipeline) == []
    repairs.take_back(desk(pipeline), done.repair_id, reason="they were returns")
    work(pipeline)
    assert (content(pipeline), figures(pipeline)) == (before, money)
    assert well(pipeline) == []


def test_a_recipe_is_proposed_until_it_is_switched_off(pipeline: Pipeline) -> None:
    pipeline.land("1.json", [sale(1, quantity=-1), sale(2, quantity="x")])
    pipeline.run("sales")
    negative = group(pipeline, "-9")
    recipe = actions.save_recipe(desk(pipeline), negative, ABSOLUTE, name=" Sign lost ")
    assert {row["pattern"]: row["recipe"] for row in groups(pipeline)} == {
        "-9": "Sign lost",
        "a": None,
    }
    pipeline.land("2.json", [sale(3, quantity=-7)])
    pipeline.run("sales")
    # proposed, never applied by itself
    assert [(row["records"], row["recipe_id"]) for row in groups(pipeline, pattern="-9")] == [
        (2, recipe)
    ]
    with pytest.raises(RepairError, match="already"):
        actions.save_recipe(desk(pipeline), negative, ABSOLUTE, name="Sign lost")
    with pytest.raises(RepairError, match="needs a name"):
        actions.save_recipe(desk(pipeline), negative, ABSOLUTE, name=" ")
    actions.switch_recipe(desk(pipeline), recipe, active=False)
    assert groups(pipeline, pattern="-9")[0]["recipe"] is None
    with pytest.raises(RepairError, match="no recipe 0"):
        actions.switch_recipe(desk(pipeline), 0, active=False)
    assert pipeline.rows(
        "select action, before->>'active', after->>'active' from etl.audit "
        "where action like 'recipe.%' order by 1"
    ) == [("recipe.save", None, None), ("recipe.switch", "true", "false")]


def test_a_proposal_leaves_out_what_the_operation_does_not_change(pipeline: Pipeline) -> None:
    pipeline.land(
        "1.json", [sale(n, quantity=word) for n, word in enumerate(["one", "two", "six"])]
    )
    pipeline.run("sales")
    words = group(pipeline, "a+")
    numbers = Operation(kind="map", parameters={"values": {"one": "1", "two": "2"}})
    with pipeline.engine.connect() as connection:
        proposal = propose(connection, words, numbers)
        assert [json.loads(edit.record)["quantity"] for edit in proposal.edits] == ["1", "2"]
        assert (proposal.unchanged, proposal.waiting, proposal.beyond) == (1, 0, 0)
        assert propose(connection, words, numbers, limit=2).beyond == 1
    with pytest.raises(RepairError, match="changes no record"):
        actions.preview(desk(pipeline), words, ABSOLUTE)
    with pytest.raises(RepairError, match="needs a reason"):
        actions.apply(desk(pipeline), proposal, reason=" ", recipe_name="Words")
    assert pipeline.value("select count(*) from dq.recipe") == 0


def test_only_a_steward_repairs_by_cause(pipeline: Pipeline) -> None:
    pipeline.land("1.json", [sale(1, quantity=-1)])
    pipeline.run("sales")
    negative = group(pipeline, "-9")
    proposal = actions.propose(desk(pipeline), negative, ABSOLUTE)
    operator = desk(pipeline, Role.OPERATOR)
    for act in (
        lambda: actions.propose(operator, negative, ABSOLUTE),
        lambda: actions.apply(operator, proposal, reason="x"),
        lambda: actions.save_recipe(operator, negative, ABSOLUTE, name="x"),
        lambda: actions.switch_recipe(operator, 1, active=False),
    ):
        with pytest.raises(ForbiddenError):
            act()
    assert pipeline.value("select count(*) from dq.repair") == 0
