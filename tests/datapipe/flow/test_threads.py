"""So many threads take the bundles, and what they see is in order."""

import base64
import bz2
import concurrent.futures
import inspect
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.internal import pickler

from datapipe.flow.threads import ThreadsRunner, _signature

RESULTS: list[tuple[int, list[int]]] = []


def write(number: int, folder: str) -> None:
    (pathlib.Path(folder) / str(number)).write_text(str(threading.get_ident()))
    time.sleep(0.1)  # so that no thread takes all


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_thread_has_its_share(threads: int, tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(runner=ThreadsRunner(threads)) as pipeline:
        _ = pipeline | beam.Create(range(10)) | beam.Map(write, str(tmp_path))
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(10))
    assert len({path.read_text() for path in tmp_path.iterdir()}) == threads


def note(group: tuple[int, list[int]]) -> None:
    RESULTS.append(group)


def test_groups_are_whole_whatever_the_threads() -> None:
    found = []
    for threads in (1, 3):
        with beam.Pipeline(runner=ThreadsRunner(threads)) as pipeline:
            grouped = (
                pipeline
                | beam.Create([(number % 7, number) for number in range(100)])
                | beam.GroupByKey()
                | beam.Map(lambda group: (group[0], sorted(group[1])))
            )
            _ = grouped | beam.Map(note)
        found.append(sorted(RESULTS))
        RESULTS.clear()
    assert found[0] == found[1] == [(key, list(range(key, 100, 7))) for key in range(7)]


def write_slowly(number: int, folder: str) -> None:
    (pathlib.Path(folder) / str(number)).write_text(str(threading.get_ident()))
    time.sleep(1.0 if number == 0 else 0.01)


def test_one_thread_takes_the_rest_while_another_has_long_to_go(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(runner=ThreadsRunner(2)) as pipeline:
        spread = pipeline | beam.Create(range(64)) | beam.Reshuffle()
        _ = spread | "Write" >> beam.Map(write_slowly, str(tmp_path))
    slow = (tmp_path / "0").read_text()
    assert sum(path.read_text() == slow for path in tmp_path.iterdir()) <= 64 // 2 - 64 // 8
    assert len(list(tmp_path.iterdir())) == 64


def fail_at_once(number: int, folder: str) -> None:
    if number == 0:
        raise ValueError("zero")
    time.sleep(0.2)
    (pathlib.Path(folder) / str(number)).touch()


def test_what_waits_is_left_once_an_element_has_failed(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="zero"), beam.Pipeline(runner=ThreadsRunner(2)) as pipeline:
        _ = pipeline | beam.Create(range(64)) | beam.Reshuffle() | beam.Map(fail_at_once, str(tmp_path))
    assert len(list(tmp_path.iterdir())) < 64 // 2


def test_what_goes_elsewhere_is_packed_whatever_ran_here() -> None:
    def pack_in_another_thread(_: int) -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as other:
            packed = other.submit(pickler.dumps, "there").result()
        assert bz2.decompress(base64.b64decode(packed))

    with beam.Pipeline(runner=ThreadsRunner(1)) as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Map(pack_in_another_thread)
    assert bz2.decompress(base64.b64decode(pickler.dumps("there")))
    assert pickler.loads(pickler.dumps("there")) == "there"  # type: ignore[no-untyped-call]


class Counting(beam.DoFn):  # type: ignore[name-defined,misc]
    """Notes how many elements a step has seen; the step was made in the driver."""

    seen = 0

    def process(self, element: int) -> list[int]:  # noqa: ARG002 - Beam's
        self.seen += 1
        time.sleep(0.05)  # so that no thread takes all
        RESULTS.append((id(self), [self.seen]))
        return []


def test_each_thread_has_steps_of_its_own_and_packs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> bytes:
        raise AssertionError

    monkeypatch.setattr(bz2, "compress", refuse)
    made = Counting()
    with beam.Pipeline(runner=ThreadsRunner(2)) as pipeline:
        _ = pipeline | beam.Create(range(6)) | beam.Reshuffle() | beam.ParDo(made)
    by_step = [sorted(seen for of, (seen,) in RESULTS if of == step) for step in {step for step, _ in RESULTS}]
    RESULTS.clear()
    assert made.seen == 0
    assert len(by_step) == 2
    assert all(seen == [*range(1, len(seen) + 1)] for seen in by_step)


class Adder:
    def add(self, one: int, *, two: float = 2) -> float:
        return one + two

    @classmethod
    def of(cls, number: int) -> "Adder":
        raise NotImplementedError


@pytest.mark.parametrize("function", [write, Adder.add, Adder().add, Adder.of, "a".join, lambda x, /: x])
def test_what_beam_is_told_of_a_function_is_what_python_says(function: Callable[..., Any]) -> None:
    for _ in range(2):
        assert _signature(function) == inspect.signature(function)
