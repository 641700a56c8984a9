"""Documents that are done again come out as they were, or are told."""

import pathlib
import shutil

import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.engine.recompute import recompute
from datapipe.store.record import RunRecord


def test_a_run_comes_out_again_and_what_was_altered_is_told(finished_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "out"
    shutil.copytree(finished_run, copy)
    record = RunRecord.read(str(copy))
    assert record is not None
    found = {each.stage: each for each in recompute(record, str(copy), 1000)}
    assert {each.stage: each.different for each in found.values() if not each.left_out} == {
        stage: {} for stage in ("language", "language_filter", "measurements", "rules")
    }
    assert found["measurements"].documents == 29
    assert found["tokens"].left_out
    path = copy / "measurements" / "part-00000.parquet"
    table = pq.read_table(path)
    words = table.column("words").to_pylist()
    table = table.set_column(
        table.column_names.index("words"), "words", pa.array([words[0] + 1, *words[1:]], pa.int32())
    )
    pq.write_table(table, path)
    altered = {each.stage: each.different for each in recompute(record, str(copy), 1000)}
    assert altered["measurements"] == {"words": 1}
    some = {each.stage: each.documents for each in recompute(record, str(copy), 5)}
    assert some["language"] == 5
