"""Compaction on one screen.

    plan ─► [ rewrite shards ]×merges ─► check ─► publish ─► report

Invariants: composition only; no text is ever embedded; production moves only when every check
passed, and only if nobody published meanwhile.
"""

from prefect import flow

from flows.compact_settings import compact_options
from flows.entries import entry, flow_policy
from flows.run_settings import new_run_id
from flows.settings import NightSettings
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
from tasks.stages.compaction_end import CompactionReport, stop_unless_passed


@flow(**flow_policy("compact"))
@entry
def compact(settings: NightSettings, *, rebuild_graph: bool = False) -> CompactionReport:
    """Rewrite the shards that are due, check the version, publish it and promote it.

    Args:
        settings: Store, collection, and how shards are built and tried.
        rebuild_graph: Whether to rewrite every shard that was built with other settings, and
            nothing else.

    Returns:
        What it did; the version that stood before when nothing was due.

    Raises:
        StoppedError: A check of the new version did not pass; production is as it was.
        ConflictError: Another version was published first.
    """
    options = compact_options(settings, new_run_id(), rebuild_graph=rebuild_graph)
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
    stop_unless_passed(report)
    return report
