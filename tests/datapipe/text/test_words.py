import unicodedata

import numpy as np
import pyarrow as pa
import pytest
import regex
import rjieba
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text import words
from datapipe.text.characters import class_table
from datapipe.text.words import STOP_WORDS, kind_of, primary, segment

# White space to str.isspace, but not to \s.
AS_SPACE = dict.fromkeys(range(0x1C, 0x20), "\t")


HAN = (
    r"[\u3005-\u3007\u3021-\u3029\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U000323af]"
)


def is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def split_words(text: str, kind: str) -> list[str]:
    if kind == "whitespace":
        return text.split()
    if kind == "rjieba":
        return [word for word in rjieba.cut(text) if any(map(is_letter, word))]
    word = r"[\p{L}\p{N}\p{M}_]"
    if kind == "characters":
        token = rf"{word}\p{{M}}*"
    else:
        apostrophe = rf"(?<=[\p{{L}}\p{{M}}])['’](?!{HAN})(?=\p{{L}})"
        point = r"(?<=\p{N})[,.](?=\p{N})"
        more = rf"(?:(?!{HAN})[\p{{L}}\p{{N}}\p{{M}}_\u200c\u200d\u00ad]|{apostrophe}|{point})"
        token = rf"(?={word}){HAN}\p{{M}}*|(?!{HAN}){word}{more}*"
    symbols = r"(?<!\S)(?:(?!\s)[^\p{L}\p{N}\p{M}_])+(?!\S)"
    return regex.findall(rf"{token}|{symbols}", text.translate(AS_SPACE), regex.V1)


def break_class(character: str) -> str:
    for name in ("ALetter", "Hebrew_Letter", "Numeric", "Katakana", "ExtendNumLet", "MidLetter", "MidNum", "MidNumLet"):
        if regex.match(rf"\p{{Word_Break={name}}}", character):
            return name
    if regex.match(r"\p{Word_Break=Extend}|\p{Word_Break=Format}|\p{Word_Break=ZWJ}", character):
        return "Extend"
    return {"'": "Single_Quote", '"': "Double_Quote"}.get(character, "Other")


def uax29_words(text: str) -> list[str]:
    """The words of UAX 29 that begin with a letter or digit, from its rules boundary by boundary."""
    clusters: list[tuple[str, str]] = []
    for character in text:
        kind = break_class(character)
        if kind == "Extend" and clusters and clusters[-1][1][0] not in "\n\r\x0b\x0c\x85\u2028\u2029":  # WB4
            clusters[-1] = (clusters[-1][0], clusters[-1][1] + character)
        else:
            clusters.append((kind, character))
    kinds = ["", *(kind for kind, _ in clusters), "", ""]
    letters, quotes = ("ALetter", "Hebrew_Letter"), ("MidNumLet", "Single_Quote")
    found: list[str] = []
    for i, (_, content) in enumerate(clusters):
        earlier, before, own, after = kinds[i - 1] if i else "", *kinds[i : i + 3]
        joined = (
            (before in letters and own in (*letters, "Numeric"))  # WB5, WB9
            or (before in letters and own in ("MidLetter", *quotes) and after in letters)  # WB6
            or (earlier in letters and before in ("MidLetter", *quotes) and own in letters)  # WB7
            or (before == "Hebrew_Letter" and own == "Single_Quote")  # WB7a
            or (before == after == "Hebrew_Letter" and own == "Double_Quote")  # WB7b
            or (earlier == own == "Hebrew_Letter" and before == "Double_Quote")  # WB7c
            or (before == "Numeric" and own in ("Numeric", *letters))  # WB8, WB10
            or (earlier == own == "Numeric" and before in ("MidNum", *quotes))  # WB11
            or (before == after == "Numeric" and own in ("MidNum", *quotes))  # WB12
            or (before == own == "Katakana")  # WB13
            or (before in (*letters, "Numeric", "Katakana", "ExtendNumLet") and own == "ExtendNumLet")  # WB13a
            or (before == "ExtendNumLet" and own in (*letters, "Numeric", "Katakana"))  # WB13b
        )
        if joined and found:
            found[-1] += content
        else:
            found.append(content)
    return [word for word in found if is_letter(word[0])]


def kernel_uax29_words(text: str) -> list[str]:
    points = np.array(list(map(ord, text)), np.int32)
    starts, ends = np.empty((2, len(text) + 1), np.int32)
    number = words.split_uax29_words(points, len(points), class_table(), words.word_break_table(), starts, ends)
    return [text[a:b] for a, b in zip(starts[:number], ends[:number], strict=True)]


@settings(max_examples=300, deadline=None)
@given(st.text("ab1.,:;'’\"_ \n-éא״カタかな中\u0301\u200d\u00ad²½٣٫", max_size=30) | st.text(max_size=20))
def test_uax29_words_equal_plain_python(text: str) -> None:
    assert kernel_uax29_words(text) == uax29_words(text)


def test_uax29_words() -> None:
    assert kernel_uax29_words("can't e.g. example.com 3:2 1,000.5 _x foo_bar 中文 カナ") == [
        "can't", "e.g", "example.com", "3", "2", "1,000.5", "foo_bar", "中", "文", "カナ",
    ]  # fmt: skip


def test_null_and_und_are_unknown() -> None:
    assert [primary(code) for code in ("zh-Hant", "EN", None, "", "pt_BR")] == ["zh", "en", "und", "und", "pt"]


@pytest.mark.parametrize(
    ("language", "kind"),
    [
        ("zh", words.GIVEN),
        ("ja", words.UNICODE),
        ("th", words.CHARACTERS),
        ("en", words.UNICODE),
        ("und", words.UNICODE),
    ],
)
def test_auto_chooses_by_language(language: str, kind: int) -> None:
    assert kind_of("auto", language) == kind
    assert kind_of("whitespace", language) == words.WHITESPACE


def test_segments_only_the_wanted_texts() -> None:
    ends, bounds = segment(pa.array(["中文分词", "中文", None, "天气"]), np.array([True, False, True, True]))
    assert bounds.tolist() == [0, 2, 2, 2, 3]
    assert ends.tolist() == [2, 4, 2]


def test_stop_words_are_single_lower_case_words() -> None:
    for language, listed in STOP_WORDS.items():
        assert len(listed) == len(set(listed)) >= 8, language
        for word in listed:
            assert word == word.lower()
            assert split_words(word, "rjieba" if language == "zh" else "unicode") == [word]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop-it, O’Neill!", ["Don't", "stop", "it", "O’Neill"]),
        ("1,000.50 and v1.2", ["1,000.50", "and", "v1.2"]),
        ("中文 mixed文字", ["中", "文", "mixed", "文", "字"]),
        ("a -- b --c", ["a", "--", "b", "c"]),
    ],
)
def test_unicode_words(text: str, expected: list[str]) -> None:
    assert split_words(text, "unicode") == expected
