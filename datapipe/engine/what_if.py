"""What other options of the stages that decide would have done, from the columns that a run has written, in seconds.

What no column holds is not guessed: a stage has not judged the rows that an earlier one had removed, unless the run
judged every row, and a document that would come back to it is counted apart. Stages that weigh documents against each
other, such as deduplication, are not asked again: what they removed stays removed.
"""

import copy
import dataclasses
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import yaml

from datapipe.checks import check_known, option_types
from datapipe.engine.stages import NAMES, stage_class
from datapipe.engine.verdicts import RULES
from datapipe.stage import DocumentStage
from datapipe.store.corpus import REASON, Corpus, Part, View, first_reasons
from datapipe.store.record import RunRecord, with_stage

_Rows = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Decision:
    """A stage of the funnel, as it was and as it would be.

    Attributes:
        stage: its name.
        before, after: documents that it removes, by reason; the most frequent first.
        not_judged: documents that would come to it and that it has not seen.
    """

    stage: str
    before: dict[str, int]
    after: dict[str, int]
    not_judged: int


@dataclasses.dataclass(frozen=True)
class WhatIf:
    """What other options would do.

    Attributes:
        decisions: of all stages that decide, in order.
        changed: the stages with other options.
        not_measured: documents that were gone before the first of these, and that they have not seen.
        kept_before: documents that the run kept.
        kept_after: those that would be kept for certain; `not_judged` more may be.
        not_judged: documents that a stage would have to judge that has not seen them.
        gone, gone_tokens: documents that the run kept and that would go, and their tokens.
        back: documents that would be kept for certain and that the run removed.
    """

    decisions: tuple[Decision, ...]
    changed: tuple[str, ...]
    not_measured: int
    kept_before: int
    kept_after: int
    not_judged: int
    gone: int
    gone_tokens: int
    back: int


class _Asked(NamedTuple):
    """A stage of the run that decides.

    Attributes:
        before: the corpus as it stood before the stage, as the stage saw it.
        every_row: whether it judged those that were gone, too.
        other: with the options to try, ready to run; None: it stays as it is.
    """

    before: Corpus
    every_row: bool
    other: DocumentStage | None


def try_settings(corpus: Corpus, record: RunRecord, settings: Sequence[str]) -> WhatIf:
    """Follow the documents of a run through its stages, some with other options.

    Args:
        corpus: of a run.
        record: of the same.
        settings: `stage.option=value` as of `datapipe run --set`, or `language.rule=value` for a threshold of `rules`.

    Raises:
        ValueError: if a setting is none, names no stage of the run or one that cannot be tried so, or is no option.
    """
    options = _other_options(record, settings)
    with tempfile.TemporaryDirectory() as folder:
        asked = _find(record, corpus.root, options, folder)
        before: dict[str, Counter[str]] = {name: Counter() for name in asked}
        after: dict[str, Counter[str]] = {name: Counter() for name in asked}
        unknown: Counter[str] = Counter()
        totals: Counter[str] = Counter()
        for part in corpus.parts:
            _follow(part, asked, before, after, unknown, totals)
    decisions = tuple(
        Decision(name, dict(before[name].most_common()), dict(after[name].most_common()), unknown[name])
        for name in asked
    )
    return WhatIf(
        decisions=decisions,
        changed=tuple(name for name, stage in asked.items() if stage.other),
        not_measured=totals["not_measured"],
        kept_before=totals["kept"],
        kept_after=totals["still_kept"],
        not_judged=unknown.total(),
        gone=totals["gone"],
        gone_tokens=totals["gone_tokens"],
        back=totals["back"],
    )


def full_settings(settings: Sequence[str]) -> list[str]:
    """Settings as `datapipe run --set` takes them: of `language.rule`, with the stage and option before it."""
    return [f"{RULES}.thresholds.{setting}" if _is_short(setting) else setting for setting in settings]


def _is_short(setting: str) -> bool:
    path = setting.partition("=")[0].split(".")
    return len(path) == len(("language", "rule")) and path[0] not in NAMES


