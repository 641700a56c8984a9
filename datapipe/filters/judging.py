"""Which rules a document fails, by numbers that were measured before.

Apart from `rules.py`, the stage, so that a command that tries other thresholds on a finished run needs no Beam.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.filters.rule_sets import DOCUMENT_RULES, MIN, Rule, RuleSets, Thresholds
from datapipe.text import words

_OF_A_LANGUAGE = ("stop_words", "mean_word_length", "median_word_length")


def judge(
    batch: pa.RecordBatch, rule_sets: RuleSets, thresholds: Thresholds, min_language_score: float
) -> pa.ListArray:
    """The names of the rules that each document fails, in the order of the rules.

    Args:
        batch: the columns `language` and those of the measurements, and `language_score` and `language_mixed` if there.
        rule_sets, thresholds, min_language_score: options of the stage `rules`.
    """
    languages, codes = words.primary_languages(batch.column("language"))
    sure = np.ones(len(codes), bool)
    if "language_score" in batch.schema.names:
        scores = batch.column("language_score").fill_null(0).to_numpy(zero_copy_only=False)
        settled = np.isin(languages, list(words.UNSEGMENTED))[codes]  # by a script of their own
        sure = settled | (scores >= np.float32(min_language_score))
    if "language_mixed" in batch.schema.names:
        sure &= ~batch.column("language_mixed").fill_null(False).to_numpy(zero_copy_only=False)
    measured: dict[str, npt.NDArray[Any]] = {}
    names: list[str] = []
    found = [np.zeros(0, np.int64)]  # rows that fail each name
    for code, language in enumerate(languages):
        rows = np.flatnonzero(codes == code)
        for name, rule in DOCUMENT_RULES.rules_of(language, rule_sets, thresholds).items():
            if rule.measurement not in measured:
                column = batch.column(rule.measurement)
                numbers = column if pa.types.is_floating(column.type) else column.cast(pa.float64())
                measured[rule.measurement] = numbers.to_numpy(zero_copy_only=False)
            judged = rows[sure[rows]] if rule.measurement in _OF_A_LANGUAGE else rows
            names.append(name)
            found.append(judged[fails(rule, measured[rule.measurement][judged])])
    owners, failed = np.concatenate(found), np.repeat(np.arange(len(names)), list(map(len, found[1:])))
    order = np.argsort(owners, kind="stable")
    ends = np.searchsorted(owners[order], np.arange(len(codes) + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(names, pa.string()).take(pa.array(failed[order])))


def fails(rule: Rule, measured: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which rows fail a rule, shape (rows,); a NaN, as numpy has a null, compares false."""
    # Most measurements have 32 bits: a share of exactly 0.3 must equal the threshold 0.3.
    threshold = np.float32(rule.threshold) if measured.dtype == np.float32 else rule.threshold
    failed: npt.NDArray[np.bool_] = measured < threshold if rule.side == MIN else measured > threshold
    return failed
