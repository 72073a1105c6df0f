"""The generator: the same bytes everywhere, the promised faults, bounded memory, whole files."""

import gzip
import hashlib
import json
import math
import re
import tracemalloc
from collections import Counter
from dataclasses import fields
from datetime import date

import pyarrow as pa
import pytest

from etl import generate
from etl.errors import RevenueError
from etl.generate import CustomerRates, SalesRates

BLOCKS = 20_500  # records: more than one block
MANY = 6_000  # enough to count faults

BASE_LINES = """\
{"transaction_id": "T001", "customer_id": "C001", "product": {"id": "P01", "name": "Laptop", \
"category": "Electronics", "price": 999.99}, "quantity": 2, "discount": 0.05, \
"date": "2023/01/15 10:30:00", "region": "North"}
{"transaction_id": "T002", "customer_id": "C002", "product": {"id": "P02", "name": "Mouse", \
"category": "Accessories", "price": 19.99}, "quantity": 5, "discount": null, \
"date": "2023-02-10T14:15:00Z", "region": "South"}
{"transaction_id": "T003", "customer_id": null, "product": {"id": "P03", "name": "Monitor", \
"category": "Electronics", "price": 299.5}, "quantity": -1, "discount": 0.1, \
"date": "03-05-2023", "region": "East"}
{"transaction_id": "T004", "customer_id": "C004", "product": {"id": "P04", "name": "Keyboard", \
"category": "Accessories", "price": 49.9}, "quantity": 4, "discount": 0.15, \
"date": "2023-04-20", "region": "West"}
{"transaction_id": "T005", "customer_id": "C001", "product": {"id": "P05", "name": "Desk", \
"category": "Furniture", "price": 189.0}, "quantity": 3, "discount": 0, \
"date": "2023/05/12 12:30:00", "region": "North"}
"""
TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
DATE_FORMATS = {
    name: re.compile(pattern)
    for name, pattern in {
        "YYYY/MM/DD HH:MM:SS": rf"(?P<y>\d{{4}})/(?P<m>\d\d)/(?P<d>\d\d) {TIME}",
        "YYYY-MM-DDTHH:MM:SSZ": rf"(?P<y>\d{{4}})-(?P<m>\d\d)-(?P<d>\d\d)T{TIME}Z",
        "DD-MM-YYYY": r"(?P<d>\d\d)-(?P<m>\d\d)-(?P<y>\d{4})",
        "YYYY-MM-DD HH:MM:SS": rf"(?P<y>\d{{4}})-(?P<m>\d\d)-(?P<d>\d\d) {TIME}",
        "YYYY-MM-DD": r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)",
    }.items()
}


def text(blocks) -> str:
    return b"".join(blocks).decode()


def parsed(blocks) -> list[dict]:
    return [json.loads(line) for line in text(blocks).splitlines()]


def only(rates_class, name):
    return rates_class(**{field.name: float(field.name == name) for field in fields(rates_class)})


def dated(value) -> tuple[str, date] | None:
    """Name the format of a date and the day it means."""
    for name, pattern in DATE_FORMATS.items():
        if found := pattern.fullmatch(value or ""):
            try:
                return name, date(int(found["y"]), int(found["m"]), int(found["d"]))
            except ValueError:
                return None
    return None


def customer_number(value) -> int | None:
    found = re.search(r"C(\d+)", (value or "").upper())
    return int(found[1]) if found else None


def number(value) -> float:
    try:
        return float(value) if not str(value).endswith("%") else float(value[:-1]) / 100
    except (TypeError, ValueError):
        return math.nan


def sale_is_rejected(sale) -> bool:
    """Judge as DESIGN.md, section 3, says, in plain Python."""
    return not (
        sale["transaction_id"]
        and customer_number(sale["customer_id"])
        and number(sale["product"]["price"]) >= 0
        and number(sale["quantity"]) > 0
        and 0 <= number(sale["discount"] or 0) <= 1
        and sale["product"]["id"]
        and dated(sale["date"])
    )


def customer_is_rejected(customer) -> bool:
    return (
        not customer["customer_id"]
        or len(customer["email"] or "") > 50
        or len(customer["customer_name"] or "") > 50
    )


