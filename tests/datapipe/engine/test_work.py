"""Verdicts travel as bytes by part and arrive as that part's column file."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.engine.progress import FOLDER
from datapipe.engine.work import by_part, nothing, write
from datapipe.store.corpus import part_path
from tests.helpers import CorpusOf

SCHEMA = pa.schema([("toy_removed", pa.string())])


def test_verdicts_reach_the_part_they_are_about(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = {part.number: part for part in corpus_of(["a", "b", "c", "d"], rows_per_part=2)}
    (tmp_path / FOLDER).mkdir()
    ids = pa.array([(1 << 32) + 1, 0, 1 << 32], pa.uint64())
    # Another order of columns, as a stage may yield them.
    verdicts = pa.record_batch({"toy_removed": ["second", "first", None], "id": ids})
    cut = dict(by_part(verdicts))
    assert sorted(cut) == [0, 1]
    for number, stream in cut.items():
        write((number, [nothing(parts[number])[1], stream]), parts, SCHEMA, str(tmp_path), str(tmp_path))
    written = [pq.read_table(part_path(str(tmp_path), number)).column(0).to_pylist() for number in (0, 1)]
    assert written == [["first", None], [None, "second"]]


def test_a_part_without_verdicts_gets_its_file(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a", "b"])
    (tmp_path / FOLDER).mkdir()
    write((0, [nothing(part)[1]]), {0: part}, SCHEMA, str(tmp_path), str(tmp_path))
    assert pq.read_table(part_path(str(tmp_path), 0)).column(0).to_pylist() == [None, None]
