"""Widgets and words that two or more pages use.

Text that comes from data never becomes markdown: it goes into st.text, st.code, st.dataframe, or
through `escape`.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import functools
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, ParamSpec

import msgspec
import pandas as pd
import streamlit as st
from pandas.errors import DatabaseError as FrameError
from sqlalchemy.exc import SQLAlchemyError
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from app import auth, nav, reads
from app.actions import Started
from etl.errors import RevenueError
from etl.export import defused
from etl.masking import mask_known
from etl.model import RunStatus

PRODUCT = "Customer Revenue Analytics Platform"
_SEARCH_CHARACTERS = 100
_BUILT_IN_DOWNLOAD = "[data-testid=stElementToolbar] [aria-label^='Download as CSV']"
_ASSETS = Path(__file__).parent / "assets"

P = ParamSpec("P")
Colour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>$~:&^=])")
_LINK_START = re.compile(r"(?<=:)(?=\S)|(?<=@)|(?<=www)(?=\.)", re.IGNORECASE)
_SPACE = re.compile(r"[\s\x00]+")


# Words ----------------------------------------------------------------------------------


def escape(text: object) -> str:
    """Return text from data so that markdown shows it as it is: no links, images or colours.

    A zero-width space breaks what would otherwise become a link or an emoji. A secret that this
    process knows is masked.
    """
    plain = _SPACE.sub(" ", mask_known(str(text))).encode("utf-8", "replace").decode()
    return _MARKDOWN.sub(r"\\\1", _LINK_START.sub("\u200b", plain))


def pretty(record: str) -> str:
    """Return JSON text with line breaks; text that is none stays as it is."""
    try:
        return msgspec.json.format(record, indent=2)  # keeps numbers and escapes as they are
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return record


@dataclass(frozen=True, kw_only=True)
class State:
    """How a state looks: always words, icon and colour together."""

    word: str
    icon: str
    sign: str  # the icon where only text can stand
    colour: Colour
    shade: str  # the colour where only a value can stand


def _state(word: str, icon: str, sign: str, colour: Colour, shade: str) -> State:
    return State(word=word, icon=f":material/{icon}:", sign=sign, colour=colour, shade=shade)


_GREY, _BLUE, _GREEN, _AMBER = "#7C8797", "#3B6FD4", "#2F8F5B", "#B7791F"
_RED, _SLATE, _ORANGE, _VIOLET = "#C8372D", "#56657A", "#D9661F", "#7A5BC0"

STATES: Mapping[str, State] = {
    # runs and steps
    "queued": _state("queued", "schedule", "○", "gray", _GREY),
    "running": _state("running", "progress_activity", "◐", "blue", _BLUE),
    "succeeded": _state("succeeded", "check_circle", "✓", "green", _GREEN),
    "warned": _state("warned", "warning", "!", "yellow", _AMBER),
    "failed": _state("failed", "error", "✗", "red", _RED),
    "cancelled": _state("cancelled", "cancel", "–", "gray", _SLATE),
    "lost": _state("lost", "link_off", "?", "orange", _ORANGE),
    # schedules
    "active": _state("active", "event_repeat", "↻", "green", _GREEN),
    "paused": _state("paused", "pause_circle", "–", "yellow", _AMBER),
    "removed": _state("removed", "delete", "✗", "gray", _SLATE),
    # refreshes of Power BI
    "completed": _state("completed", "check_circle", "✓", "green", _GREEN),
    "dry_run": _state("dry run", "science", "–", "gray", _SLATE),
    # batches
    "accepted": _state("accepted", "schedule", "○", "gray", _GREY),
    "extracted": _state("in raw", "progress_activity", "◐", "blue", _BLUE),
    "loaded": _state("in silver", "progress_activity", "◐", "blue", _BLUE),
    "promoted": _state("in gold", "check_circle", "✓", "green", _GREEN),
    "rejected": _state("rejected", "error", "✗", "red", _RED),
    "skipped": _state("skipped", "skip_next", "–", "gray", _SLATE),
    "stopped": _state("stopped", "front_hand", "■", "orange", _ORANGE),
    "discarded": _state("discarded", "delete", "✗", "gray", _SLATE),
    # invalid records
    "open": _state("open", "inbox", "●", "yellow", _AMBER),
    "assigned": _state("assigned", "person", "◐", "blue", _BLUE),
    "snoozed": _state("snoozed", "snooze", "☾", "violet", _VIOLET),
    "back_to_source": _state("back to source", "undo", "↩", "orange", _ORANGE),
    "fixed": _state("fixed", "check_circle", "✓", "green", _GREEN),
    "dismissed": _state("dismissed", "cancel", "–", "gray", _SLATE),
    "superseded": _state("superseded", "layers", "≫", "gray", _GREY),
    # rules and their drafts
    "on": _state("on", "toggle_on", "✓", "green", _GREEN),
    "off": _state("off", "toggle_off", "–", "gray", _SLATE),
    "reject": _state("rejects", "block", "✗", "red", _RED),
    "warn": _state("warns", "warning", "!", "yellow", _AMBER),
    "draft": _state("draft", "edit_note", "○", "blue", _BLUE),
    "activated": _state("activated", "check_circle", "✓", "green", _GREEN),
    "withdrawn": _state("withdrawn", "cancel", "–", "gray", _SLATE),
    "outdated": _state("outdated", "update_disabled", "?", "orange", _ORANGE),
    "loaded_repair": _state("loaded", "check_circle", "✓", "green", _GREEN),
    "taken_back": _state("taken back", "undo", "↶", "gray", _SLATE),
    # layers
    "fresh": _state("fresh", "check_circle", "✓", "green", _GREEN),
    "late": _state("late", "warning", "!", "yellow", _AMBER),
    "stale": _state("stale", "error", "✗", "red", _RED),
    "never_ran": _state("never ran", "schedule", "○", "gray", _GREY),
    # processes
    "alive": _state("alive", "check_circle", "✓", "green", _GREEN),
    "silent": _state("silent", "warning", "?", "orange", _ORANGE),
    "process_stopped": _state("stopped", "cancel", "–", "gray", _SLATE),
    # incidents and their messages
    "firing": _state("open", "notifications_active", "▲", "red", _RED),
    "resolved": _state("resolved", "check_circle", "✓", "green", _GREEN),
    "waiting": _state("waiting", "schedule", "○", "gray", _GREY),
    "sent": _state("sent", "check_circle", "✓", "green", _GREEN),
    # lines of the log
    "debug": _state("debug", "bug_report", "·", "gray", _GREY),
    "info": _state("info", "info", "i", "blue", _BLUE),
    "warning": _state("warning", "warning", "!", "yellow", _AMBER),
    "error": _state("error", "error", "✗", "red", _RED),
}


def state_label(state: str) -> str:
    """Return a state for lists: sign and word."""
    return f"{STATES[state].sign} {STATES[state].word}"


def state_option(state: str) -> str:
    """Return a state for the label of a choice."""
    return f"{STATES[state].icon} {STATES[state].word}"


def state_badge(state: str, *, help: str | None = None) -> None:  # noqa: A002 - Streamlit's word
    """Show a state as a badge."""
    shown = STATES[state]
    st.badge(shown.word, icon=shown.icon, color=shown.colour, help=help)


def absolute(moment: dt.datetime | None) -> str:
    """Return a moment with its zone, for hovers."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "never"


