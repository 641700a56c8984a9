"""EPUB books, as they should be and as people make them."""

import gzip
import io
import pathlib
import zipfile
from collections.abc import Callable, Mapping

import pytest

from datapipe.read.formats import Source
from datapipe.read.formats.sniff import sniff_format
from tests.helpers import Read

CONTAINER = '<container><rootfiles><rootfile full-path="O%s/book.opf"/></rootfiles></container>'
METADATA = """<dc:title>Of Rivers</dc:title><dc:title>second</dc:title><dc:creator>A. Author</dc:creator>
    <dc:creator>B. Author</dc:creator><dc:language>en</dc:language><dc:rights>CC0</dc:rights>
    <dc:subject>water</dc:subject>"""
NAVIGATION = '<item id="n" href="text/b%20%C3%A9.xhtml" properties="nav" media-type="application/xhtml+xml"/>'


@pytest.fixture
def read(read_as: Callable[[str], Read]) -> Read:
    return read_as("epub")


def package(spine: str, items: str = "", guide: str = "") -> str:
    pages = "".join(
        f'<item id="{name}" href="text/{name}%20%C3%A9.xhtml" media-type="application/xhtml+xml"/>' for name in "abc"
    )
    return f"""<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">
        <metadata xmlns:dc="http://purl.org/dc/elements/1.1/">{METADATA}</metadata>
        <manifest>{pages}{items}</manifest><spine>{spine}</spine><guide>{guide}</guide></package>"""


def page(body: str) -> str:
    return f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{body}</body></html>'


def book(files: Mapping[str, str] | None = None, spine: str = '<itemref idref="b"/><itemref idref="a"/>') -> bytes:
    pages = {f"OPS/text/{name} é.xhtml": page(f"<h1>{name}<a id='x'/></h1><p>Page {name}.</p>") for name in "abc"}
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        for name, data in (
            {"META-INF/container.xml": CONTAINER % "PS", "OPS/book.opf": package(spine)} | pages | dict(files or {})
        ).items():
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def test_pages_in_the_order_of_the_spine_and_what_the_book_says_of_itself(read: Read, tmp_path: pathlib.Path) -> None:
    (row,) = read(book())
    assert row.columns == {
        "text": "b\n\nPage b.\n\na\n\nPage a.",
        "title": "Of Rivers",
        "author": "A. Author; B. Author",
        "language": "en",
        "license": "CC0",
        "tags": ["water"],
    }
    assert sniff_format(Source(str(tmp_path / "file"), "file"))[0] == "epub"


@pytest.mark.parametrize(
    ("spine", "items", "guide"),
    [
        ('<itemref idref="a"/><itemref idref="b" linear="no"/><itemref idref="missing"/>', "", ""),
        ('<itemref idref="n"/><itemref idref="a"/>', NAVIGATION, ""),
        ('<itemref idref="b"/><itemref idref="a"/>', "", '<reference type="toc" href="text/b%20é.xhtml"/>'),
        ('<itemref idref="a"/><itemref idref="i"/>', '<item id="i" href="i.svg" media-type="image/svg+xml"/>', ""),
    ],
)  # fmt: skip
def test_contents_and_what_stands_beside_are_left_out(read: Read, spine: str, items: str, guide: str) -> None:
    (row,) = read(book({"OPS/book.opf": package(spine, items, guide)}))
    assert row.columns["text"] == "a\n\nPage a."


ENCRYPTION = '<encryption><EncryptedData><EncryptionMethod Algorithm="%s"/></EncryptedData></encryption>'


@pytest.mark.parametrize(
    ("files", "reason", "detail"),
    [
        ({"META-INF/encryption.xml": ENCRYPTION % "aes256-cbc"}, "encrypted", "digital rights management: aes256-cbc"),
        (
            {"META-INF/encryption.xml": ENCRYPTION % "x", "META-INF/rights.xml": "<rights/>"},
            "encrypted",
            "Adobe ADEPT: x",
        ),
        ({"OPS/book.opf": "<package>"}, "malformed_epub", "OPS/book.opf: no element found: line 1, column 9"),
        ({"OPS/book.opf": package("").replace("<item ", "<no ")}, "malformed_epub", "no page in the spine"),
        ({"OPS/text/a é.xhtml": page("x" * 200_000)}, "too_large", "OPS/text/a é.xhtml has more than 100000 bytes"),
        ({"OPS/text/a é.xhtml": page("<div>" * 2000)}, "html_bomb", None),
    ],
)
def test_a_bad_book_is_one_reject(read: Read, files: dict[str, str], reason: str, detail: str | None) -> None:
    (reject,) = read(book(files), max_document_bytes=100_000)
    assert (reject.reason, reject.detail) == (reason, detail or reject.detail)


