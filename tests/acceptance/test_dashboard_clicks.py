"""The dashboard is clicked, drilled, sent to somebody else, explained and taken home."""

from __future__ import annotations

import csv
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.acceptance.test_operate import open_page, wait_until_idle
from tests.browser import App, settle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and /usr/bin/chromium")


def cards(page: Page) -> list[str]:
    return page.get_by_test_id("stMetricValue").all_inner_texts()


def click(page: Page, mark: Locator) -> None:
    """Click in the middle of what a chart drew, as a hand does: the pointer comes first."""
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 2, y)
    page.mouse.move(x, y)
    page.mouse.click(x, y)


def test_a_click_filters_the_other_tiles_and_a_link_shows_the_same(
    app: App, page: Page, browser: Browser
) -> None:
    wait_until_idle(app)
    open_page(app, page, "dashboard")
    whole = cards(page)
    click(page, page.locator(".st-key-tile_sales_by_region .points path").first)
    page.wait_for_url("**pick_region=*")
    settle(page)
    of_region = cards(page)
    assert of_region[1] != whole[1]
    # the tile of the regions still shows all of them, and a second click lets go
    bars = page.locator(".st-key-tile_sales_by_region .points path")
    assert bars.count() > 1
    click(page, bars.first)
    page.wait_for_url(lambda url: "pick_region" not in url)
    settle(page)
    assert cards(page) == whole
    click(page, bars.first)
    page.wait_for_url("**pick_region=*")
    settle(page)

    click(page, page.locator(".st-key-tile_monthly_sales .points path").nth(2))
    page.wait_for_url("**pick_period=*")
    settle(page)
    picked = cards(page)
    assert picked[1] != of_region[1]
    expect(page.get_by_text("does not tie out")).to_have_count(0)

    somebody = browser.new_context(viewport={"width": 1400, "height": 1000})
    try:
        other = somebody.new_page()
        other.goto(page.url)
        settle(other)
        assert cards(other) == picked
        expect(other.get_by_text("Picked", exact=True)).to_be_visible()
    finally:
        somebody.close()

    page.get_by_role("button", name="Drill into").click()
    page.wait_for_url("**by=Day**")
    settle(page)
    assert cards(page) == picked  # the same month, now as the period
    expect(page.get_by_role("heading", name="Daily Sales Trend")).to_be_visible()
    page.get_by_role("button", name="Region:").click()
    page.wait_for_url(lambda url: "pick_region" not in url)
    settle(page)
    page.get_by_role("button", name="Clear filters").click()
    page.wait_for_url(lambda url: "from=" not in url)
    settle(page)
    assert cards(page) == whole


def test_a_slice_of_the_ring_filters_by_the_home_of_customers(app: App, page: Page) -> None:
    wait_until_idle(app)
    open_page(app, page, "dashboard")
    whole = cards(page)
    ring = ".st-key-tile_loyalty_points_by_region .barlayer .point path"
    expect(page.locator(ring)).to_have_count(5)
    click(page, page.locator(ring).nth(1))
    page.wait_for_url("**pick_home=*")
    settle(page)
    assert cards(page)[0] != whole[0]
    assert cards(page)[1] != whole[1]
    expect(page.get_by_text("does not tie out")).to_have_count(0)
    page.get_by_role("button", name="Home region:").click()
    page.wait_for_url(lambda url: "pick_home" not in url)
    settle(page)
    assert cards(page) == whole


def test_a_number_is_explained_down_to_the_raw_record_and_taken_home(
    app: App, page: Page, tmp_path: Path
) -> None:
    wait_until_idle(app)
    open_page(app, page, "dashboard?pick_region=North")
    shown = cards(page)[1]
    tile = page.locator(".st-key-tile_sales_by_region")
    tile.get_by_role("button", name="Details").click()
    with page.expect_download() as taken:
        page.get_by_role("button", name="CSV").click()
    with Path(taken.value.path()).open(encoding="utf-8-sig") as file:
        rows = {row["region"]: Decimal(row["total_sales"]) for row in csv.DictReader(file)}
    page.keyboard.press("Escape")
    with page.expect_download() as taken:
        page.get_by_test_id("stDownloadButton").get_by_role("button", name="Report").click()
    assert b"does not tie out" not in Path(taken.value.path()).read_bytes()

    page.get_by_role("link", name="Explain", exact=True).nth(1).click()
    page.wait_for_url("**/explain?*region=North*")
    settle(page)
    expect(page.get_by_text(f"the dashboard shows ${rows['North']:,.2f}")).to_be_visible()
    assert f"${rows['North']:,.2f}" == cards(page)[0]
    assert shown.startswith("$")
    grid = page.get_by_test_id("stDataFrame").first
    box = grid.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 60, box["y"] + 52)  # the first sale
    expect(page.get_by_text("silver and gold hold this record")).to_be_visible()
    expect(page.locator("code").filter(has_text="transaction_id").first).to_be_visible()
