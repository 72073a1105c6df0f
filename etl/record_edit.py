"""Edits of a received record: only the members that are touched change, the rest stays as it came.

Works on the JSON text itself, so that numbers keep their digits, members their order, and fields
that nobody declared their place. Of members of one name the last counts, as it does to the engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from etl.errors import RevenueError
from etl.model import Column, Dataset

_SPACE = re.compile(r"[ \t\r\n]*")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_NUMBERS = ("numeric", "integer", "bigint", "smallint", "double", "real")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)

Kind = Literal["absent", "null", "text", "number", "other"]


class NotAnObjectError(RevenueError):
    """The text is not one JSON object, so that it has no fields."""

    code = "not_an_object"


@dataclass(frozen=True, kw_only=True)
class Field:
    """What a record holds in the place of a column; `text` is "" where it holds nothing."""

    column: Column
    path: str  # where it stands, or would stand
    kind: Kind
    text: str  # half characters as U+FFFD; a list, an object, true and false as JSON


@dataclass(frozen=True, kw_only=True)
class _Member:
    name: str
    name_start: int
    name_end: int
    start: int  # of the value
    end: int


@dataclass(frozen=True, kw_only=True)
class _Object:
    members: tuple[_Member, ...]
    end: int  # of the closing brace

    def last(self, name: str) -> _Member | None:
        return next((one for one in reversed(self.members) if one.name == name), None)


def fields(record: str, dataset: Dataset) -> list[Field]:
    """Return what the record holds, one field a declared column.

    Raises NotAnObjectError.
    """
    root = _root(record)
    return [_field(record, root, column, dataset) for column in dataset.columns]


def edited(record: str, dataset: Dataset, changes: Mapping[str, str | None]) -> str:
    """Return the record with these values, by column; None clears one.

    A value that reads as a JSON number becomes a number in a column of numbers, unless a text
    stood there; anything else becomes a text. A value that is there already changes nothing.

    Raises NotAnObjectError.
    """
    columns = {column.name: column for column in dataset.columns}
    for name, value in changes.items():
        record = _with(record, dataset, columns[name], value)
    return record


def _with(record: str, dataset: Dataset, column: Column, value: str | None) -> str:
    root = _root(record)
    if value is None:
        # what a later path holds would count instead
        for path in column.paths:
            if _kind(record, _value(record, root, path)) not in {"absent", "null"}:
                record = _put(record, path, "null")
                root = _root(record)
        return record
    field = _field(record, root, column, dataset)
    if field.text == value and field.kind in {"text", "number", "other"}:
        return record
    is_number = (
        column.type.startswith(_NUMBERS)
        and field.kind != "text"
        and _JSON_NUMBER.fullmatch(value) is not None
    )
    return _put(record, field.path, value if is_number else _quoted(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def differences(
    before: str, after: str, dataset: Dataset
) -> list[tuple[str, str | None, str | None]]:
    """Return what differs, by column or by path of a field that is not declared, as text.

    None stands for null and for nothing. Where one is no object, the whole text differs.
    """
    try:
        old, new = _shown(before, dataset), _shown(after, dataset)
    except NotAnObjectError:
        return [("whole record", before, after)] if before != after else []
    found: list[tuple[str, str | None, str | None]] = []
    for name in dict.fromkeys([*new, *old]):
        (old_kind, was), (new_kind, is_now) = (
            one.get(name, ("absent", None)) for one in (old, new)
        )
        if was == is_now and old_kind != new_kind and was is not None:
            was, is_now = (
                _quoted(text) if kind == "text" else text
                for kind, text in ((old_kind, was), (new_kind, was))
            )
        if was != is_now:
            found.append((name, was, is_now))
    return found


def _shown(record: str, dataset: Dataset) -> dict[str, tuple[str, str | None]]:
    root = _root(record)
    shown: dict[str, tuple[str, str | None]] = {}
    for one in fields(record, dataset):
        is_there = one.kind not in {"absent", "null"}
        shown[one.column.name] = (one.kind, one.text if is_there else None)
    paths = {path for column in dataset.columns for path in column.paths}
    parents = {path.rpartition(".")[0] for path in paths} - {""}
    inside = {
        parent: found
        for parent in parents
        if (member := root.last(parent)) and (found := _object(record, member.start))
    }
    for parent, within in {"": root, **inside}.items():
        for member in within.members:
            path = f"{parent}.{member.name}" if parent else member.name
            if path not in paths and path not in parents:
                kind = _kind(record, member)
                shown[path] = (kind, _text(record, member, kind) if kind != "null" else None)
    return shown


# Reading --------------------------------------------------------------------------------


def _root(record: str) -> _Object:
    try:
        found = _object(record, _after_space(record, 0))
        is_whole = found is not None and _after_space(record, found.end + 1) == len(record)
    except (ValueError, RecursionError, IndexError):
        is_whole = False
    if not is_whole:
        raise NotAnObjectError("the record is not one JSON object: { … }")
    assert found is not None
    return found


def _after_space(record: str, start: int) -> int:
    found = _SPACE.match(record, start)
    assert found is not None
    return found.end()


def _object(record: str, start: int) -> _Object | None:
    """Return the object that begins at `start`, None where something else does."""
    if record[start] != "{":
        return None
    members: list[_Member] = []
    at = _after_space(record, start + 1)
    while record[at] != "}":
        if members:
            if record[at] != ",":
                raise ValueError(at)
            at = _after_space(record, at + 1)
        if record[at] != '"':
            raise ValueError(at)
        name, name_end = _DECODER.raw_decode(record, at)
        colon = _after_space(record, name_end)
        if record[colon] != ":":
            raise ValueError(colon)
        value_start = _after_space(record, colon + 1)
        _, end = _DECODER.raw_decode(record, value_start)
        members.append(
            _Member(name=name, name_start=at, name_end=name_end, start=value_start, end=end)
        )
        at = _after_space(record, end)
    return _Object(members=tuple(members), end=at)


def _value(record: str, root: _Object, path: str) -> _Member | None:
    """Return the member at a path; a parent that is no object answers for its children."""
    parent, _, child = path.rpartition(".")
    if not parent:
        return root.last(child)
    found = root.last(parent)
    if found is None or _kind(record, found) == "null":
        return None
    within = _object(record, found.start)
    return found if within is None else within.last(child)


def _kind(record: str, member: _Member | None) -> Kind:
    if member is None:
        return "absent"
    first = record[member.start]
    if first == '"':
        return "text"
    if first == "n":
        return "null"
    return "number" if first in "-0123456789" else "other"


def _field(record: str, root: _Object, column: Column, dataset: Dataset) -> Field:
    found = [(path, _value(record, root, path)) for path in column.paths]
    kinds = [(path, member, _field_kind(record, path, root, member)) for path, member in found]
    for wanted in ({"text", "number", "other"}, {"null"}):
        for path, member, kind in kinds:
            if kind in wanted:
                text = "" if kind == "null" else _text(record, member, kind)
                return Field(column=column, path=path, kind=kind, text=text)
    return Field(column=column, path=_place(root, column, dataset), kind="absent", text="")


def _field_kind(record: str, path: str, root: _Object, member: _Member | None) -> Kind:
    parent = path.rpartition(".")[0]
    is_parent = bool(parent) and member is not None and member is root.last(parent)
    return "other" if is_parent else _kind(record, member)


def _text(record: str, member: _Member | None, kind: Kind) -> str:
    assert member is not None
    text: Any = record[member.start : member.end]
    if kind == "text":
        text = _DECODER.raw_decode(record, member.start)[0]
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def _place(root: _Object, column: Column, dataset: Dataset) -> str:
    """Return where a missing value belongs: the first path, or the flat one in a flat record."""
    first = column.paths[0]
    parent = first.rpartition(".")[0]
    if not parent or root.last(parent) is not None:
        return first
    flat = {path for one in dataset.columns for path in one.paths[1:] if "." not in path}
    if any(root.last(name) is not None for name in flat):
        return next((path for path in column.paths if "." not in path), first)
    return first


# Writing --------------------------------------------------------------------------------


def _put(record: str, path: str, value: str) -> str:
    """Replace the value at a path by this JSON, or add it."""
    parent, _, child = path.rpartition(".")
    root = _root(record)
    if not parent:
        return _put_into(record, root, child, value)
    found = root.last(parent)
    within = None if found is None else _object(record, found.start)
    if within is not None:
        return _put_into(record, within, child, value)
    return _put_into(record, root, parent, f"{{{_quoted(child)}: {value}}}")


def _put_into(record: str, within: _Object, name: str, value: str) -> str:
    member = within.last(name)
    if member is not None:
        return record[: member.start] + value + record[member.end :]
    if not within.members:
        return f"{record[: within.end]}{_quoted(name)}: {value}{record[within.end :]}"
    # set as its neighbours are: on a line of its own, or behind a blank
    *before, last = within.members
    comma = record[before[-1].end : last.name_start] if before else ", "
    colon = record[last.name_end : last.start]
    added = f"{comma}{_quoted(name)}{colon}{value}"
    return record[: last.end] + added + record[last.end :]
