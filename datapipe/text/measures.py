"""What is measured of a text: every number that the rule filters of the field ask for, by whose definition, in a table.

`measuring.py` takes the measures, in one pass over the text.
"""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.text.characters import DIGIT, LETTER, class_table
from datapipe.text.normalization import traditional_points
from datapipe.text.notices import first_points
from datapipe.text.repetition import text_hash
from datapipe.text.spans import (
    BULLET,
    CLOSERS,
    CLOSING,
    POLICY_PHRASES,
    STEM,
    SYMBOL,
    TERMINAL,
    TRADITIONAL,
    sentence_marks,
    terminal_points,
)

# Whose definitions of Gopher's measures to follow. "datapipe" follows datatrove, since the published thresholds of
# FineWeb and FineWeb-2 were fitted with it, and repairs it where it misjudges good text:
#
#   datapipe   copies after the first; white space around lines ignored, empty lines not counted, lines of symbols only
#              (code fences, borders of tables) no repetition; a top n-gram counts only if it occurs four times;
#              distinct stop words of the document's own language in any case; more bullets; what ends a sentence may be
#              followed by closing quotes, brackets and notes such as [12]; a full stop between Chinese characters ends
#              one; a line that holds the end of a sentence counts as one that ends in it, and so does an item of a
#              list that is no short line; lines count by their length, since a manual has as many headings, cells and
#              entries as paragraphs; a blank line is no line break; "158 349" is one number
#   datatrove  as datatrove 0.10: raw lines; distinct English stop words in their own case whatever the language; its
#              list of punctuation decides which tokens are no words; a top n-gram may occur once
#   dolma      as dolma's gopher tagger: all copies; characters other than white space; raw lines; stop words counted by
#              occurrence; symbols by the words that hold them; only "…" is an ellipsis; no paragraph measures
#   dclm       as DCLM's RefinedWeb filters: all copies; each word covered by a repeated n-gram counts once; quality on
#              white-space tokens, repetition and the number of words on those of UAX 29 (its `uniseg`); stop words
#              counted by occurrence in any case
DATAPIPE, DATATROVE, DOLMA, DCLM = range(4)
DEFINITIONS = {"datapipe": DATAPIPE, "datatrove": DATATROVE, "dolma": DOLMA, "dclm": DCLM}

COUNT, SHARE = np.int32, np.float32


def _ngrams(unit: str, what: str) -> dict[str, tuple[type, str]]:
    """The measures of n-grams, in the order in which the kernel writes them."""
    kinds = [("top", "code points of the commonest", n) for n in range(2, 5)]
    kinds += [("duplicate", "code points in repeated", n) for n in range(5, 11)]
    return {f"{kind}_{n}{unit}_share": (SHARE, f"{counted} {n}-grams {what}, of all") for kind, counted, n in kinds}


MEASUREMENTS: dict[str, tuple[type, str]] = {
    # size
    "characters": (COUNT, "code points"),
    "words": (COUNT, "tokens that are not symbols only (dolma: all tokens)"),
    "lines": (COUNT, "lines that are not blank"),
    "mean_word_length": (SHARE, "code points a word"),
    "median_word_length": (SHARE, "median code points a word"),
    "mean_line_length": (SHARE, "code points a line, without blank lines and white space around lines"),
    "mean_whole_line_length": (SHARE, "code points a line, of all lines, all of them (RedPajama, StarCoder)"),
    "max_line_length": (COUNT, "code points of the longest line"),
    "long_lines": (COUNT, "lines of at least 200 code points (mC4)"),
    # Gopher quality (Rae et al. 2021, A.1.1)
    "hash_ratio": (SHARE, "'#' a token"),
    "ellipsis_ratio": (SHARE, "'...' and '…' a token"),
    "symbol_ratio": (
        SHARE,
        "hash_ratio + ellipsis_ratio (dolma: share of tokens that hold '#' or '…'; dclm: also '. . .')",
    ),
    "bullet_line_share": (SHARE, "lines that start with a bullet"),
    "ellipsis_line_share": (SHARE, "lines that end in an ellipsis"),
    "alphabetic_word_share": (SHARE, "tokens with a letter"),
    "stop_words": (COUNT, "distinct stop words of the document's language; null where none are known"),
    # Gopher repetition (Rae et al. 2021, A.1.1)
    "duplicate_line_share": (SHARE, "lines that repeat an earlier one"),
    "duplicate_line_character_share": (SHARE, "their code points, of all"),
    "duplicate_paragraph_share": (SHARE, "paragraphs (between blank lines) that repeat an earlier one"),
    "duplicate_paragraph_character_share": (SHARE, "their code points, of all"),
    **_ngrams("gram", "of tokens, with a space between tokens"),
    # C4 (Raffel et al. 2020, 2.2)
    "sentences": (COUNT, "runs of terminal punctuation that end a sentence"),
    "lorem_ipsum": (COUNT, "'lorem ipsum' in any case"),
    "curly_brackets": (COUNT, "'{'"),
    "javascript": (COUNT, "'javascript' in any case"),
    "policy_phrases": (COUNT, "phrases of cookie and privacy notices, as C4"),
    # FineWeb (Penedo et al. 2024, 3.5)
    "terminal_punctuation_line_share": (
        SHARE,
        "lines that hold a sentence, by code points (others: that end in terminal punctuation, by number)",
    ),
    "short_line_share": (SHARE, "lines of at most 30 code points"),
    "duplicate_character_share": (SHARE, "code points of repeated lines, of all but line breaks"),
    "newline_word_ratio": (SHARE, "line breaks a token, blank lines ignored (others: all line breaks)"),
    # any script
    "han_share": (SHARE, "Han characters, kana and bopomofo, of all but white space"),
    "digit_share": (SHARE, "digits and other numbers, of all but white space"),
    "alphanumeric_share": (SHARE, "letters and digits, of all (RedPajama, StarCoder)"),
    "letters_per_token": (
        SHARE,
        "letters a lexical token: a run of letters, a run of digits, or one symbol (RedPajama counts a tokenizer's)",
    ),
    "letter_pair_lift": (SHARE, "how far letters depend on each other, see `letter_pairs.py`; null below 100 letters"),
    "mean_run_length": (SHARE, "code points between white space, of runs but those in Latin letters alone"),
    "notice_share": (SHARE, "code points of sentences that give notice of cookies, terms, rights; see `notices.py`"),
    "advert_share": (SHARE, "code points of sentences that advertise"),
    "exclamation_share": (SHARE, "code points of sentences that end in '!'"),
    # Chinese only, null for other languages (MAP-NEO; ChineseWebText)
    "punctuation_marks": (COUNT, "punctuation and symbols"),
    "bracket_share": (SHARE, "code points inside 【】, of all"),
    "hash_run_share": (SHARE, "runs of '#', a code point"),
    "ellipsis_share": (SHARE, "'...' and '…', a code point"),
    "continuation_line_share": (SHARE, "lines that end in 展开, 更多 or 'readmore'"),
    "unique_character_share": (SHARE, "distinct letters and digits, of all letters and digits"),
    "character_entropy": (SHARE, "entropy of the letters and digits, in nats"),
    "repeated_13gram_share": (SHARE, "13-grams of letters and digits that occur more than once, all copies"),
    "traditional_share": (SHARE, "characters that OpenCC writes otherwise in simplified script, of all Han characters"),
    **_ngrams("character", "of letters and digits"),
}
CHINESE_ONLY = tuple(MEASUREMENTS)[tuple(MEASUREMENTS).index("punctuation_marks") :]
SCHEMA = pa.schema([(name, pa.from_numpy_dtype(kind)) for name, (kind, _) in MEASUREMENTS.items()])


