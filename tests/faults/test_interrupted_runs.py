"""A run that breaks off at any operation of the store leaves the old version or the new one.

The same command typed again then comes to what an uninterrupted run would have come to, without
parsing or embedding again what was stored.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest

from index_store.embedders.hashing import HashingEmbedder
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError, IndexStoreError, NotFoundError
from index_store.storage.base import Storage
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.memory import MemoryStorage
from tasks.stages.run_options import RunOptions
from tests.support.plain_run import run_plainly
from tests.support.small_sources import (
    BROKEN_PDF,
    COLLECTION,
    DIMENSION,
    Searchable,
    again,
    options_for,
    pdf,
    prose,
    searchable,
    texts_of,
    trusted,
    write,
)
from tests.support.sweeps import places, sampled

NOTHING: Searchable = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A night that can be begun as often as one likes."""

    options: RunOptions
    before: MemoryStorage
    old: Searchable
    new: Searchable
    texts: int  # distinct texts whose vectors are stored after it
    operations: int

    def store(self) -> MemoryStorage:
        return copied(self.before)


def copied(storage: Storage) -> MemoryStorage:
    copy = trusted("copy")
    for entry in storage.list(""):
        copy.put(entry.key, storage.read(entry.key))
    return copy


def stored_texts(storage: Storage) -> int:
    """Number of stored vectors; a text that was embedded and stored twice counts twice."""
    store = EmbeddingStore(storage, HashingEmbedder(DIMENSION).spec.id, DIMENSION)
    store.refresh()
    return store.texts


def what_readers_find(storage: Storage) -> Searchable:
    try:
        return searchable(storage)
    except NotFoundError:
        return NOTHING


def parsed(storage: Storage) -> dict[str, float]:
    """Seconds of parsing by document, of all finished batches of unfinished runs."""
    return {
        document["uri"]: document["seconds"]
        for entry in storage.list(f"{COLLECTION}/runs/")
        if "/parsed/" in entry.key and entry.key.endswith(".json")
        for document in orjson.loads(storage.read(entry.key))["documents"]
    }


class Witness:
    """A store that remembers how long the documents of every checkpoint took."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.seen: dict[str, float] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def delete(self, key: str) -> None:
        if "/parsed/" in key and key.endswith(".json"):
            documents = orjson.loads(self.inner.read(key))["documents"]
            self.seen |= {document["uri"]: document["seconds"] for document in documents}
        self.inner.delete(key)


def night(source: Path, before: MemoryStorage) -> Night:
    storage = FaultyStorage(copied(before))
    options = options_for(source)
    run_plainly(options, storage)
    return Night(
        options=options,
        before=before,
        old=what_readers_find(before),
        new=searchable(storage),
        texts=stored_texts(storage),
        operations=storage.operations,
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("source")


@pytest.fixture(scope="module")
def first_night(source: Path) -> Night:
    for number in range(10):
        write(source / f"{number}.txt", prose(f"topic {number}"))
    write(source / "bad.pdf", BROKEN_PDF)
    return night(source, trusted("empty"))


@pytest.fixture(scope="module")
def later_night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    source = tmp_path_factory.mktemp("later")
    for number in range(10):
        write(source / f"{number}.txt", prose(f"topic {number}"))
    before = trusted("before")
    run_plainly(options_for(source), before)
    for number in range(6):
        write(source / f"more {number}.txt", prose(f"added topic {number}"))
    write(source / "0.txt", prose("changed topic"))
    (source / "1.txt").rename(source / "moved.txt")
    (source / "2.txt").unlink()
    return night(source, before)


@pytest.fixture(scope="module")
def other_embedder(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A night with another embedder, on which a document changed and another one broke."""
    source = tmp_path_factory.mktemp("other")
    for number in range(10):
        write(source / f"{number}.txt", prose(f"topic {number}"))
    write(source / "rules.pdf", pdf(prose("rules")))
    before, options = trusted("other-before"), options_for(source)
    earlier = replace(options.embed, spec=f"hashing:{DIMENSION // 2}", dimension=None)
    run_plainly(replace(options, embed=earlier), before)
    write(source / "0.txt", prose("changed topic"))
    write(source / "rules.pdf", BROKEN_PDF)
    return night(source, before)


@contextlib.contextmanager
def broken_off() -> Iterator[None]:
    with contextlib.suppress(SystemExit, IndexStoreError):
        yield


@sampled(31)
@pytest.mark.parametrize("mode", FaultMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    "which",
    ["first_night", "later_night", pytest.param("other_embedder", marks=pytest.mark.soak)],
)
def test_a_fault_anywhere_leaves_old_or_new_and_the_next_run_heals(
    which: str, mode: FaultMode, every: int, request: pytest.FixtureRequest
):
    told: Night = request.getfixturevalue(which)
    assert told.old != told.new
    for place in places(told.operations, every, mode):
        store = told.store()
        with broken_off():
            run_plainly(again(told.options), FaultyStorage(store, fail_at=place, mode=mode))
        assert what_readers_find(store) in (told.old, told.new), f"half a version at {place}"
        finished = parsed(store)
        witness = Witness(store)
        report = run_plainly(again(told.options), witness)
        assert searchable(store) == told.new, f"not healed after a fault at {place}"
        assert report.promoted
        assert stored_texts(store) == told.texts, f"embedded again after a fault at {place}"
        for uri in finished.keys() & witness.seen.keys():
            assert witness.seen[uri] == finished[uri], f"{uri} parsed again after {place}"


def test_a_finished_run_leaves_no_checkpoints_and_is_not_done_again(first_night: Night):
    store = first_night.store()
    run_plainly(again(first_night.options), store)
    assert not list(store.list(f"{COLLECTION}/runs/"))
    before = {entry.key for entry in store.list("")}
    assert run_plainly(again(first_night.options), store).unchanged
    assert {entry.key for entry in store.list("")} == before


def test_replaced_text_is_gone_from_the_moment_the_new_version_is_read(later_night: Night):
    assert texts_of(later_night.old) - texts_of(later_night.new)


def test_damage_to_a_shard_stops_the_run_before_anything_is_published(later_night: Night):
    store = later_night.store()
    known = {entry.key for entry in store.list(f"{COLLECTION}/log/")}
    key = next(e.key for e in store.list(f"{COLLECTION}/shards/") if e.key.endswith(".faiss"))
    whole = store.read(key)
    store.put(key, whole[:-1] + bytes([whole[-1] ^ 0xFF]))
    with pytest.raises(CorruptArtifactError, match="index.faiss: expected sha256"):
        run_plainly(again(later_night.options), store)
    assert {entry.key for entry in store.list(f"{COLLECTION}/log/")} == known
    store.put(key, whole)
    run_plainly(again(later_night.options), store)
    assert searchable(store) == later_night.new


def test_a_rebuild_heals_a_damaged_shard(first_night: Night):
    store = first_night.store()
    run_plainly(again(first_night.options), store)
    key = next(e.key for e in store.list(f"{COLLECTION}/shards/") if e.key.endswith(".faiss"))
    store.put(key, b"damaged")
    full = replace(first_night.options, change=replace(first_night.options.change, full=True))
    assert run_plainly(again(full), store).promoted
    assert searchable(store) == first_night.new
