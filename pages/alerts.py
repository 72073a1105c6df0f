"""What is wrong now, what was, when somebody is told, and where."""

from __future__ import annotations

import datetime as dt
from typing import Any

import streamlit as st

from app import components, context, reads
from app.actions import alerts as actions
from etl import alert_kinds, channels, datasets
from etl.alert_kinds import KINDS

PAGE_ROWS = 25
OPEN_CARDS = 12
STATES = ("firing", "resolved")
VIEWS = {
    "incidents": ":material/notifications: Incidents",
    "rules": ":material/tune: Rules",
    "channels": ":material/send: Channels",
}
MUTES = {"1 hour": 1, "8 hours": 8, "1 day": 24, "1 week": 168}  # hours
UNITS = {
    "records": "records",
    "fraction": "%",
    "seconds": "seconds",
    "deviations": "standard deviations",
}


def main() -> None:
    st.title("Alerts")
    view = components.filter_pills(
        "Show",
        list(VIEWS),
        key="show",
        page_key="page",
        words=VIEWS.__getitem__,
        default="incidents",
        required=True,
    )
    show_failing(is_listed=view == "channels")
    {"rules": show_rules, "channels": show_channels}.get(view or "", show_incidents)()


def show_failing(*, is_listed: bool) -> None:
    for channel in reads.rows("queries/incidents.failing_channels"):
        st.warning(
            f"{components.escape(channel['last_error'])} Nothing has arrived since "
            f"{components.ago(channel['last_failure_at'])}; what waits is tried again for a day.",
            title=f"The channel {components.escape(channel['name'])} fails",
            icon=":material/notifications_off:",
        )
        if not is_listed:
            components.link("alerts", "Repair it", icon=":material/arrow_forward:", show="channels")


# Incidents ------------------------------------------------------------------------------


def show_incidents() -> None:
    components.live(every="5s")(show_open)()
    st.subheader("History")
    nothing = {"state": None, "dataset": None, "kind": None}
    if not reads.value("queries/incidents.count", **nothing):
        show_history(nothing)  # no filters for an empty list
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state = components.filter_pills(
            "State", STATES, key="state", page_key="page", words=components.state_option
        )
        dataset = components.filter_pills(
            "Feed", list(datasets.declared()), key="feed", page_key="page"
        )
        kind = components.filter_pills(
            "Alert", list(KINDS), key="kind", page_key="page", words=lambda name: KINDS[name].title
        )
    show_history({"state": state, "dataset": dataset, "kind": kind})


def show_open() -> None:
    filters = {"state": "firing", "dataset": None, "kind": None}
    total = reads.value("queries/incidents.count", **filters)
    st.subheader(f"Open now: {total:,}" if total else "Open now")
    if not total:
        show_nothing_open()
        return
    incidents = reads.rows("queries/incidents.history", **filters, limit=OPEN_CARDS, offset=0)
    with st.grid(2, min_column_width=380, gap="small"):
        for incident in incidents:
            with st.container(border=True, height="stretch", gap="xsmall"):
                show_incident(incident)
    if total > OPEN_CARDS:
        st.caption(f"{total - OPEN_CARDS:,} more are in the history below.")


def show_nothing_open() -> None:
    if any(rule["enabled"] for rule in reads.rows("queries/incidents.rules")):
        components.empty_state(
            "Nothing is wrong", "No alert rule holds at the moment.", icon="check_circle"
        )
    else:
        components.empty_state(
            "Nothing is watched",
            "Every alert rule is switched off: open Rules above.",
            icon="notifications_off",
        )


