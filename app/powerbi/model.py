"""The semantic model: gold tables, their relationships, and a measure for each metric."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from types import MappingProxyType

from app.metrics import METRICS, Metric
from app.powerbi import gold

NAME = "CustomerRevenue"
DATE_TABLE = "dim_date"
DATE_KEY = "date"
# the home of all measures; a table of their own would be a fifth, calculated one, which even
# DirectQuery would have to refresh. Where a measure lives changes nothing in its value.
MEASURES_HOME = "transactions"
DISPLAY_FOLDER = "Metrics"
_NAMESPACE = uuid.UUID("6f1c7a52-3b0e-5d0c-9a55-2d8a1b7c4e90")

# PostgreSQL -> TMDL; every numeric of gold has at most four decimals, which `decimal` keeps exactly
TYPES = MappingProxyType(
    {
        "character varying": "string",
        "integer": "int64",
        "smallint": "int64",
        "numeric": "decimal",
        "boolean": "boolean",
        "date": "dateTime",
        "timestamp without time zone": "dateTime",
        "timestamp with time zone": "dateTime",
    }
)
_MONEY_FORMAT = r"\$#,0.00"
_WHOLE_FORMAT = "#,0"
_DAY_FORMAT = "yyyy-mm-dd"
_MOMENT_FORMAT = "yyyy-mm-dd hh:nn:ss"
_MONTH_FORMAT = "mmm yyyy"
_FORMATS = MappingProxyType(
    {
        ("transactions", "price"): _MONEY_FORMAT,
        ("transactions", "total_value"): _MONEY_FORMAT,
        ("transactions", "discount"): "0.00%",
        ("transactions", "transaction_month"): _MONTH_FORMAT,
        ("dim_date", "month_start"): _MONTH_FORMAT,
        ("dim_date", "year"): "0",
    }
)
_TYPE_FORMATS = MappingProxyType(
    {
        "date": _DAY_FORMAT,
        "timestamp without time zone": _MOMENT_FORMAT,
        "timestamp with time zone": _MOMENT_FORMAT,
        "integer": _WHOLE_FORMAT,
        "smallint": "0",
    }
)
SORTED_BY = MappingProxyType(
    {
        ("dim_date", "month_name"): "month",
        ("dim_date", "month_label"): "month_start",
        ("dim_date", "weekday_name"): "weekday",
    }
)
HIDDEN = frozenset({"insert_date", "update_date"})


@dataclass(frozen=True, kw_only=True)
class ModelColumn:
    name: str
    type: str  # of TMDL
    description: str
    format: str | None
    sorted_by: str | None
    is_day: bool  # a date without a time
    is_key: bool
    is_hidden: bool


@dataclass(frozen=True, kw_only=True)
class Measure:
    name: str
    dax: str
    description: str
    format: str


@dataclass(frozen=True, kw_only=True)
class ModelTable:
    name: str
    description: str
    columns: tuple[ModelColumn, ...]
    measures: tuple[Measure, ...]
    is_date_table: bool


@dataclass(frozen=True, kw_only=True)
class Relationship:
    """Many rows of `table` to one of `to_table`; filters go from there to here only."""

    table: str
    column: str
    to_table: str
    to_column: str
    is_enforced: bool  # by a foreign key: no row is without its partner


@dataclass(frozen=True, kw_only=True)
class Model:
    tables: tuple[ModelTable, ...]
    relationships: tuple[Relationship, ...]


def identifier(*path: str) -> str:
    """Return the same UUID for the same path, in every generation."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(path)))


def measure(metric: Metric) -> Measure:
    """Return the metric as a measure."""
    return Measure(
        name=metric.title,
        dax=metric.dax,
        description=metric.description,
        format=_WHOLE_FORMAT if metric.format == "whole" else _MONEY_FORMAT,
    )


def build() -> Model:
    """Return the model of this version's gold tables and metrics."""
    tables = gold.tables()
    foreign = gold.foreign_keys()
    relationships = (
        *(
            Relationship(
                table=key.table,
                column=key.column,
                to_table=key.to_table,
                to_column=key.to_column,
                is_enforced=True,
            )
            for key in foreign
        ),
        Relationship(
            table="transactions",
            column="transaction_date",
            to_table=DATE_TABLE,
            to_column=DATE_KEY,
            is_enforced=False,
        ),
    )
    joined = {(key.table, key.column) for key in foreign}
    return Model(
        tables=tuple(_table(table, joined) for table in tables.values()),
        relationships=relationships,
    )


def _table(table: gold.Table, joined: set[tuple[str, str]]) -> ModelTable:
    return ModelTable(
        name=table.name,
        description=table.comment,
        columns=tuple(
            ModelColumn(
                name=column.name,
                type=TYPES[column.family],
                description=column.comment,
                format=_FORMATS.get((table.name, column.name), _TYPE_FORMATS.get(column.family)),
                sorted_by=SORTED_BY.get((table.name, column.name)),
                is_day=column.family == "date",
                is_key=column.is_key,
                is_hidden=column.name in HIDDEN or (table.name, column.name) in joined,
            )
            for column in table.columns
        ),
        measures=tuple(map(measure, METRICS)) if table.name == MEASURES_HOME else (),
        is_date_table=table.name == DATE_TABLE,
    )
