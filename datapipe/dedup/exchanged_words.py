"""Whether two texts that look alike speak of different things: one word in the place of another throughout.

Pages of one template and other facts lie as near each other as two versions of one page, by their vectors and by the
shingles that they share: a page on headers and one on footers differ in one word of 25. What tells them apart is that
it is always the same word. Versions, rewritten and extended texts differ in many words, each once, or one holds all of
the other. So it is asked of each of the two which word it has most more often than the other one, and how much of its
text that is; texts differ in what they speak of if it is more than `SHARE` of either.

Only the commonest words of a text count, so a few hundred bytes a document answer the question, without its text.
"""

import itertools

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.kernels import helper, kernel
from datapipe.text.characters import text_buffers
from datapipe.text.shingles import token_hashes, token_table

WORDS = 160  # of a document, the commonest, are kept; with 128, the benchmark has precision .92, not .95
# Fewer words than are kept can each make up more than this share of a text: none of them is missed.
SHARE = 1 / WORDS
_HASH = np.uint64(0xFFFFFFFF)


@kernel
def _common_words(
    tokens: npt.NDArray[np.uint64],
    bounds: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint32],
    out_bounds: npt.NDArray[np.int32],
) -> None:
    """Fill `out` with the records of all documents, whose tokens are sorted; see `common_words`."""
    to = 0
    for document in range(len(bounds) - 1):
        own = tokens[bounds[document] : bounds[document + 1]]
        words, counts = np.empty(len(own), np.uint32), np.zeros(len(own), np.int64)
        different = 0
        for i in range(len(own)):
            if i == 0 or own[i] != own[i - 1]:
                words[different] = own[i]
                different += 1
            counts[different - 1] += 1
        least = 0
        if different > WORDS:  # of equally common words, all stay or none: the record must not follow their hashes
            of_count = np.zeros(len(own) + 1, np.int64)
            for i in range(different):
                of_count[counts[i]] += 1
            least, above = len(of_count), np.int64(0)
            while above + of_count[least - 1] <= WORDS:
                least -= 1
                above += of_count[least]
        out[to], out[to + 1] = len(own), max(0, least - 1)
        kept = 0
        for i in range(different):
            if counts[i] >= least:
                out[to + 2 + 2 * kept], out[to + 3 + 2 * kept] = words[i], counts[i]
                kept += 1
        to += 2 + 2 * kept
        out_bounds[document + 1] = 4 * to


WORDS_COLUMN = "embeddings_words"


def common_words(texts: pa.Array) -> pa.Array:
    """The commonest words of each text as binary.

    A record is of unsigned 32-bit numbers, lowest byte first: how many words the text has; the greatest count of a word
    that is left out, 0 if none is; and of each word kept, sorted by hash, its hash and its count.
    """
    data, bounds = text_buffers(texts)
    tokens, token_bounds = token_hashes(data, bounds, token_table(), np.empty((0, 2), np.int64))
    tokens &= _HASH
    for start, end in itertools.pairwise(token_bounds.tolist()):  # numpy's sort is none to compile, and quicker
        tokens[start:end].sort()
    sizes = np.minimum(np.diff(token_bounds), WORDS)
    out = np.empty(int((2 + 2 * sizes).sum()), np.uint32)
    out_bounds = np.zeros(len(bounds), np.int32)
    _common_words(tokens, token_bounds, out, out_bounds)
    buffers = [None, pa.py_buffer(out_bounds), pa.py_buffer(out.astype("<u4"))]
    return pa.Array.from_buffers(pa.binary(), len(texts), buffers)


@helper
def _most_exchanged(own: npt.NDArray[np.uint32], other: npt.NDArray[np.uint32]) -> int:
    """By how much the count of a word of `own` exceeds that in `other` at most; both are records."""
    most = 0
    at = 2
    for i in range(2, len(own), 2):
        while at < len(other) and other[at] < own[i]:
            at += 2
        # What the other record leaves out may have up to this count, which is then taken for true.
        count = other[at + 1] if at < len(other) and other[at] == own[i] else other[1]
        most = max(most, int(np.int64(own[i + 1]) - np.int64(count)))
    return most


@kernel
def are_exchanged(first: npt.NDArray[np.uint32], second: npt.NDArray[np.uint32]) -> bool:
    """Whether a word stands for another throughout, in records of `common_words`.

    >>> def records(*texts):
    ...     return [np.frombuffer(record, np.uint32) for record in common_words(pa.array(texts)).to_pylist()]
    >>> header = "A header stands above the text. The header may show a number. To add a header, choose Insert."
    >>> page, sister, longer = records(header, header.replace("header", "footer"), header + " It can be removed again.")
    >>> are_exchanged(page, sister), are_exchanged(page, longer)
    (True, False)
    """
    share = _most_exchanged(first, second) / max(1, first[0])
    return min(share, _most_exchanged(second, first) / max(1, second[0])) > SHARE
