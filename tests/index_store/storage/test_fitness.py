"""Honest stores are found fit, and each way of lying is found out and named."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from index_store.errors import (
    ConflictError,
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
    """Shows an object while it is written."""

    def put(self, key: str, source: bytes | Path) -> None:
        data = source if isinstance(source, bytes) else source.read_bytes()
        for end in range(len(data) // 9 + 1, len(data), len(data) // 9 + 1):
            super().put(key, data[:end])
        super().put(key, data)


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
