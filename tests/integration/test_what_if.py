"""What rules would do is exactly what they do once they are active, and trying them changes nothing."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from app.actions import Desk, again, start_run
from app.actions import what_if as actions
from app.auth import ForbiddenError, Operator, Role
from app.health import status
from etl import datasets, failpoints, rules, runs, what_if, worker
from etl.db import comparison, queries
from etl.errors import RevenueError, RunConflictError
from etl.reprocess import Choice
from etl.what_if import Prediction, Verdicts
from tests import conftest
from tests.conftest import Pipeline
from tests.invariants import broken

FIRST_DAY = dt.date(2026, 1, 1)
Changes = Mapping[str, Mapping[str, Any]]  # what becomes of the columns of dq.rule, by code


def sale(key: str | None, **changed: Any) -> dict[str, Any]:
    return {
        "transaction_id": key,
        "customer_id": "C1",
        "product_id": "P1",
        "quantity": 2,
        "price": 10,
        "date": "2024-01-15",
        "region": "north",
        **changed,
    }


@pytest.fixture
def shipped(clean: Engine) -> Iterator[Engine]:
    """The rules stand again as they were once the test is over."""
    with clean.begin() as connection:
        connection.exec_driver_sql("drop table if exists public.shipped_rule")
        connection.exec_driver_sql("create table public.shipped_rule as select * from dq.rule")
    yield clean
    with clean.begin() as connection:
        connection.exec_driver_sql("delete from dq.rule_count")
        connection.exec_driver_sql("delete from dq.rule_draft")
        connection.exec_driver_sql("set local session_replication_role = replica")  # no history
        connection.exec_driver_sql(
            "delete from dq.rule_history h where not exists (select from public.shipped_rule s "
            "where s.rule_id = h.rule_id and s.version >= h.version)"
        )
        connection.exec_driver_sql("delete from dq.rule")
        connection.exec_driver_sql(
            "insert into dq.rule overriding system value select * from public.shipped_rule"
        )
        connection.exec_driver_sql("drop table public.shipped_rule")


def draft(pipeline: Pipeline, changes: Changes, dataset: str = "sales") -> list[rules.Rule]:
    """Make a draft of each change, a new rule where none has the code; return the rules to try."""
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql("delete from dq.rule_draft")
        for code, change in changes.items():
            connection.execute(
                text(
                    "insert into dq.rule_draft (dataset, rule_id, rule, made_by) "
                    "select :dataset, r.rule_id, coalesce(to_jsonb(r), '{}') || cast(:rule as jsonb), "
                    "'tester' from (select 1) one left join dq.rule r "
                    "on r.dataset = :dataset and r.code = :code"
                ),
                {"dataset": dataset, "code": code, "rule": json.dumps({"code": code, **change})},
            )
        return rules.drafted(connection, dataset)


def activate(pipeline: Pipeline) -> None:
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            update dq.rule r
            set severity = d.rule ->> 'severity', parameters = d.rule -> 'parameters',
                active = (d.rule ->> 'active')::boolean, version = r.version + 1
            from dq.rule_draft d where d.rule_id = r.rule_id
            """
        )
        connection.exec_driver_sql(
            """
            insert into dq.rule (dataset, code, ordinal, column_name, kind, parameters, judges,
                severity, message, origin)
            select dataset, rule ->> 'code', (rule ->> 'ordinal')::integer, rule ->> 'column_name',
                rule ->> 'kind', rule -> 'parameters', rule ->> 'judges', rule ->> 'severity',
                rule ->> 'message', 'operator'
            from dq.rule_draft where rule_id is null
            """
        )
        connection.exec_driver_sql(
            "update dq.rule_draft set status = 'activated', decided_at = now()"
        )


def work(pipeline: Pipeline, run_id: int) -> None:
    with worker.Presence(pipeline.engine, pipeline.settings, "command") as presence:
        claimed = runs.claim(pipeline.engine, presence.worker_id, run_id=run_id)
        assert claimed is not None
        worker.perform(pipeline.engine, pipeline.settings, presence, claimed)


def predict(pipeline: Pipeline, changes: Changes, choice: Choice | None = None) -> Prediction:
    choice = choice or Choice(dataset="sales")
    tried = draft(pipeline, changes, choice.dataset)
    with pipeline.engine.begin() as connection:
        asked = what_if.ask(connection, choice, tried, actor="tester")
    work(pipeline, asked.run_id)
    with pipeline.engine.connect() as connection:
        return what_if.show(connection, asked.prediction_id)


