"""Expiry and garbage collection: the shell around the retention policy.

Invariants: every decision rests on every record of the log, on every open manifest and on a listing
that shows all they refer to, or nothing is done; a retirement is appended only as the record after
the state it was decided on; objects are deleted only after the record that purges them; while the
outcome of a record is unknown nothing is deleted; a crash anywhere is healed by the next call.
Stored embeddings are never touched: they are what was paid for.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from index_store.clock import random_nonce
from index_store.collections import check_format, load_manifest
from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    IndexStoreError,
    NotFoundError,
    UnfitStoreError,
)
from index_store.layout import log_prefix, run_key
from index_store.log import CommitLog
from index_store.log_records import KeyChange, LogState, PublishedVersion, RecordKind
from index_store.retention import (
    ExpiryPlan,
    FoundObject,
    Inventory,
    RetentionPolicy,
    forbidden_references,
    plan_expiry,
    unlisted,
)
from index_store.storage.base import Storage
from index_store.storage.remote_uploads import Uploads

MAX_KEYS = 2000  # in one record, which must stay small: stores promise little for large creates
MAX_ATTEMPTS = 5  # when others keep writing to the log

Clock = Callable[[], int]

_logger = logging.getLogger(__name__)


@runtime_checkable
class AbortsUploads(Protocol):
    """A storage that knows how to find what interrupted writes left and no listing shows."""

    def abort_stale_uploads(self, prefix: str, *, before_ms: int) -> int:
        """Remove what writes below `prefix` left that began before a time; return how many.

        Raises:
            TransientError: The store could not be reached.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """What one pass of expiry did.

    Attributes:
        versions: Versions retired.
        retired: Objects retired.
        deleted: Objects deleted.
        uploads: Interrupted writes removed.
    """

    versions: tuple[str, ...] = ()
    retired: tuple[FoundObject, ...] = ()
    deleted: tuple[FoundObject, ...] = ()
    uploads: int = 0


def preview(
    storage: Storage, log: CommitLog, policy: RetentionPolicy, *, clock_ms: Clock
) -> ExpiryPlan:
    """Return what expiry would do now; nothing is written.

    Args:
        storage: The store.
        log: The log of the collection.
        policy: How much is kept.
        clock_ms: The time, milliseconds since the epoch: a preview writes nothing that would tell
            the store's own.

    Raises:
        CorruptArtifactError: The log has a gap, or a manifest or an object it names is missing.
        UnfitStoreError: A listing lacks an object that is there.
        UsageError: The policy condemns a version that is in use.
        NotFoundError: There is no such collection.
        TransientError: The store could not be read.
    """
    check_format(storage, log.collection)
    return plan_expiry(_survey(storage, log, clock_ms), policy)


def purge_pass(
    storage: Storage, log: CommitLog, policy: RetentionPolicy, *, run: str = ""
) -> PassResult:
    """Delete what was retired longer than the grace ago, and what killed runs left.

    Args:
        storage: The store.
        log: The log of the collection.
        policy: How much is kept.
        run: Run that asks for it, empty when a person does.

    Raises:
        ConflictError: Others kept writing to the log.
        UnknownOutcomeError: A record may have been written; nothing was deleted, run again.
        IndexStoreError: As `preview`.
    """

    def act(inventory: Inventory, plan: ExpiryPlan) -> PassResult:
        state = inventory.state
        for keys in _portions(plan.purge):
            change = KeyChange(kind=RecordKind.PURGE, keys=keys, run=run, reason="expiry")
            state = log.append(state, change)
        for found in (*plan.delete, *plan.stale):
            storage.delete(found.key)
        before_ms = inventory.now_ms - policy.grace_ms
        uploads = _abort_uploads(storage, log.collection, before_ms)
        deleted = (*plan.delete, *plan.stale)
        _logger.info("deleted %d objects of %s", len(deleted), log.collection)
        return PassResult(deleted=deleted, uploads=uploads)

    return _decided(storage, log, policy, act)


def retire_pass(
    storage: Storage, log: CommitLog, policy: RetentionPolicy, *, run: str = ""
) -> PassResult:
    """Forget versions that are not kept, and retire the objects that nobody kept refers to.

    Nothing is deleted: that is for `purge_pass`, after the grace.

    Args:
        storage: The store.
        log: The log of the collection.
        policy: How much is kept.
        run: Run that asks for it, empty when a person does.

    Raises:
        ConflictError: Others kept writing to the log.
        UnknownOutcomeError: A record may have been written; run again.
        IndexStoreError: As `preview`.
    """

    def act(inventory: Inventory, plan: ExpiryPlan) -> PassResult:
        _append_retirements(log, inventory.state, plan, run)
        _logger.info(
            "retired %d versions and %d objects of %s",
            len(plan.versions),
            len(plan.retire),
            log.collection,
        )
        return PassResult(versions=plan.versions, retired=plan.retire)

    return _decided(storage, log, policy, act)


