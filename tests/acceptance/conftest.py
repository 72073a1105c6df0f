"""The running product and a browser, shared by the acceptance tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine

from etl import settings
from etl.db.connect import database
from tests.browser import App, a_home, chromium, up


@pytest.fixture(scope="session")
def app() -> Iterator[App]:
    with a_home() as home, up(home) as started:
        yield started


@pytest.fixture(scope="session")
def engine(app: App) -> Iterator[Engine]:
    """The app's own database, for what a test has to know at once."""
    with database(settings.load(home=app.home, database_url="embedded:")) as opened:
        yield opened.engine


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    yield page
    context.close()


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("REVENUE_")}


def revenue(
    home: Path, *arguments: str, is_json: bool = True, may_fail: bool = False
) -> dict[str, Any]:
    """Run the command beside the app and return its JSON, if it is to print any."""
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments, *(["--json"] if is_json else [])],
        env={**environment(), "REVENUE_HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        check=not may_fail,
        timeout=120,
    )
    return json.loads(done.stdout) if is_json else {}
