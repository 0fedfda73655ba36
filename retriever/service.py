"""The HTTP service: reads requests, hands searches to threads, writes answers.

The one asynchronous module. Invariants: a search never runs in the event loop; every answer that is
not a success has the same shape; no answer shows a stack trace; the question text is never logged.
"""

import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from index_store.clock import system_clock_ms
from index_store.errors import IndexStoreError, NotFoundError, TransientError, UsageError
from retriever.answers import Json, error_json, hit_json, hits_json, status_json
from retriever.links import LinkOptions
from retriever.live import LiveCollection
from retriever.options import RetrieverOptions
from retriever.query import Problem, Query, SearchRequest, parse_query
from retriever.store import LiveStore

logger = logging.getLogger(__name__)

REFUSED = "invalid_request_error"
FAILED = "server_error"


def create_app(options: RetrieverOptions) -> FastAPI:
    """Build the service over one store; it begins to load versions when it starts.

    Raises:
        UsageError: The store's address is of no known kind.
    """
    live = LiveStore(options)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        live.start()
        yield
        await to_thread.run_sync(live.close)

    # The interactive pages of FastAPI load scripts from foreign hosts; the schema itself stays.
    app = FastAPI(title="nightpress retriever", docs_url=None, redoc_url=None, lifespan=lifespan)
    _add_search(app, live, options)
    _add_probes(app, live)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(Exception, _fail_unexpected)
    return app


def _add_search(app: FastAPI, live: LiveStore, options: RetrieverOptions) -> None:
    limiter = CapacityLimiter(options.search_threads)
    schema = {"content": {"application/json": {"schema": SearchRequest.model_json_schema()}}}

    @app.post("/v1/search", openapi_extra={"requestBody": {**schema, "required": True}})
    async def search(request: Request) -> Response:
        """Find the chunks of a collection that answer a question best."""
        body = await _read_body(request, options.max_body_bytes)
        if body is None:
            message = f"the body has more than {options.max_body_bytes} bytes"
            return _answer(413, error_json(message, REFUSED, code="body_too_large"))
        query = parse_query(body, options)
        if isinstance(query, Problem):
            problem = error_json(query.message, REFUSED, param=query.param, code=query.code)
            return _answer(400, problem)
        try:
            collection = live.find(query.collection)
        except IndexStoreError as error:
            return _refuse_collection(error)
        try:
            found = await to_thread.run_sync(
                _search, collection, query, options.links, limiter=limiter
            )
        except IndexStoreError as error:
            return _refuse_search(collection.name, error)
        return _answer(200, found)


def _add_probes(app: FastAPI, live: LiveStore) -> None:
    @app.get("/livez")
    async def livez() -> Response:
        """Say that the process answers."""
        return _answer(200, {"status": "alive"})

    @app.get("/readyz")
    async def readyz() -> Response:
        """Say whether questions can be answered, and why not."""
        reason = live.state().not_ready
        if reason is not None:
            return _answer(503, error_json(reason, FAILED, code="not_ready"))
        return _answer(200, {"status": "ready"})

    @app.get("/status")
    async def status() -> Response:
        """Show what is served, since when, and what went wrong."""
        return _answer(200, status_json(live.state(), system_clock_ms()))


def _search(collection: LiveCollection, query: Query, links: LinkOptions) -> Json:
    begun = time.perf_counter()
    with collection.hold() as generation:
        hits = [hit_json(hit, links) for hit in generation.search(query)]
        took_ms = 1000 * (time.perf_counter() - begun)
        mode = generation.snapshot.retrieval_of(query.options).value
        return hits_json(generation.version, collection.name, mode, took_ms, hits)


async def _read_body(request: Request, limit_bytes: int) -> bytes | None:
    """Read the body as it comes in; None as soon as it is longer than the limit."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit_bytes:
            return None
    return bytes(body)


def _refuse_collection(error: IndexStoreError) -> Response:
    if isinstance(error, TransientError):
        return _answer(503, error_json(str(error), FAILED, code="not_ready"))
    missing = isinstance(error, NotFoundError)
    code = "collection_not_found" if missing else "collection_required"
    body = error_json(str(error), REFUSED, param="collection", code=code)
    return _answer(404 if missing else 400, body)


def _refuse_search(collection: str, error: IndexStoreError) -> Response:
    if isinstance(error, TransientError):
        return _answer(503, error_json(str(error), FAILED, code="not_ready"))
    if isinstance(error, UsageError):
        return _answer(400, error_json(str(error), REFUSED, code="unsupported_search"))
    logger.error("collection %s: search failed: %s", collection, error)
    return _answer(500, error_json("the search failed", FAILED, code="search_failed"))


async def _refuse_http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    message = {404: "no such address", 405: "method not allowed here"}.get(status, "refused")
    return _answer(status, error_json(message, REFUSED, code=f"http_{status}"), headers)


async def _fail_unexpected(_request: Request, error: Exception) -> Response:
    logger.error("request failed: %s", type(error).__name__)
    return _answer(500, error_json("something went wrong here", FAILED, code="internal"))


def _answer(status: int, body: Json, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(body), status_code=status, headers=headers, media_type="application/json"
    )
