"""The tables of the star schema as the database has them: columns, types, keys, comments.

They are read from `sql/schema.sql`, which is pg_dump's print of what the migrations make and is held
to that by a test. A declaration of our own would say every column and comment a second time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from etl.db import queries

SCHEMA = "gold"
# the star that Power BI gets; what else gold holds serves the app, such as rollups
STAR = ("customers", "dim_date", "products", "transactions")
_TABLE = re.compile(rf"^CREATE TABLE {SCHEMA}\.(\w+) \(\n(.*?)^\);$", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    (\w+) ([a-z ]+?(?:\([\d,]+\))?)(?= NOT| DEFAULT| GENERATED|,?$)(.*)$")
_COMMENT = re.compile(
    rf"^COMMENT ON (TABLE|COLUMN) {SCHEMA}\.(\w+)(?:\.(\w+))? IS '((?:[^']|'')*)';$", re.MULTILINE
)
_KEY = re.compile(
    rf"^ALTER TABLE ONLY {SCHEMA}\.(\w+)\n    ADD CONSTRAINT \w+ "
    rf"(PRIMARY|FOREIGN) KEY \((\w+)\)(?: REFERENCES {SCHEMA}\.(\w+)\((\w+)\))?;$",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; `type` is PostgreSQL's name of it, such as `numeric(16,2)`."""

    name: str
    type: str
    comment: str
    is_nullable: bool
    is_key: bool

    @property
    def family(self) -> str:
        """Return the type without its size: `numeric`."""
        return self.type.partition("(")[0]


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """A NOT NULL column that the database holds to the key of another gold table."""

    table: str
    column: str
    to_table: str
    to_column: str


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str
    comment: str
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        """Return the name of the primary key's column."""
        return next(column.name for column in self.columns if column.is_key)


@cache
def tables() -> dict[str, Table]:
    """Return the tables of the star by name."""
    schema = _schema()
    comments = {
        (table, column or None): text.replace("''", "'")
        for _, table, column, text in _COMMENT.findall(schema)
    }
    keys = {
        (table, column) for table, kind, column, *_ in _KEY.findall(schema) if kind == "PRIMARY"
    }
    return {
        table: Table(
            name=table,
            comment=comments[table, None],
            columns=tuple(
                Column(
                    name=found[1],
                    type=found[2],
                    comment=comments[table, found[1]],
                    is_nullable="NOT NULL" not in found[3],
                    is_key=(table, found[1]) in keys,
                )
                for found in map(_COLUMN.match, body.splitlines())
                if found is not None
            ),
        )
        for table, body in _TABLE.findall(schema)
        if table in STAR
    }


@cache
def foreign_keys() -> tuple[ForeignKey, ...]:
    """Return the foreign keys inside the star whose column is NOT NULL."""
    declared = tables()
    return tuple(
        ForeignKey(table=table, column=column, to_table=to_table, to_column=to_column)
        for table, kind, column, to_table, to_column in _KEY.findall(_schema())
        if kind == "FOREIGN"
        and {table, to_table} <= declared.keys()
        and not next(one for one in declared[table].columns if one.name == column).is_nullable
    )


def _schema() -> str:
    return (queries.SQL / "schema.sql").read_text(encoding="utf-8")
