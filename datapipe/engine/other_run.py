"""Another run's output, from which stages are taken that would make the same: a recipe is tuned without recomputing.

A stage is the same if its key is: a hash of its options, its version, and the keys of what it reads. Files are linked
where both folders lie on one file system, and copied elsewhere; no run writes into a file that is there, so what two
runs share neither changes for the other.
"""

import os
import pathlib
import shutil
from typing import NamedTuple, Self

from datapipe.store import files
from datapipe.store.record import FORMAT, Done, RunRecord


class OtherRun(NamedTuple):
    """The output folder of a run, finished or not, and its record."""

    root: str
    record: RunRecord

    @classmethod
    def open(cls, root: str) -> Self:
        """The run in a folder.

        Raises:
            ValueError: if there is none, or one of another version.
        """
        record = RunRecord.read(root)
        if record is None or record.format != FORMAT:
            raise ValueError(f"--reuse {root}: there is no run of this version of datapipe")
        return cls(root, record)

    def hand_over(self, done: Done, root: str) -> None:
        """Put the files of a stage into another output folder, under the same names."""
        for name in done.files:
            source, target = files.join(self.root, name), files.join(root, name)
            files.make_folder(target.rpartition("/")[0])
            if files.is_local(source) and files.is_local(target):
                _link(source, target)
                continue
            with files.open_input(source) as content, files.whole_file(target) as sink:
                while block := content.read(_BLOCK):
                    sink.write(block)


_BLOCK = 8 << 20


def _link(source: str, target: str) -> None:
    pathlib.Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
