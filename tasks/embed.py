"""Task: embed the chunks of one batch."""

import logging

from prefect import task

from tasks.policies import policy
from tasks.references import BatchReference, EmbeddedReference
from tasks.resources import Stopwatch, workshop
from tasks.stages.checkpoints import read_batch
from tasks.stages.run_options import RunOptions

logger = logging.getLogger("nightpress.embed")


@task(**policy("embed", run_name="embed-{batch.number:04d}"))
def embed_chunks(options: RunOptions, batch: BatchReference) -> EmbeddedReference:
    """Make sure that every chunk of a batch has a stored vector."""
    stopwatch = Stopwatch()
    shop = workshop(options)
    counts = shop.embed(read_batch(shop.storage, batch.key))
    logger.info("embedded batch %d: %d texts, %d reused", batch.number, counts.texts, counts.reused)
    return EmbeddedReference(number=batch.number, counts=counts, span=stopwatch.span())
