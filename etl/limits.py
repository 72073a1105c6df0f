"""Limits of rules: from how many firings in a batch on the run says so, or the batch is stopped.

A limit counts records of one file: a correction, which may hold a single record, is never stopped.
Only a batch on its way into silver is stopped. One that is there already is judged again without
being taken out: that would be a decision of people, so the run says it and is warned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from etl import rules
from etl.model import Rule

_MOST_WORDS = 5  # batches and rules named in the reason of a run


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A rule that fired in a batch as often as one of its limits says, or more often."""

    rule: Rule
    records: int  # in which it fired
    batch_records: int
    is_stop: bool
    limit_records: int | None  # None: not this one
    limit_rate: Decimal | None

    @property
    def words(self) -> str:
        """How often it fired, and the limit."""
        share = _percent(Decimal(self.records) / self.batch_records)
        limits = []
        if self.limit_records is not None:
            limits.append(f"{self.limit_records:,} record{'' if self.limit_records == 1 else 's'}")
        if self.limit_rate is not None:
            limits.append(_percent(self.limit_rate))
        kind = "stop" if self.is_stop else "warn"
        return (
            f"{self.rule.message} in {self.records:,} of {self.batch_records:,} records ({share}), "
            f"{kind} limit {' and '.join(limits)}"
        )

    def as_dict(self) -> dict[str, object]:
        """Return what a stopped batch keeps of it."""
        return {
            "rule_id": self.rule.rule_id,
            "rule_version": self.rule.version,
            "message": self.rule.message,
            "records": self.records,
            "batch_records": self.batch_records,
            "stop_records": self.rule.stop_records,
            "stop_rate": None if self.rule.stop_rate is None else str(self.rule.stop_rate),
        }


def _percent(fraction: Decimal) -> str:
    percent = round(fraction * 100, 2)
    return (
        f"{'<' if fraction and not percent else ''}{percent or Decimal('0.01'):,f}".rstrip(
            "0"
        ).rstrip(".")
        + " %"
    )


def reached(rule: Rule, *, records: int, batch_records: int) -> Reached | None:
    """Return the limit that a rule has reached by firing in `records` records; the stop limit first.

    A limit is reached from its count on: 1 record means any, the rate 1 means all.
    """
    for is_stop, most, rate in (
        (True, rule.stop_records, rule.stop_rate),
        (False, rule.warn_records, rule.warn_rate),
    ):
        limit_records = most if most is not None and records >= most else None
        is_over = rate is not None and records > 0 and records >= rate * batch_records
        if limit_records is not None or is_over:
            return Reached(
                rule=rule,
                records=records,
                batch_records=batch_records,
                is_stop=is_stop,
                limit_records=limit_records,
                limit_rate=rate if is_over else None,
            )
    return None


def stopping(
    judged_by: Sequence[Rule], fired: Mapping[int, int], batch_records: int
) -> list[Reached]:
    """Return the stop limits that a batch reached; `fired` has its records by rule_id."""
    found = (
        reached(rule, records=fired.get(rule.rule_id, 0), batch_records=batch_records)
        for rule in judged_by
    )
    return [one for one in found if one is not None and one.is_stop]


def in_words(fired: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what loaded batches reached, from rows of `queries/rules.fired_with_limits`."""
    words = []
    for row in fired:
        one = reached(
            rules.from_row(row["rule"]), records=row["records"], batch_records=row["batch_records"]
        )
        if one is not None:
            words.append(f"{row['file_name']}: {one.words}")
    if len(words) > _MOST_WORDS:
        words = [*words[:_MOST_WORDS], f"and {len(words) - _MOST_WORDS:,} more reached a limit"]
    return words
