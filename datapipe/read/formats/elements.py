"""Dumps in XML cut at their records: the bytes of one after the other, in bounded memory.

The dumps of MediaWiki and of Stack Exchange are one element of millions of the same kind. `<` cannot stand in text or
in an attribute, so that an opening tag is found by its bytes alone, and a damaged record costs none of the others, as
it would with a parser of whole files.
"""

from collections.abc import Iterator
from typing import NamedTuple

from datapipe.read.formats.source import RAW_BYTES, Damage, Reject, Source


class Piece(NamedTuple):
    """What stands from one opening tag up to the next one.

    Attributes:
        position: of its first byte.
        raw: its bytes.
        last: whether none follows.
    """

    position: int
    raw: bytes
    last: bool = False


def pieces(source: Source, blocks: Iterator[bytes], tag: bytes, begin: int = 0) -> Iterator[Piece | Reject]:
    """What comes before the first such tag, then each record with all up to the next one.

    Where a file cannot be read further, what was begun is the last piece and a reject follows. A record of more than
    `max_document_bytes` is a reject, and never held.

    Args:
        source: limits and names.
        blocks: of the file, decompressed.
        tag: how records begin, such as `<row`; a longer name is no such tag.
        begin: the position of the first byte.
    """
    opening = b"<" + tag
    held, dropped, sought, position = bytearray(), 0, 0, begin
    damage = None
    ended = False
    while not ended:
        try:
            block = next(blocks, None)
        except Damage as error:
            damage, block = error, None
        ended = block is None
        held += block or b""
        start = 0
        while (at := held.find(opening, sought)) >= 0:
            after = bytes(held[at + len(opening) : at + len(opening) + 1])
            if not after and not ended:
                break
            sought = at + len(opening)
            if not after or after.isspace() or after in (b">", b"/"):
                yield _piece(source, position, bytes(held[start:at]), dropped)
                position += at - start + dropped
                start, dropped = at, 0
        del held[:start]
        sought = max(sought - start, len(held) - len(opening))
        if len(held) > source.max_document_bytes:
            cut = len(held) - len(opening) - RAW_BYTES
            if cut > 0:
                dropped += cut
                del held[RAW_BYTES : RAW_BYTES + cut]
                sought = RAW_BYTES
    yield _piece(source, position, bytes(held), dropped, last=True)
    if damage is not None:
        yield source.reject(position, damage.reason, damage.detail, bytes(held[:RAW_BYTES]))


def _piece(source: Source, position: int, raw: bytes, dropped: int, *, last: bool = False) -> Piece | Reject:
    if len(raw) + dropped > source.max_document_bytes:
        detail = f"{len(raw) + dropped} bytes, of which {source.max_document_bytes} are allowed"
        return source.reject(position, "too_large", detail, raw)
    return Piece(position, raw, last)
