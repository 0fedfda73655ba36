from hypothesis import given
from hypothesis import strategies as st

from tasks.stages.batching import MAX_BATCH_BYTES, cut_batches
from tasks.stages.diffing import Action, PlanItem


def work(sizes: list[int]) -> list[PlanItem]:
    return [
        PlanItem(uri=f"{n:05}", action=Action.ADDED, reason="", size_bytes=size)
        for n, size in enumerate(sizes)
    ]


@given(st.lists(st.integers(0, 2 * MAX_BATCH_BYTES), max_size=300), st.integers(1, 50))
def test_batches_hold_every_document_once_in_order_within_the_limits(
    sizes: list[int], max_documents: int
):
    items = work(sizes)
    batches = cut_batches(items, max_documents=max_documents)
    assert [item for batch in batches for item in batch.items] == items
    assert [batch.number for batch in batches] == list(range(len(batches)))
    for batch in batches:
        assert 1 <= len(batch.items) <= max_documents
        size = sum(item.size_bytes for item in batch.items)
        assert size <= MAX_BATCH_BYTES or len(batch.items) == 1


def test_small_run_is_spread_and_large_run_is_not_shredded():
    assert len(cut_batches(work([1] * 160), max_documents=200)) == 16
    assert len(cut_batches(work([1] * 20_000), max_documents=200)) == 100
