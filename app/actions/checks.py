"""Checking the layers on demand, and the limits from which they are late or stale."""

from __future__ import annotations

from app.actions import Desk, _audit, _authorise, _transaction
from app.auth import Role
from etl import datasets, monitor
from etl.db import queries
from etl.errors import RevenueError
from etl.monitor import Finding


def check_now(desk: Desk) -> list[Finding]:
    """Count every layer of every feed now and store what does not add up.

    Raises ForbiddenError, CheckBusyError while a worker checks.
    """
    _authorise(desk, "check.run", "all layers")
    with desk.engine.begin() as connection:  # the check begins its transaction itself
        found = monitor.check(connection)
        broken = [leg.words for leg in found if not leg.is_balanced]
        _audit(
            connection,
            desk.operator,
            "check.run",
            "all layers",
            after={"legs": len(found), "broken": broken},
        )
    return found


def set_freshness_limit(
    desk: Desk, *, dataset: str, layer: str, late_seconds: int, stale_seconds: int
) -> None:
    """Set the ages from which a layer of a feed is late and stale.

    Raises ForbiddenError, RevenueError for an unknown feed or layer, or limits out of order.
    """
    on = f"freshness of {dataset}/{layer}"
    _authorise(desk, "freshness.limit", on, Role.STEWARD)
    name = datasets.get(dataset).name
    if layer not in monitor.LAYERS:
        raise RevenueError(
            f"there is no layer {layer!r}; choose one of: {', '.join(monitor.LAYERS)}", code="layer"
        )
    if not 0 < late_seconds <= stale_seconds:
        raise RevenueError(
            f"{name}/{layer}: late must be longer than nothing, and stale no sooner than late",
            code="limits",
        )
    limits = {"late_seconds": late_seconds, "stale_seconds": stale_seconds}
    with _transaction(desk) as connection:
        before = queries.row(connection, "queries/checks.limit_of", dataset=name, layer=layer)
        queries.execute(
            connection,
            "queries/checks.set_limit",
            dataset=name,
            layer=layer,
            updated_by=desk.operator.name,
            **limits,
        )
        shipped = {
            "late_seconds": monitor.LATE_SECONDS,
            "stale_seconds": monitor.STALE_SECONDS,
        }
        _audit(
            connection,
            desk.operator,
            "freshness.limit",
            on,
            before=before or shipped,
            after=limits,
        )
        monitor.judge_freshness(connection)
