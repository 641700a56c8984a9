"""Unicode normalization and cleaning of characters, before anything looks at the text.

Unlike the filters, it changes documents and removes none. One kernel pass tells which documents hold a character that
any of the options could touch: few in a clean corpus, and the others cost only that pass.
"""

import dataclasses
import functools
import html
import operator
import re
import sys
import unicodedata
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import opencc
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.kernels import kept_table, kernel
from datapipe.text.characters import decode, text_buffers
from datapipe.text.scripts import NO_LETTER, SCRIPTS, east_asian_languages, script_table

FORMS = ("NFC", "NFKC", "none")

# What a code point could need: bits of `need_table`.
_NFC = 1
_NFKC = 2
_NEWLINE = 4
_CONTROL = 8
_INVISIBLE = 16
_ENTITY = 32
_FOLD = 64
_TOGETHER = 128  # its compatibility form depends on what stands beside it

_NEWLINES = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Soft hyphen, zero-width space, word joiner, invisible operators, byte order mark, and the bidi marks, embeddings,
# overrides and isolates of UAX 9, by which a text shows otherwise than it reads ("Trojan Source", Boucher and Anderson
# 2021). Zero-width joiner and non-joiner stay: Persian, Indic scripts and emoji are spelt with them.
_INVISIBLES = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
# From a run's first space on, and never back into it: otherwise a long run takes quadratic time.
_SPACES_AT_LINE_END = re.compile(r"(?<![^\S\n])[^\S\n]++(?=\n|\Z)")
_SPACES = re.compile(r"[^\S\n\t ]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
# Hong Kong's forms, as Taiwan's, which OpenCC's `t2s` knows.
_HONG_KONG = {ord("衞"): "衛", ord("裏"): "裡"}
# 著 after a verb is 着, which `t2s` leaves; in words for writing and fame it stays.
_PARTICLE = re.compile("(?<![名原显卓编专土论巨所合译昭遗拙])著(?![名作述者称有书录])")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_HANGUL_OF_KOREAN = 0.1  # of hanja: a sentence of Chinese words has a particle after each
# Japanese has more kana than Han; Chinese has the odd の in a name.
MAX_KANA_OF_CHINESE = 0.05
# Small and capital letters of which one has no single counterpart, so that `lower_table` leaves them.
_CASES = {ord("İ"): "I", ord("ß"): "ss", ord("ẞ"): "SS"}
# Greek in capitals has no accents, and one sigma.
_CASES |= dict(zip(map(ord, "άέήίόύώΆΈΉΊΌΎΏς"), "αεηιουωΑΕΗΙΟΥΩσ", strict=True))
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclasses.dataclass(frozen=True)
class Normalization:
    """What to normalize, in this order: the form after what is dropped, or the rest would not be in it.

    Attributes:
        newlines: CR LF, CR, vertical tab, form feed, NEL and the Unicode line and paragraph separators become LF.
        controls: drop the control characters (general category Cc) other than tab and LF.
        invisibles: drop zero-width characters and bidi controls, except the two joiners that spelling needs.
        form: "NFC" (as Qwen's tokenizer), "NFKC" (as CCNet's language model and SentencePiece's default; changes
            full-width letters and digits), or "none" (as Baichuan 2 and LLaMA).
        whitespace: every other space character becomes a space, none stays at the end of a line, no more than one blank
            line in a row, and none at either end of the document. Indentation stays, so that code survives.
        simplified: traditional Chinese becomes simplified (OpenCC's `t2s`), in documents that have more characters to
            simplify than to make traditional, and hardly any kana: simplified and Japanese text would be damaged.
    """

    newlines: bool = True
    controls: bool = True
    invisibles: bool = True
    form: str = "NFC"
    whitespace: bool = False
    simplified: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"normalization: form must be one of {', '.join(FORMS)}, got {self.form!r}")


_FOLDED_FORM = Normalization(form="NFKC")


