"""Roles of special tokens are read from every kind of file that has them, and written where others look for them."""

import pathlib

import pytest
from transformers import AutoTokenizer

from tests.tokenizer_training.samples import sentencepiece_model, trained, with_special_tokens
from tokenizer_training.roles import read_roles, roles_of, write_with_roles


def test_roles_of_a_sentencepiece_model(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "own.model"
    path.write_bytes(sentencepiece_model(add_dummy_prefix=True, bos_piece="<begin>", pad_id=3))
    assert read_roles(str(path)) == {"bos": "<begin>", "eos": "</s>", "pad": "<pad>", "unk": "<unk>"}


def test_what_is_written_is_read_again_and_by_transformers(tmp_path: pathlib.Path) -> None:
    tokenizer = with_special_tokens(trained("byte_level"), ["<|begin|>", "<|pad|>"])
    roles = {"bos": "<|begin|>", "pad": "<|pad|>"}
    write_with_roles(str(tmp_path), tokenizer, roles)
    found = roles | {"eos": "<|endoftext|>"}
    assert read_roles(str(tmp_path)) == read_roles(str(tmp_path / "tokenizer.json")) == found
    theirs = AutoTokenizer.from_pretrained(str(tmp_path))
    assert (theirs.bos_token, theirs.eos_token, theirs.pad_token) == ("<|begin|>", "<|endoftext|>", "<|pad|>")
    write_with_roles(str(tmp_path / "none"), tokenizer, {})
    assert read_roles(str(tmp_path / "none")) == {}


def test_a_role_needs_a_special_token() -> None:
    with pytest.raises(ValueError, match=r"bos: the tokenizer has no special token '<bos>'; it has <\|endoftext\|>, "):
        roles_of(trained("byte_level"), {"bos": "<bos>"})
    assert roles_of(trained("byte_level"), {}) == {"eos": "<|endoftext|>", "pad": "<|endoftext|>"}