@functools.cache
def row_type() -> np.dtype[Any]:
    """A document's measures as the kernel writes them: the nine n-gram shares of a unit, side by side, as one array."""
    fields: list[Any] = []
    for name, (kind, _) in MEASUREMENTS.items():
        unit = next((unit for unit in ("gram", "character") if name in _ngrams(unit, "")), None)
        if unit is None:
            fields.append((name, kind))
        elif name.startswith("top_2"):
            fields.append((f"{unit}_shares", kind, 9))
    return np.dtype(fields)


# Three times a short text may name what it is about: of Chinese abstracts of 65 to 350 characters one in ten holds a
# term of four words three times, which then takes more than FineWeb-2's 0.171 of it.
FEWEST_MENTIONS = 4
SHORT_LINE = 30  # code points; FineWeb
LONG_LINE = 200  # code points; mC4
LONGEST_NOTE = 40  # code points: "[citation needed]" and what it is in other languages
LONGEST_STOP_WORD = 4  # tokens, where these are single letters with their marks
MAX_STOP_WORDS = 64  # a language: they are bits of one number
_BULLETS = {DATAPIPE: "•‣▶◀◦■□▪▫●○·*-", DATATROVE: "•-", DOLMA: "*-", DCLM: "●•*-"}
# What datatrove takes for punctuation besides what ends a sentence (`PUNCTUATION` in its utils/text.py).
_DATATROVE_PUNCTUATION = (
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
    + "".join(map(chr, (*range(9), *range(11, 32), *range(127, 160))))
)
PHRASES = ("lorem ipsum", "javascript", *POLICY_PHRASES)
READ_ON = ("展开", "更多", "readmore", "read more")


@functools.cache
def mark_table(definition: int) -> npt.NDArray[np.uint8]:
    """What each code point does, shape (0x110000,): ends a sentence, closes a quote, is a bullet or a symbol."""
    marks = sentence_marks().copy()
    marks[[ord(c) for c in _BULLETS[definition]]] |= BULLET
    marks[traditional_points()] |= TRADITIONAL
    marks[first_points()] |= STEM
    if definition == DATAPIPE:
        marks[(class_table() & (LETTER | DIGIT)) == 0] |= SYMBOL
    elif definition == DATATROVE:
        marks[ord("…")] &= ~np.uint8(TERMINAL)
        marks[[ord(c) for c in CLOSERS]] &= ~np.uint8(CLOSING)
        marks[[*terminal_points(), *map(ord, _DATATROVE_PUNCTUATION)]] |= SYMBOL
    marks.flags.writeable = False
    return marks


@functools.cache
def stop_table(
    lists: tuple[tuple[str, tuple[str, ...]], ...],
) -> tuple[npt.NDArray[np.uint64], dict[str, tuple[int, int, int]]]:
    """The hashes that the kernel gives all stop words; where each language's lie, and the length of its longest one."""
    hashes: list[int] = []
    bounds: dict[str, tuple[int, int, int]] = {}
    for language, listed in lists:
        start = len(hashes)
        lowered = list(dict.fromkeys(word.lower() for word in listed))
        hashes += map(text_hash, lowered)
        bounds[language] = (start, len(hashes), max(map(len, lowered)))
    return np.array(hashes, np.uint64), bounds
