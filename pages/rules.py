"""Rules in words: what judges records, how often each fired, who changed it, and drafts of changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from app import components, context, reads
from app.actions import rules as actions
from app.rule_book import RECENT_DAYS, differences
from app.what_if_view import show_what_if
from etl import datasets, validate
from etl.model import Dataset, Judges, Severity
from etl.rule_definition import (
    CODE_CHARACTERS,
    LARGEST_ORDINAL,
    MESSAGE_CHARACTERS,
    OWNER_CHARACTERS,
    RuleDefinition,
    RuleError,
)
from etl.rule_drafts import REASON_CHARACTERS, OutdatedError

PAGE_ROWS = 25
SEVERITIES = [severity.value for severity in Severity]
STATES = ("on", "off")
JUDGES = {Judges.RECEIVED.value: "as received", Judges.NORMALISED.value: "after normalising"}


def main() -> None:
    rule_id = components.chosen("rule")
    if "new" in st.query_params:
        show_new(st.query_params["new"])
    elif rule_id is None:
        show_list()
    else:
        show_rule(rule_id)


# The list -------------------------------------------------------------------------------


def show_list() -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title("Rules", width="content")
        st.space("stretch")
        show_import()
        if st.button("New rule", icon=":material/add:", type="primary", key="new"):
            feed = st.query_params.get("feed", "")
            components.step_into(new=feed if feed in datasets.declared() else "sales")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        dataset = components.filter_pills(
            "Feed", list(datasets.declared()), key="feed", page_key="page"
        )
        severity = components.filter_pills(
            "Severity", SEVERITIES, key="severity", page_key="page", words=components.state_option
        )
        state = components.filter_pills(
            "State", STATES, key="state", page_key="page", words=components.state_option
        )
    show_drafts(dataset)
    filters = {
        "dataset": dataset,
        "severity": severity,
        "active": None if state is None else state == "on",
    }
    show_rules(filters)


def show_rules(filters: dict[str, Any]) -> None:
    total = reads.value("queries/rules.count", **filters)
    if not total and any(value is not None for value in filters.values()):
        components.empty_state(
            "No rule fits these filters", "Clear a filter to see more.", icon="filter_alt_off"
        )
        return
    if not total:
        components.empty_state("No rules", "Make the first with “New rule”.", icon="gavel")
        return
    body, offset = components.list_frame(
        total,
        size=PAGE_ROWS,
        key="page",
        word="rule",
        downloads=[
            components.Download(
                file_name="rules.csv",
                data=lambda: components.as_csv(reads.rules_listed(**filters)),
            ),
            components.Download(
                label="YAML",
                file_name="rules.yaml",
                data=lambda: reads.rules_as_yaml(filters["dataset"]),
            ),
        ],
    )
    found = reads.rules_listed(**filters, limit=PAGE_ROWS, offset=offset)
    with body:
        row = components.list_table(
            [
                {
                    **rule,
                    "open": f"#{rule['rule_id']}",
                    "severity": components.state_cell(rule["severity"]),
                    "state": components.state_cell("on" if rule["active"] else "off"),
                    "draft": components.state_cell("draft") if rule["draft_id"] else [],
                }
                for rule in found
            ],
            {
                "open": "Rule",
                "dataset": components.text_column("Feed", width=84),
                "sentence": components.text_column("In words", width=300),
                "message": components.text_column("Message", width=170),
                "severity": components.state_column("Severity", *SEVERITIES),
                "state": components.state_column("State", *STATES),
                "lately": components.count_column(f"{RECENT_DAYS} days", help="How often it fired"),
                "fired": components.count_column("Ever", help="How often it fired"),
                "owner": components.text_column("Owner", width=100),
                "ordinal": components.count_column("Order"),
                "version": components.count_column("Version"),
                "draft": components.state_column("Draft", "draft"),
            },
            alt="Rules by feed, in the order of their messages",
            key=f"rules_{offset}",
            opens="open",
        )
    if row is not None:
        components.step_into(rule=found[row]["rule_id"])


def show_import() -> None:
    with st.popover("Import", icon=":material/upload_file:"):
        st.caption(
            "A YAML file as the list below gives it. What differs becomes drafts; rules that the "
            "file does not name stay as they are."
        )
        file = st.file_uploader("YAML file", type=["yaml", "yml"], key="file")
        if st.button("Make drafts", type="primary", key="import", disabled=file is None):
            assert file is not None
            with components.reporting("The file is refused: no draft was made"):
                drafts = actions.import_rules(context.desk(), file.getvalue(), name=file.name)
                said = f"{len(drafts)} drafts were made" if drafts else "Nothing differs"
                st.toast(said, icon=":material/edit_note:")


# Drafts ---------------------------------------------------------------------------------


def show_drafts(dataset: str | None) -> None:
    drafts = reads.rule_drafts(dataset)
    if not drafts:
        return
    for feed in dict.fromkeys(draft["dataset"] for draft in drafts):
        of_feed = [draft for draft in drafts if draft["dataset"] == feed]
        with st.container(border=True, gap="small", key=f"drafts_{feed}"):
            show_drafts_of(feed, of_feed)


def show_drafts_of(feed: str, drafts: list[dict[str, Any]]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(f"Drafts of {feed}: {len(drafts):,}", width="content", anchor=False)
        st.space("stretch")
        ready = [draft["draft_id"] for draft in drafts if not draft["is_outdated"]]
        if len(ready) > 1 and st.button(
            "Activate all", icon=":material/done_all:", key=f"activate_all_{feed}"
        ):
            activate(ready)
        if ready and st.button(
            "Activate and judge again",
            icon=":material/replay:",
            key=f"activate_again_{feed}",
            help="Every record that came so far is judged by the new rules; the run is on Runs",
        ):
            activate(ready, judge_again=True)
    if actions.needs_second_person(context.desk()):
        st.caption(":material/group: Somebody else than who made a draft activates it.")
    st.caption("Active rules judge what comes from now on; *judge again* applies them to the rest.")
    for draft in drafts:
        show_draft(draft)
    show_what_if(feed)


def show_draft(draft: dict[str, Any]) -> None:
    draft_id, rule = draft["draft_id"], draft["rule"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with components.wide_part(f"draft_{draft_id}"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                components.state_badge("outdated" if draft["is_outdated"] else "draft")
                what = "New rule" if draft["rule_id"] is None else f"Rule {draft['rule_id']}"
                st.markdown(f"**{what}: {components.escape(draft['sentence'])}**", width="content")
            said = draft["changes"] or [f"{rule['severity']}s with “{rule['message']}”"]
            for line in said:
                st.caption(components.escape(line))
            by = f"{draft['made_by']}, {components.ago(draft['made_at'])}"
            st.caption(
                components.escape(f"{by} · {draft['reason']}" if draft["reason"] else by),
                help=components.absolute(draft["made_at"]),
            )
        if st.button(
            "Activate",
            icon=":material/check:",
            key=f"activate_{draft_id}",
            type="primary",
            disabled=draft["is_outdated"],
            help="The rule changed meanwhile" if draft["is_outdated"] else None,
        ):
            activate([draft_id])
        if st.button("Withdraw", key=f"withdraw_{draft_id}", type="tertiary"):
            with components.reporting("The draft cannot be withdrawn"):
                actions.withdraw_draft(context.desk(), draft_id)
                st.rerun()


def activate(drafts: list[int], *, judge_again: bool = False) -> None:
    with components.reporting("The drafts cannot be activated"):
        done = actions.activate_drafts(context.desk(), drafts, judge_again=judge_again)
        if done.run_id is not None:
            st.toast(f"Run {done.run_id} judges everything again", icon=":material/replay:")
        if done.outdated:
            st.toast(
                f"{len(done.outdated)} drafts are outdated: their rules changed meanwhile",
                icon=":material/update_disabled:",
            )
        st.rerun()


# One rule -------------------------------------------------------------------------------


def show_rule(rule_id: int) -> None:
    if st.button("All rules", icon=":material/arrow_back:", type="tertiary", key="back"):
        components.step_into(rule=None, edit=None)
    found = reads.rules_listed(rule_id=rule_id)
    if not found:
        raise RuleError(f"there is no rule {rule_id}")
    rule = found[0]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(components.escape(rule["message"]), width="content", anchor=False)
        components.state_badge(rule["severity"])
        components.state_badge("on" if rule["active"] else "off")
        st.space("stretch")
        show_buttons(rule)
    st.markdown(components.escape(rule["sentence"]))
    facts = [
        f"{rule['code']} of {rule['dataset']}",
        f"judges {JUDGES[rule['judges']]}",
        f"order {rule['ordinal']}",
        f"version {rule['version']} by {rule['updated_by']}, {components.ago(rule['updated_at'])}",
        f"owner {rule['owner']}" if rule["owner"] else "no owner",
        f"fired {rule['fired']:,} times, {rule['lately']:,} in {RECENT_DAYS} days",
    ]
    st.caption(components.escape(" · ".join(facts)), help=components.absolute(rule["updated_at"]))
    drafts = [one for one in reads.rule_drafts(rule["dataset"]) if one["rule_id"] == rule_id]
    for draft in drafts:
        with st.container(border=True):
            show_draft(draft)
    if "edit" in st.query_params:
        show_form(rule["dataset"], rule, drafts[0]["rule"] if drafts else None)
    if rule["severity"] == "reject" and rule["fired"]:
        components.link(
            "invalid_records",
            "Records that break it",
            icon=":material/arrow_forward:",
            rule=rule_id,
        )
    show_versions(rule)


def show_buttons(rule: dict[str, Any]) -> None:
    rule_id = rule["rule_id"]
    for name, icon, is_up in (("Up", "arrow_upward", True), ("Down", "arrow_downward", False)):
        if st.button(
            name, icon=f":material/{icon}:", key=name.lower(), help="Drafts another order"
        ):
            with components.reporting("The rule cannot be moved"):
                actions.move_rule(context.desk(), rule_id, is_up=is_up)
                st.rerun()
    label = "Switch off" if rule["active"] else "Switch on"
    icon = ":material/toggle_off:" if rule["active"] else ":material/toggle_on:"
    if st.button(label, icon=icon, key="switch", help="Makes a draft"):
        with components.reporting("The rule cannot be switched"):
            actions.switch_rule(context.desk(), rule_id, is_active=not rule["active"])
            st.rerun()
    if st.button("Change", icon=":material/edit:", key="change"):
        components.step_into(edit=None if "edit" in st.query_params else "1")


def show_versions(rule: dict[str, Any]) -> None:
    st.subheader("Versions")
    for version in reads.rule_versions(rule["rule_id"]):
        number = version["version"]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            with st.container(gap="xsmall", width="stretch"):
                st.markdown(
                    f"**Version {number}** · {components.escape(version['changed_by'])}, "
                    f"{components.ago(version['changed_at'])}"
                )
                for line in version["changes"] or [version["sentence"]]:
                    st.caption(components.escape(line))
            if number == rule["version"]:
                st.badge("now", icon=":material/check_circle:", color="green")
            elif differences(rule, version["rule"]) and st.button(
                "Back to this", icon=":material/history:", key=f"back_{number}", type="tertiary"
            ):
                with components.reporting("The rule cannot go back"):
                    actions.go_back(context.desk(), rule["rule_id"], version=number)
                    st.rerun()


# The form -------------------------------------------------------------------------------


def show_new(feed: str) -> None:
    if st.button("All rules", icon=":material/arrow_back:", type="tertiary", key="back"):
        components.step_into(new=None)
    st.title("New rule")
    feeds = list(datasets.declared())
    dataset = st.pills(
        "Feed",
        feeds,
        default=feed if feed in feeds else feeds[-1],
        key="new_feed",
        required=True,
    )
    show_form(str(dataset), None, None)


def show_form(feed: str, rule: dict[str, Any] | None, drafted: dict[str, Any] | None) -> None:
    """Show the fields of a rule; a draft that waits is what is changed."""
    dataset = datasets.get(feed)
    key = f"form_{feed}_{rule['rule_id'] if rule else 'new'}"
    given = RuleDefinition.of_row(drafted or rule) if rule else None
    with st.container(border=True, gap="small"), components.reporting("The rule cannot be so"):
        wished = ask_rule(dataset, given, key)
        reason = st.text_input(
            "Reason", key=f"{key}_reason", max_chars=REASON_CHARACTERS, placeholder="Why"
        )
        # the version on the screen when the form was opened guards against a lost update
        version = st.session_state.setdefault(f"{key}_version", rule["version"] if rule else 0)
        st.markdown(f"**{components.escape(wished.sentence)}**")
        if st.button("Make a draft", icon=":material/save:", type="primary", key="save"):
            save(feed, rule, wished, version, reason, key)


def save(
    feed: str,
    rule: dict[str, Any] | None,
    wished: RuleDefinition,
    version: int,
    reason: str,
    key: str,
) -> None:
    try:
        actions.draft_rule(
            context.desk(),
            feed,
            wished,
            rule_id=rule["rule_id"] if rule else None,
            version=version if rule else None,
            reason=reason,
        )
    except OutdatedError:
        st.session_state.pop(f"{key}_version")  # what is on the screen next is the rule of now
        raise
    st.session_state.pop(f"{key}_version")
    components.step_into(new=None, edit=None)


def ask_rule(dataset: Dataset, given: RuleDefinition | None, key: str) -> RuleDefinition:
    """Show the fields of a rule; return what they say now."""
    names = list(dataset.column_names)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        column_name = st.selectbox(
            "Column",
            names,
            index=names.index(given.column_name) if given else 0,
            key=f"{key}_column",
            width=200,
        )
        column = next(one for one in dataset.columns if one.name == column_name)
        kinds = [kind for kind in validate.KINDS if validate.suits(kind, column)]
        kind = st.selectbox(
            "Kind",
            kinds,
            index=kinds.index(given.kind) if given and given.kind in kinds else 0,
            format_func=lambda name: name.replace("_", " "),
            key=f"{key}_kind_{column_name}",
            width=200,
        )
        severity = st.segmented_control(
            "Severity",
            SEVERITIES,
            default=given.severity if given else Severity.WARN.value,
            format_func=components.state_option,
            key=f"{key}_severity",
            required=True,
        )
        judges = st.segmented_control(
            "Judges the value",
            list(JUDGES),
            default=given.judges if given else Judges.NORMALISED.value,
            format_func=JUDGES.__getitem__,
            key=f"{key}_judges",
            required=True,
        )
    known = given.parameters if given and given.kind == kind else {}
    parameters = ask_parameters(kind, known, f"{key}_{kind}")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        code = given.code if given else ""
        if given is None:
            usual = f"{column_name}_{kind}"[:CODE_CHARACTERS]
            code = st.text_input(
                "Code", key=f"{key}_code", max_chars=CODE_CHARACTERS, placeholder=usual, width=200
            )
            code = code.strip() or usual
        message = st.text_input(
            "Message",
            value=given.message if given else "",
            key=f"{key}_message",
            max_chars=MESSAGE_CHARACTERS,
            placeholder="Words that stand at the record",
            width=280,
        )
        owner = st.text_input(
            "Owner",
            value=(given.owner or "") if given else "",
            key=f"{key}_owner",
            max_chars=OWNER_CHARACTERS,
            placeholder="Who answers for it",
            width=180,
        )
        ordinal = st.number_input(
            "Order",
            min_value=0,
            max_value=LARGEST_ORDINAL,
            value=given.ordinal if given else reads.next_rule_order(dataset.name),
            key=f"{key}_ordinal",
            width=130,
        )
        is_active = st.toggle("On", value=given.active if given else True, key=f"{key}_active")
    usual_rule = RuleDefinition(
        code=code,
        column_name=str(column_name),
        kind=str(kind),
        message=message.strip(),
    )
    return replace(
        given or usual_rule,
        column_name=str(column_name),
        kind=str(kind),
        message=message.strip(),
        severity=str(severity),
        judges=str(judges),
        parameters=parameters,
        ordinal=int(ordinal),
        active=is_active,
        owner=owner.strip() or None,
        **ask_limits(given, key),
    )


def ask_parameters(kind: str, known: Any, key: str) -> dict[str, Any]:
    """Show a field for each parameter of the kind; return those that are filled in."""
    found: dict[str, Any] = {}
    declared = validate.KINDS[kind]
    if not declared.parameters:
        return found
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        for name, type_ in declared.parameters.items():
            widget, label = f"{key}_{name}", name.capitalize()
            if type_ == "boolean":
                if st.toggle(label, value=bool(known.get(name)), key=widget):
                    found[name] = True
                continue
            if type_ == "list":
                text = st.text_area(
                    f"{label}, one a line",
                    value="\n".join(known.get(name, ())),
                    key=widget,
                    width=320,
                )
                found[name] = [line.strip() for line in text.splitlines() if line.strip()]
                continue
            text = st.text_input(label, value=str(known.get(name, "")), key=widget, width=200)
            is_same = text.strip() == str(known.get(name, ""))
            value = known.get(name) if is_same else as_parameter(text.strip(), type_)
            if value is not None:
                found[name] = value
    for name in declared.parameters:
        if name not in found and name not in declared.optional:
            found[name] = ""
    return found


def as_parameter(text: str, type_: str) -> Any:
    """Return what a field says as a parameter of this type; None where it says nothing."""
    if not text:
        return None
    if type_ in {"integer", "number", "value"}:
        try:
            return int(text)
        except ValueError:
            return text  # the exact digits
    return text


def ask_limits(given: RuleDefinition | None, key: str) -> dict[str, Any]:
    """Show the limits of a batch: from how many or what part on a run warns, or the batch stops."""
    found: dict[str, Any] = {}
    with (
        st.expander("Limits of a batch", icon=":material/speed:"),
        st.container(horizontal=True, vertical_alignment="bottom", gap="medium"),
    ):
        for name, label in (
            ("warn_records", "Warn from (records)"),
            ("warn_rate", "Warn from (%)"),
            ("stop_records", "Stop from (records)"),
            ("stop_rate", "Stop from (%)"),
        ):
            value = getattr(given, name) if given else None
            if name.endswith("records"):
                found[name] = st.number_input(
                    label, min_value=1, value=value, key=f"{key}_{name}", width=160
                )
            else:
                shown = st.number_input(
                    label,
                    min_value=0.0,
                    max_value=100.0,
                    value=None if value is None else round(value * 100, 6),
                    format="%g",
                    key=f"{key}_{name}",
                    width=130,
                )
                found[name] = None if shown is None else round(shown / 100, 8)
    return found


main()
