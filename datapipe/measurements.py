"""Measure documents: every number that the rule filters of the field ask of a text, in one pass over the Arrow buffers.

Measurements and decisions are separate stages, so that a new threshold (`rules.py`) recomputes no measurement. Nothing
is removed here. `words.py` says what a word is.

The n-gram measures hash: a polynomial prefix hash of the code points gives the hash of any token, line or paragraph,
and a second one over the tokens' hashes that of any n-gram, both in constant time. 64 bits make a false repetition in a
document of a million words less likely than 1 in 10^7.
"""

import dataclasses
import difflib
import functools
from typing import Any, ClassVar, NamedTuple

import apache_beam as beam
import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import regex

from datapipe import words
from datapipe.characters import (
    DIGIT,
    HAN,
    LETTER,
    MARK,
    PUNCTUATION,
    SPACE,
    class_table,
    decode,
    lower_table,
    text_buffers,
)
from datapipe.corpus import append_columns
from datapipe.words import CHARACTERS, GIVEN, UNICODE, WHITESPACE

# Whose definitions of Gopher's measures to follow. "datapipe" follows datatrove, since the published thresholds of
# FineWeb and FineWeb-2 were fitted with it, and repairs it where it misjudges good text:
#
#   datapipe   copies after the first; white space around lines ignored, empty lines not counted; a top n-gram counts
#              only if it occurs twice; distinct stop words of the document's own language in any case; more bullets
#   datatrove  as datatrove 0.10: raw lines; distinct English stop words in their own case whatever the language; its
#              list of punctuation decides which tokens are no words; a top n-gram may occur once
#   dolma      as dolma's gopher tagger: all copies; characters other than white space; raw lines; stop words counted by
#              occurrence; symbols by the words that hold them; only "…" is an ellipsis; no paragraph measures
#   dclm       as DCLM's RefinedWeb filters: all copies; each word covered by a repeated n-gram counts once; quality on
#              white-space tokens, repetition and the number of words on `unicode` ones without symbols; stop words
#              counted by occurrence in any case
DATAPIPE, DATATROVE, DOLMA, DCLM = range(4)
DEFINITIONS = {"datapipe": DATAPIPE, "datatrove": DATATROVE, "dolma": DOLMA, "dclm": DCLM}

COUNT, SHARE = np.int32, np.float32
MEASUREMENTS: dict[str, tuple[type, str]] = {
    # size
    "characters": (COUNT, "code points"),
    "words": (COUNT, "tokens that are not symbols only (dolma: all tokens)"),
    "lines": (COUNT, "lines that are not blank"),
    "mean_word_length": (SHARE, "code points a word"),
    "median_word_length": (SHARE, "median code points a word"),
    "mean_line_length": (SHARE, "code points a line, without blank lines and white space around lines"),
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
    "alphabetic_word_share": (SHARE, "tokens with a letter, of all but symbols that touch a word"),
    "stop_words": (COUNT, "distinct stop words of the document's language; null where none are known"),
    # Gopher repetition (Rae et al. 2021, A.1.1)
    "duplicate_line_share": (SHARE, "lines that repeat an earlier one"),
    "duplicate_line_character_share": (SHARE, "their code points, of all"),
    "duplicate_paragraph_share": (SHARE, "paragraphs (between blank lines) that repeat an earlier one"),
    "duplicate_paragraph_character_share": (SHARE, "their code points, of all"),
    **{
        f"top_{n}gram_share": (
            SHARE,
            f"code points of the commonest {n}-gram of tokens, with one space between tokens, of all",
        )
        for n in (2, 3, 4)
    },
    **{
        f"duplicate_{n}gram_share": (SHARE, f"code points in repeated {n}-grams of tokens, of all")
        for n in range(5, 11)
    },
    # C4 (Raffel et al. 2020, 2.2)
    "sentences": (COUNT, "runs of terminal punctuation that end a sentence"),
    "lorem_ipsum": (COUNT, "'lorem ipsum' in any case"),
    "curly_brackets": (COUNT, "'{'"),
    "javascript": (COUNT, "'javascript' in any case"),
    "policy_phrases": (COUNT, "phrases of cookie and privacy notices, as C4"),
    # FineWeb (Penedo et al. 2024, 3.5)
    "terminal_punctuation_line_share": (
        SHARE,
        "lines that end in terminal punctuation, closing quotes and brackets ignored",
    ),
    "short_line_share": (SHARE, "lines of at most 30 code points"),
    "duplicate_character_share": (SHARE, "code points of repeated lines, of all but line breaks"),
    "newline_word_ratio": (SHARE, "line breaks a token"),
    # any script
    "han_share": (SHARE, "Han characters, kana and bopomofo, of all but white space"),
    "digit_share": (SHARE, "digits and other numbers, of all but white space"),
    "alphanumeric_share": (SHARE, "letters and digits, of all (RedPajama, StarCoder)"),
    "letters_per_token": (
        SHARE,
        "letters a lexical token: a run of letters, a run of digits, or one symbol (RedPajama counts a tokenizer's)",
    ),
    # Chinese only, null for other languages (MAP-NEO; ChineseWebText)
    "punctuation_marks": (COUNT, "punctuation and symbols"),
    "bracket_share": (SHARE, "code points inside 【】, of all"),
    "hash_run_share": (SHARE, "runs of '#', a code point"),
    "ellipsis_share": (SHARE, "'...' and '…', a code point"),
    "continuation_line_share": (SHARE, "lines that end in 展开, 更多 or 'readmore'"),
    "unique_character_share": (SHARE, "distinct code points, of all but white space"),
    "character_entropy": (SHARE, "entropy of the code points but white space, in nats"),
    "repeated_13gram_share": (SHARE, "13-grams of code points but white space that occur more than once, all copies"),
    **{
        f"top_{n}character_share": (SHARE, f"as top_{n}gram_share, of single characters, no space between")
        for n in (2, 3, 4)
    },
    **{
        f"duplicate_{n}character_share": (SHARE, f"as duplicate_{n}gram_share, of single characters")
        for n in range(5, 11)
    },
}
CHINESE_ONLY = tuple(MEASUREMENTS)[tuple(MEASUREMENTS).index("punctuation_marks") :]
SCHEMA = pa.schema([(name, pa.from_numpy_dtype(kind)) for name, (kind, _) in MEASUREMENTS.items()])
_ROW = np.dtype([(name, kind) for name, (kind, _) in MEASUREMENTS.items()])

