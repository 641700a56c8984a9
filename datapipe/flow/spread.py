"""Deals work out to all workers: elements of any kind, or the rows of parts in pieces."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from datapipe.flow.threads import PIECES, ThreadsRunner
from datapipe.store import files
from datapipe.store.corpus import Part


@dataclasses.dataclass(eq=False)
class Spread(beam.PTransform):
    """The same elements, each for any worker to take.

    Where one thread of this machine takes all there is nothing to do: the steps of a reshuffle would be half of what a
    small pipeline costs.
    """

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, elements: beam.PCollection[Any]) -> beam.PCollection[Any]:
        return elements if _one_worker(elements.pipeline) else elements | beam.Reshuffle()


@dataclasses.dataclass(eq=False)
class SpreadPieces(beam.PTransform):
    """Parts in; out, the same rows in pieces of parts (`Part.cut`), each for any worker to take.

    For steps that look at each row alone, or at no more than a batch.

    Attributes:
        pieces: how many a part gives, at most.
    """

    pieces: int = PIECES

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[Part]:
        if _one_worker(parts.pipeline):
            return parts
        runner = parts.pipeline.runner
        pieces = min(self.pieces, runner.pieces) if isinstance(runner, ThreadsRunner) else self.pieces
        return parts | "Cut" >> beam.FlatMap(pieces_of, pieces).with_output_types(Part) | Spread()


def pieces_of(part: Part, pieces: int) -> Iterator[Part]:
    """A part in pieces where its files lie here; elsewhere whole, since each look at a file is a request."""
    if files.is_local(part.columns["text"]):
        yield from part.cut(pieces)
    else:
        yield part


def _one_worker(pipeline: beam.Pipeline) -> bool:
    return isinstance(pipeline.runner, ThreadsRunner) and pipeline.runner.threads == 1
