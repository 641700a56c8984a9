"""Peak memory of the main job on ever larger input, where it should stay where it is, and on input made to fill it.

    python -m benchmarks.memory --data ../shared/data --gigabytes 0.1 1 2
    python -m benchmarks.memory --hostile

Each input of the first kind is made of the corpora below `data`, in random order, over and over: in every pass but the
first, half of the lines of a document come from other documents of its corpus, so that passes are no duplicates of each
other. The second kind is `HOSTILE`. The peak is that of resident bytes of the run and all processes that it starts,
looked at every 50 ms; those of single stages are those of `run.json`. Disk needed: some five times the input.
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
from collections.abc import Callable, Iterator, Mapping

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

FILE_BYTES = 64 << 20
MOST_GROWTH = 1.3  # of the peak, from an input to one of ten times its size
POLL_SECONDS = 0.05


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


STARTS, MIDDLES, ENDS = "bdfgklmnprst", "aeiou", ("", "n", "r", "st", "ck")
WORDS = [f"{start}{middle}{end}" for start in STARTS for middle in MIDDLES for end in ENDS]
STOP_WORDS = "the of and to in that with have be".split()  # noqa: SIM905


def made_up(generator: random.Random, words: int) -> str:
    """Sentences of made-up words that pass for English with the rules."""
    drawn = [generator.choice(STOP_WORDS if generator.random() < 0.4 else WORDS) for _ in range(words)]
    return "\n".join(" ".join(drawn[at : at + 15]).capitalize() + "." for at in range(0, words, 15))


def _write_lines(path: pathlib.Path, records: Iterator[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8") as sink:
        for record in records:
            sink.write(json.dumps(record, ensure_ascii=False) + "\n")


def html_beside_text(folder: pathlib.Path, chance: random.Random) -> None:
    """100 KB of a column of the user's beside 100 bytes of text."""
    html = [f"<p>{made_up(chance, 15_000)}</p>" for _ in range(8)]
    records = ({"text": made_up(chance, 60), "html": html[number % 8]} for number in range(600))
    _write_lines(folder / "a.jsonl", records)


def a_key_a_record(folder: pathlib.Path, chance: random.Random) -> None:
    """A field of another name in each of 100,000 records."""
    records = ({"text": made_up(chance, 60), f"key {chance.random()}": number} for number in range(100_000))
    _write_lines(folder / "a.jsonl", records)


def columns_of_csv(folder: pathlib.Path, chance: random.Random) -> None:
    """200,000 columns, 20 rows."""
    rows = [",".join(["text", *(f"c{number}" for number in range(200_000))])]
    rows += [",".join([f'"{made_up(chance, 60)}"', *(["1"] * 200_000)]) for _ in range(20)]
    (folder / "a.csv").write_text("\n".join(rows), encoding="utf-8")


def empty_objects(folder: pathlib.Path, chance: random.Random) -> None:
    """A million records that are empty, and one that holds 15 million empty objects."""
    with (folder / "a.jsonl").open("w", encoding="utf-8") as sink:
        sink.write(json.dumps({"text": made_up(chance, 60)}) + "\n" + "{}\n" * 1_000_000)
        sink.write('{"text": "a", "objects": [' + "{}," * 15_000_000 + "1]}\n")


def dictionary_bombs(folder: pathlib.Path, chance: random.Random) -> None:
    """Files of a few KB in which 1,000 rows share a value of 4 MB."""
    text = made_up(chance, 700_000)[:4_000_000]
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array([text]))
    table = pa.table({"text": column})
    pq.write_table(table, folder / "a.parquet", compression="zstd", store_schema=False)
    with pa.OSFile(str(folder / "a.arrow"), "wb") as sink:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
    _write_lines(folder / "b.jsonl", iter([{"text": made_up(chance, 60)}]))


def open_formatting(folder: pathlib.Path, chance: random.Random) -> None:
    """A page of 106 KB whose elements stay open, so that a parser makes 25 million of them."""
    page = "".join(f"<font size={number}>" for number in range(5000)) + "<p>x" * 6000
    (folder / "a.html").write_text(page, encoding="utf-8")
    _write_lines(folder / "b.jsonl", iter([{"text": made_up(chance, 60)}]))


def a_long_document(folder: pathlib.Path, chance: random.Random) -> None:
    """One document of 45 MB."""
    some = made_up(chance, 500_000)
    text = (some + "\n" + made_up(chance, 500_000) + "\n") * 20
    _write_lines(folder / "a.jsonl", iter([{"text": text[:45_000_000]}, {"text": made_up(chance, 60)}]))


def a_family(folder: pathlib.Path, chance: random.Random) -> None:
    """100,000 near duplicates: a text of 300 words with another word in one place."""
    words = made_up(chance, 300).split(" ")

    def members() -> Iterator[dict[str, object]]:
        for number in range(100_000):
            words[100] = f"w{number}"
            yield {"text": " ".join(words)}

    _write_lines(folder / "a.jsonl", members())


