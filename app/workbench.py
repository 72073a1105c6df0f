"""The workbench of one invalid record: its fields as a form, judged at every edit, rehearsed, replayed.

An edit lives in the session under the number of the record, so that it never reaches another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from app import auth, components, context, reads, rehearsal_view
from app.actions import repairs
from app.auth import Role
from app.rehearsal_view import Figures
from etl import datasets, record_edit, validate
from etl.errors import RevenueError
from etl.model import Dataset, Rule, RunStatus, Severity
from etl.record_edit import Field, NotAnObjectError
from etl.repair import Edit, Rehearsal, Verdict
from etl.triage_states import UNFINISHED

_DRAFTS = "record_drafts"
_REPLAYED = "record_replayed"  # record -> the run that was queued for its repair here
_DIALOG = "record_dialog"
_FIELDS, _JSON = "Fields", "JSON"
_WAITING = {"accepted", "extracted"}
_UNDER_WAY = {"queued", "running", "lost", "failed"}


@dataclass(kw_only=True)
class Draft:
    """An edit that is not replayed yet."""

    version: int  # of the queue item when the edit began
    base: str  # the record as received, or as it was last typed as JSON
    changes: dict[str, str | None] = field(default_factory=dict)  # by column
    rehearsed: Rehearsal[Figures] | None = None

    def record(self, dataset: Dataset) -> str:
        """Return the JSON text as it shall be."""
        return record_edit.edited(self.base, dataset, self.changes) if self.changes else self.base


def show(record: Mapping[str, Any]) -> None:
    """Show what can be done with one invalid record, as etl.triage.show says it."""
    dataset = datasets.get(record["dataset"])
    standing = reads.rows("queries/workbench.standing", quarantine_id=record["quarantine_id"])[0]
    if _is_moving(standing):
        components.live(every="1s")(_follow)(record["quarantine_id"])
    elif record["status"] in UNFINISHED:
        _show_form(record, dataset)
    else:
        _show_closed(record, standing)


def _is_moving(standing: Mapping[str, Any]) -> bool:
    is_replayed = (
        standing["repair_id"] is not None
        and standing["reverted_at"] is None
        and standing["status"] in UNFINISHED
        and standing["batch_status"] in _WAITING
    )
    return is_replayed or _is_taken_back(standing)


def _is_taken_back(standing: Mapping[str, Any]) -> bool:
    return standing["reverted_at"] is None and standing["revert_status"] in _UNDER_WAY


def _may_act() -> bool:
    return auth.current().role >= Role.STEWARD


# The draft ------------------------------------------------------------------------------


def _drafts() -> dict[int, Draft]:
    drafts: dict[int, Draft] = st.session_state.setdefault(_DRAFTS, {})
    return drafts


def _draft(record: Mapping[str, Any]) -> Draft:
    kept = _drafts().get(record["quarantine_id"])
    return kept or Draft(version=record["version"], base=record["record"])


def _take_field(record: dict[str, Any], column: str, widget: str) -> None:
    """Take what was typed into a field; a callback."""
    draft = _draft(record)
    typed = st.session_state[widget] or None
    received = {
        one.column.name: one.text or None
        for one in record_edit.fields(draft.base, datasets.get(record["dataset"]))
    }
    draft.changes.pop(column, None)
    if typed != received[column]:
        draft.changes[column] = typed
    _keep(record, draft)


def _take_json(record: dict[str, Any], widget: str) -> None:
    """Take the whole record as it was typed; a callback."""
    draft = _draft(record)
    draft.base, draft.changes = st.session_state[widget], {}
    _keep(record, draft)


def _keep(record: Mapping[str, Any], draft: Draft) -> None:
    draft.rehearsed = None
    _drafts()[record["quarantine_id"]] = draft


def _drop(quarantine_id: int) -> None:
    """Forget the edit of a record; a callback, too."""
    _drafts().pop(quarantine_id, None)


def _renew(quarantine_id: int, version: int) -> None:
    """Keep the edit and base it on the record as it stands now; a callback."""
    draft = _drafts().get(quarantine_id)
    if draft is not None:
        draft.version, draft.rehearsed = version, None


# The form -------------------------------------------------------------------------------


def _show_form(record: Mapping[str, Any], dataset: Dataset) -> None:
    item, draft = record["quarantine_id"], _draft(record)
    text = draft.record(dataset)
    is_edited = text != record["record"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader("Repair")
        st.space("stretch")
        mode = st.segmented_control(
            "Edit as",
            [_FIELDS, _JSON],
            default=_FIELDS,
            required=True,
            key=f"mode_{item}",
            label_visibility="collapsed",
        )
    if draft.version != record["version"]:
        _offer_to_load(item, record["version"])
    verdict, problem = _verdict(dataset, text)
    if mode == _FIELDS:
        _show_fields(record, dataset, draft, verdict)
    else:
        _show_json(record, text)
    _show_verdict(record, verdict, problem, is_edited=is_edited)
    _show_actions(record, dataset, draft, text, is_valid=_is_valid(verdict), is_edited=is_edited)


def _is_valid(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.reasons is None


def _offer_to_load(item: int, version: int) -> None:
    st.warning("Somebody changed this record after you began to edit it.", icon=":material/group:")
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Load it again",
            icon=":material/refresh:",
            key=f"load_{item}",
            help="Drops your edit",
            on_click=_drop,
            args=(item,),
        )
        st.button(
            "Keep my edit",
            key=f"keep_{item}",
            type="tertiary",
            on_click=_renew,
            args=(item, version),
        )


def _verdict(dataset: Dataset, text: str) -> tuple[Verdict | None, str | None]:
    """Return what the rules say, or why they cannot say anything."""
    try:
        return repairs.examine(context.desk(), dataset.name, text), None
    except RevenueError as error:
        return None, error.message


def _show_fields(
    record: Mapping[str, Any], dataset: Dataset, draft: Draft, verdict: Verdict | None
) -> None:
    try:
        now = record_edit.fields(draft.record(dataset), dataset)
        received = {one.column.name: one for one in _fields_of(record["record"], dataset)}
    except NotAnObjectError:
        st.info("This is not one JSON object, so it has no fields. Edit it as JSON.")
        return
    broken: dict[str, list[Rule]] = {}
    for rule in verdict.broken if verdict else ():
        broken.setdefault(rule.column, []).append(rule)
    with st.grid(2, min_column_width=240, gap="small"):
        for one in now:
            with st.container(gap="xsmall"):
                name = one.column.name
                _show_field(record, one, received.get(name), broken.get(name, []))


def _fields_of(text: str, dataset: Dataset) -> list[Field]:
    try:
        return record_edit.fields(text, dataset)
    except NotAnObjectError:
        return []


def _show_field(
    record: Mapping[str, Any], now: Field, received: Field | None, broken: Sequence[Rule]
) -> None:
    name = now.column.name
    widget = f"field_{record['quarantine_id']}_{name}"
    st.session_state[widget] = now.text
    empty = {"absent": "missing", "null": "null"}
    st.text_input(
        name,
        key=widget,
        placeholder=empty.get(now.kind, "an empty text"),
        help=f"{now.column.comment}; stands at {now.path}",
        disabled=not _may_act(),
        on_change=_take_field,
        args=(dict(record), name, widget),
    )
    if received is None or received.text != now.text:
        was = "missing" if received is None else received.text or empty.get(received.kind, "empty")
        st.caption(f":material/edit: was {components.escape(was)}")
    for rule in broken:
        _show_violation(rule.message, validate.sentence(rule), rule.version, rule.severity)


def _show_violation(
    message: str, sentence: str, version: int | None, severity: Severity | str
) -> None:
    is_rejecting = severity == Severity.REJECT
    icon, colour = (":material/block:", "red") if is_rejecting else (":material/warning:", "orange")
    st.markdown(f":{colour}[{icon} **{components.escape(message)}**]")
    rest = "" if is_rejecting else " · warns only"
    st.caption(f"{components.escape(sentence)} · rule version {version}{rest}")


def _show_json(record: Mapping[str, Any], text: str) -> None:
    widget = f"json_{record['quarantine_id']}"
    st.session_state[widget] = text
    st.text_area(
        "The whole record as JSON",
        key=widget,
        height=300,
        disabled=not _may_act(),
        on_change=_take_json,
        args=(dict(record), widget),
    )


def _show_verdict(
    record: Mapping[str, Any], verdict: Verdict | None, problem: str | None, *, is_edited: bool
) -> None:
    if verdict is None:
        st.error(components.escape(problem), icon=":material/error:")
    elif verdict.reasons is None:
        what = "Would be valid" if is_edited else "Valid by the rules of now"
        st.success(f"{what}: no rule refuses it.", icon=":material/check_circle:")
    else:
        start = "Would still be invalid" if is_edited else "Invalid"
        st.error(f"{start}: {components.escape(verdict.reasons)}", icon=":material/block:")
    if not is_edited and verdict is not None and verdict.reasons != record["dq_errors"]:
        st.caption(
            f"When it came, other rules were in force: {components.escape(record['dq_errors'])}"
        )


# Preview and replay ---------------------------------------------------------------------


def _show_actions(
    record: Mapping[str, Any],
    dataset: Dataset,
    draft: Draft,
    text: str,
    *,
    is_valid: bool,
    is_edited: bool,
) -> None:
    item = record["quarantine_id"]
    if not _may_act():
        st.caption(":material/lock: Repairing needs the role steward; you may look.")
        return
    edit = Edit(quarantine_id=item, version=draft.version, record=text)
    reason = st.text_input(
        "Reason", key=f"reason_{item}", placeholder="Why is this right? It stays in the history"
    )
    with st.container(horizontal=True, gap="small"):
        preview = st.button(
            "Preview",
            icon=":material/visibility:",
            key=f"preview_{item}",
            help="Does everything that the replay will do, and rolls it back",
            disabled=not is_valid and not is_edited,
        )
        replay = st.button(
            "Replay",
            icon=":material/replay:",
            key=f"replay_{item}",
            type="primary",
            help="A batch of its own with this record; raw stays as it is",
            disabled=not is_valid,
        )
        st.button(
            "Discard the edit",
            icon=":material/undo:",
            key=f"discard_{item}",
            type="tertiary",
            disabled=not is_edited,
            on_click=_drop,
            args=(item,),
        )
    if preview:
        with components.reporting("There is no preview"):
            draft.rehearsed = None
            draft.rehearsed = repairs.rehearse(context.desk(), dataset.name, [edit])
            _drafts()[item] = draft
    if replay:
        with components.reporting("The record is not replayed"):
            done = repairs.replay(context.desk(), dataset.name, [edit], reason=reason)
            st.session_state.setdefault(_REPLAYED, {})[item] = done.run_id
            _drop(item)
            st.rerun()
    if draft.rehearsed is not None and draft.version == record["version"]:
        rehearsal_view.show(draft.rehearsed)


# On its way -----------------------------------------------------------------------------


def _follow(quarantine_id: int) -> None:
    standing = reads.rows("queries/workbench.standing", quarantine_id=quarantine_id)[0]
    if not _is_moving(standing):
        st.rerun()
    if _is_taken_back(standing):
        run_id = standing["revert_run_id"]
        words = f"Repair {standing['repair_id']} is being taken back"
        why, who = standing["revert_reason"], standing["reverted_by"]
    else:
        asked = st.session_state.get(_REPLAYED, {})
        run_id = standing["run_id"] or asked.get(quarantine_id)
        words = f"Repair {standing['repair_id']} is on its way"
        why, who = standing["reason"], standing["made_by"]
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{words}**", width="content")
            if run_id is not None:
                _show_run(run_id)
        st.caption(components.escape(f"{who}: {why}"))
        if run_id is None:
            st.caption("No run waits for it; the next run of the feed takes it.")


def _show_run(run_id: int) -> None:
    [run] = reads.rows("queries/workbench.run_status", run_id=run_id)
    components.state_badge(run["status"])
    components.link("runs", f"Run {run_id}", icon=":material/arrow_forward:", run=run_id)
    if RunStatus(run["status"]).is_over or run["status"] == RunStatus.LOST:
        components.reason(run["status"], run["reason"])


# Closed ---------------------------------------------------------------------------------


def _show_closed(record: Mapping[str, Any], standing: Mapping[str, Any]) -> None:
    item = record["quarantine_id"]
    is_fixed_by_repair = standing["status"] == "fixed" and standing["repair_id"] is not None
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{components.escape(_closed_words(standing))}**", width="content")
            st.space("stretch")
            if is_fixed_by_repair and _may_act():
                st.button(
                    "Take back",
                    icon=":material/undo:",
                    key=f"take_back_{item}",
                    help="Silver and gold become as they were; the record is open again",
                    on_click=_open_dialog,
                    args=(item,),
                )
        if is_fixed_by_repair:
            st.text(standing["reason"])
            st.caption(
                f"{components.escape(standing['made_by'])}, {components.ago(standing['made_at'])}",
                help=components.absolute(standing["made_at"]),
            )
        elif standing["note"]:
            st.text(standing["note"])
        if standing["closed_run_id"] is not None:
            components.link(
                "runs",
                f"Run {standing['closed_run_id']} loaded it",
                icon=":material/arrow_forward:",
                run=standing["closed_run_id"],
            )
    show_violations(record)
    if is_fixed_by_repair and st.session_state.get(_DIALOG) == item:
        _take_back(standing["repair_id"], standing["records"])


def _closed_words(standing: Mapping[str, Any]) -> str:
    if standing["status"] == "fixed" and standing["repair_id"] is not None:
        return f"Fixed by repair {standing['repair_id']}"
    if standing["closed_batch_id"] is not None:
        word = "Fixed" if standing["status"] == "fixed" else "Superseded"
        return (
            f"{word} by record {standing['closed_position']:,} of batch "
            f"{standing['closed_batch_id']}, {standing['closed_by']}"
        )
    return f"This record is {standing['status'].replace('_', ' ')}"


def _open_dialog(item: int) -> None:
    st.session_state[_DIALOG] = item


def _close_dialog() -> None:
    st.session_state.pop(_DIALOG, None)


@st.dialog("Take the repair back", on_dismiss=_close_dialog)
def _take_back(repair_id: int, records: int) -> None:
    if records > 1:
        st.warning(
            f"Repair {repair_id} fixed {records:,} records; all of them are open again then.",
            icon=":material/group_work:",
        )
    reason = st.text_input("Reason", key=f"revert_reason_{repair_id}")
    go = st.button(
        "Take back", type="primary", icon=":material/undo:", key=f"revert_go_{repair_id}"
    )
    if go:
        with components.reporting("The repair is not taken back"):
            started = repairs.take_back(context.desk(), repair_id, reason=reason)
            components.tell_started([started])
            _close_dialog()
            st.rerun()


def show_violations(record: Mapping[str, Any]) -> None:
    """Show why a record was found invalid, by the rule versions that judged it."""
    st.subheader("Why it was invalid")
    if not record["violations"]:
        st.text(record["dq_errors"])
    for one in record["violations"]:
        with st.container(border=True, gap="xsmall"):
            _show_violation(one["message"], one["sentence"], one["rule_version"], one["severity"])


# History --------------------------------------------------------------------------------


def show_repairs(record: Mapping[str, Any]) -> None:
    """Show every repair of a record: before and after, who, when, why, run, and if it still holds."""
    made = reads.rows(
        "queries/repairs.of_item", batch_id=record["batch_id"], position=record["position"]
    )
    if not made:
        return
    dataset = datasets.get(record["dataset"])
    st.subheader("Repairs")
    for one in reversed(made):
        with st.container(border=True, gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f"**Repair {one['repair_id']}**", width="content")
                if one["reverted_at"] is not None:
                    st.badge("taken back", icon=":material/undo:", color="gray")
                else:
                    components.state_badge(one["batch_status"])
                st.caption(
                    f"{components.escape(one['made_by'])}, {components.ago(one['made_at'])}",
                    width="content",
                    help=components.absolute(one["made_at"]),
                )
                st.space("stretch")
                if one["run_id"] is not None:
                    components.link(
                        "runs",
                        f"Run {one['run_id']}",
                        icon=":material/arrow_forward:",
                        run=one["run_id"],
                    )
            st.text(one["reason"])
            if one["operation"]:
                st.caption(components.escape(one["operation"]))
            components.list_table(
                [
                    {"column": name, "before": before, "after": after}
                    for name, before, after in record_edit.differences(
                        record["record"], one["record"], dataset
                    )
                ],
                {
                    "column": components.text_column("Field", width=140),
                    "before": components.text_column("Before"),
                    "after": components.text_column("After"),
                },
                alt=f"What repair {one['repair_id']} changed",
                key=f"repair_{one['repair_id']}",
            )
            if one["reverted_at"] is not None:
                st.caption(
                    f"Taken back by {components.escape(one['reverted_by'] or 'the engine')}, "
                    f"{components.ago(one['reverted_at'])}: "
                    f"{components.escape(one['revert_reason'] or '')}",
                    help=components.absolute(one["reverted_at"]),
                )
