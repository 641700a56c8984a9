"""Measure documents: every number that the rule filters of the field ask of a text, in one pass over the Arrow buffers.

Measurements and decisions are separate stages, so that a new threshold (`rules.py`) recomputes no measurement. Nothing
is removed here. `words.py` says what a word is, `repetition.py` counts what repeats.
"""

import dataclasses
import difflib
import functools
from typing import Any, ClassVar

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.stage import DocumentStage
from datapipe.text import words
from datapipe.text.characters import DIGIT, HAN, LETTER, MARK, PUNCTUATION, SPACE, class_table, text_buffers
from datapipe.text.normalization import traditional_points
from datapipe.text.repetition import (
    Memory,
    all_copies,
    all_positions,
    clear_table,
    count,
    count_ngrams,
    covered_by_copies,
    extend,
    hash_tokens,
    keep_repeated,
    later_copies,
    new_memory,
    repeated_pieces,
    text_hash,
    top_ngram,
)
from datapipe.text.spans import (
    BULLET,
    CLOSERS,
    CLOSING,
    POLICY_PHRASES,
    SYMBOL,
    TERMINAL,
    TRADITIONAL,
    WIDE_TERMINAL,
    Text,
    drop_blank,
    drop_symbols,
    ends_in,
    new_text,
    padded,
    phrase_at,
    read_text,
    sentence_marks,
    split_as_python,
    split_at_breaks,
    strip,
    terminal_points,
)
from datapipe.text.words import split_uax29_words, split_words, word_break_table

# Whose definitions of Gopher's measures to follow. "datapipe" follows datatrove, since the published thresholds of
# FineWeb and FineWeb-2 were fitted with it, and repairs it where it misjudges good text:
#
#   datapipe   copies after the first; white space around lines ignored, empty lines not counted, lines of symbols only
#              (code fences, borders of tables) no repetition; a top n-gram counts only if it occurs twice; distinct
#              stop words of the document's own language in any case; more bullets; what ends a sentence may be followed
#              by closing quotes and brackets; a blank line is no line break
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
        "lines that end in terminal punctuation, closing quotes and brackets ignored",
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


def _row_type() -> np.dtype[Any]:
    """A row as the kernel writes it: the nine n-gram shares, which lie side by side, as one array each."""
    fields: list[Any] = []
    for name, (kind, _) in MEASUREMENTS.items():
        unit = next((unit for unit in ("gram", "character") if name in _ngrams(unit, "")), None)
        if unit is None:
            fields.append((name, kind))
        elif name.startswith("top_2"):
            fields.append((f"{unit}_shares", kind, 9))
    return np.dtype(fields)


SHORT_LINE = 30  # code points; FineWeb
LONG_LINE = 200  # code points; mC4
MOST_STOP_WORDS = 64  # a language: they are bits of one number
_BULLETS = {DATAPIPE: "•‣▶◀◦■□▪▫●○·*-", DATATROVE: "•-", DOLMA: "*-", DCLM: "●•*-"}
# What datatrove takes for punctuation besides what ends a sentence (`PUNCTUATION` in its utils/text.py).
_DATATROVE_PUNCTUATION = (
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
    + "".join(map(chr, (*range(9), *range(11, 32), *range(127, 160))))
)
_PHRASES = ("lorem ipsum", "javascript", *POLICY_PHRASES)
_READ_ON = ("展开", "更多", "readmore", "read more")


@functools.cache
def _mark_table(definition: int) -> npt.NDArray[np.uint8]:
    """What each code point does, shape (0x110000,): ends a sentence, closes a quote, is a bullet or a symbol."""
    marks = sentence_marks().copy()
    marks[[ord(c) for c in _BULLETS[definition]]] |= BULLET
    marks[traditional_points()] |= TRADITIONAL
    if definition == DATAPIPE:
        marks[(class_table() & (LETTER | DIGIT)) == 0] |= SYMBOL
    elif definition == DATATROVE:
        marks[ord("…")] &= ~np.uint8(TERMINAL)
        marks[[ord(c) for c in CLOSERS]] &= ~np.uint8(CLOSING)
        marks[[*terminal_points(), *map(ord, _DATATROVE_PUNCTUATION)]] |= SYMBOL
    marks.flags.writeable = False
    return marks


