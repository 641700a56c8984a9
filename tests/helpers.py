"""What several test modules share: places, made-up texts and vectors, small corpora and runs, limits of time."""

import collections
import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tokenizers
import zstandard
from apache_beam.portability import common_urns, python_urns

from datapipe import kernels
from datapipe.engine import work
from datapipe.engine.recipe import Recipe, load_recipe
from datapipe.engine.run import Outcome, run
from datapipe.engine.runner import Runner
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.corpus import Part, part_path, write_columns
from datapipe.store.record import Done, SourceResult

ROOT = pathlib.Path(__file__).parent.parent
SAMPLE = ROOT / "sample_data"
CorpusOf = Callable[..., list[Part]]  # the fixture `corpus_of`
Read = Callable[..., list[Any]]  # bytes or a table, a format and fields of Source to rows and rejects
ONE_WORKER = Runner(workers=1)
NIGHTLY = os.environ.get("NIGHTLY") == "1"  # `make test-all`: the long form of tests that draw lots

VOCABULARY = [f"word{number}" for number in range(3000)]
# The recipe of the fixture `finished_run`.
FINISHED = """
stages:
  - documents: {fields: {text: [text]}}
  - language
  - language_filter: {min_score: 0}
  - measurements
  - rules
  - exact_duplicates
  - near_duplicates
  - tokens: {tokenizer: "{input_parent}/tokenizer.json"}
  - mixture
  - shards
"""
PROSE_WORDS = "the river sea boat morning tide people town fish net quay market light catch noon hand that with have be"


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A helper of kernels as kernels call it; see `datapipe/kernels.py`."""
    kernels.declare_helpers()

    @numba.njit
    def call(*arguments: Any) -> Any:
        return function(*arguments)

    return call


def random_words(seed: int, count: int = 200) -> list[str]:
    """Words drawn from 3,000: two seeds give texts that share no run of words."""
    return np.random.default_rng(seed).choice(VOCABULARY, count).tolist()


def edited(words: list[str], *places: int) -> list[str]:
    """The words with another one at each of the places."""
    return ["other" if place in places else word for place, word in enumerate(words)]


def save_word_tokenizer(path: pathlib.Path, words: Iterable[str]) -> None:
    """Write a `tokenizer.json` whose tokens are words."""
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys([*words, "?"]))}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(path))


def jaccard(first: list[str], second: list[str], size: int = 5) -> float:
    """The similarity of two texts by their shingles of so many words."""
    a, b = ({tuple(words[at : at + size]) for at in range(len(words) - size + 1)} for words in (first, second))
    return len(a & b) / len(a | b)


def prose(seed: int) -> str:
    """Twelve lines that pass for English, other ones for each seed."""
    source = random.Random(seed)
    words = PROSE_WORDS.split()
    return "\n".join(" ".join(source.choices(words, k=12)) + f" number {source.randrange(10**6)}." for _ in range(12))


def unit_vectors(count: int, dimensions: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Vectors of length one in all directions, shape (count, dimensions)."""
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_lines(path: pathlib.Path | str, records: Iterable[Any]) -> None:
    """Write records as JSON lines, wherever Beam can write."""
    with files.whole_file(str(path)) as sink:
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        sink.write(lines.encode(errors="backslashreplace"))  # a lone surrogate as JSON's own escape


def read_lines(path: pathlib.Path) -> Iterator[Any]:
    """The records of a file of JSON lines packed by zstandard."""
    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def digests(folder: pathlib.Path) -> dict[str, str]:
    """The hash of every file below a folder, but for those of a run that carry times."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("run.json", "report.html", ".lock")
    }


def done(*columns: str, rejects: dict[str, int] | None = None, notes: tuple[str, ...] = ()) -> Done:
    """The entry in `run.json` of a stage that wrote some columns; of a source, where it has rejects."""
    source = None if rejects is None else SourceResult((), 0, sum(rejects.values()), rejects)
    return Done("key", 1.0, 1, ("document",), columns, notes=notes, source=source)


def add_columns(part: Part, folder: pathlib.Path, **columns: pa.Array) -> Part:
    """The part after a stage has written these columns for it into a folder."""
    batch = pa.record_batch(columns)
    path = part_path(str(folder), part.number)
    folder.mkdir(exist_ok=True)
    write_columns(part, path, batch.schema, iter([batch]))
    return part.with_stage(batch.schema.names, path)


def processed(part: Part, stage: DocumentStage, folder: pathlib.Path) -> Part:
    """The part after a document stage has run over it, as a worker runs it, into a folder."""
    for name in (".progress", stage.name):
        (folder / name).mkdir(parents=True, exist_ok=True)
    work.process(part, work.Pass((stage,), str(folder)))
    return part.with_stage(stage.writes.names, part_path(str(folder / stage.name), part.number))


def verdicts(parts: list[Part], stage: Any) -> dict[int, Any]:
    """What a corpus stage, run on a list, says of each id that it names: a tuple, its columns named without the stage's
    name (`of`, `removed`, ...)."""
    table = pa.Table.from_batches(parts | stage, pa.schema([("id", pa.uint64()), *stage.writes]))
    verdict = collections.namedtuple("Verdict", [name.removeprefix(f"{stage.name}_") for name in stage.writes.names])  # type: ignore[misc]
    found = {row.pop("id"): verdict(*row.values()) for row in table.to_pylist()}
    assert len(found) == len(table), "two verdicts on one document"
    return found


def toy_recipe(path: pathlib.Path, text: str, output: str, input_parent: str) -> Recipe:
    """A recipe, given as text, written to a file and loaded from there."""
    path.write_text(text, encoding="utf-8")
    return load_recipe(str(path), {"output": output, "input_parent": input_parent})


def run_recipe(
    text: str,
    base: pathlib.Path | str,
    inputs: list[str],
    output: str = "out",
    runner: Runner = ONE_WORKER,
    report: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run a recipe, given as text, over the inputs into a folder below `base`, which `{input_parent}` stands for."""
    folder = files.join(str(base), output)
    with tempfile.TemporaryDirectory() as local:
        recipe = toy_recipe(pathlib.Path(local) / "toy.yaml", text, folder, str(base))
    return run(recipe, inputs, folder, runner, report)


def rows_of(page: pathlib.Path) -> list[list[str]]:
    """The cells of every row of the tables of a report."""
    rows = re.findall(r"<tr.*?>(.*?)</tr>", page.read_text(encoding="utf-8"), re.DOTALL)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL)] for row in rows]


def pickled_keys(pipeline: Any) -> list[str]:
    """The steps that group by keys which Beam pickles: two pickles of one key may differ, and engines compare bytes."""
    there = pipeline.components

    def pickled(coder: str) -> bool:
        found = there.coders[coder]
        return found.spec.urn == python_urns.PICKLED_CODER or any(map(pickled, found.component_coder_ids))

    def key(collection: str) -> str:
        return str(there.coders[there.pcollections[collection].coder_id].component_coder_ids[0])

    groups = [step for step in there.transforms.values() if step.spec.urn == common_urns.primitives.GROUP_BY_KEY.urn]
    return [step.unique_name for step in groups for collection in step.inputs.values() if pickled(key(collection))]


def local_pipeline() -> beam.Pipeline:
    """A pipeline of the user's own, on the runner that this project uses locally."""
    return beam.Pipeline(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner")


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail where a block takes more CPU time: input made to be slow must not be quadratically so."""
    start = time.process_time()
    yield
    taken = time.process_time() - start
    assert taken < seconds, f"took {taken:.1f} s of CPU time, at most {seconds} s allowed"
