"""Everything the dashboard shows for one set of filters: KPIs, tiles, and whether they tie out."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from app.metrics import Number, Row
from etl.db import queries

TOP = 5
_SUBJECT = "queries/metrics"


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
