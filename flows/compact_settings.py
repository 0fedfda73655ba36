"""From settings to the options of a compaction."""

from flows.run_settings import build_options
from flows.settings import NightSettings
from tasks.stages.compacting import CompactOptions
from tasks.stages.compaction_run import CompactRunOptions


def compact_options(settings: NightSettings, run: str, *, rebuild_graph: bool) -> CompactRunOptions:
    """Return the options of one compaction."""
    build = build_options(settings)
    return CompactRunOptions(
        run=run,
        store=settings.store,
        collection=settings.collection,
        bounds=CompactOptions(max_rows=settings.max_shard_rows, least_recall=build.recall.least),
        build=build,
        rebuild_graph=rebuild_graph,
        promote=settings.promote,
    )
