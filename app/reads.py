"""What the operator's pages read, fresh from the database; app/figures.py reads the dashboard's."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app import context, health, rule_book, timetable
from etl import landing, readers, round_trip, rules, runs, triage, validate, what_if
from etl import rule_drafts as drafts_of_rules
from etl.db import queries
from etl.errors import UnreadableFileError
from etl.triage_states import Filters, TriageState


def rows(name: str, /, **parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of a named query, fresh from the database."""
    with context.engine().connect() as connection:
        return queries.rows(connection, name, **parameters)


def value(name: str, /, **parameters: Any) -> Any:
    """Return the first column of the first row of a named query."""
    with context.engine().connect() as connection:
        return queries.value(connection, name, **parameters)


# The operator's pages -------------------------------------------------------------------


def status() -> dict[str, Any]:
    """Return layers, queue, heartbeats and problems, as app.health says them."""
    with context.engine().connect() as connection:
        return health.status(connection)


@dataclass(frozen=True, kw_only=True)
class WaitingFile:
    """A file of the landing zone that belongs to no batch yet."""

    name: str  # on disk
    shown_name: str
    bytes: int
    modified_at: dt.datetime
    dataset: str | None
    problem: str | None


def waiting_files(limit: int = 200) -> tuple[list[WaitingFile], int]:
    """Return the oldest files that wait in the landing zone, and how many wait in all."""
    try:
        paths = landing.waiting(context.settings(), context.engine())
    except FileNotFoundError:
        return [], 0
    found = []
    for path in paths[:limit]:
        try:
            about = path.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # a run took it
        dataset, problem = _recognised(os.fsencode(path), about.st_size, about.st_mtime_ns)
        found.append(
            WaitingFile(
                name=path.name,
                shown_name=landing.shown_name(path),
                bytes=about.st_size,
                modified_at=dt.datetime.fromtimestamp(about.st_mtime, dt.UTC),
                dataset=dataset,
                problem=problem,
            )
        )
    return found, len(paths)


@st.cache_data(max_entries=1000, show_spinner=False)
def _recognised(path: bytes, size: int, modified_ns: int) -> tuple[str | None, str | None]:
    """Return the feed of a file and what is wrong with it, as far as its first records say."""
    del size, modified_ns
    try:
        with readers.open_regular(Path(os.fsdecode(path))) as file:
            dataset = landing.recognise(file, context.settings())
    except UnreadableFileError as error:
        return None, error.message
    except OSError as error:
        return None, error.strerror or "it cannot be opened"
    return (dataset.name, None) if dataset else (None, "it holds no records")


def run(run_id: int) -> dict[str, Any]:
    """Return one run with its steps and batches.

    Raises RunConflictError when there is none.
    """
    with context.engine().connect() as connection:
        return runs.show(connection, run_id)


def schedules(**filters: Any) -> list[dict[str, Any]]:
    """Return schedules with words and next time, as app.timetable says them."""
    with context.engine().connect() as connection:
        return timetable.schedules(connection, **filters)


def schedule(schedule_id: int) -> dict[str, Any]:
    """Return one schedule with its runs and changes.

    Raises ScheduleConflictError when there is none.
    """
    with context.engine().connect() as connection:
        return timetable.schedule(connection, schedule_id)


def heartbeats() -> list[health.Heartbeat]:
    """Return the last signs of life of worker and scheduler."""
    with context.engine().connect() as connection:
        return health.heartbeats(connection)


def rules_of_run(run: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the rules that judged a run of `run`, with the records of its batches that broke them.

    None when nothing was judged or the rules are no longer known.
    """
    if not run["rule_set"]:
        return None
    with context.engine().connect() as connection:
        found = rules.of_fingerprint(connection, run["dataset"], run["rule_set"])
        batches = [batch["batch_id"] for batch in run["batches"]]
        fired = {
            row["rule_id"]: row["records"]
            for row in queries.rows(connection, "queries/rules.fired", batches=batches)
        }
    if found is None:
        return None
    return [
        {
            "message": rule.message,
            "severity": rule.severity.value,
            "column": rule.column,
            "version": rule.version,
            "records": fired.get(rule.rule_id, 0),
        }
        for rule in found
    ]


def rules_listed(**filters: Any) -> list[dict[str, Any]]:
    """Return rules in words, as app.rule_book says them."""
    with context.engine().connect() as connection:
        return rule_book.listed(connection, **filters)


def rule_drafts(dataset: str | None) -> list[dict[str, Any]]:
    """Return the drafts of rules that wait, with what they change."""
    with context.engine().connect() as connection:
        return rule_book.waiting(connection, dataset)


def rule_versions(rule_id: int) -> list[dict[str, Any]]:
    """Return the versions of a rule, the newest first, with what each changed."""
    with context.engine().connect() as connection:
        return rule_book.versions(connection, rule_id)


def next_rule_order(dataset: str) -> int:
    """Return an order behind every rule of a feed."""
    with context.engine().connect() as connection:
        return drafts_of_rules.next_ordinal(connection, dataset)


def rules_as_yaml(dataset: str | None) -> bytes:
    """Return the rules in force as a YAML file."""
    with context.engine().connect() as connection:
        return rule_book.as_yaml(connection, dataset=dataset).encode()


def newest_prediction(dataset: str) -> what_if.Prediction | None:
    """Return what rules that were tried last would do to a feed, None when none ever were."""
    with context.engine().connect() as connection:
        return what_if.newest(connection, dataset)


def rules_to_try(dataset: str) -> tuple[str, str]:
    """Return the fingerprints of the rules with every open draft, and of those that are active."""
    with context.engine().connect() as connection:
        return (
            rules.fingerprint(rules.drafted(connection, dataset)),
            rules.fingerprint(rules.active(connection, dataset)),
        )


def queue_items(samples: Sequence[what_if.Sample]) -> dict[tuple[int, int], int]:
    """Return the queue item of each sample that has one now, by batch and position."""
    with context.engine().connect() as connection:
        return what_if.items(connection, samples)


def loaded_batches(dataset: str, *, limit: int) -> list[dict[str, Any]]:
    """Return the newest batches of a feed that can be judged again."""
    return rows("queries/batches.newest_loaded", dataset=dataset, limit=limit)


def invalid_record(quarantine_id: int) -> dict[str, Any]:
    """Return one invalid record whole, its violations with the sentence of their rule.

    Raises RevenueError when there is none.
    """
    with context.engine().connect() as connection:
        found = triage.show(connection, quarantine_id)
    for violation in found["violations"]:
        violation["sentence"] = validate.sentence_of(
            violation["kind"], violation["column_name"], violation["parameters"]
        )
    return found


def invalid_records(format: str, filters: Filters) -> bytes:  # noqa: A002 - its own word
    """Return the invalid records that the filters of the list find, as a file to correct.

    `format` is json, csv or xlsx.
    """
    file = io.BytesIO()
    with context.engine().connect() as connection:
        round_trip.write(lambda: triage.export(connection, filters), file, format=format)
    return file.getvalue()


def invalid_records_by_state(filters: Filters, *, limit: int) -> dict[str, int]:
    """Return how many records of each state the filters find, each counted up to a limit.

    The states of the filters themselves do not count: all are returned.
    """
    anywhere = dataclasses.replace(filters, states=None)
    found = rows(
        "queries/triage.by_state", **anywhere.parameters, each=list(TriageState), limit=limit
    )
    return {row["status"]: row["records"] for row in found}
