"""The report as PBIR JSON: one page with fifteen visuals, placed as in the original report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from app.metrics import BY_NAME, Metric
from app.powerbi import theme
from app.powerbi.model import DATE_KEY, DATE_TABLE, MEASURES_HOME, NAME, identifier
from app.report import TOP

Json = dict[str, Any]
_SCHEMAS = "https://developer.microsoft.com/json-schemas/fabric/item/report/definition"
REPORT_SCHEMA = f"{_SCHEMAS}/report/3.0.0/schema.json"
PAGE_SCHEMA = f"{_SCHEMAS}/page/2.0.0/schema.json"
PAGES_SCHEMA = f"{_SCHEMAS}/pagesMetadata/1.0.0/schema.json"
VISUAL_SCHEMA = f"{_SCHEMAS}/visualContainer/2.4.0/schema.json"
VERSION_SCHEMA = f"{_SCHEMAS}/versionMetadata/1.0.0/schema.json"
VERSION = "2.0.0"
WIDTH, HEIGHT = 1280, 720
PAGE_TITLE = "Revenue & Customer Insights Dashboard"
THEME_FILE = f"{NAME}.json"
_UNSLICED = "Not filtered by the sales slicers"
_THOUSANDS, _AUTOMATIC = "1000D", "0D"
_WHOLE_MONEY = r"\$#,0"


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column or measure of the model."""

    table: str
    name: str
    is_measure: bool = False

    @property
    def reference(self) -> str:
        return f"{self.table}.{self.name}"

    def expression(self, alias: str | None = None) -> Json:
        """Return it as an expression; `alias` is its table's name inside a query of its own."""
        source = {"Source": alias} if alias else {"Entity": self.table}
        return {
            "Measure" if self.is_measure else "Column": {
                "Expression": {"SourceRef": source},
                "Property": self.name,
            }
        }


@dataclass(frozen=True, kw_only=True)
class Visual:
    """A visual at its place, in pixels of the page."""

    kind: str
    title: str
    place: tuple[int, int, int, int]  # x, y, width, height
    roles: dict[str, tuple[Field, ...]] = field(default_factory=dict)
    sort: tuple[Field, Literal["Ascending", "Descending"]] | None = None
    objects: Json = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)  # by reference
    shows_title: bool = True
    title_bar: bool = False  # white on the brand's blue
    note: str = ""  # below the title
    top: tuple[Field, Field, int] | None = None  # column, measure, how many

    @property
    def name(self) -> str:
        """Return its identifier: 20 lower-case hexadecimal digits, the same every time."""
        return _hexadecimal("visual", self.kind, self.title)


def _hexadecimal(*path: str) -> str:
    return identifier(*path).replace("-", "")[:20]


PAGE = _hexadecimal("page", PAGE_TITLE)


def _metric(name: str) -> Field:
    return Field(table=MEASURES_HOME, name=BY_NAME[name].title, is_measure=True)


SALES = _metric("total_sales")
HIGH_VALUE_SALES = _metric("high_value_sales")
POINTS = _metric("loyalty_points")
SALE_REGION = Field(table="transactions", name="region")
HOME_REGION = Field(table="customers", name="region")
PRODUCT = Field(table="products", name="product_name")
CATEGORY = Field(table="products", name="category")
# a filter on the calendar moves Sales YTD; one on the sale's own date would not reach it
DAY = Field(table=DATE_TABLE, name=DATE_KEY)
MONTH = Field(table=DATE_TABLE, name="month_start")


def _literal(value: str) -> Json:
    return {"expr": {"Literal": {"Value": value}}}


def _text(value: str) -> Json:
    return _literal("'" + value.replace("'", "''") + "'")


def _color(value: str) -> Json:
    return {"solid": {"color": _text(value)}}


YES, NO = _literal("true"), _literal("false")


def _properties(**properties: Json) -> list[Json]:
    return [{"properties": properties}]


def _slicer(title: str, of: Field, x: int, width: int, *, between: bool = False) -> Visual:
    objects: Json = {
        "data": _properties(mode=_text("Between" if between else "Dropdown")),
        "header": _properties(show=NO),
    }
    if not between:
        objects["selection"] = _properties(selectAllCheckboxEnabled=YES, singleSelect=NO)
    return Visual(
        kind="slicer",
        title=title,
        place=(x, 48, width, 80),
        roles={"Values": (of,)},
        objects=objects,
        title_bar=True,
    )


