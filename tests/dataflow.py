"""A stand-in for Google's Dataflow on loopback: it runs what is sent to it on Prism, in workers of a pool.

It speaks the part of the service's REST interface that Beam's own `DataflowRunner` does: the pipeline is staged, found
there, and given back states, messages and metrics. What is not the service's: it starts no machines and no containers.
"""

import contextlib
import dataclasses
import http.server
import json
import logging
import pathlib
import re
import shutil
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc, beam_runner_api_pb2, endpoints_pb2
from google.protobuf import struct_pb2

from tests.programs import free_port, started

BUCKET = "bucket"
_ENDED = ("DONE", "FAILED", "CANCELLED")


@dataclasses.dataclass
class Job:
    """A job that was sent: Prism's name of it, its pipeline as it was staged, and what Prism said."""

    id: str
    pipeline_bytes: int
    messages: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Dataflow:
    """The service.

    Attributes:
        flags: with which `datapipe run` reaches it.
        jobs: sent so far.
        requests: that the store has seen, `GET /storage/v1/b/bucket/o/...` and the like.
    """

    prism: Any
    pool: str
    store: str
    flags: list[str] = dataclasses.field(default_factory=list)
    jobs: list[Job] = dataclasses.field(default_factory=list)
    requests: list[str] = dataclasses.field(default_factory=list)

    def create(self, body: Any) -> Any:
        options = body["environment"]["sdkPipelineOptions"]["options"]
        bucket, _, key = options["pipelineUrl"].removeprefix("gs://").partition("/")
        with urllib.request.urlopen(f"{self.store}/{bucket}/{urllib.parse.quote(key)}") as staged:
            content = staged.read()
        pipeline = beam_runner_api_pb2.Pipeline.FromString(content)
        payload = beam_runner_api_pb2.ExternalPayload(endpoint=endpoints_pb2.ApiServiceDescriptor(url=self.pool))
        for environment in pipeline.components.environments.values():
            assert environment.urn == common_urns.environments.DOCKER.urn
            environment.urn, environment.payload = common_urns.environments.EXTERNAL.urn, payload.SerializeToString()
            del environment.dependencies[:]
        given = struct_pb2.Struct()
        given.update({f"beam:option:{name}:v1": value for name, value in options.items() if value is not None})
        prepared = self.prism.Prepare(
            beam_job_api_pb2.PrepareJobRequest(job_name=body["name"], pipeline=pipeline, pipeline_options=given)
        )
        run = beam_job_api_pb2.RunJobRequest(preparation_id=prepared.preparation_id)
        job = Job(self.prism.Run(run).job_id, len(content))
        self.jobs.append(job)
        threading.Thread(target=self._listen, args=(job,), daemon=True).start()
        return self.get(job.id)

    def _listen(self, job: Job) -> None:
        with contextlib.suppress(grpc.RpcError):
            for said in self.prism.GetMessageStream(beam_job_api_pb2.JobMessagesRequest(job_id=job.id)):
                if said.message_response.importance >= beam_job_api_pb2.JobMessage.JOB_MESSAGE_ERROR:
                    job.messages.append(said.message_response.message_text)

    def get(self, job: str) -> Any:
        request = beam_job_api_pb2.GetJobStateRequest(job_id=job)
        state = beam_job_api_pb2.JobState.Enum.Name(self.prism.GetState(request).state)
        known = state if state in (*_ENDED, "CANCELLING") else "RUNNING"
        return {"id": job, "projectId": "test-project", "currentState": f"JOB_STATE_{known}"}

    def update(self, job: str, body: Any) -> Any:
        assert body["requestedState"] in ("JOB_STATE_CANCELLED", 5)
        self.prism.Cancel(beam_job_api_pb2.CancelJobRequest(job_id=job))
        return self.get(job)

    def messages(self, job: str) -> Any:
        said = next(each for each in self.jobs if each.id == job).messages
        common = {"time": "2026-01-01T00:00:00Z", "messageImportance": "JOB_MESSAGE_ERROR"}
        return {"jobMessages": [{"id": str(at), "messageText": text, **common} for at, text in enumerate(said)]}

    def metrics(self, job: str) -> Any:
        found = self.prism.GetJobMetrics(beam_job_api_pb2.GetJobMetricsRequest(job_id=job)).metrics.committed
        sums = common_urns.monitoring_info_specs.USER_SUM_INT64.spec.urn
        counted = [(info.labels, _decoded(info.payload)) for info in found if info.urn == sums]
        return {"metrics": [{"name": _name_of(labels), "scalar": value} for labels, value in counted]}


def _decoded(payload: bytes) -> int:
    return int(VarIntCoder().decode(payload))  # type: ignore[no-untyped-call]


