"""rjieba is the oracle: the same words, one by one."""

import importlib.metadata
import itertools
import pathlib
import random

import numpy as np
import pyarrow as pa
import pytest
import rjieba
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text.characters import text_buffers
from datapipe.text.segmentation import _CHUNK, _MODEL_FIRST, _PART, load_model, word_ends
from tests.helpers import SAMPLE, read_lines

TEXTS = [
    "",
    "我们中出了一个叛徒",
    "南京市长江大桥",
    "他来到了网易杭研大厦",  # 杭研 is in no dictionary
    "李小福是创新办主任也是云计算方面的专家",
    "王菲菲与欧阳娜娜、司马懿、爱新觉罗溥仪去喀喇昆仑山口",
    "當時華盛頓的議員們還沒有意識到這個問題的嚴重性",
    "常在於其中",  # decided by the last digits of the model's probabilities
    "的",
    "龘",
    "一二三四五六七八九十百千万亿",
    "AT&T的B超和T恤、C++与C#、c++语言、卡拉OK、γ射线",
    "增长了3.5%，共12.5万元，5%5，50%%，1.5.%，a%b",
    "well-known www.example.com WES-5.4.5 OPENSSL_1_1_1 1-2- _a_ -1 a..b +a#b",
    "iPhone15Pro手机在2024年5月1日发布",
    "一\r\n二\r三\n\r四\r\r\n\n五\r",
    " \t\v\f\x1c\x85\xa0\u3000\u2028",
    "，。！？、；：“”‘’（）《》…—",
    "...---%%%___###",
    "鿕鿖㐀䶵豈𠀀𪛟𪜀𮯠丽𰀀\U000e0100",  # the ends of the ranges
    "𠀀𠀀中国𠀀a𠀀",
    "一\U000f4e00二\U000f4e09中\U000f56fd\U0010ffff",  # no character of the dictionary, cut to 16 bits or not
    "カタカナひらがな한국어ไทย🙂👨‍👩‍👧é",
    "中国" * 5000,
    "龘靐齉齾" * 3000,
    "鿖" * 5000,
    "a" * 5000,
    "0.1" * 3000,
    "一" * 20000,
]


def words(text: str, ends: list[int]) -> list[str]:
    return [text[a:b] for a, b in itertools.pairwise([0, *ends])]


def segment(texts: pa.Array) -> list[list[str]]:
    ends, bounds = word_ends(*text_buffers(texts), np.ones(len(texts), bool))
    assert ends.dtype == np.int32
    assert bounds.dtype == np.int64
    return [
        words(text or "", ends[a:b].tolist())
        for text, a, b in zip(texts.to_pylist(), bounds[:-1], bounds[1:], strict=True)
    ]


def library(text: str) -> list[str]:
    return rjieba.cut(text)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_hard_texts(text: str) -> None:
    assert segment(pa.array([text])) == [library(text)]


def test_many_texts_at_once() -> None:
    assert segment(pa.array(TEXTS)) == list(map(library, TEXTS))


def test_nulls_slices_and_chunks() -> None:
    texts = pa.array(["前面的", None, "中文分词", "", "天气真好", "后面的"])
    expected = [[], ["中文", "分词"], [], ["天气", "真", "好"]]
    assert segment(texts.slice(1, 4)) == expected
    assert segment(pa.chunked_array([texts.slice(1, 2), texts.slice(3, 2)])) == expected
    assert segment(texts.slice(1, 4).cast(pa.large_string())) == expected
    assert segment(texts.slice(0, 0)) == []


def test_only_what_is_wanted() -> None:
    data, bounds = text_buffers(pa.array(["中文分词", "中文", "天气"]))
    ends, word_bounds = word_ends(data, bounds, np.array([False, True, False]))
    assert (ends.tolist(), word_bounds.tolist()) == ([2], [0, 0, 1, 1])
    ends, word_bounds = word_ends(data, bounds, np.zeros(3, bool))
    assert (ends.tolist(), word_bounds.tolist()) == ([], [0, 0, 0, 0])


