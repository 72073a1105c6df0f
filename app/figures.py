"""The dashboard's figures as the web process holds them: once for each version of the data.

The version grows with every promotion that changed gold, so that nothing shown is stale and no page
needs a refresh button. What is read for a version is read as that version: a promotion meanwhile
makes the reader start again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import streamlit as st
from sqlalchemy import Connection

from app import context
from app import report as reports
from app.cube import Customers, Database, Filters, Months
from app.metrics import Row
from app.periods import Compare, Level, Period
from app.report import Picks, Report
from etl.db import queries
from etl.errors import RevenueError

_VERSIONS = 2  # an old one is kept for those who look at it while the new one is read
_PARTS = 60  # of months that a period cuts, each as large as a month's groups


class DataMovedError(RevenueError):
    """A promotion changed gold since the version was asked for; ask again."""

    code = "data_moved"


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """Which data is shown, and the run that brought it."""

    data_version: int
    run_id: int | None
    dataset: str | None
    ended_at: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the slicers offer for a version of the data; days are those of the calendar."""

    regions: tuple[str, ...]
    products: tuple[str, ...]
    categories: tuple[str, ...]
    home_regions: tuple[str, ...]
    first_day: dt.date | None
    last_day: dt.date | None


@dataclass(frozen=True, kw_only=True)
class Held:
    """A source whose tables the process holds, for one version of the data."""

    data_version: int

    def months(self) -> Months:
        return _whole(self.data_version).months

    def part(self, days: Period) -> pa.Table:
        return _part(self.data_version, days)

    def by_day(self, filters: Filters, days: Period) -> list[Row]:
        with at_version(self.data_version) as connection:
            return Database(connection).by_day(filters, days)

    def customers(self) -> Sequence[Customers]:
        return _whole(self.data_version).customers

    def calendar(self) -> Period | None:
        return _whole(self.data_version).calendar

    def last_sale(self) -> dt.date | None:
        return _whole(self.data_version).last_sale


def freshness() -> Freshness:
    """Return the version of gold and its last run, fresh from the database."""
    with context.engine().connect() as connection:
        found = queries.row(connection, "queries/metrics.freshness")
    assert found is not None
    return Freshness(**found)


@st.cache_data(max_entries=500, show_spinner=False)
def report(
    data_version: int,
    filters: Filters,
    picks: Picks | None = None,
    compare: Compare | None = None,
    level: Level = "month",
) -> Report:
    """Return every KPI and tile.

    Raises DataMovedError when a promotion changed gold since the version was asked for.
    """
    source = Held(data_version=data_version)
    return reports.report(source, filters, picks=picks, compare=compare, level=level)


@st.cache_data(max_entries=8, show_spinner=False)
def choices(data_version: int) -> Choices:
    """Return what the slicers offer.

    Raises DataMovedError when a promotion changed gold since the version was asked for.
    """
    found: dict[str, list[str]] = {"region": [], "product": [], "category": [], "home_region": []}
    with at_version(data_version) as connection:
        for row in queries.rows(connection, "queries/metrics.choices"):
            found[row["slicer"]].append(row["choice"])
        calendar = Database(connection).calendar()
    return Choices(
        regions=tuple(found["region"]),
        products=tuple(found["product"]),
        categories=tuple(found["category"]),
        home_regions=tuple(found["home_region"]),
        first_day=calendar.start if calendar else None,
        last_day=calendar.end if calendar else None,
    )


@contextlib.contextmanager
def at_version(data_version: int) -> Iterator[Connection]:
    """Yield a transaction that sees one version of gold."""
    with context.engine().connect() as opened:
        connection = opened.execution_options(isolation_level="REPEATABLE READ")
        if queries.value(connection, "queries/metrics.data_version") != data_version:
            raise DataMovedError("the data has changed meanwhile; load the page again")
        yield connection


@dataclass(frozen=True, kw_only=True)
class _Whole:
    """What is held of a version, read in one transaction."""

    months: Months
    customers: Sequence[Customers]
    calendar: Period | None
    last_sale: dt.date | None


@st.cache_resource(max_entries=_VERSIONS, show_spinner=False)
def _whole(data_version: int) -> _Whole:
    with at_version(data_version) as connection:
        source = Database(connection)
        return _Whole(
            months=source.months(),
            customers=source.customers(),
            calendar=source.calendar(),
            last_sale=source.last_sale(),
        )


@st.cache_resource(max_entries=_PARTS, show_spinner=False)
def _part(data_version: int, days: Period) -> pa.Table:
    with at_version(data_version) as connection:
        return Database(connection).part(days)
