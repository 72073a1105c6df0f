"""Operating the product in a real browser: schedules, live runs, judging again, logs, alerts."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.conftest import environment, revenue
from tests.browser import App, settle
from tests.sinks import sink

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and /usr/bin/chromium")


def wait_for(what: Callable[[], Any], seconds: float = 40) -> Any:
    """Return what comes true in time."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.2)
    return found


def open_page(app: App, page: Page, address: str) -> None:
    page.goto(f"{app.url}/{address}")
    settle(page)
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


def runs_of(app: App, **wanted: object) -> list[dict[str, Any]]:
    """Return the runs whose fields are as wanted, newest first."""
    listed: Any = revenue(app.home, "runs", "list")["runs"]
    return [run for run in listed if all(run[name] == value for name, value in wanted.items())]


def wait_until_idle(app: App) -> None:
    def is_idle() -> bool:
        said = health(app)
        return not (said["queued_runs"] or said["running_runs"])

    wait_for(is_idle)


def health(app: App) -> dict[str, Any]:
    """Return what `revenue status` says, whatever its exit status."""
    return revenue(app.home, "status", may_fail=True)


def test_a_schedule_fires_without_a_browser(app: App, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    open_page(app, page, "schedules")
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Name").fill("every two seconds")
    page.get_by_text("every", exact=True).click()
    page.get_by_text("seconds", exact=True).click()
    page.get_by_label("Every", exact=True).fill("2")
    page.get_by_label("Every", exact=True).press("Enter")
    settle(page)
    expect(page.get_by_text("Every 2 seconds").first).to_be_visible()
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    address = page.url
    context.close()
    before = len(runs_of(app, trigger="schedule"))
    wait_for(lambda: len(runs_of(app, trigger="schedule")) >= before + 2)

    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    settle(page)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    context.close()


@contextlib.contextmanager
def held(app: App, table: str) -> Iterator[None]:
    """Hold a table, so that a run that needs it cannot end meanwhile."""
    holder = "pg_sleep(120)"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "app.cli", "psql", "-c"),
            f"begin; lock table {table} in access exclusive mode; select {holder}",
        ],
        env={**environment(), "REVENUE_HOME": str(app.home)},
        cwd=app.home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        revenue(
            app.home,
            "psql",
            "-c",
            "select pg_terminate_backend(pid) from pg_stat_activity "
            f"where query like '%{holder}%' and pid <> pg_backend_pid()",
            is_json=False,
        )
        process.wait(20)


def test_a_live_run_is_cancelled_and_resumed(app: App, page: Page) -> None:
    wait_until_idle(app)
    with held(app, "gold.products"):
        # the landing zone is watched: the run begins by itself
        revenue(app.home, "generate", "sales", "--records", "20000", "--seed", "11")
        [run] = wait_for(lambda: runs_of(app, status="running", dataset="sales"))
        open_page(app, page, f"runs?run={run['run_id']}")
        expect(page.get_by_text("upsert products").first).to_be_visible()
        page.reload()
        settle(page)
        expect(page.get_by_text("upsert products").first).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=10_000)
        expect(page.get_by_text("cancelled").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    wait_for(lambda: runs_of(app, run_id=run["run_id"], status="warned"), 90)
    [ended] = runs_of(app, run_id=run["run_id"])
    assert ended["read_records"] == 20_000
    assert ended["is_balanced"] is True
    page.reload()
    settle(page)
    expect(page.get_by_text("balanced").first).to_be_visible()


def test_a_file_is_judged_again_after_a_preview(app: App, page: Page) -> None:
    wait_until_idle(app)
    before = revenue(app.home, "metrics")
    [first] = [run for run in runs_of(app, trigger="demo") if run["dataset"] == "sales"]
    open_page(app, page, f"runs?run={first['run_id']}")
    page.get_by_role("button", name="Judge again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"{first['read_records']:,}", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Queue the run").click()
    wait_for(lambda: runs_of(app, trigger="reprocess", status="warned"), 90)
    assert revenue(app.home, "metrics") == before


def test_the_log_is_searched(app: App, page: Page) -> None:
    open_page(app, page, "logs?q=promoted")
    expect(page.get_by_text("lines").first).to_be_visible()
    box = page.get_by_role("textbox", name="Search")
    box.fill("nothingofthiskind")
    box.press("Enter")
    settle(page)
    expect(page.get_by_text("No line").first).to_be_visible()
    assert "q=nothingofthiskind" in page.url


def test_a_lost_row_is_named_and_told_once_until_it_is_repaired(app: App, page: Page) -> None:
    wait_until_idle(app)
    with sink() as receiver:
        open_page(app, page, "alerts?show=channels")
        page.get_by_label("Name").fill("sink")
        page.get_by_label("Address").fill(receiver.address)
        page.get_by_role("button", name="Add channel").click()
        page.get_by_role("button", name="Test", exact=True).click()
        wait_for(lambda: receiver.messages)
        expect(page.get_by_text("planted")).to_have_count(0)
        receiver.messages.clear()

        revenue(
            app.home,
            "psql",
            "-c",
            "delete from silver.sales where transaction_id = "
            "(select min(transaction_id) from silver.sales)",
            is_json=False,
        )
        open_page(app, page, "health")
        page.get_by_role("button", name="Check now").click()
        settle(page)
        expect(page.get_by_text("silver of sales: 1 missing").first).to_be_visible()
        wait_for(lambda: receiver.titles)
        revenue(app.home, "run", "sales", "--full")
        wait_for(lambda: len(receiver.messages) >= 2)
        time.sleep(6)  # nothing more comes
        about = [title for title in receiver.titles if "edger" in title]
        assert len(about) == 2, receiver.titles
        open_page(app, page, "alerts")
        expect(page.get_by_text("Nothing is wrong")).to_be_visible()
    assert health(app)["is_well"] is True
