"""Work is dealt out whole: no element and no row is lost or given twice."""

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe.engine.runner import Runner
from datapipe.flow.spread import SpreadPieces, pieces_of
from tests.helpers import CorpusOf

ROWS: list[int] = []


def note(part: object) -> None:
    ROWS.extend(part.ids.tolist())  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_row_is_in_one_piece(workers: int, corpus_of: CorpusOf) -> None:
    parts = corpus_of([str(row) for row in range(50)], rows_per_part=20)
    for part in parts:
        pq.write_table(pq.read_table(part.columns["text"]), part.columns["text"], row_group_size=3)

    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create(parts) | SpreadPieces() | beam.Map(note)

    ROWS.clear()
    Runner(workers, threads_from_bytes=0).run(build, 0, lambda: None)
    assert sorted(ROWS) == [row for part in parts for row in part.ids.tolist()]


def test_a_part_is_cut_at_row_groups(corpus_of: CorpusOf) -> None:
    (part,) = corpus_of(["a", "b", "c", "d", "e"])
    pq.write_table(pa.table({"text": list("abcde")}), part.columns["text"], row_group_size=2)
    assert [piece.bounds for piece in pieces_of(part, 8)] == [(0, 2), (2, 4), (4, 5)]
    assert [piece.bounds for piece in pieces_of(part, 2)] == [(0, 2), (2, 5)]
