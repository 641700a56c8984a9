"""Take the measures of `measures.py` of each text, in one pass over the Arrow buffers.

`words.py` says what a word is, `repetition.py` counts what repeats, `spans.py` finds lines, paragraphs and phrases.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.kernels import helper, inlined, kernel
from datapipe.text import words
from datapipe.text.characters import DIGIT, HAN, LETTER, MARK, PUNCTUATION, SPACE, lower_table, text_buffers
from datapipe.text.letter_pairs import letter_pair_lift
from datapipe.text.measures import (
    CHINESE_ONLY,
    DATAPIPE,
    DATATROVE,
    DCLM,
    DEFINITIONS,
    DOLMA,
    LONG_LINE,
    LONGEST_NOTE,
    LONGEST_STOP_WORD,
    MEASUREMENTS,
    PHRASES,
    READ_ON,
    SCHEMA,
    SHORT_LINE,
    mark_table,
    row_type,
    stop_table,
)
from datapipe.text.ngram_shares import measure_ngrams
from datapipe.text.notices import Stems, measure_notices, stems
from datapipe.text.prose import prose
from datapipe.text.repetition import (
    Memory,
    add_token,
    all_positions,
    clear_table,
    count,
    count_ngrams,
    extend,
    hash_tokens,
    narrow,
    new_memory,
    repeated_ngrams,
    repeated_pieces,
    spelt_hash,
)
from datapipe.text.spans import (
    BULLET,
    CLOSING,
    SYMBOL,
    TERMINAL,
    TRADITIONAL,
    WIDE_TERMINAL,
    Text,
    drop_blank,
    drop_symbols,
    ends_in,
    first_pairs,
    new_text,
    padded,
    phrase_at,
    read_text,
    split_as_python,
    split_at_breaks,
    strip,
)
from datapipe.text.words import split_uax29_words, split_words, word_break_table

_MOST_CHARACTERS = 1 << 20  # different ones in a text; Unicode has fewer
# Code points. A text of 45 MB took 16 times its size, and takes 11 where its n-grams are counted in place of it, and it
# is read again after.
_LONG_TEXT = 1 << 22
_LONG_WORD = 1 << 16  # code points; few words of a text are longer
# By the flags of a code point a number that counts each of them in a byte of its own, and where that begins.
_FLAG_SUMS = np.array([sum((flags >> bit & 1) << 8 * bit for bit in range(8)) for flags in range(256)], np.uint64)
_LETTERS, _DIGITS, _PUNCTUATION, _SPACES, _HAN, _MARKS = (
    np.uint64(8 * (flag.bit_length() - 1)) for flag in (LETTER, DIGIT, PUNCTUATION, SPACE, HAN, MARK)
)
_SOME_WORDS = 1 << 10  # are looked at together


@helper
def _measure_words(
    t: Text,
    m: Memory,
    tokens: int,
    spelt: npt.NDArray[np.int32],
    stop_words: npt.NDArray[np.uint64],
    longest_stop_word: int,
    joined: bool,
    definition: int,
    row: Any,
) -> None:
    """Measures over tokens; with `joined`, a stop word may be several that stand together. `spelt` is of `_Tables`."""
    words, characters, longest, alphabetic, symbolic, seen, found = 0, 0, 0, 0, 0, np.uint64(0), 0
    for i in range(tokens):
        longest = max(longest, t.ends[i] - t.starts[i])
    histogram = m.counts[: min(longest, _LONG_WORD) + 1]  # of the lengths of words, but those of very long ones
    histogram[:] = 0
    longest, thousands, was_digits, before = 0, 0, False, -1
    for i in range(tokens):
        start, end, flags = t.starts[i], t.ends[i], t.any_flags[i]
        size = end - start
        alphabetic += (flags & LETTER) != 0
        digits = (flags == DIGIT) & (size <= 3)
        thousands += digits & was_digits & (size == 3) & (start == before + 1)
        was_digits, before = digits, end
        if definition == DOLMA and flags & PUNCTUATION:
            symbol = False
            for j in range(start, end):
                symbol |= t.points[j] in (0x23, 0x2026)  # # …
            symbolic += symbol
        if not t.all_signs[i] & SYMBOL:
            words += 1
            characters += size
            longest = max(longest, size)
            if size < len(histogram):
                histogram[size] += 1
    for first in range(0, tokens, _SOME_WORDS):
        short = 0
        for i in range(first, min(first + _SOME_WORDS, tokens)):
            m.positions[short] = i  # no branch: nobody could guess how long words are
            short += t.ends[i] - t.starts[i] <= longest_stop_word
        for at in range(short):
            i = m.positions[at]
            start, end = t.starts[i], t.ends[i]
            value = spelt_hash(t.points, spelt, start, end)
            for k in range(len(stop_words)):
                same = stop_words[k] == value
                seen |= np.uint64(same) << np.uint64(k)
                found += same
            for j in range(i + 1, min(i + LONGEST_STOP_WORD, tokens) if joined else i):
                if t.starts[j] != t.ends[j - 1]:
                    break
                for place in range(t.starts[j], t.ends[j]):
                    value = extend(value, t.lower[t.points[place]])
                for k in range(len(stop_words)):
                    seen |= np.uint64(stop_words[k] == value) << np.uint64(k)
    row.words = words
    row.mean_word_length = characters / max(words, 1)
    row.median_word_length = _median(t, tokens, histogram, words, longest)
    row.alphabetic_word_share = alphabetic / max(tokens - (thousands if definition == DATAPIPE else 0), 1)
    row.symbol_ratio = symbolic / max(tokens, 1)  # dolma's; `_measure_characters` writes the others'
    row.stop_words = found
    if definition in (DATAPIPE, DATATROVE):
        row.stop_words = 0
        while seen:
            seen &= seen - np.uint64(1)
            row.stop_words += 1


@helper
def _median(t: Text, tokens: int, histogram: npt.NDArray[np.int32], numbers: int, most: int) -> float:
    """The median length of so many words up to `most` long, of which `histogram` says how often the shorter occur."""
    below, at, total = 0, 0, 0
    for middle in ((numbers - 1) // 2, numbers // 2):  # the same one twice if their number is odd
        while at < min(most, len(histogram)) and below + histogram[at] <= middle:
            below += histogram[at]
            at += 1
        total += at if at < len(histogram) else _long_word(t, tokens, len(histogram), middle - below, most)
    return total / 2


@helper
def _long_word(t: Text, tokens: int, shortest: int, rank: int, most: int) -> int:
    """The length of the word that has so many before it by length, of those that are at least `shortest` long."""
    low, high = shortest, most
    while low < high:
        middle, up_to = (low + high) // 2, 0
        for i in range(tokens):
            up_to += (shortest <= t.ends[i] - t.starts[i] <= middle) & (not t.all_signs[i] & SYMBOL)
        if up_to > rank:
            high = middle
        else:
            low = middle + 1
    return low


@helper
def _measure_letters(t: Text, m: Memory, length: int, count_logs: npt.NDArray[np.float64], row: Any) -> None:
    """Measures over single letters and digits, of Chinese only; `count_logs` are n log(n)."""
    tokens = 0
    for i in range(length):
        t.starts[tokens] = t.points[i]
        tokens += (t.flags[i] & (LETTER | DIGIT)) != 0
    if not tokens:
        return
    mask, distinct, entropy = clear_table(m, min(tokens, _MOST_CHARACTERS)), 0, np.log(tokens)
    value = m.hashes[0] = np.uint64(0)
    for i in range(tokens):
        point = t.starts[i]
        slot = count(m, mask, np.uint64(point))
        m.before[i], m.positions[i], m.slots[i] = i, i, slot
        m.firsts[distinct] = slot  # no branch
        distinct += m.counts[slot] == 1
        value = add_token(value, np.uint64(point))
        m.hashes[i + 1] = value
    m.before[tokens] = tokens
    for k in range(distinct):
        seen = m.counts[m.firsts[k]]
        entropy -= (count_logs[seen] if seen < len(count_logs) else seen * np.log(seen)) / tokens
    row.unique_character_share = distinct / tokens
    row.character_entropy = max(entropy, 0.0)  # no rounding below the entropy of one letter
    # Two letters can repeat only where each of them does.
    positions = measure_ngrams(t, m, narrow(m, tokens), tokens, length, 0, DATAPIPE, row.character_shares)
    positions = count_ngrams(m, positions, tokens, 13, True)
    row.repeated_13gram_share = repeated_ngrams(m, positions) / max(tokens - 12, 1)


@inlined
def _byte(sums: np.uint64, at: np.uint64) -> int:
    return int(np.int64(sums >> at & np.uint64(255)))


@helper
def _measure_characters(t: Text, length: int, tokens: int, definition: int, row: Any) -> int:
    """Everything that counts code points, whatever the words; returns the code points that are not white space."""
    points, flags = t.points, t.flags
    letters, digits, han, traditional, visible, punctuation, marks = 0, 0, 0, 0, 0, 0, 0
    i = 0
    while i < length:
        sums, end = np.uint64(0), min(i + 255, length)
        for at in range(i, end):
            sums += _FLAG_SUMS[flags[at]]
            traditional += (t.signs[at] & TRADITIONAL) != 0
        i = end
        letters += _byte(sums, _LETTERS)
        digits += _byte(sums, _DIGITS)
        punctuation += _byte(sums, _PUNCTUATION)
        visible -= _byte(sums, _SPACES)
        han += _byte(sums, _HAN)
        marks += _byte(sums, _MARKS)
    visible += length
    lexical = visible - letters - digits - marks  # each of the others, and ...
    if marks:
        kind = 0
        for i in range(length):  # ... each run; a mark belongs to the one that it follows
            before, kind = kind, flags[i] & (LETTER | DIGIT)
            lexical += (kind != 0) & (kind != before)
            kind = before if flags[i] & MARK else kind
    else:
        lexical += (flags[0] & (LETTER | DIGIT)) != 0
        for i in range(1, length):  # many at a time
            kind = flags[i] & (LETTER | DIGIT)
            lexical += (kind != 0) & (kind != flags[i - 1] & (LETTER | DIGIT))
    hashes, hash_runs, dots, ellipses, spaced_ellipses, spaced_end = 0, 0, 0, 0, 0, 0
    brackets, bracket_open, curly_brackets = 0, -1, 0
    for i in range(length):
        if not flags[i] & PUNCTUATION:
            continue
        point = points[i]
        if point == 0x23:  # #
            hashes += 1
            hash_runs += i == 0 or points[i - 1] != 0x23
        elif point == 0x2E:  # .
            dots = dots % 3 + 1 if i and points[i - 1] == 0x2E else 1
            ellipses += dots == 3
            if i - 4 >= spaced_end and _ends_spaced_ellipsis(points, i):
                spaced_ellipses += 1
                spaced_end = i + 1
        elif point == 0x2026:  # …
            ellipses += 1
        elif point == 0x7B:  # {
            curly_brackets += 1
        elif point == 0x3010 and bracket_open < 0:  # 【
            bracket_open = i
        elif point == 0x3011 and bracket_open >= 0:  # 】
            brackets += i - bracket_open + 1
            bracket_open = -1
    row.curly_brackets = curly_brackets
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


@helper
def _measure_runs(t: Text, length: int, row: Any) -> None:
    """Measures over what stands between white space; what `starts` and `ends` hold is lost."""
    spaces, others = 0, 0
    for i in range(length):  # no branch: nobody could guess it
        t.starts[spaces] = i
        spaces += (t.flags[i] & SPACE) != 0
    for i in range(length):
        t.ends[others] = i
        others += ((t.flags[i] & LETTER) != 0) & (t.points[i] >= 128)
    t.starts[spaces] = t.ends[others] = length
    runs, in_runs, start, other = 0, 0, 0, 0
    for k in range(spaces + 1):
        end = t.starts[k]
        while t.ends[other] < start:
            other += 1
        at = start
        if t.ends[other] < end:
            at = end
        while at < end and not t.flags[at] & LETTER:
            at += 1
        if start < end == at:  # no letter, or one that is not of ASCII
            runs += 1
            in_runs += end - start
        start = end + 1
    row.mean_run_length = in_runs / max(runs, 1)


@helper
def _ends_spaced_ellipsis(points: npt.NDArray[np.int32], i: int) -> bool:
    """Whether ". . ." ends at `i`, where a point stands at `i`."""
    return bool(points[i - 1] == 32 and points[i - 2] == 46 and points[i - 3] == 32 and points[i - 4] == 46)


@helper
def _after_notes(t: Text, at: int, end: int, definition: int) -> int:
    """The position after what may follow the mark that ends a sentence: quotes, brackets, notes such as [12]."""
    while at < end:
        if t.signs[at] & CLOSING:
            at += 1
            continue
        if definition != DATAPIPE or t.points[at] != 0x5B:  # [
            break
        close, last = at + 1, min(end, at + LONGEST_NOTE)
        while close < last and t.points[close] not in (0x5B, 0x5D, 10):
            close += 1
        if close == last or t.points[close] != 0x5D:  # ]
            break
        at = close + 1
    return at


@helper
def _before_notes(t: Text, start: int, end: int) -> int:
    """The position before what may follow the mark that ends a sentence, and white space."""
    while end > start:
        point = t.points[end - 1]
        opening = end - 2
        if point == 0x5D:
            while opening >= max(start, end - LONGEST_NOTE) and t.points[opening] not in (0x5B, 0x5D):
                opening -= 1
            if opening >= max(start, end - LONGEST_NOTE) and t.points[opening] == 0x5B:
                end = opening
                continue
        if not (t.marks[point] & CLOSING or t.classes[point] & SPACE):
            break
        end -= 1
    return end


@helper
def _ends_sentence(t: Text, start: int, end: int, length: int, definition: int) -> bool:
    """Whether the marks from `start` on, which with quotes and notes go up to `end`, end a sentence."""
    if end == length or t.flags[end] & SPACE:
        return True
    if definition != DATAPIPE or not start:
        return False
    # A full stop of ASCII between Chinese characters, as in "机制.方法"; but "3.方法" is a number in a list.
    before, after = t.flags[start - 1], t.flags[end]
    if before & HAN:
        return (after & (LETTER | DIGIT)) != 0
    return (after & HAN) != 0 and not before & DIGIT


@helper
def _measure_sentences(t: Text, length: int, definition: int, row: Any) -> None:
    i = 0
    while i < length:
        if not t.signs[i] & TERMINAL:
            i += 1
            continue
        wide, start = False, i
        while i < length and t.signs[i] & TERMINAL:
            wide |= (t.signs[i] & WIDE_TERMINAL) != 0
            i += 1
        i = _after_notes(t, i, length, definition)
        row.sentences += wide or _ends_sentence(t, start, i, length, definition)


@helper
def _holds_sentence(t: Text, start: int, end: int) -> bool:
    """Whether a sentence ends at the end of a line, or after a word within it; an ellipsis there bids to read on."""
    last = _before_notes(t, start, end)
    if last > start and t.signs[last - 1] & TERMINAL:
        return True
    i = start + 1
    while i < end:
        if not t.signs[i] & TERMINAL or not t.flags[i - 1] & (LETTER | MARK):
            i += 1
            continue
        wide, first, dots = False, i, 0
        while i < end and t.signs[i] & TERMINAL:
            wide |= (t.signs[i] & WIDE_TERMINAL) != 0
            dots += (t.points[i] == 0x2E) + 2 * (t.points[i] == 0x2026)  # . …
            i += 1
        i = _after_notes(t, i, end, DATAPIPE)
        if dots < 2 and (wide or _ends_sentence(t, first, i, end, DATAPIPE)):
            return True
    return False


@inlined
def _pair(t: Text, at: int, pairs: npt.NDArray[np.uint8]) -> int:
    """What `pairs` says of two code points; others than ASCII may look like it here."""
    return int(pairs[(t.points[at] & 127) << 7 | t.points[at + 1] & 127])


@helper
def _count_phrases(
    t: Text, length: int, phrases: npt.NDArray[np.int32], pairs: npt.NDArray[np.uint8], row: Any
) -> None:
    """Count the phrases, rows of code points padded with 0, in the text in lower case; `pairs` is `first_pairs`."""
    first, second = _pair(t, 0, pairs), _pair(t, 1, pairs)
    for i in range(length):
        third = _pair(t, i + 2, pairs)
        begins = first & third >> 1
        first, second = second, third
        if not begins:
            continue
        for k in range(len(phrases)):
            if phrase_at(t, i, length, phrases[k]):
                row.lorem_ipsum += k == 0
                row.javascript += k == 1
                row.policy_phrases += k > 1


@helper
def _repeated(t: Text, m: Memory, pieces: int, total: int, definition: int) -> tuple[float, float]:
    """The share of pieces that repeat another, and that of their code points in `total` (dclm: in all pieces)."""
    if definition == DCLM:
        total = 0
        for i in range(pieces):
            total += t.ends[i] - t.starts[i]
    repeated, characters = repeated_pieces(t.points, t.prefix, t.starts, t.ends, pieces, definition in (DOLMA, DCLM), m)
    return repeated / max(pieces, 1), characters / max(total, 1)


@helper
def _measure_pieces(t: Text, m: Memory, length: int, visible: int, definition: int, row: Any) -> None:
    """Gopher's repeated lines and paragraphs."""
    pieces = split_at_breaks(t, 0, length, 1, length if definition == DATATROVE else 1)
    if definition in (DATAPIPE, DCLM):
        pieces = drop_blank(t, pieces, True)
    if definition == DATAPIPE:
        pieces = drop_symbols(t, pieces)
    total = visible if definition == DOLMA else length
    row.duplicate_line_share, row.duplicate_line_character_share = _repeated(t, m, pieces, total, definition)
    if definition == DOLMA:
        return
    start, end = strip(t, 0, length)
    pieces = split_at_breaks(t, start, end, 2, length)
    if definition != DATATROVE:
        pieces = drop_blank(t, pieces, True)
    if definition == DATAPIPE:
        pieces = drop_symbols(t, pieces)
    row.duplicate_paragraph_share, row.duplicate_paragraph_character_share = _repeated(t, m, pieces, total, definition)


