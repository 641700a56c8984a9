"""Encoding beside the library that defines the result: MB of text a second, one thread each, the same ids.

    python -m benchmarks.encode --data ../shared/data

Both forms of tokenizer are trained on the text first; then both encoders take the same held-out documents in turn, on
one core, since one of them starts a thread a core whatever it is told.
"""

import argparse
import os
import pathlib
import statistics
import time

import numpy as np

from benchmarks.tokenizer_forms import forms, read
from tokenizer_training.count import count_pretokens, counting
from tokenizer_training.encode import encoder_of
from tokenizer_training.options import TrainingOptions
from tokenizer_training.tokenizer import train

BATCH = 256


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=pathlib.Path, required=True)
    arguments.add_argument("--size", type=int, default=TrainingOptions.vocabulary)
    arguments.add_argument("--megabytes", type=int, default=40, help="of text to train on, about")
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    batches, held = read(options.data, options.megabytes)
    texts = [text for some in held.values() for text in some]
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts):,} documents, {size:.1f} MB; MB/s: this project, tokenizers, the ratio of their medians")
    for name in ("byte level", "byte fallback"):
        chosen = TrainingOptions(**forms(options.size)[name])
        counts = count_pretokens((batch.column("text") for batch in batches), counting(chosen))
        encoder = encoder_of(train(counts, chosen))
        seconds: dict[str, list[float]] = {"ours": [], "library": []}
        for _ in range(options.rounds):
            started = time.perf_counter()
            ours = [encoder.encode_flat(texts[at : at + BATCH])[0] for at in range(0, len(texts), BATCH)]
            seconds["ours"].append(time.perf_counter() - started)
            started = time.perf_counter()
            library = [
                encoding.ids
                for at in range(0, len(texts), BATCH)
                for encoding in encoder.tokenizer.encode_batch_fast(texts[at : at + BATCH], add_special_tokens=False)
            ]
            seconds["library"].append(time.perf_counter() - started)
        if not np.array_equal(np.concatenate(ours), np.concatenate(library)):
            raise AssertionError(f"{name}: the ids differ")
        fast, slow = (size / statistics.median(taken) for taken in seconds.values())
        print(f"{name:16}{fast:8.1f}{slow:8.1f}{fast / slow:8.1f}x", flush=True)


if __name__ == "__main__":
    main()
