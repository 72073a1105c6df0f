"""Records as received, turned into one string column a declared column.

The exact text of every number is kept; lists, objects and booleans are marked, because they are
never the text or number that a column wants.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl.model import Dataset

UNSTORABLE = "\x00"
"""Stands for a lone surrogate, too: neither can be stored as PostgreSQL text."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """The columns of a run of records: one element a record in each.

    `text[name]` is an Arrow string array, null where missing or null; `not_scalar[name]` is true
    where a list, object or boolean stood, or None where that happened nowhere.
    """

    count: int
    text: dict[str, pa.StringArray]
    not_scalar: dict[str, NDArray[np.bool_] | None]
    not_object: NDArray[np.bool_] | None


class _NotAnObject:
    """Answers None to every column."""

    def __getattr__(self, name: str) -> None:
        return None


_NOT_AN_OBJECT = _NotAnObject()


@dataclass(frozen=True)
class _Shape:
    """How the records of a dataset are decoded."""

    record: type[msgspec.Struct]
    parents: dict[str, type[msgspec.Struct]]
    many: msgspec.json.Decoder[list[Any]]
    one: msgspec.json.Decoder[Any]
    paths: tuple[str, ...]


@lru_cache(maxsize=None)
def _shape(paths: tuple[str, ...]) -> _Shape:
    children: dict[str, list[str]] = {}
    fields: list[tuple[str, Any, Any]] = []
    for path in paths:
        parent, _, child = path.rpartition(".")
        if parent:
            children.setdefault(parent, []).append(child)
        else:
            fields.append((path, Any, None))
    parents = {
        parent: msgspec.defstruct(parent, [(name, Any, None) for name in names], gc=False)
        for parent, names in children.items()
    }
    fields += [(parent, kind | None, None) for parent, kind in parents.items()]
    record = msgspec.defstruct("Record", fields, gc=False)
    return _Shape(
        record=record,
        parents=parents,
        # float_hook keeps a number's text, so that no digit is lost before it is judged
        many=msgspec.json.Decoder(list[record], float_hook=str),  # type: ignore[valid-type]
        one=msgspec.json.Decoder(record, float_hook=str),
        paths=paths,
    )


def receive(records: Sequence[bytes], dataset: Dataset) -> Received:
    """Decode `records` (each one JSON value as received) into the dataset's columns."""
    shape = _shape(tuple(path for column in dataset.columns for path in column.paths))
    not_object = None
    try:
        rows = shape.many.decode(b"[" + b",".join(records) + b"]")
    except (msgspec.DecodeError, RecursionError):
        # one odd record (not an object, a lone surrogate, a parent that is no object): each alone
        rows = [_decode_one(record, shape) for record in records]
        flags = np.fromiter((row is _NOT_AN_OBJECT for row in rows), bool, len(rows))
        not_object = flags if flags.any() else None
    values = _columns(rows, shape)
    text: dict[str, pa.StringArray] = {}
    not_scalar: dict[str, NDArray[np.bool_] | None] = {}
    for column in dataset.columns:
        array, odd = _as_text(values[column.paths[0]])
        for path in column.paths[1:]:
            other, other_odd = _as_text(values[path])
            if other.null_count < len(other):
                array = pc.coalesce(array, other)
            if other_odd is not None:
                odd = other_odd if odd is None else odd | other_odd
        text[column.name] = array
        not_scalar[column.name] = odd
    return Received(count=len(rows), text=text, not_scalar=not_scalar, not_object=not_object)


def _columns(rows: list[Any], shape: _Shape) -> dict[str, Sequence[Any]]:
    if not rows:
        return {path: () for path in shape.paths}
    values: dict[str, Sequence[Any]] = {}
    members: dict[str, list[Any]] = {"": rows}
    for parent, kind in shape.parents.items():
        empty = kind()
        members[parent] = [member or empty for member in map(attrgetter(parent), rows)]
    for path in shape.paths:
        parent, _, name = path.rpartition(".")
        values[path] = list(map(attrgetter(name), members[parent]))
    return values


def _as_text(values: Sequence[Any]) -> tuple[pa.StringArray, NDArray[np.bool_] | None]:
    try:
        return pa.array(values, pa.string()), None
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        pass
    odd = None
    texts = [value if type(value) is str else _number_text(value) for value in values]
    if _ODD in texts:
        odd = np.fromiter((value is _ODD for value in texts), bool, len(texts))
        texts = [None if value is _ODD else value for value in texts]
    return pa.array(texts, pa.string()), odd


_ODD: Any = object()


def _number_text(value: object) -> Any:
    if value is None:
        return None
    return str(value) if type(value) is int else _ODD


def _decode_one(record: bytes, shape: _Shape) -> Any:
    try:
        return shape.one.decode(record)
    except (msgspec.DecodeError, RecursionError):
        pass
    value = json.loads(record, parse_float=str)
    if not isinstance(value, dict):
        return _NOT_AN_OBJECT
    members: dict[str, Any] = {}
    for name in shape.record.__struct_fields__:
        member = _storable(value.get(name))
        kind = shape.parents.get(name)
        if kind is not None and member is not None:
            # a parent of the wrong shape marks each of its columns as not scalar
            member = kind(
                **{
                    child: _storable(member.get(child)) if isinstance(member, dict) else []
                    for child in kind.__struct_fields__
                }
            )
        members[name] = member
    return shape.record(**members)


def _storable(value: Any) -> Any:
    """Replace lone surrogates, which Arrow cannot hold either, by the unstorable mark."""
    if isinstance(value, str):
        return "".join(UNSTORABLE if "\ud800" <= c <= "\udfff" else c for c in value)
    return value
