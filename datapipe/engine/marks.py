"""Where in a text a rule finds what it counts: the spans that `datapipe explain` marks.

The numbers that decide are measured by kernels (`datapipe.text.measuring`); here, in plain Python, the places are
found for one text that somebody looks at. What a kernel takes for a word is here a run of letters and digits, or one
character of a script without spaces: what is marked as repeated is near what was counted, not the same to the letter.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from datapipe.text.measures import FEWEST_MENTIONS, READ_ON, SHORT_LINE
from datapipe.text.notices import ADVERTS, NOTICES
from datapipe.text.spans import CLOSERS, POLICY_PHRASES, terminal_points

Spans = list[tuple[int, int]]  # first character and the one after the last, ascending, apart from each other

# A run of letters, digits and marks; of scripts written without spaces each character by itself.
_UNSPACED = "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+|[^\\w\\s]")
_NGRAM = re.compile(r"(top|duplicate)_(\d+)(gram|character)_share")
_LONGEST_WORDS = 5


def find_marks(measurement: str, text: str) -> Spans:
    """What in a text speaks against it by a measurement; empty where that is a matter of the whole text.

    Args:
        measurement: a column of the stage `measurements`.
        text: the document.
    """
    ngram = _NGRAM.fullmatch(measurement)
    if ngram:
        return merged(_repeated_ngrams(text, int(ngram[2]), commonest=ngram[1] == "top"))
    find = _FINDERS.get(measurement)
    if find is None:
        return []
    return merged(find(text))


def merged(spans: Iterator[tuple[int, int]] | Spans) -> Spans:
    """Spans in order, those that touch as one.

    >>> merged([(5, 7), (0, 3), (2, 4)])
    [(0, 4), (5, 7)]
    """
    joined: Spans = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        elif end > start:
            joined.append((start, end))
    return joined


def mark(text: str, spans: Spans, before: str = "⟦", after: str = "⟧") -> str:
    """A text with something before and after each span.

    >>> mark("one two two", [(8, 11)])
    'one two ⟦two⟧'
    """
    pieces, at = [], 0
    for start, end in spans:
        pieces += [text[at:start], before, text[start:end], after]
        at = end
    return "".join([*pieces, text[at:]])


def excerpt(text: str, spans: Spans, characters: int) -> tuple[str, Spans]:
    """As much of a text, from a little before its first span, and the spans in it."""
    first = spans[0][0] if spans else 0
    begin = 0 if first < characters // 2 else text.rfind("\n", 0, first - characters // 8) + 1
    begin = begin if first - begin < characters // 2 else first - characters // 8
    end = min(len(text), begin + characters)
    inside = [
        (max(start, begin) - begin, min(stop, end) - begin) for start, stop in spans if stop > begin and start < end
    ]
    return text[begin:end], inside


def shared_passages(text: str, other: str, tokens: int = 12) -> Spans:
    """The passages of a text that stand in another one too, of at least so many tokens."""
    theirs = _tokens(other)
    known = {tuple(other[a:b] for a, b in theirs[at : at + tokens]) for at in range(len(theirs) - tokens + 1)}
    ours = _tokens(text)
    return merged(
        (ours[at][0], ours[at + tokens - 1][1])
        for at in range(len(ours) - tokens + 1)
        if tuple(text[a:b] for a, b in ours[at : at + tokens]) in known
    )


def _tokens(text: str) -> Spans:
    return [match.span() for match in _TOKEN.finditer(text)]


def _repeated_ngrams(text: str, n: int, *, commonest: bool) -> Iterator[tuple[int, int]]:
    """The occurrences of the commonest n-gram of tokens; or of each n-gram all but the first."""
    spans = _tokens(text)
    words = [text[start:end] for start, end in spans]
    grams = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
    counts = Counter(grams)
    if commonest:
        of_length = {gram: count * sum(map(len, gram)) for gram, count in counts.items() if count >= FEWEST_MENTIONS}
        best = max(of_length, key=lambda gram: of_length[gram], default=None)
        yield from ((spans[at][0], spans[at + n - 1][1]) for at, gram in enumerate(grams) if gram == best)
        return
    seen = set()
    for at, gram in enumerate(grams):
        if gram in seen:
            yield spans[at][0], spans[at + n - 1][1]
        seen.add(gram)


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Where each line that is not blank begins and ends, without white space around it."""
    for match in re.finditer(r"[^\n]+", text):
        line = match[0]
        if line.strip():
            yield match.start() + len(line) - len(line.lstrip()), match.start() + len(line.rstrip())


