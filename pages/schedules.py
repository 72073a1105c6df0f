"""When runs are queued without an operator: the list, one schedule, and the form that makes it."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

import streamlit as st

from app import components, context, reads, timetable
from app.actions import schedules as actions
from app.actions.schedules import Plan
from etl import datasets
from etl.model import RunStatus
from etl.scheduler import ScheduleError, Timing, next_times, words

PAGE_ROWS = 25
NEXT_TIMES = 5
UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
USUAL = {
    "every hour": "0 * * * *",
    "every day at 06:00": "0 6 * * *",
    "working days at 06:00": "0 6 * * mon-fri",
    "Mondays at 06:00": "0 6 * * mon",
    "first of the month at 06:00": "0 6 1 * *",
}


def main() -> None:
    schedule_id = components.chosen("schedule")
    if st.query_params.get("edit") == "new":
        show_form(None)
    elif schedule_id is None:
        show_list()
    elif st.query_params.get("edit"):
        show_form(reads.schedule(schedule_id))
    else:
        show_schedule(schedule_id)


# The list -------------------------------------------------------------------------------


def show_list() -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title("Schedules", width="content")
        st.space("stretch")
        if st.button("New schedule", icon=":material/add:", type="primary", key="new"):
            components.step_into(edit="new")
    show_watch()
    nothing = {"dataset": None, "state": None}
    if not reads.value("queries/schedules.count", **nothing):
        show_schedules(nothing)  # no filters for an empty list
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        dataset = components.filter_pills(
            "Feed", list(datasets.declared()), key="feed", page_key="page"
        )
        state = components.filter_pills(
            "State",
            timetable.STATES,
            key="state",
            page_key="page",
            words=components.state_option,
        )
    components.live(every="10s")(show_schedules)({"dataset": dataset, "state": state})


def show_watch() -> None:
    if context.settings().watch_landing:
        st.caption(
            ":material/visibility: The landing zone is watched: a complete file that appears there "
            "is run at once, without a schedule.",
            help="`REVENUE_WATCH_LANDING=false` switches it off",
        )
    else:
        st.caption(
            ":material/visibility_off: The landing zone is not watched: files wait there for a run."
        )


def show_schedules(filters: dict[str, Any]) -> None:
    total = reads.value("queries/schedules.count", **filters)
    if not total and any(filters.values()):
        components.empty_state(
            "No schedule fits these filters", "Clear a filter to see more.", icon="filter_alt_off"
        )
        return
    if not total:
        components.empty_state(
            "No schedules yet",
            "A schedule queues runs at its times, also when nobody has these pages open. "
            "Make one with “New schedule”.",
            icon="event_repeat",
        )
        return
    everything = components.Download(
        file_name="schedules.csv",
        data=lambda: components.as_csv(reads.schedules(**filters)),
    )
    body, offset = components.list_frame(
        total, size=PAGE_ROWS, key="page", word="schedule", downloads=[everything]
    )
    found = reads.schedules(**filters, limit=PAGE_ROWS, offset=offset)
    rows = [
        {
            **row,
            "open": f"#{row['schedule_id']}",
            "shown_state": components.state_cell(row["state"]),
            "last_run": f"/runs?run={row['run_id']}" if row["run_id"] else None,
            "last_status": components.state_cell(row["run_status"]) if row["run_id"] else [],
            "who": f"{row['updated_by']}",
        }
        for row in found
    ]
    columns = {
        "open": "Schedule",
        "name": components.text_column("Name", width=140),
        "dataset": components.text_column("Feed", width=84),
        "shown_state": components.state_column("State", *timetable.STATES),
        "words": components.text_column("Times", width=260),
        "next_at": components.time_column("Next"),
        "last_status": components.state_column("Last run", *RunStatus),
        "last_run": st.column_config.LinkColumn("Run", display_text=r"run=(\d+)", width=60),
        "who": components.text_column("Changed by", width=100),
        "updated_at": components.time_column("Changed"),
    }
    with body:
        row = components.list_table(
            rows, columns, alt="Schedules, newest first", key=f"schedules_{offset}", opens="open"
        )
    if row is not None:
        components.step_into(schedule=found[row]["schedule_id"])


# One schedule ---------------------------------------------------------------------------


def show_schedule(schedule_id: int) -> None:
    if st.button("All schedules", icon=":material/arrow_back:", type="tertiary", key="back"):
        components.step_into(schedule=None)
    components.live(every="10s")(show_one)(schedule_id)


def show_one(schedule_id: int) -> None:
    schedule = reads.schedule(schedule_id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(components.escape(schedule["title"]), width="content")
        components.state_badge(schedule["state"])
        st.space("stretch")
        if schedule["state"] != "removed":
            show_buttons(schedule)
    facts = [
        f"schedule {schedule_id} of {schedule['dataset']}",
        f"missed times: {timetable.missed_words(schedule['catch_up'])}",
        f"made {components.ago(schedule['made_at'])} by {schedule['made_by']}",
    ]
    st.caption(
        components.escape(" · ".join(facts)),
        help=f"made {components.absolute(schedule['made_at'])}",
    )
    left, right = st.columns([2, 3], gap="medium")
    with left:
        show_times(Timing.of(schedule), is_active=schedule["state"] == "active")
    with right:
        show_runs(schedule)
    show_changes(schedule)


def show_buttons(schedule: dict[str, Any]) -> None:
    desk, schedule_id, version = context.desk(), schedule["schedule_id"], schedule["version"]
    if st.button("Run now", icon=":material/play_arrow:", key="run_now"):
        with components.reporting("The run cannot be started"):
            components.tell_started([actions.run_schedule_now(desk, schedule_id)])
    if schedule["state"] == "active":
        if st.button("Pause", icon=":material/pause:", key="pause"):
            with components.reporting("The schedule cannot be paused"):
                actions.pause_schedule(desk, schedule_id, version=version)
                st.rerun()
    elif st.button("Resume", icon=":material/resume:", key="resume", type="primary"):
        with components.reporting("The schedule cannot be resumed"):
            actions.resume_schedule(desk, schedule_id, version=version)
            st.rerun()
    if st.button("Change", icon=":material/edit:", key="change"):
        components.step_into(edit="1")
    with st.popover("Remove", icon=":material/delete:"):
        st.write("It plans no more runs. Its runs and its history stay.")
        if st.button("Remove this schedule", type="primary", key="remove"):
            with components.reporting("The schedule cannot be removed"):
                actions.remove_schedule(desk, schedule_id, version=version)
                components.step_into(schedule=None)


def show_times(timing: Timing, *, is_active: bool = True) -> None:
    """Show a timing in words, and its next times by the clocks of its zone."""
    with st.container(border=True, gap="small"), components.reporting("These times make no sense"):
        st.markdown(f":material/event_repeat: **{components.escape(words(timing))}**")
        if not is_active:
            st.caption("It is not active: no times are planned.")
            return
        now = dt.datetime.now(dt.UTC)
        times = next_times(timing, after=now, count=NEXT_TIMES)
        st.caption("The next times" if len(times) > 1 else "The next time")
        for time in times:
            with st.container(horizontal=True, gap="small"):
                st.text(
                    timetable.local(time, timing.time_zone),
                    width="content",
                    help=components.absolute(time),
                )
                st.caption(components.ago(time, now=now), width="content")
        if timing.cron is not None and has_clock_changes(timing.time_zone, now):
            st.caption(
                ":material/schedule: When clocks are set back, the repeated hour counts once. "
                "When they are set forward, a time that is left out comes one hour later."
            )


def has_clock_changes(time_zone: str, now: dt.datetime) -> bool:
    zone = zoneinfo.ZoneInfo(time_zone)
    months = (now + dt.timedelta(days=30 * month) for month in range(13))
    return len({month.astimezone(zone).utcoffset() for month in months}) > 1


def show_runs(schedule: dict[str, Any]) -> None:
    if not schedule["runs"]:
        components.empty_state(
            "No run yet", "Its runs appear here once its first time has come.", icon="play_circle"
        )
        return
    row = components.run_table(schedule["runs"], key="schedule_runs", is_short=True)
    if row is not None:
        components.go("runs", run=schedule["runs"][row]["run_id"])


def show_changes(schedule: dict[str, Any]) -> None:
    st.subheader("Who changed what")
    if not schedule["changes"]:
        st.caption("Nobody changed it on these pages.")
        return
    components.list_table(
        schedule["changes"],
        {
            "at": components.time_column("When"),
            "actor": components.text_column("Who", width=130),
            "role": components.text_column("Role", width=90),
            "what": components.text_column("What"),
        },
        alt="Changes of the schedule, newest first",
        key="schedule_changes",
    )


# The form -------------------------------------------------------------------------------


def show_form(schedule: dict[str, Any] | None) -> None:
    if st.button("Back", icon=":material/arrow_back:", type="tertiary", key="back"):
        components.step_into(edit=None)
    st.title("New schedule" if schedule is None else f"Change schedule {schedule['schedule_id']}")
    key = "new" if schedule is None else str(schedule["schedule_id"])
    left, right = st.columns([3, 2], gap="large")
    with left:
        plan = ask_plan(schedule, key)
    with right:
        st.markdown("**In words, before you save**")
        timing = None
        try:
            timing = plan.timing()
        except ScheduleError as error:
            st.warning(components.escape(error.message), icon=":material/edit:")
        if timing is not None:
            show_times(timing)
    # the version that was on the screen when the form was opened guards against a lost update
    opened = schedule["version"] if schedule else 0
    version = st.session_state.setdefault(f"plan_{key}_version", opened)
    label = "Make the schedule" if schedule is None else "Save the change"
    if st.button(
        label, icon=":material/save:", type="primary", key="save", disabled=timing is None
    ):
        with components.reporting("The schedule cannot be saved"):
            save(plan, schedule, version, key)


def save(plan: Plan, schedule: dict[str, Any] | None, version: int, key: str) -> None:
    desk = context.desk()
    try:
        if schedule is None:
            schedule_id = actions.make_schedule(desk, plan)
        else:
            schedule_id = schedule["schedule_id"]
            actions.change_schedule(desk, schedule_id, plan, version=version)
    except actions.ScheduleConflictError:
        forget(key)
        raise
    forget(key)
    components.step_into(edit=None, schedule=schedule_id)


def forget(key: str) -> None:
    for name in [name for name in st.session_state if str(name).startswith(f"plan_{key}_")]:
        del st.session_state[name]


def ask_plan(schedule: dict[str, Any] | None, key: str) -> Plan:
    """Show the fields and return what they say now."""
    given = schedule or {}
    feeds = list(datasets.declared())
    dataset = st.pills(
        "Feed",
        feeds,
        default=given.get("dataset", feeds[-1]),
        key=f"plan_{key}_feed",
        required=True,
        disabled=schedule is not None,
        help=None if schedule is None else "A schedule keeps its feed",
    )
    name = st.text_input(
        "Name",
        value=given.get("name", ""),
        key=f"plan_{key}_name",
        max_chars=actions.NAME_CHARACTERS,
        placeholder="optional; otherwise its times in words",
    )
    kind = st.segmented_control(
        "Runs",
        ["at times", "every"],
        default="every" if given.get("interval_seconds") else "at times",
        key=f"plan_{key}_kind",
        required=True,
    )
    cron, seconds, zone = None, None, given.get("time_zone", viewer_zone())
    if kind == "every":
        seconds = ask_interval(given.get("interval_seconds") or 900, key)
    else:
        cron, zone = ask_cron(given.get("cron") or "0 6 * * *", zone, key)
    catch_up = st.toggle(
        "Make up for missed times",
        value=given.get("catch_up", False),
        key=f"plan_{key}_catch_up",
        help="Times that come while no scheduler runs are missed. On: one run makes up for all of "
        "them as soon as a scheduler runs again. Off: they are skipped.",
    )
    return Plan(
        dataset=str(dataset),
        name=name,
        cron=cron,
        interval_seconds=seconds,
        time_zone=zone,
        catch_up=catch_up,
    )


def ask_interval(seconds: int, key: str) -> int:
    unit = max((unit for unit in UNITS if seconds % UNITS[unit] == 0), key=lambda u: UNITS[u])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        count = st.number_input(
            "Every",
            min_value=1,
            max_value=1_000_000,
            value=seconds // UNITS[unit],
            key=f"plan_{key}_count",
            width=160,
        )
        chosen = st.pills(
            "Unit",
            list(UNITS),
            default=unit,
            key=f"plan_{key}_unit",
            required=True,
            label_visibility="collapsed",
        )
    return int(count) * UNITS[str(chosen)]


def ask_cron(cron: str, zone: str, key: str) -> tuple[str, str]:
    widget, usual = f"plan_{key}_cron", f"plan_{key}_usual"

    def take_usual() -> None:
        if st.session_state[usual]:
            st.session_state[widget] = USUAL[st.session_state[usual]]
            st.session_state[usual] = None

    st.session_state.setdefault(widget, cron)
    text = st.text_input(
        "Cron: minute, hour, day of the month, month, weekday",
        key=widget,
        max_chars=200,
        help="`*` any · `*/15` every 15th · `8-17` from to · `1,15` a list · weekdays `mon`…`sun`, "
        "or cron's numbers: 0 and 7 are Sunday",
    )
    st.pills(
        "Usual times",
        list(USUAL),
        key=usual,
        on_change=take_usual,
        wrap=True,
        label_visibility="collapsed",
    )
    zones = sorted(zoneinfo.available_timezones())
    zone = st.selectbox(
        "Time zone",
        zones,
        index=zones.index(zone) if zone in zones else zones.index("UTC"),
        key=f"plan_{key}_zone",
    )
    return text, zone


def viewer_zone() -> str:
    """Return the time zone of the browser, UTC when it does not say or nobody knows it."""
    zone = st.context.timezone or "UTC"
    return zone if zone in zoneinfo.available_timezones() else "UTC"


main()
