"""Chinese augmentation: more tokens for Han text on top of any tokenizer, which leave all other text exactly as it was.

A new token consists of whole Han characters, so a text without Han never meets one; and new merges rank after all old
ones, so they only ever join what the base left apart: Chinese boundaries are a subset of the base's. What is counted is
therefore not text but the base's own tokens: runs of neighbours that could become part of a Chinese token.
"""

import functools
import itertools
import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.kernels import kernel
from tokenizer_training.algorithms import (
    ALGORITHMS,
    CL100K_PATTERN,
    QWEN_PATTERN,
    TokenizerJson,
    byte_characters,
    byte_token,
    split_by,
)
from tokenizer_training.cells import NONE, Int32, Int64, words_in_cells
from tokenizer_training.count import SCHEMA, count_pretokens, summed
from tokenizer_training.encode import Encoder, encoder_of
from tokenizer_training.formats import is_byte_level, token_bytes
from tokenizer_training.learn import Allowed, Learner, Progress
from tokenizer_training.options import TrainingOptions
from tokenizer_training.prune import prune

RUNS = pa.schema([("run", pa.large_binary()), ("count", pa.int64())])

# Unified ideographs with their extensions and compatibility forms, and the iteration mark: what is written in Chinese.
HAN_RANGES = (
    (0x3005, 0x3005),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2EE5D),
    (0x2F800, 0x2FA1F),
    (0x30000, 0x323AF),
)


def is_han(character: str) -> bool:
    """Whether a character is a Han character."""
    return any(first <= ord(character) <= last for first, last in HAN_RANGES)


@functools.cache
def _han_prefixes() -> frozenset[bytes]:
    """The UTF-8 prefixes of two bytes or more that only Han characters have."""
    number: dict[bytes, int] = {}
    for first, last in HAN_RANGES:
        for code_point in range(first, last + 1):
            encoded = chr(code_point).encode()
            for length in range(2, len(encoded)):
                number[encoded[:length]] = number.get(encoded[:length], 0) + 1
    # A prefix of n bytes of a character of m stands for 64 ** (m - n) characters.
    return frozenset(
        prefix for prefix, han in number.items() if han == 64 ** ((3 if prefix[0] < 0xF0 else 4) - len(prefix))
    )


@functools.cache
def is_chinese(token: bytes) -> bool:
    """Whether a token is whole Han characters, or the first bytes of what can only be one.

    >>> is_chinese("中国".encode()), is_chinese("中a".encode()), is_chinese("中".encode()[:2])
    (True, False, True)
    """
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return token in _han_prefixes()
    return all(map(is_han, text))


def is_chinese_or_punctuated(token: bytes) -> bool:
    """As `is_chinese`, or one full-width or CJK punctuation mark before whole Han characters."""
    if is_chinese(token):
        return True
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return False
    return _is_cjk_mark(text[0]) and len(text) > 1 and all(map(is_han, text[1:]))


def _is_cjk_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "P" and unicodedata.east_asian_width(character) in ("W", "F")


def is_whole(token: bytes) -> bool:
    """Whether a token is whole characters of any script, or part of a single one: the rule for word lists."""
    try:
        token.decode()
    except UnicodeDecodeError:
        return len(token) < 4 and token[0] >= 0xC0 and all(byte < 0xC0 for byte in token[1:])
    return True


def can_be_part(token: bytes, allowed: Allowed) -> bool:
    """Whether a token that fits the rule may contain this one: itself fits it, or is a fragment of characters."""
    if allowed is is_whole or allowed(token):
        return True
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return min(token) >= 0x80
    return allowed is is_chinese_or_punctuated and len(text) == 1 and _is_cjk_mark(text)


def count_runs(counts: pa.Table, encoder: Encoder, mergeable: npt.NDArray[np.bool_]) -> pa.Table:
    """How often runs of neighbouring tokens occur that could be merged further.

    Args:
        counts: a table of `count.SCHEMA`: pre-tokens, or whole texts where the base does not split.
        encoder: of the base.
        mergeable: for each id, whether it may be part of a new token.

    Returns:
        A table of `RUNS`: distinct runs of two tokens or more, as bytes of uint32 ids.
    """
    found, waiting = [RUNS.empty_table()], 0
    for batch in counts.to_batches(max_chunksize=1 << 16):
        ids, offsets = encoder.encode_flat(batch.column(0).to_pylist())
        kept = mergeable[ids]
        breaks = np.ones(len(ids) + 1, bool)
        breaks[1:-1] = ~kept[1:] | ~kept[:-1]
        breaks[offsets] = True
        bounds = np.flatnonzero(breaks)
        lengths = np.diff(bounds)
        long = lengths > 1
        texts = np.searchsorted(offsets, bounds[:-1][long], side="right") - 1
        data = ids[np.repeat(long, lengths)]
        starts = np.concatenate([[0], np.cumsum(lengths[long])]) * data.itemsize
        buffers = [None, pa.py_buffer(starts), pa.py_buffer(data)]
        runs = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(texts), buffers)
        found.append(_sum_runs([pa.table([runs, batch.column(1).to_numpy()[texts]], schema=RUNS)]))
        waiting += len(found[-1])
        if waiting > len(found[0]):  # to add each to the sum of all before would take the square of the time
            found, waiting = [_sum_runs(found)], 0
    return _sum_runs(found)


