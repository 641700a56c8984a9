import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that

from datapipe.filters.measurements import MeasureText
from datapipe.filters.rules import ApplyRules
from tests.helpers import local_pipeline

ENGLISH = (
    "The committee had to read the whole report before the meeting, and that took most of the day. "
    "Nobody was happy with the first draft, so the authors agreed to write another one. "
    "It will be sent to everyone with a short summary of the changes that were made, and comments are due by Friday. "
)
CHINESE = (
    "这篇文章介绍了如何在家里种植香草。首先，你需要选择合适的花盆和土壤，然后把种子埋在土里，每天浇一点水。"
    "大约两个星期以后，幼苗就会长出来了。如果阳光充足，植物会长得更快，也更健康。"
)


REPETITIVE = {"en": {name: None for name in ApplyRules().rules_of("en") if "duplicate" in name or "top" in name}}


def judge(text: str | None, language: str | None, **options: object) -> tuple[str | None, list[str]]:
    batch = pa.RecordBatch.from_pydict(
        {
            "text": pa.array([text], pa.string()),
            "language": pa.array([language], pa.string()),
        }
    )
    measured = MeasureText().process(batch)
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns |= {name: measured.column(name) for name in measured.schema.names}
    decided = ApplyRules(**options).process(pa.RecordBatch.from_pydict(columns))  # type: ignore[arg-type]
    assert decided.schema == ApplyRules.writes
    return decided.column("rules_reason")[0].as_py(), decided.column("rules_failed")[0].as_py()


@pytest.mark.parametrize(("text", "language"), [(ENGLISH, "en"), (CHINESE, "zh"), (CHINESE, "zh-Hans")])
def test_good_text_passes(text: str, language: str) -> None:
    assert judge(text, language) == (None, [])


@pytest.mark.parametrize(
    ("text", "language", "rule"),
    [
        (None, "en", "gopher_min_words"),
        ("", None, "gopher_min_words"),
        ("", "zh", "zh_terminal_punctuation"),
        ("Too short.", "en", "gopher_min_words"),
        (ENGLISH + "# # # # # # # # # # #", "en", "gopher_hash_ratio"),
        (ENGLISH + "lorem Ipsum dolor.", "en", "c4_lorem_ipsum"),
        (CHINESE[:30], "zh", "map_neo_min_characters"),
        (CHINESE + "【" + CHINESE[:30] + "】", "zh", "map_neo_brackets"),
        ("x = 1\n" + "y" * 1001 + "\n", "code", "code_max_line_length"),
    ],
)
def test_names_the_failed_rule(text: str | None, language: str | None, rule: str) -> None:
    assert rule in judge(text, language)[1]


@pytest.mark.parametrize(
    ("rule_set", "text", "failed"),
    [
        ("chinese_web_text", CHINESE + "。" * 120, []),
        ("chinese_web_text", CHINESE + "。" * 80, ["chinese_web_text_min_characters"]),
        ("chinese_web_text", CHINESE + "\n。" * 120, ["chinese_web_text_mean_line_length"]),
        ("chinese_web_text", CHINESE + "word" * 150, ["chinese_web_text_han", "chinese_web_text_repetition"]),
        ("chinese_web_text", CHINESE + "。" * 120 + "發展", ["chinese_web_text_traditional"]),
        ("c4", "One. Two. Three. Four.", []),
        ("c4_paper", "One. Two. Three. Four.", ["c4_min_sentences"]),
        ("mc4", ("x" * 200 + "\n") * 2, ["mc4_long_lines"]),
        ("mc4", ("x" * 200 + "\n") * 3, []),
        ("code", "\n".join(["x" * 101] * 20), ["code_mean_line_length"]),
        ("code", "\n".join(["x" * 101, ""] * 20), []),
    ],
)
def test_rule_sets_as_published(rule_set: str, text: str, failed: list[str]) -> None:
    language = "zh" if rule_set == "chinese_web_text" else "en"
    assert judge(text, language, rule_sets={language: [rule_set]})[1] == failed


def test_the_first_failed_rule_is_the_reason() -> None:
    removed, failed = judge("Too short", "en")
    assert removed == failed[0] == "gopher_min_words"
    assert len(failed) > 1


def test_no_language_is_judged_by_the_rules_of_another() -> None:
    assert judge(CHINESE, "en")[0] is not None
    assert all(name.startswith(("zh_", "map_neo_", "no_text_")) for name in judge("。", "zh")[1])
    assert all(name.startswith("code_") for name in judge("!", "code")[1])


def test_an_unsure_language_is_not_judged_by_its_stop_words() -> None:
    batch = pa.record_batch({"text": ["Xyz " * 60] * 3, "language": ["en"] * 3})
    measured = MeasureText().process(batch)
    scores = pa.array([0.64, 0.65, None], pa.float32())
    columns = {"language": batch.column("language"), "language_score": scores}
    columns |= {name: measured.column(name) for name in measured.schema.names}
    for least, judged in ((0.65, [False, True, False]), (0.0, [True] * 3), (0.7, [False] * 3)):
        failed = ApplyRules(min_language_score=least).process(pa.record_batch(columns)).column("rules_failed")
        assert ["gopher_stop_words" in names for names in failed.to_pylist()] == judged
    short = pa.record_batch({"text": ["Xy ab " * 60] * 3, "language": ["en"] * 3})
    columns |= {name: MeasureText().process(short).column(name) for name in measured.schema.names}
    failed = ApplyRules().process(pa.record_batch(columns)).column("rules_failed")
    assert ["gopher_min_word_length" in names for names in failed.to_pylist()] == [False, True, False]


