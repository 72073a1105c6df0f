"""Invalid records go out as JSON, CSV and XLSX, and come back exactly as people left them."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Sequence
from typing import Any

import pytest
import python_calamine
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl import round_trip
from etl.errors import UnreadableFileError
from etl.export import defused
from etl.readers import Limits
from etl.round_trip import FORMATS, Corrected, Verdict, cell_of, value_of

ODD = [
    "",
    " ",
    "007",
    "12",
    "1e5",
    "-1",
    "+1_000",
    "-inf",
    "true",
    "NULL",
    "NaN",
    "2024-01-01",
    "1/2",
    "5 %",
    "May 5",
    "=1+1",
    '=HYPERLINK("http://x","y")',
    "@SUM(A1)",
    "+cmd|' /C calc'!A0",
    "-cmd",
    "\t=1",
    "\r=1",
    "'=1",
    "''",
    '"',
    "[1]",
    "{",
    "json:1",
    "a\nb",
    "_x0041_",
    "a\u0000b",
    "\ufffe",
    "\u00a0x",
    "\U0001f600",
    "a,b;c\td",
    "\\",
    "9" * 40_000,
]
KEYS = ["id", "product", "a.b", "version", "=x", "_x0041_", "", " x", "a\\b", "true", "1", "é"]

texts = st.one_of(st.sampled_from(ODD[:-1]), st.text(max_size=8))
numbers = st.one_of(
    st.integers().map(str),
    st.sampled_from(
        ["1.50", "-0", "1E5", "1e300", "0.1", "12345678901234567890", "1.0000000000000000001"]
    ),
)


def joined(parts: Sequence[str], opening: str, closing: str) -> str:
    return opening + ", ".join(parts) + closing


scalars = st.one_of(
    texts.map(json.dumps),
    texts.filter(lambda t: t.isprintable()).map(lambda t: json.dumps(t, ensure_ascii=False)),
    numbers,
    st.sampled_from(["true", "false", "null"]),
)


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.tuples(
        st.one_of(st.sampled_from(KEYS), st.text(max_size=3)),
        st.sampled_from([":", ": ", " :\n"]),
        values,
    ).map(lambda m: json.dumps(m[0]) + m[1] + m[2])
    return st.lists(members, max_size=4).map(lambda m: joined(m, "{", "}"))


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        objects(inner), st.lists(inner, max_size=3).map(lambda v: joined(v, "[ ", "]"))
    ),
    max_leaves=6,
)
records = st.one_of(objects(values), objects(values), objects(values), values)


def item(number: int, record: str, **changed: Any) -> dict[str, Any]:
    return {
        "quarantine_id": number,
        "version": 3,
        "batch_id": 7,
        "position": number,
        "dq_errors": "=cmd; Invalid quantity",
        "status": "open",
        "record": record,
        **changed,
    }


def written(items: list[dict[str, Any]], form: str) -> bytes:
    file = io.BytesIO()
    assert round_trip.write(lambda: iter(items), file, format=form) == len(items)
    return file.getvalue()


def read(items: list[dict[str, Any]], content: bytes, form: str) -> list[Corrected]:
    known = {one["quarantine_id"]: one for one in items}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(round_trip, "_items", lambda _, ids: known)
        return list(
            round_trip.read_corrected(None, io.BytesIO(content), f"f.{form}", limits=Limits())  # type: ignore[arg-type]
        )


def cells(content: bytes, form: str) -> list[list[Any]]:
    if form == "csv":
        return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    sheet = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    return sheet.get_sheet_by_index(0).to_python()


def packed(rows: list[list[Any]], form: str) -> bytes:
    if form == "csv":
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        return text.getvalue().encode()
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file)
    sheet = book.add_worksheet()
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            if isinstance(cell, str):
                sheet.write_string(number, column, cell)
            else:
                sheet.write(number, column, cell)
    book.close()
    return file.getvalue()


def correct(raw: str, form: str, **changes: Any) -> Corrected:
    """Change cells of the record's row by their head."""
    rows = cells(written([item(1, raw)], form), form)
    for head, cell in changes.items():
        if head not in rows[0]:
            rows[0].append(head)
            rows[1].append("")
        rows[1][rows[0].index(head)] = cell
    [one] = read([item(1, raw)], packed(rows, form), form)
    return one


