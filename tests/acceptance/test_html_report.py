"""The report of the dashboard in a real browser: drawn without a network, and on paper."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.cube import Filters
from app.tile_export import html_report
from tests.unit.test_tile_export import ABOUT, HOSTILE, report

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="/usr/bin/chromium")


def test_it_is_drawn_alone_shows_text_as_text_and_prints_a_tile_a_page(
    page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(html_report(report(HOSTILE, filters=Filters(regions=(HOSTILE,))), ABOUT))
    said: list[str] = []
    page.on("request", lambda request: said.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(file.as_uri())
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    for chart in page.locator(".chart").all():
        expect(chart.locator(".main-svg").first).to_be_visible()
    assert page.locator(".chart").count() == 5
    assert page.locator("img").count() == 0
    expect(page.get_by_role("cell", name="<img src=x onerror=alert(2)>").first).to_be_visible()
    expect(page.locator("#chart-sales_by_region").get_by_text("</script>").first).to_be_visible()
    assert said == [file.as_uri()]
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == 1400, "nothing stands beyond the window"
    paper = page.pdf(prefer_css_page_size=True, print_background=True)
    # key figures, five tiles, differences; A4 across is 842 × 595 points
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 7
    assert re.search(rb"/MediaBox \[0 0 841\.\d+ 59[45]\.\d+\]", paper)
