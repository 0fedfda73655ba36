"""`POST /v1/search`: the chunks that answer a question best."""

from dataclasses import replace

from fastapi import FastAPI, Request, Response

from index_store.errors import IndexStoreError
from retriever.answers import hit_json, hits_json
from retriever.query import Problem, SearchRequest, parse_query
from retriever.routes.house import House, caller_of
from retriever.routes.replies import read_body, refuse, refuse_collection, refuse_search, reply


def add_search(app: FastAPI, house: House) -> None:
    """Add the search."""
    options = house.options
    schema = {"content": {"application/json": {"schema": SearchRequest.model_json_schema()}}}

    @app.post("/v1/search", openapi_extra={"requestBody": {**schema, "required": True}})
    async def search(request: Request) -> Response:
        """Find the chunks of a collection that answer a question best."""
        body = await read_body(request, options.max_body_bytes)
        if isinstance(body, Response):
            return body
        query = parse_query(body, options)
        if isinstance(query, Problem):
            return refuse(400, query.message, query.code, query.param)
        try:
            collection = house.live.find(query.collection)
        except IndexStoreError as error:
            return refuse_collection(error)
        rights = replace(query.options, groups=caller_of(request).groups)
        try:
            found = await house.search(collection, replace(query, options=rights))
        except IndexStoreError as error:
            return refuse_search(collection.name, error)
        hits = [hit_json(hit, options.links) for hit in found.hits]
        body_json = hits_json(found.version, collection.name, found.mode, found.took_ms, hits)
        return reply(200, body_json)
