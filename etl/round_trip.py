"""Invalid records as files that people correct outside, and the corrected files read back.

JSON holds each record as received. CSV and XLSX have a column a field, `parent.child` for nested
ones; what a cell says is described in docs/how-to.md and decided by `cell_of` and `value_of` alone.
A corrected record starts from the one in raw: only members that somebody changed are written anew.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime as dt
import io
import itertools
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import Any, BinaryIO, NamedTuple

import msgspec
import python_calamine
import xlsxwriter
from sqlalchemy import Connection, text

from etl import datasets, readers
from etl.db import queries
from etl.errors import RevenueError, UnreadableFileError

FORMATS = ("json", "csv", "xlsx")
FIXED = ("quarantine_id", "version", "batch", "position", "reasons")
MOST_COLUMNS = 200  # fields beyond are not shown, and stay as received
MOST_ROWS = 1_000_000
_MOST_CHARACTERS = 32_000  # of a cell; a spreadsheet takes 32,767
_MOST_UNPACKED = 1 << 30  # bytes of a workbook
_LOOKED_UP = 1_000  # rows at a time
_CLOSED = {"fixed", "dismissed", "superseded"}
_SPREADSHEET_DIGITS = 15

Field = tuple[str, ...]
Item = Mapping[str, Any]
"""A queue item: quarantine_id, version, batch_id, position, dq_errors, record (JSON text)."""


class Verdict(StrEnum):
    UNCHANGED = "unchanged"
    EDITED = "edited"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """What a row of a corrected file is."""

    row: int  # of the file, counting its header; of JSON the number of the object
    verdict: Verdict
    quarantine_id: int | None = None
    version: int | None = None
    record: str | None = None  # JSON text, where edited
    reason: str | None = None  # where refused: file, row, column, and what to do


class _CellError(Exception):
    """A cell cannot be read, or does not fit its record."""

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(problem)
        self.column = column
        self.problem = problem


# Members of a record --------------------------------------------------------------------

_SPACE = re.compile(r"[ \t\r\n]*")
_scan = json.JSONDecoder(strict=False, parse_float=str, parse_int=str).raw_decode
_scan_text = json.JSONDecoder(strict=False).raw_decode


class _Member(NamedTuple):
    key: str
    start: int  # of its key
    value: int  # where its value begins
    end: int


def _after_space(source: str, index: int) -> int:
    found = _SPACE.match(source, index)
    assert found is not None
    return found.end()


def _members(source: str) -> list[_Member] | None:
    """Return the members of an object's JSON text, None when it is no object."""
    index = _after_space(source, 0)
    if not source.startswith("{", index):
        return None
    members: list[_Member] = []
    index = _after_space(source, index + 1)
    while not source.startswith("}", index):
        if members:
            index = _after_space(source, index + 1)  # the comma
        start = index
        key, index = _scan_text(source, start)
        value = _after_space(source, _after_space(source, index) + 1)
        _, end = _scan(source, value)
        members.append(_Member(key=key, start=start, value=value, end=end))
        index = _after_space(source, end)
    return members


def _rewritten(source: str, members: Sequence[_Member], changes: Mapping[str, str | None]) -> str:
    """Return the object's text with members replaced, removed (None) or added; the rest as it is."""
    parts: list[str] = []
    before = members[0].start if members else source.index("{") + 1
    after = members[-1].end if members else before
    for number, member in enumerate(members):
        written: str | None = source[member.start : member.end]
        if member.key in changes:
            value = changes[member.key]
            written = None if value is None else source[member.start : member.value] + value
        if written is not None:
            if parts:
                parts.append(source[members[number - 1].end : member.start])
            parts.append(written)
    known = {member.key for member in members}
    for key, value in changes.items():
        if key not in known and value is not None:
            parts.append(f"{', ' if parts else ''}{json.dumps(key)}: {value}")
    return source[:before] + "".join(parts) + source[after:]


def _fields(source: str) -> dict[Field, str] | None:
    """Return the JSON text of each field that a table can show; None when it is no object.

    An object is taken apart one level deep where each of its keys can head a column. A key that is
    given twice has no column.
    """
    members = _members(source)
    if members is None:
        return None
    found: dict[Field, str] = {}
    for member in _once(members):
        if not _can_head(member.key):
            continue
        value = source[member.value : member.end]
        inner = _members(value) if value.startswith("{") else None
        if inner and len(_once(inner)) == len(inner) and all(_can_head(one.key) for one in inner):
            for one in inner:
                found[member.key, one.key] = value[one.value : one.end]
        else:
            found[member.key,] = value
    return found


