"""Object stores, each through its own client, and only by what all of them promise: read a range, put, list, delete.

Beam's file systems are not used for them: they make a client for each operation (970 in a run of the sample, 147 of its
184 s), hold 16 MiB for each open file, and need three requests to write what one can, and three more for its name. An
object is there whole or not at all, so it needs no temporary name. One client serves all threads of a process.

All of them drop an upload that is never finished. All list what was written a moment ago (S3 since December 2020); a
run whose workers are threads of one process does not ask for a listing of its own folder: it knows (`alone_in`).
"""

import abc
import collections
import contextlib
import functools
import io
import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, NamedTuple

from datapipe.extras import load_extra

FIRST_BYTES = 256 << 10  # read at once when a file is opened: most column files are smaller, and then that is all
READ_AHEAD_BYTES = 8 << 20  # at most, of a file that is read from one end to the other
PART_BYTES = 16 << 20  # a larger object goes up in parts of this size; S3 takes 10,000 of them
HELD_BYTES = 64 << 20  # of small objects in memory, where one process writes alone
_MANY = 1000  # keys in one request for their deletion, as S3 takes; Google takes 100


class Object(NamedTuple):
    """An object that a store has listed; `stamp` is another one after every change."""

    key: str
    size: int
    stamp: str
    modified: float

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder, as the consoles of stores make one: an empty object whose name ends in /."""
        return not self.size and self.key.endswith("/")


class Parts(abc.ABC):
    """The parts of a large object on their way; nothing is there until `finish`."""

    @abc.abstractmethod
    def add(self, content: bytes) -> None:
        """Send one more."""

    @abc.abstractmethod
    def finish(self) -> str:
        """Make them an object; its stamp."""

    @abc.abstractmethod
    def abort(self) -> None:
        """Drop them."""


class Store(abc.ABC):
    """A store, reached by one client. All errors are those of files: FileNotFoundError, or else OSError.

    Attributes:
        environment: how names of environment variables begin that its client goes by.
    """

    environment: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def __init__(self, options: Any) -> None:
        """Make the client, by Beam's options for this store."""

    @abc.abstractmethod
    def read(self, bucket: str, key: str, start: int, stop: int) -> tuple[bytes, int | None]:
        """The bytes of a range, as many as there are, and the size of the object, if the answer tells it."""

    @abc.abstractmethod
    def find(self, bucket: str, key: str) -> Object | None:
        """An object by its key; None if there is none."""

    def size(self, bucket: str, key: str) -> int | None:
        """The size of an object; None if there is none."""
        found = self.find(bucket, key)
        return None if found is None else found.size

    @abc.abstractmethod
    def listed(self, bucket: str, prefix: str, at_most: int | None = None) -> Iterator[Object]:
        """The objects whose key begins so."""

    def put(self, bucket: str, key: str, content: bytes) -> str:  # noqa: ARG002
        """Write an object; its stamp."""
        raise OSError(f"{bucket}/{key}: this store is for reading")

    def begin(self, bucket: str, key: str) -> Parts:
        """Begin a large object."""
        raise OSError(f"{bucket}/{key}: this store is for reading")

    def delete(self, bucket: str, keys: Sequence[str]) -> None:  # noqa: ARG002
        """Delete objects; those that are not there are no error."""
        raise OSError(f"{bucket}: this store is for reading")

    def copy(self, bucket: str, key: str, other: str) -> str:  # noqa: ARG002
        """Copy an object to another key of its bucket, within the store; the stamp of the copy."""
        raise OSError(f"{bucket}/{key}: this store is for reading")


@contextlib.contextmanager
def _as_os_errors(missing: Sequence[type[Exception]], errors: Sequence[type[Exception]], what: str) -> Iterator[None]:
    try:
        yield
    except tuple(missing) as error:
        raise FileNotFoundError(f"there is no {what}: {error}") from error
    except tuple(errors) as error:
        raise OSError(f"{what}: {error}") from error


