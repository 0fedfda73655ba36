"""Publishing: readers see the old version or the new one, whatever fails, and a rerun heals."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    IndexStoreError,
    NotFoundError,
    UsageError,
)
from index_store.log import CommitLog
from index_store.manifest import Counts
from index_store.publisher import pin, promote, publish, rollback, unpin
from index_store.snapshot import Snapshot
from index_store.storage.base import Storage
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import (
    COLLECTION,
    build_manifest,
    commit_log,
    copy_objects,
    publish_documents,
    vector,
)
from tests.support.sweeps import places, sampled

OLD = {"a.txt": ["the old text of a"], "b.txt": ["the text of b"]}
NEW = {"a.txt": ["the new text of a"], "b.txt": ["the text of b"], "c.txt": ["a third text"]}


def publish_and_promote(storage: Storage, folder: Path) -> str:
    """What a night does at its end, written so that it may run again."""
    log = CommitLog(storage, COLLECTION, clock_ms=lambda: 1_800_000_000_000)
    state = log.read()
    production = state.channels["production"]
    manifest = build_manifest(storage, NEW, folder, parent=production, run="night")
    published = publish(storage, log, manifest, state)
    return promote(log, published.version).version


def texts_served(storage: Storage) -> set[str]:
    """Everything that production answers with, after checking every file."""
    with Snapshot.open(storage, COLLECTION) as snapshot:
        return {hit.text for hit in snapshot.nearest(vector("anything"), 10)}


def texts_of(documents: dict[str, list[str]]) -> set[str]:
    return {text for texts in documents.values() for text in texts}


@pytest.fixture(params=["folder", "memory"])
def make_storage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Storage]:
    numbers = iter(range(10_000))
    before = MemoryStorage("before")
    first = publish_documents(before, OLD, tmp_path)
    promote(commit_log(before), first.version)

    def make() -> Storage:
        storage: Storage = MemoryStorage("sweep")
        if request.param == "folder":
            storage = FolderStorage(tmp_path / f"store-{next(numbers)}")
        copy_objects(before, storage)
        return storage

    return make


@sampled(4)
@pytest.mark.parametrize("mode", list(FaultMode))
def test_a_fault_at_any_operation_leaves_old_or_new_and_a_rerun_heals(
    make_storage: Callable[[], Storage], tmp_path: Path, mode: FaultMode, every: int
):
    counted = FaultyStorage(make_storage())
    publish_and_promote(counted, tmp_path)
    assert counted.operations > 15
    seen = set()
    for fail_at in places(counted.operations, every, mode):
        storage = make_storage()
        with contextlib.suppress(IndexStoreError, SystemExit):
            publish_and_promote(FaultyStorage(storage, fail_at=fail_at, mode=mode), tmp_path)
        served = texts_served(storage)
        assert served in (texts_of(OLD), texts_of(NEW))
        seen.add(frozenset(served))
        rerun = FaultyStorage(storage)
        if served == texts_of(OLD):
            heal(rerun, tmp_path)
        assert texts_served(storage) == texts_of(NEW)
        state = CommitLog(storage, COLLECTION).read()
        assert state.seq == 4
        assert len(state.versions) == 2
    assert frozenset(texts_of(OLD)) in seen


def heal(storage: Storage, folder: Path) -> None:
    """A rerun: it goes on from the candidate that the failed run may have published."""
    log = CommitLog(storage, COLLECTION)
    state = log.read()
    if state.channels["candidate"] != state.channels["production"]:
        promote(log, state.channels["candidate"])
    else:
        publish_and_promote(storage, folder)


def test_publishing_again_appends_nothing(tmp_path: Path):
    storage = MemoryStorage("again")
    log = commit_log(storage)
    manifest = build_manifest(storage, OLD, tmp_path)
    first = publish(storage, log, manifest, log.read())
    again = publish(storage, log, manifest, first.state)
    assert again == first
    assert promote(log, first.version).state.seq == 2
    assert promote(log, first.version).state.seq == 2


def test_the_slower_of_two_runs_is_told_to_plan_again(tmp_path: Path):
    storage = MemoryStorage("race")
    slow = commit_log(storage)
    planned_on = slow.read()
    winner = publish_documents(storage, OLD, tmp_path)
    late = build_manifest(storage, NEW, tmp_path, run="late")
    with pytest.raises(ConflictError, match="candidate: expected nothing, found"):
        publish(storage, slow, late, planned_on)
    assert commit_log(storage).read() == winner.state


def test_a_promotion_in_between_does_not_disturb_a_publish(tmp_path: Path):
    storage = MemoryStorage("between")
    first = publish_documents(storage, OLD, tmp_path)
    log = commit_log(storage)
    planned_on = log.read()
    promote(commit_log(storage), first.version)
    manifest = build_manifest(storage, NEW, tmp_path, parent=first.version)
    published = publish(storage, log, manifest, planned_on)
    assert published.state.seq == 3
    assert published.state.channels["candidate"] == published.version


class Overtaken(FaultyStorage):
    """Lets somebody else act just before the first log record is created."""

    def __init__(self, inner: Storage, act: Callable[[], object]) -> None:
        super().__init__(inner)
        self.act: Callable[[], object] | None = act

    def create(self, key: str, data: bytes) -> None:
        if "/log/" in key and self.act is not None:
            act, self.act = self.act, None
            act()
        super().create(key, data)


def test_an_append_that_is_overtaken_by_a_harmless_record_goes_on(tmp_path: Path):
    inner = MemoryStorage("overtaken")
    first = publish_documents(inner, OLD, tmp_path)
    storage = Overtaken(inner, lambda: promote(commit_log(inner), first.version))
    log = CommitLog(storage, COLLECTION)
    manifest = build_manifest(storage, NEW, tmp_path, parent=first.version)
    published = publish(storage, log, manifest, log.read())
    assert published.state.seq == 3
    assert published.state.channels["production"] == first.version


def test_an_append_that_is_overtaken_by_another_publish_loses(tmp_path: Path):
    inner = MemoryStorage("lost-race")
    first = publish_documents(inner, OLD, tmp_path)
    (tmp_path / "other").mkdir()
    rival = {"z.txt": ["what the rival found"]}
    storage = Overtaken(inner, lambda: publish_documents(inner, rival, tmp_path / "other"))
    log = CommitLog(storage, COLLECTION)
    manifest = build_manifest(storage, NEW, tmp_path, parent=first.version)
    with pytest.raises(ConflictError, match="written by another run first"):
        publish(storage, log, manifest, log.read())
    assert commit_log(inner).read().seq == 2


class AlwaysOvertaken(FaultyStorage):
    """Somebody else moves another channel before each of our log records."""

    def __init__(self, inner: Storage, versions: list[str]) -> None:
        super().__init__(inner)
        self.versions = versions
        self.turn = 0

    def create(self, key: str, data: bytes) -> None:
        self.turn += 1
        version = self.versions[self.turn % 2]
        promote(CommitLog(self._inner, COLLECTION), version, channel="other")
        super().create(key, data)


def test_an_append_that_is_always_overtaken_gives_up(tmp_path: Path):
    inner = MemoryStorage("always")
    first = publish_documents(inner, OLD, tmp_path)
    second = publish_documents(inner, NEW, tmp_path, run="two")
    storage = AlwaysOvertaken(inner, [first.version, second.version])
    with pytest.raises(ConflictError, match="10 other records came first"):
        promote(CommitLog(storage, COLLECTION), first.version)
    assert "production" not in commit_log(inner).read().channels


def test_promote_refuses_a_channel_that_moved(tmp_path: Path):
    storage = MemoryStorage("moved")
    one = publish_documents(storage, OLD, tmp_path)
    two = publish_documents(storage, NEW, tmp_path, run="two")
    log = commit_log(storage)
    decided_on = log.read()
    promote(log, two.version)
    with pytest.raises(ConflictError, match="production: expected nothing, found"):
        promote(log, one.version, expected=decided_on)
    assert promote(log, one.version[:8]).state.channels["production"] == one.version


def test_promote_refuses_unknown_versions(tmp_path: Path):
    storage = MemoryStorage("unknown")
    publish_documents(storage, OLD, tmp_path)
    with pytest.raises(NotFoundError, match="version 123456 does not exist"):
        promote(commit_log(storage), "123456")


@pytest.mark.parametrize("folder", ["shards", "catalog"])
def test_a_manifest_with_a_missing_file_is_not_published(tmp_path: Path, folder: str):
    storage = MemoryStorage(f"missing-{folder}")
    manifest = build_manifest(storage, OLD, tmp_path)
    victim = next(storage.list(f"{COLLECTION}/{folder}/")).key
    storage.delete(victim)
    log = commit_log(storage)
    with pytest.raises(CorruptArtifactError, match=f"missing or of another size.*{victim}"):
        publish(storage, log, manifest, log.read())
    assert log.read().seq == 0


def test_a_manifest_that_contradicts_itself_is_not_published(tmp_path: Path):
    storage = MemoryStorage("contradiction")
    manifest = build_manifest(storage, OLD, tmp_path)
    counts = Counts(documents=2, rejected=0, chunks_live=9, chunks_dead=0, tokens=0)
    log = commit_log(storage)
    with pytest.raises(UsageError, match="chunks_live: expected 2 as the shards have, found 9"):
        publish(storage, log, replace(manifest, counts=counts), log.read())


def test_rollback_is_one_record_and_moves_no_data(tmp_path: Path):
    storage = MemoryStorage("rollback")
    one = publish_documents(storage, OLD, tmp_path)
    promote(commit_log(storage), one.version)
    two = publish_documents(storage, NEW, tmp_path, run="two")
    promote(commit_log(storage), two.version)
    reader = commit_log(storage)
    before = reader.read()
    objects = {entry.key for entry in storage.list("") if "/log/" not in entry.key}
    done = rollback(commit_log(storage), reason="worse answers")
    assert done.version == one.version
    assert done.state.seq == before.seq + 1
    assert {entry.key for entry in storage.list("") if "/log/" not in entry.key} == objects
    assert reader.read().channels["production"] == one.version  # the very next look
    assert texts_served(storage) == texts_of(OLD)
    with pytest.raises(NotFoundError, match="channel 'production' has no version to go back to"):
        rollback(commit_log(storage))
    with pytest.raises(NotFoundError, match="channel 'stable' does not exist"):
        rollback(commit_log(storage), channel="stable")


def test_a_rollback_that_a_promotion_overtakes_is_a_conflict(tmp_path: Path):
    inner = MemoryStorage("overtaken-rollback")
    versions = []
    for number in range(3):
        documents = {"a.txt": [f"text {number}"]}
        versions.append(publish_documents(inner, documents, tmp_path, run=f"{number}").version)
    for version in versions[:2]:
        promote(commit_log(inner), version)
    storage = Overtaken(inner, lambda: promote(commit_log(inner), versions[2]))
    with pytest.raises(ConflictError, match="written by another run first"):
        rollback(CommitLog(storage, COLLECTION))
    assert commit_log(inner).read().channels["production"] == versions[2]


def test_pins_are_given_and_taken_away(tmp_path: Path):
    storage = MemoryStorage("pins")
    one = publish_documents(storage, OLD, tmp_path)
    two = publish_documents(storage, NEW, tmp_path, run="two")
    log = commit_log(storage)
    assert pin(log, one.version[:8], "audit-2024").state.pins == {"audit-2024": one.version}
    assert pin(log, one.version, "audit-2024").state.seq == 3  # nothing is appended again
    with pytest.raises(UsageError, match=f"'audit-2024' holds version {one.version}; unpin it"):
        pin(log, two.version, "audit-2024")
    with pytest.raises(UsageError, match="pin 'Not a name' must match"):
        pin(log, two.version, "Not a name")
    with pytest.raises(NotFoundError, match="pin 'other' does not exist; known pins: audit-2024"):
        unpin(log, "other")
    assert unpin(log, "audit-2024").version == one.version
    with pytest.raises(NotFoundError, match="known pins: none"):
        unpin(log, "audit-2024")


def test_a_version_from_elsewhere_may_have_an_unknown_parent(tmp_path: Path):
    storage = MemoryStorage("foreign")
    manifest = build_manifest(storage, OLD, tmp_path, parent="a" * 64)
    log = commit_log(storage)
    with pytest.raises(ConflictError, match=f"parent {'a' * 64} of .* is not published"):
        publish(storage, log, manifest, log.read())
    done = publish(storage, log, manifest, log.read(), foreign=True)
    assert done.state.versions[done.version].parent is None
