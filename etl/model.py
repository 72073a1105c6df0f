"""The words of the engine as types. DESIGN: docs/glossary.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from etl.normalise import Normaliser


class Severity(StrEnum):
    REJECT = "reject"
    WARN = "warn"


class Judges(StrEnum):
    """Which value a rule judges: as in the file, or after normalising."""

    RECEIVED = "received"
    NORMALISED = "normalised"


class RunStatus(StrEnum):
    """Who moves each state on is drawn in docs/architecture.md."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    WARNED = "warned"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def is_over(self) -> bool:
        return self in {
            RunStatus.SUCCEEDED,
            RunStatus.WARNED,
            RunStatus.FAILED,
            RunStatus.CANCELLED,
        }


class Step(StrEnum):
    EXTRACT = "extract"
    LOAD = "load"
    PROMOTE = "promote"
    ARCHIVE = "archive"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule as the engine applies it; a row of dq.rule, or a shipped default."""

    code: str  # stable within the dataset
    column: str
    kind: str  # of the catalogue in etl/validate.py
    message: str  # words in dq_errors
    severity: Severity = Severity.REJECT
    judges: Judges = Judges.NORMALISED
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rule_id: int = 0  # 0: not in the table yet
    version: int = 1
    warn_records: int | None = None  # a batch in which it fires so often is told of
    warn_rate: Decimal | None = None  # the same as a fraction of the batch's records, 0..1
    stop_records: int | None = None  # a batch in which it fires so often does not reach silver
    stop_rate: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Column:
    """One silver column of a dataset."""

    name: str
    type: str  # PostgreSQL type
    comment: str
    normalise: Normaliser
    sources: tuple[str, ...] = ()  # paths in the record, `parent.child` at most; the first wins
    required: bool = False  # NOT NULL in silver
    check: str = ""  # SQL condition kept by the database
    is_text: bool = False  # stored text: unstorable characters quarantine the record

    @property
    def paths(self) -> tuple[str, ...]:
        return self.sources or (self.name,)


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """One named statement of sql/gold/, of the feed's own file unless another subject is named."""

    statement: str
    subject: str = ""
    bulk: str = ""  # the table that it may fill whole
    only_full: bool = False  # only after every batch was judged again: silver may have lost rows
    only_changes: bool = False  # not then
    remembers: bool = False  # fills a temporary table only
    follows: bool = False  # keeps a rollup: what it touches is not counted
    adds_rows: bool = False  # each row it touches is one more of the feed in gold


@dataclass(frozen=True, kw_only=True)
class Money:
    """What a silver row is worth, and by what that is broken down: SQL over the columns of silver."""

    amount: str  # rounded as in gold
    unit: str
    groups: Mapping[str, str]  # word on the screen -> the group's name as text


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A declared feed: everything the engine needs to know about it."""

    name: str
    title: str
    key: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]  # shipped defaults, in the order of their messages
    recognised_by: frozenset[str]  # top-level fields that only this feed has
    silver_table: str
    raw_table: str
    log_file: str
    error_file: str
    worth: tuple[str, str, str] | None = None  # columns: quantity, price, discount
    facets: Mapping[str, str] = field(default_factory=dict)  # column of dq.quarantine -> column
    silver_indexes: tuple[str, ...] = ()  # column lists beside the key and the batch
    money: Money | None = None
    promote: tuple[Promotion, ...] = ()  # in order
    ledger: tuple[str, ...] = ()  # named queries of sql/gold/: (leg, left, right)
    gold_checks: tuple[
        str, ...
    ] = ()  # the same, about gold alone; only the check of all layers asks

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def watermark(self) -> str:
        return f"{self.name}_silver"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One row of etl.batch, as the engine needs it."""

    batch_id: int
    dataset: str
    kind: str  # file, or correction: the records of a repair
    file_name: str
    stored_name: str | None
    sha256: str
    file_bytes: int
    status: str
    insert_date: dt.datetime | None
    records: int | None


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One equation of the ledger."""

    leg: str
    left: str
    right: str

    @property
    def balanced(self) -> bool:
        return self.left == self.right

    def as_dict(self) -> dict[str, object]:
        return {"leg": self.leg, "left": self.left, "right": self.right, "balanced": self.balanced}


class Progress(Protocol):
    """Told how far a step is; `activity` says in words what it is doing."""

    def __call__(
        self, step: Step, done: int, total: int | None, /, *, activity: str | None = None
    ) -> None: ...
