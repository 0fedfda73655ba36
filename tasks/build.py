"""Task: build one shard."""

import logging

from prefect import task

from tasks.policies import policy
from tasks.references import PlanReference, ShardReference
from tasks.resources import Stopwatch, workshop
from tasks.stages.building import build_shard, write_built
from tasks.stages.run_files import read_plan
from tasks.stages.run_options import RunOptions
from tasks.stages.sharding import ShardPlan

logger = logging.getLogger("nightpress.build")


@task(**policy("build", run_name="build-shard-{shard.number:04d}"))
def build_index(options: RunOptions, plan: PlanReference, shard: ShardPlan) -> ShardReference:
    """Build a shard from finished batches and stored vectors."""
    stopwatch = Stopwatch()
    site = workshop(options).site()
    built = build_shard(shard, site, avoid=read_plan(site.storage, plan.key).avoid)
    logger.info("built shard %s: %d rows", built.entry.id, built.entry.rows)
    key = write_built(site, shard.number, built)
    return ShardReference(key=key, rows=built.entry.rows, span=stopwatch.span())
