"""What the service tells of itself: log lines and spans, and what neither ever holds."""

import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from index_store.cache import CacheOptions
from index_store.errors import UsageError
from retriever.logs import ROOTS, set_up_logs
from retriever.options import RetrieverOptions
from retriever.service import create_app
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher

SECRET = "who earns what in Valmorel"  # noqa: S105 - a question
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector(ThreadingHTTPServer):
    """Takes spans as OpenTelemetry's collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"

    @property
    def spans(self) -> list[dict[str, object]]:
        found = []
        for body in self.bodies:
            told = ExportTraceServiceRequest.FromString(body)
            for resource in told.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        known = {each.key: each.value.string_value for each in span.attributes}
                        known |= {"name": span.name, "trace": span.trace_id.hex()}
                        found.append(known)
        return found


class CollectorHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def options(publisher: Publisher) -> RetrieverOptions:
    publisher.publish("docs", {"a.txt": ["the night train"]})
    return RetrieverOptions(store=publisher.url, poll_s=0.02)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged as JSON from here on."""
    kept = [(logging.getLogger(name), logging.getLogger(name).propagate) for name in ROOTS]
    stream = io.StringIO()
    set_up_logs("info", as_json=True, stream=stream)
    yield stream
    for logger, propagate in kept:
        logger.handlers, logger.propagate = [], propagate
        logger.setLevel(logging.NOTSET)


def ask(client: httpx.Client, until: Until, **headers: str) -> httpx.Response:
    until(lambda: client.get("/readyz").status_code == 200)
    return client.post("/v1/search", json={"query": SECRET}, headers=headers)


def test_a_request_is_a_line_without_its_question(
    options: RetrieverOptions, serve: Serve, until: Until, lines: io.StringIO
):
    with serve(options) as client:
        answer = ask(client, until)
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    (line,) = [each for each in told if each.get("route") == "/v1/search"]
    assert (line["level"], line["logger"]) == ("info", "retriever.requests")
    assert (line["method"], line["status"], line["key"]) == ("POST", 200, "anybody")
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["ms"] > 0
    assert SECRET not in lines.getvalue()


def fail(number: int) -> None:
    try:
        int(SECRET)
    except ValueError:
        logging.getLogger("retriever.anything").exception("request %d", number)


def test_an_exception_is_told_by_kind_and_place_alone(lines: io.StringIO):
    fail(1)
    line = json.loads(lines.getvalue())
    assert (line["message"], line["level"]) == ("request 1", "error")
    assert line["exception"].startswith("ValueError < ")
    assert "test_telling.py:" in line["exception"]
    plain = io.StringIO()
    set_up_logs("info", as_json=False, stream=plain)
    fail(2)
    assert "ERROR retriever.anything: request 2" in plain.getvalue()
    assert SECRET not in lines.getvalue() + plain.getvalue()


def test_spans_go_to_the_collector_and_hold_no_question(
    options: RetrieverOptions, serve: Serve, until: Until, collector: Collector
):
    with serve(replace(options, trace_url=collector.url)) as client:
        parent = f"00-{TRACE}-00f067aa0ba902b7-01"
        answer = ask(client, until, traceparent=parent)
    spans = {str(each["name"]): each for each in collector.spans if each["trace"] == TRACE}
    assert spans.keys() == {"POST /v1/search", "search"}
    assert spans["POST /v1/search"]["request.id"] == answer.headers["x-request-id"]
    assert spans["search"]["version"] == answer.headers["x-index-version"]
    assert SECRET.encode() not in b"".join(collector.bodies)


def test_an_address_that_is_none_is_a_mistake(options: RetrieverOptions):
    with pytest.raises(UsageError, match="trace_url 'collector:4318' must begin with http"):
        create_app(replace(options, trace_url="collector:4318"))


def test_without_an_address_nothing_of_it_is_loaded():
    code = (
        "import sys, retriever.server; from retriever.tracing import open_tracing\n"
        "open_tracing('')\n"
        "print([each for each in sys.modules if each.startswith(('opentelemetry.sdk', 'httpx'))])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_stages_and_copies_are_measured_and_every_answer_names_its_version(
    options: RetrieverOptions, serve: Serve, until: Until, tmp_path: Path
):
    cache = CacheOptions(folder=tmp_path / "cache", copy_folders=True)
    chat = {"model": "docs", "messages": [{"role": "user", "content": "night train"}]}
    with serve(replace(options, cache=cache)) as client:
        version = ask(client, until).headers["x-index-version"]
        answers = [
            client.post("/v1/chat/completions", json=chat),
            client.post("/v1/embeddings", json={"model": "docs", "input": "night"}),
            client.post("/v1/rerank", json={"query": "night", "documents": ["train"]}),
            client.post("/tools/search", json={"query": "night"}),
        ]
        typed = client.post("/v1/rag/stream", json={"query": "night"}).text
        told = client.get("/metrics").text
    for answer in answers:
        assert answer.headers["x-index-version"] == version
        assert int(answer.headers["x-index-age"]) >= 0
    context = json.loads(typed.split("\n")[0].removeprefix("data: "))
    assert (context["version"], context["age_s"] >= 0) == (version, True)
    for stage in ("search", "embed", "find", "answer"):
        assert f'rag_stage_duration_seconds_count{{stage="{stage}"}}' in told
    assert float(re.search(r"^rag_cache_bytes (\S+)", told, re.MULTILINE)[1]) > 0  # type: ignore[index]
