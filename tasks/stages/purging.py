"""Remove the bytes of erased documents from every object of the store that holds them.

Order: a version whose own files hold nothing is published and promoted; stored embeddings are
rewritten; checkpoints of runs and reports go; then the log retires every other version that refers
to an object with their text, and those objects are deleted. What to look for is read from the
shards, and under which names from the catalog, so these go last in this order, and a purge that was
broken off is repeated by the same command.

Invariants: an object is deleted only after the record that purges its key; nothing is done while a
channel or a pin holds a version with the text.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from html import escape

import orjson

from index_store.catalog_files import load_catalog
from index_store.certificate import name_needles
from index_store.collections import load_manifest
from index_store.embedding_parts import forget_texts
from index_store.embeddings import EmbeddingStore
from index_store.errors import ConflictError, UsageError
from index_store.layout import history_prefix, is_manifest, report_keys, shard_of
from index_store.log import CommitLog
from index_store.log_records import CANDIDATE, PRODUCTION, KeyChange, LogState, RecordKind
from index_store.manifest import Manifest, ShardEntry
from index_store.shard_options import ShardOptions
from index_store.storage.base import Storage
from index_store.traces import Traces, find_traces, names_of
from tasks.stages.assembling import Changes
from tasks.stages.assembly import NO_COUNTS, assemble
from tasks.stages.building import BuiltShard
from tasks.stages.compacting import Cause, Merge
from tasks.stages.compaction import changes_of, compact_shards
from tasks.stages.erasing import ATTEMPTS, check_rows, facts_of, publish_on, served_version
from tasks.stages.shard_making import Site

CHECKPOINT_ROWS = 50_000
MAX_KEYS = 2000  # in one record of the log


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What a purge removed.

    Attributes:
        version: The version that stands after it.
        traces: What was looked for.
        versions: Versions that cannot be opened any more.
        keys: Objects that were deleted, embeddings excepted.
        vectors: Stored embeddings that were removed.
        parts: Parts of the embeddings that were rewritten or removed for it.
    """

    version: str
    traces: Traces
    versions: tuple[str, ...] = ()
    keys: tuple[str, ...] = field(default=())
    vectors: int = 0
    parts: int = 0


def purge(
    storage: Storage, collection: str, uris: tuple[str, ...], *, run: str, created_at_ms: int
) -> Purged:
    """Remove every trace of documents that are erased already.

    Args:
        storage: The store.
        collection: Name of the collection.
        uris: The documents.
        run: Id of the run.
        created_at_ms: Now, milliseconds since the epoch.

    Returns:
        What was removed.

    Raises:
        UsageError: A channel or a pin holds a version with their text.
        ConflictError: Runs kept publishing first; purge again.
        CorruptArtifactError: An object is damaged, so nobody knows what it holds.
        TransientError: The store could not be read or written; purge again.
    """
    log = CommitLog(storage, collection)
    for _ in range(ATTEMPTS):
        try:
            return _purge_once(storage, log, uris, (run, created_at_ms))
        except ConflictError:
            continue
    raise ConflictError(f"collection {collection}: runs kept publishing first; purge again")


def _purge_once(
    storage: Storage, log: CommitLog, uris: tuple[str, ...], made: tuple[str, int]
) -> Purged:
    state = log.read()
    version, manifest = served_version(storage, state)
    living_names = names_of(load_catalog(storage, manifest))
    traces = find_traces(storage, log.collection, manifest, uris, living_names)
    _check_free(storage, state, traces, served=version)
    if _own_keys(manifest) & traces.keys:
        clean = _rewritten(storage, manifest, version, state, traces, made)
        publish_on(storage, log, clean, state, "purged")
        state = log.read()
        version, manifest = served_version(storage, state)
    vectors, parts = forget_texts(storage, traces.hashes - traces.elsewhere)
    keys = _remove_loose(storage, log.collection, traces, except_run=made[0])
    versions, deleted = _remove_objects(storage, log, state, traces, made[0])
    return Purged(
        version=version,
        traces=traces,
        versions=versions,
        keys=(*keys, *deleted),
        vectors=vectors,
        parts=parts,
    )


def _own_keys(manifest: Manifest) -> set[str]:
    return {artifact.key for artifact in manifest.artifacts}


def _holding(storage: Storage, state: LogState, traces: Traces) -> list[str]:
    """Return the versions that refer to an object with the text or a name."""
    return [
        version
        for version, published in state.versions.items()
        if _own_keys(load_manifest(storage, published)) & traces.keys
    ]


def _check_free(storage: Storage, state: LogState, traces: Traces, *, served: str) -> None:
    """Refuse to begin what cannot be finished; the served version is replaced, so it is free."""
    holding = set(_holding(storage, state, traces))
    moving = {CANDIDATE, PRODUCTION} if served in holding else set()
    used = [
        f"channel {name}"
        for name, version in state.channels.items()
        if version in holding and name not in moving
    ]
    used += [f"pin {name}" for name, version in state.pins.items() if version in holding]
    if used:
        raise UsageError(
            f"versions with the text are held by {', '.join(sorted(used))}; unpin or move them, "
            "then purge again"
        )


