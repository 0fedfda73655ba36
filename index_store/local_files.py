"""Local files for artifacts, so that they can be memory-mapped.

A store in a folder gives its own files. From any other store an artifact is copied: into the cache
of this machine when there is one, else into a temporary folder that goes when this is closed.

Invariant: a file is never modified in place, because that kills or misleads whoever has it mapped.
"""

import tempfile
from pathlib import Path

from index_store.artifacts import Artifact, check_file, read_artifact
from index_store.cache import Lease, LocalCache
from index_store.errors import TransientError
from index_store.storage.base import Storage
from index_store.streaming import read_blocks


class LocalFiles:
    """Gives local files for the artifacts of one store; close it when none is mapped any more."""

    def __init__(self, storage: Storage, cache: LocalCache | None) -> None:
        """Choose where copies go.

        Args:
            storage: Where the artifacts are.
            cache: Copies that are kept; None for a temporary folder, made when a copy is needed.
        """
        self._storage = storage
        self._cache = cache
        self._leases: list[Lease] = []
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def path(self, artifact: Artifact) -> Path:
        """Return a local file with the bytes of an artifact.

        Returns:
            A path. A file of the store itself is not checked here; a copy was, when it was made
            and when this process first used it.

        Raises:
            CorruptArtifactError: The artifact is missing, or a copy is not what it should be.
            TransientError: The store could not be read, or the copy not be written.
        """
        path = self._own_path(artifact)
        if path is not None:
            return path
        if self._cache is not None:
            lease = self._cache.lease(self._storage, artifact)
            self._leases.append(lease)
            return lease.path
        try:
            return self._temporary_copy(artifact)
        except OSError as error:
            raise TransientError(f"copy of {artifact.key}: {error.strerror}") from error

    def checked_path(self, artifact: Artifact, *, verify: bool) -> Path:
        """Return `path` after comparing the size of a file of the store itself.

        Args:
            artifact: The artifact.
            verify: Whether the hash of such a file is compared too.

        Raises:
            CorruptArtifactError: The artifact is missing or is not what it should be.
            TransientError: The store could not be read, or a copy not be written.
        """
        path = self.path(artifact)
        own = self._own_path(artifact) is not None
        if own and verify and self._cache is not None:
            self._cache.check_once(path, artifact)
        else:
            check_file(path, artifact, verify=verify and own)
        return path

    def read(self, artifact: Artifact) -> bytes:
        """Return the bytes of a small artifact after checking them; the cache spares a download.

        Raises:
            CorruptArtifactError: The artifact is missing or is not what it should be.
            TransientError: The store could not be read, or a copy not be written.
        """
        if self._cache is None or self._own_path(artifact) is not None:
            return read_artifact(self._storage, artifact)
        return self.path(artifact).read_bytes()

    def close(self) -> None:
        """Give all copies free; calling it twice is harmless."""
        for lease in self._leases:
            lease.close()
        self._leases = []
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _own_path(self, artifact: Artifact) -> Path | None:
        if self._cache is not None and self._cache.options.copy_folders:
            return None
        return self._storage.local_path(artifact.key)

    def _temporary_copy(self, artifact: Artifact) -> Path:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="nightpress-")
        copy = Path(self._temporary.name) / artifact.sha256
        if not copy.exists():  # nobody else reads it, and it does not outlive this process
            unfinished = copy.with_suffix(".tmp")
            with unfinished.open("wb") as file:
                for block in read_blocks(self._storage, artifact):
                    file.write(block)
            unfinished.rename(copy)
        return copy
