"""Search over the whole log, quick also when it has millions of lines.

Lines are taken in pages by their number, so that a page far back costs no more than the first.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from etl.db import queries
from etl.export import defused

COUNT_LIMIT = 10_000
DOWNLOAD_LINES = 100_000
COLUMNS = ("at", "level", "dataset", "run_id", "step", "batch_id", "message", "context")
_END = 1 << 62
_NEAR_LINES = 20_000  # taken apart into words in well under 100 ms
_SHORTEST_PREFIX = 3
_PREFIX = re.compile(rf"[^\W\d][\w.\-/]{{{_SHORTEST_PREFIX - 1},}}")

Line = dict[str, Any]
"""A row of etl.log: log_id and COLUMNS."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What is looked for; None: everything. `since` is inclusive, `until` is not."""

    text: str | None = None
    level: str | None = None
    run_id: int | None = None
    dataset: str | None = None
    step: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        words, prefix = parse(self.text or "")
        return {
            "words": words if words or prefix else None,
            "prefix": prefix,
            "level": self.level,
            "run_id": self.run_id,
            "dataset": self.dataset,
            "step": self.step,
            "since": self.since,
            "until": self.until,
        }


@dataclass(frozen=True, kw_only=True)
class Page:
    """Lines, newest first, and where to go on."""

    lines: list[Line]
    total: int  # COUNT_LIMIT where there are more
    is_bounded: bool  # there are more than `total`
    has_older: bool
    has_newer: bool


def parse(text: str) -> tuple[str, str]:
    """Return the whole words of a search, and its last word as a tsquery that finds beginnings.

    The whole words follow the rules of a web search: "a phrase", or, -not. The last word counts as a
    beginning unless it is short, a number, or part of a phrase or an alternative.
    """
    plain = text.replace("\x00", " ").encode("utf-8", "replace").decode().strip()
    head, _, last = plain.rpartition(" ")
    is_open = (
        plain.count('"') % 2 == 0
        and _PREFIX.fullmatch(last) is not None
        and last.lower() != "or"
        and not head.rstrip().lower().endswith(" or")
        and head.strip().lower() != "or"
    )
    return (head.strip(), f"'{last.lower()}':*") if is_open else (plain, "")


def is_wordy(engine: Engine, text: str) -> bool:
    """Tell whether a text holds anything to look for; punctuation alone does not."""
    words, prefix = parse(text)
    with engine.connect() as connection:
        return bool(queries.value(connection, "queries/logs.has_words", words=words, prefix=prefix))


def page(
    engine: Engine,
    filters: Filters,
    *,
    size: int,
    before: int | None = None,
    after: int | None = None,
) -> Page:
    """Return a page of lines: those just older than `before`, just newer than `after`, or the newest."""
    parameters = filters.parameters
    with engine.begin() as connection:
        total = _count(connection, parameters)
        lines: list[Line] = []
        if total:
            if after is not None:
                found = _find(connection, parameters, total, size + 1, after=after, is_newer=True)
                # too few for a page: the newest page has them, too
                lines = found[:size][::-1] if len(found) > size else []
            if not lines:
                before = None if after is not None else before
                lines = _find(connection, parameters, total, size + 1, before=before)
                return Page(
                    lines=lines[:size],
                    total=min(total, COUNT_LIMIT),
                    is_bounded=total > COUNT_LIMIT,
                    has_older=len(lines) > size,
                    has_newer=before is not None,
                )
    return Page(
        lines=lines,
        total=min(total, COUNT_LIMIT),
        is_bounded=total > COUNT_LIMIT,
        has_older=bool(lines),
        has_newer=bool(lines),
    )


def _count(connection: Connection, parameters: Mapping[str, Any]) -> int:
    if parameters["words"] is not None:
        queries.execute(connection, "queries/logs.plan_by_words")
    found = queries.value(
        connection, "queries/logs.count_up_to", **parameters, limit=COUNT_LIMIT + 1
    )
    queries.execute(connection, "queries/logs.plan_as_usual")
    return int(found)


def _find(
    connection: Connection,
    parameters: Mapping[str, Any],
    total: int,
    limit: int,
    *,
    before: int | None = None,
    after: int = 0,
    is_newer: bool = False,
) -> list[Line]:
    """Return lines in the direction asked for.

    The server cannot know that a word is rare among the newest lines, and would walk through all of
    them: frequent words are looked for nearby first, others by the index of words alone.
    """
    query = "queries/logs.newer" if is_newer else "queries/logs.older"
    bounds = {"before": _END if before is None else before, "after": after, "limit": limit}
    if parameters["words"] is None:
        return queries.rows(connection, query, **parameters, **bounds)
    if total > COUNT_LIMIT:
        newest = int(queries.value(connection, "queries/logs.newest_id"))
        near = (
            {"before": after + _NEAR_LINES}
            if is_newer
            else {"after": min(bounds["before"], newest + 1) - _NEAR_LINES}
        )
        found = queries.rows(connection, query, **parameters, **{**bounds, **near})
        if len(found) == limit:
            return found
    queries.execute(connection, "queries/logs.plan_by_words")
    return queries.rows(connection, query, **parameters, **bounds)


def tail(engine: Engine, filters: Filters, *, size: int) -> list[Line]:
    """Return the newest lines that the filters find among the newest 20,000, newest first."""
    with engine.connect() as connection:
        newest = int(queries.value(connection, "queries/logs.newest_id"))
        return queries.rows(
            connection,
            "queries/logs.older",
            **filters.parameters,
            before=_END,
            after=newest - _NEAR_LINES,
            limit=size,
        )


def one(engine: Engine, log_id: int) -> Line | None:
    """Return a line, None once it is deleted."""
    with engine.connect() as connection:
        return queries.row(connection, "queries/logs.line", log_id=log_id)


# Downloads ------------------------------------------------------------------------------


def as_csv(engine: Engine, filters: Filters) -> bytes:
    """Return the newest 100,000 lines as a CSV file that no spreadsheet takes for formulas."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(["time", *COLUMNS[1:]])
    for line in _export(engine, filters):
        writer.writerow(
            [
                "" if cell is None else defused(cell if isinstance(cell, str) else str(cell))
                for cell in _flat(line)
            ]
        )
    return buffer.getvalue().encode("utf-8-sig", "replace")


def _flat(line: Line) -> list[Any]:
    cells = {**line, "at": line["at"].isoformat(), "context": json.dumps(line["context"])}
    return [cells[name] for name in COLUMNS]


def as_json_lines(engine: Engine, filters: Filters) -> bytes:
    """Return the newest 100,000 lines in the form of the log files: one JSON object a line."""
    buffer = io.StringIO()
    for line in _export(engine, filters):
        whole = {
            "time": line["at"].isoformat(timespec="milliseconds"),
            "level": line["level"],
            "dataset": line["dataset"],
            "run": line["run_id"],
            "step": line["step"],
            "batch": line["batch_id"],
            "message": line["message"],
            **line["context"],
        }
        buffer.write(json.dumps(whole) + "\n")
    return buffer.getvalue().encode()


def _export(engine: Engine, filters: Filters) -> Iterator[Line]:
    """Yield lines, newest first, from a cursor on the server."""
    parameters = filters.parameters
    with engine.connect() as connection:
        if parameters["words"] is not None:
            queries.execute(connection, "queries/logs.plan_by_words")
        found = queries.execute(
            connection.execution_options(stream_results=True, max_row_buffer=5_000),
            "queries/logs.older",
            **parameters,
            before=_END,
            after=0,
            limit=DOWNLOAD_LINES,
        )
        for row in found.mappings():
            yield dict(row)
