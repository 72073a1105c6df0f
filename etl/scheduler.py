"""The scheduler process: queues runs at their planned times, never runs them.

The schedule is still empty: rows of etl.schedule are read from the next version on.
"""

from __future__ import annotations

import threading

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from etl import alerts
from etl.db.connect import is_lost_connection
from etl.errors import DatabaseError
from etl.settings import Settings
from etl.worker import Presence


def keep_time(engine: Engine, settings: Settings, *, stop: threading.Event) -> None:
    """Show presence until `stop`; a database that went away is waited for."""
    while not stop.is_set():
        try:
            # so that a dead worker is told of although it cannot tell itself
            with Presence(engine, settings, "scheduler"), alerts.watching(engine, settings):
                stop.wait()
        except (SQLAlchemyError, DatabaseError) as error:
            if not is_lost_connection(error):
                raise
            stop.wait(settings.poll_seconds)
