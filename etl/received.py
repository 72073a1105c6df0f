"""Records as received, turned into one string column a declared column.

The exact text of every number is kept; lists, objects and booleans are marked, because they are
never the text or number that a column wants.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl.model import Dataset

_BLOCK = 1000
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
    has_escapes: bool  # without any \u escape, every text can be stored


@dataclass(frozen=True)
class _Shape:
    """How the records of a dataset are decoded."""

    record: type[msgspec.Struct]
    parents: dict[str, type[msgspec.Struct]]
    many: msgspec.json.Decoder[list[Any]]
    one: msgspec.json.Decoder[Any]
    paths: tuple[str, ...]


@cache
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
    # blocks that stay in the processor's cache from decoding to column: twice as fast
    blocks = [
        _receive_block(records[start : start + _BLOCK], dataset, shape)
        for start in range(0, len(records) or 1, _BLOCK)
    ]
    if len(blocks) == 1:
        return blocks[0]
    return Received(
        count=sum(block.count for block in blocks),
        text={
            name: pa.concat_arrays([block.text[name] for block in blocks])
            for name in dataset.column_names
        },
        not_scalar={
            name: _joined([(block.not_scalar[name], block.count) for block in blocks])
            for name in dataset.column_names
        },
        not_object=_joined([(block.not_object, block.count) for block in blocks]),
        has_escapes=any(block.has_escapes for block in blocks),
    )


def _joined(parts: list[tuple[NDArray[np.bool_] | None, int]]) -> NDArray[np.bool_] | None:
    if all(part is None for part, _ in parts):
        return None
    return np.concatenate(
        [np.zeros(count, bool) if part is None else part for part, count in parts]
    )


def _receive_block(records: Sequence[bytes], dataset: Dataset, shape: _Shape) -> Received:
    joined = b"[" + b",".join(records) + b"]"
    not_object = None
    try:
        rows = shape.many.decode(joined)
    except (msgspec.DecodeError, RecursionError):
        # one odd record (not an object, a lone surrogate, a parent that is no object): each alone
        rows = [_decode_one(record, shape) for record in records]
        flags = np.fromiter((row is None for row in rows), bool, len(rows))
        if flags.any():
            not_object = flags
            nothing = shape.record()
            rows = [row or nothing for row in rows]
    values = _columns(rows, shape)
    text: dict[str, pa.StringArray] = {}
    not_scalar: dict[str, NDArray[np.bool_] | None] = {}
    for column in dataset.columns:
        first, *others = column.paths
        array, odd = _as_text(values[first])
        # a later path counts only where the ones before it hold nothing at all
        for path in others:
            if not array.null_count:
                break
            found, found_odd = _as_text(values[path])
            open_ = pc.is_null(array).to_numpy(zero_copy_only=False)
            if odd is not None:
                open_ &= ~odd
            array = pc.if_else(pa.array(open_), found, array)
            if found_odd is not None and (found_odd & open_).any():
                odd = found_odd & open_ if odd is None else odd | (found_odd & open_)
        text[column.name] = array
        not_scalar[column.name] = odd
    return Received(
        count=len(rows),
        text=text,
        not_scalar=not_scalar,
        not_object=not_object,
        has_escapes=b"\\" in joined and b"\\u" in joined,  # one byte is found much faster
    )


def _columns(rows: list[Any], shape: _Shape) -> dict[str, Sequence[Any]]:
    """Return the values of each path."""
    values = dict(zip(shape.record.__struct_fields__, _transposed(rows, shape.record), strict=True))
    for parent, kind in shape.parents.items():
        empty = kind()
        children = _transposed([member or empty for member in values.pop(parent)], kind)
        values |= {
            f"{parent}.{name}": column
            for name, column in zip(kind.__struct_fields__, children, strict=True)
        }
    return values


def _transposed(rows: Sequence[Any], kind: type[msgspec.Struct]) -> Sequence[Sequence[Any]]:
    return list(zip(*map(msgspec.structs.astuple, rows), strict=True)) or [
        () for _ in kind.__struct_fields__
    ]


def _as_text(values: Sequence[Any]) -> tuple[pa.StringArray, NDArray[np.bool_] | None]:
    try:
        return pa.array(values, pa.string()), None
    except pa.ArrowTypeError:
        pass  # it holds more than texts
    texts = [str(value) if type(value) is int else value for value in values]
    try:
        return pa.array(texts, pa.string()), None
    except pa.ArrowTypeError:
        pass
    odd = np.fromiter((not isinstance(text, str | None) for text in texts), bool, len(texts))
    scalars = [text if isinstance(text, str) else None for text in texts]
    return pa.array(scalars, pa.string()), odd


def _decode_one(record: bytes, shape: _Shape) -> Any:
    """Return a record, None where it is no object."""
    try:
        return shape.one.decode(record)
    except (msgspec.DecodeError, RecursionError):
        pass
    value = json.loads(record, parse_float=str)
    if not isinstance(value, dict):
        return None
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
