"""A document stage writes a part's columns row for row; verdicts travel by part and arrive as its column file."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, ClassVar

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from apache_beam.metrics.metric import MetricsFilter

from datapipe.engine.progress import FOLDER
from datapipe.engine.work import COMPUTED, PIECES, Pass, by_part, join, nothing, process, sum_spent, write
from datapipe.filters.language import IdentifyLanguage
from datapipe.flow.threads import ThreadsRunner
from datapipe.stage import DocumentStage
from datapipe.store.corpus import Part, part_path
from tests.helpers import CorpusOf, add_columns, processed


@dataclasses.dataclass(eq=False)
class Length(DocumentStage):
    """A stage for these tests: the length of the text."""

    name: ClassVar[str] = "length"
    writes: ClassVar[pa.Schema] = pa.schema([("length", pa.int64())])

    def requires(self) -> tuple[str, ...]:
        return ("text",)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.record_batch({"length": [len(text) for text in batch.column("text").to_pylist()]})


@dataclasses.dataclass(eq=False)
class RemoveShort(DocumentStage):
    """Removes texts of one character."""

    name: ClassVar[str] = "short"
    writes: ClassVar[pa.Schema] = pa.schema([("short_reason", pa.string())])

    def requires(self) -> tuple[str, ...]:
        return ("text",)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        reasons = ["too_short" if len(text) < 2 else None for text in batch.column("text").to_pylist()]
        return pa.record_batch([pa.array(reasons, pa.string())], schema=self.writes)


@dataclasses.dataclass(eq=False)
class Shout(DocumentStage):
    """Writes the text again."""

    name: ClassVar[str] = "shout"
    writes: ClassVar[pa.Schema] = pa.schema([("text", pa.string())])

    def requires(self) -> tuple[str, ...]:
        return ("text",)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.record_batch([pc.utf8_upper(batch.column("text"))], schema=self.writes)


class LosesARow(Length):
    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return super().process(batch).slice(1)


class LengthWithLanguage(Length):
    """As many more as its language has letters, where it has any."""

    def optional(self) -> tuple[str, ...]:
        return ("language", "toy_language")

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        more = [name for name in self.optional() if name in batch.schema.names]
        rows = zip(batch.column("text").to_pylist(), *(batch.column(name).to_pylist() for name in more), strict=True)
        return pa.record_batch({"length": [sum(map(len, row)) for row in rows]})


def counters_of(build: Callable[[beam.Pipeline], Any], stage: str) -> dict[str, int]:
    """What a pipeline has counted for a stage, as its engine shows it."""
    pipeline = beam.Pipeline(runner=ThreadsRunner(2))
    build(pipeline)
    result: Any = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace(stage))["counters"]
    return {counter.key.metric.name: counter.committed for counter in found}


SCHEMA = pa.schema([("toy_reason", pa.string())])


def test_verdicts_reach_the_part_they_are_about(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = {part.number: part for part in corpus_of(["a", "b", "c", "d"], rows_per_part=2)}
    (tmp_path / FOLDER).mkdir()
    ids = pa.array([(1 << 32) + 1, 0, 1 << 32], pa.uint64())
    # Another order of columns, as a stage may yield them.
    verdicts = pa.record_batch({"toy_reason": ["second", "first", None], "id": ids})
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


def test_a_document_stage_sees_the_rows_that_are_left(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a", "bb", "ccc"])
    part = add_columns(part, tmp_path / "toy", toy_reason=pa.array([None, "too_short", None]))
    assert processed(part, Length(), tmp_path).column("length").to_pylist() == [1, None, 3]
    assert pq.read_table(part_path(str(tmp_path / "length"), 0)).column(COMPUTED).to_pylist() == [True, False, True]


def passed(part: Part, this: Pass) -> dict[str, list[Any]]:
    """The columns that a pass writes for a part, in pieces if it is cut."""
    for stage in this.stages:
        pathlib.Path(this.root, stage.name, PIECES).mkdir(parents=True, exist_ok=True)
    pathlib.Path(this.root, FOLDER).mkdir(exist_ok=True)
    pieces = [process(piece, this)[1] for piece in part.cut(3)]
    assert join((part.number, pieces[::-1]), this) == part.number
    tables = [pq.read_table(part_path(f"{this.root}/{stage.name}", part.number)) for stage in this.stages]
    return {name: table.column(name).to_pylist() for table in tables for name in table.schema.names}


@pytest.mark.parametrize("rows_per_group", [1, 2, 7])
def test_a_pass_gives_each_stage_the_columns_and_rows_that_the_one_before_leaves(
    rows_per_group: int, corpus_of: CorpusOf, tmp_path: pathlib.Path
) -> None:
    texts = ["a", "bb", "c", "dd", "eee", "f", "gg"]
    (part,) = corpus_of(texts)
    pq.write_table(pa.table({"text": texts}), part.columns["text"], row_group_size=rows_per_group)
    stages = (RemoveShort(), Shout(), Length())
    assert passed(part, Pass(stages, str(tmp_path / "left"))) == {
        "short_reason": ["too_short", None, "too_short", None, None, "too_short", None],
        "text": ["a", "BB", "c", "DD", "EEE", "f", "GG"],
        "length": [None, 2, None, 2, 3, None, 2],
        COMPUTED: [False, True, False, True, True, False, True],
    }
    every = passed(part, Pass(stages, str(tmp_path / "every"), every_row=True))
    assert (every["text"], every["length"]) == ([text.upper() for text in texts], [len(text) for text in texts])


def test_what_was_computed_before_is_not_computed_again(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a", "bb", "ccc", "dddd"])
    this = Pass((Length(),), str(tmp_path))
    spent = []
    for reasons in (["x", "x", None, None], ["x", None, None, "x"], ["x", None, None, "x"]):
        found = passed(add_columns(part, tmp_path / "toy", toy_reason=pa.array(reasons, pa.string())), this)
        assert found["length"] == [None if reason else row + 1 for row, reason in enumerate(reasons)]
        spent.append(sum_spent(this)["length"].rows)
    assert spent == [2, 1, 0]
    assert sum_spent(this)["length"].rows == 0


def test_optional_columns_come_from_disk_and_from_the_same_pass(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["The committee published its report.", "委员会发表了报告。"])
    lengths = [35, 9]
    assert processed(part, LengthWithLanguage(), tmp_path / "alone").column("length").to_pylist() == lengths
    on_disk = add_columns(part, tmp_path / "toy", toy_language=pa.array(["abc", "d"]))
    found = processed(on_disk, LengthWithLanguage(), tmp_path / "disk").column("length").to_pylist()
    assert found == [lengths[0] + 3, lengths[1] + 1]
    (root := tmp_path / "pass").mkdir()
    for folder in (FOLDER, "language", "length"):
        (root / folder).mkdir()
    process(part, Pass((IdentifyLanguage(), LengthWithLanguage()), str(root)))
    found = pq.read_table(part_path(str(root / "length"), part.number)).column("length").to_pylist()
    assert found == [length + 2 for length in lengths]


def test_a_stage_that_loses_a_row_fails(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a", "bb"])
    with pytest.raises(ValueError, match="length: 2 rows in, 1 rows"):
        processed(part, LosesARow(), tmp_path / "out")
    assert not list((tmp_path / "out" / "length").iterdir())


def test_an_engine_shows_what_each_stage_has_done(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(["a", "bc", "d", "efg"], rows_per_part=2)
    for name in ("length", "short", ".progress", "toy"):
        (tmp_path / name).mkdir()
    this = Pass((RemoveShort(), Length()), str(tmp_path))

    def pass_over(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create(parts) | beam.Map(process, this)

    found = counters_of(pass_over, "short")
    assert {name: found.get(name) for name in ("rows", "removed_too_short")} == {"rows": 4, "removed_too_short": 2}
    assert found["bytes"] > 4
    for part in parts:
        (tmp_path / "short" / f"part-{part.number:05d}.parquet").unlink()
    assert counters_of(pass_over, "progress") == {"done": 4}
    verdict = pa.record_batch({"id": pa.array([1], pa.uint64()), "toy_reason": ["bad"]})
    by_number = {part.number: part for part in parts}

    def judge(pipeline: beam.Pipeline) -> None:
        streams = pipeline | beam.Create([(0, [stream for _, stream in by_part(verdict)]), (1, [b""])])
        _ = streams | beam.Map(write, by_number, SCHEMA, str(tmp_path / "toy"), str(tmp_path))

    found = counters_of(judge, "toy")
    assert {name: found.get(name) for name in ("rows", "removed_bad")} == {"rows": 4, "removed_bad": 1}


def test_verdicts_travel_in_blocks() -> None:
    rows = 200_000
    verdict = pa.record_batch({"id": pa.array(range(rows), pa.uint64()), "toy_reason": ["a reason"] * rows})
    streams = list(by_part(verdict))
    assert {number for number, _ in streams} == {0}
    assert max(len(stream) for _, stream in streams) < 1.1 * (1 << 20)
    back = [batch for _, stream in streams for batch in pa.ipc.open_stream(stream)]
    assert pa.Table.from_batches(back).equals(pa.Table.from_batches([verdict]))
