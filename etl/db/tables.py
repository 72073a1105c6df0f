"""SQL made from a dataset's declaration: staging, merge, bulk loads, and its printed migration.

Names come from declarations, never from data.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from etl.errors import RevenueError
from etl.model import Column, Dataset

STAGE = "stage"
REFUSED = "refused"

_LINEAGE = (
    ("insert_date", "timestamptz", "When the row was made"),
    ("update_date", "timestamptz", "When the row last changed"),
    ("batch_id", "bigint", "Batch of the record that the row holds"),
    ("position", "integer", "Position of that record in its file"),
)


def create_stage(connection: Connection, dataset: Dataset) -> None:
    """Create the temporary tables that take one row a valid and a refused record, until commit."""
    columns = ", ".join(f"{column.name} {column.type}" for column in dataset.columns)
    connection.exec_driver_sql(
        f"create temporary table {STAGE} (batch_id bigint, position integer, {columns}) "
        "on commit drop"
    )
    connection.exec_driver_sql(
        f"create temporary table {REFUSED} (dataset text, batch_id bigint, position integer, "
        "record_key text, dq_errors text, rule_set text, customer_id text, region text, "
        "product_id text, product_name text, category text, day date, worth numeric) "
        "on commit drop"
    )


def analyze_stage(connection: Connection) -> None:
    """Let the planner know the stage's size; a small sample is enough for joins by its key."""
    connection.exec_driver_sql("set local default_statistics_target = 10")
    connection.exec_driver_sql(f"analyze {STAGE}")
    connection.exec_driver_sql("set local default_statistics_target to default")


def supersede(connection: Connection, dataset: Dataset) -> None:
    """Move earlier valid records of a key in the same batch to the temporary table `earlier`."""
    key = dataset.key
    connection.exec_driver_sql(
        f"create temporary table repeated on commit drop as "
        f"select batch_id, {key} from {STAGE} group by batch_id, {key} having count(*) > 1"
    )
    # by place: deleting by key would look every staged record up a second time
    connection.exec_driver_sql(
        f"""
        create temporary table earlier on commit drop as
        select place, batch_id, position, last from (
            select s.ctid as place, s.batch_id, s.position,
                max(s.position) over (partition by s.batch_id, s.{key}) as last
            from {STAGE} s join repeated r on r.batch_id = s.batch_id and r.{key} = s.{key}
        ) as of_key
        where position < last
        """
    )
    connection.exec_driver_sql(
        f"delete from {STAGE} where ctid = any(array(select place from earlier))"
    )


def remember_superseded(connection: Connection) -> None:
    """Store which records `supersede` moved out of the stage."""
    connection.exec_driver_sql(
        "insert into dq.superseded (batch_id, position, superseded_by) "
        "select batch_id, position, last from earlier"
    )


def keep_newest(connection: Connection, dataset: Dataset) -> None:
    """Leave only the newest batch's record of each key in a stage of several batches."""
    key = dataset.key
    connection.exec_driver_sql(
        f"delete from {STAGE} s using (select {key}, max(batch_id) as newest from {STAGE} "
        f"group by {key} having count(*) > 1) r "
        f"where s.{key} = r.{key} and s.batch_id < r.newest"
    )


def remove_unstaged(connection: Connection, dataset: Dataset) -> int:
    """Delete silver rows that no staged record stands for; return how many."""
    key = dataset.key
    return connection.exec_driver_sql(
        f"delete from {dataset.silver_table} t where not exists "
        f"(select from {STAGE} s where s.{key} = t.{key})"
    ).rowcount


def _values(dataset: Dataset, alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in dataset.column_names if name != dataset.key)


def unsettled(connection: Connection, dataset: Dataset, *, batches: list[int], other: int) -> int:
    """Return how many keys the staged batches alone cannot settle; `other` is the newest other one.

    A silver row says which record it holds, but not which other batches hold an equal record of its
    key after it, nor a different one before it. So a key is open when its row came from one of these
    batches and none of them holds a valid record any more, or when its row is to change although
    another batch came after.
    """
    key, silver = dataset.key, dataset.silver_table
    found = connection.execute(
        text(
            f"""
            with newest as (
                select distinct on ({key}) s.*
                from {STAGE} s
                order by {key}, batch_id desc, position desc
            )
            select
                (
                    select count(*)
                    from newest n join {silver} t on t.{key} = n.{key}
                    where n.batch_id < :other and case
                        when n.batch_id < t.batch_id then t.batch_id = any(:batches)
                        else ({_values(dataset, "n")})
                            is distinct from ({_values(dataset, "t")})
                    end
                ) + (
                    select count(*) from {silver} t
                    where t.batch_id = any(:batches)
                        and not exists (select from {STAGE} s where s.{key} = t.{key})
                )
            """
        ),
        {"batches": batches, "other": other},
    )
    return int(found.scalar_one())


