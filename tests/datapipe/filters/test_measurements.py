"""Each option of the measurements changes what is measured, in the language's own terms."""

import pyarrow as pa
import pytest

from datapipe.filters.measurements import MeasureText
from datapipe.text import words
from datapipe.text.measures import DEFINITIONS, SCHEMA


def measured(document: str | None, language: str | None = "en", **options: object) -> dict[str, float | None]:
    batch = pa.RecordBatch.from_pydict({"text": pa.array([document], pa.string()), "language": [language]})
    columns: dict[str, float | None] = MeasureText(**options).process(batch).to_pylist()[0]  # type: ignore[arg-type]
    return columns


def test_null_and_empty_text_measure_zero() -> None:
    for document in (None, "", " \n "):
        values = measured(document)
        whole = ("characters", "max_line_length", "mean_whole_line_length")
        assert not any(value for name, value in values.items() if name not in whole)
    assert measured(None, "zh")["character_entropy"] == 0
    assert measured(None, None)["stop_words"] is None


def test_the_word_definition_changes_the_measurements() -> None:
    document = "中文分词 mother-in-law's house"
    counts = {kind: measured(document, "zh", words=kind)["words"] for kind in words.DEFINITIONS}
    assert counts == {"unicode": 8, "whitespace": 3, "characters": 21, "rjieba": 5}


def test_the_definition_changes_the_measurements() -> None:
    document = "The be. . .\n* The be to the\n* The be to the\n"
    differing = {
        name
        for name in SCHEMA.names
        if len({measured(document, definition=definition)[name] for definition in DEFINITIONS}) > 1
    }
    assert {"stop_words", "symbol_ratio", "bullet_line_share", "duplicate_line_share", "top_2gram_share"} <= differing


def test_stop_words_are_the_languages_own() -> None:
    assert measured("The cat sat on the mat with a dog")["stop_words"] == 2
    assert measured("Der Hund und die Katze", "de")["stop_words"] == 3
    assert measured("The dog and the cat", "de")["stop_words"] == 0
    assert measured("The dog and the cat", "tlh")["stop_words"] is None
    assert measured("The dog and the cat", "tlh", stop_words={"tlh": ["DOG", "cat"]})["stop_words"] == 2


def test_chinese_line_ends_are_terminal_punctuation() -> None:
    text = "今天天气很好。\n是吗？”\n标题\n真的！"
    assert measured(text, "zh")["terminal_punctuation_line_share"] == pytest.approx(14 / 16)
    assert measured(text, "zh", definition="datatrove")["terminal_punctuation_line_share"] == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": "rjiba"}, "unknown words 'rjiba'; did you mean 'rjieba'"),
        ({"definition": "gopher"}, "unknown definition 'gopher'; known are datapipe, datatrove, dolma, dclm"),
        ({"stop_words": {"en": []}}, "stop_words.en must list 1 to 64 words, got \\[\\]"),
        ({"stop_words": {"en": "the"}}, "stop_words.en must be a list, got 'the'"),
    ],
)
def test_refuses_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeasureText(**options)  # type: ignore[arg-type]


def test_marked_up_lines_are_no_prose() -> None:
    manual = "# Install\n\nDo it as follows.\n\n```sh\nmake\nmake\n```\n\n| a | b |\n|---|---|\n"
    assert measured(manual)["terminal_punctuation_line_share"] == 1
    assert measured(manual)["words"] == measured(manual, prose_only=True)["words"] == 4
    assert measured(manual, prose_only=False)["terminal_punctuation_line_share"] == pytest.approx(17 / 60)
    assert measured(manual, definition="datatrove")["words"] == 10
    assert measured("# x\nx = 1\n", "code")["characters"] == len("# x\nx = 1\n")


def test_runs_of_foreign_words_are_no_menu() -> None:
    assert measured("今は、Linux の GNOME とKDE を使います。", "ja")["mean_run_length"] == 19 / 4


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("介绍了机制.方法可行", 1),
        ("介绍了机制.方法可行.", 2),
        ("使用LDA.结果好", 1),
        ("机制.DNA序列", 1),
        ("1.方法 2.结果", 0),
        ("版本3.5", 0),
        ("It ended.[12] Then more.[citation needed]", 2),
        ("www.example.com", 0),
    ],
)
def test_where_a_sentence_ends(text: str, sentences: int) -> None:
    assert measured(text, "zh")["sentences"] == sentences


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("It ended so.", 1),
        ("It ended “so.”", 1),
        ("It ended so.[12] [citation needed]", 1),
        ("Sie endete so.»", 1),
        ("It ended. And then it went on, without", 1),
        ("它结束了。然后", 1),
        ("Home About Contact", 0),
        ("Read more... Next", 0),
        ("1. Home", 0),
        ("History[edit]", 0),
        ("- Fixed the error that came of an empty table", 1),
        ("2) Fixed the error that came of an empty table", 1),
        ("Fixed the error that came of an empty table", 0),
        ("- About the company", 0),
    ],
)
def test_lines_that_hold_a_sentence(line: str, holds: int) -> None:
    assert measured(line)["terminal_punctuation_line_share"] == holds