def test_a_mixture_is_not_judged_by_the_words_of_one_language() -> None:
    batch = pa.record_batch({"text": ["Xy ab " * 60] * 2, "language": ["en"] * 2})
    measured = MeasureText().process(batch)
    columns = {name: measured.column(name) for name in measured.schema.names}
    columns |= {"language": batch.column("language"), "language_mixed": pa.array([False, True])}
    failed = ApplyRules().process(pa.record_batch(columns)).column("rules_failed").to_pylist()
    assert [{"gopher_stop_words", "gopher_min_word_length"} <= set(names) for names in failed] == [True, False]


@pytest.mark.parametrize("language", ["th", "lo", "bo", "dz"])
def test_no_full_stop_is_asked_for_where_the_script_has_none(language: str) -> None:
    assert "unspaced_terminal_punctuation" in judge("ក" * 60, "km")[1]
    assert "unspaced_terminal_punctuation" not in judge("ກ" * 60, language)[1]
    assert "unspaced_min_run_length" in judge("ກ " * 60, language)[1]
    assert "unspaced_min_run_length" not in judge("ក " * 60, "km")[1]


def test_one_good_paragraph_is_enough() -> None:
    assert judge("One of the two sentences that " * 9 + "end (see below).[12]", "en", thresholds=REPETITIVE)[0] is None


def test_a_missing_measurement_passes() -> None:
    assert "gopher_stop_words" in judge("Xyz " * 60, "en")[1]
    assert "gopher_stop_words" not in judge("Xyz " * 60, "tlh")[1]


def test_built_in_thresholds_give_way() -> None:
    stage = ApplyRules(thresholds={"default": {"gopher_min_words": 10}, "ko": {"gopher_min_words": 5}})
    assert stage.rules_of("ko")["gopher_min_words"].threshold == 5
    assert stage.rules_of("ko")["gopher_min_word_length"].threshold == 1.7
    assert stage.rules_of("fi")["gopher_min_words"].threshold == 10
    assert ApplyRules().rules_of("fi")["gopher_min_words"].threshold == 36
    assert stage.rules_of("en")["gopher_min_words"].threshold == 10
    assert "c4_curly_brackets" not in stage.rules_of("en")
    assert "c4_curly_brackets" in ApplyRules(rule_sets={"default": ["c4"]}).rules_of("en")


def test_thresholds_and_rule_sets_change_the_decision() -> None:
    assert judge("Too short.", "en", rule_sets={"default": ["ccnet"]})[1] == ["ccnet_min_characters"]
    assert judge("Too short.", "en", rule_sets={"en": []}) == (None, [])
    assert judge(ENGLISH, "en", thresholds={"en": {"gopher_min_words": 100}})[0] == "gopher_min_words"
    assert judge(ENGLISH, "tlh", thresholds={"en": {"gopher_min_words": 100}})[0] is None
    assert judge(ENGLISH, "tlh", thresholds={"default": {"gopher_min_words": 100}})[0] == "gopher_min_words"
    assert judge("{x} " + ENGLISH, "en")[0] is None
    assert judge("{x} " + ENGLISH, "en", thresholds={"en": {"c4_curly_brackets": 0}})[0] == "c4_curly_brackets"
    assert judge(CHINESE, "zh", thresholds={"zh": {"zh_stop_words": 20}})[0] == "zh_stop_words"
    assert judge("", "zh", thresholds={"zh": {"zh_stop_words": None}})[1] == [
        name for name in judge("", "zh")[1] if name != "zh_stop_words"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"rule_sets": {"en": ["gopher_qualiti"]}},
            "rule_sets.en: unknown rule set 'gopher_qualiti'.*'gopher_quality'",
        ),
        ({"rule_sets": {"en": "c4"}}, "rule_sets.en must be a list"),
        ({"rule_sets": ["c4"]}, r"rule_sets must be a mapping, got \['c4'\]"),
        (
            {"thresholds": {"en": {"gopher_min_word": 3}}},
            "unknown rule 'gopher_min_word'; did you mean 'gopher_min_words'",
        ),
        ({"thresholds": {"en": {"zh_newlines": 0.2}}}, "thresholds.en: unknown rule 'zh_newlines'"),
        (
            {"thresholds": {"en": {"gopher_min_words": "50"}}},
            "gopher_min_words must be a number, got '50'",
        ),
        ({"thresholds": {"en": {"gopher_min_words": True}}}, "must be a number, got True"),
        ({"thresholds": {"en": {"gopher_min_words": float("nan")}}}, "must be a finite number"),
        ({"thresholds": {"en": {"gopher_min_words": 0}}}, "can never fire"),
        ({"thresholds": {"en": {"fineweb_short_lines": 1.0}}}, "can never fire"),
        ({"thresholds": {"en": {"gopher_alphabetic_words": 1.1}}}, "removes every document"),
        ({"thresholds": {"en": {"fineweb_short_lines": -0.1}}}, "removes every document"),
        ({"thresholds": {"en": [1]}}, "thresholds.en must be a mapping"),
        ({"thresholds": {"zh-Hant": {}}}, "languages are ISO 639 codes .* got 'zh-Hant'"),
        ({"rule_sets": {"english": []}}, "languages are ISO 639 codes .* got 'english'"),
    ],
)
def test_refuses_rules_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ApplyRules(**options)  # type: ignore[arg-type]


def test_appends_to_batches_in_a_pipeline() -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "text": [ENGLISH, "Too short."],
            "language": ["en", "en"],
        }
    )

    def check(batches: list[pa.RecordBatch]) -> None:
        assert batches[0].column("rules_reason").to_pylist() == [None, "gopher_min_words"]

    with local_pipeline() as pipeline:
        judged = pipeline | beam.Create([batch]) | MeasureText() | ApplyRules()
        assert_that(judged, check)
