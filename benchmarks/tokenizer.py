"""Tokenizer training against its peers: CPU seconds, peak memory, and the compression of held-out text.

    python -m benchmarks.tokenizer --data ../shared/data --vocabulary 32000

Each trainer runs alone in a process of its own on the same mixed text, one after another; its time is all CPU time of
that process, imports included. Peers that are not installed are left out: tokenizers, sentencepiece, rustbpe 0.1.0 and
gigabpe 0.1.0 (which knows GPT-2's pattern only). Every 50th document is held out. `exact` must make the very merges of
HuggingFace's trainer, and the benchmark fails if it does not.
"""

import argparse
import base64
import importlib.util
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.dedup_quality import records
from tokenizer_training.algorithms import ALGORITHMS, QWEN_PATTERN, AlgorithmName
from tokenizer_training.count import count_pretokens, sample_rare
from tokenizer_training.encode import Encoder, encoder_of
from tokenizer_training.formats import from_ranks, from_sentencepiece, read_ranks, read_tokenizer
from tokenizer_training.options import TrainingOptions
from tokenizer_training.tokenizer import train

# Corpus, and how much of its text to take at most: about 160 MB, of which half is Chinese and a twelfth is code.
MIX = {
    "zh-articles": 70_000_000,
    "zh-poetry": 20_000_000,
    "zh-versions": 20_000_000,
    "multi-docs": 60_000_000,
    "multi-templated": 10_000_000,
    "en-c4-300": 10_000_000,
    "code-python": 20_000_000,
}
HELD_OUT = {"zh": ("zh-articles", "zh-poetry"), "en": ("multi-docs", "en-c4-300"), "code": ("code-python",)}
MIN_FREQUENCY = 2
NO_LIMIT = 1 << 20


