"""Untrusted JSON files become a stream of records: strict, fast, in bounded memory.

A file is a sequence of values: an array gives its elements, anything else is one record (NDJSON,
concatenated objects). Stretches of records are proven and split by one strict decode; whatever
that cannot prove is measured value by value, which also finds the place of an error.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol

import msgspec
import numpy as np

from etl.errors import UnreadableFileError

_BLOCK = 256 * 1024  # bytes read and decoded at a time: they stay in the processor's cache
_LEAST = 2048  # bytes below which a stretch is not worth another guess
_MOST_RECORDS = 50_000  # of a chunk: tiny records weigh more than their bytes
_GZIP = b"\x1f\x8b"
_GZIP_FEED = 16 * 1024  # zlib copies what is left of it, once for each member or output block
_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "UTF-32-LE"),
    (codecs.BOM_UTF32_BE, "UTF-32-BE"),
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)
_DECODERS = {
    "UTF-8": codecs.utf_8_decode,
    "UTF-16-LE": codecs.utf_16_le_decode,
    "UTF-16-BE": codecs.utf_16_be_decode,
    "UTF-32-LE": codecs.utf_32_le_decode,
    "UTF-32-BE": codecs.utf_32_be_decode,
}
_NUL_PATTERNS: dict[
    tuple[bool, ...], str
] = {  # which of the first four bytes are NUL, where there is no mark
    (False, True, False, True): "UTF-16",
    (True, False, True, False): "UTF-16",
    (False, True, True, True): "UTF-32",
    (True, True, True, False): "UTF-32",
}

# Possessive patterns (`++`, `*+`) never go back, so none of these is worse than linear.
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_OUTSIDE = rb'[^"{}\[\]]*+'
_LEVEL_0 = _OUTSIDE + rb"(?:" + _STRING + _OUTSIDE + rb")*+"
_LEVEL_1 = _OUTSIDE + rb"(?:(?:" + _STRING + rb"|[{\[]" + _LEVEL_0 + rb"[}\]])" + _OUTSIDE + rb")*+"
_TO_BRACKET = re.compile(_LEVEL_0, re.DOTALL)
_TO_DEEP_BRACKET = re.compile(_LEVEL_1, re.DOTALL)  # past brackets that hold no others
_WHOLE_STRING = re.compile(_STRING, re.DOTALL)
_SCALAR = re.compile(rb'[^ \t\r\n,:\[\]{}"]*+')
_SPACE = re.compile(rb"[ \t\r\n]*+")
_CONSTANT = re.compile(rb"[^\"NI]*+(?:" + _STRING + rb'[^"NI]*+)*+', re.DOTALL)
_EXPONENT = re.compile(rb"[eE]\+?[0-9]{3}")
# what separates two records, and the first key of the second
_SEPARATOR = re.compile(
    rb'([ \t\r\n]{0,64}+(?:,[ \t\r\n]{0,64}+)?["{\[0-9])(?:[ \t\r\n]{0,64}+"[^"\\]{0,64}+")?'
)
_CUT_TOKEN = re.compile(
    r"(?:-|\.|[eE][+-]?|t|tr|tru|f|fa|fal|fals|n|nu|nul|\\?u?[0-9a-fA-F]{0,4})\Z"
)
_TO_DIGITS = bytes(ord("0") if chr(byte) in "0123456789." else ord(" ") for byte in range(256))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may hold; sizes in bytes, of the unpacked text; depth and digits as counts."""

    chunk_bytes: int = 4 * 1024 * 1024
    record_bytes: int = 16 * 1024 * 1024
    unpacked_bytes: int = 20 * 1024 * 1024 * 1024
    depth: int = 100
    digits: int = 400


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Records in the order of the file; `first` is the position of the first one, from 1.

    Each record is the exact UTF-8 text of its value. `bytes_read` counts the file's own (packed)
    bytes so far.
    """

    first: int
    records: list[bytes]
    bytes_read: int


class Readable(Protocol):
    """All that is asked of a source: no seeking."""

    def read(self, size: int = ..., /) -> bytes: ...


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; a link, pipe or device is refused and never waited for.

    Raises UnreadableFileError (not_regular, permission), FileNotFoundError, OSError.
    """
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"):
        flags |= getattr(os, name, 0)
    not_regular = UnreadableFileError(
        "it is no regular file (a link, folder, pipe or device); put the file itself here",
        code="not_regular",
    )
    if path.is_symlink():  # for systems without O_NOFOLLOW
        raise not_regular
    try:
        number = os.open(path, flags)
    except PermissionError:
        if path.is_dir():  # Windows
            raise not_regular from None
        raise UnreadableFileError(
            "it may not be read; give the product's account the right to read it",
            code="permission",
        ) from None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR}:
            raise not_regular from None
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise not_regular
    return os.fdopen(number, "rb")