def show_incident(incident: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        components.state_badge(incident["severity"])
        st.markdown(f"**{KINDS[incident['kind']].title}**", width="content")
        st.caption(components.escape(incident["subject"]), width="content")
    st.markdown(components.escape(incident["message"]))
    told = "told" if incident["sent"] else "waits to be told" if incident["waiting"] else "not sent"
    st.caption(
        f"#{incident['incident_id']} · since {components.ago(incident['opened_at'])} · {told}",
        help=components.absolute(incident["opened_at"]),
    )
    if incident["run_id"]:
        components.link(
            "runs",
            f"Run {incident['run_id']}",
            icon=":material/arrow_forward:",
            run=incident["run_id"],
        )


def show_history(filters: dict[str, Any]) -> None:
    total = reads.value("queries/incidents.count", **filters)
    if not total and any(filters.values()):
        components.empty_state(
            "No incident fits these filters", "Clear a filter to see more.", icon="filter_alt_off"
        )
        return
    if not total:
        components.empty_state(
            "No incidents yet",
            "An incident begins when an alert rule holds. Make a channel, so that somebody is told.",
            icon="notifications",
        )
        return
    everything = components.Download(
        file_name="incidents.csv",
        data=lambda: components.as_csv(
            reads.rows("queries/incidents.history", **filters, limit=100_000, offset=0)
        ),
    )
    body, offset = components.list_frame(
        total, size=PAGE_ROWS, key="page", word="incident", downloads=[everything]
    )
    incidents = reads.rows("queries/incidents.history", **filters, limit=PAGE_ROWS, offset=offset)
    with body:
        row = components.list_table(
            [incident_cells(incident) for incident in incidents],
            {
                "open": "Run",
                "state": components.state_column("State", *STATES),
                "title": components.text_column("Alert", width=130),
                "subject": components.text_column("About", width=110),
                "message": components.text_column("What happened", width=300),
                "opened_at": components.time_column("Began"),
                "lasted": components.text_column("Lasted", width=90),
                "resolved_because": components.text_column("Reason of its end", width=180),
                "messages": components.text_column("Messages", width=120),
            },
            alt="Incidents, newest first",
            key=f"incidents_{offset}",
            opens="open",
        )
    if row is not None and incidents[row]["run_id"]:
        components.go("runs", run=incidents[row]["run_id"])


def incident_cells(incident: dict[str, Any]) -> dict[str, Any]:
    counts = [
        f"{incident[name]} {name}" for name in ("sent", "waiting", "skipped") if incident[name]
    ]
    return {
        **incident,
        "open": f"#{incident['run_id']}" if incident["run_id"] else None,
        "state": components.state_cell(incident["state"]),
        "title": KINDS[incident["kind"]].title,
        "lasted": components.duration(incident["seconds"]),
        "messages": ", ".join(counts) or "none",
    }


# Rules ----------------------------------------------------------------------------------


def show_rules() -> None:
    rules = reads.rows("queries/incidents.rules")
    editing = components.chosen("rule")
    if not rules:
        components.empty_state(
            "Nothing is watched", "Make the first alert rule below.", icon="notifications_off"
        )
    for rule in rules:
        with st.container(border=True, gap="xsmall", key=f"rule_{rule['alert_rule_id']}"):
            show_rule(rule, is_edited=editing == rule["alert_rule_id"])
    st.subheader("Watch something more")
    show_new_rule()


def show_rule(rule: dict[str, Any], *, is_edited: bool) -> None:
    rule_id = rule["alert_rule_id"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(gap="xsmall", width="stretch"):
            words = alert_kinds.sentence(rule["kind"], rule["dataset"], rule["threshold"])
            st.markdown(f"**{components.escape(words)}**")
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                show_rule_state(rule)
        if st.button("Change", icon=":material/edit:", key=f"change_{rule_id}", type="tertiary"):
            components.step_into(rule=None if is_edited else rule_id)
        if rule["muted_until"]:
            if st.button(
                "Unmute", icon=":material/volume_up:", key=f"unmute_{rule_id}", type="tertiary"
            ):
                mute(rule_id, None)
        else:
            hours = st.menu_button(
                "Mute",
                list(MUTES),
                icon=":material/volume_off:",
                key=f"mute_{rule_id}",
                type="tertiary",
            )
            if hours:
                mute(rule_id, dt.datetime.now(dt.UTC) + dt.timedelta(hours=MUTES[hours]))
    if is_edited:
        show_rule_form(rule)


def show_rule_state(rule: dict[str, Any]) -> None:
    if not rule["enabled"]:
        st.badge("off", icon=":material/notifications_off:", color="gray")
    elif rule["muted_until"]:
        st.badge(
            f"muted, ends {components.ago(rule['muted_until'])}",
            icon=":material/volume_off:",
            color="gray",
            help=components.absolute(rule["muted_until"]),
        )
    elif rule["open_incidents"]:
        components.count_badge("firing", rule["open_incidents"])
    else:
        st.badge("quiet", icon=":material/check_circle:", color="green")
    components.state_badge(rule["severity"])
    st.caption(
        f"again after {alert_kinds.duration_words(rule['cooldown_seconds'])} at the earliest · "
        f"{components.escape(rule['updated_by'])}, {components.ago(rule['updated_at'])}",
        width="content",
    )


def mute(rule_id: int, until: dt.datetime | None) -> None:
    with components.reporting("The rule cannot be muted"):
        actions.mute_rule(context.desk(), rule_id, until=until)
        st.rerun()


def show_rule_form(rule: dict[str, Any]) -> None:
    rule_id = rule["alert_rule_id"]
    with st.form(f"rule_form_{rule_id}", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            wished = rule_fields(rule, key=str(rule_id))
            is_enabled = st.toggle("Watched", value=rule["enabled"], key=f"enabled_{rule_id}")
        with st.container(horizontal=True, gap="small"):
            saved = st.form_submit_button("Save", type="primary", key=f"save_{rule_id}")
            removed = st.form_submit_button(
                "Remove", icon=":material/delete:", type="tertiary", key=f"remove_rule_{rule_id}"
            )
    if saved:
        with components.reporting("The rule cannot be changed"):
            actions.change_rule(context.desk(), rule_id, is_enabled=is_enabled, **wished)
            components.step_into(rule=None)
    if removed:
        with components.reporting("The rule cannot be removed"):
            actions.remove_rule(context.desk(), rule_id)
            components.step_into(rule=None)


def rule_fields(rule: dict[str, Any], *, key: str) -> dict[str, Any]:
    """Show the fields of a rule; return what they say."""
    kind = KINDS[rule["kind"]]
    wished: dict[str, Any] = {"dataset": None, "threshold": None}
    if kind.unit is not None:
        scale = 100 if kind.unit == "fraction" else 1
        shown = st.number_input(
            f"Limit ({UNITS[kind.unit]})",
            min_value=0.0,
            max_value=100.0 if scale == 100 else None,
            value=round(float(rule["threshold"]) * scale, 6),
            format="%g",
            width=190,
            key=f"threshold_{key}",
        )
        wished["threshold"] = round(shown / scale, 8)
    if kind.is_of_feed:
        wished["dataset"] = st.selectbox(
            "Feed",
            [None, *datasets.declared()],
            index=[None, *datasets.declared()].index(rule["dataset"]),
            format_func=lambda name: name or "any feed",
            width=150,
            key=f"dataset_{key}",
        )
    wished["severity"] = st.selectbox(
        "Severity",
        actions.SEVERITIES,
        index=actions.SEVERITIES.index(rule["severity"]),
        width=130,
        key=f"severity_{key}",
    )
    minutes = st.number_input(
        "Cooldown (minutes)",
        min_value=0.0,
        value=rule["cooldown_seconds"] / 60,
        format="%g",
        width=160,
        key=f"cooldown_{key}",
        help="After an incident ended, a new one of the same kind and subject waits so long",
    )
    wished["cooldown_seconds"] = round(minutes * 60)
    return wished


def show_new_rule() -> None:
    name = st.selectbox(
        "What", list(KINDS), format_func=lambda name: KINDS[name].title, width=260, key="new_kind"
    )
    kind = KINDS[name]
    fresh = {
        "kind": name,
        "dataset": None,
        "threshold": kind.usual,
        "severity": "warning",
        "cooldown_seconds": 900,
    }
    st.caption(components.escape(alert_kinds.sentence(name, None, kind.usual)))
    with st.form("new_rule", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            wished = rule_fields(fresh, key=f"new_{name}")
        added = st.form_submit_button(
            "Add rule", icon=":material/add:", type="primary", key="add_rule"
        )
    if added:
        with components.reporting("The rule cannot be added"):
            actions.add_rule(context.desk(), kind=name, **wished)
            st.rerun()


# Channels -------------------------------------------------------------------------------


def show_channels() -> None:
    found = reads.rows("queries/incidents.channels")
    editing = components.chosen("channel")
    if not found:
        components.empty_state(
            "No channel yet",
            "Alerts are only shown on this page. Add a channel below, so that somebody is told.",
            icon="send",
        )
    for channel in found:
        with st.container(border=True, gap="xsmall", key=f"channel_{channel['channel_id']}"):
            show_channel(channel, is_edited=editing == channel["channel_id"])
    st.subheader("Add a channel")
    show_new_channel()


def show_channel(channel: dict[str, Any], *, is_edited: bool) -> None:
    channel_id = channel["channel_id"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(gap="xsmall", width="stretch"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f"**{components.escape(channel['name'])}**", width="content")
                show_channel_state(channel)
            st.text(channels.masked(channel["address"]))
            st.caption(
                f"last arrived {components.ago(channel['last_success_at'])} · "
                f"last failed {components.ago(channel['last_failure_at'])}"
                + (f" · {channel['waiting']:,} waiting" if channel["waiting"] else ""),
                help=f"arrived {components.absolute(channel['last_success_at'])} · "
                f"failed {components.absolute(channel['last_failure_at'])}",
            )
        if st.button("Test", icon=":material/send:", key=f"test_{channel_id}"):
            test(channel_id)
        if st.button("Change", icon=":material/edit:", key=f"edit_{channel_id}", type="tertiary"):
            components.step_into(channel=None if is_edited else channel_id)
    if is_edited:
        show_channel_form(channel)


def show_channel_state(channel: dict[str, Any]) -> None:
    if not channel["enabled"]:
        st.badge("off", icon=":material/notifications_off:", color="gray")
    elif channel["last_error"]:
        st.badge("fails", icon=":material/error:", color="red")
    elif channel["last_success_at"]:
        st.badge("works", icon=":material/check_circle:", color="green")
    else:
        st.badge("not used yet", icon=":material/schedule:", color="gray")


def test(channel_id: int) -> None:
    with components.reporting("The test did not arrive"), st.spinner("Sending a test"):
        actions.test_channel(context.desk(), channel_id)
        st.toast("The test arrived", icon=":material/check_circle:")


def show_channel_form(channel: dict[str, Any]) -> None:
    channel_id = channel["channel_id"]
    with st.form(f"channel_form_{channel_id}", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            name = st.text_input(
                "Name", value=channel["name"], max_chars=100, key=f"name_{channel_id}"
            )
            address = address_field("New address", key=f"address_{channel_id}")
            is_enabled = st.toggle("Used", value=channel["enabled"], key=f"used_{channel_id}")
        with st.container(horizontal=True, gap="small"):
            saved = st.form_submit_button("Save", type="primary", key=f"save_channel_{channel_id}")
            removed = st.form_submit_button(
                "Remove",
                icon=":material/delete:",
                type="tertiary",
                key=f"remove_channel_{channel_id}",
            )
    if saved:
        with components.reporting("The channel cannot be changed"):
            actions.change_channel(
                context.desk(),
                channel_id,
                name=name,
                address=address or None,
                is_enabled=is_enabled,
            )
            components.step_into(channel=None)
    if removed:
        with components.reporting("The channel cannot be removed"):
            actions.remove_channel(context.desk(), channel_id)
            components.step_into(channel=None)


def show_new_channel() -> None:
    with st.form("new_channel", border=False, clear_on_submit=False):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            name = st.text_input(
                "Name", max_chars=100, key="new_name", placeholder="On-call, by e-mail"
            )
            address = address_field("Address", key="new_address")
        added = st.form_submit_button(
            "Add channel", icon=":material/add:", type="primary", key="add_channel"
        )
    st.caption(
        "Webhook `jsons://host/path` · e-mail `mailtos://user:password@host?to=address` · Slack, "
        "Teams: the address of their incoming webhook · file `file:alerts.jsonl` in `logs/` · "
        "`env:NAME` where an environment variable of worker and web holds the address. "
        "An address is kept secret: it is never shown again."
    )
    if added:
        with components.reporting("The channel cannot be added"):
            actions.add_channel(context.desk(), name=name, address=address)
            st.rerun()


def address_field(label: str, *, key: str) -> str:
    return st.text_input(
        label,
        type="password",
        autocomplete="off",
        max_chars=channels.ADDRESS_CHARACTERS,
        key=key,
        placeholder="stays as it is" if label.startswith("New") else "jsons://…",
        width=420,
    )


main()
