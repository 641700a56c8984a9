"""Pipelines on Dask: the bytes of a local run though workers die, side inputs once, even work, the step that failed."""

import contextlib
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import cloudpickle
import numpy as np
import pytest

from datapipe.engine.beam_flags import check_flags
from datapipe.engine.runner import PipelineError, Runner
from datapipe.flow.shuffle import GroupRecords
from datapipe.flow.spread import Spread
from datapipe.store import files
from tests import s3
from tests.helpers import NIGHTLY, digests
from tests.jobs import nothing, run, send_and_die, write_inputs
from tests.programs import free_port, process, started
from tests.s3 import s3_flags

distributed = pytest.importorskip("distributed", reason="needs the extra dask, which `make test` installs")
dask = pytest.importorskip("datapipe.engine.dask")
pytestmark = pytest.mark.xdist_group("engines")
WAIT_SECONDS = 60
DASK = (sys.executable, "-m", "dask")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler and two workers, each a process of its own."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as started:
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
    assert not list((tmp_path / "out").rglob("*.tmp"))


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


def test_many_records_go_by_the_engines_own_shuffle(cluster: Any, tmp_path: pathlib.Path) -> None:
    dtype = np.dtype([("key", "<u8"), ("value", "<i8")])
    spilled, groups = tmp_path / "spilled", tmp_path / "groups"
    groups.mkdir()

    def records(seed: int) -> Any:
        found = np.zeros(50, dtype)
        found["key"], found["value"] = np.arange(50) % 7, seed
        return found

    def save(group: Any, folder: str) -> None:
        for key in np.unique(group["key"]).tolist():
            (pathlib.Path(folder) / f"{key}-{(group['key'] == key).sum()}").touch()

    def build(pipeline: beam.Pipeline) -> None:
        made = pipeline | beam.Create(range(14), reshuffle=False) | "Make" >> beam.Map(records)
        _ = made | GroupRecords(dtype, "key", 5, str(spilled)) | "Save" >> beam.Map(save, str(groups))

    on(cluster).run(build, 0, nothing)
    assert sorted(path.name for path in groups.iterdir()) == [f"{key}-{14 * (7 + (key == 0))}" for key in range(7)]
    assert not spilled.exists()


def test_the_graph_carries_no_data_twice() -> None:
    payload = os.urandom(1 << 20)
    pipeline = beam.Pipeline(runner=dask.DaskRunner())
    numbers = pipeline | beam.Create(range(100), reshuffle=False)
    sides = numbers
    for depth in range(6):
        sides = sides | f"Side {depth}" >> beam.Map(lambda number, _: number, beam.pvalue.AsList(sides))
    _ = sides | "Use" >> beam.Map(lambda number, _: number, payload)
    overridden: Any = pipeline
    overridden.replace_all(dask.overrides())
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


def test_nothing_goes_on_once_its_sender_is_killed(cluster: Any, tmp_path: pathlib.Path) -> None:
    begun, job_file = tmp_path / "begun", tmp_path / ".job"
    send_and_die(flags_of(cluster), begun, job_file, leaves_it=False)
    assert not job_file.exists()
    until = time.monotonic() + WAIT_SECONDS
    while cluster.scheduler.tasks and time.monotonic() < until:
        time.sleep(0.1)
    assert not cluster.scheduler.tasks


@contextlib.contextmanager
def hosts() -> Iterator[tuple[list[str], str]]:
    """Two hosts, network namespaces on a bridge, and the address of this one there."""
    here, bridge = "10.213.7.1", "datapipe-br"
    names = [f"datapipe-{letter}" for letter in "ab"]
    commands = [f"link add {bridge} type bridge", f"addr add {here}/24 dev {bridge}", f"link set {bridge} up"]
    for number, name in enumerate(names, 2):
        commands += [
            f"netns add {name}",
            f"link add {name} type veth peer name eth0 netns {name}",
            f"link set {name} master {bridge} up",
            f"-n {name} addr add 10.213.7.{number}/24 dev eth0",
            f"-n {name} link set eth0 up",
            f"-n {name} link set lo up",
        ]
    try:
        for command in commands:
            done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"ip {command}: {done.stderr.strip()}")
        yield names, here
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)
        subprocess.run(["ip", "link", "del", bridge], check=False)


