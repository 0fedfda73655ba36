"""What every route stands on: the store, the options, the threads that search, the figures."""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request, Response

from index_store.clock import system_clock_ms
from index_store.errors import TransientError
from index_store.records import Hit
from retriever.access import Caller
from retriever.answers import version_headers
from retriever.audit import AuditEntry, AuditLog
from retriever.figures import Figures
from retriever.generation import Generation, NoteStage
from retriever.live import LiveCollection
from retriever.options import RetrieverOptions
from retriever.pace import Pace
from retriever.query import Query
from retriever.routes.replies import read_body
from retriever.store import LiveStore
from retriever.tracing import Tracing

if TYPE_CHECKING:
    from retriever.chat.backend import ChatBackend  # loads a client of HTTP


Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to.

    Attributes:
        version: The version that was searched.
        mode: How it was searched.
        hits: Best first.
        took_ms: Milliseconds, embedding the question included.
        headers: Which version answered, and how old it is.
    """

    version: str
    mode: str
    hits: tuple[Hit, ...]
    took_ms: float
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Shared by all routes.

    Attributes:
        live: The collections as they are served.
        options: What the operator set.
        threads: How many searches run at the same time.
        figures: What is counted and measured.
        pace: How often each key and user may ask.
        tracing: Where spans go.
        backend: The language model, or None.
        audit: What is written down of every search.
    """

    live: LiveStore
    options: RetrieverOptions
    threads: CapacityLimiter
    figures: Figures
    pace: Pace
    tracing: Tracing
    backend: "ChatBackend | None"
    audit: AuditLog

    async def read_body(self, request: Request, limit_bytes: int) -> bytes | Response:
        """Read the body of a request; an answer instead when it is too long, or too slow."""
        return await read_body(request, limit_bytes, self.options.patience.body_s)

    async def search(
        self, caller: Caller, collection: LiveCollection, query: Query, version: str | None = None
    ) -> Found:
        """Search in a thread; never in the event loop.

        Args:
            caller: Who asks; for the audit log, the rights are in the query.
            collection: Where.
            query: What.
            version: Beginning of a version's id; None for the one that answers now.

        Raises:
            IndexStoreError: The search failed, or too many others wait.
        """
        if self.threads.statistics().tasks_waiting >= self.options.searches_waiting:
            raise TransientError("too many searches are waiting, try again in a moment")
        with self.tracing.span("search") as told:
            found = await to_thread.run_sync(
                _search, collection, query, version, self.figures.stage, limiter=self.threads
            )
            told.update(collection=collection.name, version=found.version, mode=found.mode)
            told.update(hits=len(found.hits), k=query.options.k)
        self.figures.stage("search", found.took_ms / 1000)
        entry = AuditEntry(
            caller=caller,
            collection=collection.name,
            version=found.version,
            question=query.text,
            hits=found.hits,
            took_ms=found.took_ms,
        )
        await to_thread.run_sync(self.audit.write, entry)
        return found

    async def measured(self, stage: str, parts: AsyncGenerator[Kind]) -> AsyncGenerator[Kind]:
        """Yield what comes, and measure how long all of it took."""
        began = time.perf_counter()
        try:
            async with aclosing(parts):
                async for part in parts:
                    yield part
        finally:
            self.figures.stage(stage, time.perf_counter() - began)


def caller_of(request: Request) -> Caller:
    """Return who asks, as the gate found out."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


def headers_of(generation: Generation) -> dict[str, str]:
    """Return the headers that say which version answers."""
    published_at_ms = generation.snapshot.published_at_ms
    return version_headers(generation.version, published_at_ms, system_clock_ms())


def _search(
    collection: LiveCollection, query: Query, version: str | None, note: NoteStage
) -> Found:
    begun = time.perf_counter()
    held = collection.hold() if version is None else collection.hold_version(version)
    with held as generation:
        hits = generation.search(query, note)
        return Found(
            version=generation.version,
            mode=generation.snapshot.retrieval_of(query.options).value,
            hits=hits,
            took_ms=1000 * (time.perf_counter() - begun),
            headers=headers_of(generation),
        )
