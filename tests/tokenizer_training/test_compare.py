"""The comparison's figures are those one would count by hand."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pyarrow as pa
import pytest

from tests.tokenizer_training.samples import trained
from tokenizer_training.algorithms import ALGORITHMS
from tokenizer_training.compare import (
    COMPARISON,
    as_markdown,
    as_svg,
    by_group,
    compare,
    entropy,
    renyi_efficiency,
)
from tokenizer_training.count import count_by_group, named
from tokenizer_training.encode import encoder_of

TOKENIZERS = {"bytes": trained("byte_level"), "pieces <&>": trained("byte_fallback")}
TEXTS = {"en": pa.array(["the cat", "the 😀", None]), "zh": pa.array(["中文 中文"]), "de": pa.array([""])}
TABLE = compare(TOKENIZERS, TEXTS, "bytes")


def row(tokenizer: str, language: str) -> dict[str, float]:
    rows = TABLE.to_pylist()
    return next(row for row in rows if (row["tokenizer"], row["language"]) == (tokenizer, language))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_figures_are_what_they_say(name: str) -> None:
    encoder = encoder_of(TOKENIZERS[name])
    ids = [number for text in ("the cat", "the 😀") for number in encoder.encode_batch([text])[0].tolist()]
    found = row(name, "en")
    assert found["vocabulary"] == encoder.vocabulary_size
    assert found["bytes"] == 7 + 8
    assert found["tokens"] == len(ids)
    assert found["bytes_per_token"] == 15 / len(ids)
    assert found["tokens_per_character"] == len(ids) / 12
    assert found["tokens_per_word"] == len(ids) / 3
    assert found["byte_token_share"] == 4 / len(ids)
    assert found["vocabulary_use"] == len(set(ids)) / encoder.vocabulary_size
    assert found["tokens_ratio"] == len(ids) / row("bytes", "en")["tokens"]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_last_rows_are_the_sum(name: str) -> None:
    encoder = encoder_of(TOKENIZERS[name])
    ids = encoder.encode_flat(["the cat", "the 😀", "中文 中文"])[0]
    counts = np.bincount(ids)
    found = row(name, "all")
    assert TABLE.column("language").to_pylist()[-2:] == ["all", "all"]
    assert (found["bytes"], found["tokens"]) == (7 + 8 + 13, len(ids))
    shares = counts[counts > 0] / len(ids)
    assert found["bits_per_byte"] == pytest.approx(-(shares * np.log2(shares)).sum() * len(ids) / found["bytes"])
    # As tokenization_scorer 1.1.8 has it, with power=2.5.
    expected = np.log2((shares**2.5).sum()) / (1 - 2.5) / np.log2(len(shares))
    assert found["renyi_efficiency"] == pytest.approx(expected)
    assert found["vocabulary_use"] == len(shares) / encoder.vocabulary_size


def test_efficiency_is_one_where_all_are_used_alike() -> None:
    assert renyi_efficiency(np.array([3, 3, 0, 3])) == pytest.approx(1)
    assert renyi_efficiency(np.array([9])) is None
    assert entropy(np.array([3, 3, 0, 3, 3]), 2.5) == pytest.approx(2)


def test_counts_tell_bytes_and_tokens_of_each_language() -> None:
    texts = {"en": "in 2024, the cat", "zh": "中文 2024"}
    batches = [pa.record_batch({"text": [text], "language": [language]}) for language, text in texts.items()]
    algorithm = ALGORITHMS["byte_level"]
    counts = named(*count_by_group(batches, algorithm.with_digits(3)))
    encoder = encoder_of(TOKENIZERS["bytes"])
    expected = {name: (len(text.encode()), len(encoder.encode_flat([text])[0])) for name, text in texts.items()}
    total = tuple(map(sum, zip(*expected.values(), strict=True)))
    assert by_group(counts, "source", encoder) == {"": total}
    assert by_group(counts, "language", encoder) == expected


def test_over_nothing_there_is_no_figure() -> None:
    assert row("bytes", "de")["bytes_per_token"] is None
    assert row("bytes", "de")["tokens"] == 0


def test_chinese_words_are_segmented() -> None:
    assert row("bytes", "zh")["tokens_per_word"] == row("bytes", "zh")["tokens"] / 2


def test_the_table_prints_with_units() -> None:
    lines = as_markdown(TABLE).splitlines()
    assert len(lines) == 2 + 8
    assert lines[0].split(" | ")[5:8] == ["bytes_per_token", "tokens_per_character", "tokens_per_word"]
    assert "| bytes | en |" in lines[2]


def test_the_plot_has_a_bar_for_each_figure() -> None:
    plot = ElementTree.fromstring(as_svg(TABLE, "tokens_ratio"))
    titles = [element.text or "" for element in plot.iter() if element.tag.endswith("title")]
    assert len(titles) == 8
    assert titles[1].startswith("pieces <&>, en: ")
    with pytest.raises(ValueError, match="measure must be a column of figures, got 'language'"):
        as_svg(TABLE, "language")
    assert ElementTree.fromstring(as_svg(COMPARISON.empty_table())) is not None


def test_the_reference_must_be_there() -> None:
    with pytest.raises(ValueError, match="reference must be one of bytes, pieces <&>, got 'other'"):
        compare(TOKENIZERS, TEXTS, "other")
