"""`datapipe rejects`: the input records that are no documents, by what is wrong with them, and what would read them."""

from collections import Counter
from typing import Any

import pyarrow.parquet as pq
import yaml

from datapipe.commands.console import QUIET, plain, say, say_json, say_table
from datapipe.commands.inspection import open_run
from datapipe.engine.verdicts import shown
from datapipe.near import suggest
from datapipe.read.reject_summary import RejectCounts, advise, count_reject
from datapipe.store import files
from datapipe.store.corpus import REJECTS
from datapipe.store.record import FORMAT, RunRecord

_RAW_SHOWN = 200


def rejects(output: str, *, reason: str | None, count: int, as_json: bool = False) -> None:
    """Print how many records were rejected, by extension and reason, with examples.

    Args:
        output: the folder of the run.
        reason: only of this one.
        count: how many examples.
        as_json: for programs: every reject, its first bytes as text.

    Raises:
        ValueError: if there is no such run, or nothing was rejected for the reason.
    """
    record = RunRecord.read(output)
    if record is None or record.format != FORMAT:
        open_run(output)  # says what is wrong; but a run that has not finished, perhaps for its rejects, has them too
    options = record.options if record else {}
    found: list[dict[str, Any]] = []
    reasons: Counter[str] = Counter()
    by_source: dict[str, RejectCounts] = {}
    for path in files.list_folder(files.join(output, REJECTS)):
        if not path.endswith(".parquet"):
            continue
        source = path.rpartition("/")[2].rpartition("-")[0]
        with files.open_columns(path) as content:
            for batch in pq.ParquetFile(content).iter_batches():
                for row in batch.to_pylist():
                    reasons[row["reason"]] += 1
                    counts = by_source.setdefault(source, RejectCounts())
                    count_reject(counts, row["file"], row["reason"], row["raw"], row["columns"])
                    if reason in (None, row["reason"]) and (as_json or len(found) < count):
                        found.append({"source": source, **row, "raw": (row["raw"] or b"").decode(errors="replace")})
    if reason is not None and reason not in reasons:
        raise ValueError(f"nothing was rejected as {reason!r}{suggest(reason, sorted(reasons))}")
    if as_json:
        say_json(found)
        return
    if not reasons:
        say("nothing was rejected")
        return
    rows = [("source", "extension", "reason", "records")]
    for source, counts in by_source.items():
        rows += [(source, extension, why, f"{many:,}") for (extension, why), many in counts.reasons.most_common()]
    say_table(rows, left=range(3))
    for each in found:
        say((f"\n{plain(each['file'])}:{each['position']}  {each['reason']}: {plain(each['detail'] or '')}", QUIET))
        say(plain(shown(each["raw"], _RAW_SHOWN)))
    for source, counts in by_source.items():
        advice = advise(counts, options.get(source, {}))
        if advice:
            said = yaml.safe_dump([{source: advice}], allow_unicode=True, sort_keys=False, default_flow_style=None)
            say("\nto read what seems to be text, paste into the recipe, under `stages:`")
            for line in said.splitlines():
                say(f"  {line}")
