"""Write what the next version consists of, and describe it in a manifest nobody refers to yet.

Invariants: every file is stored and read back before the manifest names it; a shard without live
rows is left out; deletion vectors of earlier versions are never changed, a new one takes their
place.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace

from pyroaring import BitMap

from index_store.artifacts import Artifact, read_artifact, sha256_hex, store_artifact
from index_store.catalog import Catalog
from index_store.catalog_files import load_catalog, store_changes
from index_store.deletions import decode_deletions, encode_deletions
from index_store.embedder import EmbedderSpec
from index_store.fields import FreeForm
from index_store.layout import deletions_key, relocations_key
from index_store.manifest import CatalogPart, Counts, Manifest, ShardEntry
from index_store.relocations import encode_relocations, relocations_of
from index_store.storage.base import Storage
from tasks.stages.assembling import Changes, RowRange


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """What a manifest says about its making.

    Attributes:
        collection: Name of the collection.
        parent: Version it builds on, or None.
        run: Id of the run.
        created_at_ms: When, milliseconds since the epoch.
        embedder: Identity of the embedder.
        chunker: Identity of the chunker.
        cost: What the run consumed, by name.
        settings: Settings that people may want to look up.
    """

    collection: str
    parent: str | None
    run: str
    created_at_ms: int
    embedder: EmbedderSpec
    chunker: str
    cost: FreeForm = field(default_factory=dict)
    settings: FreeForm = field(default_factory=dict)


def assemble(
    storage: Storage,
    facts: VersionFacts,
    base: Manifest | None,
    changes: Changes,
    built: Sequence[ShardEntry],
    *,
    dropped: frozenset[str] = frozenset(),
    avoid: Container[str] = frozenset(),
) -> Manifest:
    """Write catalog, deletion vectors and relocations, and return the manifest.

    Args:
        storage: The store.
        facts: What the manifest says about its making.
        base: Manifest of the version before, or None.
        changes: What differs from it.
        built: New shards.
        dropped: Ids of shards of the version before that are left behind.
        avoid: Keys that were retired and must not be used again.

    Returns:
        The manifest, not stored yet.

    Raises:
        CorruptArtifactError: A file of the version before is damaged.
        TransientError: The store is out of reach.
    """
    left_behind = dropped | {entry.id for entry in built}
    shards = [
        _with_deletions(storage, entry, changes.dead.get(entry.id, ()), facts.collection, avoid)
        for entry in (() if base is None else base.shards)
        if entry.id not in left_behind
    ]
    live = tuple(entry for entry in [*shards, *built] if entry.live)
    parts = store_changes(
        storage,
        facts.collection,
        () if base is None else base.catalog,
        changes.records,
        changes.removed,
        avoid=avoid,
    )
    manifest = _manifest(facts, live, parts)
    catalog = load_catalog(storage, manifest)
    return replace(
        manifest,
        counts=_counts(catalog, live),
        relocations=_relocations(storage, facts.collection, catalog, avoid),
    )


def catalogued_rows(catalog: Catalog) -> int:
    """Return the number of rows that a catalog's documents lay claim to."""
    return catalog.total("row_end") - catalog.total("row_start")


def _with_deletions(
    storage: Storage,
    entry: ShardEntry,
    ranges: Sequence[RowRange],
    collection: str,
    avoid: Container[str],
) -> ShardEntry:
    if not ranges:
        return entry
    dead = BitMap()
    if entry.deletions is not None:
        data = read_artifact(storage, entry.deletions)
        dead |= decode_deletions(data, entry.rows, entry.deletions.key)
    for start, end in ranges:
        dead.add_range(start, end)
    data = encode_deletions(dead)
    key = deletions_key(collection, sha256_hex(data))
    stored = store_artifact(storage, key, data, avoid=avoid)
    return replace(entry, dead=len(dead), deletions=stored)


def _manifest(
    facts: VersionFacts, shards: tuple[ShardEntry, ...], parts: tuple[CatalogPart, ...]
) -> Manifest:
    return Manifest(
        collection=facts.collection,
        parent=facts.parent,
        run=facts.run,
        created_at_ms=facts.created_at_ms,
        embedder=facts.embedder,
        chunker=facts.chunker,
        shards=shards,
        catalog=parts,
        counts=Counts(documents=0, rejected=0, chunks_live=0, chunks_dead=0, tokens=0),
        cost=facts.cost,
        settings=facts.settings,
    )


def _counts(catalog: Catalog, shards: Sequence[ShardEntry]) -> Counts:
    rejected = catalog.rejected()
    return Counts(
        documents=len(catalog) - rejected,
        rejected=rejected,
        chunks_live=sum(entry.live for entry in shards),
        chunks_dead=sum(entry.dead for entry in shards),
        tokens=catalog.total("tokens"),
    )


def _relocations(
    storage: Storage, collection: str, catalog: Catalog, avoid: Container[str]
) -> Artifact | None:
    relocations = relocations_of(catalog.moved())
    if not relocations:
        return None
    data = encode_relocations(relocations)
    key = relocations_key(collection, sha256_hex(data))
    return store_artifact(storage, key, data, avoid=avoid)
