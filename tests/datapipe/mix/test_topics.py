"""Topics: like documents have one, and what is told of each is what a plain count finds."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe.dedup.embeddings import vector_column
from datapipe.mix.topics import FindTopics, map_axes, nearest_of_each
from datapipe.store.corpus import Part
from tests.helpers import CorpusOf, unit_vectors, verdicts

WORDS = ["ferry harbour tide", "oven dough flour", "court judge statute"]


def described(parts: list[Part], folder: pathlib.Path, stage: FindTopics) -> list[dict[str, object]]:
    folder.mkdir(exist_ok=True)
    parts | stage.ready(folder=str(folder))
    return pq.read_table(folder / "_topics.parquet").to_pylist()


@pytest.fixture
def parts(corpus_of: CorpusOf) -> list[Part]:
    group = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [100, 50, 10]))
    vectors = unit_vectors(3, 16)[group] + 0.05 * unit_vectors(160, 16, seed=1)
    return corpus_of(
        [WORDS[number] + f" word{row}" for row, number in enumerate(group)],
        rows_per_part=64,
        embeddings_vector=vector_column(vectors.astype(np.float32)),
        score=[[0.2, 0.5, None][number] for number in group],
        language=[["en", "de", None][row % 3] for row in range(160)],
        group=group.tolist(),
    )


def test_a_topic_is_described(parts: list[Part], tmp_path: pathlib.Path) -> None:
    stage = FindTopics(count=3, quality="score", terms=3, seed=1)
    rows = described(parts, tmp_path / "one", stage)
    assert [row["documents"] for row in rows] == [100, 50, 10]
    assert [row["quality"] for row in rows] == [pytest.approx(0.2), pytest.approx(0.5), None]
    assert [sorted(row["terms"]) for row in rows] == [sorted(words.split()) for words in WORDS]  # type: ignore[call-overload]
    found = verdicts(parts, stage)
    group = {
        int(id_): number
        for part in parts
        for id_, number in zip(part.ids, part.column("group").to_pylist(), strict=True)
    }
    language = {
        int(id_): name
        for part in parts
        for id_, name in zip(part.ids, part.column("language").to_pylist(), strict=True)
    }
    for number, row in enumerate(rows):
        members = [id_ for id_ in found if found[id_].topic == row["topic"]]
        assert {group[id_] for id_ in members} == {number}
        spoken = {of["language"]: of["documents"] for of in row["languages"]}  # type: ignore[attr-defined]
        assert spoken == {name: sum(language[id_] == name for id_ in members) for name in ("en", "de")}
        assert len(set(row["examples"])) == 3  # type: ignore[call-overload]
        assert set(row["examples"]) <= set(members)  # type: ignore[call-overload]
        # The middle of a topic's documents on the map is about the place of its centre.
        assert np.mean([found[id_].topic_x for id_ in members]) == pytest.approx(row["x"], abs=0.02)
        assert np.mean([found[id_].topic_y for id_ in members]) == pytest.approx(row["y"], abs=0.02)
    assert described(parts[::-1], tmp_path / "two", stage) == rows
    assert verdicts(parts[::-1], stage) == found
    other = described(parts, tmp_path / "three", FindTopics(count=2))
    assert sum(row["documents"] for row in other) == 160  # type: ignore[misc]
    assert len(other) == 2
    assert all(row["quality"] is None for row in other)


def test_the_nearest_are_the_nearest() -> None:
    topics = np.array([0, 2, 0, 0, 0, 2], np.int32)
    cosines = np.array([0.1, 0.9, 0.5, 0.5, 0.4, 0.95], np.float32)
    found, ids = nearest_of_each(topics, cosines, np.array([9, 8, 7, 6, 5, 4], np.uint64), 3)
    assert ids.tolist() == [[6, 7, 5], [0, 0, 0], [4, 8, 0]]
    assert (found == -2).tolist() == [[False] * 3, [True] * 3, [False, False, True]]


def test_the_map_shows_where_centres_differ_most() -> None:
    centres = np.zeros((4, 8), np.float32)
    centres[:, 5] = [-3, 3, -3, 3]
    centres[:, 2] = [-1, -1, 1, 1]
    middle, axes = map_axes(centres)
    assert np.allclose((centres - middle) @ axes.T, [[-3, -1], [3, -1], [-3, 1], [3, 1]])
    assert np.allclose(map_axes(centres[:2])[1][1], 0)
    assert np.allclose(map_axes(centres[:1])[1], 0)
    assert map_axes(np.zeros((0, 0), np.float32))[1].shape == (2, 0)


def test_the_seed_chooses_the_topics(corpus_of: CorpusOf) -> None:
    parts = corpus_of([""] * 200, embeddings_vector=vector_column(unit_vectors(200, 8)))
    found = [verdicts(parts, FindTopics(count=3, seed=seed)) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize("filled", [True, False])
def test_tiny_corpora(corpus_of: CorpusOf, tmp_path: pathlib.Path, rows: int, filled: bool) -> None:
    parts = corpus_of([""] * rows, embeddings_vector=vector_column(unit_vectors(rows, 4) * np.float32(filled)))
    found = verdicts(parts, FindTopics())
    assert {verdict.topic for verdict in found.values()} == ({0} if rows and filled else set())
    rows_told = described(parts, tmp_path / "told", FindTopics())
    assert [row["documents"] for row in rows_told] == ([3] if rows and filled else [])
    assert pa.table({"x": rows_told}).num_rows == len(rows_told)
