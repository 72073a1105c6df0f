"""kill -9 of the worker and of the embedded server's owner in the middle of a large run.

BIG_KILLS sets how many (2 in CI; 20 before a release), BIG_RECORDS the size of each file.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from etl import generate
from etl import settings as settings_module
from etl.db.connect import database
from tests.browser import a_home, up
from tests.invariants import broken, differences
from tests.oracle import Expected

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL"),
    pytest.mark.timeout(3600),
]
KILLS = int(os.environ.get("BIG_KILLS", "2"))
RECORDS = int(os.environ.get("BIG_RECORDS", "20000"))
SEED = int(os.environ.get("KILL_SEED", "20231"))


def test_killed_in_the_middle_of_a_large_run(monkeypatch: pytest.MonkeyPatch) -> None:
    instants = random.Random(SEED)
    expected = Expected()
    with a_home() as home:
        monkeypatch.setenv("REVENUE_LOST_AFTER_SECONDS", "2")
        settings = settings_module.load(home=home)
        settings.make_folders()
        for number in range(KILLS):
            victim = ("worker", "owner")[number % 2]
            path = _land(home, number)
            expected.take("sales", [json.dumps(r) for r in json.loads(path.read_text())])
            with up(home, "--no-demo") as app:
                with database(settings) as opened, opened.engine.begin() as connection:
                    connection.exec_driver_sql(
                        "insert into etl.run (dataset, status, trigger, requested_by) "
                        "values ('sales', 'queued', 'manual', 'tester')"
                    )
                time.sleep(instants.uniform(0.2, 1.2 + RECORDS / 25_000))
                if victim == "owner":
                    app.process.kill()
                    app.process.wait()
                else:
                    [worker] = [p for p in app.family() if p.cmdline()[-1:] == ["worker"]]
                    worker.send_signal(signal.SIGKILL)
            assert _problems(settings, home, expected=None) == [], f"after kill {number}"
            # a new start resumes what was lost, without anybody's help
            with up(home, "--no-demo"):
                _wait_until_idle(settings)
            assert _problems(settings, home, expected=expected) == [], f"after kill {number}"
            print(f"kill {number}: {victim}")
    assert not [
        p
        for p in psutil.process_iter(["cmdline"])
        if str(home) in " ".join(p.info["cmdline"] or [])
    ]


def _land(home: Path, number: int) -> Path:
    path = home / "data" / "raw" / f"sales_{number}.json"
    generate.write("sales", records=RECORDS, seed=number, path=path, format="json", customers=500)
    return path


def _wait_until_idle(settings: settings_module.Settings) -> None:
    until = time.monotonic() + 300
    with database(settings) as opened:
        while True:
            with opened.engine.connect() as connection:
                left = connection.exec_driver_sql(
                    "select count(*) from etl.run where status in ('queued', 'running', 'lost')"
                ).scalar()
            if not left:
                return
            assert time.monotonic() < until, "the run was not resumed"
            time.sleep(0.3)


def _problems(
    settings: settings_module.Settings, home: Path, *, expected: Expected | None
) -> list[str]:
    with database(settings) as opened, opened.engine.connect() as connection:
        problems = broken(connection, home, quiet=expected is not None)
        if expected is not None and not problems:
            batches = connection.exec_driver_sql(
                "select batch_id from etl.batch where status = 'promoted' order by batch_id"
            ).scalars()
            problems = differences(connection, "sales", expected, list(batches))
    return problems[:5]
