"""`datapipe thresholds`: fitted to trusted documents, or tried on a run from what it has measured, in seconds."""

import dataclasses
from collections.abc import Sequence

from datapipe.commands.console import STRONG, say, say_json, say_table
from datapipe.commands.inspection import open_run
from datapipe.engine.rule_counts import WhatIf, parse_thresholds, try_thresholds
from datapipe.engine.verdicts import RULES
from datapipe.store.corpus import Corpus
from datapipe.store.record import RunRecord


def thresholds(
    output: str,
    *,
    removed_share: float,
    min_documents: int,
    parallel_to: str | None = None,
    what_if: Sequence[str] = (),
    as_json: bool = False,
) -> None:
    """Print thresholds of the rules fitted to the languages of a run over trusted documents, or what others would do.

    Args:
        output: the folder of a run with the stages `language` and `measurements`.
        removed_share: of a language's documents, by each rule.
        min_documents: a language with fewer is left out.
        parallel_to: a language; the documents are the same in each, and thresholds on words are scaled from it.
        what_if: thresholds to try, `language.rule=value`.
        as_json: for programs.

    Raises:
        ValueError: if the run does not have what it takes.
    """
    corpus, record = open_run(output)
    if what_if:
        found = try_thresholds(corpus, record.options.get(RULES, {}), parse_thresholds(what_if))
        _say_what_if(found, what_if, record, as_json)
        return
    fitted = _fit(corpus, removed_share, min_documents, parallel_to)
    if as_json:
        say_json(fitted)
        return
    from datapipe.filters.thresholds import thresholds_yaml

    print(thresholds_yaml(fitted), end="")


def _fit(
    corpus: Corpus, removed_share: float, min_documents: int, parallel_to: str | None
) -> dict[str, dict[str, float | None]]:
    # Imported here: the stages pull in Beam.
    from datapipe.filters.measurements import MeasureText
    from datapipe.filters.thresholds import fit_thresholds, scale_thresholds

    columns = [*MeasureText.writes.names, "language"]
    # All documents are trusted: what the rules of that run removed counts too.
    batches = (batch for part in corpus.of_kind(["document"]) for batch in part.read(columns, kept_only=False))
    if parallel_to:
        return scale_thresholds(batches, parallel_to)
    return fit_thresholds(batches, removed_share, min_documents=min_documents)


def _say_what_if(found: WhatIf, what_if: Sequence[str], record: RunRecord, as_json: bool) -> None:
    if as_json:
        say_json(dataclasses.asdict(found))
        return
    say((f"of {found.reached:,} documents that the rules have seen they removed {found.removed_before:,}, ", STRONG),
        (f"and would remove {found.removed_after:,}", STRONG))  # fmt: skip
    if found.not_measured and record.recipe.get("every_row"):
        say(f"gone whatever the rules say: {found.not_measured:,} documents that earlier stages took")
    elif found.not_measured:
        every = "a run with --every-row measures them"
        say(f"not measured: {found.not_measured:,} documents that earlier stages took; {every}")
    say(f"would come back: {found.back:,}; later stages have not judged them")
    tokens = f", {found.gone_tokens:,} tokens" if found.gone_tokens else ""
    say(f"would go: {found.gone:,}, of which the run kept {found.gone_kept:,}{tokens}")
    changed = [
        (name, found.first_before.get(name, 0), found.first_after.get(name, 0))
        for name in dict.fromkeys([*found.first_before, *found.first_after])
    ]
    rows = [(name, f"{old:,}", f"{new:,}", f"{new - old:+,}") for name, old, new in changed if old != new]
    if rows:
        say()
        say_table([("first failed rule", "now", "then", ""), *rows])
    settings = " ".join(f"--set rules.thresholds.{setting}" for setting in what_if)
    say(f"\nto run it so: datapipe run … {settings}")
