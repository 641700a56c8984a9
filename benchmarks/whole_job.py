"""The same job as whole processes: this project, a plain script, datatrove and Data-Juicer, in turn on the same input.

    python -m benchmarks.whole_job peers --data ../shared/data --peers ../shared/peers \
        [--datatrove PYTHON] [--data-juicer PYTHON]
    python -m benchmarks.whole_job workers --data ../shared/data
    python -m benchmarks.whole_job before --data ../shared/data --checkout PATH

`peers` prints CPU seconds, medians of so many rounds, what each peer takes as a multiple of ours, and the margin: what
one more document costs. Each PYTHON is of an environment that holds the peer. `workers` runs the default recipe with
one worker and with two, on inputs of four sizes. `before` runs it over all corpora, by another checkout and by this.
Each takes some of its inputs alone: `--inputs made-3000 --rounds 1`; `two` are two corpora, `corpora` all of them.
"""

import argparse
import dataclasses
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

MARGIN = ("made-3000", "made-30000")
INPUTS = {
    "peers": ("made-10", "real-3000", "made-3000", "made-10000", "made-30000"),
    "workers": ("made-10", "made-3000", "two", "corpora"),
    "before": ("corpora",),
}
TWO = ("zh-articles", "multi-docs")
ROOT = Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a process took."""

    cpu: float
    wall: float
    peak_mib: float


def absolute(path: str) -> str:
    """A path as a command is given it that runs in another folder; a link stays one, as to a python."""
    return str(Path(path).absolute())


def cost(command: Sequence[str], checkout: Path = ROOT) -> Cost:
    """Run a command from a checkout, and say what it took.

    Raises:
        RuntimeError: if it fails, with the last lines that it wrote.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    # A process of its own between them: the peak that the system tells is that of the largest child so far.
    measure = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
    measure += "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    # As an installed package: with its byte code, whatever the environment says.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:  # in which datatrove leaves its logs
        done = subprocess.run(
            [sys.executable, "-c", measure, *command],
            env=environment | {"PYTHONPATH": str(checkout)},
            cwd=folder,
            capture_output=True,
            text=True,
        )
    # All ten documents of made-10 fall to the peers' rules, which ends a run with status 1.
    if done.returncode and "no document is left" not in done.stderr:
        raise RuntimeError("\n".join([*done.stdout.splitlines()[-5:], *done.stderr.splitlines()[-15:]]))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, time.monotonic() - started, int(done.stdout.split()[-1]) / 1024)


@dataclasses.dataclass(frozen=True)
class Job:
    """A command, from a checkout, that needs a folder not to be there."""

    command: list[str]
    output: Path
    checkout: Path = ROOT

    def run(self) -> Cost:
        """What it took."""
        shutil.rmtree(self.output, ignore_errors=True)
        return cost(self.command, self.checkout)


