"""Letters are of the script that Unicode says, and scripts decide between Chinese, Japanese and Korean."""

import re
import sys

import numpy as np
import numpy.typing as npt
import pytest
import regex

from datapipe.text.characters import LETTER, class_table
from datapipe.text.scripts import (
    HAN_WEIGHT,
    NO_LETTER,
    SCRIPTS,
    east_asian_languages,
    is_east_asian_letter,
    script_table,
    scripts_of,
    weigh,
)


def counts(*texts: str) -> npt.NDArray[np.int32]:
    """Letters by script."""
    rows = [np.bincount(script_table()[[ord(c) for c in text]], minlength=256) for text in texts]
    return np.array(rows, np.int32)[:, : len(SCRIPTS)]


def test_only_letters_have_a_script() -> None:
    assert ((script_table() == NO_LETTER) == (class_table() & LETTER == 0)).all()
    assert script_table().max() == NO_LETTER > len(SCRIPTS)


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script not in ("Zyyy", "Hans", "Hant", "Kana")])
def test_letters_are_of_the_script_that_unicode_says(script: str) -> None:
    members = [SCRIPTS.index(code) for code in ((script, "Hans", "Hant") if script == "Hani" else (script,))]
    ours = np.flatnonzero(np.isin(script_table(), members))
    # Unicode's Coptic stands between the Greek letters.
    pattern = regex.compile(rf"[\p{{Script={script}}}\p{{Script=Common}}\p{{Script=Inherited}}\p{{Script=Coptic}}]")
    assert [chr(c) for c in ours if not pattern.match(chr(c))] == []


def test_simplified_and_traditional_characters() -> None:
    found = script_table()[[ord(c) for c in "国國的"]]
    assert [SCRIPTS[script] for script in found] == ["Hans", "Hant", "Hani"]


def test_east_asian_letters() -> None:
    pattern = re.compile("[\u3041-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]")
    for code_point in range(0x11000):
        assert is_east_asian_letter(code_point) == bool(pattern.match(chr(code_point)))
    assert not is_east_asian_letter(sys.maxunicode)


def test_scripts_of_texts() -> None:
    expected = {
        "12": None,
        "word": "Latn",
        "слово": "Cyrl",
        "中文国": "Hans",
        "中文國": "Hant",
        "中文": "Hani",
        "中文 ab": "Hani",
        "中文国 word word word": "Latn",
        "中文一句很长的话国 ab の": "Hans",
        "ひらがな漢字": "Jpan",
        "한국어": "Kore",
    }
    assert scripts_of(counts(*expected).astype(np.int64)) == [*expected.values()]


def test_kana_means_japanese_and_hangul_korean() -> None:
    texts = ["漢字", "漢字かな", "漢字漢字漢字漢字漢字の", "한국어", "한국 漢字", "漢字漢字 한국", "abc"]
    assert east_asian_languages(counts(*texts)) == ["zh", "ja", "zh", "ko", "zh", "zh", "zh"]


def test_weights_and_shares() -> None:
    weights, shares = weigh(counts("", "abc", "中文", "ab 中"))
    assert weights.tolist() == [0, 3, 2 * HAN_WEIGHT, 2 + HAN_WEIGHT]
    assert shares.tolist() == [0, 0, 1, HAN_WEIGHT / (2 + HAN_WEIGHT)]
