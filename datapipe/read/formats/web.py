"""Readers of web pages: HTML files, and the WARC and WET files of Common Crawl, a record a page.

HTML text is extracted by Resiliparse. Of the sentences in tests/datapipe/formats/pages.py it keeps 27 of 29 that are
content and 1 of 20 that are not; Trafilatura 2.3.1 keeps 27 and 0, and takes 18 to 28 times the time, by `python -m
benchmarks.web_pages`. WARC records are parsed here: FastWARC 2.0.1 takes a truncated record for a whole one, and panics
on a stream that cannot seek.
"""

import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import HTMLTree

from datapipe.read.formats.source import MAX_REPLACED_SHARE, RAW_BYTES, Damage, Reject, Row, Source
from datapipe.read.formats.text import read_whole

# Extraction takes time quadratic in depth (browsers stop at 512), in attributes of a tag and in options of a menu; and
# 10 microseconds and a kilobyte for every tag.
MAX_DEPTH = 512
MAX_TAGS = 1_000_000
MAX_COUNTED_DEPTH = 20_000  # by tags alone, scripts included; the parser, too, may take quadratic time: so 2 s at most
MAX_ATTRIBUTE_PAIRS = 400_000_000  # the squares of the attributes of each tag, summed up: 3 s
MAX_OPTIONS = 10_000
MAX_HEADER_BYTES = 1 << 16

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)([^>]*)>?")
# Elements that have no end tag, or may go without: none lies right in another of its kind.
_UNCLOSED = frozenset(
    """area base body br col colgroup dd dt embed head hr html img input li link meta option p param source tbody td
    tfoot th thead tr track wbr""".split()  # noqa: SIM905 - a list of 30 short words
)
_META_CHARSET = re.compile(rb"<meta[^>]+charset", re.IGNORECASE)

_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_PAGES = frozenset(("response", "resource", "conversion"))
_NO_PAGES = frozenset(("warcinfo", "request", "metadata", "revisit", "continuation"))


def read_html(source: Source) -> Iterator[Row | Reject]:
    """One record a file: its text, main content or all of it by `source.main_content`."""
    for record in read_whole(source):
        if isinstance(record, Reject):
            yield record
            continue
        try:
            yield Row(0, {"text": _page_text(source, record[1], "")}, record[1])
        except Damage as error:
            yield source.reject(0, error.reason, error.detail, record[1])


def _page_text(source: Source, page: bytes, charset: str) -> str:
    """The text of an HTML page.

    UTF-8 is believed before any declaration, since text of another encoding hardly ever happens to be valid UTF-8.
    """
    try:
        html = page.decode()
    except UnicodeDecodeError:
        encoding = _declared(charset, page) or detect_encoding(page, from_html_meta=True) or "utf-8"
        try:
            html = page.decode(encoding, errors="replace")
        except (LookupError, UnicodeError):
            html = page.decode(errors="replace")
        if html.count("\ufffd") > MAX_REPLACED_SHARE * len(html):
            raise Damage("undecodable", f"no text in UTF-8 nor in {encoding}") from None
    return extract_plain_text(_tree(html), main_content=source.main_content, alt_texts=False)


def _declared(charset: str, page: bytes) -> str | None:
    """The encoding that an HTTP header declares, as browsers read it (gb2312 is GBK), if that is one."""
    encoding = map_encoding_to_html5(charset, fallback_utf8=False) if charset else None
    # Latin-1 is what servers declare that know nothing of the page; the page itself may.
    return None if encoding == "cp1252" and _META_CHARSET.search(page, 0, 4096) else encoding


