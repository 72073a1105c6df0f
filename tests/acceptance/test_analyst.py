"""An analyst in a browser: a question kept as a view, and a statement that is cancelled."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.browser import App, settle


def parameters(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_a_saved_view_shows_the_same_question_again(app: App, page: Page) -> None:
    page.goto(f"{app.url}/explore?region=North")
    settle(page)
    page.locator("[data-testid=stSelectbox]").nth(0).locator("input").click()
    page.get_by_role("option", name="Weekday").click()
    settle(page)
    asked = parameters(page)
    assert asked == {"region": ["North"], "by": ["Weekday"]}
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Save this view as").fill("Days <b>of</b> the North")
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_role("link", name="Days <b>of</b> the North")).to_be_visible()

    page.goto(f"{app.url}/explore?by=Month")
    settle(page)
    page.get_by_role("button", name="Views").click()
    page.get_by_role("link", name="Days <b>of</b> the North").click()
    page.wait_for_url("**by=Weekday**")
    settle(page)
    assert parameters(page) == asked
    expect(page.get_by_text("7 rows and a total")).to_be_visible()


def test_a_statement_is_run_and_another_cancelled(app: App, page: Page) -> None:
    page.goto(f"{app.url}/explore?tab=SQL")
    settle(page)
    statement = page.locator("textarea").first
    for text, said in (
        ("select count(*) from transactions", "1 row ·"),
        ("select * from etl.audit", "permission denied for schema etl"),
    ):
        statement.fill(text)
        statement.press("Control+Enter")
        settle(page)
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_text(said)).to_be_visible()
    statement.fill("select pg_sleep(25)")
    statement.press("Control+Enter")
    settle(page)
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The statement was cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Run")).to_be_enabled()
