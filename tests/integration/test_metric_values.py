"""Every KPI and tile against plain Python over the same rows, in hundreds of filter contexts."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from app import report as reports
from app.cube import Database, Filters
from app.metrics import METRICS
from app.periods import Compare, Level, Period
from app.report import Picks
from etl import generate
from etl.db import queries
from tests.conftest import Pipeline
from tests.gold import gold_changed
from tests.oracle import Expected

CENT = Decimal("0.01")
REGIONS = ("East", "North", "South", "Unknown", "West", "<b>Bold</b>", "it's")
YEARS = (2021, 2022, 2023)  # the calendar; 2022 has no sales
CONTEXTS = 300


@dataclass(frozen=True, kw_only=True)
class Customer:
    customer_id: str
    region: str
    points: int
    is_inferred: bool = False


@dataclass(frozen=True, kw_only=True)
class Product:
    product_id: str
    name: str
    category: str


@dataclass(frozen=True, kw_only=True)
class Sale:
    transaction_id: str
    customer: Customer
    product: Product
    quantity: int
    price: Decimal
    discount: Decimal
    region: str
    moment: dt.datetime

    @property
    def value(self) -> Decimal:
        return (self.quantity * self.price * (1 - self.discount)).quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True, kw_only=True)
class Gold:
    customers: list[Customer]
    products: list[Product]
    sales: list[Sale]


CUSTOMERS = [
    *(
        Customer(customer_id=f"C{n:03}", region=REGIONS[n % 7], points=n * n % 977)
        for n in range(40)
    ),
    *(
        Customer(customer_id=f"C{n}", region="Unknown", points=0, is_inferred=True)
        for n in range(900, 905)
    ),
]
PRODUCTS = [
    Product(product_id="P01", name="Laptop", category="Electronics"),
    Product(product_id="P02", name="Mouse", category="Accessories"),
    Product(product_id="P03", name="Desk", category="Furniture"),
    Product(product_id="P04", name="Desk", category="Unknown"),  # another product, the same name
    Product(product_id="P05", name="Lamp", category="Furniture"),
    Product(product_id="P06", name="P06", category="Unknown"),
    Product(product_id="P07", name="Chair :red[x] $1", category="Furniture"),
    Product(product_id="P08", name="100% %(x)s", category="Accessories"),
]


def at(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(day)


def edge_sales() -> Iterator[Sale]:
    """Sales on every edge: 1,000.00 and 1,000.01, half a cent, free, first and last moments."""
    edges = [
        (10, "100.00", "0", "2023-01-01T00:00:00"),  # 1,000.00 is not high-value
        (1, "1000.01", "0", "2023-12-31T23:59:59"),
        (1, "2000.01", "0.5", "2021-12-31T23:59:59"),  # 1,000.005 becomes 1,000.01
        (1, "2000.00", "0.5", "2021-01-01T00:00:00"),
        (1, "0.05", "0.5", "2023-02-28T12:00:00"),  # 0.025 becomes 0.03
        (3, "0.00", "0", "2023-02-28T12:00:00"),
        (3, "19.99", "1", "2021-06-30T23:59:59"),
        (2147483647, "0.01", "0.9999", "2021-07-01T00:00:00"),
        (7, "9999999.99", "0.1234", "2023-07-01T00:00:00"),
    ]
    for place, (quantity, price, discount, moment) in enumerate(edges):
        yield Sale(
            transaction_id=f"E{place}",
            customer=CUSTOMERS[place * 5],
            product=PRODUCTS[place % len(PRODUCTS)],
            quantity=quantity,
            price=Decimal(price),
            discount=Decimal(discount),
            region=REGIONS[place % len(REGIONS)],
            moment=at(moment),
        )


def random_sales(chance: random.Random, count: int) -> Iterator[Sale]:
    for place in range(count):
        yield Sale(
            transaction_id=f"T{place}",
            customer=chance.choice(CUSTOMERS),
            product=chance.choice(PRODUCTS),
            quantity=chance.randint(1, 9),
            price=Decimal(chance.randint(0, 60_000)).scaleb(-2),
            discount=Decimal(chance.choice((0, 0, 500, 1000, 3333))).scaleb(-4),
            region=chance.choice(REGIONS),
            moment=at(f"{chance.choice((2021, 2023))}-01-01")
            + dt.timedelta(minutes=chance.randrange(365 * 24 * 60)),
        )


def fill(connection: Connection, gold: Gold) -> None:
    insert_customers = """
        insert into gold.customers
            (customer_id, customer_name, region, loyalty_points, is_inferred,
             insert_date, update_date)
        values (:customer_id, 'Name', :region, :points, :is_inferred, now(), now())
    """
    insert_products = """
        insert into gold.products (product_id, product_name, category, insert_date, update_date)
        values (:product_id, :name, :category, now(), now())
    """
    insert_calendar = """
        insert into gold.dim_date
        select
            d::date, extract(year from d), extract(quarter from d), extract(month from d),
            extract(day from d), date_trunc('month', d)::date, to_char(d, 'FMMonth'),
            to_char(d, 'Mon YYYY'), extract(isodow from d), to_char(d, 'FMDay')
        from generate_series(make_date(:first, 1, 1), make_date(:last, 12, 31), '1 day') as d
    """
    insert_sales = """
        insert into gold.transactions
            (transaction_id, customer_id, product_id, quantity, price, discount, region,
             transaction_datetime, insert_date, update_date)
        values
            (:transaction_id, :customer_id, :product_id, :quantity, :price, :discount, :region,
             :moment, now(), now())
    """
    connection.execute(text(insert_customers), [vars(customer) for customer in gold.customers])
    connection.execute(text(insert_products), [vars(product) for product in gold.products])
    connection.execute(text(insert_calendar), {"first": YEARS[0], "last": YEARS[-1]})
    connection.execute(
        text(insert_sales),
        [
            {
                **vars(sale),
                "customer_id": sale.customer.customer_id,
                "product_id": sale.product.product_id,
            }
            for sale in gold.sales
        ],
    )
    gold_changed(connection)


@pytest.fixture
def gold(clean: Engine) -> Gold:
    made = Gold(
        customers=CUSTOMERS,
        products=PRODUCTS,
        sales=[*edge_sales(), *random_sales(random.Random(7), 500)],
    )
    with clean.begin() as connection:
        fill(connection, made)
    return made


# The same numbers, in plain Python ------------------------------------------------------


def is_wanted(sale: Sale, filters: Filters) -> bool:
    return (
        (not filters.regions or sale.region in filters.regions)
        and (not filters.products or sale.product.name in filters.products)
        and (not filters.categories or sale.product.category in filters.categories)
        and (not filters.known_region_only or sale.customer.region != "Unknown")
        and (not filters.home_regions or sale.customer.region in filters.home_regions)
    )


def is_in_period(day: dt.date, filters: Filters) -> bool:
    return (filters.start is None or day >= filters.start) and (
        filters.end is None or day <= filters.end
    )


def year_to_date(filters: Filters) -> tuple[dt.date, dt.date] | None:
    first, last = dt.date(YEARS[0], 1, 1), dt.date(YEARS[-1], 12, 31)
    calendar = (first + dt.timedelta(days=n) for n in range((last - first).days + 1))
    inside = [day for day in calendar if is_in_period(day, filters)]
    return (dt.date(inside[-1].year, 1, 1), inside[-1]) if inside else None


def expected_kpis(gold: Gold, filters: Filters) -> dict[str, Any]:
    wanted = [sale for sale in gold.sales if is_wanted(sale, filters)]
    values = [sale.value for sale in wanted if is_in_period(sale.moment.date(), filters)]
    high = [value for value in values if value > 1000]
    ytd = year_to_date(filters)
    known = [
        customer
        for customer in gold.customers
        if not customer.is_inferred
        and (not filters.home_regions or customer.region in filters.home_regions)
    ]
    average = sum(values, Decimal()) / len(values) if values else None
    return {
        "customers": len(known),
        "total_sales": sum(values, Decimal()),
        "sales_ytd": sum(
            (s.value for s in wanted if ytd and ytd[0] <= s.moment.date() <= ytd[1]), Decimal()
        ),
        "average_sale": average.quantize(CENT, ROUND_HALF_UP) if average is not None else None,
        "high_value_transactions": len(high),
        "high_value_sales": sum(high, Decimal()),
        "transactions": len(values),
        "loyalty_points": sum(customer.points for customer in known),
    }


def expected_results(gold: Gold, filters: Filters) -> dict[str, list[dict[str, Any]]]:
    sales = [
        sale
        for sale in gold.sales
        if is_wanted(sale, filters) and is_in_period(sale.moment.date(), filters)
    ]
    high = [sale for sale in sales if sale.value > 1000]
    points: dict[str, list[int]] = defaultdict(list)
    for customer in gold.customers:
        if not customer.is_inferred:
            points[customer.region].append(customer.points)
    return {
        "sales_by_region": largest_first(
            sales, lambda s: s.region, "region", "total_sales", "transactions"
        ),
        "monthly_sales": sorted(
            largest_first(
                sales,
                lambda s: s.moment.date().replace(day=1),
                "month",
                "total_sales",
                "transactions",
            ),
            key=lambda row: row["month"],
        ),
        "loyalty_points_by_region": [
            {"region": region, "loyalty_points": sum(of), "customers": len(of)}
            for region, of in sorted(points.items(), key=lambda item: (-sum(item[1]), item[0]))
        ],
        "top_products": largest_first(
            sales, lambda s: s.product.name, "product_name", "total_sales", "transactions"
        )[:5],
        "high_value_sales_by_region": largest_first(
            high, lambda s: s.region, "region", "high_value_sales", "high_value_transactions"
        ),
    }


def largest_first(
    sales: list[Sale], by: Callable[[Sale], Any], label: str, amount: str, count: str
) -> list[dict[str, Any]]:
    groups: dict[Any, list[Decimal]] = defaultdict(list)
    for sale in sales:
        groups[by(sale)].append(sale.value)
    return [
        {label: key, amount: sum(values, Decimal()), count: len(values)}
        for key, values in sorted(groups.items(), key=lambda item: (-sum(item[1]), item[0]))
    ]


def contexts(chance: random.Random) -> Iterator[Filters]:
    """Yield no filter, the edges of the calendar, then random combinations."""
    yield Filters()
    yield Filters(known_region_only=True)
    for start, end in (
        ("2021-12-31", "2021-12-31"),
        ("2022-03-01", "2022-04-01"),  # a year without sales
        ("2023-12-31", None),
        (None, "2021-01-01"),
        ("2023-03-01", "2023-02-01"),  # the wrong way round
        ("1990-01-01", "1999-12-31"),  # before the calendar
        ("2030-01-01", None),  # after it
        ("1990-01-01", "2030-01-01"),
    ):
        yield Filters(
            start=dt.date.fromisoformat(start) if start else None,
            end=dt.date.fromisoformat(end) if end else None,
        )
    yield Filters(regions=("Nowhere",))
    yield Filters(products=("Desk",), categories=("Unknown",))
    names = [product.name for product in PRODUCTS]
    categories = [product.category for product in PRODUCTS]
    for _ in range(CONTEXTS):
        days = sorted(
            dt.date(2020, 12, 25) + dt.timedelta(days=chance.randrange(1120)) for _ in range(2)
        )
        yield Filters(
            regions=some(chance, REGIONS),
            products=some(chance, names),
            categories=some(chance, categories),
            start=chance.choice((None, None, days[0])),
            end=chance.choice((None, None, days[1])),
            known_region_only=chance.random() < 0.25,
        )


def some(chance: random.Random, choices: Any) -> tuple[str, ...]:
    count = min(len(choices), chance.choice((0, 0, 1, 2, 3)))
    return tuple(chance.sample(list(choices), count))


def test_every_number_equals_plain_python_and_ties_out(clean: Engine, gold: Gold) -> None:
    with clean.connect() as connection:
        for filters in contexts(random.Random(11)):
            report = reports.report(Database(connection), filters)
            assert report.kpis == expected_kpis(gold, filters), filters
            expected = expected_results(gold, filters)
            for name, rows in report.results.items():
                # text sorts as the database does; the amounts do not
                assert sorted(rows, key=repr) == sorted(expected[name], key=repr), filters
                amounts = [list(row.values())[1] for row in rows]
                assert name == "monthly_sales" or amounts == sorted(amounts, reverse=True)
            assert all(tie.holds for tie in report.ties.values()), filters
            ytd = year_to_date(filters)
            assert (report.ytd and (report.ytd.start, report.ytd.end)) == ytd


def picked_at_random(chance: random.Random, filters: Filters) -> Picks:
    """Return picks among what the filters let through, as the page keeps them."""
    month = dt.date(chance.choice(YEARS), chance.randint(1, 12), 1)
    is_outside = (filters.start and Period.of(month, "month").end < filters.start) or (
        filters.end and month > filters.end
    )
    return Picks(
        regions=some(chance, filters.regions or REGIONS),
        home_regions=some(chance, REGIONS),
        products=some(chance, filters.products or sorted({one.name for one in PRODUCTS})),
        categories=some(chance, filters.categories or sorted({one.category for one in PRODUCTS})),
        period=None if is_outside or chance.random() < 0.5 else Period.of(month, "month"),
    )


def test_picks_narrow_every_tile_but_those_of_their_own_dimension(
    clean: Engine, gold: Gold
) -> None:
    chance = random.Random(13)
    with clean.connect() as connection:
        source = Database(connection)
        for filters in contexts(random.Random(12)):
            picks = picked_at_random(chance, filters)
            report = reports.report(source, filters, picks=picks)

            def without(picks: Picks = picks, filters: Filters = filters, **gone: Any) -> Filters:
                return reports.narrowed(filters, dataclasses.replace(picks, **gone))

            assert report.kpis == expected_kpis(gold, without()), (filters, picks)
            for tile, others in (
                ("sales_by_region", without(regions=())),
                ("high_value_sales_by_region", without(regions=())),
                ("top_products", without(products=(), categories=())),
                ("monthly_sales", without(period=None)),
            ):
                expected = expected_results(gold, others)[tile]
                assert sorted(report.results[tile], key=repr) == sorted(expected, key=repr), tile
            assert all(tie.holds for tie in report.ties.values()), (filters, picks)


@pytest.mark.parametrize("level", ["year", "month", "day"])
def test_sales_over_time_make_up_the_total_at_every_level(
    clean: Engine, gold: Gold, level: Level
) -> None:
    with clean.connect() as connection:
        source = Database(connection)
        for filters in list(contexts(random.Random(14)))[:60]:
            report = reports.report(source, filters, level=level)
            expected: dict[dt.date, Decimal] = defaultdict(Decimal)
            for sale in gold.sales:
                day = sale.moment.date()
                if is_wanted(sale, filters) and is_in_period(day, filters):
                    first = {"year": day.replace(month=1, day=1), "month": day.replace(day=1)}
                    expected[first.get(level, day)] += sale.value
            assert {row["start"]: row["total_sales"] for row in report.trend} == expected
            assert report.ties["monthly_sales"].holds
            assert (
                sum((row["total_sales"] for row in report.categories), Decimal())
                == (report.kpis["total_sales"])
            )


@pytest.mark.parametrize("compare", ["previous", "year_before"])
def test_a_comparison_has_the_kpis_of_its_period(
    clean: Engine, gold: Gold, compare: Compare
) -> None:
    chance = random.Random(15)
    with clean.connect() as connection:
        source = Database(connection)
        for _ in range(40):
            first, last = sorted(
                dt.date(2021, 1, 1) + dt.timedelta(days=chance.randrange(1095)) for _ in range(2)
            )
            filters = Filters(start=first, end=last, regions=some(chance, REGIONS))
            report = reports.report(source, filters, compare=compare)
            assert report.comparison is not None
            period = report.comparison.period
            earlier = dataclasses.replace(filters, start=period.start, end=period.end)
            assert report.comparison.kpis == expected_kpis(gold, earlier)
            if report.change is not None:
                change = report.change
                assert change.sales == report.kpis["total_sales"]
                assert change.sales_before == report.comparison.kpis["total_sales"]
                assert change.volume + change.price + change.mix == change.difference


def gold_of(sales: Expected, customers: Expected) -> Gold:
    """Return what gold must hold, from the oracle's silver of the files."""
    known = {
        key: Customer(
            customer_id=key,
            region="Unknown" if region == "NA" else region.title(),
            points=points,
        )
        for key, _, _, region, _, points in customers.silver.values()
    }
    products: dict[str, Product] = {}
    made = []
    for (
        key,
        customer,
        product,
        name,
        category,
        price,
        quantity,
        discount,
        moment,
        region,
    ) in sales.silver.values():
        known.setdefault(
            customer, Customer(customer_id=customer, region="Unknown", points=0, is_inferred=True)
        )
        found = Product(product_id=product, name=name or product, category=category or "Unknown")
        products[product] = found
        made.append(
            Sale(
                transaction_id=key,
                customer=known[customer],
                product=found,
                quantity=quantity,
                price=price,
                discount=discount,
                region=region,
                moment=moment,
            )
        )
    return Gold(customers=list(known.values()), products=list(products.values()), sales=made)


