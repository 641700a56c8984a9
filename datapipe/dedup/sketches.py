"""A MinHash sketch of each document as a column: what a later run needs of this one to recognise its documents.

`near_duplicates.py` sketches documents anew and keeps nothing; this stage is for corpora that grow, see
`earlier_duplicates.py`.
"""

import dataclasses
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.checks import Count
from datapipe.extras import check_extra
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.text.characters import text_buffers
from datapipe.text.minhash import datasketch_permutations, datasketch_signatures, fast_similarity_sketches
from datapipe.text.shingles import shingle_hashes

DATASKETCH_SCHEMES = {"datasketch": "affine32", "datasketch_legacy": "legacy"}
SKETCHES = ("fast", *DATASKETCH_SCHEMES)
OPTIONS_FILE = "sketches.json"


def sketches(
    texts: pa.Array, sketch: str, slots: int, shingle_size: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
    """The sketch of each text, shape (n, slots), and whether it has any shingle, shape (n,).

    Args:
        texts: strings.
        sketch: one of `SKETCHES`.
        slots: length of a sketch.
        shingle_size: tokens a shingle.
    """
    hashes, bounds = shingle_hashes(*text_buffers(texts), shingle_size)
    if sketch == "fast":
        found = fast_similarity_sketches(hashes, bounds, slots)
    else:
        scheme = DATASKETCH_SCHEMES[sketch]
        found = datasketch_signatures(hashes, bounds, datasketch_permutations(slots, scheme), scheme == "legacy")
    return found, np.diff(bounds) > 0


def check_sketch(stage: str, sketch: str) -> None:
    """Check that what makes a kind of sketch is installed.

    Raises:
        MissingExtraError: if it is not.
    """
    if sketch in DATASKETCH_SCHEMES:
        check_extra("datasketch", "datasketch", f"{stage}: sketch {sketch!r}")


def sketch_options(sketch: str, slots: int, shingle_size: int) -> dict[str, Any]:
    """What two sketches must share to be compared."""
    return {"sketch": sketch, "slots": slots, "shingle_size": shingle_size}


@dataclasses.dataclass(eq=False)
class SketchDocuments(DocumentStage):
    """Write the sketch of each document: its slots as unsigned 32-bit numbers, lowest byte first, in a binary column.

    Null where a document has no shingle. With `sketch: datasketch` a value `s` is
    `datasketch.MinHash(hashvalues=numpy.frombuffer(s, "<u4"), scheme="affine32")` of the upper halves of
    `datapipe.text.shingles.shingle_hashes`.

    Attributes:
        sketch: `fast`, `datasketch` or `datasketch_legacy`, see `datapipe.dedup.near_duplicates`.
        slots: length of a sketch; the estimated similarity is a multiple of 1 / slots.
        shingle_size: tokens a shingle.
    """

    sketch: Literal["fast", "datasketch", "datasketch_legacy"] = "fast"
    slots: Count = 128
    shingle_size: Count = 5

    name: ClassVar[str] = "sketches"
    writes: ClassVar[pa.Schema] = pa.schema([("sketch", pa.binary())])

    def check(self) -> None:
        """The sketch can be made here."""
        check_sketch(self.name, self.sketch)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - it learns nothing
        """Write down beside the sketches how they were made."""
        files.write_json(files.join(folder, OPTIONS_FILE), sketch_options(self.sketch, self.slots, self.shingle_size))
        return self

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The sketch of each text."""
        found, known = sketches(batch.column("text"), self.sketch, self.slots, self.shingle_size)
        offsets = np.arange(len(found) + 1, dtype=np.int32) * np.int32(found.shape[1] * found.itemsize)
        column = pa.Array.from_buffers(
            pa.binary(),
            len(found),
            [pa.array(known).buffers()[1], pa.py_buffer(offsets), pa.py_buffer(found.astype("<u4"))],
        )
        return pa.record_batch([column], schema=self.writes)
