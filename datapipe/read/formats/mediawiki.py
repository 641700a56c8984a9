"""Reader of MediaWiki's XML dumps: a page a document, its wikitext as text, redirects and other namespaces out.

Dumps of all export schemas (0.3 to 0.11) are read, plain or compressed. A bz2 file of several streams, such as
Wikipedia's `pages-articles-multistream`, is read in ranges: a page belongs to the range in whose streams it begins.
Redirects and pages of other namespaces are no documents and are passed over, as records that hold no page are in WARC.
"""

import bz2
import codecs
import contextlib
import dataclasses
import html
import itertools
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.read.formats import wiki_words as words
from datapipe.read.formats.elements import Piece, pieces
from datapipe.read.formats.encodings import HEAD_BYTES, wide_encoding
from datapipe.read.formats.source import BLOCK_BYTES, Damage, Reject, Row, Source
from datapipe.read.formats.wikitext import Wiki, plain_text
from datapipe.store import files
from datapipe.text.scripts import (
    NO_LETTER,
    SCRIPTS,
    east_asian_languages,
    first_languages,
    script_table,
    scripts_of_language,
    scripts_present,
)

FILE, CATEGORY = 6, 14  # namespaces, on every wiki
MAX_HEAD_BYTES = 1 << 20  # of a dump, before its first page
HISTORY_BYTES = 4 << 20  # of a page, from which on all revisions but the last are left out before it is parsed

_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<mediawiki\b", re.DOTALL)
# A stream of bz2 begins with a block or, if it is empty, with its end.
_STREAM = re.compile(rb"BZh[1-9](?:\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)")
_STREAM_HEAD_BYTES = 10
_BZ2 = b"BZh"
_LANG = re.compile(r"<mediawiki\b[^>]*\bxml:lang=[\"']([\w-]+)")
_DATABASE = re.compile(
    r"([a-z][a-z_-]*?)(wiki|wiktionary|wikibooks|wikinews|wikiquote|wikisource|wikiversity|wikivoyage)"
)
_BASE = re.compile(r"<base>\s*(https?://([\w-]+)\.[^<\s]*?)\s*</base>")
_NAMESPACE = re.compile(r"<namespace\s[^>]*?\bkey=[\"'](-?\d+)[\"'][^>]*?>([^<]*)(?=<)")
_REDIRECT = re.compile(
    rf"\s*#\s*(?:(?:{words.REDIRECT_WORDS})\b|[^\W\d_]{{3,}}\s*:?\s*\[\[[^\[\]\n]+\]\]\s*(?:\n|\Z))", re.IGNORECASE
)
_EAST_ASIAN = sum(1 << SCRIPTS.index(script) for script in ("Hani", "Kana", "Hang"))
_WIKITEXT = ("wikitext", "", "text")


def is_mediawiki(start: bytes) -> bool:
    """Whether a file is a dump of MediaWiki by its first bytes."""
    return _ROOT.match(start.removeprefix(codecs.BOM_UTF8)) is not None


@dataclasses.dataclass(frozen=True)
class _Site:
    """What a dump's head says of the wiki, and what a page's language and address depend on."""

    database: str
    language: str
    base: str
    namespaces: dict[str, int]
    files: frozenset[str]
    categories: frozenset[str]


def read_mediawiki(source: Source) -> Iterator[Row | Reject]:
    """One record a page: `text`, `title`, `page_id`, `language` (of the wiki), `date` of the revision, `url`.

    The source is the wiki's name, such as `enwiki`, or what the file's name begins with. A language that no page of
    that script can be of is not believed: the page's script tells then, or it has none. `source.wiki` gives another
    one, the variant of Chinese and the namespaces to read. Rejects are pages that are no XML, and those without
    wikitext (`not_wikitext`).
    """
    whole = source.start == 0 and source.stop is None
    blocks = source.blocks()
    held: list[bytes] = []
    try:
        head = _head(blocks, held)
    except Damage as damage:
        if source.start == 0:
            yield source.reject(0, damage.reason, damage.detail)
        return
    if not is_mediawiki(head.encode()):
        if source.start == 0:
            yield source.reject(0, "malformed_dump", "no element <mediawiki> at its beginning", head.encode())
        return
    site = _site(head, source)
    found = pieces(source, itertools.chain(held, blocks), b"page") if whole else _pages_of_range(source)
    for piece in _latest(found):
        if isinstance(piece, Reject):
            yield piece
        elif piece.raw.startswith(b"<page"):
            record = _page(source, site, piece)
            if record is not None:
                yield record


