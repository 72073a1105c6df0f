"""What silver and gold can hold, derived from a feed's declaration.

Rules are rows that an operator may switch off; what a column can hold is not. A record that breaks
no rejecting rule and still does not fit is refused here, so that it lands in quarantine instead of
breaking the load.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import RevenueError
from etl.received import UNSTORABLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl.model import Column, Dataset
    from etl.normalise import Mask, Values

TOTAL = "total_below"
_INTEGERS = {"smallint": 15, "integer": 31, "bigint": 63}  # bits beside the sign
_COMPARISONS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": Decimal.__ge__,
    "<=": Decimal.__le__,
    ">": Decimal.__gt__,
    "<": Decimal.__lt__,
    "<>": Decimal.__ne__,
}
_LENGTH = re.compile(r"(?:varchar|char|character varying)\s*\(\s*(\d+)\s*\)")
_NUMERIC = re.compile(r"numeric\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_EXACT_DOUBLES = 2.0**50
_BOUND = r"(-?\d+(?:\.\d+)?)"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a column can hold; `bounds` hold for the value as the database rounds it."""

    length: int | None = None  # characters
    scale: int | None = None  # decimals of a number that is stored
    bounds: tuple[tuple[str, Decimal], ...] = ()  # comparison, other side

    def hold(self, value: Decimal) -> bool:
        stored = rounded(value, self.scale)
        return all(_COMPARISONS[sign](stored, bound) for sign, bound in self.bounds)


def rounded(value: Decimal, scale: int | None) -> Decimal:
    """Return a number as a numeric column of that scale stores it."""
    if scale is None or not value.is_finite():
        return value
    try:
        return value.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    except InvalidOperation:  # more digits than any column has
        return value


@cache
def limits(column: Column) -> Limits:
    """Return the limits of a column, from its type and its check.

    Raises RevenueError for a check that is more than comparisons with numbers joined by `and`.
    """
    kind = column.type.lower()
    length = _LENGTH.fullmatch(kind)
    numeric = _NUMERIC.fullmatch(kind)
    scale, bounds = None, list(_checked(column))
    if numeric:
        precision, scale = int(numeric[1]), int(numeric[2])
        largest = Decimal(10) ** (precision - scale)
        bounds += [("<", largest), (">", -largest)]
    elif kind in _INTEGERS:
        scale, largest = 0, Decimal(2) ** _INTEGERS[kind]
        bounds += [("<", largest), (">=", -largest)]
    return Limits(
        length=int(length[1]) if length else None, scale=scale, bounds=tuple(dict.fromkeys(bounds))
    )


def _checked(column: Column) -> list[tuple[str, Decimal]]:
    if not column.check:
        return []
    name = re.escape(column.name)
    plain = re.sub(
        rf"({name}) between {_BOUND} and {_BOUND}", r"\1 >= \2 and \1 <= \3", column.check
    )
    bounds = []
    for condition in plain.split(" and "):
        if condition.strip() == f"{column.name} <> 'NaN'":
            continue  # a normalised number is none
        found = re.fullmatch(rf"{name} (>=|<=|>|<|<>) {_BOUND}", condition.strip())
        if found is None:
            raise RevenueError(
                f"the check of {column.name} is not understood: {condition.strip()!r}; "
                f"write comparisons with numbers, joined by `and`",
                code="declaration",
            )
        bounds.append((found[1], Decimal(found[2])))
    return bounds


