"""A store that fails on purpose, to prove that every step can be repeated.

It wraps another store, counts its operations and spoils the one that the test names.
"""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from index_store.errors import TransientError, UnknownOutcomeError
from index_store.storage.base import Storage, StoredObject


class FaultMode(Enum):
    """What happens at the chosen operation."""

    ERROR = "error"  # it does not happen, and says so
    LOST_REPLY = "lost-reply"  # a write happens, and its reply is lost
    CRASH = "crash"  # it does not happen, and nothing after it does


class FaultyStorage:
    """Passes operations on to `inner`, except number `fail_at` (1-based; 0 means never).

    A crash raises `SystemExit`, as the end of a process does, so that no handler for errors takes
    it for one. `operations` counts what was asked for, and tells a test how many numbers there are
    to try.
    """

    def __init__(
        self, inner: Storage, *, fail_at: int = 0, mode: FaultMode = FaultMode.ERROR
    ) -> None:
        self._inner = inner
        self._fail_at = fail_at
        self._mode = mode
        self.operations = 0

    @property
    def url(self) -> str:
        """The address of the store inside."""
        return self._inner.url

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """See `Storage.read`; a lost reply is a transient error."""
        if self._fault_is_due():
            raise TransientError(f"read {key}: reply lost on purpose")
        return self._inner.read(key, start=start, end=end)

    def put(self, key: str, source: bytes | Path) -> None:
        """See `Storage.put`."""
        lost = self._fault_is_due()
        self._inner.put(key, source)
        if lost:
            raise UnknownOutcomeError(f"put {key}: reply lost on purpose")

    def create(self, key: str, data: bytes) -> None:
        """See `Storage.create`."""
        lost = self._fault_is_due()
        self._inner.create(key, data)
        if lost:
            raise UnknownOutcomeError(f"create {key}: reply lost on purpose")

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """See `Storage.list`; a lost reply is a transient error after the first line."""
        lost = self._fault_is_due()
        for entry in self._inner.list(prefix, after=after):
            yield entry
            if lost:
                break
        if lost:
            raise TransientError(f"list {prefix}: reply lost on purpose")

    def delete(self, key: str) -> None:
        """See `Storage.delete`."""
        lost = self._fault_is_due()
        self._inner.delete(key)
        if lost:
            raise TransientError(f"delete {key}: reply lost on purpose")

    def local_path(self, key: str) -> Path | None:
        """See `Storage.local_path`; it asks nothing of the store and never fails."""
        return self._inner.local_path(key)

    def _fault_is_due(self) -> bool:
        """Count an operation; raise what prevents it, or return whether its reply is lost."""
        self.operations += 1
        if self._mode is FaultMode.CRASH and 0 < self._fail_at <= self.operations:
            raise SystemExit(f"crash before operation {self.operations}")
        if self.operations != self._fail_at:
            return False
        if self._mode is FaultMode.ERROR:
            raise TransientError(f"operation {self.operations} failed on purpose")
        return True
