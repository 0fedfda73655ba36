"""Rebuild the files of a shard from what else is known about its rows.

Invariants: an index is made anew from the chunk table and the stored embeddings alone, a deletion
vector from the catalog alone; nothing is embedded and nothing is guessed; a file that comes out as
it was goes back under its own key, any other under a key of its own.
"""

import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pyroaring import BitMap

from index_store.artifacts import (
    Artifact,
    measure,
    read_artifact,
    sha256_hex,
    store_artifact,
    verify_artifact,
)
from index_store.catalog import Catalog
from index_store.chunk_table import ChunkTable
from index_store.deletions import decode_deletions, encode_deletions
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError
from index_store.layout import deletions_key, shard_record_key
from index_store.local_files import LocalFiles
from index_store.manifest import Manifest, ShardEntry
from index_store.shard import ShardBuilder, ShardReader
from index_store.shard_options import ShardOptions
from index_store.shard_record import encode_shard_record
from index_store.storage.base import Storage

PORTION_ROWS = 4096
LOSSLESS = ("flat", "fp16")  # storages that give a stored vector back as it was


@dataclass(slots=True)
class Findings:
    """What a repair did so far; grows while it goes on.

    Attributes:
        restored: Keys of files that were put back as they were.
        rebuilt: What was made anew under another key, one line each.
        lost: What is gone for good, one line each.
    """

    restored: list[str]
    rebuilt: list[str]
    lost: list[str]


def is_whole(storage: Storage, artifact: Artifact) -> bool:
    """Tell whether a file is there and has the right bytes.

    Raises:
        TransientError: The store could not be read.
    """
    try:
        verify_artifact(storage, artifact)
    except CorruptArtifactError:
        return False
    return True


def put_back(
    storage: Storage, artifact: Artifact, source: bytes | Path, key: str, findings: Findings
) -> Artifact:
    """Store what was made anew in the place of a damaged file.

    Args:
        storage: The store.
        artifact: The damaged file.
        source: What was made anew.
        key: Where that goes when it is not what `artifact` was.
        findings: Takes a line about it.

    Returns:
        `artifact` when the bytes are what they were, else where the new ones are.
    """
    if measure(artifact.key, source) == artifact:
        storage.put(artifact.key, source)
        verify_artifact(storage, artifact)
        findings.restored.append(artifact.key)
        return artifact
    stored = store_artifact(storage, key, source)
    findings.rebuilt.append(f"{artifact.key} as {stored.key}")
    return stored


def open_chunks(files: LocalFiles, entry: ShardEntry) -> ChunkTable:
    """Open the chunk table of a shard after checking it."""
    return ChunkTable.open(files.checked_path(entry.chunks, verify=True), rows=entry.rows)


def repair_index(
    storage: Storage, entry: ShardEntry, vectors: EmbeddingStore, findings: Findings
) -> ShardEntry | None:
    """Return the shard with a whole index, or None when a vector is missing.

    Raises:
        TransientError: The store could not be read or written.
    """
    if is_whole(storage, entry.index):
        return entry
    options = ShardOptions(hnsw=entry.hnsw, storage=entry.storage)
    builder = ShardBuilder(options, entry.dimension)
    with (
        closing(LocalFiles(storage, None)) as files,
        tempfile.TemporaryDirectory(prefix="nightpress-") as folder,
    ):
        table = open_chunks(files, entry)
        for start in range(0, entry.rows, PORTION_ROWS):
            hashes = table.text_hashes(start, min(start + PORTION_ROWS, entry.rows))
            found, portion = vectors.find(hashes)
            if not found.all():
                return None
            builder.add(portion)
        built = builder.finish(Path(folder) / "index.faiss")
        index = put_back(storage, entry.index, built.path, entry.index.key, findings)
    return replace(entry, index=index)


def repair_deletions(
    storage: Storage, collection: str, entry: ShardEntry, catalog: Catalog, findings: Findings
) -> ShardEntry | None:
    """Return the shard with a whole deletion vector, or None when the catalog cannot tell it.

    Raises:
        TransientError: The store could not be read or written.
    """
    if entry.deletions is None or is_whole(storage, entry.deletions):
        return entry
    live = BitMap()
    for record in catalog.records():
        if record.shard == entry.id and record.chunks:
            live.add_range(record.row_start, record.row_end)
    dead = BitMap(range(entry.rows)) - live
    if len(dead) != entry.dead:
        return None
    data = encode_deletions(dead)
    key = deletions_key(collection, sha256_hex(data))
    return replace(entry, deletions=put_back(storage, entry.deletions, data, key, findings))


def dead_rows(storage: Storage, entry: ShardEntry) -> BitMap:
    """Return the dead rows of a shard.

    Raises:
        CorruptArtifactError: The deletion vector is damaged.
    """
    if entry.deletions is None:
        return BitMap()
    return decode_deletions(
        read_artifact(storage, entry.deletions), entry.rows, entry.deletions.key
    )


def repair_record(storage: Storage, collection: str, entry: ShardEntry, findings: Findings) -> None:
    """Write `shard.json` again when it does not say what the shard is."""
    key = shard_record_key(collection, entry.id)
    data = encode_shard_record(entry)
    if measure(key, data) != _stored(storage, key):
        storage.put(key, data)
        findings.restored.append(key)


def repair_embeddings(
    storage: Storage, manifest: Manifest, vectors: EmbeddingStore, findings: Findings
) -> None:
    """Store the vectors of a version's shards that are not stored, so that none is paid for again.

    Raises:
        TransientError: The store could not be read or written.
    """
    for entry in manifest.shards:
        if entry.storage not in LOSSLESS:
            continue
        with closing(LocalFiles(storage, None)) as files:
            table = open_chunks(files, entry)
            path = files.path(entry.index)
            reader: ShardReader | None = None
            for start in range(0, entry.rows, PORTION_ROWS):
                end = min(start + PORTION_ROWS, entry.rows)
                hashes = table.text_hashes(start, end)
                missing = [int(row) for row in np.flatnonzero(~vectors.contains(hashes))]
                if not missing:
                    continue
                reader = reader or ShardReader.open(path, entry)
                rows = reader.vectors(start, end)[missing]
                key = vectors.add([hashes[row] for row in missing], rows)
                findings.rebuilt.append(f"{len(missing)} embeddings of shard {entry.id} as {key}")


def _stored(storage: Storage, key: str) -> Artifact | None:
    for entry in storage.list(key):
        if entry.key == key:
            return measure(key, storage.read(key))
    return None
