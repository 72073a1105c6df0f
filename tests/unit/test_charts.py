"""What the figures hold: amounts, labels, and text from data that stays text."""

from __future__ import annotations

import datetime as dt
import json
import re
from base64 import b64decode
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go
import pytest

from app import charts

HOSTILE = "<b>Bold</b> & <a href='javascript:alert(1)'>x</a>"


def regions(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"region": name, "total_sales": Decimal(amount), "transactions": 3}
        for name, amount in pairs
    ]


def high(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"region": name, "high_value_sales": Decimal(amount), "high_value_transactions": 1}
        for name, amount in pairs
    ]


def months(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "start": dt.date.fromisoformat(f"{month}-01"),
            "total_sales": Decimal(amount),
            "transactions": 1,
        }
        for month, amount in pairs
    ]


def points(*pairs: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"region": name, "loyalty_points": count, "customers": 2} for name, count in pairs]


def trace(figure: go.Figure) -> Any:
    assert len(figure.data) == 1
    return figure.data[0]


def test_bars_are_in_order_with_labels_in_thousands_and_exact_hovers() -> None:
    figure = charts.sales_by_region(regions(("North", "345678.90"), ("Unknown", "8949.99")))
    bar = trace(figure)
    assert bar.orientation == "h"
    assert bar.y == ("North", "Unknown")
    assert bar.x == (345678.90, 8949.99)
    assert bar.text == ("$346K", "$8.9K")
    assert bar.hovertext[0] == "<b>North</b><br>$345,678.90<br>3 sales"
    assert figure.layout.yaxis.autorange == "reversed"  # the first, largest, on top
    assert figure.layout.height == charts.HEIGHT


def test_columns_stand_upright() -> None:
    bar = trace(charts.high_value_sales(high(("South", "2500"), ("West", "1000.01"))))
    assert bar.orientation == "v"
    assert bar.x == ("South", "West")
    assert bar.y == (2500.0, 1000.01)
    assert bar.text == ("$2.5K", "$1K")


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "$0"), ("60", "$60.00"), ("9999999.99", "$10,000K"), ("10000000", "$10M")],
)
def test_the_unit_follows_the_largest_amount(amount: str, text: str) -> None:
    rows = regions(("North", amount))
    assert charts.label(Decimal(amount), *charts.unit(rows, "total_sales")) == text


def test_the_line_has_a_marker_a_month_and_no_gap() -> None:
    figure = charts.sales_over_time(months(("2023-01", "73000"), ("2023-03", "35000.50")))
    line = trace(figure)
    assert line.mode == "lines+markers+text"
    assert line.x == (dt.date(2023, 1, 1), dt.date(2023, 2, 1), dt.date(2023, 3, 1))
    assert line.y == (73000.0, 0.0, 35000.5)
    assert line.text == ("$73K", "$0", "$35K")
    assert line.hovertext[2] == "<b>Mar 2023</b><br>$35,000.50<br>1 sales"
    assert figure.layout.yaxis.range[0] == 0


def test_many_months_are_labelled_where_they_stand_out() -> None:
    rows = months(*((f"{2020 + i // 12}-{i % 12 + 1:02}", str(1000 * (i + 1))) for i in range(36)))
    line = trace(charts.sales_over_time(rows))
    assert [place for place, text in enumerate(line.text) if text] == [0, 35]


def test_labels_of_the_line_keep_out_of_its_way() -> None:
    line = trace(
        charts.sales_over_time(
            months(("2023-01", "10"), ("2023-02", "20"), ("2023-03", "30"), ("2023-04", "25"),
                   ("2023-05", "12"), ("2023-06", "22"))
        )
    )  # fmt: skip
    assert line.textposition == (
        "bottom center", "top left", "top center", "top right", "bottom center", "top center",
    )  # fmt: skip


def test_the_ring_shares_out_points() -> None:
    figure = charts.loyalty_points(
        points(("North", 600), ("East", 300), ("South", 99), ("West", 1)), ("East",)
    )
    *slices, labels = figure.data
    assert [one.name for one in slices] == ["North", "East", "South", "West"]
    assert [one.width[0] for one in slices] == pytest.approx([216, 108, 35.64, 0.36])
    assert [one.theta[0] for one in slices] == pytest.approx([108, 270, 341.82, 359.82])
    assert [one.marker.opacity for one in slices] == [0.3, 1, 0.3, 0.3]
    assert slices[0].hovertext == "<b>North</b><br>600 points<br>2 customers"
    # outside the ring, beside their slices; that of the West would stand on its neighbour's
    assert labels.text == ("60.0%", "30.0%", "9.9%")
    assert labels.textposition == ("middle right", "middle left", "top center")
    assert figure.layout.annotations[0].text == "<b>1,000</b><br>points"
    assert figure.layout.legend.orientation == "h"


def test_what_is_too_much_for_the_ring_is_one_slice_that_picks_nothing() -> None:
    figure = charts.loyalty_points(points(*((f"R{n}", 10) for n in range(8))))
    *slices, _ = figure.data
    assert [one.customdata[0] for one in slices] == ["R0", "R1", "R2", "R3", "R4", None]
    assert slices[-1].width == (135.0,)


def test_a_sparkline_reaches_from_the_bottom_to_the_top() -> None:
    shown = charts.sparkline((0.0, 5.0, 10.0), "Sales by month")
    assert 'alt="Sales by month"' in shown
    [drawn] = re.findall('base64,([^"]+)', shown)
    assert 'points="0.0,34.0 80.0,18.0 160.0,2.0"' in b64decode(drawn).decode()


