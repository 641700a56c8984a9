"""How many of the documents that semantic deduplication removes are copies of what they are named after.

    python -m benchmarks.semantic_duplicates --data ../shared/data
    python -m benchmarks.semantic_duplicates --data ../shared/data --read 24

Corpora of pages in many versions and translations, and of pages of one template, as exact and near deduplication leave
them: with cosines alone, and with the second sign of `datapipe/dedup/exchanged_words.py`. Two documents are taken for
copies if they have the name of one page, in whatever version or translation (of pages that nobody translated). That is
strict: it counts against both sides pages of two names that hold the same. `--read` prints pairs drawn from those
removed with both signs, each with the words that differ, to be judged by reading.
"""

import argparse
import dataclasses
import difflib
import pathlib
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from benchmarks.dedup_quality import ROWS_PER_BATCH, ROWS_PER_PART, document_number, records
from datapipe.dedup.embeddings import EmbedDocuments
from datapipe.dedup.exact_duplicates import FindExactDuplicates
from datapipe.dedup.exchanged_words import WORDS_COLUMN
from datapipe.dedup.near_duplicates import FindNearDuplicates
from datapipe.dedup.semantic_duplicates import FindSemanticDuplicates
from datapipe.store.corpus import Corpus, Part, part_path, write_columns

CORPORA = {
    "zh-versions": 6,
    "multi-docs": 2,
    "multi-templated": 2,
    "zh-articles": 2,
    "en-c4-300": 1,
}  # each n-th record


class Removed(NamedTuple):
    """A document, the one that it is named after, and their cosine."""

    document: int
    of: int
    cosine: float


def page_name(record: dict[str, Any]) -> str:
    """What the versions and translations of a page share."""
    path = str(record.get("id", record["text"]))
    name = path.rpartition("/")[2] if record.get("source") == "debian-handbook" else path
    return str(record.get("cluster", name))


def corpus(texts: list[str], folder: pathlib.Path) -> list[Part]:
    """The texts as parts on disk, with vectors, and without exact and near duplicates."""
    parts = []
    for number, start in enumerate(range(0, len(texts), ROWS_PER_PART)):
        table = pa.table({"text": texts[start : start + ROWS_PER_PART]})
        part = Part(number, "document", len(table), {})
        parts.append(_written(part, folder, "documents", table))
    for stage in (FindExactDuplicates(), FindNearDuplicates()):
        verdicts = {id_: reason for batch in parts | stage for id_, reason in _reasons(batch)}
        column = f"{stage.name}_reason"
        reasons = [pa.table({column: pa.array([verdicts.get(int(i)) for i in p.ids], pa.string())}) for p in parts]
        parts = [_written(part, folder, stage.name, table) for part, table in zip(parts, reasons, strict=True)]
    (folder / "embeddings").mkdir()
    embed = EmbedDocuments().prepare(Corpus(str(folder)).with_parts(parts), str(folder / "embeddings"))
    embedded = []
    for part in parts:
        batches = [embed.process(batch) for batch in part.read(["text"], kept_only=False)]
        embedded.append(_written(part, folder, "embeddings", pa.Table.from_batches(batches)))
    return embedded


def _reasons(batch: pa.RecordBatch) -> Iterator[tuple[int, str]]:
    return zip(batch.column("id").to_pylist(), batch.column(batch.num_columns - 1).to_pylist(), strict=True)


def _written(part: Part, folder: pathlib.Path, stage: str, table: pa.Table) -> Part:
    (folder / stage).mkdir(exist_ok=True)
    path = part_path(str(folder / stage), part.number)
    part = part.with_stage(table.schema.names, path)
    write_columns(part, path, table.schema, iter(table.to_batches(max_chunksize=ROWS_PER_BATCH)))
    return part


def removed(parts: list[Part], second_sign: bool) -> list[Removed]:
    """What semantic deduplication removes."""
    if not second_sign:
        columns = [{name: path for name, path in part.columns.items() if name != WORDS_COLUMN} for part in parts]
        parts = [dataclasses.replace(part, columns=named) for part, named in zip(parts, columns, strict=True)]
    found = []
    for batch in parts | FindSemanticDuplicates():
        ids, of = (document_number(batch.column(column).to_numpy()) for column in ("id", "semantic_duplicates_of"))
        cosines = batch.column("semantic_duplicates_similarity").to_pylist()
        found += [Removed(*row) for row in zip(ids.tolist(), of.tolist(), cosines, strict=True)]
    return sorted(found)


def difference(first: str, second: str) -> str:
    """The words that differ, as one stands for another."""
    left, right = (re.findall(r"[\u3040-\u9fff]|\w+|[^\w\s]", text) for text in (first, second))
    steps = difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    changes = [
        f"[{' '.join(left[a:b])[:60]} > {' '.join(right[c:d])[:60]}]" for kind, a, b, c, d in steps if kind != "equal"
    ]
    return " ".join(changes)[:400]


def main() -> None:
    """Print the table, and pairs to read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the folder with `corpora/`")
    parser.add_argument("--read", type=int, default=0, help="pairs of each corpus to print")
    options = parser.parse_args()
    total = {False: [0, 0], True: [0, 0]}
    say = sys.stdout.write
    say(f"{'corpus':18} {'documents':>9} {'removed, copies: cosine alone':>30} {'both signs':>20}\n")
    for name, step in CORPORA.items():
        rows = list(records(options.data / f"corpora/{name}.jsonl.zst"))[::step]
        texts, names = [row["text"] for row in rows], [page_name(row) for row in rows]
        with tempfile.TemporaryDirectory() as folder:
            parts = corpus(texts, pathlib.Path(folder))
            found = {sign: removed(parts, sign) for sign in (False, True)}
        cells = []
        for sign, pairs in found.items():
            copies = sum(names[pair.document] == names[pair.of] for pair in pairs)
            total[sign] = [total[sign][0] + len(pairs), total[sign][1] + copies]
            cells.append(f"{len(pairs):,}, {copies:,}")
        say(f"{name:18} {len(rows):9,} {cells[0]:>30} {cells[1]:>20}\n")
        for pair in random.Random(7).sample(found[True], min(options.read, len(found[True]))):
            first, second = texts[pair.document], texts[pair.of]
            say(
                f"\n  {names[pair.document]} | {names[pair.of]}  {pair.cosine:.3f}\n  {' '.join(first.split())[:120]}\n"
            )
            say(f"    {difference(first, second)}\n")
    for sign, (count, copies) in total.items():
        say(
            f"{'both signs' if sign else 'cosine alone'}: precision {copies / max(1, count):.3f} of {count:,} removed\n"
        )


if __name__ == "__main__":
    main()
