"""Judging: rules become masks, masks become verdicts.

The catalogue of rule kinds is closed. Each kind is a vectorised mask (true: the record breaks the
rule) and an English sentence, so that pages, docs and messages come from one source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from etl import storable
from etl.model import Column, Dataset, Judges, Rule, Severity
from etl.normalise import Values, mask, series
from etl.received import UNSTORABLE, Received, receive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl.normalise import Mask

NOT_AN_OBJECT = "Not an object"
_FOLD = 32
_SAMPLE = 1000
_REPEATED = 10  # times that a value stands in the sample on average


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One column as a rule sees it."""

    received: pd.Series[str]
    values: Values
    not_scalar: Mask
    judges: Judges
    others: Mapping[str, Values]  # every column of the record, normalised

    @property
    def count(self) -> int:
        return len(self.received)

    @cached_property
    def given(self) -> Mask:
        """True where something stood that is not blank."""
        return mask(self.received.str.strip() != "") | self.not_scalar

    @property
    def subject(self) -> pd.Series[str]:
        return self.received if self.judges is Judges.RECEIVED else self.values.text

    @property
    def number(self) -> NDArray[np.float64]:
        if self.values.number is None:
            return np.full(self.count, np.nan)
        return self.values.number

    def compare(self, bound: Any) -> NDArray[np.float64]:
        """Return the sign of number − bound for each record, exact to the last digit."""
        exact_bound = Decimal(str(bound))
        signs = np.sign(self.number - float(exact_bound))
        for row, exact in self.values.exact.items():
            signs[row] = (exact > exact_bound) - (exact < exact_bound)
        return signs


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of rule."""

    breaks: Callable[[Cell, Mapping[str, Any]], Mask]
    sentence: str  # with {column} and the parameters
    parameters: Mapping[
        str, str
    ]  # name -> type: number, integer, text, list, boolean, value, column, table
    optional: frozenset[str] = frozenset()  # parameters that may be left out
    needs: str = ""  # what a column must have: number, or a flag of its normaliser
    words: Callable[[Mapping[str, Any]], str] | None = None  # instead of `sentence`, {column} left
    is_last: bool = False  # asks only about records that no rejecting rule before it refused
    spans_columns: bool = False  # asks about `others`, too


def _not_null(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    del parameters
    if cell.judges is Judges.RECEIVED:
        return ~cell.given
    return mask(cell.values.text.isna())


def _between(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    """Not a number, or outside; missing breaks it only where `required`."""
    broken = np.isnan(cell.number)
    if "min" in parameters:
        broken |= cell.compare(parameters["min"]) < 0
    if "max" in parameters:
        broken |= cell.compare(parameters["max"]) > 0
    if "below" in parameters:
        broken |= cell.compare(parameters["below"]) >= 0
    if parameters.get("whole") and "not_whole" in cell.values.flags:
        broken |= cell.values.flags["not_whole"]
    return cell.not_scalar | (broken if parameters.get("required") else broken & cell.given)


def _between_words(parameters: Mapping[str, Any]) -> str:
    """Return `{column} must be a whole number from 1 to 10, and given`."""
    limits = [
        f"{word} {parameters[name]}"
        for name, word in (("min", "from"), ("max", "to"), ("below", "below"))
        if name in parameters
    ]
    words = ["{column} must be a", "whole number" if parameters.get("whole") else "number", *limits]
    return " ".join(words) + (", and given" if parameters.get("required") else "")


def _greater_than(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    broken: Mask = np.isnan(cell.number) | (cell.compare(parameters["value"]) <= 0)
    return broken & cell.given


def _max_length(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    limit = int(parameters["length"])
    longest = pc.max(pc.binary_length(pa.array(cell.subject))).as_py()
    if longest is None or longest <= limit:  # bytes, of which a character has at least one
        return np.zeros(cell.count, bool)
    return mask(cell.subject.str.len() > limit)


def _matches(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    return mask(cell.subject.notna()) & ~mask(cell.subject.str.fullmatch(parameters["pattern"]))


def _one_of(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    return mask(cell.subject.notna()) & ~mask(cell.subject.isin(list(parameters["values"])))


def _not_equal(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    if cell.values.number is not None:
        is_equal: Mask = cell.compare(parameters["value"]) == 0
        return is_equal & mask(cell.values.text.notna())
    unwanted = str(parameters["value"])
    return mask(cell.subject == unwanted)


def _parses_as(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    broken = mask(cell.values.text.isna())
    return broken if parameters.get("required") else broken & cell.given


def _usable(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    del parameters
    return cell.values.flags.get("unusable", np.zeros(cell.count, bool))


def _not_ambiguous(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    del parameters
    return cell.values.flags.get("ambiguous", np.zeros(cell.count, bool))


def _scalar(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    del parameters
    return cell.not_scalar


def _storable(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    del parameters
    return mask(cell.received.str.contains(UNSTORABLE, regex=False))


def _total_below(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    """Number × factor × (1 − fraction) as a double: the limit must leave room for its error."""
    factor = cell.others[parameters["factor"]].number
    fraction = cell.others[parameters["fraction"]].number
    assert factor is not None
    assert fraction is not None
    with np.errstate(over="ignore", invalid="ignore"):
        return cell.number * factor * (1 - fraction) >= float(parameters["below"])


def _set_based(cell: Cell, parameters: Mapping[str, Any]) -> Mask:
    """Counted by the database while loading: it needs other rows."""
    del parameters
    return np.zeros(cell.count, bool)


REFERENCES = "references"
STORABLE = "storable"

KINDS: Mapping[str, Kind] = {
    "not_null": Kind(breaks=_not_null, sentence="{column} must be given", parameters={}),
    "between": Kind(
        breaks=_between,
        sentence="{column} must be a number within its limits",
        parameters={
            "min": "number",
            "max": "number",
            "below": "number",
            "whole": "boolean",
            "required": "boolean",
        },
        optional=frozenset({"min", "max", "below", "whole", "required"}),
        needs="number",
        words=_between_words,
    ),
    "greater_than": Kind(
        breaks=_greater_than,
        needs="number",
        sentence="{column} must be greater than {value}",
        parameters={"value": "number"},
    ),
    "max_length": Kind(
        breaks=_max_length,
        sentence="{column} must not be longer than {length} characters",
        parameters={"length": "integer"},
    ),
    "matches": Kind(
        breaks=_matches,
        sentence="{column} must match the pattern {pattern}",
        parameters={"pattern": "text"},
    ),
    "one_of": Kind(
        breaks=_one_of, sentence="{column} must be one of {values}", parameters={"values": "list"}
    ),
    "not_equal": Kind(
        breaks=_not_equal, sentence="{column} must not be {value}", parameters={"value": "value"}
    ),
    "parses_as": Kind(
        breaks=_parses_as,
        sentence="{column} must be a {type}",
        parameters={"type": "text", "required": "boolean"},
        optional=frozenset({"required"}),
    ),
    "total_below": Kind(
        breaks=_total_below,
        sentence="{column} × {factor} × (1 − {fraction}) must stay below {below}",
        parameters={"factor": "column", "fraction": "column", "below": "number"},
        needs="number",
        is_last=True,
        spans_columns=True,
    ),
    "usable": Kind(
        breaks=_usable,
        sentence="{column} should be usable when it is given",
        parameters={},
        needs="unusable",
    ),
    "not_ambiguous": Kind(
        breaks=_not_ambiguous,
        sentence="{column} should not be readable as two different days",
        parameters={},
        needs="ambiguous",
    ),
    "scalar": Kind(
        breaks=_scalar,
        sentence="{column} must be one value, not a list, an object or true/false",
        parameters={},
    ),
    STORABLE: Kind(
        breaks=_storable,
        sentence="{column} must not hold NUL characters or half characters",
        parameters={},
    ),
    REFERENCES: Kind(
        breaks=_set_based,
        sentence="{column} should exist in {table}",
        parameters={"table": "table", "column": "column of the table"},
    ),
}


def sentence(rule: Rule) -> str:
    """Return the rule in words."""
    return sentence_of(rule.kind, rule.column, rule.parameters)


def sentence_of(kind: str, column: str, parameters: Mapping[str, Any]) -> str:
    """Return a rule of this kind, about this column, in words."""
    declared = KINDS[kind]
    if declared.words is not None:
        return declared.words(parameters).replace("{column}", column)
    shown = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in parameters.items()
    }
    return declared.sentence.format(**{**shown, "column": column})


def suits(kind: str, column: Column) -> bool:
    """Return whether rules of this kind can judge the column."""
    needs = KINDS[kind].needs
    if not needs:
        return True
    values = _of_nothing(column)
    return values.number is not None if needs == "number" else needs in values.flags


@cache
def _of_nothing(column: Column) -> Values:
    return column.normalise(series(pa.array([], pa.string())))


def is_number(column: Column) -> bool:
    """Return whether the normalised column is one of numbers."""
    return _of_nothing(column).number is not None


def has_flag(column: Column, flag: str) -> bool:
    """Return whether the column's normaliser marks values with this flag."""
    return flag in _of_nothing(column).flags


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The judged records: one element a record in each array.

    `dq_errors` is null for a valid record. `broken` has one element a violation, rejections and
    warnings: the index of the rule and the index of the record.
    """

    count: int
    columns: dict[str, pa.Array]
    dq_errors: pa.StringArray
    broken: tuple[NDArray[np.intp], NDArray[np.intp]]


class _ColumnOfRecords:
    """A column of judged records; where values repeat, each of them is normalised and judged once."""

    def __init__(self, column: Column, received: Received) -> None:
        self._text = text = received.text[column.name]
        odd = received.not_scalar[column.name]
        self.codes: NDArray[np.integer[Any]] | None = None  # of each record's value; None: its own
        sample = text[:_SAMPLE]
        if odd is None and len(sample.unique()) * _REPEATED <= len(sample):
            encoded = text.dictionary_encode("encode")
            text, self.codes = encoded.dictionary, encoded.indices.to_numpy()
        self._odd = np.zeros(len(text), bool) if odd is None else odd
        self._distinct = series(text)
        self._values = column.normalise(self._distinct)
        self._cells: dict[Judges, Cell] = {}

    @cached_property
    def of_records(self) -> Values:
        """The normalised values, one element a record."""
        return self._values if self.codes is None else self._values.take(self.codes)

    def cell(self, judges: Judges) -> Cell:
        """Return the cell of a rule: one element a value."""
        if judges not in self._cells:
            self._cells[judges] = Cell(
                received=self._distinct,
                values=self._values,
                not_scalar=self._odd,
                judges=judges,
                others={},
            )
        return self._cells[judges]

    def records(self, judges: Judges, others: Mapping[str, Values]) -> Cell:
        """Return the cell of a rule that asks about other columns, too: one element a record."""
        return Cell(
            received=series(self._text),
            values=self.of_records,
            not_scalar=self._odd if self.codes is None else np.zeros(len(self._text), bool),
            judges=judges,
            others=others,
        )


def judge(records: Sequence[bytes], dataset: Dataset, rules: Sequence[Rule]) -> Judgement:
    """Normalise and judge records (JSON text as received) by the rules, in the rules' order."""
    return judge_received(receive(records, dataset), dataset, rules)


