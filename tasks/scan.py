"""Task: list the sources."""

import logging

from prefect import task

from tasks.policies import policy
from tasks.references import ListingReference
from tasks.resources import Stopwatch, workshop
from tasks.stages.planning import list_sources
from tasks.stages.run_files import write_listing
from tasks.stages.run_options import RunOptions

logger = logging.getLogger("nightpress.scan")


@task(**policy("scan", run_name="scan-sources"))
def scan_sources(options: RunOptions) -> ListingReference:
    """List every source and store the listing."""
    stopwatch = Stopwatch()
    listing = list_sources(options)
    storage = workshop(options).storage
    key = write_listing(storage, options.collection, options.run, listing)
    logger.info("listed %d documents, passed over %d", len(listing.files), listing.ignored)
    return ListingReference(key=key, files=len(listing.files), span=stopwatch.span())