@helper
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
        bullets += (t.signs[start] & BULLET) != 0
        ends = t.points[end - 1] == 0x2026  # …
        if definition != DOLMA and t.points[end - 1] == 0x2E and end - start >= 3:
            ends |= t.points[end - 2] == 0x2E and t.points[end - 3] == 0x2E
            ends |= definition == DCLM and end - start >= 5 and _ends_spaced_ellipsis(t.points, end - 1)
        ellipses += ends
    row.bullet_line_share = bullets / max(pieces, 1)
    row.ellipsis_line_share = ellipses / max(pieces, 1)


@helper
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
        if definition == DATAPIPE:
            item = end - start > SHORT_LINE and _is_list_item(t, start, end)
            if item or _holds_sentence(t, start, end):
                terminated += end - start
        else:
            last = end
            while last > start and t.signs[last - 1] & CLOSING:
                last -= 1
            terminated += last > start and (t.signs[last - 1] & TERMINAL) != 0
        start, end = strip(t, start, end)
        characters += end - start
        inviting += ends_in(t, start, end, read_on)
    row.lines = pieces
    row.newline_word_ratio = (max(pieces - 1, 0) if definition == DATAPIPE else breaks) / max(tokens, 1)
    row.mean_line_length = characters / max(pieces, 1)
    row.terminal_punctuation_line_share = terminated / max(characters if definition == DATAPIPE else pieces, 1)
    row.short_line_share = short / max(pieces, 1)
    row.continuation_line_share = inviting / max(pieces, 1)
    if definition == DATAPIPE:
        pieces = drop_symbols(t, pieces)
    repeated = repeated_pieces(t.points, t.prefix, t.starts, t.ends, pieces, False, m)[1]
    row.duplicate_character_share = repeated / max(length - breaks, 1)


