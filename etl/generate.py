"""Synthetic sales and customer files, messy on purpose.

A block of records is built column by column: each field is an Arrow array of JSON texts, messy
values are swapped in under a mask, and the fields are joined; no Python runs per record. Each
block has its own random stream, seeded by (seed, dataset, start). Only `Generator.random` and
plain arithmetic are used, so the same arguments give the same bytes on every platform.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import secrets
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import RevenueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Texts: TypeAlias = Any  # an Arrow array of JSON texts
    Mask: TypeAlias = NDArray[np.bool_]
    Ints: TypeAlias = NDArray[np.int64]

Format = Literal["json", "ndjson"]

REGIONS = ("North", "South", "East", "West")
PRODUCTS: tuple[dict[str, Any], ...] = (
    {"id": "P01", "name": "Laptop", "category": "Electronics", "price": 999.99},
    {"id": "P02", "name": "Mouse", "category": "Accessories", "price": 19.99},
    {"id": "P03", "name": "Monitor", "category": "Electronics", "price": 299.5},
    {"id": "P04", "name": "Keyboard", "category": "Accessories", "price": 49.9},
    {"id": "P05", "name": "Desk", "category": "Furniture", "price": 189.0},
)
BASE_SALES: tuple[dict[str, Any], ...] = tuple(
    {
        "transaction_id": transaction,
        "customer_id": customer,
        "product": product,
        "quantity": quantity,
        "discount": discount,
        "date": day,
        "region": region,
    }
    for product, (transaction, customer, quantity, discount, day, region) in zip(
        PRODUCTS,
        (
            ("T001", "C001", 2, 0.05, "2023/01/15 10:30:00", "North"),
            ("T002", "C002", 5, None, "2023-02-10T14:15:00Z", "South"),
            ("T003", None, -1, 0.1, "03-05-2023", "East"),
            ("T004", "C004", 4, 0.15, "2023-04-20", "West"),
            ("T005", "C001", 3, 0, "2023/05/12 12:30:00", "North"),
        ),
        strict=True,
    )
)

_BLOCK = 20_000  # records made at a time: about 4 MB
_LOOK_BACK = 1_000  # a duplicate repeats the key of one of this many records before it
_DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, kw_only=True)
class _Rates:
    """Independent chances, each a fraction 0..1."""

    rejected: ClassVar[tuple[str, ...]]  # the faults for which the product rejects a record

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_fraction(field.name, getattr(self, field.name))


@dataclass(frozen=True, kw_only=True)
class SalesRates(_Rates):
    """How messy sales are; by default 0.15 of them are rejected."""

    missing_transaction_id: float = 0.002
    missing_customer: float = 0.06
    missing_price: float = 0.006
    negative_quantity: float = 0.07
    invalid_discount: float = 0.012
    invalid_date: float = 0.006
    # The rest is kept.
    duplicate: float = 0.02  # an earlier transaction_id with other values
    messy_customer_id: float = 0.03  # "c082 ", "C082C082"
    missing_discount: float = 0.2
    percent_discount: float = 0.01  # "10%"
    missing_region: float = 0.01
    messy_region: float = 0.02  # " West "

    rejected = (
        "missing_transaction_id",
        "missing_customer",
        "missing_price",
        "negative_quantity",
        "invalid_discount",
        "invalid_date",
    )


@dataclass(frozen=True, kw_only=True)
class CustomerRates(_Rates):
    """How messy customers are; by default 0.18 of them are rejected."""

    missing_customer_id: float = 0.065
    long_name: float = 0.065
    long_email: float = 0.065
    # The rest is kept.
    duplicate: float = 0.03  # an earlier customer_id with other values
    messy_customer_id: float = 0.03
    messy_name: float = 0.08  # empty, special characters
    messy_email: float = 0.08  # padded and in mixed case
    invalid_email: float = 0.08  # missing, no address
    missing_region: float = 0.12
    messy_region: float = 0.08
    invalid_join_date: float = 0.1  # missing, no date
    invalid_points: float = 0.1  # missing, negative, huge
    text_points: float = 0.05  # "150"

    rejected = ("missing_customer_id", "long_name", "long_email")


@dataclass(frozen=True, kw_only=True)
class GeneratedFile:
    """A complete file, with its size on disk."""

    path: Path
    records: int
    bytes: int


def file_name(dataset: str, *, records: int, seed: int, format: Format) -> str:  # noqa: A002
    """Return the usual name of a generated file, such as `sales_1000_seed7.json`."""
    return f"{dataset}_{records}_seed{seed}.{format}"


def write(
    dataset: str,
    *,
    records: int,
    seed: int,
    path: Path,
    format: Format,  # noqa: A002
    customers: int = 100,
    invalid_rate: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> GeneratedFile:
    """Write a file that has its name only once it is complete and on disk.

    A name ending in `.gz` compresses. `progress` receives the number of records written so far.
    """
    blocks = _blocks(dataset, records, seed=seed, referred=customers, invalid_rate=invalid_rate)
    if format not in {"json", "ndjson"}:
        raise _error(f"Unknown format {format!r}: choose json or ndjson.")
    try:
        with _complete_or_absent(path) as file:
            if path.suffix.lower() == ".gz":
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                    _write_blocks(packed, blocks, format, progress)
            else:
                _write_blocks(file, blocks, format, progress)
            size = file.tell()
    except OSError as error:
        raise _error(f"Cannot write {path}: {error.strerror or error}.") from error
    return GeneratedFile(path=path, records=records, bytes=size)


def sales(
    records: int,
    *,
    seed: int,
    customers: int = 100,
    rates: SalesRates | None = None,
    invalid_rate: float | None = None,
) -> Iterator[bytes]:
    """Yield blocks of sales as NDJSON lines: the five base sales, then generated ones.

    They refer to customers C001 to C{customers}. `invalid_rate` sets the share of generated
    records that are rejected, and keeps the mix of their faults.
    """
    rates = rates or SalesRates()
    _check(records, seed, rates, invalid_rate)
    if customers < 1:
        raise _error(f"Sales need at least 1 customer to refer to, not {customers}.")
    base = "".join(json.dumps(record) + "\n" for record in BASE_SALES[:records]).encode()
    return chain(
        [base] if base else [],
        (
            _sales_lines(_Block(seed, 1, start, end), customers, rates, invalid_rate)
            for start, end in _bounds(len(BASE_SALES), records)
        ),
    )


def customers(
    records: int,
    *,
    seed: int,
    rates: CustomerRates | None = None,
    invalid_rate: float | None = None,
) -> Iterator[bytes]:
    """Yield blocks of customers as NDJSON lines.

    Their ids are C001 to C{records}, less those of the records that lack it or repeat another.
    """
    rates = rates or CustomerRates()
    _check(records, seed, rates, invalid_rate)
    return (
        _customers_lines(_Block(seed, 2, start, end), rates, invalid_rate)
        for start, end in _bounds(0, records)
    )


class _Block:
    """The records at positions start to end - 1 of a file, and their own random stream."""

    def __init__(self, seed: int, dataset: int, start: int, end: int) -> None:
        sequence = np.random.SeedSequence(seed, spawn_key=(dataset, start))
        self._random = np.random.Generator(np.random.PCG64(sequence))
        self._size = end - start
        self.numbers = np.arange(start + 1, end + 1, dtype=np.int64)

    def uniform(self) -> NDArray[np.float64]:
        return self._random.random(self._size)

    def below(self, limit: int | Ints) -> Ints:
        return (self.uniform() * limit).astype(np.int64)

    def pick(self, table: Ints) -> Ints:
        return table[self.below(len(table))]

    def texts(self, table: Texts) -> Texts:
        return _take(table, self.below(len(table)))

    def chance(self, rate: float) -> Mask:
        return self.uniform() < rate

    def swap(self, texts: Texts, when: Mask | float, table: Texts) -> Texts:
        """Put random texts of the table where the mask is set, or at that rate."""
        mask = self.chance(when) if isinstance(when, float | int) else when
        index = self._random.random(np.count_nonzero(mask)) * len(table)
        return _replace(texts, mask, _take(table, index.astype(np.int64)))

    def faults(self, rates: _Rates, invalid_rate: float | None) -> dict[str, Mask]:
        """Draw which records break which rule.

        A record drawn as invalid has each fault independently, given that it has at least one:
        as long as it has none, the next fault's chance is divided by that of any fault to come.
        """
        chances = [getattr(rates, name) for name in rates.rejected]
        to_come = 1 - np.cumprod([1 - chance for chance in reversed(chances)])[::-1]
        invalid = self.chance(float(to_come[0]) if invalid_rate is None else invalid_rate)
        has_one = np.zeros(self._size, dtype=np.bool_)
        faults = {}
        for name, chance, some in zip(rates.rejected, chances, to_come, strict=True):
            first = chance / some if some else 0.0
            faults[name] = invalid & (self.uniform() < np.where(has_one, chance, first))
            has_one |= faults[name]
        return faults

    def keys(self, duplicate: float, missing: Mask) -> Ints:
        """Return each record's number; a duplicate takes that of an earlier record with its own."""
        repeats = self.chance(duplicate)
        own = np.flatnonzero(~repeats & ~missing)
        before = np.searchsorted(own, np.arange(self._size))
        back = 1 + self.below(np.minimum(before, _LOOK_BACK))
        repeats &= before > 0
        keys = self.numbers.copy()
        keys[repeats] = self.numbers[own[(before - back)[repeats]]]
        return keys

    def customer_ids(self, numbers: Ints, messy: float, missing: Mask) -> Texts:
        digits = _digits(numbers, 3)
        mask = self.chance(messy)
        some = digits.filter(pa.array(mask))
        odd = np.arange(len(some)) % 2 == 1
        twice = some.filter(pa.array(odd))
        forms = _replace(_join('"c', some, ' "'), odd, _join('"C', twice, "C", twice, '"'))
        return self.swap(_replace(_join('"C', digits, '"'), mask, forms), missing, _NOTHING)

    def regions(self, messy: float, missing: float) -> Texts:
        return self.swap(
            self.swap(self.texts(_json(*REGIONS)), messy, _MESSY_REGIONS), missing, _NO_REGIONS
        )