def _once(members: list[_Member]) -> list[_Member]:
    if len({member.key for member in members}) == len(members):
        return members
    count: dict[str, int] = {}
    for member in members:
        count[member.key] = count.get(member.key, 0) + 1
    return [member for member in members if count[member.key] == 1]


def _can_head(key: str) -> bool:
    return 0 < len(key) <= 100 and key.isprintable() and key == key.strip()


_WORDS = {"true", "false", "null"}


# Columns --------------------------------------------------------------------------------


def header_of(path: Field) -> str:
    """Return the head of a field's column: `parent.child`; a backslash keeps what follows plain."""
    head = ".".join(re.sub(r"([\\.])", r"\\\1", key) for key in path)
    is_odd = (
        head in FIXED
        or head.lower() in _WORDS
        or not (head[0].isalpha() or head[0] in "_\\")
        or "_x" in head
    )
    if is_odd:
        # no formula, no fixed column, no escape of a spreadsheet's own
        head = "\\" + head.replace("_x", "_\\x")
    return head


def path_of(header: str) -> Field:
    """Return the field of a column's head."""
    keys = [""]
    plain = False
    for character in header:
        if plain:
            keys[-1] += character
            plain = False
        elif character == "\\":
            plain = True
        elif character == ".":
            keys.append("")
        else:
            keys[-1] += character
    return tuple(keys)


# Cells ----------------------------------------------------------------------------------

_EXACT = "json:"
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_MONTH = re.compile(r"(jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])", re.IGNORECASE)
_FORMULA = ("=", "+", "-", "@")
_ESCAPED = re.compile(r"_(?=x)", re.IGNORECASE)


@lru_cache(maxsize=50_000)  # values repeat: regions, dates, quantities
def _short_cell(value: str) -> str:
    return _cell(value)


def cell_of(value: str) -> str:
    """Return the cell of a member's JSON text; `value_of` turns it back.

    Never a formula, nothing that a spreadsheet takes for a number or date unless it is a number.
    """
    return _short_cell(value) if len(value) <= 50 else _cell(value)


def _cell(value: str) -> str:
    if value.startswith('"'):
        cell = _cell_of_text(json.loads(value, strict=False))
    elif value in _WORDS:
        cell = value
    elif value.startswith(("[", "{")):
        cell = _printable(msgspec.json.format(value, indent=-1))
    elif _PLAIN_NUMBER.fullmatch(value) and sum(c.isdigit() for c in value) <= _SPREADSHEET_DIGITS:
        cell = value
    else:
        cell = _EXACT + value
    if len(cell) > _MOST_CHARACTERS:
        return f"{_EXACT}… {len(cell):,} characters, too long for a cell: stays as it is"
    return cell


def _cell_of_text(plain: str) -> str:
    is_odd = (
        not plain
        or not plain.isprintable()
        or plain != plain.strip()
        or plain.startswith(('"', "'", "[", "{"))
        or plain.lower().startswith(_EXACT)
        or plain.lower() in _WORDS
        or _ESCAPED.search(plain) is not None
    )
    may_be_number = any(character.isnumeric() for character in plain) and (
        not plain[0].isalpha() or _MONTH.match(plain) is not None
    )
    if is_odd or may_be_number or _is_json(plain):
        return _printable(json.dumps(plain, ensure_ascii=False))
    return f"'{plain}" if plain.startswith(_FORMULA) else plain


def _printable(source: str) -> str:
    """Return JSON text in which nothing odd is left unescaped; its strings hold the same."""
    if not source.isprintable():
        source = "".join(
            character if character.isprintable() else json.dumps(character)[1:-1]
            for character in source
        )
    return _ESCAPED.sub(r"\\u005f", source)  # a workbook would take _x0041_ for an A