def share(records, judge) -> float:
    return sum(map(bool, map(judge, records))) / len(records)


@pytest.fixture(scope="module")
def some_sales():
    return parsed(generate.sales(MANY, seed=11))


@pytest.fixture(scope="module")
def some_customers():
    return parsed(generate.customers(MANY, seed=11))


# The same bytes


def test_bytes_are_pinned():
    made = {
        "sales": b"".join(generate.sales(BLOCKS, seed=7)),
        "customers": b"".join(generate.customers(BLOCKS, seed=7)),
    }
    assert {name: hashlib.sha256(data).hexdigest() for name, data in made.items()} == {
        "sales": "5e3567d2711d4368ca23879d2fb4a140a2187e36f341cf7dcea2bc550f1dcc81",
        "customers": "2dbbb0080c8778f83f523efa1d5d1908183da80b9a3a1a999b3aab682fcd79bd",
    }
    assert made["sales"] == b"".join(generate.sales(BLOCKS, seed=7))
    assert made["sales"] != b"".join(generate.sales(BLOCKS, seed=8))


def test_a_block_does_not_depend_on_the_blocks_before_it():
    bounds = (20_005, BLOCKS)
    alone = generate._sales_lines(generate._Block(11, 1, *bounds), 100, SalesRates(), None)
    assert list(generate.sales(BLOCKS, seed=11))[-1] == alone


# What is in them


@pytest.mark.parametrize("records", [0, 1, 4, 5, 6, 20_006])
def test_sales_are_counted_with_the_base_sales_first(records):
    lines = text(generate.sales(records, seed=1)).splitlines()
    assert len(lines) == records
    assert lines[:5] == BASE_LINES.splitlines()[:records]


@pytest.mark.parametrize("records", [0, 1, 20_001])
def test_customers_are_counted(records):
    assert len(text(generate.customers(records, seed=1)).splitlines()) == records


def test_sales_look_like_the_originals(some_sales):
    base = {product["id"]: product for product in generate.PRODUCTS}
    for position, sale in enumerate(some_sales[5:], start=6):
        product = sale["product"]
        assert list(sale) == list(generate.BASE_SALES[0])
        assert sale["transaction_id"] in {None, ""} or int(sale["transaction_id"][1:]) <= position
        assert {**product, "price": 0} == {**base[product["id"]], "price": 0}
        if product["price"]:
            assert product["price"] == pytest.approx(base[product["id"]]["price"], rel=0.101)
            assert product["price"] == round(product["price"], 2)
        assert sale["quantity"] in {1, 2, 3, 4, 5, -1, -2}
        region = (sale["region"] or "Unknown").strip().title()
        assert region in {*generate.REGIONS, "Unknown"}
    assert some_sales[5]["transaction_id"] == "T000006"


def test_every_date_format_and_a_season(some_sales):
    dates = [found for sale in some_sales if (found := dated(sale["date"]))]
    formats = Counter(name for name, _ in dates)
    assert all(formats[name] > 0.05 * len(dates) for name in DATE_FORMATS)
    months = Counter(day.month for _, day in dates)
    assert {day.year for _, day in dates} == {2023}
    assert min(months, key=months.__getitem__) == 6
    assert months[1] > months[2]
    assert max(months[9], months[12]) > max(months[month] for month in (7, 8, 10, 11))
    assert max(months.values()) < 2 * months[6]


@pytest.mark.parametrize("customers", [1, 200])
def test_sales_refer_to_the_customers(customers):
    sales = parsed(generate.sales(5_000, seed=2, customers=customers))[5:]
    seen = {customer_number(sale["customer_id"]) for sale in sales} - {None}
    assert seen == set(range(1, customers + 1))
    texts = {sale["customer_id"] for sale in sales}
    assert {None, ""} <= texts
    forms = {re.sub(r"\d+", "1", value or "") for value in texts}
    assert forms == {"C1", "C1C1", "c1 ", ""}


