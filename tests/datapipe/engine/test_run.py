"""The driver: what is done is not done again, what was killed goes on, and the same bytes come out whatever the way."""

import collections
import dataclasses
import json
import pathlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe.dedup.exact_duplicates import FindExactDuplicates
from datapipe.engine import work
from datapipe.engine.output import RunError, open_corpus
from datapipe.engine.progress import Progress
from datapipe.engine.run import NoDocumentsError, Outcome, _Driver, run
from datapipe.engine.runner import PipelineError, Runner
from datapipe.mix.shards import WriteShards
from datapipe.stage import DocumentStage, Stage
from datapipe.store import files
from datapipe.store.record import Begun, ConservationError, Done, RunRecord, Skipped
from tests.helpers import NIGHTLY, ONE_WORKER, digests, prose, run_recipe, toy_recipe, write_lines

# What the driver does the same for every stage shows on few of them.
SHORT = """
stages:
  - documents: {part_bytes: 40000}
  - language
  - language_filter: {min_score: MIN_SCORE}
  - exact_duplicates
  - shards: {shard_bytes: 60000}
"""
RECIPE = """
stages:
  - documents: {part_bytes: 40000}
  - language
  - measurements
  - rules
  - exact_duplicates
  - near_duplicates
  - tokenizer: {vocabulary: 600, chinese: 50}
  - tokens: {tokenizer: "{output}/tokenizer/tokenizer.json"}
  - mixture
  - shards: {shard_bytes: 60000}
"""


