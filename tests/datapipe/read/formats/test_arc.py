"""ARC records of both versions, and damaged ones."""

import gzip
from collections.abc import Callable

import pytest

from datapipe.read.formats import Reject, Row
from tests.helpers import Read

HTTP = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
PAGE = f"{HTTP}<html><body><p>Ein Märchen.</p></body></html>".encode()
NAMES = "URL IP-address Archive-date Content-type Archive-length"


@pytest.fixture
def read(read_as: Callable[[str], Read]) -> Read:
    return read_as("arc")


def record(
    content: bytes, url: str = "http://a.example/x?y=1", middle: str = "1.2.3.4 20080430204825 text/html"
) -> bytes:
    return f"{url} {middle} {len(content)}\n".encode() + content + b"\n"


def begin(names: str = NAMES, version: int = 1) -> bytes:
    about = f"{version} 0 Archive\n{names}\n".encode()
    return record(about, "filedesc://a.arc", "0.0.0.0 20080430204825 text/plain")


@pytest.mark.parametrize("compress", [bytes, lambda data: gzip.compress(data, mtime=0)])
def test_pages_with_address_and_date(read: Read, compress: Callable[[bytes], bytes]) -> None:
    names = record(b"20080430 a.example 1.2.3.4", "dns:a.example", "8.8.8.8 20080430204825 text/dns")
    (row,) = read(compress(begin() + names + record(PAGE)))
    assert row.columns == {"text": "Ein Märchen.", "url": "http://a.example/x?y=1", "date": "2008-04-30T20:48:25Z"}


def test_the_second_version_has_more_fields(read: Read) -> None:
    data = begin(
        "URL IP-address Archive-date Content-type Result-code Checksum Location Offset Filename Archive-length", 2
    )
    data += record(PAGE, middle="1.2.3.4 20080430204825 text/html; charset=utf-8 200 - - 309 a.arc")
    (row,) = read(data)
    assert row.columns["text"] == "Ein Märchen."


def test_what_is_no_page_says_so(read: Read) -> None:
    missing = PAGE.replace(b"200 OK", b"404 Not Found")
    damaged = begin() + b"what is this\nand this\n" + record(missing) + record(PAGE) + b"the end\n"
    garbage, not_found, row, end = read(damaged)
    assert [each.reason for each in (garbage, not_found, end) if isinstance(each, Reject)] == [
        "malformed_arc",
        "http_status",
        "malformed_arc",
    ]
    assert isinstance(row, Row)
    assert garbage.raw == b"what is this\nand this\n"


def test_a_file_that_ends_within_a_record(read: Read) -> None:
    (reject,) = read((begin() + record(PAGE))[:-9])
    assert isinstance(reject, Reject)
    assert reject.reason == "truncated_file"


def test_a_record_that_is_too_large(read: Read) -> None:
    large = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3000
    found = read(begin() + record(large) + record(PAGE), max_document_bytes=1000)
    assert [getattr(each, "reason", "read") for each in found] == ["too_large", "read"]
