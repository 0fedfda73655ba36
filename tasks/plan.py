"""Task: decide what the run does."""

import logging

from prefect import task

from index_store.errors import StoppedError
from index_store.publisher import check_present
from tasks.policies import policy
from tasks.references import ListingReference, PlanReference, published_reference
from tasks.resources import Stopwatch, workshop
from tasks.stages.batching import cut_batches
from tasks.stages.planning import choose_base, make_plan, waiting_version
from tasks.stages.run_files import read_listing, remove_run, write_plan
from tasks.stages.run_options import RunOptions
from tasks.stages.work_items import write_work

logger = logging.getLogger("nightpress.plan")


@task(**policy("plan", run_name="plan-{options.collection}"))
def plan_run(options: RunOptions, listing: ListingReference) -> PlanReference:
    """Compare the listing with the last version and store plan and work."""
    stopwatch = Stopwatch()
    shop = workshop(options)
    storage, collection, run = shop.storage, options.collection, options.run
    base = choose_base(storage, collection)
    try:
        planned = make_plan(options, base, read_listing(storage, listing.key), shop.embedder.spec)
    except StoppedError:
        remove_run(storage, collection, run)  # nothing of it is worth going on from
        raise
    if planned.plan.is_empty and base.manifest is not None:
        # What nothing is done to is not read either; that it is still there is seen at once.
        check_present(storage, collection, base.manifest.artifacts)
    batches = cut_batches(planned.plan.work(), max_documents=options.batch_documents)
    write_work(storage, collection, run, batches, planned)
    key = write_plan(storage, collection, run, planned)
    counts = planned.plan.counts()
    logger.info("planned %s", ", ".join(f"{count} {name}" for name, count in counts.items()))
    span = stopwatch.span()
    waiting = waiting_version(options, planned)
    return PlanReference(
        key=key,
        is_empty=planned.plan.is_empty,
        batches=len(batches),
        documents=sum(len(batch.items) for batch in batches),
        counts=counts,
        span=span,
        waiting=None if waiting is None else published_reference(waiting, span),
    )
