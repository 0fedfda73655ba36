"""Artifacts: read back before they are referred to, never overwritten by other bytes."""

from pathlib import Path

import pytest

from index_store.artifacts import (
    Artifact,
    check_file,
    measure,
    read_artifact,
    sha256_hex,
    store_artifact,
    verify_artifact,
)
from index_store.errors import CorruptArtifactError
from index_store.storage.base import Storage
from index_store.storage.faulty import FaultyStorage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage


@pytest.fixture(params=["folder", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return FolderStorage(tmp_path / "store")
    return MemoryStorage("artifacts")


class Careless(MemoryStorage):
    """Loses the last byte of what it is given."""

    def put(self, key: str, source: bytes | Path) -> None:
        data = source if isinstance(source, bytes) else source.read_bytes()
        super().put(key, data[:-1])


def test_bytes_and_files_are_stored_alike(storage: Storage, tmp_path: Path):
    data = bytes(range(256)) * 100_000
    (tmp_path / "source").write_bytes(data)
    one = store_artifact(storage, "a/one.bin", data)
    two = store_artifact(storage, "a/two.bin", tmp_path / "source")
    assert one == Artifact(key="a/one.bin", size_bytes=len(data), sha256=sha256_hex(data))
    assert (two.size_bytes, two.sha256) == (one.size_bytes, one.sha256)
    verify_artifact(storage, two)
    assert read_artifact(storage, one) == data


def test_what_is_there_already_is_not_written_again(storage: Storage):
    first = store_artifact(storage, "a/one.bin", b"content")
    counted = FaultyStorage(storage)
    counted.put = None  # type: ignore[method-assign, assignment]
    assert store_artifact(counted, "a/one.bin", b"content") == first


def test_other_bytes_are_never_overwritten(storage: Storage):
    first = store_artifact(storage, "a/one.bin", b"content")
    second = store_artifact(storage, "a/one.bin", b"other content")
    assert second.key == f"a/one-{sha256_hex(b'other content')}.bin"
    assert read_artifact(storage, first) == b"content"
    assert read_artifact(storage, second) == b"other content"
    assert store_artifact(storage, "a/one.bin", b"other content") == second


def test_a_damaged_object_named_by_its_hash_is_healed(storage: Storage):
    key = f"a/{sha256_hex(b'content')}.bin"
    storage.put(key, b"rotten")
    assert store_artifact(storage, key, b"content").key == key
    assert storage.read(key) == b"content"


def test_a_store_that_loses_bytes_is_noticed():
    with pytest.raises(CorruptArtifactError, match=r"a/b: expected 7 bytes, found 6"):
        store_artifact(Careless("careless"), "a/b", b"content")


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (b"contenT", "a/b: expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}"),
        (b"conten", "a/b: expected 7 bytes, found 6"),
        (b"", "a/b: expected 7 bytes, found 0"),
        (None, "a/b: expected 7 bytes, found nothing"),
    ],
)
def test_damage_is_named(storage: Storage, damaged: bytes | None, message: str):
    artifact = store_artifact(storage, "a/b", b"content")
    if damaged is None:
        storage.delete("a/b")
    else:
        storage.put("a/b", damaged)
    with pytest.raises(CorruptArtifactError, match=message):
        verify_artifact(storage, artifact)
    with pytest.raises(CorruptArtifactError, match=message):
        read_artifact(storage, artifact)


def test_local_files_are_checked_by_size_or_hash(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    artifact = measure("a/b", path)
    check_file(path, artifact, verify=True)
    path.write_bytes(b"contenT")
    check_file(path, artifact, verify=False)
    with pytest.raises(CorruptArtifactError, match="a/b: expected sha256"):
        check_file(path, artifact, verify=True)
    path.write_bytes(b"longer content")
    with pytest.raises(CorruptArtifactError, match="a/b: expected 7 bytes, found 14"):
        check_file(path, artifact, verify=False)
    path.unlink()
    with pytest.raises(CorruptArtifactError, match="a/b: expected 7 bytes, found No such file"):
        check_file(path, artifact, verify=False)


def test_a_retired_key_is_never_used_again():
    storage = MemoryStorage("avoid")
    data = b"bytes"
    named, hashed = "docs/shards/a/index.faiss", f"docs/catalog/{sha256_hex(data)}.parquet"
    assert store_artifact(storage, named, data).key == named
    assert store_artifact(storage, hashed, data).key == hashed
    beside = f"docs/shards/a/index-{sha256_hex(data)}"
    assert store_artifact(storage, named, data, avoid={named}).key == f"{beside}.faiss"
    avoid = {named, f"{beside}.faiss", hashed}
    assert store_artifact(storage, named, data, avoid=avoid).key == f"{beside}-1.faiss"
    numbered = store_artifact(storage, hashed, data, avoid=avoid)
    assert numbered.key == f"docs/catalog/{sha256_hex(data)}-1.parquet"
    assert store_artifact(storage, hashed, data, avoid=avoid) == numbered
    assert store_artifact(storage, hashed, data, avoid={*avoid, numbered.key}).key.endswith(
        "-2.parquet"
    )
