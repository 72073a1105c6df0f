"""The metric catalogue: each number of the dashboard has one definition, here and in metrics.sql.

`sql/queries/metrics.sql` holds each metric as a query of its own over all data, and the query
`page`, which reads every metric and every tile for a set of filters at once; tests hold both, and
the DAX text, to the same values.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import Connection

from etl.db import queries

Number = Decimal | int
Row = dict[str, Any]

TOP = 5
_SUBJECT = "queries/metrics"
_UNITS = ((Decimal(10**9), "B"), (Decimal(10**6), "M"), (Decimal(10**3), "K"))
_NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A named number with one definition."""

    name: str
    title: str
    description: str  # one sentence, for people
    unit: Literal["customers", "transactions", "points", "USD"]
    format: Literal["whole", "money"]
    dax: str  # the same number in Power BI
    is_sliced: bool = True  # False: the sales filters do not apply

    @property
    def sql(self) -> str:
        """Return the definition: a query over all of gold with one row and one column."""
        return queries.load(_SUBJECT)[self.name]


METRICS = (
    Metric(
        name="customers",
        title="Customers",
        description=(
            "Known customers. One that only sales name is not counted. The sales filters do not "
            "apply."
        ),
        unit="customers",
        format="whole",
        dax="CALCULATE(DISTINCTCOUNT('customers'[customer_id]), "
        "'customers'[is_inferred] = FALSE())",
        is_sliced=False,
    ),
    Metric(
        name="total_sales",
        title="Total Sales",
        description="Sum of quantity × price × (1 − discount) over all sales.",
        unit="USD",
        format="money",
        dax="SUM('transactions'[total_value])",
    ),
    Metric(
        name="sales_ytd",
        title="Sales YTD",
        description=(
            "Sales from 1 January of the year of the period's last day up to that day; without a "
            "period, of the calendar's last year."
        ),
        unit="USD",
        format="money",
        dax="TOTALYTD([Total Sales], 'dim_date'[date])",
    ),
    Metric(
        name="average_sale",
        title="Avg Sale per Transaction",
        description="Total Sales divided by the number of sales.",
        unit="USD",
        format="money",
        dax="AVERAGE('transactions'[total_value])",
    ),
    Metric(
        name="high_value_transactions",
        title="High Value Transactions",
        description="Number of sales worth more than 1,000 USD.",
        unit="transactions",
        format="whole",
        dax="CALCULATE(COUNT('transactions'[transaction_id]), 'transactions'[total_value] > 1000)",
    ),
    Metric(
        name="high_value_sales",
        title="High Value Sales",
        description="Sum of the sales worth more than 1,000 USD each.",
        unit="USD",
        format="money",
        dax="CALCULATE([Total Sales], 'transactions'[total_value] > 1000)",
    ),
    Metric(
        name="transactions",
        title="Transactions",
        description="Number of sales.",
        unit="transactions",
        format="whole",
        dax="COUNT('transactions'[transaction_id])",
    ),
    Metric(
        name="loyalty_points",
        title="Total Loyalty Points",
        description="Loyalty points of all known customers. The sales filters do not apply.",
        unit="points",
        format="whole",
        dax="CALCULATE(SUM('customers'[loyalty_points]), 'customers'[is_inferred] = FALSE())",
        is_sliced=False,
    ),
)
BY_NAME: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in METRICS})


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which sales count; an empty tuple means all, None an open end. Days are inclusive, UTC."""

    regions: tuple[str, ...] = ()
    products: tuple[str, ...] = ()  # product names
    categories: tuple[str, ...] = ()
    start: dt.date | None = None
    end: dt.date | None = None
    known_region_only: bool = False  # only sales to customers whose home region is known


@dataclass(frozen=True, kw_only=True)
class Tie:
    """A tile's parts against the KPI that they make up; amounts in USD or points."""

    parts: Number
    whole: Number

    @property
    def holds(self) -> bool:
        return self.parts == self.whole


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything the dashboard shows for one set of filters, exact."""

    kpis: dict[str, Number | None]  # by metric; None only for an average of nothing
    results: dict[str, list[Row]]  # by tile
    ties: dict[str, Tie]  # by tile
    other_sales: Decimal  # USD, products beyond the top ones
    other_products: int
    ytd_start: dt.date | None  # None: no calendar day in the period
    ytd_end: dt.date | None


# tile -> its columns: label, amount, count; the order is that of the page
_TILES = {
    "sales_by_region": ("region", "total_sales", "transactions"),
    "monthly_sales": ("month", "total_sales", "transactions"),
    "loyalty_points_by_region": ("region", "loyalty_points", "customers"),
    "top_products": ("product_name", "total_sales", "transactions"),
    "high_value_sales_by_region": ("region", "high_value_sales", "high_value_transactions"),
}

# tile -> the metric that its parts make up
WHOLES = {
    "sales_by_region": "total_sales",
    "monthly_sales": "total_sales",
    "loyalty_points_by_region": "loyalty_points",
    "top_products": "total_sales",
    "high_value_sales_by_region": "high_value_sales",
}


def report(connection: Connection, filters: Filters) -> Report:
    """Read every KPI and tile in one round: the calendar, then one query over the star schema."""
    period = {"start": filters.start, "end": filters.end}
    ytd = queries.row(connection, f"{_SUBJECT}.year_to_date", **period)
    assert ytd is not None
    figures: dict[str, list[Row]] = {}
    for row in queries.rows(
        connection,
        f"{_SUBJECT}.page",
        regions=list(filters.regions),
        products=list(filters.products),
        categories=list(filters.categories),
        known_region_only=filters.known_region_only,
        ytd_start=ytd["first_day"],
        ytd_end=ytd["last_day"],
        top=TOP,
        **period,
    ):
        figures.setdefault(row["figure"], []).append(row)
    total, high, others = (
        figures[name][0] for name in ("total_sales", "high_value_sales", "other_products")
    )
    kpis: dict[str, Number | None] = {
        "customers": figures["customers"][0]["count"],
        "total_sales": total["amount"],
        "sales_ytd": figures["sales_ytd"][0]["amount"],
        "average_sale": figures["average_sale"][0]["amount"],
        "high_value_transactions": high["count"],
        "high_value_sales": high["amount"],
        "transactions": total["count"],
        "loyalty_points": int(figures["loyalty_points"][0]["amount"]),
    }
    tiles = {name: _tile(name, figures.get(name, [])) for name in _TILES}
    parts: dict[str, Number] = {
        name: sum((row[_TILES[name][1]] for row in rows), Decimal()) for name, rows in tiles.items()
    }
    parts["top_products"] += others["amount"]
    ties = {name: Tie(parts=parts[name], whole=kpis[whole] or 0) for name, whole in WHOLES.items()}
    return Report(
        kpis=kpis,
        results=tiles,
        ties=ties,
        other_sales=others["amount"],
        other_products=others["count"],
        ytd_start=ytd["first_day"],
        ytd_end=ytd["last_day"],
    )


def _tile(name: str, figures: list[Row]) -> list[Row]:
    label, amount, count = _TILES[name]
    return [
        {
            label: row["month"] if label == "month" else row["label"],
            amount: int(row["amount"]) if amount == "loyalty_points" else row["amount"],
            count: row["count"],
        }
        for row in figures
    ]


def kpis(connection: Connection, filters: Filters) -> dict[str, Number | None]:
    """Return the value of every metric by name; money in USD, exact."""
    return report(connection, filters).kpis


def results(connection: Connection, filters: Filters) -> dict[str, list[Row]]:
    """Return the five analytical results by name, each one row a region, month or product."""
    return report(connection, filters).results


def format_value(metric: Metric, value: Number | None) -> str:
    """Return the value as a card shows it: `99`, `$602K`, `$1.23M`; a dash without one."""
    if value is None:
        return _NOTHING
    return f"{value:,}" if metric.format == "whole" else short_money(value)


def format_exact(metric: Metric, value: Number | None) -> str:
    """Return the value with every digit: `99`, `$601,901.23`."""
    if value is None:
        return _NOTHING
    return f"{value:,}" if metric.format == "whole" else exact_money(value)


def short_money(amount: Number) -> str:
    """Return dollars with three digits and an automatic unit: `$89.50`, `$602K`, `$1.23M`."""
    # rounded before the unit is chosen: 999,999 is $1M, not $1,000K
    size = _three_digits(abs(Decimal(amount)))
    sign = "-" if amount < 0 and size else ""
    for unit, suffix in _UNITS:
        if size >= unit:
            return f"{sign}${(size / unit).normalize():,f}{suffix}"
    return f"{sign}${size:,.{0 if size == size.to_integral_value() else 2}f}"


def _three_digits(size: Decimal) -> Decimal:
    """Round half up to three significant digits, and never below a cent."""
    return size.quantize(Decimal(1).scaleb(max(-2, size.adjusted() - 2)), ROUND_HALF_UP)


def exact_money(amount: Number) -> str:
    """Return dollars and cents: `$601,901.23`."""
    cents = Decimal(amount).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return f"{'-' if cents < 0 else ''}${abs(cents):,.2f}"
