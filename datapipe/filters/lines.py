"""Remove lines that are no text: navigation, cookie notices, counters, headings in capitals.

`rules.py` judges whole documents and changes none; this changes text. The new text is a column of its own, so that the
old one is still to be read beside it. A line is what stands between line breaks. Blank lines are not judged; what
removal leaves of them is at most one between two lines.
"""

import dataclasses
import functools
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.checks import check_known
from datapipe.filters.rule_sets import DEFAULT, RulesByLanguage, RuleSets, Thresholds
from datapipe.kernels import helper, kernel
from datapipe.read.examples import read_words
from datapipe.stage import DocumentStage
from datapipe.text import words
from datapipe.text.characters import DIGIT, LETTER, SPACE, UPPER, encode, text_buffers
from datapipe.text.spans import (
    POLICY_PHRASES,
    TERMINAL,
    Text,
    new_text,
    padded,
    phrase_at,
    read_text,
    sentence_marks,
    split_at_breaks,
    strip,
)
from datapipe.text.word_list import NO_WORDS, WordList, find_words
from datapipe.text.words import split_words

# A rule's number, in the order in which a line is judged. Words are those of the document's language (`words.py`).
(
    C4_CITATIONS,
    REFINEDWEB_PHRASES,
    C4_LONG_WORD,
    C4_TERMINAL,
    C4_MIN_WORDS,
    C4_JAVASCRIPT,
    C4_POLICY,
    REFINEDWEB_UPPERCASE,
    REFINEDWEB_DIGITS,
    REFINEDWEB_COUNTERS,
    REFINEDWEB_MIN_WORDS,
    MAP_NEO_TERMINAL,
    MAP_NEO_MIN_WORDS,
    MAP_NEO_BAD_WORDS,
) = range(14)
_RULES = MAP_NEO_BAD_WORDS + 1


class LineRule(NamedTuple):
    """A rule's number, and its limit; 1 switches on a rule that has none."""

    number: int
    threshold: float

    def at(self, threshold: float) -> "LineRule":
        """The rule with another limit."""
        return self._replace(threshold=threshold)

    def check_threshold(self, field: str, threshold: float) -> None:
        """Raise a ValueError if the limit is none."""
        if threshold <= 0:
            raise ValueError(f"{field} must be above 0, or null to switch the rule off, got {threshold!r}")


# The code that made C4 (tensorflow/datasets).
_C4: dict[str, LineRule] = {
    "c4_citations": LineRule(C4_CITATIONS, 1),  # strip "[1]", "[]", "[edit]", "[citation needed]"
    "c4_long_word": LineRule(C4_LONG_WORD, 1000),  # longest run without white space, in code points
    "c4_terminal_punctuation": LineRule(C4_TERMINAL, 1),  # or a closing quote; no ellipsis
    "c4_min_words": LineRule(C4_MIN_WORDS, 5),
    "c4_javascript": LineRule(C4_JAVASCRIPT, 1),
    "c4_policy": LineRule(C4_POLICY, 1),  # phrases of cookie and privacy notices
}
# What a rule removes is the line, but for the first of c4 and of refinedweb, which strip a phrase from it.
LINE_RULES: dict[str, dict[str, LineRule]] = {
    "c4": _C4,
    "c4_paper": _C4 | {"c4_min_words": LineRule(C4_MIN_WORDS, 3)},  # Raffel et al. 2020, 2.2; datatrove
    # Penedo et al. 2023 (RefinedWeb), G.2, as DCLM spells it out.
    "refinedweb": {
        "refinedweb_phrases": LineRule(REFINEDWEB_PHRASES, 10),  # strip in lines of at most so many words
        "refinedweb_uppercase": LineRule(REFINEDWEB_UPPERCASE, 0.5),  # share of the line's code points
        "refinedweb_digits": LineRule(REFINEDWEB_DIGITS, 0.999999),
        "refinedweb_counters": LineRule(REFINEDWEB_COUNTERS, 1),  # "3 likes"
        "refinedweb_min_words": LineRule(REFINEDWEB_MIN_WORDS, 2),
    },
    # MAP-NEO (Zhang et al. 2024), Chinese lines.
    "map_neo_zh": {
        "map_neo_terminal_punctuation": LineRule(MAP_NEO_TERMINAL, 1),
        "map_neo_min_words": LineRule(MAP_NEO_MIN_WORDS, 3),
        "map_neo_bad_words": LineRule(MAP_NEO_BAD_WORDS, 1),  # of the option `bad_words`: MAP-NEO's list is not public
    },
}
LANGUAGE_SETS: RuleSets = {DEFAULT: ["c4_paper"], "zh": ["map_neo_zh"], "code": []}
# Lines without terminal punctuation are headings, list items and verse too: FineWeb found the rule to remove good text
# and left it out. It is on where a recipe names its set.
LANGUAGE_THRESHOLDS: Thresholds = {
    DEFAULT: {"c4_terminal_punctuation": None},
    "zh": {"map_neo_terminal_punctuation": None},
}
_BY_LANGUAGE = RulesByLanguage("lines", LINE_RULES, LANGUAGE_SETS, LANGUAGE_THRESHOLDS)

