"""Repair by cause: one operation on the received values of a whole group of invalid records."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from etl import datasets, repair
from etl.db import queries
from etl.model import Column
from etl.received import receive
from etl.repair import Edit, RepairError

RECORDS_LIMIT = 20_000
"""Records that one repair takes; the rest of a larger group comes next."""

KINDS = ("set", "absolute", "map", "parse", "digits")
_VALUE_CHARACTERS = 1000
_ENTRIES_SHOWN = 3
_NEGATIVE = r"^\s*[-\x{2212}]\s*([0-9][0-9.,]*([eE][-+]?[0-9]+)?(\s*%)?)\s*$"
_DIRECTIVES = frozenset("dmyYbBHIMSpzaAf%")
_NUMBER_TOKEN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Open records that break one rule in one column with values of one pattern."""

    dataset: str
    rule_id: int
    column: str
    pattern: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What is done to each received value.

    Raises RepairError for parameters that make no sense.
    """

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RepairError(f"there is no operation {self.kind!r}; use {', '.join(KINDS)}")
        {"set": self._check_set, "map": self._check_map, "parse": self._check_parse}.get(
            self.kind, _accept
        )()

    def _check_set(self) -> None:
        _require_value(self.parameters.get("value"))

    def _check_map(self) -> None:
        values = self.parameters.get("values")
        if not isinstance(values, Mapping) or not values:
            raise RepairError("say which value becomes which, such as: one → 1")
        for old, new in values.items():
            if not isinstance(old, str) or not old.strip():
                raise RepairError("an old value is empty; set a value to fill what is missing")
            _require_value(new)

    def _check_parse(self) -> None:
        wanted = self.parameters.get("format")
        if not isinstance(wanted, str) or not wanted.strip():
            raise RepairError("say how the dates are written, such as %d/%m/%Y")
        used = re.findall(r"%(.?)", wanted.replace("%%", ""))
        unknown = [one for one in used if one not in _DIRECTIVES]
        if unknown:
            raise RepairError(f"%{unknown[0]} is no part of a date; use %d, %m, %Y, %H, %M, %S …")
        parts = (("day", "d"), ("month", "mbB"), ("year", "yY"))
        lacking = [name for name, letters in parts if not set(letters) & set(used)]
        if lacking:
            raise RepairError(f"the format lacks the {' and the '.join(lacking)}")
        if len(set(used)) < len(used):
            raise RepairError("the format names one part of the date twice")

    def words(self, column: str) -> str:
        """Say what it does."""
        if self.kind == "set":
            return f"set {column} to “{self.parameters['value']}”"
        if self.kind == "absolute":
            return f"take the minus sign off {column}"
        if self.kind == "parse":
            return f"read {column} as {self.parameters['format']}"
        if self.kind == "digits":
            return f"keep only the digits of {column}"
        entries = [f"“{old}” → “{new}”" for old, new in self.parameters["values"].items()]
        more = len(entries) - _ENTRIES_SHOWN
        listed = ", ".join(entries[:_ENTRIES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return f"in {column}: {listed}"

    def apply(self, values: pa.StringArray) -> pa.StringArray:
        """Return the new value of each received value, null where it gives nothing new."""
        made = getattr(self, f"_{self.kind}")(values)
        is_new = pc.fill_null(pc.not_equal(made, values), True)
        return pc.if_else(is_new, made, pa.scalar(None, pa.string()))

    def _set(self, values: pa.StringArray) -> pa.StringArray:
        return pa.array([self.parameters["value"]] * len(values), pa.string())

    def _absolute(self, values: pa.StringArray) -> pa.StringArray:
        return _where(
            pc.match_substring_regex(values, _NEGATIVE),
            pc.replace_substring_regex(values, pattern=_NEGATIVE, replacement=r"\1"),
        )

    def _map(self, values: pa.StringArray) -> pa.StringArray:
        mapping = {old.strip(): new for old, new in self.parameters["values"].items()}
        found = pc.index_in(pc.utf8_trim_whitespace(values), pa.array(list(mapping), pa.string()))
        return pa.array(list(mapping.values()), pa.string()).take(found)

    def _parse(self, values: pa.StringArray) -> pa.StringArray:
        wanted = self.parameters["format"].strip()
        stripped = pd.Series(pc.utf8_trim_whitespace(values).to_pylist(), dtype="str")
        try:
            read = pd.to_datetime(
                stripped, format=wanted, errors="coerce", exact=True, utc="%z" in wanted
            )
        except ValueError as error:
            raise RepairError(f"the format {wanted} cannot be used: {error}") from error
        ending = "%Y-%m-%d" if not re.search("%[HIMSpfz]", wanted) else "%Y-%m-%dT%H:%M:%S"
        if "%f" in wanted:
            ending += ".%f"
        made = read.dt.strftime(ending + ("Z" if "%z" in wanted else ""))
        return pa.array(made.astype(object).where(read.notna(), None).tolist(), pa.string())

    def _digits(self, values: pa.StringArray) -> pa.StringArray:
        digits = pc.replace_substring_regex(values, pattern="[^0-9]+", replacement="")
        # 1.5 and 1,5 are not 15
        has_point = pc.match_substring_regex(values, "[0-9][.,][0-9]")
        return _where(pc.and_(pc.invert(has_point), pc.not_equal(digits, "")), digits)


def _accept() -> None:
    """Find nothing wrong."""


def _require_value(value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise RepairError("say which value it becomes")
    if len(value) > _VALUE_CHARACTERS:
        raise RepairError(f"the value is longer than {_VALUE_CHARACTERS:,} characters")


def _where(chosen: pa.BooleanArray, values: pa.StringArray) -> pa.StringArray:
    return pc.if_else(chosen, values, pa.scalar(None, pa.string()))


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The edits that an operation makes of a group."""

    group: Group
    operation: Operation
    edits: tuple[Edit, ...]
    changes: tuple[tuple[str | None, str], ...]  # the first distinct ones: received, new
    unchanged: int  # records to which the operation gives nothing new
    waiting: int  # records that an earlier repair waits to load
    beyond: int  # records beyond the limit of one repair


