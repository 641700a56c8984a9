"""`datapipe tokenizer train | extend | prune | compare | export`, as functions from files to files.

They read text wherever `datapipe run` does: from files, folders and globs, or the output folder of a run, whose kept
documents they take. One process reads them; to count a corpus with many workers, put the stage `tokenizer` into a
recipe. Defaults are those of the command line.
"""

import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from datapipe.checks import check_known
from datapipe.commands.console import say_json, say_table
from datapipe.commands.inspection import open_run
from datapipe.read.inputs import plan
from datapipe.read.options import TEXT_FIELDS, ReadOptions
from datapipe.read.parts import is_rejects, read_groups
from datapipe.store import files
from datapipe.store.corpus import part_path
from datapipe.store.record import RUN_FILE
from datapipe.text.chat_forms import FORMS
from datapipe.text.chat_names import FormName, LossName
from tokenizer_training import compare as comparison
from tokenizer_training import export as exports
from tokenizer_training import extend as extension
from tokenizer_training import prune as pruning
from tokenizer_training import tokenizer as training
from tokenizer_training.algorithms import TokenizerJson
from tokenizer_training.chat_template import chat_template as chat_template_of
from tokenizer_training.count import (
    EXACT_WORDS,
    Group,
    Weights,
    count_by_group,
    counting,
    groups_of,
    named,
    once,
    read_counts,
    sample_rare,
    weighted,
)
from tokenizer_training.encode import encoder_of
from tokenizer_training.formats import read_tokenizer
from tokenizer_training.learn import Allowed
from tokenizer_training.options import TrainingOptions
from tokenizer_training.roles import read_roles, write_with_roles
from tokenizer_training.sentencepiece_model import with_pieces
from tokenizer_training.weights import grow_rows, parts_of, slice_rows

COPIES = "mixture_copies"
MAX_WEIGHT = 1000
SHOWN_GROUPS = 12
SHOWN_REASONS = 5  # for which records were rejected
COMPARED_BYTES = 1 << 20  # of the texts to learn from: how much of them tells what new tokens are worth
RULES: dict[str, Allowed] = {"han": extension.is_chinese, "punctuated": extension.is_chinese_or_punctuated}


