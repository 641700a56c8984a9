"""A run from the recipe's name to the list of what it made."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from datapipe.commands.run import input_parent, run
from datapipe.store.locks import LockedError
from tests.helpers import write_lines
from tests.s3 import s3_flags

INPUTS = pathlib.Path(__file__).parents[3] / "docs" / "inputs.md"


@pytest.fixture
def documents(tmp_path: pathlib.Path) -> str:
    (tmp_path / "documents").mkdir()
    write_lines(tmp_path / "documents" / "a.jsonl", [{"text": f"text {number}"} for number in range(3)])
    return str(tmp_path / "documents")


def of(tmp_path: pathlib.Path, stages: str) -> str:
    recipe = tmp_path / "short.yaml"
    recipe.write_text(f"description: short\nstages: {stages}\n")
    return str(recipe)


def start(recipe: str, documents: str, out: pathlib.Path) -> None:
    run(recipe, [documents], str(out), workers=1, flags=[], every_row=False)


def test_a_run_ends_with_its_funnel_and_products(
    documents: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    start(of(tmp_path, "[documents, shards]"), documents, out)
    *_, shards, rejects, record, report, done = capsys.readouterr().out.splitlines()
    assert [shards, rejects, record, report] == [
        str(out / name) for name in ("shards", "rejects", "run.json", "report.html")
    ]
    assert done.startswith("done in ")


def test_the_recipe_knows_the_output_and_the_folder_beside_the_documents(
    documents: str, tmp_path: pathlib.Path
) -> None:
    write_lines(tmp_path / "instructions.jsonl", [{"instruction": "Say yes.", "output": "Yes."}])
    recipe = of(tmp_path, '[documents, {instructions: {paths: ["{input_parent}/instructions.jsonl"]}}]')
    start(recipe, documents, tmp_path / "out")
    assert (tmp_path / "out" / "instructions").is_dir()


def test_a_run_that_cannot_begin_is_the_users_to_mend(documents: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("mine")
    with pytest.raises(ValueError, match="out"):
        start(of(tmp_path, "[documents]"), documents, tmp_path / "out")
    assert not (tmp_path / "out" / "error.log").exists()


def test_a_run_that_fails_writes_its_traceback_down(documents: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "documents" / "b.jsonl").write_text("no record\n")
    recipe = of(tmp_path, "[{documents: {max_reject_share: 0.0}}]")
    with pytest.raises(RuntimeError, match="1 of 4 records rejected") as failure:
        start(recipe, documents, tmp_path / "out")
    assert str(failure.value).splitlines()[1] == f"full traceback: {tmp_path}/out/error.log"
    assert "TooManyRejectsError" in (tmp_path / "out" / "error.log").read_text()


def test_the_input_parent_is_the_folder_of_the_input_folder(tmp_path: pathlib.Path) -> None:
    (tmp_path / "documents").mkdir()
    assert input_parent(str(tmp_path / "documents")) == str(tmp_path)
    assert input_parent(str(tmp_path / "documents") + "/") == str(tmp_path)
    assert input_parent(str(tmp_path / "documents" / "*.jsonl")) == str(tmp_path)
    assert input_parent(str(tmp_path / "documents" / "**" / "*.jsonl")) == str(tmp_path)
    assert input_parent("hdfs://server/raw/documents") == "hdfs://server/raw"


def test_a_run_that_rejects_much_ends_with_what_to_write_into_the_recipe(
    documents: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(tmp_path / "documents" / "b.jsonl", [{"story": "once"}])
    start(of(tmp_path, "[documents]"), documents, tmp_path / "out")
    said = capsys.readouterr().out
    assert "done in" in said.partition("WARNING: documents rejected 1 of 4 records (25%)")[0]
    assert said.endswith("  - documents:\n      fields:\n        text: [text, content, body, raw_content, story]\n")
    start(of(tmp_path, "[{documents: {fields: {text: [text, story]}}}]"), documents, tmp_path / "more")
    assert "WARNING" not in capsys.readouterr().out


@pytest.mark.parametrize("options", ["", "{max_reject_share: 0.5}"])
def test_a_run_that_fails_over_its_rejects_says_so_too(
    options: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "documents").mkdir()
    write_lines(tmp_path / "documents" / "a.jsonl", [{"story": "once"}])
    with pytest.raises(RuntimeError, match="missing_text"):
        start(of(tmp_path, f"[{{documents: {options}}}]"), str(tmp_path / "documents"), tmp_path / "out")
    assert "text: [text, content, body, raw_content, story]" in capsys.readouterr().out


def test_a_run_that_keeps_nothing_fails_and_names_the_stage(documents: str, tmp_path: pathlib.Path) -> None:
    lines = [{"text": "the same", "id": n} for n in range(2)]
    write_lines(tmp_path / "documents" / "a.jsonl", lines)
    recipe = of(tmp_path, "[documents, language, {language_filter: {keep: [zh]}}, exact_duplicates, shards]")
    with pytest.raises(RuntimeError, match=r"no document is left: language_filter took the last 2 \(2 \w+\)"):
        start(recipe, documents, tmp_path / "out")
    assert (tmp_path / "out" / "report.html").exists()


def test_a_run_does_not_read_its_own_output(documents: str, tmp_path: pathlib.Path) -> None:
    recipe = of(tmp_path, "[documents, shards]")
    for out in ("out", "out", "other"):
        start(recipe, f"{documents}/**/*.*", tmp_path / "documents" / out)
        assert pq.read_table(tmp_path / "documents" / out / "shards").num_rows == 3
        assert pq.read_table(tmp_path / "documents" / out / "documents").num_rows == 3


def test_the_example_of_the_documentation_loses_no_row(tmp_path: pathlib.Path) -> None:
    recipe = INPUTS.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "example.yaml").write_text(recipe, encoding="utf-8")
    documents = tmp_path / "documents"
    documents.mkdir()
    write_lines(documents / "a.jsonl", [{"text": "one"}, {"content": "two"}, {"body": "three", "id": 1}])
    (documents / "b.txt").write_text("four\nfive\n")
    (documents / "c.html").write_text("<p>six is a sentence.")
    (documents / "d.csv").write_bytes("text\n这是一个关于城市公园的故事，春天里盛开的花朵\n".encode("gb18030"))
    (documents / "e.py").write_text("print('eight')")
    (documents / "f.pdf").write_bytes(b"%PDF-1.7\0")
    start(str(tmp_path / "example.yaml"), str(documents), tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "documents").num_rows == 8


def test_an_input_whose_name_is_no_utf8(tmp_path: pathlib.Path) -> None:
    documents = tmp_path / os.fsdecode(b"caf\xe9")
    documents.mkdir()
    write_lines(documents / "a.jsonl", [{"text": "a"}])
    for _ in range(2):
        start(of(tmp_path, "[documents, shards]"), str(documents), tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "shards").column("text").to_pylist() == ["a"]


def test_a_run_that_has_lost_its_lock_ends_and_writes_nothing_more(
    documents: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = []

    @contextlib.contextmanager
    def lost(folder: str, report: object) -> Iterator[Callable[[], None]]:  # noqa: ARG001 - as `locked`
        def check() -> None:
            checks.append(1)
            if len(checks) > 2:
                raise LockedError("the lock is lost")

        yield check

    monkeypatch.setattr("datapipe.engine.output.locked", lost)
    with pytest.raises(LockedError, match="the lock is lost"):
        start(of(tmp_path, "[documents, language, shards]"), documents, tmp_path / "out")
    assert len(checks) == 3
    assert not (tmp_path / "out" / "shards").exists()
    assert not (tmp_path / "out" / "error.log").exists()


def test_what_lies_in_a_bucket_and_is_no_run_is_left_alone(documents: str, tmp_path: pathlib.Path, s3: Any) -> None:
    recipe = of(tmp_path, "[documents, shards]")
    precious = {"Bucket": "bucket", "Key": "other/documents/precious.txt"}
    s3.put_object(**precious, Body=b"mine")
    with pytest.raises(ValueError, match=r"^s3://bucket/other is not empty and holds no datapipe run \(documents\)"):
        run(recipe, [documents], "s3://bucket/other", workers=1, flags=s3_flags(s3), every_row=False)
    for _ in range(2):
        run(recipe, [documents], "s3://bucket/out", workers=1, flags=s3_flags(s3), every_row=False)
    names = {there["Key"] for there in s3.list_objects_v2(Bucket="bucket")["Contents"]}
    assert {"other/documents/precious.txt", "out/run.json", "out/shards/train-00000.parquet"} <= names
    assert not [name for name in names if name.endswith((".lock", ".tmp", ".sum"))]
    assert s3.get_object(**precious)["Body"].read() == b"mine"


@pytest.mark.parametrize("stage", ["language: {%s}", "safety: {%s}", "quality: {%s}", "tokens: {%s}"])
def test_a_model_that_is_none_is_the_recipes_fault(documents: str, tmp_path: pathlib.Path, stage: str) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"x" * 100)
    option = f"{'tokenizer' if stage.startswith('tokens') else 'model'}: {model}"
    with pytest.raises(ValueError, match=rf"^.*{model}.*$"):
        start(of(tmp_path, f"[documents, {stage % option}]"), documents, tmp_path / "out")
