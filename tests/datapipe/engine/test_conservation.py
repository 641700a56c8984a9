"""A row that is lost or invented fails the run, with the numbers."""

import pathlib

import pyarrow as pa
import pytest

from datapipe.dedup.held_out import HoldOut
from datapipe.engine.conservation import check_funnel, check_stage
from datapipe.engine.funnel import count_funnel
from datapipe.filters.language_filter import FilterLanguage
from datapipe.mix.held_out_shards import WriteHeldOutShards
from datapipe.mix.shards import WriteShards
from datapipe.read.documents import ReadDocuments
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.store.record import ConservationError, Done, PartRecord, RunRecord, SourceResult
from tests.helpers import CorpusOf, add_columns, done


def test_records_are_documents_and_rejects(tmp_path: pathlib.Path) -> None:
    part = PartRecord(0, "document", 3, 30, ("text",), ())
    for records, lost in ((5, False), (6, True)):
        entry = Done("k", 0.0, 0, ("document",), source=SourceResult((part,), records, 2, {"malformed_json": 2}))
        if lost:
            with pytest.raises(ConservationError, match="documents: 6 records read, 5 documents and rejects written"):
                check_stage(Corpus(str(tmp_path)), ReadDocuments(), entry)
        else:
            check_stage(Corpus(str(tmp_path)), ReadDocuments(), entry)


def test_a_stage_writes_as_many_rows_as_there_are(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a", "b"])
    stage, column = FilterLanguage(), FilterLanguage.writes.names[0]
    part = add_columns(part, tmp_path / stage.name, **{column: pa.nulls(2, pa.string())})
    corpus = Corpus(str(tmp_path), (part,))
    check_stage(corpus, stage, done(column))
    files.write_table(part.columns[column], pa.table({column: pa.nulls(1, pa.string())}))
    with pytest.raises(ConservationError, match="language_filter: part 0 has 2 rows, its columns 1"):
        check_stage(corpus, stage, done(column))


def test_the_shards_hold_what_is_kept(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a", "b"], bytes=pa.array([1, 1], pa.int64()))
    corpus = Corpus(str(tmp_path), (part,))
    stages = {"documents": done("text", "bytes", rejects={}), WriteShards.name: done()}
    record = RunRecord({}, [], {}, dict(stages))
    files.make_folder(str(tmp_path / "shards"))
    for rows in (2, 1):
        files.write_table(str(tmp_path / "shards" / "train-00000.parquet"), pa.table({"text": ["x"] * rows}))
        if rows == 2:
            check_funnel(corpus, count_funnel(corpus, stages), record)
        else:
            with pytest.raises(ConservationError, match="shards: 2 rows to write, 1 written"):
                check_funnel(corpus, count_funnel(corpus, stages), record)


def test_what_is_held_out_is_all_written(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a", "b", "c"], bytes=[1, 1, 1])
    part = add_columns(part, tmp_path / "held_out", held_out_reason=pa.array(["held_out", None, "held_out_copy"]))
    corpus = Corpus(str(tmp_path), (part,))
    stages = {
        "documents": done("text", "bytes", rejects={}),
        HoldOut.name: done("held_out_reason"),
        WriteHeldOutShards.name: done(),
    }
    record = RunRecord({}, [], {}, dict(stages))
    files.make_folder(str(tmp_path / "held_out_shards"))
    for rows in (1, 2):
        files.write_table(
            str(tmp_path / "held_out_shards" / "held_out-00000.parquet"), pa.table({"text": ["x"] * rows})
        )
        if rows == 1:
            check_funnel(corpus, count_funnel(corpus, stages), record)
        else:
            with pytest.raises(ConservationError, match="held_out_shards: 1 rows to write, 2 written"):
                check_funnel(corpus, count_funnel(corpus, stages), record)
