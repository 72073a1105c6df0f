"""Search finds what is there, fails on nothing, and reads by its index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from app import log_search
from app.log_search import Filters
from etl.log import RunLog
from tests.conftest import Pipeline

LINES: list[tuple[str, str, dict[str, Any]]] = [
    ("info", "sales_17.json: 3 valid, 1 invalid", {"step": "load", "valid_records": 3}),
    ("warning", "rejected ![x](y).json: =danger", {"step": "extract"}),
    ("error", "run failed: disk full in run 1234", {}),
]


@pytest.fixture
def lines(pipeline: Pipeline) -> Pipeline:
    for number, (level, message, fields) in enumerate(LINES):
        dataset = "customers" if level == "error" else "sales"
        file = pipeline.settings.logs / "sales_etl_logs.log"
        RunLog(pipeline.engine, file, dataset, 7 + number)(level, message, **fields)
    return pipeline


def found(engine: Engine, filters: Filters) -> list[int]:
    """Return which of LINES are found, newest first."""
    page = log_search.page(engine, filters, size=50)
    assert page.total == len(page.lines)
    tail = log_search.tail(engine, filters, size=50)
    assert [line["log_id"] for line in tail] == [line["log_id"] for line in page.lines]
    return [[message for _, message, _ in LINES].index(line["message"]) for line in page.lines]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("disk", [2]),
        ("DISK Full", [2]),
        ("full disk", [2]),
        ("fai", [2]),  # a beginning, while it is typed
        ("fu", []),  # too short for one
        ("sales", [0]),
        ("sales_17", [0]),
        ("sales_17.json", [0]),
        ("1234", [2]),
        ("123", []),  # a number is whole
        ("disk -full", []),
        ("disk or danger", [2, 1]),
        ('"disk full"', [2]),
        ('"full disk"', []),
        ("valid 3", [0]),
        ("", [2, 1, 0]),
        ("   ", [2, 1, 0]),
    ],
)
def test_words_are_found(lines: Pipeline, typed: str, expected: list[int]) -> None:
    assert found(lines.engine, Filters(text=typed)) == expected


ODD = ["'", '"', "\\", "':*", "& | ! ( )", "<->", "a:*b & (", "' or 1=1 --", "\x00", "%_", "or or"]
ODD += ["or", "-", "\ud800", "a\n\tb", "x" * 100, "((((", "or abc", "abc:*", "''':*", "é ñ 中文"]


@pytest.mark.parametrize("typed", ODD)
def test_odd_input_is_no_error(lines: Pipeline, typed: str) -> None:
    log_search.page(lines.engine, Filters(text=typed), size=5)
    log_search.tail(lines.engine, Filters(text=typed), size=5)
    log_search.is_wordy(lines.engine, typed)


def test_filters_narrow(lines: Pipeline) -> None:
    engine = lines.engine
    at = lines.value("select max(at) from etl.log")
    assert found(engine, Filters(level="warning")) == [1]
    assert found(engine, Filters(run_id=7)) == [0]
    assert found(engine, Filters(dataset="sales")) == [1, 0]
    assert found(engine, Filters(step="load")) == [0]
    assert found(engine, Filters(since=at)) == [2]
    assert found(engine, Filters(until=at)) == [1, 0]
    assert found(engine, Filters(text="danger", level="error")) == []


def test_downloads_honour_the_filters_and_defuse_formulas(lines: Pipeline) -> None:
    file = lines.settings.logs / "sales_etl_logs.log"
    RunLog(lines.engine, file, "sales", 99)("info", "=cmd()", rows=2)
    csv = log_search.as_csv(lines.engine, Filters(run_id=99)).decode("utf-8-sig")
    header, line, end = csv.split("\r\n")
    assert header == "time,level,dataset,run_id,step,batch_id,message,context"
    assert "'=cmd()" in line
    assert end == ""
    written = file.read_text().splitlines()[0]
    [one] = log_search.as_json_lines(lines.engine, Filters(text="valid")).decode().splitlines()
    assert list(json.loads(one)) == list(json.loads(written))


# A long log -----------------------------------------------------------------------------

MANY = 30_000
OLD = 12_000  # lines that hold `ancient`


@pytest.fixture
def long_log(clean: Engine) -> Engine:
    with clean.begin() as connection:
        connection.execute(
            text(
                "insert into etl.log (level, message, run_id) select 'info', case "
                "when n <= :old then 'ancient times ' || n "
                "when n % 10000 = 7 then 'needle ' || n else 'gold line ' || n end, n / 10 "
                "from generate_series(1, :many) n"
            ),
            {"many": MANY, "old": OLD},
        )
    with clean.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(
            text("vacuum analyze etl.log")
        )
    return clean


@pytest.fixture
def plans(long_log: Engine) -> Iterator[list[str]]:
    """The plan of each search, as the server made it with the settings of that moment."""
    seen: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "etl.log" in statement and "websearch_to_tsquery" in statement:
            cursor.execute("explain " + statement, parameters)
            seen.append("\n".join(row[0] for row in cursor.fetchall()))

    event.listen(long_log, "before_cursor_execute", explain)
    yield seen
    event.remove(long_log, "before_cursor_execute", explain)


def test_words_are_looked_for_by_an_index(long_log: Engine, plans: list[str]) -> None:
    newest = {"needle": 20_007, "777": 777, "ancient": OLD, "anc": OLD, "gold": MANY}
    for word in (*newest, "nowhere"):
        plans.clear()
        page = log_search.page(long_log, Filters(text=word), size=50)
        assert page.is_bounded == (word in {"ancient", "gold", "anc"})
        assert not any("Seq Scan" in plan for plan in plans)
        if word == "gold":  # frequent among the newest lines: those alone are read
            assert all("log_pkey" in plan and "log_id > " in plan for plan in plans)
        else:
            assert "log_search" in plans[1]  # the count
            assert "log_search" in plans[-1]
        numbers = [int(line["message"].split()[-1]) for line in page.lines]
        assert numbers == sorted(numbers, reverse=True)
        assert (numbers or [None])[0] == newest.get(word)


def test_pages_of_a_search_meet_without_gap_or_repetition(long_log: Engine) -> None:
    filters = Filters(text="gold")
    first = log_search.page(long_log, filters, size=50)
    second = log_search.page(long_log, filters, size=50, before=first.lines[-1]["log_id"])
    both = log_search.page(long_log, filters, size=100)
    assert first.lines + second.lines == both.lines
    assert (first.has_newer, second.has_newer, second.has_older) == (False, True, True)
    third = log_search.page(long_log, filters, size=50, before=second.lines[-1]["log_id"])
    back = log_search.page(long_log, filters, size=50, after=third.lines[0]["log_id"])
    assert back.lines == second.lines
    newest = log_search.page(long_log, filters, size=50, after=second.lines[0]["log_id"])
    assert newest.lines == first.lines
    least = log_search.page(long_log, Filters(text="ancient"), size=50).lines[-1]["log_id"]
    last = log_search.page(
        long_log, Filters(text="ancient"), size=50, before=least - (OLD - 50) + 20
    )
    assert len(last.lines) == 20
    assert not last.has_older
