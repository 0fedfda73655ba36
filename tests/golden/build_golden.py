"""Builds the golden store of the current format; see README.md for when to run it.

python tests/golden/build_golden.py tests/golden/format_v1
"""

import hashlib
import shutil
import sys
import tempfile
from dataclasses import asdict
from itertools import count
from pathlib import Path

import numpy as np
import orjson

from index_store.artifacts import sha256_hex, store_artifact
from index_store.catalog_files import store_changes
from index_store.chunk_table import ChunkTableWriter, StoredChunk, stored_chunk
from index_store.deletions import encode_deletions
from index_store.embedder import EmbedderSpec, Vectors
from index_store.embeddings import EmbeddingStore
from index_store.layout import (
    deletions_key,
    relocations_key,
    shard_chunks_key,
    shard_index_key,
)
from index_store.log import CommitLog
from index_store.manifest import Counts, HnswSettings, Manifest, ShardEntry
from index_store.publisher import promote, publish
from index_store.records import Chunk, Citation, DocumentRecord, Reason, Rejection
from index_store.relocations import Relocation, encode_relocations
from index_store.shard import ShardBuilder
from index_store.shard_options import ShardOptions, shard_id
from index_store.snapshot import Snapshot
from index_store.storage.base import Storage
from index_store.storage.folder import FolderStorage

COLLECTION = "golden"
DIMENSION = 16
OPTIONS = ShardOptions(hnsw=HnswSettings(m=4, ef_construction=16, ef_search=8), add_batch_rows=4)
SPEC = EmbedderSpec(
    provider="signs",
    model="sha256",
    revision="1",
    dimension=DIMENSION,
    tokenizer="words",
    max_input_tokens=512,
)
CHUNKS = (
    ("old-name.txt", Chunk(text="The first page.", tokens=3, citation=Citation(page=1))),
    ("old-name.txt", Chunk(text="La deuxième page.", tokens=3, citation=Citation(page=2))),
    ("talk.pptx", Chunk(text="A slide.", tokens=2, citation=Citation(slide=4))),
    (
        "table.xlsx",
        Chunk(
            text="année;montant\n2024;12",
            tokens=2,
            citation=Citation(sheet="Données", row_start=1, row_end=3),
        ),
    ),
    (
        "guide.md",
        Chunk(text="Deep down.", tokens=2, citation=Citation(section=("Guide", "Part", "Step"))),
    ),
    ("gone.txt", Chunk(text="This text was removed.", tokens=4)),
)
DEAD = (5,)


def vector(text: str) -> Vectors:
    """Sixteen quarters with signs from a hash: exact in float16, norm exactly 1."""
    bits = np.unpackbits(np.frombuffer(hashlib.sha256(text.encode()).digest()[:2], np.uint8))
    return np.where(bits == 1, 0.25, -0.25).astype(np.float32)


def rows() -> list[StoredChunk]:
    """The rows of the only shard."""
    seen: dict[str, int] = {}
    stored = []
    for uri, chunk in CHUNKS:
        stored.append(stored_chunk(uri, seen.get(uri, 0), chunk))
        seen[uri] = seen.get(uri, 0) + 1
    return stored


def build(root: Path) -> None:
    """Write the golden store and what a reader must find in it."""
    storage = FolderStorage(root / "store")
    ticks, nonces = count(1_700_000_000_000, 1000), count(1)
    log = CommitLog(
        storage, COLLECTION, clock_ms=lambda: next(ticks), nonce=lambda: f"{next(nonces):032x}"
    )
    with tempfile.TemporaryDirectory() as folder:
        entry = _store_shard(storage, Path(folder))
    _store_embeddings(storage)
    published = publish(storage, log, _manifest(storage, entry), log.read(), reason="golden")
    promote(log, published.version, reason="golden")
    with Snapshot.open(storage, COLLECTION) as snapshot:
        hits = snapshot.nearest(vector("A slide."), 10)
    expected = {"version": published.version, "hits": [asdict(hit) for hit in hits]}
    (root / "expected.json").write_bytes(orjson.dumps(expected, option=orjson.OPT_INDENT_2))


def _store_shard(storage: Storage, folder: Path) -> ShardEntry:
    stored = rows()
    name = shard_id(SPEC.id, OPTIONS, [row.chunk_id for row in stored])
    with ChunkTableWriter(folder / "chunks.arrow") as writer:
        writer.add(stored)
    builder = ShardBuilder(OPTIONS, DIMENSION)
    builder.add(np.stack([vector(row.chunk.text) for row in stored]))
    index = builder.finish(folder / "index.faiss")
    deletions = encode_deletions(DEAD)
    return ShardEntry(
        id=name,
        rows=len(stored),
        dead=len(DEAD),
        dimension=DIMENSION,
        hnsw=OPTIONS.hnsw,
        index=store_artifact(storage, shard_index_key(COLLECTION, name), index.path),
        chunks=store_artifact(storage, shard_chunks_key(COLLECTION, name), folder / "chunks.arrow"),
        deletions=store_artifact(
            storage, deletions_key(COLLECTION, sha256_hex(deletions)), deletions
        ),
    )


def _store_embeddings(storage: Storage) -> None:
    stored = rows()
    vectors = np.stack([vector(row.chunk.text) for row in stored])
    EmbeddingStore(storage, SPEC.id, DIMENSION).add([row.text_hash for row in stored], vectors)


def _manifest(storage: Storage, entry: ShardEntry) -> Manifest:
    moved = [Relocation(shard=entry.id, row_start=0, row_end=2, uri="new-name.txt")]
    relocations = encode_relocations(moved)
    return Manifest(
        collection=COLLECTION,
        parent=None,
        run="golden-run",
        created_at_ms=1_700_000_000_000,
        embedder=SPEC,
        chunker="golden:1",
        shards=(entry,),
        catalog=store_changes(storage, COLLECTION, (), documents(entry.id), ["gone.txt"]),
        counts=Counts(documents=4, rejected=1, chunks_live=5, chunks_dead=1, tokens=12),
        relocations=store_artifact(
            storage, relocations_key(COLLECTION, sha256_hex(relocations)), relocations
        ),
        quality={"recall_at_10": 1.0},
        cost={"texts": 6, "currency": "EUR"},
        settings={"chunk_tokens": 512},
    )


def documents(shard: str) -> list[DocumentRecord]:
    """The lines of the catalog, sorted by uri."""
    places = (
        ("guide.md", "guide.md", 4, 5, 2),
        ("new-name.txt", "old-name.txt", 0, 2, 6),
        ("table.xlsx", "table.xlsx", 3, 4, 2),
        ("talk.pptx", "talk.pptx", 2, 3, 2),
    )
    indexed = [
        DocumentRecord(
            uri=uri,
            size_bytes=100,
            mtime_ns=1_700_000_000_123_456_789,
            content_hash="c" * 64,
            work_key="work",
            indexed_hash="c" * 64,
            shard=shard,
            row_start=start,
            row_end=end,
            shard_uri=shard_uri,
            tokens=tokens,
        )
        for uri, shard_uri, start, end, tokens in places
    ]
    refused = DocumentRecord(
        uri="broken.pdf",
        size_bytes=10,
        mtime_ns=1,
        content_hash="b" * 64,
        work_key="work",
        rejection=Rejection(reason=Reason.CORRUPT, detail="no pages", parser="pdf 1", attempts=2),
    )
    return [refused, *indexed]


if __name__ == "__main__":
    target = Path(sys.argv[1])
    shutil.rmtree(target / "store", ignore_errors=True)
    build(target)
