"""Who may give bi_reader a password, and where; that it works is shown by clients that are not ours."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import Engine, text

from app.actions import Desk, reader_password
from app.auth import ForbiddenError, Operator, Role
from etl import settings as settings_module
from etl.db import reporting
from etl.errors import DatabaseError, RevenueError
from etl.settings import Settings


def desk(engine: Engine, settings: Settings, role: Role = Role.ADMIN) -> Desk:
    return Desk(
        engine=engine,
        settings=settings,
        operator=Operator(name="ann", role=role, origin="page"),
    )


def test_only_an_admin_may_and_a_refusal_is_audited(clean: Engine, settings: Settings) -> None:
    with pytest.raises(ForbiddenError, match="needs the role admin"):
        reader_password.renew(desk(clean, settings, Role.STEWARD))
    with clean.connect() as connection:
        found = connection.execute(text("select actor, action, object, after from etl.audit")).all()
    assert [tuple(row)[:3] for row in found] == [("ann", "reader.password", "role bi_reader")]
    assert "needs the role admin" in found[0].after["refused"]


def test_on_the_embedded_server_the_file_is_named(clean: Engine, settings: Settings) -> None:
    embedded = settings_module.load(home=settings.home, database_url="embedded:")
    with pytest.raises(RevenueError) as refused:
        reader_password.renew(desk(clean, embedded))
    assert str(embedded.database / "password-bi_reader") in refused.value.message


def test_a_role_that_may_not_is_told_what_would(clean: Engine) -> None:
    with clean.connect() as connection:
        connection.execute(text("create role bystander"))
        connection.execute(text("create role somebody login"))
        connection.execute(text("set local role bystander"))
        with pytest.raises(DatabaseError, match="may not change the password of somebody"):
            reporting.set_password(
                connection, dataclasses.replace(reporting.BI_READER, name="somebody"), "secret"
            )
        connection.rollback()


def test_a_missing_role_is_told_of(clean: Engine) -> None:
    missing = dataclasses.replace(reporting.BI_READER, name="missing_reader")
    with (
        clean.connect() as connection,
        pytest.raises(DatabaseError, match="no role missing_reader: run `revenue migrate`"),
    ):
        reporting.set_password(connection, missing, "secret")
