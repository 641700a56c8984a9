"""ChatGLM3: roles that no text spells, and the loss mask of its fine-tuning code, shifted by one."""

import pathlib

import pytest
import tokenizers

from datapipe.engine.run import Outcome
from tests.helpers import write_lines
from tests.recipes.toy import english, run_named, shards

MESSAGES = [
    ("system", "Be brief."),
    ("user", "What does <|user|> mean?"),
    ("assistant", "It is text."),
    ("user", "And now?"),
    ("assistant", "Still text."),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Outcome]:
    base = tmp_path_factory.mktemp("chatglm3")
    for folder in ("documents", "instructions"):
        (base / folder).mkdir()
    write_lines(base / "documents" / "a.jsonl", ({"text": english(seed)} for seed in range(40)))
    record = {"messages": [{"role": role, "content": text} for role, text in MESSAGES]}
    write_lines(base / "instructions" / "i.jsonl", [record])
    return base, run_named("chatglm3", base, {"tokenizer.vocabulary": 700})


def test_text_spells_no_role_and_the_mask_is_the_shifted_rule(run: tuple[pathlib.Path, Outcome]) -> None:
    base, _ = run
    tokenizer = tokenizers.Tokenizer.from_file(str(base / "out" / "tokenizer" / "tokenizer.json"))
    tokenizer.encode_special_tokens = True  # text stays text
    ids = {token: tokenizer.token_to_id(token) for token in ("[gMASK]", "<sop>", "</s>")}
    roles = {role: tokenizer.token_to_id(f"<|{role}|>") for role in ("system", "user", "assistant")}
    (row,) = [row for row in shards(base) if row["source"] == "instructions"]

    expected, loss = [ids["[gMASK]"], ids["<sop>"]], [False, False]
    for role, content in MESSAGES:
        new = [roles[role], *tokenizer.encode("\n").ids, *tokenizer.encode(content).ids]
        expected += new
        loss += [role not in ("system", "user")] * len(new)
    expected.append(ids["</s>"])
    loss.append(False)
    loss = [False, *loss[:-1]]  # the role token bears none, the token after the message does
    assert row["input_ids"].count(roles["user"]) == 2  # once a message, not for what it says
    said = tokenizer.decode(row["input_ids"], skip_special_tokens=False)
    assert "What does <|user|> mean?" in said
    assert len(row["input_ids"]) == len(expected)
    assert row["input_ids"] == expected
    assert row["labels"] == [token if learnt else -100 for token, learnt in zip(expected, loss, strict=True)]
