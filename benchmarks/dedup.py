"""Speed of deduplication, one thread: signatures from text, and near-deduplication from text to the list of survivors.

    python -m benchmarks.dedup --data ../shared/data
    python -m benchmarks.dedup --data ../shared/data --sizes 50000 100000 200000
    python -m benchmarks.dedup --data ../shared/data --sizes 50000 100000 --window
    python -m benchmarks.dedup --data ../shared/data --hostile

Documents of about 3 KB, half Chinese and half English, are drawn from the paragraphs of real pages; one in ten is a
copy of an earlier one with 1 of 250 characters changed. All figures are CPU time of one process. Peers that are not
installed are named as absent; each runs on as many of the first documents as its speed allows. datatrove 0.10 needs
xxhash before 4, spacy and jieba.
"""

import argparse
import functools
import itertools
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable

import apache_beam as beam
import numpy as np
import pyarrow as pa

from benchmarks.dedup_quality import ROWS_PER_BATCH, ROWS_PER_PART, SHINGLE_SIZE, THRESHOLD, corpus, records
from datapipe.dedup.exact_duplicates import FindExactDuplicates
from datapipe.dedup.near_duplicates import FindNearDuplicates
from datapipe.dedup.repeated_text import FindRepeatedText
from datapipe.dedup.signatures import compute_signatures
from datapipe.stage import CorpusStage
from datapipe.store.corpus import Corpus, Part

DOCUMENT_BYTES = 3000
PERMUTATIONS = 128
Survivors = int
TOKEN = re.compile(r"[\u3005-\u3007\u3040-\u30ff\u3400-\u9fff]|[^\W\u3005-\u3007\u3040-\u30ff\u3400-\u9fff]+")


