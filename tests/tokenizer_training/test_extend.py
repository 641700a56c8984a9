"""Chinese tokens come on top of any base: text without Han stays as it is, boundaries stay a subset."""

import pathlib
import random
import unicodedata

import numpy as np
import polars
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokenizer_training.samples import BASES, CHINESE, RANKS, TEXTS, real_base, sample, with_chinese
from tokenizer_training.algorithms import CL100K_PATTERN
from tokenizer_training.encode import Encoder, encoder_of
from tokenizer_training.extend import (
    extend,
    is_chinese,
    is_chinese_or_punctuated,
    is_han,
    is_whole,
    learn_from,
    read_words,
    with_single_digits,
    word_runs,
)
from tokenizer_training.formats import from_ranks, read_ranks, token_bytes

ENCODERS = {name: (encoder_of(base()), encoder_of(with_chinese(name))) for name, base in BASES.items()}


def ends(encoder: Encoder, spelt: dict[int, bytes], text: str) -> set[int]:
    """Where tokens end, in bytes of what they spell."""
    (ids,) = encoder.encode_batch([text])
    return set(np.cumsum([len(spelt[number]) for number in ids.tolist()]).tolist())


@pytest.mark.parametrize("name", BASES)
@settings(max_examples=300)
@given(text=TEXTS)
def test_text_without_han_is_encoded_as_before(name: str, text: str) -> None:
    text = "".join(character for character in text if not is_han(character))
    before, after = ENCODERS[name]
    assert np.array_equal(before.encode_batch([text])[0], after.encode_batch([text])[0])


@pytest.mark.parametrize("name", BASES)
@settings(max_examples=300)
@given(text=st.text(st.sampled_from("机器学习模型需要大量的中文数据，。龘a 1")))
def test_boundaries_are_a_subset_and_text_comes_back(name: str, text: str) -> None:
    before, after = ENCODERS[name]
    assert ends(after, token_bytes(with_chinese(name)), text) <= ends(before, token_bytes(BASES[name]()), text)
    assert after.decode(after.encode_batch([text])[0]) == text


@pytest.mark.parametrize("name", BASES)
def test_new_tokens_are_chinese_made_of_two_older_ones_and_used(name: str) -> None:
    base, extended = BASES[name]()["model"], with_chinese(name)["model"]
    assert {token: extended["vocab"][token] for token in base["vocab"]} == base["vocab"]
    assert extended["merges"][: len(base["merges"])] == base["merges"]
    added = {token["content"] for token in with_chinese(name)["added_tokens"]}
    new = extended["vocab"].keys() - base["vocab"].keys() - added
    assert 10 < len(new) <= 30
    spelt = token_bytes(with_chinese(name))
    makers: dict[str, list[tuple[str, str]]] = {}
    for left, right in extended["merges"][len(base["merges"]) :]:
        makers.setdefault(left + right, []).append((left, right))
    for token in new:
        number = extended["vocab"][token]
        assert is_chinese(spelt[number])
        if token in makers:
            assert any(max(extended["vocab"][part] for part in pair) < number for pair in makers[token])
        else:  # with byte fallback, a character of its own
            assert extended["byte_fallback"]
            assert len(token) == 1
    before, after = ENCODERS[name]
    assert after.count(pa.array(CHINESE)).sum() * 1.3 < before.count(pa.array(CHINESE)).sum()


