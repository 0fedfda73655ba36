"""Tasks: embed the chunks of one batch, and before that all of them at the night rate."""

import logging
from collections.abc import Sequence

from prefect import task

from tasks.policies import policy
from tasks.references import BatchReference, EmbeddedReference, NightReference, kept_reference
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


@task(**policy("embed-at-night-rate", run_name="embed-at-night-rate"))
def embed_at_night_rate(options: RunOptions, batches: Sequence[BatchReference]) -> NightReference:
    """Embed what is new in all batches at the night rate, as far as the night goes."""
    stopwatch = Stopwatch()
    shop = workshop(options)
    counts = shop.embed_at_night_rate(read_batch(shop.storage, batch.key) for batch in batches)
    logger.info("night rate: %d texts, %d tokens at half the price", counts.texts, counts.tokens)
    return NightReference(counts=counts, span=stopwatch.span())
