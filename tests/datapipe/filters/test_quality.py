"""Good prose scores above spam in both languages, from few examples, to the byte the same every time."""

import hashlib
import itertools
import json
import pathlib
import subprocess
import sys
import unicodedata
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.filters.quality import (
    ScoreQuality,
    area_under_curve,
    scramble,
    tokens,
    train,
    train_fasttext,
)
from datapipe.read.examples import read_examples
from datapipe.store.corpus import Corpus
from datapipe.text.characters import HAN, class_table
from tests.helpers import SAMPLE, write_lines

ENGLISH_PROSE = (
    "The valley was settled late, and what we know of its first farmers comes from letters that they sent home."
)
pytestmark = pytest.mark.xdist_group("quality")  # of several processes each would make the fixtures anew
QUALITY = SAMPLE / "quality"


def good_texts() -> list[str]:
    return read_examples([str(QUALITY / "positive.jsonl")])[::5]


def bad_texts() -> list[str]:
    return read_examples([str(QUALITY / "negative.jsonl")])[::5]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """A few dozen of each kind, in Chinese, English and other languages."""
    folder = tmp_path_factory.mktemp("examples")
    for name, texts in (("good", good_texts()), ("bad", bad_texts())):
        write_lines(folder / f"{name}.jsonl", ({"text": text} for text in texts))
    return {"positives": [str(folder / "good.jsonl")], "negatives": [str(folder / "bad.jsonl")]}