def propose(
    connection: Connection,
    group: Group,
    operation: Operation,
    *,
    limit: int = RECORDS_LIMIT,
    changes: int = 20,
) -> Proposal:
    """Return the edits of every record of the group that the operation changes, oldest first.

    Raises RepairError when the feed has no such column.
    """
    dataset = datasets.get(group.dataset)
    column = _column(group)
    found = queries.rows(
        connection,
        "queries/causes.items",
        dataset=group.dataset,
        rule_id=group.rule_id,
        column_name=group.column,
        pattern=group.pattern,
    )
    free = [row["quarantine_id"] for row in found if not row["is_waiting"]]
    originals = repair.received(connection, dataset, free[:limit])
    values = receive([one.record.encode() for one in originals], dataset).text[column.name]
    received, made = values.to_pylist(), operation.apply(values).to_pylist()
    edits = [
        Edit(
            quarantine_id=one.quarantine_id,
            version=one.version,
            record=with_member(one.record, column, new),
        )
        for one, new in zip(originals, made, strict=True)
        if new is not None
    ]
    pairs = dict.fromkeys(
        (old, new) for old, new in zip(received, made, strict=True) if new is not None
    )
    return Proposal(
        group=group,
        operation=operation,
        edits=tuple(edits),
        changes=tuple(pairs)[:changes],
        unchanged=len(originals) - len(edits),
        waiting=len(found) - len(free),
        beyond=max(0, len(free) - limit),
    )


def _column(group: Group) -> Column:
    for column in datasets.get(group.dataset).columns:
        if column.name == group.column:
            return column
    raise RepairError(f"{group.dataset} has no column {group.column}")


# One member of a JSON text ---------------------------------------------------------------


