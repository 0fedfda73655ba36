"""What a collection has been: its last versions, the channels that name them, what each changed.

Invariant: only figures leave here; a name of a document may tell what its reader has no right to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from index_store.collections import load_manifest
from index_store.errors import CorruptArtifactError, NotFoundError
from index_store.fields import Fields, parse_object
from index_store.layout import report_key
from index_store.log_records import LogState, PublishedVersion
from index_store.manifest import Counts
from index_store.storage.base import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class PastVersion:
    """A version as a list of versions shows it.

    Attributes:
        version: Its id.
        parent: The version it was built on, or None.
        run: The run that published it.
        published_at_ms: When, milliseconds since the epoch.
        channels: Channels that point to it, sorted.
        pins: Names that keep it, sorted.
        embedder: Provider and model of its vectors.
        counts: What it holds.
        changes: Documents per outcome of the last run that ended with it (added, changed, moved,
            removed, kept, rejected); empty when the run left no report.
    """

    version: str
    parent: str | None
    run: str
    published_at_ms: int
    channels: tuple[str, ...]
    pins: tuple[str, ...]
    embedder: str
    counts: Counts
    changes: Mapping[str, int] = field(default_factory=dict)


def last_versions(
    storage: Storage, collection: str, state: LogState, most: int
) -> tuple[PastVersion, ...]:
    """Return the versions that were published last, newest first.

    Args:
        storage: The store.
        collection: Name of the collection.
        state: What its log adds up to.
        most: How many at most.

    Raises:
        CorruptArtifactError: A manifest is damaged.
        TransientError: The store could not be read.
    """
    newest = list(state.versions.values())[-most:][::-1]
    return tuple(_describe(storage, collection, state, published) for published in newest)


def _describe(
    storage: Storage, collection: str, state: LogState, published: PublishedVersion
) -> PastVersion:
    manifest = load_manifest(storage, published)
    return PastVersion(
        version=published.version,
        parent=published.parent,
        run=published.run,
        published_at_ms=published.published_at_ms,
        channels=_names_of(published.version, state.channels.items()),
        pins=_names_of(published.version, state.pins.items()),
        embedder=f"{manifest.embedder.provider}/{manifest.embedder.model}",
        counts=manifest.counts,
        changes=_changes(storage, report_key(collection, published.version)),
    )


def _names_of(version: str, pointers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted(name for name, target in pointers if target == version))


def _changes(storage: Storage, key: str) -> dict[str, int]:
    """Read the figures of a report; a version without one, or with a foreign one, has none."""
    try:
        body = parse_object(storage.read(key), key)
    except (NotFoundError, CorruptArtifactError):
        return {}
    figures = Fields(body, "", []).free_form("documents")
    return {name: count for name, count in figures.items() if isinstance(count, int)}
