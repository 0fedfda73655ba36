"""What one compaction is told, and what it plans.

Invariants: it builds on production as it stood when it was planned, and loses against whoever
publishes first; plain JSON travels through the store, keys and counts through Prefect.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from index_store.collections import check_format, load_manifest
from index_store.embeddings import EmbeddingStore
from index_store.layout import run_key
from index_store.log import CommitLog
from index_store.log_records import CANDIDATE, PRODUCTION, resolve_version
from index_store.manifest import HnswSettings, Manifest
from index_store.shard_options import ShardOptions
from index_store.storage.base import Storage
from tasks.stages.compacting import (
    Cause,
    CompactionPlan,
    CompactOptions,
    Merge,
    plan_compaction,
    plan_rebuild,
)
from tasks.stages.run_options import BuildOptions
from tasks.stages.shard_making import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactRunOptions:
    """Everything one compaction is told.

    Attributes:
        run: Id of the run.
        store: URL of the store.
        collection: Name of the collection.
        bounds: When shards are rewritten.
        build: How new ones are built and searched.
        rebuild_graph: Whether every shard with other settings is rewritten, and nothing else.
        promote: Whether production moves to the new version when its checks pass.
    """

    run: str
    store: str
    collection: str
    bounds: CompactOptions = field(default_factory=CompactOptions)
    build: BuildOptions = field(default_factory=BuildOptions)
    rebuild_graph: bool = False
    promote: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionWork:
    """A planned compaction.

    Attributes:
        version: The version that is compacted.
        channels: Where the channels pointed when it was planned.
        plan: What is rewritten.
        avoid: Ids that a new shard must not take.
    """

    version: str
    channels: Mapping[str, str]
    plan: CompactionPlan
    avoid: frozenset[str]


def plan_work(storage: Storage, options: CompactRunOptions) -> CompactionWork:
    """Read production and decide what is due.

    Raises:
        NotFoundError: There is no such collection, or nothing is published in it.
        CorruptArtifactError: Log or manifest is damaged.
        TransientError: The store is out of reach.
    """
    check_format(storage, options.collection)
    state = CommitLog(storage, options.collection).read()
    channel = PRODUCTION if PRODUCTION in state.channels else CANDIDATE
    published = resolve_version(state, channel=channel)
    shards = load_manifest(storage, published).shards
    if options.rebuild_graph:
        plan = plan_rebuild(
            shards, shard_options(options.build).hnsw, options.build.storage, options.bounds
        )
    else:
        plan = plan_compaction(shards, options.bounds)
    return CompactionWork(
        version=published.version,
        channels=state.channels,
        plan=plan,
        # Rows of an old shard may go by another name, so a new one is never taken for it.
        avoid=state.forbidden_shards | {entry.id for entry in shards},
    )


def base_manifest(storage: Storage, options: CompactRunOptions, work: CompactionWork) -> Manifest:
    """Read the manifest of the version that is compacted."""
    state = CommitLog(storage, options.collection).read()
    return load_manifest(storage, resolve_version(state, version=work.version))


def compaction_site(storage: Storage, options: CompactRunOptions, base: Manifest) -> Site:
    """Return what making its shards needs; no embedder is opened."""
    vectors = EmbeddingStore(storage, base.embedder.id, base.embedder.dimension)
    vectors.refresh()
    return Site(
        storage=storage,
        collection=options.collection,
        run=options.run,
        embedder=base.embedder,
        vectors=vectors,
        options=shard_options(options.build),
        checkpoint_rows=options.build.checkpoint_rows,
    )


def shard_options(build: BuildOptions) -> ShardOptions:
    """Return how shards are built."""
    return ShardOptions(
        hnsw=HnswSettings(
            m=build.m, ef_construction=build.ef_construction, ef_search=build.ef_search
        ),
        add_batch_rows=build.add_batch_rows,
        threads=build.threads,
        storage=build.storage,
    )


def write_compaction(storage: Storage, options: CompactRunOptions, work: CompactionWork) -> str:
    """Store a plan for later stages and return its key."""
    key = run_key(options.collection, options.run, "compaction.json")
    body = {
        "version": work.version,
        "channels": dict(work.channels),
        "avoid": sorted(work.avoid),
        "kept": list(work.plan.kept),
        "merges": [
            [list(merge.shards), merge.rows, merge.parts, [cause.value for cause in merge.causes]]
            for merge in work.plan.merges
        ],
    }
    storage.put(key, orjson.dumps(body))
    return key


def read_compaction(storage: Storage, key: str) -> CompactionWork:
    """Read back what `write_compaction` stored."""
    body = orjson.loads(storage.read(key))
    merges = tuple(
        Merge(
            shards=tuple(shards),
            rows=rows,
            parts=parts,
            causes=tuple(Cause(each) for each in causes),
        )
        for shards, rows, parts, causes in body["merges"]
    )
    return CompactionWork(
        version=body["version"],
        channels=body["channels"],
        plan=CompactionPlan(merges=merges, kept=tuple(body["kept"])),
        avoid=frozenset(body["avoid"]),
    )
