import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text import words
from datapipe.text.spans import new_text, sentence_marks
from datapipe.text.words import STOP_WORDS, definition_of, primary, segment
from tests.datapipe.text.plain_words import split_words, uax29_words
from tests.helpers import compiled

split_as_kernels = compiled(words.split_uax29_words)


def kernel_uax29_words(text: str) -> list[str]:
    t = new_text(len(text), sentence_marks())
    t.points[: len(text)] = list(map(ord, text))
    number = split_as_kernels(t, len(text), words.word_break_table())
    return [text[a:b] for a, b in zip(t.starts[:number], t.ends[:number], strict=True)]


@settings(max_examples=300)
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
    assert definition_of("auto", language) == kind
    assert definition_of("whitespace", language) == words.WHITESPACE


def test_segments_only_the_wanted_texts() -> None:
    definitions = np.array([words.GIVEN, words.UNICODE, words.GIVEN, words.GIVEN], np.int8)
    found = segment(pa.array(["中文分词", "中文", None, "天气"]), definitions)
    assert found.definitions is definitions
    assert found.bounds.tolist() == [0, 2, 2, 2, 3]
    assert found.ends.tolist() == [2, 4, 2]


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
