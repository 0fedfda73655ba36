"""Write what the next version consists of, and describe it in a manifest nobody refers to yet.

Invariants: every file is stored and read back before the manifest names it; a shard without live
rows is left out; deletion vectors of earlier versions are never changed, a new one takes their
place.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from pyroaring import BitMap

from index_store.artifacts import Artifact, read_artifact, sha256_hex, store_artifact
from index_store.catalog import Catalog
from index_store.catalog_files import store_changes
from index_store.catalog_look import find_documents
from index_store.deletions import decode_deletions, encode_deletions
from index_store.embedder import EmbedderSpec
from index_store.fields import FreeForm
from index_store.layout import deletions_key, relocations_key
from index_store.manifest import CatalogPart, Counts, Manifest, ShardEntry
from index_store.records import DocumentRecord
from index_store.relocations import decode_relocations, encode_relocations, relocations_of
from index_store.storage.base import Storage
from tasks.stages.assembling import Changes, RowRange

NO_COUNTS = Counts(documents=0, rejected=0, chunks_live=0, chunks_dead=0, tokens=0)


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
    replaced = _replaced(storage, base, changes)
    return replace(
        _manifest(facts, live, parts),
        counts=_counts(base, changes, replaced, live),
        relocations=_relocations(storage, facts.collection, base, changes, replaced, avoid),
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
        counts=NO_COUNTS,
        cost=facts.cost,
        settings=facts.settings,
    )


def _replaced(storage: Storage, base: Manifest | None, changes: Changes) -> list[DocumentRecord]:
    """Return the catalog lines of the version before that go or are written anew."""
    if base is None:
        return []
    uris = chain((record.uri for record in changes.records), changes.removed)
    return list(find_documents(storage, base.catalog, uris).values())


def _counts(
    base: Manifest | None,
    changes: Changes,
    replaced: Sequence[DocumentRecord],
    shards: Sequence[ShardEntry],
) -> Counts:
    before = NO_COUNTS if base is None else base.counts
    new, old = changes.records, replaced
    rejected = _rejected(new) - _rejected(old)
    return Counts(
        documents=before.documents + len(new) - len(old) - rejected,
        rejected=before.rejected + rejected,
        chunks_live=sum(entry.live for entry in shards),
        chunks_dead=sum(entry.dead for entry in shards),
        tokens=before.tokens + _tokens(new) - _tokens(old),
    )


def _rejected(records: Sequence[DocumentRecord]) -> int:
    return sum(record.rejection is not None for record in records)


def _tokens(records: Sequence[DocumentRecord]) -> int:
    return sum(record.tokens for record in records)


def _relocations(
    storage: Storage,
    collection: str,
    base: Manifest | None,
    changes: Changes,
    replaced: Sequence[DocumentRecord],
    avoid: Container[str],
) -> Artifact | None:
    """Write the list of moved documents: the one before without those replaced, and new ones."""
    before = None if base is None else base.relocations
    known = [] if before is None else decode_relocations(read_artifact(storage, before), before.key)
    ended = {(record.shard, record.row_start) for record in replaced}
    moved = [
        record for record in changes.records if record.chunks and record.uri != record.shard_uri
    ]
    relocations = [
        *(item for item in known if (item.shard, item.row_start) not in ended),
        *relocations_of(moved),
    ]
    if not relocations:
        return None
    data = encode_relocations(relocations)
    key = relocations_key(collection, sha256_hex(data))
    return store_artifact(storage, key, data, avoid=avoid)
