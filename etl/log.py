"""The structured log of runs: the same line in the feed's log file and in etl.log."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from etl.db import queries


@dataclass(frozen=True)
class RunLog:
    """Writes the lines of one run; JSON keeps a newline in a value from forging a line."""

    engine: Engine
    file: Path
    dataset: str
    run_id: int
    echo: Callable[[str, str], None] | None = None  # level, message: for a terminal

    def __call__(
        self,
        level: str,
        message: str,
        *,
        step: str | None = None,
        batch_id: int | None = None,
        **context: Any,
    ) -> None:
        line = {
            "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "dataset": self.dataset,
            "run": self.run_id,
            "step": step,
            "batch": batch_id,
            "message": message,
            **context,
        }
        text = json.dumps(line, default=str)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        if self.echo is not None:
            self.echo(level, message)
        with self.engine.begin() as connection:
            queries.execute(
                connection,
                "queries/logs.write",
                level=level,
                dataset=self.dataset,
                run_id=self.run_id,
                step=step,
                batch_id=batch_id,
                message=message.replace("\x00", "\ufffd"),
                context=json.dumps(context, default=str).replace("\\u0000", "\ufffd"),
            )