@pytest.fixture
def inputs(tmp_path: pathlib.Path) -> str:
    """Three files of 240 documents, some duplicates, one line that is no JSON."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        path = folder / f"{number}.jsonl"
        write_lines(path, ({"text": prose(number * 100 + row % 70), "mine": row} for row in range(80)))
        with path.open("a") as lines:
            lines.write("{broken\n")
    return str(folder)


def do(
    tmp_path: pathlib.Path, inputs: list[str], name: str = "out", min_score: float = 0.5, text: str = SHORT, **how: Any
) -> Outcome:
    """Run the short recipe, or another, with one worker or as said, and keep its lines."""
    text = text.replace("MIN_SCORE", str(min_score))
    return run_recipe(text, tmp_path, inputs, name, Runner(**({"workers": 1} | how)), LINES.append)


LINES: list[str] = []


@pytest.fixture(autouse=True)
def _no_lines() -> None:
    LINES.clear()


def ran() -> set[str]:
    """The stages that did anything."""
    return {line.split()[0] for line in LINES if " rows " in line}


def test_every_document_is_accounted_for(tmp_path: pathlib.Path, inputs: str) -> None:
    outcome = do(tmp_path, [inputs], text=RECIPE)
    out = tmp_path / "out"
    funnel = outcome.funnel
    assert funnel.read.documents == 240
    assert funnel.rejects == {"documents": {"malformed_json": 3}}
    assert funnel.kept.documents == 240 - sum(
        amount.documents for step in funnel.steps for amount in step.removed.values()
    )
    assert {step.stage: sum(a.documents for a in step.removed.values()) for step in funnel.steps}[
        "exact_duplicates"
    ] == 30
    shards = pq.read_table(out / "shards")
    assert len(shards) == funnel.copies.documents
    assert set(shards.column("mine").to_pylist()) <= set(range(80))
    assert pq.read_table(out / "rejects").column("reason").to_pylist() == ["malformed_json"] * 3
    assert "malformed_json" in (out / "report.html").read_text()
    assert open_corpus(str(out))[0] == outcome.corpus


def test_clusters_found_in_rounds_are_those_gathered(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    words = [f"w{number}" for number in range(600)]
    chain = [" ".join(words[at : at + 29]) for at in range(500)]
    texts = [*chain, *(prose(seed % 9) + " more" * (seed % 4) for seed in range(60))]
    random.Random(1).shuffle(texts)
    write_lines(folder / "a.jsonl", ({"text": text} for text in texts))
    for gather in (50_000_000, 0):
        text = f"stages: [documents: {{part_bytes: 20000}}, near_duplicates: {{gather_edges: {gather}}}]"
        run_recipe(text, tmp_path, [str(folder)], f"out-{gather}")
    gathered, in_rounds = (digests(tmp_path / f"out-{gather}" / "near_duplicates") for gather in (50_000_000, 0))
    assert len(gathered) > 1
    assert gathered == in_rounds
    clusters = pq.read_table(tmp_path / "out-0" / "near_duplicates").column("near_duplicates_cluster")
    assert len(clusters.drop_null().unique()) == 10


def test_a_second_run_does_nothing(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs])
    before = digests(tmp_path / "out")
    LINES.clear()
    do(tmp_path, [inputs])
    assert ran() == set()
    assert digests(tmp_path / "out") == before


def test_a_new_threshold_runs_only_what_depends_on_it(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs])
    LINES.clear()
    assert do(tmp_path, [inputs], min_score=0.99).funnel.steps[0].removed["language_uncertain"].documents > 0
    assert ran() == {"language_filter", "exact_duplicates", "shards"}


def test_a_stage_of_another_version_runs_again(
    tmp_path: pathlib.Path, inputs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(tmp_path, [inputs])
    before = digests(tmp_path / "out")
    monkeypatch.setattr(FindExactDuplicates, "version", 99)
    LINES.clear()
    do(tmp_path, [inputs])
    assert ran() == {"exact_duplicates", "shards"}
    assert digests(tmp_path / "out") == before


def test_a_changed_input_is_read_again(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs])
    write_lines(pathlib.Path(inputs) / "3.jsonl", [{"text": prose(7000)}])
    LINES.clear()
    assert do(tmp_path, [inputs]).funnel.read.documents == 241
    assert "documents" in ran()


def test_a_lost_column_file_is_made_again(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs])
    before = digests(tmp_path / "out")
    (tmp_path / "out" / "language" / "part-00001.parquet").unlink()
    LINES.clear()
    do(tmp_path, [inputs])
    assert ran() == {"language"}
    assert digests(tmp_path / "out") == before


def test_the_same_bytes_whatever_the_workers_and_the_order(tmp_path: pathlib.Path, inputs: str) -> None:
    paths = sorted(str(path) for path in pathlib.Path(inputs).iterdir())
    do(tmp_path, paths, "one", text=RECIPE)
    one = digests(tmp_path / "one")
    assert len(one) > 20
    do(tmp_path, paths[::-1], "three", text=RECIPE, workers=3, threads_from_bytes=0)
    assert digests(tmp_path / "three") == one


KILLS = 100 if NIGHTLY else 6


def kill_somewhere(start: list[str], output: pathlib.Path, dice: random.Random) -> bool:
    """Start a run and kill it within three seconds of its first stage; false if it was done."""
    process = subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    record = output / "run.json"
    before = record.stat().st_mtime_ns if record.exists() else 0
    while process.poll() is None and not (record.exists() and record.stat().st_mtime_ns != before):
        time.sleep(0.02)
    time.sleep(dice.uniform(0, 3))
    process.kill()
    return process.wait() != 0


def test_a_run_killed_again_and_again_goes_on_to_the_same_bytes(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs], "whole", text=RECIPE)
    whole = digests(tmp_path / "whole")
    out = tmp_path / "out"
    dice = random.Random(0)
    kills = 0
    while kills < KILLS:
        start = command(tmp_path, inputs, out, workers=dice.choice([1, 2]))
        if kill_somewhere(start, out, dice):
            kills += 1
        else:  # it had come to its end: begin anew
            assert digests(out) == whole
            shutil.rmtree(out)
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
    assert digests(out) == whole


def test_what_a_run_killed_at_its_very_end_has_left_is_gone_after_the_next(tmp_path: pathlib.Path, inputs: str) -> None:
    """Nothing is left to do, so no stage's folder is looked into: a run so killed once made the test above fail."""
    do(tmp_path, [inputs])
    out, before = tmp_path / "out", digests(tmp_path / "out")
    half = f".{'0123456789abcdef' * 2}.tmp"
    for name in (f"run.json{half}", f"report.html{half}", f"shards/train-00009.parquet{half}", ".progress/part-00000"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(b"half")
    shutil.copy(out / "language" / "part-00000.parquet", out / "language" / ".part-00000.parquet.sum")
    (out / "mine.tmp").write_text("mine")
    LINES.clear()
    do(tmp_path, [inputs])
    assert ran() == set()
    (out / "mine.tmp").unlink()
    assert digests(out) == before


def test_two_runs_in_one_folder_are_refused(tmp_path: pathlib.Path, inputs: str) -> None:
    out = tmp_path / "out"
    start = command(tmp_path, inputs, out)
    with subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while not (out / "run.json").exists():
            assert first.poll() is None
            time.sleep(0.02)
        with pytest.raises(RunError, match="another run"):
            do(tmp_path, [inputs])
        first.kill()


def test_a_folder_of_another_recipe_or_of_other_files_is_refused(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs])
    output = str(tmp_path / "out")
    other = toy_recipe(tmp_path / "other.yaml", "stages: [documents]\n", output, "")
    with pytest.raises(RunError, match="holds a run of the recipe 'toy'"):
        run(other, [inputs], output, ONE_WORKER, LINES.append)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(RunError, match="holds no datapipe run"):
        do(tmp_path, [inputs], "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]


def test_what_was_begun_under_another_threshold_is_not_taken_for_done(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs])
    before = digests(tmp_path / "out")

    def stop(line: str) -> None:
        if line.startswith("exact_duplicates"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(SHORT.replace("MIN_SCORE", "0.99"), tmp_path, [inputs], report=stop)
    with pytest.raises(RunError, match="did not finish"):
        open_corpus(str(tmp_path / "out"))
    do(tmp_path, [inputs])
    assert digests(tmp_path / "out") == before


def test_parts_begun_under_another_threshold_are_made_anew(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs], "whole")
    out = str(tmp_path / "out")
    do(tmp_path, [inputs], min_score=0.99)
    # As if it had been killed when all parts of the stage were written, and the stage not yet recorded.
    record = RunRecord.read(out)
    begun = record and record.done("language_filter")
    assert record
    assert begun
    kept = {name: record.stages[name] for name in ("documents", "language")}
    dataclasses.replace(
        record, stages=kept, running={"language_filter": Begun(begun.key, begun.rows_key)}, funnel=None
    ).write(out)
    LINES.clear()
    do(tmp_path, [inputs])
    assert ran() == {"language_filter", "exact_duplicates", "shards"}
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_a_lost_shard_is_made_again(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs])
    before = digests(tmp_path / "out")
    (tmp_path / "out" / "shards" / "train-00000.parquet").unlink()
    LINES.clear()
    do(tmp_path, [inputs])
    assert ran() == {"shards"}
    assert digests(tmp_path / "out") == before


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: pathlib.Path, inputs: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="output folder"):
        do(tmp_path, [inputs], "file/out")


