"""Tokenizers side by side, language by language: how well they compress, how they spell, how fast they encode.

Any mix of `tokenizer.json`, `.tiktoken` and SentencePiece `.model` files (`formats.read_tokenizer`) on the same texts.
Every figure carries its unit in the name of its column; lower is better for all but bytes a token, use and speed.
"""

import html
import time
from collections.abc import Mapping, Sequence

import numpy as np
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
        ("byte_token_share", pa.float64()),  # tokens that are one byte of a longer character, of all tokens
        ("vocabulary_use", pa.float64()),  # entries that occurred, of all
        ("megabytes_per_cpu_second", pa.float64()),
    ]
)
# Colours that stay apart for the colour-blind: Okabe and Ito.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")


def compare(tokenizers: Mapping[str, TokenizerJson], texts: Mapping[str, pa.Array], reference: str) -> pa.Table:
    """Measure each tokenizer on each language.

    Args:
        tokenizers: by name.
        texts: arrays of strings by language, as ISO 639-1 codes ("code" for source code).
        reference: the name of the tokenizer whose tokens are 1.

    Returns:
        A table of `COMPARISON`, in the order of languages, then tokenizers. A figure over nothing is null.

    Raises:
        ValueError: if the reference is not among the tokenizers.
    """
    if reference not in tokenizers:
        raise ValueError(f"reference must be one of {', '.join(tokenizers)}, got {reference!r}")
    encoders = {name: encoder_of(tokenizer) for name, tokenizer in tokenizers.items()}
    byte_tokens = {name: _byte_tokens(tokenizer) for name, tokenizer in tokenizers.items()}
    rows = []
    for language, array in texts.items():
        strings = array.fill_null("").to_pylist()
        size = sum(len(text.encode()) for text in strings)
        characters = sum(map(len, strings))
        words = pc.sum(measure_text(array, pa.array([language] * len(array)), "auto", "datapipe", {}).column("words"))
        measured = {name: _encode(encoder, strings, byte_tokens[name]) for name, encoder in encoders.items()}
        for name, (tokens, byte_share, used, seconds) in measured.items():
            vocabulary = encoders[name].vocabulary_size
            rows.append(
                {
                    "tokenizer": name,
                    "language": language,
                    "vocabulary": vocabulary,
                    "bytes": size,
                    "tokens": tokens,
                    "bytes_per_token": _over(size, tokens),
                    "tokens_per_character": _over(tokens, characters),
                    "tokens_per_word": _over(tokens, words.as_py() or 0),
                    "tokens_ratio": _over(tokens, measured[reference][0]),
                    "byte_token_share": _over(byte_share, tokens),
                    "vocabulary_use": _over(used, vocabulary),
                    "megabytes_per_cpu_second": _over(size / 1e6, seconds),
                }
            )
    return pa.Table.from_pylist(rows, COMPARISON)


def by_language(counts: pa.Table, encoder: Encoder) -> dict[str, tuple[int, int]]:
    """Bytes and tokens of all text of each language, from counts of its pre-tokens alone.

    Args:
        counts: a table of `count.GROUPED`.
        encoder: of a tokenizer that splits as the counts, or finer.
    """
    words = counts.column("word").combine_chunks().dictionary_encode()
    spelt = words.dictionary
    tokens = encoder.count(spelt)[words.indices.to_numpy()].astype(np.int64)
    sizes = pc.binary_length(spelt).to_numpy()[words.indices.to_numpy()]
    number = counts.column("count").to_numpy()
    table = pa.table({"language": counts.column("language"), "bytes": sizes * number, "tokens": tokens * number})
    sums = table.group_by("language", use_threads=False).aggregate([("bytes", "sum"), ("tokens", "sum")])
    return {row["language"]: (row["bytes_sum"], row["tokens_sum"]) for row in sums.to_pylist()}


def _over(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


def _byte_tokens(tokenizer: TokenizerJson) -> np.ndarray:
    """The ids that stand for one byte of a character of several."""
    return np.array(
        [number for number, token in token_bytes(tokenizer).items() if len(token) == 1 and token >= b"\x80"]
    )


def _encode(encoder: Encoder, texts: Sequence[str], byte_tokens: np.ndarray) -> tuple[int, int, int, float]:
    """How many tokens, single bytes among them, different ones, and CPU seconds."""
    started = time.process_time()
    ids, _ = encoder.encode_flat(texts)
    seconds = time.process_time() - started
    return len(ids), int(np.isin(ids, byte_tokens).sum()), len(np.unique(ids)), seconds


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
