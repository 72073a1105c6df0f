"""Archive: the file of invalid records is renewed, and files leave the landing zone."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from etl import failpoints, landing, readers
from etl.db import queries
from etl.db.connect import raw_cursor
from etl.export import defused
from etl.model import Step

if TYPE_CHECKING:
    from etl.execution import Execution
    from etl.model import Dataset


def archive(execution: Execution, *, renew_error_file: bool) -> int:
    """Move the files of finished batches, record it; return how many moved."""
    settings, dataset = execution.settings, execution.dataset
    with execution.engine.connect() as connection:
        rows = queries.rows(connection, "queries/batches.to_archive", dataset=dataset.name)
    moved = []
    for row in rows:
        execution.check()
        stored = row["stored_name"]
        failpoints.hit("archive.before_move")
        if stored is not None:
            folder = settings.rejected if row["status"] == "rejected" else settings.processed
            landing.move(settings.landing / stored, folder / stored)
            if row["status"] == "rejected":
                landing.write_reason(
                    folder / stored, row["reason_detail"] or {"message": row["reason"]}
                )
        moved.append(row)
        execution.progress(Step.ARCHIVE, len(moved), len(rows), activity="moving files")
        failpoints.hit("archive.after_move")
    if renew_error_file:
        failpoints.hit("archive.before_error_file")
        execution.progress(
            Step.ARCHIVE, len(moved), len(rows), activity=f"writing {dataset.error_file}"
        )
        with execution.reading() as connection:
            write_error_file(connection, dataset, settings.logs / dataset.error_file)
    with execution.transaction() as connection:
        for row in moved:
            queries.execute(
                connection,
                "queries/batches.archived",
                batch_id=row["batch_id"],
                stored_name=row["stored_name"],
            )
        execution.checkpoint(connection, Step.ARCHIVE, len(moved))
        failpoints.hit("archive.before_commit")
    failpoints.hit("archive.after_commit")
    return len(moved)


def write_error_file(connection: Connection, dataset: Dataset, path: Path) -> None:
    """Write all open invalid records of the feed: JSON with `dq_errors`, or CSV with err_ columns.

    Streamed by COPY into a temporary file that then takes the place of the old one.
    """
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        if path.suffix == ".json":
            _write_json(connection, dataset, file)
        else:
            _write_csv(connection, dataset, file)
    part.replace(path)


class _WithoutFirst:
    """Drops the comma before the first element, so that no row needs to know its place."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self._started = False

    def write(self, block: bytes) -> int:
        self._file.write(block if self._started else block[1:])
        self._started = True
        return len(block)


def _write_json(connection: Connection, dataset: Dataset, file: io.BufferedWriter) -> None:
    # an odd quote and delimiter keep COPY from touching the JSON; neither can stand in it
    file.write(b"[\n")
    with raw_cursor(connection) as cursor:
        cursor.copy_expert(
            f"""
            copy (
                select ',' || case
                    when octet_length(r.record) < 100 and r.record ~ '^\\{{\\s*\\}}$' then '{{'
                    when left(r.record, 1) = '{{'
                        then rtrim(left(replace(replace(r.record, E'\\n', ' '), E'\\r', ' '), -1)) || ', '
                    else '{{"record": ' || replace(replace(r.record, E'\\n', ' '), E'\\r', ' ') || ', '
                end || '"dq_errors": ' || to_json(q.dq_errors) || '}}'
                from dq.quarantine q
                join {dataset.raw_table} r using (batch_id, position)
                where q.dataset = '{dataset.name}' and q.status in ('open', 'assigned')
                order by q.status, q.quarantine_id
            ) to stdout (format csv, quote E'\\x01', escape E'\\x01', delimiter E'\\x02')
            """,
            _WithoutFirst(file),
        )
    file.write(b"]\n")


def _write_csv(connection: Connection, dataset: Dataset, file: io.BufferedWriter) -> None:
    names = [name for column in dataset.columns for name in [column.paths[0].rpartition(".")[2]]]
    judged = sorted(
        {rule.column for rule in dataset.rules if rule.severity == "reject"},
        key=dataset.column_names.index,
    )
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
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
        where q.dataset = :dataset and q.status in ('open', 'assigned')
        order by q.status, q.quarantine_id
        """,
        dataset=dataset.name,
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
