"""Task: write what the next version consists of."""

import logging
import time
from collections.abc import Sequence

from prefect import task

from index_store.artifacts import store_artifact
from index_store.embedders.prices import Price
from index_store.layout import run_key
from index_store.manifest_codec import to_bytes
from tasks.policies import policy
from tasks.references import BatchReference, CandidateReference, PlanReference, ShardReference
from tasks.resources import Stopwatch, workshop
from tasks.stages.assembling import Changes, decide_changes
from tasks.stages.assembly import VersionFacts, assemble
from tasks.stages.building import BuiltShard, read_built
from tasks.stages.checkpoints import read_batch
from tasks.stages.embedding import EmbeddingCounts
from tasks.stages.measuring import measure_search
from tasks.stages.planning import Base, read_base
from tasks.stages.run_files import StoredPlan, read_plan
from tasks.stages.run_options import RunOptions
from tasks.stages.spending import RunCost

logger = logging.getLogger("nightpress.assemble")


@task(**policy("assemble", run_name="assemble-{options.collection}"))
def assemble_version(
    options: RunOptions,
    plan: PlanReference,
    batches: Sequence[BatchReference],
    shards: Sequence[ShardReference],
    embedded: EmbeddingCounts,
) -> CandidateReference:
    """Write catalog and deletion vectors and keep the manifest as a candidate."""
    stopwatch = Stopwatch()
    shop = workshop(options)
    storage, site = shop.storage, shop.site()
    stored = read_plan(storage, plan.key)
    base = read_base(storage, options.collection, stored.base)
    built = [read_built(site, shard.key) for shard in shards]
    changes = _changes(options, stored, base, batches, built)
    facts = VersionFacts(
        collection=options.collection,
        parent=stored.base,
        run=options.run,
        created_at_ms=time.time_ns() // 1_000_000,
        embedder=site.embedder,
        chunker=stored.chunker,
        cost=_cost(embedded, shop.price),
    )
    entries = [shard.entry for shard in built]
    left_behind = base.manifest.shards if base.manifest and stored.plan.rebuild else ()
    manifest = assemble(
        storage,
        facts,
        base.manifest,
        changes,
        entries,
        dropped=frozenset(entry.id for entry in left_behind),
        avoid=base.state.forbidden_keys,
    )
    manifest = measure_search(
        storage,
        manifest,
        base.manifest,
        exact_rows=options.build.exact_rows,
        options=options.build.recall,
        threads=options.build.threads,
    )
    key = run_key(options.collection, options.run, "manifest.json")
    artifact = store_artifact(storage, key, to_bytes(manifest))
    live = manifest.counts.chunks_live
    logger.info("assembled %d shards, %d live chunks", len(manifest.shards), live)
    return CandidateReference(
        key=artifact.key,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        new_chunks=sum(entry.rows for entry in entries),
        lost=changes.lost,
        span=stopwatch.span(),
    )


def _changes(
    options: RunOptions,
    stored: StoredPlan,
    base: Base,
    batches: Sequence[BatchReference],
    built: Sequence[BuiltShard],
) -> Changes:
    """Read what became of every document and return what differs from the version before."""
    outcomes = [
        document for batch in batches for document in read_batch(base.storage, batch.key).documents
    ]
    items = stored.plan.items
    return decide_changes(
        stored.plan,
        base.documents(uri for item in items for uri in (item.uri, item.previous_uri) if uri),
        {document.uri: document for document in outcomes},
        [placement for shard in built for placement in shard.placements],
        keep_last_good=options.change.keep_last_good,
    )


def _cost(embedded: EmbeddingCounts, price: Price) -> dict[str, float | None]:
    """Return what a manifest says of the cost of its run."""
    spent = RunCost(price=price, sources=embedded.spends)
    return {
        "texts": embedded.texts,
        "tokens": embedded.tokens,
        "requests": embedded.requests,
        "billed_tokens": spent.total.tokens,
        "spent": spent.spent,
    }
