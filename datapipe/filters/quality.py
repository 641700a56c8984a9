"""How much a document resembles the user's good examples rather than the bad ones, by a fastText classifier.

LLaMA 1 trains such a classifier on pages that Wikipedia cites against random pages, DCLM on instruction answers against
web pages. Here the examples are files of the user's. `perplexity.py` scores how predictable a text is, which follows
its domain more than its quality; `quality_filter.py` decides.

Training twice on the same examples gives the same bytes.
"""

import ctypes
import dataclasses
import hashlib
import itertools
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.checks import FilesOption
from datapipe.kernels import kernel
from datapipe.read.examples import read_examples
from datapipe.read.models import load_classifier
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.text.bit_mixing import DEGSKI, golden_fold
from datapipe.text.characters import DIGIT, HAN, PUNCTUATION, SPACE, class_table, decode, text_buffers

GOOD, BAD = "good", "bad"
RESULT_FILE = "quality.json"

HELD_OUT = 0.2  # share of the examples that the model is judged on, never trained on
# Scrambled good examples for each bad one. With the examples of `sample_data`, letters at random score 0.65 without
# them and 0.00 with them; twice as many cost good prose of kinds not among the examples.
NOISE = 0.25
FEWEST_EXAMPLES = 10  # of either kind: fewer leave nothing to judge the model on

_BUCKETS, _DIMENSIONS = 1 << 20, 10
_LEARNING_RATE = 0.5
# fastText divides a document's step by its length, so few examples need many rounds.
_UPDATES, _FEWEST_EPOCHS, _MOST_EPOCHS = 20_000, 5, 100
# From glibc's malloc.h: memory is given out filled with the complement of the byte that is set.
_M_PERTURB, _ALL_ONES = -6, 0xFF


@kernel
def _write_tokens(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    out: npt.NDArray[np.uint8],
    out_bounds: npt.NDArray[np.int64],
) -> None:
    """Fill `out` with the tokens of each text, a blank after each; see `tokens`."""
    to = 0
    for text in range(len(bounds) - 1):
        at, end = bounds[text], bounds[text + 1]
        in_word = False
        while at < end:
            begin = at
            code_point, at = decode(data, at)
            flags = classes[code_point]
            alone = flags & (HAN | PUNCTUATION) > 0
            if in_word and (alone or flags & SPACE > 0):
                out[to] = 32
                to += 1
                in_word = False
            if code_point == 10:
                out[to], out[to + 1], out[to + 2], out[to + 3] = 226, 143, 142, 32  # U+23CE, return, and a blank
                to += 4
            elif flags & SPACE == 0:
                if flags & DIGIT:
                    out[to] = 48
                    to += 1
                elif 65 <= code_point <= 90:
                    out[to] = code_point + 32
                    to += 1
                else:
                    for byte in range(begin, at):
                        out[to] = data[byte]
                        to += 1
                if alone:
                    out[to] = 32
                    to += 1
                else:
                    in_word = True
        if in_word:
            out[to] = 32
            to += 1
        out_bounds[text + 1] = to


