"""Files of the user's that are no corpus: good and bad examples, lists of words, evaluation sets.

They are few and chosen by hand. So what cannot be read stops the run here, where `documents.py` puts it aside with a
reason: a half-read evaluation set would pass what it should stop.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from datapipe.read import formats
from datapipe.read.formats import Reject, Row, Source
from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.text.word_list import WordList, make_word_list


def read_examples(paths: Sequence[str]) -> list[str]:
    """The texts of example files: JSON lines and Parquet with a field `text`, or plain text, a document a line.

    Raises:
        ValueError: if a file is of another format, or a record holds no text.
    """
    texts = []
    for path in paths:
        format_ = formats.format_of(path)
        if format_ is None:
            raise ValueError(f"{path} is neither JSON lines nor Parquet nor text")
        for row in _records(Source(path, path, text_unit="line"), format_, path):
            text = row.columns.get("text")
            if not isinstance(text, str):
                raise ValueError(f"{path} at {row.position}: no field 'text'")
            if text and not text.isspace():
                texts.append(text.encode("utf-8", "replace").decode())  # JSON can hold lone surrogates, UTF-8 cannot
    return texts


@made_by_content
def read_words(paths: tuple[str, ...]) -> WordList:
    """The words of some files, in the formats of `read_examples`, once a process."""
    return make_word_list(read_examples(paths))


# What evaluation sets call the answers to choose from: MMLU, ARC, HellaSwag, PIQA, COPA, MedMCQA, TruthfulQA, C-Eval.
_OPTIONS = re.compile(
    r"(?:answer_?)?(?:choices?|options?|endings?|alternatives|candidates|distractors)(?:_list)?|mc[12]_targets"
    r"|(?:incorrect|wrong)_answers?|(?:option|choice|ending|sol|op|answer)?[ _]?(?:[a-h]|[0-9])",
    re.IGNORECASE,
)


class EvaluationRecord(NamedTuple):
    """A record of an evaluation set: its name, `file#number`, the first number 0; where it stands; and its fields."""

    name: str
    place: str
    fields: dict[str, Any]

    def first_of(self, names: Sequence[str]) -> list[str]:
        """The strings, at any depth, of the first of some fields that it has, in order; none if it has none of them."""
        return list(_strings(next((self.fields[name] for name in names if name in self.fields), None)))


def read_records(paths: Sequence[str]) -> Iterator[EvaluationRecord]:
    """The records of evaluation sets. A file is named by as many of its folders as tell all files apart.

    Args:
        paths: files, folders and globs of files, in the formats of `datapipe.read.formats` that have fields.

    Raises:
        ValueError: if there is no such file, or a record cannot be read.
    """
    readable: dict[str, str] = {}
    for path in paths:
        named = {file: formats.format_of(file) for file, *_ in files.find(path)}
        found = {file: format_ for file, format_ in named.items() if format_ and formats.FORMATS[format_].has_fields}
        if not found:
            raise ValueError(f"evaluation names no file of records, {path!r}")
        readable.update(found)
    names = _distinct_names(list(readable))
    for file, format_ in readable.items():
        for number, row in enumerate(_records(Source(file, names[file]), format_, file)):
            yield EvaluationRecord(f"{names[file]}#{number}", f"{file} at {row.position}", row.columns)


def read_evaluation(paths: Sequence[str], fields: Sequence[str], *, options: bool = True) -> Iterator[tuple[str, str]]:
    """The texts of evaluation sets, each with the name of its record.

    Args:
        paths: as for `read_records`.
        fields: the fields of a record that count; none: all, at any depth.
        options: whether, of all fields, the answers to choose from count.

    Raises:
        ValueError: as `read_records`, and if a record lacks one of the fields.
    """
    for record in read_records(paths):
        lacking = [field for field in fields if field not in record.fields]
        if lacking:
            raise ValueError(f"{record.place}: no field {lacking[0]!r}")
        for value in [record.fields[field] for field in fields] if fields else [record.fields]:
            for text in _strings(value, options=options or bool(fields)):
                yield record.name, text


def skip_reason_of(evaluation: Sequence[str]) -> str | None:
    """Why there is no evaluation set to look for, if so."""
    if not evaluation:
        return "no evaluation set given"
    if not any(files.find(path) for path in evaluation):
        return f"no evaluation set at {', '.join(evaluation)}"
    return None


def _distinct_names(paths: Sequence[str]) -> dict[str, str]:
    """For each of different paths its last parts, as few as tell them all apart."""
    parts = 1
    while len({"/".join(path.split("/")[-parts:]) for path in paths}) < len(paths):
        parts += 1
    return {path: "/".join(path.split("/")[-parts:]) for path in paths}


def _records(source: Source, format_: str, place: str) -> Iterator[Row]:
    """The records of a file; `place` is what the error calls it if one cannot be read."""
    for row in formats.read(source, format_):
        if isinstance(row, Reject):
            raise ValueError(f"{place} at {row.position}: {row.reason}: {row.detail}")
        unread = [name for name, value in row.columns.items() if row.raw and isinstance(value, bytes)]
        if unread:
            raise ValueError(f"{place} at {row.position}: invalid_utf8: {unread[0]} is no text in UTF-8")
        yield row


def _strings(value: Any, *, options: bool = True) -> Iterator[str]:
    """All strings in a value, at any depth, in order, with or without the answers to choose from."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        left_out = set() if options else {name for name in value if _OPTIONS.fullmatch(name)}
        if len(left_out) == 1 and len(min(left_out)) == 1:
            left_out = set()  # the answer of "q" and "a"
        for name, item in value.items():
            if name not in left_out:
                yield from _strings(item, options=options)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, options=options)
