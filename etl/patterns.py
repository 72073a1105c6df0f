"""Causes: what stood where an invalid record breaks a rule, by its pattern and its worth in money.

They are written with the verdicts of a record, so that a queue of any size is grouped without
reading raw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, text

from etl import datasets
from etl.db import queries
from etl.model import Dataset, Rule, Severity
from etl.normalise import series
from etl.received import UNSTORABLE, Received, receive

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING = "missing"
BLANK = "blank"
ODD = "list or object"
"""Patterns of what is no text; letters of a text become a or A, so that no text has them."""

VALUE_SHOWN = 100  # characters
PATTERN_SHOWN = 60
_MOST_WORTH = 1e15
_CHUNK = 10_000
_NUMBER = r"^\s*[-+]?[0-9]+([.,][0-9]+)?\s*%?\s*$"


def _text_patterns(digit: str, small: str, capital: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"{digit}{{5,}}", "9+"),
        (digit, "9"),
        (f"{small}{{2,}}", "a+"),
        (small, "a"),
        (f"{capital}{{2,}}", "A+"),
        (capital, "A"),
        (r"\s+", " "),
    )


_OF_ASCII = _text_patterns("[0-9]", "[a-z]", "[A-Z]")
_OF_ANY_TEXT = _text_patterns(r"\p{Nd}", r"[\p{Ll}\p{Lt}\p{Lm}\p{Lo}]", r"\p{Lu}")


@dataclass(frozen=True, kw_only=True)
class Causes:
    """One element a cause in each: index of the record, index of the rule, what stood there."""

    record: NDArray[np.intp]
    rule: NDArray[np.intp]
    column: pa.StringArray
    pattern: pa.StringArray
    value: pa.StringArray


def shown(values: pa.StringArray) -> pa.StringArray:
    """Return received values as they are kept: cut, and storable."""
    return pc.utf8_slice_codeunits(
        pc.replace_substring(values, UNSTORABLE, "\ufffd"), 0, VALUE_SHOWN
    )


def patterns(values: pa.StringArray, odd: NDArray[np.bool_] | None = None) -> pa.StringArray:
    """Return the pattern of each received value.

    The digits of a number are one 9 for each run, so that its length does not count: -12.50 is -9.9.
    In other texts up to four digits stay apart, so that a date is seen: 31/12/2023 is 99/99/9999;
    longer runs are 9+. A letter is a or A, several a+ or A+.
    """
    encoded = shown(values).dictionary_encode("encode")  # mostly the same few values
    found = _patterns(encoded.dictionary).take(encoded.indices)
    if odd is not None:
        found = pc.if_else(pa.array(odd), ODD, found)
    return found


def _patterns(values: pa.StringArray) -> pa.StringArray:
    as_number = pc.replace_substring_regex(values, pattern="[0-9]+", replacement="9")
    is_number = pc.match_substring_regex(values, _NUMBER)
    as_text = values
    if pc.any(pc.invert(is_number)).as_py():
        # compiling the letters of all languages takes longer than all the rest
        is_ascii = pc.all(pc.string_is_ascii(values)).as_py()
        for wanted, replacement in _OF_ASCII if is_ascii else _OF_ANY_TEXT:
            as_text = pc.replace_substring_regex(as_text, pattern=wanted, replacement=replacement)
    found = pc.if_else(is_number, as_number, as_text)
    found = pc.utf8_slice_codeunits(found, 0, PATTERN_SHOWN)
    found = pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), ""), BLANK, found)
    return pc.fill_null(found, MISSING)


def find(
    received: Received,
    rules: Sequence[Rule],
    broken: tuple[NDArray[np.intp], NDArray[np.intp]],
    refused: NDArray[np.bool_],
) -> Causes:
    """Return the causes of refused records; `broken` is that of a judgement."""
    rejects = np.array([rule.severity is Severity.REJECT for rule in rules], bool)
    counts = rejects[broken[0]] & refused[broken[1]] if len(rules) else np.zeros(0, bool)
    return _stood(received, [rule.column for rule in rules], broken[0][counts], broken[1][counts])


def _stood(
    received: Received,
    columns: Sequence[str],
    rule: NDArray[np.intp],
    record: NDArray[np.intp],
) -> Causes:
    """Return what stood in `columns[rule]` of each record."""
    order, names, values, odd = [], [], [], []
    used = np.array(columns, object)[rule] if len(rule) else np.array([], object)
    for name in dict.fromkeys(used):
        places = np.flatnonzero(used == name)
        rows = record[places]
        not_scalar = received.not_scalar[name]
        order.append(places)
        names += [name] * len(places)
        values.append(received.text[name].take(pa.array(rows)))
        odd.append(np.zeros(len(rows), bool) if not_scalar is None else not_scalar[rows])
    if not order:
        nothing = pa.array([], pa.string())
        return Causes(record=record, rule=rule, column=nothing, pattern=nothing, value=nothing)
    places = np.concatenate(order)
    found = pa.concat_arrays(values)
    return Causes(
        record=record[places],
        rule=rule[places],
        column=pa.array(names, pa.string()),
        pattern=patterns(found, np.concatenate(odd)),
        value=shown(found),
    )


def worth(columns: Mapping[str, pa.StringArray], dataset: Dataset) -> pa.StringArray:
    """Return the money at stake in each record as text, null where it cannot be read.

    Signs apart, because a lost one is a usual cause; a discount that cannot be read, or is none,
    counts as 0.
    """
    count = len(columns[dataset.key])
    if dataset.worth is None:
        return pa.nulls(count, pa.string())
    quantity, price, discount = (
        columns[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in dataset.worth
    )
    with np.errstate(over="ignore", invalid="ignore"):
        less = np.where((discount >= 0) & (discount <= 1), discount, 0)
        money = np.abs(quantity * price) * (1 - less)
        readable = money < _MOST_WORTH  # not a number is not less
    return pa.array(
        [f"{one:.2f}" if fits else None for one, fits in zip(money, readable, strict=True)],
        pa.string(),
    )


def fill(connection: Connection) -> int:
    """Write the causes of records that were judged before causes were kept; return how many."""
    return sum(_fill(connection, dataset) for dataset in datasets.declared().values())


def _fill(connection: Connection, dataset: Dataset) -> int:
    records = queries.rows(connection, "queries/causes.unknown", dataset=dataset.name)
    raw = text(
        f"select r.record from unnest(cast(:batches as bigint []), cast(:positions as integer [])) "
        f"with ordinality as w (batch_id, position, ordinal) join {dataset.raw_table} r "
        "using (batch_id, position) order by w.ordinal"
    )
    done = 0
    for start in range(0, len(records), _CHUNK):
        some = records[start : start + _CHUNK]
        places = {
            "batches": [row["batch_id"] for row in some],
            "positions": [row["position"] for row in some],
        }
        received = receive(
            [record.encode() for record in connection.execute(raw, places).scalars()], dataset
        )
        money = worth(
            {
                column.name: pa.array(column.normalise(series(received.text[column.name])).text)
                for column in dataset.columns
                if column.name in {dataset.key, *(dataset.worth or ())}
            },
            dataset,
        )
        broken = queries.rows(connection, "queries/causes.broken", **places)
        causes = _stood(
            received,
            [row["column_name"] for row in broken],
            np.arange(len(broken)),
            np.array([row["ordinal"] - 1 for row in broken], np.intp),
        )
        whose = [broken[index] for index in causes.rule]
        done += queries.execute(
            connection,
            "queries/causes.insert",
            batches=[row["batch_id"] for row in whose],
            positions=[row["position"] for row in whose],
            rules=[row["rule_id"] for row in whose],
            columns=causes.column.to_pylist(),
            patterns=causes.pattern.to_pylist(),
            values=causes.value.to_pylist(),
            worth=money.take(pa.array(causes.record)).to_pylist(),
        ).rowcount
    return done
