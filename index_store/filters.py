"""Which documents of a shard a search may return: rights and filters over the document table; pure.

Invariants: a document with groups passes only for somebody in one of them, so for nobody when
nothing is known of who asks; what is not known of a document agrees with no filter.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from index_store.arrow_numpy import flags_of, numbers_of
from index_store.search_options import DocumentFilter

DocumentMask = npt.NDArray[np.bool_]

_TEXT_FIELDS = (
    ("document_type", "document_types"),
    ("theme", "themes"),
    ("language", "languages"),
    ("media_type", "media_types"),
)


def permitted(table: pa.Table, groups: frozenset[str] | None) -> DocumentMask | None:
    """Return which documents somebody may read, or None for all of them.

    Args:
        table: A document table.
        groups: Groups of the person; None when nothing is known of them.
    """
    column = table["groups"].combine_chunks()
    if column.null_count == len(column):
        return None
    is_open = _mask(pc.is_null(column))
    return is_open if groups is None else is_open | _any_of(column, sorted(groups))


def agreeing(table: pa.Table, uris: pa.Array, asked: DocumentFilter) -> DocumentMask:
    """Return which documents agree with a filter.

    Args:
        table: A document table.
        uris: The names that its documents have in the version.
        asked: The filter.
    """
    masks = [np.ones(len(table), np.bool_)]
    masks += [
        _folded_in(table[column], getattr(asked, field))
        for column, field in _TEXT_FIELDS
        if getattr(asked, field)
    ]
    if asked.path_prefix:
        masks.append(_mask(pc.starts_with(uris, asked.path_prefix)))
    if asked.sources:
        masks.append(_any(_mask(pc.starts_with(uris, f"{name}/")) for name in asked.sources))
    if asked.keywords:
        masks.append(_any_of(table["keywords"].combine_chunks(), asked.keywords, folded=True))
    if asked.date_from or asked.date_until:
        masks.append(_dated(table["date"], asked.date_from, asked.date_until))
    for name, values in asked.extra.items():
        found = pc.map_lookup(table["extra"].combine_chunks(), pa.scalar(name), "first")
        masks.append(_folded_in(found, values))
    passing: DocumentMask = np.logical_and.reduce(masks)
    return passing


def _dated(column: pa.ChunkedArray, first: str, last: str) -> DocumentMask:
    mask = _mask(pc.not_equal(column, ""))
    if first:
        mask = mask & _mask(pc.greater_equal(column, first))
    if last:
        mask = mask & _mask(pc.less_equal(column, last))
    return mask


def _folded_in(column: pa.ChunkedArray | pa.Array, values: Sequence[str]) -> DocumentMask:
    wanted = pa.array([value.lower() for value in values], pa.string())
    return _mask(pc.is_in(pc.utf8_lower(column), value_set=wanted))


def _any_of(lists: pa.Array, values: Sequence[str], *, folded: bool = False) -> DocumentMask:
    """Return which lists hold one of the values."""
    mask = np.zeros(len(lists), np.bool_)
    flat, parents = pc.list_flatten(lists), pc.list_parent_indices(lists)
    found = (
        _folded_in(flat, values)
        if folded
        else _mask(pc.is_in(flat, value_set=pa.array(values, pa.string())))
    )
    mask[numbers_of(parents)[found]] = True
    return mask


def _any(masks: Iterable[DocumentMask]) -> DocumentMask:
    passing: DocumentMask = np.logical_or.reduce(list(masks))
    return passing


def _mask(values: pa.Array | pa.ChunkedArray) -> DocumentMask:
    """Return a boolean column as numpy; null is false."""
    mask: DocumentMask = flags_of(pc.fill_null(values, fill_value=False))
    return mask