class _S3(Store):
    environment = ("AWS_",)

    def __init__(self, options: Any) -> None:
        from apache_beam.io.aws.clients.s3.boto3_client import Client

        self.client = Client(options).client  # type: ignore[no-untyped-call]  # the rest of it is for one thread

    @contextlib.contextmanager
    def _errors(self, bucket: str, key: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise FileNotFoundError(f"there is no s3://{bucket}/{key}") from error
            raise OSError(f"s3://{bucket}/{key}: {error}") from error
        except BotoCoreError as error:
            raise OSError(f"s3://{bucket}/{key}: {error}") from error

    def read(self, bucket: str, key: str, start: int, stop: int) -> tuple[bytes, int | None]:
        from botocore.exceptions import ClientError

        with self._errors(bucket, key):
            try:
                found = self.client.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{stop - 1}")
            except ClientError as error:
                if error.response["Error"]["Code"] != "InvalidRange":
                    raise
                return b"", None if start else 0
            return found["Body"].read(), int(found["ContentRange"].rpartition("/")[2])

    def find(self, bucket: str, key: str) -> Object | None:
        with contextlib.suppress(FileNotFoundError), self._errors(bucket, key):
            found = self.client.head_object(Bucket=bucket, Key=key)
            return Object(key, found["ContentLength"], _stamp(found), found["LastModified"].timestamp())
        return None

    def listed(self, bucket: str, prefix: str, at_most: int | None = None) -> Iterator[Object]:
        with self._errors(bucket, prefix):
            limit = {} if at_most is None else {"MaxItems": at_most, "PageSize": min(at_most, _MANY)}
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix, PaginationConfig=limit):
                for each in page.get("Contents", ()):
                    modified = each["LastModified"].timestamp()
                    yield Object(each["Key"], each["Size"], _stamp(each), modified)

    def put(self, bucket: str, key: str, content: bytes) -> str:
        with self._errors(bucket, key):
            return _stamp(self.client.put_object(Bucket=bucket, Key=key, Body=content))

    def begin(self, bucket: str, key: str) -> Parts:
        return _S3Parts(self, bucket, key)

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        for at in range(0, len(keys), _MANY):
            wanted = [{"Key": key} for key in keys[at : at + _MANY]]
            with self._errors(bucket, keys[at]):
                answer = self.client.delete_objects(Bucket=bucket, Delete={"Objects": wanted, "Quiet": True})
            for error in answer.get("Errors", ()):
                raise OSError(f"s3://{bucket}/{error['Key']}: {error['Message']}")

    def copy(self, bucket: str, key: str, other: str) -> str:
        with self._errors(bucket, key):
            copied = self.client.copy_object(CopySource={"Bucket": bucket, "Key": key}, Bucket=bucket, Key=other)
            return _stamp(copied["CopyObjectResult"])


def _stamp(answer: Any) -> str:
    return str(answer["ETag"]).strip('"')


class _S3Parts(Parts):
    def __init__(self, store: _S3, bucket: str, key: str) -> None:
        self._store, self._place, self._etags = store, {"Bucket": bucket, "Key": key}, list[str]()
        with self._errors():
            self._place["UploadId"] = store.client.create_multipart_upload(**self._place)["UploadId"]

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return self._store._errors(self._place["Bucket"], self._place["Key"])

    def add(self, content: bytes) -> None:
        with self._errors():
            number = len(self._etags) + 1
            answer = self._store.client.upload_part(**self._place, PartNumber=number, Body=content)
        self._etags.append(answer["ETag"])

    def finish(self) -> str:
        parts = [{"ETag": etag, "PartNumber": number} for number, etag in enumerate(self._etags, 1)]
        with self._errors():
            return _stamp(self._store.client.complete_multipart_upload(**self._place, MultipartUpload={"Parts": parts}))

    def abort(self) -> None:
        with self._errors():
            self._store.client.abort_multipart_upload(**self._place)