def _sales_lines(
    block: _Block, customers: int, rates: SalesRates, invalid_rate: float | None
) -> bytes:
    faults = block.faults(rates, invalid_rate)
    numbers = block.keys(rates.duplicate, faults["missing_transaction_id"])
    draw = block.uniform()
    buyers = 1 + (draw * (1 + draw) / 2 * customers).astype(np.int64)  # the first buy most
    product = block.pick(_PRODUCT_DRAW)
    cents = (_CENTS[product] * (0.9 + 0.2 * block.uniform()) + 0.5).astype(np.int64)
    prices = pa.array(cents / 100).cast(pa.string())
    prices = block.swap(prices, faults["missing_price"], _NOTHING)
    quantities = _digits(1 + block.below(1 + block.below(_MOST[product])), 1)
    discounts = block.texts(_json(0, 0.05, 0.1, 0.15))
    discounts = block.swap(discounts, rates.missing_discount, _json(None))
    discounts = block.swap(discounts, rates.percent_discount, _json("5%", "10%"))
    shape, day = block.pick(_SHAPE_DRAW), block.pick(_DAY_DRAW)
    seconds = np.where(shape < 3, block.below(_DAY_SECONDS), 0)
    dates = _join(
        _take(_SALES_DAYS, shape * 365 + day),
        _take(_time_texts(), np.array([0, 0, 1, 2, 2])[shape] * _DAY_SECONDS + seconds),
    )
    return _lines(
        transaction_id=block.swap(
            _join('"T', _digits(numbers, 6), '"'), faults["missing_transaction_id"], _NOTHING
        ),
        customer_id=block.customer_ids(buyers, rates.messy_customer_id, faults["missing_customer"]),
        product=_join(_take(_PRODUCT_TEXTS, product), prices, "}"),
        quantity=block.swap(quantities, faults["negative_quantity"], _json(-1, -2)),
        discount=block.swap(discounts, faults["invalid_discount"], _json(1.5, -0.1, "abc")),
        date=block.swap(dates, faults["invalid_date"], _BAD_DATES),
        region=block.regions(rates.messy_region, rates.missing_region),
    )


