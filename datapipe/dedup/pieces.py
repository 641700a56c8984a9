"""Pieces of documents: lines, paragraphs, sentences, runs of sentences, windows of tokens, with hashes to compare them.

What a piece is, and when two are the same; `repeated_text.py` finds those that occur again.
"""

import dataclasses
from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.flow.shuffle import group_starts
from datapipe.kernels import kernel
from datapipe.text.bit_mixing import GOLDEN
from datapipe.text.characters import text_buffers
from datapipe.text.hashes import hash_spans, normalization_table
from datapipe.text.passages import LINE, PARAGRAPH, SENTENCE, split
from datapipe.text.shingles import max_tokens, roll, token_hashes, token_table

SPAN, WINDOW = 3, 4
Unit = Literal["line", "paragraph", "sentence", "span", "window"]
UNITS: dict[str, int] = {
    "line": LINE,
    "paragraph": PARAGRAPH,  # up to the next empty line
    "sentence": SENTENCE,  # up to 。！？ or . ! ? before white space, or a line's end
    "span": SPAN,  # sentences in a row
    "window": WINDOW,  # tokens in a row
}

# The unit is the upper 3 bits of a hash or key, so that pieces of two units never meet.
HASH_BITS = np.uint64(61)
# Pieces that are equal have equal keys: their hash, or for windows that of their anchor.
KEY = np.dtype([("key", "<u8")])
_GROUP_BITS = np.uint64(0xFFFFFFFF)  # the lower ones: the upper bits of an anchor, the least of several, are uneven
# Windows that follow one another mostly share an anchor; grouped by it, they are still together when they are cut.
PIECE = np.dtype([("unit", "u1"), ("id", "<u8"), ("start", "<u4"), ("end", "<u4"), ("hash", "<u8"), ("group", "<u4")])
SIZED_PIECE = np.dtype([*PIECE.descr, ("size", "<u4")])  # with the bytes of its document