def test_a_book_without_a_spine_has_the_order_of_its_contents(read: Read) -> None:
    points = "".join(f'<navPoint><content src="text/{name}%20é.xhtml#x"/></navPoint>' for name in "cca")
    contents = '<item id="t" href="t.ncx" media-type="application/x-dtbncx+xml"/>'
    files = {"OPS/book.opf": package("", contents), "OPS/t.ncx": f"<ncx><navMap>{points}</navMap></ncx>"}
    (row,) = read(book(files))
    assert row.columns["text"] == "c\n\nPage c.\n\na\n\nPage a.\n\nb\n\nPage b."
    (row,) = read(book({"OPS/book.opf": package("")}))
    assert row.columns["text"] == "a\n\nPage a.\n\nb\n\nPage b.\n\nc\n\nPage c."


def test_a_package_document_as_people_write_them(read: Read) -> None:
    odd = '<item id="o" href="o.htm" media-type="application/xml"/>'
    described = package('<itemref idref="o"/>', odd).replace("Of Rivers", "AT&T &amp; caf&eacute; & co")
    missing = '<rootfile full-path="gone.opf"/>' + '<rootfile full-path="OPS/book.opf"/>'
    files = {
        "META-INF/container.xml": f"<container><rootfiles>{missing}</rootfiles></container>",
        "OPS/book.opf": described,
        "OPS/o.htm": page("<p>Odd.</p>"),
    }
    (row,) = read(book(files))
    assert (row.columns["text"], row.columns["title"]) == ("Odd.", "AT&T & café & co")


def test_fonts_may_be_encrypted_and_the_container_lacking(read: Read) -> None:
    fonts = {
        "META-INF/encryption.xml": ENCRYPTION % "http://www.idpf.org/2008/embedding",
        "META-INF/container.xml": CONTAINER % "PS",
    }
    (row,) = read(book(fonts))
    assert row.columns["title"] == "Of Rivers"
    (row,) = read(book().replace(b"META-INF/container.xml", b"META-INF/container.xmk"))
    assert row.columns["title"] == "Of Rivers"


@pytest.mark.parametrize("data", [book()[:-30], book()[: len(book()) // 2], b"PK\3\4 no zip file", b""])
def test_a_damaged_file_is_one_reject(read: Read, data: bytes) -> None:
    (reject,) = read(data)
    assert reject.reason == "corrupt_file"


def test_a_member_that_is_damaged_is_one_reject(read: Read) -> None:
    data = bytearray(book())
    at = data.index(b"a \xc3\xa9.xhtml") + 30
    data[at : at + 8] = b"\xff" * 8
    (reject,) = read(bytes(data))
    assert reject.reason == "corrupt_file"


@pytest.mark.parametrize("offset", [1, 100_000, 1 << 31])
def test_a_directory_that_names_a_place_outside_the_file_is_one_reject(read: Read, offset: int) -> None:
    data = bytearray(book())
    end = data.rindex(b"PK\5\6")
    place = int.from_bytes(data[end + 16 : end + 20], "little") + offset  # of the directory, as its end says
    data[end + 16 : end + 20] = place.to_bytes(4, "little")
    for packed in (bytes(data), gzip.compress(data)):
        (reject,) = read(packed)
        assert reject.reason == "corrupt_file"


def test_zip_bombs_are_read_up_to_the_limit_only(read: Read) -> None:
    pages = {f"OPS/text/{name} é.xhtml": page(" " * 40_000_000) for name in "ab"}
    (reject,) = read(book(pages), max_expansion=10)
    assert reject.reason == "decompression_bomb"


def test_the_notices_of_project_gutenberg_are_cut(read: Read) -> None:
    mark = "*** {} OF THE PROJECT GUTENBERG EBOOK OF RIVERS ***"
    pages = {"OPS/text/b é.xhtml": page(f"<p>The Project Gutenberg eBook</p><p>{mark.format('START')}</p>")}
    pages["OPS/text/c é.xhtml"] = page(f"<p>{mark.format('END')}</p><p>licence</p>")
    data = book(pages, '<itemref idref="b"/><itemref idref="a"/><itemref idref="c"/>')
    assert [row.columns["text"] for row in read(data)] == ["a\n\nPage a."]
    assert "licence" in read(data, gutenberg_notices=True)[0].columns["text"]
