"""What every storage backend must pass: subclass `StorageContract`, add a `storage` fixture."""

import threading
from pathlib import Path

import pytest

from index_store.errors import ConflictError, NotFoundError, UsageError
from index_store.storage.base import Storage

BAD_KEYS = [
    "",
    "/a",
    "a/",
    "a//b",
    "../a",
    "a/../b",
    "a/./b",
    "a\0b",
    "a\\b",
    "a/.tmp-x",
    "k" * 1025,
]


def keys(storage: Storage, prefix: str, after: str = "") -> list[str]:
    return [entry.key for entry in storage.list(prefix, after=after)]


class StorageContract:
    """The promises of `index_store.storage.base.Storage`, one test each."""

    def test_read_returns_what_was_put(self, storage: Storage):
        storage.put("a/b.bin", b"0123456789")
        assert storage.read("a/b.bin") == b"0123456789"

    def test_read_of_a_range_is_half_open_and_cut_off_at_the_end(self, storage: Storage):
        storage.put("a", b"0123456789")
        assert storage.read("a", start=2, end=5) == b"234"
        assert storage.read("a", start=8, end=50) == b"89"
        assert storage.read("a", start=7) == b"789"
        assert storage.read("a", start=20, end=30) == b""
        assert storage.read("a", start=5, end=2) == b""

    def test_read_of_a_missing_object_names_it(self, storage: Storage):
        with pytest.raises(NotFoundError, match=r"a/missing\.bin does not exist"):
            storage.read("a/missing.bin")

    def test_read_of_a_folder_finds_nothing(self, storage: Storage):
        storage.put("a/b", b"x")
        with pytest.raises(NotFoundError, match="object a does not exist"):
            storage.read("a")

    def test_put_of_a_file_copies_it(self, storage: Storage, tmp_path: Path):
        source = tmp_path / "source.bin"
        source.write_bytes(b"x" * 3_000_000)
        storage.put("big", source)
        source.write_bytes(b"changed")
        assert storage.read("big") == b"x" * 3_000_000

    def test_put_replaces_a_whole_object(self, storage: Storage):
        storage.put("a", b"a longer first value")
        storage.put("a", b"short")
        assert storage.read("a") == b"short"

    def test_empty_objects_are_objects(self, storage: Storage):
        storage.create("a", b"")
        assert storage.read("a") == b""
        with pytest.raises(ConflictError, match="object a exists already"):
            storage.create("a", b"other")

    def test_create_keeps_the_first_object(self, storage: Storage):
        storage.create("log/1", b"first")
        with pytest.raises(ConflictError, match="object log/1 exists already"):
            storage.create("log/1", b"second")
        assert storage.read("log/1") == b"first"

    def test_create_has_one_winner_among_threads(self, storage: Storage):
        for number in range(20):
            winners = self._race(storage, f"race/{number}")
            assert len(winners) == 1
            assert storage.read(f"race/{number}") == winners[0]

    def test_list_is_sorted_by_whole_key(self, storage: Storage):
        names = ["a/b", "a-b", "a.b/c", "a/a/z", "a0", "b", "a/a.z", "ab/c"]
        for name in names:
            storage.put(name, b"x")
        assert keys(storage, "") == sorted(names)

    def test_list_filters_by_prefix_and_after(self, storage: Storage):
        names = [f"c/log/{number:03d}" for number in range(20)] + ["c/l", "c/logs/1", "d/log/1"]
        for name in names:
            storage.put(name, b"x")
        assert keys(storage, "c/log/") == sorted(names)[1:21]
        assert keys(storage, "c/log/", "c/log/017") == ["c/log/018", "c/log/019"]
        assert keys(storage, "", "c/log/\U0010ffff") == ["c/logs/1", "d/log/1"]
        assert keys(storage, "c/l") == sorted(names)[:22]
        assert keys(storage, "nothing/") == []

    def test_list_tells_sizes_and_times(self, storage: Storage):
        storage.put("a", b"12345")
        (entry,) = storage.list("a")
        assert (entry.key, entry.size_bytes) == ("a", 5)
        assert 1_500_000_000_000 < entry.modified_ms < 5_000_000_000_000

    def test_deleted_objects_are_gone(self, storage: Storage):
        storage.put("a/b", b"x")
        storage.delete("a/b")
        storage.delete("a/b")
        storage.delete("never/was")
        assert keys(storage, "") == []
        with pytest.raises(NotFoundError, match="a/b does not exist"):
            storage.read("a/b")

    def test_keys_keep_unicode_and_newlines(self, storage: Storage):
        storage.put("é/日本\n.txt", b"x")
        assert keys(storage, "é/") == ["é/日本\n.txt"]
        assert storage.read("é/日本\n.txt") == b"x"

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_keys_are_refused(self, storage: Storage, key: str):
        for operation in (storage.read, storage.delete, storage.local_path):
            with pytest.raises(UsageError, match="key"):
                operation(key)
        for write in (storage.put, storage.create):
            with pytest.raises(UsageError, match="key"):
                write(key, b"x")

    def test_local_path_holds_the_object_or_is_none(self, storage: Storage):
        storage.put("a/b", b"content")
        path = storage.local_path("a/b")
        assert path is None or path.read_bytes() == b"content"
        assert storage.local_path("a/missing") is None

    def test_url_is_stable(self, storage: Storage):
        assert storage.url
        assert storage.url == storage.url.strip()

    @staticmethod
    def _race(storage: Storage, key: str) -> list[bytes]:
        winners: list[bytes] = []
        gate = threading.Barrier(4)

        def contend(data: bytes) -> None:
            gate.wait()
            try:
                storage.create(key, data)
            except ConflictError:
                return
            winners.append(data)

        threads = [threading.Thread(target=contend, args=(bytes([n]) * 50,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return winners