@numba.njit(cache=True, nogil=True)
def _measure_words(
    t: Text, m: Memory, tokens: int, stop_words: npt.NDArray[np.uint64], definition: int, row: Any
) -> None:
    words, characters, longest, alphabetic, symbolic, seen, found = 0, 0, 0, 0, 0, np.uint64(0), 0
    for i in range(tokens):
        start, end = t.starts[i], t.ends[i]
        flags, marks, symbol = np.uint8(0), np.uint8(SYMBOL), False
        value = np.uint64(0)
        for j in range(start, end):
            point = t.points[j]
            flags |= t.classes[point]
            marks &= t.marks[point]
            symbol |= point in (0x23, 0x2026)  # # …
            value = extend(value, t.lower[point] if definition in (DATAPIPE, DCLM) else point)
        alphabetic += (flags & LETTER) != 0
        symbolic += symbol
        if not marks & SYMBOL:
            words += 1
            characters += end - start
            longest = max(longest, end - start)
        for k in range(len(stop_words)):
            if stop_words[k] == value:
                seen |= np.uint64(1) << np.uint64(k)
                found += 1
    row.words = words
    row.mean_word_length = characters / max(words, 1)
    row.median_word_length = _median_word_length(t, m, tokens, words, longest)
    row.alphabetic_word_share = alphabetic / max(tokens, 1)
    row.symbol_ratio = symbolic / max(tokens, 1)  # dolma's; `_measure_characters` writes the others'
    row.stop_words = found
    if definition in (DATAPIPE, DATATROVE):
        row.stop_words = 0
        while seen:
            seen &= seen - np.uint64(1)
            row.stop_words += 1


