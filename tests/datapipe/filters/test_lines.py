"""The oracle is plain Python, line by line, with `re` where the systems use it."""

import itertools
import math
import pathlib
import re
import unicodedata

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import regex
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.filters.lines import LINE_RULES, RemoveLines, remove_lines
from datapipe.text import words
from datapipe.text.spans import POLICY_PHRASES, terminal_points
from datapipe.text.word_list import make_word_list
from tests.datapipe.text.plain_words import AS_SPACE, is_letter, split_words
from tests.helpers import local_pipeline, read_lines

TERMINAL = {*map(chr, terminal_points()), "…", *"\"'”’」』"}
COUNTED = "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers"
COUNTER = rf"[^\p{{L}}\p{{N}}_]*\p{{N}}[\p{{N}},.]*[kmb]?\s+(?:{COUNTED})[^\p{{L}}\p{{N}}_]*"
PIECES = [
    "A whole sentence of text stands here. ", "word ", "No end\n", "\n", "\n\n\n", "3 likes\n", "1.5K Views!\n",
    "[12]", "[]", "[edit]", "[Citation Needed]", "12345\n", "ALL CAPS\n", "Ab", "JavaScript ", "Terms of Use ",
    "Items in cart ", "Read more...", "Sign-in ", "… ", "...", '"', "中文一句话很长。", "更多", "x" * 1001,
    " ", "\t", "é", "👍", "\r", "(a) ", "3 likes", "²k likes", "٣ views\n",
]  # fmt: skip
BAD_WORD = "更多"
texts = st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs", "Cn"]), max_size=30).map("".join)


def lowered(text: str) -> str:
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def reference(text: str, kind: str, limit: dict[str, float]) -> tuple[str, int]:
    """The new text and the number of lines removed."""
    new_lines: list[str | None] = []
    for line in text.split("\n"):
        bare, low = line.strip(), lowered(line.strip())
        if not bare:
            new_lines.append(line)
            continue
        number = sum(any(map(is_letter, word)) for word in split_words(bare, kind))
        patterns = [r"\[[0-9]*\]|\[edit\]|\[citation needed\]"] * ("c4_citations" in limit)
        patterns += [r"items in cart|read more\.\.\.$|^sign-in"] * (number <= limit.get("refinedweb_phrases", -1))
        gone = {i for pattern in patterns for match in re.finditer(pattern, low) for i in range(*match.span())}
        new = "".join(c for i, c in enumerate(bare) if i not in gone)
        end = "".join(new.split())[-3:]
        removed = (
            not new
            or max(map(len, bare.split())) > limit.get("c4_long_word", math.inf)
            or ("c4_terminal_punctuation" in limit and (end[-1:] not in TERMINAL or end == "..." or end[-1:] == "…"))
            or number < limit.get("c4_min_words", 0)
            or ("c4_javascript" in limit and "javascript" in low)
            or ("c4_policy" in limit and any(phrase in low for phrase in POLICY_PHRASES))
            or sum(c.isupper() for c in new) > limit.get("refinedweb_uppercase", 2) * len(new)
            or sum(unicodedata.category(c)[0] == "N" for c in new) > limit.get("refinedweb_digits", 2) * len(new)
            or ("refinedweb_counters" in limit and regex.fullmatch(COUNTER, low.translate(AS_SPACE)))
            or number < limit.get("refinedweb_min_words", 0)
            or ("map_neo_terminal_punctuation" in limit and end[-1:] not in TERMINAL)
            or number < limit.get("map_neo_min_words", 0)
            or ("map_neo_bad_words" in limit and BAD_WORD in line)
        )
        lead = len(line) - len(line.lstrip())
        new_lines.append(None if removed else line[:lead] + new + line[lead + len(bare) :])
    removed_lines = new_lines.count(None)
    joined = "\n".join(line for line in new_lines if line is not None)
    return (re.sub("\n{3,}", "\n\n", joined).strip("\n") if removed_lines else joined), removed_lines


def limits(limit: dict[str, float]) -> np.ndarray:
    array = np.full((1, 14), np.nan)
    for rules in LINE_RULES.values():
        for name, (number, _) in rules.items():
            array[0, number] = limit.get(name, np.nan)
    return array


