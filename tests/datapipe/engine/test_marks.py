"""What is marked is what the rule counts."""

import pytest

from datapipe.engine.marks import excerpt, find_marks, mark, shared_passages
from datapipe.text.measures import MEASUREMENTS


def marked(measurement: str, text: str) -> list[str]:
    return [text[start:end] for start, end in find_marks(measurement, text)]


@pytest.mark.parametrize(
    ("measurement", "text", "found"),
    [
        ("duplicate_line_share", "one line\nanother\none line\n--\n--", ["one line"]),
        ("duplicate_paragraph_share", "a b\nc\n\nd\n\na b\nc", ["a b\nc"]),
        (
            "terminal_punctuation_line_share",
            "A heading\nA sentence. And\n“Quoted.”\n章节\n句子。",
            ["A heading", "章节"],
        ),
        ("bullet_line_share", "- one\ntwo\n  * three", ["- one", "* three"]),
        ("ellipsis_line_share", "more...\nend.\n还有…", ["more...", "还有…"]),
        ("hash_ratio", "#a b # c", ["#", "#"]),
        ("curly_brackets", "f { g }", ["{"]),
        ("exclamation_share", "Buy now! It rains. 快来！", ["Buy now!", "快来！"]),
        ("duplicate_5gram_share", "a b c d e x a b c d e", ["a b c d e"]),
        ("top_2gram_share", "in time " * 4 + "of war", ["in time"] * 4),
        ("duplicate_6character_share", "我们今天去公园。我们今天去公园", ["我们今天去公园"]),
        ("short_line_share", "short\n" + "a long line " * 4, ["short"]),
        ("notice_share", "We use COOKIES.", ["COOKIE"]),
        ("alphabetic_word_share", "Of 158.349 homes, 43,3% had 2 cars.", ["158.349", "43,3%", "2"]),
        ("words", "a text", []),
    ],
)
def test_what_speaks_against_a_text_is_found(measurement: str, text: str, found: list[str]) -> None:
    assert marked(measurement, text) == found


@pytest.mark.parametrize("measurement", MEASUREMENTS)
def test_any_measurement_gives_spans_in_order_and_apart(measurement: str) -> None:
    text = "We #use cookies... \n\nWe #use cookies...\n【注】 3 {x} lorem ipsum! " * 3
    spans = find_marks(measurement, text)
    ends = [0, *(end for _, end in spans)]
    assert all(end <= start < stop for end, (start, stop) in zip(ends, spans, strict=False))
    assert mark(text, spans).replace("⟦", "").replace("⟧", "") == text


def test_an_excerpt_shows_the_first_mark() -> None:
    text = "\n".join(f"line {number}" for number in range(200))
    at = text.index("line 150")
    shown, spans = excerpt(text, [(at, at + 8)], 100)
    assert len(shown) <= 100
    assert [shown[start:end] for start, end in spans] == ["line 150"]
    assert excerpt("short", [], 100) == ("short", [])


def test_passages_of_two_texts() -> None:
    shared = "the same dozen words stand here in both of the texts in order"
    one, other = f"First come others. {shared}, then more", f"{shared} and an end"
    assert [one[start:end] for start, end in shared_passages(one, other)] == [shared]
    assert shared_passages(one, "nothing of it") == []
