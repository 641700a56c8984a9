"""`datapipe thresholds`: fitted to trusted documents, or tried on a run from what it has measured, in seconds."""

import dataclasses
from collections.abc import Sequence

from datapipe.commands.console import STRONG, say, say_json, say_table
from datapipe.commands.inspection import open_run
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
        what_if: options to try, `stage.option=value` or `language.rule=value`.
        as_json: for programs.

    Raises:
        ValueError: if the run does not have what it takes.
    """
    corpus, record = open_run(output)
    if what_if:
        _say_what_if(corpus, record, what_if, as_json)
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


def _say_what_if(corpus: Corpus, record: RunRecord, settings: Sequence[str], as_json: bool) -> None:
    # Imported here: the stages pull in Beam.
    from datapipe.engine.what_if import full_settings, try_settings

    found = try_settings(corpus, record, settings)
    if as_json:
        say_json(dataclasses.asdict(found))
        return
    most = found.kept_after + found.not_judged
    would = f"{found.kept_after:,}" + (f" to {most:,}" if found.not_judged else "")
    say((f"the run kept {found.kept_before:,} documents, and would keep {would}", STRONG))
    tokens = f", {found.gone_tokens:,} tokens" if found.gone_tokens else ""
    say(f"would go: {found.gone:,} that it kept{tokens}; would come back for certain: {found.back:,}")
    if found.not_measured:
        every = "" if record.recipe.get("every_row") else "; a run with --every-row measures them"
        say(f"not measured: {found.not_measured:,} documents that were gone before {found.changed[0]}{every}")
    say()
    rows = [("stage", "removed", "then", "", "not judged")]
    for decision in found.decisions:
        before, after = sum(decision.before.values()), sum(decision.after.values())
        if before or after or decision.not_judged:
            unseen = f"{decision.not_judged:,}" if decision.not_judged else ""
            rows.append((decision.stage, *_compared(before, after), unseen))
    say_table(rows, styles=[STRONG if row[0] in found.changed else "" for row in rows[1:]])
    reasons = [
        (name, *_compared(decision.before.get(name, 0), decision.after.get(name, 0)))
        for decision in found.decisions
        for name in dict.fromkeys([*decision.before, *decision.after])
        if decision.before.get(name) != decision.after.get(name)
    ]
    if reasons:
        say()
        say_table([("reason", "removed", "then", ""), *reasons])
    sets = " ".join(f"--set {setting}" for setting in full_settings(settings))
    say(f"\nto run it so: datapipe run … {sets} --reuse {corpus.root}")


def _compared(before: int, after: int) -> tuple[str, str, str]:
    return f"{before:,}", f"{after:,}", f"{after - before:+,}" if after != before else ""