def in_turn(jobs: dict[str, Job], rounds: int) -> dict[str, Cost]:
    """The median of each figure of each job, run one after the other in every round."""
    costs: dict[str, list[Cost]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            costs[name].append(job.run())
    fields = [field.name for field in dataclasses.fields(Cost)]
    return {
        name: Cost(*(statistics.median(getattr(one, field) for one in some) for field in fields))
        for name, some in costs.items()
    }


def datapipe(recipe: str, inputs: Path, output: Path, workers: int = 1, checkout: Path = ROOT) -> Job:
    """A run of this project into a new folder."""
    command = [sys.executable, "-m", "datapipe.cli", "run", recipe, "--input", str(inputs), "--output", str(output)]
    return Job([*command, "--workers", str(workers)], output, checkout)


def make_inputs(options: argparse.Namespace, work: Path) -> dict[str, Path]:
    """The folders of inputs that are asked for, by their names.

    Raises:
        ValueError: if there is none of a name.
    """
    made, corpora = work / "inputs", options.data / "corpora"
    (made / "two").mkdir(parents=True)
    for name in TWO:
        (made / "two" / f"{name}.jsonl.zst").symlink_to(corpora / f"{name}.jsonl.zst")
    if any("-" in name for name in options.inputs):
        maker = str(options.peers / "make_inputs.py")
        subprocess.run([sys.executable, maker, str(options.data), str(made)], check=True, stdout=subprocess.DEVNULL)
    folders = {name: corpora if name == "corpora" else made / name for name in options.inputs}
    for name, folder in folders.items():
        if not folder.is_dir():
            raise ValueError(f"inputs: there is no {name!r}")
    return folders


def jobs_of_peers(options: argparse.Namespace, inputs: Path, work: Path) -> dict[str, Job]:
    """The job on a folder of inputs by each peer there is."""
    lines, peers, output = str(inputs / "a.jsonl"), options.peers, work / "out"
    jobs = {
        "datapipe": datapipe(str(peers / "datapipe.yaml"), inputs, output),
        "plain script": Job([sys.executable, str(peers / "plain.py"), lines, str(work / "plain.parquet")], output),
    }
    if options.datatrove:
        jobs["datatrove"] = Job(
            [options.datatrove, str(peers / "datatrove_job.py"), lines, str(work / "datatrove")], output
        )
    if options.data_juicer:
        config = work / f"{inputs.name}.yaml"
        text = (peers / "data_juicer.yaml").read_text().replace("IN.jsonl", lines)
        config.write_text(text.replace("OUT.parquet", str(output / "juice.parquet")))
        tool = Path(options.data_juicer).parent / "dj-process"
        jobs["Data-Juicer"] = Job([options.data_juicer, str(tool), "--config", str(config)], output)
    return jobs


def compare_peers(options: argparse.Namespace, work: Path) -> None:
    """Print what every peer takes, and its multiple of ours."""
    times: dict[str, dict[str, float]] = {}
    for name, folder in make_inputs(options, work).items():
        for peer, median in in_turn(jobs_of_peers(options, folder, work), options.rounds).items():
            times.setdefault(peer, {})[name] = median.cpu
        row = ", ".join(
            f"{peer} {of[name]:.2f} ({of[name] / times['datapipe'][name]:.2f}x)" for peer, of in times.items()
        )
        print(f"{name:12} CPU seconds: {row}", flush=True)
    if options.plot:
        options.plot.write_text(plot(times), encoding="utf-8")
    if not set(MARGIN) <= set(options.inputs):
        return
    fewer, more = MARGIN
    documents = int(more.split("-")[1]) - int(fewer.split("-")[1])
    margin = {peer: (of[more] - of[fewer]) / documents * 1000 for peer, of in times.items()}
    for peer, milliseconds in margin.items():
        print(f"margin {peer:14} {milliseconds:8.3f} ms a document, {milliseconds / margin['datapipe']:.1f}x")


def plot(times: dict[str, dict[str, float]]) -> str:
    """Bars of CPU seconds by input and peer, as SVG."""
    rows = [(name, peer, of[name]) for name in next(iter(times.values())) for peer, of in times.items()]
    longest = max(seconds for *_, seconds in rows)
    lines = []
    for place, (name, peer, seconds) in enumerate(rows):
        y, width = 12 + 24 * place, 420 * seconds / longest
        colour = "#3b6fb6" if peer == "datapipe" else "#a9b6c4"
        lines.append(f'<text x="200" y="{y + 13}" text-anchor="end">{name}, {peer}</text>')
        lines.append(f'<rect x="208" y="{y}" width="{width:.1f}" height="17" rx="2" fill="{colour}"/>')
        lines.append(f'<text x="{214 + width:.0f}" y="{y + 13}">{seconds:.1f} s</text>')
    height = 24 * len(rows) + 16
    style = 'font-family="sans-serif" font-size="13" fill="#5b6875"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}" {style}>\n'
        + "\n".join(lines)
        + "\n</svg>\n"
    )


def compare_workers(options: argparse.Namespace, work: Path) -> None:
    """Print what the default recipe takes with one worker, and with two as multiples of it."""
    for name, inputs in make_inputs(options, work).items():
        jobs = {str(workers): datapipe("default", inputs, work / "out", workers) for workers in (1, 2)}
        one, both = in_turn(jobs, options.rounds).values()
        size = sum(path.stat().st_size for path in inputs.iterdir()) / 1e6
        print(
            f"{name:10} {size:5.0f} MB in files; one worker {one.wall:.1f} s wall, {one.cpu:.1f} s CPU, "
            f"{one.peak_mib:,.0f} MiB; two {both.wall / one.wall:.2f}x, {both.cpu / one.cpu:.2f}x, "
            f"{both.peak_mib / one.peak_mib:.2f}x",
            flush=True,
        )


def compare_before(options: argparse.Namespace, work: Path) -> None:
    """Print what the default recipe takes with one worker, here and in another checkout."""
    checkouts = {"before": options.checkout.resolve(), "now": ROOT}
    for inputs, folder in make_inputs(options, work).items():
        jobs = {name: datapipe("default", folder, work / "out", 1, path) for name, path in checkouts.items()}
        before, now = in_turn(jobs, options.rounds).values()
        print(
            f"{inputs:10} before {before.cpu:.1f} s CPU, {before.peak_mib:,.0f} MiB; now {now.cpu:.1f}, "
            f"{now.peak_mib:,.0f}; {now.cpu / before.cpu:.2f}x CPU, {now.peak_mib / before.peak_mib:.2f}x peak",
            flush=True,
        )


def main() -> None:
    """Run the part that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["peers", "workers", "before"])
    parser.add_argument("--data", type=Path, required=True, help="folder with corpora/*.jsonl.zst")
    parser.add_argument("--peers", type=Path, default=Path("../shared/peers"))
    parser.add_argument("--datatrove", type=absolute, help="python of an environment with datatrove[processing]")
    parser.add_argument("--data-juicer", type=absolute, help="python of an environment with py-data-juicer")
    parser.add_argument("--checkout", type=Path, help="another checkout of this project")
    parser.add_argument("--inputs", nargs="+", help="some of the part's inputs (default: all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="of `peers`: an SVG file to write")
    options = parser.parse_args()
    options.inputs = options.inputs or INPUTS[options.part]
    options.data, options.peers = options.data.resolve(), options.peers.resolve()
    compare = {"peers": compare_peers, "workers": compare_workers, "before": compare_before}[options.part]
    with tempfile.TemporaryDirectory() as work:
        compare(options, Path(work))


if __name__ == "__main__":
    main()
