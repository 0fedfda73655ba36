"""One collection as it is served: the live generation, and how the next one takes its place.

While nothing answers, an older version that the channel had does, or the version that was served
last from the local copies: the newest one that can be opened, also with the store down.

Invariants: the new version is opened, verified and warmed aside before one assignment makes it
live; a version that cannot be loaded changes nothing but the state that `/status` shows; at most
two generations are open; a version that the log retired is never opened while the log can be read.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from index_store.cache import LocalCache
from index_store.collections import check_format, load_manifest
from index_store.embedder import Embedder, EmbedderSpec
from index_store.errors import IndexStoreError, NotFoundError, TransientError
from index_store.layout import figures_page_key, page_key
from index_store.log import CommitLog
from index_store.log_records import (
    VERSION_PREFIX,
    LogState,
    PublishedVersion,
    resolve_version,
)
from index_store.manifest import Manifest
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.base import Storage
from retriever.generation import Generation
from retriever.history import PastVersion, last_versions
from retriever.options import RetrieverOptions
from retriever.past import PastVersions
from retriever.remembered import Remembered
from retriever.reranking import RerankStage
from retriever.room import available_memory, check_memory, give_back_memory
from retriever.states import CollectionState, Reason, Swaps, reason_of

logger = logging.getLogger(__name__)

OpenEmbedder = Callable[[EmbedderSpec], Embedder]
Clock = Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """Why a version could not be loaded, and when that was found."""

    error: IndexStoreError
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all collections of a store share.

    Attributes:
        storage: The store.
        open_embedder: Opens the embedder of an identity, or raises why it cannot.
        options: What is followed, retry time, the bound of exact search, room that must be left.
        clock_ms: Milliseconds since the epoch.
        remembered: What was served last from the local copies.
        cache: Copies of a store without local files; None for temporary ones.
        rerank: Reranks hits; None for no reranking.
    """

    storage: Storage
    open_embedder: OpenEmbedder
    options: RetrieverOptions
    clock_ms: Clock
    remembered: Remembered
    cache: LocalCache | None = None
    rerank: RerankStage | None = None


