"""Patterns of received values, operations on them, and edits of one member."""

from __future__ import annotations

import json
import unicodedata
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl import datasets
from etl.causes import Operation
from etl.patterns import BLANK, MISSING, ODD, PATTERN_SHOWN, VALUE_SHOWN, patterns, worth
from etl.received import receive
from etl.record_edit import edited
from etl.repair import RepairError, check_text, check_texts

SALES = datasets.get("sales")
COLUMNS = {column.name: column for column in SALES.columns}


def array(*values: str | None) -> Any:
    return pa.array(values, pa.string())


def apply(kind: str, *values: str | None, **parameters: Any) -> list[str | None]:
    made: list[str | None] = (
        Operation(kind=kind, parameters=parameters).apply(array(*values)).to_pylist()
    )
    return made


def test_patterns_show_the_shape_of_a_value() -> None:
    shapes = {
        "-9": "-9",
        "-1234.50": "-9.9",
        "10%": "9%",
        "31/12/2023": "99/99/9999",
        "31.12.2023": "99.99.9999",
        "1,234,567": "9,999,999",
        "20231231T1": "9+A9",
        "Bad date": "Aa+ a+",
        "N/A": "A/A",
        "EUR 5": "A+ 9",
        "Ünï\tx": "Aa+ a",
        "": BLANK,
        "  ": BLANK,
        "missing": "a+",
        "12 \x00": "99 \ufffd",
    }
    assert patterns(array(*shapes)).to_pylist() == list(shapes.values())
    odd = np.array([False, True])
    assert patterns(array(None, None), odd).to_pylist() == [MISSING, ODD]


def shape(text: str) -> str:
    """The same one character at a time, for texts that are no number."""

    def kind(character: str) -> str:
        category = unicodedata.category(character)
        if category in {"Ll", "Lt", "Lm", "Lo"}:
            return "a"
        return {"Lu": "A", "Nd": "9"}.get(category, character)

    found = ""
    for one, run in groupby(kind(c) for c in text[:VALUE_SHOWN]):
        length = len(list(run))
        if one in "aA":
            found += one + ("+" if length > 1 else "")
        elif one == "9":
            found += one * length if length < 5 else "9+"
        else:
            found += " " if one == " " else one * length
    return found[:PATTERN_SHOWN]


@given(st.text(alphabet="abcXYZéÄ0123456789 /-:#ß中", min_size=1, max_size=120))
def test_a_pattern_is_that_of_its_characters(text: str) -> None:
    text = f"#{text}"  # no number, not blank
    assert patterns(array(text)).to_pylist() == [shape(text)]


def test_money_at_stake_leaves_signs_and_unreadable_discounts_apart() -> None:
    columns = {
        "transaction_id": array("1", "2", "3", "4", "5"),
        "quantity": array("-2", "2", None, "2", "1e300"),
        "price": array("10.5", "10", "10", "10", "1e300"),
        "discount": array("0", "0.25", "0", "7", "0"),
    }
    assert worth(columns, SALES).to_pylist() == ["21.00", "15.00", None, "20.00", None]
    assert worth({"customer_id": array("C1")}, datasets.get("customers")).to_pylist() == [None]


def test_operations_change_what_they_can_read_and_nothing_else() -> None:
    assert apply("set", None, "5", "x", value="5") == ["5", None, "5"]
    assert apply("absolute", "-2", " - 3.50 ", "\u22124", "-5%", "-x", "6", None, "--1") == [
        *("2", "3.50", "4", "5%"),
        *(None, None, None, None),
    ]
    assert apply("map", "one", " TWO ", "three", None, values={"one": "1", "TWO": "2"}) == [
        *("1", "2"),
        *(None, None),
    ]
    assert apply("digits", "12 pcs", "C-00 12", "1.5 kg", "none", "7", None) == [
        *("12", "0012"),
        *(None, None, None, None),
    ]