def _repeated_lines(text: str) -> Iterator[tuple[int, int]]:
    return _later(text, list(_lines(text)))


def _repeated_paragraphs(text: str) -> Iterator[tuple[int, int]]:
    return _later(text, [match.span() for match in re.finditer(r"\S(?:[^\n]|\n(?!\s*\n))*", text)])


def _later(text: str, spans: Spans) -> Iterator[tuple[int, int]]:
    seen = set()
    for start, end in spans:
        piece = text[start:end].strip()
        if piece in seen and re.search(r"\w", piece):
            yield start, end
        seen.add(piece)


def _lines_that(holds: Callable[[str], object]) -> Callable[[str], Iterator[tuple[int, int]]]:
    return lambda text: ((start, end) for start, end in _lines(text) if holds(text[start:end]))


def _found(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> Callable[[str], Iterator[tuple[int, int]]]:
    found = re.compile(pattern, flags)
    return lambda text: (match.span() for match in found.finditer(text))


def _ends_no_sentence(line: str) -> bool:
    """Whether a line holds no sentence: nothing that ends one stands before a space, a closer or its end."""
    terminal = set(map(chr, terminal_points()))
    return not any(
        (character in terminal and (at + 1 == len(line) or line[at + 1].isspace() or line[at + 1] in CLOSERS))
        or character in "。！？"
        for at, character in enumerate(line)
    )


def _stems(lists: dict[str, str]) -> Callable[[str], Iterator[tuple[int, int]]]:
    """Finds beginnings of words; in scripts without case, whose words may stand without spaces, anywhere."""
    stems = {stem for listed in lists.values() for stem in listed.split("|")}
    cased = [stem for stem in stems if stem[0].lower() != stem[0].upper()]
    patterns = [rf"(?<!\w)(?:{'|'.join(map(re.escape, cased))})", "|".join(map(re.escape, stems.difference(cased)))]
    return _found("|".join(filter(None, patterns)), re.IGNORECASE)


def _words_without_letters(text: str) -> Iterator[tuple[int, int]]:
    for match in re.finditer(r"\S+", text):
        if not any(map(str.isalpha, match[0])):
            yield match.span()


def _longest_words(text: str) -> Iterator[tuple[int, int]]:
    words = [match.span() for match in re.finditer(r"\S+", text)]
    yield from sorted(words, key=lambda span: span[0] - span[1])[:_LONGEST_WORDS]


def _longest_line(text: str) -> Iterator[tuple[int, int]]:
    yield from sorted(_lines(text), key=lambda span: span[0] - span[1])[:1]


_ELLIPSES = r"\.\.\.|…"
_PHRASES = "|".join(map(re.escape, POLICY_PHRASES))
_FINDERS: dict[str, Callable[[str], Iterator[tuple[int, int]]]] = {
    "mean_word_length": _longest_words,
    "median_word_length": _longest_words,
    "mean_whole_line_length": _longest_line,
    "max_line_length": _longest_line,
    "hash_ratio": _found("#"),
    "hash_run_share": _found("#+"),
    "ellipsis_ratio": _found(_ELLIPSES),
    "ellipsis_share": _found(_ELLIPSES),
    "symbol_ratio": _found(f"#|{_ELLIPSES}"),
    "bullet_line_share": _lines_that(re.compile("[•‣▶◀◦■□▪▫●○·*-]").match),
    "ellipsis_line_share": _lines_that(re.compile(rf".*(?:{_ELLIPSES})$").match),
    "continuation_line_share": _lines_that(lambda line: line.lower().endswith(READ_ON)),
    "short_line_share": _lines_that(lambda line: len(line) <= SHORT_LINE),
    "terminal_punctuation_line_share": _lines_that(_ends_no_sentence),
    "duplicate_line_share": _repeated_lines,
    "duplicate_line_character_share": _repeated_lines,
    "duplicate_character_share": _repeated_lines,
    "duplicate_paragraph_share": _repeated_paragraphs,
    "duplicate_paragraph_character_share": _repeated_paragraphs,
    "alphabetic_word_share": _words_without_letters,
    "lorem_ipsum": _found("lorem ipsum", re.IGNORECASE),
    "javascript": _found("javascript", re.IGNORECASE),
    "policy_phrases": _found(_PHRASES, re.IGNORECASE),
    "curly_brackets": _found(r"\{"),
    "bracket_share": _found("【[^】]*】"),
    "digit_share": _found(r"\d+"),
    "notice_share": _stems(NOTICES),
    "advert_share": _stems(ADVERTS),
    "exclamation_share": _found(r"[^\s.!?。！？][^.!?。！？\n]*[!！]+"),
}