SHORT_LINE = 30  # code points; FineWeb
LONG_LINE = 200  # code points; mC4
LONGEST_STOP_WORD = 16  # code points
MOST_STOP_WORDS = 64  # a language: they are bits of one number
_TERMINAL, _CLOSING, _BULLET, _SYMBOL, _WIDE_TERMINAL = 1, 2, 4, 8, 16
_BULLETS = {DATAPIPE: "•‣▶◀◦■□▪▫●○·*-", DATATROVE: "•-", DOLMA: "*-", DCLM: "●•*-"}
_CLOSERS = "\"'”’»›)]}」』】》〉）］｝"
_WIDE_TERMINALS = "。！？．｡…"  # they need no space after them
_DATATROVE_PUNCTUATION = (
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
    + "".join(map(chr, (*range(9), *range(11, 32), *range(127, 160))))
)
# datatrove's terminal marks are Unicode's property Sentence_Terminal and these Khmer signs.
_KHMER_TERMINALS = "៖៙៚"
_PHRASES = (
    "lorem ipsum",
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
_HASH_BASE = np.uint64(0x9E3779B97F4A7C15)
_TOKEN_BASE = np.uint64(0xD6E8FEB86659FD93)
_LEAST_SLOTS = 16


@functools.cache
def _mark_table(definition: int) -> npt.NDArray[np.uint8]:
    """What each code point does, shape (0x110000,): ends a sentence, closes a quote, is a bullet or a symbol."""
    table = np.zeros(0x110000, np.uint8)
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x20000))))
    terminal = [ord(c) for c in regex.findall(r"\p{Sentence_Terminal}", every) + list(_KHMER_TERMINALS)]
    table[terminal] |= _TERMINAL
    if definition != DATATROVE:
        table[ord("…")] |= _TERMINAL
        table[[ord(c) for c in _CLOSERS]] |= _CLOSING
    table[[ord(c) for c in _WIDE_TERMINALS]] |= _WIDE_TERMINAL
    table[[ord(c) for c in _BULLETS[definition]]] |= _BULLET
    if definition == DATATROVE:
        table[[ord(c) for c in _DATATROVE_PUNCTUATION]] |= _SYMBOL
        table[terminal] |= _SYMBOL
    elif definition == DATAPIPE:
        table[(class_table() & (LETTER | DIGIT)) == 0] |= _SYMBOL
    table.flags.writeable = False
    return table


def _word_hash(word: str) -> np.uint64:
    """The hash that the kernel gives the lower-cased code points of a word."""
    value = 0
    for character in word:
        value = (value * int(_HASH_BASE) + ord(character) + 1) & 0xFFFFFFFFFFFFFFFF
    return np.uint64(value)


class _Scratch(NamedTuple):
    """Working memory for one document at a time, sized for the longest of the batch."""

    points: npt.NDArray[np.int32]  # code points
    prefix: npt.NDArray[np.uint64]  # prefix[i]: hash of the first i code points
    powers: npt.NDArray[np.uint64]  # powers of the hash base
    starts: npt.NDArray[np.int32]  # of tokens, lines or paragraphs, in code points
    ends: npt.NDArray[np.int32]
    before: npt.NDArray[np.int64]  # before[i]: code points in the first i tokens
    spaced: npt.NDArray[np.uint64]  # spaced[i]: hash of the sequence of the first i tokens
    joined: npt.NDArray[np.uint64]  # joined[i]: hash of the first i tokens written without spaces
    keys: npt.NDArray[np.uint64]  # an open-addressing hash table: keys, ...
    counts: npt.NDArray[np.int32]  # ... how often each was seen, ...
    firsts: npt.NDArray[np.int32]  # ... where first, ...
    stamps: npt.NDArray[np.int64]  # ... and which use of the table wrote the slot, so that it is never cleared
    use: npt.NDArray[np.int64]  # the number of the present use, shape (1,)


