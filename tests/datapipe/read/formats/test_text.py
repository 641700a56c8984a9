"""JSON lines and plain text, whole and in ranges."""

import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.read import formats
from datapipe.read.formats import Reject, Row, Source
from tests.helpers import Read


@pytest.fixture
def read(read_as: Callable[[str], Read]) -> Read:
    return read_as("jsonl")


def test_positions_are_byte_offsets_of_lines(read: Read) -> None:
    data = b'{"text": "a"}\n\n  \n{"text": "b", "n": 1}\r\n{"text": "c"}'
    rows = read(data)
    assert [row.columns for row in rows] == [{"text": "a"}, {"text": "b", "n": 1}, {"text": "c"}]
    assert all(data[row.position :].startswith(row.raw) for row in rows)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a"', "malformed_json"),
        (b'{"text": "a",}', "malformed_json"),
        (b"\0\0\0", "malformed_json"),
        (b'["a"]', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested_too_deep"),
        (b'{"text": "a", "b": ' + b"[" * 200 + b"]" * 200 + b"}", "nested_too_deep"),
        (b'{"text": "' + b"a" * 2_000_000 + b'"}', "too_large"),
    ],
)
def test_a_bad_line_is_one_reject_and_the_next_is_read(read: Read, line: Any, reason: str) -> None:
    good = b'{"text": "good"}'
    before, reject, after = read(good + b"\n" + line + b"\n" + good, max_document_bytes=1_000_000)
    assert (before.columns, after.columns) == ({"text": "good"}, {"text": "good"})
    assert (reject.file, reject.reason, reject.position) == ("file", reason, len(good) + 1)
    assert reject.raw == line[:4096]
    assert after.position == len(good) + 1 + len(line) + 1


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (rb'{"text": "\ud800"}', "\ud800"),
        (b'{"text": "tab\there", "score": NaN}', "tab\there"),
        (rb'{"text": "\ud83d\ude00"}', "😀"),
        (b'{"text": "long", "n": ' + b"9" * 5000 + b"}", "long"),
    ],
)
def test_takes_what_writers_really_produce(read: Read, line: Any, text: str) -> None:
    assert read(line)[0].columns["text"] == text


