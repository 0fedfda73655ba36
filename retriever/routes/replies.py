"""Reading bodies and writing answers, the same way for every route."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any

import orjson
from fastapi import Request, Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from index_store.errors import IndexStoreError, NotFoundError, TransientError, UsageError
from retriever.answers import Json, error_json

logger = logging.getLogger(__name__)

# Of the request that is being answered; set by the gate, and told in every error.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
ANSWERING = "answering"  # in a socket's state while an answer is being sent
MAX_MESSAGE_CHARS = 600
MAX_PARAM_CHARS = 120
REFUSED = "invalid_request_error"
FAILED = "server_error"
SLOWEST_BYTES_PER_S = 16 << 10  # of a body, after its time of patience
RETRY_AFTER_S = 2  # after an answer that says "not now"


def reply(
    status: int, body: Json | list[Json], headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON answer."""
    return Response(
        orjson.dumps(body), status_code=status, headers=headers, media_type="application/json"
    )


async def while_there(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Do something for whoever asked, and stop as soon as they have left.

    Raises:
        ClientDisconnect: They have.
    """
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientDisconnect
        return doing.result()
    finally:
        for each in (doing, leaving):
            each.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass  # the body was read, so nothing else comes


def refuse(status: int, message: str, code: str, param: str | None = None) -> Response:
    """Return an answer that is not a success."""
    kind = FAILED if status >= 500 else REFUSED
    message, param = _cut(message, MAX_MESSAGE_CHARS), param and _cut(param, MAX_PARAM_CHARS)
    body = error_json(message, kind, request_id=REQUEST_ID.get(), param=param, code=code)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return reply(status, body, headers)


async def read_body(request: Request, limit_bytes: int, patience_s: float) -> bytes | Response:
    """Read the body as it comes in; an answer instead when it is too long, or too slow."""
    body = bytearray()
    try:
        async for piece in patiently(request.stream(), patience_s):
            body += piece
            if len(body) > limit_bytes:
                return refuse(413, f"the body has more than {limit_bytes} bytes", "body_too_large")
    except TimeoutError:
        return refuse(408, "the body came too slowly", "body_too_slow")
    return bytes(body)


def _cut(text: str, most: int) -> str:
    """Return a text that repeats no more of a request than a person reads."""
    return text if len(text) <= most else f"{text[:most]}…"


async def patiently(pieces: AsyncIterator[bytes], patience_s: float) -> AsyncIterator[bytes]:
    """Yield the pieces of a body.

    Args:
        pieces: As they come in.
        patience_s: Seconds for all of them, beside one for every SLOWEST_BYTES_PER_S bytes.

    Raises:
        TimeoutError: They come more slowly.
    """
    until, size = time.monotonic() + patience_s, 0
    while True:
        async with asyncio.timeout(until + size / SLOWEST_BYTES_PER_S - time.monotonic()):
            piece = await anext(pieces, None)
        if piece is None:
            return
        size += len(piece)
        yield piece


def told(error: IndexStoreError) -> tuple[int, str, str]:
    """Return status, code and message of an error for whoever asked."""
    if isinstance(error, TransientError):
        return 503, "not_ready", str(error)
    if isinstance(error, NotFoundError):
        return 404, "not_found", str(error)
    if isinstance(error, UsageError):
        return 400, "invalid_value", str(error)
    logger.error("request %s: %s", REQUEST_ID.get(), error)
    return 500, "search_failed", "the search failed"


def refuse_invalid(error: ValidationError) -> Response:
    """Return the answer to a body that is not what was asked for."""
    first = error.errors(include_url=False, include_input=False)[0]
    param = ".".join(str(part) for part in first["loc"]) or None
    return refuse(400, f"{param or 'body'}: {first['msg'].lower()}", "invalid_value", param)


def refuse_collection(error: IndexStoreError, param: str = "collection") -> Response:
    """Return the answer when a collection was not found or not named."""
    if isinstance(error, TransientError):
        return refuse(503, str(error), "not_ready")
    missing = isinstance(error, NotFoundError)
    code = "collection_not_found" if missing else "collection_required"
    return refuse(404 if missing else 400, str(error), code, param)


def refuse_search(collection: str, error: IndexStoreError) -> Response:
    """Return the answer when a search failed."""
    if isinstance(error, TransientError):
        return refuse(503, str(error), "not_ready")
    if isinstance(error, UsageError):
        return refuse(400, str(error), "unsupported_search")
    logger.error("collection %s: search failed: %s", collection, error)
    return refuse(500, "the search failed", "search_failed")