def _head(blocks: Iterator[bytes], held: list[bytes]) -> str:
    """What stands before the first page; the blocks that were read for it are added to `held`."""
    head = b""
    for block in blocks:
        held.append(block)
        head += block
        at = head.find(b"<page")
        if at >= 0 or len(head) > MAX_HEAD_BYTES:
            return head[: at if at >= 0 else MAX_HEAD_BYTES].decode(errors="replace")
    return head.decode(errors="replace")


def _site(head: str, source: Source) -> _Site:
    """The wiki: by the file's name, which is its database's in every dump, before what the head says."""
    said = {name: found[1] for name in ("dbname", "sitename") if (found := re.search(rf"<{name}>([^<]*)</", head))}
    named = _DATABASE.match(source.name.rpartition("/")[2].lower())
    database = named[0] if named else said.get("dbname", "").strip()
    base = _BASE.search(head)
    by_database = _DATABASE.fullmatch(database)
    xml_lang = _LANG.search(head)
    language = source.wiki.language
    if not language:
        code = by_database[1].replace("_", "-") if by_database else ""
        by_base = base[2].lower() if base and base[2].lower() in words.LANGUAGES else ""
        code = code if code in words.LANGUAGES else by_base or (xml_lang[1].lower() if xml_lang else "")
        language = words.LANGUAGE_OF_WIKI.get(code, code)
    names = [(int(key), html.unescape(name).strip().lower()) for key, name in _NAMESPACE.findall(head)]
    return _Site(
        database=database,
        language=language,
        base=base[1].rpartition("/")[0] if base and (not named or named[0] == said.get("dbname")) else "",
        namespaces={name: key for key, name in names if name},
        files=words.FILE_WORDS | {name for key, name in names if key in (FILE, -2) and name},
        categories=words.CATEGORY_WORDS | {name for key, name in names if key == CATEGORY and name},
    )


def _latest(found: Iterator[Piece | Reject]) -> Iterator[Piece | Reject]:
    """Pages, of which the last revision alone where a dump of the whole history has millions of bytes of them."""
    for piece in found:
        if isinstance(piece, Piece) and len(piece.raw) > HISTORY_BYTES and piece.raw.count(b"<revision>") > 1:
            first, last = piece.raw.index(b"<revision>"), piece.raw.rindex(b"<revision>")
            piece = piece._replace(raw=piece.raw[:first] + piece.raw[last:])
        yield piece


def _page(source: Source, site: _Site, piece: Piece) -> Row | Reject | None:
    """A page as a record; None for one that is no document."""
    end = piece.raw.rfind(b"</page>")
    if end < 0:
        reason = "truncated_file" if piece.last else "malformed_xml"
        return source.reject(piece.position, reason, "the page does not end", piece.raw)
    raw = piece.raw[: end + len(b"</page>")]
    try:
        page = ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError) as error:
        return source.reject(piece.position, "malformed_xml", str(error), raw)
    title = " ".join((page.findtext("title") or "").split())
    if _namespace(page, title, site) not in source.wiki.namespaces or page.find("redirect") is not None:
        return None
    revisions = page.findall("revision")
    latest = max(revisions, key=lambda revision: revision.findtext("timestamp") or "", default=page)
    wikitext = latest.findtext("text") or ""
    if _REDIRECT.match(wikitext):
        return None
    model = latest.findtext("model") or page.findtext("model") or ""
    if model not in _WIKITEXT:
        return source.reject(piece.position, "not_wikitext", f"{title}: {model}", raw)
    text = plain_text(wikitext, title, Wiki(site.files, site.categories, _variants(wikitext, source.wiki.variant)))
    page_id = page.findtext("id") or ""
    columns: dict[str, Any] = {
        "text": text,
        "title": title,
        "page_id": int(page_id) if page_id.isdecimal() and len(page_id) < 19 else None,
        "language": _language(text, site.language, sure=bool(source.wiki.language)),
        "date": latest.findtext("timestamp"),
        "url": f"{site.base}/{urllib.parse.quote(title.replace(' ', '_'))}" if site.base else None,
    }
    columns["source"] = site.database or source.name.rpartition("/")[2].partition("-")[0].partition(".")[0]
    return Row(piece.position, columns, raw)


def _namespace(page: ElementTree.Element, title: str, site: _Site) -> int:
    """By its number or, in dumps older than schema 0.6, by its title."""
    number = page.findtext("ns")
    if number is not None and number.strip().removeprefix("-").isdecimal():
        return int(number)
    prefix, colon, _ = title.partition(":")
    return site.namespaces.get(prefix.strip().lower(), 0) if colon else 0


