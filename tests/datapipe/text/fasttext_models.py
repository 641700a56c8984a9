"""Small fastText models of every kind that the library trains, and texts that try the limits of what a token is."""

import pathlib
import random
from typing import Any

import pyarrow as pa

from datapipe.filters.quality_training import train_fasttext
from datapipe.text.characters import text_buffers
from datapipe.text.fasttext_model import FastTextModel

WORDS = {
    language: listed.split()
    for language, listed in {
        "en": "the report of committee was published last week and members may read it in library",
        "fr": "le comité a publié son rapport la semaine dernière et public peut lire à bibliothèque",
        "zh": "委员会 上周 发表 了 报告 公众 可以 在 图书馆 阅读 这 份 也 下载",
        "x_y": "0 1 ! ? <b> </b> </s </s>x __label__ 𠀀 🙂 ï",
    }.items()
}
TEXTS = [
    "",
    " \n\t",
    "\0",
    "</s>",
    "__label__en",
    "__label__none",
    "__label__en report",
    "report",
    "the report</s>was published",
    "the report\nwas published\n",
    "le\u3000rapport",
    "委员会上周发表了报告",
    "unknown wörds ünd 未知",
    "a" * 3000,
    "the report of the committee " * 500,
    "é",
    "<report> </report>",
    "\r\v\f",
]
# Layers, lengths of n-grams of words and of characters, and what is done to the matrices.
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "softmax": ({"loss": "softmax"}, None),
    "tree": ({"loss": "hs", "minn": 2, "maxn": 4, "dim": 16}, None),
    "sampling": ({"loss": "ns", "wordNgrams": 3}, None),
    "one_vs_all": ({"loss": "ova", "wordNgrams": 2, "minn": 1, "maxn": 3}, None),
    "one_label": ({"loss": "softmax", "labels": 1}, None),
    "tree_of_one": ({"loss": "hs", "labels": 1}, None),
    "quantized": ({"loss": "softmax", "wordNgrams": 2}, {}),
    "pruned": ({"loss": "hs", "minn": 2, "maxn": 3, "wordNgrams": 2}, {"cutoff": 300, "qnorm": True}),
    "all_quantized": ({"loss": "softmax", "minn": 1, "maxn": 2, "labels": 300}, {"qout": True, "dsub": 3}),
}


def lines(labels: int) -> list[str]:
    chosen = random.Random(1)
    names = [*WORDS, *(f"l{i}" for i in range(labels - len(WORDS)))][:labels]
    return [
        f"__label__{name} " + " ".join(chosen.choices(WORDS.get(name, [name, "the", "la", "的", f"w{name}"]), k=8))
        for i, name in enumerate(names)
        for _ in range(max(2, 40 - i))
    ]


def train_model(name: str, folder: pathlib.Path) -> str:
    """The path of one of MODELS, trained in a folder."""
    options, quantized = MODELS[name]
    labels = options.get("labels", len(WORDS))
    (folder / "train.txt").write_text("\n".join(lines(labels)) + "\n", encoding="utf-8")
    settings_ = {"dim": 10, "epoch": 10, "lr": 0.5, "bucket": 5000} | {
        k: v for k, v in options.items() if k != "labels"
    }
    trained = train_fasttext(str(folder / "train.txt"), **settings_)
    path = str(folder / "model.bin")
    if quantized is not None:
        trained.quantize(**quantized)
    trained.save_model(path)
    return path


def predictions(model: FastTextModel, texts: list[str], k: int) -> list[list[tuple[str, float]]]:
    data, bounds = text_buffers(pa.array(texts, pa.string()))
    labels, probabilities = model.predict(data, bounds[:-1], bounds[1:], k)
    assert labels.shape == probabilities.shape == (len(texts), min(k, len(model.labels)))
    return [
        [(model.labels[label], probability) for label, probability in zip(*row, strict=True) if label >= 0]
        for row in zip(labels.tolist(), probabilities.tolist(), strict=True)
    ]