def test_a_duplicate_repeats_an_earlier_sale_with_other_values(some_sales):
    seen = {}
    repeated = 0
    for position, sale in enumerate(some_sales):
        key = sale["transaction_id"]
        if not key:
            continue
        if key in seen:
            repeated += 1
            assert position - seen[key] <= 2 * generate._LOOK_BACK
            assert sale != some_sales[seen[key]]
        else:
            assert key in {f"T{position + 1:06}", f"T{position + 1:03}"}
            seen[key] = position
    assert repeated / MANY == pytest.approx(SalesRates().duplicate, abs=0.006)


def test_customer_ids_are_their_positions(some_customers):
    numbers = [customer_number(customer["customer_id"]) for customer in some_customers]
    own = {n for position, n in enumerate(numbers, start=1) if n == position}
    assert set(numbers) - {None} == own
    repeated = len(numbers) - numbers.count(None) - len(own)
    assert repeated / MANY == pytest.approx(CustomerRates().duplicate, abs=0.006)


def test_customers_are_as_messy_as_the_originals(some_customers):
    names, emails, regions, dates, points = (
        {customer[column] for customer in some_customers}
        for column in ("customer_name", "email", "region", "join_date", "loyalty_points")
    )
    assert {"", "Name with special chars !@#$%^&*()", "Very Long Name " * 20} <= names
    assert {None, "invalid_email", "longemail" * 30 + "@example.com"} <= emails
    assert {*generate.REGIONS, None, "", "Unknown", "north", " West "} <= regions
    assert {None, "invalid_date"} <= dates
    shapes = {re.sub(r"\d", "9", value or "") for value in dates}
    assert {"9999-99-99", "9999/99/99", "9999-99-99T99:99:99Z"} <= shapes
    assert {None, -500, 9_999_999} <= points
    assert any(isinstance(value, str) and value.isdigit() for value in points)


# How many are rejected


def test_default_share_of_rejected_records(some_sales, some_customers):
    assert share(some_sales[5:], sale_is_rejected) == pytest.approx(0.15, abs=0.01)
    assert share(some_customers, customer_is_rejected) == pytest.approx(0.18, abs=0.01)


@pytest.mark.parametrize("rate", [0, 0.3, 1])
def test_invalid_rate_is_the_share_of_rejected_records(rate):
    sales = parsed(generate.sales(4_005, seed=3, invalid_rate=rate))[5:]
    customers = parsed(generate.customers(4_000, seed=3, invalid_rate=rate))
    tolerance = 0.03 if 0 < rate < 1 else 0
    assert share(sales, sale_is_rejected) == pytest.approx(rate, abs=tolerance)
    assert share(customers, customer_is_rejected) == pytest.approx(rate, abs=tolerance)


def test_a_rate_is_the_share_of_its_fault(some_sales):
    rates = SalesRates()
    measured = {
        rates.missing_customer: lambda sale: not sale["customer_id"],
        rates.negative_quantity: lambda sale: sale["quantity"] < 0,
        rates.missing_price: lambda sale: not sale["product"]["price"],
        rates.missing_transaction_id: lambda sale: not sale["transaction_id"],
        rates.missing_discount: lambda sale: sale["discount"] is None,
    }
    for rate, judge in measured.items():
        assert share(some_sales, judge) == pytest.approx(rate, abs=0.01)


@pytest.mark.parametrize(
    ("rates_class", "name"),
    [(rates, field.name) for rates in (SalesRates, CustomerRates) for field in fields(rates)],
)
def test_only_the_faults_named_rejected_are_rejected(rates_class, name):
    rates = only(rates_class, name)
    if rates_class is SalesRates:
        records = parsed(generate.sales(305, seed=4, rates=rates))[5:]
        rejected = share(records, sale_is_rejected)
    else:
        records = parsed(generate.customers(300, seed=4, rates=rates))
        rejected = share(records, customer_is_rejected)
    assert rejected == (name in rates.rejected)


# Streaming and files


@pytest.mark.parametrize(
    ("stream", "records"), [(generate.sales, 300_000), (generate.customers, 100_000)]
)
def test_memory_does_not_grow_with_the_file(stream, records):
    next(stream(10, seed=1))  # tables made once
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        for block in stream(records, seed=1):
            assert len(block) < 8_000_000
            assert pa.total_allocated_bytes() - before < 1_000_000
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


