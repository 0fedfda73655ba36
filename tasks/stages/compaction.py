"""Rewrite shards as a plan says: live rows of old shards become new shards. No embedder is called.

Chunks are copied with the name that their document has now, so relocations end; vectors are taken
from the shards themselves, or from what was stored for their texts when a shard rounded them off.

Invariants: the new version has the same searchable chunks as the one before; a document's rows stay
contiguous in one shard; nothing is published here.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from index_store.artifacts import check_file, read_artifact
from index_store.catalog import Catalog
from index_store.chunk_table import ChunkTable, StoredChunk, stored_chunk
from index_store.deletions import RowMask, decode_deletions, live_mask
from index_store.document_table import ShardDocument
from index_store.embedder import Vectors
from index_store.errors import CorruptArtifactError
from index_store.local_files import LocalFiles
from index_store.manifest import Manifest, ShardEntry
from index_store.recall import VectorSource
from index_store.records import DocumentRecord
from index_store.shard import ShardReader
from tasks.stages.assembling import Changes
from tasks.stages.building import BuiltShard, placements_of
from tasks.stages.compacting import Merge
from tasks.stages.measuring import StoredVectors
from tasks.stages.reporting import Finding
from tasks.stages.shard_making import Site, find_shard, free_name, make_shard

PORTION_ROWS = 1024  # rows that are copied at a time, at most one document more


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The chunks of one document in an old shard.

    Attributes:
        record: Its line of the catalog.
        table: Chunk table of the shard.
        source: Vectors of the shard.
    """

    record: DocumentRecord
    table: ChunkTable
    source: VectorSource

    @property
    def rows(self) -> int:
        """Number of its chunks."""
        return self.record.chunks

    def chunks(self) -> list[StoredChunk]:
        """Return its chunks under the name that it has now."""
        rows = self.table.read(self.record.row_start, self.record.row_end)
        if self.record.uri == self.record.shard_uri:
            return rows
        return [stored_chunk(self.record.uri, row.ordinal, row.chunk) for row in rows]

    def chunk_ids(self) -> list[bytes]:
        """Return the ids of `chunks`."""
        if self.record.uri == self.record.shard_uri:
            return self.table.chunk_ids(self.record.row_start, self.record.row_end)
        return [chunk.chunk_id for chunk in self.chunks()]

    def vectors(self, start: int) -> Vectors:
        """Return the vectors of its chunks from number `start` on."""
        return self.source.vectors(self.record.row_start + start, self.record.row_end)


@dataclass(slots=True)
class _KeptPortion:
    """Documents that are copied at a time."""

    documents: list[Kept] = field(default_factory=list)
    rows: int = 0

    def chunks(self) -> Sequence[StoredChunk]:
        return [chunk for document in self.documents for chunk in document.chunks()]

    def vectors(self, start: int) -> Vectors:
        parts = []
        for document in self.documents:
            if start < document.rows:
                parts.append(document.vectors(start))
            start = max(0, start - document.rows)
        return np.concatenate(parts)


def compact_shards(
    site: Site, base: Manifest, catalog: Catalog, merge: Merge, *, avoid: frozenset[str]
) -> list[BuiltShard]:
    """Make the new shards of one merge, or take over those that are finished.

    Args:
        site: Where and with what.
        base: The version that is compacted.
        catalog: Its catalog.
        merge: What becomes one shard, or a few.
        avoid: Ids that a new shard must not take.

    Returns:
        The new shards, none when no row is live.

    Raises:
        CorruptArtifactError: A file is damaged, or the catalog and the shards disagree.
        TransientError: The store is out of reach or full.
    """
    with closing(LocalFiles(site.storage, None)) as files:
        documents = _live_documents(site, base, catalog, merge, files)
        return [_make(site, part, avoid) for part in _cut(documents, merge)]


def check_same_chunks(
    site: Site,
    base: Manifest,
    catalog: Catalog,
    merges: Sequence[Merge],
    built: Sequence[BuiltShard],
) -> Finding:
    """Compare the live chunks of old shards with what new ones hold, read back from the store."""
    with closing(LocalFiles(site.storage, None)) as files:
        before = _sum_of_ids(
            chunk_id
            for merge in merges
            for document in _live_documents(site, base, catalog, merge, files)
            for chunk_id in document.chunk_ids()
        )
        tables = [_open(site, shard.entry, files)[0] for shard in built]
        after = _sum_of_ids(each for table in tables for each in table.chunk_ids(0, table.rows))
    return Finding(
        check="same chunks",
        passed=before == after,
        message=f"{before[0]} live chunks in old shards, {after[0]} in new ones"
        + ("" if before == after else ", and they are not the same"),
        protects="Compaction moves chunks and neither loses nor adds any.",
    )


