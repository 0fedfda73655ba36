"""Take the documents whose texts an embedder refused out of a batch.

Invariant: the batch that takes its place has the same documents, and a rejection for each of those
with a refused text; every other row is as it was.
"""

from collections.abc import Mapping
from dataclasses import replace

from index_store.records import Reason, Rejection
from index_store.storage.base import Storage
from tasks.stages.checkpoints import DocumentOutcome, ParsedBatch, ParsedBatchWriter, open_table

SUFFIX = "-kept"


def without_refused(
    batch: ParsedBatch,
    refused: Mapping[int, str],
    storage: Storage,
    *,
    place: tuple[str, str, int],
) -> ParsedBatch:
    """Write a batch without the documents that hold a refused row.

    Args:
        batch: As it was parsed.
        refused: Why, by row.
        storage: The store.
        place: Collection, run, and number of the batch in it.

    Returns:
        The batch that takes its place.
    """
    collection, run, number = place
    with open_table(storage, batch) as table, ParsedBatchWriter(batch.tokenizer) as writer:
        for document in batch.documents:
            rows = range(document.row_start, document.row_end)
            reasons = [refused[row] for row in rows if row in refused]
            if reasons or table is None:
                writer.add_stored(_rejected(document, reasons), [])
                continue
            moved = replace(document, row_start=writer.rows, row_end=writer.rows + len(rows))
            writer.add_stored(moved, table.read(document.row_start, document.row_end))
        return writer.store(storage, collection, run, number, SUFFIX)


def _rejected(document: DocumentOutcome, reasons: list[str]) -> DocumentOutcome:
    if not reasons:
        return document
    told = f"{len(reasons)} of its chunks were refused: {reasons[0]}"
    refused = Rejection(reason=Reason.EMBEDDING, detail=told)
    if document.rejection is not None:  # what was refused is its last good text
        refused = replace(document.rejection, detail=f"{document.rejection.detail}; {told}")
    return replace(document, row_start=0, row_end=0, tokens=0, rejection=refused)
