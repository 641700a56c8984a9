"""Rows hold all of the text, in the shares that are asked for, whatever the objective; each option does something."""

import collections
import json
import pathlib
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tokenizers

from datapipe.mix.glm_samples import CONTROL, Objective, WriteGLMSamples
from datapipe.store.corpus import Corpus
from datapipe.text.dialogues import Message, message_columns
from tests.helpers import CorpusOf, prose


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(CONTROL.values()),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator([prose(seed) for seed in range(30)], trainer)
    model.save(str(path))
    return str(path)


def write(stage: WriteGLMSamples, parts: list[Any], folder: pathlib.Path) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    parts | stage.ready(folder=str(folder))
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def rebuilt(row: dict[str, Any], control: dict[int | None, str]) -> list[int]:
    """The text of a row, from its samples; blanks and what fills them come in the same order of positions."""
    text: list[int] = []
    for sub in row["sub_rows"]:
        spans: dict[int, list[int]] = {}
        for at in range(sub["context"], sub["end"]):
            own = spans.setdefault(row["position_ids"][at], [])
            if control.get(row["labels"][at]) != "end":
                own.append(row["labels"][at])
        for position, at in enumerate(range(sub["begin"], sub["context"])):
            token = row["input_ids"][at]
            text += spans[position] if control.get(token) in ("token", "sentence", "document") else [token]
    return text


@pytest.mark.parametrize(
    "objectives", [{"token": 1.0}, {"sentence": 1.0}, {"document": 1.0}, {"token": 0.3, "document": 0.7}]
)
def test_rows_are_the_text_in_another_form(
    objectives: dict[Objective, float], tokenizer: str, corpus_of: CorpusOf, tmp_path: pathlib.Path
) -> None:
    texts = [prose(seed) for seed in range(60)] + ["Short.", "", None]
    stage = WriteGLMSamples(tokenizer, objectives=objectives, positions="2d", length=512)
    rows = write(stage, corpus_of(texts), tmp_path / "out")
    loaded = tokenizers.Tokenizer.from_file(tokenizer)
    control = {loaded.token_to_id(name): role for role, name in CONTROL.items()}
    assert {row["objective"] for row in rows} == set(objectives)
    tokens = [token for row in rows for token in rebuilt(row, control)]
    said = loaded.decode(tokens, skip_special_tokens=False).split(CONTROL["end_of_text"])
    whole = {text for text in texts if text}
    assert sum(text in whole for text in said) >= 0.97 * len(whole)  # what is too short at the end is left out
    assert max(max(row["position_ids"]) for row in rows) < 512
    (entry,) = json.loads((tmp_path / "out" / "_manifest.json").read_text())["files"]
    assert len(tokens) == entry["tokens"]
    assert entry["tokens_left_out"] < 300
    named = {name for row in rows for name in row["ids"]}
    assert len(named) >= len(whole)


def test_shares_of_rows_hold_however_few_there_are(tokenizer: str, corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    stage = WriteGLMSamples(tokenizer, objectives={"token": 0.5, "sentence": 0.3, "document": 0.2}, length=256)
    rows = write(stage, corpus_of([prose(seed) for seed in range(150)], rows_per_part=50), tmp_path / "out")
    counts = collections.Counter(row["objective"] for row in rows)
    shares = {name: count / len(rows) for name, count in counts.items()}
    assert shares == pytest.approx({"token": 0.5, "sentence": 0.3, "document": 0.2}, abs=0.02)
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert (manifest["rows"], manifest["objectives"]) == (len(rows), dict(counts))


def test_positions_of_one_dimension_run_on(tokenizer: str, corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    stage = WriteGLMSamples(tokenizer, objectives={"token": 1.0}, length=512)
    row = write(stage, corpus_of([prose(0), prose(1), prose(2)]), tmp_path / "out")[0]
    assert "block_position_ids" not in row
    for sub in row["sub_rows"]:
        size = sub["end"] - sub["begin"]
        assert row["position_ids"][sub["begin"] : sub["end"]] == list(range(size))


def test_instructions_are_four_to_a_row_and_copies_come_again(
    tokenizer: str, corpus_of: CorpusOf, tmp_path: pathlib.Path
) -> None:
    dialogues = [[Message("user", f"Q{number}?"), Message("assistant", f"A{number}.")] for number in range(6)]
    dialogues.append([Message("user", "Long?"), Message("assistant", "word " * 500)])
    parts = corpus_of(
        ["x"] * 7, kind="instruction", messages=message_columns(dialogues), mixture_copies=[2, 1, 1, 1, 1, 0, 1]
    )
    rows = write(WriteGLMSamples(tokenizer, length=256), parts, tmp_path / "out")
    assert [len(row["sub_rows"]) for row in rows] == [4, 2]
    loaded = tokenizers.Tokenizer.from_file(tokenizer)
    found = collections.Counter(
        loaded.decode(row["input_ids"][sub["begin"] : sub["end"]], skip_special_tokens=False)
        for row in rows
        for sub in row["sub_rows"]
    )
    (entry,) = json.loads((tmp_path / "out" / "_manifest.json").read_text())["files"]
    assert (entry["dialogues"], entry["dialogues_left_out"]) == (6, 1)
    assert found == {f"Q{number}?[MASK]<sop>A{number}.": 2 if number == 0 else 1 for number in range(5)}


def test_options_that_cannot_be_are_refused(tokenizer: str, tmp_path: pathlib.Path) -> None:
    for options, message in (
        ({"objectives": {"token": 0.5}}, "objectives must be shares of one whole"),
        ({"sub_rows": 3}, "sub_rows must divide length"),
        ({"control_tokens": {"begin": "<b>"}}, "no control token is for 'begin'"),
    ):
        with pytest.raises(ValueError, match=message):
            WriteGLMSamples(tokenizer, **options)
    stage = WriteGLMSamples(tokenizer, control_tokens={"end": "<end>"})
    from datapipe.mix.chat_tokens import load_piece_encoder

    with pytest.raises(ValueError, match="the tokenizer has no special token '<end>'"):
        stage._tokens(load_piece_encoder(tokenizer))
    assert Corpus(str(tmp_path)).parts == ()


def test_there_is_room_for_the_blanks_of_nearly_every_text(tokenizer: str) -> None:
    stage = WriteGLMSamples(tokenizer)
    assert 420 < stage.text_length < 460
    assert np.isclose(stage.sub_length, 512)