def changes_of(catalog: Catalog, merges: Sequence[Merge], built: Sequence[BuiltShard]) -> Changes:
    """Return the catalog lines that differ after a compaction.

    Args:
        catalog: Catalog of the version that was compacted.
        merges: What was rewritten.
        built: The new shards.

    Raises:
        CorruptArtifactError: A document of an old shard is in no new one.
    """
    placed = {place.uri: place for shard in built for place in shard.placements}
    records = []
    for record in catalog.in_shards([shard for merge in merges for shard in merge.shards]):
        place = placed.get(record.uri)
        if place is None or place.row_end - place.row_start != record.chunks:
            raise CorruptArtifactError(f"compaction: the chunks of {record.uri} were lost")
        records.append(
            replace(
                record,
                shard=place.shard,
                row_start=place.row_start,
                row_end=place.row_end,
                shard_uri=record.uri,
            )
        )
    return Changes(records=tuple(records), removed=())


def _sum_of_ids(chunk_ids: Iterable[bytes]) -> tuple[int, int]:
    """Return how many there are and a sum that does not depend on their order."""
    count = total = 0
    for chunk_id in chunk_ids:
        count += 1
        total = (total + int.from_bytes(chunk_id)) % (1 << 256)
    return count, total


def _live_documents(
    site: Site, base: Manifest, catalog: Catalog, merge: Merge, files: LocalFiles
) -> list[Kept]:
    entries = {entry.id: entry for entry in base.shards}
    order = {shard: number for number, shard in enumerate(merge.shards)}
    opened = {shard: _open(site, entries[shard], files) for shard in merge.shards}
    live = {shard: _live_rows(site, entries[shard]) for shard in merge.shards}
    records = sorted(
        catalog.in_shards(merge.shards),
        key=lambda record: (order[record.shard or ""], record.row_start),
    )
    claimed = sum(
        int(live[record.shard or ""][record.row_start : record.row_end].sum()) for record in records
    )
    if claimed != merge.rows:
        raise CorruptArtifactError(
            f"catalog of {base.collection}: documents lay claim to {claimed} live rows of "
            f"{len(merge.shards)} shards, there are {merge.rows}"
        )
    kept = []
    for record in records:
        table, source = opened[record.shard or ""]
        kept.append(Kept(record=record, table=table, source=source))
    return kept


def _open(site: Site, entry: ShardEntry, files: LocalFiles) -> tuple[ChunkTable, VectorSource]:
    path = files.path(entry.chunks)
    check_file(path, entry.chunks, verify=True)
    table = ChunkTable.open(path, rows=entry.rows)
    if entry.storage == "sq8":
        return table, StoredVectors(table, site.vectors)
    return table, ShardReader.open(files.path(entry.index), entry)


def _live_rows(site: Site, entry: ShardEntry) -> RowMask:
    dead = None
    if entry.deletions is not None:
        data = read_artifact(site.storage, entry.deletions)
        dead = decode_deletions(data, entry.rows, entry.deletions.key)
    return live_mask(dead, entry.rows)


def _cut(documents: Sequence[Kept], merge: Merge) -> list[list[Kept]]:
    """Part documents into equal shares of rows, one for each new shard."""
    parts: list[list[Kept]] = [[] for _ in range(merge.parts)]
    row = 0
    for document in documents:
        parts[row * merge.parts // merge.rows].append(document)
        row += document.rows
    return [part for part in parts if part]


def _make(site: Site, kept: Sequence[Kept], avoid: frozenset[str]) -> BuiltShard:
    documents = _documents(kept)
    chunk_ids = lambda: (each for document in kept for each in document.chunk_ids())  # noqa: E731
    name = free_name(site, chunk_ids, documents, avoid)
    entry = find_shard(site, name, verify=True)
    if entry is None:
        entry = make_shard(site, name, documents, _portions(kept))
    return BuiltShard(entry=entry, placements=placements_of(name, documents))


def _documents(kept: Sequence[Kept]) -> tuple[ShardDocument, ...]:
    """Return the documents of a new shard, as the catalog knows them now."""
    documents = []
    row = 0
    for document in kept:
        documents.append(
            ShardDocument(
                uri=document.record.uri,
                row_start=row,
                row_end=row + document.rows,
                attributes=document.record.attributes,
            )
        )
        row += document.rows
    return tuple(documents)


def _portions(documents: Sequence[Kept]) -> Iterator[_KeptPortion]:
    portion = _KeptPortion()
    for document in documents:
        portion.documents.append(document)
        portion.rows += document.rows
        if portion.rows >= PORTION_ROWS:
            yield portion
            portion = _KeptPortion()
    if portion.rows:
        yield portion
