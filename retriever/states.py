"""What an operator wants to know about what is served, as values; pure."""

from dataclasses import dataclass
from enum import Enum

from index_store.errors import (
    CorruptArtifactError,
    NoRoomError,
    NotFoundError,
    TransientError,
    UsageError,
)


class Reason(Enum):
    """Why the wanted version is not what answers."""

    LOADING = "loading"  # nothing was tried yet
    NOT_FOUND = "not_found"  # no such collection, channel, pin or version
    DAMAGED = "damaged"  # a file is missing or not what its manifest says
    UNSUPPORTED = "unsupported"  # another embedder, or a newer nightpress
    NO_ROOM = "no_room"  # memory or disk of this machine
    UNAVAILABLE = "unavailable"  # the store, or whoever makes vectors, does not answer
    STOPPING = "stopping"  # this process was told to end
    FAILED = "failed"  # anything else


@dataclass(frozen=True, slots=True, kw_only=True)
class Swaps:
    """What became of the versions that were to be served since the process began.

    Attributes:
        done: Versions that took over.
        failed: Tries that changed nothing.
        fallbacks: Times that an older version or a local copy had to do at the start.
        seconds: That opening, checking and warming took, in all tries together.
    """

    done: int = 0
    failed: int = 0
    fallbacks: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionState:
    """What an operator wants to know about a served collection.

    Attributes:
        name: Name of the collection.
        version: Version that answers now, or None.
        published_at_ms: When that version was published.
        opened_at_ms: When it was opened here.
        rows: Chunks that can be found.
        documents: Documents that they come from.
        embedder: Provider and model of the vectors, empty while nothing is loaded.
        wanted: Version that the channel names, or None when the channel is empty.
        checked_at_ms: When the commit log was last read successfully, or None.
        error: Why `wanted` is not what answers, or None.
        reason: The kind of `error`, or None.
        error_at_ms: When that was found.
        swaps: What became of the versions so far.
    """

    name: str
    version: str | None
    published_at_ms: int | None
    opened_at_ms: int | None
    rows: int
    documents: int
    embedder: str
    wanted: str | None
    checked_at_ms: int | None
    error: str | None
    reason: Reason | None
    error_at_ms: int | None
    swaps: Swaps


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What the whole retriever serves.

    Attributes:
        collections: Every collection, sorted by name.
        error: Why the store could not be listed at the last look, or None.
        not_ready: Why no question should be sent here, or None when it should.
        cache_bytes: What the local copies come to, None when there is no cache.
    """

    collections: tuple[CollectionState, ...]
    error: str | None
    not_ready: str | None
    cache_bytes: int | None = None


def reason_of(error: Exception) -> Reason:
    """Return what kind of failure an error is, for whoever has to mend it."""
    kinds: tuple[tuple[type[Exception], Reason], ...] = (
        (NoRoomError, Reason.NO_ROOM),
        (TransientError, Reason.UNAVAILABLE),
        (NotFoundError, Reason.NOT_FOUND),
        (CorruptArtifactError, Reason.DAMAGED),
        (UsageError, Reason.UNSUPPORTED),
    )
    return next((reason for kind, reason in kinds if isinstance(error, kind)), Reason.FAILED)
