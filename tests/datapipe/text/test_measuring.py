"""The oracle is plain Python: split, Counter, str methods and `re`, written from the systems' definitions."""

import collections
import functools
import itertools
import math
import pathlib
import re
import statistics
import unicodedata
from collections.abc import Callable

import opencc
import pyarrow as pa
import pytest
import regex
import rjieba
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text import measures, measuring, words
from datapipe.text.measures import CHINESE_ONLY, DEFINITIONS, MEASUREMENTS, SCHEMA
from datapipe.text.measuring import measure_text
from datapipe.text.notices import ADVERTS, NOTICES
from tests.datapipe.text.plain_ngrams import ngram_shares, ngrams, size
from tests.datapipe.text.plain_words import AS_SPACE, HAN, is_letter, split_words, uax29_words
from tests.helpers import read_lines

ALPHABET = "aabTx e\u0301é中国國發的。，,.…!?#-*•【】{}'’\"”_09\n\n \t\u3000\r\u2028İẞ👍\u200d\u0e01\u0e34の"
PIECES = [
    *ALPHABET,
    "the ",
    "of ",
    "...",
    ". . .",
    "lorem ipsum",
    "JavaScript",
    "Terms of Use",
    "展开\n",
    "Read More\n",
    "[12]",
    "\n- ",
    "\n1. ",
    "\n一、",
    "x" * 20,
    "cookie ",
    "our Website ",
    "Personal data. ",
    "Buy now! ",
    "free Shipping",
    "discount",
    "！",
    "ที่",
    "158 349 ",
    "การ",
    "Sphinx of black quartz, judge my vow ",
    "[",
    "]",
    "3",
    "\n\n",
]
texts = st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs", "Cn"]), max_size=60).map("".join)
repetitive = st.lists(st.sampled_from(["ab ", "cde ", "f", " ", "\n", "中", "文 "]), max_size=80).map("".join)

TERMINAL = set(
    regex.findall(r"\p{Sentence_Terminal}", "".join(map(chr, (*range(0xD800), *range(0xE000, 0x20000)))))
) | set("៖៙៚")
TO_SIMPLIFIED = opencc.OpenCC("t2s")
CLOSING = "\"'”’»›)]}」』】》〉）］｝"


def repeats(pieces: list[str], all_copies: bool) -> tuple[int, int]:
    counted = collections.Counter(pieces)
    copies = {piece: (n if all_copies else n - 1) for piece, n in counted.items() if n > 1}
    return sum(copies.values()), sum(len(piece) * n for piece, n in copies.items())


def with_letters(pieces: list[str]) -> list[str]:
    return [piece for piece in pieces if any(map(is_letter, piece))]


def after_notes(text: str, at: int) -> int:
    found = re.compile(f"(?:[{re.escape(CLOSING)}]|\\[[^\\[\\]\n]{{0,38}}\\])*").match(text, at)
    return found.end() if found else at


def before_notes(line: str) -> str:
    while line:
        note = re.search(r"\[[^\[\]]{0,38}\]$", line)
        if note:
            line = line[: note.start()]
        elif line[-1] in CLOSING or line[-1].isspace():
            line = line[:-1]
        else:
            break
    return line


def ends_sentence(text: str, start: int, end: int) -> bool:
    if end == len(text) or text[end].isspace():
        return True
    if not start:
        return False
    before, after = text[start - 1], text[end]
    if regex.fullmatch(HAN, before):
        return is_letter(after)
    return bool(regex.fullmatch(HAN, after)) and unicodedata.category(before)[0] != "N"


def sentence_ends(text: str) -> list[tuple[int, str]]:
    """Where the marks that end sentences begin, and those marks."""
    marks = re.escape("".join(TERMINAL | {"…"}))
    found, at = [], 0
    while match := re.compile(f"[{marks}]+").search(text, at):
        at = after_notes(text, match.end())
        if set(match[0]) & set("。！？．｡…") or ends_sentence(text, match.start(), at):
            found.append((match.start(), match[0]))
    return found


def holds_sentence(line: str) -> bool:
    if before_notes(line)[-1:] in TERMINAL | {"…"} and before_notes(line):
        return True
    marks = re.escape("".join(TERMINAL | {"…"}))
    at = 1
    while match := re.compile(f"[{marks}]+").search(line, at):
        if unicodedata.category(line[match.start() - 1])[0] not in "LM":
            at = match.start() + 1
            continue
        at = after_notes(line, match.end())
        few = match[0].count(".") + 2 * match[0].count("…") < 2
        if few and (set(match[0]) & set("。！？．｡…") or ends_sentence(line, match.start(), at)):
            return True
    return False


