"""The stages of the compaction flow in a plain loop, as `plain_run` has it for the nightly run."""

from collections.abc import Callable

from index_store.storage.opening import open_storage
from tasks.compact import (
    check_compacted,
    plan_compaction_run,
    publish_compacted,
    rewrite_shards,
)
from tasks.stages.compaction_end import CompactionReport
from tasks.stages.compaction_run import CompactRunOptions
from tasks.stages.run_files import remove_run


def compact_plainly(
    options: CompactRunOptions, before_publish: Callable[[], object] = lambda: None
) -> CompactionReport:
    """Compact once.

    Args:
        options: What the compaction is told.
        before_publish: Called when all that is left is to publish.
    """
    reference = plan_compaction_run.fn(options)
    if not reference.merges:
        return reference.report
    keys = [
        key
        for number in range(reference.merges)
        for key in rewrite_shards.fn(options, reference, number)
    ]
    checked = check_compacted.fn(options, reference, keys)
    before_publish()
    report = publish_compacted.fn(options, reference, checked)
    remove_run(open_storage(options.store), options.collection, options.run)
    return report