def test_new_ids_fill_the_free_ones_first() -> None:
    vocabulary = with_chinese("ranks")["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert vocabulary["<|end|>"] == len(RANKS) + 5


def test_with_byte_fallback_rare_characters_stay_bytes() -> None:
    def vocabulary(coverage: float) -> set[str]:
        base = BASES["byte_fallback"]()
        encoder = encoder_of(base)
        runs = word_runs(base, {"龘": 5, "机": 900, "器": 95})
        assert encoder.tokenizer.encode("龘").tokens[0] == "<0xE9>"
        return set(extend(base, runs, 10, coverage=coverage)["model"]["vocab"]) - set(base["model"]["vocab"])

    assert vocabulary(1.0) == {"龘", "机", "器"}
    assert vocabulary(0.99) == {"机", "器"}
    assert vocabulary(0.9) == {"机"}


def test_min_frequency_and_size_have_an_effect() -> None:
    base = BASES["byte_level"]()
    few = learn_from(base, [pa.array(CHINESE)], 5)
    assert len(few["model"]["vocab"]) == len(base["model"]["vocab"]) + 5
    rare = learn_from(base, [pa.array(CHINESE)], 30, min_frequency=6)
    assert len(rare["model"]["vocab"]) < len(with_chinese("byte_level")["model"]["vocab"])


def test_punctuation_may_begin_a_token_where_it_begins_a_pretoken() -> None:
    base = BASES["ranks"]()
    extended = learn_from(base, [pa.array(["，机器学习" * 9, "”，模型" * 9])], 40, allowed=is_chinese_or_punctuated)
    tokens = {token.decode(errors="replace") for token in token_bytes(extended).values()}
    assert "，机器学习" in tokens
    assert not any(token.startswith("，模") for token in tokens)
    with pytest.raises(ValueError, match="patterns of cl100k and Qwen only"):
        learn_from(BASES["sentencepiece"](), [pa.array(CHINESE)], 5, allowed=is_chinese_or_punctuated)


def test_a_base_that_splits_han_is_refused() -> None:
    base = BASES["byte_level"]()
    base["pre_tokenizer"]["pretokenizers"][0] = {**base["pre_tokenizer"]["pretokenizers"][0], "pattern": {"Regex": "."}}
    with pytest.raises(ValueError, match="splits between Han characters"):
        learn_from(base, [pa.array(CHINESE)], 5)


def test_word_lists_give_tokens_of_any_script() -> None:
    base = BASES["ranks"]()
    words = read_words("机器学习\t9\nunbelievable\t5\ntwo words\t9\ncat\t3\ncafe\u0301\t2\n")
    assert words["café"] == 2
    runs = word_runs(base, words)
    assert runs.num_rows == 3  # "two words" is split, "cat" is there
    extended = extend(base, runs, 100, allowed=is_whole)
    encoder = encoder_of(extended)
    for word in ("机器学习", "unbelievable", "café", "cat"):
        assert len(encoder.encode_batch([word])[0]) == 1
    assert all(is_whole(token) for number, token in token_bytes(extended).items() if number >= len(RANKS))
    assert len(encoder_of(extend(base, runs, 100, allowed=is_chinese)).encode_batch(["unbelievable"])[0]) > 1


@pytest.mark.parametrize("line", ["word", "\t5", "word\tmany"])
def test_a_wrong_line_of_a_word_list_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 of the word list"):
        read_words(f"a\t1\n{line}\n")


def test_single_digits_drop_tokens_of_several() -> None:
    ranks = RANKS | {b"12": len(RANKS), b"123": len(RANKS) + 1, b" x": len(RANKS) + 2}
    single = with_single_digits(from_ranks(ranks, CL100K_PATTERN, {"<|end|>": len(ranks)}))
    assert len(single["model"]["vocab"]) == len(ranks) - 2
    assert single["added_tokens"][0]["id"] == len(ranks) - 2
    assert encoder_of(single).tokenizer.encode("x 123").tokens == ["x", "Ġ", "1", "2", "3"]
    with pytest.raises(ValueError, match="cl100k's pattern"):
        with_single_digits(BASES["sentencepiece"]())


def test_han_is_what_unicode_calls_an_ideograph() -> None:
    for code_point in range(0x2000, 0x32400):
        name = unicodedata.name(chr(code_point), "")
        if name.startswith(("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH")):
            assert is_han(chr(code_point))
        elif name and chr(code_point) != "々":
            assert not is_han(chr(code_point))


def test_tokens_are_whole_han_or_what_only_han_begins_with() -> None:
    assert is_chinese("中国".encode())
    assert not is_chinese("中a".encode())
    assert not is_chinese("，中".encode())
    assert not is_chinese("カ".encode())
    assert is_chinese("中".encode()[:2])
    assert not is_chinese("中".encode()[:1])
    assert not is_chinese("中".encode()[1:])
    # E4 B7 begins both the last Han characters of Extension A and the hexagrams that follow them.
    assert not is_chinese("䷀".encode()[:2])
    assert is_chinese("𠀀".encode()[:3])
    assert is_chinese_or_punctuated("，中".encode())
    assert not is_chinese_or_punctuated("，".encode())
    assert not is_chinese_or_punctuated(",中".encode())


def test_qwens_variant_of_cl100k_is_the_beginning_of_qwens_vocabulary(shared_data: pathlib.Path) -> None:
    base, _ = real_base(shared_data, "cl100k_base.tiktoken")
    ranks = read_ranks((shared_data / "tokenizers" / "qwen.tiktoken").read_bytes())
    spelt = token_bytes(with_single_digits(base))
    assert spelt == {rank: token for token, rank in ranks.items() if rank < 99_156}


@pytest.mark.parametrize("name", ["cl100k_base.tiktoken", "mistral_v1_32k.spm.model"])
def test_real_bases_gain_chinese_and_lose_nothing(name: str, shared_data: pathlib.Path) -> None:
    articles = polars.read_ndjson(shared_data / "corpora" / "zh-articles.jsonl.zst", n_rows=800).get_column("text")
    base, before = real_base(shared_data, name)
    extended = learn_from(base, [pa.array(articles[:700].to_list())], 5000)
    after = encoder_of(extended)
    lines = [line for text in articles[700:] for line in text.splitlines() if sum(map(is_han, line)) > 0.7 * len(line)]
    # 5,000 tokens from 5 MB already save a third; 25,000 from 17 MB halve cl100k's tokens on such lines.
    assert before.count(pa.array(lines)).sum() / after.count(pa.array(lines)).sum() > 1.35
    choose = random.Random(1)
    code_points = [*range(0x20, 0x3400), *range(0xA000, 0xD800), *range(0xFF00, 0x1F800)]
    strings = ["".join(map(chr, choose.choices(code_points, k=12))) for _ in range(20_000)]
    others = [text for text in (*sample(shared_data, 60), *strings) if not any(map(is_han, text))]
    assert len(others) > 20_000
    old, new = before.encode_flat(others), after.encode_flat(others)
    assert np.array_equal(old[0], new[0])
    assert np.array_equal(old[1], new[1])
    spelt, longer = token_bytes(base), token_bytes(extended)
    for line in lines[:200]:
        assert ends(after, longer, line) <= ends(before, spelt, line)
