"""A folder for one run alone: by the kernel where it is local, elsewhere by what the store itself promises.

On a local folder the kernel locks a file, and unlocks it when the process ends, however it ends. An object store has no
such thing, and Beam's file systems cannot create a file only if there is none. But S3 can (`If-None-Match: *`), and so
can Google's (`ifGenerationMatch=0`): the lock is an object that one run alone can create. Its owner writes it again
every so often, as a sign of life; one without a sign for long is taken over, which of several runs again only one can.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import ClassVar, NamedTuple, Protocol, Self

from datapipe.store import files, objects

LOCK = ".lock"
# A sign of life so often. One that cannot be given for as long as others wait means that the lock may be lost.
BEAT_SECONDS = 20.0
STALE_SECONDS = 120.0


class LockedError(RuntimeError):
    """A folder that another run holds, or has taken over, in one line."""


@dataclasses.dataclass(frozen=True)
class Owner:
    """Who holds a lock: the host and process, when it took it, and a name that no other run has."""

    host: str
    pid: int
    since: str
    run: str

    @classmethod
    def this(cls) -> Self:
        """This process."""
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        return cls(platform.node(), os.getpid(), since, uuid.uuid4().hex)

    @classmethod
    def read(cls, content: bytes) -> Self | None:
        """The owner that a lock names, if it is one of ours."""
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):
            return None

    def written(self) -> bytes:
        """What the lock holds."""
        return json.dumps(dataclasses.asdict(self)).encode()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class _Held(NamedTuple):
    """A lock in a store: what it holds, its version, and how long ago its owner gave a sign of life."""

    content: bytes
    version: str
    seconds: float


class _Store(Protocol):
    """An object of a store, written under conditions; each gives the new version, or none where the condition fails."""

    tells_time: ClassVar[bool]  # whether the age of what is there is by the store's own clock

    def create(self, content: bytes) -> str | None:
        """Write it if there is none."""

    def replace(self, content: bytes, version: str) -> str | None:
        """Write it if it still is of this version."""

    def read(self) -> _Held | None:
        """What is there."""

    def delete(self) -> None:
        """Remove it."""


@contextlib.contextmanager
def locked(folder: str, report: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Make a folder, which is there, this process's alone.

    Args:
        folder: on any file system of Beam's.
        report: takes a line, where a lock is taken over or the file system has none.

    Yields:
        A function that raises LockedError if the lock has been lost.

    Raises:
        LockedError: if another process holds it.
        OSError: if the lock cannot be written.
    """
    path = files.join(folder, LOCK)
    if files.is_local(folder):
        with _locked_by_kernel(path, folder, report):
            yield lambda: None
        return
    store = _store(path)
    if store is None:
        report(f"{folder} is not locked, for want of a way to: let no other run write there")
        yield lambda: None
        return
    lock = _Lock(store, folder, report)
    if not lock.take():
        report(f"{folder} is not locked, its store creates what is there already: let no other run write there")
        yield lambda: None
        return
    try:
        yield lock.check
    finally:
        lock.give_back()


@contextlib.contextmanager
def _locked_by_kernel(path: str, folder: str, report: Callable[[str], None]) -> Iterator[None]:
    with open(path, "a+b") as lock:  # noqa: PTH123 - held until the run ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = Owner.read(lock.read())
            raise LockedError(_refusal(folder, owner)) from None
        except OSError as error:
            report(f"{folder} is not locked, {error.strerror}: let no other run write there")
        lock.truncate(0)
        lock.write(Owner.this().written())
        lock.flush()
        yield


def _refusal(folder: str, owner: Owner | None) -> str:
    who = f" ({owner})" if owner else ""
    return f"another run is writing into {folder}{who}: wait for it, or choose another folder"


