"""Refreshes of the Power BI dataset: an outbox that never touches the run it belongs to.

`ask` writes a wish into the transaction that changed gold; `step`, in a thread of the worker, sends
what waits and looks for the end of what runs, one request at a time. Wishes that wait are served by
one refresh, the newest; one refresh runs at a time, and a wish that comes meanwhile waits for its
end, because the refresh may have read the tables before they changed.

A request is counted and put behind a lease before it is made, so no two processes make it. What the
service confirmed is never sent again: whoever takes it up, also after a crash, looks for its id. One
window stays: a process that dies, or whose answer is lost, after the service took a request and before
its id was stored. That request is sent again once its lease ends, and then the service itself says
that a refresh is under way.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from etl import background
from etl.alert_kinds import moment_words
from etl.db import queries
from etl.db.connect import is_lost_connection
from etl.errors import SettingsError
from etl.powerbi.client import (
    CALLS,
    CONNECT_SECONDS,
    READ_SECONDS,
    Form,
    NotNowError,
    PowerBi,
    RefusedError,
    Target,
    UnreachableError,
    configured_access,
    configured_target,
)
from etl.settings import PREFIX, Settings

WATCH_SECONDS = 3.0
# longer than any step may take: a slow one must not be made twice
LEASE_SECONDS = 60.0 + CALLS * (CONNECT_SECONDS + 2 * READ_SECONDS)
FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 900.0
MOST_ATTEMPTS = 8  # that failed one after another
UNKNOWN_SECONDS = 900.0  # that Power BI may take to show a refresh that it took
GIVE_UP_HOURS = 48  # a wish that still waits
_STOP_SECONDS = 3.0  # for a request that is on its way

logger = logging.getLogger(__name__)


# The wish -------------------------------------------------------------------------------


def ask(
    connection: Connection,
    settings: Settings,
    *,
    actor: str,
    run_id: int | None = None,
    is_dry_run: bool = False,
    now: dt.datetime | None = None,
) -> int:
    """Write a wish for a refresh within the caller's transaction; return its number.

    A dry run keeps what would be sent, and is over. Neither asks the network or fails because of a
    setting: the row says which one is missing. `now` is the clock of the database unless given.
    """
    form = form_of(settings)
    status, error, would_send = "waiting", None, None
    if is_dry_run or settings.powerbi_dry_run:
        try:
            status, would_send = "dry_run", json.dumps(request_of(settings))
        except SettingsError as missing:
            status, error = "failed", missing.message
    return int(
        queries.value(
            connection,
            "queries/refreshes.ask",
            requested_by=actor,
            run_id=run_id,
            form=form.value,
            status=status,
            error=error,
            would_send=would_send,
            now=now,
        )
    )


def after_run(connection: Connection, settings: Settings, *, actor: str, run_id: int) -> None:
    """Write the wish of a run that changed gold, where refreshes are switched on."""
    if settings.powerbi_refresh != "off":
        ask(connection, settings, actor=actor, run_id=run_id)


def form_of(settings: Settings) -> Form:
    """Return the form that is asked for; the standard one where refreshes are off (a dry run)."""
    return Form.ENHANCED if settings.powerbi_refresh == "enhanced" else Form.STANDARD


def request_of(settings: Settings) -> dict[str, Any]:
    """Return the request for a refresh without its token: method, address, body.

    Raises SettingsError naming what is missing.
    """
    target = configured_target(settings)
    return {
        "method": "POST",
        "address": f"{settings.powerbi_api_url}{target.path}",
        "body": form_of(settings).body,
    }


# One step -------------------------------------------------------------------------------


class Refresher:
    """Sends what waits and follows what runs; keeps the client with its token between steps."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        warn: Callable[[str], None] = lambda _: None,  # told of each refresh that failed
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._warn = warn
        self._client: PowerBi | None = None

    def step(self, now: dt.datetime | None = None) -> bool:
        """Make at most one request that is due; return whether there was something to do.

        `now` is the clock of the database unless given. What goes wrong with Power BI or a setting
        is written into the row, never raised.
        """
        claimed = self._claim(now)
        if claimed is None:
            return False
        try:
            client = self._connected()
            target = Target(
                workspace_id=claimed["workspace_id"], dataset_id=claimed["powerbi_dataset_id"]
            )
            if claimed["status"] == "waiting":
                self._start(client, target, claimed, now)
            else:
                self._look(client, target, claimed, now)
        except (RefusedError, SettingsError) as error:
            is_sent = claimed["status"] == "running"
            words = "it was sent, but cannot be followed: " if is_sent else ""
            self._end(claimed, "failed", f"{words}{error.message}", now)
        except NotNowError as error:
            self._later(claimed, error.message, error.seconds, claimed["attempts"] - 1, now)
        except UnreachableError as error:
            if claimed["attempts"] >= MOST_ATTEMPTS:
                words = f"given up after {claimed['attempts']} tries: {error.message}"
                self._end(claimed, "failed", words, now)
            else:
                seconds = max(error.seconds or 0.0, pause(claimed["attempts"]))
                self._later(claimed, error.message, seconds, claimed["attempts"], now)
        except Exception as error:
            if is_lost_connection(error):
                raise
            # a mistake of ours must not hold up every later refresh for ever
            logger.exception("refresh %s", claimed["refresh_id"])
            words = f"it cannot be handled here ({type(error).__name__}); the log says more"
            if claimed["attempts"] >= MOST_ATTEMPTS:
                self._end(claimed, "failed", words, now)
            else:
                self._later(claimed, words, pause(claimed["attempts"]), claimed["attempts"], now)
        return True

    def _connected(self) -> PowerBi:
        if self._client is None:
            self._client = PowerBi(configured_access(self._settings))
        return self._client

    def _claim(self, now: dt.datetime | None) -> dict[str, Any] | None:
        """Take what is due: first what runs, then what waits and may be sent."""
        with self._engine.begin() as connection:
            if not queries.value(connection, "queries/refreshes.try_lock"):
                return None
            moment = now or _present(connection)
            running = queries.row(
                connection,
                "queries/refreshes.claim_running",
                now=moment,
                lease_seconds=LEASE_SECONDS,
            )
            return running or self._claim_waiting(connection, moment)

    def _claim_waiting(self, connection: Connection, moment: dt.datetime) -> dict[str, Any] | None:
        dataset_id = self._settings.powerbi_dataset_id
        due = {"powerbi_dataset_id": dataset_id, "now": moment}
        if not queries.value(connection, "queries/refreshes.is_due", **due):
            return None
        most = self._settings.powerbi_refreshes_a_day
        allowed_at = most and queries.value(
            connection, "queries/refreshes.allowed_at", **due, most=most
        )
        if allowed_at:
            queries.execute(
                connection,
                "queries/refreshes.hold",
                # not longer than so, because the limit may have been raised by then
                until=min(allowed_at, moment + dt.timedelta(seconds=LONGEST_PAUSE_SECONDS)),
                error=f"{most} refreshes within 24 hours are used up "
                f"({PREFIX}POWERBI_REFRESHES_A_DAY); the next one is allowed from "
                f"{moment_words(allowed_at)} on",
            )
            return None
        claimed = queries.row(
            connection,
            "queries/refreshes.claim_waiting",
            **due,
            form=form_of(self._settings).value,
            workspace_id=self._settings.powerbi_workspace_id,
            lease_seconds=LEASE_SECONDS,
        )
        if claimed is not None:
            queries.execute(
                connection,
                "queries/refreshes.cover",
                refresh_id=claimed["refresh_id"],
                now=moment,
            )
        return claimed

    def _start(
        self,
        client: PowerBi,
        target: Target,
        claimed: Mapping[str, Any],
        now: dt.datetime | None,
    ) -> None:
        request_id = client.start(target, Form(claimed["form"]))
        with self._engine.begin() as connection:
            moment = now or _present(connection)
            queries.execute(
                connection,
                "queries/refreshes.accepted",
                **_key(claimed),
                request_id=request_id,
                pause_seconds=look_pause(0.0),
                now=moment,
            )

    def _look(
        self,
        client: PowerBi,
        target: Target,
        claimed: Mapping[str, Any],
        now: dt.datetime | None,
    ) -> None:
        seen = client.look(target, Form(claimed["form"]), claimed["request_id"])
        if not seen.is_over:
            with self._engine.connect() as connection:
                moment = now or _present(connection)
            age = (moment - claimed["started_at"]).total_seconds()
            if seen.is_known or age < UNKNOWN_SECONDS:
                self._later(claimed, None, look_pause(age), 0, now)
            else:
                words = (
                    "Power BI does not know it (404): was the dataset deleted, or its id changed?"
                )
                self._end(claimed, "failed", words, now)
        elif seen.error is None:
            self._end(claimed, "completed", None, now)
        else:
            self._end(claimed, "failed", seen.error, now)

    def _later(
        self,
        claimed: Mapping[str, Any],
        words: str | None,
        seconds: float,
        failed_attempts: int,
        now: dt.datetime | None,
    ) -> None:
        with self._engine.begin() as connection:
            moment = now or _present(connection)
            late = self._too_late(claimed, moment)
            if late is None:
                queries.execute(
                    connection,
                    "queries/refreshes.later",
                    **_key(claimed),
                    status=claimed["status"],
                    error=words,
                    pause_seconds=seconds,
                    failed_attempts=failed_attempts,
                    now=moment,
                )
                return
        self._end(claimed, "failed", f"{late}; {words}" if words else late, now)

    def _too_late(self, claimed: Mapping[str, Any], moment: dt.datetime) -> str | None:
        """Return why it is given up, None while there is time."""
        if claimed["status"] == "waiting":
            if moment - claimed["requested_at"] > dt.timedelta(hours=GIVE_UP_HOURS):
                return f"given up after {GIVE_UP_HOURS} hours"
            return None
        minutes = self._settings.powerbi_refresh_timeout_minutes
        if moment - claimed["started_at"] > dt.timedelta(minutes=minutes):
            return (
                f"no end within {minutes:,} minutes ({PREFIX}POWERBI_REFRESH_TIMEOUT_MINUTES): the "
                "dataset's refresh history in Power BI says what became of it"
            )
        return None

    def _end(
        self, claimed: Mapping[str, Any], outcome: str, words: str | None, now: dt.datetime | None
    ) -> None:
        with self._engine.begin() as connection:
            moment = now or _present(connection)
            queries.execute(
                connection,
                "queries/refreshes.ended",
                **_key(claimed),
                status=claimed["status"],
                outcome=outcome,
                error=words,
                now=moment,
            )
        if outcome == "failed":
            self._warn(f"refresh {claimed['refresh_id']} of Power BI failed: {words}")


