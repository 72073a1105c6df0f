"""The trust strip: how far a number can be trusted, in one quiet line.

The unfinished invalid sales are read once, grouped by what can be read of them, and kept until
something moves the queue or gold; what each number leaves out is then a matter of milliseconds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from app import components, context, metrics, nav, slicers
from app.cube import UNKNOWN, Database, Filters
from app.explain import explain_address
from app.periods import Period
from app.report import year_to_date
from etl.db import queries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

_SUBJECT = "queries/explain"
_EPOCH = dt.date(1970, 1, 1)
_UNREADABLE = -1  # of a code or flag
_NO_DAY = np.iinfo(np.int32).min


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Changes with whatever moves the queue, the batches or gold; nothing else is in it."""

    data_version: int
    event_id: int | None
    quarantine_id: int | None
    batch_id: int | None
    newest_run: str | None


@dataclass(frozen=True, kw_only=True)
class Trust:
    """How far a number can be trusted."""

    as_of: dt.datetime | None  # when gold last changed; None: never
    last_good_run: int | None  # of the number's feed
    last_good_at: dt.datetime | None
    open_invalid: int  # unfinished invalid records that nothing readable keeps out of the number
    money: Decimal  # USD that they may add, as far as it can be read
    unreadable: int  # of which no filter can tell whether they belong


@dataclass(frozen=True, kw_only=True)
class _Coded:
    """A text column as codes into its distinct values; `_UNREADABLE` where there is none."""

    codes: NDArray[np.int32]
    values: dict[str, int]

    def among(self, wanted: Sequence[str]) -> Flags:
        """Return which rows hold one of the values, or none that can be read."""
        allowed = np.zeros(len(self.values) + 1, bool)
        allowed[_UNREADABLE] = True
        allowed[[self.values[one] for one in wanted if one in self.values]] = True
        found: Flags = allowed[self.codes]
        return found


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """Unfinished invalid records: of sales one element a group in each array, of customers a count."""

    region: _Coded
    product: _Coded
    category: _Coded
    home_region: _Coded  # of the customer
    day: NDArray[np.int32]  # since 1970-01-01, `_NO_DAY` where it cannot be read
    is_high_value: NDArray[np.int8]  # `_UNREADABLE` where the money cannot be read
    records: NDArray[np.int64]
    cents: NDArray[np.int64]
    customers: int


def read_unfinished(connection: Any) -> Unfinished:
    """Read the unfinished invalid records in one round."""
    rows = queries.execute(connection, f"{_SUBJECT}.unfinished_sales")
    frame = pd.DataFrame(rows.fetchall(), columns=list(rows.keys()))
    customers = queries.value(connection, f"{_SUBJECT}.unfinished_customers")

    def coded(name: str) -> _Coded:
        codes, values = pd.factorize(frame[name])
        return _Coded(
            codes=codes.astype(np.int32), values={value: n for n, value in enumerate(values)}
        )

    def filled(name: str, missing: int, kind: type[np.integer[Any]]) -> Any:
        return pd.to_numeric(frame[name]).fillna(missing).to_numpy(dtype=kind)

    return Unfinished(
        region=coded("region"),
        product=coded("product"),
        category=coded("category"),
        home_region=coded("home_region"),
        day=filled("day", _NO_DAY, np.int32),
        is_high_value=filled("is_high_value", _UNREADABLE, np.int8),
        records=filled("records", 0, np.int64),
        cents=filled("cents", 0, np.int64),
        customers=customers,
    )


def concerned(
    found: Unfinished, metric: str, filters: Filters, ytd: tuple[dt.date, dt.date] | None = None
) -> tuple[int, Decimal, int]:
    """Return how many unfinished invalid records may belong to a number, and their money in USD.

    The third is how many of them cannot be read where a filter asks. `ytd` is the period of year to
    date; None when it has no day.
    """
    if not metrics.BY_NAME[metric].is_sliced:
        return found.customers, Decimal(), 0
    start, end = filters.start, filters.end
    if metric == "sales_ytd":
        start, end = ytd or (dt.date.max, dt.date.min)
    belongs = np.ones(len(found.records), bool)
    unreadable = np.zeros(len(found.records), bool)
    for column, wanted in (
        (found.region, filters.regions),
        (found.product, filters.products),
        (found.category, filters.categories),
        (found.home_region, filters.home_regions),
    ):
        if wanted:
            belongs &= column.among(wanted)
            unreadable |= column.codes == _UNREADABLE
    if start is not None or end is not None:
        no_day = found.day == _NO_DAY
        first, last = (start or dt.date.min), (end or dt.date.max)
        inside = (found.day >= (first - _EPOCH).days) & (found.day <= (last - _EPOCH).days)
        belongs &= inside | no_day
        unreadable |= no_day
    if filters.known_region_only:
        codes = found.home_region.codes
        belongs &= codes != found.home_region.values.get(UNKNOWN, len(codes))
        unreadable |= codes == _UNREADABLE
    if metric.startswith("high_value"):
        belongs &= found.is_high_value != 0
        unreadable |= found.is_high_value == _UNREADABLE
    return (
        int(found.records[belongs].sum()),
        Decimal(int(found.cents[belongs].sum())).scaleb(-2),
        int(found.records[belongs & unreadable].sum()),
    )