ALL = {name: limit for rules in LINE_RULES.values() for name, (_, limit) in rules.items()}


def check(text: str, kind: str, limit: dict[str, float]) -> None:
    # Another document before it, and a slice: lines are numbered across documents.
    both = pa.array(["skipped", f"{BAD_WORD}\nfirst\n", text])[1:]
    number = np.full(2, words.DEFINITIONS[kind], np.int8)
    every = np.concatenate([np.full((1, 14), np.nan), limits(limit)])
    texts, removed = remove_lines(both, number, every, make_word_list([BAD_WORD]))
    texts, removed = texts[1:], removed[1:]
    expected, count = reference(text, kind, limit)
    assert texts[0].as_py() == expected
    assert removed[0, 0] == count


@settings(max_examples=300)
@given(texts, st.sampled_from(["unicode", "whitespace", "characters"]), st.sets(st.sampled_from(sorted(ALL))))
def test_equals_plain_python(text: str, kind: str, rules: set[str]) -> None:
    check(text, kind, {name: ALL[name] for name in rules})


@pytest.mark.parametrize("rule", sorted(ALL))
def test_each_rule_removes_something(rule: str) -> None:
    text = "".join(PIECES) + "\n" + "\n".join(PIECES)
    check(text, "unicode", {rule: ALL[rule]})
    assert reference(text, "unicode", {rule: ALL[rule]})[0] != reference(text, "unicode", {})[0]


def test_equals_plain_python_on_real_documents(shared_data: pathlib.Path) -> None:
    for name in ("en-c4-300", "zh-articles", "code-python"):
        for document in itertools.islice(read_lines(shared_data / "corpora" / f"{name}.jsonl.zst"), 0, 60, 6):
            check(document["text"], "unicode", ALL)


SENTENCE = "A line of running text that no rule should ever remove."
CHINESE = "这一行是正常的文字，任何规则都不应该删除它。"


def applied(text: str | None, language: str | None, **options: object) -> dict[str, object]:
    batch = pa.RecordBatch.from_pydict(
        {"text": pa.array([text], pa.string()), "language": pa.array([language], pa.string())}
    )
    new = RemoveLines(**options).process(batch)  # type: ignore[arg-type]
    assert new.schema == RemoveLines.writes
    row: dict[str, object] = new.to_pylist()[0]
    return row


def test_removes_boilerplate_and_keeps_the_rest_as_it_is() -> None:
    text = f"{SENTENCE}\n\nWe use cookies on this site.\n\n  {SENTENCE}\nhome\n"
    row = applied(text, "en")
    assert row == {
        "text": f"{SENTENCE}\n\n  {SENTENCE}",
        "lines_removed_count": 2,
        "lines_removed_characters": 34,
        "lines_cut_bytes": len(text) - len(f"{SENTENCE}\n\n  {SENTENCE}"),
        "lines_reason": None,
    }


@pytest.mark.parametrize("text", [None, "", " \n\n\n ", f"\n\n\n{SENTENCE}\n\n\n\n{SENTENCE} \n"])
def test_text_without_such_lines_stays_byte_for_byte(text: str | None) -> None:
    assert applied(text, "en")["text"] == text
    assert applied(text, "en")["lines_reason"] is None


def test_each_language_has_its_own_rules() -> None:
    assert applied(f"{CHINESE}\n更多\n", "zh")["text"] == CHINESE
    assert applied("x = 1\nprint(x)\n", "code")["lines_removed_count"] == 0
    sets = {"rule_sets": {"zh": ["map_neo_zh"], "default": ["refinedweb"]}}
    assert applied(f"{CHINESE}\n这是没有标点的标题\n", "zh", **sets)["text"] == CHINESE
    assert applied(f"{SENTENCE}\nALL IN CAPITALS\n", "fr", **sets)["text"] == SENTENCE


def test_the_code_that_made_c4_asks_for_longer_lines_than_the_paper() -> None:
    text = f"{SENTENCE}\nFour small words here."
    assert applied(text, "en", rule_sets={"en": ["c4"]})["text"] == SENTENCE
    assert applied(text, "en", rule_sets={"en": ["c4_paper"]})["text"] == text


