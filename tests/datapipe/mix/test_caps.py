"""No group has more than its cap, and one that has less loses nothing."""

import collections
from collections.abc import Callable

import pyarrow as pa
import pytest

from datapipe.mix.caps import CapGroups
from datapipe.store.corpus import Corpus


def left(corpus: Corpus, stage: CapGroups) -> dict[str | None, int]:
    ready = stage.prepare(corpus, "")
    found = collections.Counter[str | None]()
    for part in corpus.parts:
        for batch in part.read(["set"]):
            reasons = ready.process(batch).column("caps_reason").to_pylist()
            sets = batch.column("set").to_pylist()
            found.update(name for name, reason in zip(sets, reasons, strict=True) if reason is None)
    return dict(found)


def test_groups_keep_as_many_as_their_caps(corpus_on_disk: Callable[..., Corpus]) -> None:
    sets = ["a"] * 50 + ["b"] * 30 + ["c"] * 5 + [None] * 4
    corpus = corpus_on_disk(["x"] * len(sets), rows_per_part=20, set=sets)
    stage = CapGroups(10, by="set", groups={"b": 25}, parts=["document"])
    assert left(corpus, stage) == {"a": 10, "b": 25, "c": 5, None: 4}
    assert left(corpus, CapGroups(1, by="set", seed=1, parts=["document"])) == {"a": 1, "b": 1, "c": 1, None: 4}


def test_another_seed_keeps_others(corpus_on_disk: Callable[..., Corpus]) -> None:
    corpus = corpus_on_disk(["x"] * 40, set=["a"] * 40)
    (batch,) = corpus.parts[0].read(["set"])
    kept = [
        CapGroups(10, by="set", seed=seed, parts=["document"]).prepare(corpus, "").process(batch).column(0).is_null()
        for seed in (0, 1)
    ]
    assert kept[0] != kept[1]


def test_it_must_have_counted_first() -> None:
    batch = pa.record_batch({"id": pa.array([0], pa.uint64()), "source": ["a"]})
    with pytest.raises(ValueError, match="call prepare first"):
        CapGroups(10).process(batch)
