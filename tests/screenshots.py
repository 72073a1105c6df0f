"""Takes docs/screenshots/: every page, light and dark, wide and narrow (`make screenshots`)."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser import PAGES, a_home, chromium, settle, up

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
WIDTHS = {"wide": 1440, "narrow": 420}


def main() -> None:
    wanted = sys.argv[1:] or PAGES
    FOLDER.mkdir(parents=True, exist_ok=True)
    with a_home() as home, up(home) as app, chromium() as browser:
        for scheme in ("light", "dark"):
            for name, width in WIDTHS.items():
                context = browser.new_context(
                    color_scheme=scheme,  # type: ignore[arg-type]
                    viewport={"width": width, "height": 900},
                    reduced_motion="reduce",
                )
                page = context.new_page()
                for screen in wanted:
                    address = "" if screen == "overview" else screen
                    page.goto(f"{app.url}/{address}")
                    settle(page)
                    if name == "narrow":
                        close = page.get_by_test_id("stSidebarCollapseButton").get_by_role("button")
                        if close.is_visible():
                            close.click()
                            page.wait_for_timeout(300)
                    # the page scrolls inside: as high as its content, it needs not
                    height = page.evaluate(
                        "document.querySelector('[data-testid=stMain]').scrollHeight"
                    )
                    page.set_viewport_size({"width": width, "height": max(900, int(height))})
                    settle(page)
                    page.screenshot(path=FOLDER / f"{screen}-{scheme}-{name}.png")
                    page.set_viewport_size({"width": width, "height": 900})
                context.close()


if __name__ == "__main__":
    main()