def _tree(html: str) -> HTMLTree:
    """The elements of a page.

    Raises:
        Damage: `html_bomb`, for a page made to exhaust the extraction.
    """
    tags = html.count("<")
    if tags > MAX_TAGS:
        raise Damage("html_bomb", f"more than {MAX_TAGS} tags")
    if tags <= MAX_DEPTH and len(html) ** 2 <= MAX_ATTRIBUTE_PAIRS:
        return HTMLTree.parse(html)  # too small to do harm, as most pages are
    options = pairs = depth = deepest = 0
    opened: Counter[str] = Counter()
    for closing, name, attributes in _TAG.findall(html):
        pairs += len(attributes.replace("/", " ").split()) ** 2 if len(attributes) > MAX_DEPTH else 0
        if pairs > MAX_ATTRIBUTE_PAIRS:
            raise Damage("html_bomb", "countless attributes of tags")
        element = name.lower()
        options += element == "option"
        if element in _UNCLOSED:
            continue
        if not closing:
            opened[element] += 1
            depth += 1
            deepest = max(depth, deepest)
        elif opened[element]:
            opened[element] -= 1
            depth -= 1
    if options > MAX_OPTIONS:
        raise Damage("html_bomb", f"{options} options in menus")
    if deepest > MAX_COUNTED_DEPTH:
        raise Damage("html_bomb", f"{deepest} tags without their ends")
    tree = HTMLTree.parse(html)
    # Scripts hold what looks like tags, drawings elements that close themselves: only the tree tells how deep it is.
    if deepest > MAX_DEPTH and _is_deep(tree):
        raise Damage("html_bomb", f"more than {MAX_DEPTH} levels of elements")
    return tree


def _is_deep(tree: HTMLTree) -> bool:
    node: Any = tree.document
    depth = 0
    while depth <= MAX_DEPTH:
        child = node.first_element_child
        if child is not None:
            node, depth = child, depth + 1
            continue
        while depth and node.next_element_sibling is None:
            node, depth = node.parent_element, depth - 1
        if not depth:
            return False
        node = node.next_element_sibling
    return True


def read_warc(source: Source) -> Iterator[Row | Reject]:
    """One record a page: HTTP responses (WARC), resources, and extracted text (WET).

    Records of other types (warcinfo, request, metadata, revisit) hold no page and are passed over. Bytes that are no
    record are one reject up to the next record.
    """
    stream = source.stream()
    position = 0
    try:
        while True:
            line, start, garbage = _until_record(stream, position)
            if garbage is not None:
                yield source.reject(*garbage)
            if not line:
                return
            head, headers = _headers(stream)
            position = start + len(line) + len(head)
            length = headers.get("content-length", "")
            if not (length.isascii() and length.isdigit() and len(length) < 19):
                yield source.reject(start, "malformed_warc", f"Content-Length is {length!r}", line + head)
                continue
            size = int(length)
            page = headers.get("warc-type") in _PAGES
            if not page and headers.get("warc-type") not in _NO_PAGES:
                yield source.reject(start, "malformed_warc", f"WARC-Type is {headers.get('warc-type')!r}", line + head)
            if page and size <= source.max_document_bytes:
                content = stream.read(size)
                position += len(content)
                complete = len(content) == size
                if complete:
                    yield _page(source, start, headers, content)
            else:
                skipped = _skip(stream, size)
                position += skipped
                complete = skipped == size
                if page and complete:
                    yield source.reject(start, "too_large", f"{size} bytes in a record", line + head)
            if not complete:
                yield source.reject(start, "truncated_file", "the file ends within a record", line + head)
    except Damage as damage:
        yield source.reject(position, damage.reason, damage.detail)


def _until_record(stream: io.BufferedReader, position: int) -> tuple[bytes, int, Any]:
    """The first line of the next record, its position, and what a reject says of other bytes before it, if any."""
    garbage, begin = b"", 0
    while (line := stream.readline(MAX_HEADER_BYTES)) and not line.startswith(b"WARC/"):
        if line.strip():
            begin = begin if garbage else position
            garbage = (garbage + line)[:RAW_BYTES]
        position += len(line)
    reject = (begin, "malformed_warc", "bytes that are no record", garbage) if garbage else None
    return line, position, reject


