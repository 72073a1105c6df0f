"""Everything an operator may do.

Each action checks the role itself and is audited in the transaction that does it; a refusal is
audited as well. Names and contents of files come from outside: they are data, never paths or SQL.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from app import auth
from app.auth import ForbiddenError, Operator, Role
from etl import datasets, generate, landing, readers, runs, validate
from etl.db import queries
from etl.errors import RevenueError, UnreadableFileError
from etl.masking import mask
from etl.model import Dataset
from etl.rules import active as active_rules
from etl.settings import Settings

GENERATED_LIMIT = 1_000_000  # records; the command line has no limit
SAMPLE_RECORDS = 1_000  # judged in a preview
_SHOWN_RECORDS = 5
_SHOWN_CHARACTERS = 2_000
_PATIENCE_MS = 3_000
_LOCK_NOT_AVAILABLE = "55P03"


class BusyError(RevenueError):
    """A run holds what the action needs."""

    code = "busy"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where somebody acts: the database, the settings, and who it is."""

    engine: Engine
    settings: Settings
    operator: Operator


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a file holds, before it is accepted."""

    name: str
    bytes: int
    sha256: str
    dataset: str | None
    records: int  # up to the problem, if there is one
    first_records: tuple[str, ...]  # as received, shortened
    judged: int  # records of the sample
    valid: int
    reasons: tuple[tuple[str, int], ...]  # message, records of the sample; the most frequent first
    same_as: int | None  # batch with the same content
    is_repetition: bool  # nothing came after that batch: accepting the file changes nothing
    problem: UnreadableFileError | None

    @property
    def is_acceptable(self) -> bool:
        return self.problem is None and self.dataset is not None


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What became of a file."""

    file_name: str
    dataset: str
    status: str  # accepted; skipped (a repetition); waiting (taken up by its run)
    batch_id: int | None
    duplicate_of: int | None
    run_id: int | None  # None: a run could not even be queued; the next one takes the file
    is_new_run: bool


@dataclass(frozen=True, kw_only=True)
class Started:
    """A queued run; not new when the same request was waiting already."""

    run_id: int
    dataset: str
    is_new: bool


# Files ----------------------------------------------------------------------------------


def preview_file(desk: Desk, *, name: str, content: BinaryIO) -> Preview:
    """Return what a file holds; its first records are judged by the rules of now.

    Raises ForbiddenError.
    """
    _authorise(desk, "file.preview", f"file {name}")
    size = _size(content)
    found = _Found(judged=[], first=[])
    problem: UnreadableFileError | None = None
    try:
        _check_size(desk.settings, size)
        content.seek(0)
        found.dataset = landing.recognise(content, desk.settings)
        if found.dataset is None:
            raise UnreadableFileError("the file holds no records", code="empty")
        content.seek(0)
        for chunk in readers.read_chunks(content, name=name, limits=landing.limits(desk.settings)):
            found.take(chunk.records)
    except UnreadableFileError as error:
        problem = error
    return _preview(desk, found, name=name, size=size, sha256=_sha256(content), problem=problem)


@dataclass
class _Found:
    judged: list[bytes]
    first: list[str]
    dataset: Dataset | None = None
    records: int = 0

    def take(self, records: Sequence[bytes]) -> None:
        self.records += len(records)
        self.judged += records[: SAMPLE_RECORDS - len(self.judged)]
        self.first += [
            record[:_SHOWN_CHARACTERS].decode(errors="replace")
            for record in records[: _SHOWN_RECORDS - len(self.first)]
        ]


def _preview(
    desk: Desk,
    found: _Found,
    *,
    name: str,
    size: int,
    sha256: str,
    problem: UnreadableFileError | None,
) -> Preview:
    valid, reasons = 0, Counter[str]()
    same = newest = None
    if found.dataset is not None:
        with desk.engine.connect() as connection:
            active = active_rules(connection, found.dataset.name)
            content = {"dataset": found.dataset.name, "sha256": sha256}
            same = queries.row(connection, "queries/batches.by_content", **content)
            newest = queries.row(connection, "queries/batches.newest", dataset=found.dataset.name)
        if found.judged:
            verdicts = validate.judge(found.judged, found.dataset, active).dq_errors.to_pylist()
            valid = sum(verdict is None for verdict in verdicts)
            for verdict in verdicts:
                reasons.update(verdict.split("; ") if verdict else ())
    return Preview(
        name=name,
        bytes=size,
        sha256=sha256,
        dataset=found.dataset.name if found.dataset else None,
        records=found.records,
        first_records=tuple(found.first),
        judged=len(found.judged),
        valid=valid,
        reasons=tuple(reasons.most_common()),
        same_as=same["batch_id"] if same else None,
        is_repetition=newest is not None and newest["sha256"] == sha256,
        problem=problem,
    )