_QUOTES = "\"'”’」』"  # C4 lets a line end in one
_COUNTED = (
    "likes", "shares", "comments", "retweets", "reposts", "quotes",
    "bookmarks", "upvotes", "downvotes", "downloads", "views", "followers",
)  # fmt: skip
_CITATIONS = ("edit]", "citation needed]")
_STRIPPED = ("items in cart", "read more...", "sign-in")  # anywhere in a line, at its end, at its start
NOTHING_LEFT, TOO_MUCH_REMOVED = "nothing_left", "too_much_removed"


@functools.cache
def _end_marks() -> npt.NDArray[np.uint8]:
    marks = sentence_marks().copy()
    marks[[ord(quote) for quote in _QUOTES]] |= TERMINAL
    return marks


class _Phrases(NamedTuple):
    """What the rules look for, as `padded` gives it: one a row."""

    citations: npt.NDArray[np.int32]
    stripped: npt.NDArray[np.int32]  # from a line
    forbidden: npt.NDArray[np.int32]  # in a line: "javascript", then the phrases of policies
    counted: npt.NDArray[np.int32]


class _Rules(NamedTuple):
    """What is asked of the lines of some documents.

    Attributes:
        limits: of each document, by rule number, shape (documents, 14); NaN, which compares false, for a rule that is
            off.
        bad_lines: which of all lines hold a bad word, shape (lines,).
        first_lines: each document's first line among them, shape (documents,).
        phrases: the same for all.
    """

    limits: npt.NDArray[np.float64]
    bad_lines: npt.NDArray[np.bool_]
    first_lines: npt.NDArray[np.int64]
    phrases: _Phrases


@helper
def _strip_citations(t: Text, length: int, citations: npt.NDArray[np.int32], kept: npt.NDArray[np.bool_]) -> None:
    """Unmark `[12]`, `[]` and the citations, which are given without their first bracket."""
    for i in range(length):
        if t.points[i] != 0x5B:
            continue
        at = i + 1
        while at < length and 0x30 <= t.points[at] <= 0x39:
            at += 1
        size = at - i + 1 if at < length and t.points[at] == 0x5D else 0
        for k in range(len(citations)):
            if not size and phrase_at(t, i + 1, length, citations[k]):
                size = phrase_at(t, i + 1, length, citations[k]) + 1
        kept[i : i + size] = False


@helper
def _strip_phrases(t: Text, start: int, end: int, phrases: npt.NDArray[np.int32], kept: npt.NDArray[np.bool_]) -> None:
    """Unmark the first phrase anywhere in the line, the second at its end and the third at its start."""
    for at in range(start, end):
        for k in range(3):
            size = phrase_at(t, at, end, phrases[k])
            if size and (k == 0 or (k == 1 and at + size == end) or (k == 2 and at == start)):
                kept[at : at + size] = False


