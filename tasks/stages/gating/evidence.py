"""Gather what the gates judge: catalogs, a sample of new chunks, their vectors, the shards.

Invariants: nothing is written; memory holds a few columns of the catalogs and a bounded sample of
chunks; only `probe_texts` texts are embedded.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from index_store.catalog_look import live_columns
from index_store.chunk_table import ChunkTable, StoredChunk
from index_store.embedder import Embedder
from index_store.embeddings import EmbeddingStore
from index_store.local_files import LocalFiles
from index_store.manifest import Manifest, ShardEntry
from index_store.snapshot import Snapshot
from index_store.storage.base import Storage
from tasks.stages.gating import documents, texts
from tasks.stages.gating.expectation import Frame
from tasks.stages.gating.suites import Measured

SAMPLE_CHUNKS = 1000  # new chunks that are looked at, spread over the new shards
SAMPLE_HITS = 3  # hits among which a text asked for word for word must be
PROBE_REQUEST_TEXTS = 4  # whole chunks, of which every provider takes four at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What vectors are tried with.

    Attributes:
        embedder: The embedder of the version.
        vectors: Stored vectors.
        texts: Texts that are embedded once more; 0 for none.
    """

    embedder: Embedder
    vectors: EmbeddingStore
    texts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The version that is judged.

    Attributes:
        snapshot: The version, opened.
        base: Manifest of the version before, None for a first one.
        worked: Names of the documents that the run parsed.
        proven: Ids of shards that are in production already.
        max_tokens: Tokens that a chunk may have.
        allow_removal: Whether documents may vanish in any number.
    """

    snapshot: Snapshot
    base: Manifest | None
    worked: Sequence[str]
    proven: frozenset[str]
    max_tokens: int
    allow_removal: bool


def measure(storage: Storage, judged: Judged, probe: Probe) -> Measured:
    """Measure a version.

    Raises:
        CorruptArtifactError: A file is damaged.
        TransientError: The store or the embedder is out of reach.
    """
    manifest = judged.snapshot.manifest
    lines = documents.Lines(
        before=live_columns(storage, judged.base.catalog if judged.base else (), documents.COLUMNS),
        now=live_columns(storage, manifest.catalog, documents.COLUMNS),
        worked=pa.array(judged.worked, pa.string()),
    )
    new = [entry for entry in manifest.shards if entry.id not in judged.proven]
    sample = _sample(storage, new)
    return Measured(
        frames={
            "inventory": documents.inventory(lines),
            "folders": documents.folders(lines),
            "outcomes": documents.outcomes(lines),
            "changes": documents.changes(lines),
            "chunks": texts.chunks(sample),
            "repetitions": texts.repetitions(list(_text_hashes(storage, new))),
            **_vector_frames(sample, judged.snapshot, probe),
            "shards": _shards(manifest),
        },
        has_before=lines.has_before,
        max_tokens=judged.max_tokens,
        dimension=manifest.embedder.dimension,
        allow_removal=judged.allow_removal,
    )


def _sample(storage: Storage, entries: Sequence[ShardEntry]) -> list[StoredChunk]:
    """Return chunks at equal distances in each shard, in proportion to its rows."""
    rows = sum(entry.rows for entry in entries)
    step = max(1, -(-rows // SAMPLE_CHUNKS))
    sample: list[StoredChunk] = []
    for table in _tables(storage, entries):
        sample += table.take(range(0, table.rows, step))
    return sample


def _text_hashes(storage: Storage, entries: Sequence[ShardEntry]) -> Iterator[bytes]:
    for table in _tables(storage, entries):
        for text_hash in table.text_hashes(0, table.rows):
            yield text_hash[:16]  # enough to count by


def _tables(storage: Storage, entries: Sequence[ShardEntry]) -> Iterator[ChunkTable]:
    with closing(LocalFiles(storage, None)) as files:
        for entry in entries:
            yield ChunkTable.open(files.path(entry.chunks), rows=entry.rows)


def _vector_frames(
    sample: Sequence[StoredChunk], snapshot: Snapshot, probe: Probe
) -> dict[str, Frame]:
    found, vectors = probe.vectors.find([stored.text_hash for stored in sample])
    known = [stored for stored, there in zip(sample, found, strict=True) if there]
    vectors = vectors[found]
    said = len({stored.text_hash for stored in known})
    told = len(np.unique(vectors, axis=0)) if said > 1 else said
    return {
        "vectors": Frame(
            columns={
                "norm": [float(norm) for norm in np.linalg.norm(vectors, axis=1)],
                "distinct_share": [told / said if said > 1 else None] * len(known),
            },
            labels=tuple(stored.uri for stored in known),
        ),
        "probe": _probe_frame(known, vectors, snapshot, probe),
    }


def _probe_frame(
    known: Sequence[StoredChunk],
    vectors: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
    snapshot: Snapshot,
    probe: Probe,
) -> Frame:
    """Embed a few texts once more, compare them with what is stored, and ask for them."""
    count = min(probe.texts, len(known))
    places = [place * len(known) // count for place in range(count)] if count else []
    agreement: list[float] = []
    reached: list[float] = []
    size = max(1, min(probe.embedder.limits.texts, PROBE_REQUEST_TEXTS))
    for start in range(0, count, size):
        batch = places[start : start + size]
        fresh = probe.embedder.embed([known[place].chunk.text for place in batch])
        for place, vector in zip(batch, fresh, strict=True):
            agreement.append(float(vector @ vectors[place]))
            hits = snapshot.nearest(vector, SAMPLE_HITS)
            reached.append(float(any(hit.text == known[place].chunk.text for hit in hits)))
    return Frame(
        columns={"agreement": agreement, "found": reached},
        labels=tuple(known[place].uri for place in places),
    )


def _shards(manifest: Manifest) -> Frame:
    entries = manifest.shards
    return Frame(
        columns={
            "dimension": [entry.dimension for entry in entries],
            "dead_share": [entry.dead / entry.rows for entry in entries],
            "recall": [None if entry.search is None else entry.search.recall for entry in entries],
        },
        labels=tuple(entry.id[:12] for entry in entries),
    )
