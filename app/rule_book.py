"""Rules as pages and commands show them: in words, with how often they fired and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from etl import datasets, rule_file, validate
from etl.db import queries
from etl.rule_definition import RuleDefinition, changes

RECENT_DAYS = 7
_EVERY = 1_000_000
FIELDS = {
    "code": "code",
    "column_name": "column",
    "kind": "kind",
    "message": "message",
    "severity": "severity",
    "judges": "judged value",
    "parameters": "parameters",
    "ordinal": "order",
    "active": "on",
    "owner": "owner",
    "warn_records": "warns from (records)",
    "warn_rate": "warns from (fraction)",
    "stop_records": "stops from (records)",
    "stop_rate": "stops from (fraction)",
}


def listed(
    connection: Connection,
    *,
    rule_id: int | None = None,
    dataset: str | None = None,
    severity: str | None = None,
    active: bool | None = None,
    limit: int = _EVERY,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Return rules by feed and order, each with its sentence and how often it fired."""
    found = queries.rows(
        connection,
        "queries/rules.listed",
        rule_id=rule_id,
        dataset=dataset,
        severity=severity,
        active=active,
        days=RECENT_DAYS,
        limit=limit,
        offset=offset,
    )
    for row in found:
        row["sentence"] = in_words(row)
    return found


def in_words(row: Mapping[str, Any]) -> str:
    return validate.sentence_of(row["kind"], row["column_name"], row["parameters"])


def waiting(connection: Connection, dataset: str | None) -> list[dict[str, Any]]:
    """Return drafts that wait, each with its sentence and what it changes, in words."""
    found = queries.rows(connection, "queries/rules.open_drafts", dataset=dataset)
    for draft in found:
        draft["sentence"] = in_words(draft["rule"])
        draft["changes"] = []
        if draft["rule_id"] is not None:
            before = queries.row(connection, "queries/rules.one", rule_id=draft["rule_id"])
            assert before is not None
            draft["changes"] = differences(before, draft["rule"])
    return found


def versions(connection: Connection, rule_id: int) -> list[dict[str, Any]]:
    """Return the versions of a rule, the newest first, each with what it changed."""
    found = queries.rows(connection, "queries/rules.versions", rule_id=rule_id)
    for version, before in zip(found, [*found[1:], None], strict=True):
        version["sentence"] = in_words(version["rule"])
        version["changes"] = differences(before["rule"], version["rule"]) if before else []
    return found


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what differs between two rows of a rule, a sentence each."""
    found = changes(RuleDefinition.of_row(before), RuleDefinition.of_row(after))
    return [
        f"{FIELDS[name]}: {value_words(old)} → {value_words(new)}"
        for name, (old, new) in ((name, _differing(*pair)) for name, pair in found.items())
    ]


def _differing(old: object, new: object) -> tuple[object, object]:
    """Return two values; of parameters only those that differ."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return old, new
    same = {name for name in old if name in new and old[name] == new[name]}
    return (
        {name: value for name, value in old.items() if name not in same},
        {name: value for name, value in new.items() if name not in same},
    )


def value_words(value: object) -> str:
    """Return a value of a rule in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value_words(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def as_yaml(connection: Connection, *, dataset: str | None = None) -> str:
    """Return the rules in force of a feed, or of all, as a file; drafts are not in it."""
    names = [dataset] if dataset else list(datasets.declared())
    return rule_file.written(
        {
            name: [
                RuleDefinition.of_row(row)
                for row in queries.rows(connection, "queries/rules.all", dataset=name)
            ]
            for name in names
        }
    )
