"""The stage: judged records on their way from raw to silver and quarantine."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from etl import facets, patterns, validate
from etl.db import queries, tables
from etl.db.copy_stream import CopyStream, copying
from etl.model import Dataset, Rule
from etl.received import UNSTORABLE, Received, receive

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEY_SHOWN = 200
_SWITCH_SECONDS = 0.0001
_QUARANTINE = ("dataset", "batch_id", "position", "record_key", "dq_errors", "rule_set")
_CAUSE = "dq.cause (batch_id, position, rule_id, column_name, pattern, value, worth)"
_VIOLATION = "dq.violation (batch_id, position, rule_id, rule_version, severity)"


class Stage:
    """Takes records of one batch or several, chunk by chunk, in the load's transaction.

    Valid records go to the temporary table `stage`. Violations, causes and invalid records go to
    where they stay, while the next chunk is judged; with `again` (batches that were judged before),
    invalid records go to the temporary table `refused`, because they may stand in the queue already.
    A trial leaves everything that stays as it is: violations are counted, not written.
    """

    def __init__(
        self,
        connection: Connection,
        dataset: Dataset,
        rules: Sequence[Rule],
        rule_set: str,
        *,
        again: Sequence[int] = (),
        is_trial: bool = False,
    ) -> None:
        self._connection = connection
        self._dataset = dataset
        self._rules = rules
        self._again = list(again)
        self._is_trial = is_trial
        self._stream: CopyStream | None = None
        self._judges: ThreadPoolExecutor | None = None
        self._verdicts: Future[None] | None = None  # of the records taken last
        self._rule_set = pa.scalar(rule_set)
        self._ids = pa.array([str(rule.rule_id) for rule in rules], pa.string())
        self._versions = pa.array([str(rule.version) for rule in rules], pa.string())
        self._severities = pa.array([rule.severity.value for rule in rules], pa.string())
        self._staged = (
            f"{tables.STAGE} ({', '.join(('batch_id', 'position', *dataset.column_names))})"
        )
        table = tables.REFUSED if again or is_trial else "dq.quarantine"
        kept = () if is_trial else facets.columns(dataset)
        self._refused = f"{table} ({', '.join((*_QUARANTINE, *kept))})"
        self.judged: dict[int, tuple[int, int]] = {}  # valid and invalid records, by batch
        self.fired: dict[int, NDArray[np.int64]] = {}  # violations of each rule, by batch

    @contextlib.contextmanager
    def filling(self) -> Iterator[None]:
        """Create the tables and take records until the block ends."""
        tables.create_stage(self._connection, self._dataset)
        with self.filling_more(self._again):
            yield

    @contextlib.contextmanager
    def filling_more(self, again: Sequence[int]) -> Iterator[None]:
        """Take records until the block ends; verdicts of batches judged before are forgotten."""
        if again and not self._is_trial:
            queries.execute(
                self._connection, "queries/quality.forget_verdicts", batches=list(again)
            )
        with (
            copying(self._connection) as stream,
            ThreadPoolExecutor(1, thread_name_prefix="judge") as self._judges,
        ):
            self._stream = stream
            patience = sys.getswitchinterval()
            # decoding holds the interpreter for long; the judge's many short calls would starve
            sys.setswitchinterval(_SWITCH_SECONDS)
            try:
                yield
                self._wait_for_verdicts()
            finally:
                sys.setswitchinterval(patience)
        tables.analyze_stage(self._connection)

    def add(self, batch_id: int, first: int, records: Sequence[bytes]) -> None:
        """Take records of a batch, the first of which stands at position `first` of its file.

        They are decoded here and judged by a thread, while the next ones are read and decoded.
        """
        self.add_at(batch_id, np.arange(first, first + len(records)), records)

    def add_at(self, batch_id: int, positions: NDArray[np.int64], records: Sequence[bytes]) -> None:
        """Take records that do not stand one after another: `positions` has one element a record."""
        received = receive(records, self._dataset)
        self._wait_for_verdicts()
        assert self._judges is not None
        self._verdicts = self._judges.submit(self._judge, batch_id, positions, received)

    def _wait_for_verdicts(self) -> None:
        if self._verdicts is not None:
            self._verdicts.result()
            self._verdicts = None

    def _judge(self, batch_id: int, places: NDArray[np.int64], received: Received) -> None:
        judged = validate.judge_received(received, self._dataset, self._rules)
        self._count(batch_id, judged)
        batch, positions = pa.scalar(str(batch_id)), pa.array(places).cast(pa.string())
        valid = pc.is_null(judged.dq_errors)
        typed = [judged.columns[name] for name in self._dataset.column_names]
        self._write(self._staged, batch, [column.filter(valid) for column in (positions, *typed)])
        refused = pc.invert(valid)
        key = judged.columns[self._dataset.key].filter(refused)
        shown = pc.utf8_slice_codeunits(
            pc.replace_substring(key, UNSTORABLE, "\ufffd"), 0, _KEY_SHOWN
        )
        is_refused = refused.to_numpy(zero_copy_only=False)
        read = (
            {}
            if self._is_trial
            else facets.read(received, judged.columns, self._dataset, is_refused)
        )
        self._write(
            self._refused,
            pa.scalar(self._dataset.name),
            [
                batch,
                positions.filter(refused),
                shown,
                judged.dq_errors.filter(refused),
                self._rule_set,
                *read.values(),
            ],
        )
        if self._is_trial:
            return
        rules, broken = (pa.array(indices) for indices in judged.broken)
        self._write(
            _VIOLATION,
            batch,
            [
                positions.take(broken),
                self._ids.take(rules),
                self._versions.take(rules),
                self._severities.take(rules),
            ],
        )
        if is_refused.any():
            worth = read.get(facets.WORTH, pa.nulls(np.count_nonzero(is_refused), pa.string()))
            self._write_causes(batch, positions, received, judged, is_refused, worth)

    def _write_causes(
        self,
        batch: pa.Scalar,
        positions: pa.StringArray,
        received: Received,
        judged: validate.Judgement,
        is_refused: NDArray[np.bool_],
        worth: pa.StringArray,
    ) -> None:
        """Keep what stood where the refused records break a rule; `worth` is that of each of them."""
        causes = patterns.find(received, self._rules, judged.broken, is_refused)
        records = pa.array(causes.record)
        among_refused = np.cumsum(is_refused) - 1
        self._write(
            _CAUSE,
            batch,
            [
                positions.take(records),
                self._ids.take(pa.array(causes.rule)),
                causes.column,
                causes.pattern,
                causes.value,
                worth.take(pa.array(among_refused[causes.record])),
            ],
        )

    def _write(self, target: str, first: pa.Scalar, others: list[pa.Array | pa.Scalar]) -> None:
        assert self._stream is not None
        if any(isinstance(column, pa.Array) and len(column) for column in others):
            self._stream.write(target, [first, *others])

    def _count(self, batch_id: int, judged: validate.Judgement) -> None:
        good = judged.dq_errors.null_count
        before = self.judged.get(batch_id, (0, 0))
        self.judged[batch_id] = (before[0] + good, before[1] + judged.count - good)
        fired = np.bincount(judged.broken[0], minlength=len(self._rules))
        self.fired[batch_id] = (
            self.fired.get(batch_id, np.zeros(len(self._rules), np.int64)) + fired
        )
