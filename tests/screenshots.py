"""Takes docs/screenshots/: every page and some states, light and dark, wide and narrow.

`make screenshots` takes all of them, `python -m tests.screenshots NAME…` some.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.acceptance.conftest import revenue
from tests.browser import PAGES, App, a_home, chromium, settle, up

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
WIDTHS = {"wide": 1440, "narrow": 420}
QUANTITY = "Invalid quantity"  # the message of the rule that the states are about


def main() -> None:
    wanted = sys.argv[1:] or [*PAGES, *STATES]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with a_home() as home, up(home) as app, chromium() as browser:
        photograph(app, browser, [name for name in wanted if name in PAGES])
        states = [name for name in wanted if name in STATES]
        if "what_if" in states:  # last: its draft stands on the page of rules
            try_a_rule(app, browser)
        photograph(app, browser, states)


def photograph(app: App, browser: Browser, wanted: Iterable[str]) -> None:
    for scheme in ("light", "dark"):
        for name, width in WIDTHS.items():
            context = browser.new_context(
                color_scheme=scheme,  # type: ignore[arg-type]
                viewport={"width": width, "height": 900},
                reduced_motion="reduce",
            )
            page = context.new_page()
            for screen in wanted:
                STATES.get(screen, open_page(screen))(app, page)
                if name == "narrow":
                    close = page.get_by_test_id("stSidebarCollapseButton").get_by_role("button")
                    if close.is_visible():
                        close.click()
                        page.wait_for_timeout(300)
                page.mouse.move(width - 4, 4)  # no hint stands in the way
                for _ in range(2):  # tables that come into sight grow
                    # the page scrolls inside: as high as its content, it needs not
                    height = page.evaluate(
                        "document.querySelector('[data-testid=stMain]').scrollHeight"
                    )
                    page.set_viewport_size({"width": width, "height": max(900, int(height))})
                    settle(page)
                page.screenshot(path=FOLDER / f"{screen}-{scheme}-{name}.png")
                page.set_viewport_size({"width": width, "height": 900})
            context.close()


# Pages and states -----------------------------------------------------------------------


def open_page(address: str) -> Callable[[App, Page], None]:
    def opened(app: App, page: Page) -> None:
        page.goto(f"{app.url}/{'' if address == 'overview' else address}")
        settle(page)

    return opened


def record(app: App, page: Page) -> None:
    """Open the workbench of a record, with an edit and what its replay will do."""
    open_page(f"invalid_records?record={record_to_repair(app)}")(app, page)
    fill(page, "quantity", "2")
    fill(page, "Reason", "the branch counted again")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Nothing is written yet")).to_be_visible()


def group(app: App, page: Page) -> None:
    """Open a group of Repair by cause, with an operation and what its replay will do."""
    rule = rule_of_quantity(app)
    open_page(f"repairs?cause={rule}&column=quantity&pattern=-9")(app, page)
    page.get_by_label("Operation").click()
    page.get_by_role("option", name="Take the minus sign off").click()
    settle(page)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Nothing is written yet")).to_be_visible()


STATES: dict[str, Callable[[App, Page], None]] = {
    "record": record,
    "group": group,
    "what_if": open_page("rules?feed=sales"),
}


def try_a_rule(app: App, browser: Browser) -> None:
    """Draft a change of a rule and wait until what it would do is known."""
    page = browser.new_page()
    open_page(f"rules?rule={rule_of_quantity(app)}&edit=1")(app, page)
    fill(page, "Min", "2")
    fill(page, "Reason", "single pieces go another way")
    page.get_by_role("button", name="Make a draft").click()
    page.get_by_role("button", name="All rules").click()
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text("Prediction 1", exact=True)).to_be_visible(timeout=60_000)
    page.close()


def fill(page: Page, label: str, words: str) -> None:
    box = page.get_by_label(label, exact=True)
    box.fill(words)
    box.press("Enter")
    settle(page)


def record_to_repair(app: App) -> int:
    """Return an open record whose quantity alone is wrong."""
    listed: Any = revenue(app.home, "quarantine", "list", "--dataset", "sales", "--status", "open")
    return next(
        int(one["quarantine_id"]) for one in listed["records"] if one["dq_errors"] == QUANTITY
    )


def rule_of_quantity(app: App) -> int:
    listed: Any = revenue(app.home, "rules", "list")["rules"]
    return next(int(one["rule_id"]) for one in listed if one["message"] == QUANTITY)


if __name__ == "__main__":
    main()
