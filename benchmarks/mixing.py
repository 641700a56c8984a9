"""How long another mixture of a million documents takes, from the columns alone.

    python -m benchmarks.mixing

Writes the columns of a finished run, of made-up lengths and groups and without text that counts, and times
`datapipe mix` over it from the start of the process to its end, so that imports and reading are in the figure.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa

from datapipe.store.corpus import PartKind, part_path
from datapipe.store.files import write_table
from datapipe.store.record import Done, PartRecord, RunRecord, SourceResult

PART_ROWS = 50_000
DOCUMENT: tuple[PartKind, ...] = ("document",)
SHARES = "{s0: {zh: 0.2, en: 0.1}, s1: 0.2, s2: 0.05}"


def main() -> None:
    """Print the seconds of each of three runs, of a mixture and of a search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        _write(folder, rows)
        mixture = ["--by", "source", "language", "--shares", SHARES, "--save", str(folder / "selection.parquet")]
        search = ["--by", "source", "--proxies", "64", "--proxy-budget", str(rows), "--save", str(folder / "proxies")]
        for what, arguments in (("a mixture", mixture), ("64 proxies", search)):
            for _ in range(3):
                started, spent = time.monotonic(), _spent()
                command = [sys.executable, "-m", "datapipe.cli", "mix", str(folder), *arguments]
                subprocess.run(command, check=True, capture_output=True)
                wall = time.monotonic() - started
                print(f"{what} of {rows:,} documents: {wall:.2f} s, of the processor {_spent() - spent:.2f} s")


def _spent() -> float:
    """Seconds of the processor that children have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write(folder: pathlib.Path, rows: int) -> None:
    random = np.random.RandomState(0)
    parts = []
    for number, start in enumerate(range(0, rows, PART_ROWS)):
        count = min(PART_ROWS, rows - start)
        lengths = np.maximum(1, random.lognormal(6, 1, count)).astype(np.int64)
        columns = {
            "text": pa.array([""] * count),
            "source": pa.array(random.choice(["s0", "s1", "s2", "s3"], count, p=[0.6, 0.2, 0.15, 0.05])),
            "bytes": pa.array(4 * lengths),
            "language": pa.array(random.choice(["en", "zh", "de", "fr"], count)),
            "tokens": pa.array(lengths, pa.int32()),
        }
        (folder / "documents").mkdir(exist_ok=True)
        write_table(part_path(str(folder / "documents"), number), pa.table(columns))
        parts.append(PartRecord(number, "document", count, int(4 * lengths.sum()), tuple(columns), ()))
    source = SourceResult(tuple(parts), rows, 0, {})
    record = RunRecord({"name": "made up", "stages": [{"documents": {}}]}, [], {}, funnel={})
    record.stages["documents"] = Done("", 0.0, 0, DOCUMENT, tuple(columns), source=source)
    record.write(str(folder))


if __name__ == "__main__":
    main()