class _Lock:
    """A lock in a store, with the thread that gives signs of life."""

    def __init__(self, store: _Store, folder: str, report: Callable[[str], None]) -> None:
        self._store = store
        self._folder = folder
        self._report = report
        self._content = Owner.this().written()
        self._version = ""
        self._lost = ""
        self._given_back = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="lock")

    def take(self) -> bool:
        """Take the lock; false if the store does not keep its condition.

        Raises:
            LockedError: if another process holds it.
        """
        version = self._store.create(self._content) or self._take_over()
        again = self._store.create(self._content)
        if again is not None:
            self._store.delete()
            return False
        self._version = version
        self._thread.start()
        return True

    def _take_over(self) -> str:
        held = self._store.read()
        if held is None:  # given back in the meantime
            version = self._store.create(self._content)
            if version is None:
                raise LockedError(_refusal(self._folder, None))
            return version
        owner = Owner.read(held.content)
        if held.seconds < STALE_SECONDS:
            wait = (
                f"; its last sign of life is {held.seconds:.0f} s old, and the lock lapses after {STALE_SECONDS:.0f} s"
            )
            raise LockedError(_refusal(self._folder, owner) + wait)
        if not self._store.tells_time:  # our clock may be ahead: who lives gives a sign, and is another version then
            time.sleep(2 * BEAT_SECONDS)
        version = self._store.replace(self._content, held.version)
        if version is None:  # it lives, or another was faster
            raise LockedError(_refusal(self._folder, None))
        self._report(f"took over the lock of {self._folder} from {owner}: no sign of life for {held.seconds:.0f} s")
        return version

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._given_back.wait(BEAT_SECONDS):
            try:
                version = self._store.replace(self._content, self._version)
            except OSError as error:  # it is tried again
                if time.monotonic() - last > STALE_SECONDS - BEAT_SECONDS:
                    self._lost = f"no sign of life could be given: {error}"
                    return
                continue
            if version is None:
                self._lost = "another run has taken it over"
                return
            self._version, last = version, time.monotonic()

    def check(self) -> None:
        """Raise LockedError if the lock has been lost."""
        if self._lost:
            raise LockedError(f"the lock of {self._folder} is lost, {self._lost}")

    def give_back(self) -> None:
        """Remove the lock, if it still is this run's."""
        self._given_back.set()
        self._thread.join()
        held = self._store.read()
        if held is not None and held.content == self._content:
            self._store.delete()


def _store(path: str) -> _Store | None:
    makers: dict[str, Callable[[str, str], _Store]] = {"s3": _S3Object, "gs": _GoogleObject}
    scheme, _, rest = path.partition("://")
    bucket, _, key = rest.partition("/")
    return makers[scheme](bucket, key) if scheme in makers else None


@contextlib.contextmanager
def _as_os_errors(*errors: type[Exception]) -> Iterator[None]:
    """Raise the errors of a store's client as those of any file system."""
    try:
        yield
    except errors as error:
        raise OSError(str(error)) from error


class _S3Object:
    """An object of S3, or of a store that speaks like it."""

    tells_time: ClassVar[bool] = True

    def __init__(self, bucket: str, key: str) -> None:
        self._client = objects.store_of(f"s3://{bucket}/{key}")[0].client
        self._place = {"Bucket": bucket, "Key": key}

    def create(self, content: bytes) -> str | None:
        return self._put(content, IfNoneMatch="*")

    def replace(self, content: bytes, version: str) -> str | None:
        return self._put(content, IfMatch=version)

    def _put(self, content: bytes, **condition: str) -> str | None:
        from botocore.exceptions import BotoCoreError, ClientError

        # The same bytes have the same ETag, which is the version: so no two are the same.
        body = content + f"\n{uuid.uuid4().hex}".encode()
        with _as_os_errors(BotoCoreError, ClientError):
            try:
                return str(self._client.put_object(**self._place, Body=body, **condition)["ETag"])
            except ClientError as error:
                # Not as it must be; gone; or another is writing at this moment.
                if error.response["Error"]["Code"] in ("PreconditionFailed", "NoSuchKey", "ConditionalRequestConflict"):
                    return None
                raise

    def read(self) -> _Held | None:
        from botocore.exceptions import BotoCoreError, ClientError

        with _as_os_errors(BotoCoreError, ClientError):
            try:
                found = self._client.get_object(**self._place)
            except self._client.exceptions.NoSuchKey:
                return None
            content = found["Body"].read().partition(b"\n")[0]
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])  # the store's clock, not ours
        return _Held(content, found["ETag"], (now - found["LastModified"]).total_seconds())

    def delete(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        with _as_os_errors(BotoCoreError, ClientError):
            self._client.delete_object(**self._place)


class _GoogleObject:
    """An object of Google Cloud Storage."""

    tells_time: ClassVar[bool] = False

    def __init__(self, bucket: str, key: str) -> None:
        self._blob = objects.store_of(f"gs://{bucket}/{key}")[0].client.bucket(bucket).blob(key)

    def create(self, content: bytes) -> str | None:
        return self._put(content, 0)

    def replace(self, content: bytes, version: str) -> str | None:
        return self._put(content, int(version))

    def _put(self, content: bytes, generation: int) -> str | None:
        from google.api_core.exceptions import GoogleAPIError, PreconditionFailed

        with _as_os_errors(GoogleAPIError):
            try:
                self._blob.upload_from_string(content, if_generation_match=generation)
            except PreconditionFailed:
                return None
        return str(self._blob.generation)

    def read(self) -> _Held | None:
        from google.api_core.exceptions import GoogleAPIError, NotFound

        with _as_os_errors(GoogleAPIError):
            try:
                self._blob.reload()
                content = self._blob.download_as_bytes()
            except NotFound:
                return None
        return _Held(content, str(self._blob.generation), time.time() - self._blob.updated.timestamp())

    def delete(self) -> None:
        from google.api_core.exceptions import GoogleAPIError

        with _as_os_errors(GoogleAPIError):
            self._blob.delete()