def remember_unfounded(connection: Connection, dataset: Dataset, batches: list[int]) -> None:
    """List the rows whose record no longer counts: it is not valid, or a later one differs.

    A row equal to its newest record is not touched otherwise. Called while the stage still holds
    the record of each batch, and used by `merge_again`.
    """
    key, silver = dataset.key, dataset.silver_table
    connection.execute(
        text(
            f"""
            create temporary table unfounded on commit drop as
            select t.{key} from {silver} t
            where t.batch_id = any(:batches) and not exists (
                select from {STAGE} s
                where s.{key} = t.{key} and s.batch_id = t.batch_id and s.position = t.position
            )
            union
            select t.{key} from {silver} t join {STAGE} s on s.{key} = t.{key}
            where s.batch_id > t.batch_id
                and ({_values(dataset, "s")}) is distinct from ({_values(dataset, "t")})
            """
        ),
        {"batches": batches},
    )
    connection.exec_driver_sql("analyze unfounded")


def merge_again(connection: Connection, dataset: Dataset, batches: list[int]) -> None:
    """Merge the staged records of batches that were judged again; the stage settles their keys.

    A row that another, later batch wrote is not overwritten.
    """
    key, silver = dataset.key, dataset.silver_table
    is_other = f"({_values(dataset, 't')}) is distinct from ({_values(dataset, 's')})"
    connection.execute(
        text(
            f"""
            update {silver} t
            set {_assignments(dataset)}, batch_id = s.batch_id, position = s.position,
                update_date = case when {is_other} then now() else t.update_date end
            from {STAGE} s
            where t.{key} = s.{key}
                and (t.batch_id <= s.batch_id or t.batch_id = any(:batches))
                and ({is_other} or t.{key} in (select {key} from unfounded))
            """
        ),
        {"batches": batches},
    )
    _insert_new(connection, dataset)


def _assignments(dataset: Dataset) -> str:
    return ", ".join(f"{name} = s.{name}" for name in dataset.column_names if name != dataset.key)


def merge(connection: Connection, dataset: Dataset) -> None:
    """Merge the valid records of one staged batch into silver; equal rows are not touched.

    A row that a later batch wrote is not overwritten.
    """
    key, silver = dataset.key, dataset.silver_table
    if not is_empty(connection, silver):
        connection.exec_driver_sql(
            f"""
            update {silver} t
            set {_assignments(dataset)}, update_date = now(), batch_id = s.batch_id,
                position = s.position
            from {STAGE} s
            where t.{key} = s.{key} and t.batch_id <= s.batch_id
                and ({_values(dataset, "t")}) is distinct from ({_values(dataset, "s")})
            """
        )
    _insert_new(connection, dataset)


def _insert_new(connection: Connection, dataset: Dataset) -> None:
    names, key, silver = dataset.column_names, dataset.key, dataset.silver_table
    with bulk_load(connection, silver):
        connection.exec_driver_sql(
            f"""
            insert into {silver} ({", ".join(names)}, insert_date, update_date, batch_id, position)
            select {", ".join(f"s.{name}" for name in names)}, now(), now(), s.batch_id, s.position
            from {STAGE} s
            where not exists (select from {silver} t where t.{key} = s.{key})
            """
        )


