"""Reads the part of TMDL that `tmdl` writes, strictly: anything else is an error with its line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# keyword -> the properties that it may have; a property without value is a flag
PROPERTIES: dict[str, set[str]] = {
    "database": {"compatibilityLevel"},
    "model": {
        "culture",
        "defaultPowerBIDataSourceVersion",
        "discourageImplicitMeasures",
        "sourceQueryCulture",
        "dataAccessOptions",
        "legacyRedirects",
        "returnErrorValuesAsNull",
    },
    "table": {"lineageTag", "dataCategory", "isHidden"},
    "column": {
        "dataType",
        "isHidden",
        "isKey",
        "formatString",
        "lineageTag",
        "summarizeBy",
        "sourceColumn",
        "sortByColumn",
    },
    "measure": {"formatString", "displayFolder", "lineageTag", "isHidden"},
    "partition": {"mode", "source"},
    "relationship": {
        "relyOnReferentialIntegrity",
        "fromColumn",
        "toColumn",
        "crossFilteringBehavior",
        "fromCardinality",
        "toCardinality",
        "isActive",
    },
    "role": {"modelPermission"},
    "expression": {"lineageTag"},
    "annotation": set(),
    "ref": set(),
}
# keyword -> the keyword that it stands below; none: at the margin
_PARENTS: dict[str, set[str | None]] = {
    "column": {"table"},
    "measure": {"table"},
    "partition": {"table"},
    "annotation": {None, "table", "column", "measure", "expression", "partition"},
}
_NAME = r"(?:'(?:[^']|'')+'|[A-Za-z_][\w-]*|[0-9a-f-]{36})"
_DECLARATION = re.compile(
    rf"(?P<keyword>{'|'.join(PROPERTIES)}) (?:(?P<of>table|role) )?(?P<name>{_NAME})"
    r"(?: =(?: (?P<value>\S.*))?)?"
)
_PROPERTY = re.compile(r"(?P<name>\w+)(?:: (?P<value>\S.*)|(?P<block> =))?")


class TmdlError(Exception):
    """The text is not the TMDL that is written here; `line` starts at 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(kw_only=True)
class Node:
    """An object: its keyword, name, expression, properties (None for a flag), and what is in it."""

    keyword: str
    name: str
    line: int
    of: str | None = None  # what a `ref` refers to
    expression: str = ""
    description: str = ""
    properties: dict[str, str | None] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    def all(self, keyword: str) -> list[Node]:
        """Return the children of the keyword."""
        return [child for child in self.children if child.keyword == keyword]


def unquoted(name: str) -> str:
    """Return the name without TMDL's quotes."""
    return name[1:-1].replace("''", "'") if name.startswith("'") else name


def column_of(reference: str) -> tuple[str, str]:
    """Return table and column of a reference such as `transactions.'a b'`.

    Raises ValueError when it is none.
    """
    found = re.fullmatch(rf"({_NAME})\.({_NAME})", reference)
    if found is None:
        raise ValueError(reference)
    return unquoted(found[1]), unquoted(found[2])


def parse(text: str) -> list[Node]:
    """Return the objects at the margin, in the order of the text.

    Raises TmdlError at the first line that is not understood.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.at = 0

    def read(self) -> list[Node]:
        roots: list[Node] = []
        path: list[Node] = []  # the object at each depth above this line
        description: list[str] = []
        while self.at < len(self.lines):
            number, line = self.at + 1, self.lines[self.at]
            self.at += 1
            content = line.lstrip("\t")
            depth = len(line) - len(content)
            if not content:
                continue
            if content != content.strip():
                raise TmdlError(number, "indented with spaces, or spaces at its end; tabs only")
            if content.startswith("///"):
                description.append(content.removeprefix("///").strip())
                continue
            if found := _DECLARATION.fullmatch(content):
                node = self._node(found, number, depth, " ".join(description))
                description = []
                if depth > len(path):
                    raise TmdlError(number, f"`{content}` is indented too far")
                del path[depth:]
                above = path[-1] if path else None
                allowed = _PARENTS.get(node.keyword, {None})
                if (above.keyword if above else None) not in allowed:
                    raise TmdlError(number, f"`{content}` stands where it must not")
                (above.children if above else roots).append(node)
                path.append(node)
                continue
            self._property(content, number, depth, path)
        if description:
            raise TmdlError(len(self.lines), "a description of nothing")
        return roots

    def _node(self, found: re.Match[str], number: int, depth: int, description: str) -> Node:
        expression = found["value"] or ""
        if found[0].endswith(" ="):
            expression = self._block(depth, number)
        return Node(
            keyword=found["keyword"],
            of=found["of"],
            name=unquoted(found["name"]),
            line=number,
            expression=expression,
            description=description,
        )

    def _property(self, content: str, number: int, depth: int, path: list[Node]) -> None:
        found = _PROPERTY.fullmatch(content)
        owner = path[min(depth, len(path)) - 1] if path and depth else None
        if found is None or owner is None:
            raise TmdlError(number, f"`{content}` is not understood")
        if found["name"] not in PROPERTIES[owner.keyword]:
            raise TmdlError(
                number, f"{owner.keyword} {owner.name} has an unknown property `{found['name']}`"
            )
        if found["name"] in owner.properties:
            raise TmdlError(
                number, f"{owner.keyword} {owner.name} says `{found['name']}` a second time"
            )
        owner.properties[found["name"]] = (
            self._block(depth, number) if found["block"] else found["value"]
        )

    def _block(self, depth: int, number: int) -> str:
        """Return the expression of several lines, two tabs deeper than what it belongs to."""
        margin = "\t" * (depth + 2)
        taken: list[str] = []
        while self.at < len(self.lines) and self.lines[self.at].startswith(margin):
            taken.append(self.lines[self.at].removeprefix(margin))
            self.at += 1
        if not taken:
            raise TmdlError(number, "an expression must follow, two tabs deeper")
        return "\n".join(taken)