def _sum_runs(tables: list[pa.Table]) -> pa.Table:
    return summed(pa.concat_tables(tables), ["run"]).cast(RUNS)


class _Runs(NamedTuple):
    """Runs of tokens, as kernels read a table of `RUNS`.

    Attributes:
        ids: the tokens of all runs, one run after another.
        offsets: where each run starts in `ids`, and where the last one ends; shape (runs + 1,).
        counts: how often each run occurs; shape (runs,).
    """

    ids: npt.NDArray[np.uint32]
    offsets: Int64
    counts: Int64


class _Fallback(NamedTuple):
    """How characters are spelt in bytes.

    Attributes:
        byte_of: for each id, the byte that it stands for as a byte fallback, or -1.
        character_ids: for each code point, its new symbol, or -1; shape (0x110000,).
    """

    byte_of: Int32
    character_ids: Int32


@kernel
def _lay_out_runs(runs: _Runs, lengths: Int32, fallback: _Fallback, cells: Int32, starts: Int64) -> int:
    """Write runs of tokens into cells, one for each byte; returns how many cells were used.

    Bytes that a character fell back to become the character's new symbol, or cannot be merged.

    Args:
        runs: the runs.
        lengths: how many cells each symbol takes.
        fallback: how characters are spelt in bytes.
        cells, starts: filled, see `cells.Words`.
    """
    at = 1
    for run in range(len(runs.counts)):
        starts[run] = at
        position = runs.offsets[run]
        stop = runs.offsets[run + 1]
        while position < stop:
            symbol = int(runs.ids[position])
            first = int(fallback.byte_of[symbol])
            position += 1
            length = int(lengths[symbol])
            if first >= 0:
                more = 3 if first >= 0xF0 else 2 if first >= 0xE0 else 1 if first >= 0xC0 else 0
                symbol = -1
                if more > 0 and position + more <= stop:
                    code_point = first & (0x3F >> more)
                    for _ in range(more):
                        code_point = code_point << 6 | (int(fallback.byte_of[runs.ids[position]]) & 0x3F)
                        position += 1
                    symbol = int(fallback.character_ids[code_point])
                length = 1 + more
            if symbol >= 0:
                cells[at] = symbol
                if length > 1:
                    cells[at + length - 1] = ~symbol
            at += length
        cells[at] = NONE
        at += 1
    starts[len(runs.counts)] = at
    return at


def extend(
    tokenizer: TokenizerJson,
    runs: pa.Table,
    size: int,
    *,
    min_frequency: int = TrainingOptions.min_frequency,
    allowed: Allowed = is_chinese,
    coverage: float = TrainingOptions.coverage,
    progress: Progress | None = None,
) -> TokenizerJson:
    """A tokenizer with more tokens: those it had keep their ids, the new ones take the lowest that are free.

    Each new token has one merge that makes it of two older entries. With byte fallback, characters that the base spells
    in bytes come first, as entries of their own, most frequent first, until `coverage` is reached.

    Args:
        tokenizer: the base.
        runs: what to learn from, by `count_runs` or `word_runs`.
        size: how many tokens to add at most.
        min_frequency: a pair or character that occurs less often is left.
        allowed: which tokens may be made.
        coverage: for byte fallback, the share of characters in the runs to be entries.
        progress: see `Learner.learn`.
    """
    spelt = token_bytes(tokenizer)
    highest = max([*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])])
    byte_of = _fallback_bytes(tokenizer, highest)
    # Entries that are no text get a name that no bytes of a text can have.
    symbols = [
        spelt[number] if number in spelt and byte_of[number] < 0 else b"\xff%d" % number
        for number in range(highest + 1)
    ]
    flat = _flat(runs)
    characters = _new_characters(flat, byte_of, coverage, min_frequency, allowed)[:size]
    character_ids = np.full(0x110000, -1, np.int32)
    for number, character in enumerate(characters, len(symbols)):
        character_ids[ord(character)] = number
    symbols += [character.encode() for character in characters]
    lengths = np.array([len(spelt.get(number, b"?")) for number in range(highest + 1)], np.int32)
    lengths = np.concatenate([lengths, np.array([len(symbol) for symbol in symbols[highest + 1 :]], np.int32)])
    cells = np.full(int(lengths[flat.ids].sum()) + len(runs) + 2, NONE, np.int32)
    starts = np.zeros(len(runs) + 1, np.int64)
    used = _lay_out_runs(flat, lengths, _Fallback(byte_of, character_ids), cells, starts)
    learner = Learner(symbols, words_in_cells(cells[: used + 1], starts, flat.counts), lengths)
    learner.learn(highest + 1 + size, min_frequency=min_frequency, allowed=allowed, progress=progress)
    return _with_tokens(tokenizer, learner, highest + 1)


