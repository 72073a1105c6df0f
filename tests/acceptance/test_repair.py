"""An invalid record is repaired in a real browser, and the dashboard's number moves."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.acceptance.conftest import revenue
from tests.acceptance.test_operate import open_page, wait_until_idle
from tests.browser import App, settle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and /usr/bin/chromium")


def total_sales(app: App, page: Page) -> str:
    """Return what the dashboard's card says."""
    open_page(app, page, "dashboard")
    card = page.get_by_test_id("stMetric").filter(has_text="Total Sales").first
    return card.get_by_test_id("stMetricValue").inner_text()


def invalid_quantity(app: App) -> int:
    """Return an open record whose quantity alone is wrong."""
    listed: Any = revenue(app.home, "quarantine", "list", "--dataset", "sales", "--status", "open")
    return next(
        int(one["quarantine_id"])
        for one in listed["records"]
        if one["dq_errors"] == "Invalid quantity"
    )


def fill(page: Page, box: Locator, text: str) -> None:
    box.fill(text)
    box.press("Enter")
    settle(page)


def test_a_record_is_repaired_replayed_and_taken_back(app: App, page: Page) -> None:
    wait_until_idle(app)
    item = invalid_quantity(app)
    shown = total_sales(app, page)

    open_page(app, page, f"invalid_records?record={item}")
    expect(page.get_by_text("Invalid: Invalid quantity")).to_be_visible()
    page.keyboard.press("Alt+ArrowDown")
    page.wait_for_url(lambda url: f"record={item}" not in url)
    settle(page)
    page.keyboard.press("Alt+ArrowUp")
    page.wait_for_url(f"**record={item}")
    settle(page)
    fill(page, page.get_by_label("quantity", exact=True), "900000")
    expect(page.get_by_text("Would be valid")).to_be_visible()
    fill(page, page.get_by_label("Reason"), "the branch counted again")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Nothing is written yet")).to_be_visible()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Fixed by repair")).to_be_visible()
    wait_until_idle(app)
    assert total_sales(app, page) != shown

    open_page(app, page, f"invalid_records?record={item}")
    page.get_by_role("button", name="Take back").click()
    dialog = page.get_by_role("dialog")
    fill(page, dialog.get_by_label("Reason"), "it was the other branch")
    dialog.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("Invalid: Invalid quantity")).to_be_visible()
