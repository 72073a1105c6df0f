"""What the tables of a feed hold, counted for the check of all layers.

Names come from declarations, never from data.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from etl.model import Dataset

SHOWN_BATCHES = 20

_OF_FEED = {
    # raw tables belong to one feed: a record of no batch is found as well
    "dq.quarantine": "where dataset = :dataset",
    "dq.superseded": "where batch_id in (select batch_id from etl.batch where dataset = :dataset)",
}


def by_batch(
    connection: Connection, dataset: Dataset, table: str, column: str, states: list[str]
) -> dict[str, Any]:
    """Compare the rows of `table` with `column` of etl.batch, batch by batch.

    Returns must_be and is_there (all batches), missing and surplus (rows), wrong (batches), and
    batches (the first of those, as JSON). Batches in other states must have no rows.
    """
    found = connection.execute(
        text(
            f"""
            with there as (
                select batch_id, count(*) as rows from {table} {_OF_FEED.get(table, "")}
                group by batch_id
            ),
            must as (
                select batch_id, {column} as rows from etl.batch
                where dataset = :dataset and status = any(:states)
            ),
            batch as (
                select batch_id, coalesce(must.rows, 0) as must_be, coalesce(there.rows, 0) as is_there
                from must full join there using (batch_id)
            )
            select
                coalesce(sum(must_be), 0)::bigint as must_be,
                coalesce(sum(is_there), 0)::bigint as is_there,
                coalesce(sum(greatest(must_be - is_there, 0)), 0)::bigint as missing,
                coalesce(sum(greatest(is_there - must_be, 0)), 0)::bigint as surplus,
                count(*) filter (where must_be <> is_there) as wrong,
                (
                    select coalesce(json_agg(w), '[]') from (
                        select batch_id, must_be, is_there from batch where must_be <> is_there
                        order by batch_id limit {SHOWN_BATCHES}
                    ) as w
                ) as batches
            from batch
            """
        ),
        {"dataset": dataset.name, "states": states},
    )
    return dict(found.mappings().one())


def silver_rows(connection: Connection, dataset: Dataset) -> int:
    found = connection.exec_driver_sql(f"select count(*) from {dataset.silver_table}")
    return int(found.scalar_one())