class _Google(Store):
    environment = ("GOOGLE_", "STORAGE_EMULATOR_HOST")
    _BATCH = 100

    def __init__(self, options: Any) -> None:
        from apache_beam.io.gcp.gcsio import create_storage_client
        from apache_beam.options.pipeline_options import GoogleCloudOptions

        signs_in = not options.view_as(GoogleCloudOptions).no_auth
        self.client = create_storage_client(options, signs_in)  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def _errors(self, bucket: str, key: str) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPIError, NotFound
        from google.auth.exceptions import GoogleAuthError

        with _as_os_errors([NotFound], [GoogleAPIError, GoogleAuthError], f"gs://{bucket}/{key}"):
            yield

    def _blob(self, bucket: str, key: str, **how: Any) -> Any:
        return self.client.bucket(bucket).blob(key, **how)

    def read(self, bucket: str, key: str, start: int, stop: int) -> tuple[bytes, int | None]:
        from google.api_core.exceptions import RequestRangeNotSatisfiable

        with self._errors(bucket, key):
            try:
                content = self._blob(bucket, key).download_as_bytes(
                    start=start, end=stop - 1, raw_download=True, checksum=None
                )
            except RequestRangeNotSatisfiable:
                content = b""
        return content, len(content) if not start and len(content) < stop else None

    def find(self, bucket: str, key: str) -> Object | None:
        with self._errors(bucket, key):
            found = self.client.bucket(bucket).get_blob(key)
        return None if found is None else Object(key, found.size, str(found.generation), found.updated.timestamp())

    def listed(self, bucket: str, prefix: str, at_most: int | None = None) -> Iterator[Object]:
        with self._errors(bucket, prefix):
            found = self.client.list_blobs(bucket, prefix=prefix, max_results=at_most)
            for each in itertools.islice(found, at_most):
                yield Object(each.name, each.size, str(each.generation), each.updated.timestamp())

    def put(self, bucket: str, key: str, content: bytes) -> str:
        blob = self._blob(bucket, key)
        with self._errors(bucket, key):
            blob.upload_from_string(content)
        return str(blob.generation)

    def begin(self, bucket: str, key: str) -> Parts:
        return _GoogleParts(self, bucket, key)

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        for at in range(0, len(keys), self._BATCH):
            some = keys[at : at + self._BATCH]
            with self._errors(bucket, some[0]):
                answers = []
                with self.client.batch(raise_exception=False) as batch:
                    for key in some:
                        self.client.bucket(bucket).delete_blob(key)
                answers = batch._responses
            for key, answer in zip(some, answers, strict=True):
                if answer.status_code >= 400 and answer.status_code != 404:
                    raise OSError(f"gs://{bucket}/{key} could not be deleted: {answer.status_code} {answer.text}")

    def copy(self, bucket: str, key: str, other: str) -> str:
        with self._errors(bucket, key):
            here = self.client.bucket(bucket)
            return str(here.copy_blob(here.blob(key), here, other).generation)


class _GoogleParts(Parts):
    def __init__(self, store: _Google, bucket: str, key: str) -> None:
        self._errors = functools.partial(store._errors, bucket, key)
        self._blob = store._blob(bucket, key)
        self._writer = self._blob.open("wb", chunk_size=PART_BYTES, ignore_flush=True)

    def add(self, content: bytes) -> None:
        with self._errors():
            self._writer.write(content)

    def finish(self) -> str:
        with self._errors():
            self._writer.close()
            self._blob.reload()
        return str(self._blob.generation)

    def abort(self) -> None:
        with self._errors():
            self._writer.terminate()


