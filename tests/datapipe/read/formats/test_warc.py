"""WARC and WET records, as they should be and as people write them."""

import codecs
import gzip
import io
import pathlib
import re
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from fastwarc.warc import ArchiveIterator, WarcRecordType

from datapipe.read import formats
from datapipe.read.formats import Reject, Row, Source

Read = Callable[..., list[Any]]  # bytes, format and the fields of Source to rows and rejects


@pytest.fixture
def read(tmp_path: pathlib.Path) -> Read:
    def make(data: bytes, format_: str = "warc", **options: Any) -> list[Row | Reject]:
        path = tmp_path / "file"
        path.write_bytes(data)
        return list(formats.read(Source(str(path), "file", **options), format_))

    return make


def record(body: bytes, type_: str = "response", content_type: str = "text/html", length: object = None) -> bytes:
    if type_ == "response":
        body = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n".encode() + body
    head = (
        f"WARC/1.0\r\nWARC-Type: {type_}\r\nWARC-Target-URI: http://a.example/ü\r\nWARC-Date: 2024-05-01T00:00:00Z\r\n"
    )
    head += f"Content-Type: {content_type}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
    return head.encode() + body + b"\r\n\r\n"


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = "".join(f"{header}\r\n" for header in (f"HTTP/1.1 {status}", "Content-Type: text/html", *headers))
    return record(head.encode() + b"\r\n" + body, "resource").replace(b"Type: resource", b"Type: response")


GOOD = record(b"<p>good</p>")


def test_pages_with_address_and_date(read: Read) -> None:
    data = record(b"software: x", "warcinfo") + GOOD + record("提取的文本".encode(), "conversion", "text/plain")
    first, second = read(gzip.compress(data))
    assert first.columns == {"text": "good", "url": "http://a.example/ü", "date": "2024-05-01T00:00:00Z"}
    assert second.columns["text"] == "提取的文本"
    assert data[first.position :].startswith(GOOD)
    assert data[second.position :].startswith(b"WARC/1.0\r\nWARC-Type: conversion")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"bytes that are no record\r\nof two lines\r\n", "malformed_warc"),
        (record(b"<p>x</p>", length="many").replace(b"\r\n\r\nHTTP/1.1 200", b"\r\n\r\n"), "malformed_warc"),
        (record(b"x", "responce"), "malformed_warc"),
        (http(b"gone", status="404 Not Found"), "http_status"),
        (record(b"\x89PNG", content_type="image/png"), "not_text"),
        (record(b"HTTP", "resource").replace(b"Type: resource", b"Type: response"), "malformed_http"),
        (http(b"\x1f\x8b\x08 but not gzip", "Content-Encoding: gzip"), "malformed_http"),
        (http(b"\0\1\2\3", "Content-Encoding: br"), "malformed_http"),
        (http(b"\0\1\2\3", "Content-Encoding: compress"), "malformed_http"),
        (http(gzip.compress(b"cut short" * 99)[:-20], "Content-Encoding: gzip"), "malformed_http"),
        (http(gzip.compress(bytes(1_000_000)), "Content-Encoding: gzip"), "decompression_bomb"),
        (http(zstandard.compress(bytes(1_000_000)), "Content-Encoding: zstd"), "decompression_bomb"),
        (http(b"ffff\r\nx", "Transfer-Encoding: chunked"), "malformed_http"),
        (record(b"x" * 200_000), "too_large"),
        (record(b"\xff\xfe\xfd" * 20, content_type="text/plain"), "invalid_utf8"),
        (record(bytes(range(128, 256)), content_type="text/html; charset=ascii"), "undecodable"),
    ],
)
def test_a_bad_record_is_one_reject_and_the_next_is_read(read: Read, bad: bytes, reason: str) -> None:
    before, *rejects, after = read(GOOD + bad + GOOD, max_document_bytes=100_000)
    assert (before.columns["text"], after.columns["text"]) == ("good", "good")
    assert reason in {reject.reason for reject in rejects} <= {reason, "malformed_http"}
    assert rejects[0].position == len(GOOD)
    assert after.position == len(GOOD + bad)


