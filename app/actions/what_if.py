"""Predictions: what rules would do to the records that came so far, before they judge anything."""

from __future__ import annotations

from collections.abc import Sequence

from app.actions import Desk, _audit, _authorise, _transaction
from app.auth import Role
from etl import rules, what_if
from etl.model import Rule
from etl.reprocess import Choice
from etl.what_if import Asked, Prediction


def predict(desk: Desk, choice: Choice, tried: Sequence[Rule]) -> Asked:
    """Queue a prediction of what the rules would do, to everything or to the batches of a period.

    A prediction of the same that waits is returned instead of a second one.

    Raises ForbiddenError, BusyError, RevenueError when no loaded batch fits the choice.
    """
    _authorise(desk, "rules.what_if", f"dataset {choice.dataset}", Role.STEWARD)
    with _transaction(desk) as connection:
        asked = what_if.ask(connection, choice, tried, actor=desk.operator.name)
        active = rules.active(connection, choice.dataset)
        _audit(
            connection,
            desk.operator,
            "rules.what_if",
            f"prediction {asked.prediction_id}",
            before={"rule_set": rules.fingerprint(active), "rules": len(active)},
            after={
                "dataset": choice.dataset,
                "rule_set": rules.fingerprint(tried),
                "rules": len(tried),
                "first_day": choice.first_day and choice.first_day.isoformat(),
                "last_day": choice.last_day and choice.last_day.isoformat(),
                "run_id": asked.run_id,
                "is_new": asked.is_new,
            },
        )
    return asked


def predict_drafts(desk: Desk, choice: Choice) -> Asked:
    """Queue a prediction of what the rules with every open draft would do.

    Raises ForbiddenError, BusyError, RevenueError when no loaded batch fits the choice.
    """
    with desk.engine.connect() as connection:
        tried = rules.drafted(connection, choice.dataset)
    return predict(desk, choice, tried)


def prediction(desk: Desk, prediction_id: int) -> Prediction:
    """Return a prediction as it is now.

    Raises RevenueError when there is none.
    """
    with desk.engine.connect() as connection:
        return what_if.show(connection, prediction_id)
