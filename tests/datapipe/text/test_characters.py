import itertools
import unicodedata

import numba
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.text.characters import (
    CONTROL,
    DIGIT,
    HAN,
    LETTER,
    MARK,
    PUNCTUATION,
    SPACE,
    UPPER,
    class_table,
    decode,
    lower_table,
    text_buffers,
)

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.none(), max_size=8)


@numba.njit
def decode_all(data: np.ndarray, start: int, end: int) -> list[int]:
    points = [0 for _ in range(0)]
    while start < end:
        point, start = decode(data, start)
        points.append(point)
    return points


@given(st.characters(exclude_categories=["Cs"]))
def test_classes_agree_with_unicodedata(character: str) -> None:
    flags = int(class_table()[ord(character)]) & ~HAN
    major = unicodedata.category(character)[0]
    if character.isspace():
        assert flags == SPACE
    else:
        expected = {"L": LETTER, "N": DIGIT, "P": PUNCTUATION, "S": PUNCTUATION, "M": MARK, "C": CONTROL, "Z": 0}[major]
        assert flags == expected | (UPPER if character.isupper() else 0)


@pytest.mark.parametrize("character", "中の々〇ㄅ㐀\U00020000ｱ")
def test_scripts_without_spaces_are_han(character: str) -> None:
    assert class_table()[ord(character)] & HAN


@pytest.mark.parametrize("character", "aé한ก。，・゛1")
def test_other_characters_are_not_han(character: str) -> None:
    assert not class_table()[ord(character)] & HAN


@given(st.characters())
def test_lower_case_where_it_is_one_code_point(character: str) -> None:
    lowered = character.lower()
    assert lower_table()[ord(character)] == (ord(lowered) if len(lowered) == 1 else ord(character))


def test_tables_are_read_only() -> None:
    for table in (class_table(), lower_table()):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


@given(texts, st.integers(0, 3), st.booleans())
def test_buffers_decode_to_the_texts(documents: list[str | None], skipped: int, large: bool) -> None:
    array = pa.array(documents, pa.large_string() if large else pa.string()).slice(skipped)
    data, offsets = text_buffers(array)
    decoded = ["".join(map(chr, decode_all(data, lo, hi))) for lo, hi in itertools.pairwise(offsets)]
    assert decoded == [document or "" for document in documents[skipped:]]


def test_buffers_of_chunks() -> None:
    data, offsets = text_buffers(pa.chunked_array([["ab"], [None, "中"]]))
    assert bytes(data) == "ab中".encode()
    assert offsets.tolist() == [0, 2, 2, 5]