@pytest.fixture(scope="module")
def trained(examples: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> ScoreQuality:
    return ScoreQuality(**examples).prepare(Corpus(""), str(tmp_path_factory.mktemp("quality")))  # type: ignore[arg-type]


def scores(stage: ScoreQuality, *texts: str | None) -> list[float]:
    batch = pa.record_batch({"text": pa.array(texts, pa.string())})
    return stage.process(batch).column("quality_score").to_pylist()


def test_unseen_prose_scores_above_unseen_spam(trained: ScoreQuality) -> None:
    prose = [
        ENGLISH_PROSE,
        "这本书讨论了农业在山区的发展，作者根据当时的书信说明了居民的生活。",
    ]
    spam = ["click here!!! BUY best deal, free offer >>> SUBSCRIBE", "扫码 免费领取！！！ 点击购买 加微信"]
    assert min(scores(trained, *prose)) > 0.5 > max(scores(trained, *spam))


def test_gibberish_scores_low(trained: ScoreQuality) -> None:
    gibberish = "qxz vnrw kqj zzpt wvx mmq jhg bdx ptk lrw xqz nvb wqk jzx"
    assert max(scores(trained, gibberish, scramble(ENGLISH_PROSE * 3))) < 0.5 < scores(trained, ENGLISH_PROSE)[0]


def test_scramble() -> None:
    text = good_texts()[0]
    assert sorted(scramble(text)) == sorted(text) != list(text)
    assert scramble(text) == scramble(text) != scramble(text + " ")[:-1]


def test_nothing_scores_zero(trained: ScoreQuality) -> None:
    assert scores(trained, None, "", " \n ")[:2] == [0, 0]


def test_text_is_not_truncated(trained: ScoreQuality) -> None:
    good, spam = good_texts()[0], "\n".join(bad_texts()[:60])
    assert scores(trained, good + "\n" + spam)[0] < scores(trained, good)[0] - 0.2


def test_training_twice_gives_the_same_bytes(tmp_path: pathlib.Path) -> None:
    digests = set()
    for run in range(3):
        result = train(good_texts()[run:] + good_texts()[:run], bad_texts(), str(tmp_path / "model.bin"))
        digests.add(hashlib.sha256((tmp_path / "model.bin").read_bytes()).hexdigest())
    assert len(digests) == 1
    assert result["held_out_auc"] > 0.95
    good, bad = len(set(good_texts())), len(set(bad_texts()))
    assert result["held_out"] == {"good": round(good / 5), "bad": round(bad / 5)}
    assert result["trained"] == {"good": good - round(good / 5), "bad": bad - round(bad / 5)}


TRAIN_ON_A_HEAP_OF = """
import ctypes, hashlib, pathlib, sys
from datapipe.filters.quality import train_fasttext
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


def test_prepare_writes_model_and_result(trained: ScoreQuality) -> None:
    folder = pathlib.Path(trained.trained).parent
    assert json.loads((folder / "quality.json").read_text())["held_out_auc"] > 0.95
    assert sorted(path.suffix for path in folder.iterdir()) == [".bin", ".json"]


def test_a_given_model_sees_the_text_as_it_is(tmp_path: pathlib.Path) -> None:
    (tmp_path / "train.txt").write_text("__label__hq Alpha beta\n__label__cc gamma delta\n" * 50)
    model = train_fasttext(str(tmp_path / "train.txt"), dim=10, bucket=1 << 10, wordNgrams=2, epoch=50, lr=0.5)
    path = str(tmp_path / "own.bin")
    model.save_model(path)
    stage = ScoreQuality(model=path, good_label="hq")
    assert stage.skip_reason() is None
    assert stage.prepare(Corpus(""), str(tmp_path)) is stage
    high, low, unknown = scores(stage, "Alpha\nbeta", "gamma delta", "alpha")
    assert high > 0.9 > 0.1 > low
    assert scores(ScoreQuality(model=path, good_label="cc"), "gamma delta")[0] == pytest.approx(1 - low, abs=1e-3)
    assert unknown != high


def test_too_few_examples(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="9 different good examples, at least 10 are needed"):
        train([str(i) for i in range(9)] * 3, ["x"] * 20, str(tmp_path / "m"))
    # One that is both good and bad tells nothing.
    ten, others = [str(i) for i in range(10)], [str(i) for i in range(9, 29)]
    with pytest.raises(ValueError, match="9 different good examples"):
        train(ten, others, str(tmp_path / "m"))
    with pytest.raises(ValueError, match="9 different bad examples"):
        train(others, ten, str(tmp_path / "m"))


def test_examples_are_no_model(examples: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="no model; call prepare first"):
        scores(ScoreQuality(**examples), "text")  # type: ignore[arg-type]


def test_missing(examples: dict[str, list[str]]) -> None:
    assert ScoreQuality(**examples).skip_reason() is None  # type: ignore[arg-type]
    assert ScoreQuality().skip_reason() == "no examples and no model given"
    assert ScoreQuality(positives=["no.jsonl"], negatives=["no.jsonl"]).skip_reason() == "no such file: no.jsonl"
    with pytest.raises(ValueError, match="positives without negatives"):
        ScoreQuality(positives=["a.jsonl"])
    with pytest.raises(ValueError, match="got both"):
        ScoreQuality(positives=["a"], negatives=["b"], model="c")
    with pytest.raises(ValueError, match=r"quality: model .* is another file: expected SHA-256 0, found"):
        ScoreQuality(model=__file__, model_sha256="0")


def reference_tokens(text: str) -> str:
    classes = class_table()
    spread = ""
    for c in text:
        lowered = c.lower() if c.isascii() else "0" if unicodedata.category(c)[0] == "N" else c
        lowered = "0" if unicodedata.category(c)[0] == "N" else lowered
        if c == "\n":
            spread += " ⏎ "
        elif classes[ord(c)] & HAN or unicodedata.category(c)[0] in "PS":
            spread += f" {lowered} "
        else:
            spread += " " if c.isspace() else lowered
    return "".join(token + " " for token in spread.split(" ") if token)


@given(st.lists(st.one_of(st.text(max_size=20), st.text("aZ 中9\n.,<_", max_size=12)), max_size=5))
@settings(deadline=None)
def test_tokens(texts: list[str]) -> None:
    array = pa.array(["x", *texts], pa.string()).slice(1)
    data, bounds = tokens(array)
    found = [data[a:b].tobytes().decode() for a, b in itertools.pairwise(bounds.tolist())]
    assert found == [reference_tokens(text) for text in texts]


def test_area_under_curve() -> None:
    assert area_under_curve(np.array([0.9, 0.8]), np.array([0.1, 0.85])) == 0.75
    assert area_under_curve(np.array([0.5]), np.array([0.5])) == 0.5


def test_columns(trained: ScoreQuality, corpus_on_disk: Callable[..., Corpus]) -> None:
    corpus = corpus_on_disk(["a", None])
    (batch,) = corpus.parts[0].read(["text"])
    assert trained.process(batch.drop_columns(["id"])).schema == ScoreQuality.writes