class _Azure(Store):
    """`abfs://container@account.dfs.core.windows.net/key`, or `abfs://container/key` with a connection string."""

    environment = ("AZURE_",)

    def __init__(self, options: Any) -> None:
        from apache_beam.options.pipeline_options import AzureOptions

        given = options.view_as(AzureOptions)
        self._string = given.azure_connection_string or os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
        self._endpoint = given.blob_service_endpoint
        self._identity = given.azure_managed_identity_client_id
        self._containers: dict[str, Any] = {}

    def _container(self, bucket: str) -> Any:
        if bucket not in self._containers:
            from azure.storage.blob import BlobServiceClient

            name, _, host = bucket.partition("@")
            account = host.partition(".")[0] or os.environ.get("AZURE_STORAGE_ACCOUNT")
            if self._string:
                service = BlobServiceClient.from_connection_string(self._string)
            elif self._endpoint or account:
                from azure.identity import DefaultAzureCredential

                service = BlobServiceClient(
                    self._endpoint or f"https://{account}.blob.core.windows.net",
                    credential=DefaultAzureCredential(managed_identity_client_id=self._identity),
                )
            else:
                raise OSError(
                    f"abfs://{bucket}: of which account? Write abfs://{name}@ACCOUNT.dfs.core.windows.net/…, or give "
                    "--azure_connection_string or --blob_service_endpoint"
                )
            self._containers[bucket] = service.get_container_client(name)
        return self._containers[bucket]

    @contextlib.contextmanager
    def _errors(self, bucket: str, key: str) -> Iterator[None]:
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        with _as_os_errors([ResourceNotFoundError], [AzureError], f"abfs://{bucket}/{key}"):
            yield

    def read(self, bucket: str, key: str, start: int, stop: int) -> tuple[bytes, int | None]:
        from azure.core.exceptions import HttpResponseError

        with self._errors(bucket, key):
            try:
                found = self._container(bucket).download_blob(key, offset=start, length=stop - start)
                return found.readall(), int(found.properties.content_range.rpartition("/")[2])
            except HttpResponseError as error:
                if error.status_code != 416:
                    raise
                return b"", None

    def find(self, bucket: str, key: str) -> Object | None:
        with contextlib.suppress(FileNotFoundError), self._errors(bucket, key):
            found = self._container(bucket).get_blob_client(key).get_blob_properties()
            return Object(key, found.size, found.etag.strip('"'), found.last_modified.timestamp())
        return None

    def listed(self, bucket: str, prefix: str, at_most: int | None = None) -> Iterator[Object]:
        with self._errors(bucket, prefix):
            found = self._container(bucket).list_blobs(name_starts_with=prefix, results_per_page=at_most)
            for each in itertools.islice(found, at_most):
                yield Object(each.name, each.size, each.etag.strip('"'), each.last_modified.timestamp())

    def put(self, bucket: str, key: str, content: bytes) -> str:
        with self._errors(bucket, key):
            blob = self._container(bucket).get_blob_client(key)
            return str(blob.upload_blob(content, overwrite=True)["etag"]).strip('"')

    def begin(self, bucket: str, key: str) -> Parts:
        return _AzureParts(self, bucket, key)

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        for key in keys:
            with contextlib.suppress(FileNotFoundError), self._errors(bucket, key):
                self._container(bucket).delete_blob(key)

    def copy(self, bucket: str, key: str, other: str) -> str:
        with self._errors(bucket, key):  # a copy within the store needs a right of its own, by kind of account
            content = self._container(bucket).download_blob(key).readall()
        return self.put(bucket, other, content)


class _AzureParts(Parts):
    def __init__(self, store: _Azure, bucket: str, key: str) -> None:
        self._errors = functools.partial(store._errors, bucket, key)
        self._blob = store._container(bucket).get_blob_client(key)
        self._blocks: list[str] = []

    def add(self, content: bytes) -> None:
        name = f"{len(self._blocks):08d}"
        with self._errors():
            self._blob.stage_block(name, content)
        self._blocks.append(name)

    def finish(self) -> str:
        from azure.storage.blob import BlobBlock

        with self._errors():
            answer = self._blob.commit_block_list([BlobBlock(name) for name in self._blocks])
        return str(answer["etag"]).strip('"')

    def abort(self) -> None:
        """Nothing: blocks that no list names go after a week."""