def normalize(texts: pa.Array, options: Normalization) -> pa.Array:
    """The texts normalized; nulls stay null.

    Args:
        texts: strings, shape (documents,).
        options: what to do.

    >>> normalize(pa.array(["cafe\\u0301\\r\\n", None]), Normalization()).to_pylist()
    ['café\\n', None]
    >>> normalize(pa.array(["ＡＢＣ　１"]), Normalization(form="NFKC", whitespace=True)).to_pylist()
    ['ABC 1']
    """
    touched = needs(texts) & _wanted(options) != 0
    if options.whitespace or options.simplified:
        touched[:] = True
    return _changed(texts, touched, lambda text: normalize_one(text, options))


def normalize_one(text: str, options: Normalization) -> str:
    """One text normalized: the rules themselves, without the shortcut."""
    if options.newlines:
        text = _NEWLINES.sub("\n", text)
    if options.controls:
        text = _CONTROLS.sub("", text)
    if options.invisibles:
        text = _INVISIBLES.sub("", text)
    if options.form != "none":
        text = unicodedata.normalize(options.form, text)  # type: ignore[arg-type]
    if options.whitespace:
        text = _SPACES.sub(" ", text)
        text = _SPACES_AT_LINE_END.sub("", text)
        text = _BLANK_LINES.sub("\n\n", text).strip("\n")
    if options.simplified:
        text = simplify(text)
    return text


def simplify(text: str) -> str:
    """A text in traditional Chinese, in simplified Chinese; any other as it is, Korean and Japanese without kana too.

    >>> simplify("千山萬山如火發"), simplify("東京の國"), simplify("東京都千代田区国会議事堂")
    ('千山万山如火发', '東京の國', '東京都千代田区国会議事堂')
    """
    han = len(_HAN.findall(text)) if not text.isascii() else 0
    if len(_KANA.findall(text)) > MAX_KANA_OF_CHINESE * han or len(_HANGUL.findall(text)) >= _HANGUL_OF_KOREAN * han:
        return text
    taiwan = text.translate(_HONG_KONG)
    simplified = _PARTICLE.sub("着", _converter("t2s").convert(taiwan))
    traditional = _converter("s2t").convert(taiwan)
    if _differences(taiwan, simplified) <= _differences(taiwan, traditional):
        return text
    found = script_table()[np.frombuffer(taiwan.encode("utf-32-le", "replace"), np.uint32)]
    counts = np.bincount(found, minlength=NO_LETTER + 1)[None, : len(SCRIPTS)]
    return text if east_asian_languages(counts)[0] == "ja" else simplified


def fold(texts: pa.Array) -> pa.Array:
    """Texts as both sides of a comparison are read: entities undone, NFKC, no invisible characters, simplified Chinese.

    For what is looked for in texts, evaluation sets and listed words: the one may be normalized, the other from a web
    page. Characters are simplified one by one, since a word too short to tell its language is to be found as well. Case
    stays, but ß is ss, İ is I and Greek has no accents: then `lower_table` makes equal what differs in case alone.

    Args:
        texts: strings, shape (texts,).

    >>> fold(pa.array(["Ａ &amp;&nbsp;國", None])).to_pylist()
    ['A & 国', None]
    """
    unescaped = _changed(texts, needs(texts) & _ENTITY != 0, html.unescape)
    needed = needs(unescaped) & (_wanted(_FOLDED_FORM) | _FOLD | _TOGETHER)
    together = needed & (_TOGETHER | _NEWLINE) != 0
    alone = _changed(unescaped, (needed != 0) & ~together, lambda text: text.translate(_FOLDED))
    return _changed(alone, together, lambda text: normalize_one(text, _FOLDED_FORM).translate(_FOLDED))


class _FoldedCharacters(dict[int, str]):
    """What `fold` makes of each character alone, for `str.translate`: found out when one is first met."""

    def __missing__(self, point: int) -> str:
        folded = normalize_one(chr(point), _FOLDED_FORM).translate(simplified_characters()).translate(_CASES)
        self[point] = folded
        return folded


_FOLDED = _FoldedCharacters()


