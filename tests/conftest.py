"""One embedded PostgreSQL a session; each test leaves it empty."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl import runs, worker
from etl import settings as settings_module
from etl.db import migrate
from etl.db.connect import connect
from etl.db.embedded import EmbeddedServer
from etl.settings import Settings

# a killed test process cannot hurt this cluster's files: only the machine could
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "128MB",
    "autovacuum": "off",
}

# the order is that of foreign keys; rules, feeds and migrations stay
EMPTY = """
do $$
declare
    name text;
begin
    for name in
        select format('%I.%I', schemaname, tablename) from pg_tables
        where schemaname in ('raw', 'silver') and tablename <> 'etl_metadata'
    loop
        execute 'delete from ' || name;
    end loop;
    delete from gold.daily_sales;
    delete from gold.monthly_sales;
    delete from gold.transactions;
    delete from gold.customers;
    delete from gold.products;
    delete from gold.dim_date;
    delete from dq.violation;
    delete from dq.cause;
    delete from dq.quarantine;
    delete from dq.repaired_record;
    delete from dq.repair;
    delete from dq.recipe;
    delete from dq.prediction;
    delete from dq.rule_draft;
    delete from dq.superseded;
    delete from dq.rule_count;
    delete from etl.delivery;
    delete from etl.incident;
    delete from etl.alert_channel;
    delete from etl.finding;
    delete from etl.freshness;
    delete from etl.freshness_limit;
    delete from etl.error_file;
    update etl.expected set rows = 0;
    delete from etl.batch;
    delete from dq.prediction;
    delete from dq.rule_draft;
    delete from etl.refresh;
    delete from etl.step;
    delete from etl.run;
    delete from etl.schedule;
    delete from etl.worker;
    delete from etl.log;
    delete from etl.audit;
    delete from etl.saved_view;
    update etl.dataset set data_version = data_version + 1;
    update silver.etl_metadata set last_insert_date = '1900-01-01 00:00:00+00';
end
$$
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden", action="store_true", help="write the golden cases' expected files anew"
    )


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    # PostgreSQL does not run as root; its account must be able to enter the folder
    folder = Path(tempfile.mkdtemp(prefix="revenue-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def database_url(server_folder: Path) -> Iterator[str]:
    with EmbeddedServer(server_folder / "database", options=FAST) as server:
        yield server.start()


@pytest.fixture(scope="session")
def engine(database_url: str) -> Iterator[Engine]:
    opened = connect(database_url, settings_module.load(home=Path.cwd()), name="tests")
    migrate.apply(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def clean(engine: Engine) -> Iterator[Engine]:
    """The migrated database; emptied after the test."""
    yield engine
    with engine.begin() as connection:
        connection.execute(text(EMPTY))


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a home of their own, also for child processes."""
    for name in list(os.environ):
        if name.startswith("REVENUE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REVENUE_DATABASE_URL", database_url)
    monkeypatch.setenv("REVENUE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    loaded = settings_module.load(stability_seconds=0.0, lost_after_seconds=0.5)
    loaded.make_folders()
    return loaded


@dataclass
class Pipeline:
    """The engine as an operator uses it: land files, run feeds, look at what is there."""

    engine: Engine
    settings: Settings

    def land(self, name: str, content: Any) -> Path:
        """Put a file into the landing zone: bytes as they are, anything else as JSON."""
        path = self.settings.landing / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    def run(self, dataset: str, **options: Any) -> dict[str, Any]:
        """Run a feed in the foreground; return the run with its steps and batches."""
        with worker.Presence(self.engine, self.settings, "command") as presence:
            run_id, _ = worker.run_in_foreground(
                self.engine, self.settings, presence, dataset, actor="tester", **options
            )
        with self.engine.connect() as connection:
            return runs.show(connection, run_id)

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), parameters)]

    def value(self, sql: str, **parameters: Any) -> Any:
        return self.rows(sql, **parameters)[0][0]


@pytest.fixture
def pipeline(clean: Engine, settings: Settings) -> Pipeline:
    return Pipeline(clean, settings)
