"""Untrusted JSON files become a stream of records: strict, fast, in bounded memory.

A file is a sequence of values: an array gives its elements, anything else is one record (NDJSON,
concatenated objects). Whole chunks are proven and split by one strict decode; whatever that cannot
prove goes through an exact scanner, value by value, which also finds the place of an error.
"""

from __future__ import annotations

import codecs
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
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import UnreadableFileError

_READ_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SPACE = re.compile(rb"[ \t\r\n]*")
_BETWEEN = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\{")
_STRUCTURE = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_SCALAR = re.compile(rb'[^\s,\[\]{}"]*')
_NUMBERS = re.compile(rb'"(?:[^"\\]|\\.)*"|(-?[0-9][0-9.eE+-]*)', re.DOTALL)
_CONSTANTS = re.compile(rb'"(?:[^"\\]|\\.)*"|(-?Infinity|NaN)', re.DOTALL)
_BIG_EXPONENT = "[0-9][eE][+]?[0-9]{3}"
_TRIES = 3  # guesses at a cut before the exact scanner takes over
_TAIL_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may hold; sizes in bytes, of the unpacked text."""

    chunk_bytes: int = 4 * 1024 * 1024
    record_bytes: int = 16 * 1024 * 1024
    unpacked_bytes: int = 20 * 1024 * 1024 * 1024
    depth: int = 100
    digits: int = 400


@dataclass(frozen=True)
class Chunk:
    """Records in the order of the file; `first` is the position of the first one, from 1.

    Each record is the exact UTF-8 text of its value. `bytes_read` counts the file's own bytes.
    """

    first: int
    records: list[bytes]
    bytes_read: int


class Readable(Protocol):
    """All that is asked of a source: no seeking."""

    def read(self, size: int = ..., /) -> bytes: ...


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; a link, pipe or device is refused and never waited for.

    Raises UnreadableFileError (not_regular, permission), FileNotFoundError.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    not_regular = UnreadableFileError(
        "it is no regular file (a link, folder, pipe or device); put the file itself here",
        code="not_regular",
    )
    try:
        if path.is_symlink():
            raise not_regular
        number = os.open(path, flags)
    except PermissionError:
        if path.is_dir():
            raise not_regular from None
        raise UnreadableFileError(
            "it may not be read; give the product's account the right to read it",
            code="permission",
        ) from None
    except FileNotFoundError:
        raise
    except OSError:
        raise not_regular from None
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
    number, record_too_large. `offset` counts bytes of the unpacked UTF-8 text without its mark,
    `column` characters of the line.
    """
    del name
    yield from _Scanner(source, limits or Limits()).chunks()


class _Text:
    """The unpacked, valid UTF-8 text of a source, block by block."""

    def __init__(self, source: Readable, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._size = min(_READ_BYTES, limits.chunk_bytes)
        self.bytes_read = 0
        self._unpacked = 0
        self._offset = 0  # of the next block, in UTF-8 bytes

    def blocks(self) -> Iterator[bytes]:
        packed = self._packed()
        head = b""
        while len(head) < 4 and (block := next(packed, b"")):
            head += block
        plain = self._gunzipped(head, packed) if head.startswith(_GZIP) else _chain(head, packed)
        head = b""
        while len(head) < 4 and (block := next(plain, b"")):
            head += block
        for mark, encoding in _BOMS:
            if head.startswith(mark):
                return self._decoded(_chain(head[len(mark) :], plain), encoding)
        if b"\0" in head[:4]:
            raise UnreadableFileError(
                "the file looks like UTF-16 without a byte-order mark; save it as UTF-8",
                code="encoding",
                offset=head.index(b"\0"),
            )
        return self._decoded(_chain(head, plain), "utf-8")

    def _packed(self) -> Iterator[bytes]:
        while block := self._source.read(self._size):
            self.bytes_read += len(block)
            yield block

    def _gunzipped(self, head: bytes, packed: Iterator[bytes]) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(31)
        fed = False  # whether the current member has begun
        try:
            for block in _chain(head, packed):
                rest = block
                while rest:
                    if not fed and not rest.startswith(_GZIP[: len(rest)]):
                        if not rest.strip(b"\0"):  # padding, as tapes leave it
                            break
                        raise zlib.error("unknown bytes after the end")
                    fed = True
                    yield self._counted(unpacker.decompress(rest, self._size))
                    rest = unpacker.unconsumed_tail
                    if unpacker.eof:
                        rest = unpacker.unused_data
                        unpacker, fed = zlib.decompressobj(31), False
            while fed and not unpacker.eof and (more := unpacker.decompress(b"", self._size)):
                yield self._counted(more)
        except zlib.error as error:
            raise UnreadableFileError(
                f"the gzip file is damaged ({error}); pack or copy it again", code="gzip"
            ) from None
        if fed and not unpacker.eof:
            raise UnreadableFileError(
                "the gzip file ends too early; pack or copy it again", code="gzip"
            )

    def _counted(self, block: bytes) -> bytes:
        self._unpacked += len(block)
        if self._unpacked > self._limits.unpacked_bytes:
            raise UnreadableFileError(
                f"the gzip file unpacks to more than {self._limits.unpacked_bytes:,} bytes; "
                "split it, or raise REVENUE_UNPACKED_LIMIT_MB",
                code="too_large",
            )
        return block

    def _decoded(self, plain: Iterator[bytes], encoding: str) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(encoding)()
        pending = b""
        for block in plain:
            if encoding == "utf-8" and not pending and block.isascii():
                self._offset += len(block)
                yield block
                continue
            yield self._recoded(decoder, encoding, pending, block, final=False)
            pending = bytes(decoder.getstate()[0])
        if last := self._recoded(decoder, encoding, pending, b"", final=True):
            yield last

    def _recoded(
        self, decoder: Any, encoding: str, pending: bytes, block: bytes, *, final: bool
    ) -> bytes:
        try:
            text: bytes = decoder.decode(block, final).encode()
        except UnicodeError as error:
            start = getattr(error, "start", 0)
            raw = pending + block
            before = raw[:start].decode(encoding, "replace").encode()
            offset = self._offset + len(before)
            bad = raw[start] if start < len(raw) else 0
            raise UnreadableFileError(
                f"byte 0x{bad:02X} at offset {offset} is not {encoding.upper()}"
                f"{_likely(raw, start) if encoding == 'utf-8' else ''}; save the file as UTF-8",
                code="encoding",
                offset=offset,
            ) from None
        self._offset += len(text)
        return text


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _likely(raw: bytes, start: int) -> str:
    """Name the encoding that the byte suggests."""
    if 0x80 <= raw[start] <= 0x9F:
        return "; it looks like Windows-1252"
    return "; it looks like ISO-8859-1 (Latin-1) or Windows-1252"


class _Scanner:
    """Splits text into records. `_at` is where the next token of `_buffer` begins."""

    def __init__(self, source: Readable, limits: Limits) -> None:
        self._text = _Text(source, limits)
        self._blocks = self._text.blocks()
        self._limits = limits
        self._buffer = b""
        self._at = 0
        self._ended = False
        self._offset = 0  # of the buffer's first byte
        self._line = 1  # of that byte
        self._column = 1  # of that byte
        self._scan_until = 0  # offset up to which values are scanned one by one
        self._exact = msgspec.json.Decoder(msgspec.Raw)
        self._many = msgspec.json.Decoder(list[msgspec.Raw])

    def chunks(self) -> Iterator[Chunk]:
        first, records, size = 1, list[bytes](), 0
        for found in self._records():
            records += found
            size += sum(map(len, found)) if len(found) < 100 else self._limits.chunk_bytes
            if size >= self._limits.chunk_bytes:
                yield Chunk(first, records, self._text.bytes_read)
                first += len(records)
                records, size = [], 0
        if records:
            yield Chunk(first, records, self._text.bytes_read)

    def _records(self) -> Iterator[list[bytes]]:
        seen_any = False
        while self._skip_space():
            byte = self._buffer[self._at : self._at + 1]
            if byte == b"[":
                self._at += 1
                yield from self._elements()
            elif byte == b"{":
                yield self._lines() or [self._value()]
            elif not seen_any:
                self._refuse_scalar()
            else:
                yield [self._value()]
            seen_any = True

    def _elements(self) -> Iterator[list[bytes]]:
        """The elements of an array, behind its opening bracket."""
        opened = self._place(self._at - 1)
        before = "["
        while True:
            if not self._skip_space():
                self._fail_truncated(f"the array that began in line {opened[0]} is not closed")
            byte = self._buffer[self._at : self._at + 1]
            if byte == b"]" and before == "[":
                self._at += 1
                return
            if byte in {b"]", b","}:
                self._fail("not_json", self._at, "a comma too many; delete it")
            yield self._run() or [self._value()]
            if not self._skip_space():
                self._fail_truncated(f"the array that began in line {opened[0]} is not closed")
            byte = self._buffer[self._at : self._at + 1]
            if byte == b"]":
                self._at += 1
                return
            if byte != b",":
                shown = self._shown()
                self._fail("not_json", self._at, f"{shown} where a comma or ] belongs")
            self._at += 1
            before = ","

    # Many values at once ---------------------------------------------------------------

    def _run(self) -> list[bytes] | None:
        """Take array elements up to a guessed cut, or None when no guess can be proven.

        The decoder takes `[` + text + `]` only when the text is a list of complete values: with the
        cut inside a string or a nested value, a quote or bracket would be missing. What it takes is
        therefore what a parser of the whole file would have read up to there.
        """
        if self._offset + self._at < self._scan_until:
            return None
        self._fill(self._limits.chunk_bytes)
        end = len(self._buffer)
        window = min(_TAIL_BYTES, end - self._at)
        cuts = [found.start() + 1 for found in _BETWEEN.finditer(self._buffer, end - window)]
        for cut in cuts[: -_TRIES - 1 : -1]:
            text = b"".join((b"[", memoryview(self._buffer)[self._at : cut], b"]"))
            try:
                records = list(map(bytes, self._many.decode(text)))
            except (msgspec.DecodeError, RecursionError):
                continue
            if self._is_suspect(text, records):
                break
            self._at = cut
            return records
        self._scan_until = self._offset + end
        return None

    def _lines(self) -> list[bytes] | None:
        """Take whole lines, each one value, or None when they are not."""
        if self._offset + self._at < self._scan_until:
            return None
        self._fill(self._limits.chunk_bytes)
        cut = len(self._buffer) if self._ended else self._buffer.rfind(b"\n") + 1
        if cut > self._at:
            text = self._buffer[self._at : cut]
            try:
                records = list(map(bytes, self._exact.decode_lines(text)))
            except (msgspec.DecodeError, RecursionError):
                pass
            else:
                if not self._is_suspect(text, records):
                    self._at = cut
                    return records
        self._scan_until = self._offset + len(self._buffer)
        return None

    def _is_suspect(self, text: bytes, records: list[bytes]) -> bool:
        """Tell whether a limit may be broken, which the decoder does not check."""
        limits = self._limits
        if not records:
            return False
        longest = max(map(len, records))
        braces = max(map(bytes.count, records, repeat(b"{")))
        brackets = max(map(bytes.count, records, repeat(b"[")))
        return (
            longest > limits.record_bytes
            or braces + brackets > limits.depth
            or _holds_big_exponent(text)
            or (longest > limits.digits and any(map(self._is_beyond, records)))
        )

    def _is_beyond(self, record: bytes) -> bool:
        return len(record) > self._limits.digits and self._bad_number(record) is not None

    # One value -------------------------------------------------------------------------

    def _value(self) -> bytes:
        """Take one value and prove it."""
        end = self._end_of_value()
        record = self._buffer[self._at : end]
        try:
            self._exact.decode(record)
        except (msgspec.DecodeError, RecursionError):
            self._explain(record)  # returns where only a lone surrogate was the matter
        bad = self._bad_number(record)
        if bad is not None:
            self._fail(
                "number",
                self._at + bad,
                f"a number of more than {self._limits.digits} digits, or beyond any computer's range",
            )
        self._at = end
        return record

    def _end_of_value(self) -> int:
        """Return the index behind the value at `_at`; it need not be valid."""
        byte = self._buffer[self._at : self._at + 1]
        # `here` is counted from `_at`, because refilling moves that
        if byte not in {b"{", b"["}:
            here = self._end_of_string(1) if byte == b'"' else self._end_of_scalar()
            return self._at + here
        depth = here = 0
        while True:
            found = _STRUCTURE.search(self._buffer, self._at + here)
            if found is None:
                here = len(self._buffer) - self._at
                self._require_more()
                continue
            here = found.end() - self._at
            token = found.group()
            if token == b'"':
                here = self._end_of_string(here)
            elif token in {b"{", b"["}:
                depth += 1
                if depth > self._limits.depth:
                    self._fail(
                        "depth",
                        found.start(),
                        f"values are nested more than {self._limits.depth} levels deep",
                    )
            else:
                depth -= 1
                if depth == 0:
                    return self._at + here

    def _end_of_string(self, here: int) -> int:
        while True:
            found = _IN_STRING.search(self._buffer, self._at + here)
            if found is None:
                here = len(self._buffer) - self._at
                self._require_more()
            elif found.group() == b'"':
                return found.end() - self._at
            else:
                here = found.end() + 1 - self._at
                while self._at + here > len(self._buffer):
                    self._require_more()

    def _end_of_scalar(self) -> int:
        here = 0
        while True:
            found = _SCALAR.match(self._buffer, self._at + here)
            assert found is not None
            here = found.end() - self._at
            if self._at + here < len(self._buffer) or not self._more():
                return max(here, 1)

    def _require_more(self) -> None:
        """Read on inside a value; the file's end or the size limit is an error there."""
        if len(self._buffer) - self._at > self._limits.record_bytes:
            self._explain(self._buffer[self._at :], is_cut=True)
            self._fail(
                "record_too_large",
                self._at,
                f"a record of more than {self._limits.record_bytes:,} bytes begins here; "
                "raise REVENUE_RECORD_LIMIT_MB if it is meant",
            )
        if not self._more():
            self._explain(self._buffer[self._at :], is_cut=True)
            self._fail_truncated(
                f"the record that began in line {self._place(self._at)[0]} is cut off"
            )

    def _bad_number(self, record: bytes) -> int | None:
        """Return the index of a number beyond the limits."""
        if len(record) <= self._limits.digits and not re.search(rb"[0-9][eE]", record):
            return None
        for found in _NUMBERS.finditer(record):
            number = found.group(1)
            if number is None:
                continue
            digits = len(re.sub(rb"[^0-9]", b"", re.split(rb"[eE]", number)[0]))
            try:
                is_infinite = float(number) in {float("inf"), float("-inf")}
            except ValueError:
                continue
            if digits > self._limits.digits or is_infinite:
                return found.start()
        return None

    def _explain(self, record: bytes, *, is_cut: bool = False) -> None:
        """Say what is wrong with a value; return when nothing is, or only its missing end."""
        text = record.decode("utf-8", "ignore" if is_cut else "strict")
        try:
            json.loads(text, parse_constant=_refuse_constant, parse_int=len, parse_float=len)
        except _ConstantError as error:
            found = next(m for m in _CONSTANTS.finditer(record) if m.group(1))
            self._fail(
                "not_json",
                self._at + found.start(1),
                f"{error} is no JSON value; use null or a number",
            )
        except json.JSONDecodeError as error:
            index = len(text[: error.pos].encode())
            if is_cut and (
                error.msg.startswith("Unterminated string") or not text[error.pos :].strip()
            ):
                return
            self._fail("not_json", self._at + index, _in_words(error, text))

    # The buffer ------------------------------------------------------------------------

    def _more(self) -> bool:
        """Append a block; false at the end of the file."""
        block = next(self._blocks, None)
        if block is None:
            self._ended = True
            return False
        if self._at:
            self._consume()
        self._buffer += block
        return True

    def _fill(self, size: int) -> None:
        if self._ended or len(self._buffer) - self._at >= size:
            return
        self._consume()
        blocks, have = [self._buffer], len(self._buffer)
        while have < size:
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
                break
            blocks.append(block)
            have += len(block)
        self._buffer = b"".join(blocks)

    def _consume(self) -> None:
        """Drop what is behind `_at` and remember where the buffer begins."""
        self._line, self._column, self._offset = self._place(self._at)
        self._buffer = self._buffer[self._at :]
        self._at = 0

    def _skip_space(self) -> bool:
        """Move to the next token; false at the end of the file."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            assert found is not None
            self._at = found.end()
            if self._at < len(self._buffer):
                return True
            if not self._more():
                return False

    # Errors ----------------------------------------------------------------------------

    def _place(self, index: int) -> tuple[int, int, int]:
        """Return line, column and offset of an index of the buffer."""
        lines = self._buffer.count(b"\n", 0, index)
        start = self._buffer.rfind(b"\n", 0, index) + 1
        before = self._buffer[start:index]
        # every byte but the second and later ones of a character
        width = len(before) if before.isascii() else len(before.decode("utf-8", "ignore"))
        column = width + 1 if lines else self._column + width
        return self._line + lines, column, self._offset + index

    def _fail(self, code: str, index: int, message: str) -> NoReturn:
        line, column, offset = self._place(index)
        raise UnreadableFileError(
            f"line {line}, column {column}: {message}",
            code=code,
            line=line,
            column=column,
            offset=offset,
        )

    def _fail_truncated(self, message: str) -> NoReturn:
        line, column, offset = self._place(len(self._buffer))
        raise UnreadableFileError(
            f"the file ends too early, in line {line} after {offset:,} bytes: {message}; "
            "copy or export it again",
            code="truncated",
            line=line,
            column=column,
            offset=offset,
        )

    def _refuse_scalar(self) -> NoReturn:
        shown = self._shown()
        start = self._at
        if shown[:1] in {"'", "/", "#", "<"} or not re.match(r'["\-0-9tfn]', shown):
            self._fail("not_json", start, f"{shown} begins no JSON value")
        self._value()
        self._fail(
            "top_level",
            start if start <= self._at else 0,
            "the file is a single value; it must be an array of records, or one record a line",
        )

    def _shown(self) -> str:
        self._fill(20)
        return (
            self._buffer[self._at : self._at + 20].decode("utf-8", "ignore").split("\n")[0].strip()
        )


def _holds_big_exponent(text: bytes) -> bool:
    # one value of an Arrow array: its regular expressions are many times faster here than `re`
    array = pa.array([text], pa.large_binary())
    return bool(pc.match_substring_regex(array, _BIG_EXPONENT)[0].as_py())


class _ConstantError(ValueError):
    """NaN or Infinity, which Python would take."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _in_words(error: json.JSONDecodeError, text: str) -> str:
    """Say what the operator should look for."""
    here = text[error.pos : error.pos + 1]
    before = text[: error.pos].rstrip()[-1:]
    if here == "'":
        return "single quotes; JSON needs double quotes"
    if here in {"/", "#"}:
        return "a comment; JSON has none"
    if error.msg.startswith("Invalid control character"):
        return f"a raw control character (0x{ord(here):02X}) inside a string; write it as an escape"
    if "Illegal trailing comma" in error.msg or (here in {"}", "]"} and before == ","):
        return "a comma too many; delete it"
    if error.msg.startswith("Invalid") and "escape" in error.msg:
        return "an unknown escape after a backslash; a backslash itself is written twice"
    if error.msg.startswith("Expecting property name"):
        return "a name in double quotes belongs here"
    if error.msg.startswith("Expecting ','"):
        return f"{here!r} where a comma or a closing bracket belongs"
    if error.msg.startswith("Expecting value"):
        return f"{here!r} where a value belongs"
    return error.msg[0].lower() + error.msg[1:]
