"""How numbers are written, and that the catalogue is whole."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from app import metrics
from app.cube import Filters
from app.metrics import BY_NAME, METRICS
from app.report import WHOLES, Tie
from etl.db import queries


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0"),
        ("0.005", "$0.01"),
        ("5.25", "$5.25"),
        ("89.5", "$89.50"),
        ("99.996", "$100"),
        ("898.36", "$898"),
        ("999.49", "$999"),
        ("999.50", "$1K"),
        ("1000", "$1K"),
        ("1049", "$1.05K"),
        ("60210", "$60.2K"),
        ("601901.23", "$602K"),
        ("999499.99", "$999K"),
        ("999500", "$1M"),
        ("1234567", "$1.23M"),
        ("12345678901", "$12.3B"),
        ("1234567890123", "$1,230B"),
        ("99999999999999.99", "$100,000B"),
        ("-602000", "-$602K"),
        ("-0.001", "$0"),
    ],
)
def test_money_has_three_digits_and_an_automatic_unit(amount: str, text: str) -> None:
    assert metrics.format_value(BY_NAME["total_sales"], Decimal(amount)) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [("601901.23", "$601,901.23"), ("0.005", "$0.01"), ("-12", "-$12.00"), ("-0.001", "$0.00")],
)
def test_exact_money_has_every_cent(amount: str, text: str) -> None:
    assert metrics.exact_money(Decimal(amount)) == text


def test_counts_are_whole_and_never_shortened() -> None:
    assert metrics.format_value(BY_NAME["customers"], 99) == "99"
    assert metrics.format_value(BY_NAME["transactions"], 1_234_567) == "1,234,567"
    assert metrics.format_exact(BY_NAME["transactions"], 1_234_567) == "1,234,567"


def test_an_average_of_nothing_is_a_dash() -> None:
    assert metrics.format_value(BY_NAME["average_sale"], None) == "–"
    assert metrics.format_exact(BY_NAME["average_sale"], None) == "–"


def test_every_metric_is_defined_once() -> None:
    assert len(BY_NAME) == len(METRICS) == 8
    for metric in METRICS:
        assert metric.sql.lower().count("select") >= 1
        assert metric.dax
        assert metric.description.endswith(".")
        assert queries.sentence("queries/metrics", metric.name)
    assert {metric.name for metric in METRICS if not metric.is_sliced} == {
        "customers",
        "loyalty_points",
    }
    assert set(WHOLES.values()) <= set(BY_NAME)


def test_filters_are_a_key_of_a_cache() -> None:
    one = Filters(regions=("North",), start=dt.date(2023, 1, 1))
    same = Filters(regions=("North",), start=dt.date(2023, 1, 1))
    assert {one: 1}[same] == 1
    assert one != Filters(regions=("North",), start=dt.date(2023, 1, 2))


def test_a_tie_holds_to_the_cent() -> None:
    assert Tie(parts=Decimal("10.00"), whole=Decimal(10)).holds
    assert not Tie(parts=Decimal("10.00"), whole=Decimal("10.01")).holds


def test_every_analytical_query_says_what_it_answers() -> None:
    named = queries.load("queries/analytics")
    assert set(WHOLES) <= set(named)
    for name in named:
        assert "?" in queries.sentence("queries/analytics", name)
