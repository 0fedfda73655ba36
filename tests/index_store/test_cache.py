"""The cache downloads only what it lacks, never gives wrong bytes, never takes what is used."""

import os
import threading
from itertools import count
from pathlib import Path

import pytest

from index_store import cache as cache_module
from index_store.artifacts import Artifact, check_file, measure
from index_store.cache import NOTES, TRUSTED_MS, CacheOptions, LocalCache
from index_store.errors import CorruptArtifactError, TransientError
from index_store.publisher import promote
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import COLLECTION, commit_log, publish_documents, vector
from tests.support.metered_storage import MeteredStorage

DOCUMENTS = {f"doc{number}.txt": [f"text {number} part {part}" for part in range(4)]
             for number in range(20)}  # fmt: skip


NOW_MS = 1_700_000_000_000


def store_of(**objects: bytes) -> tuple[MeteredStorage, dict[str, Artifact]]:
    storage = MeteredStorage(MemoryStorage("cached"))
    for name, data in objects.items():
        storage.put(name, data)
    return storage, {name: measure(name, data) for name, data in objects.items()}


def cache_in(folder: Path, limit_bytes: int = 1 << 20, now_ms: int = NOW_MS) -> LocalCache:
    ticks = count(now_ms)
    return LocalCache(
        CacheOptions(folder=folder, limit_bytes=limit_bytes), clock_ms=lambda: next(ticks)
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def copied_files(snapshot: Snapshot) -> set[str]:
    """Return the hashes of what is copied: the files of the shards, and the manifest."""
    artifacts = snapshot.manifest.artifacts
    files = {artifact.sha256 for artifact in artifacts if "/shards/" in artifact.key}
    return {*files, snapshot.version}


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_an_artifact_is_downloaded_once_and_named_by_its_hash(tmp_path: Path):
    storage, known = store_of(a=b"x" * 1000)
    cache = cache_in(tmp_path / "deep" / "cache")
    for _ in range(3):
        lease = cache.lease(storage, known["a"])
        assert lease.path.read_bytes() == b"x" * 1000
        lease.close()
        lease.close()
    assert lease.path == tmp_path / "deep" / "cache" / known["a"].sha256
    assert cache_in(tmp_path / "deep" / "cache").lease(storage, known["a"]).path == lease.path
    assert storage.read_bytes == 1000


def test_an_empty_artifact_is_a_copy_like_any_other(tmp_path: Path):
    storage, known = store_of(a=b"")
    assert cache_in(tmp_path).lease(storage, known["a"]).path.read_bytes() == b""


@pytest.mark.parametrize("stored", [b"x" * 999, b"x" * 1001, b"y" * 1000, None])
def test_wrong_bytes_are_never_kept(tmp_path: Path, stored: bytes | None):
    storage, known = store_of(a=b"x" * 1000)
    if stored is None:
        storage.delete("a")
    else:
        storage.put("a", stored)
    with pytest.raises(CorruptArtifactError, match="a: expected"):
        cache_in(tmp_path).lease(storage, known["a"])
    assert names(tmp_path) == set()


def test_the_least_recently_used_copies_go_when_the_budget_is_spent(tmp_path: Path):
    storage, known = store_of(a=b"a" * 400, b=b"b" * 400, c=b"c" * 400)
    cache = cache_in(tmp_path, limit_bytes=1000)
    for name in ("a", "b", "a", "c"):
        cache.lease(storage, known[name]).close()
    assert names(tmp_path) == {known["a"].sha256, known["c"].sha256}


def test_a_copy_in_use_stays_whatever_the_budget_says(tmp_path: Path):
    storage, known = store_of(a=b"a" * 400, b=b"b" * 400)
    held = cache_in(tmp_path, limit_bytes=500).lease(storage, known["a"])
    other = cache_in(tmp_path, limit_bytes=500)
    other.lease(storage, known["b"]).close()
    assert names(tmp_path) == {known["a"].sha256, known["b"].sha256}
    held.close()
    assert other.evict(needed_bytes=500) == 0
    assert names(tmp_path) == set()


def test_left_overs_of_killed_downloads_are_removed(tmp_path: Path):
    storage, known = store_of(a=b"a" * 400, b=b"b" * 400)
    for artifact in known.values():
        (tmp_path / f".tmp-{artifact.sha256}").write_bytes(b"half of it")
    cache_in(tmp_path).lease(storage, known["a"]).close()
    assert names(tmp_path) == {known["a"].sha256}
    assert storage.read_bytes == 400


@pytest.mark.parametrize("same_process", [True, False])
def test_a_damaged_copy_is_noticed_and_downloaded_again(tmp_path: Path, *, same_process: bool):
    storage, known = store_of(a=bytes(range(250)) * 4)
    cache = cache_in(tmp_path)
    cache.lease(storage, known["a"]).close()
    damage(tmp_path / known["a"].sha256)
    later = cache if same_process else cache_in(tmp_path)
    assert later.lease(storage, known["a"]).path.read_bytes() == bytes(range(250)) * 4
    assert storage.read_bytes == 2000


def test_damage_that_leaves_no_trace_is_noticed_by_the_next_process(tmp_path: Path):
    storage, known = store_of(a=bytes(range(250)) * 4)
    cache_in(tmp_path).lease(storage, known["a"]).close()
    copy = tmp_path / known["a"].sha256
    status = copy.stat()
    damage(copy)
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    lease = cache_in(tmp_path).lease(storage, known["a"])
    assert lease.path.read_bytes() == bytes(range(250)) * 4


def test_a_copy_is_hashed_again_after_a_day_or_when_anything_touched_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hashed: list[Path] = []

    def counted(path: Path, artifact: Artifact, *, verify: bool) -> None:
        hashed.append(path)
        check_file(path, artifact, verify=verify)

    monkeypatch.setattr(cache_module, "check_file", counted)
    storage, known = store_of(a=b"a" * 400)
    copy = tmp_path / known["a"].sha256

    def leased(after_ms: int) -> int:
        hashed.clear()
        cache_in(tmp_path, now_ms=NOW_MS + after_ms).lease(storage, known["a"]).close()
        return len(hashed)

    leased(0)
    assert leased(1000) == 0, "noted when it was downloaded"
    status = copy.stat()
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert leased(2000) == 1, "its change time is another"
    assert leased(3000) == 0
    assert leased(3000 + TRUSTED_MS) == 1
    assert leased(4000) == 1, "noted in a future that this clock does not know"
    (tmp_path / NOTES / copy.name).write_text('{"file": [')
    assert leased(5000) == 1, "a note that is being written"
    assert storage.read_bytes == 400


def test_a_note_that_cannot_be_written_costs_a_comparison_and_no_copy(tmp_path: Path):
    (tmp_path / NOTES).write_bytes(b"in the way")
    storage, known = store_of(a=b"a" * 400, b=b"b" * 400)
    for _ in range(2):
        lease = cache_in(tmp_path, limit_bytes=900).lease(storage, known["a"])
        assert lease.path.read_bytes() == b"a" * 400
        lease.close()
    assert storage.read_bytes == 400
    cache_in(tmp_path, limit_bytes=500).lease(storage, known["b"]).close()
    assert known["a"].sha256 not in names(tmp_path)


def test_a_damaged_copy_is_not_served_when_the_store_cannot_give_another(tmp_path: Path):
    storage, known = store_of(a=b"a" * 400)
    cache = cache_in(tmp_path)
    cache.lease(storage, known["a"]).close()
    storage.delete("a")
    cache.lease(storage, known["a"]).close()
    damage(tmp_path / known["a"].sha256)
    with pytest.raises(CorruptArtifactError, match="a: expected 400 bytes, found nothing"):
        cache.lease(storage, known["a"])


def test_who_has_a_copy_mapped_keeps_its_bytes_when_it_is_removed(tmp_path: Path):
    storage, known = store_of(a=b"a" * 400)
    cache = cache_in(tmp_path)
    lease = cache.lease(storage, known["a"])
    with lease.path.open("rb") as mapped:
        lease.close()
        assert cache.evict(needed_bytes=1 << 20) == 0
        cache.lease(storage, known["a"]).close()
        assert mapped.read() == b"a" * 400


def test_threads_share_one_download(tmp_path: Path):
    storage, known = store_of(a=b"a" * 100_000)
    cache = cache_in(tmp_path)
    found: list[bytes] = []

    def read() -> None:
        lease = cache.lease(storage, known["a"])
        found.append(lease.path.read_bytes())
        lease.close()

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"a" * 100_000] * 8
    assert storage.read_bytes == 100_000


