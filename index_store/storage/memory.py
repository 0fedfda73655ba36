"""A store in the memory of this process: for tests and for trying things out."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from index_store.errors import ConflictError, NotFoundError
from index_store.storage.base import StoredObject, check_key


class MemoryStorage:
    """Objects in a dictionary; safe for threads."""

    def __init__(self, name: str, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._name = name
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, int]] = {}

    @property
    def url(self) -> str:
        """`memory://` and the name."""
        return f"memory://{self._name}"

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """See `Storage.read`."""
        check_key(key)
        with self._lock:
            if key not in self._objects:
                raise NotFoundError(f"object {key} does not exist")
            data, _ = self._objects[key]
        return data[start:] if end is None else data[start : max(start, end)]

    def put(self, key: str, source: bytes | Path) -> None:
        """See `Storage.put`."""
        check_key(key)
        data = source if isinstance(source, bytes) else source.read_bytes()
        with self._lock:
            self._objects[key] = (data, self._clock_ns() // 1_000_000)

    def create(self, key: str, data: bytes) -> None:
        """See `Storage.create`."""
        check_key(key)
        with self._lock:
            if key in self._objects:
                raise ConflictError(f"object {key} exists already")
            self._objects[key] = (data, self._clock_ns() // 1_000_000)

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """See `Storage.list`."""
        with self._lock:
            found = [
                StoredObject(key=key, size_bytes=len(data), modified_ms=modified_ms)
                for key, (data, modified_ms) in self._objects.items()
                if key.startswith(prefix) and key > after
            ]
        yield from sorted(found, key=lambda entry: entry.key)

    def delete(self, key: str) -> None:
        """See `Storage.delete`."""
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def local_path(self, key: str) -> Path | None:
        """Return None: nothing here is a file."""
        check_key(key)
        return None
