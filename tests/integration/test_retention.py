"""Old lines go after so many days, log files are rotated by size, and no line is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import text

from etl import log, retention
from tests.conftest import Pipeline

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 2_000


def fill(pipeline: Pipeline, *, old: int, new: int) -> None:
    with pipeline.engine.begin() as connection:
        for count, days in ((old, 91), (new, 89)):
            connection.execute(
                text(
                    "insert into etl.log (at, level, message) select clock_timestamp() "
                    "- make_interval(days => :days), 'info', 'x' from generate_series(1, :count)"
                ),
                {"days": days, "count": count},
            )


def test_old_lines_are_deleted_and_new_ones_stay(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_BATCH_LINES", 10)
    monkeypatch.setattr(retention, "_BATCHES", 3)
    fill(pipeline, old=35, new=5)
    rounds = [retention.tidy(pipeline.engine, pipeline.settings) for _ in range(3)]
    assert [(done.lines, done.is_done) for done in rounds] == [(30, False), (5, True), (0, True)]
    assert pipeline.value("select count(*) from etl.log") == 5


def test_zero_days_keep_everything(pipeline: Pipeline) -> None:
    fill(pipeline, old=3, new=0)
    settings = pipeline.settings.model_copy(update={"log_retention_days": 0})
    assert retention.tidy(pipeline.engine, settings).lines == 0
    assert pipeline.value("select count(*) from etl.log") == 3


def test_a_worker_tidies_once_an_hour(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(retention.time, "monotonic", lambda: now[0])
    upkeep = retention.Upkeep(pipeline.engine, pipeline.settings)
    left = []
    for moment in (0.0, 3599.0, 3601.0):
        now[0] = moment
        fill(pipeline, old=1, new=0)
        upkeep.when_due()
        left.append(pipeline.value("select count(*) from etl.log"))
    assert left == [0, 1, 0]


def test_files_are_rotated_by_size_and_five_are_kept(pipeline: Pipeline, tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    for number in range(205):
        log.append(file, f"{number:0100}", limit=LIMIT)
    names = sorted(path.name for path in tmp_path.glob("x.log*"))
    assert names == ["x.log", *(f"x.log.{number}" for number in range(1, 6))]
    lines = [
        int(line)
        for name in [*reversed(names[1:]), "x.log"]
        for line in (tmp_path / name).read_text().split()
    ]
    assert lines == list(range(lines[0], 205))
    big = pipeline.settings.logs / "sales_etl_logs.log"
    big.write_text("x" * 1_000_001)
    settings = pipeline.settings.model_copy(update={"log_file_mb": 1})
    assert retention.tidy(pipeline.engine, settings).files == 1
    assert not big.exists()
    assert retention.tidy(pipeline.engine, settings).files == 0


def test_only_one_process_rotates(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    file.write_text("x" * 10)
    with FileLock(tmp_path / ".x.log.lock"):
        assert not log.rotate(file, limit=5)
    assert log.rotate(file, limit=5)
    assert not log.rotate(file, limit=5)


_WRITER = """
import sys
from pathlib import Path
from etl import log
for number in range(300):
    log.append(Path(sys.argv[1]), f"{sys.argv[2]} {number}", limit=1_000)
"""


def test_several_processes_lose_no_line(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(file), str(number)], cwd=ROOT)
        for number in range(2)
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    paths = list(tmp_path.glob("x.log*"))
    lines = [line for path in paths for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(
        f"{writer} {number}" for writer in range(2) for number in range(300)
    )
    assert len(paths) > 2
