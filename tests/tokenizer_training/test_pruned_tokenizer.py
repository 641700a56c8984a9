"""Entries of given ids go, in a run as by the command; what text needs stays."""

import pathlib

import pytest
from tokenizers import Tokenizer

from tests.helpers import CorpusOf
from tokenizer_training.pruned_tokenizer import PruneTokenizer
from tokenizer_training.tokenizer import TrainTokenizer

TEXTS = ["The quick brown fox jumps over the lazy dog again and again."] * 4


def test_ids_close_up_and_text_comes_back(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    for name in ("base", "out"):
        (tmp_path / name).mkdir()
    parts = corpus_of(TEXTS)
    parts | TrainTokenizer(vocabulary=280, special_tokens=["<|a|>", "<|b|>"]).ready(folder=str(tmp_path / "base"))
    path = str(tmp_path / "base" / "tokenizer.json")
    (summary,) = parts | PruneTokenizer(path, [[0, 0], [270, 279]]).ready(folder=str(tmp_path / "out"))
    before, after = (Tokenizer.from_file(str(tmp_path / name / "tokenizer.json")) for name in ("base", "out"))
    assert summary["base"] == before.get_vocab_size()
    assert summary["vocabulary"] == after.get_vocab_size() < before.get_vocab_size()
    assert after.token_to_id("<|b|>") == 0
    assert after.token_to_id("<|a|>") is None
    assert after.decode(after.encode(TEXTS[0]).ids) == TEXTS[0]
    assert (tmp_path / "out" / "ids.parquet").exists()


def test_a_range_that_runs_backwards_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"ranges must run from first to last, got \[5, 3\]"):
        PruneTokenizer("x.json", [[5, 3]])
    assert PruneTokenizer(str(tmp_path / "no.json"), [[0, 1]]).skip_reason() == f"no such file: {tmp_path}/no.json"
