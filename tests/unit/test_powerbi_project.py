"""The project as it is checked in, exported and zipped."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import cli
from app.metrics import METRICS
from app.powerbi import __main__ as regenerate
from app.powerbi import gold, lint, model, project, report, source, tmdl_reader
from app.powerbi.source import Mode, Source
from etl import settings as settings_module
from etl.errors import RevenueError, SettingsError

# POWERBI.md, section 1: x, y and what stands there
ORIGINAL = {
    "Revenue & Customer Insights Dashboard": ("textbox", 0, 0, 1280, 48),
    "Region": ("slicer", 0, 48, None, None),
    "Product Name": ("slicer", 322, 48, None, None),
    "Product Category": ("slicer", 631, 48, None, None),
    "Period": ("slicer", 940, 48, None, None),
    "Customers": ("card", 12, 135, None, None),
    "Total Sales": ("card", 265, 135, None, None),
    "Sales YTD": ("card", 518, 135, None, None),
    "Avg Sale per Transaction": ("card", 772, 135, None, None),
    "High Value Transactions": ("card", 1027, 135, None, None),
    "Sales by Region (K)": ("clusteredBarChart", 12, 268, 410, 215),
    "Monthly Sales Trend": ("lineChart", 435, 268, 837, 215),
    "Loyalty Points Distribution by Region": ("donutChart", 12, 493, 410, 222),
    "Top 5 Products by Revenue": ("tableEx", 435, 493, 410, 222),
    "High-Value Sales by Region": ("clusteredColumnChart", 859, 493, 413, 222),
}


def test_what_is_checked_in_is_what_is_generated() -> None:
    checked_in = project.read(regenerate.FOLDER)
    generated = project.files(Source())
    assert list(checked_in) == list(generated), "`make powerbi` writes it"
    for path, content in generated.items():
        assert checked_in[path] == content, f"{path} is out of date; `make powerbi` writes it"


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    of = Source(host="db.example.com", port=6000, database="sales", mode=Mode.DIRECT_QUERY)
    project.write(tmp_path / "one", of)
    project.write(tmp_path / "two", of)
    assert project.read(tmp_path / "one") == project.read(tmp_path / "two") == project.files(of)
    assert project.project_zip(of) == project.project_zip(of)


def test_the_zip_is_the_project_in_one_folder() -> None:
    with zipfile.ZipFile(io.BytesIO(project.project_zip(Source()))) as archive:
        assert archive.testzip() is None
        held = {
            name.removeprefix(f"{model.NAME}/"): archive.read(name) for name in archive.namelist()
        }
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
    assert held == project.files(Source())


def test_the_page_is_that_of_the_original() -> None:
    made = {one.title: (one.kind, *one.place) for one in report.visuals()}
    assert made.keys() == ORIGINAL.keys()
    for title, wanted in ORIGINAL.items():
        assert all(
            there == expected
            for there, expected in zip(made[title], wanted, strict=True)
            if expected is not None
        ), title


def test_no_visual_covers_another() -> None:
    places = {one.title: one.place for one in report.visuals()}
    for title, (x, y, width, height) in places.items():
        for other, (x2, y2, width2, height2) in places.items():
            if title != other:
                apart = x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y
                assert apart, f"{title} and {other}"


def content(title: str) -> dict[str, Any]:
    (visual,) = (one for one in report.visuals() if one.title == title)
    made: dict[str, Any] = report.files()[f"pages/{report.PAGE}/visuals/{visual.name}/visual.json"]
    return made


def shown(title: str) -> list[str]:
    return [
        projection["queryRef"]
        for role in content(title)["visual"]["query"]["queryState"].values()
        for projection in role["projections"]
    ]


def test_the_defects_of_the_original_are_gone() -> None:
    # the donut sums points, and sales by region are by the region of the sale
    assert shown("Loyalty Points Distribution by Region") == [
        "customers.region",
        "transactions.Total Loyalty Points",
    ]
    assert shown("Sales by Region (K)") == ["transactions.region", "transactions.Total Sales"]
    # a period reaches Sales YTD through the calendar
    assert shown("Period") == ["dim_date.date"]
    assert model.build().relationships[-1] == model.Relationship(
        table="transactions",
        column="transaction_date",
        to_table="dim_date",
        to_column="date",
        is_enforced=False,
    )
    # Top 5 is five
    (kept,) = content("Top 5 Products by Revenue")["filterConfig"]["filters"]
    query = kept["filter"]["From"][0]["Expression"]["Subquery"]["Query"]
    assert (kept["type"], query["Top"]) == ("TopN", 5)
    # what the sales slicers do not reach says so
    for title in ("Customers", "Loyalty Points Distribution by Region"):
        note = content(title)["visual"]["visualContainerObjects"]["subTitle"]
        assert "Not filtered by the sales slicers" in json.dumps(note)


def test_every_metric_is_a_measure_with_its_words() -> None:
    path = f"{project.SEMANTIC_MODEL}/definition/tables/{model.MEASURES_HOME}.tmdl"
    (table,) = tmdl_reader.parse(project.files(Source())[path].decode())
    assert [
        (one.name, one.expression, one.description, one.properties["formatString"])
        for one in table.all("measure")
    ] == [
        (
            metric.title,
            metric.dax,
            metric.description,
            "#,0" if metric.format == "whole" else r"\$#,0.00",
        )
        for metric in METRICS
    ]


def test_modes_differ_where_they_must() -> None:
    both = [project.files(Source(mode=mode)) for mode in Mode]
    differing = {path for path in both[0] if both[0][path] != both[1][path]}
    definition = f"{project.SEMANTIC_MODEL}/definition"
    assert differing == {
        project.PBIDS,
        f"{definition}/relationships.tmdl",
        *(f"{definition}/tables/{name}.tmdl" for name in gold.tables()),
    }
    assert both[1][f"{definition}/relationships.tmdl"].count(b"relyOnReferentialIntegrity") == 2


def test_the_connection_file_names_one_source_and_no_account() -> None:
    of = Source(host="db.example.com", port=6000, database="sales", mode=Mode.DIRECT_QUERY)
    assert json.loads(source.pbids(of)) == {
        "version": "0.1",
        "connections": [
            {
                "details": {
                    "protocol": "postgresql",
                    "address": {"server": "db.example.com:6000", "database": "sales"},
                },
                "options": {},
                "mode": "DirectQuery",
            }
        ],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"host": 'db", Evil("'},
        {"host": "db:5432"},
        {"host": "me:word@db"},
        {"port": 0},
        {"port": 65536},
        {"database": ""},
        {"database": "a\nb"},
        {"database": "a" * 64},
    ],
    ids=str,
)
def test_what_is_no_source_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Source(**wrong)


@pytest.mark.parametrize(
    ("url", "server", "database"),
    [
        ("postgresql://me:hush@db.example.com/sales", "db.example.com:5432", "sales"),
        ("postgresql://me:hush@10.0.0.7:6000/sales", "10.0.0.7:6000", "sales"),
        ("postgresql://me:hush@[::1]:6000/sales", "[::1]:6000", "sales"),
        ("postgresql:///sales", "localhost:5432", "sales"),
    ],
)
def test_the_configured_database_is_the_source(url: str, server: str, database: str) -> None:
    of = source.configured(settings_module.load(database_url=url))
    assert (of.server, of.database) == (server, database)
    assert not any(b"hush" in content for content in project.files(of).values())


def test_options_replace_what_is_configured() -> None:
    settings = settings_module.load(database_url="postgresql://me:hush@db/sales")
    of = source.configured(settings, host="other", port=1, database="copy", mode=Mode.DIRECT_QUERY)
    assert of == Source(host="other", port=1, database="copy", mode=Mode.DIRECT_QUERY)


def test_the_embedded_server_keeps_its_port(tmp_path: Path) -> None:
    settings = settings_module.load(database_url="embedded:", home=tmp_path)
    with pytest.raises(SettingsError, match="--port"):
        source.configured(settings)
    settings.database.mkdir()
    (settings.database / "port").write_text("49999")
    assert source.configured(settings).server == "127.0.0.1:49999"
    asked = settings_module.load(database_url="embedded:", home=tmp_path, database_port=5433)
    assert source.configured(asked).server == "127.0.0.1:5433"


def test_the_command_writes_a_clean_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVENUE_DATABASE_URL", "postgresql://me:hush@db.example.com:6000/sales")
    done = CliRunner().invoke(
        cli, ["powerbi", "export", str(tmp_path / "out"), "--mode", "directquery", "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.output) == {
        "path": str(tmp_path / "out" / "CustomerRevenue.pbip"),
        "files": len(project.files(Source())),
        "server": "db.example.com:6000",
        "database": "sales",
        "mode": "directquery",
    }
    assert lint.lint(project.read(tmp_path / "out")) == []


def test_nobodys_edits_are_overwritten(tmp_path: Path) -> None:
    project.write(tmp_path, Source())
    edited = tmp_path / project.PBIP
    edited.write_text("mine")
    with pytest.raises(RevenueError, match="not an empty folder"):
        project.write(tmp_path, Source())
    assert edited.read_text() == "mine"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RevenueError, match="not an empty folder"):
        project.write(tmp_path / "file", Source())
    with pytest.raises(RevenueError, match="cannot be written"):
        project.write(tmp_path / "file" / "below", Source())


def test_writing_anew_leaves_no_stale_visual(tmp_path: Path) -> None:
    project.write(tmp_path, Source())
    stale = tmp_path / project.REPORT / "definition" / "pages" / "old" / "page.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    project.write(tmp_path, Source(), anew=True)
    assert project.read(tmp_path) == project.files(Source())
