"""Smaller vocabularies, as chatglm-6b-slim: drop entries and close up the ids; `weights.py` cuts the embeddings.

An entry that another kept entry is merged from must stay, or the tokenizer will not load and text will be encoded
otherwise. So what is kept is closed over the merges that make each entry out of its symbols. They are the same wherever
the entry stands in a text, since no merge across its ends can have come first; so text that used none of the dropped
entries keeps its tokens.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.store import files
from tokenizer_training.algorithms import SENTENCEPIECE_SPACE, TokenizerJson, byte_characters, byte_token
from tokenizer_training.encode import Encoder
from tokenizer_training.formats import is_byte_level

ID_MAP = pa.schema([("old", pa.int32()), ("new", pa.int32())])


def unused_ids(tokenizer: TokenizerJson, encoder: Encoder, texts: Iterable[pa.Array]) -> list[int]:
    """The entries that no text is encoded to, added tokens excepted, in order."""
    used = np.zeros(_size(tokenizer), bool)
    for array in texts:
        ids, _ = encoder.encode_flat(array.fill_null("").to_pylist())
        used[ids] = True
    used[[token["id"] for token in tokenizer["added_tokens"]]] = True
    return [number for number in sorted(tokenizer["model"]["vocab"].values()) if not used[number]]


def _size(tokenizer: TokenizerJson) -> int:
    ids = [*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])]
    return max(ids) + 1


def prune(tokenizer: TokenizerJson, drop: Iterable[int]) -> tuple[TokenizerJson, npt.NDArray[np.int32]]:
    """The tokenizer without some entries; those left keep their order, with ids from 0 on.

    Kept all the same are the entries that a kept one is made of on the way, the unknown token, and what all text can be
    spelt in: the bytes, or without them the single characters.

    Args:
        tokenizer: the tokenizer.
        drop: ids.

    Returns:
        The new tokenizer, and the old id of each new one, shape (entries kept,).
    """
    model = tokenizer["model"]
    if model["type"] == "Unigram":
        return _prune_unigram(tokenizer, set(drop))
    vocabulary: dict[str, int] = model["vocab"]
    added = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    dropped = set(drop)
    symbols = {*byte_characters()} if is_byte_level(tokenizer) else {name for name in vocabulary if len(name) == 1}
    if model["byte_fallback"]:
        # SentencePiece's space is no character that could be spelt in bytes instead.
        symbols = {SENTENCEPIECE_SPACE, *(byte_token(byte) for byte in range(256))}
    kept = {name for name, number in vocabulary.items() if number not in dropped or name in symbols}
    kept |= {model["unk_token"]} & vocabulary.keys()
    if len(kept) < len(vocabulary):
        ranks = {(left, right): rank for rank, (left, right) in enumerate(model["merges"])}
        for name in sorted(kept - added.keys()):
            kept |= ancestors(name, ranks) & vocabulary.keys()
    names = {name: vocabulary[name] for name in kept}
    names |= {name: number for name, number in added.items() if number not in dropped}
    old = np.array(sorted(set(names.values())), np.int32)
    new = {int(number): position for position, number in enumerate(old)}
    return {
        **_with_new_ids(tokenizer, new),
        "model": {
            **model,
            "vocab": {name: new[number] for name, number in vocabulary.items() if number in new and name in names},
            "merges": [pair for pair in model["merges"] if {*pair, pair[0] + pair[1]} <= kept],
        },
    }, old


def _with_new_ids(tokenizer: TokenizerJson, new: dict[int, int]) -> TokenizerJson:
    """The tokenizer with new ids outside its model; an added token that has none is dropped."""
    added = [{**token, "id": new[token["id"]]} for token in tokenizer["added_tokens"] if token["id"] in new]
    return {**tokenizer, "added_tokens": added, "post_processor": _renumber(tokenizer["post_processor"], new)}


def _prune_unigram(tokenizer: TokenizerJson, drop: set[int]) -> tuple[TokenizerJson, npt.NDArray[np.int32]]:
    """`prune` for a model that no merges make: a piece needs no other, so that only what spells all text must stay."""
    model = tokenizer["model"]
    pieces: list[list[Any]] = model["vocab"]
    spells = {byte_token(byte) for byte in range(256)} if model.get("byte_fallback") else set()
    added = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}

    def stays(number: int, piece: str) -> bool:
        symbol = piece in spells or (not spells and len(piece) == 1) or number == model["unk_id"]
        return number not in drop or (symbol and piece not in added)

    kept = {number for number, (piece, _) in enumerate(pieces) if stays(number, piece)}
    old = np.array(sorted(kept | (set(added.values()) - drop)), np.int32)
    new = {int(number): position for position, number in enumerate(old)}
    return {
        **_with_new_ids(tokenizer, new),
        "model": {
            **model,
            "vocab": [pieces[number] for number in sorted(kept)],
            "unk_id": None if model["unk_id"] is None else new[model["unk_id"]],
        },
    }, old


def ancestors(name: str, ranks: Mapping[tuple[str, str], int]) -> set[str]:
    """The symbols of an entry, and the entries merged on the way to it; none if merges do not lead to it.

    >>> ranks = {("b", "c"): 0, ("a", "b"): 1, ("a", "bc"): 2}
    >>> sorted(ancestors("abc", ranks)), sorted(ancestors("abd", ranks))
    (['a', 'abc', 'b', 'bc', 'c'], [])
    """
    parts = list(name)
    made = set(parts)
    while len(parts) > 1:
        pairs = list(itertools.pairwise(parts))
        rank, at = min((ranks.get(pair, len(ranks)), at) for at, pair in enumerate(pairs))
        if rank == len(ranks):
            return set()
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        made.add(parts[at])
    return made


def _renumber(processor: Any, new: dict[int, int]) -> Any:
    """A post-processor with new ids, wherever it names one.

    Raises:
        ValueError: if it inserts an entry that was dropped.
    """
    if isinstance(processor, list):
        return [_renumber(item, new) for item in processor]
    if not isinstance(processor, dict):
        return processor
    changed = {}
    for key, value in processor.items():
        try:
            if key == "ids":
                changed[key] = [new[number] for number in value]
            elif key in ("sep", "cls"):
                changed[key] = [value[0], new[value[1]]]
            else:
                changed[key] = _renumber(value, new)
        except KeyError as error:
            raise ValueError(f"the post-processor inserts the entry {error}, which is to be dropped") from None
    return changed


def write_id_map(path: str, old: npt.NDArray[np.int32]) -> None:
    """Write which old id each new one had, as Parquet."""
    files.write_table(path, pa.table([old, np.arange(len(old), dtype=np.int32)], schema=ID_MAP))
