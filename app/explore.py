"""Explore: any measures by up to two dimensions, composed from the metric catalogue alone.

Every fragment of a statement is one of `app.metrics` or of this file, chosen by its name; every
value is bound. What is beyond the first groups is added up by the database as "others", from the
sales themselves: so averages and distinct counts of the others are right too.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from app.cube import Filters
from app.metrics import DIMENSION_BY_NAME, MEASURE_BY_NAME, Dimension, Metric, Number
from etl.db import queries
from etl.db.connect import is_interrupted
from etl.errors import RevenueError

MOST_GROUPS = 10_000
MOST_MEASURES = 4
_MOST_ACROSS = 40  # columns of a pivot
_FEW_COLUMNS = 20  # that stay where rows and columns together are too many
_SECONDS = 60

Comparison = Literal["period", "year"]
Order = Literal["largest", "smallest", "name"]


class Mark(Enum):
    """What stands where a value of a dimension would."""

    OTHERS = "others"
    TOTAL = "total"


Key = str | int | dt.date | Mark
Values = Mapping[str, Number | None]


class ExploreError(RevenueError):
    """The question makes no sense, or takes too long."""

    code = "explore"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked; hashable, so that answers can be remembered.

    Raises ExploreError when a name is unknown or the parts do not fit.
    """

    measures: tuple[str, ...]
    rows: str | None = None  # a dimension
    columns: str | None = None  # a second one
    is_pivot: bool = False  # the second one stands across
    filters: Filters = field(default_factory=Filters)
    comparison: Comparison | None = None
    order: Order = "largest"  # by the first measure, or by the name of the group
    top: int | None = None  # groups of the first dimension; the rest is added up

    def __post_init__(self) -> None:
        for name in self.measures:
            if name not in MEASURE_BY_NAME:
                raise ExploreError(f"there is no measure {name!r}")
        for dimension in (self.rows, self.columns):
            if dimension is not None and dimension not in DIMENSION_BY_NAME:
                raise ExploreError(f"there is no dimension {dimension!r}")
        if not 1 <= len(set(self.measures)) == len(self.measures) <= MOST_MEASURES:
            raise ExploreError(f"choose one to {MOST_MEASURES} different measures")
        if self.columns is not None and (self.rows is None or self.rows == self.columns):
            raise ExploreError("a second dimension needs a first one that differs from it")
        if self.comparison not in {None, "period", "year"}:
            raise ExploreError(f"there is no comparison {self.comparison!r}")
        if self.comparison and self.compared_period is None:
            raise ExploreError("a comparison needs the first and the last day of the period")
        if self.order not in {"largest", "smallest", "name"}:
            raise ExploreError(f"there is no order {self.order!r}")
        if self.top is not None and not 1 <= self.top <= MOST_GROUPS:
            raise ExploreError(f"the top may be 1 to {MOST_GROUPS:,}")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(MEASURE_BY_NAME[name] for name in self.measures)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return tuple(
            DIMENSION_BY_NAME[name] for name in (self.rows, self.columns) if name is not None
        )

    @property
    def compared_period(self) -> tuple[dt.date, dt.date] | None:
        """Return the first and last day of what is compared; None where nothing can be."""
        start, end = self.filters.start, self.filters.end
        if start is None or end is None or start > end:
            return None
        day = dt.timedelta(days=1)
        try:
            if self.comparison == "year":
                return _a_year_before(start), _a_year_before(end + day) - day
            return start - (end - start) - day, start - day
        except (OverflowError, ValueError):
            return None

    @property
    def shift(self) -> str:
        """Return by what the days of the compared period are moved, as an SQL interval."""
        if self.comparison == "year":
            return "1 year"
        start, end = self.filters.start, self.filters.end
        assert start is not None
        assert end is not None
        return f"{(end - start).days + 1} days"


