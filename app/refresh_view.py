"""The Power BI refresh of a run, as the run's page shows it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import streamlit as st

from app import components, context, reads
from app.actions import powerbi
from etl.settings import PREFIX

OPEN = frozenset({"waiting", "running"})


def show_refresh(run_id: int) -> None:
    """Show what became of the refresh that the run asked for; nothing when it asked for none."""
    found = _read(run_id)
    if found is None:
        return
    is_open = found["state"] in OPEN
    components.live(every="4s" if is_open else None)(_show)(run_id, is_open)


def _show(run_id: int, was_open: bool) -> None:
    found = _read(run_id)
    if found is None or (found["state"] in OPEN) != was_open:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader("Power BI", width="content")
        components.state_badge(found["state"])
        st.space("stretch")
        if found["state"] == "failed":
            show_button("Ask again")
    moments = {"requested": "requested_at", "started": "started_at", "ended": "ended_at"}
    st.caption(
        components.escape(" · ".join(_facts(found))),
        help=" · ".join(
            f"{label} {components.absolute(found[name])}"
            for label, name in moments.items()
            if found[name]
        ),
    )
    _show_reason(found)


def _read(run_id: int) -> dict[str, Any] | None:
    return next(iter(reads.rows("queries/refreshes.of_run", run_id=run_id)), None)


def _facts(found: dict[str, Any]) -> list[str]:
    facts = [
        f"refresh {found['refresh_id']}, {found['form']} form",
        f"asked for {components.ago(found['requested_at'])}",
    ]
    if found["covered_by"]:
        facts.append(f"sent as part of refresh {found['covered_by']}")
    if found["state"] == "running":
        facts.append(f"started {components.ago(found['started_at'])}")
    elif found["seconds"] is not None:
        facts.append(f"took {components.duration(found['seconds'])}")
    if found["ended_at"] and found["state"] != "dry_run":
        facts.append(f"ended {components.ago(found['ended_at'])}")
    return facts


def _show_reason(found: dict[str, Any]) -> None:
    if found["state"] == "dry_run":
        sent = found["would_send"]
        st.info("Nothing was sent. This would have been:", icon=":material/science:")
        st.code(f"{sent['method']} {sent['address']}", language=None, wrap_lines=True)
        st.json(sent["body"])
    elif found["state"] == "failed":
        components.reason(
            "failed", f"{found['error']}. The run and its data are not touched by it."
        )
        if found["later_id"]:
            st.success(
                f"Refresh {found['later_id']} completed {components.ago(found['later_ended_at'])}: "
                "Power BI holds what this run brought as well.",
                icon=":material/check_circle:",
            )
    elif found["state"] in OPEN:
        _show_wait(found)


def _show_wait(found: dict[str, Any]) -> None:
    words = str(found["error"] or "")
    if context.settings().powerbi_refresh == "off":
        words = (
            f"Refreshes are switched off now ({PREFIX}POWERBI_REFRESH); it goes on once they are "
            "switched on again."
        )
    elif reads.value("queries/runs.worker_heartbeat") is None:
        does = "sends" if found["state"] == "waiting" else "follows"
        words = f"A worker {does} it, and none is running: revenue worker starts one."
    elif words and found["next_attempt_at"] > dt.datetime.now(dt.UTC):
        words = f"{words}. Next try {components.ago(found['next_attempt_at'])}."
    if words:
        st.info(components.escape(words), icon=":material/hourglass_top:")


def show_button(label: str) -> None:
    """Show a button that asks for a refresh; nothing while refreshes are off."""
    if context.settings().powerbi_refresh == "off":
        return
    if st.button(
        label,
        icon=":material/sync:",
        key="refresh_again",
        help="Asks Power BI for a refresh, which holds all that gold holds then",
    ):
        with components.reporting("The refresh cannot be asked for"):
            refresh_id = powerbi.refresh_now(context.desk())
            st.toast(f"Refresh {refresh_id} waits to be sent", icon=":material/sync:")
            st.rerun()
