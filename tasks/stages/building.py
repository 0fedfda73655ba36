"""Build a shard from finished batches and stored vectors; no embedder is called here.

Invariant: a document's rows are contiguous in one shard, in order of uri.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import orjson

from index_store.chunk_table import ChunkTable, StoredChunk
from index_store.document_table import ShardDocument
from index_store.embedder import Vectors
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError
from index_store.layout import run_key
from index_store.manifest import ShardEntry
from index_store.storage.base import Storage
from tasks.stages.checkpoints import ParsedBatch, open_table, read_batch
from tasks.stages.shard_making import Site, find_shard, free_name, make_shard, stored_vectors
from tasks.stages.sharding import ShardPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the chunks of one document are.

    Attributes:
        uri: Name of the document.
        shard: Id of the shard.
        row_start: First row.
        row_end: One past the last row.
    """

    uri: str
    shard: str
    row_start: int
    row_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltShard:
    """A finished shard.

    Attributes:
        entry: What the manifest will say about it.
        placements: Its documents, in order of row.
    """

    entry: ShardEntry
    placements: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class _BatchPortion:
    """The rows of a finished batch, with the vectors that are stored for their texts."""

    table: ChunkTable
    store: EmbeddingStore

    @property
    def rows(self) -> int:
        return self.table.rows

    def chunks(self) -> Sequence[StoredChunk]:
        return self.table.read(0, self.table.rows)

    def vectors(self, start: int) -> Vectors:
        return stored_vectors(self.store, self.table.text_hashes(start, self.table.rows))


def build_shard(plan: ShardPlan, site: Site, *, avoid: frozenset[str] = frozenset()) -> BuiltShard:
    """Build a shard, or take over a finished one with the same id.

    Args:
        plan: Which batches it holds.
        site: Where and with what.
        avoid: Ids that it must not take: of retired shards, and of shards with rows that go by
            another name in the version before.

    Returns:
        The finished shard.

    Raises:
        CorruptArtifactError: A batch or a stored vector is damaged or missing.
        TransientError: The store is out of reach or full.
    """
    batches = [read_batch(site.storage, key) for key in plan.batches]
    documents = _documents(batches)
    name = free_name(site, lambda: _chunk_ids(site.storage, batches), documents, avoid)
    entry = find_shard(site, name, verify=True)
    if entry is None:
        with closing(_portions(batches, site)) as portions:
            entry = make_shard(site, name, documents, portions)
    return BuiltShard(entry=entry, placements=placements_of(name, documents))


def write_built(site: Site, number: int, built: BuiltShard) -> str:
    """Store what is in a finished shard, for the stage that assembles the version.

    Returns:
        The key of the file.
    """
    key = run_key(site.collection, site.run, f"built/{number:06d}.json")
    rows = [[place.uri, place.row_start, place.row_end] for place in built.placements]
    site.storage.put(key, orjson.dumps({"shard": built.entry.id, "documents": rows}))
    return key


def read_built(site: Site, key: str) -> BuiltShard:
    """Read back what `write_built` stored.

    Raises:
        CorruptArtifactError: The shard is not there any more.
    """
    body = orjson.loads(site.storage.read(key))
    name = str(body["shard"])
    entry = find_shard(site, name, verify=False)
    if entry is None:
        raise CorruptArtifactError(f"shard {name}: its record is missing or damaged")
    placements = tuple(
        Placement(uri=uri, shard=name, row_start=start, row_end=end)
        for uri, start, end in body["documents"]
    )
    return BuiltShard(entry=entry, placements=placements)


def placements_of(shard: str, documents: Sequence[ShardDocument]) -> tuple[Placement, ...]:
    """Return where the documents of a shard are."""
    return tuple(
        Placement(
            uri=document.uri, shard=shard, row_start=document.row_start, row_end=document.row_end
        )
        for document in documents
    )


def _documents(batches: Sequence[ParsedBatch]) -> tuple[ShardDocument, ...]:
    documents = []
    offset = 0
    for batch in batches:
        documents += [
            ShardDocument(
                uri=document.uri,
                row_start=offset + document.row_start,
                row_end=offset + document.row_end,
                attributes=document.attributes,
            )
            for document in batch.documents
            if document.row_end > document.row_start
        ]
        offset += sum(document.row_end - document.row_start for document in batch.documents)
    return tuple(documents)


def _chunk_ids(storage: Storage, batches: Sequence[ParsedBatch]) -> Iterator[bytes]:
    for table in _tables(storage, batches):
        yield from table.chunk_ids(0, table.rows)


def _tables(storage: Storage, batches: Sequence[ParsedBatch]) -> Generator[ChunkTable, None, None]:
    for batch in batches:
        with open_table(storage, batch) as table:
            if table is not None:
                yield table


def _portions(batches: Sequence[ParsedBatch], site: Site) -> Generator[_BatchPortion, None, None]:
    with closing(_tables(site.storage, batches)) as tables:
        for table in tables:
            yield _BatchPortion(table, site.vectors)
