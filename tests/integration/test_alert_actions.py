"""Channels and rules are changed by who may, audited, and never with an address in the open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from app.actions import Desk, Operator, Role
from app.actions import alerts as actions
from app.actions.alerts import AlertError
from app.auth import ForbiddenError
from etl.channels import AddressError, DeliveryError
from etl.errors import RevenueError
from tests.conftest import Pipeline
from tests.sinks import Sink, rules_put_back, sink

SECRET = "jsons://user:planted@hooks.example/planted?+X-Token=planted"


@pytest.fixture
def rules(pipeline: Pipeline) -> Iterator[None]:
    with rules_put_back(pipeline.engine):
        yield


@pytest.fixture
def receiver() -> Iterator[Sink]:
    with sink() as opened:
        yield opened


def desk_of(pipeline: Pipeline, role: Role = Role.ADMIN) -> Desk:
    return Desk(
        engine=pipeline.engine,
        settings=pipeline.settings,
        operator=Operator(name="ada", role=role, origin="test"),
    )


@pytest.fixture
def desk(pipeline: Pipeline, rules: None) -> Desk:
    return desk_of(pipeline)


def audit(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return pipeline.rows("select action, object, before, after from etl.audit order by audit_id")


CHANNEL_ACTIONS: dict[str, Any] = {
    "alert_channel.add": lambda d: actions.add_channel(d, name="ops", address=SECRET),
    "alert_channel.change": lambda d: actions.change_channel(d, 1, name="x", address=SECRET),
    "alert_channel.remove": lambda d: actions.remove_channel(d, 1),
    "alert_channel.test": lambda d: actions.test_channel(d, 1),
}
RULE_ACTIONS: dict[str, Any] = {
    "alert_rule.add": lambda d: actions.add_rule(d, kind="run_failed"),
    "alert_rule.change": lambda d: actions.change_rule(
        d, 1, dataset=None, threshold=None, severity="error", cooldown_seconds=0, is_enabled=True
    ),
    "alert_rule.mute": lambda d: actions.mute_rule(
        d, 1, until=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    ),
    "alert_rule.unmute": lambda d: actions.mute_rule(d, 1, until=None),
    "alert_rule.remove": lambda d: actions.remove_rule(d, 1),
}


@pytest.mark.parametrize("action", [*CHANNEL_ACTIONS, *RULE_ACTIONS])
def test_who_may_not_changes_nothing_and_is_audited(pipeline: Pipeline, action: str) -> None:
    before = pipeline.rows("select * from etl.alert_rule order by alert_rule_id")
    roles = [Role.VIEWER] if action in RULE_ACTIONS else [Role.VIEWER, Role.OPERATOR, Role.STEWARD]
    for role in roles:
        with pytest.raises(ForbiddenError):
            {**CHANNEL_ACTIONS, **RULE_ACTIONS}[action](desk_of(pipeline, role))
    assert pipeline.rows("select * from etl.alert_rule order by alert_rule_id") == before
    assert pipeline.value("select count(*) from etl.alert_channel") == 0
    said = audit(pipeline)
    assert [line[0] for line in said] == [action] * len(roles)
    assert "planted" not in str(said)


def test_a_channel_lives_and_its_address_is_never_audited(pipeline: Pipeline, desk: Desk) -> None:
    channel_id = actions.add_channel(desk, name=" ops ", address=f" {SECRET} ")
    assert pipeline.rows("select name, address from etl.alert_channel") == [("ops", SECRET)]
    actions.change_channel(desk, channel_id, name="night")
    actions.change_channel(desk, channel_id, address="file:planted.jsonl", is_enabled=False)
    assert pipeline.rows("select name, address, enabled from etl.alert_channel") == [
        ("night", "file:planted.jsonl", False)
    ]
    actions.change_channel(desk, channel_id, address=SECRET)
    actions.remove_channel(desk, channel_id)
    assert pipeline.rows("select address, removed_at is null from etl.alert_channel") == [
        ("removed", False)
    ]
    assert actions.add_channel(desk, name="night", address="file:a.jsonl") != channel_id
    said = audit(pipeline)
    assert [line[0].split(".")[1] for line in said] == [
        "add",
        "change",
        "change",
        "change",
        "remove",
        "add",
    ]
    assert said[0][3] == {"name": "ops", "address": "jsons://hooks.example/…", "enabled": True}
    assert said[2][3]["is_new_address"]
    assert "planted@" not in str(said)
    assert "X-Token" not in str(said)


def test_names_are_taken_once(desk: Desk) -> None:
    first = actions.add_channel(desk, name="ops", address="file:a.jsonl")
    with pytest.raises(AlertError, match="already"):
        actions.add_channel(desk, name="ops", address="file:b.jsonl")
    second = actions.add_channel(desk, name="other", address="file:b.jsonl")
    with pytest.raises(AlertError, match="already"):
        actions.change_channel(desk, second, name="ops")
    actions.change_channel(desk, first, name="ops")


@pytest.mark.parametrize(
    ("name", "address", "error"),
    [
        ("", "file:a.jsonl", AlertError),
        ("x" * 101, "file:a.jsonl", AlertError),
        ("ops", "", AddressError),
        ("ops", "nonsense://planted", AddressError),
        ("ops", "json://planted\n@h", AlertError),
    ],
)
def test_a_channel_that_makes_no_sense_is_refused(
    pipeline: Pipeline, desk: Desk, name: str, address: str, error: type[RevenueError]
) -> None:
    with pytest.raises(error) as refused:
        actions.add_channel(desk, name=name, address=address)
    assert "planted" not in refused.value.message
    assert pipeline.value("select count(*) from etl.alert_channel") == 0


def test_a_test_message_arrives_or_says_why(pipeline: Pipeline, desk: Desk, receiver: Sink) -> None:
    channel_id = actions.add_channel(desk, name="ops", address=receiver.address)
    actions.test_channel(desk, channel_id)
    assert receiver.titles == ["Test: this channel works"]
    assert pipeline.value("select last_success_at is not null from etl.alert_channel")
    receiver.status = 403
    with pytest.raises(DeliveryError) as failed:
        actions.test_channel(desk, channel_id)
    assert "403" in failed.value.message or "Forbidden" in failed.value.message
    assert pipeline.value("select last_error from etl.alert_channel") == failed.value.message
    assert [line[3]["arrived"] for line in audit(pipeline)[1:]] == [True, False]
    assert "planted" not in str(audit(pipeline)) + failed.value.message


@pytest.mark.parametrize("end", ["switched off", "removed"])
def test_what_waits_for_a_channel_that_goes_is_not_sent(
    pipeline: Pipeline, desk: Desk, end: str
) -> None:
    channel_id = actions.add_channel(desk, name="ops", address="file:a.jsonl")
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "with i as (insert into etl.incident (alert_rule_id, subject, message) select "
                "min(alert_rule_id), 'sales', 'm' from etl.alert_rule returning incident_id) "
                "insert into etl.delivery (incident_id, channel_id, event) "
                "select incident_id, :channel, 'fire' from i"
            ),
            {"channel": channel_id},
        )
    if end == "removed":
        actions.remove_channel(desk, channel_id)
    else:
        actions.change_channel(desk, channel_id, is_enabled=False)
    assert pipeline.value("select status from etl.delivery") == "skipped"


def test_a_rule_lives(pipeline: Pipeline, desk: Desk) -> None:
    operator = desk_of(pipeline, Role.OPERATOR)
    rule_id = actions.add_rule(operator, kind="invalid_rate", threshold=0.2, dataset="sales")
    actions.change_rule(
        operator,
        rule_id,
        dataset=None,
        threshold=0.3,
        severity="warning",
        cooldown_seconds=60,
        is_enabled=False,
    )
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    actions.mute_rule(operator, rule_id, until=until)
    [row] = pipeline.rows(
        "select dataset, threshold::float, severity, cooldown_seconds, enabled, muted_until, "
        "updated_by from etl.alert_rule where alert_rule_id = :rule",
        rule=rule_id,
    )
    assert row == (None, 0.3, "warning", 60, False, until, "ada")
    actions.mute_rule(operator, rule_id, until=None)
    actions.remove_rule(operator, rule_id)
    with pytest.raises(AlertError, match="there is no alert rule"):
        actions.mute_rule(operator, rule_id, until=None)
    said = audit(pipeline)
    assert [line[0] for line in said] == [
        "alert_rule.add",
        "alert_rule.change",
        "alert_rule.mute",
        "alert_rule.unmute",
        "alert_rule.remove",
    ]
    assert said[1][2]["threshold"] == 0.2
    assert said[1][3]["threshold"] == 0.3


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "nonsense"},
        {"kind": "invalid_rate"},
        {"kind": "invalid_rate", "threshold": 1.5},
        {"kind": "invalid_count", "threshold": -1},
        {"kind": "invalid_count", "threshold": float("nan")},
        {"kind": "invalid_count", "threshold": float("inf")},
        {"kind": "run_failed", "dataset": "nonsense"},
        {"kind": "run_failed", "severity": "loud"},
        {"kind": "run_failed", "cooldown_seconds": -1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(
    pipeline: Pipeline, desk: Desk, values: dict[str, Any]
) -> None:
    before = pipeline.value("select count(*) from etl.alert_rule")
    with pytest.raises(RevenueError):
        actions.add_rule(desk, **values)
    assert pipeline.value("select count(*) from etl.alert_rule") == before


def test_a_mute_ends_in_the_future(desk: Desk, pipeline: Pipeline) -> None:
    rule_id = pipeline.value("select min(alert_rule_id) from etl.alert_rule")
    with pytest.raises(AlertError, match="still to come"):
        actions.mute_rule(desk, rule_id, until=dt.datetime.now(dt.UTC))
