"""Normalization: each option, and the shortcut against the rules themselves."""

import dataclasses
import html
import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.text.normalization import (
    Normalization,
    fold,
    need_table,
    normalize,
    normalize_one,
    simplified_characters,
    simplify,
)
from tests.helpers import at_most

NOTHING = Normalization(newlines=False, form="none", controls=False, invisibles=False)


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ({"newlines": True}, "a\r\nb\rc\u2028d\x0be\n", "a\nb\nc\nd\ne\n"),
        ({"form": "NFC"}, "e\u0301 ﬁ １", "é ﬁ １"),
        ({"form": "NFKC"}, "e\u0301 ﬁ １", "é fi 1"),
        ({"controls": True}, "a\x07b\x1bc\x9fd\te\n", "abcd\te\n"),
        ({"invisibles": True}, "pass\u200bword\u202e\u2066\ufeff ن\u200cا 👨\u200d👩", "password ن\u200cا 👨\u200d👩"),
        ({"whitespace": True}, "\n  a\u3000b \n\n\n\nc\xa0\n", "  a b\n\nc"),
        ({"simplified": True}, "千山萬山如火發", "千山万山如火发"),
        ({"simplified": True}, "半透明覆盖状", "半透明覆盖状"),
        ({"simplified": True}, "東京の國", "東京の國"),
        ({"simplified": True}, "鮮の味餐廳" + "萬山飛鳥盡絕" * 4, "鲜の味餐厅" + "万山飞鸟尽绝" * 4),
    ],
)
def test_each_option_changes_its_text_and_nothing_else(option: dict[str, Any], text: str, expected: str) -> None:
    options = dataclasses.replace(NOTHING, **option)
    assert normalize(pa.array([text, None, "plain"]), options).to_pylist() == [expected, None, "plain"]
    assert normalize(pa.array([text]), NOTHING).to_pylist() == [text]


CHARACTERS = st.one_of(
    st.characters(codec="utf-8"), st.sampled_from("a\u0301\u0327ᄀ\u1161\u11a8\r\n\x07\u200b é１ﬁ\u2028")
)
OPTIONS = st.builds(
    Normalization,
    newlines=st.booleans(),
    form=st.sampled_from(["NFC", "NFKC", "none"]),
    controls=st.booleans(),
    invisibles=st.booleans(),
    whitespace=st.booleans(),
    simplified=st.booleans(),
)


@given(st.lists(st.none() | st.text(CHARACTERS)), OPTIONS, st.integers(0, 3))
def test_the_shortcut_changes_no_result(texts: list[str | None], options: Normalization, start: int) -> None:
    expected = [None if text is None else normalize_one(text, options) for text in texts]
    assert normalize(pa.array(texts, pa.string())[start:], options).to_pylist() == expected[start:]


@given(st.text(CHARACTERS))
def test_a_text_without_need_is_normalized(text: str) -> None:
    needs = np.bitwise_or.reduce(need_table()[[ord(character) for character in text]], initial=0)
    assert needs & 1 or unicodedata.is_normalized("NFC", text)
    assert needs & 2 or unicodedata.is_normalized("NFKC", text)


@given(st.text(CHARACTERS), OPTIONS.filter(lambda options: not options.simplified))
def test_normalizing_twice_changes_nothing(text: str, options: Normalization) -> None:
    once = normalize_one(text, options)
    assert normalize_one(once, options) == once


@given(st.lists(st.none() | st.text(CHARACTERS | st.sampled_from("國萬ßİς&;…，①½ﬁ\u0345\u3099か가ㅏ"))))
def test_folding_is_what_its_steps_are_one_after_another(texts: list[str | None]) -> None:
    cases = str.maketrans(
        {"ß": "ss", "ẞ": "SS", "İ": "I"} | dict(zip("άέήίόύώΆΈΉΊΌΎΏς", "αεηιουωΑΕΗΙΟΥΩσ", strict=True))
    )
    expected: list[str | None] = []
    for text in texts:
        if text is not None:
            text = normalize_one(html.unescape(text), Normalization(form="NFKC"))
            text = text.translate(simplified_characters()).translate(cases)
        expected.append(text)
    assert fold(pa.array(texts, pa.string())).to_pylist() == expected


def test_what_an_invisible_character_parted_is_composed() -> None:
    assert normalize_one("e\u200b\u0301", Normalization()) == "é"


def test_long_runs_of_spaces_take_linear_time() -> None:
    text = "a" + " " * 1_000_000 + "b"
    with at_most(seconds=5):
        assert normalize_one(text, Normalization(whitespace=True)) == text


def test_a_normalized_text_stays_as_it_is() -> None:
    text = "中文，English\tand\ncode: é ñ ü Ελληνικά"
    texts = pa.array([text])
    assert normalize(texts, Normalization()) is texts


def test_an_unknown_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="form must be one of NFC, NFKC, none, got 'NFD'"):
        Normalization(form="NFD")


def test_korean_and_japanese_are_not_simplified() -> None:
    same = ["大韓民國은 民主共和國이다 國民 權力", "東京都千代田区永田町国会議事堂図書館"]
    assert [simplify(text) for text in same] == same
    assert [simplify(text) for text in ("穿著衣服的著名作家", "裏面的衞生間")] == ["穿着衣服的著名作家", "里面的卫生间"]
