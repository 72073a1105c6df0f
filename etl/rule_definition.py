"""A rule as an operator sets it, and what makes it one that can judge."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from etl import datasets, validate
from etl.errors import RevenueError
from etl.model import Column, Dataset, Judges, Severity
from etl.normalise import STRING

CODE_CHARACTERS = 60
MESSAGE_CHARACTERS = 200
OWNER_CHARACTERS = 100
PATTERN_CHARACTERS = 500
VALUE_CHARACTERS = 255
LISTED_VALUES = 1000
LARGEST_ORDINAL = 1_000_000
_CODE = re.compile(r"[a-z][a-z0-9_]*")


class RuleError(RevenueError):
    """A rule cannot be as wished."""

    code = "rule"


@dataclass(frozen=True, kw_only=True)
class RuleDefinition:
    """What an operator sets of a rule: the columns of dq.rule but identity, version and origin."""

    code: str
    column_name: str
    kind: str
    message: str
    severity: str = Severity.REJECT.value
    judges: str = Judges.NORMALISED.value
    parameters: Mapping[str, Any] = field(default_factory=dict)
    ordinal: int = 0  # order of the messages
    active: bool = True
    owner: str | None = None
    warn_records: int | None = None
    warn_rate: float | None = None  # fraction of the records of a batch, above 0 up to 1
    stop_records: int | None = None
    stop_rate: float | None = None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> RuleDefinition:
        """Return the definition in a row of dq.rule, of its history, or in a draft."""
        values = {one.name: row[one.name] for one in fields(cls) if one.name in row}
        for name in ("warn_rate", "stop_rate"):
            if values.get(name) is not None:
                values[name] = float(values[name])
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def sentence(self) -> str:
        return validate.sentence_of(self.kind, self.column_name, self.parameters)


def changes(before: RuleDefinition, after: RuleDefinition) -> dict[str, tuple[Any, Any]]:
    """Return what differs: name of the field -> value before and after."""
    old, new = before.as_dict(), after.as_dict()
    return {name: (old[name], new[name]) for name in old if old[name] != new[name]}


# One rule -------------------------------------------------------------------------------


def check(dataset: Dataset, rule: RuleDefinition) -> None:
    """Let a rule pass that the engine can apply to the feed.

    Raises RuleError saying what is wrong.
    """
    if not isinstance(rule.code, str) or not _CODE.fullmatch(rule.code):
        raise RuleError("the code has small letters, digits and _, and begins with a letter")
    if len(rule.code) > CODE_CHARACTERS:
        raise RuleError(f"the code may have {CODE_CHARACTERS} characters")
    _check_text("the message", rule.message, MESSAGE_CHARACTERS)
    if "; " in rule.message:
        raise RuleError("the message must not hold “; ”, which stands between messages")
    if rule.owner is not None:
        _check_text("the owner", rule.owner, OWNER_CHARACTERS)
    if rule.kind not in validate.KINDS:
        raise RuleError(f"there is no kind {rule.kind!r}; choose one of: {_listed(validate.KINDS)}")
    if rule.column_name not in dataset.column_names:
        raise RuleError(
            f"{dataset.name} has no column {rule.column_name!r}; "
            f"choose one of: {_listed(dataset.column_names)}"
        )
    _one_of("severity", rule.severity, [one.value for one in Severity])
    _one_of("judges", rule.judges, [one.value for one in Judges])
    if type(rule.active) is not bool:
        raise RuleError("active must be true or false")
    if not _is_integer(rule.ordinal) or not 0 <= rule.ordinal <= LARGEST_ORDINAL:
        raise RuleError(f"the order must be a whole number from 0 to {LARGEST_ORDINAL:,}")
    _check_limits(rule)
    column = _column(dataset, rule.column_name)
    if not validate.suits(rule.kind, column):
        raise RuleError(f"a rule of the kind {rule.kind} cannot judge {rule.column_name}")
    if rule.kind == validate.REFERENCES and rule.severity != Severity.WARN:
        raise RuleError(f"a rule of the kind {rule.kind} can only warn: it needs other rows")
    _check_parameters(dataset, column, rule)


def _check_text(name: str, text: object, longest: int) -> None:
    if not isinstance(text, str) or not text.strip():
        raise RuleError(f"{name} must not be empty")
    if text != text.strip():
        raise RuleError(f"{name} must not begin or end with spaces")
    if len(text) > longest:
        raise RuleError(f"{name} may have {longest} characters")
    if not text.isprintable():
        raise RuleError(f"{name} must have no line breaks and no control characters")


def _one_of(name: str, value: object, known: list[str]) -> None:
    if value not in known:
        raise RuleError(f"{name} must be one of: {_listed(known)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_limits(rule: RuleDefinition) -> None:
    for name in ("warn_records", "stop_records"):
        value = getattr(rule, name)
        if value is not None and not (_is_integer(value) and 0 < value < 2**62):
            raise RuleError(f"{name} must be a whole number above 0, or be left out")
    for name in ("warn_rate", "stop_rate"):
        value = getattr(rule, name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 < value <= 1):
            raise RuleError(f"{name} must be a fraction above 0 and up to 1, or be left out")
    for unit in ("records", "rate"):
        warn, stop = getattr(rule, f"warn_{unit}"), getattr(rule, f"stop_{unit}")
        if warn is not None and stop is not None and warn >= stop:
            raise RuleError(
                f"warn_{unit} must be below stop_{unit}: a batch that is stopped needs no warning"
            )


def _column(dataset: Dataset, name: str) -> Column:
    return next(column for column in dataset.columns if column.name == name)


def _check_parameters(dataset: Dataset, column: Column, rule: RuleDefinition) -> None:
    kind = validate.KINDS[rule.kind]
    given = rule.parameters
    if not isinstance(given, Mapping):
        raise RuleError("parameters must be names with values")
    for name in given:
        if name not in kind.parameters:
            known = _listed(kind.parameters) or "none"
            raise RuleError(f"the kind {rule.kind} has no parameter {name!r}; it has: {known}")
    for name, type_ in kind.parameters.items():
        if name in given:
            _check_parameter(name, given[name], type_)
        elif name not in kind.optional:
            raise RuleError(f"the kind {rule.kind} needs the parameter {name}")
    checks = {
        "between": _check_between,
        "max_length": _check_max_length,
        "matches": _check_matches,
        "one_of": _check_one_of,
        "not_equal": _check_not_equal,
        "total_below": _check_total,
        validate.REFERENCES: _check_references,
    }
    if rule.kind in checks:
        checks[rule.kind](dataset, column, given)


def _check_parameter(name: str, value: object, type_: str) -> None:
    if type_ == "number":
        number(name, value)
    elif type_ == "integer" and not _is_integer(value):
        raise RuleError(f"{name} must be a whole number")
    elif type_ == "boolean" and type(value) is not bool:
        raise RuleError(f"{name} must be true or false")
    elif type_ == "list":
        if not isinstance(value, list | tuple) or not value:
            raise RuleError(f"{name} must be a list with at least one value")
        if len(value) > LISTED_VALUES:
            raise RuleError(f"{name} may hold {LISTED_VALUES:,} values")
        for one in value:
            _check_value(f"each value of {name}", one)
    elif type_ in {"text", "column", "table", "column of the table"}:
        _check_value(name, value, longest=PATTERN_CHARACTERS)
    elif type_ == "value" and not _is_number(value):
        _check_value(name, value)


def _check_value(name: str, value: object, *, longest: int = VALUE_CHARACTERS) -> None:
    if not isinstance(value, str):
        raise RuleError(f"{name} must be text (in YAML: in quotes)")
    if not value:
        raise RuleError(f"{name} must not be empty")
    if len(value) > longest:
        raise RuleError(f"{name} may have {longest} characters")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise RuleError(f"{name} must not hold NUL characters or half characters")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(name: str, value: object) -> Decimal:
    """Return the number that a parameter is: a JSON number, or its digits as text.

    Raises RuleError.
    """
    if _is_number(value) or isinstance(value, str):
        try:
            found = Decimal(str(value).strip())
        except InvalidOperation:
            found = Decimal("NaN")
        if found.is_finite() and abs(found) < Decimal(10) ** 30 and len(str(value)) <= 40:
            return found
    raise RuleError(f"{name} must be a number")


def _check_between(dataset: Dataset, column: Column, given: Mapping[str, Any]) -> None:
    del dataset
    low, high, below = (
        number(name, given[name]) if name in given else None for name in ("min", "max", "below")
    )
    if low is not None and high is not None and low > high:
        raise RuleError(f"min {low} is above max {high}: no value can be both")
    if low is not None and below is not None and low >= below:
        raise RuleError(f"min {low} is not below {below}: no value can be both")
    if given.get("whole") and not validate.has_flag(column, "not_whole"):
        raise RuleError(f"whole does not go with {column.name}: it is no column of whole numbers")


def _check_max_length(dataset: Dataset, column: Column, given: Mapping[str, Any]) -> None:
    del dataset, column
    if not 1 <= given["length"] <= 1_000_000:
        raise RuleError("length must be a whole number from 1 to 1,000,000")


def _check_matches(dataset: Dataset, column: Column, given: Mapping[str, Any]) -> None:
    """Try the pattern as a rule applies it: not all of Python's syntax is known there."""
    del dataset, column
    try:
        # alone as well: what encloses it in a full match may balance it
        pc.match_substring_regex(pa.array(["x"]), given["pattern"])
        pd.Series(["x", None], dtype=STRING).str.fullmatch(given["pattern"])
    except (pa.ArrowException, re.error, ValueError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "unknown"
        raise RuleError(f"the pattern is no regular expression (RE2): {reason}") from None


def _check_one_of(dataset: Dataset, column: Column, given: Mapping[str, Any]) -> None:
    del dataset, column
    if len(set(given["values"])) < len(given["values"]):
        raise RuleError("values must not hold the same value twice")


def _check_not_equal(dataset: Dataset, column: Column, given: Mapping[str, Any]) -> None:
    del dataset
    if validate.is_number(column):
        number("value", given["value"])


def _check_total(dataset: Dataset, column: Column, given: Mapping[str, Any]) -> None:
    del column
    for name in ("factor", "fraction"):
        other = given[name]
        if other not in dataset.column_names or not validate.is_number(_column(dataset, other)):
            raise RuleError(f"{name} must be a column of numbers of {dataset.name}")


def _check_references(dataset: Dataset, column: Column, given: Mapping[str, Any]) -> None:
    del dataset
    for other in datasets.declared().values():
        if other.silver_table == given["table"] and given["column"] in other.column_names:
            if _column(other, given["column"]).is_text is not column.is_text:
                raise RuleError(f"{given['column']} of {given['table']} is of another type")
            return
    tables = _listed(other.silver_table for other in datasets.declared().values())
    raise RuleError(f"table must be one of {tables}, and column one of its columns")


# Against the others ---------------------------------------------------------------------


def check_beside(rule: RuleDefinition, others: Iterable[RuleDefinition]) -> None:
    """Let a rule pass that neither repeats nor contradicts one of the others of its feed.

    Raises RuleError naming the other rule.
    """
    for other in others:
        if other.code == rule.code:
            raise RuleError(f"the code {rule.code} is taken by the rule “{other.message}”")
        if not rule.active or not other.active:
            continue
        if _judged(rule) == _judged(other):
            raise RuleError(
                f"the rule {other.code} (“{other.message}”) judges the same already; change that one"
            )
        reason = _contradiction(rule, other)
        if reason is not None:
            raise RuleError(f"the rule {other.code} (“{other.message}”) contradicts: {reason}")


def _judged(rule: RuleDefinition) -> str:
    """Return what the rule asks, in one spelling."""
    plain = {
        name: sorted(value) if isinstance(value, list | tuple) else _spelled(rule, name, value)
        for name, value in rule.parameters.items()
        if value is not False  # the same as left out
    }
    return json.dumps([rule.kind, rule.column_name, rule.judges, plain], sort_keys=True)


def _spelled(rule: RuleDefinition, name: str, value: Any) -> Any:
    type_ = validate.KINDS[rule.kind].parameters[name]
    if type_ == "number" or (type_ == "value" and _is_number(value)):
        spelled = f"{number(name, value).normalize():f}"
        return spelled if type_ == "number" else {"number": spelled}
    return value


def _contradiction(one: RuleDefinition, other: RuleDefinition) -> str | None:
    """Return why no value of the column can satisfy both, None where some can."""
    if one.column_name != other.column_name or one.judges != other.judges:
        return None
    if Severity.WARN in {one.severity, other.severity}:
        return None
    return _no_number(one, other) or _no_text(one, other) or _no_text(other, one)


def _range(rule: RuleDefinition) -> tuple[Decimal, bool, Decimal, bool] | None:
    """Return low end, whether it is left out, high end, whether it is left out."""
    low, high = Decimal("-Infinity"), Decimal("Infinity")
    if rule.kind == "greater_than":
        return number("value", rule.parameters["value"]), True, high, False
    if rule.kind != "between":
        return None
    given = {
        name: number(name, rule.parameters[name])
        for name in ("min", "max", "below")
        if name in rule.parameters
    }
    below = given.get("below", high)
    is_open = below <= given.get("max", high) and "below" in given
    return given.get("min", low), False, min(below, given.get("max", high)), is_open


def _no_number(one: RuleDefinition, other: RuleDefinition) -> str | None:
    first, second = _range(one), _range(other)
    if first is None or second is None:
        return None
    for bottom, top in ((first, second), (second, first)):
        (low, low_open, _, _), (_, _, high, high_open) = bottom, top
        if low > high or (low == high and (low_open or high_open)):
            return f"no number of {one.column_name} can satisfy both"
    return None


def _no_text(one: RuleDefinition, other: RuleDefinition) -> str | None:
    """Compare a list of allowed values with another rule about texts."""
    if one.kind != "one_of":
        return None
    left = set(one.parameters["values"])
    if other.kind == "one_of":
        left &= set(other.parameters["values"])
    elif other.kind == "not_equal":
        left.discard(str(other.parameters["value"]))
    elif other.kind == "max_length":
        left = {value for value in left if len(value) <= other.parameters["length"]}
    else:
        return None
    return None if left else f"none of the allowed values of {one.column_name} is left"
