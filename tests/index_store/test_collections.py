"""Collections: which there are, and how each stands."""

from pathlib import Path

import pytest

from index_store.collections import check_format, collection_status, ensure_format, list_collections
from index_store.errors import CorruptArtifactError, NotFoundError, UsageError
from index_store.layout import check_collection, format_key
from index_store.publisher import promote
from index_store.storage.base import Storage
from index_store.storage.faulty import FaultyStorage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import commit_log, publish_documents


@pytest.fixture(params=["folder", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return FolderStorage(tmp_path / "store")
    return MemoryStorage("collections")


def test_an_empty_store_has_no_collections(storage: Storage):
    assert list_collections(storage) == []


def test_collections_are_listed_and_other_things_are_not(storage: Storage):
    for name in ("b", "a", "a-b", "a.b", "a0"):
        ensure_format(storage, name)
        storage.put(f"{name}/log/000000000001.json", b"x")
    storage.put("embeddings/format.json", b"x")
    storage.put("Upper/format.json", b"x")
    storage.put("other/file", b"x")
    storage.put("file-at-the-top", b"x")
    storage.put("c/format.json.old", b"x")
    assert list_collections(storage) == ["a", "a-b", "a.b", "a0", "b"]


def test_listing_costs_a_few_operations_per_collection():
    inner = MemoryStorage("cost")
    for name in ("a", "b", "c"):
        ensure_format(inner, name)
        for number in range(200):
            inner.put(f"{name}/shards/{number}/index.faiss", b"x")
    counted = FaultyStorage(inner)
    assert list_collections(counted) == ["a", "b", "c"]
    assert counted.operations == 7


def test_making_a_collection_twice_is_harmless(storage: Storage):
    ensure_format(storage, "docs")
    before = storage.read(format_key("docs"))
    ensure_format(storage, "docs")
    assert storage.read(format_key("docs")) == before


@pytest.mark.parametrize(
    "name", ["", "Docs", "-docs", ".docs", "a/b", "é", "a" * 129, "embeddings"]
)
def test_names_are_checked(storage: Storage, name: str):
    with pytest.raises(UsageError, match="collection name .* must match"):
        check_collection(name)
    with pytest.raises(UsageError, match="collection name"):
        ensure_format(storage, name)


def test_a_newer_or_damaged_collection_is_refused(storage: Storage):
    storage.put("docs/format.json", b'{"format": "nightpress", "format_version": 2}')
    with pytest.raises(UsageError, match="docs was made by a newer nightpress"):
        check_format(storage, "docs")
    storage.put("docs/format.json", b'{"format": "other", "format_version": "1"}')
    with pytest.raises(CorruptArtifactError, match=r"docs/format\.json: format: .*; format_vers"):
        ensure_format(storage, "docs")


def test_the_status_of_a_version_tells_what_it_holds(storage: Storage, tmp_path: Path):
    one = publish_documents(storage, {"a": ["alpha", "beta"]}, tmp_path)
    promote(commit_log(storage), one.version)
    two = publish_documents(storage, {"b": ["gamma"]}, tmp_path, run="two")
    status = collection_status(storage, "docs", now_ms=1_700_000_100_000)
    assert status.channels == {"candidate": two.version, "production": one.version}
    assert (status.name, status.versions, status.version) == ("docs", 2, one.version)
    assert status.age_ms == 1_700_000_100_000 - (status.published_at_ms or 0) > 0
    assert status.counts is not None
    assert status.counts.chunks_live == 2
    assert status.shards == 1
    assert status.embedder == "test/hashed"
    folders = {entry.key: entry.size_bytes for entry in storage.list("docs/")}
    assert 0 < status.size_bytes < sum(folders.values())


def test_the_status_before_the_first_version_is_empty(storage: Storage):
    ensure_format(storage, "docs")
    status = collection_status(storage, "docs", now_ms=0)
    assert status.version is None
    assert status.counts is None
    assert status.age_ms is None
    assert status.size_bytes == status.versions == 0


def test_a_clock_that_is_behind_gives_age_zero(storage: Storage, tmp_path: Path):
    publish_documents(storage, {"a": ["alpha"]}, tmp_path)
    assert collection_status(storage, "docs", now_ms=0).age_ms == 0


def test_an_unknown_collection_is_named(storage: Storage):
    with pytest.raises(NotFoundError, match="collection 'docs' does not exist"):
        collection_status(storage, "docs", now_ms=0)


class Overtaken(MemoryStorage):
    """Somebody else makes the collection just before this process does."""

    def create(self, key: str, data: bytes) -> None:
        super().create(key, data)
        super().create(key, data)


def test_a_collection_that_another_run_makes_first_is_used():
    storage = Overtaken("overtaken")
    ensure_format(storage, "docs")
    check_format(storage, "docs")
