"""What a start costs: CPU seconds of whole processes on ten English documents of `sample_data`, medians of some rounds.

    python -m benchmarks.start [--peers ../shared/peers --datatrove PYTHON]

`cold` is the default recipe with no compiled kernel, `warm` with those that the run before it compiled; both beside the
imports of the libraries that it runs on. `six stages` is the peers' recipe, warm; with --datatrove, the same beside
datatrove's job: PYTHON is of an environment that holds it.
"""

import argparse
import gzip
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.whole_job import ROOT, absolute, cost, datapipe

IMPORTS = "import apache_beam, numba, pyarrow.parquet, tokenizers, faiss"
DOCUMENTS = ROOT / "sample_data" / "documents" / "english.jsonl.gz"


def median_cpu(commands: Sequence[Sequence[str]]) -> float:
    """The median of the CPU seconds of some commands."""
    return statistics.median(cost(command).cpu for command in commands)


def in_cache(command: Sequence[str], cache: Path) -> list[str]:
    """A command whose kernels are kept in a folder."""
    return ["env", f"NUMBA_CACHE_DIR={cache}", *command]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path("../shared/peers"))
    parser.add_argument("--datatrove", type=absolute, help="python of an environment with datatrove[processing]")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds = options.rounds
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (inputs := work / "documents").mkdir()
        with gzip.open(DOCUMENTS) as source:
            (inputs / "ten.jsonl").write_bytes(b"".join(source.readline() for _ in range(10)))

        def run(recipe: str, number: int) -> list[str]:
            return datapipe(recipe, inputs, work / f"out-{Path(recipe).stem}-{number}").command

        caches = [work / f"cache-{number}" for number in range(rounds)]
        imports = median_cpu([[sys.executable, "-c", IMPORTS]] * rounds)
        cold = median_cpu([in_cache(run("default", number), cache) for number, cache in enumerate(caches)])
        warm = median_cpu([in_cache(run("default", rounds + number), cache) for number, cache in enumerate(caches)])
        print(f"imports {imports:.2f}, cold {cold:.1f}, warm {warm:.2f} CPU s: {warm / imports:.1f}x the imports")
        if options.datatrove:
            recipe = str(options.peers.resolve() / "datapipe.yaml")
            cost(in_cache(run(recipe, 0), caches[0]))  # compiles what the default recipe does not need
            ours = median_cpu([in_cache(run(recipe, 1 + number), caches[0]) for number in range(rounds)])
            job = str(options.peers.resolve() / "datatrove_job.py")
            theirs = median_cpu([[options.datatrove, job, str(inputs / "ten.jsonl"), str(work / "peer")]] * rounds)
            print(f"six stages {ours:.2f} CPU s, datatrove {theirs:.2f}")


if __name__ == "__main__":
    main()
