"""The Streamlit entry: navigation and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run app/main.py` puts app/ on the path, not the project
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import streamlit as st

from app import components, nav

page = st.navigation(nav.pages(), expanded=True)
components.frame(page)
components.run_page(page)
