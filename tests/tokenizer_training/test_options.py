"""Options that could not give the tokenizer they ask for are refused, by the stage as by the trainer."""

from typing import Any

import pytest

from tokenizer_training.algorithms import AlgorithmName
from tokenizer_training.options import TrainingOptions
from tokenizer_training.tokenizer import TrainTokenizer


@pytest.mark.parametrize("owner", [TrainingOptions, TrainTokenizer])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "unigram"}, "algorithm must be one of .* got 'unigram'"),
        ({"vocabulary": 258}, "vocabulary must hold .* at least 259, got 258"),
        ({"chinese": -1}, "chinese must be at least 0, got -1"),
        ({"min_frequency": 0}, "min_frequency must be at least 1, got 0"),
        ({"max_token_length": 0}, "max_token_length must be at least 1, got 0"),
        ({"sample_threshold": 0}, "sample_threshold must be at least 1, got 0"),
        ({"coverage": 1.5}, "coverage must be above 0 and at most 1, got 1.5"),
        ({"digits": 2}, "digits must be one of 1, 3, got 2"),
        ({"digits": 3, "algorithm": "byte_fallback"}, "digits must be 1 for byte_fallback, as in SentencePiece, got 3"),
        ({"special_tokens": ["end"]}, "special_tokens: 'end'"),
        ({"special_tokens": ["<|a|>", "<|a|>"]}, r"special_tokens: '<\|a\|>' is given twice"),
        ({"special_tokens": [""]}, "special_tokens: ''"),
        ({"required_tokens": ["two words"]}, r"required_tokens: 'two words' .*: \['two', ' words'\]"),
        ({"required_tokens": ["a", "a"]}, "required_tokens: 'a' is given twice"),
        ({"required_tokens": ["a▁"]}, "required_tokens: 'a▁'"),
        ({"required_tokens": [""]}, "required_tokens: ''"),
    ],
)
def test_what_cannot_be_is_refused(owner: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^tokenizer: {message}"):
        owner(**options)


@pytest.mark.parametrize("algorithm", ["byte_fallback", "byte_level"])
def test_what_can_be_is_taken(algorithm: AlgorithmName) -> None:
    tokens = {"special_tokens": ["<|end|>"], "required_tokens": ["unthinkable", "人工智能"]}
    options = TrainingOptions(algorithm=algorithm, vocabulary=257, coverage=1.0, chinese=0, **tokens)  # type: ignore[arg-type]
    assert options.vocabulary == 257
