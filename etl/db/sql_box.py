"""One read-only statement of a person, run as the role `sql_box` in a thread that only waits.

What keeps it harmless is the database: a login that may read gold only, a read-only transaction,
and a cursor, which takes one statement that returns rows and nothing else. What keeps it bounded: a
limit of time that no statement can lift, limits of rows and of bytes, and an end as soon as nobody
looks at it any more.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg2
from psycopg2 import extensions
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from etl.db import queries
from etl.db.reporting import SQL_BOX
from etl.errors import RevenueError
from etl.masking import mask

ROWS = 1_000
_BYTES = 10_000_000  # of all rows shown
_CELL_CHARACTERS = 2_000
_PORTION = 100  # rows
_GRACE_SECONDS = 2.0  # what the server has to end a statement by itself
_UNWATCHED_SECONDS = 15.0
_SLOTS = threading.BoundedSemaphore(SQL_BOX.connections)
_CANCELLED = extensions.QueryCanceledError
_PLAIN_TYPES = frozenset({16, 20, 21, 23, 25, 700, 701, 1042, 1043, 1700})  # oids
_OPEN = """
do $box$
declare
    box refcursor := 'box';
begin
    open box no scroll for execute current_setting('sql_box.statement');
end
$box$
"""


class SqlBoxError(RevenueError):
    """The statement cannot even be started."""

    code = "sql_box"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a statement returned; dates, arrays and such are text, as the database writes them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    is_cut: bool  # there are more rows
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a statement returned nothing; line and column start at 1."""

    kind: Literal["cancelled", "timeout", "error"]
    message: str
    hint: str | None = None
    line: int | None = None
    column: int | None = None