def _changed(texts: pa.Array, touched: npt.NDArray[np.bool_], change: Callable[[str], str]) -> pa.Array:
    """The texts, those touched as a function makes them; nulls stay null."""
    if not touched.any():
        return texts
    mask = pa.array(touched)
    changed = [None if text is None else change(text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(changed, texts.type))


@functools.cache
def simplified_characters() -> dict[int, str]:
    """What OpenCC's `t2s` makes of the Chinese characters that it changes one by one, for `str.translate`."""
    return {point: _converter("t2s").convert(chr(point)) for point in traditional_points().tolist()}


@kept_table
def traditional_points() -> npt.NDArray[np.int32]:
    """The code points of the Chinese characters that OpenCC's `t2s` changes one by one, ascending."""
    points = np.array([*range(0x3400, 0xA000), *range(0xF900, 0xFB00), *range(0x20000, 0x323B0)], np.int32)
    characters = [chr(point) for point in points]
    simplified = _converter("t2s").convert("\n".join(characters)).split("\n")
    return points[[one != other for one, other in zip(characters, simplified, strict=True)]]


def _differences(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one, other, strict=False))


@functools.cache
def _converter(conversion: str) -> opencc.OpenCC:
    return opencc.OpenCC(conversion)


def _wanted(options: Normalization) -> int:
    form = {"NFC": _NFC, "NFKC": _NFKC, "none": 0}[options.form]
    return form | _NEWLINE * options.newlines | _CONTROL * options.controls | _INVISIBLE * options.invisibles


def needs(texts: pa.Array) -> npt.NDArray[np.uint8]:
    """For each document, the union of its code points' entries in `need_table`, shape (documents,)."""
    return _needs(*text_buffers(texts), need_table())


@kernel
def _needs(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], table: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    needed = np.zeros(len(offsets) - 1, np.uint8)
    for document in range(len(needed)):
        at = offsets[document]
        end = offsets[document + 1]
        bits = np.uint8(0)
        while at < end:
            code_point, at = decode(data, at)
            bits |= table[code_point]
        needed[document] = bits
    return needed


@kept_table
def need_table() -> npt.NDArray[np.uint8]:
    """What each code point could need, shape (0x110000,).

    A text is normalized when each of its characters is so alone, is no second half of a composition, and has combining
    class 0 (the quick check of UAX 15, with "maybe" read as "could need").
    """
    table = np.zeros(sys.maxunicode + 1, np.uint8)
    # All but unified ideographs, Hangul syllables, surrogates, private and unassigned planes: those need nothing.
    ranges = ((1, 0x3400), (0xA000, 0xAC00), (0xF900, 0x20000), (0x2F800, 0x30000), (0xE0000, 0xE1000))
    points = np.concatenate([np.arange(*ends) for ends in ranges])
    characters = list(map(chr, points.tolist()))
    table[points[np.fromiter(map(unicodedata.combining, characters), np.uint8) > 0]] = _NFC | _NFKC
    # All at once, a null between: nothing composes with it. One after another they take half a second.
    together = "\0".join(characters)
    normalized = {_NFC: unicodedata.normalize("NFC", together), _NFKC: unicodedata.normalize("NFKC", together)}
    for need, text in normalized.items():
        table[points[np.fromiter(map(operator.ne, characters, text.split("\0")), bool)]] |= need
    seconds = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}  # Hangul vowels and final consonants compose by rule
    for decomposition in filter(None, map(unicodedata.decomposition, characters)):
        if not decomposition.startswith("<"):
            seconds.update(int(part, 16) for part in decomposition.split()[1:])
    table[sorted(seconds)] |= _NFC | _NFKC
    combining = table & _NFC != 0
    table[combining] |= _TOGETHER
    for point in np.flatnonzero((table & _NFKC != 0) & ~combining).tolist():
        if combining[[*map(ord, unicodedata.normalize("NFKC", chr(point)))]].any():
            table[point] |= _TOGETHER
    for pattern, need in ((_NEWLINES, _NEWLINE), (_CONTROLS, _CONTROL), (_INVISIBLES, _INVISIBLE)):
        for code_point in (*range(0x100), *range(0x600, 0x620), *range(0x2000, 0x2070), 0xFEFF):
            if pattern.fullmatch(chr(code_point)):
                table[code_point] |= need
    table[ord("&")] |= _ENTITY
    table[[*traditional_points().tolist(), *_CASES]] |= _FOLD
    return table
