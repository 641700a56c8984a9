"""`datapipe verify`: whether the output of a run still is, byte for byte, what the run wrote.

A run that resumes goes by sizes and stamps; this reads everything, and so finds a bit that has turned on the disk.
"""

from datapipe.commands.inspection import open_run
from datapipe.engine import kept_files
from datapipe.store.record import RunRecord


def verify(output: str, recompute: int | None = None) -> None:
    """Read every file of a run's stages, and print the names of those that are not what the run wrote.

    Args:
        output: the folder of the run.
        recompute: do so many documents again, too, in each stage over rows.

    Raises:
        ValueError: if the folder holds no finished run.
        RuntimeError: if a file is gone, holds something else, or is not the run's.
    """
    _, record = open_run(output)
    files, wrong = 0, 0
    for name, done in ((name, record.done(name)) for name in record.stages):
        if done is None:
            continue
        differences, _, others = kept_files.compare(output, name, done, contents=True)
        for difference in differences:
            print(f"{difference.name} {difference.what}")
        for other in others:
            print(f"{other} was not written by the run")
        files += len(done.files)
        wrong += len(differences) + len(others)
    if wrong:
        raise RuntimeError(
            f"{wrong:,} files of {output} are not what the run wrote; to run it again mends what it wrote"
        )
    print(f"{files:,} files, each as the run wrote it")
    if recompute:
        _recompute(output, record, recompute)


def _recompute(output: str, record: RunRecord, count: int) -> None:
    # Imported here: the stages bring Beam along, which the sums do not need.
    from datapipe.engine.recompute import recompute

    different = 0
    for found in recompute(record, output, count):
        if found.left_out:
            print(f"{found.stage}: left out: {found.left_out}")
            continue
        said = ", ".join(f"{number:,} other {name}" for name, number in found.different.items())
        print(f"{found.stage}: {found.documents:,} documents done again: {said or 'the same'}")
        different += sum(found.different.values())
    if different:
        raise RuntimeError(f"{different:,} values came out otherwise than in {output}")
