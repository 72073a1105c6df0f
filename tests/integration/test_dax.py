"""The DAX that is shipped, evaluated by another engine over the same rows, against our SQL.

The engine is the package pbix-mcp, a check of development only: it is no dependency of ours, and
without it these tests are skipped. It is not Power BI; what they show is that two independent
readings of the same text agree.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app import report as reports
from app.cube import Filters
from app.metrics import METRICS, Metric
from app.powerbi import project, tmdl_reader
from app.powerbi.source import Source
from tests.gold import gold_changed

dax = pytest.importorskip(
    "pbix_mcp.dax.engine",
    reason="pbix-mcp, an independent DAX engine, is not installed; docs/powerbi.md says how to run these",
)

CONTEXTS = 520
CENT = Decimal("0.01")
REGIONS = ("East", "North", "South", "West", "Unknown", "it's")
PRODUCTS = (
    ("P01", "Laptop", "Electronics"),
    ("P02", "Mouse", "Accessories"),
    ("P03", "Desk", "Furniture"),
    ("P04", "Desk", "Unknown"),  # another product, the same name
    ("P05", "Lamp", "Furniture"),
)
FIRST, LAST = dt.date(2021, 1, 1), dt.date(2023, 12, 31)
EDGES = (
    (10, "100.00", "0", "2023-01-01 00:00:00"),  # 1,000.00 is not high-value
    (1, "1000.00", "0", "2022-06-30 12:00:00"),
    (1, "1000.01", "0", "2023-12-31 23:59:59"),
    (1, "1000.01", "0", "2021-01-01 00:00:00"),
    (1, "2000.01", "0.5", "2021-12-31 23:59:59"),  # 1,000.005 becomes 1,000.01
    (2, "1000.00", "0.5", "2022-01-01 00:00:00"),
    (3, "0.00", "0", "2023-02-28 12:00:00"),
)


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """The semantic model as its TMDL says, with the rows of the database."""

    measures: dict[str, str]
    relationships: list[dict[str, Any]]
    tables: dict[str, dict[str, Any]]
    date_tables: dict[str, str]

    def values(self, context: dict[str, list[Any]]) -> dict[str, Any]:
        """Return the value of each measure; None for a blank."""
        return dict(
            dax.evaluate_measures_batch(
                list(self.measures),
                self.tables,
                self.measures,
                filter_context=context,
                date_table="dim_date",
                date_column="date",
                relationships=self.relationships,
                date_tables=self.date_tables,
            )
        )


@pytest.fixture(autouse=True)
def nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    # otherwise the engine joins a column named like a date to the calendar by itself
    monkeypatch.setattr(dax.DAXContext, "_DATE_FALLBACK_COLUMNS", ())


@pytest.fixture
def database(clean: Engine) -> Engine:
    chance = random.Random(5)
    with clean.begin() as connection:
        connection.execute(
            text("""
                insert into gold.customers
                    (customer_id, customer_name, region, loyalty_points, is_inferred,
                     insert_date, update_date)
                values (:id, 'Name', :region, :points, :is_inferred, now(), now())
            """),
            [
                {
                    "id": f"C{n:03}",
                    "region": "Unknown" if n >= 40 else REGIONS[n % len(REGIONS)],
                    # an inferred one has none in life; here it must not be counted either
                    "points": n * n % 977,
                    "is_inferred": n >= 40,
                }
                for n in range(46)
            ],
        )
        connection.execute(
            text("""
                insert into gold.products
                    (product_id, product_name, category, insert_date, update_date)
                values (:id, :name, :category, now(), now())
            """),
            [dict(zip(("id", "name", "category"), product, strict=True)) for product in PRODUCTS],
        )
        connection.execute(
            text("""
                insert into gold.dim_date
                select
                    d::date, extract(year from d), extract(quarter from d),
                    extract(month from d), extract(day from d), date_trunc('month', d)::date,
                    to_char(d, 'FMMonth'), to_char(d, 'Mon YYYY'), extract(isodow from d),
                    to_char(d, 'FMDay')
                from generate_series(cast(:first as date), cast(:last as date), '1 day') as d
            """),
            {"first": FIRST, "last": LAST},
        )
        connection.execute(
            text("""
                insert into gold.transactions
                    (transaction_id, customer_id, product_id, quantity, price, discount, region,
                     transaction_datetime, insert_date, update_date)
                values
                    (:id, :customer, :product, :quantity, :price, :discount, :region, :moment,
                     now(), now())
            """),
            [
                {
                    "id": f"T{place}",
                    "customer": f"C{chance.randrange(46):03}",
                    "product": chance.choice(PRODUCTS)[0],
                    "region": REGIONS[place % len(REGIONS)],
                    **sale,
                }
                for place, sale in enumerate(sales(chance))
            ],
        )
        gold_changed(connection)
    return clean


def sales(chance: random.Random) -> Iterator[dict[str, Any]]:
    for quantity, price, discount, moment in EDGES * 2:
        yield {"quantity": quantity, "price": price, "discount": discount, "moment": moment}
    for _ in range(250):
        yield {
            "quantity": chance.randint(1, 9),
            "price": Decimal(chance.randint(0, 60_000)).scaleb(-2),
            "discount": Decimal(chance.choice((0, 0, 500, 3333))).scaleb(-4),
            "moment": dt.datetime.combine(FIRST, dt.time())
            + dt.timedelta(minutes=chance.randrange(1095 * 24 * 60)),
        }


@pytest.fixture
def shipped(database: Engine) -> Shipped:
    definition = f"{project.SEMANTIC_MODEL}/definition"
    parsed = {
        path.removeprefix(f"{definition}/"): tmdl_reader.parse(content.decode())
        for path, content in project.files(Source()).items()
        if path.endswith(".tmdl")
    }
    declared = [node for nodes in parsed.values() for node in nodes if node.keyword == "table"]
    tables = {}
    fixed = {}
    for table in declared:
        columns = [column.name for column in table.all("column")]
        with database.connect() as connection:
            found = connection.execute(text(f"select {', '.join(columns)} from gold.{table.name}"))
            tables[table.name] = {
                "columns": columns,
                "rows": [[as_power_bi_reads(value) for value in row] for row in found],
            }
        fixed[table.name] = [
            column.name
            for column in table.all("column")
            if column.properties["dataType"] == "decimal"
        ]
    assert dax.mark_currency_columns(tables, fixed) == 3
    return Shipped(
        measures={
            measure.name: measure.expression
            for table in declared
            for measure in table.all("measure")
        },
        relationships=[
            {
                "FromTable": tmdl_reader.column_of(node.properties["fromColumn"] or "")[0],
                "FromColumn": tmdl_reader.column_of(node.properties["fromColumn"] or "")[1],
                "ToTable": tmdl_reader.column_of(node.properties["toColumn"] or "")[0],
                "ToColumn": tmdl_reader.column_of(node.properties["toColumn"] or "")[1],
                "IsActive": True,
            }
            for node in parsed["relationships.tmdl"]
        ],
        tables=tables,
        date_tables={
            table.name: next(
                column.name for column in table.all("column") if "isKey" in column.properties
            )
            for table in declared
            if table.properties.get("dataCategory") == "Time"
        },
    )


def as_power_bi_reads(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time())
    return value


def contexts() -> Iterator[Filters]:
    yield Filters()
    for start, end in (
        (dt.date(2021, 12, 31), dt.date(2021, 12, 31)),
        (LAST, None),
        (None, FIRST),
        (dt.date(2023, 3, 1), dt.date(2023, 2, 1)),  # the wrong way round
        (dt.date(2030, 1, 1), None),  # after the calendar
    ):
        yield Filters(start=start, end=end)
    yield Filters(regions=("Nowhere",))
    yield Filters(products=("Desk",), categories=("Unknown",))
    yield Filters(products=("Lamp",), categories=("Electronics",))
    chance = random.Random(13)
    names = sorted({name for _, name, _ in PRODUCTS})
    categories = sorted({category for *_, category in PRODUCTS})
    for _ in range(CONTEXTS):
        days = sorted(FIRST + dt.timedelta(days=chance.randrange(-20, 1115)) for _ in range(2))
        yield Filters(
            regions=some(chance, REGIONS),
            products=some(chance, names),
            categories=some(chance, categories),
            start=chance.choice((None, days[0])),
            end=chance.choice((None, days[1])),
        )


def some(chance: random.Random, choices: Any) -> tuple[str, ...]:
    return tuple(chance.sample(list(choices), chance.choice((0, 0, 1, 2))))


def filter_context(filters: Filters) -> dict[str, list[Any]]:
    """Return what the page's slicers set: the columns of app.powerbi.report."""
    chosen: dict[str, list[Any]] = {
        "transactions.region": list(filters.regions),
        "products.product_name": list(filters.products),
        "products.category": list(filters.categories),
    }
    made = {column: values for column, values in chosen.items() if values}
    if filters.start or filters.end:
        days = (FIRST + dt.timedelta(days=n) for n in range((LAST - FIRST).days + 1))
        made["dim_date.date"] = [
            dt.datetime.combine(day, dt.time())
            for day in days
            if (filters.start or FIRST) <= day <= (filters.end or LAST)
        ]
    return made


