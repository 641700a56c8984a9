"""Tokenizers side by side, language by language: how well they compress, how they spell, how fast they encode.

Any mix of `tokenizer.json`, `.tiktoken` and SentencePiece `.model` files (`formats.read_tokenizer`) on the same texts.
Every figure carries its unit in the name of its column; lower is better for all but bytes a token,
efficiency, use and speed.
"""

import html
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.text.measuring import measure_text
from tokenizer_training.algorithms import TokenizerJson
from tokenizer_training.encode import Encoder, encoder_of
from tokenizer_training.formats import token_bytes

COMPARISON = pa.schema(
    [
        ("tokenizer", pa.string()),
        ("language", pa.string()),
        ("vocabulary", pa.int64()),  # entries, special tokens included
        ("bytes", pa.int64()),  # of UTF-8 text
        ("tokens", pa.int64()),
        ("bytes_per_token", pa.float64()),
        ("tokens_per_character", pa.float64()),  # code points
        ("tokens_per_word", pa.float64()),  # fertility; what a word is, `datapipe.text.words` says ("auto")
        ("tokens_ratio", pa.float64()),  # tokens over those of the reference
        ("bits_per_byte", pa.float64()),  # by the entropy of single tokens: what a model that knows no context needs
        ("renyi_efficiency", pa.float64()),  # see `renyi_efficiency`
        ("byte_token_share", pa.float64()),  # tokens that are one byte of a longer character, of all tokens
        ("vocabulary_use", pa.float64()),  # entries that occurred, of all
        ("megabytes_per_cpu_second", pa.float64()),
    ]
)
TOTAL = "all"  # in the column `language`: the sum of all
# Colours that stay apart for the colour-blind: Okabe and Ito.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")


def compare(tokenizers: Mapping[str, TokenizerJson], texts: Mapping[str, pa.Array], reference: str) -> pa.Table:
    """Measure each tokenizer on each language.

    Args:
        tokenizers: by name.
        texts: arrays of strings by language, as ISO 639-1 codes ("code" for source code).
        reference: the name of the tokenizer whose tokens are 1.

    Returns:
        A table of `COMPARISON`, in the order of languages, then tokenizers; last, of several languages, `TOTAL`. A
        figure over nothing is null.

    Raises:
        ValueError: if the reference is not among the tokenizers.
    """
    if reference not in tokenizers:
        raise ValueError(f"reference must be one of {', '.join(tokenizers)}, got {reference!r}")
    encoders = {name: encoder_of(tokenizer) for name, tokenizer in tokenizers.items()}
    byte_tokens = {name: _byte_tokens(tokenizer) for name, tokenizer in tokenizers.items()}
    rows: list[dict[str, Any]] = []
    total_size, total_encoded = _Size(0, 0, 0), {name: _Encoded(np.zeros(0, np.int64), 0.0) for name in encoders}
    for language, array in texts.items():
        strings = array.fill_null("").to_pylist()
        words = pc.sum(measure_text(array, pa.array([language] * len(array)), "auto", "datapipe", {}).column("words"))
        size = _Size(sum(len(text.encode()) for text in strings), sum(map(len, strings)), words.as_py() or 0)
        encoded = {name: _encode(encoder, strings) for name, encoder in encoders.items()}
        rows += _rows(language, size, encoded, encoders, byte_tokens, reference)
        total_size = _Size(*map(sum, zip(total_size, size, strict=True)))
        total_encoded = {name: _both(total_encoded[name], encoded[name]) for name in encoders}
    if len(texts) > 1:
        rows += _rows(TOTAL, total_size, total_encoded, encoders, byte_tokens, reference)
    return pa.Table.from_pylist(rows, COMPARISON)


class _Size(NamedTuple):
    """How much text there is."""

    bytes: int
    characters: int
    words: int


class _Encoded(NamedTuple):
    """How often each id occurred, shape (ids,), and the CPU seconds that encoding took."""

    counts: npt.NDArray[np.int64]
    seconds: float


def _encode(encoder: Encoder, texts: Sequence[str]) -> _Encoded:
    started = time.process_time()
    ids, _ = encoder.encode_flat(texts)
    seconds = time.process_time() - started
    return _Encoded(np.bincount(ids), seconds)


def _both(one: _Encoded, other: _Encoded) -> _Encoded:
    counts = np.zeros(max(len(one.counts), len(other.counts)), np.int64)
    for some in (one, other):
        counts[: len(some.counts)] += some.counts
    return _Encoded(counts, one.seconds + other.seconds)


def _rows(
    language: str,
    size: _Size,
    encoded: Mapping[str, _Encoded],
    encoders: Mapping[str, Encoder],
    byte_tokens: Mapping[str, np.ndarray],
    reference: str,
) -> Iterator[dict[str, Any]]:
    for name, (counts, seconds) in encoded.items():
        tokens, vocabulary = int(counts.sum()), encoders[name].vocabulary_size
        single_bytes = byte_tokens[name][byte_tokens[name] < len(counts)]
        yield {
            "tokenizer": name,
            "language": language,
            "vocabulary": vocabulary,
            "bytes": size.bytes,
            "tokens": tokens,
            "bytes_per_token": _over(size.bytes, tokens),
            "tokens_per_character": _over(tokens, size.characters),
            "tokens_per_word": _over(tokens, size.words),
            "tokens_ratio": _over(tokens, int(encoded[reference].counts.sum())),
            "bits_per_byte": _over(entropy(counts, 1) * tokens, size.bytes),
            "renyi_efficiency": renyi_efficiency(counts),
            "byte_token_share": _over(int(counts[single_bytes].sum()), tokens),
            "vocabulary_use": _over(int(np.count_nonzero(counts)), vocabulary),
            "megabytes_per_cpu_second": _over(size.bytes / 1e6, seconds),
        }


