"""A published collection in a few lines, without the pipeline."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from index_store.artifacts import store_artifact
from index_store.chunk_table import ChunkTableWriter, stored_chunk
from index_store.embedder import Embedder
from index_store.embedders.hashing import HashingEmbedder
from index_store.layout import shard_chunks_key, shard_index_key
from index_store.log import CommitLog
from index_store.manifest import Counts, HnswSettings, Manifest, ShardEntry
from index_store.publisher import promote, publish
from index_store.records import Chunk, Citation
from index_store.shard import ShardBuilder
from index_store.shard_options import ShardOptions, shard_id
from index_store.storage.base import Storage
from index_store.storage.opening import open_storage

EMBEDDER = HashingEmbedder(64)

Documents = Mapping[str, Sequence[str]]


class Publisher:
    """Publishes and promotes versions of any collection in one store."""

    def __init__(self, folder: Path) -> None:
        self.url = str(folder / "store")
        self.storage: Storage = open_storage(self.url)
        self._scratch = folder
        self._runs = 0

    def publish(
        self,
        collection: str,
        documents: Documents,
        *,
        embedder: Embedder = EMBEDDER,
        before_promotion: Callable[[Manifest, str], None] | None = None,
    ) -> str:
        """Publish one shard with the given chunk texts by uri, promote it; the version's id."""
        self._runs += 1
        entry, tokens = self._shard(collection, documents, embedder)
        log = CommitLog(self.storage, collection)
        counts = Counts(
            documents=len(documents),
            rejected=0,
            chunks_live=entry.rows,
            chunks_dead=0,
            tokens=tokens,
        )
        state = log.read()
        manifest = Manifest(
            collection=collection,
            parent=state.channels.get("candidate"),
            run=f"run-{self._runs}",
            created_at_ms=self._runs,
            embedder=embedder.spec,
            chunker="made by hand",
            shards=(entry,),
            catalog=(),
            counts=counts,
        )
        version = publish(self.storage, log, manifest, state).version
        if before_promotion is not None:
            before_promotion(manifest, version)
        promote(log, version)
        return version

    def publish_damaged(
        self, collection: str, documents: Documents, damage: Callable[[Path], None], name: str
    ) -> str:
        """Publish a version of which one file, named as in the store, was damaged."""

        def before_promotion(manifest: Manifest, version: str) -> None:
            (shard,) = manifest.shards
            keys = {
                "manifest.json": f"{collection}/versions/{version}/manifest.json",
                "index.faiss": shard.index.key,
                "chunks.arrow": shard.chunks.key,
            }
            damage(Path(self.url, keys[name]))

        return self.publish(collection, documents, before_promotion=before_promotion)

    def _shard(
        self, collection: str, documents: Documents, embedder: Embedder
    ) -> tuple[ShardEntry, int]:
        rows = [
            stored_chunk(
                uri,
                place,
                Chunk(
                    text=text,
                    tokens=len(text.split()),
                    citation=Citation(page=place + 1, section=("Part", str(place))),
                ),
            )
            for uri, texts in documents.items()
            for place, text in enumerate(texts)
        ]
        options = ShardOptions(hnsw=HnswSettings(m=8))
        name = shard_id(embedder.spec.id, options, [row.chunk_id for row in rows])
        with ChunkTableWriter(self._scratch / "chunks.arrow") as writer:
            writer.add(rows)
        builder = ShardBuilder(options, embedder.spec.dimension)
        builder.add(embedder.embed([row.chunk.text for row in rows]))
        built = builder.finish(self._scratch / "index.faiss")
        entry = ShardEntry(
            id=name,
            rows=len(rows),
            dead=0,
            dimension=embedder.spec.dimension,
            hnsw=options.hnsw,
            index=store_artifact(self.storage, shard_index_key(collection, name), built.path),
            chunks=store_artifact(
                self.storage, shard_chunks_key(collection, name), self._scratch / "chunks.arrow"
            ),
        )
        return entry, sum(row.chunk.tokens for row in rows)
