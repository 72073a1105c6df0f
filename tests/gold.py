"""Gold filled by hand: what a promotion does after its rows are written."""

from __future__ import annotations

from sqlalchemy import Connection

from etl import rollup
from etl.db import queries


def gold_changed(connection: Connection) -> None:
    """Keep the rollups and count the version of the data up."""
    for promotion in rollup.KEPT:
        if not promotion.only_changes:
            queries.execute(connection, f"gold/rollup.{promotion.statement}")
    queries.execute(connection, "queries/batches.gold_changed", dataset="sales")
