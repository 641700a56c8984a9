"""Mixed bits: as published, the same in kernels and in numpy, even; and what is made of them is as it always was."""

import hashlib
from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from datapipe.dedup.embeddings import BUCKET_BITS, embed
from datapipe.dedup.near_duplicates import MEMBER, bucket_pairs
from datapipe.dedup.pieces import Pieces
from datapipe.filters.quality_filter import uniform
from datapipe.filters.quality_training import scramble
from datapipe.flow.shuffle import spread
from datapipe.text.bit_mixing import (
    DEGSKI,
    GOLDEN,
    fractions,
    golden_fold,
    golden_multiple,
    multiply_fold,
    murmur32,
    murmur64,
    rehash,
    seeded_hash,
    splitmix64,
    uniform_draw,
)
from datapipe.text.characters import text_buffers
from datapipe.text.hashes import hash_spans, normalization_table
from datapipe.text.minhash import band_hashes, datasketch_permutations, datasketch_signatures, fast_similarity_sketches
from datapipe.text.ngram_model import train
from datapipe.text.repetition import text_hash
from datapipe.text.shingles import shingle_hashes, token_table
from datapipe.text.token_grams import ngrams
from datapipe.text.word_list import make_word_list
from tokenizer_training.count import SCHEMA, hash_words, sample_rare

KEYS = np.arange(1000, dtype=np.uint64) ** np.uint64(5)
TEXTS = [
    "The quick brown fox, 12.5 metres; don't panic!\nNaïve café.",
    "我们在北京大学学习自然语言处理。今天天气很好!",
    "",
    "สวัสดีครับ ภาษาไทย",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen",
    "Ünïcödé ٣٤ — test test test. Test? Yes.",
]
DATA, BOUNDS = text_buffers(pa.array(TEXTS))
SHINGLES = shingle_hashes(DATA, BOUNDS, 3)
WORDS = pa.array([f"word{number}" for number in range(1000)], pa.large_string())


def test_published_values() -> None:
    # Of splitmix64 from seed 0, as Vigna's splitmix64.c draws them.
    drawn = splitmix64(np.arange(1, 4, dtype=np.uint64) * GOLDEN)
    assert drawn.tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert drawn.tolist() == [int(seeded_hash(np.zeros(1, np.uint64), seed)[0]) for seed in range(3)]
    assert murmur64(np.ones(1, np.uint64))[0] == 0xB456BCFC34C2CB2C
    # MurmurHash3_x86_32 of no bytes with seed 1 is its finalizer alone.
    assert murmur32(np.ones(1, np.uint64))[0] == 0x514E28B7


