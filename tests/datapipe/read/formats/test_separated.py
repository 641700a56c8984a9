"""CSV and TSV: quoting, and rows that are none."""

import csv
import gzip
import io
import pathlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.read import formats
from datapipe.read.formats import Reject, Row, Source
from tests.helpers import Read


@pytest.fixture
def read(read_as: Callable[[str], Read]) -> Read:
    return read_as("csv")


def test_csv_and_tsv(read: Read) -> None:
    data = b'\xef\xbb\xbftext,n,n\r\n"two\nlines, ""quoted""",1,2\r\n\r\nplain,3,4'
    rows = read(data, "csv")
    assert [row.columns for row in rows] == [
        {"text": 'two\nlines, "quoted"', "n": "1", "n_2": "2"},
        {"text": "plain", "n": "3", "n_2": "4"},
    ]
    assert all(data[row.position :].startswith(row.raw) for row in rows)
    assert read(b"text\tn\na b\t1", "tsv")[0].columns == {"text": "a b", "n": "1"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a,b,c", "malformed_csv"),
        (b"a", "malformed_csv"),
        (b"a,b" + b"b" * 2000, "too_large"),
    ],
)
def test_a_bad_csv_row_is_one_reject_and_the_next_is_read(read: Read, line: bytes, reason: str) -> None:
    before, reject, after = read(b"text,n\ngood,1\n" + line + b"\ngood,2\n", "csv", max_document_bytes=1500)
    assert (before.columns["n"], after.columns["n"]) == ("1", "2")
    assert (reject.reason, reject.position) == (reason, 14)
    assert reject.raw.startswith(line[:1000])


def test_a_header_that_is_no_text_is_a_reject_where_no_row_follows(read: Read) -> None:
    (reject,) = read(b"te\xffxt\tn\n", "tsv")
    assert (reject.reason, reject.position, reject.raw) == ("invalid_utf8", 0, b"te\xffxt\tn\n")
    (row,) = read(b"text\tn\xff\nhere\t1\n", "tsv")
    assert row.columns == {"text": "here", "n\ufffd": "1"}
    assert read(b"text\tn\n", "tsv") == []


def test_a_header_in_another_encoding_loses_no_row(read: Read) -> None:
    data = "编号,text\n1,a\n2,b\n".encode("gb18030")
    assert [row.columns["text"] for row in read(data, "csv")] == ["a", "b"]
    assert read(data, "csv", encodings=("gb18030",))[0].columns == {"编号": "1", "text": "a"}


def test_csv_in_another_encoding(read: Read) -> None:
    data = "text,n\n中文,1\n".encode("gb18030")
    assert read(data, "csv", encodings=("gb18030",))[0].columns == {"text": "中文", "n": "1"}
    assert read(data, "csv")[0].columns == {"text": "中文".encode("gb18030"), "n": "1"}


def found(rows: list[Row | Reject]) -> list[str]:
    """The texts of documents, and the bytes of rejects."""
    return [row.raw.decode() if isinstance(row, Reject) else row.columns["text"] for row in rows]


def test_a_quote_that_nobody_closes_takes_its_line_alone(read: Read) -> None:
    data = b'text,id\nbefore,1\n"never closed,2\nafter,3\nlast,4\n'
    rows = read(data, "csv")
    assert found(rows) == ["before", '"never closed,2\n', "after", "last"]
    assert [row.position for row in rows] == [data.index(line) for line in (b"before", b'"never', b"after", b"last")]
    assert found(read(b'text\n"never closed\nafter', "csv")) == ['"never closed\n', "after"]
    assert found(read(b'text\nbefore\n"never closed', "csv")) == ["before", '"never closed']


def test_a_quote_that_a_later_one_seems_to_close_takes_its_line_alone(read: Read) -> None:
    data = b'text,id\n"never closed,2\nafter,3\n"quoted, rightly",4\nlast,5\n'
    assert found(read(data, "csv")) == ['"never closed,2\n', "after", "quoted, rightly", "last"]


def test_quotes_within_a_line_are_read_as_before(read: Read) -> None:
    assert found(read(b'text,id\n"Well" she said,1\n5" pipe,2\n', "csv")) == ["Well she said", '5" pipe']


