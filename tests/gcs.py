"""A server of Google Cloud Storage on loopback, where `fake-gcs-server` is on the path."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions


@contextlib.contextmanager
def served() -> Iterator[Any]:
    """A client of a server that holds an empty bucket, `gs://bucket`; skips without the server or Google's client."""
    storage = pytest.importorskip("google.cloud.storage", reason="needs the extra gcp")
    program = shutil.which("fake-gcs-server")
    if program is None:
        pytest.skip("needs the program fake-gcs-server on the path")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    start = [program, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    options = FileSystems._pipeline_options  # type: ignore[attr-defined]
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        subprocess.Popen([*start, "-public-host", address], stderr=subprocess.DEVNULL) as server,
    ):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{address}")
        FileSystems.set_options(PipelineOptions(["--no_auth"]))
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        try:
            client = storage.Client.create_anonymous_client()
            client.create_bucket("bucket")
            yield client
        finally:
            FileSystems.set_options(options)
            server.kill()
