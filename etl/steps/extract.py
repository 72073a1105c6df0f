"""Extract: the records of a file go to raw, exactly as received, all or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

from etl import failpoints, landing, readers
from etl.db import queries
from etl.db.copy_stream import copying
from etl.errors import UnreadableFileError
from etl.model import Batch, Step

if TYPE_CHECKING:
    from etl.execution import Execution

Take = Callable[[int, int, Sequence[bytes]], None]
"""Called with batch_id, position of the first record, records."""

_READ_ROWS = 10_000


def extract(execution: Execution, batch: Batch, take: Take) -> int:
    """Copy the batch's file into raw and hand each chunk on; return the number of records.

    Raises UnreadableFileError (nothing is kept then), FileChangedError.
    """
    target = f"{execution.dataset.raw_table} (batch_id, position, record, insert_date)"
    count = 0
    with execution.transaction() as connection:
        queries.execute(connection, "queries/batches.lock_dataset", dataset=batch.dataset)
        insert_date = queries.value(
            connection, "queries/batches.next_insert_date", dataset=batch.dataset
        )
        batch_id, stamp = pa.scalar(str(batch.batch_id)), pa.scalar(insert_date.isoformat())
        chunks = _repaired if batch.kind == "correction" else _of_file
        with copying(connection) as raw:
            for chunk in chunks(execution, batch):
                execution.check()
                first, records = chunk.first, chunk.records
                positions = pa.array(range(first, first + len(records))).cast(pa.string())
                payload = pa.array(records, pa.binary()).cast(pa.string())
                raw.write(target, [batch_id, positions, payload, stamp])
                take(batch.batch_id, first, records)
                count += len(records)
                failpoints.hit("extract.in_copy")
                # as many records a byte as so far
                expected = max(count, count * batch.file_bytes // max(chunk.bytes_read, 1))
                execution.read_so_far(count, chunk.bytes_read)
                execution.progress(Step.EXTRACT, count, expected, activity="reading the file")
                execution.progress(Step.LOAD, count, expected, activity="judging")
        if count == 0:
            raise UnreadableFileError("the file holds no records", code="empty")
        queries.execute(
            connection,
            "queries/batches.extracted",
            batch_id=batch.batch_id,
            insert_date=insert_date,
            records=count,
            run_id=execution.run_id,
        )
        execution.checkpoint(connection, Step.EXTRACT, count)
        failpoints.hit("extract.before_commit")
    execution.finished(Step.EXTRACT, count)
    failpoints.hit("extract.after_commit")
    return count


def _of_file(execution: Execution, batch: Batch) -> Iterator[readers.Chunk]:
    assert batch.stored_name is not None
    with landing.open_batch(execution.settings, batch.stored_name) as file:
        yield from readers.read_chunks(
            cast("BinaryIO", file),
            name=batch.file_name,
            limits=landing.limits(execution.settings),
        )
        file.verify(batch.sha256)


def _repaired(execution: Execution, batch: Batch) -> Iterator[readers.Chunk]:
    """Yield the edited records of a repair."""
    first, size = 1, 0
    with execution.reading() as connection:
        found = queries.stream(
            connection, queries.load("queries/repairs")["records"], batch_id=batch.batch_id
        )
        for partition in found.partitions(_READ_ROWS):
            records = [row[0].encode() for row in partition]
            size += sum(map(len, records))
            yield readers.Chunk(first=first, records=records, bytes_read=size)
            first += len(records)


def replay(execution: Execution, batches: Sequence[Batch], take: Take, *, done: int = 0) -> int:
    """Read the records of batches from raw again and hand them on.

    `done` records were handed on before; returns how many were now.
    """
    total = done + sum(batch.records or 0 for batch in batches)
    for batch in batches:
        with execution.reading() as connection:
            found = queries.stream(
                connection,
                f"select record from {execution.dataset.raw_table} "
                "where batch_id = :batch_id order by position",
                batch_id=batch.batch_id,
            )
            first = 1
            for partition in found.partitions(_READ_ROWS):
                execution.check()
                records = [row[0].encode() for row in partition]
                take(batch.batch_id, first, records)
                first += len(records)
                done += len(records)
                execution.progress(Step.LOAD, done, total, activity="judging")
    return done
