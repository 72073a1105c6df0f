"""What the Power BI model says of the gold tables, against the database's own catalogue."""

from __future__ import annotations

from sqlalchemy import Engine, text

from app.powerbi import gold, model

CATALOGUE = """
    select
        c.relname, obj_description(c.oid, 'pg_class'), a.attname,
        format_type(a.atttypid, a.atttypmod), not a.attnotnull,
        coalesce(a.attnum = any(i.indkey), false), col_description(c.oid, a.attnum)
    from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_index as i on i.indrelid = c.oid and i.indisprimary
    where c.relnamespace = 'gold'::regnamespace and c.relname = any(:star)
    order by c.relname, a.attnum
"""
FOREIGN_KEYS = """
    select f.relname, a.attname, t.relname, b.attname
    from pg_constraint as k
    join pg_class as f on f.oid = k.conrelid
    join pg_class as t on t.oid = k.confrelid
    join pg_attribute as a on a.attrelid = f.oid and a.attnum = k.conkey[1] and a.attnotnull
    join pg_attribute as b on b.attrelid = t.oid and b.attnum = k.confkey[1]
    where k.contype = 'f' and k.connamespace = 'gold'::regnamespace
        and f.relname = any(:star) and t.relname = any(:star)
"""


def test_the_gold_tables_are_those_of_the_database(engine: Engine) -> None:
    star = {"star": list(gold.STAR)}
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(CATALOGUE), star)]
        foreign = {tuple(row) for row in connection.execute(text(FOREIGN_KEYS), star)}
    declared = [
        (
            table.name,
            table.comment,
            column.name,
            column.type,
            column.is_nullable,
            column.is_key,
            column.comment,
        )
        for table in sorted(gold.tables().values(), key=lambda table: table.name)
        for column in table.columns
    ]
    assert declared == found
    assert {
        (key.table, key.column, key.to_table, key.to_column) for key in gold.foreign_keys()
    } == foreign


def test_every_type_of_gold_has_one_in_power_bi() -> None:
    fitting = {
        "string": {"character varying"},
        "int64": {"integer", "smallint"},
        "decimal": {"numeric"},
        "boolean": {"boolean"},
        "dateTime": {"date", "timestamp without time zone", "timestamp with time zone"},
    }
    for table in gold.tables().values():
        for column in table.columns:
            assert column.family in fitting[model.TYPES[column.family]]
            if column.family == "numeric":  # fixed decimals hold four places
                assert int(column.type.rstrip(")").partition(",")[2]) <= 4
