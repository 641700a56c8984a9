"""A text as the quality classifier reads it: words that it knows, and for all others only how they end.

A classifier that learns from few examples sees most words of a new text for the first time, and can say nothing of
them. So a word outside its vocabulary is put as its kind: the last two characters of a longer word, which in many
languages tell a noun from a verb, or else a mark. The order of kinds shows too whether words stand in sentences: two of
three neighbours in a heap of words never stand so in a text. Line breaks are blanks, so that a text gets the same score
however it is broken into lines.
"""

import dataclasses
import functools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.kernels import helper, kernel
from datapipe.text.characters import (
    DIGIT,
    HAN,
    PUNCTUATION,
    SPACE,
    class_table,
    decode,
    encode,
    lower_table,
    text_buffers,
)
from datapipe.text.fasttext_model import FastTextModel, fill_table, find_token, hash_token

# Control characters, which stand in no text that was normalized.
UNKNOWN_CHARACTER = 1  # a character that is a token of its own, or a word of at most `_SHORT` characters
UNKNOWN_WORD = 2  # and its last two characters
KINDS = (bytes([UNKNOWN_CHARACTER]), bytes([UNKNOWN_WORD]))  # what a token that is put as its kind begins with
_SHORT = 3

# Thai and Lao, Tibetan and Burmese, Khmer: like Chinese, written without blanks between words.
_UNSPACED = ((0x0E00, 0x0EFF), (0x0F00, 0x109F), (0x1780, 0x17FF))


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words to be found by their hash.

    Attributes:
        names, bounds: the words as bytes one after another, and where each begins.
        table: see `datapipe.text.fasttext_model.Weights`.
        words: how many of the names count.
    """

    names: npt.NDArray[np.uint8]
    bounds: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]
    words: int

    @classmethod
    def of(cls, words: Iterable[bytes]) -> "Vocabulary":
        """Of these words, each once."""
        listed = list(words)
        bounds = np.zeros(len(listed) + 1, np.int64)
        np.cumsum([len(word) for word in listed], out=bounds[1:])
        names = np.frombuffer(b"".join(listed), np.uint8)
        table = np.full((1 << (2 * len(listed) + 1).bit_length(), 2), -1, np.int64)
        fill_table(names, bounds, table)
        return cls(names, bounds, table, len(listed))

    @classmethod
    def of_model(cls, model: FastTextModel) -> "Vocabulary":
        """Of the words that a classifier was trained on."""
        weights = model.weights
        return cls(weights.names, weights.bounds, weights.table, weights.words)


@functools.cache
def _classes() -> npt.NDArray[np.uint8]:
    """`class_table`, with every letter of a script without blanks as a token of its own."""
    classes = class_table().copy()
    for first, last in _UNSPACED:
        classes[first : last + 1] |= HAN
    return classes


@helper
def _end_token(
    out: npt.NDArray[np.uint8],
    token: int,
    to: int,
    length: int,
    before_last: int,
    names: npt.NDArray[np.uint8],
    name_bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.int64],
    words: int,
) -> int:
    """End the token in `out[token:to]`, put as its kind if it is unknown; returns the place after it.

    Args:
        length: its characters.
        before_last: where its last character but one begins.
    """
    if words >= 0:
        number = find_token(table, names, name_bounds, out, token, to, hash_token(out, token, to))
        if number < 0 or number >= words:
            if length > _SHORT:
                out[token] = UNKNOWN_WORD
                for i in range(to - before_last):
                    out[token + 1 + i] = out[before_last + i]
                to += token + 1 - before_last
            else:
                out[token] = UNKNOWN_CHARACTER
                to = token + 1
    out[to] = 32
    return to + 1


@kernel
def _write_tokens(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
    names: npt.NDArray[np.uint8],
    name_bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.int64],
    words: int,
    out: npt.NDArray[np.uint8],
    out_bounds: npt.NDArray[np.int64],
) -> None:
    """Fill `out` with the tokens of each text, a blank after each; see `tokens`. No word is replaced if `words` < 0."""
    to = 0
    for text in range(len(bounds) - 1):
        at, end = bounds[text], bounds[text + 1]
        token, length, before_last, last = to, 0, to, to  # of the token under way
        while at <= end:
            flags, code_point = SPACE, 0
            if at < end:
                code_point, at = decode(data, at)
                flags = classes[code_point]
            else:
                at += 1  # the end of the text ends its last token
            alone = flags & (HAN | PUNCTUATION) > 0
            if length and (alone or flags & SPACE > 0):
                token = to = _end_token(out, token, to, length, before_last, names, name_bounds, table, words)
                length = 0
            if flags & SPACE:
                continue
            before_last, last = last, to
            length += 1
            if flags & DIGIT:
                out[to] = 48
                to += 1
            else:
                to = encode(lower[code_point], out, to)
            if alone:
                token = to = _end_token(out, token, to, length, before_last, names, name_bounds, table, words)
                length = 0
        out_bounds[text + 1] = to


def tokens(
    texts: pa.Array, vocabulary: Vocabulary | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Each text's tokens, a blank after each, the same for training and for scoring.

    A Chinese character, a kana, a punctuation mark and a letter of a script without blanks are tokens of their own, so
    that they need no segmenter: pairs of neighbours are features too. Letters are in lower case, digits are 0.

    Args:
        texts: strings.
        vocabulary: the words to leave as they are; none: all.

    Returns:
        UTF-8, and the bounds of each text in it, shape (n + 1,).
    """
    data, bounds = text_buffers(texts)
    known = vocabulary or Vocabulary.of(())
    # A byte becomes at most three: a punctuation mark, with the blanks around it. A letter of two bytes, with the blank
    # after it, has at most four.
    out = np.empty(3 * int(bounds[-1] - bounds[0]) + len(texts), np.uint8)
    out_bounds = np.zeros(len(bounds), np.int64)
    words = known.words if vocabulary else -1
    _write_tokens(
        data, bounds, _classes(), lower_table(), known.names, known.bounds, known.table, words, out, out_bounds
    )
    return out[: out_bounds[-1]], out_bounds
