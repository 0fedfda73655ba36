"""An embedding provider of our own on a real socket: limits, true error bodies, and bad manners.

It speaks Mistral's and OpenAI's `/v1/embeddings`, Mistral's batch jobs and Ollama's `/api/embed`.
Every text has one true vector, so a test can compare what was stored with the truth. Misbehaviour
is drawn from a seed, or planned request by request.
"""

import base64
import gzip
import hashlib
import json
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tests.support.embedding_batches import Batches, LostReplyError, NightBehaviour
from tests.support.embedding_faults import BUSY_ANSWERS, FAULTS, HARMLESS, HOSTILE, spoil

KEY = "test-key-that-must-never-be-shown"
TRICKLE = b"x" * 65_536


@dataclass(kw_only=True)
class Behaviour:
    """How the provider behaves.

    Attributes:
        dimension: Length of its vectors.
        key: What it wants as bearer token, None for anybody.
        max_texts: Texts of one request, more are refused.
        max_tokens: Words of one request, more are refused.
        max_text_tokens: Words of one text, more are refused.
        poison: A text that holds this is refused.
        names_position: Whether a refusal names the offending text.
        old_messages: Whether refusals are worded as until 2025.
        quota: Requests after which there is no money left, None for no end.
        requests_per_minute: Enforced over a sliding minute of `clock`, None for no limit.
        tokens_per_minute: The same for words.
        rate_headers: Whether answers tell the limits, what is left of them, and what they cost.
        tokens_per_word: Tokens that are counted for a word.
        model_salt: Another model behind the same name.
        plan: Faults of the first requests, in order; None is none.
        fault_share: Share of later requests that misbehave, from `faults`.
        faults: What is drawn from.
        latency_s: Seconds that an answer takes.
        seed: Of what is drawn.
        clock: Seconds.
        night: How jobs are treated that are answered hours later.
    """

    dimension: int = 16
    key: str | None = KEY
    max_texts: int = 10_000
    max_tokens: int = 10_000_000
    max_text_tokens: int = 10_000_000
    poison: str | None = None
    names_position: bool = True
    old_messages: bool = False
    quota: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    rate_headers: bool = False
    tokens_per_word: float = 1.0
    model_salt: str = ""
    plan: list[str | None] = field(default_factory=list)
    fault_share: float = 0.0
    faults: Sequence[str] = FAULTS
    latency_s: float = 0.0
    seed: int = 0
    clock: Callable[[], float] = time.monotonic
    night: NightBehaviour = field(default_factory=NightBehaviour)


@dataclass(kw_only=True)
class Seen:
    """What the provider saw.

    Attributes:
        requests: Texts of every request that was well-formed, in order of arrival.
        paid: How often each text was answered with its vector.
        refused: Requests answered with status 429.
        arrivals: When each request came, its tokens, and whether the rate allowed it.
        most_at_once: Requests under way at the same time at most.
        keys: What stood in the header of authorisation.
    """

    requests: list[list[str]] = field(default_factory=list)
    paid: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    arrivals: list[tuple[float, int, bool]] = field(default_factory=list)
    most_at_once: int = 0
    keys: set[str] = field(default_factory=set)