def decode(record: bytes) -> Any:
    """Return one record as Python values; fractions as Decimal, so that no digit is lost."""
    return json.loads(record, parse_float=Decimal)


def read_chunks(
    source: Readable, *, name: str = "", limits: Limits | None = None
) -> Iterator[Chunk]:
    """Yield the records of a file in chunks of about `limits.chunk_bytes`.

    Raises UnreadableFileError: encoding, gzip, too_large, top_level, not_json, truncated, depth,
    number, record_too_large; always the first fault of the file. Its `line` and `column` count
    from 1, the column in characters; `offset` counts bytes of the unpacked UTF-8 text from 0.
    """
    del name  # the caller knows it when it shows the error
    yield from _Splitter(source, limits or Limits()).chunks()


class _Text:
    """The unpacked, valid UTF-8 text of a source, as blocks that are never empty.

    Errors are raised behind the last good block and know no place.
    """

    def __init__(self, source: Readable, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._size = max(1, min(_BLOCK, limits.chunk_bytes))
        self.bytes_read = 0
        self.mark_bytes = 0  # of a UTF-8 byte-order mark

    def blocks(self) -> Iterator[bytes]:
        head, rest = _behead(self._packed(), len(_GZIP))
        plain = _chain(head, rest)
        head, rest = _behead(self._unpacked(plain) if head.startswith(_GZIP) else plain, 4)
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                self.mark_bytes = len(mark) if encoding == "UTF-8" else 0
                yield from self._decoded(_chain(head[len(mark) :], rest), encoding)
                return
        looks_like = _NUL_PATTERNS.get(tuple(byte == 0 for byte in head[:4]))
        if looks_like is not None:
            if head[0]:
                yield head[:1]
            raise UnreadableFileError(
                f"byte 0x00; the file looks like {looks_like} without a byte-order mark; "
                "save it as UTF-8",
                code="encoding",
            )
        yield from self._decoded(_chain(head, rest), "UTF-8")

    def _packed(self) -> Iterator[bytes]:
        while block := self._source.read(self._size):
            self.bytes_read += len(block)
            yield block

    def _unpacked(self, packed: Iterator[bytes]) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(31)
        is_inside = False  # a member
        members, size, plain = 0, 0, b""
        for block in packed:
            for start in range(0, len(block), _GZIP_FEED):
                rest = block[start : start + _GZIP_FEED]
                while rest or (is_inside and plain):
                    if not is_inside:
                        rest = rest.lstrip(b"\0")  # padding behind a member, as tapes leave it
                        if not rest:
                            break
                        is_inside = True
                    try:
                        plain = unpacker.decompress(rest, self._size)
                    except zlib.error as error:
                        where = " behind its end" if members else ""
                        raise UnreadableFileError(
                            f"the gzip file is damaged{where} ({error}); pack or copy it again",
                            code="gzip",
                        ) from None
                    rest = unpacker.unconsumed_tail
                    if plain:
                        size += len(plain)
                        if size > self._limits.unpacked_bytes:
                            raise UnreadableFileError(
                                "the gzip file unpacks to more than "
                                f"{self._limits.unpacked_bytes:,} bytes; split it, or raise "
                                "REVENUE_UNPACKED_LIMIT_MB",
                                code="too_large",
                            )
                        yield plain
                    if unpacker.eof:
                        rest = unpacker.unused_data
                        unpacker, is_inside = zlib.decompressobj(31), False
                        members += 1
        if is_inside:
            raise UnreadableFileError(
                "the gzip file ends too early; pack or copy it again", code="gzip"
            )

    def _decoded(self, plain: Iterator[bytes], encoding: str) -> Iterator[bytes]:
        decoder, is_utf8 = _DECODERS[encoding], encoding == "UTF-8"
        pending = b""  # the beginning of a character
        for block in plain:
            if is_utf8 and not pending and block.isascii():
                yield block
                continue
            data = pending + block
            try:
                text, used = decoder(data, "strict", False)
            except UnicodeDecodeError as error:
                good = data[: error.start]
                if good:
                    yield good if is_utf8 else good.decode(encoding).encode()
                raise UnreadableFileError(
                    f"byte 0x{data[error.start]:02X} is not {encoding}"
                    f"{_likely(data, error.start) if is_utf8 else ''}; save the file as UTF-8",
                    code="encoding",
                ) from None
            pending = data[used:]
            if used:
                yield data[:used] if is_utf8 else text.encode()
        if pending:
            raise UnreadableFileError(
                "the file ends in the middle of a character; copy or export it again",
                code="truncated",
            )


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _behead(blocks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """Return blocks of at least `size` bytes joined, where there are so many, and the others."""
    head = b""
    try:
        while len(head) < size and (block := next(blocks, b"")):
            head += block
    except UnreadableFileError as error:
        return head, _raising(error)
    return head, blocks


def _raising(error: UnreadableFileError) -> Iterator[bytes]:
    raise error
    yield b""


def _likely(data: bytes, index: int) -> str:
    """Name the encoding that a byte suggests, and what the text would say in it."""
    if data[index] in b"\x81\x8d\x8f\x90\x9d":  # unassigned in Windows-1252
        return ""
    likely = "Windows-1252" if data[index] < 0xA0 else "Windows-1252 or ISO-8859-1 (Latin-1)"
    near = data[max(0, index - 12) : index + 12].decode("cp1252", "replace")
    shown = "".join(c if c.isprintable() else " " for c in near).strip()
    return f"; it looks like {likely}, where it reads …{shown}…"


class _Splitter:
    """Splits text into records. `_at` is where the next token of `_buffer` begins."""

    def __init__(self, source: Readable, limits: Limits) -> None:
        self._text = _Text(source, limits)
        self._blocks = self._text.blocks()
        self._limits = limits
        self._buffer = b""
        self._at = 0
        self._ended = False
        self._fault: UnreadableFileError | None = None  # behind the end of the buffer
        # of the buffer's first byte
        self._offset, self._line, self._column = 0, 1, 1
        self._in_array = False
        self._array: int | tuple[int, int] = 0  # where it began: index, later line and column
        self._most = max(1, min(_BLOCK, limits.chunk_bytes))
        self._window = self._most  # bytes of the next stretch
        self._one_by_one_until = 0  # an offset
        self._needle = self._short_needle = b""  # the last byte of a record and what follows
        self._one = msgspec.json.Decoder(msgspec.Raw)
        self._list = msgspec.json.Decoder(list[msgspec.Raw])
        # A number of so many characters may be too long, or too large with a two-digit exponent.
        self._long = min(210, limits.digits + 1)
        self._to_odd_number = re.compile(
            rb'[^"0-9]*+(?:(?:%b|[0-9.]{1,%d}+(?![0-9.eE]))[^"0-9]*+)*+' % (_STRING, self._long - 1)
            if self._long > 1
            else rb'[^"0-9]*+(?:%b[^"0-9]*+)*+' % _STRING,
            re.DOTALL,
        )

    def chunks(self) -> Iterator[Chunk]:
        first, records, start = 1, list[bytes](), 0
        for found in self._batches():
            records += found
            here = self._offset + self._at
            if here - start >= self._limits.chunk_bytes or len(records) >= _MOST_RECORDS:
                yield Chunk(first=first, records=records, bytes_read=self._text.bytes_read)
                first += len(records)
                records, start = [], here
        if records:
            yield Chunk(first=first, records=records, bytes_read=self._text.bytes_read)

    def _batches(self) -> Iterator[list[bytes]]:
        is_first, after = True, b""  # what stands before, inside an array
        while self._skip_space():
            byte = self._buffer[self._at : self._at + 1]
            if not self._in_array:
                if byte == b"[":
                    self._in_array, self._array, after = True, self._at, b"["
                    self._at += 1
                elif byte == b"{" or not is_first:
                    yield self._stretch() or [self._value()]
                else:
                    self._refuse_scalar()
                is_first = False
            elif byte == b"]" and after != b",":
                self._at += 1
                self._in_array = False
            elif after == b"value":
                if byte != b",":
                    shown = self._shown()
                    self._fail(
                        "not_json", self._at, f"{shown} where a comma or ] belongs, behind a record"
                    )
                self._at += 1
                after = byte
            elif byte in {b"]", b","}:
                self._fail("not_json", self._at, "a comma too many before this; delete it")
            else:
                yield self._stretch() or [self._value()]
                after = b"value"
        if self._in_array:
            self._fail_truncated("]")

    # Many records at once ----------------------------------------------------------------

    def _stretch(self) -> list[bytes]:
        """Take records up to a guessed cut; none when no guess can be proven."""
        if not self._needle or self._offset + self._at < self._one_by_one_until:
            return []
        while True:
            self._grow(self._window)
            for cut in self._cuts(min(len(self._buffer), self._at + self._window)):
                if records := self._proven(cut):
                    self._at = cut
                    self._window = min(self._window * 2, self._most)
                    return records
            if self._window <= _LEAST:
                break
            self._window = max(self._window // 8, min(_LEAST, self._most))
        self._one_by_one_until = self._offset + self._at + self._window
        return []

    def _cuts(self, end: int) -> Iterator[int]:
        """Guess where records end; never so early that searching costs more than it brings."""
        least = self._at + (end - self._at) // 4
        cut = self._buffer.rfind(self._needle, self._at, end) + 1
        if cut > least:
            yield cut
        known, end = cut, end + 1
        for _ in range(2):
            end = self._buffer.rfind(self._short_needle, self._at, end - 1) + 1
            if end <= least:
                return
            if end != known:
                yield end

    def _proven(self, cut: int) -> list[bytes]:
        """Return the records up to `cut`; none when it is no border, or they need a closer look.

        Why success proves the cut: the text begins where a value begins, and JSON is read from
        the left without looking ahead. Were the cut inside a string, a list or an object, that
        would be open at the end and the decoder would refuse; it reads what a parser of the whole
        file reads up to there. The one token that could go on behind a cut is a number or literal,
        and in an array a cut is followed by white space or a comma; elsewhere, only objects pass.
        """
        try:
            if self._in_array:
                text = b"".join((b"[", memoryview(self._buffer)[self._at : cut], b"]"))
                found = self._list.decode(text)
            else:
                text = self._buffer[self._at : cut]
                found = self._one.decode_lines(text)
        except (msgspec.DecodeError, RecursionError):
            return []
        records = list(map(bytes, found))
        if not self._in_array and not all(map(bytes.startswith, records, repeat(b"{"))):
            return []  # an array among objects gives its elements; scalars are rare
        return [] if self._breaks_limits(text, records) else records

    def _breaks_limits(self, text: bytes, records: list[bytes]) -> bool:
        """Tell whether proven records break a limit, which the decoder does not know."""
        longest = max(map(len, records), default=0)
        if longest > self._limits.record_bytes:
            return True
        codes = np.frombuffer(text, np.uint8)
        lower = codes | 0x20  # this makes a brace of a bracket, too
        opening = np.flatnonzero(lower == ord("{"))
        depth = self._limits.depth
        # more brackets than levels allowed, as near to each other as in one record
        if len(opening) > depth and (opening[depth:] - opening[:-depth]).min() < longest:
            brackets = (record.count(b"{") + record.count(b"[") for record in records)
            if max(brackets) > depth and any(map(self._is_too_deep, records)):
                return True
        digit = (codes - np.uint8(ord("0"))) < 10  # what is below "0" wraps round
        exponents = np.flatnonzero(digit[:-1] & (lower[1:] == ord("e")))
        may_be_odd = self._holds_long_number(text) or any(
            _holds_exponent(text, index) for index in exponents.tolist()
        )
        return may_be_odd and self._odd_number(text) is not None

    def _is_too_deep(self, record: bytes) -> bool:
        is_nested = record.startswith((b"{", b"["))
        return is_nested and bool(_measure(record, 0, self._limits.depth)[1])

    def _holds_long_number(self, text: bytes) -> bool:
        # it covers eight samples in a row; only where there are such, all bytes are looked at
        step = max(1, self._long // 8)
        samples = text[::step].translate(_TO_DIGITS)
        wanted = b"0" * (self._long // step)
        return wanted in samples and b"0" * self._long in text.translate(_TO_DIGITS)

    # One record --------------------------------------------------------------------------

    def _value(self) -> bytes:
        """Take one value and prove it."""
        size = self._size_of_value()
        record = self._buffer[self._at : self._at + size]
        if size > self._limits.record_bytes:
            self._refuse_large()
        try:
            self._one.decode(record)
        except (msgspec.DecodeError, RecursionError):
            self._explain(record)  # returns where half a character pair was the only matter
        self._check_numbers(record)
        self._at += size
        found = _SEPARATOR.match(self._buffer, self._at)
        if found and (b"," in found.group(1)) == self._in_array:
            self._needle = record[-1:] + found.group()
            self._short_needle = record[-1:] + found.group(1)
        return record

    def _size_of_value(self) -> int:
        """Return how many bytes the value at `_at` takes; it need not be valid.

        The text it is searched in doubles each time, so that all searches together stay linear.
        """
        byte = self._buffer[self._at : self._at + 1]
        while True:
            if byte in {b"{", b"["}:
                end, opened = _measure(self._buffer, self._at, self._limits.depth)
                if end is not None and opened:
                    self._fail(
                        "depth",
                        end,
                        f"values are nested more than {self._limits.depth} levels deep",
                    )
            elif byte == b'"':
                found = _WHOLE_STRING.match(self._buffer, self._at)
                end, opened = found.end() if found else None, b'"'
            else:
                found = _SCALAR.match(self._buffer, self._at)
                assert found is not None
                end, opened = found.end(), b""
                if end == len(self._buffer) and not (self._ended and self._fault is None):
                    end = None
            if end is not None:
                return max(1, end - self._at)
            pending = len(self._buffer) - self._at
            if pending > self._limits.record_bytes:
                self._refuse_large()
            if not self._grow(min(2 * pending, self._limits.record_bytes) + 1) and not (
                len(self._buffer) - self._at > pending or (not opened and self._fault is None)
            ):
                self._explain(self._buffer[self._at :], is_cut=True)
                self._fail_truncated(_closing(self._buffer[self._at :]))

    def _refuse_large(self) -> NoReturn:
        start = self._buffer[self._at : self._at + self._limits.record_bytes]
        self._explain(start, is_cut=True)
        if not start.strip(b"0123456789.-+eE"):
            self._check_numbers(start)
        self._fail(
            "record_too_large",
            self._at,
            f"a record of more than {self._limits.record_bytes:,} bytes begins here; "
            "raise REVENUE_RECORD_LIMIT_MB if it is meant",
        )

    def _check_numbers(self, record: bytes) -> None:
        index = self._odd_number(record)
        if index is not None:
            self._fail(
                "number",
                self._at + index,
                f"a number of more than {self._limits.digits} digits, or beyond the range of "
                "numbers (1e308)",
            )

    def _odd_number(self, text: bytes) -> int | None:
        """Return the index of the first number beyond the limits in valid JSON."""
        here = 0
        while True:
            found = self._to_odd_number.match(text, here)
            assert found is not None
            start = found.end()
            if start == len(text):
                return None
            number = _SCALAR.match(text, start)
            assert number is not None
            here = number.end()
            mantissa = re.match(rb"[0-9.]*", number.group())
            assert mantissa is not None
            if len(mantissa.group().replace(b".", b"")) > self._limits.digits:
                return start
            if float(number.group()) == float("inf"):
                return start

    # What is wrong -----------------------------------------------------------------------

    def _explain(self, record: bytes, *, is_cut: bool = False) -> None:
        """Refuse a value for its first fault; return when there is none but a missing end."""
        text = record.decode("utf-8", "ignore")
        try:
            json.loads(
                text,
                parse_constant=_refuse_constant,
                parse_int=_nothing,
                parse_float=_nothing,
                object_pairs_hook=_nothing,
            )
        except _ConstantError as error:
            found = _CONSTANT.match(record)
            assert found is not None
            index = found.end() - str(error).startswith("-")
            message = f"{error} is no JSON value; use null or a number"
        except json.JSONDecodeError as error:
            is_open = error.msg.startswith("Unterminated string")
            if is_cut and (is_open or _CUT_TOKEN.match(text, error.pos) or _ends(text, error.pos)):
                return
            index = len(text[: error.pos].encode())
            message = _in_words(error, text)
        else:
            return
        self._fail("not_json", self._at + index, message)

    def _refuse_scalar(self) -> NoReturn:
        shown = self._shown()
        line, column, offset = self._place(self._at)
        if not re.match(rb'["\-0-9tfn]', self._buffer[self._at : self._at + 1]):
            self._fail("not_json", self._at, f"{shown} begins no JSON value{_likely_format(shown)}")
        self._value()
        raise _refusal(
            "the file is a single value; it must be an array of records, or one record a line",
            code="top_level",
            line=line,
            column=column,
            offset=offset,
        )

    def _shown(self) -> str:
        self._grow(40)
        line = self._buffer[self._at : self._at + 40].decode("utf-8", "ignore").splitlines()[0]
        return repr(line[:20].strip())

    def _fail_truncated(self, missing: str) -> NoReturn:
        end = len(self._buffer)
        if self._fault is not None:
            self._fail(self._fault.code, end, self._fault.message)
        what = "the record"
        line, column, _ = self._place(self._at)
        if missing == "]" and self._in_array and self._at == end:
            what = "the array"
            line, column = (
                self._place(self._array)[:2] if isinstance(self._array, int) else self._array
            )
        missing = f" ({missing} is missing)" if missing else ""
        self._fail(
            "truncated",
            end,
            f"the file ends too early: {what} that began in line {line}, column {column} is cut "
            f"off{missing}; copy or export it again",
        )

    def _fail(self, code: str, index: int, message: str) -> NoReturn:
        line, column, offset = self._place(index)
        raise _refusal(message, code=code, line=line, column=column, offset=offset) from None

    def _place(self, index: int) -> tuple[int, int, int]:
        """Return line, column and offset of an index of the buffer."""
        before = np.frombuffer(self._buffer, np.uint8, index)
        lines = int(np.count_nonzero(before == ord("\n")))
        start = self._buffer.rfind(b"\n", 0, index) + 1
        # every byte but the second and later ones of a character
        width = int(np.count_nonzero((before[start:] & 0xC0) != 0x80))
        column = width + 1 if lines else self._column + width
        return self._line + lines, column, self._text.mark_bytes + self._offset + index

    # The buffer --------------------------------------------------------------------------

    def _grow(self, size: int) -> bool:
        """Read on until `size` bytes are pending; false when the file has not so many."""
        have = len(self._buffer) - self._at
        if have >= size or self._ended:
            return have >= size
        # forget what is behind `_at`, but not where the buffer begins
        if isinstance(self._array, int) and self._in_array:
            self._array = self._place(self._array)[:2]
        self._line, self._column, _ = self._place(self._at)
        self._offset += self._at
        blocks = [self._buffer[self._at :]]
        while have < size and not self._ended:
            try:
                block = next(self._blocks, None)
            except UnreadableFileError as error:
                self._fault, block = error, None
            if block is None:
                self._ended = True
            else:
                blocks.append(block)
                have += len(block)
        self._buffer, self._at = b"".join(blocks), 0
        return have >= size

    def _skip_space(self) -> bool:
        """Move to the next token; false at the end of the file."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            assert found is not None
            self._at = found.end()
            if self._at < len(self._buffer):
                return True
            if not self._grow(1):
                if self._fault is not None:
                    self._fail(self._fault.code, self._at, self._fault.message)
                return False


def _holds_exponent(text: bytes, index: int) -> bool:
    """Tell whether the digit at `index` may begin the large exponent of a number."""
    if not _EXPONENT.match(text, index + 1):
        return False
    # most such text is part of a hexadecimal id: no number begins inside a word
    before = text[max(0, index - 30) : index + 1].rstrip(b"0123456789.")
    return not before or before[-1:] in b"-:,[ \t\r\n"


def _measure(text: bytes, at: int, depth: int) -> tuple[int | None, bytes]:
    """Return the index behind the list or object at `at`, and its open brackets.

    The index is None where the text ends inside it; with brackets, it is that of one too deep.
    """
    opened = bytearray(text[at : at + 1])
    here = at + 1
    while opened:
        if len(opened) > depth:
            return here - 1, bytes(opened)
        shallow = _TO_DEEP_BRACKET if len(opened) < depth else _TO_BRACKET
        found = shallow.match(text, here)
        assert found is not None
        here = found.end()
        token = text[here : here + 1]
        if token in {b"{", b"["}:
            opened += token
        elif token in {b"}", b"]"}:
            opened.pop()
        else:  # nothing, or a string without an end
            return None, bytes(opened)
        here += 1
    return here, b""


def _closing(text: bytes) -> str:
    """Return the brackets that would close a cut value."""
    if not text.startswith((b"{", b"[")):
        return '"' if text.startswith(b'"') else ""
    opened = _measure(text, 0, len(text))[1]
    return opened[::-1].translate(bytes.maketrans(b"{[", b"}]")).decode()


def _refusal(
    message: str, *, code: str, line: int, column: int, offset: int
) -> UnreadableFileError:
    return UnreadableFileError(
        f"line {line}, column {column} (byte {offset:,}): {message}",
        code=code,
        line=line,
        column=column,
        offset=offset,
    )


class _ConstantError(ValueError):
    """NaN or Infinity, which Python would take."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _nothing(_: object) -> None:
    return None


def _ends(text: str, index: int) -> bool:
    return not text[index:].strip(" \t\r\n")


def _likely_format(shown: str) -> str:
    """Name the kind of file that the beginning suggests."""
    kinds = {"<": "XML or HTML", "PK": "an Excel or ZIP file", "%PDF": "a PDF file"}
    for start, kind in kinds.items():
        if shown[1:].startswith(start):
            return f"; this looks like {kind}, export it as JSON"
    return ""


def _in_words(error: json.JSONDecodeError, text: str) -> str:
    """Say what the operator should look for."""
    rest = text[error.pos : error.pos + 20]
    here = rest[:1]
    before = text[max(0, error.pos - 100) : error.pos].rstrip()[-1:]
    if here in {"'", "‘", "’", "“", "”"}:
        return f"quotes like {here}; JSON needs double quotes"
    if here in {"/", "#"}:
        return "a comment; JSON has none, delete it"
    if error.msg.startswith("Invalid control character"):
        return f"a raw control character (0x{ord(here):02X}) inside a string; write it as an escape"
    if error.msg.startswith("Invalid") and "escape" in error.msg:
        return "an unknown escape after a backslash; a backslash itself is written twice"
    if "Illegal trailing comma" in error.msg or (here in {"}", "]", ","} and before == ","):
        return "a comma too many before this; delete it"
    if before == "0" and here.isdigit():
        return "a number may not begin with 0"
    if word := re.match(r"(True|False|None|undefined)\b", rest):
        return f"{word.group()} is no JSON value; write true, false or null"
    if error.msg.startswith("Expecting property name"):
        return f"{here!r} where a name in double quotes belongs"
    if error.msg.startswith("Expecting ',"):
        return f"{here!r} where a comma or a closing bracket belongs"
    if error.msg.startswith("Expecting ':'"):
        return f"{here!r} where a colon belongs"
    return f"{here!r} where a value belongs"
