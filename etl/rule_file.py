"""Rules as a YAML file: stable, ordered, complete; read back with the line of each rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from etl import datasets
from etl.rule_definition import RuleDefinition, RuleError, check

LARGEST_FILE = 256 * 1024  # bytes
_DEEPEST = 20
_NAMES = {  # in the file -> in the table; in the order in which they are written
    "code": "code",
    "column": "column_name",
    "kind": "kind",
    "parameters": "parameters",
    "judges": "judges",
    "severity": "severity",
    "message": "message",
    "active": "active",
    "order": "ordinal",
    "owner": "owner",
    "warn_records": "warn_records",
    "warn_rate": "warn_rate",
    "stop_records": "stop_records",
    "stop_rate": "stop_rate",
}
_ALWAYS = {"code", "column", "kind", "judges", "severity", "message", "active", "order"}
_NEEDED = ("code", "column", "kind", "message", "order")


@dataclass(frozen=True, kw_only=True)
class Written:
    """A rule of a file."""

    dataset: str
    line: int  # from 1
    rule: RuleDefinition


def written(rules: Mapping[str, Sequence[RuleDefinition]]) -> str:
    """Return the rules of feeds as YAML, feeds by name and rules in their order."""
    document = {
        dataset: [
            {
                name: dict(value) if name == "parameters" else value
                for name, field in _NAMES.items()
                if (value := getattr(rule, field)) not in (None, {}) or name in _ALWAYS
            }
            for rule in sorted(rules[dataset], key=lambda rule: (rule.ordinal, rule.code))
        ]
        for dataset in sorted(rules)
    }
    text = _dumped(document, allow_unicode=True)
    # as they are, a few odd characters (such as NEL) would be read as line breaks
    is_same = text.isascii() or yaml.safe_load(text) == document
    return text if is_same else _dumped(document, allow_unicode=False)


def _dumped(document: object, *, allow_unicode: bool) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=allow_unicode, width=100)
    return text


def read(content: bytes) -> list[Written]:
    """Return the rules of a file, each one checked by itself.

    Raises RuleError naming the line and the rule.
    """
    if len(content) > LARGEST_FILE:
        raise RuleError(f"the file is larger than {LARGEST_FILE:,} bytes: it is no file of rules")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RuleError("the file is no UTF-8 text") from None
    try:
        _refuse_endless(text)
        loader = yaml.SafeLoader(text)
        try:
            return _feeds(loader, loader.get_single_node())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RuleError(f"line {line}: this is no YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise RuleError(f"this is no YAML: {str(error).splitlines()[0]}") from None


def _refuse_endless(text: str) -> None:
    """Refuse what would let a small file stand for an endless one, or take endlessly long."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise RuleError(f"line {_line(event)}: anchors and aliases are not used here")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise RuleError(f"line {_line(event)}: this is nested too deeply")


def _feeds(loader: yaml.SafeLoader, root: yaml.Node | None) -> list[Written]:
    found: list[Written] = []
    for name, key, node in _members(root, "the file", "feeds, each with a list of rules"):
        if name not in datasets.declared():
            raise RuleError(f"line {_line(key)}: there is no feed {name!r}")
        if not isinstance(node, yaml.SequenceNode):
            raise RuleError(f"line {_line(node)}: {name} must hold a list of rules")
        codes: dict[str, int] = {}
        for one in node.value:
            written_ = _rule(loader, name, one)
            if written_.rule.code in codes:
                raise RuleError(
                    f"line {written_.line}, rule {written_.rule.code}: it stands in line "
                    f"{codes[written_.rule.code]} already"
                )
            codes[written_.rule.code] = written_.line
            found.append(written_)
    return found


def _rule(loader: yaml.SafeLoader, dataset: str, node: yaml.Node) -> Written:
    line, code = _line(node), "?"
    try:
        values = {}
        for name, key, member in _members(node, "a rule", "names with values"):
            if name not in _NAMES:
                raise RuleError(f"there is no {name!r} (line {_line(key)})")
            values[_NAMES[name]] = loader.construct_object(member, deep=True)
            if name == "code":
                code = str(values["code"])
        for name in _NEEDED:
            if values.get(_NAMES[name]) is None:
                raise RuleError(f"{name} is missing")
        if values.get("parameters") is None:
            values.pop("parameters", None)
        rule = RuleDefinition(**values)
        check(datasets.get(dataset), rule)
    except RuleError as error:
        raise RuleError(f"line {line}, rule {code}: {error.message}") from None
    return Written(dataset=dataset, line=line, rule=rule)


def _members(node: yaml.Node | None, what: str, of: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        where = f"line {_line(node)}: " if node is not None else ""
        raise RuleError(f"{where}{what} must hold {of}")
    found: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in found:
            raise RuleError(f"line {_line(key)}: {name} stands twice")
        found[name] = (name, key, value)
    return list(found.values())


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
