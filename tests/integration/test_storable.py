"""Whatever rules are switched off, a record that no column can hold does not break the load."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from etl import datasets, storable, validate
from etl.errors import RevenueError
from etl.model import Column
from etl.normalise import number
from tests.conftest import Pipeline
from tests.integration.test_actions import sale
from tests.invariants import broken
from tests.shipped_rules import shipped_again

SALES = datasets.get("sales")
ODD: list[Any] = [
    None,
    "",
    "x",
    True,
    [],
    {"a": 1},
    "\x00",
    "\ud800",
    "C1\x00",
    "x" * 300,
    "é" * 101,
]
ODD += [-1, 0, 0.5, "1e400", "-1e400", 2147483647, 2147483648, 9e18, 1e30, "9999999999.99"]
ODD += ["9999999999.995", "9999999999.9949999999999", "-0.004", "-0.005", "10%", "110%", "1.00004"]
ODD += [
    "1.00005",
    "-0.00004",
    "-0.00005",
    "2150-01-01",
    "1899-12-31",
    "2023-02-30",
    "c" + "1" * 200,
]
LARGE = {"quantity": 2147483647, "price": "9999999999.99"}
# as received the total stays below the limit, as stored it does not
ROUNDED = {"quantity": 1_000_000_000, "price": 1_000_000_000, "discount": "0.99994999"}


@pytest.fixture(autouse=True)
def put_back(pipeline: Pipeline) -> Iterator[None]:
    with shipped_again(pipeline.engine):
        yield


def sales() -> list[Any]:
    records: list[Any] = [sale(1), sale(2, **LARGE), sale(3, **ROUNDED), 5, {}]
    number_ = 10
    for column in SALES.column_names:
        for odd in ODD:
            number_ += 1
            records.append({**sale(number_), column: odd})
    return records


def customers() -> list[Any]:
    usual = {"customer_name": "Ada", "email": "a@b.cd", "region": "north", "loyalty_points": 1}
    records: list[Any] = [5, {}]
    for column in datasets.get("customers").column_names:
        for odd in ODD:
            records.append({"customer_id": f"C{len(records)}", **usual, column: odd})
    return records


def switch_off(pipeline: Pipeline, dataset: str, code: str | None) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "update dq.rule set active = code <> coalesce(:code, code), origin = 'operator', "
                "version = version + 1 where dataset = :dataset"
            ),
            {"dataset": dataset, "code": code},
        )


@pytest.mark.parametrize("dataset", ["sales", "customers"])
def test_every_rule_switched_off_in_turn_breaks_no_load(pipeline: Pipeline, dataset: str) -> None:
    records = {"sales": sales, "customers": customers}[dataset]()
    pipeline.land("all.json", records)
    assert pipeline.run(dataset)["status"] == "warned"
    shipped = datasets.get(dataset).rules
    codes = [rule.code for rule in shipped if rule.severity == "reject"]
    for code in [*codes, None]:  # None: every rule at once
        switch_off(pipeline, dataset, code)
        run = pipeline.run(dataset, is_full=True)
        assert run["status"] in {"warned", "succeeded"}, (code, run["reason"])
        assert run["is_balanced"], code
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home) == []
    built_in = pipeline.rows(
        "select dq_errors from dq.quarantine where dq_errors like '%cannot be%'"
    )
    assert built_in
    # a first load, not only one of batches that were judged before
    for record in records:
        if isinstance(record, dict) and record:
            record["region"] = record.get("region") or "changed"
    pipeline.land("again.json", records)
    assert pipeline.run(dataset)["status"] in {"warned", "succeeded"}
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home) == []


def reasons(*records: Any, off: tuple[str, ...] = ()) -> list[str | None]:
    rules = [rule for rule in SALES.rules if off and rule.code not in off]
    texts = [json.dumps(record).encode() for record in records]
    found: list[str | None] = validate.judge(texts, SALES, rules).dq_errors.to_pylist()
    return found


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"price": None}, "price cannot be stored"),
        ({"price": -1, "quantity": 0}, "price cannot be stored; quantity cannot be stored"),
        ({"price": "-0.004"}, None),
        ({"price": "-0.005"}, "price cannot be stored"),
        ({"price": "9999999999.994"}, None),
        ({"price": "9999999999.995"}, "price cannot be stored"),
        ({"discount": "1.00004"}, None),
        ({"discount": "1.00005"}, "discount cannot be stored"),
        ({"quantity": 2147483648}, "quantity cannot be stored"),
        ({"quantity": 1.5}, "quantity cannot be stored"),
        ({"region": "x" * 101}, "region cannot be stored"),
        ({"region": "é" * 100}, None),
        ({"category": "a\x00"}, "category cannot be stored"),
        ({"category": "a\ud800"}, "category cannot be stored"),
        ({"date": "soon"}, "date cannot be stored"),
        ({"transaction_id": None}, "transaction_id cannot be stored"),
        (LARGE, "total_value too large: it cannot be stored"),
        (ROUNDED, "total_value too large: it cannot be stored"),
    ],
)
def test_without_rules_the_columns_decide(changes: dict[str, Any], reason: str | None) -> None:
    assert reasons(sale(1), {**sale(2), **changes}) == [None, reason]


def test_a_rule_speaks_before_the_columns() -> None:
    assert reasons({**sale(1), "price": -1, "quantity": 0}, off=("price_invalid",)) == [
        "Invalid quantity"
    ]


def column(**changes: Any) -> Column:
    values = {"name": "n", "type": "integer", "comment": "c", "normalise": number(2), **changes}
    return Column(**values)


def test_limits_come_from_type_and_check() -> None:
    found = storable.limits(column(type="numeric(5, 2)", check="n between -1 and 2.5 and n <> 0"))
    assert (found.scale, found.length) == (2, None)
    for value, fits in (("2.504", True), ("2.505", False), ("-1", True), ("0.004", False)):
        assert found.hold(Decimal(value)) is fits
    with pytest.raises(RevenueError, match="the check of n is not understood"):
        storable.limits(column(check="n % 2 = 0"))