def _present(connection: Connection) -> dt.datetime:
    """Return the moment on the clock that every process shares."""
    moment: dt.datetime = queries.value(connection, "queries/refreshes.now")
    return moment


def _key(claimed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: claimed[name] for name in ("refresh_id", "attempts")}


def pause(attempts: int) -> float:
    """Return how long to wait after so many tries failed, seconds."""
    return min(FIRST_PAUSE_SECONDS * 2.0 ** max(attempts - 1, 0), LONGEST_PAUSE_SECONDS)


def look_pause(age: float) -> float:
    """Return how long to wait before the next look at a refresh of this age, both seconds."""
    return min(max(5.0, age / 10), 60.0)


# The loop -------------------------------------------------------------------------------


def watch(engine: Engine, settings: Settings, stop: threading.Event) -> None:
    """Step until `stop`; a database that went away is waited for."""
    refresher = Refresher(engine, settings, warn=logger.warning)
    while not stop.wait(WATCH_SECONDS):
        try:
            while not stop.is_set() and refresher.step():
                pass
        except Exception as error:  # noqa: BLE001 - a mistake must not end every later refresh
            if not is_lost_connection(error):
                logger.warning(
                    "refreshes: %s: %s", type(error).__name__, str(error).split("\n", 1)[0]
                )
            stop.wait(settings.poll_seconds)


def watching(engine: Engine, settings: Settings) -> AbstractContextManager[None]:
    """Watch from a thread of its own, where refreshes are switched on."""
    if settings.powerbi_refresh == "off":
        return nullcontext()
    return background.going_on(
        partial(watch, engine, settings), name="refreshes", patience=_STOP_SECONDS
    )


def one(connection: Connection, refresh_id: int) -> dict[str, Any]:
    """Return a refresh with how it stands; a covered one with what was sent in its place."""
    found = queries.row(connection, "queries/refreshes.one", refresh_id=refresh_id)
    assert found is not None  # rows are never deleted
    return found