def _counts(text: str) -> npt.NDArray[np.int32]:
    """Letters by script, shape (1, scripts)."""
    points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    return np.bincount(script_table()[points], minlength=NO_LETTER + 1)[None, : len(SCRIPTS)].astype(np.int32)


def _language(text: str, declared: str, *, sure: bool) -> str | None:
    """The language that is declared, unless the page's script belies it."""
    if sure or not declared or text.isascii():
        return declared or None
    counts = _counts(text)
    present = int(scripts_present(counts)[0])
    allowed = scripts_of_language(declared)
    if not present or present & allowed:
        return declared
    return east_asian_languages(counts)[0] if present & _EAST_ASIAN else first_languages().get(present)


def _variants(wikitext: str, variant: str) -> tuple[str, ...]:
    """The variants of Chinese to look for: simplified ones first where the page is simplified."""
    if variant or "-{" not in wikitext:
        return words.VARIANTS.get(variant, (variant,) if variant else words.VARIANTS["zh-hans"])
    counts = dict(zip(SCRIPTS, _counts(wikitext)[0].tolist(), strict=True))
    simplified = counts["Hans"] + counts["Hans+Jpan"] >= counts["Hant"] + counts["Hant+Jpan"]
    return words.VARIANTS["zh-hans" if simplified else "zh-hant"]


def _pages_of_range(source: Source) -> Iterator[Piece | Reject]:
    """The pages that begin in a range of a file: of plain XML by bytes, of bz2 by its streams.

    Of bz2, a page's position is that of its stream in the file, as in the index of a multistream dump.
    """
    if _is_in_streams(source):
        yield from _pages_of_streams(source)
        return
    whole_or_range = source.splittable()
    if whole_or_range is None:
        return
    blocks = whole_or_range.blocks(whole_or_range.start)
    for piece in pieces(whole_or_range, blocks, b"page", whole_or_range.start):
        if whole_or_range.stop is not None and piece.position >= whole_or_range.stop:
            return
        yield piece


def _is_in_streams(source: Source) -> bool:
    """Whether a file is bz2 whose streams can be read one without the others; UTF-16 bears its mark in the first."""
    with files.open_input(source.path) as file:
        if file.read(len(_BZ2)) != _BZ2:
            return False
        file.seek(0)
        with contextlib.suppress(OSError):  # damaged: whoever reads it says so
            return wide_encoding(pa.CompressedInputStream(file, "bz2").read(HEAD_BYTES)) is None
    return True


def _pages_of_streams(source: Source) -> Iterator[Piece | Reject]:
    starts: list[tuple[int, int]] = []  # of streams: in what was decompressed, in the file
    with files.open_input(source.path) as file:
        first = _first_stream(file, source)
        if first is None:
            return
        for piece in pieces(source, _decompressed(file, source, first, starts), b"page"):
            while len(starts) > 1 and starts[1][0] <= piece.position:
                del starts[0]
            at = starts[0][1] if starts else first
            if source.stop is not None and at >= source.stop:
                return
            yield piece._replace(position=at)


def _first_stream(file: pa.NativeFile, source: Source) -> int | None:
    """Where the first stream of a range begins."""
    at, held = source.start, b""
    file.seek(at)
    while block := file.read(BLOCK_BYTES):
        held += block
        if found := _STREAM.search(held):
            return at + found.start()
        at += max(0, len(held) - _STREAM_HEAD_BYTES)
        held = held[-_STREAM_HEAD_BYTES:]
        if source.stop is not None and at >= source.stop:
            break
    return None


def _decompressed(file: pa.NativeFile, source: Source, first: int, starts: list[tuple[int, int]]) -> Iterator[bytes]:
    """What streams from the first on hold; where each begins is added to `starts`, in both counts."""
    file.seek(first)
    produced, held = 0, b""
    while held := held or file.read(BLOCK_BYTES):
        starts.append((produced, file.tell() - len(held)))
        stream = bz2.BZ2Decompressor()
        while not stream.eof:
            if not held and stream.needs_input and not (held := file.read(BLOCK_BYTES)):
                raise Damage("truncated_file", "bz2: the file ends within a stream")
            try:
                block = stream.decompress(held, BLOCK_BYTES)
            except (OSError, ValueError) as error:
                raise Damage("corrupt_file", f"bz2: {error}") from None
            held = b""
            produced += len(block)
            if source.expands_too_much(produced, file.tell() - first):
                raise Damage("decompression_bomb", f"bz2: expands to more than {source.max_expansion:g} times as many")
            if block:
                yield block
        held = stream.unused_data
