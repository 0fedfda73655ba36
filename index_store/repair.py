"""Rebuild what can be rebuilt of a damaged version, without embedding anything.

What comes out with the very bytes that the manifest names goes back under its key, and the version
is whole again. Anything else becomes a new version with the reason in the log. A shard whose texts
or vectors are gone is left out, and its documents are forgotten, so that the next run indexes them.

Invariants: nothing is guessed: without a source to rebuild from a file is lost, and the report says
so; production moves to a version that lost chunks only when that is accepted.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from index_store.artifacts import Artifact, read_artifact, sha256_hex, store_artifact
from index_store.catalog import Catalog
from index_store.catalog_codec import lines_table
from index_store.catalog_files import load_catalog, store_changes
from index_store.clock import system_clock_ms
from index_store.collections import check_format, ensure_format, load_manifest
from index_store.embeddings import PART_NAME, EmbeddingStore
from index_store.errors import CorruptArtifactError, NotFoundError
from index_store.layout import embeddings_prefix, format_key, relocations_key
from index_store.log import CommitLog
from index_store.log_records import CANDIDATE, PRODUCTION, LogState, resolve_version
from index_store.manifest import Counts, Manifest, ShardEntry
from index_store.publisher import promote, publish
from index_store.records import DocumentRecord
from index_store.relocations import (
    RelocationMap,
    decode_relocations,
    encode_relocations,
    relocations_of,
)
from index_store.repair_catalog import rebuild_catalog
from index_store.repair_search import repair_documents, repair_lexical
from index_store.repair_shards import (
    Findings,
    is_whole,
    put_back,
    repair_deletions,
    repair_embeddings,
    repair_index,
    repair_record,
)
from index_store.storage.base import Storage

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """What a repair came to.

    Attributes:
        collection: Name of the collection.
        version: The version that was repaired.
        repaired: The new version, or None when none was needed.
        promoted: Whether production points to the new version.
        restored: Keys of files that are again what they were.
        rebuilt: What was made anew under another key, one line each.
        lost: What is gone for good, one line each.
    """

    collection: str
    version: str
    repaired: str | None
    promoted: bool
    restored: tuple[str, ...]
    rebuilt: tuple[str, ...]
    lost: tuple[str, ...]

    @property
    def was_whole(self) -> bool:
        """Whether there was nothing to repair."""
        return not (self.restored or self.rebuilt or self.lost)


def repair(
    storage: Storage,
    collection: str,
    *,
    version: str | None = None,
    accept_loss: bool = False,
    run: str = "",
    clock_ms: Callable[[], int] = system_clock_ms,
) -> RepairReport:
    """Repair a version.

    Args:
        storage: The store.
        collection: Name of the collection.
        version: Beginning of its id; None for production, or for the candidate without one.
        accept_loss: Whether production moves although chunks are lost; runs build on production,
            so the next one indexes their documents only then.
        run: Who asks for it.
        clock_ms: Milliseconds since the epoch.

    Returns:
        What was done, and what is lost.

    Raises:
        NotFoundError: There is no such collection or version.
        CorruptArtifactError: The log or the manifest is damaged, or the files that are left
            contradict each other: go back to another version, or import an archive.
        ConflictError: Another version was published meanwhile; repair again.
        TransientError: The store could not be read or written; repair again.
    """
    log = CommitLog(storage, collection)
    state = log.read()
    if not state.seq:
        check_format(storage, collection)
    findings = Findings(restored=[], rebuilt=[], lost=[])
    _repair_format(storage, collection, findings)
    channel = PRODUCTION if PRODUCTION in state.channels else CANDIDATE
    published = resolve_version(state, version=version, channel=channel)
    manifest = load_manifest(storage, published)
    vectors = _open_vectors(storage, manifest, findings)
    repaired = _Repair(storage, manifest, state, vectors, findings).done()
    for entry in repaired.shards:
        repair_record(storage, collection, entry, findings)
    repair_embeddings(storage, repaired, vectors, findings)
    new: str | None = None
    promoted = False
    if repaired != manifest:
        repaired = replace(
            repaired, parent=published.version, run=run, created_at_ms=clock_ms(), cost={}
        )
        missing = manifest.counts.chunks_live - repaired.counts.chunks_live
        reason = f"repaired {published.version[:12]}, {missing} chunks lost"
        new = publish(storage, log, repaired, state, reason=reason).version
        if (accept_loss or not missing) and state.channels.get(PRODUCTION) == published.version:
            promote(log, new, run=run, reason=reason, expected=state)
            promoted = True
    _logger.info("repaired %s version %s as %s", collection, published.version, new)
    return RepairReport(
        collection=collection,
        version=published.version,
        repaired=new,
        promoted=promoted,
        restored=tuple(findings.restored),
        rebuilt=tuple(findings.rebuilt),
        lost=tuple(findings.lost),
    )


class _Repair:
    """Repairs the files of one manifest, part after part."""

    def __init__(
        self,
        storage: Storage,
        manifest: Manifest,
        state: LogState,
        vectors: EmbeddingStore,
        findings: Findings,
    ) -> None:
        self._storage = storage
        self._manifest = manifest
        self._avoid = state.forbidden_keys
        self._vectors = vectors
        self._findings = findings

    def done(self) -> Manifest:
        """Return a manifest of which every file is whole; the same one if that needs no other."""
        manifest, storage = self._manifest, self._storage
        whole_catalog = all(is_whole(storage, part.artifact) for part in manifest.catalog)
        catalog = load_catalog(storage, manifest) if whole_catalog else None
        shards = [
            kept for entry in manifest.shards if (kept := self._shard(entry, catalog)) is not None
        ]
        relocations = self._relocations(catalog)
        if catalog is None or len(shards) < len(manifest.shards):
            return self._with_new_catalog(shards, relocations, catalog)
        return replace(manifest, shards=tuple(shards), relocations=relocations)

    def _shard(self, entry: ShardEntry, catalog: Catalog | None) -> ShardEntry | None:
        """Return a shard of which every file is whole, or None when that cannot be had."""
        if not is_whole(self._storage, entry.chunks):
            self._lose(entry, "the texts", catalog)
            return None
        kept: ShardEntry | None = entry
        if entry.deletions is not None and not is_whole(self._storage, entry.deletions):
            kept = None
            if catalog is not None:
                kept = repair_deletions(
                    self._storage, self._manifest.collection, entry, catalog, self._findings
                )
            if kept is None:
                self._lose(entry, "which of its rows were deleted", catalog)
                return None
        kept = repair_index(self._storage, kept or entry, self._vectors, self._findings)
        if kept is None:
            self._lose(entry, "the index, and vectors to make it from", catalog)
            return None
        known = repair_documents(self._storage, kept, catalog, self._findings)
        if known is None:
            self._lose(entry, "who may read its documents", catalog)
            return None
        return repair_lexical(self._storage, known, self._findings)

    def _lose(self, entry: ShardEntry, what: str, catalog: Catalog | None) -> None:
        documents = "its documents"
        if catalog is not None:
            count = sum(1 for record in catalog.records() if record.shard == entry.id)
            documents = f"its {count} documents"
        self._findings.lost.append(
            f"shard {entry.id}: {what}; {entry.live} chunks of {documents} are left out "
            "until the next run indexes them again"
        )

    def _relocations(self, catalog: Catalog | None) -> Artifact | None:
        artifact = self._manifest.relocations
        if artifact is None or is_whole(self._storage, artifact):
            return artifact
        if catalog is None:
            raise CorruptArtifactError(
                f"{artifact.key} and the catalog are damaged, so nobody knows the names of moved "
                "documents; go back to another version or import an archive"
            )
        data = encode_relocations(relocations_of(catalog.moved()))
        key = relocations_key(self._manifest.collection, sha256_hex(data))
        return put_back(self._storage, artifact, data, key, self._findings)

    def _with_new_catalog(
        self, shards: list[ShardEntry], relocations: Artifact | None, catalog: Catalog | None
    ) -> Manifest:
        storage, manifest = self._storage, self._manifest
        kept = {entry.id for entry in shards}
        if catalog is None:
            records = self._rebuilt_records(shards, relocations)
        else:
            records = tuple(
                record
                for record in catalog.records()
                if record.shard is None or record.shard in kept
            )
        parts = store_changes(storage, manifest.collection, (), records, (), avoid=self._avoid)
        found = Catalog([lines_table(records, [])])
        return replace(
            manifest,
            shards=tuple(shards),
            catalog=parts,
            relocations=self._relocations_of(found),
            counts=_counts(found, shards),
        )

    def _rebuilt_records(
        self, shards: list[ShardEntry], relocations: Artifact | None
    ) -> tuple[DocumentRecord, ...]:
        storage = self._storage
        names = RelocationMap([])
        if relocations is not None:
            data = read_artifact(storage, relocations)
            names = RelocationMap(decode_relocations(data, relocations.key))
        rebuilt = rebuild_catalog(storage, self._manifest.catalog, shards, names)
        self._findings.rebuilt.append(
            f"catalog with {len(rebuilt.records)} documents, "
            f"{rebuilt.unknown} of them to be read again"
        )
        self._findings.lost.append(
            "rejections and documents without chunks that only the damaged catalog knew; "
            "the next run looks at them again"
        )
        return rebuilt.records

    def _relocations_of(self, catalog: Catalog) -> Artifact | None:
        moved = relocations_of(catalog.moved())
        if not moved:
            return None
        data = encode_relocations(moved)
        key = relocations_key(self._manifest.collection, sha256_hex(data))
        return store_artifact(self._storage, key, data, avoid=self._avoid)


def _counts(catalog: Catalog, shards: list[ShardEntry]) -> Counts:
    rejected = catalog.rejected()
    return Counts(
        documents=len(catalog) - rejected,
        rejected=rejected,
        chunks_live=sum(entry.live for entry in shards),
        chunks_dead=sum(entry.dead for entry in shards),
        tokens=catalog.total("tokens"),
    )


def _repair_format(storage: Storage, collection: str, findings: Findings) -> None:
    try:
        check_format(storage, collection)
    except (NotFoundError, CorruptArtifactError):
        storage.delete(format_key(collection))
        ensure_format(storage, collection)
        findings.restored.append(format_key(collection))


def _open_vectors(storage: Storage, manifest: Manifest, findings: Findings) -> EmbeddingStore:
    """Open the stored embeddings after removing parts that are not what their name says."""
    spec = manifest.embedder
    prefix = embeddings_prefix(spec.id)
    for entry in list(storage.list(prefix)):
        name = PART_NAME.fullmatch(entry.key.removeprefix(prefix))
        part = Artifact(key=entry.key, size_bytes=entry.size_bytes, sha256=name[1] if name else "")
        if name and not is_whole(storage, part):
            storage.delete(entry.key)
            findings.lost.append(
                f"{entry.key}: embeddings that no shard of this version holds are paid for again"
            )
    vectors = EmbeddingStore(storage, spec.id, spec.dimension)
    vectors.refresh()
    return vectors