def _new_scratch(longest: int) -> _Scratch:
    slots = _LEAST_SLOTS
    while slots < 2 * longest:
        slots *= 2
    powers = np.full(longest + 1, _HASH_BASE)
    powers[0] = 1
    return _Scratch(
        points=np.empty(longest + 1, np.int32),
        prefix=np.zeros(longest + 1, np.uint64),
        powers=np.multiply.accumulate(powers),
        starts=np.empty(longest + 1, np.int32),
        ends=np.empty(longest + 1, np.int32),
        before=np.zeros(longest + 2, np.int64),
        spaced=np.zeros(longest + 2, np.uint64),
        joined=np.zeros(longest + 2, np.uint64),
        keys=np.empty(slots, np.uint64),
        counts=np.empty(slots, np.int32),
        firsts=np.empty(slots, np.int32),
        stamps=np.zeros(slots, np.int64),
        use=np.zeros(1, np.int64),
    )


@numba.njit(cache=True, nogil=True, inline="always")
def _mix(value: np.uint64) -> np.uint64:
    value ^= value >> np.uint64(32)
    value *= _TOKEN_BASE
    return value ^ (value >> np.uint64(29))


@numba.njit(cache=True, nogil=True, inline="always")
def _span_hash(s: _Scratch, start: int, end: int) -> np.uint64:
    return np.uint64(s.prefix[end] - s.prefix[start] * s.powers[end - start])


@numba.njit(cache=True, nogil=True)
def _new_table(s: _Scratch, entries: int) -> int:
    """Empty the hash table; returns the mask to index it with, small for few entries so that it stays in the cache."""
    s.use[0] += 1
    slots = _LEAST_SLOTS
    while slots < 2 * entries:
        slots *= 2
    return slots - 1


@numba.njit(cache=True, nogil=True)
def _add(s: _Scratch, mask: int, key: np.uint64, first: int) -> int:
    """Count a key in the hash table and return its slot."""
    use = s.use[0]
    at = int(np.int64(_mix(key)) & mask)
    while s.stamps[at] == use and s.keys[at] != key:
        at = (at + 1) & mask
    if s.stamps[at] != use:
        s.stamps[at] = use
        s.keys[at] = key
        s.counts[at] = 0
        s.firsts[at] = first
    s.counts[at] += 1
    return at


@numba.njit(cache=True, nogil=True)
def _split_words(
    s: _Scratch, length: int, classes: npt.NDArray[np.uint8], kind: int, given: npt.NDArray[np.int32]
) -> int:
    """Fill `starts` and `ends` with the tokens of the document; returns their number."""
    points, tokens, at = s.points, 0, 0
    word = LETTER | DIGIT | MARK
    if kind == GIVEN:
        for end in given:
            if not classes[points[at]] & SPACE:
                s.starts[tokens], s.ends[tokens] = at, end
                tokens += 1
            at = end
        return tokens
    while at < length:
        flags = classes[points[at]]
        if flags & SPACE:
            at += 1
            continue
        start = at
        at += 1
        if kind == WHITESPACE:
            while at < length and not classes[points[at]] & SPACE:
                at += 1
        elif flags & word or points[at - 1] == 95:  # _
            if flags & HAN or kind == CHARACTERS:
                while at < length and classes[points[at]] & MARK:
                    at += 1
            else:
                while at < length and _continues_word(points, at, length, classes):
                    at += 1
        else:
            while at < length and not classes[points[at]] & (SPACE | word) and points[at] != 95:
                at += 1
            alone = (start == 0 or classes[points[start - 1]] & SPACE) and (at == length or classes[points[at]] & SPACE)
            if not alone:
                continue
        s.starts[tokens], s.ends[tokens] = start, at
        tokens += 1
    return tokens


@numba.njit(cache=True, nogil=True, inline="always")
def _continues_word(points: npt.NDArray[np.int32], at: int, length: int, classes: npt.NDArray[np.uint8]) -> bool:
    """Whether the code point at `at` belongs to the word that stands right before it (definition `unicode`)."""
    point, flags = points[at], classes[points[at]]
    if flags & HAN:
        return False
    if flags & (LETTER | DIGIT | MARK) or point == 95:
        return True
    if point in (0x200C, 0x200D, 0xAD):  # zero-width joiners, as in Persian, and the soft hyphen
        return True
    if at + 1 == length:
        return False
    previous, following = classes[points[at - 1]], classes[points[at + 1]]
    if point in (0x27, 0x2019):
        return bool(previous & (LETTER | MARK)) and bool(following & LETTER) and not following & HAN
    return point in (0x2C, 0x2E) and bool(previous & DIGIT) and bool(following & DIGIT)


@numba.njit(cache=True, nogil=True)
def _hash_tokens(s: _Scratch, tokens: int) -> None:
    for i in range(tokens):
        start, end = s.starts[i], s.ends[i]
        value = _span_hash(s, start, end)
        s.before[i + 1] = s.before[i] + (end - start)
        s.spaced[i + 1] = s.spaced[i] * _TOKEN_BASE + _mix(value)
        s.joined[i + 1] = s.joined[i] * s.powers[end - start] + value


@numba.njit(cache=True, nogil=True)
def _token_power(n: int) -> np.uint64:
    power = np.uint64(1)
    for _ in range(n):
        power *= _TOKEN_BASE
    return power


@numba.njit(cache=True, nogil=True)
def _top_ngram(s: _Scratch, tokens: int, n: int, longest_of_ties: bool) -> tuple[int, int]:
    """Occurrences of the commonest n-gram and its code points; of ties the first, or the longest."""
    mask, power = _new_table(s, tokens), _token_power(n)
    best, best_first, best_length = 0, 0, 0
    for i in range(tokens - n + 1):
        at = _add(s, mask, s.spaced[i + n] - s.spaced[i] * power, i)
        count, first = s.counts[at], s.firsts[at]
        length = s.before[first + n] - s.before[first]
        if count > best or (count == best and (length > best_length if longest_of_ties else first < best_first)):
            best, best_first, best_length = count, first, length
    return best, best_length


