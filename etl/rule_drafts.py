"""Drafts of rules: made, withdrawn, activated. Nothing else changes a rule but a shipped release.

A draft is a whole rule beside the version it changes. It is checked when it is made and again when
it is activated, because the others may have changed meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from etl import datasets
from etl.db import queries
from etl.rule_definition import (
    LARGEST_ORDINAL,
    RuleDefinition,
    RuleError,
    changes,
    check,
    check_beside,
)

REASON_CHARACTERS = 500
_STEP = 10  # between two rules, so that others fit in


class OutdatedError(RuleError):
    """The rule changed after the draft was made."""

    code = "outdated"


class SecondPersonError(RuleError):
    """Somebody else than who made the draft must activate it."""

    code = "second_person"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One draft that waits."""

    draft_id: int
    dataset: str
    rule_id: int | None  # None: a new rule
    rule: RuleDefinition
    based_on: int | None
    reason: str
    made_by: str
    is_outdated: bool


@dataclass(frozen=True, kw_only=True)
class Activation:
    """What became of drafts that were to be activated."""

    dataset: str
    activated: tuple[int, ...]  # drafts
    outdated: tuple[int, ...]  # drafts whose rule changed meanwhile
    run_id: int | None = None  # run that judges again what was judged before


def waiting(connection: Connection, dataset: str) -> list[Draft]:
    """Return the drafts of a feed that wait, in the order in which they were made."""
    return [
        Draft(
            draft_id=row["draft_id"],
            dataset=row["dataset"],
            rule_id=row["rule_id"],
            rule=RuleDefinition.of_row(row["rule"]),
            based_on=row["based_on"],
            reason=row["reason"],
            made_by=row["made_by"],
            is_outdated=row["is_outdated"],
        )
        for row in queries.rows(connection, "queries/rules.open_drafts", dataset=dataset)
    ]


def definition(connection: Connection, rule_id: int) -> tuple[str, int, RuleDefinition]:
    """Return feed, version and definition of a rule.

    Raises RuleError when there is none.
    """
    row = queries.row(connection, "queries/rules.one", rule_id=rule_id)
    if row is None:
        raise RuleError(f"there is no rule {rule_id}; `revenue rules list` shows them")
    return row["dataset"], row["version"], RuleDefinition.of_row(row)


# Making ---------------------------------------------------------------------------------


def make(
    connection: Connection,
    dataset: str,
    rule: RuleDefinition,
    *,
    actor: str,
    rule_id: int | None = None,
    version: int | None = None,
    reason: str = "",
) -> int:
    """Keep a new rule (no `rule_id`) or a changed one as a draft; return the draft's id.

    `version` is the version that was seen. An open draft of the same rule is withdrawn: the newer
    one takes its place.

    Raises RuleError when the rule cannot be, repeats or contradicts another one, or changes nothing;
    OutdatedError when the rule changed since it was seen.
    """
    queries.execute(connection, "queries/rules.lock", dataset=dataset)
    if len(reason) > REASON_CHARACTERS or not reason.replace("\n", " ").isprintable():
        raise RuleError(f"a reason may have {REASON_CHARACTERS} characters, no control characters")
    based_on = None
    if rule_id is not None:
        feed, based_on, before = definition(connection, rule_id)
        if feed != dataset or rule.code != before.code:
            raise RuleError("a rule keeps its feed and its code")
        if version is not None and version != based_on:
            raise OutdatedError("somebody changed this rule meanwhile; look at it again")
        if not changes(before, rule):
            raise RuleError("this is the rule as it is; withdraw its draft where one waits")
    check(datasets.get(dataset), rule)
    check_beside(rule, _others(connection, dataset, {rule_id}))
    return _keep(connection, dataset, rule, rule_id, based_on, actor=actor, reason=reason)


def _keep(
    connection: Connection,
    dataset: str,
    rule: RuleDefinition,
    rule_id: int | None,
    based_on: int | None,
    *,
    actor: str,
    reason: str,
) -> int:
    for draft in waiting(connection, dataset):
        if rule_id is not None and draft.rule_id == rule_id:
            _decide(connection, draft.draft_id, "withdrawn", actor)
    draft_id = queries.value(
        connection,
        "queries/rules.add_draft",
        dataset=dataset,
        rule_id=rule_id,
        rule=json.dumps(rule.as_dict()),
        based_on=based_on,
        reason=reason.strip(),
        actor=actor,
    )
    return int(draft_id)


def as_drafted(
    connection: Connection, dataset: str
) -> dict[str, tuple[int | None, RuleDefinition]]:
    """Return every rule of a feed with the open drafts applied: code -> identity and definition."""
    found: dict[str, tuple[int | None, RuleDefinition]] = {
        row["code"]: (row["rule_id"], RuleDefinition.of_row(row))
        for row in queries.rows(connection, "queries/rules.all", dataset=dataset)
    }
    for draft in waiting(connection, dataset):
        if not draft.is_outdated:
            found[draft.rule.code] = (draft.rule_id, draft.rule)
    return found


