"""Rows are cut and grown as the tokenizer is, and nothing else in the file changes."""

import pathlib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tokenizer_training.samples import BASES, with_chinese
from tokenizer_training.encode import encoder_of
from tokenizer_training.formats import token_bytes
from tokenizer_training.weights import grow_rows, parts_of, slice_rows


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
def test_rows_of_embedding_and_head_are_cut_bit_for_bit(kind: torch.dtype, tmp_path: pathlib.Path) -> None:
    full = {
        "model.embed_tokens.weight": torch.randn(12, 5).to(kind),
        "lm_head.weight": torch.randn(16, 5).to(kind),  # padded beyond the vocabulary
        "model.norm.weight": torch.randn(7).to(torch.float16),
    }
    save_file(full, tmp_path / "full.safetensors", {"format": "pt"})
    old = np.array([0, 3, 11], np.int32)
    cut = slice_rows(str(tmp_path / "full.safetensors"), str(tmp_path / "slim.safetensors"), old)
    slim = load_file(tmp_path / "slim.safetensors")
    assert sorted(cut) == ["lm_head.weight", "model.embed_tokens.weight"]
    for name, tensor in full.items():
        expected = tensor[old.tolist()] if name in cut else tensor
        assert slim[name].dtype == expected.dtype
        assert torch.equal(slim[name].view(torch.uint8), expected.contiguous().view(torch.uint8))


def test_weights_that_do_not_fit_are_refused(tmp_path: pathlib.Path) -> None:
    save_file({"lm_head.weight": torch.zeros(4, 2)}, tmp_path / "small.safetensors")
    save_file({"norm.weight": torch.zeros(4)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="4 rows, too few for the id 9"):
        slice_rows(str(tmp_path / "small.safetensors"), str(tmp_path / "a"), np.array([0, 9]))
    with pytest.raises(ValueError, match="no tensor is named"):
        slice_rows(str(tmp_path / "other.safetensors"), str(tmp_path / "a"), np.array([0]))


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_new_rows_are_the_mean_of_the_old(kind: torch.dtype, tmp_path: pathlib.Path) -> None:
    full = {
        "model.embed_tokens.weight": torch.randn(6, 5).to(kind),
        "lm_head.weight": torch.randn(9, 5).to(kind),  # padded beyond the vocabulary
        "model.norm.weight": torch.randn(7),
    }
    save_file(full, tmp_path / "full.safetensors", {"format": "pt"})
    parts = {6: [0, 3, 3], 7: [5]}
    grown = grow_rows(str(tmp_path / "full.safetensors"), str(tmp_path / "more.safetensors"), parts)
    more = load_file(tmp_path / "more.safetensors")
    assert sorted(grown) == ["lm_head.weight", "model.embed_tokens.weight"]
    assert torch.equal(more["model.norm.weight"], full["model.norm.weight"])
    for name, rows in (("model.embed_tokens.weight", 8), ("lm_head.weight", 9)):
        tensor, old = more[name], full[name]
        assert tensor.dtype == kind
        assert tensor.shape == (rows, 5)
        assert torch.equal(tensor[:6], old[:6])
        assert torch.equal(tensor[6], old[[0, 3, 3]].double().mean(0).to(torch.float32).to(kind))
        assert torch.equal(tensor[7], old[5])
    assert torch.equal(more["lm_head.weight"][8], full["lm_head.weight"][8])


def test_means_need_floats_and_rows(tmp_path: pathlib.Path) -> None:
    save_file({"lm_head.weight": torch.zeros(4, 2, dtype=torch.int8)}, tmp_path / "int.safetensors")
    with pytest.raises(ValueError, match=r"lm_head.weight must be of F32, F16, BF16 .* got I8"):
        grow_rows(str(tmp_path / "int.safetensors"), str(tmp_path / "a"), {4: [0]})
    save_file({"lm_head.weight": torch.zeros(4, 2)}, tmp_path / "small.safetensors")
    with pytest.raises(ValueError, match="4 rows, too few for the id 4"):
        grow_rows(str(tmp_path / "small.safetensors"), str(tmp_path / "a"), {5: [4]})
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", BASES)
def test_the_parts_are_what_the_base_encodes_to(name: str) -> None:
    base, extended = BASES[name](), with_chinese(name)
    parts = parts_of(base, extended)
    assert len(parts) > 20
    spelt, encoder = token_bytes(base), encoder_of(base)
    new = {number: text for number, text in token_bytes(extended).items() if number in parts}
    assert all(b"".join(spelt[part] for part in parts[number]) == text for number, text in new.items())
    whole = {number: text.decode() for number, text in new.items() if is_text(text)}
    for number, word in whole.items():
        if name != "sentencepiece":  # which puts a space before each text
            assert encoder.encode_flat([word])[0].tolist() == parts[number]
    assert whole


def is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
