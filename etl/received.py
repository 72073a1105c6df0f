"""Records as received, turned into one string column a declared column.

The exact text of every number is kept; lists, objects and booleans are marked, because they are
never the text or number that a column wants.

Arrow decodes records that are plain: objects whose declared columns hold texts, numbers or nothing.
It refuses everything else, and then msgspec decodes, slower, with the same result.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl.model import Dataset

_PLAIN_BLOCK = 4000
_BLOCK = 1000
_NUMBER_OF_A_MEMBER = r'": ?(-?[0-9][^,}\s]*)'
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
    schema: pa.Schema
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
        schema=pa.schema(
            [(path, pa.string()) for path in paths if "." not in path]
            + [
                (parent, pa.struct([(name, pa.string()) for name in names]))
                for parent, names in children.items()
            ]
        ),
        # float_hook keeps a number's text, so that no digit is lost before it is judged
        many=msgspec.json.Decoder(list[record], float_hook=str),  # type: ignore[valid-type]
        one=msgspec.json.Decoder(record, float_hook=str),
        paths=paths,
    )


def receive(records: Sequence[bytes], dataset: Dataset) -> Received:
    """Decode `records` (each one JSON value as received) into the dataset's columns."""
    shape = _shape(tuple(path for column in dataset.columns for path in column.paths))
    # blocks that stay in the processor's cache from decoding to column: twice as fast
    blocks = []
    for start in range(0, len(records) or 1, _PLAIN_BLOCK):
        block = records[start : start + _PLAIN_BLOCK]
        plain = _receive_plain(block, dataset, shape)
        if plain is not None:
            blocks.append(plain)
            continue
        blocks += [
            _receive_block(block[start : start + _BLOCK], dataset, shape)
            for start in range(0, len(block) or 1, _BLOCK)
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


def _receive_plain(records: Sequence[bytes], dataset: Dataset, shape: _Shape) -> Received | None:
    """Decode plain records, None where one of them is not; other threads go on meanwhile."""
    lines = b"\n".join(records)
    if lines.count(b"\n") >= len(records):
        # between two tokens: no string of JSON holds a bare line feed
        lines = b"\n".join([record.replace(b"\n", b" ") for record in records])
    if not lines.startswith(b"{") or lines.count(b"\n{") != len(records) - 1:
        return None  # not objects only, which Arrow does not refuse but crashes at
    # as texts, numbers keep every digit. Where a string holds what looks like a member, it ends
    # before the number then, and Arrow refuses the block
    quoted = pc.replace_substring_regex(
        pa.scalar(lines, pa.binary()), pattern=_NUMBER_OF_A_MEMBER, replacement=r'":"\1"'
    )
    try:
        table = pj.read_json(
            pa.BufferReader(quoted.as_buffer()),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(quoted.as_buffer()) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=shape.schema, unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != len(records):
        return None
    values: dict[str, pa.StringArray] = {}
    for name in shape.schema.names:
        column = table[name].combine_chunks()
        if name in shape.parents:
            children = [f"{name}.{child.name}" for child in column.type]
            values.update(zip(children, column.flatten(), strict=True))
        else:
            values[name] = column
    # msgspec takes the number -0 for 0
    if any(pc.any(pc.equal(array, "-0")).as_py() for array in values.values()):
        return None
    return Received(
        count=len(records),
        text={
            column.name: pc.coalesce(*(values[path] for path in column.paths))
            for column in dataset.columns
        },
        not_scalar=dict.fromkeys(dataset.column_names),
        not_object=None,
        has_escapes=b"\\u" in lines,
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
    absent: frozenset[str] = frozenset()
    try:
        rows = shape.many.decode(joined)
        absent = _absent(joined, shape)
    except (msgspec.DecodeError, RecursionError):
        # one odd record (not an object, a lone surrogate, a parent that is no object): each alone
        rows = [_decode_one(record, shape) for record in records]
        flags = np.fromiter((row is _NOT_AN_OBJECT for row in rows), bool, len(rows))
        not_object = flags if flags.any() else None
    values = _columns(rows, shape, absent)
    text: dict[str, pa.StringArray] = {}
    not_scalar: dict[str, NDArray[np.bool_] | None] = {}
    for column in dataset.columns:
        array: pa.StringArray | None = None
        odd: NDArray[np.bool_] | None = None
        for path in column.paths:
            if path not in values:
                continue
            found, found_odd = _as_text(values[path])
            if array is None:
                array, odd = found, found_odd
                continue
            # a later path counts only where the ones before it hold nothing at all
            open_ = pc.is_null(array).to_numpy(zero_copy_only=False)
            if odd is not None:
                open_ &= ~odd
            array = pc.if_else(pa.array(open_), found, array)
            if found_odd is not None and (found_odd & open_).any():
                odd = found_odd & open_ if odd is None else odd | (found_odd & open_)
        text[column.name] = pa.nulls(len(rows), pa.string()) if array is None else array
        not_scalar[column.name] = odd
    return Received(
        count=len(rows),
        text=text,
        not_scalar=not_scalar,
        not_object=not_object,
        has_escapes=b"\\u" in joined,
    )


def _absent(joined: bytes, shape: _Shape) -> frozenset[str]:
    """Return the paths whose name stands nowhere in the records, not even in escapes."""
    if b"\\u" in joined:
        return frozenset()
    return frozenset(
        path for path in shape.paths if f'"{path.rpartition(".")[2]}"'.encode() not in joined
    )


def _columns(rows: list[Any], shape: _Shape, absent: frozenset[str]) -> dict[str, Sequence[Any]]:
    if not rows:
        return {}
    values: dict[str, Sequence[Any]] = {}
    members: dict[str, list[Any]] = {"": rows}
    for parent, kind in shape.parents.items():
        empty = kind()
        members[parent] = [member or empty for member in map(attrgetter(parent), rows)]
    for path in shape.paths:
        if path not in absent:
            parent, _, name = path.rpartition(".")
            values[path] = list(map(attrgetter(name), members[parent]))
    return values


_NONE = type(None)
_ODD: Any = object()


def _as_text(values: Sequence[Any]) -> tuple[pa.StringArray, NDArray[np.bool_] | None]:
    kinds = set(map(type, values))
    if kinds <= {str, _NONE}:
        return pa.array(values, pa.string()), None
    if kinds <= {int, _NONE}:
        try:
            return pa.array(values, pa.int64()).cast(pa.string()), None
        except OverflowError:
            pass
    if kinds <= {int, str, _NONE}:
        distinct = set(values)
        texts = {value: value if value is None else str(value) for value in distinct}
        return pa.array(list(map(texts.__getitem__, values)), pa.string()), None
    marked = [_text_or_odd(value) for value in values]
    odd = np.fromiter((value is _ODD for value in marked), bool, len(marked))
    return pa.array([None if value is _ODD else value for value in marked], pa.string()), odd


def _text_or_odd(value: object) -> Any:
    if value is None or type(value) is str:
        return value
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
