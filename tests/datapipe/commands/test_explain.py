"""Why is it in, or out: asked by any name, answered in the first line."""

import json
import pathlib
import subprocess
import sys

import pytest

from datapipe.cli import main


def asked(run: pathlib.Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["explain", str(run), *arguments]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("name", ["short", "0-24", "24", "documents/more.jsonl:0", "A short text with too few"])
def test_a_document_is_found_by_what_its_user_knows_of_it(
    name: str, finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict, origin, *_ = asked(finished_run, capsys, name)
    assert verdict == "removed by rules: words 9, needs >= 50 (Gopher)"
    assert origin.startswith("0-24  more.jsonl:0  short")


def test_the_verdict_comes_first_then_the_other_rules_then_the_marked_text(
    finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(finished_run, capsys, "hashes")
    assert lines[0].startswith("removed by rules: ")
    assert len(lines) < 40
    assert "⟦" in "\n".join(lines[5:])
    assert not any("null" in line or "None" in line for line in lines if "--set" not in line)


def test_a_duplicate_names_its_partner_and_what_they_share(
    finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(finished_run, capsys, "near")
    assert lines[0].startswith("removed by near_duplicates: near_duplicate: of 0-0, similarity 0.9")
    assert any(line.startswith("the other document: 0-0, good.jsonl") and "; kept" in line for line in lines)
    assert any("of this document stands in passages of both" in line for line in lines)


def test_what_is_kept_names_its_shards_and_its_duplicates(
    finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(finished_run, capsys, "good-0")
    assert lines[0] == "kept, once in the mixture"
    assert "shards: shards/train-00000.parquet" in lines
    assert any(line.split()[1:] == ["removed:", "near_duplicate"] for line in lines)


def test_rejects_and_files_of_many_documents_are_told_too(
    finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = asked(finished_run, capsys, "more.jsonl")
    assert first == "5 documents are called 'more.jsonl'"
    assert "  3 removed by rules" in others
    assert "  2 records rejected, the first: missing_text" in others
    position = int(json.loads("\n".join(asked(finished_run, capsys, "near", "--json")))["columns"]["position"])
    line = (finished_run.parent / "documents" / "more.jsonl").read_bytes()[position:].index(b"\n")
    assert asked(finished_run, capsys, f"more.jsonl:{position + line + 1}")[0].startswith("rejected: missing_text")


def test_all_has_every_column_and_json_is_for_programs(
    finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = dict(line.split(maxsplit=1) for line in asked(finished_run, capsys, "short", "--all")[8:] if " " in line)
    assert (said["words"], said["rules_reason"]) == ("9", '"gopher_min_words"')
    found = json.loads("\n".join(asked(finished_run, capsys, "short", "--json")))
    assert found["failed"][0] | {"value": 9, "threshold": 50} == found["failed"][0]
    assert found["columns"]["input_id"] == "short"


def test_an_unknown_document_says_what_can_be_asked(
    finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(finished_run), "nobody"]) == 2
    assert "no document 'nobody': give part-row" in capsys.readouterr().err


def test_it_starts_without_beam_and_numba(finished_run: pathlib.Path) -> None:
    code = "import sys; from datapipe.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", code, "explain", str(finished_run), "hashes"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"apache_beam", "numba"} & {*loaded}
