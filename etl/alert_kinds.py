"""The closed catalogue of what can be watched: one source for conditions, messages, page and docs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MESSAGE_CHARACTERS = 1_000


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One thing that can be watched; its condition is the query `queries/alerts.<name>`."""

    name: str
    title: str
    sentence: str  # with {feed} and {limit}
    message: str  # with the columns of the query
    over: str  # why an incident ends, with {dataset} and {subject}
    unit: str | None = None  # of the threshold: records, fraction 0..1, seconds, deviations
    usual: float | None = None  # threshold offered first
    is_of_feed: bool = True

    @property
    def needs_threshold(self) -> bool:
        return self.unit is not None


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="run_failed",
            title="Run failed",
            sentence="The newest run of {feed} failed",
            message="Run {run_id} of {dataset} failed: {reason}",
            over="a later run of {dataset} ended well",
        ),
        Kind(
            name="run_lost",
            title="Run lost",
            sentence="The worker of a run of {feed} died",
            message="The worker of run {run_id} of {dataset} died; another one resumes it",
            over="the run has ended since",
        ),
        Kind(
            name="run_too_long",
            title="Run too long",
            sentence="A run of {feed} takes longer than {limit}",
            message="Run {run_id} of {dataset} has been running for {duration}, longer than {limit}",
            over="the run has ended",
            unit="seconds",
            usual=3600,
        ),
        Kind(
            name="invalid_count",
            title="Invalid records",
            sentence="The newest run of {feed} rejected more than {limit}",
            message="Run {run_id} of {dataset} rejected {invalid_records:,} of {read_records:,} "
            "records, more than {limit}",
            over="a later run of {dataset} rejected no more than the limit",
            unit="records",
            usual=1000,
        ),
        Kind(
            name="invalid_rate",
            title="Rate of invalid records",
            sentence="The newest run of {feed} rejected more than {limit} of its records",
            message="Run {run_id} of {dataset} rejected {rate:.1%} of its {read_records:,} records, "
            "more than {limit}",
            over="a later run of {dataset} rejected no more than the limit",
            unit="fraction",
            usual=0.1,
        ),
        Kind(
            name="unusual_volume",
            title="Unusual volume",
            sentence="The newest run of {feed} read far more or far fewer records than usual: more "
            "than {limit} from the median of the runs before",
            message="Run {run_id} of {dataset} read {read_records:,} records; usual are "
            "{usual_records:,} ({deviations:.1f} standard deviations from the {runs} runs before)",
            over="a later run of {dataset} read as many records as usual",
            unit="deviations",
            usual=4,
        ),
        Kind(
            name="not_fresh",
            title="Not fresh",
            sentence="A layer of {feed} is late or stale",
            message="{layer} of {dataset} is {state}: its data is of {data_at}",
            over="{subject} is fresh again",
        ),
        Kind(
            name="ledger_broken",
            title="Ledger broken",
            sentence="The ledger of {feed} does not balance",
            message="{dataset}: {what}",
            over="everything compared for {subject} balances again",
        ),
        Kind(
            name="process_silent",
            title="Process silent",
            sentence="A worker or scheduler has shown no sign of life for {limit}",
            message="The {kind} on {host} (process {pid}) has shown no sign of life for {duration}",
            over="{subject} shows signs of life, or another took its place",
            unit="seconds",
            usual=60,
            is_of_feed=False,
        ),
        Kind(
            name="refresh_failed",
            title="Refresh failed",
            sentence="The newest refresh of the Power BI dataset failed",
            message="Refresh {refresh_id} of the Power BI dataset failed: {error}",
            over="a later refresh completed",
            is_of_feed=False,
        ),
    )
}


def limit_words(kind: str, threshold: float | None) -> str:
    """Return a threshold with its unit."""
    if threshold is None:
        return "its limit"
    unit = KINDS[kind].unit
    if unit == "fraction":
        return f"{threshold * 100:g} %"
    if unit == "seconds":
        return duration_words(threshold)
    number = f"{threshold:,.0f}" if threshold == int(threshold) else f"{threshold:,g}"
    word = "records" if unit == "records" else "standard deviations"
    return f"{number} {word}"


def duration_words(seconds: float) -> str:
    """Return a duration in the largest units that fit."""
    rest, words = round(seconds), []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"


def sentence(kind: str, dataset: str | None, threshold: float | None) -> str:
    """Return a rule in words."""
    return KINDS[kind].sentence.format(
        feed=dataset or "any feed", limit=limit_words(kind, threshold)
    )


def message(kind: str, threshold: float | None, found: Mapping[str, Any]) -> str:
    """Return what happened, from a row of the kind's query."""
    facts = {**found, "limit": limit_words(kind, threshold)}
    if "seconds" in facts:
        facts["duration"] = duration_words(facts["seconds"])
    if facts.get("data_at") is not None:
        facts["data_at"] = moment_words(facts["data_at"])
    return KINDS[kind].message.format_map(facts)[:_MESSAGE_CHARACTERS]


def moment_words(moment: dt.datetime) -> str:
    """Return a moment with its zone."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
