"""Tokenizers for other programs: a transformers folder, tiktoken ranks, a SentencePiece model, a GGUF file.

What the other program cannot express is refused; what it does otherwise is said in the function's docstring.
"""

import base64
import pathlib
from collections.abc import Mapping

from tokenizers.processors import TemplateProcessing

from datapipe.extras import load_extra
from datapipe.store import files
from datapipe.text.chat_forms import FORMS
from tokenizer_training import sentencepiece_model
from tokenizer_training.algorithms import (
    CHATML,
    QWEN_PATTERN,
    SENTENCEPIECE_SPACE,
    TokenizerJson,
    byte_token,
    is_piece,
    load,
)
from tokenizer_training.chat_template import chat_template as chat_template_of
from tokenizer_training.extend import pattern_of
from tokenizer_training.formats import DUMMY_PREFIX, MARKED_SPACES, is_byte_level, token_bytes
from tokenizer_training.roles import CONFIGURATION, configuration_of, roles_of

END_OF_TURN = CHATML[2]
# Qwen's chat form; loss is for answers alone, and a dialogue without a system message gets none.
CHATML_TEMPLATE = chat_template_of(FORMS["chatml"], "answers", "")


def export_transformers(
    tokenizer: TokenizerJson,
    folder: str,
    chat_template: str = CHATML_TEMPLATE,
    roles: Mapping[str, str] | None = None,
) -> None:
    """Write a folder that `AutoTokenizer.from_pretrained` loads: the same ids, and a chat template.

    Args:
        tokenizer: any tokenizer.
        folder: where to write.
        chat_template: a Jinja template, such as `chat_template.chat_template` makes; the default needs the special
            tokens of ChatML.
        roles: of special tokens, as far as they are not called as usual; see `roles_of`.

    Raises:
        ValueError: if the template is ChatML's and its special tokens are missing.
    """
    special = _special_tokens(tokenizer)
    if chat_template == CHATML_TEMPLATE and not set(CHATML) <= special.keys():
        raise ValueError(f"chat_template: ChatML needs the special tokens {', '.join(CHATML)}: give another template")
    # All three files are, byte by byte, what transformers 5 itself writes.
    backend = load(tokenizer)
    # Only a chat template puts tokens around a text.
    backend.post_processor = TemplateProcessing(single="$A:0", pair="$A:0 $B:1", special_tokens=[])
    files.make_folder(folder)
    files.write_json(files.join(folder, CONFIGURATION), configuration_of(roles_of(tokenizer, roles or {})))
    for name, content in (
        ("tokenizer.json", backend.to_str(pretty=True)),
        ("chat_template.jinja", chat_template),
    ):
        with files.whole_file(files.join(folder, name)) as sink:
            sink.write(content.encode())


def _special_tokens(tokenizer: TokenizerJson) -> dict[str, int]:
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"]}


def export_ranks(tokenizer: TokenizerJson, path: str) -> None:
    """Write a `.tiktoken` file of ranks, and beside it the pattern and special tokens as JSON.

    tiktoken merges any two neighbours that spell an entry, a `tokenizer.json` only the pairs it lists: a text in which
    a learnt token stands split in another way than it was learnt is encoded otherwise.

    Raises:
        ValueError: if the tokenizer is not byte level, or does not split by a pattern.
    """
    pattern = pattern_of(tokenizer)
    if not is_byte_level(tokenizer) or pattern is None:
        raise ValueError("tiktoken needs a byte-level tokenizer that splits by a regular expression")
    ranks = sorted(token_bytes(tokenizer).items())
    lines = [b"%s %d\n" % (base64.b64encode(token), number) for number, token in ranks]
    with files.whole_file(path) as sink:
        sink.write(b"".join(lines))
    files.write_json(
        str(pathlib.PurePath(path).with_suffix(".json")),
        {"pat_str": pattern, "special_tokens": _special_tokens(tokenizer)},
    )


def export_sentencepiece(tokenizer: TokenizerJson, path: str, roles: Mapping[str, str] | None = None) -> None:
    """Write a SentencePiece BPE `.model`: the same ids.

    SentencePiece reads U+2581 in a text as a space. And it merges any two neighbours that spell an entry, a
    `tokenizer.json` only the pairs it lists: a text in which a learnt token stands split in another way than it was
    learnt is encoded otherwise. An `<unk>`, which SentencePiece demands, follows as the last id where there is none; no
    text is encoded to it.

    Raises:
        ValueError: if the tokenizer has no byte fallback.
    """
    prefix = _dummy_prefix(tokenizer)
    model = sentencepiece_model.new_model()
    pieces = _pieces(tokenizer)
    for name, piece_type, score in pieces:
        model.pieces.add(piece=name, type=piece_type, score=score)
    unknown = [number for number, (_, kind, _) in enumerate(pieces) if kind == sentencepiece_model.UNKNOWN]
    if not unknown:
        model.pieces.add(piece="<unk>", type=sentencepiece_model.UNKNOWN)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type = sentencepiece_model.BPE
    trainer.vocab_size = len(model.pieces)
    trainer.unk_id = unknown[0] if unknown else len(pieces)
    special, named = _special_tokens(tokenizer), roles_of(tokenizer, roles or {})
    for role in ("bos", "eos", "pad"):
        setattr(trainer, f"{role}_id", special[named[role]] if role in named else -1)
    trainer.byte_fallback = trainer.split_digits = trainer.allow_whitespace_only_pieces = True
    normalizer.name = "identity"
    normalizer.add_dummy_prefix, normalizer.remove_extra_whitespaces = prefix, False
    with files.whole_file(path) as sink:
        sink.write(model.SerializeToString())