def test_a_folder_that_is_a_file_is_told(tmp_path: Path):
    storage, known = store_of(a=b"a")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TransientError, match=r"copy of a in .*file: "):
        cache_in(tmp_path / "file").lease(storage, known["a"])
    with pytest.raises(TransientError, match=r"cache .*file: "):
        cache_in(tmp_path / "file").evict()


def test_a_reader_that_has_the_parent_downloads_only_what_is_new(tmp_path: Path):
    storage = MeteredStorage(MemoryStorage("delta"))
    cache = cache_in(tmp_path / "cache", limit_bytes=1 << 30)
    options = SnapshotOptions(cache=cache)
    publish_documents(storage, DOCUMENTS, tmp_path, run="run-1")
    with Snapshot.open(storage, COLLECTION, channel="candidate", options=options) as snapshot:
        assert snapshot.rows == 80
    publish_documents(storage, DOCUMENTS, tmp_path, run="run-2", dead=[1, 2, 3])
    storage.reads.clear()
    with Snapshot.open(storage, COLLECTION, channel="candidate", options=options) as snapshot:
        assert snapshot.rows == 77
        new = snapshot.manifest.shards[0].deletions
    assert new is not None
    assert not [key for key in storage.reads if "/shards/" in key]
    assert set(storage.reads) >= {new.key}
    storage.reads.clear()
    with Snapshot.open(storage, COLLECTION, channel="candidate", options=options):
        assert not [key for key in storage.reads if "/shards/" in key or "/deletions/" in key]


