"""What a file without a telling name is."""

import gzip
import pathlib

import pytest

from datapipe.read.formats import Reject, Source
from datapipe.read.formats.sniff import LOOKED_AT, sniff_format
from datapipe.read.inputs import plan
from datapipe.read.options import ReadOptions
from datapipe.read.records import read_task


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (b"", "text"),
        (b"all:\n\techo hello\n", "text"),
        ("\ufeffmit Marke".encode(), "text"),
        ("中".encode() * LOOKED_AT, "text"),  # a character is cut in two where the look ends
        ("text".encode("utf-16"), "text"),
        (b"\x1b[1mbold\x1b[0m", "text"),
        (b'{"text": "a"}\n{"text": "b"}', "jsonl"),
        (b'{"text": "' + b"a" * LOOKED_AT, "jsonl"),
        (b'{\n "text": "a"}', "text"),
        (b'[\n {"text": "a"}]', "json"),
        (b"<?xml version='1.0'?>\n<!DOCTYPE html><p>a", "html"),
        (b"  <HTML lang=en><p>a", "html"),
        (b"WARC/1.0\r\n", "warc"),
        (b"PAR1\x15\0", "parquet"),
        (b"ARROW1\0\0", "arrow"),
        (b"%PDF-1.7\ntext", None),
        (b"{\\rtf1 text}", None),
        (b"PK\3\4", None),
        (b"a\0b", None),
        (b"caf\xe9", None),
        ("中".encode()[:2], None),
        (gzip.compress(b"text", mtime=0), "text"),
        (gzip.compress(b"\xff\0", mtime=0), None),
        (gzip.compress(b"text" * 999, mtime=0)[:12], "text"),
    ],
)
def test_kinds(data: bytes, format_: str | None, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert sniff_format(Source(str(path), "file"))[0] == format_


@pytest.mark.parametrize(
    ("name", "data", "command"),
    [
        (
            "x/beer.stackexchange.com.7z",
            b"7z\xbc\xaf\x27\x1c\0\4",
            "7z x beer.stackexchange.com.7z -obeer.stackexchange.com",
        ),
        ("a b.rar", b"Rar!\x1a\x07\x01", "unrar x 'a b.rar' 'a b'/"),
        ("books.ZIP", b"PK\3\4", "unzip books.ZIP -d books"),
        ("letter.docx", b"PK\3\4", None),
        ("a.7z", b"\x89PNG\0", None),
    ],
)
def test_an_archive_is_told_how_it_is_unpacked(
    name: str, data: bytes, command: str | None, tmp_path: pathlib.Path
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(data)
    (task,) = plan([str(tmp_path / name)], ReadOptions())
    (record,) = read_task(task, ReadOptions())
    assert isinstance(record, Reject)
    assert record.reason == ("archive" if command else "unknown_format")
    assert (command is not None) == record.detail.endswith(f"unpack it first: {command}")


def test_text_in_one_of_the_encodings_is_text(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_bytes("这是一个关于城市公园的故事，春天里盛开的花朵".encode("gb18030") * LOOKED_AT)
    format_, start = sniff_format(Source(str(path), "file", encodings=("gb18030",)))
    assert (format_, len(start)) == ("text", LOOKED_AT)
    assert sniff_format(Source(str(path), "file"))[0] is None
