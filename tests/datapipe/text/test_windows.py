"""Windows are those that slicing and regular expressions cut."""

import itertools
import re

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text.characters import text_buffers
from datapipe.text.scripts import SCRIPTS, script_table
from datapipe.text.windows import NO_SENTENCE_HAS, cut_windows

EAST_ASIAN_LETTER = re.compile("[\u3041-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]")


def windows(text: str, window: int, most: int) -> list[str]:
    pieces = -(-len(text) // window)
    if most and pieces > most:
        part = len(text) / most
        return [text[start : start + window] for start in (int((i + 0.5) * part - window / 2) for i in range(most))]
    edges = [len(text) * i // max(1, pieces) for i in range(pieces + 1)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


def lines_by_script(text: str) -> list[str]:
    if not EAST_ASIAN_LETTER.search(text):
        return [text]
    parts: tuple[list[str], list[str]] = ([], [])
    for line in text.split("\n"):
        others = len(EAST_ASIAN_LETTER.sub("", line))
        parts[3 * (len(line) - others) > others].append(line)
    return ["\n".join(lines) for lines in parts if lines]


@given(
    st.lists(st.text(max_size=200) | st.text("aé中の/ \n=.", max_size=200), max_size=4),
    st.integers(1, 40),
    st.integers(0, 5),
)
@settings(deadline=None)
def test_windows_equal_plain_python(texts: list[str], window: int, most: int) -> None:
    table = script_table()
    pieces = [
        [
            part.replace("\n", " ")
            for piece in windows(text, window, most)
            for part in lines_by_script(re.sub(r"(?<![!-~])[!-~]*?[/\\_=<>{}|@#*`][!-~]*+", " ", piece))
        ]
        for text in texts
    ]
    flat = [part for each in pieces for part in each]
    array = pa.array(["x", *texts], pa.string()).slice(1)
    lines, bounds, first, scripts = cut_windows(
        *text_buffers(array), window, most, NO_SENTENCE_HAS, table, len(SCRIPTS)
    )
    assert [lines[a:b].tobytes().decode() for a, b in itertools.pairwise(bounds)] == [part + "\n" for part in flat]
    assert first.tolist() == list(itertools.accumulate(map(len, pieces), initial=0))
    expected = [np.bincount(table[list(map(ord, part))], minlength=256)[: len(SCRIPTS)].tolist() for part in flat]
    assert scripts.tolist() == expected
