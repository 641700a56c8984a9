"""The command line: exit statuses, and errors of one line."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

from datapipe.cli import _input_parent, main
from datapipe.engine.recipe import load_recipe
from datapipe.engine.stages import STAGES
from datapipe.read.documents import ReadDocuments


@pytest.fixture
def documents(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.jsonl").write_text("".join(json.dumps({"id": f"n{i}", "text": f"text {i}"}) + "\n" for i in range(3)))
    return folder


@pytest.fixture
def recipe(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "short.yaml"
    path.write_text("description: short\nstages: [documents, language, shards]\n")
    return path


def test_run_then_explain_then_report(
    documents: pathlib.Path, recipe: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main(["run", str(recipe), "--input", str(documents), "--output", out]) == 0
    assert f"{out}/shards" in capsys.readouterr().out
    assert main(["explain", out, "n1"]) == 0
    assert '"text 1"' in capsys.readouterr().out
    assert main(["report", out]) == 0
    assert "documents" in capsys.readouterr().out


def test_thresholds_are_fitted_as_yaml(
    documents: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prose = (
        "The harbour lies where the river meets the sea, and the boats come back to it with the tide of the evening."
    )
    lines = [json.dumps({"text": f"{prose} {number}"}) + "\n" for number in range(120)]
    (documents / "a.jsonl").write_text("".join(lines))
    recipe = tmp_path / "measure.yaml"
    recipe.write_text("description: measure\nstages: [documents, language, measurements]\n")
    out = str(tmp_path / "out")
    assert main(["run", str(recipe), "--input", str(documents), "--output", out]) == 0
    capsys.readouterr()
    assert main(["thresholds", out]) == 0
    fitted = yaml.safe_load(capsys.readouterr().out)["thresholds"]["en"]
    assert 20 < fitted["gopher_min_words"] <= 23


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nothing.yaml", "--input", "x", "--output", "OUT"], "nothing.yaml: no such recipe"),
        (["run", "RECIPE", "--input", "absent", "--output", "OUT"], "absent"),
        (["run", "RECIPE", "--input", "DOCUMENTS", "--output", "OUT", "--workers", "0"], "workers must be at least 1"),
        (["explain", "absent", "0-0"], "no run.json here"),
        (["report", "absent"], "no run.json here"),
    ],
)
def test_bad_use_is_one_line_and_status_2(
    arguments: list[str],
    message: str,
    documents: pathlib.Path,
    recipe: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = {"RECIPE": str(recipe), "DOCUMENTS": str(documents), "OUT": str(tmp_path / "out")}
    assert main([known.get(argument, argument) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("datapipe: ")
    assert message in said
    assert len(said.splitlines()) == 1


def test_a_stage_that_fails_is_one_line_and_status_1(tmp_path: pathlib.Path, documents: pathlib.Path) -> None:
    recipe = tmp_path / "fails.yaml"
    # A model file that is none: found out by the workers.
    model = tmp_path / "model.ftz"
    model.write_bytes(b"no model")
    recipe.write_text(f"description: fails\nstages: [documents, {{language: {{model: {model}}}}}]\n")
    command = [sys.executable, "-m", "datapipe.cli", "run", str(recipe), "--input", str(documents)]
    done = subprocess.run([*command, "--output", str(tmp_path / "out")], capture_output=True, text=True, timeout=120)
    assert done.returncode in (1, 2)
    lines = [line for line in done.stderr.splitlines() if line.startswith("datapipe: ")]
    assert "model.ftz" in lines[0]
    if done.returncode == 1:
        assert "Traceback" in (tmp_path / "out" / "error.log").read_text()


def test_ctrl_c_is_one_line_and_status_130(tmp_path: pathlib.Path, documents: pathlib.Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "datapipe.cli", "run", "default", "--input", str(documents), "--output", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (out / "run.json").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1].strip() == "datapipe: stopped; the same command resumes"
    assert process.returncode == 130


def test_unknown_flags_are_refused_but_for_run(tmp_path: pathlib.Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["report", str(tmp_path), "--verbose"])
    assert stop.value.code == 2


def test_the_input_parent_is_the_folder_of_the_input_folder(tmp_path: pathlib.Path) -> None:
    (tmp_path / "documents").mkdir()
    assert _input_parent(str(tmp_path / "documents")) == str(tmp_path)
    assert _input_parent(str(tmp_path / "documents") + "/") == str(tmp_path)
    assert _input_parent(str(tmp_path / "documents" / "*.jsonl")) == str(tmp_path)
    assert _input_parent("hdfs://server/raw/documents") == "hdfs://server/raw"


def test_stages_are_listed_and_the_options_of_each_make_a_recipe(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stages"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert listed == [stage.name for stage in STAGES]
    for name in listed:
        assert main(["stages", name]) == 0
        said = capsys.readouterr().out
        (entry,) = yaml.safe_load(said.partition("all options:")[2])
        explained = said.partition("In a recipe")[0]
        if "All options of the stage `documents`" in explained:
            explained += ReadDocuments.__doc__ or ""
        for option in entry[name]:
            assert re.search(rf"^ +{option}: ", explained, re.MULTILINE), f"{name}: {option} is not explained"
        if name == "documents":
            recipe = tmp_path / "default.yaml"
            recipe.write_text(yaml.safe_dump({"stages": [entry]}))
            assert load_recipe(str(recipe), {}).stages[0].options()["part_bytes"] == entry[name]["part_bytes"]
    assert main(["stages", "langage"]) == 2
    assert "unknown stage 'langage'" in capsys.readouterr().err


def test_help_does_not_load_beam() -> None:
    code = "import sys, datapipe.cli; datapipe.cli.parser(); sys.exit('faiss' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_tokenizer_is_trained_from_the_command_line(documents: pathlib.Path, tmp_path: pathlib.Path) -> None:
    start = ["tokenizer", "train", "--input", str(documents), "--output", str(tmp_path / "out"), "--vocabulary", "300"]
    assert main([*start, "--chinese", "0"]) == 0
    assert (tmp_path / "out" / "tokenizer.json").exists()


def test_a_tokenizer_command_that_cannot_be_done_is_one_line(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = str(tmp_path / "absent.json")
    assert main(["tokenizer", "export", absent, "--to", "json", "--output", str(tmp_path / "out")]) in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith("datapipe: ")
    assert "absent.json" in said
