"""Many people, and people who leave, before a language model of our own on a real socket."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr

from retriever.chat.options import ChatOptions, ModelOptions
from retriever.options import RetrieverOptions
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher
from tests.support.chat_server import ChatServer, Script

QUESTION = {"model": "docs", "messages": [{"role": "user", "content": "When does the train go?"}]}
PIECES = [{"content": "At "}, {"content": "eleven."}]


@pytest.fixture
def options(publisher: Publisher) -> RetrieverOptions:
    publisher.publish("docs", {"a.txt": ["the night train goes at eleven"]})
    return RetrieverOptions(store=publisher.url, poll_s=0.02)


def asking(options: RetrieverOptions, server: ChatServer, **more: object) -> RetrieverOptions:
    model = ModelOptions(
        base_url=server.url, models=("first",), key=SecretStr("k"), backoff_s=0.01, cooldown_s=0.01
    )
    return replace(options, chat=ChatOptions(model=replace(model, **more)))


def ask(client: httpx.Client, **more: object) -> httpx.Response:
    return client.post("/v1/chat/completions", json={**QUESTION, **more})


def test_no_more_answers_are_written_at_once_than_allowed(
    options: RetrieverOptions, serve: Serve, until: Until
):
    server = ChatServer(Script(deltas=PIECES))
    with server.running(), serve(asking(options, server, at_once=2, queue=50)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        with ThreadPoolExecutor(50) as people:
            answers = list(people.map(lambda _: ask(client).status_code, range(50)))
    assert answers == [200] * 50
    assert server.most_at_once <= 2


def test_who_finds_the_queue_full_is_told_when_to_come_back(
    options: RetrieverOptions, serve: Serve, until: Until
):
    held = threading.Event()
    server = ChatServer(Script(deltas=PIECES, held=held))
    with server.running(), serve(asking(options, server, at_once=1, queue=0)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        with ThreadPoolExecutor(1) as first:
            waiting = first.submit(ask, client)
            until(lambda: bool(server.seen))
            refused = ask(client)
            held.set()
            assert waiting.result().status_code == 200
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["error"]["request_id"] == refused.headers["x-request-id"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/rag/query", "/v1/rag/stream"])
def test_whoever_leaves_frees_the_model(
    options: RetrieverOptions, serve: Serve, until: Until, path: str, *, stream: bool
):
    held = threading.Event()
    server = ChatServer(Script(deltas=PIECES, held=held))
    body = json.dumps({**QUESTION, "stream": stream, "query": "When does the train go?"}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with server.running(), serve(asking(options, server, at_once=1, queue=0)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        url = client.base_url
        with socket.create_connection((url.host, url.port or 80)) as connection:
            connection.sendall(head + body)
            until(lambda: len(server.seen) == 1)
        # The place is free again although the model never said its second word.
        server.script = Script(deltas=PIECES)
        until(lambda: ask(client).status_code == 200)
        assert len(server.seen) >= 2
        held.set()


def test_a_busy_model_is_asked_again_before_its_first_word_alone(
    options: RetrieverOptions, serve: Serve, until: Until
):
    server = ChatServer(Script(deltas=PIECES, statuses=[429, 503]))
    with server.running(), serve(asking(options, server, retries=2)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        answer = ask(client, max_tokens=7)
    said = answer.json()["choices"][0]["message"]["content"]
    assert said == "At eleven."
    assert [each["max_tokens"] for each in server.seen] == [7, 7, 7]


def test_limits_under_their_newer_names_and_nulls_are_taken(
    options: RetrieverOptions, serve: Serve, until: Until
):
    server = ChatServer(Script(deltas=PIECES))
    with server.running(), serve(asking(options, server)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        answer = ask(client, stream=None, stream_options=None, max_completion_tokens=9, tools=None)
    assert answer.status_code == 200
    assert server.seen[0]["max_tokens"] == 9