@helper
def _is_counter(t: Text, start: int, end: int, counted: npt.NDArray[np.int32]) -> bool:
    """Whether the line is a number and what it counts: "1.5k Likes"."""
    at, word = start, LETTER | DIGIT
    while at < end and not (t.flags[at] & word or t.points[at] == 0x5F):
        at += 1
    if at == end or not t.flags[at] & DIGIT:
        return False
    while at < end and (t.flags[at] & DIGIT or t.points[at] in (0x2C, 0x2E)):
        at += 1
    if at < end and t.lower[t.points[at]] in (0x6B, 0x6D, 0x62):  # k, m, b
        at += 1
    spaces = at
    while at < end and t.flags[at] & SPACE:
        at += 1
    if at == spaces:
        return False
    for k in range(len(counted)):
        size = phrase_at(t, at, end, counted[k])
        if size:
            at += size
            while at < end and not (t.flags[at] & word or t.points[at] == 0x5F):
                at += 1
            return at == end
    return False


@helper
def _judge_line(
    t: Text,
    kept: npt.NDArray[np.bool_],
    start: int,
    end: int,
    line_words: int,
    limits: npt.NDArray[np.float64],
    forbidden: npt.NDArray[np.int32],
    counted: npt.NDArray[np.int32],
) -> bool:
    """Whether a rule removes the line, which has so many words; for bad words see `_Rules`."""
    size, upper, digits, run, longest, javascript, policy = 0, 0, 0, 0, 0, 0, 0
    last, before, earlier = 0, 0, 0
    for i in range(start, end):
        point, flags = t.points[i], t.flags[i]
        run = 0 if flags & SPACE else run + 1
        longest = max(longest, run)
        if kept[i]:
            size += 1
            upper += (flags & UPPER) != 0
            digits += (flags & DIGIT) != 0
            if not flags & SPACE:
                last, before, earlier = point, last, before
        javascript += phrase_at(t, i, end, forbidden[0]) > 0
        for k in range(1, len(forbidden)):
            policy += phrase_at(t, i, end, forbidden[k]) > 0
    ellipsis = last == 0x2026 or (last == 0x2E and before == 0x2E and earlier == 0x2E)
    terminated = (t.marks[last] & TERMINAL) != 0
    return (
        not size
        or longest > limits[C4_LONG_WORD]
        or (limits[C4_TERMINAL] > 0 and (ellipsis or not terminated))
        or line_words < limits[C4_MIN_WORDS]
        or (limits[C4_JAVASCRIPT] > 0 and javascript > 0)
        or (limits[C4_POLICY] > 0 and policy > 0)
        or upper > limits[REFINEDWEB_UPPERCASE] * size
        or digits > limits[REFINEDWEB_DIGITS] * size
        or (limits[REFINEDWEB_COUNTERS] > 0 and _is_counter(t, start, end, counted))
        or line_words < limits[REFINEDWEB_MIN_WORDS]
        or (limits[MAP_NEO_TERMINAL] > 0 and not terminated)
        or line_words < limits[MAP_NEO_MIN_WORDS]
    )


