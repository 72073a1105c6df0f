"""The database, wherever it is: an embedded server started here, or a server by URL."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from etl import masking
from etl.db import migrate, reporting
from etl.db.embedded import EmbeddedServer
from etl.errors import DatabaseError, SettingsError
from etl.settings import Settings

QUERY_CANCELED = "57014"
LOST_CONNECTION = (psycopg2.OperationalError, psycopg2.InterfaceError)


@dataclass(frozen=True)
class Database:
    """An engine, and the embedded server behind it when this process uses one."""

    url: str
    engine: Engine
    embedded: EmbeddedServer | None
    reader_urls: Mapping[str, str] = field(default_factory=dict)  # by role; of an embedded server

    def close(self) -> None:
        self.engine.dispose()
        if self.embedded is not None:
            self.embedded.stop()


@contextlib.contextmanager
def database(
    settings: Settings,
    *,
    name: str = "revenue",
    check: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Database]:
    """Open the configured database; an embedded one is started when nobody runs it yet.

    An embedded database that is new or older is migrated; a server only by `revenue migrate`.

    Raises DatabaseError when it cannot be reached, SchemaOutdatedError when migrations are missing.
    """
    embedded = None
    url = settings.database_url.get_secret_value()
    if settings.is_embedded:
        embedded = EmbeddedServer(settings.database, port=settings.database_port)
        url = embedded.start(progress)
    engine = connect(url, settings, name=name)
    opened = Database(url=url, engine=engine, embedded=embedded)
    try:
        if check and embedded is not None:
            migrate.apply(engine, progress)
            readers = reporting.provide(engine, url, settings, embedded)
            opened = dataclasses.replace(opened, reader_urls=readers.urls)
        elif check:
            migrate.check(engine)
        yield opened
    finally:
        opened.close()


def connect(url: str, settings: Settings, *, name: str) -> Engine:
    """Return an engine; every connection works in UTC and never waits for ever.

    Raises SettingsError when the URL is none.
    """
    masking.remember_url(url)
    try:
        parsed = make_url(url)
        # a password with @ or / in it would be taken for the host, and shown when that is unknown
        if parsed.get_backend_name() != "postgresql" or "@" in (parsed.host or ""):
            raise ArgumentError
    except (ArgumentError, ValueError):
        raise SettingsError(
            "REVENUE_DATABASE_URL must be `embedded:` or "
            "`postgresql://user:password@host/database`; @ : / # in a password are written "
            "%40 %3A %2F %23"
        ) from None
    options = {
        "timezone": "UTC",
        "datestyle": "ISO, YMD",
        "lock_timeout": f"{settings.lock_timeout_seconds}s",
        "idle_in_transaction_session_timeout": "10min",
        "client_min_messages": "warning",
    }
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg2"),
        pool_size=5,
        max_overflow=10,
        pool_pre_ping=True,
        hide_parameters=True,  # an error must not show values: they may be secrets
        connect_args={
            "application_name": name,
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,
            "options": " ".join(
                f"-c {key}={value.replace(' ', '')}" for key, value in options.items()
            ),
        },
    )
    event.listen(engine, "handle_error", _explain)
    return engine


def _explain(context: Any) -> None:
    """Turn "cannot connect" into an error that says what to do; the password stays out of it."""
    if (
        isinstance(context.original_exception, psycopg2.OperationalError)
        and context.connection is None
    ):
        first = str(context.original_exception).strip().splitlines()[:1]
        raise DatabaseError(
            f"the database cannot be reached ({''.join(first)}); "
            "check REVENUE_DATABASE_URL and that the server runs",
            code="unreachable",
        ) from context.original_exception


def is_lost_connection(error: BaseException) -> bool:
    """Tell whether the error means that the server or the network went away."""
    if isinstance(error, DatabaseError):
        return error.code == "unreachable"
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (
            isinstance(error, OperationalError)
            and (getattr(error.orig, "pgcode", None) in {None, "57P01", "57P02", "57P03"})
        )
    return isinstance(error, LOST_CONNECTION) and getattr(error, "pgcode", None) is None


def is_interrupted(error: BaseException) -> bool:
    """Tell whether the server gave a statement up because it was told to, or by a timeout."""
    return getattr(getattr(error, "orig", error), "pgcode", None) == QUERY_CANCELED


def interrupter(connection: Connection) -> Callable[[], None]:
    """Return what another thread calls to end the statement that the connection runs, if any."""
    driver: Any = connection.connection.driver_connection

    def interrupt() -> None:
        with contextlib.suppress(*LOST_CONNECTION):
            driver.cancel()

    return interrupt


def raw_cursor(connection: Connection) -> Any:
    """Return a psycopg2 cursor inside the transaction of `connection` (for COPY)."""
    return connection.connection.cursor()
