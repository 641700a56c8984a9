"""ChatGLM2: rounds counted from 1, loss on the last answer and its end; documents as blanks and ends."""

import pathlib

import pyarrow.parquet as pq
import pytest
import tokenizers

from datapipe.engine.run import Outcome
from tests.helpers import write_lines
from tests.recipes.toy import chinese, english, run_named, shards

ROUNDS = [("Where is the boat?", "At the quay."), ("And the net?", "In the town."), ("Thanks!", "You are welcome.")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Outcome]:
    base = tmp_path_factory.mktemp("chatglm2")
    for folder in ("documents", "instructions"):
        (base / folder).mkdir()
    texts = [*(english(seed, 16) for seed in range(60)), *(chinese(seed) for seed in range(60))]
    write_lines(base / "documents" / "a.jsonl", ({"text": text} for text in texts))
    write_lines(
        base / "instructions" / "i.jsonl",
        (
            {
                "messages": [
                    {"role": role, "content": text}
                    for pair in ROUNDS[:count]
                    for role, text in zip(("user", "assistant"), pair, strict=True)
                ]
            }
            for count in (2, 3)
        ),
    )
    return base, run_named("chatglm2", base, {"tokenizer.vocabulary": 900})


@pytest.mark.parametrize("rounds", [2, 3])
def test_rounds_are_written_and_learnt_as_in_its_code(rounds: int, run: tuple[pathlib.Path, Outcome]) -> None:
    base, _ = run
    tokenizer = tokenizers.Tokenizer.from_file(str(base / "out" / "tokenizer" / "tokenizer.json"))
    golden = "[gMASK]<sop>" + "\n\n".join(
        f"[Round {number}]\n\n问：{question}\n\n答：{answer}"
        for number, (question, answer) in enumerate(ROUNDS[:rounds], 1)
    )
    (row,) = [row for row in shards(base) if row["text"] == golden + "</s>"]
    assert tokenizer.decode(row["input_ids"], skip_special_tokens=False) == golden + "</s>"
    learnt = [label for label in row["labels"] if label >= 0]
    assert row["input_ids"][-len(learnt) :] == learnt
    assert tokenizer.decode(learnt, skip_special_tokens=False) == ROUNDS[rounds - 1][1] + "</s>"


def test_documents_are_samples_of_the_mixed_objective(run: tuple[pathlib.Path, Outcome]) -> None:
    objectives = pq.read_table(run[0] / "out" / "glm_samples", columns=["objective"]).column(0).to_pylist()
    assert set(objectives) == {"token", "document"}
