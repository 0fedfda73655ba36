"""A published version of given chunks and vectors, made by the pipeline's own stages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from index_store.artifacts import sha256_hex, store_artifact
from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes
from index_store.chunk_table import StoredChunk, stored_chunk
from index_store.deletions import encode_deletions
from index_store.document_table import ShardDocument
from index_store.embedder import EmbedderSpec, Vectors
from index_store.embeddings import EmbeddingStore
from index_store.layout import deletions_key
from index_store.log import CommitLog
from index_store.manifest import Counts, Manifest, ShardEntry
from index_store.publisher import publish
from index_store.records import Chunk
from index_store.shard_options import RecallOptions, ShardOptions
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.base import Storage
from tasks.stages.measuring import measure_search
from tasks.stages.shard_making import Site, make_shard

COLLECTION = "benchmark"
FEW = 20  # up to one row in so many is searched exactly, as in a collection of usual size


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Chunks in order of document, with their vectors.

    Attributes:
        uris: Document of each row; the rows of a document are contiguous.
        texts: Text of each row.
        vectors: float32, shape (n, dimension), rows L2-normalised.
        attributes: What is known of documents, by uri.
    """

    uris: Sequence[str]
    texts: Sequence[str]
    vectors: Vectors
    attributes: Mapping[str, DocumentAttributes]


@dataclass(frozen=True, slots=True)
class _Portion:
    """All rows at once."""

    stored: Sequence[StoredChunk]
    all_vectors: Vectors

    @property
    def rows(self) -> int:
        return len(self.stored)

    def chunks(self) -> Sequence[StoredChunk]:
        return self.stored

    def vectors(self, start: int) -> Vectors:
        return self.all_vectors[start:]


def build(
    storage: Storage, rows: Rows, *, options: ShardOptions | None = None, number: int = 0
) -> ShardEntry:
    """Make one shard of all rows; shards of one store have different numbers."""
    site = Site(
        storage=storage,
        collection=COLLECTION,
        run="benchmark",
        embedder=spec(rows),
        vectors=EmbeddingStore(storage, spec(rows).id, rows.vectors.shape[1]),
        options=options or ShardOptions(),
        checkpoint_rows=10 * len(rows.texts),
    )
    stored, documents = [], []
    for uri, numbers in groupby(range(len(rows.uris)), key=lambda row: rows.uris[row]):
        places = list(numbers)
        known = rows.attributes.get(uri, NO_ATTRIBUTES)
        documents.append(
            ShardDocument(uri=uri, row_start=places[0], row_end=places[-1] + 1, attributes=known)
        )
        stored += [
            stored_chunk(uri, place - places[0], Chunk(text=rows.texts[place], tokens=1))
            for place in places
        ]
    return make_shard(site, f"{number:064x}", documents, [_Portion(stored, rows.vectors)])


def opened(
    storage: Storage,
    rows: Rows,
    entry: ShardEntry,
    *,
    dead: Sequence[int] = (),
    graph: bool = False,
    others: Sequence[ShardEntry] = (),
) -> Snapshot:
    """Publish a version with this shard and open it.

    Args:
        storage: The store.
        rows: What the shard was made of.
        entry: The shard.
        dead: Rows of it that are deleted.
        graph: Whether the graph is searched, as wide as the pipeline's measurement asks for,
            instead of every row, unless few rows pass a filter.
        others: Further shards of the version.
    """
    if len(dead):
        data = encode_deletions(dead)
        key = deletions_key(COLLECTION, sha256_hex(data))
        entry = replace(entry, dead=len(dead), deletions=store_artifact(storage, key, data))
    manifest = Manifest(
        collection=COLLECTION,
        parent=None,
        run="benchmark",
        created_at_ms=0,
        embedder=spec(rows),
        chunker="benchmark",
        shards=(entry, *others),
        catalog=(),
        counts=Counts(
            documents=len(set(rows.uris)),
            rejected=0,
            chunks_live=sum(shard.live for shard in (entry, *others)),
            chunks_dead=entry.dead,
            tokens=0,
        ),
    )
    exact_rows = SnapshotOptions().exact_rows
    if graph:
        exact_rows = len(rows.uris) // FEW
        manifest = measure_search(
            storage, manifest, None, exact_rows=0, options=RecallOptions(), threads=1
        )
    log = CommitLog(storage, COLLECTION)
    state = log.read()
    parent = state.channels.get("candidate")
    version = publish(storage, log, replace(manifest, parent=parent), state).version
    return Snapshot.open(
        storage, COLLECTION, version=version, options=SnapshotOptions(exact_rows=exact_rows)
    )


def spec(rows: Rows) -> EmbedderSpec:
    """Return the identity that the version bears."""
    return EmbedderSpec(
        provider="benchmark",
        model="given",
        revision="1",
        dimension=int(np.shape(rows.vectors)[1]),
        tokenizer="none",
        max_input_tokens=1,
    )
