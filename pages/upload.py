"""Bring files: upload with a preview, generate synthetic ones, or load what waits."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app import actions, components, context, reads
from app.actions import Preview, Submission
from etl import datasets
from etl.errors import RevenueError
from etl.generate import GeneratedFile

TYPES = ("json", "ndjson", "jsonl", "gz")
PAGE_ROWS = 20


def main() -> None:
    st.title("Upload & generate")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        with st.container(border=True):
            show_upload()
        results = st.container()
        with st.container(border=True):
            show_landing()
    with right, st.container(border=True):
        show_generate()
    with results:
        show_results()
    show_batches()


# Upload ---------------------------------------------------------------------------------


def show_upload() -> None:
    st.subheader("Upload")
    limit = context.settings().upload_limit_mb
    turn = st.session_state.setdefault("upload_turn", 0)
    files = st.file_uploader(
        "Sales or customer files",
        type=list(TYPES),
        accept_multiple_files=True,
        key=f"upload_{turn}",
        max_upload_size=limit,
        help=f"JSON (an array or one object a line), also gzipped, up to {limit} MB a file. "
        "Larger files belong into the landing zone.",
    )
    if not files:
        st.caption("A file is shown to you before it is accepted: feed, records, first verdicts.")
        return
    st.session_state.pop("results", None)  # of the files before these
    previews = {file.file_id: preview(file) for file in files}
    for shown in previews.values():
        show_preview(shown)
    good = [file for file in files if previews[file.file_id].is_acceptable]
    of = f"{len(good)} of {len(files)} files" if len(good) < len(files) else "and load"
    with st.container(horizontal=True, gap="small"):
        if st.button(
            f"Accept {of}", type="primary", icon=":material/check:", key="accept", disabled=not good
        ):
            accept(good)
        if st.button("Discard", icon=":material/close:", key="discard"):
            clear()


def preview(file: UploadedFile) -> Preview:
    kept: dict[str, Preview] = st.session_state.setdefault("previews", {})
    if file.file_id not in kept:
        with st.spinner("Reading the file"):
            kept[file.file_id] = actions.preview_file(context.desk(), name=file.name, content=file)
    return kept[file.file_id]


def show_preview(shown: Preview) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{components.escape(shown.name)}**", width="content")
            if shown.dataset:
                st.badge(shown.dataset, icon=":material/database:", color="blue")
            st.caption(
                f"{shown.records:,} records · {components.file_size(shown.bytes)}", width="content"
            )
        if shown.problem is not None:
            st.error(
                components.escape(shown.problem.message),
                title="This file would be rejected",
                icon=":material/error:",
            )
        elif shown.is_repetition:
            st.warning(
                f"Same content as batch {shown.same_as}: accepting it changes nothing.",
                icon=":material/content_copy:",
            )
        elif shown.same_as:
            st.info(
                f"Same content as batch {shown.same_as}, but other files came after it: "
                "accepting it brings its values back.",
                icon=":material/history:",
            )
        if shown.judged:
            show_sample(shown)
        if shown.first_records:
            with st.expander("First records, as received"):
                st.code("\n".join(shown.first_records), language="json", wrap_lines=True)


def show_sample(shown: Preview) -> None:
    share = shown.valid / shown.judged
    of = "All" if shown.judged == shown.records else "The first"
    st.progress(
        share,
        text=f"{of} {shown.judged:,} records judged: {shown.valid:,} valid, "
        f"{shown.judged - shown.valid:,} invalid",
    )
    if shown.reasons:
        st.caption(
            " · ".join(
                f"{components.escape(message)} {count:,}" for message, count in shown.reasons[:6]
            )
        )


def accept(files: list[UploadedFile]) -> None:
    results: list[Submission | tuple[str, str]] = []
    for file in files:
        try:
            results.append(actions.submit_file(context.desk(), name=file.name, content=file))
        except RevenueError as error:
            results.append((file.name, error.message))
    st.session_state["results"] = results
    clear()


def clear() -> None:
    """Empty the uploader, which frees the uploads' memory."""
    st.session_state["upload_turn"] += 1
    st.session_state.pop("previews", None)
    st.rerun()


def show_results() -> None:
    results = st.session_state.get("results", [])
    for result in results:
        if isinstance(result, Submission):
            show_submission(result)
        elif isinstance(result, GeneratedFile):
            st.success(
                f"**{components.escape(result.path.name)}** waits in the landing zone: "
                f"{result.records:,} records, {components.file_size(result.bytes)}.",
                icon=":material/check_circle:",
            )
        else:
            name, message = result
            st.error(
                components.escape(message), icon=":material/error:", title=components.escape(name)
            )
    for run_id in {done.run_id: None for done in results if isinstance(done, Submission)}:
        if run_id is not None:
            components.link(
                "runs", f"Follow run {run_id}", icon=":material/arrow_forward:", run=run_id
            )