def _customers_lines(block: _Block, rates: CustomerRates, invalid_rate: float | None) -> bytes:
    faults = block.faults(rates, invalid_rate)
    missing = faults["missing_customer_id"]
    digits = _digits(block.numbers, 1)
    names = _join(block.texts(_NAMES), digits, '"')
    names = block.swap(names, rates.messy_name, _MESSY_NAMES)
    emails = _join('"user', digits, '@example.com"')
    mask = block.chance(rates.messy_email)
    some = digits.filter(pa.array(mask))
    emails = _replace(emails, mask, _join('"  User', some, '@Example.COM "'))
    emails = block.swap(emails, rates.invalid_email, _json(None, "", "invalid_email"))
    dates = block.texts(_JOIN_DAYS)
    points = _digits(block.below(2_001), 1)
    mask = block.chance(rates.text_points)
    points = _replace(points, mask, _join('"', points.filter(pa.array(mask)), '"'))
    return _lines(
        customer_id=block.customer_ids(
            block.keys(rates.duplicate, missing), rates.messy_customer_id, missing
        ),
        customer_name=block.swap(names, faults["long_name"], _json("Very Long Name " * 20)),
        email=block.swap(emails, faults["long_email"], _json("longemail" * 30 + "@example.com")),
        region=block.regions(rates.messy_region, rates.missing_region),
        join_date=block.swap(dates, rates.invalid_join_date, _json(None, "invalid_date")),
        loyalty_points=block.swap(
            points, rates.invalid_points, _json(*[None] * 6, *[-500] * 6, 9_999_999)
        ),
    )