def submit_file(desk: Desk, *, name: str, content: BinaryIO) -> Submission:
    """Put an upload into the landing zone, make it a batch and queue its run.

    Raises ForbiddenError, UnreadableFileError (too large, empty, unreadable, or of no feed: nothing
    is kept then), RevenueError when it cannot be stored.
    """
    _authorise(desk, "file.submit", f"file {name}")
    _check_size(desk.settings, _size(content))
    content.seek(0)
    dataset = _recognised(desk.settings, content)
    sha256 = _sha256(content)
    path = landing.store(desk.settings, name, content)
    return _submit(desk, dataset, path, sha256, trigger="upload", received=name)


def submit_landing_file(desk: Desk, name: str) -> Submission:
    """Make a file that waits in the landing zone a batch and queue its run.

    Raises ForbiddenError, UnreadableFileError, RevenueError when no such file waits there or it is
    still being written.
    """
    _authorise(desk, "file.submit", f"file {name}")
    path = next(
        (path for path in landing.waiting(desk.settings, desk.engine) if path.name == name), None
    )
    if path is None:
        raise _gone(name)
    try:
        if landing.is_still_written(path, desk.settings):
            raise RevenueError(
                f"{landing.shown_name(path)} is still being written; try again when it is complete",
                code="still_written",
            )
        with readers.open_regular(path) as file:
            dataset = _recognised(desk.settings, file)
        sha256, _ = landing.fingerprint(path)
    except FileNotFoundError:
        raise _gone(name) from None
    return _submit(desk, dataset, path, sha256, trigger="manual", received=name)


def _gone(name: str) -> RevenueError:
    return RevenueError(
        f"{name} does not wait in the landing zone; a run may have taken it", code="landing"
    )


def _recognised(settings: Settings, file: BinaryIO) -> Dataset:
    dataset = landing.recognise(file, settings)
    if dataset is None:
        raise UnreadableFileError("the file holds no records", code="empty")
    return dataset


def _submit(
    desk: Desk, dataset: Dataset, path: Path, sha256: str, *, trigger: str, received: str
) -> Submission:
    try:
        with _transaction(desk) as connection:
            acceptance = landing.accept(
                connection, desk.settings, dataset, path, actor=desk.operator.name
            )
            started = _queue(connection, desk, dataset.name, trigger=trigger)
            queries.execute(
                connection,
                "queries/batches.give_to_run",
                batch_id=acceptance.batch_id,
                run_id=started.run_id,
            )
            submission = Submission(
                file_name=acceptance.file_name,
                dataset=dataset.name,
                status=acceptance.status,
                batch_id=acceptance.batch_id,
                duplicate_of=acceptance.duplicate_of,
                run_id=started.run_id,
                is_new_run=started.is_new,
            )
            _audit_submission(connection, desk, submission, received)
    except FileNotFoundError:
        return _taken_by_a_run(desk, dataset, path, sha256, received)
    except BusyError:
        return _leave_to_a_run(desk, dataset, path, trigger, received)
    return submission


def _taken_by_a_run(
    desk: Desk, dataset: Dataset, path: Path, sha256: str, received: str
) -> Submission:
    """Return the batch that a run made of the file, being faster."""
    with _transaction(desk) as connection:
        queries.execute(connection, "queries/batches.lock_dataset", dataset=dataset.name)
        batch = queries.row(
            connection, "queries/batches.taken", dataset=dataset.name, sha256=sha256
        )
        if batch is None:
            raise _gone(path.name)
        submission = Submission(
            file_name=batch["file_name"],
            dataset=dataset.name,
            status="skipped" if batch["duplicate_of"] else "accepted",
            batch_id=batch["batch_id"],
            duplicate_of=batch["duplicate_of"],
            run_id=batch["run_id"],
            is_new_run=False,
        )
        _audit_submission(connection, desk, submission, received)
    return submission


