"""Doors for other programs' search, rerank and tool settings, in the shapes that Open WebUI reads.

Invariants: a tool's schema names its operations as a model shall call them; a reranked list holds
every document that was sent, once.
"""

from typing import TypeVar

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index_store.embedder import Vectors
from index_store.errors import IndexStoreError
from index_store.records import Hit
from index_store.search_options import SearchOptions
from retriever.answers import Json, hit_url
from retriever.chat.sources import place_of, visible
from retriever.live import LiveCollection
from retriever.query import Query
from retriever.routes.house import Found, House, caller_of, headers_of
from retriever.routes.replies import (
    refuse,
    refuse_collection,
    refuse_invalid,
    refuse_search,
    reply,
)

MAX_RERANKED = 256  # texts of one request, each of which is embedded
SNIPPET_CHARS = 2000
Body = TypeVar("Body", bound=BaseModel)


class ToolSearch(BaseModel):
    """Body of a tool's search, as a language model fills it in."""

    model_config = ConfigDict(extra="ignore")

    query: str = Field(min_length=1, description="The question, in the words of the person")
    collection: str | None = Field(
        default=None, description="Which collection; list_collections names them"
    )
    count: int = Field(default=5, ge=1, le=20, description="How many passages at most")


class WebSearch(BaseModel):
    """What Open WebUI sends to an external web search."""

    model_config = ConfigDict(extra="ignore")

    query: str = Field(min_length=1)
    count: int = Field(default=5, ge=1, le=100)


class Rerank(BaseModel):
    """What Open WebUI sends to an external reranker, as Jina and Cohere take it."""

    model_config = ConfigDict(extra="ignore")

    model: str | None = Field(default=None, description="Collection whose embedder judges")
    query: str = Field(min_length=1)
    documents: list[str] = Field(min_length=1, max_length=MAX_RERANKED)
    top_n: int | None = Field(default=None, description="Best ones only; 0 for all")


def add_tools(app: FastAPI, house: House) -> None:
    """Add the tool server, the web search and the reranker."""
    _add_tool_server(app, house)
    _add_web_search(app, house)
    _add_reranker(app, house)


def _add_tool_server(app: FastAPI, house: House) -> None:
    @app.get("/tools/openapi.json", include_in_schema=False)
    async def schema() -> Response:
        return reply(200, tools_schema())

    @app.get("/tools/collections", include_in_schema=False)
    async def collections() -> Response:
        served = [each for each in house.live.state().collections if each.version is not None]
        return reply(200, [{"name": each.name, "documents": each.documents} for each in served])

    @app.post("/tools/search", include_in_schema=False)
    async def tool(request: Request) -> Response:
        wanted = await _read(request, house, ToolSearch)
        if isinstance(wanted, Response):
            return wanted
        found = await _found(house, request, wanted, wanted.collection)
        if isinstance(found, Response):
            return found
        return reply(200, [_passage_json(hit, house) for hit in found.hits], found.headers)


def _add_web_search(app: FastAPI, house: House) -> None:
    @app.post("/v1/web-search", openapi_extra=_takes(WebSearch))
    async def web_search(request: Request, collection: str | None = None) -> Response:
        """Answer as an external web search: link, title and snippet of each passage."""
        wanted = await _read(request, house, WebSearch)
        if isinstance(wanted, Response):
            return wanted
        found = await _found(house, request, wanted, collection)
        if isinstance(found, Response):
            return found
        return reply(200, [_web_json(hit, house) for hit in found.hits], found.headers)


def _add_reranker(app: FastAPI, house: House) -> None:
    @app.post("/v1/rerank", openapi_extra=_takes(Rerank))
    async def rerank(request: Request) -> Response:
        """Score texts by how near they are to a question, with a collection's embedder."""
        wanted = await _read(request, house, Rerank)
        if isinstance(wanted, Response):
            return wanted
        try:
            collection = house.live.find(wanted.model)
        except IndexStoreError as error:
            return refuse_collection(error, "model")
        try:
            scores, headers = await to_thread.run_sync(
                _scores, collection, wanted, limiter=house.threads
            )
        except IndexStoreError as error:
            return refuse_search(collection.name, error)
        return reply(200, _reranked_json(wanted, scores), headers)


def tools_schema() -> Json:
    """Return the schema that a tool server shows: two operations, which a model calls by name."""
    body = {"content": {"application/json": {"schema": ToolSearch.model_json_schema()}}}
    listed = {"200": {"description": "One entry for each"}}
    search = {
        "operationId": "search_documents",
        "summary": "Search the documents",
        "description": "Find the passages of the indexed documents that answer a question best. "
        "Each comes with its document, page and address: cite them.",
        "requestBody": {**body, "required": True},
        "responses": listed,
    }
    collections = {
        "operationId": "list_collections",
        "summary": "List the collections",
        "description": "Name the collections of documents that can be searched.",
        "responses": listed,
    }
    info = {"title": "nightpress", "version": "1", "description": "Search in indexed documents"}
    paths: Json = {"/search": {"post": search}, "/collections": {"get": collections}}
    return {"openapi": "3.1.0", "info": info, "servers": [{"url": "/tools"}], "paths": paths}


def _takes(model: type[BaseModel]) -> Json:
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"content": content, "required": True}}


async def _read(request: Request, house: House, model: type[Body]) -> Body | Response:
    body = await house.read_body(request, house.options.max_chat_bytes)
    if isinstance(body, Response):
        return body
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        return refuse_invalid(error)


async def _found(
    house: House, request: Request, wanted: ToolSearch | WebSearch, collection: str | None
) -> Found | Response:
    """Search with the rights of whoever asks."""
    text = wanted.query.strip()[: house.options.max_query_chars]
    if not text:
        return refuse(400, "the question is empty", "invalid_value", "query")
    k = min(wanted.count, house.options.max_k)
    caller = caller_of(request)
    options = SearchOptions(k=k, groups=caller.groups)
    try:
        live = house.live.find(collection)
    except IndexStoreError as error:
        return refuse_collection(error)
    try:
        return await house.search(caller, live, Query(text=text, options=options))
    except IndexStoreError as error:
        return refuse_search(live.name, error)


def _passage_json(hit: Hit, house: House) -> Json:
    return {
        "text": visible(hit.text),
        "document": hit.uri,
        "place": place_of(hit) or None,
        "url": hit_url(hit, house.options.links),
        "score": round(hit.score, 4),
    }


def _web_json(hit: Hit, house: House) -> Json:
    """Return a hit as a page found in the web; what is not served anywhere is named by its uri."""
    place = place_of(hit)
    return {
        "link": hit_url(hit, house.options.links) or hit.uri,
        "title": f"{hit.uri}, {place}" if place else hit.uri,
        "snippet": visible(hit.text)[:SNIPPET_CHARS],
    }


def _scores(collection: LiveCollection, wanted: Rerank) -> tuple[list[float], dict[str, str]]:
    """Return the cosine of the question with each text, and which version's embedder judged.

    A blank text has the least cosine.
    """
    texts = [text for text in wanted.documents if text.strip()]
    with collection.hold() as generation:
        question: Vectors = generation.embed_question(wanted.query)
        near = iter((generation.embed(texts) @ question).tolist() if texts else [])
        headers = headers_of(generation)
    scores = [float(next(near)) if text.strip() else -1.0 for text in wanted.documents]
    return scores, headers


def _reranked_json(wanted: Rerank, scores: list[float]) -> Json:
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    kept = order[: wanted.top_n] if wanted.top_n and wanted.top_n > 0 else order
    return {
        "model": wanted.model,
        "results": [{"index": place, "relevance_score": scores[place]} for place in kept],
    }
