"""The report's plots, as Vega-Lite specifications: plain values, which the page's script draws.

Colours, fonts and widths are the page's (`page.js`), so that they follow the screen and the reader's choice of light or
dark. Here "first" and "second" name its two colours: what stays, and what goes.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datapipe.engine.fates import KEPT
from datapipe.engine.funnel import Funnel, Totals
from datapipe.engine.report.figures import (
    CLUSTER_SIZES,
    FAILS,
    LENGTHS,
    OTHERS,
    REMOVED,
    SCORES,
    SHARES,
    Bins,
    Figures,
    rule_bins,
    rules_of,
)
from datapipe.engine.verdicts import Options
from datapipe.filters.rule_sets import MIN
from datapipe.store.record import Done, RunRecord

Spec = dict[str, Any]
NAMES_SHOWN = 15  # of a group; the rest is one more
REASONS_SHOWN = 20
COLUMNS_SHOWN = 12  # of a heat map
RULES_SHOWN = 15
LANGUAGES_SHOWN = 12  # of the thresholds
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_TWO = {"domain": [KEPT, REMOVED], "range": ["first", "second"]}
UNITS = ("documents", "bytes", "tokens")


def draw_charts(funnel: Funnel, record: RunRecord, figures: Figures) -> dict[str, Spec]:
    """The plots that a run has something for, by name."""
    charts = {
        "funnel": _funnel(funnel),
        "reasons": _reasons(funnel),
        "rules": _rules(funnel),
        "cost": _cost(record),
    }
    for group in ("language", "source", "language_script"):
        charts[f"by_{group}"] = _composition(figures, group)
    for group in ("language", "source"):
        charts[f"reasons_by_{group}"] = _heat_map(figures, group)
    for column, bins in SCORES.items():
        charts[f"score_{column}"] = _histogram(_of_group(figures, "scores", column), bins, column.replace("_", " "))
    for unit in ("bytes", "tokens"):
        charts[f"length_{unit}"] = _histogram(_of_group(figures, "lengths", unit), LENGTHS, f"{unit} a document")
    for kind in ("exact", "near"):
        found = _of_group(figures, "clusters", f"{kind}_duplicates_size")
        charts[f"clusters_{kind}"] = _histogram(found, CLUSTER_SIZES, "documents of a cluster")
    for kind in ("near", "semantic"):
        found = _of_group(figures, "similarity", f"{kind}_duplicates_similarity")
        charts[f"similarity_{kind}"] = _histogram(found, SHARES, "similarity to the document that stays")
    charts["tokens_by_language"] = _bytes_per_token(figures)
    return {name: chart for name, chart in charts.items() if chart["data"]["values"]}


def _spec(values: Sequence[Mapping[str, Any]], mark: str | Spec, encoding: Spec, **more: Any) -> Spec:
    return {
        "$schema": _SCHEMA,
        "data": {"values": list(values)},
        "width": "container",
        "mark": mark,
        "encoding": encoding,
    } | more


def _by_unit(spec: Spec, units: Iterable[str] = UNITS) -> Spec:
    """The plot with a switch between documents, bytes and tokens: the field `amount` is that of the unit."""
    options = list(units)
    parameter = {"name": "unit", "value": options[0], "bind": {"input": "radio", "options": options, "name": "unit: "}}
    return spec | {"params": [parameter], "transform": [{"calculate": "datum[unit]", "as": "amount"}]}


def _tooltip(*fields: str) -> list[Spec]:
    return [{"field": field} | ({"format": ",", "type": "quantitative"} if field in UNITS else {}) for field in fields]


_AMOUNT = {"field": "amount", "type": "quantitative", "title": None, "axis": {"format": "~s"}}
_BAR = {"type": "bar", "cornerRadiusEnd": 2}


def _names(sort: Any) -> Spec:
    return {"field": "name", "type": "nominal", "sort": sort, "title": None}


def _amounts(totals: Totals) -> Spec:
    return {"documents": totals.documents, "bytes": totals.bytes, "tokens": totals.tokens}


def _funnel(funnel: Funnel) -> Spec:
    values = [{"name": "read", "fate": "left"} | _amounts(funnel.read)]
    for step in funnel.steps:
        removed = sum(step.removed.values(), Totals())
        values.append({"name": step.stage, "fate": "left"} | _amounts(step.left))
        values.append({"name": step.stage, "fate": "removed here"} | _amounts(removed))
    values.append({"name": "shards", "fate": "left"} | _amounts(funnel.copies))
    encoding = {
        "y": _names(["read", *(step.stage for step in funnel.steps), "shards"]),
        "x": _AMOUNT,
        "color": {"field": "fate", "scale": {"domain": ["left", "removed here"], "range": ["first", "second"]}},
        "order": {"field": "fate"},
        "tooltip": _tooltip("name", "fate", *UNITS),
    }
    return _by_unit(_spec(values, _BAR, encoding, height={"step": 24}))


def _reasons(funnel: Funnel) -> Spec:
    values: list[Spec] = [
        {"name": reason, "stage": step.stage} | _amounts(amount)
        for step in funnel.steps
        for reason, amount in step.removed.items()
    ]
    values.sort(key=lambda value: -value["documents"])
    encoding = {
        "y": _names("-x"),
        "x": _AMOUNT,
        "color": {"field": "stage", "type": "nominal"},
        "tooltip": _tooltip("name", "stage", *UNITS),
    }
    return _by_unit(_spec(values[:REASONS_SHOWN], _BAR, encoding, height={"step": 20}), ("documents", "bytes"))


def _rules(funnel: Funnel) -> Spec:
    shown = sorted(funnel.rules.items(), key=lambda rule: (-rule[1].only, -rule[1].failed, rule[0]))[:RULES_SHOWN]
    values = [
        {"name": name, "kind": kind, "documents": count}
        for name, rule in shown
        for kind, count in (("fail no other rule", rule.only), ("fail others, too", rule.failed - rule.only))
    ]
    scale = {"domain": ["fail no other rule", "fail others, too"], "range": ["second", "quiet"]}
    encoding = {
        "y": _names([name for name, _ in shown]),
        "x": {"field": "documents", "type": "quantitative"},
        "color": {"field": "kind", "scale": scale},
        "order": {"field": "kind"},
        "tooltip": _tooltip("name", "kind", "documents"),
    }
    return _spec(values, _BAR, encoding, height={"step": 20})


def _cost(record: RunRecord) -> Spec:
    values = [
        {"name": name, "seconds": round(stage.seconds, 2), "MiB": stage.peak_bytes >> 20}
        for name, stage in record.stages.items()
        if isinstance(stage, Done)
    ]
    encoding = {
        "y": _names(None),
        "x": {"field": "seconds", "type": "quantitative"},
        "color": {"value": "first"},
        "tooltip": _tooltip("name", "seconds", "MiB"),
    }
    return _spec(values, _BAR, encoding, height={"step": 18})


def _of_group(figures: Figures, figure: str, group: str) -> pa.Table:
    rows = figures.of(figure)
    return rows.filter(pc.equal(rows.column("group"), group))


def _largest(rows: Iterable[Mapping[str, Any]], shown: int) -> list[str]:
    """The names with most documents; the rest goes under `OTHERS`."""
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row["name"]] += row["documents"]
    sums.pop(OTHERS, None)
    return sorted(sums, key=lambda name: (-sums[name], name))[:shown]


def _composition(figures: Figures, group: str) -> Spec:
    rows = _of_group(figures, "composition", group).to_pylist()
    largest = _largest(rows, NAMES_SHOWN)
    sums: dict[tuple[str, str], dict[str, int | None]] = {}
    for row in rows:
        name = row["name"] if row["name"] in largest else OTHERS
        amounts = sums.setdefault((name, row["series"]), dict.fromkeys(UNITS, 0))
        for unit in UNITS:
            before, more = amounts[unit], row[unit]
            amounts[unit] = None if before is None or more is None else before + more
    values = [{"name": name or "–", "fate": fate} | amounts for (name, fate), amounts in sums.items()]
    encoding = {
        "y": _names([*(name or "–" for name in largest), OTHERS]),
        "x": _AMOUNT,
        "color": {"field": "fate", "scale": _TWO},
        "order": {"field": "fate"},
        "tooltip": _tooltip("name", "fate", *UNITS),
    }
    return _by_unit(_spec(values, _BAR, encoding, height={"step": 20}))


def _heat_map(figures: Figures, group: str) -> Spec:
    """The share of each language's or source's documents that each reason removed."""
    read: dict[str, int] = defaultdict(int)
    for row in _of_group(figures, "composition", group).to_pylist():
        read[row["name"]] += row["documents"]
    rows = _of_group(figures, "reasons", group).to_pylist()
    columns = _largest([row for row in rows if row["name"] in read], COLUMNS_SHOWN)
    by_reason = [row | {"name": row["series"]} for row in rows]
    reasons = _largest(by_reason, REASONS_SHOWN)
    values = [
        {
            "reason": row["series"],
            "name": row["name"] or "–",
            "documents": row["documents"],
            "share": row["documents"] / read[row["name"]],
        }
        for row in rows
        if row["series"] in reasons and row["name"] in columns
    ]
    encoding = {
        "y": {"field": "reason", "type": "nominal", "sort": reasons, "title": None},
        "x": {"field": "name", "type": "nominal", "sort": columns, "title": None, "axis": {"labelAngle": -50}},
        "color": {
            "field": "share",
            "type": "quantitative",
            "scale": {"type": "sqrt", "scheme": "oranges", "domainMin": 0},
            "legend": {"format": ".0%"},
        },
        "tooltip": [
            *_tooltip("reason", "name", "documents"),
            {"field": "share", "format": ".1%", "title": f"share of the {group}'s documents"},
        ],
    }
    return _spec(values, "rect", encoding, height={"step": 18})


def _histogram(rows: pa.Table, bins: Bins, title: str) -> Spec:
    """Documents by a number, those kept and those removed, where the figure tells them apart."""
    values = []
    for row in rows.to_pylist():
        start, end = bins.edges(row["bin"])
        values.append({"from": start, "to": end, "fate": row["series"] or KEPT, "documents": row["documents"]})
    told = any(value["fate"] == REMOVED for value in values)
    encoding = {
        "x": _position(bins, "from", title),
        "x2": {"field": "to"},
        "y": {"field": "documents", "type": "quantitative", "scale": {"type": "sqrt"}},
        "color": {"field": "fate", "scale": _TWO, **({} if told else {"legend": None})},
        "order": {"field": "fate"},
        "tooltip": [
            {"field": "from", "type": "quantitative", "format": ".3~s"},
            {"field": "to", "type": "quantitative", "format": ".3~s"},
            *_tooltip(*(["fate"] if told else []), "documents"),
        ],
    }
    return _spec(values, "bar", encoding, height=160)


def _position(bins: Bins, field: str, title: str | None) -> Spec:
    """The place of a bin on an axis that is even in its bins."""
    scale: Spec = {} if bins.width else {"scale": {"type": "log", "nice": False}}
    if bins == SHARES:
        scale = {"scale": {"domain": [0, 1]}}
    axis = {"axis": {"format": "~g" if bins.width else "~s", "labelOverlap": True, "tickCount": 6}}
    return {"field": field, "type": "quantitative", "bin": {"binned": True}, "title": title} | scale | axis


def _bytes_per_token(figures: Figures) -> Spec:
    rows = [
        row
        for row in _of_group(figures, "composition", "language").to_pylist()
        if row["series"] == KEPT and row["tokens"]
    ]
    values = [
        {"name": row["name"] or "–", "bytes per token": row["bytes"] / row["tokens"], "tokens": row["tokens"]}
        for row in sorted(rows, key=lambda row: -row["tokens"])[:NAMES_SHOWN]
    ]
    encoding = {
        "y": _names([value["name"] for value in values]),
        "x": {"field": "bytes per token", "type": "quantitative"},
        "color": {"value": "first"},
        "tooltip": [*_tooltip("name", "tokens"), {"field": "bytes per token", "format": ".2f"}],
    }
    return _spec(values, _BAR, encoding, height={"step": 20})


def threshold_charts(figures: Figures, options: Options) -> dict[str, list[Spec]]:
    """By language, the rules that most of its documents fail: what they measure, and where the threshold cuts."""
    rows = figures.of("thresholds").to_pylist()
    by_language: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_language[row["name"]][row["group"]].append(row)
    reached = {
        language: max(sum(row["documents"] for row in of_rule) for of_rule in rules.values())
        for language, rules in by_language.items()
    }
    shown = sorted(reached, key=lambda language: (-reached[language], language))[:LANGUAGES_SHOWN]
    charts = {}
    for language in shown:
        failed = {
            name: sum(row["documents"] for row in of_rule if row["series"] == FAILS)
            for name, of_rule in by_language[language].items()
        }
        active = sorted((name for name in failed if failed[name]), key=lambda name: (-failed[name], name))
        rules = rules_of(options, language)
        charts[language] = [
            _threshold(name, rules[name], by_language[language][name], failed[name]) for name in active[:COLUMNS_SHOWN]
        ]
    return {language: of_language for language, of_language in charts.items() if of_language}


def _threshold(name: str, rule: Any, rows: Sequence[Mapping[str, Any]], failed: int) -> Spec:
    bins, documents = rule_bins(rule), sum(row["documents"] for row in rows)
    values = []
    for row in rows:
        start, end = bins.edges(row["bin"])
        values.append({"from": start, "to": end, "verdict": row["series"], "documents": row["documents"]})
    encoding = {
        "x": _position(bins, "from", None),
        "x2": {"field": "to"},
        "y": {
            "field": "documents",
            "type": "quantitative",
            "title": None,
            "scale": {"type": "sqrt"},
            "axis": {"tickCount": 3},
        },
        "color": {
            "field": "verdict",
            "legend": None,
            "scale": {"domain": ["passes", "fails"], "range": ["first", "second"]},
        },
        "tooltip": [
            {"field": "from", "type": "quantitative", "format": ".3~s"},
            {"field": "to", "type": "quantitative", "format": ".3~s"},
            *_tooltip("verdict", "documents"),
        ],
    }
    bars = {"mark": "bar", "encoding": encoding}
    line = {"mark": {"type": "rule", "strokeDash": [4, 3]}, "encoding": {"x": {"datum": rule.threshold}}}
    sign = "≥" if rule.side == MIN else "≤"
    title = f"{name}: {rule.measurement} {sign} {rule.threshold:.4g}, {failed:,} of {documents:,} fail"
    return _layered(_spec(values, "bar", {}, height=110), bars, line) | {"usermeta": {"title": title}}


def mixture_chart(shares: Mapping[str, Any]) -> Spec | None:
    """What each phase of a mixture takes of each group, beside what was asked for; none without anything asked."""
    taken = [row for row in shares.get("taken", ()) if row["asked"] is not None]
    if not taken:
        return None
    several = len({row["phase"] for row in taken}) > 1
    values = [
        {
            "name": (f"phase {row['phase']}: " if several else "")
            + (" / ".join(map(str, row["group"])) or "(all others)"),
            "asked": row["asked"],
            "reached": row["share"],
            "epochs": row["epochs"],
        }
        for row in taken
    ]
    tooltip = [
        *_tooltip("name"),
        *({"field": field, "format": ".2%"} for field in ("asked", "reached")),
        {"field": "epochs", "format": ".2f"},
    ]
    share = {"type": "quantitative", "axis": {"format": ".0%"}, "title": "reached, and asked for (the mark)"}
    reached = {"mark": _BAR, "encoding": {"x": {"field": "reached"} | share, "color": {"value": "first"}}}
    tick = {"type": "tick", "thickness": 3}
    asked = {"mark": tick, "encoding": {"x": {"field": "asked"} | share, "color": {"value": "second"}}}
    return _layered(_spec(values, _BAR, {"y": _names(None), "tooltip": tooltip}, height={"step": 22}), reached, asked)


def _layered(spec: Spec, *layers: Spec) -> Spec:
    """The specification with marks on top of each other in place of its own."""
    return {key: value for key, value in spec.items() if key != "mark"} | {"layer": list(layers)}


def topic_map(topics: Sequence[Mapping[str, Any]]) -> Spec | None:
    """The centres of the topics in the two directions in which they differ most; none without topics."""
    if not topics:
        return None
    named = _apart([(topic["x"], topic["y"]) for topic in topics])
    values = [
        {
            "x": topic["x"],
            "y": topic["y"],
            "documents": topic["documents"],
            "quality": None if topic["quality"] is None or math.isnan(topic["quality"]) else topic["quality"],
            "terms": ", ".join(topic["terms"][:5]),
            "name": ", ".join(topic["terms"][:2]) if place in named else "",
        }
        for place, topic in enumerate(topics)
    ]
    axis = {"type": "quantitative", "title": None, "axis": None, "scale": {"zero": False, "padding": 30}}
    place = {"x": axis | {"field": "x"}, "y": axis | {"field": "y"}}
    circles = {
        "mark": {"type": "circle", "opacity": 0.6},
        "encoding": {
            "size": {"field": "documents", "type": "quantitative", "legend": None, "scale": {"range": [20, 900]}},
            "color": {"value": "first"},
            "tooltip": [*_tooltip("terms", "documents"), {"field": "quality", "format": ".2f"}],
        },
    }
    names = {"mark": {"type": "text", "dy": -12, "limit": 160}, "encoding": {"text": {"field": "name"}}}
    return _layered(_spec(values, "circle", place, height=420), circles, names)


def _apart(places: Sequence[tuple[float, float]]) -> set[int]:
    """Which places, the first before the others, can bear a name without covering another's.

    >>> sorted(_apart([(0, 0), (0, 0.01), (1, 1)]))
    [0, 2]
    """
    wide, high = (max(axis) - min(axis) or 1 for axis in zip(*places, strict=True))
    named = set[int]()
    for place, (x, y) in enumerate(places):
        if all(abs(x - places[at][0]) > wide / 3 or abs(y - places[at][1]) > high / 18 for at in named):
            named.add(place)
    return named
