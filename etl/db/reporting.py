"""The roles that only read gold: `bi_reader` for BI tools, `sql_box` for the SQL box of the pages.

Each is a login of its own, never a `set role`, so that no statement can leave it. What PostgreSQL
gives to everybody and readers must not have is revoked from PUBLIC: temporary tables in this
database and new objects in the schema public. On the embedded server, which nobody else uses, also the
functions with which a reader could disturb others: advisory locks, large objects, notifications.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import encrypt_password
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from etl import masking
from etl.db.embedded import EmbeddedServer
from etl.errors import DatabaseError
from etl.settings import Settings

SCHEMA = "gold"
_LOCK = 7_263_021  # advisory lock: one process changes the roles at a time
_SINCE_TRANSACTION_TIMEOUT = 170_000


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A role that reads gold and nothing else."""

    name: str
    purpose: str
    connections: int
    statement_seconds: int

    def settings(self, server_version: int) -> dict[str, str]:
        """Return what a session of the role starts with."""
        chosen = {
            "default_transaction_read_only": "on",
            "statement_timeout": f"{self.statement_seconds}s",
            "lock_timeout": "5s",
            "idle_in_transaction_session_timeout": "60s",
            "idle_session_timeout": "30min",
            "search_path": SCHEMA,
        }
        if server_version >= _SINCE_TRANSACTION_TIMEOUT:
            chosen["transaction_timeout"] = f"{2 * self.statement_seconds}s"
        return chosen


BI_READER = Reader(
    name="bi_reader",
    purpose="Power BI and other tools: reads gold",
    connections=20,
    statement_seconds=300,
)
SQL_BOX = Reader(
    name="sql_box",
    purpose="the SQL box of the pages: reads gold",
    connections=5,
    statement_seconds=30,
)
READERS = (BI_READER, SQL_BOX)


@dataclass(frozen=True, kw_only=True)
class Provided:
    """What became of the readers."""

    urls: Mapping[str, str] = field(default_factory=dict)  # by role, where the password is known
    problem: str | None = None  # why they were left alone


def provide(
    engine: Engine, url: str, settings: Settings, embedded: EmbeddedServer | None
) -> Provided:
    """Make the roles, or bring them up to date, where the role of `url` may; never raises for that.

    On the embedded server their passwords are generated and kept beside the cluster, readable by its
    owner only. On a server by URL the password of `sql_box` is that of `REVENUE_SQL_BOX_URL`, when
    that names this role; `bi_reader` gets none: `revenue powerbi password` sets one.
    """
    passwords: dict[str, str] = {}
    are_new = False
    if embedded is not None:
        for reader in READERS:
            passwords[reader.name], is_new = embedded.secret(f"password-{reader.name}")
            masking.remember(passwords[reader.name])
            are_new = are_new or is_new
    elif settings.sql_box_url is not None:
        passwords = _given(settings.sql_box_url.get_secret_value())
    connection = engine.raw_connection()
    try:
        problem = _provide(connection, passwords, is_own=embedded is not None, are_new=are_new)
        connection.commit()
    except psycopg2.Error as error:
        connection.rollback()
        problem = (error.diag.message_primary or str(error)).strip()
    finally:
        connection.close()
    if embedded is None or problem is not None:
        return Provided(problem=problem)
    return Provided(
        urls={
            name: make_url(url)
            .set(username=name, password=password)
            .render_as_string(hide_password=False)
            for name, password in passwords.items()
        }
    )


def _given(url: str) -> dict[str, str]:
    try:
        parsed = make_url(url)
    except ArgumentError:
        return {}
    if parsed.username != SQL_BOX.name or not parsed.password:
        return {}
    return {SQL_BOX.name: str(parsed.password)}


