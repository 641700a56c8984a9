"""The tokens of dialogues: what transformers makes of the same form, but that text is never a control token."""

import json
import pathlib

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datapipe.mix.chat_tokens import NO_LOSS, EncodeDialogues, EncodedRows, encode_pieces, load_piece_encoder
from datapipe.text.chat_forms import FORMS, cut_pieces, render, turns_of
from datapipe.text.chat_names import FormName
from datapipe.text.dialogues import Dialogue, Message
from tests.tokenizer_training.samples import BASES, with_special_tokens
from tokenizer_training.algorithms import TokenizerJson

CONTENTS = st.lists(
    st.sampled_from(["the cat", "中文", " ", "\n", "\t", "👩‍👩‍👧", "：", "é", "1", "<|im_end|>", "</s>", "[MASK]"]),
    min_size=1,
    max_size=5,
).map("".join)


def written(tokenizer: TokenizerJson, form: FormName, folder: pathlib.Path) -> str:
    """The path of a tokenizer file with the special tokens of a form."""
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(with_special_tokens(tokenizer, FORMS[form].control_tokens)), encoding="utf-8")
    return str(path)


def encoded(dialogues: list[Dialogue], form: FormName, path: str) -> EncodedRows:
    rows = [turns_of(dialogue, FORMS[form], "") for dialogue in dialogues]
    texts, pieces = render(cut_pieces(rows, FORMS[form], FORMS[form].losses[0]))
    return encode_pieces(texts, pieces, load_piece_encoder(path))


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CONTENTS, CONTENTS), min_size=1, max_size=3))
def test_every_run_is_encoded_apart_and_its_loss_goes_by_bytes(
    name: str, form: FormName, tmp_path: pathlib.Path, pairs: list[tuple[str, str]]
) -> None:
    """Against the obvious way: run by run, with the offsets that the tokenizer itself gives."""
    path = written(BASES[name](), form, tmp_path)
    tokenizer = load_piece_encoder(path)
    messages = [Message(role, said) for pair in pairs for role, said in zip(("user", "assistant"), pair, strict=True)]
    pieces = cut_pieces([turns_of(Dialogue(messages), FORMS[form], "")], FORMS[form], FORMS[form].losses[0])
    ids: list[int] = []
    labels: list[int] = []
    run: list[tuple[str, bool]] = []

    def end_run() -> None:
        text = "".join(said for said, _ in run)
        learnt = [loss for said, loss in run for _ in said]
        encoding = tokenizer.encoder.tokenizer.encode(text, add_special_tokens=False)
        for number, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True):
            ids.append(number)
            labels.append(number if any(learnt[start : max(stop, start + 1)]) else NO_LOSS)
        run.clear()

    for text, control, loss, label in zip(pieces.texts, pieces.control, pieces.loss, pieces.labels, strict=True):
        if control:
            end_run()
            ids.append(tokenizer.control[text])
            labels.append(tokenizer.control[label or text] if loss else NO_LOSS)
        else:
            run.append((text, loss))
    end_run()
    found = encoded([Dialogue(messages)], form, path)
    assert found.ids.tolist() == ids
    assert found.labels.tolist() == labels
    special = set(tokenizer.control.values())
    assert sum(number in special for number in ids) == sum(pieces.control)


def test_the_stage_writes_lists(tmp_path: pathlib.Path) -> None:
    path = written(BASES["byte_level"](), "skywork", tmp_path)
    form = FORMS["skywork"]
    dialogue = Dialogue([Message("user", "the </s>"), Message("assistant", "cat [SEP]")])
    texts, pieces = render(cut_pieces([turns_of(dialogue, form, ""), []], form, "answers"))
    stage = EncodeDialogues(path)
    (batch,) = [pa.record_batch({"text": texts, "pieces": pieces})] | stage
    first, second = zip(batch.column("input_ids").to_pylist(), batch.column("labels").to_pylist(), strict=True)
    assert second == ([], [])
    decode = load_piece_encoder(path).encoder.decode
    assert decode(first[0]) == "</s><s>[USER]the </s>[SEP][BOT]cat [SEP]</s>"
    assert decode([label for label in first[1] if label != NO_LOSS]) == "cat [SEP]</s>"
    assert pa.record_batch({"a": batch.column("input_ids")}).num_rows == 2


def test_a_tokenizer_without_the_control_tokens_is_refused(tmp_path: pathlib.Path) -> None:
    path = written(BASES["byte_level"](), "chatml", tmp_path)
    with pytest.raises(ValueError, match=r"no special token '\[gMASK\]', which the chat form writes"):
        encoded([Dialogue([Message("user", "a"), Message("assistant", "b")])], "chatglm3", path)
