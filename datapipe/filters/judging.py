"""Which rules a document fails, by numbers that were measured before.

Apart from `rules.py`, the stage, so that a command that tries other thresholds on a finished run needs no Beam.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.filters.rule_sets import DOCUMENT_RULES, MIN, Rule, RuleSets, Thresholds
from datapipe.text import words

_OF_A_LANGUAGE = ("stop_words", "mean_word_length", "median_word_length")


def judge(
    batch: pa.RecordBatch, rule_sets: RuleSets, thresholds: Thresholds, min_language_score: float
) -> list[list[str]]:
    """The names of the rules that each document fails, in the order of the rules.

    Args:
        batch: the columns `language` and those of the measurements, and `language_score` and `language_mixed` if there.
        rule_sets, thresholds, min_language_score: options of the stage `rules`.
    """
    codes = np.array([words.primary(language) for language in batch.column("language").to_pylist()], object)
    sure = np.ones(len(codes), bool)
    if "language_score" in batch.schema.names:
        scores = batch.column("language_score").fill_null(0).to_numpy(zero_copy_only=False)
        settled = np.array([code in words.UNSEGMENTED for code in codes], bool)  # by a script of their own
        sure = settled | (scores >= np.float32(min_language_score))
    if "language_mixed" in batch.schema.names:
        sure &= ~batch.column("language_mixed").fill_null(False).to_numpy(zero_copy_only=False)
    failures: list[list[str]] = [[] for _ in codes]
    for code in sorted(set(codes)):
        rows = np.flatnonzero(codes == code)
        for name, rule in DOCUMENT_RULES.rules_of(code, rule_sets, thresholds).items():
            judged = rows[sure[rows]] if rule.measurement in _OF_A_LANGUAGE else rows
            for row in judged[fails(rule, batch.column(rule.measurement))[judged]]:
                failures[row].append(name)
    return failures


def fails(rule: Rule, measured: pa.Array) -> npt.NDArray[np.bool_]:
    """Which rows fail a rule, shape (rows,)."""
    values = measured.cast(pa.float64()).to_numpy(zero_copy_only=False)  # null becomes NaN, which compares false
    # Most measurements have 32 bits: a share of exactly 0.3 must equal the threshold 0.3.
    threshold = float(np.float32(rule.threshold)) if pa.types.is_floating(measured.type) else rule.threshold
    failed: npt.NDArray[np.bool_] = values < threshold if rule.side == MIN else values > threshold
    return failed
