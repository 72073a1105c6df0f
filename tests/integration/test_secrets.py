"""A planted secret never appears in anything that real commands write, print or store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from etl import masking
from etl.errors import RunConflictError
from tests.conftest import Pipeline

ROOT = Path(__file__).resolve().parents[2]
ROLE = "planted_role"
PLANTED = "Pl4nted-s3cret-Zq8"

SALE = {
    "transaction_id": "T1",
    "customer_id": "C1",
    "product_id": "P1",
    "quantity": 1,
    "price": 10,
    "date": "2024-01-01",
}


@dataclass
class Commands:
    """Runs commands as processes and keeps all that they print."""

    pipeline: Pipeline
    home: Path
    url: str

    def __post_init__(self) -> None:
        self.printed = ""

    def __call__(self, *arguments: str, status: int = 0, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            env=self.environment(**environment),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
        self.printed += done.stdout + done.stderr
        return done.stdout + done.stderr

    def environment(self, **more: str) -> dict[str, str]:
        plain = {key: value for key, value in os.environ.items() if not key.startswith("REVENUE_")}
        plain |= {
            "REVENUE_DATABASE_URL": self.url,
            "REVENUE_HOME": str(self.home),
            "REVENUE_METRICS_PORT": "0",
        }
        return {**plain, **more}

    def traces(self, secret: str = PLANTED) -> list[str]:
        """Return where the secret stands: output, files and their names, columns of the database."""
        found = ["printed"] if secret in self.printed else []
        for path in self.home.rglob("*"):
            if secret in str(path.relative_to(self.home)):
                found.append(f"name {path.name}")
            if path.is_file() and secret.encode() in path.read_bytes():
                found.append(f"file {path.name}")
        columns = self.pipeline.rows(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema in ('raw', 'silver', 'gold', 'etl', 'dq') and table_type = 'BASE TABLE'"
        )
        for schema, table in columns:
            count = self.pipeline.value(
                f"select count(*) from {schema}.{table} as t where cast(t as text) like :like",
                like=f"%{secret}%",
            )
            if count:
                found.append(f"table {schema}.{table}")
        return found


@pytest.fixture
def revenue(pipeline: Pipeline, tmp_path: Path) -> Iterator[Commands]:
    """Commands that connect as a role whose password is the planted secret."""
    url = make_url(pipeline.settings.database_url.get_secret_value())
    owner = url.username
    with pipeline.engine.begin() as connection:
        connection.execute(text(f"create role {ROLE} login password '{PLANTED}' superuser"))
        connection.execute(text(f"grant {owner} to {ROLE}"))
    planted = url.set(username=ROLE, password=PLANTED).render_as_string(hide_password=False)
    known = set(masking._known)
    masking.remember(PLANTED)
    yield Commands(pipeline, tmp_path, planted)
    masking._known.intersection_update(known)
    with pipeline.engine.begin() as connection:
        connection.execute(text(f"reassign owned by {ROLE} to {owner}"))
        connection.execute(text(f"drop role {ROLE}"))


def test_the_search_for_traces_finds_some(revenue: Commands) -> None:
    (revenue.home / "data" / f"x{PLANTED}.txt").write_text(PLANTED)
    revenue.printed = PLANTED
    with revenue.pipeline.engine.begin() as connection:
        connection.execute(
            text("insert into etl.log (level, message) values ('info', :m)"), {"m": PLANTED}
        )
    assert revenue.traces() == [
        "printed",
        f"name x{PLANTED}.txt",
        f"file x{PLANTED}.txt",
        "table etl.log",
    ]


def test_what_commands_do_leaves_no_trace(revenue: Commands) -> None:
    pipeline = revenue.pipeline
    # in the names of files: loaded, rejected, of another feed, and named on the command line
    pipeline.land(f"sales_{PLANTED}.json", [SALE, {**SALE, "quantity": 0}])
    pipeline.land(f"broken_{PLANTED}.json", b'[{"transaction_id": "T1", "customer_id": "C1"')
    pipeline.land(f"nobody_{PLANTED}.json", b"not json")
    pipeline.land(f"password={PLANTED}x.json", [{**SALE, "transaction_id": "T2"}])
    revenue("run", "sales")
    assert pipeline.value("select count(*) from silver.sales") == 2
    with pytest.raises(RunConflictError, match="path holds a secret"):
        pipeline.run("sales", source_file=f"/nowhere/{PLANTED}.json")
    # in an error of the driver
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "create function public.fails() returns trigger language plpgsql as "
                f"$$ begin raise exception 'connection postgresql://me:{PLANTED}x@h failed, "
                f"password={PLANTED}'; end $$"
            )
        )
        connection.execute(
            text(
                "create trigger fails before insert on raw.sales_raw "
                "for each statement execute function public.fails()"
            )
        )
    try:
        pipeline.land("next.json", [{**SALE, "price": 3}])
        assert "password=***" in revenue("run", "sales", status=1)
        revenue("runs", "show", str(pipeline.value("select max(run_id) from etl.run")), "--json")
        revenue("status", "--json", status=1)
    finally:
        with pipeline.engine.begin() as connection:
            connection.execute(text("drop function public.fails() cascade"))
    assert pipeline.value("select count(*) from etl.run where status = 'failed'") == 1
    assert revenue.traces() == []


def test_a_wrong_password_leaves_no_trace(revenue: Commands) -> None:
    wrong = make_url(revenue.url).set(password=f"{PLANTED}-wrong")
    more = {"REVENUE_DATABASE_URL": wrong.render_as_string(hide_password=False)}
    assert "cannot be reached" in revenue("status", "--json", status=1, **more)
    last = revenue("worker", status=1, REVENUE_LOG_FORMAT="json", **more).splitlines()[-1]
    assert json.loads(last)["code"] == "unreachable"
    more = {"REVENUE_DATABASE_URL": f"postgresql://me:{PLANTED}/@x@host/db"}
    assert "must be" in revenue("run", "sales", status=1, REVENUE_TRACEBACK="1", **more)
    assert revenue.traces() == []


def test_a_worker_says_each_line_as_json_without_the_secret(revenue: Commands) -> None:
    pipeline = revenue.pipeline
    pipeline.land(f"sales_{PLANTED}.json", [SALE])
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "insert into etl.run (dataset, status, trigger, requested_by) "
                "values ('sales', 'queued', 'manual', 'x')"
            )
        )
    worker = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "worker"],
        env=revenue.environment(REVENUE_LOG_FORMAT="json"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not pipeline.value("select count(*) from etl.run where status = 'succeeded'"):
        assert time.monotonic() < until
        assert worker.poll() is None
        time.sleep(0.05)
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert err == ""
    lines = [json.loads(line) for line in out.splitlines()]
    fields = {"time", "level", "dataset", "run", "step", "batch", "message", "process"}
    assert all(fields <= set(line) for line in lines)
    said = [line["message"] for line in lines]
    assert said[0] == "the worker is ready"
    assert said[-1] == "the worker stopped"
    [loaded] = [line for line in lines if line["step"] == "load"]
    assert loaded["message"].startswith("sales_***.json: 1 valid")
    assert (loaded["dataset"], loaded["valid_records"]) == ("sales", 1)
    assert loaded["batch"]
    assert loaded["run"]
    revenue.printed = out
    assert revenue.traces() == []
