"""Quality of near-duplicate detection against brute force: which pairs, and how many survivors.

Two corpora, each with the exact Jaccard similarity of all its pairs as the truth: real texts with planted edits of 1 to
30 %, and natural versions of the same pages. All systems compare the same shingles.

    python -m benchmarks.dedup_quality --data ../shared/data

Columns: pairs that share a bucket against pairs of similarity >= 0.8 (precision, recall); pairs that end in one cluster
against what those true pairs connect (precision, recall); documents that survive, and how many should.
"""

import argparse
import io
import itertools
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse
import zstandard

from datapipe.dedup.near_duplicates import FindNearDuplicates
from datapipe.dedup.shingle_sets import sorted_sets
from datapipe.dedup.signatures import compute_signatures
from datapipe.store.corpus import ROW_BITS, Part, part_path, write_columns
from datapipe.text.characters import text_buffers
from datapipe.text.minhash import band_hashes
from datapipe.text.shingles import shingle_hashes

THRESHOLD = 0.8
SHINGLE_SIZE = 5
EDITS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3)
ROWS_PER_PART = 10_000
ROWS_PER_BATCH = 1000
Pairs = npt.NDArray[np.int64]  # of documents i < j, as i * n + j


def records(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """The records of a JSON lines file."""
    with path.open("rb") as source:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(source), encoding="utf8")
        yield from map(json.loads, text)


def planted(data: pathlib.Path, originals: int) -> list[str]:
    """Chinese and English texts, each with a copy for each share of `EDITS` in which so many tokens are replaced."""
    random = np.random.default_rng(1)
    texts = []
    for name, joiner in (("zh-articles", ""), ("multi-docs", " ")):
        whole = (record["text"] for record in records(data / f"corpora/{name}.jsonl.zst"))
        chosen = (text for text in whole if 1000 < len(text) < 6000)
        for text in itertools.islice(chosen, originals):
            tokens = text.split(" ") if joiner else list(text)
            texts.append(text)
            for share in EDITS:
                copy = list(tokens)
                for place in random.choice(len(copy), round(share * len(copy)), replace=False):
                    copy[place] = tokens[random.integers(len(tokens))]
                texts.append(joiner.join(copy))
    return texts


def natural(data: pathlib.Path, documents: int) -> list[str]:
    """Versions of the same Chinese pages, byte for byte different."""
    texts = (record["text"] for record in records(data / "corpora/zh-versions.jsonl.zst"))
    return list(itertools.islice(dict.fromkeys(texts), documents))


def true_pairs(texts: list[str]) -> Pairs:
    """All pairs of exact Jaccard similarity >= `THRESHOLD`."""
    members, bounds = sorted_sets(*shingle_hashes(*text_buffers(pa.array(texts)), SHINGLE_SIZE))
    _, columns = np.unique(members, return_inverse=True)
    sets = scipy.sparse.csr_matrix((np.ones(len(members), np.int32), columns, bounds))
    shared = scipy.sparse.triu(sets @ sets.T, k=1).tocoo()
    sizes = np.diff(bounds)
    similar = shared.data >= THRESHOLD * (sizes[shared.row] + sizes[shared.col] - shared.data)
    return np.sort(shared.row[similar].astype(np.int64) * len(texts) + shared.col[similar])


def pairs_of_buckets(buckets: npt.NDArray[np.uint64]) -> Pairs:
    """All pairs of documents that share a bucket; shape of `buckets`: (documents, bands)."""
    _, columns = np.unique(buckets, return_inverse=True)
    documents, bands = buckets.shape
    places = np.arange(documents + 1) * bands
    member = scipy.sparse.csr_matrix((np.ones(documents * bands, np.int32), columns.ravel(), places))
    shared = scipy.sparse.triu(member @ member.T, k=1).tocoo()
    return np.sort(shared.row.astype(np.int64) * documents + shared.col)


