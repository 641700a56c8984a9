"""The encoder gives the ids of `tokenizers`, whichever backend it uses, and text never becomes a special token."""

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.tokenizer_training.samples import TEXTS, trained
from tokenizer_training.algorithms import AlgorithmName, byte_characters
from tokenizer_training.encode import PROBES, Encoder, encoder_of, load_encoder

ENCODERS = {algorithm: encoder_of(trained(algorithm)) for algorithm in ("byte_level", "byte_fallback")}


@pytest.mark.parametrize("algorithm", ENCODERS)
@settings(max_examples=500)
@given(texts=st.lists(TEXTS, max_size=4))
def test_fast_equals_exact(algorithm: AlgorithmName, texts: list[str]) -> None:
    encoder = ENCODERS[algorithm]
    assert encoder.fast is not None
    exact = Encoder(encoder.tokenizer, None)
    for fast_ids, exact_ids in zip(encoder.encode_batch(texts), exact.encode_batch(texts), strict=True):
        assert np.array_equal(fast_ids, exact_ids)
    assert [encoder.decode(ids) for ids in encoder.encode_batch(texts)] == texts


def test_special_tokens_in_text_stay_text() -> None:
    for encoder in ENCODERS.values():
        (ids,) = encoder.encode_batch(["<|endoftext|>"])
        assert len(ids) > 1
        assert ids.min() > 2


@pytest.mark.parametrize("algorithm", ENCODERS)
def test_special_tokens_are_recognised_where_asked(algorithm: AlgorithmName) -> None:
    encoder = encoder_of(trained(algorithm), special=True)
    exact = Tokenizer.from_str(json.dumps(trained(algorithm)))
    text = "<|im_start|>user\nthe cat<|im_end|>\n<|endoftext|>"
    assert encoder.encode_batch([text])[0].tolist() == exact.encode(text).ids


def test_counts_take_arrays_with_nulls_and_slices() -> None:
    texts = pa.array(["skipped", "the cat", None, ""]).slice(1)
    for encoder in (*ENCODERS.values(), Encoder(ENCODERS["byte_level"].tokenizer, None)):
        counts = encoder.count(texts)
        assert counts.dtype == np.int32
        assert counts.tolist() == [len(encoder.encode_batch(["the cat"])[0]), 0, 0]


def metaspace() -> dict[str, Any]:
    """A file that fastokens refuses: SentencePiece's white space."""
    changed = trained("byte_fallback")
    changed["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}
    return changed


def test_what_fastokens_does_not_know_is_encoded_by_tokenizers() -> None:
    encoder = encoder_of(metaspace())
    assert encoder.fast is None
    exact = Tokenizer.from_str(json.dumps(metaspace()))
    assert encoder.encode_batch(["the cat"])[0].tolist() == exact.encode("the cat").ids


def test_a_vocabulary_without_all_bytes_is_encoded_by_tokenizers() -> None:
    lacking = trained("byte_level")
    del lacking["model"]["vocab"][byte_characters()[0x0B]]
    encoder = encoder_of(lacking)
    assert encoder.fast is None
    assert encoder.decode(encoder.encode_batch(["the\x0b cat"])[0]) == "the cat"


def test_a_backend_that_disagrees_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        from_json_str = staticmethod(lambda _: Wrong())

        def encode_batch_flat(self, texts: list[str], **_: bool) -> tuple[bytes, bytes]:
            return b"", bytes(8 * (len(texts) + 1))

    monkeypatch.setattr("fastokens.Tokenizer", Wrong)
    assert encoder_of(trained("byte_level")).fast is None


def test_files_are_loaded_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(trained("byte_level")))
    assert load_encoder(str(path)) is load_encoder(str(path))
    assert load_encoder(str(path)).vocabulary_size == len(trained("byte_level")["model"]["vocab"])
    assert len(set(PROBES)) == len(PROBES)
