"""Channels and rules of alerts: who is told, and when. Addresses are secrets: audited masked.

Only an admin sets channels: an address makes the server send requests wherever it says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.actions import Desk, _audit, _authorise, _storable, _transaction
from app.auth import Role
from etl import channels, datasets
from etl.alert_kinds import KINDS
from etl.channels import DeliveryError, Message
from etl.db import queries
from etl.errors import RevenueError

SEVERITIES = ("warning", "error")
_NAME_CHARACTERS = 100
_COOLDOWN_SECONDS = 7 * 86400
_LARGEST_THRESHOLD = 1e12


class AlertError(RevenueError):
    """A channel or a rule cannot be as wished."""

    code = "alert"


# Channels -------------------------------------------------------------------------------


def add_channel(desk: Desk, *, name: str, address: str) -> int:
    """Make a channel; return its id.

    Raises ForbiddenError, AddressError, AlertError for a name that is taken or too long.
    """
    name, address = _storable(name.strip()), address.strip()
    _authorise(desk, "alert_channel.add", f"channel {name[:_NAME_CHARACTERS]}", Role.ADMIN)
    _check_channel(name, address)
    with _transaction(desk) as connection:
        channel_id = queries.value(
            connection,
            "queries/incidents.add_channel",
            name=name,
            address=address,
            actor=_storable(desk.operator.name),
        )
        if channel_id is None:
            raise _name_taken(name)
        _audit(
            connection,
            desk.operator,
            "alert_channel.add",
            f"channel {channel_id}",
            after=_channel_state(name, address, is_enabled=True),
        )
    return int(channel_id)


def change_channel(
    desk: Desk,
    channel_id: int,
    *,
    name: str | None = None,
    address: str | None = None,
    is_enabled: bool | None = None,
) -> None:
    """Change a channel; None leaves a part as it is.

    Raises ForbiddenError, AddressError, AlertError.
    """
    _authorise(desk, "alert_channel.change", f"channel {channel_id}", Role.ADMIN)
    with _transaction(desk) as connection:
        before = _channel(connection, channel_id)
        new_name = before["name"] if name is None else _storable(name.strip())
        new_address = before["address"] if address is None else address.strip()
        enabled = before["enabled"] if is_enabled is None else is_enabled
        if name is not None or address is not None:
            _check_channel(new_name, new_address)
        if queries.value(
            connection, "queries/incidents.channel_named", name=new_name, channel_id=channel_id
        ):
            raise _name_taken(new_name)
        queries.execute(
            connection,
            "queries/incidents.change_channel",
            channel_id=channel_id,
            name=new_name,
            address=new_address,
            enabled=enabled,
            actor=_storable(desk.operator.name),
        )
        if not enabled:
            queries.execute(connection, "queries/incidents.skip_waiting", channel_id=channel_id)
        after = _channel_state(new_name, new_address, is_enabled=enabled)
        _audit(
            connection,
            desk.operator,
            "alert_channel.change",
            f"channel {channel_id}",
            before=_channel_state(before["name"], before["address"], is_enabled=before["enabled"]),
            after={**after, "is_new_address": new_address != before["address"]},
        )


def remove_channel(desk: Desk, channel_id: int) -> None:
    """Remove a channel; its address is forgotten, what waits for it is not sent.

    Raises ForbiddenError, AlertError.
    """
    _authorise(desk, "alert_channel.remove", f"channel {channel_id}", Role.ADMIN)
    with _transaction(desk) as connection:
        before = _channel(connection, channel_id)
        queries.execute(
            connection,
            "queries/incidents.remove_channel",
            channel_id=channel_id,
            actor=_storable(desk.operator.name),
        )
        queries.execute(connection, "queries/incidents.skip_waiting", channel_id=channel_id)
        _audit(
            connection,
            desk.operator,
            "alert_channel.remove",
            f"channel {channel_id}",
            before=_channel_state(before["name"], before["address"], is_enabled=before["enabled"]),
        )


def test_channel(desk: Desk, channel_id: int) -> None:
    """Send a test message now, from this process; the channel remembers how it went.

    Raises ForbiddenError, AlertError, DeliveryError.
    """
    _authorise(desk, "alert_channel.test", f"channel {channel_id}", Role.ADMIN)
    with desk.engine.connect() as connection:
        channel = _channel(connection, channel_id)
    message = Message(
        title="Test: this channel works",
        body=f"{desk.operator.name} sent this from the page Alerts. Nothing is wrong.",
        tone="test",
        facts={"event": "test", "at": dt.datetime.now(dt.UTC).isoformat()},
    )
    failure = None
    try:
        channels.send(channel["address"], message, desk.settings)
    except DeliveryError as error:
        failure = error
    with _transaction(desk) as connection:
        if failure is None:
            queries.execute(
                connection, "queries/incidents.channel_works", channel_id=channel_id, now=None
            )
        else:
            queries.execute(
                connection,
                "queries/incidents.channel_fails",
                channel_id=channel_id,
                error=failure.message,
                now=None,
            )
        _audit(
            connection,
            desk.operator,
            "alert_channel.test",
            f"channel {channel_id}",
            after={"arrived": failure is None, "error": failure.message if failure else None},
        )
    if failure is not None:
        raise failure


def _check_channel(name: str, address: str) -> None:
    if not 1 <= len(name) <= _NAME_CHARACTERS:
        raise AlertError(f"a channel needs a name of 1 to {_NAME_CHARACTERS} characters")
    if not address.isprintable():
        raise AlertError("an address has no line breaks and no control characters")
    channels.check(address)


def _channel(connection: Connection, channel_id: int) -> dict[str, Any]:
    channel = queries.row(connection, "queries/incidents.channel", channel_id=channel_id)
    if channel is None:
        raise AlertError(f"there is no channel {channel_id}; somebody may have removed it")
    return channel


def _name_taken(name: str) -> AlertError:
    return AlertError(f"there is a channel {name} already; take another name")


def _channel_state(name: str, address: str, *, is_enabled: bool) -> dict[str, Any]:
    return {"name": name, "address": channels.masked(address), "enabled": is_enabled}


# Rules ----------------------------------------------------------------------------------


def add_rule(
    desk: Desk,
    *,
    kind: str,
    dataset: str | None = None,
    threshold: float | None = None,
    severity: str = "error",
    cooldown_seconds: int = 900,
) -> int:
    """Watch something more; return the id of the rule.

    `threshold` has the unit of the kind (etl/alert_kinds.py).

    Raises ForbiddenError, AlertError for values that make no sense, RevenueError for an unknown feed.
    """
    _authorise(desk, "alert_rule.add", f"alert rule {kind}")
    state = _checked(kind, dataset, threshold, severity, cooldown_seconds)
    with _transaction(desk) as connection:
        rule_id = queries.value(
            connection,
            "queries/incidents.add_rule",
            kind=kind,
            **state,
            actor=_storable(desk.operator.name),
        )
        _audit(
            connection,
            desk.operator,
            "alert_rule.add",
            f"alert rule {rule_id}",
            after={"kind": kind, **state, "enabled": True},
        )
    return int(rule_id)


def change_rule(
    desk: Desk,
    rule_id: int,
    *,
    dataset: str | None,
    threshold: float | None,
    severity: str,
    cooldown_seconds: int,
    is_enabled: bool,
) -> None:
    """Change a rule, or switch it on or off.

    Raises ForbiddenError, AlertError, RevenueError for an unknown feed.
    """
    _authorise(desk, "alert_rule.change", f"alert rule {rule_id}")
    with _transaction(desk) as connection:
        before = _rule(connection, rule_id)
        state = {
            **_checked(before["kind"], dataset, threshold, severity, cooldown_seconds),
            "enabled": is_enabled,
        }
        queries.execute(
            connection,
            "queries/incidents.change_rule",
            alert_rule_id=rule_id,
            **state,
            actor=_storable(desk.operator.name),
        )
        _audit(
            connection,
            desk.operator,
            "alert_rule.change",
            f"alert rule {rule_id}",
            before={name: before[name] for name in state},
            after=state,
        )


def mute_rule(desk: Desk, rule_id: int, *, until: dt.datetime | None) -> None:
    """Send nothing for a rule until then; None: send again.

    Raises ForbiddenError, AlertError for a time that is over.
    """
    action = "alert_rule.unmute" if until is None else "alert_rule.mute"
    _authorise(desk, action, f"alert rule {rule_id}")
    if until is not None and until <= dt.datetime.now(dt.UTC):
        raise AlertError("a rule is muted until a time that is still to come")
    with _transaction(desk) as connection:
        before = _rule(connection, rule_id)
        queries.execute(
            connection,
            "queries/incidents.mute_rule",
            alert_rule_id=rule_id,
            until=until,
            actor=_storable(desk.operator.name),
        )
        _audit(
            connection,
            desk.operator,
            action,
            f"alert rule {rule_id}",
            before={"muted_until": _iso(before["muted_until"])},
            after={"muted_until": _iso(until)},
        )


def remove_rule(desk: Desk, rule_id: int) -> None:
    """Watch this no more; its incidents stay in the history.

    Raises ForbiddenError, AlertError.
    """
    _authorise(desk, "alert_rule.remove", f"alert rule {rule_id}")
    with _transaction(desk) as connection:
        before = _rule(connection, rule_id)
        queries.execute(
            connection,
            "queries/incidents.remove_rule",
            alert_rule_id=rule_id,
            actor=_storable(desk.operator.name),
        )
        _audit(
            connection,
            desk.operator,
            "alert_rule.remove",
            f"alert rule {rule_id}",
            before={**before, "muted_until": _iso(before["muted_until"])},
        )


def _checked(
    kind: str, dataset: str | None, threshold: float | None, severity: str, cooldown_seconds: int
) -> dict[str, Any]:
    """Return the state of a rule that makes sense.

    Raises AlertError, RevenueError for an unknown feed.
    """
    about = KINDS.get(kind)
    if about is None:
        raise AlertError(f"nothing called {kind} can be watched; choose one of {', '.join(KINDS)}")
    if dataset is not None:
        datasets.get(dataset)
    if not about.needs_threshold:
        threshold = None
    elif threshold is None or not 0 <= threshold <= _LARGEST_THRESHOLD:
        raise AlertError(f"{about.title} needs a limit of 0 or more ({about.unit})")
    elif about.unit == "fraction" and threshold > 1:
        raise AlertError(f"{about.title} needs a limit from 0 to 100 %")
    if severity not in SEVERITIES:
        raise AlertError(f"a severity is one of {', '.join(SEVERITIES)}")
    if not 0 <= cooldown_seconds <= _COOLDOWN_SECONDS:
        raise AlertError("a cooldown is at most a week")
    return {
        "dataset": dataset if about.is_of_feed else None,
        "threshold": threshold,
        "severity": severity,
        "cooldown_seconds": cooldown_seconds,
    }


def _rule(connection: Connection, rule_id: int) -> Mapping[str, Any]:
    rule = queries.row(connection, "queries/incidents.rule", alert_rule_id=rule_id)
    if rule is None:
        raise AlertError(f"there is no alert rule {rule_id}; somebody may have removed it")
    return rule


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