@numba.njit(cache=True, nogil=True)
def _later_copies(s: _Scratch, tokens: int, n: int, joined: bool) -> int:
    """Code points in n-grams seen before, from left to right; one that is found is skipped whole, as in datatrove."""
    mask, power = _new_table(s, tokens), _token_power(n)
    total, i = 0, 0
    while i < tokens - n + 1:
        length = s.before[i + n] - s.before[i]
        sequence, base = (s.joined, s.powers[length]) if joined else (s.spaced, power)
        key = sequence[i + n] - sequence[i] * base
        if s.counts[_add(s, mask, key, i)] > 1:
            total += length
            i += n
        else:
            i += 1
    return total


@numba.njit(cache=True, nogil=True)
def _all_copies(s: _Scratch, tokens: int, n: int) -> float:
    """Code points of all occurrences of n-grams that occur more than once, of those of all n-grams (dolma)."""
    mask, power = _new_table(s, tokens), _token_power(n)
    repeated, total = 0, 0
    for i in range(tokens - n + 1):
        length = s.before[i + n] - s.before[i]
        count = s.counts[_add(s, mask, s.spaced[i + n] - s.spaced[i] * power, i)]
        repeated += length * (2 if count == 2 else count > 2)
        total += length
    return repeated / total if total else 0.0


@numba.njit(cache=True, nogil=True)
def _covered(s: _Scratch, tokens: int, n: int) -> int:
    """Code points of the tokens inside any n-gram that occurs more than once (DCLM)."""
    mask, power = _new_table(s, tokens), _token_power(n)
    for i in range(tokens - n + 1):
        _add(s, mask, s.spaced[i + n] - s.spaced[i] * power, i)
    total, covered_to = 0, 0
    for i in range(tokens - n + 1):
        at = _add(s, mask, s.spaced[i + n] - s.spaced[i] * power, i)
        s.counts[at] -= 1
        if s.counts[at] > 1:
            total += s.before[i + n] - s.before[max(i, covered_to)]
            covered_to = i + n
    return total


@numba.njit(cache=True, nogil=True)
def _top_share(s: _Scratch, tokens: int, n: int, definition: int, characters: int, space: int) -> float:
    count, length = _top_ngram(s, tokens, n, definition == DCLM)
    if count == 0 or (count == 1 and definition in (DATAPIPE, DCLM)):
        return 0.0
    if definition in (DATAPIPE, DATATROVE):
        return (length + space * (n - 1)) * count / characters
    return length * count / s.before[tokens]


@numba.njit(cache=True, nogil=True)
def _duplicate_share(s: _Scratch, tokens: int, n: int, definition: int, characters: int) -> float:
    if definition == DOLMA:
        return _all_copies(s, tokens, n)
    if tokens < n:
        return 0.0
    if definition == DCLM:
        return _covered(s, tokens, n) / s.before[tokens]
    return _later_copies(s, tokens, n, definition == DATATROVE) / characters


@numba.njit(cache=True, nogil=True)
def _measure_repetition(s: _Scratch, tokens: int, definition: int, characters: int, row: Any) -> None:
    row.top_2gram_share = _top_share(s, tokens, 2, definition, characters, 1)
    row.top_3gram_share = _top_share(s, tokens, 3, definition, characters, 1)
    row.top_4gram_share = _top_share(s, tokens, 4, definition, characters, 1)
    row.duplicate_5gram_share = _duplicate_share(s, tokens, 5, definition, characters)
    if row.duplicate_5gram_share == 0 and definition != DATATROVE:
        return  # then no longer one repeats either
    row.duplicate_6gram_share = _duplicate_share(s, tokens, 6, definition, characters)
    row.duplicate_7gram_share = _duplicate_share(s, tokens, 7, definition, characters)
    row.duplicate_8gram_share = _duplicate_share(s, tokens, 8, definition, characters)
    row.duplicate_9gram_share = _duplicate_share(s, tokens, 9, definition, characters)
    row.duplicate_10gram_share = _duplicate_share(s, tokens, 10, definition, characters)


@numba.njit(cache=True, nogil=True)
def _measure_chinese(s: _Scratch, length: int, classes: npt.NDArray[np.uint8], row: Any) -> None:
    """Measures over single code points but white space."""
    tokens = 0
    for i in range(length):
        if not classes[s.points[i]] & SPACE:
            s.starts[tokens], s.ends[tokens] = i, i + 1
            tokens += 1
    if not tokens:
        return
    _hash_tokens(s, tokens)
    mask, distinct, entropy = _new_table(s, tokens), 0, np.log(tokens)
    for i in range(tokens):
        point = s.points[s.starts[i]]
        count = s.counts[_add(s, mask, np.uint64(point), i)]
        distinct += count == 1
        # The sum of count * log(count) over all code points, by its increments.
        entropy -= (count * np.log(count) - (count - 1) * np.log(max(count - 1, 1))) / tokens
    row.unique_character_share = distinct / tokens
    row.character_entropy = entropy
    row.repeated_13gram_share = _all_copies(s, tokens, 13)
    row.top_2character_share = _top_share(s, tokens, 2, DATAPIPE, length, 0)
    row.top_3character_share = _top_share(s, tokens, 3, DATAPIPE, length, 0)
    row.top_4character_share = _top_share(s, tokens, 4, DATAPIPE, length, 0)
    row.duplicate_5character_share = _later_copies(s, tokens, 5, False) / length
    row.duplicate_6character_share = _later_copies(s, tokens, 6, False) / length
    row.duplicate_7character_share = _later_copies(s, tokens, 7, False) / length
    row.duplicate_8character_share = _later_copies(s, tokens, 8, False) / length
    row.duplicate_9character_share = _later_copies(s, tokens, 9, False) / length
    row.duplicate_10character_share = _later_copies(s, tokens, 10, False) / length