PACKED = b"<p>packed</p>"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(PACKED), ["Content-Encoding: gzip"]),
        (gzip.compress(PACKED), ["Content-Encoding: X-GZIP"]),
        (gzip.compress(gzip.compress(PACKED)), ["Content-Encoding: gzip, gzip"]),
        (gzip.compress(zlib.compress(PACKED)), ["Content-Encoding: deflate", "Content-Encoding: gzip"]),
        (zlib.compress(PACKED), ["Content-Encoding: deflate"]),
        (zlib.compress(PACKED)[2:-4], ["Content-Encoding: deflate"]),
        (pa.compress(PACKED, "brotli", asbytes=True), ["Content-Encoding: br"]),
        (zstandard.compress(PACKED), ["Content-Encoding: zstd"]),
        (gzip.compress(PACKED), ["Transfer-Encoding: gzip"]),
        (b"%x\r\n%b\r\n0\r\n\r\n" % (len(PACKED), PACKED), ["Transfer-Encoding: Chunked"]),
        (b"3\r\n<p>\r\n6;x\r\npacked\r\n4\r\n</p>\r\n0\r\nTrailer: x\r\n\r\n", ["Transfer-Encoding: chunked"]),
        (b"00D \r\n%b\r\n0000000000000\r\n\r\n" % PACKED, ["Transfer-Encoding: chunked"]),
        (b"D\r\n%b" % PACKED, ["Transfer-Encoding: chunked"]),
        (b"D\n%b\n0\n\n" % PACKED, ["Transfer-Encoding: chunked"]),
        (b"21\r\n%b\r\n0\r\n\r\n" % gzip.compress(PACKED), ["Content-Encoding: gzip", "Transfer-Encoding: chunked"]),
        # What the archive has undone already.
        (PACKED, ["Content-Encoding: gzip"]),
        (PACKED, ["Content-Encoding: deflate"]),
        (PACKED, ["Content-Encoding: br"]),
        (PACKED, ["Content-Encoding: zstd"]),
        (PACKED, ["Content-Encoding: utf-8"]),
        (PACKED, ["Transfer-Encoding: chunked", "Content-Encoding: gzip"]),
        (gzip.compress(PACKED), ["Transfer-Encoding: chunked", "Content-Encoding: gzip"]),
        (PACKED, ["Content-Encoding: identity"]),
    ],
)
def test_codings_of_a_body_are_undone_where_they_are_there(read: Read, body: bytes, headers: list[str]) -> None:
    row, good = read(http(body, *headers) + GOOD)
    assert (row.columns["text"], good.columns["text"]) == ("packed", "good")


def with_length(record: bytes, length: object) -> bytes:
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %b" % str(length).encode(), record, count=1)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("by", [-12, 9, 60, 150, 200, 10**9, 10**15])
def test_a_page_whose_record_gives_a_wrong_length_is_read_and_swallows_no_other(
    read: Read, by: int, pack: Callable[[bytes], bytes]
) -> None:
    pages = [record(b"<html><body><p>page number %d</p></body></html>" % number) for number in range(5)]
    length = len(pages[1].partition(b"\r\n\r\n")[2]) - 4
    pages[1] = with_length(pages[1], length + by)
    found = read(b"".join(map(pack, pages)))
    rows = [row for row in found if isinstance(row, Row)]
    (reject,) = (row for row in found if isinstance(row, Reject))
    assert [row.columns["text"] for row in rows] == [f"page number {number}" for number in range(5)]
    assert (reject.reason, reject.position) == ("malformed_warc", len(pages[0]))
    assert str(length + by) in reject.detail
    assert str(length) in reject.detail


def test_a_record_that_swallows_whole_others_is_known_by_its_response(read: Read) -> None:
    swallowed = GOOD + GOOD
    size = len((GOOD + GOOD).partition(b"\r\n\r\n")[2]) - 4
    rows = read(with_length(swallowed, size) + GOOD)
    assert [row.columns["text"] for row in rows if isinstance(row, Row)] == ["good"] * 3
    page = b"<pre>\r\n\r\nWARC/1.0\r\nWARC-Type: response\r\n</pre>"
    rows = read(http(page, f"Content-Length: {len(page)}") + GOOD)
    assert [row.columns["text"] for row in rows] == ["WARC/1.0\r\nWARC-Type: response".replace("\r", ""), "good"]
    text = b"A record:\n\nWARC/1.0\nWARC-Type: response\n"
    assert [row.columns["text"].strip()[-8:] for row in read(record(text, "conversion", "text/plain") + GOOD)] == [
        "response",
        "good",
    ]


@pytest.mark.parametrize("length", ["many", "", "-5", "12 bytes"])
def test_a_page_without_a_length_ends_where_the_next_begins(read: Read, length: str) -> None:
    reject, page, good = read(with_length(record(b"<p>one</p>"), length) + GOOD)
    assert (reject.reason, page.columns["text"], good.columns["text"]) == ("malformed_warc", "one", "good")
    metadata, good = read(with_length(record(b"x: y", "metadata"), length) + GOOD)
    assert (metadata.reason, good.columns["text"]) == ("malformed_warc", "good")