@kernel
def _remove_lines(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    segmented: words.Segmented,
    rules: _Rules,
    t: Text,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The new texts and their offsets; each document's lines, code points and words removed, and words left."""
    new_data = np.empty(offsets[-1] - offsets[0], np.uint8)
    new_offsets = np.zeros(len(offsets), np.int64)
    removed = np.zeros((len(offsets) - 1, 4), np.int32)
    kept = np.empty(len(t.points) + 1, np.bool_)  # of the document's code points
    word_starts = np.empty(len(t.points) + 1, np.bool_)  # the first code points of words
    bad_lines, first_lines, phrases = rules.bad_lines, rules.first_lines, rules.phrases
    forbidden, counted = phrases.forbidden, phrases.counted
    at = 0
    for document in range(len(offsets) - 1):
        length = read_text(t, data, offsets[document], offsets[document + 1])
        tokens = split_words(t, length, segmented, document, False)
        word_starts[:length] = False
        for i in range(tokens):
            if t.any_flags[i] & (LETTER | DIGIT):
                word_starts[t.starts[i]] = True
        kept[:length] = True
        limits = rules.limits[document]
        if limits[C4_CITATIONS] > 0:
            _strip_citations(t, length, phrases.citations, kept)
        for line in range(split_at_breaks(t, 0, length, 1, 1)):
            start, end = strip(t, t.starts[line], t.ends[line])
            if start == end:
                continue
            line_words = word_starts[start:end].sum()
            if line_words <= limits[REFINEDWEB_PHRASES]:
                _strip_phrases(t, start, end, phrases.stripped, kept)
            bad = limits[MAP_NEO_BAD_WORDS] > 0 and bad_lines[first_lines[document] + line]
            if bad or _judge_line(t, kept, start, end, line_words, limits, forbidden, counted):
                kept[t.starts[line] : t.ends[line] + 1] = False  # and its line break
                removed[document, 0] += 1
                removed[document, 2] += line_words
            else:
                left = (word_starts[start:end] & kept[start:end]).sum()
                removed[document, 2] += line_words - left
                removed[document, 3] += left
        removed[document, 1] = length - kept[:length].sum()
        breaks = 2 if removed[document, 0] else 0  # a removed line leaves no blank ones behind
        first = at
        for i in range(length):
            if not kept[i]:
                continue
            breaks = breaks + 1 if t.points[i] == 10 else 0
            if breaks <= 2 or not removed[document, 0]:
                at = encode(t.points[i], new_data, at)
        while removed[document, 0] and at > first and new_data[at - 1] == 10:
            at -= 1
        new_offsets[document + 1] = at
    return new_data[:at], new_offsets, removed


@dataclasses.dataclass(eq=False)
class RemoveLines(DocumentStage):
    """Writes the text without the lines that a rule of the document's language removes.

    `lines_removed_count` and `lines_removed_characters` say how many lines and code points went, `lines_cut_bytes` how
    many bytes of a text that is written anew. A document that has
    nothing left, or lost more than it may, keeps its text and bears the reason in `lines_reason`: "nothing_left" or
    "too_much_removed".

    Attributes:
        rule_sets: the names of `LINE_RULES` that judge a language, in place of those in `LANGUAGE_SETS`; "default" for
            languages not named, "code" for source code. An empty list removes nothing.
        thresholds: by language, limits in place of those of the rules; null switches a rule off. Those of "default"
            hold for all languages that take its sets.
        max_removed_share: the share of its words that a document may lose; RefinedWeb takes 0.05, null sets no bound.
        words: the word definition, as in `MeasureText`.
        bad_words: files of words, one a line: a line that holds one goes, where the rule "map_neo_bad_words" judges.

    Raises:
        ValueError: if a set, rule or word definition is unknown, or a number out of its range.
    """

    rule_sets: RuleSets = dataclasses.field(default_factory=dict)
    thresholds: Thresholds = dataclasses.field(default_factory=dict)
    max_removed_share: float | None = None
    words: str = "auto"
    bad_words: list[str] = dataclasses.field(default_factory=list)

    name: ClassVar[str] = "lines"
    version: ClassVar[int] = 5
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            ("text", pa.string()),
            ("lines_removed_count", pa.int32()),
            ("lines_removed_characters", pa.int32()),
            ("lines_cut_bytes", pa.int64()),
            ("lines_reason", pa.string()),
        ]
    )

    def check(self) -> None:
        """Check how the options go together."""
        check_known("lines: unknown words", self.words, ("auto", *words.DEFINITIONS))
        share = self.max_removed_share
        if share is not None and not (isinstance(share, int | float) and 0 <= share < 1):
            raise ValueError(f"lines: max_removed_share must be at least 0 and less than 1, got {share!r}")
        _BY_LANGUAGE.check(self.rule_sets, self.thresholds)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", "language")

    def limits_of(self, language: str) -> npt.NDArray[np.float64]:
        """The limit of each rule that judges a language, by its number; NaN for the others."""
        limits = np.full(_RULES, np.nan)
        for rule in _BY_LANGUAGE.rules_of(language, self.rule_sets, self.thresholds).values():
            limits[rule.number] = rule.threshold
        return limits

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Remove lines from the column `text`, by the column `language`; returns the columns of `writes`."""
        codes = [words.primary(language) for language in batch.column("language").to_pylist()]
        limits_of = {code: self.limits_of(code) for code in set(codes)}
        limits = np.array([limits_of[code] for code in codes]).reshape(len(codes), _RULES)
        definitions = np.array([words.definition_of(self.words, code) for code in codes], np.int8)
        texts, removed = remove_lines(batch.column("text"), definitions, limits, read_words(tuple(self.bad_words)))
        lines, characters, words_removed, words_left = removed.T
        touched = characters > 0
        reasons = np.full(len(codes), None, object)
        if self.max_removed_share is not None:
            too_much = words_removed > self.max_removed_share * (words_removed + words_left)
            reasons[touched & too_much] = TOO_MUCH_REMOVED
        empty = pc.equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False)
        reasons[touched & empty] = NOTHING_LEFT
        reason = pa.array(reasons, pa.string())
        unchanged = pc.or_(pa.array(~touched), reason.is_valid())
        before = batch.column("text").cast(pa.large_string())
        text = pc.if_else(unchanged, before, texts)
        cut = pc.subtract(pc.binary_length(before), pc.binary_length(text)).fill_null(0)
        return pa.RecordBatch.from_arrays(
            [text.cast(pa.string()), pa.array(lines), pa.array(characters), cut, reason], schema=self.writes
        )


def _bad_lines(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], bad_words: WordList
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which of all lines hold a word of the list, shape (lines,), and each document's first line, (documents,)."""
    breaks = np.flatnonzero(data[offsets[0] : offsets[-1]] == 10) + offsets[0]
    first_lines = np.searchsorted(breaks, offsets[:-1]) + np.arange(len(offsets) - 1)
    if not bad_words.words:
        return np.zeros(len(first_lines) + len(breaks), bool), first_lines
    bounds = np.sort(np.concatenate([offsets, breaks + 1]))
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    lines = pa.Array.from_buffers(pa.large_string(), len(bounds) - 1, buffers)
    return find_words(lines, bad_words)[0] > 0, first_lines


