"""What people take home from the dashboard: a tile as a workbook, the page as one HTML file.

Both say which filters they hold for, the data version, as of when, and how the numbers are defined.
Text from data is never a formula, markup or script. The HTML file carries everything that it needs,
asks nobody for anything, and prints to A4.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.offline
import xlsxwriter

from app import charts, dashboard, insights, metrics
from app import report as reports
from app.cube import Filters
from app.dashboard import About
from app.metrics import Row
from app.periods import Level
from app.report import Report

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PRODUCT = "Customer Revenue Analytics Platform"
HEADINGS: Mapping[str, str] = {
    "region": "Region",
    "month": "Month",
    "product_name": "Product",
    "total_sales": "Total Sales, USD",
    "high_value_sales": "High-Value Sales, USD",
    "loyalty_points": "Loyalty points",
    "transactions": "Transactions",
    "high_value_transactions": "Transactions",
    "customers": "Customers",
}
_CELL_CHARACTERS = 32_767  # more than that a spreadsheet does not take
_EXACT_DIGITS = 15  # of a spreadsheet's number
_SHEET_ROWS = 1_048_575  # below the heading
_MEASURED_ROWS = 200  # that decide how wide a column is
_MONTH = "month"


def in_words(filters: Filters) -> str:
    """Return the filters as one line; it holds text from data."""
    return " · ".join(filters.words) or "all sales"


def heading(column: str) -> str:
    """Return the words above a column, with its unit."""
    return HEADINGS.get(column, column.replace("_", " ").capitalize())


# A workbook -----------------------------------------------------------------------------


def as_xlsx(
    title: str, rows: Sequence[Row], filters: Filters, about: About, *, definition: str
) -> bytes:
    """Return a tile as a workbook: its rows, and a sheet that says what they are.

    Numbers and dates are cells of their kind: money (Decimal) in USD, moments in UTC. Text stays
    text, and so does a number with more digits than a spreadsheet keeps. Rows beyond what a sheet
    takes are left out, and the second sheet says so.
    """
    kept = rows[:_SHEET_ROWS]
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(
        buffer,
        {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False},
    ) as workbook:
        formats = _Formats(workbook)
        _write_rows(workbook.add_worksheet("Data"), kept, formats)
        facts: dict[str, object] = {
            "Title": title,
            "Filters": in_words(filters),
            "Data version": about.data_version,
            "Data as of (UTC)": about.as_of,
            "Made (UTC)": about.made_at,
            "Definition": definition,
            "Rows": len(kept),
        }
        if len(kept) < len(rows):
            facts["Left out"] = f"{len(rows) - len(kept):,} rows that a sheet does not take"
        facts["Made by"] = PRODUCT
        sheet = workbook.add_worksheet("About")
        sheet.set_column(0, 0, 18)
        sheet.set_column(1, 1, 90)
        for number, (name, fact) in enumerate(facts.items()):
            sheet.write_string(number, 0, name, formats.head)
            _write_cell(sheet, number, 1, fact, formats)
    return buffer.getvalue()


class _Formats:
    """The formats of a workbook's cells."""

    def __init__(self, workbook: Any) -> None:
        self.head = workbook.add_format({"bold": True, "valign": "top"})
        self.text = workbook.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
        self.money = workbook.add_format({"num_format": "$#,##0.00;-$#,##0.00"})
        self.whole = workbook.add_format({"num_format": "#,##0", "align": "right"})
        self.day = workbook.add_format({"num_format": "yyyy-mm-dd", "align": "left"})
        self.month = workbook.add_format({"num_format": "mmm yyyy", "align": "left"})
        self.moment = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss", "align": "left"})


def _write_rows(sheet: Any, rows: Sequence[Row], formats: _Formats) -> None:
    columns = list(rows[0]) if rows else []
    for number, column in enumerate(columns):
        longest = max(len(_shown(row[column])) for row in rows[:_MEASURED_ROWS])
        sheet.set_column(number, number, min(max(longest, len(heading(column))) + 3, 60))
        sheet.write_string(0, number, heading(column), formats.head)
    for place, row in enumerate(rows, start=1):
        for number, column in enumerate(columns):
            _write_cell(sheet, place, number, row[column], formats, is_month=column == _MONTH)
    if columns:
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, len(rows), len(columns) - 1)


