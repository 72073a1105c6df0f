"""What the operator sees of a number's rows, records and of what it leaves out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import trust
from app.actions import triage
from app.cube import Filters
from etl.triage_states import Action, Change
from tests.conftest import Pipeline
from tests.integration.test_repairs import desk, sale
from tests.pages.conftest import Open, words

HOSTILE = "<b>x</b> [y](http://evil.example) $1 :red[z]"


@pytest.fixture
def loaded(pipeline: Pipeline) -> Pipeline:
    """Thirty sales of 10.50 a piece, one of them twice, and three invalid ones."""
    good = [sale(n, quantity=1, region=("North", "South")[n % 2]) for n in range(29)]
    good.append(sale(29, quantity=200, customer_id="C1", region=HOSTILE))
    bad = [
        sale(40, quantity=-2, region="North"),
        sale(41, quantity=-4, region="South", date="never"),
        sale(42, quantity=0, transaction_id=HOSTILE, region=["odd"]),
    ]
    pipeline.land("July sales.json", [*good, sale(3, quantity=1), *bad])
    pipeline.run("sales")
    return pipeline


def plain(at: AppTest) -> str:
    """Return the words of the page without what keeps them from becoming markdown."""
    return words(at).replace("\\", "").replace("\u200b", "")


def frame(at: AppTest, name: str) -> Any:
    """Return the table that has this column."""
    return next(one.value for one in at.dataframe if name in one.value)


def test_without_data_the_page_says_what_brings_it(open_page: Open) -> None:
    at = open_page("explain")
    assert "No data yet" in words(at)


def test_a_number_with_its_rows_and_what_it_leaves_out(loaded: Pipeline, open_page: Open) -> None:
    at = open_page("explain")
    said = words(at)
    assert at.metric[0].value == "$2,404.50"
    assert "30 sales add up to \\$2,404.50; the dashboard shows \\$2,404.50" in said
    assert "ties out" in said
    rows = frame(at, "total_value")
    assert len(rows) == 25
    assert rows.iloc[0].to_dict() == {
        **rows.iloc[0].to_dict(),
        "transaction_id": "T0029",
        "total_value": 2100,
        "file_name": "July sales.json",
        "position": 30,
        "came_by": "file",
    }
    ledger = next(one.value for one in at.dataframe if "together" in one.value.to_string())
    assert ledger["records"].tolist() == [30, 3, 1, 34, 34]
    assert "nothing is missing" in said
    # the next page holds the rest, and the address leads there
    at.button(key="after_next").click().run()
    assert not at.exception
    assert len(frame(at, "total_value")) == 5
    at.button(key="after_first").click().run()
    assert len(frame(at, "total_value")) == 25


def test_filters_of_the_address_hold_everywhere(loaded: Pipeline, open_page: Open) -> None:
    at = open_page("explain", metric="transactions", region="North")
    said = words(at)
    assert at.metric[0].value == "16"
    assert "16 sales counted; the dashboard shows 16" in said
    assert "region North" in said
    left = frame(at, "unreadable")
    assert left[["records", "worth", "unreadable"]].to_numpy().tolist() == [[2, 21, 1]]
    (link,) = [one.proto for one in at.get("page_link") if " open" in one.proto.label]
    assert link.label == ":small[2 open · \\$21]"
    assert link.query_string == "metric=transactions&given_region=North"
    other = open_page("explain", metric="total_sales", region="Nowhere")
    assert not other.exception


def test_a_record_is_shown_as_it_came_with_its_way(loaded: Pipeline, open_page: Open) -> None:
    batch_id = loaded.value("select batch_id from etl.batch")
    text = loaded.value("select record from raw.sales_raw where position = 30")
    at = open_page("explain", batch=batch_id, position=30)
    said = plain(at)
    assert "counted: silver and gold hold this record" in said
    assert any(json.loads(code.value) == json.loads(text) for code in at.code if "{" in code.value)
    for station in ("File", "Raw", "Rules", "Silver", "Gold"):
        assert f"**{station}**" in said
    assert "July sales" in said
    assert "$2,100.00" in said
    markdown = [str(element.value).lower() for element in (*at.caption, *at.markdown)]
    assert any("evil" in one.replace("\u200b", "") for one in markdown)
    assert not any("](http" in one for one in markdown)
    at.button(key="close_record").click().run()
    assert "As received" not in words(at)
    # one that does not count leads to the one that does
    at = open_page("explain", batch=batch_id, position=4)
    assert "not counted" in words(at)
    at.button(key="open_other").click().run()
    assert "Record 31 of batch" in words(at)
    at = open_page("explain", batch=batch_id, position=99)
    assert "raw holds no record at position 99" in plain(at)


@pytest.mark.parametrize(
    "query",
    [
        {"metric": "nonsense", "after": "x~y~z", "item_after": "-1", "batch": "x"},
        {"after": "1e99~T", "reason": "nothing", "position": "9" * 30, "batch": "1"},
        {"after": "12.5~\u0000", "from": "2023-13-01", "home_region": HOSTILE},
        {"metric": "customers", "home_region": HOSTILE, "after": "1.5~x"},
        {"metric": "loyalty_points", "item_after": "9223372036854775807"},
    ],
)
def test_an_odd_address_breaks_nothing(
    loaded: Pipeline, open_page: Open, query: dict[str, str]
) -> None:
    at = open_page("explain", **query)
    assert at.metric[0].value


def test_the_strip_follows_triage(loaded: Pipeline, open_page: Open) -> None:
    open_page("explain")
    every = trust.strip("total_sales", Filters())
    north = trust.strip("total_sales", Filters(regions=("North",)))
    assert (every.open_invalid, every.money, every.unreadable) == (3, 63, 0)
    assert (north.open_invalid, north.money, north.unreadable) == (2, 21, 1)
    assert every.last_good_run == loaded.value("select max(run_id) from etl.run")
    assert every.as_of is not None
    item = loaded.value("select min(quarantine_id) from dq.quarantine")
    wish = Change(action=Action.DISMISS, reason="a test")
    triage.change_record(desk(loaded), item, wish)
    assert trust.strip("total_sales", Filters()).open_invalid == 2
    assert trust.strip("total_sales", Filters(regions=("North",))).money == 0
    triage.change_record(desk(loaded), item, Change(action=Action.REOPEN, reason="again"))
    assert trust.strip("total_sales", Filters()) == every
    loaded.land("more.json", [sale(50, quantity=0, product={"id": "P", "price": 9})])
    loaded.run("sales")
    assert trust.strip("total_sales", Filters()).open_invalid == 4
    assert trust.strip("high_value_sales", Filters()).open_invalid == 0
    assert trust.strip("customers", Filters(regions=("North",))).open_invalid == 0


def test_a_link_sets_the_slicers_and_leaves_out_what_it_cannot_mean(
    loaded: Pipeline, open_page: Open
) -> None:
    at = open_page(
        "explain",
        metric="transactions",
        given_region="North",
        given_product="Nothing",
        given_from="1066-01-01",
        given_to="rubbish",
        given_known_region_only="perhaps",
    )
    assert not at.exception
    assert at.multiselect(key="region").value == ["North"]
    assert at.metric[0].value == "16"
    assert not at.toggle(key="known_region_only").value