def test_a_stage_without_its_data_says_so_and_the_run_goes_on(tmp_path: pathlib.Path, inputs: str) -> None:
    examples = "{positives: ['{input_parent}/no.jsonl'], negatives: ['{input_parent}/none.jsonl']}"
    quality = f"  - quality: {examples}\n  - quality_filter\n"
    text = SHORT.replace("  - exact_duplicates\n", quality + "  - exact_duplicates\n")
    outcome = do(tmp_path, [inputs], text=text)
    assert isinstance(outcome.record.stages["quality"], Skipped)
    assert isinstance(outcome.record.stages["quality_filter"], Skipped)
    assert any(line.startswith("quality ") and "skipped" in line for line in LINES)
    assert outcome.funnel.kept.documents > 0


def test_a_stage_that_loses_rows_fails_the_run(
    tmp_path: pathlib.Path, inputs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(part: Any, path: str, schema: pa.Schema, _: Any) -> int:
        table = pa.table({name: pa.nulls(part.rows - 1, schema.field(name).type) for name in schema.names})
        files.write_table(path, table)
        return part.rows

    monkeypatch.setattr("datapipe.engine.work.write_verdicts", lose)
    with pytest.raises(ConservationError, match=f"{FindExactDuplicates.name}: part 0 has .* rows, its columns"):
        do(tmp_path, [inputs], text="stages: [documents, exact_duplicates]")


def test_shards_that_lack_rows_fail_the_run(
    tmp_path: pathlib.Path, inputs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = WriteShards._write

    def lose(self: WriteShards, shard: tuple[int, int], *given: Any) -> dict[str, Any]:
        summary = write(self, shard, *given)
        path = pathlib.Path(self.folder, summary["file"])
        pq.write_table(pq.read_table(path).slice(1), path)
        files.remove(files.sum_path(str(path)))
        return summary

    monkeypatch.setattr(WriteShards, "_write", lose)
    with pytest.raises(ConservationError, match=r"shards: \d+ rows to write, \d+ written"):
        do(tmp_path, [inputs])


# `datapipe run`, but that a few documents are enough for several threads.
COMMAND = """
import functools, sys
from datapipe.commands import run
from datapipe.engine.runner import Runner
run.Runner = functools.partial(Runner, threads_from_bytes=0)
from datapipe.cli import main
sys.exit(main(sys.argv[1:]))
"""


def command(tmp_path: pathlib.Path, inputs: str, output: pathlib.Path, workers: int = 1) -> list[str]:
    toy_recipe(tmp_path / "toy.yaml", RECIPE, str(output), str(tmp_path))
    start = [sys.executable, "-c", COMMAND, "run", str(tmp_path / "toy.yaml"), "--input", inputs]
    return [*start, "--output", str(output), "--workers", str(workers)]


def complaints(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("datapipe: ") and "full traceback" not in line]


def test_a_run_after_a_killed_one_says_where_it_resumes(tmp_path: pathlib.Path, inputs: str) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(command(tmp_path, inputs, out), stdout=subprocess.DEVNULL) as process:
        while (record := RunRecord.read(str(out))) is None or "tokenizer" not in record.running:
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    do(tmp_path, [inputs], text=RECIPE)
    assert LINES[0] == "the run before this one ended in tokenizer: resuming there"


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_run_with_one_line(tmp_path: pathlib.Path, inputs: str, small_disk: pathlib.Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(900_000))
    out = small_disk / "out"
    start = command(tmp_path, inputs, out)
    done = subprocess.run(start, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert len(complaints(done.stderr)) == 1
    assert "no space left on device: make room" in complaints(done.stderr)[0]
    assert not list(out.rglob("*.tmp"))
    (small_disk / "ballast").unlink()
    for path in out.rglob("*.parquet"):
        pq.read_table(path)


def test_a_disk_that_cannot_be_written_is_one_line(
    tmp_path: pathlib.Path, inputs: str, small_disk: pathlib.Path
) -> None:
    (small_disk / "old").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for name in ("old", "new"):
        with pytest.raises(RunError, match=f"output folder .*{name}: Read-only file system"):
            do(tmp_path, [inputs], f"disk/{name}")


@pytest.mark.parametrize("output", [".", "in", "in/out"])
def test_an_output_that_holds_the_input_or_lies_in_it_is_refused(
    output: str, tmp_path: pathlib.Path, inputs: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match="overlaps --input"):
        do(tmp_path, [inputs], output)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_folders_is_not_empty(tmp_path: pathlib.Path, inputs: str) -> None:
    (tmp_path / "mine" / "documents").mkdir(parents=True)
    (tmp_path / "mine" / "documents" / "precious.txt").write_text("precious")
    with pytest.raises(RunError, match="holds no datapipe run"):
        do(tmp_path, [inputs], "mine")
    assert (tmp_path / "mine" / "documents" / "precious.txt").read_text() == "precious"


def test_inputs_without_a_document_say_what_was_rejected(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("{broken\n")
    with pytest.raises(NoDocumentsError, match="1 malformed_json"):
        do(tmp_path, [str(tmp_path / "in")])


def test_what_a_skipped_stage_made_before_is_removed(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs])
    assert (tmp_path / "out" / "exact_duplicates").exists()
    assert do(tmp_path, [inputs], text=SHORT.replace("  - exact_duplicates\n", "")).funnel.kept.documents == 240
    assert not (tmp_path / "out" / "exact_duplicates").exists()


def test_a_folder_called_like_an_option_changes_nothing(
    tmp_path: pathlib.Path, inputs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "stages: [documents, personal_data: {mask: [email]}]"
    do(tmp_path, [inputs], text=text)
    (tmp_path / "email").mkdir()
    (tmp_path / "email" / "file").write_text("")
    LINES.clear()
    do(tmp_path, [inputs], text=text)
    assert ran() == set()


def test_a_changed_file_that_an_option_names_is_seen_whatever_its_name(
    tmp_path: pathlib.Path, inputs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "stages: [documents, decontamination: {evaluation: [sets], parts: [document]}]"
    (tmp_path / "sets").mkdir()
    for leaked in ([5], [5, 6, 7]):
        write_lines(tmp_path / "sets" / "a.jsonl", ({"text": prose(seed)} for seed in leaked))
        LINES.clear()
        outcome = do(tmp_path, [inputs], text=text)
        assert "decontamination" in ran()
        # Of the first 70 documents of each file, ten are there twice.
        assert outcome.funnel.steps[0].removed["evaluation_overlap"].documents == 2 * len(leaked)
    assert ran() == {"decontamination"}


def test_document_stages_in_a_row_are_one_pass_and_a_resumed_one_gives_the_same(
    tmp_path: pathlib.Path, inputs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = RECIPE.replace("  - measurements\n", "  - language_filter\n  - measurements\n")
    passes: list[list[str]] = []
    pass_over = _Driver._pass_over

    def watched(self: _Driver, stages: Sequence[DocumentStage], progress: Progress) -> None:
        passes.append([stage.name for stage in stages])
        pass_over(self, stages, progress)

    monkeypatch.setattr(_Driver, "_pass_over", watched)
    do(tmp_path, [inputs], text=text)
    assert passes == [["language", "language_filter", "measurements", "rules"], ["tokens"]]
    whole = digests(tmp_path / "out")
    # As if killed while one file of one stage was missing: that part alone is passed over again.
    record = RunRecord.read(str(tmp_path / "out"))
    assert record is not None
    for name in passes[0]:
        entry = record.stages.pop(name)
        assert isinstance(entry, Done)
        record.running[name] = Begun(entry.key, entry.rows_key, entry.files)
    record.write(str(tmp_path / "out"))
    (tmp_path / "out" / "rules" / "part-00001.parquet").unlink()
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "language").iterdir()}
    do(tmp_path, [inputs], text=text)
    changed = [path.name for path, time_ns in written.items() if path.stat().st_mtime_ns != time_ns]
    assert changed == ["part-00001.parquet"]
    assert passes[2:] == passes[:1]
    assert digests(tmp_path / "out") == whole


def test_options_name_columns_of_the_users_own(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_lines(
        folder / "a.jsonl", ({"text": prose(seed), "stars": seed % 4, "shelf": "ab"[seed % 2]} for seed in range(20))
    )
    write_lines(folder / "b.jsonl", ({"text": prose(100 + seed)} for seed in range(5)))
    text = """
stages:
  - documents: {part_bytes: 10000}
  - quality_filter: {scores: {stars: 1.0}, min_score: 1}
  - tokenizer: {vocabulary: 400, chinese: 0, weight_column: stars}
  - tokens: {tokenizer: "{output}/tokenizer/tokenizer.json"}
  - mixture: {by: [shelf], shares: {a: 0.0}}
  - shards: {columns: [stars]}
"""
    outcome = do(tmp_path, [str(folder)], text=text)
    removed = {step.stage: {reason: t.documents for reason, t in step.removed.items()} for step in outcome.funnel.steps}
    # Stars 0; the documents of b have none, and are not judged; of the others those on shelf a.
    assert removed == {"quality_filter": {"low_quality": 5}, "mixture": {"sampled_out": 5}}
    table = pq.read_table(tmp_path / "out" / "shards")
    rows = zip(table.column("stars").to_pylist(), table.column("shelf").to_pylist(), strict=True)
    assert collections.Counter(rows) == {(1, "b"): 5, (3, "b"): 5, (None, None): 5}
    with pytest.raises(RunError, match="quality_filter: no stage wrote the column 'moons', and no document has it"):
        do(tmp_path, [str(folder)], "other", text=text.replace("{stars: 1.0}", "{moons: 1.0}"))


FILTERED = """
stages:
  - documents: {part_bytes: 40000}
  - language
  - language_filter: {min_score: MIN_SCORE}
  - measurements
  - rules
  - exact_duplicates
  - signatures
"""


def computed(outcome: Outcome) -> dict[str, int]:
    """How many rows each document stage has computed in a run."""
    stages = {name: outcome.record.done(name) for name in outcome.record.stages}
    return {name: done.computed for name, done in stages.items() if done and done.computed is not None}


def test_a_loosened_filter_computes_the_rows_that_come_back_and_no_others(tmp_path: pathlib.Path, inputs: str) -> None:
    few = do(tmp_path, [inputs], min_score=0.89, text=FILTERED)
    removed = few.funnel.steps[0].removed["language_uncertain"].documents
    assert 0 < removed < 240
    assert computed(few)["measurements"] == 240 - removed
    many = do(tmp_path, [inputs], min_score=0.1, text=FILTERED)
    assert many.record.stages["language"] == few.record.stages["language"]
    assert (computed(many)["measurements"], computed(many)["rules"]) == (removed, removed)
    assert 0 < computed(many)["signatures"] <= removed
    do(tmp_path, [inputs], "fresh", min_score=0.1, text=FILTERED)
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")
    # And back: nothing is measured, and what was measured is as if it had never been.
    back = do(tmp_path, [inputs], min_score=0.89, text=FILTERED)
    assert computed(back) == {"language": 240, "language_filter": 240, "measurements": 0, "rules": 0, "signatures": 0}
    do(tmp_path, [inputs], "few", min_score=0.89, text=FILTERED)
    assert digests(tmp_path / "out") == digests(tmp_path / "few")


def test_a_loosened_filter_whose_run_was_stopped_gives_the_same(tmp_path: pathlib.Path, inputs: str) -> None:
    do(tmp_path, [inputs], min_score=0.95, text=FILTERED)
    out = str(tmp_path / "out")

    def stop(line: str) -> None:
        if line.startswith("measurements"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(FILTERED.replace("MIN_SCORE", "0.1"), tmp_path, [inputs], report=stop)
    record = RunRecord.read(out)
    assert record
    assert "rules" in record.running
    do(tmp_path, [inputs], min_score=0.1, text=FILTERED)
    do(tmp_path, [inputs], "fresh", min_score=0.1, text=FILTERED)
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def test_every_row_is_computed_where_the_recipe_says_so(tmp_path: pathlib.Path, inputs: str) -> None:
    every = do(tmp_path, [inputs], min_score=0.95, text="every_row: true\n" + FILTERED)
    assert set(computed(every).values()) == {240}
    assert every.funnel == do(tmp_path, [inputs], "left", min_score=0.95, text=FILTERED).funnel
    scores = pq.read_table(tmp_path / "out" / "measurements")
    assert scores.column("computed").to_pylist() == [True] * 240


def test_corpus_stages_in_a_row_are_one_pipeline_and_what_one_has_ended_stays(
    tmp_path: pathlib.Path, inputs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[list[str]] = []
    judge = _Driver._judge

    def watched(self: _Driver, stages: Sequence[Stage], progress: Progress, *, counts: bool) -> None:
        passes.append([stage.name for stage in stages])
        judge(self, stages, progress, counts=counts)

    monkeypatch.setattr(_Driver, "_judge", watched)
    do(tmp_path, [inputs], text=RECIPE)
    assert passes == [["exact_duplicates", "near_duplicates"], ["tokenizer"], ["mixture", "shards"]]
    whole = digests(tmp_path / "out")
    # As if killed after `mixture` had written its columns, while shards were made.
    record = RunRecord.read(str(tmp_path / "out"))
    assert record
    for name in ("mixture", "shards"):
        entry = record.stages.pop(name)
        assert isinstance(entry, Done)
        record.running[name] = Begun(entry.key, entry.rows_key, entry.files)
    record.write(str(tmp_path / "out"))
    shutil.rmtree(tmp_path / "out" / "shards")
    files.write_json(str(tmp_path / "out" / "mixture" / work.ENDED), {"seconds": 1.5}, files.summed_file)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "mixture").glob("*.parquet")}
    outcome = do(tmp_path, [inputs], text=RECIPE)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    done = outcome.record.done("mixture")
    assert done
    assert done.seconds == 1.5
    assert digests(tmp_path / "out") == whole


BRANCHED = """
stages:
  - documents
  - language
  - branches:
      - [FIRST]
      - [SECOND]
  - shards
"""
JUDGES = {"near_duplicates": "near_duplicates", "quality_filter": "quality_filter: {scores: {mark: 1}, keep_rate: 0.5}"}


def _decisions(outcome: Outcome) -> dict[str, dict[str, Any]]:
    columns = ["text", *(f"{name}_reason" for name in JUDGES)]
    parts = [batch for part in outcome.corpus.parts for batch in part.read(columns, kept_only=False)]
    return {row.pop("text"): row for batch in parts for row in batch.drop_columns(["id"]).to_pylist()}


def test_branches_see_the_same_documents_and_what_all_keep_goes_on(tmp_path: pathlib.Path) -> None:
    """The longest of each cluster survives, and has the worst mark: in turn, the marks' median would be another one."""
    (tmp_path / "in").mkdir()
    texts = [prose(number) + end for number in range(20) for end in ("", " And this is the end of it.")]
    records = [{"text": text, "mark": len(texts) - number} for number, text in enumerate(texts)]
    write_lines(tmp_path / "in" / "a.jsonl", records)
    found: list[dict[str, dict[str, Any]]] = []
    for order in (list(JUDGES.values()), list(JUDGES.values())[::-1]):
        text = BRANCHED.replace("FIRST", order[0]).replace("SECOND", order[1])
        outcome = run_recipe(text, tmp_path, [str(tmp_path / "in")], f"out{len(found)}")
        found.append(_decisions(outcome))
    assert found[0] == found[1]
    distinct = {text for text, row in found[0].items() if row["near_duplicates_reason"] is None}
    good = {text for text, row in found[0].items() if row["quality_filter_reason"] is None}
    assert (len(distinct), len(good)) == (20, 20)  # half of all forty, not of the twenty that are left
    shards = pq.read_table(tmp_path / "out0" / "shards", columns=["text"]).column("text").to_pylist()
    assert set(shards) == distinct & good


def test_a_stage_works_on_some_documents_only(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    for source in ("web", "books"):
        write_lines(
            tmp_path / "in" / f"{source}.jsonl", [{"text": prose(n % 3)} for n in range(6)] + [{"text": "Too short."}]
        )
    text = (
        "stages:\n  - documents\n  - language\n  - measurements\n  - rules: {only: {source: [WHICH]}}\n"
        "  - exact_duplicates: {only: {source: [WHICH]}}\n  - shards\n"
    )
    for which, kept in (("web", {"web": 3, "books": 7}), ("books", {"web": 7, "books": 3})):
        run_recipe(text.replace("WHICH", which), tmp_path, [str(tmp_path / "in")])  # what another made is not taken up
        sources = pq.read_table(tmp_path / "out" / "shards", columns=["source"]).column("source").to_pylist()
        assert collections.Counter(sources) == kept
    with pytest.raises(RunError, match="rules: no stage wrote the column 'site'"):
        run_recipe(text.replace("source", "site").replace("WHICH", "web"), tmp_path, [str(tmp_path / "in")], "other")


def test_a_run_has_a_report_before_it_ends(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datapipe.engine.run.REPORT_SHARE", 1e9)
    write_lines(tmp_path / "a.jsonl", [{"text": "one"}, {"text": "one"}, {"text": "two"}])
    seen: dict[str, bool] = {}

    def report(line: str) -> None:
        page = tmp_path / "out" / "report.html"
        seen.setdefault(
            line.split()[0], page.exists() and "exact_duplicates: exact_duplicate" in page.read_text(encoding="utf-8")
        )

    recipe = "stages: [documents, language, exact_duplicates, embeddings, shards]"
    run_recipe(recipe, tmp_path, [str(tmp_path / "a.jsonl")], report=report)
    assert (seen["language"], seen["shards"]) == (False, True)


def test_a_run_that_fails_has_a_report_of_what_there_is(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the machine is on fire")

    monkeypatch.setattr(WriteShards, "_write", fail)
    write_lines(tmp_path / "a.jsonl", [{"text": "one"}, {"text": "one"}, {"text": "two"}])
    with pytest.raises(PipelineError, match="on fire"):
        run_recipe("stages: [documents, exact_duplicates, language, shards]", tmp_path, [str(tmp_path / "a.jsonl")])
    assert "exact_duplicates: exact_duplicate" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_workers_elsewhere_count_the_figures_of_the_report(tmp_path: pathlib.Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": prose(seed % 9)} for seed in range(30)])
    recipe = "stages: [documents, language, exact_duplicates, shards]"
    elsewhere = Runner(1, ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",))
    pages = []
    for name, runner in (("here", ONE_WORKER), ("there", elsewhere)):
        run_recipe(recipe, tmp_path, [str(tmp_path / "a.jsonl")], name, runner)
        page = (tmp_path / name / "report.html").read_text(encoding="utf-8")
        data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
        pages.append([data["charts"]["by_language"], page.count("data-reason=")])
        assert not (tmp_path / name / ".figures").exists()
    assert pages[0] == pages[1]
