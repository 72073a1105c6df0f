"""The semantic model as TMDL: text, indented with tabs, one file a table.

Descriptions are `///` lines before what they describe; an expression of several lines stands two
tabs deeper than its name; each file ends with one blank line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from app.powerbi import gold
from app.powerbi.model import (
    DISPLAY_FOLDER,
    NAME,
    Measure,
    Model,
    ModelColumn,
    ModelTable,
    Relationship,
    identifier,
)
from app.powerbi.source import Mode, Source

COMPATIBILITY_LEVEL = 1601
CULTURE = "en-US"
ROLE = "reader"
PARAMETERS = ("Server", "Database")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Line = tuple[int, str]  # tabs, text


def files(model: Model, source: Source) -> dict[str, str]:
    """Return the definition's files by their path below `definition/`."""
    return {
        "database.tmdl": _text(
            [(0, f"database {NAME}"), (1, f"compatibilityLevel: {COMPATIBILITY_LEVEL}")]
        ),
        "model.tmdl": _text(_model(model)),
        "expressions.tmdl": _text(_expressions(source)),
        "relationships.tmdl": _text(
            line
            for relationship in model.relationships
            for line in _relationship(relationship, source.mode)
        ),
        f"roles/{ROLE}.tmdl": _text(
            [
                (0, "/// Reads everything in this model; no row is hidden"),
                (0, f"role {ROLE}"),
                (1, "modelPermission: read"),
            ]
        ),
        **{
            f"tables/{table.name}.tmdl": _text(_table(table, source.mode)) for table in model.tables
        },
    }


def quoted(name: str) -> str:
    """Return the name as TMDL wants it: in quotes unless it is plain."""
    return name if _PLAIN_NAME.fullmatch(name) else "'" + name.replace("'", "''") + "'"


def m_text(value: str) -> str:
    """Return a text literal of M; quotes are doubled, and `#(` starts no escape."""
    return '"' + value.replace("#(", "#(#)(").replace('"', '""') + '"'


def _text(lines: Iterable[Line]) -> str:
    written = "\n".join("\t" * tabs + text if text else "" for tabs, text in lines)
    return written.rstrip("\n") + "\n\n"


def _model(model: Model) -> list[Line]:
    order = json.dumps([*PARAMETERS, *(table.name for table in model.tables)])
    return [
        (0, "model Model"),
        (1, f"culture: {CULTURE}"),
        (1, "defaultPowerBIDataSourceVersion: powerBI_V3"),
        (1, "discourageImplicitMeasures"),
        (1, f"sourceQueryCulture: {CULTURE}"),
        (1, "dataAccessOptions"),
        (2, "legacyRedirects"),
        (2, "returnErrorValuesAsNull"),
        (0, ""),
        (0, f"annotation PBI_QueryOrder = {order.replace(', ', ',')}"),
        (0, ""),
        (0, "annotation __PBI_TimeIntelligenceEnabled = 0"),
        (0, ""),
        *((0, f"ref table {quoted(table.name)}") for table in model.tables),
        (0, ""),
        (0, f"ref role {ROLE}"),
    ]


def _expressions(source: Source) -> list[Line]:
    kind = 'meta [IsParameterQuery=true, Type="Text", IsParameterQueryRequired=true]'
    described = {
        "Server": ("Host and port of the PostgreSQL server, such as localhost:5432", source.server),
        "Database": ("Name of the database", source.database),
    }
    lines: list[Line] = []
    for name in PARAMETERS:
        description, value = described[name]
        lines += [
            (0, f"/// {description}"),
            (0, f"expression {name} = {m_text(value)} {kind}"),
            (1, f"lineageTag: {identifier('expression', name)}"),
            (0, ""),
            (1, "annotation PBI_ResultType = Text"),
            (0, ""),
        ]
    return lines


def _relationship(relationship: Relationship, mode: Mode) -> list[Line]:
    one, many = relationship, f"{quoted(relationship.table)}.{quoted(relationship.column)}"
    name = identifier("relationship", one.table, one.column, one.to_table, one.to_column)
    # DirectQuery may then use inner joins; only a foreign key makes them lose nothing
    enforced = one.is_enforced and mode is Mode.DIRECT_QUERY
    return [
        (0, f"relationship {name}"),
        *([(1, "relyOnReferentialIntegrity")] if enforced else []),
        (1, f"fromColumn: {many}"),
        (1, f"toColumn: {quoted(one.to_table)}.{quoted(one.to_column)}"),
        (0, ""),
    ]


def _table(table: ModelTable, mode: Mode) -> list[Line]:
    lines: list[Line] = [
        (0, f"/// {table.description}"),
        (0, f"table {quoted(table.name)}"),
        (1, f"lineageTag: {identifier('table', table.name)}"),
        *([(1, "dataCategory: Time")] if table.is_date_table else []),
        (0, ""),
    ]
    for measure in table.measures:
        lines += _measure(measure)
    for column in table.columns:
        lines += _column(table.name, column)
    return [
        *lines,
        (1, f"partition {quoted(table.name)} = m"),
        (2, f"mode: {mode.tmdl}"),
        (2, "source ="),
        (4, "let"),
        (5, f"Source = PostgreSQL.Database({', '.join(PARAMETERS)}),"),
        (5, f"Data = Source{{[Schema={m_text(gold.SCHEMA)}, Item={m_text(table.name)}]}}[Data]"),
        (4, "in"),
        (5, "Data"),
        (0, ""),
        (1, "annotation PBI_ResultType = Table"),
    ]


def _measure(measure: Measure) -> list[Line]:
    return [
        (1, f"/// {measure.description}"),
        (1, f"measure {quoted(measure.name)} ="),
        *((3, line) for line in measure.dax.splitlines()),
        (2, f"formatString: {measure.format}"),
        (2, f"displayFolder: {DISPLAY_FOLDER}"),
        (2, f"lineageTag: {identifier('measure', measure.name)}"),
        (0, ""),
    ]


def _column(table: str, column: ModelColumn) -> list[Line]:
    return [
        (1, f"/// {column.description}"),
        (1, f"column {quoted(column.name)}"),
        (2, f"dataType: {column.type}"),
        *([(2, "isHidden")] if column.is_hidden else []),
        *([(2, "isKey")] if column.is_key else []),
        *([(2, f"formatString: {column.format}")] if column.format else []),
        (2, f"lineageTag: {identifier('column', table, column.name)}"),
        (2, "summarizeBy: none"),
        (2, f"sourceColumn: {column.name}"),
        *([(2, f"sortByColumn: {quoted(column.sorted_by)}")] if column.sorted_by else []),
        (0, ""),
        (2, "annotation SummarizationSetBy = User"),
        *([(0, ""), (2, "annotation UnderlyingDateTimeDataType = Date")] if column.is_day else []),
        (0, ""),
    ]
