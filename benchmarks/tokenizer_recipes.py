"""The tokenizers of the recipes at full size: what they promise, and bytes a token beside references you bring.

    python -m benchmarks.tokenizer_recipes --data ../shared/data
    python -m benchmarks.tokenizer_recipes --data ../shared/data --recipes llama baichuan1 --megabytes 40

All learn from the mix of `benchmarks.tokenizer`, of which every 50th document is held out. The references are the files
in DATA/tokenizers; two of them are also extended, see `BASES`. The last column has the tokens of the first by name over
those of each tokenizer.
"""

import argparse
import itertools
import pathlib
import time
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.tokenizer import MIX
from benchmarks.tokenizer_forms import GROUPS, read
from datapipe.commands.recipes import RECIPES
from datapipe.engine.recipe import load_recipe
from tokenizer_training.algorithms import TokenizerJson
from tokenizer_training.count import count_by_group, counting, named, once, weighted
from tokenizer_training.encode import Encoder, encoder_of
from tokenizer_training.extend import with_single_digits
from tokenizer_training.extended_tokenizer import ExtendTokenizer
from tokenizer_training.formats import read_tokenizer, token_bytes
from tokenizer_training.options import TrainingOptions
from tokenizer_training.tokenizer import TrainTokenizer, train

NAMES = ("llama", "baichuan1", "chatglm2", "baichuan2", "glm130b", "skywork", "qwen")
# Of the references, what a recipe extends: cl100k_base as Qwen; for LLaMA's, which is not ours to give, Mistral's.
BASES = {"qwen": "cl100k_base", "skywork": "mistral"}
HARD = [
    "def f(x):\n        return  x\n\t\t# ok",
    "ＡＢＣ　１２３，全角。",
    " a",
    "a ",
    "Ünseen 🜚 \u2028",
    "2023年，１２ 龘",
]


def stages(name: str) -> tuple[TrainTokenizer, ExtendTokenizer | None]:
    """The stages of a recipe that make its tokenizer."""
    loaded = load_recipe(str(RECIPES / f"{name}.yaml"), {"input_parent": "in", "output": "out"}).stages
    trained = next(stage for stage in loaded if isinstance(stage, TrainTokenizer))
    return trained, next((stage for stage in loaded if isinstance(stage, ExtendTokenizer)), None)


def check(tokenizer: TokenizerJson, encoder: Encoder, max_characters: int | None) -> str:
    """What the tokenizer promises, in a few words.

    Raises:
        AssertionError: if it does not keep it.
    """
    for text in HARD:
        if encoder.decode(encoder.encode_batch([text])[0]) != text:
            raise AssertionError(f"{text!r} does not come back")
    one, four = map(len, encoder.encode_batch(["3", "2023"]))
    if four != one + 3:
        raise AssertionError("2023 is not four tokens")
    spelt = token_bytes(tokenizer)
    said = ["round trip", "single digits"]
    if tokenizer["model"]["byte_fallback"]:
        longest = max(len(token.decode(errors="replace")) for token in spelt.values())
        if max_characters and longest > max_characters:
            raise AssertionError(f"a piece of {longest} characters")
        said.append(f"pieces of {longest} characters at most")
    ids = sorted({*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])})
    if ids != list(range(len(ids))):
        raise AssertionError("ids have gaps")
    return ", ".join(said)