def close_older(connection: Connection, dataset: Dataset) -> None:
    """Close open queue items of which a newer valid record of the same key is staged."""
    connection.execute(
        text(
            f"""
            with target as (
                select distinct on (q.quarantine_id)
                    q.quarantine_id, q.status, s.batch_id, s.position
                from dq.quarantine q join {STAGE} s on s.{dataset.key} = q.record_key
                where q.dataset = :dataset
                    and q.status = any(dq.unfinished())
                    and (q.batch_id, q.position) < (s.batch_id, s.position)
                order by q.quarantine_id, s.batch_id desc, s.position desc
            ),
            closed as (
                update dq.quarantine q
                set status = 'superseded', snoozed_until = null,
                    note = 'A newer valid record of its key came',
                    closed_batch_id = t.batch_id, closed_position = t.position,
                    version = q.version + 1, updated_at = clock_timestamp()
                from target t
                where q.quarantine_id = t.quarantine_id
            )
            insert into dq.triage_event (quarantine_id, actor, action, from_status, to_status, note)
            select quarantine_id, 'engine', 'supersede', status, 'superseded',
                'A newer valid record of its key came'
            from target
            order by quarantine_id
            """
        ),
        {"dataset": dataset.name},
    )


def fall_back(connection: Connection, dataset: Dataset, reverted: list[int]) -> tuple[int, int]:
    """Let silver rows of reverted batches fall back to the newest staged record of their key.

    Returns how many rows left silver, for want of one, and how many took another record.
    """
    key, silver = dataset.key, dataset.silver_table
    batches = {"reverted": reverted}
    connection.execute(
        text(
            f"""
            create temporary table fallback on commit drop as
            select distinct on (s.{key}) s.*
            from {STAGE} s join {silver} t on t.{key} = s.{key}
            where t.batch_id = any(:reverted)
            order by s.{key}, s.batch_id desc, s.position desc
            """
        ),
        batches,
    )
    deleted = connection.execute(
        text(
            f"""
            delete from {silver} t
            where t.batch_id = any(:reverted)
                and not exists (select from fallback s where s.{key} = t.{key})
            """
        ),
        batches,
    )
    restored = connection.execute(
        text(
            f"""
            update {silver} t
            set {_assignments(dataset)}, batch_id = s.batch_id, position = s.position,
                update_date = now()
            from fallback s
            where t.{key} = s.{key} and t.batch_id = any(:reverted)
            """
        ),
        batches,
    )
    return deleted.rowcount, restored.rowcount


def remember_rows(connection: Connection, dataset: Dataset) -> None:
    """Keep the silver rows of the staged keys as they are now, for `changed_rows`."""
    key = dataset.key
    connection.exec_driver_sql(
        f"create temporary table row_before on commit drop as "
        f"select t.* from {dataset.silver_table} t where t.{key} in (select {key} from {STAGE})"
    )


def changed_rows(connection: Connection, dataset: Dataset, *, limit: int) -> list[dict[str, Any]]:
    """Return the first rows of silver that differ from what `remember_rows` kept, by key.

    `before` and `after` hold the columns of the feed as text, None where there is no row.
    """
    key = dataset.key

    def columns(alias: str) -> str:
        pairs = ", ".join(f"'{name}', {alias}.{name}::text" for name in dataset.column_names)
        return f"case when {alias}.{key} is not null then jsonb_build_object({pairs}) end"

    found = connection.execute(
        text(
            f"""
            with now_there as (
                select t.* from {dataset.silver_table} t
                where t.{key} in (select {key} from {STAGE})
            )
            select coalesce(a.{key}, b.{key}) as key, {columns("b")} as before,
                {columns("a")} as after
            from row_before b full join now_there a on a.{key} = b.{key}
            where a.{key} is null or b.{key} is null
                or ({_values(dataset, "a")}) is distinct from ({_values(dataset, "b")})
            order by key limit :limit
            """
        ),
        {"limit": limit},
    )
    return [dict(row) for row in found.mappings()]


def written(
    connection: Connection, dataset: Dataset, batches: list[int]
) -> dict[int, tuple[int, int]]:
    """Return, for each batch, the silver rows that this transaction inserted and updated."""
    found = connection.execute(
        text(
            f"""
            select batch_id, count(*) filter (where insert_date = now()),
                count(*) filter (where insert_date <> now())
            from {dataset.silver_table}
            where batch_id = any(:batches) and update_date = now()
            group by batch_id
            """
        ),
        {"batches": batches},
    )
    return {batch_id: (inserted, updated) for batch_id, inserted, updated in found}


def is_empty(connection: Connection, table: str) -> bool:
    return not connection.execute(text(f"select exists (select from {table})")).scalar()