def test_records_may_be_as_deep_and_lines_as_long_as_is_said(read: Read) -> None:
    for depth, reason in ((100, None), (101, "nested_too_deep")):
        (row,) = read(b'{"a": [[], [], []], "b": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}")
        assert (row.reason if isinstance(row, Reject) else None) == reason
    rows = read(b"12345678\n123456789\n", "text", text_unit="line", max_document_bytes=8)
    assert [row.reason if isinstance(row, Reject) else row.columns["text"] for row in rows] == ["12345678", "too_large"]
    (row,) = read(b"[12345678]", "json", max_document_bytes=8)
    assert row.reason == "not_an_object"


@pytest.mark.parametrize("number", ["1e300", "18446744073709551616", "NaN"])
@pytest.mark.parametrize("levels", [101, 500, 990, 5000])
def test_depth_is_told_whatever_stands_beside_it(read: Read, number: str, levels: int) -> None:
    for opened, closed in ("[]", ('{"a":', "}")):
        deep = opened * levels + "1" + closed * levels
        good = {"text": "a"}
        bad, following = read(f'{{"text": "a", "n": {number}, "d": {deep}}}\n{{"text": "a"}}'.encode())
        assert bad.reason == "nested_too_deep"
        assert following.columns == good


def test_a_record_of_countless_values_is_a_reject(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datapipe.read.formats.text.MAX_VALUES", 1000)
    monkeypatch.setattr("datapipe.read.formats.text.BLOCK_BYTES", 7)
    for value in ("{}", "1", '""', "[]"):
        reject, good = read(f'{{"text": "a", "v": [{",".join([value] * 1000)}]}}\n{{"text": "b"}}'.encode())
        assert (reject.reason, good.columns) == ("too_many_values", {"text": "b"})
    text = 'a, [b] {"c"} \\ ' * 400
    assert [row.columns for row in read(json.dumps({"text": text, "v": [1] * 400}).encode())] == [
        {"text": text, "v": [1] * 400}
    ]


def test_no_integer_is_rounded(read: Read) -> None:
    numbers = [2**64, -(2**63) - 1, 10**40, 7]
    assert [read(b'{"n": %d}' % number)[0].columns["n"] for number in numbers] == numbers
    assert read(b'{"n": 1e300}')[0].columns["n"] == 1e300
    assert read(b'{"a": [0.5, {"n": %d}]}' % 10**40)[0].columns["a"] == [0.5, {"n": 10**40}]


def test_a_file_that_ends_too_soon_takes_its_last_line_with_it(read: Read) -> None:
    compressed = gzip.compress(b"".join(json.dumps({"text": str(n)}).encode() + b"\n" for n in range(50_000)))
    *rows, reject = read(compressed[: len(compressed) // 2])
    assert reject.reason == "truncated_file"
    assert len(rows) > 10_000
    assert reject.position == rows[-1].position + len(rows[-1].raw) + 1


def test_a_byte_order_mark_is_no_text(read: Read) -> None:
    assert read(b'\xef\xbb\xbf{"text": "a"}\n{"text": "b"}')[1].position == 17
    assert read(b"\xef\xbb\xbfa", "text")[0].columns == {"text": "a"}
    assert read('{"text": "a"}\n{"text": "中"}'.encode("utf-16"))[1].columns == {"text": "中"}


def test_text_by_file_or_by_line(read: Read) -> None:
    assert [row.columns["text"] for row in read(b"a\n\nb\n", "text")] == ["a\n\nb\n"]
    assert [row.columns["text"] for row in read(b"a\n\nb\n", "text", text_unit="line")] == ["a", "b"]
    assert [row.reason for row in read(b"a" * 11, "text", max_document_bytes=10)] == ["too_large"]
    assert [row.columns["text"] for row in read(b"", "text")] == [""]
    assert [row.reason for row in read(b"\xff", "text")] == ["invalid_utf8"]


@settings(max_examples=200)
@given(
    lines=st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=12),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    cuts=st.lists(st.integers(0, 150), max_size=4),
    last=st.sampled_from([b"", b"\n"]),
)
def test_ranges_read_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], mark: bytes, cuts: list[int], last: bytes
) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    data = mark + b"\n".join(lines) + last
    path.write_bytes(data)

    def read(start: int = 0, stop: int | None = None) -> list[Row | Reject]:
        return list(formats.read(Source(str(path), "f", start, stop, text_unit="line", max_document_bytes=8), "text"))

    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(data)), max(1, len(data))]
    assert [row for start, stop in itertools.pairwise(bounds) for row in read(start, stop)] == read()


def test_a_range_of_a_file_that_cannot_be_split_reads_all_or_nothing(read: Read) -> None:
    data = '{"text": "a"}\n{"text": "b"}'.encode("utf-16")
    assert len(read(data, stop=20)) == 2
    assert read(data, start=20) == []


@pytest.mark.parametrize("indent", [None, 2])
def test_json_arrays_and_objects_one_after_the_other(read: Read, indent: int | None) -> None:
    values = [{"text": 'a "b" \\ [c], {d}\n', "n": n, "tags": [["x"], {}]} for n in range(5)]
    array = json.dumps(values, indent=indent).encode()
    rows = read(array, "json")
    assert [row.columns for row in rows] == values
    assert all(array[row.position :].startswith(row.raw) for row in rows)
    assert [row.columns for row in read(b"\xef\xbb\xbf" + array, "json")] == values
    objects = "\n".join(json.dumps(value, indent=2) for value in values).encode()
    rows = read(objects, "json")
    assert [row.columns for row in rows] == values
    assert all(objects[row.position :].startswith(row.raw) for row in rows)
    lines = "\n".join(map(json.dumps, values)).encode()
    assert read(lines + b"\nbad\n" + lines, "json") == read(lines + b"\nbad\n" + lines, "jsonl")


