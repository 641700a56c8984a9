"""The signature column: its bytes are the signature, whoever made it."""

import pathlib
from typing import Any

import datasketch
import numpy as np
import pyarrow as pa
import pytest

from datapipe.dedup.signatures import SCHEMES, ComputeSignatures, compute_signatures
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.text.characters import text_buffers
from datapipe.text.shingles import shingle_hashes

TEXTS = pa.array(["the cat sat on the mat and slept", None, "今天天气很好我们出去玩", "", "?!"])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_column_holds_the_sketches(scheme: Any) -> None:
    batch = pa.record_batch({"text": TEXTS}).slice(0)
    column = ComputeSignatures(scheme=scheme, slots=16).process(batch).column("signature")
    found, known = compute_signatures(TEXTS, scheme, 16, 5)
    assert known.tolist() == column.is_valid().to_pylist() == [True, False, True, False, False]
    assert [np.frombuffer(value, "<u4").tolist() for value in column.drop_null().to_pylist()] == found[known].tolist()


def test_datasketch_reads_the_column() -> None:
    batch = pa.record_batch({"text": TEXTS})
    value = ComputeSignatures(scheme="datasketch", slots=64).process(batch).column("signature")[0].as_py()
    reference = datasketch.MinHash(64, hashfunc=lambda shingle: shingle)
    for shingle in shingle_hashes(*text_buffers(TEXTS[:1]), 5)[0].tolist():
        reference.update(shingle >> 32)
    mine = datasketch.MinHash(hashvalues=np.frombuffer(value, "<u4"), scheme="affine32")
    assert mine.jaccard(reference) == 1.0


def test_options_change_the_sketch() -> None:
    batch = pa.record_batch({"text": TEXTS})
    made = [
        ComputeSignatures(**options).process(batch).column("signature")[0].as_py()
        for options in ({}, {"scheme": "datasketch"}, {"slots": 64}, {"shingle_size": 3})
    ]
    assert len(set(made)) == 4
    assert [len(value) for value in made] == [512, 512, 256, 512]


def test_prepare_writes_the_options_down(tmp_path: pathlib.Path) -> None:
    stage = ComputeSignatures(slots=32)
    assert stage.prepare(Corpus(str(tmp_path)), str(tmp_path)) is stage
    assert files.read_json(str(tmp_path / "signatures.json")) == {"scheme": "fast", "slots": 32, "shingle_size": 5}


def test_works_on_batches_in_a_list() -> None:
    (result,) = [pa.record_batch({"text": TEXTS})] | ComputeSignatures()
    assert result.schema.names == ["text", "signature"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"scheme": "md5"}, "scheme must be one of .*, got 'md5'"), ({"slots": 0}, "slots must be at least 1, got 0")],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ComputeSignatures(**options)