def _json(*values: object) -> Texts:
    return pa.array([json.dumps(value) for value in values])


def _days(first: date, days: int, *shapes: str) -> Texts:
    dates = [first + timedelta(day) for day in range(days)]
    return pa.array([day.strftime(shape) for shape in shapes for day in dates])


@cache
def _time_texts() -> Texts:
    """How a date ends: every second of the day, then the same with a zone, then nothing."""
    second = np.arange(_DAY_SECONDS)
    hour, minute = second // 3600, second // 60 % 60
    times = _join(_digits(hour, 2), ":", _digits(minute, 2), ":", _digits(second % 60, 2))
    return pa.concat_arrays([_join(times, '"'), _join(times, 'Z"'), pa.array([""])])


_NOTHING = _json(None, "")
_BAD_DATES = _json(None, "invalid_date", "2023-02-30", "31-13-2023")
_NO_REGIONS = _json(None, "", "Unknown")
_MESSY_REGIONS = _json("north", "SOUTH", " east", " West ")
_MESSY_NAMES = _json("", "Name with special chars !@#$%^&*()")
_NAMES = pa.array(['"Alice Brown ', '"John Smith ', '"Michael Lee ', '"Sarah Jones '])
_PRODUCT_TEXTS = pa.array([json.dumps({**product, "price": 0})[:-2] for product in PRODUCTS])
_CENTS = np.array([round(product["price"] * 100) for product in PRODUCTS])
_MOST = np.array([3, 5, 4, 5, 4])  # pieces of a product in one sale
_SALES_DAYS = _days(
    date(2023, 1, 1), 365, '"%Y/%m/%d ', '"%Y-%m-%d ', '"%Y-%m-%dT', '"%d-%m-%Y"', '"%Y-%m-%d"'
)
_JOIN_DAYS = _days(date(2022, 1, 1), 1096, '"%Y-%m-%d"', '"%Y/%m/%d"', '"%Y-%m-%dT00:00:00Z"')
# To pick from a table that repeats its entries is to draw by weight.
_PRODUCT_DRAW = np.repeat(np.arange(5), (3, 6, 4, 5, 2))
_SHAPE_DRAW = np.repeat(np.arange(5), (3, 3, 3, 1, 2))  # few DD-MM-YYYY: many are ambiguous
_DAY_DRAW = np.concatenate(
    [
        np.repeat(day, (12, 10, 10, 10, 10, 8, 9, 9, 12, 10, 11, 13)[month - 1])
        for day in range(365)
        for month in [(date(2023, 1, 1) + timedelta(day)).month]
    ]
)