@numba.njit(cache=True, nogil=True)
def _measure_words(
    s: _Scratch,
    length: int,
    tokens: int,
    classes: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
    marks: npt.NDArray[np.uint8],
    stop_words: npt.NDArray[np.uint64],
    definition: int,
    row: Any,
) -> None:
    lengths = np.empty(tokens, np.int32)
    word_count, word_characters, alphabetic, symbolic, attached, occurrences = 0, 0, 0, 0, 0, 0
    seen = np.uint64(0)
    for i in range(tokens):
        start, end = s.starts[i], s.ends[i]
        has_letter, is_word, holds_symbol = False, False, False
        for j in range(start, end):
            point = s.points[j]
            has_letter |= (classes[point] & LETTER) != 0
            is_word |= (marks[point] & _SYMBOL) == 0
            holds_symbol |= point in (0x23, 0x2026)
        alphabetic += has_letter
        symbolic += holds_symbol
        if definition == DATAPIPE and not is_word:
            before = start == 0 or classes[s.points[start - 1]] & SPACE
            attached += not (before and (end == length or classes[s.points[end]] & SPACE))
        if is_word:
            lengths[word_count] = end - start
            word_count += 1
            word_characters += end - start
        if end - start <= LONGEST_STOP_WORD:
            value = np.uint64(0)
            for j in range(start, end):
                point = s.points[j]
                if definition in (DATAPIPE, DCLM):
                    point = lower[point]
                value = value * _HASH_BASE + np.uint64(point) + np.uint64(1)
            for k in range(len(stop_words)):
                if stop_words[k] == value:
                    seen |= np.uint64(1) << np.uint64(k)
                    occurrences += 1
                    break
    row.words = word_count
    if word_count:
        row.mean_word_length = word_characters / word_count
        row.median_word_length = np.median(lengths[:word_count])
    row.alphabetic_word_share = alphabetic / max(tokens - attached, 1)
    distinct = 0
    while seen:
        seen &= seen - np.uint64(1)
        distinct += 1
    row.stop_words = distinct if definition in (DATAPIPE, DATATROVE) else occurrences
    row.symbol_ratio = symbolic / max(tokens, 1)  # dolma's; the others' needs the whole text


@numba.njit(cache=True, nogil=True)
def _measure_characters(
    s: _Scratch,
    length: int,
    tokens: int,
    classes: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
    marks: npt.NDArray[np.uint8],
    phrases: npt.NDArray[np.int32],
    phrase_bounds: npt.NDArray[np.int64],
    definition: int,
    row: Any,
) -> int:
    """Everything that counts code points, whatever the words; returns the code points that are not white space."""
    points = s.points
    letters, digits, han, visible, newlines, punctuation, lexical = 0, 0, 0, 0, 0, 0, 0
    hashes, hash_runs, dots, ellipses, spaced_ellipses, spaced_end = 0, 0, 0, 0, 0, 0
    brackets, bracket_open, sentence_end = 0, -1, 0
    previous_flags = np.uint8(0)
    for i in range(length):
        point = points[i]
        flags = classes[point]
        visible += (flags & SPACE) == 0
        letters += (flags & LETTER) != 0
        digits += (flags & DIGIT) != 0
        han += (flags & HAN) != 0
        punctuation += (flags & PUNCTUATION) != 0
        newlines += point == 10
        if flags & (LETTER | DIGIT):
            lexical += (flags & (LETTER | DIGIT)) != (previous_flags & (LETTER | DIGIT))
        elif not flags & (SPACE | MARK):
            lexical += 1
        if not flags & MARK:
            previous_flags = flags
        if point == 35:  # #
            hashes += 1
            hash_runs += i == 0 or points[i - 1] != 35
        elif point == 46:  # .
            dots += 1
            if dots == 3:
                ellipses += 1
                dots = 0
            apart = i - 4 >= spaced_end and points[i - 1] == 32 and points[i - 3] == 32
            if apart and points[i - 2] == 46 and points[i - 4] == 46:
                spaced_ellipses += 1
                spaced_end = i + 1
        elif point == 0x2026:
            ellipses += 1
        elif point == 0x7B:
            row.curly_brackets += 1
        elif point == 0x3010:  # 【
            if bracket_open < 0:
                bracket_open = i
        elif point == 0x3011 and bracket_open >= 0:  # 】
            brackets += i - bracket_open + 1
            bracket_open = -1
        if point != 46:
            dots = 0
        if marks[point] & _TERMINAL and i >= sentence_end:
            wide, sentence_end = False, i
            while sentence_end < length and marks[points[sentence_end]] & _TERMINAL:
                wide |= (marks[points[sentence_end]] & _WIDE_TERMINAL) != 0
                sentence_end += 1
            while sentence_end < length and marks[points[sentence_end]] & _CLOSING:
                sentence_end += 1
            row.sentences += wide or sentence_end == length or (classes[points[sentence_end]] & SPACE) != 0
        lowered = lower[point]
        for k in range(len(phrase_bounds) - 1):
            first, end = phrase_bounds[k], phrase_bounds[k + 1]
            if phrases[first] == lowered and i + (end - first) <= length:
                j = first + 1
                while j < end and lower[points[i + j - first]] == phrases[j]:
                    j += 1
                if j == end:
                    row.lorem_ipsum += k == 0
                    row.javascript += k == 1
                    row.policy_phrases += k > 1
    row.characters = length
    row.hash_ratio = hashes / max(tokens, 1)
    row.ellipsis_ratio = ellipses / max(tokens, 1)
    if definition != DOLMA:
        symbols = hashes + ellipses + (spaced_ellipses if definition == DCLM else 0)
        row.symbol_ratio = symbols / max(tokens, 1)
    row.newline_word_ratio = newlines / max(tokens, 1)
    row.han_share = han / max(visible, 1)
    row.digit_share = digits / max(visible, 1)
    row.alphanumeric_share = (letters + digits) / max(length, 1)
    row.letters_per_token = letters / max(lexical, 1)
    row.punctuation_marks = punctuation
    row.bracket_share = brackets / max(length, 1)
    row.hash_run_share = hash_runs / max(length, 1)
    row.ellipsis_share = ellipses / max(length, 1)
    return visible


