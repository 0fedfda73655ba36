"""Task: parse and chunk one batch, or read its chunks from the last version."""

import logging

from prefect import task

from tasks.policies import policy
from tasks.references import BatchReference
from tasks.resources import Stopwatch, workshop
from tasks.stages.checkpoints import find_batch
from tasks.stages.chunking.options import tokenizer_in
from tasks.stages.parsing_batch import parse_batch
from tasks.stages.run_options import RunOptions
from tasks.stages.work_items import read_work

logger = logging.getLogger("nightpress.parse")


@task(**policy("parse", run_name="parse-{number:04d}"))
def parse_documents(options: RunOptions, number: int) -> BatchReference:
    """Parse a batch in child processes and keep the result as a checkpoint.

    A cluster that lost a worker asks for its batches again; what is finished is not done twice.
    """
    stopwatch = Stopwatch()
    shop = workshop(options)
    batch = find_batch(shop.storage, options.collection, options.run, number)
    if batch is None:
        work = read_work(shop.storage, options.collection, options.run, number)
        batch = parse_batch(
            work,
            lambda: shop.pool(tokenizer_in(work.chunker)),
            shop.storage,
            lambda: shop.stored_text(work.base),
            store=lambda writer: writer.store(
                shop.storage, options.collection, options.run, number
            ),
        )
        if not shop.parsers_are_offline:
            logger.warning(
                "batch %d: parsers had a network, for this system gives no namespace", number
            )
    rejected = sum(document.rejection is not None for document in batch.documents)
    chunks = max((document.row_end for document in batch.documents), default=0)
    logger.info(
        "parsed batch %d: %d documents, %d rejected", number, len(batch.documents), rejected
    )
    return BatchReference(
        number=number,
        key=batch.key,
        documents=len(batch.documents),
        rejected=rejected,
        chunks=chunks,
        span=stopwatch.span(),
    )
