"""Everything the dashboard shows for one set of filters: KPIs, tiles, and whether they tie out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import Connection

from app import periods, variance
from app.cube import Cube, Database, Filters, Selection, Source
from app.metrics import Number, Row
from app.periods import Level, Period
from app.variance import Change

TOP = 5

# tile -> the metric that its parts make up
WHOLES = {
    "sales_by_region": "total_sales",
    "monthly_sales": "total_sales",
    "loyalty_points_by_region": "loyalty_points",
    "top_products": "total_sales",
    "high_value_sales_by_region": "high_value_sales",
}
# tile -> the picks that do not narrow it: those of its own dimension
_OWN: Mapping[str, tuple[str, ...]] = {
    "sales_by_region": ("regions",),
    "monthly_sales": ("period",),
    "loyalty_points_by_region": ("home_regions",),
    "top_products": ("products", "categories"),
    "high_value_sales_by_region": ("regions",),
}
_CENT = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class Picks:
    """What was picked in the tiles: it filters every tile but those that show its own dimension."""

    regions: tuple[str, ...] = ()
    home_regions: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    period: Period | None = None


@dataclass(frozen=True, kw_only=True)
class Tie:
    """A tile's parts against the KPI that they make up; amounts in USD or points."""

    parts: Number
    whole: Number

    @property
    def holds(self) -> bool:
        return self.parts == self.whole


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The same figures of another period."""

    period: Period
    kpis: dict[str, Number | None]  # by metric


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything the dashboard shows for one set of filters, exact.

    A tile lists every part of its own dimension; where parts are picked, only those tie out.
    """

    filters: Filters
    picks: Picks
    kpis: dict[str, Number | None]  # by metric; None only for an average of nothing
    results: dict[str, list[Row]]  # by tile
    ties: dict[str, Tie]  # by tile
    trend: list[Row]  # start, total_sales and transactions of each period of the level
    categories: list[Row]  # category, total_sales and transactions
    monthly: list[Row]  # every amount of each month of the selection, for the cards
    other_sales: Decimal  # USD, products beyond the top ones
    other_products: int
    other_transactions: int
    ytd: Period | None  # None: no calendar day in the period
    comparison: Comparison | None = None
    change: Change | None = None  # against the comparison; without one, of the last whole month

    def filters_of(self, tile: str) -> Filters:
        """Return the filters of a tile's parts: what is picked in it narrows only the others."""
        return narrowed(self.filters, _let_go(self.picks, _OWN[tile]))

    @property
    def chosen(self) -> Filters:
        """Return the filters with what was picked: those of the KPIs."""
        return narrowed(self.filters, self.picks)


def report(
    source: Source,
    filters: Filters,
    *,
    picks: Picks | None = None,
    compare: periods.Compare | None = None,
    level: Level = "month",
) -> Report:
    """Work out every KPI and tile."""
    return _Reporter(Cube(source=source), filters, picks or Picks()).report(compare, level)


def kpis(connection: Connection, filters: Filters) -> dict[str, Number | None]:
    """Return the value of every metric by name; money in USD, exact."""
    cube = Cube(source=Database(connection))
    return _kpis(cube, filters, year_to_date(cube.source.calendar(), filters))


def results(connection: Connection, filters: Filters) -> dict[str, list[Row]]:
    """Return the five analytical results by name, each one row a region, month or product."""
    return report(Database(connection), filters).results


def narrowed(filters: Filters, picks: Picks) -> Filters:
    """Return the filters with what was picked; a pick is always among what its filter lets through."""
    start, end = filters.start, filters.end
    if picks.period is not None:
        start = max(start, picks.period.start) if start else picks.period.start
        end = min(end, picks.period.end) if end else picks.period.end
    return replace(
        filters,
        regions=picks.regions or filters.regions,
        home_regions=picks.home_regions or filters.home_regions,
        products=picks.products or filters.products,
        categories=picks.categories or filters.categories,
        start=start,
        end=end,
    )


def _let_go(picks: Picks, dimensions: Sequence[str]) -> Picks:
    empty = Picks()
    return replace(picks, **{name: getattr(empty, name) for name in dimensions})


