"""Honest stores are found fit, and each way of lying is found out and named."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from index_store.errors import (
    ConflictError,
    NotFoundError,
    TransientError,
    UnfitStoreError,
)
from index_store.storage.base import Storage, StoredObject
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.fitness import CHECK_FOLDER, check_store
from index_store.storage.fitness_trials import Trial
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from index_store.storage.remote import RemoteStorage
from index_store.storage.remote_uploads import UnfinishedUpload
from tests.support.below import Below
from tests.support.s3_servers import S3Server

CREATES = "an object that exists is not created again"
RACES = "of writers that create one object together one wins"
EMPTY = "empty objects exist"
READS = "reads show what was written last"
LISTS = "listings show what was written last"
MIXES = "objects that are overwritten are never mixed"
LARGE = "large objects appear whole"
RANGES = "ranges are what was asked for"
NAMES = "names are kept as they are"
UPLOADS = "uploads that are given up stay invisible"


class IgnoresConditions(Below):
    def create(self, key: str, data: bytes) -> None:
        self.put(key, data)


class RefusesAndReplaces(Below):
    def create(self, key: str, data: bytes) -> None:
        try:
            super().create(key, data)
        except ConflictError:
            self.put(key, data)
            raise


class ForgetsEmptyObjects(Below):
    def create(self, key: str, data: bytes) -> None:
        if data:
            super().create(key, data)


class ListsLate(Below):
    """Leaves out the object that was written last."""

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        yield from list(super().list(prefix, after=after))[:-1]


class ReadsStale(Below):
    """Goes on showing the first bytes of an object."""

    def __init__(self, inner: Storage, prefix: str) -> None:
        super().__init__(inner, prefix)
        self.first: dict[str, bytes] = {}

    def put(self, key: str, source: bytes | Path) -> None:
        super().put(key, source)
        self.first.setdefault(key, super().read(key))

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        super().read(key)
        return self.first[key][start:end] if key in self.first else super().read(key)[start:end]


class ShowsHalf(Below):
    """Shows a large object before it is whole, until somebody looked at it."""

    def __init__(self, inner: Storage, prefix: str) -> None:
        super().__init__(inner, prefix)
        self.looked = threading.Event()

    def put(self, key: str, source: bytes | Path) -> None:
        if isinstance(source, bytes) and len(source) > 1 << 20:
            self.looked.clear()
            super().put(key, source[: len(source) // 2])
            self.looked.wait(10)
        super().put(key, source)

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        found = list(super().list(prefix, after=after))
        self.looked.set()
        yield from found

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        self.looked.set()
        return super().read(key, start=start, end=end)


class ChangesLargeObjects(Below):
    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        body = super().read(key, start=start, end=end)
        return body if len(body) < 1 << 20 else body[::-1]


class ReadsBehindItsBack(Below):
    """Refuses to read an object that was overwritten; `error` is what it says."""

    error: Exception = NotFoundError("object vanished")

    def __init__(self, inner: Storage, prefix: str) -> None:
        super().__init__(inner, prefix)
        self.written: Counter[str] = Counter()

    def put(self, key: str, source: bytes | Path) -> None:
        super().put(key, source)
        self.written[key] += 1

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        if self.written[key] > 2:
            raise self.error
        return super().read(key, start=start, end=end)


class FailsWhileOverwritten(ReadsBehindItsBack):
    error = TransientError("torn")


class InventsObjects(Below):
    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        try:
            return super().read(key, start=start, end=end)
        except NotFoundError:
            return b""


class ListsEverything(Below):
    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        yield from super().list(prefix, after=after[:0])


class StoresAnother(Below):
    def create(self, key: str, data: bytes) -> None:
        super().create(key, data)
        self.put(key, b"another")


class HidesEmptyObjects(Below):
    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        yield from (entry for entry in super().list(prefix, after=after) if entry.size_bytes)


class MissesEnds(Below):
    """Takes a range without an end for one that ends early."""

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        body = super().read(key, start=start, end=end)
        return body[:-1] if end is None and start else body


class ReadsBeyond(Below):
    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        body = super().read(key, start=start, end=end)
        return body or (b"?" if end == start + 1 else b"")


class OneForAll(Below):
    """Keeps the names and mixes up what they stand for."""

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return super().read(key.replace("a+b", "a b"), start=start, end=end)


class ShowsUploads(Below):
    def begin_upload(self, key: str, data: bytes) -> UnfinishedUpload:
        self.put(key, data)
        return UnfinishedUpload(key=key, id="1", begun_ms=0)

    def unfinished_uploads(self) -> Iterator[UnfinishedUpload]:
        yield from ()

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        self.delete(upload.key)


class MixesBodies(Below):
    """Shows the beginning of what was there before."""

    def __init__(self, inner: Storage, prefix: str) -> None:
        super().__init__(inner, prefix)
        self.before: dict[str, bytes] = {}

    def put(self, key: str, source: bytes | Path) -> None:
        if any(entry.key == key for entry in self.list(key)):
            self.before[key] = super().read(key)
        super().put(key, source)

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        body, before = super().read(key), self.before.get(key, b"")
        half = len(before) // 2 if len(before) == len(body) else 0
        return (before[:half] + body[half:])[start:end]


class MissesRanges(Below):
    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return super().read(key, start=start, end=None if end is None else end + 1)


class DecodesNames(Below):
    def put(self, key: str, source: bytes | Path) -> None:
        super().put(key.replace("+", " "), source)

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return super().read(key.replace("+", " "), start=start, end=end)


class KeepsWhatWasDeleted(Below):
    def delete(self, key: str) -> None:
        """Do nothing."""


LIARS: list[tuple[type[Below], str]] = [
    (IgnoresConditions, CREATES),
    (IgnoresConditions, RACES),
    (IgnoresConditions, EMPTY),
    (RefusesAndReplaces, CREATES),
    (RefusesAndReplaces, RACES),
    (ForgetsEmptyObjects, EMPTY),
    (ReadsStale, READS),
    (ListsLate, LISTS),
    (MixesBodies, MIXES),
    (ShowsHalf, LARGE),
    (MissesRanges, RANGES),
    (DecodesNames, NAMES),
    (KeepsWhatWasDeleted, READS),
    (KeepsWhatWasDeleted, LISTS),
    (ChangesLargeObjects, LARGE),
    (ReadsBehindItsBack, MIXES),
    (FailsWhileOverwritten, MIXES),
    (InventsObjects, READS),
    (ListsEverything, LISTS),
    (StoresAnother, RACES),
    (HidesEmptyObjects, EMPTY),
    (MissesEnds, RANGES),
    (ReadsBeyond, RANGES),
    (OneForAll, NAMES),
    (ShowsUploads, UPLOADS),
]


def everything(storage: Storage) -> list[str]:
    return [entry.key for entry in storage.list("")]


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_honest_stores_of_this_machine_are_fit(kind: str, tmp_path: Path):
    stores: dict[str, Callable[[], Storage]] = {
        "folder": lambda: FolderStorage(tmp_path / "store"),
        "memory": lambda: MemoryStorage("fit"),
    }
    storage = stores[kind]()
    report = check_store(storage)
    assert report.broken == ()
    assert report.fit
    assert everything(storage) == []
    assert list(tmp_path.glob("store/*")) == []


@pytest.mark.parametrize("name", ["moto_server", "seaweedfs_server"])
def test_honest_servers_are_fit(name: str, request: pytest.FixtureRequest):
    server: S3Server = request.getfixturevalue(name)
    storage = RemoteStorage(server.url(uuid4().hex), server.options())
    report = check_store(storage)
    assert report.broken == ()
    assert report.seconds < 30
    assert everything(storage) == []
    assert list(storage.unfinished_uploads()) == []


@pytest.mark.parametrize("name", ["rclone_server", "juicefs_server", "s3rver_server"])
def test_dishonest_servers_are_found_out(name: str, request: pytest.FixtureRequest):
    server: S3Server = request.getfixturevalue(name)
    storage = RemoteStorage(server.url(uuid4().hex), server.options())
    report = check_store(storage)
    assert {CREATES, RACES} <= {check.name for check in report.checks if not check.passed}
    assert everything(storage) == []


@pytest.mark.parametrize(("liar", "promise"), LIARS)
def test_every_lie_is_found_out_and_named(liar: type[Below], promise: str):
    report = check_store(liar(MemoryStorage("liar"), ""))
    broken = {check.name: check.detail for check in report.checks if not check.passed}
    assert broken.get(promise)
    assert not report.fit


def test_what_the_store_says_itself_is_told(tmp_path: Path):
    class WithoutLinks(Below):
        def create(self, key: str, data: bytes) -> None:
            raise UnfitStoreError(f"store has no hard links for {key} of {len(data)} bytes")

    report = check_store(WithoutLinks(FolderStorage(tmp_path), ""))
    assert any("store has no hard links" in told for told in report.broken)


def test_a_store_that_cannot_be_reached_is_neither_fit_nor_unfit():
    for number in range(1, 12):
        storage = MemoryStorage("unreachable")
        with pytest.raises(TransientError, match=r"on purpose"):
            check_store(FaultyStorage(storage, fail_at=number))
        assert everything(storage) == []


def test_a_lost_reply_makes_no_store_unfit():
    broke_off = 0
    for number in range(1, 12):
        storage = FaultyStorage(MemoryStorage("lost"), fail_at=number, mode=FaultMode.LOST_REPLY)
        try:
            assert check_store(storage).broken == ()
        except TransientError:
            broke_off += 1
    assert broke_off > 0


def test_rounds_end_when_the_store_is_slow():
    ticks = iter(range(0, 100, 3))
    slow = Trial(storage=MemoryStorage("slow"), prefix="", clock_s=lambda: float(next(ticks)))
    assert list(slow.rounds(20)) == [0, 1]
    quick = Trial(storage=MemoryStorage("quick"), prefix="", clock_s=lambda: 0.0)
    assert list(quick.rounds(20)) == list(range(20))


def test_everything_lies_in_one_folder_of_its_own():
    seen: list[str] = []

    class Watched(Below):
        def put(self, key: str, source: bytes | Path) -> None:
            seen.append(key)
            super().put(key, source)

        def create(self, key: str, data: bytes) -> None:
            seen.append(key)
            super().create(key, data)

    check_store(Watched(MemoryStorage("watched"), ""), nonce=lambda: "abc")
    assert seen
    assert all(key.startswith(f"{CHECK_FOLDER}abc/") for key in seen)