def _card(metric: Metric, x: int) -> Visual:
    of = _metric(metric.name)
    # whole numbers are never shortened
    units = "1D" if metric.format == "whole" else _AUTOMATIC
    return Visual(
        kind="card",
        title=metric.title,
        place=(x, 135, 241, 121),
        roles={"Values": (of,)},
        objects={
            "labels": _properties(labelDisplayUnits=_literal(units), color=_color(theme.BRAND)),
            "categoryLabels": _properties(show=NO),
        },
        note="" if metric.is_sliced else _UNSLICED,
    )


def _chart(*, labels: Json | None = None, axis_type: str | None = None, **objects: Any) -> Json:
    """Return what all charts with axes share: no gridlines, no axis titles, labels in thousands."""
    category: Json = {"showAxisTitle": NO, "gridlineShow": NO}
    if axis_type:
        category["axisType"] = _text(axis_type)
    return {
        "categoryAxis": _properties(**category),
        "valueAxis": _properties(
            showAxisTitle=NO, gridlineShow=NO, labelDisplayUnits=_literal(_THOUSANDS)
        ),
        "labels": _properties(
            show=YES,
            labelDisplayUnits=_literal(_THOUSANDS),
            labelPrecision=_literal("0L"),
            **(labels or {}),
        ),
        "dataPoint": _properties(defaultColor=_color(theme.BRAND)),
        **objects,
    }


def visuals() -> tuple[Visual, ...]:
    """Return the visuals from top left to bottom right."""
    heading = {
        "textRuns": [
            {
                "value": PAGE_TITLE,
                "textStyle": {"fontWeight": "bold", "fontSize": "20pt", "color": theme.BRAND},
            }
        ]
    }
    return (
        Visual(
            kind="textbox",
            title=PAGE_TITLE,
            place=(0, 0, 1280, 48),
            objects={"general": [{"properties": {"paragraphs": [heading]}}]},
            shows_title=False,
        ),
        _slicer("Region", SALE_REGION, 0, 318),
        _slicer("Product Name", PRODUCT, 322, 305),
        _slicer("Product Category", CATEGORY, 631, 305),
        _slicer("Period", DAY, 940, 340, between=True),
        *(
            _card(BY_NAME[name], x)
            for name, x in (
                ("customers", 12),
                ("total_sales", 265),
                ("sales_ytd", 518),
                ("average_sale", 772),
                ("high_value_transactions", 1027),
            )
        ),
        Visual(
            kind="clusteredBarChart",
            title="Sales by Region (K)",
            place=(12, 268, 410, 215),
            roles={"Category": (SALE_REGION,), "Y": (SALES,)},
            sort=(SALES, "Descending"),
            objects=_chart(),
        ),
        Visual(
            kind="lineChart",
            title="Monthly Sales Trend",
            place=(435, 268, 837, 215),
            roles={"Category": (MONTH,), "Y": (SALES,)},
            sort=(MONTH, "Ascending"),
            objects=_chart(axis_type="Categorical", lineStyles=_properties(showMarker=YES)),
        ),
        Visual(
            kind="donutChart",
            title="Loyalty Points Distribution by Region",
            place=(12, 493, 410, 222),
            roles={"Category": (HOME_REGION,), "Y": (POINTS,)},
            sort=(POINTS, "Descending"),
            objects={
                "labels": _properties(
                    show=YES, labelStyle=_text("Percent of total"), position=_text("outside")
                ),
                "legend": _properties(show=YES, position=_text("Bottom"), showTitle=NO),
            },
            note=_UNSLICED,
        ),
        Visual(
            kind="tableEx",
            title=f"Top {TOP} Products by Revenue",
            place=(435, 493, 410, 222),
            roles={"Values": (PRODUCT, SALES)},
            sort=(SALES, "Descending"),
            objects={"total": _properties(totals=YES)},
            formats={SALES.reference: _WHOLE_MONEY},
            top=(PRODUCT, SALES, TOP),
        ),
        Visual(
            kind="clusteredColumnChart",
            title="High-Value Sales by Region",
            place=(859, 493, 413, 222),
            roles={"Category": (SALE_REGION,), "Y": (HIGH_VALUE_SALES,)},
            sort=(HIGH_VALUE_SALES, "Descending"),
            objects=_chart(),
        ),
    )


