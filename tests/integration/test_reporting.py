"""What the reader roles may do, and what a statement of the SQL box cannot."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import Engine, text

from etl import settings as settings_module
from etl.db import reporting, sql_box
from etl.db.connect import connect
from etl.db.embedded import EmbeddedServer
from etl.db.sql_box import Failure, Result, SqlBoxError, Statement
from tests.conftest import FAST


@dataclass(frozen=True)
class Readers:
    urls: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def readers(engine: Engine, database_url: str, server_folder: Path) -> Readers:
    server = EmbeddedServer(server_folder / "database", options=FAST)
    settings = settings_module.load(home=Path.cwd())
    provided = reporting.provide(engine, database_url, settings, server)
    assert provided.problem is None
    return Readers(dict(provided.urls), server_folder / "database")


def ask(readers: Readers, statement: str, **options: float) -> Result | Failure:
    one = Statement(readers.urls["sql_box"], statement, **options)
    one.start()
    assert one.wait(20)
    assert one.outcome is not None
    return one.outcome


def refusal(readers: Readers, statement: str) -> str:
    outcome = ask(readers, statement)
    assert isinstance(outcome, Failure), outcome
    return outcome.message


@pytest.fixture
def sale(clean: Engine) -> None:
    with clean.begin() as connection:
        connection.execute(
            text(
                """
                insert into gold.customers values
                    ('C1', 'Ann', null, 'North', null, 1, false, now(), now());
                insert into gold.products values ('P1', 'Lamp', 'Home', now(), now());
                insert into gold.transactions
                    (transaction_id, customer_id, product_id, quantity, price, discount, region,
                     transaction_datetime, insert_date, update_date)
                values ('T1', 'C1', 'P1', 2, 5, 0, 'North', '2024-02-29 10:00', now(), now());
                """
            )
        )


def test_the_passwords_are_kept_for_their_owner_only(readers: Readers) -> None:
    for reader in reporting.READERS:
        file = readers.folder / f"password-{reader.name}"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text() in readers.urls[reader.name]


def test_providing_again_changes_nothing(
    engine: Engine, database_url: str, readers: Readers
) -> None:
    server = EmbeddedServer(readers.folder, options=FAST)
    settings = settings_module.load(home=Path.cwd())
    with engine.connect() as connection:
        before = connection.execute(text("select oid, * from pg_authid order by oid")).fetchall()
    again = reporting.provide(engine, database_url, settings, server)
    with engine.connect() as connection:
        after = connection.execute(text("select oid, * from pg_authid order by oid")).fetchall()
    assert (again.urls, before) == (readers.urls, after)


def test_a_lost_password_file_is_made_anew_and_works(
    engine: Engine, database_url: str, readers: Readers
) -> None:
    (readers.folder / "password-bi_reader").unlink()
    provided = reporting.provide(
        engine,
        database_url,
        settings_module.load(home=Path.cwd()),
        EmbeddedServer(readers.folder, options=FAST),
    )
    assert provided.urls["bi_reader"] != readers.urls["bi_reader"]
    psycopg2.connect(provided.urls["bi_reader"]).close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(readers.urls["bi_reader"])
    readers.urls.update(provided.urls)


def test_gold_can_be_read(readers: Readers, sale: None) -> None:
    found = ask(
        readers,
        "select t.total_value, t.transaction_date, array[1, 2] as list, null as nothing, 1 as nothing"
        " from transactions as t join gold.customers using (customer_id);",
    )
    assert isinstance(found, Result)
    assert found.columns == ("total_value", "transaction_date", "list", "nothing", "nothing (2)")
    assert [str(cell) for cell in found.rows[0]] == ["10.00", "2024-02-29", "{1,2}", "None", "1"]
    assert not found.is_cut


def test_tables_of_later_migrations_can_be_read_too(readers: Readers, clean: Engine) -> None:
    with clean.begin() as connection:
        connection.execute(text("create table gold.later as select 7 as seven"))
    try:
        found = ask(readers, "table gold.later")
        assert isinstance(found, Result)
        assert found.rows == ((7,),)
    finally:
        with clean.begin() as connection:
            connection.execute(text("drop table gold.later"))


@pytest.mark.parametrize("statement", ["explain select 1", "values (1)", "show statement_timeout"])
def test_whatever_returns_rows_is_taken(readers: Readers, statement: str) -> None:
    assert isinstance(ask(readers, statement), Result)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("insert into gold.customers select * from gold.customers returning 1", "denied|read-only"),
        ("with x as (delete from gold.products returning 1) select * from x", "denied|read-only"),
        ("update gold.transactions set quantity = 1", "one statement that returns rows"),
        ("select * from raw.sales_raw", "permission denied for schema raw"),
        ("select * from silver.sales", "permission denied for schema silver"),
        ("select * from etl.audit", "permission denied for schema etl"),
        ("select * from dq.quarantine", "permission denied for schema dq"),
        ("select * from pg_authid", "permission denied"),
        ("select passwd from pg_shadow", "permission denied"),
        ("create temp table x as select 1", "one statement that returns rows"),
        ("create table gold.x (y int)", "one statement that returns rows"),
        ("set role revenue", "one statement that returns rows"),
        ("reset role", "one statement that returns rows"),
        ("select set_config('role', 'revenue', false)", "permission denied to set role"),
        (
            "select set_config('session_authorization', 'revenue', false)",
            "permission denied to set session authorization",
        ),
        ("select set_config('transaction_read_only', 'off', false)", "cannot set|must be set"),
        ("select 1; select 2", "one statement that returns rows"),
        ("select 1; drop table gold.customers", "one statement that returns rows"),
        ("select 1; commit; select 2", "one statement that returns rows"),
        ("commit", "one statement that returns rows"),
        ("copy (select 1) to program 'id'", "one statement that returns rows"),
        ("select pg_read_file('PG_VERSION')", "permission denied"),
        ("select pg_ls_dir('.')", "permission denied"),
        ("select lo_import('/etc/passwd')", "permission denied"),
        ("select lo_create(0)", "permission denied|read-only"),
        ("select pg_advisory_lock(7263001)", "permission denied"),
        ("select pg_notify('a', 'b')", "permission denied"),
        ("do $$ begin perform 1; end $$", "one statement that returns rows"),
        ("-- nothing", "one statement|returns rows|query"),
    ],
)
def test_all_else_is_refused(readers: Readers, statement: str, words: str) -> None:
    assert re.search(words, refusal(readers, statement))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("insert into gold.products values ('x', 'x', 'x', now(), now())", "read-only"),
        ("set default_transaction_read_only = off; delete from gold.products", "denied"),
        ("create temp table x (y int)", "read-only|denied"),
        ("set default_transaction_read_only = off; create temp table x (y int)", "denied"),
        ("create table public.x (y int)", "read-only|denied"),
        ("set role revenue", "permission denied"),
        ("select * from etl.dataset", "permission denied"),
    ],
)
def test_a_bi_tool_with_a_login_of_its_own_only_reads(
    readers: Readers, statement: str, words: str
) -> None:
    connection = psycopg2.connect(readers.urls["bi_reader"])
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from gold.customers")
            *before, last = statement.split("; ")
            for one in before:  # nothing keeps a session from lifting its own settings
                cursor.execute(one)
            with pytest.raises(psycopg2.Error, match=words):
                cursor.execute(last)
    finally:
        connection.close()


def test_the_readers_have_their_limits(engine: Engine, readers: Readers) -> None:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select rolname, rolconnlimit, rolsuper from pg_roles where rolname ~ '_reader|_box'"
            )
        )
        assert {tuple(row) for row in rows} == {("bi_reader", 20, False), ("sql_box", 5, False)}
    for name, seconds in (("bi_reader", "5min"), ("sql_box", "30s")):
        connection = psycopg2.connect(readers.urls[name])
        with connection.cursor() as cursor:
            cursor.execute("show statement_timeout")
            assert cursor.fetchone() == (seconds,)
        connection.close()


def test_an_error_says_where(readers: Readers) -> None:
    outcome = ask(readers, "select 1,\n   nothing\nfrom transactions")
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.line, outcome.column) == ("error", 2, 4)
    assert outcome.message == 'column "nothing" does not exist'


def test_a_long_statement_is_ended(readers: Readers) -> None:
    outcome = ask(readers, "select pg_sleep(60)", seconds=0.3)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "timeout"


def test_lifting_the_timeout_inside_the_statement_does_not_help(
    readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_box, "_GRACE_SECONDS", 0.2)
    outcome = ask(
        readers,
        "select set_config('statement_timeout', '0', false) from generate_series(1, 3)"
        " union all select pg_sleep(60)::text",
        seconds=0.3,
    )
    assert isinstance(outcome, Failure)
    assert outcome.kind == "timeout"


def test_a_cancel_ends_it_on_the_server(readers: Readers, engine: Engine) -> None:
    one = Statement(readers.urls["sql_box"], "select pg_sleep(60)")
    one.start()
    assert not one.wait(0.3)
    one.cancel()
    assert one.wait(5)
    assert isinstance(one.outcome, Failure)
    assert one.outcome.kind == "cancelled"
    assert running(engine) == 0


def test_what_nobody_looks_at_is_ended(readers: Readers, engine: Engine) -> None:
    one = Statement(readers.urls["sql_box"], "select pg_sleep(60)", unwatched_seconds=0.3)
    one.start()
    assert one.wait(5)
    assert isinstance(one.outcome, Failure)
    assert running(engine) == 0


def running(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(
            text(
                "select count(*) from pg_stat_activity where usename = 'sql_box' and state = 'active'"
            )
        ).scalar_one()


def test_rows_and_bytes_are_bounded(readers: Readers) -> None:
    many = ask(readers, "select generate_series(1, 100000000)")
    assert isinstance(many, Result)
    assert (len(many.rows), many.is_cut, many.rows[-1]) == (1000, True, (1000,))
    exact = ask(readers, "select n from generate_series(1, 1000) as n")
    assert isinstance(exact, Result)
    assert (len(exact.rows), exact.is_cut) == (1000, False)
    wide = ask(readers, "select repeat('x', 3000000) from generate_series(1, 1000) as n")
    assert isinstance(wide, Result)
    assert wide.is_cut
    assert len(wide.rows) < 10
    assert len(wide.rows[0][0]) == 2001


def test_no_more_statements_than_connections(readers: Readers) -> None:
    started = [Statement(readers.urls["sql_box"], "select pg_sleep(60)") for _ in range(5)]
    for one in started:
        one.start()
    with pytest.raises(SqlBoxError, match="run already"):
        Statement(readers.urls["sql_box"], "select 1").start()
    for one in started:
        one.cancel()
    assert all(one.wait(10) for one in started)


def test_a_role_that_may_do_more_is_not_used(database_url: str) -> None:
    one = Statement(database_url, "select 1")
    one.start()
    assert one.wait(10)
    assert isinstance(one.outcome, Failure)
    assert "may do more than read gold" in one.outcome.message


def test_a_role_that_may_not_create_roles_leaves_them_alone(
    engine: Engine, readers: Readers
) -> None:
    settings = settings_module.load(home=Path.cwd())
    reader = connect(readers.urls["bi_reader"], settings, name="tests")
    try:
        provided = reporting.provide(reader, readers.urls["bi_reader"], settings, None)
    finally:
        reader.dispose()
    assert provided.problem == "the role bi_reader may not create roles"
