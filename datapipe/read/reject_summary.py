"""Why much of an input was rejected, and what to write into the recipe so that it is not.

A rejected record says in `rejects/` what is wrong with it; who has a million of them needs to know what they have in
common: an extension, a text that is called otherwise, an encoding.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq
import yaml

from datapipe.read import formats
from datapipe.read.formats.encodings import likely_encoding
from datapipe.store import files

UNPACK = "archives are read unpacked, by `7z x FILE -oFOLDER`, `unzip FILE -d FOLDER` or `unrar x FILE FOLDER/`"
WARN_ABOVE = 0.1  # of all records
SHOWN = 8  # kinds of a sort
SUGGESTED = 4  # names, or encodings
GUESSED_FROM = 200  # records, whose encoding is guessed
# A column or an encoding that fewer of the rejects have than this is no advice.
MIN_SHARE = 0.05


@dataclasses.dataclass
class RejectCounts:
    """What rejects have in common."""

    reasons: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)  # extension and reason
    columns: Counter[tuple[str, ...]] = dataclasses.field(default_factory=Counter)
    longest: Counter[str] = dataclasses.field(default_factory=Counter)
    encodings: Counter[str] = dataclasses.field(default_factory=Counter)


def summarize_rejects(folder: str, stage: str, records: int, rejects: int, options: Mapping[str, Any]) -> list[str]:
    """Lines on a source that has rejected more than WARN_ABOVE of its records; none, if it has not.

    Args:
        folder: of all rejects.
        stage: the source.
        records: that it has read.
        rejects: of them.
        options: the stage's, as in `run.json`.
    """
    if rejects <= WARN_ABOVE * records:
        return []
    counts = _count(folder, stage)
    lines = [f"WARNING: {stage} rejected {rejects:,} of {records:,} records ({rejects / records:.0%}): see {folder}"]
    by_extension = [f"{extension}: {count:,} {reason}" for (extension, reason), count in _most(counts.reasons)]
    lines += _block("by extension", by_extension, len(counts.reasons))
    if any(reason == "archive" for _, reason in counts.reasons):
        lines.append(f"  {UNPACK}")
    by_columns = [f"{', '.join(names)}: {count:,}" for names, count in _most(counts.columns)]
    lines += _block("without text, by columns seen", by_columns, len(counts.columns))
    advice = advise(counts, options)
    if advice:
        recipe = yaml.safe_dump([{stage: advice}], allow_unicode=True, sort_keys=False, default_flow_style=None)
        lines += ["  to read what seems to be text, paste into the recipe, under `stages:`", ""]
        lines += [f"  {line}" for line in recipe.splitlines()]
    return lines


def _count(folder: str, stage: str) -> RejectCounts:
    counts = RejectCounts()
    for path in files.list_folder(folder):
        if not path.rpartition("/")[2].startswith(f"{stage}-"):
            continue
        with files.open_columns(path, ["file", "reason", "raw", "columns"]) as source:
            for batch in pq.ParquetFile(source).iter_batches(columns=["file", "reason", "raw", "columns"]):
                for row in batch.to_pylist():
                    count_reject(counts, **row)
    return counts


def count_reject(counts: RejectCounts, file: str, reason: str, raw: bytes, columns: Sequence[str] | None) -> None:
    """Count one reject."""
    counts.reasons[formats.extension(file) or "no extension", reason] += 1
    if columns:
        counts.columns[tuple(sorted(columns))] += 1
        if reason == "missing_text":  # not where the text is empty, or a list
            counts.longest[columns[0]] += 1
    if reason in ("invalid_utf8", "unknown_format") and counts.encodings.total() < GUESSED_FROM:
        counts.encodings[likely_encoding(raw) or ""] += 1


def advise(counts: RejectCounts, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that would read more."""
    advice: dict[str, Any] = {}
    names = _frequent(counts.longest)
    if names:
        fields = dict(options.get("fields", {}))
        before = fields.get("text", [])
        fields["text"] = list(dict.fromkeys([*([before] if isinstance(before, str) else before), *names]))
        advice["fields"] = fields
    encodings = _frequent(counts.encodings)
    if encodings:
        advice["encodings"] = list(dict.fromkeys([*options.get("encodings", ()), *encodings]))
    return advice


def _frequent(counter: Counter[str]) -> list[str]:
    return [key for key, count in _most(counter)[:SUGGESTED] if key and count >= MIN_SHARE * counter.total()]


def _most(counter: Counter[Any]) -> list[tuple[Any, int]]:
    """The most frequent first; of equals the lesser."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]


def _block(title: str, lines: Sequence[str], kinds: int) -> list[str]:
    more = [f"    and {kinds - len(lines):,} more"] if kinds > len(lines) else []
    return [f"  {title}", *(f"    {line}" for line in lines), *more] if lines else []