class _Hub(Store):
    """`hf://datasets/owner/name/key` on the Hugging Face hub: read only, since there every file would be a commit."""

    environment = ("HF_",)

    def __init__(self, options: Any) -> None:  # noqa: ARG002 - as the others
        from huggingface_hub import HfFileSystem

        self._files = HfFileSystem(endpoint=os.environ.get("HF_ENDPOINT"), skip_instance_cache=True)

    @contextlib.contextmanager
    def _errors(self, bucket: str, key: str) -> Iterator[None]:
        from huggingface_hub.errors import HfHubHTTPError

        with _as_os_errors([FileNotFoundError], [HfHubHTTPError, OSError, ValueError], f"hf://{bucket}/{key}"):
            yield

    def read(self, bucket: str, key: str, start: int, stop: int) -> tuple[bytes, int | None]:
        with self._errors(bucket, key):
            path = f"{bucket}/{key}"
            size = int(self._files.info(path)["size"])
            stop = min(stop, size)
            return self._files.cat_file(path, start=start, end=stop) if start < stop else b"", size

    def find(self, bucket: str, key: str) -> Object | None:
        with contextlib.suppress(FileNotFoundError), self._errors(bucket, key):
            found = self._files.info(f"{bucket}/{key}")
            return Object(key, found["size"], str(found["blob_id"]), 0.0) if found["type"] == "file" else None
        return None

    def listed(self, bucket: str, prefix: str, at_most: int | None = None) -> Iterator[Object]:
        folder = prefix.rpartition("/")[0]
        with contextlib.suppress(FileNotFoundError), self._errors(bucket, prefix):
            found = self._files.find(f"{bucket}/{folder}", detail=True)
            names = sorted(name for name in found if name.startswith(f"{bucket}/{prefix}"))
            for name in names[:at_most]:
                yield Object(name.removeprefix(f"{bucket}/"), found[name]["size"], str(found[name]["blob_id"]), 0.0)


