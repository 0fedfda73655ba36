"""The collections as OpenAI's models, and their embedder as `/v1/embeddings`."""

import base64

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index_store.embedder import Vectors
from index_store.errors import IndexStoreError
from retriever.answers import Json
from retriever.chat.wire import CHARS_PER_TOKEN
from retriever.live import LiveCollection
from retriever.routes.house import House, headers_of
from retriever.routes.replies import (
    refuse,
    refuse_collection,
    refuse_invalid,
    refuse_search,
    reply,
)
from retriever.states import CollectionState

MAX_INPUTS = 128


class EmbeddingsRequest(BaseModel):
    """Body of `POST /v1/embeddings`."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(description="Name of a collection; its embedder answers")
    input: str | list[str]
    encoding_format: str = Field(default="float", pattern="^(float|base64)$")


def add_models(app: FastAPI, house: House) -> None:
    """Add `/v1/models` and `/v1/embeddings`."""

    @app.get("/v1/models")
    async def models() -> Response:
        """List the collections that answer, each a model."""
        served = [each for each in house.live.state().collections if each.version is not None]
        return reply(200, {"object": "list", "data": [_model_json(each) for each in served]})

    @app.get("/v1/models/{name}")
    async def model(name: str) -> Response:
        """Show one collection as a model."""
        for each in house.live.state().collections:
            if each.name == name and each.version is not None:
                return reply(200, _model_json(each))
        return refuse(404, f"model '{name[:128]}' does not exist", "model_not_found", "model")

    app.add_api_route("/models", models, methods=["GET"], include_in_schema=False)
    schema = {"application/json": {"schema": EmbeddingsRequest.model_json_schema()}}
    extra = {"requestBody": {"content": schema, "required": True}}

    @app.post("/v1/embeddings", openapi_extra=extra)
    async def embeddings(request: Request) -> Response:
        """Embed texts with the embedder of a collection."""
        body = await house.read_body(request, house.options.max_chat_bytes)
        if isinstance(body, Response):
            return body
        wanted = _read(body)
        if isinstance(wanted, Response):
            return wanted
        texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
        try:
            collection = house.live.find(wanted.model)
        except IndexStoreError as error:
            return refuse_collection(error, "model")
        try:
            vectors, headers = await to_thread.run_sync(
                _embed, collection, texts, limiter=house.threads
            )
        except IndexStoreError as error:
            return refuse_search(collection.name, error)
        return reply(200, _embeddings_json(wanted, texts, vectors), headers)


def _read(body: bytes) -> EmbeddingsRequest | Response:
    try:
        wanted = EmbeddingsRequest.model_validate_json(body)
    except ValidationError as error:
        return refuse_invalid(error)
    texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    if not 1 <= len(texts) <= MAX_INPUTS or not all(text.strip() for text in texts):
        message = f"input must hold 1 to {MAX_INPUTS} texts, none of them blank"
        return refuse(400, message, "invalid_value", "input")
    return wanted


def _embed(collection: LiveCollection, texts: list[str]) -> tuple[Vectors, dict[str, str]]:
    with collection.hold() as generation:
        return generation.embed(texts), headers_of(generation)


def _model_json(state: CollectionState) -> Json:
    created = (state.published_at_ms or 0) // 1000
    return {
        "id": state.name,
        "name": state.name,
        "object": "model",
        "created": created,
        "owned_by": "nightpress",
        "version": state.version,
    }


def _embeddings_json(wanted: EmbeddingsRequest, texts: list[str], vectors: Vectors) -> Json:
    rows: list[object] = [
        base64.b64encode(row.astype("<f4").tobytes()).decode()
        if wanted.encoding_format == "base64"
        else row.tolist()
        for row in vectors
    ]
    tokens = sum(len(text) for text in texts) // CHARS_PER_TOKEN
    return {
        "object": "list",
        "model": wanted.model,
        "data": [
            {"object": "embedding", "index": index, "embedding": row}
            for index, row in enumerate(rows)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
