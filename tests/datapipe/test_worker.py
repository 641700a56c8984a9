"""No worker outlives its driver."""

import subprocess
import sys

import psutil

# A driver that starts a worker and never speaks to it.
DRIVER = """
import os, subprocess, sys, time
address = "url: 'localhost:1'"
environment = os.environ | {"CONTROL_API_SERVICE_DESCRIPTOR": address, "LOGGING_API_SERVICE_DESCRIPTOR": address}
worker = subprocess.Popen([sys.executable, "-m", "datapipe.worker", str(os.getpid())], env=environment)
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
