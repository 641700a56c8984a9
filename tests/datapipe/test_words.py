import unicodedata

import numpy as np
import pyarrow as pa
import pytest
import regex

from datapipe import words
from datapipe.words import STOP_WORDS, kind_of, primary, segment

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
        return [word for word in words._segmenter().cut(text) if any(map(is_letter, word))]
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