def _rewritten(
    storage: Storage,
    manifest: Manifest,
    version: str,
    state: LogState,
    traces: Traces,
    made: tuple[str, int],
) -> Manifest:
    """Return a version with the same live chunks whose every file is free of the documents."""
    catalog = load_catalog(storage, manifest)
    merges, built = [], []
    for entry in manifest.shards:
        if entry.id in traces.shards:
            merge = Merge(shards=(entry.id,), rows=entry.live, parts=1, causes=(Cause.DEAD,))
            site = _site(storage, manifest, entry, made[0])
            merges.append(merge)
            built += _made(site, manifest, merge, state)
    changed = {record.uri: record for record in changes_of(catalog, merges, built).records}
    records = tuple(changed.get(record.uri, record) for record in catalog.records())
    clean = assemble(
        storage,
        facts_of(manifest, version, made),
        # So that every line is written anew, without tombstones, and counted anew.
        replace(manifest, catalog=(), counts=NO_COUNTS),
        Changes(records=records, removed=()),
        [shard.entry for shard in built],
        dropped=frozenset(shard for merge in merges for shard in merge.shards),
        avoid=state.forbidden_keys,
    )
    check_rows(storage, clean)
    return clean


def _made(site: Site, manifest: Manifest, merge: Merge, state: LogState) -> list[BuiltShard]:
    catalog = load_catalog(site.storage, manifest)
    avoid = state.forbidden_shards | {entry.id for entry in manifest.shards}
    return compact_shards(site, manifest, catalog, merge, avoid=avoid)


def _site(storage: Storage, manifest: Manifest, entry: ShardEntry, run: str) -> Site:
    spec = manifest.embedder
    vectors = EmbeddingStore(storage, spec.id, spec.dimension)
    vectors.refresh()
    return Site(
        storage=storage,
        collection=manifest.collection,
        run=run,
        embedder=spec,
        vectors=vectors,
        options=ShardOptions(hnsw=entry.hnsw, storage=entry.storage),
        checkpoint_rows=CHECKPOINT_ROWS,
    )


def _remove_loose(
    storage: Storage, collection: str, traces: Traces, *, except_run: str
) -> tuple[str, ...]:
    """Delete checkpoints, records and reports that hold a text or a name; nothing rests on them.

    A report may name a document anywhere in a sentence, so a name that is part of another one is
    taken for it.
    """
    needles = [*traces.samples, *traces.hashes]
    needles += [needle for name in traces.names for needle in name_needles(name)]
    runs: set[str] = set()
    prefix = f"{collection}/runs/"
    entries = [entry for entry in storage.list(prefix) if f"/runs/{except_run}/" not in entry.key]
    for entry in entries:
        run = entry.key.removeprefix(prefix).split("/", 1)[0]
        if run not in runs and _holds(storage.read(entry.key), needles):
            runs.add(run)
    keys = [e.key for e in entries if e.key.removeprefix(prefix).split("/", 1)[0] in runs]
    needles += [needle for name in traces.names for needle in _anywhere(name)]
    told = [*storage.list(f"{collection}/versions/"), *storage.list(history_prefix(collection))]
    keys += [
        entry.key
        for entry in told
        if not is_manifest(entry.key) and _holds(storage.read(entry.key), needles)
    ]
    for key in keys:
        storage.delete(key)
    return tuple(keys)


def _anywhere(name: str) -> tuple[bytes, bytes]:
    return orjson.dumps(name)[1:-1], escape(name).encode("utf-8", "replace")


def _holds(data: bytes, needles: Iterable[bytes]) -> bool:
    return any(needle in data for needle in needles)


def _remove_objects(
    storage: Storage, log: CommitLog, state: LogState, traces: Traces, run: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Retire what holds the text, say so in the log, then delete it."""
    versions = tuple(_holding(storage, state, traces))
    wanted = {
        entry.key
        for entry in storage.list(f"{log.collection}/")
        if entry.key in traces.keys or shard_of(entry.key) in traces.shards
    }
    wanted |= {state.versions[version].manifest.key for version in versions}
    wanted |= {key for version in versions for key in report_keys(log.collection, version)}
    fresh = sorted(wanted - state.forbidden_keys)
    for number, keys in enumerate(_portions(fresh) or ([()] if versions else [])):
        state = log.append(
            state,
            KeyChange(
                kind=RecordKind.RETIRE,
                keys=keys,
                versions=() if number else versions,
                run=run,
                reason="purge",
            ),
        )
    for keys in _portions(sorted(wanted & state.retired.keys())):
        change = KeyChange(kind=RecordKind.PURGE, keys=keys, run=run, reason="purge")
        state = log.append(state, change)
    # What tells that a shard holds the text goes after everything else that is in it.
    last = traces.ledgers
    for key in sorted(wanted, key=lambda key: (key in last, key in traces.keys, key)):
        storage.delete(key)
    return versions, tuple(sorted(wanted))


def _portions(keys: list[str]) -> list[tuple[str, ...]]:
    return [tuple(keys[start : start + MAX_KEYS]) for start in range(0, len(keys), MAX_KEYS)]