def joined_words(text: str, lowered: list[str]) -> set[str]:
    """What up to four tokens that stand together spell."""
    low = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    starts, at = [], 0
    for token in lowered:
        starts.append(low.index(token, at))
        at = starts[-1] + len(token)
    found = set()
    for i in range(len(lowered)):
        for j in range(i, min(i + 4, len(lowered))):
            if j > i and starts[j] != starts[j - 1] + len(lowered[j - 1]):
                break
            found.add(low[starts[i] : starts[j] + len(lowered[j])])
    return found


def letter_pair_lift(text: str) -> float | None:
    low = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    runs: list[str] = []
    for run in dict.fromkeys(regex.findall(r"[\p{L}\p{M}]{1,1000}", low)):
        if sum(map(len, runs)) < 1000:
            runs.append(run)
    letters = collections.Counter("".join(runs))
    if letters.total() < 100:
        return None
    alphabetic = {c: n for c, n in letters.items() if ord(c) < 0x590 or 0x1E00 <= ord(c) < 0x2000}
    number = sum(alphabetic.values())
    judged = number >= 100 and 2 * number >= letters.total()
    if judged and sum(n * (n - 1) for n in alphabetic.values()) < 0.02 * number * (number - 1):
        return 0.0
    pairs = collections.Counter(pair for run in runs for pair in itertools.pairwise(run))
    same, same_pairs = (sum(n * (n - 1) for n in counted.values()) / 2 for counted in (letters, pairs))
    chance = same / math.comb(letters.total(), 2)
    expected = math.comb(pairs.total(), 2) * chance**2
    if expected < 1:
        return 0.0 if chance < 0.001 else None
    return max(0.0, same_pairs / expected - 2.5 / math.sqrt(expected))


def sentence_shares(text: str, at_spaces: bool) -> tuple[float, float, float]:
    """Of notices, advertisements and exclamations."""
    notices, adverts = ({stem for listed in of.values() for stem in listed.split("|")} for of in (NOTICES, ADVERTS))
    stem = re.compile("|".join(map(re.escape, sorted(notices | adverts, key=lambda s: (-len(s), s)))))
    low = "".join(" " if c.isspace() else c.lower() if len(c.lower()) == 1 else c for c in text)
    starting, at = {}, 0
    while at < len(low):
        inside = at and unicodedata.category(text[at - 1])[0] in "LM" and ord(text[at]) < 0x590
        match = None if inside else stem.match(low, at)
        if match:
            starting[at] = match[0]
        at = match.end() if match else at + 1
    ends = [
        at
        for at, c in enumerate(text)
        if at + 1 == len(text)
        or c == "\n"
        or (at_spaces and c.isspace())
        or c in "。！？．｡…"
        or (c in TERMINAL and text[at + 1].isspace())
    ]
    points = [0, 0, 0]
    kinds: tuple[set[str], set[str]] = (set(), set())
    exclamations = begin = 0
    for end in ends:
        size = sum(not c.isspace() for c in text[begin : end + 1])
        found = [starting[at] for at in range(begin, end + 1) if at in starting]
        of_notices, of_adverts = [f for f in found if f in notices], [f for f in found if f not in notices]
        exclaims = text[begin : end + 1].rstrip()[-1:] in ("!", "！")
        kinds[0].update(of_notices)
        kinds[1].update(of_adverts)
        points[0] += size * bool(of_notices)
        points[1] += size * (len(of_adverts) > 1 or bool(of_adverts and (at_spaces or exclaims)))
        points[2] += size * exclaims
        exclamations += exclaims
        begin = end + 1
    total = max(sum(not c.isspace() for c in text), 1)
    said = (len(kinds[0]) > 2, len(kinds[1]) > 2, exclamations > 2)
    return tuple(p / total * s for p, s in zip(points, said, strict=True))  # type: ignore[return-value]


def count_thousands(text: str, tokens: list[str]) -> int:
    """Tokens of three digits that follow one of as many at most, with one character between."""
    found, at, before = 0, 0, (False, 0)
    for token in tokens:
        start = text.index(token, at)
        at = start + len(token)
        digits = len(token) <= 3 and all(unicodedata.category(c)[0] == "N" for c in token)
        found += digits and before[0] and len(token) == 3 and start == before[1] + 1
        before = digits, at
    return found


