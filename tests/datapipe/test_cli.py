"""The command line: what reaches the commands, exit statuses, and errors of one line."""

import argparse
import functools
import gc
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from datapipe.cli import main, parser
from tests.helpers import ROOT, write_lines
from tokenizer_training.options import TrainingOptions


@pytest.fixture
def documents(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    write_lines(folder / "a.jsonl", [{"id": f"n{number}", "text": f"text {number}"} for number in range(3)])
    return folder


@pytest.fixture
def recipe(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "short.yaml"
    path.write_text("description: short\nstages: [documents, language, shards]\n")
    return path


def test_garbage_is_not_looked_for_in_what_is_imported(documents: pathlib.Path, recipe: pathlib.Path) -> None:
    assert main(["run", str(recipe), "--input", str(documents), "--output", str(documents.parent / "out")]) == 0
    assert gc.get_freeze_count() > 10_000
    assert gc.isenabled()


@pytest.mark.parametrize("mine", [None, "20"])
def test_threads_for_matrices_do_not_wait_busily_unless_they_are_told(mine: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    environment |= {"OPENBLAS_THREAD_TIMEOUT": mine} if mine else {}
    code = (
        "import os, sys; from datapipe.cli import main; assert 'numpy' not in sys.modules; main(['recipes']);"
        "print(os.environ['OPENBLAS_THREAD_TIMEOUT'])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == (mine or "4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nothing.yaml", "--input", "x", "--output", "OUT"], "nothing.yaml: no such recipe"),
        (["run", "RECIPE", "--input", "absent", "--output", "OUT"], "absent"),
        (["run", "RECIPE", "--input", "DOCUMENTS", "--output", "OUT", "--workers", "0"], "workers must be at least 1"),
        (["run", "RECIPE", "--input", "DOCUMENTS", "--output", "OUT", "--wrokers", "2"], "did you mean --workers?"),
        (["explain", "absent", "0-0"], "no run.json here"),
        (["report", "absent"], "no run.json here"),
        (["thresholds", "absent"], "no run.json here"),
        (["stages", "langage"], "unknown stage 'langage'; did you mean 'language'?"),
        (["tokenizer", "train", "--input", "DOCUMENTS", "--output", "OUT", "--coverage", "2"], "coverage must be"),
        (["tokenizer", "export", "absent", "--to", "json", "--output", "OUT"], "absent: neither tokenizer.json nor"),
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


def test_what_cannot_be_read_is_one_line_and_status_1(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = str(tmp_path / "absent.json")
    assert main(["tokenizer", "export", absent, "--to", "json", "--output", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("datapipe: ")
    assert "absent.json" in line


def test_a_stage_that_fails_is_one_line_with_where_the_traceback_is_and_status_1(
    tmp_path: pathlib.Path, documents: pathlib.Path
) -> None:
    recipe = tmp_path / "fails.yaml"
    (documents / "b.jsonl").write_text("no JSON\n")
    recipe.write_text("description: fails\nstages: [documents: {max_reject_share: 0.1}, language]\n")
    command = [sys.executable, "-m", "datapipe.cli", "run", str(recipe), "--input", str(documents)]
    done = subprocess.run([*command, "--output", str(tmp_path / "out")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    error, log = [line for line in done.stderr.splitlines() if line.startswith("datapipe: ")]
    assert "max_reject_share" in error
    assert log == f"datapipe: full traceback: {tmp_path}/out/error.log"
    assert (tmp_path / "out" / "error.log").read_text().startswith("Traceback")


def test_ctrl_c_is_one_line_and_status_130(tmp_path: pathlib.Path, documents: pathlib.Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "datapipe.cli", "run", "default", "--input", str(documents), "--output", str(out)]
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # in the background shells have it ignored
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    while not (out / "run.json").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1].strip() == "datapipe: stopped; the same command resumes"
    assert process.returncode == 130


@pytest.mark.parametrize(
    "arguments", [["report", "out", "--verbose"], ["tokenizer", "export", "a.json"], ["tokenizer"]]
)
def test_arguments_that_are_unknown_or_missing_are_bad_use(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_a_flag_given_twice_takes_what_follows_both() -> None:
    given = parser().parse_args(["run", "r.yaml", "--input", "a", "b", "--input", "c", "--output", "out"])
    assert given.inputs == ["a", "b", "c"]
    assert parser().parse_args(["stats", "out", "--by", "x", "--by", "y"]).by == ["x", "y"]
    assert parser().parse_args(["stats", "out"]).by == ["source"]
    takes_many = [a for c in _commands() for a in c._actions if a.option_strings and a.nargs in ("+", "*")]
    assert len(takes_many) > 10
    assert {type(action).__name__ for action in takes_many} == {"_Extend"}


def _commands() -> list[argparse.ArgumentParser]:
    """The parsers of all commands, and of those below them."""
    found = [parser()]
    for command in found:
        for action in command._actions:
            if isinstance(action, argparse._SubParsersAction):
                found += action.choices.values()
    return found


def test_options_of_training_are_flags_with_their_defaults_and_documentation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = vars(parser().parse_args(["tokenizer", "train", "--input", "in", "--output", "out"]))
    assert {name: values[name] for name in vars(TrainingOptions())} == vars(TrainingOptions())
    with pytest.raises(SystemExit):
        main(["tokenizer", "train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--min-frequency MIN_FREQUENCY a pair that occurs less often is not merged (default: 2)" in said
    assert "--algorithm {byte_level,byte_fallback}" in said
    assert "(default: <|endoftext|> <|im_start|> <|im_end|>)" in said


def test_help_loads_neither_beam_nor_numba() -> None:
    code = "import sys, datapipe.cli; datapipe.cli.parser(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"apache_beam", "numba", "numpy", "pyarrow", "faiss", "torch"} & {*loaded}


@pytest.mark.parametrize("arguments", [["stages"], ["validate", "default"]])
def test_what_describes_stages_loads_no_numba_and_the_least_of_beam(arguments: list[str]) -> None:
    code = "import sys; from datapipe.cli import main; print(main(sys.argv[1:])); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    *_, status, modules = done.stdout.splitlines()
    assert status == "0", done.stderr
    assert not {"numba", "faiss", "torch", "pymongo", "apache_beam.io.gcp.bigquery"} & {*modules.split()}


def test_a_run_takes_of_beam_what_its_paths_need(recipe: pathlib.Path, tmp_path: pathlib.Path, s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="in/a.jsonl", Body=b'{"text": "some text"}')
    write_lines(tmp_path / "a.jsonl", [{"text": "some text"}])
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": s3.meta.endpoint_url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    elsewhere = {"pymongo", "apache_beam.io.gcp.bigquery", "beartype", "boto3"}
    code = "import sys; from datapipe.cli import main; print(main(sys.argv[1:])); print(*sys.modules)"
    for path, needed in ((str(tmp_path / "a.jsonl"), set[str]()), ("s3://bucket/in", {"boto3"})):
        arguments = ["run", str(recipe), "--input", path, "--output", str(tmp_path / f"out-{len(needed)}"), "--quiet"]
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        *_, status, modules = done.stdout.splitlines()
        assert status == "0", done.stderr
        assert {*modules.split()} & elsewhere == needed


def test_a_tokenizer_is_trained_from_the_command_line(documents: pathlib.Path, tmp_path: pathlib.Path) -> None:
    start = ["tokenizer", "train", "--input", str(documents), "--output", str(tmp_path / "out"), "--vocabulary", "300"]
    assert main([*start, "--chinese", "0"]) == 0
    assert len(json.loads((tmp_path / "out" / "tokenizer.json").read_text())["model"]["vocab"]) <= 300


def test_news_is_there_line_by_line_in_a_pipe() -> None:
    code = "import time; from datapipe.cli import main; main(['recipes']); time.sleep(20)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline()
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explan", "out"], "invalid choice: 'explan'; did you mean 'explain'?"),
        (["stats", "out", "--bye", "x"], "unknown arguments: --bye x; did you mean '--by'?"),
        (
            ["tokenizer", "train", "--input", "in", "--output", "out", "--vocab-size", "9"],
            "datapipe tokenizer train: error: unknown arguments: --vocab-size 9; did you mean '--vocabulary'?",
        ),
        (["run", "default", "--inptu", "x"], "are required: --input, --output; --inptu; did you mean '--input'?"),
        (["tokenizer", "trian"], "invalid choice: 'trian'; did you mean 'train'?"),
    ],
)
def test_what_was_likely_meant_is_said(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err


def test_versions_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("datapipe-llm ")


def test_shells_complete_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="the extra `completion` is not installed")
    assert main(["completion", "bash"]) == 0
    said = capsys.readouterr().out
    assert "complete -o" in said
    assert "--what-if" in said


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")
    commands = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert [name for name in commands.choices if f"    datapipe {name}" not in page] == []
