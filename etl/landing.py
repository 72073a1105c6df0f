"""The landing zone: how a file becomes a batch, and where it goes afterwards.

A file is claimed by renaming it to `batch-<id>__<name>`; only then its row is written. A crash in
between leaves a file that the next scan takes up under its own name: nothing is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, Engine

from etl import datasets, failpoints, readers
from etl.db import queries
from etl.errors import FileChangedError, RevenueError, UnreadableFileError
from etl.masking import mask
from etl.model import Dataset
from etl.settings import Settings

_STORED = re.compile(r"^batch-\d+__")
_UNSAFE = re.compile(r"[^\w.\- ]")
_PEEK_RECORDS = 100


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """What became of a file."""

    batch_id: int
    status: str  # accepted, or skipped when the content is loaded already
    duplicate_of: int | None
    file_name: str


def limits(settings: Settings) -> readers.Limits:
    return readers.Limits(
        chunk_bytes=settings.chunk_kb * 1024,
        record_bytes=settings.record_limit_mb * 1024 * 1024,
        unpacked_bytes=settings.unpacked_limit_mb * 1024 * 1024,
    )


def waiting(settings: Settings, engine: Engine) -> list[Path]:
    """Return the files of the landing zone that belong to no batch yet, oldest first."""
    with engine.connect() as connection:
        known = {
            row["stored_name"] for row in queries.rows(connection, "queries/batches.stored_names")
        }
    found = []
    with os.scandir(settings.landing) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith((".part", ".reason.json")):
                continue
            if entry.name in known or entry.is_dir(follow_symlinks=False):
                continue
            with contextlib.suppress(FileNotFoundError):
                found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
    return [settings.landing / name for _, name in sorted(found)]


def recognise(file: BinaryIO, settings: Settings) -> Dataset | None:
    """Return the feed that the file's first objects belong to, None when it holds no records.

    Raises UnreadableFileError when it cannot be read so far, or fits no feed.
    """
    fields: set[str] = set()
    seen = 0
    for chunk in readers.read_chunks(file, limits=limits(settings)):
        for record in chunk.records[: _PEEK_RECORDS - seen]:
            value = readers.decode(record)
            if isinstance(value, dict):
                fields |= value.keys()
                if dataset := datasets.recognise(frozenset(value)):
                    return dataset
        seen += len(chunk.records)
        if seen >= _PEEK_RECORDS:
            break
    if not seen:
        return None
    known = ", ".join(datasets.declared())
    names = ", ".join(sorted(map(repr, fields))[:8]) or "none at all"
    raise UnreadableFileError(
        f"the records are none of: {known}; their fields are {names}", code="unrecognised"
    )


def fingerprint(path: Path) -> tuple[str, int]:
    """Return the SHA-256 and the size of a regular file."""
    digest = hashlib.sha256()
    size = 0
    with readers.open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def is_still_written(path: Path, settings: Settings) -> bool:
    """Tell whether another program still has the file open for writing.

    By a read lease where the system has them; otherwise by waiting until size and time of change
    stand still.
    """
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import fcntl  # noqa: PLC0415 - POSIX only

        with readers.open_regular(path) as file:
            try:
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            except BlockingIOError:
                return True
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            return False
    before = path.stat()
    age = time.time() - before.st_mtime
    if age < settings.stability_seconds:
        time.sleep(settings.stability_seconds - max(age, 0))
    after = path.stat()
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


def shown_name(path: Path) -> str:
    """Return the name an operator gave the file; a secret in it is masked."""
    name = mask(_STORED.sub("", path.name))
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def safe_name(name: str) -> str:
    """Return a name fit for any file system: no path, no control characters, no secret, not too long."""
    plain = unicodedata.normalize("NFC", mask(name).replace("\\", "/").rpartition("/")[2])
    plain = _UNSAFE.sub("_", plain).strip(". ")
    return plain[-120:] or "file.json"


def accept(
    connection: Connection,
    settings: Settings,
    dataset: Dataset,
    path: Path,
    *,
    actor: str,
    run_id: int | None = None,
) -> Acceptance:
    """Turn a file of the landing zone into a batch, inside the caller's transaction.

    Content equal to the newest batch of the feed is a repetition and skipped; the same content
    after something else is a revert and accepted.
    """
    sha256, size = fingerprint(path)
    queries.execute(connection, "queries/batches.lock_dataset", dataset=dataset.name)
    newest = queries.row(connection, "queries/batches.newest", dataset=dataset.name)
    duplicate_of = newest["batch_id"] if newest and newest["sha256"] == sha256 else None
    batch_id = int(queries.value(connection, "queries/batches.new_id"))
    name = shown_name(path)
    stored = f"batch-{batch_id}__{safe_name(name)}"
    failpoints.hit("accept.before_rename")
    path.rename(settings.landing / stored)
    failpoints.hit("accept.after_rename")
    queries.execute(
        connection,
        "queries/batches.accept",
        batch_id=batch_id,
        dataset=dataset.name,
        file_name=name,
        stored_name=stored,
        sha256=sha256,
        file_bytes=size,
        status="accepted" if duplicate_of is None else "skipped",
        duplicate_of=duplicate_of,
        reason_code=None if duplicate_of is None else "duplicate",
        reason=None if duplicate_of is None else f"same content as batch {duplicate_of}",
        accepted_by=actor,
        run_id=run_id,
    )
    return Acceptance(
        batch_id=batch_id,
        status="accepted" if duplicate_of is None else "skipped",
        duplicate_of=duplicate_of,
        file_name=name,
    )


def reject_unrecognised(settings: Settings, path: Path, error: UnreadableFileError) -> Path:
    """Move a file that never became a batch to the rejected folder, with its reason beside it."""
    target = _free(settings.rejected / safe_name(shown_name(path)))
    move(path, target)
    write_reason(target, error.reason())
    return target


def write_reason(target: Path, reason: dict[str, Any]) -> None:
    """Write `<name>.reason.json` beside a rejected file."""
    beside = target.with_name(f"{target.name}.reason.json")
    part = beside.with_name(f".{beside.name}.part")
    part.write_text(json.dumps(reason, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(beside)


def move(source: Path, target: Path) -> None:
    """Move a file; a file that is already there was moved by an earlier, interrupted attempt."""
    if not source.exists() and not source.is_symlink():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != 18:  # EXDEV: another file system
            raise
        part = target.with_name(f".{target.name}.part")
        shutil.copy2(source, part, follow_symlinks=False)
        part.replace(target)
        source.unlink()


def _free(target: Path) -> Path:
    number = 1
    free = target
    while free.exists() or free.is_symlink():
        number += 1
        free = target.with_name(f"{target.stem} ({number}){target.suffix}")
    return free


def bring(settings: Settings, source: Path) -> Path:
    """Copy a file from elsewhere into the landing zone and return its place there.

    Raises RevenueError when there is no such file or no space for it.
    """
    if source.resolve().parent == settings.landing:
        return source.resolve()
    target = _free(settings.landing / safe_name(source.name))
    part = target.with_name(f".{target.name}.part")
    try:
        with readers.open_regular(source) as file, part.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        part.rename(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RevenueError(
            f"{source.name} cannot be copied into {settings.landing}: {error.strerror}",
            code="landing",
        ) from error
    return target


def store(settings: Settings, name: str, content: BinaryIO) -> Path:
    """Write an upload into the landing zone: whole or not at all."""
    target = _free(settings.landing / safe_name(name))
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as copy:
            shutil.copyfileobj(content, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        part.rename(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RevenueError(
            f"the upload cannot be stored in {settings.landing}: {error.strerror}", code="landing"
        ) from error
    return target


class HashingFile:
    """A file that hashes what is read from it, to prove that it is the accepted content."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._digest.update(block)
        return block

    def verify(self, sha256: str) -> None:
        """Raise FileChangedError when the content is not what was accepted."""
        while self.read(1 << 20):
            pass
        if self._digest.hexdigest() != sha256:
            raise FileChangedError(
                "the file was changed after it was accepted; put the new version into the landing "
                "zone under its own name"
            )


@contextlib.contextmanager
def open_batch(settings: Settings, stored_name: str) -> Iterator[HashingFile]:
    """Open the file of a batch.

    Raises UnreadableFileError with code `missing` when somebody took it away.
    """
    path = settings.landing / stored_name
    try:
        file = readers.open_regular(path)
    except FileNotFoundError:
        raise UnreadableFileError(
            "the file disappeared from the landing zone before it was read; bring it again",
            code="missing",
        ) from None
    with file:
        yield HashingFile(file)
