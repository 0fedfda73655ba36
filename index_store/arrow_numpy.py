"""Columns of Arrow as arrays of NumPy, without pandas.

Arrow's own way to NumPy imports pandas wherever that is installed, which costs a reader up to a
second at its first search.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def numbers_of(column: pa.Array | pa.ChunkedArray) -> Any:  # noqa: ANN401 - its dtype is the column's
    """Return a column of numbers as a read-only array of the same type; nothing is copied.

    Args:
        column: Integers or floats, without nulls.
    """
    return np.from_dlpack(_whole(column))


def flags_of(column: pa.Array | pa.ChunkedArray) -> Any:  # noqa: ANN401 - as `numbers_of`
    """Return a column of truth values, without nulls, as bool, shape (rows,)."""
    return np.from_dlpack(pc.cast(_whole(column), pa.uint8())).view(np.bool_)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays([*column.chunks, pa.array([], column.type)])