def test_the_first_block_comes_without_the_rest():
    assert next(generate.sales(10**12, seed=1)).decode() == BASE_LINES


@pytest.mark.parametrize("dataset", ["sales", "customers"])
def test_write_json_and_ndjson(tmp_path, dataset):
    lines = text(getattr(generate, dataset)(BLOCKS, seed=5)).splitlines()
    reports = []
    for form, wanted in (
        ("ndjson", "\n".join(lines) + "\n"),
        ("json", "[\n" + ",\n".join(lines) + "\n]\n"),
    ):
        path = tmp_path / generate.file_name(dataset, records=BLOCKS, seed=5, format=form)
        made = generate.write(
            dataset, records=BLOCKS, seed=5, path=path, format=form, progress=reports.append
        )
        assert path.read_bytes() == wanted.encode()
        assert made == generate.GeneratedFile(path=path, records=BLOCKS, bytes=len(wanted))
    assert len(json.loads(path.read_text())) == BLOCKS
    assert reports == sorted(reports[: len(reports) // 2]) * 2
    assert reports[-1] == BLOCKS
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"{dataset}_20500_seed5.json",
        f"{dataset}_20500_seed5.ndjson",
    ]


@pytest.mark.parametrize(("form", "wanted"), [("json", "[\n]\n"), ("ndjson", "")])
def test_write_no_records(tmp_path, form, wanted):
    path = tmp_path / "none"
    generate.write("sales", records=0, seed=1, path=path, format=form)
    assert path.read_text() == wanted


def test_write_compressed_has_the_same_bytes_at_any_time(tmp_path):
    paths = [tmp_path / "one.json.gz", tmp_path / "other.json.gz"]
    for path in paths:
        made = generate.write("sales", records=100, seed=1, path=path, format="json")
        assert made.bytes == path.stat().st_size
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes()[3:8] == bytes(5)  # neither a name nor a time
    assert len(json.loads(gzip.decompress(paths[0].read_bytes()))) == 100


def test_the_file_has_its_name_only_when_complete(tmp_path):
    path = tmp_path / "sales.json"
    path.write_text("old")

    def look(_):
        old, part = sorted(tmp_path.iterdir(), key=lambda file: file.name.startswith("."))
        assert old.read_text() == "old"
        assert re.fullmatch(r"\.sales\.json\.[0-9a-f]{8}\.part", part.name)

    generate.write("sales", records=BLOCKS, seed=1, path=path, format="json", progress=look)
    assert list(tmp_path.iterdir()) == [path]
    assert len(json.loads(path.read_text())) == BLOCKS


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "sales.json"
    path.write_text("old")

    def interrupt(written):
        if written > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate.write(
            "sales", records=BLOCKS, seed=1, path=path, format="json", progress=interrupt
        )
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# Wrong use


@pytest.mark.parametrize(
    "wrong",
    [
        {"dataset": "orders"},
        {"format": "csv"},
        {"records": -1},
        {"seed": -1},
        {"customers": 0},
        {"invalid_rate": 1.01},
        {"invalid_rate": math.nan},
    ],
)
def test_wrong_arguments(tmp_path, wrong):
    right = {"dataset": "sales", "records": 10, "seed": 1, "format": "json"}
    with pytest.raises(RevenueError) as caught:
        generate.write(**{**right, **wrong}, path=tmp_path / "file")
    assert caught.value.code == "generate"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["", "missing/file.json", "file.txt/file.json"])
def test_a_path_that_cannot_be_written(tmp_path, path):
    (tmp_path / "file.txt").touch()
    with pytest.raises(RevenueError, match="Cannot write") as caught:
        generate.write("sales", records=10, seed=1, path=tmp_path / path, format="json")
    assert caught.value.code == "generate"


def test_wrong_rates():
    with pytest.raises(RevenueError, match="duplicate must lie between 0 and 1, not 2"):
        SalesRates(duplicate=2)
    with pytest.raises(RevenueError, match="No fault has a rate"):
        generate.sales(10, seed=1, rates=only(SalesRates, "duplicate"), invalid_rate=0.1)
