"""What a word is, language by language: the word definitions, and the stop words that mark running text.

The word definition decides more than any threshold: on the same web pages Gopher's quality rules keep 57 % to 96 % of
the documents, by definition alone. So it is an option with a name, never an accident of a tokenizer. `characters.py`
says what a character is; this says how characters make words.

    unicode      runs of letters, marks, digits and underscores; an apostrophe joins letters, a point or comma joins
                 digits; each Han character, kana or bopomofo is a word of its own; symbols that stand alone between
                 spaces are a token, but no word
    whitespace   runs of anything but white space, as `str.split`
    characters   each letter or digit with its marks is a word; other symbols as in `unicode`
    rjieba       Chinese word segmentation (jieba's dictionary and hidden Markov model, see `chinese_words.py`); white
                 space and symbols are no tokens
    auto         rjieba for Chinese; characters for languages written without spaces that have no segmenter here (Thai,
                 Lao, Khmer, Burmese, Tibetan, Dzongkha); unicode for all others, Japanese included. FineWeb-2's
                 Chinese thresholds (mean word length 1 to 5, say) were fitted on segmented words and mean nothing on
                 single characters.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.kernels import helper, kept_table
from datapipe.text import segmentation as chinese_words
from datapipe.text.characters import DIGIT, HAN, LETTER, MARK, SPACE, text_buffers
from datapipe.text.spans import Text

# Word_Break classes of UAX 29, as `word_break_table` numbers them. Any other stands alone.
(
    _OTHER,
    _LETTER,
    _HEBREW,
    _NUMERIC,
    _KATAKANA,
    _JOINER,
    _MID_LETTER,
    _MID_NUMBER,
    _MID_BOTH,
    _SINGLE_QUOTE,
    _DOUBLE_QUOTE,
    _EXTEND,
) = range(12)
_WORD_BREAK = (
    "",
    "ALetter",
    "Hebrew_Letter",
    "Numeric",
    "Katakana",
    "ExtendNumLet",
    "MidLetter",
    "MidNum",
    "MidNumLet",
    "Single_Quote",
    "Double_Quote",
)

UNICODE, WHITESPACE, CHARACTERS, GIVEN = range(4)
DEFINITIONS = {"unicode": UNICODE, "whitespace": WHITESPACE, "characters": CHARACTERS, "rjieba": GIVEN}
UNSEGMENTED = frozenset({"th", "lo", "km", "my", "bo", "dz"})

# en: Rae et al. 2021, A.1.1. zh: FineWeb-2's fitted list for cmn_Hani, less its "·", and the simplified forms of three
# that it has in traditional script alone; then what classical prose and verse have in their place: the function words
# of the national syllabus (文言虚词), negations, pronouns, adverbs. The others: a dozen or two of each language's
# commonest function words, chosen here; nearly every paragraph of running text holds two of them.
_STOP_WORDS = {
    "ar": "في من على أن إلى هذا التي عن مع هذه الذي كان ما لا أو",
    "bg": "на и за от да се не са по че като или",
    "ca": "de la i que el en a les per un amb no",
    "cs": "a v se na je že s z do to o pro",
    "da": "og i at det er en til af på for med ikke",
    "de": "der die und in den von zu das mit ist nicht ein",
    "el": "και το να του η της με για την από που είναι",
    "en": "the be to of and that have with",
    "es": "de la que el en y los a se del las con",
    "fa": "و در به از که این را با است برای آن یک",
    "fi": "ja on ei se että oli joka myös kun hän mutta tai",
    "fr": "de la le et les des en un une du que est",
    "he": "של את על לא הוא עם זה היא גם כי או",
    "hi": "के में है की और से को का कि यह पर नहीं",
    "hr": "i je u se na da za su od s ne koji",
    "hu": "a az és hogy nem is egy van ez meg de vagy",
    "id": "yang dan di untuk dengan ini dari pada dalam tidak itu adalah",
    "it": "di che e la il un a per in non una del",
    "ja": "の に は を た が で て と し れ も",
    "ko": "이 그 수 및 등 것 한 더 또는 있는 있다 대한 위해 할 하는 것이다 것으로 했다 고 또 통해 지난 따르면 때 "
    "경우 모든 다른 다음 다음과 같은 같이 위한 하여 하고 있으며 있습니다 합니다 됩니다 입니다 않는 없는 따라 "
    "때문에 그리고 하지만 된 될 되는 있을 이러한 함께 가장 예를 여러 각",
    "nl": "de van het een en in is dat op te zijn met",
    "no": "og i er det på for en til av med ikke som",
    "pl": "w i na z się do nie że to jest o jak",
    "pt": "de a o que e do da em um para com não",
    "ro": "de și în la a cu pe care nu o din este",
    "ru": "и в не на что с по как это для из к",
    "sk": "a v sa na je že s z do to o pre",
    "sr": "и је у се на да за су од не који i u na da su",
    "sv": "och i att det som en på är för med av inte",
    "th": "ที่ และ เป็น ของ การ ความ ได้ ให้ จาก ว่า ไม่ กับ หรือ นี้ ซึ่ง โดย ด้วย แล้ว ต้อง อยู่",
    "tr": "ve bir bu için ile de da olarak daha çok olan gibi",
    "uk": "і в на не що з до та у для як це",
    "vi": "và của là có các được cho trong không một với để",
    "zh": "的 年 在 月 是 和 日 了 於 為 有 被 人 中 为 他 與 後 也 而 由 于 与 后 "
    "之 其 者 以 所 乎 乃 且 若 焉 因 则 則 何 不 无 無 未 此 我 君 自 如 今 时 時 来 來 又 已 谁 誰 欲 相",
}
_STOP_WORDS["nb"] = _STOP_WORDS["no"]
STOP_WORDS = {language: tuple(listed.split()) for language, listed in _STOP_WORDS.items()}


def primary(language: str | None) -> str:
    """The language without script or region; "und" of null or empty.

    >>> primary("zh-Hant"), primary("pt_BR"), primary(None)
    ('zh', 'pt', 'und')
    """
    return (language or "und").replace("_", "-").split("-")[0].lower()


def primary_languages(codes: pa.Array) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The different languages of some codes, ascending, and the place among them of each code, shape (n,).

    >>> primary_languages(pa.array(["zh-Hant", None, "en", "zh"]))[0]
    ['en', 'und', 'zh']
    """
    encoded = codes.cast(pa.string()).fill_null("und").dictionary_encode()
    names, of_code = np.unique([primary(code) for code in encoded.dictionary.to_pylist()], return_inverse=True)
    return names.tolist(), of_code[encoded.indices.to_numpy()]


