"""Embed the chunks of one batch: what the store has is taken from it, the rest is embedded once.

Invariants: a vector is stored before the next request is made; a text is never sent twice, neither
within a batch nor in a later run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from index_store.embedder import Embedder
from index_store.embedders.checked import embed_checked
from index_store.embeddings import EmbeddingStore
from index_store.storage.base import Storage
from tasks.stages.checkpoints import ParsedBatch, open_table


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingCounts:
    """What embedding a batch came to.

    Attributes:
        texts: Distinct texts that were embedded.
        tokens: Tokens in them.
        requests: Requests that were made.
        reused: Chunks whose vector was there already, or was made for another chunk of the batch.
    """

    texts: int = 0
    tokens: int = 0
    requests: int = 0
    reused: int = 0


def embed_batch(
    batch: ParsedBatch, storage: Storage, embedder: Embedder, store: EmbeddingStore
) -> EmbeddingCounts:
    """Make sure that every chunk of a batch has a stored vector.

    Args:
        batch: A finished batch.
        storage: Where its chunk table is.
        embedder: Makes vectors.
        store: Keeps them.

    Returns:
        What it came to.

    Raises:
        TransientError: The embedder or the store is out of reach; what was embedded is kept.
        UsageError: The embedder refuses the key, the model or a text.
    """
    with open_table(storage, batch) as table:
        if table is None:
            return EmbeddingCounts()
        hashes = table.text_hashes(0, table.rows)
        known, _ = store.find(hashes)
        first_row = {
            text_hash: row for row, text_hash in reversed(list(enumerate(hashes))) if not known[row]
        }
        missing = sorted(first_row.values())
        tokens = requests = 0
        for start in range(0, len(missing), embedder.max_batch):
            rows = missing[start : start + embedder.max_batch]
            chunks = [stored.chunk for stored in table.take(rows)]
            vectors = embed_checked(embedder, [chunk.text for chunk in chunks])
            store.add([hashes[row] for row in rows], vectors)
            tokens += sum(chunk.tokens for chunk in chunks)
            requests += 1
    return EmbeddingCounts(
        texts=len(missing), tokens=tokens, requests=requests, reused=len(hashes) - len(missing)
    )


def total(counts: Sequence[EmbeddingCounts]) -> EmbeddingCounts:
    """Add up the counts of several batches."""
    return EmbeddingCounts(
        texts=sum(each.texts for each in counts),
        tokens=sum(each.tokens for each in counts),
        requests=sum(each.requests for each in counts),
        reused=sum(each.reused for each in counts),
    )
