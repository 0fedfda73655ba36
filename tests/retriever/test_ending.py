"""Swaps and SIGTERM under load, with `nightpress serve` in a process of its own."""

import json
import signal
import threading
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks.serving_load import Load, running
from tests.retriever.conftest import Until
from tests.retriever.publishing import Publisher
from tests.support.chat_server import ChatServer, Script

DEADLINE_S = 120


def text(number: int) -> dict[str, list[str]]:
    return {"a.txt": [f"the night train number {number}", "bread before dawn"]}


def test_swaps_and_the_end_cost_no_request(publisher: Publisher, tmp_path: Path, until: Until):
    version = publisher.publish("docs", text(0))
    with running(publisher.url, tmp_path, poll_s=0.05, drain_s=1) as service:
        service.wait_for(version)
        load = Load(service.port, ["night train", "bread"], clients=4)
        load.start()
        for number in range(1, 7):
            until(lambda version=version: any(each.told == version for each in load.answers))
            version = publisher.publish("docs", text(number))
            service.wait_for(version)
        answered = len(load.answers)
        until(lambda: len(load.answers) > answered + 20)
        service.process.send_signal(signal.SIGTERM)
        load.join()  # every client goes on until nobody listens any more
        assert service.process.wait(DEADLINE_S) == 0
    assert {(each.status, each.told) for each in load.answers if each.status != 200} == set()
    assert len({each.told for each in load.answers}) >= 6


def test_it_says_that_it_ends_and_answers_meanwhile(publisher: Publisher, tmp_path: Path):
    publisher.publish("docs", text(0))
    with running(publisher.url, tmp_path, drain_s=600) as service:
        service.wait_for()
        service.process.send_signal(signal.SIGTERM)
        while service.get("/readyz")[0] == 200:
            pass
        status, body = service.get("/readyz")
        assert (status, json.loads(body)["error"]["message"]) == (503, "it is stopping")
        assert service.get("/livez")[0] == 200
        assert service.get("/v1/models")[0] == 200
        assert service.end(signal.SIGTERM) == -signal.SIGTERM  # the second one does not wait


def test_an_answer_of_a_socket_is_finished_before_the_end(publisher: Publisher, tmp_path: Path):
    publisher.publish("docs", text(0))
    told = threading.Event()
    model = ChatServer(Script(deltas=[{"content": "first "}, {"content": "second"}], held=told))
    with model.running():
        settings = {"chat_url": model.url, "chat_models": "held", "drain_s": 0}
        with running(publisher.url, tmp_path, **settings) as service:
            service.wait_for()
            with connect(f"ws://127.0.0.1:{service.port}/v1/rag/ws") as talk:
                talk.send(json.dumps({"query": "night train"}))
                assert json.loads(talk.recv(DEADLINE_S))["type"] == "context"
                assert json.loads(talk.recv(DEADLINE_S))["data"] == "first "
                service.process.send_signal(signal.SIGTERM)
                told.set()
                assert json.loads(talk.recv(DEADLINE_S))["data"] == "second"
                assert json.loads(talk.recv(DEADLINE_S))["type"] == "done"
                with pytest.raises(ConnectionClosed, match="1001"):
                    talk.recv(DEADLINE_S)
            assert service.process.wait(DEADLINE_S) == 0
