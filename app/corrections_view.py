"""A corrected file comes back: what it holds, what its replay will do, and the replay."""

from __future__ import annotations

import streamlit as st

from app import auth, components, context, rehearsal_view
from app.actions import corrections, repairs
from app.actions.corrections import Corrections
from app.auth import Role
from etl.repair import Edit, Rehearsal

_READ = "corrections"
_REHEARSED = "corrections_rehearsed"


def show_upload() -> None:
    """Show where a corrected file is brought back."""
    if auth.current().role < Role.STEWARD:
        return
    with st.popover("Bring corrected records back", icon=":material/upload_file:"):
        st.caption(
            "Download the records below as XLSX, CSV or JSON, correct them, and bring the file "
            "back: its rows find their records again, and what is valid closes them."
        )
        file = st.file_uploader(
            "Corrected file", type=["xlsx", "csv", "json"], key="corrected_file"
        )
        if st.button("Read it", type="primary", key="corrected_read", disabled=file is None):
            assert file is not None
            st.session_state.pop(_REHEARSED, None)
            with components.reporting("The file is refused: nothing was changed"):
                st.session_state[_READ] = corrections.read(
                    context.desk(), name=file.name, content=file
                )
                st.rerun()


def show_found() -> None:
    """Show what the file that was read holds, until it is replayed or put aside."""
    found: Corrections | None = st.session_state.get(_READ)
    if found is None:
        return
    count = sum(map(len, found.edits.values()))
    with st.container(border=True, gap="small", key="corrections_panel"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(f"Corrected: {components.escape(found.name)}", width="content")
            st.space("stretch")
            if st.button("Put aside", type="tertiary", key="corrected_drop"):
                _forget()
                st.rerun()
        with st.grid(3, min_column_width=110, gap="small"):
            st.metric("Edited", f"{count:,}", border=True)
            st.metric("Unchanged", f"{found.unchanged:,}", border=True)
            st.metric("Refused", f"{found.refused_rows:,}", border=True)
        if found.refused:
            components.list_table(
                [{"row": row, "reason": reason} for row, reason in found.refused],
                {
                    "row": components.count_column("Row"),
                    "reason": components.text_column("Why, and what to do", width=620),
                },
                alt="Rows of the file that cannot be taken",
                key="corrected_refused",
                height="content" if len(found.refused) < 8 else 260,
            )
        for feed, edits in found.edits.items():
            _show_feed(found, feed, edits)
        if not count:
            st.caption("No record was edited: there is nothing to replay.")


def _show_feed(found: Corrections, feed: str, edits: list[Edit]) -> None:
    words = f"{len(edits):,} record{'' if len(edits) == 1 else 's'} of {feed}"
    reason = st.text_input(
        f"Reason ({feed})",
        key=f"corrected_reason_{feed}",
        placeholder="Why they are right; it stays in the history of each record",
    )
    rehearsed: dict[str, Rehearsal[rehearsal_view.Figures]] = st.session_state.setdefault(
        _REHEARSED, {}
    )
    with st.container(horizontal=True, gap="small"):
        if st.button(
            f"Preview {words}", icon=":material/visibility:", key=f"corrected_preview_{feed}"
        ):
            with components.reporting("There is no preview"), st.spinner("Trying it out …"):
                rehearsed[feed] = repairs.rehearse(context.desk(), feed, edits)
        if st.button(
            f"Replay {words}",
            icon=":material/replay:",
            type="primary",
            key=f"corrected_replay_{feed}",
        ):
            with components.reporting("Nothing was replayed"):
                done = repairs.replay(
                    context.desk(),
                    feed,
                    edits,
                    reason=reason,
                    operation=f"corrected in {found.name}",
                )
                left = f"; {len(done.left):,} are still invalid" if done.left else ""
                st.toast(
                    f"Run {done.run_id} takes {done.records:,} records{left}",
                    icon=":material/replay:",
                )
                del found.edits[feed]
                rehearsed.pop(feed, None)
                if not found.edits:
                    _forget()
                st.rerun()
    if feed in rehearsed:
        rehearsal_view.show(rehearsed[feed])


def _forget() -> None:
    st.session_state.pop(_READ, None)
    st.session_state.pop(_REHEARSED, None)