@pytest.mark.parametrize("block", [1, 2, 3, 7])
def test_json_values_over_the_edges_of_blocks(read: Read, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    values = [{"text": 'a "b" \\\\ [c], {d}'}, {"b": [1, 2, {"c": "\\"}]}]
    data = b" " + json.dumps(values).encode()
    whole = read(data, "json")
    monkeypatch.setattr("datapipe.read.formats.source.BLOCK_BYTES", block)
    assert read(data, "json") == whole
    assert [row.columns for row in whole] == values


def test_bad_values_of_an_array_are_rejects(read: Read) -> None:
    data = b'[{"text": "a"}, 5, {"text" "b"}, "c", {"text": "' + b"d" * 100 + b'"}, {"text": "e"},]'
    rows = read(data, "json", max_document_bytes=50)
    assert [row.reason if isinstance(row, Reject) else row.columns["text"] for row in rows] == [
        "a", "not_an_object", "malformed_json", "not_an_object", "too_large", "e"]  # fmt: skip
    assert [row.reason for row in read(b'[{"text": "a"}, {"te', "json")[1:]] == ["malformed_json"]
    assert [row.reason for row in read(b"what", "json")] == ["malformed_json"]
    assert read(b"[]", "json") == read(b"", "json") == []


@pytest.mark.parametrize("end", [b"", b",", b" , \n"])
def test_an_array_without_its_end_is_truncated(read: Read, end: bytes) -> None:
    data = b'[{"text": "a"}, {"text": "b"}' + end
    assert [row.reason if isinstance(row, Reject) else row.columns["text"] for row in read(data, "json")] == [
        "a", "b", "truncated_file"]  # fmt: skip


def test_markdown_is_kept_as_it_is(read: Read) -> None:
    assert read(b"# Title\n\n* a\n", "markdown", text_unit="line")[0].columns == {"text": "# Title\n\n* a\n"}


def test_a_string_in_no_encoding_is_its_bytes(read: Read) -> None:
    line = b'{"text": "caf\xc3\xa9", "note": "caf\xe9", "n": 5, "nested": ["\xe9"]}'
    columns = read(line)[0].columns
    assert (columns["text"], columns["note"], columns["n"]) == ("café", b"caf\xe9", 5)
    assert read(line, encodings=("latin-1",))[0].columns["note"] == "café"


@pytest.mark.parametrize(
    "data",
    [
        b'[{"text": "a"},\n{"text": "b"}]',
        b'[\n{"text": "a"},\n{"text": "b"}\n]\n',
        b'{\n "text": "a"\n}\n{\n "text": "b"\n}\n',
        b'{"text": "a"}{"text": "b"}\n',
        b'{"text": "a"}\r{"text": "b"}\r',
        b'{"text": "a"},\n{"text": "b"},\n',
        b'{"text": "a"},{"text": "b"},\n',
        b'\x1e{"text": "a"}\n\x1e{"text": "b"}\n',
        b'{"text": "a"}\n\xef\xbb\xbf{"text": "b"}\n',
    ],
)
def test_values_that_are_no_lines_are_read_once_whatever_the_ranges(read: Read, data: bytes) -> None:
    for middle in range(1, len(data)):
        rows = [*read(data, stop=middle), *read(data, start=middle)]
        assert [row.columns for row in rows] == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize(
    "first",
    [
        b'{"text": "a"',
        b'{"text": "a" "b": 1}',
        b"{'text': 'a'}",
        b"12:30 {",
        b"[",
        b"]",
        b'{"a": 1}ext": "a", "tags": ["b"]}',
        b'{"a": 1} "',
    ],
)
def test_a_first_line_that_is_malformed_takes_no_other_with_it(read: Read, first: bytes) -> None:
    rows = read(first + b'\n{"text": "b"}\n{"text": "c"}\n')
    assert [row.columns["text"] for row in rows if isinstance(row, Row)] == ["b", "c"]
    assert isinstance(rows[0], Reject) or first in (b"[", b"]")


def test_an_array_whose_file_is_damaged_further_on_is_an_array(read: Read) -> None:
    array = b"[" + b",".join(b'{"text": "%d"}' % number for number in range(300_000)) + b"]"
    rows = read(gzip.compress(array)[:-20], max_document_bytes=1000)
    assert sum(isinstance(row, Row) for row in rows) > 250_000
    assert isinstance(rows[-1], Reject)


def test_what_is_no_line_is_told_by_the_first_block_alone(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b"".join(b'{"text": "%d"}\n' % number for number in range(1000))
    array = b"[" + lines.replace(b"\n", b",")[:-1] + b"]"
    monkeypatch.setattr("datapipe.read.formats.source.BLOCK_BYTES", 100)
    assert len(read(array, max_document_bytes=1000)) == 1000
    assert read(array, start=500) == []
    blocks = []
    plain = Source.blocks

    def counted(source: Source, begin: int = 0) -> Iterator[bytes]:
        for block in plain(source, begin):
            blocks.append(len(block))
            yield block

    monkeypatch.setattr(Source, "blocks", counted)
    read(b'{"text": "never ends\n' + lines, start=len(lines) - 50)
    assert sum(blocks) < 500
