"""What leaked from which evaluation set, and where: written as two tables, and counted for the funnel and the report.

Stages that look for evaluation records write a column `<stage>_leaks`: for each document a list of records, each with
the passage that both have. Here these become rows that any Parquet tool can sort and join:

    leaks/documents.parquet   a row for each record in each document: stage, file, record, document, score, text
    leaks/records.parquet     a row for each evaluation record, if `contaminated_tokens` ran: how much of it was seen
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datapipe.store import files
from datapipe.store.corpus import LEAKS, Corpus, Part
from datapipe.store.record import Done, Skipped
from datapipe.store.schemas import EVALUATION_RECORDS

FOLDER, DOCUMENTS, RECORDS = "leaks", "documents.parquet", "records.parquet"
# Llama 2 (appendix A.6) tells results apart for records below and from these shares of contaminated tokens on.
CLEAN, DIRTY = 0.2, 0.8
_SHARED = "contaminated_tokens" + LEAKS  # the column whose leaks say which tokens
_NAME = r"(?s)^(?P<file>.*)#(?P<number>\d+)$"  # of an evaluation record

_DOCUMENTS = pa.schema(
    [
        ("stage", pa.string()),
        ("file", pa.string()),
        ("record", pa.int64()),
        ("document", pa.string()),
        ("score", pa.float32()),
        ("text", pa.string()),
    ]
)
_RECORDS = pa.schema(
    [
        ("file", pa.string()),
        ("record", pa.int64()),
        ("tokens", pa.int32()),
        ("share", pa.float32()),
        ("kept_share", pa.float32()),
        ("level", pa.string()),
    ]
)


@dataclasses.dataclass(frozen=True)
class LeakCount:
    """Of an evaluation file: how many documents its records were found in, and how many of its records were found."""

    documents: int
    records: int


@dataclasses.dataclass(frozen=True)
class Levels:
    """Of an evaluation file: how many records there are, and how many in each of Llama 2's four sets, by what the
    documents kept have of them; each record is in two."""

    records: int
    clean: int
    not_clean: int
    not_dirty: int
    dirty: int


def write_leaks(corpus: Corpus, stages: Mapping[str, Done | Skipped]) -> None:
    """Write the tables of a finished run into the folder `leaks`, if a stage of it looked for evaluation records."""
    columns = leak_columns(stages)
    folder = corpus.folder(FOLDER)
    files.remove(folder)
    if not columns:
        return
    files.make_folder(folder)
    with (
        files.whole_file(files.join(folder, DOCUMENTS)) as sink,
        pq.ParquetWriter(sink, _DOCUMENTS, compression="zstd") as writer,
    ):
        for part in corpus.parts:
            for column in (column for column in columns if column in part.columns):
                writer.write_table(_rows(part, column))
    if _SHARED in columns:
        files.write_table(files.join(folder, RECORDS), measure_records(corpus))


def leak_columns(stages: Mapping[str, Done | Skipped]) -> list[str]:
    """The columns of leaks that the stages of a run have written, in order."""
    done = [stage for stage in stages.values() if isinstance(stage, Done) and not stage.source]
    return [name for stage in done for name in stage.columns if name.endswith(LEAKS)]


def leaks_of(corpus: Corpus, record: str) -> list[dict[str, Any]]:
    """Where a record, `file#number`, was found, in a finished run: rows of `leaks/documents.parquet`."""
    path = files.join(corpus.folder(FOLDER), DOCUMENTS)
    name = pc.extract_regex(pa.array([record]), _NAME)[0].as_py()
    if name is None or not files.exists(path):
        return []
    wanted = [("file", "=", name["file"]), ("record", "=", int(name["number"]))]
    with files.open_columns(path) as source:
        rows: list[dict[str, Any]] = pq.read_table(source, filters=wanted).to_pylist()
    return rows


def first_leaks(corpus: Corpus, stages: Mapping[str, Done | Skipped], count: int) -> list[dict[str, Any]]:
    """The first rows of `leaks/documents.parquet`."""
    rows: list[dict[str, Any]] = []
    for part in corpus.parts:
        for column in (column for column in leak_columns(stages) if column in part.columns):
            if len(rows) < count:
                rows += _rows(part, column).slice(0, count - len(rows)).to_pylist()
    return rows


def count_leaks(corpus: Corpus, stages: Mapping[str, Done | Skipped]) -> dict[str, LeakCount]:
    """The count of each evaluation file of which something was found, whichever stages found it."""
    documents: dict[str, int] = {}
    records: dict[str, set[int]] = {}
    for part in corpus.parts:
        found = [_rows(part, column) for column in leak_columns(stages) if column in part.columns]
        if not found:
            continue
        pairs = pa.concat_tables(found).select(["file", "document"]).group_by(["file", "document"]).aggregate([])
        for file in pairs.column("file").to_pylist():
            documents[file] = documents.get(file, 0) + 1
        for table in found:
            for file, number in zip(table.column("file").to_pylist(), table.column("record").to_pylist(), strict=True):
                records.setdefault(file, set()).add(number)
    return {file: LeakCount(count, len(records[file])) for file, count in sorted(documents.items())}


def count_levels(corpus: Corpus, stages: Mapping[str, Done | Skipped]) -> dict[str, Levels]:
    """The levels of each evaluation file, if `contaminated_tokens` ran."""
    if _SHARED not in leak_columns(stages):
        return {}
    shares: dict[str, list[float]] = {}
    for row in measure_records(corpus).to_pylist():
        shares.setdefault(row["file"], []).append(row["kept_share"])
    return {
        file: Levels(
            len(of_file),
            sum(share < CLEAN for share in of_file),
            sum(share >= CLEAN for share in of_file),
            sum(share < DIRTY for share in of_file),
            sum(share >= DIRTY for share in of_file),
        )
        for file, of_file in sorted(shares.items())
    }


def measure_records(corpus: Corpus) -> pa.Table:
    """How much of each evaluation record stands in the documents that were looked at, and in those kept.

    Memory grows with the evaluation sets, not with the documents.
    """
    stage = _SHARED.removesuffix(LEAKS)
    with files.open_columns(files.join(corpus.folder(stage), EVALUATION_RECORDS)) as source:
        records = pq.read_table(source)
    names = records.column("record").to_pylist()
    seen: dict[str, set[int]] = {}
    kept_seen: dict[str, set[int]] = {}
    for part in (part for part in corpus.parts if _SHARED in part.columns):
        leaks, kept = part.column(_SHARED), part.kept()
        for row in leaks.is_valid().to_numpy(zero_copy_only=False).nonzero()[0].tolist():
            for leak in leaks[row].as_py():
                tokens = {
                    token
                    for begin, end in zip(leak["runs"][::2], leak["runs"][1::2], strict=True)
                    for token in range(begin, end)
                }
                for sets in (seen, kept_seen) if kept[row] else (seen,):
                    sets.setdefault(leak["record"], set()).update(tokens)
    lengths = pc.list_value_length(records.column("tokens")).to_pylist()
    shares, kept_shares = (
        [len(sets.get(name, ())) / max(1, length) for name, length in zip(names, lengths, strict=True)]
        for sets in (seen, kept_seen)
    )
    levels = ["clean" if share < CLEAN else "dirty" if share >= DIRTY else "in between" for share in kept_shares]
    name = pc.extract_regex(pa.array(names, pa.string()), _NAME)
    numbers = name.field("number").cast(pa.int64())
    return pa.table([name.field("file"), numbers, lengths, shares, kept_shares, levels], schema=_RECORDS)


def _rows(part: Part, column: str) -> pa.Table:
    """The leaks of a part that a column holds, a row for each record in each document."""
    leaks = part.column(column)
    parents = pc.list_parent_indices(leaks)
    found = pc.list_flatten(leaks)
    name = pc.extract_regex(found.field("record"), _NAME)
    scores = [found.field(field) for field in ("score", "share") if found.type.get_field_index(field) >= 0]
    return pa.table(
        [
            pa.repeat(pa.scalar(column.removesuffix(LEAKS)), len(found)),
            name.field("file"),
            name.field("number").cast(pa.int64()),
            pc.binary_join_element_wise(str(part.number), parents.cast(pa.string()), "-"),
            scores[0] if scores else pa.nulls(len(found), pa.float32()),
            found.field("text"),
        ],
        schema=_DOCUMENTS,
    )
