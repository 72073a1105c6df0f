"""Random sequences of files, edits, crashes and reruns against the in-memory oracle."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from etl import failpoints
from tests import conftest
from tests.conftest import Pipeline
from tests.invariants import broken, differences
from tests.oracle import Expected

FEEDS = ("customers", "sales")
customer_ids = st.sampled_from(["C1", "c2", " C3 ", "C4C4", None, "x"])
sales = st.fixed_dictionaries(
    {
        "transaction_id": st.sampled_from(["T1", "T2", "T3", " T1 ", 4, None]),
        "customer_id": customer_ids,
        "product": st.sampled_from(
            [{"id": "P1", "price": 10}, {"id": "P2", "price": "1.005", "name": "Mouse"}, None, "P1"]
        ),
        "quantity": st.sampled_from([1, "2", 3.0, 0, 2.5, None]),
        "discount": st.sampled_from([0, None, "10%", 1, 1.5]),
        "date": st.sampled_from(["2023-01-15", "03-05-2023", "2024/02/29", "soon"]),
        "region": st.sampled_from(["north", " SOUTH west ", None]),
    }
)
customers = st.fixed_dictionaries(
    {
        "customer_id": customer_ids,
        "customer_name": st.sampled_from(["Ada 1", "B@d", "n" * 51, None]),
        "email": st.sampled_from(["A@example.com", "none"]),
        "region": st.sampled_from(["north", "unknown", None]),
        "join_date": st.sampled_from(["2022-01-02", "2022/01/02", "soon"]),
        "loyalty_points": st.sampled_from([1, -1, "7", 2_000_000, None]),
    }
)
files = st.one_of(
    st.tuples(st.just("sales"), st.lists(sales | st.just(5), min_size=1, max_size=6)),
    st.tuples(st.just("customers"), st.lists(customers, min_size=1, max_size=4)),
)


class Warehouse(RuleBasedStateMachine):
    pipeline: Pipeline

    @initialize()
    def start_empty(self) -> None:
        with self.pipeline.engine.begin() as connection:
            connection.execute(text(conftest.EMPTY))
        shutil.rmtree(self.pipeline.settings.home / "data")
        self.pipeline.settings.make_folders()
        self.expected = {feed: Expected() for feed in FEEDS}
        self.contents: dict[str, list[str]] = {feed: [] for feed in FEEDS}
        self.landed = 0
        self.judged_again = False

    def land(self, dataset: str, content: str) -> None:
        # no file without an object can be told from one of another feed
        self.landed += 1
        path = self.pipeline.land(f"{self.landed}.json", content.encode())
        os.utime(path, ns=(self.landed * 10**9,) * 2)
        if self.contents[dataset][-1:] != [content]:
            self.contents[dataset].append(content)
            records = [json.dumps(record) for record in json.loads(content)]
            self.expected[dataset].take(dataset, records)

    @rule(file=files)
    def land_new(self, file: tuple[str, list[Any]]) -> None:
        dataset, records = file
        if all(record == 5 for record in records):
            records = [*records, {"transaction_id": "T1"}]
        self.land(dataset, json.dumps(records))

    @rule(dataset=st.sampled_from(FEEDS), back=st.integers(1, 3))
    def land_again(self, dataset: str, back: int) -> None:
        if len(self.contents[dataset]) >= back:
            self.land(dataset, self.contents[dataset][-back])

    @rule(dataset=st.sampled_from(FEEDS), name=st.sampled_from(failpoints.NAMES))
    def crash(self, dataset: str, name: str) -> None:
        failpoints._SPEC = f"{name}=raise"
        failpoints._hits.clear()
        try:
            self.pipeline.run(dataset)
        finally:
            failpoints._SPEC = ""

    @rule(is_full=st.booleans())
    def run(self, is_full: bool) -> None:
        self.judged_again = self.judged_again or is_full
        for feed in FEEDS:
            run = self.pipeline.run(feed, is_full=is_full)
            assert run["status"] in {"succeeded", "warned"}, run["reason"]
        with self.pipeline.engine.connect() as connection:
            assert broken(connection, self.pipeline.settings.home, quiet=True) == []
            for feed in FEEDS:
                batches = connection.exec_driver_sql(
                    "select batch_id from etl.batch where dataset = %s and status = 'promoted' "
                    "order by batch_id",
                    (feed,),
                ).scalars()
                expected = self.expected[feed]
                found = differences(connection, feed, expected, list(batches))
                if self.judged_again:  # then every valid record found its row there
                    found = [line for line in found if not line.startswith("batch ")]
                assert found == []

    @invariant()
    def always(self) -> None:
        with self.pipeline.engine.connect() as connection:
            assert broken(connection, self.pipeline.settings.home) == []


def test_any_sequence_gives_what_the_oracle_says(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Warehouse, "pipeline", pipeline, raising=False)
    run_state_machine_as_test(
        Warehouse,
        settings=settings(
            max_examples=int(os.environ.get("MODEL_EXAMPLES", "12")),
            stateful_step_count=8,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),  # a failing sequence is short enough to read as it is
        ),
    )
