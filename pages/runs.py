"""The history of runs, and one run with its steps, batches, ledger and log."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import actions, components, context, reads
from etl import datasets
from etl.model import RunStatus, Step

PAGE_ROWS = 25
LOG_LINES = 500
LEVELS = ("info", "warning", "error")


def main() -> None:
    run_id = components.chosen("run")
    if run_id is None:
        show_list()
    else:
        show_run(run_id)


# The list -------------------------------------------------------------------------------


def show_list() -> None:
    st.title("Runs")
    show_start()
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
    filters = {"dataset": dataset, "status": status}
    waiting = reads.status()
    moving = bool(waiting["queued_runs"] or waiting["running_runs"])
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


def show_runs(filters: dict[str, Any], was_moving: bool) -> None:
    now = reads.status()
    if was_moving and not (now["queued_runs"] or now["running_runs"]):
        st.rerun()
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


# One run --------------------------------------------------------------------------------


def show_run(run_id: int) -> None:
    if st.button("All runs", icon=":material/arrow_back:", type="tertiary", key="back"):
        components.step_into(run=None, level=None)
    run = reads.run(run_id)
    is_over = RunStatus(run["status"]).is_over
    components.live(every=None if is_over else "1s")(show_progress)(run_id, is_over)
    if is_over:
        show_batches(run)
        show_ledger(run)
        show_log(run_id)


def show_progress(run_id: int, was_over: bool) -> None:
    run = reads.run(run_id)
    if RunStatus(run["status"]).is_over != was_over:
        st.rerun()
    show_head(run)
    if was_over:
        show_numbers(run)
    show_steps(run)
    if not was_over:
        show_batches(run)
        show_log(run_id, limit=50, is_live=True)


def show_head(run: dict[str, Any]) -> None:
    feed = datasets.declared().get(run["dataset"])
    title = components.escape(feed.title if feed else run["dataset"])
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(f"Run {run['run_id']} · {title}", width="content")
        components.state_badge(run["status"])
        st.space("stretch")
        show_buttons(run)
    facts = [
        f"{run['trigger']}{' (full)' if run['is_full'] else ''} by {run['requested_by']}",
        f"requested {components.ago(run['requested_at'])}",
    ]
    if run["started_at"]:
        verb = "took" if run["ended_at"] else "runs for"
        facts.append(f"{verb} {components.duration(run['seconds'])}")
    facts.append(f"attempt {max(run['attempt'], 1)}")
    if run["source_file"]:
        facts.append(f"only {run['source_file']}")
    moments = {"requested": "requested_at", "started": "started_at", "ended": "ended_at"}
    st.caption(
        components.escape(" · ".join(facts)),
        help=" · ".join(
            f"{label} {components.absolute(run[name])}"
            for label, name in moments.items()
            if run[name]
        ),
    )
    components.reason(run["status"], run["reason"])
    if run["status"] == "queued":
        show_wait()
    if run["cancel_requested_at"] and not run["ended_at"]:
        st.info(
            "A cancel was asked for: the run stops at its next chunk.",
            icon=":material/hourglass_top:",
        )


def show_wait() -> None:
    if reads.status()["worker_heartbeat"] is None:
        st.warning(
            "Waits for a worker, and none is running. This starts one: `revenue worker`",
            icon=":material/hourglass_top:",
        )
    else:
        st.info(
            "Waits for a worker. Runs of one feed go one after another.",
            icon=":material/hourglass_top:",
        )


def show_buttons(run: dict[str, Any]) -> None:
    run_id, desk = run["run_id"], context.desk()
    can_cancel = run["status"] in {"queued", "running", "lost"} and not run["cancel_requested_at"]
    can_resume = run["status"] in {"failed", "cancelled", "lost"}
    if run["invalid_records"]:
        components.link(
            "invalid_records", "Its invalid records", icon=":material/rule:", from_run=run_id
        )
    if can_resume and st.button(
        "Resume",
        icon=":material/resume:",
        key="resume",
        type="primary",
        help="Goes on from the last checkpoint",
    ):
        with components.reporting("The run cannot be resumed"):
            actions.resume_run(desk, run_id)
            st.rerun()
    if can_cancel and st.button("Cancel", icon=":material/cancel:", key="cancel"):
        with components.reporting("The run cannot be cancelled"):
            actions.cancel_run(desk, run_id)
            st.rerun()


def show_numbers(run: dict[str, Any]) -> None:
    with st.grid(7, min_column_width=112, gap="small"):
        for label, name in (
            ("Read", "read_records"),
            ("Valid", "valid_records"),
            ("Invalid", "invalid_records"),
            ("Superseded", "superseded_records"),
            ("Inserted", "inserted_rows"),
            ("Updated", "updated_rows"),
            ("Unchanged", "unchanged_rows"),
        ):
            st.metric(label, f"{run[name]:,}", border=True)


def show_steps(run: dict[str, Any]) -> None:
    st.subheader("Steps")
    steps = {step["step"]: step for step in run["steps"]}
    with st.grid(4, min_column_width=200, gap="small"):
        for name in Step:
            with st.container(border=True, gap="xsmall", height="stretch"):
                show_step(name, steps.get(name))


def show_step(name: Step, step: dict[str, Any] | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{name.title()}**", width="content")
        if step is not None:
            components.state_badge(step["status"])
    if step is None:
        st.caption("not reached")
        return
    done = components.fraction(step) if step["status"] == "running" else None
    if done is not None:
        st.progress(done)
    st.caption(components.step_words(step))


def show_batches(run: dict[str, Any]) -> None:
    st.subheader("Batches")
    if run["batches"]:
        components.batch_table(run["batches"], key="run_batches")
    else:
        st.caption("This run took no file.")


def show_ledger(run: dict[str, Any]) -> None:
    st.subheader("Ledger")
    if not run["ledger"]:
        st.caption("The ledger is written when a run reaches its end.")
        return
    components.ledger_table(run["ledger"])


def show_log(run_id: int, *, limit: int = LOG_LINES, is_live: bool = False) -> None:
    st.subheader("Log")
    components.link("logs", "Search it", icon=":material/search:", run=run_id)
    levels = list(LEVELS)
    if not is_live:
        level = components.filter_pills(
            "Level", LEVELS, key="level", page_key="log_page", words=components.state_option
        )
        levels = [level] if level else levels
    lines = reads.rows("queries/logs.lines", run_id=run_id, levels=levels, limit=limit)
    if not lines:
        st.caption("No lines yet." if is_live else "No lines at this level.")
        return
    components.log_table(lines, key="log_live" if is_live else "log")
    if not is_live:
        everything = components.Download(
            file_name=f"run_{run_id}_log.csv",
            data=lambda: components.as_csv(
                reads.rows("queries/logs.lines", run_id=run_id, levels=levels, limit=1_000_000)
            ),
        )
        total = reads.value("queries/logs.count", run_id=run_id, levels=levels)
        components.list_frame(
            total, size=max(total, 1), key="log_page", word="line", downloads=[everything]
        )


main()
