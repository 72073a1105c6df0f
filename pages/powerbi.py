"""Power BI: the connection and the project for this database, a check of both, and its refreshes."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from app import components, context, figures, reads, refresh_view
from app.actions import powerbi as actions
from app.powerbi import preview, project, source
from app.powerbi.model import NAME
from app.powerbi.source import Mode, Source
from etl.db.embedded import HOST, EmbeddedServer
from etl.db.reader_check import Access
from etl.settings import PREFIX, Settings

MODES = {"Import": Mode.IMPORT, "DirectQuery": Mode.DIRECT_QUERY}
MODE_WORDS = {
    Mode.IMPORT: "The tables are copied at each refresh; numbers are those of the last one.",
    Mode.DIRECT_QUERY: "Every visual asks the database; numbers are those of now.",
}
STEPS = (
    (
        "download",
        "Download",
        "Take the **project** and unpack it, or the **connection** alone for a report of your own.",
    ),
    (
        "folder_open",
        "Open",
        "Open `CustomerRevenue.pbip` in Desktop; switch on its preview features PBIP, TMDL, PBIR.",
    ),
    (
        "key",
        "Sign in",
        "Choose *Database*, user `bi_reader`, and its password. No file holds a password.",
    ),
    ("refresh", "Refresh", "The four tables load; the cards show the numbers of *Dashboard*."),
)
_CHECKED = "powerbi_checked"


def main() -> None:
    st.title("Power BI")
    st.caption(
        "A project for Power BI Desktop over the same gold tables, its measures from the same "
        "catalogue as *Dashboard*. Generated and checked as text; not opened in Desktop by its makers."
    )
    settings = context.settings()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_downloads(settings)
    with right:
        st.html(preview.picture())
        st.caption("Where things stand in the report")
    show_steps()
    show_check()
    show_refreshes()
    show_server(settings)


def show_downloads(settings: Settings) -> None:
    st.subheader("Take it home")
    with components.reporting("This database cannot be named"):
        known = source.configured(settings)
        chosen = st.segmented_control(
            "Mode", list(MODES), default="Import", required=True, key="mode", bind="query-params"
        )
        mode = MODES[chosen or "Import"]
        st.caption(MODE_WORDS[mode])
        with st.expander("Address as Power BI reaches it", icon=":material/dns:"):
            host, port = st.columns([3, 1])
            with host:
                name = st.text_input("Server", value=known.host, key="server")
            with port:
                number = st.number_input("Port", 1, 65535, value=known.port, key="port")
            database = st.text_input("Database", value=known.database, key="database")
        of = Source(host=name.strip(), port=int(number), database=database.strip(), mode=mode)
        show_buttons(of)


def show_buttons(of: Source) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.download_button(
            "Project",
            partial(project.project_zip, of),
            f"{NAME}.zip",
            "application/zip",
            icon=":material/folder_zip:",
            type="primary",
            on_click="ignore",
        )
        st.download_button(
            "Connection",
            partial(str.encode, source.pbids(of)),
            project.PBIDS,
            "application/json",
            icon=":material/power:",
            on_click="ignore",
        )
    st.caption(f"For {components.escape(of.database)} on {components.escape(of.server)}")


def show_steps() -> None:
    with st.grid(4, min_column_width=190, gap="small", key="steps"):
        for place, (icon, title, words) in enumerate(STEPS, start=1):
            with st.container(border=True, height="stretch", gap="xsmall"):
                st.markdown(f"### :primary[:material/{icon}:]")
                st.markdown(f"**{place}. {title}**")
                st.caption(words)


# Connection -----------------------------------------------------------------------------


def show_check() -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Connection", width="content")
        st.space("stretch")
        wants = st.button(
            "Check the connection",
            icon=":material/network_check:",
            key="check",
            help="Signs in as bi_reader, counts each table, and tries what must be refused",
        )
    if wants:
        st.session_state.pop(_CHECKED, None)
        with (
            components.reporting("The reporting role cannot be used"),
            st.spinner("Reading gold as bi_reader …"),
        ):
            st.session_state[_CHECKED] = actions.check_connection(context.desk())
    access: Access | None = st.session_state.get(_CHECKED)
    if access is None:
        if not wants:
            st.caption("Not checked in this session.")
        return
    show_access(access)


def show_access(access: Access) -> None:
    with st.container(border=True, gap="small"):
        verdict = (
            f":green[:material/check_circle:] **Gold is read; {len(access.attempts)} attempts at more were "
            "refused**"
            if access.is_right
            else ":red[:material/error:] **May do more than read gold**"
        )
        st.markdown(verdict)
        st.caption(
            components.escape(
                f"{access.role} on {access.server}, "
                f"{'encrypted' if access.is_encrypted else 'not encrypted'}; a statement is cut after "
                f"{access.statement_timeout}; checked in {1000 * access.seconds:.0f} ms"
            )
        )
        with st.grid(4, min_column_width=110, gap="small"):
            for table, rows in access.rows.items():
                st.metric(table, f"{rows:,}", border=True)
        components.list_table(
            [
                {
                    "what": attempt.what,
                    "result": "✓ refused" if attempt.is_refused else "✗ allowed",
                    "answer": attempt.answer,
                }
                for attempt in access.attempts
            ],
            {
                "what": components.text_column("Tried", width=180),
                "result": components.text_column("Result", width=100),
                "answer": components.text_column("Answer of the database", width=420),
            },
            alt="What the reporting role tried",
            key="attempts",
            height="content",
        )


# Refreshes ------------------------------------------------------------------------------


def show_refreshes() -> None:
    st.subheader("Last run and last refresh")
    newest = read_newest()
    is_open = newest is not None and newest["status"] in refresh_view.OPEN
    components.live(every="4s" if is_open else None)(show_ages)(is_open)


def read_newest() -> dict[str, Any] | None:
    return next(iter(reads.rows("queries/refreshes.newest")), None)


def show_ages(was_open: bool) -> None:
    fresh, newest = figures.freshness(), read_newest()
    if (newest is not None and newest["status"] in refresh_view.OPEN) != was_open:
        st.rerun()
    dataset = context.settings().powerbi_dataset_id
    latest = next(iter(reads.rows("queries/refreshes.latest", powerbi_dataset_id=dataset)), None)
    is_off = context.settings().powerbi_refresh == "off"
    with st.grid(2, min_column_width=260, gap="small"):
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.markdown("**Gold**")
            show_run(fresh)
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.markdown("**Power BI**")
            show_latest(latest, fresh.data_version, is_off=is_off)
            if newest is not None and newest["status"] != "completed":
                show_newest(newest)
            if not is_off:
                refresh_view.show_button("Refresh now")


def show_run(fresh: figures.Freshness) -> None:
    if fresh.ended_at is None:
        st.caption(f"Data version {fresh.data_version}. No run has brought data yet.")
        return
    st.caption(
        f"Data version {fresh.data_version}, changed {components.ago(fresh.ended_at)}",
        help=components.absolute(fresh.ended_at),
    )
    components.link("runs", f"Run {fresh.run_id}", icon=":material/play_circle:", run=fresh.run_id)


def show_latest(latest: dict[str, Any] | None, data_version: int, *, is_off: bool) -> None:
    if latest is None:
        st.caption(
            f"Refreshes after a run are off; {PREFIX}POWERBI_REFRESH switches them on "
            "(docs/powerbi.md). What Power BI refreshes by itself is not known here."
            if is_off
            else "No refresh has completed yet."
        )
        return
    behind = data_version - latest["data_version"]
    if behind > 0:
        st.markdown(
            f":orange[:material/warning:] {behind:,} change{'s' * (behind > 1)} behind gold"
        )
    else:
        st.markdown(":green[:material/check_circle:] holds the newest data")
    st.caption(
        f"Refresh {latest['refresh_id']} completed {components.ago(latest['ended_at'])}, took "
        f"{components.duration(latest['seconds'])}, data version {latest['data_version']}",
        help=components.absolute(latest["ended_at"]),
    )


def show_newest(newest: dict[str, Any]) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        components.state_badge(newest["status"])
        st.caption(
            f"Refresh {newest['refresh_id']}, asked for {components.ago(newest['requested_at'])}",
            width="content",
        )
    if newest["error"]:
        st.caption(components.escape(newest["error"]))


# Server ---------------------------------------------------------------------------------


def show_server(settings: Settings) -> None:
    st.subheader("What this database can and cannot do")
    if is_embedded(settings):
        st.markdown(
            "This is the **embedded server**. Power BI Desktop on **this machine** can read it while "
            "the product runs, over 127.0.0.1 and without encryption: nothing leaves the machine. "
            "Its port stays the same from one start to the next.\n\n"
            "- The password of `bi_reader` stands in the file `database/password-bi_reader` of the "
            "product's folder; only its owner can read it.\n"
            "- Other machines and the Power BI service cannot reach it. For them, and for scheduled "
            "refreshes, use a PostgreSQL server: `docker-compose.tls.yml` runs one with TLS "
            "(docs/powerbi.md)."
        )
        return
    st.markdown(
        "This is a **PostgreSQL server**. Power BI Desktop reaches it wherever its address can be "
        "reached; the Power BI service reaches it through a gateway, or directly where it is public.\n\n"
        "- `revenue powerbi password` gives `bi_reader` a new password and prints it once.\n"
        "- Over a network, use TLS with a certificate that Windows trusts: "
        "`revenue certificates make` and `docker-compose.tls.yml` (docs/powerbi.md).\n"
        f"- With `{PREFIX}BI_READER_URL` set, the check above connects as Power BI will."
    )


def is_embedded(settings: Settings) -> bool:
    """Tell whether the pages read the embedded server, which they know by its URL only."""
    known = source.configured(settings)
    return known.host == HOST and known.port == EmbeddedServer(settings.database).remembered_port()


main()
