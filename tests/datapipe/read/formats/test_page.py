"""HTML pages: from bytes to text, and what is no page."""

import re
from collections.abc import Callable

import pytest

from tests.datapipe.read.formats.pages import PAGES, Page
from tests.helpers import Read


@pytest.fixture
def read(read_as: Callable[[str], Read]) -> Read:
    return read_as("html")


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_extracts_the_content_of_a_page(read: Read, page: Page) -> None:
    (row,) = read(page.html.encode())
    text = re.sub(r"\s+", " ", row.columns["text"])
    assert [wanted for wanted in page.wanted if re.sub(r"\s+", " ", wanted) not in text] == []
    assert [unwanted for unwanted in page.unwanted if unwanted in text] == []


def test_all_visible_text_on_demand(read: Read) -> None:
    page = next(page for page in PAGES if page.name == "documentation")
    (row,) = read(page.html.encode(), main_content=False)
    assert all(sentence in row.columns["text"] for sentence in page.wanted)
    assert "Frequently asked questions" in row.columns["text"]
    (row,) = read(b'<p style="display: none">Hidden.</p><p>A <span hidden>hidden</span> word.</p>', main_content=False)
    assert row.columns["text"] == "Hidden.\n\nA hidden word."


def test_a_page_all_of_noscript_is_read(read: Read) -> None:
    (row,) = read(b"<noscript><p>The whole page, for browsers without scripts.</p></noscript><div id=app></div>")
    assert row.columns["text"] == "The whole page, for browsers without scripts."
    (row,) = read(b"<p>The page itself.</p><noscript>Turn on scripts.</noscript>")
    assert row.columns["text"] == "The page itself."


@pytest.mark.parametrize(
    "page",
    [
        "<meta charset=gbk><p>中文网页的内容</p>".encode("gbk"),
        "<meta charset=gbk><p>中文网页的内容</p>".encode(),
        "<p>中文网页的内容，这里没有声明编码，只能从字节来猜测。</p>".encode("gb18030"),
        "<p>中文网页的内容</p>".encode("utf-16"),
        "<html><body><p>中文网页的内容</p></body></html>".encode("utf-16-le"),
    ],
)
def test_finds_the_encoding_of_a_page(read: Read, page: bytes) -> None:
    (row,) = read(page)
    assert "中文网页的内容" in row.columns["text"]


def test_a_page_in_no_encoding_is_a_reject(read: Read) -> None:
    (reject,) = read(b"<p>" + bytes(range(128, 256)) * 3)
    assert reject.reason == "undecodable"


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
    assert [reject.reason for reject in read(page)] == ["html_bomb"]


@pytest.mark.parametrize(
    "part",
    [
        b"<script>" + b"for (i=0;i<n;i++) {};" * 2000 + b"</script>",
        b"<svg>" + b'<path d="M0 0"/>' * 2000 + b"</svg>",
        b"<p>" * 2000,
        b"<option>x" * 9000,
    ],
)
def test_what_only_looks_deep_is_read(read: Read, part: bytes) -> None:
    (row,) = read(part + b"<p>The content of the page.</p>", main_content=False)
    assert "The content of the page." in row.columns["text"]


MANY = "".join(f"<b id={number}>" for number in range(1500))


@pytest.mark.parametrize(
    "page",
    [
        MANY + "<p>x" * 1500,
        "".join(f"<p><font size={number}>x" for number in range(3000)),
        MANY + "<table>" + "<tr><td>x" * 1500,
        "</b>" * 1500 + MANY + "</p>x" * 1500,
        MANY.replace(" ", "/") + "<X-Y>x" * 1500,
    ],
)
def test_elements_that_each_block_opens_again_are_a_bomb(read: Read, page: str) -> None:
    assert [row.reason for row in read(page.encode())] == ["html_bomb"]


@pytest.mark.parametrize("opened", ["<b>", "<a href=x>", "<i>y</i>", "<b id=1><i id=2>y</b></i>"])
def test_formatting_that_is_merely_sloppy_is_read(read: Read, opened: str) -> None:
    (row,) = read(f"<p>{opened}word".encode() * 3000)
    assert row.columns["text"].count("word") == 3000
