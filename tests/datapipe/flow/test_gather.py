"""All elements come together in one list, even where there is none."""

import apache_beam as beam
import pytest

from datapipe.flow.gather import Gather


@pytest.mark.parametrize("elements", [[], [3, 1, 2]])
def test_the_list_holds_all_elements(elements: list[int]) -> None:
    assert [sorted(some) for some in elements | beam.Map(abs) | Gather()] == [sorted(elements)]