@dataclass(frozen=True)
class _Reporter:
    cube: Cube
    filters: Filters
    picks: Picks

    def _without(self, *dimensions: str) -> Selection:
        """Return the sales whose tile shows `dimensions`: picks of these do not narrow it."""
        return self.cube.select(narrowed(self.filters, _let_go(self.picks, dimensions)))

    def report(self, compare: periods.Compare | None, level: Level) -> Report:
        filters = narrowed(self.filters, self.picks)
        chosen = self.cube.select(filters)
        ytd = year_to_date(self.cube.source.calendar(), filters)
        found = _kpis(self.cube, filters, ytd)
        trend = self._trend(level)
        regions = self._without("regions")
        of_products = self._without("products", "categories")
        over_time = self._without("period")
        tiles = {
            "sales_by_region": _tile(regions.by("region"), "region"),
            "monthly_sales": _tile(over_time.over_time(), "month"),
            "loyalty_points_by_region": self._loyalty(),
            "top_products": _tile(of_products.by("product_name", most=TOP), "product_name"),
            "high_value_sales_by_region": [
                {
                    "region": row["region"],
                    "high_value_sales": row["high_value_sales"],
                    "high_value_transactions": row["high_value_transactions"],
                }
                for row in regions.by("region", amount="high_value_sales")
                if row["high_value_transactions"]
            ],
        }
        top = tiles["top_products"]
        other_sales = of_products.total["sales"] - sum(row["total_sales"] for row in top)
        return Report(
            filters=self.filters,
            picks=self.picks,
            kpis=found,
            results=tiles,
            ties=self._ties(tiles, trend, found, other_sales),
            trend=trend,
            categories=_tile(of_products.by("category"), "category"),
            monthly=chosen.over_time(),
            other_sales=Decimal(other_sales),
            other_products=of_products.count("product_name") - len(top),
            other_transactions=of_products.total["transactions"]
            - sum(row["transactions"] for row in top),
            ytd=ytd,
            comparison=self._compared(compare, filters),
            change=self._change(compare, chosen),
        )

    def _loyalty(self) -> list[Row]:
        homes = self.filters.home_regions
        return [
            {
                "region": one.region,
                "loyalty_points": one.loyalty_points,
                "customers": one.customers,
            }
            for one in self.cube.source.customers()
            if not homes or one.region in homes
        ]

    def _trend(self, level: Level) -> list[Row]:
        if level == "day":
            found = self.cube.by_day(narrowed(self.filters, replace(self.picks, period=None)))
        else:
            found = self._without("period").over_time(level)
        return _tile(found, "start")

    def _ties(
        self,
        tiles: Mapping[str, list[Row]],
        trend: Sequence[Row],
        kpis: Mapping[str, Number | None],
        others: Number,
    ) -> dict[str, Tie]:
        picks, period = self.picks, self.picks.period
        parts = {
            "sales_by_region": _sum(tiles, "sales_by_region", "total_sales", picks.regions),
            "high_value_sales_by_region": _sum(
                tiles, "high_value_sales_by_region", "high_value_sales", picks.regions
            ),
            "loyalty_points_by_region": _sum(
                tiles, "loyalty_points_by_region", "loyalty_points", picks.home_regions
            ),
            "top_products": _sum(tiles, "top_products", "total_sales", ()) + others,
            "monthly_sales": sum(
                (
                    row["total_sales"]
                    for row in trend
                    if period is None or period.start <= row["start"] <= period.end
                ),
                Decimal(),
            ),
        }
        wholes: dict[str, Number] = {name: kpis[whole] or 0 for name, whole in WHOLES.items()}
        if picks.products or picks.categories:
            # what is picked need not be among the top: all of them are held against all
            wholes["top_products"] = self._without("products", "categories").total["sales"]
        return {name: Tie(parts=parts[name], whole=wholes[name]) for name in WHOLES}

    def _change(self, compare: periods.Compare | None, chosen: Selection) -> Change | None:
        filters = narrowed(self.filters, self.picks)
        period = self._period(filters)
        if compare is None:
            last = self.cube.source.last_sale()
            months = [Period.of(row["day"], "month") for row in chosen.over_time()]
            whole = [
                month
                for month in months
                if (filters.start is None or filters.start <= month.start)
                and (filters.end is None or month.end <= filters.end)
                and last is not None
                and month.end <= last  # the month that is still going on tells nothing yet
            ]
            if not whole:
                return None
            period, compare = whole[-1], "previous"
        if period is None:
            return None
        before = period.before(compare)
        now, then = (
            self.cube.select(replace(filters, start=one.start, end=one.end)).by("product_name")
            for one in (period, before)
        )
        return variance.explain(period, now, before, then)

    def _period(self, filters: Filters) -> Period | None:
        """Return the period of the filters, whose open ends are those of the calendar."""
        calendar = self.cube.source.calendar()
        if calendar is None:
            return None
        return Period.within(filters.start or calendar.start, filters.end or calendar.end)

    def _compared(self, compare: periods.Compare | None, filters: Filters) -> Comparison | None:
        period = self._period(filters)
        if compare is None or period is None:
            return None
        before = period.before(compare)
        earlier = replace(filters, start=before.start, end=before.end)
        return Comparison(
            period=before,
            kpis=_kpis(self.cube, earlier, year_to_date(self.cube.source.calendar(), earlier)),
        )


def _tile(rows: Sequence[Row], label: str) -> list[Row]:
    """Return label, total_sales and transactions of each row, whose first column is the label."""
    return [
        {
            label: next(iter(row.values())),
            "total_sales": row["sales"],
            "transactions": row["transactions"],
        }
        for row in rows
    ]


def _sum(
    tiles: Mapping[str, list[Row]], name: str, amount: str, picked: tuple[str, ...]
) -> Decimal | int:
    rows = [row for row in tiles[name] if not picked or row["region"] in picked]
    return sum((row[amount] for row in rows), Decimal())


def year_to_date(calendar: Period | None, filters: Filters) -> Period | None:
    """Return 1 January to the last calendar day of the filters' period, as DAX's TOTALYTD counts."""
    if calendar is None:
        return None
    first = max(filters.start or calendar.start, calendar.start)
    last = min(filters.end or calendar.end, calendar.end)
    return Period(start=last.replace(month=1, day=1), end=last) if first <= last else None


def _kpis(cube: Cube, filters: Filters, ytd: Period | None) -> dict[str, Number | None]:
    total = cube.select(filters).total
    sales, count = total["sales"], total["transactions"]
    known = [
        one
        for one in cube.source.customers()
        if not filters.home_regions or one.region in filters.home_regions
    ]
    to_date = (
        cube.select(replace(filters, start=ytd.start, end=ytd.end)).total["sales"]
        if ytd
        else Decimal()
    )
    return {
        "customers": sum(one.customers for one in known),
        "total_sales": sales,
        "sales_ytd": to_date,
        "average_sale": (sales / count).quantize(_CENT, ROUND_HALF_UP) if count else None,
        "high_value_transactions": total["high_value_transactions"],
        "high_value_sales": total["high_value_sales"],
        "transactions": count,
        "loyalty_points": sum(one.loyalty_points for one in known),
    }
