"""What the web process holds once: settings and the database engine; and who acts."""

from __future__ import annotations

import streamlit as st
from sqlalchemy import Engine

from app import auth
from app.actions import Desk
from etl import settings as settings_module
from etl.db import migrate
from etl.db.connect import connect
from etl.errors import SettingsError
from etl.settings import Settings


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    return settings_module.load()


@st.cache_resource(show_spinner=False, on_release=lambda engine: engine.dispose())
def engine() -> Engine:
    """Return the engine; the web process gets a plain URL and never starts a server.

    Raises SettingsError, DatabaseError, SchemaOutdatedError.
    """
    configured = settings()
    if configured.is_embedded:
        raise SettingsError(
            "the pages need a running database: start them with `revenue up`, "
            "or set REVENUE_DATABASE_URL"
        )
    opened = connect(configured.database_url.get_secret_value(), configured, name="revenue web")
    migrate.check(opened)
    return opened


def desk() -> Desk:
    """Return where the person behind this session acts."""
    return Desk(engine=engine(), settings=settings(), operator=auth.current())
