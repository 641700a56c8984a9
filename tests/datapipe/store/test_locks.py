"""One folder, one run: by the kernel, and on a real S3 server by conditions; who is dead gives way, and is named."""

import pathlib
import re
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from datapipe.store import files, locks
from datapipe.store.locks import LockedError, Owner, locked

LINES: list[str] = []


@pytest.fixture(autouse=True)
def _no_lines() -> None:
    LINES.clear()


def test_a_local_folder_is_one_runs_and_its_owner_is_named(tmp_path: pathlib.Path) -> None:
    folder = str(tmp_path)
    with (
        locked(folder, LINES.append),
        pytest.raises(
            LockedError, match=rf"another run is writing into {folder} \(process \d+ on .+, since 20.+ UTC\)"
        ),
        locked(folder, LINES.append),
    ):
        pass
    with locked(folder, LINES.append) as check:
        check()
    assert LINES == []


def test_a_local_lock_ends_with_its_process(tmp_path: pathlib.Path) -> None:
    code = (
        "import time; from datapipe.store.locks import locked\n"
        f"with locked({str(tmp_path)!r}, print): print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(LockedError, match=f"process {process.pid} "), locked(str(tmp_path), LINES.append):
            pass
        process.kill()
    with locked(str(tmp_path), LINES.append):
        pass


def test_elsewhere_it_is_said_that_nothing_is_locked(shelf: str) -> None:
    with locked(shelf, LINES.append), locked(shelf, LINES.append):
        assert set(LINES) == {f"{shelf} is not locked, for want of a way to: let no other run write there"}
        assert len(LINES) == 2
    assert not files.exists(shelf)


def test_a_bucket_is_one_runs(s3: Any) -> None:
    with locked("s3://bucket/out", LINES.append) as check:
        check()
        owner = Owner.read(s3.get_object(Bucket="bucket", Key="out/.lock")["Body"].read().partition(b"\n")[0])
        said = rf"another run is writing into s3://bucket/out \({re.escape(str(owner))}\): .*lapses after 120 s"
        with pytest.raises(LockedError, match=said), locked("s3://bucket/out", LINES.append):
            pass
        with locked("s3://bucket/out2", LINES.append):
            pass
    assert "Contents" not in s3.list_objects_v2(Bucket="bucket")
    with locked("s3://bucket/out", LINES.append):
        pass
    assert LINES == []


def test_of_many_at_once_one_gets_the_lock(s3: Any) -> None:  # noqa: ARG001 - there must be a server
    got, refused, all_there = [], [], threading.Barrier(8)
    done = threading.Event()

    def take() -> None:
        all_there.wait()
        try:
            with locked("s3://bucket/out", LINES.append):
                got.append(1)
                done.wait(10)
        except LockedError:
            refused.append(1)
            if len(refused) == 7:
                done.set()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)


def test_a_lock_without_a_sign_of_life_is_taken_over_and_its_owner_told(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "STALE_SECONDS", 5.0)  # a sign of life may take seconds on a busy machine
    dead = Owner("elsewhere", 7, "yesterday", "x").written() + b"\n"
    s3.put_object(Bucket="bucket", Key="out/.lock", Body=dead)
    said = "process 7 on elsewhere, since yesterday"
    with pytest.raises(LockedError, match=said), locked("s3://bucket/out", LINES.append):
        pass
    time.sleep(6.1)  # the store counts whole seconds
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.1)
    with locked("s3://bucket/out", LINES.append) as check:
        said = "took over the lock of s3://bucket/out from process 7 on elsewhere, since yesterday: no sign of life for"
        assert LINES[0].startswith(said)
        assert len(LINES) == 1
        time.sleep(5.5)  # its own signs of life keep it
        with pytest.raises(LockedError, match="another run"), locked("s3://bucket/out", LINES.append):
            pass
        check()
        s3.put_object(Bucket="bucket", Key="out/.lock", Body=dead)  # as if this process had slept for long
        time.sleep(0.5)
        with pytest.raises(LockedError, match="the lock of s3://bucket/out is lost, another run has taken it over"):
            check()
    assert s3.get_object(Bucket="bucket", Key="out/.lock")["Body"].read() == dead


def test_a_clock_that_is_ahead_takes_no_lock_from_who_lives(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(locks._S3Object, "tells_time", False)
    with locked("s3://bucket/out", LINES.append) as check:
        monkeypatch.setattr(locks, "STALE_SECONDS", -1.0)  # any age seems old
        with pytest.raises(LockedError, match="another run is writing"), locked("s3://bucket/out", LINES.append):
            pass
        check()
    s3.put_object(Bucket="bucket", Key="out/.lock", Body=Owner("elsewhere", 7, "yesterday", "x").written())
    with locked("s3://bucket/out", LINES.append):
        assert LINES[-1].startswith("took over the lock of s3://bucket/out from process 7 on elsewhere")


def test_a_bucket_of_googles_is_one_runs(gcs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = gcs.bucket("bucket").blob("out/.lock")
    with locked("gs://bucket/out", LINES.append) as check:
        check()
        with pytest.raises(LockedError, match=r"process \d+ on .*"), locked("gs://bucket/out", LINES.append):
            pass
    assert not lock.exists()
    monkeypatch.setattr(locks, "STALE_SECONDS", 2.0)
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.1)
    lock.upload_from_string(Owner("elsewhere", 7, "yesterday", "x").written())
    time.sleep(2.5)
    assert LINES == []
    with locked("gs://bucket/out", LINES.append) as check:
        assert LINES[0].startswith("took over the lock of gs://bucket/out from process 7 on elsewhere, since yesterday")
        time.sleep(0.5)
        check()
        lock.upload_from_string(b"another's")
        time.sleep(0.5)
        with pytest.raises(LockedError, match="another run has taken it over"):
            check()
    assert lock.download_as_bytes() == b"another's"


def test_a_store_without_conditions_is_not_locked_and_says_so(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put = locks._S3Object._put
    monkeypatch.setattr(locks._S3Object, "_put", lambda self, content, **_: put(self, content))
    with locked("s3://bucket/out", LINES.append) as check:
        check()
    assert LINES == [
        "s3://bucket/out is not locked, its store creates what is there already: let no other run write there"
    ]
    assert "Contents" not in s3.list_objects_v2(Bucket="bucket")


def test_a_bucket_that_is_not_there_is_an_error_of_files(s3: Any) -> None:  # noqa: ARG001 - there must be a server
    with pytest.raises(OSError, match="NoSuchBucket"), locked("s3://absent/out", LINES.append):
        pass
