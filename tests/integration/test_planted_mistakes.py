"""The kill harness itself is tried: each mistake planted in the engine must be noticed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from etl import failpoints, landing
from etl.db import queries, tables
from etl.steps import archive, load, promote, stage
from tests.conftest import Pipeline
from tests.kills import Harness

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")

Plant = Callable[[pytest.MonkeyPatch], None]
MISTAKES: dict[str, Plant] = {}


def mistake(plant: Plant) -> Plant:
    MISTAKES[plant.__name__] = plant
    return plant


def replace(monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    """Change the text of one named query."""
    subject, _, query = name.rpartition(".")
    loaded = queries.load(subject)
    assert old in loaded[query], f"{name} no longer holds {old!r}"
    monkeypatch.setitem(loaded, query, loaded[query].replace(old, new))


@mistake
def extract_is_not_recorded_with_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    replace(monkeypatch, "queries/batches.extracted", "status = 'extracted', ", "")


@mistake
def load_commits_before_its_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    original = tables.merge

    def merge(connection: Connection, *args: Any, **options: Any) -> None:
        original(connection, *args, **options)
        connection.connection.commit()
        failpoints.hit("load.after_merge")

    monkeypatch.setattr(tables, "merge", merge)


@mistake
def repetitions_are_not_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    replace(
        monkeypatch, "queries/batches.newest", "dataset = :dataset", "dataset = :dataset and false"
    )


@mistake
def reverts_are_taken_for_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    row, fingerprint = queries.row, landing.fingerprint
    seen: list[str] = []

    def remember(path: Path) -> tuple[str, int]:
        sha256, size = fingerprint(path)
        seen.append(sha256)
        return sha256, size

    def any_with_content(connection: Connection, name: str, /, **parameters: Any) -> Any:
        if name == "queries/batches.newest":
            name, parameters = "queries/batches.by_content", {**parameters, "sha256": seen[-1]}
        return row(connection, name, **parameters)

    monkeypatch.setattr(landing, "fingerprint", remember)
    monkeypatch.setattr(queries, "row", any_with_content)


@mistake
def earlier_records_of_a_key_win(monkeypatch: pytest.MonkeyPatch) -> None:
    original = tables.supersede

    def supersede(connection: Connection, dataset: Any) -> None:
        connection.exec_driver_sql("update stage set position = 1000000 - position")
        original(connection, dataset)
        connection.exec_driver_sql("update stage set position = 1000000 - position")

    monkeypatch.setattr(load.tables, "supersede", supersede)


@mistake
def superseded_records_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    original = tables.supersede

    def supersede(connection: Connection, dataset: Any) -> None:
        original(connection, dataset)
        connection.exec_driver_sql("delete from dq.superseded")

    monkeypatch.setattr(load.tables, "supersede", supersede)


@mistake
def quarantine_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    write = stage.Stage._write

    def write_some(self: Any, target: str, *columns: Any) -> None:
        if not target.startswith("dq.quarantine"):
            write(self, target, *columns)

    monkeypatch.setattr(stage.Stage, "_write", write_some)


@mistake
def updates_do_not_reach_gold(monkeypatch: pytest.MonkeyPatch) -> None:
    replace(
        monkeypatch,
        "gold/sales.update_transactions",
        "s.batch_id = any(:batches)",
        "s.batch_id = any(:batches) and false",
    )


@mistake
def promoted_before_gold_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    original = promote.promote_batches

    def promote_batches(execution: Any, connection: Connection, *args: Any, **options: Any) -> int:
        with execution.engine.begin() as other:
            other.exec_driver_sql(
                "update etl.batch set status = 'promoted' where status = 'loaded'"
            )
        failpoints.hit("promote.before_commit")
        return original(execution, connection, *args, **options)

    monkeypatch.setattr(promote, "promote_batches", promote_batches)


@mistake
def equal_rows_count_as_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    original = tables.written

    def written(*args: Any) -> Any:
        return {batch: (new, changed + 1) for batch, (new, changed) in original(*args).items()}

    monkeypatch.setattr(load.tables, "written", written)


@mistake
def files_stay_in_the_landing_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.landing, "move", lambda source, target: None)


@mistake
def insert_date_is_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    # a clock that stands still
    replace(monkeypatch, "queries/batches.next_insert_date", "+ interval '1 microsecond'", "")
    replace(
        monkeypatch,
        "queries/batches.next_insert_date",
        "clock_timestamp()",
        "timestamptz '2020-01-01'",
    )


@mistake
def the_watermark_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    replace(
        monkeypatch,
        "queries/batches.move_watermark",
        "pipeline_name = :pipeline_name",
        "pipeline_name = :pipeline_name and false",
    )


@pytest.mark.parametrize("name", MISTAKES)
def test_the_mistake_is_noticed(
    name: str, pipeline: Pipeline, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    MISTAKES[name](monkeypatch)
    fire = Harness(pipeline.engine, database_url, pipeline.settings, seed=7)
    noticed: list[str] = []
    for failpoint in (
        "load.after_merge",
        "extract.after_commit",
        "promote.before_commit",
        *[""] * 5,
    ):
        fire.land()
        if failpoint:
            with contextlib.suppress(AssertionError):
                fire.kill(failpoint=failpoint)
            noticed += fire.check(quiet=False)
        try:
            fire.run()
        except Exception as error:  # noqa: BLE001 - an engine that stops has noticed, too
            noticed.append(repr(error))
        noticed += fire.check(quiet=True)
        if noticed:
            return
    pytest.fail("nobody noticed")
