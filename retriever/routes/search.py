"""`POST /v1/search`: the chunks that answer a question best."""

from dataclasses import replace

from fastapi import FastAPI, Request, Response

from index_store.clock import system_day
from index_store.errors import IndexStoreError, NotFoundError
from retriever.answers import hit_json, hits_json
from retriever.query import Problem, SearchRequest, parse_query
from retriever.routes.house import House, caller_of
from retriever.routes.replies import refuse, refuse_collection, refuse_search, reply


def add_search(app: FastAPI, house: House) -> None:
    """Add the search."""
    schema = {"content": {"application/json": {"schema": SearchRequest.model_json_schema()}}}

    extra = {"requestBody": {**schema, "required": True}}

    @app.post("/v1/search", openapi_extra=extra)
    async def search(request: Request, version: str | None = None) -> Response:
        """Find the chunks that answer a question best; `version` asks an older version."""
        return await _answered(house, request, version)

    @app.post("/v1/versions/{version}/search", openapi_extra=extra)
    async def search_version(version: str, request: Request) -> Response:
        """Find the chunks of a version that need not be the one that answers now."""
        return await _answered(house, request, version)


async def _answered(house: House, request: Request, version: str | None) -> Response:
    options = house.options
    body = await house.read_body(request, options.max_body_bytes)
    if isinstance(body, Response):
        return body
    query = parse_query(body, options, system_day())
    if isinstance(query, Problem):
        return refuse(400, query.message, query.code, query.param)
    try:
        collection = house.live.find(query.collection)
    except IndexStoreError as error:
        return refuse_collection(error)
    caller = caller_of(request)
    rights = replace(query.options, groups=caller.groups)
    try:
        found = await house.search(caller, collection, replace(query, options=rights), version)
    except NotFoundError as error:
        return refuse(404, str(error), "version_not_found", "version")
    except IndexStoreError as error:
        return refuse_search(collection.name, error)
    hits = [hit_json(hit, options.links) for hit in found.hits]
    told = hits_json(found.version, collection.name, found.mode, found.took_ms, hits)
    return reply(200, told, found.headers)
