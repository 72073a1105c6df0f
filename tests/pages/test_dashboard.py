"""What the operator sees on the dashboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import Engine, text
from streamlit.testing.v1 import AppTest

from etl.settings import Settings
from tests.gold import gold_changed

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
HOSTILE = "<b>Bold</b> [x](http://evil.example) $1 :red[y]"

# customers: two with a known region, one without, one inferred
# sales: 1,500.00 North Laptop, 1,000.00 South Laptop, 250.50 North Desk, 49.50 Unknown Desk
FILL = """
insert into gold.customers
    (customer_id, customer_name, region, loyalty_points, is_inferred, insert_date, update_date)
values
    ('C1', 'Ann', 'North', 300, false, now(), now()),
    ('C2', 'Bob', 'South', 100, false, now(), now()),
    ('C3', 'Cid', 'Unknown', 600, false, now(), now()),
    ('C9', 'Unknown', 'Unknown', 0, true, now(), now());
insert into gold.products (product_id, product_name, category, insert_date, update_date)
values
    ('P1', 'Laptop', 'Electronics', now(), now()),
    ('P2', 'Desk', 'Furniture', now(), now());
insert into gold.dim_date
select
    d::date, extract(year from d), extract(quarter from d), extract(month from d),
    extract(day from d), date_trunc('month', d)::date, to_char(d, 'FMMonth'),
    to_char(d, 'Mon YYYY'), extract(isodow from d), to_char(d, 'FMDay')
from generate_series('2022-01-01'::timestamp, '2023-12-31', '1 day') as d;
insert into gold.transactions
    (transaction_id, customer_id, product_id, quantity, price, discount, region,
     transaction_datetime, insert_date, update_date)
values
    ('T1', 'C1', 'P1', 1, 1500, 0, 'North', '2022-05-02 10:00', now(), now()),
    ('T2', 'C2', 'P1', 1, 1000, 0, 'South', '2023-01-31 23:59', now(), now()),
    ('T3', 'C3', 'P2', 1, 250.50, 0, 'North', '2023-03-01 00:00', now(), now()),
    ('T4', 'C9', 'P2', 1, 49.50, 0, 'Unknown', '2023-04-15 12:00', now(), now());
