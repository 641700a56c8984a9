"""Trained to the byte the same every time; noise is bad in every language; language by language."""

import hashlib
import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from datapipe.filters import quality_training
from datapipe.filters.quality_training import (
    FEWEST_EXAMPLES,
    Examples,
    area_under_curve,
    by_language,
    noise,
    pieces,
    score,
    scramble,
    train,
    train_once,
)
from tests.helpers import SAMPLE

pytestmark = pytest.mark.xdist_group("quality")


def texts(kind: str) -> list[str]:
    return [json.loads(line)["text"] for line in (SAMPLE / f"quality/{kind}.jsonl").open(encoding="utf-8")][::5]


@pytest.fixture(scope="module")
def examples() -> dict[str, Examples]:
    found = by_language(texts("positive"), texts("negative"))
    return {language: kinds for language, kinds in found.items() if kinds.suffice}


def test_training_twice_gives_the_same_bytes(tmp_path: pathlib.Path, examples: dict[str, Examples]) -> None:
    good, bad = texts("positive"), texts("negative")
    digests = set()
    for run in range(2):
        again = by_language(good[run:] + good[: run + 1], bad[::-1] * (run + 1))
        result = train({language: again[language] for language in examples}, str(tmp_path / "model.bin"))
        digests.add(hashlib.sha256((tmp_path / "model.bin").read_bytes()).hexdigest())
    assert len(digests) == 1
    assert list(result) == ["en", "zh"]
    for language, found in result.items():
        assert found["held_out_auc"] > 0.9
        for kind, of_kind in examples[language]._asdict().items():
            assert found["held_out"][kind] == round(len(of_kind) / 10)
            assert found["held_out"][kind] + found["trained"][kind] == len(of_kind)


def test_the_last_classifier_is_kept(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    good, bad = texts("positive")[:150], texts("negative")[:150]
    first = train_once(good, bad)
    assert first.examples["en"] == list(map(len, by_language(good, bad)["en"]))
    trainings: list[str] = []

    def watched(examples: dict[str, Examples], path: str) -> dict[str, Any]:
        trainings.append(path)
        return train(examples, path)

    monkeypatch.setattr(quality_training, "train", watched)
    assert train_once(good, bad) == first
    assert not trainings
    other = train_once(good[1:], bad)
    assert len(trainings) == 1
    assert other.model != first.model
    assert sorted(path.suffix for path in tmp_path.glob("quality.*")) == [".bin", ".json"]
    assert train_once(good, bad) == first


TRAIN_ON_A_HEAP_OF = """
import ctypes, hashlib, pathlib, sys
from datapipe.filters.quality_training import train_fasttext
byte, examples = int(sys.argv[1]), sys.argv[2]
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
size = 100_000  # small enough to come from the heap, which then holds 200 MB free, below the last block
blocks = [libc.malloc(size) for _ in range(2000)]
for block in blocks:
    ctypes.memset(block, byte, size)
for block in blocks[:-1]:
    libc.free(block)
train_fasttext(examples, dim=10, epoch=5, minn=2, maxn=3, bucket=1 << 16).save_model(examples + ".bin")
print(hashlib.sha256(pathlib.Path(examples + ".bin").read_bytes()).hexdigest())
"""


def test_training_does_not_depend_on_what_memory_held(tmp_path: pathlib.Path) -> None:
    (tmp_path / "train.txt").write_text("__label__a alpha beta\n__label__b gamma delta\n" * 20)
    digests = {
        subprocess.run(
            [sys.executable, "-c", TRAIN_ON_A_HEAP_OF, str(byte), str(tmp_path / "train.txt")],
            check=True,
            capture_output=True,
        ).stdout
        for byte in (0x00, 0x3F, 0xFF)
    }
    assert len(digests) == 1


def test_examples_are_told_apart_by_language() -> None:
    english = [f"The committee published report number {n} on the state of the roads last week." for n in range(12)]
    chinese = [f"委员会上周发表了第{n}号报告，说明了公路的状况，公众可以免费阅读。" for n in range(12)]
    found = by_language([*english, *chinese[:3], english[0]], [*chinese[3:], english[1]])
    assert {language: (len(kinds.good), len(kinds.bad)) for language, kinds in found.items()} == {
        "en": (11, 0),  # one stands twice, one is both good and bad
        "zh": (3, 9),
    }
    assert not found["zh"].suffice
    assert Examples(english[:FEWEST_EXAMPLES], chinese[:FEWEST_EXAMPLES]).suffice


def test_pieces_are_of_a_text_and_have_no_line_breaks() -> None:
    long = "\n".join(f"This is line number {n} of a text that goes on for some time." for n in range(60))
    whole, *parts = pieces(long)
    assert whole == long.replace("\n", " ")
    assert len(parts) == 2
    assert all(part in whole and 180 <= len(part) <= 1500 and part != whole for part in parts)
    assert list(pieces("Too short\nto be cut.")) == ["Too short to be cut."]
    assert list(pieces(long)) == [whole, *parts]


def test_noise_is_made_of_the_words_and_letters_of_the_text() -> None:
    made = list(noise(["the cat sat on the mat .", "a dog ran in a park .", "the end .", "abc 中文字 def ."]))
    assert sorted(made[0].split()) == sorted(["the", "cat", "sat", "on", "the", "mat", "."])
    words = {*made[0].split(), "a", "dog", "ran", "in", "park", "end", "abc", "def", "中", "文", "字"}
    assert set(made[1].split()) | set(made[2].split()) <= words
    assert sorted(c for c in made[3] if c.isascii()) == sorted("abc  def .")
    assert sum("\u4e00" <= c <= "\u9fff" for c in made[3]) == 3


def test_scramble() -> None:
    text = texts("positive")[0]
    assert sorted(scramble(text)) == sorted(text) != list(text)
    assert scramble(text) == scramble(text) != scramble(text + " ")[:-1]


def test_the_score_follows_neither_line_breaks_nor_length(
    tmp_path: pathlib.Path, examples: dict[str, Examples]
) -> None:
    train(examples, str(tmp_path / "m.bin"))
    sentences = ["The tide rose by four metres.", "Boats lay in the mud until noon.", "It is a quiet place."]
    folded, broken = score(str(tmp_path / "m.bin"), [" ".join(sentences), "\n\n".join(sentences)])
    assert folded == broken
    good, bad = (
        score(str(tmp_path / "m.bin"), [text * times for times in (1, 20)])
        for text in (
            "The valley was settled late, and its first farmers sent letters home. ",
            "Click here to claim your free bonus of 500 dollars, offer ends today!!! ",
        )
    )
    assert min(good) > 0.1 > max(bad)  # what the default recipe asks for


def test_area_under_curve() -> None:
    assert area_under_curve(np.array([0.9, 0.8]), np.array([0.1, 0.85])) == 0.75
    assert area_under_curve(np.array([0.5]), np.array([0.5])) == 0.5
