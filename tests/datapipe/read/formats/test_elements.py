"""XML dumps cut at their records."""

import itertools
import pathlib
import random
from collections.abc import Iterator

from datapipe.read.formats import Reject, Source
from datapipe.read.formats.elements import pieces
from datapipe.read.formats.source import Damage

DUMP = b"\xef\xbb\xbf<rows>\n<rowset/><row a='1'/><row\n/>x<row>" + b"y" * 90 + b"</row>\n</rows>"
CUT = [b"\xef\xbb\xbf<rows>\n<rowset/>", b"<row a='1'/>", b"<row\n/>x", b"<row>" + b"y" * 90 + b"</row>\n</rows>"]


def blocks_of(data: bytes, cuts: list[int]) -> list[bytes]:
    return [data[start:stop] for start, stop in itertools.pairwise([0, *sorted(cuts), len(data)])]


def test_the_same_pieces_however_the_blocks_are_cut(tmp_path: pathlib.Path) -> None:
    source = Source(str(tmp_path), "file", max_document_bytes=200)
    for seed in range(200):
        cuts = random.Random(seed).choices(range(len(DUMP)), k=seed % 20)
        found = list(pieces(source, iter(blocks_of(DUMP, cuts)), b"row", 7))
        assert [piece.raw for piece in found if not isinstance(piece, Reject)] == CUT
        assert [piece.position for piece in found] == [7, *(7 + DUMP.index(cut) for cut in CUT[1:])]
        assert [piece.last for piece in found if not isinstance(piece, Reject)] == [False, False, False, True]


def test_a_record_that_is_too_large_is_one_reject_and_never_held(tmp_path: pathlib.Path) -> None:
    source = Source(str(tmp_path), "file", max_document_bytes=10_000)
    large = (b"<row>", *[b"z" * 1000] * 100, b"</row><row/>")
    head, reject, after = pieces(source, iter(large), b"row")
    assert isinstance(reject, Reject)
    assert not isinstance(head, Reject)
    assert not isinstance(after, Reject)
    assert (reject.reason, reject.detail.split()[0], head.raw) == ("too_large", "100011", b"")
    assert (after.position, after.raw) == (100_011, b"<row/>")


def test_damage_ends_the_file_after_what_was_begun(tmp_path: pathlib.Path) -> None:
    def damaged() -> Iterator[bytes]:
        yield b"<rows><row/><row a="
        raise Damage("corrupt_file", "broken")

    *_, begun, reject = pieces(Source(str(tmp_path), "file"), damaged(), b"row")
    assert not isinstance(begun, Reject)
    assert (begun.raw, begun.last) == (b"<row a=", True)
    assert isinstance(reject, Reject)
    assert (reject.reason, reject.position) == ("corrupt_file", 12)
