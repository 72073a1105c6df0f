"""Repair by cause: open records in groups, one operation for a whole group, and what was repaired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import components, context, metrics, reads, rehearsal_view
from app.actions import causes as actions
from app.actions import repairs
from app.actions.causes import Preview
from etl import datasets
from etl.causes import RECORDS_LIMIT, Group, Operation, Proposal
from etl.errors import RevenueError

PAGE_ROWS = 25
GROUPS_DOWNLOADED = 10_000
CHANGES_SHOWN = 8
VIEWS = {
    "causes": ":material/category: Causes",
    "repairs": ":material/history: Repairs",
    "recipes": ":material/menu_book: Recipes",
}
OPERATIONS = {
    "set": "Set a value",
    "absolute": "Take the minus sign off",
    "map": "Replace values",
    "parse": "Read as a date",
    "digits": "Keep only digits",
}
PREVIEW = "cause_preview"
TAKING_BACK = "repair_to_take_back"


def main() -> None:
    rule_id = components.chosen("cause")
    if rule_id is not None:
        show_group(rule_id, st.query_params.get("column", ""), st.query_params.get("pattern", ""))
        return
    st.title("Repair by cause")
    view = components.filter_pills(
        "Show",
        list(VIEWS),
        key="show",
        page_key="page",
        words=VIEWS.__getitem__,
        default="causes",
        required=True,
    )
    dataset = components.filter_pills(
        "Feed", list(datasets.declared()), key="feed", page_key="page"
    )
    {"repairs": show_repairs, "recipes": show_recipes}.get(view or "", show_causes)(dataset)


# Groups ---------------------------------------------------------------------------------


def show_causes(dataset: str | None) -> None:
    rules = {
        str(rule["rule_id"]): rule for rule in reads.rows("queries/triage.by_rule", dataset=dataset)
    }
    rule = None
    if rules:
        rule = components.filter_pills(
            "Open records by rule",
            list(rules),
            key="rule",
            page_key="page",
            words=lambda key: (
                f"{components.escape(rules[key]['message'])} **{rules[key]['records']:,}**"
            ),
        )
    filters = {
        "dataset": dataset,
        "rule_id": int(rule) if rule else None,
        "column_name": None,
        "pattern": None,
    }
    page = components.chosen("page") or 1
    groups = reads.rows(
        "queries/causes.groups", **filters, limit=PAGE_ROWS, offset=(page - 1) * PAGE_ROWS
    )
    if not groups and page > 1:
        components.step_into(page=None)
    if not groups:
        show_no_groups(is_filtered=dataset is not None or rule is not None)
        return
    body, offset = components.list_frame(
        groups[0]["groups"],
        size=PAGE_ROWS,
        key="page",
        word="group",
        downloads=[
            components.Download(
                file_name="causes.csv",
                data=lambda: components.as_csv(
                    [
                        _told(group)
                        for group in reads.rows(
                            "queries/causes.groups", **filters, limit=GROUPS_DOWNLOADED, offset=0
                        )
                    ]
                ),
            )
        ],
    )
    with body:
        row = components.list_table(
            [
                {
                    **_told(group),
                    "open": group["pattern"],
                    "worth": None if group["worth"] is None else float(group["worth"]),
                }
                for group in groups
            ],
            {
                "open": "Pattern",
                "rule": components.text_column("Rule", width=190),
                "column": components.text_column("Column", width=110),
                "records": components.count_column("Records"),
                "worth": st.column_config.NumberColumn(
                    "At stake",
                    format="dollar",
                    width=110,
                    help="Quantity × price less discount, signs apart, of the records that give it",
                ),
                "examples": components.text_column("Examples", width=220),
                "recipe": components.text_column("Proposed recipe", width=150),
                "feed": components.text_column("Feed", width=90),
            },
            alt="Causes of open invalid records, most records first",
            key=f"causes_{offset}",
            opens="open",
        )
        st.caption(
            "A record that breaks several rules stands in several groups. Patterns: 9 is a digit, "
            "a and A are letters, + means more of the same."
        )
    if row is not None:
        chosen = groups[row]
        st.session_state.pop(PREVIEW, None)
        components.step_into(
            cause=chosen["rule_id"], column=chosen["column_name"], pattern=chosen["pattern"]
        )


def _told(group: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "feed": group["dataset"],
        "rule": group["message"],
        "column": group["column_name"],
        "pattern": group["pattern"],
        "records": group["records"],
        "worth": group["worth"],
        "examples": ", ".join(group["examples"] or ()),
        "recipe": group["recipe"],
    }


def show_no_groups(*, is_filtered: bool) -> None:
    if is_filtered:
        components.empty_state(
            "No open record fits these filters",
            "Clear a filter to see more.",
            icon="filter_alt_off",
        )
    else:
        components.empty_state(
            "Nothing to repair",
            "No open record breaks a rule. What was repaired stands under Repairs.",
            page="invalid_records",
            label="All invalid records",
            icon="check_circle",
        )


# One group ------------------------------------------------------------------------------


def show_group(rule_id: int, column: str, pattern: str) -> None:
    if st.button("All causes", icon=":material/arrow_back:", type="tertiary", key="back"):
        leave_group()
    found = reads.rows(
        "queries/causes.groups",
        dataset=None,
        rule_id=rule_id,
        column_name=column,
        pattern=pattern,
        limit=1,
        offset=0,
    )
    if not found:
        st.title("Repair by cause")
        components.empty_state(
            "No open record of this cause is left",
            "They were repaired or closed meanwhile.",
            page="repairs",
            label="All causes",
            icon="check_circle",
        )
        return
    told = found[0]
    group = Group(dataset=told["dataset"], rule_id=rule_id, column=column, pattern=pattern)
    st.title(f"{components.escape(told['message'])}: {components.escape(column)}")
    money = ""
    if told["worth"] is not None:
        money = f" · {metrics.exact_money(told['worth'])} at stake"
        if told["worth_records"] < told["records"]:
            money += f" in {told['worth_records']:,} of them"
    st.caption(
        components.escape(
            f"{told['dataset']} · {told['records']:,} open records · pattern {pattern}{money}"
        )
    )
    left, right = st.columns([2, 3], gap="medium")
    operation = None
    with left, st.container(border=True, height="stretch"):
        st.subheader("What shall be done")
        recipe = ask_recipe(told)
        try:
            operation = ask_operation(column, recipe)
        except RevenueError as error:
            st.info(components.escape(error.message), icon=":material/edit:")
    proposal = None
    with right, st.container(border=True, height="stretch"):
        st.subheader("Before and after")
        if operation is None:
            st.caption("Examples appear once the operation is complete.")
        else:
            with components.reporting("The operation cannot be tried"):
                proposal = actions.propose(context.desk(), group, operation)
                show_changes(proposal)
    if operation is not None and proposal is not None:
        show_preview(group, operation, proposal, recipe)


def leave_group() -> None:
    st.session_state.pop(PREVIEW, None)
    components.step_into(cause=None, column=None, pattern=None)


def ask_recipe(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """Offer the recipe that is proposed for the group; return it if it is to be used."""
    if told["recipe_id"] is None:
        return None
    if not st.toggle(
        f"Use the recipe {components.escape(told['recipe'])}", value=True, key="use_recipe"
    ):
        return None
    recipes = reads.rows("queries/causes.recipes", dataset=told["dataset"], limit=1000, offset=0)
    return next((one for one in recipes if one["recipe_id"] == told["recipe_id"]), None)


def ask_operation(column: str, recipe: Mapping[str, Any] | None) -> Operation:
    """Show the form and return what it says.

    Raises RepairError while it is not complete.
    """
    if recipe is not None:
        operation = Operation(kind=recipe["operation"], parameters=recipe["parameters"])
        st.caption(components.escape(operation.words(column)))
        return operation
    kind = st.selectbox(
        "Operation", list(OPERATIONS), format_func=OPERATIONS.__getitem__, key="operation"
    )
    parameters: dict[str, Any] = {}
    if kind == "set":
        parameters["value"] = st.text_input("New value", key="new_value", max_chars=1000)
    elif kind == "parse":
        parameters["format"] = st.text_input(
            "Format",
            value="%d/%m/%Y",
            key="date_format",
            max_chars=100,
            help="%d day, %m month, %Y year, %y year of two digits, %b Jan, %H:%M:%S time",
        )
    elif kind == "map":
        text = st.text_area(
            "Values, one a line", placeholder="one → 1", key="values", max_chars=20_000
        )
        parameters["values"] = entries(text)
    return Operation(kind=kind, parameters=parameters)


def entries(text: str) -> dict[str, str]:
    """Read lines such as `one → 1` (or `one => 1`); others count as incomplete."""
    pairs = [line.replace("=>", "→").partition("→") for line in text.splitlines() if line.strip()]
    return {old.strip(): new.strip() for old, _, new in pairs}


def show_changes(proposal: Proposal) -> None:
    if not proposal.changes:
        st.info("It changes no record of this group.", icon=":material/info:")
    else:
        components.list_table(
            [
                {"before": before, "after": after}
                for before, after in proposal.changes[:CHANGES_SHOWN]
            ],
            {
                "before": components.text_column("As received"),
                "after": components.text_column("After"),
            },
            alt="Received values before and after the operation",
            key="changes",
        )
    said = [f"{len(proposal.edits):,} records change"]
    if proposal.unchanged:
        said.append(f"{proposal.unchanged:,} stay as they are")
    if proposal.waiting:
        said.append(f"{proposal.waiting:,} wait for the run of an earlier repair")
    if proposal.beyond:
        said.append(f"{proposal.beyond:,} come next: one repair takes {RECORDS_LIMIT:,}")
    st.caption(" · ".join(said))


def show_preview(
    group: Group, operation: Operation, proposal: Proposal, recipe: Mapping[str, Any] | None
) -> None:
    if st.button(
        "Preview",
        icon=":material/preview:",
        type="primary",
        key="preview",
        disabled=not proposal.edits,
        help="Does everything and takes it back: nothing is changed yet",
    ):
        st.session_state.pop(PREVIEW, None)
        with components.reporting("The repair cannot be previewed"), st.spinner("Trying it out …"):
            st.session_state[PREVIEW] = actions.preview(context.desk(), group, operation)
    shown: Preview | None = st.session_state.get(PREVIEW)
    if shown is None or (shown.proposal.group, shown.proposal.operation) != (group, operation):
        return
    rehearsal_view.show(shown.rehearsal)
    ask_apply(shown, recipe)


def ask_apply(shown: Preview, recipe: Mapping[str, Any] | None) -> None:
    if len(shown.rehearsal.invalid) == shown.rehearsal.records:
        return
    with st.container(border=True):
        reason = st.text_input(
            "Reason", key="reason", max_chars=500, placeholder="Why this is right"
        )
        name = None
        if recipe is None and st.checkbox(
            "Keep as a recipe, proposed when such records come again", key="keep"
        ):
            name = st.text_input("Name of the recipe", key="recipe_name", max_chars=100)
        count = shown.rehearsal.records - len(shown.rehearsal.invalid)
        if st.button(
            f"Repair {count:,} record{'' if count == 1 else 's'}",
            icon=":material/build:",
            type="primary",
            key="apply",
        ):
            with components.reporting("The records cannot be repaired"):
                done = actions.apply(
                    context.desk(),
                    shown.proposal,
                    reason=reason,
                    recipe_id=None if recipe is None else recipe["recipe_id"],
                    recipe_name=name,
                )
                st.session_state.pop(PREVIEW, None)
                st.toast(
                    f"Repair {done.repair_id}: {done.records:,} records wait for run {done.run_id}",
                    icon=":material/build:",
                )
                components.step_into(
                    cause=None, column=None, pattern=None, page=None, show="repairs"
                )


# Repairs --------------------------------------------------------------------------------


def show_repairs(dataset: str | None) -> None:
    components.live(every="5s")(list_repairs)(dataset)
    if (repair_id := st.session_state.get(TAKING_BACK)) is not None:
        take_back(repair_id)


def list_repairs(dataset: str | None) -> None:
    total = reads.value("queries/repairs.count", dataset=dataset)
    if not total:
        components.empty_state(
            "No repairs yet" if dataset is None else "No repair fits these filters",
            "A repair of a cause or of one record stands here and can be taken back.",
            icon="build",
        )
        return
    body, offset = components.list_frame(
        total,
        size=PAGE_ROWS,
        key="page",
        word="repair",
        downloads=[
            components.Download(
                file_name="repairs.csv",
                data=lambda: components.as_csv(
                    reads.rows(
                        "queries/repairs.history",
                        dataset=dataset,
                        limit=GROUPS_DOWNLOADED,
                        offset=0,
                    )
                ),
            )
        ],
    )
    history = reads.rows("queries/repairs.history", dataset=dataset, limit=PAGE_ROWS, offset=offset)
    with body:
        for repair in history:
            show_repair(repair)


def state_of(repair: Mapping[str, Any]) -> str:
    if repair["reverted_at"] is not None:
        return "taken_back"
    return "loaded_repair" if repair["batch_status"] == "promoted" else "waiting"


def show_repair(repair: Mapping[str, Any]) -> None:
    repair_id, state = repair["repair_id"], state_of(repair)
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**Repair {repair_id}**", width="content")
            components.state_badge(state)
            st.markdown(
                f"{repair['records']:,} record{'' if repair['records'] == 1 else 's'}: "
                f"{components.escape(repair['operation'] or 'each edited by hand')}",
                width="content",
            )
            st.space("stretch")
            if repair["run_id"]:
                components.link(
                    "runs",
                    f"Run {repair['run_id']}",
                    icon=":material/arrow_forward:",
                    run=repair["run_id"],
                )
            if state == "loaded_repair" and st.button(
                "Take back", icon=":material/undo:", type="tertiary", key=f"back_{repair_id}"
            ):
                st.session_state[TAKING_BACK] = repair_id
                st.rerun()
        st.caption(
            components.escape(
                f"{repair['made_by']} · {components.ago(repair['made_at'])} · {repair['dataset']}"
                f" · {repair['reason']}"
            ),
            help=components.absolute(repair["made_at"]),
        )
        if repair["revert_reason"]:
            verb = "taken back" if state == "taken_back" else "to be taken back"
            st.caption(
                components.escape(f"{verb} by {repair['reverted_by']}: {repair['revert_reason']}")
            )


def forget_taking_back() -> None:
    st.session_state.pop(TAKING_BACK, None)


@st.dialog("Take a repair back", on_dismiss=forget_taking_back)
def take_back(repair_id: int) -> None:
    st.caption(
        f"Silver and gold become as if repair {repair_id} had not been; what came later stays. "
        "Its records are open again."
    )
    reason = st.text_input("Reason", key="revert_reason", max_chars=500)
    if st.button("Take it back", icon=":material/undo:", type="primary", key="take_back"):
        with components.reporting("The repair cannot be taken back"):
            started = repairs.take_back(context.desk(), repair_id, reason=reason)
            forget_taking_back()
            components.tell_started([started])
            st.rerun()


# Recipes --------------------------------------------------------------------------------


def show_recipes(dataset: str | None) -> None:
    total = reads.value("queries/causes.count_recipes", dataset=dataset)
    if not total:
        components.empty_state(
            "No recipes yet" if dataset is None else "No recipe fits these filters",
            "Keep an operation as a recipe when you repair a cause: it is proposed next time.",
            icon="menu_book",
        )
        return
    body, offset = components.list_frame(total, size=PAGE_ROWS, key="page", word="recipe")
    with body:
        for recipe in reads.rows(
            "queries/causes.recipes", dataset=dataset, limit=PAGE_ROWS, offset=offset
        ):
            show_recipe(recipe)


def show_recipe(recipe: Mapping[str, Any]) -> None:
    recipe_id = recipe["recipe_id"]
    operation = Operation(kind=recipe["operation"], parameters=recipe["parameters"])
    with (
        st.container(border=True),
        st.container(horizontal=True, vertical_alignment="center", gap="small"),
    ):
        with st.container(gap="xsmall"):
            st.markdown(f"**{components.escape(recipe['name'])}**")
            st.caption(
                components.escape(
                    f"{operation.words(recipe['column_name'])} · for {recipe['message']}, "
                    f"pattern {recipe['pattern']} · {recipe['dataset']} · {recipe['made_by']} · "
                    f"used {recipe['repairs']:,} times"
                )
            )
        is_active = st.toggle("Proposed", value=recipe["active"], key=f"recipe_{recipe_id}")
        if is_active != recipe["active"]:
            with components.reporting("The recipe cannot be changed"):
                actions.switch_recipe(context.desk(), recipe_id, active=is_active)


main()
