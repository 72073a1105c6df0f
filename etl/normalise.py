"""Normalising: the value as received becomes the value the warehouse stores.

Pure and vectorised: each normaliser takes one string column (Arrow-backed pandas Series, null where
missing) and returns `Values`. Rules: docs/reference/rules.md (DESIGN, appendix "Exact rules").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask: TypeAlias = NDArray[np.bool_]

STRING = pd.ArrowDtype(pa.string())
UNKNOWN = "Unknown"
_UNKNOWN_WORDS = frozenset({"", "NA", "N/A", "UNKNOWN", "NONE", "NULL"})

_PLAIN_NUMBER = r"^-?[0-9]+(\.[0-9]+)?$"
_EXACT_DIGITS = 15  # decimal digits that a double holds exactly
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_PERCENT = re.compile(r"\s*%$")
_LARGEST = Decimal(10) ** 30  # nothing the warehouse stores comes near


@dataclass(frozen=True, kw_only=True)
class Values:
    """One normalised column.

    `text` is what goes to the database (null: missing or unusable). Number columns also carry
    `number` (NaN where it is no number) and `exact`, the exact values of the few rows that a
    double cannot hold. `flags` are named masks that rules ask for.
    """

    text: pd.Series[str]
    number: NDArray[np.float64] | None = None
    exact: dict[int, Decimal] = field(default_factory=dict)
    flags: dict[str, Mask] = field(default_factory=dict)

    def take(self, rows: NDArray[np.integer[Any]]) -> Values:
        """Return the values of `rows`, which may repeat."""
        exact = np.flatnonzero(np.isin(rows, list(self.exact)))
        return Values(
            text=series(pa.array(self.text).take(pa.array(rows))),
            number=None if self.number is None else self.number[rows],
            exact={row: self.exact[rows[row]] for row in exact.tolist()},
            flags={name: flag[rows] for name, flag in self.flags.items()},
        )


Normaliser: TypeAlias = Callable[["pd.Series[str]"], Values]


def series(array: pa.Array) -> pd.Series[str]:
    """Wrap an Arrow string array without copying it."""
    return pd.Series(pd.arrays.ArrowExtensionArray(array))


def mask(values: pd.Series[bool]) -> Mask:
    """Return a boolean Series as a mask, null as false."""
    return values.fillna(value=False).to_numpy(dtype=bool)


def _stripped(received: pd.Series[str]) -> pd.Series[str]:
    """Trim; blank becomes null."""
    trimmed = received.str.strip()
    return trimmed.mask(trimmed == "")


def text(received: pd.Series[str]) -> Values:
    """*Text* is trimmed; blank is missing."""
    return Values(text=_stripped(received))


def customer_id(received: pd.Series[str]) -> Values:
    """First `C` + digits of the upper-cased text (`C082C082` is C082); null when there is none."""
    upper = pc.utf8_upper(pa.array(received))
    found = pc.struct_field(pc.extract_regex(upper, "(?P<id>C[0-9]+)"), "id")
    return Values(text=series(found))


def title_case(received: pd.Series[str]) -> Values:
    """Text in title case; missing, NA, N/A, Unknown, None, Null in any case become `Unknown`."""
    return Values(text=_map_distinct(received, _title_or_unknown))


def upper_or_na(received: pd.Series[str]) -> Values:
    """Text in upper case; `NA` when missing or unknown (customers' region in silver)."""
    return Values(text=_map_distinct(received, _upper_or_na))


def _map_distinct(received: pd.Series[str], change: Callable[[str | None], str]) -> pd.Series[str]:
    encoded = pa.array(received).dictionary_encode("encode")
    changed = pa.array([change(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return series(changed.take(encoded.indices))


def _title_or_unknown(value: str | None) -> str:
    trimmed = (value or "").strip()
    if trimmed.upper() in _UNKNOWN_WORDS:
        return UNKNOWN
    # as PostgreSQL's initcap, which promotes customers' regions to the same spelling
    return re.sub(r"[^\W_]+", lambda word: word[0][0].upper() + word[0][1:].lower(), trimmed)


def _upper_or_na(value: str | None) -> str:
    upper = (value or "").strip().upper()
    return "NA" if upper in _UNKNOWN_WORDS else upper


def email(received: pd.Series[str]) -> Values:
    """Trimmed and lower-cased; not an e-mail address becomes null."""
    lower = received.str.strip().str.lower()
    valid = lower.str.fullmatch(r"[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}")
    return Values(text=lower.where(valid.fillna(value=False)))


def person_name(received: pd.Series[str]) -> Values:
    """Empty or with any of `!@#$%^&*()` becomes `NA`; trailing digits are removed."""
    trimmed = received.str.strip()
    special = trimmed.str.contains(r"[!@#$%^&*()]", regex=True)
    name = trimmed.str.replace(r"\s*[0-9]+$", "", regex=True).str.strip()
    return Values(text=name.mask(special.fillna(value=True) | (name == ""), "NA"))


# Numbers --------------------------------------------------------------------------------


def number(scale: int, *, percent: bool = False, missing: str | None = None) -> Normaliser:
    """Return the normaliser of a number column with `scale` decimals.

    A number is plain numeric text (optional sign, digits, one point, optional exponent). The
    database rounds it half up to the column's scale; `percent` also takes `10%` as 0.10;
    `missing` stands for missing or blank.
    """

    def normalise(received: pd.Series[str]) -> Values:
        trimmed = _stripped(received)
        if missing is not None:
            trimmed = trimmed.fillna(missing)
        return _numbers(trimmed, scale=scale, percent=percent)

    return normalise


def whole_number(received: pd.Series[str]) -> Values:
    """An integer; `3`, `3.0` and `"3"` are 3. Not whole: `text` is null, `number` is kept."""
    values = _numbers(_stripped(received), scale=None, percent=False)
    number_ = values.number
    assert number_ is not None
    whole = np.isfinite(number_) & (number_ == np.floor(number_)) & (np.abs(number_) < 2.0**62)
    for row, exact in values.exact.items():
        whole[row] = abs(exact) < _LARGEST and exact == exact.to_integral_value()
    integers = pa.array(np.where(whole, number_, 0).astype(np.int64), mask=~whole)
    texts = series(integers.cast(pa.string()))
    return Values(text=texts, number=number_, exact=values.exact, flags={"not_whole": ~whole})


def clipped_whole_number(low: int, high: int, missing: int) -> Normaliser:
    """Return the normaliser of an integer cut to `low`..`high`; unusable becomes `missing`.

    The flag `unusable` marks what was given and is no number.
    """

    def normalise(received: pd.Series[str]) -> Values:
        trimmed = _stripped(received)
        values = _numbers(trimmed, scale=0, percent=False)
        assert values.number is not None
        given = trimmed.notna().to_numpy()
        unusable = np.isnan(values.number)
        cut = np.clip(np.where(unusable, missing, values.number), low, high)
        rounded = np.floor(cut + 0.5).astype(np.int64)
        texts = series(pa.array(rounded).cast(pa.string()))
        return Values(
            text=texts, number=rounded.astype(float), flags={"unusable": given & unusable}
        )

    return normalise


def _numbers(trimmed: pd.Series[str], *, scale: int | None, percent: bool) -> Values:
    array = pa.array(trimmed)
    plain = pc.and_(
        pc.match_substring_regex(array, _PLAIN_NUMBER),
        pc.less_equal(pc.binary_length(array), _EXACT_DIGITS),
    )
    texts = pc.if_else(plain, array, pa.scalar(None, pa.string()))
    values = np.array(texts.cast(pa.float64()).to_numpy(zero_copy_only=False))
    others = np.flatnonzero(pc.and_(pc.is_valid(array), pc.invert(plain)).fill_null(False))
    exact: dict[int, Decimal] = {}
    if len(others):
        odd = array.take(pa.array(others)).to_pylist()
        parsed = {value: _parse(value, percent=percent) for value in set(odd)}
        replaced = dict.fromkeys(parsed, None) | {
            value: _rounded(amount, scale) for value, amount in parsed.items() if amount is not None
        }
        for row, value in zip(others.tolist(), odd, strict=True):
            amount = parsed[value]
            if amount is not None:
                exact[row] = amount
                values[row] = float(amount)
        flags = np.zeros(len(array), bool)
        flags[others] = True
        texts = pc.replace_with_mask(
            texts, pa.array(flags), pa.array([replaced[value] for value in odd], pa.string())
        )
    return Values(text=series(texts), number=values, exact=exact)


def _parse(value: str, *, percent: bool) -> Decimal | None:
    bare = _PERCENT.sub("", value) if percent else value
    if not _NUMBER.fullmatch(bare):
        return None
    _, _, exponent = bare.lower().partition("e")
    if len(exponent.lstrip("+-0")) > 3:
        # beyond anything stored: infinite or nothing
        zero = exponent.startswith("-") or not bare.lower().partition("e")[0].strip("+-0.")
        return Decimal(0) if zero else Decimal("-Infinity" if bare[0] == "-" else "Infinity")
    return Decimal(bare) / 100 if bare != value else Decimal(bare)


def _rounded(amount: Decimal, scale: int | None) -> str | None:
    if not amount.is_finite() or abs(amount) >= _LARGEST:
        return None
    if scale is None:
        return str(amount)
    return str(amount.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP))


# Dates ----------------------------------------------------------------------------------

_DAY_FIRST = r"^[0-9]{2}-[0-9]{2}-[0-9]{4}$"
_PLAIN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?$"
_SLASHES = r"^[0-9]{4}/[0-9]{2}/[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?$"
_ISO = (
    r"^(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})T"
    r"(?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)"
    r"(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?$"
)
# what is left for the exact parser is nearly always a date, so that a whole column is cast at once
_POSSIBLE = (
    r"^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    r"|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
    r"( ([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?)?$"
)
FIRST_YEAR, LAST_YEAR = 1900, 2100


def timestamp(received: pd.Series[str]) -> Values:
    """Moment in UTC, by the first fitting of the listed formats; null when none fits.

    `YYYY/MM/DD HH:MM:SS`, `DD-MM-YYYY`, `YYYY-MM-DD HH:MM:SS`, `YYYY-MM-DD`, `YYYY/MM/DD`, ISO 8601
    with `T` (offset converted to UTC); years 1900 to 2100. The flag `ambiguous` marks `DD-MM-YYYY`
    that could be read month first as another day.
    """
    array = pa.array(received.str.strip())
    day_first = _matches(array, _DAY_FIRST)
    iso = _matches(array, _ISO)
    slashes = _matches(array, _SLASHES)
    plain = pc.or_(_matches(array, _PLAIN), slashes)
    texts = pc.if_else(plain, array, pa.scalar(None, pa.string()))
    if pc.any(slashes).as_py():
        texts = pc.replace_substring(texts, "/", "-")
    ambiguous = np.zeros(len(array), bool)
    if pc.any(day_first).as_py():
        given = pc.if_else(day_first, array, pa.scalar(None, pa.string()))
        day, month, year = (
            pc.utf8_slice_codeunits(given, start, stop) for start, stop in ((0, 2), (3, 5), (6, 10))
        )
        texts = pc.coalesce(texts, pc.binary_join_element_wise(year, month, day, "-"))
        swapped = pc.and_(pc.less_equal(day, "12"), pc.not_equal(day, month))
        ambiguous = pc.fill_null(swapped, False).to_numpy(zero_copy_only=False)
    offsets = None
    if pc.any(iso).as_py():
        given = pc.if_else(iso, array, pa.scalar(None, pa.string()))
        parts = pc.extract_regex(given, _ISO)
        day, time, zone = (pc.struct_field(parts, name) for name in ("day", "time", "zone"))
        texts = pc.coalesce(texts, pc.binary_join_element_wise(day, time, " "))
        offsets = _offsets(zone)
    moments = _moments(texts)
    if offsets is not None:
        moments = moments - offsets
    moments = _within_years(moments)
    stored = pa.array(moments, pa.timestamp("us")).cast(pa.string())
    return Values(text=series(stored), flags={"ambiguous": ambiguous & moments.notna().to_numpy()})


def date(received: pd.Series[str]) -> Values:
    """Day from `YYYY-MM-DD`, `YYYY/MM/DD` or an ISO timestamp; anything else is null.

    The flag `unusable` marks what was given and is no date.
    """
    array = pa.array(_stripped(received))
    fits = _matches(array, r"^[0-9]{4}(-[0-9]{2}-[0-9]{2}|/[0-9]{2}/[0-9]{2})$")
    iso = _matches(array, _ISO)
    if pc.any(iso).as_py():
        # the day of an impossible time is none, either
        fits = pc.or_(fits, pc.and_(iso, pc.is_valid(pa.array(timestamp(received).text))))
    texts = pc.if_else(fits, pc.utf8_slice_codeunits(array, 0, 10), pa.scalar(None, pa.string()))
    moments = _within_years(_moments(pc.replace_substring(texts, "/", "-")))
    stored = pa.array(moments, pa.timestamp("us")).cast(pa.date32()).cast(pa.string())
    given = pc.is_valid(array).to_numpy(zero_copy_only=False)
    return Values(text=series(stored), flags={"unusable": given & moments.isna().to_numpy()})


def _matches(array: pa.StringArray, pattern: str) -> pa.BooleanArray:
    return pc.fill_null(pc.match_substring_regex(array, pattern), False)


def _moments(texts: pa.StringArray) -> pd.Series[pd.Timestamp]:
    texts = pc.if_else(
        pc.match_substring_regex(texts, _POSSIBLE), texts, pa.scalar(None, pa.string())
    )
    try:
        return pd.Series(texts.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        pass  # a 29 February that is none, or more than microseconds
    parsed = pd.to_datetime(
        pd.Series(texts.to_pandas(), dtype=object), format="ISO8601", errors="coerce"
    )
    return parsed.astype("datetime64[us]")


def _within_years(moments: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    first, end = pd.Timestamp(FIRST_YEAR, 1, 1), pd.Timestamp(LAST_YEAR + 1, 1, 1)
    return moments.where((moments >= first) & (moments < end))


def _offsets(zones: pa.StringArray) -> pd.Series[pd.Timedelta]:
    """Return each zone's distance from UTC; none or Z is zero, an impossible one is null."""
    encoded = zones.dictionary_encode("encode")
    known = [_offset(zone) for zone in encoded.dictionary.to_pylist()]
    table = np.array(known, dtype="timedelta64[us]")
    return pd.Series(table[encoded.indices.to_numpy()])


def _offset(zone: str | None) -> np.timedelta64:
    if not zone or zone == "Z":
        return np.timedelta64(0, "us")
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 14 or minutes > 59:
        return np.timedelta64("NaT", "us")
    signed = (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
    return np.timedelta64(signed * 60_000_000, "us")
