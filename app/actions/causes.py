"""Repair by cause: an operation on a group of records is tried, applied, and kept as a recipe."""

from __future__ import annotations

import json
from dataclasses import dataclass

from app import metrics
from app.actions import Desk, _audit, _authorise, _transaction, repairs
from app.actions.repairs import Replayed
from app.auth import Role
from etl import causes, datasets
from etl.causes import Group, Operation, Proposal
from etl.db import queries
from etl.repair import Rehearsal, RepairError

_NAME_CHARACTERS = 100


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What an operation will do; `apply` takes it, so that what was shown is what is done."""

    proposal: Proposal
    rehearsal: Rehearsal[dict[str, metrics.Number | None]]


def propose(desk: Desk, group: Group, operation: Operation) -> Proposal:
    """Return the edits that the operation makes of the group.

    Raises ForbiddenError, RepairError.
    """
    _authorise(desk, "repair.propose", f"dataset {group.dataset}", Role.STEWARD)
    with desk.engine.connect() as connection:
        return causes.propose(connection, group, operation)


def preview(desk: Desk, group: Group, operation: Operation) -> Preview:
    """Try the operation on every record of the group, and roll it back.

    Raises ForbiddenError, BusyError, RepairError when it changes no record.
    """
    proposal = propose(desk, group, operation)
    _require_edits(proposal)
    return Preview(
        proposal=proposal, rehearsal=repairs.rehearse(desk, group.dataset, proposal.edits)
    )


def _require_edits(proposal: Proposal) -> None:
    if proposal.edits:
        return
    if proposal.waiting and not proposal.unchanged:
        raise RepairError("every record of the group waits for the run of its repair")
    raise RepairError("the operation changes no record of the group; choose another one")


def apply(
    desk: Desk,
    proposal: Proposal,
    *,
    reason: str,
    recipe_id: int | None = None,
    recipe_name: str | None = None,
) -> Replayed:
    """Replay the records of a proposal; with `recipe_name`, keep its operation as a recipe first.

    Raises ForbiddenError, BusyError, RepairError: nothing to change, a record was changed meanwhile,
    none becomes valid, or another recipe has the name.
    """
    _authorise(desk, "repair.replay", f"dataset {proposal.group.dataset}", Role.STEWARD)
    _require_edits(proposal)
    if not reason.strip():
        raise RepairError("say why: a repair needs a reason")
    if recipe_name is not None:
        recipe_id = save_recipe(desk, proposal.group, proposal.operation, name=recipe_name)
    return repairs.replay(
        desk,
        proposal.group.dataset,
        proposal.edits,
        reason=reason,
        operation=proposal.operation.words(proposal.group.column),
        recipe_id=recipe_id,
    )


def save_recipe(desk: Desk, group: Group, operation: Operation, *, name: str) -> int:
    """Keep an operation under a name: it is proposed for this group, never applied by itself.

    Raises ForbiddenError, RepairError for an unusable or taken name.
    """
    _authorise(desk, "recipe.save", f"dataset {group.dataset}", Role.STEWARD)
    name = name.strip()
    if not 1 <= len(name) <= _NAME_CHARACTERS or not name.isprintable():
        raise RepairError(f"a recipe needs a name of 1 to {_NAME_CHARACTERS} characters")
    dataset = datasets.get(group.dataset)
    fields = {
        "dataset": dataset.name,
        "name": name,
        "column_name": group.column,
        "operation": operation.kind,
        "rule_id": group.rule_id,
        "pattern": group.pattern,
    }
    with _transaction(desk) as connection:
        recipe_id = queries.value(
            connection,
            "queries/causes.insert_recipe",
            **fields,
            parameters=json.dumps(dict(operation.parameters)),
            made_by=desk.operator.name,
        )
        if recipe_id is None:
            raise RepairError(f"{dataset.name} has a recipe {name!r} already; choose another name")
        _audit(
            connection,
            desk.operator,
            "recipe.save",
            f"recipe {recipe_id}",
            after={**fields, "parameters": dict(operation.parameters)},
        )
    return int(recipe_id)


def switch_recipe(desk: Desk, recipe_id: int, *, active: bool) -> None:
    """Propose a recipe from now on, or no longer.

    Raises ForbiddenError, RepairError when there is none.
    """
    _authorise(desk, "recipe.switch", f"recipe {recipe_id}", Role.STEWARD)
    with _transaction(desk) as connection:
        recipe = queries.row(connection, "queries/causes.recipe", recipe_id=recipe_id)
        if recipe is None:
            raise RepairError(f"there is no recipe {recipe_id}")
        queries.execute(
            connection, "queries/causes.switch_recipe", recipe_id=recipe_id, active=active
        )
        _audit(
            connection,
            desk.operator,
            "recipe.switch",
            f"recipe {recipe_id}",
            before={"active": recipe["active"]},
            after={"active": active},
        )
