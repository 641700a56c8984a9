"""Samples are of the fate asked for, the same each time, and at the edge if asked."""

import pathlib

import pytest

from datapipe.engine.output import open_corpus
from datapipe.engine.sampling import count_fates, pick
from datapipe.engine.verdicts import document_id


def test_fates_are_counted_with_and_without_their_reason(finished_run: pathlib.Path) -> None:
    corpus, _ = open_corpus(str(finished_run))
    counts = count_fates(corpus)
    assert (counts["kept"], counts["rules"], counts["exact_duplicates: exact_duplicate"]) == (24, 3, 1)


@pytest.mark.parametrize(("reason", "ids"), [("near_duplicates", ["0-28"]), ("exact_duplicate", ["0-27"]),
                                             ("rules: gopher_min_words", ["0-24"])])  # fmt: skip
def test_a_stage_a_reason_or_both_are_asked_for(reason: str, ids: list[str], finished_run: pathlib.Path) -> None:
    corpus, record = open_corpus(str(finished_run))
    assert [document_id(each.id) for each in pick(corpus, record.options, reason, 5)] == ids


def test_the_choice_follows_the_seed(finished_run: pathlib.Path) -> None:
    corpus, record = open_corpus(str(finished_run))
    first, again, other = (
        [each.id for each in pick(corpus, record.options, "kept", 5, seed=seed)] for seed in (0, 0, 1)
    )
    assert first == again != other
    assert len(set(first)) == 5


def test_borderline_is_nearest_to_the_threshold(finished_run: pathlib.Path) -> None:
    corpus, record = open_corpus(str(finished_run))
    (near,) = pick(corpus, record.options, "near_duplicates", 1, borderline=True)
    assert near.margin is not None
    assert near.margin == pytest.approx(near_similarity(corpus) / 0.8 - 1, rel=1e-5)
    margins = [each.margin or 0 for each in pick(corpus, record.options, "kept", 24, borderline=True)]
    assert margins == sorted(margins)
    (short,) = pick(corpus, record.options, "gopher_min_words", 1, borderline=True)
    assert short.margin == pytest.approx((50 - 9) / 50)
    assert (short.nearest, near.nearest) == ("gopher_min_words", "near_duplicates")


def near_similarity(corpus: object) -> float:
    (part,) = corpus.parts  # type: ignore[attr-defined]
    return float(part.column("near_duplicates_similarity")[28].as_py())


def test_values_of_columns_narrow_the_choice(finished_run: pathlib.Path) -> None:
    corpus, record = open_corpus(str(finished_run))
    assert len(pick(corpus, record.options, "kept", 50, where={"path": "good.jsonl"})) == 24
    assert pick(corpus, record.options, "kept", 50, where={"path": "more.jsonl"}) == []
    with pytest.raises(ValueError, match="no document was 'rulez'; did you mean 'rules'"):
        pick(corpus, record.options, "rulez", 5)
