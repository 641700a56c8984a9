"""What each embedding model sees of edits and paraphrases, how fast it is, and what the search within clusters misses.

    python benchmarks/embeddings.py --data ../shared/data --model hashed_ngrams --model PATH_OF_A_MODEL

CPU time of one thread (set OMP_NUM_THREADS=1). Edits: of each page a copy with 1, 5, 10, 20 or 30 % of its words
(Chinese: characters) replaced, deleted or added; the figure is the probability that page and copy lie nearer than the
page and another one: any other, or the nearest other. Paraphrases: the probability that a pair of LCQMC questions of
one meaning lies nearer than one of two meanings.
"""

import argparse
import itertools
import json
import pathlib
import random
import tempfile
import time
from collections.abc import Sequence

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import zstandard

from datapipe.dedup.clusters import learn_centres, nearest
from datapipe.dedup.embeddings import HASHED_NGRAMS, EmbedDocuments, read_vectors
from datapipe.dedup.semantic_duplicates import MIN_THRESHOLD, NEAREST_CLUSTERS, calibrate
from datapipe.store.corpus import Corpus, Part, part_path, write_columns

EDIT_RATES = (0.01, 0.05, 0.1, 0.2, 0.3)
PAGE_CHARACTERS = {"en": 3000, "zh": 1000}  # 3 KB each
Vectors = npt.NDArray[np.float32]


def read_json_lines(path: pathlib.Path) -> list[dict[str, str]]:
    """The records of a .jsonl.zst file."""
    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_pages(data: pathlib.Path, language: str, count: int) -> list[str]:
    """Real pages of at least 800 characters, cut to 3 KB, no two the same: technical manuals, translated articles."""
    if language == "en":
        records = read_json_lines(data / "corpora" / "multi-docs.jsonl.zst")
        texts = [record["text"] for record in records if record["lang"].startswith("en")]
    else:
        texts = [record["text"] for record in read_json_lines(data / "corpora" / "zh-articles.jsonl.zst")]
    pages = dict.fromkeys(text[: PAGE_CHARACTERS[language]] for text in texts if len(text) >= 800)
    return list(itertools.islice(pages, count))


def edited_copies(pages: list[str], language: str) -> list[str]:
    """A copy of each page, with the `EDIT_RATES` in turn."""
    generator = random.Random(1)
    separator = "" if language == "zh" else " "
    copies = []
    for page, rate in zip(pages, itertools.cycle(EDIT_RATES), strict=False):
        units = page.split(separator) if separator else list(page)
        found: list[str] = []
        for unit in units:
            kind = generator.randrange(3) if generator.random() < rate else 3
            found += {0: [generator.choice(units)], 1: [], 2: [unit, generator.choice(units)], 3: [unit]}[kind]
        copies.append(separator.join(found))
    return copies


def read_paraphrases(data: pathlib.Path) -> tuple[list[str], list[str], npt.NDArray[np.bool_]]:
    """The pairs of the LCQMC development set, and whether they mean the same."""
    records = read_json_lines(data / "labelled" / "zh-paraphrase-pairs.jsonl.zst")
    pairs = [record for record in records if record["set"] == "LCQMC"]
    same = np.array([int(record["same"]) == 1 for record in pairs])
    return [pair["a"] for pair in pairs], [pair["b"] for pair in pairs], same


def area_under_curve(positives: npt.NDArray[np.float32], negatives: npt.NDArray[np.float32]) -> float:
    """The probability that a positive scores above a negative."""
    ordered = np.sort(negatives)
    return float(np.searchsorted(ordered, positives).mean() / len(ordered))


def edit_areas(pages: Vectors, copies: Vectors) -> tuple[float, float]:
    """How well edited copies stand out from any other page, and from the nearest other page."""
    cosines = pages @ pages.T
    others = cosines[np.triu_indices(len(pages), 1)]
    np.fill_diagonal(cosines, -1)
    found = (pages * copies).sum(axis=1)
    return area_under_curve(found, others), area_under_curve(found, cosines.max(axis=1))


