"""Every page opens, links lead to pages, and what goes wrong is said in words."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import streamlit as st

from app import components, nav
from etl.settings import Settings
from tests.conftest import Pipeline
from tests.pages.conftest import Open, words


@pytest.mark.parametrize("name", [screen.name for screen in nav.SCREENS])
def test_every_page_opens_on_an_empty_database(open_page: Open, name: str) -> None:
    at = open_page(name)
    assert at.title[0].value
    assert not at.error


def test_every_page_has_its_file_and_its_own_address() -> None:
    pages = Path(nav.__file__).resolve().parents[1] / "pages"
    assert {screen.name for screen in nav.SCREENS} == {path.stem for path in pages.glob("*.py")}
    assert [screen.name for screen in nav.SCREENS if screen.default] == ["overview"]


def test_the_operator_is_named(open_page: Open) -> None:
    assert "admin" in open_page().sidebar.caption[0].value


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("runs", {"run": 999}),
        ("runs", {"run": "1; drop table etl.run"}),
        ("runs", {"run": "9" * 30}),
        ("runs", {"status": "nonsense", "feed": "<b>", "page": "-1"}),
        ("runs", {"page": 99}),
        ("invalid_records", {"record": 999}),
        ("invalid_records", {"rule": "x", "from_run": "x", "page": "0", "key": "%_\\"}),
        ("upload", {"status": "nonsense", "feed": "'"}),
        ("rules", {"feed": "<b>", "severity": "x", "state": "'", "page": "-1"}),
        ("rules", {"rule": 999}),
        ("rules", {"rule": "9" * 18, "edit": "x"}),
        ("explore", {"tab": "Named queries", "query": "'; drop table x", "plan": "x"}),
        ("explore", {"tab": "SQL", "sql_text": "drop table x", "by": "<b>", "from": "x"}),
        ("alerts", {"show": "nonsense", "kind": "<b>", "state": "x", "page": "-1"}),
        ("alerts", {"show": "rules", "rule": "9" * 18}),
        ("alerts", {"show": "channels", "channel": "x"}),
        (
            "health",
            {"actor": "<b>", "action": "'", "feed": "x", "legs": "x", "page": 99, "on": "%"},
        ),
    ],
)
def test_a_wrong_address_is_no_crash(open_page: Open, name: str, query: dict[str, object]) -> None:
    at = open_page(name, **query)
    assert at.title or at.error


def test_what_is_not_there_is_said_in_words(open_page: Open) -> None:
    assert "there is no run 999" in components_text(open_page("runs", run=999).error[0].value)
    at = open_page("invalid_records", record=999)
    assert "there is no invalid record 999" in components_text(at.error[0].value)


def components_text(markdown: str) -> str:
    return markdown.replace("\\", "").replace("\u200b", "")


def test_a_database_that_is_away_is_said_in_words(
    open_page: Open, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVENUE_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:9/none")
    at = open_page("runs")
    assert "cannot be reached" in components_text(at.error[0].value)
    assert "secret" not in words(at)


@pytest.mark.parametrize(
    "hostile",
    [
        "![x](https://evil.example/a.png)",
        "[click](javascript:alert(1))",
        "<img src=x>",
        ":red[x] :material/home: :tada:",
        "$x$ `code` *b* _i_ ~s~",
        "# title\n- list",
        "a\x00b",
        "\ud800",
        "https://evil.example www.evil.example me@evil.example",
    ],
)
def test_escaped_text_has_no_markdown_left(hostile: str) -> None:
    escaped = components.escape(hostile)
    assert "\n" not in escaped
    escaped.encode()
    for position, character in enumerate(escaped):
        if character in "`*_[]()#!<>$~:" and character != "\\":
            assert escaped[position - 1] == "\\"
    assert "://evil" not in escaped.replace("\\", "")
    assert "www.evil" not in escaped.replace("\\", "")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "just now"),
        (5, "5 s ago"),
        (61, "1 min ago"),
        (3600, "1 hour ago"),
        (7300, "2 hours ago"),
        (86400, "1 day ago"),
        (200_000, "2 days ago"),
        (-120, "in 2 min"),
    ],
)
def test_times_in_words(seconds: int, expected: str) -> None:
    now = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    assert components.ago(now - dt.timedelta(seconds=seconds), now=now) == expected


def test_a_csv_holds_no_formulas() -> None:
    rows = [{"name": "=cmd|' /C calc'!A0", "amount": -5, "none": None}]
    assert components.as_csv(rows).decode("utf-8-sig") == (
        "name,amount,none\r\n'=cmd|' /C calc'!A0,-5,\r\n"
    )


def test_every_state_has_words_icon_and_colour(pipeline: Pipeline) -> None:
    for table, column in (
        ("etl.run", "status"),
        ("etl.step", "status"),
        ("etl.batch", "status"),
        ("dq.quarantine", "status"),
        ("etl.log", "level"),
        ("etl.freshness", "state"),
        ("etl.delivery", "status"),
        ("etl.alert_rule", "severity"),
        ("dq.rule", "severity"),
        ("dq.rule_draft", "status"),
    ):
        [(check,)] = pipeline.rows(
            "select string_agg(pg_get_constraintdef(oid), ' ') from pg_constraint "
            "where conrelid = cast(:table as regclass) and contype = 'c' "
            "and pg_get_constraintdef(oid) like '%' || :column || ' = ANY (ARRAY%'",
            table=table,
            column=column,
        )
        allowed = set(
            check.split("ARRAY[", 1)[1]
            .split("]", 1)[0]
            .replace("'", "")
            .replace("::text", "")
            .split(", ")
        )
        assert allowed <= set(components.STATES), table


def test_the_brand_is_local() -> None:
    for name in ("icon.png", "icon.svg", "logo.svg"):
        assert (Path(components.__file__).parent / "assets" / name).stat().st_size
    assert st.get_option("theme.base") in {None, "light", "dark"}
