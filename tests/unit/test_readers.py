"""Files in: what is accepted, what is refused with which code and place."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.errors import UnreadableFileError
from etl.readers import Limits, decode, open_regular, read_chunks

SALE = b'{"transaction_id": "T1", "product": {"id": "P1"}, "note": "}, {"}'


def read(data: bytes, **limits: int) -> list[bytes]:
    chunks = list(read_chunks(io.BytesIO(data), limits=Limits(**limits)))
    records: list[bytes] = []
    for chunk in chunks:
        assert chunk.first == len(records) + 1
        records += chunk.records
    return records


ACCEPTED = {
    "empty": (b"", []),
    "white space": (b" \r\n\t ", []),
    "empty array": (b"[ ]", []),
    "array": (b'[{"a": 1}, {"b": 2}]', [b'{"a": 1}', b'{"b": 2}']),
    "one object": (b'{"a": 1}', [b'{"a": 1}']),
    "ndjson, blank lines, CRLF": (b'{"a":1}\r\n\r\n{"b":2}\n5\n', [b'{"a":1}', b'{"b":2}', b"5"]),
    "pretty objects": (b'{\n "a": 1\n}\n{\n "b": 2}', [b'{\n "a": 1\n}', b'{\n "b": 2}']),
    "objects side by side": (b'{"a":1}{"b":2}', [b'{"a":1}', b'{"b":2}']),
    "arrays one after another": (b"[1]\n[2, 3] []", [b"1", b"2", b"3"]),
    "elements that are no objects": (b'[1, null, "x", [2]]', [b"1", b"null", b'"x"', b"[2]"]),
    "byte-order mark": (b'\xef\xbb\xbf[{"a":1}]', [b'{"a":1}']),
    "UTF-16": ('[{"a":"é😀"}]'.encode("utf-16"), ['{"a":"é😀"}'.encode()]),
    "UTF-32": ('[{"a":"é"}]'.encode("utf-32"), ['{"a":"é"}'.encode()]),
    "duplicate keys": (b'[{"a":1,"a":2}]', [b'{"a":1,"a":2}']),
    "NUL and half characters as escapes": (
        b'[{"a":"\\u0000\\ud800"}, 1]',
        [b'{"a":"\\u0000\\ud800"}', b"1"],
    ),
    "brackets in strings": (b"[" + SALE + b"," + SALE + b"]", [SALE, SALE]),
    "tiny numbers": (b"[1e-400, 1e308]", [b"1e-400", b"1e308"]),
    "100 levels": (b"[" + b"[" * 100 + b"]" * 100 + b"]", [b"[" * 100 + b"]" * 100]),
    "200 digits": (b"[" + b"7" * 200 + b"]", [b"7" * 200]),
    "right-to-left and combining": (
        '[{"a":"\u202eab\u0301"}]'.encode(),
        ['{"a":"\u202eab\u0301"}'.encode()],
    ),
    "gzip": (gzip.compress(b'[{"a":1}]'), [b'{"a":1}']),
    "gzip in two members": (gzip.compress(b'[{"a":') + gzip.compress(b"1}]"), [b'{"a":1}']),
}


@pytest.mark.parametrize("chunk_bytes", [1, 7, 4_000_000])
@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str, chunk_bytes: int) -> None:
    data, records = ACCEPTED[name]
    assert read(data, chunk_bytes=chunk_bytes) == records


# code, line, column, part of the message
REFUSED: dict[str, tuple[bytes, str, int | None, int | None, str]] = {
    "truncated array": (
        b'[{"a":1},\n',
        "truncated",
        2,
        1,
        "the array that began in line 1, column 1 is cut",
    ),
    "truncated record": (b'[{"a":1},\n{"b"', "truncated", 2, 5, "cut off"),
    "truncated string": (b'{"a":"x', "truncated", 1, 8, "cut off"),
    "number alone": (b" 5", "top_level", 1, 2, "single value"),
    "null alone": (b"null", "top_level", 1, 1, "single value"),
    "text alone": (b'"x"', "top_level", 1, 1, "single value"),
    "no JSON at all": (b"hello", "not_json", 1, 1, "hello"),
    "trailing comma": (b'[{"a":1},]', "not_json", 1, 10, "comma too many"),
    "trailing comma in a record": (b'[{"a":1,}]', "not_json", 1, 9, "comma too many"),
    "two commas": (b"[1,,2]", "not_json", 1, 4, "comma too many"),
    "no comma": (b"[1\n2]", "not_json", 2, 1, "comma"),
    "single quotes": (b"[{'a': 1}]", "not_json", 1, 3, "double quotes"),
    "comment": (b'[{"a":1}, // "x\n1]', "not_json", 1, 11, "comment"),
    "comment first": (b"# x\n[1]", "not_json", 1, 1, "# x"),
    "control character": (b'[{"a":"x\ty"}]', "not_json", 1, 9, "0x09"),
    "newline in a string": (b'[{"a":"x\ny"}]', "not_json", 1, 9, "0x0A"),
    "NUL byte": (b'[{"a":"\0"}]', "not_json", 1, 8, "0x00"),
    "NaN": (b'[{"a":"NaN","b":NaN}]', "not_json", 1, 17, "NaN"),
    "Infinity": (b'[{"a":-Infinity}]', "not_json", 1, 7, "-Infinity"),
    "leading zero": (b'[{"a":01}]', "not_json", 1, 8, "may not begin with 0"),
    "bad escape": (b'[{"a":"\\x"}]', "not_json", 1, 8, "escape"),
    "after the array": (b"[1] x", "not_json", 1, 5, "value belongs"),
    "closed twice": (b'{"a":1}]', "not_json", 1, 8, "value belongs"),
    "wrong bracket": (b'[{"a":1]}', "not_json", 1, 8, "bracket"),
    "101 levels": (b"[" * 102 + b"]" * 102, "depth", 1, 102, "100 levels"),
    "200,000 levels": (b"[" * 200_000, "depth", 1, 102, "100 levels"),
    "401 digits": (b"[" + b"7" * 401 + b"]", "number", 1, 2, "400 digits"),
    "401 digits in a record": (b'[{"a": ' + b"7" * 401 + b"}]", "number", 1, 8, "400 digits"),
    "beyond range": (b'[{"a":"1e400","b": 1e400}]', "number", 1, 20, "range"),
    "Latin-1": ('[{"a":"é"}]'.encode("latin-1"), "encoding", 1, 8, "0xE9"),
    "Windows-1252": ('[{"a":"“"}]'.encode("cp1252"), "encoding", 1, 8, "Windows-1252"),
    "UTF-16 without a mark": ('[{"a":"é"}]'.encode("utf-16-le"), "encoding", 1, 2, "UTF-16"),
    "cut in a character": ('[{"a":"é'.encode()[:-1], "truncated", 1, 8, "middle of a character"),
    "damaged gzip": (gzip.compress(b"[1]" * 99)[:-20] + b"x" * 20, "gzip", 1, 1, "damaged"),
    "cut gzip": (gzip.compress(b"[1]" * 99)[:-6], "gzip", 1, 298, "too early"),
    "gzip and more": (gzip.compress(b"[1]") + b"tail", "gzip", 1, 4, "behind its end"),
}


@pytest.mark.parametrize("chunk_bytes", [1, 7, 4_000_000])
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, chunk_bytes: int) -> None:
    data, code, line, column, words = REFUSED[name]
    with pytest.raises(UnreadableFileError) as caught:
        read(data, chunk_bytes=chunk_bytes)
    assert (caught.value.code, caught.value.line, caught.value.column) == (code, line, column)
    assert words in caught.value.message


def test_limits_of_size() -> None:
    with pytest.raises(UnreadableFileError) as caught:
        read(b'[{"a": "' + b"x" * 3000 + b'"}]', record_bytes=1000, chunk_bytes=100)
    assert caught.value.code == "record_too_large"
    with pytest.raises(UnreadableFileError) as caught:
        read(gzip.compress(b" " * 10_000), unpacked_bytes=5000)
    assert caught.value.code == "too_large"


def test_places_count_characters_across_chunks() -> None:
    good = '{"a": "é😀"},\n'.encode()
    with pytest.raises(UnreadableFileError) as caught:
        read(b"[" + good * 1000 + '{"é": tru}]'.encode(), chunk_bytes=64)
    assert (caught.value.line, caught.value.column) == (1001, 7)
    assert caught.value.offset == 1 + len(good) * 1000 + 7


def test_a_long_single_line_needs_little_memory() -> None:
    class Endless(io.RawIOBase):
        left = 20_000

        def read(self, size: int = -1, /) -> bytes:
            if self.left == 20_000:
                self.left -= 1
                return b"[" + SALE
            if self.left > 0:
                self.left -= 1
                return (b"," + SALE) * 16
            self.left, ended = -1, self.left < 0
            return b"" if ended else b"]"

    small = Limits(chunk_bytes=256 * 1024)
    tracemalloc.start()
    count = sum(len(chunk.records) for chunk in read_chunks(Endless(), limits=small))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 19_999 * 16 + 1
    assert peak < 8_000_000


def test_50_000_extra_keys() -> None:
    record = json.dumps({f"key{number}": number for number in range(50_000)}).encode()
    assert read(b"[" + record + b"]") == [record]


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"[1]")
    with open_regular(file) as opened:
        assert opened.read() == b"[1]"
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "link", tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(UnreadableFileError) as caught:
            open_regular(path)
        assert caught.value.code == "not_regular"


def test_decoding_loses_no_digit() -> None:
    assert str(decode(b"1.10000000000000000000001")) == "1.10000000000000000000001"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["},{", "}, {\n", "\\", '"', "\ud800", "\0", "[["]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")])


@settings(max_examples=120, deadline=None)
@given(
    records=st.lists(values, max_size=12),
    shape=st.sampled_from(["array", "lines", "pretty", "arrays"]),
    ascii_only=st.booleans(),
    pair=separators,
    chunk_bytes=st.sampled_from([1, 3, 16, 64, 4096]),
)
def test_every_layout_gives_the_same_records(
    records: list[Any], shape: str, ascii_only: bool, pair: tuple[str, str], chunk_bytes: int
) -> None:
    def dump(value: Any, **more: Any) -> str:
        text = json.dumps(value, separators=pair, ensure_ascii=ascii_only, **more)
        return text.encode("utf-8", "backslashreplace").decode()

    if shape == "lines":
        records = [{"a": record} for record in records]
        text = "\n".join(json.dumps(r) for r in records)
    elif shape == "pretty":
        text = dump(records, indent=2)
    elif shape == "arrays":
        text = dump(records[:3]) + "\n" + dump(records[3:])
    else:
        text = dump(records)
    found = read(text.encode(), chunk_bytes=chunk_bytes)
    assert [json.loads(record) for record in found] == records


@settings(max_examples=200, deadline=None)
@given(
    records=st.lists(values, min_size=1, max_size=5),
    where=st.integers(0, 10_000),
    what=st.binary(max_size=3),
    length=st.integers(0, 3),
    chunk_bytes=st.sampled_from([1, 16, 4096]),
)
def test_damaged_files_are_refused_or_really_are_json(
    records: list[Any], where: int, what: bytes, length: int, chunk_bytes: int
) -> None:
    data = json.dumps(records).encode()
    where %= len(data)
    damaged = data[:where] + what + data[where + length :]
    try:
        found = read(damaged, chunk_bytes=chunk_bytes)
    except UnreadableFileError:
        return

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was let through")

    decoder = json.JSONDecoder(parse_constant=refuse)
    text, at, wanted = damaged.decode("utf-8-sig"), 0, []
    while at < len(text):
        if text[at] in " \t\r\n":
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        wanted += value if isinstance(value, list) else [value]
    assert [json.loads(record) for record in found] == wanted