def files() -> dict[str, Json]:
    """Return the report's JSON files by their path below `definition/`."""
    return {
        "version.json": {"$schema": VERSION_SCHEMA, "version": VERSION},
        "report.json": _report(),
        "pages/pages.json": {
            "$schema": PAGES_SCHEMA,
            "pageOrder": [PAGE],
            "activePageName": PAGE,
        },
        f"pages/{PAGE}/page.json": {
            "$schema": PAGE_SCHEMA,
            "name": PAGE,
            "displayName": PAGE_TITLE,
            "displayOption": "FitToPage",
            "height": HEIGHT,
            "width": WIDTH,
            "objects": {
                "background": _properties(
                    color=_color(theme.BACKGROUND), transparency=_literal("0D")
                )
            },
        },
        **{
            f"pages/{PAGE}/visuals/{visual.name}/visual.json": _visual(place, visual)
            for place, visual in enumerate(visuals())
        },
    }


def _report() -> Json:
    return {
        "$schema": REPORT_SCHEMA,
        "themeCollection": {
            "customTheme": {
                "name": THEME_FILE,
                "reportVersionAtImport": {"visual": "2.4.0", "report": "3.0.0", "page": "2.0.0"},
                "type": "RegisteredResources",
            }
        },
        "resourcePackages": [
            {
                "name": "RegisteredResources",
                "type": "RegisteredResources",
                "items": [{"name": THEME_FILE, "path": THEME_FILE, "type": "CustomTheme"}],
            }
        ],
        "settings": {
            "useStylableVisualContainerHeader": True,
            "exportDataMode": "AllowSummarized",
            "defaultDrillFilterOtherVisuals": True,
            "useEnhancedTooltips": True,
        },
    }


def _visual(place: int, visual: Visual) -> Json:
    x, y, width, height = visual.place
    made: Json = {"visualType": visual.kind}
    if visual.roles:
        made["query"] = {
            "queryState": {
                role: {"projections": [_projection(visual, one) for one in fields]}
                for role, fields in visual.roles.items()
            }
        }
    if visual.sort:
        by, direction = visual.sort
        made["query"]["sortDefinition"] = {
            "sort": [{"field": by.expression(), "direction": direction}],
            "isDefaultSort": False,
        }
    if visual.objects:
        made["objects"] = visual.objects
    made["visualContainerObjects"] = _container(visual)
    made["drillFilterOtherVisuals"] = True
    whole: Json = {
        "$schema": VISUAL_SCHEMA,
        "name": visual.name,
        "position": {
            "x": x,
            "y": y,
            "z": place * 1000,
            "height": height,
            "width": width,
            "tabOrder": place * 1000,
        },
        "visual": made,
    }
    if visual.top:
        whole["filterConfig"] = {"filters": [_top(*visual.top)]}
    return whole


def _projection(visual: Visual, one: Field) -> Json:
    projection: Json = {
        "field": one.expression(),
        "queryRef": one.reference,
        "nativeQueryRef": one.name,
    }
    if one.reference in visual.formats:
        projection["format"] = visual.formats[one.reference]
    if visual.kind != "card" and not one.is_measure:
        projection["active"] = True
    return projection


def _container(visual: Visual) -> Json:
    title: Json = {"show": NO}
    if visual.shows_title:
        title = {"show": YES, "text": _text(visual.title), "bold": YES}
    if visual.title_bar:
        title |= {"background": _color(theme.BRAND), "fontColor": _color(theme.SURFACE)}
    made: Json = {
        "title": _properties(**title),
        "general": _properties(altText=_text(f"{visual.title}. {visual.note}".rstrip(". "))),
    }
    if visual.note:
        made["subTitle"] = _properties(
            show=YES, text=_text(visual.note), fontColor=_color(theme.QUIET)
        )
    return made


def _top(of: Field, by: Field, count: int) -> Json:
    """Return a filter that keeps the `count` values of the column with the most of the measure."""
    inner, outer = "t", "o"
    measured = inner if by.table == of.table else "m"
    sources = [{"Name": inner, "Entity": of.table, "Type": 0}]
    if measured != inner:
        sources.append({"Name": measured, "Entity": by.table, "Type": 0})
    query = {
        "Version": 2,
        "From": sources,
        "Select": [{**of.expression(inner), "Name": "field"}],
        "OrderBy": [{"Direction": 2, "Expression": by.expression(measured)}],
        "Top": count,
    }
    return {
        "name": _hexadecimal("filter", of.reference, by.reference),
        "field": of.expression(),
        "type": "TopN",
        "filter": {
            "Version": 2,
            "From": [
                {"Name": "subquery", "Expression": {"Subquery": {"Query": query}}, "Type": 2},
                {"Name": outer, "Entity": of.table, "Type": 0},
            ],
            "Where": [
                {
                    "Condition": {
                        "In": {
                            "Expressions": [of.expression(outer)],
                            "Table": {"SourceRef": {"Source": "subquery"}},
                        }
                    }
                }
            ],
        },
    }
