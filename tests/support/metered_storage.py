"""A store that counts what is read from it and hides that it has local files."""

from collections.abc import Iterator
from pathlib import Path

from index_store.storage.base import Storage, StoredObject


class MeteredStorage:
    """Passes everything on to `inner`; a stand-in for a store across a network."""

    def __init__(self, inner: Storage) -> None:
        self._inner = inner
        self.read_bytes = 0
        self.reads: list[str] = []  # keys, in order

    @property
    def url(self) -> str:
        return self._inner.url

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        data = self._inner.read(key, start=start, end=end)
        self.reads.append(key)
        self.read_bytes += len(data)
        return data

    def put(self, key: str, source: bytes | Path) -> None:
        self._inner.put(key, source)

    def create(self, key: str, data: bytes) -> None:
        self._inner.create(key, data)

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        return self._inner.list(prefix, after=after)

    def delete(self, key: str) -> None:
        self._inner.delete(key)

    def local_path(self, key: str) -> Path | None:  # noqa: ARG002
        return None
