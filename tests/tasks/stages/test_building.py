from collections.abc import Sequence
from itertools import pairwise

import pytest

from index_store.embedder import Vectors
from index_store.embedders.hashing import HashingEmbedder
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError
from index_store.manifest import HnswSettings
from index_store.records import Chunk, Citation
from index_store.shard_options import ShardOptions
from index_store.storage.base import Storage
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.memory import MemoryStorage
from tasks.stages.building import BuiltShard, Site, build_shard, read_built, write_built
from tasks.stages.checkpoints import DocumentOutcome, ParsedBatchWriter, open_table, read_batch
from tasks.stages.sharding import BatchSize, ShardPlan, plan_shards

EMBEDDER = HashingEmbedder(32)
BATCHES, PER_BATCH = 6, 20  # documents of one chunk each
ROWS = BATCHES * PER_BATCH


class CountingVectors(EmbeddingStore):
    """Stored vectors that count how many were asked for."""

    asked = 0

    def find(self, hashes: Sequence[bytes]) -> tuple[object, Vectors]:  # type: ignore[override]
        self.asked += len(hashes)
        return super().find(hashes)


def site(storage: Storage, run: str, *, checkpoint_rows: int = 20) -> Site:
    vectors = CountingVectors(storage, EMBEDDER.spec.id, EMBEDDER.spec.dimension)
    vectors.refresh()
    return Site(
        storage=storage,
        collection="docs",
        run=run,
        embedder=EMBEDDER.spec,
        vectors=vectors,
        options=ShardOptions(
            hnsw=HnswSettings(m=8, ef_construction=20, ef_search=16), add_batch_rows=15
        ),
        checkpoint_rows=checkpoint_rows,
    )


def parsed(storage: Storage) -> ShardPlan:
    """Store finished batches with all vectors, and plan one shard of them."""
    sizes = []
    vectors = EmbeddingStore(storage, EMBEDDER.spec.id, EMBEDDER.spec.dimension)
    for number in range(BATCHES):
        texts = [f"document {row} of batch {number}" for row in range(PER_BATCH)]
        with ParsedBatchWriter() as writer:
            for row, text in enumerate(texts):
                outcome = DocumentOutcome(
                    uri=f"{number}/{row:02d}.txt",
                    size_bytes=1,
                    mtime_ns=1,
                    content_hash="h",
                    work_key="k",
                    row_start=row,
                    row_end=row + 1,
                )
                writer.add(outcome, [Chunk(text=text, tokens=5, citation=Citation())])
            batch = writer.store(storage, "docs", "first", number)
        vectors.add(_hashes(storage, batch.key), EMBEDDER.embed(texts))
        sizes.append(BatchSize(key=batch.key, rows=PER_BATCH))
    (plan,) = plan_shards(sizes, max_rows=ROWS)
    return plan


def _hashes(storage: Storage, key: str) -> list[bytes]:
    with open_table(storage, read_batch(storage, key)) as table:
        assert table is not None
        return table.text_hashes(0, table.rows)


def bytes_of(storage: Storage, built: BuiltShard) -> list[bytes]:
    return [storage.read(built.entry.index.key), storage.read(built.entry.chunks.key)]


def copied(storage: Storage) -> MemoryStorage:
    copy = MemoryStorage("copy")
    for entry in storage.list(""):
        copy.put(entry.key, storage.read(entry.key))
    return copy


def test_a_build_broken_off_anywhere_goes_on_from_a_checkpoint_to_the_same_bytes():
    prepared = MemoryStorage("prepared")
    plan = parsed(prepared)
    undisturbed = FaultyStorage(copied(prepared))
    built = build_shard(plan, site(undisturbed, "first"))
    operations = undisturbed.operations
    expected = bytes_of(undisturbed, built)
    asked = []
    for place in range(1, operations + 1):
        storage = copied(prepared)
        faulty = FaultyStorage(storage, fail_at=place, mode=FaultMode.CRASH)
        with pytest.raises(SystemExit, match="crash"):
            build_shard(plan, site(faulty, "first"))
        again = site(storage, "second")
        assert bytes_of(storage, build_shard(plan, again)) == expected
        assert isinstance(again.vectors, CountingVectors)
        asked.append(again.vectors.asked)
    assert asked[0] == ROWS
    assert sorted(asked, reverse=True) == asked, "a later kill costs no more than an earlier one"
    assert set(asked) > {ROWS}, "some builds went on from a checkpoint"
    finished = site(undisturbed, "third")
    build_shard(plan, finished)
    assert isinstance(finished.vectors, CountingVectors)
    assert finished.vectors.asked == 0, "a finished shard is taken over"


def test_checkpoint_sizes_double_so_that_together_they_are_no_larger_than_the_shard():
    storage = MemoryStorage("store")
    plan = parsed(storage)
    build_shard(plan, site(storage, "first"))
    rows = [
        int(entry.key.removesuffix(".json").rsplit("-", 1)[1])
        for entry in storage.list("docs/runs/first/shards/")
        if entry.key.endswith(".json")
    ]
    assert len(rows) >= 2
    assert all(later >= 1.5 * earlier for earlier, later in pairwise(rows))


def test_a_damaged_checkpoint_or_shard_is_work_not_done():
    storage = MemoryStorage("store")
    plan = parsed(storage)
    built = build_shard(plan, site(storage, "first"))
    expected = bytes_of(storage, built)
    for entry in list(storage.list("docs/runs/first/shards/")):
        storage.put(entry.key, b"damaged")
    storage.put(built.entry.index.key, b"damaged")
    again = site(storage, "second")
    assert bytes_of(storage, build_shard(plan, again)) == expected
    assert isinstance(again.vectors, CountingVectors)
    assert again.vectors.asked == ROWS


def test_a_missing_vector_stops_the_build():
    storage = MemoryStorage("store")
    plan = parsed(storage)
    (first, *_) = storage.list("embeddings/")
    storage.delete(first.key)
    with pytest.raises(CorruptArtifactError, match=f"{PER_BATCH} of {PER_BATCH} vectors"):
        build_shard(plan, site(storage, "first"))


def test_a_shard_whose_rows_go_by_another_name_is_not_taken_over():
    storage = MemoryStorage("store")
    plan = parsed(storage)
    first = build_shard(plan, site(storage, "first"))
    second = build_shard(plan, site(storage, "second"), avoid=frozenset({first.entry.id}))
    both = frozenset({first.entry.id, second.entry.id})
    third = build_shard(plan, site(storage, "third"), avoid=both)
    assert len({first.entry.id, second.entry.id, third.entry.id}) == 3
    assert first.entry.index.sha256 == second.entry.index.sha256 == third.entry.index.sha256
    assert {place.shard for place in second.placements} == {second.entry.id}


def test_what_was_built_is_read_back():
    storage = MemoryStorage("store")
    plan = parsed(storage)
    here = site(storage, "first")
    built = build_shard(plan, here)
    assert read_built(here, write_built(here, 0, built)) == built
    assert [place.row_start for place in built.placements] == list(range(ROWS))


def test_shards_hold_whole_batches_in_order():
    sizes = [BatchSize(key=str(number), rows=rows) for number, rows in enumerate((3, 0, 4, 9, 1))]
    shards = plan_shards(sizes, max_rows=7)
    assert [(shard.number, shard.batches, shard.rows) for shard in shards] == [
        (0, ("0", "2"), 7),
        (1, ("3",), 9),
        (2, ("4",), 1),
    ]
    assert plan_shards([], max_rows=7) == ()
