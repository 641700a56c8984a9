"""`datapipe inspect`: what an input holds, before there is a recipe or a run.

Of each format it looks at the first records of a few files: what could be read, by which columns, in which languages,
and what a recipe must say so that the rest is read, too.
"""

import dataclasses
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import yaml

from datapipe.commands.console import QUIET, STRONG, WARNING, plain, say, say_json, say_table
from datapipe.engine.verdicts import shown
from datapipe.filters.language import IdentifyLanguage
from datapipe.read.documents import ReadDocuments
from datapipe.read.look import Look, look
from datapipe.read.records import Document
from datapipe.read.reject_summary import SHOWN, UNPACK

SAMPLES = 3
_SAMPLE_CHARACTERS = 300


def inspect(inputs: Sequence[str], *, as_json: bool = False) -> None:
    """Print what inputs hold.

    Args:
        inputs: files, folders and globs.
        as_json: for programs.

    Raises:
        ValueError: if there is nothing to read.
    """
    seen, options = look_twice(inputs)
    languages = count_languages(seen.documents)
    if as_json:
        say_json(
            {
                "formats": {name: dataclasses.asdict(of) for name, of in seen.formats.items()},
                "passed_over": seen.passed_over,
                "columns": {name: vars(of) for name, of in seen.columns.items()},
                "languages": languages,
                "rejects": [{"extension": e, "reason": r, "records": n} for (e, r), n in seen.rejects.items()],
                "options": options,
                "samples": [_sample(document) for document in _spread(seen.documents)],
            }
        )
        return
    _say_formats(inputs, seen)
    if seen.columns:
        rows = [("column", "type", "example", "documents with it")]
        for name, of in list(seen.columns.items())[:SHOWN]:
            kind = of.types.most_common(1)[0][0] if of.types else "-"
            share = of.documents / max(1, len(seen.documents))
            rows.append((name, kind, plain(of.example).replace("\n", " "), f"{share:.0%}"))
        say("\ncolumns beside the text")
        say_table(rows, left=(0, 1, 2))
    if languages:
        total = sum(languages.values())
        said = ", ".join(f"{name} {count / total:.0%}" for name, count in Counter(languages).most_common(SHOWN))
        say(f"\nlanguages of {total:,} documents looked at: {said}")
    for document in _spread(seen.documents):
        say((f"\n{plain(document.path)}:{document.position}", QUIET))
        say(plain(shown(document.text.decode(errors="replace"), _SAMPLE_CHARACTERS)))
    _say_rejects(seen, options)
    quoted = " ".join(map(shlex.quote, inputs))
    say(f"\nto begin: datapipe init {quoted}    # writes recipe.yaml" + (" with these options" if options else ""))


def look_twice(inputs: Sequence[str]) -> tuple[Look, dict[str, Any]]:
    """What inputs hold, and the options of the stage `documents` with which more of it is read than by its defaults."""
    stage = ReadDocuments()
    first = look(inputs, stage.read_options(), stage.options())
    if not first.advice:
        return first, {}
    better = ReadDocuments(**first.advice)
    second = look(inputs, better.read_options(), better.options())
    return (second, dict(first.advice)) if len(second.documents) > len(first.documents) else (first, {})


def count_languages(documents: Sequence[Document]) -> dict[str, int]:
    """How many of the documents are in each language."""
    if not documents:
        return {}
    texts = pa.array([document.text.decode(errors="replace") for document in documents])
    found = IdentifyLanguage().process(pa.RecordBatch.from_pydict({"text": texts}))
    return dict(Counter(found.column("language").to_pylist()).most_common())


def _say_formats(inputs: Sequence[str], seen: Look) -> None:
    files, size = sum(of.files for of in seen.formats.values()), sum(of.bytes for of in seen.formats.values())
    say((f"{' '.join(map(plain, inputs))}: {files:,} files, {size / 1e6:,.1f} MB", STRONG))
    if seen.passed_over:
        said = ", ".join(f"{count:,} {what}" for what, count in sorted(seen.passed_over.items()))
        say((f"passed over: {said}", QUIET))
    rows: list[tuple[str, ...]] = [("format", "files", "MB", "looked at", "documents", "rejects")]
    for name, of in sorted(seen.formats.items(), key=lambda item: -item[1].bytes):
        counts = (of.documents + of.rejects, of.documents, of.rejects)
        rows.append((name, f"{of.files:,}", f"{of.bytes / 1e6:,.1f}", *(f"{count:,}" for count in counts)))
    say_table(rows)


def _say_rejects(seen: Look, options: Mapping[str, Any]) -> None:
    if seen.rejects:
        say(("\nof these records no documents could be made", WARNING))
        for (extension, reason), count in seen.rejects.most_common(SHOWN):
            say(f"  {plain(extension)}: {count:,} {reason}")
        if any(reason == "archive" for _, reason in seen.rejects):
            say(f"  {UNPACK}")
    for columns, count in seen.instructions.items():
        say(f"  {count:,} with {' and '.join(columns)} are instruction data: put them into instructions/ beside it")
    if options:
        entry = [{"documents": dict(options)}]
        said = yaml.safe_dump(entry, allow_unicode=True, sort_keys=False, default_flow_style=None)
        say("\nread with these options, which a recipe must have under `stages:`")
        for line in said.splitlines():
            say(f"  {line}")


def _spread(documents: Sequence[Document]) -> list[Document]:
    """A few documents, of as many files as there are."""
    by_file: dict[str, Document] = {}
    for document in documents:
        by_file.setdefault(document.path, document)
    first = [*by_file.values()]
    step = max(1, len(first) // SAMPLES)
    chosen = first[::step][:SAMPLES]
    return chosen + [document for document in documents if document not in chosen][: SAMPLES - len(chosen)]


def _sample(document: Document) -> dict[str, Any]:
    text = document.text.decode(errors="replace")[:_SAMPLE_CHARACTERS]
    return {"path": document.path, "position": document.position, "text": text}
