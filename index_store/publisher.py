"""Publishing versions, moving channels and pinning: the shell around manifest and commit log.

Invariants: files first, then the manifest, then the log record, which alone makes the version
visible; a version is published only after a state in which none of its files is retired; every
step can be repeated after a crash anywhere, also after a success whose reply was lost.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from index_store.artifacts import Artifact, sha256_hex, store_artifact
from index_store.collections import ensure_format
from index_store.errors import ConflictError, CorruptArtifactError, NotFoundError, UsageError
from index_store.layout import manifest_key
from index_store.log import CommitLog
from index_store.log_fold import follows
from index_store.log_records import (
    CANDIDATE,
    PIN_NAME,
    PRODUCTION,
    Change,
    LogChange,
    LogState,
    PinChange,
    RecordKind,
    resolve_version,
)
from index_store.manifest import Manifest
from index_store.manifest_codec import to_bytes
from index_store.storage.base import Storage

FAILED_CHECKS = "checks failed"  # how the reason of a version begins that stays a candidate
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
    storage: Storage,
    log: CommitLog,
    manifest: Manifest,
    state: LogState,
    *,
    reason: str = "",
    foreign: bool = False,
) -> Published:
    """Make a version visible and move the channel `candidate` to it.

    Args:
        storage: The store; every file of `manifest` is in it already.
        log: The log of the manifest's collection.
        manifest: The version.
        state: The log as it was when the version was planned; `candidate` must not have moved
            since.
        reason: One line for people.
        foreign: Whether the version comes from another store; a parent that this log does not know
            is then left out of the record.

    Raises:
        ConflictError: Another version was published since, or a file of this one was retired;
            plan again.
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
    keys = frozenset(artifact.key for artifact in manifest.artifacts)
    try:
        check_present(storage, manifest.collection, manifest.artifacts)
        stored = store_artifact(
            storage, manifest_key(manifest.collection, version), data, avoid=current.forbidden_keys
        )
    except CorruptArtifactError:
        # When expiry took a file meanwhile this is nothing worse than a lost race.
        latest = log.read()
        manifests = {key for key in latest.forbidden_keys if version in key}
        _check_not_retired(keys | manifests, latest)
        raise
    change = LogChange(
        kind=RecordKind.PUBLISH,
        version=version,
        channel=CANDIDATE,
        expected=state.channels.get(CANDIDATE),
        run=manifest.run,
        reason=reason,
        manifest=stored,
        parent=manifest.parent if not foreign or _is_known(current, manifest.parent) else None,
    )
    after = _append(log, current, change, keys=keys | {stored.key})
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


def rollback(
    log: CommitLog, *, channel: str = PRODUCTION, run: str = "", reason: str = ""
) -> Published:
    """Point a channel back at the version it was promoted from; no file is touched.

    Args:
        log: The log of the collection.
        channel: The channel to move.
        run: Run that asks for it, empty when a person does.
        reason: One line for people.

    Returns:
        The version that the channel points to now, and the log.

    Raises:
        ConflictError: The channel was moved meanwhile.
        NotFoundError: There is no such channel, or no version to go back to.
        TransientError: The store could not be read or written.
        UnknownOutcomeError: The record may have been written; look before rolling back again.
    """
    current = log.read()
    leaving = resolve_version(current, channel=channel).version
    history = current.history.get(channel, ())
    if not history:
        raise NotFoundError(f"channel {channel!r} has no version to go back to")
    change = LogChange(
        kind=RecordKind.ROLLBACK,
        version=history[-1],
        channel=channel,
        expected=leaving,
        run=run,
        reason=reason,
    )
    after = _append(log, current, change)
    _logger.info("rolled %s channel %s back to %s", log.collection, channel, change.version)
    return Published(version=change.version, state=after)


def pin(log: CommitLog, version: str, name: str, *, reason: str = "") -> Published:
    """Keep a version under a name until it is unpinned.

    Args:
        log: The log of the collection.
        version: The version, or the beginning of its id.
        name: The name; it must be free, unless it holds this version already.
        reason: One line for people.

    Raises:
        UsageError: The name is not valid, or holds another version.
        NotFoundError: There is no such version.
        ConflictError: The name was taken, or the version retired, meanwhile.
        TransientError: The store could not be read or written.
        UnknownOutcomeError: The record may have been written; pin again to find out.
    """
    if not PIN_NAME.fullmatch(name):
        raise UsageError(f"pin {name!r} must match {PIN_NAME.pattern}")
    current = log.read()
    target = resolve_version(current, version=version).version
    held = current.pins.get(name)
    if held == target:
        return Published(version=target, state=current)
    if held is not None:
        raise UsageError(f"pin {name!r} holds version {held}; unpin it first")
    change = PinChange(kind=RecordKind.PIN, name=name, version=target, reason=reason)
    return Published(version=target, state=_append(log, current, change))


def unpin(log: CommitLog, name: str, *, reason: str = "") -> Published:
    """Take a name away from the version it holds.

    Raises:
        NotFoundError: Nothing is pinned under this name.
        ConflictError: It was taken away meanwhile.
        TransientError: The store could not be read or written.
        UnknownOutcomeError: The record may have been written; unpin again to find out.
    """
    current = log.read()
    held = current.pins.get(name)
    if held is None:
        known = ", ".join(sorted(current.pins)) or "none"
        raise NotFoundError(f"pin {name!r} does not exist; known pins: {known}")
    change = PinChange(kind=RecordKind.UNPIN, name=name, version=held, reason=reason)
    return Published(version=held, state=_append(log, current, change))


def _append(
    log: CommitLog, state: LogState, change: Change, *, keys: frozenset[str] = frozenset()
) -> LogState:
    """Append, and again after records of others that do not touch what the change expects.

    Args:
        log: The log.
        state: What it said when the change was decided.
        change: The change.
        keys: Objects that the change makes a version refer to.
    """
    for _ in range(MAX_APPENDS):
        _check_not_retired(keys, state)
        try:
            return log.append(state, change)
        except ConflictError:
            seen = state.seq
            state = log.read()
            if state.seq == seen or not follows(state, change):
                raise
    raise ConflictError(f"log of {log.collection}: {MAX_APPENDS} other records came first")


def _is_known(state: LogState, version: str | None) -> bool:
    return version in state.versions or version in state.retired_versions


def _check_not_retired(keys: frozenset[str], state: LogState) -> None:
    retired = sorted(keys & state.forbidden_keys)
    if retired:
        raise ConflictError(
            f"{len(retired)} files of the version were retired meanwhile, first {retired[0]}; "
            "plan again"
        )


def check_present(storage: Storage, collection: str, artifacts: Iterable[Artifact]) -> None:
    """Check by a listing that files exist with the right size; their bytes are not read.

    Raises:
        CorruptArtifactError: A file is missing or has another size.
        TransientError: The store could not be listed.
    """
    wanted = {artifact.key: artifact.size_bytes for artifact in artifacts}
    for folder in sorted({key.split("/")[1] for key in wanted}):
        for entry in storage.list(f"{collection}/{folder}/"):
            if wanted.get(entry.key) == entry.size_bytes:
                del wanted[entry.key]
    if wanted:
        raise CorruptArtifactError(
            f"files of {collection} are missing or of another size: {', '.join(sorted(wanted))}"
        )