def test_numbers_of_files_equal_plain_python_over_the_same_files(pipeline: Pipeline) -> None:
    expected = {"sales": Expected(), "customers": Expected()}
    for name, records in (("customers", 60), ("sales", 400), ("sales", 1)):
        path = pipeline.settings.landing / f"{name}_{records}.json"
        generate.write(
            name, records=records, seed=records, path=path, format="ndjson", customers=70
        )
        expected[name].take(name, path.read_text(encoding="utf-8").splitlines())
        pipeline.run(name)
    gold = gold_of(expected["sales"], expected["customers"])
    assert len(gold.sales) > 200
    assert any(customer.is_inferred for customer in gold.customers)
    chance = random.Random(16)
    names = sorted({product.name for product in gold.products})
    with pipeline.engine.connect() as connection:
        source = Database(connection)
        for _ in range(200):
            days = sorted(
                dt.date(2022, 12, 25) + dt.timedelta(days=chance.randrange(380)) for _ in range(2)
            )
            filters = Filters(
                regions=some(chance, ("North", "South", "East", "West", "Unknown")),
                products=some(chance, names),
                start=chance.choice((None, days[0])),
                end=chance.choice((None, days[1])),
                known_region_only=chance.random() < 0.25,
            )
            report = reports.report(source, filters)
            kpis = expected_kpis(gold, filters)
            # its period depends on the calendar, which other tests hold
            for found in (kpis, report.kpis):
                del found["sales_ytd"]
            assert report.kpis == kpis, filters
            results = expected_results(gold, filters)
            for tile, rows in report.results.items():
                assert sorted(rows, key=repr) == sorted(results[tile], key=repr), (tile, filters)
            assert all(tie.holds for tie in report.ties.values())


