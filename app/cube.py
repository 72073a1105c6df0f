"""The sales of the dashboard, added up in memory: whole months, and the days of months that are cut.

A selection is an Arrow table of groups, whose amounts are exact decimals. Whole months come from one
table that is read once for a version of the data; a period that starts or ends within a month reads
the days of that month alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from app.metrics import Row
from app.periods import month_end, month_start
from etl.db import arrow, queries

UNKNOWN = "Unknown"
AMOUNTS = ("transactions", "pieces", "sales", "high_value_transactions", "high_value_sales")
_MONEY = pa.decimal128(38, 2)
_GROUPS = [
    ("region", pa.string()),
    ("home_region", pa.string()),
    ("product_name", pa.string()),
    ("category", pa.string()),
    ("transactions", pa.int64()),
    ("pieces", pa.int64()),
    ("sales", _MONEY),
    ("high_value_transactions", pa.int64()),
    ("high_value_sales", _MONEY),
]
SCHEMA = pa.schema([("day", pa.date32()), *_GROUPS])
"""One row a day (or month, by its first day), region, home region and product name."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which sales count; an empty tuple means all, None an open end. Days are inclusive, UTC."""

    regions: tuple[str, ...] = ()
    products: tuple[str, ...] = ()  # product names
    categories: tuple[str, ...] = ()
    start: dt.date | None = None
    end: dt.date | None = None
    known_region_only: bool = False  # only sales to customers whose home region is known
    home_regions: tuple[str, ...] = ()  # of the customers; they filter customers, too

    @property
    def is_backwards(self) -> bool:
        return self.start is not None and self.end is not None and self.start > self.end


@dataclass(frozen=True, kw_only=True)
class Customers:
    """Known customers of one home region."""

    region: str
    loyalty_points: int
    customers: int


class Source(Protocol):
    """Where the dashboard's figures come from; what it returns is never changed."""

    def months(self) -> pa.Table:
        """Return all sales in SCHEMA, one row a month and group; `day` is the month's first."""

    def days(self, month: dt.date) -> pa.Table:
        """Return the sales of a month in SCHEMA, one row a day and group."""

    def customers(self) -> Sequence[Customers]: ...

    def calendar(self) -> tuple[dt.date, dt.date] | None:
        """Return the first and last day of the calendar, None while there are no sales."""


class Database:
    """A source that reads each table once, as the connection's transaction sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._days: dict[dt.date, pa.Table] = {}

    def months(self) -> pa.Table:
        return self._months

    def days(self, month: dt.date) -> pa.Table:
        if month not in self._days:
            self._days[month] = arrow.read(
                self._connection, "queries/metrics.days", SCHEMA, month=month
            )
        return self._days[month]

    def customers(self) -> Sequence[Customers]:
        return self._customers

    def calendar(self) -> tuple[dt.date, dt.date] | None:
        return self._calendar

    @cached_property
    def _months(self) -> pa.Table:
        return arrow.read(self._connection, "queries/metrics.months", SCHEMA)

    @cached_property
    def _customers(self) -> Sequence[Customers]:
        found = queries.rows(self._connection, "queries/metrics.customers_by_region")
        return tuple(Customers(**row) for row in found)

    @cached_property
    def _calendar(self) -> tuple[dt.date, dt.date] | None:
        found = queries.row(self._connection, "queries/metrics.calendar")
        assert found is not None
        first, last = found["first_day"], found["last_day"]
        return None if first is None else (first, last)


# Selections -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The sales that filters find."""

    groups: pa.Table  # in SCHEMA

    @cached_property
    def total(self) -> Mapping[str, Any]:
        """Return each of AMOUNTS; money as decimals."""
        return {name: pc.sum(self.groups[name], min_count=0).as_py() for name in AMOUNTS}

    def by(self, column: str, *, most: int | None = None, amount: str = "sales") -> list[Row]:
        """Return AMOUNTS of each value of a column, the largest amount first, at most `most`."""
        found = _added_up(self.groups, column)
        order = [(amount, "descending"), (column, "ascending")]
        places = (
            pc.sort_indices(found, sort_keys=order)
            if most is None
            else pc.select_k_unstable(found, most, sort_keys=order)
        )
        return found.take(places).to_pylist()  # type: ignore[no-any-return]

    def over_time(self, level: str = "month") -> list[Row]:
        """Return AMOUNTS of each month, year or day that has sales, by its first day, in order."""
        groups = self.groups
        if level != "day":
            first = pc.floor_temporal(groups["day"], unit=level)
            groups = groups.set_column(0, "day", first.cast(pa.date32()))
        return _added_up(groups, "day").sort_by("day").to_pylist()  # type: ignore[no-any-return]

    def count(self, column: str) -> int:
        """Return how many values a column has."""
        return int(pc.count_distinct(self.groups[column]).as_py())


