"""The linter: clean on the real project, and one seeded fault is one named finding."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from app.powerbi import lint, project, report, tmdl_reader
from app.powerbi.source import Mode, Source

Files = dict[str, bytes]
Edit = Callable[[Files], None]

REPORT = f"{project.REPORT}/definition"
MODEL = f"{project.SEMANTIC_MODEL}/definition"
SALES = f"{MODEL}/tables/transactions.tmdl"
CUSTOMERS = f"{MODEL}/tables/customers.tmdl"
PRODUCTS = f"{MODEL}/tables/products.tmdl"
CALENDAR = f"{MODEL}/tables/dim_date.tmdl"
RELATIONSHIPS = f"{MODEL}/relationships.tmdl"
EXPRESSIONS = f"{MODEL}/expressions.tmdl"
PBIR = f"{project.REPORT}/definition.pbir"
THEME = f"{project.REPORT}/StaticResources/RegisteredResources/{report.THEME_FILE}"
PAGE = f"{REPORT}/pages/{report.PAGE}/page.json"
PAGES = f"{REPORT}/pages/pages.json"


def visual(title: str) -> str:
    (found,) = (one for one in report.visuals() if one.title == title)
    return f"{REPORT}/pages/{report.PAGE}/visuals/{found.name}/visual.json"


BAR = visual("Sales by Region (K)")
LINE = visual("Monthly Sales Trend")
DONUT = visual("Loyalty Points Distribution by Region")
TOP = visual("Top 5 Products by Revenue")
CARD = visual("Total Sales")


def swap(path: str, old: str, new: str, *, times: int = -1) -> Edit:
    def edit(files: Files) -> None:
        assert old.encode() in files[path], f"{old!r} is not in {path}"
        files[path] = files[path].replace(old.encode(), new.encode(), times)

    return edit


def drop(path: str) -> Edit:
    return lambda files: files.__delitem__(path)


def add(path: str, content: str) -> Edit:
    return lambda files: files.__setitem__(path, content.encode())


def move(old: str, new: str) -> Edit:
    """Rename every path that begins with `old`."""

    def edit(files: Files) -> None:
        for path in [path for path in files if path.startswith(old)]:
            files[new + path.removeprefix(old)] = files.pop(path)

    return edit


def cut(path: str, start: str, end: str = "\n\n") -> Edit:
    """Take out the text from `start` up to `end`, which stays."""

    def edit(files: Files) -> None:
        text = files[path].decode()
        before, found, rest = text.partition(start)
        assert found, f"{start!r} is not in {path}"
        files[path] = (before + rest[rest.index(end) :]).encode()

    return edit


def together(*edits: Edit) -> Edit:
    def edit(files: Files) -> None:
        for one in edits:
            one(files)

    return edit


def sort_by_year(files: Files) -> None:
    content = json.loads(files[LINE])
    (sort,) = content["visual"]["query"]["sortDefinition"]["sort"]
    sort["field"]["Column"]["Property"] = "year"
    files[LINE] = (json.dumps(content, indent=2) + "\n").encode()


@dataclass(frozen=True, kw_only=True)
class Fault:
    edit: Edit
    file: str  # the finding's file
    says: tuple[str, ...]  # what its message has in it
    mode: Mode = Mode.IMPORT


def fault(edit: Edit, file: str, *says: str, mode: Mode = Mode.IMPORT) -> Fault:
    return Fault(edit=edit, file=file, says=says, mode=mode)


YTD_CARD = visual("Sales YTD")
LATER_CARD = max(CARD, YTD_CARD)  # files are read in the order of their paths
BAR_NAME = BAR.split("/")[-2]
ID_OF_TOTAL = "lineageTag: 60da38a1-f9c7-5193-836d-02fd304ed806"
ITEM_IDS = [
    project.files(Source())[f"{part}/.platform"].decode().split('"logicalId": "')[1][:36]
    for part in (project.REPORT, project.SEMANTIC_MODEL)
]

FAULTS = {
    # files
    "report without .platform": fault(
        drop(f"{project.REPORT}/.platform"), f"{project.REPORT}/.platform", "missing"
    ),
    "model without .platform": fault(
        drop(f"{project.SEMANTIC_MODEL}/.platform"),
        f"{project.SEMANTIC_MODEL}/.platform",
        "missing",
    ),
    "no definition.pbir": fault(drop(PBIR), PBIR, "missing"),
    "no pages.json": fault(drop(PAGES), PAGES, "missing"),
    "no database.tmdl": fault(drop(f"{MODEL}/database.tmdl"), f"{MODEL}/database.tmdl", "missing"),
    "a stray file": fault(add(f"{MODEL}/notes.txt", "hello\n"), f"{MODEL}/notes.txt", "no project"),
    "a local cache": fault(
        add(f"{project.SEMANTIC_MODEL}/.pbi/localSettings.json", "{}\n"),
        f"{project.SEMANTIC_MODEL}/.pbi/localSettings.json",
        "no project",
    ),
    "JSON with a trailing comma": fault(swap(PAGES, "],", "],,"), PAGES, "not JSON"),
    "a key that stands there twice": fault(
        swap(PAGE, '"height": 720,', '"height": 720,\n  "height": 700,'), PAGE, "height", "twice"
    ),
    "JSON without a last newline": fault(swap(PAGE, "}\n", "}"), PAGE, "one newline"),
    "TMDL without a blank last line": fault(
        lambda files: files.__setitem__(SALES, files[SALES].rstrip() + b"\n"), SALES, "blank line"
    ),
    "TMDL with two blank last lines": fault(
        lambda files: files.__setitem__(SALES, files[SALES] + b"\n"), SALES, "one blank line"
    ),
    "Windows line ends": fault(swap(EXPRESSIONS, "\n", "\r\n"), EXPRESSIONS, "Windows"),
    "a byte-order mark": fault(swap(PAGES, "{", "\ufeff{", times=1), PAGES, "byte-order"),
    "bytes that are no text": fault(
        lambda files: files.__setitem__(PAGES, b"\xff\xfe"), PAGES, "UTF-8"
    ),
    "a password": fault(
        swap(
            CUSTOMERS,
            "PostgreSQL.Database(Server, Database)",
            'PostgreSQL.Database(Server, Database, [Password="x"])',
        ),
        CUSTOMERS,
        "credential",
        "Password",
    ),
    "a URL with an account": fault(
        swap(EXPRESSIONS, "localhost:5432", "postgresql://me:word@localhost"),
        EXPRESSIONS,
        "credential",
    ),
    "an absolute path of Windows": fault(
        swap(PBIR, "../CustomerRevenue.SemanticModel", "C:\\\\reports\\\\Model"),
        PBIR,
        "absolute path",
    ),
    "an absolute path of Unix": fault(
        swap(PBIR, "../CustomerRevenue.SemanticModel", "/home/me/Model"), PBIR, "absolute path"
    ),
    # pbip, pbir, platform, pbism, pbids
    "a model among the artifacts": fault(
        swap(project.PBIP, '"report": {', '"semanticModel": {"path": "x"},\n      "report": {'),
        project.PBIP,
        "semanticModel",
    ),
    "a report path that leads nowhere": fault(
        swap(project.PBIP, '"CustomerRevenue.Report"', '"Revenue.Report"'),
        project.PBIP,
        "Revenue.Report",
    ),
    "byPath null": fault(
        swap(PBIR, '{\n      "path": "../CustomerRevenue.SemanticModel"\n    }', "null"),
        PBIR,
        "byPath",
        "null",
    ),
    "byPath that leads nowhere": fault(
        swap(PBIR, "../CustomerRevenue.SemanticModel", "../Other.SemanticModel"), PBIR, "../Other"
    ),
    "an old version of definition.pbir": fault(
        swap(PBIR, '"version": "4.0"', '"version": "1.0"'), PBIR, "version", "1.0"
    ),
    "a .platform of another type": fault(
        swap(f"{project.REPORT}/.platform", '"Report"', '"SemanticModel"'),
        f"{project.REPORT}/.platform",
        "type",
    ),
    "two items with one logicalId": fault(
        swap(f"{project.SEMANTIC_MODEL}/.platform", ITEM_IDS[1], ITEM_IDS[0]),
        f"{project.SEMANTIC_MODEL}/.platform",
        ITEM_IDS[0],
    ),
    "a .pbism for TMSL": fault(
        swap(f"{project.SEMANTIC_MODEL}/definition.pbism", '"4.0"', '"1.0"'),
        f"{project.SEMANTIC_MODEL}/definition.pbism",
        "version",
    ),
    "a .pbids of another database": fault(
        swap(project.PBIDS, '"revenue"', '"other"'), project.PBIDS, "database", "other"
    ),
    "a .pbids of another mode": fault(
        swap(project.PBIDS, '"Import"', '"DirectQuery"'), project.PBIDS, "mode", "DirectQuery"
    ),
    "a .pbids of another protocol": fault(
        swap(project.PBIDS, '"postgresql"', '"tds"'), project.PBIDS, "protocol", "tds"
    ),
    # model
    "TMDL with spaces": fault(
        swap(CUSTOMERS, "\t\tdataType: string", "        dataType: string", times=1),
        CUSTOMERS,
        "line 7",
        "spaces",
    ),
    "an unknown property": fault(
        swap(CUSTOMERS, "\t\tsummarizeBy: none", "\t\tsumarizeBy: none", times=1),
        CUSTOMERS,
        "customer_id",
        "sumarizeBy",
    ),
    "an expression one tab too shallow": fault(
        swap(SALES, "\t\t\tSUM(", "\t\tSUM("), SALES, "two tabs deeper"
    ),
    "another compatibility level": fault(
        swap(f"{MODEL}/database.tmdl", "1601", "1500"), f"{MODEL}/database.tmdl", "1500"
    ),
    "a fifth table": fault(
        together(
            add(
                f"{MODEL}/tables/extra.tmdl",
                "/// More\ntable extra\n\tlineageTag: 00000000-0000-5000-8000-000000000001\n\n",
            ),
            swap(
                f"{MODEL}/model.tmdl",
                "ref table products\n",
                "ref table products\nref table extra\n",
            ),
        ),
        f"{MODEL}/tables/extra.tmdl",
        "extra",
        "none of the gold tables",
    ),
    "a table that the model does not refer to": fault(
        swap(f"{MODEL}/model.tmdl", "ref table products\n", ""),
        f"{MODEL}/model.tmdl",
        "ref table products",
    ),
    "a reference to a role that is not there": fault(
        swap(f"{MODEL}/model.tmdl", "ref role reader", "ref role writer"),
        f"{MODEL}/model.tmdl",
        "ref role writer",
    ),
    "a role that may do nothing": fault(
        swap(f"{MODEL}/roles/reader.tmdl", "read\n", "none\n"),
        f"{MODEL}/roles/reader.tmdl",
        "role reader",
    ),
    "two lineage tags that are one": fault(
        swap(SALES, "lineageTag: f7ae09f6-746e-518f-8820-2d6c52336a77", ID_OF_TOTAL),
        SALES,
        "Total Sales",
        "lineage tag",
    ),
    "a lineage tag that is no UUID": fault(
        swap(SALES, ID_OF_TOTAL, "lineageTag: total-sales"), SALES, "Total Sales", "no UUID"
    ),
    "a column that the database has not": fault(
        swap(CUSTOMERS, "customer_name", "full_name"), CUSTOMERS, "full_name"
    ),
    "a column left out": fault(
        cut(CUSTOMERS, "\t/// E-mail", "\t/// "), CUSTOMERS, "email", "missing"
    ),
    "a type that does not fit": fault(
        swap(SALES, "dataType: decimal", "dataType: string", times=1),
        SALES,
        "price",
        "numeric(12,2)",
    ),
    "a column that reads another": fault(
        swap(CUSTOMERS, "sourceColumn: region", "sourceColumn: email"), CUSTOMERS, "region", "email"
    ),
    "a description of our own": fault(
        swap(PRODUCTS, "/// Product key", "/// The key"), PRODUCTS, "product_id", "comment"
    ),
    "no description of a measure": fault(
        swap(SALES, "\t/// Number of sales.\n", ""), SALES, "measure Transactions", "description"
    ),
    "two columns of one name": fault(
        swap(CUSTOMERS, "\tcolumn email\n", "\tcolumn region\n"), CUSTOMERS, "region", "already"
    ),
    "sorted by a column that is not there": fault(
        swap(CALENDAR, "sortByColumn: weekday", "sortByColumn: day_of_week"),
        CALENDAR,
        "weekday_name",
        "day_of_week",
    ),
    "DAX of a column that is not there": fault(
        swap(SALES, "AVERAGE('transactions'[total_value])", "AVERAGE('transactions'[total])"),
        SALES,
        "Avg Sale per Transaction",
        "[total]",
    ),
    "DAX of a table that is not there": fault(
        swap(SALES, "'dim_date'[date]", "'Date'[date]"), SALES, "Sales YTD", "'Date'"
    ),
    "DAX of a measure that is not there": fault(
        swap(SALES, "CALCULATE([Total Sales]", "CALCULATE([Sales]"),
        SALES,
        "High Value Sales",
        "[Sales]",
    ),
    "DAX with a parenthesis too few": fault(
        swap(
            SALES,
            "COUNT('transactions'[transaction_id])\n",
            "COUNT('transactions'[transaction_id]\n",
        ),
        SALES,
        "measure Transactions",
        "parentheses",
    ),
    "DAX with a function that is none": fault(
        swap(SALES, "TOTALYTD(", "YEARTODATE("), SALES, "Sales YTD", "YEARTODATE"
    ),
    "DAX that is not the catalogue's": fault(
        swap(SALES, "'transactions'[total_value] > 1000)", "'transactions'[total_value] >= 1000)"),
        SALES,
        "High Value Sales",
        "catalogue",
    ),
    "measures in a circle": fault(
        swap(SALES, "SUM('transactions'[total_value])", "[High Value Sales] + 0"),
        SALES,
        "circle",
        "Total Sales",
    ),
    "a metric left out": fault(
        cut(SALES, "\t/// Loyalty points of all", "\t/// "),
        SALES,
        "Total Loyalty Points",
        "missing",
    ),
    "a measure that is no metric": fault(
        swap(SALES, "measure Transactions =", "measure Sales ="),
        SALES,
        "measure Sales",
        "not in the catalogue",
    ),
    "a measure without a format": fault(
        swap(SALES, "\t\tformatString: \\$#,0.00\n\t\tdisplayFolder", "\t\tdisplayFolder", times=1),
        SALES,
        "Total Sales",
        "formatString",
    ),
    "a table of another schema": fault(
        swap(SALES, 'Schema="gold"', 'Schema="silver"'), SALES, "silver.transactions"
    ),
    "a partition of another table": fault(
        swap(SALES, 'Item="transactions"', 'Item="products"'), SALES, "gold.products"
    ),
    "a parameter that is not defined": fault(
        swap(PRODUCTS, "(Server, Database)", "(Server, Base)"), PRODUCTS, "Base", "not defined"
    ),
    "a parameter that nothing uses": fault(
        swap(EXPRESSIONS, "expression Database =", "expression Port ="),
        EXPRESSIONS,
        "Port",
        "used by no",
    ),
    "a parameter that is none": fault(
        swap(EXPRESSIONS, ", IsParameterQueryRequired=true", "", times=1), EXPRESSIONS, "Server"
    ),
    "a fixed server": fault(
        swap(PRODUCTS, "(Server, Database)", "(Database)"), PRODUCTS, "does not use", "Server"
    ),
    "two modes": fault(
        swap(PRODUCTS, "mode: import", "mode: directQuery"), PRODUCTS, "products", "directQuery"
    ),
    "a mode that is none": fault(
        swap(PRODUCTS, "mode: import", "mode: dual"), PRODUCTS, "products", "dual"
    ),
    "a relationship left out": fault(
        cut(RELATIONSHIPS, "relationship aee3810b"),
        RELATIONSHIPS,
        "transactions.customer_id",
        "missing",
    ),
    "a relationship of a column that is not there": fault(
        swap(RELATIONSHIPS, "customers.customer_id", "customers.id"), RELATIONSHIPS, "customers.id"
    ),
    "a relationship of different types": fault(
        swap(
            RELATIONSHIPS,
            "fromColumn: transactions.product_id",
            "fromColumn: transactions.quantity",
        ),
        RELATIONSHIPS,
        "transactions.quantity",
        "different types",
    ),
    "a relationship that filters both ways": fault(
        swap(
            RELATIONSHIPS,
            "\tfromColumn: transactions.customer_id",
            "\tcrossFilteringBehavior: bothDirections\n\tfromColumn: transactions.customer_id",
        ),
        RELATIONSHIPS,
        "customer_id",
        "both ways",
    ),
    "a date table related to nothing": fault(
        cut(RELATIONSHIPS, "relationship 9bd1c1a7"), RELATIONSHIPS, "dim_date", "related to nothing"
    ),
    "an unmarked date table": fault(
        swap(CALENDAR, "\tdataCategory: Time\n", ""), CALENDAR, "dim_date", "date table"
    ),
    "a date table without key": fault(
        swap(CALENDAR, "\t\tisKey\n", ""), CALENDAR, "column date", "isKey"
    ),
    "DirectQuery without referential integrity": fault(
        swap(RELATIONSHIPS, "\trelyOnReferentialIntegrity\n", "", times=1),
        RELATIONSHIPS,
        "customer_id",
        "referential integrity",
        mode=Mode.DIRECT_QUERY,
    ),
    "integrity that no foreign key keeps": fault(
        swap(
            RELATIONSHIPS,
            "\tfromColumn: transactions.transaction_date",
            "\trelyOnReferentialIntegrity\n\tfromColumn: transactions.transaction_date",
        ),
        RELATIONSHIPS,
        "transaction_date",
        "no foreign key",
    ),
    "an old data source version": fault(
        swap(f"{MODEL}/model.tmdl", "powerBI_V3", "powerBI_V1"),
        f"{MODEL}/model.tmdl",
        "defaultPowerBIDataSourceVersion",
    ),
    "an audit column in sight": fault(
        swap(PRODUCTS, "\t\tisHidden\n", "", times=1), PRODUCTS, "insert_date", "hidden"
    ),
    "months in the order of the alphabet": fault(
        swap(CALENDAR, "\t\tsortByColumn: month\n", ""), CALENDAR, "month_name", "sorted by month"
    ),
    # report
    "a newer schema of the report": fault(
        swap(f"{REPORT}/report.json", "report/3.0.0", "report/3.3.0"),
        f"{REPORT}/report.json",
        "3.3.0",
    ),
    "a newer schema of a visual": fault(swap(CARD, "2.4.0", "2.9.0"), CARD, "2.9.0"),
    "another version of the definition": fault(
        swap(f"{REPORT}/version.json", '"2.0.0"', '"1.0.0"'), f"{REPORT}/version.json", "1.0.0"
    ),
    "a page id with capitals": fault(
        together(
            move(f"{REPORT}/pages/{report.PAGE}", f"{REPORT}/pages/{report.PAGE.upper()}"),
            swap(PAGES, report.PAGE, report.PAGE.upper()),
            swap(PAGE.replace(report.PAGE, report.PAGE.upper()), report.PAGE, report.PAGE.upper()),
        ),
        PAGE.replace(report.PAGE, report.PAGE.upper()),
        "20 lower-case hex",
    ),
    "a visual with a word for a name": fault(
        together(
            swap(BAR, f'"name": "{BAR_NAME}"', '"name": "sales"'),
            move(BAR.removesuffix("/visual.json"), f"{REPORT}/pages/{report.PAGE}/visuals/sales"),
        ),
        f"{REPORT}/pages/{report.PAGE}/visuals/sales/visual.json",
        "'sales'",
        "20 lower-case hex",
    ),
    "a visual in another's folder": fault(
        swap(BAR, f'"name": "{BAR_NAME}"', f'"name": "{LINE.split("/")[-2]}"'),
        BAR,
        "folder",
        BAR_NAME,
    ),
    "a page that is not listed": fault(
        swap(
            PAGES,
            f'"pageOrder": [\n    "{report.PAGE}"',
            '"pageOrder": [\n    "00000000000000000000"',
        ),
        PAGES,
        report.PAGE,
        "not listed",
    ),
    "an active page that is none": fault(
        swap(PAGES, f'"activePageName": "{report.PAGE}"', '"activePageName": "x"'),
        PAGES,
        "activePageName",
    ),
    "a page of another size": fault(swap(PAGE, "1280", "1920"), PAGE, report.PAGE, "1280 × 720"),
    "a visual left out": fault(drop(DONUT), PAGE, "Loyalty Points Distribution", "missing"),
    "a visual beside the page": fault(
        swap(BAR, '"x": 12', '"x": 1200'), BAR, BAR_NAME, "not on the page"
    ),
    "two visuals with one tabOrder": fault(
        swap(YTD_CARD, '"tabOrder": 7000', '"tabOrder": 6000'), LATER_CARD, "tabOrder"
    ),
    "a visual type that is none": fault(
        swap(DONUT, '"donutChart"', '"doughnut"'), DONUT, "visualType", "doughnut"
    ),
    "a column that is not in the model": fault(
        swap(DONUT, '"region"', '"home_region"'), DONUT, "customers.home_region"
    ),
    "a measure that is not in the model": fault(
        swap(CARD, '"Property": "Total Sales"', '"Property": "Sales"'), CARD, "transactions.Sales"
    ),
    "a column taken for a measure": fault(
        swap(DONUT, '"Column": {', '"Measure": {'), DONUT, "measure customers.region"
    ),
    "a table that is not in the model": fault(
        swap(CARD, '"Entity": "transactions"', '"Entity": "metrics"'), CARD, "metrics"
    ),
    "a queryRef of another form": fault(
        swap(
            CARD,
            '"queryRef": "transactions.Total Sales"',
            '"queryRef": "Sum(transactions.total_value)"',
        ),
        CARD,
        "queryRef",
        "Sum(transactions.total_value)",
    ),
    "a nativeQueryRef of another name": fault(
        swap(CARD, '"nativeQueryRef": "Total Sales"', '"nativeQueryRef": "Sales"'),
        CARD,
        "nativeQueryRef",
    ),
    "a chart without order": fault(
        swap(LINE, '"direction": "Ascending"', '"direction": "Up"'), LINE, "'Up'"
    ),
    "sorted by what it does not show": fault(
        sort_by_year,
        LINE,
        "dim_date.year",
        "does not show",
    ),
    "a role that the visual has not": fault(swap(BAR, '"Y": {', '"Values": {'), BAR, "Values"),
    "a visual without title": fault(
        swap(CARD, '"Value": "\'Total Sales\'"', '"Value": "\'\'"'), CARD, "no title"
    ),
    "a visual of another shape": fault(
        swap(CARD, '"queryState": {', '"queryState": null, "was": {'),
        CARD,
        "visual.query.queryState is null",
    ),
    "Top 5 without a filter": fault(
        swap(TOP, '"type": "TopN"', '"type": "Advanced"'), TOP, "Top 5", "TopN"
    ),
    "Top 5 that keeps seven": fault(swap(TOP, '"Top": 5', '"Top": 7'), TOP, "keeps 7"),
    "Top 5 of the smallest": fault(swap(TOP, '"Direction": 2', '"Direction": 1'), TOP, "largest"),
    "Top 5 by a source that its query has not": fault(
        swap(TOP, '"Source": "m"', '"Source": "z"'), TOP, "'z'"
    ),
    "a formatting value that is no literal": fault(
        swap(CARD, '"Value": "0D"', '"Value": "automatic"'),
        CARD,
        "labelDisplayUnits",
        "'automatic'",
    ),
    "a key that PBIR has not": fault(
        swap(CARD, '"drillFilterOtherVisuals"', '"drillOthers"'), CARD, "drillOthers", "not known"
    ),
    "a page without size": fault(swap(PAGE, '  "height": 720,\n', ""), PAGE, "height", "missing"),
    # theme
    "a theme of another name": fault(
        swap(THEME, '"name": "CustomerRevenue.json"', '"name": "Revenue"'), THEME, "'Revenue'"
    ),
    "an unknown theme key": fault(
        swap(THEME, '"dataColors"', '"colors"'), THEME, "colors", "not known"
    ),
    "a theme file with a space": fault(
        together(
            move(THEME, THEME.replace("CustomerRevenue.json", "Customer Revenue.json")),
            swap(f"{REPORT}/report.json", "CustomerRevenue.json", "Customer Revenue.json"),
        ),
        THEME.replace("CustomerRevenue.json", "Customer Revenue.json"),
        "space",
    ),
    "a theme without colours": fault(
        cut(THEME, '  "dataColors"', '  "foreground"'), THEME, "dataColors", "missing"
    ),
    "a theme that is not there": fault(
        drop(THEME), f"{REPORT}/report.json", "CustomerRevenue.json", "no file"
    ),
    "a theme that is not registered": fault(
        swap(
            f"{REPORT}/report.json",
            '"path": "CustomerRevenue.json"',
            '"path": "themes/CustomerRevenue.json"',
        ),
        f"{REPORT}/report.json",
        "CustomerRevenue.json",
        "not registered",
    ),
    "a colour that is none": fault(swap(THEME, '"#E66C37"', '"orange"'), THEME, "'orange'"),
}


_SOUND = {mode: project.files(Source(mode=mode)) for mode in Mode}


def sound(mode: Mode) -> Files:
    return dict(_SOUND[mode])


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found(name: str) -> None:
    seeded = FAULTS[name]
    files = sound(seeded.mode)
    seeded.edit(files)
    found = lint.lint(files)
    assert any(
        finding.file == seeded.file and all(part in finding.message for part in seeded.says)
        for finding in found
    ), "\n".join(map(str, found)) or "nothing was found"


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    "source",
    [
        {},
        {"host": "[::1]", "port": 1},
        {"host": "db.example.com", "database": 'a "quoted" #(lf) näme'},
    ],
    ids=str,
)
def test_the_real_project_is_clean(mode: Mode, source: dict[str, str]) -> None:
    assert lint.lint(project.files(Source(mode=mode, **source))) == []


def places(content: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value inside the content."""
    inside = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in inside:
        yield (*way, key)
        if isinstance(value, dict | list):
            yield from places(value, (*way, key))


