"""What can be asked in Explore: every combination composes, nothing else does."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import re
from decimal import Decimal
from types import MappingProxyType

import pytest
import python_calamine

from app import explore_charts, explore_table
from app.cube import Filters
from app.explore import Answer, ExploreError, Group, Kept, Key, Mark, Question, compose
from app.explore_table import change_percent
from app.metrics import DIMENSION_BY_NAME, DIMENSIONS, MEASURES, METRICS

HOSTILE = "=1+1<b>\"it's"
EVERY = Filters(
    regions=(HOSTILE,),
    products=(HOSTILE,),
    categories=(HOSTILE,),
    start=dt.date(2024, 2, 1),
    end=dt.date(2024, 2, 29),
    known_region_only=True,
)
_AXES = [
    (None, None),
    *((one.name, None) for one in DIMENSIONS),
    *((one.name, other.name) for one, other in itertools.permutations(DIMENSIONS, 2)),
]


@pytest.mark.parametrize("measure", [measure.name for measure in MEASURES])
def test_every_measure_composes_with_every_dimension(measure: str) -> None:
    for rows, columns in _AXES:
        for comparison in (None, "period", "year"):
            question = Question(
                measures=(measure,),
                rows=rows,
                columns=columns,
                filters=EVERY,
                comparison=comparison,
            )
            cut = Kept(keys=("a",), is_cut=True)
            statement, parameters = compose(question, (cut, cut), compared=comparison is not None)
            assert HOSTILE not in statement
            assert "{" not in statement
            bound = set(re.findall(r"(?<!:):([a-z_]+)", statement))
            assert bound <= set(parameters)
            joined = set(re.findall(r"join gold\.\w+ as (\w)", statement))
            assert joined == set(
                re.findall(r"\b([cp])\.(?!customer_id = t|product_id = t)", statement)
            )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"measures": ("total_sales; drop table x",)}, "no measure"),
        ({"measures": ("customers",)}, "no measure"),  # no sale carries it
        ({"measures": ("sales_ytd",)}, "no measure"),
        ({"measures": ()}, "one to 4"),
        ({"measures": ("pieces", "pieces")}, "different"),
        ({"rows": "t.region"}, "no dimension"),
        ({"columns": "region"}, "first one"),
        ({"rows": "region", "columns": "region"}, "differs"),
        ({"rows": "region", "top": 0}, "top"),
        ({"rows": "region", "order": "asc; --"}, "order"),
        ({"comparison": "ever"}, "comparison"),
        ({"comparison": "year"}, "first and the last day"),
    ],
)
def test_what_is_not_in_the_catalogue_is_refused(wrong: dict, words: str) -> None:
    with pytest.raises(ExploreError, match=words):
        Question(**{"measures": ("total_sales",), **wrong})


def test_measures_of_the_dashboard_keep_their_definition() -> None:
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)
    offered = {metric.name for metric in METRICS} - set(names)
    assert offered == {"customers", "loyalty_points", "sales_ytd"}
    for measure in MEASURES:
        assert measure.dax
        assert measure.description.endswith(".")
        assert measure.name in measure.sql
    assert len({dimension.title for dimension in DIMENSIONS}) == len(DIMENSIONS)


@pytest.mark.parametrize(
    ("start", "end", "comparison", "expected"),
    [
        ("2024-03-01", "2024-03-31", "period", ("2024-01-30", "2024-02-29")),
        ("2024-03-01", "2024-03-01", "period", ("2024-02-29", "2024-02-29")),
        ("2024-03-01", "2024-03-31", "year", ("2023-03-01", "2023-03-31")),
        ("2024-02-01", "2024-02-29", "year", ("2023-02-01", "2023-02-28")),
        ("2025-02-01", "2025-02-28", "year", ("2024-02-01", "2024-02-29")),
        ("2024-02-29", "2024-02-29", "year", ("2023-03-01", "2023-02-28")),
    ],
)
def test_the_compared_period(
    start: str, end: str, comparison: str, expected: tuple[str, str]
) -> None:
    filters = Filters(start=dt.date.fromisoformat(start), end=dt.date.fromisoformat(end))
    question = Question(measures=("pieces",), filters=filters, comparison=comparison)
    assert question.compared_period == tuple(dt.date.fromisoformat(day) for day in expected)


@pytest.mark.parametrize(
    ("start", "end"),
    [(dt.date(1, 1, 1), dt.date(1, 1, 9)), (dt.date(2024, 1, 2), dt.date(2024, 1, 1))],
)
def test_a_period_without_one_before_it_is_not_compared(start: dt.date, end: dt.date) -> None:
    with pytest.raises(ExploreError, match="comparison"):
        Question(measures=("pieces",), filters=Filters(start=start, end=end), comparison="period")


def test_change_in_percent() -> None:
    assert change_percent(150, 100) == 50
    assert change_percent(Decimal(0), Decimal("0.50")) == -100
    assert change_percent(5, 0) is None
    assert change_percent(None, 5) is None
    assert change_percent(5, -10) == 150


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("month", dt.date(2024, 3, 1), "Mar 2024"),
        ("quarter", dt.date(2024, 10, 1), "Q4 2024"),
        ("year", dt.date(2024, 1, 1), "2024"),
        ("week", dt.date(2024, 1, 1), "2024-01-01"),
        ("weekday", 7, "Sunday"),
        ("calendar_month", 12, "December"),
        ("discount_band", 4, "Over 20 %"),
        ("customer_record", 2, "Only named by sales"),
        ("region", "North", "North"),
    ],
)
def test_values_are_labelled(name: str, value: object, words: str) -> None:
    assert DIMENSION_BY_NAME[name].label(value) == words


# Tables and charts ----------------------------------------------------------------------


def made(
    question: Question,
    values: dict[tuple[Key, Key], dict[str, object]],
    rows: tuple[Key, ...],
    columns: tuple[Key, ...] = (),
) -> Answer:
    return Answer(
        question=question,
        rows=rows,
        columns=columns,
        groups=MappingProxyType(
            {place: Group(values=each, before=None) for place, each in values.items()}
        ),
        other_rows=2,
        other_columns=0,
        is_cut=False,
        statement="",
        parameters={},
    )


def by_region(*, is_pivot: bool) -> Answer:
    return made(
        Question(measures=("total_sales",), rows="region", columns="category", is_pivot=is_pivot),
        {
            (HOSTILE, "A"): {"total_sales": Decimal("1.50")},
            (HOSTILE, Mark.TOTAL): {"total_sales": Decimal("1.50")},
            (Mark.OTHERS, "=B"): {"total_sales": Decimal(2)},
            (Mark.OTHERS, Mark.TOTAL): {"total_sales": Decimal(2)},
            (Mark.TOTAL, "A"): {"total_sales": Decimal("1.50")},
            (Mark.TOTAL, "=B"): {"total_sales": Decimal(2)},
            (Mark.TOTAL, Mark.TOTAL): {"total_sales": Decimal("3.50")},
        },
        (HOSTILE, Mark.OTHERS),
        ("=B", "A"),
    )


def test_a_pivot_has_zeros_where_nothing_was_sold() -> None:
    shown = explore_table.table(by_region(is_pivot=True))
    assert [column.title for column in shown.columns] == ["Region", "=B", "A", "Total"]
    assert shown.rows == (
        (HOSTILE, 0, Decimal("1.50"), Decimal("1.50")),
        ("All others (2)", Decimal(2), 0, Decimal(2)),
        ("Total", Decimal(2), Decimal("1.50"), Decimal("3.50")),
    )


def test_a_list_has_the_groups_that_exist_and_a_total() -> None:
    shown = explore_table.table(by_region(is_pivot=False))
    assert shown.rows == (
        (HOSTILE, "A", Decimal("1.50")),
        ("All others (2)", "=B", Decimal(2)),
        ("Total", "", Decimal("3.50")),
    )


def test_files_hold_no_formula() -> None:
    shown = explore_table.table(by_region(is_pivot=True))
    lines = list(csv.reader(io.StringIO(explore_table.as_csv(shown).decode("utf-8-sig"))))
    assert lines[0] == ["Region", "'=B", "A", "Total"]
    assert lines[1] == ["'" + HOSTILE, "0", "1.50", "1.50"]
    workbook = python_calamine.CalamineWorkbook.from_filelike(
        io.BytesIO(explore_table.as_xlsx(shown))
    )
    sheet = workbook.get_sheet_by_index(0).to_python()
    assert sheet[0] == ["Region", "=B", "A", "Total"]
    assert sheet[1] == [HOSTILE, 0, 1.5, 1.5]


@pytest.mark.parametrize("kind", ["bar", "heat"])
def test_charts_escape_what_comes_from_data(kind: str) -> None:
    figure, _ = explore_charts.chart(kind, by_region(is_pivot=False), MEASURES[0])
    drawn = figure.to_json()
    assert "<b>\\u0022" not in drawn
    assert '<b>\\"it' not in drawn
    assert "&lt;b&gt;" in drawn


def test_a_line_goes_on_through_months_without_sales() -> None:
    january, march = dt.date(2024, 1, 1), dt.date(2024, 3, 1)
    question = Question(measures=("pieces", "average_sale"), rows="month", order="largest")
    values = {"pieces": 3, "average_sale": Decimal(2)}
    answer = made(
        question,
        {
            (march, Mark.TOTAL): values,
            (january, Mark.TOTAL): values,
            (Mark.TOTAL, Mark.TOTAL): values,
        },
        (march, january),
    )
    pieces, average = (
        explore_charts.chart("line", answer, metric)[0] for metric in question.metrics
    )
    assert list(pieces.data[0].y) == [3.0, 0.0, 3.0]
    assert list(average.data[0].y) == [2.0, None, 2.0]
    assert list(pieces.layout.xaxis.ticktext) == ["Jan 2024", "Feb 2024", "Mar 2024"]


def test_only_charts_that_fit_are_offered() -> None:
    assert explore_charts.kinds(None, None) == ("table",)
    assert explore_charts.kinds("region", None) == ("bar", "table")
    assert explore_charts.kinds("month", None) == ("line", "bar", "table")
    assert explore_charts.kinds("weekday", "region") == ("bar", "line", "heat", "table")


def test_series_beyond_what_eyes_tell_apart_are_added_up() -> None:
    names = [f"P{place:02}" for place in range(15)]
    values: dict[tuple[Key, Key], dict[str, object]] = {
        (row, name): {"pieces": place + 1, "largest_sale": Decimal(place)}
        for row in ("North", Mark.TOTAL)
        for place, name in enumerate(names)
    }
    totals = {"pieces": 120, "largest_sale": Decimal(14)}
    values |= {("North", Mark.TOTAL): totals, (Mark.TOTAL, Mark.TOTAL): totals}
    question = Question(measures=("pieces", "largest_sale"), rows="region", columns="product")
    answer = made(question, values, ("North",), tuple(names))
    pieces, note = explore_charts.chart("bar", answer, question.metrics[0])
    assert (len(pieces.data), note) == (10, "")
    assert sum(trace.x[0] for trace in pieces.data) == 120
    largest, note = explore_charts.chart("bar", answer, question.metrics[1])
    assert len(largest.data) == 9
    assert "9 of 15" in note