def _a_year_before(day: dt.date) -> dt.date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        return dt.date(day.year - 1, 3, 1)


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group of sales: the value of each measure now, and in the compared period."""

    values: Values
    before: Values | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Groups by row and column key; TOTAL stands for all values of a dimension."""

    question: Question
    rows: tuple[Key, ...]  # in order, OTHERS last; none without a dimension
    columns: tuple[Key, ...]
    groups: Mapping[tuple[Key, Key], Group]
    other_rows: int  # values of the dimension that OTHERS stands for
    other_columns: int
    is_cut: bool  # more groups than may be shown, whatever was asked for
    statement: str
    parameters: Mapping[str, Any]

    @property
    def is_empty(self) -> bool:
        return not self.rows and not any(
            self.value(Mark.TOTAL, Mark.TOTAL, name) for name in self.question.measures
        )

    def value(self, row: Key, column: Key, measure: str) -> Number | None:
        """Return a value; a group without sales has 0 of what adds up, and no average."""
        group = self.groups.get((row, column))
        return group.values[measure] if group else _nothing(measure)

    def before(self, row: Key, column: Key, measure: str) -> Number | None:
        """Return the value in the compared period."""
        group = self.groups.get((row, column))
        return group.before[measure] if group and group.before else _nothing(measure)

    def label(self, axis: Literal["rows", "columns"], key: Key) -> str:
        """Return the words of a key."""
        others = self.other_rows if axis == "rows" else self.other_columns
        if key is Mark.OTHERS:
            return f"All others ({others:,})" if others else "All others"
        if key is Mark.TOTAL:
            return "Total"
        name = self.question.rows if axis == "rows" else self.question.columns
        assert name is not None
        return DIMENSION_BY_NAME[name].label(key)


def _nothing(measure: str) -> Number | None:
    metric = MEASURE_BY_NAME[measure]
    return 0 if metric.is_additive or metric.unit in {"customers", "products"} else None


# Reading --------------------------------------------------------------------------------


def answer(connection: Connection, question: Question) -> Answer:
    """Answer a question with at most `MOST_GROUPS` groups.

    The connection should see one state of the data throughout (repeatable read).

    Raises ExploreError when it takes longer than a minute.
    """
    queries.value(connection, "queries/explore.limit_time", milliseconds=round(_SECONDS * 1000))
    try:
        return _answer(connection, question)
    except OperationalError as error:
        if not is_interrupted(error):
            raise
        raise ExploreError(
            f"this takes longer than {_SECONDS} seconds: narrow the period or filter more"
        ) from error