def check_extension(base: TokenizerJson, tokenizer: TokenizerJson, texts: list[str]) -> str:
    """What an extended tokenizer promises, in a few words.

    Raises:
        AssertionError: if it does not keep it.
    """
    old, new = ([token for _, token in sorted(token_bytes(of).items())] for of in (base, tokenizer))
    kept = [token for token in old if not (len(token) > 1 and token.isdigit())]
    for prefix in (old, kept):
        if new[: len(prefix)] == prefix:
            break
    else:
        raise AssertionError("the entries of the base are not a prefix, in order")
    said = ["prefix in order"]
    bounds = []
    for of in (with_single_digits(base) if prefix is kept else base, tokenizer):
        spelt = token_bytes(of)
        lengths = np.zeros(max(spelt) + 1, np.int64)  # of special tokens texts have none
        lengths[list(spelt)] = [len(token) for token in spelt.values()]
        flat, _ = encoder_of(of).encode_flat(texts)
        bounds.append(np.cumsum(lengths[flat]))
    if bounds[0][-1] != bounds[1][-1] or not np.isin(bounds[1], bounds[0]).all():
        raise AssertionError("a boundary that the base does not have")
    said.append("boundaries among the base's")
    if not tokenizer["model"]["byte_fallback"]:
        ids = {token: number for number, token in enumerate(new)}
        open_ones = sum(len(token) > 1 and len(by_lower(token, ids, number)) != 2 for token, number in ids.items())
        if open_ones:
            raise AssertionError(f"{open_ones} tokens do not come down to two of lower id")
        said.append("closure")
    return ", ".join(said)


def by_lower(token: bytes, ids: dict[bytes, int], limit: int) -> list[bytes]:
    """A token encoded by the tokens of lower id alone, as tiktoken merges: the lowest id first."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 1:
        best, place = min((ids.get(a + b, limit), place) for place, (a, b) in enumerate(itertools.pairwise(parts)))
        if best >= limit:
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=pathlib.Path, required=True)
    arguments.add_argument("--recipes", nargs="*", default=NAMES, choices=NAMES)
    arguments.add_argument("--megabytes", type=int, default=sum(MIX.values()) // 1_000_000, help="of text, about")
    options = arguments.parse_args()
    batches, held = read(options.data, options.megabytes)
    references = sorted((options.data / "tokenizers").iterdir())
    counts: dict[str, pa.Table] = {}

    def counted(algorithm: Any) -> pa.Table:
        if algorithm not in counts:
            spilled, _ = count_by_group(batches, counting(TrainingOptions(algorithm=algorithm)), GROUPS)
            counts[algorithm] = weighted(named(spilled, GROUPS), once)[0]
        return counts[algorithm]

    texts = [text for own in held.values() for text in own]
    characters = sum(map(len, texts))
    first = 0
    print(f"| tokenizer | entries | {' | '.join(held)} | tokens a character | ratio | what it keeps |")
    print("|" + "---|" * (len(held) + 5))

    def show(name: str, tokenizer: TokenizerJson, said: str) -> None:
        nonlocal first
        encoder = encoder_of(tokenizer)
        rates, tokens = [], 0
        for own in held.values():
            ids, _ = encoder.encode_flat(own)
            rates.append(f"{sum(len(text.encode()) for text in own) / len(ids):.2f}")
            tokens += len(ids)
        first = first or tokens
        entries = len({*tokenizer["model"]["vocab"], *(token["content"] for token in tokenizer["added_tokens"])})
        figures = f"{tokens / characters:.3f} | {first / tokens:.2f}"
        print(f"| {name} | {entries:,} | {' | '.join(rates)} | {figures} | {said} |", flush=True)

    for path in references:
        show(path.name.split(".")[0], read_tokenizer(str(path)), "as it is")
    for name in options.recipes:
        started = time.process_time()
        training, extending = stages(name)
        base = next((path for path in references if path.name.startswith(BASES.get(name, "/"))), None)
        tokenizer = read_tokenizer(str(base)) if base else train(counted(training.algorithm), training)
        grown = ""
        if extending:
            original = tokenizer
            tokenizer, summary = extending.grown(tokenizer, counted(extending.algorithm(tokenizer)))
            grown = "; {base:,} - {dropped:,} + {characters:,} + {tokens:,} + {special_tokens:,}".format(**summary)
        seconds = time.process_time() - started
        said = check(tokenizer, encoder_of(tokenizer), None if extending else training.max_token_length)
        if extending:
            said += f", {check_extension(original, tokenizer, texts[:: 1 + len(texts) // 500])}"
        show(name, tokenizer, f"{said}{grown}; {seconds:.0f} s")


if __name__ == "__main__":
    main()
