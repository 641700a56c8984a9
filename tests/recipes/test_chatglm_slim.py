"""ChatGLM-6B slim: every id of text is 20,000 less, what is decoded is the same, and rows are equal bit for bit."""

import json
import pathlib
import random

import numpy as np
import pytest
import safetensors.numpy
import tokenizers

from tests.helpers import write_lines
from tests.recipes.toy import chinese, english, run_named

IMAGES = 20_000
TEXTS = ["The river, 2023.", "河流里的市场。", "    x = 1\n", "Ünseen 🜚", english(99), chinese(99), ""]


def _base(kind: str, path: pathlib.Path) -> tokenizers.Tokenizer:
    """A synthetic tokenizer of either model type, its first 20,000 ids those of images."""
    texts = [english(seed) for seed in range(30)] + [chinese(seed) for seed in range(30)]
    if kind == "BPE":
        trained = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True))
        trained.train_from_iterator(texts, tokenizers.trainers.BpeTrainer(vocab_size=600, show_progress=False))
        model = json.loads(trained.to_str())["model"]
        names = [f"<0x{byte:02X}>" for byte in range(256)] + sorted(model["vocab"], key=model["vocab"].get)
        model["vocab"] = {f"<image_{number}>": number for number in range(IMAGES)} | {
            name: IMAGES + number for number, name in enumerate(names)
        }
    else:
        trained = tokenizers.Tokenizer(tokenizers.models.Unigram())
        special = ["<unk>"]
        trainer = tokenizers.trainers.UnigramTrainer(
            vocab_size=500, show_progress=False, unk_token="<unk>", special_tokens=special
        )
        trained.train_from_iterator(texts, trainer)
        model = json.loads(trained.to_str())["model"]
        pieces = [[f"<0x{byte:02X}>", -20.0] for byte in range(256)] + model["vocab"]
        model["vocab"] = [[f"<image_{number}>", -30.0] for number in range(IMAGES)] + pieces
        model["unk_id"] = [piece for piece, _ in model["vocab"]].index("<unk>")
        model["byte_fallback"] = True
    content = json.loads(trained.to_str()) | {"model": model, "added_tokens": []}
    content["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return tokenizers.Tokenizer.from_file(str(path))


@pytest.mark.parametrize("kind", ["BPE", "Unigram"])
def test_ids_move_down_and_nothing_else_changes(kind: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "tokenizers").mkdir()
    write_lines(tmp_path / "documents" / "a.jsonl", ({"text": text} for text in TEXTS))
    base = _base(kind, tmp_path / "tokenizers" / "icetk.json")
    rows = base.get_vocab_size()
    random.seed(0)
    weights = np.random.default_rng(0).normal(size=(rows, 8)).astype(np.float16)
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({"transformer.word_embeddings.weight": weights, "other": weights[:3]}, str(path))
    run_named("chatglm_slim", tmp_path, {"pruned_tokenizer.weights": str(path)})
    folder = tmp_path / "out" / "pruned_tokenizer"
    slim = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert slim.get_vocab_size() == rows - IMAGES
    for text in TEXTS:
        old, new = base.encode(text).ids, slim.encode(text).ids
        assert new == [number - IMAGES for number in old]
        assert slim.decode(new) == base.decode(old) == text
    cut = safetensors.numpy.load_file(str(folder / "model.safetensors"))
    assert (cut["transformer.word_embeddings.weight"].view(np.uint16) == weights[IMAGES:].view(np.uint16)).all()
    assert (cut["other"] == weights[:3]).all()