class Statement:
    """A statement on its way; `outcome` is there once it is over."""

    def __init__(
        self,
        url: str,
        text: str,
        *,
        rows: int = ROWS,
        seconds: float = SQL_BOX.statement_seconds,
        unwatched_seconds: float = _UNWATCHED_SECONDS,
    ) -> None:
        self.text = text
        self.outcome: Result | Failure | None = None
        self._url = url
        self._rows = rows
        self._limit = seconds
        self._unwatched = unwatched_seconds
        self._began = self._seen = time.monotonic()
        self._over = threading.Event()
        self._cancelled: Literal["cancelled", "timeout"] | None = None
        self._connection: Any = None

    def start(self) -> None:
        """Begin, without waiting.

        Raises SqlBoxError when too many statements run.
        """
        if not _SLOTS.acquire(blocking=False):
            raise SqlBoxError(
                f"{SQL_BOX.connections} statements run already: wait for one to end, or cancel it"
            )
        for work, name in ((self._run, "sql-box"), (self._watch, "sql-box-watch")):
            threading.Thread(target=work, name=name, daemon=True).start()

    def cancel(self) -> None:
        """End the statement on the server; does nothing once it is over."""
        self._end("cancelled")

    def seen(self) -> None:
        """Say that somebody still waits for it."""
        self._seen = time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; return whether it is over."""
        return self._over.wait(seconds)

    @property
    def is_running(self) -> bool:
        return not self._over.is_set()

    @property
    def seconds(self) -> float:
        """Return for how long it has been running."""
        return time.monotonic() - self._began

    def _end(self, why: Literal["cancelled", "timeout"]) -> None:
        if self._over.is_set():
            return
        self._cancelled = self._cancelled or why
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(psycopg2.Error):
                connection.cancel()

    def _watch(self) -> None:
        """End it at its limit, or when nobody looks; again and again, a cancel may come between."""
        while not self._over.wait(0.25):
            now = time.monotonic()
            if self._cancelled is not None:
                self._end(self._cancelled)
            elif now - self._began > self._limit + _GRACE_SECONDS:
                self._end("timeout")
            elif now - self._seen > self._unwatched:
                self._end("cancelled")

    def _run(self) -> None:
        try:
            self.outcome = self._result()
        except psycopg2.Error as error:
            self.outcome = self._failure(error)
        except Exception as error:  # noqa: BLE001 - a thread has nobody who could catch it
            self.outcome = Failure(kind="error", message=mask(str(error)))
        finally:
            if self._connection is not None:
                with contextlib.suppress(psycopg2.Error):
                    self._connection.close()
            _SLOTS.release()
            self._over.set()

    def _result(self) -> Result:
        self._connection = connection = psycopg2.connect(
            **_parameters(self._url),
            application_name="revenue SQL box",
            connect_timeout=5,
            keepalives_idle=30,
            tcp_user_timeout=60_000,
            options="-c timezone=UTC -c datestyle=ISO,YMD -c client_min_messages=error "
            f"-c statement_timeout={round(self._limit * 1000)}",
        )
        connection.set_session(readonly=True)
        _as_text(connection)
        with connection.cursor() as cursor:
            cursor.execute(queries.load("queries/reporting")["is_mere_reader"])
            if cursor.fetchone() != (True,):
                raise SqlBoxError(
                    "the role of REVENUE_SQL_BOX_URL may do more than read gold: the SQL box does "
                    f"not use it. `revenue migrate` makes the role {SQL_BOX.name}"
                )
            # the text is a value here, bound like any other: it cannot end the command around it
            cursor.execute("set local sql_box.statement = %s", [self.text])
            cursor.execute(_OPEN)
            found: Result = self._fetched(cursor)
            return found

    def _fetched(self, cursor: Any) -> Result:
        """Take rows in portions, up to the limit of rows and until they are too large together."""
        rows: list[tuple[Any, ...]] = []
        size, portion = 0, 1
        is_cut = False
        while True:
            if self._cancelled is not None:
                raise _CANCELLED
            cursor.execute("fetch forward %s from box", [portion])
            found = cursor.fetchall()
            size += sum(len(str(cell)) for row in found for cell in row)
            rows += [tuple(_short(cell) for cell in row) for row in found]
            if len(rows) > self._rows or (size > _BYTES and len(found) == portion):
                is_cut = True
            if is_cut or len(found) < portion:
                break
            average = max(1, size // len(rows))
            portion = max(1, min(_PORTION, self._rows + 1 - len(rows), _BYTES // average))
        return Result(
            columns=_different([column.name for column in cursor.description or ()]),
            rows=tuple(rows[: self._rows]),
            is_cut=is_cut,
            seconds=self.seconds,
        )

    def _failure(self, error: psycopg2.Error) -> Failure:
        if isinstance(error, _CANCELLED):
            why = self._cancelled or "timeout"
            said = {
                "cancelled": "The statement was cancelled.",
                "timeout": f"The statement was ended after {self._limit:g} seconds.",
            }
            return Failure(kind=why, message=said[why])
        diagnosis = error.diag
        message = diagnosis.message_primary or str(error).strip() or "the connection was lost"
        if error.pgcode == "42P11":  # no cursor can be opened for it
            message = (
                "The SQL box takes one statement that returns rows: select, with, values, table, "
                f"explain or show ({message})"
            )
        line = column = None
        position = diagnosis.internal_position or diagnosis.statement_position
        if position and diagnosis.internal_query == self.text:
            before = self.text[: int(position) - 1]
            line = before.count("\n") + 1
            column = len(before) - (before.rfind("\n") + 1) + 1
        hint = " ".join(text for text in (diagnosis.message_detail, diagnosis.message_hint) if text)
        return Failure(
            kind="error", message=mask(message), hint=mask(hint) or None, line=line, column=column
        )


def _parameters(url: str) -> dict[str, Any]:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SqlBoxError(
            "REVENUE_SQL_BOX_URL must be `postgresql://sql_box:password@host/database`"
        ) from None
    return {**parsed.query, **parsed.translate_connect_args(username="user", database="dbname")}


def _as_text(connection: Any) -> None:
    """Let values of types that Python holds only in part (dates, arrays, JSON) arrive as text."""
    oids = tuple(set(extensions.string_types) - _PLAIN_TYPES)
    as_text = extensions.new_type(oids, "AS_TEXT", lambda value, _: value)
    extensions.register_type(as_text, connection)


def _short(cell: Any) -> Any:
    if isinstance(cell, str) and len(cell) > _CELL_CHARACTERS:
        return cell[:_CELL_CHARACTERS] + "…"
    return cell


def _different(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of columns, those that came before with a number."""
    found: list[str] = []
    for name in names:
        shown, number = name, 1
        while shown in found:
            number += 1
            shown = f"{name} ({number})"
        found.append(shown)
    return tuple(found)
