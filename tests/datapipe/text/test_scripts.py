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
    are_cantonese,
    east_asian_languages,
    first_languages,
    is_east_asian_letter,
    script_table,
    scripts_of,
    scripts_of_language,
    scripts_present,
    weigh,
)

HAN = re.compile("Han[st]|Jpan|Cantonese")  # Han characters that say more
ANY = -1


def counts(*texts: str) -> npt.NDArray[np.int32]:
    """Letters by script."""
    rows = [np.bincount(script_table()[[ord(c) for c in text]], minlength=256) for text in texts]
    return np.array(rows, np.int32)[:, : len(SCRIPTS)]


def test_only_letters_have_a_script() -> None:
    assert ((script_table() == NO_LETTER) == (class_table() & LETTER == 0)).all()
    assert script_table().max() == NO_LETTER > len(SCRIPTS)


@pytest.mark.parametrize(
    "script", [script for script in SCRIPTS if script not in ("Zyyy", "Kana") and not HAN.match(script)]
)
def test_letters_are_of_the_script_that_unicode_says(script: str) -> None:
    codes = (script, *filter(HAN.match, SCRIPTS)) if script == "Hani" else (script,)
    members = [SCRIPTS.index(code) for code in codes]
    ours = np.flatnonzero(np.isin(script_table(), members))
    # Unicode's Coptic stands between the Greek letters.
    pattern = regex.compile(rf"[\p{{Script={script}}}\p{{Script=Common}}\p{{Script=Inherited}}\p{{Script=Coptic}}]")
    assert [chr(c) for c in ours if not pattern.match(chr(c))] == []


def test_simplified_and_traditional_characters() -> None:
    found = script_table()[[ord(c) for c in "们說国國的図咗"]]
    expected = ["Hans", "Hant", "Hans+Jpan", "Hant+Jpan", "Hani", "Jpan", "Cantonese"]
    assert [SCRIPTS[script] for script in found] == expected


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
    assert scripts_of(counts(*expected).astype(np.int64), np.full(len(expected), ANY)) == [*expected.values()]


def test_the_script_is_one_of_the_language() -> None:
    text = counts("word word слово 中文国 한국 の")
    for language, script in {
        "en": "Latn",
        "ru": "Cyrl",
        "zh": "Hans",
        "ja": "Jpan",
        "ko": "Kore",
        "th": "Kore",
    }.items():
        assert scripts_of(text.astype(np.int64), np.array([scripts_of_language(language)])) == [script]


def test_scripts_of_languages() -> None:
    def codes(language: str, script: str = "") -> set[str]:
        bits = scripts_of_language(language, script)
        return {code for i, code in enumerate(SCRIPTS) if bits >> i & 1}

    assert codes("sr") == {"Latn", "Cyrl"}
    assert codes("en") == {"Latn"}
    assert codes("en", "Cyrl") == {"Cyrl"}
    assert codes("zh", "Hant") == {"Hani"}
    assert codes("ja") == {"Kana", "Hani"}
    assert codes("xx-unheard-of") == set(SCRIPTS)
    assert first_languages()[scripts_of_language("mn", "Mong")] == "mn"


def test_scripts_present() -> None:
    bits = scripts_present(counts("", "abcdefgh 中", "abcdefgh ж", "中国國"))
    found = [{code for i, code in enumerate(SCRIPTS) if bit >> i & 1} for bit in bits.tolist()]
    assert found == [set(), {"Latn", "Hani"}, {"Latn"}, {"Hani"}]


def test_cantonese() -> None:
    texts = ("佢哋琴日去咗邊度食飯呀", "他們昨天去了哪裡吃飯呢", "粵語「佢」就是" + "他們昨天去了哪裡吃飯呢" * 4, "")
    assert are_cantonese(counts(*texts)).tolist() == [True, False, False, False]
    quoting, short = "他說「唔該」是粵語裡謝謝的意思，這個詞在香港很常用。", "佢好靚"
    assert are_cantonese(counts(quoting, short)).tolist() == [False, True]


def test_kana_means_japanese_and_hangul_korean() -> None:
    texts = ["漢字", "漢字かな", "漢字漢字漢字漢字漢字の", "한국어", "國民의 權力은", "漢字漢字漢字漢字 한국", "abc"]
    assert east_asian_languages(counts(*texts)) == ["zh", "ja", "zh", "ko", "ko", "zh", "zh"]


def test_japanese_without_kana() -> None:
    japanese = ["東京都千代田区永田町国会議事堂", "日本国憲法第九条戦争放棄", "駅前広場工事"]
    chinese = ["东京都千代田区永田町国会议事堂", "東京都千代田區永田町國會議事堂", "这本书由臺灣作家鍾理和所写", "中文"]
    assert east_asian_languages(counts(*japanese, *chinese)) == ["ja"] * 3 + ["zh"] * 4


def test_weights_and_shares() -> None:
    weights, shares = weigh(counts("", "abc", "中文", "ab 中"))
    assert weights.tolist() == [0, 3, 2 * HAN_WEIGHT, 2 + HAN_WEIGHT]
    assert shares.tolist() == [0, 0, 1, HAN_WEIGHT / (2 + HAN_WEIGHT)]
