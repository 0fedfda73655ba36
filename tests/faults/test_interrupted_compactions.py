"""A compaction cut off anywhere leaves the version before, and the same command heals it."""

from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import pytest

from index_store.errors import IndexStoreError
from index_store.log import CommitLog
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.memory import MemoryStorage
from tasks import compact as compact_tasks
from tasks.stages.compacting import CompactOptions
from tasks.stages.compaction_run import CompactRunOptions
from tests.support import plain_compaction
from tests.support.plain_compaction import compact_plainly
from tests.support.plain_run import run_plainly
from tests.support.small_sources import (
    COLLECTION,
    Searchable,
    again,
    options_for,
    prose,
    searchable,
    trusted,
    write,
)
from tests.support.sweeps import places, sampled

_stores = count(1)


@dataclass(frozen=True)
class Collection:
    """What a store held before it was compacted."""

    objects: dict[str, bytes]
    searchable: Searchable


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    source, storage = tmp_path_factory.mktemp("source"), trusted("before")
    options = options_for(source)
    for number, topic in enumerate(("tides", "wages", "rents")):
        write(source / f"{number}.txt", prose(topic))
        write(source / "changing.txt", prose(topic))
        options = again(options)
        run_plainly(options, storage)
    objects = {entry.key: storage.read(entry.key) for entry in storage.list("")}
    return Collection(objects, searchable(storage))


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    opened: dict[str, object] = {}
    for module in (compact_tasks, plain_compaction):
        monkeypatch.setattr(module, "open_storage", lambda _: opened["storage"])
    return opened


def copy_of(collection: Collection) -> MemoryStorage:
    storage = trusted(f"copy-{next(_stores)}")
    for key, data in collection.objects.items():
        storage.put(key, data)
    return storage


def options() -> CompactRunOptions:
    return CompactRunOptions(
        run=f"compact-{next(_stores)}",
        store="memory://patched",
        collection=COLLECTION,
        bounds=CompactOptions(fan_in=2, max_small=1, dead_share=0.1),
    )


def operations(collection: Collection, opened: dict[str, object]) -> int:
    opened["storage"] = counted = FaultyStorage(copy_of(collection))
    compact_plainly(options())
    return counted.operations


@sampled(9)
@pytest.mark.parametrize("mode", list(FaultMode))
def test_a_fault_at_any_operation_leaves_old_or_new_and_the_rerun_heals(
    collection: Collection, patched: dict[str, object], mode: FaultMode, every: int
):
    total = operations(collection, patched)
    assert total > 50
    for fail_at in places(total, every, mode):
        storage = copy_of(collection)
        patched["storage"] = FaultyStorage(storage, fail_at=fail_at, mode=mode)
        with suppress(IndexStoreError, SystemExit):
            compact_plainly(options())
        assert searchable(storage) == collection.searchable, f"fault at {fail_at}"
        patched["storage"] = storage
        compact_plainly(options())
        state = CommitLog(storage, COLLECTION).read()
        assert searchable(storage) == collection.searchable, f"rerun after {fail_at}"
        again_due = compact_plainly(options())
        assert again_due.merges == (), f"rerun after {fail_at}"
        assert again_due.version == state.channels["production"]
