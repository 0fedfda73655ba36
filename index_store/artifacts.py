"""Artifacts: stored files that something refers to, each with its size and SHA-256.

Invariants: an artifact is referred to only after its bytes were read back and agreed; an object
that holds other bytes is never overwritten, because another version may refer to it, unless its
key is its own hash; a retired key is never used again, because somebody may be about to delete it.
"""

import hashlib
import io
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from index_store.errors import CorruptArtifactError, NotFoundError
from index_store.storage.base import Storage

READ_BUFFER_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A stored file and what its bytes must be.

    Attributes:
        key: Name of the object in the store.
        size_bytes: Its size.
        sha256: SHA-256 of its bytes, 64 lower-case hexadecimal characters.
    """

    key: str
    size_bytes: int
    sha256: str


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data`, 64 lower-case hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def measure(key: str, source: bytes | Path) -> Artifact:
    """Return the artifact that storing `source` under `key` makes, without storing it."""
    if isinstance(source, bytes):
        return Artifact(key=key, size_bytes=len(source), sha256=sha256_hex(source))
    with source.open("rb") as file:
        return _measure_stream(key, file)


def store_artifact(
    storage: Storage, key: str, source: bytes | Path, *, avoid: Container[str] = frozenset()
) -> Artifact:
    """Store a file unless it is there already, and read it back.

    Args:
        storage: The store.
        key: Where to put it. When another file is there, this one goes beside it, under a key that
            bears its hash.
        source: The bytes, or a local file.
        avoid: Keys that were retired; a number is added to the name of such a one.

    Returns:
        The artifact; its key may differ from `key` as said above.

    Raises:
        CorruptArtifactError: What was read back differs from what was written.
        TransientError: The store could not be reached.
        UnknownOutcomeError: The reply to the write was lost; storing again is harmless.
    """
    wanted = measure(key, source)
    for name in _names(key, wanted.sha256):  # pragma: no branch - there is always another name
        wanted = replace(wanted, key=name)
        if name in avoid:
            continue
        found = _stored(storage, name)
        if found == wanted:
            return wanted
        if found is None or wanted.sha256 in name:
            break
    storage.put(wanted.key, source)
    verify_artifact(storage, wanted)
    return wanted


def verify_artifact(storage: Storage, artifact: Artifact) -> None:
    """Check that an artifact is there and has the right bytes.

    Raises:
        CorruptArtifactError: It is missing, or its size or hash differs.
        TransientError: The store could not be reached.
    """
    found = _stored(storage, artifact.key)
    if found is None:
        raise CorruptArtifactError(
            f"{artifact.key}: expected {artifact.size_bytes} bytes, found nothing"
        )
    compare(artifact, found)


def read_artifact(storage: Storage, artifact: Artifact) -> bytes:
    """Return the bytes of an artifact after checking them.

    Raises:
        CorruptArtifactError: It is missing, or its size or hash differs.
        TransientError: The store could not be reached.
    """
    try:
        data = storage.read(artifact.key)
    except NotFoundError as error:
        raise CorruptArtifactError(
            f"{artifact.key}: expected {artifact.size_bytes} bytes, found nothing"
        ) from error
    compare(artifact, measure(artifact.key, data))
    return data


def check_file(path: Path, artifact: Artifact, *, verify: bool) -> None:
    """Check a local file's size against its artifact, and its hash when `verify` is set.

    Raises:
        CorruptArtifactError: It is missing or differs.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes == artifact.size_bytes and not verify:
            return
        found = measure(artifact.key, path)
    except OSError as error:
        raise CorruptArtifactError(
            f"{artifact.key}: expected {artifact.size_bytes} bytes, found {error.strerror}"
        ) from error
    compare(artifact, found)


def compare(expected: Artifact, found: Artifact) -> None:
    """Raise unless two measurements of one artifact agree.

    Raises:
        CorruptArtifactError: Size or hash differs.
    """
    if found.size_bytes != expected.size_bytes:
        raise CorruptArtifactError(
            f"{expected.key}: expected {expected.size_bytes} bytes, found {found.size_bytes}"
        )
    if found.sha256 != expected.sha256:
        raise CorruptArtifactError(
            f"{expected.key}: expected sha256 {expected.sha256}, found {found.sha256}"
        )


def _stored(storage: Storage, key: str) -> Artifact | None:
    path = storage.local_path(key)
    try:
        if path is not None:
            return measure(key, path)
        return _measure_stream(key, io.BufferedReader(_Reader(storage, key), READ_BUFFER_BYTES))
    except (NotFoundError, FileNotFoundError):
        return None


def _measure_stream(key: str, stream: BinaryIO | io.BufferedReader) -> Artifact:
    hasher = hashlib.sha256()
    size_bytes = 0
    while block := stream.read(READ_BUFFER_BYTES):
        hasher.update(block)
        size_bytes += len(block)
    return Artifact(key=key, size_bytes=size_bytes, sha256=hasher.hexdigest())


def _names(key: str, sha256: str) -> Iterator[str]:
    """Yield the keys that a file may go by: its own, one with its hash, numbered ones."""
    path = PurePosixPath(key)
    yield key
    stem = path.stem if sha256 in key else f"{path.stem}-{sha256}"
    if sha256 not in key:
        yield str(path.with_name(f"{stem}{path.suffix}"))
    yield from (str(path.with_name(f"{stem}-{number}{path.suffix}")) for number in count(1))


class _Reader(io.RawIOBase):
    """An object as a stream, read in ranges so that a large one never fills the memory."""

    def __init__(self, storage: Storage, key: str) -> None:
        self._storage = storage
        self._key = key
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        data = self._storage.read(self._key, start=self._position, end=self._position + len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
