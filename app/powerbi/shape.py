"""The shapes of a project's JSON files, as strict as the published schemas: no key is unknown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from app.powerbi import theme
from app.powerbi.project import PBIDS, PBIP

_WORDS = {str: "a text", int: "a number", bool: "true or false", dict: "an object", list: "a list"}
_LITERAL = re.compile(r"'(?:[^']|'')*'|true|false|null|-?\d+(?:\.\d+)?[DLM]")


@dataclass(frozen=True)
class Each:
    """An object with any keys, whose values have one shape."""

    shape: Any


@dataclass(frozen=True)
class Either:
    """An object with exactly one of the keys."""

    shapes: dict[str, Any]


@dataclass(frozen=True)
class Text:
    """A text of a pattern."""

    pattern: re.Pattern[str]


LITERAL = {"Literal": {"Value": Text(_LITERAL)}}
PROPERTY = Either({"expr": LITERAL, "solid": {"color": {"expr": LITERAL}}})
OBJECTS = Each([{"properties": Each(PROPERTY), "selector?": {"metadata": str}}])
_COLUMN = {
    "Expression": {"SourceRef": Either({"Entity": str, "Source": str})},
    "Property": str,
}
FIELD = Either({"Column": _COLUMN, "Measure": _COLUMN})
_TEXTS = {"$schema": str, "version": str}
_POSITION = dict.fromkeys(("x", "y", "z", "width", "height", "tabOrder"), int)
# a text box holds paragraphs where others hold expressions
_TEXTBOX = {
    "general": [
        {
            "properties": {
                "paragraphs": [
                    {
                        "textRuns": [{"value": str, "textStyle": Each(str)}],
                        "horizontalTextAlignment?": str,
                    }
                ]
            }
        }
    ]
}
_NAMED = {"Name": str, "Entity": str, "Type": int}
_SUBQUERY = {
    "Version": int,
    "From": [_NAMED],
    "Select": [{"Column": _COLUMN, "Name": str}],
    "OrderBy?": [{"Direction": int, "Expression": FIELD}],
    "Top": int,
}
_FILTER = {
    "Version": int,
    "From": [
        {
            "Name": str,
            "Type": int,
            "Entity?": str,
            "Expression?": {"Subquery": {"Query": _SUBQUERY}},
        }
    ],
    "Where": [
        {
            "Condition": {
                "In": {"Expressions": [FIELD], "Table": {"SourceRef": {"Source": str}}},
            }
        }
    ],
}
VISUAL: dict[str, Any] = {
    "$schema": str,
    "name": str,
    "position": _POSITION,
    "visual": {
        "visualType": str,
        "query?": {
            "queryState": Each(
                {
                    "projections": [
                        {
                            "field": FIELD,
                            "queryRef": str,
                            "nativeQueryRef": str,
                            "format?": str,
                            "active?": bool,
                        }
                    ]
                }
            ),
            "sortDefinition?": {
                "sort": [{"field": FIELD, "direction": str}],
                "isDefaultSort?": bool,
            },
        },
        "objects?": OBJECTS,
        "visualContainerObjects": OBJECTS,
        "drillFilterOtherVisuals?": bool,
    },
    "filterConfig?": {
        "filters": [
            {
                "name": str,
                "field": FIELD,
                "type": str,
                "filter": _FILTER,
            }
        ]
    },
}
# a key that is not known makes Power BI refuse the theme
THEME = {
    "name": str,
    "dataColors": [str],
    **dict.fromkeys(
        (f"{key}?" for key in theme.COLOR_KEYS),
        str,
    ),
    "textClasses?": Each({"fontFace?": str, "fontSize?": int, "color?": str}),
    "visualStyles?": Each(Each(Each([Each(object)]))),
}
_BY_NAME: dict[str, Any] = {
    PBIP: {
        **_TEXTS,
        "artifacts": [Each({"path": str})],
        "settings?": {"enableAutoRecovery": bool},
    },
    PBIDS: {
        "version": str,
        "connections": [
            {
                "details": {"protocol": str, "address": Each(str)},
                "options": {},
                "mode": str,
            }
        ],
    },
    ".platform": {
        "$schema": str,
        "metadata": {"type": str, "displayName": str},
        "config": {"version": str, "logicalId": str},
    },
    "definition.pbir": {**_TEXTS, "datasetReference": {"byPath": {"path": str}}},
    "definition.pbism": {**_TEXTS, "settings": {}},
    "version.json": _TEXTS,
    "report.json": {
        "$schema": str,
        "themeCollection": {
            "customTheme": {
                "name": str,
                "reportVersionAtImport": {"visual": str, "report": str, "page": str},
                "type": str,
            }
        },
        "resourcePackages": [
            {"name": str, "type": str, "items": [{"name": str, "path": str, "type": str}]}
        ],
        "settings?": {
            "useStylableVisualContainerHeader?": bool,
            "exportDataMode?": str,
            "defaultDrillFilterOtherVisuals?": bool,
            "useEnhancedTooltips?": bool,
        },
    },
    "pages.json": {"$schema": str, "pageOrder": [str], "activePageName": str},
    "page.json": {
        "$schema": str,
        "name": str,
        "displayName": str,
        "displayOption": str,
        "height": int,
        "width": int,
        "objects?": OBJECTS,
    },
    "visual.json": VISUAL,
}


def check(path: str, content: dict[str, Any]) -> Iterator[str]:
    """Yield how the content differs from the shape of its file; nothing where none is known."""
    file = PurePosixPath(path)
    shape = THEME if file.parent.name == "RegisteredResources" else _BY_NAME.get(file.name)
    if shape is None:
        return
    if shape is VISUAL and _is_textbox(content):
        shape = {**VISUAL, "visual": {**VISUAL["visual"], "objects?": _TEXTBOX}}
    yield from _differences(content, shape, "")


def _is_textbox(content: dict[str, Any]) -> bool:
    visual = content.get("visual")
    return isinstance(visual, dict) and visual.get("visualType") == "textbox"


def _differences(value: Any, shape: Any, where: str) -> Iterator[str]:
    """Yield the differences; `where` is the way to the value, such as `visual.query`."""
    kind = _kind(shape)
    if kind is object:
        return
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if kind is int:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits:
        yield f"{where or 'it'} is {_shown(value)}, not {_WORDS[kind]}"
    elif isinstance(shape, Text):
        if not shape.pattern.fullmatch(value):
            yield f"{where} is {value!r}, which is no literal"
    elif isinstance(shape, list):
        for place, one in enumerate(value):
            yield from _differences(one, shape[0], f"{where}[{place}]")
    elif isinstance(shape, Each):
        for key, one in value.items():
            yield from _differences(one, shape.shape, _below(where, key))
    elif isinstance(shape, Either):
        if len(value) != 1 or not shape.shapes.keys() >= value.keys():
            yield f"{where} has {_keys(value)}, not one of {_keys(shape.shapes)}"
            return
        for key, one in value.items():
            yield from _differences(one, shape.shapes[key], _below(where, key))
    elif isinstance(shape, dict):
        wanted = {key.removesuffix("?"): one for key, one in shape.items()}
        for key in value.keys() - wanted.keys():
            yield f"{_below(where, key)} is not known"
        for key in shape.keys() - value.keys():
            if not key.endswith("?"):
                yield f"{_below(where, key)} is missing"
        for key in value.keys() & wanted.keys():
            yield from _differences(value[key], wanted[key], _below(where, key))


def _kind(shape: Any) -> type:
    if isinstance(shape, type):
        return shape
    return str if isinstance(shape, Text) else list if isinstance(shape, list) else dict


def _below(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _keys(of: dict[str, Any]) -> str:
    return ", ".join(of) or "nothing"


def _shown(value: Any) -> str:
    return "null" if value is None else _WORDS.get(type(value), type(value).__name__)
