"""Object stores: one client, few requests, whole objects or none, and as few bytes as are wanted."""

import collections
import contextlib
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import shutil
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from datapipe.extras import MissingExtraError
from datapipe.store import files, objects
from tests.programs import free_port, started

NOISE = np.random.default_rng(1).bytes(4 << 20)
# Azurite's own, which its documentation prints.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture
def seen(s3: Any) -> collections.Counter[str]:  # noqa: ARG001 - there must be a server
    """The operations that the client of `s3://bucket` has asked for."""
    counted: collections.Counter[str] = collections.Counter()
    client = objects.store_of("s3://bucket/any")[0].client
    client.meta.events.register("before-call.s3", lambda model, **_: counted.update([model.name]))
    return counted


def write(path: str, content: bytes) -> None:
    with files.whole_file(path) as sink:
        sink.write(content)


def read(path: str) -> bytes:
    with files.open_input(path) as source:
        return bytes(source.read())


def do_what_files_do(base: str) -> None:
    """Write, read, list and remove below a folder that is empty, as the project does, alone there and not."""
    do_what_files_do_after(base, [])
    with objects.alone_in(base):
        do_what_files_do_after(base, [])


def do_what_files_do_after(base: str, before: list[str]) -> None:
    """As `do_what_files_do`, where there are files of these names; they stay."""
    there = [f"{base}/{name}" for name in before]
    one, other, large = f"{base}/a/one.json", f"{base}/a-b/c [1]*.txt", f"{base}/a/large"
    assert not files.exists(f"{base}/a")
    files.write_json(one, [1])
    write(other, b"")
    write(large, NOISE * 9)
    assert files.exists(f"{base}/a")
    assert not files.exists(f"{base}/a/on")
    assert (files.is_file(one), files.is_file(f"{base}/a")) == (True, False)
    assert (files.read_json(one), read(other)) == ([1], b"")
    assert hashlib.sha256(read(large)).digest() == hashlib.sha256(NOISE * 9).digest()
    assert files.read_range(large, (4 << 20) - 2, 4) == NOISE[-2:] + NOISE[:2]
    assert files.list_folder(f"{base}/a") == [large, one]
    assert [file.path for file in files.find(base)] == [other, large, one, *there]
    assert [file.path for file in files.find(f"{base}/*/*.json")] == [one]
    assert [file.path for file in files.find(other)] == [other]
    assert files.first_names(base, 1) == ["a-b"]
    as_it_was = files.find(one)
    files.write_json(one, [2])
    assert files.find(one) != as_it_was
    files.rename(one, f"{base}/b.json")
    assert (files.is_file(one), files.read_json(f"{base}/b.json")) == (False, [2])
    with pytest.raises(FileNotFoundError):
        files.open_input(one)
    with pytest.raises(ZeroDivisionError), files.whole_file(one) as sink:
        sink.write(NOISE * 5)
        raise ZeroDivisionError
    files.remove(f"{base}/a")
    files.remove(f"{base}/a")
    files.remove_files([other, f"{base}/b.json", f"{base}/nothing"])
    assert [file.path for file in files.find(base)] == there


def test_s3_does_what_files_do(s3: Any) -> None:
    do_what_files_do("s3://bucket/some/folder")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="bucket")


