"""DESIGN's invariants as plain SQL over the database and a look into the folders.

They hold at every instant, also right after a crash and before anything recovered.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from tests.oracle import Expected

FEEDS = {"sales": "transaction_id", "customers": "customer_id"}

ALWAYS = {
    "raw holds every record of an extracted batch once, and of no other": """
        select b.batch_id, b.status, b.records, count(r.position) as in_raw
        from etl.batch b left join raw.{feed}_raw r on r.batch_id = b.batch_id
        where b.dataset = '{feed}' group by b.batch_id
        having count(r.position) <> case when b.status in ('extracted', 'loaded', 'promoted',
            'stopped', 'discarded') then b.records else 0 end
            or max(r.position) <> count(r.position)
    """,
    "a loaded batch: read = valid + invalid + superseded, counted in the tables": """
        select b.batch_id from etl.batch b
        where b.dataset = '{feed}' and b.status in ('loaded', 'promoted') and (
            b.records <> b.valid_records + b.invalid_records + b.superseded_records
            or b.invalid_records <> (select count(*) from dq.quarantine q where q.batch_id = b.batch_id)
            or b.superseded_records <>
                (select count(*) from dq.superseded s where s.batch_id = b.batch_id))
    """,
    "silver and quarantine hold loaded batches only": """
        select batch_id from (
            select batch_id from silver.{feed}
            union all select batch_id from dq.quarantine where dataset = '{feed}'
        ) x
        where not exists (select from etl.batch b where b.batch_id = x.batch_id
            and b.status in ('loaded', 'promoted'))
    """,
    "insert_date grows from batch to batch and is the same in raw": """
        select b.batch_id from (
            select batch_id, insert_date, lag(insert_date) over (order by batch_id) as before
            from etl.batch where dataset = '{feed}' and insert_date is not null
        ) b
        where b.insert_date <= b.before or exists (
            select from raw.{feed}_raw r
            where r.batch_id = b.batch_id and r.insert_date <> b.insert_date)
    """,
    "the watermark is that of the newest loaded batch": """
        select m.last_insert_date from silver.etl_metadata m
        where m.pipeline_name = '{feed}_silver' and m.last_insert_date <> coalesce((
            select max(insert_date) from etl.batch
            where dataset = '{feed}' and status in ('loaded', 'promoted')), '1900-01-01 00:00:00+00')
    """,
    "silver and gold hold what loads and promotions left there": """
        select e.* from etl.expected e, (values
            ('silver', (select count(*) from silver.{feed})),
            ('gold', case '{feed}' when 'sales' then (select count(*) from gold.transactions)
                else (select count(*) from gold.customers where not is_inferred) end)
        ) as found (layer, rows)
        where e.dataset = '{feed}' and e.layer = found.layer and e.rows <> found.rows
    """,
    "the rollup is what the sales of gold make up": """
        with whole as (
            select t.transaction_date, t.region, t.product_id, c.region, count(*),
                sum(t.quantity), sum(t.total_value), count(*) filter (where t.total_value > 1000),
                coalesce(sum(t.total_value) filter (where t.total_value > 1000), 0)
            from gold.transactions t join gold.customers c using (customer_id) group by 1, 2, 3, 4
        )
        (select * from whole except select * from gold.daily_sales)
        union all (select * from gold.daily_sales except select * from whole)
    """,
    "the rollup by month is what that by day makes up": """
        with whole as (
            select date_trunc('month', transaction_date)::date, region, product_id, home_region,
                sum(transactions), sum(pieces), sum(sales), sum(high_value_transactions),
                sum(high_value_sales)
            from gold.daily_sales group by 1, 2, 3, 4
        )
        (select * from whole except select * from gold.monthly_sales)
        union all (select * from gold.monthly_sales except select * from whole)
    """,
    "one run of a feed at a time": """
        select dataset from etl.run where status = 'running' group by dataset having count(*) > 1
    """,
    "a finished run's ledger balances": """
        select run_id, ledger from etl.run
        where status in ('succeeded', 'warned') and is_balanced is not true and predicts is null
    """,
}

WHEN_QUIET = {
    "no batch is left on its way": """
        select batch_id, status from etl.batch where status in ('accepted', 'extracted', 'loaded')
            or archived_at is null
    """,
    "gold.transactions = silver.sales": """
        (select transaction_id, customer_id, product_id, quantity, price, discount, region, date
            from silver.sales
         except select transaction_id, customer_id, product_id, quantity, price, discount, region,
            transaction_datetime from gold.transactions)
        union all
        (select transaction_id, customer_id, product_id, quantity, price, discount, region,
            transaction_datetime from gold.transactions
         except select transaction_id, customer_id, product_id, quantity, price, discount, region,
            date from silver.sales)
    """,
    "known gold.customers = silver.customers": """
        (select customer_id, customer_name, email, join_date, loyalty_points from silver.customers
         except select customer_id, customer_name, email, join_date, loyalty_points
            from gold.customers where not is_inferred)
        union all
        (select customer_id, customer_name, email, join_date, loyalty_points
            from gold.customers where not is_inferred
         except select customer_id, customer_name, email, join_date, loyalty_points
            from silver.customers)
    """,
    "inferred customers are those that only sales name": """
        select customer_id from gold.customers where is_inferred and (
            customer_id in (select customer_id from silver.customers))
    """,
    "the calendar spans whole years of the data and no further": """
        select min(date), max(date) from gold.dim_date
        having min(date) <> (select date_trunc('year', min(date)) from silver.sales)
            or max(date) <> (select date_trunc('year', max(date)) + interval '1 year - 1 day'
                from silver.sales)
    """,
}


def broken(connection: Connection, home: Path, *, quiet: bool = False) -> list[str]:
    """Return what does not hold, in words; nothing when all is well."""
    problems = []
    queries = ALWAYS | (WHEN_QUIET if quiet else {})
    for name, sql in queries.items():
        for feed in FEEDS if "{feed}" in sql else ("",):
            found = connection.execute(text(sql.replace("{feed}", feed).replace(":", "\\:"))).all()
            if found:
                problems.append(f"{name} {feed}: {found[:3]}")
    problems += _misplaced(connection, home, quiet=quiet)
    for path in (home / "logs").glob("*.json"):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            problems.append(f"{path.name} is no JSON: {error}")
    return problems


def _misplaced(connection: Connection, home: Path, *, quiet: bool) -> list[str]:
    """Every batch's file is in exactly one folder, and in the right one once it is archived."""
    problems = []
    for row in connection.execute(
        text(
            "select batch_id, status, stored_name, archived_at from etl.batch "
            "where kind = 'file' order by batch_id"
        )
    ):
        places = [
            folder
            for folder in ("raw", "processed", "rejected")
            if (home / "data" / folder / row.stored_name).exists()
        ]
        if len(places) != 1:
            problems.append(f"the file of batch {row.batch_id} is in {places}")
            continue
        wanted = "rejected" if row.status == "rejected" else "processed"
        if row.archived_at is not None and places != [wanted]:
            problems.append(f"batch {row.batch_id} is {row.status}, its file in {places}")
        reason = home / "data" / "rejected" / f"{row.stored_name}.reason.json"
        if places == ["rejected"] and row.archived_at is not None and not reason.exists():
            problems.append(f"batch {row.batch_id} is rejected without its reason")
    if quiet:
        left = [path.name for path in (home / "data" / "raw").iterdir()]
        if left:
            problems.append(f"files are left in the landing zone: {left}")
    return problems