quick = settings(
    max_examples=int(os.environ.get("MODEL_EXAMPLES", "20")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("form", FORMATS)
@quick
@given(st.lists(records, max_size=4))
def test_what_nobody_touched_is_unchanged(form: str, raws: list[str]) -> None:
    items = [item(number, raw) for number, raw in enumerate(raws, start=1)]
    found = read(items, written(items, form), form)
    assert [(one.quarantine_id, one.verdict, one.reason) for one in found] == [
        (number, Verdict.UNCHANGED, None) for number in range(1, len(raws) + 1)
    ]


@quick
@given(values)
def test_a_cell_says_exactly_one_value(value: str) -> None:
    cell = cell_of(value)
    back = value_of(cell)
    assert back is not None
    assert round_trip._same(back, value)
    assert defused(cell) == cell
    assert cell.isprintable()


@pytest.mark.parametrize("plain", ODD[:-1])
def test_odd_texts_stay_texts_and_run_nothing(plain: str) -> None:
    cell = cell_of(json.dumps(plain))
    assert json.loads(value_of(cell) or "") == plain
    assert defused(cell) == cell
    assert not cell.startswith(("=", "+", "@", "\t", "\r", "-"))


@quick
@given(objects(values), st.sampled_from(["csv", "xlsx"]), st.data())
def test_an_edit_changes_its_field_alone(raw: str, form: str, data: st.DataObject) -> None:
    fields = round_trip._fields(raw)
    assert fields is not None
    if not fields:
        return
    path = data.draw(st.sampled_from(sorted(fields)))
    value = data.draw(st.one_of(scalars, st.none()))
    head = round_trip.header_of(path)
    one = correct(raw, form, **{head: "" if value is None else cell_of(value)})
    if value is not None and round_trip._same(fields[path], value):
        assert one.verdict is Verdict.UNCHANGED
        return
    assert one.verdict is Verdict.EDITED, one.reason
    assert one.record is not None
    json.loads(one.record, parse_int=str)
    after = round_trip._fields(one.record) or {}
    others = {other: text for other, text in fields.items() if other != path}
    if value is None:
        assert path not in after
        after.pop(path[:1], None)  # an object that lost its last member is there, empty
        assert after == others
    else:
        assert round_trip._same(after.pop(path), value)
        assert after == others


@quick
@given(objects(values), records)
def test_an_edited_json_record_says_what_was_written(raw: str, edited: str) -> None:
    content = written([item(1, edited)], "json")
    [one] = read([item(1, raw)], content, "json")
    if round_trip._same(raw, edited):
        assert one.verdict is Verdict.UNCHANGED
    else:
        assert one.record is not None
        assert round_trip._same(one.record, edited)


def test_untouched_members_keep_their_bytes() -> None:
    raw = '{ "id":1.50 ,"n" : 1E2,\t"product":{"id" :"P1", "price": 10.00}, "x":"\\u00e9" }'
    one = correct(raw, "csv", **{"product.price": "12.5", "x": "", "new": "007"})
    assert one.record == (
        '{ "id":1.50 ,"n" : 1E2,\t"product":{"id" :"P1", "price": 12.5}, "new": "007" }'
    )
    pretty = json.dumps(json.loads(raw) | {"n": 3}, indent=4)
    [one] = read([item(1, raw)], written([item(1, pretty)], "json"), "json")
    assert one.record == raw.replace("1E2", "3")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (5, "5"),
        (2.5, "2.5"),
        (True, "true"),
        ("5", "5"),
        ('"5"', '"5"'),
        ("TRUE", "true"),
        ("'5", '"5"'),
    ],
)
def test_what_a_workbook_made_of_a_cell(cell: Any, value: str) -> None:
    assert correct('{"a": null}', "xlsx", a=cell).record == f'{{"a": {value}}}'


def test_a_spreadsheet_may_shorten_a_number_and_shout_a_word() -> None:
    assert correct('{"a": 1.50, "b": true}', "csv", a="1.5", b="TRUE").verdict is Verdict.UNCHANGED


