"""Instruction records become parts: their dialogue as a column, what is said as text, and bad ones counted."""

import json
import pathlib
from typing import Any

import pyarrow.parquet as pq
import pytest

from datapipe.read.instructions import ReadInstructions
from datapipe.read.parts import write_parts
from tests.helpers import run_recipe, write_lines

RECORDS = [
    {"id": "a", "instruction": "Add 1 and 2.", "output": "3", "origin": "alpaca", "level": 1, "text": "own"},
    {
        "id": "b",
        "messages": [{"role": "user", "content": "Add 1 and 2."}, {"role": "assistant", "content": "3", "weight": 2}],
        "prompt": "sums",
    },
    {"id": "c", "text": "A story."},
    {"id": "d", "prompt": "\u200b", "response": "No."},
    {"id": "e", "prompt": "Cafe\u0301?\r\n", "response": "  Yes."},
]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "in"
    folder.mkdir()
    write_lines(folder / "one.jsonl", RECORDS[:3])
    write_lines(folder / "two.jsonl", RECORDS[3:])
    return folder


def read(stage: ReadInstructions, tmp_path: pathlib.Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows and rejects of a stage."""
    (tmp_path / "rejects").mkdir(exist_ok=True)
    rows: dict[str, list[dict[str, Any]]] = {"instruction": [], "reject": []}
    for task in stage.plan(["not an instruction"]):
        for written in write_parts(task, stage.read_options(), str(tmp_path), "instruction", stage.compose()).files:
            rows[written.kind] += pq.read_table(written.path).to_pylist()
    return rows["instruction"], rows["reject"]


def message(role: str, content: str, weight: float = 1.0) -> dict[str, Any]:
    return {
        "role": role,
        "content": content,
        "reasoning": None,
        "tool_calls": None,
        "weight": weight,
        "other": None,
    }


def test_records_become_parts_of_kind_instruction(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rows, rejects = read(ReadInstructions(paths=[str(folder)]), tmp_path)
    assert [row["input_id"] for row in rows] == ["a", "b", "e"]
    assert {row["source"] for row in rows} == {"instructions"}
    assert [row["text"] for row in rows] == ["Add 1 and 2.\n\n3", "Add 1 and 2.\n\n3", "Caf\u00e9?\n\n\n  Yes."]
    assert rows[1]["messages"] == [message("user", "Add 1 and 2."), message("assistant", "3", 2.0)]
    assert rows[2]["messages"] == [message("user", "Caf\u00e9?\n"), message("assistant", "  Yes.")]
    assert [(row["prompt"], row["input_text"], row["level"]) for row in rows] == [
        (None, "own", 1),
        ("sums", None, None),
        (None, None, None),
    ]
    assert [(row["file"], row["reason"], row["detail"]) for row in rejects] == [
        ("one.jsonl", "no_instruction_shape", "shape none; fields: id, text"),
        # Without its zero-width space it asks nothing.
        ("two.jsonl", "empty_prompt", "shape prompt, response; fields: id, prompt, response"),
    ]
    assert json.loads(rejects[1]["raw"]) == RECORDS[3]


def test_fields_and_source_by_other_names(tmp_path: pathlib.Path) -> None:
    write_lines(tmp_path / "own.jsonl", [{"ask": "q", "say": "a", "origin": "here"}])
    fields: dict[str, str | list[str]] = {"instruction": "ask", "output": ["reply", "say"], "source": "origin"}
    rows, _ = read(ReadInstructions(paths=[str(tmp_path / "own.jsonl")], fields=fields), tmp_path)
    assert [(row["text"], row["source"]) for row in rows] == [("q\n\na", "here")]


def test_messages_are_repaired_as_documents_are(tmp_path: pathlib.Path) -> None:
    lines = json.dumps({"prompt": "schÃ¶n?", "response": "a\ud800"})
    (tmp_path / "mojibake.jsonl").write_text(lines, encoding="utf-8")
    rows, rejects = read(ReadInstructions(paths=[str(tmp_path / "mojibake.jsonl")], repair_encoding=True), tmp_path)
    assert [each["content"] for each in rows[0]["messages"]] == ["schön?", "a?"]
    _, rejects = read(ReadInstructions(paths=[str(tmp_path / "mojibake.jsonl")]), tmp_path)
    assert [reject["reason"] for reject in rejects] == ["lone_surrogate"]


def test_bad_records_are_counted_by_file_and_shape(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "a.jsonl", [{"text": "A document."}])
    bad = [{"prompt": "p", "response": ""}, {"prompt": " ", "response": "r"}, {"messages": [{"role": "x"}]}]
    write_lines(tmp_path / "bad.jsonl", [*bad, bad[0], {"prompt": "p", "response": "r"}])
    recipe = f"stages: [documents, instructions: {{paths: ['{tmp_path}/bad.jsonl']}}, shards]"
    lines: list[str] = []
    run_recipe(recipe, tmp_path, [str(tmp_path / "in")], report=lines.append)
    found = [line.strip() for line in lines if "bad records" in line]
    assert found == [
        "bad.jsonl, shape prompt, response: 3 bad records (2 empty_answer, 1 empty_prompt)",
        "bad.jsonl, shape messages: 1 bad records (1 unknown_role)",
    ]


def test_without_instructions_it_says_so(folder: pathlib.Path) -> None:
    assert ReadInstructions().skip_reason() == "no instruction data given"
    assert ReadInstructions(paths=[f"{folder}/none"]).skip_reason() == f"no instruction data at {folder}/none"
    assert ReadInstructions(paths=[f"{folder}/none", str(folder)]).skip_reason() is None


def test_all_real_records_are_read(shared_data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rows, rejects = read(ReadInstructions(paths=[str(shared_data / "instructions")]), tmp_path)
    assert len(rows) == 2349
    assert rejects == []
