"""Shingles against a slow reference that splits text by what Python says of each character."""

import unicodedata

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from datapipe.text.characters import HAN, class_table, text_buffers
from datapipe.text.shingles import shingle_hashes

TEXTS = st.lists(
    st.one_of(st.text(max_size=30), st.text(r"ab É1中文カ゚กำ,.-+#$ \ńหน", max_size=40)), max_size=5
)  # with combining marks after letters, kana and Thai


def tokens(text: str) -> list[tuple[str, ...]]:
    """The tokens of a text, each as its characters."""
    found: list[list[str]] = []
    state = "out"
    for character in text:
        lowered = character.lower() if len(character.lower()) == 1 else character
        category = unicodedata.category(character)[0]
        thai = 0x0E00 <= ord(character) <= 0x0EFF or 0x1000 <= ord(character) <= 0x109F
        if class_table()[ord(character)] & HAN or (thai and category == "L"):
            found.append([lowered])
            state = "whole"
        elif category == "M":
            found[-1].append(lowered) if state != "out" else found.append([lowered])
            state = "word" if state == "out" else state
        elif category in "LN":
            found[-1].append(lowered) if state == "word" else found.append([lowered])
            state = "word"
        else:
            state = "out"
    return [tuple(token) for token in found]


def signs(text: str) -> str:
    """What tells short texts apart, besides their tokens."""
    found = ""
    for character, following in zip(text, [*text[1:], ""], strict=True):
        numeric = character in ".,:/'*-−·" and following and unicodedata.category(following)[0] == "N"
        symbol = unicodedata.category(character)[0] == "S" and character not in "`´¨¯−"
        found += character if numeric or symbol or character in "#%&@\\" else ""
    return found


def shingles(text: str, size: int) -> list[tuple[tuple[str, ...], ...]]:
    words = tokens(text)
    if 0 < len(words) < size:
        return [(*words, (signs(text),))]
    return [tuple(words[at : at + size]) for at in range(max(1, len(words) - size + 1))] if words else []


def hashed(texts: list[str], size: int) -> list[list[int]]:
    data, bounds = text_buffers(pa.array(["left out", *texts], pa.string()).slice(1))
    hashes, hash_bounds = shingle_hashes(data, bounds, size)
    return [group.tolist() for group in np.split(hashes, hash_bounds[1:-1])] if texts else []


@given(TEXTS, st.integers(1, 6))
def test_shingles_equal_where_their_tokens_are(texts: list[str], size: int) -> None:
    pairs = []
    for text, hashes in zip(texts, hashed(texts, size), strict=True):
        expected = shingles(text, size)
        assert len(hashes) == len(expected)
        pairs += list(zip(expected, hashes, strict=True))
    assert len(set(pairs)) == len({hash_ for _, hash_ in pairs}) == len({shingle for shingle, _ in pairs})


def test_case_and_punctuation_do_not_count() -> None:
    first, second = hashed(["The cat, the dog – and I.", "the CAT the dog and i"], 3)
    assert first == second
    assert len(first) == 4


def test_chinese_characters_are_single_tokens() -> None:
    assert [len(document) for document in hashed(["今天天气很好", "今天天气很好!GPU 3090"], 5)] == [2, 4]


def test_short_document_is_one_shingle_and_empty_none() -> None:
    assert [len(document) for document in hashed(["", "?!", "one", "one two"], 5)] == [0, 0, 1, 1]
    (one,), (two,) = hashed(["one", "one two"], 5)
    assert one != two


def test_size_sets_the_width() -> None:
    assert [len(hashed(["a b c d e f"], size)[0]) for size in (1, 3, 6)] == [6, 4, 1]


def test_signs_tell_short_texts_apart() -> None:
    alike = ["Yes", "yes.", "«YES!»", " yes ", "(yes)", "“yes”", "yes…"]
    different = ["C++", "C#", "C", "a+b", "a-b", "2+2=4", "2-2=4", "$5", "€5", "-1", "1", "1,234.56", "1.234,56", "50%"]
    assert len({tuple(shingle) for shingle in hashed(alike, 5)}) == 1
    assert len({tuple(shingle) for shingle in hashed(different, 5)}) == len(different)
    assert hashed(["one two three + four five"], 5) == hashed(["one two three - four five"], 5)
