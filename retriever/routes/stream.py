"""The typed stream: context, thinking, response, error, done; over server-sent events and sockets.

Invariant: every stream ends with one `done`, whatever happened before.
"""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import cast
from uuid import uuid4

import orjson
from fastapi import FastAPI, Request, Response, WebSocket
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

from index_store.errors import IndexStoreError
from retriever.access import Caller
from retriever.answers import Json, hit_json
from retriever.chat.answering import PartKind, answer
from retriever.chat.conversation import Asked, Turn, search_text
from retriever.chat.sources import number_sources
from retriever.chat.wire import sse
from retriever.routes.chat import STREAM_HEADERS, chat_query
from retriever.routes.gate import safe_headers
from retriever.routes.house import House, caller_of
from retriever.routes.replies import (
    ANSWERING,
    REQUEST_ID,
    refuse,
    refuse_invalid,
    reply,
    told,
    while_there,
)

logger = logging.getLogger(__name__)
GOING_AWAY = 1001  # of a socket, as the process ends


class Earlier(BaseModel):
    """An earlier message."""

    model_config = ConfigDict(extra="ignore")

    role: str
    content: str


class StreamRequest(BaseModel):
    """Body of `/v1/rag/query` and `/v1/rag/stream`, and of each message of the socket."""

    model_config = ConfigDict(extra="ignore")

    query: str = Field(min_length=1, pattern=r"\S", description="The question")
    collection: str | None = Field(default=None, description="Which collection")
    history: list[Earlier] = Field(default=[], max_length=200)


def add_stream(app: FastAPI, house: House) -> None:
    """Add the typed stream, whole and in pieces, under its own and its older addresses."""
    schema = {"application/json": {"schema": StreamRequest.model_json_schema()}}
    extra = {"requestBody": {"content": schema, "required": True}}

    @app.post("/v1/rag/query", openapi_extra=extra)
    async def query(request: Request, version: str | None = None) -> Response:
        """Answer a question at once: context, response and, if the model thinks, thinking."""
        wanted = await _read(request, house)
        if isinstance(wanted, Response):
            return wanted
        events = typed(house, wanted, caller_of(request), version)
        return await while_there(request, _gathered(events))

    @app.post("/v1/rag/stream", openapi_extra=extra)
    async def stream(request: Request, version: str | None = None) -> Response:
        """Answer a question piece by piece, as server-sent events."""
        wanted = await _read(request, house)
        if isinstance(wanted, Response):
            return wanted
        events = _encoded(typed(house, wanted, caller_of(request), version))
        return StreamingResponse(events, media_type="text/event-stream", headers=STREAM_HEADERS)

    async def socket(websocket: WebSocket) -> None:
        await _talk(house, websocket)

    for path in ("/askai/query", "/api/chat"):
        app.add_api_route(path, query, methods=["POST"], include_in_schema=False)
    for path in ("/v1/rag/ws", "/askai/ws"):
        app.add_api_websocket_route(path, socket)


async def typed(
    house: House, wanted: StreamRequest, caller: Caller, version: str | None = None
) -> AsyncGenerator[Json]:
    """Yield the typed events of one answer."""
    history = tuple(Turn(role=turn.role, text=turn.content) for turn in wanted.history)
    asked = Asked(
        question=wanted.query, search_text=search_text(wanted.query, history), history=history
    )
    try:
        collection = house.live.find(wanted.collection)
        query = chat_query(asked.search_text, house, caller, house.options.max_query_chars)
        found = await house.search(caller, collection, query, version)
        context = [hit_json(hit, house.options.links) for hit in found.hits]
        age_s = int(found.headers["X-Index-Age"])
        yield {"type": "context", "data": context, "version": found.version, "age_s": age_s}
        sources = number_sources(found.hits, house.options.links)
        written = answer(
            asked, sources, house.backend, house.options.chat.prompt, limits={}, with_list=False
        )
        parts = house.measured("answer", written)
        async with aclosing(parts):
            async for part in parts:
                if part.kind is PartKind.THINKING:
                    yield {"type": "thinking", "data": part.text}
                elif part.kind is PartKind.TEXT:
                    yield {"type": "response", "data": part.text}
    except IndexStoreError as error:
        yield _error(*told(error))
    except Exception:  # an answer under way can only be ended by saying so
        logger.exception("request %s", REQUEST_ID.get())
        yield _error(500, "internal", "something went wrong here")
    yield {"type": "done"}


def _error(status: int, code: str, message: str) -> Json:
    """Return the event that says why there is no answer."""
    known = {"status": status, "code": code, "request_id": REQUEST_ID.get()}
    return {"type": "error", "data": message, **known}


async def _gathered(events: AsyncGenerator[Json]) -> Response:
    """Return all events of an answer as one object, or why there is none."""
    context: list[object] = []
    version: object = None
    said = {"thinking": "", "response": ""}
    async with aclosing(events):
        async for event in events:
            name = str(event["type"])
            if name == "context":
                context, version = cast("list[object]", event["data"]), event["version"]
            elif name == "error":
                status, code = cast("int", event["status"]), str(event["code"])
                return refuse(status, str(event["data"]), code)
            elif name in said:
                said[name] += str(event["data"])
    return reply(200, {"version": version, "context": context, **said})


async def _talk(house: House, websocket: WebSocket) -> None:
    """Answer the questions of a socket, one after another, until it closes or the process ends."""
    await websocket.accept(headers=safe_headers(REQUEST_ID.get()))
    state = websocket.scope["state"]
    with suppress(WebSocketDisconnect):
        while not house.live.draining:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            state[ANSWERING] = True
            async with aclosing(_answers(house, message, state["caller"])) as events:
                async for event in events:
                    await websocket.send_text(orjson.dumps(event).decode())
            state[ANSWERING] = False
        await websocket.close(GOING_AWAY)


async def _answers(
    house: House, message: Mapping[str, object], caller: Caller
) -> AsyncGenerator[Json]:
    """Yield the events that answer one message of a socket."""
    REQUEST_ID.set(uuid4().hex)
    refused = ""
    said = message.get("text")
    wanted: StreamRequest | None = None
    if house.pace.wait_s(caller.name, caller.user, time.monotonic()) > 0:
        refused = "too many requests of this key and user"
    try:
        wanted = StreamRequest.model_validate_json(said if isinstance(said, str) else "")
    except ValidationError:
        refused = refused or "a message must be JSON with a query"
    if refused or wanted is None:
        yield _error(400, "refused", refused)
        yield {"type": "done"}
        return
    async with aclosing(typed(house, wanted, caller)) as events:
        async for event in events:
            yield event


async def _encoded(events: AsyncIterator[Json]) -> AsyncIterator[bytes]:
    async for event in events:
        yield sse(event)


async def _read(request: Request, house: House) -> StreamRequest | Response:
    body = await house.read_body(request, house.options.max_chat_bytes)
    if isinstance(body, Response):
        return body
    try:
        return StreamRequest.model_validate_json(body)
    except ValidationError as error:
        return refuse_invalid(error)