def _digits(numbers: Ints, width: int) -> Texts:
    texts: Texts = pa.array(numbers).cast(pa.string())
    return pc.ascii_lpad(texts, width, "0") if width > 1 else texts


def _take(table: Texts, index: Ints) -> Texts:
    return table.take(pa.array(index))


def _replace(texts: Texts, mask: Mask, new: Texts) -> Texts:
    return pc.replace_with_mask(texts, pa.array(mask), new)


def _join(*pieces: Any) -> Texts:
    return pc.binary_join_element_wise(*pieces, "")


def _lines(**columns: Texts) -> bytes:
    """Join the columns to one JSON object a line; joined texts lie side by side in memory."""
    pieces = chain.from_iterable((f', "{name}": ', texts) for name, texts in columns.items())
    lines = _join("{" + next(pieces)[2:], *pieces, "}\n")
    block: bytes = lines.buffers()[2].to_pybytes()
    return block


def _bounds(first: int, records: int) -> Iterator[tuple[int, int]]:
    for start in range(first, records, _BLOCK):
        yield start, min(start + _BLOCK, records)


def _blocks(
    dataset: str, records: int, *, seed: int, referred: int, invalid_rate: float | None
) -> Iterator[bytes]:
    if dataset == "sales":
        return sales(records, seed=seed, customers=referred, invalid_rate=invalid_rate)
    if dataset == "customers":
        return customers(records, seed=seed, invalid_rate=invalid_rate)
    raise _error(f"Unknown dataset {dataset!r}: choose sales or customers.")


def _write_blocks(
    file: BinaryIO | gzip.GzipFile,
    blocks: Iterator[bytes],
    form: Format,
    progress: Callable[[int], None] | None,
) -> None:
    written = 0
    if form == "json":
        file.write(b"[")
    for block in blocks:
        if form == "json":
            file.write(b",\n" if written else b"\n")
            file.write(memoryview(block.replace(b"\n", b",\n"))[:-2])
        else:
            file.write(block)
        written += block.count(b"\n")
        if progress:
            progress(written)
    if form == "json":
        file.write(b"\n]\n")


@contextlib.contextmanager
def _complete_or_absent(path: Path) -> Iterator[BinaryIO]:
    """Open a hidden file beside the path that takes its name at the end, synced to disk."""
    if path.exists() and not path.is_file():
        raise _error(f"Cannot write {path}: it is not a regular file.")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    with contextlib.suppress(OSError):  # Windows cannot open a folder, and needs no sync of it
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _check(records: int, seed: int, rates: _Rates, invalid_rate: float | None) -> None:
    if records < 0:
        raise _error(f"The number of records must be 0 or more, not {records}.")
    if seed < 0:
        raise _error(f"The seed must be 0 or more, not {seed}.")
    if invalid_rate is not None:
        _check_fraction("invalid_rate", invalid_rate)
        if invalid_rate and not any(getattr(rates, name) for name in rates.rejected):
            raise _error(f"No fault has a rate: an invalid_rate of {invalid_rate} needs one.")


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise _error(f"The rate {name} must lie between 0 and 1, not {value}.")


def _error(message: str) -> RevenueError:
    return RevenueError(message, code="generate")