def definition_of(definition: str, language: str) -> int:
    """The word definition of a document, given the option and the document's primary language."""
    if definition != "auto":
        return DEFINITIONS[definition]
    if language == "zh":
        return GIVEN
    return CHARACTERS if language in UNSEGMENTED else UNICODE


class Segmented(NamedTuple):
    """How each of some documents is cut into words.

    Attributes:
        definitions: its word definition, of `DEFINITIONS`, shape (documents,).
        ends: the word ends of those of the definition GIVEN, in code points, one document after the other.
        bounds: those of document i are `ends[bounds[i]:bounds[i + 1]]`, none of other definitions; (documents + 1,).
    """

    definitions: npt.NDArray[np.int8]
    ends: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]


def segment(texts: pa.Array, definitions: npt.NDArray[np.int8]) -> Segmented:
    """Segment, as rjieba does, the texts of the definition GIVEN.

    >>> texts = pa.array(["中文分词", "no", "天气真好"])
    >>> found = segment(texts, np.array([GIVEN, UNICODE, GIVEN], np.int8))
    >>> found.ends.tolist(), found.bounds.tolist()  # 中文|分词, and 天气|真|好
    ([2, 4, 2, 3, 4], [0, 2, 2, 5])
    """
    given = definitions == GIVEN
    if not given.any():
        return Segmented(definitions, np.zeros(0, np.int32), np.zeros(len(texts) + 1, np.int64))
    return Segmented(definitions, *chinese_words.word_ends(*text_buffers(texts), given))


@helper
def split_words(t: Text, length: int, segmented: Segmented, document: int, with_symbols: bool) -> int:
    """Fill `starts`, `ends`, `any_flags` and `all_signs` with the tokens of the document, of `length` code points.

    Where words are given, those of symbols only are dropped unless `with_symbols`. Returns the number of tokens.
    """
    points, flags, signs, starts, ends = t.points, t.flags, t.signs, t.starts, t.ends
    definition = segmented.definitions[document]
    tokens, at, word = 0, 0, LETTER | DIGIT | MARK
    if definition == GIVEN:
        for end in segmented.ends[segmented.bounds[document] : segmented.bounds[document + 1]]:
            any_flags, all_signs = np.uint8(0), np.uint8(255)
            for i in range(at, end):
                any_flags |= flags[i]
                all_signs &= signs[i]
            if any_flags & (LETTER | DIGIT) or (with_symbols and not flags[at] & SPACE):
                starts[tokens], ends[tokens] = at, end
                t.any_flags[tokens], t.all_signs[tokens] = any_flags, all_signs
                tokens += 1
            at = end
        return tokens
    while at < length:
        first = flags[at]
        any_flags, all_signs = first, signs[at]
        if first & SPACE:
            at += 1
            continue
        start = at
        at += 1
        if definition == WHITESPACE:
            while at < length and not flags[at] & SPACE:
                any_flags, all_signs, at = any_flags | flags[at], all_signs & signs[at], at + 1
        elif first & word or points[at - 1] == 95:  # _
            if first & HAN or definition == CHARACTERS:
                while at < length and flags[at] & MARK:
                    any_flags, all_signs, at = any_flags | flags[at], all_signs & signs[at], at + 1
            else:
                while at < length and _continues_word(points, at, length, flags):
                    any_flags, all_signs, at = any_flags | flags[at], all_signs & signs[at], at + 1
        else:
            while at < length and not flags[at] & (SPACE | word) and points[at] != 95:
                any_flags, all_signs, at = any_flags | flags[at], all_signs & signs[at], at + 1
            alone = (start == 0 or flags[start - 1] & SPACE) and (at == length or flags[at] & SPACE)
            if not alone:
                continue
        starts[tokens], ends[tokens] = start, at
        t.any_flags[tokens], t.all_signs[tokens] = any_flags, all_signs
        tokens += 1
    return tokens


