"""Build one shard from finished batches and stored vectors; no embedder is called here.

A finished shard is recorded beside its files, so that a later run with the same chunks takes it
over. While a large shard grows it is checkpointed at doubling sizes: a kill costs at most half of
the work, and the checkpoints together are no larger than the shard.

Invariants: the same chunks and settings give byte-identical files, also after a resume; nothing is
referred to that was not read back.
"""

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import orjson

from index_store.artifacts import read_artifact, store_artifact, verify_artifact
from index_store.chunk_table import ChunkTable, ChunkTableWriter
from index_store.embedder import EmbedderSpec
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError, NotFoundError
from index_store.layout import run_key, shard_chunks_key, shard_index_key, shard_record_key
from index_store.manifest import ShardEntry
from index_store.shard import ShardBuilder, ShardFile
from index_store.shard_options import ShardOptions, shard_id
from index_store.storage.base import Storage
from tasks.stages.checkpoints import (
    ParsedBatch,
    artifact_from_row,
    artifact_row,
    open_table,
    read_batch,
)
from tasks.stages.sharding import ShardPlan

FORMAT_VERSION = 1


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


def build_shard(
    plan: ShardPlan, site: Site, *, relocated: frozenset[str] = frozenset()
) -> BuiltShard:
    """Build a shard, or take over a finished one with the same id.

    Args:
        plan: Which batches it holds.
        site: Where and with what.
        relocated: Ids of shards with rows that go by another name in the version before; a new
            shard with the same chunks under their old names gets another id.

    Returns:
        The finished shard.

    Raises:
        CorruptArtifactError: A batch or a stored vector is damaged or missing.
        TransientError: The store is out of reach or full.
    """
    batches = [read_batch(site.storage, key) for key in plan.batches]
    name = _name(batches, site, relocated)
    entry = _finished(site, name, verify=True) or _build(name, plan.rows, batches, site)
    return BuiltShard(entry=entry, placements=_placements(name, batches))


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
    entry = _finished(site, name, verify=False)
    if entry is None:
        raise CorruptArtifactError(f"shard {name}: its record is missing or damaged")
    placements = tuple(
        Placement(uri=uri, shard=name, row_start=start, row_end=end)
        for uri, start, end in body["documents"]
    )
    return BuiltShard(entry=entry, placements=placements)


def _name(batches: Sequence[ParsedBatch], site: Site, relocated: frozenset[str]) -> str:
    extra: list[bytes] = []
    while True:
        chunk_ids = chain(_chunk_ids(site.storage, batches), extra)
        name = shard_id(site.embedder.id, site.options, chunk_ids)
        if name not in relocated:
            return name
        extra.append(bytes.fromhex(name))


def _placements(shard: str, batches: Sequence[ParsedBatch]) -> tuple[Placement, ...]:
    placements = []
    offset = 0
    for batch in batches:
        placements += [
            Placement(
                uri=document.uri,
                shard=shard,
                row_start=offset + document.row_start,
                row_end=offset + document.row_end,
            )
            for document in batch.documents
            if document.row_end > document.row_start
        ]
        offset += sum(document.row_end - document.row_start for document in batch.documents)
    return tuple(placements)


def _chunk_ids(storage: Storage, batches: Sequence[ParsedBatch]) -> Iterator[bytes]:
    for table in _tables(storage, batches):
        yield from table.chunk_ids(0, table.rows)


def _tables(storage: Storage, batches: Sequence[ParsedBatch]) -> Generator[ChunkTable, None, None]:
    for batch in batches:
        with open_table(storage, batch) as table:
            if table is not None:
                yield table


def _build(name: str, rows: int, batches: Sequence[ParsedBatch], site: Site) -> ShardEntry:
    with tempfile.TemporaryDirectory(prefix="nightpress-") as folder:
        scratch = Path(folder)
        builder = _resumed(name, site, scratch) or _fresh(site)
        with (
            ChunkTableWriter(scratch / "chunks.arrow") as writer,
            closing(_tables(site.storage, batches)) as tables,
        ):
            _fill(name, builder, writer, tables, site, scratch)
        index = builder.finish(scratch / "index.faiss")
        chunks_key = shard_chunks_key(site.collection, name)
        index_key = shard_index_key(site.collection, name)
        entry = ShardEntry(
            id=name,
            rows=rows,
            dead=0,
            dimension=site.embedder.dimension,
            hnsw=site.options.hnsw,
            index=store_artifact(site.storage, index_key, index.path),
            chunks=store_artifact(site.storage, chunks_key, scratch / "chunks.arrow"),
        )
    _record(site, entry)
    return entry


def _fresh(site: Site) -> ShardBuilder:
    return ShardBuilder(site.options, site.embedder.dimension)


def _fill(
    name: str,
    builder: ShardBuilder,
    writer: ChunkTableWriter,
    tables: Iterator[ChunkTable],
    site: Site,
    scratch: Path,
) -> None:
    resumed_at = builder.rows
    next_checkpoint = max(site.checkpoint_rows, 2 * resumed_at)
    for table in tables:
        already = min(table.rows, max(0, resumed_at - writer.rows))
        writer.add(table.read(0, table.rows))
        if already == table.rows:
            continue
        hashes = table.text_hashes(already, table.rows)
        found, vectors = site.vectors.find(hashes)
        if not found.all():
            missing = int((~found).sum())
            raise CorruptArtifactError(
                f"embeddings of {site.embedder.model}: {missing} of {len(hashes)} vectors of "
                f"shard {name[:12]} are missing"
            )
        builder.add(vectors)
        if builder.rows >= next_checkpoint:
            _checkpoint(name, builder, site, scratch)
            next_checkpoint = 2 * builder.rows


def _checkpoint(name: str, builder: ShardBuilder, site: Site, scratch: Path) -> None:
    file = builder.checkpoint(scratch / "checkpoint.faiss")
    if not file.rows:
        return  # not one full batch of rows is in the graph yet
    stem = f"shards/{name}-{file.rows:012d}"
    key = run_key(site.collection, site.run, f"{stem}.faiss")
    artifact = store_artifact(site.storage, key, file.path)
    body = {"rows": file.rows, "index": artifact_row(artifact)}
    site.storage.put(run_key(site.collection, site.run, f"{stem}.json"), orjson.dumps(body))
    file.path.unlink()


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


def _record(site: Site, entry: ShardEntry) -> None:
    body = {
        "format_version": FORMAT_VERSION,
        "id": entry.id,
        "rows": entry.rows,
        "dimension": entry.dimension,
        "index": artifact_row(entry.index),
        "chunks": artifact_row(entry.chunks),
    }
    key = shard_record_key(site.collection, entry.id)
    site.storage.put(key, orjson.dumps(body, option=orjson.OPT_SORT_KEYS))


def _finished(site: Site, name: str, *, verify: bool) -> ShardEntry | None:
    """Return the shard of this id when it is there and, if asked, its bytes are whole."""
    try:
        body = orjson.loads(site.storage.read(shard_record_key(site.collection, name)))
        if body["format_version"] != FORMAT_VERSION or body["id"] != name:
            return None
        entry = ShardEntry(
            id=name,
            rows=int(body["rows"]),
            dead=0,
            dimension=int(body["dimension"]),
            hnsw=site.options.hnsw,
            index=artifact_from_row(body["index"]),
            chunks=artifact_from_row(body["chunks"]),
        )
        if verify:
            verify_artifact(site.storage, entry.index)
            verify_artifact(site.storage, entry.chunks)
    except (CorruptArtifactError, NotFoundError, ValueError, KeyError, TypeError):
        return None  # not there, or not whole: it is built again
    return entry
