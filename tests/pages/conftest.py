"""The pages without a browser, on the tests' own database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from etl.settings import Settings

ENTRY = Path(__file__).resolve().parents[2] / "app" / "main.py"

Open = Callable[..., AppTest]


@pytest.fixture
def open_page(clean: Engine, settings: Settings) -> Iterator[Open]:
    """Open a page of the app with an address; each test has its own settings and engine."""

    def forget() -> None:
        st.cache_resource.clear()
        st.cache_data.clear()

    def open_it(name: str = "overview", **query: object) -> AppTest:
        at = AppTest.from_file(str(ENTRY), default_timeout=30)
        at.switch_page(f"../pages/{name}.py")
        for key, value in query.items():
            at.query_params[key] = str(value)
        at.run()
        assert not at.exception, at.exception[0].message
        return at

    forget()
    yield open_it
    forget()


def words(at: AppTest) -> str:
    """Return everything that the page says in words."""
    kinds = (
        "title",
        "header",
        "subheader",
        "markdown",
        "caption",
        "text",
        "code",
        "error",
        "warning",
        "info",
        "success",
        "toast",
    )
    return "\n".join(str(element.value) for kind in kinds for element in getattr(at, kind))
