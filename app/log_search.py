"""Search over the whole log, quick also when it has millions of lines.

Lines are taken in pages by their number, so that a page far back costs no more than the first.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from etl.db import queries
from etl.export import defused

COUNT_LIMIT = 1_000
DOWNLOAD_LINES = 100_000
COLUMNS = ("at", "level", "dataset", "run_id", "step", "batch_id", "message", "context")
_END = 1 << 62
_NEAR_LINES = 10_000  # taken apart into words in a few hundredths of a second
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
    with engine.begin() as connection:
        search = _Search(connection, filters)
        lines: list[Line] = []
        is_newest = before is None and after is None
        if search.total and after is not None:
            found = search.newer(after, size + 1)
            is_newest = len(found) <= size  # too few for a page: the newest page has them, too
            lines = [] if is_newest else [*reversed(found[:size])]
        if search.total and (is_newest or before is not None):
            lines = search.older(_END if is_newest or before is None else before, size + 1)
        return Page(
            lines=lines[:size],
            total=min(search.total, COUNT_LIMIT),
            is_bounded=search.total > COUNT_LIMIT,
            has_older=len(lines) > size or (after is not None and not is_newest),
            has_newer=not is_newest,
        )


class _Search:
    """One search in one transaction.

    The server cannot know how a word is spread over the log, and would walk through all lines in
    order to find the newest that hold a rare one. So a word is looked for among the newest lines
    first, where a frequent one turns up at once, and then by the index of words alone.
    """

    def __init__(self, connection: Connection, filters: Filters) -> None:
        self._connection = connection
        self._parameters = filters.parameters
        self._has_words = self._parameters["words"] is not None
        self._newest = int(queries.value(connection, "queries/logs.newest_id"))
        self.total = 0
        if self._has_words:
            self.total = self._count(after=self._newest - _NEAR_LINES)
        if self.total <= COUNT_LIMIT:
            if self._has_words:
                queries.execute(connection, "queries/logs.plan_by_words")
            self.total = self._count(after=0)
            queries.execute(connection, "queries/logs.plan_as_usual")

    def _count(self, *, after: int) -> int:
        return int(
            queries.value(
                self._connection,
                "queries/logs.count_up_to",
                **self._parameters,
                after=after,
                limit=COUNT_LIMIT + 1,
            )
        )

    def older(self, before: int, limit: int) -> list[Line]:
        """Return lines below `before`, newest first."""
        near = min(before, self._newest + 1) - _NEAR_LINES
        return self._find("older", limit, (0, before), (near, before))

    def newer(self, after: int, limit: int) -> list[Line]:
        """Return lines above `after`, oldest first."""
        return self._find("newer", limit, (after, _END), (after, after + _NEAR_LINES))

    def _find(
        self, query: str, limit: int, whole: tuple[int, int], near: tuple[int, int]
    ) -> list[Line]:
        if not self._has_words:
            return self._read(query, limit, whole)
        if self.total > COUNT_LIMIT:
            found = self._read(query, limit, near)
            if len(found) == limit:
                return found
        queries.execute(self._connection, "queries/logs.plan_by_words")
        return self._read(query, limit, whole)

    def _read(self, query: str, limit: int, between: tuple[int, int]) -> list[Line]:
        return queries.rows(
            self._connection,
            f"queries/logs.{query}",
            **self._parameters,
            after=between[0],
            before=between[1],
            limit=limit,
        )


def tail(engine: Engine, filters: Filters, *, size: int) -> list[Line]:
    """Return the newest lines that the filters find among the newest 10,000, newest first."""
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
