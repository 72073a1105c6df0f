"""Explain a number: the rows and raw records behind it, and the records that it leaves out."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Any, BinaryIO

import xlsxwriter
from sqlalchemy import Connection

from app import metrics
from app.cube import Database, Filters, Source
from app.metrics import Number, Row
from app.report import report, year_to_date
from etl import datasets, rules, validate
from etl.db import queries
from etl.errors import RevenueError
from etl.export import defused

HIGH_VALUE = Decimal(1000)  # USD; sales worth more are high-value
_SUBJECT = "queries/explain"
_READ_ROWS = 10_000
_CENT = Decimal("0.01")
_COUNTS = frozenset({"customers", "transactions", "high_value_transactions"})

SALE_COLUMNS = (
    "transaction_id",
    "total_value",
    "customer_id",
    "product_id",
    "product_name",
    "category",
    "region",
    "transaction_datetime",
    "quantity",
    "price",
    "discount",
    "file_name",
    "position",
    "batch_id",
    "run_id",
    "rule_set",
    "repair_id",
)
CUSTOMER_COLUMNS = (
    "customer_id",
    "loyalty_points",
    "customer_name",
    "region",
    "join_date",
    "file_name",
    "position",
    "batch_id",
    "run_id",
    "rule_set",
    "repair_id",
)

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "open": "invalid: nobody has decided yet",
        "assigned": "invalid: somebody works on it",
        "snoozed": "invalid: set aside for a while",
        "back_to_source": "invalid: sent back to its source",
        "dismissed": "invalid: dismissed, it stays out",
        "fixed": "invalid: repaired, and the repaired record counts instead",
        "copy": "invalid: a repair of it did not help, its original is in the queue",
        "superseded": "invalid: a newer valid record of its key came",
    }
)
"""What became of invalid records, in words; by state of the queue item, and `copy`."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which number: a metric and the filters it is shown under."""

    metric: str
    filters: Filters = dataclasses.field(default_factory=Filters)

    @property
    def of_customers(self) -> bool:
        return not metrics.BY_NAME[self.metric].is_sliced

    @property
    def dataset(self) -> str:
        return "customers" if self.of_customers else "sales"


