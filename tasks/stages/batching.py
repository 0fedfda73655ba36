"""Cut the work of a plan into batches, the unit of orchestration.

Invariants: pure; batches hold consecutive documents in order of uri, so that their results, read in
order of batch, are sorted; the same plan gives the same batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.stages.diffing import PlanItem

MIN_BATCH_DOCUMENTS = 8  # below this a task run costs more than it spreads
SPREAD = 16  # batches that a small run is cut into, so that its stages overlap
MAX_BATCH_BYTES = 64 << 20  # bytes of documents after which a batch is full


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Documents that are parsed and embedded together.

    Attributes:
        number: Position in the run, from 0.
        items: Documents in order of uri, at least one.
    """

    number: int
    items: tuple[PlanItem, ...]


def cut_batches(work: Sequence[PlanItem], *, max_documents: int) -> tuple[Batch, ...]:
    """Cut work into batches.

    Args:
        work: Documents to be parsed, sorted by uri.
        max_documents: Documents in one batch at most, at least 1.

    Returns:
        Batches in order; none when there is no work.
    """
    limit = min(max_documents, max(MIN_BATCH_DOCUMENTS, -(-len(work) // SPREAD)))
    batches: list[Batch] = []
    items: list[PlanItem] = []
    size_bytes = 0
    for item in work:
        if items and (len(items) >= limit or size_bytes + item.size_bytes > MAX_BATCH_BYTES):
            batches.append(Batch(number=len(batches), items=tuple(items)))
            items, size_bytes = [], 0
        items.append(item)
        size_bytes += item.size_bytes
    if items:
        batches.append(Batch(number=len(batches), items=tuple(items)))
    return tuple(batches)
