"""What is judged again: chosen files, those of a period, or everything, and what that touches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from etl import datasets
from etl.db import queries
from etl.errors import RevenueError


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which batches of a feed; nothing given means every loaded one."""

    dataset: str
    batches: tuple[int, ...] | None = None
    first_day: dt.date | None = None  # day of acceptance, UTC, both included
    last_day: dt.date | None = None

    @property
    def is_everything(self) -> bool:
        return self.batches is None and self.first_day is None and self.last_day is None


@dataclass(frozen=True, kw_only=True)
class Touched:
    """What a choice touches, and what it may widen to."""

    batches: tuple[int, ...]
    file_names: tuple[str, ...]
    records: int
    invalid_records: int  # by the rules that judged them last
    all_batches: int
    all_records: int

    @property
    def is_whole(self) -> bool:
        """Whether no batch is left to widen to."""
        return len(self.batches) == self.all_batches


def touched(connection: Connection, choice: Choice) -> Touched:
    """Return what the choice touches now.

    Raises RevenueError when a chosen batch cannot be judged again, or the period is none.
    """
    datasets.get(choice.dataset)
    first, last = choice.first_day, choice.last_day
    if first is not None and last is not None and last < first:
        raise RevenueError("the period ends before it begins", code="reprocess")
    found = queries.rows(
        connection,
        "queries/batches.chosen",
        dataset=choice.dataset,
        batches=None if choice.batches is None else list(choice.batches),
        start=_midnight(first),
        before=_midnight(last + dt.timedelta(days=1)) if last is not None else None,
    )
    chosen = [row for row in found if row["is_chosen"]]
    _require_all(choice, [row["batch_id"] for row in found])
    return Touched(
        batches=tuple(row["batch_id"] for row in chosen),
        file_names=tuple(row["file_name"] for row in chosen),
        records=sum(row["records"] for row in chosen),
        invalid_records=sum(row["invalid_records"] for row in chosen),
        all_batches=len(found),
        all_records=sum(row["records"] for row in found),
    )


def _require_all(choice: Choice, known: Sequence[int]) -> None:
    strange = sorted(set(choice.batches or ()) - set(known))
    if strange:
        listed = ", ".join(map(str, strange))
        raise RevenueError(
            f"no loaded batch of {choice.dataset}: {listed}; only batches in silver or gold, and "
            "those that a limit stopped, can be judged again",
            code="reprocess",
        )


def _midnight(day: dt.date | None) -> dt.datetime | None:
    return None if day is None else dt.datetime.combine(day, dt.time(), dt.UTC)
