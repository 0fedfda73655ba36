"""Measure how the shards of a new version have to be searched, and say so in its manifest.

Invariants: a version that is small enough for exact search is not measured; what was measured with
the same dead rows is taken over; a graph below the gate is not used, the shard is searched exactly.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from index_store.artifacts import read_artifact
from index_store.chunk_table import ChunkTable
from index_store.deletions import decode_deletions, live_mask
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
) -> Manifest:
    """Return the manifest with what was measured for each of its shards.

    Args:
        storage: The store; it holds every file of the manifest.
        manifest: A version that is not published yet.
        base: Manifest of the version before, or None.
        exact_rows: Live rows up to which every search is exact.
        options: What is asked for.
        threads: Threads that may measure.

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
            if known is None or known.dead != entry.dead:
                known = _measure(storage, entry, known, files, store, options, threads)
            measured.append(replace(entry, search=known))
    return replace(manifest, shards=tuple(measured))


def _measure(
    storage: Storage,
    entry: ShardEntry,
    before: ShardSearch | None,
    files: LocalFiles,
    store: EmbeddingStore,
    options: RecallOptions,
    threads: int,
) -> ShardSearch:
    dead = None
    if entry.deletions is not None:
        data = read_artifact(storage, entry.deletions)
        dead = decode_deletions(data, entry.rows, entry.deletions.key)
    path: Path = files.path(entry.index)
    plain = replace(entry, search=None)
    reader = ShardReader.open(path, plain, dead=dead, verify=False, threads=threads)
    source: VectorSource = reader
    if entry.storage == "sq8":
        table = ChunkTable.open(files.path(entry.chunks), rows=entry.rows)
        source = StoredVectors(table, store)
    questions = draw_questions(
        source, entry.rows, count=options.questions, seed=int(entry.id[:8], 16)
    )
    found = choose_ef_search(reader, source, questions, live_mask(dead, entry.rows), options)
    passed = found.recall >= options.least
    built = before.built_recall if before is not None else None
    return ShardSearch(
        mode=SearchMode.HNSW if passed else SearchMode.EXACT,
        ef_search=found.ef_search,
        recall=found.recall,
        built_recall=found.recall if entry.dead == 0 else built,
        dead=entry.dead,
    )