@dataclass(frozen=True, kw_only=True)
class Total:
    """What all contributing rows make, and what the dashboard shows; amounts in USD or points."""

    rows: int
    amount: Number
    number: Number | None  # the metric, from the rows
    tile: Number | None  # the same as the dashboard reads it

    @property
    def ties(self) -> bool:
        return self.number == self.tile


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """The last row of a page of contributing rows: what it is ordered by, and its key."""

    value: Decimal
    key: str

    def __str__(self) -> str:
        return f"{self.value}~{self.key}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Return the cursor that an address holds, None for anything else."""
        value, separator, key = text.partition("~")
        digits = value.replace(".", "", 1)
        if not separator or not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
            return None
        return cls(value=Decimal(value), key=key) if "\x00" not in key else None


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Records of raw that a number does not count, for one reason."""

    reason: str  # a key of REASONS, or a state of their batch
    words: str
    records: int
    worth: Decimal | None = None  # USD at stake; None where nothing of it can be read
    unreadable: int = 0  # of which no filter can tell whether they belong


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Every record of a feed in raw, counted or not; the parts are counted in their own tables."""

    raw_records: int
    counted: int  # rows of gold
    left_out: tuple[LeftOut, ...]

    @property
    def total(self) -> int:
        return self.counted + sum(one.records for one in self.left_out)

    @property
    def holds(self) -> bool:
        return self.total == self.raw_records


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a record of raw counts, and why."""

    counts: bool
    words: str
    # another record that has to do with it: what counts instead, or what it was made from
    batch_id: int | None = None
    position: int | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """One record of raw, from its file to gold."""

    dataset: str
    position: int
    record: str  # as received
    insert_date: dt.datetime
    key: str | None  # as normalised
    place: Row  # batch, run, repair, queue item: columns of the query `place`
    row: Row | None  # of silver and gold for its key, whichever record it comes from
    verdict: Verdict
    rules: tuple[Row, ...] | None  # that judged it; None: no longer known, or never judged


# The number -----------------------------------------------------------------------------


def explain_address(metric: str, filters: Filters | None = None) -> dict[str, str | list[str]]:
    """Return the query parameters with which the page `explain` shows this number."""
    filters = filters or Filters()
    found: dict[str, str | list[str]] = {"metric": metric}
    for name, values in (
        ("region", filters.regions),
        ("product", filters.products),
        ("category", filters.categories),
        ("home_region", filters.home_regions),
    ):
        if values:
            found[name] = list(values)
    for name, day in (("from", filters.start), ("to", filters.end)):
        if day is not None:
            found[name] = day.isoformat()
    if filters.known_region_only:
        found["known_region_only"] = "true"
    return found


def in_words(selection: Selection) -> list[str]:
    """Return what limits the number, one phrase each; they hold text from data."""
    filters = selection.filters
    if selection.of_customers:
        home = Filters(home_regions=filters.home_regions).words
        return [*home, "known customers only; the sales filters do not apply"]
    found = filters.words
    if selection.metric.startswith("high_value"):
        found.append("each worth more than $1,000")
    return found


def parameters(connection: Connection, selection: Selection) -> dict[str, Any]:
    """Return what the queries of sales ask for; year to date has the period of the report."""
    filters = selection.filters
    start, end = filters.start, filters.end
    if selection.metric == "sales_ytd":
        ytd = year_to_date(Database(connection).calendar(), filters)
        # no day of the calendar in the period: no sale
        start, end = (ytd.start, ytd.end) if ytd else (dt.date.max, dt.date.min)
    return {
        "regions": list(filters.regions),
        "products": list(filters.products),
        "categories": list(filters.categories),
        "start": start,
        "end": end,
        "known_region_only": filters.known_region_only,
        "home_regions": list(filters.home_regions),
        "above": HIGH_VALUE if selection.metric.startswith("high_value") else None,
    }


def _asked(connection: Connection, selection: Selection) -> dict[str, Any]:
    if selection.of_customers:
        return {"home_regions": list(selection.filters.home_regions)}
    return parameters(connection, selection)


def total(connection: Connection, selection: Selection, source: Source | None = None) -> Total:
    """Add all contributing rows up, and hold them to what the dashboard shows.

    `source` is where the dashboard's figures come from, by default the same connection.
    """
    found = queries.row(
        connection, f"{_SUBJECT}.{selection.dataset}_total", **_asked(connection, selection)
    )
    assert found is not None
    rows, amount = found["rows"], found["amount"]
    number: Number | None = rows if selection.metric in _COUNTS else amount
    if selection.metric == "average_sale":
        number = (amount / rows).quantize(_CENT, ROUND_HALF_UP) if rows else None
    shown = report(source or Database(connection), selection.filters)
    return Total(rows=rows, amount=amount, number=number, tile=shown.kpis[selection.metric])


def page(
    connection: Connection, selection: Selection, *, after: Cursor | None = None, limit: int
) -> list[Row]:
    """Return contributing rows with the record behind each, the largest first, behind `after`."""
    value: Decimal | int | None = None
    if after is not None:
        value = int(after.value) if selection.of_customers else after.value
    return queries.rows(
        connection,
        f"{_SUBJECT}.{selection.dataset}_page",
        **_asked(connection, selection),
        after_value=value,
        after_key=after.key if after else None,
        limit=limit,
    )


def cursor(selection: Selection, row: Row) -> Cursor:
    """Return the cursor behind a row of `page`."""
    if selection.of_customers:
        return Cursor(value=Decimal(row["loyalty_points"]), key=row["customer_id"])
    return Cursor(value=row["total_value"], key=row["transaction_id"])


def every_row(
    connection: Connection, selection: Selection, *, limit: int | None = None
) -> Iterator[tuple[Any, ...]]:
    """Yield the names of the columns, then all contributing rows or the first `limit`.

    They come through a server-side cursor: any number of them needs the same memory.
    """
    names = CUSTOMER_COLUMNS if selection.of_customers else SALE_COLUMNS
    yield names
    asked = _asked(connection, selection)
    found = queries.stream(
        connection,
        queries.load(_SUBJECT)[f"{selection.dataset}_page"],
        **asked,
        after_value=None,
        after_key=None,
        limit=limit,
    ).columns(*names)
    for rows in found.partitions(_READ_ROWS):
        yield from map(tuple, rows)


def csv_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Yield rows as lines of a CSV file that no spreadsheet takes for formulas."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_cell(cell) for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def write_xlsx(rows: Iterable[tuple[Any, ...]], target: BinaryIO) -> None:
    """Write rows, the first of which names the columns, as a workbook."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    workbook = xlsxwriter.Workbook(target, options)
    sheet = workbook.add_worksheet("Rows")
    bold = workbook.add_format({"bold": True})
    sheet.freeze_panes(1, 1)
    for line, row in enumerate(rows):
        for column, cell in enumerate(row):
            if isinstance(cell, Decimal | int):
                sheet.write_number(line, column, cell)
            elif cell is not None:
                sheet.write_string(line, column, _cell(cell), *([] if line else [bold]))
    workbook.close()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return defused(value)
    return value.isoformat() if isinstance(value, dt.date) else str(value)


