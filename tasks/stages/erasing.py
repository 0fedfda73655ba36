"""Take documents out of what is served, at once: a version without them is published and promoted.

Their rows become dead and their lines leave the catalog; the bytes stay in older versions until
expiry or a purge. Whether the source still holds a document is told, because the next run would
index it again.

Invariants: nobody is served half of it; names of documents are written neither into the log nor
into a manifest.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from index_store.catalog import Catalog
from index_store.catalog_files import load_catalog
from index_store.collections import check_format, load_manifest
from index_store.errors import ConflictError, CorruptArtifactError, NotFoundError
from index_store.layout import run_key
from index_store.log import CommitLog
from index_store.log_records import CANDIDATE, PRODUCTION, LogState, resolve_version
from index_store.manifest import Manifest
from index_store.publisher import promote, publish
from index_store.records import DocumentRecord
from index_store.storage.base import Storage
from tasks.stages.assembling import Changes, RowRange
from tasks.stages.assembly import VersionFacts, assemble, catalogued_rows
from tasks.stages.fetching import open_bucket
from tasks.stages.listing import Source

ATTEMPTS = 5  # when runs keep publishing first


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseOptions:
    """What an erasure is told.

    Attributes:
        run: Id of the run.
        store: Address of the store.
        collection: Name of the collection.
        request: Key of the list of documents, so that no orchestrator keeps their names.
        purge: Whether the bytes go too.
    """

    run: str
    store: str
    collection: str
    request: str
    purge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What erasing came to.

    Attributes:
        version: The version without the documents.
        parent: The version that held them, or `version` when none of them was served.
        promoted: Whether production points to the version.
        documents: How many documents were taken out.
        chunks: How many chunks.
    """

    version: str
    parent: str
    promoted: bool
    documents: int
    chunks: int


def write_request(storage: Storage, collection: str, run: str, uris: Sequence[str]) -> str:
    """Store which documents are to be erased and return the key; it goes with the run."""
    key = run_key(collection, run, "erase.json")
    storage.put(key, orjson.dumps(sorted(set(uris))))
    return key


def read_request(storage: Storage, key: str) -> tuple[str, ...]:
    """Return which documents are to be erased, sorted."""
    return tuple(orjson.loads(storage.read(key)))


def check_known(storage: Storage, collection: str, uris: Sequence[str]) -> None:
    """Check that every document is in the version that is served.

    Raises:
        NotFoundError: A document is not, or there is no such collection; all are named.
        CorruptArtifactError: Log, manifest or catalog is damaged.
        TransientError: The store could not be read.
    """
    check_format(storage, collection)
    _, manifest = served_version(storage, CommitLog(storage, collection).read())
    catalog = load_catalog(storage, manifest)
    unknown = [uri for uri in uris if catalog.get(uri) is None]
    if unknown:
        raise NotFoundError(
            f"collection {collection!r} has no document {', '.join(map(repr, unknown))}"
        )


def served_version(storage: Storage, state: LogState) -> tuple[str, Manifest]:
    """Return the version that production points to, or the candidate when nothing is promoted.

    Raises:
        NotFoundError: Nothing is published.
    """
    channel = PRODUCTION if PRODUCTION in state.channels else CANDIDATE
    published = resolve_version(state, channel=channel)
    return published.version, load_manifest(storage, published)


def erase(
    storage: Storage, collection: str, uris: Sequence[str], *, run: str, created_at_ms: int
) -> Erased:
    """Publish and promote a version without documents; those that it has not are passed over.

    Args:
        storage: The store.
        collection: Name of the collection.
        uris: The documents.
        run: Id of the run.
        created_at_ms: Now, milliseconds since the epoch.

    Raises:
        ConflictError: Runs kept publishing first.
        CorruptArtifactError: Log, manifest, catalog or a deletion vector is damaged.
        TransientError: The store could not be read or written; erase again.
    """
    log = CommitLog(storage, collection)
    for _ in range(ATTEMPTS):
        state = log.read()
        try:
            return _erase_once(storage, log, state, uris, (run, created_at_ms))
        except ConflictError:
            continue
    raise ConflictError(f"collection {collection}: runs kept publishing first; erase again")


