"""What expiry may forget and delete; pure.

Two passes with a grace period between them: the first retires versions and the objects that only
they, or nobody, referred to; the second deletes what has been retired for longer than the grace.

Invariants: a version that a channel points to, that production can be rolled back to or that a pin
holds is never retired; an object that a kept version refers to is never retired; only retired
objects are deleted; all ages come from the store's own clock. No clock can make this unsafe, only
hasty: safety rests on the log alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from index_store.errors import UsageError
from index_store.layout import (
    RUNS_FOLDER,
    SHARD_RECORD_NAME,
    VERSIONED_FOLDERS,
    VERSIONS_FOLDER,
    shard_of,
)
from index_store.log_records import LogState

KEEP_LAST = 10
GRACE_MS = 24 * 3600 * 1000  # longer than any run or reader needs an object it has seen


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How much is kept.

    Attributes:
        keep_last: Newest versions that are kept in any case, at least 1.
        grace_ms: Nothing younger is retired, nothing retired more recently is deleted.
        condemned: Versions to retire although they are young or among the newest, at once with
            the objects that only they refer to.
    """

    keep_last: int = KEEP_LAST
    grace_ms: int = GRACE_MS
    condemned: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.keep_last < 1 or self.grace_ms < 0:
            raise UsageError(
                f"expiry must keep at least 1 version and have a grace of at least 0, "
                f"found {self.keep_last} and {self.grace_ms} ms"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """An object of the collection, as a listing showed it."""

    key: str
    size_bytes: int
    modified_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything that a decision rests on.

    Attributes:
        state: The log, from every single record.
        record_ms: When each record was written by the store's clock, by number.
        references: Size of every object that each open version refers to, its manifest included,
            by version and key.
        objects: Everything in the collection but the log, by key.
        now_ms: The time by the store's clock.
    """

    state: LogState
    record_ms: Mapping[int, int]
    references: Mapping[str, Mapping[str, int]]
    objects: Mapping[str, FoundObject]
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryPlan:
    """What the two passes would do now.

    Attributes:
        kept: Why each kept version is kept.
        versions: Versions to retire, oldest first.
        retire: Objects to retire.
        purge: Retired keys whose grace is over.
        delete: Objects to delete: purged now, or before by somebody who did not come to deleting.
        waiting: Objects that are retired and within their grace.
        stale: Checkpoints of runs that did not come back.
    """

    kept: Mapping[str, str] = field(default_factory=dict)
    versions: tuple[str, ...] = ()
    retire: tuple[FoundObject, ...] = ()
    purge: tuple[str, ...] = ()
    delete: tuple[FoundObject, ...] = ()
    waiting: tuple[FoundObject, ...] = ()
    stale: tuple[FoundObject, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.versions or self.retire or self.purge or self.delete or self.stale)


def plan_expiry(inventory: Inventory, policy: RetentionPolicy) -> ExpiryPlan:
    """Decide what to retire and what to delete.

    Raises:
        UsageError: A condemned version is not open, is pinned, or is the target of a channel.
    """
    state = inventory.state
    kept = _kept_versions(inventory, policy)
    versions = tuple(version for version in state.versions if version not in kept)
    live = _live_keys(inventory, kept)
    hasty = {key for version in policy.condemned for key in inventory.references[version]}
    threshold_ms = inventory.now_ms - policy.grace_ms
    retire, delete, waiting = [], [], []
    due = {
        key
        for key, seq in state.retired.items()
        if inventory.record_ms[seq] <= threshold_ms and _is_versioned(key)
    }
    for found in inventory.objects.values():
        if not _is_versioned(found.key):
            continue
        if found.key in due or found.key in state.purged:
            delete.append(found)
        elif found.key in state.retired:
            waiting.append(found)
        elif found.key not in live and (found.modified_ms <= threshold_ms or found.key in hasty):
            retire.append(found)
    return ExpiryPlan(
        kept=kept,
        versions=versions,
        retire=tuple(retire),
        purge=tuple(sorted(due)),
        delete=tuple(delete),
        waiting=tuple(waiting),
        stale=_stale_runs(inventory, threshold_ms),
    )


def unlisted(inventory: Inventory) -> list[str]:
    """Return the objects that open versions refer to and the listing lacks, or shows otherwise."""
    return sorted(
        {
            key
            for references in inventory.references.values()
            for key, size_bytes in references.items()
            if key not in inventory.objects or inventory.objects[key].size_bytes != size_bytes
        }
    )


def forbidden_references(inventory: Inventory) -> list[str]:
    """Return the retired or purged objects that an open version refers to; there must be none."""
    forbidden = inventory.state.forbidden_keys
    return sorted(
        {key for keys in inventory.references.values() for key in keys if key in forbidden}
    )


def _kept_versions(inventory: Inventory, policy: RetentionPolicy) -> dict[str, str]:
    """Return why each kept version is kept; the strongest reason wins."""
    state = inventory.state
    kept = _versions_in_use(state)
    _check_condemned(policy, state, kept)
    for channel, history in state.history.items():
        for version in history[-1:]:
            kept.setdefault(version, f"channel {channel} before")
    for version in list(state.versions)[-policy.keep_last :]:
        kept.setdefault(version, f"one of the last {policy.keep_last}")
    for version, published in state.versions.items():
        if inventory.record_ms[published.seq] > inventory.now_ms - policy.grace_ms:
            kept.setdefault(version, "younger than the grace")
    return {version: why for version, why in kept.items() if version not in policy.condemned}


def _versions_in_use(state: LogState) -> dict[str, str]:
    used: dict[str, str] = {}
    for channel, version in state.channels.items():
        used.setdefault(version, f"channel {channel}")
    for name, version in state.pins.items():
        used.setdefault(version, f"pin {name}")
    return used


def _check_condemned(policy: RetentionPolicy, state: LogState, used: Mapping[str, str]) -> None:
    for version in sorted(policy.condemned):
        if version not in state.versions:
            raise UsageError(f"version {version} is not open and cannot be retired")
        if version in used:
            raise UsageError(f"version {version} is in use by {used[version]}")


def _live_keys(inventory: Inventory, kept: Mapping[str, str]) -> set[str]:
    """Return the objects that kept versions refer to, and those that belong to them."""
    live = {key for version in kept for key in inventory.references[version]}
    shards = {shard_of(key) for key in live}
    for key in inventory.objects:
        _, folder, owner, *_ = (*key.split("/"), "", "")
        belongs_to_version = folder == VERSIONS_FOLDER and owner in kept
        is_record = key.endswith(f"/{SHARD_RECORD_NAME}") and shard_of(key) in shards
        if belongs_to_version or is_record:
            live.add(key)
    return live


def _is_versioned(key: str) -> bool:
    """Tell whether an object lies where versions keep theirs; anything else is left alone."""
    return key.split("/")[1] in VERSIONED_FOLDERS


def _stale_runs(inventory: Inventory, threshold_ms: int) -> tuple[FoundObject, ...]:
    """Return all objects of runs that wrote nothing within the grace."""
    runs: dict[str, list[FoundObject]] = {}
    for found in inventory.objects.values():
        _, folder, run, *_ = (*found.key.split("/"), "", "")
        if folder == RUNS_FOLDER:
            runs.setdefault(run, []).append(found)
    return tuple(
        found
        for objects in runs.values()
        if max(each.modified_ms for each in objects) <= threshold_ms
        for found in objects
    )