def vectors_of(stage: EmbedDocuments, texts: Sequence[str | None]) -> Vectors:
    """The vectors of those texts that have one."""
    return read_vectors(stage.process(pa.record_batch({"text": pa.array(texts, pa.string())})).column(0))[0]


def prepared(stage: EmbedDocuments, texts: list[str], folder: str) -> EmbedDocuments:
    """The stage after it has learnt from a corpus of these texts."""
    table = pa.table({"text": texts})
    path = part_path(folder, 0)
    part = Part(0, "document", len(table), {}).with_stage(table.schema.names, path)
    write_columns(part, path, table.schema, iter(table.to_batches()))
    return stage.prepare(Corpus(folder, (part,)), folder)


def measure_model(model: str, data: pathlib.Path, documents: int) -> None:
    """Print the figures of one model."""
    pages = {language: read_pages(data, language, documents) for language in ("en", "zh")}
    questions, answers, same = read_paraphrases(data)
    count = len(same) if model == HASHED_NGRAMS else 2 * documents
    with tempfile.TemporaryDirectory() as folder:
        stage = prepared(EmbedDocuments(model=model), pages["en"] + pages["zh"], folder)
        vectors_of(stage, ["warm up"])
        print(f"\n{model}, {documents} pages a language, {count} LCQMC pairs")
        every = []
        for language, texts in pages.items():
            start = time.process_time()
            vectors = vectors_of(stage, texts)
            speed = len(texts) / (time.process_time() - start)
            every.append(vectors)
            any_other, nearest_other = edit_areas(vectors, vectors_of(stage, edited_copies(texts, language)))
            print(
                f"  {language}  {speed:8,.0f} documents/s   edits against any other page {any_other:.4f}, "
                f"the nearest other {nearest_other:.4f}   calibrated threshold {calibrate(vectors)}"
            )
        first, second = vectors_of(stage, questions[:count]), vectors_of(stage, answers[:count])
        cosines, same = (first * second).sum(axis=1), same[:count]
        print(f"  zh  LCQMC {area_under_curve(cosines[same], cosines[~same]):.4f}")


def measure_search(rows: int, dimensions: int) -> None:
    """Print how many pairs of cosine .9 meet in a cluster, for clusters as the stage chooses them."""
    generator = np.random.default_rng(0)
    subjects = 2 * generator.normal(size=(200, dimensions)).astype(np.float32)
    firsts = subjects[generator.integers(0, 200, rows // 2)] + generator.normal(size=(rows // 2, dimensions))
    seconds = firsts + generator.uniform(0.3, 0.8, (rows // 2, 1)) * generator.normal(size=firsts.shape)
    vectors = np.concatenate([firsts, seconds]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(dimensions)
    index.add(vectors)
    bounds, _, others = index.range_search(vectors, MIN_THRESHOLD)
    rows_of = np.repeat(np.arange(rows), np.diff(bounds).astype(np.int64))
    pairs = rows_of < others
    start = time.process_time()
    centres = learn_centres(vectors[:: max(1, rows // 50_000)], int((2 * rows) ** 0.5), 0)
    _, clusters = nearest(vectors, centres, NEAREST_CLUSTERS)
    seconds_taken = time.process_time() - start
    for count in range(1, NEAREST_CLUSTERS + 1):
        mine, theirs = clusters[rows_of[pairs], :count], clusters[others[pairs], :count]
        met = (mine[:, :, None] == theirs[:, None, :]).any(axis=(1, 2)).mean()
        print(
            f"  {rows:,} x {dimensions}, {len(centres)} clusters, nearest {count}: {met:.4f} of {pairs.sum():,} pairs"
        )
    print(f"  centres and assignment: {seconds_taken:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the folder with corpora/ and labelled/")
    parser.add_argument("--model", action="append", help="hashed_ngrams, or a sentence-transformers name or folder")
    parser.add_argument("--documents", type=int, default=1000, help="pages of each language")
    arguments = parser.parse_args()
    for model in arguments.model or [HASHED_NGRAMS]:
        measure_model(model, arguments.data, arguments.documents)
    print("\nsearch within clusters")
    measure_search(20_000, 256)


if __name__ == "__main__":
    main()
