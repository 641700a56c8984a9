"""Chinese word segmentation: rjieba and the kernel here in turn, on the same documents.

    python -m benchmarks.chinese_words --data ../shared/data

Documents are pieces of 1,000 characters, 2 to 3 KB. CPU time of one thread, medians; that the words are the same is
checked first.
"""

import argparse
import pathlib
import statistics
import time

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import rjieba

from benchmarks.dedup_quality import records
from datapipe.text.words import GIVEN, segment

DOCUMENTS = 2000
CHARACTERS = 1000
ROUNDS = 9


def library(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Lengths of all words by rjieba, one document after another."""
    lengths: list[int] = []
    for text in texts:
        lengths.extend(map(len, rjieba.cut(text.as_py())))
    return np.array(lengths)


def kernel(texts: pa.Array) -> npt.NDArray[np.int64]:
    """The same by the kernel."""
    _, ends, bounds = segment(texts, np.full(len(texts), GIVEN, np.int8))
    lengths = np.diff(ends, prepend=0).astype(np.int64)
    lengths[bounds[:-1]] = ends[bounds[:-1]]
    return lengths


def main(argv: list[str] | None = None) -> None:
    """Print microseconds a document, and how many times as fast the kernel is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the shared corpora")
    data = parser.parse_args(argv).data
    print(f"{'corpus':16}{'documents':>10}{'rjieba':>10}{'kernel':>10}{'ratio':>8}")
    for name in ("zh-articles", "zh-versions"):
        joined = "\n".join(record["text"] for record in records(data / f"corpora/{name}.jsonl.zst"))
        step = len(joined) // DOCUMENTS
        texts = pa.array([joined[i * step : i * step + CHARACTERS] for i in range(DOCUMENTS)])
        assert np.array_equal(library(texts), kernel(texts))
        seconds: dict[str, list[float]] = {"library": [], "kernel": []}
        for _ in range(ROUNDS):
            for judge in (library, kernel):
                begin = time.process_time()
                judge(texts)
                seconds[judge.__name__].append(time.process_time() - begin)
        peer, own = (statistics.median(seconds[key]) / len(texts) * 1e6 for key in ("library", "kernel"))
        print(f"{name:16}{len(texts):>10}{peer:>8.1f}us{own:>8.1f}us{peer / own:>8.2f}")


if __name__ == "__main__":
    main()
