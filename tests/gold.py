"""Gold filled by hand: what a promotion does after its rows are written."""

from __future__ import annotations

from sqlalchemy import Connection

from etl.db import queries


def gold_changed(connection: Connection) -> None:
    """Keep the rollup and count the version of the data up."""
    for statement in ("remember_drift", "apply_change"):
        queries.execute(connection, f"gold/daily_sales.{statement}")
    queries.execute(connection, "queries/batches.gold_changed", dataset="sales")