def _write_cell(
    sheet: Any, row: int, column: int, cell: object, formats: _Formats, *, is_month: bool = False
) -> None:
    place = (row, column)
    match cell:
        case None:
            return
        case bool():
            sheet.write_boolean(*place, cell)
        case int() if abs(cell) < 10**_EXACT_DIGITS:
            sheet.write_number(*place, cell, formats.whole)
        case Decimal() if cell.is_finite() and len(cell.as_tuple().digits) <= _EXACT_DIGITS:
            sheet.write_number(*place, float(cell), formats.money)
        case dt.datetime():
            moment = cell.astimezone(dt.UTC).replace(tzinfo=None)
            sheet.write_datetime(*place, moment, formats.moment)
        case dt.date():
            sheet.write_datetime(*place, cell, formats.month if is_month else formats.day)
        case _:
            sheet.write_string(*place, str(cell)[:_CELL_CHARACTERS], formats.text)


# The page as a file ---------------------------------------------------------------------


def _products(report: Report, level: Level) -> go.Figure:
    del level
    rows = report.results["top_products"]
    return charts.sales_by_region([{**row, "region": row["product_name"]} for row in rows])


_FIGURES: Mapping[str, Callable[[Report, Level], go.Figure]] = {
    "sales_by_region": lambda report, _: charts.sales_by_region(report.results["sales_by_region"]),
    "monthly_sales": lambda report, level: charts.sales_over_time(report.trend, level),
    "loyalty_points_by_region": lambda report, _: charts.loyalty_points(
        report.results["loyalty_points_by_region"]
    ),
    "top_products": _products,
    "high_value_sales_by_region": lambda report, _: charts.high_value_sales(
        report.results["high_value_sales_by_region"]
    ),
}
_CARDS = ("customers", "total_sales", "sales_ytd", "average_sale", "high_value_transactions")
_TITLE = "Revenue & Customer Insights"
_STYLE = Path(__file__).with_name("assets") / "report.css"
_COLOURS = (  # the light theme's
    *("#2A4BD7", "#0E8E99", "#D96B1F", "#7A3E9D", "#B58900"),
    *("#2F7D4F", "#B23A66", "#4A6FA5", "#8A6D3B", "#5F6B7A"),
)
_CHART_HEIGHT = 360  # pixels
# nothing is fetched, sent, framed or evaluated, whatever the data says
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)


def html_report(report: Report, about: About, level: Level = "month") -> bytes:
    """Return the dashboard as one HTML file that needs no network and prints.

    `level` is that of the report's trend.
    """
    title, filters = escape(_TITLE), report.chosen
    origin = [
        in_words(filters),
        f"data of {_moment(about.as_of)}" if about.as_of else "no data yet",
        f"data version {about.data_version}",
    ]
    figures: dict[str, go.Figure] = {}
    tiles = "".join(_tile(name, report, level, figures) for name in _FIGURES)
    body = f"""
<header><p class="product">{escape(PRODUCT)}</p><h1>{title}</h1>
<p class="origin">{"<br>".join(escape(line) for line in origin)}</p></header>
<main>
<section class="front"><h2>Key figures</h2>
<div class="cards">{"".join(_card(name, report) for name in _CARDS)}</div>
{_insights(report, level)}</section>
{tiles}
<section class="note"><h2>Differences from the original report</h2>{_marked(dashboard.DIFFERENCES)}</section>
</main>
<footer>{escape(PRODUCT)} · made {escape(_moment(about.made_at))} · data version
{about.data_version} · amounts in USD</footer>"""
    drawn = {name: json.loads(figure.to_json()) for name, figure in figures.items()}
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · {escape(in_words(filters))}</title>
<style>{_STYLE.read_text(encoding="utf-8")}</style></head>
<body>{body}
<script>{plotly.offline.get_plotlyjs()}</script>
<script>{_DRAW.replace("FIGURES", _in_script(drawn))}</script>
</body></html>
"""
    return page.encode("utf-8", "replace")


_DRAW = """
const figures = FIGURES;
const config = {displayModeBar: false, responsive: true};
for (const name in figures) {
  Plotly.newPlot("chart-" + name, figures[name].data, figures[name].layout, config);
}
addEventListener("beforeprint", () => {
  for (const name in figures) Plotly.Plots.resize("chart-" + name);
});
"""


def _in_script(value: object) -> str:
    """Return JSON that can stand in a script: it cannot close it, whatever the text says."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _card(name: str, report: Report) -> str:
    metric = metrics.BY_NAME[name]
    number = report.kpis[name]
    value, exact = metrics.format_value(metric, number), metrics.format_exact(metric, number)
    more = f"<p class='exact'>exactly {escape(exact)}</p>" if exact != value else ""
    return (
        f"<div class='card'><h3>{escape(metric.title)}</h3>"
        f"<p class='value'>{escape(value)}</p>{more}<p>{escape(metric.description)}</p></div>"
    )


