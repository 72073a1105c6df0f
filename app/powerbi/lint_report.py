"""The half of the linter that reads the report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.powerbi import report, theme
from app.powerbi.lint_model import Known
from app.report import TOP

Found = Iterator[tuple[str, str]]
_NAME = re.compile(r"[0-9a-f]{20}")
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
# visual type -> the roles that its fields may take
_ROLES = {
    "textbox": set[str](),
    "slicer": {"Values"},
    "card": {"Values"},
    "tableEx": {"Values"},
    "clusteredBarChart": {"Category", "Y"},
    "clusteredColumnChart": {"Category", "Y"},
    "lineChart": {"Category", "Y"},
    "donutChart": {"Category", "Y"},
}


def check(
    parsed: Mapping[str, Any], folder: str, model: Known, files: Mapping[str, bytes]
) -> Found:
    """Return what is wrong with the report, as pairs of file and message."""
    definition = f"{folder}/definition"
    for name, schema in (
        ("version.json", report.VERSION_SCHEMA),
        ("report.json", report.REPORT_SCHEMA),
        ("pages/pages.json", report.PAGES_SCHEMA),
    ):
        yield from _schema(parsed, f"{definition}/{name}", schema)
    path = f"{definition}/version.json"
    if path in parsed and parsed[path].get("version") != report.VERSION:
        yield path, f"version is {parsed[path].get('version')!r}, not {report.VERSION!r}"
    yield from _theme(parsed, folder, files)
    yield from _pages(parsed, definition, files)
    yield from _visuals(parsed, definition, model, files)


def _schema(parsed: Mapping[str, Any], path: str, wanted: str) -> Found:
    if path in parsed and parsed[path].get("$schema") != wanted:
        yield path, f"$schema is {parsed[path].get('$schema')!r}, not {wanted!r}"


def _theme(parsed: Mapping[str, Any], folder: str, files: Mapping[str, bytes]) -> Found:
    path = f"{folder}/definition/report.json"
    resources = f"{folder}/StaticResources/RegisteredResources"
    if path not in parsed:
        return
    custom = parsed[path].get("themeCollection", {}).get("customTheme", {})
    name = str(custom.get("name"))
    if custom.get("type") != "RegisteredResources":
        yield path, f"theme {name}: type is {custom.get('type')!r}, not 'RegisteredResources'"
    items = [
        item
        for package in parsed[path].get("resourcePackages", [])
        if package.get("type") == "RegisteredResources"
        for item in package.get("items", [])
    ]
    if not any(
        item.get("name") == name and item.get("path") == name and item.get("type") == "CustomTheme"
        for item in items
    ):
        yield path, f"theme {name} is not registered in resourcePackages by this name and path"
    for item in items:
        if f"{resources}/{item.get('path')}" not in files:
            yield path, f"resource {item.get('path')} has no file"
    for file in files:
        if not file.startswith(f"{resources}/"):
            continue
        own = file.removeprefix(f"{resources}/")
        if own not in {item.get("path") for item in items}:
            yield file, f"theme {own} is not registered in report.json"
        if " " in own:
            yield file, f"the theme's file name {own!r} has a space"
        if file in parsed:
            yield from ((file, message) for message in _theme_content(own, parsed[file]))


def _theme_content(own: str, content: dict[str, Any]) -> Iterator[str]:
    if content.get("name") != own:
        yield f"name is {content.get('name')!r}, not that of its file, {own!r}"
    colors = [*content["dataColors"]]
    colors += [content[key] for key in theme.COLOR_KEYS if key in content]
    colors += [one["color"] for one in content.get("textClasses", {}).values() if "color" in one]
    for color in colors:
        if not _COLOR.fullmatch(color):
            yield f"colour {color!r} is not #RRGGBB"


def _pages(parsed: Mapping[str, Any], definition: str, files: Mapping[str, bytes]) -> Found:
    listing = f"{definition}/pages/pages.json"
    pages = {
        found[1]: path
        for path in files
        if (found := re.fullmatch(rf"{definition}/pages/([^/]+)/page\.json", path))
    }
    if listing in parsed:
        order = parsed[listing].get("pageOrder", [])
        for name in order:
            if name not in pages:
                yield listing, f"page {name} has no page.json"
            if order.count(name) > 1:
                yield listing, f"page {name} is listed twice"
        for name in pages.keys() - set(order):
            yield listing, f"page {name} is not listed in pageOrder"
        if parsed[listing].get("activePageName") not in pages:
            yield listing, f"activePageName {parsed[listing].get('activePageName')!r} is no page"
    for folder, path in pages.items():
        if path not in parsed:
            continue
        page = parsed[path]
        yield from _schema(parsed, path, report.PAGE_SCHEMA)
        yield from ((path, message) for message in _names("page", folder, page.get("name")))
        if (page.get("width"), page.get("height")) != (report.WIDTH, report.HEIGHT):
            yield (
                path,
                f"page {folder} is not {report.WIDTH} × {report.HEIGHT} pixels",
            )
        if not page["displayName"]:
            yield path, f"page {folder} has no displayName"
        if page["displayOption"] not in {"FitToPage", "FitToWidth", "ActualSize"}:
            yield path, f"page {folder}: displayOption {page['displayOption']!r} is not known"


def _names(kind: str, folder: str, name: Any) -> Iterator[str]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"{kind} {name!r}: its name is not 20 lower-case hexadecimal digits"
    if name != folder:
        yield f"{kind} {name!r}: its name is not that of its folder, {folder!r}"


def _visuals(
    parsed: Mapping[str, Any], definition: str, model: Known, files: Mapping[str, bytes]
) -> Found:
    seen: dict[str, str] = {}
    orders: dict[int, str] = {}
    titles: dict[str, Any] = {visual.name: visual for visual in report.visuals()}
    there = {path.split("/")[-2] for path in files if path.endswith("/visual.json")}
    for path, visual in parsed.items():
        found = re.fullmatch(rf"{definition}/pages/([^/]+)/visuals/([^/]+)/visual\.json", path)
        if found is None:
            continue
        name = visual.get("name")
        yield from _schema(parsed, path, report.VISUAL_SCHEMA)
        yield from ((path, message) for message in _names("visual", found[2], name))
        if f"{definition}/pages/{found[1]}/page.json" not in files:
            yield path, f"visual {name}: its page {found[1]} has no page.json"
        if name in seen:
            yield path, f"visual {name}: its name is that of {seen[name]} too"
        seen[name] = path
        order = visual.get("position", {}).get("tabOrder")
        if order in orders:
            yield path, f"visual {name}: its tabOrder {order} is that of {orders[order]} too"
        orders[order] = name
        yield from ((path, f"visual {name}: {message}") for message in _visual(visual, model))
    pages = [path for path in files if path.endswith("/page.json")]
    if pages:
        for name in titles.keys() - there:
            yield pages[0], f"visual {name} ({titles[name].title}) is missing"


def _visual(visual: dict[str, Any], model: Known) -> Iterator[str]:
    yield from _position(visual.get("position", {}))
    content = visual.get("visual", {})
    kind = content.get("visualType")
    if kind not in _ROLES:
        yield f"visualType {kind!r} is not known here"
        return
    query = content.get("query", {})
    state = query.get("queryState", {})
    for role in state.keys() ^ _ROLES[kind]:
        yield (
            f"{kind} has no role {role}" if role in state else f"the role {role} of {kind} is empty"
        )
    references: list[str | None] = []
    for role, one in state.items():
        if not one.get("projections"):
            yield f"the role {role} of {kind} is empty"
        for projection in one.get("projections", []):
            references.append(projection.get("queryRef"))
            yield from _projection(projection, model)
    for twice in {one for one in references if references.count(one) > 1}:
        yield f"queryRef {twice} is there twice"
    for sort in query.get("sortDefinition", {}).get("sort", []):
        yield from _expression(sort.get("field", {}), model, {})
        if (reference := _reference(sort.get("field", {}))) not in references:
            yield f"it is sorted by {reference}, which it does not show"
        if sort.get("direction") not in {"Ascending", "Descending"}:
            yield f"sort direction {sort.get('direction')!r} is neither Ascending nor Descending"
    if kind not in {"textbox", "slicer", "card"} and not query.get("sortDefinition", {}).get(
        "sort"
    ):
        yield "it has no sort order"
    for name, entries in content.get("objects", {}).items():
        for entry in entries:
            selected = entry.get("selector", {}).get("metadata")
            if selected is not None and selected not in references:
                yield f"{name} is for {selected}, which it does not show"
    title = _title(content)
    if kind != "textbox" and not title:
        yield "it has no title"
    filters = visual.get("filterConfig", {}).get("filters", [])
    for one in filters:
        yield from _filter(one, model)
    if title.startswith("Top ") and not any(one.get("type") == "TopN" for one in filters):
        yield f"{title} has no TopN filter"


def _title(content: dict[str, Any]) -> str:
    for entry in content.get("visualContainerObjects", {}).get("title", []):
        text = entry.get("properties", {}).get("text", {})
        value: str = text.get("expr", {}).get("Literal", {}).get("Value", "")
        return value.strip("'")
    return ""


def _position(position: dict[str, Any]) -> Iterator[str]:
    x, y, width, height = (position[key] for key in ("x", "y", "width", "height"))
    if (
        min(x, y) < 0
        or min(width, height) <= 0
        or x + width > report.WIDTH
        or y + height > report.HEIGHT
    ):
        yield f"it is not on the page: {x}, {y}, {width} × {height}"


def _projection(projection: dict[str, Any], model: Known) -> Iterator[str]:
    field = projection.get("field", {})
    yield from _expression(field, model, {})
    wanted = _reference(field)
    if projection.get("queryRef") != wanted:
        yield f"queryRef {projection.get('queryRef')!r} is not Table.Name, {wanted!r}"
    if projection.get("nativeQueryRef") != (wanted or "").partition(".")[2]:
        yield f"nativeQueryRef {projection.get('nativeQueryRef')!r} is not the name in {wanted!r}"


def _reference(field: dict[str, Any]) -> str | None:
    for content in field.values():
        if isinstance(content, dict):
            entity = content.get("Expression", {}).get("SourceRef", {}).get("Entity")
            return f"{entity}.{content.get('Property')}"
    return None


def _expression(field: dict[str, Any], model: Known, aliases: Mapping[str, str]) -> Iterator[str]:
    """Check a column or measure; `aliases` are the tables of the query that it stands in."""
    for kind in ("Column", "Measure"):
        if kind not in field:
            continue
        source = field[kind].get("Expression", {}).get("SourceRef", {})
        name = field[kind].get("Property")
        if "Source" in source:
            if source["Source"] not in aliases:
                yield f"{name} is of the source {source['Source']!r}, which its query has not"
                return
            table = aliases[source["Source"]]
        else:
            table = source.get("Entity")
        there = (model.columns if kind == "Column" else model.measures).get(table)
        if there is None:
            yield f"table {table} is not in the model"
        elif name not in there:
            yield f"{kind.lower()} {table}.{name} is not in the model"
        return
    yield f"a field is neither column nor measure: {', '.join(field) or 'nothing'}"


def _filter(one: dict[str, Any], model: Known) -> Iterator[str]:
    name = one.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"filter {name!r}: its name is not 20 lower-case hexadecimal digits"
    yield from _expression(one.get("field", {}), model, {})
    query = one.get("filter", {})
    aliases: dict[str, str] = {}
    inner = None
    for source in query.get("From", []):
        if "Expression" in source:
            inner = source["Expression"].get("Subquery", {}).get("Query", {})
            aliases[source.get("Name")] = ""
        else:
            aliases[source.get("Name")] = source.get("Entity")
    for where in query.get("Where", []):
        condition = where.get("Condition", {}).get("In", {})
        for expression in condition.get("Expressions", []):
            yield from _expression(expression, model, aliases)
        table = condition.get("Table", {}).get("SourceRef", {}).get("Source")
        if table is not None and table not in aliases:
            yield f"filter {name} is in {table!r}, which its query has not"
    if one.get("type") != "TopN":
        return
    if inner is None:
        yield f"filter {name}: TopN needs a subquery"
        return
    own = {source.get("Name"): source.get("Entity") for source in inner.get("From", [])}
    for selected in inner.get("Select", []):
        yield from _expression(
            {key: value for key, value in selected.items() if key != "Name"}, model, own
        )
    if not inner.get("OrderBy"):
        yield f"filter {name}: TopN orders by nothing"
    for order in inner.get("OrderBy", []):
        yield from _expression(order.get("Expression", {}), model, own)
        if order.get("Direction") != 2:
            yield f"filter {name}: TopN must take the largest, Direction 2"
    if inner.get("Top") != TOP:
        yield f"filter {name}: TopN keeps {inner.get('Top')}, not {TOP}"