@numba.njit(cache=True, nogil=True, inline="always")
def _strip(s: _Scratch, start: int, end: int, classes: npt.NDArray[np.uint8]) -> tuple[int, int]:
    while start < end and classes[s.points[start]] & SPACE:
        start += 1
    while start < end and classes[s.points[end - 1]] & SPACE:
        end -= 1
    return start, end


@numba.njit(cache=True, nogil=True)
def _split_lines(s: _Scratch, start: int, length: int, break_run: int, unbroken: bool) -> int:
    """Fill `starts` and `ends` with the pieces between runs of line breaks; returns their number.

    A run shorter than `break_run` breaks nothing; with `unbroken` a longer run breaks once, else at each line break.
    """
    pieces, at = 0, start
    while at < length:
        if s.points[at] != 10:
            at += 1
            continue
        run = at
        while run < length and s.points[run] == 10 and (unbroken or run == at):
            run += 1
        if run - at >= break_run:
            s.starts[pieces], s.ends[pieces] = start, at
            pieces += 1
            start = run
        at = run
    s.starts[pieces], s.ends[pieces] = start, length
    return pieces + 1


@numba.njit(cache=True, nogil=True)
def _keep_visible(s: _Scratch, pieces: int, classes: npt.NDArray[np.uint8], strip: bool) -> int:
    """Drop blank pieces, and white space around the others if `strip`; returns the number left."""
    kept = 0
    for i in range(pieces):
        start, end = _strip(s, s.starts[i], s.ends[i], classes)
        if start < end:
            s.starts[kept], s.ends[kept] = (start, end) if strip else (s.starts[i], s.ends[i])
            kept += 1
    return kept


@numba.njit(cache=True, nogil=True)
def _duplicates(s: _Scratch, pieces: int, all_copies: bool) -> tuple[int, int]:
    """How many pieces repeat another, and their code points."""
    mask = _new_table(s, pieces)
    repeated, characters = 0, 0
    for i in range(pieces):
        length = s.ends[i] - s.starts[i]
        count = s.counts[_add(s, mask, _span_hash(s, s.starts[i], s.ends[i]), i)]
        copies = 0
        if count > 1:
            copies = 2 if all_copies and count == 2 else 1
        repeated += copies
        characters += copies * length
    return repeated, characters


@numba.njit(cache=True, nogil=True)
def _measure_segments(
    s: _Scratch, length: int, visible: int, classes: npt.NDArray[np.uint8], definition: int, row: Any
) -> None:
    """Repeated lines and paragraphs."""
    all_copies = definition in (DOLMA, DCLM)
    whole = visible if definition == DOLMA else length

    pieces = _split_lines(s, 0, length, 1, definition == DATATROVE)
    if definition in (DATAPIPE, DCLM):
        pieces = _keep_visible(s, pieces, classes, True)
    repeated, characters = _duplicates(s, pieces, all_copies)
    if definition == DCLM:
        whole = _total(s, pieces)
    row.duplicate_line_share = repeated / max(pieces, 1)
    row.duplicate_line_character_share = characters / max(whole, 1)

    if definition == DOLMA:
        return
    start, end = _strip(s, 0, length, classes)
    pieces = _split_lines(s, start, end, 2, True)
    if definition != DATATROVE:
        pieces = _keep_visible(s, pieces, classes, True)
    repeated, characters = _duplicates(s, pieces, all_copies)
    if definition == DCLM:
        whole = _total(s, pieces)
    row.duplicate_paragraph_share = repeated / max(pieces, 1)
    row.duplicate_paragraph_character_share = characters / max(whole, 1)


@numba.njit(cache=True, nogil=True)
def _total(s: _Scratch, pieces: int) -> int:
    total = 0
    for i in range(pieces):
        total += s.ends[i] - s.starts[i]
    return total


@numba.njit(cache=True, nogil=True, inline="always")
def _breaks_line(point: int) -> bool:
    """As str.splitlines."""
    return 10 <= point <= 13 or 0x1C <= point <= 0x1E or point in (0x85, 0x2028, 0x2029)