def closure(pairs: Pairs, documents: int) -> tuple[Pairs, int]:
    """The pairs that end in one cluster, and the number of clusters, single documents included."""
    graph = scipy.sparse.coo_matrix((np.ones(len(pairs)), (pairs // documents, pairs % documents)), (documents,) * 2)
    count, labels = scipy.sparse.csgraph.connected_components(graph, directed=False)
    return pairs_of_buckets(labels.astype(np.uint64)[:, None]), count


def with_datapipe(texts: list[str], bands: int, rows: int, slots: int) -> tuple[Pairs, Pairs]:
    """Candidate pairs, and pairs in one cluster, of `FindNearDuplicates`."""
    signatures, known = compute_signatures(pa.array(texts), "fast", slots, SHINGLE_SIZE)
    buckets = band_hashes(signatures, bands, rows)
    buckets[~known] = np.arange((~known).sum(), dtype=np.uint64)[:, None]
    with tempfile.TemporaryDirectory() as folder:
        verdicts = corpus(texts, folder) | FindNearDuplicates(THRESHOLD, SHINGLE_SIZE, bands, rows, slots)
    clusters = np.arange(len(texts), dtype=np.uint64)
    for batch in verdicts:
        ids, survivors = (batch.column(column).to_numpy() for column in ("id", "near_duplicates_cluster"))
        clusters[document_number(ids)] = document_number(survivors)
    return pairs_of_buckets(buckets), pairs_of_buckets(clusters[:, None])


def document_number(ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The place of a document in the list that `corpus` was made of."""
    return (ids >> np.uint64(ROW_BITS)) * np.uint64(ROWS_PER_PART) + (ids & np.uint64((1 << ROW_BITS) - 1))


def corpus(texts: list[str], folder: str) -> list[Part]:
    """The texts as parts on disk."""
    parts = []
    (pathlib.Path(folder) / "documents").mkdir()
    for number, start in enumerate(range(0, len(texts), ROWS_PER_PART)):
        table = pa.table({"text": texts[start : start + ROWS_PER_PART]})
        path = part_path(f"{folder}/documents", number)
        part = Part(number, "document", len(table), {}).with_stage(table.schema.names, path)
        write_columns(part, path, table.schema, iter(table.to_batches(max_chunksize=ROWS_PER_BATCH)))
        parts.append(part)
    return parts


def string_sets(texts: list[str]) -> list[list[str]]:
    """The shingle sets of texts as strings, for peers that hash them."""
    members, bounds = sorted_sets(*shingle_hashes(*text_buffers(pa.array(texts)), SHINGLE_SIZE))
    return [[str(member) for member in members[a:b]] for a, b in itertools.pairwise(bounds)]


def with_datasketch(texts: list[str]) -> Pairs:
    """The pairs of `datasketch.MinHashLSH` with its own choice of bands for the threshold."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(THRESHOLD, 128)
    found = []
    for number, members in enumerate(string_sets(texts)):
        sketch = MinHash(128)
        sketch.update_batch([member.encode() for member in members])
        found += [other * len(texts) + number for other in index.query(sketch)]
        index.insert(number, sketch)
    return np.sort(np.array(found, np.int64))


def with_rensa(texts: list[str]) -> Pairs:
    """The pairs of rensa's R-MinHash index, 128 slots in 16 bands."""
    from rensa import RMinHash, RMinHashLSH  # type: ignore[import-not-found]

    index = RMinHashLSH(THRESHOLD, 128, 16)
    found = []
    for number, members in enumerate(string_sets(texts)):
        sketch = RMinHash(128, 1)
        sketch.update(members)
        found += [other * len(texts) + number for other in index.query(sketch)]
        index.insert(number, sketch)
    return np.sort(np.array(found, np.int64))


def with_datatrove_settings(texts: list[str]) -> Pairs:
    """The pairs of FineWeb's MinHash deduplication in datatrove: 14 bands of 8, no verification."""
    signatures, _ = compute_signatures(pa.array(texts), "datasketch_legacy", 112, SHINGLE_SIZE)
    return pairs_of_buckets(band_hashes(signatures, 14, 8))


def share(part: int, whole: int) -> str:
    """A ratio for the table."""
    return f"{part / whole:.4f}" if whole else "-"


def report(name: str, texts: list[str]) -> None:
    """Print the table of one corpus."""
    truth = true_pairs(texts)
    connected, survivors = closure(truth, len(texts))
    print(f"\n{name}: {len(texts):,} documents, {len(truth):,} true pairs, {survivors:,} should survive\n")
    print("| system | bucket pairs P / R | cluster pairs P / R | survivors |")
    print("|---|---|---|---|")

    def row(system: str, raw: Pairs, clustered: Pairs, left: int) -> None:
        raw_hits, hits = len(np.intersect1d(raw, truth)), len(np.intersect1d(clustered, connected))
        print(
            f"| {system} | {share(raw_hits, len(raw))} / {share(raw_hits, len(truth))} "
            f"| {share(hits, len(clustered))} / {share(hits, len(connected))} | {left:,} |"
        )

    for bands, rows in ((20, 6), (14, 8), (9, 13)):
        raw, clustered = with_datapipe(texts, bands, rows, max(128, bands * rows))
        row(f"datapipe {bands} x {rows}, verified", raw, clustered, closure(clustered, len(texts))[1])
    peers: dict[str, Callable[[list[str]], Pairs]] = {
        "datasketch MinHashLSH(0.8)": with_datasketch,
        "rensa RMinHashLSH(0.8), 16 bands": with_rensa,
        "datatrove's settings, 14 x 8, no check": with_datatrove_settings,
    }
    for system, find in peers.items():
        try:
            raw = find(texts)
        except ImportError as error:
            print(f"| {system} | absent: {error} | | |")
            continue
        row(system, raw, *closure(raw, len(texts)))


def main() -> None:
    """Run both corpora."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the folder with `corpora/`")
    parser.add_argument("--originals", type=int, default=150, help="texts a language that get planted edits")
    parser.add_argument("--versions", type=int, default=2500, help="documents of natural versions")
    options = parser.parse_args()
    report("planted edits of 1 to 30 %", planted(options.data, options.originals))
    report("natural versions", natural(options.data, options.versions))


if __name__ == "__main__":
    main()