@helper
def _continues_word(points: npt.NDArray[np.int32], at: int, length: int, flags: npt.NDArray[np.uint8]) -> bool:
    """Whether the code point at `at` belongs to the word that stands right before it (definition `unicode`)."""
    point = points[at]
    if flags[at] & HAN:
        return False
    if flags[at] & (LETTER | DIGIT | MARK) or point == 95:
        return True
    if point in (0x200C, 0x200D, 0xAD):  # zero-width joiners, as in Persian, and the soft hyphen
        return True
    if at + 1 == length:
        return False
    previous, following = flags[at - 1], flags[at + 1]
    if point in (0x27, 0x2019):
        return bool(previous & (LETTER | MARK)) and bool(following & LETTER) and not following & HAN
    return point in (0x2C, 0x2E) and bool(previous & DIGIT) and bool(following & DIGIT)


@kept_table
def word_break_table() -> npt.NDArray[np.uint8]:
    """The Word_Break class of every code point, shape (0x110000,)."""
    import regex  # here, as in `spans.py`

    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    table = np.zeros(0x110000, np.uint8)
    for number, name in enumerate(_WORD_BREAK):
        if name:
            table[list(map(ord, regex.findall(rf"\p{{Word_Break={name}}}", every)))] = number
    for name in ("Extend", "Format", "ZWJ"):
        table[list(map(ord, regex.findall(rf"\p{{Word_Break={name}}}", every)))] = _EXTEND
    return table


@helper
def _after_extenders(points: npt.NDArray[np.int32], at: int, length: int, breaks: npt.NDArray[np.uint8]) -> int:
    while at < length and breaks[points[at]] == _EXTEND:
        at += 1
    return at


@helper
def split_uax29_words(t: Text, length: int, breaks: npt.NDArray[np.uint8]) -> int:
    """As `split_words`, by the default word boundaries of UAX 29 (rules WB4 to WB13b); returns the number of tokens.

    Only those that begin with a letter or digit are tokens, as DCLM counts words. `breaks` is `word_break_table()`.
    """
    points, classes, starts, ends = t.points, t.classes, t.starts, t.ends
    tokens, at = 0, 0
    while at < length:
        start = at
        kind = breaks[points[at]]
        space = classes[points[at]] & SPACE > 0
        at += 1
        if not (space and points[start] in (10, 11, 12, 13, 0x85, 0x2028, 0x2029)):
            at = _after_extenders(points, at, length, breaks)
        while at < length:
            following = breaks[points[at]]
            after = _after_extenders(points, at + 1, length, breaks)
            beyond = breaks[points[after]] if after < length else np.uint8(_OTHER)
            letter, number = kind in (_LETTER, _HEBREW), kind == _NUMERIC
            # What stands between two letters, or two numbers, joins them.
            between = letter and beyond in (_LETTER, _HEBREW)
            between &= following in (_MID_LETTER, _MID_BOTH, _SINGLE_QUOTE)
            between |= number and beyond == _NUMERIC and following in (_MID_NUMBER, _MID_BOTH, _SINGLE_QUOTE)
            between |= kind == _HEBREW and following == _DOUBLE_QUOTE and beyond == _HEBREW
            if between:
                kind, at = beyond, _after_extenders(points, after + 1, length, breaks)
                continue
            if following in (_LETTER, _HEBREW, _NUMERIC):
                joined = letter or number or kind == _JOINER
            elif following == _KATAKANA:
                joined = kind in (_KATAKANA, _JOINER)
            elif following == _JOINER:
                joined = letter or number or kind in (_KATAKANA, _JOINER)
            else:
                joined = kind == _HEBREW and following == _SINGLE_QUOTE
            if not joined:
                break
            kind, at = following, after
        if classes[points[start]] & (LETTER | DIGIT):
            starts[tokens], ends[tokens] = start, at
            tokens += 1
    return tokens
