"""Charts: each has the figures' own numbers, and none is drawn of nothing."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from datapipe.engine.funnel import Funnel, RuleCount, Step, Totals
from datapipe.engine.report.charts import draw_charts, mixture_chart, threshold_charts, topic_map
from datapipe.engine.report.figures import COUNTS, Figures
from datapipe.store.record import RunRecord
from tests.helpers import done


def figures_of(*rows: Sequence[Any]) -> Figures:
    return Figures(pa.Table.from_pylist([dict(zip(COUNTS.names, row, strict=True)) for row in rows], COUNTS))


def funnel() -> Funnel:
    removed = {"long": Totals(3, 30, None), "short": Totals(1, 2, None)}
    step = Step("toy", Totals(10, 100, None), removed, Totals(6, 68, None))
    rules = {"one": RuleCount(5, 3, 2)}
    return Funnel(Totals(10, 100, None), {}, (step,), Totals(6, 68, 17), Totals(7, 80, 20), rules, {}, {}, {})


def test_the_funnel_is_drawn_of_what_each_step_leaves_and_removes() -> None:
    record = RunRecord({}, [], {}, {"toy": done("toy_reason")})
    charts = draw_charts(funnel(), record, Figures())
    assert set(charts) == {"funnel", "reasons", "rules", "cost"}
    values = [
        (row["name"], row["fate"], row["documents"], row["bytes"], row["tokens"])
        for row in charts["funnel"]["data"]["values"]
    ]
    assert values == [
        ("read", "left", 10, 100, None),
        ("toy", "left", 6, 68, None),
        ("toy", "removed here", 4, 32, None),
        ("shards", "left", 7, 80, 20),
    ]
    assert [row["name"] for row in charts["reasons"]["data"]["values"]] == ["long", "short"]
    assert [row["documents"] for row in charts["rules"]["data"]["values"]] == [2, 3]


def test_small_sources_are_drawn_as_one() -> None:
    rows = [("composition", "source", f"source {number}", "kept", 0, 100 - number, 1, 1) for number in range(40)]
    values = draw_charts(funnel(), RunRecord({}, [], {}), figures_of(*rows))["by_source"]["data"]["values"]
    assert len(values) == 16
    others = {"documents": sum(range(61, 86)), "bytes": 25, "tokens": 25}
    assert {"name": "(others)", "fate": "kept"} | others in values


def test_a_heat_map_has_the_share_of_each_language() -> None:
    figures = figures_of(
        ("composition", "language", "en", "kept", 0, 60, 1, 1),
        ("composition", "language", "en", "removed", 0, 20, 1, 1),
        ("reasons", "language", "en", "toy: long", 0, 20, 1, 1),
    )
    (value,) = draw_charts(funnel(), RunRecord({}, [], {}), figures)["reasons_by_language"]["data"]["values"]
    assert value == {"reason": "toy: long", "name": "en", "documents": 20, "share": 0.25}


def test_thresholds_are_drawn_where_the_recipe_has_set_them() -> None:
    figures = figures_of(
        ("thresholds", "gopher_min_words", "en", "fails", 3, 4, None, None),
        ("thresholds", "gopher_min_words", "en", "passes", 14, 6, None, None),
        ("thresholds", "gopher_hash_ratio", "en", "passes", 0, 10, None, None),
    )
    charts = threshold_charts(figures, {"rules": {"thresholds": {"en": {"gopher_min_words": 20.0}}}})
    (chart,) = charts["en"]  # no document fails the other
    assert chart["layer"][1]["encoding"]["x"]["datum"] == 20.0
    assert chart["usermeta"]["title"] == "gopher_min_words: words ≥ 20, 4 of 10 fail"


def test_a_mixture_is_drawn_beside_what_was_asked() -> None:
    taken = [
        {"phase": phase, "group": ["zh"], "asked": 0.5, "share": 0.4, "amount": 4, "epochs": 1.0} for phase in (0, 1)
    ]
    chart = mixture_chart({"taken": taken})
    assert chart is not None
    assert [(row["name"], row["asked"], row["reached"]) for row in chart["data"]["values"]] == [
        ("phase 0: zh", 0.5, 0.4),
        ("phase 1: zh", 0.5, 0.4),
    ]
    assert mixture_chart({}) is None


def test_names_on_the_map_do_not_cover_each_other() -> None:
    topics = [
        {"x": x, "y": 0.0, "documents": 5, "quality": float("nan"), "terms": [name]}
        for x, name in ((0.0, "a"), (0.01, "b"), (1.0, "c"))
    ]
    chart = topic_map(topics)
    assert chart is not None
    assert [(row["name"], row["quality"]) for row in chart["data"]["values"]] == [("a", None), ("", None), ("c", None)]
    assert topic_map([]) is None
