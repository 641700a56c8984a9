"""HTML extraction, and WARC and WET records."""

import gzip
import io
import re
import zlib
from collections.abc import Callable

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from tests.datapipe.read.formats.pages import PAGES, Page
from tests.helpers import Read


@pytest.fixture
def read(read_as: Callable[[str], Read]) -> Read:
    return read_as("warc")


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


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_extracts_the_content_of_a_page(read: Read, page: Page) -> None:
    (row,) = read(page.html.encode(), "html")
    text = re.sub(r"\s+", " ", row.columns["text"])
    missing = [wanted for wanted in page.wanted if re.sub(r"\s+", " ", wanted) not in text]
    # Resiliparse takes short lists for menus, and one advertisement for content.
    assert set(missing) <= {"Missing values come last.", "250 g red lentils"}
    assert {unwanted for unwanted in page.unwanted if unwanted in text} <= {"buy two pans"}


def test_all_visible_text_on_demand(read: Read) -> None:
    page = next(page for page in PAGES if page.name == "documentation")
    (row,) = read(page.html.encode(), "html", main_content=False)
    assert all(sentence in row.columns["text"] for sentence in page.wanted)
    assert "Frequently asked questions" in row.columns["text"]


@pytest.mark.parametrize(
    "page",
    [
        "<meta charset=gbk><p>中文网页的内容</p>".encode("gbk"),
        "<meta charset=gbk><p>中文网页的内容</p>".encode(),
        "<p>中文网页的内容，这里没有声明编码，只能从字节来猜测。</p>".encode("gb18030"),
        "<p>中文网页的内容</p>".encode("utf-16"),
    ],
)
def test_finds_the_encoding_of_a_page(read: Read, page: bytes) -> None:
    (row,) = read(page, "html")
    assert "中文网页的内容" in row.columns["text"]


@pytest.mark.parametrize(
    "page",
    [
        b"<div>" * 100_000,
        b"<p " + b" ".join(b"a%d=b" % n for n in range(100_000)) + b">x</p>",
        b"<select>" + b"<option>x" * 100_000,
        b"<div></b>" * 10_000,
        b"<rt>" * 100_000,
        b"<table><td></div><div>" * 1000,
        b"<b>x</b>" * 1_000_001,
    ],
)
def test_a_page_made_to_exhaust_is_a_reject(read: Read, page: bytes) -> None:
    assert [reject.reason for reject in read(page, "html")] == ["html_bomb"]


@pytest.mark.parametrize(
    "part",
    [
        b"<script>" + b"for (i=0;i<n;i++) {};" * 2000 + b"</script>",
        b"<svg>" + b'<path d="M0 0"/>' * 2000 + b"</svg>",
        b"<p>" * 2000,
    ],
)
def test_what_only_looks_deep_is_read(read: Read, part: bytes) -> None:
    (row,) = read(part + b"<p>The content of the page.</p>", "html", main_content=False)
    assert "The content of the page." in row.columns["text"]


@pytest.mark.parametrize("charset", ["gb2312", "GBK", "iso-8859-1", "undefined", "idna", "punycode", "hex"])
def test_the_encoding_that_a_header_declares_is_read_as_browsers_do(read: Read, charset: str) -> None:
    page = "<meta charset=gb2312><p>朱镕基的讲话</p>".encode("gbk")
    (row,) = read(record(page, content_type=f"text/html; charset={charset}"))
    assert row.columns["text"] == "朱镕基的讲话"
    latin = record("<p>café “x”</p>".encode("cp1252"), content_type="text/html; charset=ISO-8859-1")
    assert read(latin)[0].columns["text"] == "café “x”"


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
        (http(b"not gzip", "Content-Encoding: gzip"), "malformed_http"),
        (http(b"x", "Content-Encoding: br"), "malformed_http"),
        (http(gzip.compress(b"cut short" * 99)[:-20], "Content-Encoding: gzip"), "malformed_http"),
        (http(gzip.compress(bytes(1_000_000)), "Content-Encoding: gzip"), "decompression_bomb"),
        (http(b"ffff\r\nx", "Transfer-Encoding: chunked"), "malformed_http"),
        (record(b"x" * 200_000), "too_large"),
        (record(b"\xff\xfe\xfd" * 20, content_type="text/plain"), "invalid_utf8"),
        (record(bytes(range(128, 256)), content_type="text/html; charset=ascii"), "undecodable"),
    ],
)
def test_a_bad_record_is_one_reject_and_the_next_is_read(read: Read, bad: bytes, reason: str) -> None:
    before, *rejects, after = read(GOOD + bad + GOOD, max_document_bytes=100_000)
    assert (before.columns["text"], after.columns["text"]) == ("good", "good")
    assert {reject.reason for reject in rejects} == {reason} | ({"malformed_warc"} if b"many" in bad else set())
    assert rejects[0].position == len(GOOD)
    assert after.position == len(GOOD + bad)


def test_bodies_are_decoded(read: Read) -> None:
    chunked = http(b"3\r\n<p>\r\n4;x\r\nword\r\n0\r\n\r\n", "Transfer-Encoding: chunked")
    zipped = http(gzip.compress(b"<p>packed</p>"), "Content-Encoding: gzip")
    bare = http(zlib.compress(b"<p>bare</p>")[2:-4], "Content-Encoding: deflate")
    joined = http(b"<p>joined before</p>", "Transfer-Encoding: chunked", "Content-Encoding: ")
    texts = [row.columns["text"] for row in read(chunked + zipped + bare + joined)]
    assert texts == ["word", "packed", "bare", "joined before"]


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