def test_line_breaks_and_words_where_parts_end() -> None:
    for after in ("\r\n中国", "\n中国", "\r中国", "，中国", "中国人民", "中国\r\n", "𰀀中国"):
        texts = ["，" * (_PART - 4 + i) + after + "一种" * 9 for i in range(8)]
        assert segment(pa.array(texts)) == list(map(library, texts)), after


def test_blocks_of_many_chunks() -> None:
    chosen = random.Random(0)
    for alphabet in ("长江大桥南京市中国人民在这里学习工作", "abc1.5%中国龘"):
        sizes = [_CHUNK * chunks + more for chunks in (1, 2, 5) for more in (-1, 0, 1, 15, 16, 17)]
        texts = ["".join(chosen.choices(alphabet, k=size)) for size in sizes]
        assert segment(pa.array(texts)) == list(map(library, texts))


CHARACTERS = (
    "的一是不了在人有我他这中大来上国年生和到地出就分对成会可主发工动作用长江市桥龘㐀鿖𠀀abT5.%&+#-_，。 \r\n\u3000"
)
WORDS = ["中国", "人民", "大学", "生产", "发展", "长江大桥", "AT&T", "B超", "c++", "3.14", "\r\n", "🙂", "\U000f4e00"]
PIECES = st.sampled_from([*CHARACTERS, *WORDS])


@settings(max_examples=1000)
@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=30))
def test_any_text(text: str) -> None:
    assert segment(pa.array([text])) == [library(text)]


def test_random_characters() -> None:
    """Neighbours at random are in no dictionary: the hidden Markov model's, whatever it knows of them."""
    chosen = random.Random(1)
    known = np.flatnonzero((load_model().markov.emission > -100).any(axis=1)) + _MODEL_FIRST
    for points in (known, known[:500], np.arange(0x4E00, 0xA000), np.arange(0x3400, 0x4E00)):
        texts = ["".join(map(chr, chosen.choices(points.tolist(), k=chosen.randint(1, 80)))) for _ in range(1000)]
        for text, found in zip(texts, segment(pa.array(texts)), strict=True):
            assert found == library(text)


def test_near_ties() -> None:
    """Pairs of characters that are two words or one by less than the last digit of the model's probabilities."""
    markov = load_model().markov
    known = np.flatnonzero((markov.emission > -100).all(axis=1))
    begin, end, _, single = markov.emission[known].T
    as_one = begin + markov.start[0] + markov.transition[0, 1]
    as_two = single + markov.start[3] + markov.transition[3, 3]
    order = np.argsort(single - end)
    low, high = (np.searchsorted((single - end)[order], as_one - as_two + shift) for shift in (-3e-6, 3e-6))
    pairs = [
        chr(_MODEL_FIRST + known[i]) + chr(_MODEL_FIRST + known[j])
        for i in np.flatnonzero(low < high)
        for j in order[low[i] : high[i]]
    ]
    assert len(pairs) > 10
    assert segment(pa.array(pairs)) == list(map(library, pairs))


def test_sample_documents() -> None:
    path = SAMPLE / "documents" / "chinese.jsonl.zst"
    texts = [record["text"] for record in itertools.islice(read_lines(path), 400)]
    assert len(texts) > 200
    for text, found in zip(texts, segment(pa.array(texts)), strict=True):
        assert found == library(text)


def test_every_word_of_the_dictionary() -> None:
    path = pathlib.Path(str(importlib.metadata.distribution("jieba").locate_file("jieba/dict.txt")))
    listed = [line.partition(" ")[0] for line in path.read_text("utf-8").splitlines()]
    texts = ["".join(listed[i : i + 7]) for i in range(0, len(listed), 7)]
    for text, found in zip(texts, segment(pa.array(texts)), strict=True):
        assert found == library(text)