def test_lines_given_back_come_before_the_damage_of_the_file(read: Read) -> None:
    lines = b"".join(b"%d is a line of its own,%d\n" % (n, n * 7919) for n in range(3000))
    data = gzip.compress(b'text,id\n"never closed,1\n' + lines)[:-2000]
    rows = read(data, "csv")
    assert found(rows)[:3] == ['"never closed,1\n', "0 is a line of its own", "1 is a line of its own"]
    assert isinstance(rows[-1], Reject)
    assert rows[-1].reason == "truncated_file"
    assert len(rows) > 1000


def test_a_row_of_many_lines_is_bounded(read: Read) -> None:
    open_row = b'"' + b"x\n" * 1000 + b'",1\n'
    rows = read(b"text,id\n" + open_row + b"good,2\n", "csv", max_document_bytes=1500)
    assert (rows[0].position, isinstance(rows[0], Reject)) == (8, True)
    assert rows[-1].columns == {"text": "good", "id": "2"}


def test_tsv_has_no_quoting(read: Read) -> None:
    data = b'id\ttext\r\n1\t"Well" she said\r\n2\t"never closed\r\n\r\n3\tsays ""yes""'
    rows = read(data, "tsv")
    assert found(rows) == ['"Well" she said', '"never closed', 'says ""yes""']
    assert [row.position for row in rows] == [data.index(b"1\t"), data.index(b"2\t"), data.index(b"3\t")]
    assert [row.reason for row in read(b"id\ttext\n1\ta\tb\n", "tsv") if isinstance(row, Reject)] == ["malformed_csv"]


TEXT = st.text(st.sampled_from('ab,"\n\r\t 中'), max_size=8)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=6))
def test_what_a_writer_of_csv_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("text", "id"), *rows])
    path: pathlib.Path = tmp_path_factory.mktemp("csv") / "file"
    path.write_bytes(written.getvalue().encode())
    read = list(formats.read(Source(str(path), "file"), "csv"))
    assert [tuple(row.columns.values()) for row in read if isinstance(row, Row)] == rows


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b'id;text;n\n1;"a;b, c";2,5\n', ["1", "a;b, c", "2,5"]),
        (b"id\ttext\tn\n1\ta, b\t2\n", ["1", "a, b", "2"]),
        (b"id|text|n\n1|a, b|2\n", ["1", "a, b", "2"]),
        (b'id,"text;;;",n\n1,a;b,2\n', ["1", "a;b", "2"]),
        (b"id,text;n,m\n1,a;b,2\n", ["1", "a;b", "2"]),
        (b"\xef\xbb\xbfsep=;\r\nid;a,b,c;n\r\n1;x,y;2\r\n", ["1", "x,y", "2"]),
        (b'id, text, n\n1, "a, b", 2\n', ["1", "a, b", "2"]),
        (b"id, text,n\n1, a,2\n", ["1", " a", "2"]),
        (b'id,text,n\r1,"a\rb",2\r3,c,4\r', ["1", "a\nb", "2"]),
        (b"id;text;n\r1;a;2\r", ["1", "a", "2"]),
    ],
)
def test_the_header_tells_separator_and_line_ends(read: Read, data: bytes, values: list[str]) -> None:
    first = read(data, "csv")[0]
    assert list(first.columns.values()) == values
    assert data[first.position :].startswith(first.raw[:1])


def test_spaces_around_names_are_no_part_of_them(read: Read) -> None:
    assert list(read(b" id , text \n1,a\n", "csv")[0].columns) == ["id", "text"]


def test_lines_may_end_in_carriage_returns_alone(read: Read) -> None:
    rows = read(b"id\ttext\r1\ta\r2\tb", "tsv")
    assert [(row.position, row.columns["text"]) for row in rows] == [(8, "a"), (12, "b")]
    # One in a file with line feeds is a character of its value.
    assert read(b'id,text\n1,"a\rb"\n', "csv")[0].columns["text"] == "a\rb"


@pytest.mark.parametrize("line", [b'sep="', b"sep=\xff", b"sep=x", b"sep=", b"sep=;;"])
def test_a_line_that_names_no_separator_is_a_header(read: Read, line: bytes) -> None:
    assert len(read(line + b"\nvalue\n", "csv")) == 1
    assert read(b"sep=;\nid;text\n", "csv", max_document_bytes=3)[0].reason == "too_large"
