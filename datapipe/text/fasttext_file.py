"""The file of a fastText classifier: whatever the library can train or quantize becomes a `FastTextModel`.

Every number in it is checked before it is used: a damaged file is an error, never a crash or a wrong label.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from datapipe.kernels import kernel
from datapipe.text.fasttext_model import (
    END,
    HIERARCHICAL_SOFTMAX,
    LABEL,
    NEGATIVE_SAMPLING,
    ONE_VS_ALL,
    SOFTMAX,
    FastTextModel,
    Weights,
    fill_table,
)

_MAGIC, _VERSIONS = 793712314, (11, 12)
_SUPERVISED = 3
_CENTROIDS = 256  # of each part of a row, in a quantized model
_UNKNOWN_COUNT = 10**15  # of a node of the tree that is not built yet


@kernel
def _read_entries(
    content: npt.NDArray[np.uint8],
    names: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    types: npt.NDArray[np.uint8],
) -> int:
    """Fill the arrays from a dictionary; returns the bytes that it takes, -1 if it is longer than `content`."""
    at, to = 0, 0
    for entry in range(len(counts)):
        while at < len(content) and content[at]:
            names[to] = content[at]
            to += 1
            at += 1
        if at + 10 > len(content):
            return -1
        bounds[entry + 1] = to
        for i in range(8):
            counts[entry] |= np.int64(content[at + 1 + i]) << (8 * i)
        types[entry] = content[at + 9]
        at += 10
    return at


class _ModelFile:
    """The content of a model file, taken piece after piece."""

    def __init__(self, path: str, content: npt.NDArray[np.uint8]) -> None:
        self._path, self._content, self._at = path, content, 0

    def check(self, holds: bool, problem: str) -> None:
        if not holds:
            raise ValueError(f"{self._path} is no fastText classifier: {problem}")

    def take(self, dtype: str, *shape: int) -> npt.NDArray[Any]:
        """A copy of the next array."""
        size = np.dtype(dtype).itemsize * math.prod(shape)
        self.check(min(shape) >= 0 and self._at + size <= len(self._content), "it ends too early")
        self._at += size
        return np.array(self._content[self._at - size : self._at]).view(dtype).reshape(shape)

    def entries(self, count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[Any], list[int]]:
        """Words and labels: their bytes, the bounds of each, how often it was seen and whether it is a label."""
        rest = self._content[self._at :]
        self.check(count >= 0, f"it has {count} words and labels")
        self.check(count <= len(rest), "it ends too early")
        names, types = np.empty(len(rest), np.uint8), np.empty(count, np.uint8)
        bounds, counts = np.zeros(count + 1, np.int64), np.zeros(count, np.int64)
        size = _read_entries(rest, names, bounds, counts, types)
        self.check(size >= 0, "it ends too early")
        self._at += size
        return names[: bounds[-1]].copy(), bounds, counts, types.tolist()

    def _check_shape(self, rows: int, dimensions: int) -> None:
        shape = self.take("<i8", 2).tolist()
        self.check(shape == [rows, dimensions], f"its matrix has the shape {shape}, not {[rows, dimensions]}")

    def dense(self, rows: int, dimensions: int) -> npt.NDArray[np.float32]:
        """A matrix that is stored as it is."""
        self._check_shape(rows, dimensions)
        return self.take("<f4", rows, dimensions)

    def quantized(self, rows: int, dimensions: int) -> npt.NDArray[np.float32]:
        """A matrix that is stored as the nearest of 256 centroids of each part of a row, unpacked."""
        has_lengths = bool(self.take("u1", 1)[0])
        self._check_shape(rows, dimensions)
        (size,) = self.take("<i4", 1).tolist()
        self.check(size % max(1, rows) == 0, f"it has {size} codes for {rows} vectors")
        codes = self.take("u1", rows, size // max(1, rows))
        of, parts, longest, last = self.take("<i4", 4).tolist()
        fits = parts == codes.shape[1] and of == dimensions == (parts - 1) * longest + last and 0 < last <= longest
        self.check(fits, f"it is quantized in {parts} parts of {longest}, the last of {last}")
        unpacked = np.empty((rows, dimensions), np.float32)
        for part in range(parts):
            width = last if part == parts - 1 else longest
            first = part * longest
            unpacked[:, first : first + width] = self.take("<f4", _CENTROIDS, width)[codes[:, part]]
        if has_lengths:
            chosen = self.take("u1", rows)
            self.check(self.take("<i4", 4).tolist() == [1, 1, 1, 1], "its lengths are not numbers")
            unpacked *= self.take("<f4", _CENTROIDS)[chosen, None]
        return unpacked


def _tree(counts: list[int]) -> npt.NDArray[np.int32]:
    """The Huffman tree of labels that are sorted by their counts, most frequent first, as the library builds it."""
    labels = len(counts)
    sizes = counts + [_UNKNOWN_COUNT] * (labels - 1)
    children = np.full((len(sizes), 2), -1, np.int32)
    leaf, inner = labels - 1, labels
    for node in range(labels, len(sizes)):
        for side in range(2):
            if leaf >= 0 and sizes[leaf] < sizes[inner]:
                children[node, side], leaf = leaf, leaf - 1
            else:
                children[node, side], inner = inner, inner + 1
        sizes[node] = sizes[children[node, 0]] + sizes[children[node, 1]]
    return children


def _find_end(names: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], words: int) -> int:
    """The number of the word `</s>` among the first `words` names, -1 if it is none."""
    numbers = np.flatnonzero(np.diff(bounds[: words + 1]) == len(END))
    found = (names[bounds[numbers, np.newaxis] + np.arange(len(END))] == END).all(axis=1)
    return int(numbers[found.argmax()]) if found.any() else -1


def read_model(path: str, content: npt.NDArray[np.uint8]) -> FastTextModel:
    """The classifier in the content of a file, in the library's format.

    Raises:
        ValueError: naming `path`, if it is none.
    """
    file = _ModelFile(path, content)
    magic, version = file.take("<i4", 2).tolist()
    file.check(magic == _MAGIC and version in _VERSIONS, f"it begins with {magic}, {version}")
    dimensions, _, _, _, _, word_ngrams, loss, kind, buckets, minn, maxn, _ = file.take("<i4", 12).tolist()
    file.take("<f8", 1)
    file.check(kind == _SUPERVISED, "it holds word vectors")
    losses = (HIERARCHICAL_SOFTMAX, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL)
    file.check(loss in losses and dimensions > 0, f"it has loss {loss} and {dimensions} dimensions")
    if version < _VERSIONS[-1]:
        maxn = 0  # classifiers had no character n-grams then
    has_ngrams = maxn > 0 or word_ngrams > 1
    file.check(buckets > 0 or not has_ngrams, "it has n-grams, but no buckets for them")
    size, words, labels = file.take("<i4", 3).tolist()
    _, pruned = file.take("<i8", 2).tolist()
    names, bounds, counts, types = file.entries(size)
    adds_up = labels > 0 and words + labels == size  # before a list as long as a damaged number says
    file.check(adds_up and types == [0] * words + [1] * labels, f"it has {words} words and {labels} labels")
    is_used: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
    rows = np.zeros(0, np.int32)
    pairs = file.take("<i4", max(0, pruned), 2)
    if pruned >= 0 and has_ngrams:
        buckets_kept, kept_rows = pairs.T
        in_range = (pairs >= 0).all() and (buckets_kept < buckets).all() and (kept_rows < pruned).all()
        file.check(bool(in_range), "it keeps buckets that it does not have")
        rows = np.zeros(words + buckets, np.int32)
        rows[:words] = np.arange(words)
        rows[words + buckets_kept] = words + kept_rows
        is_used = np.zeros(buckets, np.bool_)
        is_used[buckets_kept] = True
    height = words + (pruned if pruned >= 0 else buckets)
    is_quantized = bool(file.take("u1", 1)[0])
    file.check(is_quantized or pruned < 0, "it is pruned, but not quantized")
    vectors = (file.quantized if is_quantized else file.dense)(height, dimensions)
    if pruned < 0:
        is_used = (vectors[words:] != 0).any(axis=1)
    is_all_quantized = bool(file.take("u1", 1)[0]) and is_quantized
    outputs = (file.quantized if is_all_quantized else file.dense)(labels, dimensions)
    children = np.zeros((0, 2), np.int32)
    if loss == HIERARCHICAL_SOFTMAX:
        seen = counts[words:].tolist()
        file.check(min(seen) >= 0 and max(seen) < _UNKNOWN_COUNT, f"a label was seen {max(seen)} times")
        children = _tree(seen)
    table = np.full((1 << (2 * size).bit_length(), 2), -1, np.int64)
    fill_table(names, bounds, table)
    listed = [names[bounds[i] : bounds[i + 1]].tobytes() for i in range(words, size)]
    weights = Weights(
        names=names,
        bounds=bounds,
        table=table,
        words=words,
        end=-1,
        minn=minn,
        maxn=maxn,
        word_ngrams=word_ngrams,
        buckets=buckets,
        used=np.packbits(is_used, bitorder="little"),
        rows=rows,
        vectors=vectors,
        outputs=np.ascontiguousarray(outputs.T),
        loss=loss,
        children=children,
    )
    return FastTextModel(
        tuple(label.removeprefix(LABEL.tobytes()).decode("utf-8", "replace") for label in listed),
        weights._replace(end=_find_end(names, bounds, words)),
    )
