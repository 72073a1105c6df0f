"""What the operator sees on the page of Power BI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from streamlit.testing.v1 import AppTest

from etl import settings as settings_module
from etl.db import queries, reporting
from etl.db.embedded import EmbeddedServer
from etl.db.reader_check import check
from etl.errors import DatabaseError
from tests.conftest import FAST
from tests.gold import gold_changed
from tests.pages.conftest import Open, words


@pytest.fixture
def reader_url(
    clean: Engine, database_url: str, server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Let the pages know how `bi_reader` signs in, as `revenue up` does."""
    provided = reporting.provide(
        clean,
        database_url,
        settings_module.load(home=Path.cwd()),
        EmbeddedServer(server_folder / "database", options=FAST),
    )
    monkeypatch.setenv("REVENUE_BI_READER_URL", provided.urls["bi_reader"])
    return provided.urls["bi_reader"]


def password(url: str) -> str:
    return str(make_url(url).password)


def plain(page: AppTest) -> str:
    return words(page).replace("\\", "").replace("\u200b", "")


def downloads(page: AppTest) -> dict[str, Any]:
    return {one.label: one for one in page.get("download_button")}


def button(page: AppTest, label: str) -> Any:
    return next(one for one in page.button if one.label == label)


def test_both_files_are_offered_for_the_database_of_the_settings(
    open_page: Open, clean: Engine
) -> None:
    page = open_page("powerbi")
    assert {"Project", "Connection"} <= set(downloads(page))
    url = make_url(str(clean.url))
    assert f"For {url.database} on {url.host}:{url.port}" in plain(page)


def test_another_address_is_taken_and_a_wrong_one_refused_in_words(open_page: Open) -> None:
    page = open_page("powerbi")
    page.text_input(key="server").set_value("db.example.com").run()
    assert "on db.example.com:" in plain(page)
    page.text_input(key="server").set_value("no host; at all").run()
    assert not page.exception
    assert "is no host name" in page.error[0].value
    assert "Project" not in downloads(page)


def test_the_check_counts_gold_and_is_refused_all_else(
    open_page: Open, clean: Engine, reader_url: str
) -> None:
    with clean.begin() as connection:
        connection.execute(
            text(
                "insert into gold.products values ('P1', 'Lamp', 'Home', now(), now()), "
                "('P2', 'Desk', 'Home', now(), now())"
            )
        )
    page = open_page("powerbi")
    button(page, "Check the connection").click().run()
    assert not page.exception
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown == {"customers": "0", "products": "2", "transactions": "0", "dim_date": "0"}
    assert "8 attempts at more were refused" in words(page)
    [tried] = [one.value for one in page.dataframe if "what" in one.value]
    assert set(tried["result"]) == {"✓ refused"}
    assert len(tried) == 8
    assert password(reader_url) not in words(page)
    with clean.connect() as connection:
        audited = connection.execute(
            text("select after from etl.audit where action = 'powerbi.check'")
        ).scalar_one()
    assert audited["is_right"] is True
    assert password(reader_url) not in json.dumps(audited)


def test_a_role_that_may_write_is_found_and_nothing_is_changed(
    clean: Engine, reader_url: str
) -> None:
    with clean.begin() as connection:
        connection.execute(text("grant delete on gold.products to bi_reader"))
        connection.execute(text("insert into gold.products values ('P', 'L', 'H', now(), now())"))
    try:
        found = check(reader_url)
    finally:
        with clean.begin() as connection:
            connection.execute(text("revoke delete on gold.products from bi_reader"))
    assert not found.is_right
    assert [one.what for one in found.attempts if not one.is_refused] == ["delete from gold"]
    assert check(reader_url).rows["products"] == 1


def test_a_right_that_no_attempt_needs_is_found(clean: Engine, reader_url: str) -> None:
    with clean.begin() as connection:
        connection.execute(text("alter role bi_reader createdb"))
    try:
        found = check(reader_url)
    finally:
        with clean.begin() as connection:
            connection.execute(text("alter role bi_reader nocreatedb"))
    assert all(one.is_refused for one in found.attempts)
    assert not found.is_right
    assert check(reader_url).is_right


def test_a_wrong_password_is_said_without_it(reader_url: str) -> None:
    wrong = reader_url.replace(password(reader_url), "another-password")
    with pytest.raises(DatabaseError, match="password authentication failed") as raised:
        check(wrong)
    assert "another-password" not in str(raised.value)


def test_without_a_password_the_check_says_what_to_do(open_page: Open) -> None:
    page = open_page("powerbi")
    button(page, "Check the connection").click().run()
    assert "set REVENUE_BI_READER_URL" in plain(page)


def test_a_refresh_behind_gold_is_told(open_page: Open, clean: Engine) -> None:
    page = open_page("powerbi")
    assert "Refreshes after a run are off" in words(page)
    with clean.begin() as connection:
        gold_changed(connection)
        version = queries.value(connection, "queries/reads.data_version")
        connection.execute(
            text(
                """
                insert into etl.refresh
                    (requested_by, data_version, form, status, started_at, ended_at, request_id)
                values
                    ('a test', :version, 'standard', 'completed', now() - interval '40 s', now(), 'r')
                """
            ),
            {"version": version},
        )
    assert "holds the newest data" in words(page.run())
    with clean.begin() as connection:
        gold_changed(connection)
    assert "1 change behind gold" in words(page.run())