def _dummy_prefix(tokenizer: TokenizerJson) -> bool:
    """Whether SentencePiece must put a space before each text to give the same ids.

    Raises:
        ValueError: if it could not give them at all.
    """
    if is_byte_level(tokenizer) or not tokenizer["model"]["byte_fallback"]:
        raise ValueError("SentencePiece needs a tokenizer with byte fallback")
    if tokenizer["normalizer"]:
        # Of a SentencePiece model, as `from_sentencepiece` gives it.
        steps = tokenizer["normalizer"].get("normalizers", [tokenizer["normalizer"]])
        *others, last = steps
        if last != MARKED_SPACES or others not in ([], [DUMMY_PREFIX]):
            raise ValueError("SentencePiece needs a tokenizer whose normalizer does no more than SentencePiece's own")
        return bool(others)
    if not all(is_piece(token) for token in token_bytes(tokenizer).values()):
        raise ValueError("SentencePiece needs a tokenizer trained with 'sentencepiece': a token has spaces within")
    if any(SENTENCEPIECE_SPACE in token for token in tokenizer["model"]["vocab"]):
        raise ValueError(f"SentencePiece needs a tokenizer without {SENTENCEPIECE_SPACE} (U+2581) in its tokens")
    return False


def _pieces(tokenizer: TokenizerJson) -> list[tuple[str, int, float]]:
    """Name, type and score of each id: of two pieces that could be merged the one of the lower rank scores more."""
    names = _names(tokenizer)
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(tokenizer["model"]["merges"]):
        ranks.setdefault(left + right, rank)
    types = {byte_token(byte): sentencepiece_model.BYTE for byte in range(256)}
    for token in tokenizer["added_tokens"]:
        types[token["content"]] = sentencepiece_model.CONTROL if token["special"] else sentencepiece_model.USER_DEFINED
    types[tokenizer["model"]["unk_token"]] = sentencepiece_model.UNKNOWN
    return [
        (
            name.replace(" ", SENTENCEPIECE_SPACE),
            types.get(name, sentencepiece_model.NORMAL),
            -float(ranks.get(name, len(ranks))),
        )
        for name in names
    ]


def _names(tokenizer: TokenizerJson) -> list[str]:
    """The entry of each id; ids that are not in use get a name of their own."""
    ids = {number: name for name, number in (tokenizer["model"]["vocab"] | _special_tokens(tokenizer)).items()}
    return [ids.get(number, f"<|unused_{number}|>") for number in range(max(ids) + 1)]


def export_gguf(
    tokenizer: TokenizerJson,
    path: str,
    chat_template: str = CHATML_TEMPLATE,
    roles: Mapping[str, str] | None = None,
) -> None:
    """Write a GGUF file of the vocabulary alone, as llama.cpp's converter does: the same ids.

    Byte-level tokenizers go in as "gpt2" with Qwen's pattern, the others as "llama", that is SentencePiece: see
    `export_sentencepiece` for what that reads otherwise.

    Raises:
        ValueError: if a byte-level tokenizer has another pattern than Qwen's, whose name GGUF needs to know; or if the
            package gguf is not installed.
    """
    gguf = load_extra("gguf", "export", "the export to GGUF")
    byte_level, special = is_byte_level(tokenizer), _special_tokens(tokenizer)
    if byte_level and pattern_of(tokenizer) != QWEN_PATTERN:
        raise ValueError("GGUF knows a byte-level tokenizer by the name of its pattern, and that is not Qwen's")
    prefix = not byte_level and _dummy_prefix(tokenizer)
    writer = gguf.GGUFWriter(path, "qwen2" if byte_level else "llama")
    if byte_level:
        names, vocabulary = _names(tokenizer), tokenizer["model"]["vocab"]
        types = dict.fromkeys(vocabulary, gguf.TokenType.NORMAL) | dict.fromkeys(special, gguf.TokenType.CONTROL)
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(names)
        writer.add_token_types([types.get(name, gguf.TokenType.UNUSED) for name in names])
        writer.add_token_merges([f"{left} {right}" for left, right in tokenizer["model"]["merges"]])
    else:
        pieces = _pieces(tokenizer)
        writer.add_tokenizer_model("llama")
        writer.add_token_list([name for name, _, _ in pieces])
        writer.add_token_scores([score for _, _, score in pieces])
        writer.add_token_types([piece_type for _, piece_type, _ in pieces])
        writer.add_add_space_prefix(prefix)
    for role, token in roles_of(tokenizer, roles or {}).items():
        getattr(writer, f"add_{role}_token_id")(special[token])
    if END_OF_TURN in special:
        writer.add_eot_token_id(special[END_OF_TURN])
    writer.add_add_bos_token(False)
    writer.add_chat_template(chat_template)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
