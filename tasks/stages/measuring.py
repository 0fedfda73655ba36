"""Measure how the shards of a new version have to be searched, and say so in its manifest.

Invariants: a version that is small enough for exact search is not measured; what was measured with
the same dead rows is taken over; a graph below the gate is not used, the shard is searched exactly.
"""

from contextlib import closing
from dataclasses import replace

from index_store.artifacts import read_artifact
from index_store.chunk_table import ChunkTable
from index_store.deletions import decode_deletions
from index_store.embedder import Vectors
from index_store.embeddings import EmbeddingStore
from index_store.local_files import LocalFiles
from index_store.manifest import Manifest, SearchMode, ShardEntry, ShardSearch
from index_store.recall import VectorSource, choose_ef_search, draw_questions
from index_store.shard import ShardReader
from index_store.shard_options import RecallOptions
from index_store.storage.base import Storage
from tasks.stages.shard_making import stored_vectors


class StoredVectors:
    """The vectors of a shard's rows as they were paid for, found by their texts."""

    def __init__(self, table: ChunkTable, store: EmbeddingStore) -> None:
        self._table = table
        self._store = store

    def vectors(self, start: int, end: int) -> Vectors:
        """Return the rows [start, end): float32, shape (end - start, dimension).

        Raises:
            CorruptArtifactError: A vector is missing.
        """
        return stored_vectors(self._store, self._table.text_hashes(start, end))


def measure_search(
    storage: Storage,
    manifest: Manifest,
    base: Manifest | None,
    *,
    exact_rows: int,
    options: RecallOptions,
    threads: int = 1,
    questions: Vectors | None = None,
) -> Manifest:
    """Return the manifest with what was measured for each of its shards.

    Args:
        storage: The store; it holds every file of the manifest.
        manifest: A version that is not published yet.
        base: Manifest of the version before, or None.
        exact_rows: Live rows up to which every search is exact.
        options: What is asked for.
        threads: Threads that may measure.
        questions: float32, shape (n, dimension), rows L2-normalised: embeddings of real questions;
            None draws some from each shard.

    Raises:
        CorruptArtifactError: A file is missing or damaged.
        TransientError: The store is out of reach.
    """
    if manifest.counts.chunks_live <= exact_rows:
        return manifest
    before = {} if base is None else {entry.id: entry.search for entry in base.shards}
    store = EmbeddingStore(storage, manifest.embedder.id, manifest.embedder.dimension)
    if any(entry.storage == "sq8" for entry in manifest.shards):
        store.refresh()
    measured = []
    with closing(LocalFiles(storage, None)) as files:
        for entry in manifest.shards:
            known = before.get(entry.id)
            if known is None or known.dead != entry.dead or questions is not None:
                reader = _open(storage, entry, files, threads)
                source = _source(entry, reader, files, store)
                asked = _drawn(entry, source, options) if questions is None else questions
                known = _measure(entry, known, reader, source, asked, options)
            measured.append(replace(entry, search=known))
    return replace(manifest, shards=tuple(measured))


def _open(storage: Storage, entry: ShardEntry, files: LocalFiles, threads: int) -> ShardReader:
    """Open a shard as if nobody had measured it."""
    dead = None
    if entry.deletions is not None:
        data = read_artifact(storage, entry.deletions)
        dead = decode_deletions(data, entry.rows, entry.deletions.key)
    plain, path = replace(entry, search=None), files.path(entry.index)
    return ShardReader.open(path, plain, dead=dead, verify=False, threads=threads)


def _source(
    entry: ShardEntry, reader: ShardReader, files: LocalFiles, store: EmbeddingStore
) -> VectorSource:
    if entry.storage != "sq8":
        return reader
    return StoredVectors(ChunkTable.open(files.path(entry.chunks), rows=entry.rows), store)


def _drawn(entry: ShardEntry, source: VectorSource, options: RecallOptions) -> Vectors:
    seed = int(entry.id[:8], 16)
    return draw_questions(source, entry.rows, count=options.questions, seed=seed)


def _measure(
    entry: ShardEntry,
    before: ShardSearch | None,
    reader: ShardReader,
    source: VectorSource,
    questions: Vectors,
    options: RecallOptions,
) -> ShardSearch:
    found = choose_ef_search(reader, source, questions, options)
    built = None if before is None else before.built_recall
    return ShardSearch(
        mode=SearchMode.HNSW if found.recall >= options.least else SearchMode.EXACT,
        ef_search=found.ef_search,
        recall=found.recall,
        built_recall=built if entry.dead else found.recall,
        dead=entry.dead,
    )
