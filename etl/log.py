"""The log: lines of runs in the feed's file and in etl.log, and what a process says of itself.

Every line has time, level, run, step, dataset, batch and message; secrets are masked on the way in.
JSON keeps a newline in a value from forging a line.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import logging
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from filelock import FileLock, Timeout
from sqlalchemy import Engine

from etl.db import queries
from etl.masking import mask, mask_values

KEPT_FILES = 5
_FIELDS = ("dataset", "run", "step", "batch")
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_LEADING_LEVEL = re.compile(r"^(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b:?\s*")

_logger = logging.getLogger("revenue")
_logger.addHandler(logging.NullHandler())  # a command that shows lines itself prints none twice
_logger.setLevel(logging.DEBUG)


@dataclass(frozen=True)
class RunLog:
    """Writes the lines of one run."""

    engine: Engine
    file: Path
    dataset: str
    run_id: int
    echo: Callable[[str, str], None] | None = None  # level, message: for a terminal
    file_bytes: int = 50_000_000  # size at which the file is rotated

    def __call__(
        self,
        level: str,
        message: str,
        *,
        step: str | None = None,
        batch_id: int | None = None,
        **context: Any,
    ) -> None:
        message, context = mask(message), mask_values(context)
        fields = {"dataset": self.dataset, "run": self.run_id, "step": step, "batch": batch_id}
        line = {"time": _now(), "level": level, **fields, "message": message, **context}
        append(self.file, json.dumps(line, default=str), limit=self.file_bytes)
        _logger.log(_LEVELS[level], "%s", message, extra={"fields": fields, "context": context})
        if self.echo is not None:
            self.echo(level, message)
        with self.engine.begin() as connection:
            queries.execute(
                connection,
                "queries/logs.write",
                level=level,
                dataset=self.dataset,
                run_id=self.run_id,
                step=step,
                batch_id=batch_id,
                message=message.replace("\x00", "\ufffd"),
                context=json.dumps(context, default=str).replace("\\u0000", "\ufffd"),
            )


def say(level: str, message: str, **context: Any) -> None:
    """Write a line of this process that belongs to no run."""
    _logger.log(_LEVELS[level], "%s", message, extra={"context": context})


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


# Files ----------------------------------------------------------------------------------


def append(file: Path, text: str, *, limit: int) -> None:
    """Add a line to a file that several processes write; rotate it once it exceeds `limit` bytes."""
    with file.open("a", encoding="utf-8") as opened:
        opened.write(text + "\n")
        size = opened.tell()
    if size > limit:
        rotate(file, limit=limit)


def rotate(file: Path, *, limit: int) -> bool:
    """Move `file` to `file.1`, that to `file.2` and so on, once it exceeds `limit` bytes.

    Of concurrent processes one rotates. Whoever has the file open meanwhile still writes to it,
    under its new name: no line is lost.
    """
    try:
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=0):
            if not file.exists() or file.stat().st_size <= limit:
                return False
            for number in range(KEPT_FILES, 0, -1):
                newer = file if number == 1 else _numbered(file, number - 1)
                with contextlib.suppress(FileNotFoundError):
                    newer.replace(_numbered(file, number))
    except Timeout:
        return False  # another process does it
    except PermissionError:
        return False  # Windows: somebody has it open; the next line tries again
    return True


def _numbered(file: Path, number: int) -> Path:
    return file.with_name(f"{file.name}.{number}")


# A process ------------------------------------------------------------------------------


class _TextLine(logging.Formatter):
    """`level: message`, as a person reads it."""

    def format(self, record: logging.LogRecord) -> str:
        run = getattr(record, "fields", {}).get("run")
        about = f"run {run}: " if run else ""
        text = f"{_level(record)}: {about}{record.getMessage()}"
        return f"{text}\n{record.exc_text}" if record.exc_text else text


class _JsonLine(logging.Formatter):
    """One JSON object with the fields of a line of etl.log."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        line = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": _level(record),
            **{name: fields.get(name) for name in _FIELDS},
            "message": record.getMessage(),
            **mask_values(getattr(record, "context", {})),
            "process": self._process,
            "pid": record.process,
        }
        if record.exc_text:
            line["traceback"] = record.exc_text
        return json.dumps(line, default=str)


def _level(record: logging.LogRecord) -> str:
    return "error" if record.levelno > logging.ERROR else record.levelname.lower()


class _Lines(io.TextIOBase):
    """Stands where a standard stream was: each text written becomes a line of the log."""

    def __init__(self, stream: TextIO, level: str) -> None:
        self._stream = stream
        self._level = level
        self._rest = ""
        self._is_saying = False
        self._lock = threading.RLock()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute there
        return "utf-8"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        with self._lock:
            self._rest += text
            if self._rest.endswith("\n"):
                whole, self._rest = self._rest.strip(), ""
                if whole and not self._is_saying:
                    self._say(whole)
        return len(text)

    def _say(self, text: str) -> None:
        named = _LEADING_LEVEL.match(text)
        level = named[1].lower() if named else self._level
        self._is_saying = True  # a handler that fails complains here
        try:
            say("error" if level == "critical" else level, text[named.end() :] if named else text)
        finally:
            self._is_saying = False


def to_streams(process: str, *, as_json: bool) -> None:
    """Let this process say its lines: as JSON on standard output, or as text on standard error.

    With `as_json`, whatever libraries print becomes a line, too. Either way no secret leaves it.
    """
    logging.setLogRecordFactory(_masked_record)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    stream = sys.stdout if as_json else sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLine(process) if as_json else _TextLine())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    if not as_json:
        return
    logging.captureWarnings(capture=True)
    # libraries bring handlers of their own, made for these streams
    sys.stdout = _Lines(sys.stdout, "info")
    sys.stderr = _Lines(sys.stderr, "warning")


def _masked_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """Make a record whose text and traceback are masked, whichever handler writes it."""
    record = logging.LogRecord(*args, **kwargs)
    text = record.getMessage()
    masked = mask(text)
    if masked != text:
        record.msg, record.args = masked, ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
    return record


def is_json() -> bool:
    """Tell whether this process says its lines as JSON."""
    return isinstance(sys.stdout, _Lines)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    _logger.error("%s: %s", kind.__name__, error, exc_info=(kind, error, trace))


def _log_uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None:
        _log_uncaught(found.exc_type, found.exc_value, found.exc_traceback)