@numba.njit(cache=True, nogil=True)
def _measure_line_ends(
    s: _Scratch,
    length: int,
    classes: npt.NDArray[np.uint8],
    marks: npt.NDArray[np.uint8],
    definition: int,
    row: Any,
) -> None:
    """Gopher's bullets and ellipses."""
    points = s.points
    lines, bullets, ellipses, start = 0, 0, 0, 0
    for i in range(length + 1):
        if i < length:
            breaks = _breaks_line(points[i]) if definition == DATATROVE else points[i] == 10
            if not breaks:
                continue
        elif definition == DATATROVE and start == length:
            break  # str.splitlines yields no empty last line
        if definition == DATATROVE and i < length and points[i] == 10 and i > 0 and points[i - 1] == 13 and start == i:
            start = i + 1
            continue  # the second half of a carriage return and line feed
        first, end = start, i
        start = i + 1
        if definition != DOLMA:
            first, end = _strip(s, first, end, classes)
            if first == end and definition != DATATROVE:
                continue
        lines += 1
        if first == end:
            continue
        bullets += (marks[points[first]] & _BULLET) != 0
        last = points[end - 1]
        three = end - first >= 3 and last == 46 and points[end - 2] == 46 and points[end - 3] == 46
        spaced = end - first >= 5 and last == 46 and points[end - 2] == 32 and points[end - 3] == 46
        spaced &= points[end - 4] == 32 and points[end - 5] == 46
        ellipses += last == 0x2026 or (three and definition != DOLMA) or (spaced and definition == DCLM)
    row.bullet_line_share = bullets / max(lines, 1)
    row.ellipsis_line_share = ellipses / max(lines, 1)


@numba.njit(cache=True, nogil=True)
def _invites_to_read_on(s: _Scratch, start: int, end: int, lower: npt.NDArray[np.int32]) -> bool:
    points = s.points
    if end - start >= 2:
        last, other = points[end - 1], points[end - 2]
        if (other == 0x5C55 and last == 0x5F00) or (other == 0x66F4 and last == 0x591A):  # 展开, 更多
            return True
    at = end - 1
    for letter in (101, 114, 111, 109, 100, 97, 101, 114):  # "readmore" from its end
        while at >= start and points[at] == 32:
            at -= 1
        if at < start or lower[points[at]] != letter:
            return False
        at -= 1
    return True


@numba.njit(cache=True, nogil=True)
def _measure_lines(
    s: _Scratch,
    length: int,
    classes: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
    marks: npt.NDArray[np.uint8],
    definition: int,
    row: Any,
) -> None:
    """FineWeb's line measures, and the length of lines."""
    pieces = _split_lines(s, 0, length, 1, False)
    newlines, longest = pieces - 1, 0
    for i in range(pieces):
        longest = max(longest, s.ends[i] - s.starts[i])
        row.long_lines += s.ends[i] - s.starts[i] >= LONG_LINE
    row.max_line_length = longest
    pieces = _keep_visible(s, pieces, classes, definition != DATATROVE)
    if not pieces:
        return
    terminated, short, inviting, characters = 0, 0, 0, 0
    for i in range(pieces):
        start, end = s.starts[i], s.ends[i]
        short += end - start <= SHORT_LINE
        last = end
        while last > start and marks[s.points[last - 1]] & _CLOSING:
            last -= 1
        terminated += last > start and (marks[s.points[last - 1]] & _TERMINAL) != 0
        start, end = _strip(s, start, end, classes)
        characters += end - start
        inviting += _invites_to_read_on(s, start, end, lower)
    row.lines = pieces
    row.mean_line_length = characters / pieces
    row.terminal_punctuation_line_share = terminated / pieces
    row.short_line_share = short / pieces
    row.continuation_line_share = inviting / pieces
    row.duplicate_character_share = _duplicates(s, pieces, False)[1] / max(length - newlines, 1)


@numba.njit(cache=True, nogil=True)
def _measure(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
    marks: npt.NDArray[np.uint8],
    kinds: npt.NDArray[np.int8],
    chinese: npt.NDArray[np.bool_],
    given: npt.NDArray[np.int32],
    given_bounds: npt.NDArray[np.int64],
    stop_words: npt.NDArray[np.uint64],
    stop_bounds: npt.NDArray[np.int64],
    phrases: npt.NDArray[np.int32],
    phrase_bounds: npt.NDArray[np.int64],
    definition: int,
    s: _Scratch,
    rows: Any,
) -> None:
    for document in range(len(offsets) - 1):
        row = rows[document]
        length, at, end = 0, offsets[document], offsets[document + 1]
        while at < end:
            point, at = decode(data, at)
            s.points[length] = point
            s.prefix[length + 1] = s.prefix[length] * _HASH_BASE + np.uint64(point) + np.uint64(1)
            length += 1
        if not length:
            continue
        words_given = given[given_bounds[document] : given_bounds[document + 1]]
        stops = stop_words[stop_bounds[document, 0] : stop_bounds[document, 1]]
        tokens = _split_words(s, length, classes, kinds[document], words_given)
        _measure_words(s, length, tokens, classes, lower, marks, stops, definition, row)
        visible = _measure_characters(s, length, tokens, classes, lower, marks, phrases, phrase_bounds, definition, row)
        if definition == DCLM:
            tokens = _split_words(s, length, classes, UNICODE, words_given)
            kept = 0
            for i in range(tokens):
                if classes[s.points[s.starts[i]]] & (LETTER | DIGIT):
                    s.starts[kept], s.ends[kept] = s.starts[i], s.ends[i]
                    kept += 1
            tokens = kept
            row.words = tokens
        _hash_tokens(s, tokens)
        _measure_repetition(s, tokens, definition, length, row)
        _measure_segments(s, length, visible, classes, definition, row)
        _measure_line_ends(s, length, classes, marks, definition, row)
        _measure_lines(s, length, classes, lower, marks, definition, row)
        if chinese[document]:
            _measure_chinese(s, length, classes, row)


