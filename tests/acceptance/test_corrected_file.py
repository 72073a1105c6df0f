"""Invalid records are downloaded, corrected in a spreadsheet, and brought back in the browser."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import python_calamine
import xlsxwriter
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text

from app.cube import Database, Filters
from app.report import report
from tests.acceptance.test_operate import open_page, wait_for
from tests.browser import App, settle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and /usr/bin/chromium")

REGION = "Roundtrip"  # of no other sale
FILE = "round_trip.json"
LISTED = f"invalid_records?feed=sales&file={FILE}&status=all"


def land(app: App) -> None:
    """Land four sales without a quantity: the watched folder runs them by itself."""
    records = [
        {
            "transaction_id": f"RT{n}",
            "customer_id": f"C{n}",
            "product": {"id": "PRT", "name": "=1+1", "category": "Office", "price": 12.5},
            "quantity": None,
            "region": REGION,
            "date": "2024-02-03",
        }
        for n in range(4)
    ]
    (app.home / "data" / "raw" / FILE).write_text(json.dumps(records))


def sheet_of(file: Path) -> list[list[str]]:
    [sheet] = python_calamine.CalamineWorkbook.from_path(file).sheet_names
    rows = python_calamine.CalamineWorkbook.from_path(file).get_sheet_by_name(sheet).to_python()
    return [[str(cell) for cell in row] for row in rows]


def write_sheet(file: Path, rows: Sequence[Sequence[str]]) -> None:
    with xlsxwriter.Workbook(file, {"strings_to_formulas": False}) as workbook:
        sheet = workbook.add_worksheet()
        for row, cells in enumerate(rows):
            sheet.write_row(row, 0, cells)


def states(engine: Engine) -> dict[str, str]:
    """Return the state of each record of the file."""
    query = (
        "select record_key, q.status from dq.quarantine q join etl.batch b using (batch_id) "
        "where b.file_name = :file order by record_key"
    )
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(text(query), {"file": FILE})}


def sales(engine: Engine) -> Decimal:
    """Return what the records are worth on the dashboard, USD."""
    with engine.connect() as connection:
        worth = report(Database(connection), Filters(regions=(REGION,))).kpis["total_sales"]
    return Decimal(worth or 0)


@contextlib.contextmanager
def a_failing_channel(engine: Engine) -> Iterator[None]:
    """Let alerts not arrive, which every page says above all it shows."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into etl.alert_channel (name, address, last_error, updated_by) "
                "values ('mute', 'json://127.0.0.1:9', 'refused', 'a test')"
            )
        )
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(
                text("update etl.alert_channel set removed_at = now() where name = 'mute'")
            )


def test_records_corrected_in_a_spreadsheet_are_fixed(
    app: App, page: Page, engine: Engine, tmp_path: Path
) -> None:
    land(app)
    wait_for(lambda: len(states(engine)) == 4)
    assert sales(engine) == 0

    open_page(app, page, LISTED)
    expect(page.get_by_text("4 records", exact=True)).to_be_visible()
    with page.expect_download() as started:
        page.get_by_role("button", name="XLSX").click()
    head, *rows = sheet_of(started.value.path())
    key, quantity = head.index("transaction_id"), head.index("quantity")
    assert sorted(row[key] for row in rows) == ["RT0", "RT1", "RT2", "RT3"]
    for row in rows:
        row[quantity] = {"RT0": "2", "RT1": "10", "RT2": "-7"}.get(row[key], row[quantity])
    corrected = tmp_path / "corrected.xlsx"
    write_sheet(corrected, [head, *rows])

    page.get_by_role("button", name="Bring corrected records back").click()
    with a_failing_channel(engine):  # what is open stays open when a warning comes
        page.locator("input[type=file]").set_input_files(corrected)
        expect(page.get_by_text("mute fails")).to_be_visible()
        page.get_by_role("button", name="Read it").click()
        expect(page.get_by_text("Corrected: corrected.xlsx")).to_be_visible()
    cards = page.locator(".st-key-corrections_panel").get_by_test_id("stMetricValue")
    expect(cards).to_have_text(["3", "1", "0"])  # edited, unchanged, refused
    page.get_by_label("Reason (sales)").fill("the tills were counted")
    page.get_by_label("Reason (sales)").press("Enter")
    settle(page)
    page.get_by_role("button", name="Preview 3 records of sales").click()
    expect(page.get_by_text("What the replay will do")).to_be_visible()
    assert sales(engine) == 0
    page.get_by_role("button", name="Replay 3 records of sales").click()
    expect(page.get_by_text("Corrected: corrected.xlsx")).to_have_count(0)
    wait_for(lambda: sales(engine) == Decimal("150.00"))
    assert states(engine) == {"RT0": "fixed", "RT1": "fixed", "RT2": "open", "RT3": "open"}
    open_page(app, page, f"dashboard?region={REGION}")
    card = page.get_by_test_id("stMetric").filter(has_text="Total Sales")
    expect(card.get_by_test_id("stMetricValue")).to_have_text("$150")
    open_page(app, page, LISTED.replace("status=all", "status=unfinished"))
    expect(page.get_by_text("2 records", exact=True)).to_be_visible()