@helper
def _is_list_item(t: Text, start: int, end: int) -> bool:
    """Whether a line begins in a bullet, a number or a letter that lists, as "- ", "12. ", "a) " and "二、" do."""
    at = start
    if not t.signs[at] & BULLET:
        while at < end and at - start < 3 and (t.flags[at] & DIGIT or _is_han_numeral(t.points[at])):
            at += 1
        if at == start and t.flags[at] & LETTER:
            at += 1
        if at in (start, end) or t.points[at] not in (0x2E, 0x29, 0x3001, 0xFF09):  # . ) 、 ）
            return False
        if t.points[at] in (0x3001, 0xFF09):
            return True
    at += 1
    return at < end and (t.flags[at] & SPACE) != 0


@helper
def _is_han_numeral(point: int) -> bool:
    """Whether a code point is one of 一二三四五六七八九十."""
    return point in (0x4E00, 0x4E8C, 0x4E09, 0x56DB, 0x4E94, 0x516D, 0x4E03, 0x516B, 0x4E5D, 0x5341)


class _Documents(NamedTuple):
    """Texts, and what their languages ask for.

    Attributes:
        data, offsets: see `text_buffers`.
        segmented: how they are cut into words, see `words.segment`.
        stop_words: where those of its language lie among all, and the length of the longest, shape (documents, 3).
        chinese: whether the Chinese measures are taken, shape (documents,).
        joined: whether tokens are parts of words, shape (documents,).
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    segmented: words.Segmented
    stop_words: npt.NDArray[np.int64]
    chinese: npt.NDArray[np.bool_]
    joined: npt.NDArray[np.bool_]


class _Tables(NamedTuple):
    """What is looked for: hashes of stop words, stems, phrases and ends of lines as `padded` rows, bounds of words.

    `count_logs` are n log(n) of the first numbers.
    """

    stop_words: npt.NDArray[np.uint64]
    spelt: npt.NDArray[np.int32]  # what a code point counts as in a stop word
    stems: Stems
    seen_stems: npt.NDArray[np.bool_]  # memory
    letter_ids: npt.NDArray[np.int16]  # memory
    phrases: npt.NDArray[np.int32]
    phrase_pairs: npt.NDArray[np.uint8]
    read_on: npt.NDArray[np.int32]
    word_breaks: npt.NDArray[np.uint8]
    count_logs: npt.NDArray[np.float64]


@kernel
def _measure(
    documents: _Documents, tables: _Tables, definition: int, long_text: int, t: Text, m: Memory, rows: Any
) -> None:
    for i in range(len(documents.offsets) - 1):
        row = rows[i]
        length = read_text(t, documents.data, documents.offsets[i], documents.offsets[i + 1])
        if not length:
            row.letter_pair_lift = np.nan
            continue
        at_spaces = documents.segmented.definitions[i] == words.CHARACTERS
        row.letter_pair_lift = letter_pair_lift(t, m, length, tables.letter_ids)
        row.notice_share, row.advert_share, row.exclamation_share = measure_notices(
            t, length, at_spaces, tables.stems, tables.seen_stems
        )
        _measure_runs(t, length, row)
        tokens = split_words(t, length, documents.segmented, i, definition == DATATROVE)
        stop_words = tables.stop_words[documents.stop_words[i, 0] : documents.stop_words[i, 1]]
        longest = documents.stop_words[i, 2]
        _measure_words(t, m, tokens, tables.spelt, stop_words, longest, documents.joined[i], definition, row)
        visible = _measure_characters(t, length, tokens, definition, row)
        _measure_sentences(t, length, definition, row)
        _count_phrases(t, length, tables.phrases, tables.phrase_pairs, row)
        ngram_tokens = tokens
        if definition == DCLM:
            ngram_tokens = split_uax29_words(t, length, tables.word_breaks)
            row.words = ngram_tokens
        in_text = length >= long_text and definition != DATATROVE  # which reads tokens while it counts n-grams
        grams = m
        if in_text:
            counts = t.points[ngram_tokens + 1 :]
            if len(counts) < max(ngram_tokens + 1, len(m.keys)):
                counts = m.counts
            grams = Memory(m.low_powers, m.high_powers, t.starts, t.room, m.keys, counts, m.firsts, t.ends, t.points)
        hash_tokens(t.points, t.starts, t.ends, ngram_tokens, True, grams)
        positions = all_positions(grams, ngram_tokens)
        measure_ngrams(t, grams, positions, ngram_tokens, length, 1, definition, row.gram_shares)
        if in_text:
            read_text(t, documents.data, documents.offsets[i], documents.offsets[i + 1])
        _measure_pieces(t, m, length, visible, definition, row)
        _measure_line_ends(t, length, definition, row)
        _measure_lines(t, m, length, tokens, tables.read_on, definition, row)
        if documents.chinese[i]:
            if in_text:
                counts = t.points[length + 1 :]
                if len(counts) < max(length + 1, len(m.keys)):
                    counts = m.counts
                grams = Memory(
                    m.low_powers, m.high_powers, t.starts, t.room, m.keys, counts, m.firsts, t.ends, t.points
                )
            _measure_letters(t, grams, length, tables.count_logs, row)


@functools.cache
def _count_logs() -> npt.NDArray[np.float64]:
    """n log(n) of the numbers below 256, the same to the last bit as in a kernel; 0 of 0."""
    return np.array([n * math.log(n or 1) for n in range(256)])


def measure_text(
    texts: pa.Array,
    languages: pa.Array,
    word_definition: str = "auto",
    definition: str = "datapipe",
    stop_words: dict[str, list[str]] | None = None,
    prose_only: bool = False,
) -> pa.RecordBatch:
    """The measurements of each text.

    Args:
        texts: documents, shape (n,); null reads as empty.
        languages: their codes, shape (n,); "code" is source code, null or "und" unknown.
        word_definition: "auto", or one of `words.DEFINITIONS`. With dolma and dclm "auto" is "whitespace", as theirs.
        definition: one of `DEFINITIONS`.
        stop_words: lists that replace or extend `words.STOP_WORDS`, by language; at most MAX_STOP_WORDS each.
        prose_only: whether to measure only what `prose.py` leaves of texts that are no source code.

    Returns:
        The columns of `SCHEMA`, n rows: 0 for an empty text; null for stop words where none are known, and for the
        Chinese measures of other languages.

    >>> measured = measure_text(pa.array(["The cat sat on the mat. It was happy."]), pa.array(["en"]))
    >>> measured.select(["words", "stop_words", "sentences"]).to_pylist()
    [{'words': 9, 'stop_words': 1, 'sentences': 2}]
    """
    system = DEFINITIONS[definition]
    if word_definition == "auto" and system in (DOLMA, DCLM):
        word_definition = "whitespace"
    codes, of_text = words.primary_languages(languages)
    if prose_only:
        whole = np.array([code == "code" for code in codes], bool)[of_text]
        left = prose(texts)
        texts = pc.if_else(pa.array(whole), texts.cast(pa.large_string()), left) if whole.any() else left
    word_definitions = np.array([words.definition_of(word_definition, code) for code in codes], np.int8)
    lists = words.STOP_WORDS | {language: tuple(listed) for language, listed in (stop_words or {}).items()}
    hashes, bounds_of = stop_table(tuple(lists.items()))
    judged_as = codes if system == DATAPIPE else ["en"] * len(codes)
    in_parts = np.array([code in words.UNSEGMENTED for code in judged_as], bool)
    bounds = np.array([bounds_of.get(code, (0, 0, 0)) for code in judged_as], np.int64).reshape(-1, 3)
    chinese = np.array([code == "zh" for code in codes], bool)
    documents = _Documents(
        *text_buffers(texts),
        words.segment(texts, word_definitions[of_text]),
        stop_words=bounds[of_text],
        chinese=chinese[of_text],
        joined=(in_parts & (word_definitions == words.CHARACTERS))[of_text],
    )
    tables = _Tables(
        stop_words=hashes,
        spelt=lower_table() if system in (DATAPIPE, DCLM) else np.arange(len(lower_table()), dtype=np.int32),
        stems=stems(),
        seen_stems=np.zeros(len(stems().is_notice), np.bool_),
        letter_ids=np.zeros(len(lower_table()), np.int16),
        phrases=padded(PHRASES),
        phrase_pairs=first_pairs(PHRASES),
        read_on=padded(tuple(suffix[::-1] for suffix in READ_ON)),
        word_breaks=word_break_table() if system == DCLM else np.zeros(0, np.uint8),
        count_logs=_count_logs(),
    )
    longest = int(np.diff(documents.offsets).max(initial=0))
    rows = np.zeros(len(texts), row_type())
    t, m = new_text(longest, mark_table(system)), new_memory(longest)
    _measure(documents, tables, system, _LONG_TEXT, t, m, rows)
    measured = rows.view([(name, type_) for name, (type_, _) in MEASUREMENTS.items()])
    unknown = documents.stop_words[:, 0] == documents.stop_words[:, 1]
    few_letters = np.isnan(measured["letter_pair_lift"])
    without = {
        "stop_words": unknown,
        "letter_pair_lift": few_letters,
        **dict.fromkeys(CHINESE_ONLY, ~documents.chinese),
    }
    arrays = [pa.array(np.ascontiguousarray(measured[name]), mask=without.get(name)) for name in SCHEMA.names]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
