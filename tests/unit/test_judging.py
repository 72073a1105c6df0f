"""Decoding, normalising and judging, held to the rules written anew in tests/oracle.py."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import datasets, normalise, validate
from etl.db.copy_stream import copy_text
from etl.model import Column
from etl.received import receive
from tests.oracle import JUDGES, Number

odd = st.sampled_from([True, False, [], [1], {}, {"a": 1}])
texts = st.text(max_size=8) | st.sampled_from(
    [
        "",
        "  ",
        "C1",
        " c12 ",
        "C082C082",
        "é",
        "\0",
        "\ud800",
        "n/a",
        "north",
        " South WEST ",
        "x" * 101,
        "x" * 256,
        "😀",
        "a\tb\\n\n",
    ]
)
numbers = (
    st.integers(-5, 10**11)
    | st.floats(-2, 10**11, allow_nan=False).map(lambda value: round(value, 3))
    | st.sampled_from(
        [
            "3",
            " 3 ",
            "3.0",
            "3e0",
            "1e400000",
            "-0",
            "+5",
            ".5",
            "5.",
            "1,000",
            "€1",
            "10%",
            " 10 % ",
            "0.12345",
            "1.00005",
            "9999999999.995",
            "9999999999.994",
            2**31,
            2**31 - 1,
            0.005,
            1.005,
            2.675,
            "0x1",
            "١",
            1e-320,
            "0.00000000000000000000000000000001",
        ]
    )
)
dates = st.dates(dt.date(1890, 1, 1), dt.date(2110, 12, 31)).flatmap(
    lambda day: st.sampled_from(
        [
            "%Y/%m/%d 10:11:12",
            "%Y/%m/%d",
            "%d-%m-%Y",
            "%Y-%m-%d 23:59:59",
            "%Y-%m-%d",
            "%Y-%m-%dT01:02",
            "%Y-%m-%dT01:02:03.5Z",
            "%Y-%m-%dT23:30:00-01:30",
            "%Y-%m-%dT00:10+0200",
            " %Y-%m-%d ",
            "%Y-02-29",
            "%Y-02-30",
            "%Y-04-31",
            "%Y-13-01",
            "%Y-%m-%dT24:00:00",
            "%Y-%m-%d 10:60:00",
            "%d/%m/%Y",
        ]
    ).map(day.strftime)
)
anything = texts | numbers | dates | odd | st.none()


def often(good: Any) -> st.SearchStrategy[Any]:
    return st.one_of(good, good, good, anything)


product = st.fixed_dictionaries(
    {},
    optional={
        "id": often(st.just("P1")),
        "name": often(texts),
        "category": often(texts),
        "price": often(numbers),
    },
)
sale = st.fixed_dictionaries(
    {"transaction_id": often(st.just("T1") | st.integers(0, 9))},
    optional={
        "customer_id": often(st.sampled_from(["C1", " c2 "])),
        "product": st.one_of(product, product, product, anything),
        "product_id": often(st.just("P9")),
        "price": often(numbers),
        "quantity": often(st.integers(1, 9)),
        "discount": often(st.sampled_from([None, 0, 0.1, "10%", 1])),
        "date": often(dates),
        "region": often(texts),
    },
)
customer = st.fixed_dictionaries(
    {"customer_id": often(st.sampled_from(["C1", " c2 "]))},
    optional={
        "customer_name": often(texts | st.sampled_from(["Ada 12", "B@b", "n" * 51, " " * 51])),
        "email": often(texts | st.sampled_from(["A@Example.com", " a.b@c.de ", "none", "x" * 51])),
        "region": often(texts),
        "join_date": often(dates),
        "loyalty_points": often(numbers),
    },
)


def expected(dataset: str, text: str) -> tuple[str | None, tuple[Any, ...]]:
    value = json.loads(text, parse_int=Number, parse_float=Number)
    errors, row = JUDGES[dataset](value)
    return "; ".join(dict.fromkeys(errors)) or None, row


def stored(kind: str, value: str | None) -> Any:
    """What the database makes of the COPY text."""
    if value is None:
        return None
    if kind.startswith("numeric"):
        places = int(kind.rstrip(")").rpartition(",")[2])
        return Decimal(value).quantize(Decimal(1).scaleb(-places), "ROUND_HALF_UP")
    if kind == "integer":
        return int(value)
    if kind == "timestamp":
        return dt.datetime.fromisoformat(value)
    return dt.date.fromisoformat(value) if kind == "date" else value


@pytest.mark.parametrize(("dataset", "records"), [("sales", sale), ("customers", customer)])
def test_verdicts_and_values_are_the_oracles(dataset: str, records: Any) -> None:
    declared = datasets.get(dataset)

    @settings(max_examples=150, deadline=None)
    @given(st.lists(records | st.just(5) | st.none(), min_size=1, max_size=12))
    def check(batch: list[Any]) -> None:
        lines = [json.dumps(record) for record in batch]
        judged = validate.judge([line.encode() for line in lines], declared, declared.rules)
        found = judged.dq_errors.to_pylist()
        for index, line in enumerate(lines):
            errors, row = expected(dataset, line)
            if errors is None and found[index] == "total_value too large":
                continue  # a limit of the column, not of the rules
            assert found[index] == errors, line
            if errors is None:
                values = [judged.columns[name][index].as_py() for name in declared.column_names]
                kinds = [column.type for column in declared.columns]
                assert tuple(map(stored, kinds, values)) == row, line

    check()


@pytest.mark.parametrize(
    ("joined", "day"),
    [
        ("2000-01-01T23:59:59", "2000-01-01"),
        ("2000-01-01T10:00:00+05:30", "2000-01-01"),
        ("2000-01-01T24:00:00", None),
        ("2000-02-30T10:00:00", None),
        ("2000-01-01T10:00:00+25:00", None),
    ],
)
def test_the_day_of_an_impossible_time_is_none(joined: str, day: str | None) -> None:
    declared = datasets.get("customers")
    record = json.dumps({"customer_id": "C1", "join_date": joined}).encode()
    judged = validate.judge([record], declared, declared.rules)
    assert judged.dq_errors.to_pylist() == [None]
    assert judged.columns["join_date"].to_pylist() == [day]


def test_blocks_and_odd_records_are_joined_in_order() -> None:
    declared = datasets.get("sales")
    records = [json.dumps({"transaction_id": f"T{n}"}).encode() for n in range(2500)]
    records[1200] = b"[]"
    records[2400] = b'{"transaction_id": true, "region": "\\ud800"}'
    received = receive(records, declared)
    assert received.count == 2500
    assert received.text["transaction_id"].to_pylist()[2499] == "T2499"
    assert received.not_object is not None
    assert np.flatnonzero(received.not_object).tolist() == [1200]
    assert np.flatnonzero(received.not_scalar["transaction_id"]).tolist() == [2400]


@st.composite
def records_as_text(draw: st.DrawFn) -> bytes:
    """A sales record in any spelling: names twice, odd spaces, strings that look like members."""
    strings = st.text(max_size=6) | st.sampled_from(
        ['": 5', '":5', 'a": -1,', "x: 1", "\\", '\\"', ",", "}", "-0", "\u2028", "\0", "\ud800"]
    )
    tokens = (
        strings.map(json.dumps)
        | strings.filter(lambda value: value != "\ud800").map(
            lambda value: json.dumps(value, ensure_ascii=False)
        )
        | st.sampled_from(
            [
                "null",
                "1",
                "-0",
                "-0.0",
                "1.50",
                "1e400",
                "1E+2",
                "0.1e-7",
                "123456789012345678901234",
                "-1.005",
                "true",
                "[]",
                "[1.50]",
                "{}",
                '{"id": 1}',
            ]
        )
    )
    product = st.lists(
        st.tuples(st.sampled_from(["id", "name", "price", "extra"]), tokens), max_size=4
    )
    space = st.sampled_from(["", " ", "  ", "\n", "\r\n\t"])

    def written(members: list[tuple[str, str]]) -> str:
        inside = ",".join(
            f"{draw(space)}{json.dumps(name)}{draw(space)}:{draw(space)}{value}{draw(space)}"
            for name, value in members
        )
        return f"{{{inside}}}"

    members = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["transaction_id", "price", "quantity", "discount", "region", "x"]),
                tokens,
            )
            | st.tuples(st.just("product"), product.map(written) | tokens),
            max_size=6,
        )
    )
    return written(members).encode()


@settings(max_examples=300)
@given(st.lists(records_as_text(), min_size=1, max_size=4))
def test_plain_records_decode_as_beside_an_odd_one(records: list[bytes]) -> None:
    declared = datasets.get("sales")
    alone, beside = receive(records, declared), receive([*records, b"5"], declared)
    assert alone.not_object is None
    for name in declared.column_names:
        assert alone.text[name].to_pylist() == beside.text[name].to_pylist()[:-1]
        odd_alone, odd_beside = alone.not_scalar[name], beside.not_scalar[name]
        expected = [False] * len(records) if odd_beside is None else odd_beside.tolist()[:-1]
        assert ([False] * len(records) if odd_alone is None else odd_alone.tolist()) == expected


@pytest.mark.parametrize(
    "column",
    [column for dataset in datasets.declared().values() for column in dataset.columns],
    ids=lambda column: column.name,
)
def test_taken_values_are_those_of_the_rows(column: Column) -> None:
    given_ = [None, "1", "10%", "1e400", "0.12345678901234567890", "2.5", "x", "03-05-2023", ""]
    rows = np.array([7, 4, 4, 0, 2, 3, 5, 3, 6, 1, 8, 7])
    taken = column.normalise(normalise.series(pa.array(given_))).take(rows)
    whole = column.normalise(normalise.series(pa.array([given_[row] for row in rows])))
    assert pa.array(taken.text).to_pylist() == pa.array(whole.text).to_pylist()
    assert taken.exact == whole.exact
    np.testing.assert_equal(taken.number, whole.number)
    np.testing.assert_equal(taken.flags, whole.flags)


@settings(max_examples=100)
@given(st.lists(records_as_text(), min_size=1, max_size=4))
def test_repeated_records_are_judged_as_each_alone(records: list[bytes]) -> None:
    declared = datasets.get("sales")
    times = 12  # often enough that each value is looked at once
    alone = validate.judge(records, declared, declared.rules)
    repeated = validate.judge(records * times, declared, declared.rules)
    assert repeated.dq_errors.to_pylist() == alone.dq_errors.to_pylist() * times
    for name in declared.column_names:
        assert repeated.columns[name].to_pylist() == alone.columns[name].to_pylist() * times
    expected = sorted(
        (int(rule), int(record) + len(records) * time)
        for rule, record in zip(*alone.broken, strict=True)
        for time in range(times)
    )
    assert [(int(rule), int(record)) for rule, record in zip(*repeated.broken, strict=True)] == (
        expected
    )


def test_warnings_do_not_refuse() -> None:
    declared = datasets.get("sales")
    record = {
        "transaction_id": "T1",
        "customer_id": "C1",
        "product": {"id": "P", "price": 0},
        "quantity": 1,
        "date": "03-05-2023",
        "region": None,
    }
    judged = validate.judge([json.dumps(record).encode()], declared, declared.rules)
    assert judged.dq_errors.to_pylist() == [None]
    messages = [declared.rules[index].message for index in judged.broken[0]]
    assert messages == ["ambiguous date", "price 0", "unknown region"]


def test_without_rules_only_what_cannot_be_stored_is_refused() -> None:
    judged = validate.judge([b'{"customer_id": "C1"}'], datasets.get("customers"), [])
    assert judged.dq_errors.to_pylist() == [None]
    judged = validate.judge([b"{}"], datasets.get("customers"), [])
    assert judged.dq_errors.to_pylist() == ["customer_id cannot be stored"]
    assert not len(judged.broken[0])


@pytest.mark.parametrize(
    ("given_text", "ambiguous"),
    [("03-05-2023", True), ("05-05-2023", False), ("31-12-2023", False)],
)
def test_day_first_dates_say_when_they_are_ambiguous(given_text: str, ambiguous: bool) -> None:
    values = normalise.timestamp(pd.Series([given_text], dtype=normalise.STRING))
    assert values.flags["ambiguous"].tolist() == [ambiguous]


def test_copy_text_escapes_what_copy_reads() -> None:
    column = pa.array(["a\tb", "c\\d", "e\nf\rg", None, "", "\\N"], pa.string())
    assert copy_text([column, pa.scalar("x")]) == (
        b"a\\tb\tx\nc\\\\d\tx\ne\\nf\\rg\tx\n\\N\tx\n\tx\n\\\\N\tx\n"
    )
