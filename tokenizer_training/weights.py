"""A model's matrices with a row for each entry, cut or grown as its tokenizer is.

They are taken from a safetensors file and written into another, all other tensors as they are, byte for byte.
"""

import json
import mmap
import pathlib
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from datapipe.store import files
from tokenizer_training.algorithms import TokenizerJson, byte_token

# The matrices with a row for each entry, in the models of LLaMA, Qwen, Baichuan, GPT-2, ChatGLM and their kin.
VOCABULARY_TENSORS = (
    "embed_tokens.weight",
    "tok_embeddings.weight",
    "word_embeddings.weight",
    "wte.weight",
    "lm_head.weight",
    "output_layer.weight",
    "output.weight",
)
Bytes = npt.NDArray[np.uint8]


def slice_rows(
    source: str, target: str, old: npt.NDArray[np.int32], tensors: Sequence[str] = VOCABULARY_TENSORS
) -> list[str]:
    """Write a safetensors file with only the rows of kept entries.

    Args:
        source: a local file; its tensors are copied as bytes, whatever their type.
        target: where to write.
        old: the old id of each new one.
        tensors: the ends of the names of the tensors with a row for each entry.

    Returns:
        The names of the tensors that were cut.

    Raises:
        ValueError: if no tensor is to be cut, or one has too few rows.
    """

    def size(name: str, _: str, rows: int) -> int:
        if rows <= int(old[-1]):
            raise ValueError(f"{source}: {name} has {rows} rows, too few for the id {old[-1]}")
        return len(old)

    return _rewrite(source, target, size, lambda _, rows: rows[old], tensors)


def grow_rows(
    source: str, target: str, parts: Mapping[int, Sequence[int]], tensors: Sequence[str] = VOCABULARY_TENSORS
) -> list[str]:
    """Write a safetensors file with a row for each new entry: the mean of the rows that its text had before.

    So a model starts from where it was: what it knew of the pieces. Hewitt, "Initializing New Word Embeddings for
    Pretrained Language Models" (2021), says why the mean beats a random row. Rows that no entry uses are kept.

    Args:
        source: a local file with tensors of F32, F16 or BF16.
        target: where to write.
        parts: of each new id the old ones, see `parts_of`.
        tensors: the ends of the names of the tensors with a row for each entry.

    Returns:
        The names of the tensors that have grown.

    Raises:
        ValueError: if no tensor is to grow, one has too few rows for an old id, or is of another type.
    """
    needed = 1 + max(parts, default=-1)
    highest = max((max(ids) for ids in parts.values()), default=-1)

    def size(name: str, kind: str, rows: int) -> int:
        if kind not in _FLOATS:
            raise ValueError(f"{source}: {name} must be of {', '.join(_FLOATS)} to have means of rows, got {kind}")
        if rows <= highest:
            raise ValueError(f"{source}: {name} has {rows} rows, too few for the id {highest}")
        return max(rows, needed)

    def grow(kind: str, rows: Bytes) -> Bytes:
        grown = np.zeros((max(len(rows), needed), rows.shape[1]), np.uint8)
        grown[: len(rows)] = rows
        for number, ids in parts.items():
            grown[number] = _from_floats(_to_floats(rows[list(ids)], kind).mean(axis=0), kind)
        return grown

    return _rewrite(source, target, size, grow, tensors)


_FLOATS = ("F32", "F16", "BF16")


def _to_floats(rows: Bytes, kind: str) -> npt.NDArray[np.float64]:
    rows = np.ascontiguousarray(rows)
    if kind == "BF16":  # the upper half of a float32
        return (rows.view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return rows.view(np.float32 if kind == "F32" else np.float16).astype(np.float64)


def _from_floats(values: npt.NDArray[np.float64], kind: str) -> Bytes:
    if kind == "BF16":
        bits = values.astype(np.float32).view(np.uint32)
        # To the nearest, of two equally near ones to the even.
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).view(np.uint8)
    return values.astype(np.float32 if kind == "F32" else np.float16).view(np.uint8)


def parts_of(base: TokenizerJson, extended: TokenizerJson) -> dict[int, list[int]]:
    """Of each entry that a tokenizer was extended by, the ids that its text had in the base.

    Args:
        base: the tokenizer before.
        extended: the tokenizer after `extend`: each new entry has a merge of its own, or is a character that the base
            spells in bytes.
    """
    old: dict[str, int] = base["model"]["vocab"]
    merges = extended["model"]["merges"][len(base["model"]["merges"]) :]
    made_of = {left + right: (left, right) for left, right in reversed(merges)}

    def spelt(name: str) -> list[int]:
        if name in old:
            return [old[name]]
        if name in made_of:
            return [number for part in made_of[name] for number in spelt(part)]
        return [old[byte_token(byte)] for byte in name.encode()]

    known = old.keys() | {token["content"] for token in base["added_tokens"]}
    return {number: spelt(name) for name, number in extended["model"]["vocab"].items() if name not in known}


def _rewrite(
    source: str,
    target: str,
    new_size: Callable[[str, str, int], int],
    change: Callable[[str, Bytes], Bytes],
    tensors: Sequence[str],
) -> list[str]:
    """Write a safetensors file anew with other rows of some tensors.

    Args:
        source, target: the files.
        new_size: how many rows a tensor gets, from its name, its type and its rows.
        change: its new rows from its type and its rows, as bytes.
        tensors: the ends of the names of the tensors to change.
    """
    with pathlib.Path(source).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        metadata = header.pop("__metadata__", None)
        changed = [name for name in header if name.endswith(tuple(tensors))]
        if not changed:
            raise ValueError(f"{source}: no tensor is named *{', *'.join(tensors)}")
        begin = 0
        new_header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
        for name, entry in header.items():
            start, stop = entry["data_offsets"]
            shape = list(entry["shape"])
            size = stop - start
            if name in changed:
                rows = new_size(name, entry["dtype"], shape[0])
                size = size // shape[0] * rows
                shape[0] = rows
            new_header[name] = {**entry, "shape": shape, "data_offsets": [begin, begin + size]}
            begin += size
        encoded = json.dumps(new_header, separators=(",", ":")).encode()
        encoded += b" " * (-len(encoded) % 8)
        with files.whole_file(target) as sink:
            sink.write(struct.pack("<Q", len(encoded)) + encoded)
            for name, entry in header.items():
                start, stop = (8 + length + offset for offset in entry["data_offsets"])
                data = np.frombuffer(content, np.uint8, stop - start, start)
                if name in changed:
                    data = change(entry["dtype"], data.reshape(entry["shape"][0], -1))
                sink.write(np.ascontiguousarray(data))
                del data  # the file cannot be unmapped while an array looks into it
    return changed
