"""What can go wrong, as a small tree.

RevenueError                 every error a user may see; never shown as a traceback
├── SettingsError            a setting is missing or makes no sense
├── DatabaseError            the database cannot be reached or is not ready
│   ├── SchemaOutdatedError  migrations are missing; says the command that applies them
│   └── EmbeddedServerError  the embedded PostgreSQL cannot be started
├── UnreadableFileError      a file is not what a feed may be: rejected whole
├── FileChangedError         a file changed while it was read: try again later
├── LimitReachedError        a rule's limit keeps a batch from silver (control flow inside the engine)
├── RunConflictError         the wished change of a run does not fit its state
├── RunCancelledError        an operator cancelled the run (control flow inside the engine)
├── RunStoppedError          the process was told to stop: the run goes back to the queue
└── RunLostError             another worker took the run over (fencing)

A bad *record* is data, not an exception: it goes to quarantine.
"""

from __future__ import annotations

from etl.masking import mask


class RevenueError(Exception):
    """An error with a stable code and a message that says what to do, without secrets."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        self.message = mask(message)
        super().__init__(self.message)
        if code is not None:
            self.code = code


class SettingsError(RevenueError):
    code = "settings"


class DatabaseError(RevenueError):
    code = "database"


class SchemaOutdatedError(DatabaseError):
    code = "schema_outdated"


class EmbeddedServerError(DatabaseError):
    code = "embedded_server"


class UnreadableFileError(RevenueError):
    """The file is rejected whole; `line` and `column` start at 1, `offset` is a byte offset.

    `code` is one of: encoding, not_json, truncated, top_level, depth, number, record_too_large,
    gzip, too_large, not_regular, permission, unrecognised.
    """

    code = "unreadable"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        line: int | None = None,
        column: int | None = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.line = line
        self.column = column
        self.offset = offset

    def reason(self) -> dict[str, object]:
        """Return what `<name>.reason.json` holds."""
        return {
            "code": self.code,
            "message": self.message,
            "line": self.line,
            "column": self.column,
            "offset": self.offset,
        }


class FileChangedError(RevenueError):
    code = "file_changed"


class LimitReachedError(RevenueError):
    """A batch is stopped; `detail` says by which rules, as etl.limits.Reached does."""

    code = "stopped"

    def __init__(self, message: str, *, batch_id: int, detail: list[dict[str, object]]) -> None:
        super().__init__(message)
        self.batch_id = batch_id
        self.detail = detail


class RunConflictError(RevenueError):
    code = "run_conflict"


class RunCancelledError(RevenueError):
    code = "cancelled"


class RunStoppedError(RevenueError):
    code = "stopped"


class RunLostError(RevenueError):
    code = "lost"
