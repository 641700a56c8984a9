"""Dumps of MediaWiki, of every schema, whole and in ranges."""

import bz2
import gzip
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from datapipe.read import formats
from datapipe.read.formats import Reject, Row, Source
from datapipe.read.formats.mediawiki import is_mediawiki
from datapipe.read.formats.source import WikiOptions
from datapipe.read.inputs import plan
from datapipe.read.options import ReadOptions
from datapipe.read.records import Document, read_task
from tests.helpers import Read

NAMESPACES = '<namespace key="0"/><namespace key="4">Project</namespace><namespace key="14">Aro</namespace>'


@pytest.fixture
def read(read_as: Callable[[str], Read]) -> Read:
    return read_as("mediawiki")


def head(
    lang: str = "en", database: str = "<dbname>enwiki</dbname>", base: str = "https://en.wikipedia.org/wiki/Main"
) -> str:
    return (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="{lang}">\n<siteinfo>'
        f"{database}<base>{base}</base><namespaces>{NAMESPACES}</namespaces></siteinfo>\n"
    )


def page(title: str, text: str = "Text of a page.", before: str = "<ns>0</ns><id>7</id>", model: str = "") -> str:
    revision = f"<timestamp>2020-01-02T03:04:05Z</timestamp>{model}<text bytes='9'>{text}</text>"
    return f"  <page>\n<title>{title}</title>{before}<revision><id>1</id>{revision}</revision>\n  </page>\n"


def dump(*pages: str, start: str = "") -> bytes:
    return ((start or head()) + "".join(pages) + "</mediawiki>\n").encode()


def titles(found: list[Any]) -> list[str]:
    return [record.columns["title"] for record in found if isinstance(record, Row)]


def test_articles_with_what_the_dump_says_of_them(read: Read) -> None:
    redirect = page("R", "#REDIRECT [[x]]", '<ns>0</ns><id>8</id><redirect title="x"/>')
    others = [redirect, page("Project:A", before="<ns>4</ns>"), page("S", "#redirect"), page("T", "#転送 [[x]]")]
    data = dump(page("A &amp; B", "''A'' &lt;b&gt;b&lt;/b&gt; &amp;amp; c[[Aro:x]]"), *others, page("Z"))
    first, last = read(gzip.compress(data))
    assert first.columns == {
        "text": "A b & c",
        "title": "A & B",
        "page_id": 7,
        "language": "en",
        "date": "2020-01-02T03:04:05Z",
        "url": "https://en.wikipedia.org/wiki/A_%26_B",
        "source": "enwiki",
    }
    assert data[first.position :].startswith(b"<page>\n<title>A")
    assert last.columns["title"] == "Z"
    assert titles(read(data, wiki=WikiOptions(namespaces=(4,)))) == ["Project:A"]


def test_the_oldest_schema_has_neither_numbers_of_namespaces_nor_marks_of_redirects(read: Read) -> None:
    old = [
        page(t, x, before="<id>7</id>")
        for t, x in (("A", "a"), ("Project:B", "b"), ("C:D", "c"), ("E", "#REDIRECT[[A]]"))
    ]
    found = read(dump(*old, start=head(database="").replace("0.10", "0.3")).decode().encode("utf-16"))
    assert titles(found) == ["A", "C:D"]
    assert found[0].columns["source"] == "file"


def test_of_several_revisions_the_latest_is_read(read: Read) -> None:
    revisions = "".join(
        f"<revision><timestamp>{year}-01-01T00:00:00Z</timestamp><text>{text}</text></revision>"
        for year, text in ((2001, "old"), (2021, "new"), (2011, "x" * 3_000_000), (2020, "y" * 3_000_000))
    )
    whole = f"<page><title>A</title><ns>0</ns>{revisions}</page>"
    assert read(dump(whole.replace("x" * 3_000_000, "x").replace("y" * 3_000_000, "y")))[0].columns["text"] == "new"
    # In dumps of the whole history revisions come in order: of very long pages the last one is taken.
    assert read(dump(whole))[0].columns["text"].startswith("yyy")


@pytest.mark.parametrize(
    ("name", "start", "options", "language"),
    [
        ("dewiki-latest-pages-articles.xml", head(), {}, "de"),
        ("x.xml", head("en", "<dbname>zh_classicalwiki</dbname>"), {}, "lzh"),
        ("x.xml", head("en", "", "http://bat-smg.wikipedia.org/wiki/P"), {}, "sgs"),
        ("x.xml", head("pt-BR", "<dbname>commonswiki</dbname>", "http://commons.wikimedia.org/wiki/P"), {}, "pt-br"),
        ("dewiki-x.xml", head(), {"language": "fr"}, "fr"),
    ],
)  # fmt: skip
def test_the_language_is_that_of_the_wiki(
    tmp_path: pathlib.Path, name: str, start: str, options: dict[str, str], language: str
) -> None:
    (tmp_path / name).write_bytes(dump(page("A"), start=start))
    (row,) = formats.read(Source(str(tmp_path / name), name, wiki=WikiOptions(**options)), "mediawiki")  # type: ignore[arg-type]
    assert isinstance(row, Row)
    assert row.columns["language"] == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("柏林位于德国东北部，现有居民约三百万人。", "zh"),
        ("ベルリンはドイツの首都である。", "ja"),
        ("Берлин — столица Германии.", None),
        ("Ça va", "en"),
    ],
)
def test_a_head_that_lies_is_not_believed(read: Read, text: str, language: str | None) -> None:
    assert read(dump(page("A", text)))[0].columns["language"] == language


