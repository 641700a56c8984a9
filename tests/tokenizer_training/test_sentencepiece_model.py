"""Model files have the bytes that SentencePiece's own description of them gives."""

import pathlib
from typing import Any

import pyarrow as pa
import pytest
import sentencepiece
from transformers.utils import sentencepiece_model_pb2_new as described

from tests.tokenizer_training.samples import CHINESE, CORPUS, sentencepiece_model, trained
from tokenizer_training.encode import encoder_of
from tokenizer_training.export import export_sentencepiece
from tokenizer_training.extend import learn_from
from tokenizer_training.formats import from_sentencepiece
from tokenizer_training.sentencepiece_model import (
    BPE,
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    new_model,
    parse_model,
    with_pieces,
)


def exported(tmp_path: pathlib.Path) -> bytes:
    export_sentencepiece(trained("byte_fallback"), str(tmp_path / "ours.model"))
    return (tmp_path / "ours.model").read_bytes()


def fields(message: Any) -> dict[str, Any]:
    """The value of each field that is declared here, defaults included."""
    names = [field.name for field in message.DESCRIPTOR.fields if field.message_type is None]
    return {name: getattr(message, name) for name in names}


def test_what_is_written_is_read_as_meant_and_written_again_alike(tmp_path: pathlib.Path) -> None:
    content = exported(tmp_path)
    model = described.ModelProto.FromString(content)
    assert model.SerializeToString() == content
    assert {piece.type for piece in model.pieces} == {NORMAL, CONTROL, BYTE, UNKNOWN}
    assert model.trainer_spec.model_type == model.trainer_spec.BPE == BPE
    assert model.trainer_spec.unk_id == len(model.pieces) - 1
    assert model.trainer_spec.bos_id == -1
    assert model.trainer_spec.byte_fallback
    assert not model.normalizer_spec.add_dummy_prefix
    assert not model.normalizer_spec.remove_extra_whitespaces


@pytest.mark.parametrize("prefix", [True, False])
def test_a_model_of_the_library_is_read_field_by_field(prefix: bool) -> None:
    content = sentencepiece_model(add_dummy_prefix=prefix)
    model, expected = parse_model(content), described.ModelProto.FromString(content)
    assert len(model.pieces) == len(expected.pieces) == 340
    for piece, other in zip(model.pieces, expected.pieces, strict=True):
        assert (piece.piece, piece.score, piece.type) == (other.piece, other.score, other.type)
    for spec in ("trainer_spec", "normalizer_spec"):
        read = fields(getattr(model, spec))
        assert read == {name: getattr(getattr(expected, spec), name) for name in read}


def test_defaults_are_those_described() -> None:
    ours, theirs = new_model(), described.ModelProto()
    for spec in ("trainer_spec", "normalizer_spec"):
        read = fields(getattr(ours, spec))
        assert read == {name: getattr(getattr(theirs, spec), name) for name in read}
    assert fields(ours.pieces.add()) == {"piece": "", "score": 0.0, "type": NORMAL}


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="no SentencePiece model"):
        parse_model(b"no model")


@pytest.mark.parametrize("prefix", [True, False])
def test_an_extended_model_gives_the_ids_of_the_extended_tokenizer(prefix: bool) -> None:
    content = sentencepiece_model(add_dummy_prefix=prefix)
    base = from_sentencepiece(content)
    extended = learn_from(base, [pa.array(CHINESE)], 30)
    new = sorted(extended["model"]["vocab"].items(), key=lambda item: item[1])[len(base["model"]["vocab"]) :]
    assert len(new) > 20
    grown = with_pieces(content, [name for name, _ in new])
    before, after = (sentencepiece.SentencePieceProcessor(model_proto=model) for model in (content, grown))
    assert after.vocab_size() == before.vocab_size() + len(new)
    assert (after.bos_id(), after.eos_id(), after.unk_id()) == (before.bos_id(), before.eos_id(), before.unk_id())
    encoder = encoder_of(extended)
    for text in [*CHINESE, *CORPUS, "龘龘 x 中文"]:
        assert after.encode(text) == encoder.encode_flat([text])[0].tolist()
    assert all(after.encode(text) == before.encode(text) for text in CORPUS if "中" not in text)
    assert sum(map(len, map(after.encode, CHINESE))) < sum(map(len, map(before.encode, CHINESE)))
