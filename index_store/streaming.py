"""Artifacts as streams, so that a large one never fills the memory and every byte is checked.

Invariant: a stream that was read to its end without an error gave the bytes that the artifact
promises.
"""

import hashlib
import io
from collections.abc import Iterator

from index_store.artifacts import READ_BUFFER_BYTES, Artifact, compare
from index_store.errors import CorruptArtifactError, NotFoundError
from index_store.storage.base import Storage


def read_blocks(storage: Storage, artifact: Artifact) -> Iterator[bytes]:
    """Yield the bytes of an artifact in order, in blocks of at most `READ_BUFFER_BYTES`.

    Raises:
        CorruptArtifactError: It is missing, or its size or hash differs; told after the last block.
        TransientError: The store could not be read.
    """
    hasher = hashlib.sha256()
    size_bytes = 0
    for start in range(0, artifact.size_bytes + 1, READ_BUFFER_BYTES):
        # One byte beyond the end, so that an object that grew is noticed.
        end = min(start + READ_BUFFER_BYTES, artifact.size_bytes + 1)
        block = _read(storage, artifact, start, end)
        hasher.update(block)
        size_bytes += len(block)
        if block:
            yield block
    found = Artifact(key=artifact.key, size_bytes=size_bytes, sha256=hasher.hexdigest())
    compare(artifact, found)


class ArtifactStream(io.RawIOBase):
    """An artifact as a file opened for reading, for libraries that want one.

    Raises:
        CorruptArtifactError: While reading: the artifact is not what it should be.
    """

    def __init__(self, storage: Storage, artifact: Artifact) -> None:
        self._blocks = read_blocks(storage, artifact)
        self._block = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fill a buffer as far as the current block goes; 0 at the end."""
        if not self._block:
            self._block = memoryview(next(self._blocks, b""))
        count = min(len(buffer), len(self._block))
        buffer[:count] = self._block[:count]
        self._block = self._block[count:]
        return count


def _read(storage: Storage, artifact: Artifact, start: int, end: int) -> bytes:
    try:
        return storage.read(artifact.key, start=start, end=end)
    except NotFoundError as error:
        raise CorruptArtifactError(
            f"{artifact.key}: expected {artifact.size_bytes} bytes, found nothing"
        ) from error
