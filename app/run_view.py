"""One run as its page shows it: progress, flow, timeline, ledger, parameters, rules, files, log."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import streamlit as st

from app import (
    actions,
    charts,
    components,
    context,
    reads,
    refresh_view,
    run_dialogs,
    stopped_batches,
)
from etl import datasets
from etl.model import RunStatus, Step

LOG_LINES = 500
LEVELS = ("info", "warning", "error")
TRIGGERS = {
    "manual": "by hand",
    "upload": "an upload",
    "schedule": "a schedule",
    "command": "the command line",
    "demo": "the first start",
    "watch": "a file appeared",
    "again": "run again",
    "reprocess": "judge again",
    "repair": "a repair",
    "revert": "a repair taken back",
    "what_if": "rules are tried",
    "rules": "new rules",
}


def show_run(run_id: int) -> None:
    """Show one run; it refreshes itself until the run is over."""
    run = reads.run(run_id)
    is_over = RunStatus(run["status"]).is_over
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("All runs", icon=":material/arrow_back:", type="tertiary", key="back"):
            components.step_into(run=None, level=None)
        st.space("stretch")
        if is_over:
            run_dialogs.show_again_buttons(run)
    components.live(every=None if is_over else "1s")(_show_progress)(run_id, is_over)
    if not is_over:
        # tables cost a browser more than all the rest: apart, they never hold the progress up
        components.live(every="4s")(_show_tail)(run_id)
        return
    refresh_view.show_refresh(run_id)
    _show_files(run)
    stopped_batches.show_stopped(run["batches"])
    _show_ledger(run)
    left, right = st.columns(2, gap="medium")
    with left:
        _show_parameters(run)
    with right:
        _show_rules(run)
    _show_log(run_id)


def _show_progress(run_id: int, was_over: bool) -> None:
    run = reads.run(run_id)
    if RunStatus(run["status"]).is_over != was_over:
        st.rerun()
    _show_head(run)
    if was_over:
        _show_numbers(run)
        _show_flow(run)
    _show_steps(run)


def _show_tail(run_id: int) -> None:
    _show_files(reads.run(run_id))
    _show_log(run_id, limit=50, is_live=True)


# Head -----------------------------------------------------------------------------------


def _show_head(run: dict[str, Any]) -> None:
    feed = datasets.declared().get(run["dataset"])
    title = components.escape(feed.title if feed else run["dataset"])
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(f"Run {run['run_id']} · {title}", width="content")
        components.state_badge(run["status"])
        st.space("stretch")
        _show_buttons(run)
    facts = [
        f"{TRIGGERS.get(run['trigger'], run['trigger'])}, asked for by {run['requested_by']}",
        f"requested {components.ago(run['requested_at'])}",
    ]
    if run["started_at"]:
        verb = "took" if run["ended_at"] else "runs for"
        facts.append(f"{verb} {components.duration(run['seconds'])}")
    facts.append(f"attempt {max(run['attempt'], 1)}")
    if run["source_file"]:
        facts.append(f"only {run['source_file']}")
    if run["chosen_batches"] is not None:
        facts.append(_judged_again(run))
    elif run["is_full"]:
        facts.append("every batch judged again")
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
        _show_wait()
    if run["cancel_requested_at"] and not run["ended_at"]:
        st.info(
            "A cancel was asked for: the run stops within two seconds.",
            icon=":material/hourglass_top:",
        )


def _judged_again(run: dict[str, Any]) -> str:
    chosen = len(run["chosen_batches"])
    words = f"{chosen:,} batch{'' if chosen == 1 else 'es'} judged again"
    return f"{words}, widened to every one" if run["is_full"] else words


def _show_wait() -> None:
    if reads.value("queries/runs.worker_heartbeat") is None:
        st.warning(
            "Waits for a worker, and none is running. This starts one: `revenue worker`",
            icon=":material/hourglass_top:",
        )
    else:
        st.info(
            "Waits for a worker. Runs of one feed go one after another.",
            icon=":material/hourglass_top:",
        )


def _show_buttons(run: dict[str, Any]) -> None:
    run_id, desk = run["run_id"], context.desk()
    can_cancel = run["status"] in {"queued", "running", "lost"} and not run["cancel_requested_at"]
    can_resume = run["status"] in {"failed", "cancelled", "lost"}
    if run["invalid_records"]:
        # batches judged again still belong to the run that brought them
        is_own = run["chosen_batches"] is None and not run["is_full"]
        query = {"from_run": run_id} if is_own else {"feed": run["dataset"]}
        label = "Its invalid records" if is_own else "Invalid records of the feed"
        components.link("invalid_records", label, icon=":material/rule:", status="all", **query)
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
    if can_cancel and st.button(
        "Cancel",
        icon=":material/cancel:",
        key="cancel",
        help="Stops within two seconds; a batch half loaded is rolled back",
    ):
        with components.reporting("The run cannot be cancelled"):
            actions.cancel_run(desk, run_id)
            st.rerun()


# Figures --------------------------------------------------------------------------------


def _show_numbers(run: dict[str, Any]) -> None:
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


def _show_flow(run: dict[str, Any]) -> None:
    if not run["read_records"]:
        return
    with st.container(border=True, gap="xsmall"):
        st.caption("From the file to silver")
        st.plotly_chart(
            charts.record_flow(run),
            key="flow",
            config=charts.CONFIG,
            alt="How the records flow: read, judged, written; the figures above are the same",
        )


def _show_steps(run: dict[str, Any]) -> None:
    st.subheader("Steps")
    steps = {step["step"]: step for step in run["steps"]}
    with st.grid(4, min_column_width=200, gap="small"):
        for name in Step:
            with st.container(border=True, gap="xsmall", height="stretch"):
                _show_step(name, steps.get(name))
    # drawn once the run is over: a chart that is drawn anew each second makes the page slow
    bars = _bars(run) if RunStatus(run["status"]).is_over else []
    if bars:
        with st.container(border=True, gap="xsmall"):
            st.caption(
                "Timeline, seconds since the run started",
                help="A file is judged while it is read, so extract and load overlap",
            )
            st.plotly_chart(
                charts.run_timeline(bars),
                key="timeline",
                config=charts.CONFIG,
                alt="When each step began and how long it took; the cards above say the same",
            )


def _bars(run: dict[str, Any]) -> list[charts.Bar]:
    if not run["started_at"]:
        return []
    now = dt.datetime.now(dt.UTC)
    return [
        charts.Bar(
            name=step["step"].title(),
            start=max(0.0, (step["started_at"] - run["started_at"]).total_seconds()),
            seconds=max(0.0, ((step["ended_at"] or now) - step["started_at"]).total_seconds()),
            words=f"{components.STATES[step['status']].word}, {step['done_records']:,} done",
            colour=components.STATES[step["status"]].shade,
        )
        for step in run["steps"]
    ]


def _show_step(name: Step, step: dict[str, Any] | None) -> None:
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
    if step["activity"]:
        st.caption(components.escape(step["activity"]))


# Tables ---------------------------------------------------------------------------------


def _show_files(run: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader("Files", width="content")
        st.space("stretch")
        components.link(
            "upload",
            "All files of the feed",
            icon=":material/upload_file:",
            feed=run["dataset"],
        )
    if not run["batches"]:
        st.caption("This run took no file.")
        return
    is_elsewhere = any(batch["run_id"] != run["run_id"] for batch in run["batches"])
    row = components.batch_table(run["batches"], key="run_batches", opens=is_elsewhere)
    if is_elsewhere:
        st.caption("Run: the one that brought the file")
    if row is not None and run["batches"][row]["run_id"]:
        components.step_into(run=run["batches"][row]["run_id"], level=None)


def _show_ledger(run: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader("Ledger", width="content")
        components.balance_badge(run["is_balanced"])
    if not run["ledger"]:
        st.caption("The ledger is written when a run reaches its end.")
        return
    components.ledger_table(run["ledger"])


def _show_parameters(run: dict[str, Any]) -> None:
    st.subheader("Parameters")
    if run["predicts"] is not None:
        scope = f"prediction {run['predicts']}: rules are tried, no layer changes"
    elif run["chosen_batches"] is not None:
        scope = _judged_again(run)
    else:
        scope = "every batch again from raw" if run["is_full"] else "what waits"
    if run["trigger"] == "revert":
        scope = "what the repair wrote, and nothing else"
    schedule = run["schedule_id"]
    planned = f"schedule {schedule}, planned for {components.absolute(run['planned_at'])}"
    facts = {
        "Asked for": f"{TRIGGERS.get(run['trigger'], run['trigger'])}, by {run['requested_by']}",
        "Source file": _source(run),
        "Scope": scope,
        "Schedule": planned if schedule else "none",
        "Rule set": run["rule_set"] or "none judged",
    }
    with st.container(border=True, gap="xsmall"):
        for label, value in facts.items():
            with st.container(horizontal=True, gap="small"):
                st.caption(label, width=110)
                st.text(value)
        if run["again_of"]:
            components.link(
                "runs",
                f"Repeats run {run['again_of']}",
                icon=":material/arrow_back:",
                run=run["again_of"],
            )
        for later in reads.rows("queries/runs.again", run_id=run["run_id"]):
            components.link(
                "runs",
                f"Repeated by run {later['run_id']}",
                icon=":material/arrow_forward:",
                run=later["run_id"],
            )


def _source(run: dict[str, Any]) -> str:
    if run["predicts"] is not None:
        return "none"
    return Path(run["source_file"]).name if run["source_file"] else "all that wait"


def _show_rules(run: dict[str, Any]) -> None:
    st.subheader("Rules")
    rules = reads.rules_of_run(run)
    if rules is None:
        words = "These rules are no longer known." if run["rule_set"] else "Nothing was judged."
        st.caption(words)
        return
    components.list_table(
        rules,
        {
            "message": components.text_column("Message", width=180),
            "records": components.count_column("Records", help="How many records broke it"),
            "severity": components.text_column("Then", width=70),
            "column": components.text_column("Column", width=110),
            "version": components.count_column("Version"),
        },
        alt="The rules that judged this run",
        key="run_rules",
        height="content" if len(rules) < 8 else 260,
    )


def _show_log(run_id: int, *, limit: int = LOG_LINES, is_live: bool = False) -> None:
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