def refusals(
    dataset: Dataset, values: Mapping[str, Values], refused: Mask, *, has_escapes: bool
) -> list[tuple[str, Mask]]:
    """Return why records that no rule refused cannot be stored: message and mask, in column order.

    `refused` marks the records that a rule refused; nobody asks about those.
    """
    found = []
    for column in dataset.columns:
        broken = _broken(column, values[column.name], ~refused, has_escapes=has_escapes)
        if column.required or column.name == dataset.key:
            text = pa.array(values[column.name].text)
            if text.null_count:
                missing = pc.is_null(text).to_numpy(zero_copy_only=False)
                broken = missing if broken is None else broken | missing
        if broken is not None and (broken := broken & ~refused).any():
            found.append((f"{column.name} cannot be stored", broken))
    refused = np.logical_or.reduce([refused, *(broken for _, broken in found)])
    for rule in dataset.rules:
        if rule.kind == TOTAL:
            names = (rule.column, str(rule.parameters["factor"]), str(rule.parameters["fraction"]))
            below = Decimal(str(rule.parameters["below"]))
            broken = _totals_from(dataset, names, values, refused, below)
            if broken.any():
                found.append((f"{rule.message}: it cannot be stored", broken))
    return found


def _broken(column: Column, values: Values, asked: Mask, *, has_escapes: bool) -> Mask | None:
    """Return which values do not fit the column, None where all do; only `asked` ones count."""
    fits = limits(column)
    text = pa.array(values.text)
    broken: Mask | None = None
    if fits.length is not None:
        longest = pc.max(pc.binary_length(text)).as_py()
        if longest is not None and longest > fits.length:  # bytes, at least one a character
            too_long = pc.greater(pc.utf8_length(text), fits.length)
            broken = pc.fill_null(too_long, False).to_numpy(zero_copy_only=False)
    if column.is_text and has_escapes:
        odd = pc.fill_null(pc.match_substring(text, UNSTORABLE), False)
        odd = odd.to_numpy(zero_copy_only=False)
        broken = odd if broken is None else broken | odd
    if fits.bounds and values.number is not None:
        doubtful = np.zeros(len(asked), bool)
        for sign, bound in fits.bounds:
            doubtful |= _perhaps_outside(values.number, sign, float(bound), fits.scale or 0)
        doubtful &= asked
        if doubtful.any():
            # what is no number is stored as null, if it may be
            doubtful &= pc.is_valid(text).to_numpy(zero_copy_only=False)
            for row in np.flatnonzero(doubtful):
                doubtful[row] = not fits.hold(_exact(values, int(row)))
            broken = doubtful if broken is None else broken | doubtful
    return broken


def _perhaps_outside(
    numbers: NDArray[np.float64], sign: str, bound: float, scale: int
) -> NDArray[np.bool_]:
    """Return the numbers for which a comparison may not hold once they are rounded to `scale`.

    A number that is within an inclusive bound stays there when it is rounded.
    """
    leeway = abs(bound) * 1e-12 if abs(bound) > _EXACT_DOUBLES else 0.0
    if sign not in {">=", "<="}:
        leeway += 10.0**-scale
    outside: NDArray[np.bool_]
    if sign in {">", ">="}:
        outside = numbers < bound + leeway
    elif sign in {"<", "<="}:
        outside = numbers > bound - leeway
    else:
        outside = np.abs(numbers - bound) < leeway
    return outside


def _exact(values: Values, row: int) -> Decimal:
    """Return the number of a record to its last digit."""
    if row in values.exact:
        return values.exact[row]
    assert values.number is not None
    return Decimal(repr(float(values.number[row])))


def _totals_from(
    dataset: Dataset,
    names: Sequence[str],
    values: Mapping[str, Values],
    refused: Mask,
    below: Decimal,
) -> Mask:
    """Return the records whose number × factor × (1 − fraction), as stored, reaches `below`."""
    number, factor, fraction = (values[name].number for name in names)
    assert number is not None
    assert factor is not None
    assert fraction is not None
    scales = {column.name: limits(column).scale for column in dataset.columns}
    leeway = 10.0 ** -(scales[names[2]] or 0)  # a fraction may be rounded before it counts
    with np.errstate(over="ignore", invalid="ignore"):
        doubtful: Mask = number * factor * (1 - fraction + leeway) >= float(below)
    doubtful &= ~refused
    for row in np.flatnonzero(doubtful):
        amount, count, off = (
            rounded(_exact(values[name], int(row)), scales[name]) for name in names
        )
        doubtful[row] = amount * count * (1 - off) >= below
    return doubtful