def test_no_shape_of_json_breaks_the_linter() -> None:
    chance = random.Random(3)
    paths = [path for path in sound(Mode.IMPORT) if not path.endswith(".tmdl")]
    for _ in range(40):
        files = sound(Mode.IMPORT)
        path = chance.choice(paths)
        content = json.loads(files[path])
        *way, last = chance.choice(list(places(content)))
        inner = content
        for key in way:
            inner = inner[key]
        inner[last] = chance.choice((None, 7, [], {}, [[]], {"x": None}))
        files[path] = (json.dumps(content) + "\n").encode()
        assert all(finding.file in files for finding in lint.lint(files))


def test_there_are_faults_of_every_kind() -> None:
    assert len(FAULTS) >= 30
    assert {fault.file for fault in FAULTS.values()} >= {
        project.PBIP,
        project.PBIDS,
        THEME,
        PAGE,
        SALES,
    }


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("table a\n\t\tcolumn b\n", 2, "too far"),
        ("column b\n", 1, "must not"),
        ("table a\n\tlineageTag: x\n\tlineageTag: x\n", 3, "second time"),
        ("table a\n\n/// of nothing\n", 4, "description of nothing"),
        ("tabel a\n", 1, "not understood"),
        ("table a\n\tmeasure b =\n\t\tformatString: 0\n", 2, "two tabs deeper"),
    ],
)
def test_what_is_not_tmdl_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(tmdl_reader.TmdlError, match=says) as caught:
        tmdl_reader.parse(text)
    assert caught.value.line == line


def test_tmdl_is_read_as_it_was_written() -> None:
    text = project.files(Source())[SALES].decode()
    (table,) = tmdl_reader.parse(text)
    assert (table.name, table.description) == (
        "transactions",
        "One row a sale; equals silver.sales row for row",
    )
    measure = table.all("measure")[1]
    assert (measure.name, measure.expression) == ("Total Sales", "SUM('transactions'[total_value])")
    assert measure.properties["formatString"] == r"\$#,0.00"
    assert table.all("column")[0].properties["isKey"] is None
    assert tmdl_reader.column_of("a.'b ''c'") == ("a", "b 'c")
