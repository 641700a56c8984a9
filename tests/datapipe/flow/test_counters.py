"""Counters are the engine's own, by stage; a step that runs on no engine counts nothing and works."""

from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics.metric import MetricsFilter

from datapipe.flow.counters import DONE, PROGRESS, count, count_removed, tell_done
from datapipe.flow.threads import ThreadsRunner


def step(number: int) -> None:
    count("toy", rows=number, nothing=0)
    count_removed("toy", [pa.array(["bad", None, "bad"]), pa.nulls(3, pa.string()), pa.array([], pa.string())])
    tell_done(10)


def test_counters_add_up_over_all_elements() -> None:
    pipeline = beam.Pipeline(runner=ThreadsRunner(2))
    _ = pipeline | beam.Create([1, 2, 3]) | beam.Map(step)
    result: Any = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query(MetricsFilter())["counters"]
    found = {(each.key.metric.namespace, each.key.metric.name): each.committed for each in counters}
    assert found == {("toy", "rows"): 6, ("toy", "removed_bad"): 6, (PROGRESS, DONE): 30}


def test_without_an_engine_nothing_is_counted() -> None:
    step(1)