def _headers(stream: io.BufferedReader) -> tuple[bytes, dict[str, str]]:
    """Header lines up to the blank one, and their values by lower-case names."""
    head = b""
    while len(head) < MAX_HEADER_BYTES:
        line = stream.readline(MAX_HEADER_BYTES)
        head += line
        if line in (b"\r\n", b"\n", b""):
            break
    return head, _parse_headers(head)


def _parse_headers(head: bytes) -> dict[str, str]:
    fields = (line.partition(":") for line in head.decode(errors="replace").splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in fields if colon}


def _skip(stream: io.BufferedReader, size: int) -> int:
    """Pass over some bytes without holding them; how many there were."""
    left = size
    while left and (block := stream.read(min(left, 1 << 20))):
        left -= len(block)
    return size - left


def _page(source: Source, position: int, headers: dict[str, str], content: bytes) -> Row | Reject:
    columns = {"url": headers.get("warc-target-uri"), "date": headers.get("warc-date")}
    content_type, body = headers.get("content-type", ""), content
    try:
        if headers["warc-type"] == "response":
            content_type, body = _http_body(content, source.max_document_bytes)
        kind = content_type.partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml") or (not kind and body.lstrip().startswith(b"<")):
            charset = re.search(r"charset=[\"']?([\w.:-]+)", content_type.lower())
            text = _page_text(source, body, charset.group(1) if charset else "")
        elif kind in ("text/plain", ""):
            text = source.decode(body)
        else:
            raise Damage("not_text", f"content of type {kind}")
    except Damage as error:
        return source.reject(position, error.reason, error.detail, content)
    except UnicodeDecodeError as error:
        return source.reject(position, "invalid_utf8", str(error), content)
    return Row(position, {"text": text, **columns}, content)


def _http_body(content: bytes, limit: int) -> tuple[str, bytes]:
    """Content type and body of an HTTP response. Common Crawl stores bodies decoded; others may not.

    A body that does not begin as chunks do has been put together already, whatever the headers say.
    """
    status, _, rest = content.partition(b"\n")
    match = re.match(rb"HTTP/\S+ +(\d{3})\b", status)
    if not match:
        raise Damage("malformed_http", "no status line")
    if match.group(1) != b"200":
        raise Damage("http_status", match.group(1).decode())
    end = re.search(rb"\A\r?\n|\r?\n\r?\n", rest)
    head, body = (rest[: end.start()], rest[end.end() :]) if end else (rest, b"")
    headers = _parse_headers(head)
    if headers.get("transfer-encoding", "").lower() == "chunked" and _CHUNK.match(body):
        body = _unchunk(body)
    coding = headers.get("content-encoding", "").lower() or "identity"
    if coding in ("gzip", "x-gzip", "deflate"):
        body = _inflate(body, limit)
    elif coding != "identity":
        raise Damage("malformed_http", f"content encoding {coding}")
    return headers.get("content-type", ""), body


def _unchunk(body: bytes) -> bytes:
    chunks, at = [], 0
    while match := _CHUNK.match(body, at):
        size = int(match.group(1), 16)
        chunks.append(body[match.end() : match.end() + size])
        at = match.end() + size + 2
        if size == 0:
            return b"".join(chunks)
    raise Damage("malformed_http", "chunks without an end")


def _inflate(body: bytes, limit: int) -> bytes:
    for wbits in (47, -15):  # gzip or zlib by its header, or bare, as some servers understand "deflate"
        decompressor = zlib.decompressobj(wbits)
        try:
            inflated = decompressor.decompress(body, limit)
        except zlib.error as error:
            damage = Damage("malformed_http", f"content encoding: {error}")
            continue
        if decompressor.unconsumed_tail:
            raise Damage("decompression_bomb", f"content expands to more than {limit} bytes")
        if not decompressor.eof:
            raise Damage("malformed_http", "content encoding: the compressed body ends too soon")
        return inflated
    raise damage
