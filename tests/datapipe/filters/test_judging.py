"""Judging measured documents: the stage's own tests are in `test_rules.py`."""

import numpy as np
import pyarrow as pa

from datapipe.filters.judging import fails, judge
from datapipe.filters.measurements import MeasureText
from datapipe.filters.rule_sets import Rule
from datapipe.filters.rules import ApplyRules


def test_a_missing_measurement_passes() -> None:
    assert not fails(Rule("words", "min", 5), pa.array([None, 5, 6], pa.int32()).to_numpy(zero_copy_only=False)).any()


def test_a_threshold_itself_passes() -> None:
    shares = np.array([0.3, 0.30001], np.float32)
    assert fails(Rule("duplicate_line_share", "max", 0.3), shares).tolist() == [False, True]
    assert fails(Rule("duplicate_line_share", "min", 0.3), shares).tolist() == [False, False]


def test_another_threshold_judges_as_the_stage_would() -> None:
    columns = {
        name: pa.nulls(2, kind) for name, kind in zip(MeasureText.writes.names, MeasureText.writes.types, strict=True)
    }
    batch = pa.RecordBatch.from_pydict(columns | {"words": pa.array([30, 60], pa.int32()), "language": ["en", "en"]})
    for threshold in (50.0, 20.0):
        stage = ApplyRules(thresholds={"en": {"gopher_min_words": threshold}})
        assert judge(batch, {}, stage.thresholds, 0.65).equals(stage.process(batch).column("rules_failed"))
    assert judge(batch, {}, {"en": {"gopher_min_words": 50.0}}, 0.65).to_pylist() == [["gopher_min_words"], []]
