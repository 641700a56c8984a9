"""Both algorithms give every text back, spell digits one by one, and take no text for a token that it looks like."""

import pytest
from hypothesis import given, settings
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from tests.tokenizer_training.samples import TEXTS, trained
from tokenizer_training.algorithms import (
    ALGORITHMS,
    CHATML,
    AlgorithmName,
    byte_alphabet,
    byte_characters,
    from_tokens,
    load,
)
from tokenizer_training.split import split

TOKENIZERS = {algorithm: load(trained(algorithm)) for algorithm in ALGORITHMS}
WRAPPED = {
    algorithm: PreTrainedTokenizerFast(tokenizer_object=tokenizer) for algorithm, tokenizer in TOKENIZERS.items()
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=2500)
@given(text=TEXTS)
def test_every_text_comes_back(algorithm: AlgorithmName, text: str) -> None:
    ids = TOKENIZERS[algorithm].encode(text).ids
    assert TOKENIZERS[algorithm].decode(ids, skip_special_tokens=False) == text
    assert WRAPPED[algorithm](text, add_special_tokens=False)["input_ids"] == ids
    assert WRAPPED[algorithm].decode(ids) == text


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_digits_stand_alone(algorithm: AlgorithmName) -> None:
    pieces = split("in 2023, ２０２３ ٢٠ Ⅷ½", ALGORITHMS[algorithm])
    assert [piece for piece in pieces if piece[-1].isnumeric()] == list("2023２０２３٢٠Ⅷ½")
    tokens = TOKENIZERS[algorithm].encode("112211 12 2").tokens
    assert not any("12" in token or "21" in token for token in tokens)


def test_an_unseen_character_becomes_its_bytes() -> None:
    assert TOKENIZERS["byte_fallback"].encode("😀").tokens == ["<0xF0>", "<0x9F>", "<0x98>", "<0x80>"]


def test_white_space_makes_pieces_of_its_own() -> None:
    assert TOKENIZERS["byte_fallback"].encode("    indented").tokens[0] == "    "


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ids_are_specials_first(algorithm: AlgorithmName) -> None:
    vocabulary = TOKENIZERS[algorithm].get_vocab()
    assert [vocabulary[token] for token in CHATML] == [0, 1, 2]
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))


def test_byte_characters_are_huggingfaces() -> None:
    assert sorted(byte_characters()) == sorted(ByteLevel.alphabet())
    for byte in range(0x80):
        assert (
            ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(chr(byte))[0][0]
            == byte_characters()[byte]
        )
    assert sorted(byte_alphabet()) == [bytes([byte]) for byte in range(256)]


def test_a_token_spelt_like_a_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="spelt like"):
        from_tokens(ALGORITHMS["byte_fallback"], [b"<0x41>"], [], CHATML)


def test_load_gives_a_tokenizer() -> None:
    assert isinstance(load(trained("byte_level")), Tokenizer)
