"""SentencePiece's model files without its library: the fields that this project reads and writes.

Names, numbers and defaults are those of `sentencepiece_model.proto` in SentencePiece 0.2; all other fields are passed
over. The library itself would be one more package to install, and it can read a model, but not make one of entries.
"""

import functools
from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # `type` of a piece
BPE = 2  # `model_type`

_Field = descriptor_pb2.FieldDescriptorProto
_STRING, _BYTES, _FLOAT = _Field.TYPE_STRING, _Field.TYPE_BYTES, _Field.TYPE_FLOAT
_INT, _BOOL = _Field.TYPE_INT32, _Field.TYPE_BOOL
# Of each message the fields, with number, type and default.
_MESSAGES = {
    "SentencePiece": {"piece": (1, _STRING, ""), "score": (2, _FLOAT, "0"), "type": (3, _INT, "1")},
    "TrainerSpec": {
        "model_type": (3, _INT, "1"),
        "vocab_size": (4, _INT, "8000"),
        "split_digits": (25, _BOOL, "false"),
        "allow_whitespace_only_pieces": (26, _BOOL, "false"),
        "byte_fallback": (35, _BOOL, "false"),
        "unk_id": (40, _INT, "0"),
        "bos_id": (41, _INT, "1"),
        "eos_id": (42, _INT, "2"),
        "pad_id": (43, _INT, "-1"),
    },
    "NormalizerSpec": {
        "name": (1, _STRING, ""),
        "precompiled_charsmap": (2, _BYTES, ""),
        "add_dummy_prefix": (3, _BOOL, "true"),
        "remove_extra_whitespaces": (4, _BOOL, "true"),
    },
}
_MODEL = {
    "pieces": (1, _Field.LABEL_REPEATED, "SentencePiece"),
    "trainer_spec": (2, _Field.LABEL_OPTIONAL, "TrainerSpec"),
    "normalizer_spec": (3, _Field.LABEL_OPTIONAL, "NormalizerSpec"),
}


@functools.cache
def _model_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="sentencepiece_model.proto", package="sentencepiece")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, field_type, default) in fields.items():
            message.field.add(
                name=field, number=number, type=field_type, label=_Field.LABEL_OPTIONAL, default_value=default or None
            )
    model = file.message_type.add(name="ModelProto")
    for field, (number, label, name) in _MODEL.items():
        model.field.add(
            name=field, number=number, type=_Field.TYPE_MESSAGE, label=label, type_name=f".sentencepiece.{name}"
        )
    # A pool of its own: the library, where it is loaded, has registered these names in the common one.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sentencepiece.ModelProto"))


def new_model() -> Any:
    """A `ModelProto` with all fields at their defaults."""
    return _model_class()()


def with_pieces(content: bytes, pieces: Sequence[str]) -> bytes:
    """A `.model` file with more normal pieces after its own, to be merged after all others in this order.

    All else stays as it is: control pieces and their ids, the normalizer, what this module has no name for.
    """
    model = parse_model(content)
    score = min((piece.score for piece in model.pieces if piece.type == NORMAL), default=0.0)
    for number, piece in enumerate(pieces, 1):
        model.pieces.add(piece=piece, score=score - number, type=NORMAL)
    model.trainer_spec.vocab_size = len(model.pieces)
    return model.SerializeToString()


def parse_model(content: bytes) -> Any:
    """The `ModelProto` of a `.model` file.

    Raises:
        ValueError: if the content is none.
    """
    try:
        return _model_class().FromString(content)
    except DecodeError as error:
        raise ValueError(f"no SentencePiece model: {error}") from error
