"""`datapipe mix`: another mixture of a finished run, from its columns alone: no text is read, no stage runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from datapipe.commands.console import say_json
from datapipe.commands.inspection import open_run
from datapipe.mix.mixture import MixSources
from datapipe.mix.proxies import make_proxies
from datapipe.mix.selection import (
    Ends,
    Path,
    Rows,
    as_rows,
    count_copies,
    describe,
    find_groups,
    join,
    name_of,
    read_groups,
    select,
)
from datapipe.store import files
from datapipe.store.corpus import Part
from datapipe.store.record import RunRecord

MOST_GROUPS = 1000  # of a search for shares


def mix(
    output: str,
    *,
    save: str | None,
    proxies: int | None,
    proxy_budget: int | None,
    as_json: bool = False,
    **given: Any,
) -> None:
    """Print what a mixture takes of each group, and write which documents it takes.

    Args:
        output: the folder of a finished run.
        save: a Parquet file of id, copies and phase; of proxies, a folder of such files and a table of their shares.
        proxies: how many small mixtures to make instead, for a search of shares.
        proxy_budget: of each of them.
        as_json: for programs: what is taken of each group, and what is to be said of it.
        given: options of the stage `mixture`; one that is None is as in the run.

    Raises:
        ValueError: if there is no such run, or an option is wrong.
    """
    corpus, record = open_run(output)
    stage = MixSources(**_options(record, given))
    parts = [_without_mixture(part) for part in corpus.of_kind(stage.part_kinds())]
    _check_columns(stage, parts)
    if proxies is not None:
        _search(stage, parts, proxies, proxy_budget, save)
        return
    rows = join([rows for part in parts for rows in stage.rows(part)] or [_none()])
    phases, groups = stage.planned(), stage.groups()
    found, known = select(rows, phases, groups, stage.max_epochs)
    lines = describe(phases, known, found, stage.unit)
    if as_json:
        say_json({"unit": stage.unit, "taken": [dataclasses.asdict(of) for of in found.taken], "notes": list(lines)})
    else:
        _print_table(found, stage.unit)
        print("".join(f"{line}\n" for line in lines), end="")
    if save:
        copies = count_copies(rows, found, stage.max_epochs)
        phase, row = np.nonzero(copies)
        table = {"id": _names(rows.ids[row]), "copies": copies[phase, row], "phase": phase.astype(np.int32)}
        files.write_table(save, pa.table(table))
        print(save)


def _options(record: RunRecord, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the run's mixture, with those that are given in their place."""
    listed = {name: options for stage in record.recipe["stages"] for name, options in stage.items()}
    options = dict(listed.get(MixSources.name, {}))
    given = {name: value for name, value in given.items() if value is not None}
    for name in ("shares", "phases"):
        if name in given:
            try:
                given[name] = yaml.safe_load(given[name])
            except yaml.YAMLError as error:
                raise ValueError(f"mix: {name} must be YAML, such as '{{web: 0.8, code: 0.1}}'") from error
    if "by" in given:
        options["shares"], options["phases"] = {}, []  # of other groups
    if "shares" in given:
        options["phases"] = []
    if "phases" in given:
        options["budget"] = None
    return options | given


def _without_mixture(part: Part) -> Part:
    """The part as it stood before its mixture: what that left out can be taken again."""
    own = {column for column in MixSources.writes.names if column.endswith("_reason")}
    return dataclasses.replace(part, decisions=tuple(name for name in part.decisions if name not in own))


def _check_columns(stage: MixSources, parts: Sequence[Part]) -> None:
    there = {column for part in parts for column in part.columns}
    for column in (*stage.requires(), *stage.named_columns()):
        if column not in there:
            raise ValueError(f"mix: no document has a column {column!r}; there are {', '.join(sorted(there))}")


def _none() -> Rows:
    none = np.zeros(0, np.int64)
    return Rows(none.astype(np.uint64), none, np.zeros(0), none, np.zeros(0))


def _names(ids: Any) -> pa.Array:
    """Ids as in the shards: `part-row`."""
    from datapipe.mix.shards import row_ids

    return row_ids(pa.array(ids))


def _print_table(found: Ends, unit: str) -> None:
    rows = [("phase", "group", unit, "share", "asked", "epochs")]
    for of in found.taken:
        numbers = f"{of.amount:,}", f"{of.share:.2%}", f"{of.asked:.2%}", f"{of.epochs:.2f}"
        rows.append((str(of.phase), name_of(of.group), *numbers))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        at_left = cells[1].ljust(widths[1])
        print("  ".join([cells[0], at_left, *map(str.rjust, cells[2:], widths[2:])]))


def _search(stage: MixSources, parts: Sequence[Part], count: int, budget: int | None, save: str | None) -> None:
    """Write small mixtures of all groups that there are, and a table of their shares."""
    if save is None or budget is None:
        raise ValueError("mix: proxies need proxy-budget, how much each takes, and save, a folder for them")
    tables = [found for part in parts if (found := read_groups(part, stage.by, stage.unit))]
    paths: set[Path] = {path for _, values in tables for path in _paths(values)}
    if len(paths) > MOST_GROUPS:
        raise ValueError(f"mix: by {', '.join(stage.by)} there are {len(paths):,} groups, more than {MOST_GROUPS:,}")
    groups = sorted(paths)
    rows = join(
        [as_rows(table, find_groups(values, groups), stage.unit, stage.seed) for table, values in tables] or [_none()]
    )
    final = stage.budget or int(rows.amounts.sum())
    if not 0 < budget <= final:
        raise ValueError(f"mix: proxy-budget must be above 0 and at most the final budget of {final:,}, got {budget!r}")
    proxies = make_proxies(rows, groups, count, budget, final, stage.max_epochs, stage.seed)
    listed = []
    files.make_folder(save)
    for number, proxy in enumerate(proxies):
        table = {"id": _names(proxy.ids), "copies": proxy.copies}
        files.write_table(files.join(save, f"proxy-{number:05d}.parquet"), pa.table(table))
        listed += [
            {
                "proxy": number,
                "group": name_of(group),
                "share": proxy.shares[group],
                stage.unit: proxy.amounts.get(group, 0),
                "epochs": proxy.epochs.get(group, 0.0),
                "final_epochs": proxy.final_epochs[group],
            }
            for group in groups
        ]
    path = files.join(save, "_proxies.parquet")
    files.write_table(path, pa.Table.from_pylist(listed))
    print(f"{count} mixtures of {budget:,} {stage.unit}, for a final budget of {final:,}: {path}")


def _paths(values: Sequence[pa.Array]) -> set[Path]:
    names = [f"{place}" for place in range(len(values))]
    distinct = pa.table(dict(zip(names, values, strict=True))).group_by(names).aggregate([])
    return set(zip(*(distinct.column(name).to_pylist() for name in names), strict=True))