@pytest.mark.skipif(not NIGHTLY, reason="each request to a store takes its time: `make test-all`")
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root makes network namespaces")
def test_two_hosts_that_share_a_store_and_no_disk(local_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Each worker is behind a link of its own, and sees the install, but no folder that a run lies in."""
    base, seen = "s3://bucket/work", tmp_path.parent
    with hosts() as (names, here), s3.served("0.0.0.0") as client, contextlib.ExitStack() as workers:
        port = free_port()
        workers.enter_context(started(*DASK, "scheduler", "--port", str(port), "--no-dashboard", port=port))
        for name in names:
            worker = [*DASK, "worker", f"tcp://{here}:{port}", "--nthreads", "1", "--no-dashboard"]
            apart = f"mount -t tmpfs none {seen} && exec {' '.join(worker)} --local-directory {seen}"
            workers.enter_context(process("ip", "netns", "exec", name, "unshare", "-m", "sh", "-c", apart))
        with distributed.Client(f"tcp://127.0.0.1:{port}") as looking:
            looking.wait_for_workers(2, timeout=WAIT_SECONDS)
            there = looking.run(os.path.exists, str(local_run / "out"))
            assert sorted(address.rpartition(":")[0] for address in there) == ["tcp://10.213.7.2", "tcp://10.213.7.3"]
            assert set(there.values()) == {False}
        write_inputs(base)
        store = [flag.replace("127.0.0.1", here) for flag in s3_flags(client)]
        run(base, Runner(2, ("--runner=dask", f"--dask_client_address=tcp://127.0.0.1:{port}", *store)))
        assert outputs(f"{base}/out") == outputs(str(local_run / "out"))


def outputs(folder: str) -> dict[str, bytes]:
    """The bytes of every file of a run, but for those that carry times and paths."""
    found = {}
    for file in files.files_below(folder):
        name = file.path.removeprefix(f"{folder}/")
        if name not in ("run.json", "report.html", ".lock"):
            with files.open_input(file.path) as source:
                found[name] = bytes(source.read())
    return found


SLURM = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={daemon}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/daemon.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES State=UP
"""


@pytest.mark.skipif(not NIGHTLY, reason="starts a Slurm of its own: `make test-all`")
@pytest.mark.skipif(
    not shutil.which("slurmctld") or os.geteuid() != 0, reason="needs root, and Slurm: apt install slurm-wlm"
)
def test_workers_that_slurm_starts(local_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    ports = {"controller": free_port(), "daemon": free_port()}
    scheduler = free_port()
    for name in ("state", "spool"):
        (tmp_path / name).mkdir()
    configured = tmp_path / "slurm.conf"
    configured.write_text(SLURM.format(host=platform.node().partition(".")[0], folder=tmp_path, **ports))
    (tmp_path / "munge.key").write_bytes(os.urandom(1024))
    (tmp_path / "munge.key").chmod(0o600)
    kept = [f"--{kind}-file={tmp_path}/munge.{kind}" for kind in ("key", "pid", "log", "seed")]
    with contextlib.ExitStack() as programs:
        programs.enter_context(process("munged", "-F", "--force", f"--socket={tmp_path}/munge.socket", *kept))
        programs.enter_context(started("slurmctld", "-D", "-f", str(configured), port=ports["controller"]))
        programs.enter_context(started("slurmd", "-D", "-f", str(configured), port=ports["daemon"]))
        programs.enter_context(started(*DASK, "scheduler", "--port", str(scheduler), "--no-dashboard", port=scheduler))
        worker = [*DASK, "worker", f"tcp://127.0.0.1:{scheduler}", "--nthreads", "1", "--no-dashboard"]
        command = ["srun", "--ntasks=2", *worker, f"--local-directory={tmp_path}"]
        programs.enter_context(process(*command, SLURM_CONF=str(configured)))
        with distributed.Client(f"tcp://127.0.0.1:{scheduler}") as looking:
            looking.wait_for_workers(2, timeout=WAIT_SECONDS)
        write_inputs(str(tmp_path))
        run(str(tmp_path), Runner(2, ("--runner=dask", f"--dask_client_address=tcp://127.0.0.1:{scheduler}")))
    assert digests(tmp_path / "out") == digests(local_run / "out")