def split_corpora(
    data: pathlib.Path, share: float = 1.0
) -> Iterator[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """Each corpus of `MIX`: its name, the records to train on, up to that share of its limit, and those held out."""
    for name, limit in MIX.items():
        to_train: list[dict[str, Any]] = []
        held_out: list[dict[str, Any]] = []
        taken = 0
        for number, record in enumerate(records(data / f"corpora/{name}.jsonl.zst")):
            if number % 50 == 0:
                held_out.append(record)
                continue
            taken += len(record["text"].encode())
            if taken > limit * share:
                break
            to_train.append(record)
        yield name, to_train, held_out


def write_mix(data: pathlib.Path, folder: pathlib.Path) -> dict[str, list[str]]:
    """Write the training text as Parquet and as plain text; return the held-out documents by language."""
    held: dict[str, list[str]] = {language: [] for language in HELD_OUT}
    texts: list[str] = []
    for name, to_train, held_out in split_corpora(data):
        texts += [record["text"] for record in to_train]
        for language, names in HELD_OUT.items():
            if name in names:
                kept = (record for record in held_out if record.get("lang", "en") in ("en", "en-US"))
                held[language] += [record["text"] for record in kept]
    # Row groups of a size that any corpus part has, so that no trainer gets all text at once.
    pq.write_table(pa.table({"text": pa.array(texts, pa.large_string())}), folder / "mix.parquet", row_group_size=2048)
    (folder / "mix.txt").write_text("\n".join(texts), newline="")
    print(f"{sum(len(text.encode()) for text in texts) / 1e6:.0f} MB of text in {len(texts):,} documents")
    return held


def arrays(folder: pathlib.Path) -> Iterator[pa.Array]:
    """The training text."""
    for batch in pq.ParquetFile(folder / "mix.parquet").iter_batches(2048):
        yield batch.column(0)


def strings(folder: pathlib.Path) -> Iterator[str]:
    """The training text, for trainers that take an iterator of strings."""
    for array in arrays(folder):
        yield from array.to_pylist()


def ours(
    folder: pathlib.Path, vocabulary: int, out: pathlib.Path, *, threshold: int, algorithm: AlgorithmName = "byte_level"
) -> None:
    """This project: counts, then merges."""
    counts = count_pretokens(arrays(folder), ALGORITHMS[algorithm])
    if threshold > 1:
        counts = sample_rare(counts, threshold)
    options = TrainingOptions(
        algorithm=algorithm,
        vocabulary=vocabulary,
        chinese=0,
        min_frequency=MIN_FREQUENCY,
        max_token_length=NO_LIMIT if algorithm == "byte_level" else 32,
        special_tokens=[],
    )
    out.write_text(json.dumps(train(counts, options)))


def huggingface(folder: pathlib.Path, vocabulary: int, out: pathlib.Path) -> None:
    """tokenizers' BpeTrainer with Qwen's pattern."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=MIN_FREQUENCY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(strings(folder), trainer)
    tokenizer.save(str(out))


def rustbpe(folder: pathlib.Path, vocabulary: int, out: pathlib.Path) -> None:
    """rustbpe with Qwen's pattern."""
    import rustbpe as package  # type: ignore[import-not-found]

    tokenizer = package.Tokenizer()
    tokenizer.train_from_iterator(strings(folder), vocabulary, pattern=QWEN_PATTERN)
    ranks = tokenizer.get_mergeable_ranks()
    out.write_bytes(b"".join(b"%s %d\n" % (base64.b64encode(bytes(token)), rank) for token, rank in ranks))


def gigabpe(folder: pathlib.Path, vocabulary: int, out: pathlib.Path) -> None:
    """gigabpe with the pattern that it has."""
    import gigabpe as package  # type: ignore[import-not-found]

    package.train_tokenizer(
        [str(folder / "mix.txt")],
        vocabulary,
        str(out),
        special_tokens=[],
        min_frequency=MIN_FREQUENCY,
        pretokenizer="bytelevel",
    )


def sentencepiece(folder: pathlib.Path, vocabulary: int, out: pathlib.Path) -> None:
    """SentencePiece's BPE, as LLaMA and Baichuan 2 configure it, on lines."""
    import sentencepiece as package

    with out.open("wb") as model:
        package.SentencePieceTrainer.train(
            input=str(folder / "mix.txt"),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocabulary,
            character_coverage=0.9999,
            byte_fallback=True,
            split_digits=True,
            allow_whitespace_only_pieces=True,
            remove_extra_whitespaces=False,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            max_sentencepiece_length=32,
            max_sentence_length=1 << 20,
            num_threads=os.cpu_count(),
            minloglevel=2,
        )


TRAINERS = {
    "exact": lambda *arguments: ours(*arguments, threshold=1),
    "sampled": lambda *arguments: ours(*arguments, threshold=10),
    "exact, pieces": lambda *arguments: ours(*arguments, threshold=1, algorithm="byte_fallback"),
    "sampled, pieces": lambda *arguments: ours(*arguments, threshold=10, algorithm="byte_fallback"),
    "tokenizers": huggingface,
    "sentencepiece": sentencepiece,
    "rustbpe": rustbpe,
    "gigabpe": gigabpe,
}
PEERS = ("sentencepiece", "rustbpe", "gigabpe")


def read(name: str, path: pathlib.Path) -> Encoder:
    """What a trainer made, ready to encode."""
    if name == "sentencepiece":
        return encoder_of(from_sentencepiece(path.read_bytes()))
    if name == "rustbpe":
        return encoder_of(from_ranks(read_ranks(path.read_bytes()), QWEN_PATTERN, {}))
    return encoder_of(read_tokenizer(str(path)))


def run_alone(name: str, folder: pathlib.Path, vocabulary: int, out: pathlib.Path) -> tuple[float, float]:
    """CPU seconds and peak GB of a trainer in a new process, which prints them."""
    arguments = [sys.executable, "-m", "benchmarks.tokenizer", "--train", name, str(folder), str(vocabulary), str(out)]
    printed = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, memory = printed.split()[-2:]
    return float(seconds), float(memory)


def print_usage() -> None:
    """CPU seconds and peak GB of this process. (ru_maxrss would not do: a child starts with its parent's.)"""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    (line,) = (line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    print(usage.ru_utime + usage.ru_stime, int(line.split()[1]) / 1e6)


def merges(path: pathlib.Path) -> list[list[str]]:
    """The merges of a tokenizer.json, in order."""
    return json.loads(path.read_text())["model"]["merges"]


def main() -> None:
    """Run the benchmark, or one trainer of it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=pathlib.Path)
    arguments.add_argument("--vocabulary", type=int, default=32000)
    arguments.add_argument("--only", nargs="*", default=list(TRAINERS))
    arguments.add_argument("--train", nargs=4, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.train:
        name, folder, vocabulary, out = options.train
        TRAINERS[name](pathlib.Path(folder), int(vocabulary), pathlib.Path(out))
        print_usage()
        return
    with tempfile.TemporaryDirectory() as folder_name:
        folder = pathlib.Path(folder_name)
        held = write_mix(options.data, folder)
        # Compile the kernels, which numba then finds in its cache.
        train(count_pretokens([pa.array(["aaa"])], ALGORITHMS["byte_level"]), TrainingOptions(algorithm="byte_level"))
        print(
            f"\n{options.vocabulary:,} entries\n{'':18}{'CPU s':>8}{'GB':>8}  bytes/token held out: {', '.join(held)}"
        )
        for name in options.only:
            if name in PEERS and importlib.util.find_spec(name) is None:
                print(f"{name:18} not installed")
                continue
            out = folder / f"{name}.out".replace(", ", "-")
            out = out.with_suffix(".json") if name not in ("sentencepiece", "rustbpe") else out
            seconds, memory = run_alone(name, folder, options.vocabulary, out)
            encoder = read(name, out)
            rates = []
            for texts in held.values():
                ids, _ = encoder.encode_flat(texts)
                rates.append(f"{sum(len(text.encode()) for text in texts) / len(ids):.3f}")
            print(f"{name:18}{seconds:>8.1f}{memory:>8.2f}  {'  '.join(rates)}", flush=True)
        exact, other = folder / "exact.json", folder / "tokenizers.json"
        if exact.exists() and other.exists():
            if merges(exact) != merges(other):
                raise AssertionError("exact mode does not make the merges of HuggingFace's trainer")
            print(f"exact = tokenizers: all {len(merges(exact)):,} merges are the same")


if __name__ == "__main__":
    main()