# What is left out -----------------------------------------------------------------------


def invalid(connection: Connection, selection: Selection) -> list[LeftOut]:
    """Return the invalid records that nothing readable keeps out of the number, by reason."""
    found = {
        row["reason"]: row
        for row in queries.rows(
            connection, f"{_SUBJECT}.invalid_by_reason", **_invalid_asked(connection, selection)
        )
    }
    return [
        LeftOut(
            reason=reason,
            words=words,
            records=row["records"],
            worth=row["worth"] if row["worth_records"] else None,
            unreadable=row["unreadable"],
        )
        for reason, words in REASONS.items()
        if (row := found.get(reason)) is not None
    ]


def _invalid_asked(connection: Connection, selection: Selection) -> dict[str, Any]:
    # nothing of an invalid customer is read: all may belong
    asked = Selection(metric="transactions") if selection.of_customers else selection
    return {"dataset": selection.dataset, **parameters(connection, asked)}


def invalid_page(
    connection: Connection,
    selection: Selection,
    *,
    reasons: tuple[str, ...] = tuple(REASONS),
    after: int | None = None,
    limit: int,
) -> list[Row]:
    """Return those invalid records, newest first, behind the queue item `after`."""
    return queries.rows(
        connection,
        f"{_SUBJECT}.invalid_page",
        **_invalid_asked(connection, selection),
        reasons=list(reasons),
        after=after,
        limit=limit,
    )


def ledger(connection: Connection, dataset: str) -> Ledger:
    """Return every record of a feed in raw: those that count, and the others by reason.

    Raw, silver, gold, the queue and the superseded records are counted in their own tables; what is
    valid but in no row is the rest of what the batches found valid.
    """
    layers = queries.row(connection, f"{_SUBJECT}.{dataset}_layers")
    assert layers is not None
    batches = {
        row["state"]: row
        for row in queries.rows(connection, f"{_SUBJECT}.batches", dataset=dataset)
    }
    metric = "customers" if dataset == "customers" else "transactions"
    superseded = queries.value(connection, f"{_SUBJECT}.superseded", dataset=dataset)
    valid = batches["judged"]["valid_records"] if "judged" in batches else 0
    of_batches = {
        "taken_back": "their repair was taken back",
        "stopped": "their batch waits: a rule's limit stopped it",
        "discarded": "their batch was stopped and discarded",
        "extracted": "their batch is not judged yet",
    }
    left_out = (
        *invalid(connection, Selection(metric=metric)),
        LeftOut(
            reason="in_batch",
            words="valid: a later record of the same file has its key",
            records=superseded,
        ),
        LeftOut(
            reason="replaced",
            words="valid: a record of another file with its key counts, newer or equal",
            records=valid - layers["silver_rows"],
        ),
        LeftOut(
            reason="on_the_way",
            words="valid: in silver, on the way to gold",
            records=layers["silver_rows"] - layers["gold_rows"],
        ),
        *(
            LeftOut(reason=state, words=words, records=batches[state]["records"])
            for state, words in of_batches.items()
            if state in batches
        ),
    )
    return Ledger(
        raw_records=layers["raw_records"],
        counted=layers["gold_rows"],
        left_out=tuple(one for one in left_out if one.records),
    )


