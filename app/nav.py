"""The registry of pages: group, title, icon, address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

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
    Screen(name="dashboard", title="Dashboard", icon=":material/monitoring:", group="Analyse"),
    Screen(name="health", title="Health & audit", icon=":material/ecg_heart:", group="Govern"),
)


def page(name: str) -> StreamlitPage:
    """Return the page called `name`, for st.switch_page and st.page_link."""
    screen = next(screen for screen in SCREENS if screen.name == name)
    return st.Page(
        _PAGES / f"{screen.name}.py",
        title=screen.title,
        icon=screen.icon,
        url_path=screen.name,
        default=screen.default,
    )


def pages() -> dict[str, list[StreamlitPage]]:
    """Return every page by group, in order."""
    groups: dict[str, list[StreamlitPage]] = {}
    for screen in SCREENS:
        groups.setdefault(screen.group, []).append(page(screen.name))
    return groups