def is_list_item(line: str) -> bool:
    bullets = re.escape(measures._BULLETS[measures.DATAPIPE])
    numbered = regex.match(r"(?:[\p{N}一二三四五六七八九十]{1,3}|\p{L})([.)、）])", line)
    if re.match(f"[{bullets}]", line):
        return line[1:2].isspace()
    if not numbered:
        return False
    return numbered[1] in "、）" or line[numbered.end() : numbered.end() + 1].isspace()


def reference(
    text: str, language: str | None, kind: str = "auto", definition: str = "datapipe"
) -> dict[str, float | None]:
    """The measurements by plain Python; None where the measurement is null."""
    code = (language or "und").split("-")[0]
    compatible = definition in ("dolma", "dclm")
    if kind == "auto":
        own = {"zh": "rjieba"} | dict.fromkeys(words.UNSEGMENTED, "characters")
        kind = "whitespace" if compatible else own.get(code, "unicode")
    listed = words.STOP_WORDS.get(code if definition == "datapipe" else "en", ())
    if not text:
        zeros: dict[str, float | None] = dict.fromkeys(MEASUREMENTS, 0)
        zeros["letter_pair_lift"] = None
        if not listed:
            zeros["stop_words"] = None
        return zeros | ({} if code == "zh" else dict.fromkeys(CHINESE_ONLY))

    tokens = split_words(text, kind)
    if definition == "datatrove" and kind == "rjieba":
        tokens = [token for token in rjieba.cut(text) if not token.isspace()]
    symbol: Callable[[str], bool] = lambda c: definition == "datapipe" and not is_letter(c)  # noqa: E731
    if definition == "datatrove":
        symbol = lambda c: c in measures._DATATROVE_PUNCTUATION or c in TERMINAL  # noqa: E731
    real = [token for token in tokens if not all(map(symbol, token))]
    visible = [c for c in text if not c.isspace()]
    stripped = [line.strip() for line in text.split("\n") if line.strip()]
    raw = [line for line in text.split("\n") if line.strip()]
    judged = raw if definition == "datatrove" else stripped
    terminal = TERMINAL if definition == "datatrove" else TERMINAL | {"…"}
    closing = "" if definition == "datatrove" else CLOSING

    m: dict[str, float | None] = {
        "characters": len(text),
        "words": len(real),
        "lines": len(stripped),
        "mean_word_length": statistics.fmean(map(len, real)) if real else 0,
        "median_word_length": statistics.median(map(len, real)) if real else 0,
        "mean_line_length": statistics.fmean(map(len, stripped)) if stripped else 0,
        "mean_whole_line_length": statistics.fmean(map(len, text.removesuffix("\n").split("\n"))),
        "max_line_length": max(map(len, text.split("\n"))),
        "long_lines": sum(len(line) >= 200 for line in text.split("\n")),
    }
    ellipses = text.count("...") + text.count("…")
    number = max(len(tokens), 1)
    m["hash_ratio"], m["ellipsis_ratio"] = text.count("#") / number, ellipses / number
    m["symbol_ratio"] = (text.count("#") + ellipses + (text.count(". . .") if definition == "dclm" else 0)) / number
    if definition == "dolma":
        m["symbol_ratio"] = sum("#" in token or "…" in token for token in tokens) / number
    counted_tokens = number - (count_thousands(text, tokens) if definition == "datapipe" else 0)
    m["alphabetic_word_share"] = sum(any(map(str.isalpha, token)) for token in tokens) / max(counted_tokens, 1)
    lowered = [token.lower() for token in tokens] if definition in ("datapipe", "dclm") else tokens
    found = [token for token in lowered if token in listed]
    if code in words.UNSEGMENTED and kind == "characters" and definition == "datapipe":
        found = [word for word in listed if word in joined_words(text, lowered)]
    m["stop_words"] = (len(found) if compatible else len(set(found))) if listed else None

    lines = {"datatrove": text.splitlines(), "dolma": text.split("\n")}.get(definition, stripped)
    bare = lines if definition == "dolma" else [line.strip() for line in lines]
    endings = {"dolma": ("…",), "dclm": ("…", "...", ". . .")}.get(definition, ("…", "..."))
    bullets = tuple(measures._BULLETS[DEFINITIONS[definition]])
    m["bullet_line_share"] = sum(line.startswith(bullets) for line in bare) / max(len(bare), 1)
    m["ellipsis_line_share"] = sum(line.endswith(endings) for line in bare) / max(len(bare), 1)

    lines = {"datatrove": re.split("\n+", text), "dolma": text.split("\n")}.get(definition, stripped)
    paragraphs = re.split("\n{2,}", text.strip())
    if definition != "datatrove":
        paragraphs = [paragraph.strip() for paragraph in paragraphs if paragraph.strip()]
    if definition == "datapipe":
        lines, paragraphs = with_letters(lines), with_letters(paragraphs)
    for name, pieces in (("line", lines), ("paragraph", paragraphs)):
        whole = {"dolma": len(visible), "dclm": size(pieces)}.get(definition, len(text))
        number_repeated, characters = repeats(pieces, compatible)
        if (name, definition) == ("paragraph", "dolma"):
            number_repeated = characters = 0
        m[f"duplicate_{name}_share"] = number_repeated / max(len(pieces), 1)
        m[f"duplicate_{name}_character_share"] = characters / max(whole, 1)

    grams = tokens
    if definition == "dclm":
        grams = uax29_words(text)
        m["words"] = len(grams)
    m |= ngram_shares(grams, "gram", len(text), 1, definition)

    low = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    marks, closers = re.escape("".join(terminal)), f"[{re.escape(closing)}]*" if closing else ""
    m["sentences"] = sum(
        bool(set(match[1]) & set("。！？．｡…")) or match.end() == len(text) or text[match.end()].isspace()
        for match in re.finditer(f"([{marks}]+){closers}", text)
    )
    if definition == "datapipe":
        m["sentences"] = len(sentence_ends(text))
    m["lorem_ipsum"], m["javascript"] = low.count("lorem ipsum"), low.count("javascript")
    m["policy_phrases"] = sum(map(low.count, measures.PHRASES[2:]))
    m["curly_brackets"] = text.count("{")

    ends = [(line.rstrip(closing) if closing else line)[-1:] for line in judged]
    m["terminal_punctuation_line_share"] = sum(end in terminal for end in ends) / max(len(judged), 1)
    if definition == "datapipe":
        m["terminal_punctuation_line_share"] = sum(
            len(line) for line in judged if holds_sentence(line) or (len(line) > 30 and is_list_item(line))
        ) / max(size(judged), 1)
    m["short_line_share"] = sum(len(line) <= 30 for line in judged) / max(len(judged), 1)
    m["duplicate_character_share"] = repeats(with_letters(judged) if definition == "datapipe" else judged, False)[
        1
    ] / max(len(text.replace("\n", "")), 1)
    breaks = max(len(stripped) - 1, 0) if definition == "datapipe" else text.count("\n")
    m["newline_word_ratio"] = breaks / number

    m["letter_pair_lift"] = letter_pair_lift(text)
    runs = [run for run in text.split() if {c.isascii() for c in run if c.isalpha()} != {True}]
    m["mean_run_length"] = size(runs) / max(len(runs), 1)
    shares = sentence_shares(text, kind == "characters")
    m["notice_share"], m["advert_share"], m["exclamation_share"] = shares
    letters = [c for c in text if is_letter(c)]
    m["han_share"] = len(regex.findall(HAN, text)) / max(len(visible), 1)
    m["digit_share"] = sum(unicodedata.category(c)[0] == "N" for c in text) / max(len(visible), 1)
    m["alphanumeric_share"] = len(letters) / len(text)
    lexical = regex.findall(
        r"\p{L}[\p{L}\p{M}]*|\p{N}[\p{N}\p{M}]*|(?!\s)[^\p{L}\p{N}\p{M}]", text.translate(AS_SPACE), regex.V1
    )
    m["letters_per_token"] = sum(unicodedata.category(c)[0] == "L" for c in text) / max(len(lexical), 1)
    if code != "zh":
        return m | dict.fromkeys(CHINESE_ONLY)

    m["punctuation_marks"] = sum(unicodedata.category(c)[0] in "PS" for c in text)
    m["bracket_share"] = sum(map(len, re.findall("【[^】]*】", text))) / len(text)
    m["hash_run_share"] = len(re.findall("#+", text)) / len(text)
    m["ellipsis_share"] = ellipses / len(text)
    suffixes = ("展开", "更多", "readmore", "read more")
    m["continuation_line_share"] = sum(line.lower().endswith(suffixes) for line in judged) / max(len(judged), 1)
    counted = collections.Counter(letters)
    m["unique_character_share"] = len(counted) / max(len(letters), 1)
    m["character_entropy"] = -sum(n / len(letters) * math.log(n / len(letters)) for n in counted.values())
    changed = [opencc_changes(c) for c in text]
    m["traditional_share"] = sum(changed) / max(len(regex.findall(HAN, text)), 1)
    grams13 = collections.Counter(ngrams(letters, 13))
    m["repeated_13gram_share"] = sum(n for n in grams13.values() if n > 1) / max(len(letters) - 12, 1)
    return m | ngram_shares(letters, "character", len(text), 0, "datapipe")


