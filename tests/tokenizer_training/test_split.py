"""Pre-tokens are those of the encoder's own splitter."""

import pathlib

import polars
import pytest
from hypothesis import example, given, settings

from tests.tokenizer_training.samples import SPLIT_TEXTS, SPLITTING_RULES, pretokens
from tokenizer_training.algorithms import ALGORITHMS, Algorithm
from tokenizer_training.split import split


@pytest.mark.parametrize("algorithm", SPLITTING_RULES, ids=lambda rule: f"{rule.name}-{rule.digits}")
@settings(max_examples=1000)
@given(text=SPLIT_TEXTS)
@example(text="'ſx 'LL're'VE 'l")
@example(text=" \n \n  x")
@example(text="1234567.89 １２３٤ 0")
def test_split_equals_the_regular_expression(algorithm: Algorithm, text: str) -> None:
    assert split(text, algorithm) == pretokens(text, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_every_code_point_is_classed_as_the_regular_expression_does(algorithm: Algorithm) -> None:
    assigned = [chr(point) for point in range(0x32400) if not 0xD800 <= point < 0xE000]
    text = "a".join(assigned) + "\U000e0001\U000e0100\U000f0000\U0010ffff"
    assert split(text, algorithm) == pretokens(text, algorithm)


def test_the_whole_of_a_real_corpus_splits_alike(shared_data: pathlib.Path) -> None:
    texts = polars.read_ndjson(shared_data / "corpora" / "multi-templated.jsonl.zst").get_column("text").to_list()
    for algorithm in SPLITTING_RULES:
        for text in texts[::40]:
            assert split(text, algorithm) == pretokens(text, algorithm)
