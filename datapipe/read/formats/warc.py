"""Reader of WARC and WET files, as Common Crawl and others write them: a record a page.

Records are parsed here: FastWARC 2.0.1 takes a truncated record for a whole one, and panics on a stream that cannot
seek. Many writers are wrong about lengths and codings, and the page is there all the same: what follows a record, and
how a body begins, is believed before what its head says.
"""

import codecs
import re
import zlib
from collections.abc import Iterator

import pyarrow as pa

from datapipe.read.formats.page import page_text
from datapipe.read.formats.source import RAW_BYTES, Damage, Reject, Row, Source

MAX_HEADER_BYTES = 1 << 16

_PAGES = frozenset(("response", "resource", "conversion"))
_NO_PAGES = frozenset(("warcinfo", "request", "metadata", "revisit", "continuation"))
# What comes after a record; and a record that begins within another, whose length is wrong.
_RECORD_END = re.compile(rb"(?:\r?\n)*(?:WARC/|\Z)")
_INNER_RECORD = re.compile(rb"(?:\r?\n){1,2}WARC/1\.[01]\r?\n(?=[\w-]+:)")
LOOK_AHEAD_BYTES = 32

_STATUS_LINE = re.compile(rb"HTTP/\S+ +(\d{3})\b[^\n]*\n?")
MAX_INTERIM_RESPONSES = 8
_SUCCESS = range(200, 204)  # also created, accepted, changed by a proxy: with all of the page, unlike 206
_HTML_TYPES = frozenset(("text/html", "application/xhtml+xml"))
_HTML = re.compile(
    rb"\s*+(?:(?><\?xml[^>]*>|<!--.*?-->)\s*+)*+<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)")

