"""Rules of the dq.rule table: shipped defaults, what is active now, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from etl.db import queries
from etl.model import Dataset, Judges, Rule, Severity


def ship(connection: Connection, dataset: Dataset) -> None:
    """Insert or renew the shipped defaults; an operator's change is never overwritten."""
    for ordinal, rule in enumerate(dataset.rules, start=1):
        queries.execute(
            connection,
            "queries/rules.ship",
            dataset=dataset.name,
            code=rule.code,
            ordinal=ordinal * 10,
            column_name=rule.column,
            kind=rule.kind,
            parameters=json.dumps(dict(rule.parameters)),
            judges=rule.judges.value,
            severity=rule.severity.value,
            message=rule.message,
        )


def active(connection: Connection, dataset: str) -> list[Rule]:
    """Return the active rules in the order of their messages."""
    return [
        from_row(row) for row in queries.rows(connection, "queries/rules.active", dataset=dataset)
    ]


def drafted(connection: Connection, dataset: str) -> list[Rule]:
    """Return the active rules as they would be with every open draft applied, in their order.

    A draft whose rule changed meanwhile is left out: it cannot be activated. Changed rules carry the
    version that they would get; new ones have the identity 0.
    """
    drafts = [
        draft
        for draft in queries.rows(connection, "queries/rules.open_drafts", dataset=dataset)
        if not draft["is_outdated"]
    ]
    changed = {draft["rule_id"]: draft for draft in drafts if draft["rule_id"] is not None}
    placed = []
    for row in queries.rows(connection, "queries/rules.all", dataset=dataset):
        draft = changed.get(row["rule_id"])
        stored = row if draft is None else {**row, **draft["rule"], "version": row["version"] + 1}
        placed.append(((stored["ordinal"], 0, row["rule_id"]), stored))
    for draft in drafts:
        if draft["rule_id"] is None:
            stored = {"active": True, "parameters": {}, **draft["rule"], "rule_id": 0, "version": 1}
            placed.append(((stored["ordinal"], 1, draft["draft_id"]), stored))
    return [from_row(stored) for _, stored in sorted(placed, key=_place) if stored["active"]]


def _place(one: tuple[tuple[int, int, int], Mapping[str, Any]]) -> tuple[int, int, int]:
    return one[0]


def from_row(stored: Mapping[str, Any]) -> Rule:
    """Return the rule of a row of dq.rule, or of its JSON in dq.rule_history."""
    return Rule(
        code=stored["code"],
        column=stored["column_name"],
        kind=stored["kind"],
        message=stored["message"],
        severity=Severity(stored["severity"]),
        judges=Judges(stored["judges"]),
        parameters=stored["parameters"],
        rule_id=stored["rule_id"],
        version=stored["version"],
        # versions of before there were limits have none
        warn_records=stored.get("warn_records"),
        warn_rate=_rate(stored.get("warn_rate")),
        stop_records=stored.get("stop_records"),
        stop_rate=_rate(stored.get("stop_rate")),
    )


def _rate(stored: Decimal | float | None) -> Decimal | None:
    return None if stored is None else Decimal(str(stored))


def fingerprint(rules: Sequence[Rule]) -> str:
    """Return a short hash that changes with whatever of the active rules decides a verdict.

    Limits do not: they let a whole batch through or keep it, and no record's verdict depends on
    them. A stopped batch carries the limits that stopped it, with the version of each rule.
    """
    whole = [
        (r.code, r.column, r.kind, r.message, r.severity, r.judges, dict(r.parameters))
        for r in rules
    ]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def of_fingerprint(connection: Connection, dataset: str, wanted: str) -> list[Rule] | None:
    """Return the rules that had this fingerprint, None when they are no longer known."""
    state: dict[int, tuple[int, Rule]] = {}  # ordinal and rule of each active one
    found = None
    for row in queries.rows(connection, "queries/rules.history", dataset=dataset):
        stored = row["rule"]
        state.pop(row["rule_id"], None)
        if stored["active"]:
            state[row["rule_id"]] = (stored["ordinal"], from_row(stored))
        ordered = sorted(state.values(), key=lambda one: (one[0], one[1].rule_id))
        rules = [rule for _, rule in ordered]
        if fingerprint(rules) == wanted:
            found = rules
    return found
