"""Reader of EPUB books: the text of their chapters, in the order in which they are read.

An EPUB is a zip file that holds XHTML pages and a package document, which says in which order they stand (the spine).
Pages beside that order (`linear="no"`) and tables of contents are left out. What a book says of itself comes along.
(ebooklib, which people use, is under the AGPL.)
"""

import contextlib
import errno
import html
import posixpath
import re
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from datapipe.read.formats.encodings import decode_page
from datapipe.read.formats.gutenberg import book_of
from datapipe.read.formats.page import html_text
from datapipe.read.formats.source import Damage, Reject, Row, Source

MAX_PAGES = 10_000
MAX_FILES = 100_000  # in the zip file
MAGIC = b"mimetypeapplication/epub+zip"  # a book's first file, at byte 30 of its zip file (EPUB OCF 4.3)
MAGIC_AT = 30

# Fonts alone are encrypted by these, and text by any other (EPUB OCF 4.4; Adobe's).
_OF_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_RIGHTS = {"META-INF/rights.xml": "Adobe ADEPT", "META-INF/license.lcpl": "Readium LCP", "META-INF/sinf.xml": "Apple"}
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
# XHTML closes every element so; HTML's parser would have it go on.
_CLOSED = re.compile(
    r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b)([a-zA-Z][\w:-]*)((?:\s[^<>]*?)?)/>"
)
_NCX = "application/x-dtbncx+xml"
_PAGE_NAMES = (".xhtml", ".html", ".htm")  # whatever their type is said to be
_ENTITY = re.compile(rb"&(?:(#?\w+);)?")
_OF_XML = (b"amp", b"lt", b"gt", b"quot", b"apos")
_COLUMNS = {"title": "title", "language": "language", "publisher": "publisher", "date": "date", "rights": "license"}
_COLUMNS |= {"identifier": "identifier"}


def read_epub(source: Source) -> Iterator[Row | Reject]:
    """One record a book, with what it says of itself: `title`, `author`, `language`, `date`, `license`, `tags`, ….

    Rejects are books that are `encrypted`, `malformed_epub`, larger than the limits or bombs, and damaged files.
    """
    try:
        with source.seekable() as file, _opened(file) as book:
            yield Row(0, _read(source, book))
    except Damage as damage:
        yield source.reject(0, damage.reason, damage.detail)


@contextlib.contextmanager
def _opened(file: Any) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as book:
            yield book
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OverflowError, OSError) as error:
        # No such place in the file: its directory says that a member lies before the file begins.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise Damage("corrupt_file", f"zip: {error}") from error


class _Budget:
    """Reads members of a zip file while all together stay within the source's limits."""

    def __init__(self, source: Source, book: zipfile.ZipFile) -> None:
        self._source = source
        self._book = book
        self._members = {_plain(name): name for name in book.namelist()} | {name: name for name in book.namelist()}
        self._read = self._compressed = 0

    def find(self, name: str) -> str | None:
        return self._members.get(name) or self._members.get(_plain(name))

    def read(self, name: str) -> bytes:
        found = self.find(name)
        if found is None:
            raise Damage("malformed_epub", f"no file {name}")
        member = self._book.getinfo(found)
        if member.flag_bits & 1:
            raise Damage("encrypted", f"{name}: a password")
        with self._book.open(member) as file:
            data = file.read(self._source.max_document_bytes + 1)
        self._read += len(data)
        self._compressed += member.compress_size
        if self._source.expands_too_much(self._read, self._compressed):
            raise Damage("decompression_bomb", f"zip: {name} expands to more than {self._source.max_expansion:g} times")
        if len(data) > self._source.max_document_bytes:
            raise Damage("too_large", f"{name} has more than {self._source.max_document_bytes} bytes")
        return data


def _plain(name: str) -> str:
    return name.casefold()


def _read(source: Source, book: zipfile.ZipFile) -> dict[str, Any]:
    if len(book.namelist()) > MAX_FILES:
        raise Damage("malformed_epub", f"more than {MAX_FILES} files")
    members = _Budget(source, book)
    _check_rights(members)
    path = _package_path(members, book)
    package = _parse(members.read(path), path)
    columns = _metadata(package)
    texts: list[str] = []
    size = 0
    for page in _spine(package, posixpath.dirname(path), members):
        if members.find(page) is None and texts:
            continue  # one page less
        raw = members.read(page)
        try:
            text = html_text(_CLOSED.sub(r"<\1\2></\1>", decode_page(raw)), main_content=False).strip()
        except UnicodeError as error:
            raise Damage("undecodable", f"{page}: {error}") from None
        size += len(text)
        if size > source.max_document_bytes:
            raise Damage("too_large", f"more than {source.max_document_bytes} characters")
        if text:
            texts.append(text)
    text = "\n\n".join(texts)
    bare = None if source.gutenberg_notices else book_of(text)
    return {"text": bare.text if bare else text, **(bare.columns if bare else {}), **columns}


