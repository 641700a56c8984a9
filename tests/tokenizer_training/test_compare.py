"""The comparison's figures are those one would count by hand."""

import xml.etree.ElementTree as ElementTree

import pyarrow as pa
import pytest

from tests.tokenizer_training.samples import trained
from tokenizer_training.compare import COMPARISON, as_markdown, as_svg, compare
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


def test_over_nothing_there_is_no_figure() -> None:
    assert row("bytes", "de")["bytes_per_token"] is None
    assert row("bytes", "de")["tokens"] == 0


def test_chinese_words_are_segmented() -> None:
    assert row("bytes", "zh")["tokens_per_word"] == row("bytes", "zh")["tokens"] / 2


def test_the_table_prints_with_units() -> None:
    lines = as_markdown(TABLE).splitlines()
    assert len(lines) == 2 + 6
    assert lines[0].split(" | ")[5:8] == ["bytes_per_token", "tokens_per_character", "tokens_per_word"]
    assert "| bytes | en |" in lines[2]


def test_the_plot_has_a_bar_for_each_figure() -> None:
    plot = ElementTree.fromstring(as_svg(TABLE, "tokens_ratio"))
    titles = [element.text or "" for element in plot.iter() if element.tag.endswith("title")]
    assert len(titles) == 6
    assert titles[1].startswith("pieces <&>, en: ")
    with pytest.raises(ValueError, match="measure must be a column of figures, got 'language'"):
        as_svg(TABLE, "language")
    assert ElementTree.fromstring(as_svg(COMPARISON.empty_table())) is not None


def test_the_reference_must_be_there() -> None:
    with pytest.raises(ValueError, match="reference must be one of bytes, pieces <&>, got 'other'"):
        compare(TOKENIZERS, TEXTS, "other")
