"""Listed words are found where they are words, in text with and without spaces, and counted as stated."""

import pathlib
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.filters.quality import train_fasttext
from datapipe.filters.safety import SCHEMA, ScoreSafety, find_words, make_word_list
from datapipe.text.characters import HAN, LETTER, MARK, class_table, lower_table, text_buffers


def found(words: list[str], *texts: str | None) -> list[tuple[int, int, int, int]]:
    columns = find_words(
        *text_buffers(pa.array(texts, pa.string())), class_table(), lower_table(), *make_word_list(words)
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_words_are_whole_words() -> None:
    assert found(["ass"], "class assess ass", "ASS!", "pass") == [(1, 3, 14, 1), (1, 3, 3, 1), (0, 0, 4, 1)]
    assert found(["赌博"], "网上赌博平台 赌", "x赌博y") == [(1, 2, 7, 1), (1, 2, 4, 1)]


def test_the_longest_phrase_counts_once() -> None:
    assert found(["free", "free porn"], "Free \n  PORN, free") == [(2, 12, 12, 2)]
    assert found(["ab c", "c"], "ab d c", "ab  c") == [(1, 1, 4, 1), (1, 3, 3, 1)]


def test_different_words_and_lines() -> None:
    assert found(["bad", "worse"], "bad bad\n\nworse\nfine", None, "", "fine") == [
        (2, 11, 15, 3),
        (0, 0, 0, 0),
        (0, 0, 0, 0),
        (0, 0, 4, 1),
    ]


def reference(words: list[str], text: str) -> tuple[int, int]:
    """Different words and letters taken, the slow way."""
    classes, lower = class_table(), lower_table()
    kind = [classes[ord(c)] for c in text]
    alphabetic = [flags & (LETTER | MARK) > 0 and flags & HAN == 0 for flags in kind]
    wanted = {" ".join("".join(chr(lower[ord(c)]) for c in word).split()) for word in words} - {""}
    seen, letters, i = set(), 0, 0
    while i < len(text):
        best = 0
        if not text[i].isspace() and not (i and alphabetic[i - 1] and not kind[i] & HAN):
            for j in range(i + 1, len(text) + 1):
                part = "".join(chr(lower[ord(c)]) for c in text[i:j])
                ends = not (alphabetic[j - 1] and j < len(text) and alphabetic[j])
                if not text[j - 1].isspace() and " ".join(part.split()) in wanted and ends:
                    best = j
        if best:
            seen.add(" ".join("".join(chr(lower[ord(c)]) for c in text[i:best]).split()))
            letters += sum(flags & (LETTER | MARK) > 0 for flags in kind[i:best])
        i = max(i + 1, best)
    return len(seen), letters


WORDS = st.lists(st.text("ab 中文́", min_size=1, max_size=3), max_size=4)


@given(WORDS, st.lists(st.text("aAb \n中文́,", max_size=12), min_size=1, max_size=3))
@settings(deadline=None, max_examples=300)
def test_equals_the_reference(words: list[str], texts: list[str]) -> None:
    rows = found(words, "x", *texts)[1:]
    assert [row[:2] for row in rows] == [reference(words, text) for text in texts]
    letters = [sum(unicodedata.category(c)[0] in "LM" for c in text) for text in texts]
    assert [row[2] for row in rows] == letters
    assert [row[3] for row in rows] == [
        sum(not line.isspace() and line != "" for line in text.split("\n")) for text in texts
    ]


def test_stage(tmp_path: pathlib.Path) -> None:
    (tmp_path / "words.txt").write_text("bad\n赌博\n", encoding="utf-8")
    stage = ScoreSafety([str(tmp_path / "words.txt")])
    assert stage.skip_reason() is None
    batch = pa.record_batch({"text": ["bad one\nfine\n", None, "网上赌博"]})
    (result,) = [batch] | stage
    assert result.select(SCHEMA.names).to_pylist() == [
        dict(zip(SCHEMA.names, values, strict=True))
        for values in [(1, 0.5, pytest.approx(0.3), None), (0, 0, 0, None), (1, 1, 0.5, None)]
    ]


def test_classifier(tmp_path: pathlib.Path) -> None:
    (tmp_path / "train.txt").write_text("__label__toxic awful words\n__label__fine kind words\n" * 50)
    path = str(tmp_path / "own.bin")
    train_fasttext(str(tmp_path / "train.txt"), dim=10, bucket=1 << 10, wordNgrams=2, epoch=50, lr=0.5).save_model(path)
    batch = pa.record_batch({"text": ["awful", "kind"]})
    toxic = ScoreSafety(model=path).process(batch).column("safety_score").to_pylist()
    fine = ScoreSafety(model=path, bad_label="fine").process(batch).column("safety_score").to_pylist()
    assert toxic[0] > 0.9 > 0.1 > toxic[1]
    assert fine[1] > 0.9


def test_missing() -> None:
    assert ScoreSafety().skip_reason() == "no word lists and no model given"
    assert ScoreSafety(["no.txt"]).skip_reason() == "no such file: no.txt"
    with pytest.raises(ValueError, match=r"words must be a list of files, got 'a\.txt'"):
        ScoreSafety("a.txt")
    with pytest.raises(ValueError, match=r"safety: model .* is another file: expected SHA-256 0, found"):
        ScoreSafety(model=__file__, model_sha256="0")
