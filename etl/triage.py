"""The queue of invalid records: one record whole, and exports for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from etl import datasets, readers
from etl.db import queries
from etl.errors import RevenueError
from etl.export import defused
from etl.triage_states import Filters

_COLUMNS = (
    "quarantine_id",
    "dataset",
    "status",
    "file_name",
    "batch_id",
    "position",
    "record_key",
    "dq_errors",
    "record",
)


def show(connection: Connection, quarantine_id: int) -> dict[str, Any]:
    """Return one invalid record: its queue item, violations and JSON text as received.

    Raises RevenueError when there is none.
    """
    item = queries.row(connection, "queries/triage.one", quarantine_id=quarantine_id)
    if item is None:
        raise RevenueError(
            f"there is no invalid record {quarantine_id}; `revenue quarantine list` shows them",
            code="unknown_record",
        )
    dataset = datasets.get(item["dataset"])
    record = connection.execute(
        text(
            f"select record from {dataset.raw_table} "
            "where batch_id = :batch_id and position = :position"
        ),
        {"batch_id": item["batch_id"], "position": item["position"]},
    ).scalar()
    violations = queries.rows(
        connection,
        "queries/triage.violations",
        batch_id=item["batch_id"],
        position=item["position"],
    )
    return {**item, "record": record, "violations": violations}


def export(connection: Connection, filters: Filters) -> Iterator[dict[str, Any]]:
    """Yield the invalid records that the filters find, with reasons and JSON text as received.

    Oldest first within a feed. Each row also has the version of its item.
    """
    matching = queries.load("queries/triage")["matching"].rstrip(";")
    for declared in datasets.declared().values():
        if filters.dataset not in {None, declared.name}:
            continue
        for row in queries.stream(
            connection,
            f"""
            with matching as ({matching})
            select m.quarantine_id, m.dataset, m.status, b.file_name, m.batch_id, m.position,
                m.record_key, m.dq_errors, m.version, r.record
            from matching m
            join etl.batch b using (batch_id)
            join {declared.raw_table} r using (batch_id, position)
            order by m.quarantine_id
            """,
            **{**filters.parameters, "dataset": declared.name},
        ).mappings():
            yield dict(row)


def as_csv(records: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a CSV file that no spreadsheet takes for formulas."""
    yield _line(_COLUMNS)
    for record in records:
        yield _line([_cell(record[name]) for name in _COLUMNS])


def _line(cells: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()


def _cell(value: object) -> str:
    return "" if value is None else defused(str(value))


def as_json(records: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield a JSON array of objects: queue item, reasons, and the record itself."""
    opening = "[\n"
    for record in records:
        item = {name: record[name] for name in _COLUMNS}
        item["record"] = readers.decode(record["record"].encode())
        yield opening + json.dumps(item, default=str)
        opening = ",\n"
    yield "\n]\n" if opening == ",\n" else "[]\n"


def export_to(
    connection: Connection, path: Path, *, dataset: str | None, status: str | None
) -> int:
    """Write an export to `path` (.csv or .json); return the number of records.

    Raises RevenueError for another ending, or when the file cannot be written.
    """
    formats = {".csv": as_csv, ".json": as_json}
    if path.suffix.lower() not in formats:
        raise RevenueError(f"{path.name} must end in .csv or .json", code="export")
    count = 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal count
        states = None if status is None else (status,)
        for record in export(connection, Filters(dataset=dataset, states=states)):
            count += 1
            yield record

    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(formats[path.suffix.lower()](counted()))
        part.replace(path)
    except OSError as error:
        raise RevenueError(f"{path} cannot be written: {error.strerror}", code="export") from error
    return count
