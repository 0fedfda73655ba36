"""Compaction on one screen.

    plan ─► [ rewrite shards ]×merges ─► check ─► publish ─► report

Invariants: composition only; no text is ever embedded; production moves only when every check
passed, and only if nobody published meanwhile.
"""

from prefect import flow

from tasks.compact import (
    check_compacted,
    plan_compaction_run,
    publish_compacted,
    report_compaction,
    rewrite_shards,
)
from tasks.stages.compaction_end import CompactionReport
from tasks.stages.compaction_run import CompactRunOptions


@flow(
    name="compact",
    flow_run_name="compact-{options.collection}",
    persist_result=False,
    validate_parameters=False,
)
def compact(options: CompactRunOptions) -> CompactionReport:
    """Rewrite the shards that are due, check the version, publish it and promote it.

    Args:
        options: What the compaction is told.

    Returns:
        What it did; the version that stood before when nothing was due.

    Raises:
        ConflictError: Another version was published first.
    """
    reference = plan_compaction_run(options)
    report = reference.report
    if reference.merges:
        keys = [
            key
            for number in range(reference.merges)
            for key in rewrite_shards(options, reference, number)
        ]
        report = publish_compacted(options, reference, check_compacted(options, reference, keys))
    report_compaction(options, report)
    return report
