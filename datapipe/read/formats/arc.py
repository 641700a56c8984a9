"""Reader of ARC files, what crawlers wrote before WARC: the Internet Archive until 2009, Common Crawl until 2012.

After Burner and Kahle, "Arc File Format" (Internet Archive, 1996): a line of fields parted by spaces, the address
first and the length last, then so many bytes, then a line feed. Of addresses on the web these are what the server said.
"""

import re
from collections.abc import Iterator

from datapipe.read.formats.source import RAW_BYTES, Damage, Reject, Row, Source
from datapipe.read.formats.warc import Stream, read_page

# Version 1 has five fields, version 2 ten. Old dates have fewer than 14 digits; a type may have blanks in it.
_HEAD = re.compile(
    rb"(?P<url>[a-z][a-z0-9+.-]*:\S*) [\d.a-f:]+ (?P<date>\d{8,14}) (?:.* )?(?P<length>\d{1,18})\r?\n", re.I
)
_WEB = ("http://", "https://")


def read_arc(source: Source) -> Iterator[Row | Reject]:
    """One record a page; what came by other ways, such as answers of name servers, holds none and is passed over.

    Bytes that are no record are one reject up to the next record.
    """
    stream = Stream(source.blocks())
    garbage, begin = b"", 0
    try:
        while line := stream.readline():
            head = _HEAD.fullmatch(line)
            if head is None and line.strip():
                begin = begin if garbage else stream.position - len(line)
                garbage = (garbage + line)[:RAW_BYTES]
            if head is None:
                continue
            if garbage:
                yield source.reject(begin, "malformed_arc", "bytes that are no record", garbage)
                garbage = b""
            yield from _record(source, stream, line, head)
        if garbage:
            yield source.reject(begin, "malformed_arc", "bytes that are no record", garbage)
    except Damage as damage:
        yield source.reject(stream.position, damage.reason, damage.detail)


def _record(source: Source, stream: Stream, line: bytes, head: re.Match[bytes]) -> Iterator[Row | Reject]:
    start, length = stream.position - len(line), int(head["length"])
    address = head["url"].decode(errors="replace")
    page = address.lower().startswith(_WEB)
    if page and length <= source.max_document_bytes:
        content = stream.read(length)
        complete = len(content) == length
        if complete:
            yield read_page(source, start, "response", _as_warc(address, head["date"].decode()), content)
    else:
        complete = stream.skip(length) == length
        if page and complete:
            yield source.reject(start, "too_large", f"{length} bytes in a record", line)
    if not complete:
        stream.raise_damage()
        yield source.reject(start, "truncated_file", "the file ends within a record", line)


def _as_warc(address: str, date: str) -> dict[str, str]:
    """Address and date as a WARC record names them.

    >>> _as_warc("http://a.example", "20140216050221")["warc-date"]
    '2014-02-16T05:02:21Z'
    """
    digits = date.ljust(14, "0")
    day, time = (digits[:4], digits[4:6], digits[6:8]), (digits[8:10], digits[10:12], digits[12:14])
    return {"warc-target-uri": address, "warc-date": f"{'-'.join(day)}T{':'.join(time)}Z"}