def test_googles_store_does_what_files_do(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("google.cloud.storage", reason="needs the extra gcp")
    from tests import dataflow

    with pytest.MonkeyPatch.context() as patch, dataflow.store(tmp_path, [], patch, "http://127.0.0.1:9"):
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
        with options("--no_auth"):
            do_what_files_do("gs://bucket/some/folder")


@contextlib.contextmanager
def options(*flags: str) -> Iterator[None]:
    before = FileSystems._pipeline_options  # type: ignore[attr-defined]
    FileSystems.set_options(PipelineOptions(list(flags)))
    try:
        yield
    finally:
        FileSystems.set_options(before)


def test_azures_store_does_what_files_do(tmp_path: pathlib.Path) -> None:
    storage = pytest.importorskip("azure.storage.blob", reason="needs the extra azure")
    azurite = shutil.which("azurite-blob")
    if azurite is None:
        pytest.skip("needs the program azurite-blob: npm install --global azurite")
    port = free_port()
    place = f"http://127.0.0.1:{port}/devstoreaccount1"
    string = (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={AZURITE_KEY};BlobEndpoint={place};"
    )
    serve = [azurite, "--blobPort", str(port), "--location", str(tmp_path), "--skipApiVersionCheck", "--silent"]
    with started(*serve, port=port), options(f"--azure_connection_string={string}"):
        storage.BlobServiceClient.from_connection_string(string).create_container("box")
        do_what_files_do("abfs://box@devstoreaccount1.dfs.core.windows.net/some/folder")
        do_what_files_do("abfs://box/some/folder")


def test_small_objects_cost_one_request_each(seen: collections.Counter[str]) -> None:
    write("s3://bucket/a", b"small")
    assert seen == {"PutObject": 1}
    assert read("s3://bucket/a") == b"small"
    assert seen == {"PutObject": 1, "GetObject": 1}
    files.remove_files([f"s3://bucket/{number}" for number in range(900)])
    assert seen["DeleteObjects"] == 1


def test_who_writes_alone_asks_for_nothing_that_he_knows(seen: collections.Counter[str], s3: Any) -> None:
    base = "s3://bucket/some/folder"
    write(f"{base}/before", b"earlier")
    with objects.alone_in(base):
        do_what_files_do_after(base, ["before"])
        assert seen["ListObjectsV2"] == 1
        assert not seen["HeadObject"]
        seen.clear()
        write(f"{base}/a/b", b"small")
        write(f"{base}/a/b", b"other")
        assert [read(f"{base}/{name}") for name in ("a/b", "before", "before")] == [b"other", b"earlier", b"earlier"]
        files.rename(f"{base}/a/b", f"{base}/c")
        there = files.find(base)
        assert [file.path for file in there] == [f"{base}/before", f"{base}/c"]
        assert read(f"{base}/c") == b"other"
        files.remove(f"{base}/none")
        assert seen == {"PutObject": 2, "GetObject": 1, "CopyObject": 1, "DeleteObjects": 1}
    assert files.find(base) == there  # stamps, too: a later run goes by them
    s3.put_object(Bucket="bucket", Key="some/folder/c", Body=b"of another")
    assert read(f"{base}/c") == b"of another"


def test_memory_holds_what_was_asked_for_last(seen: collections.Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "HELD_BYTES", 1600)
    with objects.alone_in("s3://bucket/some"):
        for number in range(20):
            write(f"s3://bucket/some/{number}", b"%d" % (number % 10) * 100)
        write("s3://bucket/some/large", bytes(101))  # more than a sixteenth
        for name in ("19", "4", "3", "large"):
            read(f"s3://bucket/some/{name}")
    assert seen["GetObject"] == 2


def test_large_objects_go_up_in_parts(seen: collections.Counter[str]) -> None:
    write("s3://bucket/a", NOISE * 9)  # 36 MiB
    assert seen == {"CreateMultipartUpload": 1, "UploadPart": 3, "CompleteMultipartUpload": 1}


def test_one_client_serves_all_threads(s3: Any) -> None:  # noqa: ARG001 - there must be a server
    def work(number: int) -> Any:
        write(f"s3://bucket/{number}", b"%d" % number)
        assert read(f"s3://bucket/{number}") == b"%d" % number
        return objects.store_of("s3://bucket/any")[0]

    with ThreadPoolExecutor(8) as threads:
        assert len({id(store) for store in threads.map(work, range(40))}) == 1


def test_any_byte_is_read_as_from_a_file(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="noise", Body=NOISE)
    draw = random.Random(3)
    with objects.Reader("s3://bucket/noise") as there:
        here = io.BytesIO(NOISE)
        for _ in range(60):
            if draw.random() < 0.6:
                place = draw.randrange(len(NOISE))
                assert there.seek(place) == here.seek(place)
            size = draw.choice((0, 7, 4096, 1 << 19))
            assert there.read(size) == here.read(size)


def test_a_file_read_in_order_takes_few_requests(s3: Any, seen: collections.Counter[str]) -> None:
    s3.put_object(Bucket="bucket", Key="noise", Body=NOISE * 8)
    with objects.Reader("s3://bucket/noise") as there:
        while there.read(1 << 14):
            pass
    assert seen["GetObject"] < 12


def test_a_few_columns_are_read_without_the_others(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [NOISE[at : at + 4000].hex() for at in range(0, len(NOISE), 4000)]
    table = pa.table({"text": texts, "score": np.arange(len(texts), dtype=np.float32), "note": texts})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=200, compression="none", use_dictionary=False)
    s3.put_object(Bucket="bucket", Key="part.parquet", Body=sink.getvalue())
    fetched: list[int] = []
    store = objects.store_of("s3://bucket/any")[0]
    whole = store.read

    def counted(*place: Any) -> tuple[bytes, int | None]:
        answer = whole(*place)
        fetched.append(len(answer[0]))
        return answer

    monkeypatch.setattr(store, "read", counted)
    with files.open_input("s3://bucket/part.parquet") as source:
        file = pq.ParquetFile(source)
        assert sum(len(file.read_row_group(group, columns=["score"])) for group in range(file.num_row_groups)) == len(
            texts
        )
    assert sum(fetched) < 0.05 * len(sink.getvalue())


def test_a_store_that_is_not_there_is_an_error_of_files(s3: Any) -> None:  # noqa: ARG001 - there must be a server
    with pytest.raises(OSError, match="s3://absent/a"):
        write("s3://absent/a", b"")
    with pytest.raises(OSError, match="s3://absent/"):
        files.find("s3://absent/a")


def hub(folder: pathlib.Path) -> type[http.server.BaseHTTPRequestHandler]:
    """A hub that holds one dataset, `datasets/me/texts`, whose files are those of a folder."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
            place, _, name = path.partition("/main")
            file = folder / name.lstrip("/")
            if place.startswith("/api/datasets/me/texts/") and file.is_dir():
                return self.say([self.about(each) for each in sorted(file.rglob("*"))])
            if path == "/api/datasets/me/texts/paths-info/main":
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                wanted = urllib.parse.parse_qs(body).get("paths") or json.loads(body)["paths"]
                return self.say([self.about(folder / each) for each in wanted if (folder / each).exists()])
            if path in ("/api/datasets/me/texts", "/api/datasets/me/texts/revision/main"):
                return self.say({"id": "me/texts", "sha": "0" * 40, "siblings": []})
            if place == "/datasets/me/texts/resolve" and file.is_file():
                return self.send(file.read_bytes())
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            return self.end_headers()

        def about(self, file: pathlib.Path) -> Any:
            found = {"path": str(file.relative_to(folder)), "oid": hashlib.sha1(str(file).encode()).hexdigest()}
            return found | ({"type": "directory"} if file.is_dir() else {"type": "file", "size": file.stat().st_size})

        def say(self, value: Any) -> None:
            self.send(json.dumps(value).encode())

        def send(self, content: bytes) -> None:
            whole, asked = len(content), self.headers.get("Range")
            if asked:
                start, stop = map(int, asked.removeprefix("bytes=").split("-"))
                content = content[start : stop + 1]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{start + len(content) - 1}/{whole}")
            else:
                self.send_response(200)
            for name, value in (("Content-Length", str(len(content))), ("ETag", '"1"'), ("X-Repo-Commit", "0" * 40)):
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_HEAD = answer  # noqa: N815 - named by the standard library

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def test_the_hub_is_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the extra hub")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_bytes(b'{"text": "a"}\n')
    (tmp_path / "data" / "noise").write_bytes(NOISE)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), hub(tmp_path))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{web.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", here)
    base = "hf://datasets/me/texts"
    try:
        assert [file.path for file in files.find(base)] == [f"{base}/data/a.jsonl", f"{base}/data/noise"]
        assert [file.path for file in files.find(f"{base}/data/*.jsonl")] == [f"{base}/data/a.jsonl"]
        assert read(f"{base}/data/a.jsonl") == b'{"text": "a"}\n'
        assert files.read_range(f"{base}/data/noise", 1000, 3) == NOISE[1000:1003]
        assert hashlib.sha256(read(f"{base}/data/noise")).digest() == hashlib.sha256(NOISE).digest()
        assert not files.exists(f"{base}/data/none")
        with pytest.raises(OSError, match="for reading"):
            write(f"{base}/data/new", b"a")
    finally:
        web.shutdown()
        web.server_close()


@pytest.mark.parametrize(
    ("path", "extra"), [("s3://b/a", "aws"), ("gs://b/a", "gcp"), ("abfs://b/a", "azure"), ("hf://datasets/a", "hub")]
)
def test_a_store_without_its_client_names_the_extra(path: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, objects.EXTRAS[path.partition(":")[0]][0], None)
    with pytest.raises((MissingExtraError, ModuleNotFoundError), match=rf"datapipe-llm\[{extra}\]"):
        files.exists(path)


def test_which_account_is_asked_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("azure.storage.blob", reason="needs the extra azure")
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)
    with pytest.raises(OSError, match=r"abfs://box: of which account\? Write abfs://box@ACCOUNT\.dfs"):
        files.exists("abfs://box/a")