def remove_lines(
    texts: pa.Array,
    definitions: npt.NDArray[np.int8],
    limits: npt.NDArray[np.float64],
    bad_words: WordList = NO_WORDS,
) -> tuple[pa.Array, npt.NDArray[np.int32]]:
    """Remove the lines that break a limit.

    Args:
        texts: documents, as string or large_string; null reads as empty.
        definitions: each one's word definition, of `words.DEFINITIONS`.
        limits: each one's limits by rule number, shape (documents, 14); NaN switches a rule off.
        bad_words: for the rule MAP_NEO_BAD_WORDS.

    Returns:
        The new texts as large_string; lines, code points and words removed and words left, shape (documents, 4).
    """
    data, offsets = text_buffers(texts)
    phrases = _Phrases(padded(_CITATIONS), padded(_STRIPPED), padded(("javascript", *POLICY_PHRASES)), padded(_COUNTED))
    rules = _Rules(limits, *_bad_lines(data, offsets, bad_words), phrases)
    t = new_text(int(np.diff(offsets).max(initial=0)), _end_marks())
    new_data, new_offsets, removed = _remove_lines(data, offsets, words.segment(texts, definitions), rules, t)
    buffers = [None, pa.py_buffer(new_offsets), pa.py_buffer(new_data)]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers), removed
