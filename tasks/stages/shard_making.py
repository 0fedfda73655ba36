"""Make one shard from portions of rows, wherever they come from; no embedder is called here.

A finished shard is recorded beside its files, so that a later run with the same chunks takes it
over. While a large shard grows it is checkpointed at doubling sizes: a kill costs at most half of
the work, and the checkpoints together are no larger than the shard.

Invariants: the same chunks and settings give byte-identical files, also after a resume; nothing is
referred to that was not read back.
"""

import tempfile
from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import orjson

from index_store.artifacts import Artifact, read_artifact, store_artifact, verify_artifact
from index_store.chunk_table import ChunkTableWriter, StoredChunk
from index_store.document_table import ShardDocument, documents_hash, write_documents
from index_store.embedder import EmbedderSpec, Vectors
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError, NotFoundError
from index_store.layout import (
    run_key,
    shard_chunks_key,
    shard_documents_key,
    shard_index_key,
    shard_record_key,
)
from index_store.lexical.analysis import ANALYSIS
from index_store.lexical.indexing import LexicalWriter
from index_store.manifest import ShardEntry
from index_store.shard import ShardBuilder, ShardFile
from index_store.shard_options import ShardOptions, shard_id
from index_store.shard_record import (
    artifact_from_row,
    artifact_row,
    decode_shard_record,
    encode_shard_record,
)
from index_store.storage.base import Storage

MOST_FILING = 4  # portions whose chunks wait in memory while the graph grows


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a shard is built and with what.

    Attributes:
        storage: The store.
        collection: Name of the collection.
        run: Id of the run.
        embedder: Identity of the embedder of the vectors.
        vectors: Stored vectors.
        options: How the graph is built.
        checkpoint_rows: Rows at the first checkpoint.
    """

    storage: Storage
    collection: str
    run: str
    embedder: EmbedderSpec
    vectors: EmbeddingStore
    options: ShardOptions
    checkpoint_rows: int


class Portion(Protocol):
    """Consecutive rows of a shard to be built; what is not asked for is not read."""

    @property
    def rows(self) -> int:
        """Number of rows, at least 1."""
        ...

    def chunks(self) -> Sequence[StoredChunk]:
        """Return the chunks of all rows."""
        ...

    def vectors(self, start: int) -> Vectors:
        """Return the vectors of the rows from `start` on: float32, shape (n, dimension).

        Raises:
            CorruptArtifactError: A vector is missing or damaged.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Sinks:
    """Where the chunks of a shard go while it is built."""

    chunks: ChunkTableWriter
    lexical: LexicalWriter

    def add(self, chunks: Sequence[StoredChunk]) -> None:
        self.chunks.add(chunks)
        self.lexical.add(chunks)


def free_name(
    site: Site,
    chunk_ids: Callable[[], Iterable[bytes]],
    documents: Sequence[ShardDocument],
    avoid: Container[str],
) -> str:
    """Return the id of a shard with these chunks.

    Args:
        site: Where and with what it is made.
        chunk_ids: Gives the ids of its chunks in order of row, each time it is called.
        documents: Its documents, in order of row.
        avoid: Ids that it must not take; another one follows from each of them.
    """
    extra: list[bytes] = []
    known = f"{ANALYSIS} {documents_hash(documents)}"
    while True:
        name = shard_id(site.embedder.id, site.options, chain(chunk_ids(), extra), known)
        if name not in avoid:
            return name
        extra.append(bytes.fromhex(name))


def make_shard(
    site: Site, name: str, documents: Sequence[ShardDocument], portions: Iterable[Portion]
) -> ShardEntry:
    """Make a shard and record it beside its files.

    Args:
        site: Where and with what.
        name: Its id, which follows from chunks and documents.
        documents: Its documents, in order of row, without gaps.
        portions: Its rows, in order.

    Returns:
        What a manifest says about it.

    Raises:
        CorruptArtifactError: A chunk or a vector is damaged or missing.
        TransientError: The store is out of reach or full.
    """
    rows = documents[-1].row_end
    with tempfile.TemporaryDirectory(prefix="nightpress-") as folder:
        scratch = Path(folder)
        builder = _resumed(name, site, scratch) or _fresh(site)
        with (
            closing(LexicalWriter(scratch / "lexical", documents)) as writer,
            ChunkTableWriter(scratch / "chunks.arrow") as table,
        ):
            _fill(name, builder, _Sinks(table, writer), portions, site)
            lexical = writer.store(site.storage, site.collection, name)
        if builder.rows != rows:
            raise CorruptArtifactError(f"shard {name}: rows expected {rows}, found {builder.rows}")
        index = builder.finish(scratch / "index.faiss")
        write_documents(scratch / "documents.arrow", documents)
        entry = ShardEntry(
            id=name,
            rows=rows,
            dead=0,
            dimension=site.embedder.dimension,
            hnsw=site.options.hnsw,
            index=_stored(site, shard_index_key(site.collection, name), index.path),
            chunks=_stored(site, shard_chunks_key(site.collection, name), scratch / "chunks.arrow"),
            documents=_stored(
                site, shard_documents_key(site.collection, name), scratch / "documents.arrow"
            ),
            lexical=lexical,
            storage=site.options.storage,
        )
    site.storage.put(shard_record_key(site.collection, name), encode_shard_record(entry))
    return entry