def still_in_source(sources: Sequence[Source], uris: Sequence[str]) -> dict[str, str]:
    """Return the documents that a source still holds, each with the glob that leaves it out."""
    found = {}
    for uri in uris:
        for source in sources:
            label = f"{source.label}/" if source.label else ""
            relative = uri.removeprefix(label)
            if uri.startswith(label) and _holds(source, relative):
                found[uri] = relative
    return found


def _holds(source: Source, relative: str) -> bool:
    if not source.url:
        return os.path.lexists(source.root / relative)
    bucket, root = open_bucket(source.url)
    return bucket.has(f"{root}/{relative}" if root else relative)


def holders(storage: Storage, collection: str, uris: Sequence[str]) -> tuple[str, ...]:
    """Return the channels and pins whose version still knows one of the documents.

    Raises:
        CorruptArtifactError: A manifest or a catalog is damaged.
        TransientError: The store could not be read.
    """
    state = CommitLog(storage, collection).read()
    named = [(f"channel {name}", version) for name, version in sorted(state.channels.items())]
    named += [(f"pin {name}", version) for name, version in sorted(state.pins.items())]
    holding = {}
    for _, version in named:
        if version not in holding:
            catalog = load_catalog(storage, load_manifest(storage, state.versions[version]))
            holding[version] = any(catalog.get(uri) is not None for uri in uris)
    return tuple(name for name, version in named if holding[version])


def publish_on(
    storage: Storage, log: CommitLog, manifest: Manifest, state: LogState, reason: str
) -> bool:
    """Publish a version, and move production when it points anywhere; return whether it moved.

    Raises:
        ConflictError: Another version was published or promoted first; plan again.
    """
    version = publish(storage, log, manifest, state, reason=reason).version
    if PRODUCTION not in state.channels:
        return False
    promote(log, version, run=manifest.run, reason=reason, expected=state)
    return True


def facts_of(base: Manifest, parent: str, made: tuple[str, int]) -> VersionFacts:
    """Return what the manifest of a version made from another one alone says."""
    run, created_at_ms = made
    return VersionFacts(
        collection=base.collection,
        parent=parent,
        run=run,
        created_at_ms=created_at_ms,
        embedder=base.embedder,
        chunker=base.chunker,
        settings=base.settings,
    )


def _erase_once(
    storage: Storage,
    log: CommitLog,
    state: LogState,
    uris: Sequence[str],
    made: tuple[str, int],
) -> Erased:
    parent, base = served_version(storage, state)
    catalog = load_catalog(storage, base)
    records = [record for uri in uris if (record := catalog.get(uri)) is not None]
    if not records:
        promoted = state.channels.get(PRODUCTION) == parent
        return Erased(version=parent, parent=parent, promoted=promoted, documents=0, chunks=0)
    manifest = _without(storage, base, state, records, facts_of(base, parent, made))
    promoted = publish_on(storage, log, manifest, state, f"erased {len(records)} documents")
    version = log.read().channels[CANDIDATE]
    return Erased(
        version=version,
        parent=parent,
        promoted=promoted,
        documents=len(records),
        chunks=sum(record.chunks for record in records),
    )


def _without(
    storage: Storage,
    base: Manifest,
    state: LogState,
    records: Sequence[DocumentRecord],
    facts: VersionFacts,
) -> Manifest:
    dead: dict[str, tuple[RowRange, ...]] = {}
    for record in records:
        if record.shard is not None and record.chunks:
            rows = (record.row_start, record.row_end)
            dead[record.shard] = (*dead.get(record.shard, ()), rows)
    changes = Changes(
        records=(), removed=tuple(sorted(record.uri for record in records)), dead=dead
    )
    manifest = assemble(storage, facts, base, changes, (), avoid=state.forbidden_keys)
    check_rows(storage, manifest)
    return replace(manifest, quality=base.quality)


def check_rows(storage: Storage, manifest: Manifest) -> Catalog:
    """Check that documents lay claim to exactly the rows that can be found.

    Raises:
        CorruptArtifactError: They do not.
    """
    catalog = load_catalog(storage, manifest)
    claimed, live = catalogued_rows(catalog), manifest.counts.chunks_live
    if claimed != live:
        raise CorruptArtifactError(
            f"catalog of {manifest.collection}: documents lay claim to {claimed} rows, "
            f"{live} are live; repair the collection first"
        )
    return catalog
