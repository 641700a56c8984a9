"""Programs that tests start: each listens on a port, and is gone after, with its children."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.helpers import ROOT

WAIT_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


@contextlib.contextmanager
def started(*command: str, port: int, **environment: str) -> Iterator[None]:
    """As `process`, of a program that listens on a port once the block begins."""
    with process(*command, **environment):
        await_port(port)
        yield


@contextlib.contextmanager
def process(*command: str, **environment: str) -> Iterator[None]:
    """A program, for as long as the block lasts; it and its children are gone after."""
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # pools call `python`
    around = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **environment}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, env=around, start_new_session=True, **quiet)  # type: ignore[call-overload]
    try:
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
