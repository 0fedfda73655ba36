"""The stages of the flow in a plain loop: no engine, no server, no threads.

It calls the same task functions in the same order as `flows.reindex`, so what it proves of them
holds for the flow, and what the flow costs beyond it is the price of orchestration.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from index_store.clock import system_clock_ms
from index_store.storage.base import Storage
from index_store.storage.opening import open_storage
from tasks.assemble import assemble_version
from tasks.build import build_index
from tasks.embed import embed_chunks
from tasks.parse import parse_documents
from tasks.plan import plan_run
from tasks.publish import promote_version, publish_version
from tasks.references import (
    BatchReference,
    CandidateReference,
    EmbeddedReference,
    PlanReference,
    ShardReference,
    ValidationReference,
    VersionReference,
)
from tasks.resources import resources
from tasks.scan import scan_sources
from tasks.stages.checkpoints import read_batch
from tasks.stages.concluding import Work, conclude, store_report
from tasks.stages.embedding import EmbeddingCounts, total
from tasks.stages.reporting import RunReport
from tasks.stages.run_files import read_plan, remove_run, remove_stale_runs
from tasks.stages.run_options import RunOptions
from tasks.stages.sharding import BatchSize, plan_shards
from tasks.validate import validate_candidate
from tests.support.kept_parsers import kept_parsers


@dataclass(slots=True)
class Trace:
    """What a run had done when it ended or was cut off."""

    embedded: list[EmbeddingCounts] = field(default_factory=list)
    plan: PlanReference | None = None

    @property
    def texts(self) -> int:
        return sum(counts.texts for counts in self.embedded)


def run_plainly(
    options: RunOptions,
    storage: Storage | None = None,
    trace: Trace | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> RunReport:
    """Run every stage once.

    Args:
        options: What the run is told.
        storage: The store; None opens the one that `options` names.
        trace: Filled while the run goes on, for a caller that cuts it off.
        meanwhile: Called when everything is planned and nothing is parsed.
    """
    trace = Trace() if trace is None else trace
    storage = open_storage(options.store) if storage is None else storage
    with resources(options, storage=storage, start_parsers=kept_parsers):
        plan = trace.plan = plan_run.fn(options, scan_sources.fn(options))
        meanwhile()
        if plan.is_empty:
            if plan.waiting is not None:
                _promote_waiting(options, plan, plan.waiting)
            return _conclude_unchanged(options, storage, plan)
        batches, embedded = _parse_and_embed(options, plan, trace)
        counts = total([reference.counts for reference in embedded])
        shards = _build(options, plan, batches)
        candidate = assemble_version.fn(options, plan, batches, shards, counts)
        validation = validate_candidate.fn(options, plan, candidate)
        published = publish_version.fn(options, plan, candidate, validation)
        if validation.passed and options.promote:
            promote_version.fn(options, plan, published)
        work = _work(storage, batches, counts, candidate.new_chunks, validation)
        return _conclude(options, storage, plan, published, work)


def _parse_and_embed(
    options: RunOptions, plan: PlanReference, trace: Trace
) -> tuple[list[BatchReference], list[EmbeddedReference]]:
    batches, embedded = [], []
    for number in range(plan.batches):
        batches.append(parse_documents.fn(options, number))
        embedded.append(embed_chunks.fn(options, batches[-1]))
        trace.embedded.append(embedded[-1].counts)
        batches[-1] = embedded[-1].batch
    return batches, embedded


def _build(
    options: RunOptions, plan: PlanReference, batches: list[BatchReference]
) -> list[ShardReference]:
    sizes = [BatchSize(key=batch.key, rows=batch.chunks) for batch in batches]
    planned = plan_shards(sizes, max_rows=options.build.max_shard_rows)
    return [build_index.fn(options, plan, shard) for shard in planned]


def _promote_waiting(options: RunOptions, plan: PlanReference, waiting: CandidateReference) -> None:
    if validate_candidate.fn(options, plan, waiting).passed:
        promote_version.fn(
            options, plan, VersionReference(version=waiting.sha256, span=waiting.span)
        )


def _work(
    storage: Storage,
    batches: list[BatchReference],
    counts: EmbeddingCounts,
    new_chunks: int,
    validation: ValidationReference,
) -> Work:
    outcomes = [
        document for batch in batches for document in read_batch(storage, batch.key).documents
    ]
    return Work(
        outcomes=outcomes, embedded=counts, new_chunks=new_chunks, findings=validation.findings
    )


def _conclude_unchanged(options: RunOptions, storage: Storage, plan: PlanReference) -> RunReport:
    stored = read_plan(storage, plan.key)
    report = conclude(storage, options, stored, stored.base, Work())
    remove_run(storage, options.collection, options.run)
    return report


def _conclude(
    options: RunOptions,
    storage: Storage,
    plan: PlanReference,
    published: VersionReference,
    work: Work,
) -> RunReport:
    report = conclude(storage, options, read_plan(storage, plan.key), published.version, work)
    store_report(storage, report)
    remove_run(storage, options.collection, options.run)
    remove_stale_runs(storage, options.collection, now_ms=system_clock_ms())
    return report
