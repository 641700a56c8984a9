"""Arrow arrays as Python values that JSON can hold, whatever they hold.

`to_pylist` raises where Python's own types are narrower than Arrow's: a time beyond the year 9999 or finer than a
microsecond, an unknown time zone, two fields of one name. That is no reason to lose the text beside such a value, so it
becomes the string in which Arrow prints it. Times are always that string: one column never has two forms.
"""

import itertools
import json
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from datapipe.read.formats.source import RAW_BYTES

# What Python's conversion raises for a value that it has no type for; an unknown time zone is a KeyError.
_UNKNOWN = {21: pa.int32(), 22: pa.int64()}  # by the numbers of `arrow::Type`
UNREADABLE = (ValueError, OverflowError, KeyError, pa.ArrowException)


def python_values(array: pa.Array) -> list[Any]:
    """The values of an array; strings that are no UTF-8 as their bytes.

    >>> python_values(pa.array([[1, 2001], None], pa.list_(pa.timestamp("ns"))))
    [['1970-01-01 00:00:00.000000001', '1970-01-01 00:00:00.000002001'], None]
    """
    if not _holds(array.type, _is_by_value):
        try:
            return list(array.to_pylist())
        except UNREADABLE:
            pass
    return _one_by_one(array)


def distinct_names(names: Iterable[str]) -> list[str]:
    """The names of columns or fields, of which repeated ones take their number.

    >>> distinct_names(["n", "n"])
    ['n', 'n_1']
    """
    distinct: dict[str, None] = {}
    for number, name in enumerate(names):
        while name in distinct:
            name = f"{name}_{number}"
        distinct[name] = None
    return list(distinct)