LAYERS = {
    "silver": "select xmin::text, * from silver.{feed} order by 2",
    "quarantine": "select xmin::text, * from dq.quarantine order by quarantine_id",
    "violation": "select xmin::text, * from dq.violation order by 2, 3, 4",
    "superseded": "select xmin::text, * from dq.superseded order by 2, 3",
    "counts": "select xmin::text, * from dq.rule_count order by 2, 3",
    "batches": "select xmin::text, * from etl.batch order by batch_id",
    "gold": "select xmin::text, * from gold.transactions order by 2",
    "rules": "select xmin::text, * from dq.rule order by rule_id",
    "watermark": "select xmin::text, * from silver.etl_metadata order by 2",
    "feed": "select dataset, data_version from etl.dataset order by 1",
}


def layers(pipeline: Pipeline, feed: str = "sales") -> dict[str, list[tuple[Any, ...]]]:
    return {name: pipeline.rows(query.format(feed=feed)) for name, query in LAYERS.items()}


def places(pipeline: Pipeline) -> dict[tuple[int, int], str]:
    found = pipeline.rows("select batch_id, position, dq_errors from dq.quarantine")
    return {(batch_id, position): errors for batch_id, position, errors in found}


def assert_reproduced(
    pipeline: Pipeline,
    prediction: Prediction,
    run: Mapping[str, Any],
    before: Mapping[tuple[int, int], str],
) -> None:
    """Hold what activation and judging again did against what was predicted, number by number."""
    result = prediction.result
    assert result is not None
    feed = datasets.get(prediction.dataset)
    judged = [
        row[0]
        for row in pipeline.rows("select batch_id from etl.batch where dataset = :d", d=feed.name)
        if run["is_full"] or row[0] in (run["chosen_batches"] or ())
    ]
    assert len(judged) == result.batches
    assert (run["read_records"], run["inserted_rows"], run["updated_rows"]) == (
        result.records, result.inserted, result.updated,
    )  # fmt: skip
    assert (
        Verdicts(
            valid=run["valid_records"],
            invalid=run["invalid_records"],
            superseded=run["superseded_records"],
        )
        == result.after
    )
    assert ("judged again" in (run["reason"] or "")) == (result.widened is not None)
    now = places(pipeline)
    caught, released = now.keys() - before.keys(), before.keys() - now.keys()
    assert (len(caught), len(released)) == (result.caught, result.released)
    assert sum(now[place] != before[place] for place in now.keys() & before.keys()) == (
        result.other_reasons
    )
    for samples, wanted, reasons in (
        (result.caught_samples, caught, now),
        (result.released_samples, released, before),
    ):
        found = {(one.batch_id, one.position): one.reasons for one in samples}
        assert len(found) == min(len(wanted), what_if.SAMPLES)
        assert all(place in wanted and reasons[place] == why for place, why in found.items())
    with pipeline.engine.connect() as connection:
        totals = comparison.totals(connection, feed)
    assert (totals.rows, totals.money, totals.digest) == (
        result.rows_after, result.money_after, result.digest_after,
    )  # fmt: skip
    if feed.name == "sales":
        for name, query in {
            "region": "select region, count(*), sum(total_value) from gold.transactions group by 1",
            "month": "select to_char(transaction_month, 'YYYY-MM'), count(*), sum(total_value) "
            "from gold.transactions group by 1",
        }.items():
            [groups] = [one.groups for one in result.groupings if one.name == name]
            assert {(one.name, one.rows_after, one.after) for one in groups if one.rows_after} == (
                set(pipeline.rows(query))
            )
    fired = dict(
        pipeline.rows(
            "select r.code, sum(c.records)::bigint from dq.rule_count c "
            "join dq.rule r on r.rule_id = c.rule_id where r.dataset = :d group by 1",
            d=feed.name,
        )
    )
    assert {one.code: one.after for one in result.rules if one.after} == fired
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home, quiet=True) == []


