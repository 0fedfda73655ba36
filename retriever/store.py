"""Every collection of a store as it is served, kept up to date by one thread.

Invariants: a request never waits for a version to load; a store that cannot be read leaves every
live generation serving; questions go only to an embedder whose identity equals the manifest's.
"""

import logging
import threading

from index_store.cache import LocalCache
from index_store.clock import system_clock_ms
from index_store.collections import list_collections
from index_store.embedder import Embedder, EmbedderSpec
from index_store.embedders.registry import open_embedder, spec_string
from index_store.embedders.remote.options import RemoteOptions
from index_store.errors import IndexStoreError, NotFoundError, TransientError, UsageError
from index_store.storage.opening import open_storage
from retriever.live import Clock, LiveCollection, Shared
from retriever.options import RetrieverOptions
from retriever.remembered import Remembered
from retriever.reranking import open_rerank_stage
from retriever.states import CollectionState, StoreState

logger = logging.getLogger(__name__)


class LiveStore:
    """Follows the channels of every collection of a store.

    Args:
        options: What to serve and how often to look.
        clock_ms: Milliseconds since the epoch.

    Raises:
        UsageError: The store's address is of no known kind.
    """

    def __init__(self, options: RetrieverOptions, *, clock_ms: Clock = system_clock_ms) -> None:
        self._options = options
        self._storage = open_storage(options.store)
        self._cache = None if options.cache is None else LocalCache(options.cache)
        self._remembered = Remembered(self._cache, self._storage.url)
        self._rerank = None if options.rerank is None else open_rerank_stage(options.rerank)
        self._shared = Shared(
            storage=self._storage,
            open_embedder=self._embedder,
            options=options,
            clock_ms=clock_ms,
            remembered=self._remembered,
            cache=self._cache,
            rerank=self._rerank,
        )
        self._collections: dict[str, LiveCollection] = {}
        self._embedders: dict[str, Embedder] = {}
        self._error: str | None = "the store was not read yet"
        self._stopping = threading.Event()
        self._draining = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow the store in a thread of its own."""
        self._thread = threading.Thread(target=self._follow, name="store-follower", daemon=True)
        self._thread.start()

    def drain(self) -> None:
        """Say from now on that nothing should be sent here; what comes is still answered."""
        self._draining = True

    @property
    def draining(self) -> bool:
        """Whether the process was told to end."""
        return self._draining

    def close(self) -> None:
        """Stop following, let requests finish, release embedders; calling it twice is harmless."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for collection in self._collections.values():
            collection.close()
        for embedder in self._embedders.values():
            embedder.close()
        self._embedders.clear()
        if self._rerank is not None:
            self._rerank.close()

    def refresh(self) -> None:
        """Look once at the store and load what is new; called by one thread at a time."""
        try:
            names = list_collections(self._storage)
        except IndexStoreError as error:
            self._note(str(error))
            names = []
        else:
            self._note(None)
        if not names and not self._collections:
            # A mount that is missing looks like a store in which nothing was ever published.
            names = self._remembered.collections()
        known = dict(self._collections)
        for name in names:
            if name not in known:
                known[name] = LiveCollection(name, self._shared)
        self._collections = known  # one assignment: requests read it without a lock
        for collection in known.values():
            if self._stopping.is_set():
                return
            collection.refresh()

    def find(self, name: str | None) -> LiveCollection:
        """Return the named collection, or the only one.

        Raises:
            UsageError: No name was given and there are several collections.
            NotFoundError: There is no collection of this name.
            TransientError: There is no collection yet.
        """
        known = self._collections
        if not known:
            raise TransientError(self._error or "the store has no collection yet")
        names = ", ".join(sorted(known))
        if name is None and len(known) > 1:
            raise UsageError(f"name a collection, one of: {names}")
        chosen = next(iter(known)) if name is None else name
        if chosen not in known:
            raise NotFoundError(f"collection '{chosen[:128]}' does not exist, there are: {names}")
        return known[chosen]

    def state(self) -> StoreState:
        """Return what is served and what went wrong."""
        known = self._collections
        states = tuple(known[name].state() for name in sorted(known))
        not_ready = "it is stopping" if self._draining else _not_ready(states, self._error)
        return StoreState(collections=states, error=self._error, not_ready=not_ready)

    def cache_bytes(self) -> int | None:
        """Return what the local copies come to, or None when there is no cache."""
        return None if self._cache is None else self._cache.size_bytes()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self.refresh()
            self._stopping.wait(self._options.poll_s)

    def _note(self, error: str | None) -> None:
        if error is not None and error != self._error:
            logger.warning("store cannot be listed: %s", error)
        self._error = error

    def _embedder(self, spec: EmbedderSpec) -> Embedder:
        if spec.id not in self._embedders:
            self._embedders[spec.id] = _open_same(spec, self._options.remote)
        return self._embedders[spec.id]


def _not_ready(states: tuple[CollectionState, ...], error: str | None) -> str | None:
    if any(state.version for state in states):
        return None
    reasons = [f"collection '{state.name}': {state.error}" for state in states if state.error]
    return "; ".join(reasons) or error or "the store has no collection yet"


def _open_same(spec: EmbedderSpec, remote: RemoteOptions) -> Embedder:
    """Open the embedder of an identity; a similar one would find wrong neighbours silently."""
    embedder = open_embedder(spec_string(spec), remote=remote)
    if embedder.spec.id != spec.id:
        found = embedder.spec
        embedder.close()
        raise UsageError(
            f"the index needs embedder {spec.provider}/{spec.model} revision {spec.revision}, "
            f"this installation has {found.provider}/{found.model} revision {found.revision}"
        )
    return embedder
