"""The catalogue of bad input: what the operator gets, and that everything else still loads."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Pipeline
from tests.integration.test_engine import sale
from tests.invariants import broken

HEAD = b'[{"transaction_id": "T900", "product": {}, "quantity": 1},\n'

# name -> (content, code); all are refused whole
REFUSED: dict[str, tuple[bytes, str]] = {
    "truncated": (HEAD + b'{"transaction_id": "T9', "truncated"),
    "scalar": (b"5", "top_level"),
    "null": (b"null", "top_level"),
    "latin1": (HEAD + '{"region": "é"}]'.encode("latin-1"), "encoding"),
    "control": (HEAD + b'{"region": "a\tb"}]', "not_json"),
    "comma": (HEAD[:-2] + b",]", "not_json"),
    "quotes": (HEAD + b"{'transaction_id': 'T901'}]", "not_json"),
    "comment": (HEAD + b'// more\n{"transaction_id": "T901"}]', "not_json"),
    "depth": (HEAD + b'{"x": ' + b"[" * 101 + b"]" * 101 + b"}]", "depth"),
    "digits": (HEAD + b'{"price": ' + b"9" * 401 + b"}]", "number"),
    "range": (HEAD + b'{"price": 1e400}]', "number"),
    "nan": (HEAD + b'{"price": NaN}]', "not_json"),
    "infinity": (HEAD + b'{"price": Infinity}]', "not_json"),
    "gzip": (gzip.compress(HEAD + b"{}]")[:-9], "gzip"),
    "bomb": (gzip.compress(HEAD + b" " * 3_000_000 + b"{}]"), "too_large"),
    "stranger": (b'[{"invoice": 1, "vendor": "x"}]', "unrecognised"),
    "no_objects": (b'[1, "x"]', "unrecognised"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_whole(name: str, pipeline: Pipeline) -> None:
    content, code = REFUSED[name]
    settings = pipeline.settings.model_copy(update={"unpacked_limit_mb": 1})
    pipeline = Pipeline(pipeline.engine, settings)
    pipeline.land(f"{name}.json", content)
    pipeline.land("good.json", [sale(1)])
    run = pipeline.run("sales")
    assert run["status"] == "warned"
    assert name in run["reason"]
    assert pipeline.rows("select transaction_id from silver.sales") == [("T001",)]
    [kept] = [
        path for path in settings.rejected.iterdir() if not path.name.endswith(".reason.json")
    ]
    assert kept.read_bytes() == content
    reason = json.loads((kept.parent / f"{kept.name}.reason.json").read_text())
    assert reason["code"] == code
    assert reason["message"]
    if code in {"truncated", "not_json", "depth", "number"}:
        assert reason["line"] >= 1
        assert reason["column"] >= 1
    assert pipeline.value("select count(*) from raw.sales_raw") == 1
    with pipeline.engine.connect() as connection:
        assert broken(connection, settings.home, quiet=True) == []
    assert pipeline.run("sales")["reason"] == "nothing to do"


@pytest.mark.parametrize("content", [b"", b" \n\t ", b"[]", b"[ ]\n[]"])
def test_nothing_in_it_is_skipped_with_a_warning(content: bytes, pipeline: Pipeline) -> None:
    pipeline.land("nothing.json", content)
    pipeline.land("sales.json", [sale(1)])
    run = pipeline.run("sales")
    assert run["status"] == "warned"
    assert "holds no records" in run["reason"]
    assert (
        pipeline.value("select status from etl.batch where file_name = 'nothing.json'") == "skipped"
    )
    assert pipeline.value("select count(*) from silver.sales") == 1
    assert '"level": "warning"' in (pipeline.settings.logs / "sales_etl_logs.log").read_text()


def test_a_missing_source_file_is_a_warning(pipeline: Pipeline) -> None:
    run = pipeline.run("sales", source_file=str(pipeline.settings.home / "none.json"))
    assert run["status"] == "warned"
    assert "none.json does not exist" in run["reason"]


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_only_regular_files(kind: str, pipeline: Pipeline) -> None:
    path = pipeline.settings.landing / "odd.json"
    secret = pipeline.settings.home / "secret.json"
    secret.write_text(json.dumps([sale(7)]))
    path.symlink_to(secret) if kind == "link" else os.mkfifo(path)
    pipeline.land("good.json", [sale(1)])
    run = pipeline.run("sales")
    assert run["status"] == "warned"
    assert "no regular file" in run["reason"]
    assert secret.exists()
    assert pipeline.value("select count(*) from silver.sales") == 1


ACCEPTED: dict[str, bytes] = {
    "mark": b"\xef\xbb\xbf" + json.dumps([sale(1), sale(2)]).encode(),
    "utf16": json.dumps([sale(1), sale(2)]).encode("utf-16"),
    "crlf": json.dumps([sale(1), sale(2)], indent=1).replace("\n", "\r\n").encode(),
    "lines": (json.dumps(sale(1)) + "\n\n" + json.dumps(sale(2)) + "\n").encode(),
    "arrays": (json.dumps([sale(1)]) + json.dumps([sale(2)])).encode(),
    "gzip": gzip.compress(json.dumps([sale(1), sale(2)]).encode()),
    "duplicate keys": json.dumps([sale(1), sale(2)])
    .replace('"T001"', '"X", "transaction_id": "T001"')
    .encode(),
    "50,000 keys": json.dumps([sale(1, **{f"k{n}": n for n in range(50_000)}), sale(2)]).encode(),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str, pipeline: Pipeline) -> None:
    pipeline.land("file.json", ACCEPTED[name])
    run = pipeline.run("sales")
    assert run["status"] == "succeeded"
    assert pipeline.rows("select transaction_id from silver.sales order by 1") == [
        ("T001",),
        ("T002",),
    ]


def test_one_object_is_a_file_of_one_record(pipeline: Pipeline) -> None:
    pipeline.land("one.json", json.dumps(sale(1)).encode())
    assert pipeline.run("sales")["valid_records"] == 1


@pytest.mark.parametrize(
    "name",
    [
        "UPPER.JSON",
        "with space.json",
        "größe.json",
        "a\nb.json",
        "CON",
        "x" * 200 + ".json",
        "=cmd.json",
        "‮evil.json",
        "-rf.json",
        "data.ndjson",
    ],
)
def test_any_file_name_is_safe(name: str, pipeline: Pipeline) -> None:
    pipeline.land(name, [sale(1)])
    assert pipeline.run("sales")["valid_records"] == 1
    [stored] = pipeline.settings.processed.iterdir()
    assert stored.name.startswith("batch-")
    assert "\n" not in stored.name
    assert pipeline.value("select file_name from etl.batch") == name
    for line in (pipeline.settings.logs / "sales_etl_logs.log").read_text().splitlines():
        json.loads(line)  # a newline in a name forges no line


def test_the_processed_folder_may_hold_the_name_already(pipeline: Pipeline) -> None:
    for quantity in (1, 2):
        pipeline.land("same.json", [sale(1, quantity=quantity)])
        pipeline.run("sales")
    assert len(list(pipeline.settings.processed.iterdir())) == 2


def test_an_unreadable_file_stays_or_is_refused(pipeline: Pipeline) -> None:
    if os.name != "nt" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = pipeline.land("closed.json", [sale(1)])
    path.chmod(0)
    run = pipeline.run("sales")
    assert run["status"] == "warned"
    assert "may not be read" in run["reason"]


Q, D = "Invalid quantity", "Invalid discount"
LATE = "Invalid date"


def priced(value: Any) -> dict[str, Any]:
    return {"product": {"id": "P01", "price": value}}


RECORDS: list[tuple[Any, str]] = [
    (5, "Not an object"),
    (None, "Not an object"),
    ([sale(1)], "Not an object"),
    *(
        ({"quantity": value}, Q)
        for value in (None, 0, -1, 2.5, "three", True, [1], {}, 2**31, "1e400000000", 1e300, "")
    ),
    *(
        (priced(value), "Invalid price")
        for value in ("1,234.50", "€12", -5, 10**10, "9999999999.995", "abc", True, [1], {"a": 1})
    ),
    *((priced(value), "Missing price") for value in (None, "", "  ")),
    *(({"discount": value}, D) for value in (10, -0.1, 1.0000001, "abc", True, [0], "110%")),
    *(
        ({"date": value}, LATE)
        for value in (
            "2023-02-30",
            "31-13-2023",
            1673778600,
            "now",
            "infinity",
            "10000-01-01",
            "2023-01-01T24:00:00",
            "2023-01-01T10:00:60",
            None,
            "",
            [1],
            "03/05/2023",
        )
    ),
    ({"transaction_id": None}, "Missing transaction_id"),
    ({"transaction_id": "  "}, "Missing transaction_id"),
    ({"transaction_id": ["T1"]}, "Invalid transaction_id"),
    ({"transaction_id": "x" * 101}, "transaction_id length > 100"),
    ({"transaction_id": "a\0b"}, "Unstorable text in transaction_id"),
    ({"customer_id": "none"}, "Missing customer_id"),
    ({"customer_id": ["C1"]}, "Missing customer_id"),
    ({"customer_id": "C" + "1" * 100}, "customer_id length > 100"),
    ({"product": {"price": 1}}, "Missing product_id"),
    (
        {"product": "P1", "note": None},
        "Invalid price; Invalid product_id; Invalid product_name; Invalid category",
    ),
    ({"product": None}, "Missing price; Missing product_id"),
    ({"product": {"id": "P" * 101, "price": 1}}, "product_id length > 100"),
    ({"product": {"id": "P", "price": 1, "name": "n" * 256}}, "product_name length > 255"),
    ({"product": {"id": "P", "price": 1, "category": "c" * 256}}, "category length > 255"),
    ({"product": {"id": "P", "price": 1, "name": "\ud800"}}, "Unstorable text in product_name"),
    ({"region": "r" * 101}, "region length > 100"),
    ({"region": {"name": "North"}}, "Invalid region"),
    ({"region": "\0"}, "Unstorable text in region"),
    ({"customer_id": None, "quantity": -1, "discount": 2}, f"Missing customer_id; {Q}; {D}"),
]


def test_a_product_that_is_no_object_marks_its_columns(pipeline: Pipeline) -> None:
    """Also in a file in which no record names them."""
    pipeline.land("odd.json", [sale(1, product="P1")])
    pipeline.run("sales")
    assert pipeline.value("select dq_errors from dq.quarantine") == (
        "Invalid price; Invalid product_id; Invalid product_name; Invalid category"
    )


def test_bad_records_are_quarantined_and_the_rest_goes_on(pipeline: Pipeline) -> None:
    """One file with all of them, each between two good ones."""
    records: list[Any] = []
    for number, (changes, _) in enumerate(RECORDS):
        bad = sale(number, **changes) if isinstance(changes, dict) else changes
        records += [bad, sale(1000 + number)]
    pipeline.land("bad.json", records)
    run = pipeline.run("sales")
    found = dict(pipeline.rows("select position, dq_errors from dq.quarantine"))
    wanted = {2 * number + 1: message for number, (_, message) in enumerate(RECORDS)}
    assert found == wanted
    assert run["valid_records"] == len(RECORDS)
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home, quiet=True) == []
    shown = json.loads((pipeline.settings.logs / "invalid_sales.json").read_text())
    assert [record["dq_errors"] for record in shown] == list(wanted.values())


NORMALISED: list[tuple[dict[str, Any], str, str]] = [
    ({"quantity": "3"}, "quantity", "3"),
    ({"quantity": 3.0}, "quantity", "3"),
    ({"quantity": " 3 "}, "quantity", "3"),
    ({"quantity": "3e0"}, "quantity", "3"),
    (priced("12.50"), "price", "12.50"),
    (priced(0.005), "price", "0.01"),
    (priced("2.675"), "price", "2.68"),
    (priced(" 1e2 "), "price", "100.00"),
    ({"discount": "10%"}, "discount", "0.1000"),
    ({"discount": " 0.1 "}, "discount", "0.1000"),
    ({"discount": None}, "discount", "0.0000"),
    ({"discount": ""}, "discount", "0.0000"),
    ({"discount": 0.12345}, "discount", "0.1235"),
    ({"customer_id": "C082C082"}, "customer_id", "C082"),
    ({"customer_id": " c12 "}, "customer_id", "C12"),
    ({"region": " WEST "}, "region", "West"),
    ({"region": "n/a"}, "region", "Unknown"),
    ({"region": "south east"}, "region", "South East"),
    ({"date": "2023-05-06T01:30:00+05:30"}, "date", "2023-05-05 20:00:00"),
    ({"transaction_id": 12345}, "transaction_id", "12345"),
    ({"region": "😀 ‮x"}, "region", "😀 ‮X"),
    ({"region": "'; drop table silver.sales; --"}, "region", "'; Drop Table Silver.Sales; --"),
]


@pytest.mark.parametrize(("changes", "column", "stored"), NORMALISED)
def test_normalised(changes: dict[str, Any], column: str, stored: str, pipeline: Pipeline) -> None:
    pipeline.land("file.json", [sale(1, **changes)])
    assert pipeline.run("sales")["valid_records"] == 1
    assert pipeline.value(f"select cast({column} as text) from silver.sales") == stored


def test_raw_holds_every_record_exactly_as_received(pipeline: Pipeline) -> None:
    texts = [
        '{"transaction_id":"T1",  "product": {"id":"\\u0000"}, "quantity":1.0}',
        '{"transaction_id": "\\ud800", "x": 1.100000000000000000001}',
        '{"transaction_id": "T2", "transaction_id": "T3", "path": "a\\\\b\\tc\\nd"}',
        "5",
    ]
    pipeline.land("file.json", ("[" + ",\n".join(texts) + "]").encode())
    pipeline.run("sales")
    assert [
        row[0] for row in pipeline.rows("select record from raw.sales_raw order by position")
    ] == texts


def test_exports_defuse_formulas(pipeline: Pipeline, tmp_path: Path) -> None:
    bad = {
        "customer_id": None,
        "customer_name": "=cmd|'/c calc'!A1",
        "email": "@x",
        "region": "-1+2",
    }
    pipeline.land("customers.json", [{**bad, "join_date": None, "loyalty_points": -7}])
    pipeline.run("customers")
    text = (pipeline.settings.logs / "invalid_customers.csv").read_text()
    assert ",'=cmd|'/c calc'!A1,'@x,'-1+2,," in text
    assert ",-7," in text  # a number stays one
