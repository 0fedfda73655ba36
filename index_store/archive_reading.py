"""Read a portable archive, trusting nothing in it.

Invariants: nothing is ever extracted by the name that the archive gives; members must be plain
files with exactly the names, order, sizes and hashes that the header and the manifest agree on.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from index_store.archive_format import HEADER_NAME, MANIFEST_NAME, ArchiveHeader, parse_header
from index_store.artifacts import READ_BUFFER_BYTES, Artifact, compare
from index_store.errors import CorruptArtifactError, NotFoundError
from index_store.manifest import Manifest
from index_store.manifest_codec import parse_manifest

MAX_HEADER_BYTES = 256 << 20  # 10 000 shards need 10 MiB


class ArchiveReader:
    """An archive of which the header was read."""

    def __init__(self, path: Path) -> None:
        """Read the header of an archive.

        Raises:
            NotFoundError: There is no such file.
            CorruptArtifactError: It is no archive, or its header is damaged.
            UsageError: It was written by a newer nightpress.
        """
        self._path = path
        with self._translated(HEADER_NAME), tarfile.open(path, "r:") as tar:
            data = self._next(tar, HEADER_NAME).read(MAX_HEADER_BYTES + 1)
        if len(data) > MAX_HEADER_BYTES:
            raise CorruptArtifactError(f"archive {path}: {HEADER_NAME} is too large")
        self.header: ArchiveHeader = parse_header(data)

    def verify(self) -> Manifest:
        """Read every byte and compare it with what the version's id vouches for.

        Returns:
            The manifest of the version.

        Raises:
            CorruptArtifactError: Something is missing, changed or too much; the message names it.
            UsageError: The manifest was written by a newer nightpress.
        """
        manifest: Manifest | None = None
        for name, _, blocks in self.members():
            if name == MANIFEST_NAME:
                manifest = parse_manifest(b"".join(blocks))
                _check_files(self.header, manifest)
            else:
                for _ in blocks:
                    pass
        if manifest is None:
            raise CorruptArtifactError(f"archive {self._path}: {MANIFEST_NAME} is missing")
        return manifest

    def members(self) -> Iterator[tuple[str, Artifact, Iterator[bytes]]]:
        """Yield name, artifact and blocks of every member after the header, in order.

        The blocks of a member have to be read before the next one is asked for; their hash is
        compared after the last one.

        Raises:
            CorruptArtifactError: A member is missing, changed or too much; the message names it.
        """
        with self._translated("archive"), tarfile.open(self._path, "r:") as tar:
            self._next(tar, HEADER_NAME)
            for name, artifact in self.header.members:
                file = self._next(tar, name, artifact.size_bytes)
                yield name, artifact, self._blocks(artifact, file)
            extra = tar.next()
        if extra is not None:
            raise CorruptArtifactError(f"archive {self._path}: {extra.name!r} is not listed in it")

    def _next(self, tar: tarfile.TarFile, name: str, size_bytes: int | None = None) -> IO[bytes]:
        with self._translated(name):
            member = tar.next()
            found = "nothing" if member is None else repr(member.name)
            if member is None or member.name != name or not member.isreg():
                raise CorruptArtifactError(f"archive {self._path}: expected {name}, found {found}")
            if size_bytes not in (None, member.size):
                raise CorruptArtifactError(
                    f"archive {self._path}: {name}: expected {size_bytes} bytes, "
                    f"found {member.size}"
                )
            file = tar.extractfile(member)
        if file is None:
            raise CorruptArtifactError(f"archive {self._path}: {name} is no file")
        return file

    def _blocks(self, artifact: Artifact, file: IO[bytes]) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        size_bytes = 0
        with self._translated(artifact.key):
            while block := file.read(READ_BUFFER_BYTES):
                hasher.update(block)
                size_bytes += len(block)
                yield block
        found = Artifact(key=artifact.key, size_bytes=size_bytes, sha256=hasher.hexdigest())
        try:
            compare(artifact, found)
        except CorruptArtifactError as error:
            raise CorruptArtifactError(f"archive {self._path}: {error}") from error

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise NotFoundError(f"archive {self._path} does not exist") from error
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            raise CorruptArtifactError(
                f"archive {self._path}: {what} cannot be read: {error}"
            ) from error


def _check_files(header: ArchiveHeader, manifest: Manifest) -> None:
    if manifest.collection != header.collection:
        raise CorruptArtifactError(
            f"{HEADER_NAME}: collection expected {manifest.collection}, found {header.collection}"
        )
    expected = {artifact.key: artifact for artifact in manifest.artifacts}
    listed = {artifact.key: artifact for artifact in header.files}
    for key in sorted(expected.keys() | listed.keys()):
        if expected.get(key) != listed.get(key):
            raise CorruptArtifactError(
                f"{HEADER_NAME}: {key} is not listed as the manifest names it"
            )
    if len(listed) != len(header.files):
        raise CorruptArtifactError(f"{HEADER_NAME}: a file is listed twice")
