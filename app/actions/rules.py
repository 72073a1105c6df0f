"""Rules: drafted by a steward, activated by another one where more than one person works here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from app import auth
from app.actions import Desk, _audit, _authorise, _queue, _storable, _transaction
from app.auth import Role
from etl import datasets, rule_drafts, rule_file
from etl.db import queries
from etl.rule_definition import RuleDefinition, RuleError
from etl.rule_drafts import Activation


def needs_second_person(desk: Desk) -> bool:
    """Return whether somebody else than who made a draft must activate it."""
    if desk.settings.rule_approval == "auto":
        return not auth.is_single_user(desk.settings)
    return desk.settings.rule_approval == "required"


def draft_rule(
    desk: Desk,
    dataset: str,
    rule: RuleDefinition,
    *,
    rule_id: int | None = None,
    version: int | None = None,
    reason: str = "",
) -> int:
    """Draft a new rule, or a change of one; return the draft's id.

    `version` is the version of the rule that was seen.

    Raises ForbiddenError, RuleError.
    """
    on = f"rule {rule_id}" if rule_id is not None else f"dataset {dataset}"
    _authorise(desk, "rule.draft", on, Role.STEWARD)
    with _transaction(desk) as connection:
        before = rule_drafts.definition(connection, rule_id)[2] if rule_id is not None else None
        draft_id = rule_drafts.make(
            connection,
            datasets.get(dataset).name,
            rule,
            rule_id=rule_id,
            version=version,
            reason=reason,
            actor=_storable(desk.operator.name),
        )
        _audit(
            connection,
            desk.operator,
            "rule.draft",
            f"draft {draft_id}",
            before=None if before is None else before.as_dict(),
            after={**rule.as_dict(), "rule_id": rule_id, "dataset": dataset, "reason": reason},
        )
    return draft_id


def switch_rule(desk: Desk, rule_id: int, *, is_active: bool, reason: str = "") -> int:
    """Draft a rule switched off or on; return the draft's id.

    Raises ForbiddenError, RuleError.
    """
    _authorise(desk, "rule.switch", f"rule {rule_id}", Role.STEWARD)
    with _transaction(desk) as connection:
        draft_id = rule_drafts.switch(
            connection,
            rule_id,
            is_active=is_active,
            reason=reason,
            actor=_storable(desk.operator.name),
        )
        _audit(
            connection,
            desk.operator,
            "rule.switch",
            f"rule {rule_id}",
            before={"active": not is_active},
            after={"active": is_active, "draft_id": draft_id, "reason": reason},
        )
    return draft_id


def move_rule(desk: Desk, rule_id: int, *, is_up: bool) -> list[int]:
    """Draft a rule one place earlier or later; return the drafts' ids.

    Raises ForbiddenError, RuleError.
    """
    _authorise(desk, "rule.move", f"rule {rule_id}", Role.STEWARD)
    with _transaction(desk) as connection:
        _, _, before = rule_drafts.definition(connection, rule_id)
        drafts = rule_drafts.move(
            connection, rule_id, is_up=is_up, actor=_storable(desk.operator.name)
        )
        _audit(
            connection,
            desk.operator,
            "rule.move",
            f"rule {rule_id}",
            before={"ordinal": before.ordinal},
            after={"is_up": is_up, "drafts": drafts},
        )
    return drafts


def go_back(desk: Desk, rule_id: int, *, version: int, reason: str = "") -> int:
    """Draft a rule as an earlier version had it; return the draft's id.

    Raises ForbiddenError, RuleError.
    """
    _authorise(desk, "rule.go_back", f"rule {rule_id}", Role.STEWARD)
    with _transaction(desk) as connection:
        draft_id = rule_drafts.back_to(
            connection, rule_id, version, reason=reason, actor=_storable(desk.operator.name)
        )
        _audit(
            connection,
            desk.operator,
            "rule.go_back",
            f"rule {rule_id}",
            after={"version": version, "draft_id": draft_id, "reason": reason},
        )
    return draft_id


def withdraw_draft(desk: Desk, draft_id: int) -> None:
    """Take a draft back.

    Raises ForbiddenError, RuleError when it does not wait.
    """
    _authorise(desk, "rule.withdraw", f"draft {draft_id}", Role.STEWARD)
    with _transaction(desk) as connection:
        draft = rule_drafts.withdraw(connection, draft_id, actor=_storable(desk.operator.name))
        _audit(
            connection,
            desk.operator,
            "rule.withdraw",
            f"draft {draft_id}",
            before={"rule_id": draft["rule_id"], **draft["rule"]},
        )


def activate_drafts(desk: Desk, drafts: Sequence[int], *, judge_again: bool = False) -> Activation:
    """Let drafts of one feed judge what comes from now on; what was judged before stays.

    `judge_again` queues a run that judges that, too.

    Raises ForbiddenError, BusyError, RuleError, SecondPersonError.
    """
    on = f"drafts {', '.join(map(str, drafts))}"
    _authorise(desk, "rule.activate", on, Role.STEWARD)
    with _transaction(desk) as connection:
        done = rule_drafts.activate(
            connection,
            drafts,
            actor=_storable(desk.operator.name),
            needs_second_person=needs_second_person(desk),
        )
        for draft_id in done.activated:
            draft = queries.row(connection, "queries/rules.draft", draft_id=draft_id)
            assert draft is not None
            _audit(
                connection,
                desk.operator,
                "rule.activate",
                f"rule {draft['rule_id']}",
                before=_version(connection, draft["rule_id"], draft["based_on"]),
                after={**draft["rule"], "draft_id": draft_id, "made_by": draft["made_by"]},
            )
        for draft_id in done.outdated:
            _audit(connection, desk.operator, "rule.outdated", f"draft {draft_id}")
        if judge_again and done.activated:
            started = _queue(connection, desk, done.dataset, trigger="rules", is_full=True)
            done = dataclasses.replace(done, run_id=started.run_id)
    return done


def _version(connection: Any, rule_id: int, version: int | None) -> dict[str, Any] | None:
    for row in queries.rows(connection, "queries/rules.versions", rule_id=rule_id):
        if row["version"] == version:
            return RuleDefinition.of_row(row["rule"]).as_dict()
    return None


def import_rules(desk: Desk, content: bytes, *, name: str) -> list[int]:
    """Draft what a YAML file says otherwise than the rules as drafted; return the drafts' ids.

    Rules that the file does not name stay as they are.

    Raises ForbiddenError, RuleError naming the line and the rule; then there is no draft.
    """
    _authorise(desk, "rule.import", f"file {name}", Role.STEWARD)
    found = rule_file.read(content)
    if not found:
        raise RuleError("the file holds no rules")
    drafts: list[int] = []
    with _transaction(desk) as connection:
        for dataset in dict.fromkeys(one.dataset for one in found):
            of_feed = [one for one in found if one.dataset == dataset]
            lines = {one.rule.code: one.line for one in of_feed}
            drafts += rule_drafts.make_many(
                connection,
                dataset,
                [one.rule for one in of_feed],
                lines=lines,
                actor=_storable(desk.operator.name),
                reason=f"imported from {_storable(name)[:200]}",
            )
        _audit(connection, desk.operator, "rule.import", f"file {name}", after={"drafts": drafts})
    return drafts