@pytest.mark.parametrize(
    ("raw", "changes", "reason"),
    [
        ('{"a": 1}', {"a": '"x'}, "column a: it begins like JSON"),
        ('{"a": 1}', {"a": "json:x"}, "column a: what follows json: is no JSON"),
        ('{"a": {"b": 1}}', {"a": "5"}, "column a: its parts stand in columns of their own"),
        ('{"a": 1}', {"a.b": "5"}, "column a.b: a has a value of its own"),
        ('{"a": 1, "a": 2}', {"a": "5"}, "column a: the record has this field twice"),
        ("[1]", {"a": "5"}, "column a: the record is no JSON object"),
        ('{"a": 1}', {"quarantine_id": "9"}, "there is no invalid record 9"),
        ('{"a": 1}', {"quarantine_id": "x"}, "column quarantine_id: it is no number"),
        ('{"a": 1}', {"version": "2"}, "was changed meanwhile (version 3 now)"),
    ],
)
def test_a_row_is_refused_with_its_place(raw: str, changes: dict[str, Any], reason: str) -> None:
    one = correct(raw, "csv", **changes)
    assert one.verdict is Verdict.REFUSED
    assert one.record is None
    assert one.reason is not None
    assert one.reason.startswith("f.csv, row 2, column ")
    assert reason in one.reason


def test_a_number_that_a_workbook_cut_is_refused() -> None:
    one = correct('{"a": 1}', "xlsx", a=1.2345678901234567e19)
    assert one.verdict is Verdict.REFUSED
    assert "keeps 15 digits" in str(one.reason)


def test_closed_and_repeated_items_are_refused() -> None:
    items = [item(1, '{"a": 1}', status="fixed"), item(2, '{"a": 1}')]
    content = written([*items, items[1]], "csv")
    found = read(items, content, "csv")
    assert [one.verdict for one in found] == [
        Verdict.REFUSED,
        Verdict.UNCHANGED,
        Verdict.REFUSED,
    ]
    assert "is fixed already" in str(found[0].reason)
    assert "stands in the file twice" in str(found[2].reason)


def test_a_european_spreadsheet_writes_semicolons() -> None:
    rows = cells(written([item(1, '{"a": 1, "b": "x"}')], "csv"), "csv")
    rows[1][-1] = "y"
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";").writerows(rows)
    [one] = read([item(1, '{"a": 1, "b": "x"}')], text.getvalue().encode(), "csv")
    assert one.record == '{"a": 1, "b": "y"}'


GOOD = [item(1, '{"a": 1}')]


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("csv", b""),
        ("csv", b"a,b\r\n1,2\r\n"),
        ("csv", "quarantine_id,version,ä\r\n1,3,x\r\n".encode("cp1252")),
        ("csv", b'quarantine_id,version,a\r\n1,3,"x'),
        ("csv", b"quarantine_id,version,a,a\r\n1,3,x,y\r\n"),
        ("csv", b"quarantine_id,version,a.b.c\r\n1,3,x\r\n"),
        ("xlsx", b""),
        ("xlsx", b"PK\x03\x04 no archive"),
        ("xlsx", written(GOOD, "xlsx")[:-200]),
        ("json", b"[{]"),
        ("json", written(GOOD, "json")[:-4]),
        ("txt", b"x"),
    ],
)
def test_a_damaged_file_is_refused_in_words(form: str, content: bytes) -> None:
    with pytest.raises(UnreadableFileError) as error:
        read(GOOD, content, form)
    assert error.value.message.startswith("f.")


def test_a_workbook_without_its_sheet_is_refused() -> None:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(written(GOOD, "xlsx"))) as whole,
        zipfile.ZipFile(file, "w") as part,
    ):
        for name in whole.namelist():
            if "sheet1" not in name:
                part.writestr(name, whole.read(name))
    with pytest.raises(UnreadableFileError, match="damaged"):
        read(GOOD, file.getvalue(), "xlsx")


def test_a_json_object_without_its_record_is_refused() -> None:
    found = read(GOOD, b'[{"quarantine_id": 1, "version": 3}, 5]', "json")
    assert [one.verdict for one in found] == [Verdict.REFUSED] * 2
    assert "column record" in str(found[0].reason)


def test_the_longest_texts_stay_as_they_are() -> None:
    raw = json.dumps({"a": ODD[-1], "b": 1})
    assert "too long for a cell" in cell_of(json.dumps(ODD[-1]))
    one = correct(raw, "xlsx", b="2")
    assert one.record == raw.replace('"b": 1', '"b": 2')


def test_no_cell_of_a_table_is_a_formula() -> None:
    raw = json.dumps({"=1": "=1", "+a": "@x", "-": "-x", "name": "=cmd|x"})
    for form in ("csv", "xlsx"):
        for row in cells(written([item(1, raw)], form), form):
            for cell in row:
                assert defused(str(cell)) == str(cell)
    with zipfile.ZipFile(io.BytesIO(written([item(1, raw)], "xlsx"))) as book:
        assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")
