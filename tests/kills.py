"""Kills the engine with SIGKILL while it works, lets it recover, and compares with the oracle.

Each kill hits a forked child that runs the feeds as a worker process does. What must always hold is
checked before anything recovers; afterwards the tables must be what the oracle makes of the files.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from etl import failpoints, worker
from etl.db.connect import connect
from etl.settings import Settings
from tests.invariants import broken, differences
from tests.oracle import Expected


@dataclass
class Harness:
    """A warehouse under fire. `seed` makes files and instants repeatable."""

    engine: Engine
    url: str
    settings: Settings
    seed: int
    expected: dict[str, Expected] = field(
        default_factory=lambda: {"customers": Expected(), "sales": Expected()}
    )
    landed: dict[str, list[str]] = field(
        default_factory=lambda: {"customers": [], "sales": []}
    )  # contents in order
    kills: int = 0
    attempts: int = 0
    files: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def land(self) -> None:
        """Put one to three files into the landing zone: new, corrected, repeated, reverted."""
        for _ in range(self.random.randint(1, 3)):
            dataset = self.random.choice(("sales", "sales", "customers"))
            records = [self._record(dataset) for _ in range(self.random.randint(1, 60))]
            before = self.landed[dataset]
            content = json.dumps(records)
            if before and self.random.random() < 0.3:
                content = self.random.choice((before[-1], *before[-3:]))
            self.files += 1
            path = self.settings.landing / f"file{self.files}.json"
            path.write_text(content)
            # the order of arrival is the order of time of change
            os.utime(path, ns=(self.files * 1_000_000_000,) * 2)
            if not before or content != before[-1]:
                before.append(content)
                self.expected[dataset].take(
                    dataset, [json.dumps(record) for record in json.loads(content)]
                )

    def _record(self, dataset: str) -> dict[str, Any]:
        pick = self.random.choice
        customer = pick(("C1", "c2", " C003 ", "C4C4", f"C{self.random.randint(5, 30)}"))
        if dataset == "customers":
            return {
                "customer_id": pick((customer, customer, customer, None)),
                "customer_name": pick(("Ada", "B@d", "n" * 51)),
                "email": pick(("a@example.com", "none")),
                "region": pick(("north", None)),
                "join_date": pick(("2022-01-02", "soon")),
                "loyalty_points": pick((1, -5, 7, None)),
            }
        return {
            "transaction_id": f"T{self.random.randint(1, 80)}",
            "customer_id": pick((customer, customer, customer, None)),
            "product": {
                "id": pick(("P1", "P2")),
                "name": pick(("Mouse", None)),
                "category": "A",
                "price": pick((1.005, 20, "7.50", None)),
            },
            "quantity": pick((1, 2, "3", 3.0, 0)),
            "discount": pick((0, None, "10%", 0.25)),
            "date": pick(("2023-01-15", "03-05-2023", "2024/01/01 10:00:00", "soon")),
            "region": pick((" north ", None)),
        }

    def kill(self, failpoint: str | None = None, instant: float = 0.0) -> None:
        """Run the feeds in a child and kill it at the failpoint, or after `instant` seconds."""
        self.attempts += 1
        child = os.fork()
        if child == 0:
            self._run_in_child(failpoint)
        if failpoint is None:
            time.sleep(instant)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        self.kills += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed"

    def _run_in_child(self, failpoint: str | None) -> None:
        status = 1
        try:
            failpoints._SPEC = f"{failpoint}=kill" if failpoint else ""
            failpoints._hits = {}
            engine = connect(self.url, self.settings, name="killed")
            self.run(engine)
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, the parent is told by the status
            traceback.print_exc()
        finally:
            os._exit(status)

    def run(self, engine: Engine | None = None) -> None:
        """Run both feeds to their end, after what an earlier process left."""
        used = engine or self.engine
        with worker.Presence(used, self.settings, "command") as presence:
            for dataset in ("customers", "sales"):
                worker.run_in_foreground(used, self.settings, presence, dataset, actor="harness")

    def check(self, *, quiet: bool) -> list[str]:
        """Return what does not hold; `quiet` after a run that went to its end."""
        with self.engine.connect() as connection:
            problems = broken(connection, self.settings.home, quiet=quiet)
            if quiet and not problems:
                for dataset, expected in self.expected.items():
                    batches = connection.exec_driver_sql(
                        "select batch_id from etl.batch where dataset = %s and status = 'promoted' "
                        "order by batch_id",
                        (dataset,),
                    ).scalars()
                    problems += differences(connection, dataset, expected, list(batches))
        return [f"seed {self.seed}, attempt {self.attempts}: {problem}" for problem in problems]
