"""Alerts: when somebody is told, and that it arrives exactly once.

`evaluate` turns the conditions of now into incidents and the messages about them, in one
transaction; `deliver` sends the messages. An incident is told at most once as a fire and once as a
resolve to each channel: both are rows with a key, whatever evaluates.

A sender counts its attempt and moves the message behind a lease before it sends; so two senders never
send the same, and what failed is tried again. One window stays: a process that dies (or whose receiver
answers too late) after the message arrived and before that is recorded sends it again when the lease
ends, because an alert that comes twice, with the same number, is better than one that never comes.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from etl import alert_kinds, background, channels
from etl.alert_kinds import KINDS, duration_words, moment_words
from etl.channels import DeliveryError, Message
from etl.db import queries
from etl.db.connect import is_lost_connection
from etl.settings import Settings

EVALUATE_SECONDS = 5.0
DELIVER_SECONDS = 2.0
LEASE_SECONDS = 120.0  # longer than any attempt (etl/channels.py)
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 900.0
GIVE_UP_SECONDS = 24 * 3600.0
_SETTLE_SECONDS = (
    10.0  # after the database or the machine was away, before anybody is called silent
)
_STOP_SECONDS = 10.0  # for a message that is on its way

logger = logging.getLogger(__name__)


# Evaluate -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation changed."""

    opened: tuple[int, ...]  # incidents
    resolved: tuple[int, ...]


def evaluate(connection: Connection, now: dt.datetime | None = None) -> Evaluation | None:
    """Open and resolve incidents as the database says now, and write the messages about them.

    None: another process is at it. `now` is the clock of the database unless given.
    """
    if not queries.value(connection, "queries/incidents.try_lock"):
        return None
    moment = now or queries.value(connection, "queries/incidents.now")
    unresolved = {
        (row["alert_rule_id"], row["subject"]): row
        for row in queries.rows(connection, "queries/incidents.still_open")
    }
    opened, resolved, watched = [], [], {}
    for rule in queries.rows(connection, "queries/incidents.watched", now=moment):
        watched[rule["alert_rule_id"]] = rule
        for found in _holding(connection, rule, moment):
            if unresolved.pop((rule["alert_rule_id"], found["subject"]), None) is None:
                incident_id = _open(connection, rule, found, moment)
                if incident_id is not None:
                    opened.append(incident_id)
    for incident in unresolved.values():
        rule_of_it = watched.get(incident["alert_rule_id"])
        _resolve(connection, incident, rule_of_it, moment)
        resolved.append(incident["incident_id"])
    return Evaluation(opened=tuple(opened), resolved=tuple(resolved))


def _holding(
    connection: Connection, rule: Mapping[str, Any], moment: dt.datetime
) -> list[dict[str, Any]]:
    """Return what the rule holds for: subject, dataset, run_id and what its message needs."""
    return queries.rows(
        connection,
        f"queries/alerts.{rule['kind']}",
        alert_rule_id=rule["alert_rule_id"],
        dataset=rule["dataset"],
        threshold=rule["threshold"],
        now=moment,
    )


def _open(
    connection: Connection, rule: Mapping[str, Any], found: Mapping[str, Any], moment: dt.datetime
) -> int | None:
    incident_id = queries.value(
        connection,
        "queries/incidents.open",
        alert_rule_id=rule["alert_rule_id"],
        subject=found["subject"],
        dataset=found["dataset"],
        run_id=found["run_id"],
        message=alert_kinds.message(rule["kind"], rule["threshold"], found),
        cooldown_seconds=rule["cooldown_seconds"],
        now=moment,
    )
    if incident_id is None:
        return None  # its cooldown is not over
    queries.execute(
        connection,
        "queries/incidents.tell_fire",
        incident_id=incident_id,
        is_muted=rule["is_muted"],
        now=moment,
    )
    return int(incident_id)


def _resolve(
    connection: Connection,
    incident: Mapping[str, Any],
    rule: Mapping[str, Any] | None,
    moment: dt.datetime,
) -> None:
    if rule is None:
        because = "its alert rule was switched off or removed"
    elif rule["dataset"] not in {None, incident["dataset"]}:
        because = "its alert rule is about another feed now"
    else:
        because = KINDS[rule["kind"]].over.format_map(incident)
    queries.execute(
        connection,
        "queries/incidents.resolve",
        incident_id=incident["incident_id"],
        because=because,
        now=moment,
    )
    queries.execute(
        connection,
        "queries/incidents.tell_resolve",
        incident_id=incident["incident_id"],
        now=moment,
    )


# Deliver --------------------------------------------------------------------------------


