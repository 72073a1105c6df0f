"""SQL made from a dataset's declaration: what a full stage would change in silver, without doing it.

It reads what `tables.merge_again` and `tables.remove_unstaged` would write. Names come from
declarations, never from data.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, text

from etl.db.tables import STAGE
from etl.model import Dataset

CHANGE = "silver_change"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """How many rows of silver would change, and how."""

    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Rows, money and a digest of the content; of silver, or of what changes in it."""

    rows: int
    money: Decimal  # 0 where the feed has none
    digest: int  # of all rows, whatever their order: those of two parts combine by xor


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows and money of one group, before and after."""

    name: str
    rows_before: int
    rows_after: int
    before: Decimal
    after: Decimal

    @property
    def change(self) -> Decimal:
        return self.after - self.before


def compare(
    connection: Connection, dataset: Dataset, batches: list[int], *, is_whole: bool
) -> Rows:
    """Fill the temporary table of changes: a row as it is (side -1), as it would be (side 1).

    The stage holds the newest valid record of each key of the batches; `is_whole`: of all loaded
    batches, so that what it does not hold leaves silver.
    """
    names, key, silver = dataset.column_names, dataset.key, dataset.silver_table
    before, after = (", ".join(f"{side}.{name}" for name in names) for side in "ts")
    connection.execute(
        text(
            f"""
            create temporary table {CHANGE} on commit drop as
            select
                case
                    when t.batch_id is null then 'inserted'
                    when s.batch_id is null then 'deleted'
                    else 'updated'
                end as change,
                one.*
            from {STAGE} s {"full" if is_whole else "left"} join {silver} t on t.{key} = s.{key}
            cross join lateral (values (-1, {before}), (1, {after})) as one (side, {", ".join(names)})
            where case
                when t.batch_id is null then one.side = 1
                when s.batch_id is null then one.side = -1
                else (t.batch_id <= s.batch_id or t.batch_id = any(:batches))
                    and ({before}) is distinct from ({after})
            end
            """
        ),
        {"batches": batches},
    )
    counted = connection.exec_driver_sql(
        f"""
        select count(*) filter (where change = 'inserted'),
            count(*) filter (where change = 'updated' and side = 1),
            count(*) filter (where change = 'deleted')
        from {CHANGE}
        """
    ).one()
    return Rows(inserted=counted[0], updated=counted[1], deleted=counted[2])


def totals(connection: Connection, dataset: Dataset) -> Totals:
    """Return the totals of silver."""
    return _totals(connection, dataset, dataset.silver_table, "count(*)", "")


def change(connection: Connection, dataset: Dataset) -> Totals:
    """Return what the changes add to the totals of silver; the digest combines by xor."""
    return _totals(connection, dataset, CHANGE, "coalesce(sum(side), 0)", "side * ")


def _totals(connection: Connection, dataset: Dataset, table: str, count: str, sign: str) -> Totals:
    amount = dataset.money.amount if dataset.money else "0"
    # the digest depends on the text of dates and numbers, which is the same on all connections
    found = connection.exec_driver_sql(
        f"""
        select {count}, coalesce(sum({sign}{amount}), 0),
            coalesce(bit_xor(hashtextextended(
                cast(row({", ".join(dataset.column_names)}) as text), 0
            )), 0)
        from {table}
        """
    ).one()
    return Totals(rows=int(found[0]), money=Decimal(found[1]), digest=int(found[2]))


def groups(
    connection: Connection, dataset: Dataset, name: str, *, limit: int
) -> tuple[list[Group], Group | None]:
    """Return the groups of the feed's money whose money changes most, and all others in one.

    `name` is one of `Money.groups`; the other groups are None where there are no more than `limit`.
    """
    money = dataset.money
    assert money is not None
    found = connection.execute(
        text(
            f"""
            with before as (
                select {money.groups[name]} as name, count(*) as rows, sum({money.amount}) as money
                from {dataset.silver_table}
                group by 1
            ),

            change as (
                select
                    {money.groups[name]} as name, sum(side) as rows,
                    sum(side * {money.amount}) as money
                from {CHANGE}
                group by 1
            ),

            both_sides as (
                select
                    coalesce(b.name, c.name) as name, coalesce(b.rows, 0) as rows,
                    coalesce(b.money, 0) as money, coalesce(c.rows, 0) as more_rows,
                    coalesce(c.money, 0) as more_money
                from before b full join change c on c.name = b.name
            ),

            ranked as (
                select *, row_number() over (order by abs(more_money) desc, money desc, name) as place
                from both_sides
            )

            select
                case when place <= :limit then name end as name,
                sum(rows) as rows_before, sum(rows + more_rows) as rows_after,
                sum(money) as before, sum(money + more_money) as after
            from ranked
            group by 1
            order by 1
            """
        ),
        {"limit": limit},
    ).mappings()
    shown, others = [], None
    for row in found:
        group = Group(
            name=row["name"] or "",
            rows_before=int(row["rows_before"]),
            rows_after=int(row["rows_after"]),
            before=row["before"],
            after=row["after"],
        )
        if row["name"] is None:
            others = group
        else:
            shown.append(group)
    return shown, others