def _added_up(groups: pa.Table, column: str) -> pa.Table:
    found = groups.group_by(column, use_threads=False).aggregate(
        [(name, "sum") for name in AMOUNTS]
    )
    return found.rename_columns([column, *AMOUNTS])


@dataclass(frozen=True, kw_only=True)
class Cube:
    """Selections over a source; each is worked out once."""

    source: Source
    _found: dict[tuple[Filters, bool], Selection] = field(default_factory=dict, repr=False)

    def select(self, filters: Filters, *, is_daily: bool = False) -> Selection:
        """Return the sales that the filters find.

        `is_daily`: `day` is the day of the sale; otherwise that or the first of its month.
        """
        key = filters, is_daily
        if key not in self._found:
            parts = [_wanted(part, filters) for part in self._parts(filters, is_daily=is_daily)]
            groups = pa.concat_tables(parts) if parts else SCHEMA.empty_table()
            self._found[key] = Selection(groups=groups.combine_chunks())
        return self._found[key]

    def _parts(self, filters: Filters, *, is_daily: bool) -> Iterator[pa.Table]:
        months = self.source.months()
        if not len(months) or filters.is_backwards:
            return
        first, last = filters.start or dt.date.min, filters.end or dt.date.max
        if is_daily:
            cut = {month for month in self._known if first <= month_end(month) and month <= last}
        else:
            cut = {month_start(first), month_start(last)} & self._known
            cut = {month for month in cut if first > month or last < month_end(month)}
            whole = pc.and_(
                pc.greater_equal(months["day"], pa.scalar(first, pa.date32())),
                pc.less_equal(months["day"], pa.scalar(last, pa.date32())),
            )
            if cut:
                whole = pc.and_not(
                    whole, pc.is_in(months["day"], value_set=pa.array(sorted(cut), pa.date32()))
                )
            yield months.filter(whole)
        for month in sorted(cut):
            days = self.source.days(month)
            if first > month or last < month_end(month):
                inside = pc.and_(
                    pc.greater_equal(days["day"], pa.scalar(first, pa.date32())),
                    pc.less_equal(days["day"], pa.scalar(last, pa.date32())),
                )
                days = days.filter(inside)
            yield days

    @cached_property
    def _known(self) -> set[dt.date]:
        return set(self.source.months()["day"].unique().to_pylist())


def _wanted(groups: pa.Table, filters: Filters) -> pa.Table:
    masks = [
        pc.is_in(groups[column], value_set=pa.array(values, pa.string()))
        for column, values in (
            ("region", filters.regions),
            ("product_name", filters.products),
            ("category", filters.categories),
            ("home_region", filters.home_regions),
        )
        if values
    ]
    if filters.known_region_only:
        masks.append(pc.not_equal(groups["home_region"], UNKNOWN))
    for mask in masks[1:]:
        masks[0] = pc.and_(masks[0], mask)
    return groups.filter(masks[0]) if masks else groups
