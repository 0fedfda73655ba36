"""Who gets through which door, and what hostile requests come to, over a real socket."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from retriever.access import AccessOptions, parse_keys
from retriever.inbox import InboxOptions
from retriever.links import LinkOptions
from retriever.options import RetrieverOptions
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher
from tests.retriever.test_access import SECRET, line, token

SAFE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
QUESTION = {"query": "night train"}
CHAT = {"model": "docs", "messages": [{"role": "user", "content": "night train"}]}
# Every route with what it needs, and whether it is open to whoever has no key.
ROUTES: tuple[tuple[str, str, object, bool], ...] = (
    ("GET", "/", None, True),
    ("GET", "/page.css", None, True),
    ("GET", "/page.js", None, True),
    ("GET", "/livez", None, True),
    ("GET", "/readyz", None, True),
    ("GET", "/metrics", None, True),
    ("GET", "/status", None, False),
    ("GET", "/openapi.json", None, False),
    ("GET", "/v1/models", None, False),
    ("GET", "/models", None, False),
    ("GET", "/v1/models/docs", None, False),
    ("GET", "/v1/collections/docs/versions", None, False),
    ("GET", "/tools/openapi.json", None, False),
    ("GET", "/tools/collections", None, False),
    ("POST", "/tools/search", QUESTION, False),
    ("POST", "/v1/search", QUESTION, False),
    ("POST", "/v1/versions/VERSION/search", QUESTION, False),
    ("POST", "/v1/chat/completions", CHAT, False),
    ("POST", "/chat/completions", CHAT, False),
    ("POST", "/v1/embeddings", {"model": "docs", "input": "night"}, False),
    ("POST", "/v1/rag/query", QUESTION, False),
    ("POST", "/v1/rag/stream", QUESTION, False),
    ("POST", "/askai/query", QUESTION, False),
    ("POST", "/api/chat", QUESTION, False),
    ("POST", "/v1/web-search", QUESTION, False),
    ("POST", "/v1/rerank", {"query": "night", "documents": ["train"]}, False),
)
KEYS = {"asker": "query", "root": "admin", "webui": "query,forward", "sender": "upload"}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> RetrieverOptions:
    folder = tmp_path_factory.mktemp("doors")
    publisher = Publisher(folder)
    publisher.publish("docs", {"a.txt": ["the night train to the observatory"]})
    (folder / "inbox").mkdir()
    return RetrieverOptions(
        store=publisher.url,
        poll_s=0.05,
        access=AccessOptions(keys=parse_keys(tuple(line(*each) for each in KEYS.items()))),
        inbox=InboxOptions(folder=str(folder / "inbox"), endings=frozenset({".txt"})),
        links=LinkOptions(base_url="https://files.example/"),
    )


@pytest.fixture(scope="module")
def client(options: RetrieverOptions, serve: Serve, until: Until) -> Iterator[httpx.Client]:
    with serve(options) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_every_route_is_in_the_matrix(client: httpx.Client):
    described = client.get("/openapi.json", headers=bearer("asker")).json()["paths"]
    known = {re.sub(r"docs|VERSION", "X", path) for _, path, _, _ in ROUTES}
    known |= {"/v1/inbox/X", "/v1/collections/X/versions/X/report"}
    assert {re.sub(r"\{\w+\}", "X", path) for path in described} <= known


def test_a_versions_page_is_behind_a_key(client: httpx.Client):
    path = f"/v1/collections/docs/versions/{'0' * 12}/report"
    answers = {key: client.get(path, headers=bearer(key)).status_code for key in (*KEYS, "mallory")}
    assert answers == {"asker": 404, "root": 404, "webui": 404, "sender": 403, "mallory": 401}
    assert client.get(path).status_code == 401


def test_who_gets_through_which_door(client: httpx.Client):
    version = client.get("/status", headers=bearer("asker")).json()["collections"][0]["version"]
    for method, path, body, is_open in ROUTES:
        for key, lets_in in (
            ("", is_open),
            ("mallory", is_open),
            ("asker", True),
            ("root", True),
            ("webui", True),
            ("sender", is_open),
        ):
            headers = bearer(key) if key else {}
            address = path.replace("VERSION", version)
            answer = client.request(method, address, json=body, headers=headers)
            refused = 403 if key == "sender" else 401
            wanted = 200 if lets_in else refused
            assert answer.status_code == wanted, (method, path, key, answer.text[:200])
            bears = {name: answer.headers.get(name) for name in SAFE}
            if answer.headers["content-type"].startswith("text/event-stream"):
                assert bears.pop("cache-control") == "no-cache"
            assert bears == {name: SAFE[name] for name in bears}, (path, key)
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["x-request-id"]
            assert "access-control-allow-origin" not in answer.headers
            if not lets_in:
                error = answer.json()["error"]
                assert error["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", "Basic YXNrZXI6"),
        ("Authorization", "Bearer"),
        ("Authorization", "asker"),
        ("Authorization", "Bearer asker asker"),
        ("X-Api-Key", "asker"),
        ("X-OpenWebUI-User-Id", "root"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-OpenWebUI-User-Jwt", token({"sub": "root", "exp": 1 << 40})),
    ],
)
def test_nothing_but_a_key_is_a_key(client: httpx.Client, header: str, value: str):
    assert client.get("/v1/models", headers={header: value}).status_code == 401


def test_uploads_need_their_scope(client: httpx.Client):
    wanted_of = {"": 401, "mallory": 401, "asker": 403, "webui": 403, "sender": 202, "root": 202}
    for number, (key, wanted) in enumerate(wanted_of.items()):
        headers = bearer(key) if key else {}
        answer = client.put(f"/v1/inbox/{number}.txt", content=b"text", headers=headers)
        assert answer.status_code == wanted, key


TOLD = {"X-OpenWebUI-User-Id": "u1", "X-RAG-Groups": "staff"}
AskedBy = Callable[[dict[str, str], str | None], tuple[object, object]]


@pytest.fixture
def asked_by(options: RetrieverOptions, serve: Serve, until: Until, tmp_path: Path) -> AskedBy:
    """Ask once with some headers; the user and the groups that the audit log notes."""

    def ask(headers: dict[str, str], secret: str | None = None) -> tuple[object, object]:
        path = tmp_path / "audit"
        audit = replace(options.audit, path=str(path), questions=True)
        user_secret = None if secret is None else SecretStr(secret)
        access = replace(options.access, user_secret=user_secret)
        with serve(replace(options, audit=audit, access=access)) as client:
            until(lambda: client.get("/readyz").status_code == 200)
            assert client.post("/v1/search", json=QUESTION, headers=headers).status_code == 200
        noted = json.loads(path.read_text())
        return noted["user"], noted["groups"]

    return ask


@pytest.mark.parametrize(
    ("key", "noted"), [("asker", ("", [])), ("root", ("", [])), ("webui", ("u1", ["staff"]))]
)
def test_users_are_believed_from_a_trusted_key_alone(
    asked_by: AskedBy, key: str, noted: tuple[str, list[str]]
):
    assert asked_by(bearer(key) | TOLD, None) == noted


@pytest.mark.parametrize(
    ("given", "user", "groups"),
    [
        (token({"sub": "u2", "exp": 1 << 40}), "u2", ["staff"]),
        (token({"sub": "u2", "exp": 1}), "", []),
        (token({"sub": "u2", "exp": 1 << 40}, secret="another"), "", []),  # noqa: S106
        (token({"sub": "u2", "exp": 1 << 40}, algorithm="none"), "", []),
        ("", "", []),
    ],
)
def test_with_a_secret_only_a_signed_fresh_token_names_a_user(
    asked_by: AskedBy, given: str, user: str, groups: list[str]
):
    headers = bearer("webui") | TOLD | {"X-OpenWebUI-User-Jwt": given}
    assert asked_by(headers, SECRET) == (user, groups)


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/page.css/../../service.py",
        "/page/..%2f..%2fservice.py",
        "/v1/models/..%2f..%2fstatus",
        "/v1/collections/..%2f../versions",
        "/v1/versions/..%2F..%2F..%2Fetc/search",
        "/tools/..%2f..%2fetc",
        "//etc/passwd",
        "/v1/models/docs%00",
        "/v1/models/docs%0d%0aX-Injected:%201",
    ],
)
def test_no_path_leads_out_of_the_routes(client: httpx.Client, path: str):
    head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer asker\r\n"
    answer = raw(client, head.encode() + b"Connection: close\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 405"))
    assert b"root:" not in answer
    assert b"\nX-Injected" not in answer


@pytest.mark.parametrize("name", ["..%2fout.txt", "%2e%2e", "..", "a%2f..%2f..%2fb.txt", "%00.txt"])
def test_no_upload_leaves_the_inbox(client: httpx.Client, options: RetrieverOptions, name: str):
    before = sorted(Path(options.inbox.folder).parent.iterdir())
    head = f"PUT /v1/inbox/{name} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sender\r\n"
    body = b"Content-Length: 4\r\nConnection: close\r\n\r\ntext"
    assert raw(client, head.encode() + body).startswith((b"HTTP/1.1 40", b"HTTP/1.1 415"))
    assert sorted(Path(options.inbox.folder).parent.iterdir()) == before


def test_headers_cannot_be_injected_through_what_a_request_says(client: httpx.Client):
    head = (
        "GET /v1/models/docs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer asker\r\n"
        "X-Request-Id: a b\x0bc\r\nConnection: close\r\n\r\n"
    )
    answer = raw(client, head.encode())
    assert b"a b" not in answer
    kept = client.get("/livez", headers={"X-Request-Id": "abc-1.2_3"})
    assert kept.headers["x-request-id"] == "abc-1.2_3"
    for given in ("x" * 65, "<script>", "ü"):
        answer = client.get("/livez", headers={"X-Request-Id": given.encode()})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 30_000, 400),
        (b'{"query":' * 5_000, 400),
        (b'{"query": "x", ' + b",".join(b'"f%d": 1' % n for n in range(4000)) + b"}", 400),
        (b'{"query": "x", "k": 1e400}', 400),
        (b'{"query": "x", "k": 99999999999999999999999999}', 400),
        (b'{"query": "\\ud800"}', 400),
        (b'{"query": "\xff"}', 400),
        (b"", 400),
        (b"null", 400),
        (b'{"query": "' + b"x" * 70_000 + b'"}', 413),
        (b'{"query": "x", "filter": {"fields": {"a": ["' + b"y" * 9000 + b'"]}}}', 200),
        (b'{"query": "x", "filter": {"path_prefix": "../../"}}', 200),
        (b'{"query": "\\u0000\\u202e"}', 200),
    ],
)
def test_hostile_bodies_are_refused_or_harmless(client: httpx.Client, body: bytes, status: int):
    answer = client.post("/v1/search", content=body, headers=bearer("asker"))
    assert answer.status_code == status, answer.text[:300]
    if status != 200:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code", "request_id"}
        assert len(answer.text) < 2000


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/rag/query", "/v1/embeddings", "/v1/rerank"]
)
@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"0", b'"x"'])
def test_hostile_bodies_of_other_doors(client: httpx.Client, path: str, body: bytes):
    answer = client.post(path, content=body, headers=bearer("asker"))
    assert answer.status_code == 400
    assert len(answer.text) < 2000


def raw(client: httpx.Client, request: bytes) -> bytes:
    """Send bytes as they are, which a client of HTTP would put right first."""
    address = (client.base_url.host, client.base_url.port or 80)
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(request)
        said = b""
        while piece := connection.recv(1 << 16):
            said += piece
        return said