def tiny_documents(folder: pathlib.Path, chance: random.Random) -> None:
    """A million documents of 20 bytes."""
    words = [*WORDS, *STOP_WORDS]
    records = ({"text": " ".join(chance.choices(words, k=6))[:20]} for _ in range(1_000_000))
    _write_lines(folder / "a.jsonl", records)


HOSTILE: dict[str, Callable[[pathlib.Path, random.Random], None]] = {
    "100 KB of html beside 100 bytes": html_beside_text,
    "a key a record": a_key_a_record,
    "200,000 columns of CSV": columns_of_csv,
    "empty objects": empty_objects,
    "dictionary bombs": dictionary_bombs,
    "open formatting": open_formatting,
    "a document of 45 MB": a_long_document,
    "100,000 near duplicates": a_family,
    "1,000,000 tiny documents": tiny_documents,
}


def run(recipe: str, folder: pathlib.Path, output: pathlib.Path, flags: list[str]) -> tuple[float, int, dict[str, int]]:
    """Wall seconds of a run, the peak of its whole tree of processes and that of each stage, in bytes."""
    started = time.monotonic()
    command = [sys.executable, "-m", "datapipe.cli", "run", recipe, "--input", str(folder), "--output", str(output)]
    process = subprocess.Popen([*command, *flags], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _tree_bytes(process.pid))
        time.sleep(POLL_SECONDS)
    record = output / "run.json"
    stages = json.loads(record.read_text())["stages"] if record.exists() else {}
    peaks = {name: stage["peak_bytes"] for name, stage in stages.items() if "peak_bytes" in stage}
    return time.monotonic() - started, peak, peaks


def _tree_bytes(pid: int) -> int:
    """Resident bytes of a process and all below it; 0 if it has ended."""
    total = 0
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in tree:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _size(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def measure_hostile(names: list[str], recipe: str, flags: list[str]) -> None:
    """Run the recipe over each of some hostile inputs, and print what it takes."""
    print(f"{'input':32} {'MB':>6} {'seconds':>8} {'peak MiB':>9} {'peak / input':>12}  stage of the peak", flush=True)
    for name in names:
        with tempfile.TemporaryDirectory(prefix="datapipe-memory-") as temporary:
            folder = pathlib.Path(temporary) / "documents"
            folder.mkdir()
            HOSTILE[name](folder, random.Random(0))
            size = _size(folder)
            seconds, peak, peaks = run(recipe, folder, pathlib.Path(temporary) / "out", flags)
            highest = max(peaks, key=lambda stage: peaks[stage], default="none ended")
            shown = f"{size / 1e6:6.1f} {seconds:8.0f} {peak / 2**20:9.0f} {peak / size:12.1f}"
            print(f"{name:32} {shown}  {highest}", flush=True)


def measure_growth(data: pathlib.Path, gigabytes: list[float], recipe: str, flags: list[str]) -> None:
    """Run the recipe over an input of each size, and print the peaks."""
    corpora = read_corpora(data)
    measured: dict[float, dict[str, int]] = {}
    print(f"{'GB':>5} {'seconds':>8} {'peak MiB':>9} {'peak / input':>12}  stage of the peak", flush=True)
    with tempfile.TemporaryDirectory(prefix="datapipe-memory-") as temporary:
        for size in sorted(gigabytes):
            folder = pathlib.Path(temporary) / f"{size:g}"
            folder.mkdir()
            write_input(make_documents(corpora), int(size * 1e9), folder / "documents")
            seconds, peak, peaks = run(recipe, folder / "documents", folder / "out", flags)
            shutil.rmtree(folder)
            highest = max(peaks, key=lambda name: peaks[name])
            measured[size] = peaks
            shown = f"{seconds:8.0f} {peak / 2**20:9.0f} {peak / (size * 1e9):12.2f}"
            print(f"{size:5g} {shown}  {highest}", flush=True)
    print(f"\n{'stage, MiB':22}" + "".join(f"{size:>8g}" for size in measured))
    for stage in next(iter(measured.values())):
        peaks_of = [peaks.get(stage, 0) for peaks in measured.values()]
        beyond = "  !" if peaks_of[-1] > MOST_GROWTH * peaks_of[0] else ""
        print(f"{stage:22}" + "".join(f"{peak / 2**20:8.0f}" for peak in peaks_of) + beyond)


def main() -> None:
    """Run the recipe on each input and print the peaks."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=pathlib.Path)
    arguments.add_argument("--gigabytes", type=float, nargs="+", default=[0.1, 1.0, 2.0])
    arguments.add_argument("--hostile", nargs="*", metavar="NAME", help=f"all, or some of: {', '.join(HOSTILE)}")
    arguments.add_argument("--recipe", default="pipelines/recipes/default.yaml")
    arguments.add_argument("--workers", default="2")
    given = arguments.parse_args()
    if given.data is None and given.hostile is None:
        arguments.error("name --data, --hostile or both")
    flags = ["--workers", given.workers]
    if given.data is not None:
        measure_growth(given.data, given.gigabytes, given.recipe, flags)
    if given.hostile is not None:
        measure_hostile(given.hostile or list(HOSTILE), given.recipe, flags)


if __name__ == "__main__":
    main()