def show_submission(done: Submission) -> None:
    name = components.escape(done.file_name)
    if done.status == "skipped":
        st.info(
            f"**{name}** has the same content as batch {done.duplicate_of}: nothing to load.",
            icon=":material/content_copy:",
        )
    elif done.status == "waiting":
        taker = f"run {done.run_id}" if done.run_id else "the next run"
        st.info(
            f"**{name}** waits in the landing zone: another run of {done.dataset} is at work, "
            f"{taker} takes it.",
            icon=":material/hourglass_top:",
        )
    else:
        st.success(
            f"**{name}** is batch {done.batch_id} of {done.dataset}; run {done.run_id} loads it.",
            icon=":material/check_circle:",
        )


# Generate -------------------------------------------------------------------------------


def show_generate() -> None:
    st.subheader("Generate")
    with st.form("generate", border=False):
        dataset = st.segmented_control(
            "Feed", list(datasets.declared()), default="sales", required=True, key="make_dataset"
        )
        one, two = st.columns(2)
        records = one.number_input(
            "Records", 1, actions.GENERATED_LIMIT, 1000, step=1000, key="make_records"
        )
        seed = two.number_input(
            "Seed", 0, 2**31 - 1, 0, key="make_seed", help="The same seed gives the same bytes"
        )
        percent = one.number_input("Invalid, %", 0, 100, 15, key="make_invalid")
        kind = two.selectbox("Format", ("json", "ndjson"), key="make_format")
        at_once = st.checkbox("Load it at once", value=True, key="make_run")
        pressed = st.form_submit_button(
            "Generate", icon=":material/auto_awesome:", type="primary", key="make"
        )
    if pressed:
        generate(
            at_once=at_once,
            dataset=dataset,
            records=records,
            seed=seed,
            invalid_rate=percent / 100,
            format=kind,
        )


def generate(*, at_once: bool, **wish: Any) -> None:
    with components.reporting("The file cannot be generated"):
        with st.spinner("Generating"):
            made = actions.generate_file(context.desk(), **wish)
        if at_once:
            load(made.path.name)
        st.session_state["results"] = [made]
        st.rerun()


# What waits, and what came --------------------------------------------------------------


def show_landing() -> None:
    st.subheader("Landing zone")
    files, total = reads.waiting_files()
    folder = components.escape(context.settings().landing)
    if not files:
        st.caption(f"No file waits. Files put into {folder} appear here.")
        return
    st.caption(f"{total:,} file{'s' if total > 1 else ''} in {folder} that belong to no batch yet")
    row = components.list_table(
        [
            {
                "load": ":material/play_arrow: Load" if file.dataset else None,
                "name": file.shown_name,
                "dataset": file.dataset,
                "size": components.file_size(file.bytes),
                "modified": file.modified_at,
                "problem": file.problem,
            }
            for file in files
        ],
        {
            "load": "",
            "name": components.text_column("File", width=190),
            "dataset": components.text_column("Feed", width=85),
            "size": components.text_column("Size", width=80),
            "modified": components.time_column("Changed"),
            "problem": components.text_column("Problem", width=300),
        },
        alt="Files that wait in the landing zone",
        key="landing",
        opens="load",
        height="content" if len(files) < 8 else 300,
    )
    if row is not None:
        with components.reporting("The file cannot be loaded"):
            load(files[row].name)


def load(name: str) -> None:
    st.session_state["results"] = [actions.submit_landing_file(context.desk(), name)]
    st.rerun()


def show_batches() -> None:
    st.subheader("Accepted and rejected files")
    with st.container(horizontal=True, gap="medium"):
        filters = {
            "dataset": components.filter_pills(
                "Feed", list(datasets.declared()), key="feed", page_key="page"
            ),
            "status": components.filter_pills(
                "Status",
                components.BATCH_STATES,
                key="status",
                page_key="page",
                words=components.state_option,
            ),
        }
    total = reads.value("queries/batches.count", **filters)
    if not total:
        if any(filters.values()):
            components.empty_state(
                "No file fits these filters", "Clear a filter to see more.", icon="filter_alt_off"
            )
        else:
            components.empty_state("No file came yet", "Upload or generate one above.")
        return
    everything = components.Download(
        file_name="batches.csv",
        data=lambda: components.as_csv(
            reads.rows("queries/batches.history", **filters, limit=100_000, offset=0)
        ),
    )
    body, offset = components.list_frame(
        total, size=PAGE_ROWS, key="page", word="file", downloads=[everything]
    )
    batches = reads.rows("queries/batches.history", **filters, limit=PAGE_ROWS, offset=offset)
    with body:
        row = components.batch_table(batches, key=f"batches_{offset}", opens=True)
    if row is not None and batches[row]["run_id"]:
        components.go("runs", run=batches[row]["run_id"])


main()
