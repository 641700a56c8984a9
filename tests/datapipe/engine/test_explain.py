"""Explaining a document: found by any of its names, with its verdict and its partner."""

import pathlib

import pyarrow as pa
import pytest

from datapipe.engine.explain import UnknownDocumentError, look_up
from datapipe.store.corpus import Corpus
from tests.helpers import CorpusOf, add_columns


def two_parts(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> Corpus:
    parts = corpus_of(["x" * 1000, "b", "c"], rows_per_part=2, input_id=["first", "second", "third"])
    verdicts = [
        {"toy_of": pa.array([None, None], pa.uint64()), "toy_reason": pa.array([None, None], pa.string())},
        {"toy_of": pa.array([1 << 32], pa.uint64()), "toy_reason": pa.array(["same"])},
    ]
    added = [add_columns(part, tmp_path / "toy", **verdicts[part.number]) for part in parts]
    return Corpus(str(tmp_path), tuple(added))


@pytest.mark.parametrize("name", ["1-0", "third", str(1 << 32)])
def test_a_document_is_found_by_any_of_its_names(name: str, corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    record = look_up(two_parts(corpus_of, tmp_path), name)
    assert record["document"] == "1-0"
    assert record["verdict"] == "removed by toy: same"
    assert record["toy_of"] == "1-0"
    assert record["text"] == "c"


def test_a_kept_document_says_so_and_long_text_is_cut(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    record = look_up(two_parts(corpus_of, tmp_path), "first")
    assert record["verdict"] == "kept"
    assert record["text"].endswith("… (1,000 characters)")


def test_the_first_stage_that_removed_it_is_named(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["x" * 500], first_reason=["one"], second_reason=["two"])
    record = look_up(Corpus(str(tmp_path), (part,)), "0-0")
    assert record["verdict"] == "removed by first: one"
    assert record["text"] == "x" * 500


@pytest.mark.parametrize("name", ["7-0", "1-1", "nobody", "-", "12345"])
def test_an_unknown_document_is_an_error(name: str, corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    with pytest.raises(UnknownDocumentError, match=repr(name)):
        look_up(two_parts(corpus_of, tmp_path), name)


def test_partners_in_spans_are_named_too(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a"])
    span = {"start": 0, "end": 1, "unit": "line", "of": 3 << 32 | 5}
    kind = pa.list_(
        pa.struct([("start", pa.uint32()), ("end", pa.uint32()), ("unit", pa.string()), ("of", pa.uint64())])
    )
    columns = {"toy_spans": pa.array([[span] * 30], kind), "toy_vector": pa.array([[0.5] * 30])}
    added = add_columns(part, tmp_path / "toy", **columns)
    record = look_up(Corpus(str(tmp_path), (added,)), "0-0")
    assert record["toy_spans"] == [*[span | {"of": "3-5"}] * 20, "… (30)"]
    assert record["toy_vector"] == "30 numbers"


def test_numbers_of_the_user_are_no_ids(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a"], downloads=pa.array([1 << 32], pa.uint64()), user_columns=["downloads"])
    assert look_up(Corpus(str(tmp_path), (part,)), "0-0")["downloads"] == 1 << 32
