"""The hash of a piece equals the hash of its normalized copy, and what it counts is that copy's length."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.text.characters import text_buffers
from datapipe.text.hashes import NORMALIZATIONS, hash_spans, normalization_table, search_sorted

TEXTS = st.lists(st.one_of(st.text(max_size=20), st.text("aA é中12\n\t.,!?。　'́", max_size=12)), min_size=1, max_size=6)


def normalized(text: str, name: str) -> str:
    """What the tables of `text_hashes` stand for, the slow way."""
    if name == "none":
        return text
    if name == "whitespace":
        return " ".join(text.split())
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    if name == "text":
        return "".join(c for c in lowered if unicodedata.category(c)[0] in "LNM")
    bare = "".join(unicodedata.normalize("NFD", c)[0] if 0xC0 <= ord(c) < 0x2000 else c for c in lowered)
    bare = "".join("0" if unicodedata.category(c)[0] == "N" else c for c in bare)
    return " ".join("".join(c for c in bare if unicodedata.category(c)[0] not in "MPS").split())


def hashes(texts: list[str], name: str) -> tuple[list[tuple[int, int]], list[int]]:
    data, bounds = text_buffers(pa.array(texts))
    found, counts = hash_spans(data, bounds[:-1], bounds[1:], normalization_table(name))
    return [tuple(pair) for pair in found.tolist()], counts.tolist()


@pytest.mark.parametrize("name", NORMALIZATIONS)
@given(texts=TEXTS)
def test_hash_is_of_the_normalized_text(name: str, texts: list[str]) -> None:
    copies = [normalized(text, name) for text in texts]
    found, counts = hashes(texts, name)
    assert (found, counts) == (hashes(copies, "none")[0], [len(copy) for copy in copies])
    assert len(set(found)) == len(set(copies))
    assert len({pair[0] for pair in found}) == len({pair[1] for pair in found}) == len(set(copies))


def test_ccnet_ignores_case_accents_digits_and_punctuation() -> None:
    same = ["Été 2024: le café!", "ete 1999 le cafe", "  ETE  0000 — le  cafe  "]
    assert len(set(hashes(same, "ccnet")[0])) == 1
    assert len(set(hashes(["ab", "a b", "ba"], "ccnet")[0])) == 3


def test_pieces_lie_anywhere_in_the_data() -> None:
    data, bounds = text_buffers(pa.array(["x", "上海,beijing,上海"]).slice(1))
    starts = bounds[0] + np.array([0, 7, 15])
    found, _ = hash_spans(data, starts, bounds[0] + np.array([6, 14, 21]), normalization_table("none"))
    assert found[0].tolist() == found[2].tolist() != found[1].tolist()


@given(st.lists(st.integers(0, 20)), st.integers(0, 20))
def test_search_sorted(hashes: list[int], wanted: int) -> None:
    in_order = np.array(sorted(hashes), np.uint64)
    assert search_sorted(in_order, np.uint64(wanted)) == np.searchsorted(in_order, np.uint64(wanted))
