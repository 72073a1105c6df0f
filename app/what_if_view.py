"""What-if as a part of a page: drafts of rules are tried, and what they would do is shown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import streamlit as st

from app import actions, charts, components, context, reads
from app.actions import what_if as what_if_actions
from etl.model import RunStatus
from etl.reprocess import Choice
from etl.what_if import Grouping, Prediction, Result, Sample

_HISTORY, _PERIOD = "All history", "A period"
_MONTH = "month"
_ROWS_SHOWN = 12  # a year; longer tables scroll


def show_what_if(dataset: str) -> None:
    """Show what can be tried, how far it is, and what it would do."""
    tried, active = reads.rules_to_try(dataset)
    st.subheader("What if")
    st.caption(
        "The rules, with every open draft, judge the records that came so far once more. "
        "Nothing changes: activating them and judging again would do exactly what is shown."
        if tried != active
        else "No draft differs from the active rules: they would be tried as they are."
    )
    newest = reads.newest_prediction(dataset)
    is_at_work = newest is not None and not RunStatus(newest.status).is_over
    _show_choice(dataset, is_at_work=is_at_work)
    if newest is None:
        components.empty_state(
            "Nothing was tried yet",
            "Choose what the rules shall be tried on, and press Try it.",
            icon="science",
        )
    elif is_at_work:
        components.live(every="1s")(_show_progress)(newest.run_id)
    else:
        _show_prediction(newest, tried)


def _show_choice(dataset: str, *, is_at_work: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        what = st.segmented_control(
            "Try it on",
            [_HISTORY, _PERIOD],
            default=_HISTORY,
            required=True,
            key=f"what_if_scope_{dataset}",
        )
        choice: Choice | None = Choice(dataset=dataset)
        if what == _PERIOD:
            today = dt.datetime.now(dt.UTC).date()
            period = st.date_input(
                "Files accepted from … to, UTC",
                value=(today - dt.timedelta(days=6), today),
                key=f"what_if_period_{dataset}",
                width=260,
            )
            choice = None
            if isinstance(period, tuple) and len(period) == 2:
                choice = Choice(dataset=dataset, first_day=period[0], last_day=period[1])
        go = st.button(
            "Try it",
            type="primary",
            icon=":material/science:",
            key=f"what_if_go_{dataset}",
            disabled=choice is None or is_at_work,
            help="Queues a run; other runs of the feed wait for it",
        )
    if go and choice is not None:
        with components.reporting("The rules cannot be tried"):
            asked = what_if_actions.predict_drafts(context.desk(), choice)
            words = "is queued" if asked.is_new else "waits already: it will do"
            st.toast(f"Prediction {asked.prediction_id} {words}", icon=":material/science:")
            st.rerun()


def _show_progress(run_id: int) -> None:
    run = reads.run(run_id)
    if RunStatus(run["status"]).is_over:
        st.rerun()
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown("**The rules are tried**", width="content")
            components.state_badge(run["status"])
            components.link("runs", f"Run {run_id}", icon=":material/arrow_forward:", run=run_id)
            st.space("stretch")
            if not run["cancel_requested_at"] and st.button(
                "Cancel", icon=":material/cancel:", key=f"what_if_cancel_{run['dataset']}"
            ):
                with components.reporting("It cannot be cancelled"):
                    actions.cancel_run(context.desk(), run_id)
                    st.rerun()
        for step in run["steps"]:
            done = components.fraction(step)
            if done is not None:
                st.progress(done)
            st.caption(components.step_words(step))
            if step["activity"]:
                st.caption(components.escape(step["activity"]))
        if not run["steps"]:
            st.caption("Waits for a worker. Runs of one feed go one after another.")


# The result -----------------------------------------------------------------------------


def _show_prediction(prediction: Prediction, tried: str) -> None:
    result = prediction.result
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**Prediction {prediction.prediction_id}**", width="content")
        components.state_badge(prediction.status)
        if prediction.is_outdated:
            st.badge(
                "outdated",
                icon=":material/history:",
                color="yellow",
                help="The data changed since it was worked out; try again",
            )
        if prediction.rule_set != tried:
            st.badge(
                "other rules",
                icon=":material/difference:",
                color="yellow",
                help="Drafts or rules changed since; try again",
            )
        components.link(
            "runs",
            f"Run {prediction.run_id}",
            icon=":material/arrow_forward:",
            run=prediction.run_id,
        )
    st.caption(
        components.escape(_about(prediction)), help=components.absolute(prediction.requested_at)
    )
    if result is None:
        components.reason(prediction.status, prediction.reason)
        return
    if result.widened:
        st.info(components.escape(result.widened), icon=":material/open_in_full:")
    _show_figures(result)
    for grouping in result.groupings:
        _show_grouping(prediction.dataset, grouping, result.unit or "")
    _show_rules(prediction.dataset, result)
    items = reads.queue_items([*result.caught_samples, *result.released_samples])
    for title, count, samples, nothing in (
        ("Newly caught", result.caught, result.caught_samples, "No valid record becomes invalid."),
        (
            "Newly released",
            result.released,
            result.released_samples,
            "No invalid record becomes valid.",
        ),
    ):
        _show_samples(prediction.dataset, title, count, samples, items, nothing)


def _about(prediction: Prediction) -> str:
    first, last = prediction.first_day, prediction.last_day
    scope = f"files accepted {first or '…'} to {last or '…'}" if first or last else "all history"
    facts = [scope]
    if prediction.result is not None:
        facts.append(
            f"{prediction.result.records:,} records of {prediction.result.batches:,} "
            f"batch{'' if prediction.result.batches == 1 else 'es'}"
        )
    facts.append(
        f"asked for by {prediction.requested_by} {components.ago(prediction.requested_at)}"
    )
    if prediction.data_version is not None:
        facts.append(f"data version {prediction.data_version}")
    return " · ".join(facts)


def _show_figures(result: Result) -> None:
    invalid = result.after.invalid - result.before.invalid
    rows = result.rows_after - result.rows_before
    with st.grid(4, min_column_width=150, gap="small"):
        st.metric(
            "Newly caught",
            f"{result.caught:,}",
            border=True,
            height="stretch",
            help="Records that are valid now and would be invalid",
        )
        st.metric(
            "Newly released",
            f"{result.released:,}",
            border=True,
            height="stretch",
            help="Records that are invalid now and would be valid",
        )
        st.metric(
            "Invalid records",
            f"{result.after.invalid:,}",
            f"{invalid:+,}",
            delta_color="inverse" if invalid else "off",
            border=True,
            height="stretch",
            help=f"Of the files judged; {result.other_reasons:,} stay invalid for other reasons",
        )
        if result.unit is not None:
            change = result.money_after - result.money_before
            st.metric(
                f"Revenue, {result.unit}",
                f"{result.money_after:,.2f}",
                f"{change:+,.2f}",
                delta_color="normal" if change else "off",
                border=True,
                height="stretch",
            )
    with st.grid(5, min_column_width=112, gap="small"):
        st.metric(
            "Rows in silver",
            f"{result.rows_after:,}",
            f"{rows:+,}",
            delta_color="normal" if rows else "off",
            border=True,
            height="stretch",
        )
        for label, count in (
            ("Inserted", result.inserted),
            ("Updated", result.updated),
            ("Deleted", result.deleted),
            ("Unchanged", result.unchanged),
        ):
            st.metric(label, f"{count:,}", border=True, height="stretch")


def _show_grouping(dataset: str, grouping: Grouping, unit: str) -> None:
    name = grouping.name
    st.markdown(f"**By {name}**")
    groups = [(one.name, one) for one in grouping.groups]
    if name != _MONTH:
        groups.sort(key=lambda named: (-abs(named[1].change), -named[1].before))
    if grouping.others is not None:
        groups.append(("All others", grouping.others))
    changed = [(label, one.change) for label, one in groups if one.change]
    rows: list[dict[str, Any]] = [
        {
            name: label,
            "before": one.before,
            "after": one.after,
            "change": one.change,
            "rows_before": one.rows_before,
            "rows_after": one.rows_after,
        }
        for label, one in groups
    ]
    left, right = st.columns([5, 3], gap="medium")
    with left:
        body, _ = components.list_frame(
            len(rows),
            size=max(len(rows), 1),
            key=f"what_if_{name}_{dataset}",
            word=name,
            downloads=[
                components.Download(
                    file_name=f"what_if_by_{name}.csv", data=lambda: components.as_csv(rows)
                )
            ],
        )
        with body:
            components.list_table(
                [{**row, **_shown(row)} for row in rows],
                {
                    name: components.text_column(name.title(), width=84),
                    "before": _money_column(f"Now, {unit}"),
                    "after": _money_column(f"Then, {unit}"),
                    "change": _money_column("Change"),
                    "rows_before": _rows_column("Rows now"),
                    "rows_after": _rows_column("Rows then"),
                },
                alt=f"Money by {name}, now and then",
                key=f"what_if_groups_{name}_{dataset}",
                height="content" if len(rows) <= _ROWS_SHOWN else 320,
            )
    with right, st.container(border=True, gap="xsmall"):
        st.caption(f"Change by {name}, {unit}")
        if not changed:
            st.caption("Nothing changes.")
            return
        st.plotly_chart(
            charts.money_changes(
                changed[: charts.BARS] if name != _MONTH else changed,
                unit,
                orientation="v" if name == _MONTH else "h",
            ),
            key=f"what_if_chart_{name}_{dataset}",
            config=charts.CONFIG,
            alt=f"By how much the money of each {name} changes; the table says the same",
        )


def _shown(row: dict[str, Any]) -> dict[str, float]:
    return {key: float(cell) for key, cell in row.items() if isinstance(cell, Decimal)}


def _money_column(label: str) -> Any:
    return st.column_config.NumberColumn(label, format="%,.2f", width=98)


def _rows_column(label: str) -> Any:
    return st.column_config.NumberColumn(label, format="localized", width=70)


def _show_rules(dataset: str, result: Result) -> None:
    st.markdown("**By rule**")
    fired = [one for one in result.rules if one.before or one.after]
    if not fired:
        st.caption("No rule fires, now or then.")
        return
    components.list_table(
        [
            {
                "message": one.message,
                "code": one.code,
                "before": one.before,
                "after": one.after,
                "change": one.after - one.before,
            }
            for one in fired
        ],
        {
            "message": components.text_column("Message", width=220),
            "code": components.text_column("Rule", width=180),
            "before": components.count_column("Now", help="Records that break it, all files"),
            "after": components.count_column("Then"),
            "change": components.count_column("Change"),
        },
        alt="How often each rule fires, now and then",
        key=f"what_if_rules_{dataset}",
        height="content" if len(fired) <= _ROWS_SHOWN else 320,
    )


def _show_samples(
    dataset: str,
    title: str,
    count: int,
    samples: Sequence[Sample],
    items: dict[tuple[int, int], int],
    nothing: str,
) -> None:
    st.markdown(f"**{title}**")
    if not samples:
        st.caption(nothing)
        return
    if len(samples) < count:
        st.caption(f"{len(samples):,} of {count:,}, of as many reasons as possible")
    found = [items.get((one.batch_id, one.position)) for one in samples]
    columns: dict[str, Any] = {
        "open": "Record",
        "key": components.text_column("Key", width=130),
        "reasons": components.text_column("Reasons", width=260),
        "file_name": components.text_column("File", width=170),
        "batch_id": st.column_config.NumberColumn("Batch", format="%d", width=60),
        "position": components.count_column("Position"),
    }
    has_items = any(found)  # a record that is valid now has no page yet
    if not has_items:
        del columns["open"]
    row = components.list_table(
        [
            {
                "open": f"#{item}" if item else None,
                "key": one.key,
                "reasons": one.reasons,
                "file_name": one.file_name,
                "batch_id": one.batch_id,
                "position": one.position,
            }
            for one, item in zip(samples, found, strict=True)
        ],
        columns,
        alt=f"{title}: sample records",
        key=f"what_if_{title.split()[1]}_{dataset}",
        opens="open" if has_items else None,
    )
    if row is not None and found[row]:
        components.go("invalid_records", record=found[row])
