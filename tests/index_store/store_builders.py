"""Builders of small stores: documents in, published versions out."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from index_store.artifacts import sha256_hex, store_artifact
from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes
from index_store.catalog_files import store_changes
from index_store.chunk_table import ChunkTableWriter, stored_chunk
from index_store.deletions import encode_deletions
from index_store.document_table import ShardDocument, write_documents
from index_store.embedder import EmbedderSpec, Vectors
from index_store.layout import (
    deletions_key,
    shard_chunks_key,
    shard_documents_key,
    shard_index_key,
)
from index_store.lexical.analysis import ANALYSIS
from index_store.lexical.indexing import LexicalWriter
from index_store.log import CommitLog
from index_store.manifest import Counts, HnswSettings, Manifest, ShardEntry
from index_store.publisher import Published, publish
from index_store.records import Chunk, Citation, DocumentRecord
from index_store.shard import ShardBuilder
from index_store.shard_options import ShardOptions, shard_id
from index_store.storage.base import Storage

DIMENSION = 16
SPEC = EmbedderSpec(
    provider="test",
    model="hashed",
    revision="1",
    dimension=DIMENSION,
    tokenizer="words",
    max_input_tokens=512,
)
OPTIONS = ShardOptions(hnsw=HnswSettings(m=8, ef_construction=20, ef_search=16), add_batch_rows=50)
COLLECTION = "docs"


def vector(text: str, dimension: int = DIMENSION) -> Vectors:
    """The stored embedding of a text: float32, shape (dimension,), rounded to float16."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    row = np.random.default_rng(seed).normal(size=dimension)
    return (row / np.linalg.norm(row)).astype(np.float16).astype(np.float32)


def vectors(texts: Sequence[str], dimension: int = DIMENSION) -> Vectors:
    return np.stack([vector(text, dimension) for text in texts])


def commit_log(storage: Storage, collection: str = COLLECTION) -> CommitLog:
    """A log with a clock and nonces of its own, so that what it writes repeats."""
    ticks = count(1_700_000_000_000, 1000)
    nonces = count(1)
    return CommitLog(
        storage, collection, clock_ms=lambda: next(ticks), nonce=lambda: f"{next(nonces):032x}"
    )


def copy_objects(source: Storage, target: Storage, at: Callable[[int], None] | None = None) -> None:
    """Put every object of a store into another; `at` is told first when it was written, in ms."""
    for entry in source.list(""):
        if at is not None:
            at(entry.modified_ms)
        target.put(entry.key, source.read(entry.key))


def build_shard(
    storage: Storage,
    documents: Mapping[str, Sequence[str]],
    folder: Path,
    dead: Sequence[int] = (),
    attributes: Mapping[str, DocumentAttributes] | None = None,
    analysis: str = ANALYSIS,
) -> tuple[ShardEntry, list[DocumentRecord]]:
    """Store one shard with the chunks of all documents."""
    known = attributes or {}
    chunks = [
        stored_chunk(
            uri, ordinal, Chunk(text=text, tokens=len(text.split()), citation=Citation(page=1))
        )
        for uri, texts in documents.items()
        for ordinal, text in enumerate(texts)
    ]
    name = shard_id(SPEC.id, OPTIONS, [chunk.chunk_id for chunk in chunks])
    with ChunkTableWriter(folder / "chunks.arrow") as writer:
        writer.add(chunks)
    builder = ShardBuilder(OPTIONS, DIMENSION)
    builder.add(vectors([chunk.chunk.text for chunk in chunks]))
    index = builder.finish(folder / "index.faiss")
    deletions = encode_deletions(dead)
    lines = _lines(documents, known)
    write_documents(folder / "documents.arrow", lines)
    with (
        TemporaryDirectory(dir=folder) as scratch,
        closing(LexicalWriter(Path(scratch), lines, analysis=analysis)) as writer,
    ):
        writer.add(chunks)
        lexical = writer.store(storage, COLLECTION, name)
    entry = ShardEntry(
        id=name,
        rows=len(chunks),
        dead=len(dead),
        dimension=DIMENSION,
        hnsw=OPTIONS.hnsw,
        index=store_artifact(storage, shard_index_key(COLLECTION, name), index.path),
        chunks=store_artifact(storage, shard_chunks_key(COLLECTION, name), folder / "chunks.arrow"),
        deletions=store_artifact(
            storage, deletions_key(COLLECTION, sha256_hex(deletions)), deletions
        )
        if dead
        else None,
        documents=store_artifact(
            storage, shard_documents_key(COLLECTION, name), folder / "documents.arrow"
        ),
        lexical=lexical,
    )
    return entry, _records(name, documents, known)


def build_manifest(
    storage: Storage,
    documents: Mapping[str, Sequence[str]],
    folder: Path,
    *,
    parent: str | None = None,
    dead: Sequence[int] = (),
    run: str = "run-1",
    attributes: Mapping[str, DocumentAttributes] | None = None,
) -> Manifest:
    """Store all files of a version with one shard, and describe it."""
    entry, records = build_shard(storage, documents, folder, dead, attributes)
    return Manifest(
        collection=COLLECTION,
        parent=parent,
        run=run,
        created_at_ms=1_700_000_000_000,
        embedder=SPEC,
        chunker="words:8",
        shards=(entry,),
        catalog=store_changes(storage, COLLECTION, (), records, ()),
        counts=Counts(
            documents=len(documents),
            rejected=0,
            chunks_live=entry.live,
            chunks_dead=entry.dead,
            tokens=sum(record.tokens for record in records),
        ),
    )


def publish_documents(
    storage: Storage,
    documents: Mapping[str, Sequence[str]],
    folder: Path,
    *,
    dead: Sequence[int] = (),
    run: str = "run-1",
    attributes: Mapping[str, DocumentAttributes] | None = None,
) -> Published:
    """Publish a version with these documents on top of the candidate."""
    log = commit_log(storage)
    state = log.read()
    parent = state.channels.get("candidate")
    manifest = build_manifest(
        storage, documents, folder, parent=parent, dead=dead, run=run, attributes=attributes
    )
    return publish(storage, log, manifest, state)


def _lines(
    documents: Mapping[str, Sequence[str]], known: Mapping[str, DocumentAttributes]
) -> list[ShardDocument]:
    lines = []
    row = 0
    for uri, texts in documents.items():
        attributes = known.get(uri, NO_ATTRIBUTES)
        lines.append(
            ShardDocument(uri=uri, row_start=row, row_end=row + len(texts), attributes=attributes)
        )
        row += len(texts)
    return lines


def _records(
    shard: str,
    documents: Mapping[str, Sequence[str]],
    known: Mapping[str, DocumentAttributes],
) -> list[DocumentRecord]:
    records = []
    row = 0
    for uri, texts in documents.items():
        content_hash = hashlib.sha256("\n".join(texts).encode()).hexdigest()
        records.append(
            DocumentRecord(
                uri=uri,
                size_bytes=sum(map(len, texts)),
                mtime_ns=1,
                content_hash=content_hash,
                work_key="work",
                indexed_hash=content_hash,
                shard=shard,
                row_start=row,
                row_end=row + len(texts),
                shard_uri=uri,
                tokens=sum(len(text.split()) for text in texts),
                attributes=known.get(uri, NO_ATTRIBUTES),
            )
        )
        row += len(texts)
    return records
