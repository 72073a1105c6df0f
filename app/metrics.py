"""The metric catalogue: each number of the dashboard has one definition, here and in metrics.sql.

`sql/queries/metrics.sql` holds each metric as a query of its own over all data; `app.report` reads
every metric and tile for a set of filters at once. Tests hold both, and the DAX text, to the same
values. `MEASURES` and `DIMENSIONS` are the closed set that Explore composes its queries from.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Any, Literal

from etl.db import queries

Number = Decimal | int
Row = dict[str, Any]

_SUBJECT = "queries/metrics"
_UNITS = ((Decimal(10**9), "B"), (Decimal(10**6), "M"), (Decimal(10**3), "K"))
_NOTHING = "–"
_SALES = "from gold.transactions as t"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A named number with one definition."""

    name: str
    title: str
    description: str  # one sentence, for people
    unit: Literal["customers", "transactions", "points", "USD", "pieces", "products"]
    format: Literal["whole", "money"]
    dax: str  # the same number in Power BI
    expression: str  # its SQL aggregate over t, c, p: gold.transactions, .customers, .products
    is_sliced: bool = True  # False: the sales filters do not apply
    is_additive: bool = True  # False: groups do not sum to the total (averages, distinct counts)

    @property
    def sql(self) -> str:
        """Return the definition: a query over all of gold with one row and one column."""
        named = queries.load(_SUBJECT)
        if self.name in named:
            return named[self.name]
        return f"-- {self.description}\nselect {self.expression} as {self.name}\n{_SALES};"


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
        expression="count(*) filter (where not c.is_inferred)",
        is_sliced=False,
    ),
    Metric(
        name="total_sales",
        title="Total Sales",
        description="Sum of quantity × price × (1 − discount) over all sales.",
        unit="USD",
        format="money",
        dax="SUM('transactions'[total_value])",
        expression="coalesce(sum(t.total_value), 0)",
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
        expression=(
            "coalesce(sum(t.total_value) filter "
            "(where t.transaction_date between :ytd_start and :ytd_end), 0)"
        ),
    ),
    Metric(
        name="average_sale",
        title="Avg Sale per Transaction",
        description="Total Sales divided by the number of sales.",
        unit="USD",
        format="money",
        dax="AVERAGE('transactions'[total_value])",
        expression="round(avg(t.total_value), 2)",
        is_additive=False,
    ),
    Metric(
        name="high_value_transactions",
        title="High Value Transactions",
        description="Number of sales worth more than 1,000 USD.",
        unit="transactions",
        format="whole",
        dax="CALCULATE(COUNT('transactions'[transaction_id]), 'transactions'[total_value] > 1000)",
        expression="count(*) filter (where t.total_value > 1000)",
    ),
    Metric(
        name="high_value_sales",
        title="High Value Sales",
        description="Sum of the sales worth more than 1,000 USD each.",
        unit="USD",
        format="money",
        dax="CALCULATE([Total Sales], 'transactions'[total_value] > 1000)",
        expression="coalesce(sum(t.total_value) filter (where t.total_value > 1000), 0)",
    ),
    Metric(
        name="transactions",
        title="Transactions",
        description="Number of sales.",
        unit="transactions",
        format="whole",
        dax="COUNT('transactions'[transaction_id])",
        expression="count(*)",
    ),
    Metric(
        name="loyalty_points",
        title="Total Loyalty Points",
        description="Loyalty points of all known customers. The sales filters do not apply.",
        unit="points",
        format="whole",
        dax="CALCULATE(SUM('customers'[loyalty_points]), 'customers'[is_inferred] = FALSE())",
        is_sliced=False,
        expression="coalesce(sum(c.loyalty_points) filter (where not c.is_inferred), 0)",
    ),
)
BY_NAME: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in METRICS})

