"""Incidents, rules and channels as an operator sees and changes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from app import actions, context
from etl import alerts
from tests.conftest import Pipeline
from tests.pages.conftest import Open, words
from tests.sinks import Sink, rules_put_back, sink


@pytest.fixture(autouse=True)
def rules(pipeline: Pipeline) -> Iterator[None]:
    with rules_put_back(pipeline.engine):
        yield


@pytest.fixture
def receiver() -> Iterator[Sink]:
    with sink() as opened:
        yield opened


def sql(pipeline: Pipeline, statement: str, **parameters: object) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(text(statement), parameters)


@pytest.fixture
def failed(pipeline: Pipeline) -> int:
    """A failed run that is told of."""
    sql(
        pipeline,
        "insert into etl.run (dataset, status, trigger, requested_by, ended_at, reason) "
        "values ('sales', 'failed', 'manual', 'x', now(), '![x](y) the disk is full')",
    )
    with pipeline.engine.begin() as connection:
        alerts.evaluate(connection)
    return int(pipeline.value("select run_id from etl.run"))


def make_channel(pipeline: Pipeline, address: str) -> int:
    sql(
        pipeline,
        "insert into etl.alert_channel (name, address, updated_by) values ('ops', :a, 'x')",
        a=address,
    )
    return int(pipeline.value("select channel_id from etl.alert_channel"))


def everything(at: AppTest) -> str:
    """Return all that is sent to the browser."""
    return words(at) + "".join(str(getattr(element, "proto", "")) for element in at.main)


def test_nothing_is_wrong(open_page: Open) -> None:
    at = open_page("alerts")
    assert "Nothing is wrong" in words(at)
    assert "No incidents yet" in words(at)


def test_an_open_incident_leads_to_its_run(open_page: Open, failed: int) -> None:
    at = open_page("alerts")
    said = words(at)
    assert "Open now: 1" in said
    assert "the disk is full" in said
    assert "![x](" not in said
    assert [link.proto.label for link in at.get("page_link")] == [f"Run {failed}"]
    table = at.dataframe[0].value
    assert table["state"].tolist() == [["▲ open"]]
    assert table["open"].tolist() == [f"#{failed}"]


def test_the_history_is_filtered_by_the_address(
    open_page: Open, pipeline: Pipeline, failed: int
) -> None:
    sql(
        pipeline,
        "insert into etl.incident (alert_rule_id, subject, dataset, message, opened_at, resolved_at, "
        "resolved_because) select alert_rule_id, 'customers', 'customers', 'lost ' || n, "
        "now() - interval '1 hour', now(), 'it ended' from etl.alert_rule, generate_series(1, 30) as n "
        "where kind = 'run_lost'",
    )
    at = open_page("alerts")
    assert len(at.dataframe[0].value) == 25
    assert "31 incidents" in words(at)
    assert len(open_page("alerts", page=2).dataframe[0].value) == 6
    assert len(open_page("alerts", state="firing").dataframe[0].value) == 1
    assert len(open_page("alerts", kind="run_failed").dataframe[0].value) == 1
    assert "30 incidents" in words(open_page("alerts", feed="customers"))
    at = open_page("alerts", feed="customers", state="firing")
    assert "No incident fits these filters" in words(at)


def test_rules_are_sentences(open_page: Open) -> None:
    said = words(open_page("alerts", show="rules")).replace("\\", "")
    assert "A run of any feed takes longer than 1 h" in said
    assert "rejected more than 50 % of its records" in said
    assert "shown no sign of life for 1 min" in said


def test_a_limit_is_changed(open_page: Open, pipeline: Pipeline) -> None:
    rule_id = pipeline.value("select alert_rule_id from etl.alert_rule where kind = 'invalid_rate'")
    at = open_page("alerts", show="rules", rule=rule_id)
    assert at.number_input(key=f"threshold_{rule_id}").value == 50
    at.number_input(key=f"threshold_{rule_id}").set_value(12.5)
    at.selectbox(key=f"dataset_{rule_id}").set_value("sales")
    at.button(key=f"save_{rule_id}").click().run()
    assert not at.exception
    assert not at.error
    assert pipeline.rows(
        "select threshold::float, dataset, enabled from etl.alert_rule where alert_rule_id = :r",
        r=rule_id,
    ) == [(0.125, "sales", True)]
    assert "rejected more than 12.5 % of its records" in words(at).replace("\\", "")
    assert "rule" not in at.query_params


def test_a_rule_is_muted_and_unmuted(open_page: Open, pipeline: Pipeline) -> None:
    rule_id = pipeline.value("select alert_rule_id from etl.alert_rule where kind = 'run_failed'")
    at = open_page("alerts", show="rules")
    at.menu_button(key=f"mute_{rule_id}").click("8 hours").run()
    assert "muted, ends in 7 hours" in words(at)
    assert pipeline.value(
        "select muted_until > now() + interval '7 hours' from etl.alert_rule where alert_rule_id = :r",
        r=rule_id,
    )
    at.button(key=f"unmute_{rule_id}").click().run()
    assert pipeline.value("select count(*) from etl.alert_rule where muted_until is not null") == 0


def test_a_rule_is_added_and_removed(open_page: Open, pipeline: Pipeline) -> None:
    at = open_page("alerts", show="rules")
    at.selectbox(key="new_kind").set_value("invalid_count").run()
    at.number_input(key="threshold_new_invalid_count").set_value(7.0)
    at.button(key="add_rule").click().run()
    assert not at.error
    [rule_id] = pipeline.rows(
        "select alert_rule_id from etl.alert_rule where kind = 'invalid_count' and threshold = 7"
    )[0]
    at = open_page("alerts", show="rules", rule=rule_id)
    at.button(key=f"remove_rule_{rule_id}").click().run()
    assert pipeline.value(
        "select removed_at is not null from etl.alert_rule where alert_rule_id = :r", r=rule_id
    )


def test_a_channel_is_added_tested_and_removed_and_its_address_never_shown(
    open_page: Open, pipeline: Pipeline, receiver: Sink
) -> None:
    at = open_page("alerts", show="channels")
    assert "No channel yet" in words(at)
    at.text_input(key="new_name").set_value("On-call")
    at.text_input(key="new_address").set_value("nonsense://planted")
    at.button(key="add_channel").click().run()
    assert "is not understood" in at.error[0].value
    assert "planted" not in words(at)
    at.text_input(key="new_address").set_value(receiver.address)
    at.button(key="add_channel").click().run()
    assert not at.error
    assert pipeline.value("select address from etl.alert_channel") == receiver.address
    channel_id = pipeline.value("select channel_id from etl.alert_channel")
    at = open_page("alerts", show="channels", channel=channel_id)
    assert "not used yet" in words(at)
    assert "json://127.0.0.1" in words(at)
    at.button(key=f"test_{channel_id}").click().run()
    assert receiver.titles == ["Test: this channel works"]
    assert "The test arrived" in words(at)
    assert "last arrived" in everything(at)
    assert "planted" not in everything(at)
    at.button(key=f"remove_channel_{channel_id}").click().run()
    assert "No channel yet" in words(at)


def test_a_channel_that_fails_is_a_warning_on_every_page(
    open_page: Open, pipeline: Pipeline, failed: int
) -> None:
    with sink() as gone:
        channel_id = make_channel(pipeline, gone.address)
    at = open_page("alerts", show="channels")
    at.button(key=f"test_{channel_id}").click().run()
    assert at.error
    assert "planted" not in everything(at)
    at = open_page("alerts")
    assert "connection error" in words(at).lower()
    assert "planted" not in everything(at)
    assert "Alerts do not arrive: ops fails" in words(open_page("overview"))


def test_a_refusal_is_shown_in_words(
    open_page: Open, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = actions.Operator(name="vic", role=actions.Role.VIEWER, origin="page")
    monkeypatch.setattr(context.auth, "current", lambda: viewer)
    channel_id = make_channel(pipeline, "file:a.jsonl")
    at = open_page("alerts", show="channels")
    at.button(key=f"test_{channel_id}").click().run()
    assert "needs the role admin" in at.error[0].value
