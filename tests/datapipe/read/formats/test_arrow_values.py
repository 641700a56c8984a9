"""Arrow arrays as Python values: times as strings, and whatever Python has no type for."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from datapipe.read.formats.arrow_values import as_binary, python_values

NS = pa.timestamp("ns")
ONE, TWO = "1970-01-01 00:00:00.000000001", "1970-01-01 00:00:00.000000002"


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (pa.array([1, None], NS), [ONE, None]),
        (pa.array([[1, 2], None, []], pa.list_(NS)), [[ONE, TWO], None, []]),
        (pa.array([[1, 2], None], pa.large_list(NS)), [[ONE, TWO], None]),
        (pa.array([[1, 2], None, [2, 1]], pa.list_(NS, 2)), [[ONE, TWO], None, [TWO, ONE]]),
        (pa.array([[1], None, [2]], pa.list_view(NS)), [[ONE], None, [TWO]]),
        (pa.array([{"a": 1}, None], pa.struct([("a", NS)])), [{"a": ONE}, None]),
        (pa.array([[("k", 1)], None, []], pa.map_(pa.string(), NS)), [[("k", ONE)], None, []]),
        (pa.array([1, 2, 1, None], NS).dictionary_encode(), [ONE, TWO, ONE, None]),
        (pc.run_end_encode(pa.array([1, 1, None], NS)), [ONE, ONE, None]),
        (pa.array([(1, 2, 3), None], pa.month_day_nano_interval()), ["1M2d3ns", None]),
        (pa.array([[(1, 2, 3)]], pa.list_(pa.month_day_nano_interval())), [["1M2d3ns"]]),
        (pa.array([1, None], pa.int64()).view(pa.timestamp("s", "Mars/X")), ["1970-01-01 00:00:01Z", None]),
        (pa.array([4_000_000], pa.int32()).view(pa.date32()), ["12921-08-18"]),
        (pa.array([b"\xff", b"a", None]).view(pa.string()), [b"\xff", "a", None]),
        (pa.array([b"\xff", None], pa.binary_view()).view(pa.string_view()), [b"\xff", None]),
        (
            pa.StructArray.from_arrays([pa.array([1]), pa.array(["x"]), pa.array([2])], ["a", "b", "a"]),
            [{"a": 1, "b": "x", "a_2": 2}],
        ),
    ],
)
def test_values(array: pa.Array, values: list[object]) -> None:
    assert python_values(array) == values
    assert python_values(array.slice(1)) == values[1:]
    assert (
        python_values(pa.concat_arrays([array, array]) if not pa.types.is_dictionary(array.type) else array)[0]
        == values[0]
    )


def test_strings_at_any_depth_are_bytes_until_they_are_read() -> None:
    bad = pa.array([[{"a": b"\xff"}]]).view(pa.list_(pa.struct([("a", pa.string())])))
    with pytest.raises(pa.ArrowInvalid):
        bad.validate(full=True)
    as_binary(bad).validate(full=True)
    as_binary(pa.array([b"\xff"]).view(pa.string()).dictionary_encode()).validate(full=True)
