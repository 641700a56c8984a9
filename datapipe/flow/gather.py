"""Brings small things together: sums and lists that fit in the memory of one worker."""

import dataclasses
from typing import Any

import apache_beam as beam


@dataclasses.dataclass(eq=False)
class Gather(beam.PTransform):
    """Elements in; out, one list of them all, in any order, empty where there is none.

    In two steps, where `beam.combiners.ToList` takes a dozen.
    """

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, elements: beam.PCollection[Any]) -> beam.PCollection[list[Any]]:
        return (
            elements.pipeline
            | "Once" >> beam.Impulse()
            | "All" >> beam.Map(_all, beam.pvalue.AsList(elements)).with_output_types(list[Any])
        )


def _all(_: bytes, elements: list[Any]) -> list[Any]:
    return list(elements)
