"""What people take home from the dashboard: cells of their kind, and text that stays text."""

from __future__ import annotations

import dataclasses
import datetime as dt
import html.parser
import io
import json
import re
import tomllib
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import python_calamine

from app import tile_export
from app.cube import Filters
from app.periods import Period
from app.report import Picks, Report, Tie
from app.tile_export import About, as_xlsx, html_report, in_words

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\u2028"
FORMULA = '=HYPERLINK("http://evil.example";"x")'
NOW = dt.datetime(2026, 11, 24, 20, 14, tzinfo=dt.timezone(dt.timedelta(hours=1)))
ABOUT = About(data_version=7, as_of=NOW - dt.timedelta(hours=1), made_at=NOW)
DEFINITION = "Sum of quantity × price × (1 − discount) over all sales."


def report(name: str = "North", **changes: Any) -> Report:
    total = Decimal("1250.50")
    regions = [
        {"region": name, "total_sales": Decimal("1000.25"), "transactions": 3},
        {"region": "South", "total_sales": Decimal("250.25"), "transactions": 1},
    ]
    months = [
        {"month": dt.date(2024, month, 1), "total_sales": Decimal(amount), "transactions": 2}
        for month, amount in ((1, "1000.50"), (3, "250.00"))
    ]
    products = [{"product_name": name, "total_sales": Decimal("1200.50"), "transactions": 3}]
    high = [{"region": name, "high_value_sales": Decimal("1000.25"), "high_value_transactions": 1}]
    points = [{"region": name, "loyalty_points": 1200, "customers": 2}]
    given: dict[str, Any] = {
        "kpis": {
            "customers": 2,
            "total_sales": total,
            "sales_ytd": total,
            "average_sale": Decimal("312.625"),
            "high_value_transactions": 1,
            "high_value_sales": Decimal("1000.25"),
            "transactions": 4,
            "loyalty_points": 1200,
        },
        "results": {
            "sales_by_region": regions,
            "monthly_sales": months,
            "loyalty_points_by_region": points,
            "top_products": products,
            "high_value_sales_by_region": high,
        },
        "ties": {
            "sales_by_region": Tie(parts=total, whole=total),
            "monthly_sales": Tie(parts=total, whole=total),
            "loyalty_points_by_region": Tie(parts=1200, whole=1200),
            "top_products": Tie(parts=total, whole=total),
            "high_value_sales_by_region": Tie(parts=Decimal("1000.25"), whole=Decimal("1000.25")),
        },
        "other_sales": Decimal("50.00"),
        "other_products": 2,
        "other_transactions": 1,
        "ytd": Period(start=dt.date(2024, 1, 1), end=dt.date(2024, 3, 31)),
        "filters": Filters(),
        "picks": Picks(),
        "trend": [{"start": row.pop("month"), **row} for row in map(dict, months)],
        "categories": [],
        "monthly": [],
    }
    return Report(**{**given, **changes})


# A workbook -----------------------------------------------------------------------------


def sheets(workbook: bytes) -> dict[str, list[list[Any]]]:
    opened = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(workbook))
    return {name: opened.get_sheet_by_name(name).to_python() for name in opened.sheet_names}


def test_cells_are_of_their_kind() -> None:
    moment = dt.datetime(2024, 2, 3, 13, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    row = {
        "product_name": FORMULA,
        "month": dt.date(2024, 2, 1),
        "total_sales": Decimal("-1234.56"),
        "transactions": 12,
        "day": dt.date(2024, 2, 3),
        "moment": moment,
        "late": True,
        "nothing": None,
        "long_number": Decimal("12345678901234567.89"),
    }
    found = sheets(as_xlsx("T", [row], Filters(), ABOUT, definition=DEFINITION))
    head, cells = found["Data"]
    assert head[:4] == ["Product", "Month", "Total Sales, USD", "Transactions"]
    assert cells == [
        FORMULA,
        dt.date(2024, 2, 1),
        -1234.56,
        12.0,
        dt.date(2024, 2, 3),
        dt.datetime.fromisoformat("2024-02-03T11:30"),
        True,
        "",
        "12345678901234567.89",
    ]


@pytest.mark.parametrize("text", [FORMULA, "+1", "-1", "@x", "\t=1", "http://evil.example"])
def test_text_is_no_formula_and_no_link(text: str) -> None:
    workbook = as_xlsx(text, [{text: text}], Filters(regions=(text,)), ABOUT, definition=text)
    found = sheets(workbook)
    assert found["Data"][1] == [text]
    assert ["Title", text] in found["About"]
    with zipfile.ZipFile(io.BytesIO(workbook)) as parts:
        written = "".join(parts.read(name).decode() for name in parts.namelist())
    assert "<f>" not in written
    assert "<hyperlink " not in written


def test_the_second_sheet_says_what_the_first_is() -> None:
    rows = report().results["sales_by_region"]
    filters = Filters(regions=("North", "South"), start=dt.date(2024, 1, 1))
    about = dict(
        sheets(as_xlsx("Sales by Region", rows, filters, ABOUT, definition=DEFINITION))["About"]
    )
    assert about == {
        "Title": "Sales by Region",
        "Filters": "region North or South · from 2024-01-01",
        "Data version": 7.0,
        "Data as of (UTC)": dt.datetime.fromisoformat("2026-11-24T18:14"),
        "Made (UTC)": dt.datetime.fromisoformat("2026-11-24T19:14"),
        "Definition": DEFINITION,
        "Rows": 2.0,
        "Made by": "Customer Revenue Analytics Platform",
    }


def test_a_tile_without_rows_is_a_workbook_too() -> None:
    found = sheets(as_xlsx("T", [], Filters(), ABOUT, definition=""))
    assert found["Data"] == []
    assert ["Filters", "all sales"] in found["About"]


def test_rows_beyond_a_sheet_are_left_out_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_export, "_SHEET_ROWS", 2)
    rows = [{"region": f"R{n}", "customers": n} for n in range(5)]
    found = sheets(as_xlsx("T", rows, Filters(), ABOUT, definition=""))
    assert len(found["Data"]) == 3
    assert ["Left out", "3 rows that a sheet does not take"] in found["About"]