def load(pipeline: Pipeline, batches: list[list[dict[str, Any]]], feed: str = "sales") -> list[int]:
    """Load the batches, each accepted on a day of its own from FIRST_DAY on."""
    for number, records in enumerate(batches):
        # a field that no rule reads keeps a file from being a repetition
        pipeline.land(f"{number}.json", [{**record, "number": number} for record in records])
        run = pipeline.run(feed)
        assert run["status"] in {"succeeded", "warned"}, run["reason"]
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "update etl.batch b set accepted_at = cast(:day as timestamptz) "
                "+ make_interval(days => n.number::integer - 1) from (select batch_id, "
                "row_number() over (order by batch_id) as number from etl.batch) n "
                "where n.batch_id = b.batch_id"
            ),
            {"day": FIRST_DAY.isoformat() + " 00:00:00+00"},
        )
    return [row[0] for row in pipeline.rows("select batch_id from etl.batch order by 1")]


BATCHES = [
    [
        sale("T1", quantity=5),
        sale("T2", quantity=1, region="south"),
        sale("T2", quantity=3, region="south", discount="10%"),
        sale("T3", quantity=-1),
        sale("T4", price=None),
    ],
    [
        sale("T1", quantity=1, price="12.34", discount=0.15, date="2024-02-01"),
        sale("T5", quantity=9, region=None),
        sale("T6", discount=7),
    ],
    [sale("T7", quantity=2, date="03-05-2024"), sale("T8", customer_id=None)],
]
CHANGES: Changes = {
    "quantity_invalid": {"parameters": {"min": 2, "max": 8, "whole": True, "required": True}},
    "date_ambiguous": {"severity": "reject"},
    "price_zero": {"active": False},
    "region_known": {
        "ordinal": 950,
        "column_name": "region",
        "kind": "one_of",
        "parameters": {"values": ["North", "South"]},
        "judges": "normalised",
        "severity": "warn",
        "message": "region not served",
    },
}


def test_activation_reproduces_what_was_predicted(shipped: Engine, pipeline: Pipeline) -> None:
    load(pipeline, BATCHES)
    before = layers(pipeline)
    prediction = predict(pipeline, CHANGES)
    assert layers(pipeline) == before  # nothing was touched
    result = prediction.result
    assert result is not None
    # T1 comes back in its older record, T2 in its newer one; T5 and T7 go
    assert (result.caught, result.released, result.records) == (4, 0, 10)
    assert (result.inserted, result.updated, result.deleted, result.unchanged) == (0, 1, 2, 1)
    assert (result.money_before, result.money_after) == (Decimal("147.49"), Decimal("77.00"))
    assert {one.reasons for one in result.caught_samples} == {"Invalid quantity", "ambiguous date"}
    run = pipeline.rows(
        "select status, trigger, reason_code, reason, is_full, read_records, is_balanced, rule_set "
        "from etl.run where run_id = :run_id",
        run_id=prediction.run_id,
    )[0]
    assert run[:3] == ("succeeded", "what_if", "prediction")
    assert run[3] == (
        f"prediction {prediction.prediction_id}: 4 records newly caught, 0 newly released; "
        "silver would get 0 rows, change 1 and lose 2; -70.49 USD"
    )
    assert run[4:] == (False, 0, None, None)
    assert prediction.is_outdated is False
    places_before = places(pipeline)
    activate(pipeline)
    assert_reproduced(pipeline, prediction, pipeline.run("sales", is_full=True), places_before)
    # tried again, the same rules change nothing
    prediction_again = predict(pipeline, {})
    again_result = prediction_again.result
    assert again_result is not None
    assert (again_result.caught, again_result.released, again_result.other_reasons) == (0, 0, 0)
    assert again_result.digest_before == again_result.digest_after == result.digest_after
    with pipeline.engine.connect() as connection:
        assert what_if.show(connection, prediction.prediction_id).is_outdated is True
        assert what_if.newest(connection, "sales") == prediction_again