def _others(connection: Connection, dataset: str, but: set[int | None]) -> list[RuleDefinition]:
    """Return the rules of a feed as drafted, without some of those in the table."""
    return [
        rule
        for rule_id, rule in as_drafted(connection, dataset).values()
        if rule_id is None or rule_id not in but
    ]


def make_many(
    connection: Connection,
    dataset: str,
    wished: Sequence[RuleDefinition],
    *,
    lines: Mapping[str, int],
    actor: str,
    reason: str,
) -> list[int]:
    """Keep as drafts what differs from the rules as drafted; rules are known by their codes.

    A rule that is wished as it is, while a draft of it waits, gets that draft withdrawn. `lines`
    says where each rule stands in its file.

    Raises RuleError naming line and rule; then nothing may be committed.
    """
    queries.execute(connection, "queries/rules.lock", dataset=dataset)
    now = {
        row["code"]: row for row in queries.rows(connection, "queries/rules.all", dataset=dataset)
    }
    drafted = {code: rule for code, (_, rule) in as_drafted(connection, dataset).items()}
    differing = [rule for rule in wished if drafted.get(rule.code) != rule]
    after = {**drafted, **{rule.code: rule for rule in differing}}
    for rule in differing:
        try:
            check(datasets.get(dataset), rule)
            check_beside(rule, [other for code, other in after.items() if code != rule.code])
        except RuleError as error:
            raise RuleError(f"line {lines[rule.code]}, rule {rule.code}: {error.message}") from None
    made = []
    drafts = waiting(connection, dataset)
    for rule in differing:
        for draft in drafts:
            if draft.rule.code == rule.code:
                _decide(connection, draft.draft_id, "withdrawn", actor)
        row = now.get(rule.code)
        if row is not None and RuleDefinition.of_row(row) == rule:
            continue
        rule_id, based_on = (row["rule_id"], row["version"]) if row else (None, None)
        made.append(_keep(connection, dataset, rule, rule_id, based_on, actor=actor, reason=reason))
    return made


def switch(
    connection: Connection, rule_id: int, *, is_active: bool, actor: str, reason: str
) -> int:
    """Draft a rule switched off or on; return the draft's id.

    Raises RuleError.
    """
    dataset, version, rule = definition(connection, rule_id)
    return make(
        connection,
        dataset,
        replace(rule, active=is_active),
        rule_id=rule_id,
        version=version,
        actor=actor,
        reason=reason,
    )


def move(connection: Connection, rule_id: int, *, is_up: bool, actor: str) -> list[int]:
    """Draft a rule one place earlier or later; return the drafts' ids.

    Where no number is left between its neighbours, the neighbour changes place as well.

    Raises RuleError when the rule is the first or last one already.
    """
    dataset, _, _ = definition(connection, rule_id)
    queries.execute(connection, "queries/rules.lock", dataset=dataset)
    rules = sorted(
        (
            (rule.ordinal, found_id, rule)
            for found_id, rule in as_drafted(connection, dataset).values()
            if found_id is not None
        ),
        key=lambda one: one[:2],
    )
    if not is_up:
        rules.reverse()
    place = next(index for index, one in enumerate(rules) if one[1] == rule_id)
    if place == 0:
        raise RuleError(f"this rule is the {'first' if is_up else 'last'} one already")
    neighbour = rules[place - 1]
    if place > 1:
        beyond = rules[place - 2][0]
    else:
        beyond = max(0, neighbour[0] - 2 * _STEP) if is_up else neighbour[0] + 2 * _STEP
    middle = (beyond + neighbour[0]) // 2
    wished = {rule_id: middle}
    if not min(beyond, neighbour[0]) < middle < max(beyond, neighbour[0]):
        if neighbour[0] == rules[place][0]:
            raise RuleError("both rules have the same order; give one of them another number")
        wished = {rule_id: neighbour[0], neighbour[1]: rules[place][0]}
    return [
        make(
            connection,
            dataset,
            replace(rule, ordinal=wished[found_id]),
            rule_id=found_id,
            actor=actor,
            reason="another order",
        )
        for _, found_id, rule in rules
        if found_id in wished
    ]


def next_ordinal(connection: Connection, dataset: str) -> int:
    """Return an order behind every rule of the feed."""
    last = max((rule.ordinal for _, rule in as_drafted(connection, dataset).values()), default=0)
    return min(last + _STEP, LARGEST_ORDINAL)


