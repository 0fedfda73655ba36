"""Publishing a version and moving a channel: the shell around manifest and commit log.

Invariants: files first, then the manifest, then the log record, which alone makes the version
visible; every step can be repeated after a crash anywhere, also after a success whose reply was
lost.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from index_store.artifacts import Artifact, sha256_hex, store_artifact
from index_store.collections import ensure_format
from index_store.errors import ConflictError, CorruptArtifactError
from index_store.layout import manifest_key
from index_store.log import CommitLog
from index_store.log_records import (
    CANDIDATE,
    PRODUCTION,
    LogChange,
    LogState,
    RecordKind,
    resolve_version,
)
from index_store.manifest import Manifest
from index_store.manifest_codec import to_bytes
from index_store.storage.base import Storage

MAX_APPENDS = 10  # when harmless records of others keep coming first

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What publishing or promoting led to.

    Attributes:
        version: The version, 64 hexadecimal characters.
        state: The log after it.
    """

    version: str
    state: LogState


def publish(
    storage: Storage, log: CommitLog, manifest: Manifest, state: LogState, *, reason: str = ""
) -> Published:
    """Make a version visible and move the channel `candidate` to it.

    Args:
        storage: The store; every file of `manifest` is in it already.
        log: The log of the manifest's collection.
        manifest: The version.
        state: The log as it was when the version was planned; `candidate` must not have moved
            since.
        reason: One line for people.

    Raises:
        ConflictError: Another version was published since; plan again on it.
        UsageError: The manifest contradicts itself.
        CorruptArtifactError: A file of the manifest is missing or has another size.
        TransientError: The store could not be read or written.
        UnknownOutcomeError: The record may have been written; publish again to find out.
    """
    data = to_bytes(manifest)
    version = sha256_hex(data)
    current = log.read()
    if version in current.versions:
        return Published(version=version, state=current)
    ensure_format(storage, manifest.collection)
    _check_present(storage, manifest.collection, manifest.artifacts)
    stored = store_artifact(storage, manifest_key(manifest.collection, version), data)
    change = LogChange(
        kind=RecordKind.PUBLISH,
        version=version,
        channel=CANDIDATE,
        expected=state.channels.get(CANDIDATE),
        run=manifest.run,
        reason=reason,
        manifest=stored,
        parent=manifest.parent,
    )
    after = _append(log, current, change)
    _logger.info("published %s version %s as record %d", log.collection, version, after.seq)
    return Published(version=version, state=after)


def promote(
    log: CommitLog,
    version: str,
    *,
    channel: str = PRODUCTION,
    run: str = "",
    reason: str = "",
    expected: LogState | None = None,
) -> Published:
    """Point a channel at a published version.

    Args:
        log: The log of the collection.
        version: The version, or the beginning of its id.
        channel: The channel to move; it is made when it does not exist.
        run: Run that asks for it, empty when a person does.
        reason: One line for people.
        expected: The log as it was when this was decided: the channel must not have moved since.
            None when any move is fine.

    Returns:
        The version and the log; nothing is appended when the channel points there already.

    Raises:
        ConflictError: The channel was moved since.
        NotFoundError: There is no such version.
        TransientError: The store could not be read or written.
        UnknownOutcomeError: The record may have been written; promote again to find out.
    """
    current = log.read()
    target = resolve_version(current, version=version).version
    if current.channels.get(channel) == target:
        return Published(version=target, state=current)
    change = LogChange(
        kind=RecordKind.PROMOTE,
        version=target,
        channel=channel,
        expected=(current if expected is None else expected).channels.get(channel),
        run=run,
        reason=reason,
    )
    after = _append(log, current, change)
    _logger.info("moved %s channel %s to %s", log.collection, channel, target)
    return Published(version=target, state=after)


def _append(log: CommitLog, state: LogState, change: LogChange) -> LogState:
    """Append, and again after records of others that do not touch what the change expects."""
    for _ in range(MAX_APPENDS):
        try:
            return log.append(state, change)
        except ConflictError:
            seen = state.seq
            state = log.read()
            if state.seq == seen or state.channels.get(change.channel) != change.expected:
                raise
    raise ConflictError(f"log of {log.collection}: {MAX_APPENDS} other records came first")


def _check_present(storage: Storage, collection: str, artifacts: Iterable[Artifact]) -> None:
    """Check that files exist with the right size; hashes were read back when they were written."""
    wanted = {artifact.key: artifact.size_bytes for artifact in artifacts}
    for folder in sorted({key.split("/")[1] for key in wanted}):
        for entry in storage.list(f"{collection}/{folder}/"):
            if wanted.get(entry.key) == entry.size_bytes:
                del wanted[entry.key]
    if wanted:
        raise CorruptArtifactError(
            f"cannot publish {collection}: missing or of another size: {', '.join(sorted(wanted))}"
        )
