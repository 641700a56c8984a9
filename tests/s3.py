"""An S3 server of the tests' own on loopback, which speaks the real protocol."""

import contextlib
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions


def s3_flags(client: Any) -> list[str]:
    """The flags of Beam's with which its file system reaches the server of a client."""
    return [
        f"--s3_endpoint_url={client.meta.endpoint_url}",
        "--s3_access_key_id=key",
        "--s3_secret_access_key=secret",
        "--s3_region_name=us-east-1",
    ]


@contextlib.contextmanager
def served(host: str = "127.0.0.1") -> Iterator[Any]:
    """A client of a server that holds an empty bucket, `s3://bucket`, which Beam reaches too; skips without moto.

    Args:
        host: the address that it listens at; this machine always reaches it by loopback.
    """
    server_module = pytest.importorskip(
        "moto.server", reason="needs the packages moto[s3], flask and flask-cors, which `make test` installs"
    )
    boto3 = pytest.importorskip("boto3", reason="needs the package boto3, which `make test` installs")
    server = server_module.ThreadedMotoServer(ip_address=host, port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    host = "127.0.0.1"
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    options = FileSystems._pipeline_options  # type: ignore[attr-defined]
    FileSystems.set_options(PipelineOptions(s3_flags(client)))
    # All such servers of a process hold the same buckets.
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    client.create_bucket(Bucket="bucket")
    try:
        yield client
    finally:
        FileSystems.set_options(options)
        server.stop()
