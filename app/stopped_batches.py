"""Batches that a rule's limit stopped, as the page of their run shows them: why, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import components, context
from app.actions import limits

_OPEN = "stopped_dialog"


def show_stopped(batches: Sequence[dict[str, Any]]) -> None:
    """Show each stopped batch with the three ways on."""
    for batch in batches:
        if batch["status"] == "stopped":
            _show_one(batch)
    opened = st.session_state.get(_OPEN)
    for batch in batches:
        if opened is not None and opened[1] == batch["batch_id"]:
            (_pass_dialog if opened[0] == "pass" else _discard_dialog)(batch)


def _show_one(batch: dict[str, Any]) -> None:
    batch_id = batch["batch_id"]
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                f"**Batch {batch_id} · {components.escape(batch['file_name'])}**", width="content"
            )
            components.state_badge("stopped")
            st.caption(
                f"{batch['records']:,} records, in raw alone; stopped "
                f"{components.ago(batch['stopped_at'])}",
                width="content",
                help=components.absolute(batch["stopped_at"]),
            )
        st.warning(components.escape(batch["reason"]), icon=components.STATES["stopped"].icon)
        st.caption(
            "Nothing of it is in silver or gold, and no run takes it up by itself. Files that came "
            "later are loaded; when it is loaded after them, their rows stay as they are."
        )
        with st.container(horizontal=True, gap="small"):
            if batch["passed_by"]:
                st.caption(
                    "It may pass: its run is queued. *Judge again* takes that back.",
                    width="content",
                )
            st.button(
                "Load it anyway",
                icon=":material/play_arrow:",
                key=f"pass_{batch_id}",
                type="primary",
                disabled=bool(batch["passed_by"]),
                help="Once, in spite of its limits; invalid records go to the queue as always",
                on_click=_open,
                args=("pass", batch_id),
            )
            if st.button(
                "Judge again",
                icon=":material/history:",
                key=f"judge_{batch_id}",
                help="By the rules and limits of now: after one of them changed",
            ):
                with components.reporting("It cannot be judged again"):
                    started = limits.judge_again(context.desk(), batch_id)
                    components.tell_started([started])
                    components.step_into(run=started.run_id, level=None)
            st.button(
                "Discard",
                icon=":material/delete:",
                key=f"discard_{batch_id}",
                help="It never reaches silver; raw keeps its records",
                on_click=_open,
                args=("discard", batch_id),
            )


def _open(name: str, batch_id: int) -> None:
    st.session_state[_OPEN] = (name, batch_id)


def _close() -> None:
    st.session_state.pop(_OPEN, None)


@st.dialog("Load it anyway", on_dismiss=_close)
def _pass_dialog(batch: dict[str, Any]) -> None:
    st.text(batch["reason"])
    reason = _ask_for_reason()
    if st.button("Load it", type="primary", icon=":material/play_arrow:", key="pass_go"):
        with components.reporting("It cannot be loaded"):
            started = limits.let_pass(context.desk(), batch["batch_id"], reason=reason)
            components.tell_started([started])
            _close()
            components.step_into(run=started.run_id, level=None)


@st.dialog("Discard", on_dismiss=_close)
def _discard_dialog(batch: dict[str, Any]) -> None:
    st.markdown("This cannot be undone. To load the file after all, bring it again.")
    reason = _ask_for_reason()
    if st.button("Discard it", type="primary", icon=":material/delete:", key="discard_go"):
        with components.reporting("It cannot be discarded"):
            limits.discard(context.desk(), batch["batch_id"], reason=reason)
            _close()
            st.rerun()


def _ask_for_reason() -> str:
    return st.text_area("Why", key="stopped_reason", max_chars=limits.REASON_CHARACTERS, height=80)
