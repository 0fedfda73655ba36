"""Compaction on one screen.

    plan ─► [ rewrite shards ]×merges ─► check ─► publish ─► report

Invariants: composition only; no text is ever embedded; production moves only when every check
passed, and only if nobody published meanwhile.
"""

from prefect import flow

from index_store.clock import system_clock_ms
from tasks.compact import (
    check_compacted,
    plan_compaction_run,
    publish_compacted,
    report_compaction,
    rewrite_shards,
)
from tasks.recording import recorded
from tasks.references import Timeline
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
    timeline = Timeline(began_at_ms=system_clock_ms())
    with recorded("compact", options, timeline):
        reference = plan_compaction_run(options)
        report = reference.report
        if reference.merges:
            keys = [
                key
                for number in range(reference.merges)
                for key in rewrite_shards(options, reference, number)
            ]
            checked = check_compacted(options, reference, keys)
            report = publish_compacted(options, reference, checked)
        report_compaction(options, report, timeline.began_at_ms)
    return report