def _is_page(path: str, media_type: str) -> bool:
    return media_type in _PAGES or (path.lower().endswith(_PAGE_NAMES) and not media_type.startswith("image/"))


def _contents(manifest: dict[str, tuple[str, str, str]], members: _Budget) -> list[str]:
    """The pages in the order of the contents for navigation (NCX), then those of the manifest that it lacks."""
    found: list[str] = []
    for path, media_type, _ in manifest.values():
        if media_type == _NCX and members.find(path):
            for element in _parse(members.read(path), path).iter():
                if _bare(element.tag) == "content":
                    href = urllib.parse.unquote(element.get("src", "").partition("#")[0])
                    found.append(posixpath.normpath(posixpath.join(posixpath.dirname(path), href)))
    pages = [path for path, kind, properties in manifest.values() if _is_page(path, kind) and "nav" not in properties]
    return [path for path in found if path in pages] + [path for path in pages if path not in found]


def _check_rights(members: _Budget) -> None:
    if members.find("META-INF/encryption.xml") is None:
        return
    methods = _parse(members.read("META-INF/encryption.xml"), "META-INF/encryption.xml").iter()
    for method in methods:
        algorithm = method.get("Algorithm", "")
        if _bare(method.tag) == "EncryptionMethod" and algorithm not in _OF_FONTS:
            owner = next((owner for name, owner in _RIGHTS.items() if members.find(name)), "digital rights management")
            raise Damage("encrypted", f"{owner}: {algorithm}")


def _package_path(members: _Budget, book: zipfile.ZipFile) -> str:
    if members.find("META-INF/container.xml") is not None:
        for element in _parse(members.read("META-INF/container.xml"), "META-INF/container.xml").iter():
            path = element.get("full-path")
            if _bare(element.tag) == "rootfile" and path and members.find(path):
                return path
    path = next((name for name in book.namelist() if name.lower().endswith(".opf")), None)
    if path is None:
        raise Damage("malformed_epub", "no package document")
    return path


def _parse(raw: bytes, name: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        # What HTML forgives: ampersands that stand for themselves, entities that only HTML has.
        mended = _ENTITY.sub(lambda found: found[0] if found[1] in _OF_XML else _numbered(found[0]), raw)
        with contextlib.suppress(ElementTree.ParseError, ValueError, LookupError):
            return ElementTree.fromstring(mended)
        raise Damage("malformed_epub", f"{name}: {error}") from None


def _numbered(reference: bytes) -> bytes:
    """An ampersand, or an entity of HTML, as XML can have it."""
    shown = html.unescape(reference.decode())
    return "".join(f"&#{ord(character)};" for character in shown).encode()


def _bare(tag: object) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _metadata(package: ElementTree.Element) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    authors, subjects = [], []
    for element in package.iter():
        tag, text = _bare(element.tag).lower(), " ".join((element.text or "").split())
        if tag in ("manifest", "spine"):
            break
        if not text or not isinstance(element.tag, str) or "purl.org/dc" not in element.tag:
            continue
        if tag == "creator":
            authors.append(text)
        elif tag == "subject":
            subjects.append(text)
        elif tag in _COLUMNS:
            columns.setdefault(_COLUMNS[tag], text)
    if authors:
        columns["author"] = "; ".join(authors)
    if subjects:
        columns["tags"] = subjects
    return columns


def _spine(package: ElementTree.Element, folder: str, members: _Budget) -> list[str]:
    """Paths of the pages in the order in which they are read: the spine's or, if it has none, that of the contents."""
    manifest: dict[str, tuple[str, str, str]] = {}
    references: list[tuple[str, bool]] = []
    contents: set[str] = set()
    for element in package.iter():
        tag, href = _bare(element.tag), urllib.parse.unquote(element.get("href", ""))
        if tag == "item":
            path = posixpath.normpath(posixpath.join(folder, href))
            manifest[element.get("id", "")] = (path, element.get("media-type", ""), element.get("properties", ""))
        elif tag == "itemref":
            references.append((element.get("idref", ""), element.get("linear") == "no"))
        elif tag == "reference" and element.get("type") == "toc" and "#" not in href:
            contents.add(posixpath.normpath(posixpath.join(folder, href)))
    pages = [
        path
        for id_, beside in references
        if id_ in manifest and not beside
        for path, media_type, properties in (manifest[id_],)
        if _is_page(path, media_type) and "nav" not in properties.split()
    ]
    chosen = [page for page in pages if page not in contents] or pages or _contents(manifest, members)
    if not chosen:
        raise Damage("malformed_epub", "no page in the spine")
    if len(chosen) > MAX_PAGES:
        raise Damage("malformed_epub", f"more than {MAX_PAGES} pages")
    return list(dict.fromkeys(chosen))
