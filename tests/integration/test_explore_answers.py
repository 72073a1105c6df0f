"""Answers of Explore against plain Python over the same sales."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from app import explore, explore_table
from app.cube import Filters
from app.explore import Answer, ExploreError, Mark, Question
from app.metrics import DIMENSIONS, MEASURE_BY_NAME, MEASURES, METRICS

CENT = Decimal("0.01")
REGIONS = ("East", "North", "Unknown", "it's <b>")
PRODUCTS = {  # key -> name, category
    "P1": ("Laptop", "Electronics"),
    "P2": ("Desk", "Furniture"),
    "P3": ("Desk", "Unknown"),  # another product, the same name
    "P4": ("100% %(x)s :start", "Furniture"),
}
CUSTOMERS = {f"C{n}": (REGIONS[n % 4], n > 9) for n in range(12)}  # region, is inferred


@dataclass(frozen=True)
class Sale:
    customer: str
    product: str
    quantity: int
    price: Decimal
    discount: Decimal
    region: str
    day: dt.date

    @property
    def value(self) -> Decimal:
        return (self.quantity * self.price * (1 - self.discount)).quantize(CENT, ROUND_HALF_UP)


def sales() -> list[Sale]:
    chance = random.Random(5)
    found = [
        Sale(
            chance.choice(list(CUSTOMERS)),
            chance.choice(list(PRODUCTS)),
            chance.randint(1, 9),
            Decimal(chance.randint(0, 60_000)) / 100,
            Decimal(chance.choice(["0", "0.05", "0.1", "0.1001", "0.2", "0.5", "1"])),
            chance.choice(REGIONS),
            dt.date(2022, 12, 1) + dt.timedelta(days=chance.randrange(500)),
        )
        for _ in range(220)
    ]
    return found + [
        Sale("C1", "P1", 1, Decimal(1000), Decimal(0), "North", dt.date.fromisoformat(day))
        for day in ("2024-02-29", "2023-02-28", "2023-12-31", "2024-01-01")
    ]


SALES = sales()


@pytest.fixture(scope="module")
def connection(engine: Engine) -> Iterator[Connection]:
    """The sales in a transaction that is never committed."""
    with engine.connect() as opened:
        opened.execute(
            text(
                "insert into gold.customers (customer_id, customer_name, region, is_inferred,"
                " insert_date, update_date) values (:id, 'x', :region, :inferred, now(), now())"
            ),
            [{"id": id_, "region": r, "inferred": i} for id_, (r, i) in CUSTOMERS.items()],
        )
        opened.execute(
            text(
                "insert into gold.dim_date values ('2024-12-31', 2024, 4, 12, 31, '2024-12-01',"
                " 'December', 'Dec 2024', 2, 'Tuesday')"
            )
        )
        opened.execute(
            text("insert into gold.products values (:id, :name, :category, now(), now())"),
            [{"id": id_, "name": n, "category": c} for id_, (n, c) in PRODUCTS.items()],
        )
        opened.execute(
            text(
                "insert into gold.transactions (transaction_id, customer_id, product_id, quantity,"
                " price, discount, region, transaction_datetime, insert_date, update_date) values"
                " (:id, :customer, :product, :quantity, :price, :discount, :region, :day,"
                " now(), now())"
            ),
            [{"id": f"T{place}", **vars(sale)} for place, sale in enumerate(SALES)],
        )
        yield opened
        opened.rollback()


def band(sale: Sale) -> int:
    return next(
        (n for n, most in enumerate(("0", "0.1", "0.2"), 1) if sale.discount <= Decimal(most)), 4
    )


KEYS: dict[str, Callable[[Sale], Any]] = {
    "region": lambda sale: sale.region,
    "home_region": lambda sale: CUSTOMERS[sale.customer][0],
    "category": lambda sale: PRODUCTS[sale.product][1],
    "product": lambda sale: PRODUCTS[sale.product][0],
    "customer": lambda sale: sale.customer,
    "customer_record": lambda sale: 2 if CUSTOMERS[sale.customer][1] else 1,
    "discount_band": band,
    "year": lambda sale: sale.day.replace(month=1, day=1),
    "quarter": lambda sale: sale.day.replace(month=(sale.day.month - 1) // 3 * 3 + 1, day=1),
    "month": lambda sale: sale.day.replace(day=1),
    "week": lambda sale: sale.day - dt.timedelta(days=sale.day.weekday()),
    "day": lambda sale: sale.day,
    "calendar_month": lambda sale: sale.day.month,
    "weekday": lambda sale: sale.day.isoweekday(),
}
VALUES: dict[str, Callable[[Sequence[Sale]], Any]] = {
    "total_sales": lambda some: sum((sale.value for sale in some), Decimal()),
    "average_sale": lambda some: (
        (sum(sale.value for sale in some) / len(some)).quantize(CENT, ROUND_HALF_UP)
        if some
        else None
    ),
    "high_value_transactions": lambda some: sum(sale.value > 1000 for sale in some),
    "high_value_sales": lambda some: sum((s.value for s in some if s.value > 1000), Decimal()),
    "transactions": len,
    "pieces": lambda some: sum(sale.quantity for sale in some),
    "gross_sales": lambda some: sum((sale.quantity * sale.price for sale in some), Decimal()),
    "discount_given": lambda some: sum(
        (sale.quantity * sale.price - sale.value for sale in some), Decimal()
    ),
    "buying_customers": lambda some: len({sale.customer for sale in some}),
    "products_sold": lambda some: len({sale.product for sale in some}),
    "largest_sale": lambda some: max((sale.value for sale in some), default=None),
}
ALL = tuple(VALUES)
FOURS = [ALL[place : place + 4] for place in range(0, len(ALL), 4)]


def test_everything_of_the_catalogue_is_tested() -> None:
    assert set(KEYS) == {dimension.name for dimension in DIMENSIONS}
    assert set(VALUES) == {measure.name for measure in MEASURES}


def test_the_expressions_are_the_definitions(connection: Connection) -> None:
    last = connection.execute(text("select max(date) from gold.dim_date")).scalar()
    for metric in METRICS:
        table = "gold.transactions as t" if metric.is_sliced else "gold.customers as c"
        defined = connection.execute(text(metric.sql)).scalar_one()
        bound = {"ytd_start": last and last.replace(month=1, day=1), "ytd_end": last}
        expressed = text(f"select {metric.expression} from {table}")
        assert connection.execute(expressed, bound).scalar_one() == defined, metric.name
    for measure in MEASURES:
        assert connection.execute(text(measure.sql)).scalar_one() == VALUES[measure.name](SALES)


def chosen(filters: Filters, some: Sequence[Sale] = SALES) -> list[Sale]:
    return [
        sale
        for sale in some
        if (not filters.regions or sale.region in filters.regions)
        and (not filters.products or PRODUCTS[sale.product][0] in filters.products)
        and (not filters.categories or PRODUCTS[sale.product][1] in filters.categories)
        and (filters.start is None or sale.day >= filters.start)
        and (filters.end is None or sale.day <= filters.end)
        and (not filters.known_region_only or CUSTOMERS[sale.customer][0] != "Unknown")
    ]


def grouped(some: Sequence[Sale], dimensions: Sequence[str]) -> dict[tuple[Any, Any], list[Sale]]:
    """Return the sales of each group and of each total."""
    groups: dict[tuple[Any, Any], list[Sale]] = defaultdict(list)
    groups[Mark.TOTAL, Mark.TOTAL] = []
    for sale in some:
        keys = [[KEYS[name](sale), Mark.TOTAL] for name in dimensions]
        keys += [[Mark.TOTAL]] * (2 - len(keys))
        for place in itertools.product(*keys):
            groups[place].append(sale)
    return groups


def assert_equal(answer: Answer, some: Sequence[Sale]) -> None:
    expected = grouped(some, [dimension.name for dimension in answer.question.dimensions])
    assert set(answer.groups) == set(expected)
    for place, group in answer.groups.items():
        for name, value in group.values.items():
            assert value == VALUES[name](expected[place]), (place, name)


@pytest.mark.parametrize("rows", [None, *KEYS])
def test_every_measure_by_every_dimension(connection: Connection, rows: str | None) -> None:
    for measures in FOURS:
        assert_equal(explore.answer(connection, Question(measures=measures, rows=rows)), SALES)


@pytest.mark.parametrize("rows", KEYS)
def test_every_measure_by_every_two_dimensions(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    monkeypatch.setattr(explore, "MOST_GROUPS", 100_000)
    for place, columns in enumerate(name for name in KEYS if name != rows):
        question = Question(measures=FOURS[place % len(FOURS)], rows=rows, columns=columns)
        assert_equal(explore.answer(connection, question), SALES)


def random_filters(chance: random.Random) -> Filters:
    first = dt.date(2022, 11, 1) + dt.timedelta(days=chance.randrange(500))
    return Filters(
        regions=tuple(chance.sample(REGIONS, chance.choice([0, 0, 1, 2]))),
        products=tuple(chance.sample(["Laptop", "Desk", "Nothing"], chance.choice([0, 0, 1]))),
        categories=tuple(chance.sample(["Furniture", "Unknown"], chance.choice([0, 0, 1]))),
        start=chance.choice([None, first]),
        end=chance.choice([None, first + dt.timedelta(days=chance.randrange(300))]),
        known_region_only=chance.random() < 0.2,
    )


def test_filters_and_orders(connection: Connection) -> None:
    chance = random.Random(7)
    for _ in range(60):
        question = Question(
            measures=tuple(chance.sample(ALL, chance.randint(1, 4))),
            rows=chance.choice(list(KEYS)),
            filters=random_filters(chance),
            order=chance.choice(["largest", "smallest", "name"]),
        )
        answer = explore.answer(connection, question)
        assert_equal(answer, chosen(question.filters))
        first = [answer.value(row, Mark.TOTAL, question.measures[0]) or 0 for row in answer.rows]
        if question.order == "largest":
            assert first == sorted(first, reverse=True)
        elif question.order == "smallest":
            assert first == sorted(first)
        else:
            labels = [row.casefold() if isinstance(row, str) else row for row in answer.rows]
            assert labels == sorted(labels)


@pytest.mark.parametrize("order", ["largest", "smallest"])
def test_the_top_and_all_others_make_up_the_total(connection: Connection, order: str) -> None:
    for rows, columns in itertools.product(KEYS, (None, "region", "month")):
        if rows == columns:
            continue
        measures = ("transactions", *ALL[:1], "buying_customers", "average_sale")
        question = Question(measures=measures, rows=rows, columns=columns, top=2, order=order)
        answer = explore.answer(connection, question)
        sizes = defaultdict(int)
        for sale in SALES:
            sizes[KEYS[rows](sale)] += 1
        kept = [row for row in answer.rows if row is not Mark.OTHERS]
        assert len(kept) == 2
        best = sorted(sizes.values(), reverse=order == "largest")[:2]
        assert [sizes[key] for key in kept] == best
        assert answer.other_rows == len(sizes) - 2
        assert not answer.is_cut
        others = [sale for sale in SALES if KEYS[rows](sale) not in kept]
        assert (Mark.OTHERS in answer.rows) is bool(others)
        for measure in measures:
            # of averages and distinct counts too: from the sales, not from the groups
            if others:
                assert answer.value(Mark.OTHERS, Mark.TOTAL, measure) == VALUES[measure](others)
            if MEASURE_BY_NAME[measure].is_additive:
                for column in (*answer.columns, Mark.TOTAL):
                    parts = [answer.value(row, column, measure) for row in answer.rows]
                    assert sum(parts) == answer.value(Mark.TOTAL, column, measure)


def test_too_many_groups_are_cut_and_still_sum_up(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "MOST_GROUPS", 30)
    for rows, columns in (("day", None), ("customer", "day"), ("day", "region")):
        question = Question(measures=("total_sales",), rows=rows, columns=columns)
        answer = explore.answer(connection, question)
        assert answer.is_cut
        cells = [place for place in answer.groups if Mark.TOTAL not in place]
        assert len(cells) <= 30 + len(answer.rows) + len(answer.columns)
        total = VALUES["total_sales"](SALES)
        assert sum(answer.value(row, Mark.TOTAL, "total_sales") for row in answer.rows) == total
        if columns:
            assert sum(answer.value(*place, "total_sales") for place in cells) == total


def shifted(sale: Sale, comparison: str, days: int) -> Sale:
    """Return a sale of the compared period on the day it stands beside."""
    if comparison == "period":
        return replace(sale, day=sale.day + dt.timedelta(days=days))
    try:
        return replace(sale, day=sale.day.replace(year=sale.day.year + 1))
    except ValueError:
        return replace(sale, day=dt.date(sale.day.year + 1, 2, 28))


@pytest.mark.parametrize("comparison", ["period", "year"])
@pytest.mark.parametrize("top", [None, 2])
def test_a_comparison_puts_the_same_days_side_by_side(
    connection: Connection, comparison: str, top: int | None
) -> None:
    for start, end in (("2023-12-01", "2024-02-29"), ("2024-02-01", "2024-02-29")):
        filters = Filters(start=dt.date.fromisoformat(start), end=dt.date.fromisoformat(end))
        days = (filters.end - filters.start).days + 1
        for rows, key in KEYS.items():
            question = Question(
                measures=("total_sales", "buying_customers"),
                rows=rows,
                filters=filters,
                comparison=comparison,
                top=top,
            )
            answer = explore.answer(connection, question)
            first, last = question.compared_period
            earlier = [sale for sale in SALES if first <= sale.day <= last]
            if next(d for d in DIMENSIONS if d.name == rows).is_chronological:
                earlier = [shifted(sale, comparison, days) for sale in earlier]
            now, before = chosen(filters), earlier
            for row in (*answer.rows, Mark.TOTAL):
                for measure in question.measures:
                    for some, value in ((now, answer.value), (before, answer.before)):
                        own = [
                            sale
                            for sale in some
                            if row is Mark.TOTAL
                            or key(sale) == row
                            or (row is Mark.OTHERS and key(sale) not in answer.rows)
                        ]
                        assert value(row, Mark.TOTAL, measure) == VALUES[measure](own)


def test_a_table_says_how_much_changed(connection: Connection) -> None:
    filters = Filters(start=dt.date(2024, 2, 1), end=dt.date(2024, 2, 29))
    question = Question(measures=("pieces",), rows="region", filters=filters, comparison="year")
    shown = explore_table.table(explore.answer(connection, question))
    assert [column.title for column in shown.columns] == [
        "Region",
        "Pieces",
        "Pieces, a year before",
        "Pieces, change",
        "Pieces, change %",
    ]
    for _, now, before, change, percent in shown.rows:
        assert change == now - before
        assert percent is None if before == 0 else percent == Decimal(change) * 100 / before
    assert shown.rows[-1][0] == "Total"


def test_what_takes_too_long_says_so(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = replace(MEASURE_BY_NAME["pieces"], expression="count(pg_sleep(0.1))")
    monkeypatch.setattr(explore, "_SECONDS", 0.05)
    monkeypatch.setattr(explore, "MEASURE_BY_NAME", {**MEASURE_BY_NAME, "pieces": slow})
    with connection.begin_nested() as attempt:
        with pytest.raises(ExploreError, match="narrow the period"):
            explore.answer(connection, Question(measures=("pieces",)))
        attempt.rollback()