def is_same(metric: Metric, in_dax: Any, in_sql: Any) -> bool:
    """Compare exactly; a blank of DAX is SQL's zero, or its null for an average."""
    if in_dax is None:
        return not in_sql
    if in_sql is None:
        return False
    # repr: the shortest text of a float, which is the amount that the engine meant
    value = Decimal(repr(float(in_dax)))
    if metric.format == "money":
        value = value.quantize(CENT, ROUND_HALF_UP)
    return value == in_sql


def differing(
    database: Engine, model: Shipped, among: Iterator[Filters]
) -> Iterator[tuple[str, Filters, Any, Any]]:
    with database.connect() as connection:
        for filters in among:
            in_sql = reports.kpis(connection, filters)
            in_dax = model.values(filter_context(filters))
            for metric in METRICS:
                pair = in_dax[metric.title], in_sql[metric.name]
                if not is_same(metric, *pair):
                    yield (metric.name, filters, *pair)


def test_every_measure_equals_our_sql(database: Engine, shipped: Shipped) -> None:
    assert set(shipped.measures) == {metric.title for metric in METRICS}
    assert sum(1 for _ in contexts()) >= 500
    assert list(differing(database, shipped, contexts())) == []
    # a measure that the engine cannot evaluate is blank, which must not pass for nothing
    assert not dax._engine.eval_errors
    assert not dax._engine.unsupported_functions