def _name_of(labels: Any) -> Any:
    context = {"step": labels["PTRANSFORM"], "namespace": labels["NAMESPACE"]}
    return {"origin": "user", "name": labels["NAME"], "context": context}


def _handler(service: Dataflow) -> type[http.server.BaseHTTPRequestHandler]:
    jobs = re.compile(r"/v1b3/projects/test-project/locations/us-central1/jobs(?:/([^/?]+)(?:/(\w+))?)?")

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            place = jobs.match(self.path)
            if self.path == "/token":
                content = {"access_token": "any", "expires_in": 3600, "token_type": "Bearer"}
            elif place is None:
                self.send_error(404)
                return
            elif place[1] is None:
                content = service.create(json.loads(body))
            elif place[2]:
                content = getattr(service, place[2])(place[1])
            else:
                content = service.update(place[1], json.loads(body)) if self.command == "PUT" else service.get(place[1])
            said = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - named by the standard library

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _save_account(path: pathlib.Path, token_uri: str) -> None:
    """Write the file of a service account that signs in at an address of ours."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "test-project",
        "private_key_id": "1",
        "private_key": key.decode(),
        "client_email": "tests@test-project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    path.write_text(json.dumps(account))


class _Seen(logging.Handler):
    def __init__(self, requests: list[str]) -> None:
        super().__init__(logging.INFO)
        self._requests = requests

    def emit(self, record: logging.LogRecord) -> None:
        found = re.match(r'"(\w+ \S+)', record.getMessage())
        if found:
            self._requests.append(found[1])


@contextlib.contextmanager
def store(folder: pathlib.Path, requests: list[str], patch: pytest.MonkeyPatch, token_uri: str) -> Iterator[str]:
    """The address of a server of Google Cloud Storage with an empty bucket, `gs://bucket`, which this process and those
    that it starts reach.

    Args:
        folder: for the file of an account.
        requests: gets each that the server sees.
        patch: sets the environment.
        token_uri: where the account signs in.
    """
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="needs the package gcp-storage-emulator")
    port = free_port()
    _save_account(folder / "account.json", token_uri)
    address = f"http://127.0.0.1:{port}"
    for name, value in (
        ("STORAGE_EMULATOR_HOST", address),
        ("NO_GCE_CHECK", "true"),
        ("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true"),
        ("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "account.json")),
        ("GOOGLE_CLOUD_PROJECT", "test-project"),
    ):
        patch.setenv(name, value)
    seen = _Seen(requests)
    logger = logging.getLogger("gcp_storage_emulator.server")
    propagates, level = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(seen)
    try:
        with emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET):
            yield address
    finally:
        logger.removeHandler(seen)
        logger.propagate = propagates
        logger.setLevel(level)


@contextlib.contextmanager
def served(folder: pathlib.Path) -> Iterator[Dataflow]:
    """The service, with a store and a pool of workers; skips without Prism, the store or Google's clients."""
    pytest.importorskip("google.cloud.dataflow", reason="needs the extra gcp")
    runner = pytest.importorskip("apache_beam.runners.dataflow.dataflow_runner", reason="needs the extra gcp")
    prism = shutil.which("prism")
    if prism is None:
        pytest.skip("needs the program prism: go install github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0")
    prism_port, pool_port = free_port(), free_port()
    requests: list[str] = []
    with contextlib.ExitStack() as held:
        patch = held.enter_context(pytest.MonkeyPatch.context())
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
        held.callback(web.server_close)
        here = f"http://localhost:{web.server_port}"
        address = held.enter_context(store(folder, requests, patch, f"{here}/token"))
        held.enter_context(started(prism, "--serve_http=false", f"--job_port={prism_port}", port=prism_port))
        module = "apache_beam.runners.worker.worker_pool_main"
        held.enter_context(started(sys.executable, "-m", module, f"--service_port={pool_port}", port=pool_port))
        channel = held.enter_context(grpc.insecure_channel(f"localhost:{prism_port}"))
        stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
        service = Dataflow(stub, f"localhost:{pool_port}", address, requests=requests)
        web.RequestHandlerClass = _handler(service)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        held.callback(web.shutdown)
        _look_often(runner, patch)
        service.flags += [
            "--runner=DataflowRunner",
            "--project=test-project",
            "--region=us-central1",
            f"--dataflow_endpoint={here}",
            f"--temp_location=gs://{BUCKET}/temp",
            "--no_auth",
            "--sdk_container_image=example.test/datapipe:1",
            "--sdk_location=container",
        ]
        yield service


def _look_often(runner: Any, patch: pytest.MonkeyPatch) -> None:
    """Let Beam ask for the state of a job more often than every five seconds."""
    real = runner.time

    class Clock:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def sleep(self, seconds: float) -> None:
            real.sleep(min(seconds, 0.1))

    patch.setattr(runner, "time", Clock())
