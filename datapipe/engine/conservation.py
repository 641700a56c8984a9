"""Nothing is lost: records = documents + rejects, rows in = rows out, documents = kept + removed; in every run."""

import pyarrow.parquet as pq

from datapipe.dedup.held_out import HELD_OUT
from datapipe.engine.funnel import Funnel
from datapipe.mix.held_out_shards import WriteHeldOutShards
from datapipe.mix.shards import WriteShards
from datapipe.stage import Stage
from datapipe.store import files
from datapipe.store.corpus import Corpus, part_path
from datapipe.store.record import ConservationError, Done, RunRecord


def check_stage(corpus: Corpus, stage: Stage, done: Done) -> None:
    """Check that a stage has neither lost nor invented a row.

    Args:
        corpus: after the stage.
        stage: the stage.
        done: its entry in the record.

    Raises:
        ConservationError: naming the stage and the difference.
    """
    if done.source:
        found = sum(part.rows for part in done.source.parts) + done.source.rejects
        if found != done.source.records:
            raise ConservationError(
                f"{stage.name}: {done.source.records:,} records read, {found:,} documents and rejects written"
            )
    for part in corpus.of_kind(stage.part_kinds()):
        path = part_path(corpus.folder(stage.name), part.number)
        if path not in part.columns.values():
            continue
        rows = _count_rows(path)
        if rows != part.rows:
            raise ConservationError(f"{stage.name}: part {part.number} has {part.rows:,} rows, its columns {rows:,}")


def check_funnel(corpus: Corpus, funnel: Funnel, record: RunRecord) -> None:
    """Documents = kept + removed with a reason; shards hold the kept as often as the mixture takes them, and others
    what is held out.

    Raises:
        ConservationError: naming the difference.
    """
    removed = sum(totals.documents for step in funnel.steps for totals in step.removed.values())
    if funnel.read.documents != funnel.kept.documents + removed:
        raise ConservationError(
            f"{funnel.read.documents:,} documents read, but {funnel.kept.documents:,} kept and {removed:,} removed"
        )
    removed_bytes = sum(totals.bytes for step in funnel.steps for totals in step.removed.values())
    cut_bytes = sum(step.cut_bytes for step in funnel.steps)
    if funnel.read.bytes != funnel.kept.bytes + removed_bytes + cut_bytes:
        raise ConservationError(
            f"{funnel.read.bytes:,} bytes read, but {funnel.kept.bytes:,} kept, {removed_bytes:,} removed and "
            f"{cut_bytes:,} cut out of texts"
        )
    held_out = sum(step.removed[HELD_OUT].documents for step in funnel.steps if HELD_OUT in step.removed)
    for product, rows in ((WriteShards.name, funnel.copies.documents), (WriteHeldOutShards.name, held_out)):
        if record.done(product):
            shards = [path for path in files.list_folder(corpus.folder(product)) if path.endswith(".parquet")]
            found = sum(map(_count_rows, shards))
            if found != rows:
                raise ConservationError(f"{product}: {rows:,} rows to write, {found:,} written")


def _count_rows(path: str) -> int:
    with files.open_columns(path) as source:
        return int(pq.ParquetFile(source).metadata.num_rows)