def tokens(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Each text's tokens, a blank after each, the same for training and for scoring.

    A Han character, a kana and a punctuation mark are tokens of their own, so that Chinese needs no segmenter: pairs of
    neighbours are features too. ASCII is in lower case, digits are 0, a line break is the token "⏎".

    Returns:
        UTF-8, and the bounds of each text in it, shape (n + 1,).
    """
    data, bounds = text_buffers(texts)
    sizes = bounds - bounds[0]
    # A byte becomes at most five: a line break does, with the blank that ends the word before it.
    out = np.empty(5 * int(sizes[-1]) + len(texts), np.uint8)
    out_bounds = np.zeros(len(bounds), np.int64)
    _write_tokens(data, bounds, class_table(), out, out_bounds)
    return out[: out_bounds[-1]], out_bounds


def _hash(text: bytes, seed: int) -> bytes:
    """Sorted by it, texts are in an order that is random and always the same."""
    return hashlib.blake2b(text, digest_size=8, salt=seed.to_bytes(4, "little")).digest()


def scramble(text: str) -> str:
    """The characters of a text in another order, random and always the same."""
    # A hash of each index, started from the hash of the text.
    indices = np.arange(len(text), dtype=np.uint64) + np.frombuffer(_hash(text.encode(), 0), np.uint64)
    hashes = golden_fold(indices) * DEGSKI
    return "".join(text[index] for index in np.argsort(hashes, kind="stable"))


def train_fasttext(examples: str, **options: Any) -> Any:
    """A supervised fastText model that is the same each time it is trained on a file of labelled lines.

    With one thread, fastText 0.9.3 sets only the first tenth of its input matrix and leaves the rest as malloc gave it:
    the model then differs from run to run, or training dies with "Encountered NaN". So glibc is told to give out
    zeros meanwhile; elsewhere blocks of this size are fresh pages. More threads would race for the weights.

    Args:
        examples: path of a text file, a line an example: `__label__NAME` and the text.
        options: of `fasttext.train_supervised`, without `thread` and `verbose`.
    """
    libc = ctypes.CDLL(None)
    has_mallopt = hasattr(libc, "mallopt")
    if has_mallopt:
        libc.mallopt(_M_PERTURB, _ALL_ONES)
    try:
        return fasttext.train_supervised(examples, thread=1, verbose=0, **options)
    finally:
        if has_mallopt:
            libc.mallopt(_M_PERTURB, 0)


def train(good: Sequence[str], bad: Sequence[str], path: str) -> dict[str, Any]:
    """Train a classifier on examples, write it to the local file `path`, and judge it on held-out examples.

    Both kinds weigh the same, however many there are of each. A part of what it takes for bad are good examples with
    their characters scrambled: without them gibberish, of which it knows not a word, would score between good and bad.

    Args:
        good, bad: texts. A text that stands twice counts once; one that is both good and bad is left out.

    Returns:
        The number of examples trained on and held out, and the area under the ROC curve on those held out.

    Raises:
        ValueError: if there are fewer than FEWEST_EXAMPLES of either kind.
    """
    kinds = {GOOD: set(good) - set(bad), BAD: set(bad) - set(good)}
    trained: dict[str, list[str]] = {}
    held_out: dict[str, list[str]] = {}
    for kind, texts in kinds.items():
        if len(texts) < FEWEST_EXAMPLES:
            raise ValueError(f"quality: {len(texts)} different {kind} examples, at least {FEWEST_EXAMPLES} are needed")
        ordered = sorted(texts, key=lambda text: _hash(text.encode(), 0))
        held = max(1, round(HELD_OUT * len(ordered)))
        held_out[kind], trained[kind] = ordered[:held], ordered[held:]
    noise = [scramble(text) for text in trained[GOOD]]
    most = max(map(len, trained.values()))
    lines = []
    for kind, chosen, share in ((GOOD, trained[GOOD], 1 + NOISE), (BAD, trained[BAD], 1), (BAD, noise, NOISE)):
        data, bounds = tokens(pa.array(chosen, pa.large_string()))
        spread = [data[a:b].tobytes() for a, b in itertools.pairwise(bounds.tolist())]
        for i in range(round(share * most)):
            line = spread[i % len(spread)]
            lines.append((_hash(line, i // len(spread)), f"__label__{kind} ".encode() + line + b"\n"))
    with tempfile.TemporaryDirectory() as folder:
        examples = pathlib.Path(folder) / "examples.txt"
        examples.write_bytes(b"".join(line for _, line in sorted(lines)))
        model = train_fasttext(
            str(examples),
            lr=_LEARNING_RATE,
            dim=_DIMENSIONS,
            epoch=min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, _UPDATES // len(lines))),
            wordNgrams=2,
            bucket=_BUCKETS,
        )
    model.save_model(path)
    classifier = load_classifier(path)
    scores = {
        kind: classifier.probability(GOOD, *tokens(pa.array(texts, pa.large_string())))
        for kind, texts in held_out.items()
    }
    return {
        "trained": {kind: len(texts) for kind, texts in trained.items()},
        "held_out": {kind: len(texts) for kind, texts in held_out.items()},
        "held_out_auc": round(area_under_curve(scores[GOOD], scores[BAD]), 4),
    }


def area_under_curve(good: npt.NDArray[np.float32], bad: npt.NDArray[np.float32]) -> float:
    """The probability that a good example scores above a bad one; a tie counts half.

    >>> area_under_curve(np.array([0.9, 0.8]), np.array([0.1, 0.85]))
    0.75
    """
    bad = np.sort(bad)
    below = np.searchsorted(bad, good, "left") + np.searchsorted(bad, good, "right")
    return float(below.mean() / (2 * len(bad)))


@dataclasses.dataclass(eq=False)
class ScoreQuality(DocumentStage):
    """Writes the probability that each document is of the good kind, judged by its full text; null text scores 0.

    Attributes:
        positives: files of good examples; see `read_examples`.
        negatives: files of bad ones.
        model: a trained fastText model, instead of examples. It sees the text as it is, with blanks for line breaks.
        model_sha256: what the SHA-256 of that file must be, in hexadecimal; empty: not checked.
        good_label: the label of `model` whose probability is the score ("hq" for DCLM's).
        trained: the model that `prepare` made; no option.
    """

    positives: list[FilesOption] = dataclasses.field(default_factory=list)
    negatives: list[FilesOption] = dataclasses.field(default_factory=list)
    model: FilesOption = ""
    model_sha256: str = ""
    good_label: str = GOOD
    trained: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "quality"
    writes: ClassVar[pa.Schema] = pa.schema([("quality_score", pa.float32())])

    def check(self) -> None:
        """There are examples of both kinds, or a model, the one that is meant."""
        if bool(self.positives) != bool(self.negatives):
            given, lacking = ("positives", "negatives") if self.positives else ("negatives", "positives")
            raise ValueError(f"quality: {given} without {lacking}: a classifier needs both, got {lacking} []")
        if self.model and self.positives:
            raise ValueError(f"quality: give either a model or examples, got both ({self.model!r})")
        files.check_sha256("quality: model", self.model, self.model_sha256)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def skip_reason(self) -> str | None:
        """Why nothing can be scored, in one line; None if it can."""
        paths = [self.model] if self.model else [*self.positives, *self.negatives]
        absent = [path for path in paths if not files.exists(path)]
        if absent:
            return f"no such file: {absent[0]}"
        return None if paths else "no examples and no model given"

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - the examples are the user's
        """Train on the examples; the model and its held-out AUC go into `folder`."""
        if self.model:
            return self
        with tempfile.TemporaryDirectory() as local:
            trained = pathlib.Path(local) / "model.bin"
            result = train(read_examples(self.positives), read_examples(self.negatives), str(trained))
            content = trained.read_bytes()
        # Loaded models are kept by path: another model must have another name.
        path = files.join(folder, f"model-{hashlib.blake2b(content, digest_size=8).hexdigest()}.bin")
        with files.whole_file(path) as sink:
            sink.write(content)
        files.write_json(files.join(folder, RESULT_FILE), result)
        return self.ready(trained=path)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Score the column `text`; returns the column of `writes`."""
        texts = batch.column("text")
        if not self.trained and not self.model:
            raise ValueError("quality: no model; call prepare first")
        if self.trained:
            scores = load_classifier(self.trained).probability(GOOD, *tokens(texts))
        else:
            scores = load_classifier(self.model).probability(self.good_label, *text_buffers(texts))
        return pa.RecordBatch.from_arrays([pa.array(scores)], schema=self.writes)
