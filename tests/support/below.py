"""A store below a prefix of another, so that many small stores share one connection."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from index_store.storage.base import Storage, StoredObject


class Below:
    """Every key gets the prefix, which ends with a slash."""

    def __init__(self, inner: Storage, prefix: str) -> None:
        self.inner = inner
        self.prefix = prefix

    @property
    def url(self) -> str:
        return f"{self.inner.url}/{self.prefix}".rstrip("/")

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return self.inner.read(self.prefix + key, start=start, end=end)

    def put(self, key: str, source: bytes | Path) -> None:
        self.inner.put(self.prefix + key, source)

    def create(self, key: str, data: bytes) -> None:
        self.inner.create(self.prefix + key, data)

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        start = self.prefix + after if after else ""
        for entry in self.inner.list(self.prefix + prefix, after=start):
            yield replace(entry, key=entry.key.removeprefix(self.prefix))

    def delete(self, key: str) -> None:
        self.inner.delete(self.prefix + key)

    def local_path(self, key: str) -> Path | None:
        return self.inner.local_path(self.prefix + key)
