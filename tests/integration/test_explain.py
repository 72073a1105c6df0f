"""The rows behind a number add up to it, and every record of raw counts or says why it does not."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import python_calamine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from app import explain, trust
from app.actions import repairs, triage
from app.cube import Database, Filters
from app.explain import Cursor, Selection
from app.metrics import METRICS
from app.periods import Period, month_end
from app.report import Picks, narrowed, report
from etl import facets
from etl.errors import RevenueError
from etl.triage_states import Action, Change, TriageState
from tests.conftest import EMPTY, Pipeline
from tests.integration.test_repairs import desk, edited, items, sale, work

UNFINISHED = {"open", "assigned", "snoozed", "back_to_source"}
KEYS = ("T1", "T2", "T3", "T4", "T5")


@pytest.fixture
def reading(pipeline: Pipeline) -> Iterator[Connection]:
    with pipeline.engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def every_page(connection: Connection, selection: Selection, *, limit: int) -> list[dict[str, Any]]:
    """Turn all pages, and hold each to the order."""
    found: list[dict[str, Any]] = []
    after = None
    while rows := explain.page(connection, selection, after=after, limit=limit):
        found += rows
        last = Cursor.parse(str(explain.cursor(selection, rows[-1])))  # as the address keeps it
        assert last is not None
        after = last
    places = [explain.cursor(selection, row) for row in found]
    assert places == sorted(places, key=lambda one: (one.value, one.key), reverse=True)
    assert len({one.key for one in places}) == len(places)
    return found


def hold_tiles(connection: Connection, filters: Filters) -> None:
    """Hold the rows of each bar, point, slice and row of the page to what it shows."""
    shown = report(Database(connection), filters)
    for tile, metric, column, picks in (
        ("sales_by_region", "total_sales", "region", lambda x: Picks(regions=(x,))),
        (
            "monthly_sales",
            "total_sales",
            "month",
            lambda x: Picks(period=Period.of(x, "month")),
        ),
        (
            "loyalty_points_by_region",
            "loyalty_points",
            "region",
            lambda x: Picks(home_regions=(x,)),
        ),
        ("top_products", "total_sales", "product_name", lambda x: Picks(products=(x,))),
        ("high_value_sales_by_region", "high_value_sales", "region", lambda x: Picks(regions=(x,))),
    ):
        for row in shown.results[tile]:
            point = Selection(metric=metric, filters=narrowed(filters, picks(row[column])))
            assert explain.total(connection, point).amount == row[metric], (tile, row)


def hold_to_report(connection: Connection, selection: Selection) -> None:
    """Hold the rows of a number to what the dashboard reads."""
    total = explain.total(connection, selection)
    shown = report(Database(connection), selection.filters).kpis[selection.metric]
    rows = every_page(connection, selection, limit=3)
    column = "loyalty_points" if selection.of_customers else "total_value"
    assert total.ties, (selection, total)
    assert total.tile == shown
    assert total.rows == len(rows)
    assert total.amount == sum((row[column] for row in rows), Decimal())
    assert all(row["file_name"] and row["position"] and row["rule_set"] for row in rows)
    if selection.of_customers:
        return
    left = sum(
        one.records for one in explain.invalid(connection, selection) if one.reason in UNFINISHED
    )
    ytd = None
    if selection.metric == "sales_ytd":
        asked = explain.parameters(connection, selection)
        ytd = (asked["start"], asked["end"])
    count, _, unreadable = trust.concerned(
        trust.read_unfinished(connection), selection.metric, selection.filters, ytd
    )
    assert count == left
    assert unreadable <= count


def hold_ledger(connection: Connection, dataset: str) -> None:
    """Ask every record of raw whether it counts, and hold the ledger to the answers."""
    found = explain.ledger(connection, dataset)
    assert found.holds, found
    places = connection.execute(
        text(f"select batch_id, position from raw.{dataset}_raw order by 1, 2")
    ).all()
    verdicts = Counter(explain.provenance(connection, *place).verdict.counts for place in places)
    assert verdicts[True] == found.counted
    assert verdicts.total() == found.total == found.raw_records


# Any history ----------------------------------------------------------------------------

FILES = st.lists(
    st.lists(
        st.fixed_dictionaries(
            {
                "transaction_id": st.sampled_from(KEYS),
                "quantity": st.sampled_from([1, 2, 3, 0, "x"]),
            },
            optional={
                "customer_id": st.sampled_from(["C1", "C2", None]),
                "region": st.sampled_from(["north", "South", None, ["odd"]]),
                "date": st.sampled_from(["2022-03-31", "2023-04-01", "never"]),
                "product": st.sampled_from(
                    [
                        {"id": "P1", "name": "Desk", "category": "Office", "price": 1000},
                        {"id": "P1", "price": 333.33},
                        {"id": "P2", "name": "Lamp", "price": 1000.01},
                        {"name": "Lamp", "price": 5},
                    ]
                ),
            },
        ),
        min_size=1,
        max_size=7,
    ),
    min_size=1,
    max_size=3,
)
FILTERS = st.builds(
    Filters,
    regions=st.sampled_from([(), ("North",), ("South", "Unknown")]),
    products=st.sampled_from([(), ("Desk",), ("Lamp",)]),
    categories=st.sampled_from([(), ("Office",)]),
    start=st.sampled_from([None, dt.date(2023, 1, 1)]),
    end=st.sampled_from([None, dt.date(2022, 12, 31), dt.date(2023, 6, 1)]),
    known_region_only=st.booleans(),
    home_regions=st.sampled_from([(), ("South",), ("Unknown", "North")]),
)
CUSTOMERS = [
    {"customer_id": f"C{n}", "customer_name": "Ann", "region": region, "loyalty_points": n * 10}
    for n, region in ((1, "North"), (3, ""), (2, "Unknown"), (1, "South"))
] + [{"customer_name": "nobody", "region": "North", "loyalty_points": 5}]


@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each example runs the engine some times
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    files=FILES,
    repaired=st.integers(0, 3),
    is_taken_back=st.booleans(),
    filters=st.lists(FILTERS, min_size=3, max_size=3),
)
def test_rows_add_up_and_nothing_is_missing(
    pipeline: Pipeline,
    files: list[list[dict[str, Any]]],
    repaired: int,
    is_taken_back: bool,
    filters: list[Filters],
) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(text(EMPTY))
    pipeline.land("customers.json", CUSTOMERS)
    pipeline.run("customers")
    for number, records in enumerate(files):
        pipeline.land(f"{number}.json", [sale(n, **one) for n, one in enumerate(records)])
        pipeline.run("sales")
    waiting = items(pipeline, where="q.status = 'open' and q.dataset = 'sales'")
    for item in waiting[repaired : repaired + 2]:
        triage.change_record(desk(pipeline), item[0], Change(action=Action.DISMISS, reason="x"))
    edits = [
        edited(item, quantity=7, customer_id="C1", region="East", date="2023-05-05",
               product={"id": "P3", "name": "Desk", "price": 200})
        for item in waiting[:repaired]
    ]  # fmt: skip
    if edits:
        done = repairs.replay(desk(pipeline), "sales", edits, reason="asked")
        work(pipeline)
        if is_taken_back:
            repairs.take_back(desk(pipeline), done.repair_id, reason="a mistake")
            work(pipeline)
    with pipeline.engine.connect() as connection:
        for chosen in (Filters(), *filters):
            hold_tiles(connection, chosen)
            for metric in METRICS:
                hold_to_report(connection, Selection(metric=metric.name, filters=chosen))
        for dataset in ("sales", "customers"):
            hold_ledger(connection, dataset)


# One record -----------------------------------------------------------------------------


def test_a_repaired_sale_leads_back_to_the_text_that_came(
    pipeline: Pipeline, reading: Connection
) -> None:
    odd = b'{"transaction_id":"T1" ,  "customer_id": "C1", "quantity": -2, "date": "2023-04-01",'
    odd += b'"product": {"id": "P1", "name": "De\\u0073k", "price": 1.50}}'
    pipeline.land("Odd name.json", b"[" + json.dumps(sale(9)).encode() + b",\n" + odd + b"]")
    first = pipeline.run("sales")
    (item,) = items(pipeline)
    batch_id = first["batches"][0]["batch_id"]
    before = explain.provenance(reading, batch_id, 2)
    assert before.record == odd.decode()
    assert (before.place["file_name"], before.key) == ("Odd name.json", "T1")
    assert before.verdict.words == "not counted: invalid: nobody has decided yet"
    assert before.rules is not None
    assert before.place["rule_set"] == first["rule_set"]

    repair = repairs.replay(
        desk(pipeline), "sales", [edited(item, quantity=2)], reason="a lost sign"
    )
    work(pipeline)
    (row,) = [
        one
        for one in explain.page(reading, Selection(metric="total_sales"), limit=9)
        if one["transaction_id"] == "T1"
    ]
    assert (row["total_value"], row["repair_id"]) == (Decimal("3.00"), repair.repair_id)
    after = explain.provenance(reading, row["batch_id"], row["position"])
    assert after.verdict.counts
    assert json.loads(after.record)["quantity"] == 2
    assert (after.place["made_by"], after.place["repair_reason"]) == ("sam", "a lost sign")
    assert (after.place["source_batch_id"], after.place["source_position"]) == (batch_id, 2)
    assert after.place["source_item"] == item[0]
    now = explain.provenance(reading, batch_id, 2)
    assert now.record == odd.decode()
    assert now.verdict == explain.Verdict(
        counts=False,
        words=f"not counted: invalid: repaired by record 1 of repair {repair.repair_id}",
        batch_id=row["batch_id"],
        position=1,
    )
    assert [(one.reason, one.records) for one in explain.ledger(reading, "sales").left_out] == [
        ("fixed", 1)
    ]


def test_replaced_repeated_and_superseded_records_name_the_one_that_counts(
    pipeline: Pipeline, reading: Connection
) -> None:
    pipeline.land("a.json", [sale(1, quantity=1), sale(1, quantity=2), sale(2)])
    pipeline.land("b.json", [sale(2), sale(1, quantity=3)])
    first, second = (one["batch_id"] for one in pipeline.run("sales")["batches"])
    verdicts = {
        place: explain.provenance(reading, *place).verdict
        for place in ((first, 1), (first, 2), (first, 3), (second, 1), (second, 2))
    }
    assert {place: (one.words, one.batch_id, one.position) for place, one in verdicts.items()} == {
        (first, 1): ("not counted: a later record of the same file has its key", first, 2),
        (first, 2): ("not counted: replaced by a later record of its key", second, 2),
        (first, 3): ("counted: silver and gold hold this record", None, None),
        (second, 1): (
            "not counted: it says the same as an earlier record of its key, which counts",
            first,
            3,
        ),
        (second, 2): ("counted: silver and gold hold this record", None, None),
    }
    found = explain.ledger(reading, "sales")
    assert (found.counted, found.raw_records, found.holds) == (2, 5, True)
    assert {one.reason: one.records for one in found.left_out} == {"in_batch": 1, "replaced": 2}


def test_a_stopped_and_a_discarded_batch_stand_in_the_ledger(
    pipeline: Pipeline, reading: Connection
) -> None:
    rule = (
        "update dq.rule set stop_records = {}, version = version + 1 "
        "where dataset = 'sales' and code = 'quantity_invalid'"
    )
    try:
        with pipeline.engine.begin() as connection:
            connection.execute(text(rule.format(2)))
        pipeline.land("bad.json", [sale(1, quantity=0), sale(2, quantity=0), sale(3)])
        pipeline.land("good.json", [sale(4)])
        batches = pipeline.run("sales")["batches"]
    finally:
        with pipeline.engine.begin() as connection:
            connection.execute(text(rule.format("null")))
    found = explain.ledger(reading, "sales")
    assert (found.counted, found.raw_records, found.holds) == (1, 4, True)
    assert [(one.reason, one.records) for one in found.left_out] == [("stopped", 3)]
    stopped = explain.provenance(reading, batches[0]["batch_id"], 3)
    assert stopped.verdict.words == "not counted: a rule's limit stopped its batch"
    with pytest.raises(RevenueError, match="raw holds no record at position 9"):
        explain.provenance(reading, batches[0]["batch_id"], 9)


# What is left out -----------------------------------------------------------------------


def test_filters_keep_out_only_what_can_be_read(pipeline: Pipeline, reading: Connection) -> None:
    desk_of = {"id": "P1", "price": 600}
    pipeline.land("customers.json", [{"customer_id": "C1", "customer_name": "A", "region": "East"}])
    pipeline.run("customers")
    pipeline.land(
        "sales.json",
        [
            sale(1, product={"id": "P1", "name": "Desk", "category": "Office", "price": 600}),
            sale(2, customer_id="C1", quantity=-2, product=desk_of, date="2023-03-03"),
            sale(3, customer_id=None, quantity=1, product=desk_of, date="2023-03-31"),
            sale(4, customer_id="C2", quantity=1, product=desk_of, date="31st", region="south"),
            sale(5, customer_id=None, quantity=1, product={"price": 7}, region=["x"]),
        ],
    )
    pipeline.run("sales")

    def left(metric: str = "total_sales", **filters: Any) -> tuple[int, Decimal | None, int]:
        selection = Selection(metric=metric, filters=Filters(**filters))
        found = explain.invalid(reading, selection)
        hold_to_report(reading, selection)
        return (found[0].records, found[0].worth, found[0].unreadable) if found else (0, None, 0)

    assert left() == (4, Decimal(2407), 0)
    assert left(regions=("North",)) == (3, Decimal(1807), 1)
    assert left(regions=("South",)) == (2, Decimal(607), 1)
    assert left(products=("Desk",)) == (4, Decimal(2407), 1)  # the name is gold's
    assert left(products=("Lamp",)) == (1, Decimal(7), 1)
    assert left(start=dt.date(2023, 3, 4), end=dt.date(2023, 3, 31)) == (2, Decimal(1200), 1)
    assert left(known_region_only=True) == (3, Decimal(1807), 2)
    assert left("high_value_sales") == (1, Decimal(1200), 0)
    # closed ones are told apart from unfinished ones
    item = items(pipeline, where="q.record_key = 'T0004'")[0][0]
    triage.change_record(desk(pipeline), item, Change(action=Action.DISMISS, reason="a test"))
    found = explain.invalid(reading, Selection(metric="total_sales"))
    assert [(one.reason, one.records) for one in found] == [("open", 3), ("dismissed", 1)]
    rows = explain.invalid_page(
        reading, Selection(metric="total_sales"), reasons=("dismissed",), limit=5
    )
    assert [(row["record_key"], row["status"]) for row in rows] == [
        ("T0004", TriageState.DISMISSED)
    ]
    listed = explain.invalid_page(reading, Selection(metric="total_sales"), limit=2)
    more = explain.invalid_page(
        reading, Selection(metric="total_sales"), after=listed[-1]["quarantine_id"], limit=9
    )
    assert [row["position"] for row in [*listed, *more]] == [5, 4, 3, 2]


FACETS = "select position, customer_id, region, product_id, product_name, category, day, worth from dq.quarantine"


def test_what_can_be_read_is_kept_and_the_rest_is_null(pipeline: Pipeline) -> None:
    bad = [
        sale(1, quantity=0, date="03-05-2023", region=" north EAST "),
        sale(2, quantity=0, region=None, date="0001-01-01", customer_id="x"),
        sale(3, quantity=0, region="N\u0000", product={"id": "P" * 101, "name": "\ud800"}),
        sale(4, quantity="9" * 30, region=["North"], product={"price": "1e20"}),
        [1, 2],
    ]
    expected = [
        (1, "C1", "North East", "P1", "Desk", "Office", dt.date(2023, 5, 3), Decimal(0)),
        (2, None, "Unknown", "P2", "Desk", "Office", None, Decimal(0)),
        (3, "C3", None, None, None, None, dt.date(2023, 4, 11), None),
        (4, "C4", None, None, None, None, dt.date(2023, 5, 11), None),
        (5, None, None, None, None, None, None, None),
    ]
    pipeline.land("bad.json", bad)
    pipeline.run("sales")
    assert pipeline.rows(f"{FACETS} order by 1") == expected
    pipeline.run("sales", is_full=True)  # through the table of the refused
    assert pipeline.rows(f"{FACETS} order by 1") == expected
    with pipeline.engine.begin() as connection:  # as before there were facets
        connection.execute(
            text(
                "update dq.quarantine set customer_id = null, region = null, product_id = null, "
                "product_name = null, category = null, day = null, worth = null"
            )
        )
        assert facets.fill(connection) == 5
    assert pipeline.rows(f"{FACETS} order by 1") == expected


# Points, files --------------------------------------------------------------------------


def test_the_points_of_the_tiles_tie_out(pipeline: Pipeline, reading: Connection) -> None:
    pipeline.land("customers.json", CUSTOMERS)
    pipeline.run("customers")
    pipeline.land("sales.json", [sale(n, region=("North", "South")[n % 2]) for n in range(40)])
    pipeline.run("sales")
    shown = report(Database(reading), Filters())

    def number(metric: str, filters: Filters) -> Any:
        found = explain.total(reading, Selection(metric=metric, filters=filters))
        assert found.ties
        return found.number

    for row in shown.results["sales_by_region"]:
        point = Filters(regions=(row["region"],))
        assert number("total_sales", point) == row["total_sales"]
    for row in shown.results["monthly_sales"]:
        point = Filters(start=row["month"], end=month_end(row["month"]))
        assert number("total_sales", point) == row["total_sales"]
    for row in shown.results["top_products"]:
        point = Filters(products=(row["product_name"],))
        assert number("total_sales", point) == row["total_sales"]
    for row in shown.results["loyalty_points_by_region"]:
        point = Filters(home_regions=(row["region"],))
        assert number("loyalty_points", point) == row["loyalty_points"]
        assert number("customers", point) == row["customers"]
    assert shown.results["loyalty_points_by_region"]


def test_the_files_hold_every_row(pipeline: Pipeline, clean: Engine) -> None:
    pipeline.land("sales.json", [sale(n, customer_id="C1", region="=1+1") for n in range(30)])
    pipeline.run("sales")
    selection = Selection(metric="total_sales")
    with clean.connect() as reading:
        hold_files(reading, selection)


def hold_files(reading: Connection, selection: Selection) -> None:
    lines = "".join(explain.csv_lines(explain.every_row(reading, selection)))
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert len(rows) == 30
    assert (
        sum(Decimal(row["total_value"]) for row in rows) == explain.total(reading, selection).amount
    )
    assert {row["region"] for row in rows} == {"'=1+1"}
    file = io.BytesIO()
    explain.write_xlsx(explain.every_row(reading, selection, limit=10), file)
    file.seek(0)
    head, *cells = python_calamine.load_workbook(file).get_sheet_by_index(0).to_python()
    assert tuple(head) == explain.SALE_COLUMNS
    assert [Decimal(str(row[1])) for row in cells] == [
        Decimal(row["total_value"]) for row in rows[:10]
    ]
