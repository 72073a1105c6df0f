r"""Named SQL: `sql/<folder>/<subject>.sql` holds queries, each below a line `-- name: <name>`.

Parameters are written `:name`, which both psql (`\set`) and SQLAlchemy understand; values are
always bound, never pasted. A line `-- with: <name>` says that the query selects from another one of
its file, which `load` puts before it; so filters that several queries share are written once.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.engine import CursorResult

SQL = Path(__file__).resolve().parents[2] / "sql"
_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$", re.MULTILINE)
_SHARED = re.compile(r"^-- with: ([a-z][a-z0-9_]*)\n(with )?", re.MULTILINE)


@cache
def load(subject: str) -> dict[str, str]:
    """Return the queries of `sql/<subject>.sql` by name, in the file's order."""
    parts = _NAME.split((SQL / f"{subject}.sql").read_text(encoding="utf-8"))
    bodies = {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}

    def shared(found: re.Match[str]) -> str:
        query = bodies[found[1]].rstrip(";")
        return f"with {found[1]} as (\n{query}\n)" + (",\n" if found[2] else "\n")

    return {name: _SHARED.sub(shared, body) for name, body in bodies.items()}


def sentence(subject: str, name: str) -> str:
    """Return the comment that describes the query."""
    lines = load(subject)[name].splitlines()
    return " ".join(line.removeprefix("--").strip() for line in lines if line.startswith("--"))


def execute(connection: Connection, name: str, /, **parameters: Any) -> CursorResult[Any]:
    """Run the query `<subject>.<name>`, such as `queries/runs.claim`."""
    subject, _, query = name.rpartition(".")
    return connection.execute(text(load(subject)[query]), parameters)


def rows(connection: Connection, name: str, /, **parameters: Any) -> list[dict[str, Any]]:
    """Return every row of the query."""
    return [dict(row) for row in execute(connection, name, **parameters).mappings()]


def row(connection: Connection, name: str, /, **parameters: Any) -> dict[str, Any] | None:
    """Return the first row of the query, if any."""
    found = execute(connection, name, **parameters).mappings().first()
    return dict(found) if found is not None else None


def value(connection: Connection, name: str, /, **parameters: Any) -> Any:
    """Return the first column of the first row, None without rows."""
    return execute(connection, name, **parameters).scalar()


def stream(connection: Connection, statement: str, /, **parameters: Any) -> CursorResult[Any]:
    """Run a statement made from a declaration with a server-side cursor."""
    return connection.execution_options(stream_results=True, max_row_buffer=10_000).execute(
        text(statement), parameters
    )


def composed(connection: Connection, statement: str, /, **parameters: Any) -> list[dict[str, Any]]:
    """Return every row of a statement made of a catalogue's fragments; values are bound."""
    return [dict(row) for row in connection.execute(text(statement), parameters).mappings()]
