"""The SQL box of Explore: write, run, watch, cancel, see and take home."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app import components, context, explore_table, explore_view
from app.actions import sql_box as actions
from etl.db.sql_box import ROWS, Failure, Result, Statement
from etl.errors import RevenueError

_STATEMENT = "sql_statement"  # in the session: the last statement, running or over
_AT_ONCE_SECONDS = 0.3


def show() -> None:
    """Show the box to those who may use it, and say to others what it needs."""
    desk = context.desk()
    if desk.operator.role < actions.ROLE:
        st.info(
            f"Statements of your own need the role {actions.ROLE.word}: they see every row of gold.",
            title="Not for your role",
            icon=":material/lock:",
        )
        return
    if desk.settings.sql_box_url is None:
        st.info(
            "Set `REVENUE_SQL_BOX_URL` to `postgresql://sql_box:PASSWORD@HOST/DATABASE`; "
            "`revenue migrate` makes that role where it may. Then start the pages again.",
            title="The SQL box needs a database role of its own",
            icon=":material/key:",
        )
        return
    st.caption(
        "One read-only statement over the tables `customers`, `products`, `transactions` and "
        f"`dim_date` of gold; the first {ROWS:,} rows are shown, and after 30 seconds it is ended. "
        "What runs here stands in the audit."
    )
    statement: Statement | None = st.session_state.get(_STATEMENT)
    is_running = statement is not None and statement.is_running
    st.text_area(
        "SQL",
        key="sql_text",
        height=180,
        max_chars=actions.STATEMENT_CHARACTERS,
        placeholder="select region, sum(total_value)\nfrom transactions\ngroup by region",
        persist_state="session",
    )
    st.button(
        "Run", icon=":material/play_arrow:", type="primary", key="sql_run",
        on_click=_run, disabled=is_running,
    )  # fmt: skip
    statement = st.session_state.get(_STATEMENT)
    refusal = st.session_state.get("sql_refusal")
    if refusal:
        st.error(components.escape(refusal), icon=":material/block:")
    if statement is not None:
        every = "1s" if statement.is_running else None
        components.live(every=every)(_show_statement)(statement)


def _run() -> None:
    """Start what is written; a callback."""
    st.session_state["sql_refusal"] = None
    before: Statement | None = st.session_state.get(_STATEMENT)
    if before is not None and before.is_running:
        return
    try:
        statement = actions.run_statement(context.desk(), st.session_state.get("sql_text") or "")
    except RevenueError as error:
        st.session_state["sql_refusal"] = error.message
        st.session_state[_STATEMENT] = None
        return
    st.session_state[_STATEMENT] = statement
    statement.wait(_AT_ONCE_SECONDS)


def _cancel(statement: Statement) -> None:
    with components.reporting("It was not cancelled"):
        actions.cancel_statement(context.desk(), statement)
        statement.wait(2)


def _show_statement(statement: Statement) -> None:
    outcome = statement.outcome
    if statement.is_running or outcome is None:
        statement.seen()
        st.session_state["sql_was_running"] = True
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                f":blue[:material/progress_activity:] running for {statement.seconds:.0f} s",
                width="content",
            )
            st.button(
                "Cancel", icon=":material/cancel:", key="sql_cancel",
                on_click=_cancel, args=(statement,),
            )  # fmt: skip
        return
    if st.session_state.pop("sql_was_running", False):
        st.rerun()  # the whole page: its button may be pressed again, and nothing ticks any more
    if isinstance(outcome, Failure):
        _show_failure(statement, outcome)
    else:
        _show_result(outcome)


def _show_failure(statement: Statement, failure: Failure) -> None:
    place = "" if failure.line is None else f" Line {failure.line}, character {failure.column}."
    show = st.error if failure.kind == "error" else st.warning
    hint = f" {failure.hint}" if failure.hint else ""
    show(
        components.escape(f"{failure.message}.".replace("..", ".") + hint + place),
        title={"error": "The database refused it", "timeout": "It took too long"}.get(
            failure.kind, "Cancelled"
        ),
        icon=":material/error:" if failure.kind == "error" else ":material/timer_off:",
    )
    if failure.line is not None and failure.column is not None:
        line = statement.text.splitlines()[failure.line - 1]
        st.code(f"{line}\n{' ' * (failure.column - 1)}^", language=None)


def _show_result(result: Result) -> None:
    table = explore_table.of_rows(result.columns, result.rows)
    rows = result.rows
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        more = f"the first {len(rows):,} rows; there are more" if result.is_cut else (
            f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"
        )  # fmt: skip
        st.caption(f"{more} · {result.seconds:.2f} s", width="content")
        st.download_button(
            "CSV", partial(explore_table.as_csv, table), "statement.csv", "text/csv",
            icon=":material/download:", type="tertiary", on_click="ignore", key="sql_csv",
        )  # fmt: skip
        st.download_button(
            "XLSX", partial(explore_table.as_xlsx, table), "statement.xlsx",
            icon=":material/download:", type="tertiary", on_click="ignore", key="sql_xlsx",
        )  # fmt: skip
    if rows:
        components.list_table(
            explore_view.result_rows(rows),
            explore_view.result_columns(result.columns, rows),
            alt="Result of the statement",
            key="sql_result",
            height="content" if len(rows) <= 15 else 520,
        )
    else:
        st.caption("The statement is fine; no row fits it.")