def test_filters_are_told_in_words() -> None:
    assert in_words(Filters()) == "all sales"
    every = Filters(
        regions=("A",),
        products=("B", "C"),
        categories=("D",),
        start=dt.date(2024, 1, 1),
        end=dt.date(2024, 1, 31),
        known_region_only=True,
    )
    assert in_words(every) == (
        "region A · product B or C · category D · from 2024-01-01 · to 2024-01-31 · "
        "customers with a known home region"
    )


# The page as a file ---------------------------------------------------------------------


class _Reader(html.parser.HTMLParser):
    """What a browser makes of a page: its tags, and its text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def read(shown: Report, filters: Filters | None = None) -> _Reader:
    return _Reader(
        html_report(dataclasses.replace(shown, filters=filters or Filters()), ABOUT).decode()
    )


def figures(page: _Reader) -> dict[str, Any]:
    """Return what the last script draws."""
    [found] = re.findall(r"const figures = (.*);\nconst config", page.scripts[-1])
    drawn: dict[str, Any] = json.loads(found)
    return drawn


def test_the_page_holds_every_number_with_where_it_comes_from() -> None:
    page = read(report(), Filters(categories=("Office",)))
    for words in (
        "Revenue & Customer Insights",
        "category Office data of 24 Nov 2026, 18:14 UTC data version 7",
        "Total Sales $1.25K exactly $1,250.50 Sum of quantity × price × (1 − discount)",
        "Customers 2 Known customers.",
        "Best month Jan 2024 $1K",
        "North $1,000.25 3",
        "Feb 2024 $0.00 0",
        "All others (2) $50.00 1",
        "ties out ✓ parts $1,250.50 = Total Sales $1,250.50",
        "Top 5 means five. The original had no limit.",
        "made 24 Nov 2026, 19:14 UTC",
    ):
        assert words in page.text, words
    assert set(figures(page)) == {
        "sales_by_region",
        "monthly_sales",
        "loyalty_points_by_region",
        "top_products",
        "high_value_sales_by_region",
    }
    assert [tag for tag, _ in page.tags].count("table") == 5


def test_text_from_data_stays_text() -> None:
    plain, hostile = read(report()), read(report(HOSTILE), Filters(products=(HOSTILE,)))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert HOSTILE.replace("\u2028", "").strip() in hostile.text
    assert f"product {HOSTILE}".replace("\u2028", "") in hostile.text
    assert len(hostile.scripts) == len(plain.scripts) == 2
    bar = figures(hostile)["sales_by_region"]["data"][0]
    assert bar["y"][0].startswith("&lt;/script&gt;")  # Plotly reads markup in every text


def test_the_page_asks_nobody_and_is_not_too_large() -> None:
    content = html_report(report(), ABOUT)
    assert 4_000_000 < len(content) < 6_000_000
    page = _Reader(content.decode())
    asks = {"src", "href", "srcset", "action", "data", "poster"}
    assert [(tag, found) for tag, found in page.tags if asks & set(found)] == []
    [policy] = [found["content"] for tag, found in page.tags if "http-equiv" in found]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    style = content.decode().partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_an_empty_selection_and_a_broken_tie_are_said() -> None:
    shown = report()
    broken = Tie(parts=Decimal(1), whole=Decimal(2))
    nothing = Tie(parts=Decimal(), whole=Decimal())
    page = read(
        report(
            results={**shown.results, "monthly_sales": []},
            ties={**shown.ties, "monthly_sales": nothing, "sales_by_region": broken},
        )
    )
    assert "Monthly Sales Trend Nothing in this selection." in page.text
    assert "does not tie out ✗ parts $1.00, Total Sales $2.00" in page.text
    assert "monthly_sales" not in figures(page)


def test_its_colours_are_those_of_the_light_theme() -> None:
    config = tomllib.loads(
        (Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    )
    drawn = figures(read(report()))["sales_by_region"]
    assert drawn["layout"]["colorway"] == config["theme"]["light"]["chartCategoricalColors"]
    assert drawn["layout"]["paper_bgcolor"] == "#FFFFFF"
