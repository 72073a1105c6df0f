"""An edit changes the members that are touched; everything else of the text stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import datasets
from etl.received import receive
from etl.record_edit import NotAnObjectError, differences, edited, fields

SALES = datasets.get("sales")
NAMES = [column.name for column in SALES.columns]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(max_size=3), scalars)
known = st.sampled_from([path for c in SALES.columns for path in c.paths if "." not in path])
products = st.dictionaries(
    st.sampled_from(["id", "name", "category", "price", "colour"]), values, max_size=4
)
records = st.builds(
    lambda flat, odd, product: {**flat, **odd, **product},
    st.dictionaries(known, values, max_size=8),
    st.dictionaries(st.text(max_size=4), values, max_size=3),
    st.one_of(st.just({}), st.builds(lambda p: {"product": p}, products | scalars)),
)
texts = st.builds(
    lambda record, indent, is_ascii: json.dumps(record, indent=indent, ensure_ascii=is_ascii),
    records,
    st.sampled_from([None, 1, 4]),
    st.booleans(),
)
typed = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
typed |= st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str)


def shown(record: str) -> dict[str, str]:
    return {field.column.name: field.text for field in fields(record, SALES)}


@given(texts)
def test_touching_nothing_returns_the_same_text(record: str) -> None:
    assert edited(record, SALES, {}) == record
    there = [f for f in fields(record, SALES) if f.kind in {"text", "number", "other"}]
    assert edited(record, SALES, {f.column.name: f.text for f in there}) == record
    empty = [f for f in fields(record, SALES) if f.kind in {"absent", "null"}]
    assert edited(record, SALES, {f.column.name: None for f in empty}) == record


@settings(max_examples=150)
@given(texts, st.sampled_from(NAMES), typed)
def test_touching_one_member_changes_only_that_member(
    record: str, name: str, value: str | None
) -> None:
    changed = edited(record, SALES, {name: value})
    before, after = json.loads(record), json.loads(changed)
    column = next(column for column in SALES.columns if column.name == name)
    touched = {path.partition(".")[0] for path in column.paths}
    assert {k: v for k, v in before.items() if k not in touched} == {
        k: v for k, v in after.items() if k not in touched
    }
    assert [key for key in after if key in before] == list(before)
    old, new = before.get("product"), after.get("product")
    if isinstance(old, dict):
        children = {path.partition(".")[2] for path in column.paths}
        assert isinstance(new, dict)
        assert {k: v for k, v in old.items() if k not in children} == {
            k: v for k, v in new.items() if k not in children
        }
    assert shown(changed)[name] == ("" if value is None else value)


@given(texts, st.dictionaries(st.sampled_from(NAMES), typed, max_size=4))
def test_the_engine_reads_what_the_form_shows(record: str, changes: dict[str, str | None]) -> None:
    changed = edited(record, SALES, changes)
    received = receive([changed.encode("utf-8", "surrogatepass")], SALES)
    for field in fields(changed, SALES):
        name = field.column.name
        odd = received.not_scalar[name]
        if field.kind == "other":
            assert odd is not None
            assert odd[0]
        elif field.kind in {"absent", "null"}:
            assert received.text[name][0].as_py() is None
        elif field.kind == "text":
            assert received.text[name][0].as_py() == field.text


@pytest.mark.parametrize(
    ("record", "changes", "expected"),
    [
        ('{"price": 1.50, "x":  [1,2 ]}', {"price": "2"}, '{"price": 2, "x":  [1,2 ]}'),
        ('{"price": "1.50"}', {"price": "2"}, '{"price": "2"}'),
        ('{"price": null}', {"price": "12.30"}, '{"price": 12.30}'),
        ('{"price": 1}', {"price": "1,5"}, '{"price": "1,5"}'),
        ('{"price": 1}', {"price": "01"}, '{"price": "01"}'),
        ('{"price": 1}', {"price": None}, '{"price": null}'),
        ('{"region": 5}', {"region": "6"}, '{"region": "6"}'),
        ('{"quantity":-1,"big":1e400}', {"quantity": "1"}, '{"quantity":1,"big":1e400}'),
        ('{"quantity": 1, "quantity": 2}', {"quantity": "3"}, '{"quantity": 1, "quantity": 3}'),
        ('{"quant\\u0069ty": 1}', {"quantity": "3"}, '{"quant\\u0069ty": 3}'),
        ("{}", {"product_id": "P1"}, '{"product": {"id": "P1"}}'),
        ("{ }", {"quantity": "3"}, '{ "quantity": 3}'),
        ('{"product": null}', {"product_id": "P1"}, '{"product": {"id": "P1"}}'),
        ('{"product": "x"}', {"product_id": "P1"}, '{"product": {"id": "P1"}}'),
        ('{"product":{"a":1,"b":2}}', {"price": "3"}, '{"product":{"a":1,"b":2,"price":3}}'),
        ('{"product_name": "x"}', {"price": "3"}, '{"product_name": "x", "price": 3}'),
        (
            '{"product": {"id": null}, "product_id": "P1"}',
            {"product_id": "P2"},
            '{"product": {"id": null}, "product_id": "P2"}',
        ),
        (
            '{"product": {"id": "P0"}, "product_id": "P1"}',
            {"product_id": None},
            '{"product": {"id": null}, "product_id": null}',
        ),
        (
            '{\n  "a": 1,\n  "b": 2\n}',
            {"region": "é"},
            '{\n  "a": 1,\n  "b": 2,\n  "region": "é"\n}',
        ),
    ],
)
def test_examples(record: str, changes: dict[str, str | None], expected: str) -> None:
    assert edited(record, SALES, changes) == expected


@pytest.mark.parametrize("record", ["", "5", "[{}]", "{", '{"a" 1}', "{} {}", '{"a": 1,}', "null"])
def test_what_is_no_object_has_no_fields(record: str) -> None:
    with pytest.raises(NotAnObjectError):
        fields(record, SALES)
    with pytest.raises(NotAnObjectError):
        edited(record, SALES, {"region": "North"})


def test_half_characters_and_odd_values_are_shown() -> None:
    record = '{"region": "a\\ud800", "quantity": true, "price": [1, 2]}'
    seen: dict[str, Any] = shown(record)
    assert (seen["region"], seen["quantity"], seen["price"]) == ("a\ufffd", "true", "[1, 2]")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ('{"quantity": -1, "product": {"id": "P1", "x": 1}, "extra": null}', []),
        ('{"quantity": 2, "product": {"id": "P1", "x": 1}}', [("quantity", "-1", "2")]),
        (
            '{"quantity": "-1", "product": {"id": "P1", "x": 5}, "extra": [1]}',
            [("quantity", "-1", '"-1"'), ("product.x", "1", "5"), ("extra", None, "[1]")],
        ),
        ("[]", [("whole record", '{"quantity": -1, "product": {"id": "P1", "x": 1}}', "[]")]),
    ],
)
def test_differences_name_the_field(
    after: str, expected: list[tuple[str, str | None, str | None]]
) -> None:
    before = '{"quantity": -1, "product": {"id": "P1", "x": 1}}'
    found = differences(before, after, SALES)
    assert sorted(found) == sorted(expected)


@given(texts, st.sampled_from(NAMES), typed)
def test_an_edit_differs_in_its_column_alone(record: str, name: str, value: str | None) -> None:
    found = differences(record, edited(record, SALES, {name: value}), SALES)
    had_product = isinstance(json.loads(record).get("product"), dict | None)
    assert {one[0] for one in found} <= {name} or not had_product