def _answer(connection: Connection, question: Question) -> Answer:
    wished = question.top or MOST_GROUPS
    rows = _kept(connection, question, 0, wished, question.order)
    across = _MOST_ACROSS if question.is_pivot else MOST_GROUPS
    columns = _kept(connection, question, 1, across, "largest")
    is_cut = columns.is_cut or (rows.is_cut and question.top is None)
    if len(rows.keys) * len(columns.keys) > MOST_GROUPS:
        columns = columns.first(max(MOST_GROUPS // len(rows.keys), _FEW_COLUMNS))
        rows = rows.first(MOST_GROUPS // len(columns.keys))
        is_cut = True
    kept = (rows, columns)
    now = _read(connection, question, kept, compared=False)
    before = _read(connection, question, kept, compared=True) if question.comparison else None
    groups = {
        place: Group(
            values=now.get(place) or _empty(question),
            before=None if before is None else before.get(place) or _empty(question),
        )
        for place in {**now, **(before or {})}
    }
    statement, parameters = compose(question, kept, compared=False)
    return Answer(
        question=question,
        rows=_in_order(question, groups, 0),
        columns=_in_order(question, groups, 1),
        groups=groups,
        other_rows=rows.others,
        other_columns=columns.others,
        is_cut=is_cut,
        statement=statement,
        parameters=parameters,
    )


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Which values of a dimension stand for themselves."""

    keys: tuple[Any, ...] = ()
    is_cut: bool = False  # there are others
    values: int = 0  # of the period itself, kept or not
    own: frozenset[Any] = frozenset()  # keys that the period itself has

    @property
    def others(self) -> int:
        """Return how many values of the period itself are not kept."""
        return self.values - sum(key in self.own for key in self.keys) if self.is_cut else 0

    def first(self, count: int) -> Kept:
        """Return this with at most so many keys."""
        if count >= len(self.keys):
            return self
        return replace(self, keys=self.keys[:count], is_cut=True)


_EVERYTHING = (Kept(), Kept())


def _kept(connection: Connection, question: Question, place: int, limit: int, order: Order) -> Kept:
    if len(question.dimensions) <= place:
        return Kept()
    found: list[Any] = []
    own: frozenset[Any] = frozenset()
    values = most = 0
    for compared in (False, True) if question.comparison else (False,):
        statement, parameters = _compose_keys(question, place, order, compared=compared)
        rows = queries.composed(connection, statement, **parameters, limit=limit + 1)
        count = rows[0]["values"] if rows else 0
        most = max(most, count)
        found += [row["key"] for row in rows if row["key"] not in own]
        if not compared:
            values, own = count, frozenset(found)
    is_cut = len(found) > limit or most > limit
    return Kept(keys=tuple(found[:limit]), is_cut=is_cut, values=values, own=own)


def _read(
    connection: Connection, question: Question, kept: tuple[Kept, Kept], *, compared: bool
) -> dict[tuple[Key, Key], Values]:
    statement, parameters = compose(question, kept, compared=compared)
    found = queries.composed(connection, statement, **parameters)
    return {
        (_key(row, "row"), _key(row, "column")): {name: row[name] for name in question.measures}
        for row in found
    }


def _key(row: Mapping[str, Any], axis: str) -> Key:
    if row.get(f"is_{axis}_total", 1):
        return Mark.TOTAL
    key: Key | None = row[f"{axis}_key"]
    return Mark.OTHERS if key is None else key


def _empty(question: Question) -> Values:
    return {name: _nothing(name) for name in question.measures}


def _in_order(
    question: Question, groups: Mapping[tuple[Key, Key], Group], place: int
) -> tuple[Key, ...]:
    """Return the keys of a dimension in the order of the rows; the others come last."""
    if len(question.dimensions) <= place:
        return ()
    keys = {both[place] for both in groups} - {Mark.TOTAL}
    plain: list[Any] = [key for key in keys if not isinstance(key, Mark)]
    dimension = question.dimensions[place]
    plain.sort(key=lambda key: key.casefold() if isinstance(key, str) else key)
    order = question.order if place == 0 else "name" if dimension.is_ordered else "largest"
    if order != "name":
        first = question.measures[0]

        def amount(key: Key) -> tuple[bool, Number]:
            both = (key, Mark.TOTAL) if place == 0 else (Mark.TOTAL, key)
            value = groups[both].values[first] if both in groups else None
            return value is None, (value or 0) * (-1 if order == "largest" else 1)

        plain.sort(key=amount)
    return (*plain, *([Mark.OTHERS] if Mark.OTHERS in keys else []))


# Composing ------------------------------------------------------------------------------

_FROM = "from gold.transactions as t"
_JOINS = {
    "c": "join gold.customers as c on c.customer_id = t.customer_id",
    "p": "join gold.products as p on p.product_id = t.product_id",
}
_DAY = "t.transaction_date"
_SHIFTED_DAY = "(t.transaction_date + cast(:shift as interval))::date"
_PRODUCTS = "t.product_id in (select f.product_id from gold.products as f where {condition})"


def compose(
    question: Question, kept: tuple[Kept, Kept] = _EVERYTHING, *, compared: bool
) -> tuple[str, dict[str, Any]]:
    """Return the statement of all groups and totals, and its parameters."""
    where, parameters = _where(question, compared=compared)
    names = ("row", "column")[: len(question.dimensions)]
    keys, joins = [], []
    for name, dimension, chosen in zip(names, question.dimensions, kept, strict=False):
        expression = _expression(dimension, compared=compared)
        if chosen.is_cut:  # a join, not `= any`: that would look through all keys for each sale
            parameters[f"kept_{name}s"] = list(chosen.keys)
            joins.append(
                f"left join unnest(cast(:kept_{name}s as {dimension.type}[])) as kept_{name} (key)\n"
                f"    on kept_{name}.key = {expression}"
            )
            expression = f"kept_{name}.key"
        keys.append(f"{expression} as {name}_key")
    columns = [f"k.{name}_key" for name in names]
    columns += [f"grouping(k.{name}_key) as is_{name}_total" for name in names]
    columns += [f"{metric.expression} as {metric.name}" for metric in question.metrics]
    lines = ["select", ",\n".join(f"    {column}" for column in columns)]
    lines += _from([*joins, *keys, *columns])
    lines += joins
    if keys:
        lines.append(f"cross join lateral (select {', '.join(keys)}) as k")
    lines += where
    if len(names) == 1:
        lines.append("group by grouping sets ((k.row_key), ())")
    elif names:
        lines.append(
            "group by grouping sets ((k.row_key, k.column_key), (k.row_key), (k.column_key), ())"
        )
    return "\n".join(lines), parameters


def _compose_keys(
    question: Question, place: int, order: Order, *, compared: bool
) -> tuple[str, dict[str, Any]]:
    """Return the statement of the values of a dimension, those first that are kept first."""
    where, parameters = _where(question, compared=compared)
    key = _expression(question.dimensions[place], compared=compared)
    amount = question.metrics[0].expression
    direction = "asc" if order == "smallest" else "desc"
    lines = [
        f"select {key} as key, count(*) over () as values",
        *_from([key, amount]),
        *where,
        "group by 1",
        f"order by {amount} {direction} nulls last, 1",
        "limit :limit",
    ]
    return "\n".join(lines), parameters


def _expression(dimension: Dimension, *, compared: bool) -> str:
    return dimension.expression.replace("{day}", _SHIFTED_DAY if compared else _DAY)


def _from(expressions: Sequence[str]) -> list[str]:
    text = "\n".join(expressions)
    return [_FROM, *(join for alias, join in _JOINS.items() if re.search(rf"\b{alias}\.", text))]


def _where(question: Question, *, compared: bool) -> tuple[list[str], dict[str, Any]]:
    filters = question.filters
    parameters: dict[str, Any] = {}
    if compared:
        period = question.compared_period
        assert period is not None
        filters = replace(filters, start=period[0], end=period[1])
        parameters["shift"] = question.shift
    conditions = []
    for name, chosen, condition in (
        ("start", filters.start, "t.transaction_date >= cast(:start as date)"),
        ("end", filters.end, "t.transaction_date <= cast(:end as date)"),
        ("regions", filters.regions, "t.region = any(cast(:regions as text[]))"),
        (
            "products",
            filters.products,
            _PRODUCTS.format(condition="f.product_name = any(cast(:products as text[]))"),
        ),
        (
            "categories",
            filters.categories,
            _PRODUCTS.format(condition="f.category = any(cast(:categories as text[]))"),
        ),
    ):
        if chosen:
            parameters[name] = list(chosen) if isinstance(chosen, tuple) else chosen
            conditions.append(condition)
    if filters.home_regions:
        parameters["home_regions"] = list(filters.home_regions)
        conditions.append(
            "t.customer_id in (select h.customer_id from gold.customers as h "
            "where h.region = any(cast(:home_regions as text[])))"
        )
    if filters.known_region_only:
        conditions.append(
            "t.customer_id in (select h.customer_id from gold.customers as h "
            "where h.region <> 'Unknown')"
        )
    return (["where " + "\n    and ".join(conditions)] if conditions else []), parameters
