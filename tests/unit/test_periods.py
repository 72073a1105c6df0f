"""Periods in words and what they are compared with; why sales changed."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import variance
from app.metrics import Row
from app.periods import Period


def period(text: str) -> Period:
    start, _, end = text.partition("/")
    return Period(start=dt.date.fromisoformat(start), end=dt.date.fromisoformat(end or start))


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ("2024-01-01/2024-12-31", "2024"),
        ("2023-01-01/2024-12-31", "2023 – 2024"),
        ("2024-03-01/2024-03-31", "Mar 2024"),
        ("2024-01-01/2024-03-31", "Jan – Mar 2024"),
        ("2023-11-01/2024-02-29", "Nov 2023 – Feb 2024"),
        ("2024-03-05", "5 Mar 2024"),
        ("2024-03-05/2024-04-06", "5 Mar – 6 Apr 2024"),
        ("2023-12-30/2024-01-02", "30 Dec 2023 – 2 Jan 2024"),
    ],
)
def test_a_period_in_words(days: str, words: str) -> None:
    assert period(days).words == words


@pytest.mark.parametrize(
    ("days", "before", "a_year_before"),
    [
        ("2024-03-01/2024-03-31", "2024-02-01/2024-02-29", "2023-03-01/2023-03-31"),
        ("2024-01-01/2024-03-31", "2023-10-01/2023-12-31", "2023-01-01/2023-03-31"),
        ("2024-01-01/2024-12-31", "2023-01-01/2023-12-31", "2023-01-01/2023-12-31"),
        ("2024-02-01/2024-02-29", "2024-01-01/2024-01-31", "2023-02-01/2023-02-28"),
        ("2023-02-01/2023-02-28", "2023-01-01/2023-01-31", "2022-02-01/2022-02-28"),
        ("2024-03-05/2024-03-14", "2024-02-24/2024-03-04", "2023-03-05/2023-03-14"),
        ("2024-02-29", "2024-02-28", "2023-02-28"),
    ],
)
def test_what_a_period_is_compared_with(days: str, before: str, a_year_before: str) -> None:
    assert period(days).before("previous") == period(before)
    assert period(days).before("year_before") == period(a_year_before)


def test_the_first_periods_of_the_calendar_have_one_before() -> None:
    for compare in ("previous", "year_before"):
        assert period("0001-01-01/0001-12-30").before(compare).start == dt.date.min  # type: ignore[arg-type]


def test_an_end_before_the_start_is_no_period() -> None:
    assert Period.within(dt.date(2024, 1, 2), dt.date(2024, 1, 1)) is None


# Why sales changed ----------------------------------------------------------------------

NOW, BEFORE = period("2024-02-01/2024-02-29"), period("2024-01-01/2024-01-31")


def products(**of: tuple[int, str]) -> list[Row]:
    return [
        {"product_name": name, "pieces": pieces, "sales": Decimal(sales)}
        for name, (pieces, sales) in of.items()
    ]


def explained(now: list[Row], before: list[Row]) -> Any:
    return variance.explain(NOW, now, BEFORE, before)


def test_more_pieces_at_the_same_price_are_volume() -> None:
    change = explained(products(Desk=(20, "2000")), products(Desk=(10, "1000")))
    assert (change.volume, change.price, change.mix) == (1000, 0, 0)
    assert (change.mover, change.moved) == ("Desk", 1000)


def test_the_same_pieces_at_another_price_are_price() -> None:
    change = explained(products(Desk=(10, "900")), products(Desk=(10, "1000")))
    assert (change.volume, change.price, change.mix) == (0, -100, 0)


def test_dearer_products_instead_of_cheap_ones_are_mix() -> None:
    change = explained(
        products(Desk=(2, "200"), Mouse=(0, "0"), Lamp=(8, "800")),
        products(Desk=(2, "200"), Mouse=(8, "80")),
    )
    assert (change.volume, change.price, change.mix) == (0, 0, 720)
    assert change.mover == "Lamp"


def test_a_period_without_sales_explains_nothing() -> None:
    assert explained(products(Desk=(1, "5")), []) is None
    assert explained([], products(Desk=(1, "5"))) is None


amounts = st.dictionaries(
    st.sampled_from("ABCDE"),
    st.tuples(st.integers(1, 10**6), st.decimals(0, 10**9, places=2)),
    min_size=1,
)


@given(amounts, amounts)
def test_volume_price_and_mix_make_up_the_change_to_the_cent(
    now: dict[str, tuple[int, Decimal]], before: dict[str, tuple[int, Decimal]]
) -> None:
    rows = [
        [{"product_name": n, "pieces": q, "sales": s} for n, (q, s) in one.items()]
        for one in (now, before)
    ]
    change = explained(*rows)
    assert change.volume + change.price + change.mix == change.difference
    assert change.difference == sum(s for _, s in now.values()) - sum(s for _, s in before.values())