def _flat(runs: pa.Table) -> _Runs:
    array = runs.column("run").combine_chunks()
    counts = runs.column("count").to_numpy()
    _, offsets, data = array.buffers()
    if not len(array):
        return _Runs(np.zeros(0, np.uint32), np.zeros(1, np.int64), counts)
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1] // 4
    return _Runs(np.frombuffer(data, np.uint32, int(bounds[-1])), bounds, counts)


def _fallback_bytes(tokenizer: TokenizerJson, highest: int) -> Int32:
    """For each id, the byte that it stands for as a byte fallback, or -1."""
    byte_of = np.full(highest + 1, -1, np.int32)
    if tokenizer["model"]["byte_fallback"]:
        for byte in range(256):
            byte_of[tokenizer["model"]["vocab"][byte_token(byte)]] = byte
    return byte_of


def _new_characters(runs: _Runs, byte_of: Int32, coverage: float, min_frequency: int, allowed: Allowed) -> list[str]:
    """The characters spelt in bytes that reach the coverage, the most frequent first."""
    if not (byte_of >= 0).any():
        return []
    frequency = _fallback_characters(runs, byte_of)
    # All other tokens of the runs are taken for one character each.
    is_character = (byte_of[runs.ids] < 0).astype(np.int64)
    others = int(np.add.reduceat(is_character, runs.offsets[:-1]) @ runs.counts) if len(runs.counts) else 0
    order = np.argsort(-frequency, kind="stable")[: np.count_nonzero(frequency)]
    before = others + np.cumsum(frequency[order]) - frequency[order]
    chosen = order[(before < coverage * (others + frequency.sum())) & (frequency[order] >= min_frequency)]
    return [chr(code_point) for code_point in chosen.tolist() if allowed(chr(code_point).encode())]


@kernel
def _fallback_characters(runs: _Runs, byte_of: Int32) -> Int64:
    """How often each code point is spelt in bytes, shape (0x110000,)."""
    frequency = np.zeros(0x110000, np.int64)
    for run in range(len(runs.counts)):
        position = runs.offsets[run]
        while position < runs.offsets[run + 1]:
            first = int(byte_of[runs.ids[position]])
            position += 1
            if first >= 0xC0:
                more = 3 if first >= 0xF0 else 2 if first >= 0xE0 else 1
                if position + more > runs.offsets[run + 1]:
                    break
                code_point = first & (0x3F >> more)
                for _ in range(more):
                    code_point = code_point << 6 | (int(byte_of[runs.ids[position]]) & 0x3F)
                    position += 1
                frequency[code_point] += runs.counts[run]
    return frequency


def _with_tokens(tokenizer: TokenizerJson, learner: Learner, base: int) -> TokenizerJson:
    """The tokenizer with what a learner added to `base` symbols, at the lowest free ids."""
    model = tokenizer["model"]
    characters = byte_characters()
    vocabulary: dict[str, int] = {token["content"]: token["id"] for token in tokenizer["added_tokens"]} | model["vocab"]
    taken = set(vocabulary.values())
    free = (number for number in itertools.count() if number not in taken)
    names = {number: name for name, number in model["vocab"].items()}
    for symbol, token in enumerate(learner.tokens[base:], base):
        if is_byte_level(tokenizer):
            names[symbol] = "".join(characters[byte] for byte in token)
        else:
            names[symbol] = token.decode()
        vocabulary[names[symbol]] = next(free)
    # A pair that was merged twice has the rank of the first time.
    merges = dict.fromkeys((names[left], names[right]) for left, right in learner.merges)
    ordered = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    return {**tokenizer, "model": {**model, "vocab": ordered, "merges": model["merges"] + [[*pair] for pair in merges]}}


