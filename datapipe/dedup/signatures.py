"""A MinHash signature of each document as a column: what a later run needs of this one to recognise its documents.

`near_duplicates.py` signatures documents anew and keeps nothing; this stage is for corpora that grow, see
`cross_run_duplicates.py`.
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
SCHEMES = ("fast", *DATASKETCH_SCHEMES)
OPTIONS_FILE = "signatures.json"


def compute_signatures(
    texts: pa.Array, scheme: str, slots: int, shingle_size: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
    """The signature of each text, shape (n, slots), and whether it has any shingle, shape (n,).

    Args:
        texts: strings.
        scheme: one of `SCHEMES`.
        slots: length of a signature.
        shingle_size: tokens a shingle.
    """
    hashes, bounds = shingle_hashes(*text_buffers(texts), shingle_size)
    if scheme == "fast":
        found = fast_similarity_sketches(hashes, bounds, slots)
    else:
        permutations = DATASKETCH_SCHEMES[scheme]
        found = datasketch_signatures(
            hashes, bounds, datasketch_permutations(slots, permutations), permutations == "legacy"
        )
    return found, np.diff(bounds) > 0


def check_scheme(stage: str, scheme: str) -> None:
    """Check that what makes signatures of a scheme is installed.

    Raises:
        MissingExtraError: if it is not.
    """
    if scheme in DATASKETCH_SCHEMES:
        check_extra("datasketch", "datasketch", f"{stage}: scheme {scheme!r}")


def signature_options(scheme: str, slots: int, shingle_size: int) -> dict[str, Any]:
    """What two signatures must share to be compared."""
    return {"scheme": scheme, "slots": slots, "shingle_size": shingle_size}


@dataclasses.dataclass(eq=False)
class ComputeSignatures(DocumentStage):
    """Write the signature of each document: its slots as unsigned 32-bit numbers, lowest byte first, as binary.

    Null where a document has no shingle. With `scheme: datasketch` a value `s` is
    `datasketch.MinHash(hashvalues=numpy.frombuffer(s, "<u4"), scheme="affine32")` of the upper halves of
    `datapipe.text.shingles.shingle_hashes`.

    Attributes:
        scheme: `fast`, `datasketch` or `datasketch_legacy`, see `datapipe.dedup.near_duplicates`.
        slots: length of a signature; the estimated similarity is a multiple of 1 / slots.
        shingle_size: tokens a shingle.
    """

    scheme: Literal["fast", "datasketch", "datasketch_legacy"] = "fast"
    slots: Count = 128
    shingle_size: Count = 5

    name: ClassVar[str] = "signatures"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = pa.schema([("signature", pa.binary())])

    def check(self) -> None:
        """The signature can be made here."""
        check_scheme(self.name, self.scheme)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - it learns nothing
        """Write down beside the signatures how they were made."""
        files.write_json(
            files.join(folder, OPTIONS_FILE), signature_options(self.scheme, self.slots, self.shingle_size)
        )
        return self

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The signature of each text."""
        found, known = compute_signatures(batch.column("text"), self.scheme, self.slots, self.shingle_size)
        offsets = np.arange(len(found) + 1, dtype=np.int32) * np.int32(found.shape[1] * found.itemsize)
        column = pa.Array.from_buffers(
            pa.binary(),
            len(found),
            [pa.array(known).buffers()[1], pa.py_buffer(offsets), pa.py_buffer(found.astype("<u4"))],
        )
        return pa.record_batch([column], schema=self.writes)
