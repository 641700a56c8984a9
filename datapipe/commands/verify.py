"""`datapipe verify`: whether the output of a run still is, byte for byte, what the run wrote.

A run that resumes goes by sizes and stamps; this reads everything, and so finds a bit that has turned on the disk.
"""

from datapipe.commands.inspection import open_run
from datapipe.engine import kept_files


def verify(output: str) -> None:
    """Read every file of a run, and print the names of those that are not what the run wrote.

    Args:
        output: the folder of the run.

    Raises:
        ValueError: if the folder holds no finished run.
        RuntimeError: if a file is gone, holds something else, or is not the run's.
    """
    _, record = open_run(output)
    files, wrong = 0, 0
    stages = {name: done for name in record.stages if (done := record.done(name))}
    compared = [
        *(kept_files.compare(output, name, done, contents=True) for name, done in stages.items()),
        kept_files.compare_files(kept_files.closing_files(output), record.closing, contents=True),
    ]
    for differences, kept, others in compared:
        for difference in differences:
            print(f"{difference.name} {difference.what}")
        for other in others:
            print(f"{other} was not written by the run")
        files += len(kept) + len(differences)
        wrong += len(differences) + len(others)
    if wrong:
        raise RuntimeError(
            f"{wrong:,} files of {output} are not what the run wrote; to run it again mends what it wrote"
        )
    print(f"{files:,} files, each as the run wrote it")
