"""One attempt at a run, as the engine and its steps see it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from etl.db import queries
from etl.errors import RunLostError
from etl.log import RunLog
from etl.model import Dataset, Progress, Rule, Step
from etl.settings import Settings


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
    requested_by: str
    log: RunLog
    check: Callable[[], None]  # raises RunCancelledError
    report: Progress
    rules: Sequence[Rule] = ()
    rule_set: str = ""
    notes: list[str] = field(default_factory=list)

    def takes(self, step: Step) -> bool:
        """Tell whether this run goes as far as the step."""
        order = list(Step)
        return order.index(step) <= order.index(self.until)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that commits only while this attempt still owns the run."""
        with self.engine.begin() as connection:
            yield connection
            self.fence(connection)

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

    def begin(self, step: Step) -> None:
        with self.transaction() as connection:
            queries.execute(
                connection,
                "queries/runs.begin_step",
                run_id=self.run_id,
                step=step.value,
                total_records=None,
            )

    def checkpoint(self, connection: Connection, step: Step, done: int) -> None:
        """Record the step's state inside the transaction of its work."""
        queries.execute(
            connection,
            "queries/runs.checkpoint",
            run_id=self.run_id,
            step=step.value,
            done_records=done,
        )

    def progress(self, step: Step, done: int, total: int | None = None) -> None:
        self.report(step, done, total)