@contextlib.contextmanager
def bulk_load(connection: Connection, table: str) -> Iterator[None]:
    """Load an empty table without its secondary indexes and foreign keys; they are made after.

    Building them after the load takes a fifth of the time. On a table with rows, or one that
    another role owns, nothing changes: readers are never locked out of a filled table.
    """
    owned = connection.execute(
        text(
            "select pg_has_role(relowner, 'usage') from pg_class where oid = cast(:t as regclass)"
        ),
        {"t": table},
    ).scalar()
    if not owned or not is_empty(connection, table):
        yield
        return
    # truncated in this transaction: with wal_level minimal the load needs no log of its own
    connection.exec_driver_sql(f"truncate {table}")
    parts = connection.execute(
        text(
            """
            select conname as name, 'constraint' as kind,
                pg_get_constraintdef(oid) as definition, 2 as ordinal
            from pg_constraint
            where conrelid = cast(:t as regclass) and contype = 'f'
            union all
            select conname, 'constraint', pg_get_constraintdef(c.oid), 0
            from pg_constraint c
            where c.conrelid = cast(:t as regclass) and c.contype = 'p'
                and not exists (
                    select from pg_constraint f where f.confrelid = c.conrelid and f.contype = 'f'
                )
            union all
            select cast(cast(indexrelid as regclass) as text), 'index',
                pg_get_indexdef(indexrelid), 1
            from pg_index i
            where indrelid = cast(:t as regclass)
                and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
            order by ordinal
            """
        ),
        {"t": table},
    ).all()
    for name, kind, _, _ in reversed(parts):
        connection.exec_driver_sql(
            f"alter table {table} drop constraint {name}"
            if kind == "constraint"
            else f"drop index {name}"
        )
    yield
    for name, kind, definition, _ in parts:
        connection.exec_driver_sql(
            f"alter table {table} add constraint {name} {definition}"
            if kind == "constraint"
            else definition
        )
    connection.exec_driver_sql(f"analyze {table}")


def migration(dataset: Dataset) -> str:
    """Print the migration of a new feed: its raw and silver tables, comments and constraints."""
    raw, silver, name = dataset.raw_table, dataset.silver_table, dataset.name
    columns = [_column(column, is_key=column.name == dataset.key) for column in dataset.columns]
    columns += [f"{column} {kind} not null" for column, kind, _ in _LINEAGE]
    comments = [(column.name, column.comment) for column in dataset.columns]
    comments += [(column, comment) for column, _, comment in _LINEAGE]
    short = silver.rpartition(".")[2]
    lines = [
        f"-- {dataset.title}: printed from etl/datasets/{name}.py by `revenue migrate --print {name}`.",
        "",
        f"insert into etl.dataset (dataset, title) values ('{name}', '{dataset.title}');",
        f"insert into silver.etl_metadata (pipeline_name) values ('{dataset.watermark}');",
        "",
        f"create table {raw} (",
        "    batch_id bigint not null,",
        "    position integer not null,",
        "    record text not null,",
        "    insert_date timestamptz not null,",
        "    primary key (batch_id, position)",
        ");",
        f"comment on table {raw} is '{dataset.title}: every record of every accepted file, exactly as received';",
        f"comment on column {raw}.batch_id is 'Batch of the record';",
        f"comment on column {raw}.position is 'Position of the record in its file, from 1';",
        f"comment on column {raw}.record is 'JSON text exactly as received';",
        f"comment on column {raw}.insert_date is 'Stamp of the batch';",
        "",
        f"create table {silver} (",
        ",\n".join(f"    {column}" for column in columns),
        ");",
        f"comment on table {silver} is '{dataset.title}: clean, one row a {dataset.key}, newest record wins';",
        *(
            f"comment on column {silver}.{column} is '{comment.replace(chr(39), chr(39) * 2)}';"
            for column, comment in comments
        ),
        f"create index {short}_by_batch on {silver} (batch_id);",
        *(
            f"create index {short}_by_{index.split(',')[0].strip()} on {silver} ({index});"
            for index in dataset.silver_indexes
        ),
    ]
    return "\n".join(lines) + "\n"


def _column(column: Column, *, is_key: bool) -> str:
    parts = [column.name, column.type]
    if is_key:
        parts.append("primary key")
    elif column.required:
        parts.append("not null")
    if column.check:
        parts.append(f"check ({column.check})")
    return " ".join(parts)


def identifier(name: str) -> str:
    """Return a table or column name from a rule's parameters, refusing anything else.

    Raises RevenueError.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", name):
        raise RevenueError(f"{name!r} is no name of a table or column", code="rule")
    return name
