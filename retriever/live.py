"""One collection as it is served: the live generation, and how the next one takes its place.

Invariants: the new version is opened, verified and warmed aside before one assignment makes it
live; a version that cannot be loaded changes nothing but the state that `/status` shows; at most
two generations are open.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from index_store.cache import LocalCache
from index_store.collections import check_format, load_manifest
from index_store.embedder import Embedder, EmbedderSpec
from index_store.errors import CorruptArtifactError, IndexStoreError, NotFoundError, TransientError
from index_store.layout import figures_page_key, page_key
from index_store.log import CommitLog
from index_store.log_records import LogState, PublishedVersion, resolve_version
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.base import Storage
from retriever.generation import Generation
from retriever.history import PastVersion, last_versions
from retriever.options import RetrieverOptions
from retriever.past import PastVersions
from retriever.reranking import RerankStage

logger = logging.getLogger(__name__)

OpenEmbedder = Callable[[EmbedderSpec], Embedder]
Clock = Callable[[], int]


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
        error_at_ms: When that was found.
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
    error_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """A version that could not be loaded, why, and when that was found."""

    version: str
    message: str
    at_ms: int


class LiveCollection:
    """Serves one collection and follows its channel.

    Args:
        storage: The store.
        name: Name of the collection.
        open_embedder: Opens the embedder of an identity, or raises why it cannot.
        options: Channel, retry time and the bound of exact search.
        clock_ms: Milliseconds since the epoch.
        cache: Copies of a store without local files, shared by all collections.
        rerank: Reranks hits, shared by all collections; None for no reranking.
    """

    def __init__(
        self,
        storage: Storage,
        name: str,
        open_embedder: OpenEmbedder,
        options: RetrieverOptions,
        clock_ms: Clock,
        *,
        cache: LocalCache | None = None,
        rerank: RerankStage | None = None,
    ) -> None:
        self.name = name
        self._storage = storage
        self._open_embedder = open_embedder
        self._options = options
        self._clock_ms = clock_ms
        self._cache = cache
        self._rerank = rerank
        self._log = CommitLog(storage, name, clock_ms=clock_ms)
        self._log_state = LogState()  # as of the last look; replaced whole
        self._past = PastVersions(self._open, options.past_versions)
        self._live: Generation | None = None
        self._draining: Generation | None = None
        self._wanted: str | None = None
        self._refusal: _Refusal | None = None
        self._checked_at_ms: int | None = None
        self._error: str | None = "it is being loaded"
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
            self._fail(str(error))
        except Exception as error:  # the thread that looks must outlive what it finds
            logger.exception("collection %s", self.name)
            self._fail(f"unexpected {type(error).__name__}")

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
            error_at_ms=self._error_at_ms,
        )

    def close(self) -> None:
        """Stop serving; requests that are under way finish first."""
        live, self._live = self._live, None
        self._error = "the retriever is stopping"
        if live is not None:
            live.retire()
        self._past.close()

    def _follow(self) -> None:
        check_format(self._storage, self.name)
        log_state = self._log.read()
        self._checked_at_ms = self._clock_ms()
        self._log_state = log_state
        wanted = log_state.channels.get(self._options.channel)
        self._wanted = wanted
        if wanted is None:
            raise NotFoundError(f"channel '{self._options.channel}' is empty")
        if self._live is not None and self._live.version == wanted:
            self._clear()
            return
        if self._draining is not None and not self._draining.closed:
            return  # a third open generation would not be bounded by anything
        self._check_refusal(wanted)
        generation = self._load(log_state.versions[wanted])
        self._draining, self._live = self._live, generation
        self._clear()
        if self._draining is not None:
            self._draining.retire()
        logger.info("collection %s serves version %s", self.name, wanted)

    def _check_refusal(self, wanted: str) -> None:
        refusal = self._refusal
        if refusal is None or refusal.version != wanted:
            return
        if self._clock_ms() < refusal.at_ms + 1000 * self._options.retry_s:
            raise CorruptArtifactError(refusal.message)

    def _load(self, published: PublishedVersion) -> Generation:
        try:
            return self._open(published)
        except TransientError:
            raise  # worth another try at the next look
        except IndexStoreError as error:
            message = f"version {published.version} is not served: {error}"
            self._refusal = _Refusal(
                version=published.version, message=message, at_ms=self._clock_ms()
            )
            raise CorruptArtifactError(message) from error

    def _open(self, published: PublishedVersion) -> Generation:
        manifest = load_manifest(self._storage, published)
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

    def _fail(self, message: str) -> None:
        if message == self._error:
            return
        logger.warning("collection %s: %s", self.name, message)
        self._error = message
        self._error_at_ms = self._clock_ms()

    def _clear(self) -> None:
        self._error = None
        self._error_at_ms = None
        self._refusal = None
