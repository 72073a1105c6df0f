"""The stage: judged records on their way from raw to silver and quarantine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from etl import validate
from etl.db import tables
from etl.db.copy_stream import CopyStream, copy_into, copy_text
from etl.model import Dataset, Rule
from etl.received import UNSTORABLE

_KEY_SHOWN = 200


class Stage:
    """A temporary table of the load's transaction, filled chunk by chunk, one batch or several."""

    def __init__(self, connection: Connection, dataset: Dataset, rules: Sequence[Rule]) -> None:
        self._connection = connection
        self._dataset = dataset
        self._rules = rules
        self._stream: CopyStream | None = None
        self.judged: dict[int, tuple[int, int]] = {}  # valid and invalid records, by batch

    @contextlib.contextmanager
    def filling(self) -> Iterator[None]:
        """Create the table and take records until the block ends."""
        tables.create_stage(self._connection, self._dataset)
        columns = (*tables.STAGE_COLUMNS, *self._dataset.column_names)
        with copy_into(self._connection, tables.STAGE, columns) as stream:
            self._stream = stream
            yield
        self._connection.exec_driver_sql(f"analyze {tables.STAGE}")

    def add(self, batch_id: int, first: int, records: Sequence[bytes]) -> None:
        """Judge records of a batch, the first of which stands at position `first` of its file."""
        assert self._stream is not None
        judged = validate.judge(records, self._dataset, self._rules)
        valid = pc.is_null(judged.dq_errors)
        good = judged.dq_errors.null_count
        before = self.judged.get(batch_id, (0, 0))
        self.judged[batch_id] = (before[0] + good, before[1] + judged.count - good)
        nothing = pa.scalar(None, pa.string())
        key = judged.columns[self._dataset.key]
        shown = pc.utf8_slice_codeunits(
            pc.replace_substring(key, UNSTORABLE, "\ufffd"), 0, _KEY_SHOWN
        )
        positions = pa.array(range(first, first + judged.count)).cast(pa.string())
        typed = [judged.columns[name] for name in self._dataset.column_names]
        if good < judged.count:
            # what broke a rule may not fit its type: only valid records carry typed values
            typed = [pc.if_else(valid, column, nothing) for column in typed]
        self._stream.write(
            copy_text(
                [
                    pa.scalar(str(batch_id)),
                    positions,
                    pc.if_else(valid, nothing, shown),
                    judged.dq_errors,
                    judged.rule_ids,
                    *typed,
                ]
            )
        )
