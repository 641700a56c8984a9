"""What a character is to an algorithm's pattern, by the regular expression engine that will encode.

Its Unicode tables differ from Python's at some 300 code points, so it is asked itself: what is counted is what will be
encoded. That takes a second, so the answers lie in `classes.json`, as the code points from which on each class holds.
Another version of `tokenizers` than the one that gave them is asked anew; to write the file again:

    python -m tokenizer_training.classes
"""

import functools
import json
import pathlib
import sys

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import Regex, pre_tokenizers

from tokenizer_training.algorithms import ALGORITHMS, CJK_RANGES, AlgorithmName

# BREAK is "\r" and "\n", and for byte_fallback all white space but " ".
OTHER, LETTER, CJK, NUMBER, SPACE, BREAK = range(6)
FILE = pathlib.Path(__file__).with_suffix(".json")


@functools.cache
def class_table(name: AlgorithmName) -> npt.NDArray[np.uint8]:
    """The class of every code point for an algorithm's pattern, shape (0x110000,)."""
    stored = json.loads(FILE.read_bytes())
    if stored["tokenizers"] != tokenizers.__version__:
        return ask(name)
    starts, classes = np.array(stored[name]).T
    table = np.repeat(classes.astype(np.uint8), np.diff(starts, append=sys.maxunicode + 1))
    table.flags.writeable = False
    return table


def ask(name: AlgorithmName) -> npt.NDArray[np.uint8]:
    """What `class_table` gives, of the engine."""
    table = np.full(sys.maxunicode + 1, OTHER, np.uint8)
    letter = r"[\p{L}\p{M}]+" if name == "byte_fallback" else r"\p{L}+"
    for pattern, value in ((letter, LETTER), (r"\p{N}+", NUMBER), (r"\s+", SPACE)):
        _mark(table, pattern, value)
    if name == "byte_fallback":
        for first, last in CJK_RANGES:
            table[first : last + 1] = CJK
        table[table == SPACE] = BREAK
        table[ord(" ")] = SPACE
    table[[ord("\r"), ord("\n")]] = BREAK
    table.flags.writeable = False
    return table


def _mark(table: npt.NDArray[np.uint8], pattern: str, value: int) -> None:
    # Surrogates cannot be asked for, and planes 4 to 13 hold unassigned code points only.
    asked = np.concatenate([np.arange(0xD800), np.arange(0xE000, 0x40000), np.arange(0xE0000, sys.maxunicode + 1)])
    text = "".join(map(chr, asked.tolist()))
    matched = np.ones(len(asked), bool)
    for _, (start, stop) in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text):
        matched[start:stop] = False
    table[asked[matched]] = value


def main() -> None:
    """Write `FILE`."""
    runs = {}
    for name in ALGORITHMS:
        table = ask(name)
        starts = np.flatnonzero(np.diff(table, prepend=255))
        runs[name] = np.stack([starts, table[starts]], axis=1).tolist()
    FILE.write_text(json.dumps({"tokenizers": tokenizers.__version__} | runs, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
