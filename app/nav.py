"""The registry of pages: group, title, icon, address."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError
from streamlit.navigation.page import StreamlitPage

from app import reads
from etl.errors import RevenueError

_COUNTED = 1_000  # records; more are "999+"
_PAGES = Path(__file__).resolve().parents[1] / "pages"


@dataclass(frozen=True, kw_only=True)
class Screen:
    """One page; `name` is its file in pages/ and its address."""

    name: str
    title: str
    icon: str
    group: str
    default: bool = False


SCREENS = (
    Screen(
        name="overview", title="Overview", icon=":material/home:", group="Operate", default=True
    ),
    Screen(
        name="upload", title="Upload & generate", icon=":material/upload_file:", group="Operate"
    ),
    Screen(name="runs", title="Runs", icon=":material/play_circle:", group="Operate"),
    Screen(name="schedules", title="Schedules", icon=":material/event_repeat:", group="Operate"),
    Screen(name="logs", title="Logs", icon=":material/subject:", group="Operate"),
    Screen(name="alerts", title="Alerts", icon=":material/notifications:", group="Operate"),
    Screen(
        name="invalid_records",
        title="Invalid records",
        icon=":material/rule:",
        group="Quality",
    ),
    Screen(name="repairs", title="Repair by cause", icon=":material/build:", group="Quality"),
    Screen(name="rules", title="Rules", icon=":material/gavel:", group="Quality"),
    Screen(name="dashboard", title="Dashboard", icon=":material/monitoring:", group="Analyse"),
    Screen(name="explain", title="Explain a number", icon=":material/quiz:", group="Analyse"),
    Screen(name="explore", title="Explore", icon=":material/query_stats:", group="Analyse"),
    Screen(name="powerbi", title="Power BI", icon=":material/bar_chart:", group="Connect"),
    Screen(name="health", title="Health & audit", icon=":material/ecg_heart:", group="Govern"),
)


@cache
def page(name: str) -> StreamlitPage:
    """Return the page called `name`, for st.switch_page and st.page_link; a dashboard links 15 times."""
    return _made(next(screen for screen in SCREENS if screen.name == name))


def _made(screen: Screen, *, badge: str = "") -> StreamlitPage:
    return st.Page(
        _PAGES / f"{screen.name}.py",
        title=f"{screen.title} {badge}".rstrip(),
        icon=screen.icon,
        url_path=screen.name,
        default=screen.default,
    )


def pages() -> dict[str, list[StreamlitPage]]:
    """Return every page by group, in order; one says how many invalid records wait for somebody."""
    count = waiting_records()
    shown = f"{_COUNTED - 1}+" if count >= _COUNTED else str(count)
    badges = {"invalid_records": f":gray-badge[{shown}]"} if count else {}
    groups: dict[str, list[StreamlitPage]] = {}
    for screen in SCREENS:
        listed = _made(screen, badge=badges.get(screen.name, ""))
        groups.setdefault(screen.group, []).append(listed)
    return groups


def title(shown: StreamlitPage) -> str:
    """Return the title of a page without what the navigation says beside it."""
    return next(
        screen.title
        for screen in SCREENS
        if shown.url_path == ("" if screen.default else screen.name)
    )


@st.cache_data(ttl=5, show_spinner=False)
def waiting_records() -> int:
    """Return how many invalid records wait for somebody, up to a limit; 0 without a database.

    Remembered for seconds, so that no page waits for it; `waiting_records.clear()` forgets it.
    """
    try:
        return int(reads.value("queries/triage_states.count_unfinished", limit=_COUNTED))
    except (RevenueError, SQLAlchemyError):
        return 0  # the page itself says what is wrong
