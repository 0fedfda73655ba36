"""Task: list the sources."""

import logging

from prefect import task

from index_store.storage.verdicts import ensure_fit
from tasks.policies import policy
from tasks.references import ListingReference
from tasks.resources import Stopwatch, workshop
from tasks.stages.planning import list_sources
from tasks.stages.run_files import write_listing
from tasks.stages.run_options import RunOptions

logger = logging.getLogger("nightpress.scan")


@task(**policy("scan", run_name="scan-sources"))
def scan_sources(options: RunOptions) -> ListingReference:
    """Try the store if it is new, list every source and store the listing."""
    stopwatch = Stopwatch()
    listing = list_sources(options)
    storage = workshop(options).storage
    fitness = ensure_fit(storage, single_writer=options.single_writer)
    if fitness.single_writer:
        logger.warning("%s is used by a single writer on request", storage.url)
    key = write_listing(storage, options.collection, options.run, listing)
    logger.info("listed %d documents, passed over %d", len(listing.files), listing.ignored)
    return ListingReference(key=key, files=len(listing.files), span=stopwatch.span())