def test_dates_become_iso_and_impossible_ones_stay() -> None:
    given_dates = ("31/12/2023", " 01/02/2024", "31/02/2024", "2024-01-01", None, "1/2/24")
    made = apply("parse", *given_dates, format="%d/%m/%Y")
    assert made == ["2023-12-31", "2024-02-01", None, None, None, None]
    assert apply("parse", "12.31.23 14:05", format="%m.%d.%y %H:%M") == ["2023-12-31T14:05:00"]
    assert apply("parse", "31 12 2023 01:00 +0200", format="%d %m %Y %H:%M %z") == [
        "2023-12-30T23:00:00Z"
    ]
    assert apply("parse", "2024-01-01", format="%Y-%m-%d") == [None]  # nothing new


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [
        ("drop", {}, "no operation"),
        ("set", {"value": " "}, "which value"),
        ("set", {"value": "x" * 1001}, "longer than"),
        ("map", {"values": {}}, "becomes which"),
        ("map", {"values": {" ": "1"}}, "old value is empty"),
        ("parse", {"format": "%d/%m"}, "lacks the year"),
        ("parse", {"format": "%Q"}, "%Q is no part"),
        ("parse", {"format": "%d/%d/%m/%Y"}, "twice"),
        ("parse", {"format": ""}, "how the dates"),
    ],
)
def test_parameters_without_sense_are_refused(
    kind: str, parameters: dict[str, Any], says: str
) -> None:
    with pytest.raises(RepairError, match=says):
        Operation(kind=kind, parameters=parameters)


def test_operations_say_what_they_do() -> None:
    many = {"values": {str(n): "1" for n in range(5)}}
    said = [
        Operation(kind="set", parameters={"value": "5"}).words("quantity"),
        Operation(kind="absolute").words("quantity"),
        Operation(kind="digits").words("price"),
        Operation(kind="parse", parameters={"format": "%d/%m/%Y"}).words("date"),
        Operation(kind="map", parameters=many).words("quantity"),
    ]
    assert said == [
        "set quantity to “5”",
        "take the minus sign off quantity",
        "keep only the digits of price",
        "read date as %d/%m/%Y",
        "in quantity: “0” → “1”, “1” → “1”, “2” → “1” and 2 more",
    ]


@pytest.mark.parametrize(
    ("record", "column", "value", "expected"),
    [
        ('{"quantity":  -2 , "x": 1}', "quantity", "2", '{"quantity":  2 , "x": 1}'),
        ('{"quantity": "-2"}', "quantity", "2", '{"quantity": "2"}'),
        ('{"quantity": -2}', "quantity", "two", '{"quantity": "two"}'),
        ('{"a": 1.10 }', "quantity", "2", '{"a": 1.10, "quantity": 2 }'),
        ("{}", "region", "N", '{"region": "N"}'),
        ('{"quantity": null}', "quantity", "2", '{"quantity": 2}'),
        ('{"product": {"price": -1}}', "price", "1", '{"product": {"price": 1}}'),
        ('{"product": {"id": "a"}}', "price", "1", '{"product": {"id": "a", "price": 1}}'),
        ('{"product": {"price": null}, "price": -3}', "price", "3", None),
        ('{"quantity": 1, "quantity": -2}', "quantity", "2", '{"quantity": 1, "quantity": 2}'),
        ('{"product": [], "price": 1}', "price", "5", '{"product": {"price": 5}, "price": 1}'),
        ('{"region": ["}", "\\""], "z": "}"}', "region", "N", '{"region": "N", "z": "}"}'),
    ],
)
def test_one_member_changes_and_the_rest_stays(
    record: str, column: str, value: str, expected: str | None
) -> None:
    made = edited(record, SALES, {column: value})
    assert made == (expected or '{"product": {"price": null}, "price": 3}')
    assert receive([made.encode()], SALES).text[column].to_pylist() == [value]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["quantity", "price", "product", "product_id", "region", "date", "x"]),
        _JSON,
    ),
    st.sampled_from(["quantity", "price", "product_id", "region", "date"]),
    st.text(alphabet='ab"\\\n5.-é', min_size=1, max_size=6).filter(str.strip),
    st.sampled_from([None, 1]),
)
def test_what_was_written_is_what_is_read(
    record: dict[str, Any], column: str, value: str, indent: int | None
) -> None:
    text = json.dumps(record, indent=indent)
    made = edited(text, SALES, {column: value})
    assert receive([made.encode()], SALES).text[column].to_pylist() == [value]
    others = {name for name in record if name not in {column, "product"}}
    assert {n: v for n, v in json.loads(made).items() if n in others} == {
        name: record[name] for name in others
    }


def test_records_checked_at_one_go_are_those_checked_one_by_one() -> None:
    plain = [' {"a": 1.10} ', '{"b": "é"}']
    broken_lines = ['{"a":\n 1}', '{"b": 2}']
    for records in (plain, broken_lines, ['{"a": 1}'], []):
        assert check_texts(records) == [check_text(record) for record in records]
    for wrong in ("[1]", '{"a": 1} {"b": 2}', "{", '{"a": 1}\n{"b": 2}', '"\ud800"'):
        with pytest.raises(RepairError):
            check_texts(['{"a": 1}', wrong])