@pytest.mark.parametrize(("day", "is_widened"), [(0, False), (2, True)])
def test_a_period_is_predicted_as_it_is_judged_again(
    shipped: Engine, pipeline: Pipeline, day: int, is_widened: bool
) -> None:
    served = CHANGES["region_known"]
    draft(pipeline, {"region_known": {**served, "severity": "reject"}})
    activate(pipeline)
    # T1's older record is not the one that counts; T7's file is the only one that has it
    first, last = [sale("T1"), sale("T3", region="east"), sale("T2")], [sale("T7", quantity=1)]
    batches = load(pipeline, [first, [sale("T1", quantity=3)], last])
    chosen = FIRST_DAY + dt.timedelta(days=day)
    choice = Choice(dataset="sales", first_day=chosen, last_day=chosen)
    limits = {"min": 2, "max": 8, "whole": True, "required": True}
    changes: Changes = {
        "region_known": {"active": False},
        **({"quantity_invalid": {"parameters": limits}} if is_widened else {}),
    }
    prediction = predict(pipeline, changes, choice)
    result = prediction.result
    assert result is not None
    assert (result.batches, result.widened is not None) == (3 if is_widened else 1, is_widened)
    assert (result.released, result.inserted, result.deleted) == (1, 1, int(is_widened))
    assert prediction.reason is not None
    assert prediction.reason.endswith(result.widened or " USD")
    before = places(pipeline)
    activate(pipeline)
    run = pipeline.run("sales", batches=[batches[day]])
    assert_reproduced(pipeline, prediction, run, before)


def test_released_records_of_customers_have_no_money(shipped: Engine, pipeline: Pipeline) -> None:
    customer = {"customer_name": "Ann", "email": "a@b.example", "join_date": "2024-01-01"}
    long = {**customer, "customer_name": "x" * 45, "customer_id": "C1"}
    load(
        pipeline,
        [[{**customer, "customer_id": "C2"}, long, {**long, "customer_id": None}]],
        "customers",
    )
    choice = Choice(dataset="customers")
    prediction = predict(pipeline, {"customer_name_length": {"parameters": {"length": 40}}}, choice)
    result = prediction.result
    assert result is not None
    assert (result.unit, result.groupings, result.money_after) == (None, [], 0)
    assert (result.caught, result.other_reasons, result.deleted) == (1, 1, 1)
    before = places(pipeline)
    activate(pipeline)
    run = pipeline.run("customers", is_full=True)
    assert_reproduced(pipeline, prediction, run, before)
    prediction = predict(pipeline, {"customer_name_length": {"active": False}}, choice)
    assert prediction.result is not None
    assert (prediction.result.released, prediction.result.inserted) == (1, 1)
    with pipeline.engine.connect() as connection:
        found = what_if.items(connection, prediction.result.released_samples)
    assert list(found.values()) == [
        pipeline.value("select quarantine_id from dq.quarantine where record_key = 'C1'")
    ]


@pytest.mark.parametrize(
    ("code", "record"),
    [
        ("quantity_invalid", sale("T2", quantity=-1)),
        ("transaction_id_missing", sale(None)),
        ("region_length", sale("T2", region="x" * 101)),
    ],
)
def test_without_a_rule_what_silver_cannot_hold_stays_invalid(
    shipped: Engine, pipeline: Pipeline, code: str, record: dict[str, Any]
) -> None:
    load(pipeline, [[sale("T1"), record]])
    prediction = predict(pipeline, {code: {"active": False}})
    assert prediction.result is not None
    assert (prediction.result.released, prediction.result.other_reasons) == (0, 1)
    before = places(pipeline)
    activate(pipeline)
    assert_reproduced(pipeline, prediction, pipeline.run("sales", is_full=True), before)