@dataclasses.dataclass(eq=False)
class MeasureText(beam.PTransform):
    """Writes the measurements of `MEASUREMENTS` of every document, in its own language's terms.

    Empty and null text measures 0 throughout. `stop_words` is null where the language has no list, the Chinese
    measures where the language is not Chinese. The language is the stage `language`'s ISO 639-1 code; "code" is source
    code; null or "und" is unknown.

    Attributes:
        words: the word definition: "auto", "unicode", "whitespace", "characters" or "rjieba"; see `words.py`.
        definition: whose Gopher measures: "datapipe", "datatrove", "dolma" or "dclm"; see above. With dolma and dclm
            "auto" words are white-space tokens, as theirs.
        stop_words: lists that replace or extend `words.STOP_WORDS`, by language; at most 64 words of at most 16
            characters each.

    Raises:
        ValueError: if an option has none of these values.
    """

    words: str = "auto"
    definition: str = "datapipe"
    stop_words: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    name: ClassVar[str] = "measurements"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("text", "language")
    writes: ClassVar[pa.Schema] = SCHEMA

    def __post_init__(self) -> None:
        super().__init__()
        for option, known in (("words", ("auto", *words.KINDS)), ("definition", tuple(DEFINITIONS))):
            value = getattr(self, option)
            if value not in known:
                near = difflib.get_close_matches(str(value), known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"measurements: {option} must be one of {', '.join(known)}, got {value!r}{hint}")
        for language, listed in self.stop_words.items():
            if not listed or len(listed) > MOST_STOP_WORDS or any(not 0 < len(w) <= LONGEST_STOP_WORD for w in listed):
                raise ValueError(
                    f"measurements: stop_words of {language!r} must be 1 to {MOST_STOP_WORDS} words of 1 to "
                    f"{LONGEST_STOP_WORD} characters, got {listed!r}"
                )

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Measure the columns `text` and `language`; returns the columns of `writes`."""
        return measure_text(
            batch.column("text"), batch.column("language"), self.words, self.definition, self.stop_words
        )

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Batches with the measurements appended."""
        return batches | beam.Map(append_columns, self).with_output_types(pa.RecordBatch)


def measure_text(
    texts: pa.Array,
    languages: pa.Array,
    word_definition: str = "auto",
    definition: str = "datapipe",
    stop_words: dict[str, list[str]] | None = None,
) -> pa.RecordBatch:
    """The measurements of each text, shape (len(texts),) each; see `MeasureText`."""
    system = DEFINITIONS[definition]
    if word_definition == "auto" and system in (DOLMA, DCLM):
        word_definition = "whitespace"
    codes = [words.primary(language) for language in languages.to_pylist()]
    kinds = np.array([words.kind_of(word_definition, code) for code in codes], np.int8)
    chinese = np.array([code == "zh" for code in codes], bool)
    given, given_bounds = words.segment(texts, kinds == words.GIVEN)
    hashes, bounds_of = _stop_table(words.STOP_WORDS | (stop_words or {}))
    judged_as = codes if system == DATAPIPE else ["en"] * len(codes)
    stop_bounds = np.array([bounds_of.get(code, (0, 0)) for code in judged_as], np.int64).reshape(-1, 2)

    data, offsets = text_buffers(texts)
    rows = np.zeros(len(texts), _ROW)
    longest = int(np.diff(offsets).max(initial=0))
    phrases, phrase_bounds = _phrase_table()
    _measure(
        data, offsets, class_table(), lower_table(), _mark_table(system), kinds, chinese, given, given_bounds,
        hashes, stop_bounds, phrases, phrase_bounds, system, _new_scratch(longest), rows,
    )  # fmt: skip
    without = {"stop_words": stop_bounds[:, 0] == stop_bounds[:, 1], **dict.fromkeys(CHINESE_ONLY, ~chinese)}
    arrays = [pa.array(np.ascontiguousarray(rows[name]), mask=without.get(name)) for name in SCHEMA.names]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _stop_table(
    lists: dict[str, Any],
) -> tuple[npt.NDArray[np.uint64], dict[str, tuple[int, int]]]:
    """Hashes of all stop words, and where each language's lie."""
    hashes: list[np.uint64] = []
    bounds: dict[str, tuple[int, int]] = {}
    for language, listed in lists.items():
        start = len(hashes)
        hashes += [_word_hash(word.lower()) for word in dict.fromkeys(listed)]
        bounds[language] = (start, len(hashes))
    return np.array(hashes, np.uint64), bounds


@functools.cache
def _phrase_table() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    points = np.array([ord(character) for phrase in _PHRASES for character in phrase], np.int32)
    return points, np.cumsum([0, *map(len, _PHRASES)])
