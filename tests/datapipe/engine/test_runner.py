"""The runner: so many threads do the work, failures end in one clear line, and freed memory goes back."""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import apache_beam as beam
import psutil
import pytest
from apache_beam.options.pipeline_options import StandardOptions

from datapipe.engine.runner import PipelineError, Runner, cause
from datapipe.flow.spread import Spread

LISTENING: list[int] = []


def nothing() -> None:
    pass


def write(number: int, folder: str) -> None:
    (pathlib.Path(folder) / str(number)).write_text(f"{os.getpid()} {threading.get_ident()}")
    time.sleep(0.1)  # so that no thread takes all


def fail(number: int) -> None:
    raise ValueError(f"the number {number} is bad")


@pytest.mark.parametrize("workers", [1, 3])
def test_the_work_is_done_by_so_many_threads(workers: int, tmp_path: pathlib.Path) -> None:
    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create(range(9), reshuffle=False) | Spread() | beam.Map(write, str(tmp_path))

    usage = Runner(workers, threads_from_bytes=0).run(build, 0, nothing)
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(number) for number in range(9)]
    who = [path.read_text().split() for path in tmp_path.iterdir()]
    assert {process for process, _ in who} == {str(os.getpid())}
    assert len({thread for _, thread in who}) == workers
    assert usage.seconds > 0
    assert usage.peak_bytes > 1 << 20


def test_nothing_listens_on_a_port() -> None:
    def listens(_: int) -> None:
        connections = psutil.Process().net_connections(kind="all")
        LISTENING.extend(c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN)

    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create(range(4)) | beam.Map(listens)

    listens(0)
    before = [*LISTENING]
    LISTENING.clear()
    Runner(2, threads_from_bytes=0).run(build, 0, nothing)
    assert set(LISTENING) <= set(before)


def test_pipelines_of_a_run_read_its_flags_once() -> None:
    views = []

    def build(pipeline: beam.Pipeline) -> None:
        views.append(vars(pipeline)["_options"].view_as(StandardOptions))
        _ = pipeline | beam.Create([1])

    runner = Runner(1)
    for _ in range(2):
        runner.run(build, 0, nothing)
    assert views[0] is views[1]


def test_nothing_is_left_of_a_pipeline_that_never_ends(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def build(_: beam.Pipeline) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Runner(2, threads_from_bytes=0).run(build, 0, nothing)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_step_is_one_line_and_names_the_step(workers: int) -> None:
    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create([7]) | "toy" >> (beam.Map(str) | "Inner" >> beam.Map(int) | beam.Map(fail))

    with pytest.raises(PipelineError, match=r"^ValueError: the number 7 is bad$|^the number 7 is bad$") as raised:
        Runner(workers, threads_from_bytes=0).run(build, 0, nothing)
    assert raised.value.step


def test_several_threads_and_pieces_are_for_much_text() -> None:
    assert [Runner(2).threads(size) for size in (1 << 20, 1 << 30)] == [1, 2]
    assert Runner(1).threads(1 << 30) == 1
    assert [Runner(2).pieces(parts, 1 << 30) for parts in (0, 1, 3, 100)] == [1, 8, 6, 1]
    assert Runner(2).pieces(1, 1 << 20) == 1
    assert Runner(2, ("--runner=FlinkRunner",)).pieces(1, 1 << 30) == 1
    assert Runner(2, ("--runner=FlinkRunner", "--parallelism=3")).pieces(4, 1 << 30) == 6


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match=r"workers must be .* got 0"):
        Runner(workers=0)


def test_cause_drops_the_wrapping() -> None:
    wrapped = "Traceback (most recent call last):\n  File \"x.py\", line 1\nOSError: disk full [while running 'Read']\n"
    assert cause(RuntimeError(wrapped)) == "OSError: disk full"


def test_cause_says_what_to_do_about_a_full_disk() -> None:
    full = "RuntimeError: OSError: [Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"
    assert cause(RuntimeError(full)).startswith("no space left on device: make room")
    assert cause(OSError(28, "No space left on device")).startswith("no space left on device: make room")
    assert cause(RuntimeError("RuntimeError: RuntimeError: ValueError: bad")) == "ValueError: bad"


HOARD = """
import psutil, pyarrow as pa
from datapipe.engine.runner import give_memory_back
give_memory_back()
this = psutil.Process()
before = this.memory_info().rss
for make in (lambda: [b"x" * 200_000 for _ in range(1500)], lambda: [pa.array(range(1 << 22)) for _ in range(10)]):
    held = make()
    most = this.memory_info().rss - before
    del held
    print(most >> 20, this.memory_info().rss - before >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told to")
def test_freed_memory_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", HOARD], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        held, left = map(int, line.split())
        assert held > 250
        assert left < 80
