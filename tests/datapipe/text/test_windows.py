"""Windows are those that slicing and regular expressions cut."""

import itertools
import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from datapipe.text.characters import LETTER, MARK, UPPER, class_table, lower_table, text_buffers
from datapipe.text.scripts import NO_LETTER, SCRIPTS, script_table
from datapipe.text.windows import CLOSERS, HAN_STOP, NO_SENTENCE_HAS, PIECE, SENTENCE_ENDS, cut_windows, fold_table

EAST_ASIAN_LETTER = re.compile("[\u3041-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]")


def weights(text: str) -> list[int]:
    return [3 if "\u3000" <= character < "\ue000" else 1 for character in text]


def windows(text: str, window: int, most: int) -> list[str]:
    ends = [0, *itertools.accumulate(weights(text))]
    total = ends[-1]
    pieces = -(-total // window)
    if most and pieces > most:
        starts = [int((i + 0.5) * (total / most) - window / 2) for i in range(most)]
        edges = [(start, start + window) for start in starts]
    else:
        edges = [(total * i // pieces, total * (i + 1) // pieces) for i in range(pieces)]
    cut, at = [], 0
    for start, stop in edges:
        begin = next((i for i in range(at, len(text)) if ends[i] >= start), len(text))
        at = next((i for i in range(begin, len(text)) if ends[i] >= stop), len(text))
        cut.append(text[begin:at])
    return cut


def fold(text: str) -> str:
    folded = "".join(chr(fold_table()[ord(c)]) for c in text if fold_table()[ord(c)] >= 0)
    letters = [c for c in folded if class_table()[ord(c)] & LETTER and not EAST_ASIAN_LETTER.match(c)]
    if 2 * sum(class_table()[ord(c)] & UPPER > 0 for c in letters) > len(letters):
        lowered = "".join(chr(lower_table()[ord(c)]) for c in folded)
    else:
        lowered = folded
    words = re.split("[ \t\n]", folded)
    sizes = [sum(2 if EAST_ASIAN_LETTER.match(c) else 1 for c in w if class_table()[ord(c)] & LETTER) for w in words]
    single, some = sizes.count(1), sum(size > 0 for size in sizes)
    if single >= 10 and single >= 0.8 * some:
        lowered = re.sub(" +", lambda run: " " if len(run[0]) > 1 else "", lowered.rstrip(" "))
    return lowered


def break_sentences(text: str) -> str:
    ends, closers = (re.escape("".join(map(chr, signs))) for signs in (SENTENCE_ENDS, CLOSERS))
    return re.sub(f"(?<=[{ends}])([{closers}]*) ", r"\1\n", text).replace(chr(HAN_STOP), chr(HAN_STOP) + "\n")


def kind_of(line: str) -> int:
    east = len(EAST_ASIAN_LETTER.findall(line))
    latin = len(re.findall("[\x00-\u024f\u1e00-\u1eff\u2000-\u206f]", line))
    others = len(line) - east - latin
    return 2 if 3 * east > latin + others else 1 if others > latin else 0


def pieces_of(text: str) -> list[str]:
    lines, pieces = text.split("\n"), []
    for kind in range(3):
        found: list[list[str]] = [[]]
        for line in lines:
            if kind_of(line) == kind:
                found[-1].append(line)
                if sum(map(len, found[-1])) >= PIECE:
                    found.append([])
        if len(found) > 1:
            last = found.pop()
            found[-1] += last
        pieces += [" ".join(piece) for piece in found if piece]
    return pieces


def letters_by_script(piece: str) -> list[int]:
    """A mark is of the script of the letter before it."""
    table, script, counts = script_table(), NO_LETTER, [0] * len(SCRIPTS)
    for code_point in map(ord, piece):
        script = script if class_table()[code_point] & MARK else table[code_point]
        if script != NO_LETTER:
            counts[script] += 1
    return counts


@given(
    st.lists(
        st.text(max_size=200)
        | st.text("aé中の/ \n=.", max_size=200)
        | st.text("aBЖ中Ｑ\u00ad ȺA\n", max_size=300)
        | st.lists(st.sampled_from(["a ", "B ", "  ", "中 ", "\n"]), max_size=60).map("".join)
        | st.lists(st.sampled_from(["An apple", "苹果", "सेब", ". ", ".) ", "? ", "।", " ", "。"]), max_size=60).map(
            "".join
        ),
        max_size=4,
    ),
    st.integers(1, 200),
    st.integers(0, 5),
)
def test_windows_equal_plain_python(texts: list[str], window: int, most: int) -> None:
    pieces = [
        [
            part
            for piece in windows(text, window, most)
            for part in pieces_of(
                break_sentences(fold(re.sub(r"(?<![!-~])[!-~]*?[/\\_=<>{}|@#*`][!-~]*+", " ", piece)))
            )
        ]
        for text in texts
    ]
    flat = [part for each in pieces for part in each]
    array = pa.array(["x", *texts], pa.string()).slice(1)
    lines, bounds, first, scripts = cut_windows(
        *text_buffers(array),
        window,
        most,
        NO_SENTENCE_HAS,
        class_table(),
        lower_table(),
        fold_table(),
        script_table(),
        len(SCRIPTS),
    )
    assert [lines[a:b].tobytes().decode() for a, b in itertools.pairwise(bounds)] == [part + "\n" for part in flat]
    assert first.tolist() == list(itertools.accumulate(map(len, pieces), initial=0))
    assert scripts.tolist() == [letters_by_script(part) for part in flat]


def test_styles_are_folded() -> None:
    assert [chr(fold_table()[ord(c)]) for c in "Ａｂ𝗧ﺍｱ中é"] == list("AbTاア中é")
    assert [fold_table()[ord(c)] for c in "\u00ad\u200b\u200f\ufeff"] == [-1] * 4
    assert [fold_table()[ord(c)] for c in "\u200c\u200d"] == [0x200C, 0x200D]
