"""Tokenizers of others as `tokenizer.json`: tiktoken ranks and SentencePiece models.

All else in this package works on that, so that a base to extend or a rival to compare with may come from anywhere. Both
formats merge any two neighbours that spell an entry, the best entry first: so each entry gets a merge for every way to
split it in two.
"""

import base64
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from datapipe.extras import load_extra
from datapipe.store import files
from tokenizer_training import sentencepiece_model
from tokenizer_training.algorithms import (
    BYTE_LEVEL,
    CL100K_PATTERN,
    QWEN_PATTERN,
    SENTENCEPIECE_SPACE,
    TokenizerJson,
    added_token,
    bpe,
    byte_characters,
    split_by,
    tokenizer_json,
)

# The steps of a normalizer that does what SentencePiece does with the identity normalizer.
DUMMY_PREFIX = {"type": "Prepend", "prepend": SENTENCEPIECE_SPACE}
MARKED_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": SENTENCEPIECE_SPACE}
_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K_PATTERN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Ranks files say nothing of patterns and special tokens; these are published with the files of these names.
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# Of tiktoken's encodings the patterns in Oniguruma's syntax, in which its own mean something else.
ENCODINGS = {
    "o200k_base": O200K_PATTERN,
    "o200k_harmony": O200K_PATTERN,
    "cl100k_base": CL100K_PATTERN,
    "p50k_base": GPT2_PATTERN,
    "p50k_edit": GPT2_PATTERN,
    "r50k_base": GPT2_PATTERN,
    "gpt2": GPT2_PATTERN,
}
PATTERNS = ENCODINGS | {"qwen": QWEN_PATTERN}
_QWEN_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{i}|>" for i in range(205)))
SPECIAL_TOKENS = {
    "cl100k_base": {
        "<|endoftext|>": 100257,
        "<|fim_prefix|>": 100258,
        "<|fim_middle|>": 100259,
        "<|fim_suffix|>": 100260,
        "<|endofprompt|>": 100276,
    },
    "o200k_base": {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    "qwen": {token: 151643 + i for i, token in enumerate(_QWEN_SPECIAL)},
}


def read_tokenizer(path: str, pattern: str | None = None, *, unigram: bool = False) -> TokenizerJson:
    """The `tokenizer.json` of a tokenizer file.

    Args:
        path: a `tokenizer.json`, a folder with one, the output folder of a run, a `.tiktoken` file of ranks, a
            SentencePiece `.model` (BPE), or the name of one of tiktoken's `ENCODINGS`.
        pattern: the regular expression of a `.tiktoken` file whose name is not in `PATTERNS`.
        unigram: whether a `tokenizer.json` of a Unigram model is read, too.

    Raises:
        ValueError: naming the path, if the file is none of these, or damaged, or no BPE, or needs a pattern.
    """
    name = pathlib.PurePath(path)
    if name.suffix not in (".json", ".tiktoken", ".model"):
        folder, path = path, files.join(path, "tokenizer.json")
        if not files.exists(path):
            path = files.join(folder, "tokenizer", "tokenizer.json")
        if not files.exists(path) and folder in ENCODINGS:
            return from_encoding(folder)
        if not files.exists(path):
            raise ValueError(
                f"{name}: neither tokenizer.json nor .tiktoken nor .model, nor a folder with a tokenizer.json"
            )
    if name.suffix == ".tiktoken":
        pattern = pattern or PATTERNS.get(name.stem)
        if pattern is None:
            raise ValueError(f"{path}: a file of ranks does not say its pattern: give one")
    with files.open_input(path) as source:
        content = bytes(source.read())
    try:
        if name.suffix == ".tiktoken":
            return from_ranks(read_ranks(content), pattern or "", SPECIAL_TOKENS.get(name.stem, {}))
        if name.suffix == ".model":
            return from_sentencepiece(content)
        return from_json(content, unigram=unigram)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def from_encoding(name: str) -> TokenizerJson:
    """The `tokenizer.json` of one of tiktoken's encodings, which it fetches from the network or its cache.

    Raises:
        ValueError: if it cannot be fetched, or the package tiktoken is not installed.
    """
    tiktoken = load_extra("tiktoken", "tiktoken", f"the encoding {name}")
    try:
        encoding = tiktoken.get_encoding(name)
    except OSError as error:
        raise ValueError(f"{name}: tiktoken cannot fetch this encoding: {error}") from error
    return from_ranks(encoding._mergeable_ranks, ENCODINGS[name], encoding._special_tokens)


def from_json(content: bytes, *, unigram: bool = False) -> TokenizerJson:
    """A `tokenizer.json` as this package writes it: merges as pairs, all parts named.

    Before tokenizers 0.20 a merge was a string, two entries with a space between.

    Raises:
        ValueError: if it is no JSON of a tokenizer, or of another model than BPE, or a merge is not of entries.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict):
        raise ValueError("no tokenizer: it has no 'model'")
    kind = model.get("type", "BPE" if "merges" in model else "a model without a type")
    if kind == "Unigram" and unigram:
        return {**tokenizer_json({}, [], None, {}), **document}
    if kind != "BPE":
        raise ValueError(f"only BPE tokenizers can be read, this is {kind}")
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocabulary, dict) or not isinstance(merges, list):
        raise ValueError("a BPE model has a 'vocab' of entries with ids and a list 'merges'")
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    continuing = model.get("continuing_subword_prefix") or ""
    for number, pair in enumerate(pairs):
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(part, str) for part in pair)
            and {*pair, pair[0] + pair[1].removeprefix(continuing)} <= vocabulary.keys()
        ):
            raise ValueError(f"merge {number} is not of two entries that make a third: {merges[number]!r}")
    return {
        **tokenizer_json(bpe(vocabulary, []), [], None, {}),
        "decoder": None,
        **document,
        "model": {**bpe({}, []), **model, "type": kind, "vocab": vocabulary, "merges": pairs},
    }


def read_ranks(content: bytes) -> dict[bytes, int]:
    """The tokens and ids of a `.tiktoken` file: a line each, the token in base 64, then its rank.

    Ids may have gaps.

    Raises:
        ValueError: naming the line that is not so, or repeats a token or rank.

    >>> read_ranks(b"dGhl 7\\n5Lit 8\\n") == {b"the": 7, "中".encode(): 8}
    True
    """
    ranks: dict[bytes, int] = {}
    taken: dict[int, int] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        encoded, _, rank = line.strip().partition(b" ")
        try:
            token = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise ValueError(f"line {number}: {encoded.decode(errors='replace')!r} is no base 64: {error}") from error
        if not token or not rank.isdigit():
            raise ValueError(f"line {number}: not a token in base 64 and a rank: {line.decode(errors='replace')!r}")
        if token in ranks:
            raise ValueError(f"line {number}: the token {token!r} has the rank {ranks[token]} already")
        if int(rank) in taken:
            raise ValueError(f"line {number}: the rank {int(rank)} stands in line {taken[int(rank)]} already")
        ranks[token] = int(rank)
        taken[int(rank)] = number
    return ranks


def all_merges(ids: Mapping[str, int], tokens: Iterable[str]) -> list[list[str]]:
    """For each token in order, the ways to split it into two entries, by their ids.

    >>> ids = {"a": 0, "b": 1, "ab": 2, "ba": 3, "aba": 4}
    >>> all_merges(ids, ids)
    [['a', 'b'], ['b', 'a'], ['a', 'ba'], ['ab', 'a']]
    """
    merges = []
    for token in tokens:
        lefts = (token[:cut] for cut in range(1, len(token)) if token[:cut] in ids)
        known = [(left, right) for left in lefts if (right := token[len(left) :]) in ids]
        merges += [[*split] for split in sorted(known, key=lambda split: (ids[split[0]], ids[split[1]]))]
    return merges


def from_ranks(ranks: Mapping[bytes, int], pattern: str, special_tokens: Mapping[str, int]) -> TokenizerJson:
    """The `tokenizer.json` of tiktoken ranks: the same ids for the same text.

    Args:
        ranks: each token's id, which is also its rank.
        pattern: the regular expression that finds pre-tokens.
        special_tokens: with their ids.

    Raises:
        ValueError: if a byte has no rank, so that some text could not be encoded.
    """
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise ValueError(f"the byte 0x{missing[0]:02x} has no rank, and {len(missing) - 1} more have none")
    characters = byte_characters()
    ordered = sorted(ranks.items(), key=lambda item: item[1])
    vocabulary = {"".join(characters[byte] for byte in token): rank for token, rank in ordered}
    # tiktoken looks a whole pre-token up before it merges.
    model = bpe(vocabulary, all_merges(vocabulary, vocabulary), ignore_merges=True)
    added = [added_token(token, number) for token, number in special_tokens.items()]
    pre_tokenizer = {"type": "Sequence", "pretokenizers": [split_by(pattern), BYTE_LEVEL]}
    return tokenizer_json(model, added, pre_tokenizer, BYTE_LEVEL)


def from_sentencepiece(content: bytes) -> TokenizerJson:
    """The `tokenizer.json` of a SentencePiece BPE model with the identity normalizer: the same ids for the same text.

    Raises:
        ValueError: if it is no model, or no BPE, or changes the text before it encodes.
    """
    model = sentencepiece_model.parse_model(content)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    if trainer.model_type != sentencepiece_model.BPE:
        raise ValueError("a SentencePiece model must be of the type BPE")
    if normalizer.precompiled_charsmap or normalizer.remove_extra_whitespaces:
        raise ValueError("a SentencePiece model must not normalize: its precompiled charsmap must be empty")
    vocabulary = {piece.piece: number for number, piece in enumerate(model.pieces)}
    normal = [(piece.piece, piece.score) for piece in model.pieces if piece.type == sentencepiece_model.NORMAL]
    normal.sort(key=lambda item: -item[1])
    merges = all_merges({piece: vocabulary[piece] for piece, _ in normal}, [piece for piece, _ in normal])
    unknown = next((piece.piece for piece in model.pieces if piece.type == sentencepiece_model.UNKNOWN), None)
    user_defined = sentencepiece_model.USER_DEFINED
    added = [
        added_token(piece.piece, number, special=piece.type != user_defined)
        for number, piece in enumerate(model.pieces)
        if piece.type in (sentencepiece_model.CONTROL, sentencepiece_model.UNKNOWN, user_defined)
    ]
    prefix = [DUMMY_PREFIX] if normalizer.add_dummy_prefix else []
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SENTENCEPIECE_SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if prefix:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return tokenizer_json(
        bpe(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=trainer.byte_fallback),
        added,
        None,
        {"type": "Sequence", "decoders": decoders},
        {"type": "Sequence", "normalizers": [*prefix, MARKED_SPACES]},
    )


def token_bytes(tokenizer: TokenizerJson) -> dict[int, bytes]:
    """The bytes that each entry of the model stands for; added tokens, which stand for no text, are left out.

    A `<0xNN>` of a model with byte fallback is that byte, and "▁" of a SentencePiece model is a space.
    """
    model = tokenizer["model"]
    added = {token["id"] for token in tokenizer["added_tokens"]}
    entries = ((token, number) for token, number in model["vocab"].items() if number not in added)
    if is_byte_level(tokenizer):
        values = {character: byte for byte, character in enumerate(byte_characters())}
        return {number: bytes(values[character] for character in token) for token, number in entries}
    space = SENTENCEPIECE_SPACE if SENTENCEPIECE_SPACE in json.dumps(tokenizer["decoder"], ensure_ascii=False) else " "
    spelt = {}
    for token, number in entries:
        if model["byte_fallback"] and len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            spelt[number] = bytes([int(token[3:5], 16)])
        else:
            spelt[number] = token.replace(space, " ").encode()
    return spelt


def is_byte_level(tokenizer: TokenizerJson) -> bool:
    """Whether the entries are spelt in the characters that stand for bytes."""
    return '"ByteLevel"' in json.dumps([tokenizer["pre_tokenizer"], tokenizer["decoder"]])
