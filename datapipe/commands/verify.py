"""`datapipe verify`: whether the output of a run still is, byte for byte, what the run wrote.

A run that resumes goes by sizes and stamps; this reads everything, and so finds a bit that has turned on the disk.
"""

import dataclasses
from typing import Any

from datapipe.commands.console import say_json
from datapipe.commands.inspection import open_run
from datapipe.engine import kept_files
from datapipe.store.record import RunRecord


def verify(output: str, recompute: int | None = None, *, as_json: bool = False) -> None:
    """Read every file of a run, and print the names of those that are not what the run wrote.

    Args:
        output: the folder of the run.
        as_json: for programs: the names, and what is wrong.
        recompute: do so many documents again, too, in each stage over rows.

    Raises:
        ValueError: if the folder holds no finished run.
        RuntimeError: if a file is gone, holds something else, or is not the run's.
    """
    _, record = open_run(output)
    files, wrong = 0, dict[str, str]()
    stages = {name: done for name in record.stages if (done := record.done(name))}
    compared = [kept_files.compare(output, name, done, contents=True) for name, done in stages.items()]
    if record.closing:  # of which earlier versions kept no record
        there = kept_files.closing_files(output)
        compared.append(kept_files.compare_files(there, record.closing, contents=True))
    for differences, kept, others in compared:
        wrong |= {difference.name: difference.what for difference in differences}
        wrong |= dict.fromkeys(others, "was not written by the run")
        files += len(kept) + len(differences)
    again = _recompute(output, record, recompute) if recompute else []
    if as_json:
        say_json({"files": files, "wrong": wrong, "again": again})
    else:
        for file, what in wrong.items():
            print(f"{file} {what}")
        for stage in again:
            print(f"{stage['stage']}: {_said(stage)}")
    if wrong:
        raise RuntimeError(
            f"{len(wrong):,} files of {output} are not what the run wrote; to run it again mends what it wrote"
        )
    different = sum(sum(stage["different"].values()) for stage in again)
    if different:
        raise RuntimeError(f"{different:,} values came out otherwise than in {output}")
    if not as_json:
        print(f"{files:,} files, each as the run wrote it")


def _recompute(output: str, record: RunRecord, count: int) -> list[dict[str, Any]]:
    # Imported here: the stages bring Beam along, which the sums do not need.
    from datapipe.engine.recompute import recompute

    return [dataclasses.asdict(found) for found in recompute(record, output, count)]


def _said(stage: dict[str, Any]) -> str:
    if stage["left_out"]:
        return f"left out: {stage['left_out']}"
    others = ", ".join(f"{number:,} other {name}" for name, number in stage["different"].items())
    return f"{stage['documents']:,} documents done again: {others or 'the same'}"