def differences(
    connection: Connection, dataset: str, expected: Expected, batches: list[int]
) -> list[str]:
    """Compare silver, quarantine, superseded and counts with what the oracle expects.

    `batches` are the batch ids in the order in which the oracle took them.
    """
    problems = []
    key = FEEDS[dataset]
    columns = {
        "sales": "transaction_id, customer_id, product_id, product_name, category, price, quantity, "
        "discount, date, region",
        "customers": "customer_id, customer_name, email, region, join_date, loyalty_points",
    }[dataset]
    rows = connection.execute(text(f"select {columns} from silver.{dataset} order by {key}"))
    silver = {row[0]: tuple(row) for row in rows}
    problems += _compare("silver", silver, expected.silver)
    if len(batches) != len(expected.counts):
        return [*problems, f"{len(batches)} batches instead of {len(expected.counts)}"]
    number = {batch_id: index for index, batch_id in enumerate(batches)}
    rows = connection.execute(
        text("select batch_id, position, dq_errors from dq.quarantine where dataset = :dataset"),
        {"dataset": dataset},
    )
    quarantine = {(number[row[0]], row[1]): row[2] for row in rows}
    problems += _compare("quarantine", quarantine, expected.quarantine)
    rows = connection.execute(
        text("select batch_id, position from dq.superseded where batch_id = any(:batches)"),
        {"batches": batches},
    )
    replaced = {(number[row[0]], row[1]): True for row in rows}
    problems += _compare("superseded", replaced, dict.fromkeys(expected.superseded, True))
    rows = connection.execute(
        text(
            "select records, valid_records, invalid_records, superseded_records, inserted_rows, "
            "updated_rows, unchanged_rows from etl.batch where batch_id = any(:batches) "
            "order by batch_id"
        ),
        {"batches": batches},
    )
    for index, row in enumerate(rows):
        counted = dict(zip(expected.counts[index], row, strict=True))
        if counted != expected.counts[index]:
            problems.append(f"batch {index}: {counted} instead of {expected.counts[index]}")
    return problems


def _compare(what: str, found: dict[Any, Any], wanted: dict[Any, Any]) -> list[str]:
    return [
        f"{what} {key}: {found.get(key)!r} instead of {wanted.get(key)!r}"
        for key in sorted(set(found) | set(wanted), key=str)
        if found.get(key) != wanted.get(key)
    ]