@functools.cache
def opencc_changes(character: str) -> bool:
    return bool(TO_SIMPLIFIED.convert(character) != character)


def check(document: str, language: str | None, kind: str, definition: str) -> None:
    batch = measure_text(pa.array([document]), pa.array([language], pa.string()), kind, definition)
    expected = reference(document, language, kind, definition)
    assert set(expected) == set(SCHEMA.names)
    for name in SCHEMA.names:
        value = batch.column(name)[0].as_py()
        if expected[name] is None:
            assert value is None, name
        else:
            assert value == pytest.approx(expected[name], rel=1e-6, abs=1e-6), name


@settings(max_examples=150)
@given(
    texts,
    st.sampled_from(["en", "zh", "th", "de", "tlh", None, "zh-Hant"]),
    st.sampled_from(["auto", *words.DEFINITIONS]),
)
def test_equals_plain_python(document: str, language: str | None, kind: str) -> None:
    check(document, language, kind, "datapipe")


@settings(max_examples=100)
@given(texts | repetitive, st.sampled_from(["datatrove", "dolma", "dclm"]), st.sampled_from(["auto", "whitespace"]))
def test_equals_plain_python_in_each_definition(document: str, definition: str, kind: str) -> None:
    check(document, "en", kind, definition)


@settings(max_examples=100)
@given(repetitive, st.sampled_from(["en", "zh"]), st.sampled_from(list(words.DEFINITIONS)))
def test_equals_plain_python_on_repetitive_text(document: str, language: str, kind: str) -> None:
    check(document, language, kind, "datapipe")


