"""Do a few documents again, stage by stage, and see whether what the run wrote comes out: of stages over single rows.

Files whose sums are right can still be wrong: made by another version of a library, or by a processor that is broken.
What a stage has learnt from all documents is not learnt again, so that such stages are named and left out.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from datapipe.engine.stages import NAMES, stage_class
from datapipe.engine.what_if import own_options
from datapipe.stage import DocumentStage
from datapipe.store.corpus import Corpus, Part
from datapipe.store.record import RunRecord, with_stage
from datapipe.text.bit_mixing import seeded_hash

TOLERANCE = 1e-6  # of floats, relative: sums in another order


@dataclasses.dataclass(frozen=True)
class Recomputed:
    """What came of a stage.

    Attributes:
        stage: its name.
        documents: that were done again.
        different: columns that came out otherwise, and in how many documents.
        left_out: why it was not done again; empty: it was.
    """

    stage: str
    documents: int
    different: dict[str, int]
    left_out: str = ""


def recompute(record: RunRecord, output: str, count: int, seed: int = 0) -> Iterator[Recomputed]:
    """Do about so many documents again in each stage over rows.

    Args:
        record: of the run.
        output: its folder.
        count: how many documents, drawn by their ids.
        seed: another choice.
    """
    corpus = Corpus(output)
    chosen = _choose(record.corpus(output), count, seed)
    for name in record.stages:
        done = record.done(name)
        if done is None:
            continue
        made = stage_class(name) if name in NAMES else None
        if made is not None and issubclass(made, DocumentStage):
            stage: DocumentStage = made(**own_options(record, name))
            reads_files = type(stage).prepare is not DocumentStage.prepare and any(stage.named_files())
            if stage.learns_from_corpus() or reads_files:
                yield Recomputed(name, 0, {}, "it learns first, from files or from all documents")
            else:
                yield _again(stage, corpus, with_stage(corpus, name, done), chosen)
        corpus = with_stage(corpus, name, done)


def _choose(corpus: Corpus, count: int, seed: int) -> dict[int, list[int]]:
    """Rows of each part, about `count` in all."""
    total = sum(part.rows for part in corpus.parts)
    chosen = {}
    for part in corpus.parts:
        wanted = min(part.rows, -(-count * part.rows // max(1, total)))
        chosen[part.number] = np.sort(np.argsort(seeded_hash(part.ids, seed))[:wanted]).tolist()
    return chosen


def _again(stage: DocumentStage, before: Corpus, after: Corpus, chosen: dict[int, list[int]]) -> Recomputed:
    documents = 0
    different: dict[str, int] = {}
    written = {part.number: part for part in after.parts}
    for part in before.of_kind(stage.part_kinds()):
        kept = part.kept()
        rows = [row for row in chosen.get(part.number, ()) if kept[row]]
        if not rows:
            continue
        inputs = _read(part, [*stage.requires(), *stage.named_columns()], rows, stage.optional())
        made = stage.process(inputs).cast(stage.writes)
        there = _read(written[part.number], stage.writes.names, rows, ())
        documents += len(rows)
        for name in stage.writes.names:
            count = _count_different(made.column(name), there.column(name))
            if count:
                different[name] = different.get(name, 0) + count
    return Recomputed(stage.name, documents, different)


def _read(part: Part, columns: list[str], rows: list[int], optional: tuple[str, ...]) -> pa.RecordBatch:
    there = [name for name in columns if name in part.columns] or [*part.columns][:1]
    batches = list(part.pick(there, rows, optional=optional))
    table = pa.Table.from_batches(batches).combine_chunks()
    for name in columns:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table)))
    (batch,) = table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
    return batch


def _count_different(made: pa.Array, there: pa.Array) -> int:
    if pa.types.is_floating(made.type):
        one, other = (array.cast(pa.float64()).to_numpy(zero_copy_only=False) for array in (made, there))
        return int((~np.isclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)).sum())
    return sum(one != other for one, other in zip(made.to_pylist(), there.to_pylist(), strict=True))