def deliver(
    engine: Engine,
    settings: Settings,
    now: dt.datetime | None = None,
    *,
    stop: threading.Event | None = None,
) -> int:
    """Send what is due, one message after another; return how many arrived.

    A channel that fails is left alone for the rest of the pass. `now` is the clock of the database
    unless given.
    """
    arrived = 0
    failed: list[int] = []
    while stop is None or not stop.is_set():
        with engine.begin() as connection:
            delivery = queries.row(
                connection,
                "queries/incidents.claim_delivery",
                now=now,
                without=failed,
                lease_seconds=LEASE_SECONDS,
            )
        if delivery is None:
            break
        try:
            channels.send(delivery["address"], message_of(delivery), settings)
        except DeliveryError as error:
            failed.append(delivery["channel_id"])
            _record_failure(engine, delivery, error.message, now)
        else:
            arrived += 1
            _record_arrival(engine, delivery, now)
    return arrived


def _record_arrival(engine: Engine, delivery: Mapping[str, Any], now: dt.datetime | None) -> None:
    with engine.begin() as connection:
        queries.execute(connection, "queries/incidents.delivery_arrived", **_key(delivery), now=now)
        queries.execute(
            connection,
            "queries/incidents.channel_works",
            channel_id=delivery["channel_id"],
            now=now,
        )


def _record_failure(
    engine: Engine, delivery: Mapping[str, Any], error: str, now: dt.datetime | None
) -> None:
    with engine.begin() as connection:
        status = queries.value(
            connection,
            "queries/incidents.delivery_failed",
            **_key(delivery),
            attempts=delivery["attempts"],
            error=error,
            pause_seconds=pause(delivery["attempts"]),
            give_up_seconds=GIVE_UP_SECONDS,
            now=now,
        )
        if status == "skipped" and delivery["event"] == "fire":
            queries.execute(
                connection,
                "queries/incidents.skip_resolve",
                incident_id=delivery["incident_id"],
                channel_id=delivery["channel_id"],
            )
        queries.execute(
            connection,
            "queries/incidents.channel_fails",
            channel_id=delivery["channel_id"],
            error=error,
            now=now,
        )


def _key(delivery: Mapping[str, Any]) -> dict[str, Any]:
    return {name: delivery[name] for name in ("incident_id", "channel_id", "event")}


def pause(attempts: int) -> float:
    """Return how long to wait after so many attempts failed, seconds."""
    return min(FIRST_PAUSE_SECONDS * 2.0 ** min(attempts - 1, 20), LONGEST_PAUSE_SECONDS)


def message_of(delivery: Mapping[str, Any]) -> Message:
    """Return the message about an incident; its number is the same in fire and resolve."""
    is_fire = delivery["event"] == "fire"
    title = KINDS[delivery["kind"]].title
    number, subject = delivery["incident_id"], delivery["subject"]
    lines = [delivery["message"], f"Since {moment_words(delivery['opened_at'])}."]
    if not is_fire:
        lasted = (delivery["resolved_at"] - delivery["opened_at"]).total_seconds()
        lines = [
            f"Resolved: {delivery['resolved_because']}.",
            f"It was: {delivery['message']}",
            f"From {moment_words(delivery['opened_at'])}, for {duration_words(lasted)}.",
        ]
    return Message(
        title=f"{delivery['severity'].title() if is_fire else 'Resolved'} #{number}: "
        f"{title} ({subject})",
        body="\n".join(lines),
        tone=delivery["severity"] if is_fire else "resolved",
        facts={
            "incident": number,
            "event": delivery["event"],
            "kind": delivery["kind"],
            "severity": delivery["severity"],
            "subject": subject,
            "dataset": delivery["dataset"],
            "run": delivery["run_id"],
            "opened_at": delivery["opened_at"].isoformat(),
            "resolved_at": delivery["resolved_at"].isoformat() if not is_fire else None,
        },
    )


# The loop -------------------------------------------------------------------------------


def tick(engine: Engine, settings: Settings) -> None:
    """Evaluate and deliver once: what a periodic task of the worker calls."""
    with engine.begin() as connection:
        evaluate(connection)
    deliver(engine, settings)


def watch(engine: Engine, settings: Settings, stop: threading.Event) -> None:
    """Evaluate and deliver until `stop`; a database that went away is waited for."""
    # by the wall clock, so that a machine that slept is noticed; a start is like waking up
    evaluated = time.time() + _SETTLE_SECONDS - EVALUATE_SECONDS
    while not stop.wait(DELIVER_SECONDS):
        try:
            silence = time.time() - evaluated
            if silence > EVALUATE_SECONDS + _SETTLE_SECONDS:
                # asleep or without a database: every process shows a sign of life first
                evaluated = time.time() + _SETTLE_SECONDS - EVALUATE_SECONDS
            elif silence >= EVALUATE_SECONDS:
                with engine.begin() as connection:
                    evaluate(connection)
                evaluated = time.time()
            deliver(engine, settings, stop=stop)
        except Exception as error:  # noqa: BLE001 - a mistake must not silence every later alert
            if not is_lost_connection(error):
                logger.warning("alerts: %s: %s", type(error).__name__, str(error).split("\n", 1)[0])
            stop.wait(settings.poll_seconds)


def watching(engine: Engine, settings: Settings) -> AbstractContextManager[None]:
    """Watch from a thread of its own."""
    return background.going_on(
        partial(watch, engine, settings), name="alerts", patience=_STOP_SECONDS
    )
