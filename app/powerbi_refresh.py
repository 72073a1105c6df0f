"""A refresh of Power BI as the command line asks for it, and in words."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from app.actions import Desk
from app.actions.powerbi import refresh_now
from etl.powerbi import refresh
from etl.powerbi.client import configured_access

_POLL_SECONDS = 1.0


def ask(
    desk: Desk,
    *,
    is_dry_run: bool,
    wait: bool,
    say: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Ask for a refresh; return how it stands, with `wait` once it is over.

    Waiting does the worker's part as well, so none is needed; one that runs does not disturb it.
    `say` is told each change meanwhile.

    Raises what `refresh_now` does, and with `wait` SettingsError for a service principal that is not
    whole.
    """
    if wait and not is_dry_run and desk.settings.powerbi_refresh != "off":
        configured_access(desk.settings)
    refresh_id = refresh_now(desk, is_dry_run=is_dry_run)
    refresher = refresh.Refresher(desk.engine, desk.settings)
    said = ""
    while True:
        with desk.engine.connect() as connection:
            found = refresh.one(connection, refresh_id)
        if not wait or found["state"] not in {"waiting", "running"}:
            return found
        if words(found) != said:
            said = words(found)
            say(said)
        if not refresher.step():
            sleep(_POLL_SECONDS)


def words(one: Mapping[str, Any]) -> str:
    """Return how a refresh stands, in one line."""
    name = f"refresh {one['refresh_id']}"
    if one["covered_by"]:
        name += f" (as part of refresh {one['covered_by']})"
    if one["state"] == "dry_run":
        sent = one["would_send"]
        return (
            f"{name} was a dry run; would have sent: {sent['method']} {sent['address']} "
            f"{json.dumps(sent['body'])}"
        )
    if one["state"] == "waiting":
        why = f": {one['error']}" if one["error"] else "; a worker sends it"
        return f"{name} waits{why}"
    if one["state"] == "running":
        return f"{name} runs in Power BI, request {one['request_id']}"
    return f"{name} {one['state']}" + (f": {one['error']}" if one["error"] else "")