class _Alone(Store):
    """A store below a folder in which this process alone writes, and so knows what is there: no request asks for it.

    Small objects are read from memory, too. A run lists its folders and reads most column files again and again: for
    the sample that was 1,240 requests of 1,667.
    """

    def __init__(self, store: Store, bucket: str, prefix: str) -> None:
        self._store = store
        self._folders: dict[str, dict[str, Object]] = {}
        self._held: collections.OrderedDict[str, bytes] = collections.OrderedDict()
        self._held_bytes = 0
        self._lock = threading.Lock()
        for there in store.listed(bucket, prefix):
            self._folders.setdefault(_folder_of(there.key), {})[there.key] = there

    def read(self, bucket: str, key: str, start: int, stop: int) -> tuple[bytes, int | None]:
        with self._lock:
            content = self._held.get(key)
            if content is not None:
                self._held.move_to_end(key)
        if content is not None:
            return content[start:stop], len(content)
        there = self.find(bucket, key)
        if there is None:
            raise FileNotFoundError(f"there is no {bucket}/{key}")
        content, _ = self._store.read(bucket, key, start, stop)
        if start == 0 and len(content) == there.size:
            self._hold(key, content)
        return content, there.size

    def find(self, bucket: str, key: str) -> Object | None:  # noqa: ARG002 - all are in one
        return self._folders.get(_folder_of(key), {}).get(key)

    def listed(self, bucket: str, prefix: str, at_most: int | None = None) -> Iterator[Object]:  # noqa: ARG002
        with self._lock:
            # Those in it, and those that it is in: a prefix need not end where a name does.
            near = [name for name in self._folders if name.startswith(prefix) or f"{name}/" == prefix[: len(name) + 1]]
            folders = [list(self._folders[name].values()) for name in near]
        found = (each for folder in folders for each in folder if each.key.startswith(prefix))
        return itertools.islice(sorted(found), at_most)

    def put(self, bucket: str, key: str, content: bytes) -> str:
        stamp = self._store.put(bucket, key, content)
        self.wrote(key, len(content), stamp, content)
        return stamp

    def begin(self, bucket: str, key: str) -> Parts:
        return _AloneParts(self, key, self._store.begin(bucket, key))

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        gone = [key for key in keys if self.find(bucket, key)]
        self._store.delete(bucket, gone)
        with self._lock:
            for key in gone:
                self._folders[_folder_of(key)].pop(key, None)
        for key in gone:
            self._hold(key, None)

    def copy(self, bucket: str, key: str, other: str) -> str:
        stamp = self._store.copy(bucket, key, other)
        there = self.find(bucket, key)
        self.wrote(other, there.size if there else 0, stamp, self._held.get(key))
        return stamp

    def wrote(self, key: str, size: int, stamp: str, content: bytes | None = None) -> None:
        """Take note of an object that is there now, and of what it holds."""
        with self._lock:
            self._folders.setdefault(_folder_of(key), {})[key] = Object(key, size, stamp, time.time())
        self._hold(key, content)

    def _hold(self, key: str, content: bytes | None) -> None:
        """Keep a small object in memory, and of the others those that were asked for last; or let go of it."""
        with self._lock:
            self._held_bytes -= len(self._held.pop(key, b""))
            if content is None or len(content) > HELD_BYTES // 16:
                return
            self._held[key] = content
            self._held_bytes += len(content)
            while self._held_bytes > HELD_BYTES:
                self._held_bytes -= len(self._held.popitem(last=False)[1])


class _AloneParts(Parts):
    def __init__(self, store: _Alone, key: str, parts: Parts) -> None:
        self._store, self._key, self._parts, self._size = store, key, parts, 0

    def add(self, content: bytes) -> None:
        self._parts.add(content)
        self._size += len(content)

    def finish(self) -> str:
        stamp = self._parts.finish()
        self._store.wrote(self._key, self._size, stamp)
        return stamp

    def abort(self) -> None:
        self._parts.abort()


def _folder_of(key: str) -> str:
    return key.rpartition("/")[0]


_STORES: dict[str, type[Store]] = {"s3": _S3, "gs": _Google, "abfs": _Azure, "abfss": _Azure, "hf": _Hub}
# What brings the client of each: the module, and the extra.
EXTRAS = {
    "s3": ("boto3", "aws"),
    "gs": ("google.cloud.storage", "gcp"),
    "abfs": ("azure.storage.blob", "azure"),
    "abfss": ("azure.storage.blob", "azure"),
    "hf": ("huggingface_hub", "hub"),
}
_making = threading.Lock()


def store_of(path: str) -> tuple[Any, str, str]:
    """The store that a path lies in, its bucket and its key.

    Raises:
        MissingExtraError: if the store's client is not installed.
    """
    scheme, _, rest = path.partition("://")
    bucket, _, key = rest.partition("/")
    kind = _STORES[scheme]
    load_extra(*EXTRAS[scheme], path)
    options = beam_options()
    around = tuple(item for item in os.environ.items() if item[0].startswith(kind.environment))
    with _making:  # boto3 makes one at a time
        store = _made(kind, tuple(options._flags), around, os.getpid())
    alone = next((own for folder, own in _alone.items() if path.startswith(folder)), None)
    return alone or store, bucket, key


@contextlib.contextmanager
def alone_in(folder: str) -> Iterator[None]:
    """Let this process go by what it knows of a folder in which, while the block lasts, no other one writes."""
    if not is_object(folder):
        yield
        return
    whole = folder.rstrip("/") + "/"
    _alone[whole] = _Alone(*store_of(whole))
    try:
        yield
    finally:
        del _alone[whole]


