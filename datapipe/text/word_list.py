"""Find the words of a list in texts, with and without spaces between words, in one pass whatever the list's length."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.kernels import inlined, kernel
from datapipe.text.bit_mixing import GOLDEN, multiply_fold
from datapipe.text.characters import (
    HAN,
    LETTER,
    MARK,
    SPACE,
    UNSPACED_RANGES,
    class_table,
    decode,
    lower_table,
    text_buffers,
)
from datapipe.text.hashes import search_sorted
from datapipe.text.normalization import fold

# In Thai and the like, where no space shows where a word ends, shorter ones are parts of many others.
MIN_UNSPACED_LETTERS = 4


class WordList(NamedTuple):
    """A trie of words, as hashes of their beginnings.

    Attributes:
        beginnings: sorted hashes of every beginning of every word, shape (n,), uint64.
        word: which word ends with each beginning, -1 for none, shape (n,), int32.
        words: how many words there are.
    """

    beginnings: npt.NDArray[np.uint64]
    word: npt.NDArray[np.int32]
    words: int


@inlined
def _extend(key: np.uint64, code_point: int) -> np.uint64:
    """The hash of a beginning and one more character."""
    return multiply_fold(key ^ np.uint64(code_point + 1), GOLDEN, 29)


@np.errstate(over="ignore")
def make_word_list(words: Sequence[str]) -> WordList:
    """The trie of some words; neither case nor how they are written matters: white space, and what `fold` undoes."""
    lower = lower_table()
    folded = fold(pa.array(words, pa.string())).to_pylist()
    ends: dict[np.uint64, int] = {}
    distinct = sorted({" ".join("".join(chr(lower[ord(c)]) for c in word).split()) for word in folded} - {""})
    for number, word in enumerate(distinct):
        key = np.uint64(0)
        for character in word:
            key = _extend(key, ord(character))
            ends.setdefault(key, -1)
        ends[key] = number
    beginnings = sorted(ends)
    return WordList(
        np.array(beginnings, np.uint64), np.array([ends[key] for key in beginnings], np.int32), len(distinct)
    )


@inlined
def _is_unspaced(code_point: int) -> bool:
    """Whether a letter is of a script without spaces, whose words have several letters."""
    found = False
    for first, last in UNSPACED_RANGES:
        found = found or first <= code_point <= last
    return found


NO_WORDS = WordList(np.empty(0, np.uint64), np.empty(0, np.int32), 0)


def find_words(
    texts: pa.Array, listed: WordList
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Look for the words of a list, the longest at each place, one after the other, in texts folded as the list is.

    A word in letters must begin and end where a word does; Chinese characters and kana stand by themselves, and so does
    a word of four letters or more of Thai and the other scripts without spaces.

    Args:
        texts: strings, shape (texts,).
        listed: the words.

    Returns:
        For each text, shape (texts,): how many different words are in it; how many of its letters they take, all
        occurrences counted; its letters; its lines that are not blank.
    """
    return _find_words(*text_buffers(fold(texts)), class_table(), lower_table(), listed)


@kernel
def _find_words(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
    listed: WordList,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    texts = len(bounds) - 1
    different, flagged = np.zeros(texts, np.int32), np.zeros(texts, np.int32)
    letters, lines = np.zeros(texts, np.int32), np.zeros(texts, np.int32)
    last_text = np.full(listed.words, -1, np.int64)  # in which each word was found last
    for text in range(texts):
        at, end = bounds[text], bounds[text + 1]
        blank_line = True
        in_word = False  # the character before is of a word in letters
        skip_until = at
        while at < end:
            begin = at
            code_point, at = decode(data, at)
            flags = classes[code_point]
            if code_point == 10:
                blank_line = True
            elif flags & SPACE == 0 and blank_line:
                blank_line = False
                lines[text] += 1
            is_letter = flags & (LETTER | MARK) > 0
            alone = flags & HAN > 0
            letters[text] += is_letter
            within = in_word
            unspaced = flags & LETTER > 0 and _is_unspaced(code_point)
            starts = begin >= skip_until and flags & SPACE == 0 and (alone or unspaced or not in_word)
            in_word = is_letter and not alone
            if not starts:
                continue
            key = np.uint64(0)
            found, found_end, found_letters = -1, begin, 0
            ahead = begin
            passed, after_blank = 0, False
            while ahead < end:
                code_point, following = decode(data, ahead)
                flags = classes[code_point]
                symbol = np.int64(32) if flags & SPACE > 0 else np.int64(lower[code_point])
                ahead = following
                if symbol == 32:
                    if after_blank:
                        continue
                    after_blank = True
                else:
                    after_blank = False
                key = _extend(key, symbol)
                index = search_sorted(listed.beginnings, key)
                if index == len(listed.beginnings) or listed.beginnings[index] != key:
                    break
                passed += flags & (LETTER | MARK) > 0
                if listed.word[index] >= 0:
                    is_whole = True
                    if flags & (LETTER | MARK) > 0 and flags & HAN == 0 and ahead < end:
                        following_point, _ = decode(data, ahead)
                        next_flags = classes[following_point]
                        is_whole = next_flags & (LETTER | MARK) == 0 or next_flags & HAN > 0
                        if unspaced and passed >= MIN_UNSPACED_LETTERS:
                            is_whole = next_flags & MARK == 0
                    if unspaced and within and passed < MIN_UNSPACED_LETTERS:
                        is_whole = False
                    if is_whole:
                        found, found_end, found_letters = listed.word[index], ahead, passed
            if found >= 0:
                skip_until = found_end
                flagged[text] += found_letters
                if last_text[found] != text:
                    last_text[found] = text
                    different[text] += 1
    return different, flagged, letters, lines