def read_texts(
    inputs: Sequence[str], column: str | None = None, text_fields: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The texts of documents, or of a run's kept documents, with source, language and another column if asked for.

    At the end it says what was read, and what was rejected.

    Raises:
        ValueError: if there is no document, or some have no such column.
    """
    documents = size = 0
    rejects: Counter[str] = Counter()
    for source, batch in _batches(inputs, [column] if column else [], text_fields, rejects):
        documents += len(batch)
        size += pc.sum(pc.binary_length(batch.column("text"))).as_py() or 0
        if column and (column not in batch.schema.names or pa.types.is_null(batch.schema.field(column).type)):
            raise ValueError(f"documents of {source} have no column {column!r}")
        wanted = dict.fromkeys(["text", "source", "language", *([column] if column else [])])
        yield batch.select([name for name in wanted if name in batch.schema.names])
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in rejects.most_common(SHOWN_REASONS))
    if not documents:
        raise ValueError(f"no documents in {' '.join(inputs)}{f'; rejected: {reasons}' if reasons else ''}")
    said = f"; rejected {rejects.total():,} records: {reasons}" if reasons else ""
    print(f"read {documents:,} documents, {size / 1e6:,.1f} MB of text{said}")
    if rejects["missing_text"]:
        print(
            f"where the text is called otherwise: --text-field NAME; `datapipe inspect {' '.join(inputs)}` says which"
        )


def _batches(
    inputs: Sequence[str], columns: Sequence[str], text_fields: Sequence[str], rejects: Counter[str]
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Batches of documents with their text, and these columns if they have them, each after where it comes from.

    `rejects` counts by reason the records that are no documents.
    """
    if len(inputs) == 1 and files.exists(files.join(inputs[0], RUN_FILE)):
        corpus, _ = open_run(inputs[0])
        yield from ((inputs[0], batch) for batch in corpus.read(["text"], named=["source", "language", *columns]))
        return
    options = ReadOptions(text_fields=tuple(dict.fromkeys((*text_fields, *TEXT_FIELDS))))
    for task in plan(inputs, options):
        for batch in read_groups(task, options):
            if is_rejects(batch):
                rejects.update(batch.column("reason").to_pylist())
            else:
                yield task.slices[0].path, batch


def train(
    inputs: Sequence[str],
    output: str,
    options: TrainingOptions,
    weights: Sequence[str],
    text_fields: Sequence[str] = (),
) -> TokenizerJson:
    """Train a tokenizer, write `tokenizer.json` with the counts that it comes from, and say what it became.

    Of one folder that holds counts, a run's or an earlier training's, no text is read.

    Args:
        inputs: documents, or a folder with counts.
        output: the folder to write to.
        options: what to learn.
        weights: how often each source or language counts, as "name=factor"; where there are none, a run's counts as
            often as its mixture takes documents of their source and language.
        text_fields: what the text of a record is called, beside the usual names.

    Raises:
        ValueError: if a weight names no source or language, or there are no documents.
    """
    counts = _counts_there(inputs, options)
    if counts is None:
        counts = _count(inputs, options, text_fields)
        files.make_folder(files.join(output, "counts"))
        files.write_table(part_path(files.join(output, "counts"), 0), counts)
    factors = _parse_weights(weights, counts) if weights else _mixture_weights(inputs)
    summed, unit = weighted(counts, factors)
    with _Bar("merges") as bar:
        tokenizer = training.train(summed, options, bar, unit=unit)
    summary = training.write_tokenizer(tokenizer, summed, unit, options, output)
    print("made {vocabulary:,} entries of {vocabulary_asked:,} asked for, by {merges:,} merges".format(**summary))
    print("from {pretokens:,} pre-tokens, {distinct_pretokens:,} of them distinct".format(**summary))
    if "characters_covered" in summary:
        print(f"{summary['characters_covered']:.4%} of characters have an entry, the others are spelt in bytes")
    # Documents have a language if they bring a column of that name, or come from a run that found it.
    column = "language" if pc.any(pc.not_equal(counts.column("language"), "")).as_py() else "source"
    sizes = comparison.by_group(counts, column, encoder_of(tokenizer))
    total = tuple(map(sum, zip(*sizes.values(), strict=True))) or (0, 0)
    rows = [("all", total), *sorted(sizes.items(), key=lambda item: -item[1][0])]
    for name, (size, tokens) in rows[: SHOWN_GROUPS + 1]:
        print(f"{name or 'others':24}{size / 1e6:10,.1f} MB{size / max(tokens, 1):8.2f} bytes a token")
    print(f"written to {files.join(output, 'tokenizer.json')}")
    return tokenizer


def _counts_there(inputs: Sequence[str], options: TrainingOptions) -> pa.Table | None:
    """The counts of a run or of an earlier training, if they are for the same algorithm."""
    if len(inputs) != 1:
        return None
    folder = files.join(inputs[0], "tokenizer") if files.exists(files.join(inputs[0], RUN_FILE)) else inputs[0]
    paths = files.list_folder(files.join(folder, "counts"))
    summary = files.join(folder, training.SUMMARY_FILE)
    if not paths or not files.exists(summary) or files.read_json(summary)["algorithm"] != options.algorithm:
        return None
    counts = read_counts(paths)
    print(f"read {len(counts):,} counts of {folder}")
    return counts


def _count(inputs: Sequence[str], options: TrainingOptions, text_fields: Sequence[str]) -> pa.Table:
    """Counts of documents by source and language, as a table of `count.GROUPED`."""
    spilled, groups = count_by_group(read_texts(inputs, text_fields=text_fields), counting(options))
    if options.sample_threshold > 1 and pc.count_distinct(spilled.column("word")).as_py() > EXACT_WORDS:
        spilled = sample_rare(spilled, options.sample_threshold)
    return named(spilled, groups)


def _parse_weights(weights: Sequence[str], counts: pa.Table) -> Weights:
    """The weights that "name=factor" say, of sources and languages; what none names counts once."""
    names = {name for column in ("source", "language") for name in pc.unique(counts.column(column)).to_pylist()}
    factors: dict[str, float] = {}
    for text in weights:
        name, _, factor = text.rpartition("=")
        check_known("--weights: no source or language is", name, sorted(names - {""}))
        try:
            factors[name] = float(factor)
        except ValueError:
            raise ValueError(f"--weights must be name=factor, such as zh=2, got {text!r}") from None
        if not 0 <= factors[name] <= MAX_WEIGHT:
            raise ValueError(f"--weights: {name} must be from 0 to {MAX_WEIGHT}, got {factor}")
    return lambda source, language: factors.get(source, 1) * factors.get(language, 1)


def _mixture_weights(inputs: Sequence[str]) -> Weights:
    """How often a run's mixture takes the tokens of each source and language; where there is none, once.

    Groups that are counted together count once.
    """
    if len(inputs) != 1 or not files.exists(files.join(inputs[0], RUN_FILE)):
        return once
    corpus, _ = open_run(inputs[0])
    counted, taken = Counter[Group](), Counter[Group]()
    for part in corpus.parts:
        # The rows that have tokens are those that the tokenizer was trained on.
        for batch in part.read([], named=["source", "language", "tokens", COPIES], kept_only=False):
            tokens = batch.column("tokens").cast(pa.int64()).fill_null(0).to_numpy()
            copies = batch.column(COPIES).cast(pa.int64()).fill_null(0 if COPIES in part.columns else 1).to_numpy()
            groups, place = groups_of(batch)
            counted.update(dict(zip(groups, np.bincount(place, tokens).tolist(), strict=True)))
            taken.update(dict(zip(groups, np.bincount(place, tokens * copies).tolist(), strict=True)))
    print(f"each source and language counts as often as the mixture of {inputs[0]} takes it")
    return lambda source, language: (
        taken[source, language] / counted[source, language] if counted[source, language] else 1
    )


def extend(
    base: str,
    output: str,
    size: int,
    *,
    inputs: Sequence[str],
    text_fields: Sequence[str] = (),
    words: str | None,
    rule: str,
    single_digits: bool,
    pattern: str | None,
    min_frequency: int,
    weights: str | None,
) -> TokenizerJson:
    """Add tokens to a base, learnt from texts or from a word list, and write `tokenizer.json`.

    Of a SentencePiece model there comes a `tokenizer.model` beside it.

    Args:
        base: see `read_tokenizer`.
        output: the folder to write to.
        size: how many tokens to add at most.
        inputs: texts to learn Chinese from.
        text_fields: what the text of a record is called, beside the usual names.
        words: a file of words and frequencies to learn from instead, of any script.
        rule: "han", or "punctuated" to let one punctuation mark stand before the Han characters.
        single_digits: first make digits stand alone, as Qwen did to cl100k.
        pattern: for a base of tiktoken ranks without a known name.
        min_frequency: a pair that occurs less often is not merged.
        weights: a safetensors file to write into `output` with rows for the new tokens, see `grow_rows`.

    Raises:
        ValueError: if not exactly one of inputs and words is given, or the base or the weights do not fit.
    """
    if bool(inputs) == bool(words):
        raise ValueError("give either texts or a word list to learn from")
    if weights and single_digits:
        raise ValueError("--weights: single digits renumber the entries: first prune, then extend")
    tokenizer = read_tokenizer(base, pattern)
    if single_digits:
        tokenizer = extension.with_single_digits(tokenizer)
    compared: list[pa.Array] = []
    with _Bar("merges") as bar:
        if words:
            with files.open_input(words) as source:
                runs = extension.word_runs(tokenizer, extension.read_words(source.read().decode()))
            extended = extension.extend(
                tokenizer, runs, size, allowed=extension.is_whole, min_frequency=min_frequency, progress=bar
            )
        else:
            texts = (
                _first_bytes(batch.column("text"), compared) for batch in read_texts(inputs, text_fields=text_fields)
            )
            extended = extension.learn_from(
                tokenizer, texts, size, allowed=RULES[rule], min_frequency=min_frequency, progress=bar
            )
    write_with_roles(output, extended, read_roles(base))
    parts = parts_of(tokenizer, extended)
    print(f"added {len(parts):,} tokens of {size:,} asked for, to {len(tokenizer['model']['vocab']):,}")
    if compared:
        before, after = (_bytes_per_token(each, compared) for each in (tokenizer, extended))
        print(f"of the texts learnt from: {before:.2f} bytes a token before, {after:.2f} now")
    print(f"written to {files.join(output, 'tokenizer.json')}")
    if pathlib.PurePath(base).suffix == ".model":
        names = {number: name for name, number in extended["model"]["vocab"].items()}
        with files.open_input(base) as source:
            grown = with_pieces(bytes(source.read()), [names[number] for number in sorted(parts)])
        with files.whole_file(files.join(output, "tokenizer.model")) as sink:
            sink.write(grown)
    if weights:
        changed = grow_rows(weights, files.join(output, pathlib.PurePath(weights).name), parts)
        print(f"rows for them in {', '.join(changed)}: the mean of what their text had")
    return extended


def prune(
    base: str,
    output: str,
    *,
    ranges: Sequence[str],
    inputs: Sequence[str],
    text_fields: Sequence[str] = (),
    weights: str | None,
    pattern: str | None,
) -> TokenizerJson:
    """Drop entries, write `tokenizer.json` and `ids.parquet`, and cut a model's embeddings.

    Args:
        base: see `read_tokenizer`.
        output: the folder to write to.
        ranges: ids to drop, as "first-last", both included.
        inputs: texts; entries that none of them uses are dropped.
        text_fields: what the text of a record is called, beside the usual names.
        weights: a safetensors file to cut into `output`.
        pattern: for a base of tiktoken ranks without a known name.

    Raises:
        ValueError: if there is nothing to go by, or a range is none.
    """
    tokenizer = read_tokenizer(base, pattern)
    drop = [number for text in ranges for number in parse_range(text)]
    if inputs:
        texts = (batch.column("text") for batch in read_texts(inputs, text_fields=text_fields))
        drop += pruning.unused_ids(tokenizer, encoder_of(tokenizer), texts)
    elif not drop:
        raise ValueError("give ranges of ids to drop, or texts whose entries to keep")
    pruned, old = pruning.prune(tokenizer, drop)
    entries, kept = len(tokenizer["model"]["vocab"]), len(pruned["model"]["vocab"])
    print(f"dropped {entries - kept:,} of {entries:,} entries, {kept:,} are left")
    left = {token["content"] for token in pruned["added_tokens"]}
    write_with_roles(output, pruned, {role: token for role, token in read_roles(base).items() if token in left})
    pruning.write_id_map(files.join(output, "ids.parquet"), old)
    if weights:
        slice_rows(weights, files.join(output, pathlib.PurePath(weights).name), old)
        print(f"rows of {pathlib.PurePath(weights).name} cut to them")
    print(f"written to {files.join(output, 'tokenizer.json')}; ids.parquet has the old id of each entry")
    return pruned


def parse_range(text: str) -> range:
    """The ids of "first-last", both included, or of one id.

    Raises:
        ValueError: if the text is neither.

    >>> parse_range("3-5"), parse_range("7")
    (range(3, 6), range(7, 8))
    """
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
        raise ValueError(f"a range of ids is written first-last, got {text!r}")
    return range(int(first), int(last or first) + 1)


def compare(
    tokenizers: Sequence[str],
    inputs: Sequence[str],
    output: str,
    *,
    reference: str | None,
    column: str,
    text_fields: Sequence[str] = (),
    as_json: bool = False,
) -> pa.Table:
    """Compare tokenizers by the language of the texts, and write `comparison.md`, `.parquet` and a plot.

    Args:
        tokenizers: see `read_tokenizer`.
        inputs: documents with a column that says their language.
        output: the folder to write to.
        reference: the path whose tokens are 1; by default the first.
        column: the name of the column.
        text_fields: what the text of a record is called, beside the usual names.
        as_json: for programs: print the whole table.

    Raises:
        ValueError: if two tokenizers have the same name.
    """
    named = {_name(path): read_tokenizer(path) for path in tokenizers}
    if len(named) < len(tokenizers):
        raise ValueError(f"tokenizers must have different names, got {', '.join(map(_name, tokenizers))}")
    texts: dict[str, list[pa.Array]] = {}
    for batch in read_texts(inputs, column, text_fields):
        languages = batch.column(column).fill_null("und")
        for language in languages.unique().to_pylist():
            texts.setdefault(language, []).append(batch.filter(pc.equal(languages, language)).column("text"))
    arrays = {language: pa.concat_arrays(chunks) for language, chunks in sorted(texts.items())}
    table = comparison.compare(named, arrays, _name(reference or tokenizers[0]))
    files.make_folder(output)
    files.write_table(files.join(output, "comparison.parquet"), table)
    for name, content in (
        ("comparison.md", comparison.as_markdown(table)),
        ("bytes_per_token.svg", comparison.as_svg(table)),
        ("tokens_ratio.svg", comparison.as_svg(table, "tokens_ratio")),
    ):
        with files.whole_file(files.join(output, name)) as sink:
            sink.write(content.encode())
    if as_json:
        say_json(table.to_pylist())
        return table
    _say_comparison(table)
    print(f"written to {files.join(output, 'comparison.md')}, with a plot of each measure beside it")
    return table


def _say_comparison(table: pa.Table) -> None:
    """Bytes a token by language, a column for each tokenizer; which of them is best, by how much."""
    figures: dict[str, dict[str, float | None]] = {}
    for row in table.to_pylist():
        figures.setdefault(row["language"], {})[row["tokenizer"]] = row["bytes_per_token"]
    names = list(next(iter(figures.values()), {}))
    rows = [["bytes a token", *names]]
    for language, of_language in figures.items():
        rows.append([language, *("-" if of_language[name] is None else f"{of_language[name]:.2f}" for name in names)])
    say_table(rows)


def _first_bytes(texts: pa.Array, compared: list[pa.Array]) -> pa.Array:
    """The texts as they are; they are kept in `compared`, too, until these are `COMPARED_BYTES`."""
    if sum(each.nbytes for each in compared) < COMPARED_BYTES:
        compared.append(texts)
    return texts


def _bytes_per_token(tokenizer: TokenizerJson, texts: Sequence[pa.Array]) -> float:
    encoder = encoder_of(tokenizer)
    tokens = sum(int(encoder.count(each).sum()) for each in texts)
    return sum(pc.sum(pc.binary_length(each)).as_py() or 0 for each in texts) / max(1, tokens)


def _name(path: str) -> str:
    """What to call a tokenizer: its file's stem, or its folder where the file is but `tokenizer.json`."""
    pure = pathlib.PurePath(path)
    return pure.parent.name if pure.name == "tokenizer.json" and pure.parent.name else pure.stem


def export(
    base: str,
    output: str,
    to: str,
    *,
    chat_template: str | None,
    chat_form: FormName,
    loss: LossName | None,
    system: str,
    roles: Mapping[str, str],
    pattern: str | None,
) -> None:
    """Write a tokenizer for another program.

    Args:
        base: see `read_tokenizer`.
        output: the folder (transformers, json) or file (tiktoken, sentencepiece, gguf) to write.
        to: the program's name, or json.
        chat_template: a file with a Jinja template, for transformers and GGUF; else that of a chat form.
        chat_form: see `datapipe.text.chat_forms`.
        loss: what the template marks as learnt; the form's own without.
        system: the system message of dialogues that have none; "" adds none.
        roles: special tokens by role, which come before those of the base.
        pattern: for a base of tiktoken ranks without a known name.

    Raises:
        ValueError: if the other program cannot express the tokenizer, or the tokenizer lacks what the form writes.
    """
    tokenizer = read_tokenizer(base, pattern)
    roles = read_roles(base) | {role: token for role, token in roles.items() if token}

    def template() -> str:
        if chat_template:
            with files.open_input(chat_template) as source:
                return str(source.read().decode())
        form = FORMS[chat_form]
        policy = loss or form.losses[0]
        check_known(f"loss: {chat_form} has no policy", policy, form.losses)
        special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
        lacking = [token for token in form.control_tokens if token not in special]
        if lacking:
            raise ValueError(
                f"chat_form: {chat_form} needs the special tokens {', '.join(lacking)}: give --chat-template, "
                "or another --chat-form"
            )
        return chat_template_of(form, policy, system)

    if to == "transformers":
        exports.export_transformers(tokenizer, output, template(), roles)
    elif to == "json":
        write_with_roles(output, tokenizer, roles)
    elif to == "tiktoken":
        exports.export_ranks(tokenizer, output)
    elif to == "sentencepiece":
        exports.export_sentencepiece(tokenizer, output, roles)
    elif to == "gguf":
        exports.export_gguf(tokenizer, output, template(), roles)
    else:
        raise ValueError(f"--to must name a program or json, got {to!r}")
    print(f"{len(tokenizer['model']['vocab']):,} entries for {to} written to {output}")
    if roles:
        print(", ".join(f"{role} is {token}" for role, token in roles.items()))


class _Bar:
    """A progress bar that a learner can call."""

    def __init__(self, unit: str) -> None:
        self._bar = tqdm(unit=unit, leave=False, disable=None)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, done: int, goal: int, seconds_left: float) -> None:
        self._bar.total = goal
        self._bar.set_postfix_str(f"{seconds_left:.0f} s left", refresh=False)
        self._bar.update(done - self._bar.n)
