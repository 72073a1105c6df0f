"""Migrations: the golden schema, and what an outdated, newer or altered database is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from etl.db import migrate
from etl.db.queries import SQL
from etl.errors import SchemaOutdatedError
from tests import schema


def test_the_migrations_give_the_golden_schema(clean: Engine, database_url: str) -> None:
    assert schema.dump(database_url) == (SQL / "schema.sql").read_text(encoding="utf-8"), (
        "the migrations give another schema than sql/schema.sql; `make sql` writes it anew"
    )


@pytest.fixture
def altered(clean: Engine) -> Iterator[Engine]:
    yield clean
    with clean.begin() as connection:
        connection.exec_driver_sql("delete from etl.migration")
        for one in migrate.released():
            connection.exec_driver_sql(
                "insert into etl.migration (version, name, checksum) values (%s, %s, %s)",
                (one.version, one.name, one.checksum),
            )


def test_an_outdated_schema_is_refused_with_the_command(altered: Engine) -> None:
    with altered.begin() as connection:
        connection.exec_driver_sql("delete from etl.migration where version = 3")
    with pytest.raises(SchemaOutdatedError, match="0003_customers; run `revenue migrate`"):
        migrate.check(altered)


def test_a_newer_schema_is_refused(altered: Engine) -> None:
    with altered.begin() as connection:
        connection.exec_driver_sql(
            "insert into etl.migration (version, name, checksum) values (9999, 'later', 'x')"
        )
    with pytest.raises(SchemaOutdatedError, match="9999"):
        migrate.check(altered)


def test_a_changed_migration_is_refused(altered: Engine) -> None:
    with altered.begin() as connection:
        connection.exec_driver_sql("update etl.migration set checksum = 'x' where version = 1")
    with pytest.raises(SchemaOutdatedError, match="immutable"):
        migrate.check(altered)


def test_applying_again_does_nothing(clean: Engine) -> None:
    assert migrate.apply(clean) == []