# What Explore offers: the metrics of a single sale or more, and measures that only Explore has.
# Left out: customers and loyalty points, which no sale carries, and sales year to date, which is a
# period of its own.
MEASURES = (
    *(metric for metric in METRICS if metric.is_sliced and metric.name != "sales_ytd"),
    Metric(
        name="pieces",
        title="Pieces",
        description="Sum of the quantities sold.",
        unit="pieces",
        format="whole",
        dax="SUM('transactions'[quantity])",
        expression="coalesce(sum(t.quantity), 0)",
    ),
    Metric(
        name="gross_sales",
        title="Gross Sales",
        description="Sum of quantity × price, before discounts.",
        unit="USD",
        format="money",
        dax="SUMX('transactions', 'transactions'[quantity] * 'transactions'[price])",
        expression="coalesce(sum(t.quantity * t.price), 0)",
    ),
    Metric(
        name="discount_given",
        title="Discount Given",
        description="Gross Sales minus Total Sales.",
        unit="USD",
        format="money",
        dax="[Gross Sales] - [Total Sales]",
        expression="coalesce(sum(t.quantity * t.price - t.total_value), 0)",
    ),
    Metric(
        name="buying_customers",
        title="Buying Customers",
        description="Number of different customers that bought, inferred ones too.",
        unit="customers",
        format="whole",
        dax="DISTINCTCOUNT('transactions'[customer_id])",
        expression="count(distinct t.customer_id)",
        is_additive=False,
    ),
    Metric(
        name="products_sold",
        title="Products Sold",
        description="Number of different products sold, by product key.",
        unit="products",
        format="whole",
        dax="DISTINCTCOUNT('transactions'[product_id])",
        expression="count(distinct t.product_id)",
        is_additive=False,
    ),
    Metric(
        name="largest_sale",
        title="Largest Sale",
        description="The sale worth most.",
        unit="USD",
        format="money",
        dax="MAX('transactions'[total_value])",
        expression="max(t.total_value)",
        is_additive=False,
    ),
)
MEASURE_BY_NAME: Mapping[str, Metric] = MappingProxyType(
    {measure.name: measure for measure in MEASURES}
)


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """Something that sales are grouped by; each sale has one value of it, never none.

    In `expression`, `{day}` stands for the day of the sale: a comparison puts a shifted day there,
    so that what is compared stands in the same row.
    """

    name: str
    title: str
    expression: str  # SQL over t, c, p, as a metric's
    type: Literal["text", "date", "int"]  # of SQL
    dax: str  # the same in Power BI
    labels: tuple[str, ...] = ()  # of an int: its names from 1 on
    form: str = ""  # of a date: how it is written
    is_chronological: bool = False  # points on the time line

    @property
    def is_ordered(self) -> bool:
        """Tell whether the values have an order of their own, other than the alphabet's."""
        return self.type != "text"

    def label(self, value: Any) -> str:
        """Return a value as people read it: `Mar 2024`, `Monday`, `North`."""
        if self.labels:
            return self.labels[int(value) - 1]
        if self.form and isinstance(value, dt.date):
            return value.strftime(self.form.replace("%q", str((value.month + 2) // 3)))
        return str(value)


DIMENSIONS = (
    Dimension(
        name="region",
        title="Region",
        expression="t.region",
        type="text",
        dax="'transactions'[region]",
    ),
    Dimension(
        name="home_region",
        title="Home region of the customer",
        expression="c.region",
        type="text",
        dax="'customers'[region]",
    ),
    Dimension(
        name="category",
        title="Product category",
        expression="p.category",
        type="text",
        dax="'products'[category]",
    ),
    Dimension(
        name="product",
        title="Product name",
        expression="p.product_name",
        type="text",
        dax="'products'[product_name]",
    ),
    Dimension(
        name="customer",
        title="Customer",
        expression="t.customer_id",
        type="text",
        dax="'customers'[customer_id]",
    ),
    Dimension(
        name="customer_record",
        title="Customer record",
        expression="case when c.is_inferred then 2 else 1 end",
        type="int",
        dax="'customers'[is_inferred]",
        labels=("Known", "Only named by sales"),
    ),
    Dimension(
        name="discount_band",
        title="Discount",
        expression=(
            "case when t.discount = 0 then 1 when t.discount <= 0.10 then 2 "
            "when t.discount <= 0.20 then 3 else 4 end"
        ),
        type="int",
        dax="SWITCH(TRUE(), 'transactions'[discount] = 0, 1, 'transactions'[discount] <= 0.1, 2, "
        "'transactions'[discount] <= 0.2, 3, 4)",
        labels=("None", "Up to 10 %", "Over 10 to 20 %", "Over 20 %"),
    ),
    Dimension(
        name="year",
        title="Year",
        expression="date_trunc('year', {day})::date",
        type="date",
        dax="'dim_date'[year]",
        form="%Y",
        is_chronological=True,
    ),
    Dimension(
        name="quarter",
        title="Quarter",
        expression="date_trunc('quarter', {day})::date",
        type="date",
        dax="'dim_date'[quarter]",
        form="Q%q %Y",
        is_chronological=True,
    ),
    Dimension(
        name="month",
        title="Month",
        expression="date_trunc('month', {day})::date",
        type="date",
        dax="'dim_date'[month_start]",
        form="%b %Y",
        is_chronological=True,
    ),
    Dimension(
        name="week",
        title="Week (its Monday)",
        expression="date_trunc('week', {day})::date",
        type="date",
        dax="'dim_date'[date] - WEEKDAY('dim_date'[date], 3)",
        form="%Y-%m-%d",
        is_chronological=True,
    ),
    Dimension(
        name="day",
        title="Day",
        expression="{day}",
        type="date",
        dax="'dim_date'[date]",
        form="%Y-%m-%d",
        is_chronological=True,
    ),
    Dimension(
        name="calendar_month",
        title="Month of the year",
        expression="extract(month from t.transaction_date)::int",
        type="int",
        dax="'dim_date'[month]",
        labels=tuple(calendar.month_name[1:]),
    ),
    Dimension(
        name="weekday",
        title="Weekday",
        expression="extract(isodow from t.transaction_date)::int",
        type="int",
        dax="'dim_date'[weekday]",
        labels=tuple(calendar.day_name),
    ),
)
DIMENSION_BY_NAME: Mapping[str, Dimension] = MappingProxyType(
    {dimension.name: dimension for dimension in DIMENSIONS}
)


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