def with_known_types(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch in which Arrow's intervals of months, and of days and milliseconds, are the integers that stand there.

    pyarrow has no class for them, and does not let a batch that holds one be looked into.
    """
    fields = [field.with_type(_known_type(field.type)) for field in batch.schema]
    if all(field.type == own.type for field, own in zip(fields, batch.schema, strict=True)):
        return batch
    schema, array = pa.schema(fields).__arrow_c_schema__(), batch.__arrow_c_array__()[1]
    return pa.RecordBatch._import_from_c_capsule(schema, array)


def _known_type(type_: pa.DataType) -> pa.DataType:
    if type_.id in _UNKNOWN:
        return _UNKNOWN[type_.id]
    if pt.is_struct(type_):
        return pa.struct([field.with_type(_known_type(field.type)) for field in type_])
    if pt.is_list(type_) or pt.is_large_list(type_):
        field = type_.value_field
        field = field.with_type(_known_type(field.type))
        return pa.list_(field) if pt.is_list(type_) else pa.large_list(field)
    return type_


def as_binary(array: pa.Array) -> pa.Array:
    """An array whose strings, at any depth, are bytes, and its times and decimals are numbers or bytes.

    Whether strings are UTF-8, and times and decimals within the range of their type, concerns single rows.
    """
    type_ = _binary_type(array.type)
    return array if type_ == array.type else array.view(type_)


def size_of(value: Any) -> int:
    """About how many bytes the strings, bytes and other values take that a value holds at any depth."""
    size, level = 0, [value]
    while level:
        item = level.pop()
        if isinstance(item, str | bytes):
            size += len(item)
        elif isinstance(item, list | tuple):
            level += item
        elif isinstance(item, dict):
            level += item.values()
        else:
            size += 1
    return size


def shown(columns: dict[str, Any]) -> bytes:
    """What a reject shows of a table's row: the beginning of it as JSON."""
    pieces, length = list[str](), 0
    for piece in json.JSONEncoder(default=str).iterencode(_shortened(columns)):
        pieces.append(piece)
        length += len(piece)
        if length >= RAW_BYTES:
            break
    return "".join(pieces).encode()[:RAW_BYTES]


def _shortened(columns: dict[str, Any]) -> dict[str, Any]:
    return {k: v[:RAW_BYTES] if isinstance(v, str | bytes) else v for k, v in columns.items()}


def _holds(type_: pa.DataType, is_kind: Callable[[pa.DataType], bool]) -> bool:
    """Whether a type is of a kind, or holds one that is."""
    if is_kind(type_):
        return True
    if pt.is_dictionary(type_) or pt.is_run_end_encoded(type_):
        return _holds(type_.value_type, is_kind)
    if isinstance(type_, pa.BaseExtensionType):
        return _holds(type_.storage_type, is_kind)
    return any(_holds(type_.field(number).type, is_kind) for number in range(type_.num_fields))


def _is_by_value(type_: pa.DataType) -> bool:
    """Whether Python's own conversion is wrong: it prints no times, and copies a value for each row that shares it."""
    return pt.is_temporal(type_) or pt.is_dictionary(type_) or pt.is_run_end_encoded(type_) or _is_view(type_)


def _is_view(type_: pa.DataType) -> bool:
    return bool(pt.is_list_view(type_) or pt.is_large_list_view(type_))


def _one_by_one(array: pa.Array) -> list[Any]:
    """The values by way of those of its children, so that one that Python cannot hold leaves all others as they are."""
    type_ = array.type
    if pt.is_temporal(type_):
        try:
            return list(array.cast(pa.string()).to_pylist())
        except UNREADABLE:
            return [_printed(array.slice(index, 1)) for index in range(len(array))]
    if isinstance(array, pa.ExtensionArray):
        return python_values(array.storage)
    if pt.is_dictionary(type_):
        return _shared(array.dictionary, array.indices)
    if pt.is_run_end_encoded(type_):
        places = pa.RunEndEncodedArray.from_arrays(array.run_ends, pa.array(range(len(array.values))))
        return _shared(array.values, pc.run_end_decode(places.slice(array.offset, len(array))))
    if _is_view(type_):
        starts, sizes = array.offsets.to_pylist(), array.sizes.to_pylist()
        there = array.is_valid().to_pylist()
        views = [(start, start + size) for start, size, valid in zip(starts, sizes, there, strict=True) if valid]
        first, stop = min((v[0] for v in views), default=0), max((v[1] for v in views), default=0)
        values = python_values(array.values.slice(first, stop - first))
        lists = (values[start - first : end - first] for start, end in views)
        return [next(lists) if valid else None for valid in there]
    if pt.is_map(type_):
        entries = _one_by_one(array.cast(pa.list_(pa.struct([type_.key_field, type_.item_field]))))
        return [pairs and [tuple(pair.values()) for pair in pairs] for pairs in entries]
    if pt.is_struct(type_):
        names = distinct_names(field.name for field in type_)
        rows = zip(*map(python_values, array.flatten()), strict=True)
        valid = array.is_valid().to_pylist()
        return [dict(zip(names, row, strict=True)) if there else None for row, there in zip(rows, valid, strict=True)]
    if _is_list(type_):
        items = iter(python_values(pc.list_flatten(array)))
        lengths = pc.list_value_length(array).to_pylist()
        return [None if length is None else list(itertools.islice(items, length)) for length in lengths]
    return [_scalar(array, index) for index in range(len(array))]


def _shared(values: pa.Array, places: pa.Array) -> list[Any]:
    """For each place the value there, of which there is one however often it is named."""
    distinct = pc.unique(places).drop_null()
    found = dict(zip(distinct.to_pylist(), python_values(values.take(distinct)), strict=True))
    return [found.get(place) for place in places.to_pylist()]


def _scalar(array: pa.Array, index: int) -> Any:
    try:
        scalar = array[index]
        return scalar.as_py()
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes()
    except UNREADABLE:
        return _printed(array.slice(index, 1))


def _printed(one: pa.Array) -> str | None:
    """The only value of an array as Arrow prints it."""
    return str(one.to_string(indent=0)).strip("[]\n ") if one.null_count == 0 else None


def _is_list(type_: pa.DataType) -> bool:
    kinds: tuple[Callable[[pa.DataType], bool], ...] = (
        pt.is_list,
        pt.is_large_list,
        pt.is_fixed_size_list,
        pt.is_list_view,
        pt.is_large_list_view,
    )
    return any(is_kind(type_) for is_kind in kinds)


def _binary_type(type_: pa.DataType) -> pa.DataType:
    if pt.is_string(type_):
        return pa.binary()
    if pt.is_large_string(type_):
        return pa.large_binary()
    if pt.is_time32(type_):
        return pa.int32()
    if pt.is_time64(type_) or pt.is_date64(type_):
        return pa.int64()
    if pt.is_decimal(type_) and type_.bit_width > 64:
        return pa.binary(type_.byte_width)
    if pt.is_list(type_):
        return pa.list_(_binary_field(type_.value_field))
    if pt.is_large_list(type_):
        return pa.large_list(_binary_field(type_.value_field))
    if pt.is_struct(type_):
        return pa.struct([_binary_field(field) for field in type_])
    if pt.is_dictionary(type_):
        return pa.dictionary(type_.index_type, _binary_type(type_.value_type), type_.ordered)
    return type_


def _binary_field(field: pa.Field) -> pa.Field:
    return field.with_type(_binary_type(field.type))