"""


@pytest.fixture(autouse=True)
def _fresh_process(clean: Engine, settings: Settings) -> Iterator[None]:
    """Each test has a web process of its own: nothing cached before, no connection left after."""
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


@pytest.fixture
def filled(clean: Engine) -> Engine:
    with clean.begin() as connection:
        connection.execute(text(FILL))
        gold_changed(connection)
    return clean


TILES = (
    "sales_by_region",
    "monthly_sales",
    "loyalty_points_by_region",
    "top_products",
    "high_value_sales_by_region",
)


def dashboard(*, details: bool = False, **query: str | list[str]) -> AppTest:
    """Open the page; `details` opens those of every tile."""
    page = AppTest.from_file(str(MAIN), default_timeout=30)
    for tile in TILES if details else ():
        page.session_state[f"details_{tile}"] = True
    for name, value in query.items():
        page.query_params[name] = value
    page.switch_page("../pages/dashboard.py").run()
    assert not page.exception
    return page


def cards(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def figures(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def clear(page: AppTest) -> Any:
    return next(button for button in page.button if button.label == "Clear filters")


def html(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def captions(page: AppTest) -> str:
    return "\n".join(caption.value for caption in page.caption)


def test_the_cards_show_every_kpi(filled: Engine) -> None:
    page = dashboard()
    assert page.title[0].value == "Revenue & Customer Insights Dashboard"
    assert cards(page) == {
        "Customers": "3",
        "Total Sales": "$2.8K",
        "Sales YTD": "$1.3K",
        "Avg Sale per Transaction": "$700",
        "High Value Transactions": "1",
    }
    beside = {metric.label: metric.delta for metric in page.metric}
    assert beside["Customers"] == "sales filters do not apply"
    assert beside["Total Sales"] == "4 transactions"
    assert beside["Sales YTD"] == "1 Jan – 31 Dec 2023"
    assert beside["High Value Transactions"] == "53.6 % of sales"
    assert all(metric.help for metric in page.metric)


def test_every_tile_ties_out_with_both_numbers(filled: Engine) -> None:
    shown = captions(dashboard(details=True))
    assert shown.count("✓ ties out] · parts") == 5
    assert shown.count("✓ ties out] · :material/schedule:") == 5  # on the tile itself
    assert shown.count(r"parts \$2,800.00 = Total Sales \$2,800.00") == 3
    assert r"parts \$1,500.00 = High Value Sales \$1,500.00" in shown
    assert "parts 1,000 = Total Loyalty Points 1,000" in shown
    assert "does not tie out" not in shown


def test_the_charts_hold_the_results(filled: Engine) -> None:
    page = dashboard()
    region, month, ring, high = (figure["data"] for figure in figures(page))
    [region], [month], [high] = region, month, high
    assert (region["y"], region["x"]) == (["North", "South", "Unknown"], [1750.5, 1000.0, 49.5])
    assert len(month["x"]) == 12  # May 2022 to April 2023, those without sales too
    assert (month["y"][0], month["y"][1], month["y"][-1]) == (1500.0, 0.0, 49.5)
    *slices, labels = ring
    assert [(one["name"], one["customdata"], one["width"]) for one in slices] == [
        ("Unknown", ["Unknown"], [216.0]),
        ("North", ["North"], [108.0]),
        ("South", ["South"], [36.0]),
    ]
    assert labels["text"] == ["60.0%", "30.0%", "10.0%"]
    assert (high["x"], high["y"]) == (["North"], [1500.0])


def test_the_top_products_end_in_a_total(filled: Engine) -> None:
    ranking = next(table.value for table in dashboard().dataframe if "share" in table.value)
    assert ranking["name"].tolist() == ["Laptop", "Desk", "Total"]
    assert ranking["total_sales"].tolist() == [2500, 300, 2800]
    assert ranking["share"].tolist() == pytest.approx([100 * 2500 / 2800, 100 * 300 / 2800, 100])


def test_insights_are_computed(filled: Engine) -> None:
    page = dashboard()
    shown = "\n".join(one.value for one in (*page.markdown, *page.caption)).replace("\\", "")
    for text_ in ("Best month", "May 2022", "Weakest month", "North", "Laptop", "89.3 % of sales"):
        assert text_ in shown


def test_filters_come_from_the_address(filled: Engine) -> None:
    page = dashboard(region=["North", "Unknown"], category="Furniture")
    assert cards(page)["Total Sales"] == "$300"
    assert cards(page)["Customers"] == "3"
    assert page.multiselect(key="region").value == ["North", "Unknown"]
    page = dashboard(**{"from": "2022-05-02", "to": "2022-05-02"})  # a single day
    assert cards(page)["Total Sales"] == "$1.5K"
    assert {metric.label: metric.delta for metric in page.metric}["Sales YTD"] == (
        "1 Jan – 2 May 2022"
    )


@pytest.mark.parametrize(
    "query",
    [
        {"region": "Nowhere"},
        {"product": ["Laptop2", "x" * 3000]},
        {"from": "rubbish", "to": "2023-13-45"},
        {"from": "1066-01-01"},
        {"known_region_only": "perhaps"},
        {"unknown": "parameter"},
    ],
)
def test_what_the_address_cannot_mean_is_ignored(
    filled: Engine, query: dict[str, str | list[str]]
) -> None:
    assert cards(dashboard(**query))["Total Sales"] == "$2.8K"


def test_the_widgets_filter_and_one_button_clears_them(filled: Engine) -> None:
    page = dashboard()
    assert clear(page).disabled
    page.multiselect(key="region").select("North").run()
    assert cards(page)["Total Sales"] == "$1.75K"
    page.multiselect(key="product").select("Desk").run()
    assert cards(page)["Total Sales"] == "$251"
    page.toggle(key="known_region_only").set_value(True).run()
    assert cards(page)["Total Sales"] == "$0"
    clear(page).click().run()
    assert not page.exception
    assert cards(page)["Total Sales"] == "$2.8K"
    assert page.multiselect(key="region").value == []
    assert not page.toggle(key="known_region_only").value


def test_the_switch_shows_the_view_of_the_original(filled: Engine) -> None:
    page = dashboard(known_region_only="true")
    assert cards(page)["Total Sales"] == "$2.5K"
    assert cards(page)["Customers"] == "3"


def test_the_differences_from_the_original_are_listed(filled: Engine) -> None:
    listed = next(
        element.value for element in dashboard().markdown if "The original" in element.value
    )
    assert [line[:2] for line in listed.splitlines() if not line.startswith(" ")] == [
        f"{number}." for number in range(1, 8)
    ]


def test_a_selection_without_sales_explains_itself(filled: Engine) -> None:
    page = dashboard(region="South", category="Furniture")
    assert cards(page)["Total Sales"] == "$0"
    assert cards(page)["Avg Sale per Transaction"] == "–"
    assert "No sales match these filters" in page.info[0].value
    [ring] = figures(page)  # loyalty points do not depend on them
    assert {trace["type"] for trace in ring["data"]} == {"barpolar", "scatterpolar"}
    assert captions(page).count("Nothing in this selection") == 4


def test_a_period_the_wrong_way_round_explains_itself(filled: Engine) -> None:
    page = dashboard(**{"from": "2023-02-01", "to": "2023-01-01"})
    assert "ends before it starts" in page.info[0].value
    assert {metric.label: metric.delta for metric in page.metric}["Sales YTD"] == (
        "no calendar day in the period"
    )


def test_an_empty_gold_names_the_next_action(clean: Engine) -> None:
    page = dashboard()
    assert not page.metric
    assert "No data yet" in "\n".join(element.value for element in page.markdown)
    assert [link.proto.page for link in page.get("page_link")] == ["upload"]


def test_customers_without_sales_are_shown(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(text("delete from gold.transactions"))
        connection.execute(text("delete from gold.products"))
        connection.execute(text("delete from gold.dim_date"))
        gold_changed(connection)
    page = dashboard()
    assert cards(page)["Customers"] == "3"
    assert "Only customers are loaded" in page.info[0].value
    assert "upload" in [link.proto.page for link in page.get("page_link")]


def test_hostile_names_are_shown_as_text(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(text("update gold.transactions set region = :name"), {"name": HOSTILE})
        connection.execute(
            text("update gold.products set product_name = :name || product_id"), {"name": HOSTILE}
        )
        connection.execute(text("update gold.customers set region = :name"), {"name": HOSTILE})
        gold_changed(connection)
    page = dashboard(region=HOSTILE, details=True)
    assert page.multiselect(key="region").value == [HOSTILE]
    assert cards(page)["Total Sales"] == "$2.8K"
    assert "<b>Bold" not in html(page)
    for figure in figures(page):
        for trace in figure["data"]:
            trace.pop("customdata", None)  # what a click picks; Plotly shows it nowhere
        assert "<b>Bold" not in json.dumps(figure)
    markdown = [element.value for element in (*page.markdown, *page.caption, *page.info)]
    assert not any("evil.example" in body for body in markdown)


def test_new_data_is_shown_without_a_refresh_button(filled: Engine) -> None:
    page = dashboard()
    with filled.begin() as connection:
        connection.execute(text("update gold.transactions set quantity = 2"))
        gold_changed(connection)
    page.run()
    assert cards(page)["Total Sales"] == "$5.6K"


def test_each_chart_has_a_table_with_the_same_figures(filled: Engine) -> None:
    page = dashboard(details=True)
    tables = [table.value for table in page.dataframe if "share" not in table.value]
    assert [list(table.columns) for table in tables] == [
        ["region", "total_sales", "transactions"],
        ["month", "total_sales", "transactions"],
        ["region", "loyalty_points", "customers"],
        ["product_name", "total_sales", "transactions"],
        ["region", "high_value_sales", "high_value_transactions"],
    ]
    assert list(tables[0]["region"]) == ["North", "South", "Unknown"]
    offered = [button.label for button in page.get("download_button")]
    assert (offered.count("CSV"), offered.count("XLSX"), offered.count("Report")) == (5, 5, 1)


def test_the_caption_says_which_run_brought_the_data(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(
            text(
                """
                with run as (
                    insert into etl.run (dataset, status, trigger, requested_by, ended_at)
                    values ('sales', 'succeeded', 'manual', 'tester', now())
                    returning run_id
                )
                insert into etl.step (run_id, step, status, ended_at)
                select run_id, 'promote', 'succeeded', '2026-03-04 05:06:07+00' from run
                """
            )
        )
    assert "Data of 04 Mar 2026, 05:06 UTC · sales run " in captions(dashboard())


def test_a_choice_that_the_data_no_longer_has_is_dropped(filled: Engine) -> None:
    page = dashboard(**{"region": "Unknown", "from": "2022-02-01"})
    assert cards(page)["Total Sales"] == "$49.50"
    with filled.begin() as connection:
        connection.execute(text("delete from gold.transactions where region = 'Unknown'"))
        connection.execute(text("delete from gold.transactions where transaction_id = 'T1'"))
        connection.execute(text("delete from gold.dim_date where year = 2022"))
        gold_changed(connection)
    page.run()
    assert not page.exception
    assert cards(page)["Total Sales"] == "$1.25K"


def test_a_pick_finer_than_what_the_trend_shows_is_let_go(filled: Engine) -> None:
    page = dashboard(by="Year", pick_period="2023-01")
    assert cards(page)["Total Sales"] == "$2.8K"
    assert "does not tie out" not in captions(page)
    assert "Yearly Sales Trend" in [heading.value for heading in page.subheader]
    page = dashboard(by="Year", pick_period="2023", details=True)
    assert cards(page)["Total Sales"] == "$1.3K"
    assert captions(page).count("✓ ties out] · parts") == 5


@pytest.mark.parametrize("pick", ["9999", "2024-W10-2", "٢٠٢٣", "2023-13", "x"])
def test_a_picked_period_that_the_data_does_not_have_is_let_go(filled: Engine, pick: str) -> None:
    assert cards(dashboard(pick_period=pick))["Total Sales"] == "$2.8K"


def test_picks_filter_the_other_tiles_and_show_as_chips(filled: Engine) -> None:
    page = dashboard(pick_region="North", pick_home=["North", "Nowhere"], details=True)
    assert cards(page)["Total Sales"] == "$1.5K"
    assert cards(page)["Customers"] == "1"  # those of the home region
    region = figures(page)[0]["data"][0]
    assert region["y"] == ["North"]  # of sales to customers from the North
    assert captions(page).count("✓ ties out] · parts") == 5
    chips = [button for button in page.button if button.key and button.key.startswith("chip_")]
    assert [chip.label.split(" :")[0] for chip in chips] == ["Region: North", "Home region: North"]
    chips[0].click().run()
    assert "pick_region" not in page.query_params


def test_a_comparison_puts_the_change_on_the_cards(filled: Engine) -> None:
    page = dashboard(**{"compare": "Year before", "from": "2023-05-01", "to": "2023-05-31"})
    beside = {metric.label: metric.delta for metric in page.metric}
    assert beside["Total Sales"] == "-100.0 % on May 2022"
    assert beside["Avg Sale per Transaction"] == "no sales"
    assert beside["Customers"] == "sales filters do not apply"


def test_small_amounts_have_labels_that_tell_them(filled: Engine) -> None:
    page = dashboard(region="Unknown")
    assert figures(page)[0]["data"][0]["text"] == ["$49.50"]
