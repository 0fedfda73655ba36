"""Write one version into a portable archive.

Invariants: every byte is checked against the manifest on its way in, and the finished archive is
read back; the file appears whole or not at all; nothing in the store is changed.
"""

import io
import os
import secrets
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from index_store.archive_format import HEADER_NAME, ArchiveHeader, encode_header
from index_store.archive_reading import ArchiveReader
from index_store.artifacts import READ_BUFFER_BYTES, Artifact, measure
from index_store.chunk_table import ChunkTable
from index_store.collections import load_manifest
from index_store.embeddings import EmbeddingStore
from index_store.errors import TransientError, UsageError
from index_store.layout import embeddings_prefix
from index_store.local_files import LocalFiles
from index_store.log_records import PublishedVersion
from index_store.manifest import Manifest
from index_store.storage.base import TEMPORARY_PREFIX, Storage
from index_store.storage.folder import FolderStorage
from index_store.streaming import ArtifactStream

EMBEDDINGS_PART_ROWS = 16_384


def export_version(
    storage: Storage, published: PublishedVersion, target: Path, *, with_embeddings: bool = False
) -> ArchiveHeader:
    """Write a version into an archive.

    Args:
        storage: The store.
        published: The version.
        target: The file to make; it must not exist.
        with_embeddings: Whether the stored vectors of its texts go along, so that the next run
            pays for none of them.

    Returns:
        What the archive holds.

    Raises:
        UsageError: The target exists, or its folder does not.
        CorruptArtifactError: A file of the version is missing or damaged.
        TransientError: The store could not be read, or the archive not be written.
    """
    if target.exists():
        raise UsageError(f"archive {target} exists already; remove it or choose another name")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"archive {target}: its folder does not exist")
    manifest = load_manifest(storage, published)
    with tempfile.TemporaryDirectory(prefix="nightpress-") as name:
        scratch = FolderStorage(Path(name))
        embeddings = _gather_embeddings(storage, manifest, scratch) if with_embeddings else ()
        header = ArchiveHeader(
            collection=manifest.collection,
            version=published.version,
            published_at_ms=published.published_at_ms,
            run=published.run,
            manifest=published.manifest,
            files=_unique(manifest.artifacts),
            embeddings=embeddings,
        )
        try:
            with _new_file(target) as temporary:
                _write(temporary, header, storage, scratch)
                ArchiveReader(temporary).verify()
        except OSError as error:
            raise TransientError(f"archive {target}: {error.strerror}") from error
    return header


def _gather_embeddings(
    storage: Storage, manifest: Manifest, scratch: FolderStorage
) -> tuple[Artifact, ...]:
    """Write the stored vectors of a version's texts into parts of their own."""
    spec = manifest.embedder
    known = EmbeddingStore(storage, spec.id, spec.dimension)
    known.refresh()
    gathered = EmbeddingStore(scratch, spec.id, spec.dimension)
    for entry in manifest.shards:
        with closing(LocalFiles(storage, None)) as files:
            path = files.checked_path(entry.chunks, verify=True)
            table = ChunkTable.open(path, rows=entry.rows)
            for start in range(0, entry.rows, EMBEDDINGS_PART_ROWS):
                end = min(start + EMBEDDINGS_PART_ROWS, entry.rows)
                hashes = table.text_hashes(start, end)
                found, vectors = known.find(hashes)
                rows = [int(row) for row in np.flatnonzero(found)]
                if rows:
                    gathered.add([hashes[row] for row in rows], vectors[rows])
    parts = scratch.list(embeddings_prefix(spec.id))
    return tuple(measure(part.key, scratch.read(part.key)) for part in parts)


def _unique(artifacts: Iterator[Artifact]) -> tuple[Artifact, ...]:
    by_key = {artifact.key: artifact for artifact in artifacts}
    return tuple(by_key[key] for key in sorted(by_key))


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target` that takes its name at the end, durably."""
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(8)}")
    try:
        yield temporary
        temporary.rename(target)
        descriptor = os.open(target.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path, header: ArchiveHeader, storage: Storage, scratch: Storage) -> None:
    data = encode_header(header)
    with path.open("xb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.addfile(_member(HEADER_NAME, len(data)), io.BytesIO(data))
            own = set(header.embeddings)
            for name, artifact in header.members:
                stream = ArtifactStream(scratch if artifact in own else storage, artifact)
                with io.BufferedReader(stream, READ_BUFFER_BYTES) as buffered:
                    tar.addfile(_member(name, artifact.size_bytes), buffered)
                    buffered.read()  # the end of the stream is where its hash is compared
        file.flush()
        os.fsync(file.fileno())


def _member(name: str, size_bytes: int) -> tarfile.TarInfo:
    """Describe a member without anything that would differ from one export to the next."""
    member = tarfile.TarInfo(name)
    member.size = size_bytes
    member.mode = 0o644
    return member
