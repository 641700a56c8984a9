"""The buckets end at each language's own percentiles."""

import json
import pathlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from datapipe.filters.perplexity_filter import FilterPerplexity
from datapipe.store.corpus import Corpus
from tests.helpers import processed

ENGLISH = [float(100 + i) for i in range(50)]
CHINESE = [float(1000 + i * i) for i in range(30)]
SCORES = [*ENGLISH, *CHINESE, None]
LANGUAGES = ["en"] * 50 + ["zh"] * 30 + ["fr"]


def decide(stage: FilterPerplexity) -> tuple[list[str | None], list[str | None]]:
    batch = pa.record_batch({"perplexity": pa.array(SCORES, pa.float32()), "language": LANGUAGES})
    (result,) = [batch] | stage
    return tuple(result.column(name).to_pylist() for name in FilterPerplexity.writes.names)


@pytest.fixture
def corpus(corpus_on_disk: Callable[..., Corpus]) -> Corpus:
    texts = [str(i) for i in range(len(SCORES))]
    return corpus_on_disk(texts, rows_per_part=20, perplexity=pa.array(SCORES, pa.float32()), language=LANGUAGES)


def test_edges_are_the_percentiles(corpus: Corpus, tmp_path: pathlib.Path) -> None:
    ready = FilterPerplexity().prepare(corpus, str(tmp_path))
    edges = json.loads((tmp_path / "cutoffs.json").read_text())
    assert edges["en"] == pytest.approx(np.percentile(ENGLISH, [30, 60], method="lower").tolist())
    assert edges["zh"] == pytest.approx(np.percentile(CHINESE, [30, 60], method="lower").tolist())
    buckets, removed = decide(ready)
    assert [buckets[:50].count(name) for name in ("head", "middle", "tail")] == [15, 15, 20]
    assert [buckets[50:80].count(name) for name in ("head", "middle", "tail")] == [9, 9, 12]
    assert [reason == "perplexity_tail" for reason in removed] == [bucket == "tail" for bucket in buckets]
    assert (buckets[80], removed[80]) == (None, None)


def test_a_bucket_holds_its_own_end() -> None:
    stage = FilterPerplexity(cutoffs={"en": [1.0, 2.0]}, keep=["tail"])
    batch = pa.record_batch({"perplexity": pa.array([1, 1.5, 2, 2.5], pa.float32()), "language": ["en"] * 4})
    assert stage.process(batch).to_pydict() == {
        "perplexity_bucket": ["head", "middle", "middle", "tail"],
        "perplexity_filter_reason": ["perplexity_head", "perplexity_middle", "perplexity_middle", None],
    }


def test_documents_removed_before_do_not_count(corpus_on_disk: Callable[..., Corpus], tmp_path: pathlib.Path) -> None:
    columns = {
        "perplexity": pa.array([*range(10), 1000, 5], pa.float32()),
        "language": ["en"] * 11 + ["fr"],
        "language_filter_reason": [None] * 10 + ["x", "x"],
    }
    corpus = corpus_on_disk([str(i) for i in range(12)], **columns)
    ready = FilterPerplexity().prepare(corpus, str(tmp_path))
    assert sorted(ready.cutoffs) == ["en"]
    buckets = processed(corpus.parts[0], ready, tmp_path / "out").column("perplexity_bucket").to_pylist()
    assert buckets == ["head"] * 3 + ["middle"] * 3 + ["tail"] * 4 + [None, None]


def test_cutoffs_are_needed() -> None:
    with pytest.raises(ValueError, match=r"no cutoffs for \['zh'\]; call prepare first"):
        FilterPerplexity(cutoffs={"en": [1.0, 2.0]}).process(
            pa.record_batch({"perplexity": pa.array([1, 1], pa.float32()), "language": ["en", "zh"]})
        )


def test_options(corpus: Corpus, tmp_path: pathlib.Path) -> None:
    head = FilterPerplexity(keep=["head"]).prepare(corpus, str(tmp_path))
    assert {"perplexity_middle", "perplexity_tail"} < {*decide(head)[1]}
    halves = FilterPerplexity(percentiles=[50, 50]).prepare(corpus, str(tmp_path))
    assert decide(halves)[0][:50].count("head") == 25
    fixed = FilterPerplexity(cutoffs={"en": [0.0, 1.0]}).prepare(corpus, str(tmp_path))
    assert {*decide(fixed)[0][:50]} == {"tail"}
    assert "head" in decide(fixed)[0][50:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["best"]}, r"keep\[0\] must be one of 'head', 'middle', 'tail', got 'best'"),
        ({"keep": []}, "keep must have at least 1 item"),
        ({"percentiles": [60.0, 30.0]}, "percentiles must be two rising"),
        ({"cutoffs": {"en": [2.0, 1.0]}}, "cutoffs of 'en' must be two rising"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FilterPerplexity(**options)  # type: ignore[arg-type]
