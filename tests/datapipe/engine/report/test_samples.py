"""Samples: the texts of the documents picked, and pairs side by side."""

import pathlib

import pyarrow as pa

from datapipe.engine.report.figures import count_figures
from datapipe.engine.report.samples import TEXT_SHOWN, compare, read_samples
from datapipe.store.corpus import Corpus
from tests.helpers import CorpusOf, add_columns


def test_samples_show_what_they_are_of(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    texts = ["kept " * 300, "the first of two twins", "the second of two twins", "long"]
    (part,) = corpus_of(texts, path=list("wxyz"), bytes=pa.array(list(map(len, texts)), pa.int64()))
    part = add_columns(part, tmp_path / "toy", toy_reason=pa.array([None, None, None, "too: long"]))
    part = add_columns(
        part,
        tmp_path / "near_duplicates",
        near_duplicates_of=pa.array([None, None, 1, None], pa.uint64()),
        near_duplicates_similarity=pa.array([None, None, 0.875, None], pa.float32()),
        near_duplicates_size=pa.array([None, 2, 2, None], pa.int64()),
        near_duplicates_reason=pa.array([None, None, "near_duplicate", None]),
    )
    samples = read_samples(Corpus(str(tmp_path), (part,)), count_figures(part, {}).picks, {})
    removed = {(sample.stage, sample.reason): sample for sample in samples.removed}
    assert {key: sample.id for key, sample in removed.items()} == {
        ("toy", "too: long"): "0-3",
        ("near_duplicates", "near_duplicate"): "0-2",
    }
    assert removed["toy", "too: long"].about == {"path": "z"}
    assert removed["near_duplicates", "near_duplicate"].note == "of 0-1, similarity 0.875"
    assert {sample.id: len(sample.text) for sample in samples.kept} == {"0-0": TEXT_SHOWN, "0-1": len(texts[1])}
    (pair,) = samples.pairs
    assert (pair.removed, pair.of, pair.similarity, pair.size) == ("0-2", "0-1", 0.875, 2)
    assert [(run.side, run.text) for run in pair.runs] == [
        ("both", "the "),
        ("removed", "second"),
        ("kept", "first"),
        ("both", " of two twins"),
    ]


def test_two_texts_are_their_runs() -> None:
    removed, kept = "我们今天去公园,然后回家。x  y", "我们明天去公园,回家。x y z"
    runs = compare(removed, kept)
    assert "".join(run.text for run in runs if run.side != "kept") == removed
    assert "".join(run.text for run in runs if run.side != "removed") == kept