@numba.njit
def _in_kernel(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = np.empty((5, len(values)), np.uint64)
    for i in range(len(values)):
        mixed[0, i] = multiply_fold(values[i], DEGSKI, 29)
        mixed[1, i] = golden_fold(values[i])
        mixed[2, i] = splitmix64(values[i])
        mixed[3, i] = murmur64(values[i])
        mixed[4, i] = murmur32(values[i] >> np.uint64(32))
    return mixed


def test_kernels_and_numpy_agree() -> None:
    values = seeded_hash(KEYS, 1)
    expected = [
        multiply_fold(values, DEGSKI, 29),
        golden_fold(values),
        splitmix64(values),
        murmur64(values),
        murmur32(values >> np.uint64(32)),
    ]
    np.testing.assert_array_equal(_in_kernel(values), expected)
    assert [int(golden_multiple(number)) for number in (0, 1, 2**40)] == [
        number * int(GOLDEN) % 2**64 for number in (0, 1, 2**40)
    ]


@pytest.mark.parametrize(
    "hashes",
    [
        seeded_hash(np.arange(100_000, dtype=np.uint64), 0),
        rehash(seeded_hash(np.arange(100_000, dtype=np.uint64), 0)),
        # Those that share their upper bits, as the words of one partition do.
        rehash(seeded_hash(np.arange(100_000, dtype=np.uint64), 0) >> np.uint64(6)),
    ],
)
def test_hashes_are_even(hashes: npt.NDArray[np.uint64]) -> None:
    counts = np.bincount((hashes >> np.uint64(60)).astype(int))
    assert len(counts) == 16
    assert np.abs(counts / 6250 - 1).max() < 0.05
    draws = fractions(hashes)
    assert 0 <= draws.min() < 1e-4
    assert 1 - 1e-4 < draws.max() < 1


def test_draws_depend_on_key_and_seed() -> None:
    np.testing.assert_array_equal(uniform_draw(KEYS, 3)[::-1], uniform_draw(KEYS[::-1], 3))
    assert np.corrcoef(uniform_draw(KEYS, 0), uniform_draw(KEYS, 1))[0, 1] == pytest.approx(0, abs=0.1)


def _pairs() -> list[npt.NDArray]:
    members = np.zeros(300, MEMBER)
    members["bucket"] = np.arange(300) // 10
    members["id"] = KEYS[:300] % np.uint64(97)
    pairs = bucket_pairs(np.sort(members))
    return [pairs["first"], pairs["second"]]


def _keys_of_pieces() -> npt.NDArray[np.uint64]:
    pieces = Pieces(("line", "span", "window"), "ccnet", 1, 2, 5, salt=golden_multiple(3))
    return pieces.keys(pa.record_batch([pa.array(TEXTS)], ["text"]))


def _signs() -> npt.NDArray[np.int8]:
    vectors = embed(DATA, BOUNDS, token_table(), np.ones(1 << BUCKET_BITS, np.float32), 64)
    return np.sign(vectors).astype(np.int8)


def _sampled() -> npt.NDArray[np.int64]:
    counts = pa.table([WORDS, pa.array(np.arange(1000) % 20)], schema=SCHEMA)
    return np.array([int(word[4:]) for word in sample_rare(counts, 10).column("word").to_pylist()], np.int64)


@pytest.mark.parametrize(
    ("make", "digest"),
    [
        pytest.param(lambda: [seeded_hash(KEYS, 0), seeded_hash(KEYS, 7)], "84611df452f0290d", id="seeded_hash"),
        pytest.param(lambda: [uniform_draw(KEYS, 0), uniform_draw(KEYS, 7)], "fba95c3e47969dc2", id="uniform_draw"),
        pytest.param(lambda: [spread(KEYS, 64)], "ec08f3eaea254e0a", id="spread"),
        pytest.param(lambda: SHINGLES, "7a60a428e44f3c03", id="shingles"),
        pytest.param(lambda: [fast_similarity_sketches(*SHINGLES, 128)], "80e0710414f3ff15", id="fast signatures"),
        pytest.param(
            lambda: [datasketch_signatures(*SHINGLES, datasketch_permutations(16, "affine32"), False)],
            "5c9d046dc94c595b",
            id="datasketch signatures",
        ),
        pytest.param(
            lambda: [band_hashes(fast_similarity_sketches(*SHINGLES, 128), 20, 6)], "dc8591501b8a895d", id="bands"
        ),
        pytest.param(_pairs, "f239f35123e2d2e3", id="bucket_pairs"),
        pytest.param(lambda: [ngrams(pa.array(TEXTS), 3).hashes], "f5c2b5a2db7e593d", id="ngrams"),
        pytest.param(
            lambda: [uniform(pa.array(TEXTS), seed) for seed in (0, 1, 12345)], "6da938fcebdc7654", id="quality"
        ),
        pytest.param(
            lambda: [np.frombuffer("".join(map(scramble, TEXTS)).encode(), np.uint8)], "17dae007d4e4156d", id="scramble"
        ),
        pytest.param(
            lambda: hash_spans(DATA, BOUNDS[:-1], BOUNDS[1:], normalization_table("ccnet")),
            "9cb4e707b934c72b",
            id="hash_spans",
        ),
        pytest.param(lambda: [_keys_of_pieces()], "e5b5e27dc9700c81", id="repeated_text"),
        pytest.param(
            lambda: [_signs()],
            "0d7d4ce3a6d80662",
            id="signs of embed",
        ),
        pytest.param(
            lambda: [np.array([text_hash(text) for text in TEXTS], np.uint64)], "fe0c0f79e10de965", id="text_hash"
        ),
        pytest.param(lambda: [make_word_list(TEXTS).beginnings], "762de889130afd1b", id="word_list"),
        pytest.param(lambda: [train(TEXTS, 3).keys], "b1ae85627b025a8c", id="ngram_model"),
        pytest.param(lambda: [hash_words(*text_buffers(WORDS))], "549632c27ace6b7e", id="hash_words"),
        pytest.param(lambda: [_sampled()], "d23397dc8c30a120", id="sample_rare"),
    ],
)
def test_what_is_made_of_them_has_not_changed(make: Callable[[], list[npt.NDArray]], digest: str) -> None:
    """Ids, samples, signatures and shards of runs that exist depend on these, recorded when each stood alone."""
    data = b"".join(np.ascontiguousarray(values).tobytes() for values in make())
    assert hashlib.sha256(data).hexdigest()[:16] == digest
