"""Deletion vectors: which rows of a shard are dead, as a portable roaring bitmap; pure.

Invariant: equal sets of rows are equal bytes, however the set came about.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from index_store.errors import CorruptArtifactError

RowMask = npt.NDArray[np.bool_]


def encode_deletions(rows: Iterable[int]) -> bytes:
    """Return the bytes of a deletion vector in the portable roaring format."""
    bitmap = BitMap(BitMap(rows).to_array())  # built anew: containers depend on the history
    bitmap.run_optimize()
    return bytes(bitmap.serialize())


def decode_deletions(data: bytes, rows: int, name: str) -> BitMap:
    """Read a deletion vector.

    Args:
        data: Its bytes, already checked against their hash.
        rows: Rows of the shard.
        name: What to call it in messages.

    Raises:
        CorruptArtifactError: It is no bitmap, or names a row that the shard has not.
    """
    try:
        bitmap = BitMap.deserialize(data)
    except (ValueError, IndexError) as error:
        raise CorruptArtifactError(f"{name}: expected a roaring bitmap, found {error}") from error
    if len(bitmap) and bitmap.max() >= rows:
        raise CorruptArtifactError(f"{name}: expected rows below {rows}, found row {bitmap.max()}")
    return bitmap


def live_mask(dead: BitMap | None, rows: int) -> RowMask:
    """Return bool, shape (rows,): whether each row may be returned."""
    mask = np.ones(rows, dtype=np.bool_)
    if dead is not None and len(dead):
        mask[np.asarray(dead.to_array())] = False
    return mask
