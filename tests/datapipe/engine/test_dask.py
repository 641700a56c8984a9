"""Pipelines on Dask: the bytes of a local run though workers die, side inputs once, even work, the step that failed."""

import os
import pathlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import cloudpickle
import pytest

from datapipe.engine.beam_flags import check_flags
from datapipe.engine.runner import PipelineError, Runner
from datapipe.flow.spread import Spread
from tests.helpers import digests
from tests.jobs import nothing, run, write_inputs

distributed = pytest.importorskip("distributed", reason="needs the extra dask, which `make test` installs")
dask = pytest.importorskip("datapipe.engine.dask")
pytestmark = pytest.mark.xdist_group("engines")
WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler and two workers, each a process of its own."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as started:
        yield started


def flags_of(cluster: Any) -> tuple[str, ...]:
    flags = ("--runner=dask", f"--dask_client_address={cluster.scheduler_address}")
    check_flags(flags)
    return flags


def on(cluster: Any) -> Runner:
    return Runner(2, flags_of(cluster))


def processes(cluster: Any) -> list[int]:
    """The workers."""
    with distributed.Client(cluster) as client:
        return list(client.run(os.getpid).values())


def test_dask_gives_the_bytes_of_a_local_run_though_both_workers_die(
    cluster: Any, local_run: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    write_inputs(str(tmp_path))
    killed: list[int] = []

    def kill() -> None:
        """One worker when there are documents, and the other in a later stage."""
        for number, written in enumerate(("documents", "near_duplicates")):
            until = time.monotonic() + WAIT_SECONDS
            while not any((tmp_path / "out" / written).glob("**/*")) and time.monotonic() < until:
                time.sleep(0.01)
            process = processes(cluster)[number]
            os.kill(process, signal.SIGKILL)
            killed.append(process)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    run(str(tmp_path), on(cluster))
    assert digests(tmp_path / "out") == digests(local_run / "out")
    killer.join(WAIT_SECONDS)
    assert len(set(killed)) == 2


def test_without_an_address_there_is_one_cluster_a_run() -> None:
    with Runner(1, ("--runner=DaskRunner",)) as runner:
        addresses = set()
        for _ in range(2):
            runner.run(lambda pipeline: pipeline | beam.Create([1, 2]) | beam.Map(abs), 0, nothing)
            addresses.add(runner._cluster.scheduler_address)
        cluster = runner._cluster
    assert len(addresses) == 1
    assert cluster.status.name == "closed"


def test_a_side_input_is_computed_once_and_every_end_is_reached(cluster: Any, tmp_path: pathlib.Path) -> None:
    def tell(number: int, folder: str) -> int:
        (pathlib.Path(folder) / f"side-{number}-{time.monotonic_ns()}").touch()
        return number

    def end(number: int, of_all: list[int], folder: str) -> None:
        (pathlib.Path(folder) / f"end-{number}-{sum(of_all)}").touch()

    def build(pipeline: beam.Pipeline) -> None:
        side = pipeline | "Side" >> beam.Create([1, 2, 3], reshuffle=False) | "Tell" >> beam.Map(tell, str(tmp_path))
        main = pipeline | "Main" >> beam.Create(range(5), reshuffle=False)
        _ = main | "First" >> beam.Map(end, beam.pvalue.AsList(side), str(tmp_path))
        _ = pipeline | "Last" >> beam.Create([7]) | "Other" >> beam.Map(end, beam.pvalue.AsList(side), str(tmp_path))

    on(cluster).run(build, 0, nothing)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name for name in names if name.startswith("end")] == [f"end-{number}-6" for number in (0, 1, 2, 3, 4, 7)]
    assert len([name for name in names if name.startswith("side")]) == 3


def test_work_is_dealt_out_evenly(cluster: Any, tmp_path: pathlib.Path) -> None:
    def cut(whole: int) -> list[int]:
        return [whole * 100 + piece for piece in range(24)]

    def work(piece: int, folder: str) -> None:
        time.sleep(0.02)
        (pathlib.Path(folder) / f"{os.getpid()}-{piece}").touch()

    def build(pipeline: beam.Pipeline) -> None:
        pieces = pipeline | beam.Create([1, 2, 3], reshuffle=False) | "Cut" >> beam.FlatMap(cut) | Spread()
        _ = pieces | "Work" >> beam.Map(work, str(tmp_path))

    on(cluster).run(build, 0, nothing)
    done = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert len(done) == 72
    assert min(done.count(process) for process in set(done)) > 20
    assert len(set(done)) == 2


def test_the_graph_carries_no_data_twice() -> None:
    payload = os.urandom(1 << 20)
    pipeline = beam.Pipeline(runner=dask.DaskRunner())
    numbers = pipeline | beam.Create(range(100), reshuffle=False)
    sides = numbers
    for depth in range(6):
        sides = sides | f"Side {depth}" >> beam.Map(lambda number, _: number, beam.pvalue.AsList(sides))
    _ = sides | "Use" >> beam.Map(lambda number, _: number, payload)
    overridden: Any = pipeline
    overridden.replace_all(dask.dask_overrides())
    graph = dask.Graph(16, 8)
    pipeline.visit(graph)
    size = len(cloudpickle.dumps([dict(end.__dask_graph__()) for end in graph.ends()]))
    assert 1 << 20 < size < 1.5 * (1 << 20)


def test_an_error_names_its_step(cluster: Any) -> None:
    def fail(number: int) -> None:
        raise ValueError(f"the number {number} is bad")

    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create([7]) | "toy" >> (beam.Map(abs) | "Inner" >> beam.Map(fail))

    with pytest.raises(PipelineError, match=r"^ValueError: the number 7 is bad$") as raised:
        on(cluster).run(build, 0, nothing)
    assert raised.value.step == "toy"
