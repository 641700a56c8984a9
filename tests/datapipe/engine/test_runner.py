"""The runner: each local mode does the work, failures end in one clear line, a dead worker is no hang."""

import os
import pathlib
import signal
import threading
import time

import apache_beam as beam
import pytest

from datapipe.engine.runner import MODES, PipelineError, Runner, WorkerDiedError, _death_notice, cause


def nothing() -> None:
    pass


def write(number: int, folder: str) -> None:
    (pathlib.Path(folder) / str(number)).write_text(f"{os.getpid()} {threading.get_ident()}")
    time.sleep(0.1)  # so that no thread takes all


def fail(number: int) -> None:
    raise ValueError(f"the number {number} is bad")


def die(number: int) -> None:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("mode", MODES[1:])
def test_all_modes_do_the_work(mode: str, tmp_path: pathlib.Path) -> None:
    runner = Runner(2, (), mode)

    def build(pipeline: beam.Pipeline) -> None:
        _ = runner.spread(pipeline, range(8), 0) | beam.Map(write, str(tmp_path))

    usage = runner.run(build, 0, nothing)
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(number) for number in range(8)]
    who = [path.read_text().split() for path in tmp_path.iterdir()]
    assert len({process for process, _ in who} - {str(os.getpid())}) == (2 if mode == "multi_processing" else 0)
    assert len({thread for _, thread in who}) == (1 if mode == "in_memory" else 2)
    assert usage.seconds > 0
    assert usage.peak_bytes > 1 << 20


@pytest.mark.parametrize("mode", MODES[1:])
def test_a_failing_step_is_one_line(mode: str) -> None:
    with pytest.raises(PipelineError, match=r"^ValueError: the number 7 is bad$|^the number 7 is bad$"):
        Runner(2, (), mode).run(lambda pipeline: pipeline | beam.Create([7]) | beam.Map(fail), 0, nothing)


def test_a_killed_worker_is_an_error_and_no_hang() -> None:
    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create(range(8)) | beam.Reshuffle() | beam.Map(die)

    with pytest.raises(WorkerDiedError, match="out of memory"):
        Runner(2, (), "multi_processing").run(build, 0, nothing)


def test_a_worker_that_ended_otherwise_leaves_its_last_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "log").write_text("Traceback\nMemoryError\n\n")
    notice = _death_notice("Worker subprocess exited with return code 3", str(tmp_path / "log"))
    assert notice == "a worker process died with exit status 3: MemoryError"


def test_several_threads_are_for_much_text() -> None:
    assert Runner(2).way(1 << 20) == "in_memory"
    assert Runner(2).way(1 << 30) == "multi_threading"
    assert Runner(1).way(1 << 30) == "in_memory"
    assert Runner(2, (), "multi_processing").way(0) == "multi_processing"


@pytest.mark.parametrize(("field", "value"), [("workers", 0), ("mode", "threads")])
def test_bad_options_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .* got {value!r}"):
        Runner(**{field: value})  # type: ignore[arg-type]


def test_cause_drops_the_wrapping() -> None:
    wrapped = "Traceback (most recent call last):\n  File \"x.py\", line 1\nOSError: disk full [while running 'Read']\n"
    assert cause(RuntimeError(wrapped)) == "OSError: disk full"


def test_cause_says_what_to_do_about_a_full_disk() -> None:
    full = "RuntimeError: OSError: [Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"
    assert cause(RuntimeError(full)).startswith("no space left on device: make room")
    assert cause(OSError(28, "No space left on device")).startswith("no space left on device: make room")
    assert cause(RuntimeError("RuntimeError: RuntimeError: ValueError: bad")) == "ValueError: bad"
