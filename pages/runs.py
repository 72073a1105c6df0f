"""The history of runs; one run with `?run=`."""

from __future__ import annotations

import datetime as dt
from typing import Any

import streamlit as st

from app import actions, charts, components, context, reads, run_dialogs, run_view
from etl import datasets
from etl.model import RunStatus

PAGE_ROWS = 25
TREND_RUNS = 40
PERIODS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 30 * 24}  # hours


def main() -> None:
    run_id = components.chosen("run")
    if run_id is None:
        show_list()
    else:
        run_view.show_run(run_id)


def show_list() -> None:
    st.title("Runs")
    show_start()
    filters = show_filters()
    moving = bool(reads.value("queries/runs.is_any_moving"))
    # outside of what is drawn every two seconds: it changes when a run ends
    show_trend(query_filters(filters))
    components.live(every="2s" if moving else None)(show_runs)(filters, moving)


def show_start() -> None:
    desk = context.desk()
    with st.container(horizontal=True, gap="small"):
        titles = {feed.name: feed.title for feed in datasets.declared().values()}
        for name, label in {"all": "all feeds", **titles}.items():
            pressed = st.button(
                f"Run {label}",
                key=f"start_{name}",
                icon=":material/play_arrow:",
                type="primary" if name == "all" else "secondary",
                help="Loads what waits in the landing zone",
            )
            if pressed:
                with components.reporting("The run cannot be started"):
                    components.tell_started(actions.start_run(desk, name))
        run_dialogs.show_reprocess_button()


def show_filters() -> dict[str, Any]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        dataset = components.filter_pills(
            "Feed", list(datasets.declared()), key="feed", page_key="page"
        )
        status = components.filter_pills(
            "Status",
            [state.value for state in RunStatus],
            key="status",
            page_key="page",
            words=components.state_option,
        )
        trigger = components.filter_pills(
            "Asked for by",
            list(run_view.TRIGGERS),
            key="trigger",
            page_key="page",
            words=lambda name: run_view.TRIGGERS[name],
        )
        within = components.filter_pills(
            "Within the last", list(PERIODS), key="within", page_key="page"
        )
    return {"dataset": dataset, "status": status, "trigger": trigger, "within": within}


def query_filters(chosen: dict[str, Any]) -> dict[str, Any]:
    within = chosen["within"]
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=PERIODS[within]) if within else None
    return {**{name: chosen[name] for name in ("dataset", "status", "trigger")}, "since": since}


def show_runs(chosen: dict[str, Any], was_moving: bool) -> None:
    if was_moving and not reads.value("queries/runs.is_any_moving"):
        st.rerun()
    filters = query_filters(chosen)
    total = reads.value("queries/runs.count", **filters)
    if not total and any(filters.values()):
        components.empty_state(
            "No run fits these filters", "Clear a filter to see more.", icon="filter_alt_off"
        )
        return
    if not total:
        components.empty_state(
            "No runs yet",
            "A run loads the files of the landing zone; bring one first.",
            page="upload",
            label="Upload or generate a file",
        )
        return
    everything = components.Download(
        file_name="runs.csv",
        data=lambda: components.as_csv(
            reads.rows("queries/runs.history", **filters, limit=100_000, offset=0)
        ),
    )
    body, offset = components.list_frame(
        total, size=PAGE_ROWS, key="page", word="run", downloads=[everything]
    )
    runs = reads.rows("queries/runs.history", **filters, limit=PAGE_ROWS, offset=offset)
    with body:
        row = components.run_table(runs, key=f"runs_{offset}")
    if row is not None:
        components.step_into(run=runs[row]["run_id"])


def show_trend(filters: dict[str, Any]) -> None:
    runs = reads.rows("queries/runs.trend", **filters, limit=TREND_RUNS)
    if len(runs) < 2:
        return
    shades = {name: state.shade for name, state in components.STATES.items()}
    with st.grid(2, min_column_width=320, gap="small"):
        for title, figure, key in (
            ("Duration", charts.run_durations(runs, shades), "durations"),
            ("Records read, and those invalid", charts.run_volumes(runs), "volumes"),
        ):
            with st.container(border=True, gap="xsmall"):
                st.caption(f"{title} of the last {len(runs)} ended runs")
                st.plotly_chart(
                    figure,
                    key=key,
                    config=charts.CONFIG,
                    alt=f"{title}, run by run; the table below holds the figures",
                )


main()