def _is_json(source: str) -> bool:
    try:
        json.loads(source, parse_int=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(name)


def value_of(cell: str) -> str | None:
    """Return the JSON text that a cell stands for; None when the field shall not be there.

    Raises ValueError with what is wrong.
    """
    if not cell:
        return None
    if cell.startswith("'"):
        return json.dumps(cell[1:], ensure_ascii=False)
    bare = cell.strip()
    if bare.lower().startswith(_EXACT):
        bare = bare[len(_EXACT) :].strip()
        if not _is_json(bare):
            raise ValueError(f"what follows {_EXACT} is no JSON value")
        return bare
    if bare.lower() in {"true", "false"}:
        return bare.lower()
    if _is_json(bare):
        return bare
    if bare.startswith(('"', "[", "{")):
        raise ValueError("it begins like JSON (\", [ or {) and is none; put ' before plain text")
    return json.dumps(cell, ensure_ascii=False)


def _same(one: str | None, other: str | None) -> bool:
    """Tell whether two JSON texts say the same; numbers by their exact value."""
    if one == other:
        return True
    if one is None or other is None:
        return False
    return bool(_decoded(one) == _decoded(other))


@dataclass(frozen=True)
class _Number:
    value: Decimal | str


def _decoded(source: str) -> Any:
    return _typed(
        json.loads(
            source, strict=False, parse_float=_number, parse_int=_number, object_pairs_hook=tuple
        )
    )


def _number(digits: str) -> _Number:
    try:
        return _Number(Decimal(digits))
    except InvalidOperation:  # an exponent beyond all bounds
        return _Number(digits)


def _typed(value: Any) -> Any:
    """Tell true from 1, a list from an object; the order of an object's keys does not count."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ["list", *map(_typed, value)]
    if isinstance(value, tuple):
        pairs = [(key, _typed(one)) for key, one in value]
        return ("object", sorted(pairs, key=lambda pair: pair[0]))
    return value


# Writing --------------------------------------------------------------------------------


def write(items: Callable[[], Iterator[Item]], target: BinaryIO, *, format: str) -> int:  # noqa: A002
    """Write queue items as `json`, `csv` or `xlsx`; return how many.

    `items` is asked twice for a table: once for its columns. Memory does not grow with their
    number.

    Raises RevenueError for another format.
    """
    if format == "json":
        return _write_json(items(), target)
    if format not in FORMATS:
        raise RevenueError(f"{format} is none of {', '.join(FORMATS)}", code="export")
    paths = _paths(items())
    rows = _rows(items(), paths)
    head = [*FIXED, *map(header_of, paths)]
    return _write_csv(head, rows, target) if format == "csv" else _write_xlsx(head, rows, target)


def _paths(items: Iterator[Item]) -> list[Field]:
    found: dict[Field, None] = {}
    for item in items:
        for path in _fields(item["record"]) or ():
            if path not in found and len(found) < MOST_COLUMNS:
                found[path] = None
    # a parent stands before its children, in the order in which they came
    order = {key: number for number, key in reversed(list(enumerate(path[0] for path in found)))}
    return sorted(found, key=lambda path: (order[path[0]], len(path)))


def _rows(items: Iterator[Item], paths: Sequence[Field]) -> Iterator[list[str]]:
    for item in items:
        fields = _fields(item["record"]) or {}
        fixed = [
            str(item["quarantine_id"]),
            str(item["version"]),
            str(item["batch_id"]),
            str(item["position"]),
            _shown(item["dq_errors"]),
        ]
        yield fixed + [cell_of(fields[path]) if path in fields else "" for path in paths]


def _shown(reasons: str) -> str:
    """Return the reasons as a cell, which is never read back."""
    plain = "".join(c if c.isprintable() else "\ufffd" for c in reasons)[:_MOST_CHARACTERS]
    return f"'{plain}" if plain.startswith(_FORMULA) else plain


def _write_json(items: Iterator[Item], target: BinaryIO) -> int:
    count = 0
    for count, item in enumerate(items, start=1):
        about = {
            "quarantine_id": item["quarantine_id"],
            "version": item["version"],
            "batch": item["batch_id"],
            "position": item["position"],
            "reasons": item["dq_errors"],
        }
        opening = "[\n" if count == 1 else ",\n"
        line = f'{opening}{json.dumps(about)[:-1]}, "record": {item["record"]}}}'
        target.write(line.encode())
    target.write(b"\n]\n" if count else b"[]\n")
    return count


def _write_csv(head: list[str], rows: Iterator[list[str]], target: BinaryIO) -> int:
    buffer = io.TextIOWrapper(target, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(head)
    count = 0
    for row in rows:
        writer.writerow(row)
        count += 1
    buffer.detach()
    return count


def _write_xlsx(head: list[str], rows: Iterator[list[str]], target: BinaryIO) -> int:
    workbook = xlsxwriter.Workbook(
        target,
        {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False},
    )
    sheet = workbook.add_worksheet("Invalid records")
    is_text = workbook.add_format({"num_format": "@"})
    bold = workbook.add_format({"num_format": "@", "bold": True})
    sheet.freeze_panes(1, len(FIXED))
    sheet.set_column(0, len(head) - 1, 18, is_text)
    count = 0
    for count, row in enumerate(itertools.chain([head], rows)):
        if count > MOST_ROWS:
            raise RevenueError(
                f"a workbook takes {MOST_ROWS:,} records; filter the list, or take CSV or JSON",
                code="export",
            )
        for column, cell in enumerate(row):
            if cell:
                sheet.write_string(count, column, cell, bold if count == 0 else is_text)
    workbook.close()
    return count


# Reading --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Row:
    number: int
    quarantine_id: int | None
    version: int | None
    cells: Mapping[Field, str]  # of a table
    record: str | None = None  # of JSON
    problem: tuple[str, str] | None = None  # column and what is wrong


def read_corrected(
    connection: Connection, file: BinaryIO, name: str, *, limits: readers.Limits
) -> Iterator[Corrected]:
    """Yield what each row of a corrected file is, in the file's order.

    `name` says the format by its ending. Items are looked up in `connection`, and not held: replay
    compares their version again.

    Raises UnreadableFileError for a file that is none of ours, or damaged.
    """
    ending = name.rpartition(".")[2].lower()
    if ending == "json":
        rows = _json_rows(file, name, limits)
    elif ending == "csv":
        rows = _table_rows(_csv_rows(file, name), name)
    elif ending == "xlsx":
        rows = _table_rows(_xlsx_rows(file, name), name)
    else:
        raise UnreadableFileError(
            f"{name} must end in .json, .csv or .xlsx: bring back the file that was downloaded",
            code="unrecognised",
        )
    seen: set[int] = set()
    while some := list(itertools.islice(rows, _LOOKED_UP)):
        items = _items(
            connection, [row.quarantine_id for row in some if row.quarantine_id is not None]
        )
        for row in some:
            yield _judge(row, items, seen, name)


def _items(connection: Connection, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    found = {
        row["quarantine_id"]: row
        for row in queries.rows(connection, "queries/triage.items", ids=list(ids))
    }
    for dataset in datasets.declared().values():
        of_feed = [row for row in found.values() if row["dataset"] == dataset.name]
        if of_feed:
            records = connection.execute(
                text(
                    f"""
                    select r.batch_id, r.position, r.record
                    from unnest(cast(:batches as bigint []), cast(:positions as integer []))
                        as w (batch_id, position)
                    join {dataset.raw_table} r using (batch_id, position)
                    """
                ),
                {
                    "batches": [row["batch_id"] for row in of_feed],
                    "positions": [row["position"] for row in of_feed],
                },
            )
            texts = {(batch, position): record for batch, position, record in records}
            for row in of_feed:
                row["record"] = texts[row["batch_id"], row["position"]]
    return found


def _judge(
    row: _Row, items: Mapping[int, Mapping[str, Any]], seen: set[int], name: str
) -> Corrected:
    def refused(column: str, problem: str) -> Corrected:
        return Corrected(
            row=row.number,
            verdict=Verdict.REFUSED,
            quarantine_id=row.quarantine_id,
            version=row.version,
            reason=f"{name}, row {row.number}, column {column}: {problem}",
        )

    if row.problem is not None:
        return refused(*row.problem)
    assert row.quarantine_id is not None
    item = items.get(row.quarantine_id)
    if item is None:
        return refused(
            "quarantine_id",
            f"there is no invalid record {row.quarantine_id}; do not change this column",
        )
    if row.quarantine_id in seen:
        return refused(
            "quarantine_id", f"record {row.quarantine_id} stands in the file twice; remove one row"
        )
    seen.add(row.quarantine_id)
    if item["status"] in _CLOSED:
        return refused(
            "quarantine_id",
            f"record {row.quarantine_id} is {item['status']} already; remove the row, or reopen it",
        )
    if item["version"] != row.version:
        return refused(
            "version",
            f"record {row.quarantine_id} was changed meanwhile (version {item['version']} now); "
            "download it again and correct that",
        )
    try:
        record = (
            _edited(item["record"], row.cells)
            if row.record is None
            else _merged(item["record"], row.record)
        )
    except _CellError as error:
        return refused(error.column, error.problem)
    return Corrected(
        row=row.number,
        verdict=Verdict.UNCHANGED if record is None else Verdict.EDITED,
        quarantine_id=row.quarantine_id,
        version=row.version,
        record=record,
    )


def _edited(raw: str, cells: Mapping[Field, str]) -> str | None:
    """Return the record with the cells that differ from its own; None when none does."""
    fields = _fields(raw)
    changes: dict[Field, str | None] = {}
    for path, cell in cells.items():
        received = None if fields is None else fields.get(path)
        if cell == ("" if received is None else cell_of(received)):
            continue
        try:
            value = value_of(cell)
        except ValueError as error:
            raise _CellError(header_of(path), str(error)) from None
        if not _same(received, value):
            changes[path] = value
    if not changes:
        return None
    if fields is None:
        raise _CellError(
            header_of(next(iter(changes))),
            "the record is no JSON object and has no fields; correct it in a JSON download",
        )
    return _with_changes(raw, changes)


def _with_changes(raw: str, changes: Mapping[Field, str | None]) -> str:
    members = _members(raw)
    assert members is not None
    whole: dict[str, str | None] = {}
    inner: dict[str, dict[str, str | None]] = {}
    for path, value in changes.items():
        if len(path) == 1:
            whole[path[0]] = value
        else:
            inner.setdefault(path[0], {})[path[1]] = value
    known = {member.key: raw[member.value : member.end] for member in _once(members)}
    for member in members:
        if member.key not in known and (member.key in whole or member.key in inner):
            raise _CellError(
                header_of((member.key,)),
                "the record has this field twice; correct it in a JSON download",
            )
    for key, some in inner.items():
        value = known.get(key)
        is_object = value is not None and value.startswith("{")
        if whole.get(key) is not None or (value is not None and not is_object and key not in whole):
            raise _CellError(
                header_of((key, next(iter(some)))),
                f"{header_of((key,))} has a value of its own; clear one of both cells",
            )
        source = value if is_object and value is not None else "{}"
        of_parent = _members(source)
        assert of_parent is not None
        whole[key] = _rewritten(source, of_parent, some)
    is_split = {path[0] for path in _fields(raw) or () if len(path) == 2}
    for key in whole:
        if key in is_split and key not in inner:
            raise _CellError(
                header_of((key,)),
                "its parts stand in columns of their own; clear this cell and correct those",
            )
    return _rewritten(raw, members, whole)


def _merged(raw: str, edited: str) -> str | None:
    """Return the raw record with the members that the edited one has otherwise; None: no change."""
    if _same(raw, edited):
        return None
    before, after = _members(raw), _members(edited)
    if before is None or after is None:
        return edited
    if len(_once(before)) < len(before) or len(_once(after)) < len(after):
        return edited
    old = {member.key: raw[member.value : member.end] for member in before}
    new = {member.key: edited[member.value : member.end] for member in after}
    changes: dict[str, str | None] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            changes[key] = value
        elif not _same(old[key], value):
            changes[key] = _merged(old[key], value)
    return _rewritten(raw, before, changes)


# Files ----------------------------------------------------------------------------------


def _json_rows(file: BinaryIO, name: str, limits: readers.Limits) -> Iterator[_Row]:
    number = 0
    wider = dataclasses.replace(
        limits,
        depth=limits.depth + 2,  # each record stands in an object of the file
        record_bytes=limits.record_bytes + _MOST_CHARACTERS,
    )
    try:
        for chunk in readers.read_chunks(file, name=name, limits=wider):
            for record in chunk.records:
                number += 1
                yield _json_row(number, record.decode())
    except UnreadableFileError as error:
        raise UnreadableFileError(
            f"{name}: {error.message}",
            code=error.code,
            line=error.line,
            column=error.column,
            offset=error.offset,
        ) from error


def _json_row(number: int, source: str) -> _Row:
    members = {member.key: source[member.value : member.end] for member in _members(source) or ()}
    ids = [_whole(members.get(column, "")) for column in FIXED[:2]]
    problem = _missing(ids)
    if problem is None and "record" not in members:
        problem = ("record", "it is missing; keep the objects as they were downloaded")
    return _Row(
        number=number,
        quarantine_id=ids[0],
        version=ids[1],
        cells={},
        record=members.get("record"),
        problem=problem,
    )


def _whole(digits: str) -> int | None:
    return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits) else None


def _missing(ids: Sequence[int | None]) -> tuple[str, str] | None:
    for column, given in zip(FIXED, ids, strict=False):
        if given is None:
            return column, "it is no number; keep this column as it was downloaded"
    return None


def _csv_rows(file: BinaryIO, name: str) -> Iterator[list[str]]:
    start = file.read(4096)
    file.seek(0)
    first = start.split(b"\n", 1)[0].decode("utf-8-sig", "replace")
    delimiter = max(",;\t", key=first.count)  # some spreadsheets write others back
    lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        yield from reader
    except UnicodeDecodeError:
        raise UnreadableFileError(
            f"{name} is not UTF-8; save it as “CSV UTF-8”, or correct the XLSX download instead",
            code="encoding",
        ) from None
    except csv.Error as error:
        raise UnreadableFileError(
            f"{name}, line {reader.line_num}: {error}; save it as CSV again",
            code="unreadable",
            line=reader.line_num,
        ) from None
    finally:
        with contextlib.suppress(ValueError):  # its owner closed it already
            lines.detach()


def _xlsx_rows(file: BinaryIO, name: str) -> Iterator[list[str | _CellError]]:
    damaged = UnreadableFileError(
        f"{name} is damaged or no workbook; save it as XLSX again", code="unreadable"
    )
    try:
        with zipfile.ZipFile(file) as packed:
            if sum(part.file_size for part in packed.infolist()) > _MOST_UNPACKED:
                raise UnreadableFileError(f"{name} unpacks to more than 1 GB", code="too_large")
        file.seek(0)
        workbook = python_calamine.CalamineWorkbook.from_filelike(file)
        rows = workbook.get_sheet_by_index(0).iter_rows()
    except (zipfile.BadZipFile, python_calamine.CalamineError, OSError, IndexError) as error:
        raise damaged from error
    for row in rows:
        yield [_plain(cell) for cell in row]


def _plain(cell: object) -> str | _CellError:
    """Return what a cell of a workbook says; a spreadsheet may have made it a number or a date."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        if abs(cell) >= 10**_SPREADSHEET_DIGITS or cell != cell:  # noqa: PLR0124 - not a number
            return _CellError(
                "", f"a spreadsheet keeps {_SPREADSHEET_DIGITS} digits; write {_EXACT} before it"
            )
        return str(int(cell)) if cell == int(cell) else format(Decimal(repr(cell)), "f")
    if isinstance(cell, dt.datetime):
        shown = cell.isoformat(sep=" ")
        return json.dumps(shown.removesuffix(" 00:00:00"))
    if isinstance(cell, dt.date | dt.time):
        return json.dumps(cell.isoformat())
    return "" if cell is None else str(cell)


def _table_rows(rows: Iterator[Sequence[str | _CellError]], name: str) -> Iterator[_Row]:
    head = [str(cell) for cell in next(rows, [])]
    missing = [column for column in FIXED[:2] if head.count(column) != 1]
    if missing:
        raise UnreadableFileError(
            f"{name} has no column {missing[0]} in its first row: bring back the table that was "
            "downloaded, with its first row as it was",
            code="unrecognised",
        )
    fields = {
        index: path_of(column)
        for index, column in enumerate(head)
        if column and column not in FIXED
    }
    if len(set(fields.values())) < len(fields) or any(len(path) > 2 for path in fields.values()):
        raise UnreadableFileError(
            f"{name}: each field has one column, named as in the download", code="unrecognised"
        )
    places = [head.index(column) for column in FIXED[:2]]
    for number, row in enumerate(rows, start=2):
        if number > MOST_ROWS:
            raise UnreadableFileError(f"{name} has more than {MOST_ROWS:,} rows", code="too_large")
        if not any(row):
            continue
        yield _table_row(number, row, places, head, fields)


def _table_row(
    number: int,
    row: Sequence[str | _CellError],
    places: Sequence[int],
    head: Sequence[str],
    fields: Mapping[int, Field],
) -> _Row:
    ids = [_whole(str(row[place]).strip()) if place < len(row) else None for place in places]
    problem = _missing(ids)
    cells: dict[Field, str] = {}
    for index, path in fields.items():
        cell = row[index] if index < len(row) else ""
        if isinstance(cell, _CellError):
            problem = problem or (head[index], cell.problem)
        else:
            cells[path] = cell
    if problem is None and any(row[len(head) :]):
        problem = (f"number {len(head) + 1}", "it has no name in the first row; clear it")
    return _Row(number=number, quarantine_id=ids[0], version=ids[1], cells=cells, problem=problem)
