"""Keeps documents by what a column of theirs says: a licence, a file's type, a site.

Other filters judge the text, or scores; here the values are the user's own and known beforehand.
"""

import dataclasses
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import MinLen

from datapipe.checks import ColumnOption
from datapipe.stage import DocumentStage


@dataclasses.dataclass(eq=False)
class FilterColumns(DocumentStage):
    """Removes documents whose value in a column is not one of those wanted, with the reason "<column>_not_wanted".

    A document without a value goes too: of a licence that nobody names nothing is known.

    Attributes:
        keep: by column, the values to keep, compared without regard to case: {license: [mit, apache-2.0]}.
    """

    keep: Annotated[dict[ColumnOption, Annotated[list[str], MinLen(1)]], MinLen(1)]

    name: ClassVar[str] = "column_filter"
    writes: ClassVar[pa.Schema] = pa.schema([("column_filter_reason", pa.string())])

    def optional(self) -> tuple[str, ...]:
        """The columns; where no document has one, all go."""
        return self.named_columns()

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decide by the columns that the option names; returns the column of `writes`."""
        reasons = np.full(len(batch), None, object)
        for column, wanted in self.keep.items():
            values = pc.utf8_lower(batch.column(column).cast(pa.string()))
            kept = pc.is_in(values, pa.array([value.lower() for value in wanted])).to_numpy(zero_copy_only=False)
            reasons[~kept & (reasons == None)] = f"{column}_not_wanted"  # noqa: E711 - element by element
        return pa.record_batch([pa.array(reasons.tolist(), pa.string())], schema=self.writes)
