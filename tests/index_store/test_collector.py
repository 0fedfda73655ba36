"""Expiry on real stores: two passes, nothing in use is touched, faults and damage stop it."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from index_store.collector import (
    MAX_KEYS,
    AbortsUploads,
    preview,
    purge_pass,
    retire_pass,
    store_clock_ms,
)
from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    IndexStoreError,
    NotFoundError,
    UnfitStoreError,
    UnknownOutcomeError,
)
from index_store.layout import log_key
from index_store.log import CommitLog
from index_store.log_records import KeyChange, LogState, RecordKind
from index_store.publisher import pin, promote, publish, rollback
from index_store.retention import RetentionPolicy
from index_store.snapshot import Snapshot
from index_store.storage.base import Storage, StoredObject
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from index_store.storage.remote_uploads import UnfinishedUpload
from tests.index_store.store_builders import (
    COLLECTION,
    build_manifest,
    copy_objects,
    publish_documents,
    vector,
)
from tests.support.sweeps import places, sampled

HOUR_NS = 3_600_000_000_000
KEEP_ONE = RetentionPolicy(keep_last=1)


class Hours:
    """A store's clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_700_000 * HOUR_NS

    def __call__(self) -> int:
        return self.now

    def forward(self, hours: int) -> None:
        self.now += hours * HOUR_NS

    def at_ms(self, time_ms: int) -> None:
        self.now = time_ms * 1_000_000


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def storage(hours: Hours, tmp_path: Path) -> MemoryStorage:
    """Three versions, each with a shard of its own; production is the third, before the second."""
    made = MemoryStorage("expiry", clock_ns=hours)
    for number in (1, 2, 3):
        add_version(made, number, tmp_path)
        hours.forward(1)
    hours.forward(48)
    return made


def log_of(storage: Storage) -> CommitLog:
    return CommitLog(storage, COLLECTION)


def add_version(storage: Storage, number: int, folder: Path) -> str:
    done = publish_documents(
        storage, {"a.txt": [f"text {number}"], "b.txt": ["kept"]}, folder, run=f"run-{number}"
    )
    return promote(log_of(storage), done.version).version


def keys(storage: Storage) -> set[str]:
    return {entry.key for entry in storage.list("")}


def texts(storage: Storage, version: str | None = None) -> set[str]:
    with Snapshot.open(storage, COLLECTION, version=version) as snapshot:
        return {hit.text for hit in snapshot.nearest(vector("x"), 10)}


def versions(storage: Storage) -> list[str]:
    return list(log_of(storage).read().versions)


def test_two_passes_remove_what_is_not_kept_and_nothing_else(storage: MemoryStorage, hours: Hours):
    first, second, third = versions(storage)
    before = keys(storage)
    assert purge_pass(storage, log_of(storage), KEEP_ONE).deleted == ()
    retired = retire_pass(storage, log_of(storage), KEEP_ONE)
    assert retired.versions == (first,)
    assert versions(storage) == [second, third]
    assert {key for key in keys(storage) if "/log/" not in key} == {
        key for key in before if "/log/" not in key
    }
    with pytest.raises(NotFoundError, match="was retired and cannot be opened any more"):
        texts(storage, first)

    hours.forward(23)
    assert purge_pass(storage, log_of(storage), KEEP_ONE).deleted == ()
    hours.forward(1)
    purged = purge_pass(storage, log_of(storage), KEEP_ONE)
    gone = {found.key for found in purged.deleted}
    assert gone == {found.key for found in retired.retired}
    assert {key.split("/")[1] for key in gone} == {"shards", "catalog", "versions"}
    assert not gone & keys(storage)
    assert texts(storage, second) == {"text 2", "kept"}
    assert texts(storage) == {"text 3", "kept"}
    state = log_of(storage).audit().state
    assert state.retired == {}
    assert set(state.purged) == gone == state.forbidden_keys
    assert retire_pass(storage, log_of(storage), KEEP_ONE).retired == ()