def _other_options(record: RunRecord, settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The options of the stages that settings name."""
    changed: dict[str, dict[str, Any]] = {}
    for given, setting in zip(settings, full_settings(settings), strict=True):
        path, equals, value = setting.partition("=")
        name, *keys = path.split(".")
        if not equals or not keys or not all(keys):
            written = "stage.option=value or language.rule=value, as en.gopher_min_words=30"
            raise ValueError(f"--what-if is written {written}, got {given!r}")
        check_known(
            f"--what-if {given}: the run has no stage", name, [each for each in record.stages if record.done(each)]
        )
        _check_stage(name, given)
        options = changed.setdefault(name, copy.deepcopy(own_options(record, name)))
        check_known(f"--what-if {given}: {name} has no option", keys[0], options)
        try:
            tried = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"--what-if {given}: the value is no YAML") from error
        inner: Any = options
        for key in keys[:-1]:
            inner = inner.setdefault(key, {}) if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            raise ValueError(f"--what-if {given}: {keys[0]} is no mapping")
        inner[keys[-1]] = tried
    return changed


def _check_stage(name: str, given: str) -> None:
    """Whether a stage decides row by row and leaves the text as it is."""
    made = stage_class(name)
    instead = f"run it: datapipe run … --set {given} --reuse OUTPUT"
    if not issubclass(made, DocumentStage):
        raise ValueError(f"--what-if {given}: {name} weighs documents against each other; {instead}")
    if name + REASON not in made.writes.names or "text" in made.writes.names:
        raise ValueError(f"--what-if {given}: {name} does not only keep and remove; {instead}")


def own_options(record: RunRecord, name: str) -> dict[str, Any]:
    """What a run's record says of a stage that are its options: `only` and branches are the recipe's."""
    types = option_types(stage_class(name))
    return {key: value for key, value in record.options.get(name, {}).items() if key in types}


def _find(record: RunRecord, root: str, options: Mapping[str, dict[str, Any]], folder: str) -> dict[str, _Asked]:
    """The stages of a run that decide, in order."""
    asked = {}
    corpus = Corpus(root)
    for name in record.stages:
        done = record.done(name)
        if done is None:
            continue
        seen = corpus.seen_by(_view(record.options.get(name, {})))
        if name + REASON in done.columns:
            every_row = bool(record.recipe.get("every_row")) and issubclass(stage_class(name), DocumentStage)
            other = stage_class(name)(**options[name]) if name in options else None
            ready = other.prepare(seen, folder) if isinstance(other, DocumentStage) else None
            asked[name] = _Asked(seen, every_row, ready)
        corpus = with_stage(corpus, name, done)
    return asked


def _view(options: Mapping[str, Any]) -> View:
    """The view that a record names among a stage's options."""
    only = tuple((column, tuple(values)) for column, values in options.get("only", {}).items())
    return View(only, tuple(options.get("unseen", ())))


def _follow(
    part: Part,
    asked: Mapping[str, _Asked],
    before: Mapping[str, Counter[str]],
    after: Mapping[str, Counter[str]],
    unknown: Counter[str],
    totals: Counter[str],
) -> None:
    """Add up what becomes of the rows of one part."""
    place_of, reasons = first_reasons(part)
    kept = place_of < 0
    alive = np.ones(part.rows, bool)
    doubtful = np.zeros(part.rows, bool)
    seen_by_changed = np.zeros(part.rows, bool)
    for place, decision in enumerate(part.decisions):
        name = decision.removesuffix(REASON)
        stage = asked[name]
        here = next(each for each in stage.before.parts if each.number == part.number)
        before[name].update(reasons.filter(pa.array(place_of == place)).to_pylist())
        concerned = here.chosen()
        seen = concerned if stage.every_row else here.kept()
        unseen = alive & concerned & ~seen
        unknown[name] += int(unseen.sum())
        doubtful |= unseen
        alive &= ~unseen
        if stage.other:
            seen_by_changed |= seen
            verdicts = _judge(stage.other, here, alive & seen)
        else:
            verdicts = part.column(decision)
        removed = alive & verdicts.is_valid().to_numpy(zero_copy_only=False)
        after[name].update(verdicts.filter(pa.array(removed)).to_pylist())
        alive &= ~removed
    gone = kept & ~alive & ~doubtful
    totals["kept"] += int(kept.sum())
    totals["still_kept"] += int(alive.sum())
    totals["gone"] += int(gone.sum())
    totals["back"] += int((alive & ~kept).sum())
    if any(asked[decision.removesuffix(REASON)].other for decision in part.decisions):
        totals["not_measured"] += int((~seen_by_changed).sum())
    if "tokens" in part.columns:
        totals["gone_tokens"] += int(part.column("tokens").fill_null(0).to_numpy()[gone].sum())


def _judge(stage: DocumentStage, part: Part, rows: _Rows) -> pa.Array:
    """Why a stage removes rows, shape (rows of the part,): null for those that it keeps, and those not asked for."""
    columns = [name for name in stage.requires() if name in part.columns]
    reasons = []
    start = 0
    for batch in part.read(columns, optional=stage.optional(), named=stage.named_columns(), kept_only=False):
        wanted = rows[start : start + len(batch)]
        start += len(batch)
        judged = stage.process(batch.filter(pa.array(wanted))).column(stage.name + REASON)
        places = np.cumsum(wanted) - 1
        reasons.append(judged.take(pa.array(places, mask=~wanted)))
    return pa.chunked_array(reasons, pa.string()).combine_chunks()
