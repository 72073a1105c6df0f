"""Widgets and words that two or more pages use."""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from etl.errors import RevenueError


def run_page(page: StreamlitPage) -> None:
    """Run the page; an error of ours is shown in words, never as a traceback."""
    try:
        page.run()
    except RevenueError as error:
        st.error(error.message, title="This page cannot be shown", icon=":material/error:")
