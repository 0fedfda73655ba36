"""Uploads into the inbox of a running service, with Prefect's API on a socket of its own."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from index_store.errors import UsageError
from retriever.access import AccessOptions, parse_keys
from retriever.inbox import InboxOptions
from retriever.options import RetrieverOptions
from tests.retriever.conftest import Serve
from tests.retriever.publishing import Publisher

KEYS = {scope: f"key-{scope}" for scope in ("query", "upload", "admin")}


class Prefect(BaseHTTPRequestHandler):
    """The two addresses of Prefect's API that start a run."""

    def do_GET(self) -> None:
        known = self.path == "/api/deployments/name/reindex/nightly"
        self._reply(200 if known else 404, {"id": "dep-1"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        known = self.path == "/api/deployments/dep-1/create_flow_run"
        self._reply(201 if known else 404, {"id": "run-7"})

    def log_message(self, *_: object) -> None:
        pass

    def _reply(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def prefect() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Prefect)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/api"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "source" / "inbox"
    folder.mkdir(parents=True)
    return folder


@contextmanager
def served(publisher: Publisher, serve: Serve, inbox: InboxOptions) -> Iterator[httpx.Client]:
    lines = tuple(f"k:{s}:{hashlib.sha256(k.encode()).hexdigest()}" for s, k in KEYS.items())
    access = AccessOptions(keys=parse_keys(lines))
    with serve(RetrieverOptions(store=publisher.url, inbox=inbox, access=access)) as client:
        client.headers["Authorization"] = f"Bearer {KEYS['upload']}"
        yield client


def test_an_upload_is_whole_in_the_inbox_and_starts_a_run(
    publisher: Publisher, serve: Serve, inbox: Path, prefect: str
):
    options = InboxOptions(folder=str(inbox), prefect_url=prefect, deployment="reindex/nightly")
    with served(publisher, serve, options) as client:
        reply = client.put("/v1/inbox/Congés%20(2024).txt", content=b"Deux jours.")
        again = client.put("/v1/inbox/Congés%20(2024).txt", content=b"Autre chose.")
    assert reply.status_code == 202
    assert reply.json() == {
        "name": "Congés (2024).txt",
        "bytes": 11,
        "run": "run-7",
        "problem": None,
    }
    assert again.status_code == 409
    assert {each.name: each.read_bytes() for each in inbox.iterdir()} == {
        "Congés (2024).txt": b"Deux jours."
    }


def test_without_a_run_the_document_is_kept_and_the_reason_told(
    publisher: Publisher, serve: Serve, inbox: Path, prefect: str
):
    options = InboxOptions(folder=str(inbox), prefect_url=prefect, deployment="reindex/other")
    with served(publisher, serve, options) as client:
        reply = client.put("/v1/inbox/a.txt", content=b"text")
    assert reply.status_code == 202
    assert "Prefect started no run" in reply.json()["problem"]
    assert (inbox / "a.txt").read_bytes() == b"text"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("..%2Fa.txt", 404),
        ("..%5Ca.txt", 400),
        (".hidden.txt", 400),
        ("a%00.txt", 400),
        ("a%E2%80%AEtxt.md", 400),
        ("nul.txt", 400),
        ("a.exe", 415),
        ("a", 415),
        ("x" * 201 + ".txt", 400),
    ],
)
def test_names_that_are_none_of_a_document_are_refused(
    publisher: Publisher, serve: Serve, inbox: Path, name: str, status: int
):
    with served(publisher, serve, InboxOptions(folder=str(inbox))) as client:
        assert client.put(f"/v1/inbox/{name}", content=b"text").status_code == status
    assert [each for each in inbox.parent.rglob("*") if each.is_file()] == []


def test_size_and_scope_are_heeded(publisher: Publisher, serve: Serve, inbox: Path):
    with served(publisher, serve, InboxOptions(folder=str(inbox), max_bytes=4)) as client:
        assert client.put("/v1/inbox/a.txt", content=b"12345").status_code == 413
        assert client.put("/v1/inbox/a.txt", content=b"").status_code == 400
        asking = {"Authorization": f"Bearer {KEYS['query']}"}
        assert client.put("/v1/inbox/a.txt", content=b"1", headers=asking).status_code == 403
        assert list(inbox.iterdir()) == []
        admin = {"Authorization": f"Bearer {KEYS['admin']}"}
        assert client.put("/v1/inbox/a.txt", content=b"1", headers=admin).status_code == 202
        asked = client.post("/v1/search", json={"query": "x"})
        assert asked.status_code == 403  # a key that uploads may not ask


def test_a_deployment_needs_an_api():
    with pytest.raises(UsageError, match="inbox_prefect_url"):
        InboxOptions(folder="inbox", deployment="reindex/nightly")