@settings(max_examples=100)
@given(texts | repetitive, st.sampled_from(["en", "zh", "th"]), st.sampled_from(list(DEFINITIONS)))
def test_equals_plain_python_where_ngrams_are_counted_in_place_of_the_text(
    document: str, language: str, definition: str
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(measuring, "_LONG_TEXT", 1)
        check(document, language, "auto", definition)


@pytest.mark.parametrize(("piece", "language"), [("of a word the ", "en"), ("天气。真好的书", "zh")])
def test_a_text_of_several_million_characters_measures_the_same_in_place(
    piece: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, languages = pa.array([piece * (measuring._LONG_TEXT // len(piece) + 1)]), pa.array([language])
    in_place = measure_text(texts, languages)
    monkeypatch.setattr(measuring, "_LONG_TEXT", 1 << 30)
    assert in_place.equals(measure_text(texts, languages))


@pytest.mark.parametrize("lengths", [(100_000,), (70_000, 90_000), (3, 70_000, 80_000, 100_001), (65_536, 65_537, 9)])
def test_words_of_many_thousand_characters_have_their_median(lengths: tuple[int, ...]) -> None:
    text = " ".join("x" * length for length in lengths) + " " + "." * 150_000
    measured = measure_text(pa.array([text]), pa.array(["en"]))
    assert measured["median_word_length"][0].as_py() == statistics.median(lengths)


def test_slices_and_large_strings_measure_the_same() -> None:
    documents = pa.array(["of no account", "The end of the day.", None, "中文的书和日", "and that"])
    languages = pa.array(["en", "en", "en", "zh", "en"])
    whole = measure_text(documents, languages)
    assert whole.slice(1, 3).equals(measure_text(documents.slice(1, 3), languages.slice(1, 3)))
    assert whole.equals(measure_text(documents.cast(pa.large_string()), languages))
    assert measure_text(documents.slice(0, 0), languages.slice(0, 0)).num_rows == 0


def test_equals_plain_python_on_real_documents(shared_data: pathlib.Path) -> None:
    for name, language in (("en-c4-300", "en"), ("zh-articles", "zh"), ("code-python", "code")):
        for document in itertools.islice(read_lines(shared_data / "corpora" / f"{name}.jsonl.zst"), 0, 60, 6):
            check(document["text"][:8000], language, "auto", "datapipe")
