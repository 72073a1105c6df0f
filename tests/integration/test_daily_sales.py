"""The rollup follows what promotions change: arrivals, corrections, homes of customers, removals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Pipeline
from tests.invariants import ALWAYS

ROLLUP = "the rollup is what the sales of gold make up"


def sale(number: int, *, region: str, price: Any, quantity: int) -> dict[str, Any]:
    return {
        "transaction_id": f"T{number}",
        "customer_id": f"C{number}",
        "product": {"id": "P1", "name": "Desk", "category": "Office", "price": price},
        "quantity": quantity,
        "discount": 0,
        "region": region,
        "date": "2024-05-06",
    }


def customer(number: int, region: str | None) -> dict[str, Any]:
    return {"customer_id": f"C{number}", "customer_name": "Ada", "region": region}


def groups(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    """Return the rollup, after it was held against all sales."""
    assert pipeline.rows(ALWAYS[ROLLUP]) == []
    return pipeline.rows(
        "select region, home_region, transactions, pieces, sales, high_value_transactions, "
        "high_value_sales from gold.daily_sales order by transaction_date, region, home_region"
    )


@pytest.fixture
def loaded(pipeline: Pipeline) -> Pipeline:
    pipeline.land(
        "sales.json",
        [
            sale(1, quantity=2, price=500, region="North"),
            sale(2, quantity=1, price="1000.01", region="North"),
            sale(3, quantity=1, price=5, region="South"),
        ],
    )
    pipeline.run("sales")
    return pipeline


def test_a_sale_worth_exactly_1000_is_not_high_value(loaded: Pipeline) -> None:
    assert groups(loaded) == [
        ("North", "Unknown", 2, 3, Decimal("2000.01"), 1, Decimal("1000.01")),
        ("South", "Unknown", 1, 1, Decimal("5.00"), 0, Decimal("0.00")),
    ]


def test_a_correction_moves_a_sale_and_its_old_group_goes(loaded: Pipeline) -> None:
    loaded.land("more.json", [sale(3, quantity=3, price=5, region="North")])
    loaded.run("sales")
    assert groups(loaded) == [("North", "Unknown", 3, 6, Decimal("2015.01"), 1, Decimal("1000.01"))]


def test_sales_move_with_the_home_of_their_customer(loaded: Pipeline) -> None:
    for regions in (("East", None), ("West", "East"), (None, "East")):
        loaded.land(
            "customers.json", [customer(n, home) for n, home in enumerate(regions, start=1)]
        )
        loaded.run("customers")
        homes = {row[1] for row in groups(loaded)}
        assert homes == {home or "Unknown" for home in regions} | {"Unknown"}


def test_a_rollup_broken_by_hand_is_mended_by_a_full_run(loaded: Pipeline) -> None:
    before = groups(loaded)
    with loaded.engine.begin() as connection:
        connection.exec_driver_sql(
            "update gold.daily_sales set sales = 7, region = 'Nowhere' where region = 'North'"
        )
    assert loaded.rows(ALWAYS[ROLLUP]) != []
    version = loaded.value("select sum(data_version) from etl.dataset")
    loaded.run("sales", is_full=True)
    assert groups(loaded) == before
    # whoever holds the old numbers reads again
    assert loaded.value("select sum(data_version) from etl.dataset") > version


def test_what_was_promoted_again_changes_nothing(loaded: Pipeline) -> None:
    before = groups(loaded)
    version = loaded.value("select sum(data_version) from etl.dataset")
    loaded.run("sales", is_full=True)
    assert groups(loaded) == before
    assert loaded.value("select sum(data_version) from etl.dataset") == version