def entropy(counts: npt.NDArray[np.int64], order: float) -> float:
    """The Rényi entropy of what occurs so often, in bits; of order 1, Shannon's.

    >>> entropy(np.array([2, 0, 1, 1]), 1)
    1.5
    """
    shares = counts[counts > 0] / max(1, counts.sum())
    if order == 1:
        return float(-(shares * np.log2(shares)).sum())
    return float(np.log2((shares**order).sum()) / (1 - order)) if len(shares) else 0.0


def renyi_efficiency(counts: npt.NDArray[np.int64]) -> float | None:
    """How evenly tokens are used, from 0 to 1: the entropy over that of equal use of the tokens that occur.

    Zouhar and others, "Tokenization and the Noiseless Channel" (ACL 2023), who find the order 2.5 to go best with how
    well models translate.
    """
    kinds = np.count_nonzero(counts)
    return entropy(counts, 2.5) / np.log2(kinds) if kinds > 1 else None


def by_group(counts: pa.Table, column: str, encoder: Encoder) -> dict[str, tuple[int, int]]:
    """Bytes and tokens of all text of each language or source, from counts of its pre-tokens alone.

    Args:
        counts: a table of `count.GROUPED`.
        column: `language` or `source`.
        encoder: of a tokenizer that splits as the counts, or finer.
    """
    words = counts.column("word").combine_chunks().dictionary_encode()
    spelt = words.dictionary
    tokens = encoder.count(spelt)[words.indices.to_numpy()].astype(np.int64)
    sizes = pc.binary_length(spelt).to_numpy()[words.indices.to_numpy()]
    number = counts.column("count").to_numpy()
    table = pa.table({column: counts.column(column), "bytes": sizes * number, "tokens": tokens * number})
    sums = table.group_by(column, use_threads=False).aggregate([("bytes", "sum"), ("tokens", "sum")])
    return {row[column]: (row["bytes_sum"], row["tokens_sum"]) for row in sums.to_pylist()}


def _over(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


def _byte_tokens(tokenizer: TokenizerJson) -> np.ndarray:
    """The ids that stand for one byte of a character of several."""
    return np.array(
        [number for number, token in token_bytes(tokenizer).items() if len(token) == 1 and token >= b"\x80"], np.int64
    )


def as_markdown(table: pa.Table) -> str:
    """The table in Markdown."""
    lines = ["| " + " | ".join(table.column_names) + " |", "|" + " --- |" * table.num_columns]
    for row in table.to_pylist():
        cells = (
            f"{value:.4g}" if isinstance(value, float) else "" if value is None else f"{value}"
            for value in row.values()
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def as_svg(table: pa.Table, measure: str = "bytes_per_token") -> str:
    """One measure as bars: a group for each language, a colour for each tokenizer.

    Args:
        table: of `COMPARISON`.
        measure: one of its columns of floats.

    Raises:
        ValueError: if it is none.
    """
    if measure not in COMPARISON.names or COMPARISON.field(measure).type != pa.float64():
        raise ValueError(f"measure must be a column of figures, got {measure!r}")
    rows = table.select(["language", "tokenizer", measure]).to_pylist()
    languages = list(dict.fromkeys(row["language"] for row in rows))
    names = list(dict.fromkeys(row["tokenizer"] for row in rows))
    largest = max((row[measure] or 0 for row in rows), default=0) or 1
    bar, left, top, height = 14, 60, 30 + 18 * len(names), 220
    group = bar * len(names) + 16
    width = max(left + group * len(languages) + 20, 360)
    size = f'width="{width}" height="{top + height + 40}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<text x="{left}" y="18" font-size="14">{measure.replace("_", " ")}</text>',
    ]
    for position, name in enumerate(names):
        y = 30 + 18 * position
        parts.append(f'<rect x="{left}" y="{y}" width="12" height="12" fill="{COLOURS[position % len(COLOURS)]}"/>')
        parts.append(f'<text x="{left + 18}" y="{y + 11}">{html.escape(name)}</text>')
    for step in range(5):
        line = top + height - height * step / 4
        parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{line:.1f}" y2="{line:.1f}" stroke="#ccc"/>')
        parts.append(f'<text x="{left - 6}" y="{line + 4:.1f}" text-anchor="end">{largest * step / 4:.3g}</text>')
    for row in rows:
        position = names.index(row["tokenizer"])
        x = left + 8 + group * languages.index(row["language"]) + bar * position
        tall = height * (row[measure] or 0) / largest
        title = html.escape(f"{row['tokenizer']}, {row['language']}: {row[measure]}")
        parts.append(
            f'<rect x="{x}" y="{top + height - tall:.1f}" width="{bar - 2}" height="{tall:.1f}" '
            f'fill="{COLOURS[position % len(COLOURS)]}"><title>{title}</title></rect>'
        )
    for position, language in enumerate(languages):
        middle = left + group * (position + 0.5)
        parts.append(
            f'<text x="{middle:.1f}" y="{top + height + 18}" text-anchor="middle">{html.escape(language)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
