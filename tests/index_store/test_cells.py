"""Cells come out as Arrow's own scalars say, whatever the column's type, nulls and slices."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_store.cells import cells_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
KINDS = (
    (pa.string(), TEXTS),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.list_(pa.string()), st.lists(TEXTS, max_size=3)),
    (pa.map_(pa.string(), pa.string()), st.lists(st.tuples(TEXTS, TEXTS), max_size=2)),
)


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=[str(kind) for kind, _ in KINDS])
@given(data=st.data())
def test_a_cell_is_what_arrow_says(
    kind: pa.DataType, values: st.SearchStrategy, data: st.DataObject
):
    cells = data.draw(st.lists(st.none() | values, min_size=1, max_size=12))
    start = data.draw(st.integers(0, len(cells) - 1))
    column = pa.array(cells, kind).slice(start)
    read = cells_of(column)
    assert [read(place) for place in range(len(column))] == column.to_pylist()


@pytest.mark.parametrize("cells", [["", ""], [None, None], [None, ""], ["", "x"]])
def test_a_column_that_says_little_says_it(cells: list[str | None]):
    read = cells_of(pa.array(cells, pa.string()))
    assert [read(0), read(1)] == cells


def test_a_column_without_cells_has_a_reader():
    for kind, _ in KINDS:
        assert callable(cells_of(pa.array([], kind)))