def _provide(
    connection: Any, passwords: Mapping[str, str], *, is_own: bool, are_new: bool
) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select current_user, current_database(), r.rolsuper, r.rolcreaterole, "
            "current_setting('server_version_num')::int from pg_roles as r "
            "where r.rolname = current_user"
        )
        user, database, is_superuser, may_create, version = cursor.fetchone()
        if not (is_superuser or may_create):
            return f"the role {user} may not create roles"
        shared = list(_statements(database, is_own=is_own and is_superuser))
        own = {
            reader: list(_statements_of(reader, database, version, is_superuser=is_superuser))
            for reader in READERS
        }
        printed = repr([shared, *own.values()])
        fingerprint = hashlib.sha256(printed.encode()).hexdigest()[:16]
        comments = {reader.name: f"{reader.purpose} ({fingerprint})" for reader in READERS}
        if is_own and not are_new and _comments(cursor) == comments:
            return None  # as on every start but the first
        cursor.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute("set local client_min_messages = error")
        for statement in shared:
            cursor.execute(statement)
        for reader, statements in own.items():
            name = sql.Identifier(reader.name)
            cursor.execute("select 1 from pg_roles where rolname = %s", [reader.name])
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("create role {} login").format(name))
            for statement in statements:
                cursor.execute(statement)
            if reader.name in passwords:
                _set_password(cursor, reader, passwords[reader.name])
            cursor.execute(
                sql.SQL("comment on role {} is {}").format(name, sql.Literal(comments[reader.name]))
            )
    return None


def set_password(connection: Connection, reader: Reader, password: str) -> None:
    """Give a reader another password; the server, and so its log, never sees the password itself.

    Raises DatabaseError where the role is missing or this one may not change it.
    """
    cursor: Any = connection.connection.cursor()
    with cursor:
        try:
            _set_password(cursor, reader, password)
        except psycopg2.errors.UndefinedObject as error:
            raise DatabaseError(
                f"this server has no role {reader.name}: run `revenue migrate` as a role that may "
                "create roles"
            ) from error
        except psycopg2.errors.InsufficientPrivilege as error:
            raise DatabaseError(
                f"the role of REVENUE_DATABASE_URL may not change the password of {reader.name}: "
                "name one that may create roles, or made it"
            ) from error


def _set_password(cursor: Any, reader: Reader, password: str) -> None:
    hashed = encrypt_password(password, reader.name, cursor.connection, "scram-sha-256")
    cursor.execute(
        sql.SQL("alter role {} password {}").format(
            sql.Identifier(reader.name), sql.Literal(hashed)
        )
    )


def _comments(cursor: Any) -> dict[str, str]:
    cursor.execute(
        "select rolname, shobj_description(oid, 'pg_authid') from pg_roles where rolname = any(%s)",
        [[reader.name for reader in READERS]],
    )
    return dict(cursor.fetchall())


def _statements(database: str, *, is_own: bool) -> Iterator[sql.Composable]:
    """Yield what takes from everybody what readers must not have."""
    yield sql.SQL("revoke temporary on database {} from public").format(sql.Identifier(database))
    yield sql.SQL("revoke create on schema public from public")
    for schema in ("raw", "silver", "etl", "dq"):
        yield sql.SQL("revoke all on schema {} from public").format(sql.Identifier(schema))
    if is_own:
        yield sql.SQL(_REVOKE_FUNCTIONS)


_REVOKE_FUNCTIONS = """
do $$
declare
    one regprocedure;
begin
    for one in
        select p.oid from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        where
            n.nspname = 'pg_catalog'
            and (
                p.proname ~ '^(pg_advisory|pg_try_advisory|lo_|lo(read|write)$)'
                or p.proname in ('pg_notify', 'pg_export_snapshot')
            )
    loop
        execute format('revoke execute on function %s from public', one);
    end loop;
end
$$
"""


def _statements_of(
    reader: Reader, database: str, version: int, *, is_superuser: bool
) -> Iterator[sql.Composable]:
    """Yield what makes an existing role this reader."""
    name = sql.Identifier(reader.name)
    gold = sql.Identifier(SCHEMA)
    yield sql.SQL(
        "alter role {} login noinherit nocreatedb nocreaterole connection limit {}"
    ).format(name, sql.Literal(reader.connections))
    if is_superuser:  # nobody else may even say so
        yield sql.SQL("alter role {} nosuperuser noreplication nobypassrls").format(name)
    chosen = reader.settings(version)
    if is_superuser:
        chosen["temp_file_limit"] = "2GB"
    for key, value in chosen.items():
        yield sql.SQL("alter role {} in database {} set {} = {}").format(
            name, sql.Identifier(database), sql.Identifier(key), sql.Literal(value)
        )
    yield sql.SQL("grant connect on database {} to {}").format(sql.Identifier(database), name)
    yield sql.SQL("grant usage on schema {} to {}").format(gold, name)
    yield sql.SQL("grant select on all tables in schema {} to {}").format(gold, name)
    yield sql.SQL("alter default privileges in schema {} grant select on tables to {}").format(
        gold, name
    )
