"""The whole log: search, filters, live tail, download, and each line with its context."""

from __future__ import annotations

import datetime as dt
import functools
import json
import re

import streamlit as st

from app import components, context, log_search
from app.log_search import Filters, Line
from etl import datasets
from etl.model import Step

PAGE_LINES = 50
LIVE_LINES = 100
LEVELS = ("info", "warning", "error")
PERIODS = {
    "15min": ("15 minutes", dt.timedelta(minutes=15)),
    "hour": ("1 hour", dt.timedelta(hours=1)),
    "day": ("1 day", dt.timedelta(days=1)),
    "week": ("7 days", dt.timedelta(days=7)),
}
_PAGE = re.compile(r"(before|after)\.(\d{1,18})")


def main() -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title("Logs", width="content")
        st.space("stretch")
        is_live = show_live_toggle()
    filters = show_filters()
    log_id = components.chosen("line")
    if log_id is not None:
        show_line(log_id)
    if filters is None:
        return
    if is_live:
        components.live(every="2s")(show_tail)(filters)
    else:
        show_page(filters)


def show_live_toggle() -> bool:
    st.session_state["live_toggle"] = st.query_params.get("live") == "1"
    return st.toggle(
        "Live",
        key="live_toggle",
        help="Shows the newest lines as they are written",
        on_change=_write_live,
    )


def _write_live() -> None:
    is_live = st.session_state["live_toggle"]
    components.write_address(live="1" if is_live else None, page=None)


# Filters --------------------------------------------------------------------------------


