"""Named query + parameters -> DataFrame, cached on the data version.

The version grows with every promotion that changed gold, so that a cached frame is never stale and
no page needs a refresh button.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app import context
from etl.db import queries


def rows(name: str, /, **parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of a named query, fresh from the database."""
    with context.engine().connect() as connection:
        return queries.rows(connection, name, **parameters)


def frame(name: str, /, **parameters: Any) -> pd.DataFrame:
    """Return the rows of a named query as a frame, fresh from the database."""
    with context.engine().connect() as connection:
        found = queries.execute(connection, name, **parameters)
        return pd.DataFrame(found.fetchall(), columns=list(found.keys()))


def value(name: str, /, **parameters: Any) -> Any:
    """Return the first column of the first row of a named query."""
    with context.engine().connect() as connection:
        return queries.value(connection, name, **parameters)


def data_version() -> int:
    """Return the version of gold."""
    return int(value("queries/reads.data_version"))


def gold(name: str, /, **parameters: Any) -> pd.DataFrame:
    """Return the rows of a named query over gold, cached for this version of the data."""
    return _gold(data_version(), name, tuple(sorted(parameters.items())))


@st.cache_data(max_entries=500, show_spinner=False)
def _gold(version: int, name: str, parameters: tuple[tuple[str, Any], ...]) -> pd.DataFrame:
    del version
    return frame(name, **{key: list(v) if isinstance(v, tuple) else v for key, v in parameters})
