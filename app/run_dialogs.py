"""Dialogs that start runs: one again, and batches judged again with a preview of what it touches."""

from __future__ import annotations

import datetime as dt
from typing import Any

import streamlit as st

from app import components, context, reads
from app.actions import again
from etl import datasets
from etl.reprocess import Choice, Touched

_OPEN = "run_dialog"
_EVERYTHING_WAITING = "All that wait"
_PERIOD, _FILES, _EVERYTHING = "A period", "Files", "Everything"
_LISTED = 200  # newest files to choose from


def show_again_buttons(run: dict[str, Any]) -> None:
    """Show the buttons that repeat a run that is over, and their dialogs; none for a prediction."""
    if run["predicts"] is not None:
        return
    st.button(
        "Judge again",
        icon=":material/history:",
        key="reprocess",
        help="Its batches are read again from raw and judged by the rules of now",
        on_click=_open,
        args=("reprocess", run["run_id"]),
    )
    st.button(
        "Run again",
        icon=":material/replay:",
        key="again",
        help="With the same or changed parameters",
        on_click=_open,
        args=("again", run["run_id"]),
    )
    if _is_open("again", run["run_id"]):
        _again(run)
    elif _is_open("reprocess", run["run_id"]):
        loaded = [one["batch_id"] for one in run["batches"] if one["status"] in _LOADED]
        _reprocess(run["dataset"], loaded)


_LOADED = {"loaded", "promoted"}


def show_reprocess_button() -> None:
    """Show the button that judges batches of any feed again, and its dialog."""
    st.button(
        "Judge again",
        icon=":material/history:",
        key="reprocess",
        help="A period, files or everything: read again from raw, judged by the rules of now",
        on_click=_open,
        args=("reprocess", None),
    )
    if _is_open("reprocess", None):
        _reprocess(next(iter(datasets.declared())), [])


def _open(name: str, run_id: int | None) -> None:
    st.session_state[_OPEN] = (name, run_id)


def _is_open(name: str, run_id: int | None) -> bool:
    return bool(st.session_state.get(_OPEN) == (name, run_id))


def _close() -> None:
    st.session_state.pop(_OPEN, None)


def _follow(run_id: int) -> None:
    _close()
    components.step_into(run=run_id, level=None, page=None)


@st.dialog("Run again", on_dismiss=_close)
def _again(run: dict[str, Any]) -> None:
    feeds = datasets.declared()
    names = list(feeds)
    dataset = st.segmented_control(
        "Feed",
        names,
        default=run["dataset"] if run["dataset"] in names else names[0],
        required=True,
        format_func=lambda name: feeds[name].title,
        key="again_feed",
    )
    is_same_feed = dataset == run["dataset"]
    waiting, _ = reads.waiting_files()
    files = {file.name: file.shown_name for file in waiting if file.dataset in {None, dataset}}
    source = st.selectbox(
        "Source file",
        [_EVERYTHING_WAITING, *files],
        format_func=lambda name: files.get(name, name),
        key="again_source",
        help="Files of the landing zone; what was loaded before is judged again from raw instead",
    )
    chosen = run["chosen_batches"] if is_same_feed and source == _EVERYTHING_WAITING else None
    is_full = st.toggle(
        "Judge every batch again from raw",
        value=run["is_full"] and chosen is None,
        key="again_full",
    )
    if chosen is not None and not is_full:
        st.caption(f"Judges the same {len(chosen):,} batch(es) again; takes no file.")
    if st.button("Queue the run", type="primary", icon=":material/replay:", key="again_go"):
        with components.reporting("The run cannot be repeated"):
            started = again.run_again(
                context.desk(),
                run["run_id"],
                dataset=dataset,
                source_file=None if source == _EVERYTHING_WAITING else source,
                is_full=is_full,
            )
            components.tell_started([started])
            _follow(started.run_id)


@st.dialog("Judge again", width="medium", on_dismiss=_close)
def _reprocess(dataset: str, batches: list[int]) -> None:
    feeds = datasets.declared()
    names = list(feeds)
    feed = st.segmented_control(
        "Feed",
        names,
        default=dataset if dataset in names else names[0],
        required=True,
        format_func=lambda name: feeds[name].title,
        key="reprocess_feed",
    )
    what = st.segmented_control(
        "What",
        [_FILES, _PERIOD, _EVERYTHING],
        default=_FILES if batches else _PERIOD,
        required=True,
        key="reprocess_what",
    )
    choice = _choice(feed or names[0], what, batches if feed == dataset else [])
    if choice is None:
        st.caption("Choose what shall be judged again.")
        return
    desk = context.desk()
    with components.reporting("This cannot be judged again"):
        touched = again.preview_reprocess(desk, choice)
        _show_touched(touched)
        go = st.button(
            "Queue the run",
            type="primary",
            icon=":material/history:",
            key="reprocess_go",
            disabled=not touched.batches,
        )
        if go:
            started = again.reprocess_batches(desk, choice)
            components.tell_started([started])
            _follow(started.run_id)


def _choice(dataset: str, what: str | None, batches: list[int]) -> Choice | None:
    if what == _EVERYTHING:
        return Choice(dataset=dataset)
    if what == _PERIOD:
        today = dt.datetime.now(dt.UTC).date()
        period = st.date_input(
            "Files accepted from … to, UTC",
            value=(today - dt.timedelta(days=6), today),
            key="reprocess_period",
        )
        if not isinstance(period, tuple) or len(period) != 2:
            return None
        return Choice(dataset=dataset, first_day=period[0], last_day=period[1])
    known = reads.loaded_batches(dataset, limit=_LISTED)
    names = {batch["batch_id"]: f"{batch['batch_id']} · {batch['file_name']}" for batch in known}
    names |= {batch: str(batch) for batch in batches if batch not in names}
    chosen = st.multiselect(
        "Files",
        list(names),
        default=batches,
        format_func=lambda batch: names[batch],
        key="reprocess_files",
        placeholder="Batch and file",
    )
    return Choice(dataset=dataset, batches=tuple(chosen)) if chosen else None


def _show_touched(touched: Touched) -> None:
    if not touched.batches:
        components.empty_state(
            "No loaded file fits", "Choose a longer period.", icon="filter_alt_off"
        )
        return
    with st.container(horizontal=True, gap="small"):
        st.metric("Batches", f"{len(touched.batches):,}", border=True)
        st.metric("Records", f"{touched.records:,}", border=True)
        st.metric("Invalid until now", f"{touched.invalid_records:,}", border=True)
    if not touched.is_whole:
        st.info(
            f"It may widen to all {touched.all_batches:,} batches with "
            f"{touched.all_records:,} records: that happens when a batch that is not chosen may hold "
            "the record that counts. The run says so.",
            icon=":material/open_in_full:",
        )
