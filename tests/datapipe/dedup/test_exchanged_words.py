"""Against counting in plain Python; sister pages are told from versions."""

import collections
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from datapipe.dedup.exchanged_words import SHARE, WORDS, are_exchanged, common_words


def records(*texts: str | None) -> list[npt.NDArray[np.uint32]]:
    return [np.frombuffer(record, "<u4") for record in common_words(pa.array(texts, pa.string())).to_pylist()]


def counts(record: npt.NDArray[np.uint32]) -> list[int]:
    return sorted(record[3::2].tolist(), reverse=True)


HEADER = """A header stands above the text of every page. To add a header, choose Insert, then Header. The header may
show the number of the page, the name of the author or the date. Where the first page is to have none, clear the box
"Same content on first page". A header takes the style of the paragraph in which it stands, which you can change."""


def test_a_page_of_the_same_template_is_no_version() -> None:
    header, footer, longer, edited = records(
        HEADER,
        HEADER.replace("eader", "ooter").replace("above", "below"),
        HEADER + " It can be removed again by the same command, and nothing of it is left in the document.",
        HEADER.replace("show", "hold") + " You can remove the header again.",
    )
    assert are_exchanged(header, footer)
    assert are_exchanged(footer, header)
    assert not are_exchanged(header, longer)
    assert not are_exchanged(longer, header)
    assert not are_exchanged(header, header)
    assert are_exchanged(header, edited)  # of 60 words, one says much
    (long, rewritten) = records(HEADER * 4 + " the end", HEADER * 4 + " the last word")
    assert not are_exchanged(long, rewritten)


def test_chinese() -> None:
    page = "左对齐将段落的文字与左页边对齐。要访问此命令，请选择格式菜单中的对齐，再选择左。" * 3
    left, right = records(page, page.replace("左", "右"))
    assert are_exchanged(left, right)


def test_only_the_commonest_words_are_kept_and_ties_go_together() -> None:
    text = " ".join([f"word{n} " * (3 if n < 150 else 2 if n < 200 else 1) for n in range(400)])
    (record,) = records(text)
    assert record[:2].tolist() == [150 * 3 + 50 * 2 + 200, 2]
    assert counts(record) == [3] * 150
    (few,) = records(" ".join(f"word{n}" for n in range(WORDS)))
    assert few[1] == 0
    assert len(counts(few)) == WORDS


def test_what_a_record_leaves_out_is_taken_to_be_there() -> None:
    common = " ".join(f"word{n} word{n} word{n}" for n in range(WORDS))
    one, other = records(common + " twice twice", common + " " + " ".join(f"rare{n} rare{n}" for n in range(300)))
    assert not are_exchanged(one, other)


def test_nothing() -> None:
    empty, blank, some = records("", None, "some words")
    assert empty.tolist() == blank.tolist() == [0, 0]
    assert not are_exchanged(empty, some)


@given(st.lists(st.text("ab 中.", max_size=60), max_size=4))
def test_counts_are_those_of_the_words(texts: list[str]) -> None:
    for text, record in zip(texts, records(*texts), strict=True):
        expected = collections.Counter(re.findall("[ab]+|中", text))
        assert counts(record) == sorted(expected.values(), reverse=True)
        assert record[0] == expected.total()
        assert (np.diff(record[2::2].astype(np.int64)) > 0).all()


@given(st.text("abc ", max_size=40), st.text("abc ", max_size=40))
def test_as_counted_in_plain_python(first: str, second: str) -> None:
    left, right = collections.Counter(first.split()), collections.Counter(second.split())
    shares = [max((a - b).values(), default=0) / max(1, a.total()) for a, b in ((left, right), (right, left))]
    assert are_exchanged(*records(first, second)) == (min(shares) > SHARE)
