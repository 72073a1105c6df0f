"""kill -9 at every failpoint and at random instants: nothing lost, doubled or half visible."""

from __future__ import annotations

import os
import random
import sys

import pytest

from etl import failpoints
from tests.conftest import Pipeline
from tests.kills import Harness

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")

SEED = int(os.environ.get("KILL_SEED", "20231"))
RANDOM_KILLS = int(os.environ.get("KILLS", "80"))
ELSEWHERE = ("full.", "revert.", "what_if.", "stop.")
IN_EVERY_RUN = [name for name in failpoints.NAMES if not name.startswith(ELSEWHERE)]


def harness(pipeline: Pipeline, database_url: str, seed: int) -> Harness:
    return Harness(pipeline.engine, database_url, pipeline.settings, seed)


@pytest.mark.parametrize("name", IN_EVERY_RUN)
def test_killed_at_a_failpoint(name: str, pipeline: Pipeline, database_url: str) -> None:
    fire = harness(pipeline, database_url, SEED)
    fire.land()
    fire.run()
    fire.land()
    fire.kill(failpoint=name)
    assert fire.kills == 1, f"nothing passes {name}"
    assert fire.check(quiet=False) == []
    fire.kill(failpoint=name)  # once more, while it recovers
    assert fire.check(quiet=False) == []
    fire.run()
    assert fire.check(quiet=True) == []


def test_killed_at_random_instants(pipeline: Pipeline, database_url: str) -> None:
    fire = harness(pipeline, database_url, SEED)
    instants = random.Random(SEED)
    problems: list[str] = []
    while fire.attempts < RANDOM_KILLS and not problems:
        fire.land()
        for _ in range(instants.choice((1, 1, 2))):
            fire.kill(instant=instants.uniform(0, 0.25))
            problems += fire.check(quiet=False)
        fire.run()
        problems += fire.check(quiet=True)
    print(f"seed {SEED}: {fire.kills} kills in {fire.attempts} attempts")
    assert problems == []
    assert fire.kills >= 0.9 * fire.attempts