def documents(data: pathlib.Path, number: int) -> list[str]:
    """Documents as described above, the same for the same number."""
    random = np.random.default_rng(7)
    pools = []
    for name, language in (("zh-articles", None), ("multi-docs", "en-US")):
        pages = (page["text"] for page in records(data / f"corpora/{name}.jsonl.zst") if page.get("lang") == language)
        paragraphs = (line for text in itertools.islice(pages, 3000) for line in text.split("\n"))
        pools.append([line for line in paragraphs if len(line) > 40])
    made: list[str] = []
    while len(made) < number:
        if made and random.random() < 0.1:
            copy = list(made[random.integers(len(made))])
            for place in random.integers(len(copy), size=len(copy) // 250):
                copy[place] = "x"
            made.append("".join(copy))
            continue
        pool = pools[len(made) % 2]
        lines, size = [], 0
        while size < DOCUMENT_BYTES:
            lines.append(pool[random.integers(len(pool))])
            size += len(lines[-1].encode())
        made.append("\n".join(lines))
    return made


def shingles(text: str) -> set[str]:
    """The same tokens and shingles as `datapipe.text.shingles`, in Python."""
    tokens = TOKEN.findall(text.lower())
    return {" ".join(tokens[at : at + SHINGLE_SIZE]) for at in range(max(1, len(tokens) - SHINGLE_SIZE + 1))}


def datapipe_sketches(texts: list[str], scheme: str) -> None:
    for start in range(0, len(texts), ROWS_PER_BATCH):
        compute_signatures(pa.array(texts[start : start + ROWS_PER_BATCH]), scheme, PERMUTATIONS, SHINGLE_SIZE)


def datasketch_sketches(texts: list[str]) -> list:
    from datasketch import MinHash

    made = []
    for text in texts:
        sketch = MinHash(PERMUTATIONS)
        sketch.update_batch([shingle.encode() for shingle in shingles(text)])
        made.append(sketch)
    return made


def rensa_sketches(texts: list[str]) -> object:
    from rensa import RMinHash  # type: ignore[import-not-found]

    return RMinHash.digest_matrix_from_token_sets([list(shingles(text)) for text in texts], PERMUTATIONS, 1)


def rensa_rho_sketches(texts: list[str]) -> object:
    from rensa import RMinHash

    return RMinHash.digest_matrix_from_token_sets_rho([list(shingles(text)) for text in texts], PERMUTATIONS, 1)


def datatrove_sketches(texts: list[str]) -> None:
    from datatrove.data import Document  # type: ignore[import-not-found]
    from datatrove.pipeline.dedup.minhash import MinhashDedupSignature  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder:
        chinese, english = MinhashDedupSignature(folder, language="cmn"), MinhashDedupSignature(folder, language="eng")
        for number, text in enumerate(texts):
            step = english if number % 2 else chinese
            step.get_signature(step.get_shingles(Document(text, str(number)).text))


def datapipe_near(texts: list[str], parts: list[Part]) -> Survivors:
    """From the texts on disk, where datapipe has them; peers take them from memory."""
    verdicts = parts[: -(-len(texts) // ROWS_PER_PART)] | FindNearDuplicates(THRESHOLD, SHINGLE_SIZE)
    return len(texts) - sum(len(batch) - batch.column("near_duplicates_reason").null_count for batch in verdicts)


def datapipe_level(texts: list[str], parts: list[Part], stage: beam.PTransform) -> None:
    _ = parts[: -(-len(texts) // ROWS_PER_PART)] | stage


def datasketch_near(texts: list[str]) -> Survivors:
    from datasketch import MinHashLSH

    index = MinHashLSH(THRESHOLD, PERMUTATIONS)
    kept = 0
    for number, sketch in enumerate(datasketch_sketches(texts)):
        if not index.query(sketch):
            index.insert(number, sketch)
            kept += 1
    return kept


def datatrove_near(texts: list[str]) -> Survivors:
    """FineWeb's four stages, called in this process one after the other."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import minhash  # type: ignore[import-not-found]

    def pages() -> Iterable:
        return (Document(text, str(number)) for number, text in enumerate(texts))

    with tempfile.TemporaryDirectory() as folder:
        config = minhash.MinhashConfig()
        minhash.MinhashDedupSignature(f"{folder}/signatures", config).run(pages(), 0, 1)
        for bucket in range(config.num_buckets):
            step = minhash.MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)
            step.run(None, bucket, config.num_buckets)
        minhash.MinhashDedupCluster(f"{folder}/buckets", f"{folder}/removed", config=config).run(None, 0, 1)
        return sum(1 for _ in minhash.MinhashDedupFilter(f"{folder}/removed").run(pages(), 0, 1))


def timed(name: str, texts: list[str], run: Callable[[list[str]], object], base: float | None = None) -> float | None:
    """Print a row of the table and return the documents per second; None where the peer is absent."""
    try:
        run(texts[:20])  # compiles, imports and loads models
    except ImportError as error:
        print(f"| {name} | absent: {error} | | |")
        return None
    start = time.process_time()
    result = run(texts)
    speed = len(texts) / (time.process_time() - start)
    survivors = f"{result:,}" if isinstance(result, int) else ""
    print(
        f"| {name} | {speed:,.0f} | {f'{base / speed:,.0f} x' if base else ''} | {len(texts):,} {survivors} |",
        flush=True,
    )
    return speed


def hostile() -> None:
    """Print CPU time for the inputs that make a naive LSH quadratic."""
    words = [f"word{number}" for number in range(5000)]
    huge = np.random.default_rng(1).choice(words, 6_000_000).tolist()
    cases = {
        "100,000 identical documents": ["the same short text again"] * 100_000,
        "100,000 empty documents": [""] * 100_000,
        "10,000 runs of one character": ["a" * length for length in range(1, 10_001)],
        "a document of 50 MB and one without its end": [" ".join(huge), " ".join(huge[:-9000])],
        "a chain of 10,000": [" ".join(f"w{at + step}" for step in range(29)) for at in range(10_000)],
    }
    print("| hostile case | near duplicates, CPU s | survivors | repeated windows, CPU s |\n|---|---|---|---|")
    for name, texts in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            parts = corpus(texts, folder)
            start = time.process_time()
            left = datapipe_near(texts, parts)
            seconds = time.process_time() - start
            start = time.process_time()
            _ = parts | FindRepeatedText({"window": 1})
            print(f"| {name} | {seconds:.2f} | {left:,} | {time.process_time() - start:.2f} |", flush=True)


def peak_bytes() -> int:
    """The most memory this process has held. `getrusage` would count what the parent held when it forked."""
    (line,) = [line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def one_size(folder: pathlib.Path, number: int, window: bool) -> None:
    """Print CPU time and memory, in this fresh process, for the first `number` documents of a corpus."""
    schema = pa.schema([("text", pa.string())])
    paths = sorted(folder.glob("*.parquet"))[: number // ROWS_PER_PART]
    parts = [
        Part(at, "document", ROWS_PER_PART, {}).with_stage(schema.names, str(path)) for at, path in enumerate(paths)
    ]
    stage = FindRepeatedText({"window": 1}) if window else FindNearDuplicates(THRESHOLD, SHINGLE_SIZE)
    stage = stage.prepare(Corpus(str(folder)), str(folder))  # as `datapipe run` has it
    _ = parts[:1] | stage
    before = peak_bytes()
    start = time.process_time()
    verdicts = parts | stage
    seconds = time.process_time() - start
    grown = peak_bytes() - before
    column = "repeated_text_spans" if window else "near_duplicates_reason"
    removed = sum(len(batch) - batch.column(column).null_count for batch in verdicts)
    speed, memory = number / seconds, grown / (number - ROWS_PER_PART)
    print(f"| {number:,} | {seconds:.2f} | {speed:,.0f} | {memory:,.0f} | {removed:,} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the folder with `corpora/`")
    parser.add_argument("--documents", type=int, default=50_000, help="for datapipe; peers get a share of them")
    parser.add_argument("--sizes", type=int, nargs="*", default=[], help="only: cost of so many documents, 10,000s")
    parser.add_argument("--window", action="store_true", help="with --sizes: repeated windows, not near duplicates")
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--hostile", action="store_true", help="only: cost of hostile inputs")
    options = parser.parse_args()
    if options.hostile:
        hostile()
        return
    if options.folder:
        one_size(options.folder, options.sizes[0], options.window)
        return
    if options.sizes:
        print("| documents | CPU s | documents/s | bytes of memory a document | removed or cut |", flush=True)
        print("|---|---|---|---|---|", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            corpus(documents(options.data, max(options.sizes)), folder)
            command = [sys.executable, "-m", "benchmarks.dedup", "--data", str(options.data)]
            command += ["--window"] if options.window else []
            for size in options.sizes:
                subprocess.run([*command, "--folder", f"{folder}/documents", "--sizes", str(size)], check=True)
        return
    texts = documents(options.data, options.documents)
    some, few = texts[: len(texts) // 20], texts[: len(texts) // 100]
    print("| signatures from text | documents/s | datapipe is | documents |\n|---|---|---|---|")
    fast = timed("datapipe, fast", texts, functools.partial(datapipe_sketches, scheme="fast"))
    timed("datapipe, as datasketch", texts, functools.partial(datapipe_sketches, scheme="datasketch"))
    timed("datasketch update_batch", some, datasketch_sketches, fast)
    timed("rensa R", some, rensa_sketches, fast)
    timed("rensa rho", some, rensa_rho_sketches, fast)
    timed("datatrove, 14 x 8", few, datatrove_sketches, fast)
    with tempfile.TemporaryDirectory() as folder:
        parts = corpus(texts, folder)
        print("\n| near-deduplication | documents/s | datapipe is | documents, survivors |\n|---|---|---|---|")
        whole = timed("datapipe, in Beam", texts, functools.partial(datapipe_near, parts=parts))
        timed("datasketch MinHashLSH", some, datasketch_near, whole)
        timed("datatrove, four stages", few, datatrove_near, whole)
        print("\n| other levels, in Beam | documents/s | | documents |\n|---|---|---|---|")
        stages: dict[str, CorpusStage] = {"exact": FindExactDuplicates()}
        stages |= {unit: FindRepeatedText({unit: 1}) for unit in ("line", "paragraph", "sentence", "span", "window")}
        for name, stage in stages.items():
            timed(name, texts, functools.partial(datapipe_level, parts=parts, stage=stage))


if __name__ == "__main__":
    main()
