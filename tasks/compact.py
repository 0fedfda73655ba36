"""Tasks: plan a compaction, rewrite shards, check the version, publish it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from prefect import task
from prefect.artifacts import create_markdown_artifact

from index_store.catalog_files import load_catalog
from index_store.clock import system_clock_ms
from index_store.storage.opening import open_storage
from tasks.policies import policy
from tasks.stages.building import read_built, write_built
from tasks.stages.compaction import compact_shards
from tasks.stages.compaction_end import (
    CheckedCompaction,
    CompactionReport,
    check_compaction,
    compaction_markdown,
    planned_report,
    publish_compaction,
)
from tasks.stages.compaction_run import (
    CompactRunOptions,
    base_manifest,
    compaction_site,
    plan_work,
    read_compaction,
    write_compaction,
)
from tasks.stages.run_files import remove_run
from tasks.stages.run_records import record_of_compaction, write_record

logger = logging.getLogger("nightpress.compact")

MAX_PARTS = 1000  # new shards of one merge; there are never as many


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionReference:
    """A stored plan of a compaction.

    Attributes:
        key: Where it is.
        merges: Number of merges.
        report: What it comes to.
    """

    key: str
    merges: int
    report: CompactionReport


@task(**policy("plan-compaction", run_name="plan-compaction-{options.collection}"))
def plan_compaction_run(options: CompactRunOptions) -> CompactionReference:
    """Decide which shards are rewritten and store the plan."""
    storage = open_storage(options.store)
    work = plan_work(storage, options)
    logger.info("planned %d merges, %d rows", len(work.plan.merges), work.plan.rows)
    return CompactionReference(
        key=write_compaction(storage, options, work),
        merges=len(work.plan.merges),
        report=planned_report(storage, options, work),
    )


@task(**policy("compact", run_name="compact-merge-{number:04d}"))
def rewrite_shards(
    options: CompactRunOptions, reference: CompactionReference, number: int
) -> list[str]:
    """Make the new shards of one merge and return the keys of what is in them."""
    storage = open_storage(options.store)
    work = read_compaction(storage, reference.key)
    base = base_manifest(storage, options, work)
    site, catalog = compaction_site(storage, options, base), load_catalog(storage, base)
    built = compact_shards(site, base, catalog, work.plan.merges[number], avoid=work.avoid)
    logger.info("rewrote %s", work.plan.merges[number].reason)
    return [write_built(site, number * MAX_PARTS + part, shard) for part, shard in enumerate(built)]


@task(**policy("check-compaction", run_name="check-compaction-{options.collection}"))
def check_compacted(
    options: CompactRunOptions, reference: CompactionReference, keys: Sequence[str]
) -> CheckedCompaction:
    """Assemble the compacted version and try it."""
    storage = open_storage(options.store)
    work = read_compaction(storage, reference.key)
    base = base_manifest(storage, options, work)
    site = compaction_site(storage, options, base)
    checked = check_compaction(site, options, work, base, [read_built(site, key) for key in keys])
    logger.info("%d checks, passed: %s", len(checked.findings), checked.passed)
    return checked


@task(**policy("publish-compaction", run_name="publish-compaction-{options.collection}"))
def publish_compacted(
    options: CompactRunOptions, reference: CompactionReference, checked: CheckedCompaction
) -> CompactionReport:
    """Publish the version, and promote it when its checks passed."""
    storage = open_storage(options.store)
    return publish_compaction(storage, options, read_compaction(storage, reference.key), checked)


@task(**policy("report-compaction", run_name="report-compaction-{options.collection}"))
def report_compaction(
    options: CompactRunOptions, report: CompactionReport, began_at_ms: int
) -> None:
    """Show the report in the UI, keep how the run ended, and clear its checkpoints."""
    storage = open_storage(options.store)
    name = "".join(mark if mark.isalnum() else "-" for mark in options.collection)
    create_markdown_artifact(
        key=f"{name}-compaction",
        markdown=compaction_markdown(report),
        description="Which shards were rewritten, and why",
    )
    ended_at_ms = system_clock_ms()
    write_record(
        storage,
        record_of_compaction(report, options.run, began_at_ms=began_at_ms, ended_at_ms=ended_at_ms),
    )
    remove_run(storage, options.collection, options.run)