# One record -----------------------------------------------------------------------------


def provenance(connection: Connection, batch_id: int, position: int) -> Provenance:
    """Return one record of raw with everything that was made of it.

    Raises RevenueError when raw holds no such record.
    """
    place = queries.row(connection, f"{_SUBJECT}.place", batch_id=batch_id, position=position)
    found = place and queries.row(
        connection, f"{_SUBJECT}.{place['dataset']}_record", batch_id=batch_id, position=position
    )
    if not place or not found:
        raise RevenueError(
            f"raw holds no record at position {position} of batch {batch_id}", code="unknown_record"
        )
    dataset = datasets.get(place["dataset"])
    key = validate.judge([found["record"].encode()], dataset, ()).columns[dataset.key][0].as_py()
    row = None
    if key is not None and "\x00" not in key:
        row = queries.row(connection, f"{_SUBJECT}.{dataset.name}_row", key=key)
    judged_by = None
    rule_set = place["rule_set"] if place["batch_status"] in {"loaded", "promoted"} else None
    if rule_set:
        judged_by = rules.of_fingerprint(connection, dataset.name, rule_set)
    return Provenance(
        dataset=dataset.name,
        position=position,
        record=found["record"],
        insert_date=found["insert_date"],
        key=key,
        place=place,
        row=row,
        verdict=_verdict(place, position, row),
        rules=None
        if judged_by is None
        else tuple(
            {"message": one.message, "severity": one.severity.value, "version": one.version}
            for one in judged_by
        ),
    )


def _verdict(place: Row, position: int, row: Row | None) -> Verdict:
    here = (place["batch_id"], position)
    if place["reverted_at"] is not None:
        return Verdict(counts=False, words="not counted: its repair was taken back")
    if place["batch_status"] not in {"loaded", "promoted"}:
        words = {
            "stopped": "a rule's limit stopped its batch",
            "discarded": "its batch was stopped and discarded",
        }.get(place["batch_status"], "its batch is not judged yet")
        return Verdict(counts=False, words=f"not counted: {words}")
    if place["quarantine_id"] is not None:
        return _verdict_of_item(place, here)
    if place["superseded_by"] is not None:
        return Verdict(
            counts=False,
            words="not counted: a later record of the same file has its key",
            batch_id=place["batch_id"],
            position=place["superseded_by"],
        )
    if row is None:
        return Verdict(counts=False, words="not counted: silver has no row of its key")
    counted = (row["batch_id"], row["position"])
    if counted == here:
        return Verdict(counts=True, words="counted: silver and gold hold this record")
    words = (
        "replaced by a later record of its key"
        if counted > here
        else "it says the same as an earlier record of its key, which counts"
    )
    return Verdict(
        counts=False, words=f"not counted: {words}", batch_id=counted[0], position=counted[1]
    )


def _verdict_of_item(place: Row, here: tuple[int, int]) -> Verdict:
    status, closed = place["status"], (place["closed_batch_id"], place["closed_position"])
    words = REASONS[status]
    if status == "fixed":
        words = f"invalid: repaired by record {closed[1]} of repair {place['item_repair_id']}"
    elif status == "superseded" and place["kind"] == "correction" and closed < here:
        words = REASONS["copy"]
    return Verdict(
        counts=False,
        words=f"not counted: {words}",
        batch_id=closed[0] if status in {"fixed", "superseded"} else None,
        position=closed[1] if status in {"fixed", "superseded"} else None,
    )