def learn_from(
    tokenizer: TokenizerJson,
    texts: Iterable[pa.Array],
    size: int,
    *,
    allowed: Allowed = is_chinese,
    min_frequency: int = TrainingOptions.min_frequency,
    progress: Progress | None = None,
) -> TokenizerJson:
    """The tokenizer extended by what occurs in texts; the options are those of `extend`.

    Raises:
        ValueError: if the base splits between Han characters, so that no token of several could ever apply; or if the
            rule lets punctuation in and the base's pattern is neither Qwen's nor cl100k's.
    """
    encoder = encoder_of(tokenizer)
    if len(_pretokens(encoder, "中文分词测试")) > 1:
        raise ValueError("this tokenizer splits between Han characters before it encodes: Chinese tokens cannot apply")
    if pattern_of(tokenizer) in (QWEN_PATTERN, CL100K_PATTERN):
        # They differ in digits only, which no new token holds.
        counts = count_pretokens(texts, ALGORITHMS["byte_level"])
    elif allowed is is_chinese:
        # Runs of Han are never split: they need no pre-tokens.
        once = ([array.fill_null("").cast(pa.large_string()), np.ones(len(array), np.int64)] for array in texts)
        counts = pa.concat_tables([SCHEMA.empty_table(), *(pa.table(columns, schema=SCHEMA) for columns in once)])
    else:
        raise ValueError("tokens with punctuation can be learnt for the patterns of cl100k and Qwen only")
    runs = count_runs(counts, encoder, mergeable(tokenizer, allowed))
    return extend(tokenizer, runs, size, allowed=allowed, min_frequency=min_frequency, progress=progress)


def pattern_of(tokenizer: TokenizerJson) -> str | None:
    """The regular expression that a tokenizer splits by, if it does so by one."""
    pre_tokenizer = tokenizer["pre_tokenizer"] or {}
    (first, *_) = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    return first.get("pattern", {}).get("Regex")


def mergeable(tokenizer: TokenizerJson, allowed: Allowed) -> npt.NDArray[np.bool_]:
    """For each id, whether it may be part of a token that fits the rule."""
    spelt = token_bytes(tokenizer)
    highest = max([*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])])
    return np.array([number in spelt and can_be_part(spelt[number], allowed) for number in range(highest + 1)])


def word_runs(tokenizer: TokenizerJson, words: Mapping[str, int]) -> pa.Table:
    """The runs of a user's words with their frequencies, for `extend`.

    Words that the base splits before it encodes are left out, since no token can span them, and those it has already.
    """
    encoder = encoder_of(tokenizer)
    unsplit = {word: count for word, count in words.items() if len(_pretokens(encoder, word)) == 1}
    encoded = zip(unsplit.values(), encoder.encode_batch(list(unsplit)), strict=True)
    runs = [(ids.tobytes(), count) for count, ids in encoded if len(ids) > 1]
    return _sum_runs([pa.table([[run for run, _ in runs], [count for _, count in runs]], schema=RUNS)])


def read_words(content: str) -> dict[str, int]:
    """A word list: a word, a tab and its frequency a line, as Qwen's; normalized to NFC.

    Raises:
        ValueError: naming the first line that is not so.

    >>> read_words("机器学习\\t9\\ncafe\\u0301\\t2\\n")
    {'机器学习': 9, 'café': 2}
    """
    words: dict[str, int] = {}
    for number, line in enumerate(content.splitlines(), 1):
        word, tab, frequency = line.partition("\t")
        if not word or not tab or not frequency.strip().isdecimal():
            raise ValueError(f"line {number} of the word list must be a word, a tab and a frequency, got {line!r}")
        word = unicodedata.normalize("NFC", word)
        words[word] = words.get(word, 0) + int(frequency)
    return words


def _pretokens(encoder: Encoder, text: str) -> list[str]:
    tokenizer = encoder.tokenizer
    if tokenizer.normalizer:
        text = tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return [text]
    return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def with_single_digits(tokenizer: TokenizerJson) -> TokenizerJson:
    """Qwen's variant of cl100k: without the tokens of several digits, ids close up, and digits stand alone.

    Raises:
        ValueError: if the tokenizer's pattern is not cl100k's.
    """
    if pattern_of(tokenizer) != CL100K_PATTERN:
        raise ValueError("only a tokenizer with cl100k's pattern can be made to spell single digits")
    spelt = token_bytes(tokenizer)
    numbers = [number for number, token in spelt.items() if len(token) > 1 and token.isdigit()]
    pruned, _ = prune(tokenizer, numbers)
    _, *others = tokenizer["pre_tokenizer"]["pretokenizers"]
    return pruned | {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [split_by(QWEN_PATTERN), *others]}}