MISTAKES = {
    "at least 1000": ("high_value_transactions", "> 1000", ">= 1000"),
    "sales counted, not summed": ("total_sales", "SUM(", "COUNT("),
    "sales summed, not averaged": ("average_sale", "AVERAGE(", "SUM("),
    "year to date by the sale's own date": (
        "sales_ytd",
        "'dim_date'[date]",
        "'transactions'[transaction_date]",
    ),
    "inferred customers counted": ("customers", "FALSE()", "TRUE()"),
    "points of inferred customers": ("loyalty_points", "FALSE()", "TRUE()"),
    "customers of the sales": (
        "customers",
        "'customers'[customer_id]",
        "'transactions'[customer_id]",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_dax_is_noticed(name: str, database: Engine, shipped: Shipped) -> None:
    wrong, old, new = MISTAKES[name]
    (title,) = (metric.title for metric in METRICS if metric.name == wrong)
    assert old in shipped.measures[title]
    shipped.measures[title] = shipped.measures[title].replace(old, new)
    found = next(differing(database, shipped, contexts()), None)
    assert found is not None


def test_a_calendar_related_to_nothing_is_noticed(database: Engine, shipped: Shipped) -> None:
    del shipped.relationships[-1]
    noticed = {metric for metric, *_ in differing(database, shipped, few(contexts(), 40))}
    assert {"total_sales", "sales_ytd"} <= noticed


def test_a_period_on_the_sales_own_date_would_not_reach_year_to_date(
    database: Engine, shipped: Shipped
) -> None:
    year = Filters(start=dt.date(2022, 1, 1), end=dt.date(2022, 12, 31))
    by_calendar = filter_context(year)
    by_sale = {"transactions.transaction_date": by_calendar["dim_date.date"]}
    with database.connect() as connection:
        in_sql = reports.kpis(connection, year)["sales_ytd"]
    right, wrong = shipped.values(by_calendar), shipped.values(by_sale)
    assert right["Total Sales"] == wrong["Total Sales"]
    assert Decimal(repr(right["Sales YTD"])) == in_sql
    assert wrong["Sales YTD"] is None  # the calendar's last year is another one


def few(among: Iterator[Filters], count: int) -> Iterator[Filters]:
    return (filters for _, filters in zip(range(count), among, strict=False))