def with_member(record: str, column: Column, value: str) -> str:
    """Return the record with `value` where the column is read from; the rest byte for byte.

    A number stays a number where it can. A member that is missing is added at the end.
    """
    top = _members(record, 0)
    empty = None  # where null stands
    for path in column.paths:
        parent, _, name = path.rpartition(".")
        if parent and _is_odd(record, top, parent):
            start, end = top[parent]
            return f"{record[:start]}{_parent(name, value, column)}{record[end:]}"
        place = _place(record, top, path)
        if place is not None and record[slice(*place)] != "null":
            return _replaced(record, place, value, column)
        empty = empty or place
    if empty is not None:
        return _replaced(record, empty, value, column)
    for path in column.paths:
        parent, _, name = path.rpartition(".")
        if not parent:
            return _added(record, 0, name, _token(value, column, ""))
        if parent in top and record[top[parent][0]] == "{":
            return _added(record, top[parent][0], name, _token(value, column, ""))
    parent, _, name = column.paths[0].rpartition(".")
    made = _parent(name, value, column)
    if parent in top:
        start, end = top[parent]
        return record[:start] + made + record[end:]
    return _added(record, 0, parent, made)


def _is_odd(record: str, top: Mapping[str, tuple[int, int]], parent: str) -> bool:
    """Return whether something stands there that is no object: then no member of it is read."""
    return (
        parent in top and record[slice(*top[parent])] != "null" and (record[top[parent][0]] != "{")
    )


def _parent(name: str, value: str, column: Column) -> str:
    return f"{{{json.dumps(name)}: {_token(value, column, '')}}}"


def _place(record: str, top: Mapping[str, tuple[int, int]], path: str) -> tuple[int, int] | None:
    parent, _, name = path.rpartition(".")
    if not parent:
        return top.get(name)
    if parent not in top or record[top[parent][0]] != "{":
        return None
    return _members(record, top[parent][0]).get(name)


_DECODER = json.JSONDecoder(strict=False)


def _members(record: str, at: int) -> dict[str, tuple[int, int]]:
    """Return where the value of each member stands in the object that begins at `at`.

    Of members of one name the last counts, as in reading. Raises RepairError for no object.
    """
    places: dict[str, tuple[int, int]] = {}
    at = _after_space(record, at)
    if record[at : at + 1] != "{":
        raise RepairError("the record is no object; edit it by hand")
    at = _after_space(record, at + 1)
    try:
        while record[at] != "}":
            name, at = _DECODER.raw_decode(record, at)
            at = _after_space(record, at)  # the colon
            start = _after_space(record, at + 1)
            _, end = _DECODER.raw_decode(record, start)
            places[name] = (start, end)
            at = _after_space(record, end)
            if record[at] == ",":
                at = _after_space(record, at + 1)
    except (ValueError, IndexError, RecursionError) as error:
        raise RepairError("the record cannot be edited in place; edit it by hand") from error
    return places


def _after_space(record: str, at: int) -> int:
    found = _SPACE.match(record, at)
    return found.end() if found else at


def _replaced(record: str, place: tuple[int, int], value: str, column: Column) -> str:
    start, end = place
    return record[:start] + _token(value, column, record[start:end]) + record[end:]


def _token(value: str, column: Column, before: str) -> str:
    is_number = _NUMBER_TOKEN.fullmatch(before) is not None or (
        before in {"", "null"} and column.type.startswith(("integer", "numeric"))
    )
    if is_number and _NUMBER_TOKEN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _added(record: str, start: int, name: str, token: str) -> str:
    """Add a member at the end of the object that begins at `start`."""
    opening = _after_space(record, start)
    _, end = _DECODER.raw_decode(record, opening)
    is_empty = record[_after_space(record, opening + 1)] == "}"
    body = record[: end - 1].rstrip()
    return f"{body}{'' if is_empty else ', '}{json.dumps(name)}: {token}{record[len(body) :]}"