def _leave_to_a_run(
    desk: Desk, dataset: Dataset, path: Path, trigger: str, received: str
) -> Submission:
    """Leave the file in the landing zone, because a run holds the feed, and queue the next run."""
    started = None
    with contextlib.suppress(BusyError), _transaction(desk) as connection:
        started = _queue(connection, desk, dataset.name, trigger=trigger)
    submission = Submission(
        file_name=landing.shown_name(path),
        dataset=dataset.name,
        status="waiting",
        batch_id=None,
        duplicate_of=None,
        run_id=started.run_id if started else None,
        is_new_run=started is not None and started.is_new,
    )
    with _transaction(desk) as connection:
        _audit_submission(connection, desk, submission, received)
    return submission


def _audit_submission(
    connection: Connection, desk: Desk, submission: Submission, received: str
) -> None:
    _audit(
        connection,
        desk.operator,
        "file.submit",
        f"batch {submission.batch_id}" if submission.batch_id else f"file {received}",
        after={
            "received_name": received,
            "file_name": submission.file_name,
            "dataset": submission.dataset,
            "status": submission.status,
            "duplicate_of": submission.duplicate_of,
            "run_id": submission.run_id,
        },
    )


def _size(content: BinaryIO) -> int:
    return content.seek(0, 2)


def _sha256(content: BinaryIO) -> str:
    """Return the digest of the whole content, and go back to its begin."""
    digest = hashlib.sha256()
    content.seek(0)
    while block := content.read(1 << 20):
        digest.update(block)
    content.seek(0)
    return digest.hexdigest()


def _check_size(settings: Settings, size: int) -> None:
    if size > settings.upload_limit_mb * 1024 * 1024:
        raise UnreadableFileError(
            f"the file has {size / 1024 / 1024:,.0f} MB, an upload may have "
            f"{settings.upload_limit_mb}; put it into {settings.landing} instead",
            code="too_large",
        )


def generate_file(
    desk: Desk,
    *,
    dataset: str,
    records: int,
    seed: int,
    invalid_rate: float | None,
    format: str,  # noqa: A002 - the word of etl.generate
) -> generate.GeneratedFile:
    """Write a synthetic file into the landing zone.

    `invalid_rate` is a fraction 0..1; None takes the usual mix.

    Raises ForbiddenError, RevenueError for figures out of range or a full disk.
    """
    _authorise(desk, "file.generate", f"dataset {dataset}")
    name = datasets.get(dataset).name
    if not 1 <= records <= GENERATED_LIMIT:
        raise RevenueError(
            f"a page generates 1 to {GENERATED_LIMIT:,} records; "
            f"`revenue generate {name} --records {records}` has no limit",
            code="generate",
        )
    if format not in {"json", "ndjson"}:
        raise RevenueError("the format must be json or ndjson", code="generate")
    kind = cast("generate.Format", format)
    usual = generate.file_name(name, records=records, seed=seed, format=kind)
    with _transaction(desk) as connection:
        made = generate.write(
            name,
            records=records,
            seed=seed,
            path=_free(desk.settings.landing / usual),
            format=kind,
            invalid_rate=invalid_rate,
        )
        _audit(
            connection,
            desk.operator,
            "file.generate",
            f"file {made.path.name}",
            after={
                "dataset": name,
                "records": records,
                "seed": seed,
                "invalid_rate": invalid_rate,
                "bytes": made.bytes,
            },
        )
    return made


def _free(path: Path) -> Path:
    names = itertools.chain(
        [path], (path.with_name(f"{path.stem} ({n}){path.suffix}") for n in itertools.count(2))
    )
    return next(name for name in names if not name.exists())


# Runs -----------------------------------------------------------------------------------


def start_run(
    desk: Desk, dataset: str, *, source_file: str | None = None, is_full: bool = False
) -> list[Started]:
    """Queue a run of a feed, or one of each for `all`.

    A run that waits with the same request is returned instead of a second one. `source_file` is a
    file of the landing zone, by name.

    Raises ForbiddenError, BusyError, RevenueError for an unknown feed or a file that is not there.
    """
    _authorise(desk, "run.start", f"dataset {dataset}")
    names = list(datasets.declared()) if dataset == "all" else [datasets.get(dataset).name]
    source = None if source_file is None else _landed(desk.settings, source_file)
    if source is not None and len(names) > 1:
        raise RevenueError("a source file belongs to one dataset, not to all", code="landing")
    with _transaction(desk) as connection:
        started = [
            _queue(connection, desk, name, trigger="manual", source_file=source, is_full=is_full)
            for name in names
        ]
        for one in started:
            _audit(
                connection,
                desk.operator,
                "run.start",
                f"run {one.run_id}",
                after={
                    "dataset": one.dataset,
                    "source_file": source_file,
                    "is_full": is_full,
                    "is_new": one.is_new,
                },
            )
    return started