def find_shard(site: Site, name: str, *, verify: bool) -> ShardEntry | None:
    """Return the shard of this id when it is there and, if asked, its bytes are whole."""
    try:
        data = site.storage.read(shard_record_key(site.collection, name))
        entry = decode_shard_record(data, name, site.options.hnsw, site.options.storage)
        if verify:
            for file in entry.files:
                verify_artifact(site.storage, file)
    except (CorruptArtifactError, NotFoundError):
        return None  # not there, or not whole: it is made again
    return entry


def stored_vectors(store: EmbeddingStore, hashes: Sequence[bytes]) -> Vectors:
    """Return stored vectors, all of them.

    Args:
        store: Where they are.
        hashes: 32-byte text hashes.

    Returns:
        float32, shape (len(hashes), dimension).

    Raises:
        CorruptArtifactError: One is missing or damaged.
        TransientError: The store could not be read.
    """
    found, vectors = store.find(hashes)
    if not found.all():
        missing = int((~found).sum())
        raise CorruptArtifactError(f"embeddings: {missing} of {len(hashes)} vectors are missing")
    return vectors


def _stored(site: Site, key: str, path: Path) -> Artifact:
    return store_artifact(site.storage, key, path)


def _fresh(site: Site) -> ShardBuilder:
    return ShardBuilder(site.options, site.embedder.dimension)


def _fill(
    name: str,
    builder: ShardBuilder,
    sinks: _Sinks,
    portions: Iterable[Portion],
    site: Site,
) -> None:
    """Put all rows into the graph, and beside it, in a thread of its own, into the other files."""
    resumed_at = builder.rows
    next_checkpoint = max(site.checkpoint_rows, 2 * resumed_at)
    seen = 0
    filing: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1) as clerk:
        for portion in portions:
            already = min(portion.rows, max(0, resumed_at - seen))
            seen += portion.rows
            if len(filing) == MOST_FILING:
                filing.popleft().result()
            filing.append(clerk.submit(sinks.add, portion.chunks()))
            if already == portion.rows:
                continue
            builder.add(portion.vectors(already))
            if builder.rows >= next_checkpoint:
                _checkpoint(name, builder, site)
                next_checkpoint = 2 * builder.rows
        for filed in filing:
            filed.result()


def _checkpoint(name: str, builder: ShardBuilder, site: Site) -> None:
    with tempfile.TemporaryDirectory(prefix="nightpress-") as folder:
        file = builder.checkpoint(Path(folder) / "checkpoint.faiss")
        if not file.rows:
            return  # not one full batch of rows is in the graph yet
        stem = f"shards/{name}-{file.rows:012d}"
        key = run_key(site.collection, site.run, f"{stem}.faiss")
        artifact = store_artifact(site.storage, key, file.path)
    body = {"rows": file.rows, "index": artifact_row(artifact)}
    site.storage.put(run_key(site.collection, site.run, f"{stem}.json"), orjson.dumps(body))


def _resumed(name: str, site: Site, scratch: Path) -> ShardBuilder | None:
    """Go on from the largest checkpoint that any run left of this shard."""
    keys = [
        entry.key
        for entry in site.storage.list(f"{site.collection}/runs/")
        if f"/shards/{name}-" in entry.key and entry.key.endswith(".json")
    ]
    for key in sorted(keys, key=lambda each: each.rsplit("-", 1)[1], reverse=True):
        try:
            body = orjson.loads(site.storage.read(key))
            artifact = artifact_from_row(body["index"])
            path = scratch / "resumed.faiss"
            path.write_bytes(read_artifact(site.storage, artifact))
            file = ShardFile(
                path=path,
                rows=int(body["rows"]),
                size_bytes=artifact.size_bytes,
                sha256=artifact.sha256,
            )
            return ShardBuilder.resume(site.options, site.embedder.dimension, file)
        except (CorruptArtifactError, NotFoundError, ValueError, KeyError, TypeError):
            continue  # a damaged checkpoint is work not done
    return None
