"""COPY: Arrow columns become COPY text, streamed to the server by a thread."""

from __future__ import annotations

import contextlib
import io
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from etl.db.connect import raw_cursor

_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))
_DEPTH = 2  # buffers waiting for the server: bounds memory


Columns = Sequence[pa.Array | pa.Scalar]
"""String columns; a scalar, which may not come first alone, stands in every row."""


def copy_text(columns: Columns) -> bytes:
    r"""Return the rows as COPY text, one line a row, null as `\\N`."""
    first, *others = (
        column if isinstance(column, pa.Scalar) else _field(column) for column in columns
    )
    # a newline before each row instead of behind it saves a copy of everything where a scalar leads
    first = (
        pa.scalar(f"\n{first.as_py()}")
        if isinstance(first, pa.Scalar)
        else pc.binary_join_element_wise("\n", first, "")
    )
    lines = pc.binary_join_element_wise(first, *others, "\t") if others else first
    return _contiguous(lines)


def _field(column: pa.Array) -> pa.Array:
    data = column.buffers()[2]
    # one search in all the values is much faster than one in each
    text = b"" if data is None else data.to_pybytes()
    for plain, escaped in _ESCAPES:
        if plain.encode() in text:
            column = pc.replace_substring(column, plain, escaped)
    return pc.fill_null(column, "\\N") if column.null_count else column


def _contiguous(lines: pa.Array) -> bytes:
    """Return the values of a string array one after another, without the newline at the front."""
    if not len(lines):
        return b""
    chunk = lines.combine_chunks() if isinstance(lines, pa.ChunkedArray) else lines
    offsets = memoryview(chunk.buffers()[1]).cast(
        "q" if pa.types.is_large_string(chunk.type) else "i"
    )
    start, end = offsets[chunk.offset], offsets[chunk.offset + len(chunk)]
    return b"".join((memoryview(chunk.buffers()[2])[start + 1 : end], b"\n"))


class CopyStream:
    """COPYs text into tables of one transaction, in order, by a thread of its own."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._waiting: queue.Queue[tuple[str, Columns] | None] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="copy", daemon=True)
        self._thread.start()

    def write(self, target: str, columns: Columns) -> None:
        """Hand rows on for `target`, a table of ours with its columns."""
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._waiting.put((target, columns), timeout=0.2)
            except queue.Full:
                continue
            return

    def close(self) -> None:
        """Wait until the server has everything; raise what went wrong there."""
        self.abort()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """Let the thread end; the caller rolls the transaction back."""
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=0.05)
                break
        self._thread.join()

    def _run(self) -> None:
        try:
            while (item := self._waiting.get()) is not None:
                target, columns = item
                text = copy_text(columns)
                self._cursor.copy_expert(f"copy {target} from stdin", io.BytesIO(text), len(text))
        except BaseException as error:  # noqa: BLE001 - handed to the writer, raised there
            self._error = error


@contextlib.contextmanager
def copying(connection: Connection) -> Iterator[CopyStream]:
    """Open a stream of COPYs inside the connection's transaction.

    Nothing else may use the connection until the block ends.
    """
    with contextlib.closing(raw_cursor(connection)) as cursor:
        stream = CopyStream(cursor)
        try:
            yield stream
        except BaseException:
            stream.abort()
            raise
        stream.close()
