"""Pruned tokenizers encode as before, with other ids; embeddings follow row by row."""

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.tokenizer_training.samples import BASES, CORPUS, TEXTS, real_base, sample, trained
from tokenizer_training.algorithms import added_token
from tokenizer_training.encode import encoder_of
from tokenizer_training.prune import ancestors, prune, unused_ids, write_id_map


@pytest.mark.parametrize("name", BASES)
@settings(max_examples=25)
@given(texts=st.lists(TEXTS, max_size=6), text=TEXTS)
def test_texts_that_used_only_kept_entries_do_not_change(name: str, texts: list[str], text: str) -> None:
    tokenizer = BASES[name]()
    encoder = encoder_of(tokenizer)
    pruned, old = prune(tokenizer, unused_ids(tokenizer, encoder, [pa.array(texts, pa.string())]))
    smaller = encoder_of(pruned)
    for before, after in zip(encoder.encode_batch(texts), smaller.encode_batch(texts), strict=True):
        assert np.array_equal(before, old[after])
    assert smaller.decode(smaller.encode_batch([text])[0]) == encoder.decode(encoder.encode_batch([text])[0])


def test_what_is_unused_goes() -> None:
    tokenizer = trained("byte_level")
    encoder = encoder_of(tokenizer)
    drop = unused_ids(tokenizer, encoder, [pa.array(CORPUS[:1])])
    pruned, old = prune(tokenizer, drop)
    assert 259 < len(old) < encoder.vocabulary_size
    assert [token["id"] for token in pruned["added_tokens"]] == [0, 1, 2]
    assert sorted(pruned["model"]["vocab"].values()) == list(range(len(old)))


def with_images(count: int) -> dict[str, Any]:
    """A tokenizer whose first ids are entries that no text is encoded to, as ChatGLM-6B's."""
    tokenizer = trained("byte_fallback")
    shifted = {token: number + count for token, number in tokenizer["model"]["vocab"].items()}
    images = {f"<image_{number}>": number for number in range(count)}
    tokenizer["model"]["vocab"] = images | shifted
    tokenizer["added_tokens"] = [{**token, "id": token["id"] + count} for token in tokenizer["added_tokens"]]
    name = "<|endoftext|>"
    template = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": name, "type_id": 0}}]
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": template,
        "pair": [*template, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [count], "tokens": [name]}},
    }
    return tokenizer


@settings(max_examples=100)
@given(TEXTS)
def test_a_dropped_range_shifts_all_ids_and_specials(text: str) -> None:
    ids = SLIM.encode(text).ids
    assert [number + 200 for number in ids] == FULL.encode(text).ids
    assert ids[-1] == SLIM.token_to_id("<|endoftext|>") == 0


FULL = Tokenizer.from_str(json.dumps(with_images(200)))
SLIM = Tokenizer.from_str(json.dumps(prune(with_images(200), range(200))[0]))


def test_parents_of_kept_entries_stay() -> None:
    tokenizer = trained("byte_level")
    number = tokenizer["model"]["vocab"]["Ġthe"]
    keep = {number, *range(3)}
    pruned, old = prune(tokenizer, set(tokenizer["model"]["vocab"].values()) - keep)
    assert len(old) == 3 + 256 + len([name for name in pruned["model"]["vocab"] if len(name) > 1 and "<" not in name])
    assert encoder_of(pruned).tokenizer.encode(" the").tokens == ["Ġthe"]
    assert 0 < len(pruned["model"]["merges"]) <= 3


def test_ancestors_are_those_of_the_merges_in_order() -> None:
    ranks = {("b", "c"): 0, ("a", "b"): 1, ("ab", "c"): 2, ("a", "bc"): 3}
    assert ancestors("abc", ranks) == {"a", "b", "c", "bc", "abc"}
    assert ancestors("abd", ranks) == set()


def test_added_tokens_go_only_if_named() -> None:
    tokenizer = trained("byte_level")
    tokenizer["added_tokens"].append(added_token("<|tool|>", 500))
    assert len(prune(tokenizer, [])[0]["added_tokens"]) == 4
    pruned, _ = prune(tokenizer, [1])
    assert [(token["content"], token["id"]) for token in pruned["added_tokens"]][:2] == [
        ("<|endoftext|>", 0),
        ("<|im_end|>", 1),
    ]
    assert pruned["added_tokens"][2]["id"] == len(pruned["model"]["vocab"])


@pytest.mark.parametrize(
    "processor",
    [
        {"type": "RobertaProcessing", "sep": ["<|endoftext|>", 0], "cls": ["<|im_start|>", 1], "trim_offsets": True},
        {"type": "Sequence", "processors": [{"type": "BertProcessing", "sep": ["a", 1], "cls": ["b", 1]}]},
    ],
)
def test_a_post_processor_that_inserts_a_dropped_entry_is_refused(processor: dict[str, Any]) -> None:
    tokenizer = trained("byte_level") | {"post_processor": processor}
    with pytest.raises(ValueError, match="post-processor inserts the entry 1"):
        prune(tokenizer, [1])
    assert prune(tokenizer, [2])[0]["post_processor"] == processor


def test_the_id_map_is_a_table(tmp_path: pathlib.Path) -> None:
    write_id_map(str(tmp_path / "ids.parquet"), np.array([0, 5, 9], np.int32))
    assert pq.read_table(tmp_path / "ids.parquet").to_pydict() == {"old": [0, 5, 9], "new": [0, 1, 2]}


def test_a_real_tokenizer_shrinks_to_what_a_corpus_uses(shared_data: pathlib.Path) -> None:
    texts = sample(shared_data, 100)
    tokenizer, encoder = real_base(shared_data, "cl100k_base.tiktoken")
    pruned, old = prune(tokenizer, unused_ids(tokenizer, encoder, [pa.array(texts)]))
    assert len(old) < 45_000
    for before, after in zip(encoder.encode_batch(texts), encoder_of(pruned).encode_batch(texts), strict=True):
        assert np.array_equal(before, old[after])
