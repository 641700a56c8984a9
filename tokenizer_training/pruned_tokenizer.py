"""A smaller vocabulary as a stage of a run, with a model's rows for it: chatglm-6b-slim.

The algorithm is `prune.py`; `datapipe tokenizer prune` does the same outside of a run.
"""

import dataclasses
import pathlib
from typing import Annotated, Any, ClassVar

import apache_beam as beam
from annotated_types import Ge, Len, MinLen

from datapipe.checks import FilesOption
from datapipe.flow.gather import Gather
from datapipe.stage import ProductStage, write_notes
from datapipe.store import files
from datapipe.store.corpus import Part
from tokenizer_training.formats import read_tokenizer
from tokenizer_training.prune import prune, write_id_map
from tokenizer_training.roles import read_roles, write_with_roles
from tokenizer_training.tokenizer import SUMMARY_FILE
from tokenizer_training.weights import slice_rows

Range = Annotated[list[Annotated[int, Ge(0)]], Len(2, 2)]


@dataclasses.dataclass(eq=False)
class PruneTokenizer(ProductStage):
    """Drops entries of a tokenizer and closes up the ids; writes `tokenizer.json`, `ids.parquet`, and cut weights.

    Takes parts, which it does not read; gives one dict: what was dropped and what is left.

    Attributes:
        base: a tokenizer.json of BPE or Unigram, ranks of tiktoken's, or a SentencePiece model.
        ranges: ids to drop, from the first to the last of each range.
        weights: a safetensors file of a model, to be written again with the rows of what is left.
    """

    base: Annotated[FilesOption, MinLen(1)]
    ranges: Annotated[list[Range], MinLen(1)]
    weights: FilesOption = ""
    folder: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "pruned_tokenizer"

    def check(self) -> None:
        """Ranges run upwards."""
        for first, last in self.ranges:
            if last < first:
                raise ValueError(f"pruned_tokenizer: ranges must run from first to last, got {[first, last]!r}")

    def skip_reason(self) -> str | None:
        """Why there is nothing to do: a file of the user's that is not there."""
        absent = [path for path in (self.base, self.weights) if path and not files.exists(path)]
        return f"no such file: {absent[0]}" if absent else None

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[dict[str, Any]]:
        return (
            parts
            | "Number" >> beam.Map(lambda part: part.number).with_output_types(int)
            | "Gather" >> Gather()
            | "Prune" >> beam.Map(self._prune).with_output_types(dict[str, Any])
        )

    def _prune(self, _: list[int]) -> dict[str, Any]:
        tokenizer = read_tokenizer(self.base, unigram=True)
        pruned, old = prune(tokenizer, [number for first, last in self.ranges for number in range(first, last + 1)])
        left = {token["content"] for token in pruned["added_tokens"]}
        write_with_roles(
            self.folder, pruned, {role: token for role, token in read_roles(self.base).items() if token in left}
        )
        write_id_map(files.join(self.folder, "ids.parquet"), old)
        cut: list[str] = []
        if self.weights:
            cut = slice_rows(self.weights, files.join(self.folder, pathlib.PurePath(self.weights).name), old)
        summary = {"base": len(tokenizer["model"]["vocab"]), "vocabulary": len(old), "cut": cut}
        files.write_json(files.join(self.folder, SUMMARY_FILE), summary)
        rows = f"; rows of {', '.join(cut)}" if cut else ""
        write_notes(self.folder, [f"{len(old):,} of {summary['base']:,} entries are left{rows}"])
        return summary
