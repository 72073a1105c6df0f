"""An answer of Explore as a table, for the page and for files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import xlsxwriter

from app.explore import Answer, Key, Mark
from app.metrics import Metric, Number
from etl.export import defused

Kind = Literal["text", "whole", "money", "percent"]
_CELL_CHARACTERS = 32_767  # what a spreadsheet's cell holds
_NUMBERS: Mapping[Kind, str] = {
    "whole": "#,##0",
    "money": "$#,##0.00",
    "percent": '0.0" %"',
}
_COMPARED = {"period": "period before", "year": "a year before"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; its title may come from data."""

    title: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells in the order of the columns: text, numbers, percent of 100, or nothing."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]


def change(now: Number | None, before: Number | None) -> Number | None:
    """Return by how much a value changed."""
    return None if now is None or before is None else now - before


def change_percent(now: Number | None, before: Number | None) -> Decimal | None:
    """Return by how many percent a value changed; None from nothing."""
    if now is None or not before:
        return None
    return (Decimal(now) - Decimal(before)) * 100 / abs(Decimal(before))


def table(answer: Answer) -> Table:
    """Return the groups and their total; a pivot's second dimension stands across."""
    question = answer.question
    if question.is_pivot and question.columns is not None:
        return _pivot(answer)
    columns = [Column(title=dimension.title, kind="text") for dimension in question.dimensions]
    for metric in question.metrics:
        columns += _columns(answer, metric, metric.title)
    places: list[tuple[Key, Key]]
    if question.columns is None:
        places = [(row, Mark.TOTAL) for row in answer.rows]
    else:
        places = [
            (row, column)
            for row in answer.rows
            for column in answer.columns
            if (row, column) in answer.groups
        ]
    rows = []
    for row, column in [*places, (Mark.TOTAL, Mark.TOTAL)]:
        labels = [answer.label("rows", row)] if question.rows else []
        if question.columns is not None:
            labels.append("" if column is Mark.TOTAL else answer.label("columns", column))
        rows.append((*labels, *_cells(answer, row, column)))
    return Table(columns=tuple(columns), rows=tuple(rows))


def _pivot(answer: Answer) -> Table:
    question = answer.question
    several = len(question.metrics) > 1
    columns = [Column(title=question.dimensions[0].title, kind="text")]
    for key in answer.columns:
        name = answer.label("columns", key)
        columns += [
            Column(title=f"{name} · {metric.title}" if several else name, kind=metric.format)
            for metric in question.metrics
        ]
    for metric in question.metrics:
        columns += _columns(answer, metric, f"Total · {metric.title}" if several else "Total")
    rows = []
    for row in (*answer.rows, Mark.TOTAL):
        cells: list[Any] = [answer.label("rows", row)]
        for key in answer.columns:
            cells += [answer.value(row, key, metric.name) for metric in question.metrics]
        rows.append((*cells, *_cells(answer, row, Mark.TOTAL)))
    return Table(columns=tuple(columns), rows=tuple(rows))


def _columns(answer: Answer, metric: Metric, title: str) -> list[Column]:
    columns = [Column(title=title, kind=metric.format)]
    if answer.question.comparison:
        word = _COMPARED[answer.question.comparison]
        columns += [
            Column(title=f"{title}, {word}", kind=metric.format),
            Column(title=f"{title}, change", kind=metric.format),
            Column(title=f"{title}, change %", kind="percent"),
        ]
    return columns


def _cells(answer: Answer, row: Key, column: Key) -> list[Any]:
    cells: list[Any] = []
    for metric in answer.question.metrics:
        now = answer.value(row, column, metric.name)
        cells.append(now)
        if answer.question.comparison:
            before = answer.before(row, column, metric.name)
            cells += [before, change(now, before), change_percent(now, before)]
    return cells


# Files ----------------------------------------------------------------------------------


def as_csv(shown: Table) -> bytes:
    """Return a table as CSV with every digit, that no spreadsheet takes for formulas."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([defused(column.title) for column in shown.columns])
    for row in shown.rows:
        writer.writerow(
            [
                "" if cell is None else defused(_written(cell, column.kind))
                for cell, column in zip(row, shown.columns, strict=True)
            ]
        )
    return buffer.getvalue().encode("utf-8-sig", "replace")


def _written(cell: Any, kind: Kind) -> str:
    return f"{cell:.1f}" if kind == "percent" else str(cell)


def as_xlsx(shown: Table) -> bytes:
    """Return a table as a workbook: numbers are numbers, text is never a formula or a link."""
    target = io.BytesIO()
    workbook = xlsxwriter.Workbook(
        target,
        {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False},
    )
    sheet = workbook.add_worksheet("Explore")
    text = workbook.add_format({"num_format": "@"})
    bold = workbook.add_format({"num_format": "@", "bold": True, "text_wrap": True})
    formats = {
        kind: workbook.add_format({"num_format": number}) for kind, number in _NUMBERS.items()
    }
    sheet.freeze_panes(1, sum(column.kind == "text" for column in shown.columns[:2]))
    for place, column in enumerate(shown.columns):
        sheet.set_column(place, place, 26 if column.kind == "text" else 16)
        sheet.write_string(0, place, _cut(column.title), bold)
    for number, row in enumerate(shown.rows, start=1):
        for place, (cell, column) in enumerate(zip(row, shown.columns, strict=True)):
            if cell is None:
                continue
            if column.kind == "text":
                sheet.write_string(number, place, _cut(str(cell)), text)
            else:
                sheet.write_number(number, place, cell, formats[column.kind])
    workbook.close()
    return target.getvalue()


def _cut(text: str) -> str:
    plain = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    return plain[:_CELL_CHARACTERS]


def of_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Return rows of any kind as a table of text, as a statement's result is taken home."""
    return Table(
        columns=tuple(Column(title=name, kind="text") for name in columns),
        rows=tuple(tuple(None if cell is None else str(cell) for cell in row) for row in rows),
    )
