"""`datapipe stats`: what a run holds, group by group: documents, bytes, tokens, and how much of each is kept."""

from collections.abc import Sequence

from datapipe.commands.console import say, say_json, say_table
from datapipe.commands.inspection import open_run
from datapipe.engine.fates import all_fates, count_groups


def stats(output: str, *, by: Sequence[str], count: int, as_json: bool = False) -> None:
    """Print the groups of a run with most documents.

    Args:
        output: the folder of the run.
        by: the columns that group documents.
        count: how many groups.
        as_json: for programs: all of them.

    Raises:
        ValueError: if there is no such run, or no document has a column.
    """
    corpus, _ = open_run(output)
    known = {name for part in corpus.parts for name in part.columns}
    for name in by:
        if name not in known:
            raise ValueError(f"--by: no document has a column {name!r}; there are {', '.join(sorted(known))}")
    groups = count_groups(all_fates(corpus, by), by).to_pylist()
    if as_json:
        say_json(groups)
        return
    rows = [(*by, "documents", "kept", "", "MB", "MB kept", "tokens kept")]
    for group in groups[:count]:
        tokens = "-" if group["tokens"] is None else f"{group['tokens']:,}"
        share = f"{group['kept'] / max(1, group['documents']):.0%}"
        amounts = (f"{group['bytes'] / 1e6:,.1f}", f"{(group['kept_bytes'] or 0) / 1e6:,.1f}", tokens)
        names = ("-" if group[name] is None else group[name] for name in by)
        rows.append((*names, f"{group['documents']:,}", f"{group['kept']:,}", share, *amounts))
    say_table(rows, left=range(len(by)))
    if len(groups) > count:
        say(f"and {len(groups) - count:,} more groups: --count, or --json")
