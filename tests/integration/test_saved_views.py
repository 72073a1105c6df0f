"""Saved views: who may keep, rename and forget them, and what the audit says."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.actions import Desk, saved_views, sql_box
from app.actions.saved_views import SavedViewError
from app.auth import ForbiddenError, Operator, Role
from etl.db import queries
from etl.db.sql_box import SqlBoxError
from etl.settings import Settings


def desk(engine: Engine, settings: Settings, name: str, role: Role = Role.VIEWER) -> Desk:
    return Desk(
        engine=engine, settings=settings, operator=Operator(name=name, role=role, origin="test")
    )


def visible(engine: Engine, owner: str) -> list[tuple[str, Any]]:
    with engine.connect() as connection:
        found = queries.rows(connection, "queries/saved_views.visible", page="explore", owner=owner)
    return [(row["name"], row["address"]) for row in found]


def audit(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(text("select actor, action from etl.audit order by audit_id"))
        return [(row.actor, row.action) for row in rows]


def test_a_view_of_the_same_name_is_replaced(clean: Engine, settings: Settings) -> None:
    ann = desk(clean, settings, "ann")
    first = saved_views.save(ann, page="explore", name=" My  view ", address={"by": ["Region"]})
    again = saved_views.save(
        ann, page="explore", name="My view", address={"by": ["Day", "x"]}, is_shared=True
    )
    assert first == again
    assert visible(clean, "ann") == [("My view", {"by": ["Day", "x"]})]
    assert visible(clean, "bob") == visible(clean, "ann")
    with clean.connect() as connection:
        before = connection.execute(
            text("select before from etl.audit order by audit_id desc limit 1")
        ).scalar_one()
    assert before == {"address": {"by": ["Region"]}, "is_shared": False}


def test_only_the_owner_renames_and_an_admin_may_delete(clean: Engine, settings: Settings) -> None:
    ann, bob = desk(clean, settings, "ann"), desk(clean, settings, "bob", Role.STEWARD)
    admin = desk(clean, settings, "root", Role.ADMIN)
    view = saved_views.save(ann, page="explore", name="A", address={}, is_shared=True)
    saved_views.save(ann, page="explore", name="B", address={})
    with pytest.raises(ForbiddenError, match="belongs to ann"):
        saved_views.delete(bob, view)
    with pytest.raises(ForbiddenError, match="belongs to ann"):
        saved_views.rename(admin, view, name="C")
    with pytest.raises(SavedViewError, match="called B"):
        saved_views.rename(ann, view, name="B")
    saved_views.rename(ann, view, name="C")
    assert [name for name, _ in visible(clean, "ann")] == ["B", "C"]
    saved_views.delete(admin, view)
    with pytest.raises(SavedViewError, match="gone"):
        saved_views.delete(ann, view)
    assert audit(clean) == [
        ("ann", "view.save"),
        ("ann", "view.save"),
        ("bob", "view.delete"),  # refused
        ("root", "view.rename"),  # refused
        ("ann", "view.rename"),
        ("root", "view.delete"),
    ]


@pytest.mark.parametrize(
    ("name", "address", "words"),
    [
        ("  ", {}, "a name"),
        ("A", {"product": ["x" * 100] * 100}, "too many"),
    ],
)
def test_what_cannot_be_kept_is_told(
    clean: Engine, settings: Settings, name: str, address: dict[str, list[str]], words: str
) -> None:
    with pytest.raises(SavedViewError, match=words):
        saved_views.save(desk(clean, settings, "ann"), page="explore", name=name, address=address)
    assert visible(clean, "ann") == []


def test_what_no_database_takes_is_kept_without_it(clean: Engine, settings: Settings) -> None:
    ann = desk(clean, settings, "ann")
    saved_views.save(ann, page="explore", name="A\x00", address={"q": ["\x00\ud800"]})
    assert visible(clean, "ann") == [("A\ufffd", {"q": ["\ufffd?"]})]


def test_views_of_one_person_are_limited(
    clean: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_views, "MOST_VIEWS", 1)
    ann = desk(clean, settings, "ann")
    saved_views.save(ann, page="explore", name="A", address={})
    saved_views.save(ann, page="explore", name="A", address={"x": ["1"]})
    with pytest.raises(SavedViewError, match="delete one"):
        saved_views.save(ann, page="explore", name="B", address={})


def test_who_may_not_write_sql_is_refused_and_audited(clean: Engine, settings: Settings) -> None:
    with pytest.raises(ForbiddenError, match="steward"):
        sql_box.run_statement(desk(clean, settings, "olga", Role.OPERATOR), "select 1")
    with pytest.raises(SqlBoxError, match="REVENUE_SQL_BOX_URL"):
        sql_box.run_statement(desk(clean, settings, "stew", Role.STEWARD), "select 1")
    assert audit(clean) == [("olga", "sql.run")]