def test_a_prediction_that_fails_is_no_failure_of_the_feed(
    shipped: Engine, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(pipeline, [[sale("T1"), sale("T2", quantity=-1)]])
    monkeypatch.setattr(failpoints, "_SPEC", "what_if.before_commit=raise")
    monkeypatch.setattr(failpoints, "_hits", {})
    prediction = predict(pipeline, {"quantity_invalid": {"active": False}})
    assert (prediction.status, prediction.result) == ("failed", None)
    with pipeline.engine.connect() as connection:
        rule_id = connection.execute(
            text("select alert_rule_id from etl.alert_rule where kind = 'run_failed' limit 1")
        ).scalar()
        watched = {"dataset": "sales", "alert_rule_id": rule_id}
        assert queries.rows(connection, "queries/alerts.run_failed", **watched) == []
        [feed] = [row for row in status(connection)["layers"] if row["dataset"] == "sales"]
    assert (feed["run_id"], feed["status"]) == (prediction.run_id - 1, "warned")


# Any rules, any records -----------------------------------------------------------------

RECORDS = st.builds(
    sale,
    st.sampled_from(["T1", "T2", "T3", "T4", None]),
    quantity=st.sampled_from([1, 2, 3, 3, 0, -1, "x", None]),
    price=st.sampled_from([10, "12.345", 0, None, "abc", 7.5]),
    discount=st.sampled_from([None, "10%", 0.25, 7]),
    date=st.sampled_from(["2024-01-31", "2024-02-01 10:00:00", "03-05-2024", "never"]),
    region=st.sampled_from(["north", "SOUTH", None]),
    customer_id=st.sampled_from(["C1", "7", None]),
)
CHANGE = st.one_of(
    st.fixed_dictionaries(
        {"severity": st.sampled_from(["warn", "reject"])},
        optional={"active": st.just(False)},
    ),
    st.fixed_dictionaries({"active": st.just(False)}),
)
LIMITS = st.builds(
    lambda least, most: {
        "parameters": {"min": least, "max": most, "whole": True, "required": True}
    },
    st.integers(1, 3),
    st.integers(2, 5),
)
ANY_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "quantity_invalid": LIMITS,
        "discount_invalid": st.builds(
            lambda most: {"parameters": {"min": 0, "max": most}}, st.sampled_from([0.1, 0.25, 1])
        ),
        **dict.fromkeys(["date_ambiguous", "price_zero", "region_unknown"], CHANGE),
        **dict.fromkeys(["customer_id_missing", "price_missing", "customer_unknown"], CHANGE),
    },
)


