"""Fixtures of several test modules: a small corpus on disk, and the shared data where it lies beside the checkout."""

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hypothesis
import pyarrow as pa
import pytest

from datapipe.flow.threads import ThreadsRunner
from datapipe.store.corpus import Corpus, Part, PartKind, part_path, write_columns
from tests import gcs as gcs_server
from tests import jobs
from tests import s3 as s3_server
from tests.helpers import (
    FINISHED,
    PROSE_WORDS,
    ROOT,
    CorpusOf,
    pickled_keys,
    prose,
    run_recipe,
    save_word_tokenizer,
    write_lines,
)
from tests.shelf import Shelf

# The first example compiles kernels.
hypothesis.settings.register_profile("compiling", deadline=None)
hypothesis.settings.load_profile("compiling")
BEAM = importlib.metadata.version("apache-beam")


@pytest.fixture(scope="session", autouse=True)
def no_pickled_keys() -> Iterator[None]:
    """No pipeline of any test, those of all recipes among them, groups by keys that are pickled."""
    run = ThreadsRunner.run_via_runner_api

    def checked(self: ThreadsRunner, pipeline_proto: Any, options: Any) -> Any:
        assert not pickled_keys(pipeline_proto)
        return run(self, pipeline_proto, options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadsRunner, "run_via_runner_api", checked)
        yield


@pytest.fixture
def corpus_of(tmp_path: pathlib.Path) -> CorpusOf:
    """`corpus_of(texts, rows_per_part=2, kind="document", language=[...])`: a corpus on disk, as a list of parts."""

    def make(
        texts: list[str | None],
        *,
        rows_per_part: int = 1000,
        kind: PartKind = "document",
        first: int = 0,
        user_columns: Sequence[str] = (),
        **columns: list[object] | pa.Array,
    ) -> list[Part]:
        table = pa.table({"text": pa.array(texts, pa.string()), **columns})
        parts = []
        folder = tmp_path / "corpus" / kind
        folder.mkdir(parents=True)
        for number, start in enumerate(range(0, max(1, len(texts)), rows_per_part), first):
            rows = table.slice(start, rows_per_part).combine_chunks()
            path = part_path(str(folder), number)
            part = Part(
                number, kind, len(rows), dict.fromkeys(rows.schema.names, path), tuple(user_columns)
            ).with_stage(rows.schema.names, path)
            write_columns(part, path, rows.schema, iter(rows.to_batches()))
            parts.append(part)
        return parts

    return make


@pytest.fixture
def corpus_on_disk(tmp_path: pathlib.Path, corpus_of: CorpusOf) -> Callable[..., Corpus]:
    """As `corpus_of`, but a `Corpus` with a root, for stages that `prepare`."""
    return lambda *texts, **columns: Corpus(str(tmp_path / "corpus"), tuple(corpus_of(*texts, **columns)))


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The output of a small run that nobody changes: 24 documents kept, and one or two removed by each of its stages.

    `input_id`: `good-0` to `good-23`; `short`, `hashes`, `repeats` fail rules; `copy` is `good-0`, `near` nearly so.
    Two lines of `more.jsonl` are rejects. Beside it lie the inputs, in `documents/`.
    """
    base = tmp_path_factory.mktemp("finished")
    (base / "documents").mkdir()
    good = [prose(seed) for seed in range(24)]
    records = [{"id": f"good-{number}", "text": text} for number, text in enumerate(good)]
    lines = [line.split() for line in good[1].splitlines()]
    others = {
        "short": "A short text with too few words in it.",
        "hashes": "\n".join(" ".join(f"#{word}" for word in line) for line in lines),
        "repeats": "\n".join([*good[2].splitlines()[:3] * 4, *good[2].splitlines()[3:6]]),
        "copy": good[0],
        "near": good[0].replace("number", "figure", 1),
    }
    write_lines(base / "documents" / "good.jsonl", records)
    more = [{"id": name, "text": text} for name, text in others.items()]
    write_lines(base / "documents" / "more.jsonl", [*more, {"story": "of no field"}, {"text": ""}])
    save_word_tokenizer(base / "tokenizer.json", PROSE_WORDS.split())
    run_recipe(FINISHED, base, [str(base / "documents")])
    return base / "out"


@pytest.fixture(scope="session")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A run on this machine of what `tests/jobs.py` runs on engines."""
    return jobs.local_run(tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="session")
def prism(request: pytest.FixtureRequest) -> str:
    """Beam's portable engine, a program: that on the path, or one that Go builds once and pytest's cache keeps."""
    found = shutil.which("prism")
    go, cache = shutil.which("go"), getattr(request.config, "cache", None)
    if found or go is None or cache is None:
        return found or pytest.skip("needs the program prism, or go and pytest's cache to build it")
    folder = cache.mkdir(f"prism-{BEAM}")
    if not (folder / "prism").exists():
        module = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{BEAM}"
        around = {**os.environ, "GOBIN": str(folder)}
        built = subprocess.run([go, "install", module], env=around, capture_output=True, text=True, check=False)
        if built.returncode:
            pytest.skip(f"go cannot build prism: {built.stderr.strip().splitlines()[-1]}")
    return str(folder / "prism")


@pytest.fixture
def locked_folder() -> Iterator[pathlib.Path]:
    """A folder that this process may look into, but for `inner/locked` in it, which holds a file."""
    if not hasattr(os, "seteuid"):
        pytest.skip("no user can be changed here")
    with tempfile.TemporaryDirectory() as name:  # other than `tmp_path`, in a folder that everybody may pass through
        folder = pathlib.Path(name)
        locked = folder / "inner" / "locked"
        locked.mkdir(parents=True)
        (locked / "a.jsonl").write_text('{"text": "a"}')
        (folder / "inner" / "b.jsonl").write_text('{"text": "b"}')
        folder.chmod(0o755)
        locked.chmod(0)
        user = os.geteuid()
        if not user:
            os.seteuid(65534)  # root may look into anything
        try:
            yield folder
        finally:
            os.seteuid(user)
            locked.chmod(0o755)


@pytest.fixture
def shelf(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder on an empty shelf."""
    root = tmp_path / "objects"
    root.mkdir()
    monkeypatch.setattr(Shelf, "root", root)
    return "shelf://bucket/work"


@pytest.fixture
def s3() -> Iterator[Any]:
    """A client of an S3 server with an empty bucket, `s3://bucket`."""
    with s3_server.served() as client:
        yield client


@pytest.fixture
def gcs() -> Iterator[Any]:
    """A client of a server of Google Cloud Storage with an empty bucket, `gs://bucket`."""
    with gcs_server.served() as client:
        yield client


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The real corpora beside the checkout; skips where they are absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared corpora are not beside this checkout")
    return folder
