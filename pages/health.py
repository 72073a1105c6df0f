"""Is everything well, and who did what: freshness, reconciliation, processes, audit trail."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from app import components, context, health, reads
from app.actions import checks
from etl import datasets
from etl.monitor import LayerAge

PAGE_ROWS = 25
HOUR = 3600
MENDING = (
    "A full run mends silver, gold and quarantine from raw: `revenue run FEED --full`. What raw "
    "lost comes back only from a backup; the files as received stand in `data/processed/`."
)


def main() -> None:
    st.title("Health & audit")
    components.live(every="15s")(show_health)()
    show_limits()
    show_audit()


def show_health() -> None:
    status = reads.status()
    show_verdict(status)
    show_freshness(status)
    show_reconciliation(status)
    show_processes(status)


def show_verdict(status: dict[str, Any]) -> None:
    with st.container(border=True, gap="xsmall"):
        if status["is_well"] and not status["warnings"]:
            st.markdown(":green[:material/check_circle:] **Everything is well**")
            return
        st.markdown("**What is not well**")
        for problem in status["problems"]:
            st.markdown(f":red[:material/error:] {components.escape(problem)}")
        for warning in status["warnings"]:
            st.markdown(f":orange[:material/warning:] {components.escape(warning)}")


# Freshness ------------------------------------------------------------------------------


def show_freshness(status: dict[str, Any]) -> None:
    st.subheader(
        "Freshness",
        help="A layer is as old as its newest batch, or as the newest run that ended well after it "
        "looked for all new files, whichever came later",
    )
    for name, feed in datasets.declared().items():
        with st.container(border=True, gap="small"):
            st.markdown(f"**{components.escape(feed.title)}**")
            with st.grid(3, min_column_width=220, gap="medium"):
                for age in status["freshness"]:
                    if age.dataset == name:
                        with st.container(gap="xsmall"):
                            show_layer(age)


def show_layer(age: LayerAge) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(age.layer.title(), width="content")
        since = f"Since {components.absolute(age.changed_at)}" if age.changed_at else None
        components.state_badge(age.state.value, help=since)
    st.caption(
        components.escape(health.arithmetic(age)), help=f"As of {components.absolute(age.data_at)}"
    )
    st.caption(
        f"newest batch {components.ago(age.batch_at)}", help=components.absolute(age.batch_at)
    )


def show_limits() -> None:
    with st.expander("Limits of freshness", icon=":material/tune:"):
        ages = reads.status()["freshness"]
        with st.form("limits", border=False):
            st.caption("From what age on a layer is late, and from what age on it is stale, hours")
            wanted = [(age, *limit_inputs(age)) for age in ages if age.dataset in titles()]
            saved = st.form_submit_button("Save limits", icon=":material/save:")
        if saved:
            with components.reporting("The limits cannot be saved"):
                save_limits(wanted)
                st.rerun()


def titles() -> dict[str, str]:
    return {name: feed.title for name, feed in datasets.declared().items()}


def limit_inputs(age: LayerAge) -> tuple[float, float]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.markdown(f"{components.escape(titles()[age.dataset])} · {age.layer}", width=160)
        late, stale = (
            st.number_input(
                label,
                min_value=0.0,
                value=seconds / HOUR,
                step=1.0,
                format="%.2f",
                key=f"{label}_{age.dataset}_{age.layer}",
                width=140,
            )
            for label, seconds in (("Late", age.late_seconds), ("Stale", age.stale_seconds))
        )
    return late, stale


def save_limits(wanted: list[tuple[LayerAge, float, float]]) -> None:
    changed = 0
    for age, late, stale in wanted:
        limits = (round(late * HOUR), round(stale * HOUR))
        if limits != (age.late_seconds, age.stale_seconds):
            checks.set_freshness_limit(
                context.desk(),
                dataset=age.dataset,
                layer=age.layer,
                late_seconds=limits[0],
                stale_seconds=limits[1],
            )
            changed += 1
    st.toast(f"{changed} changed", icon=":material/check_circle:")


# Reconciliation -------------------------------------------------------------------------


def show_reconciliation(status: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(
            "Reconciliation",
            width="content",
            help="Every layer is counted and compared with what the batches, loads and promotions "
            "left there; a worker does it every few minutes, whether or not anything runs",
        )
        st.space("stretch")
        st.caption(
            f"checked {components.ago(status['checked_at'])}",
            width="content",
            help=components.absolute(status["checked_at"]),
        )
        if st.button("Check now", icon=":material/fact_check:", key="check_now"):
            check_now()
    if not status["findings"]:
        components.empty_state(
            "Not checked yet",
            "A worker checks all layers every few minutes; Check now does it at once.",
            icon="fact_check",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        feed = components.filter_pills("Feed", list(titles()), key="feed", page_key="legs_page")
        only = components.filter_pills(
            "Legs", ["broken", "balanced"], key="legs", page_key="legs_page"
        )
    rows = [
        row
        for row in status["findings"]
        if feed in {None, row["dataset"]} and only in {None, legs_word(row)}
    ]
    if not rows:
        components.empty_state(
            "No leg fits these filters", "Clear a filter to see more.", icon="filter_alt_off"
        )
        return
    show_legs(rows)


def check_now() -> None:
    with components.reporting("The layers cannot be checked now"), st.spinner("Counting…"):
        found = checks.check_now(context.desk())
        broken = sum(not leg.is_balanced for leg in found)
        st.toast(
            f"{len(found)} legs checked, {broken} broken",
            icon=":material/error:" if broken else ":material/check_circle:",
        )
        st.rerun()


def legs_word(row: dict[str, Any]) -> str:
    return "balanced" if row["is_balanced"] else "broken"


def show_legs(rows: list[dict[str, Any]]) -> None:
    everything = components.Download(
        file_name="reconciliation.csv", data=lambda: components.as_csv(rows)
    )
    body, offset = components.list_frame(
        len(rows), size=PAGE_ROWS, key="legs_page", word="leg", downloads=[everything]
    )
    with body:
        components.list_table(
            [
                {
                    **row,
                    "holds": components.balance_cell(row["is_balanced"]),
                    "must_be": f"{row['left_side']:,}",
                    "found": f"{row['right_side']:,}",
                    "off": f"{row['difference']:+,}" if row["difference"] else None,
                    "batches": batches(row["detail"]),
                }
                for row in rows[offset : offset + PAGE_ROWS]
            ],
            {
                "holds": components.balance_column(""),
                "dataset": components.text_column("Feed", width=84),
                "layer": components.text_column(
                    "Layer", width=84, help="The one that is wrong where a leg is broken"
                ),
                "leg": components.text_column("Both sides must be equal", width=320),
                "must_be": number_column("Must be"),
                "found": number_column("Is"),
                "off": number_column("Difference"),
                "batches": components.text_column("Where", width=220),
                "broken_since": components.time_column("Broken since"),
            },
            alt="What every layer must hold, and what it holds",
            key="legs_table",
        )
    if any(not row["is_balanced"] for row in rows):
        st.info(MENDING, icon=":material/build:")


def number_column(label: str) -> Any:
    return st.column_config.TextColumn(label, width=110, alignment="right")


def batches(detail: dict[str, Any]) -> str | None:
    """Return the batches that do not add up, in words."""
    if not detail:
        return None
    shown = [
        f"batch {one['batch_id']}: {one['is_there']:,} of {one['must_be']:,}"
        for one in detail["batches"]
    ]
    more = detail["wrong"] - len(shown)
    return "; ".join(shown) + (f"; {more:,} more batches" if more > 0 else "")


# Processes ------------------------------------------------------------------------------


def show_processes(status: dict[str, Any]) -> None:
    st.subheader("Processes")
    processes = reads.rows("queries/checks.processes")
    if not processes:
        components.empty_state(
            "No process is known",
            "`revenue up` starts everything; `revenue worker` starts a worker alone.",
            icon="memory",
        )
        return
    components.list_table(
        [{**one, "state": components.state_cell(life(one, status))} for one in processes],
        {
            "state": components.state_column("State", "alive", "silent", "process_stopped"),
            "kind": components.text_column("Kind", width=100),
            "host": components.text_column("Host", width=180),
            "pid": st.column_config.NumberColumn("Process", format="%d", width=84),
            "heartbeat_at": components.time_column("Last sign of life"),
            "started_at": components.time_column("Started"),
            "stopped_at": components.time_column("Stopped"),
        },
        alt="Processes with their last sign of life",
        key="processes",
    )


def life(process: dict[str, Any], status: dict[str, Any]) -> str:
    if process["stopped_at"] is not None:
        return "process_stopped"
    silence = (status["now"] - process["heartbeat_at"]).total_seconds()
    return "silent" if silence > health.SILENT_SECONDS else "alive"


# Audit ----------------------------------------------------------------------------------


def show_audit() -> None:
    st.subheader("Audit trail")
    actors = [row["actor"] for row in reads.rows("queries/audit.actors")]
    if not actors:
        components.empty_state(
            "Nothing was done yet",
            "Every action of a person appears here, and every refusal.",
            page="upload",
            label="Bring the first file",
            icon="history",
        )
        return
    actions = [row["action"] for row in reads.rows("queries/audit.actions")]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        filters = {
            "actor": components.filter_pills("Who", actors, key="actor", page_key="page"),
            "action": components.filter_pills("What", actions, key="action", page_key="page"),
            "search": components.filter_text(
                "On what", key="on", page_key="page", placeholder="run 12, batch 3, …"
            ),
        }
    total = reads.value("queries/audit.count", **filters)
    if not total:
        components.empty_state(
            "No entry fits these filters", "Clear a filter to see more.", icon="filter_alt_off"
        )
        return
    everything = components.Download(
        file_name="audit.csv",
        data=lambda: components.as_csv(audited(filters, limit=100_000, offset=0)),
    )
    body, offset = components.list_frame(
        total, size=PAGE_ROWS, key="page", word="action", downloads=[everything]
    )
    with body:
        components.list_table(
            audited(filters, limit=PAGE_ROWS, offset=offset),
            {
                "at": components.time_column("When"),
                "actor": components.text_column("Who", width=110),
                "role": components.text_column("Role", width=84),
                "action": components.text_column("What", width=130),
                "object": components.text_column("On what", width=200),
                "before": components.text_column("Before", width=200),
                "after": components.text_column("After", width=320),
                "origin": components.text_column("From", width=84),
            },
            alt="What people did, newest first",
            key=f"audit_{offset}",
        )


def audited(filters: dict[str, Any], *, limit: int, offset: int) -> list[dict[str, Any]]:
    """Return entries with their states as text."""
    found = reads.rows("queries/audit.page", **filters, limit=limit, offset=offset)
    return [{**row, **{side: as_text(row[side]) for side in ("before", "after")}} for row in found]


def as_text(state: dict[str, Any] | None) -> str | None:
    if state is None:
        return None
    return ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in state.items()
    )


main()
