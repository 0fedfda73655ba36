"""Task: embed the chunks of one batch."""

import logging

from prefect import task

from tasks.policies import policy
from tasks.references import BatchReference, EmbeddedReference, kept_reference
from tasks.resources import Stopwatch, workshop
from tasks.stages.checkpoints import read_batch
from tasks.stages.refusing import without_refused
from tasks.stages.run_options import RunOptions

logger = logging.getLogger("nightpress.embed")


@task(**policy("embed", run_name="embed-{batch.number:04d}"))
def embed_chunks(options: RunOptions, batch: BatchReference) -> EmbeddedReference:
    """Make sure that every chunk of a batch has a stored vector."""
    stopwatch = Stopwatch()
    shop = workshop(options)
    parsed = read_batch(shop.storage, batch.key)
    embedded = shop.embed(parsed)
    counts = embedded.counts
    logger.info("embedded batch %d: %d texts, %d reused", batch.number, counts.texts, counts.reused)
    kept = batch
    if embedded.refused:
        place = (options.collection, options.run, batch.number)
        remaining = without_refused(parsed, embedded.refused, shop.storage, place=place)
        kept = kept_reference(batch, remaining)
        logger.warning(
            "batch %d: %d documents are rejected, since the embedder refuses some of their text",
            batch.number,
            kept.rejected - batch.rejected,
        )
    return EmbeddedReference(number=batch.number, counts=counts, span=stopwatch.span(), batch=kept)
