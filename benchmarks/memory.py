"""Peak memory of the main job on ever larger input: it should stay where it is.

    python -m benchmarks.memory --data ../shared/data --gigabytes 0.1 1 2

Each input is made of the corpora below `data`, in random order, over and over: in every pass but the first, half of the
lines of a document come from other documents of its corpus, so that passes are no duplicates of each other. The peak is
that of `run.json`: resident bytes of the driver and its workers together. Disk needed: some five times the input.
"""

import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import zstandard

FILE_BYTES = 64 << 20
MOST_GROWTH = 1.3  # of the peak, from an input to one of ten times its size


def read_corpora(data: pathlib.Path) -> list[list[str]]:
    """The texts of each corpus."""
    corpora = []
    for path in sorted((data / "corpora").glob("*.jsonl.zst")):
        with zstandard.open(path, "rt", encoding="utf-8") as lines:
            corpora.append([json.loads(line)["text"] for line in lines])
    return corpora


def make_documents(corpora: list[list[str]]) -> Iterator[str]:
    """Documents without end: all of them in random order, then all of them perturbed, and so on."""
    generator = random.Random(0)
    lines = [[line for text in corpus for line in text.split("\n") if line] for corpus in corpora]
    documents = [(text, number) for number, corpus in enumerate(corpora) for text in corpus]
    generator.shuffle(documents)
    yield from (text for text, _ in documents)
    while True:
        for text, number in documents:
            others = lines[number]
            yield "\n".join(
                others[int(generator.random() * len(others))] if line and generator.random() < 0.5 else line
                for line in text.split("\n")
            )


def write_input(documents: Iterator[str], size: int, folder: pathlib.Path) -> None:
    """Write documents of `size` bytes of text as JSON lines, in files of FILE_BYTES of text."""
    folder.mkdir()
    for number, start in enumerate(range(0, size, FILE_BYTES)):
        left = min(FILE_BYTES, size - start)
        with zstandard.open(folder / f"{number:03d}.jsonl.zst", "wt", encoding="utf-8") as sink:
            while left > 0:
                text = next(documents)
                left -= len(text.encode())
                sink.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def run(recipe: str, folder: pathlib.Path, output: pathlib.Path, flags: list[str]) -> tuple[float, dict[str, int]]:
    """Wall seconds of a run, and the peak of each stage in bytes."""
    started = time.monotonic()
    command = [sys.executable, "-m", "datapipe.cli", "run", recipe, "--input", str(folder), "--output", str(output)]
    subprocess.run([*command, *flags], check=True, stdout=subprocess.DEVNULL)
    stages = json.loads((output / "run.json").read_text())["stages"]
    peaks = {name: stage["peak_bytes"] for name, stage in stages.items() if "peak_bytes" in stage}
    return time.monotonic() - started, peaks


def main() -> None:
    """Run the recipe on an input of each size and print the peaks."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=pathlib.Path, required=True)
    arguments.add_argument("--gigabytes", type=float, nargs="+", default=[0.1, 1.0, 2.0])
    arguments.add_argument("--recipe", default="pipelines/recipes/default.yaml")
    arguments.add_argument("--workers", default="2")
    given = arguments.parse_args()
    corpora = read_corpora(given.data)
    measured: dict[float, dict[str, int]] = {}
    print(f"{'GB':>5} {'seconds':>8} {'peak MiB':>9} {'ratio':>6}  stage of the peak", flush=True)
    with tempfile.TemporaryDirectory(prefix="datapipe-memory-") as temporary:
        for gigabytes in sorted(given.gigabytes):
            folder = pathlib.Path(temporary) / f"{gigabytes:g}"
            folder.mkdir()
            write_input(make_documents(corpora), int(gigabytes * 1e9), folder / "documents")
            seconds, peaks = run(given.recipe, folder / "documents", folder / "out", ["--workers", given.workers])
            shutil.rmtree(folder)
            highest = max(peaks, key=lambda name: peaks[name])
            smallest = next(iter(measured.values()), peaks)
            ratio = peaks[highest] / max(smallest.values())
            measured[gigabytes] = peaks
            print(f"{gigabytes:5g} {seconds:8.0f} {peaks[highest] / 2**20:9.0f} {ratio:6.2f}  {highest}", flush=True)
    print(f"\n{'stage, MiB':22}" + "".join(f"{gigabytes:>8g}" for gigabytes in measured))
    for stage in next(iter(measured.values())):
        peaks_of = [peaks.get(stage, 0) for peaks in measured.values()]
        beyond = "  !" if peaks_of[-1] > MOST_GROWTH * peaks_of[0] else ""
        print(f"{stage:22}" + "".join(f"{peak / 2**20:8.0f}" for peak in peaks_of) + beyond)


if __name__ == "__main__":
    main()
