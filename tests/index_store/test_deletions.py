"""Deletion vectors and relocations: equal sets are equal bytes, damage is refused."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from index_store.deletions import decode_deletions, encode_deletions, live_mask
from index_store.errors import CorruptArtifactError
from index_store.records import DocumentRecord
from index_store.relocations import (
    Relocation,
    RelocationMap,
    decode_relocations,
    encode_relocations,
    relocations_of,
)


@given(st.sets(st.integers(0, 200_000)))
def test_rows_come_back_as_they_were(rows: set[int]):
    data = encode_deletions(rows)
    assert set(decode_deletions(data, 200_001, "x")) == rows
    grown = BitMap()
    for row in sorted(rows, reverse=True):
        grown.add(row)
    grown.add(300_000)
    grown.remove(300_000)
    assert encode_deletions(grown) == data


def test_a_long_range_is_the_same_however_it_was_made():
    ranged = BitMap()
    ranged.add_range(5, 70_000)
    assert encode_deletions(ranged) == encode_deletions(range(5, 70_000))
    assert len(encode_deletions(ranged)) < 100


def test_rows_beyond_the_shard_are_refused():
    data = encode_deletions([3, 10])
    assert len(decode_deletions(data, 11, "x")) == 2
    with pytest.raises(CorruptArtifactError, match="x: expected rows below 10, found row 10"):
        decode_deletions(data, 10, "x")


@pytest.mark.parametrize("data", [b"", b"\0", b"nothing of the kind"])
def test_what_is_no_bitmap_is_refused(data: bytes):
    with pytest.raises(CorruptArtifactError, match="x: expected a roaring bitmap"):
        decode_deletions(data, 10, "x")


def test_live_rows_are_the_others():
    assert live_mask(None, 3).tolist() == [True, True, True]
    assert live_mask(BitMap([0, 2]), 4).tolist() == [False, True, False, True]
    assert live_mask(BitMap(), 2).dtype == np.bool_


MOVES = [
    Relocation(shard="s", row_start=20, row_end=25, uri="c"),
    Relocation(shard="s", row_start=5, row_end=10, uri="b"),
    Relocation(shard="t", row_start=0, row_end=1, uri="d"),
]


def test_relocations_come_back_in_a_fixed_order():
    data = encode_relocations(MOVES)
    assert data == encode_relocations(MOVES[::-1])
    assert decode_relocations(data, "x") == [MOVES[1], MOVES[0], MOVES[2]]
    assert decode_relocations(encode_relocations([]), "x") == []


@pytest.mark.parametrize(
    ("shard", "row", "uri"),
    [
        ("s", 4, "a"),
        ("s", 5, "b"),
        ("s", 9, "b"),
        ("s", 10, "a"),
        ("s", 24, "c"),
        ("s", 25, "a"),
        ("t", 0, "d"),
        ("t", 1, "a"),
        ("u", 5, "a"),
    ],
)
def test_only_moved_rows_change_their_name(shard: str, row: int, uri: str):
    assert RelocationMap(MOVES).uri_of(shard, row, "a") == uri


def test_relocations_follow_from_the_catalog():
    moved = DocumentRecord(
        uri="new",
        size_bytes=1,
        mtime_ns=1,
        content_hash="",
        work_key="",
        shard="s",
        row_start=2,
        row_end=4,
        shard_uri="old",
    )
    assert relocations_of([moved]) == [Relocation(shard="s", row_start=2, row_end=4, uri="new")]


def test_what_are_no_relocations_is_refused():
    with pytest.raises(CorruptArtifactError, match="x: expected relocations, found"):
        decode_relocations(b"nothing of the kind", "x")
    table = pa.table({"uri": ["a"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(CorruptArtifactError, match="columns of nightpress.relocations.v1"):
        decode_relocations(sink.getvalue().to_pybytes(), "x")