class LiveCollection:
    """Serves one collection and follows its channel.

    Args:
        name: Name of the collection.
        shared: What it shares with the others.
    """

    def __init__(self, name: str, shared: Shared) -> None:
        self.name = name
        self._storage = shared.storage
        self._open_embedder = shared.open_embedder
        self._options = options = shared.options
        self._clock_ms = clock_ms = shared.clock_ms
        self._cache = shared.cache
        self._rerank = shared.rerank
        self._remembered = shared.remembered
        self._log = CommitLog(shared.storage, name, clock_ms=clock_ms)
        self._log_state = LogState()  # as of the last look; replaced whole
        self._past = PastVersions(self._open, options.past_versions)
        self._live: Generation | None = None
        self._draining: Generation | None = None
        self._wanted: str | None = None
        self._refusals: dict[str, _Refusal] = {}
        self._swaps = Swaps()
        self._checked_at_ms: int | None = None
        self._error: str | None = "it is being loaded"
        self._reason: Reason | None = Reason.LOADING
        self._error_at_ms: int | None = None

    @contextmanager
    def hold(self) -> Iterator[Generation]:
        """Hold the live generation for the length of a request; it stays open until then.

        Raises:
            TransientError: No version is loaded; the message says why.
        """
        while True:
            generation = self._live
            if generation is None:
                raise TransientError(f"collection '{self.name}': {self._error}")
            if generation.enter():
                break
        try:
            yield generation
        finally:
            generation.leave()

    @contextmanager
    def hold_version(self, version: str) -> Iterator[Generation]:
        """Hold a version that need not be the live one, for the length of a request.

        Args:
            version: Beginning of its id.

        Raises:
            UsageError: The beginning is too short, is no id, or fits several versions; or the
                version needs another embedder.
            NotFoundError: There is no such version.
            CorruptArtifactError: The version is damaged.
            TransientError: The store could not be read.
        """
        published = resolve_version(self._log_state, version=version)
        live = self._live
        served = live is not None and live.version == published.version
        with self.hold() if served else self._past.hold(published) as generation:
            yield generation

    def versions(self, most: int) -> tuple[PastVersion, ...]:
        """Return the versions that were published last, newest first; reads their manifests.

        Raises:
            CorruptArtifactError: A manifest is damaged.
            TransientError: The store could not be read.
        """
        return last_versions(self._storage, self.name, self._log_state, most)

    def report_page(self, version: str, *, names: bool) -> bytes:
        """Return the page that the run left beside a version.

        Args:
            version: Beginning of its id.
            names: Whether it may name documents.

        Raises:
            NotFoundError: There is no such version, or it has no page.
            UsageError: The beginning is too short or fits several.
            TransientError: The store could not be read.
        """
        published = resolve_version(self._log_state, version=version)
        key = page_key if names else figures_page_key
        return self._storage.read(key(self.name, published.version))

    @property
    def loaded(self) -> bool:
        """Whether a version answers."""
        return self._live is not None

    def refresh(self) -> None:
        """Look at the commit log once and load the channel's version if it is not the live one."""
        try:
            self._follow()
        except IndexStoreError as error:
            self._fail(str(error), reason_of(error))
        except Exception as error:  # the thread that looks must outlive what it finds
            logger.exception("collection %s", self.name)
            self._fail(f"unexpected {type(error).__name__}", Reason.FAILED)

    def state(self) -> CollectionState:
        """Return what is served and what went wrong."""
        live = self._live
        manifest = live.snapshot.manifest if live else None
        return CollectionState(
            name=self.name,
            version=live.version if live else None,
            published_at_ms=live.snapshot.published_at_ms if live else None,
            opened_at_ms=live.opened_at_ms if live else None,
            rows=live.snapshot.rows if live else 0,
            documents=manifest.counts.documents if manifest else 0,
            embedder=f"{manifest.embedder.provider}/{manifest.embedder.model}" if manifest else "",
            wanted=self._wanted,
            checked_at_ms=self._checked_at_ms,
            error=self._error,
            reason=self._reason,
            error_at_ms=self._error_at_ms,
            swaps=self._swaps,
        )

    def close(self) -> None:
        """Stop serving; requests that are under way finish first."""
        live, self._live = self._live, None
        self._error, self._reason = "the retriever is stopping", Reason.STOPPING
        if live is not None:
            live.retire()
        self._past.close()

    def _follow(self) -> None:
        log_state = self._read_log()
        wanted = followed(log_state, self._options.follow)
        self._wanted = wanted
        if wanted is None:
            raise NotFoundError(f"channel '{self._options.follow}' is empty")
        if self._live is not None and self._live.version == wanted:
            self._clear()
            return
        if self._draining is not None and not self._draining.closed:
            return  # a third open generation would not be bounded by anything
        try:
            generation = self._load(log_state.versions[wanted])
        except IndexStoreError:
            if self._live is None:
                self._serve_older(log_state)
            raise
        self._serve(generation, log_state.versions[wanted])
        self._clear()

    def _read_log(self) -> LogState:
        try:
            check_format(self._storage, self.name)
            log_state = self._log.read()
        except IndexStoreError:
            remembered = None if self._live is not None else self._remembered.recall(self.name)
            if remembered is not None:
                self._serve_instead(remembered)
            raise
        self._checked_at_ms = self._clock_ms()
        self._log_state = log_state
        return log_state

    def _serve_older(self, state: LogState) -> None:
        """Serve the newest version that can be opened of those that the channel had before."""
        before = list(reversed(state.history.get(self._options.follow, ())))
        remembered = self._remembered.recall(self.name)
        if remembered is not None:
            before.append(remembered.version)
        for name in dict.fromkeys(before):
            if name in state.versions and self._serve_instead(state.versions[name]):
                return

    def _serve_instead(self, published: PublishedVersion) -> bool:
        try:
            generation = self._load(published)
        except IndexStoreError as error:
            logger.warning("collection %s: %s", self.name, error)
            return False
        self._serve(generation, published)
        self._swaps = replace(self._swaps, fallbacks=self._swaps.fallbacks + 1)
        return True

    def _serve(self, generation: Generation, published: PublishedVersion) -> None:
        self._draining, self._live = self._live, generation
        if self._draining is not None:
            self._draining.retire()
        self._swaps = replace(self._swaps, done=self._swaps.done + 1)
        self._remembered.note(self.name, published)
        give_back_memory()  # opening and warming needed more than answering does
        logger.info("collection %s serves version %s", self.name, published.version)

    def _load(self, published: PublishedVersion) -> Generation:
        """Open a version, unless it failed a short while ago."""
        refusal = self._refusals.get(published.version)
        if refusal and self._clock_ms() < refusal.at_ms + 1000 * self._options.retry_s:
            raise refusal.error
        began = time.monotonic()
        try:
            return self._open(published)
        except IndexStoreError as error:
            self._swaps = replace(self._swaps, failed=self._swaps.failed + 1)
            told = type(error)(f"version {published.version} is not served: {error}")
            if reason_of(error) is not Reason.UNAVAILABLE:  # that is worth a try at the next look
                refused = _Refusal(error=told, at_ms=self._clock_ms())
                self._refusals[published.version] = refused
            raise told from error
        finally:
            seconds = self._swaps.seconds + time.monotonic() - began
            self._swaps = replace(self._swaps, seconds=seconds)

    def _open(self, published: PublishedVersion) -> Generation:
        manifest = load_manifest(self._storage, published, self._cache)
        self._check_room(manifest)
        embedder = self._open_embedder(manifest.embedder)
        options = SnapshotOptions(
            exact_rows=self._options.exact_rows,
            embedder_id=embedder.spec.id,
            cache=self._cache,
        )
        snapshot = Snapshot.open_published(self._storage, published, options=options)
        generation = Generation(snapshot, embedder, self._clock_ms(), rerank=self._rerank)
        try:
            generation.warm()
        except BaseException:
            generation.retire()
            raise
        return generation

    def _check_room(self, manifest: Manifest) -> None:
        """See that memory and disk suffice; while nothing answers, memory is not asked for.

        Raises:
            NoRoomError: They do not.
        """
        if self._live is not None:
            reserve_bytes = self._options.memory_reserve_mib << 20
            check_memory(manifest, available_memory(), reserve_bytes)
        if self._cache is None:
            return
        copied = self._cache.options.copy_folders
        self._cache.reserve(
            each
            for shard in manifest.shards
            for each in shard.files
            if copied or self._storage.local_path(each.key) is None
        )

    def _fail(self, message: str, reason: Reason) -> None:
        if message == self._error:
            return
        logger.warning("collection %s: %s", self.name, message)
        self._error, self._reason = message, reason
        self._error_at_ms = self._clock_ms()

    def _clear(self) -> None:
        self._error = self._reason = self._error_at_ms = None
        self._refusals = {}


def followed(state: LogState, name: str) -> str | None:
    """Return the version that a name stands for, or None; pure.

    Args:
        state: What the log adds up to.
        name: A channel, else a pin, else the beginning of a version's id.

    Raises:
        UsageError: The beginning fits several versions.
        NotFoundError: It is that of no version.
    """
    if name in state.channels:
        return state.channels[name]
    if name in state.pins:
        return state.pins[name]
    if VERSION_PREFIX.fullmatch(name):
        return resolve_version(state, version=name).version
    return None