def test_thresholds_change_the_decision() -> None:
    text = f"{SENTENCE}\nThree small words\n{SENTENCE}"
    assert applied(text, "en")["lines_removed_count"] == 0
    assert applied(text, "en", thresholds={"en": {"c4_min_words": 4}})["lines_removed_count"] == 1
    assert applied(text, "en", thresholds={"default": {"c4_terminal_punctuation": 1}})["lines_removed_count"] == 1
    assert applied("home\n" + text, "en", thresholds={"en": {"c4_min_words": None}})["lines_removed_count"] == 0
    assert applied("a-b\n" + SENTENCE, "en", words="whitespace")["lines_removed_count"] == 1


def test_a_document_that_loses_too_much_is_removed_with_its_text_as_it_was() -> None:
    text = f"{SENTENCE}\nMore to read\nhome\n"
    assert applied(text, "en", max_removed_share=0.05)["lines_reason"] == "too_much_removed"
    assert applied(text, "en", max_removed_share=0.05)["text"] == text
    assert applied(text, "en", max_removed_share=0.1)["lines_reason"] is None
    twenty = f"{'word ' * 18}end.\nhome"
    assert applied(twenty, "en", max_removed_share=0.05)["lines_reason"] is None
    assert applied(twenty, "en", max_removed_share=0.049)["lines_reason"] == "too_much_removed"
    stripped = {"max_removed_share": 0.05, "rule_sets": {"en": ["refinedweb"]}}
    assert applied("Items in cart and nothing else here", "en", **stripped)["lines_reason"] == "too_much_removed"
    assert applied("home\n \nabout\n", "en")["lines_reason"] == "nothing_left"
    assert applied("home\nabout\n", "en") == {
        "text": "home\nabout\n",
        "lines_removed_count": 2,
        "lines_removed_characters": 11,
        "lines_cut_bytes": 0,
        "lines_reason": "nothing_left",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"rule_sets": {"en": ["refinedwob"]}},
            "lines: rule_sets.en: unknown rule set 'refinedwob'; did you mean 'refinedweb'",
        ),
        ({"rule_sets": {"en": "c4"}}, "lines: rule_sets.en must be a list"),
        ({"thresholds": {"en": {"c4_min_word": 3}}}, "unknown rule 'c4_min_word'; did you mean 'c4_min_words'"),
        ({"thresholds": {"en": {"c4_min_words": 0}}}, "thresholds.en.c4_min_words must be above 0, .* got 0"),
        ({"thresholds": {"en": {"c4_min_words": True}}}, "thresholds.en.c4_min_words must be a number, got True"),
        ({"rule_sets": {"zh-Hant": []}}, "lines: languages are ISO 639 codes .* got 'zh-Hant'"),
        ({"max_removed_share": 1.0}, "max_removed_share must be at least 0 and less than 1, got 1.0"),
        ({"words": "jieba"}, "lines: unknown words 'jieba'; did you mean 'rjieba'"),
    ],
)
def test_refuses_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RemoveLines(**options)  # type: ignore[arg-type]


def test_replaces_the_text_in_a_pipeline() -> None:
    batch = pa.RecordBatch.from_pydict({"text": [f"{SENTENCE}\nhome"], "language": ["en"]})

    def check_text(batches: list[pa.RecordBatch]) -> None:
        assert batches[0].column("text").to_pylist() == [SENTENCE]

    with local_pipeline() as pipeline:
        assert_that(pipeline | beam.Create([batch]) | RemoveLines(), check_text)


def test_lines_with_bad_words_go_from_chinese_text(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bad.txt").write_text("博彩\nCasino\n", encoding="utf-8")
    text = "今天天气很好，我们去公园。\n网上博彩欢迎您来玩。\n来 casino 玩一整天吧。\n明天我们还去公园玩。"
    batch = pa.record_batch({"text": [text] * 2, "language": ["zh", "en"]})
    stage = RemoveLines(rule_sets={"en": []}, bad_words=[str(tmp_path / "bad.txt")])
    chinese, english = stage.process(batch).column("text").to_pylist()
    assert chinese == "今天天气很好，我们去公园。\n明天我们还去公园玩。"
    assert english == text
    assert RemoveLines().process(batch).column("lines_removed_count").to_pylist()[0] == 0
