"""The catalog: what the source held, document by document, and where the chunks are; pure.

A catalog is a row of parts. Each is sorted by uri; a line of a later part overrides the lines of
earlier parts with the same uri, and a tombstone removes them.

Invariants: a uri stands at most once in a part; merging parts changes nothing that can be read.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from index_store.catalog_codec import record_from_line
from index_store.manifest import CatalogPart
from index_store.records import DocumentRecord

MERGE_RATIO = 4  # a part takes in the part before it when that has fewer than this times its lines


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePlan:
    """Which parts stay as they are and which are rewritten with the new lines.

    Attributes:
        kept: Parts that stay, oldest first.
        merged: Parts to read and write again together with the new lines, oldest first.
    """

    kept: tuple[CatalogPart, ...]
    merged: tuple[CatalogPart, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is kept, so that tombstones need not be written."""
        return not self.kept


class Catalog:
    """The merged view over decoded parts."""

    def __init__(self, tables: Sequence[pa.Table]) -> None:
        """Merge parts.

        Args:
            tables: Decoded by `catalog_codec.decode_part`, oldest first.
        """
        self._lines = _live_lines(merge_tables(tables))
        self._row_of: dict[str, int] | None = None

    def __len__(self) -> int:
        """Return the number of documents, rejected ones included."""
        return int(self._lines.num_rows)

    def uris(self) -> list[str]:
        """Return the names of all documents, sorted."""
        uris: list[str] = self._lines.column("uri").to_pylist()
        return uris

    def records(self) -> Iterator[DocumentRecord]:
        """Yield every document, sorted by uri."""
        for batch in self._lines.to_batches(max_chunksize=4096):
            for line in batch.to_pylist():
                yield record_from_line(line)

    def get(self, uri: str) -> DocumentRecord | None:
        """Return one document, or None when the catalog has no such uri."""
        if self._row_of is None:
            self._row_of = {name: row for row, name in enumerate(self.uris())}
        row = self._row_of.get(uri)
        return None if row is None else record_from_line(self._lines.slice(row, 1).to_pylist()[0])

    def moved(self) -> Iterator[DocumentRecord]:
        """Yield the documents whose chunk table rows still bear another uri, sorted by uri."""
        lines = self._lines
        differs = pc.not_equal(lines.column("uri"), lines.column("shard_uri"))
        has_chunks = pc.greater(lines.column("row_end"), lines.column("row_start"))
        for line in lines.filter(pc.and_(differs, has_chunks)).to_pylist():
            yield record_from_line(line)

    def in_shards(self, shards: Iterable[str]) -> Iterator[DocumentRecord]:
        """Yield the documents whose chunks are in one of these shards, sorted by uri."""
        lines = self._lines
        inside = pc.is_in(lines.column("shard"), value_set=pa.array(shards, pa.string()))
        has_chunks = pc.greater(lines.column("row_end"), lines.column("row_start"))
        for batch in lines.filter(pc.and_(inside, has_chunks)).to_batches(max_chunksize=4096):
            for line in batch.to_pylist():
                yield record_from_line(line)

    def total(self, column: str) -> int:
        """Return the sum of an integer column, such as "tokens"."""
        return int(pc.sum(self._lines.column(column)).as_py() or 0)

    def rejected(self) -> int:
        """Return the number of documents whose observed content is refused."""
        return int(self._lines.num_rows - self._lines.column("rejection_reason").null_count)


def plan_parts(parts: Sequence[CatalogPart], new_rows: int) -> MergePlan:
    """Decide which parts to rewrite when lines are added.

    A part is rewritten only together with at least a quarter of its lines of newer ones, so a line
    is written O(log n) times, and what is left is O(log n) parts.

    Args:
        parts: Oldest first.
        new_rows: Lines to add, tombstones included.
    """
    size = new_rows
    first_merged = len(parts)
    while first_merged and parts[first_merged - 1].rows < MERGE_RATIO * size:
        first_merged -= 1
        size += parts[first_merged].rows
    return MergePlan(kept=tuple(parts[:first_merged]), merged=tuple(parts[first_merged:]))


def merge_tables(tables: Sequence[pa.Table], *, drop_tombstones: bool = False) -> pa.Table:
    """Merge decoded parts, oldest first, into one sorted table; the last line of a uri stays."""
    merged = overlay(tables)
    if drop_tombstones:
        merged = _live_lines(merged)
    return merged if len(tables) == 1 else merged.sort_by("uri")


def overlay(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the last line of every uri, in no order.

    Args:
        tables: Parts, oldest first, of which "uri" and any other columns were read.
    """
    kept: list[pa.Table] = []
    newer: list[Any] = []
    for table in reversed(tables):
        uris = table.column("uri")
        if newer:
            seen = pa.chunked_array([chunk for column in newer for chunk in column.chunks])
            table_kept = table.filter(pc.invert(pc.is_in(uris, value_set=seen)))
        else:
            table_kept = table
        newer.append(uris)
        kept.append(table_kept)
    return pa.concat_tables(kept)


def _live_lines(table: pa.Table) -> pa.Table:
    return table.filter(pc.invert(table.column("removed")))
