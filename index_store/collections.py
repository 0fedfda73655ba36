"""The collections of a store: what there is, and how each stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from index_store.cache import LocalCache
from index_store.errors import ConflictError, NotFoundError, UsageError
from index_store.fields import Fields, parse_object, raise_problems
from index_store.layout import COLLECTION_NAME, EMBEDDINGS_FOLDER, check_collection, format_key
from index_store.local_files import LocalFiles
from index_store.log import CommitLog
from index_store.log_records import (
    CANDIDATE,
    PRODUCTION,
    LogChange,
    LogRecord,
    LogState,
    PublishedVersion,
)
from index_store.manifest import Counts, Manifest
from index_store.manifest_codec import parse_manifest
from index_store.storage.base import Storage

STORE_FORMAT_VERSION = 1
MOST_RECORDS_BACK = 64  # looked at for the last move of a channel; each is one read


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionStatus:
    """How a collection stands.

    Attributes:
        name: Name of the collection.
        channels: Version that each channel points to.
        versions: Number of versions that were published.
        version: The version described below: that of `production`, else of `candidate`, else None.
        published_at_ms: When it was published, milliseconds since the epoch; None without a
            version.
        age_ms: Time since then; None without a version.
        counts: What it holds; None without a version.
        size_bytes: Size of all files it consists of; 0 without a version.
        shards: Number of its shards.
        embedder: Provider and model, empty without a version.
    """

    name: str
    channels: Mapping[str, str]
    versions: int
    version: str | None
    published_at_ms: int | None
    age_ms: int | None
    counts: Counts | None
    size_bytes: int
    shards: int
    embedder: str


def list_collections(storage: Storage) -> list[str]:
    """Return the names of all collections, sorted.

    Raises:
        TransientError: The store could not be listed.
    """
    return sorted(name for name in _top_folders(storage) if _is_collection(storage, name))


def collection_status(storage: Storage, name: str, *, now_ms: int) -> CollectionStatus:
    """Describe a collection.

    Args:
        storage: The store.
        name: Name of the collection.
        now_ms: The time to count ages from, milliseconds since the epoch.

    Raises:
        NotFoundError: There is no such collection.
        CorruptArtifactError: Its log or manifest is damaged.
        TransientError: The store could not be read.
    """
    check_format(storage, name)
    state = CommitLog(storage, name).read()
    version = state.channels.get(PRODUCTION, state.channels.get(CANDIDATE))
    if version is None:
        return _status_without_version(name, state)
    published = state.versions[version]
    manifest = load_manifest(storage, published)
    unique = {artifact.key: artifact.size_bytes for artifact in manifest.artifacts}
    return CollectionStatus(
        name=name,
        channels=state.channels,
        versions=len(state.versions),
        version=version,
        published_at_ms=published.published_at_ms,
        age_ms=max(0, now_ms - published.published_at_ms),
        counts=manifest.counts,
        size_bytes=published.manifest.size_bytes + sum(unique.values()),
        shards=len(manifest.shards),
        embedder=f"{manifest.embedder.provider}/{manifest.embedder.model}",
    )


def last_move(log: CommitLog, state: LogState, channel: str) -> LogRecord | None:
    """Return the record that pointed a channel where it points now, with its time and reason.

    Args:
        log: The log of the collection.
        state: The log as it was read.
        channel: Name of the channel.

    Returns:
        The record; None without such a channel, or when more than MOST_RECORDS_BACK follow it.

    Raises:
        CorruptArtifactError: A record is missing or damaged.
        TransientError: The store could not be read.
    """
    if channel not in state.channels:
        return None
    for seq in range(state.seq, max(0, state.seq - MOST_RECORDS_BACK), -1):
        record = log.record(seq)
        if isinstance(record.change, LogChange) and record.change.channel == channel:
            return record
    return None


def load_manifest(
    storage: Storage, published: PublishedVersion, cache: LocalCache | None = None
) -> Manifest:
    """Read and check the manifest of a version.

    Args:
        storage: The store.
        published: The version.
        cache: Copies that spare a download, and outlast the store; None for none.

    Raises:
        CorruptArtifactError: It is missing or damaged.
        UsageError: It was written by a newer nightpress.
        TransientError: The store could not be read.
    """
    files = LocalFiles(storage, cache)
    try:
        return parse_manifest(files.read(published.manifest))
    finally:
        files.close()


def ensure_format(storage: Storage, name: str) -> None:
    """Make a collection if it does not exist, else check that this nightpress can write to it.

    Raises:
        UsageError: The name is not valid, or a newer nightpress made the collection.
        CorruptArtifactError: Its format file is damaged.
        TransientError: The store could not be written.
    """
    body = orjson.dumps(
        {"format": "nightpress", "format_version": STORE_FORMAT_VERSION},
        option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )
    try:
        check_format(storage, name)
    except NotFoundError:
        try:
            storage.create(format_key(name), body)
        except ConflictError:
            check_format(storage, name)


def check_format(storage: Storage, name: str) -> None:
    """Check that a collection exists in a format that this nightpress reads.

    Raises:
        UsageError: The name is not valid, or a newer nightpress made the collection.
        NotFoundError: There is no such collection.
        CorruptArtifactError: Its format file is damaged.
        TransientError: The store could not be read.
    """
    key = format_key(check_collection(name))
    try:
        data = storage.read(key)
    except NotFoundError as error:
        raise NotFoundError(f"collection {name!r} does not exist in {storage.url}") from error
    problems: list[str] = []
    fields = Fields(parse_object(data, key), "", problems)
    if fields.text("format") != "nightpress":
        fields.problem("format", "expected nightpress")
    if fields.whole("format_version", minimum=1) > STORE_FORMAT_VERSION:
        raise UsageError(f"collection {name} was made by a newer nightpress; upgrade this one")
    raise_problems(key, problems)


def _top_folders(storage: Storage) -> Iterator[str]:
    """Yield the first parts of all keys, with one look at the listing for each."""
    after = ""
    while True:
        entry = next(iter(storage.list("", after=after)), None)
        if entry is None:
            return
        name, separator, _ = entry.key.partition("/")
        after = f"{name}/\U0010ffff" if separator else entry.key
        if separator:
            yield name


def _is_collection(storage: Storage, name: str) -> bool:
    if name == EMBEDDINGS_FOLDER or not COLLECTION_NAME.fullmatch(name):
        return False
    key = format_key(name)
    return any(entry.key == key for entry in storage.list(key))


def _status_without_version(name: str, state: LogState) -> CollectionStatus:
    return CollectionStatus(
        name=name,
        channels=state.channels,
        versions=len(state.versions),
        version=None,
        published_at_ms=None,
        age_ms=None,
        counts=None,
        size_bytes=0,
        shards=0,
        embedder="",
    )