def test_variants_of_chinese_are_those_of_the_page_unless_one_is_named(read: Read) -> None:
    form = "-{zh-hans:软件;zh-hant:軟件;zh-tw:軟體}-"
    data = dump(page("A", f"{form}：简体中文网页"), page("B", f"{form}：繁體中文網頁"))
    assert [row.columns["text"][:2] for row in read(data)] == ["软件", "軟件"]
    assert [row.columns["text"][:2] for row in read(data, wiki=WikiOptions(variant="zh-tw"))] == ["軟體", "軟體"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("  <page><title>A</title>\n", "malformed_xml"),
        (page("A", "<b>"), "malformed_xml"),
        (page("A", "&nothing;"), "malformed_xml"),
        (page("Q1", "{}", model="<model>wikibase-item</model>"), "not_wikitext"),
        (page("A", "x" * 20_000), "too_large"),
    ],
)
def test_a_bad_page_is_one_reject_and_the_next_is_read(read: Read, bad: str, reason: str) -> None:
    before, reject, after = read(dump(page("A"), bad, page("Z")), max_document_bytes=10_000)
    assert (before.columns["title"], reject.reason, after.columns["title"]) == ("A", reason, "Z")


def test_files_that_are_no_dump_or_end_too_soon(read: Read) -> None:
    assert read(b"<rss><page/></rss>")[0].reason == "malformed_dump"
    assert read(b"")[0].reason == "malformed_dump"
    assert not is_mediawiki(b"<p>about <mediawiki>")
    found = read(dump(page("A"), page("B"))[:-60])
    assert (titles(found), found[-1].reason) == (["A"], "truncated_file")
    found = read(bz2.compress(dump(*map(page, "ABCDEFG")))[:-40])
    assert found[-1].reason == "truncated_file"


PAGES = [page(f"Page {number}", f"Text {number} " + "word " * (number % 40)) for number in range(120)]


def multistream(pages_in_stream: int) -> bytes:
    streams = [head().encode()]
    streams += ["".join(PAGES[at : at + pages_in_stream]).encode() for at in range(0, len(PAGES), pages_in_stream)]
    return b"".join(bz2.compress(stream) for stream in [*streams, b"</mediawiki>\n"])


def cut_anywhere(size: int) -> bytes:
    """As parallel compressors cut: streams of so many bytes, through pages and tags."""
    data = dump(*PAGES)
    return b"".join(bz2.compress(data[at : at + size]) for at in range(0, len(data), size))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("enwiki-1-pages-articles-multistream.xml.bz2", multistream(7)),
        ("enwiki-1-pages-articles1.xml-p1p99.bz2", cut_anywhere(311)),
        ("enwiki-1-pages-articles.xml.bz2", bz2.compress(dump(*PAGES))),
        ("enwiki-1-pages-meta-current.xml", dump(*PAGES)),
        ("enwiki-1-pages-articles.xml.gz", gzip.compress(dump(*PAGES))),
        ("enwiki-2-pages-articles.xml.bz2", bz2.compress(dump(*PAGES).decode().encode("utf-16"))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_ranges_hold_every_page_once(tmp_path: pathlib.Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    whole = plan([str(tmp_path)], ReadOptions())
    expected = [f"Page {number}" for number in range(120)]
    for part_bytes in (1000, 3000, 1 << 30):
        options = ReadOptions(part_bytes=part_bytes)
        tasks = plan([str(tmp_path)], options)
        assert (len(tasks) > 1) == (part_bytes < 1 << 30 and not name.endswith(".gz"))
        records = [record for task in tasks for record in read_task(task, options)]
        assert [record.columns["title"] for record in records if isinstance(record, Document)] == expected
        assert {record.source for record in records if isinstance(record, Document)} == {"enwiki"}
        assert not [record for record in records if isinstance(record, Reject)]
    assert len(whole) == 1


def test_a_page_of_a_range_lies_where_the_index_of_a_multistream_dump_says(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "enwiki-1-pages-articles-multistream.xml.bz2"
    path.write_bytes(multistream(40))
    found = list(formats.read(Source(str(path), path.name, 1, len(multistream(40))), "mediawiki"))
    places = sorted({record.position for record in found})
    assert len(places) == 3
    for place in places:
        assert b"<page>" in bz2.BZ2Decompressor().decompress(path.read_bytes()[place:])