def _landed(settings: Settings, name: str) -> str:
    """Return the path of a file that lies in the landing zone itself, never a link out of it."""
    try:
        lies_there = Path(name).name == name and (settings.landing / name).is_file()
        is_link = (settings.landing / name).is_symlink()
    except (OSError, ValueError):  # too long, or with characters no path has
        lies_there = is_link = False
    if not lies_there or is_link:
        raise _gone(name)
    return str(settings.landing / name)


def _queue(
    connection: Connection,
    desk: Desk,
    dataset: str,
    *,
    trigger: str,
    source_file: str | None = None,
    is_full: bool = False,
    batches: Sequence[int] | None = None,
    again_of: int | None = None,
) -> Started:
    queries.execute(connection, "queries/runs.claim_lock")
    waiting = queries.value(
        connection,
        "queries/runs.queued_like",
        dataset=dataset,
        source_file=source_file,
        is_full=is_full,
        batches=None if batches is None else list(batches),
    )
    if waiting is not None:
        return Started(run_id=int(waiting), dataset=dataset, is_new=False)
    run_id = runs.enqueue(
        connection,
        dataset,
        actor=desk.operator.name,
        trigger=trigger,
        source_file=source_file,
        is_full=is_full,
        batches=batches,
        again_of=again_of,
    )
    assert run_id is not None  # only a planned time can be queued already
    return Started(run_id=run_id, dataset=dataset, is_new=True)


def cancel_run(desk: Desk, run_id: int) -> str:
    """Ask a run to stop; return its status now: cancelled, or running until its next chunk.

    Raises ForbiddenError, RunConflictError when it is over or does not exist.
    """
    _authorise(desk, "run.cancel", f"run {run_id}")
    with _transaction(desk) as connection:
        before = _status(connection, run_id)
        after = runs.cancel(connection, run_id, actor=desk.operator.name)
        _audit(
            connection,
            desk.operator,
            "run.cancel",
            f"run {run_id}",
            before={"status": before},
            after={"status": after, "cancel_requested": True},
        )
    return after


def resume_run(desk: Desk, run_id: int) -> None:
    """Queue a failed, cancelled or lost run again; it goes on from its last checkpoint.

    Raises ForbiddenError, RunConflictError when it is in another state or does not exist.
    """
    _authorise(desk, "run.resume", f"run {run_id}")
    with _transaction(desk) as connection:
        before = _status(connection, run_id)
        runs.resume(connection, run_id)
        _audit(
            connection,
            desk.operator,
            "run.resume",
            f"run {run_id}",
            before={"status": before},
            after={"status": "queued"},
        )


def _status(connection: Connection, run_id: int) -> str | None:
    row = queries.row(connection, "queries/runs.one", run_id=run_id)
    return str(row["status"]) if row else None


# Roles and audit ------------------------------------------------------------------------


@contextlib.contextmanager
def _transaction(desk: Desk) -> Iterator[Connection]:
    """Begin a transaction that does not let a person wait for long.

    Raises BusyError.
    """
    with _impatient(), desk.engine.begin() as connection:
        queries.execute(connection, "queries/batches.be_impatient", milliseconds=_PATIENCE_MS)
        yield connection


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Say in words that a run holds what the block waited for; raises BusyError."""
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise BusyError("a run is at work on this feed; try again in a moment") from error


def _authorise(desk: Desk, action: str, on: str, role: Role = Role.OPERATOR) -> None:
    try:
        auth.require(desk.operator, role)
    except ForbiddenError as error:
        with _transaction(desk) as connection:
            _audit(connection, desk.operator, action, on, after={"refused": error.message})
        raise


def _audit(
    connection: Connection,
    operator: Operator,
    action: str,
    on: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    queries.execute(
        connection,
        "queries/audit.write",
        actor=_storable(operator.name),
        role=operator.role.word,
        action=action,
        object=_storable(on),
        before=_json(before),
        after=_json(after),
        origin=operator.origin,
    )


def _json(state: Mapping[str, Any] | None) -> str | None:
    if state is None:
        return None
    return json.dumps(
        {key: _storable(value) if isinstance(value, str) else value for key, value in state.items()}
    )


def _storable(text: str) -> str:
    """Return text that the audit may hold: no secret, no NUL, no half characters."""
    return mask(text).replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
