"""How offensive a document is: words of the user's lists in it, and the verdict of a classifier, if one is given.

No list comes with this project: what is offensive depends on language, place and purpose. `safety_filter.py` decides.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.checks import FilesOption
from datapipe.filters.quality import read_examples
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.text.characters import HAN, LETTER, MARK, SPACE, class_table, decode, lower_table, text_buffers
from datapipe.text.fasttext_model import load_model

SCHEMA = pa.schema(
    [
        ("safety_words", pa.int32()),
        ("safety_words_per_line", pa.float32()),
        ("safety_flagged_share", pa.float32()),
        ("safety_score", pa.float32()),
    ]
)

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


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


def make_word_list(words: Sequence[str]) -> WordList:
    """The trie of some words; case, and how white space is written, do not matter."""
    lower = lower_table()
    ends: dict[int, int] = {}
    distinct = sorted({" ".join("".join(chr(lower[ord(c)]) for c in word).split()) for word in words} - {""})
    for number, word in enumerate(distinct):
        key = 0
        for character in word:
            mixed = (key ^ (ord(character) + 1)) * int(_FACTOR) % 2**64
            key = mixed ^ (mixed >> int(_SHIFT))
            ends.setdefault(key, -1)
        ends[key] = number
    beginnings = sorted(ends)
    return WordList(
        np.array(beginnings, np.uint64), np.array([ends[key] for key in beginnings], np.int32), len(distinct)
    )


NO_WORDS = make_word_list([])


@numba.njit(cache=True, nogil=True)
def find_words(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
    beginnings: npt.NDArray[np.uint64],
    word: npt.NDArray[np.int32],
    words: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Look for the words of a list, the longest at each place, one after the other.

    A word in letters must begin and end where a word does; Chinese characters and kana stand by themselves.

    Returns:
        For each text, shape (texts,): how many different words are in it; how many of its letters they take, all
        occurrences counted; its letters; its lines that are not blank.
    """
    texts = len(bounds) - 1
    different, flagged = np.zeros(texts, np.int32), np.zeros(texts, np.int32)
    letters, lines = np.zeros(texts, np.int32), np.zeros(texts, np.int32)
    last_text = np.full(words, -1, np.int64)  # in which each word was found last
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
            starts = begin >= skip_until and flags & SPACE == 0 and (alone or not in_word)
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
                mixed = (key ^ np.uint64(symbol + 1)) * _FACTOR
                key = mixed ^ (mixed >> _SHIFT)
                place = np.searchsorted(beginnings, key)
                if place == len(beginnings) or beginnings[place] != key:
                    break
                passed += flags & (LETTER | MARK) > 0
                if word[place] >= 0:
                    whole = True
                    if flags & (LETTER | MARK) > 0 and flags & HAN == 0 and ahead < end:
                        code_point, _ = decode(data, ahead)
                        whole = classes[code_point] & (LETTER | MARK) == 0 or classes[code_point] & HAN > 0
                    if whole:
                        found, found_end, found_letters = word[place], ahead, passed
            if found >= 0:
                skip_until = found_end
                flagged[text] += found_letters
                if last_text[found] != text:
                    last_text[found] = text
                    different[text] += 1
    return different, flagged, letters, lines


@functools.cache
def load_words(paths: tuple[str, ...]) -> WordList:
    """The words of some files, once a process."""
    return make_word_list(read_examples(paths))


@dataclasses.dataclass(eq=False)
class ScoreSafety(DocumentStage):
    """Writes how many different listed words a document has, also per line, and the share of its letters in them.

    `safety_score` is the classifier's probability that the document is offensive; null without a classifier.

    Attributes:
        words: files of listed words or phrases, one a line, of any languages.
        model: a fastText model.
        model_sha256: what the SHA-256 of that file must be, in hexadecimal; empty: not checked.
        bad_label: its label for the offensive.
    """

    words: list[FilesOption] = dataclasses.field(default_factory=list)
    model: FilesOption = ""
    model_sha256: str = ""
    bad_label: str = "toxic"

    name: ClassVar[str] = "safety"
    writes: ClassVar[pa.Schema] = SCHEMA

    def check(self) -> None:
        """The model is the one that is meant."""
        files.check_sha256("safety: model", self.model, self.model_sha256)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def skip_reason(self) -> str | None:
        """Why nothing can be scored, in one line; None if it can."""
        paths = [*self.words, *([self.model] if self.model else [])]
        absent = [path for path in paths if not files.exists(path)]
        if absent:
            return f"no such file: {absent[0]}"
        return None if paths else "no word lists and no model given"

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Score the column `text`; returns the columns of `writes`."""
        texts = batch.column("text")
        different, flagged, letters, lines = find_words(
            *text_buffers(texts), class_table(), lower_table(), *load_words(tuple(self.words))
        )
        scores = pa.nulls(len(batch), pa.float32())
        if self.model:
            scores = pa.array(load_model(self.model).probability(self.bad_label, *text_buffers(texts)))
        columns = [
            pa.array(different),
            pa.array((different / np.maximum(1, lines)).astype(np.float32)),
            pa.array((flagged / np.maximum(1, letters)).astype(np.float32)),
            scores,
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.writes)
