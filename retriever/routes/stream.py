"""The typed stream: context, thinking, response, error, done; over server-sent events and sockets.

Invariant: every stream ends with one `done`, whatever happened before.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

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
from retriever.routes.house import House, caller_of
from retriever.routes.replies import read_body, refuse, refuse_invalid, reply


class Earlier(BaseModel):
    """An earlier message."""

    model_config = ConfigDict(extra="ignore")

    role: str
    content: str


class StreamRequest(BaseModel):
    """Body of `/v1/rag/query` and `/v1/rag/stream`, and of each message of the socket."""

    model_config = ConfigDict(extra="ignore")

    query: str = Field(min_length=1, description="The question")
    collection: str | None = Field(default=None, description="Which collection")
    history: list[Earlier] = Field(default=[], max_length=200)


def add_stream(app: FastAPI, house: House) -> None:
    """Add the typed stream, whole and in pieces, under its own and its older addresses."""
    schema = {"application/json": {"schema": StreamRequest.model_json_schema()}}
    extra = {"requestBody": {"content": schema, "required": True}}

    @app.post("/v1/rag/query", openapi_extra=extra)
    async def query(request: Request) -> Response:
        """Answer a question at once: context, response and, if the model thinks, thinking."""
        wanted = await _read(request, house)
        if isinstance(wanted, Response):
            return wanted
        return await _gathered(typed(house, wanted, caller_of(request)))

    @app.post("/v1/rag/stream", openapi_extra=extra)
    async def stream(request: Request) -> Response:
        """Answer a question piece by piece, as server-sent events."""
        wanted = await _read(request, house)
        if isinstance(wanted, Response):
            return wanted
        events = _encoded(typed(house, wanted, caller_of(request)))
        return StreamingResponse(events, media_type="text/event-stream", headers=STREAM_HEADERS)

    async def socket(websocket: WebSocket) -> None:
        await _talk(house, websocket)

    for path in ("/askai/query", "/api/chat"):
        app.add_api_route(path, query, methods=["POST"], include_in_schema=False)
    for path in ("/v1/rag/ws", "/askai/ws"):
        app.add_api_websocket_route(path, socket)


async def typed(house: House, wanted: StreamRequest, caller: Caller) -> AsyncIterator[Json]:
    """Yield the typed events of one answer."""
    history = tuple(Turn(role=turn.role, text=turn.content) for turn in wanted.history)
    asked = Asked(
        question=wanted.query, search_text=search_text(wanted.query, history), history=history
    )
    try:
        collection = house.live.find(wanted.collection)
        query = chat_query(asked.search_text, house, caller, house.options.max_query_chars)
        found = await house.search(caller, collection, query)
        context = [hit_json(hit, house.options.links) for hit in found.hits]
        yield {"type": "context", "data": context, "version": found.version}
        sources = number_sources(found.hits, house.options.links)
        parts = answer(
            asked, sources, house.backend, house.options.chat.prompt, limits={}, with_list=False
        )
        async for part in parts:
            if part.kind is PartKind.THINKING:
                yield {"type": "thinking", "data": part.text}
            elif part.kind is PartKind.TEXT:
                yield {"type": "response", "data": part.text}
    except IndexStoreError as error:
        yield {"type": "error", "data": str(error)}
    yield {"type": "done"}


async def _gathered(events: AsyncIterator[Json]) -> Response:
    """Return all events of an answer as one object, or why there is none."""
    context: list[object] = []
    version: object = None
    said = {"thinking": "", "response": ""}
    async for event in events:
        name = str(event["type"])
        if name == "context":
            context, version = cast("list[object]", event["data"]), event["version"]
        elif name == "error":
            return refuse(503, str(event["data"]), "not_answered")
        elif name in said:
            said[name] += str(event["data"])
    return reply(200, {"version": version, "context": context, **said})


async def _talk(house: House, websocket: WebSocket) -> None:
    """Answer the questions of a socket, one after another, until it closes."""
    await websocket.accept()
    caller: Caller = websocket.scope["state"]["caller"]
    with suppress(WebSocketDisconnect):
        while True:
            try:
                wanted = StreamRequest.model_validate_json(await websocket.receive_text())
            except ValidationError:
                events = _refused("a message must be JSON with a query")
            else:
                events = typed(house, wanted, caller)
            async for event in events:
                await websocket.send_text(orjson.dumps(event).decode())


async def _refused(why: str) -> AsyncIterator[Json]:
    yield {"type": "error", "data": why}
    yield {"type": "done"}


async def _encoded(events: AsyncIterator[Json]) -> AsyncIterator[bytes]:
    async for event in events:
        yield sse(event)


async def _read(request: Request, house: House) -> StreamRequest | Response:
    body = await read_body(request, house.options.max_chat_bytes)
    if isinstance(body, Response):
        return body
    try:
        return StreamRequest.model_validate_json(body)
    except ValidationError as error:
        return refuse_invalid(error)
