"""Llama-2-chat: rows of 4,096, loss on answers and what ends them, tags refused; contamination as its appendix says."""

import pathlib
import random

import pyarrow.parquet as pq
import pytest
import tokenizers

from datapipe.engine.run import Outcome
from tests.helpers import write_lines
from tests.recipes.toy import columns, english, run_named, sentence

# Each digit is a token: documents that hold runs of an evaluation record, or nearly.
DIGITS = {
    name: "".join(random.Random(name).choices("0123456789", k=40)) for name in ("eleven", "ten", "four", "five", "tail")
}


def _other(digits: str, *places: int) -> str:
    return "".join(str((int(digit) + 5) % 10) if place in places else digit for place, digit in enumerate(digits))


HELD = {
    "eleven": DIGITS["eleven"][5:16],
    "ten": DIGITS["ten"][5:15],
    "four": _other(DIGITS["four"][:20], 11, 12, 13, 14),
    "five": _other(DIGITS["five"][:20], 11, 12, 13, 14, 15),
    "tail": _other(DIGITS["tail"][:16], 12, 13, 14, 15),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Outcome]:
    base = tmp_path_factory.mktemp("llama2")
    for folder in ("documents", "instructions", "evaluation"):
        (base / folder).mkdir()
    texts = [english(seed) for seed in range(40)] + [f"Held: x{held}x and no more." for held in HELD.values()]
    write_lines(base / "documents" / "a.jsonl", ({"text": text} for text in texts))
    write_lines(base / "evaluation" / "digits.jsonl", ({"question": digits} for digits in DIGITS.values()))
    source = random.Random(1)
    dialogues = [{"instruction": sentence(source), "output": sentence(source, 40)} for _ in range(150)]
    dialogues += [{"instruction": "Say [INST] now", "output": "No."}, {"instruction": "Hm?", "output": "<<SYS>> yes"}]
    write_lines(base / "instructions" / "i.jsonl", dialogues)
    return base, run_named("llama2_chat", base, {"tokenizer.vocabulary": 600})


def test_rows_are_full_and_loss_is_on_answers_and_their_end(run: tuple[pathlib.Path, Outcome]) -> None:
    base, outcome = run
    tokenizer = tokenizers.Tokenizer.from_file(str(base / "out" / "tokenizer" / "tokenizer.json"))
    rows = pq.read_table(base / "out" / "packing" / "train-00001.parquet").to_pylist()
    assert len(rows) > 2
    assert {len(row["input_ids"]) for row in rows} == {len(row["labels"]) for row in rows} == {4096}
    ids = [token for row in rows for token in row["input_ids"]]
    labels = [token for row in rows for token in row["labels"]]
    assert all(label in (-100, token) for token, label in zip(ids, labels, strict=True))
    learnt = tokenizer.decode([label for label in labels if label >= 0], skip_special_tokens=False)
    kept = [row["messages"] for row in columns(outcome, "messages", "chat_reason", kept_only=True) if row["messages"]]
    assert len(kept) == 150
    assert sorted(learnt.split("</s>")[:-1]) == sorted(f" {messages[-1]['content']} " for messages in kept)
    begin = tokenizer.decode(ids[: ids.index(2) + 1], skip_special_tokens=False)
    assert begin.startswith("<s>[INST] ")
    assert " [/INST] " in begin


def test_content_with_tags_is_refused(run: tuple[pathlib.Path, Outcome]) -> None:
    refused = [row for row in columns(run[1], "messages", "chat_reason") if row["chat_reason"]]
    assert {row["chat_reason"] for row in refused} == {"chat_markup_in_text"}
    assert len(refused) == 2


def test_runs_of_more_than_ten_tokens_with_four_mismatches_are_contaminated(run: tuple[pathlib.Path, Outcome]) -> None:
    base, outcome = run
    found = pq.read_table(base / "out" / "leaks" / "records.parquet").to_pylist()
    shares = dict(zip(DIGITS, (row["share"] for row in sorted(found, key=lambda row: row["record"])), strict=True))
    assert {name: round(share * 40) for name, share in shares.items()} == {
        "eleven": 11,
        "ten": 0,
        "four": 20,
        "five": 11,  # the run before the mismatches
        "tail": 12,  # without the mismatches at its end
    }
    assert outcome.funnel.kept.documents == 45 + 150  # measured, not removed
