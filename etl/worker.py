"""The process that runs: presence, the loop of the worker, and a run in the foreground."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from etl import alerts, datasets, monitor, retention, runs
from etl.db import queries
from etl.db.connect import interrupter, is_lost_connection
from etl.engine import Outcome, execute
from etl.errors import (
    DatabaseError,
    RevenueError,
    RunCancelledError,
    RunLostError,
    RunStoppedError,
)
from etl.execution import Execution
from etl.log import RunLog
from etl.masking import mask
from etl.model import Progress, RunStatus, Step
from etl.powerbi import refresh
from etl.settings import Settings

_PAUSES = (0, 0.5, 1, 2, 4, 8)  # seconds before each try
_NUDGE_SECONDS = 0.2  # between two interruptions of a cancelled run


class Presence:
    """Makes the process known and shows its signs of life from a thread of its own.

    The thread also carries progress to the database and cancel requests back.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        kind: str,
        *,
        told_to_stop: threading.Event | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._kind = kind
        self._told_to_stop = told_to_stop or threading.Event()
        self._stop = threading.Event()
        self._cancelled = threading.Event()
        self._cancelled_by = ""
        self._lock = threading.Lock()
        self._run_id: int | None = None
        self._progress: dict[Step, tuple[int, int | None, str | None]] = {}
        self._open: dict[int, Callable[[], None]] = {}  # how to interrupt each open connection
        self._interrupted: set[int] = set()
        self._open_lock = threading.Lock()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._beat_on, name="presence", daemon=True)
        self.worker_id = 0

    def __enter__(self) -> Self:
        self._connection = self._connect()
        self.worker_id = int(
            queries.value(
                self._connection,
                "queries/runs.register_worker",
                kind=self._kind,
                host=socket.gethostname(),
                pid=os.getpid(),
            )
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(SQLAlchemyError, DatabaseError):
            if self._connection is None:
                self._connection = self._connect()
            queries.execute(
                self._connection, "queries/runs.unregister_worker", worker_id=self.worker_id
            )
        if self._connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                self._connection.close()

    @contextlib.contextmanager
    def of_run(self, run_id: int) -> Iterator[None]:
        """Carry progress and cancel requests of this run."""
        with self._lock:
            self._run_id, self._progress = run_id, {}
            self._cancelled.clear()
        try:
            yield
        finally:
            with self._lock:
                self._run_id = None
                self._cancelled.clear()

    def check(self) -> None:
        """Raise RunCancelledError once an operator cancelled, RunStoppedError on the way down."""
        if self._cancelled.is_set():
            raise RunCancelledError(f"cancelled by {self._cancelled_by}")
        if self._told_to_stop.is_set():
            raise RunStoppedError("the worker was told to stop; another goes on with the run")

    def pause(self, seconds: float) -> None:
        """Wait; a cancel or the way down ends it early."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.check()
            self._cancelled.wait(min(_NUDGE_SECONDS, seconds))

    @contextlib.contextmanager
    def interruptible(self, connection: Connection) -> Iterator[None]:
        """Let a cancel end what the connection does in this block.

        Raises RunCancelledError at the end of a block that a cancel came too late for: its
        transaction is rolled back all the same.
        """
        key = id(connection)
        with self._open_lock:
            self._open[key] = interrupter(connection)
        try:
            yield
        finally:
            with self._open_lock:
                del self._open[key]
                was_interrupted = key in self._interrupted
                self._interrupted.discard(key)
            if was_interrupted:
                # the server may still act on the last signal: nobody else shall use it
                connection.invalidate()
        if was_interrupted:
            self.check()

    def _interrupt(self, run_id: int) -> None:
        """End the statements of a cancelled run; called until it is over."""
        with self._open_lock:
            if self._run_id != run_id:
                return  # the next run has to open its connections under this lock
            for key, interrupt in self._open.items():
                self._interrupted.add(key)
                interrupt()

    def report(
        self, step: Step, done: int, total: int | None, /, *, activity: str | None = None
    ) -> None:
        with self._lock:
            known = self._progress.get(step, (0, None, None))[1]
            self._progress[step] = (done, known if total is None else total, activity)

    def _connect(self) -> Connection:
        return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _beat_on(self) -> None:
        pause = min(self._settings.heartbeat_seconds, 1.0)
        while not self._stop.wait(_NUDGE_SECONDS if self._cancelled.is_set() else pause):
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self._beat(self._connection)
            except (SQLAlchemyError, DatabaseError):
                # the database is away; the next beat tries a new connection
                with contextlib.suppress(SQLAlchemyError):
                    if self._connection is not None:
                        self._connection.invalidate()
                        self._connection.close()
                self._connection = None

    def _beat(self, connection: Connection) -> None:
        queries.execute(connection, "queries/runs.beat", worker_id=self.worker_id)
        with self._lock:
            run_id, progress = self._run_id, dict(self._progress)
        if run_id is None:
            return
        actor = queries.value(connection, "queries/runs.cancelled_by", run_id=run_id)
        if actor is not None:
            with self._lock:
                if self._run_id == run_id:
                    self._cancelled_by = str(actor)
                    self._cancelled.set()
            self._interrupt(run_id)
        for step, (done, total, activity) in progress.items():
            queries.execute(
                connection,
                "queries/runs.progress",
                run_id=run_id,
                step=step.value,
                done_records=done,
                total_records=total,
                activity=activity,
            )


def perform(
    engine: Engine,
    settings: Settings,
    presence: Presence,
    claim: runs.Claim,
    *,
    report: Progress | None = None,
    echo: Callable[[str, str], None] | None = None,
) -> Outcome:
    """Execute a claimed run to its end; every way it can end is stored with the run."""
    dataset = datasets.get(claim.dataset)
    log = RunLog(
        engine,
        settings.logs / dataset.log_file,
        dataset.name,
        claim.run_id,
        echo,
        settings.log_file_mb * 1_000_000,
    )

    def progress(
        step: Step, done: int, total: int | None, /, *, activity: str | None = None
    ) -> None:
        presence.report(step, done, total, activity=activity)
        if report is not None:
            report(step, done, total, activity=activity)

    execution = Execution(
        settings=settings,
        engine=engine,
        dataset=dataset,
        run_id=claim.run_id,
        attempt=claim.attempt,
        worker_id=presence.worker_id,
        source_file=claim.source_file,
        is_full=claim.is_full,
        until=Step(claim.until or Step.ARCHIVE),
        batches=tuple(claim.batches) if claim.batches is not None else None,
        predicts=claim.predicts,
        requested_by=claim.requested_by,
        reverts=tuple(claim.reverts or ()),
        log=log,
        check=presence.check,
        interruptible=presence.interruptible,
        report=progress,
    )
    with presence.of_run(claim.run_id):
        for pause in _PAUSES:
            try:
                presence.pause(pause)
                return execute(execution)
            except RunLostError as error:
                return Outcome(status=RunStatus.LOST, reason_code=error.code, reason=error.message)
            except RunStoppedError as error:
                return _release(execution, error)
            except RunCancelledError as error:
                return _end(execution, RunStatus.CANCELLED, error.code, error.message)
            except KeyboardInterrupt:
                _end(execution, RunStatus.CANCELLED, "interrupted", "interrupted on the terminal")
                raise
            except Exception as error:  # noqa: BLE001 - a run ends, the worker goes on
                if pause == _PAUSES[-1] or not _is_passing(error):
                    return _end(execution, RunStatus.FAILED, *_explained(error))
    raise AssertionError


def _is_passing(error: BaseException) -> bool:
    """Tell whether trying again may help: the connection broke, or a deadlock or lock timeout."""
    code = getattr(getattr(error, "orig", None), "pgcode", None)
    return is_lost_connection(error) or code in {"40001", "40P01", "55P03"}


def _explained(error: BaseException) -> tuple[str, str]:
    """Return the code and the reason of a failed run; the reason holds no secrets."""
    code, reason = _in_words(error)
    return code, mask(reason)


def _in_words(error: BaseException) -> tuple[str, str]:
    if isinstance(error, RevenueError):
        return error.code, error.message
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return (
            "system",
            f"{error.strerror or error}{where}; make room or fix it, then resume the run",
        )
    first = str(getattr(error, "orig", error)).strip().splitlines()
    return "internal", f"{type(error).__name__}: {first[0] if first else ''}; resume the run"


def _release(execution: Execution, error: RunStoppedError) -> Outcome:
    with execution.engine.begin() as connection:
        queries.execute(
            connection,
            "queries/runs.release",
            run_id=execution.run_id,
            attempt=execution.attempt,
        )
        queries.execute(
            connection, "queries/runs.stop_steps", run_id=execution.run_id, status="lost"
        )
    return Outcome(status=RunStatus.QUEUED, reason_code=error.code, reason=error.message)


def _end(execution: Execution, status: RunStatus, code: str, reason: str) -> Outcome:
    outcome = Outcome(status=status, reason_code=code, reason=reason)
    with contextlib.suppress(SQLAlchemyError, DatabaseError, OSError):
        with execution.engine.begin() as connection:
            queries.execute(
                connection,
                "queries/runs.fail",
                run_id=execution.run_id,
                attempt=execution.attempt,
                status=status.value,
                reason_code=code,
                reason=reason,
            )
            queries.execute(
                connection,
                "queries/runs.stop_steps",
                run_id=execution.run_id,
                status=status.value,
            )
        execution.log(
            "error" if status is RunStatus.FAILED else "warning", f"run {status}: {reason}"
        )
    return outcome


def run_in_foreground(
    engine: Engine,
    settings: Settings,
    presence: Presence,
    dataset: str,
    *,
    actor: str,
    source_file: str | None = None,
    is_full: bool = False,
    until: Step | None = None,
    batches: Sequence[int] | None = None,
    report: Progress | None = None,
    echo: Callable[[str, str], None] | None = None,
) -> tuple[int, Outcome]:
    """Run a feed now, after what occupies it; return the run's id and how it ended."""
    told: Any = None
    while True:
        runs.mark_lost(engine, silence=settings.lost_after_seconds, attempts=settings.attempts)
        with engine.connect() as connection:
            busy = queries.row(connection, "queries/runs.busy", dataset=dataset)
        if busy is not None and busy["status"] == "lost":
            lost = runs.claim(engine, presence.worker_id, run_id=busy["run_id"])
            if lost is not None:
                perform(engine, settings, presence, lost, report=report, echo=echo)
            continue
        claimed = runs.begin(
            engine,
            presence.worker_id,
            dataset,
            actor=actor,
            source_file=source_file,
            is_full=is_full,
            until=until,
            batches=batches,
        )
        if claimed is not None:
            outcome = perform(engine, settings, presence, claimed, report=report, echo=echo)
            return claimed.run_id, outcome
        if busy is not None and echo is not None and busy["run_id"] != told:
            told = busy["run_id"]
            echo(
                "info",
                f"waiting for run {busy['run_id']} ({busy['kind']}, process {busy['pid']} "
                f"on {busy['host']})",
            )
        time.sleep(0.2)


def work(
    engine: Engine,
    settings: Settings,
    *,
    stop: threading.Event,
    echo: Callable[[str, str], None] | None = None,
) -> None:
    """Claim and run until `stop`; meanwhile watch over the layers, send alerts, refresh Power BI.

    A database that went away is waited for.
    """
    with (
        monitor.watching(engine, settings),
        alerts.watching(engine, settings),
        refresh.watching(engine, settings),
    ):
        while not stop.is_set():
            try:
                with Presence(engine, settings, "worker", told_to_stop=stop) as presence:
                    _work(engine, settings, presence, stop, echo)
            except (SQLAlchemyError, DatabaseError) as error:
                if not is_lost_connection(error):
                    raise
                stop.wait(settings.poll_seconds)


def _work(
    engine: Engine,
    settings: Settings,
    presence: Presence,
    stop: threading.Event,
    echo: Callable[[str, str], None] | None,
) -> None:
    checked = 0.0
    upkeep = retention.Upkeep(engine, settings)
    while not stop.is_set():
        if time.monotonic() - checked > min(5.0, settings.lost_after_seconds):
            runs.mark_lost(engine, silence=settings.lost_after_seconds, attempts=settings.attempts)
            checked = time.monotonic()
        upkeep.when_due()
        claimed = runs.claim(engine, presence.worker_id)
        if claimed is None:
            stop.wait(settings.poll_seconds)
        else:
            perform(engine, settings, presence, claimed, echo=echo)
