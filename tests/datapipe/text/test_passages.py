"""Passages are the whole text, cut as a plain reference cuts it."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text.characters import text_buffers
from datapipe.text.passages import LINE, PARAGRAPH, SENTENCE, split

WHITE = r"[ \t\n\r\x0b\x0c]"
CLOSES = "[!\"').?\\]’”。》」』】！）？]*+"
REFERENCE = {
    LINE: r"[^\n]*\n|[^\n]+",
    PARAGRAPH: rf"(?s).*?(?:\n(?=[ \t\r\x0b\x0c]*\n){WHITE}+|\Z)",
    SENTENCE: rf"(?s).*?(?:(?:\n|[。！？]{CLOSES}|[.!?]{CLOSES}(?=[ \n\t]|\Z)){WHITE}*|\Z)",
}


@pytest.mark.parametrize("unit", REFERENCE)
@settings(max_examples=200)
@given(texts=st.lists(st.text("ab1中.!?。？)”\n\r\t é", max_size=25), max_size=4))
def test_pieces_are_the_whole_text(unit: int, texts: list[str]) -> None:
    data, bounds = text_buffers(pa.array(["before.\n", *texts], pa.string()).slice(1))
    documents, starts, ends = split(data, bounds, unit)
    for number, text in enumerate(texts):
        mine = documents == number
        pieces = [data[a:b].tobytes().decode() for a, b in zip(starts[mine], ends[mine], strict=True)]
        assert pieces == [piece for piece in re.findall(REFERENCE[unit], text) if piece]
