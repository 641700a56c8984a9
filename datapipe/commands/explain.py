"""`datapipe explain`: why a document is in or out, first in a sentence, then with what else is known of it.

It reads a few columns, and starts without Beam and numba, which take a second to import.
"""

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from datapipe.commands.console import BAD, GOOD, MARKED, QUIET, STRONG, console, plain, say, say_json
from datapipe.commands.inspection import open_run
from datapipe.engine.explain import (
    Explanation,
    Place,
    UnknownDocumentError,
    explain,
    find,
    find_rejects,
    look_up,
)
from datapipe.engine.leaks import leaks_of
from datapipe.engine.marks import Spans, excerpt, mark
from datapipe.engine.verdicts import RULES, document_id, number, shown
from datapipe.store.corpus import REASON, ROW_BITS, Corpus, Part, first_reasons
from datapipe.text.words import primary

_CHARACTERS = 1200  # of a text
_LISTED = 12


def explain_document(output: str, document: str, *, all_columns: bool = False, as_json: bool = False) -> None:
    """Print why a document is in or out, or where an evaluation record leaked.

    Args:
        output: the folder of the run.
        document: what it may be called, see `datapipe.engine.explain.find`; or `file#number` of an evaluation record.
        all_columns: print every column, too.
        as_json: for programs.

    Raises:
        ValueError: if there is no such run or document.
    """
    corpus, record = open_run(output)
    leaks = leaks_of(corpus, document)
    if leaks:
        _say_leaks(leaks, as_json)
        return
    try:
        places = find(corpus, document)
    except UnknownDocumentError as error:
        rejects = find_rejects(corpus, document)
        if not rejects:
            raise ValueError(str(error)) from error
        _say_rejects(rejects, as_json)
        return
    if len(places) > 1 and not as_json:
        _say_several(corpus, document, places)
        return
    found, columns = explain(corpus, record.options, places[0]), look_up(corpus, places[0])
    if as_json:
        others = [document_id(part.number << ROW_BITS | row) for part, row in places[1:]]
        say_json(_as_json(found, columns) | {"also": others})
        return
    _say(found, columns, len(found.text) if all_columns else _CHARACTERS)
    if all_columns:
        say()
        for name, value in columns.items():
            say(f"{name:32} {plain(json.dumps(value, ensure_ascii=False, default=str))}")


def _as_json(found: Explanation, columns: dict[str, Any]) -> dict[str, Any]:
    return dataclasses.asdict(found) | {"verdict": str(found.verdict), "kept": found.verdict.kept, "columns": columns}


def _say(found: Explanation, columns: dict[str, Any], characters: int) -> None:
    """The verdict first, then the numbers, then what it is a duplicate of, then the text."""
    decided = found.verdict
    say((str(decided), f"{STRONG} {GOOD if decided.kept else BAD}"))
    origin = [found.document, f"{columns['path']}:{columns['position']}"]
    origin += [str(columns[name]) for name in ("input_id", "url", "title") if columns.get(name)]
    measured = [str(columns[name]) for name in ("language", "language_script") if columns.get(name)]
    measured += [f"{columns[name]:,} {name}" for name in ("bytes", "tokens") if columns.get(name) is not None]
    say((plain("  ".join([*origin, *measured])), QUIET))
    if decided.stage == RULES:
        language = primary(columns["language"])
        off = f"--set rules.thresholds.{language}.{decided.reason}=null"
        say((f"the rule is {decided.reason}; in {language} a run with {off} is without it", QUIET))
    others = [failure for failure in found.failed if failure.rule != decided.reason]
    if others:
        say("\nother rules that it fails")
        for failure in others:
            say(f"  {failure.rule}: {failure}")
    if found.partner:
        of = found.partner
        similar = f", similarity {number(of.similarity)}" if of.similarity is not None else ""
        say(f"\nthe other document: {of.document}, {plain(of.path)}{similar}; {of.verdict}")
        say(f"  {of.shared:.0%} of this document stands in passages of both; the longest of them:")
        for passage in of.passages:
            say(f"  {plain(shown(passage, 100))}")
    if found.members:
        more = (found.cluster_size or 0) - len(found.members) - 1
        say(f"\nits duplicates{f', and {more:,} more' if more > 0 else ''}")
        for name, what in found.members.items():
            say(f"  {name}  {what}")
    if decided.kept:
        shards = "too many to look" if found.shards is None else ", ".join(found.shards) or "none"
        say(f"\nshards: {shards}")
    say()
    text, spans = excerpt(found.text, found.spans, characters)
    _say_text(text, spans)
    marked = "marked is what speaks against it; " if spans else ""
    shown_of = f"{len(text):,} of {len(found.text):,} characters; " if len(text) < len(found.text) else ""
    if characters == _CHARACTERS:
        say((f"\n{marked}{shown_of}--all shows all that is known of it", QUIET))


def _say_text(text: str, spans: Spans) -> None:
    """A text with spans marked: by colour on a terminal that has some, by brackets elsewhere."""
    if not sys.stdout.isatty() or console().no_color:
        say(plain(mark(text, spans)))
        return
    pieces: list[str | tuple[str, str]] = []
    at = 0
    for start, end in spans:
        pieces += [plain(text[at:start]), (plain(text[start:end]), MARKED)]
        at = end
    say(*pieces, plain(text[at:]))


def _say_leaks(leaks: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        say_json(leaks)
        return
    say((f"leaked into {len(leaks):,} documents", f"{STRONG} {BAD}"))
    for leak in leaks:
        score = f"  score {number(leak['score'])}" if leak["score"] is not None else ""
        say(f"  {leak['document']}  found by {leak['stage']}{score}  {plain(shown(leak['text'] or '', 400))}")


def _say_rejects(rejects: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        say_json(rejects)
        return
    for reject in rejects[:_LISTED]:
        say((f"rejected: {reject['reason']}", f"{STRONG} {BAD}"), f", {plain(reject['detail'])}")
        say((f"  {plain(reject['file'])}:{reject['position']}", QUIET))
    if len(rejects) > _LISTED:
        say(f"and {len(rejects) - _LISTED:,} more records of it")


def _say_several(corpus: Corpus, name: str, places: Sequence[Place]) -> None:
    """What became of several documents that one name means, and how to ask for one of them."""
    fates: Counter[str] = Counter()
    for part in corpus.parts:
        rows = [row for of, row in places if of is part]
        if rows:
            stages, _ = first_reasons(part)
            fates.update(_fate(part, stages[row]) for row in rows)
    say((f"{len(places):,} documents are called {plain(name)!r}", STRONG))
    for fate, count in fates.most_common():
        say(f"  {count:,} {fate}")
    rejects = find_rejects(corpus, name)
    if rejects:
        say(f"  {len(rejects):,} records rejected, the first: {rejects[0]['reason']}")
    say("\nask for one of them, such as")
    for part, row in places[:_LISTED]:
        stages, _ = first_reasons(part)
        say(f"  {document_id(part.number << ROW_BITS | row):8} {_fate(part, stages[row])}")


def _fate(part: Part, decision: int) -> str:
    return f"removed by {part.decisions[decision].removesuffix(REASON)}" if decision >= 0 else "kept"
