"""Publish the version of a portable archive in a store.

Invariants: the whole archive is checked before the first byte is written; files come first and the
log record last, so a broken import leaves nothing that anybody sees; importing again goes on or
finds that it is done.
"""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from index_store.archive_format import MANIFEST_NAME
from index_store.archive_reading import ArchiveReader
from index_store.artifacts import Artifact, store_artifact
from index_store.errors import TransientError
from index_store.log import CommitLog
from index_store.log_records import LogState
from index_store.manifest import Manifest, version_id
from index_store.manifest_codec import to_bytes
from index_store.publisher import promote, publish
from index_store.storage.base import Storage

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import led to.

    Attributes:
        collection: The collection it went into.
        version: The version there.
        origin: The version in the archive; the same unless the collection has another name, or a
            file had to go under another key.
        already: Whether the version was there before.
        promoted: Whether production points to it.
        embeddings: Parts of stored vectors that the archive brought along.
    """

    collection: str
    version: str
    origin: str
    already: bool
    promoted: bool
    embeddings: int


def import_archive(
    storage: Storage,
    path: Path,
    *,
    collection: str | None = None,
    move_production: bool = False,
    run: str = "",
) -> Imported:
    """Store an archive's files, publish its version, and promote it if asked.

    Args:
        storage: The store.
        path: The archive.
        collection: Collection to publish in; None for the one it was exported from.
        move_production: Whether production moves to the version.
        run: Who asks for it.

    Returns:
        What it led to.

    Raises:
        NotFoundError: There is no such archive.
        CorruptArtifactError: The archive is damaged; nothing was written.
        UsageError: The archive or its manifest is of a newer nightpress, or the name is not valid.
        ConflictError: Another version was published meanwhile; import again.
        TransientError: The store could not be read or written; import again.
    """
    reader = ArchiveReader(path)
    manifest = _renamed(reader.verify(), collection)
    log = CommitLog(storage, manifest.collection)
    state = log.read()
    version = version_id(to_bytes(manifest))
    already = version in state.versions
    if not already:
        manifest = _store_files(storage, reader, manifest, state)
        version = version_id(to_bytes(manifest))
        reason = f"imported, exported as {reader.header.version[:12]}"
        if version not in state.versions:
            publish(storage, log, manifest, state, reason=reason, foreign=True)
    if move_production:
        promote(log, version, run=run, reason="imported")
    _logger.info("imported %s as version %s", path.name, version)
    return Imported(
        collection=manifest.collection,
        version=version,
        origin=reader.header.version,
        already=already,
        promoted=move_production,
        embeddings=len(reader.header.embeddings),
    )


def map_artifacts(manifest: Manifest, moved: Callable[[Artifact], Artifact]) -> Manifest:
    """Return a manifest whose every artifact is replaced."""
    shards = tuple(
        replace(
            shard,
            index=moved(shard.index),
            chunks=moved(shard.chunks),
            deletions=None if shard.deletions is None else moved(shard.deletions),
            documents=None if shard.documents is None else moved(shard.documents),
            lexical=None
            if shard.lexical is None
            else replace(shard.lexical, files=tuple(map(moved, shard.lexical.files))),
        )
        for shard in manifest.shards
    )
    relocations = manifest.relocations
    return replace(
        manifest,
        shards=shards,
        catalog=tuple(replace(part, artifact=moved(part.artifact)) for part in manifest.catalog),
        relocations=None if relocations is None else moved(relocations),
    )


def _renamed(manifest: Manifest, collection: str | None) -> Manifest:
    """Move a manifest into another collection."""
    if collection is None or collection == manifest.collection:
        return manifest
    prefix = f"{manifest.collection}/"

    def moved(artifact: Artifact) -> Artifact:
        return replace(artifact, key=f"{collection}/{artifact.key.removeprefix(prefix)}")

    return map_artifacts(replace(manifest, collection=collection), moved)


def _store_files(
    storage: Storage, reader: ArchiveReader, manifest: Manifest, state: LogState
) -> Manifest:
    """Store every file, and return the manifest with the keys under which they are."""
    prefix = f"{reader.header.collection}/"
    embeddings = set(reader.header.embeddings)
    stored: dict[str, Artifact] = {}
    with tempfile.TemporaryDirectory(prefix="nightpress-") as folder:
        scratch = Path(folder) / "member"
        for name, artifact, blocks in reader.members():
            try:
                with scratch.open("wb") as file:
                    for block in blocks:
                        file.write(block)
            except OSError as error:
                raise TransientError(f"copy of {name}: {error.strerror}") from error
            if name == MANIFEST_NAME:
                continue
            key = artifact.key
            if artifact not in embeddings:
                key = f"{manifest.collection}/{artifact.key.removeprefix(prefix)}"
            stored[key] = store_artifact(storage, key, scratch, avoid=state.forbidden_keys)
    return map_artifacts(manifest, lambda artifact: stored[artifact.key])
