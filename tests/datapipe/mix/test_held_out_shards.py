"""What is held out is written once, with its columns, and nothing else is."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.mix.held_out_shards import WriteHeldOutShards
from tests.helpers import CorpusOf


def test_only_what_is_held_out_is_written_and_once(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(
        list("abcdef"),
        rows_per_part=4,
        note=list("uvwxyz"),
        held_out_reason=["held_out", None, "held_out_copy", "held_out", None, "held_out"],
        near_duplicates_reason=[None, "held_out_neighbour", None, None, None, None],
        mixture_copies=pa.array([None, None, None, 3, 2, None], pa.int32()),
        user_columns=["note"],
    )
    summaries = parts | WriteHeldOutShards().ready(folder=str(tmp_path / "held_out_shards"))
    assert [shard["file"] for shard in summaries] == ["held_out-00000.parquet"]
    table = pa.concat_tables(pq.read_table(tmp_path / "held_out_shards" / shard["file"]) for shard in summaries)
    rows = sorted(zip(*(table.column(name).to_pylist() for name in ("text", "id", "note")), strict=True))
    assert rows == [("a", "0-0", "u"), ("d", "0-3", "x"), ("f", "1-1", "z")]
