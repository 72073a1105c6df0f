"""A rule is changed in the browser: tried with what-if, activated, and it does what was said."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text

from app.cube import Database, Filters
from app.report import Report, report
from tests.acceptance.conftest import revenue
from tests.acceptance.test_operate import open_page, wait_for
from tests.browser import App, settle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and /usr/bin/chromium")

LEAST = 2  # pieces; many sales have fewer


def rule_of(engine: Engine) -> dict[str, Any]:
    """Return the rule as it is now."""
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "select rule_id, version, parameters from dq.rule "
                "where dataset = 'sales' and code = 'quantity_invalid'"
            )
        )
        return dict(found.mappings().one())


def last_run(engine: Engine) -> dict[str, Any]:
    """Return the newest run, once nothing is queued or running any more."""

    def ended() -> Any:
        with engine.connect() as connection:
            runs = connection.execute(text("select * from etl.run order by run_id desc"))
            newest, *others = runs.mappings()
        is_busy = any(run["status"] in {"queued", "running"} for run in (newest, *others))
        return None if is_busy else dict(newest)

    found: dict[str, Any] = wait_for(ended)
    return found


def truth(engine: Engine) -> tuple[Report, dict[str, int]]:
    """Return every KPI and tile, and how many sales the queue holds in each state."""
    query = "select status, count(*) from dq.quarantine where dataset = 'sales' group by status"
    with engine.connect() as connection:
        states = {row[0]: row[1] for row in connection.execute(text(query))}
        return report(Database(connection), Filters()), states


def figure(page: Page, label: str) -> Decimal:
    """Return the number of a card of the result."""
    title = page.get_by_test_id("stMetricLabel").get_by_text(label, exact=True)
    card = page.get_by_test_id("stMetric").filter(has=title)
    shown = card.get_by_test_id("stMetricValue").inner_text()
    return Decimal(shown.replace(",", ""))


def try_it(page: Page, engine: Engine) -> None:
    """Go from the page of the rule to the list, try its drafts, and wait for the result."""
    with engine.connect() as connection:
        last = connection.scalar(text("select max(prediction_id) from dq.prediction")) or 0
    page.get_by_role("button", name="All rules").click()
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text(f"Prediction {last + 1}", exact=True)).to_be_visible(timeout=40_000)


def activate_and_judge_again(page: Page, engine: Engine) -> dict[str, Any]:
    """Return the run that judged everything again."""
    page.get_by_role("button", name="Activate and judge again").click()
    expect(page.get_by_role("button", name="Activate and judge again")).to_have_count(0)
    run = last_run(engine)
    assert (run["trigger"], run["status"]) == ("rules", "warned")
    return run


def test_a_changed_rule_does_what_was_predicted_and_is_put_back(
    app: App, page: Page, engine: Engine
) -> None:
    last_run(engine)
    rule, before = rule_of(engine), truth(engine)
    open_page(app, page, f"rules?rule={rule['rule_id']}&edit=1")
    page.get_by_label("Min", exact=True).fill(str(LEAST))
    page.get_by_label("Min", exact=True).press("Enter")
    settle(page)
    page.get_by_label("Reason").fill("small orders go another way")
    page.get_by_label("Reason").press("Enter")
    settle(page)
    page.get_by_role("button", name="Make a draft").click()
    expect(page.get_by_role("button", name="Withdraw")).to_be_visible()
    assert rule_of(engine) == rule, "a draft is not active"

    try_it(page, engine)
    caught, released = figure(page, "Newly caught"), figure(page, "Newly released")
    rows, money = figure(page, "Rows in silver"), figure(page, "Revenue, USD")
    invalid = figure(page, "Invalid records")
    assert caught > 0
    assert released == 0
    assert money < before[0].kpis["total_sales"]
    assert truth(engine) == before, "trying changes nothing"

    run = activate_and_judge_again(page, engine)
    said = revenue(app.home, "metrics")["kpis"]
    assert (Decimal(said["total_sales"]), said["transactions"]) == (money, rows)
    assert run["invalid_records"] == invalid
    assert sum(truth(engine)[1].values()) == sum(before[1].values()) + caught

    open_page(app, page, f"rules?rule={rule['rule_id']}")
    page.locator(f".st-key-back_{rule['version']}").get_by_role("button").click()
    expect(page.get_by_role("button", name="Withdraw")).to_be_visible()
    try_it(page, engine)
    assert (figure(page, "Newly caught"), figure(page, "Newly released")) == (0, caught)
    activate_and_judge_again(page, engine)
    assert truth(engine) == before
    assert rule_of(engine)["parameters"] == rule["parameters"]
