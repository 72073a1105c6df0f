"""What stands out in a report: computed, never typed in, and each with the sales behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from app import charts
from app.cube import Filters
from app.metrics import Number, short_money
from app.periods import Level, Period
from app.report import Report, narrowed


@dataclass(frozen=True, kw_only=True)
class Insight:
    """One sentence in three parts; `name` is text from data."""

    label: str
    name: str
    figure: str
    filters: Filters  # find the sales that it is about
    icon: str


def found(report: Report, level: Level) -> list[Insight]:
    """Return leader, peak, trough, and what changed and why; nothing of nothing."""
    return [*_peaks(report, level), *_leaders(report), *_change(report)]


def percent(part: Number | None, whole: Number | None) -> str:
    """Return a share as text, `29.2 %`; a dash of nothing."""
    if not whole or part is None:
        return "–"
    return f"{Decimal(part) * 100 / Decimal(whole):.1f} %"


def _peaks(report: Report, level: Level) -> Iterator[Insight]:
    rows = charts.every_period(report.trend, level)
    if len(rows) < 2:
        return
    best = max(rows, key=lambda row: row["total_sales"])
    worst = min(rows, key=lambda row: row["total_sales"])
    for label, row, icon in (
        (f"Best {level}", best, "trending_up"),
        (f"Weakest {level}", worst, "trending_down"),
    ):
        period = Period.of(row["start"], level)
        yield Insight(
            label=label,
            name=period.words,
            figure=short_money(row["total_sales"]),
            filters=narrowed(report.filters, replace(report.picks, period=period)),
            icon=icon,
        )


def _leaders(report: Report) -> Iterator[Insight]:
    regions, products = report.results["sales_by_region"], report.results["top_products"]
    of_regions = sum((row["total_sales"] for row in regions), Decimal())
    of_products = sum((row["total_sales"] for row in products), report.other_sales)
    if of_regions and regions:
        region = regions[0]
        yield Insight(
            label="Top region",
            name=region["region"],
            figure=f"{short_money(region['total_sales'])} · "
            f"{percent(region['total_sales'], of_regions)} of sales",
            filters=narrowed(report.filters, replace(report.picks, regions=(region["region"],))),
            icon="location_on",
        )
    if of_products and products:
        product = products[0]
        yield Insight(
            label="Top product",
            name=product["product_name"],
            figure=f"{short_money(product['total_sales'])} · "
            f"{percent(product['total_sales'], of_products)} of sales",
            filters=narrowed(
                report.filters,
                replace(report.picks, products=(product["product_name"],), categories=()),
            ),
            icon="inventory_2",
        )


def _change(report: Report) -> Iterator[Insight]:
    change = report.change
    if change is None:
        return
    inside = replace(report.chosen, start=change.period.start, end=change.period.end)
    yield Insight(
        label=f"{change.period.words} against {change.before.words}",
        name=f"{signed(change.difference)} · "
        f"{signed_percent(change.difference, change.sales_before)}",
        figure=f"volume {signed(change.volume)} · price {signed(change.price)} · "
        f"mix {signed(change.mix)}",
        filters=inside,
        icon="difference",
    )
    yield Insight(
        label="It moved most",
        name=change.mover,
        figure=f"{signed(change.moved)} against {change.before.words}",
        filters=replace(inside, products=(change.mover,)),
        icon="swap_vert",
    )


def signed(amount: Number) -> str:
    """Return dollars with their sign: `+$1.2K`, `-$300`."""
    return short_money(amount) if amount < 0 else f"+{short_money(amount)}"


def signed_percent(difference: Number, before: Number) -> str:
    """Return a change as text, `+3.2 %`; a dash where there was nothing before."""
    if not before:
        return "–"
    return f"{Decimal(difference) * 100 / Decimal(before):+.1f} %"
