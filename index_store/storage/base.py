"""What a store of objects must do for nightpress: the interface and its rules for keys.

A backend passes `tests/contracts/storage_contract.py` and is then done. Invariants that every
backend keeps: an object becomes visible whole or not at all; `create` has exactly one winner per
key; an operation that raises `TransientError` did not happen, one that raises
`UnknownOutcomeError` may have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from index_store.errors import UsageError

TEMPORARY_PREFIX = ".tmp-"  # names that a backend may use while it writes; never listed
MAX_KEY_BYTES = 1024  # the limit of S3


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One line of a listing.

    Attributes:
        key: Name of the object, posix path relative to the store's url.
        size_bytes: Size of the object.
        modified_ms: When it was written by the store's own clock, milliseconds since the epoch.
    """

    key: str
    size_bytes: int
    modified_ms: int


class Storage(Protocol):
    """A flat name space of immutable objects; keys are posix paths."""

    @property
    def url(self) -> str:
        """The address people type; it holds no credentials."""
        ...

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes [start, end) of an object; a range beyond its end is cut off there.

        Raises:
            NotFoundError: No object has this key.
            TransientError: The store could not be read now.
        """
        ...

    def put(self, key: str, source: bytes | Path) -> None:
        """Write a whole object durably; it becomes visible at once or not at all.

        Args:
            key: Name of the object; an object of that name is replaced.
            source: The bytes, or a local file that is copied.

        Raises:
            TransientError: The object was not written.
            UnknownOutcomeError: The object may have been written.
        """
        ...

    def create(self, key: str, data: bytes) -> None:
        """Write a small object durably if no object has this key; of several writers one wins.

        Raises:
            ConflictError: An object with this key exists.
            TransientError: The object was not written.
            UnknownOutcomeError: The object may have been written.
            UnfitStoreError: The store cannot promise a single winner.
        """
        ...

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """List the objects whose key starts with `prefix` and follows `after`, sorted by key.

        Raises:
            TransientError: The listing is incomplete; what it gave so far proves nothing.
        """
        ...

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is fine.

        Raises:
            TransientError: The object may still be there.
        """
        ...

    def local_path(self, key: str) -> Path | None:
        """Return the file that holds the object, to be memory-mapped, or None when there is none.

        The file is never modified in place; deleting the object leaves open mappings valid.
        """
        ...


def check_key(key: str) -> str:
    """Return `key` when it is a valid name of an object.

    Raises:
        UsageError: The key is empty, absolute, too long, or has a part that a backend could
            misread.
    """
    parts = key.split("/")
    if any(part in {"", ".", ".."} or part.startswith(TEMPORARY_PREFIX) for part in parts):
        raise UsageError(f"key {key!r} is not a relative posix path")
    if "\0" in key or "\\" in key or len(key.encode("utf-8", "replace")) > MAX_KEY_BYTES:
        raise UsageError(f"key {key!r} holds a forbidden character or is too long")
    return key