def test_ties_are_those_of_the_kpis(clean: Engine, gold: Gold) -> None:
    with clean.connect() as connection:
        report = reports.report(Database(connection), Filters())
    assert len(report.results["top_products"]) == reports.TOP
    assert report.other_products == 2  # seven names for eight products
    assert report.other_sales > 0
    for name, metric in reports.WHOLES.items():
        assert report.ties[name].whole == report.kpis[metric]


def test_money_is_exact(clean: Engine, gold: Gold) -> None:
    with clean.connect() as connection:
        report = reports.report(Database(connection), Filters())
    for name in ("total_sales", "sales_ytd", "average_sale", "high_value_sales"):
        assert isinstance(report.kpis[name], Decimal)
    for rows in report.results.values():
        assert all(not isinstance(value, float) for row in rows for value in row.values())


def test_each_definition_gives_the_kpi(clean: Engine, gold: Gold) -> None:
    with clean.connect() as connection:
        kpis = reports.kpis(connection, Filters())
        for metric in METRICS:
            assert queries.value(connection, f"queries/metrics.{metric.name}") == kpis[metric.name]


def test_an_empty_gold_has_numbers_too(clean: Engine) -> None:
    with clean.connect() as connection:
        report = reports.report(Database(connection), Filters())
        for metric in METRICS:
            assert (
                queries.value(connection, f"queries/metrics.{metric.name}")
                == report.kpis[metric.name]
            )
    assert report.kpis.pop("average_sale") is None
    assert set(report.kpis.values()) == {0}
    assert not any(report.results.values())
    assert all(tie.holds for tie in report.ties.values())


