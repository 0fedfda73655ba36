"""Columns become arrays of NumPy, in one chunk, several or none, and pandas stays out of it."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from index_store.arrow_numpy import flags_of, numbers_of

IMPORTS = """
import sys
import pyarrow as pa
from index_store.arrow_numpy import flags_of, numbers_of
data = pa.py_buffer(bytes(16))
numbers_of(pa.Array.from_buffers(pa.int64(), 2, [None, data]))
flags_of(pa.Array.from_buffers(pa.bool_(), 2, [None, data]))
sys.exit("pandas" in sys.modules)
"""


@pytest.mark.parametrize("chunks", [[], [[3, 4]], [[3], [4, 5]]])
def test_columns_keep_values_and_type(chunks: list[list[int]]):
    column = pa.chunked_array(chunks, pa.int32())
    expected = [value for chunk in chunks for value in chunk]
    numbers = numbers_of(column)
    assert (numbers.dtype, numbers.tolist()) == (np.int32, expected)
    flags = flags_of(pa.chunked_array([[n > 3 for n in chunk] for chunk in chunks], pa.bool_()))
    assert (flags.dtype, flags.tolist()) == (np.bool_, [n > 3 for n in expected])


def test_a_slice_of_a_column_is_that_slice():
    assert numbers_of(pa.array([1, 2, 3, 4]).slice(1, 2)).tolist() == [2, 3]
    assert flags_of(pa.array([True, False, True, False]).slice(1, 2)).tolist() == [False, True]


def test_pandas_is_not_imported():
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
