"""Stages on strings, dicts and tables give what they give in a run."""

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest

import datapipe
from datapipe import on_lists
from tests.helpers import prose, run_recipe, write_lines

TEXTS = [prose(1), prose(2), prose(1), "spam " * 60, prose(3), prose(3).replace("number", "figure", 1)]
STAGES = ("language", "measurements", "rules", "exact_duplicates", "near_duplicates")


def test_a_chain_on_a_list_is_a_run(tmp_path: Any) -> None:
    on_list = (
        TEXTS
        | datapipe.IdentifyLanguage()
        | datapipe.MeasureText()
        | datapipe.ApplyRules()
        | datapipe.FindExactDuplicates()
        | datapipe.FindNearDuplicates()
    )
    write_lines(tmp_path / "a.jsonl", [{"text": text} for text in TEXTS])
    outcome = run_recipe(f"stages: [documents, {', '.join(STAGES)}]", tmp_path, [str(tmp_path / "a.jsonl")])
    (part,) = outcome.corpus.parts
    columns = [name for name in on_list[0] if name != "text"]
    in_run = pa.Table.from_batches(list(part.read(columns, kept_only=False))).drop_columns(["id"])
    assert pa.Table.from_pylist([{name: row[name] for name in columns} for row in on_list], in_run.schema).equals(
        in_run
    )
    assert [row["text"] for row in on_list] == TEXTS
    assert {row["exact_duplicates_reason"] for row in on_list} == {None, "exact_duplicate"}
    assert {row["near_duplicates_reason"] for row in on_list} == {None, "near_duplicate"}


def test_dicts_keep_what_else_they_hold_and_a_table_stays_a_table() -> None:
    documents = [{"text": "Bonjour à tous, comment allez-vous ?", "id": "a"}, {"text": "你好，世界。", "tags": ["x"]}]
    found = documents | datapipe.IdentifyLanguage()
    assert [(row["id"], row["tags"], row["language"]) for row in found] == [("a", None, "fr"), (None, ["x"], "zh")]
    table = pa.table({"text": ["你好，世界。", "Bonjour à tous, comment allez-vous ?"]}) | datapipe.IdentifyLanguage()
    assert isinstance(table, pa.Table)
    assert table.column("language").to_pylist() == ["zh", "fr"]


def test_a_stage_that_changes_the_text_leaves_that_of_removed_documents() -> None:
    documents = [{"text": "call 13812345678 now", "toy_reason": None}, {"text": "call 13812345678", "toy_reason": "x"}]
    masked = documents | datapipe.MaskPersonalData()
    assert "13812345678" not in masked[0]["text"]
    assert masked[1]["text"] == "call 13812345678"


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ValueError, match="measurements needs a column 'language': run IdentifyLanguage first"):
        _ = ["a"] | datapipe.MeasureText()
    with pytest.raises(ValueError, match="needs a column 'text'"):
        _ = [{"body": "a"}] | datapipe.IdentifyLanguage()
    with pytest.raises(ValueError, match="shards makes files, not columns"):
        _ = ["a"] | datapipe.WriteShards()


def test_nothing_is_said_on_the_way() -> None:
    code = "import datapipe; ['one text', 'one text'] | datapipe.FindExactDuplicates()"
    ran = subprocess.run([sys.executable, "-c", code, "-f", "kernel.json"], capture_output=True, text=True, check=True)
    said = [line for line in ran.stderr.splitlines() if "apitools" not in line]
    assert (ran.stdout, said) == ("", [])


def test_only_documents_are_taken() -> None:
    assert on_lists.as_table("a text") is None
    assert on_lists.as_table([]) is None
    assert on_lists.as_table([pa.record_batch({"text": ["a"]})]) is None
    assert on_lists.as_table([{"a": 1}, {"b": "x"}]).to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]  # type: ignore[union-attr]