def test_analytical_queries_agree_with_the_results(clean: Engine, gold: Gold) -> None:
    with clean.connect() as connection:
        results = reports.results(connection, Filters())
        for name, rows in results.items():
            found = queries.rows(connection, f"queries/analytics.{name}")
            assert [{key: row[key] for key in rows[0]} for row in found] == rows


def test_every_analytical_query_runs_on_full_and_empty_tables(clean: Engine, gold: Gold) -> None:
    for name in queries.load("queries/analytics"):
        with clean.connect() as connection:
            assert queries.rows(connection, f"queries/analytics.{name}"), name
    with clean.begin() as connection:
        connection.execute(text("delete from gold.transactions"))
        connection.execute(text("delete from gold.customers"))
        for name in queries.load("queries/analytics"):
            assert queries.rows(connection, f"queries/analytics.{name}") == [], name


def test_monthly_growth_knows_the_months_without_sales(clean: Engine, gold: Gold) -> None:
    with clean.connect() as connection:
        rows = queries.rows(connection, "queries/analytics.monthly_growth")
    assert len(rows) == 36
    assert [row["total_sales"] for row in rows[12:24]] == [0] * 12
    assert rows[0]["growth"] is None
    assert rows[24]["growth_percent"] is None  # nothing to compare with
    assert rows[12]["growth_percent"] == -100


def test_the_slicers_offer_what_there_is(clean: Engine, gold: Gold) -> None:
    with clean.connect() as connection:
        rows = queries.rows(connection, "queries/metrics.choices")
        calendar = queries.row(connection, "queries/metrics.calendar")
    found = {(row["slicer"], row["choice"]) for row in rows}
    assert {choice for slicer, choice in found if slicer == "region"} == set(REGIONS)
    assert ("product", "Desk") in found
    assert ("category", "Unknown") in found
    assert len(found) == len(rows)
    assert calendar == {
        "first_day": dt.date(2021, 1, 1),
        "last_day": dt.date(2023, 12, 31),
        "last_sale": dt.date(2023, 12, 31),
    }
