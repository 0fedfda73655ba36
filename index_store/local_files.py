"""Local files for artifacts, so that they can be memory-mapped.

A store in a folder gives its own files. From any other store an artifact is copied into a folder
of this machine, under its hash, checked, fsynced and renamed; a file that is there is used again.

Invariant: a file is never modified in place, because that kills or misleads whoever has it mapped.
"""

import os
import secrets
import tempfile
from pathlib import Path

from index_store.artifacts import READ_BUFFER_BYTES, Artifact, check_file
from index_store.errors import CorruptArtifactError, NotFoundError, TransientError
from index_store.storage.base import TEMPORARY_PREFIX, Storage


class LocalFiles:
    """Gives local files for the artifacts of one store; close it when none is mapped any more."""

    def __init__(self, storage: Storage, cache: Path | None) -> None:
        """Choose where copies go.

        Args:
            storage: Where the artifacts are.
            cache: Folder for copies, kept; None for a temporary one, made when a copy is needed.
        """
        self._storage = storage
        self._cache = cache
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def path(self, artifact: Artifact) -> Path:
        """Return a local file with the bytes of an artifact.

        Returns:
            A path. A file of the store itself is not checked here; a copy is, when it is made.

        Raises:
            CorruptArtifactError: The artifact is missing, or a copy is not what it should be.
            TransientError: The store could not be read, or the copy not be written.
        """
        path = self._storage.local_path(artifact.key)
        if path is not None:
            return path
        try:
            copy = self._folder() / f"{artifact.sha256}{Path(artifact.key).suffix}"
            if not copy.exists():
                _copy(self._storage, artifact, copy)
        except OSError as error:
            raise TransientError(f"copy of {artifact.key}: {error.strerror}") from error
        return copy

    def close(self) -> None:
        """Remove the temporary folder, if there is one; calling it twice is harmless."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _folder(self) -> Path:
        if self._cache is not None:
            return self._cache
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="nightpress-")
        return Path(self._temporary.name)


def _copy(storage: Storage, artifact: Artifact, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    temporary = copy.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            for start in range(0, artifact.size_bytes + 1, READ_BUFFER_BYTES):
                file.write(_read(storage, artifact, start))
            file.flush()
            os.fsync(file.fileno())
        check_file(temporary, artifact, verify=True)
        temporary.replace(copy)
    finally:
        temporary.unlink(missing_ok=True)


def _read(storage: Storage, artifact: Artifact, start: int) -> bytes:
    # One byte beyond the end, so that an object that grew is noticed.
    end = min(start + READ_BUFFER_BYTES, artifact.size_bytes + 1)
    try:
        return storage.read(artifact.key, start=start, end=end)
    except NotFoundError as error:
        raise CorruptArtifactError(
            f"{artifact.key}: expected {artifact.size_bytes} bytes, found nothing"
        ) from error
