"""One attempt at a run, as the engine and its steps see it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from etl.db import queries
from etl.db.connect import is_interrupted
from etl.errors import RunLostError
from etl.log import RunLog
from etl.model import Batch, Dataset, Progress, Rule, Step
from etl.settings import Settings

Interruptible = Callable[[Connection], contextlib.AbstractContextManager[None]]
"""Within it, a cancel ends the statement that the connection runs, and the block with it."""


@dataclass(kw_only=True)
class Execution:
    """One attempt at a run, as its steps see it."""

    settings: Settings
    engine: Engine
    dataset: Dataset
    run_id: int
    attempt: int
    worker_id: int
    source_file: str | None
    is_full: bool
    until: Step  # the last step that is taken
    batches: tuple[int, ...] | None  # only these are judged again; None: none, or all when full
    requested_by: str
    log: RunLog
    check: Callable[[], None]  # raises RunCancelledError, RunStoppedError
    interruptible: Interruptible
    report: Progress
    predicts: int | None = None  # prediction to work out; such a run changes no layer
    rules: Sequence[Rule] = ()
    rule_set: str = ""
    reverts: tuple[int, ...] = ()  # batches of repairs that are taken back
    notes: list[str] = field(default_factory=list)  # what went wrong: the run is warned
    remarks: list[str] = field(default_factory=list)  # what else its reason says
    _begun: set[Step] = field(default_factory=set)
    _before: dict[Step, int] = field(default_factory=dict)  # records of finished batches
    _ahead: list[Batch] = field(default_factory=list)  # batches after the one at work
    _density: float = 0.0  # records a byte of the newest file read

    def takes(self, step: Step) -> bool:
        """Tell whether this run goes as far as the step."""
        order = list(Step)
        return order.index(step) <= order.index(self.until)

    @contextlib.contextmanager
    def transaction(self, *, is_last: bool = False) -> Iterator[Connection]:
        """A transaction that commits only while this attempt still owns the run.

        `is_last`: the block ends the run, and calls `fence` itself.

        Raises RunCancelledError, when a cancel interrupts it; nothing of it stays.
        """
        with self._explaining(), self.engine.begin() as connection:
            with self.interruptible(connection):
                yield connection
            if not is_last:
                self.fence(connection)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for long reads.

        Raises RunCancelledError, when a cancel interrupts it.
        """
        with (
            self._explaining(),
            self.engine.connect() as connection,
            self.interruptible(connection),
        ):
            yield connection

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if is_interrupted(error):
                self.check()  # it was a cancel, unless a timeout of the server
            raise

    def fence(self, connection: Connection) -> None:
        """Hold the run until the transaction ends.

        Raises RunLostError when another worker has it.
        """
        held = queries.row(
            connection,
            "queries/runs.fence",
            run_id=self.run_id,
            attempt=self.attempt,
            worker_id=self.worker_id,
        )
        if held is None:
            raise RunLostError(f"run {self.run_id} was taken over by another worker")

    def start_afresh(self) -> None:
        """Forget how far an earlier try of this attempt came."""
        self.remarks.clear()
        self._begun.clear()
        self._ahead = []
        self._before.clear()
        with self.engine.connect() as connection:
            done = queries.row(connection, "queries/batches.done_by_run", run_id=self.run_id)
        if done is not None:
            self._before = {Step.EXTRACT: done["extracted"], Step.LOAD: done["loaded"]}

    def go_on_to(self, *, ahead: Sequence[Batch]) -> None:
        """Say which batches come after the one that is taken now: totals count them in."""
        self._ahead = list(ahead)

    def begin(self, *steps: Step) -> None:
        """Let steps begin, or go on with the next batch."""
        with self.transaction() as connection:
            for step in steps:
                done = self._before.get(step, 0)
                if step in self._begun:
                    queries.execute(
                        connection, "queries/runs.reopen_step", run_id=self.run_id, step=step.value
                    )
                else:
                    self._begun.add(step)
                    queries.execute(
                        connection,
                        "queries/runs.begin_step",
                        run_id=self.run_id,
                        step=step.value,
                        done_records=done,
                    )
        for step in steps:
            self.report(step, self._before.get(step, 0), None)

    def checkpoint(self, connection: Connection, step: Step, done: int) -> None:
        """Record the step's state inside the transaction of its work; `done` records of it."""
        queries.execute(
            connection,
            "queries/runs.checkpoint",
            run_id=self.run_id,
            step=step.value,
            done_records=self._before.get(step, 0) + done,
        )

    def finished(self, step: Step, done: int) -> None:
        """Count records of a batch whose checkpoint is committed."""
        self._before[step] = self._before.get(step, 0) + done

    def progress(
        self, step: Step, done: int, total: int | None = None, *, activity: str | None = None
    ) -> None:
        """Report how far the batch at work is; finished batches and those ahead are added."""
        before = self._before.get(step, 0)
        if total is not None:
            total += before + self._expected_ahead(step)
        self.report(step, before + done, total, activity=activity)

    def read_so_far(self, records: int, bytes_read: int) -> None:
        """Learn from the file at work how many records a byte holds."""
        self._density = records / max(bytes_read, 1)

    def _expected_ahead(self, step: Step) -> int:
        expected = 0.0
        for batch in self._ahead:
            if batch.records is None:
                expected += batch.file_bytes * self._density
            elif step is not Step.EXTRACT:
                expected += batch.records
        return int(expected)
