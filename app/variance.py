"""Why sales changed between two periods: volume, price and mix, and who moved most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from app.metrics import Row
from app.periods import Period

_CENT = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class Change:
    """Sales of two periods, USD; volume, price and mix add up to their difference, to the cent."""

    period: Period
    before: Period
    sales: Decimal
    sales_before: Decimal
    volume: Decimal  # more or fewer pieces, at the average price of before
    price: Decimal  # pieces of now, at prices that differ from those of before
    mix: Decimal  # dearer or cheaper products, new ones and those gone
    mover: str  # the product whose sales changed most
    moved: Decimal  # by how much

    @property
    def difference(self) -> Decimal:
        return self.sales - self.sales_before


def explain(
    period: Period, products: Sequence[Row], before: Period, products_before: Sequence[Row]
) -> Change | None:
    """Return the change between two periods, whose rows have product_name, pieces and sales.

    The usual price-volume-mix analysis: volume = (Q1 - Q0) x S0 / Q0 over all products; price = the
    sum of S1i - Q1i x S0i / Q0i over the products of both periods; mix = the rest. S is sales, Q
    pieces, 0 before and 1 now. None when a period has no sales: there is nothing to compare.
    """
    now, then = (_by_product(rows) for rows in (products, products_before))
    pieces, pieces_before = (sum(count for count, _ in one.values()) for one in (now, then))
    if not pieces or not pieces_before:
        return None
    sales, sales_before = (
        sum((money for _, money in one.values()), Decimal()) for one in (now, then)
    )
    volume = _cents((pieces - pieces_before) * sales_before / pieces_before)
    price = _cents(
        sum(
            (
                now[name][1] - now[name][0] * then[name][1] / then[name][0]
                for name in now.keys() & then.keys()
            ),
            Decimal(),
        )
    )
    nothing = (0, Decimal())
    moves = {
        name: now.get(name, nothing)[1] - then.get(name, nothing)[1]
        for name in sorted(now.keys() | then.keys())
    }
    mover = max(moves, key=lambda name: abs(moves[name]))
    return Change(
        period=period,
        before=before,
        sales=sales,
        sales_before=sales_before,
        volume=volume,
        price=price,
        mix=sales - sales_before - volume - price,
        mover=mover,
        moved=moves[mover],
    )


def _by_product(rows: Sequence[Row]) -> Mapping[str, tuple[int, Decimal]]:
    return {row["product_name"]: (row["pieces"], row["sales"]) for row in rows}


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)