def test_a_preview_writes_nothing_and_says_what_the_passes_do(storage: MemoryStorage, hours: Hours):
    before = keys(storage)
    plan = preview(storage, log_of(storage), KEEP_ONE, clock_ms=lambda: hours.now // 1_000_000)
    assert keys(storage) == before
    assert retire_pass(storage, log_of(storage), KEEP_ONE).retired == plan.retire


def test_rollback_works_after_expiry(storage: MemoryStorage):
    retire_pass(storage, log_of(storage), KEEP_ONE)
    rollback(log_of(storage))
    assert texts(storage) == {"text 2", "kept"}
    with pytest.raises(NotFoundError, match="'production' has no version to go back to"):
        rollback(log_of(storage))


def test_a_pinned_version_stays(storage: MemoryStorage):
    first, *_ = versions(storage)
    pin(log_of(storage), first, "audit")
    assert retire_pass(storage, log_of(storage), KEEP_ONE).versions == ()


def test_a_retired_file_is_never_published_again(storage: MemoryStorage, tmp_path: Path):
    documents = {"a.txt": ["text 1"], "b.txt": ["kept"]}
    retire_pass(storage, log_of(storage), KEEP_ONE)
    log = log_of(storage)
    state = log.read()
    manifest = build_manifest(storage, documents, tmp_path, parent=state.channels["candidate"])
    with pytest.raises(ConflictError, match="files of the version were retired.*plan again"):
        publish(storage, log, manifest, state)
    assert log.read() == state
    shard = manifest.shards[0].id
    assert shard in state.forbidden_shards


class Overtaken(FaultyStorage):
    """Lets others act just before the next log records are created, one after the other."""

    def __init__(self, inner: Storage, acts: list[Callable[[], object]]) -> None:
        super().__init__(inner)
        self.acts = acts

    def create(self, key: str, data: bytes) -> None:
        if "/log/" in key and self.acts:
            self.acts.pop(0)()
        super().create(key, data)


def test_a_publish_that_a_retirement_overtakes_plans_again(storage: MemoryStorage, tmp_path: Path):
    documents = {"a.txt": ["text 1"], "b.txt": ["kept"]}
    racing = Overtaken(storage, [lambda: retire_pass(storage, log_of(storage), KEEP_ONE)])
    log = CommitLog(racing, COLLECTION)
    state = log.read()
    manifest = build_manifest(racing, documents, tmp_path, parent=state.channels["candidate"])
    with pytest.raises(ConflictError, match="were retired meanwhile"):
        publish(racing, log, manifest, state)
    assert manifest.run not in {known.run for known in log.read().versions.values()}


def test_a_file_that_expiry_deleted_meanwhile_is_a_conflict_and_no_damage(
    storage: MemoryStorage, hours: Hours, tmp_path: Path
):
    log = log_of(storage)
    state = log.read()
    documents = {"a.txt": ["text 1"], "b.txt": ["kept"]}
    manifest = build_manifest(storage, documents, tmp_path, parent=state.channels["candidate"])
    retire_pass(storage, log_of(storage), KEEP_ONE)
    hours.forward(25)
    assert purge_pass(storage, log_of(storage), KEEP_ONE).deleted
    with pytest.raises(ConflictError, match="files of the version were retired meanwhile"):
        publish(storage, log, manifest, state)


def test_a_retirement_that_a_publish_overtakes_decides_again(
    storage: MemoryStorage, tmp_path: Path
):
    documents = {"a.txt": ["text 1"], "b.txt": ["kept"]}
    racing = Overtaken(
        storage, [lambda: publish_documents(storage, documents, tmp_path, run="rival")]
    )
    result = retire_pass(racing, CommitLog(racing, COLLECTION), KEEP_ONE)
    first = result.versions[0]
    assert texts(storage, versions(storage)[-1]) == {"text 1", "kept"}
    assert {found.key.split("/")[1] for found in result.retired} == {"versions"}
    assert first not in versions(storage)


def test_what_another_expiry_deletes_meanwhile_is_no_damage(storage: MemoryStorage, hours: Hours):
    first, *_ = versions(storage)
    manifest = log_of(storage).read().versions[first].manifest.key

    def another_expiry() -> None:
        retire_pass(storage, log_of(storage), KEEP_ONE)
        hours.forward(25)
        purge_pass(storage, log_of(storage), KEEP_ONE)

    class Overtaking(FaultyStorage):
        def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
            if key == manifest and manifest in keys(storage):
                another_expiry()
            return super().read(key, start=start, end=end)

    racing = Overtaking(storage)
    result = retire_pass(racing, CommitLog(racing, COLLECTION), KEEP_ONE)
    assert (result.versions, result.retired) == ((), ())
    assert manifest not in keys(storage)


def test_expiry_gives_up_when_it_is_always_overtaken(storage: MemoryStorage):
    first, *_ = versions(storage)
    names = iter("abcdefgh")
    racing = Overtaken(
        storage, [lambda: pin(log_of(storage), versions(storage)[1], next(names))] * 8
    )
    with pytest.raises(ConflictError, match="expiry of docs was overtaken too often"):
        retire_pass(racing, CommitLog(racing, COLLECTION), KEEP_ONE)
    assert first in versions(storage)


@sampled(7)
@pytest.mark.parametrize("mode", list(FaultMode))
def test_a_fault_at_any_operation_heals_with_the_next_call(
    hours: Hours, tmp_path: Path, mode: FaultMode, every: int
):
    first = MemoryStorage("sweep", clock_ns=hours)
    for number in (1, 2, 3):
        add_version(first, number, tmp_path)
    hours.forward(48)
    retire_pass(first, log_of(first), KEEP_ONE)
    add_version(first, 4, tmp_path)
    hours.forward(48)
    begun = hours.now

    def make() -> MemoryStorage:
        made = MemoryStorage("sweep", clock_ns=hours)
        copy_objects(first, made, hours.at_ms)
        hours.now = begun
        return made

    def both(storage: Storage) -> None:
        purge_pass(storage, log_of(storage), KEEP_ONE)
        retire_pass(storage, log_of(storage), KEEP_ONE)

    counted = FaultyStorage(make())
    both(counted)
    assert counted.operations > 40
    for fail_at in places(counted.operations, every, mode):
        storage = make()
        with contextlib.suppress(IndexStoreError, SystemExit):
            both(FaultyStorage(storage, fail_at=fail_at, mode=mode))
        assert texts(storage) == {"text 4", "kept"}
        for version in versions(storage):
            texts(storage, version)
        both(storage)
        hours.forward(48)
        both(storage)
        state = log_of(storage).audit().state
        assert len(state.versions) == 2
        assert (
            len(state.purged) == 22
        )  # manifest, catalog and nine files of a shard, of two versions
        assert not state.forbidden_keys & keys(storage)
        assert not [key for key in keys(storage) if "/runs/" in key]


def test_an_unknown_outcome_deletes_nothing(storage: MemoryStorage, hours: Hours):
    retire_pass(storage, log_of(storage), KEEP_ONE)
    hours.forward(48)
    before = keys(storage)

    class Silent(FaultyStorage):
        def create(self, key: str, data: bytes) -> None:
            super().create(key, data)
            self.silent = True
            raise UnknownOutcomeError("reply lost")

        def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
            if getattr(self, "silent", False):
                raise UnknownOutcomeError("reply lost")
            return super().read(key, start=start, end=end)

    unlucky = Silent(storage)
    with pytest.raises(UnknownOutcomeError, match="reply lost"):
        purge_pass(unlucky, CommitLog(unlucky, COLLECTION), KEEP_ONE)
    assert {key for key in keys(storage) if "/log/" not in key} == {
        key for key in before if "/log/" not in key
    }


class Incomplete(FaultyStorage):
    """Lists less than there is."""

    def __init__(self, inner: Storage, hidden: str) -> None:
        super().__init__(inner)
        self.hidden = hidden

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        for entry in super().list(prefix, after=after):
            if self.hidden not in entry.key:
                yield entry


@pytest.mark.parametrize("hidden", ["/shards/", "/catalog/", "/versions/"])
def test_a_listing_that_lacks_files_in_use_stops_expiry(storage: MemoryStorage, hidden: str):
    lying = Incomplete(storage, hidden)
    with pytest.raises(UnfitStoreError, match=f"listing does not show docs{hidden}.*as it is"):
        retire_pass(lying, CommitLog(lying, COLLECTION), KEEP_ONE)
    assert len(versions(storage)) == 3


def test_a_listing_that_lacks_a_log_record_stops_expiry(storage: MemoryStorage):
    lying = Incomplete(storage, "/log/000000000003")
    with pytest.raises(CorruptArtifactError, match="the listing lacks record 3"):
        retire_pass(lying, CommitLog(lying, COLLECTION), KEEP_ONE)


def test_a_listing_without_the_clock_is_not_trusted(storage: MemoryStorage):
    lying = Incomplete(storage, "/runs/")
    with pytest.raises(UnfitStoreError, match="the listing lacks docs/runs/clock-n/now"):
        store_clock_ms(lying, COLLECTION, nonce="n")
    assert not [key for key in keys(storage) if "/runs/" in key]


@pytest.mark.parametrize("part", ["shards", "versions"])
def test_a_missing_file_in_use_stops_expiry(storage: MemoryStorage, part: str):
    second = versions(storage)[1]
    victim = log_of(storage).read().versions[second].manifest.key
    if part == "shards":
        victim = next(storage.list(f"{COLLECTION}/shards/")).key
    storage.delete(victim)
    with pytest.raises(CorruptArtifactError, match=victim):
        retire_pass(storage, log_of(storage), KEEP_ONE)
    assert len(versions(storage)) == 3


def test_a_gap_in_the_log_stops_expiry(storage: MemoryStorage):
    storage.delete(log_key(COLLECTION, 2))
    with pytest.raises(CorruptArtifactError, match=r"000002\.json is missing, later ones exist"):
        purge_pass(storage, log_of(storage), KEEP_ONE)


def test_a_retired_file_that_is_in_use_stops_expiry(storage: MemoryStorage):
    log = log_of(storage)
    state = log.read()
    victim = next(storage.list(f"{COLLECTION}/catalog/")).key
    log.append(state, KeyChange(kind=RecordKind.RETIRE, keys=(victim,)))
    with pytest.raises(CorruptArtifactError, match=f"{victim} is retired, but an open version"):
        purge_pass(storage, log_of(storage), RetentionPolicy(grace_ms=0))
    assert victim in keys(storage)


def test_a_missing_collection_is_named():
    with pytest.raises(NotFoundError, match="collection 'docs' does not exist"):
        retire_pass(MemoryStorage("none"), log_of(MemoryStorage("none")), KEEP_ONE)


def test_many_objects_are_retired_in_several_records(storage: MemoryStorage, hours: Hours):
    for number in range(MAX_KEYS + 5):
        storage.put(f"{COLLECTION}/catalog/orphan-{number:05d}", b"")
    hours.forward(30)
    seq = log_of(storage).read().seq
    result = retire_pass(storage, log_of(storage), KEEP_ONE)
    assert len(result.retired) > MAX_KEYS
    assert log_of(storage).read().seq == seq + 2
    hours.forward(30)
    assert len(purge_pass(storage, log_of(storage), KEEP_ONE).deleted) == len(result.retired)


def test_versions_without_files_of_their_own_are_retired_too(storage: MemoryStorage, hours: Hours):
    first, *_ = versions(storage)
    log = log_of(storage)
    manifest = log.read().versions[first].manifest
    # Its manifest was made anew just now, so that its age keeps every file of the version.
    for entry in list(storage.list(f"{COLLECTION}/")):
        if "/log/" not in entry.key:
            storage.put(entry.key, storage.read(entry.key))
    result = retire_pass(storage, log, KEEP_ONE)
    assert (result.versions, result.retired) == ((first,), ())
    assert manifest.key in keys(storage)
    hours.forward(30)
    assert manifest.key in {
        found.key for found in retire_pass(storage, log_of(storage), KEEP_ONE).retired
    }


def test_temporary_files_of_killed_writers_are_removed_from_a_folder(tmp_path: Path):
    storage = FolderStorage(tmp_path / "store")
    (tmp_path / "build").mkdir()
    add_version(storage, 1, tmp_path / "build")
    assert isinstance(storage, AbortsUploads)
    assert not isinstance(MemoryStorage("none"), AbortsUploads)
    old = tmp_path / "store" / COLLECTION / "catalog" / ".tmp-1-aa"
    young = tmp_path / "store" / COLLECTION / "shards" / ".tmp-1-bb"
    for path in (old, young):
        path.write_bytes(b"half")
    two_days_ago = time.time() - 48 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    assert purge_pass(storage, log_of(storage), KEEP_ONE).uploads == 1
    assert (old.exists(), young.exists()) == (False, True)


class Multipart(MemoryStorage):
    """A memory store with uploads in parts that nobody finished."""

    def __init__(self, objects: MemoryStorage, uploads: list[UnfinishedUpload], now: Hours) -> None:
        super().__init__("multipart", clock_ns=now)
        self.uploads = uploads
        for entry in objects.list(""):
            self.put(entry.key, objects.read(entry.key))

    def begin_upload(self, key: str, data: bytes) -> UnfinishedUpload:
        raise NotImplementedError(key, data)

    def unfinished_uploads(self) -> Iterator[UnfinishedUpload]:
        yield from list(self.uploads)

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        self.uploads.remove(upload)


def test_stale_uploads_in_parts_are_aborted(storage: MemoryStorage, hours: Hours):
    now_ms, hour_ms = hours.now // 1_000_000, 3_600_000
    old, young, other = (
        UnfinishedUpload(key=key, id=key, begun_ms=now_ms - age * hour_ms)
        for key, age in (("docs/shards/x", 25), ("docs/shards/y", 23), ("other/shards/z", 99))
    )
    multipart = Multipart(storage, [old, young, other], hours)
    assert purge_pass(multipart, log_of(multipart), KEEP_ONE).uploads == 1
    assert multipart.uploads == [young, other]


def test_an_empty_state_is_kept_whole(storage: MemoryStorage):
    assert log_of(storage).read() != LogState()
    result = retire_pass(storage, log_of(storage), RetentionPolicy(keep_last=10))
    assert (result.versions, result.retired) == ((), ())
