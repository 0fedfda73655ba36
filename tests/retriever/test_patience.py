"""Slow and malformed senders and readers, over a real socket."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from retriever.options import RetrieverOptions
from retriever.patience_options import Patience
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher

QUICK = Patience(head_s=0.2, reader_s=0.3, body_s=0.2, connections=20)
DEADLINE_S = 60


@contextmanager
def plain(client: httpx.Client) -> Iterator[socket.socket]:
    """Open a connection of our own to the server."""
    url = client.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=DEADLINE_S) as connection:
        yield connection


def all_of(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    said = b""
    while True:
        try:
            piece = connection.recv(1 << 16)
        except ConnectionResetError:
            return said
        if not piece:
            return said
        said += piece


@pytest.fixture
def options(publisher: Publisher) -> RetrieverOptions:
    publisher.publish("docs", {"a.txt": ["the night train to the observatory"]})
    return RetrieverOptions(store=publisher.url, poll_s=0.02, patience=QUICK)


def ended(connection: socket.socket) -> bool:
    """Tell whether the other side has let go, without reading what it sent."""
    try:
        connection.send(b"x")
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def still_answers(client: httpx.Client, until: Until) -> bool:
    until(lambda: client.get("/readyz").status_code == 200)
    return client.post("/v1/search", json={"query": "train"}).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"POST /v1/search HTTP/1.1\r\nHost: a\r\nX-Slow: "])
def test_a_head_that_does_not_come_is_not_waited_for(
    options: RetrieverOptions, serve: Serve, until: Until, sent: bytes
):
    with serve(options) as client, plain(client) as connection:
        connection.sendall(sent)
        assert all_of(connection) == b""
        assert still_answers(client, until)


def test_a_second_head_on_a_connection_is_not_waited_for_either(
    options: RetrieverOptions, serve: Serve
):
    with serve(options) as client, plain(client) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HT")
        assert all_of(connection).count(b"HTTP/1.1 200") == 1


def test_a_body_that_drips_is_refused(options: RetrieverOptions, serve: Serve):
    with serve(options) as client, plain(client) as connection:
        head = b"POST /v1/search HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head + b'{"query"')
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"body_too_slow"' in answer


def test_a_refused_body_is_not_read_for_ever(options: RetrieverOptions, serve: Serve):
    with serve(replace(options, max_body_bytes=10)) as client, plain(client) as connection:
        head = b"POST /v1/search HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
        connection.sendall(head + b"x" * 1000)
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_reader_that_takes_nothing_in_is_let_go_of(
    options: RetrieverOptions, serve: Serve, until: Until
):
    with serve(options) as client, plain(client) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
        connection.settimeout(1)
        with suppress(OSError):  # a full buffer, or the end of the connection
            while True:
                connection.sendall(request * 100)
        until(lambda: ended(connection))
        assert still_answers(client, until)


def test_connections_are_bounded(options: RetrieverOptions, serve: Serve, until: Until):
    bounded = replace(options, patience=replace(QUICK, connections=3, head_s=30))
    with serve(bounded) as client:
        client.get("/livez")
        url = client.base_url
        many = [socket.create_connection((url.host, url.port or 80)) for _ in range(8)]
        closed = 0
        for connection in many:
            connection.settimeout(0.5)
            try:
                closed += connection.recv(1) == b""
            except ConnectionResetError:
                closed += 1
            except TimeoutError:
                pass
        assert closed == 6
        for connection in many:
            connection.close()
        assert still_answers(client, until)


def test_what_is_no_request_is_answered_in_the_same_shape(options: RetrieverOptions, serve: Serve):
    with serve(options) as client, plain(client) as connection:
        connection.sendall(b"GET / nonsense\r\n\r\n")
        head, _, body = all_of(connection).partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert head.startswith(b"HTTP/1.1 400")
    assert b"x-content-type-options: nosniff" in head.lower()
    assert error["code"] == "bad_request"
    assert error["request_id"].encode() in head


def test_a_head_without_end_is_refused(options: RetrieverOptions, serve: Serve):
    with serve(options) as client, plain(client) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"y" * 100_000)
        assert all_of(connection).startswith(b"HTTP/1.1 400")


def socket_url(client: httpx.Client) -> str:
    return f"ws://{client.base_url.host}:{client.base_url.port}/v1/rag/ws"


def test_a_socket_takes_no_message_that_is_too_long(
    options: RetrieverOptions, serve: Serve, until: Until
):
    with serve(replace(options, max_chat_bytes=500)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        with connect(socket_url(client)) as talk:
            talk.send(json.dumps({"query": "x" * 1000}))
            with pytest.raises(ConnectionClosed, match="1009"):
                talk.recv(DEADLINE_S)
        assert still_answers(client, until)


@pytest.mark.parametrize("message", [b"\x00\x01", "{", "[]", '{"query": " "}', "[" * 100_000])
def test_a_message_that_is_none_is_answered_and_the_socket_goes_on(
    options: RetrieverOptions, serve: Serve, until: Until, message: str | bytes
):
    with serve(options) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        with connect(socket_url(client)) as talk:
            talk.send(message)
            refused = json.loads(talk.recv(DEADLINE_S))
            assert (refused["type"], refused["status"]) == ("error", 400)
            assert refused["request_id"]
            assert json.loads(talk.recv(DEADLINE_S)) == {"type": "done"}
            talk.send(json.dumps({"query": "train"}))
            assert json.loads(talk.recv(DEADLINE_S))["type"] == "context"


def test_messages_of_a_socket_count_as_requests(
    options: RetrieverOptions, serve: Serve, until: Until
):
    with serve(replace(options, requests_per_minute=3)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        with connect(socket_url(client)) as talk:
            kinds = []
            for _ in range(4):
                talk.send(json.dumps({"query": "train"}))
                kinds.append(json.loads(talk.recv(DEADLINE_S))["type"])
                while json.loads(talk.recv(DEADLINE_S))["type"] != "done":
                    pass
    assert kinds == ["context", "context", "error", "error"]  # the handshake counts as one


def test_a_page_of_another_host_opens_no_socket(options: RetrieverOptions, serve: Serve):
    with serve(options) as client:
        own = f"http://{client.base_url.host}:{client.base_url.port}"
        with connect(socket_url(client), origin=own):  # type: ignore[arg-type]
            pass
        foreign = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
            "Origin": "http://elsewhere.example",
        }
        refused = client.get("/v1/rag/ws", headers=foreign)
    assert refused.status_code == 403
    assert refused.json()["error"]["request_id"] == refused.headers["x-request-id"]
    assert refused.headers["x-content-type-options"] == "nosniff"