_alone: dict[str, _Alone] = {}
_latest: dict[Any, Store] = {}


def _made(kind: type[Store], *by: Any) -> Store:
    if (kind, *by) not in _latest:
        _latest[kind, *by] = kind(beam_options())
    return _latest[kind, *by]


@functools.cache
def requests_at_once(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - no thread outlives a fork
    """Threads for requests that need not wait for each other, of a process; its clients hold ten connections."""
    return ThreadPoolExecutor(8, "requests")


def beam_options() -> Any:
    """The options that Beam's file systems go by: keys, addresses."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    return FileSystems._pipeline_options or PipelineOptions([])  # type: ignore[attr-defined]


def is_object(path: str) -> bool:
    """Whether a path lies in one of these stores."""
    return path.partition("://")[0] in _STORES


def is_read_only(path: str) -> bool:
    """Whether a path lies in a store in which nothing is written."""
    return path.startswith("hf://")


class Reader(io.RawIOBase):
    """An object opened for reading, any byte of it: what is read one after the other comes in ever larger pieces.

    Raises:
        FileNotFoundError: if there is none.
        OSError: if it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self._store, self._bucket, self._key = store_of(path)
        self._held, size = self._store.read(self._bucket, self._key, 0, FIRST_BYTES)
        self.length: int = size if size is not None else self._store.size(self._bucket, self._key)
        self._held_at = self._at = 0
        self._ahead = FIRST_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.length}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        stop = self.length if size is None or size < 0 else min(self._at + size, self.length)
        if stop <= self._at:
            return b""
        got = [self._from_held(stop)]
        if self._at < stop:
            self._fetch(stop)
            got.append(self._from_held(stop))
        if self._at < stop:
            raise OSError(f"{self._bucket}/{self._key} ends at {self._at:,} of {self.length:,} bytes")
        return b"".join(got)

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _from_held(self, stop: int) -> bytes:
        start = self._at - self._held_at
        if not 0 <= start < len(self._held):
            return b""
        taken = self._held[start : stop - self._held_at]
        self._at += len(taken)
        return taken

    def _fetch(self, stop: int) -> None:
        goes_on = self._at == self._held_at + len(self._held)
        self._ahead = min(2 * self._ahead, READ_AHEAD_BYTES) if goes_on else 0
        end = min(max(stop, self._at + self._ahead), self.length)
        self._ahead = max(self._ahead, FIRST_BYTES)
        self._held, _ = self._store.read(self._bucket, self._key, self._at, end)
        self._held_at = self._at


class Writer(io.RawIOBase):
    """An object on its way up: in one request, or in parts where it is large. `close` alone writes nothing."""

    def __init__(self, path: str) -> None:
        self._place = store_of(path)
        self._held = bytearray()
        self._parts: Parts | None = None
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        self._held += data
        self._size += len(data)
        while len(self._held) > PART_BYTES:
            store, bucket, key = self._place
            self._parts = self._parts or store.begin(bucket, key)
            self._parts.add(bytes(self._held[:PART_BYTES]))
            del self._held[:PART_BYTES]
        return len(data)

    def finish(self) -> None:
        """Let the object be there."""
        store, bucket, key = self._place
        if self._parts is None:
            store.put(bucket, key, bytes(self._held))
        else:
            self._parts.add(bytes(self._held))
            self._parts.finish()

    def abort(self) -> None:
        """Let it not be there."""
        if self._parts is not None:
            self._parts.abort()


@contextlib.contextmanager
def upload(path: str) -> Iterator[Writer]:
    """A file opened for writing that becomes an object once the block has ended well."""
    writer = Writer(path)
    try:
        yield writer
        writer.finish()
    except BaseException as error:
        try:
            writer.abort()
        except OSError as left:  # what went wrong first is what has to be said
            error.add_note(f"what was sent of {path} may have been left there: {left}")
        raise