@dataclasses.dataclass(frozen=True)
class Pieces:
    """What counts as a piece, and as the same one.

    Attributes:
        units: names of `UNITS`.
        normalization: for all units but windows, see `datapipe.text.hashes`.
        min_characters: pieces of fewer, counted as the normalization does, are left out; windows are not.
        span_sentences: sentences a span.
        window_tokens: tokens a window.
        salt: pieces hashed with another one never meet.
    """

    units: tuple[str, ...]
    normalization: str
    min_characters: int
    span_sentences: int
    window_tokens: int
    salt: np.uint64

    @property
    def anchor_tokens(self) -> int:
        """Tokens of an anchor: half a window, so that about every 13th token of text begins one for windows of 50."""
        return (self.window_tokens + 1) // 2

    def keys(self, batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
        """The keys of all pieces of a batch, in no order: at least as many equal ones as there are equal pieces."""
        data, bounds = text_buffers(batch.column("text"))
        found = []
        for unit in self.units:
            if unit == "window":
                tokens, token_bounds = token_hashes(data, bounds, token_table(), np.empty((0, 2), np.int64))
                grams, places = self._anchors(tokens, token_bounds)
                hashes = grams[places[group_starts(places)]]
            else:
                hashes = self._split(unit, data, bounds)[0]
            found.append(self._tagged(unit, hashes))
        return np.concatenate(found)

    def find(
        self, batch: pa.RecordBatch, keys: npt.NDArray[np.uint64], dtype: np.dtype = PIECE
    ) -> Iterator[np.ndarray]:
        """A record for each piece of each document that has one of some keys; an array for each unit.

        Args:
            batch: with `id` and `text`.
            keys: ascending.
            dtype: of the records, `PIECE` or `SIZED_PIECE`.
        """
        data, bounds = text_buffers(batch.column("text"))
        ids = batch.column("id").to_numpy()
        for unit in self.units:
            if unit == "window":
                hashes, documents, starts, ends, tagged = self._windows(data, bounds, keys)
            else:
                hashes, documents, starts, ends = self._split(unit, data, bounds)
                tagged = self._tagged(unit, hashes)
                known = _among(tagged, keys)
                hashes, documents, starts, ends, tagged = (
                    column[known] for column in (hashes, documents, starts, ends, tagged)
                )
            records = np.empty(len(hashes), dtype)
            records["unit"] = UNITS[unit]
            records["id"] = ids[documents]
            records["start"], records["end"] = starts - bounds[documents], ends - bounds[documents]
            records["hash"] = self._tagged(unit, hashes)
            records["group"] = tagged & _GROUP_BITS
            if dtype == SIZED_PIECE:
                records["size"] = np.diff(bounds)[documents]
            yield records

    def _tagged(self, unit: str, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        return (hashes ^ self.salt) >> np.uint64(3) | np.uint64(UNITS[unit]) << HASH_BITS

    def _split(self, unit: str, data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]) -> tuple[npt.NDArray, ...]:
        documents, starts, ends = split(data, bounds, SENTENCE if unit == "span" else UNITS[unit])
        pairs, counts = hash_spans(data, starts, ends, normalization_table(self.normalization))
        known = counts > 0
        hashes, counts, documents, starts, ends = (
            column[known] for column in (pairs[:, 0], counts, documents, starts, ends)
        )
        if unit == "span":
            hashes, counts, documents, starts, ends = _spans(
                hashes, counts, documents, starts, ends, self.span_sentences
            )
        long = counts >= self.min_characters
        return hashes[long], documents[long], starts[long], ends[long]

    def _anchors(
        self, tokens: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """The hashes of all runs of `anchor_tokens` tokens, and for each window the place of its anchor in them."""
        grams, gram_bounds = roll(tokens.copy(), bounds, self.anchor_tokens)
        return grams, least_places(grams, gram_bounds, self.window_tokens - self.anchor_tokens + 1)

    def _windows(
        self, data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray, ...]:
        places = np.empty((max_tokens(bounds), 2), np.int64)
        tokens, token_bounds = token_hashes(data, bounds, token_table(), places)
        grams, anchors = self._anchors(tokens, token_bounds)
        starts = group_starts(anchors)
        sizes = np.diff(starts, append=len(anchors))
        tagged = self._tagged("window", grams[anchors[starts]])
        known = _among(tagged, keys)
        chosen = np.repeat(known, sizes)
        windows = np.maximum(np.diff(token_bounds) - self.window_tokens + 1, 0)
        documents = np.repeat(np.arange(len(windows)), windows)[chosen]
        # The first token of each window, and the place of its hash: a document of fewer tokens has one hash, no window.
        first = np.flatnonzero(chosen) + (token_bounds[:-1] - np.cumsum(windows) + windows)[documents]
        hashes, hash_bounds = roll(tokens, token_bounds, self.window_tokens)
        hashes = hashes[first + (hash_bounds - token_bounds)[documents]]
        ends = places[first + self.window_tokens - 1, 1]
        return hashes, documents, places[first, 0], ends, np.repeat(tagged[known], sizes[known])


@kernel
def least_places(hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.int64]:
    """The place of the least of each `width` successive hashes of a document, of equal ones that of the last.

    So two equal runs have their least hash at the same distance, and runs that follow one another mostly share it:
    about 2 / (width + 1) of all places are the least of some run. This is winnowing (Schleimer et al. 2003).

    Args:
        hashes: those of document i are `hashes[bounds[i]:bounds[i + 1]]`.
        bounds: shape (n + 1,).
        width: at least 1.

    Returns:
        Shape (runs,), ascending; a document of fewer hashes has no run.

    >>> least_places(np.array([5, 3, 4, 3, 9], np.uint64), np.array([0, 5]), 3).tolist()
    [1, 3, 3]
    """
    places = np.empty(len(hashes), np.int64)
    filled = 0
    for document in range(len(bounds) - 1):
        first, end = bounds[document], bounds[document + 1]
        least = first - 1
        for last in range(first + width - 1, end):
            if least <= last - width:
                least = last - width + 1
                for place in range(least + 1, last):
                    if hashes[place] <= hashes[least]:
                        least = place
            if hashes[last] <= hashes[least]:
                least = last
            places[filled] = least
            filled += 1
    return places[:filled]


def _spans(
    hashes: npt.NDArray[np.uint64],
    counts: npt.NDArray[np.int64],
    documents: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    size: int,
) -> tuple[npt.NDArray, ...]:
    """Runs of `size` sentences within a document, one from each sentence on."""
    runs = max(0, len(hashes) - size + 1)
    joined, total = np.zeros(runs, np.uint64), np.zeros(runs, np.int64)
    for place in range(size):
        joined = joined * GOLDEN + hashes[place : place + runs]
        joined ^= joined >> np.uint64(32)
        total += counts[place : place + runs]
    inside = documents[:runs] == documents[size - 1 :]
    return joined[inside], total[inside], documents[:runs][inside], starts[:runs][inside], ends[size - 1 :][inside]


def _among(values: npt.NDArray[np.uint64], keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which values are one of `keys`, which are sorted."""
    order = np.argsort(values)  # a search for sorted values stays in the cache
    ordered = values[order]
    places = np.searchsorted(keys, ordered)
    known = places < len(keys)
    known[known] = keys[places[known]] == ordered[known]
    among = np.empty(len(values), bool)
    among[order] = known
    return among
