"""Doors for other programs' settings, and Open WebUI's plugins, against a running service."""

import asyncio
import importlib.util
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import httpx
import pytest

from retriever.options import RetrieverOptions
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher

TRAIN = "The night train to the observatory leaves at eleven."
LEAVE = "Le salarié acquiert deux jours et demi de congés payés par mois."
DOCUMENTS = {"en/train.txt": [TRAIN], "fr/congés.txt": [LEAVE]}
PLUGINS = Path("deployments/open_webui")
MESSAGES = [{"role": "user", "content": TRAIN}]
BODY = {"messages": MESSAGES, "tools": [{"type": "function"}], "temperature": 0.1}


@pytest.fixture
def client(publisher: Publisher, serve: Serve, until: Until) -> Iterator[httpx.Client]:
    publisher.publish("docs", DOCUMENTS)
    with serve(RetrieverOptions(store=publisher.url, poll_s=0.02, retry_s=0.02)) as running:
        until(lambda: running.get("/readyz").status_code == 200)
        yield running


def loaded(name: str) -> ModuleType:
    """Load a plugin by its path, as the Pipelines server does."""
    spec = importlib.util.spec_from_file_location(name, PLUGINS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pipeline_for(url: object) -> Any:  # noqa: ANN401 - a plugin's own class
    pipeline = loaded("nightpress_pipeline").Pipeline()
    pipeline.valves = pipeline.valves.__class__(
        **{**pipeline.valves.model_dump(), "retriever_url": str(url)}
    )
    return pipeline


def function_for(url: object) -> Any:  # noqa: ANN401 - likewise
    pipe = loaded("nightpress_function").Pipe()
    pipe.valves.retriever_url = str(url)
    return pipe


def text_of(pieces: list[dict[str, Any]]) -> str:
    choices = [choice for piece in pieces for choice in piece["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def kinds_of(pieces: list[dict[str, Any]]) -> set[str]:
    return {piece["event"]["type"] for piece in pieces if "event" in piece}


def test_a_tool_server_names_two_operations_that_answer(client: httpx.Client):
    schema = client.get("/tools/openapi.json").json()
    ids = [each["operationId"] for path in schema["paths"].values() for each in path.values()]
    assert sorted(ids) == ["list_collections", "search_documents"]
    assert all("$ref" not in str(path) for path in schema["paths"].values())
    assert client.get("/tools/collections").json() == [{"name": "docs", "documents": 2}]
    best = client.post("/tools/search", json={"query": TRAIN, "more": 1}).json()[0]
    assert (best["document"], best["text"]) == ("en/train.txt", TRAIN)
    refused = client.post("/tools/search", json={"query": TRAIN, "count": 0})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "count")


def test_a_web_search_gives_links_titles_and_snippets(client: httpx.Client):
    found = client.post("/v1/web-search", json={"query": TRAIN, "count": 1}).json()
    title = "en/train.txt, p. 1, Part › 0"
    assert found == [{"link": "en/train.txt", "title": title, "snippet": TRAIN}]
    missing = client.post("/v1/web-search?collection=none", json={"query": TRAIN})
    assert missing.status_code == 404


def test_a_reranker_gives_every_document_back_best_first(client: httpx.Client):
    texts = [LEAVE, " ", TRAIN]
    body = {"model": "docs", "query": TRAIN, "documents": texts, "top_n": 3}
    results = client.post("/v1/rerank", json=body).json()["results"]
    assert [each["index"] for each in results] == [2, 0, 1]
    assert results[0]["relevance_score"] == pytest.approx(1.0, abs=0.01)
    assert results[-1]["relevance_score"] == -1.0
    first = client.post("/v1/rerank", json={**body, "top_n": 1}).json()["results"]
    assert [each["index"] for each in first] == [2]


def test_a_pipeline_lists_streams_and_answers_at_once(client: httpx.Client):
    pipeline = pipeline_for(client.base_url)
    assert pipeline.pipelines() == [{"id": "docs", "name": "docs"}]
    asked = {**BODY, "stream": True, "user": {"id": "u1", "name": "Ada"}}
    pieces = pipeline.pipe(TRAIN, "docs", MESSAGES, asked)
    assert inspect.isgenerator(pieces)  # only then does the server end the stream
    pieces = list(pieces)
    assert kinds_of(pieces) == {"status", "source"}
    whole = pipeline.pipe(TRAIN, "docs", MESSAGES, {**BODY, "stream": False})
    assert "leaves at eleven" in text_of(pieces)
    assert whole["choices"][0]["message"]["content"] == text_of(pieces)


def test_a_pipeline_shows_the_retrievers_words_and_keeps_its_list(client: httpx.Client):
    pipeline = pipeline_for(client.base_url)
    known = pipeline.pipelines()
    refused = pipeline.pipe(TRAIN, "nobody", MESSAGES, {"stream": False})
    assert "'nobody' does not exist" in refused["error"]["message"]
    pipeline.valves.retriever_url = "http://127.0.0.1:9"
    assert pipeline.pipelines() == known
    (piece,) = pipeline.pipe(TRAIN, "docs", MESSAGES, {})
    assert "does not answer" in piece["error"]["message"]


def test_a_function_lists_streams_and_answers_tasks(client: httpx.Client):
    pipe = function_for(client.base_url)
    model = "nightpress_function.docs"

    async def gathered() -> list[dict[str, Any]]:
        pieces = await pipe.pipe({**BODY, "model": model, "stream": True})
        return [piece async for piece in cast("AsyncIterator[dict[str, Any]]", pieces)]

    assert asyncio.run(pipe.pipes()) == [{"id": "docs", "name": "docs"}]
    pieces = asyncio.run(gathered())
    assert kinds_of(pieces) == {"status", "source"}
    assert "leaves at eleven" in text_of(pieces)
    asked = {**BODY, "model": model, "stream": False}
    title = asyncio.run(pipe.pipe(asked, {"id": "u1"}, "title_generation"))
    assert '"title"' in title["choices"][0]["message"]["content"]
    refused = asyncio.run(pipe.pipe({**asked, "model": "x.nobody"}))
    assert "'nobody' does not exist" in refused["error"]["message"]