@pytest.mark.parametrize(
    "figure",
    [
        charts.sales_by_region(regions((HOSTILE, "5"))),
        charts.high_value_sales(high((HOSTILE, "5"))),
        charts.loyalty_points(points((HOSTILE, 5))),
    ],
)
def test_text_from_data_is_escaped(figure: go.Figure) -> None:
    figure.update_traces(customdata=None)  # what a click picks; Plotly shows it nowhere
    text = json.dumps(figure.to_plotly_json(), default=list)
    assert "<a " not in text
    assert "<b>Bold" not in text
    assert "&lt;b&gt;Bold&lt;/b&gt;" in text


def test_long_names_are_cut_and_stay_apart() -> None:
    figure = charts.sales_by_region(regions(("A" * 99 + "B", "5"), ("A" * 99 + "C", "4")))
    assert trace(figure).y == ("A" * 99 + "B", "A" * 99 + "C")
    shown = figure.layout.yaxis.ticktext
    assert len(set(shown)) == 2
    assert all(len(text) <= 22 and text.endswith("…") for text in shown)
    *slices, _ = charts.loyalty_points(points(("A" * 99 + "B", 5), ("A" * 99 + "C", 4))).data
    assert len({one.name for one in slices}) == 2


def test_names_that_look_like_numbers_stay_names() -> None:
    figure = charts.sales_by_region(regions(("2023", "5"), ("1e3", "4")))
    assert figure.layout.yaxis.type == "category"
    assert trace(figure).y == ("2023", "1e3")


def test_what_is_beyond_the_chart_is_added_up() -> None:
    rows = regions(*((f"R{place:02}", str(100 - place)) for place in range(15)))
    bar = trace(charts.sales_by_region(rows))
    assert len(bar.y) == charts.BARS
    assert bar.y[-1] == "Others (6)"
    assert sum(bar.x) == float(sum(row["total_sales"] for row in rows))


def test_nothing_is_a_figure_too() -> None:
    for draw in (
        charts.sales_by_region,
        charts.sales_over_time,
        charts.loyalty_points,
        charts.high_value_sales,
    ):
        assert draw([]).layout.height == charts.HEIGHT


def test_colours_are_left_to_the_theme() -> None:
    figures = (
        charts.sales_by_region(regions(("North", "5"))),
        charts.sales_over_time(months(("2023-01", "5"))),
        charts.loyalty_points(points(("North", 5))),
    )
    for figure in figures:
        assert "color" not in json.dumps(figure.to_plotly_json()["data"], default=str)


RUN = {
    "run_id": 7,
    "status": "warned",
    "seconds": 2.5,
    "read_records": 1_000,
    "valid_records": 900,
    "invalid_records": 100,
    "superseded_records": 0,
    "inserted_rows": 850,
    "updated_rows": 0,
    "unchanged_rows": 50,
}


def test_the_flow_of_records_adds_up_and_leaves_empty_ways_out() -> None:
    [flow] = charts.record_flow(RUN).data
    assert list(flow.node.label) == [
        "Read 1,000",
        "Valid 900",
        "Invalid 100",
        "Inserted 850",
        "Unchanged 50",
    ]
    ways = list(zip(flow.link.source, flow.link.target, flow.link.value, strict=True))
    assert ways == [(0, 1, 900), (0, 2, 100), (1, 3, 850), (1, 4, 50)]
    for node, count in ((0, 1_000), (1, 900)):
        assert sum(value for source, _, value in ways if source == node) == count


def test_the_timeline_places_steps_after_each_other() -> None:
    bars = [
        charts.Bar(name="Extract", start=0.0, seconds=4.0, words="<b>x</b>", colour="#2F8F5B"),
        charts.Bar(name="Load", start=0.5, seconds=12.0, words="running", colour="#3B6FD4"),
    ]
    figure = charts.run_timeline(bars)
    [bar] = figure.data
    assert list(bar.base) == [0.0, 0.5]
    assert list(bar.text) == ["4.00 s", "12 s"]
    assert "&lt;b&gt;x" in bar.hovertext[0]
    assert figure.layout.xaxis.range[1] > 12.5
    assert charts.run_timeline([]).layout.xaxis.range[1] == 1


def test_trends_hold_every_run() -> None:
    runs = [RUN, {**RUN, "run_id": 8, "status": "failed", "seconds": 80.0}]
    [bar] = charts.run_durations(runs, {"warned": "#B7791F", "failed": "#C8372D"}).data
    assert list(bar.x) == ["#7", "#8"]
    assert list(bar.marker.color) == ["#B7791F", "#C8372D"]
    good, bad = charts.run_volumes(runs).data
    assert list(good.y) == [900, 900]
    assert list(bad.y) == [100, 100]


def test_changes_of_money_have_a_side_and_exact_hovers() -> None:
    groups = [(HOSTILE, Decimal("-1234.5")), ("North", Decimal("0.1"))]
    across = charts.money_changes(groups, "USD", orientation="h").data[0]
    assert list(across.x) == [-1234.5, 0.1]
    assert across.hovertext[1] == "<b>North</b><br>+0.10 USD"
    assert len(set(across.marker.color)) == 2
    upright = charts.money_changes(groups, "USD", orientation="v")
    assert list(upright.data[0].y) == [-1234.5, 0.1]
    assert "<a" not in str(upright.to_plotly_json())


def test_a_chart_is_taken_home_as_a_picture_named_after_it() -> None:
    config = charts.chart_config("sales_by_region", "Sales by Region (K) / <2024>")
    assert config["modeBarButtons"] == [["toImage"]]
    assert config["displayModeBar"] is True
    picture = config["toImageButtonOptions"]
    assert picture == {"filename": "sales_by_region_k_2024", "format": "png", "scale": 2}
    assert charts.chart_config("x", "売上")["toImageButtonOptions"]["filename"] == "x"
    assert len(charts.chart_config("x", "a" * 500)["toImageButtonOptions"]["filename"]) == 80
