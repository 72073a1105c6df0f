"""The metric catalogue: each number of the dashboard has one definition, here and in metrics.sql.

`sql/queries/metrics.sql` holds each metric as a query of its own over all data; `app.report` reads
every metric and tile for a set of filters at once. Tests hold both, and the DAX text, to the same
values.
"""

from __future__ import annotations

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
