import numpy as np
import pyarrow as pa
import pytest
import yaml

from datapipe.engine.funnel import count_rules
from datapipe.filters.measurements import MeasureText
from datapipe.filters.rule_sets import MIN
from datapipe.filters.rules import ApplyRules
from datapipe.filters.thresholds import fit_thresholds, scale_thresholds, thresholds_yaml

NOUNS = "river market engine garden letter window teacher bridge winter island doctor village".split()  # noqa: SIM905


def trusted(documents: int, language: str = "en") -> pa.RecordBatch:
    """Measured documents of 4 to 43 sentences, all different."""
    texts = []
    for i in range(documents):
        sentences = [
            f"The {NOUNS[(i + j) % 12]} and the {NOUNS[(i * j + 5) % 12]} have to be with number {i * 100 + j}."
            for j in range(4 + i % 40)
        ]
        texts.append("\n".join(sentences))
    batch = pa.RecordBatch.from_pydict({"text": texts, "language": [language] * documents})
    measured = MeasureText().process(batch)
    columns = {name: measured.column(name) for name in measured.schema.names}
    return pa.RecordBatch.from_pydict({"language": batch.column("language"), **columns})


def test_no_rule_removes_more_than_its_share() -> None:
    batch = trusted(300)
    for share in (0.0, 0.01, 0.1):
        stage = ApplyRules(thresholds=fit_thresholds([batch], share))
        counts = count_rules(stage.process(batch).column("rules_failed"))
        assert all(count.failed <= share * 300 for count in counts.values())


def test_a_fitted_threshold_is_tight() -> None:
    batch = trusted(300)
    fitted = fit_thresholds([batch], 0.1, rules=ApplyRules(thresholds={"default": {"gopher_max_words": 100_000}}))["en"]
    words = np.sort(batch.column("words").to_numpy())
    assert fitted["gopher_min_words"] == words[29]
    assert fitted["gopher_max_words"] == words[-30]


def test_shares_of_single_rules_change_their_thresholds_only() -> None:
    batch = trusted(300)
    usual, other = (
        fit_thresholds([batch])["en"],
        fit_thresholds([batch], removed_shares={"gopher_min_words": 0.5})["en"],
    )
    assert {name for name in usual if usual[name] != other[name]} == {"gopher_min_words"}


def test_batches_add_up() -> None:
    batch = trusted(300)
    assert fit_thresholds([batch.slice(0, 120), batch.slice(120)]) == fit_thresholds([batch])


def test_rules_that_cannot_fire_are_switched_off() -> None:
    fitted = fit_thresholds([trusted(150)], 0.0)["en"]
    stage = ApplyRules()
    assert all(
        threshold is None or stage.rules_of("en")[name].can_fire(threshold) for name, threshold in fitted.items()
    )
    assert fitted["gopher_bullet_lines"] == 0
    assert fitted["fineweb_terminal_punctuation"] == 1


def test_each_language_has_thresholds_of_its_own_rules() -> None:
    fitted = fit_thresholds([trusted(100), trusted(120, "zh"), trusted(99, "de")])
    assert sorted(fitted) == ["en", "zh"]
    assert all(name.startswith(("zh_", "map_neo_", "no_text_")) for name in fitted["zh"])
    too_few_letters = {"no_text_letter_pairs"}
    assert set(fitted["en"]) == set(ApplyRules().rules_of("en")) - too_few_letters


def test_what_is_not_measured_has_no_threshold() -> None:
    fitted = fit_thresholds([trusted(100, "tlh")])["tlh"]
    assert "gopher_stop_words" not in fitted
    assert fitted["gopher_min_words"]


def test_thresholds_on_words_scale_with_a_text_in_each_language() -> None:
    texts = {"en": "one two six ten", "fr": "one two six ten one two six ten", "tr": "onetwo sixten", "zh": "一二六十"}
    batch = pa.record_batch({"text": list(texts.values()), "language": list(texts)})
    measured = MeasureText().process(batch)
    columns = {"language": batch.column("language")} | {name: measured.column(name) for name in measured.schema.names}
    scaled = scale_thresholds([pa.record_batch(columns)], "en")
    assert sorted(scaled) == ["en", "fr", "tr"]  # Chinese has rules of its own
    assert scaled["fr"]["gopher_min_words"] == 2 * scaled["en"]["gopher_min_words"] == 100  # type: ignore[operator]
    assert scaled["tr"]["gopher_min_words"] == 25
    assert (scaled["tr"]["gopher_min_word_length"], scaled["tr"]["gopher_max_word_length"]) == (6, 20)
    ApplyRules(thresholds=scaled)
    with pytest.raises(ValueError, match=r"no document is in 'de', found en, fr, tr, zh"):
        scale_thresholds([pa.record_batch(columns)], "de")


def test_yaml_is_what_a_recipe_takes() -> None:
    fitted = fit_thresholds([trusted(120)])
    stage = ApplyRules(**yaml.safe_load(thresholds_yaml(fitted)))
    assert stage.thresholds == fitted
    for name, rule in stage.rules_of("en").items():
        assert rule.threshold == fitted["en"].get(name, rule.threshold)
        assert rule.side != MIN or rule.threshold > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"removed_share": 1.0}, "removed_share must be at least 0 and less than 1, got 1.0"),
        ({"removed_shares": {"gopher_min_words": -0.1}}, "gopher_min_words must be at least 0"),
        (
            {"removed_shares": {"gopher_min_word": 0.1}},
            "unknown rule 'gopher_min_word'; did you mean 'gopher_min_words'",
        ),
        ({"min_documents": 1000}, "no language has 1000 documents, found en: 150"),
    ],
)
def test_refuses_what_it_cannot_fit(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_thresholds([trusted(150)], **options)  # type: ignore[arg-type]
