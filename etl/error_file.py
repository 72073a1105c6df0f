"""The file of open invalid records of a feed: JSON with `dq_errors`, or CSV with err_ columns.

It is written anew only where something in it changed; a run that only adds invalid records appends.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from sqlalchemy import Connection

from etl import readers
from etl.db import queries
from etl.db.connect import raw_cursor
from etl.export import defused

if TYPE_CHECKING:
    from etl.model import Dataset

_MANY = 10_000  # records from which reading raw once beats looking each record up
_END = b"]\n"

Held = dict[str, int]
"""What the file holds, by the names of etl.error_file."""


def renew(connection: Connection, dataset: Dataset, path: Path) -> Held:
    """Bring the file up to date; return what it holds, to be stored with `remember`.

    `connection` is in no transaction yet. A temporary file takes the place of the file, so that a
    reader never sees half of it.
    """
    connection.execution_options(isolation_level="REPEATABLE READ")
    with connection.begin():
        held = queries.row(connection, "queries/quality.error_file_state", dataset=dataset.name)
        wanted = queries.row(
            connection,
            "queries/quality.open_items",
            dataset=dataset.name,
            last_id=held["last_id"] if held else 0,
        )
        assert wanted is not None
        known = {name: wanted.pop(f"known_{name}") for name in ("records", "digest")}
        keeps = (
            held is not None
            and path.is_file()
            and path.stat().st_size == held["bytes"]
            and known == {name: held[name] for name in known}
        )
        part = path.with_name(f".{path.name}.part")
        added = wanted["records"] - (known["records"] if keeps else 0)
        if keeps and not added:
            return {**wanted, "bytes": path.stat().st_size}
        _prefer_hashing(connection, added)
        if keeps:
            shutil.copyfile(path, part)
        with part.open("r+b" if keeps else "wb") as file:
            file.seek(0, io.SEEK_END)
            write = _write_json if path.suffix == ".json" else _write_csv
            write(connection, dataset, file, after=held["last_id"] if keeps and held else 0)
        part.replace(path)
        return {**wanted, "bytes": path.stat().st_size}


def remember(connection: Connection, dataset: Dataset, held: Held) -> None:
    queries.execute(connection, "queries/quality.error_file_written", dataset=dataset.name, **held)


def _prefer_hashing(connection: Connection, records: int) -> None:
    # what was just loaded has no statistics yet, so the planner would look up each record
    if records > _MANY:
        connection.exec_driver_sql("set local enable_nestloop = off")
        connection.exec_driver_sql("set local work_mem = '256MB'")


class _WithoutFirst:
    """Drops the comma before the first element, so that no row needs to know its place."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._started = False

    def write(self, block: bytes) -> int:
        self._write(block if self._started else block[1:])
        self._started = True
        return len(block)


def _write_json(connection: Connection, dataset: Dataset, file: BinaryIO, *, after: int) -> None:
    if file.tell():
        file.seek(-len(_END), io.SEEK_END)
        is_first = file.tell() == len(b"[\n")
    else:
        file.write(b"[\n")
        is_first = True
    # an odd quote and delimiter keep COPY from touching the JSON; neither can stand in it
    with raw_cursor(connection) as cursor:
        cursor.copy_expert(
            f"""
            copy (
                select ',{{"dq_errors": ' || to_json(q.dq_errors) || case
                    when not starts_with(r.record, '{{')
                        then ', "record": ' || replace(replace(r.record, E'\\n', ' '), E'\\r', ' ') || '}}'
                    when octet_length(r.record) < 100 and r.record ~ '^\\{{\\s*\\}}$' then '}}'
                    else ', ' || substr(replace(replace(r.record, E'\\n', ' '), E'\\r', ' '), 2)
                end
                from dq.quarantine q
                join {dataset.raw_table} r using (batch_id, position)
                where q.dataset = '{dataset.name}' and q.status = any(dq.unfinished())
                    and q.quarantine_id > {after:d}
                order by q.quarantine_id
            ) to stdout (format csv, quote E'\\x01', escape E'\\x01', delimiter E'\\x02')
            """,
            _WithoutFirst(file.write) if is_first else file,
        )
    file.write(_END)
    file.truncate()


def _write_csv(connection: Connection, dataset: Dataset, file: BinaryIO, *, after: int) -> None:
    names = [name for column in dataset.columns for name in [column.paths[0].rpartition(".")[2]]]
    judged = sorted(
        {rule.column for rule in dataset.rules if rule.severity == "reject"},
        key=dataset.column_names.index,
    )
    is_new = file.tell() == 0
    text = io.TextIOWrapper(
        cast("io.BufferedWriter", file), encoding="utf-8", newline="", write_through=True
    )
    writer = csv.writer(text, lineterminator="\n")
    if is_new:
        writer.writerow([*names, "insert_date", *(f"err_{column}" for column in judged)])
    for row in queries.stream(
        connection,
        f"""
        select r.record, r.insert_date, (
            select jsonb_object_agg(e.column_name, e.messages) from (
                select d.column_name, string_agg(d.message, '; ' order by d.ordinal) as messages
                from dq.violation v join dq.rule d using (rule_id)
                where v.batch_id = q.batch_id and v.position = q.position and v.severity = 'reject'
                group by d.column_name
            ) e
        ) as errors, q.dq_errors
        from dq.quarantine q join {dataset.raw_table} r using (batch_id, position)
        where q.dataset = :dataset and q.status = any(dq.unfinished())
            and q.quarantine_id > :after
        order by q.quarantine_id
        """,
        dataset=dataset.name,
        after=after,
    ):
        fields = _fields(row.record)
        errors = row.errors or {judged[0]: row.dq_errors}
        writer.writerow(
            [_cell(fields.get(name)) for name in names]
            + [row.insert_date.isoformat(sep=" ")]
            + [errors.get(column, "") for column in judged]
        )
    text.detach()


def _fields(record: str) -> dict[str, object]:
    value = readers.decode(record.encode())
    return value if isinstance(value, dict) else {}


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return "" if value is None else defused(str(value))