_CHUNK = re.compile(rb"0*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_CHUNK_END = re.compile(rb"\r?\n|\Z")
_BLANK = re.compile(rb"\s*")
_GZIP = b"\x1f\x8b"
_CONTROLS = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_ARROW_CODECS = {"br": "brotli", "zstd": "zstd"}


def read_warc(source: Source) -> Iterator[Row | Reject]:
    """One record a page: HTTP responses (WARC), resources, and extracted text (WET).

    Records of other types (warcinfo, request, metadata, revisit) hold no page and are passed over. Bytes that are no
    record are one reject up to the next record; a page whose record gives a wrong length is read, and a reject says so.
    """
    stream = Stream(source.blocks())
    try:
        while True:
            line, garbage = _until_record(source, stream)
            if garbage:
                yield garbage
            if not line:
                return
            yield from _record(source, stream, line)
    except Damage as damage:
        yield source.reject(stream.position, damage.reason, damage.detail)


class Stream:
    """Blocks of bytes that can be looked at before they are read.

    Attributes:
        position: of the next byte.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._held, self._at = b"", 0
        self._damage: Damage | None = None
        self.position = 0

    def available(self, size: int) -> int:
        """How many bytes are at hand; no fewer than `size`, if so many follow.

        Raises:
            Damage: if none do, since the file is damaged there.
        """
        held = len(self._held) - self._at
        if held < size:
            parts = [self._held[self._at :]]
            try:
                while held < size and (block := next(self._blocks, b"")):
                    parts.append(block)
                    held += len(block)
            except Damage as damage:
                self._damage = damage
            self._held, self._at = b"".join(parts), 0
        if not held and size:
            self.raise_damage()
        return held

    def raise_damage(self) -> None:
        """Raise the damage that ended the stream, if any did."""
        if self._damage:
            raise self._damage

    def peek(self, start: int, size: int) -> bytes:
        """So many bytes from some place ahead on, or as many as there are."""
        self.available(start + size)
        return self._held[self._at + start : self._at + start + size]

    def find_record(self, size: int) -> int | None:
        """How far from here, within so many bytes, a record begins."""
        end = self._at + min(size, self.available(size))
        at = self._at
        while (at := self._held.find(b"\nWARC/1.", at, end)) >= 0:
            if match := _INNER_RECORD.search(self._held, max(self._at, at - len(b"\r\n\r")), end):
                return match.start() - self._at
            at += 1
        return None

    def read(self, size: int) -> bytes:
        """The next so many bytes, or as many as there are."""
        data = self.peek(0, size)
        self._at += len(data)
        self.position += len(data)
        return data

    def readline(self) -> bytes:
        """The next line with its end, cut at `MAX_HEADER_BYTES`; empty at the end."""
        for size in (1, MAX_HEADER_BYTES):
            self.available(size)
            end = self._held.find(b"\n", self._at, self._at + MAX_HEADER_BYTES)
            if end >= 0:
                return self.read(end + 1 - self._at)
        return self.read(MAX_HEADER_BYTES)

    def skip(self, size: int) -> int:
        """Pass over some bytes without holding them; how many there were."""
        left = size
        while left and (data := self.read(min(left, 1 << 20))):
            left -= len(data)
        return size - left


def _until_record(source: Source, stream: Stream) -> tuple[bytes, Reject | None]:
    """The first line of the next record, and a reject of other bytes before it, if any."""
    garbage, begin = b"", 0
    while line := stream.readline():
        if stream.position == len(line):
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.startswith(b"WARC/"):
            break
        if line.strip():
            begin = begin if garbage else stream.position - len(line)
            garbage = (garbage + line)[:RAW_BYTES]
    return line, source.reject(begin, "malformed_warc", "bytes that are no record", garbage) if garbage else None


def _record(source: Source, stream: Stream, line: bytes) -> Iterator[Row | Reject]:
    """The page of a record that begins with a line already read, and what is wrong with it."""
    start = stream.position - len(line)
    head = line + _head(stream)
    headers = _parse_headers(head)
    length = headers.get("content-length", "")
    size = _number(length)
    kind = headers.get("warc-type", "").lower()
    if kind and kind not in _PAGES | _NO_PAGES:
        yield source.reject(start, "malformed_warc", f"WARC-Type is {headers['warc-type']!r}", head)
    actual = _actual_size(stream, kind, size, source.max_document_bytes)
    if actual != size:
        yield source.reject(start, "malformed_warc", f"Content-Length is {length!r}, and {actual} bytes follow", head)
    page = not kind or kind in _PAGES
    if page and actual <= source.max_document_bytes:
        content = stream.read(actual)
        complete = len(content) == actual
        if complete or content.rstrip().endswith(b"</html>"):
            yield read_page(source, start, kind, headers, content)
    else:
        complete = stream.skip(actual) == actual
        if page and complete:
            yield source.reject(start, "too_large", f"{actual} bytes in a record", head)
    if not complete:
        stream.raise_damage()
        yield source.reject(start, "truncated_file", "the file ends within a record", head)


def _actual_size(stream: Stream, kind: str, size: int | None, limit: int) -> int:
    """How many bytes the record at hand has: as its head says or, where that is wrong or missing, up to the next one.

    A length is wrong if no record follows but one begins before; or if the line goes on. One that takes in whole
    records is wrong if it is not what the HTTP response says of itself.
    """
    if size is not None:
        inner = stream.find_record(min(size, limit))
        if size > limit:
            return size if inner is None else inner
        following = stream.peek(size, LOOK_AHEAD_BYTES)
        complete = stream.available(size) >= size
        if complete and _RECORD_END.match(following):
            swallows = inner is not None and kind == "response" and size != _http_size(stream.peek(0, MAX_HEADER_BYTES))
            return inner if inner is not None and swallows else size
        if inner is not None:
            return inner
        if not complete or following[:1] in (b"\r", b"\n"):
            return size
    following_record = stream.find_record(limit)
    return min(stream.available(limit + 1), limit + 1) if following_record is None else following_record


def _head(stream: Stream) -> bytes:
    """Header lines up to the blank one."""
    head = b""
    while len(head) < MAX_HEADER_BYTES:
        line = stream.readline()
        head += line
        if line in (b"\r\n", b"\n", b""):
            break
    return head


def _parse_headers(head: bytes) -> dict[str, str]:
    """Values by lower-case names; of several codings, all."""
    values: dict[str, str] = {}
    for line in re.sub(rb"\r?\n[ \t]+", b" ", head).decode(errors="replace").splitlines():
        name, colon, value = (part.strip() for part in line.partition(":"))
        name = name.lower()
        if colon:
            values[name] = f"{values[name]}, {value}" if name in values and name.endswith("-encoding") else value
    return values


def _number(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None


def read_page(source: Source, position: int, kind: str, headers: dict[str, str], content: bytes) -> Row | Reject:
    """The page that a record holds.

    Args:
        source: of the record.
        position: where it begins.
        kind: its type; of a "response", `content` begins with the head of HTTP.
        headers: of the record, by lower-case names.
        content: what follows them.
    """
    address = headers.get("warc-target-uri")
    columns = {"url": address and address.removeprefix("<").removesuffix(">"), "date": headers.get("warc-date")}
    content_type, body = headers.get("content-type", ""), content
    try:
        if kind == "response" or (not kind and content.startswith(b"HTTP/")):
            content_type, body = _http_body(content, source.max_document_bytes)
        charset = _CHARSET.search(content_type.lower())
        encoding = charset.group(1) if charset else ""
        media_type = content_type.partition(";")[0].strip().lower()
        marked = body.removeprefix(codecs.BOM_UTF8)
        untyped = not media_type and marked.lstrip().startswith(b"<")
        if media_type in _HTML_TYPES or untyped or (media_type != "text/plain" and _HTML.match(marked)):
            text = page_text(source, body, encoding)
        elif media_type in ("text/plain", ""):
            text = source.decode(marked, encoding)
        else:
            raise Damage("not_text", f"content of type {media_type}")
    except Damage as error:
        return source.reject(position, error.reason, error.detail, content)
    except UnicodeDecodeError as error:
        return source.reject(position, "invalid_utf8", str(error), content)
    return Row(position, {"text": text, **columns}, content)


def _http_head(content: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the HTTP response, after interim ones; 200 and no headers where it is a bare page.

    Raises:
        Damage: `malformed_http`.
    """
    for _ in range(MAX_INTERIM_RESPONSES):
        match = _STATUS_LINE.match(content)
        if not match:
            break
        rest = content[match.end() :]
        end = re.search(rb"\A\r?\n|\r?\n\r?\n", rest)
        head, body = (rest[: end.start()], rest[end.end() :]) if end else (rest, b"")
        status = int(match.group(1))
        if status >= 200 or not body.startswith(b"HTTP/"):
            return status, _parse_headers(head), body
        content = body
    if content.lstrip().startswith(b"<"):
        return 200, {}, content
    raise Damage("malformed_http", "no status line")


def _http_size(content: bytes) -> int | None:
    """How many bytes an HTTP response has, head included, if it says so; its beginning suffices."""
    try:
        _, headers, body = _http_head(content)
    except Damage:
        return None
    length = _number(headers.get("content-length", ""))
    return None if length is None else len(content) - len(body) + length


def _http_body(content: bytes, limit: int) -> tuple[str, bytes]:
    """Content type and body of an HTTP response, without its codings.

    Raises:
        Damage: `malformed_http`, `http_status` or `decompression_bomb`.
    """
    status, headers, body = _http_head(content)
    if status not in _SUCCESS:
        raise Damage("http_status", str(status))
    codings = f"{headers.get('content-encoding', '')},{headers.get('transfer-encoding', '')}".lower().split(",")
    for coding in reversed(codings):
        body = _undo(coding.strip(), body, limit)
    return headers.get("content-type", ""), body


def _undo(coding: str, body: bytes, limit: int) -> bytes:
    """A body without a coding. Archives store many without, whatever the headers say: such a body begins otherwise."""
    if coding in ("", "identity"):
        return body
    if coding == "chunked":
        return _unchunk(body) if _CHUNK.match(body) else body
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, limit) if body.startswith(_GZIP) else body
    try:
        if coding == "deflate":
            return _inflate(body, limit)
        if coding in _ARROW_CODECS:
            return _decompress(body, _ARROW_CODECS[coding], limit)
        raise Damage("malformed_http", f"content encoding {coding}")
    except Damage as damage:
        if damage.reason == "malformed_http" and not _CONTROLS.search(body, 0, MAX_HEADER_BYTES):
            return body
        raise


def _unchunk(body: bytes) -> bytes:
    chunks: list[bytes] = []
    at = 0
    while match := _CHUNK.match(body, at):
        begin, size = match.end(), int(match.group(1), 16)
        if size == 0:
            return b"".join(chunks)
        end = _CHUNK_END.match(body, begin + size)
        if begin + size > len(body) or not end:
            break
        chunks.append(body[begin : begin + size])
        at = end.end()
    if chunks and _BLANK.fullmatch(body, at):
        return b"".join(chunks)  # the last one, of no bytes, is missing
    raise Damage("malformed_http", "chunks without an end")


def _decompress(body: bytes, codec: str, limit: int) -> bytes:
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), codec) as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise Damage("malformed_http", f"content encoding: {error}") from None
    if len(data) > limit:
        raise Damage("decompression_bomb", f"content expands to more than {limit} bytes")
    return data


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
