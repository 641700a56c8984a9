"""No worker outlives its driver."""

import subprocess
import sys

import psutil
import pytest

# A driver that starts a worker and never speaks to it.
DRIVER = """
import os, subprocess, sys, time
address = "url: 'localhost:1'"
environment = os.environ | {"CONTROL_API_SERVICE_DESCRIPTOR": address, "LOGGING_API_SERVICE_DESCRIPTOR": address}
worker = subprocess.Popen([sys.executable, "-m", "datapipe.engine.worker", str(os.getpid())], env=environment)
print(worker.pid, flush=True)
time.sleep(60)
"""


def test_a_worker_ends_when_its_driver_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as driver:
        assert driver.stdout
        worker = psutil.Process(int(driver.stdout.readline()))
        assert worker.is_running()
        driver.kill()
    worker.wait(timeout=10)


HOARD = """
import psutil, pyarrow as pa
from datapipe.engine.worker import give_memory_back
give_memory_back()
this = psutil.Process()
before = this.memory_info().rss
for make in (lambda: [b"x" * 200_000 for _ in range(500)], lambda: [pa.array(range(1 << 20)) for _ in range(12)]):
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
        assert held > 90
        assert left < 25
