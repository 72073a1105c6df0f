"""What a BI tool would meet: gold is read as the reporting role, and everything else is tried."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg2
from psycopg2 import errors, sql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from etl.db import queries
from etl.db.reporting import SCHEMA
from etl.errors import DatabaseError
from etl.masking import mask

TABLES = ("customers", "products", "transactions", "dim_date")  # of the model
CLOSED = ("raw", "silver", "etl", "dq")
_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Something that the role must not be able to do."""

    what: str
    is_refused: bool
    answer: str  # of the database


@dataclass(frozen=True, kw_only=True)
class Access:
    """What the role met: rows by table of gold, and what it was refused."""

    role: str
    server: str
    is_encrypted: bool
    rows: dict[str, int]
    attempts: tuple[Attempt, ...]
    statement_timeout: str  # as PostgreSQL writes it; "0" is none
    is_mere_reader: bool  # by its rights and attributes in the catalogue
    seconds: float

    @property
    def is_right(self) -> bool:
        """Tell whether gold can be read, each attempt at more was refused, and no right is left over."""
        return self.is_mere_reader and all(attempt.is_refused for attempt in self.attempts)


def check(url: str) -> Access:
    """Connect as a BI tool does, count each table of gold, and try what must be refused.

    Nothing is changed, whatever the role may do: each attempt is taken back. Raises DatabaseError
    when the connection or a count fails; it holds no secret.
    """
    try:
        given = make_url(url)
    except ArgumentError:
        raise DatabaseError("the address of the reporting role is no postgresql:// URL") from None
    started = time.monotonic()
    try:
        connection = psycopg2.connect(
            given.set(drivername="postgresql").render_as_string(hide_password=False),
            connect_timeout=_CONNECT_SECONDS,
            application_name="revenue connection check",
        )
    except psycopg2.Error as error:
        raise DatabaseError(f"no connection as {given.username}: {_first_line(error)}") from error
    try:
        with connection.cursor() as cursor:
            cursor.execute("show statement_timeout")
            [timeout] = cursor.fetchone() or ("0",)
            cursor.execute(queries.load("queries/reporting")["is_mere_reader"])
            [is_mere_reader] = cursor.fetchone() or (False,)
            cursor.execute("set local statement_timeout = %s", [f"{_STATEMENT_SECONDS}s"])
            rows = {}
            for table in TABLES:
                cursor.execute(
                    sql.SQL("select count(*) from {}").format(sql.Identifier(SCHEMA, table))
                )
                [rows[table]] = cursor.fetchone() or (0,)
        connection.rollback()
        attempts = tuple(
            _attempt(connection, what, statement) for what, statement in _forbidden().items()
        )
        return Access(
            role=str(given.username),
            server=f"{given.host}:{given.port or 5432}",
            is_encrypted=bool(connection.info.ssl_in_use),
            rows=rows,
            attempts=attempts,
            statement_timeout=timeout,
            is_mere_reader=is_mere_reader,
            seconds=time.monotonic() - started,
        )
    except psycopg2.Error as error:
        raise DatabaseError(f"gold cannot be read: {_first_line(error)}") from error
    finally:
        connection.close()


def _forbidden() -> dict[str, sql.Composable]:
    gold = sql.Identifier(SCHEMA, "products")
    tried: dict[str, sql.Composable] = {
        "insert into gold": sql.SQL("insert into {0} select * from {0} limit 0").format(gold),
        "update gold": sql.SQL("update {} set product_name = product_name where false").format(
            gold
        ),
        "delete from gold": sql.SQL("delete from {} where false").format(gold),
        "create a table in gold": sql.SQL("create table {} (one integer)").format(
            sql.Identifier(SCHEMA, "reader_check")
        ),
    }
    for schema in CLOSED:
        table = {"raw": "sales_raw", "silver": "sales", "etl": "run", "dq": "quarantine"}[schema]
        tried[f"read {schema}"] = sql.SQL("select from {} limit 0").format(
            sql.Identifier(schema, table)
        )
    return tried


def _attempt(
    connection: psycopg2.extensions.connection, what: str, statement: sql.Composable
) -> Attempt:
    """Try one statement in a transaction that may write, and take it back."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("set transaction read write")
            cursor.execute(statement)
        return Attempt(what=what, is_refused=False, answer="allowed")
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
        return Attempt(what=what, is_refused=True, answer=_first_line(error))
    finally:
        connection.rollback()


def _first_line(error: psycopg2.Error) -> str:
    lines = str(error).strip().splitlines()
    return mask(lines[0]) if lines else type(error).__name__