# On a page ------------------------------------------------------------------------------


def moved() -> Moved:
    """Return what changes with the queue, the batches and gold, fresh from the database."""
    with context.engine().connect() as connection:
        found = queries.row(connection, f"{_SUBJECT}.moved")
    assert found is not None
    return Moved(**found)


def strip(metric: str, filters: Filters, *, at: Moved | None = None) -> Trust:
    """Return how far a number can be trusted; `at` saves asking again for each of many."""
    at = at or moved()
    return _strip(at, metric, filters)


# the results are not copied: a resource is shared, and nobody writes to it
@st.cache_resource(max_entries=2, show_spinner=False)
def _unfinished(at: Moved) -> Unfinished:
    del at
    with context.engine().connect() as connection:
        return read_unfinished(connection)


@st.cache_data(max_entries=500, show_spinner=False)
def _strip(at: Moved, metric: str, filters: Filters) -> Trust:
    as_of, good = _runs(at)
    ytd = year_to_date(_calendar(at), filters) if metric == "sales_ytd" else None
    period = (ytd.start, ytd.end) if ytd else None
    count, money, unreadable = concerned(_unfinished(at), metric, filters, period)
    feed = "sales" if metrics.BY_NAME[metric].is_sliced else "customers"
    run_id, ended_at = good.get(feed, (None, None))
    return Trust(
        as_of=as_of,
        last_good_run=run_id,
        last_good_at=ended_at,
        open_invalid=count,
        money=money,
        unreadable=unreadable,
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _runs(at: Moved) -> tuple[dt.datetime | None, dict[str, tuple[int, dt.datetime]]]:
    del at
    with context.engine().connect() as connection:
        fresh = queries.row(connection, "queries/metrics.freshness")
        good = queries.rows(connection, f"{_SUBJECT}.last_good_runs")
    assert fresh is not None
    return fresh["ended_at"], {row["dataset"]: (row["run_id"], row["ended_at"]) for row in good}


@st.cache_data(max_entries=8, show_spinner=False)
def _calendar(at: Moved) -> Period | None:
    del at
    with context.engine().connect() as connection:
        return Database(connection).calendar()


def words(found: Trust) -> str:
    """Return the strip of a number as one line of markdown, without its links."""
    parts = [f":material/schedule: {components.ago(found.as_of)}"]
    if found.last_good_run is not None:
        parts.append(f"run {found.last_good_run}")
    return " · ".join([*parts, f":material/inbox: {_open_words(found)}"])


def _open_words(found: Trust) -> str:
    if not found.open_invalid:
        return "none open"
    money = f" · {metrics.short_money(found.money)}".replace("$", "\\$") if found.money else ""
    return f"{found.open_invalid:,} open{money}"


def show_strip(metric: str, filters: Filters, found: Trust) -> None:
    """Show the strip of a number, with links to its run and to the records."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f":material/schedule: {components.ago(found.as_of)}",
            width="content",
            help=f"Data as of {components.absolute(found.as_of)}",
        )
        if found.last_good_run is not None:
            _link(
                "runs",
                f":small[run {found.last_good_run}]",
                {"run": str(found.last_good_run)},
                help=f"Last good run: {components.absolute(found.last_good_at)}",
            )
        _show_open(metric, filters, found)


def _show_open(metric: str, filters: Filters, found: Trust) -> None:
    if not found.open_invalid:
        st.caption(
            ":material/inbox: none open",
            width="content",
            help="No open invalid record would change this number",
        )
        return
    told = "Open invalid records that would change this number, and what they may be worth."
    if found.unreadable:
        told += (
            f" Of {found.unreadable:,} nobody can tell: what the filters ask for cannot be read."
        )
    _link(
        "explain",
        f":small[{_open_words(found)}]",
        slicers.given(explain_address(metric, filters)),
        help=told,
        icon=":material/inbox:",
    )


def _link(
    page: str,
    label: str,
    query: dict[str, Any],
    *,
    help: str | None,  # noqa: A002 - Streamlit's word
    icon: str | None = None,
) -> None:
    st.page_link(
        nav.page(page), label=label, query_params=query, help=help, icon=icon, width="content"
    )
