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
from app.periods import Period, month_start
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
    def words(self) -> list[str]:
        """Return what limits the sales, one phrase each; they hold text from data."""
        found = [
            f"{word} {' or '.join(values)}"
            for word, values in (
                ("region", self.regions),
                ("product", self.products),
                ("category", self.categories),
                ("home region", self.home_regions),
            )
            if values
        ]
        if self.start is not None:
            found.append(f"from {self.start}")
        if self.end is not None:
            found.append(f"to {self.end}")
        if self.known_region_only:
            found.append("customers with a known home region")
        return found

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

    def months(self) -> Months: ...

    def part(self, days: Period) -> pa.Table:
        """Return the sales of some days of one month in SCHEMA; `day` is the month's first."""

    def by_day(self, filters: Filters, days: Period) -> list[Row]:
        """Return day, transactions and sales of each day that has sales which the filters find."""

    def customers(self) -> Sequence[Customers]: ...

    def calendar(self) -> Period | None:
        """Return the first and last day of the calendar, None while there are no sales."""

    def last_sale(self) -> dt.date | None:
        """Return the last day that has a sale, None while there are none."""


@dataclass(frozen=True, kw_only=True)
class Months:
    """All sales by month, in SCHEMA; `day` is the month's first."""

    groups: pa.Table

    @cached_property
    def of_all_homes(self) -> pa.Table:
        """Return the groups without their home region, which few filters ask for."""
        others = [name for name in SCHEMA.names if name not in {*AMOUNTS, "home_region"}]
        found = self.groups.group_by(others).aggregate([(name, "sum") for name in AMOUNTS])
        homes = pa.repeat("", len(found))
        return (
            found.rename_columns([*others, *AMOUNTS])
            .append_column("home_region", homes)
            .select(SCHEMA.names)
        )

    @cached_property
    def known(self) -> frozenset[dt.date]:
        """Return the first day of each month that has sales."""
        return frozenset(self.groups["day"].unique().to_pylist())


class Database:
    """A source that reads each table once, as the connection's transaction sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def months(self) -> Months:
        return self._months

    def part(self, days: Period) -> pa.Table:
        return arrow.read(
            self._connection,
            "queries/metrics.days_of_month",
            SCHEMA,
            start=days.start,
            end=days.end,
        )

    def by_day(self, filters: Filters, days: Period) -> list[Row]:
        return queries.rows(
            self._connection,
            "queries/metrics.by_day",
            start=days.start,
            end=days.end,
            regions=list(filters.regions),
            home_regions=list(filters.home_regions),
            products=list(filters.products),
            categories=list(filters.categories),
            known_region_only=filters.known_region_only,
        )

    def customers(self) -> Sequence[Customers]:
        return self._customers

    def calendar(self) -> Period | None:
        first, last = self._days["first_day"], self._days["last_day"]
        return None if first is None else Period(start=first, end=last)

    def last_sale(self) -> dt.date | None:
        return self._days["last_sale"]  # type: ignore[no-any-return]

    @cached_property
    def _months(self) -> Months:
        return Months(groups=arrow.read(self._connection, "queries/metrics.months", SCHEMA))

    @cached_property
    def _customers(self) -> Sequence[Customers]:
        found = queries.rows(self._connection, "queries/metrics.customers_by_region")
        return tuple(Customers(**row) for row in found)

    @cached_property
    def _days(self) -> Row:
        found = queries.row(self._connection, "queries/metrics.calendar")
        assert found is not None
        return found


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
        found = self._added_up(column)
        order = [(amount, "descending"), (column, "ascending")]
        places = (
            pc.sort_indices(found, sort_keys=order)
            if most is None
            else pc.select_k_unstable(found, most, sort_keys=order)
        )
        return found.take(places).to_pylist()  # type: ignore[no-any-return]

    def over_time(self, level: str = "month") -> list[Row]:
        """Return AMOUNTS of each month or year that has sales, by its first day, in order."""
        found = self._added_up("day")
        if level == "year":
            years = pc.floor_temporal(found["day"], unit="year").cast(pa.date32())
            found = _added_up(found.set_column(0, "day", years), "day")
        return found.sort_by("day").to_pylist()  # type: ignore[no-any-return]

    def count(self, column: str) -> int:
        """Return how many values a column has."""
        return len(self._added_up(column))

    def _added_up(self, column: str) -> pa.Table:
        if column not in self._found:
            self._found[column] = _added_up(self.groups, column)
        return self._found[column]

    @cached_property
    def _found(self) -> dict[str, pa.Table]:
        return {}


@dataclass(frozen=True, kw_only=True)
class Cube:
    """Selections over a source; each is worked out once."""

    source: Source
    _found: dict[Filters, Selection] = field(default_factory=dict, repr=False)

    def select(self, filters: Filters) -> Selection:
        """Return the sales that the filters find."""
        if filters not in self._found:
            parts = [_wanted(part, filters) for part in self._parts(filters)]
            groups = pa.concat_tables(parts) if parts else SCHEMA.empty_table()
            self._found[filters] = Selection(groups=groups.combine_chunks())
        return self._found[filters]

    def by_day(self, filters: Filters) -> list[Row]:
        """Return day, transactions and sales of each day that has sales, in order."""
        calendar = self.source.calendar()
        if calendar is None:
            return []
        days = Period.within(
            max(filters.start or calendar.start, calendar.start),
            min(filters.end or calendar.end, calendar.end),
        )
        return self.source.by_day(filters, days) if days else []

    def _parts(self, filters: Filters) -> Iterator[pa.Table]:
        """Yield the months of the period, and what cuts them: few days to add, or to take away."""
        months = self.source.months()
        if filters.is_backwards:
            return
        by_home = filters.home_regions or filters.known_region_only
        groups = months.groups if by_home else months.of_all_homes
        if filters.start is None and filters.end is None:
            yield groups
            return
        first, last = filters.start or dt.date.min, filters.end or dt.date.max
        wanted = pc.and_(
            pc.greater_equal(groups["day"], pa.scalar(month_start(first), pa.date32())),
            pc.less_equal(groups["day"], pa.scalar(last, pa.date32())),
        )
        for month in sorted({month_start(first), month_start(last)} & months.known):
            whole = Period.of(month, "month")
            inside = Period(start=max(first, month), end=min(last, whole.end))
            outside = inside.rest_of(whole)
            if sum(days.days for days in outside) < inside.days:
                yield from (_negated(self.source.part(days)) for days in outside)
            else:
                wanted = pc.and_(wanted, pc.not_equal(groups["day"], pa.scalar(month, pa.date32())))
                yield self.source.part(inside)
        yield groups.filter(wanted)


def _negated(groups: pa.Table) -> pa.Table:
    for name in AMOUNTS:
        place = groups.schema.get_field_index(name)
        groups = groups.set_column(place, name, pc.negate(groups[name]))
    return groups


def _added_up(groups: pa.Table, column: str) -> pa.Table:
    found = groups.group_by(column, use_threads=False).aggregate(
        [(name, "sum") for name in AMOUNTS]
    )
    found = found.rename_columns([column, *AMOUNTS])
    # days that were taken away leave groups without sales behind
    return found.filter(pc.not_equal(found["transactions"], 0))


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