def judge_received(received: Received, dataset: Dataset, rules: Sequence[Rule]) -> Judgement:
    """Normalise and judge decoded records."""
    columns = {column.name: _ColumnOfRecords(column, received) for column in dataset.columns}
    others = {name: column.of_records for name, column in columns.items()}
    broken = np.zeros((len(rules), received.count), bool)
    for index, rule in enumerate(rules):
        if rule.kind == STORABLE and not received.has_escapes:
            continue
        kind, column = KINDS[rule.kind], columns[rule.column]
        if kind.spans_columns:
            broken[index] = kind.breaks(column.records(rule.judges, others), rule.parameters)
        elif (found := kind.breaks(column.cell(rule.judges), rule.parameters)).any():
            broken[index] = found if column.codes is None else found[column.codes]
        if kind.is_last and broken[index].any():
            refusing = [row for row in range(index) if rules[row].severity is Severity.REJECT]
            broken[index] &= ~broken[refusing].any(axis=0)
    not_object = received.not_object
    if not_object is not None:
        broken[:, not_object] = False
    rejects = [rule.message if rule.severity is Severity.REJECT else None for rule in rules]
    dq_errors = _messages(broken, rejects)
    if not_object is not None:
        dq_errors = pc.if_else(pa.array(not_object), NOT_AN_OBJECT, dq_errors)
    unstorable = storable.refusals(
        dataset,
        others,
        pc.is_valid(dq_errors).to_numpy(zero_copy_only=False),
        has_escapes=received.has_escapes,
    )
    if unstorable:
        masks = np.array([refused for _, refused in unstorable])
        dq_errors = pc.coalesce(dq_errors, _messages(masks, [message for message, _ in unstorable]))
    violations = np.nonzero(broken)
    return Judgement(
        count=received.count,
        columns={name: pa.array(values.text) for name, values in others.items()},
        dq_errors=dq_errors,
        broken=(violations[0], violations[1]),
    )


def _messages(broken: NDArray[np.bool_], words: Sequence[str | None]) -> pa.StringArray:
    """Join each record's messages; records mostly break the same few combinations of rules.

    `words` holds the message of each row of `broken`, None where it refuses nothing.
    """
    # a number for each record's combination; folded, because rules may outnumber a number's bits
    combination = np.zeros(broken.shape[1], np.int64)
    first = np.zeros(min(1, broken.shape[1]), np.int64)
    for some in range(0, len(words), _FOLD):
        key = combination << _FOLD
        for bit, breaks in enumerate(broken[some : some + _FOLD]):
            if breaks.any():
                key |= breaks.astype(np.int64) << bit
        _, first, combination = np.unique(key, return_index=True, return_inverse=True)
    messages: list[str | None] = []
    for record in first:
        rejections = [
            word
            for word, is_broken in zip(words, broken[:, record], strict=True)
            if is_broken and word is not None
        ]
        messages.append("; ".join(dict.fromkeys(rejections)) or None)
    return pa.array(messages, pa.string()).take(pa.array(combination.ravel()))
