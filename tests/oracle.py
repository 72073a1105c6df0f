"""What the pipeline must make of records, written anew from the rules, without product code.

Slow and plain on purpose: one record at a time, as a person would do it.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
UNKNOWN = {"", "NA", "N/A", "UNKNOWN", "NONE", "NULL"}
MISSING = (None, "")


class Number(str):
    """A JSON number, by its text."""

    __slots__ = ()


@dataclass
class Expected:
    """The state after some batches of one feed: silver by key, verdicts by batch and position."""

    silver: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    quarantine: dict[tuple[int, int], str] = field(default_factory=dict)
    superseded: set[tuple[int, int]] = field(default_factory=set)
    counts: list[dict[str, int]] = field(default_factory=list)  # one a batch

    def take(self, dataset: str, records: list[str]) -> None:
        """Judge and merge one batch of JSON texts."""
        batch = len(self.counts)
        valid: list[tuple[int, str, tuple[Any, ...]]] = []
        for position, text in enumerate(records, start=1):
            value = json.loads(text, parse_int=Number, parse_float=Number, strict=True)
            errors, row = JUDGES[dataset](value)
            if errors:
                self.quarantine[batch, position] = "; ".join(dict.fromkeys(errors))
            else:
                valid.append((position, row[0], row))
        newest = {key: position for position, key, _ in valid}
        count = dict.fromkeys(("inserted", "updated", "unchanged"), 0)
        for position, key, row in valid:
            if newest[key] != position:
                self.superseded.add((batch, position))
                continue
            before = self.silver.get(key)
            name = "inserted" if before is None else "unchanged" if before == row else "updated"
            count[name] += 1
            self.silver[key] = row
        self.counts.append(
            {
                "read": len(records),
                "valid": len(newest),
                "invalid": len(records) - len(valid),
                "superseded": len(valid) - len(newest),
                **count,
            }
        )


def text_of(value: Any) -> str | None:
    """The value as trimmed text; None when missing, blank, or no scalar."""
    if value is None or isinstance(value, bool | list | dict):
        return None
    return str(value).strip() or None


def is_odd(value: Any) -> bool:
    return isinstance(value, bool | list | dict)


def number_of(value: Any, *, percent: bool = False) -> Decimal | None:
    text = text_of(value)
    if text is None:
        return None
    scale = Decimal(1)
    if percent and text.endswith("%"):
        text, scale = text[:-1].strip(), Decimal("0.01")
    return Decimal(text) * scale if NUMBER.fullmatch(text) else None


def rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def customer_of(value: Any) -> str | None:
    found = re.search(r"C[0-9]+", (text_of(value) or "").upper())
    return found.group() if found else None


def moment_of(value: Any) -> dt.datetime | None:
    text = text_of(value)
    if text is None:
        return None
    for pattern in ("%Y/%m/%d %H:%M:%S", "%d-%m-%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y/%m/%d"):
        digits = re.sub(r"%[Ymd HMS]", lambda m: r"\d{4}" if m[0] == "%Y" else r"\d{2}", pattern)
        if re.fullmatch(digits, text, re.ASCII):
            try:
                moment = dt.datetime.strptime(text, pattern)  # noqa: DTZ007 - UTC by definition
            except ValueError:
                return None
            return moment if 1900 <= moment.year <= 2100 else None
    iso = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?"
    if not re.fullmatch(iso, text, re.ASCII) or text[11:13] == "24" or text[17:19] == "60":
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return moment if 1900 <= moment.year <= 2100 else None


def title_of(value: Any) -> str:
    text = text_of(value) or ""
    if text.upper() in UNKNOWN:
        return "Unknown"
    return re.sub(r"[A-Za-z0-9]+", lambda m: m[0][0].upper() + m[0][1:].lower(), text)


def unstorable(value: Any) -> bool:
    return isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)


def judge_sale(record: Any) -> tuple[list[str], tuple[Any, ...]]:
    if not isinstance(record, dict):
        return ["Not an object"], ()
    product = record.get("product")
    if product is not None and not isinstance(product, dict):
        product = {name: [] for name in ("id", "name", "category", "price")}

    def given(nested: str, flat: str) -> Any:
        inside = (product or {}).get(nested)
        return record.get(flat) if inside is None else inside

    received = {
        "transaction_id": record.get("transaction_id"),
        "customer_id": record.get("customer_id"),
        "product_id": given("id", "product_id"),
        "product_name": given("name", "product_name"),
        "category": given("category", "category"),
        "region": record.get("region"),
    }
    price, quantity, discount = (
        given("price", "price"),
        record.get("quantity"),
        record.get("discount"),
    )
    errors = []
    if (
        received["transaction_id"] is None
        or received["transaction_id"] == ""
        or (text_of(received["transaction_id"]) is None and not is_odd(received["transaction_id"]))
    ):
        errors.append("Missing transaction_id")
    customer = customer_of(received["customer_id"])
    if customer is None:
        errors.append("Missing customer_id")
    if text_of(price) is None and not is_odd(price):
        errors.append("Missing price")
    pieces = number_of(quantity)
    if pieces is None or pieces != pieces.to_integral_value() or not 0 < pieces < 2**31:
        errors.append("Invalid quantity")
    if is_odd(discount):
        errors.append("Invalid discount")
        share = None
    else:
        share = Decimal(0) if text_of(discount) is None else number_of(discount, percent=True)
        if share is None or not 0 <= share <= 1:
            errors.append("Invalid discount")
    if text_of(received["product_id"]) is None and not is_odd(received["product_id"]):
        errors.append("Missing product_id")
    moment = moment_of(record.get("date"))
    if moment is None:
        errors.append("Invalid date")
    amount = number_of(price)
    if "Missing price" not in errors and (
        amount is None or not 0 <= amount < 10**11 or rounded(amount, 2) >= 10**10
    ):
        errors.append("Invalid price")
    limits = {"product_name": 255, "category": 255}
    for name, value in received.items():
        text = customer if name == "customer_id" else text_of(value)
        if text is not None and len(text) > limits.get(name, 100):
            errors.append(f"{name} length > {limits.get(name, 100)}")
    errors += [
        f"Invalid {name}"
        for name, value in received.items()
        if is_odd(value) and name != "customer_id"
    ]
    errors += [
        f"Unstorable text in {name}" for name, value in received.items() if unstorable(value)
    ]
    if errors:
        return errors, ()
    assert amount is not None
    assert pieces is not None
    assert share is not None
    return [], (
        text_of(received["transaction_id"]),
        customer,
        text_of(received["product_id"]),
        text_of(received["product_name"]),
        text_of(received["category"]),
        rounded(amount, 2),
        int(pieces),
        rounded(share, 4),
        moment,
        title_of(received["region"]),
    )


def judge_customer(record: Any) -> tuple[list[str], tuple[Any, ...]]:
    if not isinstance(record, dict):
        return ["Not an object"], ()
    errors = []
    identity = record.get("customer_id")
    if text_of(identity) is None and not is_odd(identity):
        errors.append("customer_id is NULL")
    for name in ("email", "customer_name"):
        value = record.get(name)
        if value is not None and not is_odd(value) and len(str(value)) > 50:
            errors.append(f"{name} length > 50")
    customer = customer_of(identity)
    if customer is None and "customer_id is NULL" not in errors:
        errors.append("Invalid customer_id")
    if customer is not None and len(customer) > 100:
        errors.append("customer_id length > 100")
    region = (text_of(record.get("region")) or "").upper()
    if len(region) > 100:
        errors.append("region length > 100")
    columns = ("customer_name", "email", "region", "join_date", "loyalty_points")
    errors += [f"Invalid {name}" for name in columns if is_odd(record.get(name))]
    errors += [
        f"Unstorable text in {name}"
        for name in ("customer_id", "customer_name", "email", "region")
        if unstorable(record.get(name))
    ]
    if errors:
        return errors, ()
    name = text_of(record.get("customer_name")) or ""
    if not name or re.search(r"[!@#$%^&*()]", name):
        name = "NA"
    name = re.sub(r"\s*\d+$", "", name, flags=re.ASCII).strip() or "NA"
    email = (text_of(record.get("email")) or "").lower()
    valid_email = re.fullmatch(r"[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}", email)
    joined = text_of(record.get("join_date"))
    day = None
    if joined is not None and re.match(
        r"\d{4}(-\d\d-\d\d$|/\d\d/\d\d$|-\d\d-\d\dT)", joined, re.ASCII
    ):
        whole = joined if "T" in joined else f"{joined.replace('/', '-')}T00:00:00"
        if moment_of(whole) is not None:
            day = dt.date.fromisoformat(joined[:10].replace("/", "-"))
    points = number_of(record.get("loyalty_points")) or Decimal(0)
    points = min(max(points, Decimal(0)), Decimal(1_000_000))
    return [], (
        customer,
        name,
        email if valid_email else None,
        "NA" if region in UNKNOWN else region,
        day,
        int(rounded(points, 0)),
    )


JUDGES = {"sales": judge_sale, "customers": judge_customer}