def _append_retirements(log: CommitLog, state: LogState, plan: ExpiryPlan, run: str) -> None:
    """Append each record after the one before: whoever comes between makes the rest stale."""
    versions = plan.versions
    for keys in _portions(found.key for found in plan.retire) or ([()] if versions else []):
        change = KeyChange(
            kind=RecordKind.RETIRE, keys=keys, versions=versions, run=run, reason="expiry"
        )
        state = log.append(state, change)
        versions = ()


def store_clock_ms(storage: Storage, collection: str, *, nonce: str) -> int:
    """Return the time by the store's own clock, from an object that is written and removed.

    Raises:
        TransientError: The store could not be reached.
        UnknownOutcomeError: The object may have been written.
        UnfitStoreError: The listing does not show it.
    """
    key = run_key(collection, f"clock-{nonce}", "now")
    storage.put(key, b"")
    try:
        for entry in storage.list(key):
            return entry.modified_ms
    finally:
        storage.delete(key)
    raise UnfitStoreError(f"store {storage.url}: the listing lacks {key}, which was just written")


def _decided(
    storage: Storage,
    log: CommitLog,
    policy: RetentionPolicy,
    act: Callable[[Inventory, ExpiryPlan], PassResult],
) -> PassResult:
    """Survey, decide and act, and again when the log moved meanwhile."""
    check_format(storage, log.collection)
    lost: IndexStoreError | None = None
    for _ in range(MAX_ATTEMPTS):
        began = log.read().seq
        try:
            inventory = _survey(
                storage,
                log,
                lambda: store_clock_ms(storage, log.collection, nonce=random_nonce()),
            )
            return act(inventory, plan_expiry(inventory, policy))
        except ConflictError as error:
            lost = error
        except (CorruptArtifactError, UnfitStoreError) as error:
            # What is missing may have been retired and deleted since the log was read.
            if log.read().seq == began:
                raise
            lost = error
    raise ConflictError(f"expiry of {log.collection} was overtaken too often: {lost}") from lost


def _survey(storage: Storage, log: CommitLog, clock_ms: Clock) -> Inventory:
    """Collect what a decision rests on, the log first, and refuse what does not fit together."""
    audit = log.audit()
    inventory = Inventory(
        state=audit.state,
        record_ms=audit.modified_ms,
        references={
            version: _references(storage, published)
            for version, published in audit.state.versions.items()
        },
        objects=_objects(storage, log.collection),
        now_ms=clock_ms(),
    )
    forbidden = forbidden_references(inventory)
    if forbidden:
        raise CorruptArtifactError(
            f"{forbidden[0]} is retired, but an open version refers to it; nothing is expired"
        )
    for key in unlisted(inventory)[:1]:
        _refuse_listing(storage, key)
    return inventory


def _references(storage: Storage, published: PublishedVersion) -> dict[str, int]:
    manifest = load_manifest(storage, published)
    artifacts = (published.manifest, *manifest.artifacts)
    return {artifact.key: artifact.size_bytes for artifact in artifacts}


def _objects(storage: Storage, collection: str) -> dict[str, FoundObject]:
    log = log_prefix(collection)
    return {
        entry.key: FoundObject(
            key=entry.key, size_bytes=entry.size_bytes, modified_ms=entry.modified_ms
        )
        for entry in storage.list(f"{collection}/")
        if not entry.key.startswith(log)
    }


def _refuse_listing(storage: Storage, key: str) -> None:
    try:
        storage.read(key, end=1)
    except NotFoundError as error:
        raise CorruptArtifactError(
            f"{key} is missing, but an open version refers to it; nothing is expired"
        ) from error
    raise UnfitStoreError(
        f"store {storage.url}: the listing does not show {key} as it is; nothing is expired"
    )


def _abort_uploads(storage: Storage, collection: str, before_ms: int) -> int:
    """Remove what interrupted writes of long ago left, where a store can tell."""
    prefix = f"{collection}/"
    if isinstance(storage, AbortsUploads):
        return storage.abort_stale_uploads(prefix, before_ms=before_ms)
    if not isinstance(storage, Uploads):
        return 0
    stale = [
        upload
        for upload in storage.unfinished_uploads()
        if upload.key.startswith(prefix) and upload.begun_ms < before_ms
    ]
    for upload in stale:
        storage.abort_upload(upload)
    return len(stale)


def _portions(keys: Iterable[str]) -> list[tuple[str, ...]]:
    listed = tuple(keys)
    return [listed[start : start + MAX_KEYS] for start in range(0, len(listed), MAX_KEYS)]
