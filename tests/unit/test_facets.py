"""What is declared to be read of an invalid record, and what is read."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from app import trust
from app.cube import Filters
from app.explain import Cursor, Selection, explain_address, in_words
from etl import datasets, facets, validate
from etl.db.queries import SQL
from etl.model import Dataset
from etl.received import receive

FEEDS = list(datasets.declared().values())


@pytest.mark.parametrize("dataset", FEEDS, ids=lambda one: one.name)
def test_facets_are_columns_of_the_feed_and_of_the_queue(dataset: Dataset) -> None:
    table = (SQL / "schema.sql").read_text().partition("CREATE TABLE dq.quarantine (")[2]
    columns = dict(re.findall(r"^    \"?(\w+)\"? (\w+)", table.partition(");")[0], re.MULTILINE))
    declared = {column.name: column for column in dataset.columns}
    for name, source in dataset.facets.items():
        assert columns[name] == ("text" if declared[source].is_text else "date")
        # what is no text is read as the day of a moment
        assert declared[source].is_text or declared[source].type in {"timestamp", "date"}
    if dataset.worth:
        assert columns[facets.WORTH] == "numeric"


def test_only_sales_have_facets() -> None:
    assert {one.name for one in FEEDS if facets.columns(one)} == {"sales"}


def read(*records: dict[str, Any] | list[int]) -> list[dict[str, str | None]]:
    dataset = datasets.get("sales")
    received = receive([json.dumps(one).encode() for one in records], dataset)
    judged = validate.judge_received(received, dataset, dataset.rules)
    found = facets.read(received, judged.columns, dataset, np.ones(len(records), bool))
    rows = zip(*(values.to_pylist() for values in found.values()), strict=True)
    return [dict(zip(found, row, strict=True)) for row in rows]


def test_what_cannot_be_stored_is_not_read() -> None:
    whole = {
        "customer_id": "c7",
        "region": "x" * 100,
        "product": {"id": "P", "name": "n" * 255, "category": "é", "price": 10},
        "quantity": -3,
        "discount": "10%",
        "date": "2100-12-31T23:59:59.5-00:30",
    }
    over = {
        "region": "x" * 101,
        "product": {"id": {}, "name": "n" * 256, "category": "a\x00b"},
        "date": "2100-12-31T23:59:59+00:00",
    }
    good, bad, none = read(whole, over, [1])
    assert good == {
        "customer_id": "C7",
        "region": "X" + "x" * 99,
        "product_id": "P",
        "product_name": "n" * 255,
        "category": "é",
        "day": None,  # 1 January 2101 in UTC
        "worth": "27.00",
    }
    assert {name for name, value in bad.items() if value is not None} == {"day"}
    assert bad["day"] == "2100-12-31"
    assert set(none.values()) == {None}


# What the page's words and addresses are made of -------------------------------------------


def test_an_address_says_the_filters() -> None:
    filters = Filters(
        regions=("East", "West"),
        categories=("a&b",),
        start=dt.date(2023, 1, 1),
        known_region_only=True,
    )
    assert explain_address("total_sales", filters) == {
        "metric": "total_sales",
        "region": ["East", "West"],
        "category": ["a&b"],
        "from": "2023-01-01",
        "known_region_only": "true",
    }
    assert explain_address("customers") == {"metric": "customers"}
    assert in_words(Selection(metric="high_value_sales", filters=filters)) == [
        "region East or West",
        "category a&b",
        "from 2023-01-01",
        "customers with a known home region",
        "each worth more than $1,000",
    ]


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        ("12.50~T~1", Cursor(value=Decimal("12.50"), key="T~1")),
        ("0~", Cursor(value=Decimal(0), key="")),
        ("1e9~T", None),
        ("-1~T", None),
        ("~T", None),
        ("12", None),
        ("1~\x00", None),
        ("9" * 30 + "~T", None),
    ],
)
def test_a_cursor_of_an_address(text: str, cursor: Cursor | None) -> None:
    assert Cursor.parse(text) == cursor


def test_nothing_unfinished_concerns_nothing() -> None:
    nobody = trust._Coded(codes=np.array([], np.int32), values={})
    empty = trust.Unfinished(
        region=nobody,
        product=nobody,
        category=nobody,
        home_region=nobody,
        day=np.array([], np.int32),
        is_high_value=np.array([], np.int8),
        records=np.array([], np.int64),
        cents=np.array([], np.int64),
        customers=2,
    )
    filters = Filters(regions=("East",), start=dt.date(2023, 1, 1), known_region_only=True)
    assert trust.concerned(empty, "high_value_sales", filters) == (0, Decimal(0), 0)
    assert trust.concerned(empty, "customers", filters) == (2, Decimal(0), 0)
