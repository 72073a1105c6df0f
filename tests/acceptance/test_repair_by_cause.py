"""A steward repairs a whole group in the browser and takes it back."""

from __future__ import annotations

import json
import sys
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.conftest import revenue
from tests.acceptance.test_operate import open_page, runs_of, wait_for, wait_until_idle
from tests.browser import App, settle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and /usr/bin/chromium")


def money(app: App) -> str:
    """Return what the repaired sales are worth; no other sale has their region."""
    found = revenue(app.home, "metrics", "--region", "Bycause")
    return f"{Decimal(found['kpis']['total_sales']):.2f}"


def test_a_group_is_repaired_and_taken_back(app: App, page: Page) -> None:
    wait_until_idle(app)
    folder = app.home / "data" / "raw"
    records = [
        {
            "transaction_id": f"BC{n}",
            "customer_id": f"C{n}",
            "product": {"id": "PBC", "name": "Desk", "category": "Office", "price": 10.5},
            "quantity": -n - 1,
            "region": "Bycause",
            "date": "2024-02-03",
            "discount": 0,
        }
        for n in range(7)
    ]
    (folder / "by_cause.json").write_text(json.dumps(records))
    wait_for(lambda: [run for run in runs_of(app, trigger="watch") if run["invalid_records"] == 7])
    wait_until_idle(app)
    open_page(app, page, "repairs")
    expect(page.get_by_role("heading", name="Repair by cause")).to_be_visible()
    page.get_by_test_id("stButtonGroup").get_by_text("Invalid quantity").click()
    page.wait_for_url("**rule=*")
    rule = page.url.rpartition("rule=")[2]
    open_page(app, page, f"repairs?cause={rule}&column=quantity&pattern=-9")
    page.get_by_label("Operation").click()
    page.get_by_role("option", name="Take the minus sign off").click()
    settle(page)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("What the replay will do")).to_be_visible()
    page.get_by_label("Reason").fill("the till lost the sign")
    page.get_by_label("Reason").press("Enter")
    settle(page)
    page.get_by_role("button", name="Repair ").last.click()
    expect(page.get_by_text("take the minus sign off quantity").first).to_be_visible()
    wait_until_idle(app)
    assert money(app) == "294.00"
    open_page(app, page, "repairs?show=repairs")
    page.get_by_role("button", name="Take back").first.click()
    page.get_by_role("dialog").get_by_label("Reason").fill("they were returns")
    page.get_by_role("dialog").get_by_label("Reason").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("taken back by").first).to_be_visible()
    wait_until_idle(app)
    assert money(app) == "0.00"
