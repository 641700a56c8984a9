"""Which script a letter is of, and what the scripts of a text say about its language.

Scripts settle what a classifier errs on: kana means Japanese, hangul Korean, Han alone Chinese, where `lid.176` takes
3 % of Chinese sentences for Japanese. `characters.py` says which code points are letters at all.
"""

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper, kept_table
from datapipe.text.characters import LETTER, class_table

# ISO 15924 code -> code point ranges of its letters. Any other letter counts as "Zyyy".
_RANGES: dict[str, tuple[tuple[int, int], ...]] = {
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
# Then the Han characters that say more: simplified and traditional ones, those of either that are the modern Japanese
# form too, those that only Japanese has, and those that only written Cantonese needs.
SCRIPTS = (*_RANGES, "Hans", "Hant", "Hans+Jpan", "Hant+Jpan", "Jpan", "Cantonese")
NO_LETTER = 255  # in place of a script

_HAN, _KANA, _HANGUL, _HANS, _HANT, _HANS_JPAN, _HANT_JPAN, _JPAN, _CANTONESE = (
    SCRIPTS.index(code)
    for code in ("Hani", "Kana", "Hang", "Hans", "Hant", "Hans+Jpan", "Hant+Jpan", "Jpan", "Cantonese")
)
_ALL_HAN = [_HAN, _HANS, _HANT, _HANS_JPAN, _HANT_JPAN, _JPAN, _CANTONESE]
_EAST_ASIAN = [_KANA, _HANGUL, *_ALL_HAN]

# The commonest words of spoken Cantonese that no standard Chinese text needs: he, plural, of, done, not, have not,
# thing, come, some, that, so, at, take, and final particles.
_CANTONESE_CHARACTERS = "佢哋嘅咗唔冇嘢嚟啲嗰咁喺噉攞㗎喎啩嘥瞓嗌諗"
# Cantonese as it is spoken has one in seven characters of them; a text in standard Chinese quotes one now and then.
_CANTONESE_SHARE, _CANTONESE_SHARE_OF_ONE = 0.03, 0.1

# A Han character, kana or hangul syllable says as much as this many letters of an alphabet.
HAN_WEIGHT = 3

# A Japanese sentence is 40 to 70 % kana; a Chinese one quotes a の now and then.
_KANA_SHARE = 0.1
# A Korean sentence with all its Chinese words in hanja is still a third hangul.
_HANGUL_SHARE = 0.25
# Japanese without kana (names, headlines) mixes forms that simplified Chinese shares with forms that traditional
# Chinese does, which no Chinese text does; so many such pairs tell, unless there are characters that Japanese lacks.
_FEWEST_JAPANESE, _JAPANESE_EXCESS = 2, 8

# The languages written in each script other than Latin, by the names that `IdentifyLanguage` gives. A language that no
# line names is written in Latin letters; "Latn" lists those that are written in them too.
_LANGUAGES = {
    "Latn": "az crh gag gom kk ku sh sr tk tt ug uz",
    "Cyrl": (
        "ab av ady az ba be bg bxr ce chm crh cu cv inh kaa kbd kk kjh koi krc kum kv ky lbe lez mdf mhr mk mn "
        "mrj myv nog os ru rue sah sh sr tg tk tt tyv udm uk uz xal"
    ),
    "Grek": "el grc pnt",
    "Arab": (
        "acm acq aeb ajp apc ar arb arq ars ary arz azb az bal bcc bgn bqi ckb fa glk haz hac kk ks ku lki lrc "
        "luz mzn pbt pnb prs ps sd sdh shu skr tk tt ug ur uz"
    ),
    "Hebr": "he jdt lad yi",
    "Armn": "hy hyw",
    "Deva": "anp awa bgc bh bho dgo doi dty gom hi hne kfy kok ks mag mai mr mwr ne new raj sa sat sd",
    "Beng": "as bn bpy mni",
    "Guru": "pa",
    "Gujr": "gu",
    "Orya": "or",
    "Taml": "ta",
    "Telu": "te",
    "Knda": "kn tcy",
    "Mlym": "ml",
    "Sinh": "si",
    "Thai": "th",
    "Laoo": "lo",
    "Tibt": "bo adx dz lbj",
    "Mymr": "my ksw mnw shn",
    "Geor": "ka xmf",
    "Ethi": "am gez ti tig",
    "Khmr": "km",
    "Mong": "mn mvf",
    "Hani": "zh gan hak lzh nan wuu yue",
    "Kana": "ja ryu",
    "Hang": "ko jje",
    "Zyyy": "dv nqo sat chr iu zgh div mni syc arc ber got",
}
# Where one language, or by far the first of a few, is written in a script.
_FIRST_OF_SCRIPT = "Grek Hebr Armn Beng Guru Gujr Orya Taml Telu Knda Mlym Sinh Thai Laoo Tibt Mymr Geor Khmr Mong"
# A language is possible where its scripts have this share of the letters.
_POSSIBLE_SHARE = 0.2


@kept_table
def script_table() -> npt.NDArray[np.uint8]:
    """The script of every code point as its place in `SCRIPTS`, shape (0x110000,); NO_LETTER = none.

    Simplified and traditional characters are told apart by the encodings of either side: a character of GB 2312 that
    Big5 lacks is simplified, one of Big5's frequent level 1 that GB 2312 lacks is traditional, one of JIS X 0208 that
    both lack is Japanese.
    """
    letters = (class_table() & LETTER) > 0
    table = np.where(letters, 0, NO_LETTER).astype(np.uint8)
    for script, ranges in enumerate(_RANGES.values()):
        for first, last in ranges:
            table[first : last + 1][letters[first : last + 1]] = script
    for code_point in range(0x4E00, 0xA000):
        character = chr(code_point)
        encoded = [character.encode(code, "ignore") for code in ("gb2312", "big5", "shift_jis")]
        simplified, traditional, japanese = encoded
        if simplified and not traditional:
            table[code_point] = _HANS_JPAN if japanese else _HANS
        elif traditional and not simplified and traditional < b"\xc6\xa1":
            table[code_point] = _HANT_JPAN if japanese else _HANT
        elif japanese and not simplified and not traditional:
            table[code_point] = _JPAN
    table[[ord(character) for character in _CANTONESE_CHARACTERS]] = _CANTONESE
    return table


@helper
def is_east_asian_letter(code_point: int) -> bool:
    """Whether it is a kana, a common Han character or a hangul syllable."""
    return (
        0x3041 <= code_point <= 0x30FA
        or 0x3400 <= code_point <= 0x4DBF
        or 0x4E00 <= code_point <= 0x9FFF
        or 0xAC00 <= code_point <= 0xD7A3
    )


def weigh(counts: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """How much each text says, in letters of an alphabet, and which share of it in East Asian scripts.

    Args:
        counts: letters by script, shape (texts, len(SCRIPTS)).
    """
    weights, east_asian = np.zeros(len(counts), np.int64), np.zeros(len(counts), np.int64)
    for script in found_scripts(counts):
        weights += counts[:, script]
        if script in _EAST_ASIAN:
            east_asian += counts[:, script]
    weights += (HAN_WEIGHT - 1) * east_asian
    return weights, HAN_WEIGHT * east_asian / np.maximum(1, weights)


def east_asian_languages(counts: npt.NDArray[np.integer]) -> list[str]:
    """Which of "zh", "ja" and "ko" each text must be, by its scripts, if it is any of them.

    Args:
        counts: letters by script, shape (texts, len(SCRIPTS)).
    """
    east_asian = counts[:, _EAST_ASIAN].sum(axis=1)
    hangul, kana = counts[:, _HANGUL], counts[:, _KANA]
    chosen = np.select(
        [
            hangul > _HANGUL_SHARE * east_asian,
            (kana > _KANA_SHARE * (east_asian - hangul)) | _is_japanese_without_kana(counts),
        ],
        ["ko", "ja"],
        "zh",
    )
    return list(chosen.tolist())


def _is_japanese_without_kana(counts: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    marks = counts[:, _JPAN] + np.minimum(counts[:, _HANS_JPAN], counts[:, _HANT_JPAN])
    foreign = counts[:, _HANS] + counts[:, _HANT] + counts[:, _CANTONESE]
    return (marks >= _FEWEST_JAPANESE) & (_JAPANESE_EXCESS * foreign <= marks)


def are_cantonese(counts: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Whether the Han characters of each text are such as only spoken Cantonese needs, shape (texts,).

    Args:
        counts: letters by script, shape (texts, len(SCRIPTS)).
    """
    marks, han = counts[:, _CANTONESE], counts[:, _ALL_HAN].sum(axis=1)
    return marks > np.where(marks > 1, _CANTONESE_SHARE, _CANTONESE_SHARE_OF_ONE) * han


def scripts_present(counts: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """The scripts that have a fifth of what each text says, as a bit for each place in `SCRIPTS`; shape (texts,).

    All Han characters count as "Hani". A text without letters has none.

    Args:
        counts: letters by script, shape (texts, len(SCRIPTS)).
    """
    said: dict[int, npt.NDArray[np.int64]] = {}
    for script in found_scripts(counts):
        of_script = counts[:, script].astype(np.int64) * (HAN_WEIGHT if script in _EAST_ASIAN else 1)
        named = _HAN if script in _ALL_HAN else script
        said[named] = said[named] + of_script if named in said else of_script
    total = sum(said.values())
    present = np.zeros(len(counts), np.int64)
    for script, of_script in said.items():
        present |= ((of_script > 0) & (of_script >= _POSSIBLE_SHARE * total)).astype(np.int64) << script
    return present


def found_scripts(counts: npt.NDArray[np.integer]) -> list[int]:
    """The places in `SCRIPTS` of those that any text has a letter of: few of them, mostly one.

    Args:
        counts: letters by script, shape (texts, len(SCRIPTS)).
    """
    return list(np.flatnonzero(counts.max(axis=0, initial=0)).tolist())


def scripts_of_language(language: str, script: str = "") -> int:
    """The scripts that a language is written in, as a bit for each place in `SCRIPTS`; all, if nothing is known.

    Args:
        language: ISO 639-1 or 639-3.
        script: ISO 15924, where the label of a model names it.
    """
    script = {"Hans": "Hani", "Hant": "Hani", "Jpan": "Kana", "Kore": "Hang", "Hira": "Kana"}.get(script, script)
    if len(language) > 3 and not script:
        return -1
    listed = [code for code, languages in _LANGUAGES.items() if language in languages.split()]
    codes = {script} if script else set(listed or ["Latn"])
    if codes & {"Kana", "Hang"}:
        codes |= {"Hani"}
    return sum(1 << SCRIPTS.index(code if code in SCRIPTS else "Zyyy") for code in codes)


_JAPANESE, _KOREAN = scripts_of_language("ja"), scripts_of_language("ko")


def first_languages() -> dict[int, str]:
    """The language of a text that is in a script of few languages, by the script's bit."""
    return {1 << SCRIPTS.index(code): _LANGUAGES[code].split()[0] for code in _FIRST_OF_SCRIPT.split()}


def scripts_of(counts: npt.NDArray[np.int64], written: npt.NDArray[np.int64]) -> list[str | None]:
    """The ISO 15924 code of most letters of each text; Han is split into Hans and Hant where characters tell.

    Args:
        counts: letters by script, shape (texts, len(SCRIPTS)).
        written: the scripts that can be, shape (texts,), see `scripts_of_language`: those of the text's language, so
            that the two never contradict each other. If none of them has a letter, any can be.

    Returns:
        A code of `SCRIPTS`, "Kore" or "Jpan" each; None for a text without letters.
    """
    allowed = (written[:, None] >> np.arange(len(SCRIPTS))) & 1 > 0
    allowed[:, _ALL_HAN] = allowed[:, [_HAN]]
    within = np.where(allowed, counts, 0)
    counts = np.where(within.any(axis=1, keepdims=True), within, counts)
    kana, hangul = counts[:, _KANA], counts[:, _HANGUL]
    hans = counts[:, _HANS] + counts[:, _HANS_JPAN]
    hant = counts[:, _HANT] + counts[:, _HANT_JPAN]
    han = counts[:, _ALL_HAN].sum(axis=1)
    merged = counts.copy()
    merged[:, _EAST_ASIAN] = 0
    merged[:, _HAN] = HAN_WEIGHT * (han + kana + hangul)
    named = np.array([None, *SCRIPTS, "Kore", "Jpan"], object)
    kore, jpan = len(named) - 2, len(named) - 1
    chosen = np.select(
        [
            ~counts.any(axis=1),
            merged.argmax(axis=1) != _HAN,
            (hangul > _HANGUL_SHARE * (han + kana + hangul)) | (written == _KOREAN),
            (kana > _KANA_SHARE * (han + kana)) | (written == _JAPANESE) | _is_japanese_without_kana(counts),
            hans == hant,
            hans > hant,
        ],
        [0, 1 + merged.argmax(axis=1), kore, jpan, 1 + _HAN, 1 + _HANS],
        1 + _HANT,
    )
    return list(named[chosen])