def test_a_snapshot_is_whole_whatever_was_in_the_cache(tmp_path: Path):
    storage = MeteredStorage(MemoryStorage("whole"))
    options = SnapshotOptions(cache=cache_in(tmp_path / "cache"))
    done = publish_documents(storage, DOCUMENTS, tmp_path)
    promote(commit_log(storage), done.version)
    with Snapshot.open(storage, COLLECTION, options=options) as snapshot:
        expected = snapshot.nearest(vector("x"), 5)
    for path in filter(Path.is_file, (tmp_path / "cache").iterdir()):
        damage(path)
    with Snapshot.open(storage, COLLECTION, options=options) as snapshot:
        assert snapshot.nearest(vector("x"), 5) == expected


def test_an_open_snapshot_keeps_its_copies_until_it_is_closed(tmp_path: Path):
    storage = MeteredStorage(MemoryStorage("open"))
    cache = cache_in(tmp_path / "cache")
    publish_documents(storage, DOCUMENTS, tmp_path)
    options = SnapshotOptions(cache=cache)
    with Snapshot.open(storage, COLLECTION, channel="candidate", options=options) as snapshot:
        assert cache.evict(needed_bytes=1 << 20) > 0
        assert names(tmp_path / "cache") == copied_files(snapshot)
    assert cache.evict(needed_bytes=1 << 20) == 0


def test_files_of_a_folder_are_copied_only_when_asked(tmp_path: Path):
    storage = FolderStorage(tmp_path / "store")
    publish_documents(storage, DOCUMENTS, tmp_path)
    for copy_folders in (False, True):
        folder = tmp_path / f"cache-{copy_folders}"
        folder.mkdir()
        cache = LocalCache(CacheOptions(folder=folder, copy_folders=copy_folders))
        options = SnapshotOptions(cache=cache)
        with Snapshot.open(storage, COLLECTION, channel="candidate", options=options) as snapshot:
            assert names(folder) == (copied_files(snapshot) if copy_folders else set())


def test_copies_that_are_damaged_again_and_again_are_given_up(tmp_path: Path):
    storage, known = store_of(a=b"a" * 400)
    cache = cache_in(tmp_path)
    rename = Path.rename

    def damaged(self: Path, target: Path) -> Path:
        done = rename(self, target)
        damage(done)
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", damaged)
        with pytest.raises(TransientError, match="removed or damaged again 20 times"):
            cache.lease(storage, known["a"])
    assert cache.lease(storage, known["a"]).path.read_bytes() == b"a" * 400