def _insights(report: Report, level: Level) -> str:
    found = insights.found(report, level)
    if not found:
        return ""
    cells = "".join(
        f"<div><dt>{escape(one.label)}</dt><dd><strong>{escape(one.name)}</strong>"
        f"{escape(one.figure)}</dd></div>"
        for one in found
    )
    return f"<h2>Insights</h2><dl class='insights'>{cells}</dl>"


def _tile(name: str, report: Report, level: Level, figures: dict[str, go.Figure]) -> str:
    """Return a tile as HTML, and put its figure with the others."""
    rows, title = dashboard.table(name, report, level), dashboard.title(name, level)
    parts = [f"<h2>{escape(title)}</h2>"]
    if report.filters_of(name) != report.chosen:
        parts.append("<p class='about'>What is not picked is listed, too.</p>")
    if name in dashboard.NOTES:
        parts.append(f"<p class='about'>{escape(dashboard.NOTES[name])}</p>")
    chart = ""
    if not dashboard.has_amounts(name, report):
        parts.append("<p class='empty'>Nothing in this selection.</p>")
    else:
        figures[name] = _for_paper(_FIGURES[name](report, level))
        label = escape(f"{title}; the table beside it holds the same figures")
        chart = f"<div class='chart' id='chart-{name}' role='img' aria-label='{label}'></div>"
    table = _table(title, rows) if rows else ""
    kind = "pair" if chart else "alone"
    parts.append(f"<div class='{kind}'>{chart}{table}</div>{_tie(name, report)}")
    return f"<section class='tile'>{''.join(parts)}</section>"


def _for_paper(figure: go.Figure) -> go.Figure:
    """Give a figure the colours of the light theme, which the app's own page would give it."""
    figure.update_layout(
        template="plotly_white",
        colorway=_COLOURS,
        height=_CHART_HEIGHT,
        paper_bgcolor="#FFFFFF",
        plot_bgcolor="#FFFFFF",
        font={"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 12},
    )
    figure.update_xaxes(linecolor="#DCE3EC", gridcolor="#E8EDF3")
    figure.update_yaxes(linecolor="#DCE3EC", gridcolor="#E8EDF3")
    return figure


def _table(title: str, rows: Sequence[Row]) -> str:
    columns = list(rows[0])
    head = "".join(
        f"<th scope='col'{_side(rows[0][column])}>{escape(heading(column))}</th>"
        for column in columns
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_side(row[column])}>{escape(_shown(row[column], is_month=column == _MONTH))}</td>"
            for column in columns
        )
        + "</tr>"
        for row in rows
    )
    caption = f"<caption>{escape(title)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _side(cell: object) -> str:
    return " class='number'" if isinstance(cell, int | Decimal) else ""


def _shown(cell: object, *, is_month: bool = False) -> str:
    match cell:
        case None:
            return "–"
        case Decimal():
            return metrics.exact_money(cell)
        case int():
            return f"{cell:,}"
        case dt.date() if is_month:
            return f"{cell:%b %Y}"
        case _:
            return str(cell)


def _tie(name: str, report: Report) -> str:
    found = report.ties[name]
    metric = metrics.BY_NAME[reports.WHOLES[name]]
    parts, whole = (metrics.format_exact(metric, number) for number in (found.parts, found.whole))
    if found.holds:
        return (
            f"<p class='tie'><span class='good'>ties out ✓</span> parts {escape(parts)} = "
            f"{escape(metric.title)} {escape(whole)}</p>"
        )
    return (
        f"<p class='tie'><span class='bad'>does not tie out ✗</span> parts {escape(parts)}, "
        f"{escape(metric.title)} {escape(whole)}</p>"
    )


def _marked(text: str) -> str:
    """Return a numbered list of our own, with bold and italic words, as HTML."""
    items = re.split(r"^\d+\. ", escape(text.replace("\\$", "$"), quote=False), flags=re.MULTILINE)
    lines = [
        re.sub(r"\*(.+?)\*", r"<em>\1</em>", re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", item))
        for item in items
        if item.strip()
    ]
    return f"<ol>{''.join(f'<li>{line.strip()}</li>' for line in lines)}</ol>"


def _moment(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%d %b %Y, %H:%M} UTC"