def ago(moment: dt.datetime | None, *, now: dt.datetime | None = None) -> str:
    """Return how long a moment is ago, in words."""
    if moment is None:
        return "never"
    seconds = ((now or dt.datetime.now(dt.UTC)) - moment).total_seconds()
    if abs(seconds) < 1.5:
        return "just now"
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "min"), (1, "s")):
        count = int(abs(seconds) // size)
        if count or size == 1:
            plural = "s" if unit in {"day", "hour"} and count != 1 else ""
            words = f"{count} {unit}{plural}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    raise AssertionError


def duration(seconds: float | None) -> str:
    """Return a duration in words."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def file_size(size: int) -> str:
    """Return a size in words."""
    amount = float(size)
    for unit in ("bytes", "KB", "MB"):
        if amount < 1024:
            return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
        amount /= 1024
    return f"{amount:,.1f} GB"


# Pages ----------------------------------------------------------------------------------


def frame(page: StreamlitPage) -> None:
    """Show what stands around every page: name of the product, and who acts."""
    st.set_page_config(
        page_title=f"{nav.title(page)} · {PRODUCT}",
        page_icon=str(_ASSETS / "icon.png"),
        layout="wide",
    )
    st.logo(str(_ASSETS / "logo.svg"), icon_image=str(_ASSETS / "icon.svg"), size="large")
    # the tables' own download would write formulas as they are; ours defuses them
    st.html(
        f"<style>{_BUILT_IN_DOWNLOAD} {{display: none}} "
        "[data-testid=stLayoutWrapper]:has(> [class*=st-key-wide_part]) "
        "{min-width: min(18rem, 100%)}</style>"
    )
    operator = auth.current()
    with st.sidebar:
        st.caption(
            f":material/person: {escape(operator.name)} · {operator.role.word}",
            help="Nobody signs in on this machine: whoever opens the pages is the local operator",
        )
    st.fragment(show_silence, run_every="10s")()
    with st.container():  # holds the place: what is open below stays open when a warning comes
        if page.url_path != "alerts":
            _show_failing_channels()


def _show_failing_channels() -> None:
    """Say on every page that alerts do not arrive; a database that is away is the page's matter."""
    with contextlib.suppress(RevenueError, SQLAlchemyError):
        failing = reads.rows("queries/incidents.failing_channels")
        if failing:
            names = ", ".join(channel["name"] for channel in failing)
            st.warning(
                f"Alerts do not arrive: {escape(names)} fails. *Alerts* says why.",
                icon=":material/notifications_off:",
            )


_SILENCE = {
    "worker": "Queued runs wait until one works",
    "scheduler": "Schedules and new files of the landing zone wait until one runs",
}


def show_silence() -> None:
    """Show a banner for a worker or scheduler that shows no signs of life.

    A database that does not answer is reported by the page itself.
    """
    try:
        beats = reads.heartbeats()
    except (RevenueError, SQLAlchemyError):
        return
    for beat in beats:
        if beat.is_silent:
            last = f"{ago(beat.at, now=beat.now)} ({absolute(beat.at)})" if beat.at else "never"
            st.warning(
                f"{_SILENCE[beat.kind]}. Last heartbeat: {escape(last)}. "
                f"This starts one: `revenue {beat.kind}`",
                title=f"No {beat.kind} shows signs of life",
                icon=":material/heart_broken:",
            )


def wide_part(key: str) -> DeltaGenerator:
    """Return a container for words in a row; where they would be squeezed, what follows wraps."""
    return st.container(gap="xsmall", width="stretch", key=f"wide_part_{key}")


def run_page(page: StreamlitPage) -> None:
    """Run the page; an error of ours is shown in words, never as a traceback."""
    with reporting("This page cannot be shown"):
        page.run()


@contextlib.contextmanager
def reporting(title: str) -> Iterator[None]:
    """Show an error of ours, or of the database, in words under the title."""
    try:
        yield
    except RevenueError as error:
        st.error(escape(error.message), title=title, icon=":material/error:")
    except (SQLAlchemyError, FrameError):
        st.error(
            "The database did not answer as expected. Try again; when it stays so, "
            "`revenue status` says more.",
            title=title,
            icon=":material/error:",
        )


def live(*, every: str | None) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Make a part of a page that refreshes itself; `every` is None once nothing moves."""

    def wrap(part: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(part)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            with reporting("This part cannot be shown"):
                part(*args, **kwargs)

        return st.fragment(guarded, run_every=every)

    return wrap


def go(name: str, /, **query: object) -> None:
    """Open a page; does not return."""
    st.switch_page(nav.page(name), query_params={k: str(v) for k, v in query.items()})


def link(name: str, label: str, /, *, icon: str | None = None, **query: object) -> None:
    """Show a link to a page; the label is ours or escaped."""
    st.page_link(
        nav.page(name),
        label=label,
        icon=icon,
        query_params={k: str(v) for k, v in query.items()} or None,
    )


def chosen(name: str) -> int | None:
    """Return a number from the address, None when there is none."""
    text = st.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def empty_state(
    title: str, text: str, *, page: str | None = None, label: str = "", icon: str = "inbox"
) -> None:
    """Say that there is nothing, and what makes it come; both texts are ours."""
    with st.container(border=True, horizontal_alignment="center", gap="xsmall"):
        st.markdown(f":material/{icon}: **{title}**", width="content")
        st.caption(text, width="content", text_alignment="center")
        if page is not None:
            st.page_link(nav.page(page), label=label, icon=":material/arrow_forward:")


# Lists ----------------------------------------------------------------------------------


def filter_pills(
    label: str,
    options: Sequence[str],
    *,
    key: str,
    page_key: str,
    words: Callable[[str], str] = escape,
    default: str | None = None,
    required: bool = False,
) -> str | None:
    """Show a filter whose value stands in the address under `key`; one is chosen if `required`.

    The address is the only truth, so that a reload, a link or the back button shows the same list.
    `words` turns a value into markdown.
    """
    widget = f"{key}_pills"
    given = st.query_params.get(key, default)
    st.session_state[widget] = given if given in options else None
    return st.pills(
        label,
        options,
        key=widget,
        format_func=words,
        required=required,
        wrap=True,
        on_change=_write_filter,
        args=(key, widget, page_key),
    )


def filter_text(label: str, *, key: str, page_key: str, placeholder: str) -> str | None:
    """Show a search field whose text stands in the address under `key`."""
    widget = f"{key}_text"
    st.session_state[widget] = st.query_params.get(key, "")[:_SEARCH_CHARACTERS]
    text = st.text_input(
        label,
        key=widget,
        placeholder=placeholder,
        icon=":material/search:",
        width=220,
        max_chars=_SEARCH_CHARACTERS,
        on_change=_write_filter,
        args=(key, widget, page_key),
    )
    return text or None


def filter_select(
    label: str,
    options: Mapping[str, str],
    *,
    key: str,
    page_key: str,
    placeholder: str,
) -> str | None:
    """Show a filter with many values, each with its plain words; its value stands in the address."""
    widget = f"{key}_select"
    given = st.query_params.get(key)
    st.session_state[widget] = given if given in options else None
    return st.selectbox(
        label,
        list(options),
        index=None,
        key=widget,
        format_func=lambda value: options[value],
        placeholder=placeholder,
        width=180,
        on_change=_write_filter,
        args=(key, widget, page_key),
    )


def _write_filter(key: str, widget: str, page_key: str) -> None:
    write_address(**{key: st.session_state[widget], page_key: None})


def write_address(**values: object) -> None:
    """Write values into the address; None and "" take them out."""
    for key, value in values.items():
        if value not in {None, ""}:
            st.query_params[key] = str(value)
        elif key in st.query_params:
            del st.query_params[key]


def step_into(**values: object) -> None:
    """Change the address and show what it says now; does not return."""
    write_address(**values)
    st.rerun()


def list_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Any],
    *,
    alt: str,
    key: str,
    opens: str | None = None,
    selects: bool = False,
    height: int | Literal["auto", "content"] = "content",
) -> int | None:
    """Show rows as a table; return the index of the row whose button was pressed.

    `columns` are the columns to show, in order, with their configuration; `opens` is the column
    that holds the buttons. With `selects` rows can be ticked, see `selected_rows`; its `key` must
    then be another one as soon as the rows are.
    """
    frame = pd.DataFrame(
        [[row[name] for name in columns] for row in rows], columns=list(columns), dtype=object
    )
    for name in frame:
        frame[name] = frame[name].infer_objects()
    configured = dict(columns)
    click = f"{key}_open"
    if opens is not None:
        configured[opens] = st.column_config.ButtonColumn(
            columns[opens], type="tertiary", key=click, alignment="left", pinned=True
        )
    st.dataframe(
        frame,
        column_config=configured,
        hide_index=True,
        width="stretch",
        height=height,
        alt=alt,
        key=key,
        placeholder="–",
        on_select="rerun" if selects else "ignore",
        selection_mode="multi-row",
    )
    clicked = st.session_state.get(click) if opens is not None else None
    return int(clicked["row"]) if clicked else None


def selected_rows(key: str) -> list[int]:
    """Return the indexes of the rows that are ticked in the `list_table` of this key."""
    state = st.session_state.get(key)
    return sorted(state["selection"]["rows"]) if state else []


def state_column(label: str, *states: str) -> Any:
    """Return the configuration of a column of states; its cells come from `state_cell`."""
    return st.column_config.MultiselectColumn(
        label,
        options=[state_label(state) for state in states],
        color=[STATES[state].shade for state in states],
        width=112,
    )


def state_cell(state: str) -> list[str]:
    """Return a state as the cell of a `state_column`."""
    return [state_label(state)]


def time_column(label: str) -> Any:
    """Return the configuration of a column of moments: relative, absolute on click."""
    return st.column_config.DatetimeColumn(
        label, format="distance", width=116, help="Click a cell for the exact time"
    )


def count_column(label: str, *, help: str | None = None) -> Any:  # noqa: A002 - Streamlit's word
    """Return the configuration of a column of counts."""
    return st.column_config.NumberColumn(label, format="localized", help=help, width=84)


def text_column(label: str, *, width: Any = None, help: str | None = None) -> Any:  # noqa: A002
    """Return the configuration of a column of plain text."""
    return st.column_config.TextColumn(label, width=width, help=help)


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file to take home; `data` is called on the click, not before."""

    file_name: str
    data: Callable[[], bytes]
    label: str = "CSV"


def list_frame(
    total: int,
    *,
    size: int,
    key: str,
    word: str,
    downloads: Sequence[Download] = (),
    is_bounded: bool = False,
) -> tuple[DeltaGenerator, int]:
    """Show the foot of a list: count, pages, downloads; return its body and the offset of its page.

    `is_bounded` says that there may be more than `total`.
    """
    body = st.container()
    pages = max(1, -(-total // size))
    page = min(chosen(key) or 1, pages)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        plus = "+" if is_bounded else ""
        st.caption(f"{total:,}{plus} {word}{'' if total == 1 else 's'}", width="content")
        for download in downloads:
            st.download_button(
                download.label,
                data=download.data,
                file_name=download.file_name,
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                key=f"{key}_{download.label}",
            )
        if pages > 1:
            st.space("stretch")
            widget = f"{key}_pages"
            st.session_state[widget] = page
            st.pagination(pages, key=widget, on_change=_turn, args=(key, widget))
    return body, (page - 1) * size


def _turn(key: str, widget: str) -> None:
    page = st.session_state[widget]
    write_address(**{key: page if page > 1 else None})


def as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as a CSV file that no spreadsheet takes for formulas."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow(["" if cell is None else defused(_plain(cell)) for cell in row.values()])
    return buffer.getvalue().encode("utf-8-sig", "replace")


def _plain(cell: object) -> str:
    return cell.isoformat() if isinstance(cell, dt.datetime | dt.date) else str(cell)


# Runs, batches, logs --------------------------------------------------------------------


def count_badge(state: str, count: int) -> None:
    """Show how many things are in a state; grey while there are none."""
    shown = STATES[state]
    st.badge(
        f"{count:,} {shown.word}",
        icon=shown.icon if count else None,
        color=shown.colour if count else "gray",
    )


def balance_badge(balanced: bool | None) -> None:
    """Show whether a ledger balances."""
    if balanced is None:
        st.badge("no ledger yet", icon=":material/schedule:", color="gray")
    elif balanced:
        st.badge("balanced", icon=":material/check_circle:", color="green")
    else:
        st.badge("does not balance", icon=":material/error:", color="red")


def tell_started(started: Sequence[Started]) -> None:
    """Say what became of a request for runs."""
    for one in started:
        if one.is_new:
            text = f"Run {one.run_id} of {one.dataset} is queued"
        else:
            text = f"Run {one.run_id} of {one.dataset} is queued already: it will do"
        st.toast(escape(text), icon=":material/playlist_add_check:")


def reason(state: str, text: str | None) -> None:
    """Show why something ended as it did."""
    if not text:
        return
    show = {"failed": st.error, "lost": st.error, "rejected": st.error, "warned": st.warning}
    show.get(state, st.info)(escape(text), icon=STATES[state].icon)


def run_table(runs: Sequence[Mapping[str, Any]], *, key: str, is_short: bool = False) -> int | None:
    """Show runs; return the index of the one to open."""
    columns: dict[str, Any] = {
        "open": "Run",
        "dataset": text_column("Feed", width=84),
        "state": state_column("Status", *RunStatus),
        "reason": text_column("Reason", width=240),
        "requested_at": time_column("Requested"),
        "seconds": st.column_config.NumberColumn("Took", format="%.1f s", width=70),
        "read_records": count_column("Read"),
        "invalid_records": count_column("Invalid"),
        "ledger": balance_column("Ledger"),
        "who": text_column("By", width=130),
    }
    if is_short:
        for name in ("seconds", "ledger", "who"):
            del columns[name]
    rows = [
        {
            **run,
            "open": f"#{run['run_id']}",
            "state": state_cell(run["status"]),
            "ledger": balance_cell(run["is_balanced"]),
            "who": f"{run['requested_by']} ({run['trigger']})",
        }
        for run in runs
    ]
    return list_table(rows, columns, alt="Runs, newest first", key=key, opens="open")


def balance_column(label: str) -> Any:
    """Return the configuration of a column of balances; its cells come from `balance_cell`."""
    return st.column_config.MultiselectColumn(
        label, options=list(_BALANCES), color=list(_BALANCES.values()), width=112
    )


def balance_cell(balanced: bool | None) -> list[str]:
    """Return a balance as the cell of a `balance_column`."""
    return [] if balanced is None else [list(_BALANCES)[0 if balanced else 1]]


BATCH_STATES = (
    "accepted",
    "extracted",
    "loaded",
    "promoted",
    "stopped",
    "discarded",
    "rejected",
    "skipped",
)
_BALANCES = {"✓ balanced": _GREEN, "✗ broken": _RED}


def batch_table(
    batches: Sequence[Mapping[str, Any]], *, key: str, opens: bool = False
) -> int | None:
    """Show batches with their reasons; return the index of the one whose run is to be opened."""
    columns: dict[str, Any] = {
        "open": "Run",
        "batch_id": st.column_config.NumberColumn("Batch", format="%d", width=60),
        "file_name": text_column("File", width=190),
        "state": state_column("Status", *BATCH_STATES),
        "reason": text_column("Reason", width=150),
        "records": count_column("Records"),
        "valid_records": count_column("Valid"),
        "invalid_records": count_column("Invalid"),
        "superseded_records": count_column("Superseded"),
        "accepted_at": time_column("Accepted"),
        "size": text_column("Size", width=80),
        "accepted_by": text_column("By", width=80),
    }
    if not opens:
        del columns["open"]
    rows = [
        {
            **batch,
            "open": f"#{batch['run_id']}" if batch.get("run_id") else None,
            "state": state_cell(batch["status"]),
            "size": file_size(batch["file_bytes"]),
        }
        for batch in batches
    ]
    return list_table(rows, columns, alt="Batches", key=key, opens="open" if opens else None)


def log_table(lines: Sequence[Mapping[str, Any]], *, key: str) -> None:
    """Show lines of the log."""
    list_table(
        [{**line, "state": state_cell(line["level"])} for line in lines],
        {
            "at": st.column_config.DatetimeColumn("Time", format="HH:mm:ss.SSS", width=105),
            "state": state_column("Level", "debug", "info", "warning", "error"),
            "step": text_column("Step", width=70),
            "batch_id": st.column_config.NumberColumn("Batch", format="%d", width=60),
            "message": text_column("Message", width=620),
        },
        alt="Log of the run",
        key=key,
        height="content" if len(lines) < 12 else 420,
    )


def ledger_table(legs: Sequence[Mapping[str, Any]]) -> None:
    """Show both sides of every leg of a ledger."""
    list_table(
        [
            {
                "holds": balance_cell(leg["balanced"]),
                "leg": leg["leg"],
                "left": _grouped(leg["left"]),
                "right": _grouped(leg["right"]),
            }
            for leg in legs
        ],
        {
            "holds": balance_column(""),
            "leg": text_column("Both sides must be equal", width=420),
            "left": st.column_config.TextColumn("Left side", width=130, alignment="right"),
            "right": st.column_config.TextColumn("Right side", width=130, alignment="right"),
        },
        alt="The legs of the ledger",
        key="ledger",
    )


def _grouped(number: str) -> str:
    try:
        return f"{Decimal(number):,}"
    except InvalidOperation:
        return number


def fraction(step: Mapping[str, Any]) -> float | None:
    """Return how far a running step is, 0 to 1; None when nobody knows."""
    total = step["total_records"]
    return min(1.0, step["done_records"] / total) if total else None


def step_words(step: Mapping[str, Any]) -> str:
    """Return what a step has done; while it runs also how fast it is, and how long it still takes."""
    is_running = step["status"] == "running"
    of = f" of {step['total_records']:,}" if is_running and step["total_records"] else ""
    words = [f"{step['done_records']:,}{of}", duration(step["seconds"])]
    if is_running and step["total_records"] and step["rate"] is not None:
        words.append(f"{step['rate']:,.0f}/s")
    if is_running and step["seconds_left"] is not None:
        left = max(1, round(step["seconds_left"]))
        words.append(f"about {f'{left} s' if left < 60 else duration(left)} left")
    return " · ".join(words)