def test_any_rules_on_any_records(shipped: Engine, pipeline: Pipeline) -> None:
    @settings(
        max_examples=int(os.environ.get("MODEL_EXAMPLES", "4")),
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(
        batches=st.lists(st.lists(RECORDS, min_size=1, max_size=6), min_size=1, max_size=3),
        changes=ANY_CHANGES,
        days=st.one_of(st.none(), st.tuples(st.integers(0, 2), st.integers(0, 2))),
    )
    def holds(
        batches: list[list[dict[str, Any]]], changes: Changes, days: tuple[int, int] | None
    ) -> None:
        start_afresh(pipeline)
        loaded = load(pipeline, batches)
        first, last = sorted(days) if days else (0, 0)
        first = min(first, len(loaded) - 1)
        choice = Choice(
            dataset="sales",
            first_day=FIRST_DAY + dt.timedelta(days=first) if days else None,
            last_day=FIRST_DAY + dt.timedelta(days=last) if days else None,
        )
        before, found = layers(pipeline), places(pipeline)
        prediction = predict(pipeline, changes, choice)
        assert layers(pipeline) == before
        activate(pipeline)
        options = {"batches": loaded[first : last + 1]} if days else {"is_full": True}
        run = pipeline.run("sales", **options)
        if prediction.result is None:
            assert (prediction.status, run["status"]) == ("failed", "failed")
            assert "silver" in (prediction.reason or "")
        else:
            assert run["status"] in {"succeeded", "warned"}, run["reason"]
            assert_reproduced(pipeline, prediction, run, found)

    def start_afresh(pipeline: Pipeline) -> None:
        with pipeline.engine.begin() as connection:
            connection.execute(text(conftest.EMPTY))
            connection.exec_driver_sql(
                "update dq.rule r set severity = s.severity, parameters = s.parameters, "
                "active = s.active, version = r.version + 1 from public.shipped_rule s where s.rule_id = r.rule_id"
            )
        shutil.rmtree(pipeline.settings.home / "data")
        pipeline.settings.make_folders()

    holds()


# As a run and as an action --------------------------------------------------------------


def desk_of(pipeline: Pipeline, role: Role = Role.STEWARD) -> Desk:
    return Desk(
        engine=pipeline.engine,
        settings=pipeline.settings,
        operator=Operator(name="ada", role=role, origin="test"),
    )


def test_a_steward_asks_and_it_is_audited(shipped: Engine, pipeline: Pipeline) -> None:
    load(pipeline, BATCHES)
    choice = Choice(dataset="sales", first_day=FIRST_DAY)
    with pytest.raises(ForbiddenError):
        actions.predict_drafts(desk_of(pipeline, Role.OPERATOR), choice)
    desk = desk_of(pipeline)
    tried = draft(pipeline, {"price_zero": {"active": False}})
    asked = actions.predict_drafts(desk, choice)
    twice = actions.predict_drafts(desk, choice)
    assert (twice.run_id, twice.is_new) == (asked.run_id, False)
    other = actions.predict_drafts(desk, Choice(dataset="sales"))
    assert other.is_new
    assert other.run_id != asked.run_id
    audit = pipeline.rows(
        "select action, object, after ->> 'refused' is not null, after ->> 'rule_set', "
        "after ->> 'first_day' from etl.audit order by audit_id"
    )
    prints = rules.fingerprint(tried)
    named = f"prediction {asked.prediction_id}"
    assert audit[:2] == [
        ("rules.what_if", "dataset sales", True, None, None),
        ("rules.what_if", named, False, prints, FIRST_DAY.isoformat()),
    ]
    prediction = actions.prediction(desk, asked.prediction_id)
    assert (prediction.status, prediction.result) == ("queued", None)
    work(pipeline, asked.run_id)
    assert actions.prediction(desk, asked.prediction_id).result is not None
    with pytest.raises(RevenueError, match="choose a longer period"):
        actions.predict_drafts(desk, Choice(dataset="sales", first_day=dt.date(2030, 1, 1)))
    with pytest.raises(RevenueError, match="there is no prediction 0"):
        actions.prediction(desk, 0)


def test_a_waiting_prediction_stands_for_no_other_run(shipped: Engine, pipeline: Pipeline) -> None:
    load(pipeline, BATCHES)
    desk = desk_of(pipeline)
    asked = actions.predict_drafts(desk, Choice(dataset="sales"))
    pipeline.land("new.json", [sale("T9")])
    [started] = start_run(desk, "sales")
    assert started.is_new
    work(pipeline, asked.run_id)
    assert (pipeline.settings.landing / "new.json").exists()  # it takes no file
    work(pipeline, started.run_id)
    assert pipeline.value("select count(*) from silver.sales where transaction_id = 'T9'") == 1
    with pytest.raises(RunConflictError, match="tried again"):
        again.run_again(desk, asked.run_id)


def test_a_prediction_that_breaks_or_is_cancelled_leaves_nothing_and_is_resumed(
    shipped: Engine, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(pipeline, BATCHES)
    before = layers(pipeline)
    with pipeline.engine.begin() as connection:
        tried = rules.active(connection, "sales")
        asked = what_if.ask(connection, Choice(dataset="sales"), tried, actor="tester")
    monkeypatch.setattr(failpoints, "_SPEC", "what_if.before_commit=raise")
    failpoints._hits.clear()
    work(pipeline, asked.run_id)
    monkeypatch.setattr(failpoints, "_SPEC", "")
    with pipeline.engine.begin() as connection:
        prediction = what_if.show(connection, asked.prediction_id)
        assert (prediction.status, prediction.result) == ("failed", None)
        runs.resume(connection, asked.run_id)
    with pipeline.engine.begin() as connection:
        runs.cancel(connection, asked.run_id, actor="tester")
        runs.resume(connection, asked.run_id)
    assert layers(pipeline) == before
    work(pipeline, asked.run_id)
    with pipeline.engine.connect() as connection:
        prediction = what_if.show(connection, asked.prediction_id)
    assert prediction.status == "succeeded"
    assert prediction.result is not None
    assert prediction.result.unchanged == prediction.result.rows_before == 4
    steps = pipeline.rows(
        "select step, status, done_records from etl.step where run_id = :r", r=asked.run_id
    )
    assert steps == [("load", "succeeded", 10)]


def test_many_groups_are_kept_in_bounds(
    shipped: Engine, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(pipeline, [[sale(f"T{n}", region=f"r{n}", quantity=n) for n in range(1, 9)]])
    monkeypatch.setattr(what_if, "GROUPS", 3)
    limits = {"min": 7, "max": 99, "whole": True, "required": True}
    prediction = predict(pipeline, {"quantity_invalid": {"parameters": limits}})
    assert prediction.result is not None
    found = prediction.result.groupings[0]
    assert found.name == "region"
    assert [(one.name, one.change) for one in found.groups] == [
        ("R4", -40),
        ("R5", -50),
        ("R6", -60),
    ]
    assert found.others is not None
    assert (found.others.before, found.others.after) == (210, 150)
    assert (found.others.rows_before, found.others.rows_after) == (5, 2)
