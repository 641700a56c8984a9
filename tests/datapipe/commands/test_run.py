"""A run from the recipe's name to the list of what it made."""

import pathlib

import pytest

from datapipe.commands.run import input_parent, run
from tests.helpers import write_lines


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
    assert input_parent("hdfs://server/raw/documents") == "hdfs://server/raw"