@numba.njit(cache=True, nogil=True)
def _median_word_length(t: Text, m: Memory, tokens: int, words: int, longest: int) -> float:
    histogram = m.counts[: longest + 1]
    histogram[:] = 0
    for i in range(tokens):
        for j in range(t.starts[i], t.ends[i]):
            if not t.marks[t.points[j]] & SYMBOL:
                histogram[t.ends[i] - t.starts[i]] += 1
                break
    below, at, total = 0, 0, 0
    for middle in ((words - 1) // 2, words // 2):  # the same word twice if the number is odd
        while at < longest and below + histogram[at] <= middle:
            below += histogram[at]
            at += 1
        total += at
    return total / 2


@numba.njit(cache=True, nogil=True)
def _measure_ngrams(t: Text, m: Memory, tokens: int, length: int, space: int, definition: int, shares: Any) -> int:
    """Write the shares of the commonest 2-, 3- and 4-gram and of repeated 5- to 10-grams, shape (9,).

    `space` is the length of what stands between tokens. Returns the number of repeated 10-grams at issue in `m`.
    """
    hash_tokens(t.prefix, t.starts, t.ends, tokens, True, m)
    positions = all_positions(m, tokens)
    for n in range(2, 11):
        if definition == DATATROVE and n >= 5:
            # It joins the tokens of repeated n-grams without spaces: a longer one may repeat where a shorter does not.
            if n == 5:
                hash_tokens(t.prefix, t.starts, t.ends, tokens, False, m)
            positions = all_positions(m, tokens)
        if tokens < n:
            break
        positions = count_ngrams(m, positions, tokens, n, definition != DATATROVE or n < 5)
        if n < 5:
            seen, characters = top_ngram(m, positions, n, definition == DCLM)
            if seen == 1 and definition in (DATAPIPE, DCLM):
                characters = 0
            elif definition in (DATAPIPE, DATATROVE):
                characters += space * (n - 1)
            characters *= seen
            whole = length if definition in (DATAPIPE, DATATROVE) else m.before[tokens]
        elif definition == DOLMA:
            characters = all_copies(m, positions, n)
            whole = 0
            for i in range(tokens - n + 1):
                whole += m.before[i + n] - m.before[i]
        elif definition == DCLM:
            characters, whole = covered_by_copies(m, positions, n), m.before[tokens]
        else:
            characters, whole = later_copies(m, positions, n), length
        shares[n - 2] = characters / whole
        positions = keep_repeated(m, positions)
    return positions


@numba.njit(cache=True, nogil=True)
def _measure_letters(t: Text, m: Memory, length: int, row: Any) -> None:
    """Measures over single letters and digits, of Chinese only."""
    tokens = 0
    for i in range(length):
        if t.classes[t.points[i]] & (LETTER | DIGIT):
            t.starts[tokens], t.ends[tokens] = i, i + 1
            tokens += 1
    if not tokens:
        return
    mask, distinct, entropy = clear_table(m, tokens), 0, np.log(tokens)
    for i in range(tokens):
        count(m, mask, np.uint64(t.points[t.starts[i]]))
    for seen in m.counts[: mask + 1]:
        if seen:
            distinct += 1
            entropy -= seen * np.log(seen) / tokens
    row.unique_character_share = distinct / tokens
    row.character_entropy = max(entropy, 0.0)  # no rounding below the entropy of one letter
    positions = _measure_ngrams(t, m, tokens, length, 0, DATAPIPE, row.character_shares)
    positions = keep_repeated(m, count_ngrams(m, positions, tokens, 13, True))
    row.repeated_13gram_share = positions / max(tokens - 12, 1)


@numba.njit(cache=True, nogil=True)
def _measure_characters(t: Text, length: int, tokens: int, definition: int, row: Any) -> int:
    """Everything that counts code points, whatever the words; returns the code points that are not white space."""
    points = t.points
    letters, digits, han, traditional, visible, punctuation, lexical = 0, 0, 0, 0, 0, 0, 0
    hashes, hash_runs, dots, ellipses, spaced_ellipses, spaced_end = 0, 0, 0, 0, 0, 0
    brackets, bracket_open = 0, -1
    previous = np.uint8(0)
    for i in range(length):
        point = points[i]
        flags = t.classes[point]
        visible += (flags & SPACE) == 0
        letters += (flags & LETTER) != 0
        digits += (flags & DIGIT) != 0
        han += (flags & HAN) != 0
        traditional += (t.marks[point] & TRADITIONAL) != 0
        punctuation += (flags & PUNCTUATION) != 0
        if flags & (LETTER | DIGIT):
            lexical += (flags & (LETTER | DIGIT)) != (previous & (LETTER | DIGIT))
        else:
            lexical += (flags & (SPACE | MARK)) == 0
        if not flags & MARK:
            previous = flags
        dots = dots % 3 + 1 if point == 0x2E else 0
        if point == 0x23:  # #
            hashes += 1
            hash_runs += i == 0 or points[i - 1] != 0x23
        elif point == 0x2E:  # .
            ellipses += dots == 3
            if i - 4 >= spaced_end and _ends_spaced_ellipsis(points, i):
                spaced_ellipses += 1
                spaced_end = i + 1
        elif point == 0x2026:  # …
            ellipses += 1
        elif point == 0x7B:  # {
            row.curly_brackets += 1
        elif point == 0x3010 and bracket_open < 0:  # 【
            bracket_open = i
        elif point == 0x3011 and bracket_open >= 0:  # 】
            brackets += i - bracket_open + 1
            bracket_open = -1
    row.characters = length
    row.hash_ratio = hashes / max(tokens, 1)
    row.ellipsis_ratio = ellipses / max(tokens, 1)
    if definition != DOLMA:
        symbols = hashes + ellipses + (spaced_ellipses if definition == DCLM else 0)
        row.symbol_ratio = symbols / max(tokens, 1)
    row.han_share = han / max(visible, 1)
    row.traditional_share = traditional / max(han, 1)
    row.digit_share = digits / max(visible, 1)
    row.alphanumeric_share = (letters + digits) / length
    row.letters_per_token = letters / max(lexical, 1)
    row.punctuation_marks = punctuation
    row.bracket_share = brackets / length
    row.hash_run_share = hash_runs / length
    row.ellipsis_share = ellipses / length
    return visible


@numba.njit(cache=True, nogil=True)
def _ends_spaced_ellipsis(points: npt.NDArray[np.int32], i: int) -> bool:
    """Whether ". . ." ends at `i`, where a point stands at `i`."""
    return bool(points[i - 1] == 32 and points[i - 2] == 46 and points[i - 3] == 32 and points[i - 4] == 46)


@numba.njit(cache=True, nogil=True)
def _measure_sentences(t: Text, length: int, row: Any) -> None:
    i = 0
    while i < length:
        if not t.marks[t.points[i]] & TERMINAL:
            i += 1
            continue
        wide = False
        while i < length and t.marks[t.points[i]] & TERMINAL:
            wide |= (t.marks[t.points[i]] & WIDE_TERMINAL) != 0
            i += 1
        while i < length and t.marks[t.points[i]] & CLOSING:
            i += 1
        row.sentences += wide or i == length or (t.classes[t.points[i]] & SPACE) != 0


@numba.njit(cache=True, nogil=True)
def _count_phrases(t: Text, length: int, phrases: npt.NDArray[np.int32], row: Any) -> None:
    """Count the phrases, rows of code points padded with 0, in the text in lower case."""
    initials = np.zeros(128, np.bool_)
    initials[phrases[:, 0]] = True
    for i in range(length):
        point = t.lower[t.points[i]]
        if point >= 128 or not initials[point]:
            continue
        for k in range(len(phrases)):
            if phrase_at(t, i, length, phrases[k]):
                row.lorem_ipsum += k == 0
                row.javascript += k == 1
                row.policy_phrases += k > 1


@numba.njit(cache=True, nogil=True)
def _repeated(t: Text, m: Memory, pieces: int, whole: int, definition: int) -> tuple[float, float]:
    """The share of pieces that repeat another, and that of their code points in `whole` (dclm: in all pieces)."""
    repeated, characters = repeated_pieces(t.prefix, t.starts, t.ends, pieces, definition in (DOLMA, DCLM), m)
    if definition == DCLM:
        whole = 0
        for i in range(pieces):
            whole += t.ends[i] - t.starts[i]
    return repeated / max(pieces, 1), characters / max(whole, 1)


@numba.njit(cache=True, nogil=True)
def _measure_pieces(t: Text, m: Memory, length: int, visible: int, definition: int, row: Any) -> None:
    """Gopher's repeated lines and paragraphs."""
    pieces = split_at_breaks(t, 0, length, 1, length if definition == DATATROVE else 1)
    if definition in (DATAPIPE, DCLM):
        pieces = drop_blank(t, pieces, True)
    if definition == DATAPIPE:
        pieces = drop_symbols(t, pieces)
    whole = visible if definition == DOLMA else length
    row.duplicate_line_share, row.duplicate_line_character_share = _repeated(t, m, pieces, whole, definition)
    if definition == DOLMA:
        return
    start, end = strip(t, 0, length)
    pieces = split_at_breaks(t, start, end, 2, length)
    if definition != DATATROVE:
        pieces = drop_blank(t, pieces, True)
    if definition == DATAPIPE:
        pieces = drop_symbols(t, pieces)
    row.duplicate_paragraph_share, row.duplicate_paragraph_character_share = _repeated(t, m, pieces, whole, definition)


@numba.njit(cache=True, nogil=True)
def _measure_line_ends(t: Text, length: int, definition: int, row: Any) -> None:
    """Gopher's bullets and ellipses."""
    pieces = split_as_python(t, length) if definition == DATATROVE else split_at_breaks(t, 0, length, 1, 1)
    if definition in (DATAPIPE, DCLM):
        pieces = drop_blank(t, pieces, True)
    bullets, ellipses = 0, 0
    for i in range(pieces):
        start, end = t.starts[i], t.ends[i]
        if definition != DOLMA:
            start, end = strip(t, start, end)
        if start == end:
            continue
        bullets += (t.marks[t.points[start]] & BULLET) != 0
        ends = t.points[end - 1] == 0x2026  # …
        if definition != DOLMA and t.points[end - 1] == 0x2E and end - start >= 3:
            ends |= t.points[end - 2] == 0x2E and t.points[end - 3] == 0x2E
            ends |= definition == DCLM and end - start >= 5 and _ends_spaced_ellipsis(t.points, end - 1)
        ellipses += ends
    row.bullet_line_share = bullets / max(pieces, 1)
    row.ellipsis_line_share = ellipses / max(pieces, 1)


@numba.njit(cache=True, nogil=True)
def _measure_lines(
    t: Text, m: Memory, length: int, tokens: int, read_on: npt.NDArray[np.int32], definition: int, row: Any
) -> None:
    """FineWeb's line measures, and the length of lines."""
    pieces = split_at_breaks(t, 0, length, 1, 1)
    breaks, longest = pieces - 1, 0
    for i in range(pieces):
        longest = max(longest, t.ends[i] - t.starts[i])
        row.long_lines += t.ends[i] - t.starts[i] >= LONG_LINE
    row.max_line_length = longest
    row.mean_whole_line_length = (length - breaks) / (pieces - (t.points[length - 1] == 10))
    pieces = drop_blank(t, pieces, definition != DATATROVE)
    terminated, short, inviting, characters = 0, 0, 0, 0
    for i in range(pieces):
        start, end = t.starts[i], t.ends[i]
        short += end - start <= SHORT_LINE
        last = end
        while last > start and t.marks[t.points[last - 1]] & CLOSING:
            last -= 1
        terminated += last > start and (t.marks[t.points[last - 1]] & TERMINAL) != 0
        start, end = strip(t, start, end)
        characters += end - start
        inviting += ends_in(t, start, end, read_on)
    row.lines = pieces
    row.newline_word_ratio = (max(pieces - 1, 0) if definition == DATAPIPE else breaks) / max(tokens, 1)
    row.mean_line_length = characters / max(pieces, 1)
    row.terminal_punctuation_line_share = terminated / max(pieces, 1)
    row.short_line_share = short / max(pieces, 1)
    row.continuation_line_share = inviting / max(pieces, 1)
    if definition == DATAPIPE:
        pieces = drop_symbols(t, pieces)
    repeated = repeated_pieces(t.prefix, t.starts, t.ends, pieces, False, m)[1]
    row.duplicate_character_share = repeated / max(length - breaks, 1)


@numba.njit(cache=True, nogil=True)
def _measure(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    kinds: npt.NDArray[np.int8],
    chinese: npt.NDArray[np.bool_],
    segments: npt.NDArray[np.int32],
    segment_bounds: npt.NDArray[np.int64],
    stop_words: npt.NDArray[np.uint64],
    stop_bounds: npt.NDArray[np.int64],
    phrases: npt.NDArray[np.int32],
    read_on: npt.NDArray[np.int32],
    word_breaks: npt.NDArray[np.uint8],
    definition: int,
    t: Text,
    m: Memory,
    rows: Any,
) -> None:
    for document in range(len(offsets) - 1):
        row = rows[document]
        length = read_text(t, data, offsets[document], offsets[document + 1])
        if not length:
            continue
        own_segments = segments[segment_bounds[document] : segment_bounds[document + 1]]
        own_stop_words = stop_words[stop_bounds[document, 0] : stop_bounds[document, 1]]
        kind, with_symbols = kinds[document], definition == DATATROVE
        tokens = split_words(t.points, length, t.classes, kind, own_segments, with_symbols, t.starts, t.ends)
        _measure_words(t, m, tokens, own_stop_words, definition, row)
        visible = _measure_characters(t, length, tokens, definition, row)
        _measure_sentences(t, length, row)
        _count_phrases(t, length, phrases, row)
        ngram_tokens = tokens
        if definition == DCLM:
            ngram_tokens = split_uax29_words(t.points, length, t.classes, word_breaks, t.starts, t.ends)
            row.words = ngram_tokens
        _measure_ngrams(t, m, ngram_tokens, length, 1, definition, row.gram_shares)
        _measure_pieces(t, m, length, visible, definition, row)
        _measure_line_ends(t, length, definition, row)
        _measure_lines(t, m, length, tokens, read_on, definition, row)
        if chinese[document]:
            _measure_letters(t, m, length, row)


@dataclasses.dataclass(eq=False)
class MeasureText(DocumentStage):
    """Writes the measurements of `MEASUREMENTS` of every document, in its own language's terms.

    Empty and null text measures 0 throughout. `stop_words` is null where the language has no list, the Chinese
    measures where the language is not Chinese. The language is the stage `language`'s ISO 639-1 code; "code" is source
    code; null or "und" is unknown.

    Attributes:
        words: the word definition: "auto", "unicode", "whitespace", "characters" or "rjieba"; see `words.py`.
        definition: whose Gopher measures: "datapipe", "datatrove", "dolma" or "dclm"; see above. With dolma and dclm
            "auto" words are white-space tokens, as theirs.
        stop_words: lists that replace or extend `words.STOP_WORDS`, by language; at most 64 words each.

    Raises:
        ValueError: if an option has none of these values.
    """

    words: str = "auto"
    definition: str = "datapipe"
    stop_words: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    name: ClassVar[str] = "measurements"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = SCHEMA

    def check(self) -> None:
        """Check how the options go together."""
        for option, known in (("words", ("auto", *words.KINDS)), ("definition", tuple(DEFINITIONS))):
            value = getattr(self, option)
            if value not in known:
                near = difflib.get_close_matches(str(value), known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"measurements: {option} must be one of {', '.join(known)}, got {value!r}{hint}")
        for language, listed in self.stop_words.items():
            if not isinstance(listed, list) or not 0 < len(set(listed)) <= MOST_STOP_WORDS:
                raise ValueError(
                    f"measurements: stop_words.{language} must list 1 to {MOST_STOP_WORDS} words, got {listed!r}"
                )

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", "language")

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Measure the columns `text` and `language`; returns the columns of `writes`."""
        return measure_text(
            batch.column("text"), batch.column("language"), self.words, self.definition, self.stop_words
        )


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
    segments, segment_bounds = words.segment(texts, kinds == words.GIVEN)
    lists = words.STOP_WORDS | {language: tuple(listed) for language, listed in (stop_words or {}).items()}
    hashes, bounds_of = _stop_table(tuple(lists.items()))
    judged_as = codes if system == DATAPIPE else ["en"] * len(codes)
    stop_bounds = np.array([bounds_of.get(code, (0, 0)) for code in judged_as], np.int64).reshape(-1, 2)

    data, offsets = text_buffers(texts)
    longest = int(np.diff(offsets).max(initial=0))
    rows = np.zeros(len(texts), _row_type())
    _measure(
        data, offsets, kinds, chinese, segments, segment_bounds, hashes, stop_bounds,
        padded(_PHRASES), padded(tuple(suffix[::-1] for suffix in _READ_ON)),
        word_break_table() if system == DCLM else np.zeros(0, np.uint8),
        system, new_text(longest, _mark_table(system)), new_memory(longest), rows,
    )  # fmt: skip
    measured = rows.view([(name, kind) for name, (kind, _) in MEASUREMENTS.items()])
    without = {"stop_words": stop_bounds[:, 0] == stop_bounds[:, 1], **dict.fromkeys(CHINESE_ONLY, ~chinese)}
    arrays = [pa.array(np.ascontiguousarray(measured[name]), mask=without.get(name)) for name in SCHEMA.names]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


@functools.cache
def _stop_table(
    lists: tuple[tuple[str, tuple[str, ...]], ...],
) -> tuple[npt.NDArray[np.uint64], dict[str, tuple[int, int]]]:
    """The hashes that the kernel gives all stop words, and where each language's lie."""
    hashes: list[int] = []
    bounds: dict[str, tuple[int, int]] = {}
    for language, listed in lists:
        start = len(hashes)
        hashes += [text_hash(word) for word in dict.fromkeys(word.lower() for word in listed)]
        bounds[language] = (start, len(hashes))
    return np.array(hashes, np.uint64), bounds
