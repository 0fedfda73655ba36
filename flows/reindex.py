"""The whole pipeline on one screen.

    scan ─► plan ─► [ parse+chunk ─► embed ]×batches ─► build ─► assemble ─► validate ─► publish
         ─► promote ─► report

Invariants: composition only; batches are the unit, a batch embeds while the next one parses; counts
come from our own records, never from Prefect's.
"""

import os
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.entries import entry, flow_policy
from flows.progress import Progress
from flows.run_settings import new_run_id, run_options
from flows.secret_blocks import with_key
from flows.settings import NightSettings
from flows.spreading import spread_out
from index_store.clock import system_clock_ms
from index_store.errors import StoppedError
from tasks.assemble import assemble_version
from tasks.build import build_index
from tasks.embed import embed_at_night_rate, embed_chunks
from tasks.parse import parse_documents
from tasks.plan import plan_run
from tasks.publish import promote_version, publish_version
from tasks.recording import recorded
from tasks.references import (
    BatchReference,
    CandidateReference,
    EmbeddedReference,
    PlanReference,
    ShardReference,
    Timeline,
    Trail,
    ValidationReference,
    VersionReference,
)
from tasks.report import report_unchanged, report_version, show_plan
from tasks.resources import resources
from tasks.scan import scan_sources
from tasks.stages.embedding import EmbeddingCounts, total
from tasks.stages.reporting import RunReport
from tasks.stages.run_options import RunOptions
from tasks.stages.sharding import BatchSize, plan_shards
from tasks.validate import prepare_gates, validate_candidate

# Two batches parse, one embeds and one waits for its turn: more threads would only hold memory.
THREADS = 4
# Batches of a night so short that loading what checks its version would be waited for; in a longer
# one it loads when it is needed, so that it takes no memory beside the parsers.
SMALL_NIGHT = 4


@flow(
    task_runner=ThreadPoolTaskRunner(max_workers=THREADS),  # type: ignore[arg-type]
    **flow_policy("reindex"),
)
@entry
def reindex(settings: NightSettings) -> RunReport:
    """Index what changed, check it, publish it and promote it.

    Args:
        settings: What the run is told.

    Returns:
        What the run did.

    Raises:
        StoppedError: The tripwire, or a check that did not pass; production is as it was.
        ConflictError: Another run published first.
    """
    options = run_options(with_key(settings, os.environ), new_run_id())
    progress, timeline = Progress(options), Timeline(began_at_ms=system_clock_ms())
    with (
        recorded("reindex", options, timeline),
        resources(options),
        spread_out(settings, options.run),
    ):
        progress.stage("scan")
        listing = scan_sources(options)
        timeline.add("scan", listing.span)
        plan = plan_run(options, listing)
        timeline.add("plan", plan.span)
        progress.planned(plan)
        if plan.is_empty:
            if plan.waiting is not None:
                _promote_waiting(options, plan, plan.waiting, timeline)
            return report_unchanged(options, plan, timeline)
        show_plan(options, plan)
        if plan.batches <= SMALL_NIGHT:
            prepare_gates(options)
        batches, counts = _parse_and_embed(options, plan, progress, timeline)
        shards = _build(options, plan, batches, progress, timeline)
        progress.stage("assemble")
        candidate = assemble_version(options, plan, batches, shards, counts)
        timeline.add("assemble", candidate.span)
        progress.stage("validate")
        validation = validate_candidate(options, plan, candidate)
        timeline.add("validate", validation.span)
        progress.stage("publish")
        published = publish_version(options, plan, candidate, validation)
        timeline.add("publish", published.span)
        if validation.passed and options.promote:
            timeline.add("promote", promote_version(options, plan, published).span)
        trail = Trail(
            batches=tuple(batches),
            embedded=counts,
            candidate=candidate,
            validation=validation,
            published=published,
        )
        report = report_version(options, plan, trail, timeline)
    _stop_unless_passed(validation, published.version)
    return report


def _promote_waiting(
    options: RunOptions, plan: PlanReference, waiting: CandidateReference, timeline: Timeline
) -> None:
    """Finish what a run that was killed after publishing left undone."""
    validation = validate_candidate(options, plan, waiting)
    timeline.add("validate", validation.span)
    _stop_unless_passed(validation, waiting.sha256)
    published = VersionReference(version=waiting.sha256, span=waiting.span)
    timeline.add("promote", promote_version(options, plan, published).span)


def _stop_unless_passed(validation: ValidationReference, version: str) -> None:
    if not validation.passed:
        failed = [finding for finding in validation.findings if finding.blocks]
        told = "; ".join(f"{finding.check}: {finding.message}" for finding in failed)
        raise StoppedError(f"version {version[:12]} stays a candidate: {told}")


def _parse_and_embed(
    options: RunOptions, plan: PlanReference, progress: Progress, timeline: Timeline
) -> tuple[list[BatchReference], EmbeddingCounts]:
    """Run both stages over all batches; one embeds while the next ones parse."""
    waiting: list[PrefectFuture[Any]] = []  # of both kinds of reference, told apart below
    counts: list[EmbeddingCounts] = []
    for number in range(plan.batches):
        parsed: Any = parse_documents.submit(options, number)  # the task gets its result
        waiting.append(parsed)
        if options.embed.night is None:
            waiting.append(embed_chunks.submit(options, parsed))
    if options.embed.night is not None:
        all_parsed: list[Any] = list(waiting)
        counts.append(_at_night_rate(options, all_parsed, timeline))
        waiting += [embed_chunks.submit(options, parsed) for parsed in all_parsed]
    batches: dict[int, BatchReference] = {}
    embedded: list[EmbeddedReference] = []
    for future in as_completed(waiting):
        reference = future.result()
        if isinstance(reference, BatchReference):
            batches.setdefault(reference.number, reference)
            timeline.add("parse", reference.span)
            progress.parsed(list(batches.values()), plan)
        else:
            embedded.append(reference)
            batches[reference.number] = reference.batch
            timeline.add("embed", reference.span)
            progress.embedded(embedded, plan)
    counts += [reference.counts for reference in embedded]
    return [batches[number] for number in sorted(batches)], total(counts)


def _at_night_rate(options: RunOptions, parsing: list[Any], timeline: Timeline) -> EmbeddingCounts:
    """Embed what is new in all batches together, before the rest is embedded batch by batch."""
    night = embed_at_night_rate(options, [parsed.result() for parsed in parsing])
    timeline.add("night rate", night.span)
    return night.counts


def _build(
    options: RunOptions,
    plan: PlanReference,
    batches: list[BatchReference],
    progress: Progress,
    timeline: Timeline,
) -> list[ShardReference]:
    sizes = [BatchSize(key=batch.key, rows=batch.chunks) for batch in batches]
    planned = plan_shards(sizes, max_rows=options.build.max_shard_rows)
    submitted: list[PrefectFuture[Any]] = []
    if options.shared:  # on one machine a shard takes every core, on several each takes one
        submitted = [build_index.submit(options, plan, shard) for shard in planned]
    shards: list[ShardReference] = []
    for shard in planned:
        progress.stage(f"build shard {shard.number + 1}, {shard.rows} chunks")
        built = submitted[shard.number].result() if submitted else build_index(options, plan, shard)
        shards.append(built)
        timeline.add("build", built.span)
        progress.built(len(shards), len(planned))
    return shards