def back_to(connection: Connection, rule_id: int, version: int, *, actor: str, reason: str) -> int:
    """Draft a rule as an earlier version had it; return the draft's id.

    Raises RuleError when there is no such version, or it is as the rule is now.
    """
    dataset, current, _ = definition(connection, rule_id)
    for row in queries.rows(connection, "queries/rules.versions", rule_id=rule_id):
        if row["version"] == version:
            return make(
                connection,
                dataset,
                RuleDefinition.of_row(row["rule"]),
                rule_id=rule_id,
                version=current,
                actor=actor,
                reason=reason or f"back to version {version}",
            )
    raise RuleError(f"rule {rule_id} has no version {version}")


# Deciding -------------------------------------------------------------------------------


def withdraw(connection: Connection, draft_id: int, *, actor: str) -> dict[str, Any]:
    """Take a draft back; return it as it was.

    Raises RuleError when it does not wait.
    """
    draft = _waiting(connection, draft_id)
    _decide(connection, draft_id, "withdrawn", actor)
    return draft


def activate(
    connection: Connection, drafts: Sequence[int], *, actor: str, needs_second_person: bool
) -> Activation:
    """Let drafts of one feed judge from now on, all of them or none.

    A draft whose rule changed meanwhile becomes outdated, and the others are still activated.

    Raises RuleError when a draft does not wait, or repeats or contradicts a rule that is active by
    now; SecondPersonError where `needs_second_person` and the actor made one of them.
    """
    found = [_waiting(connection, draft_id) for draft_id in sorted(set(drafts))]
    feeds = {draft["dataset"] for draft in found}
    if len(feeds) != 1:
        raise RuleError("choose drafts of one feed" if feeds else "choose at least one draft")
    dataset = feeds.pop()
    queries.execute(connection, "queries/rules.lock", dataset=dataset)
    if needs_second_person and (own := [d["draft_id"] for d in found if d["made_by"] == actor]):
        raise SecondPersonError(
            f"{actor} made draft {own[0]}: somebody else must activate it "
            f"(REVENUE_RULE_APPROVAL says when)"
        )
    stored = {
        row["rule_id"]: row
        for row in queries.rows(connection, "queries/rules.all", dataset=dataset)
    }
    outdated = [draft for draft in found if _is_outdated(draft, stored)]
    fresh = [draft for draft in found if draft not in outdated]
    for draft in outdated:
        _decide(connection, draft["draft_id"], "outdated", actor)
    after = {row["code"]: RuleDefinition.of_row(row) for row in stored.values()}
    new = {draft["rule"]["code"] for draft in fresh if draft["rule_id"] is None}
    if taken := new & set(after):
        raise RuleError(f"the code {min(taken)} is taken by now; take another one")
    wished = {draft["draft_id"]: RuleDefinition.of_row(draft["rule"]) for draft in fresh}
    after |= {rule.code: rule for rule in wished.values()}
    for rule in wished.values():
        check(datasets.get(dataset), rule)
        check_beside(rule, [other for code, other in after.items() if code != rule.code])
    for draft in fresh:
        _apply(connection, draft, wished[draft["draft_id"]], actor)
    return Activation(
        dataset=dataset,
        activated=tuple(draft["draft_id"] for draft in fresh),
        outdated=tuple(draft["draft_id"] for draft in outdated),
    )


def _is_outdated(draft: Mapping[str, Any], stored: Mapping[int, Mapping[str, Any]]) -> bool:
    rule_id = draft["rule_id"]
    return rule_id is not None and stored[rule_id]["version"] != draft["based_on"]


def _apply(
    connection: Connection, draft: Mapping[str, Any], rule: RuleDefinition, actor: str
) -> None:
    values = {**rule.as_dict(), "parameters": json.dumps(dict(rule.parameters)), "actor": actor}
    if draft["rule_id"] is None:
        rule_id = queries.value(connection, "queries/rules.add", dataset=draft["dataset"], **values)
        queries.execute(
            connection, "queries/rules.give_to_draft", draft_id=draft["draft_id"], rule_id=rule_id
        )
    else:
        changed = queries.value(
            connection,
            "queries/rules.change",
            rule_id=draft["rule_id"],
            based_on=draft["based_on"],
            **values,
        )
        if changed is None:
            raise OutdatedError("somebody changed this rule meanwhile; look at it again")
    _decide(connection, draft["draft_id"], "activated", actor)


def _waiting(connection: Connection, draft_id: int) -> dict[str, Any]:
    draft = queries.row(connection, "queries/rules.draft", draft_id=draft_id)
    if draft is None:
        raise RuleError(f"there is no draft {draft_id}")
    if draft["status"] != "draft":
        raise RuleError(f"draft {draft_id} is {draft['status']} already")
    return draft


def _decide(connection: Connection, draft_id: int, status: str, actor: str) -> None:
    queries.execute(
        connection, "queries/rules.decide_draft", draft_id=draft_id, status=status, actor=actor
    )