class EmbeddingServer:
    """The provider; its address ends in `/v1` for `url`, and does not for `ollama_url`."""

    def __init__(self, behaviour: Behaviour, certificate: tuple[Path, Path] | None = None) -> None:
        self.behaviour = behaviour
        self.seen = Seen()
        self._random = random.Random(behaviour.seed)  # noqa: S311 - not a secret
        self._lock = threading.Lock()
        self._at_once = 0
        self._sent: list[tuple[float, int]] = []
        self.batches = Batches(behaviour=behaviour.night, answer=self._at_night)
        self._http = _Http(self)
        self._scheme = "http" if certificate is None else "https"
        if certificate is not None:
            secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            secured.load_cert_chain(*certificate)
            self._http.socket = secured.wrap_socket(self._http.socket, server_side=True)

    @property
    def ollama_url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.ollama_url}/v1"

    @contextmanager
    def running(self) -> Iterator["EmbeddingServer"]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self.close()

    def close(self) -> None:
        """Let go of the socket."""
        self._http.server_close()

    def true_vector(self, text: str) -> npt.NDArray[np.float32]:
        """Return the one vector of a text, L2-normalised."""
        digest = hashlib.sha256((self.behaviour.model_salt + text).encode()).digest()
        drawn = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        vector = drawn.standard_normal(self.behaviour.dimension)
        unit: npt.NDArray[np.float32] = (vector / np.linalg.norm(vector)).astype(np.float32)
        return unit

    def _at_night(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer one request of a job; the rate does not matter there."""
        texts = list(body["input"])
        refused = _refused_input(self.behaviour, texts, [self.tokens(text) for text in texts])
        if refused is not None:
            return refused
        self.pay(texts)
        rows: list[object] = [self.true_vector(text).tolist() for text in texts]
        return 200, _openai(rows, sum(self.tokens(text) for text in texts), False)

    def begin(self, authorization: str) -> str | None:
        """Count a request and draw its fault."""
        with self._lock:
            self._at_once += 1
            self.seen.most_at_once = max(self.seen.most_at_once, self._at_once)
            self.seen.keys.add(authorization)
            if self.behaviour.plan:
                return self.behaviour.plan.pop(0)
            if self._random.random() < self.behaviour.fault_share:
                return self._random.choice(list(self.behaviour.faults))
            return None

    def end(self) -> None:
        with self._lock:
            self._at_once -= 1

    def tokens(self, text: str) -> int:
        """Return the tokens that the provider counts in a text."""
        return round(len(text.split()) * self.behaviour.tokens_per_word)

    def rate_headers(self, texts: list[str]) -> dict[str, str]:
        """Return the headers with which Mistral tells its limits."""
        kept = self.behaviour
        if not kept.rate_headers or not kept.requests_per_minute or not kept.tokens_per_minute:
            return {}
        with self._lock:
            requests, tokens = len(self._sent), sum(size for _, size in self._sent)
        return {
            "x-ratelimit-limit-req-minute": str(kept.requests_per_minute),
            "x-ratelimit-remaining-req-minute": str(kept.requests_per_minute - requests),
            "x-ratelimit-limit-tokens-minute": str(kept.tokens_per_minute),
            "x-ratelimit-remaining-tokens-minute": str(kept.tokens_per_minute - tokens),
            "x-ratelimit-tokens-query-cost": str(sum(self.tokens(text) for text in texts)),
        }

    def refusal(self, texts: list[str]) -> tuple[int, dict[str, object]] | None:
        """Return status and body when the provider refuses texts by its rules."""
        kept = self.behaviour
        sizes = [self.tokens(text) for text in texts]
        with self._lock:
            self.seen.requests.append(texts)
            if kept.quota is not None and len(self.seen.requests) > kept.quota:
                return 429, _error("You exceeded your current quota", "insufficient_quota")
            if self._is_over_rate(sum(sizes)):
                self.seen.refused += 1
                return 429, _error("Rate limit exceeded", "1300", kind="rate_limited")
        return _refused_input(kept, texts, sizes)

    def pay(self, texts: list[str]) -> None:
        with self._lock:
            for text in texts:
                self.seen.paid[text] = self.seen.paid.get(text, 0) + 1

    def _is_over_rate(self, tokens: int) -> bool:
        kept, now = self.behaviour, self.behaviour.clock()
        self._sent = [(at, size) for at, size in self._sent if at > now - 60]
        requests, words = len(self._sent) + 1, sum(size for _, size in self._sent) + tokens
        over = (kept.requests_per_minute is not None and requests > kept.requests_per_minute) or (
            kept.tokens_per_minute is not None and words > kept.tokens_per_minute
        )
        self.seen.arrivals.append((now, tokens, not over))
        if not over:
            self._sent.append((now, tokens))
        return over


def _refused_input(
    kept: Behaviour, texts: list[str], sizes: list[int]
) -> tuple[int, dict[str, object]] | None:
    """Return status and body when the texts themselves are refused."""
    refused = _refused_amount(kept, texts, sizes)
    if refused is not None:
        return refused
    if max(sizes) > kept.max_text_tokens:
        position = next(place for place, size in enumerate(sizes) if size > kept.max_text_tokens)
        most = f"exceeding max {kept.max_text_tokens} tokens."
        named = f"Input id {position} has {sizes[position]} tokens, {most}"
        unnamed = "the input length exceeds the context length"
        return 400, _error(named if kept.names_position else unnamed, None)
    if kept.poison is not None and any(kept.poison in text for text in texts):
        # Holds the digits of a status that it is not.
        return 400, _error("Invalid input near byte 84291", "invalid_request_input")
    return None


def _refused_amount(
    kept: Behaviour, texts: list[str], sizes: list[int]
) -> tuple[int, dict[str, object]] | None:
    if not texts:
        return 400, _error("Please provide at least one input element.", None)
    if len(texts) > kept.max_texts:
        return 400, _error("Too many inputs in request, split into more batches.", "3210")
    if sum(sizes) > kept.max_tokens:
        old = f"Too many tokens in batch. Max is {kept.max_tokens} got {sum(sizes)}"
        new = "Too many tokens overall, split into more batches."
        return 400, _error(old, None) if kept.old_messages else _error(new, "3210")
    return None


def _error(
    message: str, code: str | None, kind: str = "invalid_request_prompt"
) -> dict[str, object]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


class _Http(ThreadingHTTPServer):
    """The socket, and whom it speaks for."""

    daemon_threads = True

    def __init__(self, owner: EmbeddingServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionResetError):  # the client was killed
            super().handle()

    def do_POST(self) -> None:
        owner = cast("_Http", self.server).owner
        if self.path.startswith(("/v1/files", "/v1/batch")):
            self._at_night("POST")
            return
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        fault = owner.begin(self.headers.get("Authorization", ""))
        try:
            self._answer(owner, body, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has had enough
        finally:
            owner.end()

    def do_GET(self) -> None:
        self._at_night("GET")

    def do_DELETE(self) -> None:
        self._at_night("DELETE")

    def _at_night(self, method: str) -> None:
        owner = cast("_Http", self.server).owner
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = owner.behaviour.key
        if key is not None and self.headers.get("Authorization") != f"Bearer {key}":
            self._send(401, {"message": "Unauthorized", "request_id": "0"})
            return
        kind = self.headers.get("Content-Type", "")
        try:
            status, data = owner.batches.serve(method, self.path, body, kind)
        except LostReplyError:
            self.close_connection = True
            return
        is_content = self.path.endswith("/content")
        kind = "application/octet-stream" if is_content else "application/json"
        self._send_bytes(status, data, {"Content-Type": kind})

    def _answer(self, owner: EmbeddingServer, body: dict[str, Any], fault: str | None) -> None:
        kept = owner.behaviour
        if kept.key is not None and self.headers.get("Authorization") != f"Bearer {kept.key}":
            self._send(401, {"message": "Unauthorized", "request_id": "0"})
            return
        given = body.get("input", [])
        texts = [given] if isinstance(given, str) else list(given)
        if fault in BUSY_ANSWERS or fault in HOSTILE:
            self._misbehave(str(fault))
            return
        ollama = self.path.endswith("/api/embed")
        refused = owner.refusal(texts)
        if refused is not None:
            status, told = refused
            self._send(status, {"error": told["message"]} if ollama else told)
            return
        if fault is None or fault in HARMLESS:
            owner.pay(texts)
        time.sleep(owner.behaviour.latency_s)
        rows = [owner.true_vector(text).tolist() for text in texts]
        as_base64 = body.get("encoding_format") == "base64" and fault is None
        counted = sum(owner.tokens(text) for text in texts)
        value = _ollama(rows, counted) if ollama else _openai(rows, counted, as_base64)
        spoil(value, fault, "embeddings" if ollama else "data")
        data = b"<html>busy</html>" if fault == "not-json" else json.dumps(value).encode()
        self._send_bytes(200, data, owner.rate_headers(texts))

    def _misbehave(self, fault: str) -> None:
        if fault.startswith("429"):
            self._send(429, *_rate_limited(fault))
        elif fault in ("500", "503"):
            self._send(int(fault), {"message": "internal error 429"})
        elif fault == "redirect":
            self._send_bytes(307, b"", {"Location": "http://127.0.0.1:9/elsewhere"})
        elif fault == "gzip-bomb":
            bomb = gzip.compress(b" " * (64 << 20))
            self._send_bytes(200, bomb, {"Content-Encoding": "gzip"})
        else:
            self._break_off(fault)

    def _break_off(self, fault: str) -> None:
        """Begin an answer, if at all, that never comes to its end."""
        self.close_connection = True
        if fault == "reset":
            return
        self._head(200, {"Content-Length": str(1 << 40)})
        if fault == "cut-off":
            self.wfile.write(b'{"data": [')
        elif fault == "drip":
            for _ in range(200):
                self.wfile.write(b" ")
                threading.Event().wait(0.05)
        else:
            for _ in range(4096):
                self.wfile.write(TRICKLE)

    def _send(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(value).encode(), headers)

    def _send_bytes(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"Content-Length": str(len(data)), **(headers or {})})
        self.wfile.write(data)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def _rate_limited(fault: str) -> tuple[dict[str, object], dict[str, str]]:
    headers = {
        "429-seconds": {"Retry-After": "0.01"},
        "429-date": {"Retry-After": formatdate(time.time() - 1, usegmt=True)},
        "429-absurd": {"Retry-After": "-5"},
    }
    told = _error("Rate limit exceeded", "1300", kind="rate_limited")
    if fault == "429-capacity":
        told = _error("Service tier capacity exceeded for this model.", "3505")
    return told, headers.get(fault, {})


def _openai(rows: list[object], counted: int, as_base64: bool) -> dict[str, Any]:
    def shown(row: object) -> object:
        return base64.b64encode(np.array(row, "<f4").tobytes()).decode() if as_base64 else row

    return {
        "id": "0",
        "object": "list",
        "model": "test",
        "data": [
            {"object": "embedding", "index": index, "embedding": shown(row)}
            for index, row in enumerate(rows)
        ],
        "usage": {"prompt_tokens": counted, "completion_tokens": 0, "total_tokens": counted},
    }


def _ollama(rows: list[object], counted: int) -> dict[str, object]:
    return {"model": "test", "embeddings": rows, "prompt_eval_count": counted}
