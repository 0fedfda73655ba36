"""OpenAI's chat completions over a collection, as Open WebUI and other clients speak them.

Invariants: fields that are not known here are accepted; a stream is `text/event-stream` and ends
with `[DONE]`, also after an error; when the reader leaves, nothing goes on upstream.
"""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from starlette.responses import StreamingResponse

from index_store.clock import system_day
from index_store.errors import IndexStoreError, NotFoundError, TransientError
from index_store.search_options import SearchOptions, growing_k, preferred_age
from retriever.access import Caller
from retriever.answers import Json
from retriever.chat.answering import Part, PartKind, answer
from retriever.chat.conversation import Asked, ChatRequest, Task, read_chat
from retriever.chat.extractive import PHRASES
from retriever.chat.language import language_of
from retriever.chat.sources import Source, number_sources, source_event, status_event
from retriever.chat.task_answers import task_answer
from retriever.chat.wire import DONE, Envelope
from retriever.query import Query
from retriever.routes.house import Found, House, caller_of
from retriever.routes.replies import (
    REQUEST_ID,
    refuse,
    refuse_collection,
    refuse_invalid,
    refuse_search,
    reply,
    while_there,
)

logger = logging.getLogger(__name__)
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
HITS_PER_DOCUMENT = 3


def add_chat(app: FastAPI, house: House) -> None:
    """Add `/v1/chat/completions`, and the same without `/v1`."""
    schema = {"application/json": {"schema": ChatRequest.model_json_schema()}}
    extra = {"requestBody": {"content": schema, "required": True}}

    @app.post("/v1/chat/completions", openapi_extra=extra)
    async def complete(request: Request, version: str | None = None) -> Response:
        """Answer the last question of a chat from a collection, with numbered sources."""
        chat = await _read(house, request)
        if isinstance(chat, Response):
            return chat
        header = request.headers.get(house.options.chat.task_header, "")
        wanted = read_chat(chat, header)
        if wanted is None:
            return refuse(400, "there is no message of a user", "invalid_value", "messages")
        if isinstance(wanted, Task):
            return await while_there(request, _answer_task(house, chat, wanted))
        found = await _find(house, chat.model, wanted, caller_of(request), version)
        if isinstance(found, Response):
            return found
        return await _answer_question(house, chat, wanted, found, request)

    app.add_api_route("/chat/completions", complete, methods=["POST"], include_in_schema=False)


def chat_query(question: str, house: House, caller: Caller, max_chars: int) -> Query:
    """Return the search behind an answer: more hits while few are good, few of one document."""
    options, chat = house.options, house.options.chat
    return Query(
        text=question[-max_chars:],
        options=SearchOptions(
            k=chat.k,
            groups=caller.groups,
            adaptive=growing_k(chat.k, chat.most_k, chat.good_score),
            recency=preferred_age(options.recency, options.half_life_days, system_day()),
            per_document=HITS_PER_DOCUMENT,
            neighbours=1,
        ),
    )


async def _read(house: House, request: Request) -> ChatRequest | Response:
    body = await house.read_body(request, house.options.max_chat_bytes)
    if isinstance(body, Response):
        return body
    try:
        chat = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        return refuse_invalid(error)
    try:
        house.live.find(chat.model)
    except IndexStoreError as error:
        return refuse_collection(error, "model")
    return chat


async def _find(
    house: House, model: str, asked: Asked, caller: Caller, version: str | None
) -> Found | Response:
    query = chat_query(asked.search_text, house, caller, house.options.max_query_chars)
    if not query.text.strip():
        return refuse(400, "the question is empty", "invalid_value", "messages")
    try:
        return await house.search(caller, house.live.find(model), query, version)
    except NotFoundError as error:
        return refuse(404, str(error), "version_not_found", "version")
    except IndexStoreError as error:
        return refuse_search(model, error)


async def _answer_task(house: House, chat: ChatRequest, task: Task) -> Response:
    """Answer one of Open WebUI's own tasks: by the model, or from the person's words."""
    said = ""
    if house.backend is not None:
        try:
            messages = [{"role": "user", "content": task.prompt}]
            limits = {"max_tokens": chat.max_completion_tokens or chat.max_tokens}
            async with aclosing(house.backend.stream(messages, limits)) as pieces:
                async for piece in pieces:
                    said += piece.text
        except TransientError:
            said = ""  # a title of the person's own words is better than none
    said = said or task_answer(task)
    return reply(200, _envelope(chat.model).whole(task.prompt, said, "", ()))


async def _answer_question(
    house: House, chat: ChatRequest, asked: Asked, found: Found, request: Request
) -> Response:
    sources = number_sources(found.hits, house.options.links)
    headers = dict(found.headers)
    written = answer(
        asked,
        sources,
        house.backend,
        house.options.chat.prompt,
        limits={
            "temperature": chat.temperature,
            "top_p": chat.top_p,
            "max_tokens": chat.max_completion_tokens or chat.max_tokens,
        },
        with_list=house.options.chat.sources_list,
    )
    parts = house.measured("answer", written)
    if chat.stream:
        stream = _streamed(house, chat, asked, parts)
        return StreamingResponse(
            stream, media_type="text/event-stream", headers={**STREAM_HEADERS, **headers}
        )
    return await while_there(request, _whole(chat, asked, parts, headers))


async def _whole(
    chat: ChatRequest, asked: Asked, parts: AsyncGenerator[Part], headers: dict[str, str]
) -> Response:
    said, thought = "", ""
    events: list[Json] = []
    try:
        async with aclosing(parts):
            async for part in parts:
                if part.kind is PartKind.TEXT:
                    said += part.text
                elif part.kind is PartKind.THINKING:
                    thought += part.text
                else:
                    events = [source_event(each)["data"] for each in part.sources]  # type: ignore[misc]
    except TransientError as error:
        return refuse(503, str(error), "model_unavailable")
    body = _envelope(chat.model).whole(asked.question, said, thought, events)
    return reply(200, body, headers)


async def _streamed(
    house: House, chat: ChatRequest, asked: Asked, parts: AsyncGenerator[Part]
) -> AsyncIterator[bytes]:
    envelope, events = _envelope(chat.model), house.options.chat.events
    phrases = PHRASES[language_of(asked.question)]
    said = ""
    yield envelope.delta({"role": "assistant", "content": ""})
    if events:
        yield envelope.event(status_event(phrases.searching, done=False))
    try:
        async for part in parts:
            if part.kind is PartKind.SOURCES:
                for piece in (
                    _source_pieces(envelope, part.sources, phrases.found) if events else ()
                ):
                    yield piece
            elif part.kind is PartKind.THINKING:
                yield envelope.delta({"reasoning_content": part.text})
            else:
                said += part.text
                yield envelope.delta({"content": part.text})
        yield envelope.delta({}, finish="stop")
        if chat.stream_options is not None and chat.stream_options.include_usage:
            yield envelope.usage(asked.question, said)
    except TransientError as error:
        yield envelope.error(str(error), "model_unavailable", REQUEST_ID.get())
    except Exception:  # the stream is under way, so this is the last chance to tell
        logger.exception("request %s", REQUEST_ID.get())
        yield envelope.error("something went wrong here", "internal", REQUEST_ID.get())
    yield DONE


def _source_pieces(envelope: Envelope, sources: tuple[Source, ...], found: str) -> list[bytes]:
    pieces = [envelope.event(source_event(source)) for source in sources]
    return [*pieces, envelope.event(status_event(f"{found} {len(sources)}", done=True))]


def _envelope(model: str) -> Envelope:
    return Envelope(id=f"chatcmpl-{uuid4().hex}", created=int(time.time()), model=model)
