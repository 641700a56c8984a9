"""Filters, rules and deduplication over instruction data, by option, and then a chat form with its tokens."""

import json
import pathlib

import pyarrow.parquet as pq

from tests.helpers import prose, run_recipe, write_lines
from tests.tokenizer_training.samples import trained

PARTS = "parts: [document, instruction]"


def test_what_documents_pass_instructions_may_have_to_pass_too(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    texts = [prose(seed) for seed in range(4)]
    write_lines(tmp_path / "in" / "a.jsonl", [{"text": f"Say more.\n\n{texts[0]}"}, {"text": texts[1]}])
    records = [
        {"id": "copy", "prompt": "Say more.", "response": texts[0]},
        {"id": "good", "prompt": "Say more.", "response": texts[2]},
        {"id": "near", "prompt": "Say more", "response": texts[2] + " Yes."},
        {"id": "noise", "prompt": "Say more.", "response": "!!! ??? *** ### @@@ " * 40},
    ]
    write_lines(tmp_path / "chat.jsonl", records)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(trained("byte_level")), encoding="utf-8")
    run_recipe(
        f"""
        stages:
          - documents
          - instructions: {{paths: ['{tmp_path}/chat.jsonl']}}
          - language: {{{PARTS}}}
          - measurements: {{{PARTS}}}
          - rules: {{{PARTS}}}
          - exact_duplicates: {{{PARTS}}}
          - near_duplicates: {{{PARTS}}}
          - chat
          - tokens: {{tokenizer: '{path}'}}
          - shards
        """,
        tmp_path,
        [str(tmp_path / "in")],
    )
    table = pq.read_table(tmp_path / "out" / "shards")
    rows = {row["input_id"]: row for row in table.to_pylist()}
    assert set(rows) == {None, "good"}
    assert rows["good"]["language"] == "en"
    assert rows["good"]["text"].endswith(f"<|im_start|>assistant\n{texts[2]}<|im_end|>\n")
    assert rows["good"]["tokens"] > 100
    assert len(rows["good"]["pieces"]) == 15
    assert [message["content"] for message in rows["good"]["messages"]] == ["Say more.", texts[2]]
