"""Which script a letter is of, and what the scripts of a text say about its language.

Scripts settle what a classifier errs on: kana means Japanese, hangul Korean, Han alone Chinese, where `lid.176` takes
3 % of Chinese sentences for Japanese. `characters.py` says which code points are letters at all.
"""

import functools

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper
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
SCRIPTS = (*_RANGES, "Hans", "Hant")
NO_LETTER = 255  # in place of a script

_HAN, _KANA, _HANGUL, _HANS, _HANT = (SCRIPTS.index(code) for code in ("Hani", "Kana", "Hang", "Hans", "Hant"))
_EAST_ASIAN = [_HAN, _KANA, _HANGUL, _HANS, _HANT]

# A Han character, kana or hangul syllable says as much as this many letters of an alphabet.
HAN_WEIGHT = 3

# A Japanese sentence is 40 to 70 % kana; a Chinese one quotes a の now and then.
_KANA_SHARE = 0.1


@functools.cache
def script_table() -> npt.NDArray[np.uint8]:
    """The script of every code point as its place in `SCRIPTS`, shape (0x110000,); NO_LETTER = none.

    Simplified and traditional characters are told apart by the encodings of either side: a character of GB 2312 that
    Big5 lacks is simplified, one of Big5's frequent level 1 that GB 2312 lacks is traditional.
    """
    letters = (class_table() & LETTER) > 0
    table = np.where(letters, 0, NO_LETTER).astype(np.uint8)
    for script, ranges in enumerate(_RANGES.values()):
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
    east_asian = counts[:, _EAST_ASIAN].sum(axis=1)
    weights = counts.sum(axis=1) + (HAN_WEIGHT - 1) * east_asian
    return weights, HAN_WEIGHT * east_asian / np.maximum(1, weights)


def east_asian_languages(counts: npt.NDArray[np.int32]) -> list[str]:
    """Which of "zh", "ja" and "ko" each text must be, by its scripts, if it is any of them.

    Args:
        counts: letters by script, shape (texts, len(SCRIPTS)).
    """
    east_asian = counts[:, _EAST_ASIAN].sum(axis=1)
    hangul, kana = counts[:, _HANGUL], counts[:, _KANA]
    chosen = np.select([2 * hangul > east_asian, kana > _KANA_SHARE * (east_asian - hangul)], ["ko", "ja"], "zh")
    return list(chosen.tolist())


def scripts_of(counts: npt.NDArray[np.int64]) -> list[str | None]:
    """The ISO 15924 code of most letters of each text; Han is split into Hans and Hant where characters tell.

    Args:
        counts: letters by script, shape (texts, len(SCRIPTS)).

    Returns:
        A code of `SCRIPTS`, "Kore" or "Jpan" each; None for a text without letters.
    """
    hans, hant, kana, hangul = (counts[:, script] for script in (_HANS, _HANT, _KANA, _HANGUL))
    han = counts[:, _HAN] + hans + hant
    merged = counts.copy()
    merged[:, _EAST_ASIAN] = 0
    merged[:, _HAN] = HAN_WEIGHT * (han + kana + hangul)
    named = np.array([None, *SCRIPTS, "Kore", "Jpan"], object)
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