def show_filters() -> Filters | None:
    """Show the filters; return what they say, None where one makes no sense."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        text = components.filter_text(
            "Search", key="q", page_key="page", placeholder='Words, "a phrase", -not'
        )
        run = components.filter_text("Run", key="run", page_key="page", placeholder="Its number")
        level = components.filter_pills(
            "Level", LEVELS, key="level", page_key="page", words=components.state_option
        )
        dataset = components.filter_pills(
            "Feed", list(datasets.declared()), key="feed", page_key="page"
        )
        step = components.filter_pills("Step", list(Step), key="step", page_key="page")
        period = components.filter_pills(
            "Last", list(PERIODS), key="last", page_key="page", words=lambda key: PERIODS[key][0]
        )
        with st.popover("Exact times", icon=":material/date_range:"):
            start = components.filter_text(
                "From (UTC)", key="from", page_key="page", placeholder="2024-05-01 13:00"
            )
            end = components.filter_text(
                "Up to (UTC)", key="to", page_key="page", placeholder="2024-05-01 14:00"
            )
    problems = []
    since, until = _moment(start), _moment(end)
    if run is not None and components.chosen("run") is None:
        problems.append("a run is looked for by its number")
    problems += [
        f"{typed} is no time; write it as 2024-05-01 13:00"
        for typed, moment in ((start, since), (end, until))
        if typed and moment is None
    ]
    if problems:
        st.warning(components.escape("; ".join(problems)), icon=":material/filter_alt_off:")
        return None
    if period is not None:
        earliest = dt.datetime.now(dt.UTC) - PERIODS[period][1]
        since = max(since or earliest, earliest)
    return Filters(
        text=text,
        level=level,
        run_id=components.chosen("run"),
        dataset=dataset,
        step=step,
        since=since,
        until=until,
    )


def _moment(text: str | None) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text) if text else None
        if moment is None:
            return None
        return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return None


# Lines ----------------------------------------------------------------------------------


def show_page(filters: Filters) -> None:
    found = _PAGE.fullmatch(st.query_params.get("page", ""))
    place = {found[1]: int(found[2])} if found else {}
    page = log_search.page(context.engine(), filters, size=PAGE_LINES, **place)
    if not page.lines:
        show_nothing(filters, is_paged=bool(place))
        return
    chosen = show_lines(page.lines, key=f"log_{page.lines[0]['log_id']}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        plus = "+" if page.is_bounded else ""
        st.caption(
            f"{page.total:,}{plus} line{'' if page.total == 1 else 's'}",
            width="content",
            help=f"Counted up to {log_search.COUNT_LIMIT:,}" if page.is_bounded else None,
        )
        show_downloads(filters)
        st.space("stretch")
        if st.button(
            "Newer", icon=":material/chevron_left:", key="newer", disabled=not page.has_newer
        ):
            components.step_into(page=f"after.{page.lines[0]['log_id']}")
        if st.button(
            "Older", icon=":material/chevron_right:", key="older", disabled=not page.has_older
        ):
            components.step_into(page=f"before.{page.lines[-1]['log_id']}")
    if chosen is not None:
        components.step_into(line=chosen)


def show_downloads(filters: Filters) -> None:
    engine = context.engine()
    for label, file_name, write in (
        ("CSV", "log.csv", log_search.as_csv),
        ("JSON lines", "log.jsonl", log_search.as_json_lines),
    ):
        st.download_button(
            label,
            data=functools.partial(write, engine, filters),
            file_name=file_name,
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key=f"download_{file_name}",
            help=f"The newest {log_search.DOWNLOAD_LINES:,} lines that the filters find",
        )


def show_tail(filters: Filters) -> None:
    lines = log_search.tail(context.engine(), filters, size=LIVE_LINES)
    st.caption(
        ":material/sensors: The newest lines, on top as they are written"
        if lines
        else ":material/sensors: Nothing among the newest lines yet; this list fills by itself"
    )
    if lines:
        chosen = show_lines(lines, key="log_live")
        if chosen is not None:
            components.step_into(line=chosen)


def show_nothing(filters: Filters, *, is_paged: bool) -> None:
    if filters == Filters() and not is_paged:
        components.empty_state(
            "No lines yet",
            "Every run writes here; start one to see its lines.",
            page="runs",
            label="Runs",
        )
        return
    advice = "Clear a filter to see more."
    if filters.text and not log_search.is_wordy(context.engine(), filters.text):
        advice = "There is no word in what you look for: marks alone cannot be found."
    components.empty_state("No line fits these filters", advice, icon="filter_alt_off")


def show_lines(lines: list[Line], *, key: str) -> int | None:
    """Show lines, newest first; return the number of the one to open."""
    row = components.list_table(
        [
            {
                **line,
                "open": f"{line['at']:%H:%M:%S}.{line['at'].microsecond // 1000:03}",
                "state": components.state_cell(line["level"]),
            }
            for line in lines
        ],
        {
            "open": "Time (UTC)",
            "at": st.column_config.DatetimeColumn("Day", format="YYYY-MM-DD", width=90),
            "state": components.state_column("Level", "debug", *LEVELS),
            "dataset": components.text_column("Feed", width=90),
            "run_id": st.column_config.NumberColumn("Run", format="%d", width=60),
            "step": components.text_column("Step", width=70),
            "batch_id": st.column_config.NumberColumn("Batch", format="%d", width=60),
            "message": components.text_column("Message", width=560),
        },
        alt="Lines of the log, newest first",
        key=key,
        opens="open",
        height="content" if len(lines) < 16 else 600,
    )
    return int(lines[row]["log_id"]) if row is not None else None


def show_line(log_id: int) -> None:
    line = log_search.one(context.engine(), log_id)
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if line is not None:
                components.state_badge(line["level"])
                st.caption(components.escape(_facts(line)), width="content")
            st.space("stretch")
            if line is not None and line["run_id"] is not None:
                components.link(
                    "runs",
                    f"Run {line['run_id']}",
                    icon=":material/play_circle:",
                    run=line["run_id"],
                )
                components.link(
                    "logs",
                    "Its whole log",
                    icon=":material/subject:",
                    run=line["run_id"],
                    page=f"before.{log_id + PAGE_LINES // 2}",
                )
            if st.button("Close", icon=":material/close:", type="tertiary", key="close_line"):
                components.step_into(line=None)
        if line is None:
            st.caption("This line is gone: it was older than the log is kept.")
            return
        st.text(line["message"])
        if line["context"]:
            st.code(
                json.dumps(line["context"], indent=2, ensure_ascii=False),
                language="json",
                wrap_lines=True,
            )


def _facts(line: Line) -> str:
    facts = [components.absolute(line["at"])]
    facts += [
        f"{word} {line[name]}"
        for word, name in (("feed", "dataset"), ("step", "step"), ("batch", "batch_id"))
        if line[name] is not None
    ]
    return " · ".join(facts)


main()
