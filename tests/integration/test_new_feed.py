"""A third feed needs a declaration, a printed migration and a golden case; no engine change."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from etl import datasets, monitor, normalise, rules
from etl.db import tables
from etl.model import Column, Dataset, Judges, Rule
from tests.conftest import Pipeline
from tests.invariants import broken

RETURNS = Dataset(
    name="returns",
    title="Returns",
    key="return_id",
    silver_table="silver.returns",
    raw_table="raw.returns_raw",
    log_file="returns_etl_logs.log",
    error_file="invalid_returns.json",
    recognised_by=frozenset({"return_id"}),
    columns=(
        Column(
            name="return_id",
            type="varchar(100)",
            comment="Return key",
            normalise=normalise.text,
            is_text=True,
        ),
        Column(
            name="returned_on",
            type="timestamp",
            comment="Moment of the return, UTC",
            normalise=normalise.timestamp,
            required=True,
        ),
        Column(
            name="pieces",
            type="integer",
            comment="Pieces returned",
            normalise=normalise.whole_number,
            required=True,
            check="pieces > 0",
        ),
    ),
    rules=(
        Rule(
            code="return_id_missing",
            column="return_id",
            kind="not_null",
            message="Missing return_id",
            judges=Judges.RECEIVED,
        ),
        Rule(
            code="returned_on_invalid",
            column="returned_on",
            kind="parses_as",
            parameters={"type": "date", "required": True},
            message="Invalid returned_on",
        ),
        Rule(
            code="pieces_invalid",
            column="pieces",
            kind="between",
            parameters={"min": 1, "max": 2147483647, "whole": True, "required": True},
            message="Invalid pieces",
        ),
    ),
)


@pytest.fixture
def returns(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    declared = {**datasets.declared(), "returns": RETURNS}
    monkeypatch.setattr(datasets, "declared", lambda: declared)
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(tables.migration(RETURNS))
        rules.ship(connection, RETURNS)
    yield pipeline
    with pipeline.engine.begin() as connection:
        for statement in (
            "drop table raw.returns_raw, silver.returns",
            "delete from dq.violation using dq.rule r where r.rule_id = violation.rule_id "
            "and r.dataset = 'returns'",
            "delete from dq.rule_count using dq.rule r where r.rule_id = rule_count.rule_id "
            "and r.dataset = 'returns'",
            "delete from dq.rule_history using dq.rule r where r.rule_id = rule_history.rule_id "
            "and r.dataset = 'returns'",
            "delete from dq.rule where dataset = 'returns'",
            "delete from etl.batch where dataset = 'returns'",
            "delete from etl.step using etl.run r where r.run_id = step.run_id "
            "and r.dataset = 'returns'",
            "delete from etl.run where dataset = 'returns'",
            "delete from etl.error_file where dataset = 'returns'",
            "delete from etl.finding where dataset = 'returns'",
            "delete from etl.freshness where dataset = 'returns'",
            "delete from etl.expected where dataset = 'returns'",
            "delete from etl.dataset where dataset = 'returns'",
            "delete from silver.etl_metadata where pipeline_name = 'returns_silver'",
        ):
            connection.execute(text(statement))


def test_a_declared_feed_runs(returns: Pipeline) -> None:
    records = [
        {"return_id": "R1", "returned_on": "2023-05-06", "pieces": "2"},
        {"return_id": "R2", "returned_on": "soon", "pieces": 0},
        {"return_id": "R1", "returned_on": "2023-05-07", "pieces": 3},
        {"returned_on": "2023-05-07", "pieces": 3},
    ]
    returns.land("returns.json", records)
    run = returns.run("returns")
    assert run["status"] == "warned"
    assert returns.rows("select return_id, returned_on::text, pieces from silver.returns") == [
        ("R1", "2023-05-07 00:00:00", 3)
    ]
    assert returns.rows("select position, dq_errors from dq.quarantine order by 1") == [
        (2, "Invalid returned_on; Invalid pieces"),
        (4, "Missing return_id"),
    ]
    assert returns.run("returns")["reason"] == "nothing to do"
    with returns.engine.connect() as connection:
        assert broken(connection, returns.settings.home, quiet=True) == []
    assert (returns.settings.logs / "invalid_returns.json").exists()
    with returns.engine.begin() as connection:
        legs = [leg for leg in monitor.check(connection) if leg.dataset == "returns"]
        judged = [age for age in monitor.judge_freshness(connection) if age.dataset == "returns"]
    assert [(leg.layer, leg.must_be, leg.found) for leg in legs] == [
        ("raw", 4, 4),
        ("quarantine", 2, 2),
        ("quarantine", 1, 1),
        ("silver", 1, 1),
    ]
    assert {age.state for age in judged} == {"fresh"}


@pytest.mark.parametrize("name", list(datasets.declared()))
def test_declarations_match_the_catalogue(name: str, pipeline: Pipeline) -> None:
    dataset = datasets.get(name)
    found = dict(
        pipeline.rows(
            "select attname, format_type(atttypid, atttypmod) || case when attnotnull "
            "then ' not null' else '' end from pg_attribute "
            "where attrelid = cast(:table as regclass) and attnum > 0 and not attisdropped",
            table=dataset.silver_table,
        )
    )
    spelled = {"varchar": "character varying", "timestamp": "timestamp without time zone"}
    for column in dataset.columns:
        kind, bracket, rest = column.type.partition("(")
        wanted = spelled.get(kind, kind) + bracket + rest.replace(" ", "")
        required = column.required or column.name == dataset.key
        assert found[column.name] == wanted + (" not null" if required else "")


@pytest.mark.parametrize("name", list(datasets.declared()))
def test_printed_migrations_are_the_released_ones(name: str) -> None:
    from etl.db import migrate

    released = {migration.name: migration.sql for migration in migrate.released()}
    dropped = re.findall(r"drop index silver\.(\w+);", "".join(released.values()))
    kept = [
        line
        for line in released[name].splitlines(keepends=True)
        if not any(line.startswith(f"create index {index} ") for index in dropped)
    ]
    assert "".join(kept) == tables.migration(datasets.get(name))


def test_every_table_and_column_carries_a_comment(pipeline: Pipeline) -> None:
    bare = pipeline.rows(
        """
        select c.oid::regclass::text, a.attname from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where n.nspname in ('raw', 'silver', 'gold', 'etl', 'dq') and c.relkind = 'r'
        and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)
        """.replace("::", "\\:\\:")
    )
    assert bare == []
