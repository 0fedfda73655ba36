"""What a process holds open while it works on a run: store, parsers, embedder, vectors.

Invariants: everything is opened on first use, from plain options, so a worker on another machine
can do the same; only one thread embeds at a time, so that no text is embedded twice; closing ends
every child process.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from functools import cached_property

from index_store.clock import system_clock_ms
from index_store.embedder import Embedder, MeteredEmbedder, RequestLimits, RoutedEmbedder
from index_store.embedders.prices import Price, price_of
from index_store.embedders.registry import REMOTE, open_batch_jobs, open_embedder
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError, StoppedError, TransientError, UsageError
from index_store.manifest import HnswSettings
from index_store.shard_options import ShardOptions
from index_store.storage.base import Storage
from index_store.storage.opening import open_storage
from tasks.stages.checkpoints import ParsedBatch
from tasks.stages.embedding import Embedded, EmbeddingCounts, embed_batch
from tasks.stages.gating.expectation import Engine
from tasks.stages.gating.gate import open_engine
from tasks.stages.learned_limits import read_limits, write_limits
from tasks.stages.night_rate import NightClocks, NightDesk
from tasks.stages.parsing.isolation import ParsePool, WorkerOptions
from tasks.stages.parsing.limits import Limits
from tasks.stages.planning import read_base
from tasks.stages.plugged_chunker import worker_options
from tasks.stages.probing import check_model, stored_fingerprint
from tasks.stages.purse import Purse
from tasks.stages.run_options import EmbedOptions, NightOptions, RunOptions
from tasks.stages.shard_making import Site
from tasks.stages.stored_text import StoredText

StartParsers = Callable[[int, Limits, WorkerOptions], ParsePool]


def open_run_embedder(wanted: EmbedOptions) -> Embedder:
    """Open the embedder of a run.

    Raises:
        UsageError: There is none of this name, its dimension is not the one asked for, or a budget
            is set and its price is not known.
    """
    embedder = open_embedder(wanted.spec, threads=wanted.threads, remote=wanted.remote)
    if wanted.dimension not in (None, embedder.spec.dimension):
        raise UsageError(
            f"embedder {wanted.spec!r} has dimension {embedder.spec.dimension}, "
            f"expected {wanted.dimension} by the setting embed_dimension (EMBED_DIM)"
        )
    price = run_price(embedder, wanted)
    if wanted.budget is not None and price.per_million_tokens is None:
        raise UsageError(f"a budget cannot be held to: the price is {price.origin}")
    return embedder


def run_price(embedder: Embedder, wanted: EmbedOptions) -> Price:
    """Return what a million tokens of an embedder cost in a run."""
    return price_of(
        embedder.spec.provider,
        embedder.spec.model,
        told=wanted.remote.price_per_million_tokens,
        table=dict(wanted.remote.prices),
    )


class Workshop:
    """Opened resources of one run in one process; safe for threads."""

    def __init__(
        self,
        options: RunOptions,
        *,
        storage: Storage | None = None,
        start_parsers: StartParsers = ParsePool,
    ) -> None:
        """Open nothing yet but the store.

        Args:
            options: What the run is told.
            storage: The store when it is open already; None opens the one that `options` names.
            start_parsers: Starts the parser processes, which `close` closes.
        """
        self._options = options
        self._start_parsers = start_parsers
        self.storage = open_storage(options.store) if storage is None else storage
        self._lock = threading.Lock()
        self._embed_lock = threading.Lock()
        self._pool: ParsePool | None = None
        self._engine: Engine | None = None
        self._text: StoredText | None = None
        self._closed = False
        self._model_checked = False
        self._remembered: RequestLimits | None = None
        self._over = threading.Event()

    @property
    def options(self) -> RunOptions:
        """What the run was told."""
        return self._options

    def pool(self, tokenizer: str) -> ParsePool:
        """Return the parser processes, started on first use.

        Args:
            tokenizer: Identity of the tokenizer by which they cut; the same for a whole run.

        Raises:
            StoppedError: The workshop is closed.
        """
        with self._lock:
            if self._closed:
                raise StoppedError("the run was interrupted")
            if self._pool is None:
                self._pool = self._start_parsers(
                    self._options.parse_workers,
                    self._options.limits,
                    worker_options(
                        self._options.chunk,
                        tokenizer,
                        self._options.parsing,
                        self._options.tika,
                    ),
                )
            return self._pool

    @property
    def parsers_are_offline(self) -> bool:
        """Whether every parser process started so far was cut off from the network."""
        return self._pool is None or self._pool.offline

    def stored_text(self, version: str | None) -> StoredText:
        """Return the chunks of the version that the run builds on, opened on first use.

        Raises:
            CorruptArtifactError: Its manifest is damaged, or there is none.
            StoppedError: The workshop is closed.
        """
        with self._lock:
            if self._closed:
                raise StoppedError("the run was interrupted")
            if self._text is None:
                manifest = read_base(self.storage, self._options.collection, version).manifest
                if manifest is None:
                    raise CorruptArtifactError("work: stored chunks are wanted of no version")
                self._text = StoredText(self.storage, manifest)
            return self._text

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder.

        Raises:
            UsageError: There is none of this name, or its dimension is not the one asked for.
        """
        return open_run_embedder(self._options.embed)

    @cached_property
    def _vectors(self) -> EmbeddingStore:
        return self.new_vectors()

    def new_vectors(self) -> EmbeddingStore:
        """Open the stored vectors for a caller that needs them for itself."""
        spec = self.embedder.spec
        store = EmbeddingStore(self.storage, spec.id, spec.dimension)
        store.refresh()
        return store

    def embed(self, batch: ParsedBatch) -> Embedded:
        """Make sure that every chunk of a batch has a stored vector; one thread at a time."""
        with self._embed_lock:
            if self._options.shared:
                self._vectors.refresh()  # what another machine has paid for meanwhile
            try:
                return embed_batch(
                    batch,
                    self.storage,
                    self.embedder,
                    self._vectors,
                    self.purse,
                    lambda: self.check_model(again=False),
                )
            finally:
                self._remember_limits()

    def embed_at_night_rate(self, batches: Iterable[ParsedBatch]) -> EmbeddingCounts:
        """Fill the store with vectors of the batches at half the price, as far as the night goes.

        Raises:
            UsageError: The embedder has no night rate.
            StoppedError: The provider refuses the key, the budget is spent, or the run ended.
        """
        options = self._options.embed
        night = options.night or NightOptions()
        with (
            self._embed_lock,
            closing(open_batch_jobs(self.embedder.spec, options.remote)) as jobs,
        ):
            self.check_model(again=False)
            desk = NightDesk(
                self.storage,
                self.embedder,
                jobs,
                self._vectors,
                night,
                self.purse,
                NightClocks(now=time.monotonic, wait=self._rest),
            )
            return desk.embed(batches)

    def _recall_limits(self) -> None:
        """Begin with what refusals taught earlier runs."""
        if isinstance(self.embedder, MeteredEmbedder):
            known = read_limits(self.storage, self.embedder.spec.id, system_clock_ms())
            if known is not None:
                self.embedder.recall(known)
            self._remembered = self.embedder.learned()

    def _remember_limits(self) -> None:
        """Keep what refusals taught this run for the next one."""
        if not isinstance(self.embedder, MeteredEmbedder):
            return
        learned = self.embedder.learned()
        if learned is not None and learned != self._remembered:
            with suppress(TransientError):  # it is learned again
                write_limits(self.storage, self.embedder.spec.id, learned, system_clock_ms())
                self._remembered = learned

    def _rest(self, seconds: float) -> None:
        """Wait, unless the run is over."""
        if self._over.wait(max(0.0, seconds)):
            raise StoppedError("the run was interrupted")

    @cached_property
    def purse(self) -> Purse:
        """What this process may spend on embedding in this run."""
        return Purse(self.price.per_million_tokens, self._options.embed.budget)

    @property
    def price(self) -> Price:
        """What a million tokens cost in this run."""
        return run_price(self.embedder, self._options.embed)

    def gate_engine(self) -> Engine:
        """Return what checks the expectations, opened on first use.

        Raises:
            UsageError: It is not installed.
            StoppedError: The workshop is closed.
        """
        with self._lock:
            if self._closed:
                raise StoppedError("the run was interrupted")
            if self._engine is None:
                self._engine = open_engine(self._options.gates.engine)
            return self._engine

    def check_model(self, *, again: bool) -> None:
        """Notice when the model behind an address has changed.

        Args:
            again: Whether to ask once more at the end, which is done only after a first time.

        Raises:
            StoppedError: It has.
            UsageError: An address to fall back to has another model.
        """
        if self.embedder.spec.provider in REMOTE and self._model_checked == again:
            if not again:
                self._recall_limits()
            if not again and isinstance(self.embedder, RoutedEmbedder):
                self.embedder.check_routes(stored_fingerprint(self.storage, self.embedder))
            check_model(self.storage, self.embedder)
            self._model_checked = True

    def site(self) -> Site:
        """Return what building a shard needs."""
        options = self._options
        build = options.build
        return Site(
            storage=self.storage,
            collection=options.collection,
            run=options.run,
            embedder=self.embedder.spec,
            vectors=self.new_vectors(),
            options=ShardOptions(
                hnsw=HnswSettings(
                    m=build.m, ef_construction=build.ef_construction, ef_search=build.ef_search
                ),
                add_batch_rows=build.add_batch_rows,
                threads=build.threads,
                storage=build.storage,
            ),
            checkpoint_rows=build.checkpoint_rows,
        )

    def close(self) -> None:
        """End child processes and free the embedder; calling it twice is harmless."""
        self._over.set()
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
            engine, self._engine = self._engine, None
            text, self._text = self._text, None
        for opened in (pool, engine, text):
            if opened is not None:
                opened.close()
        if "embedder" in self.__dict__:
            self.embedder.close()
