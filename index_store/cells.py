"""Single cells of Arrow columns, read from their buffers: a tenth of what a scalar object costs.

Invariants: nothing is copied but the cell; a column without any value answers without a look at its
buffers.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

Cell = Callable[[int], Any]


def cells_of(column: pa.Array) -> Cell:
    """Return a function from a place in a column to the value there, as `column[place].as_py()`.

    Args:
        column: Strings, binaries of one size, int32 or int64, lists of strings, maps of strings to
            strings; nulls allowed.
    """
    silent = _silent_value(column)
    if silent is not None:
        value = silent[0]
        return lambda _place: value
    read = _values_of(column)
    if not column.null_count:
        return read
    bits, first = memoryview(column.buffers()[0]), column.offset
    return lambda place: read(place) if _is_set(bits, first + place) else None


def _silent_value(column: pa.Array) -> tuple[Any] | None:
    """Return the one value that every cell of a column has, if it is null, "" or []."""
    if len(column) and column.null_count == len(column):
        return (None,)
    if column.null_count:
        return None
    kind = column.type
    if pa.types.is_string(kind) and _offsets(column)[0] == _offsets(column)[-1]:
        return ("",)
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        return ([],) if _offsets(column)[0] == _offsets(column)[-1] else None
    return None


def _values_of(column: pa.Array) -> Cell:
    kind = column.type
    if pa.types.is_string(kind):
        return _texts(column)
    if pa.types.is_fixed_size_binary(kind):
        return _binaries(column)
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return _lists(column)
    if pa.types.is_int32(kind) or pa.types.is_int64(kind):
        numbers = (
            memoryview(column.buffers()[1]).cast("B").cast("i" if kind.bit_width == 32 else "q")
        )
        first = column.offset
        return lambda place: numbers[first + place]
    return lambda place: column[place].as_py()


def _texts(column: pa.Array) -> Cell:
    offsets, data = _offsets(column), memoryview(column.buffers()[2] or b"")

    def read(place: int) -> str:
        return str(data[offsets[place] : offsets[place + 1]], "utf-8")

    return read


def _binaries(column: pa.Array) -> Cell:
    width, data = column.type.byte_width, memoryview(column.buffers()[1])
    first = column.offset

    def read(place: int) -> bytes:
        start = (first + place) * width
        return bytes(data[start : start + width])

    return read


def _lists(column: pa.Array) -> Cell:
    offsets, values = _offsets(column), cells_of(column.values)

    def read(place: int) -> list[Any]:
        return [values(each) for each in range(offsets[place], offsets[place + 1])]

    return read


def _offsets(column: pa.Array) -> memoryview:
    """Return where the cells of a column begin, and where the last one ends."""
    offsets = memoryview(column.buffers()[1]).cast("B").cast("i")
    return offsets[column.offset : column.offset + len(column) + 1]


def _is_set(bits: memoryview, place: int) -> int:
    return bits[place >> 3] >> (place & 7) & 1
