"""The forms that a tokenizer can have, at one size: bytes a token on held-out text of each corpus.

    python -m benchmarks.tokenizer_forms --data ../shared/data

All are trained on the mix of `benchmarks.tokenizer`, of which every 50th document is held out; each form learns from
counts that were made once for its algorithm. Another size, digit rule or weight of a source is trained from the counts,
and from the text anew: both must be the same tokenizer, and their seconds stand side by side.
"""

import argparse
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from benchmarks.tokenizer import MIX, split_corpora
from tokenizer_training.algorithms import ALGORITHMS, TokenizerJson
from tokenizer_training.count import count_by_group, count_pretokens, counting, named, once, weighted
from tokenizer_training.encode import encoder_of
from tokenizer_training.options import TrainingOptions
from tokenizer_training.tokenizer import train

GROUPS = [(name, "") for name in sorted(MIX)]
BATCH = 2048


def forms(size: int) -> dict[str, dict[str, Any]]:
    """The options of each form with `size` entries, by the name in the table; the first is the default of recipes."""
    chinese = size // 5
    pieces = {"algorithm": "byte_fallback"}
    return {
        "byte level": {"vocabulary": size},
        "digits by threes": {"vocabulary": size, "digits": 3},
        "Chinese on top": {"vocabulary": size - chinese, "chinese": chinese},
        "byte fallback": {"vocabulary": size, **pieces},
        "Chinese on top, too": {"vocabulary": size - chinese, "chinese": chinese, **pieces},
        "spaces within": {"vocabulary": size, "sentencepiece": False, **pieces},
    }


def read(data: pathlib.Path, megabytes: int) -> tuple[list[pa.RecordBatch], dict[str, list[str]]]:
    """Batches to train on, with their source, and the held-out texts of each corpus."""
    batches: list[pa.RecordBatch] = []
    held: dict[str, list[str]] = {}
    for name, to_train, held_out in split_corpora(data, megabytes * 1e6 / sum(MIX.values())):
        held[name] = [record["text"] for record in held_out]
        texts = [record["text"] for record in to_train]
        for start in range(0, len(texts), BATCH):
            some = texts[start : start + BATCH]
            batches.append(pa.record_batch({"text": pa.array(some, pa.large_string()), "source": [name] * len(some)}))
    return batches, held


def weight(source: str, _language: str = "") -> int:
    """Chinese counts three times."""
    return 3 if source.startswith("zh-") else 1


def weighted_texts(batches: list[pa.RecordBatch]) -> Iterator[tuple[pa.Array, pa.Array]]:
    """The texts with how often each counts, from nothing but the text and its source."""
    for batch in batches:
        yield batch.column("text"), pa.array([weight(source) for source in batch.column("source").to_pylist()])


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=pathlib.Path, required=True)
    arguments.add_argument("--size", type=int, default=TrainingOptions.vocabulary)
    arguments.add_argument("--megabytes", type=int, default=sum(MIX.values()) // 1_000_000, help="of text, about")
    options = arguments.parse_args()
    batches, held = read(options.data, options.megabytes)
    warm = count_pretokens([pa.array(["a b a b"])], ALGORITHMS["byte_level"])
    for algorithm in ALGORITHMS:
        train(warm, TrainingOptions(algorithm=algorithm))
    counts, seconds = {}, {}
    for algorithm in ALGORITHMS:
        started = time.process_time()
        spilled, _ = count_by_group(batches, counting(TrainingOptions(algorithm=algorithm)), GROUPS)
        counts[algorithm] = named(spilled, GROUPS)
        seconds[algorithm] = time.process_time() - started
    print(f"bytes a token at {options.size:,} entries; CPU seconds: counting, then training from counts")
    print(f"{'':22}" + "".join(f"{name:>16}" for name in held))
    for name, form in forms(options.size).items():
        chosen = TrainingOptions(**form)
        started = time.process_time()
        tokenizer = train(weighted(counts[chosen.algorithm], once)[0], chosen)
        trained = time.process_time() - started
        rates = "".join(f"{rate:>16.3f}" for rate in bytes_per_token(tokenizer, held))
        print(f"{name:22}{rates}   {seconds[chosen.algorithm]:.1f} + {trained:.1f}", flush=True)
    print("\ntrained from counts, CPU seconds | from text | the same tokenizer")
    for name, changes, factor in (
        ("half the size", {"vocabulary": options.size // 2}, None),
        ("digits by threes", {"vocabulary": options.size, "digits": 3}, None),
        ("Chinese three times", {"vocabulary": options.size}, weight),
    ):
        chosen = TrainingOptions(**changes)
        started = time.process_time()
        table, unit = weighted(counts["byte_level"], factor or once)
        quick = train(table, chosen, unit=unit)
        middle = time.process_time()
        texts = weighted_texts(batches) if factor else (batch.column("text") for batch in batches)
        full = train(count_pretokens(texts, chosen.rules), chosen)
        print(f"{name:22}{middle - started:6.1f}{time.process_time() - middle:10.1f}   {quick == full}", flush=True)
        if quick != full:
            raise AssertionError(f"{name}: trained from counts, the tokenizer is another one")


def bytes_per_token(tokenizer: TokenizerJson, held: dict[str, list[str]]) -> Iterator[float]:
    """For each corpus."""
    encoder = encoder_of(tokenizer)
    for texts in held.values():
        ids, _ = encoder.encode_flat(texts)
        yield sum(len(text.encode()) for text in texts) / len(ids)


if __name__ == "__main__":
    main()