@pytest.mark.parametrize(
    "record_",
    [
        record(b"<p>odd</p>").replace(b"http://a.example/\xc3\xbc", b"<http://a.example/\xc3\xbc>"),
        record(b"<p>odd</p>").replace(b"WARC-Type: response", b"warc-type: Response"),
        record(b"<p>odd</p>").replace(b"WARC-Type: response\r\n", b""),
        record(b"<p>odd</p>", "resource").replace(b"WARC-Type: resource\r\n", b""),
        record(b"<p>odd</p>").replace(b"WARC-Date", b"X-Note: one\r\n two\r\nWARC-Date"),
        codecs.BOM_UTF8 + record(b"<p>odd</p>"),
        record(b"<p>odd</p>").removesuffix(b"\r\n\r\n"),
        record(b"<p>odd</p>", content_type="TEXT/HTML; CHARSET=UTF-8"),
        record(b"<html><p>odd</p>", content_type="application/xml"),
        record(b"<?xml version='1.0'?><!-- x --><!DOCTYPE html><p>odd</p>", content_type="application/octet-stream"),
        http(b"<p>odd</p>", status="203 Non-Authoritative Information"),
        record(b"odd", "conversion", "text/plain"),
    ],
)
def test_records_as_people_write_them_are_pages(read: Read, record_: bytes) -> None:
    rows = [row for row in read(record_ + GOOD) if isinstance(row, Row)]
    assert [row.columns["text"] for row in rows] == ["odd", "good"]
    assert {row.columns["url"] for row in rows} == {"http://a.example/ü"}


def test_bare_and_interim_responses(read: Read) -> None:
    odd = b"<html><p>odd</p></html>"
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + odd
    for content in (
        odd,
        b"HTTP/1.1 200\n\n" + odd,
        b"HTTP/1.0 200 OK\r\n\r\n" + codecs.BOM_UTF8 + odd,
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer,
        answer.replace(b"\r", b""),
    ):
        bare = record(content, "resource", "application/http").replace(b"Type: resource", b"Type: response")
        assert [row.columns["text"] for row in read(bare + GOOD)] == ["odd", "good"]


def test_plain_text_in_the_encoding_that_its_header_declares(read: Read) -> None:
    text = "Старая мельница у реки."
    (row,) = read(record(text.encode("cp1251"), content_type="text/plain; charset=windows-1251"))
    assert row.columns["text"] == text
    (row,) = read(record(codecs.BOM_UTF8 + text.encode(), content_type="text/plain"))
    assert row.columns["text"] == text


def test_a_page_that_is_whole_in_a_record_that_is_not_is_read(read: Read) -> None:
    page, reject = read(record(b"<html><p>whole</p></html>", length=99))
    assert (page.columns["text"], reject.reason) == ("whole", "truncated_file")
    (reject,) = read(record(b"<html><p>cut sh", length=99))
    assert reject.reason == "truncated_file"


def test_reads_what_fastwarc_reads(read: Read) -> None:
    """Files as Common Crawl ships them: each record a gzip member of its own."""
    pages = [f"<html><p>Page number {n} of the crawl.</p></html>".encode() for n in range(50)]
    data = gzip.compress(record(b"isPartOf: CC-MAIN", "warcinfo"))
    for number, page in enumerate(pages):
        data += gzip.compress(record(b"GET / HTTP/1.1", "request")) + gzip.compress(record(page))
        data += gzip.compress(record(f"Text {number}".encode(), "conversion", "text/plain"))
    kinds = WarcRecordType.response | WarcRecordType.conversion
    theirs = [record.reader.read() for record in ArchiveIterator(io.BytesIO(data), record_types=kinds, parse_http=True)]
    rows = read(data)
    assert len(theirs) == len(rows) == 100
    assert all(row.raw.endswith(content) for row, content in zip(rows, theirs, strict=True))
    assert [row.columns["text"] for row in rows[:2]] == ["Page number 0 of the crawl.", "Text 0"]


def test_a_record_cut_short_is_a_truncated_file(read: Read) -> None:
    assert [row.reason for row in read(GOOD[:-20])] == ["truncated_file"]
    row, reject = read(GOOD + record(b"x" * 1000, "metadata")[:-300])
    assert (row.columns["text"], reject.reason, reject.position) == ("good", "truncated_file", len(GOOD))
