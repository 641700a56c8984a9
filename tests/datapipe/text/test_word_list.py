"""Listed words are found where they are words, in text with and without spaces, and counted as stated."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text.characters import HAN, LETTER, MARK, class_table, lower_table
from datapipe.text.normalization import fold
from datapipe.text.word_list import MIN_UNSPACED_LETTERS, find_words, make_word_list


def found(words: list[str], *texts: str | None) -> list[tuple[int, int, int, int]]:
    columns = find_words(pa.array(texts, pa.string()), make_word_list(words))
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_words_are_whole_words() -> None:
    assert found(["ass"], "class assess ass", "ASS!", "pass") == [(1, 3, 14, 1), (1, 3, 3, 1), (0, 0, 4, 1)]
    assert found(["赌博"], "网上赌博平台 赌", "x赌博y") == [(1, 2, 7, 1), (1, 2, 4, 1)]


def test_a_short_word_of_thai_is_not_a_part_of_others() -> None:
    assert [row[0] for row in found(["หมา"], "หมา", "เสื้อหมาก", "หมากรุก")] == [1, 0, 0]
    assert [row[0] for row in found(["คนโง่เขลา"], "เขาเป็นคนโง่เขลาจริง", "คนโง่เขลาๆ", "คนโง่")] == [1, 1, 0]


def test_the_longest_phrase_counts_once() -> None:
    assert found(["free", "free porn"], "Free \n  PORN, free") == [(2, 12, 12, 2)]
    assert found(["ab c", "c"], "ab d c", "ab  c") == [(1, 1, 4, 1), (1, 3, 3, 1)]


def test_different_words_and_lines() -> None:
    assert found(["bad", "worse"], "bad bad\n\nworse\nfine", None, "", "fine") == [
        (2, 11, 15, 3),
        (0, 0, 0, 0),
        (0, 0, 0, 0),
        (0, 0, 4, 1),
    ]


@pytest.mark.parametrize(
    ("listed", "written"),
    [
        ("crème", "cre\u0300me"),
        ("cre\u0300me", "CRÈME"),
        ("dreck", "ｄｒｅｃｋ"),
        ("ｄｒｅｃｋ", "dreck"),
        ("烂东西", "這是爛東西吧"),
        ("爛東西", "这是烂东西吧"),
        ("dreck", "dre\u200bck"),
        ("dreck und mist", "dreck&nbsp;und\u3000mist"),
        ("カス", "ｶｽ"),
        ("scheiße", "SCHEISSE"),
        ("SCHEIẞE", "scheisse"),
        ("izmir", "İZMİR"),
        ("βλάκας", "ΒΛΑΚΑΣ"),
        ("คำหยาบ", "เขาพูดคำหยาบมาก"),
        ("ຄຳຫຍາບ", "ລາວເວົ້າຄຳຫຍາບຫຼາຍ"),
    ],
)
def test_words_are_found_however_they_are_written(listed: str, written: str) -> None:
    assert [row[0] for row in found([listed], written, "nothing of 它 here")] == [1, 0]


def reference(words: list[str], text: str) -> tuple[int, int]:
    """Different words and letters taken, the slow way."""
    classes, lower = class_table(), lower_table()
    kind = [classes[ord(c)] for c in text]
    alphabetic = [flags & (LETTER | MARK) > 0 and flags & HAN == 0 for flags in kind]
    wanted = {" ".join("".join(chr(lower[ord(c)]) for c in word).split()) for word in words} - {""}
    seen, letters, i = set(), 0, 0
    while i < len(text):
        best = 0
        thai = "ก" <= text[i] <= "ฮ"
        inside = i > 0 and alphabetic[i - 1] and not kind[i] & HAN
        if not text[i].isspace() and (thai or not inside):
            for j in range(i + 1, len(text) + 1):
                part = "".join(chr(lower[ord(c)]) for c in text[i:j])
                ends = not (alphabetic[j - 1] and j < len(text) and alphabetic[j])
                size = sum(flags & (LETTER | MARK) > 0 for flags in kind[i:j])
                if thai and size >= MIN_UNSPACED_LETTERS and alphabetic[j - 1]:
                    ends = not (j < len(text) and kind[j] & MARK)
                elif thai and inside:
                    ends = ends and size >= MIN_UNSPACED_LETTERS
                if not text[j - 1].isspace() and " ".join(part.split()) in wanted and ends:
                    best = j
        if best:
            seen.add(" ".join("".join(chr(lower[ord(c)]) for c in text[i:best]).split()))
            letters += sum(flags & (LETTER | MARK) > 0 for flags in kind[i:best])
        i = max(i + 1, best)
    return len(seen), letters


WORDS = st.lists(st.text("ab 中文́กขิ", min_size=1, max_size=5), max_size=4)


@given(WORDS, st.lists(st.text("aAb \n中文́,กขิ", max_size=12), min_size=1, max_size=3))
@settings(max_examples=300)
def test_equals_the_reference(words: list[str], texts: list[str]) -> None:
    rows = found(words, "x", *texts)[1:]
    words, texts = (fold(pa.array(strings, pa.string())).to_pylist() for strings in (words, texts))
    assert [row[:2] for row in rows] == [reference(words, text) for text in texts]
    letters = [sum(unicodedata.category(c)[0] in "LM" for c in text) for text in texts]
    assert [row[2] for row in rows] == letters
    assert [row[3] for row in rows] == [
        sum(not line.isspace() and line != "" for line in text.split("\n")) for text in texts
    ]
