"""The Airflow DAG of the docs is parsed and run, where Airflow is installed.

Airflow pins other versions of our libraries, so it lives in an environment of its own:
`AIRFLOW_PYTHON=/path/to/python` names its interpreter.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Pipeline

ROOT = Path(__file__).resolve().parents[2]
AIRFLOW = os.environ.get("AIRFLOW_PYTHON") or (
    sys.executable if importlib.util.find_spec("airflow") else None
)

pytestmark = pytest.mark.skipif(AIRFLOW is None, reason="Airflow is not installed")

_PARSE = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder={folder!r})
[dag] = bag.dags.values()
print(json.dumps({{
    "errors": bag.import_errors,
    "tasks": {{task.task_id: [task.bash_command, sorted(task.upstream_task_ids),
                            task.execution_timeout.total_seconds()] for task in dag.tasks}},
    "deadline": dag.dagrun_timeout.total_seconds(),
}}))
"""
_RUN = """
import sys
sys.path.insert(0, {folder!r})
from revenue_dag import dag
run = dag.test()
print("ended", run.state)
"""

SALE = {
    "transaction_id": "T1",
    "customer_id": "C1",
    "product_id": "P1",
    "quantity": 1,
    "price": 10,
    "date": "2024-01-01",
}


def airflow(folder: Path, *arguments: str) -> str:
    assert AIRFLOW is not None
    done = subprocess.run(
        [AIRFLOW, *arguments],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "docs" / "airflow"),
            "REVENUE_COMMAND": f"env PYTHONPATH={shlex.quote(str(ROOT))} "
            f"{shlex.quote(sys.executable)} -m app.cli",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_dag_is_parsed_and_run(pipeline: Pipeline, tmp_path: Path) -> None:
    home = tmp_path / "airflow"
    home.mkdir()
    folder = str(ROOT / "docs" / "airflow")
    airflow(home, "-m", "airflow", "db", "migrate")
    parsed: dict[str, Any] = json.loads(
        airflow(home, "-c", _PARSE.format(folder=folder)).splitlines()[-1]
    )
    assert parsed["errors"] == {}
    assert list(parsed["tasks"]) == [
        f"{feed}.{step}"
        for feed in ("customers", "sales")
        for step in ("extract", "load", "promote", "archive")
    ]
    assert parsed["tasks"]["sales.load"][0].endswith("run sales --until load --json")
    assert parsed["tasks"]["sales.load"][1] == ["sales.extract"]
    assert parsed["tasks"]["sales.extract"][1] == ["customers.archive"]
    assert all(deadline == 3600 for _, _, deadline in parsed["tasks"].values())
    assert parsed["deadline"] == 4 * 3600

    pipeline.land("sales.json", [SALE])
    assert "ended success" in airflow(home, "-c", _RUN.format(folder=folder))
    assert pipeline.rows("select dataset, until, status from etl.run order by run_id") == [
        (feed, step, "succeeded")
        for feed in ("customers", "sales")
        for step in ("extract", "load", "promote", "archive")
    ]
    assert pipeline.rows("select status, archived_at is null from etl.batch") == [
        ("promoted", False)
    ]
    assert pipeline.value("select count(*) from gold.transactions") == 1
