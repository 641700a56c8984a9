"""Rows of one length in which every dialogue stands as often as it should, with loss on answers alone."""

import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.mix.chat_tokens import NO_LOSS, load_piece_encoder
from datapipe.mix.packing import pack
from tests.helpers import run_recipe, write_lines
from tests.tokenizer_training.samples import trained, with_special_tokens


def test_a_dialogue_that_is_longer_than_rows_goes_on() -> None:
    ids = pa.array([[1, 2, 3, 4, 5], [], None, [6]], pa.list_(pa.int32()))
    packed, labels, starts = pack(ids, ids, np.array([3, 0, 1, 2, 3]), 2, 9)
    assert packed.tolist() == [[6, 1], [2, 3], [4, 5], [6, 9]]
    assert labels.tolist() == [[6, 1], [2, 3], [4, 5], [6, NO_LOSS]]
    assert starts == [[(3, 0), (0, 1)], [(0, 0)], [(0, 0)], [(3, 0)]]


def test_llama_2_rows(tmp_path: pathlib.Path) -> None:
    """Rows are exactly as long as asked; what bears loss is each answer and what ends it."""
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "a.jsonl", [{"text": "A document."}])
    answers = [f"the cat {'sat ' * number}on the mat {number}" for number in range(40)]
    records = [{"prompt": f"中文 {number}?", "response": answer} for number, answer in enumerate(answers)]
    write_lines(tmp_path / "chat.jsonl", records)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(with_special_tokens(trained("byte_fallback"), ["<s>", "</s>"])), encoding="utf-8")
    run_recipe(
        f"""
        stages:
          - documents
          - instructions: {{paths: ['{tmp_path}/chat.jsonl']}}
          - chat: {{form: llama2}}
          - chat_tokens: {{tokenizer: '{path}'}}
          - packing: {{length: 64}}
        """,
        tmp_path,
        [str(tmp_path / "in")],
    )
    (file,) = (tmp_path / "out" / "packing").glob("*.parquet")
    rows = pq.read_table(file).to_pylist()
    tokenizer = load_piece_encoder(str(path))
    decode, end = tokenizer.encoder.decode, tokenizer.control["</s>"]
    assert {len(row["input_ids"]) for row in rows} == {len(row["labels"]) for row in rows} == {64}
    ids = np.array([row["input_ids"] for row in rows]).reshape(-1)
    labels = np.array([row["labels"] for row in rows]).reshape(-1)
    learnt = labels != NO_LOSS
    assert (ids[learnt] == labels[learnt]).all()
    said = decode(labels[learnt]).split("</s>")
    assert sorted(text.strip() for text in said if text) == sorted(answers)
    assert (labels == end).sum() == len(answers)
    begun = [(row["ids"][at], start) for row in rows for at, start in enumerate(row["starts"])]
    assert {name for name, _ in begun} == {f"1-{number}" for number in range(40)}
    summary = json.loads((tmp_path / "out" / "packing" / "_manifest.json").read_text(encoding="utf-8"))
    assert summary["tokens_with_loss"] == learnt.sum()
    assert summary["rows"] == len(rows)
    assert summary["dialogues"] == 40
