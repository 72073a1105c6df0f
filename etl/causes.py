"""Repair by cause: one operation on the received values of a whole group of invalid records."""

from __future__ import annotations

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
from etl.record_edit import edited
from etl.repair import Edit, RepairError

RECORDS_LIMIT = 20_000
"""Records that one repair takes; the rest of a larger group comes next."""

KINDS = ("set", "absolute", "map", "parse", "digits")
_VALUE_CHARACTERS = 1000
_ENTRIES_SHOWN = 3
_NEGATIVE = r"^\s*[-\x{2212}]\s*([0-9][0-9.,]*([eE][-+]?[0-9]+)?(\s*%)?)\s*$"
_DIRECTIVES = frozenset("dmyYbBHIMSpzaAf%")


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
            record=edited(one.record, dataset, {column.name: new}),
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
